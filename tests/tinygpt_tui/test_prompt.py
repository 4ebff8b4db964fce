"""The prompt: what enter, arrows and escape do, what the model does not know, and pastes of every kind."""

from __future__ import annotations

from typing import Any

import pytest
from textual import events
from textual._xterm_parser import XTermParser
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from tests.tinygpt_tui.driving import drive, screen_text, wait_for
from tinygpt_tui.widgets.context_meter import ContextMeter
from tinygpt_tui.widgets.prompt import MAX_CHARS, Prompt


class Page(App[int]):
    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.options = options
        self.told: list[Any] = []

    def compose(self) -> ComposeResult:
        yield Prompt(**self.options)
        yield ContextMeter()

    def on_mount(self) -> None:
        self.query_one(Prompt).focus()

    def on_prompt_submitted(self, message: Prompt.Submitted) -> None:
        self.told.append(message.text)

    def on_prompt_nudged(self, message: Prompt.Nudged) -> None:
        self.told.append(message.steps)

    def on_prompt_left(self, message: Prompt.Left) -> None:
        self.told.append("left")

    def on_prompt_noticed(self, message: Prompt.Noticed) -> None:
        self.told.append(("noticed", message.text))


def open_page(story: Any, size: tuple[int, int] = (30, 10), **options: Any) -> None:
    app = Page(**options)

    async def told(pilot: Pilot[int]) -> None:
        await story(pilot, app.query_one(Prompt), app)

    drive(app, told, size)


def ascii_only(character: str) -> bool:
    return character.isascii()


def test_enter_sends_the_exact_text_and_leaves_it_to_the_caller_to_clear() -> None:
    async def story(pilot: Pilot[int], prompt: Prompt, app: Page) -> None:
        await pilot.press(*"Once [b]", "enter")
        await wait_for(pilot, lambda: app.told == ["Once [b]"])
        assert prompt.text == "Once [b]" and "Once [b]" in screen_text(app)

    open_page(story)


def test_what_was_copied_inside_is_pasted_through_the_same_filter() -> None:
    async def story(pilot: Pilot[int], prompt: Prompt, app: Page) -> None:
        app.copy_to_clipboard("a\x1b[31m\x9bb\r\nc")
        await pilot.press("ctrl+v")
        assert prompt.text == "a[31mb\nc" and "2 control characters were left out." in prompt.problems
        app.copy_to_clipboard("x" * (MAX_CHARS + 5))
        await pilot.press("ctrl+v")
        assert len(prompt.text) == MAX_CHARS

    open_page(story)


def test_the_gauge_is_as_wide_before_and_after_the_window_has_slid() -> None:
    async def story(pilot: Pilot[int], prompt: Prompt, app: Page) -> None:
        meter = app.query_one(ContextMeter)
        for width in (16, 24, 30, 41, 80):
            await pilot.resize_terminal(width, 10)
            cells = set()
            for state in ((5, 256, 0), (255, 256, 0), (129, 256, 128), (256, 256, 12_345)):
                meter.show(*state)
                line = meter.render().plain
                assert len(line) <= width or width < 20
                cells.add(sum(line.count(sign) for sign in "▓░"))
            assert len(cells) == 1

    open_page(story)


@pytest.mark.parametrize("key", ["ctrl+j", "shift+enter", "alt+enter"])
def test_a_new_line_has_keys_of_its_own(key: str) -> None:
    async def story(pilot: Pilot[int], prompt: Prompt, app: Page) -> None:
        await pilot.press("a", key, "b")
        assert prompt.text == "a\nb" and not app.told
        await wait_for(pilot, lambda: prompt.size.height == 2, "the field to grow")

    open_page(story)


