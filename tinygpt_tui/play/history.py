"""Everything that was written with a model, kept as it streams and found again after a crash: SQLite in the data folder.

One thread writes, at most four times a second while a text grows, and only what is new: no commit touches what is there already. A
session is open in one interface at a time; whoever has it holds a lock that ends with its process. Nothing here raises into a screen:
what goes wrong is a sentence in `problem`, and the text goes on in memory. Left out: the text itself (`tinygpt_tui.play.session`).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from engine.errors import BusyError, TinygptError, UsageError
from engine.storage import make_private_dir
from tinygpt_tui.play.history_rows import (
    SESSION,
    TABLES,
    Row,
    Saved,
    insert,
    new_passage,
    news_of,
    read_session,
    to_bytes,
    to_text,
)
from tinygpt_tui.play.session import Session

VERSION = 1  # of the tables
KEEP_SECONDS = 0.25  # between two commits of a text that grows
BUSY_MILLISECONDS = 3000
MOST_PROMPTS = 500
TITLE_CHARS = 60
EXCERPT_CHARS = 30  # on each side of what was found

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
class _Open:
    """The session that is kept at the moment."""

    id: int
    session: Session
    view: str = ""
    saved: list[Saved] = field(default_factory=list)
    growing: set[int] = field(default_factory=set)  # passages that had not ended when they were saved last


class History:
    """All methods belong to one thread; what is written is written by another.

    Attributes:
        problem: why nothing is kept, one sentence, or "".
        notice: one sentence that should be said once, or "".
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """`path` is of the file; it is opened, or made, by `begin`."""
        self.path = path
        self.problem = self.notice = ""
        self._clock = clock
        self._open: _Open | None = None
        self._kept_at = -KEEP_SECONDS
        self._lock_fd = -1
        self._next_id = 1
        self._work: queue.SimpleQueue[Work | threading.Event | None] = queue.SimpleQueue()
        self._writer: threading.Thread | None = None

    def begin(self) -> None:
        """Opens the file. A damaged one is moved aside; one of a later version is left alone, and nothing is kept."""
        if self._writer is not None:
            return
        try:
            make_private_dir(self.path.parent)
            self._prepare()
        except sqlite3.OperationalError as error:
            self.problem = f"{self.path} cannot be used ({error}), so nothing that is written here is kept."
        except sqlite3.DatabaseError:
            self._move_aside()
        except (OSError, TinygptError) as error:
            self.problem = f"{self.path} cannot be used ({error}), so nothing that is written here is kept."
        if not self.problem:
            self._writer = threading.Thread(target=self._write, name="history", daemon=True)
            self._writer.start()

    def keep(self, session: Session, *, now: bool = False) -> None:
        """Keeps what is new in a session; at most four times a second unless it must be `now`. Never waits."""
        if self._writer is None or (not now and self._clock() - self._kept_at < KEEP_SECONDS):
            return
        self._kept_at = self._clock()
        if self._open is None or self._open.session is not session:
            if len(session.all) < 2:
                return
            self._adopt(session)
        assert self._open is not None
        if rows := self._news(self._open):
            self._work.put(lambda connection: insert(connection, rows))

    def sessions(self, most: int = 200) -> list[Kept]:
        """The sessions, the one used last first."""
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT id, created, updated, title, run, chars FROM session ORDER BY updated DESC LIMIT ?",
                (most,),
            )
            return [
                Kept(id, created, updated, to_text(title), run, chars)
                for id, created, updated, title, run, chars in rows
            ]
        return []

    def search(self, wanted: str, most: int = 50) -> list[Kept]:
        """The sessions whose text, on any branch, holds `wanted`, whatever its case; the one used last first.

        Takes as long as reading them all, so it is for another thread than the screen's.
        """
        needle, found = wanted.casefold(), []
        for kept in self.sessions(100_000):
            with self._reading() as connection:
                rows = connection.execute(
                    "SELECT passage, text FROM piece WHERE session = ? ORDER BY passage, seq", (kept.id,)
                )
                texts: dict[int, list[str]] = {}
                for passage, text in rows:
                    texts.setdefault(passage, []).append(to_text(text))
                for parts in texts.values():
                    text = "".join(parts)
                    if (at := text.casefold().find(needle)) >= 0:
                        excerpt = text[max(0, at - EXCERPT_CHARS) : at + len(wanted) + EXCERPT_CHARS]
                        found.append(
                            Kept(
                                kept.id, kept.created, kept.updated, kept.title, kept.run, kept.chars, excerpt
                            )
                        )
                        break
            if len(found) == most:
                break
        return found

    def load(self, id: int) -> Session:
        """A session as it was kept last, with every branch and the way back. It goes on being kept under its number.

        Raises:
            BusyError: another playground has it open.
            UsageError: there is no such session, or it cannot be read.
        """
        self.flush()
        self._take(id)
        try:
            with self._reading() as connection:
                session, saved = read_session(connection, id)
                self._open = _Open(id, session, "", saved, set())
                return session
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise UsageError(f"Session {id} is damaged ({error}) and cannot be opened.") from error
        raise UsageError(f"Session {id} cannot be read: {self.problem or 'the file is busy'}.")

    def load_last(self) -> Session | None:
        """The session that was used last and is open nowhere else, or None."""
        for kept in self.sessions(5):
            with contextlib.suppress(BusyError, UsageError):
                return self.load(kept.id)
        return None

    def prompts(self) -> list[str]:
        """What was typed last, the oldest first, each once."""
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT text FROM prompt ORDER BY used DESC LIMIT ?", (MOST_PROMPTS,)
            ).fetchall()
            return [to_text(text) for (text,) in reversed(rows)]
        return []

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

    def flush(self, seconds: float = 5.0) -> None:
        """Returns when everything that was kept so far is on the disk, or the time is over."""
        if self._writer is None or not self._writer.is_alive():
            return
        done = threading.Event()
        self._work.put(done)
        done.wait(seconds)

    def close(self) -> None:
        """Writes what is left and lets the session go."""
        if self._open is not None:
            self.keep(self._open.session, now=True)
        if self._writer is not None:
            self._work.put(None)
            self._writer.join(5.0)
            self._writer = None
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1
        self._open = None

    def _prepare(self) -> None:
        """Makes the tables if need be, and finds the next number. Raises sqlite3.Error, OSError, UsageError."""
        if not self.path.exists():
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        with contextlib.closing(_connect(self.path)) as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version > VERSION:
                raise UsageError("it was made by a later version of tinygpt")
            connection.execute("PRAGMA journal_mode = WAL")
            if version == 0:
                connection.executescript(
                    f"BEGIN IMMEDIATE; {TABLES} PRAGMA user_version = {VERSION}; COMMIT;"
                )
            (ok,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if ok != "ok":
                raise sqlite3.DatabaseError(ok)
            (last,) = connection.execute("SELECT coalesce(max(id), 0) FROM session").fetchone()
            self._next_id = last + 1
        self._lock_fd = os.open(self.path.with_suffix(".lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)

    def _move_aside(self) -> None:
        """A file that is no database any more is kept for whoever can mend it, and a new one is begun."""
        stamp = time.strftime("%Y%m%d-%H%M%S")
        aside = self.path.with_name(f"{self.path.name}.damaged-{stamp}")
        try:
            for suffix in ("", "-wal", "-shm"):
                part = self.path.with_name(self.path.name + suffix)
                if part.exists():
                    part.rename(aside.with_name(aside.name + suffix))
            self._prepare()
            self.notice = f"The history was damaged. It was moved to {aside}, and a new one is begun."
        except (OSError, sqlite3.Error) as error:
            self.problem = f"{self.path} is damaged and cannot be moved aside ({error}), so nothing is kept."

    def _take(self, id: int) -> None:
        """Locks a session for this process, and lets the one go that was open. Raises BusyError."""
        if self._lock_fd < 0 or (self._open is not None and self._open.id == id):
            return
        try:
            # One byte of the lock file for each session; such a lock ends with its process, however that ends.
            fcntl.lockf(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, id)
        except OSError as error:
            raise BusyError("That session is open in another playground: leave it there first.") from error
        if self._open is not None:
            self.keep(self._open.session, now=True)
            fcntl.lockf(self._lock_fd, fcntl.LOCK_UN, 1, self._open.id)
            self._open = None

    def _adopt(self, session: Session) -> None:
        """Gives a session a number of its own."""
        while True:
            id, self._next_id = self._next_id, self._next_id + 1
            with contextlib.suppress(BusyError):
                self._take(id)
                break
        self._open = _Open(id, session)

    def _news(self, kept: _Open) -> list[Row]:
        """Statements for all that is not saved yet."""
        session, rows = kept.session, []
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
            rows.insert(0, (SESSION, (kept.id, now, now, to_bytes(title), run, chars, view)))
            kept.view = view
        return rows

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """A connection for reading. What fails within becomes `problem`, and the body is left."""
        if self._writer is None:
            with contextlib.closing(sqlite3.connect(":memory:")) as connection:
                connection.executescript(TABLES)
                yield connection
            return
        try:
            with contextlib.closing(_connect(self.path)) as connection:
                yield connection
        except sqlite3.Error as error:
            self.problem = f"{self.path} cannot be read: {error}."

    def _write(self) -> None:
        """The writer's life: whatever waits becomes one transaction; what fails is tried again with the next."""
        todo: list[Work] = []
        waiting: list[threading.Event] = []
        connection: sqlite3.Connection | None = None
        leaving = False
        while not leaving:
            leaving = not self._gather(todo, waiting)
            try:
                if connection is None:
                    connection = _connect(self.path)
                connection.execute("BEGIN IMMEDIATE")
                for work in todo:
                    work(connection)
                connection.execute("COMMIT")
                todo.clear()
                self.problem = ""
            except sqlite3.Error as error:
                self.problem = f"What is written is not being kept ({error}): free some space, or export it."
                if connection is not None:
                    connection.close()
                    connection = None
            for event in waiting:
                event.set()
            waiting.clear()
        if connection is not None:
            connection.close()

    def _gather(self, todo: list[Work], waiting: list[threading.Event]) -> bool:
        """Waits for work and takes all there is; False when there will be no more."""
        item = self._work.get()
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
    connection = sqlite3.connect(path, timeout=BUSY_MILLISECONDS / 1000, isolation_level=None)
    connection.execute("PRAGMA synchronous = FULL")
    return connection
