"""Where a number lies on an axis, which numbers stand beside it, and which range is worth showing.

Pure arithmetic on floats; it knows neither curves nor characters other than those of the labels.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tinygpt_tui.widgets.chart_data import LIMIT

TICK_CHARS = 5  # no label of the y axis is longer
_SMALLEST = 1 / LIMIT  # what a logarithmic scale takes for zero and less
_NEAREST_STEPS = 4.0  # nobody can zoom in further
_OUTLIER = 8.0  # times as far from the lowest as nine tenths of a curve: not worth squashing all the rest


@dataclass(frozen=True)
class Scale:
    """A range of numbers, plain or logarithmic. hi > lo, and lo > 0 if it is logarithmic."""

    lo: float
    hi: float
    log: bool = False

    def fraction(self, value: float) -> float:
        """0 at lo, 1 at hi, and beyond them outside."""
        if self.log:
            low = math.log(self.lo)
            return (math.log(max(value, _SMALLEST)) - low) / (math.log(self.hi) - low)
        return (value - self.lo) / (self.hi - self.lo)

    def value(self, fraction: float) -> float:
        """What lies at `fraction`: the inverse of `fraction`."""
        if self.log:
            low = math.log(self.lo)
            return math.exp(low + fraction * (math.log(self.hi) - low))
        return self.lo + fraction * (self.hi - self.lo)


@dataclass(frozen=True)
class Tick:
    """A label and the place it belongs to: 0 to 1 along its scale."""

    fraction: float
    label: str


def full_span(first: float | None, last: float | None, horizon: int | None) -> tuple[float, float]:
    """All steps that are worth showing: from zero, unless the run began far from it, to the planned end or the last step."""
    hi = float(max(last or 0, horizon or 0))
    lo = 0.0 if first is None or 0 <= first <= hi / 4 else float(first)
    return lo, (max(hi, lo + 1.0) if hi > 0 or first is not None else 100.0)


def step_scale(
    full: tuple[float, float], span: tuple[float, float] | None, log: bool, newest: float | None = None
) -> Scale:
    """The scale of steps: `full`, or `span` if a person zoomed in. Spans without width are ignored.

    Args:
        full: from `full_span`.
        span: the window, or None.
        log: whether it is logarithmic.
        newest: the step that a window must reach; it is moved there by eighths of its width, so that it rests in between.
    """
    lo, hi = full
    if span is not None and all(math.isfinite(edge) for edge in span) and span[1] > span[0]:
        lo, hi = span
        if newest is not None and newest > hi:
            jump = (hi - lo) / 8
            moved = math.ceil((newest - hi) / jump) * jump
            lo, hi = lo + moved, hi + moved
    if log:
        lo = max(lo, 1.0)
    if hi - lo < 1e-9 * max(1.0, abs(lo)):
        hi = lo + max(1.0, abs(lo) * 1e-6)
    return Scale(lo, hi, log)


def zoomed(scale: Scale, full: tuple[float, float], factor: float, at: float) -> tuple[float, float] | None:
    """The span `factor` times as wide (2 shows twice as much), with what lies at fraction `at` staying there.

    None when that shows everything in `full`, which is what the unzoomed scale shows.
    """
    at = min(1.0, max(0.0, at))
    lo, hi = scale.value(at - at * factor), scale.value(at + (1 - at) * factor)
    if hi - lo < _NEAREST_STEPS:
        if factor < 1 and scale.hi - scale.lo <= _NEAREST_STEPS:
            return (scale.lo, scale.hi)
        middle = scale.value(at)
        lo, hi = middle - at * _NEAREST_STEPS, middle + (1 - at) * _NEAREST_STEPS
    lo, hi = max(lo, full[0]), min(hi, full[1])
    least = max(full[0], 1.0) if scale.log else full[0]
    return None if hi <= lo or (lo <= least and hi >= full[1]) else (lo, hi)


def panned(scale: Scale, full: tuple[float, float], fraction: float) -> tuple[float, float]:
    """The span moved right by `fraction` of its width, but not out of `full`."""
    low, high = scale.fraction(full[0]), scale.fraction(full[1]) - 1
    fraction = max(min(low, 0.0), min(fraction, max(high, 0.0)))
    return scale.value(fraction), scale.value(1 + fraction)


def worth_showing(
    curves: Sequence[Sequence[tuple[float, float]]],
    band: Sequence[tuple[float, float]],
    levels: Iterable[float],
    log: bool,
    all_levels: bool,
) -> tuple[float, float] | None:
    """The range of losses to show, or None if there is nothing finite to show.

    It holds all of `curves` except outliers far above the rest, such as a huge first loss; but what the ladder's highest level
    reaches is no outlier, and the last tenth of each curve is always in it. Of `band` it holds all but the outermost 2 %.

    Args:
        curves: (lowest, highest) in each column of each curve, left to right.
        band: the same of the raw training loss.
        levels: values of the ladder.
        log: only what is above zero counts.
        all_levels: whether all of the ladder is in it, so that it holds still while a curve falls; else only those nearby.
    """

    def shown(pairs: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
        return [(low if low > 0 else high, high) for low, high in pairs if high > 0] if log else list(pairs)

    rungs = [value for value in levels if math.isfinite(value) and (value > 0 or not log)]
    kept, noise = [shown(curve) for curve in curves], shown(band)
    highest = sorted(high for curve in kept for _, high in curve)
    if not highest:
        return (min(rungs), max(rungs)) if rungs else None
    lo = min(low for curve in kept for low, _ in curve)
    hi = highest[-1]
    if noise:
        lo = min(lo, sorted(low for low, _ in noise)[int(0.02 * (len(noise) - 1))])
        hi = max(hi, sorted(high for _, high in noise)[int(0.98 * (len(noise) - 1))])
    usual = highest[int(0.9 * (len(highest) - 1))]
    ends = [high for curve in kept for _, high in curve[-max(1, len(curve) // 10) :]]
    hi = max([min(hi, max([lo + _OUTLIER * (usual - lo), *rungs])), *ends])
    reach = (hi - lo) / 10
    for rung in rungs:
        if all_levels or lo - reach <= rung <= hi + reach:
            lo, hi = min(lo, rung), max(hi, rung)
    return lo, hi


def value_axis(lo: float, hi: float, rows: int, log: bool) -> tuple[Scale, list[Tick]]:
    """A scale that holds lo to hi with round ends, and the labels for `rows` rows, at most `TICK_CHARS` long."""
    lo, hi = max(-LIMIT, lo), min(LIMIT, hi)
    if log:
        lo, hi = max(lo, _SMALLEST), max(hi, _SMALLEST)
        if hi < lo * 1.001:
            lo, hi = lo / 1.1, hi * 1.1
    elif hi - lo <= max(1e-9 * max(abs(lo), abs(hi)), 1e-12):
        pad = max(abs(hi), 1.0) / 20
        lo, hi = (max(0.0, lo - pad) if lo >= 0 else lo - pad), hi + pad
    unit = _nice((hi - lo) / 20)
    below, above = (_finer(lo, unit), _finer(hi, unit)) if log else (unit, unit)
    lo, hi = math.floor(lo / below + 1e-6) * below, math.ceil(hi / above - 1e-6) * above
    scale = Scale(lo, hi, log)
    spacing = _nice((hi - lo) * 3 / max(3, rows))
    wanted = [*(_log_values(scale) if log else ()), *_multiples(spacing, lo, hi)]
    ticks = _spread(scale, wanted, rows, spacing)
    return scale, (ticks if len(ticks) > 1 else _spread(scale, [hi, lo], rows, unit))


def step_ticks(scale: Scale, columns: int) -> list[Tick]:
    """Labels for `columns` characters of a scale of steps, never touching each other or the left end, left to right."""
    longest = len(_step_label(round(scale.hi)))
    unit = max(1.0, _nice((scale.hi - scale.lo) * (longest + 5) / max(1, columns)))
    wanted = [*(_log_values(scale) if scale.log else ()), *_multiples(unit, scale.lo, scale.hi)]
    ticks: list[tuple[int, Tick]] = []
    for value in wanted:
        step = round(value)
        label = _step_label(step)
        fraction = scale.fraction(step)
        start = tick_start(fraction, label, columns)
        clear = all(start + len(label) + 2 <= s or s + len(tick.label) + 2 <= start for s, tick in ticks)
        if step > 0 and clear and start >= 1 and fraction <= 1 + 1e-9 and start + len(label) <= columns:
            ticks.append((start, Tick(fraction, label)))
    return [tick for _, tick in sorted(ticks, key=lambda pair: pair[0])]


def tick_start(fraction: float, label: str, columns: int) -> int:
    """The first character of a label centred at `fraction` of `columns`; one that belongs to the very end stands before it."""
    start = int(fraction * columns) - len(label) // 2
    return min(start, columns - len(label)) if fraction > 1 - 1e-9 else start


def short_exponent(value: float, decimals: int = 1) -> str:
    """Such as "8.1e-4", without the zeros that Python writes into the exponent."""
    mantissa, _, exponent = f"{value:.{decimals}e}".partition("e")
    return f"{mantissa}e{int(exponent)}"


def _spread(scale: Scale, wanted: Iterable[float], rows: int, spacing: float) -> list[Tick]:
    """Ticks at the values wanted, the first ones first, as long as their labels stand apart and are short enough."""
    taken: list[int] = []
    ticks = []
    for value in wanted:
        fraction = scale.fraction(value)
        row = round((1 - fraction) * (rows - 1))
        label = _value_label(value, _finer(value, spacing) if scale.log else spacing)
        if all(abs(row - other) >= 2 for other in taken) and len(label) <= TICK_CHARS:
            taken.append(row)
            ticks.append(Tick(fraction, label))
    return ticks


def _nice(width: float) -> float:
    """The smallest of 1, 2, 5, 10, 20, … at any power of ten that is not below `width`."""
    power = 10.0 ** math.floor(math.log10(max(width, _SMALLEST)))
    return next((power * digit for digit in (1, 2, 5) if power * digit >= width * (1 - 1e-9)), power * 10)


def _finer(value: float, unit: float) -> float:
    """`unit`, or the place of the second digit of `value` if that is smaller."""
    return min(unit, 10.0 ** (math.floor(math.log10(value)) - 1)) if value > 0 else unit


def _multiples(unit: float, lo: float, hi: float) -> list[float]:
    """The multiples of `unit` from lo to hi; at most a thousand, so that no rounding can make it endless."""
    first = math.ceil(lo / unit - 1e-6)
    count = min(1000, math.floor(hi / unit + 1e-6) - first + 1)
    return [(first + i) * unit for i in range(count)]


def _log_values(scale: Scale) -> list[float]:
    """Round numbers of a logarithmic scale, the roundest first."""
    powers = [10.0**e for e in range(math.floor(math.log10(scale.lo)), math.ceil(math.log10(scale.hi)) + 1)]
    digits = ((1.0,), (2.0, 5.0), (3.0,), (1.5, 4.0, 7.0)) if len(powers) < 12 else ((1.0,),)
    values = [power * digit for group in digits for power in powers for digit in group]
    return [value for value in values if scale.lo <= value <= scale.hi]


def _value_label(value: float, unit: float) -> str:
    """`value` with as many decimals as its axis needs to tell ticks apart."""
    size = abs(value)
    for floor, divisor, suffix in ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if floor <= size < 1e12:
            return f"{value / divisor:.3g}{suffix}"
    decimals = max(0, -math.floor(math.log10(unit) + 1e-9))
    if size < 1e12 and decimals <= 3:
        return f"{value:.{decimals}f}"
    return short_exponent(value, 0)


def _step_label(step: int) -> str:
    """`step` in thousands or millions where that is exact and short, else in full."""
    if step >= 10**12:
        return short_exponent(step, 0)
    for size, suffix in ((10**6, "M"), (10**3, "k")):
        if step >= size and step % (size // 1000 * 10 or 10) == 0:
            return f"{step / size:.6g}{suffix}"
    return str(step)
