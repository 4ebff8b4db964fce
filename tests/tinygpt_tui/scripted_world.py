"""A world for tests of the screens: real folders, scripted trainers and players, and a clock that stands still."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.tinygpt_tui.fake_player import FakeLink
from tests.tinygpt_tui.scripted_run import HEARTBEAT
from tinygpt_tui.app import Playground
from tinygpt_tui.paths import Paths
from tinygpt_tui.play.desk import Desk
from tinygpt_tui.play.history import History
from tinygpt_tui.settings_book import SettingsBook
from tinygpt_tui.sources.run_shelf import RunShelf
from tinygpt_tui.sources.run_starter import COMMAND, Launch, RunStarter
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
    reader: Sequence[str] = COMMAND,
) -> World:
    """Everything under `home`; runs are put there with `ScriptedRun(home / "data" / "runs", …)`, before or after.

    `reader` is the command that reads the text of a new run.
    """
    paths = Paths(*(home / part for part in ("config", "data", "cache", "state")))
    settings = SettingsBook(
        paths.config_file, {"TINYGPT_UI_SPEED": "0"} if environment is None else environment
    )
    shelf = RunShelf(paths.runs_dir, paths.trash)
    shelf.scan()
    world = World(paths, settings, shelf, clock=lambda: NOW)
    world.starter = RunStarter(paths.data, paths.cache, launch, reader)
    world.desk = Desk(link or FakeLink(), History(paths.data / "history.sqlite"), settings)
    return world


def waiting_reader(sign: Path) -> list[str]:
    """A reader that says how far it is and then does what the real one does once `sign` exists."""
    script = f"""
import os, sys, time
os.write(1, b'{{"read": 30, "total": 60}}\\n')
while not os.path.exists({str(sign)!r}):
    time.sleep(0.005)
os.execv(sys.executable, [sys.executable, "-m", "engine", "begin"])
"""
    return [sys.executable, "-c", script]


def playground(world: World, mode: str) -> Playground:
    """The app in `mode`; errors of its parts are raised."""
    return Playground(world, mode, keep_running=False)
