"""What a player would answer, without a model: deterministic text, plausible odds, and no clock.

The text is always `STORY`, over and over, so whoever counts knows what must have come.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import Any

from engine import protocol as p
from engine.errors import TinygptError
from engine.sampler_settings import SamplerSettings

STORY = "The quick brown fox jumps over the lazy dog, and goes home to sleep. Was it the dog who slept?\n"
SYMBOLS = tuple(sorted({*STORY, *"abcdefghijklmnopqrstuvwxyz.,"}))
RANKS = (0, 0, 0, 1, 0, 2, 0, 0)  # of the characters, in turn


def story(start: int, count: int) -> str:
    """`count` characters of what every fake player writes, from `start` on."""
    return (STORY * ((start + count) // len(STORY) + 1))[start : start + count]


@dataclass
class _Writing:
    id: int
    at: int  # position of the next character
    begin: int  # of the first
    left: int | None
    settings: SamplerSettings
    rate: float | None
    version: int = 0
    ending: str = "max"


class FakePlayer:
    """What a player answers, step by step.

    Attributes:
        run, step: what is loaded. A run whose name begins with "missing" cannot be.
        turns: what it says of a conversation.
    """

    def __init__(self) -> None:
        self.run: str | None = None
        self.step = 1000
        self.turns: dict[str, str] | None = None
        self._writing: _Writing | None = None

    @property
    def writing(self) -> int | None:
        """The id of the generation under way."""
        return self._writing.id if self._writing else None

    @property
    def rate(self) -> float | None:
        """Its pace: None flat out, 0 paused."""
        return self._writing.rate if self._writing else 0.0

    def answer(self, request: p.Request) -> list[p.Reply]:
        """What it replies at once; the text itself comes from `write`."""
        if isinstance(request, p.Quit):
            return self._end("closed")
        handler: Any = getattr(self, f"_on_{type(request).__name__.lower()}")
        try:
            replies: list[p.Reply] = handler(request)
            return replies
        except TinygptError as error:
            return [p.Error(getattr(request, "id", None), str(error))]

    def write(self, count: int) -> list[p.Reply]:
        """The next `count` characters in one batch, as far as the text goes."""
        now = self._writing
        if now is None or count <= 0:
            return []
        count = count if now.left is None else min(count, now.left)
        replies: list[p.Reply] = []
        if count:
            positions = range(now.at, now.at + count)
            chars = tuple(self._char(now, position) for position in positions)
            replies += [p.Text(now.id, now.at, chars, now.version), self._dist(now, positions[-1])]
            now.at += count
        if now.left is not None:
            now.left -= count
            if now.left == 0:
                replies += self._end(now.ending)
        return replies

    def advance(self, step: int) -> list[p.Reply]:
        """The followed run has saved a newer checkpoint."""
        self.step = step
        if now := self._writing:
            return [p.Changed(now.id, now.at, {"weights": step}, now.version)]
        return [p.Changed(None, None, {"weights": step})]

    def _on_load(self, request: p.Load) -> list[p.Reply]:
        if request.run.startswith("missing"):
            return [p.Error(None, f"There is no run called {request.run}.")]
        self.run = request.run
        self.step = int(request.at) if request.at.isdecimal() else self.step
        ready = p.Ready(request.run, self.step, "llama", 113_000, len(SYMBOLS), 128, self.turns, 1.5)
        return [*self._end("replaced"), ready]

    def _on_follow(self, request: p.Follow) -> list[p.Reply]:
        return [] if request.run in (None, self.run) else self._on_load(p.Load(request.run or "", "last"))

    def _on_generate(self, request: p.Generate) -> list[p.Reply]:
        self._loaded()
        settings = SamplerSettings().replaced(request.sampler)
        at = len(request.text)
        now = _Writing(request.id, at, at, request.max, settings, request.chars_per_s)
        cuts = [cut for stop in request.stop if (cut := story(0, 2 * len(STORY)).find(stop)) >= 0]
        if cuts and (now.left is None or min(cuts) <= now.left):
            now.left, now.ending = min(cuts), "stop"
        replies = [*self._end("replaced"), p.Started(request.id, at, settings.to_json())]
        self._writing = now
        return replies + (self._end(now.ending) if now.left == 0 else self._next())

    def _on_set(self, request: p.Set) -> list[p.Reply]:
        now = self._at_work(request.id)
        now.settings = now.settings.replaced(request.sampler)
        now.version += 1
        values = now.settings.to_json()
        changed = {name: values[name] for name in request.sampler}
        return [p.Changed(now.id, now.at, changed, now.version), *self._next()]

    def _on_pace(self, request: p.Pace) -> list[p.Reply]:
        now = self._at_work(request.id)
        now.rate = request.chars_per_s
        return [p.Changed(now.id, now.at, {"chars_per_s": now.rate}, now.version), *self._next()]

    def _on_step(self, request: p.Step) -> list[p.Reply]:
        if self._at_work(request.id).rate != 0:
            return [p.Error(request.id, f"Generation {request.id} is not paused.")]
        text = [reply for reply in self.write(1) if not isinstance(reply, p.Dist)]
        return [*text, *self._next()]

    def _on_stop(self, request: p.Stop) -> list[p.Reply]:
        return self._end("stopped") if self.writing == request.id else []

    def _on_explain(self, request: p.Explain) -> list[p.Reply]:
        self._loaded()
        now = _Writing(request.id, request.at, 0, None, SamplerSettings().replaced(request.sampler), 0.0)
        dist = self._dist(now, request.at)
        c = request.text[request.at : request.at + 1] or None
        return [p.Explained(request.id, request.at, request.at, c, dist.symbols, dist.rest, dist.stages)]

    def _on_score(self, request: p.Score) -> list[p.Reply]:
        self._loaded()
        plain = _Writing(0, 0, 0, None, SamplerSettings(), 0.0)
        nats = tuple(-log(self._char(plain, i).raw) for i in range(len(request.text)))
        mean = sum(nats) / len(nats) if nats else None
        bits = None if mean is None else mean / log(2)
        return [p.Scored(request.id, tuple(request.text), nats, len(nats), mean, bits)]

    def _loaded(self) -> None:
        if self.run is None:
            raise TinygptError("No model is loaded; load a run first.")

    def _at_work(self, id: int) -> _Writing:
        if self._writing is None or self._writing.id != id:
            raise TinygptError(f"No generation {id} is under way.")
        return self._writing

    def _next(self) -> list[p.Reply]:
        """While paused, the odds of the next character."""
        now = self._writing
        return [self._dist(now, now.at)] if now and now.rate == 0 else []

    def _end(self, reason: str) -> list[p.Reply]:
        ended, self._writing = self.writing, None
        return [] if ended is None else [p.Done(ended, reason)]

    def _char(self, now: _Writing, position: int) -> p.Char:
        symbols = self._dist(now, position).symbols
        c = story(position - now.begin, 1)
        rank = next(i for i, symbol in enumerate(symbols) if symbol.c == c)
        return p.Char(c, symbols[rank].final, symbols[rank].raw, rank)

    def _dist(self, now: _Writing, position: int) -> p.Dist:
        """Odds that fall by a factor from symbol to symbol; the one to be written is among the first three."""
        c = story(position - now.begin, 1)
        heat, top_k = now.settings.temperature, now.settings.top_k or len(SYMBOLS)
        kept = 1 if heat == 0 else min(top_k, len(SYMBOLS))
        turn = position % len(SYMBOLS)
        order = [symbol for symbol in (*SYMBOLS[turn:], *SYMBOLS[:turn]) if symbol != c]
        order.insert(min(RANKS[position % len(RANKS)], kept - 1), c)
        factor = 0.2 + 0.05 * (position % 7)
        raw = [factor**i for i in range(len(order))]
        final = [x ** (1 / heat) if heat else 1.0 for x in raw[:kept]] + [0.0] * (len(raw) - kept)
        raw, final = ([x / sum(odds) for x in odds] for odds in (raw, final))
        stages = []
        if top_k < len(SYMBOLS):
            stages.append(p.StageReport("top_k", len(SYMBOLS) - top_k, sum(raw[top_k:])))
        if heat == 0:
            stages.append(p.StageReport("temperature", min(top_k, len(SYMBOLS)) - 1, sum(raw[1:top_k])))
        symbols = tuple(map(p.Symbol, order, raw, final))
        return p.Dist(now.id, position, symbols, None, tuple(stages))
