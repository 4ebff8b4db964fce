"""Everything outside of the interface that its screens read and ask, in one place, so that tests can put scripted parts in."""

from __future__ import annotations

from dataclasses import dataclass, field

from tinygpt_tui.paths import Paths
from tinygpt_tui.settings_book import SettingsBook


class _Desk:
    def stop(self) -> bool:
        return False


@dataclass
class World:
    paths: Paths
    settings: SettingsBook
    chosen_run: str | None = None
    chosen_corpus: str | None = None
    desk: _Desk = field(default_factory=_Desk)

    def begin(self) -> None: ...

    def tick(self, now: float) -> None: ...

    async def end(self) -> None: ...

    def run_names(self) -> list[str]:
        return []

    def newest_is_live(self) -> bool:
        return False

    def is_live(self, name: str) -> bool:
        return False

    def live_names(self) -> list[str]:
        return []


def make_world(paths: Paths) -> World:
    return World(paths, SettingsBook(paths.config_file))
