"""The list of sessions, searching their texts, and the prompts that come back."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tinygpt_tui.play import history as module
from tinygpt_tui.play.history import History
from tinygpt_tui.play.session import Session


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.sqlite"


@pytest.fixture
def history(path: Path) -> Iterator[History]:
    found = History(path)
    found.begin()
    yield found
    found.close()


@pytest.fixture
def keep(history: History) -> Callable[..., Session]:
    """Keeps a session of typed texts."""

    def make(*texts: str) -> Session:
        session = Session()
        for text in texts:
            session.type(text)
            history.keep(session, now=True)
        assert history.flush()
        return session

    return make


def test_sessions_are_listed_with_the_last_used_first(history: History, keep: Callable[..., Session]) -> None:
    one = keep("\n\n  One fox \nsecond line")
    passage = one.write("tales", 7, 1, {})
    for c in " wrote":
        passage.append(c, 0.5, 0.5, 0)
    history.keep(one, now=True)
    keep("Two \ud800" + "x" * 100)
    first, second = history.sessions()
    assert first.title == "Two \ud800" + "x" * 55 and (first.run, first.chars) == ("", 105)
    assert second.title == "One fox " and (second.run, second.chars) == ("tales", 30)
    assert second.created <= second.updated <= first.created <= first.updated
    history.load(second.id).type("!")
    history.close()
    history.begin()
    assert [kept.id for kept in history.sessions()] == [second.id, first.id]
    assert [kept.id for kept in history.sessions(1)] == [second.id]
    last = history.load_last()
    assert last is not None and last.text().endswith("wrote!")


def test_text_is_found_on_every_branch_whatever_its_case(
    history: History, keep: Callable[..., Session]
) -> None:
    session = keep("Once there was a fox. ")
    session.type("He slept in a HOUSE.")
    session.type("She wrote letters.", 22)
    session.type("It was Straße 7.", 22)
    session.undo()
    history.keep(session, now=True)
    keep("Another text.")
    assert history.flush()
    for wanted in ("a house", "SHE WROTE", "strasse", "STRASSE", "straße", "there was"):
        assert [kept.title for kept in history.search(wanted)] == [
            "Once there was a fox. It was Straße 7."
        ], wanted
    assert history.search("hare") == []


def test_text_is_found_across_the_pieces_it_was_written_in(
    history: History, keep: Callable[..., Session]
) -> None:
    session = Session()
    passage = session.write("tales", 7, 1, {})
    for c in "Once upon a time":
        passage.append(c, 0.5, 0.5, 0)
        history.keep(session, now=True)
    assert history.flush() and len(history.search("UPON a t")) == 1


def test_text_is_found_across_what_was_typed_and_what_was_written(
    history: History, keep: Callable[..., Session]
) -> None:
    session = keep("Once u", "pon a ", "time")
    session.type("der an umbrella", 7)  # a branch: Once up|der
    history.keep(session, now=True)
    assert history.flush()
    for wanted in ("once upon a time", "upon", "a t", "once upder an", "pd"):
        assert len(history.search(wanted)) == 1, wanted
    for wanted in ("a der", "timeder", "umbrellaon"):  # on no branch
        assert history.search(wanted) == [], wanted


def test_what_was_found_is_shown_with_what_stands_around_it(
    history: History, keep: Callable[..., Session]
) -> None:
    keep("ß" * 100 + "before the fox and behind it" + "y" * 100)
    keep("İstanbul, ", "the fox lived there")
    (second, first) = history.search("THE FOX")
    assert first.excerpt == "ß" * 23 + "before the fox and behind it" + "y" * 16
    assert second.excerpt == "İstanbul, the fox lived there"


@pytest.mark.parametrize(
    "wanted", ["100%", "a_b", "it's", '"so"', "; DROP TABLE session; --", "\\", "\ud800", "*"]
)
def test_signs_that_mean_something_elsewhere_are_only_text(
    history: History, keep: Callable[..., Session], wanted: str
) -> None:
    keep("nothing of the kind: 100 axb its so")
    assert history.search(wanted) == []
    keep(f"it is {wanted} that")
    assert [kept.excerpt for kept in history.search(wanted)] == [f"it is {wanted} that"]
    assert len(history.sessions()) == 2


def test_no_more_are_found_than_asked_for(history: History, keep: Callable[..., Session]) -> None:
    for n in range(5):
        keep(f"fox {n}")
    assert [kept.title for kept in history.search("fox", 3)] == ["fox 4", "fox 3", "fox 2"]


def test_prompts_come_back_oldest_first_and_once_each(history: History) -> None:
    for text in ("one", "two", "  ", "", "three", "one", "\ud800 four\n", "two"):
        history.add_prompt(text)
    assert history.flush()
    assert history.prompts() == ["three", "one", "\ud800 four\n", "two"]
    history.close()
    history.begin()
    assert history.prompts() == ["three", "one", "\ud800 four\n", "two"]


def test_only_the_last_five_hundred_prompts_are_kept(history: History, path: Path) -> None:
    assert module.MOST_PROMPTS == 500
    for n in range(510):
        history.add_prompt(f"prompt {n}")
    history.add_prompt("prompt 20")
    assert history.flush()
    assert history.prompts() == [f"prompt {n}" for n in range(10, 510) if n != 20] + ["prompt 20"]
    with closing(sqlite3.connect(path)) as spy:
        assert spy.execute("SELECT count(*) FROM prompt").fetchone() == (500,)
