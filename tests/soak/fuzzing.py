"""Hands hostile files to our loaders, thousands a second, in a process that has little memory and is watched.

`python -m tests.soak.fuzzing LOADER=N … --first SEED` tries cases in this very process; a case that failed is repeated by `LOADER=1` and its
seed. `tried` starts such a process, goes on behind a case that killed it, and adds up. What counts as failed: an error that is none of
ours, a process that died or hung, memory beyond the limit, code that ran, and a file outside that was opened or changed.
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import random
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
MEMORY = 512 << 20  # bytes of address space beyond what the process has when its sound files are made
CPU_SECONDS, WALL_SECONDS = 30, 120  # of one case, after which its process is ended
MODULE = "tests.soak.fuzzing"
MOST_FAILURES = 20
MOST_DEATHS = 5

# How many cases of each a soak tries, and for the tests at hand a fiftieth of that.
SOAK = {
    "tensors": 30_000, "manifests": 10_000, "checkpoint_loads": 8_000, "run_files": 8_000, "event_files": 8_000, "control_files": 10_000,
    "recipes": 10_000, "tokenizers": 8_000, "messages": 12_000, "settings_files": 8_000, "histories": 1_000, "token_entries": 2_000,
    "places": 3_000, "resumes": 1_000, "commands": 1_500, "starter": 300,
}  # fmt: skip

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_BAIT = ("/etc/passwd", "/dev/zero", "/dev/full", f"/proc/{os.getpid()}/mem")
_CHANGES = {
    "os.remove",
    "os.rename",
    "os.mkdir",
    "os.rmdir",
    "os.chmod",
    "os.utime",
    "os.truncate",
    "os.link",
    "shutil.rmtree",
}
_RUNS = {
    "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty", "subprocess.Popen", "pickle.find_class", "ctypes.dlopen",
    "socket.connect", "socket.bind", "sqlite3.load_extension",
}  # fmt: skip


@dataclass
class Tried:
    """What came of the cases of one loader.

    Attributes:
        outcomes: how many ended how.
        slowest: processor seconds of the slowest case, and its seed.
        p999: processor seconds that 99.9 % of the cases stay below; `over` is how many take more than a second, `seconds` what all take.
        memory: bytes by which the largest resident memory grew over all cases.
        failures: (seed, what went wrong).
    """

    loader: str
    cases: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    slowest: tuple[float, int] = (0.0, -1)
    p999: float = 0.0
    over: int = 0
    seconds: float = 0.0
    memory: int = 0
    failures: list[tuple[int, str]] = field(default_factory=list)

    @property
    def row(self) -> str:
        refused = self.cases - self.outcomes["taken"]
        return (
            f"{self.loader:<17} {self.cases:>7,} {self.outcomes['taken']:>7,} {refused:>7,} {1000 * self.p999:>8.1f} {1000 * self.slowest[0]:>9.1f} "
            f"{self.over:>5} {self.seconds:>7.1f} {self.memory / 1e6:>7.0f} {len(self.failures):>7}"
        )


HEAD = f"{'loader':<17} {'cases':>7} {'taken':>7} {'refused':>7} {'99.9% ms':>8} {'slowest':>9} {'> 1 s':>5} {'seconds':>7} {'MB more':>7} {'failed':>7}"


class Watch:
    """Notes what a loader does that reading a file has no need of. It only listens: nothing is forbidden, all is told."""

    def __init__(self) -> None:
        self._inside = self._outside = Path("/")
        self._told: list[str] = []
        self.on = False
        sys.addaudithook(self._hear)

    def use(self, inside: Path, outside: Path) -> None:
        """Where a loader may read and write, and where nothing of its business is."""
        self._inside, self._outside = inside, outside

    def told(self) -> list[str]:
        found, self._told = self._told, []
        return found

    def _hear(self, event: str, args: tuple[Any, ...]) -> None:
        if not self.on:
            return
        if event == "open":
            self._opened(*args)
        elif event in _RUNS:
            self._told.append(f"{event} {str(args)[:200]}")
        elif event in _CHANGES and isinstance(args[0], str | bytes | os.PathLike):
            path = Path(os.fsdecode(args[0]))
            # A name without a folder is one in a folder that is open already.
            if path.is_absolute() and not _real(path, followed=False).is_relative_to(self._inside):
                self._told.append(f"{event} {str(path)[:200]}")

    def _opened(self, path: object, mode: object, flags: int) -> None:
        if not isinstance(path, str | bytes | os.PathLike) or "\0" in os.fsdecode(path):
            return
        # A link that is not followed leads nowhere, wherever it points.
        real = _real(Path(os.fsdecode(path)), followed=not flags & os.O_NOFOLLOW)
        if real.is_relative_to(self._outside) or str(real) in _BAIT:
            self._told.append(f"opened {str(real)[:200]}")
        elif flags & _WRITES and not real.is_relative_to(self._inside) and str(real) != os.devnull:
            self._told.append(f"opened {str(real)[:200]} to write")


def _real(path: Path, *, followed: bool) -> Path:
    path = path.absolute()
    try:
        return path.resolve() if followed else path.parent.resolve() / path.name
    except RuntimeError:  # links in a circle
        return path


def cases(loader: str, first: int, count: int, place: Path, watch: Watch, *, tell: bool = False) -> Tried:
    """Tries cases in this process, with little more memory than it has when the sound files are made.

    Args:
        place: an empty folder, without links in its path.
        tell: raises what a case raises.
    """
    from tests.soak.loaders import LOADERS
    from tests.soak.sound_files import CANARY

    inside, outside = place / "inside", place / "outside"
    for folder in (inside, outside):
        folder.mkdir(parents=True)
    (outside / "secret").write_text("a secret")
    _limit_memory(None)
    case = LOADERS[loader](inside)
    case(random.Random(f"{loader} warm"))  # what is imported late is no matter of the first case
    found, seconds = Tried(loader), []
    watch.use(inside, outside)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    _limit_memory(MEMORY)
    with (place / "at").open("w+b") as file:
        file.truncate(8)
        at = mmap.mmap(file.fileno(), 8)
    for seed in range(first, first + count):
        at[:8] = struct.pack("q", seed)
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
        signal.setitimer(signal.ITIMER_REAL, WALL_SECONDS)
        begun = time.process_time()
        watch.on = True
        try:
            outcome = case(random.Random(f"{loader} {seed}"))
        except BaseException as error:
            watch.on = False
            if tell or isinstance(error, KeyboardInterrupt):
                raise
            outcome = "failed"
            where = "".join(traceback.format_exception(error))
            found.failures.append((seed, f"{type(error).__name__}: {str(error)[:300]}\n{where[-1500:]}"))
        watch.on = False
        took = time.process_time() - begun
        seconds.append(took)
        found.outcomes[outcome] += 1
        found.slowest = max(found.slowest, (took, seed))
        found.failures += [(seed, what) for what in watch.told()]
        if (
            (inside / CANARY).exists()
            or [path.name for path in outside.iterdir()] != ["secret"]
            or (outside / "secret").read_text() != "a secret"
        ):
            found.failures.append((seed, "code ran, or a file outside was changed"))
            break
        if len(found.failures) >= MOST_FAILURES:
            break
    for timer in (signal.ITIMER_PROF, signal.ITIMER_REAL):
        signal.setitimer(timer, 0)
    found.cases = len(seconds)
    found.p999 = sorted(seconds)[min(len(seconds) - 1, int(0.999 * len(seconds)))]
    found.seconds = sum(seconds)
    found.over = sum(1 for took in seconds if took > 1)
    found.memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * (
        1 if sys.platform == "darwin" else 1024
    )
    return found


def tried(counts: dict[str, int], place: Path, first: int = 0) -> list[Tried]:
    """Tries so many cases of each loader, all in one process; where a case ends that, another one goes on behind it."""
    total = {loader: Tried(loader) for loader in counts}
    left = {loader: (first, count) for loader, count in counts.items() if count}
    for _ in range(MOST_DEATHS):
        folder = Path(tempfile.mkdtemp(dir=place))
        asked = [f"{loader}={count}" for loader, (_, count) in left.items()]
        begun = next(iter(left.values()))[0]
        done = subprocess.run(
            [sys.executable, "-m", MODULE, *asked, "--first", str(begun), "--then", str(first), "--place", str(folder), "--json"],
            cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, errors="replace",
        )  # fmt: skip
        for line in done.stdout.splitlines():
            if line.startswith('{"loader": '):
                found = json.loads(line)
                _add(total[found["loader"]], found)
                del left[found["loader"]]
        if not left:
            break
        loader, (begun, count) = next(iter(left.items()))
        at = folder / loader / "at"
        assert at.exists(), f"{loader} could not begin ({done.returncode}):\n{done.stderr[-3000:]}"
        (seed,) = struct.unpack("q", at.read_bytes())
        name = (
            signal.Signals(-done.returncode).name if done.returncode < 0 else f"exit code {done.returncode}"
        )
        total[loader].failures.append((seed, f"ended its process ({name}): {done.stderr[-1500:]}"))
        total[loader].cases += seed - begun + 1
        left[loader] = seed + 1, count - (seed - begun + 1)
        if left[loader][1] <= 0:
            del left[loader]
        if not left:
            break
    return list(total.values())


def told(found: list[Tried]) -> str:
    """The table, its sum, and every failure with what repeats it."""
    lines = [HEAD, *(one.row for one in found)]
    lines.append(f"{'all':<17} {sum(one.cases for one in found):>7,}")
    for one in found:
        for seed, what in one.failures:
            lines.append(f"\npython -m tests.soak.fuzzing {one.loader}=1 --first {seed}\n{what}")
    return "\n".join(lines)


def _add(total: Tried, found: dict[str, Any]) -> None:
    total.cases += found["cases"]
    total.outcomes.update(found["outcomes"])
    total.slowest = max(total.slowest, (found["slowest"][0], found["slowest"][1]))
    total.p999, total.over = max(total.p999, found["p999"]), total.over + found["over"]
    total.seconds += found["seconds"]
    total.memory = max(total.memory, found["memory"])
    total.failures += [(seed, what) for seed, what in found["failures"]]


def _limit_memory(more: int | None) -> None:
    """Lets the address space grow by so many bytes from now on, or again as it likes."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        limit = (
            hard if more is None else int(statm.read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE") + more
        )
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("counts", nargs="+", metavar="LOADER=N", help=f"of {', '.join(SOAK)}")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--then", type=int, help="the first seed of all but the first loader")
    parser.add_argument("--place", type=Path, help="an empty folder")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    sys.dont_write_bytecode = True
    place = (options.place or Path(tempfile.mkdtemp(prefix="hostile-"))).resolve()
    watch, first, found = Watch(), options.first, []
    for asked in options.counts:
        loader, _, count = asked.partition("=")
        alone = count == "1" and not options.json
        found.append(cases(loader, first, int(count or 1), place / loader, watch, tell=alone))
        if options.json:
            print(json.dumps(vars(found[-1])), flush=True)
        first = options.first if options.then is None else options.then
    if not options.json:
        print(told(found))
    return 0 if options.json or not any(one.failures for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
