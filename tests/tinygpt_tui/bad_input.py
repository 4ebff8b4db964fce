"""A bad input for the command line as a row of a table, and what every one of them must get: one sentence, its exit code, nothing changed."""

from __future__ import annotations

import hashlib
import io
import os
import stat
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from engine.runs import RunFolder

Run = Callable[..., Any]


@dataclass
class World:
    """Where a case plays: a folder with `ok.txt` and others, a home, and in it perhaps the run "fox"."""

    folder: Path
    home: Path
    monkeypatch: pytest.MonkeyPatch
    stack: ExitStack = field(default_factory=ExitStack)

    @property
    def run(self) -> RunFolder:
        return RunFolder(self.home / "data" / "runs" / "fox")


Given = Callable[[World], object]


@dataclass(frozen=True)
class Case:
    args: tuple[str, ...]
    code: int
    says: str
    given: Given | None = None


def case(args: str | tuple[str, ...], code: int, says: str, given: Given | None = None) -> Case:
    return Case(tuple(args.split()) if isinstance(args, str) else args, code, says, given)


def file(name: str, data: bytes) -> Given:
    return lambda world: (world.folder / name).write_bytes(data)


def config(text: str) -> Given:
    def write(world: World) -> None:
        (world.home / "config").mkdir(parents=True)
        (world.home / "config" / "config.toml").write_text(text)

    return write


def env(**variables: str) -> Given:
    return lambda world: [world.monkeypatch.setenv(name, value) for name, value in variables.items()]


def stdin(data: bytes) -> Given:
    return lambda world: world.monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))


def in_run(name: str, text: str) -> Given:
    return lambda world: (world.run.path / name).write_text(text)


def unreadable(world: World) -> None:
    (world.folder / "secret").write_text("text " * 99)
    (world.folder / "secret").chmod(0)


def label(case: Case) -> str:
    return " ".join(case.args).encode("unicode_escape").decode()[:50] + (" …" if case.given else "")


def check_refused(
    case: Case, tinygpt: Run, home: Path, tmp_path: Path, corpora: Path,
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Plays a case in a folder of its own and looks at everything it could have left."""
    if case.given is unreadable and os.geteuid() == 0:
        pytest.skip("root reads everything")
    if any("fox" in arg for arg in case.args):
        request.getfixturevalue("trained")
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "ok.txt").write_bytes((corpora / "fox.txt").read_bytes())
    monkeypatch.chdir(folder)
    world = World(folder, home, monkeypatch)
    if case.given is not None:
        case.given(world)
    before = files_in(tmp_path)

    with world.stack:
        outcome = tinygpt(*case.args)

    assert outcome.code == case.code, outcome.err[-500:]
    *notes, last = outcome.err.splitlines()
    assert last.startswith("error: ")
    assert case.says in last, last
    assert all(note.startswith(("note: ", "warning: ")) for note in notes)
    assert "defect" not in last and "Traceback" not in outcome.err
    assert outcome.err.replace("\n", "").isprintable()
    assert outcome.out == ""
    after = files_in(tmp_path)
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    if "--resume" in case.args:  # a trainer that could not go on says so in its run
        changed -= {str(path) for path in (world.run.status, world.run.events)}
    assert not changed, changed
    assert not (home / "state").exists()  # where crash reports would lie


def files_in(folder: Path) -> dict[str, str]:
    """Every file below a folder with what it holds, so that nothing can be left, changed or taken away unseen.

    Left out: folders, and the empty file that holds the place of a lock.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        mode = path.lstat().st_mode
        if stat.S_ISREG(mode):
            if path.stat().st_size or path.name != "lock":
                found[str(path)] = contents(path)
        elif not stat.S_ISDIR(mode):
            found[str(path)] = f"{stat.S_IFMT(mode):o}" + (str(path.readlink()) if path.is_symlink() else "")
    return found


def contents(path: Path) -> str:
    """A file's hash; a file with a hole that is larger than anything we write is known by its size."""
    if path.stat().st_size > 2**27:
        return f"{path.stat().st_size} bytes"
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except PermissionError:
        return "unreadable"
