"""A session as rows of tables and back: what is new since the last time, the whole, and where a text stands.

A passage that grows becomes one row more each time, never a longer one, so keeping a long text costs what is new. Whatever stands in
the rows, reading gives a session that holds together or one sentence. Left out: files, threads and locks (`tinygpt_tui.play.history`).
"""

from __future__ import annotations

import contextlib
import json
import math
import sqlite3
import sys
from array import array
from dataclasses import dataclass
from typing import Any

from engine.errors import UsageError
from tinygpt_tui.play.passage import Change, Passage, Settings
from tinygpt_tui.play.session import Session

MOST_WHOLE = 2**63 - 1
CUT_OFF = "cut off"  # why a passage ended whose interface did not live to say so

TABLES = """
CREATE TABLE session (id INTEGER PRIMARY KEY, created REAL, updated REAL, title BLOB, run TEXT, chars INTEGER, view TEXT);
CREATE TABLE passage (session INTEGER, number INTEGER, parent INTEGER, offset INTEGER, kind TEXT, run TEXT, step INTEGER, seed TEXT,
  settings TEXT, reason TEXT, PRIMARY KEY (session, number)) WITHOUT ROWID;
CREATE TABLE piece (session INTEGER, passage INTEGER, seq INTEGER, text BLOB, lengths BLOB, p BLOB, raw BLOB, rank BLOB,
  PRIMARY KEY (session, passage, seq));
CREATE TABLE change (session INTEGER, passage INTEGER, seq INTEGER, token INTEGER, settings TEXT,
  PRIMARY KEY (session, passage, seq)) WITHOUT ROWID;
CREATE TABLE prompt (text BLOB PRIMARY KEY, used REAL) WITHOUT ROWID;
"""

Row = tuple[str, tuple[Any, ...]]  # a statement and its values


@dataclass
class Saved:
    """How much of a passage has been handed to the writer."""

    reason: str
    chars: int = 0
    tokens: int = 0
    changes: int = 0
    pieces: int = 0


SESSION = (
    "INSERT INTO session VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
    "updated = excluded.updated, title = excluded.title, run = excluded.run, chars = excluded.chars, view = excluded.view"
)
PASSAGE = "INSERT OR REPLACE INTO passage VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
PIECE = "INSERT OR REPLACE INTO piece VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
CHANGE = "INSERT OR REPLACE INTO change VALUES (?, ?, ?, ?, ?)"


def _header(passage: Passage) -> tuple[Any, ...]:
    parent = passage.parent.number if passage.parent else -1
    settings = json.dumps(dict(passage.settings))
    seed = str(passage.seed)  # up to 2^64 - 1, which is no integer of SQLite's
    return (
        passage.number,
        parent,
        passage.offset,
        passage.kind,
        plain(passage.run),
        passage.step,
        seed,
        settings,
        plain(passage.reason),
    )


def news_of(id: int, passage: Passage, saved: Saved) -> list[Row]:
    """Statements for what a passage has gained since it was saved last."""
    rows: list[Row] = []
    if passage.length > saved.chars or passage.tokens > saved.tokens:
        first = saved.tokens
        figures = (passage.lengths, passage.p, passage.raw, passage.rank)
        blobs = [_packed(column[first:]) for column in figures]
        text = to_bytes(passage.text.slice(saved.chars, passage.length))
        rows.append((PIECE, (id, passage.number, saved.pieces, text, *blobs)))
        saved.chars, saved.tokens, saved.pieces = passage.length, passage.tokens, saved.pieces + 1
    for seq in range(saved.changes, len(passage.changes)):
        change = passage.changes[seq]
        rows.append((CHANGE, (id, passage.number, seq, change.token, json.dumps(dict(change.settings)))))
    saved.changes = len(passage.changes)
    if passage.reason != saved.reason:
        saved.reason = passage.reason
        rows.append((PASSAGE, (id, *_header(passage))))
    return rows


