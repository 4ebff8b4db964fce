"""What is pasted into a line to type, from inside or from the terminal, can drive no terminal; a text to keep stays exact."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from textual import events
from textual.command import CommandPalette
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Input, TextArea

from tests.tinygpt_tui.driving import drive, screen_text, wait_for
from tests.tinygpt_tui.scripted_run import finished_run
from tests.tinygpt_tui.scripted_world import playground, scripted_world
from tinygpt_tui.app import Playground
from tinygpt_tui.screens.commands import ActionCommands
from tinygpt_tui.screens.dialogs import AskLine, Choose
from tinygpt_tui.screens.pick_file import PasteText

HOSTILE = "red\x1b[31m\x9b2J\u202eend"
BAD = ("\x1b", "\x9b", "\u202e")
LINES: tuple[Callable[[], Screen[str | None]], ...] = (
    lambda: AskLine("name"),
    lambda: Choose("list", [("a", "apple")]),
    lambda: PasteText(str),
)


def harmless(app: Playground) -> bool:
    field = app.focused
    return (
        isinstance(field, Input)
        and "red" in field.value
        and not any(character in field.value for character in BAD)
        and not any(character in screen_text(app) for character in BAD)
    )


def over_runs(tmp_path: Path, make: Callable[[], Screen[str | None]], from_terminal: bool) -> bool:
    """Pastes the hostile text into the first line of a screen over Runs; whether it was disarmed."""
    found: list[bool] = []
    finished_run(tmp_path / "data" / "runs", steps=4)
    app = playground(scripted_world(tmp_path), "runs")

    async def story(pilot: Pilot[int]) -> None:
        app.copy_to_clipboard(HOSTILE)
        app.push_screen(make())
        await wait_for(pilot, lambda: len(app.screen_stack) == 2 and app.screen.query(Input))
        field = app.screen.query(Input).first()
        field.focus()
        await wait_for(pilot, lambda: app.focused is field)
        if from_terminal:
            app.post_message(events.Paste(HOSTILE))
        else:
            await pilot.press("ctrl+v")
        await wait_for(pilot, lambda: "red" in field.value)
        await pilot.pause()
        found.append(harmless(app))

    drive(app, story)
    return found == [True]


@pytest.mark.parametrize("from_terminal", [False, True])
@pytest.mark.parametrize("at", range(len(LINES)))
def test_a_line_of_a_dialog_drops_what_a_terminal_would_obey(
    tmp_path: Path, at: int, from_terminal: bool
) -> None:
    assert over_runs(tmp_path, LINES[at], from_terminal)


@pytest.mark.parametrize("from_terminal", [False, True])
def test_the_line_of_the_palette_shows_it_harmless(tmp_path: Path, from_terminal: bool) -> None:
    assert over_runs(tmp_path, lambda: CommandPalette([ActionCommands]), from_terminal)


def test_a_text_that_is_pasted_stays_exact(tmp_path: Path) -> None:
    app = playground(scripted_world(tmp_path), "runs")

    async def story(pilot: Pilot[int]) -> None:
        app.copy_to_clipboard(HOSTILE)
        app.push_screen(PasteText(str))
        await wait_for(pilot, lambda: isinstance(app.focused, TextArea))
        await pilot.press("ctrl+v")
        await wait_for(pilot, lambda: app.screen.query_one(TextArea).text == HOSTILE)

    drive(app, story)
