"""Draws a loss chart as rows of characters with roles: curves in braille, the ladder, marks, axes, labels.

`draw` is a pure function; a `Cache` only spares it the points it has seen. Where curves share a character, the validation loss
wins over the training loss, that over other runs, and all of them over the raw training loss. They can be told apart without
colours: the raw loss is a checkered band, validation dotted with a ● at each evaluation, other runs are dashed, and every
curve is named at its end. Left out: colours and the mouse (`loss_chart`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from rich.cells import cell_len

from tinygpt_tui.widgets.braille import CHECKERED, SOLID, UNBROKEN, Canvas
from tinygpt_tui.widgets.chart_axes import (
    Scale,
    Tick,
    full_span,
    step_scale,
    value_axis,
    worth_showing,
)
from tinygpt_tui.widgets.chart_columns import Grid, Squeezed, squeeze, trace
from tinygpt_tui.widgets.chart_data import ChartData, Level, Line, Unit, View, in_unit
from tinygpt_tui.widgets.chart_margins import axis_row, frame_of, gutter_labels, gutter_of, mark_row
from tinygpt_tui.widgets.chart_sheet import Picture as Picture
from tinygpt_tui.widgets.chart_sheet import Role, Run, Sheet, runs_width
from tinygpt_tui.widgets.chart_text import fitted, level_label, readout, shown

_DASHES = ((6, 4), (4, 2), (8, 6), (3, 1))  # of overlays, in dots: period and how many are drawn
_DOTTED = (2, 1)
_FAR = 10_000  # rows of dots; anything farther out is drawn the same
_SEPARATOR = " · "


@dataclass
class Cache:
    """What `draw` keeps from one picture to the next; changes no picture."""

    grid: Grid | None = None
    squeezed: tuple[Squeezed, ...] = ()

    def grid_of(self, scale: Scale, width: int) -> Grid:
        if self.grid is None or (self.grid.scale, self.grid.width) != (scale, width):
            self.grid, self.squeezed = Grid(scale, width), ()
        return self.grid

    def squeeze(self, lines: Sequence[Line], grid: Grid) -> list[Squeezed]:
        found = []
        for line in lines:
            known = next((s for s in self.squeezed if s.series.values is line.series.values), None)
            found.append(squeeze(line.series, grid, known))
        self.squeezed = tuple(found)
        return found


@dataclass(frozen=True)
class _Curve:
    line: Line
    role: Role
    squeezed: Squeezed
    canvas: Canvas = field(repr=False)


def draw(data: ChartData, view: View, width: int, height: int, cache: Cache | None = None) -> Picture:
    """The picture of a chart.

    Args:
        data: what is shown.
        view: how.
        width, height: in cells; any size gives a picture of exactly that size.
        cache: that of the previous picture, whatever it showed.
    """
    width, height = max(0, width), max(0, height)
    if not width:
        return Picture(((),) * height)
    cache = cache if cache is not None else Cache()
    steps = x_scale(data, view)
    gutter = gutter_of(width)
    grid = cache.grid_of(steps, 2 * max(1, width - gutter))
    squeezed = cache.squeeze(data.lines, grid)
    broken = sorted({x >> 1 for item in squeezed for x in item.broken})
    frame = frame_of(width, height, bool(data.marks or broken))
    sheet = Sheet(frame.columns, frame.rows)
    values, ticks = _y_axis(data, view, squeezed, frame.rows)
    row_of = _row_of(values, data.unit, 4 * frame.rows)
    curves = [
        _Curve(line, role, item, Canvas(frame.columns, frame.rows))
        for line, role, item in zip(data.lines, _roles(data.lines), squeezed, strict=True)
    ]
    if frame.rows and frame.columns:
        rungs = _level_rows(data, values, frame.rows)
        _lay_curves(sheet, curves, row_of)
        _write_ends(sheet, curves, row_of, data.unit)
        for row, level in rungs:
            _write_level(sheet, row, level, data.unit)
        if not any(item.finite for item in squeezed):
            _write_centred(sheet, "no finite loss here" if data.last_step is not None else "no loss yet")
        if view.cursor is not None:
            _lay_cursor(sheet, grid, view.cursor)
            _write_readout(sheet, data, view.cursor)
    rows = [
        ((label, "axis"), *sheet.runs(row)) if frame.gutter else sheet.runs(row)
        for row, label in enumerate(gutter_labels(ticks, frame))
    ]
    marked = [grid.column(mark.step) >> 1 for mark in data.marks if steps.lo <= mark.step <= steps.hi]
    if frame.mark_row is not None:
        rows.append(mark_row(data.marks, steps, grid, broken, frame))
        broken = []
    if frame.axis_row is not None:
        rows.append(axis_row(steps, marked, broken, frame))
    return Picture(tuple(rows))


def x_scale(data: ChartData, view: View) -> Scale:
    """The steps that are shown."""
    span = full_span(data.first_step, data.last_step, data.horizon)
    return step_scale(span, view.span, view.log_x, data.last_step if view.follow else None)


def _roles(lines: Sequence[Line]) -> list[Role]:
    others: tuple[Role, ...] = ("overlay0", "overlay1", "overlay2", "overlay3")
    own: dict[str, Role] = {"ghost": "ghost", "smooth": "train", "val": "val"}
    if not any(line.kind == "smooth" for line in lines):
        own["ghost"] = "train"  # then it speaks for itself
    roles: list[Role] = []
    seen = 0
    for line in lines:
        roles.append(own.get(line.kind) or others[seen % len(others)])
        seen += line.kind == "overlay"
    return roles


def _y_axis(data: ChartData, view: View, squeezed: Sequence[Squeezed], rows: int) -> tuple[Scale, list[Tick]]:
    curves, band = [], []
    for line, item in zip(data.lines, squeezed, strict=True):
        pairs = [(low, high) for _, _, low, high, _ in item.finite]
        if data.unit != "nats" or any(abs(low) + abs(high) > 1e90 for low, high in pairs):
            pairs = [(in_unit(low, data.unit), in_unit(high, data.unit)) for low, high in pairs]
        if line.kind == "ghost":
            band = pairs
        else:
            curves.append(pairs)
    if not any(curves):
        curves, band = [band], []
    levels = [in_unit(level.value, data.unit) for level in data.levels]
    found = worth_showing(curves, band, levels, view.log_y, view.span is None)
    return value_axis(*(found or (1.0, 2.0)), rows, view.log_y)


def _row_of(scale: Scale, unit: Unit, dots: int) -> Callable[[float], int]:
    last = dots - 1

    def general(nats: float) -> int:
        row = (1 - scale.fraction(in_unit(nats, unit))) * last
        return math.floor(row + 0.5) if -_FAR < row < _FAR else (_FAR if row > 0 else -_FAR)

    if (
        scale.log and unit == "nats"
    ):  # the same, with as little as possible done for each of a thousand values
        top, steep = math.log(scale.hi), last / (math.log(scale.hi) - math.log(scale.lo))

        def logarithmic(nats: float) -> int:
            row = (top - math.log(nats)) * steep if 0 < nats < _FAR else general(nats)
            return math.floor(row + 0.5) if -_FAR < row < _FAR else (_FAR if row > 0 else -_FAR)

        return logarithmic
    if scale.log or unit == "perplexity":
        return general
    slope = -last / (in_unit(scale.hi - scale.lo, "nats"))
    if unit == "bits":
        slope /= math.log(2)
    zero = last + last * scale.lo / (scale.hi - scale.lo) + 0.5

    def linear(nats: float) -> int:
        row = zero + slope * nats
        return math.floor(row) if -_FAR < row < _FAR else (_FAR if row > 0 else -_FAR)

    return linear


def _lay_curves(sheet: Sheet, curves: Sequence[_Curve], row_of: Callable[[float], int]) -> None:
    """Draws the curves, the least important first; dots of those that share a character are joined, the raw loss aside."""
    order = {"ghost": 0, "overlay": 1, "smooth": 2, "val": 3}
    below: list[Canvas] = []
    for curve in sorted(curves, key=lambda curve: order[curve.line.kind]):
        dash, marked = UNBROKEN, False
        if curve.role.startswith("overlay"):
            dash = _DASHES[int(curve.role[-1])]
        elif curve.role == "val" and 3 * len(curve.squeezed.inside) <= sheet.columns:
            dash, marked = _DOTTED, True
        raw = curve.role == "ghost"
        trace(curve.canvas, curve.squeezed, row_of, CHECKERED if raw else SOLID, dash)
        if not raw:
            for other in below:
                _join(curve.canvas, other)
            below.append(curve.canvas)
        sheet.lay(curve.canvas, curve.role)
        if marked:
            for x, _, _, _, value in curve.squeezed.finite:
                row = row_of(value) >> 2
                if 0 <= row < sheet.rows:
                    sheet.put(row, x >> 1, "●", "val")


def _join(canvas: Canvas, other: Canvas) -> None:
    """Adds the dots of `other` where `canvas` has some in the same character."""
    for mine, its in zip(canvas.cells, other.cells, strict=True):
        if any(mine) and any(its):
            for column, bits in enumerate(its):
                if bits and mine[column]:
                    mine[column] |= bits


def _write_ends(sheet: Sheet, curves: Sequence[_Curve], row_of: Callable[[float], int], unit: Unit) -> None:
    """Names the curves where they end; those that end at the same place share a label."""
    ends: list[tuple[int, int, list[Run]]] = []
    speaks = {"train", "val"}
    for curve in curves:
        finite = curve.squeezed.finite
        if finite and (curve.role in speaks or curve.role.startswith("overlay")):
            x, _, _, _, value = finite[-1]
            name = fitted(curve.line.name, max(0, min(24, sheet.columns - 8)))
            text = f"{name} {shown(value, unit)}" if curve.squeezed.at_end else name
            ends.append((min(max(row_of(value) >> 2, 0), sheet.rows - 1), x >> 1, [(text, curve.role)]))
    # The run's own curves find each other before those of others come between.
    ends.sort(key=lambda end: (end[2][0][1] not in speaks, end[0], end[2][0][1] != "val"))
    groups: list[tuple[int, int, list[Run]]] = []
    for row, column, runs in ends:
        for index, (first, last, joined) in enumerate(groups):
            together = runs_width(joined) + len(_SEPARATOR) + runs_width(runs)
            near = abs(row - first) <= 1 and abs(column - last) <= sheet.columns // 8
            if near and together <= max(24, sheet.columns // 2):
                groups[index] = (first, max(last, column), [*joined, (_SEPARATOR, "label"), *runs])
                break
        else:
            groups.append((row, column, runs))
    for row, column, runs in groups:
        place = sheet.best_room(row, column, runs_width(runs))
        if place is not None:
            sheet.write(*place, runs)


def _level_role(level: Level) -> Role:
    return "level-past" if level.past else "level"


def _level_rows(data: ChartData, scale: Scale, rows: int) -> list[tuple[int, Level]]:
    """The row of each level that is drawn, none right beside another: those ahead first, and of those past the newest first."""
    newest = min((level.value for level in data.levels if level.past), default=None)
    found: dict[int, Level] = {}
    for level in sorted(data.levels, key=lambda level: (level.past, level.value != newest, -level.value)):
        value = in_unit(level.value, data.unit)
        if scale.lo <= value <= scale.hi:
            row = math.floor((1 - scale.fraction(value)) * (4 * rows - 1) + 0.5) >> 2
            if all(abs(row - other) > 1 for other in found):
                found[row] = level
    return list(found.items())


def _write_level(sheet: Sheet, row: int, level: Level, unit: Unit) -> None:
    """Writes a level's name, right of the curve if there is room, and dots from there on; nothing if it has no room at all."""
    label, role = level_label(level, unit), _level_role(level)
    start = sheet.first_room(row, cell_len(label))
    if start is None:
        return
    sheet.write(row, start, [(label, role)])
    for column in range(start + cell_len(label) + 1, sheet.columns):
        if sheet.roles[row][column] == "blank":
            sheet.put(row, column, "┈", role)


