"""A text of any length as a stream: what `engine.corpus.read_corpus` would read, in UTF-8 and piece by piece, so that it need not fit into memory.

Encoding, line ends, refusals and notices are those of `engine.decoding`, wherever the border between two pieces falls. Whether a
file is text shows only at its end, so a folder's large files are read twice. Left out: standard input and the catalogue, which are
read whole, and the few encodings that can be decoded only as a whole.
"""

from __future__ import annotations

import codecs
import io
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from io import BufferedReader
from pathlib import Path
from typing import NamedTuple

import numpy as np

from engine import catalogue
from engine.corpus_files import files_in, folder_notices, opened, read_file, refuse_changed
from engine.decoding import (
    HEAD,
    Piece,
    ReadOptions,
    Refused,
    changes,
    decode,
    encoding_of,
    known_encoding,
    not_text,
    refuse_controls,
)
from engine.errors import ResourceError
from engine.printable import printable

CHUNK = 2**20  # bytes of a file at a time: small enough for the processor's cache
WHOLE_BYTES = 8_000_000  # a file of a folder that is not larger is decoded as a whole

# Their incremental decoders forget what a piece ended in, or do not exist.
_ONLY_WHOLE = frozenset({"idna", "punycode", "undefined", "unicode-escape", "raw-unicode-escape", "utf-7"})
_NATIVE = "le" if sys.byteorder == "little" else "be"
_SOME = "…"  # in the place of a text, of which it matters only whether there is any
_SPACING = [c.encode() for c in "\t\v\f\r"]  # below 0x20 and no sign of binary, as is the line feed


class Chunk(NamedTuple):
    """A piece of text: UTF-8 cut between two characters, and how many of them it holds."""

    data: bytes
    chars: int


def large_bytes(source: str, limit: int, encoding: str | None = None, *, force: bool = False) -> int:
    """The bytes of the file or the files of the folder `source`, if they are more than `limit` and can be read as a stream; else 0.

    Never raises: what is wrong with a source, reading it will tell.

    Args:
        force: look through a folder of however many files; else one of too many is left as soon as that is clear.
    """
    if source == "-" or not source or catalogue.find(source) or not _streams(encoding):
        return 0
    try:
        path = Path(source)
        if path.is_dir():
            size = sum(map(_size, files_in(path, "", ReadOptions(None, False, force), {})))
        else:
            size = _size(path)
    except (OSError, ValueError, ResourceError):
        return 0
    return size if size > limit else 0


class TextStream:
    """Iterate it for the text; each iteration reads the source anew.

    Attributes:
        notices: what was changed and left out, once an iteration has come to its end.
    """

    def __init__(
        self,
        source: str,
        *,
        encoding: str | None = None,
        force_text: bool = False,
        force: bool = False,
        tell: Callable[[int], None] = lambda read: None,
    ) -> None:
        """
        Args:
            source, encoding, force_text, force: as for `read_corpus`.
            tell: hears how many bytes of the source were read since it was told last.

        Raises:
            UsageError: there is no such encoding.
        """
        self.notices: tuple[str, ...] = ()
        self._path, self._shown = Path(source), printable(source)
        self._options = ReadOptions(known_encoding(encoding), force_text, force)
        self._tell = tell

    def __iter__(self) -> Iterator[Chunk]:
        """
        Raises:
            CorpusError: as `read_corpus`.
            ResourceError: it is a folder of too many files.
        """
        if self._path.is_dir():
            yield from self._folder()
            return
        file = _File(self._path, self._shown, self._options, self._tell)
        yield from file
        self.notices = changes([file.piece])

    def _folder(self) -> Iterator[Chunk]:
        pieces: list[Piece] = []
        skipped: dict[str, list[str]] = {}
        begun = False
        found = files_in(self._path, self._shown, self._options, skipped)
        for path in sorted(found, key=lambda p: p.parts):
            name = str(path.relative_to(self._path))
            try:
                chunks, piece = self._one_of_many(path, printable(name))
            except Refused as error:
                skipped.setdefault(error.reason, []).append(name)
                self._tell(_size(path))
                continue
            # Its text is yielded, and not kept: all files together may be larger than the memory.
            pieces.append(replace(piece, text=_SOME if piece.text else ""))
            if piece.text:
                if begun:
                    yield Chunk(b"\n", 1)
                begun = True
                yield from chunks
        self.notices = folder_notices(self._shown, pieces, skipped)

    def _one_of_many(self, path: Path, shown: str) -> tuple[Iterable[Chunk], Piece]:
        """A file of a folder, which was found to be text up to its end."""
        if _size(path) > WHOLE_BYTES:
            looked = _File(path, shown, self._options, lambda read: None)
            for _ in looked:
                pass
            return _File(path, shown, self._options, self._tell), looked.piece
        how = ReadOptions(self._options.encoding, self._options.force_text, force=True)
        data = read_file(path, shown, how)
        piece = decode(data, shown, self._options)
        self._tell(len(data))
        parts = (piece.text[at : at + CHUNK] for at in range(0, len(piece.text), CHUNK))
        return (Chunk(part.encode("utf-8", "surrogatepass"), len(part)) for part in parts), piece


