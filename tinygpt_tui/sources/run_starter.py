"""Starts trainers that outlive the interface, for new runs and for runs that go on.

Reading a corpus takes a while and the whole processor, so it is done in a process of its own (`engine.beginning`), to which a thread
listens; the screen looks at the snapshot meanwhile. One thing is started at a time. Left out: watching what was started
(`tinygpt_tui.sources.run_watch`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import engine
from engine import catalogue
from engine.beginning import GO, asked_line
from engine.errors import BusyError, CheckpointError, ResourceError, RunError, UsageError
from engine.launch import check_request, start_detached
from engine.reading import why
from engine.recipe import check
from engine.run_list import own_run
from engine.runs import RunFolder
from tinygpt_tui.sources.errand import Errand
from tinygpt_tui.sources.run_watch import last_line

COMMAND = (sys.executable, "-m", "engine", "begin")
LOOK_SECONDS = 0.02

State = Literal["idle", "reading", "starting", "started", "failed"]
Launch = Callable[..., int]


@dataclass(frozen=True)
class Starting:
    """What became of the last thing that was asked.

    Attributes:
        state: reading (the corpus), starting (the trainer of a run that goes on), started or failed; idle before anything was asked.
        run: its name, as soon as it has one.
        message: one sentence: what is being done, or what went wrong.
        notices: what reading the corpus changed in it, a sentence each.
    """

    state: State = "idle"
    run: str | None = None
    message: str = ""
    notices: tuple[str, ...] = ()


class RunStarter:
    """One for the whole interface."""

    def __init__(
        self,
        data_dir: Path,
        cache_dir: Path,
        launch: Launch = start_detached,
        command: Sequence[str] = COMMAND,
    ) -> None:
        """
        Args:
            data_dir: holds `runs` and `corpora`.
            cache_dir: where fetched corpora lie.
            launch: starts a trainer as `engine.launch.start_detached`.
            command: starts the process that reads the text and makes the run's folder.
        """
        self._data_dir, self._cache_dir, self._launch = data_dir, cache_dir, launch
        self._command = tuple(command)
        self._reader: subprocess.Popen[bytes] | None = None
        self._errand: Errand[None] | None = None
        self._lock = threading.Lock()  # giving a new run up and beginning to make it exclude each other
        self._making = False
        self._children: list[int] = []
        self._said = self._heard = Starting()

    @property
    def snapshot(self) -> Starting:
        """As of the last `tick`."""
        return self._heard

    @property
    def busy(self) -> bool:
        return self._errand is not None

    def start(
        self,
        corpus: str,
        *,
        minutes: float | None = None,
        steps: int | None = None,
        size: str = "auto",
        arch: str = "modern",
        name: str | None = None,
        seed: int | None = None,
        values: Mapping[str, Any] | None = None,
        encoding: str | None = None,
        force_text: bool = False,
        force: bool = False,
    ) -> None:
        """Begins to start a new run; what becomes of it is in `snapshot`.

        Args:
            corpus: a path or a catalogue name, as `engine.corpus.read_corpus` takes it.
            minutes, steps: how long it trains: one of them.
            size: a name of `models.config.SIZES`, or "auto".
            name: of the run; made from the corpus' name if not given.
            values: further fields of the recipe.
            encoding, force_text, force: as for `read_corpus`.

        Raises:
            UsageError: a value is out of range, or the name is not allowed or taken.
            BusyError: something else is being started.
        """
        self._refuse_second()
        if (minutes is None) == (steps is None) or (values or {}).keys() & {"steps", "time"}:
            raise UsageError("A run takes either minutes or steps: give one of them.")
        chosen = dict(values or {}) | {"arch": arch}
        chosen |= {"seed": seed} if seed is not None else {}
        chosen |= {"steps": steps} if minutes is None else {"time": minutes * 60.0}
        check_request(self._data_dir / "runs", name, size, chosen)

        def work(errand: Errand[None]) -> None:
            # The process runs in another folder.
            source = corpus if not corpus or catalogue.find(corpus) else str(Path(corpus).absolute())
            asked = asked_line(
                self._data_dir, self._cache_dir, source, name=name, size=size, values=chosen, encoding=encoding,
                force_text=force_text, force=force,
            )  # fmt: skip
            for told in self._told_by_reader(errand, asked):
                if "total" in told:
                    share = 100 * told["read"] // max(1, told["total"])
                    self._said = Starting("reading", name, f"Reading the text: {share} % …")
                elif "run" in told:
                    folder = RunFolder(self._data_dir / "runs" / told["run"])
                    self._begin_trainer(folder)
                    self._said = Starting("started", folder.name, notices=tuple(told["notices"]))

        self._making = False
        self._said = self._heard = Starting("reading", name, "Reading the text …")
        self._errand = Errand(work)

    def resume(self, name: str, steps: int | None = None) -> None:
        """Begins to go on with a run from its newest good checkpoint; what becomes of it is in `snapshot`.

        Args:
            steps: the new total; without it the run goes on to where it was to end.

        Raises:
            UsageError: it is finished and there is no new total, or the total is not more than it has made.
            CheckpointError: there is no such run, or it is damaged.
            BusyError: it is being trained, or something else is being started.
        """
        self._refuse_second()
        folder = own_run(self._data_dir / "runs", name)
        if folder.is_locked():
            raise BusyError(f"{name} is being trained already: watch it.")
        made = _steps_made(folder)
        if steps is not None:
            check("steps", steps)
            if steps <= made:
                raise UsageError(f"{name} has made {made:,} steps already: give a larger total.")
        elif folder.state() == "done":
            raise UsageError(f"{name} is finished at step {made:,}: say how many steps more.")

        def work(errand: Errand[None]) -> None:
            pid = self._begin_trainer(folder, total_steps=steps)
            # Who looks next must find a run at work, and no longer how it ended the last time.
            while not errand.cancelled and not _speaks(folder, pid):
                if not _lives(pid):
                    told = last_line(folder.log).removeprefix("error: ") or "it left no reason"
                    raise RunError(f"The trainer of {name} ended before it began: {told}")
                time.sleep(LOOK_SECONDS)
            self._said = Starting("started", name)

        self._said = self._heard = Starting("starting", name, f"Going on with {name} …")
        self._errand = Errand(work)

    def extend(self, name: str, more_steps: int) -> None:
        """Goes on with a run that has ended, for so many steps beyond those it has made. Raises as `resume`."""
        check("steps", more_steps)
        self.resume(name, _steps_made(own_run(self._data_dir / "runs", name)) + more_steps)

    def tick(self) -> bool:
        """Takes note of what has happened; says whether `snapshot` has changed. Never waits."""
        errand, before = self._errand, self._heard
        if errand is not None and errand.done:
            self._errand = None
            if errand.problem:
                self._said = Starting("failed", self._said.run, errand.problem)
        elif errand is None:
            # The threads are at rest, so nobody else waits for these.
            self._children = [pid for pid in self._children if _lives(pid)]
        if self._said.state not in ("started", "failed") or self._errand is None:
            self._heard = self._said
        return self._heard != before

    def close(self) -> None:
        """Gives up what is not started yet; trainers live on. A text that is being read is not waited for: it comes to nothing."""
        if self._errand is not None:
            with self._lock:
                self._errand.cancelled = True
                if self._reader is not None and not self._making:
                    self._reader.kill()  # it has made nothing yet
            if self._making or self._said.state != "reading":
                self._errand.close()
            self._errand = None

    def _refuse_second(self) -> None:
        if self._errand is not None:
            raise BusyError("Another run is just being started: wait a moment.")

    def _told_by_reader(self, errand: Errand[None], asked: bytes) -> Iterator[dict[str, Any]]:
        """What the process tells that reads the text; it makes the run only if nobody gives the errand up meanwhile.

        Raises:
            RunError: what went wrong, in its own words, or that it was killed.
            ResourceError: it cannot be started.
        """
        try:
            # `-m` looks in the current folder first: in ours, so that a stranger's `engine` is not started.
            folder = Path(engine.__file__).resolve().parent.parent
            process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=folder
            )  # fmt: skip
        except OSError as error:
            raise ResourceError(
                f"No process can be started ({why(error)}): end other programs and try again."
            ) from error
        with self._lock:
            self._reader = process
            if errand.cancelled:
                process.kill()
        assert process.stdin is not None and process.stdout is not None
        ended = False
        try:
            with suppress(BrokenPipeError):
                process.stdin.write(asked)
                process.stdin.flush()
            for line in process.stdout:
                told = json.loads(line)
                if "error" in told:
                    raise RunError(str(told["error"]))
                if "done" in told:
                    with self._lock:
                        if errand.cancelled:
                            return
                        self._making = True
                    with suppress(BrokenPipeError):  # if it was killed just now, nothing more comes of it
                        process.stdin.write(GO)
                        process.stdin.flush()
                ended = ended or "run" in told
                yield told
            if not ended and not errand.cancelled:
                raise RunError(
                    "The process that read the text was killed, perhaps because memory ran out: give a smaller part of it."
                )
        finally:
            with self._lock:
                self._reader = None
            for pipe in (process.stdin, process.stdout):
                with suppress(BrokenPipeError):
                    pipe.close()
            if process.poll() is None and not ended:
                process.kill()
            process.wait()

    def _begin_trainer(self, folder: RunFolder, total_steps: int | None = None) -> int:
        # The trainer looks for the texts beside the folder of all runs, whatever folder we were started in.
        folder = RunFolder(folder.path.absolute())
        try:
            pid = self._launch(folder, total_steps=total_steps, cache_dir=self._cache_dir)
        except OSError as error:
            raise ResourceError(
                f"The trainer of {folder.name} cannot be started ({why(error)}): end other programs and resume it."
            ) from error
        self._children.append(pid)
        return pid


def _steps_made(folder: RunFolder) -> int:
    status = folder.read_status()
    return max(0, status.step) if status else 0


def _speaks(folder: RunFolder, pid: int) -> bool:
    try:
        status = folder.read_status()
    except CheckpointError:  # damaged; the trainer is about to replace it
        return False
    return status is not None and status.pid == pid


def _lives(pid: int) -> bool:
    """Whether a child of ours lives; one that has ended is forgotten by the system, too."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == 0
    except ChildProcessError:  # `subprocess` has seen its end
        return False
