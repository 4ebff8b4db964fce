"""What the player says, put where it belongs: characters into the text, changes beside them, distributions on show.

The base of the desk (`tinygpt_tui.play.desk`), which adds what a person does. Left out: drawing, the text with its branches
(`tinygpt_tui.play.session`), and the process (`tinygpt_tui.sources.player_link`).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from engine import protocol as p
from engine.errors import TinygptError
from engine.sampler_settings import KNOBS, SamplerSettings
from engine.window import window_start
from tinygpt_tui.play.passage import Change, Passage
from tinygpt_tui.play.session import Session
from tinygpt_tui.settings_book import SettingsBook
from tinygpt_tui.sources.player_link import Happening, Link, Lost, Restarted

SPEED_SECONDS = 1.0
MAX_SENT_CHARS = 500_000  # of a text; a message may have 4 MB, and a character may take 6 bytes of it
STOP_SECONDS = 3.0  # a player that has not said by then that it stopped is not waited for

State = Literal["empty", "loading", "ready", "writing", "paused", "lost"]
Place = tuple[int | None, Session, int]  # where somebody points, the text, and its shape


@dataclass(frozen=True)
class Alternatives:
    """What could stand at one place, before and after the sampler.

    Attributes:
        at: the place in the shown text, in characters; None for the one that is written next.
        chosen: what stands there, if something does.
        symbols, rest, stages: as in `engine.protocol.Dist`.
    """

    at: int | None
    chosen: str | None
    symbols: tuple[p.Symbol, ...]
    rest: p.Rest | None
    stages: tuple[p.StageReport, ...]


@dataclass
class Writing:
    """The generation under way: its number, where its first token stands, and what was heard of it."""

    id: int
    passage: Passage
    left: int | None  # characters it may still write
    at: int | None = None  # in tokens, once the player has said so
    tokens: int = 0
    stopped: float | None = None  # when it was asked to stop, in the clock's seconds
    drawn: Alternatives | None = None  # of the last character or, while paused, of the next


class Hearing:
    """A text, a model behind a link, and the knobs, as far as the player has told.

    Attributes:
        session: the text with all its branches.
        model: what is loaded, None until something is. following: the run whose newest weights are taken over as they come.
        run: what was asked to be loaded last; loading: whether the player is about to.
        settings: of the sampler, as the knobs show them. pending: those the player has not confirmed yet.
        rate: characters a second, None for flat out. paused: whether the writing is held.
        seed: of the dice. stops: texts that end an answer. chat: whether turns are taken.
        alternatives: of the character pointed at, else of the last or next one; None where nothing is known.
        version: another number whenever anything here has changed.
    """

    def __init__(
        self,
        link: Link,
        settings: SettingsBook,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.session = Session()
        self.model: p.Ready | None = None
        self.run: str | None = None
        self.loading = False
        self.following: str | None = None
        self.settings = SamplerSettings(**{name: settings.value(f"sample.{name}") for name in KNOBS})
        self.rate: float | None = settings.value("ui.speed") or None
        self.paused = False
        self.seed = 1
        self.stops: tuple[str, ...] = ()
        self.chat = False
        self.alternatives: Alternatives | None = None
        self.version = 0
        self._link, self._book, self._clock = link, settings, clock
        self._ids = 0
        self._writing: Writing | None = None
        self._then: Callable[[], None] | None = None  # to be done as soon as nothing is written any more
        self._sent: dict[str, float] = {}  # knobs that were sent and not confirmed
        self._in_force = self.settings  # what the player has confirmed
        self._looked_at: int | None = None
        self._turned = False  # whether a knob was turned since somebody points there
        self._question: tuple[int, Place] | None = None  # the explanation that is waited for, and of what
        self._asks_again = False
        self._met = ""  # the run that was introduced last
        self._written: deque[tuple[float, int]] = deque()
        self._notices: list[tuple[str, str]] = []

    @property
    def state(self) -> State:
        """What can be done now."""
        if self._link.state in ("lost", "down") and self.run is not None:
            return "lost"
        if self._writing is not None:
            return "paused" if self.paused else "writing"
        if self.loading:
            return "loading"
        return "empty" if self.model is None else "ready"

    @property
    def pointing(self) -> int | None:
        """The place in the shown text that somebody points at."""
        return self._looked_at

    @property
    def pending(self) -> frozenset[str]:
        return frozenset(self._sent)

    @property
    def speed(self) -> float:
        """Characters written in the last second."""
        self._forget_written()
        return sum(n for _, n in self._written) / SPEED_SECONDS

    @property
    def context(self) -> tuple[int, int] | None:
        """How many tokens of the text the model sees now, and how many it can see."""
        if self.model is None:
            return None
        writing = self._writing
        n = writing.at + writing.tokens if writing and writing.at is not None else self.session.length
        return n - window_start(n, self.model.block_size), self.model.block_size

    def take_notices(self) -> list[tuple[str, str]]:
        """Sentences that should be said, with their severity, since the last call."""
        taken, self._notices = self._notices, []
        return taken

    def _hear(self) -> None:
        """Takes in everything that was said since the last time."""
        heard = self._link.take()
        for happening in heard:
            self._take_in(happening)
        if heard:
            self._changed()

    def _take_in(self, heard: Happening) -> None:
        match heard:
            case p.Ready():
                self._on_ready(heard)
            case p.Started():
                self._on_started(heard)
            case p.Text():
                self._on_text(heard)
            case p.Dist():
                self._on_dist(heard)
            case p.Changed():
                self._on_changed(heard)
            case p.Done():
                self._on_done(heard)
            case p.Explained():
                self._on_explained(heard)
            case p.Error():
                self._on_error(heard)
            case Lost():
                self._on_lost(heard)
            case Restarted():
                self._tell("A new player is up.", "information")

    def _on_ready(self, ready: p.Ready) -> None:
        if ready.run != self.run:  # another one was asked for since, and comes
            return
        self.model, self.loading = ready, False
        if ready.run != self._met or not ready.turns:
            self.chat = bool(ready.turns)
        self._met = ready.run
        for skipped in ready.skipped:
            self._tell(skipped, "warning")
        self._ask()

    def _on_started(self, started: p.Started) -> None:
        writing = self._writing
        if writing is None or started.id != writing.id:
            return
        writing.at = started.at
        if started.replaced:
            changed = ", ".join(
                f"{one.char!r} {'as ' + repr(one.by) if one.by else 'left out'}"
                for one in started.replaced[:5]
            )
            more = f" and {len(started.replaced) - 5:,} more" if len(started.replaced) > 5 else ""
            self._tell(
                f"The model does not know some characters of the text: it read {changed}{more}.", "warning"
            )

    def _on_text(self, text: p.Text) -> None:
        writing = self._writing
        if writing is None or text.id != writing.id:
            return
        chars = 0
        for char in text.chars:
            writing.passage.append(char.c, char.p, char.raw, char.rank)
            chars += len(char.c)
        writing.tokens += len(text.chars)
        if writing.left is not None:
            writing.left = max(0, writing.left - chars)
        self._forget_written()
        self._written.append((self._clock(), chars))

    def _on_dist(self, dist: p.Dist) -> None:
        writing = self._writing
        if writing is None or writing.at is None or dist.id != writing.id:
            return
        passage, token = writing.passage, dist.at - writing.at
        at = chosen = None
        if 0 <= token < passage.tokens:
            start = passage.start_of(token)
            chosen = passage.text.slice(start, start + passage.lengths[token])
            at = self.session.length - passage.length + start
        writing.drawn = Alternatives(at, chosen, dist.symbols, dist.rest, dist.stages)
        if self._looked_at is None:
            self.alternatives = writing.drawn

    def _on_changed(self, changed: p.Changed) -> None:
        settings = dict(changed.settings)
        weights = settings.get("weights")
        if weights is not None and self.model is not None:
            self.model = replace(self.model, step=int(weights), val_loss=None)  # that was the old ones'
        writing = self._writing
        if changed.id is None:
            self._ask()
            return
        if writing is None or changed.id != writing.id or changed.at is None or writing.at is None:
            return
        knobs = {name: value for name, value in settings.items() if name in KNOBS and value is not None}
        if knobs:
            self._in_force = self._in_force.replaced(knobs)
            for name, value in knobs.items():
                if self._sent.get(name) == value:
                    del self._sent[name]
        if knobs or weights is not None:
            writing.passage.changes.append(Change(changed.at - writing.at, settings))

    def _on_done(self, done: p.Done) -> None:
        if self._writing is not None and done.id == self._writing.id:
            self._end(done.reason)

    def _on_explained(self, explained: p.Explained) -> None:
        if self._question is None or explained.id != self._question[0]:
            return
        place = self._question[1]
        self._answered()
        at = place[0]
        if place == self._place() and self.model is not None and (self._writing is None or at is not None):
            self.alternatives = Alternatives(
                at, explained.c, explained.symbols, explained.rest, explained.stages
            )

    def _on_error(self, error: p.Error) -> None:
        if error.id is None:
            self._tell(error.message, "error")
            if self.following is None:  # else it may have newer weights that are sound
                self.loading = False
        elif self._question is not None and error.id == self._question[0]:
            self._tell(error.message, "error")
            self.alternatives = None
            self._answered()
        elif self._writing is not None and error.id == self._writing.id:
            self._tell(error.message, "error")
            self._sent.clear()
            self.settings = self._in_force
            if self._writing.at is None:  # it never began, so nobody will say that it ended
                self._end("failed")
        # Else a key was pressed while the text was ending by itself, and nobody need be bothered with that.

    def _on_lost(self, lost: Lost) -> None:
        self._tell(f"The player is gone: {lost.reason} What it wrote is kept.", "error")
        self._question, self._asks_again = None, False
        self.model, self.loading = None, self.run is not None and not lost.final
        if self._writing is not None:
            self._end("lost")

    def _end(self, reason: str) -> None:
        """Nothing is written any more; what waited for that is done."""
        assert self._writing is not None
        self._writing.passage.reason = reason
        self._writing, self.paused = None, False
        self._sent.clear()
        then, self._then = self._then, None
        if then is None:
            self._ask()
            return
        try:
            then()
        except TinygptError as error:  # whoever asked for it is not there to catch it any more
            self._tell(str(error), "warning")

    def _ask(self) -> None:
        """Wants to know what else could stand where somebody points or, while nothing is written, next."""
        if self.model is None or (self._writing is not None and self._looked_at is None):
            return
        if self._question is not None:
            self._asks_again = True
            return
        at = self.session.length if self._looked_at is None else self._looked_at
        settings = self.settings.to_json()
        if self._looked_at is not None and not self._turned:
            settings |= {
                name: value
                for name, value in self.session.settings_at(at).items()
                if name in KNOBS and value is not None
            }
        self._ids += 1
        self._question = (self._ids, self._place())
        start = max(0, at - MAX_SENT_CHARS)
        self._link.send(p.Explain(self.session.text(start, at + 1), at - start, self._ids, settings))

    def _answered(self) -> None:
        """Nothing is asked any more; what could not be asked meanwhile is."""
        again, self._question, self._asks_again = self._asks_again, None, False
        if again:
            self._ask()

    def _place(self) -> Place:
        return self._looked_at, self.session, self.session.shape

    def _forget_written(self) -> None:
        since = self._clock() - SPEED_SECONDS
        while self._written and self._written[0][0] < since:
            self._written.popleft()

    def _changed(self) -> None:
        self.version += 1

    def _tell(self, sentence: str, severity: str) -> None:
        self._notices.append((sentence, severity))