def _write_centred(sheet: Sheet, text: str) -> None:
    text = fitted(text, sheet.columns)
    row, start = sheet.rows // 2, (sheet.columns - cell_len(text)) // 2
    sheet.write(row, start, [(text, "label")])


def _lay_cursor(sheet: Sheet, grid: Grid, step: int) -> None:
    if not grid.scale.lo <= step <= grid.scale.hi:
        return
    column = grid.column(step) >> 1
    for row in range(sheet.rows):
        if sheet.roles[row][column] == "blank" or sheet.characters[row][column] == "┈":
            sheet.put(row, column, "│", "cursor")


def _write_readout(sheet: Sheet, data: ChartData, step: int) -> None:
    """Writes the values at the cursor into the first row, at the side where they cover less; as many as have room."""
    roles = dict(zip(map(id, data.lines), _roles(data.lines), strict=True))
    runs: list[Run] = []
    for text, line in readout(data, step):
        added: list[Run] = [(text, roles[id(line)] if line is not None else "cursor")]
        if runs:
            added.insert(0, (_SEPARATOR, "label"))
        if runs_width(runs) + runs_width(added) > sheet.columns - 2:
            break
        runs += added
    width = runs_width(runs)
    if runs:
        right, left = sheet.columns - width - 1, 1
        sheet.write(0, left if sheet.cost(0, left, width) < sheet.cost(0, right, width) else right, runs)
