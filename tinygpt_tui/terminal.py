"""The terminal as Textual draws in it, made safe for being closed while it is drawn in.

Textual writes in a thread of its own. When writing fails that thread ends, and whoever draws then waits for it for ever: a playground
that can neither be seen nor ended.
"""

from __future__ import annotations

import os
import sys
from typing import Any, TextIO, cast

from textual.drivers.linux_driver import LinuxDriver


class TerminalDriver(LinuxDriver):
    """Textual's, but what can no longer be written is dropped."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._file = cast(Any, _Dropping(cast(TextIO, self._file)))


class _Dropping:
    """A file that stays open to its writers when what it is written to has gone."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._gone = False

    def write(self, text: str) -> None:
        if not self._gone:
            try:
                self._file.write(text)
            except OSError:
                self._gone = True

    def flush(self) -> None:
        if not self._gone:
            try:
                self._file.flush()
            except OSError:
                self._gone = True

    def fileno(self) -> int:
        return self._file.fileno()


def is_closed() -> bool:
    """Whether the terminal we were started in was closed. Not everybody who closes one sends SIGHUP."""
    return not os.isatty(sys.__stdin__.fileno()) if sys.__stdin__ is not None else True


def let_go() -> None:
    """If it was closed, whatever is still said goes nowhere, instead of failing."""
    if is_closed():
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (1, 2):
            os.dup2(nowhere, stream)
        os.close(nowhere)
