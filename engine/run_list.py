"""All the runs in a folder: list them, find one by its name, delete one. Broken ones are listed too.

What it leaves out: what is inside a run (`engine.runs`), and the trash (`engine.trash`). It needs no torch, so a list appears at once.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from engine import starter, storage
from engine.checkpoint import CheckpointInfo, checkpoints
from engine.errors import CheckpointError, ResourceError
from engine.lock import turn
from engine.reading import JSON_LIMIT, read_bytes, why
from engine.runs import MOST_COUNT, STARTER, RunFolder, Status, check_name


@dataclass(frozen=True)
class RunSummary:
    """One run in a list.

    Attributes:
        run: its name.
        state: see `RunFolder.state`, or "damaged".
        step, horizon: optimizer steps taken and planned; None if not known.
        val_loss: the best so far, nats per character.
        corpus: name of its corpus.
        params: trained values.
        created: when, in ISO 8601 with the offset from UTC; "" if not known.
        arch: architecture of the model.
        size: bytes on the disk.
        reason: why it is damaged, or "".
        path: its folder.
    """

    run: str
    state: str
    step: int | None
    horizon: int | None
    val_loss: float | None
    corpus: str | None
    params: int | None
    created: str
    arch: str | None
    size: int
    reason: str
    path: Path

    def to_json(self) -> dict[str, Any]:
        """What `runs list --json` prints: other programs rely on these keys."""
        keys = ("run", "state", "step", "val_loss", "corpus", "params", "created")
        return {key: getattr(self, key) for key in keys}


def list_runs(runs_dir: Path) -> list[RunSummary]:
    """Every run, newest first.

    Raises:
        CheckpointError: the folder exists but cannot be read.
    """
    found = [summary_of(path) for path in folders_in(runs_dir)]
    return sorted(found, key=lambda run: (_timestamp(run), run.run), reverse=True)


def newest_run(runs_dir: Path) -> RunFolder | None:
    """The newest run that has a checkpoint to load, or None. Raises as `list_runs`."""
    for run in list_runs(runs_dir):
        if any(info.problem is None for info in _checkpoints(RunFolder(run.path))):
            return RunFolder(run.path)
    return None


def resolve_run(runs_dir: Path, name_or_path: str | None) -> RunFolder:
    """The run that a person means: a name in `runs_dir`, else the starter's name, else the path of a run folder, else the newest.

    The starter stands in for the newest as long as there is none.

    Raises:
        CheckpointError: there is none; close names are named.
    """
    if name_or_path is None:
        if (newest := newest_run(runs_dir) or starter.find()) is None:
            where = f"There is no run with a checkpoint in {runs_dir}"
            raise CheckpointError(
                f"{where}, and the starter is missing from this installation: train one first."
            )
        return newest
    names = [path.name for path in folders_in(runs_dir)]
    if name_or_path in names:
        path = runs_dir / name_or_path
        _refuse_link(path)
    elif name_or_path == STARTER:
        return starter.built_in()
    else:
        path = Path(name_or_path)
        if not name_or_path or not _is_folder(path):
            raise CheckpointError(_unknown(name_or_path, names, runs_dir))
    folder = RunFolder(path.resolve() if path.name in ("", "..") else path)
    if not (folder.request.is_file() or folder.run.is_file()):
        raise CheckpointError(f"{path} is not a run folder: it has neither request.json nor run.json.")
    return folder


def delete_run(runs_dir: Path, name: str) -> None:
    """Delete a run for good, and the text it learned, if no other run beside it or in the trash beside them did.

    A crash meanwhile leaves it whole or gone from every list.

    Raises:
        UsageError: that is no name of a run.
        CheckpointError: there is no such run.
        BusyError: it is being trained, or a run is being made at this moment.
        ResourceError: the folder or the text cannot be changed.
    """
    folder = own_run(runs_dir, name)
    with texts_in_turn(runs_dir.parent):
        with nobody_training(folder):
            text = text_of(folder)
            storage.discard(folder.path)
        storage.sweep(runs_dir, temporaries=False)
        forget_texts(runs_dir.parent, {text} if text else set())


@contextmanager
def texts_in_turn(data_dir: Path, *, storing: bool = False) -> Iterator[None]:
    """For whoever deletes or moves runs, or is `storing` a text and then makes a run that names it. Raises BusyError after seconds."""
    with turn(data_dir, data_dir, shared=storing):
        yield


def text_of(folder: RunFolder) -> str | None:
    """The hash under which the text of a run is stored, or None if the run does not say."""
    for read in (folder.read_request, folder.read_run):
        try:
            corpus = read().get("corpus")
        except CheckpointError:
            continue
        sha256 = corpus.get("sha256") if isinstance(corpus, dict) else None
        if isinstance(sha256, str) and re.fullmatch(r"[0-9a-f]{64}", sha256):
            return sha256
    return None


def forget_texts(data_dir: Path, hashes: set[str]) -> None:
    """Deletes for good the stored texts of these hashes that no run names, be it in the list or in the trash.

    For whoever has taken the turn (`texts_in_turn`).

    Raises:
        CheckpointError: a folder cannot be read. ResourceError: a text cannot be deleted.
    """
    left = [path for part in ("runs", "trash") for path in folders_in(data_dir / part)]
    for sha256 in hashes:
        text = data_dir / "corpora" / f"{sha256}.txt"
        if any(_names(path, sha256) for path in left):
            continue
        try:
            storage.ops.unlink(text)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise ResourceError(
                f"The text of the run, {text}, cannot be deleted ({why(error)}): delete it by hand."
            ) from error


def _names(path: Path, sha256: str) -> bool:
    """Whether a run means the text of this hash; a run that is damaged is searched for it all the same."""
    folder = RunFolder(path)
    for file in (folder.request, folder.run):
        try:
            if os.path.lexists(file) and sha256.encode() in read_bytes(file, JSON_LIMIT):
                return True
        except CheckpointError:
            return True  # nobody can tell
    return False


def own_run(runs_dir: Path, name: str) -> RunFolder:
    """The run of this name, which is no link to elsewhere.

    Raises:
        UsageError: that is no name of a run, or it is the starter's.
        CheckpointError: there is no such run.
    """
    check_name(name)
    folder = RunFolder(runs_dir / name)
    starter.refuse(starter.folder_of(runs_dir, name))
    if folder.path.is_symlink() or not folder.path.is_dir():
        raise CheckpointError(_unknown(name, [path.name for path in folders_in(runs_dir)], runs_dir))
    return folder


@contextmanager
def nobody_training(folder: RunFolder) -> Iterator[None]:
    """Keeps trainers out of a run meanwhile. Raises BusyError if one is at work."""
    if folder.lock.is_symlink() or (folder.lock.exists() and not folder.lock.is_file()):
        yield  # no trainer accepts such a lock, so none can be at work
    else:
        with folder.acquire():
            yield


def folders_in(runs_dir: Path) -> list[Path]:
    """What lies in a folder of folders, in no order; nothing if there is none. Raises CheckpointError if it cannot be read."""
    try:
        return [path for path in runs_dir.iterdir() if not path.name.startswith(".") and path.is_dir()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise CheckpointError(f"{runs_dir} cannot be read: {why(error)}.") from error


def _refuse_link(path: Path) -> None:
    if path.is_symlink():
        raise CheckpointError(f"{path} is a symbolic link: open the run by the path it points to.")


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # a name that no filesystem takes
        return False


def summary_of(path: Path) -> RunSummary:
    """What a list says of the run in the folder at `path`; it never raises."""
    folder = RunFolder(path)
    reasons: list[str] = []
    info: dict[str, Any] = {}
    status: Status | None = None
    state = "damaged"
    try:
        _refuse_link(path)
        if not os.path.lexists(folder.request) and not os.path.lexists(folder.run):
            raise CheckpointError(f"{path} has neither request.json nor run.json.")
        status = folder.read_status()
        info = folder.read_run() if os.path.lexists(folder.run) else _asked(folder)
        sound = [item for item in checkpoints(folder) if item.problem is None]
        state = folder.state()
    except (CheckpointError, OSError) as error:
        reasons.append(str(error))
        sound = _checkpoints(folder)
    losses = [item.val_loss for item in sound if item.val_loss is not None]
    best = min(losses) if losses else status.val_loss if status else None
    step = status.step if status else sound[0].step if sound else None
    return RunSummary(
        run=path.name,
        state="damaged" if reasons else state,
        step=step,
        horizon=status.horizon or None if status else None,
        val_loss=best,
        corpus=_text(info.get("corpus", {}).get("name")),
        params=_whole(info.get("params")),
        created=_created(folder, info),
        arch=_text(info.get("model", {}).get("arch")),
        size=_size(path),
        reason=" ".join(reasons),
        path=path,
    )


def _asked(folder: RunFolder) -> dict[str, Any]:
    """What is known of a run that its trainer has not settled yet."""
    request = folder.read_request()
    return {"corpus": request["corpus"]} if isinstance(request.get("corpus"), dict) else {}


def _checkpoints(folder: RunFolder) -> list[CheckpointInfo]:
    try:
        return [info for info in checkpoints(folder) if info.problem is None]
    except CheckpointError:
        return []


def _created(folder: RunFolder, info: dict[str, Any]) -> str:
    written = info.get("created")
    try:
        if isinstance(written, str):
            return datetime.fromisoformat(written).astimezone(UTC).isoformat(timespec="seconds")
        return datetime.fromtimestamp(folder.request.lstat().st_mtime, UTC).isoformat(timespec="seconds")
    except (OSError, ValueError, OverflowError):
        return ""


def _timestamp(run: RunSummary) -> float:
    return datetime.fromisoformat(run.created).timestamp() if run.created else 0.0


def _size(path: Path) -> int:
    total = 0
    if path.is_symlink():
        return total
    for folder, _, files in os.walk(path):
        for name in files:
            try:
                total += (Path(folder) / name).lstat().st_size
            except OSError:
                continue  # pruned meanwhile
    return total


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _whole(value: object) -> int | None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value if isinstance(value, int) and whole and 0 <= value <= MOST_COUNT else None


def _unknown(name: str, names: list[str], runs_dir: Path) -> str:
    start = f"There is no run {name[:80]!r} in {runs_dir}"
    if close := difflib.get_close_matches(name, names, n=3):
        return f"{start}: did you mean {' or '.join(close)}?"
    if names:
        return f"{start}: it has {', '.join(sorted(names)[:5])}{' and others' if len(names) > 5 else ''}."
    return f"{start}: train one first."
