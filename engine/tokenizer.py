"""Text to numbers and back: a model reads ids, and a tokenizer says which id stands for which piece of text.

Characters (the default) and bytes live here, byte pairs in `engine.bpe`, which needs an optional library.
Encoding never fails: an unknown character becomes its closest known relative or is dropped, and the caller is
told. Left out: special tokens (a text file has none) and files (a tokenizer is JSON that others store).
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from engine.errors import CheckpointError, CorpusError, UsageError
from engine.relatives import relative as relative

KINDS = ("chars", "bytes", "bpe")
MAX_SYMBOLS = 65_000  # keeps every character id in 16 bits, and the softmax of a small model affordable
CODE_POINTS = 0x110000
JSON_VERSION = 1
_PIECE = 1 << 16  # characters looked up at a time, so that the pieces stay in the processor's cache


@dataclass(frozen=True)
class Replacement:
    """A character that encoding could not keep; `position` counts code points, `by` == "" means dropped."""

    position: int
    char: str
    by: str


@dataclass(frozen=True, eq=False)
class Encoding:
    """The ids (n,) int64 of a text, and every character that had to be replaced, in order of position."""

    ids: np.ndarray
    replaced: tuple[Replacement, ...] = ()


class StreamDecoder(Protocol):
    """Turns ids into text one at a time; the pieces joined, `flush` last, equal `decode` of all ids."""

    def push(self, id: int) -> str:
        """The text that `id` completes, "" inside a character of several bytes. ValueError out of range."""

    def flush(self) -> str:
        """What an unfinished character leaves behind (U+FFFD or ""); the decoder then starts afresh."""


class Tokenizer(Protocol):
    """What every tokenizer offers. `kind` is one of `KINDS`; ids run from 0 to `vocab_size` - 1."""

    @property
    def kind(self) -> str: ...

    @property
    def vocab_size(self) -> int: ...

    def encode(self, text: str) -> Encoding:
        """Never raises, whatever the text holds (lone surrogates too)."""

    def encode_corpus(self, text: str) -> np.ndarray:
        """The ids (n,) of a text, uint16 where they fit, else uint32. CorpusError: a character is unknown."""

    def decode(self, ids: Iterable[int]) -> str:
        """Raises ValueError when an id is out of range. Bytes that are not UTF-8 become U+FFFD."""

    def decoder(self) -> StreamDecoder: ...

    def symbol(self, id: int) -> str:
        """The raw text of one id (bytes that are no character alone as `\\xe2`). ValueError out of range."""

    def to_json(self) -> dict[str, object]: ...


def train_tokenizer(kind: str, text: str, vocab_size: int | None = None) -> Tokenizer:
    """A tokenizer for `text`; `vocab_size` can be chosen for "bpe" only.

    Raises:
        UsageError: an unknown kind, a vocabulary size that does not fit it, or "bpe" without its library.
        CorpusError: the text has no characters, or too many different ones.
    """
    if kind not in KINDS:
        raise UsageError(f"There is no tokenizer named {kind!r}; choose one of {', '.join(KINDS)}.")
    if kind == "bpe":
        from engine.bpe import BpeTokenizer

        return BpeTokenizer.train(text, vocab_size)
    if vocab_size is not None:
        raise UsageError(
            f"The vocabulary size of the {kind} tokenizer cannot be chosen; only that of bpe can."
        )
    return CharTokenizer.train(text) if kind == "chars" else ByteTokenizer()


def tokenizer_from_json(data: Mapping[str, object]) -> Tokenizer:
    """The tokenizer that `to_json` described. The data may come from a stranger: everything is checked.

    Raises:
        CheckpointError: the data is damaged, or newer than this program.
        UsageError: a bpe tokenizer, and its library is not installed.
    """
    if not isinstance(data, Mapping):
        raise damaged("it does not hold an object")
    version, kind = data.get("version"), data.get("kind")
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise damaged("its version is not a whole number from 1")
    if version > JSON_VERSION:
        raise CheckpointError("The tokenizer file is newer than this program; update tinygpt.")
    if kind == "chars":
        return CharTokenizer(_checked_symbols(_only_field(data, "symbols")))
    if kind == "bytes":
        _only_field(data, None)
        return ByteTokenizer()
    if kind == "bpe":
        from engine.bpe import BpeTokenizer

        return BpeTokenizer.from_string(_only_field(data, "tokenizer"))
    raise damaged(f"its kind is {str(kind)[:40]!r}, not one of {', '.join(KINDS)}")


class CharTokenizer:
    """One id per Unicode code point. `symbols` are distinct, in code point order, without surrogates."""

    kind = "chars"

    def __init__(self, symbols: str) -> None:
        self.symbols = symbols
        self.vocab_size = len(symbols)
        self._points = code_points(symbols)  # (vocab_size,) id -> code point
        self._known = frozenset(symbols)
        self._ids = np.full(CODE_POINTS, -1, np.int32)  # code point -> id, -1 unknown
        self._ids[self._points] = np.arange(self.vocab_size, dtype=np.int32)

    @classmethod
    def train(cls, text: str) -> CharTokenizer:
        """All characters of `text`. Raises CorpusError when there are none or more than `MAX_SYMBOLS`."""
        points = distinct_code_points(text)
        # Lone surrogates are halves of characters: nobody can type or show them.
        points = points[(points < 0xD800) | (points > 0xDFFF)]
        if not points.size:
            raise CorpusError("The corpus holds no characters; give a file with some text in it.")
        if points.size > MAX_SYMBOLS:
            raise CorpusError(
                f"The corpus has {points.size:,} different characters and at most {MAX_SYMBOLS:,} fit; "
                "use the bytes tokenizer for it."
            )
        return cls(_text_of(points))

    def encode(self, text: str) -> Encoding:
        ids = self._look_up(text, np.int64)
        unknown = np.flatnonzero(ids < 0)
        if not unknown.size:
            return Encoding(ids)
        relatives = {char: relative(char, self._known) for char in {text[i] for i in unknown}}
        replaced = tuple(Replacement(i, text[i], relatives[text[i]]) for i in unknown.tolist())
        known = text.translate({ord(char): by for char, by in relatives.items()})
        return Encoding(self._look_up(known, np.int64), replaced)

    def encode_corpus(self, text: str) -> np.ndarray:
        ids = self._look_up(text, np.uint16)  # an unknown character's -1 becomes 65,535
        if ids.size and ids.max() >= self.vocab_size:
            position = int(np.argmax(ids >= self.vocab_size))
            raise CorpusError(
                f"Character {text[position]!r} at position {position:,} is not in the vocabulary; "
                "train the tokenizer on the whole corpus."
            )
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        return _text_of(self._points[checked_ids(ids, self.vocab_size)])

    def decoder(self) -> StreamDecoder:
        return _Whole(self.symbol)

    def symbol(self, id: int) -> str:
        return self.symbols[checked_id(id, self.vocab_size)]

    def to_json(self) -> dict[str, object]:
        return {"version": JSON_VERSION, "kind": self.kind, "symbols": self.symbols}

    def _look_up(self, text: str, dtype: type[np.integer]) -> np.ndarray:
        """The ids (n,) of `text`, -1 (in `dtype`) where a character is unknown."""
        ids = np.empty(len(text), dtype)
        for start in range(0, len(text), _PIECE):
            ids[start : start + _PIECE] = self._ids[code_points(text[start : start + _PIECE])]
        return ids


class ByteTokenizer:
    """The bytes of UTF-8: knows every text, at one to four ids a character. Lone surrogates become U+FFFD."""

    kind = "bytes"
    vocab_size = 256

    def encode(self, text: str) -> Encoding:
        text, replaced = without_surrogates(text)
        return Encoding(np.frombuffer(text.encode(), np.uint8).astype(np.int64), replaced)

    def encode_corpus(self, text: str) -> np.ndarray:
        return np.frombuffer(without_surrogates(text)[0].encode(), np.uint8).astype(np.uint16)

    def decode(self, ids: Iterable[int]) -> str:
        return checked_ids(ids, 256).astype(np.uint8).tobytes().decode("utf-8", "replace")

    def decoder(self) -> StreamDecoder:
        return BytesDecoder(lambda id: bytes([checked_id(id, 256)]))

    def symbol(self, id: int) -> str:
        return bytes([checked_id(id, 256)]).decode("utf-8", "backslashreplace")

    def to_json(self) -> dict[str, object]:
        return {"version": JSON_VERSION, "kind": self.kind}


def code_points(text: str) -> np.ndarray:
    """The code points of `text` (n,) uint32, lone surrogates included."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")


