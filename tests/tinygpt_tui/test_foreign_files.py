"""What a stranger's settings, histories and runs may hold that no program of ours writes: the interface says so in a sentence, and never hangs."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from engine.errors import SettingsError
from engine.runs import RunFolder
from tests.tinygpt_tui.conftest import Outcome
from tinygpt_tui import settings_file
from tinygpt_tui.play.history import History
from tinygpt_tui.play.session import Session
from tinygpt_tui.settings import Settings

ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT"


@pytest.fixture
def path(home: Path) -> Path:
    path = home / "config" / "config.toml"
    path.parent.mkdir(parents=True)
    return path


@pytest.mark.parametrize("version", ["0x" + "f" * 4000, "0b" + "1" * 20_000, "0o" + "7" * 6000, "9" * 4000])
def test_a_version_of_thousands_of_digits_is_a_newer_one(path: Path, version: str) -> None:
    path.write_text(f"version = {version}\n")
    before = path.read_bytes()
    found = settings_file.load(environment={}, path=path)
    assert found.settings == Settings() and "a number of more than 40 digits" in found.warnings[0]
    with pytest.raises(SettingsError, match="left as it is"):
        settings_file.set_value(path, "train.seed", 1)
    assert path.read_bytes() == before


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "text",
    ["a." * 200_000 + "a = 1", "x = {" + "a." * 200_000 + "a = 1}", "[" + "a." * 101 + "a]"],
    ids=range(3),
)
def test_a_name_of_many_parts_is_refused_with_its_line(path: Path, text: str) -> None:
    path.write_text(f"version = 1\n{text}\n")
    for use in (
        lambda: settings_file.load(environment={}, path=path),
        lambda: settings_file.set_value(path, "train.seed", 1),
    ):
        with pytest.raises(SettingsError, match="line 2: it has more than 100 dots"):
            use()


@pytest.mark.timeout(30)
@pytest.mark.parametrize("section", ["[train]\n", ""])
def test_of_a_hundred_thousand_names_that_are_no_settings_some_are_told(path: Path, section: str) -> None:
    path.write_text(section + "\n".join(f"x{number} = 1" for number in range(80_000)))
    assert len(settings_file.load(environment={}, path=path).warnings) == 20


# TOML in the eyes of the library that reads the file, but not in those of the one that keeps its comments.
UNEDITABLE = ("a = " + "[" * 300 + "]" * 300, "k." * 90 + "k = 1", "x = {" + "a = {" * 100 + "}" * 101)


@pytest.mark.parametrize("text", UNEDITABLE, ids=range(len(UNEDITABLE)))
def test_a_file_that_cannot_be_edited_is_changed_as_asked_or_left_as_it_is(path: Path, text: str) -> None:
    path.write_text(text + "\n")
    settings_file.load(environment={}, path=path)
    try:
        settings_file.set_value(path, "train.seed", 3)
    except SettingsError as error:
        assert "change it by hand" in str(error) and path.read_text() == text + "\n"
    else:
        assert settings_file.load(environment={}, path=path).settings.train.seed == 3


def test_what_the_editor_of_settings_raises_is_one_sentence(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_text("version = 1\n")

    def fail(text: str) -> None:
        raise KeyError("out of order")

    monkeypatch.setattr("tomlkit.parse", fail)
    for change in (
        lambda: settings_file.set_value(path, "train.seed", 1),
        lambda: settings_file.unset_value(path, "train.seed"),
    ):
        with pytest.raises(SettingsError, match="cannot be edited safely: change it by hand"):
            change()
    assert path.read_text() == "version = 1\n"


FOREIGN = {
    "a trigger without end": f"CREATE TRIGGER t AFTER INSERT ON session BEGIN INSERT INTO prompt {ENDLESS} max(x), 1 FROM n; END",
    "a view without end": f"DROP TABLE prompt; CREATE VIEW prompt AS {ENDLESS} x AS text, x AS used FROM n",
    "one more view": f"CREATE VIEW more AS {ENDLESS} max(x) FROM n",
    "a trigger that refuses": "CREATE TRIGGER t BEFORE INSERT ON piece BEGIN SELECT RAISE(ABORT, 'no'); END",
    "a virtual table": "CREATE VIRTUAL TABLE more USING fts5(x)",
}


def history_of(path: Path) -> History:
    history = History(path)
    history.begin()
    return history


def keeps(history: History) -> bool:
    session = Session()
    session.type("a new text")
    history.keep(session, now=True)
    return history.flush() and "a new text" in [kept.title for kept in history.sessions()]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("what", FOREIGN)
def test_a_history_that_would_compute_by_itself_is_moved_aside(tmp_path: Path, what: str) -> None:
    path = tmp_path / "history.sqlite"
    history_of(path).close()
    with closing(sqlite3.connect(path)) as file:
        try:
            file.executescript(FOREIGN[what])
        except sqlite3.OperationalError as error:
            pytest.skip(f"this SQLite has none: {error}")
    history = history_of(path)
    assert history.notice.startswith("The history was damaged. It was moved to ") and not history.problem
    assert keeps(history)
    history.close()


def test_a_history_whose_tables_have_no_names_is_moved_aside(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    history_of(path).close()
    data = path.read_bytes()
    assert b"tablepassagepassage" in data
    # What SQLite says of a table that it cannot read names it.
    data = data.replace(b"tablepassagepassage", b"tablep\xc3\xc3sagep\xc3\xc3sage")
    path.write_bytes(data.replace(b"CREATE TABLE passage", b"CREATE TABEL passage"))
    history = history_of(path)
    assert "moved to" in history.notice and not history.problem
    assert keeps(history)
    history.close()


@pytest.mark.timeout(60)
def test_a_pipe_in_the_place_of_the_history_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    os.mkfifo(path)
    history = history_of(path)
    assert history.problem.endswith("so nothing that is written here is kept.")
    assert not keeps(history) and history.sessions() == []
    history.close()
    assert path.is_fifo()


ASKED = [
    '"recipe": [1]',
    '"recipe": "x"',
    '"model": 7',
    '"corpus": "text"',
    '"corpus": [1]',
    '"corpus": {"chars": ' + "9" * 4000 + "}",
]


@pytest.mark.parametrize("asked", ASKED, ids=lambda text: text[:20])
def test_a_run_that_was_only_asked_for_is_shown_whatever_it_asks(
    home: Path, tinygpt: Callable[..., Outcome], asked: str
) -> None:
    folder = RunFolder.create(home / "data" / "runs", "fox", {})
    folder.request.write_text("{" + asked + "}")
    for command in (
        ("runs", "show", "fox"),
        ("runs", "show", "fox", "--json"),
        ("runs", "list"),
        ("runs", "list", "--json"),
    ):
        found = tinygpt(*command)
        assert (found.code, found.err) == (0, ""), command
        assert "fox" in found.out


def test_a_list_of_runs_says_nothing_of_numbers_beyond_all_reason(
    home: Path, tinygpt: Callable[..., Outcome]
) -> None:
    folder = RunFolder.create(home / "data" / "runs", "fox", {})
    huge = "1" + "0" * 400
    folder.run.write_text('{"version": 1, "model": {}, "corpus": {}, "recipe": {}, "params": ' + huge + "}")
    folder.status.write_text(
        '{"pid": 1, "state": "done", "step": 1, "heartbeat": 1, "val_loss": ' + huge + "}"
    )
    found = tinygpt("runs", "list", "--json")
    (row,) = found.lines
    assert (found.code, row["state"], row["params"], row["val_loss"]) == (0, "damaged", None, None)
    assert json.dumps(row).count("000000") == 0
