"""What is known by now about the text that a person looks at, and how fast this machine trains.

One text at a time: a moment is waited before a process is started for it, and what was found is remembered. Texts and names are exact
and not yet safe to show; sentences are. Left out: the process (`tinygpt_tui.sources.facts_reader`), and which texts there are
(`tinygpt_tui.sources.corpus_list`).
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from pathlib import Path

from engine import catalogue
from engine.errors import CorpusError, ResourceError
from engine.facts import About, Done, Fact, Failed, LadderRung, Preview, Speed, Stats
from tinygpt_tui.safe_text import safe_line
from tinygpt_tui.sources.facts_reader import Facts, FactsReader

REST_SECONDS = 0.15  # a cursor that runs through a list starts nothing
MOST_KEPT = 16  # texts of which all is known, to be shown again at once


@dataclass(frozen=True)
class Look:
    """A text as far as it is known; None where nothing is known yet.

    Attributes:
        source: what was asked about, as it was given.
        rungs: the ladder as far as it is climbed, in nats per character.
        finished: whether this is all there is to know.
        problem: why nothing more can be known, one sentence, safe to show; or "".
        refused: whether that is so because of the text, so that a training on it would be refused, too.
    """

    source: str
    about: About | None = None
    preview: Preview | None = None
    stats: Stats | None = None
    rungs: tuple[LadderRung, ...] = ()
    finished: bool = False
    problem: str = ""
    refused: bool = False


@dataclass(frozen=True)
class _Question:
    source: str
    encoding: str | None
    force_text: bool


_Stamp = tuple[int, int, int, int]


class CorpusFacts:
    """One text at a time, for the whole interface.

    Attributes:
        look: at the text that was chosen last, None if none was.
        speed: what training reaches here, in floating-point operations a second; None until it was measured.
    """

    def __init__(self, cache_dir: Path, reader: Facts | None = None, kernels: Path | None = None) -> None:
        """
        Args:
            cache_dir: where rungs are kept and fetched corpora lie.
            kernels: where compiled ones lie, if this machine trains with them.
            reader: finds the facts out.
        """
        self.look: Look | None = None
        self.speed: float | None = None
        self._measuring = self._measured = False
        self._told: Look | None = None
        self._reader: Facts = reader or FactsReader(cache_dir, kernels=kernels)
        self._question: _Question | None = None
        self._waiting = False
        self._since: float | None = None
        self._stamp: _Stamp | None = None
        self._kept: OrderedDict[tuple[_Question, _Stamp], Look] = OrderedDict()

    def look_at(self, source: str, *, encoding: str | None = None, force_text: bool = False) -> None:
        """Turns to another text; the process of the one before is killed. What is known already is there at once.

        Args:
            source: a path or a catalogue name, as `engine.corpus.read_corpus` takes it.
            encoding, force_text: as for `read_corpus`.
        """
        question = _Question(source, encoding, force_text)
        if question == self._question:
            return
        self._turn_away()
        self._question, self._since, self._stamp = question, None, _stamp(source)
        known = None if self._stamp is None else self._kept.get((question, self._stamp))
        if known is not None and self._stamp is not None:
            self._kept.move_to_end((question, self._stamp))
        self.look, self._waiting = known or Look(source), known is None

    def forget(self, source: str) -> None:
        """What was known of a text may be true no longer; if it is looked at, it is asked about anew when it is chosen again."""
        for key in [key for key in self._kept if key[0].source == source]:
            del self._kept[key]
        if self._question is not None and self._question.source == source:
            self.cancel()

    def tick(self, now: float, may_measure: bool = False) -> bool:
        """Starts what has been looked at long enough, hears what was found out; says whether `look` is another since the last tick.

        Args:
            now: seconds by a monotonic clock.
            may_measure: the machine is idle, so that this is a moment to find out, once, how fast it trains.
        """
        if self._waiting and self._question is not None:
            self._since = now if self._since is None else self._since
            if now - self._since >= REST_SECONDS:
                self._waiting = False
                asked = self._question
                self._stamp = _stamp(asked.source)
                self._reader.start(asked.source, encoding=asked.encoding, force_text=asked.force_text)
        elif self._measuring and not may_measure:  # beside a trainer it would come out too slow
            self._turn_away()
        elif may_measure and not self._measured and self.look is not None and self.look.finished:
            self._measured = self._measuring = True
            self._reader.measure_speed()
        for fact in self._reader.take():
            self._hear(fact)
        changed, self._told = self.look is not self._told, self.look
        return changed

    def cancel(self) -> None:
        """Turns away from every text, and kills the process."""
        self._turn_away()
        self.look, self._question, self._waiting = None, None, False

    def close(self) -> None:
        """Cancels, and returns once no process is left."""
        self.cancel()
        self._reader.close()

    def _turn_away(self) -> None:
        self._reader.cancel()
        if self._measuring:  # it was killed, and is asked for again later
            self._measuring = self._measured = False

    def _hear(self, fact: Fact) -> None:
        if self._measuring:
            if isinstance(fact, Speed):
                self.speed = fact.operations_per_second
            self._measuring = not isinstance(fact, Done | Failed)
            return
        if self.look is None or self._question is None:
            return
        match fact:
            case About():
                self.look = replace(self.look, about=fact)
            case Preview():
                self.look = replace(self.look, preview=fact)
            case Stats():
                self.look = replace(self.look, stats=fact)
            case LadderRung():
                self.look = replace(self.look, rungs=(*self.look.rungs, fact))
            case Done():
                self.look = replace(self.look, finished=True)
                self._keep(self._question, self.look)
            case Failed():  # not kept: it may be gone when somebody looks again
                refused = fact.exit in (CorpusError.exit_code, ResourceError.exit_code)
                self.look = replace(
                    self.look, finished=True, problem=safe_line(fact.message), refused=refused
                )

    def _keep(self, question: _Question, look: Look) -> None:
        if self._stamp is not None:
            self._kept[question, self._stamp] = look
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)


def _stamp(source: str) -> _Stamp | None:
    """What differs if a text is another now; None if that cannot be told: folders, and what is not there."""
    if catalogue.find(source) is not None:  # made by this program, or checked by its hash
        return (0, 0, 0, 0)
    path = Path(source)
    try:
        found = path.stat()
        return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns) if path.is_file() else None
    except (OSError, ValueError):
        return None
