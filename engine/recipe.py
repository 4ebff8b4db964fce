"""Everything that decides what a run learns, in one frozen dataclass: the same recipe, corpus and machine give the same model.

What is left open when a run is asked for (a size, a number of steps) is settled by `engine.sizing` before step 1, written to
the run folder, and never changed afterwards. No torch here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, asdict, dataclass, field, fields, replace
from difflib import get_close_matches
from itertools import pairwise
from typing import Any

from engine.errors import UsageError
from engine.printable import printable
from engine.schedule import Course, Plan, RateChange
from models.config import ARCHITECTURES, MAX_BLOCK, MAX_LAYERS, MAX_ORDER, MAX_VOCAB, MAX_WIDTH, ModelConfig


def _knob(default: Any, help: str, *, low: float | None = None, high: float | None = None,
          choices: tuple[str, ...] = (), unit: str = "") -> Any:  # fmt: skip
    return field(
        default=default, metadata={"help": help, "low": low, "high": high, "choices": choices, "unit": unit}
    )


@dataclass(frozen=True)
class Recipe:
    """A training run, resolved. Each field's metadata holds its help, unit, bounds and choices (see `check`).

    `plans` and `rate_changes` are those that a finished run made, when its recipe is to be repeated step by step; empty for a
    new run.

    Raises:
        UsageError: a value is out of range or does not fit another.
    """

    arch: str = _knob("modern", "architecture", choices=ARCHITECTURES)
    n_layer: int = _knob(4, "transformer blocks", low=1, high=MAX_LAYERS)
    n_head: int = _knob(4, "attention heads; they share the width", low=1, high=MAX_WIDTH)
    n_embd: int = _knob(128, "width of the stream", low=1, high=MAX_WIDTH, unit="channels")
    block_size: int = _knob(64, "longest window the model sees", low=2, high=MAX_BLOCK, unit="tokens")
    order: int = _knob(5, "longest n of the counting model", low=1, high=MAX_ORDER)
    dropout: float = _knob(0.0, "share of activations dropped while training", low=0, high=0.9)
    tokenizer: str = _knob("chars", "what a token is", choices=("chars", "bytes", "bpe"))
    vocab_size: int = _knob(
        512, "symbols of a bpe tokenizer", low=257, high=min(MAX_VOCAB, 65_536), unit="symbols"
    )
    seed: int = _knob(1, "start of every random draw", low=0, high=2**63 - 1)
    steps: int = _knob(1000, "updates until the learning rate has decayed", low=1, high=10**9, unit="steps")
    batch_size: int = _knob(32, "windows an update learns from", low=1, high=65_536, unit="windows")
    micro_batch: int = _knob(
        0, "windows computed at a time, 0 for the whole batch", low=0, high=65_536, unit="windows"
    )
    optimizer: str = _knob(
        "muon", "muon for the matrices and adamw for the rest, or adamw alone", choices=("muon", "adamw")
    )
    lr: float = _knob(0.01, "peak learning rate of adamw", low=1e-8, high=10)
    muon_lr: float = _knob(0.02, "peak learning rate of muon", low=1e-8, high=10)
    weight_decay: float = _knob(0.1, "decay of matrices under adamw, per unit of rate", low=0, high=100)
    muon_weight_decay: float = _knob(0.1, "decay of matrices under muon, per unit of rate", low=0, high=100)
    beta1: float = _knob(0.9, "adamw's memory of the gradient", low=0, high=0.9999)
    beta2: float = _knob(0.95, "adamw's memory of its square", low=0, high=0.99999)
    momentum: float = _knob(0.95, "muon's memory of the gradient", low=0, high=0.9999)
    clip: float = _knob(1.0, "longest gradient, 0 for any", low=0, high=1e6)
    warmup_steps: int = _knob(20, "steps of rising learning rate", low=0, high=10**6, unit="steps")
    decay: str = _knob("linear", "shape of the falling learning rate", choices=("linear", "cosine"))
    decay_fraction: float = _knob(1.0, "share of the run over which the rate falls", low=0.01, high=1)
    eval_every: int = _knob(
        0, "steps between evaluations, 0 to fit them into a twentieth of the time", low=0, high=10**9, unit="steps"
    )  # fmt: skip
    save_every: int = _knob(
        0, "steps between checkpoints, 0 for every evaluation and every 30 s", low=0, high=10**9, unit="steps"
    )
    patience: int = _knob(
        0, "stop after this many steps without a better val_loss, 0 for never", low=0, high=10**9, unit="steps"
    )  # fmt: skip
    sample_chars: int = _knob(
        200, "length of the sample at each evaluation, 0 for none", low=0, high=100_000, unit="characters"
    )
    dtype: str = _knob(
        "auto", "dtype of the products", choices=("auto", "float32", "bfloat16", "float64")
    )  # fmt: skip
    kernels: str = _knob(
        "auto", "compiled code of our own where it can be had, or torch's operations", choices=("auto", "compiled", "eager")
    )  # fmt: skip
    threads: int = _knob(0, "processor threads, 0 for a fitting number", low=0, high=1024)
    time: float | None = _knob(
        None, "wall time of the whole run, which then settles the steps", low=1, high=10**8, unit="seconds"
    )
    plans: tuple[Plan, ...] = ()
    rate_changes: tuple[RateChange, ...] = ()

    def __post_init__(self) -> None:
        for name in KNOBS:
            check(name, getattr(self, name))
        if self.arch != "ngram" and self.n_embd % self.n_head:
            raise UsageError(
                f"n_embd ({self.n_embd}) must be a multiple of n_head ({self.n_head}); choose another n_head."
            )
        if self.arch == "modern" and (self.n_embd // self.n_head) % 2:
            raise UsageError(
                f"n_embd / n_head ({self.n_embd // self.n_head}) must be even for rotary positions."
            )

    @property
    def course(self) -> Course:
        return Course(self.warmup_steps, self.decay_fraction, self.decay)

    @property
    def tokens_per_step(self) -> int:
        return self.batch_size * self.block_size

    def model_config(self, vocab_size: int) -> ModelConfig:
        """The model this recipe trains on a vocabulary of `vocab_size` symbols."""
        if self.arch == "ngram":
            return ModelConfig("ngram", vocab_size, self.block_size, order=self.order)
        return ModelConfig(
            self.arch, vocab_size, self.block_size, self.n_layer, self.n_head, self.n_embd, self.dropout
        )

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Recipe:
        """Takes back `to_json`. Raises UsageError on unknown fields and values out of range."""
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(data) - known):
            raise UsageError(f"The recipe has unknown fields: {', '.join(map(printable, unknown[:5]))}.")
        values = dict(data)
        values["plans"] = _plans_from_json(data.get("plans", ()))
        values["rate_changes"] = _rate_changes_from_json(data.get("rate_changes", ()))
        return cls(**values)

    def with_values(self, **values: Any) -> Recipe:
        return replace(self, **values)


KNOBS = {f.name: f for f in fields(Recipe) if f.name not in ("plans", "rate_changes")}


def check(name: str, value: object) -> None:
    """Raises UsageError, naming the range, unless there is a field `name` and `value` may stand in it."""
    knob = _knob_named(name)
    if value is None and knob.default is None:
        return
    if choices := knob.metadata["choices"]:
        if value not in choices:
            raise UsageError(f"{name} must be one of {', '.join(choices)}, not {_shown(value)}.")
        return
    low, high, unit = knob.metadata["low"], knob.metadata["high"], knob.metadata["unit"]
    whole = knob.type == "int"
    numbers = (int,) if whole else (int, float)
    # Not a number, and infinity, fail the comparison.
    if isinstance(value, bool) or not isinstance(value, numbers) or not low <= value <= high:
        kind = "a whole number" if whole else "a number"
        raise UsageError(
            f"{name} must be {kind} from {_shown(low)} to {_shown(high)}{' ' + unit if unit else ''}, not {_shown(value)}."
        )


def parse_value(name: str, text: str) -> Any:
    """The value that `--set name=text` means. Raises UsageError for an unknown name or a value out of range."""
    knob = _knob_named(name)
    value: Any = text
    if not knob.metadata["choices"]:
        try:
            value = int(text) if knob.type == "int" else float(text)
        except ValueError:
            value = text
    check(name, value)
    return value


def _knob_named(name: str) -> Field[Any]:
    if name in KNOBS:
        return KNOBS[name]
    near = get_close_matches(name, KNOBS, n=1)
    hint = f" Did you mean {near[0]}?" if near else f" There are: {', '.join(KNOBS)}."
    raise UsageError(f"There is no training setting called {name!r}.{hint}")


def _shown(value: object) -> str:
    """A bound or a wrong value as a person reads it. Python refuses to spell whole numbers of thousands of digits."""
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}" if abs(value) < 10**30 else "so large a number"
    return f"{value:g}" if isinstance(value, float) else repr(value)[:40]


def _plans_from_json(data: Any) -> tuple[Plan, ...]:
    try:
        plans = tuple(Plan(**plan) for plan in data)
    except TypeError:
        plans = (Plan(-1, -1, -1),)
    counts = [count for plan in plans for count in (plan.step, plan.start, plan.horizon)]
    sound = all(type(count) is int and 0 <= count <= 10**12 for count in counts)
    sound = sound and all(type(plan.timed) is bool for plan in plans)
    if not sound or any(later.step < plan.step for plan, later in pairwise(plans)):
        raise UsageError(
            "The recipe's plans are damaged; each has a step, a start and a horizon, in the order of the steps."
        )
    return plans


def _rate_changes_from_json(data: Any) -> tuple[RateChange, ...]:
    try:
        changes = tuple(RateChange(**change) for change in data)
    except TypeError:
        changes = (RateChange("", -1, -1),)
    for change in changes:
        sound = isinstance(change.id, str) and 1 <= len(change.id) <= 64
        sound = sound and type(change.step) is int and 0 <= change.step <= 10**12
        if not sound or type(change.factor) not in (int, float) or not 0 < change.factor <= 1000:
            raise UsageError(
                "The recipe's changes of the learning rate are damaged; each has an id, a step and a factor."
            )
    return changes
