"""A session under any sequence of acts: it shows what a plain list of characters would, and nothing of it is ever lost.

The list knows nothing of trees: whoever writes behind the first `at` characters keeps these and drops the others.
"""

from __future__ import annotations

import math
from array import array
from itertools import pairwise
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tinygpt_tui.play.passage import Change, Passage
from tinygpt_tui.play.session import Session

Shown = tuple[Any, ...]  # of each character: itself, who made it, p, raw and rank
Token = tuple[str, float, float, int]

texts = st.text(st.characters(), max_size=5)  # surrogates and control characters are among them
shares = st.floats(0, 1, width=32)
tokens = st.tuples(
    st.text(st.characters(), max_size=3) | st.characters(), shares, shares, st.integers(0, 90_000)
)
knobs = st.fixed_dictionaries(
    {"temperature": st.sampled_from([0.0, 0.8, 1.2]), "top_k": st.sampled_from([0, 40])}
)
changes = st.dictionaries(
    st.sampled_from(["temperature", "top_k", "weights", "chars_per_s"]),
    st.sampled_from([0, 1, 40]),
    min_size=1,
)
fraction = st.none() | st.floats(0, 1)  # of the shown text: where a branch begins; None at its end


def shown_of(token: Token) -> list[Shown]:
    text, p, raw, rank = token
    return [(c, "written", p, raw, min(rank, 65_535)) for c in text]


def shown_by(session: Session) -> list[Shown]:
    """What the session itself says of each place."""
    places = [session.place(at) for at in range(session.length)]
    return [(place.c, place.passage.kind, place.p, place.raw, place.rank) for place in places if place]


def kept(passage: Passage) -> tuple[Any, ...]:
    """Everything that must never change; of the columns only more may come."""
    return (
        (
            passage.number,
            passage.parent,
            passage.offset,
            passage.kind,
            passage.run,
            passage.step,
            passage.seed,
        ),
        dict(passage.settings),
        passage.text.slice(0, passage.length),
        *(
            list(column)
            for column in (passage.lengths, passage.p, passage.raw, passage.rank, passage.changes)
        ),
    )


