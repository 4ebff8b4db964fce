"""A session as rows of tables and back: what is new since the last time, and the whole.

A passage that grows becomes one row more each time, never a longer one, so keeping a long text costs what is new. Left out: files,
threads and locks (`tinygpt_tui.play.history`).
"""

from __future__ import annotations

import json
import sqlite3
import sys
from array import array
from dataclasses import dataclass
from typing import Any

from tinygpt_tui.play.passage import Change, Passage
from tinygpt_tui.play.session import Session

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
        passage.run,
        passage.step,
        seed,
        settings,
        passage.reason,
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


def read_session(connection: sqlite3.Connection, id: int) -> tuple[Session, list[Saved]]:
    """Raises ValueError, KeyError, IndexError or TypeError when what is there makes no session."""
    row = connection.execute("SELECT view FROM session WHERE id = ?", (id,)).fetchone()
    if row is None:
        raise ValueError("there is none of this number")
    session = Session()
    session.all.clear()
    for number, parent, offset, kind, run, step, seed, settings, reason in connection.execute(
        "SELECT number, parent, offset, kind, run, step, seed, settings, reason FROM passage WHERE session = ? ORDER BY number",
        (id,),
    ):
        if number != len(session.all) or not -1 <= parent < number or kind not in ("typed", "written"):
            raise ValueError(f"passage {number} has no place")
        above = session.all[parent] if parent >= 0 else None
        passage = Passage(
            number, above, offset, kind, run, step, int(seed), json.loads(settings), reason=reason or CUT_OFF
        )
        if above is not None:
            above.children.append(passage)
        session.all.append(passage)
    saved = [Saved(passage.reason) for passage in session.all]
    for number, text, lengths, p, raw, rank in connection.execute(
        "SELECT passage, text, lengths, p, raw, rank FROM piece WHERE session = ? ORDER BY passage, seq",
        (id,),
    ):
        columns = [
            _unpacked(kind, blob) for kind, blob in (("H", lengths), ("f", p), ("f", raw), ("H", rank))
        ]
        session.all[number].extend(to_text(text), *columns)
        saved[number].pieces += 1
    for number, token, settings in connection.execute(
        "SELECT passage, token, settings FROM change WHERE session = ? ORDER BY passage, seq", (id,)
    ):
        session.all[number].changes.append(Change(token, json.loads(settings)))
    for passage, state in zip(session.all, saved, strict=True):
        state.chars, state.tokens, state.changes = passage.length, passage.tokens, len(passage.changes)
    view = json.loads(row[0])
    session.restore(view["leaf"], view["done"], view["undone"])
    return session, saved


def to_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def to_text(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")


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
