"""From a time to a recipe: larger budgets buy larger models, what a person sets stays, and nothing is allocated to find out."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from engine import sizing
from engine.device import Machine
from engine.errors import ResourceError, UsageError
from engine.recipe import Recipe
from engine.sizing import available_memory, check_memory, count_weights, memory_estimate, settle
from models import SIZES, ModelConfig, build
from models.config import heads

HERE = Machine("cpu", "float32", 4)
CORPUS = 1_000_000


class Speed:
    """Stands for measuring: remembers that it was asked."""

    def __init__(self, operations_per_second: float) -> None:
        self.operations_per_second = operations_per_second
        self.asked = 0

    def __call__(
        self, machine: Machine, arch: str, vocab_size: int, values: Mapping[str, Any], seconds: float
    ) -> tuple[Machine, float]:
        self.asked += 1
        return Machine(machine.device, "bfloat16", 2), self.operations_per_second


@pytest.fixture(autouse=True)
def speed(monkeypatch: pytest.MonkeyPatch) -> Speed:
    stand_in = Speed(2e10)
    monkeypatch.setattr(sizing, "measure", stand_in)
    monkeypatch.setattr(
        sizing,
        "probe",
        lambda dtype, threads: Machine("cpu", "float32" if dtype == "auto" else dtype, threads or 4),
    )
    return stand_in


def settled(seconds: float | None, size: str = "auto", tokens: int = CORPUS, **values: Any) -> Recipe:
    return settle(values, size, tokens, 65, seconds)[0]


def weights_of(recipe: Recipe) -> int:
    return recipe.n_layer * recipe.n_embd**2


@pytest.mark.parametrize("arch", ["modern", "classic"])
def test_more_time_never_buys_a_smaller_model(arch: str) -> None:
    recipes = [settled(2.0**power, arch=arch) for power in range(24)]
    sizes = [weights_of(recipe) for recipe in recipes]
    assert sizes == sorted(sizes)
    assert sizes[0] == SIZES["0.1m"].n_layer * SIZES["0.1m"].n_embd ** 2
    assert sizes[-1] == SIZES["30m"].n_layer * SIZES["30m"].n_embd ** 2
    assert len(set(sizes)) == len(SIZES)


def test_a_faster_machine_never_gets_a_smaller_model(speed: Speed) -> None:
    sizes = []
    for power in range(6, 18):
        speed.operations_per_second = 10.0**power
        sizes.append(weights_of(settled(60)))
    assert sizes == sorted(sizes) and len(set(sizes)) > 3


@pytest.mark.parametrize("seconds", [20.0, 180.0, 3600.0])
def test_the_steps_are_those_that_the_time_buys(seconds: float) -> None:
    recipe = settled(seconds)
    weights = build(recipe.model_config(65)).num_params()
    operations = 6 * weights * recipe.batch_size * recipe.block_size * recipe.steps
    assert operations == pytest.approx(seconds * 2e10, rel=0.05)


def test_the_steps_stay_in_range_on_the_fastest_and_the_slowest_machine(speed: Speed) -> None:
    speed.operations_per_second = 1e18
    assert settled(1e8, n_layer=1, n_head=1, n_embd=2, block_size=2, batch_size=1).steps == 10**9
    speed.operations_per_second = 1.0
    assert settled(1.0).steps == 1


EXPLICIT: dict[str, Any] = {
    "n_layer": 3, "n_head": 2, "n_embd": 40, "block_size": 48, "batch_size": 7, "steps": 11, "optimizer": "adamw",
    "lr": 0.0123, "beta2": 0.5, "warmup_steps": 3, "decay": "linear", "dropout": 0.25, "threads": 3, "dtype": "float64",
}  # fmt: skip


@pytest.mark.parametrize("arch", ["modern", "classic"])
@pytest.mark.parametrize("size", ["auto", "4m"])
@pytest.mark.parametrize("seconds", [None, 30.0])
def test_what_a_person_sets_stays_as_set(arch: str, size: str, seconds: float | None) -> None:
    recipe, machine = settle(EXPLICIT | {"arch": arch}, size, CORPUS, 65, seconds)
    for name, value in EXPLICIT.items():
        assert getattr(recipe, name) == value, name
    assert machine.threads == 3


@pytest.mark.parametrize("seconds", [None, 30.0])
@pytest.mark.parametrize("size", SIZES)
def test_a_size_by_name_has_that_shape_whatever_the_time(size: str, seconds: float | None) -> None:
    recipe, shape = settled(seconds, size), SIZES[size]
    assert (recipe.n_layer, recipe.n_head, recipe.n_embd) == (
        shape.n_layer,
        heads(size, "modern"),
        shape.n_embd,
    )
    assert recipe.block_size == shape.block_size


def test_nothing_is_measured_where_the_steps_are_given_or_counting_is_learning(speed: Speed) -> None:
    settled(None, steps=5)
    recipe = settled(60, arch="ngram")
    assert speed.asked == 0
    assert recipe.steps == 1 and recipe.dropout == 0.0
    settled(60)
    assert speed.asked == 1


def test_the_machine_setting_that_was_measured_is_the_one_returned() -> None:
    assert settle({}, "auto", CORPUS, 65, 30.0)[1] == Machine("cpu", "bfloat16", 2)
    assert settle({"steps": 5}, "auto", CORPUS, 65, None)[1] == Machine("cpu", "float32", 4)


@pytest.mark.parametrize("tokens", [3, 4, 30, 64])
def test_a_tiny_corpus_gets_a_window_that_fits_it(tokens: int) -> None:
    recipe = settled(30.0, "0.8m", tokens)
    assert 2 <= recipe.block_size < tokens
    assert settled(30.0, "0.8m", 65).block_size == 64


def test_a_text_read_again_and_again_is_learned_with_dropout() -> None:
    dropouts = [
        settled(None, "0.8m", tokens, steps=1000, batch_size=10).dropout for tokens in (10**7, 50_000, 10_000)
    ]
    assert dropouts == [0.0, 0.1, 0.2]  # 640,000 tokens are under 1, 12.8 and 64 epochs


def test_each_architecture_has_its_customary_optimizer() -> None:
    modern, classic = settled(60), settled(60, arch="classic")
    assert (modern.optimizer, modern.decay) == ("muon", "linear")
    assert (classic.optimizer, classic.decay, classic.lr, classic.beta2) == ("adamw", "cosine", 1e-3, 0.99)


@pytest.mark.parametrize(("size", "values", "message"), [
    ("2m", {}, "There is no size '2m'; choose auto or one of 0.1m, "),
    ("auto", {"arch": "gpt"}, "arch must be one of"),
    ("auto", {"steps": True}, "steps must be"),
    ("auto", {"stepps": 5}, "Did you mean steps"),
    ("0.8m", {"n_head": 3}, "must be a multiple of n_head"),
    ("0.8m", {"n_embd": 102}, "must be even"),
])  # fmt: skip
@pytest.mark.parametrize("seconds", [None, 30.0])
def test_what_does_not_fit_together_is_a_usage_error(
    size: str, values: dict[str, Any], message: str, seconds: float | None
) -> None:
    with pytest.raises(UsageError) as caught:
        settle(values, size, CORPUS, 65, seconds)
    assert message in str(caught.value)


@pytest.mark.parametrize("arch", ["modern", "classic"])
def test_weights_are_counted_without_being_made(arch: str) -> None:
    config = ModelConfig(arch, 65, 32, n_layer=2, n_head=2, n_embd=16)
    before = torch.get_rng_state()
    counted = count_weights(config)
    assert torch.equal(torch.get_rng_state(), before)
    assert counted == build(config).num_params()


def test_a_model_far_too_large_is_refused_at_once_and_without_being_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipe = Recipe(n_layer=48, n_embd=4096, n_head=32)
    real = []
    original = torch.nn.Parameter.__new__

    def watch(cls: type, data: Any = None, requires_grad: bool = True) -> Any:
        real.append(data is not None and data.device.type != "meta")
        return original(cls, data, requires_grad)

    count_weights(recipe.model_config(2))  # torch itself needs a moment the first time
    monkeypatch.setattr(torch.nn.Parameter, "__new__", watch)
    began = time.perf_counter()
    with pytest.raises(ResourceError, match=r"about \d+\.\d GB of memory and 64\.0 GB are free; .*--force"):
        check_memory(recipe, 65, 64 * 10**9)
    assert time.perf_counter() - began < 1
    assert real and not any(real)
    assert memory_estimate(recipe, 65) > 16 * 12 * 48 * 4096**2


def test_memory_grows_with_all_that_takes_memory() -> None:
    plain = Recipe(batch_size=64)
    least = memory_estimate(plain, 65)
    for more in (
        plain.with_values(n_layer=8), plain.with_values(n_embd=256), plain.with_values(block_size=128),
        plain.with_values(batch_size=128), plain.with_values(dropout=0.1), plain.with_values(dtype="float64"),
    ):  # fmt: skip
        assert memory_estimate(more, 65) > least
    assert memory_estimate(plain, 50_000) > least
    assert memory_estimate(plain.with_values(dtype="bfloat16"), 65) < least
    assert memory_estimate(plain.with_values(micro_batch=16), 65) < least
    assert memory_estimate(plain.with_values(micro_batch=1000), 65) == least  # there are only 64 windows
    assert memory_estimate(Recipe(arch="ngram"), 65) == 0


def test_memory_is_refused_above_four_fifths_of_what_is_free() -> None:
    need = memory_estimate(Recipe(), 65)
    check_memory(Recipe(), 65, int(need / 0.79))
    check_memory(Recipe(), 65, None)
    with pytest.raises(ResourceError):
        check_memory(Recipe(), 65, int(need / 0.81))


def test_free_memory_is_told_in_bytes_or_not_at_all() -> None:
    free = available_memory()
    assert free is None or 10**7 < free < 10**15


class TestMeasuring:
    """`measure` itself, with the training of each setting replaced by a table."""

    measure = staticmethod(sizing.measure)

    def best(
        self,
        monkeypatch: pytest.MonkeyPatch,
        speeds: dict[tuple[str, int], float],
        native: bool,
        **values: Any,
    ) -> tuple[Machine, float, list[tuple[str, int]]]:
        tried: list[tuple[str, int]] = []
        time_given = []

        def training_speed(setting: Machine, arch: str, vocab_size: int, seconds: float) -> float:
            tried.append((setting.dtype, setting.threads))
            time_given.append(seconds)
            return speeds[tried[-1]]

        monkeypatch.setattr(sizing, "_training_speed", training_speed)
        monkeypatch.setattr(sizing, "bfloat16_is_native", lambda device: native)
        machine = Machine("cpu", values.get("dtype", "float32"), values.get("threads", 4))
        best, speed = self.measure(machine, "modern", 65, values)
        assert sum(time_given) == pytest.approx(2.0)
        return best, speed, tried

    def test_the_fastest_setting_wins(self, monkeypatch: pytest.MonkeyPatch) -> None:
        speeds = {("bfloat16", 4): 3.0, ("float32", 4): 1.0, ("bfloat16", 1): 2.0, ("float32", 1): 4.0}
        best, speed, tried = self.best(monkeypatch, speeds, native=True)
        assert (best, speed) == (Machine("cpu", "float32", 1), 4.0)
        assert sorted(tried) == sorted(speeds)

    def test_bfloat16_is_not_even_tried_where_it_is_not_native(self, monkeypatch: pytest.MonkeyPatch) -> None:
        _, _, tried = self.best(monkeypatch, {("float32", 4): 1.0, ("float32", 1): 2.0}, native=False)
        assert tried == [("float32", 4), ("float32", 1)]

    def test_what_was_set_is_not_varied(self, monkeypatch: pytest.MonkeyPatch) -> None:
        best, _, tried = self.best(
            monkeypatch, {("float32", 3): 1.0}, native=True, dtype="float32", threads=3
        )
        assert tried == [("float32", 3)] and best == Machine("cpu", "float32", 3)

    @pytest.mark.parametrize("arch", ["modern", "classic"])
    def test_a_speed_is_measured_by_training_and_leaves_the_dice_alone(self, arch: str) -> None:
        threads = torch.get_num_threads()
        try:
            before = torch.get_rng_state()
            assert sizing._training_speed(Machine("cpu", "float32", 1), arch, 65, 0.0) > 1e6
            assert torch.equal(torch.get_rng_state(), before)
        finally:
            torch.set_num_threads(threads)


GB = 10**9
V2 = {
    "memory.max": f"{8 * GB}\n",
    "memory.current": f"{5 * GB}\n",
    "memory.stat": f"anon 7\ninactive_file {2 * GB}\n",
}
V1 = {
    "memory/memory.limit_in_bytes": f"{8 * GB}\n",
    "memory/memory.usage_in_bytes": f"{5 * GB}\n",
    "memory/memory.stat": f"inactive_file 1\ntotal_inactive_file {2 * GB}\n",
}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 20 * GB),
        (V2, 5 * GB),  # what is read from the disk and not in use gives way
        (V1, 5 * GB),
        ({**V2, "memory.max": "max\n"}, 20 * GB),
        ({**V1, "memory/memory.limit_in_bytes": "9223372036854771712\n"}, 20 * GB),
        ({**V2, "memory.current": f"{9 * GB}", "memory.stat": ""}, 0),
        ({**V2, "memory.stat": "nonsense"}, 3 * GB),
        ({"memory.max": f"{8 * GB}"}, 20 * GB),
    ],
    ids=["no group", "v2", "v1", "v2 without a limit", "v1 without a limit", "full", "odd", "half"],
)
def test_memory_is_that_of_the_process_not_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], expected: int
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(sizing, "CONTROL_GROUP", tmp_path)
    monkeypatch.setattr(sizing, "_free_memory", lambda: 20 * GB)
    assert available_memory() == expected
    monkeypatch.setattr(sizing, "_free_memory", lambda: None)
    assert available_memory() == (None if expected == 20 * GB else expected)
