"""Soft wrap of a text that grows at its end: which source offset stands in which cell, and back.

Offsets count code points of the exact text; columns count terminal cells. What a terminal would obey or swallow has a visible
stand-in here, and a label (a mark) may take cells in front of a character without having an offset. Only the text and the
offset at which each line begins are kept. Left out: colours and drawing (`tinygpt_tui.widgets.transcript_line`).

The rules: a newline ends its line and has a cell behind it; lines break after blanks and beside wide characters, else anywhere;
one blank may hang in the column behind the last one, so that text which ends with it goes on below.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from rich.cells import cell_len, get_character_cell_size

from tinygpt_tui.safe_text import safe_line

TAB_STOP = 4
CLUSTER_LIMIT = 16  # code points: what is heaped on one character beyond this stands alone
LABEL_LIMIT = 32  # cells
MIN_WIDTH = 4

_BLOCK = 16384
_JOINER = "\u200d"
_CIRCLE = "\u25cc"  # carries a combining mark that has no character before it
# One cell each, and nothing that follows changes that, except what is not in these ranges either.
_UNUSUAL = re.compile(
    "[^ -~\xa1-\xac\xae-\u02ff\u0370-\u0377\u0384-\u0482\u048a-\u052f\u05d0-\u05ea\u0620-\u064a\u1e00-\u1eff"
    "\u2010-\u2027\u2030-\u205e\u20a0-\u20bf\u2190-\u21ff\u2500-\u25fc\u2800-\u28ff]"
)
# Two cells each, and again nothing in these ranges changes that: kana, ideographs, Hangul, and their punctuation.
_WIDE = re.compile("[\u3001-\u3029\u3041-\u3096\u30a1-\u30ff\u4e00-\u9fff\uac00-\ud7a3\uff01-\uff60]*")

Mark = tuple[int, str]


class Cell(NamedTuple):
    """One visible character and where it stands.

    Attributes:
        start, end: its code points.
        column: of its first cell, counted in the line.
        width: cells; 1 for a newline, although nothing is shown there.
        shown: what is drawn for it, "" for a newline.
        label: the mark drawn in front of it; it ends where `column` begins.
    """

    start: int
    end: int
    column: int
    width: int
    shown: str
    label: str = ""


class Wrapping:
    """A text, its marks, and the lines they make at a width."""

    def __init__(self, width: int) -> None:
        """`width` is in cells; see `rewrap`."""
        self.width = max(MIN_WIDTH, width)
        self._blocks: list[str] = []  # of _BLOCK code points each
        self._tail = ""
        self._starts = array("I", [0])
        self._marks: list[Mark] = []
        self._given: Sequence[Mark] = ()

    @property
    def length(self) -> int:
        """Code points of the text."""
        return len(self._blocks) * _BLOCK + len(self._tail)

    @property
    def line_count(self) -> int:
        """Lines; an empty text has one, and behind a last newline there is an empty one."""
        return len(self._starts)

    def read(self, start: int, end: int) -> str:
        """The source text from `start` up to `end`."""
        if start >= (settled := len(self._blocks) * _BLOCK):
            return self._tail[start - settled : max(0, end - settled)]
        first = start // _BLOCK
        parts = [*self._blocks[first : end // _BLOCK + 1], self._tail if end > settled else ""]
        return "".join(parts)[start - first * _BLOCK : max(0, end - first * _BLOCK)]

    def append(self, text: str) -> int:
        """Adds to the end; wraps only the last line anew. The first line that may look different."""
        first, self._tail = self.line_count - 1, self._tail + text
        while len(self._tail) >= _BLOCK:
            self._blocks.append(self._tail[:_BLOCK])
            self._tail = self._tail[_BLOCK:]
        self._wrap_on()
        return first

    def cut(self, length: int) -> int:
        """Takes away all behind the first `length` code points. The first line that may look different."""
        if length >= self.length:
            return self.line_count
        block, rest = divmod(length, _BLOCK)
        self._tail = (self._blocks[block] if block < len(self._blocks) else self._tail)[:rest]
        del self._blocks[block:]
        return self._wrap_from(length)

    def set_marks(self, marks: Sequence[Mark]) -> int:
        """Takes (offset, label) pairs in the order of their offsets. The first line that may look different."""
        if marks is self._given and isinstance(marks, tuple):
            return self.line_count
        self._given = marks
        same = 0
        for old, new in zip(self._marks, marks, strict=False):
            if old != new:
                break
            same += 1
        changed = [offset for offset, _ in (*self._marks[same:], *marks[same:])]
        if not changed:
            return self.line_count
        self._marks[same:] = marks[same:]
        return self._wrap_from(min(changed))

    def rewrap(self, width: int) -> None:
        """Wraps all of it at `width` cells; one column more is needed for a blank that hangs."""
        self.width = max(MIN_WIDTH, width)
        self._starts = array("I", [0])
        self._wrap_on()

    def span(self, line: int) -> tuple[int, int]:
        """The offsets at which a line begins and ends, its newline included."""
        last = line + 1 >= len(self._starts)
        return self._starts[line], self.length if last else self._starts[line + 1]

    def plain(self, line: int) -> str | None:
        """The text of a line in which every code point is one cell and shown as it is, without its newline; else None."""
        start, end = self.span(line)
        if self._has_marks(start, end):
            return None
        text = self.read(start, end).removesuffix("\n")
        return None if _UNUSUAL.search(text) else text

    def cells(self, line: int) -> Iterator[Cell]:
        """The characters of a line, from left to right."""
        start, end = self.span(line)
        return self._measured(self.read(start, end), start)

    def label_at(self, offset: int) -> str:
        """The mark in front of a character, "" for none."""
        first = bisect_left(self._marks, (offset, ""))
        last = bisect_left(self._marks, (offset + 1, ""), lo=first)
        if first == last:
            return ""
        label = safe_line("".join(label for _, label in self._marks[first:last]))
        room = min(LABEL_LIMIT, self.width - 2)
        while cell_len(label) > room:
            label = label[:-1]
        return label

    def line_of(self, offset: int) -> int:
        """The line in which a character, or the end of the text, stands."""
        return bisect_right(self._starts, offset) - 1

    def cell_of(self, offset: int) -> tuple[int, int]:
        """Line and column of the character to which `offset` belongs, or of the end of the text."""
        line = self.line_of(offset)
        start, end = self.span(line)
        if (text := self.plain(line)) is not None:
            return line, min(offset - start, len(text))
        column = 0
        for cell in self._measured(self.read(start, end), start):
            if offset < cell.end:
                return line, cell.column
            column = cell.column + cell.width
        return line, column

    def cell_at(self, line: int, column: int) -> Cell | None:
        """The character whose cells, its mark's among them, hold `column`; None beyond the line's end."""
        for cell in self.cells(line):
            if column < cell.column + cell.width:
                return cell
        return None

    def offset_at(self, line: int, column: int) -> int:
        """The character nearest to `column` in its line; the length of the text beyond the end of the last line."""
        last = self.span(line := min(max(line, 0), self.line_count - 1))[0]
        for cell in self.cells(line):
            last = cell.start
            if column < cell.column + cell.width:
                return last
        return last if line + 1 < self.line_count else self.length

    def boundary_at(self, line: int, column: int) -> int:
        """The offset at which a selection ends that covers all cells of a line before `column`, but not its newline."""
        for cell in self.cells(line):
            if cell.column >= column or not cell.shown:
                return cell.start
        return self.span(line)[1]

    def cluster(self, offset: int) -> tuple[int, int]:
        """The code points of the character to which `offset` belongs; empty at the end of the text."""
        for cell in self.cells(self.line_of(offset)):
            if offset < cell.end:
                return cell.start, cell.end
        return self.length, self.length

    def _has_marks(self, start: int, end: int) -> bool:
        first = bisect_left(self._marks, (start, ""))
        return first < len(self._marks) and self._marks[first][0] < end

    def _wrap_from(self, offset: int) -> int:
        # A line breaks where it does because of a word behind it, which a mark may have broken once more.
        first = max(0, self.line_of(offset) - 2)
        del self._starts[first + 1 :]
        self._wrap_on()
        return first

    def _wrap_on(self) -> None:
        """Wraps from the beginning of the last line on."""
        start, length = self._starts[-1], self.length
        while start < length:
            # Blocks are read whole: slicing one is cheap, joining them for every line is not.
            here = start // _BLOCK
            base = here * _BLOCK
            reach = min(length, base + _BLOCK)
            window = self.read(base, min(length, reach + self._limit))
            while start < reach:
                end = self._line_end(window, start - base, base) + base
                if end >= length and window[-1] != "\n":
                    return
                self._starts.append(end)
                start = end

    @property
    def _limit(self) -> int:
        """Code points in a line: only characters with much heaped on them reach it."""
        return 4 * self.width + 64

    def _line_end(self, text: str, start: int, base: int) -> int:
        """The end of the line that begins at `start` of `text`, which stands at `base` of the whole text."""
        width = self.width
        stop = start + width
        newline = text.find("\n", start, stop + 1)
        ahead = newline if newline >= 0 else stop + 2
        if not _UNUSUAL.search(text, start, ahead) and not self._has_marks(base + start, base + stop + 2):
            if newline >= 0:
                return newline + 1
            if stop >= len(text):
                return len(text)
            if text[stop] == " ":
                return stop + 1
            blank = text.rfind(" ", start, stop)
            return blank + 1 if blank >= 0 else stop
        pairs = width // 2
        wide = _WIDE.match(text, start, start + pairs + 1)
        assert wide is not None
        if (end := wide.end()) > start and not self._has_marks(base + start, base + end + 1):
            if end > start + pairs:
                return end - 1
            if text[end : end + 1] == "\n":
                return end + 1
        return self._measured_end(text, start, base)

    def _measured_end(self, text: str, start: int, base: int) -> int:
        width = self.width
        window = text[start : start + self._limit]
        marked = self._has_marks(base + start, base + start + len(window))
        break_at = at = column = 0
        while at < len(window):
            character = window[at]
            label = cell_len(self.label_at(base + start + at)) if marked else 0
            column += label
            if character == "\n":
                return start + (at if label and at and column > width else at + 1)
            blank = character == " " or character == "\t"
            if character == "\t":
                end, cells = at + 1, self._tab(column)
            else:
                end, cells, _ = _cluster(window, at)
                blank = blank and end == at + 1
            if at and column + cells > width + blank:
                return start + (break_at or at)
            wide = cells == 2 and not blank
            if wide and not label and at:
                break_at = at
            if blank or wide:
                break_at = end
            column, at = column + cells, end
        return start + len(window)

    def _tab(self, column: int) -> int:
        """Cells of a tab."""
        return max(1, min(TAB_STOP - column % TAB_STOP, self.width - column))

    def _measured(self, text: str, base: int) -> Iterator[Cell]:
        """The characters of a line's `text`, which stands at `base`."""
        marked = self._has_marks(base, base + len(text))
        column, at, length = 0, 0, len(text)
        while at < length:
            label = self.label_at(base + at) if marked else ""
            if label:
                column += cell_len(label)
            character = text[at]
            if character == "\n":
                yield Cell(base + at, base + at + 1, column, 1, "", label)
                column, at = 0, at + 1
                continue
            if character == "\t":
                width, end = self._tab(column), at + 1
                shown = "\u21e5" + " " * (width - 1)
            else:
                end, width, shown = _cluster(text, at)
            yield Cell(base + at, base + end, column, width, shown, label)
            column, at = column + width, end