def distinct_code_points(text: str) -> np.ndarray:
    """The code points that occur in `text`, ascending; worked through in pieces, to use little memory."""
    seen = np.zeros(CODE_POINTS, bool)
    for start in range(0, len(text), _PIECE):
        seen[code_points(text[start : start + _PIECE])] = True
    return np.flatnonzero(seen)


def without_surrogates(text: str) -> tuple[str, tuple[Replacement, ...]]:
    """`text` as UTF-8 can hold it: each lone surrogate replaced by U+FFFD, and the list of them."""
    if not text.isascii():
        lone = np.flatnonzero((code_points(text) & 0xFFFFF800) == 0xD800)
        if lone.size:
            replaced = tuple(Replacement(i, text[i], "\ufffd") for i in lone.tolist())
            return text.translate({ord(r.char): r.by for r in replaced}), replaced
    return text, ()


def checked_ids(ids: Iterable[int], vocab_size: int) -> np.ndarray:
    """`ids` (n,) int64. Raises ValueError when one lies outside 0 to `vocab_size` - 1."""
    if not isinstance(ids, np.ndarray):
        return np.array([checked_id(id, vocab_size) for id in ids], np.int64)
    if ids.size and (ids.min() < 0 or ids.max() >= vocab_size):
        raise ValueError(f"an id is outside 0 to {vocab_size - 1}")
    return ids.astype(np.int64)


