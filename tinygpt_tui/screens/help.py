"""The page of keys: what the focused part does, and every action of the screen beneath and of the playground."""

from __future__ import annotations

import inspect
import re
from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from tinygpt_tui.actions import actions_of, shown_keys
from tinygpt_tui.safe_text import safe_text


def plain(about: str) -> Text:
    """A widget's help, which may be written in Markdown, as lines: headings bold, entries with a dot, and nothing of the marks."""
    text = Text()
    for number, line in enumerate(inspect.cleandoc(safe_text(about)).splitlines()):
        text.append("\n" if number else "")
        heading, entry = re.match(r"#+\s+(.*)", line), re.match(r"(\s*)[*-]\s+(.*)", line)
        if heading is not None:
            text.append(heading[1].replace("`", ""), "bold")
            continue
        rest = line
        if entry is not None:
            text.append(f"{entry[1]}· ")
            rest = entry[2]
        for part, said in enumerate(re.split(r"`([^`]*)`|\*\*([^*]+)\*\*", rest)):
            if said:
                text.append(said, "bold" if part % 3 else "")
    return text


class HelpScreen(ModalScreen[None]):
    """Everything one can press here."""

    BINDINGS: ClassVar[list[BindingType]] = [("escape,question_mark,f1,q", "dismiss(None)", "close")]

    def __init__(self, scope: str, about: str, keys: dict[str, str]) -> None:
        """`about` is of the focused part; `keys` holds a person's own keys by action id."""
        super().__init__(classes="dialog")
        self._scope, self._about, self._keys = scope, about, keys

    def compose(self) -> ComposeResult:
        box = VerticalScroll(id="box")
        box.border_title = "help"
        box.border_subtitle = "esc closes"
        with box:
            if self._about:
                yield Static(plain(self._about).append("\n"))
            yield Static(self._table(self._scope))
            yield Static(Text("\nEverywhere", style="bold"))
            yield Static(self._table("app"))

    def on_mount(self) -> None:
        self.query_one("#box").focus()

    def _table(self, scope: str) -> Table:
        table = Table.grid(padding=(0, 2))
        table.add_column(no_wrap=True, style="bold")
        table.add_column()
        for action in actions_of(scope):
            table.add_row(Text(shown_keys(action, self._keys)), Text(f"{action.label}: {action.help}"))
        return table
