"""What the interface and the player say to each other: one JSON object a line, checked in both directions.

A request names itself in "do", a reply in "event", and every line carries the version "v" of this protocol (a
line without one is taken to be of this version, for whoever types by hand). Nothing here computes or waits:
`engine.player` does. What a sampler setting may be is not repeated here: `engine.sampler.KNOBS` says it, and
the player answers a wrong one with an `Error`.

Positions count tokens of the whole text, prompt included, from 0. For a character model they are characters,
except that characters which the vocabulary lacks may have been dropped from the prompt (see `Started`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

from engine.errors import UsageError
from engine.reading import parse_json
from engine.storage import dump_json

VERSION = 1
MAX_LINE = 4_000_000  # bytes of one message
MAX_CHARS = 1_000_000_000  # of one generation
DIST_SYMBOLS = 64  # a distribution sends this many symbols one by one, and the sum of the rest

# What a field may be, by the name of its type; `_CHECKS` holds the ranges.
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


@dataclass(frozen=True)
class Load:
    """Read the weights of `run`; `at` is "best", "last" or a step. Answered by `Ready`."""

    run: str
    at: Checkpoint = "best"


@dataclass(frozen=True)
class Generate:
    """Go on with `text`; replaces a generation that is under way. Answered by `Started`, and `Done` at last.

    Attributes:
        text: the prompt.
        sampler: sampler settings that differ from the defaults.
        seed: of the dice, 0 to 2^64 - 1.
        max: characters to write, None for as many as come.
        stop: texts to stop before.
        chars_per_s: the pace, None for flat out, 0 for paused.
    """

    id: Id
    text: str
    sampler: Settings = field(default_factory=dict)
    seed: Seed = 0
    max: Length | None = None
    stop: tuple[str, ...] = ()
    chars_per_s: Rate | None = None


@dataclass(frozen=True)
class Set:
    """Change sampler settings from the very next character on (in JSON beside the id). → `Changed`"""

    id: Id
    sampler: Settings


@dataclass(frozen=True)
class Pace:
    """Characters a second from now on: None flat out, 0 paused. Answered by `Changed`."""

    id: Id
    chars_per_s: Rate | None


@dataclass(frozen=True)
class Step:
    """Write one character of a paused generation."""

    id: Id


@dataclass(frozen=True)
class Stop:
    """End a generation. Answered by `Done`; nothing happens if it has ended already."""

    id: Id


@dataclass(frozen=True)
class Explain:
    """What could have stood at character `at` of `text`, before and after the sampler? → `Explained`"""

    text: str
    at: Count
    id: Id = 0
    sampler: Settings = field(default_factory=dict)


@dataclass(frozen=True)
class Score:
    """How surprising is every character of `text`? Answered by `Scored`."""

    text: str
    id: Id = 0


@dataclass(frozen=True)
class Follow:
    """Read the newest weights of `run`, and newer ones as they come, in mid-text too. None: no longer."""

    run: str | None


@dataclass(frozen=True)
class Quit:
    """Leave. The end of the input means the same."""


Request = Load | Generate | Set | Pace | Step | Stop | Explain | Score | Follow | Quit


@dataclass(frozen=True)
class Char:
    """The text one token added, its probability after (`p`) and before (`raw`) the sampler, its raw rank."""

    c: str
    p: Share
    raw: Share
    rank: Count


@dataclass(frozen=True)
class Symbol:
    """One alternative: its text, and its probability before and after the sampler."""

    c: str
    raw: Share
    final: Share


@dataclass(frozen=True)
class Rest:
    """All other alternatives together."""

    count: Count
    raw: Share
    final: Share


@dataclass(frozen=True)
class StageReport:
    """What an active stage of the sampler removed: see `engine.sampler.Stage`."""

    name: str
    removed: Count
    mass: Share


@dataclass(frozen=True)
class Replaced:
    """A character of the given text that the vocabulary lacks, and what stands for it ("": nothing)."""

    position: Count
    char: str
    by: str


@dataclass(frozen=True)
class Ready:
    """A model is loaded.

    Attributes:
        run, step: which checkpoint.
        arch, params, vocab, block_size: of the model.
        turns: what begins a turn of the "user" and of the "model", if the corpus is a conversation.
        val_loss: nats per character at that checkpoint, if it was measured.
        skipped: why newer checkpoints were passed over.
    """

    run: str
    step: Count
    arch: str
    params: Count
    vocab: Count
    block_size: Count
    turns: Mapping[str, str] | None = None
    val_loss: float | None = None
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True)
class Started:
    """A generation begins at position `at`, behind its prompt, with these settings (their version is 0)."""

    id: Id
    at: Count
    settings: Settings
    replaced: tuple[Replaced, ...] = ()


@dataclass(frozen=True)
class Text:
    """A batch of what was written, one entry a token, from `start` on, under one version of the settings."""

    id: Id
    start: Count
    chars: tuple[Char, ...]
    settings_version: Count


@dataclass(frozen=True)
class Dist:
    """What the token at `at` was drawn from or, while paused, the next will be; most likely (raw) first."""

    id: Id
    at: Count
    symbols: tuple[Symbol, ...]
    rest: Rest | None = None
    stages: tuple[StageReport, ...] = ()


@dataclass(frozen=True)
class Changed:
    """A change that takes effect at position `at`.

    Prompt, seed and the changes of sampler settings and weights replay the text exactly.

    Attributes:
        id, at: None when weights changed while nothing was being written.
        settings: what changed: sampler settings, {"chars_per_s": …}, or {"weights": step}.
        settings_version: of the sampler settings, from here on.
    """

    id: Id | None
    at: Count | None
    settings: Mapping[str, float | None]
    settings_version: Count = 0


@dataclass(frozen=True)
class Done:
    """A generation ended: max (as long as asked), stop (a stop text), stopped, replaced, failed or closed."""

    id: Id
    reason: str


@dataclass(frozen=True)
class Explained:
    """The distribution at character `at`, in front of which stand `position` tokens.

    `c` is the character that the text has there, None at its end; the rest is as in `Dist`.
    """

    id: Id
    at: Count
    position: Count
    c: str | None
    symbols: tuple[Symbol, ...]
    rest: Rest | None = None
    stages: tuple[StageReport, ...] = ()


@dataclass(frozen=True)
class Scored:
    """The surprise of a text: nats of each of its `pieces` (None for infinity), and means a character."""

    id: Id
    pieces: tuple[str, ...]
    nats: tuple[float | None, ...]
    chars: Count
    nats_per_char: float | None
    bits_per_char: float | None
    replaced: tuple[Replaced, ...] = ()


@dataclass(frozen=True)
class Error:
    """A request could not be obeyed, in one sentence; `id` is the request's, if it had a valid one."""

    id: Id | None
    message: str


