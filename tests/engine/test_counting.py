"""What a counting run promises: it is done at once, and from the outside it is a run like any other."""

from __future__ import annotations

import math
import os
import signal
from typing import Any

import numpy as np
import pytest
import torch

from engine import events
from engine.checkpoint import checkpoints
from engine.control import request
from engine.corpus import split
from engine.counting import total_nats
from engine.errors import ResourceError, UsageError
from engine.evaluate import total_nats as reference
from engine.evaluate import validation_loss
from engine.event_log import read_events
from engine.events import Control, Done, Eval, Failed, Sample, Start
from engine.launch import recipe_of
from engine.loading import load
from models import ngram
from models.config import ModelConfig
from models.ngram import NGram


def of(kind: Any, folder: Any) -> list[Any]:
    return [event for event in read_events(folder) if isinstance(event, kind)]


def test_a_counting_run_counts_measures_saves_and_is_done(world: Any) -> None:
    folder = world.run("run", arch="ngram", order=4)
    assert world.train(folder) == 0
    assert [events.name_of(e) for e in read_events(folder)] == ["start", "eval", "sample", "saved", "done"]
    assert folder.state() == "done"
    assert (folder.read_status().step, folder.read_status().horizon) == (1, 1)
    loaded = load(folder)
    train_text, val_text = split(world.corpus.text)
    done = of(Done, folder)[0]
    assert (loaded.config.arch, loaded.config.order, loaded.step) == ("ngram", 4, 1)
    assert done.train_chars == len(train_text)
    assert done.params == loaded.model.num_params() > 0
    assert folder.read_run()["params"] == of(Start, folder)[0].params == done.params
    assert done.reason == "steps"
    assert len(of(Sample, folder)[0].text) == 5
    # The number is the one that measuring the saved model again gives, and a good one: six known words a line.
    measured = validation_loss(loaded.model, loaded.tokenizer.encode_corpus(val_text), len(val_text))
    assert done.val_loss == of(Eval, folder)[0].val_loss == pytest.approx(measured, rel=1e-5)
    assert loaded.val_loss == done.val_loss
    assert 0.2 < done.val_loss < 1.5


@pytest.mark.parametrize("length", [1, 2, 16, 17, 18, 33, 100])
def test_the_short_way_to_the_loss_is_the_long_one(length: int) -> None:
    rng = np.random.default_rng(1)
    ids = rng.integers(0, 5, 400)
    model = NGram.count(ModelConfig("ngram", 5, 16, order=3), ids)
    assert total_nats(model, ids[:length]) == pytest.approx(
        reference(model, ids[:length]), rel=1e-5, abs=1e-9
    )


def test_counting_again_gives_the_same_model(world: Any) -> None:
    first = world.run("first", arch="ngram")
    world.train(first)
    again = world.run("again", recipe=recipe_of(first))
    world.train(again)
    assert world.weights(first) == world.weights(again)
    before = world.weights(first)
    assert world.train(first) == 0
    assert world.weights(first) == before
    kinds = [events.name_of(e) for e in read_events(first)]
    assert kinds == ["start", "start", "eval", "sample", "saved", "done"]


def test_a_counting_run_that_was_cut_is_counted_again(world: Any) -> None:
    cut, whole = world.run("cut", arch="ngram"), world.run("whole", arch="ngram")
    world.train(whole)
    world.train_until(cut, lambda event: isinstance(event, Eval))
    assert checkpoints(cut) == []
    assert world.train(cut) == 0
    assert world.weights(cut) == world.weights(whole)


def test_bytes_are_counted_and_measured_per_character(world: Any) -> None:
    world.file.write_text(world.file.read_text(encoding="utf-8").replace("cat", "\u732b"), encoding="utf-8")
    chars, raw = world.run("chars", arch="ngram"), world.run("bytes", arch="ngram", tokenizer="bytes")
    world.train(chars), world.train(raw)
    assert load(raw).config.vocab_size == 256
    # Nats per character: what takes three bytes to say is not thrice as cheap.
    assert of(Done, raw)[0].val_loss == pytest.approx(of(Done, chars)[0].val_loss, rel=0.3)
    assert of(Done, raw)[0].train_chars == of(Done, chars)[0].train_chars


def test_there_are_no_further_steps_for_a_counting_run(world: Any) -> None:
    folder = world.run("run", arch="ngram")
    world.train(folder)
    before = folder.events.read_bytes()
    with pytest.raises(UsageError, match="counts once"):
        world.train(folder, total_steps=5)
    assert (folder.state(), folder.events.read_bytes()) == ("done", before)


def test_what_a_counting_run_cannot_do_does_not_disturb_it(world: Any) -> None:
    folder = world.run("run", arch="ngram", sample_chars=0)
    for do in ("pause", "save"):
        request(folder, do)
    assert world.train(folder) == 0
    assert of(Sample, folder) == []
    assert folder.state() == "done"
    assert [control.do for control in of(Control, folder)] == ["pause", "save"]


@pytest.mark.parametrize("by", ["a request", "a signal"])
def test_a_counting_run_is_stopped_between_two_orders_and_can_be_begun_again(
    world: Any, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    folder = world.run("run", arch="ngram", order=4)
    counted: list[int] = []
    tables = ngram.count_tables

    def counting(*args: Any) -> Any:
        for n, table in enumerate(tables(*args), 1):
            if args[0].size:  # not the empty model's
                counted.append(n)
                if n == 2:
                    request(folder, "stop") if by == "a request" else os.kill(os.getpid(), signal.SIGTERM)
            yield table

    monkeypatch.setattr(ngram, "count_tables", counting)
    assert world.train(folder) == (0 if by == "a request" else 128 + signal.SIGTERM)
    assert counted == [1, 2]
    assert (folder.state(), checkpoints(folder), of(Done, folder)[0].reason) == ("stopped", [], "stopped")
    assert events.name_of(read_events(folder)[0]) == "start"
    monkeypatch.undo()
    assert world.train(folder) == 0
    assert (folder.state(), load(folder).step) == ("done", 1)


def test_a_counting_run_that_cannot_be_saved_fails(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise ResourceError("No space is left on the disk: free some and try again.")

    monkeypatch.setattr("engine.trainer.save_checkpoint", full)
    folder = world.run("run", arch="ngram")
    with pytest.raises(ResourceError):
        world.train(folder)
    assert (folder.state(), of(Failed, folder)[0].exit) == ("failed", 4)


def test_a_counted_model_gives_every_symbol_a_chance(world: Any) -> None:
    folder = world.run("run", arch="ngram", order=2)
    world.train(folder)
    model = load(folder).model
    logits = model(torch.zeros(1, 3, dtype=torch.long))
    assert bool(torch.isfinite(logits).all())
    assert math.isclose(float(logits[0, -1].exp().sum()), 1.0, rel_tol=1e-4)
