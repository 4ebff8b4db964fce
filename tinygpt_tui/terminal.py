"""The terminal as Textual draws in it, made safe for being closed while it is drawn in, and for whatever is typed.

Textual writes in a thread of its own. When writing fails that thread ends, and whoever draws then waits for it for ever: a playground
that can neither be seen nor ended. And it ends at the first byte that is no UTF-8, as terminals of other encodings send, or at a
sequence with a number that means nothing.
"""

from __future__ import annotations

import codecs
import os
import select
import sys
import termios
from contextlib import suppress
from functools import partial
from typing import Any, TextIO, cast

from textual.drivers import linux_driver
from textual.drivers.linux_driver import LinuxDriver

# The mouse, pasting, wrapped lines, how keys are reported, the other screen, the cursor, and news of the focus: as they are by default.
_AS_IT_WAS = b"\x1b[?1000l\x1b[?1003l\x1b[?1015l\x1b[?1006l\x1b[?1016l\x1b[?2048l\x1b[?2004l\x1b[?7h\x1b[<u\x1b[?1049l\x1b[?25h\x1b[?1004l"


def _forgiving(encoding: str) -> Any:
    """What makes decoders that put U+FFFD in place of a byte that is no text."""
    return partial(codecs.getincrementaldecoder(encoding), errors="replace")


linux_driver.getincrementaldecoder = _forgiving  # type: ignore[attr-defined]


class TerminalDriver(LinuxDriver):
    """Textual's, but what can no longer be written is dropped, and the terminal can be given back at any moment."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._screen = _Dropping(cast(TextIO, self._file))
        self._file = cast(Any, self._screen)

    def _run_input_thread(self) -> None:
        while not self.exit_event.is_set():
            # A sequence that no terminal should send: what was read with it is dropped, and reading goes on.
            with suppress(Exception):
                # A terminal that is gone is the end of it; others notice that.
                with suppress(OSError):
                    self.run_input_thread()
                return

    def give_back(self) -> None:
        """Makes the terminal what it was, as far as that goes without waiting for anything: the next thing is the end of the process."""
        with suppress(OSError, ValueError, termios.error):
            if self.attrs_before is not None:
                termios.tcsetattr(self.fileno, termios.TCSANOW, self.attrs_before)
            # One that takes nothing would keep us for ever.
            if self._screen.is_ours and select.select([], [self._screen.fileno()], [], 0)[1]:
                os.write(self._screen.fileno(), _AS_IT_WAS)


class _Dropping:
    """A file that stays open to its writers when what it is written to has gone.

    Attributes:
        is_ours: the other screen is shown, on which we draw.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._gone = False
        self.is_ours = False

    def write(self, text: str) -> None:
        if "\x1b[?1049" in text:
            self.is_ours = "\x1b[?1049h" in text
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
