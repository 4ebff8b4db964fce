"""What watching promises: a run is seen as it is, within moments, whoever trains it and however it ends, and no look keeps the screen."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.checkpoint import checkpoints
from engine.control import request
from engine.corpus import read_corpus
from engine.errors import UsageError
from engine.event_log import EventLog
from engine.events import Control
from engine.facts import RUNGS, rungs
from engine.launch import new_run, start_detached
from engine.runs import Meta, RunFolder, Status
from tests.tinygpt_tui.scripted_run import (
    ScriptedRun,
    died_run,
    failed_run,
    finished_run,
    loss_at,
    stopped_run,
)
from tinygpt_tui.sources import run_watch
from tinygpt_tui.sources.run_watch import EVENT_BYTES, RunWatch, known_ladder, last_line


class Clock:
    """Time that passes only between looks."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self, seconds: float = 1.0) -> float:
        self.now += seconds
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def run(tmp_path: Path) -> Iterator[ScriptedRun]:
    with ScriptedRun(tmp_path / "runs") as made:
        yield made


def test_a_run_is_followed_from_its_request_to_its_end(tmp_path: Path, clock: Clock) -> None:
    with ScriptedRun(tmp_path, begin=False, horizon=40) as run:
        watch = RunWatch(run.folder)
        assert watch.poll(clock())
        assert (watch.picture.state, watch.picture.corpus, watch.picture.live) == ("preparing", "tales", True)
        run.take_lock()
        watch.poll(clock())
        assert (watch.picture.state, watch.picture.pid) == ("preparing", os.getpid())
        run.begin(first_sample=True)
        run.steps(20)
        run.look()
        assert watch.poll(clock())
        picture = watch.picture
        assert (picture.state, picture.step, picture.horizon, picture.params) == (
            "training",
            20,
            40,
            1_790_000,
        )
        assert list(picture.train.values) == [loss_at(n) for n in range(20)]
        assert (picture.val_loss, picture.saved_step, len(picture.samples)) == (loss_at(20, val=True), 20, 2)
        assert picture.memory_bytes is None or picture.memory_bytes > 1 << 20
        run.status("paused")
        assert watch.poll(clock())
        assert watch.picture.state == "paused"
        run.steps(20)
        run.finish()
        assert watch.poll(clock())
        assert (watch.picture.state, watch.picture.live) == ("done", False)
        assert watch.picture.done is not None
        assert not watch.poll(clock())


def test_nothing_changes_when_nothing_happens(run: ScriptedRun, clock: Clock) -> None:
    run.steps(5)
    watch = RunWatch(run.folder)
    watch.poll(clock())
    picture = watch.picture
    run.folder.write_status(Status(os.getpid(), "training", 5, 1e9, 2000))
    changed = [watch.poll(clock()) for _ in range(5)]
    # The memory of this process may move by a mebibyte.
    assert (
        watch.picture is picture or watch.picture.memory_bytes != picture.memory_bytes or not any(changed[1:])
    )


def test_events_are_seen_at_every_look_and_the_status_at_most_four_times_a_second(
    run: ScriptedRun, clock: Clock
) -> None:
    watch = RunWatch(run.folder)
    watch.poll(clock())
    run.steps(1)
    run.status("paused")
    watch.poll(clock(0.01))
    assert (watch.picture.train.n, watch.picture.state) == (1, "training")
    watch.poll(clock(0.25))
    assert watch.picture.state == "paused"


def test_a_long_run_is_read_in_pieces_and_says_how_far_it_is(run: ScriptedRun, clock: Clock) -> None:
    run.steps(3000)
    request(run.folder, "save")
    watch = RunWatch(run.folder)
    shares = []
    size = run.folder.events.stat().st_size
    while watch.poll(clock(0.05)) and watch.picture.catching_up is not None:
        shares.append(watch.picture.catching_up)
        assert shares[-1] * size <= len(shares) * EVENT_BYTES + 1
        assert watch.picture.pending == ()
    assert len(shares) == size // EVENT_BYTES
    assert shares == sorted(shares)
    assert watch.picture.train.n == 3000
    assert [asked.do for asked in watch.picture.pending] == ["save"]


def test_no_look_at_a_run_of_twenty_thousand_steps_keeps_the_screen_waiting(
    run: ScriptedRun, clock: Clock
) -> None:
    run.steps(20_000)
    watch = RunWatch(run.folder)
    took = []
    while not took or watch.picture.catching_up is not None:
        began = time.process_time()
        watch.poll(clock(0.05))
        _ = watch.picture
        took.append(time.process_time() - began)
    assert watch.picture.train.n == 20_000
    # What else the machine does is not ours, so the slowest few are left out. Measured are 5 ms.
    assert sorted(took)[int(len(took) * 0.9)] < 0.02


