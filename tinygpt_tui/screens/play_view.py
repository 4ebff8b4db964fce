"""What Play shows of the desk, in the forms its widgets take: the text with its marks, alternatives, titles, and the model's alphabet.

Pure but for reading a run's tokenizer. Left out: the screen (`tinygpt_tui.screens.play`).
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path

from rich.cells import cell_len, set_cell_size

from engine.errors import CheckpointError
from engine.reading import read_json
from engine.relatives import relative
from engine.starter import OPENING, folder_of
from tinygpt_tui import figures
from tinygpt_tui.play.desk import Desk, no_weights
from tinygpt_tui.play.session import Mark, Session
from tinygpt_tui.play.turns import turns_in
from tinygpt_tui.safe_text import safe_line
from tinygpt_tui.sources.run_picture import RunPicture
from tinygpt_tui.widgets.distribution_rows import Alternatives, percent, visible
from tinygpt_tui.widgets.transcript_line import Kind, shortened
from tinygpt_tui.widgets.wrapping import LABEL_LIMIT

TOKENIZER_LIMIT = 64_000_000  # bytes


class ShownText:
    """A session as a transcript reads it."""

    def __init__(self, session: Session, turns: dict[str, str] | None) -> None:
        """`turns` are the marks of a conversation, if the text is to be read as one."""
        self.session, self.turns = session, turns
        self._marks_of: list[Mark] | None = None
        self._marks: Sequence[tuple[int, str]] = ()
        self._heard = (-1, 0)  # the shape and the length of the text that was looked through for speakers
        self._speakers: tuple[tuple[int, str], ...] = ()
        self._line = 0  # where its last line begins

    @property
    def version(self) -> Hashable:
        return id(self.session), self.session.shape, self.turns is not None

    @property
    def length(self) -> int:
        return self.session.length

    @property
    def marks(self) -> Sequence[tuple[int, str]]:
        if (found := self.session.marks()) is not self._marks_of:
            self._marks_of = found
            self._marks = tuple((mark.at, _label(mark.text)) for mark in found)
        return self._marks

    @property
    def speakers(self) -> Sequence[tuple[int, str]]:
        if self.turns is None:
            return ()
        if (now := (self.session.shape, self.length)) != self._heard:
            if now[0] != self._heard[0]:
                self._speakers, self._line = (), 0
            self._heard = now
            self._listen(self.turns)
        return self._speakers

    def _listen(self, turns: dict[str, str]) -> None:
        """Looks for speakers from the last line on: those before it have been found, and a growing text only adds to it."""
        names = {who: mark.strip().rstrip(":") for who, mark in turns.items()}
        text = self.session.text(self._line)
        found = tuple((self._line + turn.start, names[turn.who]) for turn in turns_in(text, turns))
        before = self._speakers
        last = before[-1:] if before and before[-1][0] >= self._line else ()
        if found != last:
            self._speakers = (*before[: len(before) - len(last)], *found)
        self._line += text.rfind("\n") + 1

    def slice(self, start: int, end: int) -> str:
        return self.session.text(start, end)

    def kinds(self, start: int, end: int) -> Sequence[tuple[int, int, Kind]]:
        return self.session.spans(start, end)

    def probability(self, start: int, end: int) -> array[float]:
        return self.session.probabilities(start, end)


def waiting_of(desk: Desk, picture: RunPicture | None = None) -> str:
    """What stands on an empty page; `picture` is of the run that is waited for, if one is."""
    key = desk.key_of
    if desk.state == "lost":
        if desk.loading:
            return "The player is gone; a new one is being started."
        return f"The player is gone. Choose a model ({key('play.model')}) to start it again."
    if desk.state == "loading":
        if desk.following is None or picture is None or picture.saved_step is not None:
            return "The model is being loaded …"
        so_far = f" By now it has taken {picture.step:,} steps." if picture.step else ""
        return f"{safe_line(no_weights(desk.following))}{so_far}"
    if desk.state == "empty":
        if desk.run is not None:
            return f"{safe_line(desk.run)} is not loaded. Choose a model ({key('play.model')})."
        return (
            f"There is no model yet. Press {key('app.corpus')} to choose a text, "
            f"then {key('corpus.start')} to teach it to a model; in a minute it speaks."
        )
    if desk.run is not None and desk.is_built_in(desk.run):
        if desk.chat:
            return "Say something to Pip, and press Enter.\nIt is small: it knows names, sums, colours, days and a few jokes."
        return (
            "Type how a tale begins, and press Enter.\n"
            f"To talk instead: Esc, then {key('play.chat')}.\n\n"
            "This small model is built in. It learned tales and small talk, "
            f'and begins with "{OPENING.strip()}" when you press Enter alone.\n'
            f"One of your own: Esc, {key('app.corpus')}, then {key('corpus.start')}."
        )
    return (
        "Type how a text begins, and press Enter: the model goes on, character by character.\n\n"
        f"While it writes, {key('play.cooler')} and {key('play.hotter')} turn its temperature, "
        "and every other key in the footer acts on the very next character."
    )


def placeholder_of(desk: Desk) -> str:
    """What stands in an empty prompt: in a conversation, whose turn it is; before another model's text, how to be rid of it."""
    last = desk.session.last_written()
    if last is not None and desk.run is not None and last.run != desk.run:
        return f"another model's text · {desk.key_of('play.new')}: an empty page"
    turns = desk.model.turns if desk.chat and desk.model is not None else None
    if not turns:
        return "how does it begin?"
    user, model = (turns[who].strip().rstrip(":") for who in ("user", "model"))
    return f"{model} is speaking …" if desk.state == "writing" else f"your turn, {user}: what do you say?"


