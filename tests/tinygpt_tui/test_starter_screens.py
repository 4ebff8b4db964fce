"""The built-in starter in the playground: there at the first launch, told apart from runs, and behind the first run of a person's own."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from engine import protocol, starter
from engine.player_process import RunLibrary
from engine.runs import RunFolder
from tests.tinygpt_tui.desk_stage import DeskStage
from tests.tinygpt_tui.driving import check_text, drive, press, screen_text, wait_for
from tests.tinygpt_tui.fake_player import FakeLink
from tests.tinygpt_tui.play_stage import TURNS, last, open_play, shown, told
from tests.tinygpt_tui.scripted_run import ScriptedRun, built_in_starter, finished_run
from tests.tinygpt_tui.scripted_world import playground, scripted_world
from tinygpt_tui import playground as command
from tinygpt_tui.screens.play_view import alphabet
from tinygpt_tui.screens.runs import RunTable
from tinygpt_tui.widgets.prompt import Prompt
from tinygpt_tui.world import World


@pytest.fixture(autouse=True)
def built_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A starter, as far as the playground looks at it."""
    folder = built_in_starter(tmp_path)
    monkeypatch.setattr(starter, "FOLDER", folder)
    return folder


def runs(home: Path) -> Path:
    return home / "data" / "runs"


async def looked_round(pilot: Pilot[int]) -> None:
    """The program has looked round some times more, so that what it would do now is done."""
    app: Any = pilot.app
    for _ in range(5):
        app._tick()
        await pilot.pause()


def test_the_first_launch_can_play_at_once(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World, link: FakeLink) -> None:
        await shown(pilot, "─ starter (built in) @ step 1,000", "Type how a tale begins", "Esc, then c")
        assert isinstance(pilot.app.focused, Prompt)
        await pilot.press("enter")  # nobody has begun a tale, so one is begun
        asked = last(link, protocol.Generate)
        assert (asked.text, asked.stop) == (starter.OPENING, ())
        assert world.desk.session.text() == starter.OPENING
        link.write(8)
        await shown(pilot, f"│ {starter.OPENING}")

    open_play(tmp_path, story, run=None, turns=TURNS)


def test_and_talk(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World, link: FakeLink) -> None:
        await shown(pilot, "Type how a tale begins")
        await pilot.press("escape")
        await press(pilot, "play.chat")
        await shown(pilot, "Say something to Pip", "your turn, You: what do you say?")
        await press(pilot, "play.prompt")
        await pilot.press(*"hello", "enter")
        asked = last(link, protocol.Generate)
        assert (asked.text, asked.stop) == ("You: hello\nPip: ", ("\n",))

    open_play(tmp_path, story, run=None, turns=TURNS)


def test_another_model_that_talks_still_begins_in_conversation(tmp_path: Path) -> None:
    stage = DeskStage(tmp_path, turns=TURNS)
    assert stage.desk.chat
    stage.desk.use("starter")
    stage.tick()
    assert not stage.desk.chat
    stage.end()


def test_an_empty_prompt_behind_a_text_begins_nothing_anew(tmp_path: Path) -> None:
    stage = DeskStage(tmp_path, run="starter", turns=TURNS)
    stage.desk.submit("A fox")
    stage.writes(60)
    before = stage.text
    stage.desk.go_on()
    assert stage.text == before and starter.OPENING not in before
    stage.end()


def test_a_run_of_ones_own_is_what_play_begins_with(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World, link: FakeLink) -> None:
        await shown(pilot, "tales-03 @ step")
        assert [load.run for load in link.requests(protocol.Load)] == ["tales-03"]

    open_play(tmp_path, story)


def test_the_next_launch_begins_with_ones_own_although_the_starter_wrote_last(tmp_path: Path) -> None:
    async def first(pilot: Pilot[int], world: World, link: FakeLink) -> None:
        await shown(pilot, "Type how a tale begins")
        await pilot.press(*"A fox", "enter")
        link.write(5)
        await shown(pilot, "A foxThe q")

    async def second(pilot: Pilot[int], world: World, link: FakeLink) -> None:
        await shown(pilot, "tales-03 @ step", "A fox")

    open_play(tmp_path, first, run=None)
    open_play(tmp_path, second)


def test_the_first_weights_of_ones_own_take_an_empty_page_over(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World, link: FakeLink) -> None:
        await shown(pilot, "starter (built in) @ step")
        with ScriptedRun(runs(tmp_path), "mine") as run:
            await wait_for(pilot, lambda: world.shelf.row("mine"))
            await looked_round(pilot)
            assert world.desk.run == "starter"  # there is nothing to write with yet
            run.steps(5)
            run.look()
            await shown(pilot, "mine @ step", "follows the training")
            world.desk.use("starter")  # who wants it back keeps it
            await shown(pilot, "starter (built in) @ step")
            await looked_round(pilot)
            assert world.desk.run == "starter"

    open_play(tmp_path, story, run=None)


def test_whoever_is_in_the_middle_of_a_text_is_only_told(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World, link: FakeLink) -> None:
        await shown(pilot, "Type how a tale begins")
        await pilot.press(*"A fox", "enter")
        link.write(5)
        finished_run(runs(tmp_path), "mine", 4)
        await told(pilot, "mine has weights by now: m lets it write instead of the starter.")
        await looked_round(pilot)
        assert world.desk.run == "starter" and not pilot.app._notifications

    open_play(tmp_path, story, run=None)


