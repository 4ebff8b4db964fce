"""Benchmarks in a form so small that it says nothing but that they work: in a home of their own, on one core, without compiled kernels."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Outcome:
    code: int
    report: dict[str, Any]
    err: str

    def row(self, beginning: str) -> dict[str, Any]:
        """The one result whose `what` begins so."""
        (found,) = (row for row in self.report["results"] if row["what"].startswith(beginning))
        return found


@pytest.fixture(autouse=True)
def small_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One core, so that the threads of both sides do not wait for each other where tests run beside each other."""
    for name in [name for name in os.environ if name.startswith(("TINYGPT_", "_TINYGPT_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TINYGPT_HOME", str(tmp_path / "own home"))
    monkeypatch.setenv("TINYGPT_ENGINE_COMPILE", "off")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    yield
    os.sched_setaffinity(0, before)


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """A text of 4,000 characters."""
    path = tmp_path / "fox.txt"
    path.write_text("The quick brown fox jumps over the lazy dog.\n" * 90, encoding="utf-8")
    return path


@pytest.fixture
def bench() -> Callable[..., Outcome]:
    """Runs `python -m benchmarks.NAME --json`; its report has the fields that every one has, and numbers that are finite."""

    def call(name: str, *arguments: str) -> Outcome:
        command = [sys.executable, "-m", f"benchmarks.{name}", "--json", *arguments]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)
        report = json.loads(done.stdout)
        assert report["benchmark"] == name
        assert {"date", "processor", "torch", "cores", "dtype", "kernel", "load_before"} <= set(
            report["conditions"]
        )
        assert all(isinstance(row["what"], str) for row in report["results"])
        assert all(math.isfinite(number) for number in _numbers(report["results"]))
        return Outcome(done.returncode, report, done.stderr)

    return call


def _numbers(value: object) -> Iterator[float]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _numbers(part)
    elif isinstance(value, int | float):
        yield value
