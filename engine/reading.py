"""Reads files that may come from a stranger: a run folder from elsewhere is data, never trusted, never run.

Sizes are capped before anything is read, links, pipes and devices are refused, and whatever is wrong becomes
one sentence. What it leaves out: writing (`engine.storage`), and what the JSON must contain.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from engine import storage
from engine.errors import CheckpointError

JSON_LIMIT = 1_000_000  # bytes; ours are a few kilobytes, a stranger's may be anything
NESTING_LIMIT = 64  # ours nest less than ten deep; whoever walks through a much deeper one runs out of stack


def open_read(path: Path) -> int:
    """A descriptor on a regular file that is not a symbolic link.

    Raises:
        CheckpointError: it is missing, cannot be read, or is a link, folder, pipe or device.
    """
    try:
        return storage.open_regular(path, os.O_RDONLY)
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} is missing.") from error
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {why(error)}.") from error


def read_bytes(path: Path, limit: int) -> bytes:
    """The whole of a file.

    Raises:
        CheckpointError: as for `open_read`, or it is longer than `limit` bytes.
    """
    fd = open_read(path)
    try:
        size = os.fstat(fd).st_size
        if size > limit:
            raise CheckpointError(
                f"{path} is too large: {size:,} bytes, of which at most {limit:,} are read."
            )
        parts = []
        left = limit + 1  # the file may grow while it is read
        while left > 0 and (part := os.read(fd, min(left, 1 << 24))):
            parts.append(part)
            left -= len(part)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {why(error)}.") from error
    finally:
        os.close(fd)
    if left <= 0:
        raise CheckpointError(f"{path} grew beyond {limit:,} bytes while it was read: try again.")
    return b"".join(parts)


def read_json(path: Path, limit: int = JSON_LIMIT) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        CheckpointError: as for `read_bytes`, or `parse_json` finds no object.
    """
    data = parse_json(read_bytes(path, limit))
    if data is None:
        raise CheckpointError(f"{path} is damaged: it is not a JSON object.")
    return data


def parse_json(data: bytes) -> dict[str, Any] | None:
    """The JSON object in UTF-8 `data`, or None: also for NaN and Infinity, and for what nests too deep."""
    try:
        value = json.loads(data.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and not _is_deep(value, data) else None


def why(error: OSError) -> str:
    """The operating system's own words, to end a sentence of ours."""
    return (error.strerror or str(error)).lower()


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _is_deep(value: dict[str, Any], data: bytes) -> bool:
    """Whether the value in `data` nests deeper than `NESTING_LIMIT`."""
    if data.count(b"{") + data.count(b"[") <= NESTING_LIMIT:
        return False
    level: list[Any] = [value]
    for _ in range(NESTING_LIMIT):
        inner = (part for whole in level for part in (whole.values() if isinstance(whole, dict) else whole))
        level = [part for part in inner if isinstance(part, (dict, list))]
        if not level:
            return False
    return True
