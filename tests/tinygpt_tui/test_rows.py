"""What the highlighted row of a list says can be read, all of it, whatever the theme."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.segment import Segment
from textual.color import Color
from textual.pilot import Pilot
from textual.widget import Widget

from tests.tinygpt_tui.driving import drive, press, wait_for
from tests.tinygpt_tui.scripted_run import finished_run
from tests.tinygpt_tui.scripted_world import playground, scripted_world
from tinygpt_tui.widgets.tint import MIN_CONTRAST, contrast


@pytest.mark.parametrize("theme", ["tinygpt-dark", "tinygpt-light", "ansi-dark", "ansi-light"])
@pytest.mark.parametrize(
    ("mode", "field"),
    [
        ("settings", "#rows"),
        ("corpus", "#list"),
        ("runs", "#table"),
        ("palette", "CommandList"),
    ],
)
def test_a_highlighted_row_can_be_read_to_its_end(tmp_path: Path, theme: str, mode: str, field: str) -> None:
    finished_run(tmp_path / "data" / "runs", steps=4)
    app = playground(scripted_world(tmp_path), "runs" if mode == "palette" else mode)

    async def story(pilot: Pilot[int]) -> None:
        app.use_theme(theme)
        if mode == "palette":
            await press(pilot, "app.palette")
        await wait_for(pilot, lambda: any(app.screen.query(field)), field)
        rows = app.screen.query(field).first()
        await wait_for(pilot, lambda: highlighted(rows), "a highlighted row")
        await pilot.pause()
        for segment in highlighted(rows):
            style = segment.style
            assert style is not None and style.color is not None and style.bgcolor is not None
            assert not style.dim, segment.text
            if not style.color.is_default and style.color.triplet and style.bgcolor.triplet:
                colours = Color.from_rich_color(style.color), Color.from_rich_color(style.bgcolor)
                assert contrast(*colours) >= MIN_CONTRAST, segment.text

    drive(app, story)


def highlighted(rows: Widget) -> list[Segment]:
    """The words of the row under the cursor: those on another background than most have."""
    words = [
        segment
        for y in range(rows.size.height)
        for segment in rows.render_line(y)
        if segment.text.strip() and segment.style is not None
    ]
    grounds = [word.style.bgcolor for word in words if word.style is not None]
    usual = max(grounds, key=grounds.count, default=None)
    return [word for word in words if word.style is not None and word.style.bgcolor != usual]