def copy_of(session: Session, pieces: int) -> Session:
    """As a history would read it again: every passage in so many pieces, then the view."""
    copy = Session()
    copy.all.clear()
    for old in session.all:
        above = copy.all[old.parent.number] if old.parent else None
        new = Passage(
            old.number, above, old.offset, old.kind, old.run, old.step, old.seed, dict(old.settings),
            reason=old.reason or "cut off",
        )  # fmt: skip
        if above is not None:
            above.children.append(new)
        size = max(1, -(-old.tokens // pieces))
        for first in range(0, old.tokens, size):
            figures = [column[first : first + size] for column in (old.lengths, old.p, old.raw, old.rank)]
            new.extend(old.text.slice(old.start_of(first), old.start_of(first + size)), *figures)
        if old.kind == "typed":
            new.extend(old.text.slice(0, old.length), array("H"), array("f"), array("f"), array("H"))
        new.changes += old.changes
        copy.all.append(new)
    copy.restore(session.leaf.number, list(session.done), list(session.undone))
    return copy


def view(session: Session) -> tuple[Any, ...]:
    p = [None if math.isnan(x) else x for x in session.probabilities(0, session.length)]
    return session.text(), shown_by(session), p, session.spans(), session.marks(), session.branches()


class Acts(RuleBasedStateMachine):
    """What a person and a model may do, in any order."""

    @initialize()
    def begin(self) -> None:
        self.session = Session()
        self.shown: list[Shown] = []
        self.before: list[list[Shown]] = []  # of each act
        self.after: list[list[Shown]] = []  # of each act that was taken back
        self.snapshots: list[tuple[Any, ...]] = []
        self.growing: Passage | None = None  # only what is being written grows

    def place(self, where: float | None) -> int | None:
        return None if where is None else math.floor(where * len(self.shown))

    def act(self, at: int | None) -> None:
        self.before.append(list(self.shown))
        self.after.clear()
        self.growing = None
        self.session.begin_act()
        del self.shown[len(self.shown) if at is None else at :]

    @rule(text=texts, where=fraction)
    def type_(self, text: str, where: float | None) -> None:
        at = self.place(where)
        self.act(at)
        passage = self.session.type(text, at)
        assert passage is self.session.leaf and passage.reason == "typed"
        self.shown += [(c, "typed", None, None, None) for c in text]

    @rule(
        written=st.lists(tokens, max_size=5),
        where=fraction,
        run=st.sampled_from(["tales", "sums"]),
        seed=st.integers(1, 2),
        settings=knobs,
    )
    def write(
        self, written: list[Token], where: float | None, run: str, seed: int, settings: dict[str, float]
    ) -> None:
        at = self.place(where)
        self.act(at)
        begins = len(self.shown)
        passage = self.session.write(run, 100, seed, settings, at)
        assert self.session.place_of(passage) == begins and self.session.last_written() is passage
        self.growing = passage
        self.go_on(written)

    @precondition(lambda self: self.growing is not None)
    @rule(written=st.lists(tokens, max_size=5))
    def write_on(self, written: list[Token]) -> None:
        self.go_on(written)

    def go_on(self, written: list[Token]) -> None:
        assert self.growing is self.session.leaf
        for token in written:
            self.growing.append(*token)
            self.shown += shown_of(token)

    @precondition(lambda self: self.growing is not None)
    @rule(change=changes)
    def turn_a_knob(self, change: dict[str, float]) -> None:
        assert self.growing is not None
        self.growing.changes.append(Change(self.growing.tokens, change))

    @rule()
    def undo(self) -> None:
        self.growing = None
        assert self.session.undo() == bool(self.before)
        if self.before:
            self.after.append(self.shown)
            self.shown = self.before.pop()

    @rule()
    def redo(self) -> None:
        self.growing = None
        assert self.session.redo() == bool(self.after)
        if self.after:
            self.before.append(self.shown)
            self.shown = self.after.pop()

    @rule(by=st.sampled_from([1, -1]))
    def switch(self, by: int) -> None:
        ways, leaf = self.session.branches(), self.session.leaf
        assert self.session.switch(by) == (ways is not None)
        if ways is None:
            return
        assert 1 <= ways[0] <= ways[1] and ways[1] > 1
        assert self.session.leaf is not leaf, "there are several ways, so another one is shown"
        self.before.append(self.shown)
        self.after.clear()
        self.growing = None
        self.shown = shown_by(self.session)  # no list can tell which; the invariants say that it is sound
        assert all(passage.offset <= (passage.parent or passage).length for passage in self.way())

    def way(self) -> list[Passage]:
        return [segment.passage for segment in self.session.segments]

    @invariant()
    def the_text_is_that_of_the_list(self) -> None:
        text = "".join(c for c, *_ in self.shown)
        assert self.session.text() == text and self.session.length == len(text)
        joined = "".join(
            s.passage.text.slice(0, s.passage.length if s.passage is self.session.leaf else s.end)
            for s in self.session.segments
        )
        assert joined == text
        low, high = len(text) // 3, 2 * len(text) // 3
        assert self.session.text(low, high) == text[low:high]

    @invariant()
    def every_place_is_that_of_the_list(self) -> None:
        assert shown_by(self.session) == self.shown
        assert self.session.place(-1) is None and self.session.place(len(self.shown)) is None

    @invariant()
    def probabilities_are_nan_exactly_where_it_was_typed(self) -> None:
        end = len(self.shown)
        for low, high in ((0, end), (end // 3, 2 * end // 3), (end, end)):
            p = self.session.probabilities(low, high)
            assert p.typecode == "f" and len(p) == high - low
            assert [None if math.isnan(x) else x for x in p] == [raw for *_, raw, _ in self.shown[low:high]]

    @invariant()
    def spans_cover_the_text(self) -> None:
        kinds = [kind for start, end, kind in self.session.spans() for _ in range(start, end)]
        assert kinds == [kind for _, kind, *_ in self.shown]
        edges = [0, *(edge for start, end, _ in self.session.spans() for edge in (start, end)), len(kinds)]
        assert edges == sorted(edges) and edges[::2] == edges[1::2], "without a gap or an overlap"
        assert all(start < end for start, end, _ in self.session.spans())

    @invariant()
    def marks_are_in_order_and_inside_the_text(self) -> None:
        marks = self.session.marks()
        places = [mark.at for mark in marks]
        assert places == sorted(set(places)), "one mark at each place"
        assert all(0 <= at <= len(self.shown) and mark.text for at, mark in zip(places, marks, strict=True))

    @invariant()
    def marks_stand_exactly_where_it_was_drawn_with_something_else_than_before(self) -> None:
        drawn: list[tuple[int, Any]] = []  # of the written characters
        for at in range(self.session.length):
            place = self.session.place(at)
            if place is not None and place.passage.kind == "written":
                with_ = {"weights": place.passage.step, **self.session.settings_at(at), "chars_per_s": None}
                drawn.append((at, (place.passage.run, place.passage.seed, with_)))
        marked = {mark.at for mark in self.session.marks()}
        # At its end the leaf may show what the next character will be drawn with.
        end = {len(self.shown)} if self.session.leaf.kind == "written" else set()
        assert marked - end == {at for (_, old), (at, new) in pairwise(drawn) if old != new} - end

    @invariant()
    def nothing_ever_changes_or_goes_away(self) -> None:
        now = [kept(passage) for passage in self.session.all]
        assert len(now) >= len(self.snapshots)
        for old, new in zip(self.snapshots, now, strict=False):
            assert new[:2] == old[:2]
            assert all(grown[: len(column)] == column for column, grown in zip(old[2:], new[2:], strict=True))
        assert [passage.number for passage in self.session.all] == list(range(len(now)))
        self.snapshots = now

    @invariant()
    def undo_then_redo_changes_nothing(self) -> None:
        """And so does redo, then undo, and going all the way back and forth."""
        before = view(self.session)
        ways = (list(self.session.done), list(self.session.undone), self.session.leaf)
        if self.session.undo():
            assert self.session.redo()
        if self.session.redo():
            assert self.session.undo()
        steps = 0
        while self.session.undo():
            steps += 1
        assert self.session.text() == "" and steps == len(self.before)
        for _ in range(steps):
            assert self.session.redo()
        assert view(self.session) == before
        assert (self.session.done, self.session.undone, self.session.leaf) == ways

    @rule(pieces=st.integers(1, 4))
    def restart(self, pieces: int) -> None:
        copy = copy_of(self.session, pieces)
        assert view(copy) == view(self.session)
        assert [kept(passage)[1:] for passage in copy.all] == [
            kept(passage)[1:] for passage in self.session.all
        ]
        self.session, self.growing = copy, None
        self.snapshots = [kept(passage) for passage in copy.all]


Acts.TestCase.settings = settings(max_examples=150, stateful_step_count=25, deadline=None)
TestAnySequenceOfActs = Acts.TestCase
