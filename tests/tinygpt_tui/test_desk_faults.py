"""What the desk does when the player dies, refuses, speaks too late or not at all, and when a person is faster than the player."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine import protocol as p
from engine.errors import UsageError
from tests.tinygpt_tui.desk_stage import TURNS, DeskStage
from tests.tinygpt_tui.fake_player import story
from tinygpt_tui.play.desk import Desk
from tinygpt_tui.play.hearing import NEWS_SECONDS, STOP_SECONDS
from tinygpt_tui.sources.player_link import Lost, Restarted

GONE = Lost("The player was killed.")


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


def text(start: int, chars: str, id: int = 2) -> p.Text:
    return p.Text(id, start, tuple(p.Char(c, 0.5, 0.5, 0) for c in chars), 0)


def paused(stage: DeskStage) -> None:
    begin(stage)
    stage.desk.pause_or_go_on()
    stage.tick()


def stopping(stage: DeskStage) -> None:
    begin(stage)
    silence(stage)
    stage.desk.stop()


def unconfirmed(stage: DeskStage) -> None:
    begin(stage)
    stage.desk.set_knob("temperature", 1.5)
    stage.desk.point_at(3)


def not_begun(stage: DeskStage) -> None:
    begin(stage)
    stage.writes(50)
    silence(stage)
    stage.desk.go_on()


def following(stage: DeskStage) -> None:
    stage.desk.use("fox", follow=True)
    begin(stage)


@pytest.mark.parametrize(
    "until", [lambda stage: None, begin, paused, stopping, unconfirmed, not_begun, following]
)
def test_whatever_was_going_on_a_lost_player_costs_no_character_and_the_new_one_is_used_without_another_click(
    stage: DeskStage, until: Callable[[DeskStage], None]
) -> None:
    desk = stage.desk
    until(stage)
    before, told = stage.text, stage.told()
    assert told == []
    stage.link.say(GONE)
    stage.tick()
    assert stage.text == before and desk.state == "lost"
    assert desk.pending == frozenset() and not desk.paused
    assert stage.told() == ["The player is gone: The player was killed. What it wrote is kept."]
    assert desk.session.leaf.reason == ("lost" if before else "typed")
    with pytest.raises(UsageError, match="is being loaded"):
        desk.go_on()
    stage.link.auto = True
    stage.link.say(Restarted())
    stage.tick()
    stage.tick()
    assert desk.state == "ready" and stage.told() == ["A new player is up."]
    assert desk.alternatives is not None  # what could come next is asked anew
    desk.go_on()
    stage.writes(5)
    assert stage.text == before + story(0, 5)
    assert stage.link.requests(p.Generate)[-1].sampler == desk.settings.to_json()


def test_what_the_player_said_before_it_died_is_heard_and_kept(stage: DeskStage) -> None:
    begin(stage)
    stage.link.write(7)
    stage.link.say(GONE)
    stage.tick()
    assert stage.text == "Once" + story(0, 17)
    stage.history.flush()
    stage.tick(1.0)
    stage.history.flush()
    [kept] = stage.history.sessions()
    assert kept.chars == 21


def test_whether_turns_are_taken_outlives_the_player(tmp_path: Path) -> None:
    stage = DeskStage(tmp_path, run="talk", turns=TURNS)
    stage.desk.set_chat(False)
    stage.link.say(GONE)
    stage.link.player.turns = TURNS
    stage.link.say(Restarted())
    stage.tick()
    assert stage.desk.state == "ready" and stage.desk.model is not None and stage.desk.model.turns == TURNS
    assert not stage.desk.chat
    stage.end()


def test_a_player_that_was_given_up_is_started_again_by_choosing_its_run_once_more(stage: DeskStage) -> None:
    desk = stage.desk
    begin(stage)
    stage.link.say(Lost("It stopped 5 times in a row.", final=True))
    stage.tick()
    assert (desk.state, stage.link.state, desk.loading) == ("lost", "down", False)
    with pytest.raises(UsageError, match="choose another model, or the same once more"):
        desk.go_on()
    starts = stage.link.starts
    desk.use("fox")
    stage.tick()
    assert stage.link.starts == starts + 1 and desk.state == "ready"
    desk.go_on()
    stage.writes(5)
    assert stage.text == "Once" + story(0, 10) + story(0, 5)


def test_an_action_that_waited_for_the_lost_player_is_done_if_it_needs_none(stage: DeskStage) -> None:
    begin(stage)
    silence(stage)
    stage.desk.undo()
    stage.link.say(GONE)
    stage.tick()
    assert stage.text == ""


def test_another_run_that_waited_for_the_lost_player_is_what_the_new_one_loads(stage: DeskStage) -> None:
    begin(stage)
    silence(stage)
    stage.desk.use("owl")
    stage.link.say(GONE)
    stage.tick()
    stage.link.auto = True
    stage.link.say(Restarted())
    stage.tick()
    assert stage.desk.model is not None and stage.desk.model.run == "owl" and stage.desk.state == "ready"


@pytest.mark.parametrize("act", ["reroll", "fork"])
def test_an_act_that_waited_for_the_lost_player_is_refused_in_a_sentence_and_leaves_no_half(
    stage: DeskStage, act: str
) -> None:
    desk = stage.desk
    begin(stage)
    silence(stage)
    {"reroll": desk.reroll, "fork": lambda: desk.fork(6, "X")}[act]()
    before, passages, seed = stage.text, len(desk.session.all), desk.seed
    stage.link.say(GONE)
    stage.tick()
    assert (stage.text, len(desk.session.all), desk.seed) == (before, passages, seed)
    assert stage.told()[-1] == "fox is being loaded: a moment." and desk.session.done == [0]


@pytest.mark.parametrize(
    ("send", "shown"),
    [
        (lambda desk: desk.submit("more"), "OnceThe quick \nmore"),
        (lambda desk: desk.edit(2, "ly"), "Only"),
        (lambda desk: (desk.submit("more"), desk.submit("and more")), "OnceThe quick \nmore\nand more"),
    ],
)
def test_a_typed_text_that_waited_for_the_lost_player_stands_on_the_page_and_is_gone_on_with_later(
    stage: DeskStage, send: Callable[[Desk], object], shown: str
) -> None:
    begin(stage)
    silence(stage)
    send(stage.desk)
    stage.link.say(GONE)
    stage.tick()
    assert stage.text == shown
    assert stage.told()[-1] == "Your text stands on the page: g goes on once there is a model."
    stage.link.auto = True
    stage.link.say(Restarted())
    stage.tick()
    stage.desk.go_on()
    assert stage.link.requests(p.Generate)[-1].text == shown
    stage.writes(3)
    assert stage.text == shown + story(0, 3)


def test_a_turn_that_waited_for_the_lost_player_is_still_a_turn(tmp_path: Path) -> None:
    stage = DeskStage(tmp_path, run="talk", turns=TURNS)
    begin(stage)
    silence(stage)
    stage.desk.submit("hi")
    stage.link.say(GONE)
    stage.tick()
    assert stage.text.endswith("\nYou:hi\nCat:")
    stage.end()


def test_deaths_and_returns_are_told_once_each_and_to_nobody_who_was_away(stage: DeskStage) -> None:
    for _ in range(6):
        stage.link.say(GONE)
        stage.tick()
        stage.link.say(Restarted())
        stage.tick()
    assert stage.told() == [
        "The player is gone: The player was killed. What it wrote is kept.",
        "A new player is up.",
    ]
    stage.link.say(GONE)
    stage.tick()
    stage.link.say(Restarted(), p.Error(None, "The disk is full."))
    stage.tick()
    stage.tick(NEWS_SECONDS + 1)
    assert stage.told() == ["The disk is full."]


def test_an_error_before_the_writing_began_ends_it_and_the_next_text_is_written(stage: DeskStage) -> None:
    desk = stage.desk
    silence(stage)
    desk.submit("Once")
    desk.set_knob("temperature", 1.5)
    stage.link.say(p.Error(2, "A text to stop at must have at least one character."), p.Error(2, "None."))
    stage.tick()
    assert desk.state == "ready" and stage.text == "Once" and desk.session.leaf.reason == "failed"
    assert stage.told() == ["A text to stop at must have at least one character."]
    assert desk.pending == frozenset() and not desk.stop()
    stage.link.auto = True
    desk.go_on()
    stage.writes(3)
    assert stage.text == "Once" + story(0, 3)


def test_a_setting_that_is_refused_in_mid_text_goes_back_and_the_text_goes_on(stage: DeskStage) -> None:
    desk = stage.desk
    begin(stage)
    silence(stage)
    desk.set_knob("top_k", 4)
    stage.link.say(p.Changed(2, 14, {"top_k": 4}, 1))
    stage.tick()
    desk.set_knob("temperature", 1.5)
    stage.link.say(p.Error(2, "No such temperature."), text(14, "abc"))
    stage.tick()
    assert stage.told() == ["No such temperature."] and desk.state == "writing"
    assert (desk.settings.temperature, desk.settings.top_k, desk.pending) == (0.8, 4, frozenset())
    assert stage.text == "Once" + story(0, 10) + "abc"


def test_a_text_that_fails_in_the_middle_ends_with_what_it_has(stage: DeskStage) -> None:
    begin(stage)
    silence(stage)
    stage.link.say(text(14, "ab"), p.Error(2, "The weights are damaged."), p.Done(2, "failed"))
    stage.tick()
    assert stage.text == "Once" + story(0, 10) + "ab" and stage.desk.state == "ready"
    assert stage.desk.session.leaf.reason == "failed" and stage.told() == ["The weights are damaged."]


@pytest.mark.parametrize("key", ["knob", "rate", "pause", "step", "stop"])
def test_a_key_pressed_while_the_text_ends_by_itself_is_no_error(stage: DeskStage, key: str) -> None:
    desk = stage.desk
    begin(stage)
    stage.link.write(50)  # it ends; that is on its way
    {
        "knob": lambda: desk.set_knob("temperature", 1.5), "rate": lambda: desk.set_rate(5.0),
        "pause": desk.pause_or_go_on, "step": desk.step, "stop": desk.stop,
    }[key]()  # fmt: skip
    stage.tick()
    stage.tick()
    assert stage.told() == [] and desk.state == "ready" and desk.pending == frozenset()
    assert desk.settings.temperature == (1.5 if key == "knob" else 0.8)
    assert stage.text == "Once" + story(0, 60)


def test_what_still_comes_of_an_older_text_changes_nothing(stage: DeskStage) -> None:
    desk = stage.desk
    begin(stage)
    desk.stop()
    stage.tick()
    desk.go_on()
    stage.writes(3)
    new = stage.link.requests(p.Generate)[-1].id
    shown, before = desk.alternatives, stage.text
    silence(stage)
    stage.link.say(
        p.Started(2, 4, {}), text(14, "late"), p.Dist(2, 17, (p.Symbol("e", 1.0, 1.0),)),
        p.Changed(2, 17, {"temperature": 0.1}, 5), p.Done(2, "max"),
    )  # fmt: skip
    stage.tick()
    assert (stage.text, desk.state, desk.alternatives) == (before, "writing", shown)
    assert desk.session.leaf.changes == []
    stage.link.say(text(17, "!", new))
    stage.tick()
    assert stage.text == before + "!"


def test_a_player_that_does_not_say_that_it_stopped_is_not_waited_for_for_ever(stage: DeskStage) -> None:
    desk = stage.desk
    stopping(stage)
    stage.tick(STOP_SECONDS * 0.9)
    assert desk.state == "writing" and stage.told() == []
    stage.link.say(text(14, "ab"))  # what comes by then is taken
    stage.tick(STOP_SECONDS * 0.2)
    assert desk.state == "ready" and stage.text == "Once" + story(0, 10) + "ab"
    assert len(stage.told()) == 1 and desk.session.leaf.reason == "stopped"
    stage.link.say(text(16, "cd"), p.Done(2, "stopped"))
    stage.tick()
    assert stage.text == "Once" + story(0, 10) + "ab"
    desk.undo()
    assert stage.text == ""


def test_what_waited_for_such_a_player_is_done(stage: DeskStage) -> None:
    begin(stage)
    silence(stage)
    stage.desk.undo()
    stage.tick(STOP_SECONDS / 2)
    assert stage.text == "Once" + story(0, 10)
    stage.tick(STOP_SECONDS)
    assert stage.text == ""


def test_a_stop_that_was_refused_can_be_asked_for_again(stage: DeskStage) -> None:
    stopping(stage)
    stage.link.say(p.Error(2, "The player does not listen at the moment."))
    stage.tick()
    assert stage.desk.stop()
    assert stage.link.requests(p.Stop) == [p.Stop(2), p.Stop(2)]


def test_an_action_is_done_when_everything_that_is_being_written_was_heard(stage: DeskStage) -> None:
    desk = stage.desk
    begin(stage)
    stage.link.write(5)
    desk.fork(4, "X")
    assert stage.text == "Once" + story(0, 10)
    stage.tick()
    stage.writes(3)
    assert stage.text == "OnceX" + story(0, 3)
    desk.stop()
    stage.tick()
    desk.switch_branch(1)
    assert stage.text == "Once" + story(0, 15)


def test_of_several_actions_only_the_last_is_done_and_escape_takes_that_back(stage: DeskStage) -> None:
    desk = stage.desk
    begin(stage)
    desk.reroll()
    desk.undo()
    stage.tick()
    assert stage.text == "" and len(stage.link.requests(p.Generate)) == 1
    desk.redo()
    desk.go_on()
    stage.writes(2)
    desk.undo()
    desk.stop()
    stage.tick()
    assert stage.text == "Once" + story(0, 10) + story(0, 2) and desk.state == "ready"


def test_no_text_that_was_typed_gets_lost_whatever_is_done_before_the_player_has_stopped(
    stage: DeskStage,
) -> None:
    desk = stage.desk
    begin(stage)
    desk.submit("one")
    desk.submit("two")
    stage.tick()
    both = "Once" + story(0, 10) + "\none\ntwo"
    assert (stage.text, desk.state) == (both, "writing") and len(stage.link.requests(p.Generate)) == 2
    stage.writes(2)
    desk.submit("three")
    desk.stop()
    stage.tick()
    both += story(0, 2) + "\nthree"
    assert (stage.text, desk.state) == (both, "ready") and len(stage.link.requests(p.Generate)) == 2
    desk.go_on()
    stage.writes(1)
    desk.submit("four")
    desk.undo()  # what is taken back is what was typed last
    stage.tick()
    assert stage.text == both + story(0, 1) and desk.session.redo() and stage.text.endswith("\nfour")
    desk.go_on()
    stage.writes(1)
    desk.submit("five")
    desk.new_session()
    stage.tick()
    assert stage.text == ""
    stage.history.flush()
    desk.open_session(stage.history.sessions()[-1].id)
    assert stage.text.endswith("\nfive")


def test_other_dice_take_no_waiting_action_away_but_are_what_it_is_written_with(stage: DeskStage) -> None:
    begin(stage)
    stage.desk.submit("more")
    stage.desk.set_seed(7)
    stage.tick()
    last = stage.link.requests(p.Generate)[-1]
    assert stage.text.endswith("\nmore") and (last.text, last.seed) == (stage.text, 7)


def test_a_history_that_was_damaged_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "history.sqlite").write_bytes(b"no database at all" * 100)
    stage = DeskStage(tmp_path)
    [told] = stage.told()
    assert "was damaged" in told and "moved to" in told
    stage.tick(1.0)
    assert stage.told() == []
    stage.end()


def test_why_nothing_is_kept_is_told_once_and_the_text_goes_on(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "history.sqlite") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    stage = DeskStage(tmp_path)
    [told] = stage.told()
    assert "later version" in told
    begin(stage)
    stage.tick(1.0)
    assert stage.told() == [] and stage.text == "Once" + story(0, 10)
    stage.end()


def test_another_problem_of_the_history_is_told_again(stage: DeskStage) -> None:
    begin(stage)
    for problem, told in (
        ("The disk is full.", 1), ("The disk is full.", 0), ("", 0), ("The disk is full.", 1), ("It is gone.", 1),
    ):  # fmt: skip
        stage.history.problem = problem
        assert len(stage.noticing(lambda: None)) == told


@pytest.mark.parametrize("said", [(), (p.Done(2, "closed"),)])
def test_leaving_in_mid_text_keeps_what_was_typed_and_writes_nothing_more(
    stage: DeskStage, said: tuple[p.Done, ...]
) -> None:
    begin(stage)
    silence(stage)
    stage.desk.submit("more")
    stage.link.say(text(14, "ab"), *said)
    stage.end()
    assert stage.text == "Once" + story(0, 10) + "ab\nmore" and len(stage.link.requests(p.Generate)) == 1
    assert stage.link.closes == 1
