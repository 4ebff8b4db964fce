"""Stand-in."""

from __future__ import annotations

from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.widgets import Input, Static

from tinygpt_tui.bindings import bindings
from tinygpt_tui.screens.mode_screen import ModeScreen


class WelcomeScreen(ModeScreen):
    mode = "welcome"
    BINDINGS: ClassVar[list[Any]] = bindings("welcome")

    def compose_body(self) -> ComposeResult:
        yield Static("welcome", markup=False)
        yield Input()


def make_screen() -> WelcomeScreen:
    return WelcomeScreen()