def read_session(connection: sqlite3.Connection, id: int) -> tuple[Session, list[Saved], float]:
    """A session, what of it is saved, and when it was used last.

    Raises:
        UsageError: there is none of this number, or what is there makes no session.
    """
    if abs(id) > MOST_WHOLE:
        raise UsageError(f"There is no session {id}.")
    row = connection.execute("SELECT view, updated FROM session WHERE id = ?", (id,)).fetchone()
    if row is None:
        raise UsageError(f"There is no session {id}.")
    damaged = f"Session {id} is damaged and cannot be opened"
    try:
        session = Session()
        session.all = _read_passages(connection, id)
        saved = _read_texts(connection, id, session.all)
        view = json.loads(row[0])
        places = (view["leaf"], *view["done"], *view["undone"])
        for number in places:
            _whole(number, len(session.all) - 1, "place")
        session.restore(view["leaf"], view["done"], view["undone"])
    except _Damage as damage:
        raise UsageError(f"{damaged}: {damage}.") from damage
    except sqlite3.Error:
        raise
    except Exception as error:  # there is no end to what rows may hold that are not ours
        raise UsageError(f"{damaged}.") from error
    return session, saved, row[1]


class _Damage(Exception):
    """What is wrong with a session, in a few words."""


def _read_passages(connection: sqlite3.Connection, id: int) -> list[Passage]:
    """The passages without their texts."""
    found: list[Passage] = []
    for number, parent, offset, kind, run, step, seed, settings, reason in connection.execute(
        "SELECT number, parent, offset, kind, run, step, seed, settings, reason FROM passage WHERE session = ? ORDER BY number",
        (id,),
    ):
        if number != len(found) or kind not in ("typed", "written"):
            raise _Damage(f"passage {len(found)} is missing")
        above = found[_whole(parent, number - 1, "parent")] if number else None
        passage = Passage(
            number,
            above,
            _whole(offset, MOST_WHOLE, "offset"),
            kind,
            str(run),
            _whole(step, MOST_WHOLE, "step"),
            _whole(int(seed), 2**64 - 1, "seed"),
            _settings(settings),
            reason=str(reason or CUT_OFF),
        )
        if above is not None:
            above.children.append(passage)
        found.append(passage)
    return found


def _read_texts(connection: sqlite3.Connection, id: int, passages: list[Passage]) -> list[Saved]:
    """Puts text and changes into passages; how much of each is saved."""
    saved = [Saved(passage.reason) for passage in passages]
    last = len(passages) - 1
    for number, seq, data, *figures in connection.execute(
        "SELECT passage, seq, text, lengths, p, raw, rank FROM piece WHERE session = ? ORDER BY passage, seq",
        (id,),
    ):
        passage, state = passages[_whole(number, last, "passage")], saved[number]
        if seq != state.pieces:
            raise _Damage(f"a piece of passage {number} is missing")
        columns = [_unpacked(kind, blob) for kind, blob in zip("HffH", figures, strict=True)]
        passage.extend(to_text(data), *columns)
        state.pieces += 1
    for number, seq, token, settings in connection.execute(
        "SELECT passage, seq, token, settings FROM change WHERE session = ? ORDER BY passage, seq", (id,)
    ):
        passage = passages[_whole(number, last, "passage")]
        if seq != len(passage.changes):
            raise _Damage(f"a change of passage {number} is missing")
        passage.changes.append(Change(_whole(token, MOST_WHOLE, "token"), _settings(settings)))
    for passage, state in zip(passages, saved, strict=True):
        state.chars, state.tokens, state.changes = passage.length, passage.tokens, len(passage.changes)
    return saved


def _whole(value: object, most: int, what: str) -> int:
    if type(value) is not int or not 0 <= value <= most:
        raise _Damage(f"a {what} in it cannot be")
    return value


