"""One text that the player is writing: its pace, and the batches in which it is sent.

A character is drawn when it is due and not before, and sent at once when nothing was heard yet or the next one
is too far away; else it waits for others, a thirtieth of a second at most. Left out: how a text is made
(`engine.generate`), and what is asked for (`engine.player`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from engine import protocol
from engine.generate import Continuation, Piece, Stream
from engine.sampler import Distribution

BATCH_SECONDS = 0.033
# A pace that could not be kept is caught up on by at most this much, or a hiccup would end in a burst.
LATE_SECONDS = 0.1
MAX_TOKENS_A_CHAR = 8


class Writing:
    """The generation under way.

    Attributes:
        id: the client's number for it.
        text: what writes it; its `ended` says whether there is more to come.
        due: when the next character is to be written, in the clock's seconds.
    """

    def __init__(
        self,
        id: int,
        text: Continuation,
        rate: float | None,
        *,
        symbols: Sequence[str],
        send: Callable[[protocol.Reply], None],
        clock: Callable[[], float],
    ) -> None:
        """`rate` in characters a second, None flat out, 0 paused; `symbols` by id, for distributions."""
        self.id, self.text, self.due = id, text, clock()
        self._rate, self._symbols, self._send, self._clock = rate, symbols, send, clock
        self._batch: list[Piece] = []  # what was written and not sent; the oldest was ready at `_since`
        self._since = 0.0
        self._heard = False  # whether anything was sent; the first character is not kept waiting for a batch
        self._drawn: tuple[int, Distribution] | None = None  # position and distribution of the last token

    @property
    def stream(self) -> Stream:
        return self.text.stream

    @property
    def paused(self) -> bool:
        return self._rate == 0

    def write(self) -> None:
        """Writes the token that is due and sends the batch if it cannot wait for the next one."""
        now = self._clock()
        before = self.text.chars
        self._draw()
        if self.text.ended:
            return
        after = self._clock()
        if self._rate:
            self.due = max(self.due + (self.text.chars - before) / self._rate, after - LATE_SECONDS)
        else:
            self.due = after
        ready_next = max(self.due, after) + (after - now)
        if not self._heard or ready_next > self._since + BATCH_SECONDS:
            self.flush()

    def step(self) -> None:
        """Writes one character while paused, and sends it with the distribution of the token to come."""
        chars = self.text.chars
        for _ in range(MAX_TOKENS_A_CHAR):
            self._draw()
            if self.text.ended or self.text.chars > chars:
                break
        if not self.text.ended:
            self.flush(with_dist=False)
            self.send_next()

    def pace(self, rate: float | None) -> None:
        """Goes on at `rate` characters a second, and reports it."""
        now = self._clock()
        if self.paused or not rate:
            self.due = now
        else:
            self.due = min(self.due, now + 1 / rate)
        self._rate = rate
        self.changed({"chars_per_s": rate})

    def changed(self, settings: Mapping[str, float | None]) -> None:
        """Reports a change that the next token will meet, and what it means for that one while paused."""
        self._send(protocol.Changed(self.id, len(self.stream.ids), settings, self.stream.settings_version))
        if self.paused:
            self.send_next()

    def flush(self, with_dist: bool = True) -> None:
        """Sends what has been written."""
        if not self._batch:
            return
        batch, self._batch, self._heard = self._batch, [], True
        chars = tuple(protocol.Char(p.text, p.choice.p, p.choice.raw_p, p.choice.rank) for p in batch)
        version = self.stream.settings_version
        self._send(protocol.Text(self.id, batch[0].choice.position, chars, version))
        if with_dist and self._drawn:
            at, dist = self._drawn
            self._send(protocol.Dist(self.id, at, *shown(dist, self._symbols)))

    def send_next(self) -> None:
        """Sends the distribution of the token to come."""
        parts = shown(self.stream.distribution(), self._symbols)
        self._send(protocol.Dist(self.id, len(self.stream.ids), *parts))

    def release(self) -> None:
        """Sends everything that was written, also what was held back because a stop text may begin there."""
        self._batch += self.text.release()
        self.flush()

    def _draw(self) -> None:
        """Draws one token into the batch."""
        self._drawn = (len(self.stream.ids), self.stream.distribution())
        pieces = self.text.advance()
        if not self._batch:
            self._since = self._clock()
        self._batch += pieces


def shown(
    dist: Distribution, symbols: Sequence[str]
) -> tuple[tuple[protocol.Symbol, ...], protocol.Rest | None, tuple[protocol.StageReport, ...]]:
    """A distribution as it is sent: the likeliest symbols, the rest summed, and what the stages removed."""
    order = np.argsort(-dist.raw, kind="stable")
    top, others = order[: protocol.DIST_SYMBOLS], order[protocol.DIST_SYMBOLS :]
    listed = tuple(
        protocol.Symbol(symbols[i], float(dist.raw[i]), float(dist.final[i])) for i in top.tolist()
    )
    rest = None
    if len(others):
        rest = protocol.Rest(len(others), float(dist.raw[others].sum()), float(dist.final[others].sum()))
    return listed, rest, tuple(protocol.StageReport(s.name, s.removed, s.mass) for s in dist.stages)
