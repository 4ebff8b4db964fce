"""The loss chart as a pure drawing: exact small pictures, any data at any size, and no difference made by the cache."""

from __future__ import annotations

import math
import subprocess
import sys
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import replace

import pytest
from rich.cells import cell_len

from tinygpt_tui.sources.series import Series
from tinygpt_tui.widgets.chart import Picture, draw
from tinygpt_tui.widgets.chart_data import ChartData, Kind, Level, Line, Mark, View
from tinygpt_tui.widgets.chart_text import readout, summary, title


def series(steps: Iterable[int], values: Iterable[float]) -> Series:
    known = array("q", steps)
    return Series(known, array("d", values), len(known))


FALLING = Line("train", "smooth", series(range(1, 41), (1 + 3 / (1 + i * 0.1) for i in range(1, 41))))
VAL = Line("val", "val", series((10, 20, 30, 40), (4, 2, 1.5, 1.25)))


def rows(picture: Picture) -> list[str]:
    return picture.text().split("\n")


def roles_at(picture: Picture, row: int) -> list[str]:
    """The role of each cell of a row."""
    return [role for text, role in picture.rows[row] for _ in range(cell_len(text))]


def check_size(picture: Picture, width: int, height: int) -> None:
    assert len(picture.rows) == height
    for row in picture.rows:
        assert sum(cell_len(text) for text, _ in row) == width


def test_a_run_in_the_making_is_drawn_with_its_ladder_marks_and_planned_end() -> None:
    data = ChartData(
        (FALLING, VAL),
        (Level("2-gram", 2.5, past=True), Level("4-gram", 1.1)),
        (Mark(20, "lr", "lr ×0.5"),),
        horizon=80,
    )
    assert rows(draw(data, View(), 48, 12)) == [
        "   4      ●",
        "     ⠘⡄    ⠃",
        "      ⠱⡀    ⠇",
        "   3   ⠱⡀    ⠆",
        "        ⠈⢢    ⡄",
        "          ⠉⠢⢄⡀ ⡄ ✓ bigram 2.50 ┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈",
        "   2         ⠈⠒●⢄⡀",
        "                 ⠉⠋⠍⡒⠒⠤⠤⣀⣀⣀ train 1.60",
        "                     ●⠂⠄⡀⡀",
        "   1  4-gram 1.10 ┈┈┈┈┈┈┈┈● val 1.25 ┈┈┈┈┈┈┈┈┈┈┈",
        "               ╷ lr ×0.5",
        "     ─────────20─────────40─────────60────────80",
    ]


def test_a_chart_without_data_says_so() -> None:
    assert rows(draw(ChartData(), View(), 40, 4)) == [
        "   2",
        "                 no loss yet",
        "   1",
        "     ────────────────50──────────────100",
    ]


def test_one_point_is_a_dot_with_its_name() -> None:
    data = ChartData((Line("train", "smooth", series([1], [2.0])),))
    assert rows(draw(data, View(), 40, 6))[2] == "     ⠄ train 2.00"


def test_where_nothing_is_finite_each_step_has_its_mark() -> None:
    data = ChartData((Line("train", "ghost", series([1, 2, 3], [math.nan, math.inf, -math.inf])),))
    for height, at in ((10, -2), (6, -1)):
        picture = draw(data, View(), 40, height)
        line = rows(picture)[at]
        assert [i for i, c in enumerate(line) if c == "×"] == [5, 22, 39]
        assert roles_at(picture, at)[5] == "nan"
        assert "no finite loss here" in picture.text()


def test_a_gap_of_nan_interrupts_the_curve_and_is_marked() -> None:
    values = [2.0] * 40 + [math.nan] * 20 + [2.0] * 40
    picture = draw(ChartData((Line("train", "smooth", series(range(100), values)),)), View(), 55, 10)
    curve = next(row for row in rows(picture) if "⠤" in row or "⠒" in row or "⠉" in row)
    assert curve[5:].rstrip()[22:28].strip() == ""
    marked = [i - 5 for i, c in enumerate(rows(picture)[-2]) if c == "×"]
    assert marked == list(range(20, 30))


def test_a_spike_of_one_step_among_thousands_reaches_its_height() -> None:
    values = [1.5] * 20_000
    values[12_345] = 3.0
    data = ChartData(
        (
            Line("train", "ghost", series(range(20_000), values)),
            Line("train", "smooth", series(range(20_000), [1.5] * 20_000)),
        ),
        (Level("uniform", 3.2),),
    )
    picture = draw(data, View(), 65, 20)
    column = 5 + int(12_345 / 19_999 * 60)
    tall = [row for row in range(18) if roles_at(picture, row)[column] == "ghost"]
    assert len(tall) >= 10


