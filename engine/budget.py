"""Spending a given time well: how many steps fit, and how often to look up from the work.

`--time 3m` promises the wall time of the whole process, so what is not training (imports, evaluations, the last save) is counted
in, and only pauses are not.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

# A new horizon is announced only when it differs by more than this share: each one is a line in the run's history.
WORTH_SAYING = 0.01


def process_age() -> float:
    """Seconds since this process started, imports included (where the system tells; else since this module was loaded)."""
    try:
        started_ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        uptime = float(Path("/proc/uptime").read_text().split()[0])
        return max(0.0, uptime - started_ticks / os.sysconf("SC_CLK_TCK"))
    except (OSError, ValueError, IndexError):
        return time.monotonic() - _LOADED


_LOADED = time.monotonic()


class Budget:
    """Turns a wall-time limit into a horizon in steps, and keeps correcting it.

    Args:
        seconds: for the whole process.
        spent: seconds gone when the budget is made.
        closing: seconds to keep for the last save and the way out, a tenth of the time at most; the last evaluation is added
            as measured.
        clock: seconds that never run backwards.
    """

    def __init__(
        self,
        seconds: float,
        spent: float,
        *,
        closing: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._end = clock() - spent + seconds
        self._seconds = seconds
        self._closing = min(closing, 0.1 * seconds)
        self._first: tuple[float, int] | None = None
        self._last_look = 0.0
        self._owed = 0
        self.excused = 0.0

    def excuse(self, seconds: float) -> None:
        """Time that does not count: a pause."""
        if seconds > 0.02:
            self._end += seconds
            self.excused += seconds
            if self._first:
                self._first = (self._first[0] + seconds, self._first[1])

    def extend(self, steps: int) -> None:
        """The steps somebody added get the time they need, once the pace is known."""
        self._owed += steps

    def horizon(self, step: int, planned: int, ending: float) -> int:
        """The step to end at, given that `step` is done and `planned` was the plan; thinks again about once a second.

        The pace is everything since the first step divided by the steps: evaluations, samples and saves come round again.

        Args:
            ending: seconds the evaluation at the end will take.
        """
        now = self._clock()
        if self._first is None:
            self._first, self._last_look = (now, step), now  # the first step is slower than all others
        steps = step - self._first[1]
        pace = max(1e-9, (now - self._first[0]) / max(1, steps))
        if steps > 0:
            self._end += self._owed * pace
            self._owed = 0
        left = self._end - self._closing - ending - now
        if steps <= 0:
            # The pace is unknown, and what the ending takes a guess made from the slowest step of all: a plan that has run out is
            # worth one step more, if there is any time.
            return max(planned, step + 1) if left + ending > 0 or self._owed else step
        # A plan that ran out between two looks was too short, so it is looked at again.
        if now - self._last_look < min(1.0, 0.02 * self._seconds) and left > 0 and step < planned:
            return planned
        self._last_look = now
        horizon = step + max(0, int(left / pace))
        if left > 0 and abs(horizon - planned) <= WORTH_SAYING * planned:
            return planned
        return horizon


# What one costs is guessed until it has happened, so the first time comes this much earlier than the guess would have it.
EARLY = 4


class Cadence:
    """How often something that costs time may happen: about `share` of the time goes there, and somewhat more in the beginning."""

    def __init__(self, share: float) -> None:
        self._share = share
        self.cost = 0.0
        self._last = 0.0

    def due(self, seconds: float, guess: float) -> bool:
        """Whether enough training time has passed since the last; `guess` is the cost while none was measured."""
        return seconds - self._last >= (self.cost or guess / EARLY) / self._share

    def done(self, seconds: float, cost: float) -> None:
        self.cost = cost
        self._last = seconds
