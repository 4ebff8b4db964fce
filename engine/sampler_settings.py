"""The knobs of sampling: what each may be, what it does, and one setting of all of them.

Kept apart from the sampler, because whoever only asks for the knobs (a settings file, an option's help, a
slider) needs no numpy. Left out: what they do to a distribution (`engine.sampler`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from engine.errors import SettingsError
from models.config import MAX_VOCAB

# Repetitions shorter than this are the stuff of language ("said the heron"), longer ones of a loop.
LOOP_ALLOWED = 12


@dataclass(frozen=True)
class Knob:
    """What one field of `SamplerSettings` may be, and what it does.

    Attributes:
        low, high: the range, both ends included.
        off: where it does nothing.
        help: one sentence without a full stop.
        whole: it counts, so it is an int.
        zero: 0 is allowed although it lies below `low`, and means this.
    """

    name: str
    low: float
    high: float
    off: float
    unit: str
    help: str
    whole: bool = False
    zero: str = ""

    @property
    def range(self) -> str:
        """The allowed values in words."""
        span = f"{'a whole number ' if self.whole else ''}from {self.low:g} to {self.high:g}"
        return f"0 or {span}" if self.zero else span

    def checked(self, value: object) -> float:
        """`value` as an int or float.

        Raises:
            SettingsError: it is not a number (True and NaN are none) or out of range.
        """
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            whole = isinstance(value, int)
            in_range = self.low <= value <= self.high or (self.zero != "" and value == 0)
            if in_range and (whole or not self.whole):
                return int(value) if self.whole else float(value) + 0.0  # + 0.0 turns -0.0 into 0.0
        raise SettingsError(f"The setting {self.name} must be {self.range}, not {value!r:.40}.")


KNOBS: Mapping[str, Knob] = {
    knob.name: knob
    for knob in (
        Knob(
            "temperature",
            0.01,
            5.0,
            1.0,
            "divides the logits",
            "below 1 surer, above 1 bolder",
            zero="always the likeliest symbol",
        ),
        Knob(
            "top_k",
            0,
            MAX_VOCAB,
            0,
            "symbols",
            "keeps only this many of the likeliest symbols; 0 is off",
            whole=True,
        ),
        Knob(
            "top_p",
            0.0,
            1.0,
            1.0,
            "share of probability",
            "keeps the fewest symbols that reach this share together; 0 keeps the likeliest, 1 is off",
        ),
        Knob(
            "min_p",
            0.0,
            1.0,
            0.0,
            "share of the best symbol's probability",
            "drops symbols below this share of the likeliest one; 0 is off",
        ),
        Knob(
            "repetition",
            0.0,
            5.0,
            0.0,
            "logits",
            f"breaks loops of {LOOP_ALLOWED} symbols and more, stronger the longer they run; 0 is off",
        ),
    )
}


@dataclass(frozen=True)
class SamplerSettings:
    """How the next symbol is chosen; `KNOBS` holds the range, unit and meaning of every field.

    Raises:
        SettingsError: a field is not a number or out of range.
    """

    temperature: float = 0.8
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repetition: float = 0.0

    def __post_init__(self) -> None:
        for name, knob in KNOBS.items():
            object.__setattr__(self, name, knob.checked(getattr(self, name)))

    def replaced(self, changes: Mapping[str, object]) -> SamplerSettings:
        """These settings with `changes`; all of them are taken or, when one is wrong, none.

        Raises:
            SettingsError: a field does not exist, is not a number, or is out of range.
        """
        if unknown := [name for name in changes if name not in KNOBS]:
            raise SettingsError(
                f"There is no sampler setting {str(unknown[0])[:40]!r}; there are {', '.join(KNOBS)}."
            )
        return replace(self, **dict[str, Any](changes))

    def to_json(self) -> dict[str, float]:
        return {f.name: getattr(self, f.name) for f in fields(self)}


NEUTRAL = SamplerSettings(temperature=1.0)
"""The model's own distribution: every stage off."""
