"""Stand-in."""

from __future__ import annotations

from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.widgets import Input, Static

from tinygpt_tui.bindings import bindings
from tinygpt_tui.screens.mode_screen import ModeScreen


class PlayScreen(ModeScreen):
    mode = "play"
    BINDINGS: ClassVar[list[Any]] = bindings("play")

    def compose_body(self) -> ComposeResult:
        yield Static("play", markup=False)
        yield Input()


def make_screen() -> PlayScreen:
    return PlayScreen()
