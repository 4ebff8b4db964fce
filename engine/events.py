"""What a trainer says while it works: small frozen dataclasses, each one line of JSON, in both directions.

The same events fill the events file, the screens, the progress line and `--json`. A reader skips names and
ignores fields it does not know, so an older program can watch a newer run. What it leaves out: files
(`engine.event_log`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import Any

from engine.reading import parse_json
from engine.storage import dump_json

VERSION = 1

_MOST = 1 << 64  # of a whole number: seeds are smaller, and a stranger's step that no float can hold is none


@dataclass(frozen=True)
class Start:
    """A trainer begins, at step 0 or at a checkpoint: what was said of later steps no longer holds.

    Attributes:
        v: version of this format.
        run: name of the run.
        from_step: optimizer steps already taken.
        params: trained values in the model.
        horizon: the step at which training is to end.
        seed: of the run.
    """

    run: str
    from_step: int
    params: int
    horizon: int
    seed: int | None = None
    v: int = VERSION


@dataclass(frozen=True)
class Plan:
    """From `step` on, the schedule is the one that began at step `start` and ends at step `horizon`.

    `timed` says that a time budget set the horizon and may move it.
    """

    step: int
    start: int
    horizon: int
    timed: bool = False


@dataclass(frozen=True)
class Step:
    """Training moved on. May be dropped or merged on its way to an eye.

    Attributes:
        step: optimizer steps taken.
        loss: training loss of this step, nats per character; None when it is not finite.
        lr: learning rate of this step.
        chars_per_s: training speed.
        grad_norm: norm of the gradient before clipping; None when it is not finite.
        train_chars: characters learned from so far.
        seconds: spent training so far, pauses excluded.
    """

    step: int
    loss: float | None
    lr: float
    chars_per_s: float
    grad_norm: float | None
    train_chars: int
    seconds: float


@dataclass(frozen=True)
class Eval:
    """The validation split was measured, in nats per character; None when a loss is not finite."""

    step: int
    val_loss: float | None
    best_val_loss: float | None
    train_chars: int
    seconds: float


@dataclass(frozen=True)
class Sample:
    """What the model wrote at `step`: `text` continues `prompt`."""

    step: int
    prompt: str
    text: str


@dataclass(frozen=True)
class Control:
    """A request from `control.jsonl` takes effect at `step`; written before it is obeyed, for resume."""

    id: str
    step: int
    do: str
    value: float | None = None
    prompt: str | None = None


@dataclass(frozen=True)
class Backend:
    """From `step` on, other kernels compute the same model."""

    step: int
    name: str
    detail: str


@dataclass(frozen=True)
class Saved:
    """The checkpoint of `step` is on the disk; `path` is relative to the run folder."""

    step: int
    path: str


@dataclass(frozen=True)
class Warn:
    """Something a person should know, in one sentence; training goes on."""

    step: int
    message: str


@dataclass(frozen=True)
class Done:
    """The run ended well; `reason` is why (steps, time, patience, stop, …).

    `seconds` are those spent in updates; `wall_seconds` all that went by, in every process of the run together, without the pauses
    of a run by time.
    """

    run: str
    step: int
    val_loss: float | None
    best_val_loss: float | None
    train_chars: int
    seconds: float
    chars_per_s: float
    params: int
    reason: str
    wall_seconds: float | None = None


@dataclass(frozen=True)
class Failed:
    """The run ended badly at `step`; `exit` is the exit code of its process."""

    reason: str
    exit: int
    step: int


Event = Start | Plan | Step | Eval | Sample | Control | Backend | Saved | Warn | Done | Failed

NAMES: dict[str, type[Event]] = {
    "start": Start,
    "plan": Plan,
    "step": Step,
    "eval": Eval,
    "sample": Sample,
    "control": Control,
    "backend": Backend,
    "saved": Saved,
    "warning": Warn,
    "done": Done,
    "failed": Failed,
}

# What may never be dropped or merged, however slow the reader: each is said once.
ENDINGS = frozenset({"saved", "sample", "done", "failed", "control", "plan", "warning"})


def name_of(event: Event) -> str:
    """The name of an event in JSON."""
    return _NAME_OF[type(event)]


def step_of(event: Event) -> int:
    """The step an event speaks of; for `Start` the one it goes on from."""
    return event.from_step if isinstance(event, Start) else event.step


def to_json(event: Event) -> dict[str, Any]:
    """The event as a JSON object: "event" first, then its fields; numbers that are not finite are None."""
    values = {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in asdict(event).items()
    }
    first = {"v": values.pop("v")} if "v" in values else {}
    return {"event": name_of(event), **first, **values}


def from_json(data: dict[str, Any]) -> Event | None:
    """The event in a JSON object, or None if its name is unknown, a field is missing or of the wrong type.

    Unknown fields are ignored. A null where a number must stand was not finite when written: it reads as NaN.
    """
    kind = NAMES.get(name) if isinstance(name := data.get("event"), str) else None
    if kind is None:
        return None
    values: dict[str, Any] = {}
    for field in fields(kind):
        if field.name not in data:
            continue  # a missing field without default is found below
        try:
            values[field.name] = _READ[str(field.type)](data[field.name])
        except (TypeError, OverflowError):
            return None
    try:
        return kind(**values)
    except TypeError:
        return None


def dump_line(event: Event) -> bytes:
    """The event as one line of JSON, without the newline."""
    return dump_json(to_json(event))


def load_line(line: bytes) -> Event | None:
    """The event in one line of JSON; None for anything that is not one."""
    data = parse_json(line)
    return None if data is None else from_json(data)


def _int(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError
    if abs(value) >= _MOST:
        raise OverflowError
    return value


def _bool(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _float(value: object) -> float:
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError
    return float(value)


def _str(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


# By the annotation of a field, which `from __future__ import annotations` keeps as text.
_READ: dict[str, Callable[[object], object]] = {
    "int": _int,
    "bool": _bool,
    "float": _float,
    "str": _str,
    "int | None": lambda value: None if value is None else _int(value),
    "float | None": lambda value: None if value is None else _float(value),
    "str | None": lambda value: None if value is None else _str(value),
}

_NAME_OF = {kind: name for name, kind in NAMES.items()}
