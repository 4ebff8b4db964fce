"""A program in a terminal of its own: what a person would type goes in, and what the program draws comes out.

For benchmarks and for tests that kill, close and time the real thing. What was drawn can be searched as text, with the escape sequences
taken out, or looked at as the screen it makes: for that it knows what the playground draws with, which is far less than a terminal does.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.cells import cell_len

_ESCAPES = re.compile(
    rb"\x1b(?:\[[0-9;:?<>=]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[PX^_][^\x1b]*\x1b\\|[()][A-Z0-9]|[=>78cDEHMNOZ])"
)
_PLACE = re.compile(rb"\x1b\[(\d*)(?:;(\d*))?H")
_MODE = re.compile(rb"\x1b\[\?(\d+)([hl])")


def _begin_in_a_terminal() -> None:
    # We may have been started by nohup, but a new terminal's child hears when it is closed.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Terminal:
    """A child process whose controlling terminal is ours.

    Attributes:
        process: the child.
        drawn: everything it has written so far, escape sequences included.
    """

    def __init__(
        self,
        command: Sequence[str],
        size: tuple[int, int] = (120, 40),
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        """`size` is columns and lines; `environment` is added to ours."""
        self._size = size
        self._seen = 0  # bytes of what was drawn that are on the screen
        self._cursor = (0, 0)  # line and column
        self._cells: list[list[str]] = []
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        self.drawn = bytearray()
        self.began = time.perf_counter()
        self.process = subprocess.Popen(
            list(command),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=cwd,
            env={**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", **(environment or {})},
            start_new_session=True,
            preexec_fn=_begin_in_a_terminal,
        )
        os.close(slave)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.hang_up()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def send(self, keys: str | bytes) -> None:
        """Types; bytes, as a terminal of another encoding may send them."""
        os.write(self._master, keys.encode() if isinstance(keys, str) else keys)

    def read(self, seconds: float) -> bytes:
        """What it draws within so many seconds, at the first sign of anything; b"" if nothing came or it has gone."""
        if self._master < 0 or not select.select([self._master], [], [], max(0.0, seconds))[0]:
            return b""
        try:
            data = os.read(self._master, 1 << 16)
        except OSError:  # Linux says so when the other side is closed
            data = b""
        self.drawn += data
        return data

    def wait_for(self, text: str, seconds: float = 20.0, start: int | None = None) -> float:
        """Reads until `text` has been drawn behind `start` (by default: from now on); when, in seconds of `time.perf_counter`.

        Raises:
            TimeoutError: it was not; the message ends with what was drawn.
        """
        start = len(self.drawn) if start is None else start
        deadline = time.perf_counter() + seconds
        while (left := deadline - time.perf_counter()) > 0:
            data = self.read(left)
            now = time.perf_counter()
            if data and text in self.text(start):
                return now
            if not data and self.process.poll() is not None:
                break
        raise TimeoutError(f"{text!r} was not drawn; the last of what was: {self.text(start)[-2000:]!r}")

    def text(self, start: int = 0) -> str:
        """What was drawn, without the escape sequences."""
        return _ESCAPES.sub(b"", bytes(self.drawn[start:])).decode("utf-8", "replace")

    def wait_until(self, shows: Callable[[str], object], seconds: float = 60.0) -> str:
        """Reads until the screen shows what is wanted; the screen then.

        Raises:
            TimeoutError: it does not; the message ends with the screen.
        """
        deadline = time.perf_counter() + seconds
        while not shows(screen := self.screen()):
            if time.perf_counter() > deadline or (not self.read(0.1) and self.process.poll() is not None):
                raise TimeoutError(f"waited in vain; the screen:\n{self.screen()}")
        return screen

    def ended(self, seconds: float = 60.0) -> int:
        """Reads until the child has ended and all it wrote is read; its exit code.

        Raises:
            TimeoutError: it does not end.
        """
        deadline = time.perf_counter() + seconds
        while self.read(0.1) or self.process.poll() is None:
            if time.perf_counter() > deadline:
                raise TimeoutError(f"it does not end; the screen:\n{self.screen()}")
        return self.process.wait()

    def screen(self) -> str:
        """What stands on the screen now, as lines without colours or trailing blanks."""
        columns, lines = self._size
        if not self._cells:
            self._cells = [[" "] * columns for _ in range(lines)]
        data = bytes(self.drawn[self._seen :])
        # The rest of a sequence or of a character may be still to come.
        end = len(data) if (last := data.rfind(b"\x1b")) < 0 or _ESCAPES.match(data, last) else last
        data = data[:end].decode("utf-8", "ignore").encode() if end == len(data) else data[:end]
        self._seen += len(data)
        at = 0
        for escape in _ESCAPES.finditer(data):
            self._put(data[at : escape.start()].decode("utf-8", "replace"))
            at = escape.end()
            if place := _PLACE.fullmatch(escape.group()):
                self._cursor = (int(place[1] or 1) - 1, int(place[2] or 1) - 1)
            elif escape.group() in (b"\x1b[2J", b"\x1b[?1049h", b"\x1b[?1049l"):
                self._cells = [[" "] * columns for _ in range(lines)]
        self._put(data[at:].decode("utf-8", "replace"))
        return "\n".join("".join(line).rstrip() for line in self._cells)

    def _put(self, text: str) -> None:
        line, column = self._cursor
        for c in text:
            if c in "\r\n":
                line, column = (line, 0) if c == "\r" else (line + 1, column)
            elif c >= " " and (width := cell_len(c)) and line < self._size[1] and column < self._size[0]:
                # The second cell of a wide character holds nothing.
                self._cells[line][column : column + width] = [c, *[""] * (width - 1)]
                column += width
        self._cursor = (line, column)

    def modes(self) -> dict[int, bool]:
        """Every private mode that was ever set or reset, such as 1049 for the other screen, and whether it is set."""
        return {int(mode[1]): mode[2] == b"h" for mode in _MODE.finditer(self.drawn)}

    def attributes(self) -> list[Any]:
        """How the terminal treats what is typed and written, as `termios.tcgetattr`."""
        return termios.tcgetattr(self._master)

    def idle(self, seconds: float) -> None:
        """Lets it draw for so long."""
        deadline = time.perf_counter() + seconds
        while (left := deadline - time.perf_counter()) > 0:
            self.read(left)

    def hang_up(self) -> None:
        """Closes the window: the child hears SIGHUP."""
        if self._master >= 0:
            os.close(self._master)
            self._master = -1

    def kill(self) -> None:
        """Ends the child without a word of warning, and waits until it is gone."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
