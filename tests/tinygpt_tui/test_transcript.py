"""The transcript: what is shown is what the source says, the cursor and the mouse find every character, and copies are exact."""

from __future__ import annotations

import math
import random
from array import array
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.app import App, ComposeResult
from textual.geometry import Offset
from textual.pilot import Pilot
from textual.selection import Selection

from tests.tinygpt_tui.driving import drive, screen_text, wait_for
from tinygpt_tui.app import THEMES
from tinygpt_tui.widgets import transcript_view
from tinygpt_tui.widgets.transcript import Transcript
from tinygpt_tui.widgets.transcript_moves import WAYS, common_length, moved, selected
from tinygpt_tui.widgets.wrapping import Wrapping

STORY = "Once there was a fox. The fox kept a lantern under the bridge, and the heron came.\n"


class Source:
    """A text in memory; counts what is asked of it."""

    def __init__(self, text: str = "", typed: int = 0) -> None:
        self.text, self.typed, self.version = text, typed, 0
        self.marks: list[tuple[int, str]] = []
        self.speakers: list[tuple[int, str]] = []
        self.p = array("f", [0.9] * len(text))
        self.read: list[tuple[int, int]] = []
        self.weighed: list[tuple[int, int]] = []

    @property
    def length(self) -> int:
        return len(self.text)

    def slice(self, start: int, end: int) -> str:
        self.read.append((start, end))
        return self.text[start:end]

    def kinds(self, start: int, end: int) -> Sequence[Any]:
        return [(0, self.typed, "typed"), (self.typed, self.length, "written")]

    def probability(self, start: int, end: int) -> Sequence[float]:
        self.weighed.append((start, end))
        return self.p[start:end]

    def add(self, text: str, p: float = 0.9) -> None:
        self.text += text
        self.p.extend([p] * len(text))


class Page(App[int]):
    def __init__(self, source: Source, writing: bool = False) -> None:
        super().__init__()
        self.source, self.writing = source, writing
        self.told: list[Any] = []
        for theme in THEMES:
            self.register_theme(theme)

    def compose(self) -> ComposeResult:
        yield Transcript(id="text")

    def on_mount(self) -> None:
        self.query_one(Transcript).show(self.source, writing=self.writing)
        self.query_one(Transcript).focus()

    def on_transcript_pointed(self, message: Transcript.Pointed) -> None:
        self.told.append(("hover" if message.hover else "cursor", message.offset))

    def on_transcript_chosen(self, message: Transcript.Chosen) -> None:
        self.told.append(("chosen", message.offset))


def open_page(source: Source, story: Any, size: tuple[int, int] = (31, 8), writing: bool = False) -> None:
    app = Page(source, writing)

    async def told(pilot: Pilot[int]) -> None:
        await story(pilot, app.query_one(Transcript), app)

    drive(app, told, size)


def styles_at(transcript: Transcript, y: int) -> list[tuple[str, Any]]:
    """(character, style) of each cell's segment in a row."""
    return [(character, style) for text, style, _ in transcript.render_line(y) for character in text]


def test_what_is_written_appears_and_the_end_is_followed() -> None:
    source = Source()

    async def story(pilot: Pilot[int], transcript: Transcript, app: Page) -> None:
        for number in range(30):
            source.add(f"line {number}\n")
            transcript.show(source)
        await wait_for(pilot, lambda: "line 29" in screen_text(app), "the last line")
        assert transcript.following and transcript.scroll_y == transcript.max_scroll_y == 31 - 8
        assert "more below" not in screen_text(app)

    open_page(source, story)


def test_an_append_reads_only_what_was_appended() -> None:
    source = Source(STORY * 100)

    async def story(pilot: Pilot[int], transcript: Transcript, app: Page) -> None:
        source.read.clear()
        source.add("more")
        transcript.show(source)
        transcript.show(source)
        assert source.read == [(len(STORY) * 100, len(STORY) * 100 + 4)]

    open_page(source, story)


