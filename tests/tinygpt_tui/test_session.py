"""A text with its branches: what is shown, who made it, where something was changed, and the way back."""

from __future__ import annotations

import math
from array import array

import pytest

from tests.tinygpt_tui.test_passage import calls
from tinygpt_tui.play.passage import Change, Pages, Passage, Settings
from tinygpt_tui.play.session import Mark, Session

KNOBS = {"temperature": 0.8, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "repetition": 0.0}


def write(
    session: Session,
    text: str,
    *,
    at: int | None = None,
    run: str = "tales",
    step: int = 100,
    seed: int = 7,
    raw: float = 0.5,
    **knobs: float,
) -> Passage:
    """An act of its own: the model writes `text`, a character a token."""
    session.begin_act()
    passage = session.write(run, step, seed, {**KNOBS, **knobs}, at)
    for c in text:
        passage.append(c, 1.0, raw, 3)
    passage.reason = "max"
    return passage


def type_(session: Session, text: str, at: int | None = None) -> Passage:
    session.begin_act()
    return session.type(text, at)


def change(passage: Passage, **settings: float) -> None:
    """From the next token on."""
    passage.changes.append(Change(passage.tokens, settings))


def marks(session: Session) -> list[tuple[int, str]]:
    return [(mark.at, mark.text) for mark in session.marks()]


def test_an_empty_session_has_no_text_and_nothing_to_take_back() -> None:
    session = Session()
    assert (session.text(), session.length, session.spans(), session.marks()) == ("", 0, [], [])
    assert session.place(0) is None and session.place(-1) is None and session.last_written() is None
    assert len(session.probabilities(0, 5)) == 0
    assert not session.undo() and not session.redo() and not session.switch(1)
    assert session.branches() is None
    assert session.all == [session.leaf] and session.leaf.parent is None


def test_what_is_typed_and_what_is_written_make_one_text() -> None:
    session = Session()
    type_(session, "Once ")
    written = write(session, "a fox.", raw=0.25)
    type_(session, " Then")
    assert session.text() == "Once a fox. Then" and session.length == 16
    assert session.text(3, 8) == "e a f" and session.text(12) == "Then" and session.text(-4, 2) == "On"
    assert session.text(9, 3) == "" and session.text(16) == ""
    assert session.spans() == [(0, 5, "typed"), (5, 11, "written"), (11, 16, "typed")]
    assert session.last_written() is written and session.place_of(written) == 5
    p = session.probabilities(3, 13)
    assert [None if math.isnan(x) else x for x in p] == [None, None, *[0.25] * 6, None, None]


def test_a_place_tells_the_character_and_how_it_came_about() -> None:
    session = Session()
    typed = type_(session, "ab")
    written = session.write("tales", 100, 7, KNOBS)
    written.append("c", 0.5, 0.25, 70_000)
    place = session.place(2)
    assert place is not None and (place.c, place.passage, place.offset) == ("c", written, 0)
    assert (place.p, place.raw, place.rank) == (0.5, 0.25, 65_535)
    place = session.place(1)
    assert place is not None and (place.c, place.passage, place.offset) == ("b", typed, 1)
    assert (place.p, place.raw, place.rank) == (None, None, None)
    assert session.place(3) is None and session.place(-1) is None


def test_tokens_of_several_characters_or_none_stand_behind_each_of_their_characters() -> None:
    session = Session()
    type_(session, "> ")
    written = session.write("bytes", 1, 1, KNOBS)
    for text, raw in (("", 0.5), ("é", 0.25), ("the", 0.125), ("", 0.75), ("n", 1.0)):
        written.append(text, raw, raw, 1)
    assert session.text() == "> éthen"
    assert list(session.probabilities(2, 7)) == [0.25, 0.125, 0.125, 0.125, 1.0]
    assert list(session.probabilities(4, 6)) == [0.125, 0.125]
    places = [session.place(at) for at in range(2, 7)]
    assert [place.p for place in places if place] == [0.25, 0.125, 0.125, 0.125, 1.0]


