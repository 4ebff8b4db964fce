"""A large text as token files in the cache: encoded once, in constant memory, then mapped by every run that learns it.

An entry is a folder `tokens/<key>` with the ids of the training and of the validation split and a manifest; its key is a hash of the text's
hash, of the tokenizer and of the version of all this. It is made under another name and published by a rename once everything in it is
on the disk, so half an entry is never read: whoever comes next begins it anew. `lock` in it is held alone by whoever makes it, so that
a second process waits instead of doing the same work, and shared by whoever uses it, so that it is not removed meanwhile.

Left out: reading the text (`engine.text_stream`), and what a run does with the ids (`engine.learned_text`).
"""

from __future__ import annotations

import fcntl
import hashlib
import mmap
import os
import shutil
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np

from engine import storage
from engine.corpus import split_at
from engine.errors import CheckpointError, CorpusError, ResourceError
from engine.hashing import Sha256
from engine.large_text import LargeText, another_text
from engine.printable import printable
from engine.reading import open_read, read_json
from engine.text_stream import Chunk
from engine.token_encoding import encode, id_dtype
from engine.tokenizer import CharTokenizer, Tokenizer

CACHE_BYTES = 16 * 2**30  # entries that were not used for longest give way beyond this
SPARE_BYTES = 64_000_000  # left free on the disk
VERSION = 1  # a change of how a text is normalised, split or encoded makes a new one

_TRAIN, _VAL, _MANIFEST, _LOCK = "train.ids", "val.ids", "manifest.json", "lock"
_WAIT_SECONDS = 0.1
_TRIES = 2  # what was made may at once have been removed by another process that made room


@dataclass(frozen=True, eq=False)
class TokenFiles:
    """The two splits as (N,) arrays of the smallest unsigned dtype that holds the ids, mapped from their files.

    As long as one of the arrays is there, the entry is not removed.
    """

    train_ids: np.ndarray
    val_ids: np.ndarray
    train_chars: int
    val_chars: int


def key_of(sha256: str, tokenizer: Tokenizer) -> str:
    """The name of an entry: 64 hexadecimal digits."""
    return hashlib.sha256(storage.dump_json([VERSION, sha256, tokenizer.to_json()])).hexdigest()


def token_files(
    cache_dir: Path,
    text: LargeText,
    tokenizer: Tokenizer,
    stream: Callable[[], Iterable[Chunk]],
    wait: Callable[[], None] = lambda: None,
) -> TokenFiles:
    """The tokens of a text, made if they are not there yet.

    Args:
        stream: begins to read the text anew.
        wait: called now and then while another process makes them; may raise.

    Raises:
        CorpusError: the text cannot be read, is another one by now, or holds what the tokenizer does not know.
        ResourceError: the disk has too little room, or cannot be written.
    """
    if isinstance(tokenizer, CharTokenizer) and (unknown := set(text.symbols) - set(tokenizer.symbols)):
        raise CorpusError(
            f"Character {min(unknown)!r} is not in the vocabulary; train the tokenizer on the whole corpus."
        )
    folder = cache_dir / "tokens"
    storage.make_private_dir(folder)
    final = folder / key_of(text.sha256, tokenizer)
    temporary = folder / f"{storage.TEMPORARY}{final.name}"
    tries = 0
    expected = _Expected(text, tokenizer)
    while (found := _opened(final, expected)) is None:
        if tries == _TRIES:  # a filesystem that maps no files, say
            raise ResourceError(
                f"The token files of this text were written to {printable(str(folder))} and cannot be read there: "
                "move the cache to a local disk (see tinygpt paths)."
            )
        with _making(temporary, wait) as ours:
            if not ours:
                continue
            if _is_held_alone(final):  # who has just published it flushes the folder before it lets go
                wait()
                time.sleep(_WAIT_SECONDS)
                continue
            if (found := _opened(final, expected)) is not None:  # another process was quicker
                continue
            if os.path.lexists(final):
                _discard_damaged(final)
            make_room(folder, room_for(text, tokenizer), {temporary.name, f"{text.sha256}.json"})
            _make(temporary, text, tokenizer, stream())
            storage.publish(temporary, final)
            tries += 1
    return found


def room_for(text: LargeText, tokenizer: Tokenizer) -> int:
    """The bytes that an entry takes; for bpe, of which nobody knows before, about as many as its text."""
    chars = isinstance(tokenizer, CharTokenizer)
    return text.chars * np.dtype(id_dtype(tokenizer.vocab_size)).itemsize if chars else text.bytes


