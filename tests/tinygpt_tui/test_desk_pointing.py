"""What the desk shows where somebody points, whatever comes late, and which page it has open."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import protocol as p
from engine.errors import UsageError
from tests.tinygpt_tui.desk_stage import DeskStage
from tests.tinygpt_tui.fake_player import story
from tinygpt_tui.play.hearing import MAX_SENT_CHARS


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[DeskStage]:
    made = DeskStage(tmp_path)
    yield made
    made.end()


@pytest.fixture
def silent(stage: DeskStage) -> DeskStage:
    """With a text of 64 characters, and a player that from now on says only what a test lets it say."""
    written(stage)
    stage.link.auto = False
    return stage


def written(stage: DeskStage, prompt: str = "Once") -> None:
    stage.desk.submit(prompt)
    stage.writes(60)
    stage.tick()  # what could come next is known


def asked(stage: DeskStage) -> list[p.Explain]:
    return stage.link.requests(p.Explain)


def answer(stage: DeskStage, question: p.Explain, symbol: str) -> None:
    """The player explains a place, where only one symbol could stand."""
    c = question.text[question.at : question.at + 1] or None
    stage.link.say(p.Explained(question.id, question.at, question.at, c, (p.Symbol(symbol, 1.0, 1.0),)))
    stage.tick()


def shown(stage: DeskStage) -> tuple[int | None, str | None, str] | None:
    """The place whose alternatives are shown, what stands there, and the likeliest of them."""
    found = stage.desk.alternatives
    return (found.at, found.chosen, found.symbols[0].c) if found else None


def test_pointing_shows_what_else_could_stand_there_under_the_settings_of_that_moment(
    stage: DeskStage,
) -> None:
    desk = stage.desk
    desk.submit("Once")
    stage.writes(10)
    desk.set_knob("top_k", 3)
    stage.tick()
    stage.writes(50)
    stage.tick()
    for at, top_k in ((5, 0), (13, 0), (14, 3), (20, 3)):
        desk.point_at(at)
        assert desk.pointing == at
        assert (asked(stage)[-1].at, asked(stage)[-1].text) == (at, stage.text[: at + 1])
        assert asked(stage)[-1].sampler["top_k"] == top_k
        stage.tick()
        assert desk.alternatives is not None
        assert (desk.alternatives.at, desk.alternatives.chosen) == (at, stage.text[at])
        assert len(desk.alternatives.stages) == (top_k > 0)


def test_a_knob_that_is_turned_shows_there_what_it_would_have_done(stage: DeskStage) -> None:
    written(stage)
    stage.desk.point_at(9)
    stage.tick()
    stage.desk.set_knob("temperature", 0.0)
    stage.tick()
    found = stage.desk.alternatives
    assert asked(stage)[-1].at == 9 and found is not None and found.at == 9
    assert max(symbol.final for symbol in found.symbols) == 1.0
    stage.desk.point_at(10)
    assert asked(stage)[-1].sampler["temperature"] == 0.8  # as it was drawn, until a knob is turned


def test_pointing_outside_of_the_text_means_the_character_to_come(stage: DeskStage) -> None:
    written(stage)
    stage.desk.point_at(7)
    for at in (64, -1, None):
        stage.desk.point_at(at)
        stage.tick()
        stage.tick()
        assert stage.desk.pointing is None and asked(stage)[-1].at == 64
        assert stage.desk.alternatives is not None and stage.desk.alternatives.at is None


def test_while_one_question_is_open_only_the_last_of_the_others_is_asked(silent: DeskStage) -> None:
    before = len(asked(silent))
    for at in (5, 6, 7):
        silent.desk.point_at(at)
    assert [one.at for one in asked(silent)[before:]] == [5]
    answer(silent, asked(silent)[-1], "!")
    assert [one.at for one in asked(silent)[before:]] == [5, 7]
    assert shown(silent) != (5, " ", "!")
    answer(silent, asked(silent)[-1], "?")
    assert shown(silent) == (7, silent.text[7], "?")
    assert len(asked(silent)) == before + 2


def test_the_answer_for_a_text_that_is_no_longer_shown_is_not_shown(silent: DeskStage) -> None:
    desk = silent.desk
    desk.point_at(3)
    question = asked(silent)[-1]
    desk.undo()  # the end of the text is another, and so is what could come there
    desk.redo()
    desk.point_at(3)
    before = shown(silent)
    answer(silent, question, "!")
    assert shown(silent) == before
    answer(silent, asked(silent)[-1], "?")
    assert shown(silent) == (3, "e", "?")


def test_an_answer_that_nobody_waits_for_is_passed_over(silent: DeskStage) -> None:
    silent.desk.point_at(3)
    question = asked(silent)[-1]
    before = shown(silent)
    silent.link.say(p.Explained(question.id + 7, 3, 3, "e", (p.Symbol("!", 1.0, 1.0),)))
    silent.tick()
    assert shown(silent) == before
    answer(silent, question, "?")
    answer(silent, question, "!")  # twice
    assert shown(silent) == (3, "e", "?")


def test_the_answer_of_a_model_that_was_left_is_not_shown(silent: DeskStage) -> None:
    silent.desk.point_at(3)
    silent.desk.use("owl")
    answer(silent, asked(silent)[-1], "!")
    assert silent.desk.alternatives is None


def test_a_question_that_cannot_be_answered_leaves_nothing_and_the_next_one_is_asked(
    silent: DeskStage,
) -> None:
    silent.desk.point_at(5)
    question = asked(silent)[-1]
    silent.desk.point_at(6)
    silent.link.say(p.Error(question.id, "The weights are damaged."))
    silent.tick()
    assert silent.told() == ["The weights are damaged."] and silent.desk.alternatives is None
    assert asked(silent)[-1].at == 6
    answer(silent, asked(silent)[-1], "?")
    assert shown(silent) == (6, silent.text[6], "?")


def test_pointing_in_mid_text_shows_that_place_until_somebody_looks_at_the_next_character_again(
    stage: DeskStage,
) -> None:
    desk = stage.desk
    desk.submit("Once")
    stage.writes(10)
    assert desk.alternatives is not None and desk.alternatives.at == 13
    desk.point_at(5)
    stage.tick()
    stage.writes(10)
    assert desk.alternatives.at == 5  # what is written meanwhile does not take its place
    desk.pause_or_go_on()
    stage.tick()
    before = desk.version
    desk.point_at(None)
    stage.tick()
    assert desk.version != before and desk.alternatives is not None
    assert desk.alternatives.at is None and story(20, 1) in [one.c for one in desk.alternatives.symbols[:3]]
    desk.go_on()
    stage.tick()
    assert desk.pointing is None


def test_a_question_about_a_long_text_sends_no_more_than_the_player_reads(stage: DeskStage) -> None:
    stage.desk.submit("x" * (MAX_SENT_CHARS + 10))
    stage.writes(60)
    assert len(stage.link.requests(p.Generate)[-1].text) == MAX_SENT_CHARS
    assert (len(asked(stage)[-1].text), asked(stage)[-1].at) == (MAX_SENT_CHARS, MAX_SENT_CHARS)
    stage.desk.point_at(MAX_SENT_CHARS + 5)
    stage.tick()
    stage.tick()
    assert (len(asked(stage)[-1].text), asked(stage)[-1].at) == (MAX_SENT_CHARS + 1, MAX_SENT_CHARS)
    assert (found := shown(stage)) is not None and found[:2] == (MAX_SENT_CHARS + 5, "x")


def titles(stage: DeskStage) -> list[str]:
    stage.tick(1.0)
    stage.history.flush()
    return sorted(kept.title for kept in stage.history.sessions())


def test_a_new_page_is_empty_and_the_old_one_is_kept_whole(stage: DeskStage) -> None:
    stage.desk.submit("Once")
    stage.writes(10)
    stage.link.write(5)
    stage.desk.new_session()
    stage.tick()
    assert (stage.text, stage.desk.state) == ("", "ready")
    [kept] = stage.history.sessions() if titles(stage) else []
    assert kept.chars == len("Once" + story(0, 15))
    written(stage, "Twice")
    assert [title[:5] for title in titles(stage)] == ["OnceT", "Twice"]


def test_a_kept_page_is_opened_with_all_its_branches_and_goes_on_under_its_number(stage: DeskStage) -> None:
    desk = stage.desk
    written(stage)
    desk.reroll()
    stage.writes(30)
    desk.stop()
    stage.tick()
    first = stage.text
    desk.new_session()
    written(stage, "Twice")
    assert len(titles(stage)) == 2
    once = next(kept.id for kept in stage.history.sessions() if kept.title.startswith("Once"))
    desk.open_session(once)
    assert stage.text == first and desk.session.branches() == (2, 2)
    assert asked(stage)[-1].text == first  # what could come next, here
    desk.go_on()
    stage.writes(60)
    assert len(titles(stage)) == 2  # neither page was kept a second time
    twice = next(kept.id for kept in stage.history.sessions() if kept.title.startswith("Twice"))
    desk.open_session(twice)
    assert stage.text.startswith("Twice")
    desk.open_session(once)
    assert stage.text == first + story(0, 60) and len(titles(stage)) == 2


def test_a_page_is_opened_when_what_is_being_written_on_this_one_was_heard_to_the_end(
    stage: DeskStage,
) -> None:
    desk = stage.desk
    written(stage)
    desk.new_session()
    desk.submit("Twice")
    stage.writes(10)
    titles(stage)
    once, twice = (
        next(kept.id for kept in stage.history.sessions() if kept.title.startswith(title))
        for title in ("Once", "Twice")
    )
    stage.link.write(7)
    desk.open_session(once)
    stage.tick()
    assert stage.text.startswith("Once") and desk.state == "ready"
    desk.open_session(twice)
    assert stage.text == "Twice" + story(0, 17)


def test_a_page_that_cannot_be_opened_leaves_the_one_there_is(stage: DeskStage, tmp_path: Path) -> None:
    written(stage)
    titles(stage)
    stage.desk.new_session()
    stage.tick()
    written(stage, "Twice")
    titles(stage)
    once = next(kept.id for kept in stage.history.sessions() if kept.title.startswith("Once"))
    before, session = stage.text, stage.desk.session
    with pytest.raises(UsageError):
        stage.desk.open_session(999)
    assert stage.desk.session is session and stage.text == before
    stage.desk.go_on()
    stage.writes(3)
    stage.desk.open_session(998)  # it is heard to its end first, so nobody is there to catch anything
    stage.tick()
    assert stage.desk.session is session and len(stage.told()) == 1
    stage.desk.open_session(once)
    assert stage.text == "Once" + story(0, 60)


def test_what_was_written_last_is_there_again_even_if_the_playground_was_left_at_once(
    tmp_path: Path,
) -> None:
    first = DeskStage(tmp_path)
    first.desk.submit("Once")
    first.writes(10)
    first.link.write(5)  # said and not heard yet
    first.end()
    second = DeskStage(tmp_path)
    assert second.text == "Once" + story(0, 15)
    second.desk.go_on()
    second.writes(5)
    second.end()
    third = DeskStage(tmp_path)
    assert third.text == "Once" + story(0, 15) + story(0, 5) and len(third.history.sessions()) == 1
    third.end()
