"""The run folder: where each file of a run is, who may write it, and what its small JSON files hold.

Plain files are the seam between the trainer and everyone who watches it. What it leaves out: the events
(`engine.event_log`), requests (`engine.control`), weights (`engine.checkpoint`) and the list of all runs
(`engine.run_list`).
"""

from __future__ import annotations

import os
import re
import time
import unicodedata
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from engine import lock as locks
from engine import storage
from engine.errors import CheckpointError, TakenError, UsageError
from engine.reading import JSON_LIMIT, parse_json, read_bytes, read_json

VERSION = 1  # of run.json
UNFINISHED = frozenset({"preparing", "training", "paused"})
STATES = UNFINISHED | {"stopped", "done", "failed"}
MAX_NAME = 64
MOST_COUNT = 10**15  # steps, parameters and the like; whoever says more is no trainer of ours
STARTER = "starter"  # the name of the model that is built in; no new run takes it

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
# Windows keeps these names, with any suffix, for devices; a run folder may be copied there.
_DEVICES = frozenset({"con", "prn", "aux", "nul"} | {f"{d}{n}" for d in ("com", "lpt") for n in range(10)})
_START_GRACE_SECONDS = 60.0
_TOKENIZER_LIMIT = 64_000_000  # bytes


@dataclass(frozen=True)
class Status:
    """What the trainer last said of itself, replaced about once a second.

    Attributes:
        pid: its process.
        state: one of `STATES`.
        step: optimizer steps taken.
        heartbeat: when this was written, seconds since 1970; for display only, since clocks jump.
        horizon: the step at which training is to end, 0 if not known yet.
        message: one sentence for a person, or "".
        val_loss: best validation loss so far, nats per character.
    """

    pid: int
    state: str
    step: int
    heartbeat: float
    horizon: int = 0
    message: str = ""
    val_loss: float | None = None


@dataclass(frozen=True)
class Meta:
    """What a person wrote about a run; the interface's, never read by the trainer."""

    label: str = ""
    notes: str = ""


@dataclass(frozen=True)
class RunFolder:
    """One run's folder and the names of the files in it."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def request(self) -> Path:
        return self.path / "request.json"

    @property
    def run(self) -> Path:
        return self.path / "run.json"

    @property
    def meta(self) -> Path:
        return self.path / "meta.json"

    @property
    def tokenizer(self) -> Path:
        return self.path / "tokenizer.json"

    @property
    def events(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def control(self) -> Path:
        return self.path / "control.jsonl"

    @property
    def status(self) -> Path:
        return self.path / "status.json"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def log(self) -> Path:
        return self.path / "trainer.log"

    @property
    def lock(self) -> Path:
        return self.path / "lock"

    @property
    def corpora(self) -> Path:
        """The texts that the runs beside this one learned, unless it was copied away from them."""
        return self.path.absolute().parent.parent / "corpora"

    @classmethod
    def create(cls, runs_dir: Path, name: str, request: dict[str, Any]) -> RunFolder:
        """A new run that holds its request; it appears whole or not at all.

        Raises:
            TakenError: there is such a run.
            UsageError: the name is not allowed.
            ResourceError: the folder cannot be written.
        """
        check_new_name(name)
        storage.make_private_dir(runs_dir)
        temporary = storage.make_temporary_dir(runs_dir)
        final = runs_dir / name
        try:
            storage.write_new(temporary / "request.json", _json_file(request))
            storage.publish(temporary, final)
        except FileExistsError:
            storage.remove_unpublished(temporary)
            raise TakenError(f"A run named {name} exists in {runs_dir}: choose another name.") from None
        except Exception:
            storage.remove_unpublished(temporary)
            raise
        return cls(final)

    def acquire(self) -> locks.RunLock:
        """Become the only writer of this run. Raises BusyError if there is another, or as `lock.acquire`."""
        return locks.acquire(self.lock)

    def is_locked(self) -> bool:
        """Whether a trainer lives. Raises CheckpointError if the lock is no regular file."""
        return locks.is_locked(self.lock)

    def open_log(self) -> int:
        """A descriptor for the trainer's output; raises as `storage.open_append`."""
        return storage.open_append(self.log)

    def read_request(self) -> dict[str, Any]:
        """What was asked. Raises CheckpointError."""
        return read_json(self.request)

    def write_run(self, info: dict[str, Any]) -> None:
        """Fix what the trainer made of the request. Raises CheckpointError if that is fixed and differs."""
        write_once_json(self.run, info)

    def read_run(self) -> dict[str, Any]:
        """What the run is made of, with the types that readers rely on.

        Raises:
            CheckpointError: it is missing, damaged, or of a newer version.
        """
        info = read_json(self.run)
        version = info.get("version")
        if isinstance(version, int) and version > VERSION:
            raise CheckpointError(
                f"{self.run} is of version {str(version)[:20]}, from a newer tinygpt: upgrade this one."
            )
        if version != VERSION or isinstance(version, bool):
            raise CheckpointError(f"{self.run} is damaged: its version is not {VERSION}.")
        for key, kind in (("model", dict), ("corpus", dict), ("recipe", dict)):
            if not isinstance(info.get(key), kind):
                raise CheckpointError(f"{self.run} is damaged: it has no {key}.")
        turns = info.get("turns")
        if turns is not None and not (
            isinstance(turns, dict) and all(isinstance(turns.get(who), str) for who in ("user", "model"))
        ):
            raise CheckpointError(f"{self.run} is damaged: turns must name the user and the model.")
        return info

    def write_tokenizer(self, data: dict[str, Any]) -> None:
        """Fix the tokenizer; raises as `write_run`."""
        write_once_json(self.tokenizer, data, indent=None)

    def read_tokenizer(self) -> dict[str, Any]:
        """The tokenizer's JSON, unchecked. Raises CheckpointError."""
        return read_json(self.tokenizer, _TOKENIZER_LIMIT)

    def write_meta(self, meta: Meta) -> None:
        storage.write_atomic(self.meta, _json_file(asdict(meta)))

    def read_meta(self) -> Meta:
        """What was noted; nothing, if nothing or nothing readable was."""
        try:
            data = read_json(self.meta)
        except CheckpointError:
            return Meta()
        return Meta(**{key: data[key] for key in ("label", "notes") if isinstance(data.get(key), str)})

    def write_status(self, status: Status) -> None:
        """Replace the status. Only the last one is flushed: a heartbeat must not wait for the disk."""
        data = storage.dump_json(asdict(status)) + b"\n"
        storage.write_atomic(self.status, data, durable=status.state not in UNFINISHED)

    def read_status(self) -> Status | None:
        """What the trainer last said, or None if it has not said anything yet, or a power loss took that away.

        Raises:
            CheckpointError: the file is damaged.
        """
        if not os.path.lexists(self.status):
            return None
        content = read_bytes(self.status, JSON_LIMIT)
        if not content.strip(b"\0"):
            return None  # what is left of a file that was never flushed: the run itself is as sound as before
        data = parse_json(content)
        if data is None:
            raise CheckpointError(f"{self.status} is damaged: remove it.")
        kinds: dict[str, tuple[type, ...]] = {
            "pid": (int,),
            "state": (str,),
            "step": (int,),
            "heartbeat": (int, float),
            "horizon": (int,),
            "message": (str,),
            "val_loss": (int, float, type(None)),
        }
        values = {f.name: data[f.name] for f in fields(Status) if f.name in data}
        wrong = [
            key
            for key, v in values.items()
            if isinstance(v, bool) or not isinstance(v, kinds[key]) or _is_beyond_reason(v)
        ]
        missing = {"pid", "state", "step", "heartbeat"} - set(values)
        if wrong or missing or values["state"] not in STATES:
            raise CheckpointError(f"{self.status} is damaged: remove it.")
        return Status(**values)

    def state(self) -> str:
        """One of `STATES`, or "stale": it says that it is at work, but nobody holds its lock.

        Raises:
            CheckpointError: the status or the lock is damaged.
        """
        status = self.read_status()
        if (status is None or status.state in UNFINISHED) and not self.is_locked():
            # A trainer that ended between the two looks has said so by now.
            status = self.read_status()
            if status is None:
                return "preparing" if self._is_young() else "stale"
            return "stale" if status.state in UNFINISHED else status.state
        if status is None or (status.state in UNFINISHED and locks.holder(self.lock) != status.pid):
            return "preparing"  # whoever holds the lock has not spoken yet: what is there was said by one before it
        return status.state

    def _is_young(self) -> bool:
        # Between the request and the trainer's first breath there is neither a status nor a lock.
        try:
            return abs(time.time() - self.request.stat().st_mtime) < _START_GRACE_SECONDS
        except OSError:
            return False