def test_what_terminals_send_for_a_new_line_is_known_by_these_names() -> None:
    def key(sent: str) -> list[str]:
        return [event.key for event in XTermParser(False).feed(sent) if isinstance(event, events.Key)]

    assert (
        key("\n") == ["ctrl+j"]
        and key("\x1b[13;2u") == ["shift+enter"]
        and key("\x1b[13;3u") == ["alt+enter"]
    )
    assert key("\x1b[1;2A") == ["shift+up"] and key("\r") == ["enter"]


def test_the_field_grows_to_six_lines_and_then_scrolls() -> None:
    async def story(pilot: Pilot[int], prompt: Prompt, app: Page) -> None:
        assert prompt.size.height == 1
        prompt.use("word " * 20)
        await wait_for(pilot, lambda: prompt.size.height == 4)
        prompt.use("\n".join("abcdefgh"))
        await wait_for(pilot, lambda: prompt.size.height == 6 and "h" in screen_text(app))
        prompt.use("")
        await wait_for(pilot, lambda: prompt.size.height == 1)

    open_page(story)


def test_arrows_walk_the_earlier_prompts_and_the_draft_comes_back() -> None:
    async def story(pilot: Pilot[int], prompt: Prompt, app: Page) -> None:
        await pilot.press(*"draft", "up")
        assert prompt.text == "second\nof two lines"
        await pilot.press("up")  # within the text first
        assert prompt.text == "second\nof two lines" and prompt.cursor_location[0] == 0
        await pilot.press("up")
        assert prompt.text == "first"
        await pilot.press("up")
        assert prompt.text == "first"
        await pilot.press("down", "down")
        assert prompt.text == "draft"
        await pilot.press("down")
        assert prompt.text == "draft"
        await pilot.press("up")
        prompt.use("")
        await pilot.press("up")
        assert prompt.text == "second\nof two lines"  # the newest again

    open_page(story, earlier=["first", "second\nof two lines"])


def test_an_earlier_prompt_that_was_changed_is_kept_until_something_is_sent() -> None:
    async def story(pilot: Pilot[int], prompt: Prompt, app: Page) -> None:
        await pilot.press(*"draft", "up", "!", "up", "?", "down")
        assert prompt.text == "second!"
        await pilot.press("down")
        assert prompt.text == "draft"
        await pilot.press("up", "up")
        assert prompt.text == "first?"
        prompt.use("")
        await pilot.press("up")
        assert prompt.text == "second"
        await pilot.press("up")
        assert prompt.text == "first"

    open_page(story, earlier=["first", "second"])


def test_a_wrapped_line_is_walked_before_the_history() -> None:
    async def story(pilot: Pilot[int], prompt: Prompt, app: Page) -> None:
        prompt.use("word " * 10)
        await pilot.pause()
        await pilot.press("up")
        assert prompt.text == "word " * 10
        await pilot.press("up")
        assert prompt.text == "first"

    open_page(story, earlier=["first"])


def test_shift_arrows_nudge_the_temperature_and_escape_leaves() -> None:
    async def story(pilot: Pilot[int], prompt: Prompt, app: Page) -> None:
        await pilot.press("a", "shift+up", "shift+up", "shift+down", "escape")
        await wait_for(pilot, lambda: app.told == [1, 1, -1, "left"])
        assert prompt.text == "a" and not prompt.selected_text and prompt.has_focus

    open_page(story)


def test_unknown_characters_are_underlined_and_told_with_what_stands_for_them() -> None:
    async def story(pilot: Pilot[int], prompt: Prompt, app: Page) -> None:
        prompt.use("café 😀 x")
        await wait_for(pilot, lambda: app.told)
        assert app.told == [("noticed", "the model does not know: é → e, 😀 dropped")]
        line = prompt.get_line(0)
        marked = [line.plain[span.start : span.end] for span in line.spans if span.style.underline]
        assert marked == ["é", "😀"]
        await pilot.pause()
        drawn = [(text, bool(style and style.underline)) for text, style, _ in prompt.render_line(0)]
        assert [text for text, underlined in drawn if underlined] == ["é", "😀"]
        await pilot.press(*["backspace"] * 3)
        await wait_for(pilot, lambda: prompt.problems == "the model does not know: é → e")
        prompt.knows = lambda character: True  # another model
        await wait_for(pilot, lambda: app.told[-1] == ("noticed", ""))
        assert not prompt.get_line(0).spans

    open_page(story, knows=ascii_only, instead=lambda character: "e" if character == "é" else "")