def test_validation_wins_a_shared_character_and_the_raw_loss_loses_it() -> None:
    flat = series(range(100), [2.0] * 100)
    kinds: Sequence[Kind] = ("val", "smooth", "overlay", "ghost")
    won = []
    for left_out in range(4):
        lines = tuple(Line(kind, kind, flat) for kind in kinds[left_out:])
        picture = draw(ChartData(lines), View(), 65, 8)
        won.append({role for row in picture.rows[:-1] for text, role in row if any(c > "⠀" for c in text)})
    assert [roles & {"val", "train", "overlay0", "ghost"} for roles in won[:3]] == [
        {"val"} | (won[0] - {"axis", "blank", "label", "val"}),
        {"train"} | (won[1] - {"axis", "blank", "label", "train"}),
        {"overlay0"} | (won[2] - {"axis", "blank", "label", "overlay0"}),
    ]
    braille = [
        role
        for row in draw(ChartData(tuple(Line(k, k, flat) for k in kinds)), View(), 65, 8).rows
        for text, role in row
        if any("⠀" < c <= "⣿" for c in text)
    ]
    assert set(braille) == {"val"}


def test_without_colours_curves_differ_in_pattern() -> None:
    flat = range(200)
    data = ChartData(
        (
            Line("train", "smooth", series(flat, [3.0] * 200)),
            Line("val", "val", series(range(0, 200, 50), [2.0] * 4)),
            Line("other", "overlay", series(flat, [1.0] * 200)),
        )
    )
    shown = rows(draw(data, View(), 65, 13))
    curves = [next(row for row in shown if sample in row) for sample in ("⠉⠉⠉⠉⠉", "●⠁⠁⠁", "⣀⣀ ⣀⣀ ")]
    assert len(set(curves)) == 3
    assert curves[1].count("●") == 4


def test_dense_evaluations_are_a_solid_line_without_markers() -> None:
    data = ChartData((Line("val", "val", series(range(400), [2.0] * 400)),))
    assert "●" not in draw(data, View(), 65, 10).text()


def test_the_ladder_marks_what_is_past_and_names_no_two_neighbours() -> None:
    levels = (Level("3-gram", 2.0), Level("4-gram", 1.99), Level("uniform", 4.0, past=True))
    picture = draw(ChartData((FALLING,), levels), View(), 80, 14)
    text = picture.text()
    assert "trigram 2.00" in text
    assert "4-gram" not in text
    assert "✓ uniform 4.00" in text
    found = {role for row in picture.rows for text, role in row if "gram" in text or "uniform" in text}
    assert found == {"level", "level-past"}


def test_labels_never_overlap() -> None:
    lines = tuple(Line(f"run-{i}", "overlay", series(range(50), [2.0 + i / 100] * 50)) for i in range(6))
    text = draw(ChartData((*lines, FALLING, VAL)), View(), 80, 20).text()
    for i in range(6):
        assert text.count(f"run-{i} 2.0{i}") == 1
    assert "val 1.25" in text and "train 1.60" in text


def test_the_runs_own_curves_share_a_label_though_another_ends_between_them() -> None:
    ends = (("train", "smooth", 1.4), ("val", "val", 1.6), ("other", "overlay", 1.59))
    lines = tuple(
        Line(name, kind, series(range(50), (4 - step * (4 - end) / 49 for step in range(50))))
        for name, kind, end in ends
    )
    assert "val 1.60 · train 1.40" in draw(ChartData(lines), View(), 60, 14).text()


def test_a_curve_that_goes_on_beyond_the_window_is_named_without_a_value() -> None:
    text = draw(ChartData((FALLING,)), View(span=(1, 20)), 60, 10).text()
    assert "train" in text and "train 1" not in text


def test_names_are_harmless_and_keep_the_width() -> None:
    line = Line("模型\x1b[31m[red]e\u0301", "overlay", series(range(10), [2.0] * 10))
    for cursor in (None, *range(10)):
        picture = draw(
            ChartData((line,), (Level("\x1b]0;x", 2.1),), (Mark(3, "lr", "\x07"),)),
            View(cursor=cursor),
            60,
            10,
        )
        check_size(picture, 60, 10)
        assert "\x1b" not in picture.text() and "\x07" not in picture.text()
        assert "模型␛[31m[red]" in picture.text()


def test_mark_texts_stand_where_there_is_room_and_the_graver_first() -> None:
    marks = (*(Mark(10 + i, "lr", "lr ×0.5") for i in range(0, 6, 2)), Mark(14, "failed", "failed"))
    picture = draw(ChartData((FALLING,), marks=marks), View(), 60, 12)
    line = rows(picture)[-2]
    assert line.count("lr ×0.5") < 3
    assert "× failed" in line
    assert {role for text, role in picture.rows[-2] if "failed" in text or text.strip() == "×"} == {"nan"}


