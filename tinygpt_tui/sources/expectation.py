"""What a training will come to, before it is started: by the same arithmetic that sizes it, at the speed of the runs that were.

The speed is that of the latest runs on this machine; before the first one it is a guess, and says so. A loss is foretold only where
a run was measured on this very text. Left out: measuring (`engine.sizing` does when a run starts, and decides by that), and the
ladder itself (`engine.facts`).
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from engine.errors import CheckpointError
from engine.events import Done, load_line
from engine.reading import open_read
from engine.run_list import folders_in
from engine.runs import RunFolder
from engine.size_ladder import (
    OPERATIONS_PER_WEIGHT,
    fit,
    named_rung,
    parameters,
    rung_for,
    training_bytes,
)
from tinygpt_tui import figures

GUESS = 3e10  # operations a second: half of what two cores reached in the measurement of docs/recipe.md
MOST_RUNS = 5
FEW_STEPS = 50  # a model that has made fewer has learned next to nothing
LEAST_SECONDS = 5.0  # a shorter run was mostly beginning and end

_STARTING_SECONDS = 6.0  # imports, reading, measuring the machine, the last save
_TAIL_BYTES = 1 << 16
_VALIDATION = 0.1

# docs/recipe.md: tiny Shakespeare, modern, 0.8m, 1.63 M characters in 120 s, nats per character at the end.
_MEASURED_SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
_MEASURED_OPERATIONS = 8.1e12
_MEASURED_VAL_LOSS = 1.543


@dataclass(frozen=True)
class PastRun:
    """What a run that ended well tells about the next.

    Attributes:
        params: trained values.
        train_chars: characters it learned from, repeats included.
        chars_per_s: over all of its training, evaluations included.
        val_loss: its best, nats per character; None if there is none.
        corpus_sha256: of its text; None if not known.
    """

    name: str
    arch: str
    params: int
    train_chars: int
    chars_per_s: float
    val_loss: float | None
    corpus_sha256: str | None

    @property
    def operations(self) -> float:
        """Floating-point operations of its training."""
        return OPERATIONS_PER_WEIGHT * float(self.params) * self.train_chars

    @property
    def operations_per_second(self) -> float:
        return OPERATIONS_PER_WEIGHT * self.params * self.chars_per_s


@dataclass(frozen=True)
class Expectation:
    """What to expect of a training.

    Attributes:
        size: a name of `models.config.SIZES`; `parameters` of that model, `block_size` characters it sees at once.
        steps: updates; chars: characters it will learn from, repeats included; passes: over the training split.
        chars_per_s: how fast.
        memory: bytes at the peak, roughly.
        measured: whether the speed is this machine's or a guess.
        below: the lowest rung that it likely ends below, as (name, nats per character), if a run has shown that; else None.
        evidence: that run and where it ended, or "".
        sentence: all of that for a person; safe to show.
    """

    size: str
    parameters: int
    block_size: int
    steps: int
    chars: float
    passes: float
    chars_per_s: float
    memory: int
    measured: bool
    below: tuple[str, float] | None = None
    evidence: str = ""
    sentence: str = ""


def expect(
    characters: int,
    symbols: int,
    seconds: float,
    size: str = "auto",
    arch: str = "modern",
    speed: float | None = None,
    *,
    past: Sequence[PastRun] = (),
    ladder: Mapping[str, float] | None = None,
    sha256: str | None = None,
) -> Expectation | None:
    """The expectation for a text; None for a model that counts, which is done at once.

    Args:
        characters, symbols: of the whole text, as a model of characters reads it.
        seconds: wall time of the whole run.
        size: a name, or "auto" for the best in the time.
        speed: floating-point operations a second if that was measured; else that of `past` is taken.
        past: the latest runs on this machine, the latest first.
        ladder: rungs of this text in nats per character, as far as they are known.
        sha256: of this text.

    Raises:
        UsageError: there is no such size or architecture.
    """
    if arch == "ngram":
        return None
    known = speed if speed is not None else speed_of(past, arch)
    rate = GUESS if known is None else known
    operations = rate * max(0.5 * seconds, seconds - _STARTING_SECONDS)
    rung = rung_for(operations) if size == "auto" else named_rung(size)
    train_chars = max(2, characters - round(_VALIDATION * characters))
    symbols = max(2, symbols)
    recipe = fit({"arch": arch}, rung, train_chars, symbols, operations)
    weights = parameters(recipe.model_config(symbols))
    chars = float(recipe.steps * recipe.tokens_per_step)
    below, evidence = _foretold(OPERATIONS_PER_WEIGHT * weights * chars, arch, past, ladder or {}, sha256)
    per_second = rate / OPERATIONS_PER_WEIGHT / weights
    return Expectation(
        rung.size, weights, recipe.block_size, recipe.steps, chars, chars / train_chars, per_second,
        training_bytes(recipe, symbols, weights), known is not None, below, evidence,
        _sentence(weights, per_second, chars / train_chars, recipe.steps, known is not None, below, evidence),
    )  # fmt: skip


def speed_of(past: Sequence[PastRun], arch: str) -> float | None:
    """Floating-point operations a second that the latest runs reached, those of the same architecture if there are any; else None."""
    same = [run for run in past if run.arch == arch]
    speeds = [run.operations_per_second for run in (same or past)[:MOST_RUNS]]
    return median(speeds) if speeds else None


def past_runs(runs_dir: Path, most: int = MOST_RUNS) -> tuple[PastRun, ...]:
    """The latest runs of character models that trained for a while and ended well, the latest first. Reads a little of each.

    Args:
        most: so many; twelve times as many are looked at.
    """
    try:
        folders = sorted(map(RunFolder, folders_in(runs_dir)), key=_age)[: 12 * most]
    except CheckpointError:
        return ()
    found: list[PastRun] = []
    for folder in folders:
        if len(found) < most and (run := _past_run(folder)) is not None:
            found.append(run)
    return tuple(found)


def _foretold(
    operations: float,
    arch: str,
    past: Sequence[PastRun],
    ladder: Mapping[str, float],
    sha256: str | None,
) -> tuple[tuple[str, float] | None, str]:
    """The lowest rung that a run on this text with no more training has ended below, and that run."""
    losses = [
        (run.val_loss, run.name)
        for run in past
        if run.val_loss is not None
        and (run.corpus_sha256, run.arch) == (sha256, arch)
        and run.operations <= operations
    ]
    if (sha256, arch) == (_MEASURED_SHA256, "modern") and operations >= _MEASURED_OPERATIONS:
        losses.append((_MEASURED_VAL_LOSS, "the measured run of docs/recipe.md"))
    if sha256 is None or not losses:
        return None, ""
    val_loss, name = min(losses)
    beaten = [(nats, rung) for rung, nats in ladder.items() if nats > val_loss]
    if not beaten:
        return None, ""
    nats, rung = min(beaten)
    return (rung, nats), f"{name} ended at {figures.loss(val_loss)} with no more training"


def _sentence(
    weights: int,
    chars_per_s: float,
    passes: float,
    steps: int,
    measured: bool,
    below: tuple[str, float] | None,
    evidence: str,
) -> str:
    if steps < FEW_STEPS:
        made = "a single step" if steps == 1 else f"about {steps} steps"
        text = f"about {figures.count(weights)} parameters: too large for this time, in which it makes {made} and learns next to nothing; take a smaller size or more time"
        return text if measured else f"{text} (a guess: no run on this machine yet)"
    if passes < 0.995:
        times = f"{100 * passes:.2g} % of the text"
    else:
        times = "the text once" if passes < 1.005 else f"the text {_times(passes)} times"
    text = f"about {figures.count(weights)} parameters, {figures.count(chars_per_s)} char/s: reads {times}"
    if below is not None:
        text += f"; likely ends below the {below[0]} ({below[1]:.2f}), since {evidence}"
    return text if measured else f"{text}; no run on this machine yet: a guess"


def _times(passes: float) -> str:
    return f"{passes:.3g}" if passes < 999.5 else f"{passes:,.0f}"


def _age(folder: RunFolder) -> float:
    """Less for the latest."""
    try:
        return -folder.events.lstat().st_mtime
    except OSError:
        return math.inf


def _past_run(folder: RunFolder) -> PastRun | None:
    """What a run tells, or None: it has not ended well, was too short, or is damaged or of another kind."""
    try:
        done = _last(folder)
        if done is None or done.seconds < LEAST_SECONDS or not math.isfinite(done.chars_per_s):
            return None
        info = folder.read_run()
    except (CheckpointError, OSError):
        return None
    arch = _part(info, "model").get("arch")
    sha256 = _part(info, "corpus").get("sha256")
    by_chars = _part(info, "recipe").get("tokenizer") == "chars"
    if arch not in ("modern", "classic") or not by_chars or done.params <= 0 or done.chars_per_s <= 0:
        return None
    val_loss = done.best_val_loss
    return PastRun(
        folder.name,
        arch,
        done.params,
        done.train_chars,
        done.chars_per_s,
        val_loss if val_loss is not None and math.isfinite(val_loss) else None,
        sha256 if isinstance(sha256, str) else None,
    )


def _last(folder: RunFolder) -> Done | None:
    """The last word of a run, if that was that it is done."""
    fd = open_read(folder.events)
    try:
        tail = os.pread(fd, _TAIL_BYTES, max(0, os.fstat(fd).st_size - _TAIL_BYTES))
    finally:
        os.close(fd)
    *_, line = b"\n", *tail.splitlines()
    event = load_line(line)
    return event if isinstance(event, Done) else None


def _part(info: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = info.get(name)
    return part if isinstance(part, dict) else {}
