"""Where a text cursor goes in a wrapped text, and what a selection of cells holds. Pure functions."""

from __future__ import annotations

import re
from typing import Literal, get_args

from textual.selection import Selection

from tinygpt_tui.widgets.wrapping import Wrapping

Way = Literal[
    "left", "right", "up", "down", "word left", "word right", "home", "end", "start", "follow", "page up", "page down",
]  # fmt: skip
WAYS: tuple[Way, ...] = get_args(Way)

_WORD = re.compile(r"\w+|[^\w\s]+")
_WORD_REACH = 400  # code points looked at for the beginning of a word


def moved(wrapping: Wrapping, at: int, way: Way, page: int) -> int | None:
    """The character that the cursor reaches from the one at `at`; None behind the end of the text.

    `page` is in lines. "home" and "end" go to the line's first and last character, and from there to the text's.
    """
    line, column = wrapping.cell_of(at)
    start, end = wrapping.span(line)
    if way == "left":
        return wrapping.cluster(max(0, at - 1))[0]
    if way == "right":
        return _inside(wrapping, wrapping.cluster(at)[1])
    if way == "word left":
        begin = max(0, at - _WORD_REACH)
        words = [word.start() for word in _WORD.finditer(wrapping.read(begin, at))]
        return wrapping.cluster(begin + words[-1] if words else begin)[0]
    if way == "word right":
        text = wrapping.read(at, at + _WORD_REACH)
        found = next((at + word.start() for word in _WORD.finditer(text) if word.start()), at + len(text))
        # A word may begin within a character, with an accent that is put on it.
        return _inside(wrapping, max(wrapping.cluster(found)[0], wrapping.cluster(at)[1]))
    if way == "home":
        return 0 if at == start else start
    if way == "end":
        last = wrapping.cluster(end - 1)[0]
        return None if at == last else last
    if way in ("up", "down", "page up", "page down"):
        there = line + {"up": -1, "down": 1, "page up": -page, "page down": page}[way]
        if there < 0:
            return at if way == "up" else 0
        if there >= wrapping.line_count:
            return None
        return _inside(wrapping, wrapping.offset_at(there, column))
    return 0 if way == "start" else None


def selected(wrapping: Wrapping, selection: Selection) -> str:
    """The exact text under a selection whose offsets are (column, line)."""
    first, last = selection
    start = 0 if first is None else wrapping.offset_at(first.y, first.x)
    if first is not None and first.y < wrapping.line_count and first.x > 0:
        # Behind the end of a line that no newline ends lies the beginning of the next one.
        cell = wrapping.cell_at(first.y, first.x)
        start = cell.start if cell is not None else wrapping.boundary_at(first.y, first.x)
    end = wrapping.length
    if last is not None and last.y < wrapping.line_count:
        end = wrapping.boundary_at(last.y, last.x)
    return wrapping.read(start, max(start, end))


def common_length(one: str, other: str) -> int:
    """How many code points two texts have in common at their beginning."""
    low, high = 0, min(len(one), len(other))
    if one[:high] == other[:high]:
        return high
    while low < high:  # the first `low` are equal, the first `high + 1` are not
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _inside(wrapping: Wrapping, offset: int) -> int | None:
    return offset if offset < wrapping.length else None
