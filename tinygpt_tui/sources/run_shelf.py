"""All the runs for a list, kept up to date a little at a time, and what a person does with them there.

A look at a run that has not changed costs a few stats, and looking stops after some milliseconds until the next tick, so that
hundreds of runs keep no key waiting. Left out: one run in depth (`tinygpt_tui.sources.run_watch`), starting one
(`tinygpt_tui.sources.run_starter`). Names and texts are exact: make them safe before they are shown.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Literal

from engine.errors import CheckpointError, TinygptError, UsageError
from engine.run_list import folders_in, own_run, summary_of
from engine.runs import STARTER, UNFINISHED, Meta, RunFolder
from engine.starter import SHOWN, find
from engine.trash import Trashed, list_trash, restore_run, trash_run
from tinygpt_tui.sources.errand import Errand
from tinygpt_tui.sources.run_export import export_run

SCAN_SECONDS = 1.0
TICK_SECONDS = 0.006
MOST_LABEL = 80
MOST_NOTES = 50_000  # characters


@dataclass(frozen=True)
class RunRow:
    """One run in the list.

    Attributes:
        name: of its folder.
        state: as `RunPicture.state`.
        step, horizon: optimizer steps taken and planned; None if not known.
        val_loss: the best so far, nats per character.
        params: trained values.
        size: bytes on the disk.
        created: when, in seconds since 1970; None if not known.
        label, notes: what a person wrote about it.
        reason: why it is damaged, or "".
        built_in: it is the starter, which is nobody's run.
    """

    name: str
    state: str
    step: int | None
    horizon: int | None
    val_loss: float | None
    corpus: str | None
    arch: str | None
    params: int | None
    size: int
    created: float | None
    label: str
    notes: str
    reason: str
    path: Path
    built_in: bool = False

    @property
    def live(self) -> bool:
        """Whether a trainer is at work on it, or about to be."""
        return self.state in UNFINISHED


@dataclass(frozen=True)
class Export:
    """What became of the last copy that was asked for.

    Attributes:
        state: copying, done or failed; idle before anything was asked.
        share: how much is copied, from 0 to 1.
        path: the new folder, once it is done.
        message: one sentence, if it failed.
    """

    state: Literal["idle", "copying", "done", "failed"] = "idle"
    run: str = ""
    share: float = 0.0
    path: Path | None = None
    message: str = ""


class RunShelf:
    """The runs in a folder."""

    def __init__(self, runs_dir: Path, trash_dir: Path) -> None:
        self._runs_dir, self._trash_dir = runs_dir, trash_dir
        self._rows: tuple[RunRow, ...] = ()
        self._known: dict[str, tuple[object, RunRow]] = {}  # with what tells whether the run has changed
        self._todo: deque[Path] = deque()
        self._scanned: float | None = None
        self._dirty = False
        self._whole = False
        self._trashed: list[Trashed] = []
        self._errand: Errand[Path | None] | None = None
        self.export = Export()
        self.problem = ""  # one sentence, if the folder cannot be read
        self.version = 0  # another number whenever anything here has changed

    @property
    def rows(self) -> tuple[RunRow, ...]:
        """The runs, newest first."""
        return self._rows

    @property
    def built_in(self) -> RunRow | None:
        """The starter, which is none of the runs; None if this installation lacks it, or a person's run has its name."""
        return None if any(row.name == STARTER for row in self._rows) else self._starter

    @cached_property
    def _starter(self) -> RunRow | None:
        folder = find()
        return None if folder is None else replace(_row_of(folder), label=SHOWN, built_in=True)

    @property
    def complete(self) -> bool:
        """Whether every run has been looked at once."""
        return self._whole

    def tick(self, now: float) -> bool:
        """Goes on looking; says whether anything has changed.

        Args:
            now: seconds by a monotonic clock.
        """
        before = self.version
        if not self._todo and (self._scanned is None or now - self._scanned >= SCAN_SECONDS):
            self._scanned = now
            self._list()
        self._look(time.perf_counter() + TICK_SECONDS)
        self._look_at_export()
        return self.version != before

    def scan(self, seconds: float = float("inf")) -> None:
        """Looks at the runs now, for whoever needs the list before there is a screen; what takes longer is left to the ticks."""
        self._list()
        self._look(time.perf_counter() + seconds)

    def row(self, name: str) -> RunRow | None:
        """The run of this name, or the starter."""
        found = next((row for row in self._rows if row.name == name), None)
        return self.built_in if name == STARTER and found is None else found

    def find(self, name: str) -> RunRow | None:
        """As `row`, and a run whose turn to be looked at has not come yet is looked at now."""
        if (path := next((path for path in self._todo if path.name == name), None)) is not None:
            self._look_at(path)
            self._publish()
        return self.row(name)

    def newest_live(self) -> str | None:
        """The newest run that is being trained, or None."""
        return next((row.name for row in self._rows if row.live), None)

    def live_names(self) -> tuple[str, ...]:
        return tuple(row.name for row in self._rows if row.live)

    def rename(self, name: str, label: str) -> None:
        """Gives a run another label; its folder, by which commands know it, keeps its name. "" takes the label away.

        Raises:
            UsageError: the label is too long, or that is no name of a run.
            CheckpointError: there is no such run.
            ResourceError: it cannot be written.
        """
        label = " ".join(label.split())
        if len(label) > MOST_LABEL:
            raise UsageError(f"A label has at most {MOST_LABEL} characters, not {len(label)}: shorten it.")
        self._write_meta(name, label=label)

    def note(self, name: str, notes: str) -> None:
        """Replaces the notes on a run. Raises as `rename`."""
        if len(notes) > MOST_NOTES:
            raise UsageError(
                f"Notes have at most {MOST_NOTES:,} characters, not {len(notes):,}: shorten them."
            )
        self._write_meta(name, notes=notes)

    def trash(self, name: str) -> Trashed:
        """Takes a run out of the list; `undo_trash` puts it back. Raises as `engine.trash.trash_run`."""
        trashed = trash_run(self._runs_dir, name, self._trash_dir)
        self._trashed.append(trashed)
        self._forget(name)
        return trashed

    def undo_trash(self) -> str:
        """Puts back the run that was taken out last here, or else the latest in the trash; returns its name, another one if that is taken.

        Raises:
            UsageError: there is none.
            CheckpointError: the trash cannot be read, or the run is not there any more.
            ResourceError: as `engine.trash.restore_run`.
        """
        if not self._trashed:
            self._trashed = list_trash(self._trash_dir)[::-1]
        if not self._trashed:
            raise UsageError("The trash is empty, so there is none to put back.")
        try:
            folder = restore_run(self._runs_dir, self._trashed[-1])
        except CheckpointError:  # it is not there any more; the one before may be
            self._trashed.pop()
            raise
        self._trashed.pop()  # only now: what failed can be tried again
        self._look_at(folder.path)
        self._publish()
        return folder.name

    def export_checkpoint(self, name: str, target_dir: Path) -> None:
        """Begins to copy a run with its best checkpoint into `target_dir`; what becomes of it is in `export`.

        Raises:
            UsageError: that is no name of a run, or another copy is being made.
            CheckpointError: there is no such run.
        """
        if self._errand is not None:
            raise UsageError(f"{self.export.run} is just being copied: wait until that is done.")
        folder = own_run(self._runs_dir, name)

        def work(errand: Errand[Path | None]) -> Path | None:
            def go_on(share: float) -> bool:
                errand.share = share
                return not errand.cancelled

            return export_run(folder, target_dir, go_on)

        self._errand = Errand(work)
        self.export = Export("copying", name)
        self.version += 1

    def close(self) -> None:
        """Gives up a copy that is not finished."""
        if self._errand is not None:
            self._errand.close()
            self._errand = None

    def _list(self) -> None:
        try:
            found = folders_in(self._runs_dir)
            problem = ""
        except CheckpointError as error:
            found, problem = [], str(error)
        if problem != self.problem:
            self.problem = problem
            self.version += 1
        for name in self._known.keys() - {path.name for path in found}:
            del self._known[name]
            self._dirty = True
        # New ones first, so that a run that has just been started appears at once, and of these what was written to last.
        known = self._known
        found.sort(
            key=lambda path: (path.name in known, 0.0 if path.name in known else -_written(path), path.name)
        )
        self._todo = deque(found)
        if not found:
            self._whole = True
            self._publish()

    def _look(self, until: float) -> None:
        while self._todo:
            self._look_at(self._todo.popleft())
            if not self._todo:
                self._whole = True
            if time.perf_counter() > until:
                break
        self._publish()

    def _look_at(self, path: Path) -> None:
        folder = RunFolder(path)
        known = self._known.get(path.name)
        stamp = _stamp(folder)
        if known is not None and known[0] == stamp:
            return
        row = _row_of(folder)
        self._known[path.name] = (stamp, row)
        self._dirty = self._dirty or known is None or known[1] != row

    def _publish(self) -> None:
        if not self._dirty:
            return
        self._dirty = False
        rows = (row for _, row in self._known.values())
        self._rows = tuple(sorted(rows, key=lambda row: (row.created or 0.0, row.name), reverse=True))
        self.version += 1

    def _forget(self, name: str) -> None:
        self._todo = deque(path for path in self._todo if path.name != name)
        if self._known.pop(name, None) is not None:
            self._dirty = True
            self._publish()

    def _write_meta(self, name: str, label: str | None = None, notes: str | None = None) -> None:
        folder = own_run(self._runs_dir, name)
        meta = folder.read_meta()
        folder.write_meta(
            Meta(meta.label if label is None else label, meta.notes if notes is None else notes)
        )
        self._look_at(folder.path)
        self._publish()

    def _look_at_export(self) -> None:
        errand, was = self._errand, self.export
        if errand is None:
            return
        if not errand.done:
            self.export = replace(was, share=int(errand.share * 100) / 100)
        else:
            self._errand = None
            state: Literal["done", "failed"] = "failed" if errand.problem else "done"
            self.export = replace(was, state=state, share=1.0, path=errand.result, message=errand.problem)
        self.version += self.export != was


def _row_of(folder: RunFolder) -> RunRow:
    summary = summary_of(folder.path)
    meta = folder.read_meta()
    return RunRow(
        name=summary.run,
        state="died" if summary.state == "stale" else summary.state,
        step=summary.step,
        horizon=summary.horizon,
        val_loss=summary.val_loss,
        corpus=summary.corpus,
        arch=summary.arch,
        params=summary.params,
        size=summary.size,
        created=datetime.fromisoformat(summary.created).timestamp() if summary.created else None,
        label=meta.label,
        notes=meta.notes,
        reason=summary.reason,
        path=folder.path,
    )


def _written(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except OSError:
        return 0.0


def _stamp(folder: RunFolder) -> object:
    """What differs if a run has changed, its trainer's death included: that writes nothing."""
    parts: list[object] = []
    for path in (folder.request, folder.run, folder.status, folder.meta, folder.checkpoints):
        try:
            found = path.lstat()
            parts.append((found.st_ino, found.st_mtime_ns))
        except OSError:
            parts.append(None)
    try:
        parts.append(folder.is_locked())
        if not parts[2]:
            parts.append(folder.state())  # which depends on the clock until a trainer has spoken
    except (TinygptError, OSError):
        parts.append("damaged")
    return tuple(parts)
