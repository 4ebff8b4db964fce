"""What a long run is made of: a trainer whose clock jumps, a window that is drawn into all the time, a player on its pipes, and a book of
how much memory and how many files each process has.

No clock of the machine is touched: the children import `sitecustomize.py` from `clock_folder`, which shifts what `time.time` says by the
seconds in a file. `time.monotonic` stays as it is, as it does when a person sets the clock.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import queue
import random
import statistics
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.terminal import Terminal
from engine import protocol
from engine.protocol import Changed, Done, Error, Generate, Reply, Set, Started, Text

ROOT = Path(__file__).parents[2]
SIZE = (120, 40)
MOST_DRAWN = 4 << 20  # bytes that a window remembers

_SITECUSTOMIZE = """
import mmap, os, struct, time
with open(os.environ["SOAK_CLOCK"], "rb") as file:
    shift = mmap.mmap(file.fileno(), 8, access=mmap.ACCESS_READ)
true, true_ns = time.time, time.time_ns
time.time = lambda: true() + struct.unpack("d", shift[:8])[0]
time.time_ns = lambda: true_ns() + int(1e9 * struct.unpack("d", shift[:8])[0])
"""


class Clock:
    """What the children's clock says beyond the true time."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self._file = folder / "shift"
        self._file.write_bytes(bytes(8))
        (folder / "sitecustomize.py").write_text(_SITECUSTOMIZE)
        self.shift = 0.0

    @property
    def environment(self) -> dict[str, str]:
        # What watches over the processes of tests comes first, and imports what else has its name.
        path = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH", ""), str(self.folder), str(ROOT))))
        return {"SOAK_CLOCK": str(self._file), "PYTHONPATH": path}

    def jump(self, seconds: float) -> None:
        """All the children's clocks are so far off from now on."""
        with self._file.open("r+b") as file:
            file.write(struct.pack("d", seconds))
        self.shift = seconds


class Window(Terminal):
    """A terminal that is read by a thread, so that what is drawn into it never has to wait."""

    def __init__(self, command: Sequence[str], environment: dict[str, str], cwd: Path) -> None:
        super().__init__(command, SIZE, environment, cwd)
        self.resizes = 0
        self._turn = threading.Lock()
        self._open = True
        self._reader = threading.Thread(target=self._read_on, daemon=True)
        self._reader.start()

    def resize(self, columns: int, lines: int) -> None:
        """As when a person drags a corner: the child hears SIGWINCH."""
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.resizes += 1

    def settled(self, shows: Callable[[str], object], seconds: float = 60.0) -> str:
        """The whole screen at its usual size, drawn anew, as soon as it shows what is wanted. Raises TimeoutError."""
        deadline = time.monotonic() + seconds
        self.resize(SIZE[0] - 1, SIZE[1])
        time.sleep(0.3)
        with self._turn:
            self.drawn.clear()
            self._seen, self._cells = 0, []
        self.resize(*SIZE)
        while time.monotonic() < deadline:
            with self._turn:
                screen = self.screen()
            if shows(screen):
                return screen
            time.sleep(0.1)
        raise TimeoutError(f"waited in vain; the screen:\n{screen}")

    def close(self) -> int:
        """Leaves as a person does; the exit code, or that of a process that had to be killed."""
        if self.process.poll() is None:
            self.send("\x11")
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(60)
        self._open = False
        self._reader.join(5)
        self.process.kill()
        self.process.wait()
        self.hang_up()
        return self.process.returncode

    def _read_on(self) -> None:
        while self._open and self.process.poll() is None:
            with self._turn:
                data = self.read(0.0)
                if len(self.drawn) > MOST_DRAWN:
                    self.drawn.clear()
                    self._seen, self._cells = 0, []
            if not data:
                time.sleep(0.02)