def test_half_a_line_waits_for_its_end(run: ScriptedRun, clock: Clock) -> None:
    run.steps(3)
    whole = run.folder.events.read_bytes()
    run.folder.events.write_bytes(whole[:-10])
    watch = RunWatch(run.folder)
    watch.poll(clock())
    assert (watch.picture.train.n, watch.picture.catching_up) == (2, None)
    with run.folder.events.open("ab") as file:
        file.write(whole[-10:])
    watch.poll(clock())
    assert watch.picture.train.n == 3


def test_a_dead_trainer_is_seen_and_what_can_be_done_is_said(run: ScriptedRun, clock: Clock) -> None:
    run.steps(30)
    run.look()
    run.steps(4)
    watch = RunWatch(run.folder)
    watch.poll(clock())
    assert watch.picture.state == "training"
    run.die()
    assert watch.poll(clock(3.0))
    picture = watch.picture
    assert (picture.state, picture.live) == ("died", False)
    assert picture.message == (
        "The trainer was killed at step 34, or the machine went off: resume it from step 30."
    )
    run.resume()
    run.steps(2)
    watch.poll(clock())
    assert (watch.picture.state, watch.picture.message, watch.picture.step) == ("training", "", 32)
    assert [mark.kind for mark in watch.picture.marks] == ["resumed"]


def test_a_checkpoint_counts_though_the_trainer_died_before_it_could_tell_of_it(
    run: ScriptedRun, clock: Clock
) -> None:
    run.steps(30)
    told = run.folder.events.read_bytes()
    run.save()
    run.die()
    run.folder.events.write_bytes(told)
    watch = RunWatch(run.folder)
    watch.poll(clock())
    watch.poll(clock())
    assert watch.picture.message.endswith("resume it from step 30.")


def test_a_trainer_that_died_before_it_saved_begins_again(run: ScriptedRun, clock: Clock) -> None:
    run.steps(3)
    run.die()
    watch = RunWatch(run.folder)
    watch.poll(clock())
    watch.poll(clock())
    assert watch.picture.message.endswith("at step 3, or the machine went off: resume it to begin again.")


def test_the_last_word_of_the_log_is_the_reason_unless_it_is_an_old_one(
    run: ScriptedRun, clock: Clock
) -> None:
    run.steps(3)
    run.die()
    watch = RunWatch(run.folder)
    run.folder.log.write_text("error: tales-03 is in use by process 5.\n")
    os.utime(run.folder.log, (1.0, 1.0))
    watch.poll(clock())
    assert "was killed" in watch.picture.message
    run.folder.log.write_text(
        "Traceback (most recent call last):\n  x\nRuntimeError: \x1b[31mout of luck\n\n"
    )
    watch.poll(clock())
    assert watch.picture.message == (
        "The trainer ended (RuntimeError: \x1b[31mout of luck): resume it to begin again."
    )


def test_a_trainer_that_failed_before_it_spoke_has_its_reason_in_the_log(
    tmp_path: Path, clock: Clock
) -> None:
    run = ScriptedRun(tmp_path, begin=False)
    watch = RunWatch(run.folder)
    run.folder.log.write_text("some library says hello\n")
    watch.poll(clock())
    assert watch.picture.state == "preparing"
    run.folder.log.write_text("error: The machine has too little memory.\n")
    watch.poll(clock())
    assert (watch.picture.state, watch.picture.message) == ("failed", "The machine has too little memory.")
    with pytest.raises(UsageError, match="is failed"):
        watch.request("save")


def test_a_run_that_nobody_began_to_train_is_dead_after_a_while(tmp_path: Path, clock: Clock) -> None:
    run = ScriptedRun(tmp_path, begin=False)
    os.utime(run.folder.request, (1e9, 1e9))
    watch = RunWatch(run.folder)
    watch.poll(clock())
    assert (watch.picture.state, watch.picture.message) == (
        "died", "The trainer ended (it never began): resume it to begin again.",
    )  # fmt: skip


