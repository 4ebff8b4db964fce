import math

import pytest

from engine.dice import MAX_SEED, checked_seed, die
from engine.errors import UsageError


def test_the_dice_are_the_same_on_every_machine_for_ever():
    assert [die(0, 0), die(42, 7), die(MAX_SEED, MAX_SEED)] == [
        0.8617450585108165,
        0.6299120988959191,
        0.18621991564027163,
    ]


def test_dice_lie_in_the_half_open_unit_interval_and_spread_evenly_over_it():
    dice = [die(1, position) for position in range(20_000)]
    assert min(dice) >= 0.0 and max(dice) < 1.0
    bins = [0] * 20
    for u in dice:
        bins[int(u * 20)] += 1
    # Chi-square with 19 degrees of freedom is above 43.8 once in a thousand.
    assert sum((count - 1000) ** 2 / 1000 for count in bins) < 43.8


@pytest.mark.parametrize("pairs", [((1, p), (1, p + 1)) for p in (0,)] + [((1, 0), (2, 0))])
def test_neighbouring_positions_and_seeds_have_unrelated_dice(pairs):
    (seed_a, at_a), (seed_b, at_b) = pairs
    xs = [die(seed_a, at_a + i) - 0.5 for i in range(5000)]
    ys = [die(seed_b, at_b + i) - 0.5 for i in range(5000)]
    correlation = 12 * sum(x * y for x, y in zip(xs, ys, strict=True)) / 5000
    assert abs(correlation) < 4 / math.sqrt(5000)


@pytest.mark.parametrize("seed", [-1, MAX_SEED + 1, 1.0, True, "1", None])
def test_what_is_no_seed_is_refused_with_its_range(seed):
    with pytest.raises(UsageError, match=str(MAX_SEED)):
        checked_seed(seed)
