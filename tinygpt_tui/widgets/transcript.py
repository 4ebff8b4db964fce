"""The text on the Play screen: prompts and what the model wrote, as it grows, with a cursor that points at characters.

What the text is comes from a `TranscriptSource`; where the person points and what they choose goes out as messages. Left out:
drawing (`tinygpt_tui.widgets.transcript_view`), editing, branches, and what a character's alternatives are.
"""

from __future__ import annotations

from typing import Any, ClassVar

from textual import events
from textual.binding import Binding
from textual.message import Message

from tinygpt_tui.widgets.transcript_line import TranscriptSource as TranscriptSource
from tinygpt_tui.widgets.transcript_moves import WAYS, Way, moved
from tinygpt_tui.widgets.transcript_view import TranscriptView


class Transcript(TranscriptView, can_focus=True):
    """A text one can point at."""

    HELP = """
## Text

What you typed stands out; what the model wrote is tinted by how surprised it was.

* Arrows, `home`, `end`, `pgup`, `pgdn`: move the cursor from character to character; with `ctrl`, from word to word.
* `enter` or a double click: other characters that could have stood there. Pointing with the mouse shows them.
* `end` at the end of the text, or `esc`: let go of the cursor and follow what is written.
* Drag with the mouse: select; what you copy is the exact text.
"""

    BINDINGS: ClassVar[list[Any]] = [
        *(
            Binding(keys, f"move('{way}')", way, show=False)
            for way, keys in zip(
                WAYS,
                (
                    "left,h", "right,l", "up,k", "down,j", "ctrl+left,b", "ctrl+right,w", "home", "end", "ctrl+home",
                    "ctrl+end", "pageup", "pagedown",
                ),
                strict=True,
            )
        ),
        Binding("enter", "choose", "alternatives", show=False),
    ]  # fmt: skip

    class Pointed(Message):
        """The cursor or the mouse is on a character now; `offset` is None when neither is."""

        def __init__(self, offset: int | None, hover: bool = False) -> None:
            super().__init__()
            self.offset, self.hover = offset, hover

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, Transcript.Pointed)

    class Chosen(Message):
        """The alternatives at a character are asked for."""

        def __init__(self, offset: int) -> None:
            super().__init__()
            self.offset = offset

    @property
    def cursor(self) -> int | None:
        """The offset of the character under the cursor."""
        return self._cursor

    def move_to(self, offset: int | None) -> None:
        """Puts the cursor on a character and brings it into view; None, or the end of the text, lets go of it and follows."""
        if offset is None or offset >= self._wrapping.length:
            self._cursor = None
            self.follow()
        else:
            self._cursor = self._wrapping.cluster(max(0, offset))[0]
            self._reveal(self._wrapping.line_of(self._cursor))
            self._following = False  # what one points at should not run away
        self.refresh()
        self.post_message(self.Pointed(self._cursor))

    def action_move(self, way: Way) -> None:
        wrapping, at = self._wrapping, self._cursor
        page = max(1, self.scrollable_content_region.height - 1)
        if at is not None:
            self.move_to(moved(wrapping, at, way, page))
        elif way in ("end", "follow"):
            self.move_to(None)
        elif way in ("page up", "page down"):
            self.scroll_to(y=self.scroll_y + (page if way == "page down" else -page), animate=False)
        elif way in ("home", "start"):
            self.move_to(0)
        else:
            # The cursor begins where the person looks: at the end, or at the top of what they scrolled to.
            top = wrapping.span(min(self.scroll_offset.y, wrapping.line_count - 1))[0]
            self.move_to(max(0, wrapping.length - 1) if self._following else top)

    def action_choose(self) -> None:
        if self._cursor is not None:
            self.post_message(self.Chosen(self._cursor))

    def on_key(self, event: events.Key) -> None:
        # While something is written the key belongs to whoever stops it.
        if event.key == "escape" and self._cursor is not None and not self._writing:
            event.stop()
            self.move_to(None)

    def on_click(self, event: events.Click) -> None:
        event.prevent_default()  # a double click would select everything
        offset = self._offset_under(event)
        if offset is not None and (event.chain > 1 or not self.selected_text):
            self.move_to(offset)
            if event.chain == 2:
                self.post_message(self.Chosen(offset))

    def on_mouse_move(self, event: events.MouseMove) -> None:
        self._point_at(None if event.button else self._offset_under(event))

    def on_leave(self) -> None:
        self._point_at(None)

    def on_focus(self) -> None:
        self._styles = None
        self.refresh()

    def on_blur(self) -> None:
        self._styles = None
        self.refresh()

    def _offset_under(self, event: events.MouseEvent) -> int | None:
        """The character under the mouse."""
        place = event.get_content_offset(self)
        if place is None or place.x >= self.scrollable_content_region.width:
            return None
        line = place.y + self.scroll_offset.y
        gutter = self._gutter_of(line)
        if line >= self._wrapping.line_count or place.x < gutter:
            return None
        cell = self._wrapping.cell_at(line, place.x - gutter)
        return cell.start if cell is not None else None

    def _point_at(self, offset: int | None) -> None:
        if offset != self._hover:
            for changed in (self._hover, offset):
                if changed is not None:
                    self.refresh_lines(self._wrapping.line_of(changed))
            self._hover = offset
            self.post_message(self.Pointed(self._cursor if offset is None else offset, offset is not None))
