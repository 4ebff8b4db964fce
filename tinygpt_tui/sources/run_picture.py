"""A run as a screen shows it: one immutable picture of everything that is known of it at a moment.

Left out: how it comes about (`tinygpt_tui.sources.run_folding`, `tinygpt_tui.sources.run_watch`), and making text harmless:
names, messages and samples are exactly what the run says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.control import Request
from engine.events import Done, Failed, Sample, Warn
from engine.runs import UNFINISHED
from tinygpt_tui.sources.series import Series


@dataclass(frozen=True)
class Mark:
    """Something to be drawn at its step on the curves.

    Attributes:
        kind: lr, pause, resume, extend, sample, save or stop (what a person asked for), resumed, backend, nan or failed.
        text: the same in a few words.
    """

    step: int
    kind: str
    text: str


@dataclass(frozen=True, eq=False)
class RunPicture:
    """All that is known of a run; None where nothing is known (yet).

    Attributes:
        name, path: of its folder.
        state: preparing, training, paused, stopped, done or failed; died if it ended without saying so; damaged if its files
            cannot be read; gone if its folder is.
        message: one sentence about the state, or "".
        label, notes: what a person wrote about it.
        corpus, corpus_sha: name and hash of the text it learns.
        params: trained values. vocab: symbols. block_size: tokens the model sees.
        horizon: the step at which training is to end.
        step: optimizer steps taken.
        seconds: spent in them, pauses excluded.
        seconds_left: that the steps to the horizon take at this speed; evaluations and samples come on top, at most a tenth.
        chars_per_s: training speed now; once it is done, the mean.
        lr, grad_norm, train_loss: of the last step; the loss is in nats per character, as all losses here.
        smooth_loss: the training loss smoothed (see `run_curves.smoothing`).
        val_loss: of the last evaluation; best_val_loss the lowest, measured at best_step.
        saved_step: of the newest checkpoint that the events tell of.
        train_chars: characters learned from.
        memory_bytes: resident memory of the trainer, where the system tells, in whole mebibytes.
        turns: the marks that open a "user" and a "model" line, if the text is a conversation.
        samples: the last 100. marks: the last 1,000. warnings: the last 100. Each in the order they were told.
        overtaken: (step, rung of the ladder) for each rung that the validation loss has fallen below, in that order.
        train, smooth, val, lr_course: curves. A loss that was not finite is NaN.
        ladder: nats per character of each rung; empty until it is known.
        done, failed: how the last trainer ended, unless another has begun since.
        pid: of the last trainer.
        pending: what was asked of the trainer and not yet obeyed, in order; a trainer that goes on with the run will obey it.
        catching_up: the share of the events that has been read, while an older run is being opened; None once all are.
        version: another number whenever anything here has changed.
    """

    name: str
    path: Path
    state: str
    message: str
    label: str
    notes: str
    corpus: str | None
    corpus_sha: str | None
    arch: str | None
    params: int | None
    vocab: int | None
    block_size: int | None
    horizon: int | None
    step: int
    seconds: float | None
    seconds_left: float | None
    chars_per_s: float | None
    lr: float | None
    grad_norm: float | None
    train_loss: float | None
    smooth_loss: float | None
    val_loss: float | None
    best_val_loss: float | None
    best_step: int | None
    saved_step: int | None
    train_chars: int | None
    memory_bytes: int | None
    turns: Mapping[str, str] | None
    samples: tuple[Sample, ...]
    marks: tuple[Mark, ...]
    warnings: tuple[Warn, ...]
    overtaken: tuple[tuple[int, str], ...]
    train: Series
    smooth: Series
    val: Series
    lr_course: Series
    ladder: Mapping[str, float]
    done: Done | None
    failed: Failed | None
    pid: int | None
    pending: tuple[Request, ...]
    catching_up: float | None
    version: int

    @property
    def live(self) -> bool:
        """Whether there is a trainer to ask, or one is about to be."""
        return self.state in UNFINISHED
