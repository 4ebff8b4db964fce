"""What the interface and the player say to each other: one JSON object a line, checked in both directions.

A request names itself in "do", a reply in "event", and every line carries the version "v" of this protocol (a
line without one is taken to be of this version, for whoever types by hand). Nothing here computes or waits:
`engine.player` does. What a sampler setting may be is not repeated here: `engine.sampler_settings.KNOBS` says
it, and the player answers a wrong one with an `Error`.

Positions count tokens of the whole text, prompt included, from 0. For a character model they are characters,
except that characters which the vocabulary lacks may have been dropped from the prompt (see `Started`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine import wire
from engine.wire import MAX_LINE as MAX_LINE
from engine.wire import VERSION as VERSION
from engine.wire import Checkpoint, Count, Id, Length, Rate, Seed, Settings, Share
from engine.wire import ProtocolError as ProtocolError
from engine.wire import request_id as request_id

DIST_SYMBOLS = 64  # a distribution sends this many symbols one by one, and the sum of the rest


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
    values = dict(vars(message))
    if isinstance(message, Set):
        values |= values.pop("sampler")
    return wire.line_of("do" if name in _REQUESTS else "event", name, values)


def parse_request(line: bytes) -> Request:
    """The request in one line.

    Raises:
        ProtocolError: the line is not one; `request_id` may still tell whose it is.
    """
    data = wire.opened(line, "do")
    if data["do"] == "set":
        data["sampler"] = {key: data.pop(key) for key in list(data) if key not in ("do", "id")}
    request: Request = wire.message(data, "do", _REQUESTS, _CHECKS)
    return request


def parse_reply(line: bytes) -> Reply:
    """The reply in one line.

    Raises:
        ProtocolError: the line is not one.
    """
    reply: Reply = wire.message(wire.opened(line, "event"), "event", _REPLIES, _CHECKS)
    return reply


_REQUESTS: dict[str, type[Any]] = {
    kind.__name__.lower(): kind
    for kind in (Load, Generate, Set, Pace, Step, Stop, Explain, Score, Follow, Quit)
}
_REPLIES: dict[str, type[Any]] = {
    kind.__name__.lower(): kind
    for kind in (Ready, Started, Text, Dist, Changed, Done, Explained, Scored, Error)
}
_CHECKS = wire.checks(Char, Symbol, Rest, StageReport, Replaced)