def test_what_is_appended_to_the_last_passage_is_shown_at_once() -> None:
    session = Session()
    type_(session, "ab")
    written, shape = session.write("tales", 1, 1, KNOBS), session.shape
    assert session.text() == "ab" and session.spans() == [(0, 2, "typed")]
    for n, c in enumerate("cdef", 1):
        written.append(c, 1, 1, 0)
        assert session.text() == "abcdef"[: 2 + n] and session.length == 2 + n
        assert session.spans()[-1] == (2, 2 + n, "written")
    assert session.shape == shape, "the end of the leaf is no other shape"


def test_a_branch_in_the_middle_shows_another_text_and_keeps_the_old_one() -> None:
    session = Session()
    type_(session, "Once ")
    first = write(session, "a small fox")
    branch = type_(session, "A", at=7)
    write(session, " cat")
    assert session.text() == "Once a A cat"
    assert (branch.parent, branch.offset) == (first, 2)
    assert first.text.slice(0, 99) == "a small fox"
    assert session.spans() == [(0, 5, "typed"), (5, 7, "written"), (7, 8, "typed"), (8, 12, "written")]
    assert session.place(6).passage is first and session.place(7).passage is branch  # type: ignore[union-attr]


def test_a_branch_inside_of_a_branch_begins_in_that_one() -> None:
    session = Session()
    write(session, "abcdef")
    outer = write(session, "XYZW", at=3)
    inner = write(session, "12", at=5)
    assert session.text() == "abcXY12"
    assert (inner.parent, inner.offset) == (outer, 2)
    deepest = type_(session, "!", at=1)
    assert session.text() == "a!" and deepest.parent is session.all[1]


def test_a_branch_at_the_very_beginning_lies_beside_the_first_passage() -> None:
    session = Session()
    type_(session, "Once")
    write(session, " a fox")
    other = write(session, "Twice", at=0)
    assert session.text() == "Twice" and (other.parent, other.offset) == (session.all[0], 0)
    assert session.branches() == (2, 2)
    assert session.switch(1) and session.text() == "Once a fox"


def test_a_branch_where_a_passage_begins_lies_beside_it_and_not_in_it() -> None:
    session = Session()
    typed = type_(session, "Once ")
    write(session, "a fox")
    reroll = write(session, "the cat", at=5)
    assert (reroll.parent, reroll.offset) == (typed, 5) and session.text() == "Once the cat"
    third = write(session, "no", at=5)
    assert (third.parent, third.offset) == (typed, 5) and session.branches() == (3, 3)


def test_empty_passages_on_the_way_are_no_place_for_a_branch() -> None:
    """One is left when a generation is stopped before its first character."""
    session = Session()
    typed = type_(session, "ab")
    write(session, "")
    write(session, "")
    write(session, "cd")
    assert session.text() == "abcd" and session.spans() == [(0, 2, "typed"), (2, 4, "written")]
    branch = write(session, "X", at=2)
    assert (branch.parent, branch.offset) == (typed, 2) and session.text() == "abX"


def test_a_place_behind_the_end_is_the_end() -> None:
    session = Session()
    type_(session, "ab")
    type_(session, "c", at=2)
    type_(session, "d", at=99)
    assert session.text() == "abcd" and session.branches() is None


def test_switching_goes_round_all_ways_of_the_last_fork_and_undo_comes_back() -> None:
    session = Session()
    type_(session, "Once ")
    for text in ("a fox", "a cat", "a dog"):
        write(session, text, at=5)
    seen = []
    for _ in range(3):
        assert session.switch(1)
        seen.append((session.branches(), session.text()))
    assert seen == [((1, 3), "Once a fox"), ((2, 3), "Once a cat"), ((3, 3), "Once a dog")]
    assert session.switch(-1) and session.text() == "Once a cat"
    assert session.undo() and session.text() == "Once a dog"


def test_a_way_through_a_fork_counts_as_one_of_its_ways() -> None:
    session = Session()
    write(session, "a small fox")
    write(session, "great cat", at=2)
    assert session.branches() == (2, 2)
    assert session.switch(1) and session.text() == "a small fox" and session.branches() == (1, 2)
    assert session.switch(1) and session.text() == "a great cat"


