"""Numbers as a person reads them: units change where the digits would, and what is not known is a dash."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.runs import UNFINISHED
from tinygpt_tui import figures

NOT_FINITE = [None, math.nan, math.inf, -math.inf]


@pytest.mark.parametrize("value", NOT_FINITE)
@pytest.mark.parametrize(
    "figure", [figures.loss, figures.count, figures.size, figures.duration, figures.age, figures.percent, figures.scientific]
)  # fmt: skip
def test_what_is_not_known_is_a_dash(figure: object, value: float | None) -> None:
    assert figure(value) == "–"  # type: ignore[operator]


def test_steps_that_are_not_known_are_a_dash() -> None:
    assert figures.steps(None, 2000) == "–"


def test_every_state_of_a_run_has_a_character_of_its_own_but_for_those_that_went_wrong_alike() -> None:
    assert set(figures.STATES) >= UNFINISHED | {"stopped", "done", "failed", "died", "damaged", "gone"}
    assert all(len(glyph) == 1 for glyph in figures.STATES.values())
    assert len({figures.STATES[state] for state in (*UNFINISHED, "stopped", "done", "failed")}) == 6


@pytest.mark.parametrize(("value", "shown"), [(1.62, "1.620"), (0.0, "0.000"), (4.17439, "4.174")])
def test_a_loss_has_three_decimals(value: float, shown: str) -> None:
    assert figures.loss(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (7, "7"),
        (0.5, "0.5"),
        (99.4, "99.4"),
        (612.4, "612"),
        (999, "999"),
        (999.6, "1 k"),
        (1000, "1 k"),
        (24_300, "24.3 k"),
        (999_499, "999 k"),
        (999_500, "1 M"),
        (1_790_000, "1.79 M"),
        (2.5e9, "2.5 G"),
        (4e12, "4,000 G"),
        (-24_300, "-24.3 k"),
    ],
)
def test_a_count_has_three_digits_and_the_unit_that_keeps_them_short(value: float, shown: str) -> None:
    assert figures.count(value) == shown


@given(st.floats(min_value=0.001, max_value=9.9e11))
def test_a_count_says_the_number_within_half_a_percent(value: float) -> None:
    number, _, unit = figures.count(value).partition(" ")
    told = float(number.replace(",", "")) * {"": 1, "k": 1e3, "M": 1e6, "G": 1e9}[unit]
    assert math.isclose(told, value, rel_tol=0.0051, abs_tol=1e-9)
    assert len(number) <= 8


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0 B"), (999, "999 B"), (999.5, "1 kB"), (412_000_000, "412 MB"), (3.4e9, "3.4 GB")],
)
def test_bytes_are_in_decimal_units(value: float, shown: str) -> None:
    assert figures.size(value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-3, "0 s"),
        (0.4, "0 s"),
        (42, "42 s"),
        (59.6, "1 m 00 s"),
        (72, "1 m 12 s"),
        (7500, "2 h 05 m"),
        (86_399, "23 h 59 m"),
        (273_600, "3 d 4 h"),
    ],
)
def test_a_duration_has_its_two_largest_units(seconds: float, shown: str) -> None:
    assert figures.duration(seconds) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(-5, "just now"), (59, "just now"), (60, "1 min ago"), (7300, "2 h ago"), (200_000, "2 d ago")]
)  # fmt: skip
def test_an_age_is_rough(seconds: float, shown: str) -> None:
    assert figures.age(seconds) == shown


@pytest.mark.parametrize(
    ("step", "horizon", "shown"),
    [(1240, 2000, "1,240 / 2,000"), (2000, 2000, "2,000"), (12, None, "12"), (0, 0, "0"), (0, 50, "0 / 50")],
)
def test_steps_stand_beside_the_step_they_go_to(step: int, horizon: int | None, shown: str) -> None:
    assert figures.steps(step, horizon) == shown


@pytest.mark.parametrize(
    ("share", "shown"),
    [(-1, "0 %"), (0, "0 %"), (0.62, "62 %"), (0.9999, "99 %"), (1, "100 %"), (1.5, "100 %")],
)
def test_a_hundred_percent_is_only_what_is_whole(share: float, shown: str) -> None:
    assert figures.percent(share) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (0.03, "0.03"),
        (0.01138, "0.0114"),
        (8.1e-4, "8.1e-4"),
        (-8.1e-4, "-8.1e-4"),
        (7.5e-12, "7.5e-12"),
        (512.3, "512"),
        (1234, "1,234"),
        (160_000, "1.6e5"),
        (1e300, "1.0e300"),
    ],
)
def test_small_and_large_numbers_are_short(value: float, shown: str) -> None:
    assert figures.scientific(value) == shown


@given(st.floats(allow_nan=False), st.integers(0, 100))
def test_a_bar_is_as_long_as_asked_and_full_only_when_nothing_is_missing(share: float, width: int) -> None:
    full, rest = figures.bar(share, width)
    assert len(full) + len(rest) == width
    assert set(full) <= {"━", "╸"} and set(rest) <= {"─"}
    if width:
        assert (full == "━" * width) == (share >= 1)
        assert bool(full) or share < 1 / width / 2 + 1e-9


def test_a_bar_shows_halves() -> None:
    assert figures.bar(0.5, 5) == ("━━╸", "──")
