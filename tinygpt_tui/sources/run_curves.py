"""The curves of a run in the making: points are appended, and what a resumed trainer repeats is taken back.

Pure: no files, no clock, no events. A `Series` that was handed out never changes, and handing one out copies nothing.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from collections.abc import Mapping

from tinygpt_tui.sources.series import Series

SMOOTHEST = 100  # steps


def smoothing(horizon: int) -> float:
    """The weight w of the past in a smoothed loss, for a run of `horizon` steps.

    As TensorBoard does it: s <- w s + (1 - w) x from s = 0, shown as s / (1 - w^n) after n values. w is 1 - 1/span, and span the
    largest power of two that is at most a fiftieth of the run, at most 100 steps (w = 0.99). Powers of two, so that a
    horizon that moves a little does not redraw the curve.
    """
    span = 1
    while span < SMOOTHEST and span * 100 <= horizon:
        span *= 2
    return 1 - 1 / min(span, SMOOTHEST)


class TrainCurves:
    """Training loss, raw and smoothed, and learning rate of each step."""

    def __init__(self) -> None:
        self.steps, self._losses, self._smooth, self._lrs = array("q"), array("d"), array("d"), array("d")
        self._weight = 0.0
        self._sum, self._past = 0.0, 1.0  # s and w^n of `smoothing`

    @property
    def last(self) -> int:
        """The last step, or -1."""
        return self.steps[-1] if self.steps else -1

    @property
    def loss(self) -> float | None:
        """Of the last step; None if it was not finite or there is none. The same holds for the two below."""
        return _last(self._losses)

    @property
    def smooth_loss(self) -> float | None:
        return _last(self._smooth)

    @property
    def lr(self) -> float | None:
        return _last(self._lrs)

    def add(self, step: int, loss: float, lr: float) -> None:
        """Adds a later step; a loss that was not finite is NaN."""
        self.steps.append(step)
        self._losses.append(loss)
        self._lrs.append(lr)
        self._smooth.append(self._smoothed(loss))

    def set_horizon(self, horizon: int) -> None:
        """Smooths anew if a run of this length is to be smoothed otherwise."""
        if (weight := smoothing(horizon)) == self._weight:
            return
        self._weight, self._sum, self._past = weight, 0.0, 1.0
        self._smooth = array("d", map(self._smoothed, self._losses))

    def cut(self, last: int) -> None:
        """Takes back the steps beyond `last`."""
        keep = bisect_right(self.steps, last)
        if keep == len(self.steps):
            return
        # Views share the old arrays, so these are not shortened but replaced.
        self.steps, self._losses = self.steps[:keep], self._losses[:keep]
        self._smooth, self._lrs = self._smooth[:keep], self._lrs[:keep]
        counted = sum(1 for loss in self._losses if loss == loss)
        self._past = self._weight**counted
        shown = next((value for value in reversed(self._smooth) if value == value), 0.0)
        self._sum = shown * (1 - self._past)

    def views(self) -> tuple[Series, Series, Series]:
        """Raw loss, smoothed loss, learning rate."""
        n = len(self.steps)
        return (
            Series(self.steps, self._losses, n),
            Series(self.steps, self._smooth, n),
            Series(self.steps, self._lrs, n),
        )

    def _smoothed(self, loss: float) -> float:
        if loss != loss:
            return loss
        self._sum = self._weight * self._sum + (1 - self._weight) * loss
        self._past *= self._weight
        return self._sum / (1 - self._past)


class ValCurve:
    """Validation loss, its best, and the rungs of the ladder it has overtaken."""

    def __init__(self) -> None:
        self._steps, self._losses = array("q"), array("d")
        self._ladder: Mapping[str, float] = {}
        self.best: tuple[float, int] | None = None  # loss and step
        self.overtaken: list[tuple[int, str]] = []

    @property
    def last(self) -> int:
        """The step of the last evaluation, or -1."""
        return self._steps[-1] if self._steps else -1

    @property
    def loss(self) -> float | None:
        """Of the last evaluation; None if it was not finite or there is none."""
        return _last(self._losses)

    def add(self, step: int, loss: float) -> None:
        """Adds a later evaluation; a loss that was not finite is NaN."""
        self._steps.append(step)
        self._losses.append(loss)
        self._weigh(step, loss)

    def set_ladder(self, ladder: Mapping[str, float]) -> None:
        """Takes in the rungs, which may come late: what was overtaken is found in the evaluations so far."""
        self._ladder = ladder
        self._weigh_all()

    def cut(self, last: int) -> None:
        """Takes back the evaluations beyond step `last`."""
        keep = bisect_right(self._steps, last)
        if keep < len(self._steps):
            self._steps, self._losses = self._steps[:keep], self._losses[:keep]
            self._weigh_all()

    def view(self) -> Series:
        return Series(self._steps, self._losses, len(self._steps))

    def _weigh_all(self) -> None:
        self.best, self.overtaken = None, []
        for step, loss in zip(self._steps, self._losses, strict=True):
            self._weigh(step, loss)

    def _weigh(self, step: int, loss: float) -> None:
        if loss == loss and (self.best is None or loss < self.best[0]):
            self.best = (loss, step)
        known = {rung for _, rung in self.overtaken}
        passed = [rung for rung, height in self._ladder.items() if loss < height and rung not in known]
        # Several at once: as if they had been passed one after the other.
        passed.sort(key=self._ladder.__getitem__, reverse=True)
        self.overtaken += [(step, rung) for rung in passed]


def _last(values: array[float]) -> float | None:
    return values[-1] if values and math.isfinite(values[-1]) else None
