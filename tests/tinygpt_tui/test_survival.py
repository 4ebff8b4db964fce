"""The real playground in a real terminal: what goes on, what is kept and what is told when a part of it is killed or closed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.terminal import Terminal
from tests.tinygpt_tui.conftest import Trained
from tests.tinygpt_tui.survival import (
    PLAYGROUND,
    ROOT,
    Home,
    end_trainers,
    player_of,
    until,
)
from tinygpt_tui.play.history import History
from tinygpt_tui.play.session import Session

STEPS = 600
PROMPT = "The fox"
LONG = 120.0  # seconds, for trainers on a machine that has much else to do
SLOWLY = {"TINYGPT_UI_SPEED": "20"}  # characters a second


@pytest.fixture
def place(home: Path, tmp_path: Path) -> Iterator[Home]:
    """An empty home; trainers that are left are killed."""
    found = Home(home)
    yield found
    end_trainers(found)


def open_playground(place: Home, *arguments: str) -> Terminal:
    return Terminal([*PLAYGROUND, *arguments], environment=place.environment, cwd=place.work)


def kept(place: Home) -> Session:
    """What the history holds of the text that was written last."""
    history = History(place.path / "data" / "history.sqlite")
    history.begin()
    session = history.load_last()
    history.close()
    assert session is not None, history.problem
    return session


def shown_text(screen: str) -> str:
    """The text on Play without its blanks and line breaks, up to the cursor or a toast; "" while there is none."""
    lines = screen.splitlines()[2:]
    end = next((i for i, line in enumerate(lines) if not line.startswith("│")), len(lines))
    text = bare("".join(line.split("│")[1] for line in lines[:end]).partition("▌")[0])
    return text if text.startswith(bare(PROMPT)) else ""


def bare(text: str) -> str:
    return "".join(text.split())


def is_whole(curve: str, steps: int) -> bool:
    """Whether a drawn curve begins at the first steps and stands above nearly all of the axis."""
    lines = curve.splitlines()
    axis = max(i for i, line in enumerate(lines) if "──" in line)
    left, right = lines[axis].index("─"), len(lines[axis])
    above = {i for line in lines[:axis] for i, c in enumerate(line) if "\u2801" <= c <= "\u28ff" or c == "●"}
    ticks = re.findall(r"(\d[\d.]*)(k?)", lines[axis])
    first = float(ticks[0][0]) * (1000 if ticks[0][1] else 1)
    return first <= steps / 3 and len(above & set(range(left, right))) > 0.9 * (right - left)


def leave_prompt(terminal: Terminal) -> None:
    """Waits until the prompt has the keys, and takes them from it."""
    terminal.wait_until(lambda screen: "⏎ send" in screen)
    terminal.send("\x1b")
    terminal.wait_until(lambda screen: "i prompt" in screen)


def begin_to_write(terminal: Terminal) -> str:
    """Lets the run that is shown write; the screen when some characters stand on it."""
    terminal.wait_until(lambda screen: "@ step" in screen and "⏎ send" in screen, LONG)
    terminal.send(PROMPT + "\r")
    return terminal.wait_until(lambda screen: len(shown_text(screen)) > 30)


@pytest.mark.parametrize(
    "started", ["in the background", "at another terminal", "on Corpus", "on the welcome page"]
)
def test_a_run_goes_on_to_its_end_when_the_interface_is_killed(
    started: str, place: Home, corpora: Path, tmp_path: Path
) -> None:
    fox = corpora / "fox.txt"
    # By the clock, as the interface starts runs: on a busy machine, where trainers give way, it must be longer.
    seconds = round(9 * max(1.0, min(os.getloadavg()[0] / (os.cpu_count() or 1), 5.0)))
    place.environment |= {"TINYGPT_TRAIN_SIZE": "0.1m", "TINYGPT_TRAIN_TIME": f"{seconds}s"}
    other = None
    if started == "in the background":
        place.tinygpt(*place.training(fox, "fox", STEPS), "--detach")
        terminal = open_playground(place, "fox")
    elif started == "at another terminal":
        command = [sys.executable, "-m", "tinygpt_tui", *place.training(fox, "fox", STEPS)]
        other = Terminal(command, environment=place.environment, cwd=place.work)
        until(lambda: place.names() == ["fox"], "the run")
        terminal = open_playground(place, "fox")
    elif started == "on Corpus":
        terminal = open_playground(place, str(fox))
        terminal.wait_until(lambda screen: "how it begins" in screen and "symbols" in screen)
        terminal.send("t")
    else:
        terminal = open_playground(place)
        terminal.wait_until(lambda screen: "train on tales" in screen)
        terminal.send("\r")
    # How many steps there are to come is known only where they were asked for: others may be over with the first.
    from_step = 0 if started.startswith("on ") else 1
    with terminal:
        terminal.wait_until(lambda screen: re.search("◌ preparing|● training", screen), LONG)
        (name,) = place.names()
        terminal.wait_until(lambda _: place.trains(name, from_step), LONG)
        assert place.trains(name, 0), "it has ended already"
        terminal.kill()
    status = place.ended(name)
    assert status["state"] == "done"
    # The clock ends a run before its last plan does when the machine has suddenly become busy.
    assert status["step"] == STEPS if from_step else 0 < status["step"] <= status["horizon"]
    if other is not None:
        with other:
            assert other.ended() == 0

    with open_playground(place) as again:
        leave_prompt(again)
        again.send("2")
        again.wait_until(lambda screen: f"Done: {status['step']:,} step" in screen)
        again.send("x")
        again.wait_until(lambda screen: "Saved" in screen)
    (saved,) = tmp_path.glob("*-loss*.txt")
    curve = saved.read_text()
    assert f"step {status['step']:,} " in curve
    if status["step"] > 20:  # what had only seconds may have made a step or two on a busy machine
        assert is_whole(curve, status["step"]), curve


def test_a_killed_trainer_is_told_of_and_r_lets_its_run_go_on_to_the_end(place: Home, corpora: Path) -> None:
    place.tinygpt(*place.training(corpora / "fox.txt", "fox", STEPS), "--detach")
    with open_playground(place, "fox") as terminal:
        terminal.wait_until(lambda screen: "● training" in screen, LONG)
        terminal.wait_until(lambda _: place.has_saved("fox") and place.trains("fox"), LONG)
        first = place.trains("fox")
        assert first
        os.kill(first, signal.SIGKILL)
        told = r"was killed at step [\d,]+, .* resume it from step [\d,]+\. Press r to resume"
        # Where the sentence is broken into lines depends on how long its numbers are.
        terminal.wait_until(lambda screen: "died" in screen and re.search(told, " ".join(screen.split())))
        terminal.send("r")
        terminal.wait_until(lambda screen: f"Done: {STEPS:,} steps" in screen, LONG)
    status = place.status("fox")
    assert (status["state"], status["step"]) == ("done", STEPS)
    assert status["pid"] != first


def test_when_the_player_is_killed_its_text_stays_and_a_new_one_writes_on(trained: Trained) -> None:
    place = Home(trained.home)
    place.environment |= SLOWLY
    with open_playground(place, "fox") as terminal:
        begin_to_write(terminal)
        first = player_of(terminal.process.pid)
        assert first is not None
        before = shown_text(terminal.screen())
        os.kill(first, signal.SIGKILL)
        screen = terminal.wait_until(lambda screen: "A new player is up" in screen, LONG)
        assert "The player is gone" in screen
        # What was told lies over the text for some seconds.
        stayed = shown_text(terminal.wait_until(lambda screen: " player is " not in screen, LONG))
        assert stayed.startswith(before)
        assert player_of(terminal.process.pid) not in (None, first)
        terminal.wait_until(lambda screen: "@ step" in screen, LONG)
        terminal.send("g")
        terminal.wait_until(lambda screen: len(shown_text(screen)) > len(stayed) + 20)
        terminal.send("\x11")
        assert terminal.ended() == 0
    session = kept(place)
    assert [passage.reason for passage in session.all] == ["typed", "typed", "lost", "closed"]
    assert bare(session.text()).startswith(stayed)


def test_of_a_text_nobody_closed_at_most_the_last_half_second_is_missing(trained: Trained) -> None:
    place = Home(trained.home)
    place.environment |= SLOWLY
    seen: list[tuple[float, str]] = []

    def long_enough(screen: str) -> bool:
        seen.append((time.monotonic(), shown_text(screen)))
        return len(seen[-1][1]) > 100

    with open_playground(place, "fox") as terminal:
        begin_to_write(terminal)
        terminal.wait_until(long_enough)
        terminal.kill()
        killed = time.monotonic()
    owed = next(text for when, text in reversed(seen) if when < killed - 0.5)
    found = bare(kept(place).text())
    assert len(owed) > 50
    assert found.startswith(owed)
    with open_playground(place, "fox") as again:
        again.wait_until(lambda screen: shown_text(screen) == found)


@pytest.mark.parametrize(
    ("at_a_terminal", "opened"), [(True, "tinygpt-tui"), (False, "tinygpt train tales --time 60s")]
)
def test_make_run_opens_the_playground_at_a_terminal_and_demonstrates_without_one(
    at_a_terminal: bool, opened: str, tmp_path: Path
) -> None:
    environment = (
        tmp_path / "environment"
    )  # in place of the virtual one; up to date, so that nothing is installed
    (environment / "bin").mkdir(parents=True)
    for name in ("tinygpt", "tinygpt-tui", "python"):
        program = environment / "bin" / name
        program.write_text('#!/bin/sh\necho "${0##*/} $*"\n')
        program.chmod(0o755)
    (environment / ".runs").touch()
    command = ["make", "-C", str(ROOT), "run", f"VENV={environment}"]
    if at_a_terminal:
        with Terminal(command) as terminal:
            assert terminal.ended() == 0
        said = terminal.text()
    else:
        said = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
        ).stdout
    assert next(line.strip() for line in said.splitlines() if line.startswith("tinygpt")) == opened
