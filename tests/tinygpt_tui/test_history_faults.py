"""What was acknowledged survives: killed processes, several at once, and full disks.

Run as a program, this file is a playground without a screen, for the processes that are killed.
"""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from engine.errors import BusyError, UsageError
from tinygpt_tui.play import history as module
from tinygpt_tui.play.history import History
from tinygpt_tui.play.passage import Change
from tinygpt_tui.play.session import Session

Child = subprocess.Popen[str]


def told(n: int) -> str:
    """The `n`-th character of the text that every process here writes; a few of them take more than one byte."""
    return "Once upon a time é\U0001f98a\n"[n % 20]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.sqlite"


@pytest.fixture
def child() -> Iterator[Callable[..., Child]]:
    """Starts this file as a program; what still runs at the end is killed."""
    children: list[Child] = []

    def start(*args: object) -> Child:
        command = [sys.executable, __file__, *map(str, args)]
        children.append(subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        return children[-1]

    yield start
    for one in children:
        one.kill()
        one.communicate()


def hear(process: Child) -> str:
    """The next line; an end of the process is an error."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, "it ended"
    return line.strip()


def say(process: Child, line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()


def kill(process: Child) -> list[str]:
    """Kills it without a warning; the lines it had still written."""
    process.send_signal(signal.SIGKILL)
    rest, _ = process.communicate()
    return str(rest).split("\n")[:-1]


def opened(path: Path) -> History:
    found = History(path)
    found.begin()
    return found


def some(path: Path, *texts: str) -> None:
    """Keeps sessions of one typed text each, and closes the file."""
    history = opened(path)
    for text in texts:
        session = Session()
        session.type(text)
        history.keep(session, now=True)
    history.close()
    assert not history.problem


def check_prefix(session: Session, acknowledged: int) -> None:
    """The last passage holds the first characters of what was streamed, all acknowledged ones among them, and their figures."""
    passage = session.leaf
    assert passage.reason == "cut off"
    assert passage.length == passage.tokens >= acknowledged
    assert passage.text.slice(0, passage.length) == "".join(map(told, range(passage.length)))
    assert list(passage.rank) == [n % 100 for n in range(passage.length)]
    assert [change.token for change in passage.changes] == list(range(1, passage.length + 1, 50))


def test_what_was_acknowledged_survives_a_kill_in_the_middle_of_streaming(
    path: Path, child: Callable[..., Child]
) -> None:
    process = child("stream", path, 10)
    heard = [hear(process) for _ in range(20)]
    heard += kill(process)
    history = opened(path)
    assert not history.problem and not history.notice
    session = history.load_last()
    assert session is not None
    check_prefix(session, int(heard[-1]))
    session.type(" The end.")
    history.keep(session, now=True)
    history.close()
    history.begin()
    last = history.load_last()
    history.close()
    assert last is not None and last.text() == session.text() and len(history.sessions()) == 0


def test_many_kills_while_commits_run_leave_a_session_that_goes_on(
    path: Path, child: Callable[..., Child]
) -> None:
    ends: list[int] = []
    for round in range(6):
        process = child("stream", path, 40)
        heard = [hear(process) for _ in range(1 + 3 * round)]
        heard += kill(process)
        history = opened(path)
        assert not history.problem and not history.notice
        session = history.load_last()
        assert session is not None
        check_prefix(session, int(heard[-1]))
        assert [passage.length for passage in session.all[1:-1]] == ends, "what was there has changed"
        assert [passage.parent for passage in session.all[1:]] == session.all[:-1]
        ends.append(session.leaf.length)
        assert len(history.sessions()) == 1
        history.close()


def test_going_over_to_another_session_waits_for_no_disk_and_lets_go_once_all_is_on_it(path: Path) -> None:
    history, other = opened(path), opened(path)
    one, two = Session(), Session()
    one.type("one")
    history.keep(one, now=True)
    assert history.flush()
    with closing(sqlite3.connect(path, isolation_level=None)) as busy:
        busy.execute("BEGIN IMMEDIATE")
        one.type(" more")
        two.type("two")
        history.keep(two, now=True)
        assert history.problem == ""  # nobody has waited until writing was given up
        assert history._left
        busy.execute("ROLLBACK")
    assert history.flush() and not history._left
    assert sorted(kept.title for kept in other.sessions()) == ["one more", "two"]
    history.close()
    other.close()


def test_a_session_is_open_in_one_process_only_until_that_one_dies(
    path: Path, child: Callable[..., Child]
) -> None:
    some(path, "one", "two")
    process = child("hold", path)
    assert hear(process) == "two"
    history = opened(path)
    first, second = history.sessions()
    with pytest.raises(
        BusyError, match=r"^That session is open in another playground: leave it there first\.$"
    ):
        history.load(first.id)
    other = history.load_last()
    assert other is not None and other.text() == "one"
    with pytest.raises(BusyError):
        history.load(first.id)
    other.type(" more")
    history.keep(other, now=True)
    assert history.flush() and len(history.sessions()) == 2, "a load that failed let go what was open"
    kill(process)
    assert history.load(first.id).text() == "two"
    assert history.flush()
    process = child("hold", path)
    assert hear(process) == "one more"  # let go by this process, which has gone over to the other
    history.close()
    history = opened(path)
    assert history.load(first.id).text() == "two"
    with pytest.raises(BusyError):
        history.load(second.id)
    history.close()


def test_a_session_that_cannot_be_read_is_not_held_back_from_others(
    path: Path, child: Callable[..., Child]
) -> None:
    some(path, "one")
    history = opened(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        (view,) = connection.execute("SELECT view FROM session").fetchone()
        connection.execute("UPDATE session SET view = 'x'")
    with pytest.raises(UsageError):
        history.load(1)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE session SET view = ?", (view,))
    assert hear(child("hold", path)) == "one"
    history.close()


def test_a_number_that_was_given_while_one_was_away_is_not_given_again(
    path: Path, child: Callable[..., Child]
) -> None:
    history = opened(path)
    process = child("write", path, "theirs")
    assert hear(process) == "ready"
    say(process, "go")
    assert hear(process) == ""  # it has closed the file
    session = Session()
    session.type("ours")
    history.keep(session, now=True)
    assert history.flush()
    assert sorted(kept.title for kept in history.sessions()) == ["ours", "theirs"]
    history.close()


@pytest.mark.parametrize("damaged", [False, True])
def test_several_that_begin_at_once_share_one_file(
    path: Path, child: Callable[..., Child], damaged: bool
) -> None:
    if damaged:
        path.write_bytes(b"no database at all" * 100)
    texts = ["one", "two", "three", "four"]
    processes = [child("write", path, text) for text in texts]
    for process in processes:
        assert hear(process) == "ready"
    for process in processes:
        say(process, "go")
    assert [hear(process) for process in processes] == [""] * 4  # no problem
    history = opened(path)
    assert sorted(kept.title for kept in history.sessions()) == sorted(texts)
    history.close()
    assert len(list(path.parent.glob("*.damaged-*"))) == damaged


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EINVAL, errno.ENOTSUP])
def test_a_filesystem_without_locks_keeps_a_text_all_the_same(
    path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fails(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "lockf", fails)
    some(path, "one")
    history = opened(path)
    last = history.load_last()
    history.close()
    assert last is not None and last.text() == "one"


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """Sets how many pages a database may have."""
    pages = 2**30
    connect = module._connect

    def limited(path: Path) -> sqlite3.Connection:
        connection = connect(path)
        connection.execute(f"PRAGMA max_page_count = {pages}")
        return connection

    def set_pages(most: int) -> None:
        nonlocal pages
        pages = most

    monkeypatch.setattr(module, "_connect", limited)
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.02)
    yield set_pages


def test_a_full_disk_is_told_and_everything_is_kept_as_soon_as_there_is_space(
    path: Path, disk: Callable[[int], None], until: Callable[..., None]
) -> None:
    some(path, "other")
    history = opened(path)
    disk(1)
    session = Session()
    passage = session.write("tales", 7, 1, {})
    for n in range(20_000):
        passage.append(told(n), 0.5, 0.5, 0)
        if n % 1000 == 999:
            history.keep(session, now=True)
    history.add_prompt("a prompt")
    assert not history.flush()
    assert "full" in history.problem and "not being kept" in history.problem
    assert session.text() == "".join(map(told, range(20_000)))
    disk(2**30)
    until(lambda: not history.problem)  # without another word of anybody
    assert history.flush()
    assert sorted(kept.chars for kept in history.sessions()) == [5, 20_000]
    history.close()
    later = opened(path)
    kept = max(later.sessions(), key=lambda kept: kept.chars)
    assert later.load(kept.id).text() == session.text() and later.prompts() == ["a prompt"]
    later.close()


def test_a_text_that_could_not_be_kept_is_found_in_memory_again(
    path: Path, disk: Callable[[int], None]
) -> None:
    some(path, "one", "two")
    history = opened(path)
    two = history.load_last()
    assert two is not None
    ids = {kept.title: kept.id for kept in history.sessions()}
    disk(1)
    two.type(" and " + "much more" * 10_000)
    history.keep(two, now=True)
    one = history.load(ids["one"])
    deadline = time.monotonic() + 60
    while not history.problem:  # which the thread that writes finds out
        assert time.monotonic() < deadline
        history.keep(two, now=True)
    assert one.text() == "one"
    assert history.load(ids["two"]) is two
    disk(2**30)
    history.close()
    history.begin()
    assert history.load(ids["two"]).text() == two.text() and history.load(ids["one"]).text() == "one"
    history.close()


def test_a_file_that_may_not_grow_loses_nothing_once_it_may(path: Path, child: Callable[..., Child]) -> None:
    process = child("full", path)
    problem = hear(process)
    assert "not being kept" in problem and "free some space" in problem
    say(process, "there is space")
    assert hear(process) == "kept"
    kill(process)
    history = opened(path)
    session = history.load_last()
    assert session is not None and session.text() == "".join(map(told, range(50_000)))
    history.close()


# As a program


class Hurry:
    """A clock on which a second passes between two looks, so that every call keeps."""

    now = 0.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


def main(what: str, path: Path, *more: str) -> None:
    if what == "write":
        print("ready", flush=True)
        sys.stdin.readline()
    if what == "full":
        most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, most))
    history = History(path, Hurry())
    history.begin()
    session = history.load_last() if what in ("stream", "hold") else None
    session = session or Session()
    if what == "hold":
        print(session.text(), flush=True)
        sys.stdin.readline()
    elif what == "write":
        session.type(more[0])
        history.keep(session)
        history.close()
        print(history.problem, flush=True)
        sys.stdin.readline()
    elif what == "stream":
        passage = session.write("tales", 7, 1, {})
        for n in range(10**6):
            passage.append(told(n), 0.5, 0.25, n % 100)
            if n % 50 == 0:
                passage.changes.append(Change(passage.tokens, {"temperature": n / 100}))
            history.keep(session)
            if n % int(more[0]) == 0 and history.flush():
                print(n + 1, flush=True)
    elif what == "full":
        passage = session.write("tales", 7, 1, {})
        for n in range(50_000):
            passage.append(told(n), 0.5, 0.25, 0)
            if n % 100 == 99:
                history.keep(session)
        assert not history.flush(60)
        print(history.problem, flush=True)
        sys.stdin.readline()
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        while history.problem:
            time.sleep(0.01)
        print("kept" if history.flush(60) else history.problem, flush=True)
        sys.stdin.readline()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
