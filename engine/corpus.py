"""Turns what a person names (a file, a folder, standard input, a catalogue name) into one normalised text.

Normalised means decoded, without a byte order mark, every line end a single LF, no lone surrogate; nothing
else is touched (no Unicode normalisation, no trimming), so a model learns what the author wrote. A model
reads one symbol per Unicode code point, which is why an emoji of several parts stays several symbols.

Left out: counting (`text_stats`, the ladder), symbols and tokens (`tokenizer`), and the network
(`catalogue.fetch`).
"""

from __future__ import annotations

import codecs
import difflib
import hashlib
import os
import re
import stat
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from engine.errors import CorpusError, ResourceError, UsageError
from engine.storage import make_private_dir, write_atomic

MAX_BYTES = 2 * 2**30  # a larger corpus needs `force`
MAX_FILES = 100_000  # a folder with more was named by mistake (a home folder, the root), or needs `force`
STORE_BYTES = 64_000_000  # a larger text is remembered by its hash and its source only
VALIDATION_CHARS = 131_072  # enough to measure a loss to the third digit, small enough to measure it often

_HEAD = 8192  # bytes searched for a NUL: git's and grep's rule for "binary" looks about as far
_CONTROL_SHARE = 0.01
_CONTROLS = [chr(c) for c in (*range(0x20), 0x7F) if chr(c) not in "\t\n\v\f\r"]
_BOMS = (  # UTF-32 first: its little-endian mark begins with the one of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32-le", "UTF-32"),
    (codecs.BOM_UTF32_BE, "utf-32-be", "UTF-32"),
    (codecs.BOM_UTF8, "utf-8", "UTF-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16-be", "UTF-16"),
)
_MARK = re.compile(r"[^\W\d_][^:\n]{0,19}: ")
_USER_NAMES = frozenset({"human", "me", "user", "you"})


@dataclass(frozen=True)
class Turns:
    """The marks that open the lines of a conversation, with colon and space: `Turns("You: ", "Cat: ")`."""

    user: str
    model: str


@dataclass(frozen=True)
class Corpus:
    """A text a model can learn.

    Attributes:
        name: short and safe to show; a proposal for the name of a run.
        text: normalised, never empty, without "\\r" and without lone surrogates.
        sha256: of the text in UTF-8, in hexadecimal.
        source: what the person gave, unchanged (may hold control characters: show it through `printable`).
        notices: sentences about what was changed or left out on the way.
        turns: the speaker marks if this is a conversation.
    """

    name: str
    text: str = field(repr=False)
    sha256: str
    source: str
    notices: tuple[str, ...] = ()
    turns: Turns | None = None


def read_corpus(
    source: str,
    *,
    encoding: str | None = None,
    force_text: bool = False,
    force: bool = False,
    cache_dir: Path | None = None,
    stdin: BinaryIO | None = None,
) -> Corpus:
    """Read a file, a folder (its text files in sorted order, joined by a newline), `-`, or a catalogue name.

    A catalogue name wins over a file of the same name in the current folder (`./name` reads the file). A
    folder skips what is hidden, unreadable, or not text, and says so; its empty files add nothing. Nothing is
    ever downloaded.

    Args:
        encoding: decode with this codec. Without it a byte order mark decides, then UTF-8.
        force_text: accept what looks binary.
        force: accept more than `MAX_BYTES` bytes or `MAX_FILES` files.
        cache_dir: where fetched catalogue texts lie.
        stdin: read for `-` instead of the process's own standard input.

    Raises:
        CorpusError: missing, unreadable, not a regular file, empty, binary, wrongly encoded, or changing.
        ResourceError: larger than `MAX_BYTES`, or than the memory.
        UsageError: there is no such encoding.
    """
    how = _How(_known_encoding(encoding), force_text, force)
    shown = "Standard input" if source == "-" else printable(source)
    try:
        return _read(source, shown, how, cache_dir, stdin)
    except MemoryError:
        raise ResourceError(f"{shown} does not fit into memory: give a part of it.") from None


