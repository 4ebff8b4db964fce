"""Encodes a text that comes in pieces: the ids are those of `Tokenizer.encode_corpus`, wherever the borders fall, and the memory does not grow.

Most characters of most texts are ASCII, whose bytes are looked up as they are, without becoming characters first. Left out: where the
pieces come from and where the ids go (`engine.token_files`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from engine.tokenizer import CODE_POINTS, CharTokenizer, Tokenizer, code_points, train_tokenizer

_ASCII = bytes(range(0x80))
_CONTINUATION = bytes(range(0x80, 0xC0))  # every byte of a character but its first
_LONGER = 0xFF  # no id of an ASCII character, since symbols are in the order of their code points


def id_dtype(vocab_size: int) -> type[np.unsignedinteger]:
    """The smallest type that holds every id."""
    return np.uint8 if vocab_size <= 1 << 8 else np.uint16 if vocab_size <= 1 << 16 else np.uint32


def encode(tokenizer: Tokenizer, chunks: Iterable[bytes]) -> Iterator[np.ndarray]:
    """The ids of a text, in arrays of `id_dtype`.

    Args:
        chunks: the text in UTF-8, cut between two characters; all of its characters are known to the tokenizer.
    """
    dtype = id_dtype(tokenizer.vocab_size)
    if tokenizer.kind == "bytes":
        return (np.frombuffer(data, np.uint8) for data in chunks)
    if isinstance(tokenizer, CharTokenizer):
        return _characters(tokenizer, chunks, dtype)
    from engine.bpe import BpeTokenizer

    assert isinstance(tokenizer, BpeTokenizer)
    return tokenizer.encode_pieces((data.decode() for data in chunks), dtype)


def tokenizer_for(kind: str, symbols: str, chunks: Iterable[bytes], vocab_size: int | None) -> Tokenizer:
    """What `train_tokenizer` makes for a text whose different characters are `symbols`; only "bpe" reads the `chunks`.

    Raises:
        TinygptError: as `train_tokenizer`.
    """
    if kind != "bpe":
        return train_tokenizer(kind, symbols, vocab_size)
    from engine.bpe import BpeTokenizer

    return BpeTokenizer.train_on((data.decode() for data in chunks), vocab_size)


def _characters(
    tokenizer: CharTokenizer, chunks: Iterable[bytes], dtype: type[np.unsignedinteger]
) -> Iterator[np.ndarray]:
    points = code_points(tokenizer.symbols)
    ids = np.zeros(CODE_POINTS, dtype)  # code point -> id
    ids[points] = np.arange(points.size)
    # The first byte of a character -> id.
    table = ids[:0x80].astype(np.uint8).tobytes() + bytes([_LONGER]) * 0x80
    for data in chunks:
        if data.isascii():
            yield np.frombuffer(data.translate(table), np.uint8).astype(dtype, copy=False)
            continue
        if 2 * np.count_nonzero(np.frombuffer(data, np.int8) < 0) > len(data):  # mostly not ASCII
            yield ids.take(code_points(data.decode()))
            continue
        firsts = np.frombuffer(data.translate(table, _CONTINUATION), np.uint8)  # one byte for each character
        found = firsts.astype(dtype)
        # Without what is ASCII, the longer characters stay whole, in the order of their places.
        found[firsts == _LONGER] = ids.take(code_points(data.translate(None, _ASCII).decode()))
        yield found
