"""Small questions on top of a screen: a sentence with buttons, a line of text, a choice from a list. Esc always means no."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Input, OptionList, Static
from textual.widgets.option_list import Option

from tinygpt_tui.safe_text import safe_line, safe_text


def title_of(text: str) -> Text:
    """Any text as the title of a border, where a plain one would be parsed as markup."""
    return Text(safe_line(text))


class Confirm(ModalScreen[str | None]):
    """A sentence and buttons; gives back the id of the one that was pressed, or None."""

    AUTO_FOCUS = "Button"  # and not the message, which can be scrolled
    BINDINGS: ClassVar[list[BindingType]] = [("escape", "dismiss(None)", "close")]

    def __init__(self, title: str, message: str, buttons: Sequence[tuple[str, str]]) -> None:
        """`buttons` are (id, label), the first one focused."""
        super().__init__(classes="dialog")
        self._title, self._message, self._buttons = title, message, buttons

    def compose(self) -> ComposeResult:
        box = Vertical(id="box")
        box.border_title = title_of(self._title)
        with box:
            with VerticalScroll(id="message"):
                yield Static(safe_text(self._message), markup=False)
            with Horizontal(id="buttons"):
                for number, (id, label) in enumerate(self._buttons):
                    yield Button(Text(label), id=id, variant="primary" if number == 0 else "default")

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id)


class Trouble(Confirm):
    """Something broke. Nothing beneath is drawn, since that may be what cannot be drawn."""

    def __init__(self, message: str) -> None:
        super().__init__(
            "something broke",
            message,
            (("reload", "Reload this screen"), ("stay", "Go on"), ("quit", "Leave")),
        )
        self.add_class("opaque")


class AskLine(ModalScreen[str | None]):
    """One line of text; gives it back, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [("escape", "dismiss(None)", "close")]

    def __init__(self, title: str, message: str = "", value: str = "", placeholder: str = "") -> None:
        super().__init__(classes="dialog")
        self._title, self._message, self._value, self._placeholder = title, message, value, placeholder

    def compose(self) -> ComposeResult:
        box = Vertical(id="box")
        box.border_title = title_of(self._title)
        with box:
            if self._message:
                yield Static(safe_text(self._message), markup=False)
            yield Input(value=safe_line(self._value), placeholder=self._placeholder)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.dismiss(event.value)


class Choose(ModalScreen[str | None]):
    """A list to choose from by typing a part of it or by arrow keys; gives back the id that was chosen, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape", "dismiss(None)", "close"),
        ("down", "move(1)", "next"),
        ("up", "move(-1)", "previous"),
    ]

    def __init__(
        self,
        title: str,
        options: Sequence[tuple[str, str]],
        empty: str = "There is nothing to choose.",
        current: str = "",
    ) -> None:
        """`options` are (id, text); `empty` is said when there are none; `current` is the id to begin at."""
        super().__init__(classes="dialog")
        self._title, self._options, self._empty, self._current = title, options, empty, current

    def compose(self) -> ComposeResult:
        box = Vertical(id="box")
        box.border_title = title_of(self._title)
        with box:
            yield Input(placeholder="type to narrow the list")
            yield OptionList(id="options")

    def on_mount(self) -> None:
        self._fill("")

    def on_input_changed(self, event: Input.Changed) -> None:
        self._fill(event.value)

    def on_input_submitted(self) -> None:
        self.query_one(OptionList).action_select()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option_id)

    def action_move(self, by: int) -> None:
        options = self.query_one(OptionList)
        if by > 0:
            options.action_cursor_down()
        else:
            options.action_cursor_up()

    def _fill(self, wanted: str) -> None:
        words = wanted.casefold().split()
        options = self.query_one(OptionList)
        options.clear_options()
        shown = [(id, text) for id, text in self._options if all(word in text.casefold() for word in words)]
        options.add_options(Option(Text(safe_line(text)), id=id) for id, text in shown)
        if shown:
            ids = [id for id, _ in shown]
            options.highlighted = ids.index(self._current) if self._current in ids else 0
        else:
            options.add_option(Option(Text(self._empty), disabled=True))
