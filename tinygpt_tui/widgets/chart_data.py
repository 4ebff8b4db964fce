"""What a loss chart is told: curves, ladder levels, marks, and how to look at them. Left out: drawing (`chart`)."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from dataclasses import dataclass
from typing import Literal, Protocol

Unit = Literal["nats", "bits", "perplexity"]
UNITS: tuple[Unit, ...] = ("nats", "bits", "perplexity")
Kind = Literal["ghost", "smooth", "val", "overlay"]

# Keeps sums and differences of any two values finite, and labels short.
LIMIT = 1e99


class Series(Protocol):
    """The first `n` entries of two append-only arrays; those entries never change.

    `steps` is an array('q') that does not decrease; `values` an array('d') in nats per character, NaN where a value was not
    finite. `tinygpt_tui.sources.series.Series` is one.
    """

    @property
    def steps(self) -> array[int]: ...
    @property
    def values(self) -> array[float]: ...
    @property
    def n(self) -> int: ...


@dataclass(frozen=True, eq=False)
class Line:
    """One curve.

    Attributes:
        name: "train", "val", or what to call the other run of an overlay.
        kind: "ghost" is the raw training loss, drawn as the band between its extremes; "smooth" its moving average;
            "val" the validation loss, with a dot at each evaluation; "overlay" a curve of another run, dashed.
        series: its points.
    """

    name: str
    kind: Kind
    series: Series

    def index_at(self, step: float) -> int:
        """The index of the last point at or before `step`, or -1."""
        return bisect_right(self.series.steps, step, 0, self.series.n) - 1

    def same_as(self, other: Line) -> bool:
        """Whether it would be drawn alike; compares no points."""
        mine, its = self.series, other.series
        return (
            (self.name, self.kind, mine.n) == (other.name, other.kind, its.n)
            and mine.values is its.values
            and mine.steps is its.steps
        )


@dataclass(frozen=True)
class Level:
    """A rung of the ladder: a loss in nats per character that something simple reaches, such as "2-gram".

    Attributes:
        past: whether the validation loss has fallen below it.
    """

    name: str
    value: float
    past: bool = False


@dataclass(frozen=True)
class Mark:
    """Something that happened at a step.

    Attributes:
        kind: lr, pause, resume, resumed, stop, extend, backend, nan, failed, save, sample …
        text: the same in a few words, such as "lr ×0.5".
    """

    step: int
    kind: str
    text: str


@dataclass(frozen=True, eq=False)
class ChartData:
    """Everything a chart shows.

    Attributes:
        lines: the curves. At most one each of "ghost", "smooth" and "val" is expected, any number of overlays.
        levels: the ladder.
        marks: in the order of steps.
        horizon: the step at which the run is to end: the axis goes on to it. None: it ends with the curves.
        unit: what losses are shown in; they are always given in nats.
    """

    lines: tuple[Line, ...] = ()
    levels: tuple[Level, ...] = ()
    marks: tuple[Mark, ...] = ()
    horizon: int | None = None
    unit: Unit = "nats"

    def first(self, kind: Kind) -> Line | None:
        """The first curve of a kind that has points."""
        return next((line for line in self.lines if line.kind == kind and line.series.n), None)

    @property
    def train(self) -> Line | None:
        """The curve that speaks for the training loss: the smoothed one if there is one."""
        return self.first("smooth") or self.first("ghost")

    @property
    def spoken(self) -> list[Line]:
        """The curves that are named and read out, in that order: training, validation, other runs."""
        own = [line for line in (self.train, self.first("val")) if line is not None]
        return own + [line for line in self.lines if line.kind == "overlay" and line.series.n]

    @property
    def first_step(self) -> int | None:
        """The first step of any curve."""
        return min((line.series.steps[0] for line in self.lines if line.series.n), default=None)

    @property
    def last_step(self) -> int | None:
        """The last step of any curve."""
        return max(
            (line.series.steps[line.series.n - 1] for line in self.lines if line.series.n), default=None
        )

    def same_as(self, other: ChartData) -> bool:
        """Whether it would be drawn alike; compares no points."""
        return (
            len(self.lines) == len(other.lines)
            and all(map(Line.same_as, self.lines, other.lines))
            and (self.levels, self.marks, self.horizon, self.unit)
            == (other.levels, other.marks, other.horizon, other.unit)
        )


@dataclass(frozen=True)
class View:
    """How a person looks at a chart.

    Attributes:
        log_x: logarithmic steps; the first shown is then at least 1.
        log_y: logarithmic losses.
        span: the steps that are shown; None for all.
        follow: whether `span` moves on when the curves grow out of it.
        cursor: the step whose values are read out; None for none.
    """

    log_x: bool = False
    log_y: bool = False
    span: tuple[float, float] | None = None
    follow: bool = False
    cursor: int | None = None


def in_unit(nats: float, unit: Unit) -> float:
    """A loss in another unit, kept within ±`LIMIT`; NaN stays NaN."""
    if unit == "bits":
        nats /= math.log(2)
    elif unit == "perplexity":
        nats = math.exp(min(nats, 300.0))
    return nats if -LIMIT < nats < LIMIT or nats != nats else math.copysign(LIMIT, nats)
