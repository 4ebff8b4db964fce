"""Watches one run's folder, whoever trains it: each look reads a little, and the picture says what is known by then.

Nothing here waits and no look takes long, so an app's tick may call it however long the run is. Left out: what the events mean
(`tinygpt_tui.sources.run_folding`), starting a trainer (`tinygpt_tui.sources.run_starter`) and drawing.
"""

from __future__ import annotations

import math
import os
import re
from pathlib import Path

from engine import control
from engine.checkpoint import checkpoints
from engine.control import ControlReader, Request
from engine.errors import CheckpointError, TinygptError, UsageError
from engine.event_log import EventTail
from engine.reading import open_read, read_json
from engine.runs import UNFINISHED, Meta, RunFolder, Status
from tinygpt_tui.sources.run_folding import Folding
from tinygpt_tui.sources.run_picture import RunPicture

EVENT_BYTES = 1 << 16  # read of the events file in one look
STATUS_SECONDS = 0.25
RARE_SECONDS = 1.0  # between looks at what a person wrote, and for what is not there yet
CONTROL_BYTES = 4_000_000  # a longer file of requests is not ours
LOG_BYTES = 4096
REASON_CHARS = 400

_SHA256 = re.compile(r"[0-9a-f]{64}")
_LADDER_BYTES = 10_000
_ERROR_LINE = re.compile(r"error: |[A-Za-z_.]*(Error|Exception|Interrupt)\b|Fatal |Segmentation")

Seen = tuple[int, int, int] | None


class RunWatch:
    """One run, looked at again and again."""

    def __init__(self, folder: RunFolder, cache_dir: Path | None = None) -> None:
        """
        Args:
            folder: of the run; it need not hold anything yet.
            cache_dir: where ladders are kept; without it there is none.
        """
        self.folder = folder
        self._cache_dir = cache_dir
        self._folding = Folding(folder.name, folder.path)
        self._looked = self._looked_rarely = -math.inf  # when: at the state, and at the rest
        self._begin()

    @property
    def picture(self) -> RunPicture:
        """The run as of the last look; the same object until something changes."""
        return self._folding.picture()

    def poll(self, now: float) -> bool:
        """Looks; says whether the picture has changed.

        Args:
            now: seconds by a monotonic clock.
        """
        before = self._folding.version
        if now - self._looked >= STATUS_SECONDS:
            self._looked = now
            self._look_at_state()
            self._look_at_facts()
        if now - self._looked_rarely >= RARE_SECONDS:
            self._looked_rarely = now
            self._look_at_the_rest()
        self._look_at_events()
        return self._folding.version != before

    def request(self, do: str, value: float | None = None, prompt: str | None = None) -> str:
        """Asks the trainer for something, as `engine.control.request`; it is pending until the trainer says that it obeyed.

        Returns:
            The id of the request.

        Raises:
            UsageError: there is no trainer to ask, or as `engine.control.request`.
            BusyError, ResourceError: as `engine.control.request`.
        """
        self._look_at_state()
        if not self.picture.live:
            state = self.picture.state
            told = "has died" if state == "died" else f"is {state}"
            then = "choose another run" if state in ("gone", "damaged") else "resume it first"
            raise UsageError(f"{self.folder.name} {told}, so there is no trainer to ask: {then}.")
        identity = control.request(self.folder, do, value, prompt)
        self._look_at_requests()
        return identity

    def _begin(self) -> None:
        self._tail = EventTail(self.folder)
        self._events: Seen = None
        self._restarts = 0
        self._reader = ControlReader(self.folder)
        self._control: Seen = None
        self._asked: list[Request] = []
        self._meta: Seen = None
        self._settled = False  # run.json has been read
        self._has_ladder = False
        self._problem = ""  # what is damaged apart from the status
        self._request: Seen = None

    def _look_at_events(self) -> None:
        seen = _seen(self.folder.events)
        if seen is None or (seen == self._events and self._tail.share == 1):
            return
        try:
            told = self._tail.poll(EVENT_BYTES)
        except CheckpointError as error:
            self._problem = str(error)
            self._events = seen
            return
        if self._tail.restarts != self._restarts:
            self._restarts = self._tail.restarts
            self._folding.forget_events()
        self._events = seen
        self._folding.feed(told)
        self._folding.set_catching_up(self._tail.share if self._tail.share < 1 else None)

    def _look_at_state(self) -> None:
        folder = self.folder
        status: Status | None = None
        message, memory = "", None
        try:
            state = folder.state()
            status = folder.read_status()
            if state == "stale":
                state = "died" if folder.path.is_dir() else "gone"
        except (CheckpointError, OSError) as error:
            state, message = "damaged", str(error)
        if self._problem and state != "gone":
            state, message = "damaged", self._problem
        if state == "preparing" and status is None and not _locked(folder):
            # Nothing has been said so far. One that failed while it was loading has left its reason in the log.
            reason = last_line(folder.log)
            if _ERROR_LINE.match(reason):
                state, message = "failed", reason.removeprefix("error: ")
        elif state == "died":
            message = self._why_died(status)
        elif state == "gone":
            message = f"The folder of {folder.name} is gone: choose another run."
        elif state == "failed" and status is not None:
            message = status.message or last_line(folder.log)
        elif not message and status is not None:
            message = status.message
        if state in UNFINISHED and status is not None:
            memory = _memory_of(status.pid)
        self._folding.set_status(state, status, message, memory)

    def _why_died(self, status: Status | None) -> str:
        step = _saved_step(self.folder)
        then = f"resume it from step {step:,}" if step else "resume it to begin again"
        return f"The trainer {why_died(self.folder, status, self.picture.step)}: {then}."

    def _look_at_facts(self) -> None:
        folder, folding = self.folder, self._folding
        asked = _seen(folder.request)
        # A request is never rewritten, so another one is that of another run, which has taken the name. Its number alone does not
        # tell them apart: a disk gives that of a deleted file to the next.
        if self._request and asked and asked != self._request:
            self._begin()
            self._looked_rarely = -math.inf
            folding.forget_events()
            folding.set_asked(())
            folding.set_meta(Meta())
            folding.set_ladder({})
        self._request = asked or self._request  # the one that is gone is what the next is compared with
        if not self._settled and (asked or os.path.lexists(folder.run)):
            self._settled = os.path.lexists(folder.run)
            try:
                folding.set_facts(folder.read_run() if self._settled else folder.read_request())
            except CheckpointError as error:
                self._problem = str(error)
        self._look_at_requests()

    def _look_at_the_rest(self) -> None:
        if (seen := _seen(self.folder.meta)) != self._meta:
            self._meta = seen
            self._folding.set_meta(self.folder.read_meta())
        sha256 = self._folding.corpus_sha
        if not self._has_ladder and self._cache_dir is not None and sha256 is not None:
            ladder = known_ladder(self._cache_dir, sha256)
            self._has_ladder = bool(ladder)
            self._folding.set_ladder(ladder)

    def _look_at_requests(self) -> None:
        seen = _seen(self.folder.control)
        if seen is None or seen == self._control or seen[1] > CONTROL_BYTES:
            return
        self._control = seen
        try:
            self._asked += self._reader.poll()
        except CheckpointError as error:
            self._problem = str(error)
        self._folding.set_asked(self._asked)


