"""Every setting a person can choose, once: its default, its range, its help and its names.

From this one schema come the keys of the settings file, the environment variables, what `tinygpt config`
lists and the rows of the settings screen. Which source a value is taken from is
`tinygpt_tui.settings_sources`' business, and the file `tinygpt_tui.settings_file`'s.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from typing import Any, cast

from engine.errors import SettingsError, UsageError
from engine.sampler_settings import KNOBS, SamplerSettings
from models.config import ARCHITECTURES, SIZES

VERSION = 1  # of the settings file; raised when a key changes its meaning


@dataclass(frozen=True)
class About:
    """What a person is told about one setting, and which values it takes.

    Attributes:
        help: one sentence without a full stop.
        unit: of the number, or "".
        low, high: the range, both ends included.
        zero: 0 is allowed although it lies below `low`, and means this.
        choices: the only values, if there are few.
        duration: the text is a length of time such as 90s, 3m or 1h.
    """

    help: str
    unit: str = ""
    low: float = -math.inf
    high: float = math.inf
    zero: str = ""
    choices: tuple[str, ...] = ()
    duration: bool = False


def _setting(default: Any, help: str, **about: Any) -> Any:
    metadata = {"about": About(help, **about)}
    if isinstance(default, dict):
        return field(default_factory=dict, metadata=metadata)
    return field(default=default, metadata=metadata)


def _knob(name: str) -> Any:
    """A setting of the sampler's, with the default, range and help that the engine gives it."""
    knob = KNOBS[name]
    return _setting(getattr(SamplerSettings(), name), knob.help, low=knob.low, high=knob.high, zero=knob.zero)


@dataclass(frozen=True)
class TrainSettings:
    """What a training run is asked for when the command line says nothing else."""

    time: str = _setting("2m", "how long to train, by the clock on the wall", duration=True)
    arch: str = _setting("modern", "the architecture", choices=ARCHITECTURES)
    size: str = _setting(
        "auto", "the size of the model; auto chooses for the time given", choices=("auto", *SIZES)
    )
    seed: int = _setting(1, "where the dice start", low=0, high=2**63 - 1)
    threads: int = _setting(0, "processor threads", low=1, high=1024, zero="by measurement")
    sample_chars: int = _setting(
        200,
        "how much the model writes at each evaluation",
        unit="characters",
        low=1,
        high=100_000,
        zero="nothing",
    )


@dataclass(frozen=True)
class SampleSettings:
    """How the next character is drawn."""

    temperature: float = _knob("temperature")
    top_k: int = _knob("top_k")
    top_p: float = _knob("top_p")
    min_p: float = _knob("min_p")
    repetition: float = _knob("repetition")
    chars: int = _setting(500, "how much to write", unit="characters", low=1, high=10_000_000)


@dataclass(frozen=True)
class UiSettings:
    """The playground."""

    theme: str = _setting("auto", "the colours of the playground")
    speed: int = _setting(
        60,
        "how fast Play writes until you turn its speed",
        unit="characters a second",
        low=1,
        high=100_000,
        zero="flat out",
    )
    keys: Mapping[str, str] = _setting({}, "your own keys: an action's name and the keys that do it")


@dataclass(frozen=True)
class EngineSettings:
    """What computes."""

    compile: str = _setting(
        "auto", "whether a C compiler may be used, once, to learn and write faster", choices=("auto", "off")
    )


@dataclass(frozen=True)
class OutputSettings:
    """What commands print."""

    color: str = _setting("auto", "whether output is coloured", choices=("auto", "always", "never"))


@dataclass(frozen=True)
class Settings:
    """All settings, by section. `Settings()` holds the defaults."""

    train: TrainSettings = field(default_factory=TrainSettings)
    sample: SampleSettings = field(default_factory=SampleSettings)
    ui: UiSettings = field(default_factory=UiSettings)
    engine: EngineSettings = field(default_factory=EngineSettings)
    output: OutputSettings = field(default_factory=OutputSettings)


@dataclass(frozen=True)
class Entry:
    """One row of the schema: a setting's key, type and default, with what is said about it."""

    key: str
    kind: type
    default: Any
    about: About

    @property
    def section(self) -> str:
        return self.key.partition(".")[0]

    @property
    def env(self) -> str:
        """The environment variable, or "" for a table."""
        return "" if self.kind is dict else "TINYGPT_" + self.key.upper().replace(".", "_")

    @property
    def range(self) -> str:
        """The values allowed, such as "0.01 to 5; 0: off"."""
        about = self.about
        if about.choices:
            return ", ".join(about.choices)
        if about.duration:
            return "such as 90s, 3m or 1h"
        if self.kind not in (int, float):
            return ""
        low, high = (
            f"{bound:,}" if isinstance(bound, int) else f"{bound:g}" for bound in (about.low, about.high)
        )
        text = f"{low} to {high}" if about.high < 1e9 else f"{low} or more"
        text += f" {about.unit}" if about.unit else ""
        return f"{text}; 0: {about.zero}" if about.zero else text

    @property
    def expected(self) -> str:
        """What a value must be, to follow "it must be"."""
        if self.about.choices:
            return f"one of {self.range}"
        if self.about.duration:
            return f"a length of time {self.range}"
        noun = {
            int: "a whole number: ",
            float: "a number: ",
            dict: "a table of names and texts",
            str: "a text",
        }[self.kind]
        return noun + self.range


