"""Starting a run: writes what is asked into a new run folder, and starts a trainer on it in the background.

Everything that can be refused is refused before the folder exists, so a wrong option leaves nothing behind. No torch here: whoever
starts a run need not wait for it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine import catalogue, events
from engine.corpus import Corpus, split_at, store_text
from engine.errors import CorpusError, TakenError, UsageError
from engine.event_log import read_events
from engine.recipe import KNOBS, Recipe
from engine.run_list import texts_in_turn
from engine.runs import RunFolder, check_new_name, suggest_name
from engine.schedule import Plan, RateChange
from models.config import DEFAULT_SIZE, SIZES

if TYPE_CHECKING:  # with it comes numpy, for which nobody has to wait who only watches
    from engine.large_text import LargeText

VERSION = 1  # of request.json

# Fewer training characters than this teach nothing and break the arithmetic of windows.
MIN_TRAIN_CHARS = 16

NICE = 10  # how much lower than ours the priority of a trainer in the background is


def new_run(
    data_dir: Path,
    corpus: Corpus | LargeText,
    *,
    name: str | None = None,
    size: str = "auto",
    values: Mapping[str, Any] | None = None,
    recipe: Recipe | None = None,
    encoding: str | None = None,
    force_text: bool = False,
) -> RunFolder:
    """A run folder that holds the request to train on `corpus`, whose text is stored beside it unless it is too large to be kept.

    Args:
        data_dir: holds `runs` and `corpora`.
        name: of the run; made from the corpus' name if not given.
        size: a name of `SIZES`, or "auto".
        values: recipe fields that are set; the others are settled by the trainer.
        recipe: a whole recipe instead, to repeat another run.
        encoding, force_text: as they were given to `read_corpus`; a text too large to be kept is read so again.

    Raises:
        UsageError: a value is out of range, values do not fit together, or the name is not allowed or taken.
        CorpusError: the text is too short.
        ResourceError: it cannot be written.
        BusyError: other processes kept the folder for seconds.
    """
    values = dict(values or {})
    runs_dir = data_dir / "runs"
    check_request(runs_dir, name, size, values if recipe is None else {})
    if recipe is None:
        _check_length(corpus, values.get("block_size", 0), " or a smaller block_size")
    else:
        _check_length(corpus, recipe.block_size)
    request: dict[str, Any] = {
        "version": VERSION,
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "corpus": {
            "name": corpus.name,
            "sha256": corpus.sha256,
            "chars": corpus.chars,
            "kept": False,
            "source": lasting(corpus.source),
            "encoding": encoding,
            "force_text": force_text,
        },
        "turns": asdict(corpus.turns) if corpus.turns else None,
        "size": size,
        "values": values,
    }
    if recipe is not None:
        request["recipe"] = recipe.to_json()
    # A text that no run names yet could be deleted with the last run that did.
    with texts_in_turn(data_dir, storing=True):
        if isinstance(corpus, Corpus) and store_text(data_dir / "corpora", corpus):
            request["corpus"]["kept"] = True
        elif corpus.source == "-":
            raise CorpusError(
                f"Standard input holds {corpus.chars:,} characters, too many to keep a copy of: save it as a file and name that."
            )
        if name is not None:
            return RunFolder.create(runs_dir, name, request)
        while True:
            with suppress(TakenError):  # somebody else was quicker with that name
                return RunFolder.create(runs_dir, suggest_name(corpus.name, runs_dir), request)


def check_request(runs_dir: Path, name: str | None, size: str, values: Mapping[str, Any]) -> None:
    """What can be refused of a run before its corpus is read.

    Raises:
        UsageError: a value is out of range, values do not fit together, or the name is not allowed or taken.
    """
    _check_values(size, values)
    if name is None:
        return
    check_new_name(name)
    if os.path.lexists(runs_dir / name):
        raise UsageError(
            f"A run named {name} exists already: choose another --name, or go on with --resume {name}."
        )


def recipe_of(folder: RunFolder) -> Recipe:
    """The recipe that repeats a run: as it was settled, with the plans it made and the rates it was given on its way, and no clock.

    Raises:
        CheckpointError: the run has not begun, or its files are damaged.
        UsageError: its recipe is not one of ours.
    """
    recipe = Recipe.from_json(folder.read_run()["recipe"])
    told = read_events(folder)
    plans = list(recipe.plans)
    changes = {change.id: change for change in recipe.rate_changes}
    for event in told:
        if isinstance(event, events.Control) and event.do == "lr" and event.value:
            changes[event.id] = RateChange(event.id, event.step, event.value)
        if isinstance(event, events.Plan):
            plan = Plan(event.step, event.start, event.horizon)
            if plan not in plans:
                plans.append(plan)
    last = told[-1] if told else None
    if isinstance(last, events.Done) and last.reason == "patience" and plans:
        # When a run was measured may depend on the clock; where it ended does not.
        plans.append(Plan(last.step, plans[-1].start, last.step))
        recipe = replace(recipe, patience=0)
    steps = plans[-1].horizon if plans else recipe.steps
    rate_changes = tuple(sorted(changes.values(), key=lambda change: change.step))
    return replace(recipe, time=None, steps=steps, plans=tuple(plans), rate_changes=rate_changes)


def start_detached(
    folder: RunFolder,
    *,
    corpora_dir: Path | None = None,
    total_steps: int | None = None,
    force: bool = False,
    cache_dir: Path | None = None,
) -> int:
    """Starts a trainer that outlives this process and its terminal; returns its process id.

    Its output goes to `trainer.log`. It holds the run's lock as soon as it has begun. It gives way to whoever else wants the
    processor (see `_give_way`), so that a screen answers its keys while it trains; alone on the machine it is as fast as ever.
    """
    command = [sys.executable, "-m", "engine", "train", str(folder.path.absolute())]
    if total_steps is not None:
        command += ["--steps", str(total_steps)]
    if force:
        command += ["--force"]
    if corpora_dir is not None:
        command += ["--corpora", str(corpora_dir.absolute())]
    if cache_dir is not None:
        command += ["--cache", str(cache_dir.absolute())]
    log = folder.open_log()
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            # `-m` looks in the current folder first: in ours, so that a stranger's `engine` is not started.
            cwd=Path(__file__).resolve().parent.parent,
        )
    finally:
        os.close(log)
    pid = process.pid
    _give_way(pid)
    with warnings.catch_warnings():
        # It is to outlive us: that nobody waits for it is no mistake.
        warnings.simplefilter("ignore", ResourceWarning)
        del process
    return pid


def _give_way(pid: int) -> None:
    """Lowers the priority of a process that has just begun, so that the threads it will start inherit that.

    Where Linux shares the processor out by session, a nice value counts only against processes of the same session, and a
    trainer is alone in its own: there the session's value has to be lowered, too. What the system refuses stays as it is.
    """
    with suppress(OSError, AttributeError):
        nice = min(os.getpriority(os.PRIO_PROCESS, 0) + NICE, 19)
        os.setpriority(os.PRIO_PROCESS, pid, nice)
        Path(f"/proc/{pid}/autogroup").write_text(f"{nice}\n", encoding="ascii")


def _check_values(size: str, values: Mapping[str, Any]) -> None:
    if size != "auto" and size not in SIZES:
        raise UsageError(f"There is no size {size!r:.40}; choose auto or one of {', '.join(SIZES)}.")
    for key in values:
        if key not in KNOBS:
            raise UsageError(f"There is no training setting called {key!r:.60}.")
    if size != "auto":
        shapes = [SIZES[size]]
    elif values.get("time") is None:
        shapes = [SIZES[DEFAULT_SIZE]]
    else:  # the time will tell which; one that fits is enough for now
        shapes = list(SIZES.values())
    problems = []
    for shape in shapes:
        try:
            Recipe(**{**asdict(shape), **values})
            return
        except UsageError as error:
            problems.append(error)
    raise problems[0]


def _check_length(corpus: Corpus | LargeText, block_size: int, remedy: str = "") -> None:
    least = max(MIN_TRAIN_CHARS, block_size + 1)
    if split_at(corpus.chars) < least:
        raise CorpusError(
            f"The corpus is too short to learn from: it has {corpus.chars} characters and needs at least "
            f"{-(-least * 10 // 9)}; give more text{remedy if block_size else ''}."
        )


def lasting(source: str) -> str:
    """What still names the text from another folder: an absolute path, a catalogue name as it is, "-" for what is gone."""
    return source if source == "-" or catalogue.find(source) else str(Path(source).absolute())
