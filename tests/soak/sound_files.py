"""Sound files for loaders to be tried with, and what a case of one is: files changed, handed over, judged.

A case takes dice, and ends with what was said, "taken", or the name of one of our errors. Whatever else comes out is a defect.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from engine import manifest
from engine.checkpoint import checkpoints
from engine.errors import TinygptError
from tests.soak import mutation

Case = Callable[[random.Random], str]
Files = dict[str, bytes]

MOST_MESSAGE = 3000  # characters: a sentence, and the paths in it
TEXT = "the quick brown fox jumps over the lazy dog, and goes home.\n"
CANARY = "canary"
SECRET = "secret"


def judged(action: Callable[[], object]) -> str:
    """What came of it: what the action says, "taken", or the name of our error, whose message is a sentence and no book."""
    try:
        said = action()
    except TinygptError as error:
        message = str(error)
        assert 0 < len(message) <= MOST_MESSAGE, f"a message of {len(message)} characters"
        return type(error).__name__
    return said if isinstance(said, str) else "taken"


def lay(folder: Path, files: Files) -> None:
    """Makes a folder that holds exactly these files."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def files_of(folder: Path) -> Files:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def trained(place: Path) -> tuple[Path, Files]:
    """A data folder with a text and the run "fox" of two checkpoints, as the trainer made it; and its files."""
    from tests.engine.conftest import World

    world = World(place / "data")
    folder = world.run("fox", steps=6, save_every=3, eval_every=3, kernels="eager", sample_chars=2)
    assert world.train(folder) == 0
    assert len(checkpoints(folder)) == 2
    return world.data, files_of(folder.path)


def resealed(data: bytes) -> bytes:
    """A manifest, changed, with the hash that belongs to what it says now, if it says anything."""
    with suppress(ValueError, RecursionError, AttributeError):
        parsed = json.loads(data)
        parsed.pop("sha256", None)
        seal = manifest._seal_of(parsed)
        return data.rstrip()[:-1] + b', "sha256": "' + seal.encode() + b'"}'
    return data


def unsealed(data: bytes) -> dict[str, Any]:
    return {key: value for key, value in json.loads(data).items() if key != "sha256"}


_laid: dict[Path, bytes] = {}


def lay_changed(folder: Path, files: Files, changed: Files) -> None:
    """Like `lay`, for a folder that nobody but us writes to: only what differs is written."""
    for name in files.keys() | changed.keys():
        path = folder / name
        if name not in changed:
            path.unlink(missing_ok=True)
        elif changed[name] != _laid.get(path, files.get(name)) or not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(changed[name])
        _laid[path] = changed.get(name, b"")


def other_contents(dice: random.Random, name: str, data: bytes, pickled: bytes) -> bytes:
    if name.endswith(".safetensors"):
        if dice.random() < 0.1:  # as torch.save writes it, in either form, and as large as the tensors were
            return dice.choice((pickled, pickled, b"PK\x03\x04" + pickled, b"\x80\x02" + pickled)).ljust(
                len(data), b"\n"
            )
        return mutation.safetensors_of(dice, data)
    if name.endswith(manifest.MANIFEST):
        told = mutation.json_of(dice, unsealed(data))
        return resealed(told) if dice.random() < 0.8 else told
    if name.endswith(".json"):
        return mutation.json_of(dice, json.loads(data))
    return mutation.bytes_of(dice, data)
