"""Folds a run's events, status and files into a `RunPicture`, a little at a time.

Pure: no files, no clock. Left out: reading them (`tinygpt_tui.sources.run_watch`). A folder may come from a stranger, so numbers
beyond all reason count as unknown, and words that are drawn on curves are cut.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from engine.control import ACTIONS, Request
from engine.events import (  # fmt: skip
    Backend,
    Control,
    Done,
    Eval,
    Event,
    Failed,
    Plan,
    Sample,
    Saved,
    Start,
    Step,
    Warn,
    step_of,
)
from engine.runs import UNFINISHED, Meta, Status
from tinygpt_tui.sources.run_curves import TrainCurves, ValCurve
from tinygpt_tui.sources.run_picture import Mark, RunPicture

MOST_SAMPLES = 100
MOST_WARNINGS = 100
MOST_MARKS = 1000
MOST_COUNT = 10**15  # steps, characters, parameters; what says more is not ours
MARK_CHARS = 40

_Told = TypeVar("_Told", Sample, Warn)


class Folding:
    """A picture in the making. Pictures given out never change, whatever is fed afterwards."""

    def __init__(self, name: str, path: Path) -> None:
        self._name, self._path = name, path
        self._version = 0
        self._picture: RunPicture | None = None
        self._facts = _facts_of({})
        self._meta = Meta()
        self._state, self._message = "preparing", ""
        self._status: Status | None = None
        self._memory: int | None = None
        self._ladder: Mapping[str, float] = MappingProxyType({})
        self._asked: tuple[Request, ...] = ()
        self._catching_up: float | None = None
        self._forget()

    @property
    def version(self) -> int:
        """See `RunPicture.version`."""
        return self._version

    @property
    def corpus_sha(self) -> str | None:
        sha: str | None = self._facts["corpus_sha"]
        return sha

    def picture(self) -> RunPicture:
        """The picture by now; the same object until something changes."""
        if self._picture is None or self._picture.version != self._version:
            self._picture = self._draw()
        return self._picture

    def forget_events(self) -> None:
        """Begins again, for an events file that was replaced."""
        self._forget()
        self._version += 1

    def feed(self, told: Iterable[Event]) -> None:
        """Takes in events, in the order they were written.

        `Start(from_step=k)` takes back all that was said of later steps, as `engine.event_log.drop_beyond`. Steps that do not
        ascend, or beyond all reason, are skipped.
        """
        for event in told:
            if type(event) is Step:
                self._on_step(event)
            elif 0 <= step_of(event) <= MOST_COUNT:
                self._on_rare(event)

    def set_facts(self, info: Mapping[str, Any]) -> None:
        """Takes in what `run.json` says, or before that is written `request.json`. What is of the wrong type is not known."""
        facts = _facts_of(info)
        if facts != self._facts:
            self._facts = facts
            self._version += 1

    def set_meta(self, meta: Meta) -> None:
        if meta != self._meta:
            self._meta = meta
            self._version += 1

    def set_ladder(self, ladder: Mapping[str, float]) -> None:
        """Takes in the rungs, in nats per character."""
        if ladder != self._ladder:
            self._ladder = MappingProxyType(dict(ladder))
            self._val.set_ladder(self._ladder)
            self._version += 1

    def set_asked(self, requests: Sequence[Request]) -> None:
        """Takes in everything that was ever asked of the trainer, obeyed or not."""
        if len(requests) != len(self._asked):
            self._asked = tuple(requests)
            self._version += 1

    def set_catching_up(self, share: float | None) -> None:
        if share != self._catching_up:
            self._catching_up = share
            self._version += 1

    def set_status(
        self, state: str, status: Status | None, message: str = "", memory: int | None = None
    ) -> None:
        """Takes in how the run stands.

        Args:
            state, message: see `RunPicture`.
            status: what the trainer said last; its heartbeat alone is no change.
            memory: of the trainer, bytes.
        """
        before, after = (s and (s.pid, s.step, s.horizon, s.val_loss) for s in (self._status, status))
        if (state, message, memory, after) != (self._state, self._message, self._memory, before):
            self._version += 1
        self._state, self._message, self._memory, self._status = state, message, memory, status

    def _forget(self) -> None:
        self._train, self._val = TrainCurves(), ValCurve()
        self._val.set_ladder(self._ladder)
        self._last_step: Step | None = None  # of this trainer
        self._samples: deque[Sample] = deque(maxlen=MOST_SAMPLES)
        self._warnings: deque[Warn] = deque(maxlen=MOST_WARNINGS)
        self._marks: deque[tuple[Mark, str]] = deque(maxlen=MOST_MARKS)  # with the id of a control, or ""
        self._obeyed: set[str] = set()
        self._saved: deque[int] = deque(maxlen=MOST_MARKS)
        self._params: int | None = None
        self._horizon: int | None = None
        self._begun = False
        self._step: int | None = None
        self._seconds: float | None = None
        self._chars: int | None = None
        self._done: Done | None = None
        self._failed: Failed | None = None

    def _on_step(self, event: Step) -> None:
        step, loss = event.step, event.loss
        if not self._train.last < step <= MOST_COUNT:
            return
        self._version += 1
        self._step, self._last_step = step, event
        if loss is None or not math.isfinite(loss):
            if self._train.loss is not None or not self._train.steps:
                self._mark(step, "nan", f"training loss not finite from step {step:,}")
            loss = math.nan
        self._train.add(step, loss, event.lr)

    def _on_rare(self, event: Event) -> None:
        self._version += 1
        match event:
            case Start():
                self._on_start(event)
            case Plan():
                self._set_horizon(event.horizon)
            case Eval():
                self._on_eval(event)
            case Sample():
                _add(self._samples, event)
            case Control():
                self._on_control(event)
            case Backend():
                self._mark(event.step, "backend", event.name)
            case Saved():
                if event.step not in self._saved:
                    self._saved.append(event.step)
            case Warn():
                _add(self._warnings, event)
            case Done():
                self._done, self._failed = event, None
                self._stand(event.step, event.seconds, event.train_chars)
            case Failed():
                self._done, self._failed = None, event
                self._mark(event.step, "failed", f"failed at step {event.step:,}")

    def _on_start(self, event: Start) -> None:
        k = event.from_step
        if self._begun or k:
            self._drop_beyond(k)
            if not any(mark.kind == "resumed" and mark.step == k for mark, _ in self._marks):
                self._mark(k, "resumed", f"resumed from step {k:,}" if k else "began again")
        self._begun = True
        self._done = self._failed = None
        self._params = _count(event.params)
        if self._step != k:
            self._seconds = self._chars = None
        elif self._last_step is not None:
            self._seconds, self._chars = self._last_step.seconds, self._last_step.train_chars
        self._step, self._last_step = k, None
        self._set_horizon(event.horizon)

    def _drop_beyond(self, k: int) -> None:
        self._train.cut(k)
        self._val.cut(k)
        _keep(self._samples, k)
        _keep(self._warnings, k)
        marks = [(mark, identity) for mark, identity in self._marks if mark.step <= k]
        self._marks.clear()
        self._marks.extend(marks)
        saved = [step for step in self._saved if step <= k]
        self._saved.clear()
        self._saved.extend(saved)

    def _on_eval(self, event: Eval) -> None:
        self._stand(event.step, event.seconds, event.train_chars)
        if event.step <= self._val.last:
            return
        loss = _finite(event.val_loss)
        if loss is None and (self._val.loss is not None or self._val.last < 0):
            self._mark(event.step, "nan", f"validation loss not finite from step {event.step:,}")
        self._val.add(event.step, math.nan if loss is None else loss)

    def _on_control(self, event: Control) -> None:
        self._obeyed.add(event.id)
        # A trainer that resumes at the very step of a control may tell of it again.
        if event.do not in ACTIONS or any(identity == event.id for _, identity in self._marks):
            return
        text, value = event.do, _finite(event.value)
        if value is not None and event.do == "lr":
            text = f"lr ×{value:.4g}"
        elif value is not None and event.do == "extend":
            text = f"extend +{value:,.0f}"
        self._mark(event.step, event.do, text, event.id)

    def _stand(self, step: int, seconds: float, chars: int) -> None:
        self._step, self._seconds, self._chars = step, seconds, chars

    def _mark(self, step: int, kind: str, text: str, identity: str = "") -> None:
        short = text if len(text) <= MARK_CHARS else text[: MARK_CHARS - 1] + "…"
        self._marks.append((Mark(step, kind, short), identity))

    def _set_horizon(self, horizon: int) -> None:
        if (known := _count(horizon)) is not None:
            self._horizon = known
            self._train.set_horizon(known)

    def _draw(self) -> RunPicture:
        status, last, done, facts = self._status, self._last_step, self._done, self._facts
        known = _count(status.step) if status else None
        step = self._step if self._step is not None else known or 0
        seconds, chars = self._seconds, self._chars
        if last is not None and last.step == step:
            seconds, chars = last.seconds, last.train_chars
        speed = _finite(done.chars_per_s if done else last.chars_per_s if last else None)
        horizon = self._horizon or (_count(status.horizon) if status else None) or None
        left = None
        per_step = _count(last.train_chars) if last else None
        if self._state in UNFINISHED and last and last.step and per_step and horizon and speed and speed > 0:
            left = _finite(max(0, horizon - step) * (per_step / last.step) / speed)
        best, best_step = self._val.best or (_finite(status.val_loss) if status else None, None)
        train, smooth, lrs = self._train.views()
        counts = (done.params if done else None, self._params, facts["params"])
        asked = () if self._catching_up is not None else self._asked
        return RunPicture(
            name=self._name, path=self._path, state=self._state, message=self._message,
            label=self._meta.label, notes=self._meta.notes,
            corpus=facts["corpus"], corpus_sha=facts["corpus_sha"], arch=facts["arch"],
            params=next((count for count in map(_count, counts) if count), None),
            vocab=facts["vocab"], block_size=facts["block_size"], turns=facts["turns"],
            horizon=horizon, step=step, seconds=_finite(seconds), seconds_left=left, chars_per_s=speed,
            lr=self._train.lr, grad_norm=_finite(last.grad_norm) if last else None,
            train_loss=self._train.loss, smooth_loss=self._train.smooth_loss,
            val_loss=self._val.loss, best_val_loss=best, best_step=best_step,
            saved_step=max(self._saved, default=None), train_chars=_count(chars), memory_bytes=self._memory,
            samples=tuple(self._samples), marks=tuple(mark for mark, _ in self._marks),
            warnings=tuple(self._warnings), overtaken=tuple(self._val.overtaken),
            train=train, smooth=smooth, val=self._val.view(), lr_course=lrs,
            ladder=self._ladder, done=done, failed=self._failed, pid=_count(status.pid) if status else None,
            pending=tuple(request for request in asked if request.id not in self._obeyed),
            catching_up=self._catching_up, version=self._version,
        )  # fmt: skip


def _facts_of(info: Mapping[str, Any]) -> dict[str, Any]:
    corpus, model = _table(info.get("corpus")), _table(info.get("model"))
    asked = _table(info.get("recipe")) or _table(info.get("values"))
    turns = {who: text for who, text in _table(info.get("turns")).items() if who in ("user", "model")}
    return {
        "corpus": _text(corpus.get("name")),
        "corpus_sha": _text(corpus.get("sha256")),
        "arch": _text(model.get("arch")) or _text(asked.get("arch")),
        "params": _count(info.get("params")),
        "vocab": _count(model.get("vocab_size")),
        "block_size": _count(model.get("block_size")) or _count(asked.get("block_size")),
        "turns": turns if len(turns) == 2 and all(isinstance(text, str) for text in turns.values()) else None,
    }


def _add(told: deque[_Told], event: _Told) -> None:
    """Adds what was said, unless a trainer that began at the same step says the same once more."""
    if event not in told:
        told.append(event)


def _keep(told: deque[_Told], last: int) -> None:
    kept = [event for event in told if event.step <= last]
    told.clear()
    told.extend(kept)


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _count(value: object) -> int | None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value if isinstance(value, int) and whole and 0 <= value <= MOST_COUNT else None


def _finite(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if abs(value) < 1e300 else None
