"""How the counting models train: they count once, and are done. The same events as any run, so everything that watches one works."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine import events
from engine.events import Event
from engine.generate import generate
from engine.preparing import Prepared, record
from engine.sampler import SamplerSettings
from models.ngram import NGram

if TYPE_CHECKING:
    from engine.control import Request
    from engine.training import Job, State, Surroundings


def count(job: Job, state: State, around: Surroundings, prepared: Prepared) -> Iterator[Event]:
    """Counts the training split, measures it on the validation split, saves, and says goodbye.

    It begins for the others once it has counted: before, nobody knows how many parameters there will be. A signal or a
    request ends it between two orders, and nothing is kept.
    """
    began = time.monotonic()
    heard: list[Request] = []

    def go_on() -> bool:
        heard.extend(around.requests())
        return not around.ending() and all(request.do != "stop" for request in heard)

    model = NGram.count(job.model.config, job.batches.ids, go_on)
    params = model.num_params() if model else 0
    if model:
        record(prepared, params)
    yield events.Start(job.run, 0, params, 1, job.recipe.seed)
    for request in heard:
        yield events.Control(request.id, 0, request.do, request.value, request.prompt)
    if model is None:
        state.seconds = time.monotonic() - began
        yield events.Done(job.run, 0, None, None, 0, state.seconds, 0.0, 0, "stopped")
        return
    job.model = model
    state.step, state.train_chars = 1, round(job.chars_per_token * len(job.batches.ids))
    nats = total_nats(model, job.val_ids) / max(1, job.val_chars - 1)
    state.val_loss = state.best_val_loss = nats if math.isfinite(nats) else None
    state.eval_step = state.best_step = 1
    state.seconds = time.monotonic() - began
    speed = state.train_chars / max(state.seconds, 1e-9)
    yield events.Eval(1, state.val_loss, state.best_val_loss, state.train_chars, state.seconds)
    if job.recipe.sample_chars:
        pieces = generate(
            model, job.tokenizer, "", job.recipe.sample_chars, SamplerSettings(), job.recipe.seed
        )
        yield events.Sample(1, "", "".join(piece.text for piece in pieces))
    yield events.Saved(1, around.save())
    yield events.Done(
        job.run, 1, state.val_loss, state.best_val_loss, state.train_chars, state.seconds, speed, params, "steps"
    )  # fmt: skip


def total_nats(model: NGram, ids: NDArray[np.integer]) -> float:
    """What `engine.evaluate.total_nats` is, by looking up only the tokens that came: with many symbols much faster."""
    block = model.config.block_size
    whole = (len(ids) - 1) // block
    pieces = [ids[whole * block :]]  # the last window is shorter
    if whole:
        pieces.append(np.lib.stride_tricks.sliding_window_view(ids, block + 1)[::block])
    return -sum(float(model.log_probs_of_targets(piece)[..., 1:].sum()) for piece in pieces)
