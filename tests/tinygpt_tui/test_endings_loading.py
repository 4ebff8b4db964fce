"""While a program still loads, a signal ends it without a word: no run is left behind, and no terminal was touched."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.terminal import Terminal
from tests.tinygpt_tui.scripted_run import finished_run
from tests.tinygpt_tui.survival import PLAYGROUND, ROOT, until
from tests.tinygpt_tui.test_endings import EACH, ENDLESS, SIGNALS
from tests.tinygpt_tui.test_endings import work as work

# A place on the way to torch, and how often the signal comes there.
LOADING = (
    ("tinygpt_tui.guard", False),
    ("typer", False),
    ("torch", False),
    ("torch", True),
    ("torch.nn", False),
)
# What every interpreter that finds this on its path does first: it stops before a module is loaded until it is ended.
STOPPER = """
import os, sys, time
class Stopper:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["STOP_AT"]:
            open("reached", "w").close()
            while True:
                time.sleep(0.005)
sys.meta_path.insert(0, Stopper())
"""


@pytest.fixture
def stopper(tmp_path: Path) -> str:
    """A path for Python that makes it stop there, and finds us."""
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "sitecustomize.py").write_text(STOPPER)
    return f"{tmp_path / 'path'}:{ROOT}"


@pytest.mark.parametrize("number", SIGNALS, **EACH)
@pytest.mark.parametrize(
    ("module", "twice"),
    LOADING,
    ids=lambda value: value if isinstance(value, str) else ("once", "twice")[value],
)
def test_while_the_program_loads_a_signal_ends_it_without_a_word_and_leaves_no_run_behind(
    module: str, twice: bool, number: int, home: Path, work: Path, stopper: str
) -> None:
    child = subprocess.Popen(
        [sys.executable, "-m", "tinygpt_tui", *ENDLESS],
        cwd=work,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": stopper, "STOP_AT": module},
    )
    try:
        until(lambda: (work / "reached").exists() or child.poll() is not None, module)
        runs = home / "data" / "runs"
        assert child.poll() is None, child.communicate()
        assert runs.exists() == module.startswith("torch")
        if twice:
            until(lambda: child.poll() is not None or child.send_signal(number), "its end")
        else:
            child.send_signal(number)
        assert child.wait(60) in (128 + number, -number)  # a shell says the same of both
        assert child.communicate() == (b"", b"")
    finally:
        child.kill()
        child.wait()
    if not twice:
        assert not runs.exists() or list(runs.glob("[!.]*")) == []


@pytest.mark.parametrize("number", SIGNALS, **EACH)
def test_while_it_loads_a_signal_ends_it_and_the_terminal_was_never_touched(
    number: int, home: Path, work: Path, stopper: str
) -> None:
    finished_run(home / "data" / "runs", "fox", 4)
    environment = {"PYTHONPATH": stopper, "STOP_AT": "textual.app"}
    with Terminal([*PLAYGROUND, "fox"], environment=environment, cwd=work) as terminal:
        attributes = terminal.attributes()
        until(lambda: (work / "reached").exists() or terminal.process.poll() is not None, "textual")
        terminal.process.send_signal(number)
        assert terminal.ended() in (128 + number, -number)  # a shell says the same of both
        assert (bytes(terminal.drawn), terminal.attributes()) == (b"", attributes)
