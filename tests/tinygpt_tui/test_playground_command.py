"""The command `tinygpt-tui`: what it is called with, where it refuses, and how it gives the terminal back."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from engine.errors import UsageError
from tests.tinygpt_tui.scripted_run import ScriptedRun, finished_run
from tests.tinygpt_tui.scripted_world import scripted_world
from tinygpt_tui import playground
from tinygpt_tui.paths import user_paths
from tinygpt_tui.world import make_world

BLUE = b"122;162;247"  # of our dark theme


class Terminal:
    """A terminal of 100 by 30 in which the playground runs.

    Attributes:
        seen: everything that was written to it.
    """

    def __init__(
        self,
        folder: Path,
        arguments: tuple[str, ...],
        environment: dict[str, str],
        errors: Path | None = None,
    ) -> None:
        """`errors` is a file for what is written to stderr, in place of the terminal."""
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        self.before = termios.tcgetattr(theirs)
        self._theirs = theirs
        self.seen = b""
        with contextlib.nullcontext(theirs) if errors is None else errors.open("wb") as stderr:
            self.child = subprocess.Popen(
                [sys.executable, "-m", "tinygpt_tui.playground", *arguments],
                cwd=folder, stdin=theirs, stdout=theirs, stderr=stderr, start_new_session=True,
                env={**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor",
                     "PYTHONPATH": str(Path(playground.__file__).parents[1]), **environment},
            )  # fmt: skip

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Reads until the condition holds; the limit is only there to end a test that fails."""
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline, f"waited in vain for {what}; seen: {self.seen[-2000:]!r}"
            if select.select([self._ours], [], [], 0.05)[0]:
                with contextlib.suppress(OSError):
                    self.seen += os.read(self._ours, 1 << 16)

    def shows(self, *texts: str) -> None:
        self.until(lambda: all(text.encode() in self.seen for text in texts), " and ".join(texts))

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def ends(self) -> int:
        """Waits for the end; its exit code."""
        self.until(lambda: self.child.poll() is not None, "the end")
        while select.select([self._ours], [], [], 0.05)[0]:
            self.seen += os.read(self._ours, 1 << 16)
        return self.child.returncode

    @property
    def given_back(self) -> bool:
        """Whether the terminal is as it was: modes, main screen, no mouse."""
        restored = termios.tcgetattr(self._theirs) == self.before
        return restored and b"\x1b[?1049l" in self.seen and b"\x1b[?1000l" in self.seen

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.child.pid, signal.SIGKILL)
        self.child.wait()
        os.close(self._ours)
        os.close(self._theirs)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def start(*arguments: str, errors: Path | None = None, **environment: str) -> Terminal:
        opened.append(Terminal(tmp_path, arguments, environment, errors))
        return opened[-1]

    yield start
    for one in opened:
        one.close()


@pytest.fixture
def runs(home: Path) -> Path:
    return home / "data" / "runs"


def test_help_has_examples_and_needs_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        playground.main(["--help"])
    out = capsys.readouterr().out
    assert end.value.code == 0
    assert "usage: tinygpt-tui" in out and "examples:" in out and "tinygpt-tui my-novel.txt" in out


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert playground.main(["--version"]) == 0
    assert capsys.readouterr().out == f"tinygpt-tui {version('tinygpt-tui')}\n"


def test_an_unknown_option_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        playground.main(["--fullscreen"])
    assert end.value.code == 2 and "--fullscreen" in capsys.readouterr().err


