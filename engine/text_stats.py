"""What one can count in a text in a single pass: its size, its symbols, its lines.

`entropy_bits` is what a model would pay that knows only how frequent each symbol is; every model should do
better.

Left out: what needs more than one character of context (the n-gram ladder), and reading the text (`corpus`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_CHUNK = 2**20  # characters counted at a time, so that a large text costs no second copy of itself
_SHOWN = 20


@dataclass(frozen=True)
class TextStats:
    """Counts of one text.

    Attributes:
        bytes: length in UTF-8.
        characters: length in Unicode code points.
        symbols: different code points; the vocabulary of a character model.
        once: symbols that occur a single time, of which a model learns nothing.
        lines: as many as an editor shows; a newline at the very end opens no further one.
        longest_line: in characters, without its newline.
        most_frequent: up to 20 symbols with their counts, most frequent first; among equals the lower code
            point.
        entropy_bits: of the symbols, order 0, in bits per character; 0 for an empty text.
    """

    bytes: int
    characters: int
    symbols: int
    once: int
    lines: int
    longest_line: int
    most_frequent: tuple[tuple[str, int], ...]
    entropy_bits: float


def text_stats(text: str) -> TextStats:
    """Count a text of any length, the empty one too."""
    counter = StatsCounter()
    for at in range(0, len(text), _CHUNK):
        counter.add(text[at : at + _CHUNK])
    return counter.stats()


class StatsCounter:
    """Counts a text that comes in pieces of any length."""

    def __init__(self) -> None:
        self._counts = np.zeros(0x110000, dtype=np.int64)  # one for each code point
        self._characters = self._lines = self._longest = 0
        self._start = 0  # where the current line began

    def add(self, text: str) -> None:
        codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
        found = np.bincount(codes)
        self._counts[: found.size] += found
        ends = self._characters + np.flatnonzero(codes == ord("\n"))
        if len(ends):
            self._lines += len(ends)
            longest = int(np.diff(ends, prepend=self._start - 1).max()) - 1
            self._longest, self._start = max(self._longest, longest), int(ends[-1]) + 1
        self._characters += len(text)

    def stats(self) -> TextStats:
        counts, characters, lines, longest = self._counts, self._characters, self._lines, self._longest
        if self._start < characters:
            lines, longest = lines + 1, max(longest, characters - self._start)
        present = np.flatnonzero(counts)
        occurring = counts[present]
        share = occurring / max(1, characters)
        order = np.argsort(-occurring, kind="stable")[:_SHOWN]
        # UTF-8 takes a byte for each code point, and one more from each of these on.
        utf8_bytes = sum(int(counts[first:].sum()) for first in (0, 0x80, 0x800, 0x10000))
        return TextStats(
            bytes=utf8_bytes,
            characters=characters,
            symbols=len(present),
            once=int((occurring == 1).sum()),
            lines=lines,
            longest_line=longest,
            most_frequent=tuple((chr(present[i]), int(occurring[i])) for i in order),
            entropy_bits=abs(float(-(share * np.log2(share)).sum())),
        )
