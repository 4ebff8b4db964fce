"""What a model wrote at its steps, the newest on top, so that scrolling down goes back to noise.

Left out: where samples come from. Texts are made safe here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from rich.text import Text
from textual.binding import Binding
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip

from engine.events import Sample
from tinygpt_tui.safe_text import safe_text


class Samples(ScrollView, inherit_bindings=False, can_focus=True):
    """Samples to read; one that comes while a person reads older ones moves nothing, and costs the wrapping of two."""

    HELP = "What the model writes as it learns, the newest on top; scroll down to see how it began."
    DEFAULT_CSS = """
    Samples {
        background: $background;
        & > .samples--head { color: $text-muted; }
        & > .samples--prompt { text-style: bold; }
        & > .samples--older { color: $text-muted; }
        overflow-x: hidden;
    }
    Samples:ansi > .samples--head, Samples:ansi > .samples--older { color: ansi_default; text-style: dim; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"samples--head", "samples--prompt", "samples--older"}
    # Not left and right: they belong to the chart.
    BINDINGS: ClassVar[list[Any]] = [
        Binding("up", "scroll_up", "up", show=False),
        Binding("down", "scroll_down", "down", show=False),
        Binding("pageup", "page_up", "page up", show=False),
        Binding("pagedown", "page_down", "page down", show=False),
        Binding("home", "scroll_home", "newest", show=False),
        Binding("end", "scroll_end", "oldest", show=False),
    ]

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._shown: tuple[Sample, ...] = ()
        self._waiting = ""
        self._owner = ""
        self._wrapped: dict[tuple[Sample, int, bool], list[Text]] = {}
        self._lines: list[Text] = []

    def show(self, owner: str, samples: Sequence[Sample], waiting: str) -> None:
        """Shows what a run wrote.

        Args:
            owner: its name.
            samples: in the order they were written.
            waiting: what is said as long as there is none.
        """
        new, other = tuple(samples), owner != self._owner
        if not other and (new, waiting if not new else "") == (self._shown, self._waiting):
            return
        self._owner, self._shown, self._waiting = owner, new, waiting if not new else ""
        self.border_title = f"what it writes · step {new[-1].step:,}" if new else "what it writes"
        self.border_subtitle = f"{len(new) - 1} older below" if len(new) > 1 else ""
        reading = self.scroll_offset.y > 0 and not other
        grown = self._lay_out()
        if reading:
            self.scroll_to(y=self.scroll_offset.y + grown, animate=False, immediate=True)
        elif self.scroll_offset.y:
            self.scroll_home(animate=False, immediate=True)
        self.refresh()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._wrapped.clear()
        if self.is_mounted:
            self._lay_out()

    def on_resize(self) -> None:
        self._lay_out()

    def render_line(self, y: int) -> Strip:
        line, width = y + self.scroll_offset.y, self.scrollable_content_region.width
        if not 0 <= line < len(self._lines):
            return Strip.blank(width, self.rich_style)
        text = self._lines[line]
        if (selection := self.text_selection) and (span := selection.get_span(line)):
            start, end = span
            text = text.copy()
            style = self.screen.get_component_rich_style("screen--selection")
            text.stylize(style, start, len(text) if end == -1 else end)
        strip = Strip(text.render(self.app.console)).adjust_cell_length(width).apply_style(self.rich_style)
        return strip.apply_offsets(0, line)

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        return selection.extract("\n".join(line.plain for line in self._lines)), "\n"

    def _lay_out(self) -> int:
        """Puts the lines together; how many more there are than before."""
        before, inside = len(self._lines), self.scrollable_content_region
        bar, width = self.styles.scrollbar_size_vertical, inside.width
        known, self._wrapped = self._wrapped, {}
        self._lines = self._all_lines(width, known)
        if (
            len(self._lines) > inside.height
        ) != self.show_vertical_scrollbar:  # then it comes or goes, and the width with it
            width += bar if self.show_vertical_scrollbar else -bar
            self._lines = self._all_lines(width, known)
        self.virtual_size = Size(width, len(self._lines))
        return len(self._lines) - before

    def _all_lines(self, width: int, known: dict[tuple[Sample, int, bool], list[Text]]) -> list[Text]:
        """The newest sample first. Of one that was there before nothing changes but its place, unless it was the newest."""
        if not self._shown:
            head = self.get_component_rich_style("samples--head", partial=True)
            return self._wrap(Text(safe_text(self._waiting), style=head), width)
        lines = []
        for number, sample in enumerate(reversed(self._shown)):
            key = (sample, width, number == 0)
            wrapped = known.get(key) or self._wrap(self._text(sample, newest=number == 0), width)
            self._wrapped[key] = wrapped
            lines += wrapped
        return lines

    def _wrap(self, text: Text, width: int) -> list[Text]:
        return list(text.wrap(self.app.console, max(1, width)))

    def _text(self, sample: Sample, newest: bool) -> Text:
        head, prompt, older = (
            self.get_component_rich_style(f"samples--{part}", partial=True)
            for part in ("head", "prompt", "older")
        )
        text = Text(end="")
        if not newest:
            text.append(f"\nstep {sample.step:,}\n", head)
        if sample.prompt:
            text.append(safe_text(sample.prompt), prompt)
        written = safe_text(sample.text) if sample.prompt else safe_text(sample.text).lstrip("\n")
        text.append(written.rstrip("\n"), "" if newest else older)
        return text
