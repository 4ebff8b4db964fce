"""A trainer that the system kills, or whose disk fails, at whatever moment and however often, is gone on with to the last bit.

Run as a program, this file is what the trainers are forked from, so that torch is loaded once for all of them.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

import engine
from engine import storage
from engine.checkpoint import checkpoints, find_checkpoint
from engine.control import request
from engine.errors import TinygptError
from engine.event_log import read_events
from engine.events import Done, Saved
from engine.runs import RunFolder
from tests.engine.fault_injection import Faulty

ROOT = Path(engine.__file__).parent.parent
MOMENTS = 12  # at which each kind of run is killed
STRIKES = 5  # at which each kind of fault strikes
KINDS: dict[str, dict[str, Any]] = {
    "AdamW, classic": {"arch": "classic", "optimizer": "adamw", "dropout": 0.2},
    "Muon, modern": {"arch": "modern", "optimizer": "muon", "dropout": 0.2},
}
FAULTS = {
    "no space for a moment": (errno.ENOSPC, False),
    "no space from then on": (errno.ENOSPC, True),
    "an error of the drive": (errno.EIO, False),
    "read-only from then on": (errno.EROFS, True),
}


class Forge:
    """Where trainers come from: each is a process of its own, with a lock, a life and an end of its own."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.engine.test_killed_trainer"],
            cwd=ROOT,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )

    def start(self, folder: RunFolder, at: int = 0, error: int = 0, lasts: bool = False) -> int:
        """A trainer that is killed at its operation number `at`, or that operation fails with `error`; returns its process id."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([str(folder.path), at, error, lasts]) + "\n")
        self._process.stdin.flush()
        return int(self._hear())

    def end(self) -> tuple[int, list[str]]:
        """Waits for it; its exit code, negative if a signal ended it, and the operations it lived to count."""
        code, names = self._hear()
        return code, names

    def train(self, folder: RunFolder, *how: int) -> tuple[int, list[str]]:
        self.start(folder, *how)
        return self.end()

    def _hear(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "it ended"
        return json.loads(line)

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture(scope="module")
def forge() -> Iterator[Forge]:
    forge = Forge()
    yield forge
    forge.close()


def new_run(world: Any, name: str, values: dict[str, Any]) -> RunFolder:
    """A run that is asked for a text and for another rate before anybody trains it."""
    folder: RunFolder = world.run(name, **values)
    request(folder, "sample", 12, prompt="the cat")
    request(folder, "lr", 0.5)
    return folder


def check_acknowledged(folder: RunFolder) -> None:
    """Every checkpoint that was told to be saved is there, unless newer ones have taken its place, and nothing is damaged."""
    told = [event.step for event in read_events(folder) if isinstance(event, Saved)]
    infos = checkpoints(folder)
    assert not [info.problem for info in infos if info.problem]
    if told:
        found, skipped = find_checkpoint(folder)
        assert found.step >= max(told) and not skipped
        assert told[-1] in {info.step for info in infos}


class Whole:
    """A run to which nothing happened."""

    def __init__(self, world: Any, forge: Forge, kind: str) -> None:
        self.values = {"steps": 12, "save_every": 3, "eval_every": 4, **KINDS[kind]}
        self._folder, self._world = new_run(world, "whole", self.values), world
        code, self.names = forge.train(self._folder)
        assert code == 0

    def places(self, number: int) -> list[int]:
        """So many operations, the first and the last among them."""
        return [1 + n * (len(self.names) - 1) // (number - 1) for n in range(number)]

    def check(self, folder: RunFolder, at: int) -> None:
        """The other run has become the same, and nothing is left lying about."""
        where = f"operation {at} of {len(self.names)} ({self.names[at - 1]})"
        assert self._world.steps(folder) == self._world.steps(self._folder), where
        assert self._world.weights(folder) == self._world.weights(self._folder), where
        assert not [path for path in folder.path.rglob("*") if path.name.startswith(".")], where


@pytest.mark.parametrize("kind", KINDS)
def test_a_trainer_killed_at_any_operation_is_gone_on_with_to_the_last_bit(
    world: Any, forge: Forge, kind: str
) -> None:
    whole = Whole(world, forge, kind)
    moments, killed = whole.places(MOMENTS), 0
    for at in moments:
        folder = new_run(world, f"killed-{at}", whole.values)
        code, names = forge.train(folder, at)
        # A run that took longer has told more often where it is, so it has more operations.
        assert code == -signal.SIGKILL or 0 < len(names) < at
        killed += code == -signal.SIGKILL
        assert not folder.is_locked()
        check_acknowledged(folder)
        assert forge.train(folder)[0] == 0, f"it cannot go on after operation {at} ({whole.names[at - 1]})"
        whole.check(folder, at)
    print(
        f"\n{kind}: killed at {killed} of {len(whole.names)} operations, and each time the same weights at the end"
    )
    assert killed >= 10


@pytest.mark.parametrize("fault", FAULTS)
def test_a_trainer_whose_disk_fails_goes_on_or_says_so_and_is_gone_on_with(
    world: Any, forge: Forge, fault: str
) -> None:
    whole, codes = Whole(world, forge, "Muon, modern"), Counter[int]()
    for at in whole.places(STRIKES):
        folder = new_run(world, f"struck-{at}", whole.values)
        code, _ = forge.train(folder, at, *FAULTS[fault])
        assert code in (0, 1, 4), f"no error of ours at operation {at} ({whole.names[at - 1]})"
        check_acknowledged(folder)
        if code:
            assert forge.train(folder)[0] == 0, (
                f"it cannot go on after operation {at} ({whole.names[at - 1]})"
            )
        whole.check(folder, at)
        codes[code] += 1
    print(f"\n{fault}: at {codes.total()} of {len(whole.names)} operations; exit codes: {dict(codes)}")


def test_a_run_that_is_killed_again_and_again_while_it_learns_ends_alike(world: Any, forge: Forge) -> None:
    # The micro-batches make a step slow enough for the kill to come long before the end.
    values = {"steps": 60, "save_every": 4, "eval_every": 9, "batch_size": 20, "optimizer": "muon"}
    whole, killed = new_run(world, "whole", values), new_run(world, "killed", values)
    moments: list[Callable[[], object]] = [
        killed.is_locked,
        killed.run.exists,
        killed.events.exists,
        lambda: any(killed.checkpoints.glob("step-*")),
        *((lambda n=n: (world.steps(killed) or [(0,)])[-1][0] >= n) for n in range(6, 42, 4)),
    ]
    for moment in moments:
        pid = forge.start(killed)
        world.until(moment)
        os.kill(pid, signal.SIGKILL)
        assert forge.end()[0] == -signal.SIGKILL, "it must be killed at work"
        check_acknowledged(killed)
    assert forge.train(killed)[0] == forge.train(whole)[0] == 0
    assert world.steps(killed) == world.steps(whole)
    assert world.weights(killed) == world.weights(whole)
    assert len([event for event in read_events(killed) if isinstance(event, Done)]) == 1
    print(f"\nkilled {len(moments)} times on its way, and the same weights at the end")
    assert len(moments) >= 10


# As a program


class Killing(Faulty):
    """Has the system kill the process at one operation; of every second one half is done by then."""

    def _pass(self, name: str, half: Callable[[], object] = lambda: None, reads: bool = False) -> None:
        self.names.append(name)
        if self.calls == self.at:
            if self.at % 2:
                half()
            os.kill(os.getpid(), signal.SIGKILL)


def learn(folder: RunFolder, ops: Faulty, tell: int) -> NoReturn:
    from engine.trainer import train

    storage.ops = ops
    code = 70
    try:
        code = train(folder)
        os.write(tell, json.dumps(ops.names).encode())
    except TinygptError as error:
        code = error.exit_code
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def main() -> None:
    import engine.trainer  # noqa: F401

    for line in sys.stdin:
        path, at, error, lasts = json.loads(line)
        hear, tell = os.pipe()
        pid = os.fork()
        if pid == 0:
            learn(RunFolder(Path(path)), Faulty(at, error, lasts=lasts) if error else Killing(at), tell)
        os.close(tell)
        print(pid, flush=True)
        with os.fdopen(hear, "rb") as pipe:
            names = json.loads(pipe.read() or b"[]")
        _, status = os.waitpid(pid, 0)
        print(json.dumps([os.waitstatus_to_exitcode(status), names]), flush=True)


if __name__ == "__main__":
    main()
