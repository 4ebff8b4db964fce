"""What may stand in a recipe, how it is refused in words, and its way through JSON."""

from __future__ import annotations

import json
import math
from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from engine.errors import UsageError
from engine.recipe import KNOBS, Recipe, check, parse_value
from engine.schedule import Course, Plan, RateChange
from models import ModelConfig

NUMBERS = {name: knob for name, knob in KNOBS.items() if not knob.metadata["choices"]}
CHOICES = {name: knob for name, knob in KNOBS.items() if knob.metadata["choices"]}
WHOLE = [name for name in NUMBERS if NUMBERS[name].type == "int"]

NO_NUMBERS: list[Any] = [
    True, False, math.nan, math.inf, -math.inf, "1", "", "many", [1], {}, b"1", 1j, 10**400, -(10**400), 10**5000,
]  # fmt: skip


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize(
    "value", NO_NUMBERS, ids=lambda v: type(v).__name__ if isinstance(v, int) else repr(v)
)
def test_every_number_refuses_what_is_none(name: str, value: Any) -> None:
    with pytest.raises(
        UsageError, match=rf"^{name} must be a (whole )?number from .* to .*, not .{{1,60}}\.$"
    ):
        Recipe(**{name: value})


@pytest.mark.parametrize("name", NUMBERS)
def test_every_number_is_bounded_on_both_sides_ends_included(name: str) -> None:
    low, high = NUMBERS[name].metadata["low"], NUMBERS[name].metadata["high"]
    check(name, low)
    check(name, high)
    step = 1 if name in WHOLE else 1e-9
    for value in (low - step, high + max(step, high * 1e-9 if name not in WHOLE else 0)):
        with pytest.raises(UsageError, match=f"^{name} must be"):
            check(name, value)


@pytest.mark.parametrize("name", WHOLE)
def test_a_count_is_no_fraction(name: str) -> None:
    with pytest.raises(UsageError, match="a whole number"):
        check(name, float(NUMBERS[name].metadata["low"]))


@pytest.mark.parametrize("name", [name for name in KNOBS if name != "time"])
def test_only_the_time_may_be_left_open(name: str) -> None:
    check("time", None)
    with pytest.raises(UsageError):
        check(name, None)


@pytest.mark.parametrize("name", CHOICES)
@pytest.mark.parametrize("value", ["", "MUON", 1, True, None, ["muon"], 10**5000], ids=lambda v: str(type(v)))
def test_a_choice_is_one_of_its_choices(name: str, value: Any) -> None:
    for choice in CHOICES[name].metadata["choices"]:
        check(name, choice)
    with pytest.raises(UsageError, match=f"^{name} must be one of {CHOICES[name].metadata['choices'][0]}, "):
        check(name, value)


def test_messages_read_like_sentences() -> None:
    for value, message in {
        10**7: "batch_size must be a whole number from 1 to 65,536 windows, not 10,000,000.",
        "x": "batch_size must be a whole number from 1 to 65,536 windows, not 'x'.",
        10**400: "batch_size must be a whole number from 1 to 65,536 windows, not so large a number.",
    }.items():
        with pytest.raises(UsageError) as caught:
            check("batch_size", value)
        assert str(caught.value) == message
    with pytest.raises(UsageError, match=r"^lr must be a number from 1e-08 to 10, not nan\.$"):
        check("lr", math.nan)


@pytest.mark.parametrize("name", KNOBS)
def test_every_default_is_allowed_and_every_setting_explains_itself(name: str) -> None:
    knob = KNOBS[name]
    check(name, knob.default)
    assert knob.metadata["help"] and not knob.metadata["help"].endswith(".")


RECIPES = [
    Recipe(),
    Recipe(
        arch="classic",
        n_layer=2,
        n_head=3,
        n_embd=33,
        lr=1e-3,
        steps=7,
        time=61.5,
        decay="cosine",
        seed=2**63 - 1,
    ),
    Recipe(arch="ngram", order=3, tokenizer="bytes"),
    Recipe(plans=(Plan(0, 0, 100), Plan(40, 0, 90, timed=True), Plan(90, 90, 200))),
    Recipe(rate_changes=(RateChange("a", 0, 0.5), RateChange("b", 7, 2.0))),
]


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_survives_json_exactly(recipe: Recipe) -> None:
    again = Recipe.from_json(json.loads(json.dumps(recipe.to_json())))
    assert again == recipe
    assert all(isinstance(plan, Plan) for plan in again.plans)
    assert all(isinstance(change, RateChange) for change in again.rate_changes)


def test_a_field_that_is_missing_in_json_has_its_default() -> None:
    assert Recipe.from_json({"steps": 5}) == Recipe(steps=5)


def test_unknown_fields_in_json_are_named() -> None:
    with pytest.raises(UsageError, match="unknown fields: colour, size"):
        Recipe.from_json({"size": "4m", "colour": "red"})


