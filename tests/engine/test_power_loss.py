"""Whatever a power loss leaves, at whatever moment: what was acknowledged is there and whole, and nothing else is.

The operations of a short life of a data folder are recorded, and at each of them everything is looked at that a disk may hold then.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine import checkpoint, manifest, storage
from tests.engine.data_folder_life import (
    ACTS,
    Life,
    Picture,
    check_a_damaged_checkpoint_is_skipped,
    look,
    pictures_of,
    prepare,
)
from tests.engine.fault_injection import Disk, NoFlush, Record, Recorder, Tree, frozen, plant

MOST, MOST_IN_SOAK = 10, 100  # states that are looked at for each moment
FLUSHED = ("control", "saved", "done", "failed")  # the events that are acknowledged


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Picture]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage, "ops", NoFlush())
        return pictures_of(tmp_path_factory.mktemp("clean") / "home")


def recorded(folder: Path) -> list[Record]:
    """What happens to the disk in a whole life, with an `ack` after each act."""
    prepare(folder / "home")
    recorder, life = Recorder(folder / "home"), Life(folder / "home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage, "ops", recorder)
        for act in ACTS.values():
            act(life)
            recorder.acknowledge()
    life.leave()
    return recorder.records


def check_all(
    records: list[Record], pictures: list[Picture], folder: Path, most: int = MOST
) -> tuple[int, int]:
    """Looks at what a power loss may leave, at each moment; returns the number of moments, and of different things it left."""
    disk, done, seen = Disk(), 0, set()
    planted: Tree | None = None
    for moment, record in enumerate(records):
        done += record.what == "ack"
        disk.happens(record)
        for tree in disk.left(most):
            key = (frozen(tree), done)
            if key in seen:
                continue
            seen.add(key)
            plant(tree, folder, planted)
            planted = tree
            try:
                check(look(folder), pictures, done)
            except Exception as problem:
                act = list(ACTS)[min(done, len(ACTS) - 1)]
                raise AssertionError(
                    f"power lost at moment {moment}, in the act: {act}: {problem}"
                ) from problem
    return len(records), len(seen)


def check(found: Picture, pictures: list[Picture], done: int) -> None:
    """What was found is what had been acknowledged after so many acts, the next one may have happened, too.

    Events and the status are flushed only where somebody is told that they are safe.
    """
    before, after = pictures[done], pictures[min(done + 1, len(ACTS))]
    assert firm(found) in (firm(before), firm(after)), "neither as before the act nor as after it"
    if (tales := found["runs"].get("tales")) is None:
        return
    new = after["runs"]["tales"]
    old = before["runs"].get("tales", new)
    flushed = max((n for n, event in enumerate(old["events"], 1) if event[0] in FLUSHED), default=0)
    assert tales["events"][:flushed] == old["events"][:flushed], "an event that was acknowledged is lost"
    told = iter(new["events"])
    assert all(event in told for event in tales["events"]), "an event that nobody told"
    said = {
        picture["runs"]["tales"]["status"] for picture in pictures[: done + 2] if "tales" in picture["runs"]
    }
    ended = old["status"] is not None and old["status"][0] == "done"
    assert tales["status"] in ({old["status"]} if ended else {None, *said}), "a status that nobody told"


def firm(picture: Picture) -> Picture:
    runs = {
        name: {key: value for key, value in run.items() if key not in ("events", "status")}
        for name, run in picture["runs"].items()
    }
    return {**picture, "runs": runs}


def check_order(records: list[Record]) -> None:
    """Of every checkpoint the manifest is written last, and nothing is renamed that is not flushed, but for the status."""
    names: dict[int, tuple[int, str]] = {}
    unflushed: set[int] = set()
    last: dict[int, str] = {}
    for record in records:
        if record.what == "add":
            names[record.id] = (record.parent, record.name)
            unflushed.add(record.id)
        elif record.what == "write":
            unflushed.add(record.id)
            parent, name = names[record.id]
            if name in (manifest.MODEL, manifest.TRAINING, manifest.MANIFEST):
                last[parent] = name
        elif record.what == "flush":
            unflushed.discard(record.id)
        elif record.what == "move" and record.name.startswith(storage.TEMPORARY):
            moved = {record.id, *(id for id, (parent, _) in names.items() if parent == record.id)}
            if record.to_name != "status.json":
                assert not moved & unflushed, f"{record.to_name} is renamed before it is flushed"
    assert len(last) >= 5 and set(last.values()) == {manifest.MANIFEST}, "a manifest is not written last"


@pytest.mark.parametrize("most", [MOST, pytest.param(MOST_IN_SOAK, marks=pytest.mark.soak)])
def test_no_power_loss_takes_what_was_acknowledged(
    pictures: list[Picture], tmp_path: Path, most: int
) -> None:
    records = recorded(tmp_path / "life")
    moments, states = check_all(records, pictures, tmp_path / "left", most)
    print(f"\n{states:,} states of the disk after a power loss at {moments} moments in {len(ACTS)} acts")
    assert states >= 1000
    assert [record.what for record in records].count("ack") == len(ACTS)


def test_names_that_a_killed_trainer_had_no_time_to_flush_are_flushed_by_the_next(tmp_path: Path) -> None:
    home = tmp_path / "home"
    prepare(home)
    recorder, life, disk = Recorder(home), Life(home), Disk()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage, "ops", recorder)
        ACTS["a run is made"](life)
        life.train()
        life.leave()
        recorder.mkdir(life.tales.checkpoints, 0o700)
        os.close(recorder.open(life.tales.events, os.O_WRONLY | os.O_CREAT))
        life.save(1, 3.0)
        ACTS["that is told"](life)
    life.leave()
    for record in recorder.records:
        disk.happens(record)
    for number, tree in enumerate(disk.left(64)):
        plant(tree, tmp_path / str(number))
        tales = look(tmp_path / str(number))["runs"]["tales"]
        assert (tales["checkpoints"], tales["events"]) == ({1: 3.0}, [("saved", 1)])


def test_what_is_published_is_flushed_before_and_the_manifest_is_last(tmp_path: Path) -> None:
    check_order(recorded(tmp_path / "life"))


def test_bits_that_turned_over_are_found_and_the_checkpoint_before_is_used(tmp_path: Path) -> None:
    life = life_with_checkpoints(tmp_path)
    check_a_damaged_checkpoint_is_skipped(life.tales)


def life_with_checkpoints(folder: Path) -> Life:
    prepare(folder / "home")
    life = Life(folder / "home")
    for name, act in ACTS.items():
        act(life)
        if name == "step 5 is saved":
            break
    life.leave()
    return life


write_file, flush_folder = storage._write_new, storage.fsync_dir
write_new, append_line = storage.write_new, storage.append_line
SAVE = checkpoint.save_checkpoint


def without_flush(path: Path, data: bytes, durable: bool) -> None:
    write_file(path, data, False)


def nothing(*_: object) -> None:
    pass


def rename_first(temporary: Path, final: Path) -> None:
    """Publishes, and only then flushes what was published."""
    storage.ops.rename(temporary, final)
    flush_folder(final.parent)
    for path in [*final.rglob("*"), final]:
        fd = storage.ops.open(path, os.O_RDONLY)
        storage.ops.fsync(fd)
        os.close(fd)


def make_room_first(folder: Any, *args: Any) -> Path:
    """Deletes what may go once the new checkpoint is there, before it is there."""
    checkpoint.prune(folder, args[0], keep_last=1)
    return SAVE(folder, *args)


def never_durable(fd: int, line: bytes, folder: Path, *, durable: bool = False) -> None:
    append_line(fd, line, folder)


held: dict[Path, bytes] = {}


def manifest_first(path: Path, data: bytes) -> None:
    if path.name in (manifest.MODEL, manifest.TRAINING):
        held[path] = data
        return
    write_new(path, data)
    for late, content in held.items():
        write_new(late, content)
    held.clear()


def remove_without_flush(path: Path) -> None:
    trash = path.with_name(f"{storage.TRASH}{path.name}")
    storage.ops.rename(path, trash)
    storage.ops.rmtree(trash)


Mutant = list[tuple[object, str, Callable[..., Any]]]
MUTANTS: dict[str, Mutant] = {
    "files are not flushed": [(storage, "_write_new", without_flush)],
    "folders are not flushed": [(storage, "fsync_dir", nothing)],
    "a folder is renamed before it is flushed": [(storage, "_write_new", without_flush), (storage, "publish", rename_first)],
    "older checkpoints go before the new one is there": [(checkpoint, "save_checkpoint", make_room_first)],
    "events are never flushed": [(storage, "append_line", never_durable)],
    "a folder is emptied before its new name is safe": [(storage, "discard", remove_without_flush)],
}  # fmt: skip


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_program_that_flushes_too_little_is_caught(
    mutant: str, pictures: list[Picture], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for part in MUTANTS[mutant]:
        monkeypatch.setattr(*part)
    records = recorded(tmp_path / "life")
    with pytest.raises(AssertionError, match="power lost at moment"):
        check_all(records, pictures, tmp_path / "left")


@pytest.mark.parametrize(
    ("mutant", "said"),
    [
        ((storage, "write_new", manifest_first), "a manifest is not written last"),
        ((storage, "_write_new", without_flush), "is renamed before it is flushed"),
    ],
    ids=["the manifest first", "no flush"],
)
def test_a_program_that_writes_in_another_order_is_caught(
    mutant: Any, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(*mutant)
    with pytest.raises(AssertionError, match=said):
        check_order(recorded(tmp_path / "life"))


def test_a_program_that_does_not_compare_hashes_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifest, "_check_hash", nothing)
    life = life_with_checkpoints(tmp_path)
    with pytest.raises(AssertionError, match="was taken for a sound one"):
        check_a_damaged_checkpoint_is_skipped(life.tales)
