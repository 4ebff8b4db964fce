"""Small questions on top of a screen: a sentence with buttons, a line or a page of text, a choice from a list. Esc always means no."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, OptionList, Static, TextArea
from textual.widgets.option_list import Option

from engine.errors import TinygptError
from tinygpt_tui.safe_text import safe_line, safe_text
from tinygpt_tui.widgets.in_order import act_at_once


class SafeLine(Input):
    """A line that drops what a terminal would obey, as it may come with what is pasted."""

    def validate_value(self, value: str) -> str:
        return "".join(character for character in value if safe_line(character) == character)

    async def on_key(self, event: events.Key) -> None:
        await act_at_once(self, event)


class SafeField(TextArea):
    """Keeps a text exactly, and shows it so that nothing of it acts on the terminal."""

    def get_line(self, line_index: int) -> Text:
        return Text(safe_text(self.document.get_line(line_index)), end="", no_wrap=True)

    async def on_key(self, event: events.Key) -> None:
        await act_at_once(self, event)


def box_of(title: str, keys: str, classes: str | None = None) -> Vertical:
    """The frame of a dialog, with its title above and its keys below."""
    box = Vertical(id="box", classes=classes)
    box.border_title = title_of(title)
    box.border_subtitle = Content(keys)
    return box


def title_of(text: str) -> Text:
    """Any text as the title of a border, where a plain one would be parsed as markup."""
    return Text(safe_line(text))


def taken(dialog: ModalScreen[str | None], take: Callable[[str], object] | None, answer: str) -> bool:
    """Hands an answer to `take`, if there is one; why it is refused is said in the dialog. Whether it was taken."""
    try:
        if take is not None:
            take(answer)
    except TinygptError as error:
        dialog.query_one("#refused", Static).update(safe_text(str(error)))
        return False
    return True


class Confirm(ModalScreen[str | None]):
    """A sentence and buttons; gives back the id of the one that was pressed, or None."""

    AUTO_FOCUS = "Button"  # and not the message, which can be scrolled
    BINDINGS: ClassVar[list[BindingType]] = [("escape", "dismiss(None)", "close")]

    def __init__(self, title: str, message: str, buttons: Sequence[tuple[str, str]]) -> None:
        """`buttons` are (id, label), the first one focused."""
        super().__init__(classes="dialog")
        self._title, self._message, self._buttons = title, message, buttons

    def compose(self) -> ComposeResult:
        with box_of(self._title, "⏎ press · tab next · esc close"):
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
    """One line of text; gives it back, or None. What cannot be taken is said in the dialog, which stays open."""

    BINDINGS: ClassVar[list[BindingType]] = [("escape", "dismiss(None)", "close")]

    def __init__(
        self,
        title: str,
        message: str = "",
        value: str = "",
        placeholder: str = "",
        take: Callable[[str], object] | None = None,
    ) -> None:
        """`take` gets the answer before it is given back, and refuses it with a `TinygptError`."""
        super().__init__(classes="dialog")
        self._title, self._message, self._value, self._placeholder = title, message, value, placeholder
        self._take = take

    def compose(self) -> ComposeResult:
        with box_of(self._title, "⏎ take it · esc close"):
            if self._message:
                yield Static(safe_text(self._message), markup=False)
            yield SafeLine(value=safe_line(self._value), placeholder=self._placeholder)
            yield Static("", id="refused", markup=False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        # What was not changed is given back as it was, and not as it could be shown.
        answer = self._value if event.value == safe_line(self._value) else event.value
        if taken(self, self._take, answer):
            self.dismiss(answer)


class AskText(ModalScreen[str | None]):
    """A page of text to change; gives it back, or None if it stays as it was. What cannot be taken is said as by `AskLine`."""

    BINDINGS: ClassVar[list[BindingType]] = [("escape", "dismiss(None)", "close")]

    def __init__(
        self, title: str, value: str, placeholder: str = "", take: Callable[[str], object] | None = None
    ) -> None:
        """`take` as for `AskLine`; it is asked about a changed text only."""
        super().__init__(classes="dialog")
        self._title, self._value, self._placeholder = title, value, placeholder
        self._take = take

    def compose(self) -> ComposeResult:
        with box_of(self._title, "tab to the buttons · esc close", "page"):
            yield SafeField(self._value, id="field", soft_wrap=True, placeholder=Content(self._placeholder))
            yield Static("", id="refused", markup=False)
            with Horizontal(id="buttons"):
                yield Button("Keep it", id="keep", variant="primary")
                yield Button("Cancel", id="cancel")

    def on_mount(self) -> None:
        field = self.query_one(TextArea)
        field.cursor_blink = False
        field.move_cursor(field.document.end)
        field.focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        text = self.query_one(TextArea).text
        if event.button.id != "keep" or text == self._value:
            self.dismiss(None)
        elif taken(self, self._take, text):
            self.dismiss(text)


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
        with box_of(self._title, "⏎ choose · ↑↓ move · esc close"):
            yield SafeLine(placeholder="type to narrow the list")
            yield OptionList(id="options", markup=False)

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
            nothing = "Nothing here matches that." if self._options else self._empty
            options.add_option(Option(Text(nothing), disabled=True))
