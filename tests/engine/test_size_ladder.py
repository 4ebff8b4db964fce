"""What `engine.size_ladder` promises: the arithmetic that a trainer settles by, without loading torch."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from engine import evaluate, size_ladder
from engine.errors import UsageError
from engine.recipe import Recipe
from engine.size_ladder import (
    LADDER,
    OPERATIONS_PER_WEIGHT,
    fit,
    named_rung,
    parameters,
    rung_for,
    training_bytes,
)
from models import kernel
from models.config import DEFAULT_SIZE, SIZES, ModelConfig, sized

ROOT = Path(__file__).parent.parent.parent


def test_it_loads_neither_torch_nor_numpy() -> None:
    code = "import sys, engine.size_ladder; sys.exit(bool({'torch', 'numpy'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, timeout=60)


@pytest.mark.parametrize("arch", ["modern", "classic"])
@pytest.mark.parametrize("size", SIZES)
def test_parameters_are_those_of_the_built_model(size: str, arch: str) -> None:
    import torch

    import models

    config = sized(size, arch, 71)
    with torch.device("meta"):
        assert parameters(config) == models.build(config).num_params()


def test_a_counting_model_has_no_trained_values() -> None:
    with pytest.raises(ValueError, match="no trained values"):
        parameters(ModelConfig("ngram", 65, 64, order=3))


def test_more_training_never_means_a_smaller_model() -> None:
    assert rung_for(0.0) == LADDER[0] and rung_for(1e30) == LADDER[-1]
    for lower, upper in pairwise(LADDER):
        assert rung_for(upper.operations) == upper
        assert rung_for(upper.operations * 0.999) == lower
        assert float(lower.size[:-1]) <= float(upper.size[:-1])


def test_a_size_asked_for_by_name_keeps_its_own_window() -> None:
    for name, size in SIZES.items():
        rung = named_rung(name)
        assert (rung.size, rung.block_size) == (name, size.block_size)
    with pytest.raises(UsageError, match="no size '7b'"):
        named_rung("7b")


def test_the_steps_use_up_the_operations_and_no_more() -> None:
    recipe = fit({}, rung_for(1e13), 1_000_000, 65, 1e13)
    step = OPERATIONS_PER_WEIGHT * parameters(recipe.model_config(65)) * recipe.tokens_per_step
    assert recipe.steps * step <= 1e13 < (recipe.steps + 1) * step
    assert fit({}, rung_for(0), 1_000_000, 65, 0.0).steps == 1
    assert fit({}, rung_for(1e40), 10**9, 65, 1e40).steps == 10**9


def test_what_is_set_explicitly_stays_as_set() -> None:
    values = {
        "steps": 7,
        "batch_size": 3,
        "block_size": 9,
        "dropout": 0.3,
        "n_embd": 64,
        "n_head": 2,
        "n_layer": 1,
    }
    recipe = fit(values, rung_for(1e13), 1_000_000, 65, 1e13)
    assert {name: getattr(recipe, name) for name in values} == values
    with pytest.raises(UsageError):
        fit({"n_head": 3}, named_rung(DEFAULT_SIZE), 1_000_000, 65, 1e12)


def test_many_passes_over_a_short_text_drop_more() -> None:
    passes = [fit({"steps": n}, named_rung("0.8m"), 1024, 65, None).dropout for n in (10, 11, 19)]
    assert passes == [0.0, 0.1, 0.2]


def test_a_model_much_smaller_than_the_text_drops_nothing() -> None:
    large, small = (
        fit({"steps": 30_000}, named_rung(size), 1_000_000, 65, None) for size in ("0.8m", "0.1m")
    )
    assert large.dropout == 0.2 and small.dropout == 0.0


def test_a_window_is_never_longer_than_the_text() -> None:
    assert fit({}, named_rung("0.8m"), 10, 65, 1e9).block_size == 9


def test_each_architecture_has_its_own_optimizer() -> None:
    assert fit({"arch": "classic"}, named_rung("0.8m"), 10**6, 65, 1e12).optimizer == "adamw"
    assert fit({}, named_rung("0.8m"), 10**6, 65, 1e12).optimizer == "muon"
    assert fit({"arch": "ngram"}, named_rung("0.8m"), 10**6, 65, 1e12).steps == 1


def test_memory_grows_with_everything_that_takes_it() -> None:
    base = Recipe(batch_size=64, block_size=64)
    need = training_bytes(base, 65, 800_000)
    assert need > 16 * 800_000
    assert training_bytes(base, 65, 900_000) > need
    assert training_bytes(base, 6500, 800_000) > need
    assert training_bytes(base.with_values(batch_size=128), 65, 800_000) > need
    assert training_bytes(base.with_values(batch_size=128, micro_batch=64), 65, 800_000) == need
    assert training_bytes(base.with_values(dropout=0.1), 65, 800_000) > need
    assert training_bytes(base.with_values(dtype="bfloat16"), 65, 800_000) < need
    assert training_bytes(Recipe(arch="ngram"), 65, 0) == 0


def test_what_is_computed_at_a_time_is_what_the_estimate_says() -> None:
    source = (kernel.SOURCES / "learning.c").read_text(encoding="utf-8")
    assert f"CHUNK_TOKENS = {size_ladder.KERNEL_TOKENS}," in source
    assert size_ladder.EVALUATED_TOKENS == evaluate.CHUNK_TOKENS
