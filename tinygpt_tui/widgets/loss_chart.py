"""The live loss chart: shows `ChartData`, and lets a person read values off it, zoom, and switch axes and units.

It has no keys of its own: a screen binds them and calls the methods. Left out: the drawing (`chart`), and where data comes from.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from tinygpt_tui.widgets import chart_text
from tinygpt_tui.widgets.chart import Cache, Picture, draw, x_scale
from tinygpt_tui.widgets.chart_axes import full_span, panned, zoomed
from tinygpt_tui.widgets.chart_data import UNITS, ChartData, Line, View
from tinygpt_tui.widgets.chart_margins import gutter_of
from tinygpt_tui.widgets.chart_sheet import ROLES, Run

ZOOM = 0.6
_PLAIN_SIZE = (100, 24)  # of the text when the widget has no size yet


class LossChart(Widget, can_focus=True):
    """A chart of `ChartData`."""

    HELP = """
## Loss

How surprised the model is by a character, by training step: lower is better. `val` (●) is measured on text it does not learn from,
`train` is smoothed, the band behind it is the raw training loss. Dashed curves are other runs.

Dotted lines are what simpler models reach on the same text; `✓` marks those already beaten. Ticks above the axis are what was done
to the run, `×` is a step where the loss was not a number.

* Point at a step, or move the cursor, to read its values; click to pin them, click again to let go.
* The wheel zooms in and out around the pointer. A window that shows the newest step moves on with it.
* Logarithmic axes show late progress (steps and loss); units are nats, bits (÷ 0.69) or perplexity (e to the loss).
"""

    DEFAULT_CSS = """
    LossChart {
        height: 1fr; min-height: 3; background: $background; color: $foreground;
        & > .loss-chart--axis { color: $text-muted; }
        & > .loss-chart--ghost { color: $primary 45%; }
        & > .loss-chart--train { color: $primary; }
        & > .loss-chart--val { color: $accent; text-style: bold; }
        & > .loss-chart--overlay0 { color: $success; }
        & > .loss-chart--overlay1 { color: $secondary; }
        & > .loss-chart--overlay2 { color: $error; }
        & > .loss-chart--overlay3 { color: $foreground; }
        & > .loss-chart--level { color: $foreground 80%; }
        & > .loss-chart--level-past { color: $foreground 55%; }
        & > .loss-chart--mark { color: $secondary; }
        & > .loss-chart--nan { color: $error; text-style: bold; }
        & > .loss-chart--cursor { color: $foreground; text-style: bold; }
        & > .loss-chart--label { color: $text-muted; }
    }
    LossChart:ansi { background: ansi_default; color: ansi_default; }
    LossChart:ansi > .loss-chart--ghost { color: ansi_blue; text-style: dim; }
    LossChart:ansi > .loss-chart--train { color: ansi_blue; }
    LossChart:ansi > .loss-chart--val { color: ansi_yellow; }
    LossChart:ansi > .loss-chart--overlay2 { color: ansi_magenta; }
    LossChart:ansi > .loss-chart--level { color: ansi_default; }
    LossChart:ansi > .loss-chart--level-past { color: ansi_default; text-style: dim; }
    LossChart:ansi > .loss-chart--axis { color: ansi_default; text-style: dim; }
    LossChart:nocolor > .loss-chart--ghost { text-style: dim; }
    LossChart:nocolor > .loss-chart--level-past { text-style: dim; }
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"loss-chart--{role}" for role in ROLES if role != "blank"}

    class CursorMoved(Message):
        """The values of another step are read out, or with None of none."""

        def __init__(self, chart: LossChart, step: int | None) -> None:
            super().__init__()
            self.chart, self.step = chart, step

        @property
        def control(self) -> LossChart:
            return self.chart

    def __init__(self, *, name: str | None = None, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self._data, self._view = ChartData(), View()
        self._pinned = False
        self._unit_chosen = False
        self._cache = Cache()
        self._picture: Picture | None = None
        self._size_drawn = Size()
        self._strips: dict[tuple[Run, ...], Strip] = {}
        self._styles: dict[str, Style] = {}
        self.border_title = Text(chart_text.title(self._data, self._view))

    @property
    def data(self) -> ChartData:
        """What is shown."""
        return self._data

    @property
    def view(self) -> View:
        """How it is shown."""
        return self._view

    def set_data(self, data: ChartData) -> None:
        """Shows other data; draws only the rows that changed. A unit that a person chose with `next_unit` stays."""
        if self._unit_chosen and data.unit != self._data.unit:
            data = replace(data, unit=self._data.unit)
        if not data.same_as(self._data):
            self._data = data
            self._draw_anew()

    def set_view(self, view: View) -> None:
        """Shows the data in another way."""
        if view != self._view:
            moved = view.cursor != self._view.cursor
            self._view = view
            self._draw_anew()
            if moved:
                self.post_message(self.CursorMoved(self, view.cursor))

    def toggle_log_y(self) -> None:
        """Switches between a linear and a logarithmic axis of losses."""
        self.set_view(replace(self._view, log_y=not self._view.log_y))

    def toggle_log_x(self) -> None:
        """Switches between a linear and a logarithmic axis of steps; shows all of them."""
        self.set_view(replace(self._view, log_x=not self._view.log_x, span=None, follow=False))

    def zoom_in(self, at: float | None = None) -> None:
        """Shows fewer steps.

        Args:
            at: the fraction of the width that stays where it is; by default the cursor, or else the newest step.
        """
        self._zoom(ZOOM, at)

    def zoom_out(self, at: float | None = None) -> None:
        """Shows more steps; `at` as for `zoom_in`."""
        self._zoom(1 / ZOOM, at)

    def zoom_reset(self) -> None:
        """Shows all steps."""
        self.set_view(replace(self._view, span=None, follow=False))

    def pan(self, fraction: float) -> None:
        """Moves a zoomed window by a fraction of its width, to the right if positive."""
        if self._view.span is not None:
            self._show_span(panned(x_scale(self._data, self._view), self._full, fraction))

    def move_cursor(self, columns: int) -> None:
        """Moves the cursor by columns, by a point at least, and pins it; the first move puts it on the newest step shown."""
        if not self._data.spoken or not columns:
            return
        self._pinned = True
        scale, line = x_scale(self._data, self._view), self._data.spoken[0]
        old = self._view.cursor
        if old is None:
            self._put_cursor(_snapped(line, scale.hi))
            return
        at = scale.fraction(old) + columns / self._plot_columns
        new = _snapped(line, scale.value(at))
        if new == old or (new > old) != (columns > 0):
            index = line.index_at(old) + (1 if columns > 0 else -1)
            new = line.series.steps[min(max(index, 0), line.series.n - 1)]
        if self._view.span is not None and not 0 <= (at := scale.fraction(new)) <= 1:
            self.pan(at if at < 0 else at - 1)
        self._put_cursor(new)

    def cursor_off(self) -> None:
        """Takes the cursor away."""
        self._pinned = False
        self._put_cursor(None)

    def next_unit(self) -> None:
        """Shows losses in the next unit: nats, bits, perplexity."""
        self._unit_chosen = True
        self._data = replace(self._data, unit=UNITS[(UNITS.index(self._data.unit) + 1) % len(UNITS)])
        self._draw_anew()

    def readout(self) -> str:
        """The values at the cursor in one line, or ""."""
        if self._view.cursor is None:
            return ""
        return " · ".join(text for text, _ in chart_text.readout(self._data, self._view.cursor))

    def summary(self) -> str:
        """What the chart shows in one line, for where there is no room for a chart."""
        return chart_text.summary(self._data)

    def text(self, width: int | None = None, height: int | None = None) -> str:
        """The picture as plain text, by default as large as it is shown."""
        shown = self.content_size if self.content_size.area else None
        columns, rows = (shown.width, shown.height) if shown else _PLAIN_SIZE
        return draw(self._data, self._view, width or columns, height or rows).text()

    def render_line(self, y: int) -> Strip:
        width, height = self.content_size
        if self._picture is None or self._size_drawn != self.content_size:
            self._size_drawn = self.content_size
            self._strips.clear()
            self._picture = draw(self._data, self._view, width, height, self._cache)
        if not 0 <= y < height:
            return Strip.blank(width, self.rich_style)
        runs = self._picture.rows[y]
        if runs not in self._strips:
            if len(self._strips) > 4 * height:
                self._strips.clear()
            base = self.rich_style
            self._strips[runs] = Strip(
                [Segment(text, base + self._style(role)) for text, role in runs], width
            )
        return self._strips[runs]

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._styles.clear()
        self._strips.clear()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        if not self._pinned:
            self._put_cursor(self._step_under(event))

    def on_leave(self) -> None:
        if not self._pinned:
            self._put_cursor(None)

    def on_click(self, event: events.Click) -> None:
        step = self._step_under(event)
        if step is None or (self._pinned and step == self._view.cursor):
            self.cursor_off()
        else:
            self._pinned = True
            self._put_cursor(step)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        event.prevent_default()
        self.zoom_in(self._fraction_under(event))

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        event.prevent_default()
        self.zoom_out(self._fraction_under(event))

    @property
    def allow_select(self) -> bool:
        return False

    @property
    def _full(self) -> tuple[float, float]:
        return full_span(self._data.first_step, self._data.last_step, self._data.horizon)

    @property
    def _plot_columns(self) -> int:
        return max(1, self.content_size.width - gutter_of(self.content_size.width))

    def _zoom(self, factor: float, at: float | None) -> None:
        scale, newest = x_scale(self._data, self._view), self._data.last_step
        if newest is None:
            return
        if at is None:
            at = scale.fraction(newest if self._view.cursor is None else self._view.cursor)
        self._show_span(zoomed(scale, self._full, factor, at))

    def _show_span(self, span: tuple[float, float] | None) -> None:
        newest = self._data.last_step
        follow = span is not None and newest is not None and span[0] <= newest <= span[1]
        self.set_view(replace(self._view, span=span, follow=follow))

    def _put_cursor(self, step: int | None) -> None:
        self.set_view(replace(self._view, cursor=step))

    def _fraction_under(self, event: events.MouseEvent) -> float | None:
        place = event.get_content_offset(self)
        if place is None:
            return None
        return (place.x - gutter_of(self.content_size.width) + 0.5) / self._plot_columns

    def _step_under(self, event: events.MouseEvent) -> int | None:
        at = self._fraction_under(event)
        if at is None or not self._data.spoken:
            return None
        scale = x_scale(self._data, self._view)
        return _snapped(self._data.spoken[0], scale.value(min(1.0, max(0.0, at))))

    def _draw_anew(self) -> None:
        """Draws the picture at once and has only those of its rows painted that differ from the painted ones."""
        title = chart_text.title(self._data, self._view)
        if title != str(self.border_title):  # setting it paints everything
            self.border_title = Text(title)
        width, height = self.content_size
        if self._picture is None or self._size_drawn != self.content_size:
            self._picture = None
            self.refresh()
            return
        before, self._picture = self._picture, draw(self._data, self._view, width, height, self._cache)
        pairs = enumerate(zip(before.rows, self._picture.rows, strict=True))
        changed = [Region(0, y, width, 1) for y, (old, new) in pairs if old != new]
        if changed:
            self.refresh(*changed)

    def _style(self, role: str) -> Style:
        if role == "blank":
            return Style()
        if role not in self._styles:
            self._styles[role] = self.get_component_rich_style(f"loss-chart--{role}")
        return self._styles[role]


def _snapped(line: Line, step: float) -> int:
    """The last step at or before `step` that a curve has, or its first."""
    return line.series.steps[max(0, line.index_at(step))]
