"""The Play screen: a prompt goes in, its continuation streams out, is taken back, cast anew, copied, and kept from harm."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot

from engine import protocol
from tests.tinygpt_tui import scripted_player
from tests.tinygpt_tui.driving import press, screen_text, wait_for
from tests.tinygpt_tui.fake_player import FakeLink
from tests.tinygpt_tui.play_stage import (
    HARMLESS,
    HOSTILE,
    TURNS,
    begin,
    gone,
    last,
    open_play,
    shown,
    stop,
    text_of,
    told,
    typed,
    writes,
)
from tests.tinygpt_tui.scripted_run import finished_run
from tests.tinygpt_tui.scripted_world import scripted_world
from tinygpt_tui import clipboard
from tinygpt_tui.actions import actions_of
from tinygpt_tui.screens.dialogs import AskLine, Choose
from tinygpt_tui.screens.help import HelpScreen
from tinygpt_tui.sources.player_link import Lost, Restarted
from tinygpt_tui.widgets.key_bar import KeyBar
from tinygpt_tui.widgets.prompt import Prompt
from tinygpt_tui.widgets.transcript import Transcript
from tinygpt_tui.world import World


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "data" / "runs"


def test_enter_sends_the_prompt_and_the_text_streams_on_behind_it_in_other_looks(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World, link: FakeLink) -> None:
        await shown(pilot, "tales-03 @ step 1,000 · val 1.500", "how does it begin?", "⏎ send")
        await typed(pilot, "Once ")
        assert isinstance(pilot.app.focused, Prompt)
        await pilot.press("enter")
        asked = last(link, protocol.Generate)
        assert (asked.text, asked.seed, asked.stop, asked.chars_per_s) == ("Once ", 1, (), None)
        assert asked.sampler == world.desk.settings.to_json()
        assert pilot.app.focused is text_of(pilot) and pilot.app.screen.query_one(Prompt).text == ""
        await writes(pilot, world, link, 9)
        await shown(pilot, "│ Once The quick▌ ", "9 char/s", "context ▓", "14/128")
        looks = [(text, style.bold) for text, style, _ in text_of(pilot).render_line(0)]
        assert [text for text, bold in looks if bold] == [*"Once ", "▌"]
        await writes(pilot, world, link, 6)
        await shown(pilot, "│ Once The quick brown▌ ")
        await pilot.press("2")
        await wait_for(pilot, lambda: pilot.app.current_mode == "train")
        await writes(pilot, world, link, 4)
        await pilot.press("3")
        await shown(pilot, "│ Once The quick brown fox▌ ")
        await stop(pilot, world)
        await shown(pilot, "│ Once The quick brown fox  ")

    open_play(tmp_path, story)


def test_whoever_comes_to_play_types_into_the_prompt_and_it_says_how_to_leave_it(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World, link: FakeLink) -> None:
        await begin(pilot, world, link)  # the focus is on the text
        await shown(pilot, "─ prompt · i to type here ─", "esc stop")
        await press(pilot, "play.pause")
        await shown(pilot, "space resume")
        await stop(pilot, world)
        await press(pilot, "app.help")
        await wait_for(pilot, lambda: isinstance(pilot.app.screen, HelpScreen))
        await pilot.press("escape")
        await wait_for(pilot, lambda: pilot.app.focused is text_of(pilot))  # a dialog leads nowhere else
        await press(pilot, "app.train")
        await wait_for(pilot, lambda: pilot.app.current_mode == "train")
        await press(pilot, "train.play")
        await typed(pilot, "You")
        assert isinstance(pilot.app.focused, Prompt) and pilot.app.focused.text == "You"
        await shown(pilot, "─ prompt ─", "esc leave prompt")
        await pilot.press("escape")
        await shown(pilot, "─ prompt · i to type here ─", "esc stop")
        await pilot.press("4")
        await wait_for(pilot, lambda: pilot.app.current_mode == "runs")

    open_play(tmp_path, story)


def test_a_prompt_may_have_lines_and_the_ones_before_are_a_key_away_also_the_next_time(
    tmp_path: Path,
) -> None:
    async def story(pilot: Pilot[int], world: World, link: FakeLink) -> None:
        await typed(pilot, "one")
        await pilot.press("ctrl+j", *"two", "enter")
        assert last(link, protocol.Generate).text == "one\ntwo"
        await press(pilot, "play.prompt")
        assert isinstance(pilot.app.focused, Prompt)
        await typed(pilot, "draft")
        await pilot.press("up")
        assert pilot.app.screen.query_one(Prompt).text == "one\ntwo"
        await pilot.press("down")
        assert pilot.app.screen.query_one(Prompt).text == "draft"

    async def again(pilot: Pilot[int], world: World, link: FakeLink) -> None:
        await shown(pilot, "│ one", "│ two")
        await pilot.press("up")
        assert pilot.app.screen.query_one(Prompt).text == "one\ntwo"

    open_play(tmp_path, story)
    open_play(tmp_path, again)


def test_shift_and_arrows_turn_the_temperature_while_a_prompt_is_typed(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World, link: FakeLink) -> None:
        await begin(pilot, world, link)
        await press(pilot, "play.prompt")
        await typed(pilot, "and [then")
        await pilot.press("shift+up")
        assert last(link, protocol.Set).sampler == {"temperature": 0.85}
        await shown(pilot, "temperature 0.85")
        await pilot.press("shift+down", "shift+down")
        assert last(link, protocol.Set).sampler == {"temperature": 0.75}
        assert pilot.app.screen.query_one(Prompt).text == "and [then"

    open_play(tmp_path, story)


def test_escape_stops_and_the_second_time_leaves_the_prompt(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World, link: FakeLink) -> None:
        await begin(pilot, world, link)
        await press(pilot, "play.prompt")
        await stop(pilot, world)
        assert isinstance(pilot.app.focused, Prompt)
        await press(pilot, "play.stop")
        assert pilot.app.focused is text_of(pilot)
        await press(pilot, "play.new")
        await shown(pilot, "Type how a text begins")
        await press(pilot, "play.prompt")
        await press(pilot, "play.stop")  # on an empty page too
        assert pilot.app.focused is text_of(pilot)
        await pilot.press("4")
        await wait_for(pilot, lambda: pilot.app.current_mode == "runs")

    open_play(tmp_path, story)


def test_what_the_model_does_not_know_is_told_while_it_is_typed(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World, link: FakeLink) -> None:
        await typed(pilot, "café λ")
        await shown(pilot, "the model does not know: é → e, λ dropped")
        await pilot.press("backspace", "backspace", "backspace")
        await gone(pilot, "the model does not know")
        await typed(pilot, "é")
        await pilot.press("enter")
        await gone(pilot, "the model does not know")
        link.say(protocol.Started(link.player.writing or 0, 4, {}, (protocol.Replaced(3, "é", "e"),)))
        await told(pilot, "it read 'é' as 'e'")

    open_play(tmp_path, story)


def test_the_text_goes_on_and_acts_are_taken_back_and_done_again(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World, link: FakeLink) -> None:
        await begin(pilot, world, link, "Once ", 3)
        await press(pilot, "play.undo")
        await shown(pilot, "Type how a text begins")
        await press(pilot, "play.redo")
        await shown(pilot, "│ Once The ")
        await press(pilot, "play.go-on")
        assert last(link, protocol.Generate).text == "Once The"
        await writes(pilot, world, link, 4)
        await shown(pilot, "Once TheThe ▌")
        await press(pilot, "play.undo")
        await shown(pilot, "│ Once The  ")
        await press(pilot, "play.undo")
        await press(pilot, "play.undo")
        await told(pilot, "There is nothing to take back.")
        await press(pilot, "play.redo")
        await press(pilot, "play.redo")
        await shown(pilot, "│ Once TheThe ")
        await press(pilot, "play.redo")
        await told(pilot, "Nothing was taken back.")

    open_play(tmp_path, story)


def test_a_reroll_stands_beside_the_first_answer_and_keys_go_from_one_to_the_other(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World, link: FakeLink) -> None:
        await press(pilot, "play.stop")
        await press(pilot, "play.next-branch")
        await told(pilot, "The text has no branches yet")
        await press(pilot, "play.chat")
        await told(pilot, "This model learned no conversation")
        await begin(pilot, world, link, "Once ", 3)
        await press(pilot, "play.reroll")
        await wait_for(pilot, lambda: len(link.requests(protocol.Generate)) == 2)
        asked = last(link, protocol.Generate)
        assert asked.text == "Once " and asked.seed == world.desk.seed
        await writes(pilot, world, link, 9)
        await shown(pilot, "│ Once The quick▌", "branch 2 of 2")
        await press(pilot, "play.previous-branch")
        await shown(pilot, "│ Once The  ", "branch 1 of 2")
        await press(pilot, "play.next-branch")
        await shown(pilot, "│ Once The quick ", "branch 2 of 2")

    open_play(tmp_path, story)


def test_a_conversation_is_a_chat_with_speakers(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World, link: FakeLink) -> None:
        await typed(pilot, "hello")
        await pilot.press("enter")
        asked = last(link, protocol.Generate)
        assert asked.text == "You: hello\nPip: " and asked.stop == ("\n",)
        assert isinstance(pilot.app.focused, Prompt)  # the next line follows at once
        await shown(pilot, "│ Pip is speaking …")
        await writes(pilot, world, link, len(scripted_player.STORY) - 1)
        await shown(pilot, "│ your turn, You: what do you say?")
        await wait_for(pilot, lambda: world.desk.state == "ready")
        await typed(pilot, "and then")
        await pilot.press("enter")
        await writes(pilot, world, link, 9)
        await shown(
            pilot, "│ You: hello  ", "│ Pip: The quick brown", "│      sleep. Was", "│ You: and then  "
        )
        await shown(pilot, "│ Pip: The quick▌")
        await press(pilot, "play.stop")
        await press(pilot, "play.stop")
        await press(pilot, "play.chat")
        await told(pilot, "Chat: off.")
        await shown(pilot, "│ sleep. Was")
        await press(pilot, "play.chat")
        await told(pilot, "Chat: on.")
        await shown(pilot, "│      sleep. Was")
        await pilot.hover(Transcript, offset=(6, 1))
        await shown(pilot, f"instead of character {len('You: hello') + 1 + 7}", "h rank")
        await pilot.hover(Transcript, offset=(6, 2))
        await shown(pilot, "l rank")

    open_play(tmp_path, story, turns=TURNS)


def test_the_selection_or_else_the_last_answer_is_copied_exactly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clipboard, "copy_natively", lambda text: None)

    async def story(pilot: Pilot[int], world: World, link: FakeLink) -> None:
        await press(pilot, "play.stop")
        await press(pilot, "play.copy")
        await told(pilot, "There is nothing to copy yet.")
        await begin(pilot, world, link, "Once ", len(scripted_player.STORY) + 3)
        await press(pilot, "play.copy")
        await told(pilot, "to the terminal (OSC 52)")
        assert pilot.app.clipboard == scripted_player.STORY + "The"
        await pilot.mouse_down(Transcript, offset=(2, 0))
        await pilot.hover(Transcript, offset=(8, 0))
        await pilot.mouse_up(Transcript, offset=(8, 0))
        await wait_for(pilot, lambda: text_of(pilot).selected_text == "ce The ")
        await press(pilot, "play.copy")
        await wait_for(pilot, lambda: pilot.app.clipboard == "ce The ")

    open_play(tmp_path, story)


def test_a_player_that_is_lost_and_comes_back_is_told_and_the_text_stays(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World, link: FakeLink) -> None:
        await begin(pilot, world, link, "Once ", 9)
        link.say(Lost("It was killed (signal 9). It is started again."))
        await told(pilot, "The player is gone: It was killed")
        await shown(pilot, "─ player lost ─", "│ Once The quick  ")
        await press(pilot, "play.prompt")
        await pilot.press("h", "i", "enter")
        await told(pilot, "tales-03 is being loaded: a moment.")
        await shown(pilot, "│ hi ")  # what cannot be sent stays
        assert isinstance(pilot.app.focused, Prompt)
        await pilot.press("escape")
        link.say(Restarted())
        await told(pilot, "A new player is up.")
        await shown(pilot, "tales-03 @ step 1,000")
        await gone(pilot, "─ player lost ─")
        await press(pilot, "play.go-on")
        await writes(pilot, world, link, 3)
        await shown(pilot, "│ Once The quickThe▌")

    open_play(tmp_path, story)


def test_an_empty_page_says_what_goes_on(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World, link: FakeLink) -> None:
        await shown(pilot, "There is no model yet.", "─ play ─")
        await press(pilot, "play.go-on")
        await told(pilot, "There is no model yet: train one first")
        await pilot.press("1")  # as it says
        await wait_for(pilot, lambda: pilot.app.current_mode == "corpus")
        finished_run(tmp_path / "data" / "runs", "tales-03", 4)
        link.auto = False
        world.desk.use("tales-03")
        await pilot.press("3")
        await shown(pilot, "The model is being loaded …", "─ loading ─")
        world.shelf.scan()
        await pilot.press("2")
        await wait_for(pilot, lambda: pilot.app.current_mode == "train")
        await pilot.press("3")
        await wait_for(pilot, lambda: isinstance(pilot.app.focused, Prompt))
        link.say(*link.player.answer(protocol.Load("tales-03")))
        await shown(pilot, "Type how a text begins")
        link.say(Lost("It was killed."))
        await shown(pilot, "The player is gone; a new one is being started.")

    open_play(tmp_path, story, run=None)


def test_hostile_words_are_shown_as_words_and_whole(tmp_path: Path, runs: Path) -> None:
    finished_run(runs, "tales-03", 4)
    scripted_world(tmp_path).shelf.rename("tales-03", "[b]" + HOSTILE)

    async def story(pilot: Pilot[int], world: World, link: FakeLink) -> None:
        await shown(pilot, f"[b]{HARMLESS} · tales-03 @ step")
        link.say(protocol.Error(None, HOSTILE), protocol.Error(None, "[bold]not bold[/bold]"))
        await shown(pilot, "[bold]not bold[/bold]", "␛[31m[red]x[/red]")
        await begin(pilot, world, link, "Once ", 1)
        chars = tuple(protocol.Char(c, 0.5, 0.5, 0) for c in HOSTILE)
        at, id = 6, link.player.writing
        assert id is not None
        symbols = tuple(protocol.Symbol(c, 0.1, 0.1) for c in ("\x1b", "\u202e", "[red]", "\x9b"))
        link.say(
            protocol.Text(id, at, chars, 0), protocol.Dist(id, at + len(chars) - 1, symbols),
            protocol.Changed(id, at + len(chars), {"temperature": 2.0}, 1),
        )  # fmt: skip
        await shown(pilot, f"Once T{HARMLESS}⟨temperature 2⟩", " ␛ ", " [red] ")
        await press(pilot, "play.stop")
        await press(pilot, "play.prompt")
        await typed(pilot, "[red]x")
        await shown(pilot, "the model does not know: [ dropped, ] dropped")
        await pilot.press("escape", "escape", "left")
        text_of(pilot).move_to(6)
        await shown(pilot, "␛ rank 1 · 50 → 50 %")
        assert not {"\x1b", "\x9b", "\u202e"} & set(screen_text(pilot.app))
        places = [
            (line.find("[@click=app.quit]"), y) for y, line in enumerate(screen_text(pilot.app).splitlines())
        ]
        assert len([x for x, _ in places if x >= 0]) >= 2  # in the title and in the text
        for x, y in places:
            if x >= 0:
                await pilot.click(offset=(x + len("[@click=app.quit]"), y))
        await pilot.pause()
        assert pilot.app.return_code is None and pilot.app.is_running

    open_play(tmp_path, story, (160, 40))


@pytest.mark.parametrize("run", [None, "tales-03"])
def test_nothing_is_ever_greyed_out_and_every_action_is_answered(
    tmp_path: Path, run: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clipboard, "copy_natively", lambda text: None)

    async def story(pilot: Pilot[int], world: World, link: FakeLink) -> None:
        text_of(pilot).focus()
        for state in ("writing", "lost") if run else ("empty",):
            for action in actions_of("play"):
                if state == "writing" and link.player.writing is None and world.desk.model:
                    world.desk.submit("Once ")
                    link.write(2)
                    world.desk.tick(0.0)
                elif state == "lost" and world.desk.state != "lost":
                    link.say(Lost("It was killed."))
                await pilot.app.run_action(action.name, pilot.app.screen)
                if isinstance(pilot.app.screen, AskLine | Choose):
                    await pilot.press("escape")
            text_of(pilot).focus()
            await wait_for(pilot, lambda: len(pilot.app.screen.query_one(KeyBar).keys) > 8)
            for widget in pilot.app.screen.walk_children():
                assert not widget.disabled
        assert pilot.app.is_running and pilot.app.current_mode == "play"

    open_play(tmp_path, story, run=run)
