"""SIGINT, SIGTERM and SIGHUP as requests: whoever trains finishes the step first."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType


class Signals:
    """SIGINT, SIGTERM and SIGHUP ask once; the same one again leaves at once. Outside the main thread there is nothing to catch.

    One of another kind is no repetition: a system that shuts down sends SIGHUP right behind SIGTERM.
    """

    NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self) -> None:
        self.received: int | None = None
        self._caught: set[int] = set()
        self._before: dict[int, object] = {}

    @property
    def exit_code(self) -> int:
        return 128 + self.received if self.received else 0

    def ask(self, number: int) -> None:
        """As the signal of this number asks; that one may still come for a first time."""
        if self.received is None:
            self.received = number

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            for number in self.NUMBERS:
                if signal.getsignal(number) is not signal.SIG_IGN:  # nohup's wish is respected
                    self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if number in self._caught:
            os._exit(128 + number)
        self._caught.add(number)
        self.ask(number)
