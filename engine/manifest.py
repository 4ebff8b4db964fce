"""What one checkpoint folder says it holds, and whether it does: sizes at a glance, every byte by its sha256.

A folder without a sound manifest is no checkpoint; the manifest is written last, so a save that was cut
off is never taken for one. What it leaves out: which checkpoint to choose, saving and deleting
(`engine.checkpoint`).
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import CheckpointError, ResourceError
from engine.reading import open_read, read_bytes, read_json, why
from engine.storage import dump_json

VERSION = 1
MODEL = "model.safetensors"
TRAINING = "training.safetensors"
MANIFEST = "manifest.json"
LARGEST = 16_000_000  # bytes of a manifest: it tells of every change of course, of which a script may ask for thousands

_STEP = re.compile(r"step-([0-9]{8,12})")
_HASH = re.compile(r"[0-9a-f]{64}")
_MOST = 1e300  # NaN is not below it, nor are infinity and whole numbers that no float can hold


@dataclass(frozen=True)
class FileEntry:
    """What a manifest says of a file: its name, its size in bytes, and its sha256 in hexadecimal."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint whose manifest is sound.

    Attributes:
        path: its folder.
        step: optimizer steps it has taken.
        state: what the trainer put there: plan, best, counters.
        files: what else the folder holds.
    """

    path: Path
    step: int
    state: dict[str, Any]
    files: tuple[FileEntry, ...]

    @property
    def val_loss(self) -> float | None:
        """Validation loss in nats per character, or None if it was not measured or is not finite."""
        value = self.state.get("val_loss")
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return None
        return float(value) if abs(value) <= _MOST else None

    def file(self, name: str) -> FileEntry:
        """Raises CheckpointError if the checkpoint has no such file."""
        for entry in self.files:
            if entry.name == name:
                return entry
        raise CheckpointError(f"{self.path} has no {name}: it can be played with, not trained on.")


def folder_name(step: int) -> str:
    """The name of the folder of a step."""
    return f"step-{step:08d}"


def step_of(path: Path) -> int | None:
    """The step that a folder's name says, or None if it is not the name of a checkpoint."""
    match = _STEP.fullmatch(path.name)
    return int(match[1]) if match and folder_name(int(match[1])) == path.name else None


def build(step: int, state: dict[str, Any], files: Mapping[str, bytes]) -> bytes:
    """The manifest of a checkpoint, to be written after `files` (contents by name).

    Raises:
        ResourceError: the state has grown larger than anybody reads.
    """
    entries = [
        {"name": name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in files.items()
    ]
    contents = seal({"version": VERSION, "step": step, "state": state, "files": entries})
    if len(contents) > LARGEST:
        raise ResourceError(
            f"Too much has been asked of this run: its manifest would have more than {LARGEST:,} bytes."
        )
    return contents


def seal(fields: dict[str, Any]) -> bytes:
    """The bytes of a manifest with its own sha256 in it: the state has no other guard against a flipped bit."""
    return dump_json({**fields, "sha256": _seal_of(fields)}, indent=2)


def read(path: Path) -> Checkpoint:
    """The checkpoint in a folder, after comparing the sizes of its files, but not their bytes.

    Raises:
        CheckpointError: something is missing, damaged, a symbolic link, or of a newer version.
    """
    if path.is_symlink() or not path.is_dir():
        raise CheckpointError(f"{path} is not a folder.")
    manifest = path / MANIFEST
    data = read_json(manifest, LARGEST)
    version = data.get("version")
    if isinstance(version, int) and version > VERSION:
        raise CheckpointError(
            f"{manifest} is of version {str(version)[:20]}, from a newer tinygpt: upgrade this one."
        )
    if data.pop("sha256", None) != _seal_of(data):
        raise CheckpointError(f"{manifest} is damaged: its sha256 is not that of its contents.")
    checkpoint = _parse(path, data)
    if checkpoint is None:
        raise CheckpointError(f"{manifest} is damaged: it does not describe this checkpoint.")
    for entry in checkpoint.files:
        _check_size(path / entry.name, entry.size)
    return checkpoint


def verify(path: Path) -> Checkpoint:
    """The checkpoint in a folder, after comparing every byte with its hash. Raises as `read`."""
    checkpoint = read(path)
    for entry in checkpoint.files:
        _check_hash(path / entry.name, entry, _sha256_of(path / entry.name))
    return checkpoint


def read_file(checkpoint: Checkpoint, name: str) -> bytes:
    """The contents of one file: the very bytes returned are the ones that were checked.

    Raises:
        CheckpointError: the checkpoint has no such file, or it is damaged.
    """
    entry = checkpoint.file(name)
    data = read_bytes(checkpoint.path / name, entry.size)
    _check_hash(checkpoint.path / name, entry, hashlib.sha256(data).hexdigest())
    return data


def _seal_of(fields: dict[str, Any]) -> str:
    # Over the compact form, so that it does not depend on how the file is laid out.
    return hashlib.sha256(dump_json(fields)).hexdigest()


def _parse(path: Path, data: dict[str, Any]) -> Checkpoint | None:
    step, state, files = data.get("step"), data.get("state"), data.get("files")
    if data.get("version") is True or data.get("version") != VERSION:
        return None
    if (
        type(step) is not int
        or step != step_of(path)
        or not isinstance(state, dict)
        or not isinstance(files, list)
    ):
        return None
    entries = [entry for file in files if (entry := _entry(file)) is not None]
    names = {entry.name for entry in entries}
    if len(entries) != len(files) or len(names) != len(entries) or MODEL not in names:
        return None
    return Checkpoint(path, step, state, tuple(entries))


def _entry(data: object) -> FileEntry | None:
    if not isinstance(data, dict):
        return None
    name, size, sha256 = data.get("name"), data.get("size"), data.get("sha256")
    # Only these names: a manifest must not point anywhere else.
    if name not in (MODEL, TRAINING) or type(size) is not int or not 0 <= size < 1 << 63:
        return None
    if not isinstance(sha256, str) or not _HASH.fullmatch(sha256):
        return None
    return FileEntry(str(name), size, sha256)


def _check_size(path: Path, size: int) -> None:
    fd = open_read(path)
    try:
        found = os.fstat(fd).st_size
    finally:
        os.close(fd)
    if found != size:
        raise CheckpointError(f"{path} is damaged: it has {found:,} bytes instead of {size:,}.")


def _check_hash(path: Path, entry: FileEntry, found: str) -> None:
    if found != entry.sha256:
        raise CheckpointError(f"{path} is damaged: its sha256 differs from the manifest.")


def _sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    fd = open_read(path)
    try:
        while chunk := os.read(fd, 1 << 20):
            digest.update(chunk)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {why(error)}.") from error
    finally:
        os.close(fd)
    return digest.hexdigest()
