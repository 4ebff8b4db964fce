"""A trainer without a model: writes a run folder as the real one does, one call at a time, so that a test decides what happens when.

The folder is real in everything but its weights: lock, events, status, requests, checkpoints with manifests. The losses follow a
smooth course with a little noise that depends on the step alone, so pictures of them are always the same. No torch.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from engine import events, manifest
from engine.checkpoint import prune
from engine.control import ControlReader, Request
from engine.event_log import EventLog, recorded_controls
from engine.launch import VERSION as REQUEST_VERSION
from engine.lock import RunLock
from engine.recipe import Recipe
from engine.runs import VERSION, RunFolder, Status
from models.config import SIZES, sized

CREATED = "2026-01-02T03:04:05Z"
HEARTBEAT = 1_767_323_045.0  # the same moment
CHARS_PER_S = 24_300.0
SHA256 = "ab" * 32
SYMBOLS = "".join(sorted("\n !,.:;?'-abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789\""))
SAMPLE = 'Once there was a small grey fox who kept a lantern under the bridge. "Who is there?" said the heron, and '


def loss_at(step: int, *, val: bool = False) -> float:
    """A loss in nats per character as a small model reaches it on a simple text: 4.2 at first, towards 1.3."""
    course = 1.3 + 2.9 / (1 + step / 60) ** 0.75
    if val:
        return round(course + 0.05, 4)
    noise = math.sin(step * 12.9898) * 43758.5453
    return round(course + 0.08 * (noise - math.floor(noise) - 0.5), 4)


class ScriptedRun:
    """One run and its trainer. Everything happens when it is called for, and is on the disk when the call returns."""

    def __init__(
        self,
        runs_dir: Path,
        name: str = "tales-03",
        *,
        corpus: str = "tales",
        corpus_chars: int = 1_400_000,
        sha256: str = SHA256,
        horizon: int = 2000,
        size: str = "1.8m",
        arch: str = "modern",
        params: int = 1_790_000,
        seed: int = 1,
        turns: dict[str, str] | None = None,
        created: str = CREATED,
        begin: bool = True,
    ) -> None:
        """Asks for a run; with `begin` its trainer has settled it and stands before step 1."""
        recipe = Recipe(**{**asdict(SIZES[size]), "arch": arch, "steps": horizon, "seed": seed})
        self._chars_per_step = recipe.tokens_per_step
        model = sized(size, arch, len(SYMBOLS))
        request = {
            "version": REQUEST_VERSION,
            "created": created,
            "corpus": {"name": corpus, "sha256": sha256, "chars": corpus_chars, "source": corpus,
                       "encoding": None, "force_text": False},
            "turns": turns,
            "size": size,
            "values": {"steps": horizon, "arch": arch, "seed": seed},
        }  # fmt: skip
        self._info: dict[str, Any] = {
            "version": VERSION, "run": name, "created": created, "corpus": request["corpus"], "turns": turns,
            "recipe": recipe.to_json(), "model": model.to_json(), "params": params, "threads": 1, "dtype": "float32",
            "micro_batch": recipe.batch_size, "kernels": "eager", "versions": {},
        }  # fmt: skip
        self.folder = RunFolder.create(runs_dir, name, request)
        self.params, self.seed = params, seed
        self.step, self.horizon = 0, horizon
        self.state = "preparing"
        self.val_loss: float | None = None
        self.best: float | None = None
        self.factor = 1.0
        self._lock: RunLock | None = None
        self._log: EventLog | None = None
        self._reader: ControlReader | None = None
        if begin:
            self.begin()

    @property
    def name(self) -> str:
        return self.folder.name

    def take_lock(self) -> None:
        """The trainer lives and is preparing; it has not settled anything yet."""
        self._lock = self.folder.acquire()
        self.status("preparing")

    def begin(self, *, first_sample: bool = False) -> None:
        """The trainer settles the run, or goes on with it from its newest checkpoint, and stands before the next step."""
        if self._lock is None:
            self.take_lock()
        self.folder.write_tokenizer({"version": 1, "kind": "chars", "symbols": SYMBOLS})
        self.folder.write_run(self._info)
        self._log = EventLog.open(self.folder)
        self._reader = ControlReader(self.folder, [control.id for control in recorded_controls(self.folder)])
        self._say(events.Start(self.name, self.step, self.params, self.horizon, self.seed))
        if self.step == 0:
            self._say(events.Plan(0, 0, self.horizon))
        if first_sample:
            self.sample("".join(SYMBOLS[(7 * i * i + 3 * i) % len(SYMBOLS)] for i in range(80)))
        self.status("training")

    def steps(self, count: int = 1, losses: Sequence[float | None] = ()) -> None:
        """Makes `count` steps, with the losses given or those of `loss_at`."""
        for i in range(count):
            loss = losses[i] if i < len(losses) else loss_at(self.step)
            done = self.step / max(1, self.horizon)
            lr = 0.03 * min(1.0, (self.step + 1) / 21) * max(0.0, 1 - done) * self.factor
            self.step += 1
            norm = None if loss is None else round(0.4 + 1 / (1 + self.step / 30), 4)
            self._say(events.Step(self.step, loss, lr, CHARS_PER_S, norm, self.chars, self.seconds))
        self.status("training")

    @property
    def chars(self) -> int:
        return self.step * self._chars_per_step

    @property
    def seconds(self) -> float:
        return round(self.chars / CHARS_PER_S, 6)

    def eval(self, val_loss: float | None = math.inf) -> None:
        """Measures the validation loss: the one given, or that of `loss_at`; None is one that is not finite."""
        self.val_loss = loss_at(self.step, val=True) if val_loss == math.inf else val_loss
        if self.val_loss is not None:
            self.best = self.val_loss if self.best is None else min(self.best, self.val_loss)
        self._say(events.Eval(self.step, self.val_loss, self.best, self.chars, self.seconds))
        self.status(self.state)

    def sample(self, text: str = SAMPLE, prompt: str = "") -> None:
        self._say(events.Sample(self.step, prompt, text))

    def save(self) -> Path:
        """Writes a checkpoint whose weights are a few bytes of nonsense, and deletes those that are too many."""
        path = self.folder.checkpoints / manifest.folder_name(self.step)
        if not path.exists():
            files = {manifest.MODEL: b"model" * 100, manifest.TRAINING: b"training" * 100}
            contents = manifest.build(
                self.step, {"val_loss": self.val_loss, "best_val_loss": self.best}, files
            )
            path.mkdir(parents=True)
            for name, data in {**files, manifest.MANIFEST: contents}.items():
                (path / name).write_bytes(data)
            prune(self.folder, self.step)
        self._say(events.Saved(self.step, str(path.relative_to(self.folder.path))))
        return path

    def look(self) -> None:
        """What a trainer does now and then: evaluates, writes a sample, saves."""
        self.eval()
        self.sample()
        self.save()

    def warn(self, message: str) -> None:
        self._say(events.Warn(self.step, message))

    def backend(self, name: str, detail: str = "") -> None:
        self._say(events.Backend(self.step, name, detail))

    def replan(self, horizon: int) -> None:
        self.horizon = horizon
        self._say(events.Plan(self.step, 0, horizon, timed=True))

    def obey_controls(self) -> list[Request]:
        """Obeys what was asked since the last call, and says so; returns it. A `stop` ends the run."""
        assert self._reader is not None, "the trainer has not begun"
        found = self._reader.poll()
        for request in found:
            self._say(events.Control(request.id, self.step, request.do, request.value, request.prompt))
            match request.do:
                case "pause":
                    self.status("paused")
                case "resume":
                    self.status("training")
                case "save":
                    self.save()
                case "sample":
                    self.sample(SAMPLE[: int(request.value or 200)], request.prompt or "")
                case "lr":
                    self.factor *= request.value or 1.0
                case "extend":
                    self.horizon += int(request.value or 0)
                    self._say(events.Plan(self.step, 0, self.horizon))
                case "stop":
                    self.finish("stopped")
        return found

    def status(self, state: str, message: str = "") -> None:
        """What the trainer says of itself; the heartbeat is the moment of the run's creation and a second a step."""
        self.state = state
        self.folder.write_status(
            Status(os.getpid(), state, self.step, HEARTBEAT + self.step, self.horizon, message, self.best)
        )

    def finish(self, reason: str = "steps") -> None:
        """The run ends well: saved, said, let go. With the reason "stopped" somebody asked for it."""
        if reason != "stopped":
            self.look()
        self.save()
        self._say(
            events.Done(self.name, self.step, self.val_loss, self.best, self.chars, self.seconds, CHARS_PER_S,
                        self.params, reason)
        )  # fmt: skip
        self.status("stopped" if reason == "stopped" else "done")
        self.die()

    def fail(
        self, message: str = "The loss is not finite, so the run stops before it spoils the weights."
    ) -> None:
        """The run ends badly, and says why."""
        self._say(events.Failed(message, 1, self.step))
        self.status("failed", message)
        self.die()

    def die(self) -> None:
        """The trainer is gone from one moment to the next, as after SIGKILL; nothing more is written. Also ends a test."""
        if self._log is not None:
            self._log.close()
        if self._lock is not None:
            self._lock.release()
        self._lock = self._log = self._reader = None

    def resume(self, horizon: int | None = None) -> None:
        """Another trainer goes on from the newest checkpoint, or begins again if there is none."""
        saved = sorted(self.folder.checkpoints.glob("step-*")) if self.folder.checkpoints.exists() else []
        self.step = int(saved[-1].name.removeprefix("step-")) if saved else 0
        self.horizon = horizon or self.horizon
        self.begin()

    def __enter__(self) -> ScriptedRun:
        return self

    def __exit__(self, *_: object) -> None:
        self.die()

    def _say(self, event: events.Event) -> None:
        assert self._log is not None, "the trainer has not begun"
        self._log.append(event)