def why_died(folder: RunFolder, status: Status | None, step: int) -> str:
    """What became of a trainer that took no leave, to follow "the trainer". `step` is the last that is known of.

    A reason is what it logged last, exactly as it is.
    """
    said, logged = _seen(folder.status), _seen(folder.log)
    if said is None or (logged is not None and logged[2] >= said[2]):
        reason = last_line(folder.log)
        if status is None or _ERROR_LINE.match(reason):
            return f"ended ({reason.removeprefix('error: ').rstrip('.') or 'it never began'})"
    return f"was killed at step {step:,}, or the machine went off"


def known_ladder(cache_dir: Path, sha256: str) -> dict[str, float]:
    """The rungs of a text as `python -m engine facts` keeps them, in nats per character; {} if it has not found them."""
    if not _SHA256.fullmatch(sha256):
        return {}
    path = cache_dir / "ladders" / f"{sha256}.json"
    if not os.path.lexists(path):
        return {}
    try:
        kept = read_json(path, _LADDER_BYTES)
    except CheckpointError:
        return {}
    ladder = kept.get("ladder")
    if kept.get("version") != 1 or kept.get("sha256") != sha256 or not isinstance(ladder, dict):
        return {}
    sound = all(type(nats) is float and math.isfinite(nats) for nats in ladder.values())
    return ladder if sound else {}


def last_line(path: Path) -> str:
    """The last line of a log that says something, exactly as it is but cut; "" if there is none."""
    if not os.path.lexists(path):
        return ""
    try:
        fd = open_read(path)
    except CheckpointError:
        return ""
    try:
        end = os.pread(fd, LOG_BYTES, max(0, os.fstat(fd).st_size - LOG_BYTES))
    except OSError:
        return ""
    finally:
        os.close(fd)
    lines = [line.strip() for line in end.decode("utf-8", "replace").splitlines()]
    return next((line for line in reversed(lines) if line), "")[:REASON_CHARS]


def _seen(path: Path) -> Seen:
    """What tells whether a file is another or has changed since; None if there is none."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _saved_step(folder: RunFolder) -> int | None:
    """Of the newest checkpoint. The event that tells of it may be missing: it is written after it."""
    try:
        return max((info.step for info in checkpoints(folder) if info.problem is None), default=None)
    except CheckpointError:
        return None


def _locked(folder: RunFolder) -> bool:
    try:
        return folder.is_locked()
    except (TinygptError, OSError):
        return False


def _memory_of(pid: int) -> int | None:
    """Resident memory in bytes, in whole mebibytes; None where the system does not tell."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return (pages * os.sysconf("SC_PAGE_SIZE") >> 20) << 20
