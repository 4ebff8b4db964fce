"""Copies a run to a folder of its own with its best checkpoint, so that `tinygpt sample` opens it anywhere.

The copy can be resumed where its corpus is. Left out: the corpus, requests to its trainer and the log.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from engine import manifest, storage
from engine.checkpoint import checkpoints, find_checkpoint
from engine.errors import CheckpointError, ResourceError, UsageError
from engine.reading import open_read, why
from engine.runs import RunFolder, Status

CHUNK_BYTES = 1 << 20
TRIES = 5

Told = Callable[[float], bool]


def export_run(folder: RunFolder, target_dir: Path, go_on: Told = lambda share: True) -> Path | None:
    """Copies the run; it may be trained meanwhile. The copy appears whole or not at all.

    Args:
        folder: the run.
        target_dir: an existing folder, which will hold one called as the run.
        go_on: told how much is done, from 0 to 1; says whether to go on.

    Returns:
        The new folder, or None if `go_on` said no.

    Raises:
        UsageError: `target_dir` is no folder, or holds something of that name.
        CheckpointError: the run has no sound checkpoint, or is damaged.
        ResourceError: the copy cannot be written.
    """
    if not target_dir.is_dir():
        raise UsageError(f"{target_dir} is not a folder: choose one that exists.")
    final = target_dir / folder.name
    if os.path.lexists(final):
        raise UsageError(f"{final} exists already: choose another folder.")
    try:
        temporary = storage.make_temporary_dir(target_dir)
        try:
            checkpoint = _copy_best(folder, temporary, go_on)
            if checkpoint is None:
                storage.remove_unpublished(temporary)
                return None
            _copy_rest(folder, RunFolder(temporary), checkpoint)
            storage.publish(temporary, final)
        except BaseException:
            storage.remove_unpublished(temporary)
            raise
    except FileExistsError as error:
        raise UsageError(f"{final} exists already: choose another folder.") from error
    except OSError as error:
        raise ResourceError(f"{folder.name} cannot be copied to {target_dir}: {why(error)}.") from error
    return final


def _copy_best(folder: RunFolder, temporary: Path, go_on: Told) -> manifest.Checkpoint | None:
    """The best checkpoint, copied and compared with its hashes; None if `go_on` said no."""
    for _ in range(TRIES):
        best, _ = find_checkpoint(folder, "best")
        target = RunFolder(temporary).checkpoints / best.path.name
        storage.make_private_dir(target)
        try:
            return manifest.verify(target) if _copy_checkpoint(best, target, go_on) else None
        except CheckpointError:
            # The trainer may have pruned it between the two looks; then there is a better one.
            if any(info.path == best.path for info in checkpoints(folder)):
                raise
            storage.discard(target)
    raise CheckpointError(f"The best checkpoint of {folder.name} changes all the time: pause the run first.")


def _copy_checkpoint(best: manifest.Checkpoint, target: Path, go_on: Told) -> bool:
    total = sum(entry.size for entry in best.files) or 1
    copied = 0

    def told(size: int) -> bool:
        nonlocal copied
        copied += size
        return go_on(min(1.0, copied / total))

    names = [*(entry.name for entry in best.files), manifest.MANIFEST]
    return all(_copy_file(best.path / name, target / name, told) for name in names)


def _copy_rest(folder: RunFolder, copy: RunFolder, best: manifest.Checkpoint) -> None:
    for path in (folder.run, folder.tokenizer, folder.request, folder.meta, folder.events):
        if os.path.lexists(path):
            _copy_file(path, copy.path / path.name)
    status = folder.read_status()
    horizon = max(status.horizon, best.step) if status else best.step
    ended = status is not None and status.state == "done" and status.step == best.step
    copy.write_status(
        Status(0, "done" if ended else "stopped", best.step, time.time(), horizon, "", best.val_loss)
    )


def _copy_file(source: Path, target: Path, told: Callable[[int], bool] = lambda size: True) -> bool:
    """Copies and flushes as much as the file holds now, unless `told` says no to a number of further bytes.

    Raises:
        CheckpointError: the source cannot be read.
        ResourceError: the copy cannot be written.
    """
    fd = open_read(source)
    try:
        left = os.fstat(fd).st_size
        copy = storage.open_update(target)
        try:
            while left > 0 and (chunk := os.read(fd, min(left, CHUNK_BYTES))):
                storage.overwrite(copy, chunk, target.parent)
                left -= len(chunk)
                if not told(len(chunk)):
                    return False
            storage.flush(copy, target.parent)
        finally:
            os.close(copy)
    finally:
        os.close(fd)
    return True
