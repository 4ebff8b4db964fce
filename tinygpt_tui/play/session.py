"""The text of one session with all its branches.

A passage begins somewhere in another one, its parent: behind its end, or in its middle, where it is a branch. What is shown is the way
from the root to one passage, the leaf; nothing else of the tree ever changes or goes away, so undoing is choosing another leaf. Left
out: writing (`tinygpt_tui.play.desk`), keeping (`tinygpt_tui.play.history`) and drawing.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from tinygpt_tui.play.passage import Kind, Passage, Settings, in_words


@dataclass(frozen=True)
class Segment:
    """The shown part of a passage: its first `end` characters, at `at` of the shown text."""

    passage: Passage
    at: int
    end: int


@dataclass(frozen=True)
class Place:
    """One character of the shown text: what it is and how it came about; p, raw and rank are None where it was typed."""

    c: str
    passage: Passage
    offset: int
    p: float | None = None
    raw: float | None = None
    rank: int | None = None


@dataclass(frozen=True)
class Mark:
    """A place in the shown text where something was changed: what, in a few words."""

    at: int
    text: str


class Session:
    """The tree, what is shown of it, and the way back.

    Attributes:
        all: every passage by its number. leaf: the last one shown.
        shape: another number whenever anything but the end of the leaf has changed.
    """

    def __init__(self) -> None:
        self.all: list[Passage] = [Passage(0, None, 0, "typed", reason="typed")]
        self.leaf = self.all[0]
        self.undone: list[int] = []  # leaves to go forward to
        self.done: list[int] = []  # leaves before each act
        self.shape = 0
        self._segments: tuple[Segment, ...] = ()
        self._begins: list[int] = []  # of the segments
        self._segments_of = -1
        self._marks: list[Mark] = []
        self._marks_of: tuple[int, int, int] | None = None

    @property
    def length(self) -> int:
        """Of the shown text, in characters."""
        last = self.segments[-1]
        return last.at + last.passage.length

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The shown text in parts; the last one is as long as its passage, which may have grown since."""
        if self._segments_of != self.shape:
            way = [self.leaf]
            while way[-1].parent is not None:
                way.append(way[-1].parent)
            way.reverse()
            found, at = [], 0
            for passage, following in zip(way, [*way[1:], None], strict=True):
                end = following.offset if following else passage.length
                found.append(Segment(passage, at, end))
                at += end
            self._segments, self._segments_of = tuple(found), self.shape
            self._begins = [segment.at for segment in found]
        return self._segments

    def text(self, start: int = 0, end: int | None = None) -> str:
        """The shown text, or a part of it."""
        end = self.length if end is None else end
        return "".join(
            segment.passage.text.slice(start - segment.at, min(end - segment.at, size))
            for segment, size in self._within(start, end)
        )

    def place(self, at: int) -> Place | None:
        """The character at `at` of the shown text, None outside of it."""
        found = self._find(at)
        if found is None:
            return None
        segment, offset = found
        passage = segment.passage
        c = passage.text.slice(offset, offset + 1)
        if passage.kind == "typed" or not passage.tokens:
            return Place(c, passage, offset)
        token = passage.token_at(offset)
        return Place(c, passage, offset, passage.p[token], passage.raw[token], passage.rank[token])

    def probabilities(self, start: int, end: int) -> array[float]:
        """How likely each shown character was by the model itself, from 0 to 1; NaN where it was typed."""
        found = array("f")
        nothing = float("nan")
        for segment, size in self._within(start, end):
            low, high = max(start - segment.at, 0), min(end - segment.at, size)
            if low >= high:
                continue
            passage = segment.passage
            if passage.kind == "typed":
                found.extend([nothing] * (high - low))
            elif passage._starts is None:
                found.extend(passage.raw[low:high])
            else:
                found.extend(passage.raw[passage.token_at(offset)] for offset in range(low, high))
        return found

    def spans(self, start: int = 0, end: int | None = None) -> list[tuple[int, int, Kind]]:
        """The shown text, or a part of it, by who made it: start, end, kind; empty ones are left out."""
        end = self.length if end is None else end
        clipped = (
            (max(s.at, start), min(s.at + size, end), s.passage.kind) for s, size in self._within(start, end)
        )
        return [(low, high, kind) for low, high, kind in clipped if low < high]

    def marks(self) -> list[Mark]:
        """Where the sampler's settings, the weights, the dice or the model differ from those of the last written character, in order.

        What was changed and changed again before a character was drawn makes one mark or none.
        """
        leaf = self.leaf
        # A change for a character that has not come yet moves along with the end.
        open_end = bool(leaf.changes) and leaf.changes[-1].token >= leaf.tokens
        of = (self.shape, len(leaf.changes), leaf.length if open_end else -1)
        if of != self._marks_of:
            self._marks, self._marks_of = self._find_marks(), of
        return self._marks

    def _find_marks(self) -> list[Mark]:
        in_force: dict[int, _InForce] = {}  # from these places on
        for segment, size in self._sized():
            passage = segment.passage
            # At its very end only the leaf may still draw a character.
            end = size if passage is self.leaf else size - 1
            if passage.kind == "typed" or end < 0:
                continue
            settings = {"weights": float(passage.step), **passage.settings}
            in_force[segment.at] = _InForce(passage.run, passage.seed, settings)
            for change in passage.changes:
                offset = passage.start_of(change.token)
                if offset > end:
                    break
                settings = {**settings, **change.settings}
                in_force[segment.at + offset] = _InForce(passage.run, passage.seed, settings)
        changes = zip(pairwise(in_force.values()), list(in_force)[1:], strict=True)
        told = ((at, _differences(before, after)) for (before, after), at in changes)
        return [Mark(at, " · ".join(words)) for at, words in told if words]

    def settings_at(self, at: int) -> dict[str, float | None]:
        """The settings that the character at `at` was drawn with; {} where it was typed."""
        place = self.place(at)
        if place is None or place.passage.kind == "typed":
            return {}
        return place.passage.settings_at(place.passage.token_at(place.offset))

    def last_written(self) -> Passage | None:
        """The last passage on the way that a model wrote."""
        return next((s.passage for s in reversed(self.segments) if s.passage.kind == "written"), None)

    def begin_act(self) -> None:
        """What follows, up to the next act, is undone together."""
        self.done.append(self.leaf.number)
        self.undone.clear()

    def type(self, text: str, at: int | None = None) -> Passage:
        """Puts a typed text behind the shown one or, with `at`, behind its first `at` characters, as a branch."""
        passage = self._grow("typed", at)
        passage.text.append(text)
        passage.reason = "typed"
        return passage

    def write(self, run: str, step: int, seed: int, settings: Settings, at: int | None = None) -> Passage:
        """Begins an empty written passage; where, as for `type`. It grows by `Passage.append`."""
        passage = self._grow("written", at)
        passage.run, passage.step, passage.seed, passage.settings = run, step, seed, dict(settings)
        return passage

    def place_of(self, passage: Passage) -> int | None:
        """Where a passage begins in the shown text; None if it is not shown."""
        return next((s.at for s in self.segments if s.passage is passage), None)

    def undo(self) -> bool:
        """Shows what was shown before the last act; whether there was one."""
        if not self.done:
            return False
        self.undone.append(self.leaf.number)
        self._show(self.all[self.done.pop()])
        return True

    def redo(self) -> bool:
        """Takes the last undo back; whether there was one."""
        if not self.undone:
            return False
        self.done.append(self.leaf.number)
        self._show(self.all[self.undone.pop()])
        return True

    def branches(self) -> tuple[int, int] | None:
        """At the last place where the text could go on otherwise: which of how many ways is shown, from 1. None: there is none."""
        found = self._fork()
        return (found[1] + 1, len(found[0])) if found else None

    def switch(self, by: int) -> bool:
        """Shows the next (1) or previous (-1) way at the last place where there are several; whether there are."""
        found = self._fork()
        if found is None:
            return False
        ways, shown = found
        way = ways[(shown + by) % len(ways)]
        self.begin_act()
        self._show(_end_of(way))
        return True

    def restore(self, leaf: int, done: list[int], undone: list[int]) -> None:
        """Shows what was shown when the session was kept.

        Raises:
            IndexError: there is no such passage, or one begins where its parent has no place.
        """
        for passage in self.all:
            if passage.parent is not None and not 0 <= passage.offset <= passage.parent.length:
                raise IndexError(
                    f"passage {passage.number} begins outside of passage {passage.parent.number}"
                )
        for number in (leaf, *done, *undone):
            if not 0 <= number < len(self.all):
                raise IndexError(f"there is no passage {number}")
        self.done, self.undone = list(done), list(undone)
        self._show(self.all[leaf])

    def _fork(self) -> tuple[list[Passage], int] | None:
        """The passages one can go on with at the last fork of the way, and which of them is shown.

        The passage that goes on through the fork stands for itself.
        """
        way = [(segment.passage, size) for segment, size in self._sized()]
        following: Passage | None = None
        for passage, size in reversed(way):
            for offset in sorted(
                {child.offset for child in passage.children if child.offset <= size}, reverse=True
            ):
                shown = passage if offset < size else following
                ways = [child for child in passage.children if child.offset == offset]
                if offset < passage.length:
                    ways.insert(0, passage)
                if shown is not None and len(ways) > 1:
                    return ways, ways.index(shown)
            following = passage
        return None

    def _sized(self) -> Iterator[tuple[Segment, int]]:
        """The segments with their sizes as of now."""
        for segment in self.segments:
            yield segment, segment.passage.length if segment.passage is self.leaf else segment.end

    def _within(self, start: int, end: int) -> Iterator[tuple[Segment, int]]:
        """The segments with their sizes that have a part of the text from `start` up to `end`, and perhaps empty ones."""
        segments = self.segments
        for number in range(max(0, bisect_right(self._begins, start) - 1), len(segments)):
            segment = segments[number]
            if segment.at >= end:
                break
            yield segment, segment.passage.length if segment.passage is self.leaf else segment.end

    def _find(self, at: int) -> tuple[Segment, int] | None:
        for segment, size in self._within(at, at + 1):
            if segment.at <= at < segment.at + size:
                return segment, at - segment.at
        return None

    def _grow(self, kind: Kind, at: int | None) -> Passage:
        parent, offset = self.leaf, self.leaf.length
        if at is not None and at < self.length:
            found = self._find(at)
            assert found is not None
            parent, offset = found[0].passage, found[1]
            # At its very beginning a branch lies beside a passage, not inside of it.
            while offset == 0 and parent.parent is not None:
                parent, offset = parent.parent, parent.offset
        passage = Passage(len(self.all), parent, offset, kind)
        self.all.append(passage)
        parent.children.append(passage)
        self._show(passage)
        return passage

    def _show(self, leaf: Passage) -> None:
        self.leaf = leaf
        self.shape += 1


def _end_of(passage: Passage) -> Passage:
    """The leaf of the newest way through a passage's whole length."""
    while following := [child for child in passage.children if child.offset == passage.length]:
        passage = following[-1]
    return passage


@dataclass(frozen=True)
class _InForce:
    """What a character is drawn with; the settings include the weights, as their step."""

    run: str
    seed: int
    settings: Settings


def _differences(before: _InForce, after: _InForce) -> list[str]:
    """What changed, in words. The pace is no matter of the text, and another model has other weights."""
    same_run = before.run == after.run
    told = [] if same_run else [after.run]
    if before.seed != after.seed:
        told.append(f"seed {after.seed}")
    for name, value in after.settings.items():
        if value is None or name == "chars_per_s" or before.settings.get(name, value) == value:
            continue
        if name != "weights":
            told.append(in_words(name, value))
        elif same_run:
            told.append(f"step {value:,.0f}")
    return told
