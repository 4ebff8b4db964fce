"""What Play asks in a dialog: where to, what to look for, which model, which stop texts; and following a run that trains."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, OptionList

from engine import protocol
from tests.tinygpt_tui.driving import drive, press, screen_text, wait_for
from tests.tinygpt_tui.fake_player import FakeLink
from tests.tinygpt_tui.play_stage import (
    HARMLESS,
    HOSTILE,
    begin,
    last,
    open_play,
    shown,
    stop,
    text_of,
    told,
    typed,
    writes,
)
from tests.tinygpt_tui.scripted_run import ScriptedRun, finished_run
from tests.tinygpt_tui.scripted_world import playground, scripted_world
from tinygpt_tui.play.history import History, Kept
from tinygpt_tui.screens.dialogs import AskLine, Choose
from tinygpt_tui.sources.player_link import Lost
from tinygpt_tui.world import World


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the playground is started from."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "data" / "runs"


async def dialog(pilot: Pilot[int], kind: type[AskLine | Choose]) -> None:
    """Waits for a dialog and for what it lists."""
    parts = Input if kind is AskLine else OptionList
    await wait_for(
        pilot,
        lambda: isinstance(pilot.app.screen, kind) and len(pilot.app.screen.query(parts)),
        kind.__name__,
    )
    await pilot.pause()


async def page(pilot: Pilot[int]) -> None:
    """Waits until no dialog is open."""
    await wait_for(pilot, lambda: not isinstance(pilot.app.screen, AskLine | Choose))


def listed(pilot: Pilot[int]) -> list[str]:
    options = pilot.app.screen.query_one(OptionList)
    return [str(option.prompt) for option in options.options]


def test_the_text_is_saved_in_each_format_where_the_playground_was_started(
    tmp_path: Path, here: Path
) -> None:
    async def story(pilot: Pilot[int], world: World, link: FakeLink) -> None:
        text_of(pilot).focus()
        await press(pilot, "play.export")
        await told(pilot, "There is no text to save yet.")
        await begin(pilot, world, link, "Once [b] ", 9)
        for wanted in ("md:", "txt:", "jsonl:"):
            await press(pilot, "play.export")
            await dialog(pilot, Choose)
            await shown(
                pilot, "save this text", "md: to be read", "txt: the exact text", "jsonl: every branch"
            )
            await pilot.press(*wanted, "enter")
            await told(pilot, "Saved ")
            await page(pilot)
        saved = {path.suffix: path.read_text(encoding="utf-8") for path in here.iterdir()}
        assert saved[".txt"] == "Once [b] The quick"
        assert "Once [b] " in saved[".md"] and "tales-03" in saved[".md"]
        lines = [json.loads(line) for line in saved[".jsonl"].splitlines()]
        assert lines[0]["event"] == "session" and lines[0]["text"] == "Once [b] The quick"
        await press(pilot, "play.export")
        await dialog(pilot, Choose)
        await pilot.press("escape")
        await page(pilot)
        here.chmod(0o500)
        await press(pilot, "play.export")
        await dialog(pilot, Choose)
        await pilot.press("enter")
        if os.getuid():
            await told(pilot, "cannot be written")
        here.chmod(0o700)
        await page(pilot)
        assert len(list(here.iterdir())) == (3 if os.getuid() else 4)

    open_play(tmp_path, story)


def test_an_earlier_session_is_found_by_its_text_on_any_branch_and_opened(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World, link: FakeLink) -> None:
        text_of(pilot).focus()
        await press(pilot, "play.search")
        await dialog(pilot, AskLine)
        await pilot.press("enter")
        await dialog(pilot, Choose)
        await shown(pilot, "Nothing was written yet.")
        await pilot.press("escape")
        await page(pilot)
        await begin(pilot, world, link, f"A heron {HOSTILE} ", 4)
        world.desk.fork(0, "An owl ")
        await writes(pilot, world, link, 9)
        await stop(pilot, world)
        await press(pilot, "play.new")
        await shown(pilot, "Type how a text begins")
        await begin(pilot, world, link, "A [red]fox[/red] ", 4)
        await wait_for(pilot, lambda: len(world.desk.history.sessions()) == 2)
        await press(pilot, "play.search")
        await dialog(pilot, AskLine)
        await pilot.press("enter")
        await dialog(pilot, Choose)
        await wait_for(pilot, lambda: len(listed(pilot)) == 2)
        await shown(pilot, "An owl", "A [red]fox[/red]")
        await pilot.press("escape")
        await page(pilot)
        await press(pilot, "play.search")
        await dialog(pilot, AskLine)
        await typed(pilot, "HERON")
        await pilot.press("enter")
        await dialog(pilot, Choose)
        await shown(pilot, "A heron ␛[31m[red]x[/red]")
        await pilot.press("enter")
        await shown(pilot, "│ An owl The quick  ", "branch 2 of 2")
        await press(pilot, "play.previous-branch")
        await shown(pilot, f"│ A heron {HARMLESS} The ")
        await press(pilot, "play.search")
        await dialog(pilot, AskLine)
        await typed(pilot, "badger")
        await pilot.press("enter")
        await dialog(pilot, Choose)
        await shown(pilot, "No session holds 'badger'.")
        await pilot.press("enter", "escape")
        await page(pilot)
        assert world.desk.session.text().startswith("A heron")

    open_play(tmp_path, story)


def test_another_model_is_chosen_and_goes_on_with_the_same_text(tmp_path: Path, runs: Path) -> None:
    finished_run(runs, "novel-01", 4, created="2026-01-01T00:00:00Z")
    scripted_world(tmp_path).shelf.rename("novel-01", "[b]my novel[/b]")

    async def story(pilot: Pilot[int], world: World, link: FakeLink) -> None:
        await begin(pilot, world, link, "Once ", 9)
        await press(pilot, "play.model")
        await dialog(pilot, Choose)
        await shown(pilot, "write with", "✓ [b]my novel[/b]", "✓ tales-03")
        await pilot.press(*"novel", "enter")
        await page(pilot)
        await shown(pilot, "[b]my novel[/b] · novel-01 @ step 1,000", "│ Once The quick  ")
        assert last(link, protocol.Load) == protocol.Load("novel-01")
        await press(pilot, "play.go-on")
        await writes(pilot, world, link, 3)
        await shown(pilot, "Once The quick⟨novel-01⟩The▌")
        await press(pilot, "play.model")
        await dialog(pilot, Choose)
        await pilot.press("escape")
        await page(pilot)
        assert len(link.requests(protocol.Load)) == 2

    open_play(tmp_path, story)


def test_a_player_that_was_given_up_comes_again_with_the_model_that_is_chosen(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World, link: FakeLink) -> None:
        await begin(pilot, world, link, "Once ", 9)
        link.say(Lost("It stopped 5 times in a row: choose another run or start it again.", final=True))
        await told(pilot, "It stopped 5 times in a row")
        await shown(pilot, "─ player lost ─")
        world.desk.new_session()
        await shown(pilot, "The player is gone. Choose a model (m) to start it again.")
        await press(pilot, "play.model")
        await dialog(pilot, Choose)
        await pilot.press("enter")
        await shown(pilot, "tales-03 @ step 1,000")
        await wait_for(pilot, lambda: world.desk.state == "ready")

    open_play(tmp_path, story)


def test_without_runs_the_list_says_how_to_get_one(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World, link: FakeLink) -> None:
        world.settings.set("ui.keys", {"app.corpus": "f5"})
        await press(pilot, "play.model")
        await dialog(pilot, Choose)
        await shown(pilot, "There are no runs yet: train one (f5, then t).")
        await pilot.press("escape")
        await page(pilot)

    open_play(tmp_path, story, run=None)


def test_the_newest_weights_of_what_trains_are_followed_or_not(tmp_path: Path, runs: Path) -> None:
    with ScriptedRun(runs, "live-01", created="2026-01-01T00:00:00Z") as live:
        live.steps(10)
        live.save()

        async def story(pilot: Pilot[int], world: World, link: FakeLink) -> None:
            text_of(pilot).focus()
            world.desk.use("tales-03")
            await shown(pilot, "tales-03 @ step 1,000 · val")
            await press(pilot, "play.follow")
            await told(pilot, "Writes with the newest weights of live-01 from now on.")
            await shown(pilot, "live-01 @ step 1,000 · follows the training")
            assert last(link, protocol.Follow) == protocol.Follow("live-01")
            await press(pilot, "play.follow")
            await told(pilot, "Follows no more: the best weights of live-01 write from now on.")
            assert last(link, protocol.Follow) == protocol.Follow(None)
            assert last(link, protocol.Load) == protocol.Load("live-01")
            await shown(pilot, "live-01 @ step 1,000 · val")
            live.finish()
            await wait_for(pilot, lambda: not world.is_live("live-01"))
            await press(pilot, "play.follow")
            await told(pilot, "No run is training at the moment")

        open_play(tmp_path, story)


def test_the_text_that_is_there_again_has_its_own_model_unless_another_run_was_asked_for(
    tmp_path: Path, runs: Path
) -> None:
    finished_run(runs, "novel-01", 4, created="2026-01-01T00:00:00Z")
    finished_run(runs, "tales-03", 4)

    async def write(pilot: Pilot[int], world: World, link: FakeLink) -> None:
        assert last(link, protocol.Load) == protocol.Load("tales-03")  # the newest
        world.desk.use("novel-01")
        await wait_for(pilot, lambda: world.desk.state == "ready")
        world.desk.set_knob("temperature", 1.35)
        await begin(pilot, world, link, "Once ", 9)

    async def again(pilot: Pilot[int], world: World, link: FakeLink) -> None:
        await shown(pilot, "novel-01 @ step 1,000", "│ Once The quick", "temperature 1.35")
        assert link.requests(protocol.Load) == [protocol.Load("novel-01")]

    open_play(tmp_path, write)
    open_play(tmp_path, again)
    world = scripted_world(tmp_path, link=(link := FakeLink()))
    world.chosen_run = "tales-03"  # as on the command line
    world.begin()
    assert last(link, protocol.Load) == protocol.Load("tales-03")
    asyncio.run(world.end())


def test_a_run_that_trains_for_the_first_time_is_followed_as_soon_as_somebody_looks(
    tmp_path: Path, runs: Path
) -> None:
    with ScriptedRun(runs, "live-01") as live:

        async def story(pilot: Pilot[int], world: World, link: FakeLink) -> None:
            await wait_for(pilot, lambda: world.desk.following == "live-01")
            await shown(pilot, "live-01 @ step 1,000 · follows the training")
            live.save()
            live.finish()
            await told(pilot, "The training of live-01 has ended: its best weights write from now on.")
            await shown(pilot, "live-01 @ step 1,000 · val")

        world = scripted_world(tmp_path)
        assert world.current_run == "live-01"
        link = FakeLink(per_take=0)
        world = scripted_world(tmp_path, link=link)
        shelf_rows, world.shelf._rows = world.shelf._rows, ()  # it begins while the playground is open

        async def tell(pilot: Pilot[int]) -> None:
            await shown(pilot, "There is no model yet.")
            world.shelf._rows = shelf_rows
            await story(pilot, world, link)

        drive(playground(world, "play"), tell)


def test_a_run_without_weights_is_not_gone_over_to(tmp_path: Path, runs: Path) -> None:
    with ScriptedRun(runs, "live-01", created="2026-01-01T00:00:00Z") as live:
        live.steps(10)

        async def story(pilot: Pilot[int], world: World, link: FakeLink) -> None:
            text_of(pilot).focus()
            world.desk.use("tales-03")
            await shown(pilot, "tales-03 @ step 1,000 · val")
            await press(pilot, "play.follow")
            await told(pilot, "live-01 has saved no weights yet")
            await press(pilot, "play.model")
            await dialog(pilot, Choose)
            await pilot.press(*"live", "enter")
            await told(pilot, "live-01 has saved no weights yet")
            await shown(pilot, "tales-03 @ step 1,000 · val")
            assert world.desk.state == "ready"

        live.status("training")
        open_play(tmp_path, story)


def test_only_the_newest_search_is_shown_and_nobody_is_followed_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gates = {wanted: threading.Event() for wanted in ("heron", "owl", "fox")}

    def search(history: History, wanted: str, **named: object) -> list[Kept]:
        gates[wanted].wait(20)
        return []

    monkeypatch.setattr(History, "search", search)

    async def look_for(pilot: Pilot[int], wanted: str) -> None:
        text_of(pilot).focus()
        await press(pilot, "play.search")
        await dialog(pilot, AskLine)
        await typed(pilot, wanted)
        await pilot.press("enter")
        await page(pilot)

    async def story(pilot: Pilot[int], world: World, link: FakeLink) -> None:
        await look_for(pilot, "heron")
        await look_for(pilot, "owl")
        gates["heron"].set()
        gates["owl"].set()
        await dialog(pilot, Choose)
        await shown(pilot, "No session holds 'owl'.")
        await pilot.press("escape")
        await page(pilot)
        await look_for(pilot, "fox")
        await pilot.press("4")
        await wait_for(pilot, lambda: pilot.app.current_mode == "runs")
        gates["fox"].set()
        await pilot.press("3")
        await wait_for(pilot, lambda: pilot.app.current_mode == "play")
        await press(pilot, "play.stop")  # which leaves the prompt
        await press(pilot, "play.search")  # several ticks later nothing but this has come
        await dialog(pilot, AskLine)

    open_play(tmp_path, story)


def test_saving_where_the_folder_is_gone_is_refused_in_a_sentence(tmp_path: Path, here: Path) -> None:
    async def story(pilot: Pilot[int], world: World, link: FakeLink) -> None:
        await begin(pilot, world, link, "Once ", 9)
        await stop(pilot, world)
        here.rmdir()
        for wanted in ("md:", "jsonl:"):
            await press(pilot, "play.export")
            await dialog(pilot, Choose)
            await pilot.press(*wanted, "enter")
            await told(pilot, "The folder you started from is gone")
            await page(pilot)

    open_play(tmp_path, story)


@pytest.mark.parametrize(
    ("entered", "stops", "shown_again"),
    [
        (r"\n You: a\sb", ("\n", "You:", "a b"), r"\n You: a\sb"),
        (r"\\n \t [/red] \q", (r"\n", "\t", "[/red]", r"\q"), "\\\\n \\t [/red] \\\\q"),
        ("  ", (), ""),
    ],
)
def test_stop_texts_end_an_answer_and_are_shown_as_they_were_entered(
    tmp_path: Path, entered: str, stops: tuple[str, ...], shown_again: str
) -> None:
    async def story(pilot: Pilot[int], world: World, link: FakeLink) -> None:
        text_of(pilot).focus()
        await press(pilot, "play.stops")
        await dialog(pilot, AskLine)
        await shown(pilot, "stop texts", "write \\n for a")
        await typed(pilot, entered)
        await pilot.press("enter")
        await page(pilot)
        assert world.desk.stops == stops
        world.desk.submit("Once ")
        assert last(link, protocol.Generate).stop == stops
        await press(pilot, "play.stops")
        await dialog(pilot, AskLine)
        assert pilot.app.screen.query_one(Input).value == shown_again
        await pilot.press("escape")
        await page(pilot)
        assert world.desk.stops == stops

    open_play(tmp_path, story)


def test_a_new_page_keeps_the_old_one_and_can_be_asked_for_while_a_prompt_is_typed(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World, link: FakeLink) -> None:
        await begin(pilot, world, link, "Once ", 9)
        await press(pilot, "play.prompt")
        await typed(pilot, "half a prom")
        await press(pilot, "play.new")
        await shown(pilot, "Type how a text begins", "│ half a prom")
        await wait_for(pilot, lambda: len(world.desk.history.sessions()) == 1)
        assert "Once The quick" not in screen_text(pilot.app)

    open_play(tmp_path, story)
