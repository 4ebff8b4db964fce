"""A process that has loaded everything and forks a `tinygpt` of its own for each command: fifty real processes, and torch is loaded once.

A command may be held at a place in the program: it says when it has come there, and goes on when it is told to. Whatever signal comes
meanwhile is handled as it would be anywhere else in that place.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import select
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.tinygpt_tui.survival import ROOT, until

# Where a command can be held: the function, and at its how manieth call.
PLACES = {
    "reading": ("engine.large_text", "corpus_of", 1),
    "preparing": ("engine.trainer", "prepare", 1),
    "training": ("engine.training", "Training._update", 8),
    "evaluating": ("engine.training", "validation_loss", 2),
    "sampling": ("engine.training", "generate", 3),
    "saving": ("engine.storage", "publish", 3),  # the first is the run's folder
}


@dataclass
class Order:
    """What is to be forked.

    Attributes:
        arguments: of `tinygpt`. folder: the current one, where `out` and `err` are written, too.
        place: of `PLACES`, to be held at, or to fail at with `error`, the name of an exception; "" for none.
        terminal: the path of one to run in, in place of `out` and `err`. environment: added to the server's.
    """

    arguments: Sequence[str]
    folder: str
    home: str
    place: str = ""
    error: str = ""
    terminal: str = ""
    environment: dict[str, str] = field(default_factory=dict)


@dataclass
class Child:
    """A command that was forked, and is a child of the server."""

    pid: int
    folder: Path
    _server: Server

    def reached(self) -> None:
        """Waits until it has come to the place where it is held."""
        until(lambda: (self.folder / "reached").exists() or self.gone(), "the place")
        assert (self.folder / "reached").exists(), "it ended before"

    def go_on(self) -> None:
        (self.folder / "go-on").touch()

    def send(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def gone(self) -> bool:
        """Whether it has ended; the server has not forgotten it, so its number is nobody else's."""
        stat = Path(f"/proc/{self.pid}/stat")
        try:
            return stat.read_text().rpartition(")")[2].split()[0] == "Z"
        except OSError:
            return True

    def ended(self) -> int:
        """Waits for its end; the exit code, negative if a signal killed it."""
        return self._server.wait()

    def out(self) -> str:
        return (self.folder / "out").read_text()

    def err(self) -> str:
        return (self.folder / "err").read_text()

    def told(self) -> list[dict[str, Any]]:
        """What it printed with --json."""
        return [json.loads(line) for line in self.out().splitlines()]


@dataclass
class Server:
    """The process that forks, one command at a time."""

    _process: subprocess.Popen[bytes] = field(init=False)
    _child: int = 0

    def __enter__(self) -> Server:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.tinygpt_tui.forked"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,  # no line may wait in a buffer, where `select` does not see it
            env={name: value for name, value in os.environ.items() if not name.startswith("TINYGPT_")}
            | {"OMP_NUM_THREADS": "1", "TINYGPT_ENGINE_COMPILE": "off"},
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._kill()
        self._process.communicate()

    def _kill(self) -> None:
        """What a test that failed left."""
        if self._child:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._child, signal.SIGKILL)

    def fork(self, order: Order) -> Child:
        folder = Path(order.folder)
        assert self._process.stdin and self._process.stdout
        for name in ("reached", "go-on"):
            (folder / name).unlink(missing_ok=True)
        if self._child:
            self._kill()
            self.wait()
        self._process.stdin.write(f"{json.dumps(asdict(order))}\n".encode())
        self._child = int(self._process.stdout.readline())
        return Child(self._child, folder, self)

    def wait(self) -> int:
        """The exit code of the child; the limit is only there to end a test that fails."""
        assert self._process.stdout
        assert select.select([self._process.stdout], [], [], 60)[0], "it does not end"
        self._child = 0
        return int(self._process.stdout.readline())


def main() -> None:
    """Forks what it is asked for on stdin, a line each; answers with the child's number and, when that has ended, its exit code."""
    from tinygpt_tui.__main__ import main as tinygpt

    for name in ("typer.main", "tinygpt_tui.cli.exits", "tinygpt_tui.cli.train_command", "engine.trainer"):
        importlib.import_module(name)
    orders = os.fdopen(os.dup(0))  # what a child reads must be untouched
    for line in orders:
        order = Order(**json.loads(line))
        pid = os.fork()
        if not pid:
            code = 99
            try:
                _become(order)
                code = tinygpt()
                for stream in (sys.stdout, sys.stderr):
                    stream.flush()
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        _tell(pid)
        _, status = os.waitpid(pid, 0)
        _tell(os.waitstatus_to_exitcode(status))


def _tell(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def _become(order: Order) -> None:
    """What a shell does between `fork` and `exec`."""
    os.setsid()
    os.chdir(order.folder)
    os.environ.update({"TINYGPT_HOME": order.home, "TERM": "xterm-256color", **order.environment})
    names = (order.terminal,) * 3 if order.terminal else (os.devnull, "out", "err")
    for fd, name in enumerate(names):
        flags = os.O_RDWR if order.terminal else os.O_WRONLY | os.O_CREAT | os.O_TRUNC if fd else os.O_RDONLY
        opened = os.open(name, flags)
        os.dup2(opened, fd)
        os.close(opened)
    # The old ones know what they were made on.
    sys.stdin = sys.__stdin__ = os.fdopen(0, closefd=False)  # type: ignore[misc]
    sys.stdout = sys.__stdout__ = os.fdopen(1, "w", buffering=1, closefd=False)  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = os.fdopen(2, "w", buffering=1, closefd=False)  # type: ignore[misc]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["tinygpt", *order.arguments]
    if order.place:
        _hold(order)


def _hold(order: Order) -> None:
    module, name, count = PLACES[order.place]
    owner: Any = importlib.import_module(module)
    *parents, last = name.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    original, calls = getattr(owner, last), 0

    def held(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == count:
            if order.error:
                raise getattr(importlib.import_module("builtins"), order.error)("out of \x1b[31mink")
            Path("reached").touch()
            while not Path("go-on").exists():
                time.sleep(0.005)
        return original(*arguments, **named)

    setattr(owner, last, held)


if __name__ == "__main__":
    main()
