"""The last line of a screen: the keys that act now, as many as fit, each of them also a button.

One widget with one line of text. Textual's footer has a widget for each key and makes all of them anew whenever the focus moves, which takes
longer than a key may. Left out: which keys there are (`tinygpt_tui.actions`) and which act now (Textual's active bindings).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from rich.cells import cell_len
from rich.text import Text
from textual import events
from textual.screen import ModalScreen, Screen
from textual.widget import Widget

HELP, PALETTE = "help", "palette"  # where a person finds what had no room
MORE = "more"  # what help is called then


@dataclass(frozen=True)
class Key:
    """One key of the line: what Textual calls it, how it is shown, what it does in a word or two and in a sentence."""

    key: str
    shown: str
    label: str
    action: str
    help: str = ""

    @property
    def cells(self) -> int:
        """It takes so many, with a blank on each side."""
        return cell_len(self.shown) + cell_len(self.label) + 3


class KeyBar(Widget):
    """The line."""

    DEFAULT_CSS = """
    KeyBar {
        dock: bottom; height: 1; background: $panel; color: $foreground;
        & > .key-bar--key { color: $accent; text-style: bold; }
        & > .key-bar--label { color: $foreground; }
        &:ansi { background: ansi_default; color: ansi_default; }
        &:ansi > .key-bar--label { color: ansi_default; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"key-bar--key", "key-bar--label"}

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._keys: tuple[Key, ...] = ()
        self._behind = False

    @property
    def keys(self) -> tuple[Key, ...]:
        """Those that are shown."""
        return () if self._behind else fitting(self._keys, self.size.width)

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._look)
        self.app.screen_change_signal.subscribe(self, self._screen_changed)

    def _screen_changed(self, front: Screen[object]) -> None:
        """Behind a dialog no key of this line acts, and the dialog tells its own."""
        if (behind := isinstance(front, ModalScreen)) != self._behind:
            self._behind = behind
            self.refresh()

    def _look(self, screen: Screen[object]) -> None:
        if not self.is_attached or screen is not self.screen:
            return
        found: dict[str, Key] = {}
        hidden: frozenset[str] = getattr(screen, "hidden_keys", frozenset)()
        labels: dict[str, str] = getattr(screen, "key_labels", dict)()
        for _, binding, _, tooltip in screen.active_bindings.values():
            if binding.show and binding.action not in found and binding.action not in hidden:
                shown = self.app.get_key_display(binding)
                label = labels.get(binding.action, binding.description)
                found[binding.action] = Key(binding.key, shown, label, binding.action, tooltip)
        if (keys := tuple(found.values())) != self._keys:
            self._keys = keys
            self.refresh()

    def render(self) -> Text:
        key, label = (
            self.get_component_rich_style(f"key-bar--{part}", partial=True) for part in ("key", "label")
        )
        line = Text(no_wrap=True, end="")
        for one in self.keys:
            line.append(f" {one.shown} ", key)
            line.append(f"{one.label} ", label)
        return line

    def on_click(self, event: events.Click) -> None:
        if (one := self._under(event)) is not None:
            event.stop()
            self.app.simulate_key(one.key)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        one = self._under(event)
        self.tooltip = Text(one.help) if one is not None and one.help else None

    def _under(self, event: events.MouseEvent) -> Key | None:
        column = 0
        for one in self.keys:
            column += one.cells
            if event.x < column:
                return one
        return None


def fitting(keys: Sequence[Key], width: int) -> tuple[Key, ...]:
    """The keys, if they have room in `width` cells; else as many from the first on as leave room for help, which says that there are more."""
    if sum(key.cells for key in keys) <= width:
        return tuple(keys)
    more = [replace(key, label=MORE) for key in keys if key.action == HELP]
    room = width - sum(key.cells for key in more)
    found = []
    for key in keys:
        if key.action in (HELP, PALETTE):
            continue
        room -= key.cells
        if room < 0:
            break
        found.append(key)
    return (*found, *more)
