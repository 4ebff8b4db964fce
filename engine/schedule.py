"""The learning rate as a pure function of the step and the plan in force, so that a resumed run cannot get it wrong.

A plan says where the rate's course starts and where it ends. Re-planning (the machine is slower than it seemed, somebody extends the
run) adds a plan; it never rewrites one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """From `step` on, the rate warms up at `start` and has decayed to zero at `horizon` (all counted in steps).

    `timed` says that a time budget set the horizon and may move it.
    """

    step: int
    start: int
    horizon: int
    timed: bool = False


@dataclass(frozen=True)
class RateChange:
    """From `step` on, the rate is multiplied by `factor`; `id` is that of the request which asked for it."""

    id: str
    step: int
    factor: float


@dataclass(frozen=True)
class Course:
    """The shape of the rate between a plan's start and its horizon.

    Attributes:
        warmup_steps: steps of linear warm-up, at most a tenth of the plan.
        decay_fraction: share of the plan, counted from its end, over which the rate falls to zero (1: all of it).
        decay: `linear` or `cosine`.
    """

    warmup_steps: int
    decay_fraction: float
    decay: str


def plan_at(plans: Sequence[Plan], step: int) -> Plan:
    """The last plan made at or before `step`; the first one for steps before any."""
    return next((plan for plan in reversed(plans) if plan.step <= step), plans[0])


def rate(step: int, plan: Plan, course: Course) -> float:
    """The share of the peak learning rate for the update that turns `step` updates into `step + 1`, in [0, 1].

    Step 0 of a plan already moves a little, and the last step before the horizon moves last: the rate would be zero at the
    horizon itself.
    """
    total = max(1, plan.horizon - plan.start)
    done = step - plan.start
    warmup = min(course.warmup_steps, total // 10)
    warm = min(1.0, (done + 1) / (warmup + 1))
    left = max(0.0, min(1.0, (total - done) / max(1.0, total * course.decay_fraction)))
    if course.decay == "cosine":
        left = 0.5 * (1 - math.cos(math.pi * left))
    return warm * left
