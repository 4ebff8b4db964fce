"""One piece of a text, typed or written in one go, with what is known of how it came about.

A written one keeps its figures by token, since a byte or a byte pair is no character, and in a few bytes each, since there may be a
hundred thousand of them. Left out: how pieces make up a text (`tinygpt_tui.play.session`).
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

BLOCK = 4096  # characters
MOST_RANK = MOST_LENGTH = 2**16 - 1

Kind = Literal["typed", "written"]
Settings = Mapping[str, float | None]


class Pages:
    """A text that only grows, in blocks, so that neither growing nor reading a part copies the whole."""

    def __init__(self) -> None:
        self._blocks: list[str] = []  # all of BLOCK characters but the last
        self.length = 0

    def append(self, text: str) -> None:
        self.length += len(text)
        if self._blocks and len(self._blocks[-1]) < BLOCK:
            text = self._blocks.pop() + text
        self._blocks += [text[i : i + BLOCK] for i in range(0, len(text), BLOCK)]

    def slice(self, start: int, end: int) -> str:
        start, end = max(0, start), min(end, self.length)
        if start >= end:
            return ""
        first, last = start // BLOCK, (end - 1) // BLOCK
        whole = "".join(self._blocks[first : last + 1])
        return whole[start - first * BLOCK : end - first * BLOCK]


@dataclass(frozen=True)
class Change:
    """Settings or weights that changed, from token `token` of a written passage on."""

    token: int
    settings: Settings


@dataclass(eq=False, repr=False)
class Passage:
    """One piece. Only the desk that made it lets it grow.

    Attributes:
        number: within the session, from 0, the root, which is empty.
        parent: what it goes on from; None for the root. offset: how many characters of the parent stand before it.
        run, step, seed, settings: what began to write it; settings may include the pace.
        changes: in order of their tokens.
        reason: why it ended, "" while it is written.
        lengths, p, raw, rank: of each token its characters, its probability after and before the sampler, and its rank, at most 65,535.
    """

    number: int
    parent: Passage | None
    offset: int
    kind: Kind
    run: str = ""
    step: int = 0
    seed: int = 0
    settings: Settings = field(default_factory=dict)
    text: Pages = field(default_factory=Pages)
    lengths: array[int] = field(default_factory=lambda: array("H"))
    p: array[float] = field(default_factory=lambda: array("f"))
    raw: array[float] = field(default_factory=lambda: array("f"))
    rank: array[int] = field(default_factory=lambda: array("H"))
    changes: list[Change] = field(default_factory=list)
    reason: str = ""
    children: list[Passage] = field(default_factory=list)
    _starts: array[int] | None = None  # of each token, in characters; None while every token is one

    @property
    def length(self) -> int:
        """In characters."""
        return self.text.length

    @property
    def tokens(self) -> int:
        return len(self.p)

    def append(self, text: str, p: float, raw: float, rank: int) -> None:
        """One token more."""
        # A stranger's vocabulary may have such a one; its text counts, not that it was one token.
        while len(text) > MOST_LENGTH:
            self.append(text[:MOST_LENGTH], p, raw, rank)
            text = text[MOST_LENGTH:]
        if len(text) != 1 and self._starts is None:
            self._starts = array("I", range(self.tokens))
        if self._starts is not None:
            self._starts.append(self.length)
        self.text.append(text)
        self.lengths.append(len(text))
        self.p.append(p)
        self.raw.append(raw)
        self.rank.append(min(rank, MOST_RANK))

    def extend(
        self, text: str, lengths: array[int], p: array[float], raw: array[float], rank: array[int]
    ) -> None:
        """Many tokens more, at once; a typed passage has none, only text.

        Raises:
            ValueError: the columns are not of one length, or the text is not that of the tokens.
        """
        if not len(lengths) == len(p) == len(raw) == len(rank):
            raise ValueError("its figures are not those of the same tokens")
        if len(text) != sum(lengths) and (lengths or self.kind != "typed"):
            raise ValueError(f"its tokens have {sum(lengths):,} characters and its text has {len(text):,}")
        if self._starts is None and lengths.count(1) != len(lengths):
            self._starts = array("I", range(self.tokens))
        if self._starts is not None:
            start = self.length
            for length in lengths:
                self._starts.append(start)
                start += length
        self.text.append(text)
        self.lengths.extend(lengths)
        self.p.extend(p)
        self.raw.extend(raw)
        self.rank.extend(rank)

    def token_at(self, offset: int) -> int:
        """The token that made the character at `offset`."""
        if self._starts is None:
            return offset
        token = bisect_right(self._starts, offset) - 1
        return max(0, token)

    def start_of(self, token: int) -> int:
        """Where a token's text begins, in characters; the end of the text for the token to come."""
        if token >= self.tokens:
            return self.length
        return token if self._starts is None else self._starts[token]

    def settings_at(self, token: int) -> dict[str, float | None]:
        """What was in force when a token was drawn."""
        found = dict(self.settings)
        for change in self.changes:
            if change.token > token:
                break
            found.update(change.settings)
        return found


_OFF = {"top_k": 0, "top_p": 1, "min_p": 0, "repetition": 0}


def in_words(name: str, value: float) -> str:
    """A setting of the sampler with its value, such as "temperature 0.8" or "top-k off"."""
    return f"{name.replace('_', '-')} {'off' if _OFF.get(name) == value else f'{value:g}'}"
