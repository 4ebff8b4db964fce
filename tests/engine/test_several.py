"""Several continuations at once are those that each seed writes alone, with and without the compiled kernel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import models
from engine.errors import UsageError
from engine.generate import Stream, generate
from engine.sampler import SamplerSettings
from engine.several import generate_several, peek_together
from engine.tokenizer import Tokenizer, train_tokenizer
from models import ModelConfig, kernel
from models.compiled import CompiledDecoder, round_weights
from models.interface import LanguageModel

LETTERS = "\n abcdefghijklmnopqrstuvwxyz,."
BLOCK = 16


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kernels") / "made"
    if kernel.file_name():
        assert kernel.make(folder) == ""
    return folder


@pytest.fixture(params=["compiled", "torch"])
def model(request: pytest.FixtureRequest, kernels: Path) -> Iterator[LanguageModel]:
    """A model that is sure of nothing, written by the kernel or without."""
    if request.param == "compiled":
        if not kernel.file_name():
            pytest.skip("there is no C compiler")
        kernel.use(kernels)
    torch.manual_seed(2)
    model = models.build(ModelConfig("modern", len(LETTERS), BLOCK, n_layer=2, n_head=2, n_embd=32)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.3)
    round_weights(model)
    yield model.requires_grad_(False)
    kernel.use(None)


@pytest.fixture
def tokenizer() -> Tokenizer:
    return train_tokenizer("chars", LETTERS)


SETTINGS = SamplerSettings(temperature=1.1)


@pytest.mark.parametrize("prompt", ["", "a", "the cat", "a prompt that is longer than the window of it"])
@pytest.mark.parametrize("stop", [(), ("e", "th")])
def test_each_text_is_that_which_its_seed_writes_alone(
    prompt: str, stop: tuple[str, ...], model: LanguageModel, tokenizer: Tokenizer
) -> None:
    # Far beyond the window, so that it is filled anew several times; with a stop text they end at different times.
    seeds, texts = (3, 2**64 - 1, 0, 4, 5), [""] * 5
    for index, pieces in generate_several(model, tokenizer, prompt, 60, SETTINGS, seeds, stop):
        texts[index] += "".join(piece.text for piece in pieces)
    for seed, text in zip(seeds, texts, strict=True):
        assert text == "".join(p.text for p in generate(model, tokenizer, prompt, 60, SETTINGS, seed, stop))
    assert len(set(texts)) > 1


def test_they_are_written_side_by_side(model: LanguageModel, tokenizer: Tokenizer) -> None:
    order = [index for index, _ in generate_several(model, tokenizer, "the", 10, SETTINGS, (1, 2, 3))]
    assert order == [0, 1, 2] * 10


def test_the_prompt_is_read_once_and_the_weights_once_for_all(
    kernels: Path, tokenizer: Tokenizer, model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    streams = [Stream(model, range(6), seed=1)]
    if not isinstance(streams[0]._decoder, CompiledDecoder):
        pytest.skip("without the kernel they take turns")
    prefilled: list[int] = []
    together: list[int] = []
    prefill, decode_each = CompiledDecoder.prefill, CompiledDecoder.decode_each

    def counted_prefill(decoder: CompiledDecoder, ids: Sequence[int]) -> Any:
        prefilled.append(len(ids))
        return prefill(decoder, ids)

    def counted_decode(decoders: Sequence[CompiledDecoder], ids: Sequence[int]) -> Any:
        together.append(len(decoders))
        return decode_each(decoders, ids)

    monkeypatch.setattr(CompiledDecoder, "prefill", counted_prefill)
    monkeypatch.setattr(CompiledDecoder, "decode_each", staticmethod(counted_decode))
    streams += [streams[0].fork(seed) for seed in (2, 3, 4)]
    for _ in range(5):
        peek_together(streams)
        for stream in streams:
            stream.step()
    assert prefilled == [6] and together == [4] * 4


def test_a_fork_has_dice_of_its_own_and_leaves_the_text_alone(model: LanguageModel) -> None:
    stream = Stream(model, range(6), seed=1, settings=SETTINGS)
    fork = stream.fork(9)
    for _ in range(30):
        fork.step()
    assert stream.ids == list(range(6)) and fork.ids[:6] == stream.ids
    assert np.array_equal(stream.peek(), Stream(model, range(6)).peek())
    other = Stream(model, range(6), seed=9, settings=SETTINGS)
    for _ in range(30):
        other.step()
    assert fork.ids == other.ids


def test_wrong_questions_are_refused(model: LanguageModel, tokenizer: Tokenizer) -> None:
    for changed in ({"n": -1}, {"seeds": (1, -1)}, {"stop": ("",)}):
        with pytest.raises(UsageError):
            list(generate_several(model, tokenizer, **{"prompt": "a", "n": 3, "seeds": (1, 2), **changed}))  # type: ignore[arg-type]
    assert list(generate_several(model, tokenizer, "a", 0)) == []
