"""Play as it looks: a page in mid-stream, a chat and an empty page, in every size and in every kind of colours."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot

from engine import protocol
from tests.tinygpt_tui import scripted_player
from tests.tinygpt_tui.driving import check_picture, check_text, press, wait_for
from tests.tinygpt_tui.fake_player import FakeLink
from tests.tinygpt_tui.play_stage import (
    TALE,
    TURNS,
    begin,
    open_play,
    shown,
    stop,
    text_of,
    writes,
)
from tinygpt_tui.world import World


async def mid_stream(pilot: Pilot[int], world: World, link: FakeLink) -> None:
    """A page in mid-stream, with a branch, a changed temperature and the alternatives of a character."""
    world.desk.set_seed(42)
    link.player.base = 0  # type: ignore[attr-defined]
    await begin(pilot, world, link, "Once there was ", 100)
    world.desk.fork(TALE.index("fox"), "b")
    await wait_for(pilot, lambda: len(link.requests(protocol.Generate)) == 2)
    await writes(pilot, world, link, 150)
    await press(pilot, "play.hotter")
    await writes(pilot, world, link, 250)
    await press(pilot, "play.more-min-p")
    await writes(pilot, world, link, 40)
    text_of(pilot).move_to(world.desk.session.text().index("boat"))
    await shown(pilot, "branch 2 of 2", "⟨temperature 0.85⟩", "⟨min-p 0.01⟩", "▸b")


@pytest.fixture
def tale(monkeypatch: pytest.MonkeyPatch) -> None:
    """The player tells something that is worth a picture."""
    monkeypatch.setattr(scripted_player, "STORY", TALE)


def test_the_screen_looks_as_stored_in_every_size(tmp_path: Path, tale: None) -> None:
    async def story(pilot: Pilot[int], world: World, link: FakeLink) -> None:
        await mid_stream(pilot, world, link)
        for width, height in ((200, 60), (120, 40), (80, 24)):
            await pilot.resize_terminal(width, height)
            await check_text(pilot, f"play-{width}x{height}")

    open_play(tmp_path, story, (200, 60))


@pytest.mark.parametrize("looks", [("dark", "light", "ansi"), ("nocolor",)])
def test_the_screen_is_drawn_as_stored(
    tmp_path: Path, tale: None, looks: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    if "nocolor" in looks:
        monkeypatch.setenv("NO_COLOR", "1")

    async def story(pilot: Pilot[int], world: World, link: FakeLink) -> None:
        await mid_stream(pilot, world, link)
        for look in looks:
            pilot.app.theme = {"light": "tinygpt-light", "ansi": "ansi-dark"}.get(look, "tinygpt-dark")
            await check_picture(pilot, f"play-{look}")

    open_play(tmp_path, story)


def test_a_chat_looks_as_stored(tmp_path: Path, tale: None) -> None:
    async def story(pilot: Pilot[int], world: World, link: FakeLink) -> None:
        await begin(pilot, world, link, "hello there", TALE.index(' "Who'))
        await stop(pilot, world)
        await begin(pilot, world, link, "and what does the heron say", 120)
        await check_text(pilot, "play-chat-120x40")

    open_play(tmp_path, story, turns=TURNS)


def test_an_empty_page_looks_as_stored(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World, link: FakeLink) -> None:
        await shown(pilot, "Type how a text begins", " T ")
        await check_text(pilot, "play-empty-80x24")

    open_play(tmp_path, story, (80, 24))
