"""The one seam through which everything that must survive a crash is written.

The order of calls is the promise: data is on the disk before a name points at it, and the name before
anyone says "saved". So all system calls go through `ops`, which a test may replace by one that records,
fails or dies at call N. What it leaves out: what the bytes mean, reading (`engine.reading`), and any
promise against drives that lie about a flush or filesystems without fsync.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager, suppress
from pathlib import Path

from engine.errors import CheckpointError, ResourceError

TEMPORARY = ".tmp-"  # not yet published: to be swept by whoever holds the lock
TRASH = ".trash-"  # no longer published: to be swept at any time

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS}
# What /proc, a name too long and the like answer to who wants to make a folder. Elsewhere these say that something was deleted.
_NOWHERE = {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP}

# What a filesystem answers that does not know a command. Anything else is a failure, after which a second try may claim success.
_NO_COMMAND = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.ENOTTY}


class Ops:
    """The system calls behind every durable write; replace the module's `ops` to watch or break them."""

    def open(self, path: Path, flags: int, mode: int = 0o600) -> int:
        return os.open(path, flags, mode)

    def write(self, fd: int, data: bytes | memoryview) -> int:
        return os.write(fd, data)

    def fsync(self, fd: int) -> None:
        full_fsync = getattr(
            fcntl, "F_FULLFSYNC", None
        )  # macOS: os.fsync alone leaves data in the drive's cache
        if full_fsync is not None:
            try:
                fcntl.fcntl(fd, full_fsync)
            except OSError as error:
                if error.errno not in _NO_COMMAND:
                    raise
            else:
                return
        os.fsync(fd)

    def truncate(self, fd: int, size: int) -> None:
        os.ftruncate(fd, size)

    def rename(self, source: Path, target: Path) -> None:
        source.rename(target)

    def replace(self, source: Path, target: Path) -> None:
        source.replace(target)

    def unlink(self, path: Path) -> None:
        path.unlink()

    def mkdir(self, path: Path, mode: int) -> None:
        path.mkdir(mode=mode)

    def rmtree(self, path: Path) -> None:
        shutil.rmtree(path)


ops = Ops()


