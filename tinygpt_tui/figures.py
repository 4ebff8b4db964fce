"""Numbers as a person reads them: short, with their unit, and the same on every screen. "–" where nothing is known."""

from __future__ import annotations

import math

UNKNOWN = "–"
STATES = {
    "preparing": "◌",
    "training": "●",
    "paused": "‖",
    "stopped": "■",
    "done": "✓",
    "failed": "✗",
    "died": "✗",
    "damaged": "?",
    "gone": "?",
}
"""One character for each state of a run, so that colour is not the only cue."""


def loss(value: float | None) -> str:
    """Three decimals: less than a validation loss differs by chance."""
    return f"{value:.3f}" if value is not None and math.isfinite(value) else UNKNOWN


def count(value: float | None) -> str:
    """A number of things, such as "1.8 M" or "24.3 k"; below a thousand as it is."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= 0.9995 * limit:
            return (
                f"{value / limit:.3g} {unit}"
                if abs(value) < 999.5 * limit
                else f"{value / limit:,.0f} {unit}"
            )
    return f"{value:.3g}" if isinstance(value, float) and abs(value) < 100 else f"{value:,.0f}"


def size(value: float | None) -> str:
    """Bytes in decimal units, as disks are sold."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    return f"{count(value)}B" if value >= 999.5 else f"{value:.0f} B"


def duration(seconds: float | None) -> str:
    """Such as "42 s", "1 m 12 s", "2 h 05 m" or "3 d 4 h"."""
    if seconds is None or not math.isfinite(seconds):
        return UNKNOWN
    whole = max(0, round(seconds))
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes:02} m"
    return f"{minutes} m {rest:02} s" if minutes else f"{rest} s"


def age(seconds: float | None) -> str:
    """How long ago, roughly."""
    if seconds is None or not math.isfinite(seconds):
        return UNKNOWN
    for length, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= length:
            return f"{int(seconds // length)} {unit} ago"
    return "just now"


def steps(step: int | None, horizon: int | None = None) -> str:
    """Such as "1,240 / 2,000"."""
    if step is None:
        return UNKNOWN
    return f"{step:,} / {horizon:,}" if horizon and horizon != step else f"{step:,}"


def percent(share: float | None) -> str:
    """A share from 0 to 1 in whole percent; 100 % only when nothing is missing."""
    if share is None or not math.isfinite(share):
        return UNKNOWN
    return f"{100 if share >= 1 else min(99, math.floor(100 * max(0.0, share)))} %"


def scientific(value: float | None) -> str:
    """Two or three digits, such as "0.012", "8.1e-4" or "1.6e5"."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    if value == 0 or 1e-3 <= abs(value) < 1e4:
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa}e{exponent[0].replace('+', '')}{exponent[1:].lstrip('0')}"


def bar(share: float, width: int) -> tuple[str, str]:
    """The full and the empty part of a bar of `width` cells, to the nearest half below; full only when nothing is missing."""
    halves = math.floor(2 * width * min(1.0, max(0.0, share)))
    full = "━" * (halves // 2) + "╸" * (halves % 2)
    return full, "─" * (width - len(full))
