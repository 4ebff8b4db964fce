"""A home of its own for every test of the faces, and ways to run the command as a person would."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tinygpt_tui.cli.exits import run


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """What was printed with --json."""
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`TINYGPT_HOME`, not made yet; no other setting of the person who runs the tests gets in."""
    for name in list(os.environ):
        if name.startswith(("TINYGPT_", "_TINYGPT_")) or name in (
            "NO_COLOR",
            "FORCE_COLOR",
            "PYTHONUNBUFFERED",
        ):
            monkeypatch.delenv(name)
    folder = tmp_path / "home"
    monkeypatch.setenv("TINYGPT_HOME", str(folder))
    # Or each of these homes would have a kernel made for it.
    monkeypatch.setattr("models.kernel.file_name", lambda: "")
    return folder


@pytest.fixture
def tinygpt(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Runs the command line in this process."""

    def call(*args: str) -> Outcome:
        capsys.readouterr()
        code = run(args)
        out, err = capsys.readouterr()
        return Outcome(code, out, err)

    return call


@pytest.fixture
def process(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `python -m tinygpt_tui` in an empty folder; `env` is added to the environment."""

    def call(*args: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "tinygpt_tui", *args],
            cwd=tmp_path,
            env={**os.environ, "TINYGPT_ENGINE_COMPILE": "off", **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return call


@dataclass(frozen=True)
class Trained:
    """A home that holds two finished runs of the command line, with what it printed.

    Attributes:
        fox: the events of the run "fox", which learned `fox.txt`.
        talk: the events of the run "talk", which learned the conversation in `talk.txt`.
    """

    home: Path
    fox: list[dict[str, Any]]
    talk: list[dict[str, Any]]

    @property
    def run(self) -> Path:
        return self.home / "data" / "runs" / "fox"


@pytest.fixture(scope="session")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `fox.txt`, 6,000 characters in lines of eight words, and `talk.txt`, 5,000 of two who take turns."""
    folder = tmp_path_factory.mktemp("corpora")
    dice = random.Random(1)
    words = [
        "the",
        "quick",
        "brown",
        "fox",
        "jumps",
        "over",
        "lazy",
        "dog",
        "and",
        "goes",
        "home",
        "to",
        "sleep",
    ]
    lines = (" ".join(dice.choices(words, k=8)).capitalize() + ".\n" for _ in range(200))
    (folder / "fox.txt").write_text("".join(lines)[:6000])
    asked = ["hello", "how are you", "what is your name", "do you like rain", "where is the sea"]
    said = ["hello you", "i am well", "my name is cat", "i like rain", "the sea is far"]
    turns = (f"You: {asked[i]}\nCat: {said[i]}\n" for i in (dice.randrange(5) for _ in range(150)))
    (folder / "talk.txt").write_text("".join(turns))
    return folder


@pytest.fixture(scope="session")
def _trained_once(tmp_path_factory: pytest.TempPathFactory, corpora: Path) -> Trained:
    home = tmp_path_factory.mktemp("trained") / "home"

    def train(name: str) -> list[dict[str, Any]]:
        out = io.StringIO()
        args = (
            "train",
            str(corpora / f"{name}.txt"),
            "--steps",
            "20",
            "--size",
            "0.1m",
            "--eval-every",
            "10",
        )
        with contextlib.redirect_stdout(out):
            assert (
                run(
                    (
                        *args,
                        "--set",
                        "threads=1",
                        "--set",
                        "sample_chars=20",
                        "--set",
                        "kernels=eager",
                        "--name",
                        name,
                        "--json",
                        "--quiet",
                    )
                )
                == 0
            )
        return Outcome(0, out.getvalue(), "").lines

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TINYGPT_HOME", str(home))
        return Trained(home, fox=train("fox"), talk=train("talk"))


@pytest.fixture
def trained(_trained_once: Trained, home: Path) -> Trained:
    """This test's own copy of two small runs, in its home."""
    shutil.copytree(_trained_once.home, home)
    return Trained(home, _trained_once.fox, _trained_once.talk)


@pytest.fixture
def tiny() -> tuple[str, ...]:
    """Options for a model of 5,000 parameters, which takes a step in milliseconds."""
    fields = "n_layer=1 n_head=2 n_embd=16 block_size=16 batch_size=4 threads=1 sample_chars=20"
    return tuple(part for field in fields.split() for part in ("--set", field))


@pytest.fixture
def until() -> Callable[..., None]:
    """Waits for a condition; the limit is only there to end a test that fails."""

    def wait(condition: Callable[[], object], seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "waited in vain"
            time.sleep(0.02)

    return wait


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    """What the next command in this process reads from a pipe."""

    def give(data: bytes) -> None:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))

    return give


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts `python -m tinygpt_tui` or another module in an empty folder; what still runs at the end of the test is killed."""
    children: list[subprocess.Popen[bytes]] = []

    def call(*args: str | bytes, module: str = "tinygpt_tui", **options: Any) -> subprocess.Popen[bytes]:
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        child = subprocess.Popen([sys.executable, "-m", module, *args], cwd=tmp_path, **{**pipes, **options})
        children.append(child)
        return child

    yield call
    for child in children:
        child.kill()
        child.communicate()
