"""What Play shows of the desk: the text with its marks and speakers, what is pointed at, the titles, and the model's alphabet."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from engine import protocol
from engine.errors import UsageError
from tests.tinygpt_tui.fake_player import FakeLink
from tests.tinygpt_tui.scripted_run import ScriptedRun
from tinygpt_tui.play.desk import Desk
from tinygpt_tui.play.hearing import Alternatives
from tinygpt_tui.play.history import History
from tinygpt_tui.play.passage import Change
from tinygpt_tui.play.session import Session
from tinygpt_tui.play.turns import turns_in
from tinygpt_tui.screens import play_view
from tinygpt_tui.screens.play_view import (
    ShownText,
    alphabet,
    alternatives_of,
    placeholder_of,
    pointed_of,
    subtitle_of,
    title_of,
    waiting_of,
)
from tinygpt_tui.settings_book import SettingsBook
from tinygpt_tui.sources.player_link import Lost
from tinygpt_tui.sources.run_watch import RunWatch
from tinygpt_tui.widgets.transcript_line import shortened
from tinygpt_tui.widgets.wrapping import LABEL_LIMIT

TURNS = {"user": "You: ", "model": "Pip: "}


def written(session: Session, text: str, *, at: int | None = None, seed: int = 1, run: str = "tales") -> None:
    passage = session.write(run, 100, seed, {"temperature": 0.8, "top_k": 0}, at)
    for rank, char in enumerate(text):
        passage.append(char, 0.5, 0.25, rank)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """One whose player has loaded a model and writes nothing yet."""
    made = Desk(
        FakeLink(per_take=0),
        History(tmp_path / "h.sqlite"),
        SettingsBook(tmp_path / "c.toml", {}),
        lambda: 0.0,
    )
    made._link.start()
    made.use("tales-03")
    made.tick(0.0)
    return made


def test_a_shown_text_has_another_version_only_when_something_but_its_end_changed() -> None:
    session = Session()
    session.type("ab")
    written(session, "cd")
    shown = ShownText(session, None)
    version = shown.version
    session.leaf.append("e", 0.5, 0.5, 0)
    assert shown.version == version and shown.length == 5 and shown.slice(1, 4) == "bcd"
    assert ShownText(session, TURNS).version != version
    written(session, "x", at=3)
    assert shown.version != version and shown.slice(0, 9) == "abcx"


def test_kinds_and_probabilities_are_those_of_the_part_that_is_asked_for() -> None:
    session = Session()
    session.type("ab")
    written(session, "cdef")
    shown = ShownText(session, None)
    assert shown.kinds(1, 4) == [(1, 2, "typed"), (2, 4, "written")]
    assert shown.kinds(3, 4) == [(3, 4, "written")]
    assert [p == p and round(p, 2) for p in shown.probability(1, 4)] == [False, 0.25, 0.25]


def test_a_mark_is_set_apart_from_the_text_and_never_longer_than_there_is_room_for() -> None:
    session = Session()
    written(session, "abcd")
    passage = session.leaf
    passage.changes += [Change(1, {"temperature": 0.9}), Change(3, {"temperature": 1.0, "top_k": 5})]
    shown = ShownText(session, None)
    assert shown.marks == ((1, "⟨temperature 0.9⟩"), (3, "⟨temperature 1 · top-k 5⟩"))
    written(session, "x", run="狐" * 40, seed=123)
    assert [label for _, label in shown.marks[:2]] == ["⟨temperature 0.9⟩", "⟨temperature 1 · top-k 5⟩"]
    at, label = shown.marks[-1]
    assert at == 4 and label.startswith("⟨狐狐") and label.endswith("…⟩") and cell_len(label) <= LABEL_LIMIT


def test_a_mark_that_is_too_long_leaves_out_whole_parts() -> None:
    label = "⟨temperature 0.85 · top-k 5 · seed 7⟩"
    assert shortened(label, 99) == label
    assert [shortened(label, room) for room in (36, 30, 21, 20, 3, 2, 0)] == [
        "⟨temperature 0.85 · top-k 5 · …⟩",
        "⟨temperature 0.85 · …⟩", "⟨…⟩", "⟨…⟩", "⟨…⟩", "…", "",
    ]  # fmt: skip


def test_speakers_are_the_marks_of_a_conversation_without_their_colons() -> None:
    session = Session()
    session.type("You: hi\nPip: ")
    assert ShownText(session, None).speakers == ()
    shown = ShownText(session, TURNS)
    assert shown.speakers == ((0, "You"), (8, "Pip"))
    assert shown.speakers is shown.speakers  # not looked for again while nothing is new
    session.type("hello\nYou: ")
    assert shown.speakers == ((0, "You"), (8, "Pip"), (19, "You"))


@given(st.lists(st.text(alphabet="YouPip: \nab", max_size=12), max_size=12), st.integers(0, 3))
def test_speakers_of_a_growing_text_are_those_of_the_whole_one(parts: list[str], typed: int) -> None:
    session = Session()
    shown = ShownText(session, TURNS)
    session.write("tales", 1, 1, {})
    for number, part in enumerate(parts):
        if number == typed:
            session.type("You: x\nPip: ")
            session.write("tales", 1, 1, {})
        for char in part:
            session.leaf.append(char, 0.5, 0.5, 0)
        assert shown.speakers == ShownText(session, TURNS).speakers


def test_only_the_last_line_of_a_growing_text_is_looked_through(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session()
    shown = ShownText(session, TURNS)
    written(session, "You: hi\nPip: hello\n" * 100 + "You: ")
    assert len(shown.speakers) == 201
    read: list[int] = []
    monkeypatch.setattr(
        play_view, "turns_in", lambda text, turns: read.append(len(text)) or turns_in(text, turns)
    )
    session.leaf.append("x", 0.5, 0.5, 0)
    assert len(shown.speakers) == 201 and read == [6]


def test_marks_are_made_anew_only_when_they_can_be_others(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session()
    shown = ShownText(session, None)
    written(session, "ab")
    session.leaf.changes.append(Change(2, {"temperature": 0.9}))
    assert shown.marks == ((2, "⟨temperature 0.9⟩"),)
    session.leaf.append("c", 0.5, 0.5, 0)
    before = shown.marks
    session.leaf.append("d", 0.5, 0.5, 0)
    assert shown.marks is before == ((2, "⟨temperature 0.9⟩"),)
    session.leaf.changes.append(Change(4, {"temperature": 0.5}))
    assert shown.marks[1:] == ((4, "⟨temperature 0.5⟩"),)


def test_the_alternatives_say_of_which_place_they_are(desk: Desk) -> None:
    desk.alternatives = None
    assert alternatives_of(desk).title == "next character" and alternatives_of(desk).symbols == ()
    symbols = (protocol.Symbol("a", 0.5, 0.5),)
    desk.session.type("abc")
    desk.alternatives = Alternatives(1, "b", symbols, None, ())
    assert alternatives_of(desk).title == "next character" and alternatives_of(desk).chosen == "b"
    assert alternatives_of(desk).at == 1
    desk.alternatives = Alternatives(None, None, symbols, None, ())
    assert alternatives_of(desk).at == 3  # behind all there is
    text = alternatives_of(desk).text
    desk.session.type("d")
    assert alternatives_of(desk).text != text
    desk.point_at(1)
    desk.alternatives = Alternatives(1, "b", symbols, None, ())
    assert alternatives_of(desk).title == "instead of character 2"


def test_the_character_pointed_at_has_a_rank_and_both_probabilities_if_a_model_wrote_it(desk: Desk) -> None:
    desk.session.type("a\n")
    written(desk.session, "b\x1bd")
    told = []
    for at in (None, 0, 1, 2, 3, 4, 99):
        desk.point_at(at)
        told.append(pointed_of(desk))
    assert told == [
        "", "a was typed", "↵ was typed", "b rank 1 · 25 → 50 %", "␛ rank 2 · 25 → 50 %", "d rank 3 · 25 → 50 %", "",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("room", "live", "expected"),
    [
        (100, False, "lantern · tales-03 @ step 1,000 · val 1.500"),
        (35, False, "lantern · tales-03 @ step 1,000"),
        (24, False, "lantern @ step 1,000"),
        (100, True, "lantern · tales-03 @ step 1,000 · follows the training · val 1.500"),
        (52, True, "lantern · tales-03 @ step 1,000 · live · val 1.500"),
        (40, True, "lantern · tales-03 @ step 1,000 · live"),
    ],
)
def test_a_title_has_what_there_is_room_for_and_the_name_always(
    desk: Desk, room: int, live: bool, expected: str
) -> None:
    desk.following = "tales-03" if live else None
    assert title_of(desk, "lantern", room) == expected


def test_a_title_is_of_what_is_known(desk: Desk) -> None:
    assert title_of(desk, "", 100) == "tales-03 @ step 1,000 · val 1.500"
    assert title_of(desk, "a\x1b[0m", 40) == "a␛[0m · tales-03 @ step 1,000"
    desk.model = None
    assert title_of(desk, "", 100) == "tales-03" and title_of(desk, "lantern", 5) == "lantern"
    desk.run = None
    assert title_of(desk, "", 100) == "play"


def test_a_subtitle_says_what_goes_on(desk: Desk) -> None:
    assert subtitle_of(desk) == ""
    desk.submit("Once ")
    assert subtitle_of(desk) == "writing"
    link = desk._link
    assert isinstance(link, FakeLink)
    link.write(30)
    desk.tick(0.0)
    assert subtitle_of(desk) == "30 char/s"
    desk.pause_or_go_on()
    assert subtitle_of(desk) == "paused"
    desk.reroll()
    desk.tick(0.0)
    assert subtitle_of(desk) == "branch 2 of 2 · 30 char/s"
    desk.history.problem = "The disk is full."
    link.say(Lost("It died."))
    desk.tick(0.0)
    assert subtitle_of(desk) == "branch 2 of 2 · player lost · not kept"


def test_an_empty_page_says_what_is_waited_for(desk: Desk, tmp_path: Path) -> None:
    assert waiting_of(desk).startswith("Type how a text begins") and "[ and ] turn" in waiting_of(desk)
    link = desk._link
    assert isinstance(link, FakeLink)
    link.say(Lost("It died."))
    desk.tick(0.0)
    assert waiting_of(desk) == "The player is gone; a new one is being started."
    link.say(Lost("It died again.", final=True))
    desk.tick(0.0)
    assert waiting_of(desk) == "The player is gone. Choose a model (m) to start it again."
    link.auto = False
    desk.use("tales-04")
    assert waiting_of(desk) == "The model is being loaded …"
    desk.loading = False
    assert waiting_of(desk) == "tales-04 is not loaded. Choose a model (m)."
    desk.run = None
    assert waiting_of(desk).startswith("There is no model yet. Press 1 to choose a text, then t to teach it")


def test_a_run_that_has_saved_nothing_yet_is_said_to_have_saved_nothing(desk: Desk, tmp_path: Path) -> None:
    desk.model, desk.loading, desk.following = None, True, "tales-03"
    with ScriptedRun(tmp_path / "runs", "tales-03") as run:
        watch = RunWatch(run.folder)
        watch.poll(0.0)
        told = "tales-03 has saved no weights yet: the first come after some seconds of training."
        assert waiting_of(desk, watch.picture) == told
        run.steps(7)
        watch.poll(9.0)
        assert waiting_of(desk, watch.picture) == f"{told} By now it has taken 7 steps."
        run.save()
        watch.poll(18.0)
        assert waiting_of(desk, watch.picture) == "The model is being loaded …"


def test_sentences_name_the_keys_that_are_in_force(desk: Desk) -> None:
    desk.key_of = {"play.cooler": "F2", "play.hotter": "F3"}.__getitem__
    assert "F2 and F3 turn its temperature" in waiting_of(desk)
    desk.run, desk.model, desk.key_of = None, None, lambda action: f"<{action}>"
    assert "Press <app.corpus> to choose a text, then <corpus.start>" in waiting_of(desk)
    with pytest.raises(UsageError, match=r"train one first .<app.corpus>, then <corpus.start>."):
        desk.go_on()
    desk.run = "tales-03"
    with pytest.raises(UsageError, match=r"the same once more .<play.model>."):
        desk.go_on()


def test_an_empty_prompt_says_whose_turn_it_is(desk: Desk) -> None:
    assert placeholder_of(desk) == "how does it begin?"
    written(desk.session, "another's", run="starter")
    assert placeholder_of(desk) == "another model's text · ^n: an empty page"
    written(desk.session, "its own", run=str(desk.run))
    assert placeholder_of(desk) == "how does it begin?"
    assert desk.model is not None
    desk.model, desk.chat = replace(desk.model, turns=TURNS), True
    assert placeholder_of(desk) == "your turn, You: what do you say?"
    desk.submit("hi")
    assert placeholder_of(desk) == "Pip is speaking …"
    desk.chat = False
    assert placeholder_of(desk) == "how does it begin?"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.unlink(),
        lambda path: path.write_text("{"),
        lambda path: path.write_text(json.dumps({"kind": "bytes"})),
        lambda path: path.write_text(json.dumps({"kind": "chars", "symbols": 3})),
        lambda path: path.write_text("[]"),
    ],
)
def test_an_alphabet_is_read_from_the_run_and_where_it_is_unknown_nothing_is_flagged(
    tmp_path: Path, spoil: Callable[[Path], object]
) -> None:
    (tmp_path / "tales").mkdir()
    path = tmp_path / "tales" / "tokenizer.json"
    path.write_text(json.dumps({"version": 1, "kind": "chars", "symbols": "abce'"}))
    knows, instead = alphabet(tmp_path, "tales")
    assert knows is not None and instead is not None
    assert knows("a") and not knows("é")
    assert [instead(char) for char in "éA’λ"] == ["e", "a", "'", ""]
    spoil(path)
    assert alphabet(tmp_path, "tales") == (None, None)
