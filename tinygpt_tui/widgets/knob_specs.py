"""What a knob is called, which values its notches have, and how a value is read and shown. Pure functions.

The ranges of the sampler's settings are the engine's (`engine.sampler_settings.KNOBS`); here are only the notches, which lie closer
where it matters, and stop where turning on does little. A value that is typed may lie anywhere in the range.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from engine.errors import SettingsError
from engine.sampler_settings import KNOBS
from tinygpt_tui.safe_text import safe_line

Value = float | None
"""What a knob stands at; None is only meant by knobs that have a word for it, such as "flat out" for a speed."""

MAX_SEED = 2**64 - 1


@dataclass(frozen=True)
class KnobSpec:
    """One knob.

    Attributes:
        name: of the setting, such as "top_k".
        label: what it is called on the screen.
        notches: values from left to right; without any, a notch is 1 and there is no slider.
        low, high: what may be typed.
        words: values that have a word instead of a number; the word can be typed too.
        unit: shown behind the number.
        digits: decimals that are always shown.
        whole: it counts.
        zero: what 0 means, which may be typed although it lies below `low`; "" where it may not.
    """

    name: str
    label: str
    notches: tuple[Value, ...] = ()
    low: float = 0
    high: float = math.inf
    words: Mapping[Value, str] = field(default_factory=dict)
    unit: str = ""
    digits: int = 0
    whole: bool = False
    zero: str = ""

    @property
    def range(self) -> str:
        """What may be typed, in a few cells."""
        words = [word for value, word in self.words.items() if value is None]
        zero = ["0"] if self.zero else []
        return " or ".join([*zero, f"{_number(self.low)} … {_number(self.high)}", *words])

    def shown(self, value: Value) -> str:
        """A value as it is shown."""
        if value in self.words:
            return self.words[value]
        if value is None:
            return "–"
        if self.whole:
            number = str(int(value))
        else:
            number = f"{value:.{self.digits}f}"
            if float(number) != value:  # more was typed than notches have
                number = f"{value:g}"
        return f"{number} {self.unit}".strip()

    def read(self, text: str) -> Value:
        """The value that was typed.

        Raises:
            SettingsError: it is none, or out of range.
        """
        typed = text.strip().lower().removesuffix(self.unit).strip()
        for value, word in self.words.items():
            if typed and typed in (word, word.split()[0]):
                return value
        try:
            number = int(typed) if self.whole else float(typed.replace(",", "."))
        except ValueError:
            number = math.nan
        allowed = self.low <= number <= self.high or (self.zero and number == 0)
        if not allowed or (not self.whole and math.isinf(number)):
            what = "a whole number" if self.whole else "a number"
            allowed_words = (
                f"0 ({self.zero}) or {_number(self.low)} to {_number(self.high)}"
                if self.zero
                else f"{what} within {self.range}"
            )
            raise SettingsError(
                f"The setting {self.label} must be {allowed_words}, not {safe_line(text.strip())[:20]!r}."
            )
        return number + 0 if self.whole else number + 0.0

    def turned(self, value: Value, notches: int) -> Value:
        """The value some notches to the right (or, below 0, to the left) of `value`."""
        if not self.notches:
            start = self.low if value is None else value
            return min(max(start + notches, self.low), self.high)
        places = [_place(notch, self.notches) for notch in self.notches]
        here = _place(value, self.notches)
        if notches > 0:
            further = [at for at, place in enumerate(places) if place > here]
            return self.notches[further[min(notches, len(further)) - 1]] if further else value
        further = [at for at, place in enumerate(places) if place < here]
        return self.notches[further[-min(-notches, len(further))]] if further else value

    def position(self, value: Value) -> float:
        """Where a value stands on the slider, from 0 to 1."""
        if len(self.notches) < 2:
            return 0.0
        return min(1.0, max(0.0, _place(value, self.notches) / (len(self.notches) - 1)))

    def at(self, position: float) -> Value:
        """The value of the notch nearest to a place on the slider, from 0 to 1."""
        last = len(self.notches) - 1
        return self.notches[round(min(1.0, max(0.0, position)) * last)]


def sampler_spec(name: str) -> KnobSpec:
    """The knob of a setting of the sampler."""
    label, notches, words, digits = _SAMPLER[name]
    knob = KNOBS[name]
    return KnobSpec(
        name,
        label,
        notches,
        knob.low,
        knob.high,
        words,
        digits=digits,
        whole=knob.whole,
        zero=knob.zero.removesuffix(" symbol"),
    )


def seed_spec() -> KnobSpec:
    """The knob of the dice's seed."""
    return KnobSpec("seed", "seed", low=0, high=MAX_SEED, whole=True)


def speed_spec() -> KnobSpec:
    """The knob of the pace, in characters a second; None is flat out."""
    notches: tuple[Value, ...] = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, None)
    return KnobSpec("speed", "speed", notches, 0.1, 100_000, {None: "flat out"}, "char/s")


def _steps(first: float, last: float, step: float) -> tuple[Value, ...]:
    return tuple(round(first + step * at, 4) for at in range(round((last - first) / step) + 1))


# Both cuts to the likeliest symbols are off at the right end: further to the right always lets more through.
_SAMPLER: Mapping[str, tuple[str, tuple[Value, ...], Mapping[Value, str], int]] = {
    "temperature": ("temperature", _steps(0, 2, 0.05), {}, 2),
    "top_k": ("top-k", (1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 0), {0: "off"}, 0),
    "top_p": ("top-p", (*_steps(0, 0.9, 0.05), 0.95, 0.98, 0.99, 1.0), {1.0: "off"}, 2),
    "min_p": ("min-p", (0.0, 0.01, 0.02, 0.05, *_steps(0.1, 1.0, 0.05)), {0.0: "off"}, 2),
    "repetition": ("repetition", _steps(0, 5, 0.1), {0.0: "off"}, 1),
}


def _place(value: Value, notches: Sequence[Value]) -> float:
    """The place of a value among the notches, counted from 0; between two of them it is a fraction."""
    if value in notches:
        return float(notches.index(value))
    numbers = [(notch, at) for at, notch in enumerate(notches) if notch is not None]
    if len(numbers) > 1 and numbers[-1][0] < numbers[-2][0]:
        numbers.pop()  # a number that means "off" has no place in the order
    if value is None or not numbers:
        return float(len(notches) - 1)
    below = [(notch, at) for notch, at in numbers if notch <= value]
    above = [(notch, at) for notch, at in numbers if notch >= value]
    if not below:
        return float(above[0][1])
    if not above:
        return below[-1][1] + 0.5
    (one, at), (other, _) = below[-1], above[0]
    return at + (value - one) / (other - one)


def _number(value: float) -> str:
    return "2^64 - 1" if value == MAX_SEED else f"{value:g}"