def write_atomic(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Replace `path` by `data` whole: at any moment, and after a crash, it holds the old bytes or the new.

    With `durable=False` nothing is flushed: for what is rewritten often and means nothing after a power loss.

    Raises:
        ResourceError: the disk is full, read-only, refused or failed; the file is the old one, or, if only its name could not be
            flushed, the new one.
    """
    temporary = temporary_beside(path)
    with _explained(path.parent):
        try:
            _write_new(temporary, data, durable)
            ops.replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                ops.unlink(temporary)
            raise
    if durable:
        fsync_dir(path.parent)


def write_new(path: Path, data: bytes) -> None:
    """Write and flush a file that does not exist yet, never through a symbolic link. Its folder is not.

    Raises:
        FileExistsError: the name is taken.
        ResourceError: as for `write_atomic`.
    """
    with _explained(path.parent):
        _write_new(path, data, durable=True)


def save_new(path: Path, data: bytes) -> None:
    """Write and flush a file that a person asked for, and its name; it has the permissions of any file of theirs.

    Raises:
        FileExistsError: the name is taken.
        ResourceError: as for `write_atomic`; nothing of it is left.
    """
    with _explained(path.parent):
        fd = ops.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
        try:
            try:
                _write_all(fd, data)
                ops.fsync(fd)
            finally:
                os.close(fd)
        except BaseException:
            with suppress(OSError):
                ops.unlink(path)
            raise
    try:
        fsync_dir(path.parent)
    except BaseException:
        with suppress(OSError):
            ops.unlink(path)
        raise


def fsync_dir(path: Path) -> None:
    """Flush the names in a folder. Some network filesystems cannot, and then nothing better can be done."""
    with _explained(path):
        fd = ops.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            ops.fsync(fd)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):
                raise
        finally:
            os.close(fd)


def publish(temporary: Path, final: Path) -> None:
    """Give a finished folder its final name, which must not exist; after that no power loss can undo it.

    Raises:
        FileExistsError: the name is taken.
        ResourceError: as for `write_atomic`.
    """
    fsync_dir(temporary)
    # rename(2) would put a folder over an empty one without a word.
    if os.path.lexists(final):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(final))
    with _explained(final.parent):
        try:
            ops.rename(temporary, final)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.ENOTDIR):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(final)) from error
            raise
    fsync_dir(final.parent)


def discard(path: Path) -> None:
    """Remove a folder so that a crash leaves all of it, or a `.trash-` name that readers ignore."""
    trash = path.with_name(f"{TRASH}{path.name}-{secrets.token_hex(4)}")
    with _explained(path.parent):
        ops.rename(path, trash)
    # Or a power loss might undo the new name, and not what was removed under it.
    fsync_dir(path.parent)
    with _explained(path.parent):
        _remove(trash)


def sweep(folder: Path, *, temporaries: bool, spare: str = "") -> None:
    """Remove what crashes left in `folder`; `temporaries` as well only if nobody else writes there.

    What `write_atomic` may be doing to the file named `spare` is left alone.
    """
    prefixes = (TRASH, TEMPORARY) if temporaries else (TRASH,)
    for path in sorted(folder.iterdir()):
        if path.name.startswith(prefixes) and not (spare and path.name.startswith(f"{TEMPORARY}{spare}-")):
            with _explained(folder):
                _remove(path)


def remove_unpublished(temporary: Path) -> None:
    """Give back the space of a folder that could not be finished, as far as that is possible."""
    with suppress(OSError):
        _remove(temporary)


def make_private_dir(path: Path) -> None:
    """Create a folder, and those above it, readable by this user alone; one that exists is left as it is.

    Raises:
        ResourceError: as for `write_atomic`.
    """
    with _explained(path.parent, _NOWHERE):
        if path.is_dir():
            return
    if path.parent != path:
        make_private_dir(path.parent)
    with _explained(path.parent, _NOWHERE):
        try:
            ops.mkdir(path, 0o700)
        except FileExistsError:
            if not path.is_dir():
                raise ResourceError(f"{path} is a file where a folder is needed: move it away.") from None
            return
    fsync_dir(path.parent)


def make_temporary_dir(parent: Path) -> Path:
    """A new private folder inside `parent`, to be filled and then published."""
    path = parent / f"{TEMPORARY}{secrets.token_hex(8)}"
    with _explained(parent):
        ops.mkdir(path, 0o700)
    return path


def temporary_beside(path: Path) -> Path:
    """An unused name in the folder of `path`, on the same filesystem, so that a rename can be atomic."""
    return path.with_name(f"{TEMPORARY}{path.name}-{secrets.token_hex(8)}")


def open_append(path: Path) -> int:
    """A descriptor that appends to `path`, which is created private if missing and never a symbolic link.

    Raises:
        CheckpointError: the path is a symbolic link or not a regular file.
        ResourceError: as for `write_atomic`.
    """
    return _open_kept(path, os.O_APPEND)


def open_update(path: Path) -> int:
    """A descriptor that writes over `path` from its beginning; otherwise as `open_append`."""
    return _open_kept(path, 0)


def overwrite(fd: int, data: bytes | memoryview, folder: Path) -> None:
    """Write `data` where the descriptor stands, without a flush."""
    with _explained(folder):
        _write_all(fd, data)


def flush(fd: int, folder: Path) -> None:
    """Put on the disk what was written. Raises ResourceError as `write_atomic`; the file must then be thrown away."""
    with _explained(folder):
        ops.fsync(fd)


def open_regular(path: Path, flags: int) -> int:
    """A descriptor on a regular file that is not a symbolic link.

    Raises:
        CheckpointError: it is a link, folder, pipe or device.
        OSError: as `os.open`.
    """
    try:
        # O_NONBLOCK: opening a named pipe must not wait for its other end.
        writes = flags & (os.O_WRONLY | os.O_RDWR)
        fd = (ops.open if writes else os.open)(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    except OSError as error:
        if path.is_symlink() or error.errno in (errno.EISDIR, errno.ENXIO):
            raise CheckpointError(f"{path} is not a regular file: put the real file in its place.") from error
        if error.errno in (errno.ENOTDIR, errno.ELOOP):
            raise CheckpointError(f"{path.parent} is not a folder: put the real one in its place.") from error
        raise
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise CheckpointError(f"{path} is not a regular file: put the real file in its place.")
    return fd


def end_last_line(fd: int, folder: Path) -> None:
    """Append a newline if a crash left half a line at the end, so that it does not swallow the next one.

    Raises:
        ResourceError: as for `write_atomic`.
    """
    with _explained(folder):
        _end_last_line(fd)


def append_line(fd: int, line: bytes, folder: Path, *, durable: bool = False) -> None:
    """Append one line, given without its newline; flush it if `durable`. Nobody else may append meanwhile.

    Raises:
        ResourceError: as for `write_atomic`; what was written of the line is taken back.
    """
    size = os.fstat(fd).st_size
    with _explained(folder):
        try:
            _end_last_line(fd)
            _write_all(fd, line + b"\n")
            if durable:
                ops.fsync(fd)
        except OSError:
            # A line that was not acknowledged must not be found later and believed.
            with suppress(OSError):
                ops.truncate(fd, size)
            raise


def dump_json(value: object, *, indent: int | None = None) -> bytes:
    """JSON in ASCII, so that showing it cannot drive a terminal; numbers that are not finite are null.

    One line, unless `indent` is given.
    """
    return json.dumps(_finite(value), indent=indent, allow_nan=False).encode("ascii")


def _open_kept(path: Path, flags: int) -> int:
    existed = os.path.lexists(path)
    with _explained(path.parent):
        fd = open_regular(path, os.O_RDWR | os.O_CREAT | flags)
    if not existed:
        try:
            fsync_dir(path.parent)
        except BaseException:
            os.close(fd)
            raise
    return fd


def _end_last_line(fd: int) -> None:
    size = os.fstat(fd).st_size
    if size and os.pread(fd, 1, size - 1) != b"\n":
        _write_all(fd, b"\n")


def _remove(path: Path) -> None:
    with suppress(FileNotFoundError):  # another process may be sweeping
        if path.is_dir() and not path.is_symlink():
            ops.rmtree(path)
        else:
            ops.unlink(path)


def _write_new(path: Path, data: bytes, durable: bool) -> None:
    fd = ops.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        _write_all(fd, data)
        if durable:
            # After a failed fsync a second may claim success over lost pages: the file must be thrown away.
            ops.fsync(fd)
    finally:
        os.close(fd)


def _write_all(fd: int, data: bytes | memoryview) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[ops.write(fd, rest) :]


@contextmanager
def _explained(folder: Path, refused: AbstractSet[int] = frozenset()) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise ResourceError(
                f"No space is left on the disk of {folder}: free some and try again."
            ) from error
        if error.errno in _REFUSED or error.errno in refused:
            raise ResourceError(
                f"{folder} cannot be written ({_why(error)}): change that or choose another folder."
            ) from error
        if error.errno == errno.EIO:
            raise ResourceError(
                f"The disk of {folder} reported an error ({_why(error)}): nothing new was saved there."
            ) from error
        raise


def _why(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _finite(value: object) -> object:
    if isinstance(value, float):
        return value if value - value == 0.0 else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value