@lru_cache(maxsize=16384)
def _single(character: str) -> tuple[str, int]:
    """What is shown for a code point that stands alone, and its cells; 0 cells for what joins the one before."""
    shown = safe_line(character)
    return shown, 1 if shown != character else get_character_cell_size(character)


def _cluster(text: str, at: int) -> tuple[int, int, str]:
    """End, cells and appearance of the character that begins at `at`."""
    shown, width = _single(text[at])
    end, length = at + 1, len(text)
    if end < length and text[end] < "\u0300":  # most text: nothing can join
        return (end, width, shown) if width else (end, 1, _CIRCLE + shown.replace(_JOINER, ""))
    if shown != text[at]:
        return end, 1, shown
    if not width:
        shown = _CIRCLE + shown.replace(_JOINER, "")
    flag = "\U0001f1e6" <= text[at] <= "\U0001f1ff"
    while end < length and end - at < CLUSTER_LIMIT:
        follower, cells = _single(text[end])
        if flag and end == at + 1 and "\U0001f1e6" <= follower <= "\U0001f1ff":
            shown, end = shown + follower, end + 1
        elif follower == _JOINER:
            # Emoji are joined; elsewhere a joiner has no cell, and the next character keeps its own.
            joined = end + 1 < length and width == 2 and _single(text[end + 1])[1] == 2
            shown += text[end : end + 2] if joined else ""
            end += 2 if joined else 1
        elif cells == 0:
            shown, end = shown + follower, end + 1
        else:
            break
    return end, max(1, cell_len(shown)), shown
