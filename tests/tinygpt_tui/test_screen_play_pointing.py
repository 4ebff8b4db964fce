"""Pointing in Play: at any character by key and mouse, what else could have stood there, and branches that go on from it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from engine import protocol
from tests.tinygpt_tui.driving import press, wait_for
from tests.tinygpt_tui.fake_player import FakeLink
from tests.tinygpt_tui.play_stage import (
    begin,
    gone,
    last,
    odds,
    open_play,
    shown,
    stop,
    text_of,
    told,
    typed,
    writes,
)
from tinygpt_tui.widgets.distribution import Distribution
from tinygpt_tui.widgets.prompt import Prompt
from tinygpt_tui.widgets.transcript import Transcript
from tinygpt_tui.world import World


def test_keys_point_at_a_character_and_tell_its_rank_its_probability_and_what_else_there_was(
    tmp_path: Path,
) -> None:
    async def story(pilot: Pilot[int], world: World, link: FakeLink) -> None:
        await begin(pilot, world, link, "Once ", 4)  # "The " of ranks 0, 1, 0, 0 at 5, 6, …
        await press(pilot, "play.stop")
        await pilot.press("left", "left")
        await shown(pilot, "instead of character 8", f"e rank 1 · {odds(world, 7)}", " ▸e ")
        await pilot.press("left", "left")
        await shown(pilot, "instead of character 6", f"T rank 3 · {odds(world, 5)}", " ▸T ")
        asked = last(link, protocol.Explain)
        assert (asked.text, asked.at, asked.sampler["temperature"]) == ("Once T", 5, 0.8)
        await press(pilot, "play.hotter")  # what else there would be with other settings
        await wait_for(pilot, lambda: last(link, protocol.Explain).sampler["temperature"] == 0.85)
        await pilot.press("home")
        await shown(pilot, "instead of character 1 ", "O was typed")
        await press(pilot, "play.stop")
        await shown(pilot, "next character")
        await gone(pilot, "was typed")
        assert text_of(pilot).cursor is None

    open_play(tmp_path, story)


def test_the_mouse_points_too_and_lets_go_again(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World, link: FakeLink) -> None:
        await begin(pilot, world, link, "Once ", 4)
        await pilot.hover(Transcript, offset=(7, 0))
        await shown(pilot, "instead of character 8", "e rank 1 · ")
        await pilot.hover(Prompt)
        await shown(pilot, "next character")
        await pilot.click(Transcript, offset=(6, 0))
        await pilot.hover(Prompt)
        await shown(pilot, "instead of character 7", "h rank 1 · ")
        assert world.desk.pointing == text_of(pilot).cursor == 6
        await writes(pilot, world, link, 3)  # what is pointed at stays while more is written
        await shown(pilot, "instead of character 7", "The qui▌")
        await pilot.click(Transcript, offset=(6, 0), times=2)
        await wait_for(pilot, lambda: isinstance(pilot.app.focused, Distribution))

    open_play(tmp_path, story)


def test_another_character_is_picked_and_a_branch_streams_on_with_the_same_dice(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World, link: FakeLink) -> None:
        view = pilot.app.screen.query_one(Distribution)
        world.desk.set_seed(42)
        await begin(pilot, world, link, "Once ", 9)
        await stop(pilot, world)
        await pilot.press("left", "left")  # "c"
        await press(pilot, "play.alternatives")
        assert pilot.app.focused is view
        await shown(pilot, "instead of character 13")
        await pilot.press("down", "down")
        symbol = view.highlighted
        assert symbol is not None and symbol.c != "c"
        await pilot.press("enter")
        await wait_for(pilot, lambda: len(link.requests(protocol.Generate)) == 2)
        asked = last(link, protocol.Generate)
        assert (asked.text, asked.seed) == ("Once The qui" + symbol.c, 42)
        await writes(pilot, world, link, 5)
        await shown(pilot, f"Once The qui{symbol.c}The q▌", "branch 2 of 2", "next character")
        await pilot.click(Distribution, offset=(2, 1))  # in mid-text, as the next one
        await wait_for(pilot, lambda: len(link.requests(protocol.Generate)) == 3)
        assert last(link, protocol.Generate).text.startswith(f"Once The qui{symbol.c}The ")
        assert len(world.desk.session.all) == 7

    open_play(tmp_path, story)


def test_the_alternatives_open_on_what_stands_there_and_say_what_to_do(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World, link: FakeLink) -> None:
        view = pilot.app.screen.query_one(Distribution)

        async def opened(at: int) -> None:
            place = world.desk.session.place(at)
            assert place is not None
            await wait_for(
                pilot, lambda: view.highlighted is not None and view.highlighted.c == place.c, place.c
            )

        await begin(pilot, world, link, "Once ", 9)
        await stop(pilot, world)
        await pilot.press("left", "enter")
        await opened(13)
        await shown(pilot, " ↑↓ choose", "take", "esc back")
        await pilot.press("down", "down", "escape")
        assert pilot.app.focused is text_of(pilot) and view.highlighted is None
        await pilot.press("left", "left", "left", "enter")
        await opened(10)
        await pilot.press("enter")  # what stands there, and nothing that was looked at before
        await wait_for(pilot, lambda: len(link.requests(protocol.Generate)) == 2)
        assert last(link, protocol.Generate).text == "Once The qu"

    open_play(tmp_path, story)


@pytest.mark.parametrize("act", ["play.undo", "play.step", "play.seed"])
def test_an_act_that_lets_go_of_the_place_takes_the_cursor_away_too(tmp_path: Path, act: str) -> None:
    async def story(pilot: Pilot[int], world: World, link: FakeLink) -> None:
        await begin(pilot, world, link, "Once ", 9)
        if act != "play.seed":
            await stop(pilot, world)
            world.desk.submit(" and")
            await writes(pilot, world, link, 3)
            await stop(pilot, world)
        text_of(pilot).move_to(3)
        await wait_for(pilot, lambda: world.desk.pointing == 3)
        await press(pilot, act)
        await wait_for(pilot, lambda: world.desk.pointing is None)
        await wait_for(pilot, lambda: text_of(pilot).cursor is None, "the cursor to go")

    open_play(tmp_path, story)


def test_a_symbol_is_put_where_it_was_shown_however_much_is_written_meanwhile(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World, link: FakeLink) -> None:
        await begin(pilot, world, link, "Once ", 9)
        view = pilot.app.screen.query_one(Distribution)
        await wait_for(pilot, lambda: view.view.at == 13 and view.view.chosen == "k")
        picked = Distribution.Picked(view.view.symbols[2], 2, view.view)
        await writes(pilot, world, link, 5)
        view.post_message(picked)
        await wait_for(pilot, lambda: len(link.requests(protocol.Generate)) == 2)
        assert last(link, protocol.Generate).text == "Once The quic" + picked.symbol.c
        await stop(pilot, world)
        world.desk.undo()
        view.post_message(
            Distribution.Picked(picked.symbol, 2, picked.view)
        )  # of a text that is no longer shown
        await told(pilot, "The place is another one by now")
        assert len(link.requests(protocol.Generate)) == 2

    open_play(tmp_path, story)


def test_the_alternatives_of_the_last_character_are_a_key_away_and_a_part_of_one_is_refused(
    tmp_path: Path,
) -> None:
    async def story(pilot: Pilot[int], world: World, link: FakeLink) -> None:
        await begin(pilot, world, link, "Once ", 9)
        await stop(pilot, world)
        link.auto = False
        await press(pilot, "play.alternatives")
        assert text_of(pilot).cursor == 13
        asked = last(link, protocol.Explain)
        symbols = (protocol.Symbol("\\xc3", 0.7, 0.8), protocol.Symbol("k", 0.3, 0.2))
        link.say(protocol.Explained(asked.id, asked.at, asked.at, "k", symbols))
        await shown(pilot, "\\xc3")
        await pilot.press("home", "enter")
        await told(pilot, "That is a part of a character")
        assert len(link.requests(protocol.Generate)) == 1

    open_play(tmp_path, story)


def test_the_text_is_written_anew_from_the_cursor_on(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World, link: FakeLink) -> None:
        await begin(pilot, world, link, "Once ", 9)
        await press(pilot, "play.edit")
        await told(pilot, "Point at a character first")
        await stop(pilot, world)
        await pilot.press(*["left"] * 5)
        await press(pilot, "play.edit")
        await shown(pilot, "instead of what stands from character 10 on · esc: no")
        assert isinstance(pilot.app.focused, Prompt)
        await press(pilot, "play.stop")
        await gone(pilot, "instead of what stands")
        await press(pilot, "play.stop")
        await press(pilot, "play.edit")
        await typed(pilot, "slow")
        await pilot.press("enter")
        assert last(link, protocol.Generate).text == "Once The slow"
        await writes(pilot, world, link, 3)
        await shown(pilot, "Once The slowThe▌", "branch 2 of 2", "─ prompt · i to type here ─")

    open_play(tmp_path, story)


def leave_for_another_text(world: World) -> None:
    world.desk.new_session()
    world.desk.submit("Another text")


@pytest.mark.parametrize("leave", [leave_for_another_text, lambda world: world.desk.undo()])
def test_no_other_text_than_the_one_pointed_at_is_edited(
    tmp_path: Path, leave: Callable[[World], None]
) -> None:
    async def story(pilot: Pilot[int], world: World, link: FakeLink) -> None:
        await begin(pilot, world, link, "Once ", 9)
        await stop(pilot, world)
        world.desk.reroll()
        await writes(pilot, world, link, 9)
        await stop(pilot, world)
        await pilot.press(*["left"] * 5)
        await press(pilot, "play.edit")
        await typed(pilot, "slow")
        leave(world)
        asked, shape = len(link.requests(protocol.Generate)), world.desk.session.shape
        await pilot.press("enter")
        await told(pilot, "The place is another one by now: choose once more.")
        assert (len(link.requests(protocol.Generate)), world.desk.session.shape) == (asked, shape)
        assert pilot.app.screen.query_one(Prompt).text == "slow"

    open_play(tmp_path, story)


def test_the_tint_shows_surprise_until_it_is_put_out(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World, link: FakeLink) -> None:
        def colours() -> set[Any]:
            line = text_of(pilot).render_line(0)
            return {style.color for text, style, _ in line if text.strip() and not style.bold}

        await begin(pilot, world, link, "Once ", 30)
        await stop(pilot, world)
        assert len(colours()) > 2
        await press(pilot, "play.tint")
        assert len(colours()) == 1
        await press(pilot, "play.tint")
        assert len(colours()) > 2

    open_play(tmp_path, story)