def test_how_a_run_ended_is_seen_by_whoever_opens_it_later(tmp_path: Path, clock: Clock) -> None:
    for make, state in (
        (finished_run, "done"),
        (stopped_run, "stopped"),
        (failed_run, "failed"),
        (died_run, "died"),
    ):
        watch = RunWatch(make(tmp_path).folder)
        while watch.poll(clock()):
            pass
        picture = watch.picture
        assert (picture.state, picture.live) == (state, False)
        assert (picture.message != "") == (state in ("failed", "died"))
        assert (picture.failed is not None) == (state == "failed")
        assert (picture.done is not None) == (state in ("done", "stopped"))


def test_a_request_is_pending_until_the_trainer_obeys(run: ScriptedRun, clock: Clock) -> None:
    watch = RunWatch(run.folder)
    run.steps(3)
    watch.poll(clock())
    identity = watch.request("lr", 0.5)
    watch.request("sample", 40, "Once")
    assert [(asked.do, asked.value) for asked in watch.picture.pending] == [("lr", 0.5), ("sample", 40.0)]
    assert watch.picture.pending[0].id == identity
    run.obey_controls()
    watch.poll(clock())
    assert watch.picture.pending == ()
    assert [(mark.step, mark.text) for mark in watch.picture.marks] == [(3, "lr ×0.5"), (3, "sample")]
    assert watch.picture.samples[-1].prompt == "Once"


def test_a_request_from_another_terminal_is_pending_too(run: ScriptedRun, clock: Clock) -> None:
    watch = RunWatch(run.folder)
    watch.poll(clock())
    request(run.folder, "pause")
    assert watch.poll(clock())
    assert [asked.do for asked in watch.picture.pending] == ["pause"]


def test_every_way_to_steer_reaches_the_trainer(run: ScriptedRun, clock: Clock) -> None:
    watch = RunWatch(run.folder)
    asked = [
        ("pause", None),
        ("resume", None),
        ("save", None),
        ("sample", None),
        ("lr", 2.0),
        ("extend", 500),
        ("stop", None),
    ]
    for do, value in asked:
        watch.request(do, value)
    assert [found.do for found in run.obey_controls()] == [do for do, _ in asked]
    watch.poll(clock())
    assert (watch.picture.state, watch.picture.horizon, watch.picture.pending) == ("stopped", 2500, ())


def test_nothing_is_asked_of_a_run_that_nobody_trains(tmp_path: Path, clock: Clock) -> None:
    for make, word in ((finished_run, "is done"), (failed_run, "is failed"), (died_run, "has died")):
        run = make(tmp_path)
        watch = RunWatch(run.folder)
        with pytest.raises(UsageError, match=f"{word}, so there is no trainer to ask: resume it first"):
            watch.request("stop")
        assert not run.folder.control.exists()
    run.folder.request.unlink()
    shutil.rmtree(run.folder.path)
    with pytest.raises(UsageError, match=r"is gone, .*: choose another run"):
        watch.request("stop")


def test_a_wrong_request_is_refused_and_not_written(run: ScriptedRun) -> None:
    watch = RunWatch(run.folder)
    with pytest.raises(UsageError, match="factor"):
        watch.request("lr", -1)
    assert not run.folder.control.exists()


def test_what_a_person_writes_about_a_run_is_seen(run: ScriptedRun, clock: Clock) -> None:
    watch = RunWatch(run.folder)
    watch.poll(clock())
    run.folder.write_meta(Meta("the good one", "see tomorrow"))
    watch.poll(clock(0.3))
    assert watch.picture.label == ""
    watch.poll(clock(1.0))
    assert (watch.picture.label, watch.picture.notes) == ("the good one", "see tomorrow")


def test_the_ladder_is_taken_from_the_cache_as_soon_as_it_is_there(tmp_path: Path, clock: Clock) -> None:
    file = tmp_path / "text.txt"
    file.write_text("the cat sat on the mat. " * 200)
    corpus = read_corpus(str(file))
    cache = tmp_path / "cache"
    with ScriptedRun(tmp_path / "runs", sha256=corpus.sha256) as run:
        watch = RunWatch(run.folder, cache)
        run.steps(10)
        run.eval(0.0001)
        watch.poll(clock())
        assert (dict(watch.picture.ladder), watch.picture.overtaken) == ({}, ())
        found = {rung.name: rung.nats for rung in rungs(corpus, cache)}
        watch.poll(clock())
        assert dict(watch.picture.ladder) == found
        assert tuple(found) == RUNGS
        assert {step for step, _ in watch.picture.overtaken} == {10}