def test_without_a_terminal_it_names_the_commands_that_need_none(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert playground.main([]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: the playground needs a terminal") and err.count("\n") == 1
    assert "tinygpt train" in err


@pytest.mark.parametrize("term", ["dumb", ""])
def test_a_terminal_that_cannot_draw_is_refused(terminal: Callable[..., Terminal], term: str) -> None:
    one = terminal(TERM=term)
    assert one.ends() == 2
    assert b"error: this terminal cannot draw" in one.seen and b"\x1b" not in one.seen


def test_nothing_is_drawn_into_a_file_that_stderr_goes_to(
    tmp_path: Path, terminal: Callable[..., Terminal]
) -> None:
    one = terminal(errors=tmp_path / "err.log")
    assert one.ends() == 2 and one.seen == b""
    (line,) = (tmp_path / "err.log").read_text().splitlines()
    assert line.startswith("error: the playground draws on stderr") and "start it without '2>'" in line


def test_what_is_called_nothing_is_told_in_a_sentence(terminal: Callable[..., Terminal]) -> None:
    one = terminal("no\x1b[31mvel")
    assert one.ends() == 2
    (line,) = one.seen.decode().splitlines()
    assert line.startswith("error: there is no run, file or catalogue text called 'no")
    assert "tinygpt runs list" in line and "\x1b" not in line


def test_the_first_mode_is_that_of_what_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "data" / "runs"
    assert playground._first_mode(scripted_world(tmp_path), None) == "welcome"
    finished_run(folder, "novel", 4, created="2026-01-01T03:04:05Z")
    world = scripted_world(tmp_path)
    assert playground._first_mode(world, None) == "play"
    assert playground._first_mode(world, "novel") == "play" and world.chosen_run == "novel"
    with ScriptedRun(folder, "tales") as run:  # named as a text of the catalogue
        run.steps(1)
        world = scripted_world(tmp_path)
        assert playground._first_mode(world, None) == "train"
        assert playground._first_mode(world, "tales") == "train" and world.chosen_run == "tales"
    assert playground._first_mode(world, "sums") == "corpus" and world.chosen_corpus == "sums"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.txt").write_text("a text")
    assert playground._first_mode(world, "my.txt") == "corpus"
    assert world.chosen_corpus == str(tmp_path / "my.txt")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert playground._first_mode(world, "~/my.txt") == "corpus"
    with pytest.raises(UsageError):
        playground._first_mode(world, "yours.txt")


def test_a_run_that_is_asked_for_is_found_however_many_are_newer(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for at, name in enumerate(
        ("oldest", "tales", "newer", "newest"), 1
    ):  # one of them named as a text of the catalogue
        folder = finished_run(runs, name, 4).folder.path
        os.utime(folder, (1000.0 * at, 1000.0 * at))
    monkeypatch.setattr("tinygpt_tui.world.SCAN_SECONDS", 0.0)
    for name in ("oldest", "tales"):
        world = make_world(user_paths())
        assert world.run_names() == ["newest"]
        assert playground._first_mode(world, name) == "play"
        assert (world.chosen_run, world.current_run, world.chosen_corpus) == (name, name, None)


@pytest.mark.parametrize("target", ["~nobody-of-this-name", "x" * 300, "/there/\0", "a/" * 3000])
def test_what_is_no_path_is_nothing_of_that_name(tmp_path: Path, target: str) -> None:
    with pytest.raises(UsageError, match="there is no run, file or catalogue text called"):
        playground._first_mode(scripted_world(tmp_path), target)


def test_a_run_that_trains_is_shown_and_named_when_one_leaves(
    runs: Path, terminal: Callable[..., Terminal]
) -> None:
    with ScriptedRun(runs) as run:
        run.steps(20)
        one = terminal("tales-03")
        one.shows("tales-03", "● step 20", "what it writes")
        one.type("\x11")  # ctrl+q
        assert one.ends() == 0
        said = one.seen.decode().rsplit("\x1b[?1049l")[-1]
        assert "tales-03 goes on training: watch it with 'tinygpt runs watch tales-03'" in said
        assert "end it with 'tinygpt runs stop tales-03'" in said
        assert one.given_back and run.obey_controls() == []


def test_a_corpus_file_is_shown_and_nothing_is_said_when_nothing_trains(
    tmp_path: Path, terminal: Callable[..., Terminal]
) -> None:
    (tmp_path / "novel.txt").write_text("It was a dark and stormy night. " * 40)
    one = terminal("novel.txt")
    one.shows("dark and stormy night")
    one.type("\x03\x03")  # ctrl+c twice
    assert one.ends() == 0
    assert one.given_back and "goes on training" not in one.seen.decode()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)]
)
def test_a_signal_ends_it_and_the_terminal_is_given_back(
    runs: Path, terminal: Callable[..., Terminal], number: int, code: int
) -> None:
    finished_run(runs, steps=4)
    one = terminal()
    one.shows("Corpus", "Settings")
    one.child.send_signal(number)
    assert one.ends() == code
    assert one.given_back


def test_an_empty_no_color_counts_as_unset(terminal: Callable[..., Terminal]) -> None:
    coloured, plain = terminal(NO_COLOR=""), terminal(NO_COLOR="1")
    for one in (coloured, plain):
        one.shows("Corpus", "Settings")
        one.type("\x11")
        assert one.ends() == 0
    assert BLUE in coloured.seen and BLUE not in plain.seen
