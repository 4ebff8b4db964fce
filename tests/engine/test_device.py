"""What the machine is asked, and that what was asked for explicitly is obeyed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from threadpoolctl import ThreadpoolController

from engine import device
from engine.device import (
    MAX_THREADS,
    Machine,
    available_cores,
    bfloat16_is_native,
    describe,
    playing,
    probe,
    set_threads,
    use,
    use_as_trained,
    use_for_playing,
)
from models import ModelConfig, build
from models.interface import LanguageModel


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    set_threads(before)


@pytest.fixture
def cores(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, str], None]:
    """Makes the machine one of so many cores with such a quota file."""

    def be(count: int, quota: str) -> None:
        def read_text(path: Path) -> str:
            assert str(path) == "/sys/fs/cgroup/cpu.max"
            if not quota:
                raise FileNotFoundError(path)
            return quota

        monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(count)), raising=False)
        monkeypatch.setattr(Path, "read_text", read_text)

    return be


@pytest.fixture
def numpy_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[int]]]:
    """Lets numpy multiply on two threads, whatever the tests were started with; says on how many it does."""
    libraries = ThreadpoolController().select(user_api="blas").lib_controllers
    if not libraries:
        pytest.skip("numpy multiplies with a library that has no threads to set")
    before = [library.num_threads for library in libraries]
    for library in libraries:
        library.set_num_threads(2)
    device._numpy_libraries.cache_clear()
    yield lambda: [library.get_num_threads() for library in libraries]
    device._numpy_libraries.cache_clear()
    for library, count in zip(libraries, before, strict=True):
        library.set_num_threads(count)


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Says that others compute on so many cores."""
    return lambda cores: monkeypatch.setattr(device._neighbours, "cores", lambda: cores)


@pytest.fixture
def only_a_processor(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, bool]], None]:
    """Makes the machine one without accelerator whose processor has such instructions."""

    def be(capabilities: dict[str, bool]) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)

    return be


def tiny() -> LanguageModel:
    return build(ModelConfig("modern", 5, 4, n_layer=1, n_head=1, n_embd=4))


@pytest.mark.parametrize(("count", "quota", "expected"), [
    (6, "", 6), (6, "max 100000\n", 6), (6, "200000 100000\n", 2), (6, "150000 100000", 2), (6, "10000 100000", 1),
    (2, "800000 100000", 2), (6, "nonsense", 6), (6, "1 2 3", 6),
])  # fmt: skip
def test_cores_are_those_of_the_process_not_of_the_machine(
    cores: Callable[[int, str], None], count: int, quota: str, expected: int
) -> None:
    cores(count, quota)
    assert available_cores() == expected


def test_threads_are_the_cores_up_to_a_limit_unless_asked_for(cores: Callable[[int, str], None]) -> None:
    cores(3, "")
    assert probe().threads == 3
    assert probe(threads=5).threads == 5
    cores(100, "")
    assert probe().threads == MAX_THREADS
    assert probe(threads=100).threads == 100


@pytest.mark.parametrize(("capabilities", "dtype"), [
    ({}, "float32"), ({"avx2": True, "avx512_f": True}, "float32"), ({"avx512_bf16": True}, "bfloat16"),
    ({"amx_bf16": True}, "bfloat16"), ({"sve_bf16": True}, "bfloat16"), ({"avx512_bf16": False}, "float32"),
])  # fmt: skip
def test_bfloat16_is_chosen_only_where_the_processor_multiplies_it(
    only_a_processor: Callable[[dict[str, bool]], None], capabilities: dict[str, bool], dtype: str
) -> None:
    only_a_processor(capabilities)
    assert probe().device == "cpu"
    assert probe().dtype == dtype
    assert probe("float32").dtype == "float32"
    assert probe("bfloat16").dtype == "bfloat16"