class _File:
    """One file, read anew by each iteration.

    Attributes:
        piece: what was changed in it, once an iteration has come to its end; of its text there is no more than a sign that it has any.
    """

    def __init__(self, path: Path, shown: str, options: ReadOptions, tell: Callable[[int], None]) -> None:
        self.piece = Piece("")
        self._path, self._shown, self._options, self._tell = path, shown, options, tell

    def __iter__(self) -> Iterator[Chunk]:
        characters = crlf = cr = controls = 0
        begun = False
        held = b""  # a CR at the end of a chunk: what follows tells whether it is half of a CRLF
        with opened(self._path, self._shown, self._options) as (file, before):
            mark, codec, bom = self._encoding(file)
            for data, count in self._decoded(file, codec, mark, bom):
                if (at := file.tell()) > before.st_size:  # one that grows as fast as it is read has no end
                    refuse_changed(file, before, at, self._shown)
                if not begun and self._options.encoding and data.startswith(codecs.BOM_UTF8):
                    data, count = data[len(codecs.BOM_UTF8) :], count - 1
                    begun = True
                begun = begun or bool(data)
                if not self._options.force_text:
                    # In the text as it came, so that a CRLF counts twice.
                    at = characters + crlf + len(held)
                    nul = data.decode("utf-8", "surrogatepass")[: HEAD - at].find("\0") if at < HEAD else -1
                    refuse_controls(nul + at if nul >= 0 else -1, 0, 1, self._shown)
                    controls += _controls(data)
                data, count, held = held + data, count + len(held), b""
                if data.endswith(b"\r"):
                    data, count, held = data[:-1], count - 1, b"\r"
                if b"\r" in data:
                    pairs = data.count(b"\r\n")
                    crlf, cr, count = crlf + pairs, cr + data.count(b"\r") - pairs, count - pairs
                    data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
                characters += count
                if data:
                    yield Chunk(data, count)
            if held:
                cr, characters = cr + 1, characters + 1
                yield Chunk(b"\n", 1)
            refuse_changed(file, before, file.tell(), self._shown)
        if not self._options.force_text:
            refuse_controls(-1, controls, characters + crlf, self._shown)
        self.piece = Piece(_SOME if characters else "", bom, crlf, cr)

    def _encoding(self, file: BufferedReader) -> tuple[bytes, str, str]:
        """As `encoding_of`, and a codec that wants a mark or else takes the machine's own order made one that decodes incrementally."""
        head = file.read(4)
        mark, codec, bom = encoding_of(head, self._options)
        wide = codecs.lookup(codec).name
        if wide in ("utf-16", "utf-32"):
            marks = {order: "\ufeff".encode(f"{wide}-{order}") for order in ("le", "be")}
            order = next((order for order, mark in marks.items() if head.startswith(mark)), _NATIVE)
            codec, mark = f"{wide}-{order}", marks[order] if head.startswith(marks[order]) else b""
        file.seek(len(mark))
        return mark, codec, bom

    def _decoded(
        self, file: BufferedReader, codec: str, mark: bytes, bom: str
    ) -> Iterator[tuple[bytes, int]]:
        """The rest of the file in UTF-8, its line ends as they are, and the characters of each piece."""
        utf8 = codecs.lookup(codec).name == "utf-8"
        decoder = codecs.getincrementaldecoder(codec)()
        rest, at, block = b"", len(mark), b"more"
        while block:
            block = file.read(CHUNK)
            try:
                if not utf8:
                    rest = decoder.getstate()[0]
                    text = decoder.decode(block, final=not block)
                    yield text.encode("utf-8", "surrogatepass"), len(text)
                elif (data := rest + block).isascii():
                    rest = b""
                    yield data, len(data)
                else:
                    text, used = codecs.utf_8_decode(data, "strict", not block)
                    yield data[:used], len(text)
                    rest = data[used:]
            except UnicodeDecodeError as error:
                where = at - len(rest) + error.start
                file.seek(where)
                byte, line = file.read(1).hex(), _line_of(file, where, codec, mark)
                what = f"byte 0x{byte} at offset {where}, line {line}"
            except UnicodeError as error:
                what = printable(str(error))
            else:
                at += len(block)
                if block:
                    self._tell(len(block))
                continue
            raise not_text(self._options.encoding or bom or "UTF-8", what, self._shown)


def _line_of(file: BufferedReader, where: int, codec: str, mark: bytes) -> int:
    """The line of the byte at offset `where`, by reading what stands before it once more."""
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(codec)("ignore"), translate=True)
    line = 1
    file.seek(len(mark))
    while block := file.read(min(CHUNK, where - file.tell())):
        line += decoder.decode(block).count("\n")
    return line + decoder.decode(b"", final=True).count("\n")


def _size(path: Path) -> int:
    """The bytes of a file; 0 if it is none, or cannot be looked at."""
    try:
        found = path.stat()
    except OSError:
        return 0
    return found.st_size if stat.S_ISREG(found.st_mode) else 0


def _controls(data: bytes) -> int:
    """How many of `decoding.CONTROLS` there are."""
    codes = np.frombuffer(data, np.uint8)
    low = int(np.count_nonzero(codes < 0x20) - np.count_nonzero(codes == ord("\n")))
    return (low and low - sum(map(data.count, _SPACING))) + data.count(b"\x7f")


def _streams(encoding: str | None) -> bool:
    try:
        found = codecs.lookup(encoding or "utf-8")
    except (LookupError, ValueError):  # reading says so
        return False
    return found.incrementaldecoder is not None and found.name not in _ONLY_WHOLE