def make_room(folder: Path, need: int, spare: Set[str]) -> None:
    """Removes entries that nobody uses, those that were not used for longest first, until `need` more bytes fit; none if that is hopeless.

    What is remembered of a text goes last: it is small, and without it the tokens of a text that is gone are of no use.

    Args:
        spare: names in `folder` that stay.

    Raises:
        ResourceError: the disk has too little room even so.
    """
    storage.sweep(folder, temporaries=False)
    entries = []
    for path in folder.iterdir():
        if path.name in spare:
            continue
        if path.name.startswith(storage.TEMPORARY):  # of a process that was killed, if nobody holds its lock
            _remove_unused(path)
            continue
        with suppress(OSError):  # somebody else may be removing it
            lock = path / _LOCK
            used = lock if lock.is_file() else path
            size = sum(p.stat().st_size for p in (path.iterdir() if path.is_dir() else (path,)))
            entries.append((path.is_file(), used.stat().st_mtime_ns, size, path))
    total = sum(size for _, _, size, _ in entries)
    _refuse_full(folder, need, total)
    for _, _, size, path in sorted(entries):
        if total + need <= CACHE_BYTES and shutil.disk_usage(folder).free >= need + SPARE_BYTES:
            break
        if _remove_unused(path):
            total -= size
    _refuse_full(folder, need)


def _refuse_full(folder: Path, need: int, removable: int = 0) -> None:
    free = shutil.disk_usage(folder).free
    if free + removable < need + SPARE_BYTES:
        raise ResourceError(
            f"Preparing this text takes {(need + SPARE_BYTES) / 1e9:.2f} GB in {printable(str(folder))} and {free / 1e9:.2f} GB "
            "are free there: free some and try again."
        )


def _make(temporary: Path, text: LargeText, tokenizer: Tokenizer, chunks: Iterable[Chunk]) -> None:
    """Encodes the text into a folder that is not published yet, and checks on the way that it is the text."""
    parts = _Parts(chunks, split_at(text.chars))
    files = {
        _TRAIN: _write(temporary / _TRAIN, encode(tokenizer, parts.train())),
        _VAL: _write(temporary / _VAL, encode(tokenizer, parts.val())),
    }
    if parts.digest.hexdigest() != text.sha256:
        raise another_text(text.source)
    manifest = {
        "version": VERSION,
        "sha256": text.sha256,
        "tokenizer": tokenizer.kind,
        "dtype": np.dtype(id_dtype(tokenizer.vocab_size)).name,
        "train_chars": split_at(text.chars),
        "val_chars": text.chars - split_at(text.chars),
        "files": files,
    }
    storage.write_atomic(temporary / _MANIFEST, storage.dump_json(manifest, indent=2) + b"\n")


class _Parts:
    """A text in pieces, cut in two at a character; the first part is to be read before the second."""

    def __init__(self, chunks: Iterable[Chunk], cut: int) -> None:
        self.digest = Sha256()
        self._chunks, self._cut, self._rest = iter(chunks), cut, b""

    def train(self) -> Iterator[bytes]:
        at = 0
        while at < self._cut and (chunk := next(self._chunks, None)):
            self.digest.update(chunk.data)
            at += chunk.chars
            if at <= self._cut:
                yield chunk.data
            else:
                text = chunk.data.decode()
                first = text[: self._cut - at].encode()
                self._rest = chunk.data[len(first) :]
                yield first

    def val(self) -> Iterator[bytes]:
        if self._rest:
            yield self._rest
        for data, _ in self._chunks:
            self.digest.update(data)
            yield data


def _write(path: Path, arrays: Iterable[np.ndarray]) -> dict[str, Any]:
    """Puts ids on the disk; returns what the manifest says of their file."""
    with suppress(FileNotFoundError):  # what a killed process has left is not trusted
        path.unlink()
    digest = Sha256()
    fd = storage.open_update(path)
    try:
        for ids in arrays:
            data = ids.view(np.uint8).data
            digest.update(data)
            storage.overwrite(fd, data, path.parent)
        storage.flush(fd, path.parent)
        return {"sha256": digest.hexdigest(), **_stamp(os.fstat(fd))}
    finally:
        os.close(fd)


@contextmanager
def _making(temporary: Path, wait: Callable[[], None]) -> Iterator[bool]:
    """Waits until nobody else makes this entry; says whether we may. What is not published in the end is removed."""
    storage.make_private_dir(temporary)
    try:
        lock = storage.open_update(temporary / _LOCK)
    except FileNotFoundError:  # published or removed a moment ago
        yield False
        return
    try:
        while not _lock(lock, fcntl.LOCK_EX):
            wait()
            time.sleep(_WAIT_SECONDS)
        if not _is_at(lock, temporary / _LOCK):
            yield False
            return
        try:
            yield True
        finally:
            if _is_at(lock, temporary / _LOCK):
                with suppress(OSError, ResourceError):  # at once, by a rename: the next one may begin already
                    storage.discard(temporary)
    finally:
        os.close(lock)


