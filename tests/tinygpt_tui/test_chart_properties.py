"""The loss chart under any data: always a picture of the asked size, and the same with and without its cache."""

from __future__ import annotations

import math
from array import array
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tinygpt_tui.test_chart import FALLING, check_size, series
from tinygpt_tui.sources.series import Series
from tinygpt_tui.widgets.chart import Cache, draw
from tinygpt_tui.widgets.chart_data import ChartData, Level, Line, Mark, View
from tinygpt_tui.widgets.chart_text import summary

losses = st.one_of(
    st.floats(0, 10),
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([0.0, -1.0, 1e30, 1e308, -1e308, 5e-324, math.nan]),
)


@st.composite
def charts(drawing: st.DrawFn) -> ChartData:
    lines = []
    for kind in ("ghost", "smooth", "val", "overlay", "overlay"):
        steps = sorted(
            drawing(st.lists(st.integers(0, 10 ** drawing(st.integers(1, 18))), max_size=12, unique=True))
        )
        values = drawing(st.lists(losses, min_size=len(steps), max_size=len(steps)))
        lines.append(Line(drawing(st.text(max_size=6)), kind, series(steps, values)))
    levels = drawing(st.lists(st.builds(Level, st.text(max_size=5), losses, st.booleans()), max_size=3))
    kinds = st.sampled_from(["lr", "nan", "failed", "sample", "?"])
    marks = drawing(st.lists(st.builds(Mark, st.integers(0, 200), kinds, st.text(max_size=9)), max_size=4))
    unit = drawing(st.sampled_from(["nats", "bits", "perplexity"]))
    return ChartData(
        tuple(lines), tuple(levels), tuple(marks), drawing(st.none() | st.integers(0, 10**6)), unit
    )


views = st.builds(
    View,
    st.booleans(),
    st.booleans(),
    st.none() | st.tuples(st.floats(0, 300), st.floats(0, 300)),
    st.booleans(),
    st.none() | st.integers(0, 300),
)


@settings(max_examples=150, deadline=None)
@given(charts(), views, st.integers(0, 90), st.integers(0, 20))
def test_any_data_in_any_view_gives_a_picture(data: ChartData, view: View, width: int, height: int) -> None:
    picture = draw(data, view, width, height)
    check_size(picture, width, height)
    assert not any(ord(c) < 32 for c in picture.text().replace("\n", ""))
    summary(data)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(losses, min_size=1, max_size=300),
    st.lists(st.integers(1, 60), min_size=1, max_size=6),
    st.booleans(),
    st.sampled_from([7, 30, 64]),
)
def test_the_cache_makes_no_difference(
    values: list[float], jumps: list[int], log_x: bool, width: int
) -> None:
    steps, stored = array("q", range(3, 3 + len(values))), array("d", values)
    cache, n = Cache(), 0
    for jump in (*jumps, 300):
        n = min(len(values), n + jump)
        lines = (
            Line("train", "ghost", Series(steps, stored, n)),
            Line("train", "smooth", Series(steps, stored, n)),
        )
        data = ChartData(lines, horizon=310)
        for view in (View(log_x=log_x), View(span=(10, 90)), View(span=(10, 50), follow=True)):
            assert draw(data, view, width, 12, cache) == draw(data, view, width, 12)
        assert draw(data, View(log_x=log_x), width, 12, cache) == draw(data, View(log_x=log_x), width, 12)


def test_one_view_drawn_again_and_again_with_its_cache_is_the_cold_picture() -> None:
    steps, stored, cache = array("q"), array("d"), Cache()
    for step in range(1, 400):
        steps.append(step)
        stored.append(math.nan if step % 37 == 0 else 1 + 3 / step + (step * 7919 % 13) / 20)
        data = ChartData((Line("train", "smooth", Series(steps, stored, step)),), horizon=400)
        assert draw(data, View(), 40, 8, cache) == draw(data, View(), 40, 8)


def test_a_shorter_view_of_the_same_arrays_is_drawn_anew() -> None:
    cache = Cache()
    long = replace(FALLING, series=Series(FALLING.series.steps, FALLING.series.values, 40))
    short = replace(FALLING, series=Series(FALLING.series.steps, FALLING.series.values, 10))
    draw(ChartData((long,), horizon=40), View(), 60, 10, cache)
    data = ChartData((short,), horizon=40)
    assert draw(data, View(), 60, 10, cache) == draw(data, View(), 60, 10)


def test_a_point_more_rescans_only_its_column() -> None:
    class Counting(array):
        read = 0

        def __getitem__(self, key):
            if isinstance(key, slice):
                Counting.read += len(range(*key.indices(len(self))))
            return super().__getitem__(key)

    steps, values, cache = array("q", range(20_000)), Counting("d", [2.0] * 20_000), Cache()
    draw(
        ChartData((Line("a", "smooth", Series(steps, values, 19_999)),), horizon=20_000),
        View(),
        120,
        30,
        cache,
    )
    before = Counting.read
    draw(
        ChartData((Line("a", "smooth", Series(steps, values, 20_000)),), horizon=20_000),
        View(),
        120,
        30,
        cache,
    )
    assert 0 < Counting.read - before < 200