def test_a_ladder_that_is_not_ours_is_none(tmp_path: Path) -> None:
    sha256 = hashlib.sha256(b"x").hexdigest()
    folder = tmp_path / "ladders"
    folder.mkdir()
    path = folder / f"{sha256}.json"
    good: dict[str, Any] = {"version": 1, "sha256": sha256, "ladder": {"uniform": 4.0}}
    path.write_text(json.dumps(good))
    assert known_ladder(tmp_path, sha256) == {"uniform": 4.0}
    bad = [
        {"version": 2}, {"sha256": "0"}, {"ladder": [1.0]}, {"ladder": {"uniform": "4"}}, {"ladder": {"uniform": True}},
    ]  # fmt: skip
    for change in bad:
        path.write_text(json.dumps(good | change))
        assert known_ladder(tmp_path, sha256) == {}
    path.write_text("{")
    assert known_ladder(tmp_path, sha256) == {}
    (tmp_path / "x.json").write_text(json.dumps(good | {"sha256": "../x"}))
    assert known_ladder(tmp_path, "../x") == {}


@pytest.mark.parametrize("name", ["status", "lock", "events", "control", "run"])
def test_a_damaged_folder_is_one_sentence_and_no_crash(run: ScriptedRun, clock: Clock, name: str) -> None:
    run.steps(3)
    run.die()
    path: Path = getattr(run.folder, name)
    path.unlink(missing_ok=True)
    if name in ("status", "run"):
        path.write_text("{}")
    else:
        path.symlink_to("/dev/zero")
    watch = RunWatch(run.folder)
    for _ in range(3):
        watch.poll(clock())
    assert watch.picture.state == "damaged"
    assert str(path) in watch.picture.message
    with pytest.raises(UsageError, match="is damaged"):
        watch.request("stop")


def test_requests_beyond_all_measure_are_not_read(
    run: ScriptedRun, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_watch, "CONTROL_BYTES", 10)
    request(run.folder, "pause")
    watch = RunWatch(run.folder)
    watch.poll(clock())
    assert watch.picture.pending == ()


def test_a_folder_that_is_gone_says_so(run: ScriptedRun, clock: Clock) -> None:
    watch = RunWatch(run.folder)
    watch.poll(clock())
    run.die()
    shutil.rmtree(run.folder.path)
    watch.poll(clock())
    assert watch.picture.state == "gone"
    assert watch.picture.message == "The folder of tales-03 is gone: choose another run."


def test_another_run_of_the_same_name_is_another_run(tmp_path: Path, clock: Clock) -> None:
    old = finished_run(tmp_path, "tales", steps=20)
    request(old.folder, "lr", 0.5)
    watch = RunWatch(old.folder)
    watch.poll(clock())
    old.folder.write_meta(Meta("old"))
    watch.poll(clock())
    assert (watch.picture.state, watch.picture.label, len(watch.picture.pending)) == ("done", "old", 1)
    old.folder.path.rename(tmp_path / "elsewhere")
    watch.poll(clock())
    assert watch.picture.state == "gone"
    with ScriptedRun(tmp_path, "tales", corpus="sums", begin=False) as new:
        for _ in range(2):
            watch.poll(clock())
        picture = watch.picture
        assert (picture.state, picture.corpus, picture.label) == ("preparing", "sums", "")
        assert (picture.train.n, picture.done, picture.pending) == (0, None, ())
        new.begin()
        new.steps(4)
        watch.poll(clock())
        assert (watch.picture.step, watch.picture.state) == (4, "training")


def test_another_run_is_told_apart_although_the_disk_gives_its_files_the_old_numbers(
    tmp_path: Path, clock: Clock
) -> None:
    run = ScriptedRun(tmp_path, begin=False)
    request(run.folder, "pause")
    watch = RunWatch(run.folder)
    watch.poll(clock())
    assert len(watch.picture.pending) == 1
    run.folder.control.unlink()
    number = run.folder.request.stat().st_ino
    run.folder.request.write_bytes(run.folder.request.read_bytes())
    os.utime(run.folder.request, (2e9, 2e9))
    watch.poll(clock())
    assert (run.folder.request.stat().st_ino, watch.picture.pending) == (number, ())


def test_an_events_file_that_begins_anew_is_told_anew(run: ScriptedRun, clock: Clock) -> None:
    run.steps(20)
    watch = RunWatch(run.folder)
    watch.poll(clock())
    os.truncate(run.folder.events, 0)
    with EventLog.open(run.folder) as log:
        log.append(Control("a", 3, "save"))
    watch.poll(clock())
    assert watch.picture.train.n == 0
    assert [mark.kind for mark in watch.picture.marks] == ["save"]


