"""Stand-in."""

from __future__ import annotations

from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.widgets import Input, Static

from tinygpt_tui.bindings import bindings
from tinygpt_tui.screens.mode_screen import ModeScreen


class CorpusScreen(ModeScreen):
    mode = "corpus"
    BINDINGS: ClassVar[list[Any]] = bindings("corpus")

    def compose_body(self) -> ComposeResult:
        yield Static("corpus", markup=False)
        yield Input()


def make_screen() -> CorpusScreen:
    return CorpusScreen()