def write_once_json(path: Path, value: dict[str, Any], indent: int | None = 2) -> None:
    """Write a file that never changes afterwards; writing the same again is no change.

    Raises:
        CheckpointError: it exists and says something else.
        ResourceError: it cannot be written.
    """
    data = _json_file(value, indent)
    if os.path.lexists(path):
        if read_bytes(path, max(len(data), _TOKENIZER_LIMIT)) != data:
            raise CheckpointError(f"{path} is already written and never changes: start a new run.")
        return
    storage.write_atomic(path, data)


def check_name(name: str) -> None:
    """Raises UsageError unless `name` is a safe file name everywhere."""
    if not _NAME.fullmatch(name) or name.endswith(".") or name.split(".")[0] in _DEVICES:
        raise UsageError(
            f"{name[:80]!r} cannot name a run: use 1 to {MAX_NAME} of a-z, 0-9, '.', '_' and '-', beginning "
            "with a letter or digit, not ending in '.', and no device name of Windows."
        )


def check_new_name(name: str) -> None:
    """Raises UsageError unless `name` may be given to a new run."""
    check_name(name)
    if name == STARTER:
        raise UsageError(f"{STARTER} is the name of the model that is built in: choose another name.")


def suggest_name(base: str, runs_dir: Path) -> str:
    """A free run name from a corpus name: "Fairy Tales.txt" gives "fairy-tales", then "fairy-tales-2"."""
    stem = re.sub(r"\.(txt|text|md|log)$", "", base.strip().lower())
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode("ascii")
    name = re.sub(r"[^a-z0-9._]+", "-", plain).strip("-._")[: MAX_NAME - 8].rstrip("-._")
    if not name or name.split(".")[0] in _DEVICES:
        name = f"run-{name}" if name else "run"
    candidate, n = name, 1
    while candidate == STARTER or os.path.lexists(runs_dir / candidate):
        n += 1
        candidate = f"{name}-{n}"
    return candidate


def _is_beyond_reason(value: object) -> bool:
    """Whether a number is one that no trainer tells; some are such that a whole number cannot become a float."""
    return isinstance(value, (int, float)) and not abs(value) <= MOST_COUNT


def _json_file(value: dict[str, Any], indent: int | None = 2) -> bytes:
    return storage.dump_json(value, indent=indent) + b"\n"
