"""Everything outside of the interface that its screens read and ask, in one place, so that tests can put scripted parts in.

Nothing here draws, and nothing waits: what takes long is done by threads and processes of the parts. A part is imported and made when it is
first asked for, so that the first frame waits for none that it does not show. Left out: what each part does.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from engine.runs import STARTER, RunFolder
from engine.starter import folder_of
from tinygpt_tui.paths import Paths
from tinygpt_tui.settings_book import SettingsBook
from tinygpt_tui.sources.run_shelf import RunShelf

if TYPE_CHECKING:
    from tinygpt_tui.play.desk import Desk
    from tinygpt_tui.sources.corpus_facts import CorpusFacts
    from tinygpt_tui.sources.corpus_list import CorpusList
    from tinygpt_tui.sources.downloading import Downloading
    from tinygpt_tui.sources.ladders import Ladders
    from tinygpt_tui.sources.run_picture import RunPicture
    from tinygpt_tui.sources.run_starter import RunStarter
    from tinygpt_tui.sources.run_watch import RunWatch

SCAN_SECONDS = 0.02  # before the first frame: some thirty runs; of more, `RunShelf.find` finds one at once
MOST_WATCHED = 8  # runs whose curves are kept in memory


@dataclass
class World:
    """One for the whole interface; every method belongs to the event loop's thread.

    Attributes:
        chosen_run: the run that Train shows, if somebody chose one.
        compared: runs whose curves are drawn behind it.
        chosen_corpus: a path or catalogue name that Corpus is to show first.
        shelf: every run. starter: begins new ones. desk: what Play writes with.
        corpora: the texts one can choose. facts: about the one that is looked at. downloading: of texts that are fetched.
        ladders: of texts that are learned and were never looked at.
        clock: seconds since 1970.
    """

    paths: Paths
    settings: SettingsBook
    shelf: RunShelf
    chosen_run: str | None = None
    compared: tuple[str, ...] = ()
    chosen_corpus: str | None = None
    clock: Callable[[], float] = time.time
    _watches: OrderedDict[str, tuple[RunWatch, float]] = field(default_factory=OrderedDict)
    _now: float = 0.0
    _stands_in: bool = False  # the starter, for a run of a person's own

    @cached_property
    def starter(self) -> RunStarter:
        from tinygpt_tui.sources.run_starter import RunStarter

        return RunStarter(self.paths.data, self.paths.cache)

    @cached_property
    def corpora(self) -> CorpusList:
        from tinygpt_tui.sources.corpus_list import CorpusList

        return CorpusList(self.paths)

    @cached_property
    def facts(self) -> CorpusFacts:
        from tinygpt_tui.sources.corpus_facts import CorpusFacts

        return CorpusFacts(self.paths.cache, kernels=self._kernels)

    @cached_property
    def downloading(self) -> Downloading:
        from tinygpt_tui.sources.downloading import Downloading

        return Downloading(self.paths.cache)

    @cached_property
    def ladders(self) -> Ladders:
        from tinygpt_tui.sources.ladders import Ladders

        return Ladders(self.paths.corpora_dir, self.paths.cache)

    @cached_property
    def desk(self) -> Desk:
        from tinygpt_tui.play.desk import Desk
        from tinygpt_tui.play.history import History
        from tinygpt_tui.sources.player_process import PlayerProcess, player_command

        player = PlayerProcess(player_command(self.paths.runs_dir, self._kernels))
        return Desk(player, History(self.paths.data / "history.sqlite"), self.settings)

    @property
    def _kernels(self) -> Path | None:
        """Where compiled ones lie, unless a person does without."""
        return self.paths.kernels if self.settings.value("engine.compile") == "auto" else None

    def begin(self) -> None:
        """Starts what runs beside the interface. Called within the event loop, after the first frame."""
        desk = self.desk
        desk.has_weights, desk.is_live, desk.is_built_in = self.has_weights, self._trains, self._is_built_in
        desk.begin()  # with the text that was written last, and its model if that is still there
        name = self.current_run
        if self.chosen_run == STARTER and self.shelf.built_in is not None:
            desk.use(STARTER)
        elif name is not None and self.chosen_run is not None:
            desk.use(name, follow=self.is_live(name))
        else:
            if desk.run == STARTER and self.shelf.built_in and name and self.has_weights(name):
                desk.use(name, follow=self.is_live(name))
            self.take_run()

    def take_run(self) -> str | None:
        """Lets Play write with the current run if it writes with nothing yet, and with the starter until that has weights.

        Returns:
            one sentence when a run is there that could take the starter's place.
        """
        desk, name = self.desk, self.current_run
        starter = self.shelf.built_in
        own = name if name is not None and self.shelf.row(name) is not None else None
        if desk.run is None:
            if own is not None and (starter is None or self.has_weights(own)):
                desk.use(own, follow=self.is_live(own))
            elif starter is not None:
                self._stands_in = True
                desk.use(STARTER)
        elif self._stands_in and desk.run != STARTER:
            self._stands_in = False
        elif self._stands_in and own is not None and self.has_weights(own):
            self._stands_in = False
            if not desk.session.length:
                desk.use(own, follow=self.is_live(own))
            else:  # whoever is in the middle of something is not taken out of it
                return f"{own} has weights by now: {desk.key_of('play.model')} lets it write instead of the starter."
        return None

    def tick(self, now: float) -> None:
        """Lets every part go on.

        Args:
            now: seconds by a monotonic clock.
        """
        self._now = now
        if self.starter.tick() and self.starter.snapshot.state == "started":
            self.chosen_run = self.starter.snapshot.run
        self.shelf.tick(now)
        self.facts.tick(now, may_measure=not self.live_names() and not self.starter.busy)
        self.ladders.tick()
        if self.downloading.tick() and self.downloading.snapshot.state == "done":
            self.facts.forget(self.downloading.snapshot.name)
            self.corpora.refresh()
        self.desk.tick(now)

    async def end(self) -> None:
        """Ends what would not outlive the interface; trainers do."""
        made = vars(self)
        for name in ("starter", "shelf", "downloading", "facts", "ladders"):
            if name in made:
                made[name].close()
        if "desk" in made:
            await self.desk.end()

    @property
    def current_run(self) -> str | None:
        """The run that was chosen; else the newest that trains; else the newest."""
        names = self.run_names()
        if self.chosen_run is not None and (
            self.chosen_run in names or self.starter.snapshot.run == self.chosen_run
        ):
            return self.chosen_run
        return self.shelf.newest_live() or (names[0] if names else None)

    def picture(self, name: str) -> RunPicture:
        """All that is known of a run by now. Cheap: its files are looked at once a tick, and only a little."""
        if name in self._watches:
            watch, looked = self._watches[name]
            self._watches.move_to_end(name)
        else:
            from tinygpt_tui.sources.run_watch import RunWatch

            watch, looked = RunWatch(RunFolder(self.paths.runs_dir / name), self.paths.cache), -1.0
            while len(self._watches) >= MOST_WATCHED:
                self._watches.popitem(last=False)
        if looked != self._now:
            watch.poll(self._now)
            self._watches[name] = (watch, self._now)
        if not watch.picture.ladder and watch.picture.corpus_sha is not None:
            self.ladders.want(watch.picture.corpus_sha)
        return watch.picture

    def ask(self, name: str, do: str, value: float | None = None, prompt: str | None = None) -> None:
        """Asks a run's trainer for something; it is pending in its picture until the trainer obeys.

        Raises:
            UsageError: there is no trainer to ask, or what is asked is no such thing.
            BusyError, ResourceError: it cannot be written down.
        """
        self.picture(name)
        self._watches[name][0].request(do, value, prompt)

    def run_names(self) -> list[str]:
        """Every run that can be opened, newest first."""
        return [row.name for row in self.shelf.rows]

    def is_live(self, name: str) -> bool:
        """Whether it is being trained."""
        row = self.shelf.row(name)
        return row is not None and row.live

    def has_weights(self, name: str) -> bool:
        """Whether there is such a run and it has saved a checkpoint."""
        folder = folder_of(self.paths.runs_dir, name).checkpoints
        # The run that wrote last may be an old one, which the shelf comes to only after the first frame.
        return self.shelf.find(name) is not None and any(folder.glob("step-*"))

    @property
    def can_write(self) -> bool:
        """Whether there is a model to write with, or one is being trained."""
        return self.current_run is not None or self.shelf.built_in is not None

    def _is_built_in(self, name: str) -> bool:
        return name == STARTER and self.shelf.built_in is not None

    def _trains(self, name: str) -> bool:
        return not self._is_built_in(name) and self.picture(name).live

    def live_names(self) -> tuple[str, ...]:
        return self.shelf.live_names()


def make_world(paths: Paths) -> World:
    """The real one. The newest runs are looked at, so that it is known what to show first."""
    shelf = RunShelf(paths.runs_dir, paths.trash)
    shelf.scan(SCAN_SECONDS)
    return World(paths, SettingsBook(paths.config_file), shelf)
