"""Byte pairs: a vocabulary of frequent pieces of text, grown by merging the most frequent neighbours.

The method is Sennrich et al. (2016), on bytes as in GPT-2, so it knows every text; the optional library
`tokenizers` does the merging. A stored vocabulary may come from a stranger: only its tokens and merges are
used, checked first, never its own choice of machinery. Left out: special tokens, normalisation, dropout.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import numpy as np

from engine.errors import CorpusError, ResourceError, UsageError
from engine.tokenizer import (
    JSON_VERSION,
    BytesDecoder,
    Encoding,
    StreamDecoder,
    checked_id,
    checked_ids,
    damaged,
    without_surrogates,
)

DEFAULT_VOCAB = 1024
MIN_VOCAB, MAX_VOCAB = 257, 65_536
MAX_JSON_BYTES = 20_000_000
PIECE = 1 << 18  # characters encoded at a time; bounds what the library holds in memory
MAX_PIECE = 1 << 26


class BpeTokenizer:
    """A byte-level BPE vocabulary. Lone surrogates become U+FFFD."""

    kind = "bpe"

    def __init__(self, vocab: dict[str, int], merges: list[tuple[str, str]]) -> None:
        """`vocab` maps tokens in GPT-2's byte alphabet to ids 0 to n - 1; `merges` come by priority."""
        self._library = _assembled(vocab, merges)
        byte_of = {char: byte for byte, char in enumerate(byte_alphabet())}
        self._bytes = [bytes(byte_of[c] for c in token) for token in sorted(vocab, key=vocab.__getitem__)]
        self.vocab_size = len(self._bytes)

    @classmethod
    def train(cls, text: str, vocab_size: int | None = None) -> BpeTokenizer:
        """A vocabulary of `vocab_size` ids (default 1,024), fewer when the text has no more pairs to merge.

        Raises:
            UsageError: the size is out of bounds, or the library is missing.
            CorpusError: the text is empty.
        """
        return cls.train_on([text] if text else [], vocab_size)

    @classmethod
    def train_on(cls, chunks: Iterable[str], vocab_size: int | None = None) -> BpeTokenizer:
        """As `train`, on the text that the chunks are together."""
        size = DEFAULT_VOCAB if vocab_size is None else vocab_size
        if not MIN_VOCAB <= size <= MAX_VOCAB:
            raise UsageError(f"A bpe vocabulary has {MIN_VOCAB} to {MAX_VOCAB:,} tokens, not {size:,}.")
        library = _assembled({}, [])
        trainer = _tokenizers().trainers.BpeTrainer(
            vocab_size=size, initial_alphabet=sorted(byte_alphabet()), special_tokens=[], show_progress=False
        )
        parts = pieces(without_surrogates(chunk)[0] for chunk in chunks)
        first = next(parts, None)
        if first is None:
            raise CorpusError("The corpus holds no characters; give a file with some text in it.")
        library.train_from_iterator(chain([first], parts), trainer)
        return cls.from_string(library.to_str())

    @classmethod
    def from_string(cls, data: str) -> BpeTokenizer:
        """From the library's own JSON. Raises CheckpointError when it is not a byte-level BPE like ours."""
        return cls(*_checked(data))

    def encode(self, text: str) -> Encoding:
        text, replaced = without_surrogates(text)
        return Encoding(self._merged(text, np.int64), replaced)

    def encode_corpus(self, text: str) -> np.ndarray:
        return self._merged(without_surrogates(text)[0], np.uint16)

    def decode(self, ids: Iterable[int]) -> str:
        return b"".join(self._bytes[i] for i in checked_ids(ids, self.vocab_size)).decode("utf-8", "replace")

    def decoder(self) -> StreamDecoder:
        return BytesDecoder(lambda id: self._bytes[checked_id(id, self.vocab_size)])

    def symbol(self, id: int) -> str:
        return self._bytes[checked_id(id, self.vocab_size)].decode("utf-8", "backslashreplace")

    def to_json(self) -> dict[str, object]:
        return {"version": JSON_VERSION, "kind": self.kind, "tokenizer": self._library.to_str()}

    def _merged(self, text: str, dtype: type[np.integer]) -> np.ndarray:
        ids = list(self.encode_pieces([text], dtype))
        return np.concatenate(ids) if ids else np.zeros(0, dtype)

    def encode_pieces(self, chunks: Iterable[str], dtype: type[np.integer]) -> Iterator[np.ndarray]:
        """The ids of the text that the chunks are together, an array for each of its `pieces`."""
        for piece in pieces(chunks):
            yield np.array(self._library.encode(piece).ids, dtype)


