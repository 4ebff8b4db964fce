"""Durable, write-once checkpoints: once `save_checkpoint` has returned, no crash or power loss can undo it.

The recipe of SQLite, git and LMDB: fill a temporary folder, flush each file, write the manifest last,
rename to a name that did not exist, flush the parent; an older checkpoint goes only after that. No
pointer to the latest could ever be wrong: the newest whose hashes hold is the latest. What it leaves
out: when to save (the trainer) and what the weights mean (`engine.loading`). torch loads only where
tensors are touched.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from engine import manifest, storage
from engine.errors import CheckpointError, ResourceError, RunError
from engine.manifest import MANIFEST, MODEL, TRAINING, Checkpoint
from engine.reading import why
from engine.runs import RunFolder

if TYPE_CHECKING:
    from torch import Tensor

At = Literal["last", "best"] | int

Found = TypeVar("Found")


@dataclass(frozen=True)
class CheckpointInfo:
    """One line of a list: `size` in bytes, and `problem` if it cannot be loaded."""

    path: Path
    step: int
    val_loss: float | None
    size: int
    problem: str | None


def save_checkpoint(
    folder: RunFolder,
    step: int,
    weights: Mapping[str, Tensor],
    training: Mapping[str, Tensor],
    state: dict[str, Any],
) -> Path:
    """Write the checkpoint of `step`; when this returns it may be called saved.

    A sound checkpoint of that step is left as it is; a damaged one is replaced.

    Args:
        folder: the run, whose lock the caller holds.
        step: optimizer steps taken.
        weights: what one plays with; floating-point values are stored as float32.
        training: everything else that resuming needs, stored as it is.
        state: JSON; `val_loss` in it decides which checkpoint is the best.

    Raises:
        RunError: a weight is not finite; nothing was written.
        ResourceError: the disk is full, read-only or failed; older checkpoints are untouched.
        CheckpointError: the checkpoints folder is a symbolic link.
    """
    from engine import tensors

    if (name := tensors.not_finite(weights)) is not None:
        raise RunError(f"{name} is not finite at step {step:,}: not saved, go on from an older checkpoint.")
    parent = folder.checkpoints
    _check_folder(parent)
    storage.make_private_dir(parent)
    final = parent / manifest.folder_name(step)
    if os.path.lexists(final):
        try:
            manifest.verify(final)
        except CheckpointError:
            storage.discard(final)
        else:
            # It may stem from a process that died just before this last flush of its own.
            storage.fsync_dir(parent)
            return final
    files = {MODEL: tensors.to_bytes(weights, float32=True), TRAINING: tensors.to_bytes(training)}
    contents = manifest.build(step, state, files)
    temporary = storage.make_temporary_dir(parent)
    try:
        for name, data in files.items():
            storage.write_new(temporary / name, data)
        storage.write_new(temporary / MANIFEST, contents)
        storage.publish(temporary, final)
    except Exception:
        storage.remove_unpublished(temporary)
        raise
    return final


def checkpoints(folder: RunFolder) -> list[CheckpointInfo]:
    """All checkpoints, newest first, looked at cheaply: manifests and sizes, not hashes.

    Raises:
        CheckpointError: the checkpoints folder is a symbolic link or cannot be read.
    """
    found = []
    for step, path in _step_folders(folder.checkpoints):
        try:
            checkpoint = manifest.read(path)
        except CheckpointError as error:
            found.append(CheckpointInfo(path, step, None, 0, str(error)))
        else:
            size = sum(entry.size for entry in checkpoint.files)
            found.append(CheckpointInfo(path, step, checkpoint.val_loss, size, None))
    return found


def find_checkpoint(folder: RunFolder, at: At = "last") -> tuple[Checkpoint, list[str]]:
    """The checkpoint to load, every hash checked, and a sentence for each that had to be skipped for it.

    Args:
        folder: the run; no lock is needed.
        at: "last"; "best", which has the lowest validation loss, or is the last if none was measured; or a step, for which there is
            no substitute.

    Raises:
        CheckpointError: there is none, or none that is sound.
    """
    return _find(folder, at, manifest.verify)


def find_weights(
    folder: RunFolder, at: At, largest: int | None
) -> tuple[Checkpoint, bytes | None, list[str]]:
    """As `find_checkpoint`, for whoever only plays: the contents of the weights' file come with it, read and checked once.

    What else a checkpoint has may be twice as large, and is neither read nor checked.

    Args:
        largest: bytes. A file of more is not read, and None takes the place of its contents.
    """

    def look(path: Path) -> tuple[Checkpoint, bytes | None]:
        checkpoint = manifest.read(path)
        fits = largest is None or checkpoint.file(MODEL).size <= largest
        return checkpoint, manifest.read_file(checkpoint, MODEL) if fits else None

    (checkpoint, data), skipped = _find(folder, at, look)
    return checkpoint, data, skipped


def _find(folder: RunFolder, at: At, look: Callable[[Path], Found]) -> tuple[Found, list[str]]:
    """The first of the wanted checkpoints at which `look` finds nothing wrong, and why the others were skipped."""
    while True:
        infos = checkpoints(folder)
        wanted = [info for info in infos if info.step == at] if isinstance(at, int) else infos
        if not wanted:
            raise CheckpointError(_none(folder, at, infos))
        skipped: list[str] = []
        for info in sorted(wanted, key=_by_loss) if at == "best" else wanted:
            try:
                return look(info.path), skipped
            except CheckpointError as error:
                if not os.path.lexists(info.path):
                    break  # not damaged, but pruned by the trainer meanwhile: look again
                skipped.append(f"Skipped the checkpoint of step {info.step:,}: {error}")
        else:
            raise CheckpointError(f"{folder.name} has no sound checkpoint. {' '.join(skipped)}")


def load_weights(checkpoint: Checkpoint, data: bytes | None = None) -> dict[str, Tensor]:
    """The weights, on the CPU; from `data`, if their file has been read. Raises CheckpointError if it is damaged or a value not finite."""
    from engine import packing, tensors

    name = str(checkpoint.path / MODEL)
    stored = tensors.from_bytes(manifest.read_file(checkpoint, MODEL) if data is None else data, name)
    weights = packing.unpacked(stored)
    tensors.check_finite(weights, name)
    return weights


def load_training(checkpoint: Checkpoint) -> dict[str, Tensor]:
    """The tensors that resuming needs, on the CPU. Raises CheckpointError if it has no sound ones."""
    from engine import tensors

    return tensors.from_bytes(manifest.read_file(checkpoint, TRAINING), str(checkpoint.path / TRAINING))


def prune(folder: RunFolder, step: int, keep_last: int = 2) -> list[Path]:
    """Delete all checkpoints but the last `keep_last` sound ones and the best, once a newer one is saved.

    Damaged ones stay: they count for nothing, and a person may want to look. So do those beyond `step`, where the run stands: a resume
    has passed them over. One that cannot be removed is tried again the next time. Only for the holder of the lock.
    """
    sound = [info for info in checkpoints(folder) if info.problem is None and info.step <= step]
    keep = {info.path for info in sound[: max(keep_last, 1)]}
    keep |= {info.path for info in sorted(sound, key=_by_loss)[:1]}
    doomed = [info.path for info in sound if info.path not in keep]
    removed = []
    for path in doomed:
        # What it was made room for is safe already, and a network's filesystem keeps what somebody reads just now.
        with suppress(ResourceError, OSError):
            storage.discard(path)
            removed.append(path)
    return removed


def clean_leftovers(folder: RunFolder) -> None:
    """Remove what a crash left behind, and flush what it left unflushed. Only for the holder of the lock, before it writes.

    Raises:
        ResourceError: the folder cannot be changed.
    """
    # The interface writes its notes without the lock, perhaps at this moment.
    storage.sweep(folder.path, temporaries=True, spare=folder.meta.name)
    if folder.checkpoints.is_dir() and not folder.checkpoints.is_symlink():
        storage.sweep(folder.checkpoints, temporaries=True)
    # A process that died just after it had made a file or folder has not made that name safe, and who finds it there does not either.
    storage.fsync_dir(folder.path)


def _step_folders(parent: Path) -> list[tuple[int, Path]]:
    _check_folder(parent)
    try:
        steps = [(step, path) for path in parent.iterdir() if (step := manifest.step_of(path)) is not None]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise CheckpointError(f"{parent} cannot be read: {why(error)}.") from error
    return sorted(steps, reverse=True)


def _check_folder(path: Path) -> None:
    if path.is_symlink():
        raise CheckpointError(f"{path} is a symbolic link: put the real folder in its place.")


def _by_loss(info: CheckpointInfo) -> tuple[float, int]:
    """Lowest loss first, of equal ones the earliest, as for a trainer that notes each new best.

    The unmeasured come after, newest first. A damaged one comes before all: it might have been the best,
    so whoever asks for that is told.
    """
    if info.problem is not None:
        return (-math.inf, -info.step)
    return (math.inf, -info.step) if info.val_loss is None else (info.val_loss, info.step)


def _none(folder: RunFolder, at: At, infos: list[CheckpointInfo]) -> str:
    if not infos:
        return f"{folder.name} has no checkpoint yet: train it further, or choose another run."
    steps = ", ".join(str(info.step) for info in infos)
    return f"{folder.name} has no checkpoint of step {at}: it has {steps}."
