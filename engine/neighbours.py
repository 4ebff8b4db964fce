"""How many cores everybody else on this machine computes on.

The average load of the system would do, were it not for ourselves: it counts what we computed in the last minute too. So the
processor time of all processes less our own is looked at, between one question and the next.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

# Less tells of nothing: the system counts in hundredths of a second.
SHORTEST = 0.25


class Neighbours:
    """Counts from when it is made."""

    def __init__(self) -> None:
        self._since, self._busy = time.monotonic(), busy_seconds()
        self._cores: float | None = None

    def cores(self) -> float:
        """The cores that others kept busy since the last question, on average; that at the last question if it was just asked.

        Where the system does not tell, and before it can, the average load of the last minute.
        """
        now, busy = time.monotonic(), busy_seconds()
        if busy is not None and self._busy is not None and now - self._since >= SHORTEST:
            self._cores = max(0.0, (busy - self._busy) / (now - self._since))
            self._since, self._busy = now, busy
        return os.getloadavg()[0] if self._cores is None else self._cores


def busy_seconds() -> float | None:
    """Processor time that all processes but this one have taken since the system started; None where it does not tell."""
    try:
        line = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0]
        user, nice, system, _idle, _waiting, irq, softirq, steal, *_ = map(int, line.split()[1:])
    except (OSError, ValueError):
        return None
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK") - sum(os.times()[:2])