def test_only_visible_lines_are_drawn() -> None:
    source = Source(STORY * 400)

    async def story(pilot: Pilot[int], transcript: Transcript, app: Page) -> None:
        await pilot.pause()
        assert source.weighed and all(start > source.length - 400 for start, _ in source.weighed)

    open_page(source, story)


def test_an_append_draws_only_the_end_anew() -> None:
    source = Source(STORY * 3)

    async def story(pilot: Pilot[int], transcript: Transcript, app: Page) -> None:
        await pilot.pause()
        source.weighed.clear()
        source.add(" and more")
        transcript.show(source)
        await wait_for(pilot, lambda: "and more" in screen_text(app))
        assert min(start for start, _ in source.weighed) > 2 * len(STORY)

    open_page(source, story, (31, 20))


def test_scrolling_up_stops_following_and_says_what_is_below_until_end() -> None:
    source = Source("".join(f"line {number}\n" for number in range(40)))

    async def story(pilot: Pilot[int], transcript: Transcript, app: Page) -> None:
        await pilot.press("pageup")
        await wait_for(pilot, lambda: "↓" in screen_text(app), "the hint")
        assert not transcript.following
        top = transcript.scroll_y
        source.add("line 40\nline 41\n")
        transcript.show(source)
        await wait_for(pilot, lambda: "9 more below · end" in screen_text(app), "a hint that counts")
        assert transcript.scroll_y == top and not transcript.following
        await pilot.press("end")
        await wait_for(pilot, lambda: "line 41" in screen_text(app), "the end")
        assert transcript.following and "↓" not in screen_text(app)
        transcript.scroll_to(y=0, animate=False)
        assert not transcript.following
        await pilot.press("ctrl+end")
        assert transcript.following

    open_page(source, story)


def test_the_cursor_visits_every_character_and_tells_where_it_is() -> None:
    source = Source("ab 中e\u0301\nx\x1b")

    async def story(pilot: Pilot[int], transcript: Transcript, app: Page) -> None:
        await pilot.press("left")
        assert transcript.cursor == 8
        await pilot.press(*["left"] * 9)
        await pilot.pause()
        assert [offset for _, offset in app.told][:8] == [8, 7, 6, 4, 3, 2, 1, 0]
        await pilot.press(*["right"] * 8)
        await pilot.pause()
        assert transcript.cursor is None and app.told[-1] == ("cursor", None) and transcript.following

    open_page(source, story)


def test_keys_move_by_word_line_and_page() -> None:
    source = Source(STORY)  # wrapped at 29 cells

    async def story(pilot: Pilot[int], transcript: Transcript, app: Page) -> None:
        async def after(*keys: str) -> int | None:
            await pilot.press(*keys)
            return transcript.cursor

        assert await after("home") == 0
        assert await after("ctrl+right") == 5
        assert await after("w", "w") == 15
        assert await after("ctrl+left") == 11
        assert await after("down") == 30 + 11
        assert await after("home") == 30
        assert await after("end") == STORY.index(" bridge")
        assert await after("end") is None
        assert await after("home") == 0
        assert await after("pagedown") is None
        assert await after("up") == len(STORY) - 1
        assert await after("up") is not None
        assert await after("pageup") == 0
        assert await after("up") == 0
        assert await after("down", "escape") is None

    open_page(source, story)


def test_enter_asks_for_the_alternatives_at_the_cursor_only() -> None:
    async def story(pilot: Pilot[int], transcript: Transcript, app: Page) -> None:
        await pilot.press("enter")
        await pilot.press("home", "right", "enter")
        await wait_for(pilot, lambda: ("chosen", 1) in app.told)
        assert [told for told in app.told if told[0] == "chosen"] == [("chosen", 1)]

    open_page(Source(STORY), story)


