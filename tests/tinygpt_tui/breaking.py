"""The playground with a player that is made up, which can be told to break in a part of itself.

`python -m tests.tinygpt_tui.breaking [--break PART] [--patient] [--player=OPTION …] …` is else what `tinygpt-tui` is.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

PARTS = ("a widget", "a tick", "a key", "a worker", "the first screen", "the world")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--break", dest="part", choices=PARTS)
    parser.add_argument(
        "--patient", action="store_true", help="waits for ever for a player that does not leave"
    )
    parser.add_argument("--player", action="append", default=[], help="an option of the made-up player")
    options, rest = parser.parse_known_args()
    from tinygpt_tui import app, playground
    from tinygpt_tui.screens.settings import SettingsScreen
    from tinygpt_tui.sources import player_process
    from tinygpt_tui.widgets.top_bar import TopBar

    def broken(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError("out of \x1b]0;ink\x07[/]")

    async def broken_worker() -> None:
        broken()

    class Broken(app.Playground):
        CSS_PATH = str(playground.Path(app.__file__).with_name("app.tcss"))

        def begin(self) -> None:
            super().begin()
            if options.part == "a widget":
                TopBar.render = broken  # type: ignore[method-assign]
                self.screen.query_one(TopBar).refresh()
            elif options.part == "a tick":
                self.world.tick = broken  # type: ignore[method-assign]
            elif options.part == "a key":
                app.Playground.action_theme = broken  # type: ignore[method-assign]
            elif options.part == "a worker":
                self.run_worker(broken_worker())

    app.Playground = Broken  # type: ignore[misc]
    if options.part == "the first screen":
        SettingsScreen.compose_body = broken  # type: ignore[method-assign]
        Broken.MODES = dict.fromkeys(Broken.MODES, SettingsScreen)
    if options.part == "the world":
        import tinygpt_tui.world

        tinygpt_tui.world.make_world = broken
    if options.patient:
        player_process.LEAVE_SECONDS = (600.0, 600.0, 600.0)
    fake = (sys.executable, "-m", "tests.tinygpt_tui.fake_player", *options.player)
    player_process.player_command = lambda *where: fake
    return playground.main(rest)


if __name__ == "__main__":
    sys.exit(main())
