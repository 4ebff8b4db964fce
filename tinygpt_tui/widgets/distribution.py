"""Every symbol that could stand next, with its probability before and after the sampler; one of them can be picked by hand.

Left out: what a row looks like (`tinygpt_tui.widgets.distribution_rows`), and what picking does.
"""

from __future__ import annotations

from typing import Any, ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from engine.protocol import Symbol
from tinygpt_tui.safe_text import safe_line
from tinygpt_tui.widgets.distribution_rows import Alternatives as Alternatives
from tinygpt_tui.widgets.distribution_rows import Order, Part, Row, row_parts, rows

LABEL_LIMIT = 8  # cells
_UNTOUCHED = ("mark", "bar", "gain", "ghost")  # what a cursor's reverse would turn into something else
_PARTS: tuple[Part, ...] = ("mark", "symbol", "gone", "bar", "gain", "ghost", "number", "stage", "blank")


class Distribution(ScrollView, can_focus=True):
    """Rows of symbols with bars."""

    HELP = """
## Next character

Each symbol with its probability before → after the sampler. The full bar is after; a thin line shows what the sampler took away,
and a struck symbol names the stage that removed it. `▸` is the one that stands there.

* `↑` `↓`, `pgup`, `pgdn`, `home`, `end`, wheel: look through the symbols.
* `enter` or a click: write this one here, in a branch of its own. `esc`: back to the text.
* `o`: sort by name, so that rows hold still, or by likelihood again.
"""

    DEFAULT_CSS = """
    Distribution {
        overflow-x: hidden; overflow-y: auto; scrollbar-gutter: stable; scrollbar-size-vertical: 1;
        scrollbar-background: $background; scrollbar-background-hover: $background; scrollbar-background-active: $background;
        background: $background; color: $foreground;
        & > .distribution--mark { color: $accent; text-style: bold; }
        & > .distribution--symbol { text-style: bold; }
        & > .distribution--gone { color: $text-muted; text-style: strike; }
        & > .distribution--bar { color: $primary; }
        & > .distribution--gain { color: $accent; }
        & > .distribution--ghost { color: $text-muted; }
        & > .distribution--number { color: $foreground; }
        & > .distribution--stage { color: $text-muted; text-style: italic; }
        & > .distribution--cursor { text-style: reverse; }
        & > .distribution--hover { text-style: underline; }
    }
    Distribution:ansi { background: ansi_default; }
    Distribution:ansi > .distribution--gone, Distribution:nocolor > .distribution--gone { text-style: strike dim; }
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        *(f"distribution--{part}" for part in _PARTS),
        "distribution--cursor",
        "distribution--hover",
    }

    BINDINGS: ClassVar[list[Any]] = [
        Binding("up", "move('up')", "choose", key_display="↑↓"),
        Binding("enter", "pick", "take"),
        Binding("escape", "leave", "back"),
        *(
            Binding(keys, f"move('{way}')", way, show=False)
            for keys, way in (
                ("k", "up"), ("down,j", "down"), ("pageup", "page up"), ("pagedown", "page down"), ("home", "first"),
                ("end", "last"),
            )
        ),
        Binding("o", "reorder", "sort by name", show=False),
    ]  # fmt: skip

    class Picked(Message):
        """A symbol is to be written; `view` is what was shown when it was picked."""

        def __init__(self, symbol: Symbol, index: int, view: Alternatives) -> None:
            super().__init__()
            self.symbol, self.index, self.view = symbol, index, view

    class Left(Message):
        """Escape was pressed."""

    def __init__(self, *, name: str | None = None, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self._view = Alternatives()
        self._rows: tuple[Row, ...] = ()
        self._order: Order = "likely"
        self._scale, self._label_width = 1.0, 2
        self._cursor: int | None = None
        self._open = False  # whether it has the focus
        self._chose = (
            False  # whether a person has moved the cursor since; before that it is on what stands there
        )
        self._hover: int | None = None
        self._styles: dict[str, Style] = {}

    @property
    def view(self) -> Alternatives:
        """What is shown."""
        return self._view

    @property
    def highlighted(self) -> Symbol | None:
        """The symbol under the cursor."""
        index = None if self._cursor is None else self._rows[self._cursor].index
        return None if index is None else self._view.symbols[index]

    def show(self, view: Alternatives) -> None:
        """Shows other alternatives; draws only the rows that changed. The cursor stays on its symbol if that is still there."""
        if view == self._view:
            return
        if view.title != self._view.title:  # of another place
            self._chose = False
        kept = self.highlighted
        if view.title != self._view.title:
            self.border_title = Text(safe_line(view.title))
        self._view = view
        self._use_rows(kept)

    def action_move(self, way: str) -> None:
        last = len(self._rows) - 1
        if last < 0:
            return
        page = max(1, self.scrollable_content_region.height - 1)
        self._chose = True
        at = self._cursor if self._cursor is not None else -1
        steps = {
            "up": -1,
            "down": 1,
            "page up": -page,
            "page down": page,
            "first": -last - 1,
            "last": last + 1,
        }
        self._put_cursor(min(max(at + steps[way], 0), last))

    def action_pick(self) -> None:
        if self._cursor is not None:
            self._pick(self._cursor)

    def action_leave(self) -> None:
        self.post_message(self.Left())

    def action_reorder(self) -> None:
        kept = self.highlighted
        self._order = "name" if self._order == "likely" else "likely"
        self._use_rows(kept)

    def on_click(self, event: events.Click) -> None:
        event.prevent_default()
        if (row := self._row_under(event)) is not None:
            self._put_cursor(row)
            self._pick(row)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        self._hover_over(self._row_under(event))

    def on_leave(self) -> None:
        self._hover_over(None)

    def on_focus(self) -> None:
        self._open, self._chose = True, False
        self._put_cursor(self._opening())
        self.refresh()

    def on_blur(self) -> None:
        self._open = False
        self._put_cursor(None)
        self.refresh()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._styles.clear()

    @property
    def allow_select(self) -> bool:
        return False

    def render_line(self, y: int) -> Strip:
        at, width = self.scroll_offset.y + y, self.scrollable_content_region.width
        base = self.rich_style
        if at >= len(self._rows):
            return Strip.blank(width, base)
        over = Style()
        if at == self._cursor:
            over = self._style("cursor") if self.has_focus else self._style("hover")
        elif at == self._hover:
            over = self._style("hover")
        row = self._rows[at]
        label = max(self._label_width, cell_len(row.label)) if row.index is None else self._label_width
        parts = row_parts(row, width, self._scale, min(label, width // 2))
        segments = [
            Segment(text, base + self._style(part) + (Style() if part in _UNTOUCHED else over))
            for text, part in parts
        ]
        return Strip(segments).adjust_cell_length(width, base)

    def _use_rows(self, kept: Symbol | None) -> None:
        before, scale, label_width = self._rows, self._scale, self._label_width
        self._rows = rows(self._view, self._order)
        shares = [max(row.raw, row.final) for row in self._rows if row.index is not None]
        # Bars are measured against the likeliest, in steps, so that they do not all move when it changes a little.
        self._scale = next(
            (step for step in (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8) if max(shares, default=1.0) <= step),
            1.0,
        )
        self._label_width = min(
            LABEL_LIMIT, max((cell_len(row.label) for row in self._rows if row.index is not None), default=1)
        )
        was, self._cursor = self._cursor, self._row_of(kept) if self._chose else None
        if self._cursor is None and self._open:
            self._cursor = self._opening()
        count = len(self._rows)
        if count != len(before):
            self.virtual_size = Size(0, count)
        if was != self._cursor:
            self._reveal()
        if (scale, label_width, count) != (self._scale, self._label_width, len(before)):
            self.refresh()
            return
        for at, (old, new) in enumerate(zip(before, self._rows, strict=True)):
            if old != new or (was != self._cursor and at in (was, self._cursor)):
                self.refresh_lines(at)

    def _row_of(self, symbol: Symbol | None) -> int | None:
        if symbol is None or not self._rows:
            return None
        for at, row in enumerate(self._rows):
            if row.index is not None and self._view.symbols[row.index].c == symbol.c:
                return at
        return min(self._cursor or 0, len(self._rows) - 1)

    def _opening(self) -> int | None:
        """The row the list opens on: of what stands there, else the first."""
        chosen = next((at for at, row in enumerate(self._rows) if row.chosen), 0)
        return chosen if self._rows else None

    def _put_cursor(self, row: int | None) -> None:
        for changed in (self._cursor, row):
            if changed is not None:
                self.refresh_lines(changed)
        self._cursor = row
        self._reveal()

    def _reveal(self) -> None:
        """Scrolls as little as brings the cursor into view."""
        row, top, height = self._cursor, self.scroll_offset.y, self.scrollable_content_region.height
        if row is not None and not top <= row < top + height:
            self.scroll_to(y=row if row < top else row - height + 1, animate=False)

    def _pick(self, row: int) -> None:
        index = self._rows[row].index
        if index is not None:
            self._chose = False  # what is written next opens it anew
            self.post_message(self.Picked(self._view.symbols[index], index, self._view))

    def _row_under(self, event: events.MouseEvent) -> int | None:
        place = event.get_content_offset(self)
        row = None if place is None else place.y + self.scroll_offset.y
        return row if row is not None and row < len(self._rows) else None

    def _hover_over(self, row: int | None) -> None:
        if row != self._hover:
            for changed in (self._hover, row):
                if changed is not None:
                    self.refresh_lines(changed)
            self._hover = row

    def _style(self, part: str) -> Style:
        if part not in self._styles:
            self._styles[part] = self.get_component_rich_style(
                f"distribution--{part}", partial=part in ("cursor", "hover")
            )
        return self._styles[part]
