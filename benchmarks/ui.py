"""What the playground costs and how fast it answers, beside a model that trains: `python -m benchmarks.ui`.

The real program runs in a terminal of its own. A key's time is from its byte's being typed to the first read that holds what it
changes on the screen. The stall of the event loop is how late a timer of 5 ms rings, measured inside of the program. The training
speed is that of one detached run on all cores, with and without the playground in turns, so that a noisy machine changes both. Left
out: the terminal's own time to paint.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import cycle
from pathlib import Path
from typing import Any

from benchmarks.shared import Row, ask, main, median_ratio, whole
from benchmarks.terminal import Terminal
from engine.errors import RunError
from models.config import SIZES

HEARTBEAT_SECONDS = 0.005
SIZE = (120, 40)
RUN = "bench"


PLAYGROUND = (sys.executable, "-m", "tinygpt_tui.playground")
# The same with a heartbeat in its event loop, which tells at the end how late it was.
WATCHED = (sys.executable, "-m", "benchmarks.ui", "--watched")


def watched(report: Path) -> int:
    """The playground itself, for `Terminal`: measures how long its event loop keeps others waiting."""
    from tinygpt_tui import playground
    from tinygpt_tui.app import Playground

    late: list[float] = []

    import tinygpt_tui.app

    class Watched(Playground):  # Textual calls the handlers of every class, so none calls its base's
        CSS_PATH = Path(tinygpt_tui.app.__file__).with_name("app.tcss")  # type: ignore[assignment]

        def on_mount(self) -> None:
            self._heart = asyncio.create_task(self._beat())

        async def _beat(self) -> None:
            while True:
                before = time.perf_counter()
                await asyncio.sleep(HEARTBEAT_SECONDS)
                late.append(time.perf_counter() - before - HEARTBEAT_SECONDS)

        def exit(self, *arguments: Any, **options: Any) -> None:
            # Whoever leaves presses no more keys, and the thread that reads them takes up to 200 ms to end.
            self._heart.cancel()
            super().exit(*arguments, **options)

    tinygpt_tui.app.Playground = Watched  # type: ignore[misc]
    code = playground.main([RUN])
    # The first second is the start: imports and the first layout. It is counted in the first frame.
    late = late[100:]
    report.write_text(json.dumps(late), encoding="utf-8")
    return code


@contextmanager
def training(home: str, size: str) -> Iterator[Path]:
    """A detached run that never ends by itself; its folder."""
    steps = ("--steps", "10000000", "--size", size, "--name", RUN)
    started = ask(
        "tinygpt_tui", "train", "tales", *steps, "--detach", "--json", environment={"TINYGPT_HOME": home}
    )
    folder = Path(home) / "data" / "runs" / RUN
    try:
        deadline = time.monotonic() + 180
        while chars_and_seconds(folder) is None:
            if time.monotonic() > deadline:
                raise RunError("The run did not begin to train within three minutes.")
            time.sleep(0.2)
        yield folder
    finally:
        end(int(started["pid"]))


def end(pid: int) -> None:
    """Asks a trainer to save and end, which one that has not begun yet does, too; after half a minute it is not asked any more."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            os.kill(pid, 0)
            time.sleep(0.2)
        os.kill(pid, signal.SIGKILL)


def chars_and_seconds(folder: Path) -> tuple[int, float] | None:
    """Characters learned from, and seconds spent in updates, by the last complete line of the events."""
    with suppress(FileNotFoundError), (folder / "events.jsonl").open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 100_000))
        for line in reversed(file.read().splitlines(keepends=True)):
            if line.endswith(b"\n") and b'"step"' in line and b'"seconds"' in line:
                event = json.loads(line)
                if event.get("event") == "step":
                    return int(event["train_chars"]), float(event["seconds"])
    return None


def speed_during(folder: Path, wait: Callable[[], None]) -> float:
    """Characters a second of pure training while `wait` lasts; again if no update ended in it. Raises RunError when none does."""
    before = chars_and_seconds(folder)
    for _ in range(10):
        wait()
        after = chars_and_seconds(folder)
        if before and after and after[1] > before[1]:
            return (after[0] - before[0]) / (after[1] - before[1])
    raise RunError("The run that is watched does not go on.")


def latencies(terminal: Terminal, keys: int, pairs: list[tuple[str, str]], pause: float) -> list[float]:
    """Milliseconds from key to screen. `pairs` are keys in turn with what each makes appear."""
    took = []
    for _, (key, sign) in zip(range(keys), cycle(pairs), strict=False):
        start = len(terminal.drawn)
        began = time.perf_counter()
        terminal.send(key)
        took.append(1000 * (terminal.wait_for(sign, 20, start) - began))
        terminal.idle(pause)
    return took


