"""The command palette: every action of the screen in front and of the playground, and every theme, found by name."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, cast

from rich.text import Text
from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.fuzzy import Matcher
from textual.types import IgnoreReturnCallbackType

from tinygpt_tui.actions import actions_of, shown_keys

if TYPE_CHECKING:
    from tinygpt_tui.app import Playground


def _highlighted(matcher: Matcher, text: str) -> Content:
    """A line with what was found in it. Textual's own way takes it for markup, and of keys such as "[ b ]" nothing would be left."""
    found = Content(text)
    for at in matcher.fuzzy_search.match(matcher.query, text)[1]:
        found = found.stylize(matcher.match_style, at, at + 1)
    return found


class ActionCommands(Provider):
    """The registry, searched."""

    async def discover(self) -> Hits:
        for text, help, run in self._commands():
            yield DiscoveryHit(Text(text), run, text=text, help=help)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for text, help, run in self._commands():
            if (score := matcher.match(f"{text} {help}")) > 0:
                yield Hit(score, _highlighted(matcher, text), run, text=text, help=help)

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
