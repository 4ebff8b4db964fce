"""A line of runs to choose from, one of them in front. Left out: which ones, and the keys for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.text import Text
from textual import events
from textual.message import Message
from textual.widget import Widget

from tinygpt_tui.widgets.facts import Role

NAME_CELLS = 24


@dataclass(frozen=True)
class Tab:
    """A run.

    Attributes:
        name: what `RunTabs.Chosen` carries. label: how it is called, safe to show. glyph: of its state, drawn in the colour of `role`.
    """

    name: str
    label: str
    glyph: str
    role: Role = "plain"

    @property
    def shown(self) -> str:
        """As it stands in the line."""
        label = self.label
        if cell_len(label) > NAME_CELLS:
            label = set_cell_size(label, NAME_CELLS - 1).rstrip() + "…"
        return f" {self.glyph} {label} "


class RunTabs(Widget):
    """The line. What does not fit is beyond the arrows at its ends; the one in front is always seen."""

    DEFAULT_CSS = """
    RunTabs {
        height: 1; padding: 0 1; color: $foreground;
        & > .run-tabs--good { color: $success; }
        & > .run-tabs--warn { color: $warning; }
        & > .run-tabs--bad { color: $error; }
        & > .run-tabs--plain { color: $text-muted; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"run-tabs--{role}" for role in ("good", "warn", "bad", "plain")}

    class Chosen(Message):
        """A run was clicked."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._tabs: tuple[Tab, ...] = ()
        self._current: str | None = None
        self._spans: list[tuple[int, int, str]] = []  # columns of each run

    @property
    def names(self) -> tuple[str, ...]:
        """The runs in their order."""
        return tuple(tab.name for tab in self._tabs)

    def show(self, tabs: Sequence[Tab], current: str | None) -> None:
        """Shows these, with one in front."""
        if (tuple(tabs), current) != (self._tabs, self._current):
            self._tabs, self._current = tuple(tabs), current
            self.refresh()

    def render(self) -> Text:
        first, last = self._window(self.content_size.width)
        line = Text(no_wrap=True, end="")
        line.append("‹" if first else " ")
        self._spans = []
        for tab in self._tabs[first:last]:
            start, front = line.cell_len, tab.name == self._current
            style = self.get_component_rich_style(f"run-tabs--{tab.role}", partial=True)
            shown = tab.shown
            line.append(shown[:2], "bold reverse" if front else style)
            line.append(shown[2:], "bold reverse" if front else "")
            self._spans.append((start, line.cell_len, tab.name))
        line.append("›" if last < len(self._tabs) else "")
        return line

    def on_click(self, event: events.Click) -> None:
        place = event.get_content_offset(self)
        for start, end, name in self._spans:
            if place is not None and start <= place.x < end:
                self.post_message(self.Chosen(name))

    def _window(self, width: int) -> tuple[int, int]:
        """The first and the last but one of the runs that fit into `width` cells, the one in front among them."""
        names = self.names
        first = names.index(self._current) if self._current in names else 0
        last, room = first, width - 2
        while last < len(self._tabs) and (room := room - cell_len(self._tabs[last].shown)) >= 0:
            last += 1
        if room < 0:
            room += cell_len(self._tabs[last].shown)
        while first and (room := room - cell_len(self._tabs[first - 1].shown)) >= 0:
            first -= 1
        return first, max(last, first + 1)
