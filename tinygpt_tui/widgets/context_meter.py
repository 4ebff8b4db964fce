"""How much of its window the model has before it, on one line. Left out: what counts as a character of it."""

from __future__ import annotations

from rich.style import Style
from rich.text import Text
from textual.widget import Widget

from tinygpt_tui import figures

SLID_CELLS = len(", 1.12 k unseen")  # the longest there is


class ContextMeter(Widget):
    """Tokens in the model's window, and whether earlier ones have fallen out of it."""

    HELP = """
## Context

The model sees only the last symbols of the text, as many as its window holds (`context`); for most models here a symbol is a character.
When the window is full, its older half is let go and the text goes on; "unseen" says how much of the beginning is out of sight.
"""

    DEFAULT_CSS = """
    ContextMeter { height: 1; width: 1fr; text-wrap: nowrap; text-overflow: clip; background: $background; color: $foreground; }
    ContextMeter > .meter--label, ContextMeter > .meter--free { color: $text-muted; }
    ContextMeter > .meter--used { color: $primary; }
    ContextMeter > .meter--slid { text-style: bold; }
    ContextMeter:ansi { background: ansi_default; }
    """

    COMPONENT_CLASSES = {"meter--label", "meter--used", "meter--free", "meter--slid"}  # noqa: RUF012

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._state = (0, 0, 0)

    def show(self, used: int, window: int, unseen: int = 0) -> None:
        """How full it is.

        Args:
            used: tokens in the window.
            window: tokens it holds, 0 while that or `used` is not known.
            unseen: tokens of the text before the window.
        """
        state = (max(0, min(used, window)), max(0, window), max(0, unseen))
        if state != self._state:
            self._state = state
            self.refresh()

    def render(self) -> Text:
        used, window, unseen = self._state
        text = Text("context ", style=self._style("label"), no_wrap=True, overflow="ellipsis", end="")
        if not window:
            text.append("–")
            return text
        told = f" {used:>{len(str(window))}}/{window}"
        room = self.size.width - text.cell_len - len(told)
        # As many cells whether it has slid or not, so that nothing jumps.
        cells = min(24, room - (SLID_CELLS if room - SLID_CELLS >= 4 else len(" slid")))
        told_of = (f", {figures.count(unseen)} unseen", " slid") if unseen else ("",)
        slid = next((words for words in told_of if len(words) <= room - max(0, cells)), told_of[-1])
        if cells >= 4:
            full = round(used / window * cells)
            text.append("▓" * full, self._style("used"))
            text.append("░" * (cells - full), self._style("free"))
        text.append(told.lstrip() if cells < 4 else told)
        text.append(slid, self._style("slid"))
        return text

    def _style(self, part: str) -> Style:
        return self.get_component_rich_style(f"meter--{part}")
