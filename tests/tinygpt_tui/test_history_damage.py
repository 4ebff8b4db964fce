"""A history that is damaged, foreign or hostile is moved aside or left alone with a sentence; it never raises anything else."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from engine.errors import UsageError
from tinygpt_tui.play.export import export
from tinygpt_tui.play.history import History
from tinygpt_tui.play.passage import Change
from tinygpt_tui.play.session import Session


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A history with a session of several branches (1), a simple one (2) and a prompt."""
    path = tmp_path_factory.mktemp("made") / "history.sqlite"
    history = opened(path)
    session = Session()
    session.begin_act()
    session.type("Once ")
    passage = session.write("tales", 7, 1, {"temperature": 0.8})
    for c in ("u", "p", "on", "", " a"):
        passage.append(c, 0.5, 0.5, 3)
    passage.changes.append(Change(2, {"temperature": 0.5}))
    passage.reason = "stop"
    session.begin_act()
    session.type("!", 6)
    session.begin_act()
    session.type("?")
    session.undo()
    history.keep(session, now=True)
    other = Session()
    other.type("simple")
    history.keep(other, now=True)
    history.add_prompt("Once")
    history.close()
    assert not history.problem
    return path


@pytest.fixture
def path(tmp_path: Path, made_once: Path) -> Path:
    """This test's own copy of it."""
    return Path(shutil.copy(made_once, tmp_path))


def opened(path: Path) -> History:
    found = History(path)
    found.begin()
    return found


def works(history: History) -> bool:
    """Whether a text is kept and found again."""
    session = Session()
    session.type("a new text")
    history.keep(session, now=True)
    return history.flush() and "a new text" in [kept.title for kept in history.sessions()]


def is_useless_but_harmless(history: History) -> None:
    """Nothing is kept, one sentence says so, and whatever is asked has an answer."""
    assert history.problem.count("\n") == 0 and history.problem.endswith(".")
    session = Session()
    session.type("a new text")
    history.keep(session, now=True)
    history.add_prompt("a prompt")
    history.flush()
    assert history.sessions() == history.search("a") == history.prompts() == []
    assert history.load_last() is None
    with pytest.raises(UsageError):
        history.load(1)
    assert session.text() == "a new text"
    history.close()


def overwrite(at: int, data: bytes) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with path.open("r+b") as file:
            file.seek(at)
            file.write(data)

    return change


