"""The trash: a run that a person took out of the list, whole, until it is put back or the trash is emptied.

A folder in it is called by the name the run had and the moment it came. What it leaves out: deleting for good without it
(`engine.run_list.delete_run`). It needs no torch.
"""

from __future__ import annotations

import errno
import os
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from engine import storage
from engine.errors import CheckpointError, ResourceError, UsageError
from engine.reading import why
from engine.run_list import folders_in, forget_texts, nobody_training, own_run, text_of, texts_in_turn
from engine.runs import RunFolder, check_name, suggest_name

# The name a run had, the moment in UTC, and a number if that was taken. No run has capitals in its name.
_IN_TRASH = re.compile(r"(.+)-(\d{8}T\d{6}Z)(?:-\d+)?")


@dataclass(frozen=True)
class Trashed:
    """A run in the trash: the name it had, its folder there, and when it went there, in seconds since 1970."""

    run: str
    path: Path
    time: int


def trash_run(runs_dir: Path, name: str, trash_dir: Path) -> Trashed:
    """Take a run out of the list without losing it: its folder moves to `trash_dir`, whole or not at all.

    Raises:
        UsageError: that is no name of a run.
        CheckpointError: there is no such run.
        BusyError: it is being trained, or a run is being made at this moment.
        ResourceError: a folder cannot be changed, or the trash lies on another disk.
    """
    folder = own_run(runs_dir, name)
    storage.make_private_dir(trash_dir)
    now = int(time.time())
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    with texts_in_turn(runs_dir.parent), nobody_training(folder):
        target = _free(trash_dir, f"{name}-{stamp}")
        _move(folder.path, target)
    return Trashed(name, target, now)


def list_trash(trash_dir: Path) -> list[Trashed]:
    """What is in the trash, the latest first; what was not put there by `trash_run` is left out.

    Raises:
        CheckpointError: the folder exists but cannot be read.
    """
    found = [trashed for path in folders_in(trash_dir) if (trashed := _trashed(path)) is not None]
    return sorted(found, key=lambda trashed: (trashed.time, trashed.path.name), reverse=True)


def restore_run(runs_dir: Path, trashed: Trashed) -> RunFolder:
    """Take a run out of the trash. If its name is taken by now it gets the next free one.

    Raises:
        CheckpointError: it is not in the trash any more.
        BusyError, ResourceError: as for `trash_run`.
    """
    if trashed.path.is_symlink() or not trashed.path.is_dir():
        raise CheckpointError(f"{trashed.run} is not in the trash any more, so it cannot be put back.")
    storage.make_private_dir(runs_dir)
    target = runs_dir / trashed.run
    if os.path.lexists(target):
        target = runs_dir / suggest_name(trashed.run, runs_dir)
    with texts_in_turn(runs_dir.parent):
        _move(trashed.path, target)
    return RunFolder(target)


def empty_trash(trash_dir: Path) -> int:
    """Delete for good what is in the trash, and the texts that only those runs learned; returns how many runs that were.

    Raises:
        CheckpointError: as for `list_trash`.
        BusyError: a run is being made at this moment.
        ResourceError: a folder or a text cannot be changed.
    """
    doomed = list_trash(trash_dir)
    with texts_in_turn(trash_dir.parent):
        texts = {text for trashed in doomed if (text := text_of(RunFolder(trashed.path)))}
        for trashed in doomed:
            storage.discard(trashed.path)
        if trash_dir.is_dir():
            storage.sweep(trash_dir, temporaries=False)
        forget_texts(trash_dir.parent, texts)
    return len(doomed)


def _move(path: Path, target: Path) -> None:
    try:
        storage.publish(path, target)
    except FileExistsError as error:
        raise ResourceError(f"{target} has just been made by another process: try again.") from error
    except OSError as error:
        if error.errno == errno.EXDEV:
            raise ResourceError(
                f"{path} and {target.parent} lie on different disks: move it by hand, or delete it for good."
            ) from error
        raise ResourceError(f"{path} cannot be moved to {target.parent}: {why(error)}.") from error
    storage.fsync_dir(path.parent)


def _free(folder: Path, name: str) -> Path:
    path, n = folder / name, 1
    while os.path.lexists(path):
        n += 1
        path = folder / f"{name}-{n}"
    return path


def _trashed(path: Path) -> Trashed | None:
    match = _IN_TRASH.fullmatch(path.name)
    if match is None or path.is_symlink():
        return None
    try:
        check_name(match[1])
        when = datetime.strptime(match[2], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except (UsageError, ValueError):
        return None
    return Trashed(match[1], path, int(when.timestamp()))