Reply = Ready | Started | Text | Dist | Changed | Done | Explained | Scored | Error


def to_line(message: Request | Reply) -> bytes:
    """The message as one line of ASCII, newline included. Numbers that are not finite become null."""
    name = type(message).__name__.lower()
    data: dict[str, Any] = {"do" if name in _REQUESTS else "event": name, "v": VERSION, **vars(message)}
    if isinstance(message, Set):
        data |= data.pop("sampler")
    return dump_json(_plain(data)) + b"\n"


def parse_request(line: bytes) -> Request:
    """The request in one line.

    Raises:
        ProtocolError: the line is not one; `request_id` may still tell whose it is.
    """
    data = _opened(line, "do")
    if data["do"] == "set":
        data["sampler"] = {key: data.pop(key) for key in list(data) if key not in ("do", "id")}
    request: Request = _message(data, "do", _REQUESTS)
    return request


def parse_reply(line: bytes) -> Reply:
    """The reply in one line.

    Raises:
        ProtocolError: the line is not one.
    """
    reply: Reply = _message(_opened(line, "event"), "event", _REPLIES)
    return reply


def request_id(line: bytes) -> int | None:
    """The id in a line that could not be parsed, if it has a valid one, so that its sender gets an answer."""
    data = parse_json(line) if len(line) <= MAX_LINE else None
    try:
        id: int = _CHECKS["Id"](None if data is None else data.get("id"))
    except _Wrong:
        return None
    return id


class _Wrong(Exception):
    """A value is not what it must be; the argument says what that is."""


