"""The first launch: a voice that moves at once and climbs from noise to words, and keys that lead on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from engine import starter
from tests.tinygpt_tui.driving import check_picture, check_text, drive, press, screen_text, wait_for
from tests.tinygpt_tui.scripted_run import built_in_starter
from tests.tinygpt_tui.scripted_world import playground, scripted_world
from tests.tinygpt_tui.test_screen_corpus import Trainers
from tinygpt_tui.play.shannon import MOST_ORDER, Shannon, Spoken
from tinygpt_tui.screens import welcome
from tinygpt_tui.screens.welcome import REMEMBERED, voice_of
from tinygpt_tui.world import World

Story = Callable[[Pilot[int], World], Awaitable[None]]


def watch(
    tmp_path: Path,
    story: Story,
    size: tuple[int, int] = (120, 40),
    prepare: Callable[[World], None] = lambda world: None,
    **parts: Any,
) -> None:
    """Opens the first page and tells the story."""
    world = scripted_world(tmp_path, **parts)
    prepare(world)

    async def tell(pilot: Pilot[int]) -> None:
        await story(pilot, world)

    drive(playground(world, "welcome"), tell, size)


async def shown(pilot: Pilot[int], *texts: str) -> None:
    await wait_for(pilot, lambda: all(text in screen_text(pilot.app) for text in texts), " and ".join(texts))


def voice(pilot: Pilot[int]) -> str:
    return str(pilot.app.screen.query_one("#voice", Static).render())


def stop_clock(pilot: Pilot[int], monkeypatch: pytest.MonkeyPatch) -> Any:
    """From now on the screen ticks only when the test says so."""
    monkeypatch.setattr(type(pilot.app), "_tick", lambda app: None)
    return pilot.app.screen


def test_something_moves_within_the_first_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await wait_for(pilot, lambda: voice(pilot))
        heard = voice(pilot)
        await wait_for(pilot, lambda: voice(pilot) != heard)
        screen = stop_clock(pilot, monkeypatch)
        began = screen._since
        screen.tick(began + 1.0)
        assert 50 <= screen._said <= 60 or screen._said > 60  # a slow machine may be later than that already
        assert len("".join(screen._spoken)) == screen._said

    watch(tmp_path, story)


def test_it_remembers_more_and_more_and_never_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await wait_for(pilot, lambda: voice(pilot))
        screen = stop_clock(pilot, monkeypatch)
        began, seen = screen._since, []
        for second in range(1, 16):
            screen.tick(began + second)
            seen.append(sum(bool(said) for said in screen._spoken))
        assert seen == sorted(seen) and seen[0] <= 2 and seen[-1] == MOST_ORDER + 1
        await pilot.pause()
        await shown(pilot, *(f"│ {label} " for label in REMEMBERED))
        before = voice(pilot)
        for second in range(16, 200):
            screen.tick(began + second)
        assert voice(pilot) != before
        assert len("".join(screen._spoken)) < 5000 and len(voice(pilot).splitlines()) <= 13

    watch(tmp_path, story)


def test_a_machine_that_slept_does_not_speak_all_it_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await wait_for(pilot, lambda: voice(pilot))
        screen = stop_clock(pilot, monkeypatch)
        said = len("".join(screen._spoken))
        screen.tick(screen._since + 3600)
        assert len("".join(screen._spoken)) == said + welcome.SPOKEN_A_SECOND

    watch(tmp_path, story)


@pytest.mark.parametrize("key", [0, 1])
def test_one_key_starts_one_training_on_the_tales_and_shows_it(tmp_path: Path, key: int) -> None:
    trainers = Trainers()

    async def story(pilot: Pilot[int], world: World) -> None:
        await press(pilot, "welcome.begin", key)
        await wait_for(pilot, lambda: pilot.app.current_mode == "train")
        await wait_for(pilot, lambda: world.starter.snapshot.state == "started")
        (request,) = trainers.requests
        assert request["corpus"]["source"] == "tales" and request["size"] == "0.3m"
        values = request["values"]
        assert (values["time"], values["arch"], values["seed"]) == (60.0, "classic", 7)

    def prepare(world: World) -> None:
        for name, value in (("time", "1m"), ("size", "0.3m"), ("arch", "classic"), ("seed", "7")):
            world.settings.set(f"train.{name}", value)

    watch(tmp_path, story, launch=trainers, prepare=prepare)


def test_a_second_key_starts_no_second_training(tmp_path: Path) -> None:
    trainers = Trainers()

    async def story(pilot: Pilot[int], world: World) -> None:
        screen: Any = pilot.app.screen
        screen.action_begin()
        screen.action_begin()  # the process that reads the text has hardly begun
        await wait_for(pilot, lambda: world.starter.snapshot.state == "started")
        assert len(trainers.requests) == 1

    watch(tmp_path, story, launch=trainers)


@pytest.mark.parametrize(("action", "mode"), [("welcome.corpus", "corpus"), ("welcome.play", "play")])
def test_the_other_keys_lead_where_they_say(tmp_path: Path, action: str, mode: str) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await shown(pilot, "c      choose another text")
        await press(pilot, action)
        await wait_for(pilot, lambda: pilot.app.current_mode == mode)

    watch(tmp_path, story)


def test_the_choices_can_be_clicked(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await shown(pilot, "enter  train a small GPT", "?      what every key does")
        await pilot.click("#choices", offset=(2, 1))
        await wait_for(pilot, lambda: pilot.app.current_mode == "corpus")

    watch(tmp_path, story)


@pytest.mark.parametrize(("width", "height"), [(20, 6), (40, 8), (72, 8), (96, 13), (200, 40)])
def test_what_is_spoken_fits_its_room(width: int, height: int) -> None:
    shannon, spoken = Shannon(book="a fox, and a heron\n\n" * 99, chars_per_order=80), [""] * (MOST_ORDER + 1)
    for piece in shannon.speak(2000):
        spoken[piece.order] += piece.text
    lines = voice_of(spoken, width, height).plain.split("\n")
    assert len(lines) <= max(height, MOST_ORDER + 1) and all(len(line) <= width for line in lines)
    assert [line[:11].strip() for line in lines[: MOST_ORDER + 1]] == list(REMEMBERED)


def test_words_of_the_last_line_are_not_broken() -> None:
    spoken = ["x"] * MOST_ORDER + ["the captain of the village rubbed his golden buttons and said"]
    lines = voice_of(spoken, 31, 9).plain.split("\n")
    assert [line[11:] for line in lines[MOST_ORDER:]] == ["the captain of the", "village rubbed his", "golden buttons and", "said"]  # fmt: skip


class FrozenVoice:
    """Says some lines at once and then nothing more."""

    def __init__(self, chars_per_order: int) -> None:
        self._pieces = Shannon(chars_per_order=chars_per_order).speak(MOST_ORDER * chars_per_order + 230)

    def speak(self, n_chars: int) -> tuple[Spoken, ...]:
        pieces, self._pieces = self._pieces, ()
        return pieces


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
def test_the_first_page_looks_as_stored(
    tmp_path: Path, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(welcome, "Shannon", FrozenVoice)
    monkeypatch.setattr(starter, "FOLDER", built_in_starter(tmp_path))

    async def story(pilot: Pilot[int], world: World) -> None:
        await shown(pilot, "5 letters")
        await check_text(pilot, f"welcome-{size[0]}x{size[1]}")

    watch(tmp_path, story, size)


def test_the_first_page_is_drawn_as_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(welcome, "Shannon", FrozenVoice)
    monkeypatch.setattr(starter, "FOLDER", built_in_starter(tmp_path))

    async def story(pilot: Pilot[int], world: World) -> None:
        await shown(pilot, "5 letters")
        await check_picture(pilot, "welcome-dark")

    watch(tmp_path, story)


def test_the_smallest_terminal_shows_the_voice_and_every_choice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(welcome, "Shannon", FrozenVoice)
    monkeypatch.setattr(starter, "FOLDER", built_in_starter(tmp_path))

    async def story(pilot: Pilot[int], world: World) -> None:
        await shown(
            pilot,
            "nothing    ",
            "p      play and talk with",
            "enter  train a small GPT",
            "?      what every key does",
            "5 letters",
        )

    watch(tmp_path, story, (60, 16))
