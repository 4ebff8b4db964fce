"""What others compute is told from what we compute ourselves."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine import neighbours
from engine.neighbours import SHORTEST, Neighbours, busy_seconds


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    return clock


def test_cores_are_the_time_of_others_between_two_questions(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy = [50.0]
    monkeypatch.setattr(neighbours, "busy_seconds", lambda: busy[0])
    watched = Neighbours()
    clock.now, busy[0] = 102.0, 53.0
    assert watched.cores() == pytest.approx(1.5)
    clock.now += SHORTEST / 2
    busy[0] += 10.0
    assert watched.cores() == pytest.approx(1.5)  # too soon to tell
    clock.now = 112.0
    assert watched.cores() == pytest.approx(1.0)


@pytest.mark.parametrize("told", [None, 7.0])
def test_the_average_load_serves_where_nothing_is_told_or_it_is_too_soon(
    told: float | None, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbours, "busy_seconds", lambda: told)
    monkeypatch.setattr(os, "getloadavg", lambda: (1.25, 0.0, 0.0))
    watched = Neighbours()
    clock.now += 0 if told else 10
    assert watched.cores() == 1.25


def test_what_we_compute_ourselves_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = [1.0]
    monkeypatch.setattr(Path, "read_text", lambda path, encoding: "cpu  100 200 300 9 9 10 20 30 0 0\ncpu0 1")
    monkeypatch.setattr(os, "sysconf", lambda name: 100)
    monkeypatch.setattr(os, "times", lambda: (ours[0], 0.5, 9.0, 9.0, 9.0))
    assert busy_seconds() == pytest.approx(6.6 - 1.5)
    ours[0] = 2.0
    assert busy_seconds() == pytest.approx(6.6 - 2.5)
    monkeypatch.setattr(Path, "read_text", lambda path, encoding: "none of that")
    assert busy_seconds() is None


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="this system does not tell")
def test_what_another_process_computes_counts() -> None:
    before = busy_seconds()
    assert before is not None
    burn = "import time\nwhile time.process_time() < 0.5: pass"
    subprocess.run([sys.executable, "-c", burn], check=True)
    after = busy_seconds()
    assert after is not None and after - before >= 0.45
