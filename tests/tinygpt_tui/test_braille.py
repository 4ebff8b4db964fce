"""A canvas of braille dots: what is set is shown, what lies outside is cut off, lines have no gaps."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tinygpt_tui.widgets.braille import CHARACTERS, CHECKERED, Canvas


def test_each_dot_has_its_place_in_a_character() -> None:
    for x in range(2):
        for y in range(4):
            canvas = Canvas(1, 1)
            canvas.run(x, y, y)
            dot = ((1, 2, 3, 7), (4, 5, 6, 8))[x][y]  # how Unicode numbers them
            assert canvas.text() == [chr(0x2800 + (1 << (dot - 1)))]


def test_a_run_goes_over_several_characters_in_either_direction() -> None:
    down, up = Canvas(1, 3), Canvas(1, 3)
    down.run(0, 2, 9)
    up.run(0, 9, 2)
    assert down.text() == up.text() == ["⡄", "⡇", "⠃"]


def test_a_checkered_run_goes_on_evenly_over_characters() -> None:
    canvas = Canvas(1, 2)
    canvas.run(0, 0, 7, CHECKERED)
    canvas.run(1, 0, 7, CHECKERED)
    assert canvas.text() == ["⢕", "⢕"]


def test_what_lies_outside_is_cut_off() -> None:
    canvas = Canvas(2, 1)
    canvas.run(-1, 0, 3)
    canvas.run(4, 0, 3)
    canvas.run(0, -9, -1)
    canvas.run(0, 4, 9)
    canvas.run(3, -5, 99)
    assert canvas.text() == [" ⢸"]


def test_no_room_is_no_error() -> None:
    canvas = Canvas(0, -1)
    canvas.line(0, 0, 5, 5)
    assert canvas.text() == []


def test_a_dashed_line_draws_only_its_share_of_columns() -> None:
    canvas = Canvas(4, 1)
    canvas.line(0, 0, 7, 0, (4, 2))
    assert canvas.text() == ["⠉ ⠉ "]


def test_a_blank_cell_is_a_space() -> None:
    assert CHARACTERS[0] == " "
    assert CHARACTERS[255] == "⣿"
    assert len(CHARACTERS) == 256


@given(st.integers(0, 19), st.integers(0, 39), st.integers(0, 19), st.integers(0, 39))
def test_a_line_joins_its_ends_without_gaps(x0: int, y0: int, x1: int, y1: int) -> None:
    canvas = Canvas(10, 10)
    canvas.line(x0, y0, x1, y1)
    dots = {
        (x, y)
        for x in range(20)
        for y in range(40)
        if canvas.cells[y >> 2][x >> 1] & ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))[x & 1][y & 3]
    }
    assert (x1, y1) in dots
    if x0 != x1:
        assert (x0, y0) in dots
    reached, todo = {(x1, y1)}, [(x1, y1)]
    while todo:
        x, y = todo.pop()
        near = {(x + i, y + j) for i in (-1, 0, 1) for j in (-1, 0, 1)} & dots - reached
        reached |= near
        todo += near
    assert reached == dots
