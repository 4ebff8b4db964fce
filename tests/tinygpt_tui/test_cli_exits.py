"""Every way a command can end: its exit code, one line at most, never a traceback, and whole output or none."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.errors import (
    BusyError,
    CheckpointError,
    CorpusError,
    ResourceError,
    RunError,
    SettingsError,
    UsageError,
)
from tinygpt_tui import __main__, guard
from tinygpt_tui.cli import exits


@pytest.fixture
def ending(monkeypatch: pytest.MonkeyPatch, tinygpt: Callable[..., Any]) -> Callable[[BaseException], Any]:
    """The outcome of a command that raises."""

    def call(error: BaseException) -> Any:
        def invoke(args: object) -> int:
            raise error

        monkeypatch.setattr(exits, "_invoke", invoke)
        return tinygpt()

    return call


@pytest.mark.parametrize(
    ("kind", "code"),
    [(RunError, 1), (UsageError, 2), (SettingsError, 2), (CorpusError, 3), (CheckpointError, 3), (ResourceError, 4),
     (BusyError, 5)],
)  # fmt: skip
def test_expected_errors_are_one_sentence_and_their_exit_code(
    kind: type[Exception], code: int, ending: Callable[[BaseException], Any]
) -> None:
    outcome = ending(kind("x.txt is empty: give a text"))
    assert (outcome.code, outcome.out, outcome.err) == (code, "", "error: x.txt is empty: give a text\n")


def test_an_error_cannot_drive_the_terminal_and_is_no_markup(ending: Callable[[BaseException], Any]) -> None:
    outcome = ending(CorpusError("\x1b]0;x\x07 [/red]\nfile"))
    assert outcome.err == "error: ␛]0;x␇ [/red]␊file\n"


def test_an_interrupt_is_quiet_and_130(ending: Callable[[BaseException], Any]) -> None:
    outcome = ending(KeyboardInterrupt())
    assert (outcome.code, outcome.out, outcome.err) == (130, "", "")


def test_an_interrupt_while_the_program_loads_is_quiet_and_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(guard, "problem", interrupted)
    before = signal.getsignal(signal.SIGINT)
    try:
        assert __main__.main() == 130
        assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL  # another one ends it at once
    finally:
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr().err == ""


def test_control_c_ends_a_working_command_quietly_with_130() -> None:
    child = subprocess.Popen(
        [sys.executable, "-m", "tinygpt_tui", "corpora", "show", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert child.stdin is not None
    # Far more than a pipe holds: once all of it is written, the command is at work reading it.
    child.stdin.write(b"Once there was a fox.\n" * 50_000)
    child.stdin.flush()
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert (child.returncode, out, err) == (130, b"", b"")


def test_a_defect_is_one_sentence_and_a_private_file(
    home: Path, ending: Callable[[BaseException], Any]
) -> None:
    outcome = ending(ZeroDivisionError("by \x1b nothing"))
    assert outcome.code == 1 and outcome.err.count("\n") == 1
    assert "defect of tinygpt" in outcome.err and "Traceback" not in outcome.err and "\x1b" not in outcome.err
    (report,) = (home / "state").glob("crash-*.txt")
    assert str(report) in outcome.err
    assert stat.S_IMODE(report.stat().st_mode) == 0o600
    assert "Traceback" in report.read_text() and "ZeroDivisionError" in report.read_text()


def test_two_defects_in_one_second_keep_both_reports(
    home: Path, ending: Callable[[BaseException], Any]
) -> None:
    assert ending(ZeroDivisionError()).err != ending(ZeroDivisionError()).err


def test_a_defect_without_a_place_for_its_report_still_has_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: Callable[[BaseException], Any]
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TINYGPT_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    outcome = ending(ZeroDivisionError())
    assert outcome.code == 1
    assert len(list((tmp_path / "temporary").glob("*/crash-*.txt"))) == 1


def test_a_full_disk_and_too_little_memory_are_4(ending: Callable[[BaseException], Any]) -> None:
    full = ending(OSError(errno.ENOSPC, "No space left on device", "/data/x"))
    assert full.code == 4 and "/data/x" in full.err
    assert ending(MemoryError()).code == 4


def test_sys_exit_keeps_its_code(ending: Callable[[BaseException], Any]) -> None:
    assert ending(SystemExit(7)).code == 7
    assert ending(SystemExit()).code == 0


@pytest.mark.parametrize("args", [("--help",), ("paths",), ("config", "show", "--json")])
def test_a_reader_that_goes_away_ends_the_command_quietly(args: tuple[str, ...]) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "tinygpt_tui", *args], stdout=write, stderr=subprocess.PIPE, text=True, timeout=60
    )  # fmt: skip
    os.close(write)
    assert (done.returncode, done.stderr) == (1, "")


def test_output_that_waits_to_be_written_when_the_reader_goes_is_no_defect() -> None:
    script = (
        "import sys; from tinygpt_tui.cli import exits;"
        "exits._invoke = lambda args: sys.stdout.write('text') * 0; sys.exit(exits.run())"
    )
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-c", script], stdout=write, stderr=subprocess.PIPE, text=True, timeout=60
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("args", [("--help",), ("--version",), ("paths", "--json")])
def test_output_that_does_not_fit_on_the_disk_is_an_error_and_not_silence(args: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "tinygpt_tui", *args], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60
        )  # fmt: skip
    assert done.returncode == 4
    assert done.stderr == "error: no space is left to write standard output: free some and try again\n"


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_closed_standard_streams_are_no_defect(closed: str, home: Path) -> None:
    for args, code in (("paths", 0), ("--help", 0), ("nope", 2)):
        done = subprocess.run(
            ["/bin/sh", "-c", f'"{sys.executable}" -m tinygpt_tui {args} {closed}'], capture_output=True, timeout=60
        )  # fmt: skip
        assert done.returncode == code
    assert not home.exists()


def test_any_text_can_be_written_in_any_locale(
    tmp_path: Path, process: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    (tmp_path / "tale.txt").write_text("Ein Bär, ein Wörtchen und eine Eule. 🦉\n" * 20, encoding="utf-8")
    ascii_only = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = process("corpora", "show", "tale.txt", env=ascii_only)
    assert done.returncode == 0, done.stderr
    assert r"B\xe4r" in done.stdout and r"\U0001f989" in done.stdout
    missing = process("corpora", "show", "Bär.txt", env=ascii_only)
    assert missing.returncode == 3 and missing.stderr.count("\n") == 1
