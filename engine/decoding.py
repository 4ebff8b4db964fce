"""Turns the bytes of one text into characters, or says in one sentence why they are none.

A byte order mark or the person's word decides the encoding, else it is UTF-8; what looks binary is refused;
every line end becomes a single LF. What was changed is counted, for the notices. Left out: where the bytes
come from (`engine.corpus_files`), and whether anything is left to learn (`engine.corpus`).
"""

from __future__ import annotations

import codecs
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from engine.errors import CorpusError, UsageError
from engine.printable import printable

HEAD = 8192  # bytes searched for a NUL: git's and grep's rule for "binary" looks about as far

_CONTROL_SHARE = 0.01
CONTROLS = [chr(c) for c in (*range(0x20), 0x7F) if chr(c) not in "\t\n\v\f\r"]
_BOMS = (  # UTF-32 first: its little-endian mark begins with the one of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32-le", "UTF-32"),
    (codecs.BOM_UTF32_BE, "utf-32-be", "UTF-32"),
    (codecs.BOM_UTF8, "utf-8", "UTF-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16-be", "UTF-16"),
)


@dataclass(frozen=True)
class ReadOptions:
    """How a person wants a source to be read: see `engine.corpus.read_corpus`."""

    encoding: str | None
    force_text: bool
    force: bool


@dataclass(frozen=True)
class Piece:
    """One decoded text, with what was changed in it."""

    text: str
    bom: str = ""
    crlf: int = 0
    cr: int = 0


class Refused(CorpusError):
    """One file that cannot be used; `reason` is the word or two a folder's notice gives for skipping it."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def known_encoding(name: str | None) -> str | None:
    """`name`, which may be None, if Python has a text encoding of that name.

    Raises:
        UsageError: it has none.
    """
    if name is None:
        return None
    try:
        b"a".decode(name)  # unlike a lookup, refuses codecs that are not for text, such as hex
    except UnicodeError:
        return name
    except (LookupError, ValueError):
        advice = "give one that Python knows, such as utf-8, latin-1, cp1252 or utf-16."
        raise UsageError(f"There is no text encoding called {printable(name)}: {advice}") from None
    return name


def decode(data: bytes, shown: str, options: ReadOptions) -> Piece:
    """The text that all bytes of one file are; `shown` is the file's name, for messages.

    Raises:
        Refused: they look binary, or are not of the encoding.
    """
    refuse_binary(data[:HEAD], shown, options)
    mark, codec, bom = encoding_of(data, options)
    label = options.encoding or bom or "UTF-8"
    try:
        text = data[len(mark) :].decode(codec)
    except UnicodeDecodeError as error:
        at = len(mark) + error.start
        before = data[len(mark) : at].decode(codec, "ignore")
        line = 1 + before.count("\n") + before.count("\r") - before.count("\r\n")
        what = f"byte 0x{data[at : at + 1].hex()} at offset {at}, line {line}"
    except UnicodeError as error:  # a codec written in Python may not say where
        what = printable(str(error))
    else:
        if options.encoding:
            text = text.removeprefix("\ufeff")
        if not options.force_text:
            controls = sum(map(text.count, CONTROLS))
            refuse_controls(text.find("\0", 0, HEAD), controls, len(text), shown)
        crlf = text.count("\r\n")
        cr = text.count("\r") - crlf
        if crlf or cr:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        return Piece(text, bom, crlf, cr)
    raise not_text(label, what, shown)


def refuse_binary(head: bytes, shown: str, options: ReadOptions) -> None:
    """Raises `Refused` if the first bytes of a file hold a NUL, unless it is wide text or text by order."""
    wide = codecs.lookup(encoding_of(head, options)[1]).name.startswith(("utf-16", "utf-32"))
    if not wide and not options.force_text and (at := head.find(0)) >= 0:
        raise _binary(shown, f"NUL at byte {at}")


def changes(pieces: Sequence[Piece]) -> tuple[str, ...]:
    """The notices about what decoding changed, all pieces of a corpus together."""
    notices = []
    for bom, count in Counter(piece.bom for piece in pieces if piece.bom).items():
        where = f" in {count:,} of {len(pieces):,} files" if len(pieces) > 1 else ""
        notices.append(f"read as {bom} by the byte order mark{where}")
    crlf, cr = sum(piece.crlf for piece in pieces), sum(piece.cr for piece in pieces)
    if kinds := [f"{count:,} {kind}" for count, kind in ((crlf, "CRLF"), (cr, "CR")) if count]:
        notices.append(f"{' and '.join(kinds)} line {'end' if crlf + cr == 1 else 'ends'} made LF")
    return tuple(notices)


def encoding_of(data: bytes, options: ReadOptions) -> tuple[bytes, str, str]:
    """The byte order mark to cut off, the codec, and the name of the mark ("" without one)."""
    if options.encoding is not None:
        return b"", options.encoding, ""
    return next((bom for bom in _BOMS if data.startswith(bom[0])), (b"", "utf-8", ""))


def refuse_controls(nul: int, controls: int, characters: int, shown: str) -> None:
    """Raises `Refused` for a decoded text that holds what no text does.

    Args:
        nul: where in its first `HEAD` characters a NUL stands, -1 for nowhere.
        controls: how many of its `characters` are among `CONTROLS`.
    """
    if nul >= 0:
        raise _binary(shown, f"NUL at character {nul}")
    share = controls / max(1, characters)
    if share > _CONTROL_SHARE:
        raise _binary(shown, f"{share:.0%} control characters")


def not_text(label: str, what: str, shown: str) -> Refused:
    """The refusal of bytes that are not of the encoding called `label`; `what` and where."""
    advice = "name its encoding, for example --encoding latin-1."
    return Refused(f"not {label}", f"{shown} is not {label} ({what}): {advice}")


def _binary(shown: str, why: str) -> Refused:
    advice = "give a text, or its --encoding (such as utf-16), or --force-text."
    return Refused("binary", f"{shown} looks binary ({why}): {advice}")
