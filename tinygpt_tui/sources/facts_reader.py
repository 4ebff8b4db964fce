"""The process that finds out about a text: `python -m engine facts`, started, heard and killed, one at a time.

Nothing here waits: the pipe is looked at when the app ticks, so there is no task, no thread and no transport to close. Left out: what
the facts are and how they are found (`engine.facts`), and which text is looked at when (`tinygpt_tui.sources.corpus_facts`).
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import engine
from engine import catalogue, wire
from engine.errors import ResourceError, RunError
from engine.facts import Done, Fact, Failed, parse_fact
from engine.printable import printable

COMMAND = (sys.executable, "-m", "engine", "facts")

_READ_BYTES = 1 << 16  # looked at in one tick, so that it stays short
_REAP_SECONDS = 2.0  # a killed process is gone within milliseconds, unless the kernel holds it


class Facts(Protocol):
    """What is asked of a source of facts; `Done` or `Failed` is the last it tells of a start."""

    @property
    def busy(self) -> bool: ...

    def start(self, source: str, *, encoding: str | None = None, force_text: bool = False) -> None: ...

    def measure_speed(self, arch: str = "modern") -> None: ...

    def take(self) -> list[Fact]: ...

    def cancel(self) -> None: ...

    def close(self) -> None: ...


class FactsReader:
    """One process at a time that finds out facts."""

    def __init__(
        self, cache_dir: Path, command: Sequence[str] = COMMAND, kernels: Path | None = None
    ) -> None:
        """
        Args:
            cache_dir: where rungs are kept and fetched corpora lie.
            kernels: where compiled ones lie, which the speed is then that of.
            command: what is started; options and a source are added.
        """
        self._cache_dir = cache_dir.absolute()
        self._command = tuple(command)
        self._kernels = kernels
        self._process: subprocess.Popen[bytes] | None = None
        self._leaving: list[subprocess.Popen[bytes]] = []  # killed, and not gone yet
        self._shown = ""
        self._rest = b""
        self._heard: list[Fact] = []

    @property
    def busy(self) -> bool:
        """Whether more may be heard."""
        return self._process is not None or bool(self._heard)

    def start(self, source: str, *, encoding: str | None = None, force_text: bool = False) -> None:
        """Begins to find out about a text; what was asked before is forgotten. Arguments as for `engine.corpus.read_corpus`."""
        options = ["--cache", str(self._cache_dir)]
        if encoding is not None:
            options.append(f"--encoding={encoding}")
        if force_text:
            options.append("--force-text")
        # The process runs in another folder.
        where = source if catalogue.find(source) else str(Path(source).absolute())
        self._start(printable(source), [*options, "--", where])

    def measure_speed(self, arch: str = "modern") -> None:
        """Begins to measure how fast this machine trains; tells a `Speed`. What was asked before is forgotten."""
        kernels = [] if self._kernels is None else ["--kernels", str(self._kernels.absolute())]
        self._start("this machine's speed", ["--speed", "--arch", arch, *kernels])

    def take(self) -> list[Fact]:
        """What was found out since the last call, in order; never waits."""
        self._leaving = [process for process in self._leaving if process.poll() is None]
        if self._process is not None:
            self._listen(self._process)
        heard, self._heard = self._heard, []
        return heard

    def cancel(self) -> None:
        """Kills the process; nothing more is heard of what was asked."""
        self._heard = []
        self._end()

    def close(self) -> None:
        """Cancels, and returns once no process is left."""
        self.cancel()
        for process in self._leaving:
            with suppress(subprocess.TimeoutExpired):
                process.wait(_REAP_SECONDS)
        self._leaving = []

    def _start(self, shown: str, arguments: Sequence[str]) -> None:
        self.cancel()
        self._shown = shown
        try:
            process = subprocess.Popen(
                [*self._command, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                # `-m` looks in the current folder first: in ours, so that a stranger's `engine` is not started.
                cwd=Path(engine.__file__).resolve().parent.parent,
            )
        except (OSError, ValueError) as error:  # ValueError: a NUL in the name
            self._fail(f"cannot be examined: {printable(str(error))}.")
            return
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        self._process = process

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        chunk = process.stdout.read(_READ_BYTES)
        if chunk is None:  # nothing yet
            return
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            self._hear(line)
            if self._process is None:
                return
        if len(self._rest) > wire.MAX_LINE:
            self._hear(self._rest)
        elif not chunk and (code := process.poll()) is not None:
            self._end()
            if code == -9:
                why = "was killed while it was examined, perhaps because memory ran out: give a smaller part of it."
                self._fail(why, ResourceError.exit_code)
            else:
                self._fail(f"was not examined to the end (the process left with code {code}): try again.")

    def _hear(self, line: bytes) -> None:
        try:
            fact = parse_fact(line)
        except wire.ProtocolError as error:
            self._end()
            self._fail(f"cannot be examined: {printable(str(error))}")
            return
        self._heard.append(fact)
        if isinstance(fact, Done | Failed):
            self._end()

    def _fail(self, why: str, code: int = RunError.exit_code) -> None:
        self._heard.append(Failed(f"{self._shown} {why}", code))

    def _end(self) -> None:
        """Forgets the process. It may still be taking down its libraries, which nobody has to wait for."""
        process, self._process, self._rest = self._process, None, b""
        if process is not None:
            process.kill()
            assert process.stdout is not None
            process.stdout.close()
            if process.poll() is None:
                self._leaving.append(process)
