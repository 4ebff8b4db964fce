"""What the training loop promises: it obeys at step boundaries, nothing between two updates changes one, and it never spoils a model."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from engine import events
from engine.control import Request
from engine.errors import ResourceError, RunError
from engine.events import Control, Done, Eval, Event, Plan, Sample, Saved, Step, Warn
from engine.preparing import prepare
from engine.schedule import Plan as Course
from engine.schedule import rate
from engine.training import Job, State, Surroundings, Training


class Loop:
    """A training loop without processes and files: what it asks of its surroundings is answered here.

    Attributes:
        told: every event so far.
        pending: requests to be handed out at the next look.
        disk_full: how many saves fail from now on.
        now: seconds the clock shows.
    """

    def __init__(self, job: Job, state: State, **around: Any) -> None:
        self.job, self.state = job, state
        self.told: list[Event] = []
        self.pending: list[Request] = []
        self.saved: list[int] = []
        self.beats: list[str] = []
        self.disk_full = 0
        self.now = 0.0
        given: dict[str, Any] = {
            "save": self.save,
            "requests": self.hand_out,
            "beat": self.beats.append,
            "clock": lambda: self.now,
        }
        self.training = Training(job, state, Surroundings(**given | around))

    def save(self) -> str:
        if self.disk_full:
            self.disk_full -= 1
            raise ResourceError("No space is left on the disk: free some and try again.")
        self.saved.append(self.state.step)
        return f"checkpoints/{self.state.step}"

    def hand_out(self) -> list[Request]:
        asked, self.pending = self.pending, []
        return asked

    def run(self, then: Callable[[Event], None] = lambda event: None) -> list[Event]:
        for event in self.training.run():
            self.told.append(event)
            then(event)
        return self.told

    def of(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.told if isinstance(event, kind)]


MakeLoop = Callable[..., Loop]


@pytest.fixture
def loop(world: Any) -> Iterator[MakeLoop]:
    def make(*, around: dict[str, Any] | None = None, **values: Any) -> Loop:
        folder = world.run(f"run-{make.count}", **values)  # type: ignore[attr-defined]
        make.count += 1  # type: ignore[attr-defined]
        prepared = prepare(folder, [folder.corpora], spent=0.0, total_steps=None, force=False)
        return Loop(prepared.job, prepared.state, **(around or {}))

    make.count = 0  # type: ignore[attr-defined]
    yield make


def asks(loop: Loop, step: int, *requests: Request) -> Callable[[Event], None]:
    def then(event: Event) -> None:
        if isinstance(event, Step) and event.step == step:
            loop.pending.extend(requests)

    return then


def values_of(job: Job) -> list[Tensor]:
    return [p.detach().clone() for p in job.model.parameters()]


def same(one: Iterable[Tensor], other: Iterable[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_run_begins_with_a_sample_and_ends_with_an_evaluation_a_save_and_done(loop: MakeLoop) -> None:
    run = loop(steps=3, eval_every=1000)
    kinds = [events.name_of(event) for event in run.run()]
    assert kinds == ["start", "plan", "sample", "step", "step", "step", "eval", "sample", "saved", "done"]
    assert run.of(Sample)[0].step == 0
    assert len(run.of(Sample)[0].text) == 5


def test_the_rate_follows_the_schedule(loop: MakeLoop) -> None:
    run = loop(steps=12, eval_every=1000, lr=0.5, muon_lr=0.25, optimizer="muon")
    run.run()
    course = run.job.recipe.course
    assert [step.lr for step in run.of(Step)] == [0.25 * rate(s, Course(0, 0, 12), course) for s in range(12)]
    assert run.of(Plan) == [Plan(0, 0, 12)]


def test_the_speed_is_that_of_the_updates_after_the_first(loop: MakeLoop) -> None:
    made = loop(steps=6)
    backward = made.training._backward

    def slow(*given: Any) -> Tensor:
        made.now += 10.0 if made.state.step == 0 else 0.1
        return backward(*given)

    made.training._backward = slow  # type: ignore[method-assign]
    made.run()
    first, *others = (step.chars_per_s for step in made.of(Step))
    assert others == pytest.approx([100 * first] * 5, rel=0.01)


def test_a_changed_rate_holds_from_the_next_step_on_and_once(loop: MakeLoop) -> None:
    plain, turned = loop(steps=10), loop(steps=10)
    plain.run()
    turned.run(asks(turned, 4, Request("a", "lr", 2.0)))
    ratios = [t.lr / p.lr for t, p in zip(turned.of(Step), plain.of(Step), strict=True)]
    assert ratios == [1.0] * 4 + [2.0] * 6
    assert turned.of(Control) == [Control("a", 4, "lr", 2.0)]
    # Twice the rate is twice the way: the change reached the optimizer, not only the number that is told.
    assert [s.loss for s in turned.of(Step)][:5] == [s.loss for s in plain.of(Step)][:5]
    assert turned.of(Step)[5].loss != plain.of(Step)[5].loss


def test_factors_multiply(loop: MakeLoop) -> None:
    plain, turned = loop(steps=8), loop(steps=8)
    plain.run()
    wishes = [
        asks(turned, 2, Request("a", "lr", 2.0), Request("b", "lr", 4.0)),
        asks(turned, 5, Request("c", "lr", 0.25)),
    ]
    turned.run(lambda event: [wish(event) for wish in wishes] and None)
    ratios = [t.lr / p.lr for t, p in zip(turned.of(Step), plain.of(Step), strict=True)]
    assert ratios == [1.0] * 2 + [8.0] * 3 + [2.0] * 3


def test_an_extension_stretches_the_plan(loop: MakeLoop) -> None:
    run = loop(steps=6)
    run.run(asks(run, 3, Request("a", "extend", 4.0)))
    assert run.of(Plan) == [Plan(0, 0, 6), Plan(3, 0, 10)]
    course = run.job.recipe.course
    assert run.of(Step)[3].lr == run.job.recipe.muon_lr * rate(3, Course(3, 0, 10), course)
    assert run.of(Done)[0].step == 10


def test_an_extension_asked_for_at_the_last_step_is_granted(loop: MakeLoop) -> None:
    run = loop(steps=4)
    run.run(asks(run, 4, Request("a", "extend", 2.0)))
    assert run.of(Done)[0].step == 6


def test_a_control_is_told_before_it_is_obeyed(loop: MakeLoop) -> None:
    run = loop(steps=4, save_every=100)
    factors = []

    def then(event: Event) -> None:
        asks(run, 2, Request("a", "lr", 0.5), Request("b", "sample", 7, "the"), Request("c", "save"))(event)
        if isinstance(event, Control):
            factors.append((event.do, run.state.lr_factor(2), list(run.saved)))

    kinds = [events.name_of(e) for e in run.run(then) if events.step_of(e) == 2]
    assert factors == [("lr", 1.0, []), ("sample", 0.5, []), ("save", 0.5, [])]
    assert kinds == ["step", "control", "control", "sample", "control", "saved"]
    assert run.of(Sample)[1].prompt == "the"
    assert len(run.of(Sample)[1].text) == 7


def test_a_pause_stops_the_steps_until_resume(loop: MakeLoop) -> None:
    idles = []

    def idle() -> None:
        idles.append(run.state.step)
        assert run.beats[-1] == "paused"
        if len(idles) == 5:
            run.pending.append(Request("b", "resume"))

    run = loop(steps=6, around={"idle": idle})
    run.run(asks(run, 3, Request("a", "pause")))
    assert idles == [3] * 5
    assert [s.step for s in run.of(Step)] == [1, 2, 3, 4, 5, 6]
    assert [c.do for c in run.of(Control)] == ["pause", "resume"]


def test_a_paused_run_saves_samples_and_stops_when_asked(loop: MakeLoop) -> None:
    asked = iter([Request("b", "save"), Request("c", "sample", 4.0, ""), Request("d", "stop")])
    run = loop(steps=6, around={"idle": lambda: run.pending.append(next(asked))})
    run.run(asks(run, 2, Request("a", "pause")))
    assert run.saved == [2]
    assert [c.do for c in run.of(Control)] == ["pause", "save", "sample", "stop"]
    assert (run.of(Done)[0].step, run.of(Done)[0].reason) == (2, "stopped")


def test_a_stopped_run_is_saved_but_not_measured(loop: MakeLoop) -> None:
    run = loop(steps=6, eval_every=1000)
    run.run(asks(run, 2, Request("a", "stop")))
    assert run.saved == [2]
    assert run.of(Eval) == []
    assert run.of(Done)[0].val_loss is None


def test_only_pauses_are_taken_off_a_time_budget(loop: MakeLoop) -> None:
    class Budget:
        excused = 0.0

        def excuse(self, seconds: float) -> None:
            self.excused += seconds

        def horizon(self, step: int, planned: int, last_evaluation: float) -> int:
            return planned

    budget = Budget()

    def idle() -> None:
        run.now += 10.0
        run.pending.append(Request("c", "resume"))

    run = loop(steps=4, around={"budget": budget, "idle": idle})
    save = run.training.around.save

    def slow_save() -> str:
        run.now += 100.0
        return save()

    run.training.around.save = slow_save
    run.run(asks(run, 2, Request("a", "save"), Request("b", "pause")))
    assert budget.excused == 10.0


def test_evaluations_and_saves_come_at_their_steps(loop: MakeLoop) -> None:
    run = loop(steps=10, eval_every=4, save_every=3)
    run.run()
    assert [e.step for e in run.of(Eval)] == [4, 8, 10]
    assert {s.step for s in run.of(Saved)} - {4, 8} == {3, 6, 9, 10}
    assert [s.step for s in run.of(Sample)] == [0, 4, 8, 10]


def test_the_best_model_so_far_is_saved_whatever_the_rhythm_of_saves(
    loop: MakeLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = iter([2.0, 3.0, 1.0, 4.0])
    monkeypatch.setattr("engine.training.validation_loss", lambda *_: next(losses))
    run = loop(steps=10, eval_every=3, save_every=5)
    run.run()
    assert [e.step for e in run.of(Eval)] == [3, 6, 9, 10]
    assert [s.step for s in run.of(Saved)] == [3, 5, 9, 10]


def test_a_step_that_time_makes_the_last_is_measured_before_it_is_saved(loop: MakeLoop) -> None:
    class Budget:
        excused = 0.0

        def excuse(self, seconds: float) -> None: ...

        def horizon(self, step: int, planned: int, last_evaluation: float) -> int:
            return 4 if step == 4 else planned

    run = loop(steps=10, save_every=2, eval_every=100, around={"budget": Budget()})
    run.run()
    told = [(type(event), event.step) for event in run.told if isinstance(event, Eval | Saved | Done)]
    assert told == [(Saved, 2), (Eval, 4), (Saved, 4), (Done, 4)]
    assert [warning.message[:38] for warning in run.of(Warn)] == ["The time was enough for 4 steps only, "]


def test_without_save_every_each_evaluation_is_saved(loop: MakeLoop) -> None:
    run = loop(steps=10, eval_every=4)
    run.run()
    assert [s.step for s in run.of(Saved)] == [4, 8, 10]


def test_thirty_seconds_without_a_checkpoint_are_enough_and_five_without_a_first_one(loop: MakeLoop) -> None:
    run = loop(steps=16, eval_every=1000)

    def then(event: Event) -> None:
        if isinstance(event, Step):
            run.now += 4.0

    run.run(then)
    assert [s.step for s in run.of(Saved)] == [2, 10, 16]


def test_the_sample_at_the_start_can_be_left_out(loop: MakeLoop) -> None:
    run = loop(steps=2, eval_every=1, sample_chars=0)
    run.run()
    assert run.of(Sample) == []


def test_patience_ends_a_run_that_gets_no_better(loop: MakeLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    losses = iter([3.0, 2.0, 2.5, 2.1, 2.0, 9.0, 9.0])
    monkeypatch.setattr("engine.training.validation_loss", lambda *_: next(losses))
    run = loop(steps=100, eval_every=2, patience=5)
    run.run()
    done = run.of(Done)[0]
    # Best at step 4; five steps later is between two evaluations, so the one at step 10 decides.
    assert (done.step, done.reason, done.best_val_loss, run.state.best_step) == (10, "patience", 2.0, 4)


def test_done_counts_every_character_as_often_as_it_was_read(loop: MakeLoop) -> None:
    run = loop(steps=200, batch_size=4, micro_batch=4, n_layer=1, eval_every=1000)
    run.run()
    done = run.of(Done)[0]
    assert done.step == 200
    assert done.train_chars == 200 * 4 * 16 > 2 * len(run.job.batches.ids)
    assert done.params == run.job.model.num_params()
    assert done.reason == "steps"
    assert done.val_loss == done.best_val_loss == run.of(Eval)[-1].val_loss
    assert done.val_loss < 2.0 < run.of(Step)[0].loss


def test_a_batch_in_parts_is_the_same_batch(loop: MakeLoop) -> None:
    values = {"steps": 5, "dropout": 0.0, "dtype": "float64", "optimizer": "adamw", "batch_size": 6}
    whole, parts = loop(micro_batch=0, **values), loop(micro_batch=4, **values)
    whole.run(), parts.run()
    assert [s.loss for s in parts.of(Step)] == pytest.approx([s.loss for s in whole.of(Step)], rel=1e-6)
    assert [s.grad_norm for s in parts.of(Step)] == pytest.approx(
        [s.grad_norm for s in whole.of(Step)], rel=1e-6
    )


def test_no_gradient_is_carried_from_one_update_into_the_next(loop: MakeLoop) -> None:
    run = loop(steps=3, eval_every=1000)
    left: list[bool] = []
    run.run(lambda event: left.append(any(p.grad is not None for p in run.job.model.parameters())))
    assert not any(left)


def test_dropout_falls_anew_at_every_step_and_micro_batch(
    loop: MakeLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = loop(steps=4)
    seeds: list[int] = []
    seed = torch.manual_seed
    monkeypatch.setattr(torch, "manual_seed", lambda value: (seeds.append(value), seed(value))[1])
    run.run()
    assert len(set(seeds)) == len(seeds) == 8


def test_a_loss_that_is_not_finite_stops_the_run_before_the_update(loop: MakeLoop) -> None:
    run = loop(steps=8, save_every=2)
    backward = run.training._backward
    before: list[list[Tensor]] = []

    def poisoned(x: Tensor, y: Tensor, share: float) -> Tensor:
        loss = backward(x, y, share)
        if run.state.step != 5:
            return loss
        before.append(values_of(run.job))
        return loss * math.nan

    run.training._backward = poisoned  # type: ignore[method-assign]
    with pytest.raises(RunError, match="loss is not finite at step 5"):
        run.run()
    assert same(before[0], run.job.model.parameters())
    assert run.saved == [2, 4]
    assert run.of(Step)[-1].step == run.state.step == 5


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_gradient_that_is_not_finite_stops_the_run_before_the_update(loop: MakeLoop, bad: float) -> None:
    run = loop(steps=8, save_every=2, clip=0.0)
    parameter = next(run.job.model.parameters())
    before: list[list[Tensor]] = []

    def poison(gradient: Tensor) -> Tensor:
        if run.state.step != 5:
            return gradient
        before.append(values_of(run.job))
        return gradient.index_fill(0, torch.tensor([0]), bad)

    parameter.register_hook(poison)
    momentum = {k: v.clone() for k, v in run.job.optimizer.state().items()}
    with pytest.raises(RunError, match="gradient is not finite at step 5"):
        run.run(lambda e: momentum.update({k: v.clone() for k, v in run.job.optimizer.state().items()}))
    assert same(before[0], run.job.model.parameters())
    assert all(torch.equal(momentum[name], value) for name, value in run.job.optimizer.state().items())
    assert run.saved == [2, 4]


def test_a_rate_that_is_far_too_high_fails_with_finite_weights(loop: MakeLoop) -> None:
    run = loop(
        arch="classic",
        optimizer="adamw",
        steps=60,
        lr=10.0,
        weight_decay=100.0,
        warmup_steps=0,
        clip=0.0,
        eval_every=1000,
    )
    with pytest.raises(RunError, match="not finite"):
        run.run()
    assert all(math.isfinite(s.loss) for s in run.of(Step))


def test_a_full_disk_costs_a_warning_and_a_later_save(loop: MakeLoop) -> None:
    run = loop(steps=8, save_every=2)
    run.disk_full = 0

    def then(event: Event) -> None:
        if isinstance(event, Step) and event.step == 3:
            run.disk_full = 1

    run.run(then)
    assert [w.step for w in run.of(Warn)] == [4]
    assert "Not saved since step 2" in run.of(Warn)[0].message
    assert [s.step for s in run.of(Saved)] == [2, 6, 8]
    assert run.of(Done)[0].step == 8


def test_a_last_save_that_fails_is_no_good_end(loop: MakeLoop) -> None:
    run = loop(steps=4, save_every=3)
    with pytest.raises(ResourceError, match="last checkpoint"):
        run.run(lambda event: setattr(run, "disk_full", 9) if isinstance(event, Saved) else None)
    assert run.of(Done) == []
    assert run.saved == [3]


def test_a_signal_ends_a_run_even_while_it_is_paused(loop: MakeLoop) -> None:
    told: list[str] = []
    run = loop(
        steps=9, around={"ending": lambda: told[0] if told else None, "idle": lambda: told.append("stopped")}
    )
    run.run(asks(run, 2, Request("a", "pause")))
    assert (run.of(Done)[0].step, run.of(Done)[0].reason) == (2, "stopped")