def test_a_way_that_is_switched_to_is_shown_to_its_newest_end() -> None:
    session = Session()
    type_(session, "Q")
    write(session, "old")
    type_(session, "+")
    write(session, "more")
    write(session, "most", at=5)
    write(session, "new", at=1)
    assert session.text() == "Qnew"
    assert session.switch(-1) and session.text() == "Qold+most"


def test_undo_takes_a_whole_act_back_and_redo_does_it_again() -> None:
    session = Session()
    session.begin_act()
    session.type("Once ")
    session.write("tales", 1, 1, KNOBS).append("a", 1, 1, 0)
    write(session, " fox")
    assert session.undo() and session.text() == "Once a"
    assert session.undo() and session.text() == "" and not session.undo()
    assert session.redo() and session.text() == "Once a"
    assert session.redo() and session.text() == "Once a fox" and not session.redo()


def test_what_was_taken_back_is_still_there_after_another_act() -> None:
    session = Session()
    lost = type_(session, "Once")
    session.undo()
    type_(session, "Twice")
    assert not session.redo(), "there is nothing to do again after something else was done"
    assert lost in session.all and lost.text.slice(0, 99) == "Once"
    assert session.branches() == (2, 2) and session.switch(1) and session.text() == "Once"


def test_nothing_is_marked_where_nothing_was_different_before() -> None:
    session = Session()
    type_(session, "Once ")
    passage = write(session, "", temperature=1.5)
    change(passage, temperature=0.3)
    for c in "a fox":
        passage.append(c, 1, 1, 0)
    type_(session, "? ")
    write(session, "Yes", temperature=0.3)
    assert marks(session) == []


def test_a_knob_that_is_turned_in_mid_text_is_marked_where_it_acts() -> None:
    session = Session()
    type_(session, "Once ")
    passage = write(session, "ab")
    change(passage, temperature=1.25)
    passage.append("c", 1, 1, 0)
    change(passage, top_k=40, min_p=0.05)
    passage.append("d", 1, 1, 0)
    assert marks(session) == [(7, "temperature 1.25"), (8, "top-k 40 · min-p 0.05")]
    assert session.marks()[0] == Mark(7, "temperature 1.25")
    assert session.settings_at(6)["temperature"] == 0.8 and session.settings_at(7)["temperature"] == 1.25
    assert session.settings_at(8) == {**KNOBS, "temperature": 1.25, "top_k": 40, "min_p": 0.05}
    assert session.settings_at(0) == {} and session.settings_at(99) == {}


def test_a_change_is_marked_at_the_end_before_the_next_character_is_there() -> None:
    session = Session()
    passage = write(session, "ab")
    change(passage, temperature=1.25)
    assert marks(session) == [(2, "temperature 1.25")]


def test_a_knob_turned_on_and_on_at_one_place_makes_one_mark_and_turned_back_none() -> None:
    session = Session()
    passage = write(session, "ab")
    for temperature in (0.9, 1.0, 1.1):
        change(passage, temperature=temperature)
    passage.append("c", 1, 1, 0)
    change(passage, top_p=0.9)
    change(passage, top_p=1.0)
    passage.append("d", 1, 1, 0)
    assert marks(session) == [(2, "temperature 1.1")]


def test_a_change_in_tokens_is_marked_at_the_character_of_its_token() -> None:
    session = Session()
    type_(session, "> ")
    passage = session.write("bpe", 1, 1, KNOBS)
    for text in ("Once", "", " upon", " a"):
        passage.append(text, 1, 1, 0)
    passage.changes += [Change(1, {"temperature": 1}), Change(3, {"temperature": 2})]
    assert marks(session) == [(6, "temperature 1"), (11, "temperature 2")]


def test_other_settings_dice_weights_and_models_are_marked_where_a_passage_begins() -> None:
    session = Session()
    write(session, "aa")
    write(session, "bb", seed=8)
    type_(session, "--")
    write(session, "cc", seed=8, temperature=0.0, top_p=0.9)
    write(session, "dd", seed=8, temperature=0.0, step=1_200)
    write(session, "ee", run="sums", seed=9, step=30)
    assert marks(session) == [
        (2, "seed 8"),
        (6, "temperature 0 · top-p 0.9"),
        (8, "step 1,200 · top-p off"),
        (10, "sums · seed 9 · temperature 0.8"),
    ]


