"""The player as a child process on pipes: started, heard, started again when it dies, and ended with the interface.

It reads its requests from stdin and leaves when that ends, so it dies with us however we die. Everything here runs in the event
loop and waits for nothing but the loop. Left out: what screens see of it (`tinygpt_tui.sources.player_link`), and what it answers
(`engine.player`).
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import engine
from engine.protocol import Error, Follow, Load, ProtocolError, Reply, Request, parse_reply
from tinygpt_tui.sources.player_lines import LineCutter, Outbox
from tinygpt_tui.sources.player_link import Happening, Link, Lost, Restarted, State

NICE = 5  # how much lower than ours the player's priority is, so that keys are answered while it writes
BACKOFF_SECONDS = (0.2, 1.0, 5.0)  # before the first, second and every further start after a quick death
QUICK_DEATHS = 5  # in a row; then it is given up
STEADY_SECONDS = 30.0  # whoever dies earlier died quickly

MOST_HEARD = 256 * 1024  # bytes that wait to be taken; then nothing more is read
CHUNK = 16 * 1024  # bytes that are understood before the loop does something else: about a millisecond
LONG_LINE = 64 * 1024  # bytes; understanding a longer one is left to a thread
COST = 200  # bytes that every happening counts for beside its line
MOST_SAID = 4096  # bytes of stderr that are kept

EXIT_SECONDS = 0.5  # from the end of its output to its own
LEAVE_SECONDS = (0.25, 1.0, 5.0)  # for the end of its input, SIGTERM and SIGKILL to take effect


def player_command(runs_dir: Path, kernels: Path | None = None) -> tuple[str, ...]:
    """The command of a player for the runs in a folder; requests name them. Without a folder for it no compiler is used."""
    command = (sys.executable, "-m", "engine", "play", "--runs", str(runs_dir.absolute()))
    return command if kernels is None else (*command, "--kernels", str(kernels.absolute()))


class PlayerProcess(Link):
    """A player in a child process.

    What it says waits for `take` up to a limit (`MOST_HEARD` and what one read adds); then it is not read any more, and the pipe
    makes it wait. When it dies it is started again by itself, after a pause that grows with every quick death, until it is given
    up after five in a row.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        backoff_seconds: Sequence[float] = BACKOFF_SECONDS,
        steady_seconds: float = STEADY_SECONDS,
    ) -> None:
        """`command` is a program and its arguments: see `player_command`."""
        super().__init__()
        self._command = tuple(command)
        self._backoff, self._steady = tuple(backoff_seconds), steady_seconds
        self._state: State = "down"
        self._keeper: asyncio.Task[None] | None = None
        self._process: Process | None = None
        self._outbox = Outbox()
        self._blocked = False  # the player has not read what was written last
        self._standing: dict[type, Request] = {}  # what a new player is told first, oldest first
        self._waiting_bytes = 0
        self._said = b""  # the end of its stderr
        self._posted, self._taken = asyncio.Event(), asyncio.Event()
        self._leaving, self._nudged = asyncio.Event(), asyncio.Event()

    @property
    def state(self) -> State:
        return self._state

    @property
    def pid(self) -> int | None:
        """Of the process, while there is one."""
        return self._process.pid if self._process else None

    @property
    def waiting_bytes(self) -> int:
        """What was heard and waits to be taken, in bytes of its lines and a little for each."""
        return self._waiting_bytes

    def start(self) -> None:
        if self._keeper is not None and not self._keeper.done():
            self._nudged.set()
            return
        self._leaving.clear()
        self._begin()
        self._keeper = asyncio.get_running_loop().create_task(self._keep(), name="player")

    def send(self, request: Request) -> None:
        if isinstance(request, Load | Follow):
            self._standing.pop(type(request), None)
            self._standing[type(request)] = request
        if self._state in ("starting", "up"):
            refusal = self._outbox.add(request, merge=self._blocked)
            self._posted.set()
        elif isinstance(request, Load | Follow):
            refusal = None
        elif self._state == "lost":
            refusal = "The player is being started again: ask again in a moment."
        else:
            refusal = "The player is not running: start it again."
        if refusal:
            self._keep_heard(Error(getattr(request, "id", None), refusal))

    def take(self) -> list[Happening]:
        self._waiting_bytes = 0
        self._taken.set()
        return super().take()

    async def close(self) -> None:
        keeper = self._keeper
        if keeper is None:
            return
        self._leaving.set()
        self._nudged.set()
        self._taken.set()
        await asyncio.wait(
            {keeper}
        )  # unlike awaiting it, not cancelled with the caller: no process is left behind
        if not keeper.cancelled():
            keeper.result()

    def _begin(self) -> None:
        """A new player is to come, and will be told the standing requests first."""
        self._state = "starting"
        self._outbox.clear()
        for request in self._standing.values():
            self._outbox.add(request)

    async def _keep(self) -> None:
        """Keeps a player alive until it is time to leave, or until too many have died."""
        loop = asyncio.get_running_loop()
        quick = 0
        try:
            while not self._leaving.is_set():
                began = loop.time()
                reason = await self._live(again=quick > 0)
                if self._leaving.is_set():
                    return
                quick = quick + 1 if loop.time() - began < self._steady else 1
                if quick >= QUICK_DEATHS:
                    self._state = "down"
                    reason += f" It stopped {quick} times in a row: choose another run or start it again."
                    self._keep_heard(Lost(reason, final=True))
                    return
                self._state = "lost"
                self._keep_heard(Lost(f"{reason} It is started again."))
                self._nudged.clear()
                with suppress(TimeoutError):
                    pause = self._backoff[min(quick, len(self._backoff)) - 1]
                    await asyncio.wait_for(self._nudged.wait(), pause)
        finally:
            self._state = "down"

    async def _live(self, again: bool) -> str:
        """One player from its start to its end; returns what ended it, as a sentence."""
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=PIPE,
                stdout=PIPE,
                stderr=PIPE,
                limit=CHUNK,
                # Ctrl-C at the terminal is for us alone. Not a session of its own: see `_give_way`.
                process_group=0,
                # `-m` looks in the current folder first: in ours, so that a stranger's `engine` is not started.
                cwd=Path(engine.__file__).resolve().parent.parent,
            )
        except OSError as error:
            return f"The player could not be started: {error.strerror}."
        assert process.stdin and process.stdout and process.stderr
        _give_way(process.pid)
        self._process, self._said = process, b""
        if again:
            self._begin()
            self._keep_heard(Restarted())
        reading = asyncio.create_task(self._read(process.stdout))
        writing = asyncio.create_task(self._write(process.stdin))
        listening = asyncio.create_task(self._listen(process.stderr))
        leaving = asyncio.create_task(self._leaving.wait())
        try:
            await asyncio.wait({reading, leaving}, return_when=asyncio.FIRST_COMPLETED)
            writing.cancel()
            if self._leaving.is_set():
                await self._see_off(process)
            else:
                await _ended(process, EXIT_SECONDS)
        finally:
            self._process = None
            for task in (tasks := (reading, writing, listening, leaving)):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._bury(process)
        return _reason(process.returncode, self._said)

    async def _see_off(self, process: Process) -> None:
        """Asks the player to leave, more firmly each time, while its last words are still heard."""
        assert process.stdin
        process.stdin.close()
        for act, seconds in zip((None, process.terminate, process.kill), LEAVE_SECONDS, strict=True):
            if act is not None:
                with suppress(ProcessLookupError):
                    act()
            if await _ended(process, seconds):
                return

    async def _bury(self, process: Process) -> None:
        """Leaves neither process nor pipe behind."""
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
        with suppress(TimeoutError):
            # Its end is noticed only when its pipes have been read to theirs.
            _, said = await asyncio.wait_for(process.communicate(), LEAVE_SECONDS[-1])
            self._said = (self._said + said)[-MOST_SAID:]

    async def _read(self, stdout: asyncio.StreamReader) -> None:
        cutter = LineCutter()
        while chunk := await stdout.read(CHUNK):
            for line in cutter.feed(chunk):
                reply = await _understood(line)
                if self._state == "starting" and reply is not None:
                    self._state = "up"
                if self._waiting_bytes < MOST_HEARD or not self._leaving.is_set():
                    self._keep_heard(reply or _nonsense(line), len(line))
            while self._waiting_bytes >= MOST_HEARD and not self._leaving.is_set():
                self._taken.clear()
                await self._taken.wait()
            await asyncio.sleep(0)  # more may be there already, and others want the loop, too

    async def _write(self, stdin: asyncio.StreamWriter) -> None:
        stdin.transport.set_write_buffer_limits(
            high=0
        )  # else the newest requests would wait where they cannot be merged
        with suppress(ConnectionError):  # that it is gone is noticed by the reader
            while True:
                while not self._outbox:
                    self._posted.clear()
                    await self._posted.wait()
                stdin.write(self._outbox.pop())
                self._blocked = True
                await stdin.drain()
                self._blocked = False

    async def _listen(self, stderr: asyncio.StreamReader) -> None:
        while chunk := await stderr.read(MOST_SAID):
            self._said = (self._said + chunk)[-MOST_SAID:]

    def _keep_heard(self, happening: Happening, size: int = 0) -> None:
        self._waiting_bytes += size + COST
        self._hear(happening)