def _settings(data: str) -> Settings:
    """Numbers by name; what is not finite counts as not known."""
    found = json.loads(data)
    if not isinstance(found, dict):
        raise _Damage("some settings in it are none")
    for name, value in found.items():
        if value is not None and type(value) not in (int, float):
            raise _Damage("some settings in it are no numbers")
        if value is not None and not math.isfinite(value):
            found[name] = None
    return found


def find_text(connection: sqlite3.Connection, id: int, wanted: str, around: int) -> str | None:
    """What stands around the first place of a session that holds `wanted`, whatever its case, on any branch; None if none does."""
    needle = wanted.casefold()
    parts: dict[int, list[str]] = {}
    for number, data in connection.execute(
        "SELECT CAST(passage AS INTEGER), CAST(text AS BLOB) FROM piece WHERE session = ? ORDER BY passage, seq",
        (id,),
    ):
        parts.setdefault(number, []).append(shown(data))
    texts = {number: "".join(pieces) for number, pieces in parts.items()}
    above = {
        number: (parent, offset)
        for number, parent, offset in connection.execute(
            "SELECT CAST(number AS INTEGER), CAST(parent AS INTEGER), CAST(offset AS INTEGER) FROM passage WHERE session = ?",
            (id,),
        )
    }
    for number, text in texts.items():
        # What is looked for may begin in the passages above.
        left = len(needle) - 1 + around
        while left > 0 and number in above:
            parent, offset = above[number]
            if parent is None or offset is None or not 0 <= parent < number:
                break
            before = texts.get(parent, "")[: max(0, offset)][-left:]
            text, left, number = before + text, left - len(before), parent
        if (at := _find(text, needle)) >= 0:
            return text[max(0, at - around) : at + len(wanted) + around]
    return None


def _find(text: str, needle: str) -> int:
    """Where a casefolded text stands in another one, -1 if nowhere."""
    folded = text.casefold()
    at = folded.find(needle)
    if at >= 0 and len(folded) != len(text):  # some characters become two
        behind = 0
        for index, c in enumerate(text):
            behind += len(c.casefold())
            if behind > at:
                return index
    return at


def shape(connection: sqlite3.Connection | None = None) -> list[Any]:
    """The columns of our tables and whatever is no table, as they are in a file or, without one, as they must be."""
    if connection is None:
        with contextlib.closing(sqlite3.connect(":memory:")) as ours:
            ours.executescript(TABLES)
            return shape(ours)
    names = ("session", "passage", "piece", "change", "prompt")
    columns = [connection.execute(f"PRAGMA table_info({name})").fetchall() for name in names]
    # A stranger's triggers, views and virtual tables would compute at each look, perhaps for ever.
    foreign = "SELECT name FROM sqlite_master WHERE type IN ('trigger', 'view') OR sql LIKE 'CREATE VIRTUAL%'"
    return [columns, connection.execute(foreign).fetchall()]


def to_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def to_text(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")


def shown(data: object) -> str:
    """A text from whatever a column holds, to be looked at: what cannot be read is replaced."""
    if not isinstance(data, bytes):
        return ""
    try:
        return to_text(data)
    except UnicodeDecodeError:
        return data.decode("utf-8", "replace")


def plain(text: str) -> str:
    """A name as SQLite takes it, which has no lone surrogates."""
    return text.encode("utf-8", "backslashreplace").decode()


def _packed(column: array[Any]) -> bytes:
    """Little endian, whatever the machine."""
    if sys.byteorder == "big":
        column = column[:]
        column.byteswap()
    return column.tobytes()


def _unpacked(kind: str, data: bytes) -> array[Any]:
    column: array[Any] = array(kind)
    column.frombytes(data)
    if sys.byteorder == "big":
        column.byteswap()
    return column


def insert(connection: sqlite3.Connection, rows: list[Row]) -> None:
    """Executes them in order."""
    for statement, values in rows:
        connection.execute(statement, values)


def new_passage(id: int, passage: Passage) -> Row:
    """What a passage is, without its text."""
    return PASSAGE, (id, *_header(passage))
