"""However `tinygpt train` is ended, by which signal, once or twice, wherever it is: the exit code says so, and what was said to be saved is.

A table of real processes: every phase of a run by every signal, held in that very place until the signal has come.
"""

from __future__ import annotations

import os
import re
import signal
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.checkpoint import find_checkpoint
from engine.event_log import read_events
from engine.events import Done, Saved, Step
from engine.runs import RunFolder
from tests.tinygpt_tui.forked import PLACES, Child, Order, Server
from tests.tinygpt_tui.survival import until

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
EACH = {"ids": lambda number: signal.Signals(number).name}
TINY = "n_layer=1 n_head=2 n_embd=16 block_size=16 batch_size=4 threads=1 sample_chars=20 kernels=eager"
SETTINGS = tuple(part for value in TINY.split() for part in ("--set", value))
TRAIN = ("train", "fox.txt", "--name", "fox", "--eval-every", "5", "--save-every", "5", *SETTINGS)
ENDLESS = (*TRAIN, "--steps", "1000000", "--json", "--quiet")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as found:
        yield found


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A folder with a small text."""
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "fox.txt").write_text("The quick brown fox jumps over the lazy dog.\n" * 40)
    return folder


@pytest.fixture
def run(home: Path) -> RunFolder:
    return RunFolder(home / "data" / "runs" / "fox")


def ends(child: Child, number: int, twice: bool) -> int:
    """Sends a signal to a process that is held; the second one while it is still held. Its exit code."""
    child.reached()
    if twice:
        # Sent until it ends, since two that come at once are one to the system.
        until(lambda: child.gone() or child.send(number), "its end")
    else:
        child.send(number)
        child.go_on()
    return child.ended()


@pytest.mark.parametrize("twice", [False, True], ids=["once", "twice"])
@pytest.mark.parametrize("number", SIGNALS, **EACH)
@pytest.mark.parametrize("place", PLACES)
def test_in_every_phase_a_signal_saves_and_a_second_one_loses_nothing_that_was_said_to_be_saved(
    place: str, number: int, twice: bool, server: Server, home: Path, work: Path, run: RunFolder
) -> None:
    child = server.fork(Order(ENDLESS, str(work), str(home), place))
    assert ends(child, number, twice) == 128 + number
    assert "Traceback" not in child.err()
    if place == "reading":  # nothing has begun
        assert (child.out(), child.err(), run.path.exists()) == ("", "", False)
        return
    assert not run.is_locked()
    said = max((event["step"] for event in child.told() if event["event"] == "saved"), default=None)
    told = read_events(run)
    written = max((event.step for event in told if isinstance(event, Saved)), default=None)
    if twice:
        assert run.state() == "stale"
        assert said == 5 or (said is None and place in ("preparing", "sampling"))
        assert not any(isinstance(event, Done) for event in told)
    else:
        assert (run.state(), isinstance(told[-1], Done)) == ("stopped", True)
        assert child.err() == "stopped and saved; go on with: tinygpt train --resume fox\n"
        # The step under way is finished, and is the one that is saved.
        assert said == max((event.step for event in told if isinstance(event, Step)), default=0)
    assert said == written
    if said is not None:
        found, skipped = find_checkpoint(run)
        assert (found.step, skipped) == (said, [])
    if twice:
        total = (said or 0) + 2
        again = server.fork(
            Order(
                ("train", "--resume", "fox", "--steps", str(total), "--json", "--quiet"), str(work), str(home)
            )
        )
        assert again.ended() == 0, again.err()
        assert (again.told()[0]["from_step"], again.told()[-1]["step"]) == (said or 0, total)
        assert [path.name for path in run.checkpoints.iterdir() if not path.name.startswith("step-")] == []


@pytest.mark.parametrize("how", ["ctrl-c", "ctrl-c twice", "closed", "a defect"])
def test_at_a_terminal_it_ends_as_well_and_the_terminal_is_what_it_was(
    how: str, server: Server, home: Path, work: Path, run: RunFolder
) -> None:
    ours, theirs = os.openpty()
    before = termios.tcgetattr(theirs)
    error = "ZeroDivisionError" if how == "a defect" else ""
    child = server.fork(
        Order((*TRAIN, "--steps", "1000000"), str(work), str(home), "training", error, os.ttyname(theirs))
    )
    if how == "ctrl-c twice":
        child.reached()
        until(lambda: child.gone() or os.write(ours, b"\x03") == 0, "its end")
    elif how != "a defect":
        child.reached()
        if how == "closed":
            os.close(theirs)
            os.close(ours)
        else:
            os.write(ours, b"\x03")
            until(lambda: b"^C" in os.read(ours, 1 << 16), "the key")
        child.go_on()
    code = child.ended()
    saved, skipped = find_checkpoint(run)
    assert (saved.step, skipped) == (8 if how in ("ctrl-c", "closed") else 5, [])
    if how == "closed":
        assert (code, run.state()) == (129, "stopped")
        return
    said = os.read(ours, 1 << 16).decode()
    assert termios.tcgetattr(theirs) == before
    assert re.findall(r"\x1b\[\?\d+[hl]", said) == []  # it changed no mode, so none is left
    assert "Traceback" not in said
    os.close(theirs)
    os.close(ours)
    if how == "ctrl-c":
        assert (code, run.state()) == (130, "stopped")
        assert said.endswith("stopped and saved; go on with: tinygpt train --resume fox\r\n")
    elif how == "ctrl-c twice":
        assert (code, run.state()) == (130, "stale")
    else:
        assert (code, run.state()) == (1, "failed")
        assert (
            said.splitlines()[-1].startswith("error: this is a defect of tinygpt") and "\x1b[31m" not in said
        )


@pytest.mark.parametrize("number", SIGNALS[1:], **EACH)
def test_a_conversation_that_is_ended_at_its_prompt_gives_the_terminal_back(
    number: int, trained: object, home: Path, server: Server, work: Path
) -> None:
    """While a line is edited the terminal is in another state, which only the one who edits it can undo."""
    ours, theirs = os.openpty()
    before = termios.tcgetattr(theirs)
    child = server.fork(
        Order(("chat", "talk", "--seed", "5"), str(work), str(home), terminal=os.ttyname(theirs))
    )
    seen = b""
    while b"You: " not in seen:
        seen += os.read(ours, 4096)
    until(lambda: termios.tcgetattr(theirs) != before, "the prompt")
    # Between showing the prompt and waiting for a key the interpreter's line editing does not notice one until something else happens.
    until(lambda: child.gone() or child.send(number), "its end")
    assert child.ended() == 128 + number
    assert termios.tcgetattr(theirs) == before
    os.close(theirs)
    os.close(ours)
