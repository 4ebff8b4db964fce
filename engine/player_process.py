"""The player as a process: its pipes, its signals, and the folder its runs lie in.

It reads requests from stdin and writes replies to stdout, one JSON object a line (`engine.protocol`), and
nothing else. It never writes a file and dies with whoever started it. Left out: what it answers
(`engine.player`).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import signal
from collections.abc import Sequence
from pathlib import Path

from engine import protocol, wire
from engine.checkpoint import At
from engine.errors import UsageError
from engine.loading import load
from engine.manifest import step_of
from engine.player import Player, Weights
from engine.runs import RunFolder, check_name
from engine.starter import folder_of
from models import kernel


class Inbox:
    """Lines from a file descriptor, read between two characters: a thread would hand them over late."""

    def __init__(self, fd: int, wake_fd: int) -> None:
        """A byte on `wake_fd` counts as the end of the input."""
        self._fd, self._wake_fd = fd, wake_fd
        self._buffer = bytearray()
        self._skipping = False  # the rest of a line that was too long
        self._ended = False

    def get(self, timeout: float | None) -> bytes | None:
        """The next line, b"" at the end of the input, None after `timeout` seconds or half a line."""
        line = self._line()
        if line is not None or self._ended:
            return line or b""
        ready, _, _ = select.select([self._fd, self._wake_fd], [], [], timeout)
        if self._wake_fd in ready:
            self._ended = True
            return b""
        if not ready:
            return None
        chunk = os.read(self._fd, 1 << 16)
        self._ended = not chunk
        self._buffer += chunk or b"\n"  # a last line may lack its end
        line = self._line()
        return b"" if line is None and self._ended else line

    def _line(self) -> bytes | None:
        """The next line in the buffer that is not blank; one that is too long as far as it has come."""
        while (end := self._buffer.find(b"\n")) >= 0:
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            if not self._skipping and line.strip():
                return line
            self._skipping = False
        if self._skipping:
            self._buffer.clear()
        elif len(self._buffer) > wire.MAX_LINE:
            line = bytes(self._buffer)
            self._buffer.clear()
            self._skipping = True
            return line
        return None


class RunLibrary:
    """The runs of one folder, or, without one, the run folders that the requests name."""

    def __init__(self, runs_dir: Path | None) -> None:
        self._runs_dir = runs_dir

    def load(self, run: str, at: str) -> Weights:
        which: At = int(at) if at.isdecimal() else "last" if at == "last" else "best"
        return load(self._folder(run), which, to_write=True)

    def newest(self, run: str) -> int | None:
        try:
            steps = [step_of(path) for path in self._folder(run).checkpoints.iterdir()]
        except OSError:
            return None
        return max((step for step in steps if step is not None), default=None)

    def is_training(self, run: str) -> bool:
        return self._folder(run).is_locked()

    def _folder(self, run: str) -> RunFolder:
        if self._runs_dir is None:
            if "\0" in run:
                raise UsageError("A path cannot hold a null character.")
            return RunFolder(Path(run))
        check_name(run)
        return folder_of(self._runs_dir, run)


def main(argv: Sequence[str]) -> int:
    """Plays on stdin and stdout until either is closed. 0, or 128 + the signal that ended it."""
    parser = argparse.ArgumentParser(prog="python -m engine play", description="Plays a run over a pipe.")
    parser.add_argument("--runs", type=Path, help="the folder of the runs; without it requests name paths")
    parser.add_argument("--threads", type=int, choices=range(1, 257), metavar="N", help="1 to 256")
    parser.add_argument("--kernels", type=Path, help="where compiled kernels lie; without it none is used")
    options = parser.parse_args(argv)
    kernel.use(options.kernels)
    kernel.library()  # if there is none yet, it is made while a person chooses what to do
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    signals: list[int] = []

    def leave(signum: int, _frame: object) -> None:
        signals.append(signum)
        with contextlib.suppress(BlockingIOError):
            os.write(wake_write, b"!")

    for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(signum, leave)
    # Replies get a descriptor of their own, so that no stray print of a library can end up among them.
    out = os.dup(1)
    os.dup2(2, 1)

    def send(reply: protocol.Reply) -> None:
        rest = memoryview(protocol.to_line(reply))
        while rest:
            # Whoever has stopped reading must not keep us from leaving, so only what there is room for is written.
            _, room, _ = select.select([wake_read], [out], [])
            if not room:
                raise BrokenPipeError
            rest = rest[os.write(out, rest[: select.PIPE_BUF]) :]

    player = Player(RunLibrary(options.runs), Inbox(0, wake_read), send, threads=options.threads)
    with contextlib.suppress(BrokenPipeError):
        player.run()
    return 128 + signals[0] if signals else 0
