"""What Play writes with: a model behind a link, a text that grows, and the sampler's knobs.

The desk obeys a person at once and lets the player catch up: a knob shows its new value when it is turned, and is pending until the
player says from which character on it acts. Everything that is heard goes into the text and its history, whatever screen is in front.
Left out: drawing, the text with its branches (`tinygpt_tui.play.session`), keeping it (`tinygpt_tui.play.history`), and what the player
says (`tinygpt_tui.play.hearing`).
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable, Mapping

from engine import protocol as p
from engine.errors import SettingsError, UsageError
from engine.sampler_settings import KNOBS, NEUTRAL
from engine.starter import OPENING
from tinygpt_tui.play import turns
from tinygpt_tui.play.hearing import MAX_SENT_CHARS, STOP_SECONDS, Act, Hearing, Writing
from tinygpt_tui.play.history import History
from tinygpt_tui.play.session import Session
from tinygpt_tui.settings_book import SettingsBook
from tinygpt_tui.sources.player_link import Link

LOOK_SECONDS = 0.5  # between two looks whether the followed run still trains
MAX_TURN_CHARS = 1000  # a model that never ends its turn is interrupted
SEEDS = 10_000  # a new one is drawn from so many, since people write them down


class Desk(Hearing):
    """One for the whole interface; every method belongs to the event loop's thread and none waits.

    Attributes:
        history: where the text is kept.
        has_weights: whether there is such a run and it has saved anything.
        is_live: whether a run is being trained.
    """

    def __init__(
        self,
        link: Link,
        history: History,
        settings: SettingsBook,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(link, settings, clock)
        self.history = history
        self.has_weights: Callable[[str], bool] = lambda run: True
        self.is_live: Callable[[str], bool] = lambda run: run == self.following
        self._told_problem = ""  # of the history
        self._trained: str | None = None  # the followed run, whose training has ended
        self._looked_at_runs = -LOOK_SECONDS

    def begin(self) -> None:
        """Starts the player and opens the history; what was written last is there again, unless a model was chosen before."""
        self._link.on_arrival = self._hear
        self._link.start()
        self.history.begin()
        if self.run is None and (last := self.history.load_last()) is not None:
            self.session = last
            self._take_up()
        self._changed()

    async def end(self) -> None:
        """Keeps what was heard and ends the player."""
        self._waiting = self._texts(self._changed)
        await self._link.close()
        self._hear()
        for act in self._waiting:  # the player did not say that it ended
            (act.put or act.do)()
        self._waiting.clear()
        self.history.keep(self.session, now=True)
        self.history.close()

    def use(self, run: str, follow: bool = False) -> None:
        """Writes with another run from now on; with `follow` always with its newest weights, while it trains.

        Raises:
            UsageError: it has no weights yet, and the model that is loaded would be given up for nothing.
        """
        known = self.model is not None or self.loading
        if known and run == self.run and (self.following is not None) == follow:
            return
        if follow and self.model is not None and self.model.run != run and not self.has_weights(run):
            raise UsageError(f"{no_weights(run)} Play stays with {self.model.run} until then.")
        self.when_idle(lambda: self._use(run, follow))

    def submit(self, text: str) -> None:
        """Puts a text behind the shown one and lets the model go on. An empty one only goes on."""
        model = self._need_model()
        self.history.add_prompt(text)
        if not text and not self.session.length and not self.chat and self.is_built_in(model.run):
            text = OPENING
        marks = model.turns if self.chat else None  # a player that dies takes the model's with it
        self.when_idle(lambda: self._submit(text, marks), (lambda: self._put(text, marks)) if text else None)

    def go_on(self) -> None:
        """Lets the model write on from the end of the shown text."""
        self.submit("")

    def stop(self) -> bool:
        """Ends the writing, and lets nothing begin that waits for that; whether there was any."""
        if self._writing is None:
            return False
        self._waiting = self._texts(self._ask)
        self._stop()
        return True

    def pause_or_go_on(self) -> None:
        """Holds the writing, or lets it go on."""
        if self._writing is None:
            self.go_on()
            return
        self.paused = not self.paused
        self._link.send(p.Pace(self._writing.id, 0 if self.paused else self.rate))
        self._changed()

    def step(self) -> None:
        """Writes one character and holds."""
        if self._writing is None:
            self._need_model()
            self.session.begin_act()
            self._generate(self.seed, paused=True)
        elif not self.paused:
            self.pause_or_go_on()
        assert self._writing is not None
        self._link.send(p.Step(self._writing.id))

    def set_knob(self, name: str, value: float) -> None:
        """Turns a knob of the sampler; it acts on the very next character. Raises SettingsError, and then nothing has changed."""
        self._use_knobs({name: value})
        self._own.add(name)

    def neutral(self) -> None:
        """The model's own distribution."""
        self._use_knobs(NEUTRAL.to_json())
        self._own.update(KNOBS)

    def set_rate(self, rate: float | None) -> None:
        """Characters a second from the very next one on; None for as fast as it can."""
        self._own.add("speed")
        self._use_rate(rate)

    def set_seed(self, seed: int) -> None:
        """Other dice for everything that is written from now on, also in the middle of a text."""
        if not 0 <= seed < 2**64:
            raise UsageError("A seed is a whole number from 0 to 2^64 - 1.")
        self.seed = seed
        writing, paused = self._writing, self.paused
        if writing is not None and writing.stopped is None:
            self.when_idle(lambda: self._go_on_from(writing, paused))
        self._changed()

    def new_dice(self) -> None:
        """Some other seed."""
        self.set_seed(secrets.randbelow(SEEDS))

    def reroll(self) -> None:
        """The last answer again with other dice, beside the one there is."""
        self._need_model()
        self.when_idle(self._reroll)

    def fork(self, at: int, symbol: str) -> None:
        """Another character at a place of the shown text; a branch goes on from there with the same dice."""
        self._need_model()
        place = self._place_then(at)
        self.when_idle(lambda: self._fork(place, symbol))

    def edit(self, at: int, text: str) -> None:
        """Another text from a place on, as a branch; the model goes on from there."""
        self._need_model()
        place = self._place_then(at)
        self.when_idle(lambda: self._fork(place, text), (lambda: self._put(text, at=place)) if text else None)

    def undo(self) -> None:
        """Takes the last act back."""
        self.when_idle(lambda: self._move(self.session.undo, "There is nothing to take back."))

    def redo(self) -> None:
        """Does again what was taken back."""
        self.when_idle(lambda: self._move(self.session.redo, "Nothing was taken back."))

    def switch_branch(self, by: int) -> None:
        """The next (1) or previous (-1) text that begins at the same place."""
        nothing = "The text has no branches yet: reroll it, or choose another character."
        self.when_idle(lambda: self._move(lambda: self.session.switch(by), nothing))

    def point_at(self, at: int | None) -> None:
        """Shows what else could stand at a place of the shown text; None for the character to come."""
        if at is not None and not 0 <= at < self.session.length:
            at = None
        if at != self._looked_at:
            self._looked_at, self._turned = at, False
            if at is None and self._writing is not None:
                self.alternatives = self._writing.drawn
            self._ask()
            self._changed()

    def new_session(self) -> None:
        """An empty page; the one there is, is kept."""
        self.when_idle(lambda: self._open(Session))

    def open_session(self, id: int) -> None:
        """A page that was kept.

        Raises:
            BusyError, UsageError: it cannot be opened; told, and not raised, if something is written that has to be heard first.
        """
        self.when_idle(lambda: self._open(lambda: self.history.load(id)))

    def set_stops(self, stops: tuple[str, ...]) -> None:
        """The texts that end an answer, from the next one on."""
        self.stops = tuple(stop for stop in stops if stop)
        self._changed()

    def set_chat(self, chat: bool) -> None:
        """Takes turns, or writes freely. Raises UsageError when the model's text is no conversation."""
        if chat and not (self.model and self.model.turns):
            raise UsageError(
                "This model learned no conversation, so it takes no turns: train one on smalltalk."
            )
        self.chat = chat
        self._changed()

    def when_idle(self, do: Callable[[], None], put: Callable[[], None] | None = None) -> None:
        """Does it at once or, while something is written, as soon as all of that is heard.

        Of several that wait only the last is done, and all that have a `put`: see `Act`.
        """
        if self._writing is None:
            do()
            return
        if put is None and self._waiting and self._waiting[-1].put is None:
            self._waiting.pop()
        self._waiting.append(Act(do, put))
        self._stop()

    def tick(self, now: float) -> None:
        """Takes in what was heard, and keeps it."""
        self._hear()
        asked = self._writing.stopped if self._writing is not None else None
        if asked is not None and self._clock() - asked > STOP_SECONDS:
            self._tell("The player does not answer. What it wrote so far is kept.", "warning")
            self._end("stopped")
            self._changed()
        self._look_at_training(now)
        self.history.keep(self.session)
        if self.history.notice:
            self._tell(self.history.notice, "warning")
            self.history.notice = ""
        if (problem := self.history.problem) != self._told_problem:
            self._told_problem = problem
            if problem:
                self._tell(problem, "warning")

    def _look_at_training(self, now: float) -> None:
        """Follows a run no longer than it trains. What is being written is written to its end with the weights it has."""
        if self.following is not None and now - self._looked_at_runs >= LOOK_SECONDS:
            self._looked_at_runs = now
            if not self.is_live(self.following):
                self._trained, self.following = self.following, None
                self._link.send(p.Follow(None))
                self._changed()
        run = self._trained
        if run is None or self._writing is not None:
            return
        self._trained = None
        if self.run != run:
            return
        if self.model is not None or self.has_weights(run):
            self._tell(f"The training of {run} has ended: its best weights write from now on.", "information")
            self._load(run)
        else:
            self.loading = False
            self._tell(nothing_saved(run, self.key_of), "warning")
        self._changed()

    def _use(self, run: str, follow: bool) -> None:
        if self.model is not None and self.model.run != run:
            self._left = None if follow else self.model.run
            self.model = self.alternatives = None
        left, self._trained = self._left, None
        if self._link.state == "down":  # it was given up
            self._link.start()
        if follow:
            self._link.send(p.Follow(run))
            self.run, self.following, self.loading = run, run, self.model is None
        else:
            if self.following is not None:
                self._link.send(p.Follow(None))
            self.following = None
            self._load(run)
            self._left = left
        self._changed()

    def _take_up(self) -> None:
        """Goes on with a text as it was left: with the knobs as they stood at its end and, if it is still there, its model."""
        last = self.session.last_written()
        if last is None:
            return
        found = last.settings_at(last.tokens)
        knobs = {name: found[name] for name in KNOBS if found.get(name) is not None}
        with contextlib.suppress(SettingsError):  # it may have been kept by another version
            self.settings = self._in_force = self.settings.replaced(knobs)
            self._own.clear()
        if last.run != self.run and self.has_weights(last.run):
            self._use(last.run, self.is_live(last.run))

    def _texts(self, then: Callable[[], None]) -> list[Act]:
        """Of what waits, the texts that were typed, and instead of writing on from the last one `then`."""
        texts = [act for act in self._waiting if act.put is not None]
        return [*texts, Act(then)] if texts else []

    def _place_then(self, at: int) -> int | None:
        """A place of the text, or None for its end, wherever that is by then.

        In stopping, a player says what it had held back as the beginning of a stop text.
        """
        return at if at < self.session.length else None

    def _put(self, text: str, marks: Mapping[str, str] | None = None, at: int | None = None) -> None:
        """Puts a typed text behind the shown one or, with `at`, in its middle, and lets nobody go on from there."""
        self.session.begin_act()
        self.session.type(self._as_typed(text, marks) if at is None else text, at)
        self._changed()

    def _submit(self, text: str, marks: Mapping[str, str] | None) -> None:
        self._need_model()
        self.session.begin_act()
        if text:
            self.session.type(self._as_typed(text, marks))
            # What was sent is not to be typed again, whatever happens next.
            self.history.keep(self.session, now=True)
        self._generate(self.seed)

    def _as_typed(self, text: str, marks: Mapping[str, str] | None) -> str:
        """What a prompt puts behind the text: a turn of a conversation or a line of its own; after a space, more of the same line."""
        before = self.session.text(self.session.length - 1)
        if marks:
            return turns.wrapped(before, text, marks)
        return text if not before or before == "\n" or text[0] in " \n" else "\n" + text

    def _reroll(self) -> None:
        self._need_model()
        last = self.session.last_written()
        at = self.session.place_of(last) if last is not None else None
        if at is None:
            self._tell("Nothing was written yet that could be written anew.", "warning")
            return
        self.seed = secrets.randbelow(SEEDS)
        self.session.begin_act()
        self._generate(self.seed, at=at)

    def _fork(self, at: int | None, text: str) -> None:
        self._need_model()
        place = self.session.place(at) if at is not None else None
        if place is not None and place.passage.kind == "written":
            self.seed = place.passage.seed
        self.session.begin_act()
        if text:
            self.session.type(text, at)
        self._generate(self.seed, at=None if text else at)

    def _go_on_from(self, writing: Writing, paused: bool) -> None:
        """Writes what is left of a text with the dice of now, unless it has ended by itself meanwhile."""
        if writing.passage.reason == "stopped":
            self._generate(self.seed, left=writing.left, paused=paused)

    def _generate(
        self, seed: int, *, left: int | None = None, at: int | None = None, paused: bool = False
    ) -> None:
        """Begins to write behind the first `at` characters of the shown text, or behind all of it."""
        model = self._need_model()
        chat = self.chat and model.turns is not None
        if left is None:
            left = MAX_TURN_CHARS if chat else int(self._book.value("sample.chars"))
        text = self.session.text(0, at)
        settings = self.settings.to_json()
        passage = self.session.write(model.run, model.step, seed, settings, at)
        self._ids += 1
        self._writing = Writing(self._ids, passage, left)
        self.paused, self._looked_at, self.alternatives = paused, None, None
        self._in_force = self.settings
        stops = (*self.stops, turns.STOP) if chat else self.stops
        rate = 0 if paused else self.rate
        self._link.send(p.Generate(self._ids, text[-MAX_SENT_CHARS:], settings, seed, left, stops, rate))
        self._changed()

    def _open(self, load: Callable[[], Session]) -> None:
        self.history.keep(self.session, now=True)
        self.session = load()
        self._looked_at = self.alternatives = None
        self._take_up()
        self._ask()
        self._changed()

    def _move(self, move: Callable[[], bool], otherwise: str) -> None:
        """Shows another text, and takes its dice if no others were chosen since this one was written."""
        left = self.session.last_written()
        if not move():
            self._tell(otherwise, "warning")
        shown = self.session.last_written()
        if left is not None and shown is not None and left.seed == self.seed:
            self.seed = shown.seed
        self._looked_at = None
        self._ask()
        self._changed()

    def _need_model(self) -> p.Ready:
        """What is loaded. Raises UsageError when nothing is."""
        if self.model is not None:
            return self.model
        if self.run is None:
            corpus, start = self.key_of("app.corpus"), self.key_of("corpus.start")
            raise UsageError(f"There is no model yet: train one first ({corpus}, then {start}).")
        if not self.loading:
            key = self.key_of("play.model")
            raise UsageError(
                f"{self.run} is not loaded: choose another model, or the same once more ({key})."
            )
        if self.following is not None and self._link.state == "up" and not self.has_weights(self.following):
            raise UsageError(no_weights(self.following))
        raise UsageError(f"{self.run} is being loaded: a moment.")


def no_weights(run: str) -> str:
    """Of a run that trains and has nothing to write with yet."""
    return f"{run} has saved no weights yet: the first come after some seconds of training."


def nothing_saved(run: str, key_of: Callable[[str], str]) -> str:
    """Of a run that trains no more and has nothing to write with."""
    return f"{run} ended without having saved any weights: choose another model ({key_of('play.model')})."