def sql(*statements: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection, connection:
            for statement in statements:
                connection.execute(statement)

    return change


DAMAGES: dict[str, Callable[[Path], None]] = {
    "garbage": lambda path: path.write_bytes(bytes(range(256)) * 50) and None,
    "a word": lambda path: path.write_bytes(b"no database") and None,
    "a wrong header": overwrite(0, b"SQLite format 9\0"),
    "a wrong page size": overwrite(16, b"\x00\x03"),
    "cut in the middle": lambda path: os.truncate(path, path.stat().st_size // 2),
    "cut in the first page": lambda path: os.truncate(path, 1000),
    "garbage behind the header": overwrite(100, b"\xff" * 4000),
    "garbage in a table": overwrite(3 * 4096, b"\xff" * 2 * 4096),
    "no session table": sql("DROP TABLE session"),
    "no piece table": sql("DROP TABLE piece"),
    "no prompt table": sql("DROP TABLE prompt"),
    "a column of another name": sql("ALTER TABLE piece RENAME COLUMN raw TO cooked"),
    "a column more": sql("ALTER TABLE session ADD COLUMN more"),
    "numbers that are words": sql("DROP TABLE session", "CREATE TABLE session (id TEXT, created, updated, title, run, chars, view)"),
    "a view for a table": sql("DROP TABLE prompt", "CREATE VIEW prompt AS SELECT 'x' AS text, 1 AS used"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_moved_aside_whole_and_a_new_one_begun(path: Path, damage: str) -> None:
    DAMAGES[damage](path)
    before = path.read_bytes()
    history = opened(path)
    assert not history.problem
    (aside,) = (file for file in path.parent.glob("*.damaged-*") if file.name[-4:] not in ("-wal", "-shm"))
    assert history.notice == f"The history was damaged. It was moved to {aside}, and a new one is begun."
    assert len(aside.read_bytes()) == len(before)
    assert history.sessions() == [] and works(history)
    history.close()
    later = opened(path)
    assert not later.notice and len(later.sessions()) == 1
    later.close()


def test_what_was_moved_aside_before_stays(path: Path) -> None:
    for n in range(3):
        path.write_bytes(b"garbage %d" % n)
        opened(path).close()
    found = sorted(file.read_bytes() for file in path.parent.glob("*.damaged-*"))
    assert found == [b"garbage 0", b"garbage 1", b"garbage 2"]


def test_a_file_that_cannot_be_moved_aside_is_left_alone(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_bytes(b"garbage")

    def refuse(*_: object) -> None:
        raise PermissionError("not here")

    monkeypatch.setattr(Path, "rename", refuse)
    history = opened(path)
    assert "damaged" in history.problem
    is_useless_but_harmless(history)
    assert path.read_bytes() == b"garbage"


def test_a_log_of_garbage_costs_nothing_that_was_in_the_file(path: Path) -> None:
    path.with_name(path.name + "-wal").write_bytes(b"garbage" * 1000)
    history = opened(path)
    assert not history.problem and not history.notice
    assert len(history.sessions()) == 2 and works(history)
    history.close()


def test_an_empty_file_becomes_a_history(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    path.touch()
    history = opened(path)
    assert not history.problem and not history.notice and works(history)
    history.close()


@pytest.mark.parametrize("with_log", [False, True])
def test_a_file_of_a_later_version_is_left_untouched(path: Path, tmp_path: Path, with_log: bool) -> None:
    folder = tmp_path / "later"
    folder.mkdir()
    later = folder / path.name
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("PRAGMA user_version = 2")
        connection.execute("ALTER TABLE session ADD COLUMN colour TEXT")
        connection.commit()
        if with_log:  # as a kill leaves it
            shutil.copy(path.with_name(path.name + "-wal"), folder)
            shutil.copy(path, later)
    if not with_log:
        shutil.copy(path, later)
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert len(before) == 1 + with_log
    history = opened(later)
    assert "later version of tinygpt" in history.problem and not history.notice
    is_useless_but_harmless(history)
    assert {name: (folder / name).read_bytes() for name in before} == before


def test_a_database_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    sql("CREATE TABLE session (colour TEXT)", "INSERT INTO session VALUES ('red')")(path)
    history = opened(path)
    assert "cannot be used" in history.problem
    is_useless_but_harmless(history)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT * FROM session").fetchall() == [("red",)]


@pytest.mark.parametrize("suffix", ["", "-wal", ".lock"])
def test_a_folder_in_the_place_of_a_file_is_left_alone(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "history.sqlite"
    place = path.with_suffix(".lock") if suffix == ".lock" else path.with_name(path.name + suffix)
    place.mkdir()
    is_useless_but_harmless(opened(path))
    assert place.is_dir()


def test_a_file_in_the_place_of_the_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("mine")
    is_useless_but_harmless(opened(tmp_path / "data" / "history.sqlite"))
    assert (tmp_path / "data").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
@pytest.mark.parametrize("mode", [0o000, 0o200])
def test_a_file_that_may_not_be_read_is_left_alone(path: Path, mode: int) -> None:
    before = path.read_bytes()
    path.chmod(mode)
    is_useless_but_harmless(opened(path))
    path.chmod(0o600)
    assert path.read_bytes() == before


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_file_that_may_only_be_read_is_read_and_the_rest_is_told(path: Path) -> None:
    before = path.read_bytes()
    path.chmod(0o400)
    history = opened(path)
    assert len(history.sessions()) == 2 and history.prompts() == ["Once"]
    assert not works(history)
    assert "not being kept" in history.problem and history.problem.endswith(".")
    assert len(history.sessions()) == 2 and history.load(2).text() == "simple"
    history.close()
    assert path.read_bytes() == before


def test_a_file_that_vanishes_is_told_and_raises_nothing(path: Path, tmp_path: Path) -> None:
    history = opened(path)
    path.parent.rename(tmp_path.with_name("elsewhere"))
    assert history.sessions() == history.search("a") == history.prompts() == []
    assert "cannot be read" in history.problem and history.load_last() is None
    with pytest.raises(UsageError, match="Session 1 cannot be read"):
        history.load(1)
    tmp_path.with_name("elsewhere").rename(path.parent)
    assert len(history.sessions()) == 2
    history.close()


# Rows that no history wrote; what is changed, and whether a session can still be made of it.

PIECE = "UPDATE piece SET {} WHERE session = 1 AND passage = 2"
PASSAGE = "UPDATE passage SET {} WHERE session = 1 AND number = 2"
VIEW = {"leaf": 3, "done": [0, 2], "undone": [4]}
DEEP = "[" * 100_000
HOSTILE: dict[str, tuple[str, bool]] = {
    "its own parent": (PASSAGE.format("parent = 2"), False),
    "a parent that comes later": (PASSAGE.format("parent = 3"), False),
    "no parent": (PASSAGE.format("parent = -1"), False),
    "a parent below all": (PASSAGE.format("parent = -7"), False),
    "half a parent": (PASSAGE.format("parent = 0.5"), False),
    "a named parent": (PASSAGE.format("parent = 'root'"), False),
    "an offset behind the text": (PASSAGE.format("offset = 6"), False),
    "an offset before the text": (PASSAGE.format("offset = -1"), False),
    "a huge offset": (PASSAGE.format("offset = 9223372036854775807"), False),
    "no offset": (PASSAGE.format("offset = NULL"), False),
    "another kind": (PASSAGE.format("kind = 'sung'"), False),
    "a run that is a blob": (PASSAGE.format("run = x'ff00'"), True),
    "no run": (PASSAGE.format("run = NULL"), True),
    "a step below 0": (PASSAGE.format("step = -1"), False),
    "a step that is no number": (PASSAGE.format("step = 'x'"), False),
    "an endless step": (PASSAGE.format("step = 9e999"), False),
    "a huge seed": (PASSAGE.format("seed = '18446744073709551616'"), False),
    "an endless seed": (PASSAGE.format(f"seed = '{'9' * 10_000}'"), False),
    "a seed that is none": (PASSAGE.format("seed = 'x'"), False),
    "no seed": (PASSAGE.format("seed = NULL"), False),
    "settings that are a list": (PASSAGE.format("settings = '[]'"), False),
    "settings that are text": (PASSAGE.format("""settings = '{"temperature": "hot"}'"""), False),
    "settings that are true": (PASSAGE.format("""settings = '{"temperature": true}'"""), False),
    "settings without end": (PASSAGE.format("""settings = '{"temperature": 1e999, "top_k": NaN}'"""), True),
    "settings beyond floats": (PASSAGE.format(f"""settings = '{{"top_k": {"9" * 400}}}'"""), False),
    "settings that are no JSON": (PASSAGE.format("settings = 'x'"), False),
    "settings that are deep": (PASSAGE.format(f"settings = '{DEEP}'"), False),
    "no settings": (PASSAGE.format("settings = NULL"), False),
    "a reason that is a number": (PASSAGE.format("reason = 7.5"), True),
    "no reason": (PASSAGE.format("reason = NULL"), True),
    "a passage that is missing": ("DELETE FROM passage WHERE session = 1 AND number = 2", False),
    "no root": ("DELETE FROM passage WHERE session = 1 AND number = 0", False),
    "no passages": ("DELETE FROM passage WHERE session = 1", False),
    "no pieces": ("DELETE FROM piece WHERE session = 1", False),
    "half a length": (PIECE.format("lengths = x'01'"), False),
    "a length too many": (PIECE.format("lengths = lengths || x'0100'"), False),
    "lengths beyond the text": (PIECE.format("lengths = x'ffffffffffffffffffff'"), False),
    "text that is longer": (PIECE.format("text = CAST('much longer' AS BLOB)"), False),
    "text that is none": (PIECE.format("text = x'ff80'"), False),
    "text that is text": (PIECE.format("text = 'upon a'"), False),
    "no text": (PIECE.format("text = NULL"), False),
    "figures that are no numbers": (PIECE.format("p = x'0000c07f0000807f000080ff0000c07f0000c07f', raw = p"), True),
    "fewer figures": (PIECE.format("rank = x''"), False),
    "figures that are a number": (PIECE.format("raw = 7"), False),
    "a piece that is missing": (PIECE.format("seq = 1"), False),
    "a piece of nothing": ("INSERT INTO piece VALUES (1, 77, 0, x'', x'', x'', x'', x'')", False),
    "a piece before all": ("INSERT INTO piece VALUES (1, -1, 0, x'', x'', x'', x'', x'')", False),
    "a change of nothing": ("UPDATE change SET passage = 77", False),
    "a change that is missing": ("UPDATE change SET seq = 3", False),
    "a change before all": ("UPDATE change SET token = -1", False),
    "a change behind all": ("UPDATE change SET token = 9223372036854775807", True),
    "a change that is none": ("UPDATE change SET settings = '7'", False),
    "a leaf behind all": (json.dumps(VIEW | {"leaf": 77}), False),
    "a leaf before all": (json.dumps(VIEW | {"leaf": -1}), False),
    "half a leaf": (json.dumps(VIEW | {"leaf": 0.5}), False),
    "no leaf": (json.dumps({"done": [], "undone": []}), False),
    "a way back to nowhere": (json.dumps(VIEW | {"done": [0, 77]}), False),
    "a way back over a half": (json.dumps(VIEW | {"undone": [0.5]}), False),
    "a way back that is a word": (json.dumps(VIEW | {"done": "012"}), False),
    "a way back that is null": (json.dumps(VIEW | {"done": None}), False),
    "a view that is a list": ("[]", False),
    "a view that is a number": ("1e999", False),
    "a view that is deep": (DEEP, False),
    "a view that is no JSON": ("leaf", False),
}  # fmt: skip


def use(session: Session) -> None:
    """Everything one does with a session, in all its places."""
    for number in range(len(session.all)):
        session.restore(number, [], [])
        session.text(), session.marks(), session.spans(), session.branches()
        session.probabilities(0, session.length)
        for at in range(session.length):
            assert session.place(at) is not None
            session.settings_at(at)
        for kind in ("md", "txt", "jsonl"):
            export(session, kind)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("what", HOSTILE)
def test_rows_that_no_history_wrote_give_a_session_that_holds_together_or_a_sentence(
    path: Path, what: str
) -> None:
    statement, good = HOSTILE[what]
    with closing(sqlite3.connect(path)) as connection, connection:
        if statement.split()[0] in ("UPDATE", "DELETE", "INSERT"):
            assert connection.execute(statement).rowcount > 0
        else:
            connection.execute("UPDATE session SET view = ? WHERE id = 1", (statement,))
    history = opened(path)
    assert not history.problem and not history.notice
    assert len(history.sessions()) == 2 and len(history.search("simple")) == 1
    history.search("upon a")
    if good:
        session = history.load(1)
        while session.undo():
            pass
        while session.redo():
            pass
        use(session)
        session.type(" and on")
        history.keep(session, now=True)
    else:
        with pytest.raises(UsageError, match=r"^Session 1 is damaged and cannot be opened(: [^\n]*)?\.$"):
            history.load(1)
        other = history.load_last()
        assert other is not None and other.text() == "simple"
    assert works(history)
    history.close()


@pytest.mark.parametrize("id", [77, 0, -1, 2**63, -(2**70)])
def test_a_session_that_does_not_exist_cannot_be_loaded(path: Path, id: int) -> None:
    history = opened(path)
    with pytest.raises(UsageError, match=rf"^There is no session {id}\.$"):
        history.load(id)
    history.close()


@pytest.mark.parametrize(
    "change",
    ["title = NULL", "title = x'ff'", "title = 7", "run = x'ff'", "run = NULL", "chars = 'many'", "created = NULL",
     "updated = 'x'", "updated = 9e999", "chars = 9e999", "view = NULL", "id = 9223372036854775807", "id = -9223372036854775808"],
)  # fmt: skip
def test_a_list_of_sessions_with_foreign_values_is_still_a_list(path: Path, change: str) -> None:
    sql(
        f"UPDATE session SET {change} WHERE id = 1",
        "INSERT INTO prompt VALUES (7, 'x')",
        "INSERT INTO prompt VALUES (x'ff', NULL)",
    )(path)
    history = opened(path)
    found = history.sessions()
    assert len(found) == 2
    for kept in found:
        assert isinstance(kept.title, str) and isinstance(kept.run, str)
        assert (
            isinstance(kept.created, float)
            and isinstance(kept.updated, float)
            and isinstance(kept.chars, int)
        )
    assert "Once" in history.prompts() and all(isinstance(text, str) for text in history.prompts())
    assert works(history) and len(history.sessions()) == 3
    history.close()
