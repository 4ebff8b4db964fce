"""How long one waits for it to begin: `python -m benchmarks.start_up`.

Whole processes, from the command to its end or to what one waits for: `tinygpt --help`, a completion in the shell, the first frame of the
playground in a terminal of its own and a new home, and a player that has loaded a model. Beside each, in turns, what nobody can do without: an
interpreter that does nothing, one that imports torch for the player, one that shows a label in Textual for the playground.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.playing import command, make_run, player
from benchmarks.shared import Row, kernels_folder, main, median_ratio, run, told, whole
from benchmarks.terminal import Terminal
from benchmarks.ui import PLAYGROUND, SIZE, leave

TINYGPT = (sys.executable, "-m", "tinygpt_tui")
COMPLETION = {"_TINYGPT_COMPLETE": "complete_bash", "COMP_WORDS": "tinygpt tr", "COMP_CWORD": "1"}
LABEL = """
from textual.app import App
from textual.widgets import Label
class Small(App):
    def compose(self):
        yield Label("Corpus")
Small().run()
"""

Timed = Callable[[], float]  # milliseconds


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=whole, help="how often each is started [default: 15, short 5]")


def measure(options: argparse.Namespace) -> Iterator[Row]:
    rounds = options.rounds or (5 if options.short else 15)
    nothing = whole_process((sys.executable, "-c", "pass"))
    yield in_turns("tinygpt --help", whole_process((*TINYGPT, "--help")), "python -c pass", nothing, rounds)
    yield in_turns("completion", whole_process(TINYGPT, COMPLETION), "python -c pass", nothing, rounds)
    label = first_frame((sys.executable, "-c", LABEL))
    yield in_turns(
        "first frame of the playground", first_frame(PLAYGROUND), "a label in Textual", label, rounds
    )
    with tempfile.TemporaryDirectory() as work:
        folder = make_run(Path(work) / "home", "modern", "0.8m", 2, "batch_size=2")
        ready = player_ready(folder)
        torch = whole_process((sys.executable, "-c", "import torch"))
        yield in_turns("player, with a model loaded", ready, "python -c 'import torch'", torch, rounds)


def in_turns(what: str, ours: Timed, reference: str, theirs: Timed, rounds: int) -> Row:
    """Both, so many times, after one of each that does not count: it fills the system's file cache."""
    took: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds + 1):
        for timed, into in ((ours, took[0]), (theirs, took[1])):
            into.append(timed())
    mine, others = (each[1:] for each in took)
    return {
        "what": what,
        **told("ms", mine),
        "reference": reference,
        **told("reference_ms", others),
        "ratio": median_ratio(mine, others),
        "rounds": rounds,
    }


def whole_process(command: tuple[str, ...], environment: dict[str, str] | None = None) -> Timed:
    def timed() -> float:
        began = time.perf_counter()
        run(command, environment, 60)
        return 1000 * (time.perf_counter() - began)

    return timed


def first_frame(command: tuple[str, ...]) -> Timed:
    def timed() -> float:
        with (
            tempfile.TemporaryDirectory() as home,
            Terminal(command, SIZE, {"TINYGPT_HOME": home}) as terminal,
        ):
            took = 1000 * (terminal.wait_for("Corpus", start=0) - terminal.began)
            leave(terminal)
            return took

    return timed


def player_ready(folder: Path) -> Timed:
    def timed() -> float:
        began = time.perf_counter()
        with player(command(folder.parent, kernels_folder())) as pipe:
            pipe.load(folder.name)
            return 1000 * (time.perf_counter() - began)

    return timed


if __name__ == "__main__":
    sys.exit(main("start_up", __doc__, measure, add_options))
