"""The real playground in a terminal of its own, for tests that kill it and its children, and ways to look at what is left.

`python -m tests.tinygpt_tui.survival --report FILE …` is the playground, too, but tells about itself: what it has imported at its end, and
at each SIGUSR1 what it has written and how much memory that takes.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tinygpt_tui.play.passage import Passage

ROOT = Path(__file__).parents[2]
PLAYGROUND = (sys.executable, "-m", "tinygpt_tui.playground")
TOLD = (sys.executable, "-m", "tests.tinygpt_tui.survival", "--report")


def until(condition: Callable[[], Any], what: str, seconds: float = 120.0) -> Any:
    """What `condition` finds as soon as it finds something; the limit is only there to end a test that fails."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)
    return found


class Home:
    """A `TINYGPT_HOME` in which real runs are trained by small models, one thread each."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.work = path.parent  # the folder everything is started in
        self.environment = {
            "TINYGPT_HOME": str(path),
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(ROOT),
            "TINYGPT_ENGINE_COMPILE": "off",
            "TINYGPT_TRAIN_THREADS": "1",
            "TINYGPT_TRAIN_SAMPLE_CHARS": "20",
        }

    def tinygpt(self, *arguments: str) -> str:
        """Runs the command to its end; what it prints."""
        command = [sys.executable, "-m", "tinygpt_tui", *arguments]
        environment = {**os.environ, **self.environment}
        done = subprocess.run(command, cwd=self.work, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def training(self, corpus: Path, name: str, steps: int) -> tuple[str, ...]:
        """Arguments of `tinygpt` that train a model of 5,000 parameters, with steps of a few milliseconds."""
        sizes = (
            "n_layer=1",
            "n_head=2",
            "n_embd=16",
            "block_size=16",
            "batch_size=4",
            "threads=1",
            "sample_chars=20",
        )
        values = [part for size in sizes for part in ("--set", size)]
        return (
            "train",
            str(corpus),
            "--steps",
            str(steps),
            "--save-every",
            "100",
            "--eval-every",
            "100",
            "--name",
            name,
            *values,
        )

    def run(self, name: str) -> Path:
        return self.path / "data" / "runs" / name

    def status(self, name: str) -> dict[str, Any]:
        """What a run's trainer said of itself last; {} if nothing."""
        try:
            status: dict[str, Any] = json.loads((self.run(name) / "status.json").read_text())
            return status
        except FileNotFoundError:
            return {}

    def trains(self, name: str, from_step: int = 1) -> int:
        """The process id of the trainer that is at work on a run and has made so many steps; 0 before and after."""
        status = self.status(name)
        working = status.get("state") in ("preparing", "training") and status["step"] >= from_step
        return int(status["pid"]) if working else 0

    def has_saved(self, name: str) -> bool:
        return any((self.run(name) / "checkpoints").glob("step-*"))

    def ended(self, name: str) -> dict[str, Any]:
        """Waits for the end of a run; its last status."""
        until(lambda: self.status(name).get("state") in ("done", "failed", "stopped"), f"the end of {name}")
        return self.status(name)

    def names(self) -> list[str]:
        return sorted(folder.name for folder in (self.path / "data" / "runs").glob("*"))


@contextlib.contextmanager
def endless(home: Home, corpus: Path, name: str) -> Iterator[int]:
    """A run that goes on as long as the body; its trainer's process id. Every trainer of the home is ended."""
    try:
        home.tinygpt(*home.training(corpus, name, 10_000_000), "--detach")
        yield until(lambda: home.has_saved(name) and home.trains(name), f"{name} to train")
    finally:
        end_trainers(home)


def end_trainers(home: Home) -> None:
    """Kills whatever still trains in a home."""
    for name in home.names():
        if (pid := home.status(name).get("pid")) and is_alive(pid, "engine train"):
            os.kill(pid, signal.SIGKILL)
    # One that has only just been started has no status yet.
    for folder in Path("/proc").glob("[0-9]*"):
        if is_alive(int(folder.name), f"engine train {home.path}/"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(folder.name), signal.SIGKILL)


def is_alive(pid: int, command: str = "") -> bool:
    """Whether a process runs, with these words in its command."""
    try:
        if Path("/proc/self").exists():
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            told = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        else:
            shown = subprocess.run(
                ["ps", "-o", "state=,args=", "-p", str(pid)], capture_output=True, text=True
            )
            state, _, told = shown.stdout.strip().partition(" ")
    except OSError:
        return False
    return state[:1] not in ("", "Z", "X") and command in told


def player_of(pid: int, command: str = "engine play") -> int | None:
    """The process id of the player that a playground has started, if there is one; by words of its command."""
    for child in _children(pid):
        if is_alive(child, command):
            return child
    return None


def _children(pid: int) -> list[int]:
    if not Path("/proc/self").exists():
        shown = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True)
        pairs = [tuple(map(int, line.split())) for line in shown.stdout.splitlines()]
        return [child for child, parent in pairs if parent == pid]
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int((folder / "stat").read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(folder.name))
    return found


def main() -> int:
    """The playground, under observation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--report", type=Path, required=True)
    parser.add_argument("--rate", type=float, help="a scripted player in place of the real one")
    parser.add_argument("--broken", action="store_true", help="fails while it starts")
    options, rest = parser.parse_known_args()
    from tinygpt_tui import app, playground
    from tinygpt_tui.sources import player_process

    class Told(app.Playground):
        CSS_PATH = str(ROOT / "tinygpt_tui" / "app.tcss")

        def on_load(self) -> None:  # Textual calls that of the base, too
            asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, self._tell)

        def _tell(self) -> None:
            gc.collect()
            session = self.world.desk.session
            told = {
                "text": session.text(),
                "traced": tracemalloc.get_traced_memory()[0],
                "kept": sum(_size_of(passage, set()) for passage in session.all),
            }
            _replace(options.report, told)

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    app.Playground = Told  # type: ignore[misc]
    if options.broken:
        app.Playground._use_settings = broken  # type: ignore[method-assign, assignment]
    if options.rate is not None:
        fake = (sys.executable, "-m", "tests.tinygpt_tui.fake_player", "--rate", str(options.rate))
        player_process.player_command = lambda *where: fake
        tracemalloc.start()
    code = playground.main(rest)
    _replace(options.report, {"modules": sorted(sys.modules), "code": code})
    return code


def _size_of(thing: Any, seen: set[int]) -> int:
    """Bytes of a passage with everything it holds but other passages; a list counts with what it has taken in advance."""
    if id(thing) in seen or (isinstance(thing, Passage) and seen):
        return 0
    seen.add(id(thing))
    parts = list(vars(thing).values()) if hasattr(thing, "__dict__") else []
    parts += list(thing) if isinstance(thing, list | tuple) else []
    parts += [*thing, *thing.values()] if isinstance(thing, dict) else []
    return sys.getsizeof(thing) + sum(_size_of(part, seen) for part in parts)


def _replace(path: Path, told: dict[str, Any]) -> None:
    new = path.with_suffix(".new")
    new.write_text(json.dumps(told), encoding="utf-8")
    new.replace(path)


if __name__ == "__main__":
    sys.exit(main())