def test_many_unknown_characters_are_counted() -> None:
    async def story(pilot: Pilot[int], prompt: Prompt, app: Page) -> None:
        prompt.use("αβγδεζηθ")
        await wait_for(pilot, lambda: "and 2 more" in prompt.problems)

    open_page(story, knows=ascii_only)


def test_a_paste_of_a_million_characters_is_cut_and_told() -> None:
    async def story(pilot: Pilot[int], prompt: Prompt, app: Page) -> None:
        await pilot.press("a")
        prompt.post_message(events.Paste("word " * 200_000))
        await wait_for(pilot, lambda: prompt.problems)
        assert len(prompt.text) == MAX_CHARS
        assert prompt.problems == (
            "The prompt holds at most 20,000 characters; the last 980,001 were left out."
        )
        await pilot.press("x")
        assert len(prompt.text) == MAX_CHARS
        await pilot.press("backspace", "y")
        await wait_for(pilot, lambda: not prompt.problems)
        assert prompt.text.endswith("y") and len(prompt.text) == MAX_CHARS

    open_page(story)


def test_a_paste_keeps_its_lines_and_loses_what_drives_a_terminal() -> None:
    async def story(pilot: Pilot[int], prompt: Prompt, app: Page) -> None:
        await pilot.press(*"ab", "left")
        prompt.post_message(events.Paste("1\r\n2\x1b[2J\x9b\u202e3\t4"))
        await wait_for(pilot, lambda: prompt.text == "a1\n2[2J3\t4b")
        assert prompt.problems == "3 control characters were left out."
        assert not app.told or app.told == [("noticed", prompt.problems)]  # the newline sent nothing
        prompt.select_all()
        prompt.post_message(events.Paste("new"))
        await wait_for(pilot, lambda: prompt.text == "new")
        await pilot.press("ctrl+z")
        assert "4b" in prompt.text

    open_page(story)


def test_the_placeholder_and_the_cursor_hold_still() -> None:
    async def story(pilot: Pilot[int], prompt: Prompt, app: Page) -> None:
        assert "say [something]" in screen_text(app)
        assert not prompt.cursor_blink
        await pilot.press("tab")
        assert not prompt.text

    open_page(story, placeholder="say [something]")


def meter_page(story: Any, width: int) -> None:
    class Metered(App[int]):
        def compose(self) -> ComposeResult:
            yield ContextMeter()

    async def told(pilot: Pilot[int]) -> None:
        await story(pilot, pilot.app.query_one(ContextMeter))

    drive(Metered(), told, (width, 3))


def test_the_meter_shows_how_full_the_window_is_and_that_it_has_slid() -> None:
    async def story(pilot: Pilot[int], meter: ContextMeter) -> None:
        assert "context –" in screen_text(pilot.app)
        meter.show(180, 256)
        await wait_for(pilot, lambda: "180/256" in screen_text(pilot.app))
        line = screen_text(pilot.app).split("\n")[0]
        assert round(line.count("▓") / (line.count("▓") + line.count("░")), 1) == 0.7
        meter.show(300, 256, 1400)
        await wait_for(pilot, lambda: "256/256, 1.4 k unseen" in screen_text(pilot.app))
        meter.show(300, 256, 1400)

    meter_page(story, 60)


def test_a_narrow_meter_says_the_numbers() -> None:
    async def story(pilot: Pilot[int], meter: ContextMeter) -> None:
        meter.show(180, 256, 9)
        await wait_for(pilot, lambda: "context 180/256 slid" in screen_text(pilot.app))

    meter_page(story, 22)