def test_the_last_line_of_a_log_is_cut_and_of_no_log_empty(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert last_line(log) == ""
    log.write_bytes(b"x" * 100_000 + b"\n" + b"y" * 1000 + b"\n  \n")
    assert last_line(log) == "y" * 400
    log.write_bytes(b"")
    assert last_line(log) == ""
    log.unlink()
    log.mkdir()
    assert last_line(log) == ""


@pytest.fixture
def trainer(corpora: Path, home: Path) -> Iterator[tuple[RunFolder, Callable[..., int]]]:
    """A real run of a very small model, and what starts a trainer for it."""
    values = {"n_layer": 1, "n_head": 2, "n_embd": 16, "block_size": 16, "batch_size": 4, "threads": 1, "sample_chars": 10,
              "steps": 100_000, "eval_every": 50}  # fmt: skip
    folder = new_run(home, read_corpus(str(corpora / "fox.txt")), name="fox", values=values)
    pids: list[int] = []

    def start(**options: Any) -> int:
        pids.append(start_detached(folder, **options))
        return pids[-1]

    yield folder, start
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass


def test_a_real_trainer_is_watched_killed_resumed_and_stopped(
    trainer: tuple[RunFolder, Callable[..., int]], until: Callable[..., None]
) -> None:
    folder, start = trainer
    watch = RunWatch(folder)

    def seen(condition: Callable[[], object]) -> None:
        def look() -> object:
            watch.poll(time.monotonic())
            return condition()

        until(look)

    watch.poll(time.monotonic())
    assert watch.picture.state == "preparing"
    pid = start()
    seen(lambda: watch.picture.state == "training" and (watch.picture.saved_step or 0) >= 50)
    assert watch.picture.pid == pid
    assert list(watch.picture.train.steps) == list(range(1, len(watch.picture.train.steps) + 1))
    os.kill(pid, signal.SIGKILL)
    killed = time.monotonic()
    seen(lambda: watch.picture.state == "died")
    assert time.monotonic() - killed < 3.0
    os.waitpid(pid, 0)
    saved = checkpoints(watch.folder)[0].step
    assert f"resume it from step {saved:,}." in watch.picture.message
    second = start()
    seen(lambda: (watch.picture.state, watch.picture.pid) == ("training", second))
    seen(lambda: watch.picture.step > (saved or 0) + 20)
    assert [(mark.step, mark.kind) for mark in watch.picture.marks] == [(saved, "resumed")]
    assert list(watch.picture.train.steps) == list(range(1, len(watch.picture.train.steps) + 1))
    watch.request("lr", 0.5)
    watch.request("stop")
    assert [asked.do for asked in watch.picture.pending] == ["lr", "stop"]
    seen(lambda: watch.picture.state == "stopped" and watch.picture.done)
    assert watch.picture.pending == ()
    os.waitpid(second, 0)


def test_the_sources_of_the_interface_load_neither_torch_nor_numpy_nor_textual(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\n"
        "from tests.tinygpt_tui.scripted_run import finished_run, ScriptedRun\n"
        "from tinygpt_tui.sources.run_watch import RunWatch\nfrom tinygpt_tui.sources.run_shelf import RunShelf\n"
        "from tinygpt_tui.sources.run_starter import RunStarter\n"
        "home = Path(sys.argv[1])\nrun = ScriptedRun(home / 'runs')\nrun.steps(5); run.look()\n"
        "watch = RunWatch(run.folder, home)\nwatch.poll(1.0); watch.request('lr', 0.5); run.die()\n"
        "shelf = RunShelf(home / 'runs', home / 'trash')\nshelf.scan()\n"
        "shelf.export_checkpoint('tales-03', home)\n"
        "while shelf.export.state == 'copying': shelf.tick(time.monotonic())\n"
        "assert shelf.export.state == 'done', shelf.export\nshelf.trash('tales-03'); shelf.undo_trash()\n"
        "starter = RunStarter(home, home / 'cache', launch=lambda *a, **k: 2**22 + 7)\n"
        "starter.start('tales', steps=5)\n"
        "while starter.snapshot.state == 'reading': starter.tick()\n"
        "assert starter.snapshot.state == 'started', starter.snapshot\n"
        "print([name for name in ('torch', 'numpy', 'textual', 'rich', 'typer') if name in sys.modules])"
    )
    root = Path(__file__).parents[2]
    child = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, str(tmp_path)], cwd=root, capture_output=True, text=True, check=False
    )  # fmt: skip
    assert (child.stdout, child.stderr) == ("[]\n", "")