@pytest.mark.parametrize(("capability", "native"), [((7, 5), False), ((8, 0), True), ((9, 0), True)])
def test_an_accelerator_comes_before_the_processor(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], native: bool
) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert (probe().device, probe().dtype) == ("mps", "float32")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    assert bfloat16_is_native("cuda") == native
    assert (probe().device, probe().dtype) == ("cuda", "bfloat16" if native else "float32")


def test_the_same_question_has_the_same_answer() -> None:
    assert probe() == probe()


def test_only_bfloat16_is_computed_apart_from_the_weights() -> None:
    assert Machine("cpu", "bfloat16", 1).compute_dtype is torch.bfloat16
    assert Machine("cpu", "float32", 1).compute_dtype is None
    assert Machine("cpu", "float64", 1).compute_dtype is None


def test_a_setting_is_put_into_force() -> None:
    for count in (2, 1):
        assert use(Machine("cpu", "float32", count)) == torch.device("cpu")
        assert torch.get_num_threads() == count


def test_models_with_a_lean_step_play_on_one_thread_and_other_large_ones_on_all(
    cores: Callable[[int, str], None], load: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    cores(2, "")
    load(0.0)
    counting = build(ModelConfig("ngram", 5, 8, order=2))
    for model, small, expected in ((tiny(), 10, 1), (counting, 10, 1), (counting, 0, 2)):
        monkeypatch.setattr(device, "SMALL_PARAMS", small)
        torch.set_num_threads(2)
        use_for_playing(model)
        assert torch.get_num_threads() == expected


def test_threads_are_numpys_too_and_never_more_than_numpy_came_with(
    numpy_threads: Callable[[], list[int]],
) -> None:
    for count, expected in ((1, 1), (2, 2), (1, 1), (64, 2)):
        set_threads(count)
        assert torch.get_num_threads() == count
        assert set(numpy_threads()) == {expected}


@pytest.mark.parametrize(
    ("small", "average", "expected"), [(10_000, 0.2, 1), (0, 0.2, 2), (0, 1.4, 1), (0, 12.0, 1)]
)
def test_numpy_plays_a_large_model_on_the_cores_that_nobody_else_computes_on(
    cores: Callable[[int, str], None], numpy_threads: Callable[[], list[int]], load: Callable[[float], None],
    monkeypatch: pytest.MonkeyPatch, small: int, average: float, expected: int,
) -> None:  # fmt: skip
    cores(2, "")
    load(average)
    monkeypatch.setattr(device, "SMALL_PARAMS", small)
    use_for_playing(tiny())
    assert set(numpy_threads()) == {expected}
    assert torch.get_num_threads() == 1


def test_a_sample_in_mid_training_is_written_on_one_thread_and_then_training_goes_on_as_before(
    numpy_threads: Callable[[], list[int]], load: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    load(0.0)
    monkeypatch.setattr(device, "SMALL_PARAMS", 0)
    torch.set_num_threads(2)
    with playing(tiny()):
        assert (torch.get_num_threads(), set(numpy_threads())) == (1, {1})
    assert (torch.get_num_threads(), set(numpy_threads())) == (2, {2})


@pytest.mark.parametrize(("dtype", "native", "expected"), [
    ("bfloat16", True, torch.bfloat16), ("bfloat16", False, None), ("float32", True, None), (None, True, None),
])  # fmt: skip
def test_measuring_again_computes_as_training_did(
    monkeypatch: pytest.MonkeyPatch, dtype: str | None, native: bool, expected: torch.dtype | None
) -> None:
    monkeypatch.setattr(device, "bfloat16_is_native", lambda name: native)
    monkeypatch.setattr(device, "available_cores", lambda: 2)
    model = tiny()
    use_as_trained(model, {} if dtype is None else {"dtype": dtype})
    assert model.compute_dtype == expected
    assert torch.get_num_threads() == 2


def test_the_machine_is_described_in_words() -> None:
    words = describe()
    assert {"torch", "cores", "device", "training dtype", "training threads"} <= set(words)
    assert all(isinstance(value, str) and value for value in words.values())
    assert words["training dtype"] == probe().dtype and words["cores"] == str(available_cores())
