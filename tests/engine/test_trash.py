"""What the trash promises: a run goes there whole or not at all, comes back as it was, and only emptying the trash loses it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from engine import storage, trash
from engine.errors import BusyError, CheckpointError, ResourceError, UsageError
from engine.run_list import list_runs
from engine.runs import RunFolder
from engine.trash import Trashed, empty_trash, list_trash, restore_run, trash_run


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.fixture
def bin(tmp_path: Path) -> Path:
    return tmp_path / "trash"


def make(runs: Path, name: str, note: str = "") -> RunFolder:
    return RunFolder.create(runs, name, {"version": 1, "note": note})


def names(runs: Path) -> list[str]:
    return sorted(run.run for run in list_runs(runs))


def test_a_run_leaves_the_list_and_comes_back_as_it_was(runs: Path, bin: Path) -> None:
    folder = make(runs, "tales", "mine")
    make(runs, "sums")
    inode = folder.path.stat().st_ino
    trashed = trash_run(runs, "tales", bin)
    assert (names(runs), list_trash(bin)) == (["sums"], [trashed])
    assert (trashed.run, trashed.path.parent) == ("tales", bin)
    back = restore_run(runs, trashed)
    assert (names(runs), list_trash(bin)) == (["sums", "tales"], [])
    assert (back.path, back.path.stat().st_ino, back.read_request()["note"]) == (
        runs / "tales",
        inode,
        "mine",
    )


def test_several_runs_of_one_name_lie_side_by_side_the_latest_first(
    runs: Path, bin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1_700_000_000.9]
    monkeypatch.setattr(trash.time, "time", lambda: now[0])
    found = []
    for n in range(3):
        make(runs, "tales-2", str(n))
        found.append(trash_run(runs, "tales-2", bin))
        now[0] += n
    assert list_trash(bin) == [found[2], found[1], found[0]]
    assert [item.path.name for item in found] == [
        "tales-2-20231114T221320Z", "tales-2-20231114T221320Z-2", "tales-2-20231114T221321Z",
    ]  # fmt: skip
    assert {item.run for item in list_trash(bin)} == {"tales-2"}
    assert restore_run(runs, found[1]).read_request()["note"] == "1"


def test_a_run_whose_name_is_taken_meanwhile_gets_the_next_free_one(runs: Path, bin: Path) -> None:
    make(runs, "tales", "old")
    trashed = trash_run(runs, "tales", bin)
    make(runs, "tales", "new")
    assert restore_run(runs, trashed).name == "tales-2"
    assert RunFolder(runs / "tales").read_request()["note"] == "new"


def test_the_trash_is_private(runs: Path, bin: Path) -> None:
    make(runs, "tales")
    trash_run(runs, "tales", bin)
    assert bin.stat().st_mode & 0o777 == 0o700


def test_what_is_not_in_the_trash_any_more_cannot_come_back(runs: Path, bin: Path) -> None:
    make(runs, "tales")
    trashed = trash_run(runs, "tales", bin)
    assert empty_trash(bin) == 1
    with pytest.raises(CheckpointError, match="not in the trash any more"):
        restore_run(runs, trashed)
    assert (list_trash(bin), list(bin.iterdir())) == ([], [])
    assert empty_trash(bin / "nowhere") == 0


def test_a_text_stays_while_a_run_on_it_is_in_the_trash_and_goes_when_that_is_emptied(
    runs: Path, bin: Path
) -> None:
    corpora = runs.parent / "corpora"
    corpora.mkdir()
    for name, letter in (("diary", "a"), ("letters", "b")):
        (corpora / f"{letter * 64}.txt").write_text("a secret")
        RunFolder.create(runs, name, {"corpus": {"name": name, "sha256": letter * 64}})
    trash_run(runs, "diary", bin)
    assert len(list(corpora.iterdir())) == 2
    empty_trash(bin)
    assert [path.name[0] for path in corpora.iterdir()] == ["b"]


def test_a_run_that_is_being_trained_stays_where_it_is(runs: Path, bin: Path) -> None:
    folder = make(runs, "tales")
    with folder.acquire(), pytest.raises(BusyError, match="in use"):
        trash_run(runs, "tales", bin)
    assert (names(runs), list_trash(bin)) == (["tales"], [])


@pytest.mark.parametrize("name", ["nobody", "..", "../runs/tales", "", "Tales"])
def test_what_is_no_run_is_refused(runs: Path, bin: Path, name: str) -> None:
    make(runs, "tales")
    with pytest.raises((UsageError, CheckpointError)):
        trash_run(runs, name, bin)
    assert names(runs) == ["tales"]


def test_a_link_to_elsewhere_is_neither_trashed_nor_emptied(runs: Path, bin: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "keep").write_text("me")
    make(runs, "tales")
    trash_run(runs, "tales", bin)
    (runs / "link").symlink_to(outside)
    (bin / "link-20231114T221320Z").symlink_to(outside)
    with pytest.raises(CheckpointError):
        trash_run(runs, "link", bin)
    with pytest.raises(CheckpointError, match="not in the trash"):
        restore_run(runs, Trashed("link", bin / "link-20231114T221320Z", 0))
    assert empty_trash(bin) == 1
    assert (outside / "keep").read_text() == "me"


def test_what_was_not_put_there_by_us_is_left_alone(runs: Path, bin: Path) -> None:
    for name in ("holiday", "tales-20231399T221320Z", "UPPER-20231114T221320Z", ".hidden-20231114T221320Z"):
        (bin / name).mkdir(parents=True)
    (bin / "file-20231114T221320Z").write_text("x")
    assert list_trash(bin) == []
    assert empty_trash(bin) == 0
    assert len(list(bin.iterdir())) == 5


def test_a_run_with_a_lock_that_no_trainer_accepts_can_be_trashed(runs: Path, bin: Path) -> None:
    folder = make(runs, "tales")
    folder.lock.symlink_to("/dev/null")
    assert trash_run(runs, "tales", bin).path.is_dir()


@pytest.mark.parametrize(
    ("number", "told"),
    [(errno.EXDEV, "lie on different disks"), (errno.ELOOP, "cannot be moved"), (errno.ENOSPC, "No space"), (errno.ENOTEMPTY, "has just been made")],
)  # fmt: skip
def test_a_move_that_fails_leaves_the_run_where_it_was(
    runs: Path, bin: Path, monkeypatch: pytest.MonkeyPatch, number: int, told: str
) -> None:
    class Failing(storage.Ops):
        def rename(self, source: Path, target: Path) -> None:
            raise OSError(number, os.strerror(number))

    make(runs, "tales")
    monkeypatch.setattr(storage, "ops", Failing())
    with pytest.raises(ResourceError, match=told):
        trash_run(runs, "tales", bin)
    assert (names(runs), list_trash(bin)) == (["tales"], [])


def test_a_move_is_on_the_disk_when_it_is_acknowledged(
    runs: Path, bin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[tuple[str, str]] = []

    class Watching(storage.Ops):
        def rename(self, source: Path, target: Path) -> None:
            done.append(("rename", source.name))
            super().rename(source, target)

        def fsync(self, fd: int) -> None:
            done.append(("fsync", str(os.fstat(fd).st_ino)))

    make(runs, "tales")
    bin.mkdir()
    monkeypatch.setattr(storage, "ops", Watching())
    trash_run(runs, "tales", bin)
    after = done[done.index(("rename", "tales")) + 1 :]
    assert {("fsync", str(bin.stat().st_ino)), ("fsync", str(runs.stat().st_ino))} <= set(after)
