"""The knobs of Play: by key, wheel, drag and typing they act on the very next character, and the text shows where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual import events
from textual.pilot import Pilot

from engine import protocol
from tests.tinygpt_tui.driving import press, screen_text, wait_for
from tests.tinygpt_tui.fake_player import FakeLink
from tests.tinygpt_tui.play_stage import (
    begin,
    gone,
    knob,
    last,
    open_play,
    shown,
    stop,
    told,
    writes,
)
from tests.tinygpt_tui.scripted_run import ScriptedRun
from tinygpt_tui.widgets.distribution import Distribution
from tinygpt_tui.widgets.knobs import Knob
from tinygpt_tui.widgets.transcript import Transcript
from tinygpt_tui.world import World


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "data" / "runs"


KEYS = [
    ("play.cooler", "play.hotter", "temperature", 0.75, 0.8, "temperature 0.75"),
    ("play.fewer-k", "play.more-k", "top_k", 500, 0, "top-k 500"),
    ("play.less-p", "play.more-p", "top_p", 0.99, 1.0, "top-p 0.99"),
    ("play.more-min-p", "play.less-min-p", "min_p", 0.01, 0.0, "min-p 0.01"),
    ("play.more-repetition", "play.less-repetition", "repetition", 0.1, 0.0, "repetition 0.1"),
]


def test_each_knob_turns_by_its_keys_from_the_very_next_character_on(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World, link: FakeLink) -> None:
        await begin(pilot, world, link, "O", 8)  # "OThe quic"
        for there, back, name, turned, before, words in KEYS:
            await press(pilot, there)
            assert last(link, protocol.Set) == protocol.Set(link.player.writing, {name: turned})
            await shown(pilot, words, f"quic⟨{words}⟩▌")
            assert knob(pilot, name).value == turned
            await press(pilot, back)
            assert last(link, protocol.Set).sampler == {name: before}
            await gone(pilot, f"⟨{words}⟩")
        await press(pilot, "play.cooler")
        await writes(pilot, world, link, 5)
        await press(pilot, "play.cooler")
        await press(pilot, "play.fewer-k")
        await writes(pilot, world, link, 1)
        await shown(pilot, "OThe quic⟨temperature 0.75⟩k bro⟨temperature 0.7")
        marks = [(mark.at, mark.text) for mark in world.desk.session.marks()]
        assert marks == [(9, "temperature 0.75"), (14, "temperature 0.7 · top-k 500")]
        await press(pilot, "play.neutral")
        assert last(link, protocol.Set).sampler == {
            "temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "repetition": 0.0,
        }  # fmt: skip
        await shown(pilot, "temperature 1.00", "top-k off", "⟨…⟩▌")
        await writes(pilot, world, link, 3)
        await shown(pilot, "w⟨temperature 1 · top-k off⟩n f▌")

    open_play(tmp_path, story)


def test_the_speed_turns_by_its_keys_and_the_pace_is_no_mark_in_the_text(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World, link: FakeLink) -> None:
        await begin(pilot, world, link)
        await press(pilot, "play.slower")
        assert last(link, protocol.Pace) == protocol.Pace(link.player.writing, 1000)
        await shown(pilot, "speed 1000 char/s")
        await press(pilot, "play.slower")
        assert last(link, protocol.Pace).chars_per_s == 500
        await press(pilot, "play.faster", 1)
        await press(pilot, "play.faster")
        assert last(link, protocol.Pace).chars_per_s is None
        await shown(pilot, "speed flat out")
        assert "⟨" not in screen_text(pilot.app)

    open_play(tmp_path, story)


def test_a_knob_is_pending_until_the_player_says_from_where_on_it_acts(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World, link: FakeLink) -> None:
        await begin(pilot, world, link)
        link.auto = False
        await press(pilot, "play.hotter")
        await shown(pilot, "temperature 0.85…")
        assert "⟨" not in screen_text(pilot.app)
        link.say(protocol.Changed(link.player.writing, 17, {"temperature": 0.85}, 1))
        await shown(pilot, "temperature 0.85 ", "⟨temperature 0.85⟩")
        await press(pilot, "play.hotter")
        await shown(pilot, "temperature 0.90…")
        link.say(protocol.Error(link.player.writing, "Not that hot, please."))
        await told(pilot, "Not that hot, please.")
        await shown(pilot, "temperature 0.85 ")

    open_play(tmp_path, story)


def test_the_distribution_moves_at_once_when_a_knob_is_turned_while_nothing_is_written(
    tmp_path: Path,
) -> None:
    async def story(pilot: Pilot[int], world: World, link: FakeLink) -> None:
        def seen() -> tuple[Any, ...]:
            return pilot.app.screen.query_one(Distribution).view.symbols

        await begin(pilot, world, link)
        await press(pilot, "play.pause")
        assert last(link, protocol.Pace).chars_per_s == 0
        await shown(pilot, "paused")
        for action in ("play.hotter", "play.neutral"):
            before, length = seen(), world.desk.session.length
            await press(pilot, action)
            await wait_for(pilot, lambda before=before: seen() != before)  # type: ignore[misc]
            assert world.desk.session.length == length
            assert [symbol.raw for symbol in seen()] == [symbol.raw for symbol in before]
        await stop(pilot, world)
        before = seen()
        await press(pilot, "play.hotter")  # and when it has ended
        await wait_for(pilot, lambda: seen() != before)

    open_play(tmp_path, story)


def test_space_holds_the_writing_and_a_single_step_writes_one_character(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World, link: FakeLink) -> None:
        await begin(pilot, world, link, "Once ", 3)
        await press(pilot, "play.pause")
        await shown(pilot, "─ paused ─", "Once The▌")
        await press(pilot, "play.step")
        await press(pilot, "play.step")
        await shown(pilot, "Once The q▌", "paused")
        assert len(link.requests(protocol.Step)) == 2
        await press(pilot, "play.pause")
        assert last(link, protocol.Pace).chars_per_s is None
        await writes(pilot, world, link, 4)
        await shown(pilot, "Once The quick▌", "9 char/s")
        await press(pilot, "play.step")  # from full speed: hold, and one more
        await shown(pilot, "paused", "Once The quick ▌")
        await stop(pilot, world)
        await press(pilot, "play.step")  # and from the end of a text
        await shown(pilot, "paused", "Once The quick T▌")
        await stop(pilot, world)
        await press(pilot, "play.pause")
        await shown(pilot, "Once The quick T▌")
        assert last(link, protocol.Generate).text == "Once The quick T"

    open_play(tmp_path, story)


def test_new_dice_are_cast_for_what_is_written_from_now_on(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World, link: FakeLink) -> None:
        await begin(pilot, world, link, "Once ", 3)
        await press(pilot, "play.seed")
        seed = world.desk.seed
        await wait_for(pilot, lambda: last(link, protocol.Generate).seed == seed)
        assert last(link, protocol.Generate).text == "Once The"
        await shown(pilot, f"seed {seed} ")
        await writes(pilot, world, link, 3)
        await shown(pilot, "Once The" + (f"⟨seed {seed}⟩" if seed != 1 else "") + "The▌")

    open_play(tmp_path, story)


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
def test_knobs_turn_by_wheel_drag_and_typing(tmp_path: Path, size: tuple[int, int]) -> None:
    async def story(pilot: Pilot[int], world: World, link: FakeLink) -> None:
        async def wheel(name: str, kind: Any) -> None:
            await pilot._post_mouse_events([kind], knob(pilot, name), offset=(1, 0), button=0)

        await begin(pilot, world, link)
        await wheel("temperature", events.MouseScrollUp)
        await wait_for(pilot, lambda: link.requests(protocol.Set))
        assert last(link, protocol.Set).sampler == {"temperature": 0.85}
        await wheel("top_k", events.MouseScrollDown)
        await wait_for(pilot, lambda: last(link, protocol.Set).sampler == {"top_k": 500})
        heat = knob(pilot, "temperature")
        first, cells = heat._track
        assert cells > 1
        await pilot.mouse_down(heat, offset=(first, 0))
        await pilot.hover(heat, offset=(first + cells - 1, 0))
        await pilot.mouse_up(heat, offset=(first + cells - 1, 0))
        await wait_for(pilot, lambda: last(link, protocol.Set).sampler == {"temperature": 2.0})
        assert {"temperature": 0.0} in [request.sampler for request in link.requests(protocol.Set)]
        await shown(pilot, "temperature 2.00")
        heat.focus()
        await pilot.press("1", ".", "2", "5", "enter")
        await wait_for(pilot, lambda: last(link, protocol.Set).sampler == {"temperature": 1.25})
        await pilot.press("9", "enter")
        await told(pilot, "The setting temperature must be 0 (always the likeliest) or 0.01 to 5, not '9'.")
        await pilot.press("escape")
        knob(pilot, "seed").focus()
        await pilot.press("4", "2", "enter")
        await wait_for(pilot, lambda: last(link, protocol.Generate).seed == 42)
        await shown(pilot, "seed 42", "temperature 1.25")
        knob(pilot, "speed").focus()
        await pilot.press("3", "0", "enter")
        await wait_for(pilot, lambda: last(link, protocol.Pace).chars_per_s == 30)

    open_play(tmp_path, story, size)


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
def test_the_context_says_how_much_of_the_text_the_model_sees(tmp_path: Path, size: tuple[int, int]) -> None:
    async def story(pilot: Pilot[int], world: World, link: FakeLink) -> None:
        await begin(pilot, world, link, "Once ", 100)
        await shown(pilot, "105/128")
        assert "unseen" not in screen_text(pilot.app)
        await writes(pilot, world, link, 60)
        await shown(pilot, "101/128, 64 unseen")
        await stop(pilot, world)
        world.desk.submit("A long text. " * 100)
        await writes(pilot, world, link, 3)
        await shown(pilot, "/128, 1.")
        await shown(pilot, " k unseen")

    open_play(tmp_path, story, size)


def test_newer_weights_of_a_run_that_trains_are_marked_in_the_text(tmp_path: Path, runs: Path) -> None:
    with ScriptedRun(runs) as run:
        run.steps(10)
        run.look()

        async def story(pilot: Pilot[int], world: World, link: FakeLink) -> None:
            await shown(
                pilot, "tales-03 @ step 1,000 · follows the training · val 1.500", "tales-03 ● step 10"
            )
            await begin(pilot, world, link, "Once ", 9)
            link.say(*link.player.advance(1250))
            await writes(pilot, world, link, 6)
            await shown(
                pilot, "Once The quick⟨step 1,250⟩ brown▌", "tales-03 @ step 1,250 · follows the training"
            )
            await pilot.resize_terminal(70, 24)
            await shown(pilot, "─ tales-03 @ step 1,250 · live ─")

        open_play(tmp_path, story)


def test_the_keys_of_the_page_work_wherever_the_focus_is(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World, link: FakeLink) -> None:
        await begin(pilot, world, link)
        for widget in (Distribution, Transcript, Knob):
            pilot.app.screen.query(widget).first().focus()
            before = world.desk.settings.temperature
            await press(pilot, "play.hotter")
            assert world.desk.settings.temperature == pytest.approx(before + 0.05)

    open_play(tmp_path, story)
