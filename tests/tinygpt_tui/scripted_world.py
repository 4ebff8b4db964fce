"""A world for tests of the screens: real folders, scripted trainers and players, and a clock that stands still."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.tinygpt_tui.fake_player import FakeLink
from tests.tinygpt_tui.scripted_run import HEARTBEAT
from tinygpt_tui.app import Playground
from tinygpt_tui.paths import Paths
from tinygpt_tui.play.desk import Desk
from tinygpt_tui.play.history import History
from tinygpt_tui.settings_book import SettingsBook
from tinygpt_tui.sources.corpus_facts import CorpusFacts
from tinygpt_tui.sources.corpus_list import CorpusList
from tinygpt_tui.sources.downloading import Downloading
from tinygpt_tui.sources.ladders import Ladders
from tinygpt_tui.sources.run_shelf import RunShelf
from tinygpt_tui.sources.run_starter import Launch, RunStarter
from tinygpt_tui.world import World

NOW = HEARTBEAT + 3 * 3600  # three hours after the scripted runs were created


def no_launch(*arguments: object, **named: object) -> int:
    """A trainer that is never started."""
    return 2**22


def scripted_world(
    home: Path,
    *,
    link: FakeLink | None = None,
    launch: Launch = no_launch,
    environment: Mapping[str, str] | None = None,
) -> World:
    """Everything under `home`; runs are put there with `ScriptedRun(home / "data" / "runs", …)`, before or after."""
    paths = Paths(*(home / part for part in ("config", "data", "cache", "state")))
    settings = SettingsBook(
        paths.config_file, {"TINYGPT_UI_SPEED": "0"} if environment is None else environment
    )
    shelf = RunShelf(paths.runs_dir, paths.trash)
    shelf.scan()
    return World(
        paths,
        settings,
        shelf,
        RunStarter(paths.data, paths.cache, launch),
        CorpusList(paths),
        CorpusFacts(paths.cache),
        Downloading(paths.cache),
        Ladders(paths.corpora_dir, paths.cache),
        Desk(link or FakeLink(), History(paths.data / "history.sqlite"), settings),
        clock=lambda: NOW,
    )


def playground(world: World, mode: str) -> Playground:
    """The app in `mode`; errors of its parts are raised."""
    return Playground(world, mode, keep_running=False)
