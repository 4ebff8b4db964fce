"""Which model the desk writes with: none, another one, one that cannot be loaded, and the newest weights of one that trains."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import protocol as p
from engine.errors import UsageError
from tests.tinygpt_tui.desk_stage import DeskStage
from tests.tinygpt_tui.fake_player import FakeLink
from tests.tinygpt_tui.scripted_run import finished_run
from tests.tinygpt_tui.scripted_world import scripted_world
from tinygpt_tui.play.session import Mark
from tinygpt_tui.sources.run_shelf import RunShelf


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[DeskStage]:
    made = DeskStage(tmp_path)
    yield made
    made.end()


def begin(stage: DeskStage) -> None:
    """A text that is being written, ten characters of it."""
    stage.desk.submit("Once")
    stage.writes(10)


def silence(stage: DeskStage) -> None:
    """From now on the player says only what a test lets it say."""
    stage.link.auto = False


def test_newer_weights_of_a_followed_run_are_marked_where_they_begin_to_count(stage: DeskStage) -> None:
    desk = stage.desk
    desk.use("fox", follow=True)
    assert stage.link.sent[-1] == p.Follow("fox") and desk.following == "fox"
    assert desk.model is not None and (desk.model.step, desk.model.val_loss) == (1000, 1.5)
    begin(stage)
    stage.link.say(*stage.link.player.advance(1200))
    stage.writes(5)
    assert desk.session.marks() == [Mark(14, "step 1,200")]
    assert (desk.model.step, desk.model.val_loss) == (1200, None)  # 1.5 was measured with the old ones
    desk.stop()
    stage.tick()
    asked = len(stage.link.requests(p.Explain))
    stage.link.say(*stage.link.player.advance(1400))
    stage.tick()
    assert desk.model.step == 1400 and len(stage.link.requests(p.Explain)) == asked + 1
    desk.use("fox")
    assert stage.link.sent[-2:] == [p.Follow(None), p.Load("fox")] and desk.following is None


def test_another_run_ends_the_text_and_writes_on_from_it(stage: DeskStage) -> None:
    desk = stage.desk
    begin(stage)
    desk.use("owl")
    stage.tick()
    assert stage.link.sent[-1] == p.Load("owl") and (desk.run, desk.state) == ("owl", "loading")
    with pytest.raises(UsageError, match="owl is being loaded"):
        desk.go_on()
    stage.tick()
    assert desk.state == "ready"
    desk.go_on()
    stage.writes(5)
    assert desk.session.marks() == [Mark(14, "owl")]
    sent = len(stage.link.sent)
    desk.use("owl")
    assert len(stage.link.sent) == sent  # it writes with that one already


def test_without_a_model_every_act_says_what_to_do(tmp_path: Path) -> None:
    stage = DeskStage(tmp_path, run=None)
    desk = stage.desk
    assert (desk.state, desk.context, desk.alternatives) == ("empty", None, None)
    for act in (
        lambda: desk.submit("x"), desk.go_on, desk.step, desk.pause_or_go_on, desk.reroll,
        lambda: desk.fork(0, "x"), lambda: desk.edit(0, "x"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match="train one first"):
            act()
    desk.set_knob("temperature", 0.3)
    desk.set_seed(9)
    assert stage.text == "" and stage.link.sent == [] and desk.settings.temperature == 0.3
    stage.end()


def test_characters_that_the_model_reads_otherwise_are_told(stage: DeskStage) -> None:
    silence(stage)
    stage.desk.submit("Às ß")
    replaced = (p.Replaced(0, "À", "A"), p.Replaced(3, "ß", ""))
    stage.link.say(p.Started(2, 3, {}, replaced))
    stage.tick()
    [told] = stage.told()
    assert "'À' as 'A'" in told and "'ß' left out" in told and "more" not in told
    stage.link.say(p.Done(2, "max"))
    stage.tick()
    stage.desk.go_on()
    many = tuple(p.Replaced(i, "é", "e") for i in range(1005))
    stage.link.say(p.Started(stage.link.requests(p.Generate)[-1].id, 3, {}, many))
    stage.tick()
    [told] = stage.told()
    assert told.count("'é'") == 5 and "1,000 more" in told


def test_a_run_that_cannot_be_loaded_says_why_and_the_model_that_was_loaded_is_back(stage: DeskStage) -> None:
    desk = stage.desk
    desk.use("missing")
    desk.use("missing-too")
    stage.tick()
    assert stage.told() == ["There is no run called missing.", "There is no run called missing-too."]
    stage.tick()
    assert desk.state == "ready" and desk.run == "fox"
    desk.go_on()


def test_a_first_run_that_cannot_be_loaded_can_be_chosen_again(tmp_path: Path) -> None:
    stage = DeskStage(tmp_path, run=None)
    desk = stage.desk
    desk.use("missing")
    stage.tick()
    assert stage.told() == ["There is no run called missing."] and desk.state == "empty"
    with pytest.raises(UsageError, match="missing is not loaded: choose another model"):
        desk.go_on()
    loads = len(stage.link.requests(p.Load))
    desk.use("missing")
    assert len(stage.link.requests(p.Load)) == loads + 1 and desk.state == "loading"
    stage.tick()
    desk.use("fox")
    stage.tick()
    assert desk.state == "ready"
    stage.end()


def test_a_run_without_weights_is_refused_rather_than_the_model_given_up_for_it(stage: DeskStage) -> None:
    desk = stage.desk
    desk.has_weights = lambda run: run != "young"
    before = len(stage.link.sent)
    with pytest.raises(UsageError, match=r"young has saved no weights yet.*Play stays with fox"):
        desk.use("young", follow=True)
    assert (desk.run, desk.state, len(stage.link.sent)) == ("fox", "ready", before)


def test_a_run_is_followed_no_longer_than_it_trains_and_then_its_best_weights_write(stage: DeskStage) -> None:
    desk, live = stage.desk, True
    desk.is_live = lambda run: live
    desk.use("fox", follow=True)
    stage.tick(1.0)
    assert desk.following == "fox"
    begin(stage)
    live = False
    stage.tick(1.0)
    assert desk.following is None and stage.link.sent[-1] == p.Follow(None)
    assert desk.state == "writing" and stage.told() == []  # nothing is interrupted for that
    stage.writes(50)
    stage.tick()
    assert p.Load("fox") in stage.link.sent[-3:]
    assert stage.told() == ["The training of fox has ended: its best weights write from now on."]
    stage.tick()
    assert desk.state == "ready"


def test_a_followed_run_that_ends_without_weights_is_waited_for_no_longer(tmp_path: Path) -> None:
    stage = DeskStage(tmp_path, run=None, auto=False)
    desk = stage.desk
    desk.has_weights = lambda run: False
    desk.use("young", follow=True)
    stage.tick(1.0)
    assert desk.state == "loading"
    desk.is_live = lambda run: False
    stage.tick(1.0)
    assert (desk.state, desk.following) == ("empty", None)
    assert stage.told() == ["young ended without having saved any weights: choose another model (m)."]
    stage.tick(1.0)
    assert stage.told() == []
    stage.end()


def test_a_followed_run_without_a_sound_checkpoint_is_waited_for(tmp_path: Path) -> None:
    stage = DeskStage(tmp_path, run=None, auto=False)
    desk = stage.desk
    desk.has_weights = lambda run: False
    desk.use("young", follow=True)
    stage.link.say(p.Error(9, "Nobody asked."))  # it is up
    stage.tick()
    assert stage.link.sent[-1] == p.Follow("young")
    with pytest.raises(UsageError, match="young has saved no weights yet: the first come after some"):
        desk.go_on()
    stage.link.say(p.Error(None, "The checkpoint of step 10 is damaged."))
    stage.tick()
    assert desk.state == "loading" and stage.told() == ["The checkpoint of step 10 is damaged."]
    stage.link.say(p.Ready("young", 20, "llama", 1, 9, 64, skipped=("Skipped the checkpoint of step 10.",)))
    stage.tick()
    assert desk.state == "ready" and stage.told() == ["Skipped the checkpoint of step 10."]
    stage.end()


def test_a_model_that_was_left_before_it_was_loaded_is_not_taken_for_the_one_asked_for(
    stage: DeskStage,
) -> None:
    desk = stage.desk
    silence(stage)
    desk.use("owl")
    desk.use("hen")
    stage.link.say(p.Ready("owl", 1, "llama", 1, 9, 64))
    stage.tick()
    assert desk.state == "loading" and desk.model is None
    stage.link.say(p.Ready("hen", 2, "llama", 1, 9, 64))
    stage.tick()
    assert desk.state == "ready" and desk.model is not None and desk.model.run == "hen"


def reopened(tmp_path: Path, has_weights: bool = True) -> DeskStage:
    """A stage like one that was left with a text of the run "owl" at temperature 1.35."""
    stage = DeskStage(tmp_path, run="owl")
    stage.desk.set_knob("top_k", 9)
    begin(stage)
    stage.desk.set_knob("temperature", 1.35)
    stage.writes(5)
    stage.end()
    return DeskStage(tmp_path, run=None, has_weights=has_weights)


def test_a_text_that_is_there_again_has_its_model_and_its_knobs(tmp_path: Path) -> None:
    stage = reopened(tmp_path)
    desk = stage.desk
    stage.tick()
    assert desk.model is not None and desk.model.run == "owl"
    assert (desk.settings.temperature, desk.settings.top_k) == (1.35, 9)
    desk.use("fox")
    stage.tick()
    desk.new_session()
    desk.set_knob("temperature", 0.5)
    begin(stage)
    desk.open_session(1)
    stage.tick()
    stage.tick()
    assert stage.text.startswith("Once") and desk.settings.temperature == 1.35
    assert desk.model is not None and desk.model.run == "owl"
    stage.end()


def test_a_text_whose_model_is_gone_asks_for_none(tmp_path: Path) -> None:
    stage = reopened(tmp_path, has_weights=False)
    assert stage.desk.run is None and stage.desk.settings.temperature == 1.35
    assert stage.link.requests(p.Load) == []
    stage.end()


def test_the_run_that_wrote_last_writes_again_however_many_are_newer(tmp_path: Path) -> None:
    for at, name in enumerate(("oldest", "newest"), 1):
        folder = finished_run(tmp_path / "data" / "runs", name, 4).folder.path
        os.utime(folder, (1000.0 * at, 1000.0 * at))
    link = FakeLink(per_take=0)
    world = scripted_world(tmp_path, link=link)
    world.begin()
    world.desk.use("oldest")
    world.desk.tick(0.0)
    world.desk.submit("Once")
    link.write(5)
    world.desk.tick(1.0)
    asyncio.run(world.end())

    world = scripted_world(tmp_path)
    world.shelf = RunShelf(world.paths.runs_dir, world.paths.trash)
    world.shelf.scan(0.0)  # as before the first frame, when there is time for only a few
    assert world.run_names() == ["newest"]
    world.begin()
    assert world.desk.run == "oldest"
    asyncio.run(world.end())
