"""What starting promises: the screen never waits, a wrong wish is one sentence and leaves nothing, and a trainer outlives who started it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.beginning import asked_line
from engine.errors import BusyError, CheckpointError, UsageError
from engine.runs import RunFolder, Status
from tests.tinygpt_tui.scripted_run import ScriptedRun, finished_run, stopped_run
from tests.tinygpt_tui.scripted_world import waiting_reader
from tinygpt_tui.sources import run_starter
from tinygpt_tui.sources.run_starter import RunStarter, Starting

TINY = {
    "n_layer": 1,
    "n_head": 2,
    "n_embd": 16,
    "block_size": 16,
    "batch_size": 4,
    "threads": 1,
    "sample_chars": 0,
}

Story = Callable[[RunFolder], str]


class Trainers:
    """Stands for the processes that would train: each is a child of ours that lives until it is told to end."""

    def __init__(self) -> None:
        self.started: list[tuple[RunFolder, dict[str, Any]]] = []
        self.children: list[subprocess.Popen[bytes]] = []
        self.speak: Callable[[RunFolder, int], None] = lambda folder, pid: None

    def __call__(self, folder: RunFolder, **options: Any) -> int:
        child = subprocess.Popen(
            [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE
        )
        self.children.append(child)
        self.started.append((folder, options))
        self.speak(folder, child.pid)
        return child.pid

    def end(self) -> None:
        for child in self.children:
            assert child.stdin is not None
            child.stdin.close()
            with contextlib.suppress(ChildProcessError):
                os.waitpid(child.pid, 0)
            child.returncode = 0


@pytest.fixture
def trainers() -> Iterator[Trainers]:
    made = Trainers()
    yield made
    made.end()


@pytest.fixture
def starter(home: Path, trainers: Trainers) -> Iterator[RunStarter]:
    made = RunStarter(home, home / "cache", trainers)
    yield made
    made.close()


def settle(starter: RunStarter) -> Starting:
    """The snapshot once nothing is being started any more."""
    deadline = time.monotonic() + 60
    while starter.busy:
        assert time.monotonic() < deadline, starter.snapshot
        starter.tick()
        time.sleep(0.002)
    return starter.snapshot


def test_a_new_run_is_read_started_and_named(
    starter: RunStarter, trainers: Trainers, home: Path, corpora: Path
) -> None:
    assert starter.snapshot == Starting()
    starter.start(
        str(corpora / "fox.txt"), minutes=2, size="0.3m", arch="classic", seed=7, values={"threads": 1}
    )
    assert (starter.snapshot.state, starter.snapshot.run, starter.busy) == ("reading", None, True)
    assert settle(starter) == Starting("started", "fox")
    ((folder, options),) = trainers.started
    assert folder.path == home / "runs" / "fox"
    assert options == {"total_steps": None, "cache_dir": home / "cache"}
    asked = folder.read_request()
    assert (asked["size"], asked["values"]) == (
        "0.3m",
        {"threads": 1, "arch": "classic", "seed": 7, "time": 120.0},
    )


def test_the_screen_hears_of_each_change_once(starter: RunStarter, corpora: Path) -> None:
    assert not starter.tick()
    starter.start(str(corpora / "fox.txt"), steps=5)
    changed = []
    while starter.busy:
        changed.append(starter.tick())
    assert (changed.count(True), starter.tick()) == (1, False)


def test_what_reading_changed_is_told(starter: RunStarter, tmp_path: Path) -> None:
    file = tmp_path / "dos.txt"
    file.write_bytes(b"one line of text\r\n" * 60)
    starter.start(str(file), steps=5, name="dos")
    assert settle(starter).notices == ("60 CRLF line ends made LF",)


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({}, "either minutes or steps"),
        ({"minutes": 1, "steps": 5}, "either minutes or steps"),
        ({"minutes": 1, "values": {"steps": 5}}, "either minutes or steps"),
        ({"steps": 0}, "steps must be"),
        ({"minutes": 0.001}, "time must be"),
        ({"steps": 5, "size": "9t"}, "no size"),
        ({"steps": 5, "arch": "rnn"}, "arch must be"),
        ({"steps": 5, "name": "../x"}, "cannot name a run"),
        ({"steps": 5, "name": "taken"}, "exists already"),
        ({"steps": 5, "values": {"colour": 1}}, "colour"),
    ],
)
def test_a_wrong_wish_is_refused_at_once(
    starter: RunStarter, home: Path, wrong: dict[str, Any], problem: str
) -> None:
    ScriptedRun(home / "runs", "taken", begin=False)
    with pytest.raises(UsageError, match=problem):
        starter.start("tales", **wrong)
    assert (starter.busy, starter.snapshot) == (False, Starting())
    assert [path.name for path in (home / "runs").iterdir()] == ["taken"]


def test_a_text_that_cannot_be_used_is_one_sentence(
    starter: RunStarter, home: Path, tmp_path: Path, trainers: Trainers
) -> None:
    file = tmp_path / "short.txt"
    file.write_text("abc")
    starter.start(str(file), steps=5, name="short")
    failed = settle(starter)
    assert (failed.state, failed.run) == ("failed", "short")
    assert "too short" in failed.message
    assert (trainers.started, (home / "runs").exists()) == ([], False)


def test_a_trainer_that_cannot_be_started_is_one_sentence(home: Path, corpora: Path) -> None:
    def refuse(folder: RunFolder, **options: Any) -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    starter = RunStarter(home, home, refuse)
    starter.start(str(corpora / "fox.txt"), steps=5)
    assert settle(starter).message == (
        "The trainer of fox cannot be started (resource temporarily unavailable): end other programs and resume it."
    )


def test_the_screen_sees_how_far_reading_is_and_one_thing_is_started_at_a_time(
    corpora: Path, home: Path, trainers: Trainers, tmp_path: Path, until: Callable[..., None]
) -> None:
    starter = RunStarter(home, home / "cache", trainers, waiting_reader(tmp_path / "sign"))
    starter.start(str(corpora / "fox.txt"), steps=5)
    until(lambda: starter.tick() or "50 %" in starter.snapshot.message)
    with pytest.raises(BusyError, match="just being started"):
        starter.start("tales", steps=5)
    with pytest.raises(BusyError, match="just being started"):
        starter.resume("fox")
    (tmp_path / "sign").touch()
    assert settle(starter) == Starting("started", "fox")
    starter.close()


@pytest.mark.parametrize("before", ["", "os.close(0); print('{\"done\": true}', flush=True)"])
def test_a_reader_that_is_killed_is_one_sentence(
    home: Path, corpora: Path, trainers: Trainers, before: str
) -> None:
    command = [sys.executable, "-c", f"import os; {before}\nos.kill(os.getpid(), 9)"]
    starter = RunStarter(home, home / "cache", trainers, command)
    starter.start(str(corpora / "fox.txt"), steps=5)
    failed = settle(starter)
    assert failed.state == "failed" and "was killed" in failed.message
    assert (trainers.started, (home / "runs").exists()) == ([], False)


def test_no_name_at_all_is_not_the_current_folder(
    starter: RunStarter, trainers: Trainers, corpora: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(corpora)
    starter.start("", steps=5)
    assert "called nothing" in settle(starter).message and not trainers.started


def test_a_run_goes_on_and_is_started_once_its_trainer_speaks(
    starter: RunStarter, trainers: Trainers, home: Path
) -> None:
    run = stopped_run(home / "runs", steps=20)
    starter.resume("tales-02", steps=90)
    assert (starter.snapshot.state, starter.snapshot.run) == ("starting", "tales-02")
    while not trainers.started:
        assert not starter.tick()
    assert starter.busy
    pid = trainers.children[0].pid
    run.folder.status.write_text("{")  # damaged for a moment
    run.folder.write_status(Status(pid, "preparing", 20, 0.0))
    assert settle(starter) == Starting("started", "tales-02")
    assert trainers.started[0][1] == {"total_steps": 90, "cache_dir": home / "cache"}


def test_extending_a_run_adds_to_the_steps_it_has_made(
    starter: RunStarter, trainers: Trainers, home: Path
) -> None:
    finished_run(home / "runs", steps=20)
    trainers.speak = lambda folder, pid: folder.write_status(Status(pid, "preparing", 20, 0.0))
    starter.extend("tales-01", 500)
    assert settle(starter).state == "started"
    assert trainers.started[0][1]["total_steps"] == 520
    with pytest.raises(UsageError, match="steps must be"):
        starter.extend("tales-01", 0)


def test_a_run_that_cannot_go_on_says_why(starter: RunStarter, home: Path, trainers: Trainers) -> None:
    runs = home / "runs"
    finished_run(runs, steps=20)
    with pytest.raises(UsageError, match="finished at step 20: say how many steps more"):
        starter.resume("tales-01")
    with pytest.raises(UsageError, match="has made 20 steps already"):
        starter.resume("tales-01", steps=20)
    with pytest.raises(UsageError, match="steps must be"):
        starter.resume("tales-01", steps=0)
    with pytest.raises(CheckpointError, match="no run"):
        starter.resume("nobody")
    with ScriptedRun(runs), pytest.raises(BusyError, match="being trained already"):
        starter.resume("tales-03")
    assert (starter.busy, trainers.started) == (False, [])


def test_a_trainer_that_ends_before_it_begins_says_why(
    starter: RunStarter, trainers: Trainers, home: Path
) -> None:
    run = stopped_run(home / "runs", steps=20)
    trainers.speak = lambda folder, pid: trainers.end()
    run.folder.log.write_text("error: The corpus is gone.\n")
    starter.resume("tales-02")
    assert settle(starter).message == "The trainer of tales-02 ended before it began: The corpus is gone."
    run.folder.log.unlink()
    trainers.children.clear()
    starter.resume("tales-02")
    assert settle(starter).message == "The trainer of tales-02 ended before it began: it left no reason"


def test_leaving_does_not_wait_for_a_trainer_that_says_nothing(
    starter: RunStarter, trainers: Trainers, home: Path
) -> None:
    stopped_run(home / "runs", steps=20)
    starter.resume("tales-02")
    while not trainers.started:
        time.sleep(0.002)
    starter.close()
    assert not starter.busy
    assert trainers.children[0].poll() is None  # it lives on


def test_no_child_that_has_ended_is_left_behind(
    starter: RunStarter, trainers: Trainers, corpora: Path
) -> None:
    starter.start(str(corpora / "fox.txt"), steps=5)
    settle(starter)
    pid = trainers.children[0].pid
    stdin = trainers.children[0].stdin
    assert stdin is not None
    stdin.close()
    deadline = time.monotonic() + 30
    while Path(f"/proc/{pid}").exists() if Path("/proc/self").exists() else starter._children:
        assert time.monotonic() < deadline
        starter.tick()
    assert starter._children == []


def test_a_real_trainer_is_started_stopped_by_a_signal_and_resumed(
    home: Path, corpora: Path, until: Callable[..., None]
) -> None:
    starter = RunStarter(home, home / "cache")
    starter.start(str(corpora / "fox.txt"), steps=100_000, values=TINY)
    assert settle(starter) == Starting("started", "fox")
    folder = RunFolder(home / "runs" / "fox")
    try:

        def training() -> bool:
            status = folder.read_status()
            return status is not None and status.state == "training" and folder.is_locked()

        until(training)
        status = folder.read_status()
        assert status is not None
        os.kill(status.pid, signal.SIGTERM)
        until(lambda: folder.state() == "stopped")
        until(lambda: not folder.is_locked())
        starter.resume("fox")
        assert settle(starter) == Starting("started", "fox")
        assert folder.is_locked()
        until(training)
    finally:
        status = folder.read_status()
        if status is not None and folder.is_locked():
            os.kill(status.pid, signal.SIGKILL)
        until(lambda: starter.tick() or not starter._children)
        starter.close()


def test_giving_up_ends_the_reading_at_once_and_no_run_comes_of_it(
    tmp_path: Path, trainers: Trainers, until: Callable[..., None]
) -> None:
    starter = RunStarter(tmp_path, tmp_path / "cache", trainers, waiting_reader(tmp_path / "never"))
    starter.start("sums", minutes=1)
    errand = starter._errand
    assert errand is not None
    until(lambda: starter._reader is not None)
    process = starter._reader
    assert process is not None
    starter.close()
    errand.close()
    assert process.returncode == -signal.SIGKILL
    assert trainers.started == [] and not (tmp_path / "runs").exists()


def test_a_reader_whose_interface_has_died_makes_no_run(tmp_path: Path, corpora: Path) -> None:
    asked = asked_line(
        tmp_path / "data", tmp_path / "cache", str(corpora / "fox.txt"), name=None, size="auto",
        values={"steps": 5}, encoding=None, force_text=False, force=False,
    )  # fmt: skip
    heard = subprocess.run(run_starter.COMMAND, input=asked, capture_output=True, timeout=60)
    assert heard.stdout.splitlines() == [b'{"done": true}'] and heard.returncode == 0
    assert not (tmp_path / "data").exists()
