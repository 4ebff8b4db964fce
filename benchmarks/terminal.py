"""A program in a terminal of its own: what a person would type goes in, and what the program draws comes out.

For benchmarks and for tests that kill, close and time the real thing. It is no emulator: what was drawn is searched as text, with the
escape sequences taken out.
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
from collections.abc import Mapping, Sequence
from types import TracebackType

_ESCAPES = re.compile(
    rb"\x1b(?:\[[0-9;:?<>=]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[PX^_][^\x1b]*\x1b\\|[()][A-Z0-9]|[=>78cDEHMNOZ])"
)


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
    ) -> None:
        """`size` is columns and lines; `environment` is added to ours."""
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        self.drawn = bytearray()
        self.began = time.perf_counter()
        self.process = subprocess.Popen(
            list(command),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", **(environment or {})},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
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

    def send(self, keys: str) -> None:
        """Types."""
        os.write(self._master, keys.encode())

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
