"""The line of keys: what acts now and fits, nothing cut, help and palette always there, each a button."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.pilot import Pilot

from tests.tinygpt_tui.driving import drive, screen_text, wait_for
from tests.tinygpt_tui.scripted_world import playground, scripted_world
from tinygpt_tui.actions import actions_of
from tinygpt_tui.screens.help import HelpScreen
from tinygpt_tui.widgets.key_bar import HELP, MORE, PALETTE, Key, KeyBar, fitting
from tinygpt_tui.widgets.prompt import Prompt

KEYS = st.lists(
    st.builds(
        Key,
        st.just("x"),
        st.text(max_size=5),
        st.text(max_size=12),
        st.sampled_from((HELP, PALETTE, "a", "b")),
    )
)


@given(KEYS, st.integers(0, 200))
def test_either_all_fit_or_the_first_of_them_and_help_that_says_there_are_more(
    keys: list[Key], width: int
) -> None:
    found = list(fitting(keys, width))
    if sum(key.cells for key in keys) <= width:
        assert found == keys
        return
    helps = [key for key in found if key.action == HELP]
    assert len(helps) == sum(key.action == HELP for key in keys) and all(key.label == MORE for key in helps)
    others = [key for key in keys if key.action not in (HELP, PALETTE)]
    shown = found[: len(found) - len(helps)]
    assert shown == others[: len(shown)]
    if shown:
        assert sum(key.cells for key in found) <= width
    if len(shown) < len(others):
        assert sum(key.cells for key in found) + others[len(shown)].cells > width


def bar(pilot: Pilot[int]) -> KeyBar:
    return pilot.app.screen.query_one(KeyBar)


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("mode", ["corpus", "train", "play", "runs", "settings", "welcome"])
def test_no_screen_cuts_a_key_and_every_screen_tells_where_help_is(
    tmp_path: Path, mode: str, width: int
) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await wait_for(pilot, lambda: HELP in [key.action for key in bar(pilot).keys])
        line = screen_text(pilot.app).splitlines()[-1]
        assert line == "".join(f" {key.shown} {key.label} " for key in bar(pilot).keys).rstrip()
        assert cell_len(line) <= width and line.endswith(("  ? more", "  ^p commands"))

    drive(playground(scripted_world(tmp_path), mode), story, (width, 24))


def test_the_keys_change_with_the_focus(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        prompt = pilot.app.screen.query_one(Prompt)
        wanted = {action.name for action in (*actions_of("play"), *actions_of("app")) if action.footer}
        pilot.app.screen.set_focus(None)
        await wait_for(pilot, lambda: {key.action for key in bar(pilot).keys} == wanted)
        prompt.focus()
        # A single letter is text there, so no letter is offered.
        await wait_for(
            pilot, lambda: not any(len(key.shown) == 1 and key.shown.isalpha() for key in bar(pilot).keys)
        )

    drive(playground(scripted_world(tmp_path), "play"), story, (200, 40))


def test_a_key_is_a_button_and_tells_what_it_does(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await wait_for(pilot, lambda: bar(pilot).keys)
        column = screen_text(pilot.app).splitlines()[-1].index("? help")
        await pilot.hover(KeyBar, offset=(column, 0))
        await wait_for(pilot, lambda: "every key of this screen" in str(bar(pilot).tooltip))
        await pilot.click(KeyBar, offset=(column, 0))
        await wait_for(pilot, lambda: isinstance(pilot.app.screen, HelpScreen))

    drive(playground(scripted_world(tmp_path), "runs"), story)


def test_beside_the_keys_there_is_nothing_to_click(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await wait_for(pilot, lambda: bar(pilot).keys)
        await pilot.click(KeyBar, offset=(199, 0))
        await pilot.hover(KeyBar, offset=(199, 0))
        await pilot.pause()
        assert pilot.app.current_mode == "runs" and bar(pilot).tooltip is None
        assert not isinstance(pilot.app.screen, HelpScreen)

    drive(playground(scripted_world(tmp_path), "runs"), story, (200, 40))
