"""The line at the top: the modes with their keys, and what trains at the moment."""

from __future__ import annotations

from collections.abc import Mapping

from rich.cells import cell_len
from rich.text import Text
from textual import events
from textual.message import Message
from textual.widget import Widget

from tinygpt_tui.safe_text import safe_line

MODES = ("corpus", "train", "play", "runs", "settings")


class TopBar(Widget):
    """Modes at the left, clickable, and a status at the right."""

    DEFAULT_CSS = """
    TopBar { height: 1; background: $panel; color: $foreground; dock: top; }
    TopBar:ansi { background: ansi_default; }
    """

    class Chosen(Message):
        """A mode was clicked."""

        def __init__(self, mode: str) -> None:
            super().__init__()
            self.mode = mode

    def __init__(self, current: str, keys: Mapping[str, str]) -> None:
        """`current` is the mode in front, `keys` the key of each mode as it is to be shown."""
        super().__init__()
        self._current, self._keys = current, keys
        self._status = ""
        self._spans: list[tuple[int, int, str]] = []  # columns of each mode

    def show_status(self, status: str) -> None:
        """What stands at the right, such as "tales ● step 1,240"."""
        if status != self._status:
            self._status = status
            self.refresh()

    def show_keys(self, keys: Mapping[str, str]) -> None:
        """The key of each mode, as it is to be shown."""
        if keys != self._keys:
            self._keys = keys
            self.refresh()

    def render(self) -> Text:
        text = Text(" tinygpt ", style="bold", no_wrap=True, end="")
        self._spans = []
        for mode in MODES:
            if len(text) and self.size.width >= 70:
                text.append(" ")
            start = text.cell_len
            label = f" {self._keys[mode]} {mode.capitalize()} "
            text.append(label, style="bold reverse" if mode == self._current else "")
            self._spans.append((start, text.cell_len, mode))
        status = safe_line(self._status)
        room = self.size.width - text.cell_len - 2
        if status and room >= min(cell_len(status), 12):
            right = Text(status, no_wrap=True, end="")
            right.truncate(room, overflow="ellipsis")
            text.append(" " * (self.size.width - 1 - text.cell_len - right.cell_len))
            text.append_text(right)
        return text

    def on_click(self, event: events.Click) -> None:
        for start, end, mode in self._spans:
            if start <= event.x < end:
                self.post_message(self.Chosen(mode))