def byte_alphabet() -> list[str]:
    """The 256 printable characters that stand for the byte values 0 to 255 in GPT-2's vocabulary files."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    spare = iter(range(0x100, 0x200))
    return [chr(byte) if byte in printable else chr(next(spare)) for byte in range(256)]


def _tokenizers() -> Any:
    try:
        import tokenizers
    except ImportError:
        raise UsageError(
            "The bpe tokenizer needs the tokenizers library; install it with: pip install 'tinygpt-tui[bpe]'"
        ) from None
    return tokenizers


def _assembled(vocab: dict[str, int], merges: list[tuple[str, str]]) -> Any:
    library = _tokenizers()
    tokenizer = library.Tokenizer(library.models.BPE(vocab=vocab, merges=merges))
    tokenizer.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = library.decoders.ByteLevel()
    return tokenizer


# Merging stays inside words. A single line break between two words is a word of its own, and a space begins the word behind it.
_CUT = re.compile(r"(?<=\S\n)(?=\S)|(?<=\S)(?= \S)")


def pieces(chunks: Iterable[str]) -> Iterator[str]:
    """The text that `chunks` are, in parts of about `PIECE` characters, cut only where no token can reach across.

    Raises:
        ResourceError: `MAX_PIECE` characters have no such place, and there is more text.
    """
    text, looked = "", PIECE
    for chunk in chunks:
        if len(text) > MAX_PIECE:
            raise ResourceError(
                f"The text has no space or line break between two words in {len(text):,} characters, "
                "which is more than bpe can cut up: use the chars or bytes tokenizer for it."
            )
        text += chunk
        start = 0
        while len(text) - start > PIECE:
            cut = _CUT.search(text, max(start + PIECE, looked))
            if cut is None:
                # The place may be where the next chunk begins.
                looked = max(start + PIECE, len(text) - 1)
                break
            yield text[start : cut.start()]
            start = cut.start()
            looked = start + PIECE
        text, looked = text[start:], looked - start
    if text:
        yield text


def _checked(data: str) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Vocabulary and merges from the library's JSON, checked because the library panics on broken ones."""
    if len(data) > MAX_JSON_BYTES:
        raise damaged(f"its bpe part is larger than {MAX_JSON_BYTES // 1_000_000} MB")
    try:
        parsed = json.loads(data)
    except (ValueError, RecursionError):
        raise damaged("its bpe part is not JSON") from None
    model = parsed.get("model") if isinstance(parsed, dict) else None
    if not isinstance(model, dict) or model.get("type") != "BPE":
        raise damaged("its bpe part holds no BPE model")
    words = parsed.get("pre_tokenizer")
    if (
        not isinstance(words, dict)
        or words.get("type") != "ByteLevel"
        or words.get("add_prefix_space") is not False
    ):
        raise damaged("its bpe part does not work on bytes")
    if words.get("use_regex", True) is not True or parsed.get("normalizer") or parsed.get("added_tokens"):
        raise damaged("its bpe part changes the text before reading it")
    options = (
        "dropout",
        "unk_token",
        "continuing_subword_prefix",
        "end_of_word_suffix",
        "byte_fallback",
        "ignore_merges",
    )
    if any(model.get(option) for option in options):
        raise damaged("its bpe part uses an option that this program does not")
    vocab = _checked_vocab(model.get("vocab"))
    return vocab, _checked_merges(model.get("merges"), vocab)


def _checked_vocab(vocab: object) -> dict[str, int]:
    if not isinstance(vocab, dict) or not 256 <= len(vocab) <= MAX_VOCAB:
        raise damaged(f"its bpe vocabulary does not have 256 to {MAX_VOCAB:,} tokens")
    if any(type(id) is not int for id in vocab.values()) or sorted(vocab.values()) != list(range(len(vocab))):
        raise damaged("its bpe tokens are not numbered from 0 without gaps")
    alphabet = set(byte_alphabet())
    if not alphabet <= vocab.keys() or any(not token or not alphabet.issuperset(token) for token in vocab):
        raise damaged("its bpe tokens are not made of bytes")
    return vocab


def _checked_merges(merges: object, vocab: dict[str, int]) -> list[tuple[str, str]]:
    if not isinstance(merges, list):
        raise damaged("its bpe merges are not a list")
    checked = []
    for merge in merges:
        # Older versions of the library write "a b", newer ones ["a", "b"].
        pair = merge.split(" ") if isinstance(merge, str) else merge
        if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(part, str) for part in pair):
            raise damaged("one of its bpe merges is not a pair")
        left, right = pair
        if left not in vocab or right not in vocab or left + right not in vocab:
            raise damaged("one of its bpe merges names a token that the vocabulary lacks")
        checked.append((left, right))
    return checked