def _opened(line: bytes, key: str) -> dict[str, Any]:
    """The JSON object in a line, without its version, which was checked, and with a name in `key`."""
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


def _message(data: dict[str, Any], key: str, kinds: Mapping[str, type[Any]]) -> Any:
    name = data.pop(key)
    if name not in kinds:
        raise ProtocolError(f"There is no message {name[:40]!r}; there are {', '.join(kinds)}.")
    try:
        return _fill(kinds[name], data)
    except _Wrong as wrong:
        raise ProtocolError(f"The message {name!r} is wrong: {wrong}.") from None


def _fill(kind: type[Any], data: dict[str, Any]) -> Any:
    """A `kind` from exactly its fields in `data`, each checked by the name of its type."""
    values = {}
    for f in fields(kind):
        if f.name in data:
            try:
                values[f.name] = _CHECKS[str(f.type)](data.pop(f.name))
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


def _whole(high: int) -> Callable[[object], Any]:
    def check(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= high:
            raise _Wrong(f"a whole number from 0 to {high}")
        return value

    return check


def _number(low: float, high: float) -> Callable[[object], Any]:
    def check(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise _Wrong(f"a number from {low:g} to {high:g}")
        return float(value)

    return check


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise _Wrong("text")
    return value


def _checkpoint(value: object) -> str:
    name = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(name, str) or not (name in ("best", "last") or (name.isdecimal() and len(name) <= 15)):
        raise _Wrong("best, last or a step")
    return name


def _or_null(check: Callable[[object], Any]) -> Callable[[object], Any]:
    def checked(value: object) -> Any:
        try:
            return None if value is None else check(value)
        except _Wrong as wrong:
            raise _Wrong(f"{wrong} or null") from None

    return checked


def _list(check: Callable[[object], Any]) -> Callable[[object], Any]:
    def checked(value: object) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise _Wrong("a list")
        return tuple(check(item) for item in value)

    return checked


def _object(check: Callable[[object], Any]) -> Callable[[object], Any]:
    def checked(value: object) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise _Wrong("an object")
        return {key: check(item) for key, item in value.items()}

    return checked


def _part(kind: type[Any]) -> Callable[[object], Any]:
    def check(value: object) -> Any:
        if not isinstance(value, dict):
            raise _Wrong("an object")
        try:
            return _fill(kind, dict(value))
        except _Wrong as wrong:
            raise _Wrong(f"an object, but in it {wrong}") from None

    return check


def _knob(value: object) -> Any:
    # Whole numbers stay whole: the sampler tells 40 symbols from 40.0.
    return value if isinstance(value, int) and not isinstance(value, bool) else _float(value)


_float = _number(-1e300, 1e300)
_REQUESTS: dict[str, type[Any]] = {
    kind.__name__.lower(): kind
    for kind in (Load, Generate, Set, Pace, Step, Stop, Explain, Score, Follow, Quit)
}
_REPLIES: dict[str, type[Any]] = {
    kind.__name__.lower(): kind
    for kind in (Ready, Started, Text, Dist, Changed, Done, Explained, Scored, Error)
}
_CHECKS: dict[str, Callable[[object], Any]] = {
    "str": _text,
    "Id": _whole(2**63 - 1),
    "Seed": _whole(2**64 - 1),
    "Count": _whole(2**63 - 1),
    "Length": _whole(MAX_CHARS),
    "Share": _number(0.0, 1.0 + 1e-9),  # a sum of probabilities may round to a little above 1
    "Rate": _number(0.0, 1e6),
    "float": _float,
    "Checkpoint": _checkpoint,
    "Settings": _object(_knob),
    "Mapping[str, float | None]": _object(_or_null(_knob)),
    "Mapping[str, str]": _object(_text),
}
_CHECKS |= {f"{name} | None": _or_null(_CHECKS[name]) for name in list(_CHECKS)}
_CHECKS |= {kind.__name__: _part(kind) for kind in (Char, Symbol, StageReport, Replaced)} | {
    "Rest | None": _or_null(_part(Rest))
}
_CHECKS |= {f"tuple[{name}, ...]": _list(_CHECKS[name]) for name in list(_CHECKS)}
