"""The distribution: every symbol with both probabilities at every width, who removed what, and picking by keys and mouse."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from engine.protocol import Rest, StageReport, Symbol
from tests.tinygpt_tui.driving import drive, screen_text, wait_for
from tinygpt_tui.safe_text import safe_line
from tinygpt_tui.widgets.distribution import Distribution
from tinygpt_tui.widgets.distribution_rows import (
    Alternatives,
    Row,
    percent,
    removed_by,
    row_parts,
    rows,
    visible,
)

SYMBOLS = (
    Symbol("a", 0.38, 0.52),
    Symbol("e", 0.17, 0.19),
    Symbol("l", 0.11, 0.29),
    Symbol(" ", 0.08, 0.0),
    Symbol("\n", 0.06, 0.0),
    Symbol("[b]", 0.05, 0.0),
)
CUT = (StageReport("repetition", 0, 0.01), StageReport("top_k", 59, 0.17), StageReport("min_p", 2, 0.1))
VIEW = Alternatives(SYMBOLS, Rest(57, 0.15, 0.0), CUT, chosen="e", title="next [character]")


class Page(App[int]):
    def __init__(self, view: Alternatives) -> None:
        super().__init__()
        self.view = view
        self.picked: list[Any] = []
        self.left = 0

    def compose(self) -> ComposeResult:
        yield Distribution()

    def on_mount(self) -> None:
        self.query_one(Distribution).show(self.view)
        self.query_one(Distribution).focus()

    def on_distribution_picked(self, message: Distribution.Picked) -> None:
        self.picked.append((message.index, message.symbol.c, message.view))

    def on_distribution_left(self) -> None:
        self.left += 1


def open_page(story: Any, size: tuple[int, int] = (40, 12), view: Alternatives = VIEW) -> None:
    app = Page(view)

    async def told(pilot: Pilot[int]) -> None:
        await story(pilot, app.query_one(Distribution), app)

    drive(app, told, size)


def drawn(widget: Distribution) -> list[str]:
    return [widget.render_line(y).text.rstrip() for y in range(widget.size.height)]


def test_a_row_holds_the_bar_after_the_line_before_and_both_numbers() -> None:
    rising = "".join(text for text, _ in row_parts(Row(0, "a", 0.38, 0.52, ""), 40, 0.6, 2))
    assert rising == " a  ████████████████████▊     38 →  52 %"
    falling = row_parts(Row(0, "l", 0.5, 0.25, ""), 40, 0.5, 2)
    assert [(text, part) for text, part in falling if part in ("bar", "gain", "ghost")] == [
        ("█" * 12, "bar"),
        ("─" * 12, "ghost"),
    ]


def test_a_bar_measures_in_eighths_of_a_cell() -> None:
    ends = []
    for share in range(9):
        parts = row_parts(Row(0, "a", 0.0, (8 + share) / 8 / 24, ""), 40, 1.0, 2)
        ends.append("".join(text for text, part in parts if part in ("bar", "gain")))
    assert ends == ["█", "█▏", "█▎", "█▍", "█▌", "█▋", "█▊", "█▉", "██"]


@given(
    st.floats(0, 1), st.floats(0, 1), st.sampled_from(["", "top-k"]), st.integers(24, 60),
    st.sampled_from(["a", "中", "12,345 more", "e\u0301"]), st.sampled_from([0.05, 0.5, 1.0]),
)  # fmt: skip
def test_a_row_fills_its_width_exactly_and_its_numbers_stay_in_their_column(
    raw: float, final: float, removed: str, width: int, label: str, scale: float
) -> None:
    row = Row(0, label, raw, 0.0 if removed else final, removed)
    text = "".join(part for part, _ in row_parts(row, width, scale, 2))
    assert cell_len(text) == width
    assert text[-11:].startswith(f"{percent(raw):>3} ")


@given(st.floats(0, 1))
def test_a_percentage_has_three_cells_and_only_nothing_is_zero(p: float) -> None:
    assert len(percent(p)) <= 3
    assert (percent(p) == "0") == (p == 0)


def test_percentages_read_as_a_person_expects() -> None:
    assert [percent(p) for p in (1, 0.996, 0.524, 0.0994, 0.0996, 0.024, 0.0011, 0.0009)] == [
        "100", "100", "52", "9.9", "10", "2.4", "0.1", "<.1",
    ]  # fmt: skip


def test_a_removed_symbol_names_the_stage_that_removed_it() -> None:
    assert removed_by(VIEW) == ["", "", "", "min-p", "min-p", "top-k"]


def test_what_only_rounds_to_nothing_was_removed_by_nobody() -> None:
    cold = Alternatives(
        (Symbol("a", 0.9, 1.0), Symbol("b", 0.1, 0.0)), stages=(StageReport("repetition", 5, 0.0),)
    )
    assert removed_by(cold) == ["", ""]
    argmax = Alternatives(cold.symbols, stages=(StageReport("temperature", 10**9, 0.1),))
    assert removed_by(argmax) == ["", "temp 0"]


@given(st.text(max_size=4))
def test_every_symbol_is_visible_and_harmless(symbol: str) -> None:
    shown = visible(symbol)
    assert shown == safe_line(shown) and cell_len(shown) >= 1 and shown.strip()


def test_blanks_have_signs() -> None:
    assert [visible(symbol) for symbol in ("\xa0", "\u200b", " ", "\n", "\t", "\x1b", "\u0301", "a b")] == [
        "U+00A0", "U+200B", "␣", "↵", "⇥", "␛", "\u25cc\u0301", "a␣b",
    ]  # fmt: skip


def test_rows_keep_the_order_of_the_player_or_that_of_names() -> None:
    assert [row.label for row in rows(VIEW)] == ["a", "e", "l", "␣", "↵", "[b]", "57 more"]
    assert [row.label for row in rows(VIEW, "name")] == ["↵", "␣", "[b]", "a", "e", "l", "57 more"]
    assert [row.chosen for row in rows(VIEW)] == [False, True] + [False] * 5


@pytest.mark.parametrize("width", [24, 38, 60])
def test_all_of_it_is_on_the_screen_at_every_width(width: int) -> None:
    async def story(pilot: Pilot[int], widget: Distribution, app: Page) -> None:
        text = screen_text(app)
        for told in (
            "38 →  52 %",
            "17 →  19 %",
            "8.0 × min-p",
            "5.0 × top-k",
            "15 × cut",
            "␣",
            "↵",
            "[b]",
            "57 more",
        ):
            assert told in text, told
        assert "▸e" in text

    open_page(story, (width, 12))


def reversed_rows(widget: Distribution) -> list[int]:
    return [
        y
        for y in range(widget.size.height)
        if any(style and style.reverse and text.strip() for text, style, _ in widget.render_line(y))
    ]


def test_it_opens_on_what_stands_there_or_on_the_first_and_is_closed_without_a_cursor() -> None:
    async def story(pilot: Pilot[int], widget: Distribution, app: Page) -> None:
        assert widget.highlighted == SYMBOLS[1] and reversed_rows(widget) == [1]
        await pilot.press("down", "down")
        app.screen.set_focus(None)
        await pilot.pause()
        assert widget.highlighted is None and reversed_rows(widget) == []
        widget.focus()
        await wait_for(pilot, lambda: reversed_rows(widget) == [1])
        widget.show(replace(VIEW, chosen="l"))
        assert widget.highlighted == SYMBOLS[2]
        app.screen.set_focus(None)
        await pilot.pause()
        widget.show(replace(VIEW, chosen="l", title="elsewhere"))
        widget.focus()
        await wait_for(pilot, lambda: reversed_rows(widget) == [2])
        widget.show(replace(VIEW, chosen=None, title="next"))  # what is told of another place opens it anew
        assert widget.highlighted == SYMBOLS[0]
        widget.show(replace(VIEW, chosen="a", title="next"))
        widget.show(
            replace(VIEW, chosen="e", title="next")
        )  # and until somebody moves it stands on what stands there
        assert widget.highlighted == SYMBOLS[1]

    open_page(story)


def test_the_cursor_goes_by_keys_and_enter_picks_but_not_the_rest() -> None:
    async def story(pilot: Pilot[int], widget: Distribution, app: Page) -> None:
        await pilot.press("home", "down", "down", "enter")
        await wait_for(pilot, lambda: app.picked)
        assert app.picked == [(2, "l", VIEW)]
        await pilot.press("end", "enter")
        assert widget.highlighted is None
        await pilot.press("up", "enter")
        await wait_for(pilot, lambda: len(app.picked) == 2)
        assert app.picked[1][:2] == (5, "[b]")  # what the sampler removed can be picked by hand too
        await pilot.press("home", "up")
        assert widget.highlighted == SYMBOLS[0]
        await pilot.press("escape")
        await wait_for(pilot, lambda: app.left == 1)

    open_page(story)


def test_a_click_picks_and_hovering_shows_where() -> None:
    async def story(pilot: Pilot[int], widget: Distribution, app: Page) -> None:
        await pilot.hover(Distribution, offset=(5, 3))
        assert any(style and style.underline for _, style, _ in widget.render_line(3))
        await pilot.click(Distribution, offset=(5, 2))
        await wait_for(pilot, lambda: app.picked)
        assert app.picked == [(2, "l", VIEW)]
        await pilot.click(Distribution, offset=(5, 11))
        await pilot.pause()
        assert len(app.picked) == 1

    open_page(story)


def test_the_cursor_stays_on_its_symbol_when_another_distribution_comes() -> None:
    other = Alternatives(SYMBOLS[::-1], None, (), title=VIEW.title)

    async def story(pilot: Pilot[int], widget: Distribution, app: Page) -> None:
        await pilot.press("down")
        widget.show(other)
        assert widget.highlighted == SYMBOLS[2]
        widget.show(Alternatives(SYMBOLS[3:4], title=VIEW.title))
        assert widget.highlighted == SYMBOLS[3]
        widget.show(Alternatives(title=VIEW.title))
        assert widget.highlighted is None
        await pilot.press("down", "enter")
        assert not app.picked

    open_page(story)


def test_only_rows_that_changed_are_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(pilot: Pilot[int], widget: Distribution, app: Page) -> None:
        await pilot.pause()
        lines: list[int] = []
        whole: list[int] = []
        monkeypatch.setattr(widget, "refresh_lines", lambda y, count=1: lines.append(y))
        monkeypatch.setattr(widget, "refresh", lambda *a, **k: whole.append(1))
        widget.show(Alternatives(VIEW.symbols, VIEW.rest, VIEW.stages, "e", VIEW.title))
        assert not lines and not whole
        changed = (SYMBOLS[0], Symbol("e", 0.17, 0.2), *SYMBOLS[2:])
        widget.show(Alternatives(changed, VIEW.rest, VIEW.stages, "e", VIEW.title))
        assert lines == [1] and not whole

    open_page(story)


def test_o_sorts_by_name_and_back_with_the_cursor_on_its_symbol() -> None:
    async def story(pilot: Pilot[int], widget: Distribution, app: Page) -> None:
        await pilot.press("home", "o")
        assert [line.split()[0] for line in drawn(widget)[:4]] == ["↵", "␣", "[b]", "a"]
        assert widget.highlighted == SYMBOLS[0]
        await pilot.press("o")
        assert drawn(widget)[0].split()[0] == "a"

    open_page(story)


def test_a_long_list_scrolls_with_the_cursor() -> None:
    many = Alternatives(tuple(Symbol(chr(0x61 + i % 26) * (1 + i // 26), 0.01, 0.01) for i in range(64)))

    async def story(pilot: Pilot[int], widget: Distribution, app: Page) -> None:
        await pilot.press("end")
        await wait_for(pilot, lambda: widget.scroll_offset.y == 64 - 12)
        await pilot.press("pageup", "pageup")
        await wait_for(pilot, lambda: widget.scroll_offset.y == 63 - 22)
        await pilot.click(Distribution, offset=(4, 0))
        await wait_for(pilot, lambda: app.picked)
        assert app.picked[0][0] == 63 - 22

    open_page(story, view=many)


def test_removed_symbols_are_struck_and_colours_follow_the_theme(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(pilot: Pilot[int], widget: Distribution, app: Page) -> None:
        before = widget.render_line(0)
        struck = [text for text, style, _ in widget.render_line(4) if style and style.strike]
        assert struck == ["↵"]
        app.theme = "textual-light"
        await pilot.pause()
        assert widget.render_line(0) != before
        assert not widget.allow_select

    open_page(story)
    monkeypatch.setenv("NO_COLOR", "1")
    open_page(story)
