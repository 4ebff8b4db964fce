"""Throws the dice of the small talk: the same seed gives the same throws on every Python version.

Leaves out everything of `random` but `Random.random()`, the one method whose numbers are promised never to
change.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import TypeVar

T = TypeVar("T")


class Dice:
    """A seeded source of choices."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self._random.random() < probability

    def below(self, end: int) -> int:
        """A whole number from 0 to end - 1, all equally likely."""
        return int(self._random.random() * end)

    def pick(self, items: Sequence[T]) -> T:
        """One of the items, all equally likely."""
        return items[self.below(len(items))]

    def early(self, items: Sequence[T]) -> T:
        """One of the items, the first ones more likely: a habit with some variety."""
        throw = self._random.random()
        return items[int(throw * throw * len(items))]

    def weighted(self, items: Sequence[T], ends: Sequence[float]) -> T:
        """One of the items; `ends` are their running totals of weight, from `running_totals`."""
        return items[bisect_right(ends, self._random.random() * ends[-1], hi=len(items) - 1)]


def running_totals(weights: Sequence[float]) -> tuple[float, ...]:
    """What `Dice.weighted` needs, computed once."""
    return tuple(accumulate(weights))