def test_newer_weights_are_marked_once_wherever_they_come() -> None:
    session = Session()
    passage = write(session, "ab")
    change(passage, weights=1_300)
    passage.append("c", 1, 1, 0)
    write(session, "de", step=1_300)
    write(session, "f", step=1_400)
    assert marks(session) == [(2, "step 1,300"), (5, "step 1,400")]


def test_a_change_that_no_shown_character_has_met_is_not_marked() -> None:
    session = Session()
    passage = write(session, "abc")
    change(passage, temperature=2)
    for c in "def":
        passage.append(c, 1, 1, 0)
    for branch in (write, type_):
        branch(session, "XY", at=3)
        assert session.text() == "abcXY" and marks(session) == []
        session.undo()
    assert marks(session) == [(3, "temperature 2")]


def test_the_pace_is_no_matter_of_the_text() -> None:
    session = Session()
    passage = session.write("tales", 1, 1, {**KNOBS, "chars_per_s": 30.0})
    passage.append("a", 1, 1, 0)
    passage.changes.append(Change(1, {"chars_per_s": 0.0}))
    passage.append("b", 1, 1, 0)
    passage.changes.append(Change(2, {"chars_per_s": None}))
    passage.append("c", 1, 1, 0)
    assert marks(session) == []


@pytest.mark.parametrize(("leaf", "done", "undone"), [(3, [], []), (-1, [], []), (0, [9], []), (0, [], [-1])])
def test_a_session_that_was_kept_wrongly_is_not_restored(
    leaf: int, done: list[int], undone: list[int]
) -> None:
    session = Session()
    type_(session, "ab")
    write(session, "cd")
    with pytest.raises(IndexError, match="no passage"):
        session.restore(leaf, done, undone)
    assert session.text() == "abcd" and session.undo()


@pytest.mark.parametrize("offset", [-1, 3])
def test_a_passage_that_begins_outside_of_its_parent_is_not_restored(offset: int) -> None:
    session = Session()
    typed = type_(session, "ab")
    session.all.append(Passage(2, typed, offset, "typed"))
    with pytest.raises(IndexError, match="passage 2"):
        session.restore(2, [], [])


def test_reading_and_growing_cost_the_same_however_long_the_text_is() -> None:
    def cost(tokens: int) -> int:
        session = Session()
        type_(session, "Once ")
        settings: Settings = KNOBS
        passage = session.write("tales", 1, 1, settings)
        passage.extend(
            "x" * tokens,
            array("H", [1] * tokens),
            *[array("f", [0.5] * tokens)] * 2,
            array("H", [0] * tokens),
        )
        end = session.length
        counted = calls(lambda: passage.append("y", 0.5, 0.5, 1))
        for look in (
            lambda: session.text(end - 80),
            lambda: session.place(end - 1),
            lambda: session.probabilities(end - 80, end),
            session.spans,
            session.marks,
        ):
            counted += calls(look)
        return counted

    assert 0 < cost(100) == cost(30_000)


def test_a_part_of_the_text_is_read_without_walking_all_passages(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session()
    for number in range(300):
        session.type(f"{number:03}\n")
        passage = session.write("fox", 1, 1, {})
        for char in "written ":
            passage.append(char, 0.5, 0.25, 0)
    read: list[int] = []
    whole, slice_of = session.text(), Pages.slice
    monkeypatch.setattr(Pages, "slice", lambda self, start, end: read.append(1) or slice_of(self, start, end))
    end = session.length
    assert session.text(end - 12, end) == whole[-12:] == "299\nwritten " and len(read) <= 3
    assert session.spans(end - 10, end - 4) == [(end - 10, end - 8, "typed"), (end - 8, end - 4, "written")]
    assert len(session.spans()) == 600 and session.spans(6, 6) == []
    place = session.place(end - 1)
    assert place is not None and place.passage is session.leaf and place.offset == 7
    marks = session.marks()
    session.leaf.append("x", 0.5, 0.25, 0)
    assert session.marks() is marks
