"""What the desk does at once when a person writes: texts begin, stop, pause, go on with other settings and dice, and branch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import protocol as p
from engine.errors import SettingsError, UsageError
from engine.sampler_settings import KNOBS, NEUTRAL
from tests.tinygpt_tui.desk_stage import TURNS, DeskStage
from tests.tinygpt_tui.fake_player import FakeLink, story
from tinygpt_tui.play.desk import MAX_TURN_CHARS, SEEDS, Desk
from tinygpt_tui.play.history import History
from tinygpt_tui.play.session import Mark
from tinygpt_tui.settings_book import SettingsBook

TURNED = {"temperature": 1.35, "top_k": 5, "top_p": 0.5, "min_p": 0.1, "repetition": 2.0}


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[DeskStage]:
    made = DeskStage(tmp_path)
    yield made
    made.end()


@pytest.fixture
def talk(tmp_path: Path) -> Iterator[DeskStage]:
    """With a model that learned a conversation."""
    made = DeskStage(tmp_path, run="talk", turns=TURNS)
    yield made
    made.end()


def begin(stage: DeskStage, written: int = 10) -> None:
    """A text that is being written: "Once", and so many characters of the story."""
    stage.desk.submit("Once")
    stage.writes(written)


def test_a_prompt_is_shown_at_once_and_the_model_goes_on_from_it(stage: DeskStage) -> None:
    desk = stage.desk
    before = desk.version
    desk.submit("Once")
    assert (stage.text, desk.state) == ("Once", "writing") and desk.version != before
    assert stage.link.requests(p.Generate) == [
        p.Generate(2, "Once", desk.settings.to_json(), desk.seed, 60, (), None)
    ]  # number 1 was the question what could come first
    stage.writes(10)
    assert stage.text == "Once" + story(0, 10)
    typed, written = desk.session.place(3), desk.session.place(4)
    assert typed is not None and (typed.c, typed.p, typed.raw, typed.rank) == ("e", None, None, None)
    assert written is not None and (written.c, written.rank) == ("T", 0)
    assert written.p is not None and written.raw is not None and 0 < written.raw < written.p < 1
    assert (written.passage.run, written.passage.step) == ("fox", 1000)
    stage.history.flush()
    assert stage.history.prompts() == ["Once"]


def test_what_was_sent_is_kept_at_once(stage: DeskStage) -> None:
    """Whoever presses Enter and loses the terminal in the same moment finds it again."""
    stage.desk.submit("Once")
    stage.history.flush()
    assert [(kept.title, kept.chars) for kept in stage.history.sessions()] == [("Once", 4)]


def test_a_text_ends_when_as_much_as_was_asked_for_is_written(stage: DeskStage) -> None:
    begin(stage, 100)
    assert stage.text == "Once" + story(0, 60)
    assert stage.desk.state == "ready" and stage.desk.session.leaf.reason == "max"
    found = stage.link.requests(p.Explain)[-1]
    assert (found.text, found.at) == (stage.text, 64)  # what could come next is asked without being told to


@pytest.mark.parametrize(
    ("before", "typed", "behind"),
    [("a", "b", "a\nb"), ("a", " b", "a b"), ("a", "\nb", "a\nb"), ("a\n", "b", "a\nb"), ("", "b", "b")],
)
def test_a_further_prompt_stands_on_a_line_of_its_own_unless_it_begins_with_a_space(
    stage: DeskStage, before: str, typed: str, behind: str
) -> None:
    if before:
        stage.desk.submit(before)
        stage.desk.stop()
        stage.tick()
    stage.desk.submit(typed)
    assert stage.text == behind


def test_going_on_writes_behind_everything_that_is_shown(stage: DeskStage) -> None:
    begin(stage, 60)
    stage.desk.go_on()
    stage.writes(5)
    assert stage.link.requests(p.Generate)[-1].text == "Once" + story(0, 60)
    assert stage.text == "Once" + story(0, 60) + story(0, 5)
    assert [kind for *_, kind in stage.desk.session.spans()] == ["typed", "written", "written"]


def test_stopping_keeps_what_was_written_and_says_whether_there_was_anything_to_stop(
    stage: DeskStage,
) -> None:
    assert not stage.desk.stop()
    begin(stage)
    assert stage.desk.stop() and stage.link.requests(p.Stop) == [p.Stop(2)]
    stage.tick()
    stage.writes(10)
    assert (stage.text, stage.desk.state) == ("Once" + story(0, 10), "ready")
    assert stage.desk.session.leaf.reason == "stopped" and not stage.desk.stop()


def test_a_pause_holds_the_text_and_going_on_keeps_the_pace(stage: DeskStage) -> None:
    desk = stage.desk
    desk.set_rate(30.0)
    begin(stage)
    desk.pause_or_go_on()
    assert desk.state == "paused"
    stage.tick()
    assert desk.alternatives is not None and desk.alternatives.at is None
    desk.pause_or_go_on()
    assert desk.state == "writing"
    assert stage.link.requests(p.Pace) == [p.Pace(2, 0), p.Pace(2, 30.0)]
    stage.writes(5)
    assert stage.text == "Once" + story(0, 15) and desk.session.marks() == []


def test_the_key_of_the_pause_goes_on_when_nothing_is_written(stage: DeskStage) -> None:
    stage.desk.pause_or_go_on()
    assert stage.desk.state == "writing" and len(stage.link.requests(p.Generate)) == 1


def test_each_step_is_one_character_and_shows_the_odds_of_the_next(stage: DeskStage) -> None:
    desk = stage.desk
    for count in (1, 2, 3):
        desk.step()
        assert desk.state == "paused"
        stage.tick()
        assert stage.text == story(0, count)
        assert desk.alternatives is not None and desk.alternatives.at is None
        assert story(count, 1) in [symbol.c for symbol in desk.alternatives.symbols[:3]]
    assert len(stage.link.requests(p.Generate)) == 1 and stage.link.requests(p.Generate)[0].chars_per_s == 0
    desk.pause_or_go_on()
    stage.writes(4)
    assert stage.text == story(0, 7)
    desk.step()  # in mid-stream: it holds, and one more comes
    stage.tick()
    assert (stage.text, desk.state) == (story(0, 8), "paused")


@pytest.mark.parametrize("name", KNOBS)
def test_a_knob_shows_its_value_at_once_and_acts_on_the_very_next_character(
    stage: DeskStage, name: str
) -> None:
    desk = stage.desk
    begin(stage)
    before = desk.version
    desk.set_knob(name, TURNED[name])
    assert getattr(desk.settings, name) == TURNED[name]
    assert desk.pending == {name} and desk.version != before
    assert stage.link.requests(p.Set) == [p.Set(2, {name: TURNED[name]})]
    stage.tick()
    assert desk.pending == frozenset()
    stage.writes(5)
    [mark] = desk.session.marks()
    assert mark.at == 14 and f"{TURNED[name]:g}" in mark.text
    assert desk.session.settings_at(13)[name] == KNOBS[name].off or name == "temperature"
    assert desk.session.settings_at(14)[name] == TURNED[name] != desk.session.settings_at(13)[name]
    assert desk.alternatives is not None and desk.alternatives.at == 18


def test_a_knob_is_pending_until_its_newest_value_is_confirmed(stage: DeskStage) -> None:
    begin(stage)
    stage.link.auto = False
    for value in (0.5, 0.9):
        stage.desk.set_knob("temperature", value)
    stage.desk.set_knob("top_k", 3)
    stage.link.say(p.Changed(2, 14, {"temperature": 0.5}, 1))
    stage.tick()
    assert stage.desk.pending == {"temperature", "top_k"} and stage.desk.settings.temperature == 0.9
    stage.link.say(p.Changed(2, 14, {"temperature": 0.9}, 2), p.Changed(2, 15, {"top_k": 3}, 3))
    stage.tick()
    assert stage.desk.pending == frozenset()


def test_a_value_that_cannot_be_changes_nothing(stage: DeskStage) -> None:
    begin(stage)
    sent, settings = len(stage.link.sent), stage.desk.settings
    for name, value in (("temperature", 99.0), ("top_k", 1.5), ("courage", 1.0), ("top_p", float("nan"))):
        with pytest.raises(SettingsError):
            stage.desk.set_knob(name, value)
    assert (len(stage.link.sent), stage.desk.settings, stage.desk.pending) == (sent, settings, frozenset())


def test_a_knob_turned_while_nothing_is_written_redraws_the_odds_and_counts_for_the_next_text(
    stage: DeskStage,
) -> None:
    stage.desk.set_knob("top_k", 2)
    assert stage.desk.pending == frozenset() and stage.link.requests(p.Explain)[-1].sampler["top_k"] == 2
    stage.tick()
    assert stage.desk.alternatives is not None and len(stage.desk.alternatives.stages) == 1
    begin(stage)
    assert stage.link.requests(p.Generate)[-1].sampler["top_k"] == 2 and stage.link.requests(p.Set) == []


def test_neutral_is_the_models_own_distribution_at_once(stage: DeskStage) -> None:
    for name, value in TURNED.items():
        stage.desk.set_knob(name, value)
    begin(stage)
    stage.desk.neutral()
    assert stage.desk.settings == NEUTRAL and stage.desk.pending == set(KNOBS)
    assert stage.link.requests(p.Set) == [p.Set(3, NEUTRAL.to_json())]
    stage.writes(3)
    assert stage.desk.pending == frozenset() and stage.desk.session.settings_at(14) == NEUTRAL.to_json()


def test_a_rate_counts_from_the_next_character_on_but_lets_no_held_text_go(stage: DeskStage) -> None:
    desk = stage.desk
    begin(stage)
    desk.set_rate(8.0)
    assert stage.link.requests(p.Pace) == [p.Pace(2, 8.0)]
    desk.pause_or_go_on()
    desk.set_rate(120.0)
    assert stage.link.requests(p.Pace)[1:] == [p.Pace(2, 0)] and desk.state == "paused"
    desk.pause_or_go_on()
    assert stage.link.requests(p.Pace)[2:] == [p.Pace(2, 120.0)]
    desk.set_rate(None)
    desk.stop()
    stage.tick()
    desk.set_rate(2.0)
    desk.go_on()
    assert stage.link.requests(p.Generate)[-1].chars_per_s == 2.0


def test_other_dice_in_mid_text_count_from_there_on_and_no_more_is_written_than_was_asked_for(
    stage: DeskStage,
) -> None:
    desk = stage.desk
    begin(stage)
    stage.link.write(5)  # on its way while the key is pressed
    desk.set_seed(7)
    assert desk.seed == 7
    stage.tick()
    stage.writes(100)
    assert stage.text == "Once" + story(0, 15) + story(0, 45) and desk.state == "ready"
    assert [(one.seed, one.max) for one in stage.link.requests(p.Generate)] == [(1, 60), (7, 45)]
    assert desk.session.marks() == [Mark(19, "seed 7")]
    desk.undo()
    assert stage.text == ""  # one act, whatever the dice


def test_other_dice_while_the_text_is_held_leave_it_held(stage: DeskStage) -> None:
    begin(stage)
    stage.desk.pause_or_go_on()
    stage.desk.set_seed(7)
    stage.tick()
    assert stage.desk.state == "paused" and stage.link.requests(p.Generate)[-1].chars_per_s == 0


def test_other_dice_do_not_prolong_a_text_that_ends_by_itself_or_was_stopped(stage: DeskStage) -> None:
    begin(stage)
    stage.link.write(100)  # it ends; that is not heard yet
    stage.desk.set_seed(7)
    stage.tick()
    assert (stage.text, stage.desk.state) == ("Once" + story(0, 60), "ready")
    stage.desk.go_on()
    stage.writes(5)
    stage.desk.stop()
    stage.desk.set_seed(8)
    stage.tick()
    assert stage.desk.state == "ready" and len(stage.link.requests(p.Generate)) == 2


def test_a_seed_that_cannot_be_is_refused_and_new_dice_are_short_enough_to_write_down(
    stage: DeskStage,
) -> None:
    for seed in (-1, 2**64):
        with pytest.raises(UsageError, match="seed"):
            stage.desk.set_seed(seed)
    assert stage.desk.seed == 1
    drawn = set()
    for _ in range(20):
        stage.desk.new_dice()
        drawn.add(stage.desk.seed)
    assert len(drawn) > 5 and all(0 <= seed < SEEDS for seed in drawn)


def test_a_reroll_is_a_branch_beside_the_last_answer_with_other_dice(stage: DeskStage) -> None:
    desk = stage.desk
    begin(stage, 60)
    stage.desk.reroll()
    stage.writes(20)
    first, second = stage.link.requests(p.Generate)
    assert second.text == first.text == "Once" and second.seed == desk.seed
    assert stage.text == "Once" + story(0, 20) and desk.session.branches() == (2, 2)
    desk.switch_branch(1)
    stage.tick()
    assert stage.text == "Once" + story(0, 60) and desk.session.branches() == (1, 2)
    desk.switch_branch(-1)
    assert stage.text == "Once" + story(0, 20)


def test_a_text_that_is_shown_again_brings_its_dice_unless_others_were_chosen_since(stage: DeskStage) -> None:
    desk = stage.desk
    begin(stage, 60)
    desk.reroll()
    stage.writes(60)
    second = desk.seed
    assert second != 1
    for action, seed in ((desk.undo, 1), (desk.redo, second), (lambda: desk.switch_branch(1), 1)):
        action()
        assert desk.seed == seed
    desk.set_seed(7)
    desk.undo()
    assert desk.seed == 7


def test_without_an_answer_there_is_nothing_to_reroll_undo_redo_or_switch(stage: DeskStage) -> None:
    desk = stage.desk
    for action in (desk.reroll, desk.undo, desk.redo, lambda: desk.switch_branch(1)):
        assert len(stage.noticing(action)) == 1
    assert stage.text == "" and stage.link.requests(p.Generate) == []


def test_another_character_begins_a_branch_that_goes_on_with_the_dice_of_its_place(stage: DeskStage) -> None:
    desk = stage.desk
    desk.set_seed(5)
    begin(stage, 60)
    desk.set_seed(6)
    desk.fork(10, "X")
    stage.writes(4)
    last = stage.link.requests(p.Generate)[-1]
    assert last.text == "Once" + story(0, 6) + "X" and last.seed == desk.seed == 5
    assert stage.text == last.text + story(0, 4) and desk.session.branches() == (2, 2)
    place = desk.session.place(10)
    assert place is not None and place.p is None  # chosen, not drawn
    desk.switch_branch(1)
    stage.tick()
    assert stage.text == "Once" + story(0, 60)


def test_a_character_picked_for_the_end_of_a_held_text_stands_behind_all_that_was_held_back(
    stage: DeskStage,
) -> None:
    begin(stage)
    stage.desk.pause_or_go_on()
    stage.tick()
    stage.desk.fork(stage.desk.session.length, "X")
    char = p.Char("t", 0.5, 0.5, 0)  # it could have begun a stop text
    stage.link._heard.insert(-2, p.Text(2, 14, (char,), 0))
    stage.tick()
    assert stage.text == "Once" + story(0, 10) + "tX"


def test_an_edit_is_a_branch_too_and_an_empty_one_writes_on_from_its_place(stage: DeskStage) -> None:
    begin(stage, 60)
    stage.desk.edit(2, "ly you")
    stage.writes(3)
    assert stage.text == "Only you" + story(0, 3)
    stage.desk.edit(4, "")
    stage.tick()
    stage.writes(3)
    assert stage.text == "Only" + story(0, 3)
    assert [one.text for one in stage.link.requests(p.Generate)] == ["Once", "Only you", "Only"]


def test_undo_takes_whole_acts_back_and_redo_does_them_again(stage: DeskStage) -> None:
    desk = stage.desk
    shown = [""]
    for act in (
        lambda: desk.submit("Once"),
        desk.go_on,
        desk.reroll,
        lambda: desk.fork(6, "X"),
        lambda: desk.edit(2, "ly"),
    ):
        act()
        stage.writes(100)
        shown.append(stage.text)
    for text in reversed(shown[:-1]):
        desk.undo()
        assert stage.text == text
    for text in shown[1:]:
        desk.redo()
        assert stage.text == text


def test_stop_texts_count_from_the_next_answer_on(stage: DeskStage) -> None:
    begin(stage)
    stage.desk.set_stops(("fox", "", "jumps"))
    stage.writes(50)
    assert stage.text == "Once" + story(0, 60)
    stage.desk.go_on()
    assert stage.link.requests(p.Generate)[-1].stop == ("fox", "jumps")
    stage.writes(50)
    assert stage.text.endswith("brown ") and stage.desk.session.leaf.reason == "stop"


def test_a_conversation_takes_turns_unless_somebody_wants_to_write_freely(talk: DeskStage) -> None:
    desk = talk.desk
    assert desk.chat
    desk.submit("hello\nyou")
    assert talk.text == "You:hello you\nCat:"
    request = talk.link.requests(p.Generate)[-1]
    assert (request.stop, request.max) == (("\n",), MAX_TURN_CHARS)
    talk.writes(200)
    desk.submit("and?")
    assert talk.text.endswith("slept?\nYou:and?\nCat:")
    desk.stop()
    desk.set_chat(False)
    talk.tick()
    desk.submit(" free")
    assert talk.text.endswith("Cat: free")
    assert (talk.link.requests(p.Generate)[-1].stop, talk.link.requests(p.Generate)[-1].max) == ((), 60)


def test_a_model_of_no_conversation_takes_no_turns(stage: DeskStage, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no conversation"):
        stage.desk.set_chat(True)
    assert not stage.desk.chat


def test_the_context_grows_to_the_window_and_then_keeps_its_half(stage: DeskStage) -> None:
    desk = stage.desk
    assert desk.context == (0, 128)
    stage.book.set("sample.chars", 200)
    begin(stage, 100)
    assert desk.context == (104, 128)
    stage.writes(24)
    assert desk.context == (128, 128)
    stage.writes(1)
    assert desk.context == (65, 128)
    desk.stop()
    stage.tick()
    assert desk.context == (65, 128)


def test_the_speed_is_that_of_the_last_second_and_takes_no_memory_that_grows(stage: DeskStage) -> None:
    stage.book.set("sample.chars", 10_000)
    begin(stage, 10)
    stage.tick(0.5)
    stage.writes(20)
    assert stage.desk.speed == 30
    stage.tick(0.6)
    assert stage.desk.speed == 20
    stage.tick(2)
    assert stage.desk.speed == 0
    for _ in range(50):  # nobody looks at it meanwhile
        stage.tick(0.5)
        stage.writes(1)
    assert len(stage.desk._written) <= 3


def test_the_pace_at_first_is_the_one_that_was_set(tmp_path: Path) -> None:
    for value, rate in (("0", None), ("1", 1.0), ("250", 250.0)):
        book = SettingsBook(tmp_path / "settings.toml", {"TINYGPT_UI_SPEED": value})
        desk = Desk(FakeLink(), History(tmp_path / "history.sqlite"), book)
        assert desk.rate == rate


def test_a_setting_that_is_changed_acts_at_once_unless_that_knob_was_turned_here(stage: DeskStage) -> None:
    desk, book = stage.desk, stage.book
    begin(stage)
    desk.set_knob("temperature", 0.3)
    book.set("sample.temperature", 1.5)
    book.set("sample.top_k", 7)
    assert (desk.settings.temperature, desk.settings.top_k) == (0.3, 7)
    assert stage.link.requests(p.Set)[-1] == p.Set(2, {"top_k": 7})
    stage.writes(3)
    assert desk.session.marks()[-1].text.endswith("top-k 7")
    book.unset("sample.top_k")
    assert desk.settings.top_k == KNOBS["top_k"].off


def test_another_speed_in_the_settings_acts_at_once_unless_the_speed_was_turned_here(tmp_path: Path) -> None:
    stage = DeskStage(tmp_path)
    book = SettingsBook(tmp_path / "own.toml", {})
    desk = Desk(stage.link, stage.history, book)
    book.set("ui.speed", 250)
    assert desk.rate == 250.0
    desk.set_rate(10.0)
    book.set("ui.speed", 0)
    assert desk.rate == 10.0
    stage.end()


def test_the_context_counts_what_the_model_reads_not_characters(stage: DeskStage) -> None:
    desk, link = stage.desk, stage.link
    link.auto = False
    desk.submit("Oncé")
    assert desk.context == (0, 128)  # nothing else has been counted yet
    link.say(p.Started(2, 5, {}), p.Text(2, 5, (p.Char(" upon", 0.5, 0.5, 0), p.Char(" a", 0.5, 0.5, 0)), 0))
    stage.tick()
    assert desk.context == (7, 128) and desk.session.length == 11
    link.say(p.Done(2, "max"))
    stage.tick()
    assert (desk.context, desk.unseen) == ((7, 128), 0)
    asked = link.requests(p.Explain)[-1]
    link.say(p.Explained(asked.id, 11, 300, None, ()))  # whoever reads it anew may count otherwise
    stage.tick()
    assert desk.context == (108, 128) and desk.unseen == 192
    desk.undo()
    assert desk.context == (0, 128)
    desk.redo()
    assert desk.context == (108, 128)  # until it is counted anew
    for _ in range(2):
        link.say(p.Error(link.requests(p.Explain)[-1].id, "No."))
        stage.tick()
    assert desk.context is None and desk.unseen == 0


def test_a_model_that_was_chosen_before_the_history_was_open_is_not_taken_away_by_the_last_text(
    tmp_path: Path,
) -> None:
    stage = DeskStage(tmp_path, run="owl")
    begin(stage)
    stage.end()
    book = SettingsBook(tmp_path / "settings.toml", {})
    desk = Desk(FakeLink(), History(tmp_path / "history.sqlite"), book)
    desk.use("fox")
    desk.begin()
    assert (desk.run, desk.session.length) == ("fox", 0)
    desk.history.close()
