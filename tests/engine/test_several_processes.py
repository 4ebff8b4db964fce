"""What several processes that train together promise: they learn what one learns, one of them writes, and no one waits for the dead.

The first process is mostly this very one, the others are real ones beside it.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import engine
from engine import control, team, trainer
from engine.checkpoint import find_checkpoint, load_weights
from engine.errors import CorpusError, LostError, ResourceError, UsageError
from engine.event_log import read_events
from engine.events import Control, Event, Failed, Step, Warn
from engine.ranks import Alone, run_together
from engine.runs import RunFolder
from engine.training import Training

ROOT = Path(engine.__file__).parent.parent

VALUES: dict[str, Any] = {"steps": 30, "optimizer": "adamw", "kernels": "eager", "save_every": 10}


class Pair:
    """Two processes: this one is the first, and the other one is started for each run."""

    def __init__(self, world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world, self._monkeypatch = world, monkeypatch
        self.other: subprocess.Popen[bytes] | None = None

    def start(self, folder: RunFolder, rank: int, port: int, *options: str) -> subprocess.Popen[bytes]:
        places = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2}
        places |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        environment = {name: str(value) for name, value in places.items()}
        if rank == 1:
            for name, value in (environment | {"RANK": "0", "LOCAL_RANK": "0"}).items():
                self._monkeypatch.setenv(name, value)
        return self.world.spawn(folder, *options, environment=environment)

    def train(
        self, folder: RunFolder, say: Callable[[Event], None] = lambda event: None, **options: Any
    ) -> int:
        self.other = self.start(folder, 1, free_port())

        def lead(team: Alone) -> int:
            code: int = self.world.train(folder, say, team=team, **options)
            return code

        return run_together(lead, lambda team: 1)

    def said(self) -> tuple[int, str]:
        """The other one's exit code and words."""
        assert self.other is not None and self.other.stdout is not None
        code = self.other.wait(timeout=120)
        return code, "".join(line.decode() for line in self.other.stdout if line.startswith(b"error"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def pair(world: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pair]:
    yield Pair(world, monkeypatch)


def at(step: int, act: Callable[[], Any]) -> Callable[[Event], None]:
    def say(event: Event) -> None:
        if isinstance(event, Step) and event.step == step:
            act()

    return say


def weights(folder: RunFolder) -> torch.Tensor:
    found = load_weights(find_checkpoint(folder)[0])
    return torch.cat([found[name].flatten() for name in sorted(found)]).double()


def difference(one: RunFolder, other: RunFolder) -> float:
    """The relative norm of the difference of their newest weights."""
    a, b = weights(one), weights(other)
    return float((a - b).norm() / b.norm())


def stop(folder: RunFolder) -> None:
    signal.raise_signal(signal.SIGINT)


def test_two_processes_learn_what_one_learns_and_either_can_go_on_for_the_other(pair: Pair) -> None:
    world = pair.world
    one, two, mixed = (world.run(name, **VALUES) for name in ("one", "two", "mixed"))
    assert world.train(one) == 0
    assert pair.train(two) == 0
    assert pair.said() == (0, "")
    assert difference(two, one) <= 1e-6
    assert [s[2] for s in world.steps(two)] == [s[2] for s in world.steps(one)]
    assert [s[1] for s in world.steps(two)] == pytest.approx([s[1] for s in world.steps(one)], rel=1e-5)

    assert world.train(mixed, at(9, lambda: stop(mixed))) == 130
    assert pair.train(mixed, at(20, lambda: stop(mixed))) == 130
    assert pair.said() == (130, "")
    assert world.train(mixed) == 0
    assert difference(mixed, one) <= 1e-6
    assert [s[::2] for s in world.steps(mixed)] == [s[::2] for s in world.steps(one)]
    warned = [e.message for e in read_events(mixed) if isinstance(e, Warn)]
    assert any("the number of processes was 1 and is 2 now" in message for message in warned), warned


def test_a_process_that_is_killed_ends_the_run_with_the_last_step_saved(pair: Pair) -> None:
    world = pair.world
    run, whole = world.run("run", **VALUES), world.run("whole", **VALUES)

    def kill() -> None:
        assert pair.other is not None
        pair.other.kill()
        pair.other.wait()

    with pytest.raises(
        LostError, match=r"died or cannot be reached .*Step 13 is saved; go on with: .*--resume run"
    ):
        pair.train(run, at(13, kill))
    assert find_checkpoint(run)[0].step == 13
    assert (run.state(), run.is_locked()) == ("failed", False)
    assert isinstance(read_events(run)[-1], Failed)
    assert world.train(run) == world.train(whole) == 0
    assert difference(run, whole) <= 1e-6


def test_without_the_first_process_the_others_end_with_a_sentence(pair: Pair) -> None:
    folder = pair.world.run("run", **VALUES | {"steps": 10**6})
    port = free_port()
    other, first = pair.start(folder, 1, port), pair.start(folder, 0, port)
    pair.world.until(lambda: len(pair.world.steps(folder)) > 3 or first.poll() is not None)
    first.kill()
    pair.other = other
    code, said = pair.said()
    assert code == 1
    assert said.count("\n") == 1 and "died or cannot be reached any more. Process 1 of 2 ends." in said
    assert folder.state() == "stale"


def test_asking_any_process_to_end_saves_and_ends_all(pair: Pair) -> None:
    folder = pair.world.run("run", **VALUES | {"steps": 10**6})

    def ask() -> None:
        assert pair.other is not None
        pair.other.send_signal(signal.SIGTERM)

    assert pair.train(folder, at(5, ask)) == 143
    assert pair.said() == (143, "")
    assert folder.state() == "stopped"
    assert find_checkpoint(folder)[0].step == pair.world.steps(folder)[-1][0]


def test_one_that_is_asked_while_the_run_is_paused_is_heard_whatever_its_folder_is_called(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(team, "SIGN_OF_LIFE_SECONDS", 0.0)
    run = pair.world.run("run", **VALUES | {"steps": 10**6})
    folder = RunFolder(run.path.rename(run.path.with_name("A copy")))

    def say(event: Event) -> None:
        if isinstance(event, Step) and event.step == 5:
            control.request(folder, "pause")
        if isinstance(event, Control) and event.do == "pause":
            assert pair.other is not None
            pair.other.send_signal(signal.SIGTERM)

    assert pair.train(folder, say) == 143
    assert pair.said() == (143, "")
    assert folder.state() == "stopped"


def test_a_first_process_that_fails_in_an_update_leaves_nobody_waiting(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = pair.world.run("run", **VALUES)
    backward, left = Training._backward, iter(range(5))

    def fails(self: Training, *given: Any) -> Any:
        if next(left, None) is None:
            raise MemoryError
        return backward(self, *given)

    monkeypatch.setattr(Training, "_backward", fails)
    with pytest.raises(ResourceError, match="ran out of memory"):
        pair.train(folder)
    code, said = pair.said()
    assert code == 1 and "Process 1 of 2 ends." in said


def test_of_another_version_nobody_learns_and_only_the_first_says_why(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(team, "_hash_of_code", lambda: "of another version")
    folder = pair.world.run("run", **VALUES)
    with pytest.raises(UsageError, match=r"Process 1 on .* another version of tinygpt"):
        pair.train(folder)
    assert pair.said() == (2, "")
    assert not folder.run.exists()


def test_a_process_that_has_another_text_is_named_and_nothing_is_learned(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = pair.world.run("run", **VALUES)
    introduce = trainer.introduce

    def elsewhere(team: Alone, prepared: Any) -> None:
        # What another machine looks like: no store of ours, and another file of that name.
        folder.corpora.rename(folder.corpora.with_name("away"))
        pair.world.file.write_text("another text. " * 400, encoding="utf-8")
        introduce(team, prepared)

    monkeypatch.setattr(trainer, "introduce", elsewhere)
    with pytest.raises(
        CorpusError, match=r"Process 1 on .* cannot take part: .* is not the text this run learned"
    ):
        pair.train(folder)
    assert pair.said() == (3, "")
    assert not pair.world.steps(folder)


def test_torchrun_before_the_command_trains_once_and_a_signal_ends_it_in_order(
    world: Any, tmp_path: Path
) -> None:
    settings = [f"--set={key}={value}" for key, value in (("n_layer", 1), ("n_embd", 16), ("n_head", 2), ("batch_size", 5),
                ("kernels", "eager"), ("sample_chars", 0))]  # fmt: skip
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "tinygpt_tui",
               "train", str(world.file), "--name=both", "--steps=1000000", "--json", *settings]  # fmt: skip
    home = tmp_path / "home"
    folder = RunFolder(home / "data" / "runs" / "both")
    child = subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TINYGPT_HOME": str(home), "OMP_NUM_THREADS": "1"},
    )
    world.children.append(child)
    world.until(lambda: child.poll() is not None or (folder.events.exists() and len(world.steps(folder)) > 3))
    child.send_signal(signal.SIGTERM)
    out, told = child.communicate(timeout=120)
    assert told.count("stopped and saved; go on with: tinygpt train --resume both") == 1, told
    assert (folder.state(), folder.is_locked()) == ("stopped", False)
    assert find_checkpoint(folder)[0].step == world.steps(folder)[-1][0]
    assert [child.name for child in folder.path.parent.iterdir()] == ["both"]
    events = [json.loads(line)["event"] for line in out.splitlines()]
    assert [events.count(kind) for kind in ("start", "done")] == [1, 1]
    info = folder.read_run()
    assert (info["ranks"], info["micro_batch"]) == (2, 3)
