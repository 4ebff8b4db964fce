"""Everything that was written with a model, kept as it streams and found again after a crash: SQLite in the data folder.

One thread writes, at most four times a second while a text grows, and only what is new: no commit touches what is there already. A
session is open in one interface at a time; whoever has it holds a lock that ends with its process. Nothing here raises into a screen:
what goes wrong is a sentence in `problem`, and the text goes on in memory. Left out: the text itself (`tinygpt_tui.play.session`), and
what stands in the tables (`tinygpt_tui.play.history_rows`).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from engine.errors import BusyError, TinygptError, UsageError
from engine.storage import make_private_dir
from tinygpt_tui.play.history_rows import (
    SESSION,
    TABLES,
    Row,
    Saved,
    find_text,
    insert,
    new_passage,
    news_of,
    plain,
    read_session,
    shape,
    shown,
    to_bytes,
)
from tinygpt_tui.play.session import Session

VERSION = 1  # of the tables
KEEP_SECONDS = 0.25  # between two commits of a text that grows
RETRY_SECONDS = 1.0  # after what was written could not be kept
BUSY_SECONDS = 3.0
MOST_PROMPTS = 500
TITLE_CHARS = 60
EXCERPT_CHARS = 30  # on each side of what was found
LOCKS = (
    2**62
)  # bytes of the lock file that may be locked; the first is for who opens the file, the others for sessions
OURS = 2**53  # numbers from here on were given by somebody else

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], None]


@dataclass(frozen=True)
class Kept:
    """A session in the list: times in seconds since 1970, its first line, the run that wrote last, characters written and typed.

    `excerpt` is around what was searched for.
    """

    id: int
    created: float
    updated: float
    title: str
    run: str
    chars: int
    excerpt: str = ""


@dataclass
class _Numbered:
    """What has been handed to the writer of a session that has a number. `locked`: it is open in no other process."""

    id: int
    updated: float = 0.0
    locked: bool = True
    view: str = ""
    saved: list[Saved] = field(default_factory=list)
    growing: set[int] = field(default_factory=set)  # passages that had not ended when they were saved last


class _Kept(threading.Event):
    """Set when everything that was handed to the writer before it is on the disk, however often that fails first."""


class History:
    """All methods belong to one thread, except that `begin` may be called in another: until it is done the others find and keep nothing.
    What is written is written by a thread of its own.

    Attributes:
        problem: why nothing is kept, one sentence, or "".
        notice: one sentence that should be said once, or "".
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """`path` is of the file; it is opened, or made, by `begin`."""
        self.path = path
        self.problem = self.notice = ""
        self._clock = clock
        self._open: Session | None = None
        self._known: WeakKeyDictionary[Session, _Numbered] = WeakKeyDictionary()
        self._left: list[tuple[Session, _Kept]] = []  # no longer open, and whether all of it is on the disk
        self._kept_at = -KEEP_SECONDS
        self._lock_fd = -1
        self._next_id = 1
        self._work: queue.SimpleQueue[Work | threading.Event | None] = queue.SimpleQueue()
        self._writer: threading.Thread | None = None

    def begin(self) -> None:
        """Opens the file. A damaged one is moved aside; one of a later version is left alone, and nothing is kept.

        All of the file is read to know that it is sound, which takes seconds for a large one.
        """
        if self._writer is not None:
            return
        self.problem = ""
        try:
            make_private_dir(self.path.parent)
            if self._lock_fd < 0:
                lock = self.path.with_suffix(".lock")
                self._lock_fd = os.open(lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            # Two who begin at once must not both make the tables, or both move a damaged file aside.
            deadline = time.monotonic() + BUSY_SECONDS
            while not self._lock(0) and time.monotonic() < deadline:
                time.sleep(0.01)
            self._prepare()
        except sqlite3.OperationalError as error:
            self._give_up(error)
        except (sqlite3.DatabaseError, UnicodeDecodeError):
            # Python cannot read what SQLite says of a table whose name is no text.
            self._move_aside()
        except (OSError, TinygptError) as error:
            self._give_up(error)
        self._unlock(0)
        if not self.problem:
            self._writer = threading.Thread(target=self._write, name="history", daemon=True)
            self._writer.start()

    def keep(self, session: Session, *, now: bool = False) -> None:
        """Keeps what is new in a session; at most four times a second unless it must be `now`. Never waits for the disk."""
        if self._writer is None or (not now and self._clock() - self._kept_at < KEEP_SECONDS):
            return
        self._kept_at = self._clock()
        self._let_go()
        kept = self._known.get(session)
        if kept is None:
            if len(session.all) < 2:
                return
            kept = self._adopt(session)
        before = kept.updated
        rows = self._news(kept, session)
        if rows and not kept.locked and not self._lock_again(kept, before):
            rows = self._news(self._adopt(session), session)
        if rows:
            self._switch(session)
            self._work.put(lambda connection: insert(connection, rows))

    def sessions(self, most: int = 200) -> list[Kept]:
        """The sessions, the one used last first."""
        ask = (
            "SELECT id, CAST(created AS REAL), CAST(updated AS REAL), CAST(title AS BLOB), CAST(run AS TEXT), CAST(chars AS INTEGER) "
            "FROM session ORDER BY updated DESC LIMIT ?"
        )
        rows: list[tuple[Any, ...]] = self._read(lambda file: file.execute(ask, (most,)).fetchall(), [])
        return [
            Kept(id, created or 0.0, updated or 0.0, shown(title), run or "", chars or 0)
            for id, created, updated, title, run, chars in rows
        ]

    def search(self, wanted: str, most: int = 50, unless: Callable[[], bool] = lambda: False) -> list[Kept]:
        """The sessions whose text, on any branch, holds `wanted`, whatever its case; the one used last first.

        Takes as long as reading them all, so it is for another thread than the screen's, and ends early when `unless` says so.
        """
        found: list[Kept] = []
        for kept in self.sessions(100_000):
            look = partial(find_text, id=kept.id, wanted=wanted, around=EXCERPT_CHARS)
            excerpt: str | None = self._read(look, None)
            if excerpt is not None:
                found.append(replace(kept, excerpt=excerpt))
            if len(found) >= most or unless():
                break
        return found

    def load(self, id: int) -> Session:
        """A session as it was kept last, with every branch and the way back. It goes on being kept under its number.

        Raises:
            BusyError: another playground has it open.
            UsageError: there is no such session, or it cannot be read.
        """
        for session in (self._open, *(session for session, _ in self._left)):
            if session is not None and self._known[session].id == id:
                self._switch(session)
                return session
        if not self._lock(id):
            raise BusyError("That session is open in another playground: leave it there first.")
        try:
            nothing: tuple[Session, list[Saved], float] | None = None
            found = self._read(lambda file: read_session(file, id), nothing)
            if found is None:
                raise UsageError(f"Session {id} cannot be read: {self.problem or 'nothing is kept.'}")
        except UsageError:
            self._unlock(id)
            raise
        session, saved, updated = found
        self._known[session] = _Numbered(id, updated, saved=saved)
        self._switch(session)
        return session

    def load_last(self) -> Session | None:
        """The session that was used last and is open nowhere else, or None."""
        for kept in self.sessions(5):
            with contextlib.suppress(BusyError, UsageError):
                return self.load(kept.id)
        return None

    def prompts(self) -> list[str]:
        """What was typed last, the oldest first, each once."""
        ask = "SELECT CAST(text AS BLOB) FROM prompt ORDER BY used DESC LIMIT ?"
        rows: list[tuple[Any, ...]] = self._read(
            lambda file: file.execute(ask, (MOST_PROMPTS,)).fetchall(), []
        )
        return [shown(text) for (text,) in reversed(rows)]

    def add_prompt(self, text: str) -> None:
        """Keeps a prompt for `prompts`."""
        if self._writer is None or not text.strip():
            return
        row = (to_bytes(text), time.time())
        forget = "DELETE FROM prompt WHERE text NOT IN (SELECT text FROM prompt ORDER BY used DESC LIMIT ?)"

        def add(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT OR REPLACE INTO prompt VALUES (?, ?)", row)
            connection.execute(forget, (MOST_PROMPTS,))

        self._work.put(add)

    def flush(self, seconds: float = 5.0) -> bool:
        """Returns when everything that was kept so far is on the disk, cannot be, or the time is over; whether it is."""
        if self._writer is None or not self._writer.is_alive():
            return not self.problem
        done = threading.Event()
        self._work.put(done)
        flushed = done.wait(seconds) and not self.problem
        self._let_go()
        return flushed

    def close(self) -> None:
        """Writes what is left and lets the session go."""
        if self._open is not None:
            self.keep(self._open, now=True)
        if self._writer is not None:
            self._work.put(None)
            self._writer.join(5.0)
            self._writer = None
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1
        for kept in self._known.values():
            kept.locked = False
        self._open = None
        self._left.clear()

    def _prepare(self) -> None:
        """Makes the tables if need be, and finds the next number. Raises sqlite3.Error, OSError, UsageError."""
        if not self.path.exists():
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        if not self.path.is_file():  # SQLite would wait for the other end of a pipe
            raise UsageError("it is no regular file")
        later = UsageError("it was made by a later version of tinygpt")
        # Whoever may write also tidies up when it leaves, so a look at what may be left alone is one for reading only.
        with (
            contextlib.suppress(sqlite3.OperationalError),
            contextlib.closing(sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro", uri=True)) as look,
        ):
            if _version(look) not in (0, VERSION):
                raise later
        with contextlib.closing(_connect(self.path)) as connection:
            if (version := _version(connection)) not in (0, VERSION):
                raise later
            connection.execute("PRAGMA journal_mode = WAL")
            if version == 0:
                connection.executescript(
                    f"BEGIN IMMEDIATE; {TABLES} PRAGMA user_version = {VERSION}; COMMIT;"
                )
            (ok,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if ok != "ok" or shape(connection) != shape():
                raise sqlite3.DatabaseError(ok)
            self._next_id = _last_id(connection) + 1

    def _give_up(self, error: Exception) -> None:
        reason = str(error).rstrip(".")
        self.problem = f"{self.path} cannot be used ({reason}), so nothing that is written here is kept."

    def _move_aside(self) -> None:
        """A file that is no database any more is kept for whoever can mend it, and a new one is begun."""
        stamp, n = time.strftime("%Y%m%d-%H%M%S"), 1
        while (aside := self.path.with_name(f"{self.path.name}.damaged-{stamp}-{n}")).exists():
            n += 1
        try:
            for suffix in ("", "-wal", "-shm"):
                part = self.path.with_name(self.path.name + suffix)
                if part.exists():
                    part.rename(aside.with_name(aside.name + suffix))
            self._prepare()
            self.notice = f"The history was damaged. It was moved to {aside}, and a new one is begun."
        except (OSError, sqlite3.Error) as error:
            self.problem = f"{self.path} is damaged and cannot be moved aside ({error}), so nothing is kept."

    def _lock(self, id: int) -> bool:
        """Whether a session is this process's from now on."""
        if self._lock_fd < 0:
            return True
        try:
            # One byte of the lock file for each session; such a lock ends with its process, however that ends.
            fcntl.lockf(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, id % LOCKS)
        except OSError as error:
            # Any other failure: on this filesystem nobody can lock anything, and a text must be kept all the same.
            return error.errno not in (errno.EACCES, errno.EAGAIN)
        return True

    def _unlock(self, id: int) -> None:
        with contextlib.suppress(OSError, ValueError):  # there may be no lock file
            fcntl.lockf(self._lock_fd, fcntl.LOCK_UN, 1, id % LOCKS)

    def _lock_again(self, kept: _Numbered, updated: float) -> bool:
        """Whether a session that was let go can be gone on with, since nobody else has in the meantime."""
        if not self._lock(kept.id):
            return False
        ask = "SELECT updated FROM session WHERE id = ?"
        row: object = self._read(lambda file: file.execute(ask, (kept.id,)).fetchone(), None)
        kept.locked = row == (updated,)
        if not kept.locked:
            self._unlock(kept.id)
        return kept.locked

    def _adopt(self, session: Session) -> _Numbered:
        """Gives a session a number of its own."""
        while True:
            id, self._next_id = self._next_id, self._next_id + 1
            if self._lock(id):
                # Another playground may have given it to a text, and left.
                if (last := self._read(_last_id, 0)) < id:
                    break
                self._unlock(id)
                self._next_id = last + 1
        kept = self._known[session] = _Numbered(id)
        return kept

    def _switch(self, session: Session) -> None:
        """Makes a session the open one, and lets the one go that was: others may have it as soon as all of it is on the disk."""
        self._left = [(left, kept) for left, kept in self._left if left is not session]
        before, self._open = self._open, session
        if before is None or before is session:
            return
        if rows := self._news(self._known[before], before):
            self._work.put(lambda connection: insert(connection, rows))
        kept = _Kept()
        self._left.append((before, kept))
        self._work.put(kept)

    def _let_go(self) -> None:
        """Lets others have the sessions that are left, as far as all of them is on the disk."""
        for session, kept in self._left:
            if kept.is_set():
                self._known[session].locked = False
                self._unlock(self._known[session].id)
        self._left = [(session, kept) for session, kept in self._left if not kept.is_set()]

    def _news(self, kept: _Numbered, session: Session) -> list[Row]:
        """Statements for all that is not saved yet."""
        rows: list[Row] = []
        for number in sorted(kept.growing | set(range(len(kept.saved), len(session.all)))):
            passage = session.all[number]
            if number == len(kept.saved):
                kept.saved.append(Saved(passage.reason))
                rows.append(new_passage(kept.id, passage))
            rows += news_of(kept.id, passage, kept.saved[number])
            kept.growing.discard(number)
            if not passage.reason:
                kept.growing.add(number)
        # What was written in a passage that is left and gone on with later is new as well.
        leaf = session.leaf
        if leaf.number not in kept.growing:
            rows += news_of(kept.id, leaf, kept.saved[leaf.number])
        view = json.dumps(
            {"leaf": leaf.number, "done": session.done[-1000:], "undone": session.undone[-1000:]}
        )
        if rows or view != kept.view:
            title = session.text(0, 400).strip().partition("\n")[0][:TITLE_CHARS]
            run = next((passage.run for passage in reversed(session.all) if passage.run), "")
            chars, now = sum(saved.chars for saved in kept.saved), time.time()
            rows.insert(0, (SESSION, (kept.id, now, now, to_bytes(title), plain(run), chars, view)))
            kept.view, kept.updated = view, now
        return rows

    def _read(self, look: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        """What `look` finds in the file; `otherwise`, and a sentence in `problem`, where it cannot be read."""
        if self._writer is None:
            return otherwise
        try:
            with contextlib.closing(_connect(self.path)) as connection:
                return look(connection)
        except (sqlite3.Error, UnicodeDecodeError) as error:
            self.problem = f"{self.path} cannot be read: {error}."
            return otherwise

    def _write(self) -> None:
        """The writer's life: whatever waits becomes one transaction; what fails is tried again, with the next or after a while."""
        todo: list[Work] = []
        waiting: list[threading.Event] = []
        connection: sqlite3.Connection | None = None
        leaving = False
        while not leaving:
            leaving = not self._gather(todo, waiting, RETRY_SECONDS if todo or waiting else None)
            try:
                if connection is None:
                    connection = _connect(self.path)
                connection.execute("BEGIN IMMEDIATE")
                for work in todo:
                    work(connection)
                connection.execute("COMMIT")
                todo.clear()
                self.problem = ""
            except Exception as error:  # a writer that died would lose everything, and nobody would be told
                self.problem = f"What is written is not being kept ({error}): free some space, or export it."
                if connection is not None:
                    connection.close()
                    connection = None
            for event in waiting:
                if not todo or not isinstance(event, _Kept):
                    event.set()
            waiting = [event for event in waiting if not event.is_set()]
        if connection is not None:
            connection.close()

    def _gather(self, todo: list[Work], waiting: list[threading.Event], seconds: float | None) -> bool:
        """Waits for work, at most so long, and takes all there is; False when there will be no more."""
        try:
            item = self._work.get(timeout=seconds)
        except queue.Empty:
            return True
        while item is not None:
            if isinstance(item, threading.Event):
                waiting.append(item)
            else:
                todo.append(item)
            try:
                item = self._work.get_nowait()
            except queue.Empty:
                return True
        return False


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    connection.text_factory = shown
    try:
        connection.execute("PRAGMA synchronous = FULL")
    except Exception:
        connection.close()
        raise
    return connection


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _last_id(connection: sqlite3.Connection) -> int:
    (last,) = connection.execute("SELECT coalesce(max(id), 0) FROM session WHERE id < ?", (OURS,)).fetchone()
    return max(0, int(last))
