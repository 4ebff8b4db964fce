"""One run, one writer: whoever trains a run holds its `lock` file for as long as it lives.

The lock is flock(2)'s, which the system drops with its holder however that one dies, so a free lock
means that nobody trains: no process table, no heartbeat, no stale file. What it leaves out: the state of a
run (`engine.runs`).

`turn` is for a moment: whoever reads, thinks and writes in a folder that others change too.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from engine import storage
from engine.errors import BusyError, CheckpointError, ResourceError
from engine.reading import open_read

TURN_SECONDS = 5.0
_PATIENCE_SECONDS = 2.0
_PID_WIDTH = 20  # always as many bytes, so that a new number covers the old one


class RunLock:
    """A held lock: released by `release`, at the end of a `with`, or by the end of the process.

    It must not be carried into a forked child that lives on: flock belongs to both.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def release(self) -> None:
        if self._fd >= 0:
            fcntl.flock(self._fd, fcntl.LOCK_UN)
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> RunLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def acquire(path: Path) -> RunLock:
    """Take the lock at `path`, creating the file.

    Raises:
        BusyError: another process holds it.
        CheckpointError: the path is a symbolic link or not a regular file, or its folder is gone.
        ResourceError: it cannot be written, or its filesystem has no locks.
    """
    try:
        fd = storage.open_update(path)
    except FileNotFoundError as error:
        raise CheckpointError(f"{path.parent} is gone: choose another run.") from error
    try:
        _take(fd, path)
        if not _is_file_at(fd, path):
            raise CheckpointError(f"{path.parent} was deleted: choose another run.")
        storage.overwrite(fd, f"{os.getpid():<{_PID_WIDTH}}\n".encode("ascii"), path.parent)
    except BaseException:
        os.close(fd)
        raise
    return RunLock(fd)


def is_locked(path: Path) -> bool:
    """Whether some process, this one included, holds the lock at `path`.

    Raises:
        CheckpointError: the path is a symbolic link or not a regular file.
    """
    if not os.path.lexists(path):
        return False
    fd = open_read(path)
    try:
        # A shared lock asks without getting in the way of others who ask.
        return not _try(fd, fcntl.LOCK_SH, path)
    finally:
        os.close(fd)


def holder(path: Path) -> int | None:
    """The process that last took the lock; it holds it now only if `is_locked`."""
    try:
        fd = open_read(path)
    except CheckpointError:
        return None
    try:
        text = os.pread(fd, _PID_WIDTH, 0).split()
        return int(text[0]) if text and text[0].isdigit() else None
    finally:
        os.close(fd)


@contextmanager
def turn(folder: Path, what: Path, *, shared: bool = False) -> Iterator[None]:
    """Keeps others who take turns in `folder` from changing `what` in it between our reading and our writing it.

    The folder itself is locked: files in it are replaced at each change, and one to be locked would lie about for ever. A folder
    that is not there, or whose filesystem has no locks, keeps nobody waiting. Those whose turn is `shared` are in each other's way
    no more than readers are.

    Raises:
        BusyError: another process kept it for seconds.
    """
    try:
        fd = os.open(folder, os.O_RDONLY)
    except OSError:
        yield
        return
    try:
        _wait(fd, fcntl.LOCK_SH if shared else fcntl.LOCK_EX, what)
        yield
    finally:
        os.close(fd)


def _wait(fd: int, kind: int, what: Path) -> None:
    deadline = time.monotonic() + TURN_SECONDS
    while True:
        try:
            fcntl.flock(fd, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise BusyError(f"{what} is being changed by another process: try again.") from None
            time.sleep(0.002)
        except OSError:
            return
        else:
            return


def _take(fd: int, path: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not _try(fd, fcntl.LOCK_EX, path):
        # In the way may be someone who asks, for a moment, whether the lock is held: only such a one shares.
        if not _try(fd, fcntl.LOCK_SH, path) or time.monotonic() > deadline:
            pid = holder(path)
            by = f"process {pid}" if pid is not None else "another process"
            raise BusyError(f"{path.parent.name} is in use by {by}: stop that one first, or watch it.")
        fcntl.flock(fd, fcntl.LOCK_UN)
        time.sleep(0.005 + (os.getpid() % 7) / 1000)  # two who ask at once do not stay in step


def _try(fd: int, kind: int, path: Path) -> bool:
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in (errno.ENOLCK, errno.ENOTSUP):
            raise ResourceError(
                f"The filesystem of {path.parent} cannot lock files: keep runs on a local disk."
            ) from error
        raise
    return True


def _is_file_at(fd: int, path: Path) -> bool:
    try:
        there = path.lstat()
    except OSError:
        return False
    return os.path.samestat(os.fstat(fd), there)
