"""The loss chart as a widget: it paints what changed, follows the mouse, zooms, and keeps what a person chose."""

from __future__ import annotations

import asyncio
import math
from array import array
from collections.abc import Awaitable, Callable

import pytest
from textual.app import App, ComposeResult
from textual.geometry import Region
from textual.pilot import Pilot

from tests.tinygpt_tui.driving import wait_for
from tinygpt_tui.sources.series import Series
from tinygpt_tui.widgets.chart_data import ChartData, Level, Line, View
from tinygpt_tui.widgets.loss_chart import LossChart

STEPS = array("q", range(1, 2001))
LOSSES = array("d", (1.4 + 2.8 * math.exp(-step / 200) for step in range(1, 2001)))
VAL_STEPS, VAL_LOSSES = array("q", range(100, 2001, 100)), array("d", [1.6] * 20)


def data(n: int = 1000, horizon: int | None = 2000) -> ChartData:
    val = Series(VAL_STEPS, VAL_LOSSES, n // 100)
    lines = (Line("train", "smooth", Series(STEPS, LOSSES, n)), Line("val", "val", val))
    return ChartData(lines, (Level("2-gram", 2.5),), horizon=horizon)


class ChartApp(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.moves: list[int | None] = []

    def compose(self) -> ComposeResult:
        yield LossChart()

    def on_loss_chart_cursor_moved(self, message: LossChart.CursorMoved) -> None:
        assert isinstance(message.control, LossChart)
        self.moves.append(message.step)


Story = Callable[[Pilot[None], LossChart], Awaitable[None]]


def drive(story: Story, size: tuple[int, int] = (85, 20)) -> ChartApp:
    app = ChartApp()

    async def run() -> None:
        async with app.run_test(size=size) as pilot:
            chart = app.query_one(LossChart)
            chart.set_data(data())
            await pilot.pause()
            await story(pilot, chart)

    asyncio.run(run())
    return app


def painted(chart: LossChart) -> str:
    return "\n".join(chart.render_line(y).text.rstrip() for y in range(chart.size.height))


def test_it_shows_the_picture_of_its_data() -> None:
    async def story(pilot: Pilot[None], chart: LossChart) -> None:
        assert painted(chart) == chart.text()
        assert "val 1.60" in painted(chart) and "bigram 2.50" in painted(chart)
        assert str(chart.border_title) == "loss · nats per character"
        assert "train 1.42" in chart.summary()
        assert chart.render_line(99).text.strip() == ""

    drive(story)


def test_equal_data_repaints_nothing_and_a_point_more_only_the_rows_that_changed() -> None:
    async def story(pilot: Pilot[None], chart: LossChart) -> None:
        chart.render_line(0)
        calls: list[tuple[Region, ...]] = []
        chart.refresh = lambda *regions, **kw: calls.append(regions) or chart
        chart.set_data(data())
        assert calls == []
        chart.set_data(data(1010))
        assert len(calls) == 1
        assert 0 < len(calls[0]) < 6
        assert all(region.height == 1 for region in calls[0])
        assert painted(chart) == chart.text()

    drive(story)


def test_equal_data_is_not_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(pilot: Pilot[None], chart: LossChart) -> None:
        chart.render_line(0)
        monkeypatch.setattr("tinygpt_tui.widgets.loss_chart.draw", None)
        chart.set_data(data())
        chart.set_view(View())
        for y in range(chart.size.height):
            chart.render_line(y)

    drive(story)


def test_what_is_on_the_screen_follows_the_data() -> None:
    async def story(pilot: Pilot[None], chart: LossChart) -> None:
        for n in (1100, 1500, 2000):
            chart.set_data(data(n))
            await pilot.pause()
            assert painted(chart) == chart.text()

    drive(story)


def test_pointing_reads_out_and_leaving_ends_it() -> None:
    async def story(pilot: Pilot[None], chart: LossChart) -> None:
        await pilot.hover(LossChart, offset=(25, 5))
        await wait_for(pilot, lambda: chart.view.cursor is not None)
        assert chart.view.cursor == 512  # the 21st of 80 columns of 2,000 steps
        assert chart.readout() == "step 512 · train 1.62 · val 1.60 (step 500)"
        assert chart.readout() in painted(chart)
        chart.on_leave()
        assert chart.view.cursor is None and chart.readout() == ""

    assert drive(story).moves[:2] == [512, None]


def test_a_click_pins_and_the_same_click_lets_go() -> None:
    async def story(pilot: Pilot[None], chart: LossChart) -> None:
        await pilot.click(LossChart, offset=(25, 5))
        assert chart.view.cursor == 512
        await pilot.hover(LossChart, offset=(35, 5))
        chart.on_leave()
        assert chart.view.cursor == 512
        await pilot.click(LossChart, offset=(25, 5))
        assert chart.view.cursor is None

    drive(story)


def test_the_wheel_zooms_around_the_pointer_and_out_again() -> None:
    async def story(pilot: Pilot[None], chart: LossChart) -> None:
        from textual import events

        def wheel(kind: type[events.MouseEvent]) -> events.MouseEvent:
            return kind(chart, 25, 5, 0, 0, 0, False, False, False, screen_x=25, screen_y=5)

        chart.on_mouse_scroll_up(wheel(events.MouseScrollUp))
        span = chart.view.span
        assert span is not None and span[1] - span[0] == pytest.approx(1200)
        assert (512.5 - span[0]) / 1200 == pytest.approx(20.5 / 80)
        assert chart.view.follow
        chart.on_mouse_scroll_down(wheel(events.MouseScrollDown))
        chart.on_mouse_scroll_down(wheel(events.MouseScrollDown))
        assert chart.view == View()

    drive(story)


def test_zooming_keeps_the_newest_step_in_sight_as_it_moves_on() -> None:
    async def story(pilot: Pilot[None], chart: LossChart) -> None:
        for _ in range(3):
            chart.zoom_in()
        assert "zoomed" in str(chart.border_title)
        chart.set_data(data(1900))
        assert "train 1.40" in chart.text()
        chart.zoom_reset()
        assert chart.view.span is None

    drive(story)


def test_no_zoom_goes_beyond_a_few_steps() -> None:
    async def story(pilot: Pilot[None], chart: LossChart) -> None:
        for _ in range(40):
            chart.zoom_in(0.3)
        span = chart.view.span
        assert span is not None and 3.9 < span[1] - span[0] < 8

    drive(story)


def test_the_cursor_moves_by_columns_and_the_window_goes_along() -> None:
    async def story(pilot: Pilot[None], chart: LossChart) -> None:
        chart.move_cursor(-1)
        assert chart.view.cursor == 1000
        chart.move_cursor(-4)
        assert chart.view.cursor == 900
        chart.move_cursor(99)
        assert chart.view.cursor == 1000
        for _ in range(8):
            chart.zoom_in()
        before = chart.view.span
        assert before is not None
        for _ in range(60):
            cursor = chart.view.cursor
            chart.move_cursor(-2)
            assert chart.view.cursor is not None and cursor is not None and chart.view.cursor < cursor
            span = chart.view.span
            assert span is not None and span[0] <= chart.view.cursor <= span[1]
        assert chart.view.span != before
        chart.cursor_off()
        assert chart.view.cursor is None

    assert drive(story).moves[0] == 1000


def test_each_move_reaches_another_point_where_points_are_sparse() -> None:
    async def story(pilot: Pilot[None], chart: LossChart) -> None:
        sparse = Series(array("q", [10, 20, 30, 40]), array("d", [4.0, 3.0, 2.0, 1.0]), 4)
        chart.set_data(ChartData((Line("train", "smooth", sparse),)))
        seen = []
        for _ in range(5):
            chart.move_cursor(-1)
            seen.append(chart.view.cursor)
        chart.move_cursor(1)
        assert seen == [40, 30, 20, 10, 10] and chart.view.cursor == 20

    drive(story)


def test_axes_and_units_switch_and_a_chosen_unit_survives_new_data() -> None:
    async def story(pilot: Pilot[None], chart: LossChart) -> None:
        chart.toggle_log_y()
        chart.toggle_log_x()
        chart.next_unit()
        assert str(chart.border_title) == "loss · bits per character · log x · log y"
        assert "val 2.31" in painted(chart)
        chart.set_data(data(1200))
        assert chart.data.unit == "bits"
        chart.next_unit()
        chart.next_unit()
        assert chart.data.unit == "nats"
        chart.toggle_log_y()
        chart.toggle_log_x()
        assert chart.view == View()

    drive(story)


def test_without_points_the_mouse_and_the_keys_do_nothing() -> None:
    async def story(pilot: Pilot[None], chart: LossChart) -> None:
        chart.set_data(ChartData())
        await pilot.click(LossChart, offset=(25, 5))
        chart.move_cursor(1)
        chart.zoom_in()
        chart.pan(0.5)
        assert chart.view == View()
        assert "no loss yet" in painted(chart)

    drive(story)


def test_another_size_or_theme_is_drawn_at_once() -> None:
    async def story(pilot: Pilot[None], chart: LossChart) -> None:
        for size, theme in (((40, 10), "textual-light"), ((10, 3), "ansi-dark"), ((120, 30), "nord")):
            pilot.app.theme = theme
            await pilot.resize_terminal(*size)
            await pilot.pause()
            assert painted(chart) == chart.text()
            styles = {segment.style for y in range(size[1]) for segment in chart.render_line(y)}
            assert len(styles) > 2

    drive(story)


def test_it_has_a_text_before_it_is_shown() -> None:
    chart = LossChart()
    chart.set_data(data())
    assert len(chart.text().split("\n")) == 24
    assert len(chart.text(40, 10).split("\n")) == 10
    assert "wheel" in LossChart.HELP
