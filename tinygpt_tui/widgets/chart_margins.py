"""What stands around the plot of a loss chart: labels of losses, marks of what was done to the run, the axis of steps.

Left out: the plot itself (`chart`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len

from tinygpt_tui.widgets.chart_axes import TICK_CHARS, Scale, Tick, step_ticks, tick_start
from tinygpt_tui.widgets.chart_columns import Grid
from tinygpt_tui.widgets.chart_data import Mark
from tinygpt_tui.widgets.chart_sheet import Role, Run, Sheet
from tinygpt_tui.widgets.chart_text import fitted

_MARK_CELLS = 20
_WEIGHTS = {
    "failed": 0,
    "nan": 0,
    "stop": 1,
    "lr": 2,
    "extend": 2,
    "backend": 3,
    "pause": 4,
    "resume": 5,
    "resumed": 4,
}
_WORDLESS = ("sample", "save")


@dataclass(frozen=True)
class Frame:
    """Where things stand in a chart of `width` by `height` cells.

    Attributes:
        gutter: cells for labels at the left.
        columns, rows: of the plot itself.
        mark_row, axis_row: rows of the chart, or None if there is no room for them.
    """

    width: int
    height: int
    gutter: int
    columns: int
    rows: int
    mark_row: int | None
    axis_row: int | None


def gutter_of(width: int) -> int:
    """Cells that labels take at the left of a chart."""
    return TICK_CHARS if width >= 24 else 0


def frame_of(width: int, height: int, marked: bool) -> Frame:
    """How a chart is divided.

    Args:
        width, height: of all of it.
        marked: whether there is anything for the row of marks.
    """
    gutter = gutter_of(width)
    axis = height >= 3
    marks = marked and height >= 8
    rows = height - axis - marks
    return Frame(
        width, height, gutter, width - gutter, rows, rows if marks else None, height - 1 if axis else None
    )


def gutter_labels(ticks: Sequence[Tick], frame: Frame) -> list[str]:
    """What stands in the gutter beside each row of the plot."""
    labels = [""] * frame.rows
    for tick in ticks:
        if frame.rows:
            row = math.floor((1 - tick.fraction) * (4 * frame.rows - 1) + 0.5) >> 2
            labels[min(max(row, 0), frame.rows - 1)] = tick.label
    return [label.rjust(frame.gutter - 1).ljust(frame.gutter)[: frame.gutter] for label in labels]


def mark_row(
    marks: Sequence[Mark], steps: Scale, grid: Grid, broken: Sequence[int], frame: Frame
) -> tuple[Run, ...]:
    sheet = Sheet(frame.width, 1)
    places = [
        (frame.gutter + (grid.column(mark.step) >> 1), mark)
        for mark in marks
        if steps.lo <= mark.step <= steps.hi
    ]
    for column, mark in places:
        bad = mark.kind in ("nan", "failed")
        sheet.put(0, column, "×" if bad else "╷", "nan" if bad else "mark")
    for column in broken:
        sheet.put(0, frame.gutter + column, "×", "nan")
    named: set[int] = set()
    for column, mark in sorted(places, key=lambda place: (_WEIGHTS.get(place[1].kind, 6), place[0])):
        text = "" if column in named or mark.kind in _WORDLESS else fitted(mark.text, _MARK_CELLS)
        role: Role = "nan" if mark.kind in ("nan", "failed") else "mark"
        width = cell_len(text)
        for start in (column + 2, column - 1 - width) if text else ():
            span = sheet.roles[0][max(0, start - 1) : start + width + 1]
            if start >= 0 and start + width <= frame.width and all(other == "blank" for other in span):
                sheet.write(0, start, [(text, role)])
                named.add(column)
                break
    return sheet.runs(0)


def axis_row(steps: Scale, marked: Sequence[int], broken: Sequence[int], frame: Frame) -> tuple[Run, ...]:
    sheet = Sheet(frame.width, 1)
    for column in range(frame.columns):
        sheet.put(0, frame.gutter + column, "┴" if column in marked else "─", "axis")
    for tick in step_ticks(steps, frame.columns):
        start = frame.gutter + tick_start(tick.fraction, tick.label, frame.columns)
        for offset, character in enumerate(tick.label):
            sheet.put(0, start + offset, character, "axis")
    for column in broken:
        sheet.put(0, frame.gutter + column, "×", "nan")
    return sheet.runs(0)