def _entries() -> Iterator[Entry]:
    for section in fields(Settings):
        values = getattr(Settings(), section.name)
        for f in fields(values):
            default = getattr(values, f.name)
            yield Entry(f"{section.name}.{f.name}", type(default), default, cast(About, f.metadata["about"]))


SCHEMA: dict[str, Entry] = {e.key: e for e in _entries()}


def entry(key: str) -> Entry:
    """The schema's row for `key`; for `ui.keys.ACTION`, that of the table.

    Raises:
        UsageError: there is no such setting.
    """
    if key in SCHEMA:
        return SCHEMA[key]
    for candidate in SCHEMA.values():
        if candidate.kind is dict and key.startswith(candidate.key + ".") and key != candidate.key + ".":
            return candidate
    raise UsageError(f"there is no setting '{key}'{nearest(key, SCHEMA)}: see 'tinygpt config show'")


def nearest(name: str, known: Mapping[str, object]) -> str:
    """A question in brackets after the known name closest to `name`, or nothing."""
    last = {key.rpartition(".")[2]: key for key in known}
    close = get_close_matches(name, known, 1, 0.6) or [last[m] for m in get_close_matches(name, last, 1, 0.7)]
    return f" (did you mean '{close[0]}'?)" if close else ""


def value_of(settings: Settings, key: str) -> Any:
    """The value of `key`; for a table, the table."""
    section, _, name = key.partition(".")
    return getattr(getattr(settings, section), name)


def from_text(key: str, text: str, source: str = "") -> Any:
    """The value that `text`, from an option or the environment, gives to `key`, checked.

    Raises:
        SettingsError: it is of the wrong kind or out of range.
    """
    kind = entry(key).kind
    value: object = text
    # Stricter than int() and float(), which also read "1_000", " 7 " and other scripts' digits.
    if kind in (int, float) and re.fullmatch(r"[+-]?[0-9]{1,20}", text):
        value = int(text)
    elif kind is float and re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?", text):
        value = float(text)
    return checked(key, value, source)


def checked(key: str, value: object, source: str = "") -> Any:
    """`value` if `key` may have it; a whole number given for a fractional one becomes a float.

    Args:
        source: where the value stands, for the message: a file's path or a variable's name.

    Raises:
        SettingsError: it is of the wrong kind or out of range.
    """
    found = entry(key)
    about = found.about
    is_action = key != found.key  # ui.keys.ACTION is a text of the table ui.keys
    kind = str if is_action else found.kind
    given = value
    if kind is float and type(value) is int and abs(value) < 2**63:
        value = float(value)
    # The very type: Python's True is also an int, but nobody means 1 by it.
    if type(value) is kind and (_fits(about, value) if not is_action else value != ""):
        return value
    expected = "a text that is not empty" if is_action else found.expected
    close = nearest(value, dict.fromkeys(about.choices)) if isinstance(value, str) and about.choices else ""
    where = f"{source}: " if source else ""
    raise SettingsError(f"{where}{key} is {shown(given)}, but it must be {expected}{close}")


def _fits(about: About, value: object) -> bool:
    """Whether a value of the right type is in range."""
    if isinstance(value, (int, float)):
        return about.low <= value <= about.high or (value == 0 and about.zero != "")
    if isinstance(value, dict):
        return all(isinstance(text, str) and text for text in value.values())
    if about.choices:
        return value in about.choices
    return seconds(str(value)) is not None if about.duration else value != ""


def seconds(text: str) -> float | None:
    """The seconds in a text such as "90s", "90", "3m", "1.5h" or "1h30m"; None unless a second to a year."""
    number = r"([0-9]{1,9}(?:\.[0-9]{1,9})?)"
    if re.fullmatch(number, text):
        text += "s"
    match = re.fullmatch(f"(?:{number}h)?(?:{number}m)?(?:{number}s)?", text)
    if match is None:
        return None
    hours, minutes, rest = (float(part) if part else 0.0 for part in match.groups())
    total = 3600 * hours + 60 * minutes + rest
    return total if 1 <= total <= 366 * 86_400 else None


def shown(value: object) -> str:
    """`value` for an error message: short, on one line."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"'{value if len(value) <= 60 else value[:60] + '…'}'"
    if isinstance(value, (int, float)):
        # Python refuses to write out a whole number of thousands of digits.
        return (
            f"{value}" if abs(value) < 1e40 or isinstance(value, float) else "a number of more than 40 digits"
        )
    if isinstance(value, (Mapping, list)):
        return "a table" if isinstance(value, Mapping) else "a list"
    return f"{value}"[:60]