class Player:
    """The player's process, asked over its pipe."""

    def __init__(self, runs: Path, run: str, environment: dict[str, str], cwd: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "engine", "play", "--runs", str(runs)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=cwd, env={**os.environ, **environment},
        )  # fmt: skip
        self.generations = self.chars = self.changes = self.reloads = 0
        self._run = run
        self._heard: queue.SimpleQueue[Reply] = queue.SimpleQueue()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        self._ask(protocol.Load(run, "last"))
        while not isinstance(self._hear(), protocol.Ready):
            pass
        self._ask(protocol.Follow(run))

    def write(self, dice: random.Random, chars: int = 150, pace: float = 400.0) -> None:
        """One generation, its settings changed three times on the way; checks that nothing of it is missing or told twice."""
        id = self.generations + 1
        self._ask(
            Generate(id, "the fox", {"temperature": 0.8}, dice.randrange(2**64), chars, chars_per_s=pace)
        )
        asked, changed, written, at = 0, 0, 0, -1
        while True:
            reply = self._hear()
            assert not isinstance(reply, Error), reply.message
            if isinstance(reply, Started):
                at = reply.at
            elif isinstance(reply, Text):
                assert reply.start == at + written, f"text at {reply.start}, not {at + written}"
                written += len(reply.chars)
                if asked < 3 and written < chars // 2:
                    self._ask(Set(id, _settings(dice)))
                    asked += 1
            elif isinstance(reply, Changed):
                changed += "weights" not in reply.settings
                self.reloads += "weights" in reply.settings
            elif isinstance(reply, Done):
                break
        assert (reply.id, reply.reason, written) == (id, "max", chars)
        assert changed == asked
        self.generations, self.chars, self.changes = id, self.chars + written, self.changes + changed

    def close(self) -> int:
        assert self.process.stdin is not None and self.process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            return self.process.wait(60)
        finally:
            self.process.kill()
            self.process.wait()
            self._listener.join(5)
            self.process.stdout.close()

    def _ask(self, request: protocol.Request) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(protocol.to_line(request))
        self.process.stdin.flush()

    def _hear(self) -> Reply:
        return self._heard.get(timeout=120)

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._heard.put(protocol.parse_reply(line))


def _settings(dice: random.Random) -> dict[str, float]:
    return dice.choice((
        {"temperature": round(dice.uniform(0, 2), 2)}, {"top_k": dice.randrange(20)}, {"top_p": round(dice.uniform(0.3, 1), 2)},
        {"min_p": 0.05, "temperature": 1.0}, {"repetition": 1.5},
    ))  # fmt: skip


@dataclass
class Held:
    """What one process held at one moment: seconds since the beginning, bytes of resident memory, open files."""

    at: float
    memory: int
    files: int


@dataclass
class Book:
    """What the processes held, once a second.

    Attributes:
        most_memory, most_files: by how much the median of the last quarter may exceed that of the second, whatever is larger of a share
            and an amount.
    """

    share: float = 0.05
    most_memory: int = 8 << 20
    most_files: int = 2
    held: dict[str, list[Held]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._pids: dict[str, int] = {}
        self._began, self._open = time.monotonic(), True
        threading.Thread(target=self._look_on, daemon=True).start()

    def follow(self, name: str, pid: int) -> None:
        self._pids[name] = pid
        self.held[name] = []

    def close(self) -> None:
        self._open = False

    def medians(self, name: str) -> tuple[Held, Held]:
        """Of the second and of the last quarter of the time in which a process was looked at."""
        held = self.held[name]
        first, last = held[0].at, held[-1].at
        quarter = (last - first) / 4
        second = [one for one in held if first + quarter <= one.at < first + 2 * quarter]
        fourth = [one for one in held if one.at >= last - quarter]
        found = [
            Held(
                part[0].at,
                int(statistics.median(p.memory for p in part)),
                int(statistics.median(p.files for p in part)),
            )
            for part in (second, fourth)
        ]
        return found[0], found[1]

    def rows(self) -> Iterator[tuple[str, bool]]:
        """For each process what it held, in words, and whether that is flat."""
        for name, held in self.held.items():
            before, after = self.medians(name)
            grown = after.memory - before.memory
            flat = (
                grown <= max(self.most_memory, self.share * before.memory)
                and after.files - before.files <= self.most_files
            )
            yield (
                (
                    f"{name:<22} {len(held):>5} looks  memory {before.memory / 1e6:>6.1f} → {after.memory / 1e6:>6.1f} MB   "
                    f"files {before.files:>3} → {after.files:>3} (most {max(one.files for one in held)})   {'flat' if flat else 'GREW'}"
                ),
                flat,
            )

    def _look_on(self) -> None:
        page = os.sysconf("SC_PAGE_SIZE")
        while self._open:
            for name, pid in list(self._pids.items()):
                with contextlib.suppress(OSError, IndexError):
                    memory = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * page
                    files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
                    self.held[name].append(Held(time.monotonic() - self._began, memory, files))
            time.sleep(1.0)


def processes(words: str, place: Path) -> list[int]:
    """The living processes whose command holds these words and the path of `place`."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            if words in command and str(place) in command:
                found.append(int(folder.name))
    return found


def lines_of(path: Path) -> list[dict[str, Any]]:
    """Every line of an events file as JSON. Raises ValueError for one that is none; a last one may be half written."""
    data = path.read_bytes()
    return [json.loads(line) for line in data[: data.rfind(b"\n") + 1].splitlines()]