def split(text: str) -> tuple[str, str]:
    """The training text and the validation text, which is the last 10 %, at most `VALIDATION_CHARS`.

    `n_val = min(n - int(n * 0.9), 131072)`, the cut of nanoGPT with a ceiling. Tiny Shakespeare's 1,115,394
    characters become 1,003,854 and 111,540. Both parts together are the text.
    """
    n_train = len(text) - min(len(text) - int(len(text) * 0.9), VALIDATION_CHARS)
    return text[:n_train], text[n_train:]


def turns_in(text: str) -> Turns | None:
    """The marks of a conversation, if 95 % of the lines that are not empty start with one of exactly two.

    A mark is a name of at most 20 characters, a colon and a space; each must open a tenth of the lines, and
    two at least. The user is who is called you, me, user or human, else who speaks first.
    """
    # A look at the beginning spares nearly every other text the two passes over all of it.
    starts = (m.group() for m in islice(re.finditer(r"(?m)^.{1,22}", text[:100_000]), 400))
    openings = Counter(m.group() for start in starts if (m := _MARK.match(start)))
    if len(openings) < 2:
        return None
    first, second = sorted((mark for mark, _ in openings.most_common(2)), key=list(openings).index)
    lines = sum(1 for _ in re.finditer(r"(?m)^.", text))
    counts = [sum(1 for _ in re.finditer(f"(?m)^{re.escape(mark)}", text)) for mark in (first, second)]
    if sum(counts) < 0.95 * lines or min(counts) < max(2, 0.1 * lines):
        return None
    if second[:-2].lower() in _USER_NAMES and first[:-2].lower() not in _USER_NAMES:
        return Turns(second, first)
    return Turns(first, second)


def printable(name: str) -> str:
    """A name for a message: at most 80 characters on one line, with nothing in it that acts on a terminal."""
    if len(name) > 80:
        name = f"{name[:38]}…{name[-41:]}"
    return "".join(c if c.isprintable() else chr(0x2400 + ord(c)) if c < " " else "\ufffd" for c in name)


def store_text(corpora_dir: Path, corpus: Corpus) -> Path | None:
    """Keep the text a run learns as `<sha256>.txt`, written once; None if it is larger than `STORE_BYTES`.

    Raises:
        ResourceError: it could not be written.
    """
    if len(corpus.text) > STORE_BYTES or len(data := corpus.text.encode("utf-8")) > STORE_BYTES:
        return None
    path = corpora_dir / f"{corpus.sha256}.txt"
    try:
        if not (path.is_file() and path.stat().st_size == len(data)):
            make_private_dir(corpora_dir)
            write_atomic(path, data)
    except OSError as error:
        where = printable(str(corpora_dir))
        raise ResourceError(f"Cannot keep the corpus in {where}: {_why(error)}.") from error
    return path


def load_stored(
    corpora_dir: Path,
    sha256: str,
    source: str | None,
    *,
    encoding: str | None = None,
    force_text: bool = False,
    cache_dir: Path | None = None,
) -> str:
    """The text of a run by its hash: as stored, or, if that is missing or damaged, from where it came.

    Args:
        source: what `read_corpus` was given, a path made absolute; None if it cannot be read again.
        encoding, force_text, cache_dir: as they were given to `read_corpus`.

    Raises:
        CorpusError: there is no text with this hash any more, or the hash is none.
    """
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise CorpusError(f"{printable(sha256)} is not the hash of a corpus: the run's run.json is damaged.")
    path = corpora_dir / f"{sha256}.txt"
    state = f"The stored corpus {printable(str(path))}"
    try:
        if not path.is_file():
            state += " is missing"
        else:
            data = path.read_bytes() if path.stat().st_size <= STORE_BYTES else b""
            if hashlib.sha256(data).hexdigest() == sha256:
                return data.decode("utf-8")
            state += " was changed after it was stored"
    except (OSError, UnicodeDecodeError) as error:
        state += f" cannot be read ({_why(error)})"
    advice = "put the original back, or train a new run."
    if source is None or source == "-":
        raise CorpusError(f"{state}: {advice}")
    try:
        corpus = read_corpus(
            source, encoding=encoding, force_text=force_text, force=True, cache_dir=cache_dir
        )
    except CorpusError as error:
        raise CorpusError(f"{state}, and it cannot be read again. {error}") from None
    if corpus.sha256 != sha256:
        raise CorpusError(f"{state}, and {printable(source)} is not the text this run learned: {advice}")
    return corpus.text


