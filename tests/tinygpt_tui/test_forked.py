"""The process that forks commands for other tests tells of each one's end, however early it comes."""

from __future__ import annotations

import array
import fcntl
import termios
from pathlib import Path

import pytest

from tests.tinygpt_tui.forked import Order, Server
from tests.tinygpt_tui.survival import until


class SlowPipe:
    """The way to the server, whose user sleeps until the command has come and gone."""

    def __init__(self, server: Server) -> None:
        self._server, self._pipe = server._process, server._process.stdin

    def write(self, line: bytes) -> None:
        assert self._pipe
        self._pipe.write(line)
        children = Path(f"/proc/{self._server.pid}/task/{self._server.pid}/children")
        until(lambda: self._told() and not children.read_text(), "the end")

    def _told(self) -> int:
        """How many bytes of answers are in the pipe."""
        assert self._server.stdout
        found = array.array("i", [0])
        fcntl.ioctl(self._server.stdout, termios.FIONREAD, found)
        return found[0]


def test_a_command_that_ended_before_its_number_was_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Server() as server:
        with monkeypatch.context() as slow:
            slow.setattr(server._process, "stdin", SlowPipe(server))
            child = server.fork(Order(["--version"], str(tmp_path), str(tmp_path)))
        assert child.gone()
        assert child.ended() == 0
        assert child.out().startswith("tinygpt ")
