"""Requests to a trainer: anyone appends a line to `control.jsonl`, and the trainer obeys at its next step.

A request has an id that never repeats, so a trainer that resumes can tell what it has recorded from what is
new. What it leaves out: obeying.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeGuard

from engine import storage
from engine.errors import BusyError, UsageError
from engine.event_log import LineTail
from engine.events import Control
from engine.reading import parse_json
from engine.runs import RunFolder

ACTIONS = ("pause", "resume", "stop", "save", "sample", "lr", "extend")
LR_FACTORS = (0.01, 100.0)
MAX_FACTOR = 1000.0  # of all rate changes that a recipe may repeat
MAX_STEPS = 10**9
MAX_PROMPT = 10_000  # characters
MAX_SAMPLE = 10_000  # characters; the trainer waits for them
DEFAULT_SAMPLE = 200

_PATIENCE_SECONDS = 5.0
_MOST_BYTES = 4_000_000  # read in one look: a trainer is not kept by a stranger's file of gigabytes
# The name that `value` has on disk.
_VALUE_KEYS = {"sample": "chars", "lr": "factor", "extend": "steps"}


@dataclass(frozen=True)
class Request:
    """Something asked of the trainer.

    Attributes:
        id: 16 hexadecimal digits, unique to this request.
        do: one of `ACTIONS`.
        value: for lr a factor, for extend a number of further steps, for sample a number of characters.
        prompt: for sample, the text to continue.
    """

    id: str
    do: str
    value: float | None = None
    prompt: str | None = None


def request(folder: RunFolder, do: str, value: float | None = None, prompt: str | None = None) -> str:
    """Ask the trainer of a run for something; returns the id under which its `Control` event will appear.

    Raises:
        UsageError: there is no such action, or a value is missing, superfluous or out of range.
        BusyError: another process held the file for seconds.
        ResourceError: the file cannot be written.
    """
    if do == "sample" and value is None:
        value = DEFAULT_SAMPLE
    if do == "sample" and prompt is None:
        prompt = ""
    if problem := _problem(do, value, prompt):
        raise UsageError(problem)
    identity = secrets.token_hex(8)
    line: dict[str, Any] = {"id": identity, "do": do}
    if value is not None:
        line[_VALUE_KEYS[do]] = float(value) if do == "lr" else int(value)
    if prompt is not None:
        line["prompt"] = prompt
    fd = storage.open_append(folder.control)
    try:
        _take_turn(fd, folder)
        storage.append_line(fd, storage.dump_json(line), folder.path, durable=True)
    finally:
        os.close(fd)
    return identity


class ControlReader:
    """The trainer's end of `control.jsonl`.

    Args:
        folder: the run.
        seen: ids that were recorded already and are to be ignored.
    """

    def __init__(self, folder: RunFolder, seen: Iterable[str] = ()) -> None:
        self._tail = LineTail(folder.control)
        self._seen = set(seen)

    def poll(self) -> list[Request]:
        """New requests, in the order they were made; lines that are no valid request are skipped.

        Raises:
            CheckpointError: the file is a symbolic link, not a regular file, or cannot be read.
        """
        found = []
        for line in self._tail.poll(_MOST_BYTES):
            new = _parse(line)
            if new is not None and new.id not in self._seen:
                self._seen.add(new.id)
                found.append(new)
        return found


def is_course(control: Control) -> bool:
    """Whether this is a change of course that a trainer can have obeyed: the events it stands in may be a stranger's."""
    if control.do == "lr":  # a recipe repeats factors in a wider range than may be asked for
        return isinstance(control.id, str) and _is_number(control.value) and 0 < control.value <= MAX_FACTOR
    return control.do == "extend" and isinstance(control.id, str) and _is_whole(control.value, MAX_STEPS)


def _parse(line: bytes) -> Request | None:
    data = parse_json(line)
    if data is None:
        return None
    identity, do, prompt = data.get("id"), data.get("do"), data.get("prompt")
    if not isinstance(identity, str) or not 1 <= len(identity) <= 64 or not isinstance(do, str):
        return None
    value = data.get(_VALUE_KEYS.get(do, ""))
    if _problem(do, value, prompt):
        return None
    return Request(identity, do, None if value is None else float(value), prompt)


def _problem(do: str, value: object, prompt: object) -> str | None:
    if do not in ACTIONS:
        return f"A run cannot be asked to {do[:40]!r}: it can {', '.join(ACTIONS)}."
    if do == "lr":
        low, high = LR_FACTORS
        if not _is_number(value) or not low <= value <= high:
            return f"lr takes a factor from {low:g} to {high:g}, not {value!r}."
    elif do == "extend":
        if not _is_whole(value, MAX_STEPS):
            return f"extend takes a number of steps from 1 to {MAX_STEPS:,}, not {value!r}."
    elif do == "sample":
        if not _is_whole(value, MAX_SAMPLE):
            return f"sample takes a number of characters from 1 to {MAX_SAMPLE:,}, not {value!r}."
        if not isinstance(prompt, str) or len(prompt) > MAX_PROMPT:
            return f"sample takes a prompt of at most {MAX_PROMPT:,} characters."
    elif value is not None:
        return f"{do} takes no value."
    if do != "sample" and prompt is not None:
        return f"{do} takes no prompt."
    return None


def _is_number(value: object) -> TypeGuard[float]:
    # NaN, infinity, and whole numbers that no float can hold, fail the comparison.
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= 1e300


def _is_whole(value: object, most: int) -> bool:
    return _is_number(value) and value == int(value) and 1 <= value <= most


def _take_turn(fd: int, folder: RunFolder) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise BusyError(f"{folder.control} is held by another process: try again.") from None
            time.sleep(0.002)
