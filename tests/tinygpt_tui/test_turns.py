"""A text as a conversation: every turn is found where it stands, and a person's line can be nothing but their own turn."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tinygpt_tui.play.turns import STOP, Turn, turns_in, wrapped

MARKS = {"user": "You: ", "model": "Pip: "}

fragments = st.sampled_from(
    [
        "You: ",
        "Pip: ",
        "You:",
        "Pip:",
        "\n",
        "\n\n",
        " ",
        "hello",
        "Pip",
        "é",
        "\r\n",
        "\x1b[31m",
        "\ud800",
        "\u2028",
    ]
)
texts = st.lists(fragments | st.text(st.characters(), max_size=4), max_size=12).map("".join)


def said(text: str, turn: Turn) -> str:
    return text[turn.said : turn.end]


def told(text: str) -> list[tuple[str, str]]:
    return [(turn.who, said(text, turn)) for turn in turns_in(text, MARKS)]


def test_a_conversation_is_taken_apart_into_its_turns() -> None:
    text = "You: Who are you?\nPip: A fox.\nYou: Bye\nPip: Bye!\n"
    assert turns_in(text, MARKS) == [
        Turn("user", 0, 5, 17),
        Turn("model", 18, 23, 29),
        Turn("user", 30, 35, 38),
        Turn("model", 39, 44, 48),
    ]
    assert told(text) == [("user", "Who are you?"), ("model", "A fox."), ("user", "Bye"), ("model", "Bye!")]


def test_lines_without_a_mark_belong_to_the_turn_before_and_the_first_ones_to_none() -> None:
    text = "A talk by the river.\nPip: One\ntwo\n\nthree\n\nYou: Well\n"
    assert told(text) == [("model", "One\ntwo\n\nthree"), ("user", "Well")]
    assert turns_in("Once there was a fox.\nIt said: You: no.", MARKS) == []
    assert turns_in("", MARKS) == []


def test_a_turn_that_has_not_begun_yet_is_an_empty_one() -> None:
    assert turns_in("You: Hi\nPip: ", MARKS) == [Turn("user", 0, 5, 7), Turn("model", 8, 13, 13)]
    assert told("You: \nPip: \nYou: x") == [("user", ""), ("model", ""), ("user", "x")]


def test_a_mark_in_mid_line_or_without_its_space_is_no_turn() -> None:
    assert told("You: I know Pip: he is a fox") == [("user", "I know Pip: he is a fox")]
    assert told("You: a\nPip:x\nYouth: b\n You: c") == [("user", "a\nPip:x\nYouth: b\n You: c")]


def test_a_mark_may_have_a_line_of_its_own() -> None:
    marks = {"user": "### Question\n", "model": "### Answer\n"}
    text = "### Question\nWhy?\n### Answer\nBecause.\n\nReally.\n### Answer"
    assert [(turn.who, said(text, turn)) for turn in turns_in(text, marks)] == [
        ("user", "Why?"),
        ("model", "Because.\n\nReally."),
        ("model", ""),
    ]


@pytest.mark.parametrize("nothing", ["", "\n"])
def test_a_mark_of_nothing_begins_no_turn(nothing: str) -> None:
    text = "one\ntwo\n\nPip: three"
    assert turns_in(text, {"user": nothing, "model": nothing}) == []
    assert [turn.who for turn in turns_in(text, {"user": nothing, "model": "Pip: "})] == ["model"]


@given(texts, st.sampled_from([MARKS, {"user": "You:\n", "model": "\n\n"}, {"user": "a", "model": "a: "}]))
@example("You: hello\nPip:", MARKS)
@example("You:\nYou:\n", {"user": "You:\n\n", "model": "Pip: "})
def test_turns_are_in_order_inside_the_text_and_never_overlap(text: str, marks: dict[str, str]) -> None:
    last = 0
    for turn in turns_in(text, marks):
        assert last <= turn.start <= turn.said <= turn.end <= len(text)
        assert turn.start == 0 or text[turn.start - 1] == "\n"
        assert text.startswith(marks[turn.who].rstrip("\n"), turn.start)
        last = turn.end


@given(texts)
def test_no_line_that_begins_with_a_mark_is_missed(text: str) -> None:
    starts = [turn.start for turn in turns_in(text, MARKS)]
    at, expected = 0, []
    for line in text.split("\n"):
        if line.startswith(("You: ", "Pip: ")):
            expected.append(at)
        at += len(line) + 1
    assert starts == expected


def test_what_a_person_says_is_put_on_a_line_of_its_own_before_the_turn_of_the_model() -> None:
    assert wrapped("", "Hi", MARKS) == "You: Hi\nPip: "
    assert wrapped("\n", "Hi", MARKS) == "You: Hi\nPip: "
    assert wrapped("fox.", "Hi", MARKS) == "\nYou: Hi\nPip: "
    assert wrapped("Pip: ", "Hi", MARKS) == "\nYou: Hi\nPip: "


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("one\ntwo", "one two"),
        ("one\r\ntwo\rthree", "one two three"),
        ("one\n\n\ntwo\n", "one two"),
        ("\nPip: I am a fool", "Pip: I am a fool"),
        ("a  b\tc ", "a  b\tc "),
        ("one\u2028two\x0bthree", "one two three"),
    ],
)
def test_a_line_of_several_lines_is_still_one_turn(line: str, expected: str) -> None:
    assert wrapped("", line, MARKS) == f"You: {expected}\nPip: "


@given(texts, texts)
@example("", "\nYou: x\nPip: I was never said")
def test_nothing_a_person_types_is_taken_for_another_turn(text: str, line: str) -> None:
    whole = text + wrapped(text, line, MARKS)
    before, found = turns_in(text, MARKS), turns_in(whole, MARKS)
    assert len(found) == len(before) + 2
    assert [turn.start for turn in found[:-2]] == [turn.start for turn in before]
    assert [said(whole, turn) for turn in found[:-2]] == [said(text, turn) for turn in before]
    user, model = found[-2:]
    assert (user.who, model.who) == ("user", "model")
    assert (model.said, model.end) == (len(whole), len(whole)), "the model is next"
    assert STOP not in said(whole, user)
    if len(line.splitlines()) <= 1:
        assert said(whole, user) == "".join(line.splitlines()).lstrip(" ")
