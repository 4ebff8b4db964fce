"""A desk for tests: with a scripted player, a history of its own, and a clock that moves only when it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from tests.tinygpt_tui.fake_player import FakeLink
from tinygpt_tui.play.desk import Desk
from tinygpt_tui.play.history import History
from tinygpt_tui.settings_book import SettingsBook

TURNS = {"user": "You:", "model": "Cat:"}


class DeskStage:
    """The player answers at once, but writes only what `writes` says; with `auto` False it says only what a test lets it say."""

    def __init__(
        self,
        home: Path,
        *,
        run: str | None = "fox",
        auto: bool = True,
        turns: dict[str, str] | None = None,
        chars: int = 60,
        has_weights: bool = True,
    ) -> None:
        self.now = 100.0
        self.link = FakeLink(auto=auto, per_take=0)
        self.link.player.turns = turns
        self.history = History(home / "history.sqlite", lambda: self.now)
        self.book = SettingsBook(home / "settings.toml", {"TINYGPT_UI_SPEED": "0"})
        self.book.set("sample.chars", chars)
        self.desk = Desk(self.link, self.history, self.book, lambda: self.now)
        self.desk.has_weights = lambda run: has_weights
        self.desk.begin()
        if run is not None:
            self.desk.use(run)
            self.tick()  # it is loaded
            self.tick()  # what could come first is known

    @property
    def text(self) -> str:
        """What is shown."""
        return self.desk.session.text()

    def tick(self, seconds: float = 0.0) -> None:
        """Time passes, and what was said meanwhile is heard."""
        self.now += seconds
        self.desk.tick(self.now)

    def writes(self, count: int) -> None:
        """The player writes so many characters, and they are heard."""
        self.link.write(count)
        self.tick()

    def told(self) -> list[str]:
        """The sentences since the last time, without their severity."""
        return [sentence for sentence, _ in self.desk.take_notices()]

    def noticing(self, action: Callable[[], object]) -> list[str]:
        """What is told because of an action."""
        self.told()
        action()
        self.tick()
        return self.told()

    def end(self) -> None:
        asyncio.run(self.desk.end())
