"""Settings: every row of the schema with its value and where that comes from; Enter changes it, and it acts and is saved at once.

The screen knows no setting by name: a new row of the schema appears here by itself. Keys are the one exception, since their values
are one for each action.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from engine.errors import UsageError
from tinygpt_tui.actions import ACTIONS, BY_ID, keymap, shown_keys
from tinygpt_tui.bindings import bindings
from tinygpt_tui.safe_text import safe_line, safe_text
from tinygpt_tui.screens.dialogs import AskLine, Choose
from tinygpt_tui.screens.mode_screen import ModeScreen
from tinygpt_tui.settings import SCHEMA, Entry, entry
from tinygpt_tui.settings_sources import Origin
from tinygpt_tui.widgets.rows import Rows

ROOM_FOR_ORIGIN = 100  # columns of a screen whose rows also say where a value comes from


class SettingRows(Rows, inherit_bindings=False):
    """Rows to move between; what changes one has its key in the registry."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "cursor_up", "previous", show=False),
        Binding("down", "cursor_down", "next", show=False),
        Binding("pageup", "page_up", "page up", show=False),
        Binding("pagedown", "page_down", "page down", show=False),
        Binding("home", "first", "first", show=False),
        Binding("end", "last", "last", show=False),
    ]


class SettingsScreen(ModeScreen):
    """The schema as a list."""

    mode = "settings"
    CSS_PATH = "settings.tcss"
    BINDINGS: ClassVar[list[Any]] = bindings("settings")
    HELP = "Choose a setting and change it: it acts at once, and is saved at once in your settings file, whose comments stay."

    def compose_body(self) -> ComposeResult:
        with Vertical(id="settings", classes="panel") as panel:
            panel.border_title = "settings"
            yield SettingRows(id="rows", markup=False)
            yield Static("", id="about", markup=False)

    def on_mount(self) -> None:
        self.world.settings.listen(lambda key: self._fill())
        self._fill()
        self.query_one("#rows").focus()

    def on_screen_resume(self) -> None:
        self._fill()

    def on_resize(self, event: events.Resize) -> None:
        self._fill()

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        if event.option_id is not None:
            self.query_one("#about", Static).update(self._about(event.option_id))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.action_change()

    def action_change(self) -> None:
        """Asks for another value of the setting."""
        if (key := self._highlighted()) is None:
            return
        found = entry(key)
        if found.kind is dict:
            self._ask_for_action()
        elif choices := self._choices(found):
            options = [(choice, choice) for choice in choices]
            current = str(self.world.settings.value(key))
            self.app.push_screen(Choose(key, options, current=current), lambda chosen: self._set(key, chosen))
        else:
            value = str(self.world.settings.value(key))
            self.app.push_screen(
                AskLine(
                    key,
                    f"{found.about.help}: {found.expected}",
                    value,
                    take=lambda text: self.world.settings.set(key, text),
                ),
                lambda text: self._told_of(key, text),
            )

    def action_default(self) -> None:
        """Takes the setting back to its default."""
        if (key := self._highlighted()) is None:
            return
        if entry(key).kind is dict:
            for id in list(self.world.settings.value(key)):
                self.playground.try_to(lambda id=id: self.world.settings.unset(f"{key}.{id}"))  # type: ignore[misc]
        else:
            self.playground.try_to(lambda: self.world.settings.unset(key))

    def action_file(self) -> None:
        self.playground.tell(f"The settings file is {self.world.settings.path}.", seconds=10)

    def _set(self, key: str, value: str | None) -> None:
        if value is not None and self.playground.try_to(lambda: self.world.settings.set(key, value)):
            self._told_of(key, value)

    def _told_of(self, key: str, value: str | None) -> None:
        if value is not None:
            self.playground.tell(f"{key} is {value}", seconds=3)

    def _ask_for_action(self) -> None:
        own = self.playground.own_keys
        options = [(a.id, f"{a.id:<24} {shown_keys(a, own):<14} {a.help}") for a in ACTIONS]
        self.app.push_screen(Choose("keys: choose an action", options), self._ask_for_keys)

    def _ask_for_keys(self, id: str | None) -> None:
        if id is None:
            return
        message = f"{BY_ID[id].help}. Its keys, separated by commas, such as ctrl+r or r,R; empty for its own again ({BY_ID[id].keys})"

        def set_keys(text: str) -> None:
            book, key = self.world.settings, f"ui.keys.{id}"
            if not text.strip():
                book.unset(key)
            elif id not in (checked := keymap({id: text.strip()})).keys:
                raise UsageError(" ".join(checked.problems))
            else:
                book.set(key, text.strip())

        self.app.push_screen(
            AskLine(id, message, self.playground.own_keys.get(id, BY_ID[id].keys), take=set_keys)
        )

    def _choices(self, found: Entry) -> tuple[str, ...]:
        if found.key == "ui.theme":
            return ("auto", *sorted(self.app.available_themes))
        return found.about.choices

    def _highlighted(self) -> str | None:
        rows = self.query_one("#rows", OptionList)
        if rows.highlighted is None:
            return None
        id: str | None = rows.get_option_at_index(rows.highlighted).id
        return id

    def _fill(self) -> None:
        """Writes the list anew and keeps the row that was chosen."""
        if not self.is_running:  # one that was made anew
            return
        rows = self.query_one("#rows", OptionList)
        chosen = self._highlighted()
        rows.clear_options()
        rows.add_options(list(self._rows()))
        ids = [rows.get_option_at_index(i).id for i in range(rows.option_count)]
        rows.highlighted = (
            ids.index(chosen) if chosen and chosen in ids else next(i for i, id in enumerate(ids) if id)
        )
        self.query_one("#about", Static).update(self._about(str(ids[rows.highlighted])))

    def _rows(self) -> Iterator[Option]:
        section = ""
        for found in SCHEMA.values():
            if found.section != section:
                section = found.section
                yield Option(Text(section, style="bold underline"), disabled=True)
            yield Option(self._row(found), id=found.key)

    def _row(self, found: Entry) -> Text:
        book = self.world.settings
        value, origin = book.value(found.key), book.origin(found.key)
        shown = _in_words(found, value)
        row = Text(f"  {found.key.partition('.')[2]:<16}", no_wrap=True, end="")
        row.append(f"{shown:<19} ", style="bold" if origin is not Origin.DEFAULT else "")
        if self.size.width >= ROOM_FOR_ORIGIN:
            row.append(f"{'' if origin is Origin.DEFAULT else origin.value:<12}", style="dim")
        row.append(safe_line(found.about.help), style="dim")
        return row

    def _about(self, key: str) -> str:
        found, book = entry(key), self.world.settings
        lines = [
            f"{found.about.help}: {found.expected}.",
            f"default {_in_words(found, found.default)}; now from: {book.origin(key).value}",
        ]
        if found.env:
            lines[1] += f"; in the environment {found.env}; on the command line: tinygpt config set {key} …"
        if book.problem:
            lines.append(book.problem)
        return safe_text("\n".join(lines))


def _in_words(found: Entry, value: object) -> str:
    """A value of a setting as it is shown."""
    if isinstance(value, Mapping):
        return f"{len(value)} of your own" if value else "none of your own"
    return f"0: {found.about.zero}" if value == 0 and found.about.zero else safe_line(str(value))


def make_screen() -> SettingsScreen:
    return SettingsScreen()