def finished_run(runs_dir: Path, name: str = "tales-01", steps: int = 400, **options: Any) -> ScriptedRun:
    """A run that is done, measured at every quarter."""
    run = ScriptedRun(runs_dir, name, **{"horizon": steps, **options})
    _train(run, steps)
    run.finish()
    return run


def stopped_run(runs_dir: Path, name: str = "tales-02", steps: int = 200, **options: Any) -> ScriptedRun:
    """A run that somebody stopped halfway."""
    run = ScriptedRun(runs_dir, name, **{"horizon": 2 * steps, **options})
    _train(run, steps)
    run.finish("stopped")
    return run


def failed_run(runs_dir: Path, name: str = "broken-01", steps: int = 100, **options: Any) -> ScriptedRun:
    """A run that failed after some steps: its loss was not finite."""
    run = ScriptedRun(runs_dir, name, **{"horizon": 4 * steps, **options})
    _train(run, steps)
    run.fail()
    return run


def died_run(runs_dir: Path, name: str = "killed-01", steps: int = 200, **options: Any) -> ScriptedRun:
    """A run whose trainer was killed halfway, 20 steps after it saved."""
    run = ScriptedRun(runs_dir, name, **{"horizon": 2 * steps, **options})
    _train(run, steps)
    run.steps(20)
    run.die()
    return run


def built_in_starter(home: Path) -> Path:
    """The folder of a starter under `home`, as far as the playground looks at one; it has to be put in `engine.starter.FOLDER`."""
    turns = {"user": "You: ", "model": "Pip: "}
    made = finished_run(
        home / "made", "model", 40, corpus="tales-and-talk", turns=turns, size="0.8m", params=818_176
    )
    folder = home / "package" / "starter"
    folder.mkdir(parents=True)
    for name in ("run.json", "tokenizer.json", "status.json", "checkpoints"):
        (made.folder.path / name).rename(folder / name)
    return folder


def _train(run: ScriptedRun, steps: int) -> None:
    quarter = max(1, steps // 4)
    while run.step < steps:
        run.steps(min(quarter, steps - run.step))
        run.look()
