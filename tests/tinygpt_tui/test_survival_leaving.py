"""However the real playground is left, the terminal is as it was, its player is gone, and what trains goes on and is told of."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.terminal import Terminal
from tests.tinygpt_tui.conftest import Trained
from tests.tinygpt_tui.survival import PLAYGROUND, TOLD, Home, endless, is_alive, player_of, until

LAST_WORD = "lasting goes on training: watch it with 'tinygpt runs watch lasting', end it with 'tinygpt runs stop lasting'"
# Private modes of a terminal that nobody has changed: the cursor is shown, lines are wrapped, and all else is off.
AS_IT_WAS = {
    1049: False,
    25: True,
    7: True,
    1000: False,
    1003: False,
    1006: False,
    1015: False,
    1004: False,
    2004: False,
}


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory, corpora: Path) -> Iterator[tuple[Home, int]]:
    """A home with a run that never ends, and the process id of its trainer."""
    home = Home(tmp_path_factory.mktemp("lasting") / "home")
    with endless(home, corpora / "fox.txt", "lasting") as trainer:
        yield home, trainer


def ctrl_q(terminal: Terminal) -> None:
    terminal.send("\x11")


def ctrl_q_while_a_mode_is_made(terminal: Terminal) -> None:
    terminal.send("45\x11")


def ctrl_c_twice(terminal: Terminal) -> None:
    terminal.send("\x03")
    terminal.wait_until(lambda screen: "Press ctrl+c again to leave" in screen)
    terminal.send("\x03")


def sigterm(terminal: Terminal) -> None:
    terminal.process.send_signal(signal.SIGTERM)


def sighup(terminal: Terminal) -> None:
    terminal.process.send_signal(signal.SIGHUP)


def check_given_back(terminal: Terminal, attributes: list[Any]) -> str:
    """Asserts that the terminal is as it was; what stands on it behind the playground."""
    modes = terminal.modes()
    assert {mode: modes.get(mode) for mode in AS_IT_WAS} == AS_IT_WAS
    assert not any(on for mode, on in modes.items() if mode not in AS_IT_WAS)
    assert terminal.drawn.count(b"\x1b[>") == terminal.drawn.count(b"\x1b[<u") == 1  # how keys are reported
    assert terminal.attributes() == attributes
    assert terminal.drawn.count(b"\x1b[?1049h") == terminal.drawn.count(b"\x1b[?1049l") == 1
    return terminal.text(terminal.drawn.rindex(b"\x1b[?1049l"))


@pytest.mark.parametrize(
    ("leave", "code"),
    [(ctrl_q, 0), (ctrl_q_while_a_mode_is_made, 0), (ctrl_c_twice, 0), (sigterm, 143), (sighup, 129)],
)
def test_leaving_gives_the_terminal_back_and_says_what_still_trains(
    leave: Callable[[Terminal], None], code: int, training: tuple[Home, int]
) -> None:
    home, trainer = training
    with Terminal(PLAYGROUND, environment=home.environment, cwd=home.work) as terminal:
        attributes = terminal.attributes()
        terminal.wait_until(lambda screen: "● training" in screen)
        assert terminal.attributes() != attributes
        player = player_of(terminal.process.pid)
        assert player is not None
        leave(terminal)
        assert terminal.ended() == code
        assert check_given_back(terminal, attributes) == LAST_WORD + "\r\n"
    assert not is_alive(player)
    assert is_alive(trainer)


def test_a_signal_before_the_first_frame_gives_the_terminal_back_too(training: tuple[Home, int]) -> None:
    home, _ = training
    with Terminal(PLAYGROUND, environment=home.environment, cwd=home.work) as terminal:
        attributes = terminal.attributes()
        while b"\x1b[?1049h" not in terminal.drawn:
            terminal.read(10)
        sigterm(terminal)
        assert terminal.ended() == 143
        assert check_given_back(terminal, attributes) == LAST_WORD + "\r\n"


@pytest.mark.parametrize(("heard", "stalled"), [(True, False), (True, True), (False, False)])
def test_when_its_window_is_closed_in_mid_stream_it_leaves(
    heard: bool, stalled: bool, trained: Trained, tmp_path: Path
) -> None:
    """Also where nobody tells it, because the program that the terminal belongs to takes no notice; and where the terminal has taken
    nothing for so long that the playground waits for it."""
    home, report = Home(trained.home), tmp_path / "code"
    deaf = (
        "import pathlib, signal, subprocess, sys\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "child = subprocess.Popen(sys.argv[2:], preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL))\n"
        "pathlib.Path(sys.argv[1] + '.pid').write_text(str(child.pid))\n"
        "pathlib.Path(sys.argv[1]).write_text(str(child.wait()))\n"
    )
    command = [*PLAYGROUND, "fox"] if heard else [sys.executable, "-c", deaf, str(report), *PLAYGROUND, "fox"]
    home.environment |= {"TINYGPT_SAMPLE_CHARS": "1000000", "TINYGPT_UI_SPEED": "0"}
    with Terminal(command, environment=home.environment, cwd=home.work) as terminal:
        terminal.wait_until(lambda screen: "@ step" in screen and "⏎ send" in screen, 60)
        terminal.send("Once\r")
        terminal.wait_until(lambda screen: "char/s ─" in screen)
        pid = terminal.process.pid if heard else int(report.with_suffix(".pid").read_text())
        player = player_of(pid)
        assert player is not None
        if stalled:
            kept = home.path / "data" / "history.sqlite-wal"
            until(lambda: time.time() - kept.stat().st_mtime > 1.5, "the playground to wait for the terminal")
        terminal.hang_up()
        code = (
            terminal.process.wait(60)
            if heard
            else until(lambda: report.exists() and report.read_text(), "its end")
        )
        assert int(code) == 129
    assert not is_alive(player)


def test_an_error_while_it_starts_gives_the_terminal_back_and_is_told(
    training: tuple[Home, int], tmp_path: Path
) -> None:
    home, trainer = training
    command = [*TOLD, str(tmp_path / "report"), "--broken"]
    with Terminal(command, environment=home.environment, cwd=home.work) as terminal:
        attributes = terminal.attributes()
        assert terminal.ended() == 1
        said = check_given_back(terminal, attributes)
    assert "ZeroDivisionError" in said
    assert said.endswith(LAST_WORD + "\r\n")
    assert is_alive(trainer)


def test_whatever_is_looked_at_while_it_trains_and_plays_the_interface_loads_nothing_heavy(
    training: tuple[Home, int], tmp_path: Path
) -> None:
    home, _ = training
    report = tmp_path / "report"
    with Terminal([*TOLD, str(report)], environment=home.environment, cwd=home.work) as terminal:
        terminal.wait_until(lambda screen: "● training" in screen)
        for key, sign in (
            ("4", "lasting"),
            ("1", "how it begins"),
            ("5", "train.time"),
            ("2", "nats per character"),
        ):
            terminal.send(key)
            terminal.wait_until(lambda screen, sign=sign: sign in screen)  # type: ignore[misc]
        terminal.send("p")
        terminal.wait_until(lambda screen: "@ step" in screen and "⏎ send" in screen, 60)
        terminal.send("Once\r")
        terminal.wait_until(lambda screen: "i prompt" in screen and "Once" in screen)
        terminal.send("?")
        terminal.wait_until(lambda screen: "─ help ─" in screen)
        terminal.send("\x1b")
        terminal.wait_until(lambda screen: "─ help ─" not in screen)
        terminal.send("\x10")
        terminal.wait_until(lambda screen: "Search for an action" in screen)
        ctrl_q(terminal)
        assert terminal.ended() == 0
    modules = set(json.loads(report.read_text())["modules"])
    assert {
        f"tinygpt_tui.screens.{mode}" for mode in ("corpus", "train", "play", "runs", "settings")
    } <= modules
    assert not modules & {
        "torch",
        "numpy",
        "pydantic",
        "engine.trainer",
        "models.modern",
        "safetensors",
        "tokenizers",
    }
