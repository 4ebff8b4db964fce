"""What the list of runs promises: it is true within about a second, costs little however many there are, and loses nothing."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from engine import storage
from engine.checkpoint import checkpoints
from engine.errors import BusyError, CheckpointError, ResourceError, UsageError
from engine.manifest import verify
from engine.run_list import summary_of
from engine.runs import Meta, RunFolder
from tests.tinygpt_tui.scripted_run import (
    ScriptedRun,
    died_run,
    failed_run,
    finished_run,
    loss_at,
    stopped_run,
)
from tinygpt_tui.sources import run_export, run_shelf
from tinygpt_tui.sources.errand import Errand
from tinygpt_tui.sources.run_export import export_run
from tinygpt_tui.sources.run_shelf import RunShelf


class NoFlush(storage.Ops):
    """Power cuts are the business of other tests."""

    def fsync(self, fd: int) -> None:
        pass


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "ops", NoFlush())


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.fixture
def shelf(runs: Path, tmp_path: Path) -> RunShelf:
    return RunShelf(runs, tmp_path / "trash")


def states(shelf: RunShelf) -> dict[str, str]:
    return {row.name: row.state for row in shelf.rows}


def finish_export(shelf: RunShelf) -> None:
    deadline = time.monotonic() + 30
    while shelf.export.state == "copying":
        assert time.monotonic() < deadline
        shelf.tick(time.monotonic())


def test_no_runs_are_an_empty_list(shelf: RunShelf) -> None:
    assert not shelf.tick(1.0)
    assert (shelf.rows, shelf.complete, shelf.newest_live(), shelf.problem) == ((), True, None, "")


def test_every_run_is_listed_newest_first_with_how_it_stands(runs: Path, shelf: RunShelf) -> None:
    finished_run(runs, created="2026-01-01T00:00:00Z")
    stopped_run(runs, created="2026-01-03T00:00:00Z")
    failed_run(runs, created="2026-01-02T00:00:00Z")
    died_run(runs, created="2026-01-04T00:00:00Z").folder.write_meta(Meta("mine", "look again"))
    (runs / "broken").mkdir()
    with ScriptedRun(runs, "live-01", created="2026-01-05T00:00:00Z", begin=False) as live:
        live.take_lock()
        shelf.scan()
        assert states(shelf) == {
            "live-01": "preparing", "killed-01": "died", "tales-02": "stopped", "broken-01": "failed", "tales-01": "done",
            "broken": "damaged",
        }  # fmt: skip
        assert [row.name for row in shelf.rows][:5] == list(states(shelf))[:5]
        row = shelf.row("killed-01")
        assert row is not None
        assert (row.label, row.notes, row.corpus, row.arch, row.params) == (
            "mine",
            "look again",
            "tales",
            "modern",
            1_790_000,
        )
        assert (row.step, row.horizon, row.live) == (220, 400, False)
        assert row.val_loss == pytest.approx(loss_at(200, val=True))
        assert row.size > 10_000
        assert row.created == 1767484800.0
        assert (shelf.newest_live(), shelf.live_names()) == ("live-01", ("live-01",))
    broken = shelf.row("broken")
    assert broken is not None
    assert "neither request.json nor run.json" in broken.reason
    assert shelf.row("nobody") is None


def test_changes_are_seen_at_the_next_look_and_looks_are_a_second_apart(runs: Path, shelf: RunShelf) -> None:
    with ScriptedRun(runs, begin=False) as run:
        assert shelf.tick(1.0)
        run.begin()
        run.steps(7)
        run.eval(1.5)
        assert not shelf.tick(1.5)
        assert shelf.tick(2.1)
        assert [(row.state, row.step, row.val_loss) for row in shelf.rows] == [("training", 7, 1.5)]
        version = shelf.version
        assert not shelf.tick(3.2)
        assert shelf.version == version
        run.die()
        assert shelf.tick(4.3)
        assert states(shelf) == {"tales-03": "died"}
        run.resume()
        shelf.tick(5.4)
        assert shelf.newest_live() == "tales-03"
        shutil.rmtree(run.folder.path)
    shelf.tick(6.5)
    assert shelf.rows == ()


def test_a_run_nobody_began_to_train_is_dead_after_a_while(
    runs: Path, shelf: RunShelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    ScriptedRun(runs, begin=False)
    shelf.scan()
    assert states(shelf) == {"tales-03": "preparing"}
    monkeypatch.setattr("engine.runs._START_GRACE_SECONDS", 0.0)
    shelf.scan()
    assert states(shelf) == {"tales-03": "died"}


def test_a_hurried_look_begins_with_what_was_written_to_last_and_the_ticks_see_the_rest(
    runs: Path, shelf: RunShelf
) -> None:
    for n in range(1, 6):
        folder = finished_run(runs, f"run-{n}").folder.path
        os.utime(folder, (1000.0 * n, 1000.0 * n))
    shelf.scan(0.0)
    assert [row.name for row in shelf.rows] == ["run-5"]
    while not shelf.complete:
        shelf.tick(1.0)
    assert len(shelf.rows) == 5


def test_two_hundred_runs_keep_no_tick_for_long(
    runs: Path, shelf: RunShelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished_run(runs, "run-000", steps=20)
    for n in range(1, 200):
        shutil.copytree(runs / "run-000", runs / f"run-{n:03}")
    took, now = [], 0.0
    read: list[Path] = []
    monkeypatch.setattr(run_shelf, "summary_of", lambda path: read.append(path) or summary_of(path))
    while not shelf.complete:
        began = time.process_time()
        shelf.tick(now)
        took.append(time.process_time() - began)
        now += 0.05
    assert len(shelf.rows) == 200
    assert len(took) > 3  # it was spread
    again = []
    for _ in range(50):
        began = time.process_time()
        assert not shelf.tick(now)
        again.append(time.process_time() - began)
        now += 0.3
    # The slowest are left out: what else the machine does is not ours.
    assert sorted(took)[int(len(took) * 0.9)] < 0.02
    assert sorted(again)[45] < 0.02
    assert len(read) == 200  # each once


def test_a_folder_that_cannot_be_read_is_one_sentence(runs: Path, shelf: RunShelf) -> None:
    runs.write_text("a file")
    assert shelf.tick(1.0)
    assert str(runs) in shelf.problem
    runs.unlink()
    assert shelf.tick(2.5)
    assert shelf.problem == ""


def test_a_label_and_notes_are_kept_and_do_not_touch_each_other(runs: Path, shelf: RunShelf) -> None:
    run = finished_run(runs, steps=8)
    shelf.scan()
    shelf.rename("tales-01", "  the [b]good\none[/b] ")
    shelf.note("tales-01", "line\nline")
    assert run.folder.read_meta() == Meta("the [b]good one[/b]", "line\nline")
    assert [(row.label, row.notes) for row in shelf.rows] == [("the [b]good one[/b]", "line\nline")]
    shelf.rename("tales-01", "")
    assert run.folder.read_meta() == Meta("", "line\nline")
    shelf.note("tales-01", "𝔸" * run_shelf.MOST_NOTES)
    assert len(run.folder.read_meta().notes) == run_shelf.MOST_NOTES
    with pytest.raises(UsageError, match="at most 80 characters"):
        shelf.rename("tales-01", "x" * 81)
    with pytest.raises(UsageError, match="at most 50,000 characters"):
        shelf.note("tales-01", "x" * 50_001)
    with pytest.raises(CheckpointError, match="no run"):
        shelf.rename("tales-09", "x")
    with pytest.raises(UsageError):
        shelf.note("../tales", "x")


def test_what_is_put_into_the_trash_leaves_the_list_and_comes_back_whole(
    runs: Path, shelf: RunShelf, tmp_path: Path
) -> None:
    finished_run(runs, "one", steps=8)
    finished_run(runs, "two", steps=8)
    shelf.scan()
    before = {row.name: row for row in shelf.rows}
    shelf.trash("one")
    shelf.trash("two")
    assert (shelf.rows, len(list((tmp_path / "trash").iterdir()))) == ((), 2)
    assert shelf.undo_trash() == "two"
    assert shelf.rows[0] == before["two"]
    finished_run(runs, "one", steps=4)
    assert shelf.undo_trash() == "one-2"
    shelf.scan()
    assert set(states(shelf)) == {"one", "two", "one-2"}
    assert [row.step for row in shelf.rows if row.name == "one-2"] == [8]
    with pytest.raises(UsageError, match="none to put back"):
        shelf.undo_trash()


def test_what_was_put_into_the_trash_before_this_playground_is_taken_out_as_well_the_latest_first(
    runs: Path, shelf: RunShelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1_700_000_000.0]
    monkeypatch.setattr("engine.trash.time.time", lambda: now[0])
    for name in ("later", "earlier", "own"):
        finished_run(runs, name, steps=8)
    shelf.scan()
    shelf.trash("earlier")
    now[0] += 1
    shelf.trash("later")

    another = RunShelf(runs, tmp_path / "trash")
    another.scan()
    another.trash("own")
    assert [another.undo_trash() for _ in range(3)] == ["own", "later", "earlier"]
    with pytest.raises(UsageError, match="The trash is empty"):
        another.undo_trash()


def test_a_run_that_is_being_trained_stays(runs: Path, shelf: RunShelf) -> None:
    with ScriptedRun(runs):
        shelf.scan()
        with pytest.raises(BusyError):
            shelf.trash("tales-03")
        assert list(states(shelf)) == ["tales-03"]
        with pytest.raises(UsageError, match="none to put back"):
            shelf.undo_trash()


def refuse(*arguments: object) -> None:
    raise ResourceError("No space is left on the disk.")


def test_putting_back_can_be_tried_again_when_it_failed_and_what_is_gone_does_not_stand_in_the_way(
    runs: Path, shelf: RunShelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two", "three"):
        finished_run(runs, name, steps=8)
    shelf.scan()
    for name in ("one", "two"):
        shelf.trash(name)
    gone = shelf.trash("three")

    shutil.rmtree(gone.path)
    with pytest.raises(CheckpointError, match="not in the trash any more"):
        shelf.undo_trash()
    monkeypatch.setattr("engine.trash._move", refuse)
    with pytest.raises(ResourceError):
        shelf.undo_trash()
    monkeypatch.undo()
    assert shelf.undo_trash() == "two" and shelf.undo_trash() == "one"


def test_the_copy_of_a_run_holds_its_best_checkpoint_and_is_a_run(
    runs: Path, shelf: RunShelf, tmp_path: Path
) -> None:
    with ScriptedRun(runs, horizon=80) as run:
        for loss in (2.0, 1.5, 1.8, 1.9):
            run.steps(10)
            run.eval(loss)
            run.save()
        target = tmp_path / "elsewhere"
        target.mkdir()
        shelf.scan()
        shelf.export_checkpoint("tales-03", target)
        with pytest.raises(UsageError, match="just being copied"):
            shelf.export_checkpoint("tales-03", target)
        finish_export(shelf)
        assert (shelf.export.state, shelf.export.path, shelf.export.share) == (
            "done",
            target / "tales-03",
            1.0,
        )
        copy = RunFolder(target / "tales-03")
        assert [(found.step, found.problem) for found in checkpoints(copy)] == [(20, None)]
        assert verify(copy.checkpoints / "step-00000020").val_loss == 1.5
        for name in ("run.json", "request.json", "tokenizer.json", "events.jsonl"):
            assert (copy.path / name).read_bytes() == (run.folder.path / name).read_bytes()
        assert (copy.state(), copy.is_locked()) == ("stopped", False)
        assert not list(target.glob(".*"))
        assert run.folder.is_locked()
    other = RunShelf(target, tmp_path / "trash")
    other.scan()
    assert [(row.state, row.step, row.val_loss, row.reason) for row in other.rows] == [
        ("stopped", 20, 1.5, "")
    ]


def test_a_copy_that_cannot_be_made_is_one_sentence_and_leaves_nothing(
    runs: Path, shelf: RunShelf, tmp_path: Path
) -> None:
    run = ScriptedRun(runs)
    run.die()
    target = tmp_path / "elsewhere"
    with pytest.raises(UsageError, match="is not a folder"):
        export_run(run.folder, target)
    target.mkdir()
    shelf.export_checkpoint("tales-03", target)
    finish_export(shelf)
    assert (shelf.export.state, shelf.export.path) == ("failed", None)
    assert "has no checkpoint yet" in shelf.export.message
    finished_run(runs, steps=8)
    (target / "tales-01").mkdir()
    with pytest.raises(UsageError, match="exists already"):
        export_run(RunFolder(runs / "tales-01"), target)
    with pytest.raises(CheckpointError):
        shelf.export_checkpoint("nobody", target)
    assert [path.name for path in target.iterdir()] == ["tales-01"]


def test_a_damaged_checkpoint_is_not_copied(runs: Path, tmp_path: Path) -> None:
    run = finished_run(runs, steps=8)
    for path in run.folder.checkpoints.glob("*/model.safetensors"):
        path.write_bytes(b"other" * 100)
    with pytest.raises(CheckpointError, match="no sound checkpoint"):
        export_run(run.folder, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


def test_a_copy_survives_that_the_trainer_prunes_what_is_being_copied(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ScriptedRun(runs) as run:
        run.steps(5)
        run.eval(2.0)
        run.save()
        copy_file = run_export._copy_file
        left = [1]

        def racing(source: Path, target: Path, *more: Callable[[int], bool]) -> bool:
            if left and source.name == "training.safetensors":
                left.clear()
                for loss in (1.9, 1.8, 1.7):
                    run.steps(5)
                    run.eval(loss)
                    run.save()
            return copy_file(source, target, *more)

        monkeypatch.setattr(run_export, "_copy_file", racing)
        copy = export_run(run.folder, tmp_path)
        assert copy is not None
        assert [found.step for found in checkpoints(RunFolder(copy))] == [20]


def test_a_checkpoint_that_changes_all_the_time_is_given_up(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = finished_run(runs, steps=8)

    def fail(*_: object) -> bool:
        raise CheckpointError("gone")

    monkeypatch.setattr(run_export, "_copy_file", fail)
    with pytest.raises(CheckpointError, match="gone"):
        export_run(run.folder, tmp_path)
    monkeypatch.setattr(run_export, "checkpoints", lambda folder: [])
    with pytest.raises(CheckpointError, match="changes all the time"):
        export_run(run.folder, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


def test_a_copy_that_is_given_up_or_cannot_be_written_leaves_nothing(
    runs: Path, tmp_path: Path, shelf: RunShelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = finished_run(runs, steps=8)
    shares: list[float] = []

    def go_on(share: float) -> bool:
        shares.append(share)
        return False

    assert export_run(run.folder, tmp_path, go_on) is None
    assert len(shares) == 1
    shelf.export_checkpoint("tales-01", tmp_path)
    shelf.close()
    shelf.close()
    shutil.rmtree(tmp_path / "tales-01", ignore_errors=True)  # it may have been quicker

    class Failing(NoFlush):
        def fsync(self, fd: int) -> None:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(storage, "ops", Failing())
    with pytest.raises(ResourceError, match="reported an error"):
        export_run(run.folder, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


def test_two_copies_at_once_do_not_mix(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = finished_run(runs, steps=8)
    publish = storage.publish

    def late(temporary: Path, final: Path) -> None:
        final.mkdir()
        publish(temporary, final)

    monkeypatch.setattr(storage, "publish", late)
    with pytest.raises(UsageError, match="exists already"):
        export_run(run.folder, tmp_path)
    assert list((tmp_path / "tales-01").iterdir()) == []


def test_a_real_run_copied_elsewhere_can_be_sampled(
    trained: object, home: Path, tmp_path: Path, tinygpt: Callable[..., object]
) -> None:
    copy = export_run(RunFolder(home / "data" / "runs" / "fox"), tmp_path)
    assert copy is not None
    shutil.rmtree(home)
    outcome = tinygpt("sample", str(copy), "-n", "20", "-p", "The", "--seed", "1")
    assert (outcome.code, len(outcome.out) >= 20) == (0, True)  # type: ignore[attr-defined]
    assert json.loads((copy / "status.json").read_text())["state"] in ("done", "stopped")


def test_an_errand_tells_what_went_wrong_in_one_sentence() -> None:
    def give(problem: Exception) -> Callable[[Errand[int]], int]:
        def work(errand: Errand[int]) -> int:
            raise problem

        return work

    for problem, told in (
        (UsageError("Too bad."), "Too bad."),
        (MemoryError(), "There is too little memory"),
        (KeyError("x\x1b"), "because of a defect of tinygpt"),
    ):
        errand = Errand(give(problem))
        errand.close()
        assert (errand.done, errand.result) == (True, None)
        assert told in errand.problem
        assert "\x1b" not in errand.problem
