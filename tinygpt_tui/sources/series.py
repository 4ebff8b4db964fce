"""A curve's points as a view: the first `n` of two arrays that only grow, so that a picture can be handed out without a copy."""

from __future__ import annotations

from array import array
from dataclasses import dataclass


@dataclass(frozen=True, eq=False)
class Series:
    """`n` points by step. More may be appended to the arrays later; the first `n` never change.

    Attributes:
        steps: array('q'), strictly ascending.
        values: array('d') of the same length at least; NaN where a value was not finite.
        n: how many points belong to this view.
    """

    steps: array[int]
    values: array[float]
    n: int
