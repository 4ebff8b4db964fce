"""What `engine.facts` tells, for a text that is too large to be held in memory: found out in one pass over it.

Of the preview there is the beginning alone; the ladder needs no more than the end of the text.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path

from engine.corpus import VALIDATION_CHARS, split_at
from engine.facts import COUNTED_CHARS, PREVIEW_CHARS, About, Fact, Preview, climb, kept_rungs, stats_of
from engine.large_text import look_through, remember
from engine.text_stats import StatsCounter


def examine_large(
    source: str, size: int, *, encoding: str | None, force_text: bool, cache_dir: Path | None
) -> Iterator[Fact]:
    """Everything about a file or folder of `size` bytes, when all of it is read.

    Raises:
        TinygptError: as `read_corpus`.
    """
    counter, end = StatsCounter(), End(COUNTED_CHARS + VALIDATION_CHARS)
    head = ""

    def hear(data: bytes) -> None:
        nonlocal head
        text = data.decode()
        counter.add(text)
        end.add(text)
        head = head if len(head) >= PREVIEW_CHARS else (head + text)[:PREVIEW_CHARS]

    text = look_through(source, size, encoding=encoding, force_text=force_text, also=[hear])
    if cache_dir is not None:
        remember(cache_dir, text)
    yield About(text.name, text.chars, text.bytes, text.sha256, text.notices, text.turns)
    yield Preview(head)
    yield stats_of(counter.stats())
    last = end.text()
    # A folder of many bytes may hold little text, of which validation is a tenth.
    cut = len(last) - (text.chars - split_at(text.chars))
    train, val = last[:cut][-COUNTED_CHARS:], last[cut:]
    yield from kept_rungs(text.sha256, cache_dir, lambda: climb(text.symbols, train, val))


class End:
    """The last characters of a text that comes in pieces."""

    def __init__(self, chars: int) -> None:
        self._wanted, self._held = chars, 0
        self._pieces: deque[str] = deque()

    def add(self, text: str) -> None:
        self._pieces.append(text)
        self._held += len(text)
        while self._held - len(self._pieces[0]) >= self._wanted:
            self._held -= len(self._pieces.popleft())

    def text(self) -> str:
        return "".join(self._pieces)[-self._wanted :]
