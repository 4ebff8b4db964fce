"""The registry of actions as Textual's bindings. Left out: the registry itself (`tinygpt_tui.actions`)."""

from __future__ import annotations

from textual.binding import Binding

from tinygpt_tui.actions import actions_of


def bindings(scope: str) -> list[Binding]:
    """What a screen (or the app, for "app") puts into its BINDINGS; each has its action's id, so that it can be given other keys."""
    return [
        Binding(
            action.keys,
            action.name,
            action.label,
            show=action.footer,
            priority=action.priority,
            tooltip=action.help,
            id=action.id,
        )
        for action in actions_of(scope)
    ]
