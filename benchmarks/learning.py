"""What it has learned after so much time: `python -m benchmarks.learning --text FILE --time 180s --seeds 1 2 3`.

Runs `tinygpt train` itself, in a new home each time, and looks at the clock outside of it: the wall time counts everything from the command to
its exit, also making the compiled kernels (with `--warm` they are there already, as for anybody's second run). `val_loss` is what the command
tells: nats per character on the whole validation split. Beside it, if asked for: nanoGPT's recipe for a processor (`--against nanogpt`, its
2,000 steps; `--against classic`, the same for as much time as ours), the smallest time that reaches a loss (`--reach`), and the n-gram ladder.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks.shared import ROOT, Row, ask, failed, home_environment, main, narrate, source, told, whole
from benchmarks.training_speed import NANOGPT, SHAPES
from engine.errors import RunError, UsageError
from tinygpt_tui.settings import seconds as parse_time

NANOGPT_STEPS = 2000
# Where --reach looks, as shares of the time that its reference took.
SHARES = (1 / 20, 1 / 16, 1 / 13, 1 / 10, 1 / 8, 1 / 6, 1 / 5, 1 / 4, 1 / 3, 1 / 2)
SHORTEST = 3.0  # seconds: below, a run hardly begins
OTHER = "of the other side"  # --reach without a number
Settings = Sequence[str]


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--text", default="tales", help="a corpus of the catalogue, or a file")
    parser.add_argument("--time", help="of a run, such as 180s [default: 180s, short 60s]")
    parser.add_argument("--seeds", type=whole, nargs="+", metavar="SEED", help="[default: 1 2 3, short 1]")
    parser.add_argument("--size", default="auto")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="as of tinygpt train; repeatable"
    )
    parser.add_argument("--warm", action="store_true", help="with compiled kernels from the beginning")
    parser.add_argument("--against", action="append", default=[], choices=("nanogpt", "classic"))
    parser.add_argument("--nanogpt-steps", type=whole, default=NANOGPT_STEPS, help=argparse.SUPPRESS)
    parser.add_argument(
        "--reach", nargs="?", const=OTHER, metavar="VAL", help="a loss, or nothing for that of nanogpt"
    )
    parser.add_argument("--times", nargs="+", metavar="TIME", help="that --reach may try, by bisection")
    parser.add_argument("--ladder", action="store_true", help="compare with counting models and a compressor")


def measure(options: argparse.Namespace) -> Iterator[Row]:
    time_ = options.time or ("60s" if options.short else "180s")
    seeds = options.seeds or ([1] if options.short else [1, 2, 3])
    # What cannot be is refused before anything is begun.
    for text in (time_, *(options.times or ())):
        seconds_of(text)
    if options.reach == OTHER and "nanogpt" not in options.against:
        raise UsageError("--reach needs a loss, or --against nanogpt whose loss is to be reached.")
    if options.reach not in (None, OTHER):
        goal_of(options.reach, None)
    given = [part for setting in options.set for part in ("--set", setting)]
    trainer = Trainer(options.text, options.warm)
    ours = ("--size", options.size, *given)
    runs = []
    for seed in seeds:
        runs.append(trainer.train(("--time", time_, *ours), seed, ladder=options.ladder and seed == seeds[0]))
        narrate(f"learning: seed {seed}: {runs[-1]['val_loss']:.4f} after {runs[-1]['wall_s']:.1f} s")
    yield summed(f"{Path(options.text).name}, --time {time_}", runs)
    if options.ladder:
        yield from rungs(runs[0]["ladder"], statistics.median(run["val_loss"] for run in runs))
    reference: Row | None = None
    for name in options.against:
        length = ("--steps", str(options.nanogpt_steps)) if name == "nanogpt" else ("--time", time_)
        others = [
            trainer.train((*length, *nanogpt()), seed) for seed in (seeds if name == "classic" else seeds[:1])
        ]
        what = f"nanoGPT's recipe, {' '.join(length).removeprefix('--')}"
        row = summed(what, others)
        mine, theirs = (statistics.median(run["val_loss"] for run in each) for each in (runs, others))
        yield row | {"ours_below_by": theirs - mine}
        reference = row if name == "nanogpt" else reference
    if options.reach is not None:
        yield reached(trainer, ours, seeds, goal_of(options.reach, reference), reference, options.times)


def nanogpt() -> Settings:
    """Options of `tinygpt train` that restate its recipe: 4 layers, 4 heads, 128 wide, 12 windows of 64, whatever the time."""
    batch, block = SHAPES["0.8m"]
    settings = {**NANOGPT, "batch_size": batch, "block_size": block}
    arch = settings.pop("arch")
    return (
        "--arch",
        arch,
        "--size",
        "0.8m",
        *(p for k, v in settings.items() for p in ("--set", f"{k}={v}")),
    )


class Trainer:
    """Runs of the real command on one text."""

    def __init__(self, text: str, warm: bool) -> None:
        self._text, self._warm = source(text), warm

    def train(self, options: Settings, seed: int, *, ladder: bool = False) -> Row:
        """One run in a home of its own, timed from outside; with `ladder` measured again by `tinygpt eval`, beside the counting models.

        Raises:
            RunError: it failed, with what it said.
        """
        command = [sys.executable, "-m", "tinygpt_tui", "train", self._text, *options]
        command += ["--seed", str(seed), "--name", "run", "--json", "--quiet"]
        with tempfile.TemporaryDirectory() as place, tempfile.TemporaryFile() as said:
            home = Path(place) / "home"
            environment = home_environment(home, kernels=self._warm)
            began = time.perf_counter()
            with subprocess.Popen(
                command, cwd=ROOT, env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said
            ) as process:  # fmt: skip
                assert process.stdout is not None
                try:
                    heard = [(json.loads(line), time.perf_counter() - began) for line in process.stdout]
                    process.wait()
                finally:
                    if process.poll() is None:
                        process.kill()
            wall = time.perf_counter() - began
            if process.returncode:
                said.seek(0)
                raise failed("tinygpt train", process.returncode, said.read().decode(errors="replace"))
            row = told_by(heard, wall, seed)
            settled = json.loads((home / "data" / "runs" / "run" / "run.json").read_text(encoding="utf-8"))
            recipe = settled["recipe"]
            row |= {
                key: recipe[key]
                for key in (
                    "arch",
                    "n_layer",
                    "n_embd",
                    "block_size",
                    "batch_size",
                    "dtype",
                    "kernels",
                    "threads",
                )
            }
            if ladder:
                # The last weights, whose loss the run told, and not the best.
                found = ask("tinygpt_tui", "eval", "run", "--at", "last", "--json", environment=environment)
                row |= {"ladder": found["ladder"], "eval_val_loss": found["val_loss"]}
            return row


def told_by(heard: Sequence[tuple[Row, float]], wall: float, seed: int) -> Row:
    """A run from its events and the moments, in seconds, at which they were heard. Raises RunError when the last is not `done`."""
    last = heard[-1][0] if heard else {}
    if last.get("event") != "done" or last.get("val_loss") is None:
        raise RunError("The run ended without telling its validation loss.")
    curve = [
        [moment, event["step"], event["val_loss"]] for event, moment in heard if event.get("event") == "eval"
    ]
    return {
        "seed": seed,
        "val_loss": last["val_loss"],
        "best_val_loss": last["best_val_loss"],
        "wall_s": wall,
        "steps": last["step"],
        "chars": last["train_chars"],
        "training_s": last["seconds"],
        "weights": last["params"],
        "curve": curve,  # of [wall seconds, step, val_loss]
    }


def summed(what: str, runs: Sequence[Row]) -> Row:
    """The medians of some runs, and each of them."""
    return {
        "what": what,
        "model": f"{runs[0]['arch']} {runs[0]['n_layer']} x {runs[0]['n_embd']}",
        "batch": f"{runs[0]['batch_size']} x {runs[0]['block_size']}",
        **{
            key: value
            for name in ("val_loss", "wall_s")
            for key, value in told(name, [run[name] for run in runs]).items()
        },
        "longest_wall_s": max(run["wall_s"] for run in runs),
        "steps": statistics.median(run["steps"] for run in runs),
        "chars": statistics.median(run["chars"] for run in runs),
        "seeds": len(runs),
        "runs": list(runs),
    }


def rungs(ladder: Row, val_loss: float) -> Iterator[Row]:
    """Each rung of the ladder on the same validation split, and by how much the median run lies below it."""
    for name, value in ladder.items():
        yield {"what": f"ladder, {name}", "rung_val_loss": value, "ours_below_by": value - val_loss}


def seconds_of(time_: str) -> float:
    """Raises UsageError unless it is a time."""
    if (seconds := parse_time(time_)) is None:
        raise UsageError(f"{time_[:40]!r} is no time; give one such as 90s, 3m or 1h.")
    return seconds


def goal_of(reach: str, reference: Row | None) -> float:
    """The loss that is to be reached. Raises UsageError unless it is a number."""
    if reach == OTHER:
        assert reference is not None
        return float(reference["val_loss"])
    try:
        return float(reach)
    except ValueError:
        raise UsageError(f"--reach takes a loss in nats per character, not {reach[:40]!r}.") from None


def reached(
    trainer: Trainer,
    options: Settings,
    seeds: Sequence[int],
    goal: float,
    reference: Row | None,
    times: Sequence[str] | None,
) -> Row:
    """The smallest of some times whose median run ends at or below `goal`, by bisection: more time is taken not to hurt."""
    wall = None if reference is None else float(reference["wall_s"])
    if times:
        candidates = sorted({seconds_of(text) for text in times})
    else:
        candidates = sorted({max(SHORTEST, round((wall or 120.0) * share, 1)) for share in SHARES})
    tried: dict[float, Row] = {}

    def enough(seconds: float) -> bool:
        runs = [trainer.train(("--time", f"{seconds:g}s", *options), seed) for seed in seeds]
        tried[seconds] = summed(f"--time {seconds:g}s", runs)
        narrate(f"learning: {seconds:g} s end at {tried[seconds]['val_loss']:.4f}, wanted {goal:.4f}")
        return bool(tried[seconds]["val_loss"] <= goal)

    found = smallest(candidates, enough)
    best = None if found is None else tried[found]
    return {
        "what": f"smallest --time that ends at {goal:.4f}",
        "time_s": found,
        "val_loss": best and best["val_loss"],
        "wall_s": best and best["wall_s"],
        "reference_wall_s": wall,
        "ratio": wall / best["wall_s"] if wall and best else None,
        "seeds": len(seeds),
        "candidates": list(candidates),
        "tried": [tried[seconds] for seconds in sorted(tried)],
    }


def smallest(candidates: Sequence[float], enough: Callable[[float], bool]) -> float | None:
    """The smallest of rising candidates that is enough, if every larger one is too; None if none is."""
    low, high = 0, len(candidates)
    while low < high:
        middle = (low + high) // 2
        if enough(candidates[middle]):
            high = middle
        else:
            low = middle + 1
    return candidates[low] if low < len(candidates) else None


if __name__ == "__main__":
    sys.exit(main("learning", __doc__, measure, add_options))