@dataclass(frozen=True)
class _Expected:
    """What an entry must hold whatever its manifest says, which may be a stranger's: ids of this dtype, all of them in the vocabulary."""

    text: LargeText
    tokenizer: Tokenizer

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(id_dtype(self.tokenizer.vocab_size))

    def agrees(self, manifest: Mapping[str, Any]) -> bool:
        train = split_at(self.text.chars)
        said = [manifest.get(key) for key in ("version", "sha256", "dtype", "train_chars", "val_chars")]
        return said == [VERSION, self.text.sha256, self.dtype.name, train, self.text.chars - train]


def _opened(entry: Path, expected: _Expected) -> TokenFiles | None:
    """The entry's arrays, if it is whole; nobody removes it while they are there."""
    try:
        lock = open_read(entry / _LOCK)
    except CheckpointError:
        return None
    try:
        if not _lock(lock, fcntl.LOCK_SH) or not _is_at(lock, entry / _LOCK):  # it is being removed
            return None
        manifest = read_json(entry / _MANIFEST)
        if not expected.agrees(manifest):
            return None
        said = manifest["files"]
        train, val = (_mapped(entry / name, said[name], expected, lock) for name in (_TRAIN, _VAL))
        with suppress(OSError):  # for whoever looks for the entry that was not used for longest
            os.utime(entry / _LOCK)
        return TokenFiles(train, val, manifest["train_chars"], manifest["val_chars"])
    except (CheckpointError, OSError, ValueError, KeyError, TypeError):
        return None
    finally:
        os.close(lock)


def _mapped(path: Path, said: dict[str, Any], expected: _Expected, lock: int) -> np.ndarray:
    """The ids in a file, of which only what is looked at is ever read; `lock` stays held as long as they are there.

    Raises:
        CheckpointError: the file is not what the manifest said.
    """
    with os.fdopen(open_read(path), "rb") as file:
        untouched = _is_untouched(file, said)
        if not untouched and hashlib.file_digest(file, "sha256").hexdigest() != said["sha256"]:
            raise CheckpointError(f"{path} is damaged.")
        ids = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    # A file that came from elsewhere may be sound and hold anything; an id beyond the vocabulary would be read from beyond the weights.
    if not untouched and int(np.frombuffer(ids, expected.dtype).max()) >= expected.tokenizer.vocab_size:
        raise CheckpointError(f"{path} is not of its tokenizer.")
    if hasattr(mmap, "MADV_RANDOM"):  # windows lie anywhere: what stands behind one is not wanted next
        ids.madvise(mmap.MADV_RANDOM)
    weakref.finalize(ids, os.close, os.dup(lock))
    return np.frombuffer(ids, expected.dtype)


def _is_untouched(file: BufferedReader, said: dict[str, Any]) -> bool:
    """Whether nobody has written to a file since the manifest was made; what was touched may be the same by its hash."""
    stamp = _stamp(os.fstat(file.fileno()))
    return stamp == {key: said[key] for key in stamp}


def _stamp(found: os.stat_result) -> dict[str, int]:
    return {"bytes": found.st_size, "inode": found.st_ino, "modified_ns": found.st_mtime_ns}


def _is_held_alone(entry: Path) -> bool:
    """Whether another process publishes the entry at this moment, or removes it."""
    try:
        lock = open_read(entry / _LOCK)
    except CheckpointError:
        return False
    try:
        return not _lock(lock, fcntl.LOCK_SH)
    finally:
        os.close(lock)


def _discard_damaged(entry: Path) -> None:
    with suppress(FileNotFoundError):  # whoever makes room may be quicker
        storage.discard(entry)


def _remove_unused(path: Path) -> bool:
    """Removes an entry, an unpublished one or a file, unless somebody uses or makes it."""
    if not path.is_dir():
        with suppress(OSError):
            path.unlink()
            return True
        return False
    lock = None
    try:
        with suppress(CheckpointError):  # without a lock nobody can use it
            lock = open_read(path / _LOCK)
        if lock is not None and not (_lock(lock, fcntl.LOCK_EX) and _is_at(lock, path / _LOCK)):
            return False
        storage.discard(path)
        return True
    except (OSError, ResourceError):
        return False
    finally:
        if lock is not None:
            os.close(lock)


def _lock(fd: int, kind: int) -> bool:
    """Takes a lock if that is possible at once. Where a filesystem has none, everything is as if nobody else were there."""
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _is_at(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), path.lstat())
    except OSError:
        return False
