"""A growing text drawn line by line: only what is visible is drawn, and an append costs what was appended.

Left out: keys, mouse and messages (`tinygpt_tui.widgets.transcript`), and how a line is made (`tinygpt_tui.widgets.transcript_line`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip
from textual.widget import Widget

from tinygpt_tui.safe_text import safe_line
from tinygpt_tui.widgets.tint import colour_tints, plain_tints, untinted
from tinygpt_tui.widgets.transcript_line import (
    NO_OVERLAY,
    LineStyles,
    Overlay,
    TranscriptSource,
    framed,
    painted,
    shortened,
    speaker_gutter,
    with_places,
)
from tinygpt_tui.widgets.transcript_moves import common_length, selected
from tinygpt_tui.widgets.wrapping import Wrapping

GUTTER_LIMIT = 12  # cells
_KEPT_STRIPS = 1024


class TranscriptView(ScrollView):
    """A text with tints, marks and speakers; follows its end unless the person looks elsewhere."""

    DEFAULT_CSS = """
    TranscriptView {
        overflow-x: hidden; overflow-y: scroll; scrollbar-size-vertical: 1;
        scrollbar-background: $background; scrollbar-background-hover: $background; scrollbar-background-active: $background;
        background: $background; color: $foreground;
        & > .transcript--typed { color: $primary; }
        & > .transcript--warm { color: $warning; }
        & > .transcript--mark { color: $text-muted; text-style: italic; }
        & > .transcript--speaker { color: $secondary; text-style: bold; }
        & > .transcript--hover { text-style: underline bold; }
        & > .transcript--cursor { text-style: reverse; }
        & > .transcript--cursor-blurred { text-style: underline bold; }
        & > .transcript--selection { background: $screen-selection-background; color: $screen-selection-foreground; }
        & > .transcript--end { color: $accent; text-style: bold; }
        & > .transcript--more { text-style: reverse; }
    }
    TranscriptView:ansi { background: ansi_default; }
    TranscriptView:ansi > .transcript--mark { text-style: dim; }
    TranscriptView:ansi > .transcript--selection, TranscriptView:nocolor > .transcript--selection { text-style: reverse; }
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"transcript--{part}"
        for part in (
            "typed", "warm", "mark", "speaker", "hover", "cursor", "cursor-blurred", "selection", "end", "more",
        )
    }  # fmt: skip

    def __init__(self, *, name: str | None = None, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self._wrapping = Wrapping(80)
        self._source: TranscriptSource | None = None
        self._version: object = None
        self._speakers: Sequence[tuple[int, str]] = ()
        self._gutter = 0
        self._cursor: int | None = None
        self._hover: int | None = None
        self._following = True
        self._writing = False
        self._tinted = True
        self._strips: dict[int, Strip] = {}
        self._styles: LineStyles | None = None
        self._drawing = False

    @property
    def following(self) -> bool:
        """Whether the end of the text stays in view as it grows."""
        return self._following

    @property
    def selected_text(self) -> str:
        """The exact text that is selected with the mouse, "" for none."""
        selection = self.text_selection if self.is_attached else None
        return selected(self._wrapping, selection) if selection is not None else ""

    @property
    def tinted(self) -> bool:
        """Whether written text is tinted by how sure the model was."""
        return self._tinted

    @tinted.setter
    def tinted(self, tinted: bool) -> None:
        if tinted != self._tinted:
            self._tinted = tinted
            self.notify_style_update()
            self.refresh()

    def show(self, source: TranscriptSource, *, writing: bool = False) -> None:
        """Shows a text, or what it has become since.

        Args:
            source: as long as its version stays the same, only what it gained at its end is read.
            writing: the model writes at its end; a block stands there.
        """
        wrapping, before = self._wrapping, self._wrapping.line_count
        length, first = source.length, before
        if source.version != self._version or length < wrapping.length:
            text = source.slice(0, length)
            wrapping.cut(common_length(text, wrapping.read(0, wrapping.length)))
            self._strips.clear()
            first = 0
            self._hover = None
            if self._cursor is not None and self._cursor >= length:
                self._cursor = None
        self._source, self._version = source, source.version
        if (speakers := source.speakers) is not self._speakers and tuple(speakers) != self._speakers:
            self._use_speakers(speakers)
            first = 0
        first = min(first, wrapping.set_marks(source.marks))
        if length > wrapping.length:
            first = min(first, wrapping.append(source.slice(wrapping.length, length)))
        if writing != self._writing:
            self._writing = writing
            first = min(first, before - 1)
        if first < before:
            self._changed(first, before)

    def follow(self) -> None:
        """Shows the end of the text and stays there."""
        self._following = True
        self.scroll_to(y=self.max_scroll_y, animate=False)
        self.refresh()

    def on_resize(self) -> None:
        self._rewrap()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        self._following = round(new_value) >= self.max_scroll_y

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._styles = None
        self._strips.clear()

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        return selected(self._wrapping, selection), "\n"

    def render_lines(self, crop: Region) -> list[Strip]:
        self._drawing = True
        try:
            return super().render_lines(crop)
        finally:
            self._drawing = False

    def render_line(self, y: int) -> Strip:
        strip, line = self._drawn(y), self.scroll_offset.y + y
        # Asked for outside of drawing, it is to tell what is under the mouse; drawing would be slower by half with that.
        return strip if self._drawing else with_places(strip, line, self._gutter_of(line))

    def _drawn(self, y: int) -> Strip:
        line, width = self.scroll_offset.y + y, self.scrollable_content_region.width
        if self._styles is None:
            self._styles = self._line_styles()
        styles = self._styles
        height = self.scrollable_content_region.height
        below = self._wrapping.line_count - self.scroll_offset.y - height
        hint = None
        if y == height - 1 and below > 0 and not self._following:
            label = f" ↓ {below} more below · end "
            if cell_len(label) < width:
                hint = Segment(
                    label, styles.base + self.get_component_rich_style("transcript--more", partial=True)
                )
        if self._source is None or line >= self._wrapping.line_count:
            return framed([], width, styles.base, self._gutter_segment(line, styles), hint)
        over = self._overlay(line)
        if over is NO_OVERLAY and hint is None and (kept := self._strips.get(line)) is not None:
            return kept
        segments = painted(self._wrapping, line, self._source, styles, over)
        strip = framed(segments, width, styles.base, self._gutter_segment(line, styles), hint)
        # The last line still grows, and the one before may yet give it a word.
        if over is NO_OVERLAY and hint is None and line < self._wrapping.line_count - 2:
            if len(self._strips) >= _KEPT_STRIPS:
                self._strips.clear()
            self._strips[line] = strip
        return strip

    def _overlay(self, line: int) -> Overlay:
        start, end = self._wrapping.span(line)

        def here(offset: int | None) -> int | None:
            return offset if offset is not None and start <= offset < end else None

        span = selection.get_span(line) if (selection := self.text_selection) is not None else None
        last = self._writing and line == self._wrapping.line_count - 1
        end_column = None
        if last:  # the block stands behind what the text and a mark at its end take
            column, width = self._wrapping.cell_of(end)[1], self._wrapping.width
            label = shortened(self._wrapping.label_at(end), width - column)
            end_column = min(column + cell_len(label), width)
        cursor, hover = here(self._cursor), here(self._hover)
        if cursor is None and hover is None and span is None and end_column is None:
            return NO_OVERLAY
        return Overlay(hover, cursor, span, end_column)

    def _line_styles(self) -> LineStyles:
        def part(name: str, partial: bool = True) -> Style:
            # A partial style has no colour of its own where none is set; a muted colour needs the background to be one.
            return self.get_component_rich_style(f"transcript--{name}", partial=partial)

        if self.app.native_ansi_color or self.app.no_color:
            colourless = Style() if self.app.no_color else part("warm")
            tints = plain_tints(part("typed"), colourless)
        else:
            background, foreground = self.background_colors[1], self.styles.color
            warm, typed = (
                self.get_component_styles(f"transcript--{name}").color for name in ("warm", "typed")
            )
            tints = colour_tints(foreground, background, warm, typed)
        return LineStyles(
            base=self.rich_style, tints=tints if self._tinted else untinted(tints), mark=part("mark", False),
            speaker=part("speaker", False), hover=part("hover"),
            cursor=part("cursor" if self.has_focus else "cursor-blurred"), selection=part("selection"), end=part("end", False),
        )  # fmt: skip

    def _changed(self, first: int, before: int) -> None:
        """The lines from `first` on are others; there were `before` lines."""
        following = self._following
        for line in range(first, before + 1):
            self._strips.pop(line, None)
        count = self._wrapping.line_count
        if count != before:
            # Setting it as usual would lay out the whole screen anew for every line; nobody but the scrollbar needs to know.
            self.set_reactive(Widget.virtual_size, Size(0, count))
            self.vertical_scrollbar.window_virtual_size = count
        if following or self.scroll_y > self.max_scroll_y:
            self.scroll_to(y=self.max_scroll_y, animate=False)
        self._following = following
        self.refresh_lines(first, max(count, before) - first + 1)
        if not following:  # the hint counts
            self.refresh_lines(self.scroll_offset.y + self.size.height - 1)

    def _rewrap(self) -> None:
        """Wraps anew if the width changed, with the same text at the top."""
        width = self.scrollable_content_region.width - self._gutter - 1
        if width == self._wrapping.width or self.size.width == 0:
            return
        following, before = self._following, self._wrapping.line_count
        top = self._wrapping.span(min(self.scroll_offset.y, before - 1))[0]
        self._wrapping.rewrap(width)
        self._strips.clear()
        if self.text_selection is not None:
            self.screen.clear_selection()  # it names lines that are others now
        self._changed(0, before)
        if not following:
            self.scroll_to(y=self._wrapping.line_of(top), animate=False)
            self._following = False
        self.refresh()

    def _use_speakers(self, speakers: Sequence[tuple[int, str]]) -> None:
        self._speakers = tuple(speakers)
        widest = max((cell_len(safe_line(name)) for _, name in self._speakers), default=-2)
        self._gutter = min(GUTTER_LIMIT, widest + 2)
        self._strips.clear()
        self._rewrap()

    def _speaking(self, line: int) -> Sequence[tuple[int, str]]:
        """Who begins to speak in a line."""
        if not self._gutter or line >= self._wrapping.line_count:
            return ()
        first, last = (bisect_left(self._speakers, (offset, "")) for offset in self._wrapping.span(line))
        return self._speakers[first:last]

    def _gutter_of(self, line: int) -> int:
        """Cells in front of a line's text: none where the text itself begins with the name of who speaks."""
        speaking = self._speaking(line)
        if speaking:
            at, name = speaking[-1]
            if at == self._wrapping.span(line)[0] and self._wrapping.read(at, at + len(name)) == name:
                return 0
        return self._gutter

    def _gutter_segment(self, line: int, styles: LineStyles) -> Segment | None:
        if not (cells := self._gutter_of(line)):
            return None
        names = [name for _, name in self._speaking(line)]
        return speaker_gutter(names, cells, styles.base + styles.speaker)

    def _reveal(self, line: int) -> None:
        """Scrolls as little as brings a line into view."""
        top, height = self.scroll_offset.y, self.scrollable_content_region.height
        if line < top:
            self.scroll_to(y=line, animate=False)
        elif line >= top + height:
            self.scroll_to(y=line - height + 1, animate=False)