def test_a_click_points_a_double_click_asks_and_hovering_points_until_it_leaves() -> None:
    async def story(pilot: Pilot[int], transcript: Transcript, app: Page) -> None:
        await pilot.click(Transcript, offset=(6, 0))
        await wait_for(pilot, lambda: transcript.cursor == 6)
        await pilot.hover(Transcript, offset=(2, 1))
        await wait_for(pilot, lambda: ("hover", 32) in app.told)
        await pilot.hover(Transcript, offset=(2, 7))  # below the text
        await wait_for(pilot, lambda: app.told[-1] == ("cursor", 6))
        await pilot.click(Transcript, offset=(3, 1), times=2)
        await wait_for(pilot, lambda: ("chosen", 33) in app.told)
        assert transcript.selected_text == ""
        await pilot.click(Transcript, offset=(20, 7))
        assert transcript.cursor == 33

    open_page(Source(STORY), story)


def test_escape_is_left_to_whoever_stops_the_writing() -> None:
    async def story(pilot: Pilot[int], transcript: Transcript, app: Page) -> None:
        await pilot.press("home", "escape")
        assert transcript.cursor == 0
        transcript.show(app.source, writing=False)
        await pilot.press("escape")
        assert transcript.cursor is None

    open_page(Source(STORY), story, writing=True)


async def drag(pilot: Pilot[int], start: tuple[int, int], end: tuple[int, int]) -> None:
    await pilot.mouse_down(Transcript, offset=start)
    await pilot.hover(Transcript, offset=end)
    await pilot.mouse_up(Transcript, offset=end)
    await pilot.pause()


@pytest.mark.parametrize(
    ("text", "start", "end", "expected"),
    [
        (STORY, (5, 0), (9, 0), "there"),
        (STORY, (17, 0), (2, 1), "fox. The fox kep"),  # a soft wrap copies no newline
        ("one\ntwo\nthree", (1, 0), (1, 2), "ne\ntwo\nth"),
        ("one\ntwo", (0, 0), (20, 0), "one"),  # beyond the end of a line
        ("a\tb\x1bc", (0, 0), (6, 0), "a\tb\x1bc"),  # tab and escape are copied as they are
        ("中文字", (1, 0), (3, 0), "中文"),  # wide characters by either half
        ("中文字語文", (4, 0), (7, 0), "字語"),
        ("e\u0301\u0302x[b]", (0, 0), (4, 0), "e\u0301\u0302x[b]"),
        ("one\n\n\ntwo", (0, 1), (2, 3), "\n\ntwo"),
    ],
)
def test_what_is_selected_with_the_mouse_is_the_exact_text(
    text: str, start: tuple[int, int], end: tuple[int, int], expected: str
) -> None:
    async def story(pilot: Pilot[int], transcript: Transcript, app: Page) -> None:
        await drag(pilot, start, end)
        assert transcript.selected_text == expected
        assert app.screen.get_selected_text() == expected
        assert transcript.cursor is None  # a drag is no click

    open_page(Source(text), story)


def test_a_selection_covers_no_mark_and_is_dropped_when_the_text_is_wrapped_anew() -> None:
    source = Source("abcdef")
    source.marks = [(3, "⟨t 1⟩")]

    async def story(pilot: Pilot[int], transcript: Transcript, app: Page) -> None:
        assert "abc⟨t 1⟩def" in screen_text(app)
        await drag(pilot, (1, 0), (9, 0))
        assert transcript.selected_text == "bcde"
        await pilot.resize_terminal(24, 8)
        await wait_for(pilot, lambda: not transcript.selected_text)

    open_page(source, story)


def test_everything_selected_is_the_whole_text() -> None:
    async def story(pilot: Pilot[int], transcript: Transcript, app: Page) -> None:
        transcript.text_select_all()
        assert transcript.selected_text == STORY * 3

    open_page(Source(STORY * 3), story)


