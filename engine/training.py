"""The training loop: an iterator of events that updates a model, obeys what people ask, and notices when something is wrong.

It knows nothing of processes, files or screens: whoever runs it hands in where to save, what to obey and when to stop, and reads
the events. Everything random in an update comes from (seed, step, micro-batch), so nothing that happens between two
updates (an evaluation, a sample, a pause) can change what the run learns.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from engine import events
from engine.batches import Batches, derived_seed
from engine.budget import Budget, Cadence
from engine.control import Request
from engine.device import playing
from engine.errors import ResourceError, RunError
from engine.evaluate import validation_loss
from engine.events import Event
from engine.generate import generate
from engine.optim import Optimizer
from engine.ranks import ALONE, UPDATE, Alone, shares
from engine.recipe import Recipe
from engine.sampler import SamplerSettings
from engine.schedule import Plan, plan_at, rate
from engine.tokenizer import Tokenizer
from models.interface import LanguageModel
from models.learning import Learner

# A checkpoint at least this often, in seconds: what a power cut may cost.
SAVE_SECONDS = 30.0
# The first one comes sooner: somebody may be waiting to play with it.
FIRST_SAVE_SECONDS = 5.0
FEW_STEPS = 20  # fewer teach nothing; a machine that is busy with something else may leave no time for more


@dataclass
class Job:
    """What a run learns with: all resolved, nothing left to decide.

    Attributes:
        chars_per_token: of the training split, 1 for a character tokenizer; turns nats per token into nats per character.
        val_ids, val_chars: the validation split's tokens and its length in characters.
        device: where the model lives.
        learner: what computes losses and gradients in place of torch, if anything does.
    """

    run: str
    recipe: Recipe
    model: LanguageModel
    optimizer: Optimizer
    batches: Batches
    chars_per_token: float
    val_ids: Any
    val_chars: int
    tokenizer: Tokenizer
    device: torch.device
    learner: Learner | None = None


@dataclass
class State:
    """Where a run stands, apart from its tensors: what a checkpoint's manifest keeps and a resume takes back.

    Attributes:
        step: updates made.
        plans: every plan made so far, in order.
        controls: every learning-rate change and extension obeyed so far, as (id, step, do, value).
        val_loss: at the last evaluation; `eval_step` is its step.
        seconds: spent training in all, pauses excluded.
    """

    step: int = 0
    plans: list[Plan] = field(default_factory=list)
    controls: list[events.Control] = field(default_factory=list)
    val_loss: float | None = None
    eval_step: int = -1
    best_val_loss: float | None = None
    best_step: int = 0
    train_chars: int = 0
    seconds: float = 0.0

    @property
    def horizon(self) -> int:
        return self.plans[-1].horizon if self.plans else 0

    def lr_factor(self, step: int) -> float:
        """The product of the learning-rate factors in force at `step`."""
        return math.prod(c.value or 1.0 for c in self.controls if c.do == "lr" and c.step <= step)


@dataclass
class Surroundings:
    """What the loop needs from the outside.

    Attributes:
        save: writes a checkpoint of the current tensors and state; returns its path in the run folder.
        requests: new requests since the last call, in order.
        replay: learning-rate changes and extensions recorded by an earlier process beyond the step it resumed from.
        ending: why to stop now, or None; set by a signal.
        budget: how long the run may take, or None when steps alone decide.
        idle: called while paused, waits a moment.
        beat: told the state's name now and then ("training", "paused").
        clock: seconds, monotonic.
        team: who computes along.
    """

    save: Callable[[], str]
    requests: Callable[[], Sequence[Request]] = tuple
    replay: Sequence[events.Control] = ()
    ending: Callable[[], str | None] = lambda: None
    budget: Budget | None = None
    idle: Callable[[], None] = lambda: time.sleep(0.05)
    beat: Callable[[str], None] = lambda state: None
    clock: Callable[[], float] = time.monotonic
    team: Alone = ALONE


class Training:
    """One process's share of a run, from `state.step` to its end. Iterate `run()` once."""

    def __init__(self, job: Job, state: State, around: Surroundings) -> None:
        self.job, self.state, self.around = job, state, around
        self.recipe = job.recipe
        self._ended: str | None = None
        self._paused = False
        self._saved_step = -1
        self._last_save = around.clock()
        self._replay = list(around.replay)
        self._evals = Cadence(share=0.05)
        self._samples = Cadence(share=0.02)
        self._speed, self._updates = 0.0, 0
        self._shares = shares(self.recipe.batch_size, self.recipe.micro_batch, around.team.place)
        self._parameters = list(job.model.parameters())

    def run(self) -> Iterator[Event]:
        """Trains, and tells. The last event is `Done`.

        Raises:
            RunError: the loss or the gradient is not finite; the weights are those before that update.
        """
        state = self.state
        params = self.job.model.num_params()
        yield events.Start(self.job.run, state.step, params, state.horizon, self.recipe.seed)
        yield from (_told(plan) for plan in state.plans[-1:] if plan.step == state.step)
        if state.step == 0:
            yield from self._sample()
        while True:
            yield from self._obey()
            if self._ended is None and state.step >= state.horizon:
                self._ended = "time" if self.around.budget and state.step else "steps"
            if self._ended:
                break
            yield self._update()
            yield from self._look()
        yield from self._finish(params)

    def _update(self) -> events.Step:
        """One optimizer step, of everybody who computes along, and what to tell of it."""
        job, recipe, state = self.job, self.recipe, self.state
        began = self.around.clock()
        plan = plan_at(state.plans, state.step)
        factor = rate(state.step, plan, recipe.course) * state.lr_factor(state.step)
        self.around.team.order(UPDATE, state.step, factor)
        loss_value, norm_value = self.learn(state.step, factor)
        took = max(self.around.clock() - began, 1e-9)
        self._updates += 1
        chars = recipe.tokens_per_step * job.chars_per_token
        speed = chars / took
        # The first update of a process is slower than all others, and says nothing about them.
        self._speed = speed if self._updates <= 2 else 0.95 * self._speed + 0.05 * speed
        state.step += 1
        state.train_chars = round(state.step * chars)
        state.seconds += took
        lr = (recipe.muon_lr if recipe.optimizer == "muon" else recipe.lr) * factor
        return events.Step(
            state.step, loss_value / job.chars_per_token, lr, self._speed, norm_value, state.train_chars, state.seconds
        )  # fmt: skip

    def learn(self, step: int, factor: float) -> tuple[float, float]:
        """The optimizer step that follows `step` others, with every rate times `factor`, from this process's share of the windows and
        the gradients of all; every process comes to the same weights.

        Returns:
            the mean loss of the batch, in nats per token, and the length of its gradient.

        Raises:
            RunError: one of them is not finite, or another process is gone; the weights are those before.
        """
        job, recipe, team = self.job, self.recipe, self.around.team
        loss = torch.zeros((), device=job.device)
        for share in self._shares:
            seed, part = derived_seed(recipe.seed, step, *share.draws), share.count / recipe.batch_size
            x, y = job.batches.batch(step, share.first, share.count)
            if job.learner is not None:
                loss += job.learner.gradient(x, y, part, seed)
                continue
            torch.manual_seed(seed)
            loss += self._backward(x.to(job.device), y.to(job.device), part)
        parameters = [p for p in self._parameters if p.grad is not None]
        loss = team.total(parameters, loss)
        if job.learner is None:
            gradients = [p.grad for p in parameters if p.grad is not None]
            norm_value = torch.nn.utils.get_total_norm(gradients).item()
        else:
            gradients, norm_value = [job.learner.flat], job.learner.length()
        loss_value = loss.item()
        if not (math.isfinite(loss_value) and math.isfinite(norm_value)):
            raise RunError(
                f"The {'loss' if not math.isfinite(loss_value) else 'gradient'} is not finite at step {step}, so the "
                f"run stops before it spoils the weights; train anew with a lower learning rate (--set lr=..., muon_lr=...)."
            )
        if recipe.clip and norm_value > recipe.clip:
            for gradient in gradients:
                gradient.mul_(recipe.clip / norm_value)
        job.optimizer.step(factor)
        for p in parameters:
            p.grad = None
        return loss_value, norm_value

    def _backward(self, x: Tensor, y: Tensor, share: float) -> Tensor:
        """Adds the gradient of this micro-batch's share of the mean loss; returns that share, detached."""
        logits = self.job.model(x)
        loss = F.cross_entropy(logits.flatten(0, 1), y.flatten()) * share
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def _look(self) -> Iterator[Event]:
        """After an update: evaluate, sample, save and re-plan where they are due."""
        state, recipe = self.state, self.recipe
        self.around.beat("training")
        if recipe.eval_every:
            eval_due = state.step % recipe.eval_every == 0
        else:
            # The last step is evaluated anyway; shortly before it that would be time thrown away.
            close = state.horizon - state.step < 0.05 * state.horizon
            eval_due = not close and self._evals.due(state.seconds, self._eval_guess())
        last = state.step >= state.horizon
        if eval_due and not last:
            yield from self._evaluate()
            yield from self._sample()
            if not recipe.save_every or state.best_step == state.step:
                yield from self._save()
        elif self._samples.due(state.seconds, 0.1) and not last:
            yield from self._sample()
        if self.around.budget and self._ended is None:
            yield from self._replan()
        patience = SAVE_SECONDS if self._saved_step >= 0 else FIRST_SAVE_SECONDS
        overdue = self.around.clock() - self._last_save > patience
        # The last step, which may have become so just now, is saved once it was evaluated: a checkpoint is never written twice.
        if state.step >= state.horizon:
            pass
        elif overdue or (recipe.save_every and state.step % recipe.save_every == 0):
            yield from self._save()
        measured = state.eval_step == state.step
        if recipe.patience and measured and state.eval_step - state.best_step >= recipe.patience:
            self._ended = "patience"

    def _eval_guess(self) -> float:
        """What an evaluation may cost before the first one was timed: a forward pass is a third of an update."""
        tokens_per_second = max(self._speed / self.job.chars_per_token, 1.0)
        return len(self.job.val_ids) / tokens_per_second / 3

    def _evaluate(self) -> Iterator[Event]:
        state, job = self.state, self.job
        began = self.around.clock()
        self.around.beat("training")
        loss = validation_loss(job.model, job.val_ids, job.val_chars, job.learner)
        self._evals.done(state.seconds, self.around.clock() - began)
        state.val_loss, state.eval_step = loss if math.isfinite(loss) else None, state.step
        if state.val_loss is not None and (state.best_val_loss is None or loss < state.best_val_loss):
            state.best_val_loss, state.best_step = loss, state.step
        yield events.Eval(state.step, state.val_loss, state.best_val_loss, state.train_chars, state.seconds)

    def _sample(self, prompt: str = "", chars: int | None = None) -> Iterator[Event]:
        chars = self.recipe.sample_chars if chars is None else chars
        if not chars:
            return
        began = self.around.clock()
        self.around.beat("training")
        job = self.job
        with playing(job.model):
            pieces = generate(job.model, job.tokenizer, prompt, chars, SamplerSettings(), self.recipe.seed)
            text = "".join(piece.text for piece in pieces)
        self._samples.done(self.state.seconds, self.around.clock() - began)
        yield events.Sample(self.state.step, prompt, text)

    def _save(self) -> Iterator[Event]:
        if self._saved_step == self.state.step:
            return
        self._last_save = self.around.clock()
        try:
            path = self.around.save()
        except ResourceError as error:
            # The run is worth more than one checkpoint: go on, say so, and try again at the next occasion.
            saved = f"since step {self._saved_step}" if self._saved_step >= 0 else "yet"
            yield events.Warn(self.state.step, f"Not saved {saved}: {error}")
            return
        self._saved_step = self.state.step
        yield events.Saved(self.state.step, path)

    def _replan(self) -> Iterator[Event]:
        budget, state = self.around.budget, self.state
        assert budget is not None
        plan = state.plans[-1]
        ending = (self._evals.cost or self._eval_guess()) + self._samples.cost
        horizon = budget.horizon(state.step, plan.horizon, ending)
        if horizon != plan.horizon:
            state.plans.append(Plan(state.step, plan.start, horizon, timed=True))
            yield _told(state.plans[-1])

    def _obey(self) -> Iterator[Event]:
        """At a step boundary: replays what an earlier process was told here, then obeys what is new, then waits while paused."""
        due = [c for c in self._replay if c.step <= self.state.step]
        for control in due:
            self._replay.remove(control)
            yield control
            yield from self._apply(control)
        paused_seconds = 0.0
        while self._ended is None:
            self._ended = self.around.ending()
            for request in self.around.requests():
                control = events.Control(
                    request.id, self.state.step, request.do, request.value, request.prompt
                )
                yield control
                yield from self._apply(control)
            if not self._paused or self._ended:
                break
            began = self.around.clock()
            self.around.beat("paused")
            self.around.idle()
            paused_seconds += self.around.clock() - began
        if self.around.budget:
            self.around.budget.excuse(paused_seconds)

    def _apply(self, control: events.Control) -> Iterator[Event]:
        state = self.state
        match control.do:
            case "pause":
                self._paused = True
            case "resume":
                self._paused = False
            case "stop":
                self._ended = "stopped"
            case "save":
                yield from self._save()
            case "sample":
                yield from self._sample(
                    control.prompt or "", int(control.value or self.recipe.sample_chars or 200)
                )
            case "lr":
                state.controls.append(control)
            case "extend":
                state.controls.append(control)
                plan = state.plans[-1]
                horizon = plan.horizon + int(control.value or 0)
                if self.around.budget:
                    self.around.budget.extend(horizon - plan.horizon)
                state.plans.append(Plan(state.step, plan.start, horizon, plan.timed))
                yield _told(state.plans[-1])

    def _finish(self, params: int) -> Iterator[Event]:
        """Evaluates unless somebody is waiting to leave, saves, and says goodbye."""
        state = self.state
        if self._ended == "time" and state.step < FEW_STEPS:
            yield events.Warn(
                state.step,
                f"The time was enough for {state.step} step{'s' * (state.step != 1)} only, from which a model learns nothing: "
                "give it more, or a machine that is less busy.",
            )
        if self._ended in ("steps", "time", "patience") and state.eval_step != state.step:
            yield from self._evaluate()
            yield from self._sample()
        yield from self._save()
        if self._saved_step != state.step:
            raise ResourceError(
                "The last checkpoint could not be written; free some space and resume the run."
            )
        for request in self.around.requests():
            # What came too late is done or pointless, and must not surprise a resume; a change of course waits for one.
            if request.do not in ("lr", "extend"):
                yield events.Control(request.id, state.step, request.do, request.value, request.prompt)
        yield events.Done(
            self.job.run, state.step, state.val_loss, state.best_val_loss, state.train_chars, state.seconds,
            state.train_chars / state.seconds if state.seconds else 0.0, params, self._ended or "steps",
        )  # fmt: skip


def _told(plan: Plan) -> events.Plan:
    return events.Plan(plan.step, plan.start, plan.horizon, plan.timed)