def leave(terminal: Terminal) -> None:
    terminal.send("\x11")
    deadline = time.monotonic() + 20
    while terminal.process.poll() is None and time.monotonic() < deadline:
        terminal.read(0.1)


def spread(took: list[float]) -> Row:
    ordered = sorted(took)
    return {
        "keys": len(ordered),
        "p50_ms": round(statistics.median(ordered), 1),
        "p95_ms": round(ordered[int(0.95 * (len(ordered) - 1))], 1),
        "max_ms": round(ordered[-1], 1),
    }


def beside_training(home: str, size: str, keys: int, rounds: int, seconds: float) -> Iterator[Row]:
    """Keys, stalls and the price of being watched, while a model of `size` trains."""
    report = Path(home) / "late.json"
    environment = {"TINYGPT_HOME": home}
    with training(home, size) as folder:
        alone, beside = [], []
        with_keys: dict[str, list[float]] = {}
        for _ in range(rounds):
            alone.append(speed_during(folder, lambda: time.sleep(seconds)))
            with Terminal([*PLAYGROUND, RUN], SIZE, environment) as terminal:
                terminal.wait_for("nats per character", 60, start=0)
                terminal.idle(3)  # its start is not its price
                beside.append(speed_during(folder, lambda: terminal.idle(seconds)))
                leave(terminal)
        yield {
            "what": "training speed", "size": size, "rounds": rounds,
            "alone_chars_per_s": round(statistics.median(alone)),
            "watched_chars_per_s": round(statistics.median(beside)),
            "cost_percent": round(100 * (1 - median_ratio(beside, alone)), 1),
        }  # fmt: skip

        with Terminal([*WATCHED, str(report)], SIZE, environment) as terminal:
            terminal.wait_for("nats per character", 60, start=0)
            terminal.idle(3)
            units = [("u", "bits per character"), ("u", "perplexity"), ("u", "nats per character")]
            with_keys["train: unit of the curve"] = latencies(terminal, keys, units, 0.15)
            with_keys["modes"] = latencies(
                terminal, keys // 2, [("4", "1 training"), ("2", "what it writes")], 0.25
            )
            terminal.send("3")
            terminal.wait_for("next character", 60)
            terminal.send("i")
            terminal.idle(1)
            with_keys["play: a character typed"] = latencies(terminal, keys, [("§", "§")], 0.1)
            terminal.send("\x7f" * keys)
            terminal.idle(1)
            # Until the run's first weights are loaded, nothing is sent.
            terminal.wait_until(lambda screen: "@ step" in screen)
            terminal.send("Once\r")
            terminal.wait_until(lambda screen: "Once" in screen.partition("─ prompt")[0])
            terminal.idle(2)
            heat = [("]", "0.85"), ("[", "0.80")]
            with_keys["play: temperature"] = latencies(terminal, keys, heat, 0.15)
            leave(terminal)
        for what, took in with_keys.items():
            yield {"what": f"key to screen, {what}", **spread(took)}
        yield {"what": "key to screen, all", **spread([ms for took in with_keys.values() for ms in took])}
        late = sorted(1000 * seconds for seconds in json.loads(report.read_text(encoding="utf-8")))
        yield {
            "what": "stall of the event loop",
            "beats": len(late),
            "p99_ms": round(late[int(0.99 * (len(late) - 1))], 1),
            "max_ms": round(late[-1], 1),
        }


def measure(options: argparse.Namespace) -> Iterator[Row]:
    keys, rounds, seconds = (20, 2, 8.0) if options.short else (100, 5, 15.0)
    with tempfile.TemporaryDirectory() as home:
        yield from beside_training(
            home, options.size, options.keys or keys, options.rounds or rounds, options.seconds or seconds
        )


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--size", choices=list(SIZES), default="0.8m", help="of the model that trains")
    parser.add_argument("--keys", type=whole, help="of each kind that are pressed [default: 100, short 20]")
    parser.add_argument("--rounds", type=whole, help="with and without the playground [default: 5, short 2]")
    parser.add_argument(
        "--seconds", type=float, help="of training that are timed in each [default: 15, short 8]"
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--watched"]:
        sys.exit(watched(Path(sys.argv[2])))
    sys.exit(main("ui", __doc__, measure, add_options))