def test_typed_text_and_surprise_are_seen_in_every_theme_and_without_colours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = Source("typed sure wild", typed=6)
    source.p = array("f", [math.nan] * 6 + [0.9] * 5 + [0.001] * 4)

    async def story(pilot: Pilot[int], transcript: Transcript, app: Page) -> None:
        seen = set()
        for theme in ("tinygpt-dark", "tinygpt-light", "ansi-dark", "ansi-light"):
            app.theme = theme
            await pilot.pause()
            cells = styles_at(transcript, 0)
            typed, sure, wild = cells[0][1], cells[6][1], cells[11][1]
            assert typed.bold and not sure.bold
            assert wild.underline and not sure.underline and not typed.underline
            seen.add((str(sure.color), str(wild.color)))
        assert len(seen) >= 3  # a theme's colours are taken over at once
        transcript.tinted = False
        assert not styles_at(transcript, 0)[11][1].underline
        assert styles_at(transcript, 0)[0][1].bold

    open_page(source, story)
    monkeypatch.setenv("NO_COLOR", "1")

    async def colourless(pilot: Pilot[int], transcript: Transcript, app: Page) -> None:
        cells = styles_at(transcript, 0)
        assert cells[11][1].underline and cells[11][1].bold and not cells[6][1].bold and cells[0][1].bold

    open_page(source, colourless)


def test_another_branch_replaces_what_differs_and_keeps_the_cursor_if_it_can() -> None:
    source = Source("the fox kept a lantern")

    async def story(pilot: Pilot[int], transcript: Transcript, app: Page) -> None:
        transcript.move_to(4)
        source.text, source.version = "the fox went away", 1
        transcript.show(source)
        await wait_for(pilot, lambda: "went away" in screen_text(app) and "lantern" not in screen_text(app))
        assert transcript.cursor == 4
        source.text, source.version = "the", 2
        transcript.show(source)
        await wait_for(pilot, lambda: "fox" not in screen_text(app))
        assert transcript.cursor is None
        source.text = "th"  # shorter: whatever the version says, it is another text
        transcript.show(source)
        await wait_for(pilot, lambda: screen_text(app).split("\n")[0].rstrip("▁▂▃▄▅▆▇█ ") == "th")

    open_page(source, story)


def test_a_mark_and_a_probability_that_change_are_drawn_anew() -> None:
    source = Source("abcdef " * 40)

    async def story(pilot: Pilot[int], transcript: Transcript, app: Page) -> None:
        transcript.move_to(0)
        source.marks = [(2, "⟨k 5⟩")]
        transcript.show(source)
        await wait_for(pilot, lambda: "ab⟨k 5⟩cdef" in screen_text(app))
        assert not styles_at(transcript, 1)[0][1].underline
        source.p, source.version = array("f", [0.001] * source.length), 1
        transcript.show(source)
        assert styles_at(transcript, 1)[0][1].underline
        source.marks = [(2, "⟨k 5⟩"), (source.length, "\x1b⟨end⟩")]
        transcript.show(source)
        transcript.move_to(None)
        await wait_for(pilot, lambda: "␛⟨end⟩" in screen_text(app))

    open_page(source, story)


def test_a_block_stands_at_the_end_while_the_model_writes() -> None:
    source = Source("the f")

    async def story(pilot: Pilot[int], transcript: Transcript, app: Page) -> None:
        assert "the f▌" in screen_text(app)
        source.add("ox\n")
        transcript.show(source, writing=True)
        await wait_for(pilot, lambda: screen_text(app).split("\n")[1].startswith("▌"))
        transcript.show(source, writing=False)
        await wait_for(pilot, lambda: "▌" not in screen_text(app))
        source.add("x" * 29)
        transcript.show(source, writing=True)  # a full line: the block has the spare column
        await wait_for(pilot, lambda: "x" * 29 + "▌" in screen_text(app))

    open_page(source, story, writing=True)


def test_speakers_stand_in_a_gutter_and_pointing_allows_for_it() -> None:
    source = Source("hello\nhello you\n")
    source.speakers = [(0, "you"), (6, "model\x1b")]

    async def story(pilot: Pilot[int], transcript: Transcript, app: Page) -> None:
        lines = screen_text(app).split("\n")
        assert lines[0].startswith("you     hello") and lines[1].startswith("model␛  hello you")
        await pilot.click(Transcript, offset=(9, 1))
        await wait_for(pilot, lambda: transcript.cursor == 7)
        await drag(pilot, (8, 1), (12, 1))
        assert transcript.selected_text == "hello"
        await drag(pilot, (0, 0), (9, 1))
        assert transcript.selected_text == "hello\nhe"
        source.speakers = []
        transcript.show(source)
        await wait_for(pilot, lambda: screen_text(app).startswith("hello"))

    open_page(source, story)


