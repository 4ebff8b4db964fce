"""Runs that learn by compiled kernels: they learn what the others learn, resume to the last bit, and say so where they cannot."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from engine.control import request
from engine.event_log import read_events
from engine.events import Eval, Event, Sample, Saved, Step, Warn
from engine.optim import Optimizer
from models import kernel


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not kernel.file_name():
        pytest.skip("there is no C compiler")
    cache = tmp_path_factory.mktemp("cache")
    assert kernel.make(cache / "kernels") == ""
    return cache


@pytest.fixture(autouse=True)
def no_kernel_afterwards() -> Any:
    yield
    kernel.use(None)


VALUES = {"steps": 20, "save_every": 5, "eval_every": 7, "threads": 2, "micro_batch": 3, "batch_size": 5}


@pytest.mark.parametrize("cut", [3, 10, 13, 20])
def test_a_run_that_was_cut_ends_in_the_same_bits(world: Any, cache: Path, cut: int) -> None:
    whole, cutted = world.run("whole", **VALUES), world.run("cut", **VALUES)
    assert world.train(whole, cache_dir=cache) == 0
    world.train_until(cutted, lambda event: isinstance(event, Step) and event.step == cut, cache_dir=cache)
    assert world.train(cutted, cache_dir=cache) == 0
    for folder in (whole, cutted):
        info = folder.read_run()
        assert info["kernels"] == info["recipe"]["kernels"] == "compiled"
        assert not [event for event in read_events(folder) if isinstance(event, Warn)]
    assert world.steps(cutted) == world.steps(whole)
    assert world.weights(cutted) == world.weights(whole)


def test_texts_and_evaluations_on_the_way_change_nothing_that_a_resume_learns(
    world: Any, cache: Path
) -> None:
    whole = world.run("whole", **VALUES)
    cutted = world.run("cut", **{**VALUES, "eval_every": 3, "sample_chars": 9})
    assert world.train(whole, cache_dir=cache) == 0

    def ask(event: Event) -> None:
        if isinstance(event, Step) and event.step <= 10:
            for _ in range(10):
                request(cutted, "sample", 2, prompt="the")

    def dying(event: Event) -> None:
        ask(event)
        if isinstance(event, Step) and event.step == 13:
            raise world.Died

    with pytest.raises(world.Died):
        world.train(cutted, dying, cache_dir=cache)
    assert world.train(cutted, ask, cache_dir=cache) == 0
    assert len([e for e in read_events(cutted) if isinstance(e, Sample) and e.prompt == "the"]) == 100
    assert world.steps(cutted) == world.steps(whole)
    assert world.weights(cutted) == world.weights(whole)


def test_it_learns_what_torch_learns(world: Any, cache: Path) -> None:
    values = {**VALUES, "dropout": 0.0, "sample_chars": 40}
    compiled, eager = world.run("compiled", **values), world.run("eager", **values, kernels="eager")
    for folder in (compiled, eager):
        assert world.train(folder, cache_dir=cache) == 0
    assert eager.read_run()["kernels"] == "eager"
    ours, theirs = world.steps(compiled), world.steps(eager)
    assert [loss for _, loss, _ in ours] == pytest.approx([loss for _, loss, _ in theirs], rel=1e-3)
    assert ours != theirs  # two ways of adding up
    measured = [[e.val_loss for e in read_events(f) if isinstance(e, Eval)] for f in (compiled, eager)]
    assert measured[0] == pytest.approx(measured[1], rel=1e-3) and len(measured[0]) == 3
    assert all(event.text for event in read_events(compiled) if isinstance(event, Sample))


@pytest.mark.parametrize("kernels", ["auto", "eager"])
def test_a_gradient_longer_than_the_limit_is_shortened_to_it(
    world: Any, cache: Path, kernels: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths: list[float] = []
    update = Optimizer.step

    def watched(self: Optimizer, factor: float) -> None:
        gradients = [p.grad.double() for p in self._names if isinstance(p.grad, Tensor)]
        lengths.append(math.sqrt(sum(float(g.square().sum()) for g in gradients)))
        update(self, factor)

    monkeypatch.setattr(Optimizer, "step", watched)
    folder = world.run("run", **VALUES, kernels=kernels, clip=1.05)
    assert world.train(folder, cache_dir=cache) == 0
    told = [event.grad_norm for event in read_events(folder) if isinstance(event, Step)]
    assert min(told) < 1.05 < max(told)
    assert lengths == pytest.approx([min(length, 1.05) for length in told], rel=1e-5)


def test_without_the_kernel_a_resume_says_that_it_is_not_exact_and_goes_on(world: Any, cache: Path) -> None:
    folder = world.run("run", **VALUES)
    world.train_until(folder, lambda event: isinstance(event, Saved) and event.step == 10, cache_dir=cache)
    assert world.train(folder) == 0
    warnings = [event.message for event in read_events(folder) if isinstance(event, Warn)]
    assert (
        len(warnings) == 1
        and "not bit-exact: the compiled kernels of the run cannot be had here" in warnings[0]
    )
    assert world.steps(folder)[-1][0] == 20


@pytest.mark.parametrize(
    "values", [{"arch": "classic", "optimizer": "adamw"}, {"kernels": "eager"}, {"dtype": "float64"}]
)
def test_what_has_no_compiled_form_is_trained_by_torch(
    world: Any, cache: Path, values: dict[str, Any]
) -> None:
    folder = world.run("run", **{**VALUES, "steps": 3, **values})
    assert world.train(folder, cache_dir=cache) == 0
    assert json.loads(folder.run.read_text())["kernels"] == "eager"
    assert len(world.steps(folder)) == 3
