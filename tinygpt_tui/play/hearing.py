"""What the player says, put where it belongs: characters into the text, changes beside them, distributions on show.

The base of the desk (`tinygpt_tui.play.desk`), which adds what a person does. Left out: drawing, the text with its branches
(`tinygpt_tui.play.session`), and the process (`tinygpt_tui.sources.player_link`).
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from engine import protocol as p
from engine.errors import TinygptError
from engine.runs import STARTER
from engine.sampler_settings import KNOBS, SamplerSettings
from engine.window import window_start
from tinygpt_tui.actions import BY_ID, shown_keys
from tinygpt_tui.play.passage import Change, Passage
from tinygpt_tui.play.session import Session
from tinygpt_tui.settings_book import SettingsBook
from tinygpt_tui.sources.player_link import Happening, Link, Lost, Restarted

SPEED_SECONDS = 1.0
MAX_SENT_CHARS = 500_000  # of a text; a message may have 4 MB, and a character may take 6 bytes of it
STOP_SECONDS = 3.0  # a player that has not said by then that it stopped is not waited for
NEWS_SECONDS = (
    30.0  # what is told of the player's coming and going is of no use to anybody who was away for longer
)

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


@dataclass(frozen=True)
class Act:
    """What is done as soon as nothing is written any more.

    Attributes:
        do: all of it. put: of a text that somebody typed, only puts it into the page, for which no model is needed.
    """

    do: Callable[[], None]
    put: Callable[[], None] | None = None


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
        key_of: the key of an action as it is shown, for sentences.
        is_built_in: whether a run is the starter; a person's own may have its name.
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
        self.is_built_in: Callable[[str], bool] = lambda run: run == STARTER
        self.chat = False
        self.alternatives: Alternatives | None = None
        self.version = 0
        self._link, self._book, self._clock = link, settings, clock
        self._ids = 0
        self._writing: Writing | None = None
        self.key_of: Callable[[str], str] = _first_key
        self._waiting: list[Act] = []
        self._sent: dict[str, float] = {}  # knobs that were sent and not confirmed
        self._in_force = self.settings  # what the player has confirmed
        self._looked_at: int | None = None
        self._turned = False  # whether a knob was turned since somebody points there
        self._question: tuple[int, Place] | None = None  # the explanation that is waited for, and of what
        self._asks_again = False
        self._met = ""  # the run that was introduced last
        self._left: str | None = None  # the run whose model was given up for the one that is being loaded
        self._counted: tuple[Session, int, int, int] | None = (
            None  # a text, its shape and length, and its tokens
        )
        self._own: set[str] = set()  # what a person has turned in this session
        self._written: deque[tuple[float, int]] = deque()
        self._notices: dict[tuple[str, str], float] = {}  # with when they are out of date
        settings.listen(self._setting_changed)

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
    def tokens(self) -> int | None:
        """Of the whole text, as the model reads it; None where nobody has counted them."""
        writing, session = self._writing, self.session
        if writing is not None and writing.at is not None:
            return writing.at + writing.tokens
        if not session.length:
            return 0
        if self._counted is None or self._counted[0] is not session:
            return None
        *now, tokens = self._counted[1:]
        counting = writing is not None or self._question is not None  # the number is about to come
        return tokens if counting or now == [session.shape, session.length] else None

    @property
    def context(self) -> tuple[int, int] | None:
        """How many tokens of the text the model sees now, and how many it can see; None where that is not known."""
        if self.model is None or (n := self.tokens) is None:
            return None
        return n - window_start(n, self.model.block_size), self.model.block_size

    @property
    def unseen(self) -> int:
        """Tokens of the text before those that the model sees."""
        n = self.tokens
        return 0 if self.model is None or n is None else window_start(n, self.model.block_size)

    def take_notices(self) -> list[tuple[str, str]]:
        """Sentences that should be said, with their severity, since the last call: each once, and none that is out of date."""
        taken, self._notices = self._notices, {}
        now = self._clock()
        return [notice for notice, until in taken.items() if now <= until]

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
                self._tell("A new player is up.", "information", NEWS_SECONDS)

    def _on_ready(self, ready: p.Ready) -> None:
        if ready.run != self.run:  # another one was asked for since, and comes
            return
        self.model, self.loading, self._left, self._counted = ready, False, None, None
        if ready.run != self._met or not ready.turns:
            # The starter knows both, and tells tales first.
            self.chat = bool(ready.turns) and not self.is_built_in(ready.run)
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
        if place == (None, self.session, self.session.shape) and self._writing is None:
            self._counted = self.session, self.session.shape, self.session.length, explained.position
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
                if (left := self._left) is not None:
                    self._load(left)
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
        self._tell(f"The player is gone: {lost.reason} What it wrote is kept.", "error", NEWS_SECONDS)
        self._question, self._asks_again, self._left = None, False, None
        self.model, self.loading = None, self.run is not None and not lost.final
        if self._writing is not None:
            self._end("lost")

    def _end(self, reason: str) -> None:
        """Nothing is written any more; what waited for that is done."""
        writing = self._writing
        assert writing is not None
        writing.passage.reason = reason
        if writing.at is not None:
            tokens = writing.at + writing.tokens
            self._counted = self.session, self.session.shape, self.session.length, tokens
        self._writing, self.paused = None, False
        self._sent.clear()
        if self._waiting:
            self._do_waiting()
        else:
            self._ask()

    def _do_waiting(self) -> None:
        """Does what waits, in order, until something is written again. No text that was typed is lost, whatever fails."""
        while self._waiting and self._writing is None:
            act = self._waiting.pop(0)
            try:
                if act.put is not None and self.model is None:
                    act.put()
                    key = self.key_of("play.go-on")
                    self._tell(
                        f"Your text stands on the page: {key} goes on once there is a model.", "warning"
                    )
                elif act.put is not None and self._waiting:
                    act.put()
                else:
                    act.do()
            except TinygptError as error:  # whoever asked for it is not there to catch it any more
                self._tell(str(error), "warning")
        if self._waiting:
            self._stop()

    def _stop(self) -> None:
        if self._writing is not None:
            if self._writing.stopped is None:
                self._writing.stopped = self._clock()
            self._link.send(p.Stop(self._writing.id))  # again if need be: the first may have been refused

    def _load(self, run: str) -> None:
        """Asks for the best weights of a run."""
        self.run, self.loading, self._left = run, True, None
        self._link.send(p.Load(run))

    def _setting_changed(self, key: str) -> None:
        """Takes another value from the settings, unless a person has turned that knob here."""
        name = key.removeprefix("sample.")
        if key == "ui.speed" and "speed" not in self._own:
            self._use_rate(self._book.value(key) or None)
        elif name in KNOBS and name != key and name not in self._own:
            self._use_knobs({name: self._book.value(key)})

    def _use_rate(self, rate: float | None) -> None:
        self.rate = rate
        if self._writing is not None and not self.paused:
            self._link.send(p.Pace(self._writing.id, rate))
        self._changed()

    def _use_knobs(self, values: Mapping[str, float]) -> None:
        self.settings = self.settings.replaced(values)
        self._turned = True
        if self._writing is not None:
            self._sent.update(values)
            self._link.send(p.Set(self._writing.id, dict(values)))
        self._ask()
        self._changed()

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

    def _tell(self, sentence: str, severity: str, seconds: float = math.inf) -> None:
        """`seconds` is how long it is worth telling."""
        self._notices.pop((sentence, severity), None)
        self._notices[sentence, severity] = self._clock() + seconds


def _first_key(action: str) -> str:
    return shown_keys(BY_ID[action], {}).split(" ")[0]
