"""The trainer process: holds a run's lock, writes its folder, and lets the training loop do the work in between.

`python -m engine train RUN_DIR` and `tinygpt train` are this same function, once in the background and once in the foreground.
It writes the run folder and nothing else.
"""

from __future__ import annotations

import gc
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import torch

from engine import events
from engine.budget import Budget
from engine.checkpoint import clean_leftovers, prune, save_checkpoint
from engine.control import ControlReader, Request, is_course
from engine.counting import count
from engine.errors import CheckpointError, LostError, ResourceError, TinygptError, UsageError
from engine.event_log import EventLog, recorded_controls
from engine.events import Event
from engine.follower import introduce
from engine.large_text import Tell
from engine.preparing import Prepared, manifest_state, prepare
from engine.ranks import ALONE, Alone
from engine.runs import RunFolder, Status
from engine.signals import Signals as Signals
from engine.training import State, Surroundings, Training
from models import kernel

STATUS_SECONDS = 0.5
PAUSE_SECONDS = 0.05  # between two looks for requests while paused
MOST_WAITING = 10_000  # events; with more, the steps among them are dropped
DURABLE = events.Control | events.Saved | events.Done | events.Failed

Say = Callable[[Event], None]


def train(
    folder: RunFolder,
    say: Say = lambda event: None,
    *,
    corpora_dir: Path | None = None,
    total_steps: int | None = None,
    force: bool = False,
    began: float | None = None,
    cache_dir: Path | None = None,
    signals: Signals | None = None,
    team: Alone = ALONE,
    tell: Tell = lambda read, total: None,
) -> int:
    """Trains the run in `folder` until it is done, stopped or failed; goes on from its newest good checkpoint if it has one.

    Args:
        say: hears every event after it was written.
        corpora_dir: where else than beside the folder of all runs the text may be kept; of use to a run that was copied.
        total_steps: for a resume, the new total of steps.
        force: go on although memory looks too small.
        began: when the time budget started to run, by `time.monotonic`; now, if not given.
        cache_dir: where compiled kernels lie, and fetched catalogue texts, for a corpus too large to be kept. Without it there are no
            compiled kernels.
        signals: by which `say` may ask for the end, in a signal's place.
        team: the processes that train together, of which this is the first.
        tell: hears how far reading a corpus is that is too large to be kept, in bytes.

    Returns:
        The exit code: 0, or 128 + the signal that ended it.

    Raises:
        TinygptError: what went wrong, for a person; the run folder says so too.
    """
    with folder.acquire(), signals or Signals() as signals:
        began = time.monotonic() if began is None else began
        kernel.use(cache_dir and cache_dir / "kernels")
        desk = _Desk(folder, say)
        # Whoever asks from now on means this trainer; what an earlier one did not hear any more was meant for that one.
        late = ControlReader(folder).poll() if desk.before is not None else []

        def preparing(read: int, total: int) -> None:
            if signals.received:
                raise _StoppedError
            desk.preparing(read, total)
            tell(read, total)

        try:
            desk.status("preparing")
            clean_leftovers(folder)
            prepared = prepare(
                folder,
                [folder.corpora] if corpora_dir is None else [folder.corpora, corpora_dir],
                spent=time.monotonic() - began,
                total_steps=total_steps,
                force=force,
                cache_dir=cache_dir,
                place=team.place,
                tell=preparing,
            )
            introduce(team, prepared)
            with EventLog.open(folder) as log:
                desk.log = log
                ending = _run(folder, prepared, desk, signals, began, late, team)
            desk.status("stopped" if ending == "stopped" else "done")
        except _StoppedError:  # nothing was trained by this process, so nothing has to be saved
            desk.status("stopped")
        except Exception as error:
            explained = _explained(error, folder)
            if isinstance(error, UsageError) and desk.before is not None:
                with suppress(ResourceError):
                    folder.write_status(desk.before)  # a resume that was asked wrongly changes nothing
            else:
                desk.fail(explained)
            raise explained from (None if explained is not error else error.__cause__)
        return signals.exit_code