async def _understood(line: bytes) -> Reply | None:
    """The reply in a line; None if there is none."""
    try:
        return await asyncio.to_thread(parse_reply, line) if len(line) > LONG_LINE else parse_reply(line)
    except ProtocolError:
        return None


def _nonsense(line: bytes) -> Error:
    """What stands for a line that is no reply."""
    start = line[:60].decode("ascii", "replace")
    return Error(None, f"The player sent a line that is no message and was passed over: {start!r}")


async def _ended(process: Process, seconds: float) -> bool:
    """Whether a process ends in time."""
    with suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), seconds)
    return process.returncode is not None


def _reason(code: int | None, said: bytes) -> str:
    """A sentence on how a player ended; `said` is the end of what it wrote to stderr."""
    if code is None:
        return "The player could not be ended."
    if code == -signal.SIGKILL:
        return "The player was killed; the system may have run out of memory."
    if code < 0:
        name = next((one.name for one in signal.Signals if one == -code), f"signal {-code}")
        return f"The player was ended by {name}."
    last = next((line for line in reversed(said.decode("utf-8", "replace").splitlines()) if line.strip()), "")
    return f"The player stopped with exit code {code}{f': {last.strip()[:300]}' if last else ''}."


def _give_way(pid: int) -> None:
    """Lowers the priority of a player that has just begun, with all threads it has started by now.

    Where Linux shares the processor out by session, a nice value counts only against processes of the same session: that is why
    the player stays in ours. What the system refuses stays as it is.
    """
    with suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PGRP, pid, min(os.getpriority(os.PRIO_PROCESS, 0) + NICE, 19))
