"""How much memory it takes at most: `python -m benchmarks.memory`.

The peak of what is resident, as the system tells it, of three processes by size of model: the headless trainer at the batch that the size
trains with, the player while it writes, and the playground that watches the run (its player is a process of its own and counted there). Beside
the trainer what the engine foretold; beside all of them a process that only imports torch, or only Python.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.playing import make_run, player, prompts
from benchmarks.shared import Row, ask, home_environment, kernels_folder, main, run, told, whole
from benchmarks.terminal import Terminal
from benchmarks.ui import SIZE, leave
from engine.protocol import Done, Generate
from models.config import SIZES

MB = 1e6
STEPS = 3  # updates of the trainer: all it ever needs is taken by the second


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--sizes",
        nargs="+",
        choices=list(SIZES),
        metavar="SIZE",
        help="[default: 0.8m 1.8m 4m 10m, short 0.8m 10m]",
    )
    parser.add_argument("--rounds", type=whole, help="how often each is weighed [default: 3, short 1]")
    parser.add_argument("--chars", type=whole, default=500, help="that the player writes")


def measure(options: argparse.Namespace) -> Iterator[Row]:
    rounds = options.rounds or (1 if options.short else 3)
    sizes = options.sizes or (["0.8m", "10m"] if options.short else ["0.8m", "1.8m", "4m", "10m"])
    with tempfile.TemporaryDirectory() as work:
        place = Path(work)
        # A module that does nothing, in an interpreter that does or does not import torch first.
        python = median(weigh(place, "this") for _ in range(rounds))
        torch = median(weigh(place, "torch.version") for _ in range(rounds))
        yield {"what": "python alone", "peak_mb": python, "rounds": rounds}
        yield {"what": "python with torch", "peak_mb": torch, "rounds": rounds}
        for size in sizes:
            home = place / "home"
            folder = make_run(home, "modern", size, STEPS)
            estimate = ask("benchmarks.memory", "--estimate", str(folder))["bytes"] / MB
            trained = [trainer(place, folder) for _ in range(rounds)]
            yield {
                "what": f"trainer, {size}",
                **told("peak_mb", trained),
                "torch_alone_mb": torch,
                "beyond_torch_mb": statistics.median(trained) - torch,
                "foretold_mb": estimate,
                "ratio": (statistics.median(trained) - torch) / estimate,
            }
            played = [playing(place, folder, options.chars) for _ in range(rounds)]
            yield weighed_beside(f"player, {size}", played, "python with torch", torch)
            seen = [playground(place, home, folder.name) for _ in range(rounds)]
            yield weighed_beside(f"playground, {size}", seen, "python alone", python)


def weighed_beside(what: str, peaks: Sequence[float], reference: str, alone: float) -> Row:
    """A row of a process beside one that does nothing."""
    peak = statistics.median(peaks)
    return {
        "what": what,
        **told("peak_mb", peaks),
        "reference": reference,
        "reference_mb": alone,
        "ratio": peak / alone,
    }


def median(values: Iterator[float]) -> float:
    return statistics.median(values)


def weigh(place: Path, module: str, *arguments: str) -> float:
    """The peak of `python -m module arguments`, in millions of bytes. Raises RunError when it fails."""
    report = place / "peak.json"
    report.unlink(missing_ok=True)
    run(weighing(report, module, *arguments))
    return told_peak(report)


def weighing(report: Path, module: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "benchmarks.weighed", str(report), module, *arguments)


def told_peak(report: Path) -> float:
    return float(json.loads(report.read_text(encoding="utf-8"))["peak_bytes"]) / MB


def trainer(place: Path, folder: Path) -> float:
    """A run of the same request trained anew, from its first step to its last save."""
    home = folder.parents[2]
    again = folder.with_name(f"{folder.name}-again")
    again.mkdir()
    (again / "request.json").write_bytes((folder / "request.json").read_bytes())
    try:
        return weigh(place, "engine", "train", str(again), "--cache", str(home / "cache"))
    finally:
        run([sys.executable, "-m", "tinygpt_tui", "runs", "rm", again.name], {"TINYGPT_HOME": str(home)})


def playing(place: Path, folder: Path, chars: int) -> float:
    report = place / "peak.json"
    kernels = kernels_folder()
    options = () if kernels is None else ("--kernels", str(kernels))
    with player(weighing(report, "engine", "play", "--runs", str(folder.parent), *options)) as pipe:
        pipe.load(folder.name)
        pipe.send(Generate(1, prompts(200, 1)[0], max=chars))
        pipe.wait_for(lambda reply: isinstance(reply, Done))
    return told_peak(report)


def playground(place: Path, home: Path, run_name: str) -> float:
    """The interface with a finished run: its desk, a text that it lets the player write, then the curve."""
    report = place / "peak.json"
    report.unlink(missing_ok=True)
    environment = home_environment(home, kernels=False)
    with Terminal(weighing(report, "tinygpt_tui.playground", run_name), SIZE, environment) as terminal:
        terminal.wait_until(lambda screen: "@ step" in screen)  # the model is loaded
        terminal.send("Once")
        terminal.wait_until(lambda screen: "Once" in screen.partition("─ prompt")[2])
        terminal.send("\r")
        terminal.wait_until(lambda screen: "Once" in screen.partition("─ prompt")[0])
        terminal.idle(3)
        terminal.send("2")
        terminal.wait_until(lambda screen: "nats per character" in screen)
        leave(terminal)
    return told_peak(report)


def estimate(folder: Path) -> Row:
    """What the engine foretells for the recipe of a run, in bytes."""
    from engine.recipe import Recipe
    from engine.runs import RunFolder
    from engine.sizing import memory_estimate

    info = RunFolder(folder).read_run()
    return {"bytes": memory_estimate(Recipe.from_json(info["recipe"]), info["model"]["vocab_size"])}


if __name__ == "__main__":
    if sys.argv[1:2] == ["--estimate"]:
        sys.stdout.write(json.dumps(estimate(Path(sys.argv[2]))) + "\n")
    else:
        sys.exit(main("memory", __doc__, measure, add_options))
