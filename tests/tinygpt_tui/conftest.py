"""A home of its own for every test of the faces, and ways to run the command as a person would."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tinygpt_tui.cli.exits import run


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


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
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return call