def test_welcome_leads_to_it(tmp_path: Path) -> None:
    world = scripted_world(tmp_path)

    async def story(pilot: Pilot[int]) -> None:
        await shown(pilot, "p      play and talk with a small built-in GPT", "enter  train a small GPT")
        await press(pilot, "welcome.play")
        await shown(pilot, "─ starter (built in)", "Type how a tale")

    assert command._first_mode(world, None) == "welcome"
    drive(playground(world, "welcome"), story, (60, 16))


def test_it_can_be_asked_for_by_name(tmp_path: Path) -> None:
    finished_run(runs(tmp_path), "mine", 4)
    world = scripted_world(tmp_path)
    assert command._first_mode(world, "starter") == "play"

    async def story(pilot: Pilot[int]) -> None:
        await shown(pilot, "starter (built in) @ step")
        assert world.current_run == "mine"  # for every other mode

    drive(playground(world, "play"), story)


def test_runs_shows_it_last_and_apart_and_nothing_can_be_changed_about_it(
    tmp_path: Path, built_in: Path
) -> None:
    finished_run(runs(tmp_path), "mine", 4)
    before = {path: path.read_bytes() for path in built_in.rglob("*") if path.is_file()}
    world = scripted_world(tmp_path)

    async def story(pilot: Pilot[int]) -> None:
        await shown(pilot, "starter (built in)", "─ 1 · 0 training ─")
        table = pilot.app.screen.query_one(RunTable)
        assert [str(table.get_row_at(row)[1]) for row in range(table.row_count)] == [
            "mine",
            "starter (built in)",
        ]
        await pilot.press("end")
        await shown(pilot, "it came with tinygpt", "learned tales-and-talk")
        for action in ("resume", "mark", "rename", "note", "delete", "export"):
            await press(pilot, f"runs.{action}")
            await told(pilot, "The starter is built in")
        assert {path: path.read_bytes() for path in built_in.rglob("*") if path.is_file()} == before
        await press(pilot, "runs.open")
        await wait_for(pilot, lambda: pilot.app.current_mode == "play")
        await shown(pilot, "starter (built in) @ step")

    drive(playground(world, "runs"), story)


@pytest.mark.parametrize("size", [(80, 24), (60, 16)])
def test_runs_offers_it_where_there_is_no_run_yet(tmp_path: Path, size: tuple[int, int]) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await shown(pilot, "starter (built", "There is no run of your own yet.")
        await press(pilot, "runs.play")
        await shown(pilot, "─ starter (built in)")

    drive(playground(scripted_world(tmp_path), "runs"), story, size)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
def test_play_at_the_first_launch_looks_as_stored(tmp_path: Path, size: tuple[int, int]) -> None:
    async def story(pilot: Pilot[int], world: World, link: FakeLink) -> None:
        await shown(pilot, "Type how a tale begins")
        await check_text(pilot, f"play-starter-{size[0]}x{size[1]}")

    open_play(tmp_path, story, size, run=None, turns=TURNS)


def test_it_is_among_the_models_to_choose(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World, link: FakeLink) -> None:
        await shown(pilot, "tales-03 @ step")
        await pilot.press("escape")
        await press(pilot, "play.model")
        await shown(pilot, "starter (built in)")
        await pilot.press("down", "enter")
        await shown(pilot, "─ starter (built in) @ step")

    open_play(tmp_path, story)


def test_training_shows_nothing_of_it(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await shown(pilot, "There is no run yet")
        assert "starter" not in screen_text(pilot.app)

    drive(playground(scripted_world(tmp_path), "train"), story)


def test_a_persons_own_run_of_that_name_hides_it(tmp_path: Path, built_in: Path) -> None:
    own = finished_run(runs(tmp_path), "mine", 4).folder.path
    own.rename(own.with_name("starter"))
    world = scripted_world(tmp_path)
    assert world.shelf.built_in is None and world.run_names() == ["starter"]
    row = world.shelf.row("starter")
    assert row is not None and not row.built_in and row.path == own.with_name("starter")
    library = RunLibrary(runs(tmp_path))
    assert library.newest("starter") == 4
    shutil.rmtree(own.with_name("starter"))
    assert library.newest("starter") == 40 and not library.is_training("starter")


def test_in_play_too_such_a_run_is_a_persons_own(tmp_path: Path) -> None:
    own = finished_run(runs(tmp_path), "mine", 4, turns=TURNS).folder.path
    own.rename(own.with_name("starter"))

    async def story(pilot: Pilot[int], world: World, link: FakeLink) -> None:
        await shown(pilot, "Type how a text begins")
        assert world.desk.run == "starter" and world.desk.chat
        assert "built in" not in screen_text(pilot.app)
        world.desk.set_chat(False)
        world.desk.submit("")
        await pilot.pause()
        assert last(link, protocol.Generate).text == ""

    open_play(tmp_path, story, run="starter", turns=TURNS)


def test_the_player_and_the_prompt_know_where_it_lies(tmp_path: Path, built_in: Path) -> None:
    assert RunLibrary(runs(tmp_path))._folder("starter") == RunFolder(built_in)
    knows, _ = alphabet(runs(tmp_path), "starter")
    assert knows is not None and knows("a") and not knows("€")
    assert {path.name for path in built_in.iterdir()} == {
        "run.json",
        "tokenizer.json",
        "status.json",
        "checkpoints",
    }


def test_a_damaged_one_is_said_to_be_and_breaks_nothing(tmp_path: Path, built_in: Path) -> None:
    (built_in / "run.json").write_text("{")

    async def story(pilot: Pilot[int]) -> None:
        await shown(pilot, "damaged")

    drive(playground(scripted_world(tmp_path), "runs"), story)
