"""The events file of a run: the trainer appends to it, anyone may read it whole or follow it while it grows.

What it leaves out: what the events mean (`engine.events`), and who may append (the holder of the run's lock).
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from engine import storage
from engine.errors import CheckpointError
from engine.events import Control, Event, Start, dump_line, load_line, step_of
from engine.reading import open_read, why
from engine.runs import RunFolder

LINE_LIMIT = 4_000_000  # bytes; a longer line is not ours and is skipped


class EventLog:
    """The trainer's end of `events.jsonl`. Only the holder of the run's lock may have one."""

    def __init__(self, fd: int, folder: Path) -> None:
        self._fd = fd
        self._folder = folder

    @classmethod
    def open(cls, folder: RunFolder) -> EventLog:
        """Ends the line that a crash may have torn, so that the next one stands alone.

        Raises:
            CheckpointError: the file is a symbolic link or not a regular file.
            ResourceError: it cannot be written.
        """
        fd = storage.open_append(folder.events)
        log = cls(fd, folder.path)
        try:
            storage.end_last_line(fd, folder.path)
        except BaseException:
            log.close()
            raise
        return log

    def append(self, event: Event, durable: bool = False) -> None:
        """Add one event; with `durable` it is on the disk when this returns.

        Raises:
            ResourceError: it could not be written, and the file is as it was.
        """
        storage.append_line(self._fd, dump_line(event), self._folder, durable=durable)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> EventLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class EventTail:
    """A watcher's end of `events.jsonl`: what was added since the last poll.

    Events come raw: a watcher that keeps a picture of the run applies `drop_beyond` when it meets a `Start`.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._tail = LineTail(folder.events)

    def poll(self, limit: int | None = None) -> list[Event]:
        """The events of all lines that are complete by now; lines that are no events are skipped.

        Args:
            limit: read at most so many bytes; the rest waits for the next poll.
        """
        return [event for line in self._tail.poll(limit) if (event := load_line(line)) is not None]

    @property
    def restarts(self) -> int:
        """How often the file was replaced or cut short, after which it is told again from its beginning."""
        return self._tail.restarts

    @property
    def share(self) -> float:
        """How much of the file had been read after the last poll, from 0 to 1."""
        return self._tail.share


class LineTail:
    """The lines appended to a file since the last poll; the file may not exist yet."""

    def __init__(self, path: Path) -> None:
        self.restarts = 0
        self._path = path
        self._identity: tuple[int, int] | None = None
        self._offset = 0
        self._size = 0  # of the file, when it was last looked at
        self._rest = b""
        self._skipping = False  # inside a line that is too long

    @property
    def share(self) -> float:
        """How much of the file had been read after the last poll, from 0 to 1."""
        return self._offset / self._size if self._offset < self._size else 1.0

    def poll(self, limit: int | None = None) -> list[bytes]:
        """Complete lines without their newline; half a line waits for its end.

        Args:
            limit: read at most so many bytes, so that whoever asks is not kept by a file of gigabytes; the rest waits
                for the next poll.

        Raises:
            CheckpointError: the file is a symbolic link, not a regular file, or cannot be read.
        """
        if not os.path.lexists(self._path):
            return []
        fd = open_read(self._path)
        try:
            found = os.fstat(fd)
            identity = (found.st_dev, found.st_ino)
            if self._identity is not None and (identity != self._identity or found.st_size < self._offset):
                self.restarts += 1
                self._offset, self._rest, self._skipping = 0, b"", False
            self._identity, self._size = identity, found.st_size
            lines: list[bytes] = []
            left = sys.maxsize if limit is None else limit
            while chunk := os.pread(fd, min(left, 1 << 20), self._behind_hole(fd)):
                self._offset += len(chunk)
                left -= len(chunk)
                lines += self._split(chunk)
            return lines
        except OSError as error:
            raise CheckpointError(f"{self._path} cannot be read: {why(error)}.") from error
        finally:
            os.close(fd)

    def _behind_hole(self, fd: int) -> int:
        """Where to read on. A line too long may be a hole of terabytes, which takes no room on the disk but hours to read."""
        if self._skipping and hasattr(os, "SEEK_DATA"):
            try:
                self._offset = os.lseek(fd, self._offset, os.SEEK_DATA)
            except OSError as error:
                if error.errno == errno.ENXIO:  # there is nothing but a hole
                    self._offset = self._size
        return self._offset

    def _split(self, chunk: bytes) -> list[bytes]:
        lines = (self._rest + chunk).split(b"\n")
        self._rest = lines.pop()
        if self._skipping and lines:
            lines.pop(0)
            self._skipping = False
        if len(self._rest) > LINE_LIMIT:
            self._rest, self._skipping = b"", True
        return [line for line in lines if line and len(line) <= LINE_LIMIT]


def read_events(folder: RunFolder) -> list[Event]:
    """What holds of the run by now, in the order it was written.

    A run that goes on from step k repeats what it had done beyond k. So when `Start(from_step=k)` follows,
    every earlier event of a later step is dropped, whatever its kind: losses and samples are about to be told
    again, a `Saved` beyond k names a checkpoint that was found damaged, a `Done` or `Failed` is no longer the
    end, and a `Control` that is repeated is written again when its step comes. Events at k and before stay.
    """
    events: list[Event] = []
    for line in LineTail(folder.events).poll():
        event = load_line(line)
        if event is None:
            continue
        if isinstance(event, Start):
            events = drop_beyond(events, event.from_step)
        events.append(event)
    return events


def drop_beyond(events: Iterable[Event], from_step: int) -> list[Event]:
    """The events that still hold once a run has gone on from `from_step`."""
    return [event for event in events if step_of(event) <= from_step]


def recorded_controls(folder: RunFolder) -> list[Control]:
    """Every control the run ever recorded, once each, by step: what a resumed trainer repeats or ignores.

    Unlike `read_events` nothing is dropped: a learning rate that was turned at step 120 must be turned there
    again by a run that goes on from step 100, or it would not be the same run. Its trainer then writes the
    event again, under the same id.
    """
    found: dict[str, Control] = {}
    for line in LineTail(folder.events).poll():
        event = load_line(line)
        if isinstance(event, Control):
            found.setdefault(event.id, event)
    return sorted(found.values(), key=step_of)