def _run(
    folder: RunFolder, prepared: Prepared, desk: _Desk, signals: Signals, began: float, late: list[Request], team: Alone
) -> str:  # fmt: skip
    """The loop between preparing and the end; returns the reason of `Done`.

    Of the requests that came too `late` for an earlier trainer, a change of course is still obeyed; the others are only recorded.
    """
    job, state = prepared.job, prepared.state
    seen = recorded_controls(folder)
    obeyed = {control.id for control in state.controls}
    known = {control.id for control in seen} | obeyed
    missed = [r for r in late if r.do not in ("lr", "extend") and r.id not in known]
    reader = ControlReader(folder, known | {request.id for request in missed})
    repeated = [c for c in job.recipe.rate_changes if c.id not in known]
    seen += [events.Control(c.id, c.step, "lr", c.factor) for c in repeated]
    replay = [c for c in seen if is_course(c) and c.step >= state.step and c.id not in obeyed]
    budget = None
    if job.recipe.time is not None and state.plans[-1].timed:
        budget = Budget(job.recipe.time, time.monotonic() - began + prepared.wall_seconds)
        for control in state.controls:  # what earlier processes granted still holds
            if control.do == "extend":
                budget.extend(int(control.value or 0))

    def wall_seconds() -> float:
        excused = budget.excused if budget else 0.0
        return time.monotonic() - began - excused + prepared.wall_seconds

    def save(together: bool = True) -> str:
        if together:
            team.align(list(job.model.parameters()))
        weights = dict(job.model.state_dict())
        training = {} if job.recipe.arch == "ngram" else job.optimizer.state()
        if job.recipe.dtype == "float64":  # model.safetensors holds float32
            training |= {f"weights.{name}": tensor for name, tensor in weights.items()}
        told = manifest_state(job, state, wall_seconds())
        path = save_checkpoint(folder, state.step, weights, training, told)
        prune(folder, state.step)
        return str(path.relative_to(folder.path))

    def ending() -> str | None:
        if team.asked:  # a machine that is shut down may have asked another process alone
            signals.ask(signal.SIGTERM)
        if signals.received is None:
            return None
        # torchrun asks the survivors to leave when a process has died: then this is no wish of a person's.
        team.roll_call()
        return "stopped"

    def idle() -> None:
        time.sleep(PAUSE_SECONDS)
        team.wait()

    team.listen(lambda: signals.received is not None)
    around = Surroundings(
        save=save,
        requests=reader.poll,
        replay=replay,
        ending=ending,
        budget=budget,
        idle=idle,
        beat=lambda name: desk.beat(name, state),
        team=team,
    )
    steps = (
        count(job, state, around, prepared)
        if job.recipe.arch == "ngram"
        else Training(job, state, around).run()
    )
    # Thousands of small objects made so far will live as long as the process: the collector need not look at them again.
    gc.collect()
    gc.freeze()
    reason = ""
    try:
        for event in steps:
            if isinstance(event, events.Done):
                event = replace(event, wall_seconds=wall_seconds())
            desk.write(event)
            if isinstance(event, events.Start):
                for warning in prepared.warnings:
                    desk.write(events.Warn(state.step, warning))
                for request in missed:
                    desk.write(
                        events.Control(request.id, state.step, request.do, request.value, request.prompt)
                    )
            if isinstance(event, events.Done):
                reason = event.reason
    except LostError as lost:
        # Nobody can be lost between the beginning of an update of the weights and its end, so these are those of a whole step.
        try:
            desk.write(events.Saved(state.step, save(together=False)))
        except ResourceError as error:
            raise LostError(f"{lost} Step {state.step:,} could not be saved: {error}") from lost
        raise LostError(
            f"{lost} Step {state.step:,} is saved; go on with: tinygpt train --resume {folder.name}"
        ) from lost
    return reason


class _StoppedError(Exception):
    """A signal came before there was anything to stop in an orderly way."""


class _Desk:
    """Where the trainer writes: events file, status, and whoever listens.

    A disk that is full for a while costs no run: what cannot be written waits, in its order, and only the end insists. What was asked
    may be obeyed before it is on the disk, as no step after it is there either; and a checkpoint knows what changed its course.
    """

    def __init__(self, folder: RunFolder, say: Say) -> None:
        self.folder, self._say = folder, say
        self.log: EventLog | None = None
        self.before = _status_of(folder)
        self._waiting: list[Event] = []
        self._last_beat = -STATUS_SECONDS
        # A resume stands where the run was until it knows better.
        self._step = self.before.step if self.before else 0
        self._horizon = self.before.horizon if self.before else 0
        self._val_loss = self.before.val_loss if self.before else None

    def write(self, event: Event) -> None:
        if isinstance(event, events.Start):
            self._step, self._horizon = event.from_step, event.horizon
        elif isinstance(event, events.Done):
            self._step, self._val_loss = event.step, event.best_val_loss
        if self.log:
            self._waiting.append(event)
            try:
                while self._waiting:
                    self.log.append(self._waiting[0], durable=isinstance(self._waiting[0], DURABLE))
                    del self._waiting[0]
            except ResourceError:
                if isinstance(event, events.Done):
                    raise
                if len(self._waiting) > MOST_WAITING:
                    self._waiting = [e for e in self._waiting if not isinstance(e, events.Step)]
        self._say(event)

    def beat(self, name: str, state: State) -> None:
        """Tells the state of the run, at most twice a second."""
        self._step, self._horizon, self._val_loss = state.step, state.horizon, state.best_val_loss
        now = time.monotonic()
        if now - self._last_beat >= STATUS_SECONDS:
            self._last_beat = now
            with suppress(ResourceError):  # it is for display
                self.status(name)

    def preparing(self, read: int, total: int) -> None:
        """Tells how far reading a large corpus is, at most twice a second."""
        now = time.monotonic()
        if now - self._last_beat >= STATUS_SECONDS:
            self._last_beat = now
            with suppress(ResourceError):
                self.status("preparing", f"Preparing the text: {100 * read // max(1, total)} %")

    def status(self, name: str, message: str = "") -> None:
        self.folder.write_status(
            Status(os.getpid(), name, self._step, time.time(), self._horizon, message, self._val_loss)
        )

    def fail(self, error: BaseException) -> None:
        """Says in the folder that the run failed and why; a full disk must not hide the first reason."""
        code = error.exit_code if isinstance(error, TinygptError) else 1
        failed = events.Failed(str(error), code, self._step)
        with suppress(TinygptError, OSError), EventLog.open(self.folder) as log:
            log.append(failed, durable=True)
        with suppress(TinygptError, OSError):
            self.status("failed", str(error))
        self._say(failed)


def _status_of(folder: RunFolder) -> Status | None:
    try:
        return folder.read_status()
    except CheckpointError:  # damaged; it is about to be replaced
        return None


def _explained(error: Exception, folder: RunFolder) -> Exception:
    """Running out of memory, and of a run, as the error it is to a person; anything else as it came."""
    if isinstance(error, FileNotFoundError) and not folder.path.exists():
        return CheckpointError(f"{folder.path} was deleted while it was trained; train a new run.")
    out_of_memory = isinstance(error, MemoryError | torch.OutOfMemoryError)
    if out_of_memory or (isinstance(error, RuntimeError) and "can't allocate memory" in str(error)):
        return ResourceError(
            "The machine ran out of memory; choose a smaller --size, batch_size or micro_batch."
        )
    return error
