"""Whatever signal ends the playground, wherever it is, once or twice: the exit code says so, and the terminal is as it was before."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.terminal import Terminal
from tests.tinygpt_tui.fake_player import story
from tests.tinygpt_tui.scripted_run import ScriptedRun, finished_run
from tests.tinygpt_tui.survival import Home, end_trainers, is_alive, player_of, until
from tests.tinygpt_tui.test_endings import EACH, SIGNALS
from tests.tinygpt_tui.test_survival_leaving import check_given_back
from tinygpt_tui.play.history import History
from tinygpt_tui.play.session import Session

BREAKING = (sys.executable, "-m", "tests.tinygpt_tui.breaking")
PLAYER = "fake_player"  # a word of its command


@pytest.fixture
def place(home: Path) -> Iterator[Home]:
    """A home with a finished run that has weights, of which the made-up player knows nothing."""
    found = Home(home)
    finished_run(home / "data" / "runs", "fox", 4)
    yield found
    end_trainers(found)


def opened(place: Home, *arguments: str, **environment: str) -> Terminal:
    """The playground with a made-up player."""
    return Terminal([*BREAKING, *arguments], environment=place.environment | environment, cwd=place.work)


def kept(place: Home) -> Session | None:
    """The text that was written last, as the history has it."""
    history = History(place.path / "data" / "history.sqlite")
    history.begin()
    session = history.load_last()
    history.close()
    return session


def drawn(terminal: Terminal) -> None:
    """Waits for the first sign of it, which is far from a whole picture."""
    while b"\x1b[?1049h" not in terminal.drawn:
        terminal.read(10)


def played(terminal: Terminal) -> None:
    terminal.wait_until(lambda screen: "@ step" in screen and "⏎ send" in screen)


def written(terminal: Terminal) -> None:
    played(terminal)
    terminal.send("Once\r")
    terminal.wait_until(lambda screen: "char/s ─" in screen)


def asked(terminal: Terminal) -> None:
    played(terminal)
    terminal.send("\x1b")
    terminal.wait_until(lambda screen: "i prompt" in screen)
    terminal.send("?")
    terminal.wait_until(lambda screen: "─ help ─" in screen)


def started(terminal: Terminal) -> None:
    """A training is asked for, and whether there is one already nobody knows."""
    terminal.wait_until(lambda screen: "how it begins" in screen and "symbols" in screen)
    terminal.send("t")
    terminal.wait_until(lambda screen: "preparing" in screen or "Reading" in screen)


def watched(terminal: Terminal) -> None:
    terminal.wait_until(lambda screen: "● training" in screen)


WHERE: dict[str, Callable[[Terminal], None]] = {
    "before the first frame": drawn,
    "playing": played,
    "writing": written,
    "in a dialog": asked,
    "watching": watched,
    "starting a run": started,
}
# What no other test does: one that is idle, one that watches and one before its first frame are ended elsewhere, too.
CELLS = [
    *(("before the first frame", number) for number in (signal.SIGINT, signal.SIGHUP)),
    *(("writing", number) for number in SIGNALS),
    *(("in a dialog", number) for number in SIGNALS),
    ("watching", signal.SIGINT),
    ("starting a run", signal.SIGTERM),
]


@pytest.mark.parametrize(("where", "number"), CELLS, ids=str)
def test_wherever_it_is_a_signal_ends_it_in_order(where: str, number: int, place: Home) -> None:
    run = ScriptedRun(place.path / "data" / "runs", "lasting") if where == "watching" else None
    if where == "starting a run":
        (place.work / "fox.txt").write_text("The quick brown fox jumps over the lazy dog.\n" * 200)
    target = {"starting a run": "fox.txt", "watching": "lasting"}.get(where, "fox")
    with opened(place, "--player=--rate=200", target) as terminal:
        attributes = terminal.attributes()
        WHERE[where](terminal)
        player = player_of(terminal.process.pid, PLAYER)
        beginner = player_of(terminal.process.pid, "engine begin")
        terminal.process.send_signal(number)
        assert terminal.ended() == 128 + number
        said = check_given_back(terminal, attributes)
    assert player is None or not is_alive(player)
    if beginner is not None:  # it may start a trainer yet, which is ended with the place
        until(lambda: not is_alive(beginner, "engine begin"), "the end of who begins a run")
    assert "Traceback" not in terminal.text()
    if run is not None:
        assert run.obey_controls() == []  # what trains is left alone
        run.die()
    elif where != "starting a run":
        assert said == ""
    if where == "writing":
        session = kept(place)
        assert session is not None and len(session.text()) > len("Once")
        assert session.text() == "Once" + story(0, len(session.text()) - len("Once"))


@pytest.mark.parametrize("number", SIGNALS, **EACH)
def test_the_same_signal_again_ends_it_at_once_and_what_was_sent_is_kept(number: int, place: Home) -> None:
    """Its player does not leave, for which it would wait; so whoever finds that one alive knows that nobody waited."""
    with opened(place, "--patient", "--player=--stubborn", "--player=--rate=50", "fox") as terminal:
        attributes = terminal.attributes()
        written(terminal)
        player = player_of(terminal.process.pid, PLAYER)
        assert player is not None
        try:
            terminal.process.send_signal(number)
            while b"\x1b[?1049l" not in terminal.drawn:
                terminal.read(10)
            assert terminal.process.poll() is None
            terminal.process.send_signal(number)
            assert terminal.ended() == 128 + number
            check_given_back(terminal, attributes)
            assert is_alive(player)
        finally:
            os.kill(player, signal.SIGKILL)
    session = kept(place)
    assert session is not None and session.text().startswith("Once")


def test_one_that_waits_for_a_terminal_which_takes_nothing_is_ended_by_the_second_signal(place: Home) -> None:
    with opened(
        place, "--player=--rate=5000", "fox", TINYGPT_SAMPLE_CHARS="1000000", TINYGPT_UI_SPEED="0"
    ) as terminal:
        attributes = terminal.attributes()
        written(terminal)
        wal = place.path / "data" / "history.sqlite-wal"
        until(lambda: time.time() - wal.stat().st_mtime > 1.5, "the playground to wait for the terminal")
        ended = terminal.process.poll
        until(lambda: ended() is not None or terminal.process.send_signal(signal.SIGTERM), "its end")
        assert terminal.process.wait() == 143
        assert terminal.attributes() == attributes
    session = kept(place)
    assert session is not None and session.text().startswith("Once")
