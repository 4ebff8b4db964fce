"""What holds for all tests: cases that are made up are the same every day, signals arrive as they do at a terminal, no model is built in
unless a test puts one there, and nobody leaves this machine.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from engine import starter
from tests.offline import only_this_machine

# A shell without job control starts its background jobs deaf to Ctrl-C, and the processes our tests start would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# Every day the same cases, so that what was green stays green, and no clock; `make search` looks for others.
_PATIENT = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("every day", derandomize=True, database=None, **_PATIENT)
settings.register_profile("search", max_examples=1000, **_PATIENT)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "every day"))


class LeftError(BaseException):
    """Somebody would have left this machine. No code catches that, unless it catches everything."""


left: list[str] = []


def _refuse(what: str) -> None:
    left.append(what)
    raise LeftError(what)


# Python processes that tests start find `sitecustomize` there, which does the same.
_OFFLINE = str(Path(__file__).parent / "offline")
only_this_machine.watch(_refuse)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (_OFFLINE, os.environ.get("PYTHONPATH", ""))))


@pytest.fixture(scope="session", autouse=True)
def hangups_heard() -> None:
    """`nohup` makes whatever it starts deaf to SIGHUP. The tests go on, but what they start hears it: no handler outlives `exec`."""
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: None)


@pytest.fixture(autouse=True)
def nobody_left() -> Iterator[list[str]]:
    """Who tried to leave this machine during the test; a test that tries on purpose empties the list."""
    left.clear()
    yield left
    assert not left, f"who tests must not use the network: {left}"


@pytest.fixture(autouse=True)
def no_starter(monkeypatch: pytest.MonkeyPatch) -> None:
    """The weights in the repository change; what is tested must not depend on them."""
    monkeypatch.setattr(starter, "FOLDER", Path(__file__).parent / "no-starter")
