"""The learning rate at every step of a plan, computed by hand."""

from __future__ import annotations

import math

import pytest

from engine.schedule import Course, Plan, plan_at, rate

LINEAR = Course(warmup_steps=0, decay_fraction=1.0, decay="linear")


def rates(plan: Plan, course: Course) -> list[float]:
    return [rate(step, plan, course) for step in range(plan.start, plan.horizon + 1)]


def test_a_linear_rate_falls_evenly_and_would_be_zero_at_the_horizon() -> None:
    assert rates(Plan(0, 0, 5), LINEAR) == pytest.approx([1.0, 0.8, 0.6, 0.4, 0.2, 0.0])


def test_a_cosine_rate_is_half_in_the_middle() -> None:
    course = Course(0, 1.0, "cosine")
    expected = [0.5 * (1 + math.cos(math.pi * step / 8)) for step in range(9)]
    assert rates(Plan(0, 0, 8), course) == pytest.approx(expected)


def test_the_first_step_moves_a_little_and_the_warm_up_ends_when_it_says() -> None:
    course = Course(warmup_steps=3, decay_fraction=0.01, decay="linear")
    assert rates(Plan(0, 0, 100), course)[:6] == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0, 1.0])


def test_the_warm_up_multiplies_the_decay() -> None:
    course = Course(warmup_steps=1, decay_fraction=1.0, decay="linear")
    assert rates(Plan(0, 0, 10), course)[:3] == pytest.approx([0.5, 0.9, 0.8])


@pytest.mark.parametrize("total", [1, 5, 9, 10, 19, 20, 50, 1000])
def test_the_warm_up_takes_at_most_a_tenth_of_the_plan(total: int) -> None:
    course = Course(warmup_steps=10**6, decay_fraction=0.01, decay="linear")
    rising = [value for value in rates(Plan(0, 0, total), course)[: total // 2 + 1] if value < 1]
    assert len(rising) == total // 10
    assert rising == sorted(rising)


def test_the_decay_takes_its_share_of_the_plan_from_the_end() -> None:
    course = Course(0, 0.4, "linear")
    assert rates(Plan(0, 0, 10), course) == pytest.approx([1] * 7 + [0.75, 0.5, 0.25, 0])


@pytest.mark.parametrize("decay", ["linear", "cosine"])
@pytest.mark.parametrize("plan", [Plan(0, 0, 1), Plan(0, 0, 7), Plan(30, 30, 130), Plan(50, 20, 60)])
def test_every_step_of_a_plan_moves_and_none_beyond_it(decay: str, plan: Plan) -> None:
    for warmup_steps, fraction in ((0, 1.0), (5, 0.5), (10**6, 0.01)):
        values = rates(plan, Course(warmup_steps, fraction, decay))
        assert all(0 < value <= 1 for value in values[:-1])
        assert values[-1] == 0
        assert rate(plan.horizon + 5, plan, Course(warmup_steps, fraction, decay)) == 0


def test_a_plan_with_a_later_start_runs_the_same_course_from_there() -> None:
    course = Course(4, 0.5, "cosine")
    assert rates(Plan(70, 70, 170), course) == rates(Plan(0, 0, 100), course)


def test_a_moved_horizon_keeps_the_start_so_the_rate_does_not_warm_up_again() -> None:
    course = Course(10, 1.0, "linear")
    assert rate(60, Plan(60, 0, 120), course) == pytest.approx(0.5)
    assert rate(60, Plan(60, 60, 160), course) == pytest.approx(1 / 11)


def test_a_plan_without_steps_does_not_divide_by_zero() -> None:
    assert rate(5, Plan(5, 5, 5), Course(20, 1.0, "linear")) in (0.0, 1.0)


def test_the_plan_in_force_is_the_last_one_made_at_or_before_the_step() -> None:
    a, b, c, d = Plan(0, 0, 100), Plan(40, 0, 80), Plan(60, 0, 90), Plan(60, 0, 95)
    plans = [a, b, c, d]
    assert [plan_at(plans, step) for step in (0, 39, 40, 59, 60, 10**6)] == [a, a, b, b, d, d]
    assert plan_at([b, c], 3) is b