def test_cursor_and_hover_are_seen_without_colours() -> None:
    async def story(pilot: Pilot[int], transcript: Transcript, app: Page) -> None:
        transcript.move_to(0)
        cells = styles_at(transcript, 0)
        assert cells[0][1].reverse and not cells[11][1].reverse
        await pilot.hover(Transcript, offset=(12, 0))
        assert styles_at(transcript, 0)[12][1].underline
        app.screen.set_focus(None)
        await pilot.pause()
        blurred = styles_at(transcript, 0)[0][1]
        assert blurred.underline and not blurred.reverse
        transcript.move_to(STORY.index("\n"))
        await wait_for(pilot, lambda: "↵" in screen_text(app))

    open_page(Source(STORY), story)


def test_a_narrower_screen_keeps_what_was_at_the_top() -> None:
    source = Source("".join(f"line {number} of a text\n" for number in range(60)))

    async def story(pilot: Pilot[int], transcript: Transcript, app: Page) -> None:
        transcript.scroll_to(y=20, animate=False)
        await pilot.pause()
        assert screen_text(app).startswith("line 20 ")
        await pilot.resize_terminal(14, 8)
        await wait_for(pilot, lambda: transcript.virtual_size.height > 100)
        assert screen_text(app).startswith("line 20 ")
        assert not transcript.following

    open_page(source, story)


def test_nothing_of_the_text_is_markup_or_drives_the_terminal() -> None:
    async def story(pilot: Pilot[int], transcript: Transcript, app: Page) -> None:
        assert "[red]x[/] ␛[2J �" in screen_text(app)

    open_page(Source("[red]x[/] \x1b[2J \x9b"), story)


def test_an_empty_text_takes_every_key_and_click() -> None:
    async def story(pilot: Pilot[int], transcript: Transcript, app: Page) -> None:
        await pilot.press(
            "left", "right", "up", "down", "home", "end", "pageup", "pagedown", "enter", "ctrl+left"
        )
        await pilot.click(Transcript, offset=(3, 3), times=2)
        assert transcript.cursor is None and transcript.selected_text == ""

    open_page(Source(), story)


@given(st.text("ab", max_size=40), st.text("ab", max_size=40))
def test_the_common_beginning_is_found(one: str, other: str) -> None:
    length = common_length(one, other)
    assert one[:length] == other[:length]
    assert length == min(len(one), len(other)) or one[length] != other[length]


@given(st.text("ab \n中\u0301\t", max_size=60), st.integers(5, 12), st.data())
def test_every_move_lands_on_the_beginning_of_a_character(text: str, width: int, data: st.DataObject) -> None:
    wrapping = Wrapping(width)
    wrapping.append(text)
    starts = {cell.start for line in range(wrapping.line_count) for cell in wrapping.cells(line)}
    for start in starts:
        for way in WAYS:
            there = moved(wrapping, start, way, 2)
            assert there is None or there in starts
    if text:
        columns = st.tuples(st.integers(0, width), st.integers(0, wrapping.line_count - 1))
        one, other = data.draw(columns), data.draw(columns)
        selection = Selection.from_offsets(Offset(*one), Offset(*other))
        assert selected(wrapping, selection) in text


def test_kept_lines_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcript_view, "_KEPT_STRIPS", 10)
    source = Source(STORY * 30)

    async def story(pilot: Pilot[int], transcript: Transcript, app: Page) -> None:
        for y in random.Random(1).sample(range(60), 20):
            transcript.scroll_to(y=y, animate=False)
            await pilot.pause()
        assert len(transcript._strips) <= 10

    open_page(source, story)