def text_of(session: Session) -> Hashable:
    """What tells whether a place of the shown text still is the same place."""
    return id(session), session.shape


def alternatives_of(desk: Desk) -> Alternatives:
    """What the distribution shows now."""
    found = desk.alternatives
    if found is None:
        return Alternatives(title="next character")
    pointed = found.at is not None and desk.pointing is not None
    title = f"instead of character {found.at + 1:,}" if pointed and found.at is not None else "next character"
    at = desk.session.length if found.at is None else found.at
    return Alternatives(
        found.symbols, found.rest, found.stages, found.chosen, title, at, text_of(desk.session)
    )


def pointed_of(desk: Desk) -> str:
    """The character pointed at: how likely it was before and after the sampler, and its place among all symbols by the model."""
    place = desk.session.place(desk.pointing) if desk.pointing is not None else None
    if place is None:
        return ""
    if place.rank is None or place.raw is None or place.p is None:
        return f"{visible(place.c)} was typed"
    return f"{visible(place.c)} rank {place.rank + 1:,} · {percent(place.raw)} → {percent(place.p)} %"


def title_of(desk: Desk, label: str, room: int) -> str:
    """Who writes, with which weights, in `room` cells as far as that goes: the name always, then what matters most."""
    if desk.run is None:
        return "play"
    name = safe_line(label or desk.run)
    if desk.model is None:
        return name
    told = f"{name} @ step {desk.model.step:,}"
    named = label in ("", desk.run) or desk.is_built_in(desk.run)
    if not named and cell_len(told) + len(desk.run) + 3 <= room:
        told = f"{name} · {safe_line(desk.run)} @ step {desk.model.step:,}"
    following = " · follows the training" if desk.following else ""
    if following and cell_len(told + following) > room:
        following = " · live"
    loss = f" · val {figures.loss(desk.model.val_loss)}" if desk.model.val_loss is not None else ""
    for part in (following, loss):
        if cell_len(told + part) <= room:
            told += part
    return told


def subtitle_of(desk: Desk) -> str:
    """What goes on."""
    told = []
    if branches := desk.session.branches():
        told.append(f"branch {branches[0]} of {branches[1]}")
    if desk.state == "writing":
        told.append(f"{desk.speed:,.0f} char/s" if desk.speed else "writing")
    elif desk.state in ("paused", "loading", "lost"):
        told.append("player lost" if desk.state == "lost" else desk.state)
    if desk.history.problem:
        told.append("not kept")
    return " · ".join(told)


def _label(told: str) -> str:
    """What changed, set apart from the text, in as many cells as a mark may have."""
    if (label := shortened(f"⟨{told}⟩", LABEL_LIMIT)) != "⟨…⟩":
        return label
    return f"⟨{set_cell_size(told, LABEL_LIMIT - 3)}…⟩"  # a long name is better begun than left out


def alphabet(runs_dir: Path, run: str) -> tuple[Callable[[str], bool] | None, Callable[[str], str] | None]:
    """Whether the run's model knows a character, and what it reads instead; None and None if it knows them all or that is not known."""
    try:
        kept = read_json(folder_of(runs_dir, run).tokenizer, TOKENIZER_LIMIT)
    except CheckpointError:
        return None, None
    symbols = kept.get("symbols")
    if kept.get("kind") != "chars" or not isinstance(symbols, str):
        return None, None
    known = frozenset(symbols)
    return known.__contains__, lambda char: relative(char, known)
