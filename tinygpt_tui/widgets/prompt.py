"""Where a prompt is typed: one field that grows from one line to six, with the prompts before it a key away.

It flags the characters that the model does not know while they are typed. Left out: what sending a prompt does, and how much of it
the model sees (`tinygpt_tui.widgets.context_meter`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding
from textual.content import Content
from textual.message import Message
from textual.widgets import TextArea

from tinygpt_tui.safe_text import safe_line, safe_text
from tinygpt_tui.widgets.distribution_rows import visible
from tinygpt_tui.widgets.in_order import act_at_once

MAX_CHARS = 20_000  # a field that holds more answers its keys late
NAMED = 6  # unknown characters that are told one by one

# Where a terminal tells them apart at all: many send the same for enter with shift or alt as for enter alone, and ctrl+j always works.
_NEWLINE_KEYS = ("shift+enter", "alt+enter", "ctrl+j", "ctrl+enter", "shift+\r", "alt+\r")


class Prompt(TextArea):
    """A field for a prompt; `enter` sends it."""

    HELP = """
## Prompt

What you type here the model goes on with.

* `enter`: send. `ctrl+j` (or `shift+enter`, `alt+enter` where the terminal knows them): a new line.
* `↑` in the first line, `↓` in the last: earlier prompts, and back to what you were typing.
* `shift+↑` `shift+↓`: a higher or lower temperature. `esc`: stop; a second time leaves the field.
* Underlined characters are unknown to the model; below stands what it reads instead.
"""

    DEFAULT_CSS = """
    Prompt {
        height: auto; min-height: 1; max-height: 6; border: none; padding: 0;
        background: $background; scrollbar-size-vertical: 1; overflow-x: hidden;
        & .text-area--cursor-line { background: transparent; }
        & > .text-area--placeholder { color: $text-muted; }
        & > .prompt--unknown { color: $error; text-style: underline bold; }
        &:focus { border: none; }
        &:ansi { background: ansi_default; }
    }
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"prompt--unknown"}

    BINDINGS: ClassVar[list[Any]] = [
        Binding("enter", "send", "send"),
        Binding("ctrl+j", "newline", "new line"),
        Binding("shift+down", "nudge(-1)", "cooler"),
        Binding("shift+up", "nudge(1)", "hotter"),
    ]

    class Submitted(Message):
        """A prompt is sent, exactly as typed."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Nudged(Message):
        """The temperature is to be turned by `steps` notches."""

        def __init__(self, steps: int) -> None:
            super().__init__()
            self.steps = steps

    class Left(Message):
        """Escape was pressed."""

    class Noticed(Message):
        """There is something else to be told about what is typed; `text` is "" when there is nothing any more."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(
        self,
        *,
        knows: Callable[[str], bool] | None = None,
        instead: Callable[[str], str] | None = None,
        earlier: Sequence[str] = (),
        placeholder: str = "",
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        """`knows`, `instead` and `earlier` are attributes too: set them when another model or session comes.

        Args:
            knows: whether the model has a character in its vocabulary; None for any.
            instead: what the model reads for a character it does not know, "" for nothing.
            earlier: the prompts before this one, the newest last.
            placeholder: what stands in an empty field.
        """
        super().__init__(
            soft_wrap=True,
            show_line_numbers=False,
            tab_behavior="focus",
            highlight_cursor_line=False,
            placeholder=Content(safe_line(placeholder)),
            id=id,
            classes=classes,
        )
        self.cursor_blink = False
        self.match_cursor_bracket = False
        self._knows, self.instead, self.earlier = knows, instead, earlier
        self._recalled = 0  # places from the end of the history; 0 for what is new
        # What stood at each place when it was left, for it may have been changed.
        self._typed: dict[int, str] = {}
        self._left_out = ""
        self._problems = ""
        self._unknown: frozenset[str] = frozenset()

    @property
    def knows(self) -> Callable[[str], bool] | None:
        """Whether the model knows a character."""
        return self._knows

    @knows.setter
    def knows(self, knows: Callable[[str], bool] | None) -> None:
        self._knows = knows
        self._look()
        self.notify_style_update()
        self.refresh()

    @property
    def problems(self) -> str:
        """What is to be told about what is typed, such as "the model does not know: é → e, 😀 dropped"; "" for nothing."""
        return self._problems

    def use(self, text: str) -> None:
        """Puts a text into the field and the cursor behind it; the next `↑` gives the newest of the earlier prompts."""
        self._recalled = 0
        self._typed.clear()
        self._put(text)

    def action_send(self) -> None:
        self.post_message(self.Submitted(self.text))

    def action_newline(self) -> None:
        self._type("\n")

    def action_nudge(self, steps: int) -> None:
        self.post_message(self.Nudged(steps))

    async def on_key(self, event: events.Key) -> None:
        key = event.key
        if key == "enter":
            self.action_send()
        elif key in _NEWLINE_KEYS:
            self.action_newline()
        elif key == "escape":
            self.post_message(self.Left())
        elif (key == "up" and self._in_row(0) and self._recall(1)) or (
            key == "down" and self._in_row(self.wrapped_document.height - 1) and self._recall(-1)
        ):
            pass
        elif event.is_printable and event.character is not None:
            self._type(event.character)
        else:
            await act_at_once(self, event)
            return
        event.stop()
        event.prevent_default()

    def on_paste(self, event: events.Paste) -> None:
        event.stop()
        event.prevent_default()
        self._type(event.text)

    def action_paste(self) -> None:
        self._type(self.app.clipboard)

    def on_text_area_changed(self) -> None:
        self._look()

    def get_line(self, line_index: int) -> Text:
        # One code point for one, so that columns stay; what has no picture cannot get in here.
        line = self.document.get_line(line_index)
        text = Text(safe_text(line), end="", no_wrap=True)
        if self._unknown:
            style = self._unknown_style()
            for column, character in enumerate(line):
                if character in self._unknown:
                    text.stylize(style, column, column + 1)
        return text

    def _unknown_style(self) -> Style:
        return self.get_component_rich_style("prompt--unknown", partial=True)

    def _put(self, text: str) -> None:
        self._left_out = ""
        self.load_text(self._accepted(text, MAX_CHARS))
        self.move_cursor(self.document.end)
        self._look()

    def _type(self, text: str) -> None:
        """Puts a text in the place of the selection, as much of it as there is room for."""
        self._left_out = ""
        start, end = sorted(self.selection)
        room = MAX_CHARS - len(self.text) + len(self.get_text_range(start, end))
        result = self.replace(self._accepted(text, room), start, end, maintain_selection_offset=False)
        self.move_cursor(result.end_location)
        self.scroll_cursor_visible()
        self._look()

    def _accepted(self, text: str, room: int) -> str:
        """`text` without what a field cannot show, cut to `room`; what was left out is told."""
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        whole = len(text)
        taken = text[: max(0, room)]
        shown = "".join(character for character in taken if safe_text(character) == character)
        told = []
        if whole > len(taken):
            told.append(
                f"The prompt holds at most {MAX_CHARS:,} characters; the last {whole - len(taken):,} were left out."
            )
        if len(shown) < len(taken):
            told.append(f"{len(taken) - len(shown):,} control characters were left out.")
        self._left_out = " ".join(told)
        return shown

    def _look(self) -> None:
        """Notes unknown characters, and tells when there is something else to tell."""
        knows = self._knows
        present = set(self.text)
        unknown = frozenset(character for character in present if knows is not None and not knows(character))
        if unknown != self._unknown:
            self._unknown = unknown
            self.notify_style_update()  # lines are cached by the text area
            self.refresh()
        problems = " ".join(part for part in (self._left_out, self._told_unknown()) if part)
        if problems != self._problems:
            self._problems = problems
            self.post_message(self.Noticed(problems))

    def _told_unknown(self) -> str:
        if not self._unknown:
            return ""
        text = self.text
        told = []
        for character in sorted(self._unknown, key=text.index)[:NAMED]:
            by = self.instead(character) if self.instead is not None else ""
            told.append(f"{visible(character)} → {visible(by)}" if by else f"{visible(character)} dropped")
        more = len(self._unknown) - len(told)
        return f"the model does not know: {', '.join(told)}" + (f" and {more:,} more" if more else "")

    def _in_row(self, row: int) -> bool:
        """Whether the cursor is in a row as it is wrapped."""
        return self.wrapped_document.location_to_offset(self.cursor_location).y == row

    def _recall(self, steps: int) -> bool:
        """Goes to an earlier prompt, or below 0 to a later one. Whether there is one."""
        there = self._recalled + steps
        if not 0 <= there <= len(self.earlier):
            return False
        self._typed[self._recalled] = self.text
        self._recalled = there
        self._put(self._typed[there] if there in self._typed else self.earlier[-there])
        return True
