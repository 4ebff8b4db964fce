"""Breaks the disk under `engine.storage` call by call, and works out what a power loss at any moment may leave of it."""

from __future__ import annotations

import errno
import os
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from engine import storage

SECTOR = 512  # bytes; a drive writes them all or none
PARTS = ("lost", "all", "zeros", "first sectors")  # what may become of what was written and not flushed


class Died(BaseException):
    """Stands for SIGKILL: nothing of ours runs after it."""


class NoFlush(storage.Ops):
    """A disk that cannot lose its power."""

    def fsync(self, fd: int) -> None:
        pass


class Faulty(NoFlush):
    """Performs calls until number `at`, which fails with `error`, or from which on nothing happens any more.

    Args:
        at: the first call is 1.
        error: a number of `errno`; None is death.
        lasts: the error stays: the disk is full, or read-only, from then on.
        torn: a call that fails in the middle has done half of its work: of a write, of the removal of a folder.
    """

    def __init__(self, at: int, error: int | None = None, *, lasts: bool = False, torn: bool = False) -> None:
        self.at, self.error, self.lasts, self.torn = at, error, lasts, torn
        self.names: list[str] = []

    @property
    def calls(self) -> int:
        return len(self.names)

    def _pass(self, name: str, half: Callable[[], object] = lambda: None, reads: bool = False) -> None:
        self.names.append(name)
        if self.calls < self.at or (self.calls > self.at and not self._goes_on(name, reads)):
            return
        if self.torn and self.calls == self.at:
            half()
        if self.error is None:
            raise Died
        raise OSError(self.error, os.strerror(self.error))

    def _goes_on(self, name: str, reads: bool) -> bool:
        if self.error is None:
            return True
        if not self.lasts or reads:
            return False
        # A full disk lets go what it has; one that is read-only does not.
        return name in ("open", "write", "fsync", "mkdir") or self.error != errno.ENOSPC

    def open(self, path: Path, flags: int, mode: int = 0o600) -> int:
        self._pass("open", reads=not flags & (os.O_WRONLY | os.O_RDWR))
        return super().open(path, flags, mode)

    def write(self, fd: int, data: bytes | memoryview) -> int:
        self._pass("write", lambda: os.write(fd, data[: len(data) // 2]))
        return super().write(fd, data)

    def fsync(self, fd: int) -> None:
        self._pass("fsync")

    def truncate(self, fd: int, size: int) -> None:
        self._pass("truncate")
        super().truncate(fd, size)

    def rename(self, source: Path, target: Path) -> None:
        self._pass("rename")
        super().rename(source, target)

    def replace(self, source: Path, target: Path) -> None:
        self._pass("replace")
        super().replace(source, target)

    def unlink(self, path: Path) -> None:
        self._pass("unlink")
        super().unlink(path)

    def mkdir(self, path: Path, mode: int) -> None:
        self._pass("mkdir")
        super().mkdir(path, mode)

    def rmtree(self, path: Path) -> None:
        self._pass("rmtree", lambda: _remove_half(path))
        super().rmtree(path)


class Log(storage.Ops):
    """Writes down each call as "name file"."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.names: dict[int, str] = {}

    def open(self, path: Path, flags: int, mode: int = 0o600) -> int:
        fd = super().open(path, flags, mode)
        self.names[fd] = "temporary" if path.name.startswith(storage.TEMPORARY) else path.name
        return fd

    def write(self, fd: int, data: bytes | memoryview) -> int:
        self.calls.append(f"write {self.names[fd]}")
        return super().write(fd, data[:3])

    def fsync(self, fd: int) -> None:
        self.calls.append(f"fsync {self.names[fd]}")

    def rename(self, source: Path, target: Path) -> None:
        self.calls.append(f"rename {target.name}")
        super().rename(source, target)

    def replace(self, source: Path, target: Path) -> None:
        self.calls.append(f"replace {target.name}")
        super().replace(source, target)


def _remove_half(path: Path) -> None:
    children = sorted(path.iterdir())
    for child in children[: -(-len(children) // 2)]:
        if child.is_dir():
            shutil.rmtree(child)
        else:
            child.unlink()


@dataclass(frozen=True)
class Record:
    """One thing that happened to the disk, or an `ack`: somebody was told that all before it is safe.

    Files and folders have numbers, 0 is the folder of everything. Of a `move` it went from `name` in `parent` to `to_name` in `to`.
    """

    what: str
    id: int = -1
    parent: int = -1
    name: str = ""
    to: int = -1
    to_name: str = ""
    at: int = 0
    data: bytes | None = None  # of a `write`; of an `add` it is b"" for a file and None for a folder


class Recorder(NoFlush):
    """Performs calls on the files in `root`, and writes down what they would mean to a disk that flushes only when it is told to."""

    def __init__(self, root: Path) -> None:
        self.records: list[Record] = []
        self._root = root
        self._ids: dict[Path, int] = {root: 0}
        self._last = 0
        self._open: dict[int, int] = {}
        for folder in sorted(root.rglob("*")):  # what is there already is safe
            self._add(folder, None)
        self.records += [Record("flush", id) for id in self._ids.values()]

    def acknowledge(self) -> None:
        self.records.append(Record("ack"))

    def open(self, path: Path, flags: int, mode: int = 0o600) -> int:
        new = bool(flags & os.O_CREAT) and not os.path.lexists(path)
        fd = super().open(path, flags, mode)
        if new:
            self._add(path, b"")
        self._open[fd] = self._ids[path]
        if flags & os.O_TRUNC:
            self.records.append(Record("truncate", self._open[fd], at=0))
        return fd

    def write(self, fd: int, data: bytes | memoryview) -> int:
        done = super().write(fd, data)
        end = os.lseek(fd, 0, os.SEEK_CUR)
        self.records.append(Record("write", self._open[fd], at=end - done, data=bytes(data[:done])))
        return done

    def fsync(self, fd: int) -> None:
        self.records.append(Record("flush", self._open[fd]))

    def truncate(self, fd: int, size: int) -> None:
        super().truncate(fd, size)
        self.records.append(Record("truncate", self._open[fd], at=size))

    def rename(self, source: Path, target: Path) -> None:
        super().rename(source, target)
        self._move(source, target)

    def replace(self, source: Path, target: Path) -> None:
        super().replace(source, target)
        self._move(source, target)

    def unlink(self, path: Path) -> None:
        super().unlink(path)
        self._remove(path)

    def mkdir(self, path: Path, mode: int) -> None:
        super().mkdir(path, mode)
        self._add(path, None)

    def rmtree(self, path: Path) -> None:
        super().rmtree(path)
        for inner in sorted((p for p in self._ids if path in p.parents), reverse=True):
            self._remove(inner)
        self._remove(path)

    def _add(self, path: Path, data: bytes | None) -> None:
        self._last += 1
        self._ids[path] = self._last
        self.records.append(Record("add", self._last, self._ids[path.parent], path.name, data=data))

    def _remove(self, path: Path) -> None:
        self.records.append(Record("remove", self._ids.pop(path), self._ids[path.parent], path.name))

    def _move(self, source: Path, target: Path) -> None:
        parents = self._ids[source.parent], self._ids[target.parent]
        self.records.append(
            Record("move", self._ids[source], parents[0], source.name, parents[1], target.name)
        )
        for path in [p for p in self._ids if p == source or source in p.parents]:
            self._ids[target / path.relative_to(source)] = self._ids.pop(path)


Tree = dict[str, Any]  # names, with the bytes of files and the trees of folders


class Disk:
    """What is safe by now, and what a power loss at this moment may leave.

    Of what was not flushed any part may be there or lost, each change of a name and each file for itself: no filesystem is as bad as
    that. Only a rename happens whole or not at all, and so does a sector; nothing could be promised otherwise.
    """

    def __init__(self) -> None:
        self._files: dict[int, bytes] = {}
        self._folders: dict[int, dict[str, int]] = {0: {}}
        self._written: dict[int, list[Record]] = {}
        self._changes: list[Record] = []

    def happens(self, record: Record) -> None:
        match record.what:
            case "add" | "remove" | "move":
                if record.what == "add":
                    if record.data is None:
                        self._folders[record.id] = {}
                    else:
                        self._files[record.id] = b""
                self._changes.append(record)
            case "write" | "truncate":
                self._written.setdefault(record.id, []).append(record)
            case "flush" if record.id in self._folders:
                for change in [c for c in self._changes if record.id in (c.parent, c.to)]:
                    _change(self._folders, change)
                    self._changes.remove(change)
            case "flush":
                self._files[record.id] = self._content(record.id, "all")
                self._written.pop(record.id, None)

    def left(self, most: int) -> Iterator[Tree]:
        """What a power loss may leave: everything that is possible, or else a choice of `most`, the same each time."""
        names, files = len(self._changes), sorted(self._written)
        if 2**names * len(PARTS) ** len(files) <= most:
            kept: Iterator[tuple[Any, ...]] = product((False, True), repeat=names)
            choices = [(a, b) for a in kept for b in product(PARTS, repeat=len(files))]
        else:
            dice = random.Random(names)
            choices = [((False,) * names, ("lost",) * len(files)), ((True,) * names, ("zeros",) * len(files))]
            choices += [
                (tuple(n == one for n in range(names)), ("all",) * len(files)) for one in range(names)
            ]
            choices += [
                (tuple(n != one for n in range(names)), ("lost",) * len(files)) for one in range(names)
            ]
            choices += [((True,) * names, tuple(part if f == one else "all" for f in files)) for one in files for part in PARTS]  # fmt: skip
            while len(choices) < most:
                choices.append((tuple(dice.random() < 0.5 for _ in range(names)), tuple(dice.choices(PARTS, k=len(files)))))  # fmt: skip
            choices = choices[:2] + dice.sample(choices[2:], most - 2)
        for names_kept, parts in choices:
            yield self._tree(names_kept, dict(zip(files, parts, strict=True)))

    def _tree(self, kept: tuple[bool, ...], parts: dict[int, str]) -> Tree:
        folders = {id: dict(entries) for id, entries in self._folders.items()}
        for change, happened in zip(self._changes, kept, strict=True):
            if happened:
                _change(folders, change)

        def within(id: int) -> Tree:
            return {
                name: within(inner) if inner in folders else self._content(inner, parts.get(inner, "all"))
                for name, inner in sorted(folders[id].items())
            }

        return within(0)

    def _content(self, id: int, part: str) -> bytes:
        safe = self._files[id]
        content = bytearray(safe)
        for record in self._written.get(id, ()):
            if record.what == "truncate":
                del content[record.at :]
            else:
                data = record.data or b""
                content.extend(bytes(max(0, record.at - len(content))))
                content[record.at : record.at + len(data)] = data
        grown = len(content) - len(safe)
        if part == "lost":
            return safe
        if part == "zeros" and grown > 0:
            return safe + bytes(grown)
        if part == "first sectors" and grown > 0:
            whole = (len(safe) + len(content)) // 2 // SECTOR * SECTOR
            return bytes(content[: max(whole, len(safe))])
        return bytes(content)


def _change(folders: dict[int, dict[str, int]], change: Record) -> None:
    if change.what != "add" and folders[change.parent].get(change.name) == change.id:
        del folders[change.parent][change.name]
    if change.what == "add":
        folders[change.parent][change.name] = change.id
    elif change.what == "move":
        folders[change.to][change.to_name] = change.id


def plant(tree: Tree, folder: Path, before: Tree | None = None) -> None:
    """Makes the files of a tree in a folder, which must not exist, or hold the tree `before`: then only what differs is made."""
    if before is None:
        folder.mkdir(mode=0o700)
    old = before or {}
    for name, content in old.items():
        if isinstance(content, dict) and not isinstance(tree.get(name), dict):
            shutil.rmtree(folder / name)
        elif isinstance(content, bytes) and not isinstance(tree.get(name), bytes):
            (folder / name).unlink()
    for name, content in tree.items():
        if isinstance(content, dict):
            inner = old.get(name)
            plant(content, folder / name, inner if isinstance(inner, dict) else None)
        elif content != old.get(name):
            (folder / name).write_bytes(content)


def harvest(folder: Path) -> Tree:
    """What `plant` would make such a folder of."""
    return {path.name: harvest(path) if path.is_dir() else path.read_bytes() for path in folder.iterdir()}


def frozen(tree: Tree) -> object:
    """The same for equal trees, and can be kept in a set."""
    return tuple((name, c if isinstance(c, bytes) else frozen(c)) for name, c in tree.items())