@pytest.mark.parametrize("plans", [
    7, None, "no", [1], [{}], [{"step": 0}], [{"step": 0, "start": 0, "horizon": 9, "x": 1}], {"step": 0},
    [{"step": "0", "start": 0, "horizon": 9}], [{"step": 0, "start": None, "horizon": 9}],
    [{"step": 0, "start": 0, "horizon": math.nan}], [{"step": 0, "start": 0, "horizon": True}],
    [{"step": -1, "start": 0, "horizon": 9}], [{"step": 0, "start": 0, "horizon": 10**400}],
    [{"step": 0, "start": 0, "horizon": 9, "timed": "yes"}],
    [{"step": 5, "start": 0, "horizon": 9}, {"step": 0, "start": 0, "horizon": 9}],
], ids=str)  # fmt: skip
def test_damaged_plans_are_refused(plans: Any) -> None:
    with pytest.raises(UsageError, match="plans are damaged"):
        Recipe.from_json({"plans": plans})


@pytest.mark.parametrize("changes", [
    7, None, "no", [1], [{}], [{"id": "a", "step": 0}], [{"id": "a", "step": 0, "factor": 1.0, "x": 1}],
    [{"id": "", "step": 0, "factor": 1.0}], [{"id": "a" * 65, "step": 0, "factor": 1.0}],
    [{"id": 1, "step": 0, "factor": 1.0}], [{"id": "a", "step": -1, "factor": 1.0}],
    [{"id": "a", "step": 10**400, "factor": 1.0}], [{"id": "a", "step": "0", "factor": 1.0}],
    [{"id": "a", "step": 0, "factor": 0}], [{"id": "a", "step": 0, "factor": -1.0}],
    [{"id": "a", "step": 0, "factor": math.nan}], [{"id": "a", "step": 0, "factor": 10**400}],
    [{"id": "a", "step": 0, "factor": True}], [{"id": "a", "step": 0, "factor": None}],
], ids=lambda value: str(value)[:60])  # fmt: skip
def test_damaged_changes_of_the_rate_are_refused(changes: Any) -> None:
    with pytest.raises(UsageError, match="changes of the learning rate are damaged"):
        Recipe.from_json({"rate_changes": changes})


def test_values_out_of_range_in_json_are_refused() -> None:
    with pytest.raises(UsageError, match=r"^dropout must be"):
        Recipe.from_json({"dropout": 0.95})


def test_heads_must_share_the_width() -> None:
    with pytest.raises(UsageError, match=r"n_embd \(128\) must be a multiple of n_head \(3\)"):
        Recipe(n_head=3)
    with pytest.raises(UsageError, match="even"):
        Recipe(n_embd=12, n_head=4)
    assert Recipe(arch="classic", n_embd=12, n_head=4).n_embd == 12
    assert Recipe(arch="ngram", n_head=3).n_head == 3


def test_a_recipe_cannot_be_changed_only_copied() -> None:
    recipe = Recipe()
    with pytest.raises(FrozenInstanceError):
        recipe.steps = 5  # type: ignore[misc]
    assert recipe.with_values(steps=5).steps == 5 and recipe.steps == 1000
    with pytest.raises(UsageError):
        recipe.with_values(steps=0)


def test_a_recipe_knows_its_model_its_course_and_its_tokens() -> None:
    recipe = Recipe(n_layer=3, n_head=2, n_embd=32, block_size=16, batch_size=5, dropout=0.1, order=4,
                    warmup_steps=7, decay_fraction=0.3, decay="cosine")  # fmt: skip
    assert recipe.model_config(65) == ModelConfig("modern", 65, 16, 3, 2, 32, 0.1)
    assert recipe.with_values(arch="ngram").model_config(65) == ModelConfig("ngram", 65, 16, order=4)
    assert recipe.course == Course(7, 0.3, "cosine")
    assert recipe.tokens_per_step == 80


@pytest.mark.parametrize(("name", "text", "value"), [
    ("steps", "2000", 2000), ("lr", "3e-4", 3e-4), ("lr", "1", 1.0), ("dropout", ".1", 0.1), ("time", "90", 90.0),
    ("arch", "classic", "classic"), ("seed", "9223372036854775807", 2**63 - 1),
])  # fmt: skip
def test_text_becomes_the_value_it_means(name: str, text: str, value: Any) -> None:
    parsed = parse_value(name, text)
    assert parsed == value and type(parsed) is type(value)


@pytest.mark.parametrize(("name", "text"), [
    ("steps", "1e3"), ("steps", "2.0"), ("steps", "0"), ("steps", ""), ("steps", "9" * 5000), ("lr", "nan"),
    ("lr", "inf"), ("lr", "fast"), ("dropout", "1"), ("arch", "gpt"), ("time", "3m"), ("time", "none"),
])  # fmt: skip
def test_text_that_means_no_value_is_refused_with_the_range(name: str, text: str) -> None:
    with pytest.raises(UsageError, match=f"^{name} must be"):
        parse_value(name, text)


@pytest.mark.parametrize(("wrong", "right"), [("step", "steps"), ("n_heads", "n_head"), ("weigth_decay", "weight_decay"),
                                              ("batchsize", "batch_size")])  # fmt: skip
def test_a_misspelt_setting_is_answered_with_the_right_one(wrong: str, right: str) -> None:
    with pytest.raises(UsageError, match=rf"called '{wrong}'\. Did you mean {right}\?"):
        parse_value(wrong, "1")


@pytest.mark.parametrize("name", ["colour", "", "plans", "rate_changes", "__class__"])
def test_a_setting_like_no_other_is_answered_with_the_list(name: str) -> None:
    with pytest.raises(UsageError, match=r"There are: arch, .*time\."):
        parse_value(name, "1")
    with pytest.raises(UsageError, match="There is no training setting"):
        check(name, 1)
