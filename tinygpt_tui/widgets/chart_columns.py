"""Squeezes a series into the columns of a plot so that every extreme stays visible, and traces it onto a canvas.

A column keeps its first, lowest, highest and last value: drawn as a vertical run that is joined to its neighbours, that is
to the dot what drawing every point would give ("M4: A Visualization-Oriented Time Series Data Aggregation", Jugel et al.,
2014). What was squeezed before is taken up again, so that a point more costs one column. Left out: ranges (`chart_axes`).
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tinygpt_tui.widgets.braille import SOLID, UNBROKEN, Canvas
from tinygpt_tui.widgets.chart_axes import Scale
from tinygpt_tui.widgets.chart_data import Series

# (column, first, lowest, highest, last); the column of a neighbour outside the plot is negative or too large.
Column = tuple[int, float, float, float, float]
_SHORT = 3  # dots; a run less tall than this may fall into the gap of a dash


class Grid:
    """Which column of a plot a step falls into.

    Args:
        scale: the steps that the plot shows.
        width: its columns.
    """

    def __init__(self, scale: Scale, width: int) -> None:
        self.scale, self.width = scale, max(1, width)
        # The first step of each column but the first. One list decides everything, so no rounding can tell two ways apart.
        self.edges = [scale.value(x / self.width) for x in range(1, self.width)]

    def column(self, step: float) -> int:
        """The column of a step, of the nearest if it lies outside."""
        return bisect_right(self.edges, step)


@dataclass(frozen=True, eq=False)
class Squeezed:
    """A series as seen in the columns of a grid.

    Attributes:
        series, grid: what was squeezed into what.
        inside: the columns that have points, left to right; None for one that has no finite value, which interrupts the curve.
        before: the neighbour outside at the left, so that a curve enters where it should; None if there is none.
        after: the same at the right.
        broken: the columns that have values which are not finite.
        begins: the index of the first point of the last column inside.
    """

    series: Series
    grid: Grid
    inside: tuple[Column | None, ...]
    before: Column | None
    after: Column | None
    broken: tuple[int, ...]
    begins: int

    @property
    def finite(self) -> list[Column]:
        """The columns inside without the interruptions."""
        return [column for column in self.inside if column]

    @property
    def at_end(self) -> bool:
        """Whether the last point of the series lies inside."""
        n = self.series.n
        return n > 0 and self.grid.scale.lo <= self.series.steps[n - 1] <= self.grid.scale.hi


def squeeze(series: Series, grid: Grid, known: Squeezed | None = None) -> Squeezed:
    """A series in the columns of a grid.

    Args:
        series: the points.
        grid: the columns.
        known: the result for the same arrays with as many points or fewer; anything else is ignored.
    """
    steps, values = series.steps, series.values
    kept: tuple[Column | None, ...] = ()
    broken: list[int] = []
    start = -1
    if (
        known is not None
        and known.grid is grid
        and known.series.values is values
        and known.series.steps is steps
    ):
        if known.series.n == series.n:
            return known
        if known.series.n < series.n and known.inside:
            start, kept, again = known.begins, known.inside[:-1], grid.column(steps[known.begins])
            broken = [x for x in known.broken if x < again]
    first = bisect_left(steps, grid.scale.lo, 0, series.n) if start < 0 else start
    stop = bisect_right(steps, grid.scale.hi, first, series.n)
    inside: list[Column | None] = []
    begins = first
    for x, a, b in _groups(series, grid, first, stop):
        chunk = values[a:b].tolist()
        if not math.isfinite(sum(chunk)):
            finite = [value for value in chunk if math.isfinite(value)]
            if len(finite) < len(chunk):
                broken.append(x)
            chunk = finite
        inside.append((x, chunk[0], min(chunk), max(chunk), chunk[-1]) if chunk else None)
        begins = a
    before = known.before if known is not None and start >= 0 else _outside(series, grid, first - 1)
    after = _outside(series, grid, stop)
    return Squeezed(series, grid, (*kept, *inside), before, after, tuple(broken), begins)


def trace(
    canvas: Canvas,
    squeezed: Squeezed,
    row_of: Callable[[float], int],
    pattern: int = SOLID,
    dash: tuple[int, int] = UNBROKEN,
) -> None:
    """Draws a squeezed series.

    Args:
        canvas: what to draw on; as wide in dots as the grid.
        squeezed: the series.
        row_of: the row of dots for a value; may lie outside the canvas.
        pattern: what the inside of tall runs is filled with. Their ends are always drawn.
        dash: of how many columns how many are drawn; tall runs always are.
    """
    for x, top, bottom in _runs(canvas, squeezed, row_of, dash):
        if bottom - top < _SHORT:
            if x % dash[0] < dash[1]:
                canvas.run(x, top, bottom)
        elif pattern == SOLID:
            canvas.run(x, top, bottom)
        else:
            canvas.run(x, top, bottom, pattern)
            canvas.run(x, top, top)
            canvas.run(x, bottom, bottom)


def _runs(
    canvas: Canvas, squeezed: Squeezed, row_of: Callable[[float], int], dash: tuple[int, int]
) -> Iterable[tuple[int, int, int]]:
    """(x, top, bottom) of each column, joined to the next; lines over empty columns are drawn at once."""
    left: tuple[int, int, int, int] | None = None  # column, top, bottom and last row, not handed out yet
    for column in (squeezed.before, *squeezed.inside, squeezed.after):
        if column is None:
            if left is not None:
                yield left[:3]
            left = None
            continue
        x, first, lowest, highest, last = column
        top = row_of(highest)
        bottom = top if lowest == highest else row_of(lowest)
        enters = top if first == highest else row_of(first)
        leaves = top if last == highest else row_of(last)
        if left is not None:
            x0, top0, bottom0, leaves0 = left
            if x - x0 == 1:
                middle = (leaves0 + enters) // 2
                if enters - leaves0 > 1:  # downwards: each column goes half of the way
                    left = (x0, top0, max(bottom0, middle), leaves0)
                    top = min(top, middle + 1)
                elif leaves0 - enters > 1:
                    left = (x0, min(top0, middle + 1), bottom0, leaves0)
                    bottom = max(bottom, middle)
            elif x > x0:
                canvas.line(x0, leaves0, x, enters, dash)
            yield left[:3]
        left = (x, top, bottom, leaves)
    if left is not None:
        yield left[:3]


def _groups(series: Series, grid: Grid, start: int, stop: int) -> list[tuple[int, int, int]]:
    """(column, first index, index after the last) of each column that has points from `start` to before `stop`."""
    groups: list[tuple[int, int, int]] = []
    steps, edges = series.steps, grid.edges
    a = start
    while a < stop:
        x = grid.column(steps[a])
        b = stop if x == len(edges) else bisect_left(steps, edges[x], a + 1, stop)
        groups.append((x, a, b))
        a = b
    return groups


def _outside(series: Series, grid: Grid, index: int) -> Column | None:
    if not 0 <= index < series.n or not math.isfinite(series.values[index]):
        return None
    step, value = series.steps[index], series.values[index]
    x = math.floor(grid.scale.fraction(step) * grid.width)
    return (min(x, -1) if step < grid.scale.lo else max(x, grid.width), value, value, value, value)
