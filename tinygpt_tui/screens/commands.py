"""The command palette: every action of the screen in front and of the playground, and every theme, found by name."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.types import IgnoreReturnCallbackType

from tinygpt_tui.actions import actions_of, shown_keys

if TYPE_CHECKING:
    from tinygpt_tui.app import Playground


class ActionCommands(Provider):
    """The registry, searched."""

    async def discover(self) -> Hits:
        for text, help, run in self._commands():
            yield DiscoveryHit(text, run, help=help)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for text, help, run in self._commands():
            if (score := matcher.match(f"{text} {help}")) > 0:
                yield Hit(score, matcher.highlight(text), run, help=help)

    def _commands(self) -> Iterator[tuple[str, str, IgnoreReturnCallbackType]]:
        playground = cast("Playground", self.app)
        mode = getattr(self.screen, "mode", "")
        for action in (*actions_of(mode), *actions_of("app")):
            target = self.screen if action.scope == mode else self.app
            keys = shown_keys(action, playground.own_keys)
            text = f"{action.scope} · {action.label}" if action.scope != "app" else action.label
            yield (
                f"{text}  ({keys})",
                action.help,
                partial(playground.run_action, action.name, target),
            )
        for theme in sorted(self.app.available_themes):
            yield f"theme · {theme}", "use these colours from now on", partial(playground.use_theme, theme)