def test_the_cursor_reads_out_what_was_known_at_its_step() -> None:
    data = ChartData((FALLING, VAL))
    picture = draw(data, View(cursor=25), 80, 14)
    assert "step 25 · train 1.86 · val 2.00 (step 20)" in rows(picture)[0]
    column = next(i for i, role in enumerate(roles_at(picture, 3)) if role == "cursor")
    assert column == 5 + int(25 / 40 * 75)
    assert [text for text, _ in readout(data, 5)] == ["step 5", "train 3.00", "val –"]


def test_the_cursor_never_cuts_a_label() -> None:
    data = ChartData((FALLING, VAL), (Level("2-gram", 2.5),))
    for cursor in range(1, 41):
        text = draw(data, View(cursor=cursor), 80, 14).text()
        assert "bigram 2.50" in text


@pytest.mark.parametrize(("unit", "expected"), [("nats", "2.00"), ("bits", "2.89"), ("perplexity", "7.39")])
def test_losses_are_shown_in_the_unit(unit: str, expected: str) -> None:
    data = ChartData((Line("val", "val", series([1, 9], [3.0, 2.0])),), unit=unit)
    assert f"val {expected}" in draw(data, View(), 60, 10).text()
    assert unit in title(data, View())


def test_the_axis_goes_to_the_planned_end_and_the_window_when_zoomed() -> None:
    assert rows(draw(ChartData((FALLING,), horizon=2000), View(), 80, 8))[-1].endswith("2k")
    assert rows(draw(ChartData((FALLING,), horizon=2000), View(log_x=True), 80, 8))[-1].endswith("2k")
    assert rows(draw(ChartData((FALLING,), horizon=2000), View(span=(10, 30)), 80, 8))[-1].endswith("30")


def test_a_followed_window_holds_the_newest_step() -> None:
    data = ChartData((FALLING,))
    assert "train 1.60" in draw(data, View(span=(1, 20), follow=True), 60, 10).text()


def test_a_huge_first_loss_does_not_squash_the_rest() -> None:
    values = [1e30, *FALLING.series.values[:40]]
    data = ChartData((Line("train", "smooth", series(range(41), values)),))
    text = draw(data, View(), 60, 12).text()
    assert "e30" not in text
    assert "train 1.60" in text


def test_the_summary_says_where_the_run_stands() -> None:
    data = ChartData((FALLING, VAL), (Level("2-gram", 2.5, past=True), Level("4-gram", 1.1)), horizon=2000)
    assert summary(data) == "step 40 of 2,000 · train 1.60 · val 1.25 · below bigram 2.50 · next 4-gram 1.10"
    assert summary(ChartData()) == "no loss yet"


def test_the_title_says_unit_axes_and_window() -> None:
    assert title(ChartData(unit="bits"), View(log_x=True, log_y=True, span=(1, 2))) == (
        "loss · bits per character · log x · log y · zoomed"
    )


@pytest.mark.parametrize("log_y", [False, True])
def test_any_size_gives_a_picture_of_exactly_that_size(log_y: bool) -> None:
    data = ChartData((FALLING, VAL), (Level("2-gram", 2.5),), (Mark(20, "lr", "lr ×0.5"),), 80)
    for width in (0, 1, 2, 9, 10, 23, 24, 25, 200):
        for height in (0, 1, 2, 3, 7, 8, 50):
            for cursor in (None, 20, 999):
                check_size(draw(data, View(log_y=log_y, cursor=cursor), width, height), width, height)
    check_size(draw(data, View(), -3, -3), 0, 0)


def test_data_is_the_same_if_its_arrays_are() -> None:
    one, again = ChartData((FALLING,)), ChartData((replace(FALLING),))
    assert one.same_as(again)
    assert not one.same_as(ChartData((FALLING, VAL)))
    assert not one.same_as(ChartData((FALLING,), horizon=5))
    assert not one.same_as(ChartData((replace(FALLING, series=series([1], [2.0])),)))
    replaced = Series(FALLING.series.steps, array("d", FALLING.series.values), FALLING.series.n)
    assert not one.same_as(ChartData((replace(FALLING, series=replaced),)))


def test_drawing_needs_neither_textual_nor_torch_nor_numpy() -> None:
    code = (
        "import sys, tinygpt_tui.widgets.chart; "
        "print([m for m in ('textual', 'torch', 'numpy', 'tinygpt_tui.sources') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
