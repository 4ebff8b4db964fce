"""What is written with a model is kept as it grows, in new rows only, and comes back in every detail."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tinygpt_tui.play.history import History
from tinygpt_tui.play.passage import Change, Passage
from tinygpt_tui.play.session import Session


class Clock:
    """Seconds that pass only when they are told to, or a whole one at every look."""

    def __init__(self, hurries: bool = False) -> None:
        self.now = 0.0
        self.hurries = hurries

    def __call__(self) -> float:
        self.now += self.hurries
        return self.now


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "history.sqlite"


@pytest.fixture
def history(path: Path) -> Iterator[History]:
    """One that keeps at every call."""
    found = History(path, Clock(hurries=True))
    found.begin()
    assert not found.problem
    yield found
    found.close()


def again(path: Path) -> History:
    """Another interface, later."""
    found = History(path)
    found.begin()
    assert not found.problem and not found.notice
    return found


def facts(session: Session) -> dict[str, Any]:
    """All that a session consists of, in plain values."""

    def of(passage: Passage) -> tuple[Any, ...]:
        return (
            passage.number,
            passage.parent.number if passage.parent else None,
            passage.offset,
            passage.kind,
            passage.run,
            passage.step,
            passage.seed,
            dict(passage.settings),
            passage.text.slice(0, passage.length),
            list(passage.lengths),
            list(passage.p),
            list(passage.raw),
            list(passage.rank),
            [(change.token, dict(change.settings)) for change in passage.changes],
            passage.reason,
            [child.number for child in passage.children],
        )

    return {
        "passages": [of(passage) for passage in session.all],
        "leaf": session.leaf.number,
        "done": session.done,
        "undone": session.undone,
        "shown": session.text(),
        "marks": session.marks(),
    }


def write(
    session: Session, text: str, *, reason: str = "stop", at: int | None = None, **more: Any
) -> Passage:
    """A written passage with a token a character."""
    settings = {"temperature": 0.8, "top_k": 40, "chars_per_s": None}
    told = {"run": "tales", "step": 7, "seed": 1, "settings": settings} | more
    passage = session.write(told["run"], told["step"], told["seed"], told["settings"], at)
    for n, c in enumerate(text):
        passage.append(c, 0.5 / (n + 1), 0.25, n)
    passage.reason = reason
    return passage


def eventful() -> Session:
    """Branches, changes, undone acts, tokens of no and of several characters, lone surrogates, and the largest numbers."""
    session = Session()
    session.begin_act()
    session.type("Once\n\ud800 upon \U0001f98a é e\u0301 \x00\x1b[31m")
    passage = write(session, "", seed=2**64 - 1, step=2**53, reason="length")
    for text, p, raw, rank in (
        ("ab", 0.125, 1.0, 0),
        ("", 0.0, 1e-30, 65_535),
        ("\udfff", 1.0, 0.1, 1_000_000),
        ("ß\U0001f98a", 0.3, 0.7, 3),
    ):
        passage.append(text, p, raw, rank)
    passage.changes += [
        Change(0, {"temperature": 0.1}),
        Change(2, {"weights": 1200.0, "top_p": None}),
        Change(4, {"top_k": 0, "chars_per_s": 12.5}),
    ]
    session.begin_act()
    write(session, " lived a fox", at=6, run="other", settings={})
    session.begin_act()
    session.type("!")
    session.begin_act()
    write(session, " at the very beginning", at=0, reason="")
    session.undo()
    session.undo()
    session.switch(1)
    session.undo()
    return session


def test_a_session_comes_back_in_every_detail(history: History, path: Path) -> None:
    session = eventful()
    assert session.undone and len({passage.offset for passage in session.all}) > 3
    history.keep(session)
    session.all[-1].reason = "stopped"  # the last passage had not ended when it was kept first
    history.close()
    later = again(path)
    loaded = later.load_last()
    later.close()
    assert loaded is not None and facts(loaded) == facts(session)


@pytest.mark.parametrize("seed", range(6))
def test_whatever_is_done_between_two_times_of_keeping_comes_back(
    history: History, path: Path, seed: int
) -> None:
    dice = random.Random(seed)
    session = Session()
    for _ in range(60):
        at = dice.randrange(session.length + 1) if dice.random() < 0.4 else None
        match dice.randrange(6):
            case 0:
                session.begin_act()
                session.type(dice.choice(("", "a word ", "\ud834", "two\nlines")), at)
            case 1 | 2:
                session.begin_act()
                passage = write(session, "", at=at, seed=dice.getrandbits(64), reason="")
                for _ in range(dice.randrange(5)):
                    passage.append(dice.choice(("x", "", "yz", "é\udc00")), dice.random(), dice.random(), 3)
                    history.keep(session)
                    if dice.random() < 0.3:
                        passage.changes.append(Change(passage.tokens, {"temperature": dice.random()}))
                passage.reason = dice.choice(("stop", "length"))
            case 3:
                session.undo()
            case 4:
                session.redo()
            case _:
                session.switch(dice.choice((1, -1)))
        if dice.random() < 0.5:
            history.keep(session)
    history.close()
    later = again(path)
    loaded = later.load_last()
    later.close()
    assert loaded is not None and facts(loaded) == facts(session)


def test_what_is_loaded_goes_on_under_its_number(history: History, path: Path) -> None:
    session = eventful()
    history.keep(session)
    history.close()
    for n in range(3):
        later = again(path)
        loaded = later.load_last()
        assert loaded is not None
        write(loaded, f" and on {n}")
        session = loaded
        later.keep(loaded, now=True)
        later.close()
    later = again(path)
    (kept,) = later.sessions()
    assert facts(later.load(kept.id)) == facts(session)
    assert kept.chars == sum(passage.length for passage in session.all)
    later.close()


def test_a_growing_passage_becomes_new_rows_and_never_rewrites_old_ones(history: History, path: Path) -> None:
    with closing(sqlite3.connect(path)) as spy, spy:
        spy.execute("CREATE TABLE seen (kind TEXT, bytes INTEGER)")
        for table in ("piece", "change", "passage"):
            same = "seq = NEW.seq AND passage = NEW.passage" if table != "passage" else "number = NEW.number"
            bytes_ = "length(NEW.text) + length(NEW.lengths) + length(NEW.p)" if table == "piece" else "0"
            for when in ("INSERT", "UPDATE"):
                spy.execute(
                    f"CREATE TRIGGER {table}_{when} BEFORE {when} ON {table} BEGIN INSERT INTO seen SELECT CASE WHEN EXISTS "
                    f"(SELECT 1 FROM {table} WHERE session = NEW.session AND {same}) THEN 'old {table}' ELSE 'new {table}' END, {bytes_}; END"
                )
    session = Session()
    session.type("Once ")
    passage = session.write("tales", 7, 1, {})
    for n in range(1000):
        passage.append("abcdefgh"[n % 8], 0.5, 0.5, 0)
        if n % 10 == 9:
            passage.changes.append(Change(passage.tokens, {"temperature": n / 1000}))
            history.keep(session)
    assert history.flush()
    with closing(sqlite3.connect(path)) as spy:
        counts = dict(spy.execute("SELECT kind, count(*) FROM seen GROUP BY kind"))
        (written,) = spy.execute("SELECT sum(bytes) FROM seen").fetchone()
    assert counts == {"new piece": 101, "new change": 100, "new passage": 3}
    assert written == 5 + 1000 * (1 + 2 + 4)


def test_a_growing_text_is_committed_four_times_a_second_at_most(path: Path) -> None:
    clock = Clock()
    history = History(path, clock)
    history.begin()
    with closing(sqlite3.connect(path)) as spy, spy:
        spy.execute("CREATE TABLE seen (at INTEGER)")
        for when in ("INSERT", "UPDATE"):
            spy.execute(
                f"CREATE TRIGGER on_{when} AFTER {when} ON session BEGIN INSERT INTO seen VALUES (1); END"
            )
    session = Session()
    passage = session.write("tales", 7, 1, {})
    for tick in range(160):  # five seconds
        clock.now = tick / 32
        passage.append("x", 0.5, 0.5, 0)
        history.keep(session)
        assert history.flush()
    with closing(sqlite3.connect(path)) as spy:
        assert spy.execute("SELECT count(*) FROM seen").fetchone() == (20,)
    history.close()


def test_nothing_is_written_while_nothing_is_new(history: History, path: Path) -> None:
    session = eventful()
    history.keep(session)
    assert history.flush()
    with closing(sqlite3.connect(path)) as spy:
        before = spy.execute("PRAGMA data_version").fetchone()
        for _ in range(5):
            history.keep(session)
        assert history.flush()
        assert spy.execute("PRAGMA data_version").fetchone() == before
        session.undo()
        history.keep(session)
        assert history.flush()
        assert spy.execute("PRAGMA data_version").fetchone() != before


def test_an_empty_page_is_not_kept(history: History) -> None:
    history.keep(Session())
    assert history.flush() and history.sessions() == [] and history.load_last() is None


def test_closing_writes_what_is_left(path: Path) -> None:
    history = History(path, Clock())
    history.begin()
    session = Session()
    passage = session.write("tales", 7, 1, {})
    passage.append("a", 0.5, 0.5, 0)
    history.keep(session)
    passage.append("b", 0.5, 0.5, 0)
    history.keep(session)  # too early
    history.close()
    later = again(path)
    loaded = later.load_last()
    later.close()
    assert loaded is not None and loaded.text() == "ab"


def test_a_session_that_did_not_end_says_that_it_was_cut_off(history: History, path: Path) -> None:
    session = Session()
    write(session, "Once upon", reason="")
    history.keep(session)
    history.close()
    later = again(path)
    loaded = later.load_last()
    assert loaded is not None and loaded.leaf.reason == "cut off"
    assert [s.passage.reason for s in loaded.segments] == ["typed", "cut off"]
    later.close()


@pytest.mark.parametrize("order", ["keep, load, keep", "load, keep"])
def test_going_to_and_fro_between_sessions_makes_no_copies(history: History, path: Path, order: str) -> None:
    one, two = Session(), Session()
    one.type("one")
    history.keep(one)
    two.type("two")
    history.keep(two)
    assert history.flush()
    ids = {kept.title: kept.id for kept in history.sessions()}
    current = two
    for turn in range(4):
        write(current, f" {turn}")
        if order.startswith("keep"):
            history.keep(current, now=True)
        loaded = history.load(ids["one"] if turn % 2 == 0 else ids["two"])
        history.keep(current, now=True)  # what is left behind, whoever keeps it and when
        history.keep(loaded)
        current = loaded
    assert history.flush()
    assert {kept.id for kept in history.sessions()} == set(ids.values())
    history.close()
    later = again(path)
    assert later.load(ids["one"]).text() == "one 1 3"
    assert later.load(ids["two"]).text() == "two 0 2"
    later.close()


def test_opening_the_session_that_is_open_gives_the_very_one(history: History) -> None:
    session = Session()
    passage = write(session, "Once", reason="")
    history.keep(session)
    assert history.flush()
    passage.append("!", 0.5, 0.5, 0)  # not kept yet
    assert history.load(history.sessions()[0].id) is session


def test_nothing_is_kept_or_found_before_it_begins_and_after_it_ends(path: Path) -> None:
    history = History(path)
    session = eventful()
    history.keep(session, now=True)
    history.add_prompt("Once")
    assert (history.sessions(), history.prompts(), history.search("o")) == ([], [], [])
    assert history.load_last() is None and not path.parent.exists()
    history.begin()
    history.begin()
    history.keep(session)
    history.close()
    history.close()
    history.keep(session, now=True)
    assert history.sessions() == []


def test_a_session_goes_on_under_its_number_when_the_file_is_opened_again(history: History) -> None:
    session = Session()
    session.type("one")
    history.keep(session)
    history.close()
    history.begin()
    write(session, " and more")
    history.keep(session)
    assert history.flush()
    assert [kept.chars for kept in history.sessions()] == [12]


@pytest.mark.parametrize("piece", [500, 4])  # 2,000 characters a second, and 16
def test_a_hundred_thousand_characters_reload_exactly_at_64_bytes_each(
    history: History, path: Path, piece: int
) -> None:
    dice = random.Random(piece)
    session = Session()
    session.type("Once ")
    passage = session.write("tales", 7, 1, {"temperature": 0.8})
    for n in range(120_000):
        passage.append(dice.choice("etaoin shrdlu"), dice.random(), dice.random(), n % 300)
        if passage.tokens % piece == 0:
            history.keep(session)
    passage.reason = "stop"
    history.close()
    assert path.stat().st_size <= 64 * 120_000
    assert not path.with_name(path.name + "-wal").exists()
    later = again(path)
    loaded = later.load_last()
    later.close()
    assert loaded is not None and facts(loaded) == facts(session)


def test_only_its_owner_may_read_it(history: History, path: Path) -> None:
    history.keep(eventful())
    assert history.flush()
    assert {file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {0o600}
