"""One JSON object a line, and how it becomes a checked dataclass: what `engine.protocol` is written on.

A field is checked by the name of its type. Whatever arrives, the result is a message that holds exactly what
its class says, or one sentence that tells what was wrong. Left out: which messages there are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from typing import Any

from engine.errors import UsageError
from engine.reading import parse_json
from engine.storage import dump_json

VERSION = 1  # of the protocol, in every line
MAX_LINE = 4_000_000  # bytes of one message
MAX_CHARS = 1_000_000_000  # of one generation

# What a field may be, by the name of its type; `checks` holds the ranges.
Id = int  # the client's number for a generation or question; replies carry it
Seed = int
Count = int
Length = int
Share = float
Rate = float  # characters a second
Checkpoint = str  # "best", "last", or a step
Settings = Mapping[str, float]


class ProtocolError(UsageError):
    """A line is not a message of this protocol."""


Check = Callable[[object], Any]
"""Gives back a value from JSON as its field holds it, or refuses it."""


def line_of(key: str, name: str, values: Mapping[str, Any]) -> bytes:
    """The message `name` as one line of ASCII, newline included; dataclasses may stand among its values."""
    return dump_json(_plain({key: name, "v": VERSION, **values})) + b"\n"


def opened(line: bytes, key: str) -> dict[str, Any]:
    """The JSON object in a line, without its version, which was checked, and with a name in `key`.

    Raises:
        ProtocolError: the line is none.
    """
    if len(line) > MAX_LINE:
        raise ProtocolError(f"A message may have at most {MAX_LINE:,} bytes.")
    data = parse_json(line)
    if data is None:
        raise ProtocolError("A message must be one JSON object in UTF-8 on one line.")
    version = data.pop("v", VERSION)
    if version != VERSION or isinstance(version, bool):
        raise ProtocolError(f"Messages must be of version {VERSION}, not {str(version)[:20]}.")
    if not isinstance(data.get(key), str):
        raise ProtocolError(f'A message must say what it is in "{key}".')
    return data


def message(
    data: dict[str, Any], key: str, kinds: Mapping[str, type[Any]], checks: Mapping[str, Check]
) -> Any:
    """The message that `data` is: a dataclass of `kinds`, by the name in `key`, every field checked.

    Args:
        checks: see the function of this name.

    Raises:
        ProtocolError: there is no such message, or a field is missing, wrong or too many.
    """
    name = data.pop(key)
    if name not in kinds:
        raise ProtocolError(f"There is no message {name[:40]!r}; there are {', '.join(kinds)}.")
    try:
        return _fill(kinds[name], data, checks)
    except _Wrong as wrong:
        raise ProtocolError(f"The message {name!r} is wrong: {wrong}.") from None


def request_id(line: bytes) -> int | None:
    """The id in a line that could not be parsed, if it has a valid one, so that its sender gets an answer."""
    data = parse_json(line) if len(line) <= MAX_LINE else None
    try:
        id: int = _ID(None if data is None else data.get("id"))
    except _Wrong:
        return None
    return id


def checks(*parts: type[Any]) -> dict[str, Check]:
    """What a field may be, by the name of its type as it is written in a class.

    Args:
        parts: the dataclasses that may stand inside a message, alone, or several in a tuple.
    """
    table = {
        "str": _text,
        "Id": _ID,
        "Seed": _whole(2**64 - 1),
        "Count": _whole(2**63 - 1),
        "Length": _whole(MAX_CHARS),
        "Share": _number(0.0, 1.0 + 1e-9),  # a sum of probabilities may round to a little above 1
        "Rate": _number(0.0, 1e6),
        "float": _FLOAT,
        "Checkpoint": _checkpoint,
        "Settings": _object(_knob),
        "Mapping[str, float | None]": _object(_or_null(_knob)),
        "Mapping[str, str]": _object(_text),
    }
    table |= {part.__name__: _part(part, table) for part in parts}
    table |= {f"{name} | None": _or_null(check) for name, check in table.items()}
    table |= {f"tuple[{name}, ...]": _list(check) for name, check in table.items()}
    return table


class _Wrong(Exception):
    """A value is not what it must be; the argument says what that is, to follow "must be"."""


def _whole(high: int) -> Check:
    def check(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= high:
            raise _Wrong(f"a whole number from 0 to {high}")
        return value

    return check


def _number(low: float, high: float) -> Check:
    def check(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise _Wrong(f"a number from {low:g} to {high:g}")
        return float(value)

    return check


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise _Wrong("text")
    return value


def _or_null(check: Check) -> Check:
    def checked(value: object) -> Any:
        try:
            return None if value is None else check(value)
        except _Wrong as wrong:
            raise _Wrong(f"{wrong} or null") from None

    return checked


def _list(check: Check) -> Check:
    def checked(value: object) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise _Wrong("a list")
        return tuple(check(item) for item in value)

    return checked


def _object(check: Check) -> Check:
    def checked(value: object) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise _Wrong("an object")
        return {key: check(item) for key, item in value.items()}

    return checked


def _part(kind: type[Any], checks: Mapping[str, Check]) -> Check:
    """A dataclass inside a message."""

    def check(value: object) -> Any:
        if not isinstance(value, dict):
            raise _Wrong("an object")
        try:
            return _fill(kind, dict(value), checks)
        except _Wrong as wrong:
            raise _Wrong(f"an object, but in it {wrong}") from None

    return check


def _checkpoint(value: object) -> str:
    name = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(name, str) or not (name in ("best", "last") or (name.isdecimal() and len(name) <= 15)):
        raise _Wrong("best, last or a step")
    return name


def _knob(value: object) -> Any:
    # Whole numbers stay whole: the sampler tells 40 symbols from 40.0.
    return value if isinstance(value, int) and not isinstance(value, bool) else _FLOAT(value)


def _fill(kind: type[Any], data: dict[str, Any], checks: Mapping[str, Check]) -> Any:
    """A `kind` from exactly its fields in `data`, each checked by the name of its type."""
    values = {}
    for f in fields(kind):
        if f.name in data:
            try:
                values[f.name] = checks[str(f.type)](data.pop(f.name))
            except _Wrong as wrong:
                raise _Wrong(f"{f.name} must be {wrong}") from None
        elif f.default is MISSING and f.default_factory is MISSING:
            raise _Wrong(f"{f.name} is missing")
    if data:
        raise _Wrong(f"it has no field {next(iter(data))[:40]!r}")
    return kind(**values)


def _plain(value: Any) -> Any:
    """Dataclasses inside a message as JSON objects."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return _plain(vars(value)) if hasattr(value, "__dataclass_fields__") else value


_ID = _whole(2**63 - 1)
_FLOAT = _number(-1e300, 1e300)