@dataclass(frozen=True)
class _How:
    encoding: str | None
    force_text: bool
    force: bool


@dataclass(frozen=True)
class _Piece:
    """One decoded text, with what was changed in it."""

    text: str
    bom: str = ""
    crlf: int = 0
    cr: int = 0


class _Refused(CorpusError):
    """One file that cannot be used; `reason` is the word or two a folder's notice gives for skipping it."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def _read(source: str, shown: str, how: _How, cache_dir: Path | None, stdin: BinaryIO | None) -> Corpus:
    from engine import catalogue

    if source == "-":
        piece = _decode(_read_stream(stdin, shown, how), shown, how)
        return _corpus("stdin", piece.text, source, shown, _changes([piece]))
    path = Path(source)
    if entry := catalogue.find(source):
        hidden = f"{source} is the catalogue's; for the file of that name give ./{source}"
        notices: tuple[str, ...] = (hidden,) if os.path.lexists(source) else ()
        text = catalogue.text_of(source, cache_dir)
        return _corpus(entry.name, text, source, shown, notices, entry.turns)
    found = _stat(source, shown)
    if found is None:
        raise _unknown(source, shown)
    if stat.S_ISDIR(found.st_mode):
        text, notices = _read_folder(path, shown, how)
        return _corpus(path.resolve().name, text, source, shown, notices)
    piece = _decode(_read_file(path, shown, how), shown, how)
    return _corpus(path.stem, piece.text, source, shown, _changes([piece]))


def _corpus(
    name: str, text: str, source: str, shown: str, notices: tuple[str, ...], turns: Turns | None = None
) -> Corpus:
    if not text:
        raise CorpusError(f"{shown} is empty: give a text of at least a few lines.")
    digest = hashlib.sha256()
    try:
        for at in range(0, len(text), 2**20):  # in parts, so that no second copy of a large text is made
            digest.update(text[at : at + 2**20].encode("utf-8"))
    except UnicodeEncodeError as error:
        where = f"half a character (a lone surrogate) at character {at + error.start}"
        raise CorpusError(f"{shown} holds {where}: check its encoding.") from None
    name = printable(name) or "corpus"
    return Corpus(name, text, digest.hexdigest(), source, notices, turns or turns_in(text))


def _stat(source: str, shown: str) -> os.stat_result | None:
    if not source:
        return None
    try:
        return Path(source).stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a NUL, or a lone surrogate
        return None
    except OSError as error:
        raise _unreadable(shown, error) from None


def _unknown(source: str, shown: str) -> CorpusError:
    from engine import catalogue

    try:
        beside = [path.name for path in islice(Path(source).parent.iterdir(), 1000)]
    except (OSError, ValueError):
        beside = []
    known = [e.name for e in catalogue.CATALOGUE]
    close = difflib.get_close_matches(Path(source).name[:100], [*known, *beside], n=3)
    hint = f" (did you mean {' or '.join(printable(c) for c in close)}?)" if close else ""
    return CorpusError(
        f"There is no file, folder or catalogue corpus called {shown or 'nothing'}{hint}: "
        f"give a path, or one that is built in: {', '.join(catalogue.embedded_names())}."
    )


def _read_file(path: Path, shown: str, how: _How, already: int = 0) -> bytes:
    """The bytes of a regular file that held still; `already` bytes of its folder count towards the limit."""
    try:
        _refuse_special(path.stat(), shown)
        if path.resolve().parts[1:2] in (("proc",), ("sys",)):  # the kernel's files lie about their size
            raise _Refused("not a file", f"{shown} is not an ordinary file: copy its text into one.")
        # O_NONBLOCK: should a pipe have taken the file's place since, opening it must not wait for a writer.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY), "rb") as file:
            before = os.fstat(file.fileno())
            _refuse_special(before, shown)
            _refuse_binary(file.read(_HEAD), shown, how)
            if already + before.st_size > MAX_BYTES and not how.force:
                raise _too_large(shown, already + before.st_size)
            file.seek(0)
            data = file.read(before.st_size + 1)
            after = os.fstat(file.fileno())
    except OSError as error:
        raise _unreadable(shown, error) from None
    if (len(data), after.st_size, after.st_mtime_ns) != (before.st_size, before.st_size, before.st_mtime_ns):
        raise _Refused("changing", f"{shown} changed while it was being read: try again when it is finished.")
    return data


def _refuse_special(found: os.stat_result, shown: str) -> None:
    if stat.S_ISFIFO(found.st_mode):
        raise _Refused("not a file", f"{shown} is a pipe: send its text to standard input and give -.")
    if not stat.S_ISREG(found.st_mode):
        raise _Refused("not a file", f"{shown} is not a file: give a file, a folder, or standard input as -.")


def _read_stream(stdin: BinaryIO | None, shown: str, how: _How) -> bytes:
    if stdin is None and sys.stdin is None:
        raise CorpusError("Standard input is closed: pipe a text in, or name a file.")
    stream = sys.stdin.buffer if stdin is None else stdin
    data = bytearray()
    try:
        while chunk := stream.read(2**20):
            data += chunk
            if len(data) > MAX_BYTES and not how.force:
                raise _too_large(shown, len(data))
    except (OSError, ValueError) as error:  # ValueError: closed
        raise _unreadable(shown, error) from None
    return bytes(data)


def _read_folder(folder: Path, shown: str, how: _How) -> tuple[str, tuple[str, ...]]:
    pieces: list[_Piece] = []
    skipped: dict[str, list[str]] = {}
    total = 0
    for path in sorted(_files_in(folder, shown, how, skipped), key=lambda p: p.parts):
        name = str(path.relative_to(folder))
        try:
            data = _read_file(path, printable(name), how, already=total)
            pieces.append(_decode(data, printable(name), how))
            total += len(data)
        except _Refused as error:
            skipped.setdefault(error.reason, []).append(name)
    notices = tuple(_skipping(reason, sorted(names)) for reason, names in sorted(skipped.items()))
    if not any(piece.text for piece in pieces):
        state = "holds only empty files" if pieces else "holds no text file"
        detail = f" ({'; '.join(notices)})" if notices else ""
        raise CorpusError(f"The folder {shown} {state}{detail}: give one with text in it.")
    return "\n".join(piece.text for piece in pieces if piece.text), (*notices, *_changes(pieces))


def _files_in(folder: Path, shown: str, how: _How, skipped: dict[str, list[str]]) -> Iterator[Path]:
    """Every file below a folder that is not hidden, in no order. Linked folders (loops?) are not entered."""

    def skip(reason: str, path: Path) -> None:
        skipped.setdefault(reason, []).append(str(path.relative_to(folder)))

    count = 0
    for root, folders, files in os.walk(folder, onerror=lambda e: skip("unreadable", Path(e.filename))):
        here = Path(root)
        for name in (*folders, *files):
            if name.startswith("."):
                skip("hidden", here / name)
        for name in folders:
            if not name.startswith(".") and (here / name).is_symlink():
                skip("a linked folder", here / name)
        folders[:] = (name for name in folders if not name.startswith("."))
        shown_files = [here / name for name in files if not name.startswith(".")]
        count += len(shown_files)
        if count > MAX_FILES and not how.force:
            raise ResourceError(
                f"{shown} holds more than {MAX_FILES:,} files: name a smaller folder, or --force."
            )
        yield from shown_files


def _skipping(reason: str, names: list[str]) -> str:
    few = ", ".join(printable(name) for name in names[:3])
    return f"{len(names):,} skipped ({reason}): {few}{', …' if len(names) > 3 else ''}"


def _changes(pieces: list[_Piece]) -> tuple[str, ...]:
    notices = []
    for bom, count in Counter(piece.bom for piece in pieces if piece.bom).items():
        where = f" in {count:,} of {len(pieces):,} files" if len(pieces) > 1 else ""
        notices.append(f"read as {bom} by the byte order mark{where}")
    crlf, cr = sum(piece.crlf for piece in pieces), sum(piece.cr for piece in pieces)
    if kinds := [f"{count:,} {kind}" for count, kind in ((crlf, "CRLF"), (cr, "CR")) if count]:
        notices.append(f"{' and '.join(kinds)} line {'end' if crlf + cr == 1 else 'ends'} made LF")
    return tuple(notices)


def _decode(data: bytes, shown: str, how: _How) -> _Piece:
    _refuse_binary(data[:_HEAD], shown, how)
    mark, codec, bom = _encoding_of(data, how)
    label = how.encoding or bom or "UTF-8"
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
        if how.encoding:
            text = text.removeprefix("\ufeff")
        if not how.force_text:
            _refuse_controls(text, shown)
        crlf = text.count("\r\n")
        cr = text.count("\r") - crlf
        if crlf or cr:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        return _Piece(text, bom, crlf, cr)
    advice = "name its encoding, for example --encoding latin-1."
    raise _Refused(f"not {label}", f"{shown} is not {label} ({what}): {advice}")


def _encoding_of(data: bytes, how: _How) -> tuple[bytes, str, str]:
    """The byte order mark to cut off, the codec, and the name of the mark ("" without one)."""
    if how.encoding is not None:
        return b"", how.encoding, ""
    return next((bom for bom in _BOMS if data.startswith(bom[0])), (b"", "utf-8", ""))


def _refuse_binary(head: bytes, shown: str, how: _How) -> None:
    wide = codecs.lookup(_encoding_of(head, how)[1]).name.startswith(("utf-16", "utf-32"))
    if not wide and not how.force_text and (at := head.find(0)) >= 0:
        raise _binary(shown, f"NUL at byte {at}")


def _refuse_controls(text: str, shown: str) -> None:
    if (at := text.find("\0", 0, _HEAD)) >= 0:
        raise _binary(shown, f"NUL at character {at}")
    share = sum(map(text.count, _CONTROLS)) / max(1, len(text))
    if share > _CONTROL_SHARE:
        raise _binary(shown, f"{share:.0%} control characters")


def _binary(shown: str, why: str) -> _Refused:
    advice = "give a text, or its --encoding (such as utf-16), or --force-text."
    return _Refused("binary", f"{shown} looks binary ({why}): {advice}")


def _known_encoding(name: str | None) -> str | None:
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


def _too_large(shown: str, size: int) -> ResourceError:
    gib = size / 2**30
    # The bytes, and one to four bytes a character: how many is known only afterwards.
    memory = f"{2 * gib:.1f} to {5 * gib:.1f} GiB of memory"
    advice = "give a part of it, or --force."
    return ResourceError(f"{shown} holds {gib:.1f} GiB or more, and reading it takes {memory}: {advice}")


def _unreadable(shown: str, error: Exception) -> _Refused:
    return _Refused("unreadable", f"{shown} cannot be read: {_why(error)}.")


def _why(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or type(error).__name__)