def checked_id(id: int, vocab_size: int) -> int:
    if not 0 <= id < vocab_size:
        raise ValueError(f"id {id} is outside 0 to {vocab_size - 1}")
    return int(id)


def damaged(what: str) -> CheckpointError:
    return CheckpointError(f"The tokenizer file is damaged: {what}; train or copy the run again.")


class BytesDecoder:
    """A stream decoder for ids that stand for bytes; holds back the beginning of an unfinished character."""

    def __init__(self, bytes_of: Callable[[int], bytes]) -> None:
        self._bytes_of = bytes_of
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, id: int) -> str:
        return self._utf8.decode(self._bytes_of(id))

    def flush(self) -> str:
        return self._utf8.decode(b"", final=True)


class _Whole:
    """A stream decoder for ids that are whole characters."""

    def __init__(self, symbol: Callable[[int], str]) -> None:
        self.push = symbol

    def flush(self) -> str:
        return ""


def _text_of(points: np.ndarray) -> str:
    return points.astype("<u4").tobytes().decode("utf-32-le")


def _only_field(data: Mapping[str, object], name: str | None) -> str:
    """The string in field `name`; no other field may stand beside version and kind."""
    if set(data) != {"version", "kind"} | ({name} if name else set()):
        raise damaged("it lacks a field or has one that does not belong there")
    if name is None:
        return ""
    value = data[name]
    if not isinstance(value, str):
        raise damaged(f"its field {name!r} is not text")
    return value


def _checked_symbols(symbols: str) -> str:
    if not 1 <= len(symbols) <= MAX_SYMBOLS:
        raise damaged(f"it has {len(symbols):,} symbols, not 1 to {MAX_SYMBOLS:,}")
    points = code_points(symbols).astype(np.int64)
    if (np.diff(points) <= 0).any():
        raise damaged("its symbols are not distinct and in code point order")
    if ((points >= 0xD800) & (points <= 0xDFFF)).any():
        raise damaged("one of its symbols is half a character")
    return symbols
