"""The lean step says what the ordinary forward pass says, for both transformers, and is there only where it can be."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models import ModelConfig, build
from models.interface import LanguageModel
from models.layers import KVCache
from models.lean import lean_step

BLOCK, VOCAB = 24, 13


def stirred(arch: str, dtype: torch.dtype = torch.float64) -> LanguageModel:
    model = build(ModelConfig(arch, VOCAB, BLOCK, n_layer=3, n_head=4, n_embd=32)).to(dtype)
    generator = torch.Generator().manual_seed(11)
    with torch.no_grad():
        for p in model.parameters():
            noise = torch.randn(p.shape, generator=generator, dtype=torch.float64)
            p.copy_(1 + 0.3 * noise if p.ndim == 1 else 0.4 * noise)
    return model.eval().requires_grad_(False)


def kv_cache(model: LanguageModel) -> KVCache:
    cache = model.new_cache()
    assert isinstance(cache, KVCache)
    return cache


@pytest.mark.parametrize("prompt", [0, 1, 2, 7])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-4)])
@pytest.mark.parametrize("arch", ["classic", "modern"])
def test_each_step_is_the_forward_pass_of_the_whole_window(
    arch: str, dtype: torch.dtype, tolerance: float, prompt: int
) -> None:
    model = stirred(arch, dtype)
    ids = torch.randint(VOCAB, (1, BLOCK), generator=torch.Generator().manual_seed(2))
    whole = model(ids)[0]
    step, cache = lean_step(model), kv_cache(model)
    assert step is not None
    if prompt:
        model(ids[:, :prompt], cache)
    for t in range(prompt, BLOCK):
        logits = step(int(ids[0, t]), cache)
        assert logits.dtype == whole.numpy().dtype
        np.testing.assert_allclose(logits, whole[t].numpy(), rtol=0, atol=tolerance)
    assert cache.length == BLOCK and torch.equal(cache.ids, ids)


@pytest.mark.parametrize("arch", ["classic", "modern"])
def test_what_the_lean_step_remembers_serves_the_forward_pass(arch: str) -> None:
    model = stirred(arch)
    ids = torch.randint(VOCAB, (1, 12), generator=torch.Generator().manual_seed(4))
    step, cache = lean_step(model), kv_cache(model)
    assert step is not None
    for id in ids[0, :9].tolist():
        step(id, cache)
    torch.testing.assert_close(model(ids[:, 9:], cache)[0], model(ids)[0, 9:], rtol=0, atol=1e-12)


def test_weights_that_may_change_are_copied_anew_and_others_once() -> None:
    model = stirred("modern")
    assert lean_step(model) is lean_step(model)
    model.requires_grad_(True)
    model.__dict__.pop("_lean_step")
    first = lean_step(model)
    with torch.no_grad():
        next(model.parameters()).add_(1.0)
    second = lean_step(model)
    assert first is not None and second is not None and first is not second
    assert not np.allclose(first(3, kv_cache(model)), second(3, kv_cache(model)))


def test_there_is_none_for_half_precision_or_counting_models() -> None:
    model = stirred("modern", torch.float32)
    model.compute_dtype = torch.bfloat16
    assert lean_step(model) is None
    assert lean_step(build(ModelConfig("ngram", VOCAB, BLOCK, order=2))) is None
