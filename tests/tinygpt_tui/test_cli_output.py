"""Data is exact in a pipe and harmless on a terminal; narration is lost rather than in the way."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys

import pytest

from tinygpt_tui.cli import output

HOSTILE = "a\x1b]52;c;eA==\x07\x9b31m\u202e[red]\r\nb\t"


def on_a_terminal(script: str, *args: str) -> str:
    """What a terminal receives from a child whose three streams it is."""
    controller, terminal = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-c", script, *args], stdin=terminal, stdout=terminal, stderr=terminal, close_fds=True
    )  # fmt: skip
    os.close(terminal)
    received = b""
    try:
        while chunk := os.read(controller, 4096):
            received += chunk
    except OSError:  # the last one on the terminal has closed it
        pass
    os.close(controller)
    assert child.wait(timeout=60) == 0
    return received.decode("utf-8")


def test_piped_data_is_exact(capsys: pytest.CaptureFixture[str]) -> None:
    output.emit(HOSTILE, end="")
    assert capsys.readouterr().out == HOSTILE


def test_data_and_narration_on_a_terminal_are_harmless() -> None:
    script = "import sys; from tinygpt_tui.cli.output import emit, narrate; emit(sys.argv[1]); narrate(sys.argv[1])"
    seen = on_a_terminal(script, HOSTILE)
    assert seen.replace("\r\n", "\n") == "a␛]52;c;eA==␇\ufffd31m\ufffd[red]␍\nb\t\n" * 2


def test_narration_is_harmless_in_a_pipe_too(capsys: pytest.CaptureFixture[str]) -> None:
    output.narrate("\x1b[31m")
    assert capsys.readouterr() == ("", "␛[31m\n")


def test_json_is_one_ascii_line_and_never_holds_nan(capsys: pytest.CaptureFixture[str]) -> None:
    output.emit_json({"text": "é\n\x1b", "loss": float("nan"), "rows": [float("-inf"), 1.5]})
    out = capsys.readouterr().out
    assert out.isascii() and out.count("\n") == 1 and "\x1b" not in out
    assert json.loads(out) == {"text": "é\n\x1b", "loss": None, "rows": [None, 1.5]}


def test_narrating_to_nobody_raises_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    closed = io.StringIO()
    closed.close()
    for stream in (Broken(), closed, None):
        monkeypatch.setattr(sys, "stderr", stream)
        output.narrate("lost")


def test_emitting_to_a_reader_that_is_gone_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", Broken())
    with pytest.raises(BrokenPipeError):
        output.emit("x")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("setting", "environment", "terminal", "expected"),
    [
        ("auto", {"TERM": "xterm"}, True, True),
        ("auto", {"TERM": "xterm"}, False, False),
        ("auto", {"TERM": "dumb"}, True, False),
        ("auto", {}, True, False),
        ("auto", {"TERM": "xterm", "NO_COLOR": "1"}, True, False),
        ("auto", {"TERM": "xterm", "NO_COLOR": ""}, True, True),
        ("auto", {"FORCE_COLOR": "1"}, False, True),
        ("auto", {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, False),
        ("always", {"NO_COLOR": "1"}, False, True),
        ("never", {"TERM": "xterm", "FORCE_COLOR": "1"}, True, False),
    ],
)
def test_colour_is_as_asked_for(
    setting: str, environment: dict[str, str], terminal: bool, expected: bool
) -> None:
    stream = Terminal() if terminal else io.StringIO()
    assert output.wants_color(stream, setting, environment) is expected


def test_nothing_asks_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert output.is_interactive()
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert not output.is_interactive()
