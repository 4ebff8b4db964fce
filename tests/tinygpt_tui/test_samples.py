"""The list of samples: nothing moves under a reader, a new one costs the wrapping of two, and what is marked can be copied."""

from __future__ import annotations

import pytest
from rich.text import Text
from textual.app import App, ComposeResult
from textual.geometry import Offset
from textual.pilot import Pilot
from textual.selection import Selection

from engine.events import Sample
from tests.tinygpt_tui.driving import drive, screen_text, wait_for
from tinygpt_tui.widgets.samples import Samples

LONG = "one two three four five six seven eight nine ten eleven twelve " * 3


class Shelf(App[int]):
    def compose(self) -> ComposeResult:
        yield Samples(id="samples")


def samples(n: int) -> list[Sample]:
    return [Sample(step, "", f"{step}: {LONG}") for step in range(1, n + 1)]


def test_a_new_sample_costs_the_wrapping_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    wrapped: list[str] = []
    wrap = Samples._wrap

    def counted(self: Samples, text: Text, width: int) -> list[Text]:
        wrapped.append(text.plain)
        return wrap(self, text, width)

    monkeypatch.setattr(Samples, "_wrap", counted)

    async def story(pilot: Pilot[int]) -> None:
        shown = pilot.app.query_one(Samples)
        shown.show("fox", samples(50), "")
        await pilot.pause()
        wrapped.clear()
        shown.show("fox", samples(51), "")
        await wait_for(pilot, lambda: "51: one two" in screen_text(pilot.app))
        assert len(wrapped) == 2 and wrapped[0].startswith("51: ") and "step 50" in wrapped[1]
        wrapped.clear()
        shown.show("fox", samples(51), "")
        await pilot.pause()
        assert wrapped == []

    drive(Shelf(), story, (40, 12))


def test_every_line_fits_beside_the_bar_that_many_samples_bring() -> None:
    async def story(pilot: Pilot[int]) -> None:
        shown = pilot.app.query_one(Samples)
        shown.show("fox", samples(9), "")
        await wait_for(pilot, lambda: shown.show_vertical_scrollbar)
        width = shown.scrollable_content_region.width
        assert max(line.cell_len for line in shown._lines) <= width
        shown.show("other", samples(1)[:1], "")
        await wait_for(pilot, lambda: not shown.show_vertical_scrollbar)
        assert shown.scroll_offset.y == 0

    drive(Shelf(), story, (40, 12))


def test_what_is_marked_is_what_is_copied_across_lines() -> None:
    async def story(pilot: Pilot[int]) -> None:
        shown = pilot.app.query_one(Samples)
        shown.show("fox", [Sample(1, "", "first\nsecond"), Sample(2, "say: ", "[b]third\x1b[0m")], "")
        await pilot.pause()
        got = shown.get_selection(Selection(Offset(5, 0), Offset(5, 3)))
        assert got == ("[b]third␛[0m\n\nstep 1\nfirst", "\n")

    drive(Shelf(), story, (40, 12))


def test_without_a_sample_it_says_what_it_waits_for() -> None:
    async def story(pilot: Pilot[int]) -> None:
        pilot.app.query_one(Samples).show("fox", (), "the first comes soon")
        await wait_for(pilot, lambda: "the first comes soon" in screen_text(pilot.app))

    drive(Shelf(), story, (40, 12))
