"""What holds for all tests: signals arrive as they do at a terminal, and no model is built in unless a test puts one there."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from engine import starter

# A shell without job control starts its background jobs deaf to Ctrl-C, and the processes our tests start would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def no_starter(monkeypatch: pytest.MonkeyPatch) -> None:
    """The weights in the repository change; what is tested must not depend on them."""
    monkeypatch.setattr(starter, "FOLDER", Path(__file__).parent / "no-starter")
