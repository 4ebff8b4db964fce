"""Reads what a corpus is made of: a file, standard input, or all the text files of a folder.

Only a regular file that holds still is read, only as much as fits, and nothing is opened that could wait for
ever: a pipe, a terminal, a device. In a folder what cannot be used is skipped, and a notice says so. Left out:
which source a name means (`engine.corpus`), and how bytes become characters (`engine.decoding`).
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from engine.decoding import HEAD, Piece, ReadOptions, Refused, changes, decode, refuse_binary
from engine.errors import CorpusError, ResourceError
from engine.printable import printable

MAX_BYTES = 2 * 2**30  # a larger corpus needs `force`
MAX_FILES = 100_000  # a folder with more was named by mistake (a home folder, the root), or needs `force`


def read_file(path: Path, shown: str, options: ReadOptions, already: int = 0) -> bytes:
    """The bytes of a regular file that held still.

    Args:
        shown: its name, for messages.
        already: bytes of its folder read before, which count towards the limit.

    Raises:
        Refused: it is binary, unreadable, changing, or no regular file.
        ResourceError: it is larger than `MAX_BYTES`.
    """
    with opened(path, shown, options) as (file, before):
        if already + before.st_size > MAX_BYTES and not options.force:
            raise _too_large(shown, already + before.st_size)
        data = file.read(before.st_size + 1)
        refuse_changed(file, before, len(data), shown)
    return data


@contextmanager
def opened(path: Path, shown: str, options: ReadOptions) -> Iterator[tuple[BufferedReader, os.stat_result]]:
    """A regular file at its beginning, which does not look binary, and what the system says of it.

    Raises:
        Refused: it is binary, unreadable, or no regular file.
    """
    try:
        _refuse_special(path.stat(), shown)
        if path.resolve().parts[1:2] in (("proc",), ("sys",)):  # the kernel's files lie about their size
            raise Refused("not a file", f"{shown} is not an ordinary file: copy its text into one.")
        # O_NONBLOCK: should a pipe have taken the file's place since, opening it must not wait for a writer.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY), "rb") as file:
            before = os.fstat(file.fileno())
            _refuse_special(before, shown)
            refuse_binary(file.read(HEAD), shown, options)
            file.seek(0)
            yield file, before
    except OSError as error:
        raise unreadable(shown, error) from None


def refuse_changed(file: BufferedReader, before: os.stat_result, read: int, shown: str) -> None:
    """Raises `Refused` unless a file that was `read` to its end is as it was `before`."""
    after = os.fstat(file.fileno())
    if (read, after.st_size, after.st_mtime_ns) != (before.st_size, before.st_size, before.st_mtime_ns):
        raise Refused("changing", f"{shown} changed while it was being read: try again when it is finished.")


def read_stream(stdin: BinaryIO | None, shown: str, options: ReadOptions) -> bytes:
    """All bytes of `stdin`, or of the process's own standard input.

    Raises:
        CorpusError: it is closed, or cannot be read.
        ResourceError: it holds more than `MAX_BYTES`.
    """
    if stdin is None and sys.stdin is None:
        raise CorpusError("Standard input is closed: pipe a text in, or name a file.")
    stream = sys.stdin.buffer if stdin is None else stdin
    data = bytearray()
    try:
        while chunk := stream.read(2**20):
            data += chunk
            if len(data) > MAX_BYTES and not options.force:
                raise _too_large(shown, len(data))
    except (OSError, ValueError) as error:  # ValueError: closed
        raise unreadable(shown, error) from None
    return bytes(data)


def read_folder(folder: Path, shown: str, options: ReadOptions) -> tuple[str, tuple[str, ...]]:
    """The texts below a folder in sorted order, joined by a newline, and the notices about them.

    Raises:
        CorpusError: there is no text in it.
        ResourceError: it holds more than `MAX_FILES` files or `MAX_BYTES` bytes.
    """
    pieces: list[Piece] = []
    skipped: dict[str, list[str]] = {}
    total = 0
    for path in sorted(files_in(folder, shown, options, skipped), key=lambda p: p.parts):
        name = str(path.relative_to(folder))
        try:
            data = read_file(path, printable(name), options, already=total)
            pieces.append(decode(data, printable(name), options))
            total += len(data)
        except Refused as error:
            skipped.setdefault(error.reason, []).append(name)
    return "\n".join(piece.text for piece in pieces if piece.text), folder_notices(shown, pieces, skipped)


def folder_notices(shown: str, pieces: Sequence[Piece], skipped: Mapping[str, list[str]]) -> tuple[str, ...]:
    """What is to be said of a folder whose texts are read.

    Args:
        skipped: names of files, by the reason why they were skipped.

    Raises:
        CorpusError: there is no text in it.
    """
    notices = tuple(_skipping(reason, sorted(names)) for reason, names in sorted(skipped.items()))
    if not any(piece.text for piece in pieces):
        state = "holds only empty files" if pieces else "holds no text file"
        detail = f" ({'; '.join(notices)})" if notices else ""
        raise CorpusError(f"The folder {shown} {state}{detail}: give one with text in it.")
    return (*notices, *changes(pieces))


def unreadable(shown: str, error: Exception) -> Refused:
    return Refused("unreadable", f"{shown} cannot be read: {why(error)}.")


def why(error: Exception) -> str:
    """The operating system's own words, or else the kind of error."""
    return str(getattr(error, "strerror", None) or type(error).__name__)


def _refuse_special(found: os.stat_result, shown: str) -> None:
    if stat.S_ISFIFO(found.st_mode):
        raise Refused("not a file", f"{shown} is a pipe: send its text to standard input and give -.")
    if not stat.S_ISREG(found.st_mode):
        raise Refused("not a file", f"{shown} is not a file: give a file, a folder, or standard input as -.")


def _too_large(shown: str, size: int) -> ResourceError:
    gib = size / 2**30
    # The bytes, and one to four bytes a character: how many is known only afterwards.
    memory = f"{2 * gib:.1f} to {5 * gib:.1f} GiB of memory"
    advice = "give a part of it, or --force."
    return ResourceError(f"{shown} holds {gib:.1f} GiB or more, and reading it takes {memory}: {advice}")


def files_in(folder: Path, shown: str, options: ReadOptions, skipped: dict[str, list[str]]) -> Iterator[Path]:
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
        if count > MAX_FILES and not options.force:
            raise ResourceError(
                f"{shown} holds more than {MAX_FILES:,} files: name a smaller folder, or --force."
            )
        yield from shown_files


def _skipping(reason: str, names: list[str]) -> str:
    few = ", ".join(printable(name) for name in names[:3])
    return f"{len(names):,} skipped ({reason}): {few}{', …' if len(names) > 3 else ''}"
