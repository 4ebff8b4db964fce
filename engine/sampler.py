"""From the model's scores to one chosen symbol: the knobs of sampling, in the order in which they act.

Penalties first, then top-k, top-p and min-p, and temperature last, so that a high temperature makes the
text bolder among the symbols the model finds plausible and never brings back one that was cut (llama.cpp's
order). Every stage reports what it removed. Left out on purpose: mirostat, typical sampling and XTC, which
are made for vocabularies of word pieces, and the repetition penalty of CTRL (Keskar et al. 2019) with its
presence and frequency kin: they punish every symbol that was used recently, and a text of characters cannot
do without its `e` and its space. The ranges and meanings of the knobs are `engine.sampler_settings`', and can
be had from here too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.errors import CheckpointError
from engine.sampler_settings import KNOBS, LOOP_ALLOWED, NEUTRAL, Knob, SamplerSettings

__all__ = [
    "DAMAGED", "KNOBS", "LOOP_ALLOWED", "LOOP_BASE", "LOOP_LONGEST", "LOOP_RANGE", "NEUTRAL", "Distribution", "Knob",
    "SamplerSettings", "Stage", "distribution", "draw", "loop_penalties",
]  # fmt: skip

# The loop breaker, which lets pass repetitions shorter than `LOOP_ALLOWED`.
LOOP_LONGEST = 50
LOOP_BASE = 1.1
LOOP_RANGE = 1024

DAMAGED = "The model's scores are not finite, so its weights are damaged; load another checkpoint."


@dataclass(frozen=True)
class Stage:
    """What one stage that is switched on took away.

    Attributes:
        name: the setting it belongs to.
        removed: number of symbols that can no longer be chosen.
        mass: the probability those symbols had before the first cut, so that the masses of the cuts add up;
            for `repetition`, the probability it moved away from the symbols that would go on with the loop.
    """

    name: str
    removed: int
    mass: float


@dataclass(frozen=True, eq=False)
class Distribution:
    """The probabilities of the next symbol, before and after the sampler.

    Attributes:
        raw: (V,) softmax of the model's logits.
        final: (V,) what is drawn from; sums to 1, exactly 0 for what was cut.
        stages: what each active stage removed, in order. Temperature appears only at 0: otherwise it
            removes nothing.
    """

    raw: NDArray[np.float64]
    final: NDArray[np.float64]
    stages: tuple[Stage, ...]

    @cached_property
    def order(self) -> NDArray[np.intp]:
        """(V,) ids from the most to the least probable in `final`, ties to the lower id."""
        return np.argsort(-self.final, kind="stable")

    def rank(self, id: int) -> int:
        """How many symbols the model itself found more likely than `id`, ties to the lower id."""
        p = self.raw[id]
        return int(np.count_nonzero(self.raw > p) + np.count_nonzero(self.raw[:id] == p))


def distribution(
    logits: ArrayLike, settings: SamplerSettings, history_ids: Sequence[int] = ()
) -> Distribution:
    """What the next symbol is drawn from.

    Args:
        logits: (V,) scores, finite or -inf (a symbol that cannot come), at least one finite.
        settings: the knobs.
        history_ids: the tokens of the text so far, which only the loop breaker looks at.

    Raises:
        CheckpointError: the scores are not finite, which only damaged weights produce.
    """
    x = np.asarray(logits, dtype=np.float64)
    best = float(x.max())
    if not math.isfinite(best):
        raise CheckpointError(DAMAGED)
    # Scores further apart than float64 reaches overflow to -inf, which is their right probability: 0.
    with np.errstate(over="ignore"):
        raw = _softmax(x - best)
        stages: list[Stage] = []
        before_cuts = raw
        if settings.repetition:
            x = x - loop_penalties(history_ids, len(x), settings.repetition)
            best = float(x.max())
            before_cuts = _softmax(x - best)
            stages.append(Stage("repetition", 0, float(np.maximum(raw - before_cuts, 0.0).sum())))
        if settings.top_k or settings.top_p < 1.0 or settings.min_p:
            x = _cut(x, before_cuts, settings, stages)
        x = x - best
        if settings.temperature == 0.0:
            winner = int(x.argmax())  # the first of equals, which is the lower id
            candidates = int(np.count_nonzero(x > -np.inf))
            left = float(before_cuts[x > -np.inf].sum() - before_cuts[winner])
            stages.append(Stage("temperature", candidates - 1, max(left, 0.0)))
            final = np.zeros_like(raw)
            final[winner] = 1.0
        elif settings.temperature == 1.0:
            final = _softmax(x)
        else:
            final = _softmax(x / settings.temperature)
    return Distribution(raw, final, tuple(stages))


def draw(dist: Distribution, u: float) -> int:
    """The symbol that the die `u` in [0, 1) lands on (inverse CDF), laid out from the most probable down.

    Sorted, so that a low die stays a likely symbol and a high one an unlikely one whatever the knobs do.
    """
    cumulative = dist.final[dist.order].cumsum()
    # u is at most 1 - 2^-53, so the product rounds to less than the total and always lands on a symbol with p > 0.
    return int(dist.order[cumulative.searchsorted(u * cumulative[-1], side="right")])


def loop_penalties(history_ids: Sequence[int], vocab_size: int, strength: float) -> NDArray[np.float64]:
    """(vocab_size,) logits to subtract so that loops end: positive for what prolongs a repetition, else 0.

    If the last n >= 12 symbols stand earlier in the last 1,024, the symbol that followed them there loses
    strength x 1.1^(n - 12), with the longest such n, at most 50. This is DRY ("don't repeat yourself", by
    p-e-w in text-generation-webui, pull request 5677) at the scale of characters: its own defaults, allowed
    length 2 and base 1.75, count word pieces and would forbid spelling a word twice.
    """
    penalties = np.zeros(vocab_size)
    history = np.asarray(history_ids[-LOOP_RANGE:], dtype=np.int64)
    size = len(history)
    # Indices behind an earlier occurrence of the last n symbols, narrowed as n grows.
    behind = np.arange(1, size)
    for n in range(1, LOOP_LONGEST + 1):
        behind = behind[behind >= n]
        if not behind.size:
            break
        behind = behind[history[behind - n] == history[size - n]]
        if n >= LOOP_ALLOWED:
            penalties[history[behind]] = strength * LOOP_BASE ** (n - LOOP_ALLOWED)
    return penalties


def _softmax(shifted: NDArray[np.float64]) -> NDArray[np.float64]:
    """Softmax of scores whose maximum is 0, so the sum is at least 1 and nothing divides by zero."""
    weights = np.exp(shifted)
    total: NDArray[np.float64] = weights / weights.sum()
    return total


def _cut(
    x: NDArray[np.float64], p: NDArray[np.float64], settings: SamplerSettings, stages: list[Stage]
) -> NDArray[np.float64]:
    """`x` with -inf for what the cuts remove; each keeps a prefix of the sorted symbols, so a count does."""
    order = np.argsort(-x, kind="stable")
    cumulative = p[order].cumsum()
    kept = int(np.count_nonzero(x > -np.inf))

    def keep(name: str, count: int) -> None:
        nonlocal kept
        count = min(count, kept)
        mass = float(cumulative[kept - 1] - cumulative[count - 1])
        stages.append(Stage(name, kept - count, mass))
        kept = count

    if settings.top_k:
        keep("top_k", settings.top_k)
    if settings.top_p < 1.0:
        # Of what top-k left; the symbol that crosses the threshold stays.
        keep("top_p", int(cumulative[:kept].searchsorted(settings.top_p * cumulative[kept - 1])) + 1)
    if settings.min_p:
        keep("min_p", int(np.count_nonzero(np.exp(x[order[:kept]] - x[order[0]]) >= settings.min_p)))
    left = np.full_like(x, -np.inf)
    left[order[:kept]] = x[order[:kept]]
    return left
