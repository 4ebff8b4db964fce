"""What is known of a text that is too large to be held in memory, found out in one pass over it.

`corpus_of` is what a training begins with: a text that is kept with the runs is read whole, as ever; a larger one is only looked through,
and what was found is remembered in the cache, so that a trainer in the background need not look again. Left out: how the text is
read (`engine.text_stream`), and its tokens (`engine.token_files`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from engine.corpus import (
    OPENING_CHARS,
    STORE_BYTES,
    VALIDATION_CHARS,
    Corpus,
    Turns,
    empty,
    half_character,
    opening_marks,
    read_corpus,
    split_at,
    turns_of,
)
from engine.errors import CheckpointError, CorpusError, ResourceError
from engine.hashing import Sha256
from engine.printable import printable
from engine.reading import read_json
from engine.storage import dump_json, make_private_dir, write_atomic
from engine.text_stream import TextStream, large_bytes
from engine.tokenizer import CODE_POINTS, code_points

Tell = Callable[[int, int], None]  # bytes read, and bytes in all

_ASCII = bytes(range(0x80))
_FACTS_VERSION = 1
_FACTS_LIMIT = 16_000_000  # bytes: every code point there is, as JSON writes it
_LINE_HEAD = 256  # bytes of a line that can hold its mark: 22 characters


@dataclass(frozen=True)
class LargeText:
    """A text that was looked through; the attributes without a word here are those of `Corpus`.

    Attributes:
        chars: length in Unicode code points; `bytes` in UTF-8.
        symbols: the different characters in it, in the order of their code points.
    """

    name: str
    sha256: str
    source: str
    chars: int
    bytes: int
    symbols: str = field(repr=False)
    notices: tuple[str, ...] = ()
    turns: Turns | None = None


def corpus_of(
    source: str,
    *,
    encoding: str | None = None,
    force_text: bool = False,
    force: bool = False,
    cache_dir: Path | None = None,
    stdin: BinaryIO | None = None,
    tell: Tell = lambda read, total: None,
) -> Corpus | LargeText:
    """What a training on `source` begins with: as `read_corpus`, but what is too large to be kept is only looked through.

    Args:
        tell: hears how far that is.

    Raises:
        TinygptError: as `read_corpus`; a text may be larger than the memory, and needs no `force` for that.
    """
    size = large_bytes(source, STORE_BYTES, encoding, force=force)
    if not size:
        return read_corpus(
            source, encoding=encoding, force_text=force_text, force=force, cache_dir=cache_dir, stdin=stdin
        )
    how: dict[str, Any] = {"encoding": encoding, "force_text": force_text, "force": force}
    text = look_through(source, size, **how, tell=tell)
    if text.bytes <= STORE_BYTES:  # the other files of a folder are no text, say, or UTF-8 takes less
        parts: list[bytes] = []
        text = look_through(source, size, **how, also=[parts.append])
        return Corpus(text.name, b"".join(parts).decode(), text.sha256, source, text.notices, text.turns)
    if cache_dir is not None:
        remember(cache_dir, text)
    return text


def look_through(
    source: str,
    size: int,
    *,
    encoding: str | None = None,
    force_text: bool = False,
    force: bool = False,
    tell: Tell = lambda read, total: None,
    also: Sequence[Callable[[bytes], None]] = (),
) -> LargeText:
    """Reads all of a file or folder once.

    Args:
        size: bytes of the source, for `tell`.
        also: hear every piece of the text in UTF-8, cut between two characters.

    Raises:
        TinygptError: as `read_corpus`.
    """
    path, shown = Path(source), printable(source)
    read = 0

    def count(more: int) -> None:
        nonlocal read
        read += more
        tell(read, size)

    stream = TextStream(source, encoding=encoding, force_text=force_text, force=force, tell=count)
    digest, symbols, lines = Sha256(), SymbolSet(), _LineMarks()
    chars = length = 0
    for data, more in stream:
        try:
            symbols.add(data)
        except UnicodeDecodeError:
            text = data.decode("utf-8", "surrogatepass")
            at = next(i for i, c in enumerate(text) if "\ud800" <= c <= "\udfff")
            raise half_character(shown, chars + at) from None
        digest.update(data)
        lines.add(data)
        for hear in also:
            hear(data)
        chars, length = chars + more, length + len(data)
    if not chars:
        raise empty(shown)
    name = printable(path.resolve().name if path.is_dir() else path.stem) or "corpus"
    notices = stream.notices
    if chars - int(chars * 0.9) > VALIDATION_CHARS:
        notices += (
            f"{chars:,} characters: validation is the last {chars - split_at(chars):,} of them, not a tenth",
        )
    return LargeText(name, digest.hexdigest(), source, chars, length, symbols.text(), notices, lines.turns())


def remember(cache_dir: Path, text: LargeText) -> None:
    """Keeps what a trainer needs to know of the text, if that is possible."""
    path = _facts_path(cache_dir, text.sha256)
    kept: dict[str, Any] = {
        "version": _FACTS_VERSION,
        "sha256": text.sha256,
        "chars": text.chars,
        "bytes": text.bytes,
    }
    kept["symbols"] = text.symbols
    with suppress(ResourceError, OSError):  # it will be looked through again
        make_private_dir(path.parent)
        write_atomic(path, dump_json({**kept, "check": _check(kept)}) + b"\n", durable=False)


def remembered(cache_dir: Path, sha256: str, source: str) -> LargeText | None:
    """What `remember` has kept of the text of this hash, if that is whole."""
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):  # a stranger's, who means another file by it
        return None
    try:
        data = read_json(_facts_path(cache_dir, sha256), _FACTS_LIMIT)
    except CheckpointError:
        return None
    # A text's hash says nothing of what was counted in it.
    if data.pop("check", None) != _check(data):
        return None
    chars, length, symbols = (data.get(key) for key in ("chars", "bytes", "symbols"))
    if (data.get("version"), data.get("sha256")) != (_FACTS_VERSION, sha256):
        return None
    if type(chars) is not int or type(length) is not int or not isinstance(symbols, str):
        return None
    if not 0 < chars <= length or not symbols or sorted(set(symbols)) != list(symbols):
        return None
    return LargeText(Path(source).stem, sha256, source, chars, length, symbols)


def known_again(
    cache_dir: Path,
    sha256: str,
    source: str,
    *,
    encoding: str | None = None,
    force_text: bool = False,
    tell: Tell = lambda read, total: None,
) -> LargeText:
    """The text of a run by its hash: as remembered, or looked through once more where it came from.

    Raises:
        CorpusError: it cannot be read any more, or is another text by now.
    """
    if (kept := remembered(cache_dir, sha256, source)) is not None:
        return kept
    size = large_bytes(source, 0, encoding, force=True)
    try:
        text = look_through(source, size, encoding=encoding, force_text=force_text, force=True, tell=tell)
    except CorpusError as error:
        raise CorpusError(f"The corpus of this run cannot be read again. {error}") from None
    if text.sha256 != sha256:
        raise another_text(source)
    remember(cache_dir, text)
    return text


def another_text(source: str) -> CorpusError:
    return CorpusError(
        f"{printable(source)} is not the text this run learned: put the original back, or train a new run."
    )


class SymbolSet:
    """The different characters of a text that comes in pieces."""

    def __init__(self) -> None:
        self._seen = np.zeros(CODE_POINTS, bool)
        self._known = bytes(range(0x80, 0x100))  # what need not be looked at any more, byte by byte

    def add(self, data: bytes) -> None:
        """Takes in UTF-8 that is cut between two characters. Raises UnicodeDecodeError if it holds half of one."""
        if new := data.translate(None, self._known):
            self._seen[np.frombuffer(new, np.uint8)] = True
            self._known += bytes(set(new))
        if not data.isascii():
            # Without what is ASCII, the longer characters stay whole.
            self._seen[code_points(data.translate(None, _ASCII).decode())] = True

    def text(self) -> str:
        return "".join(map(chr, np.flatnonzero(self._seen).tolist()))


class _LineMarks:
    """Counts which marks open the lines of a text that comes in pieces; what `corpus.turns_in` does for a whole one."""

    def __init__(self) -> None:
        self._opening, self._opened = b"", False
        self._marks: tuple[str, str] | None = None
        self._counts = [0, 0]
        self._lines, self._rest = 0, b""

    def add(self, data: bytes) -> None:
        if not self._opened:
            self._opening += data
            # A character has four bytes at most.
            if len(self._opening) >= 4 * OPENING_CHARS:
                self._open()
        elif self._marks is not None:
            self._count(data)

    def turns(self) -> Turns | None:
        self._open()
        if self._marks is None:
            return None
        self._count(b"\n")
        return turns_of(self._marks, self._counts, self._lines)

    def _open(self) -> None:
        if not self._opened:
            self._opened = True
            self._marks = opening_marks(self._opening.decode())
            if self._marks is not None:
                self._count(self._opening)
            self._opening = b""

    def _count(self, data: bytes) -> None:
        assert self._marks is not None
        # One line feed before, as every line has one, and enough behind to compare a mark with.
        text = b"".join((b"\n", self._rest, data, b"\n" * _LINE_HEAD))
        codes = np.frombuffer(text, np.uint8)
        starts = np.flatnonzero(codes[:-_LINE_HEAD] == ord("\n")) + 1
        starts, goes_on = starts[:-1], int(starts[-1])
        # Of a line that goes on, more than its beginning does not matter.
        self._rest = text[goes_on : min(goes_on + _LINE_HEAD, len(text) - _LINE_HEAD)]
        starts = starts[codes[starts] != ord("\n")]
        self._lines += starts.size
        for i, mark in enumerate(self._marks):
            opened = starts
            for place, byte in enumerate(mark.encode()):
                opened = opened[codes[opened + place] == byte]
            self._counts[i] += opened.size


def _check(facts: dict[str, Any]) -> str:
    return hashlib.sha256(dump_json(facts)).hexdigest()


def _facts_path(cache_dir: Path, sha256: str) -> Path:
    return cache_dir / "tokens" / f"{sha256}.json"
