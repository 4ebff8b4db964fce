"""The validation loss against a slow loop that predicts one token at a time."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from engine.evaluate import bits, perplexity, total_nats, validation_loss
from models import ModelConfig, build
from models.interface import LanguageModel
from models.ngram import NGram

VOCAB, BLOCK = 6, 8


def stirred(arch: str = "classic", **changed: Any) -> LanguageModel:
    torch.manual_seed(1)
    model = build(ModelConfig(arch, VOCAB, BLOCK, n_layer=1, n_head=2, n_embd=8, **changed)).double()
    with torch.no_grad():
        for p in model.parameters():
            p.normal_(std=0.5)
    return model.eval()


def text(length: int, dtype: type[np.integer] = np.int64) -> np.ndarray:
    return np.random.default_rng(4).integers(0, VOCAB, length).astype(dtype)


@torch.inference_mode()
def one_at_a_time(model: LanguageModel, ids: np.ndarray) -> float:
    """Each token from what stands before it in its window of the block size; the windows lie side by side."""
    total = 0.0
    for t in range(1, len(ids)):
        start = (t - 1) // BLOCK * BLOCK
        logits = model(torch.tensor([ids[start:t].tolist()]))[0, -1]
        total -= (logits[ids[t]] - logits.logsumexp(-1)).item()
    return total


@pytest.mark.parametrize("arch", ["classic", "modern"])
@pytest.mark.parametrize(
    "length", [2, 3, BLOCK, BLOCK + 1, BLOCK + 2, 2 * BLOCK, 2 * BLOCK + 1, 5 * BLOCK + 4]
)
def test_the_total_is_that_of_a_slow_loop_whatever_the_length(arch: str, length: int) -> None:
    model, ids = stirred(arch), text(length)
    assert total_nats(model, ids) == pytest.approx(one_at_a_time(model, ids), rel=1e-10)


@pytest.mark.parametrize("length", [0, 1])
def test_a_text_in_which_nothing_is_predicted_costs_nothing(length: int) -> None:
    assert total_nats(stirred(), text(length)) == 0
    assert validation_loss(stirred(), text(length), length) == 0


@pytest.mark.parametrize("chunk_tokens", [1, BLOCK, 3 * BLOCK, 3 * BLOCK + 5, 10**9])
def test_how_many_windows_are_computed_at_a_time_does_not_matter(chunk_tokens: int) -> None:
    model, ids = stirred(), text(10 * BLOCK + 5)
    assert total_nats(model, ids, chunk_tokens) == pytest.approx(total_nats(model, ids), rel=1e-12)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32])
def test_tokens_of_any_width_give_the_same_number(dtype: type[np.integer]) -> None:
    assert total_nats(stirred(), text(50, dtype)) == total_nats(stirred(), text(50))


def test_the_counting_model_is_evaluated_by_the_same_function() -> None:
    model = NGram.count(ModelConfig("ngram", VOCAB, BLOCK, order=3), text(200))
    assert total_nats(model, text(45)) == pytest.approx(one_at_a_time(model, text(45)), rel=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_dropout_sleeps_while_evaluating_and_the_model_is_left_as_it_was(training: bool) -> None:
    model, plain = stirred(dropout=0.5).train(training), stirred()
    before = torch.get_rng_state()
    assert total_nats(model, text(50)) == total_nats(plain, text(50))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(module.training == training for module in model.modules())
    assert all(p.grad is None for p in model.parameters())


def test_nothing_is_remembered_for_a_gradient() -> None:
    model, remembered = stirred(), []
    model.register_forward_hook(lambda module, inputs, logits: remembered.append(logits.requires_grad))
    total_nats(model, text(50))
    assert remembered and not any(remembered)


def test_a_model_learns_on_after_an_evaluation() -> None:
    model = stirred().train()
    total_nats(model, text(50))
    torch.autograd.backward(model(torch.tensor([[1, 2, 3]])).sum())
    assert all(p.grad is not None for p in model.parameters())


def test_the_loss_is_shared_out_over_characters_not_tokens() -> None:
    model, ids = stirred(), text(50)
    assert validation_loss(model, ids, 50) == pytest.approx(total_nats(model, ids) / 49)
    assert validation_loss(model, ids, 120) == pytest.approx(total_nats(model, ids) / 119)


def test_a_new_modern_model_hesitates_between_all_symbols() -> None:
    model = build(ModelConfig("modern", VOCAB, BLOCK, n_layer=1, n_head=2, n_embd=8))
    loss = validation_loss(model, text(500), 500)
    assert loss == pytest.approx(math.log(VOCAB), rel=1e-6)
    assert perplexity(loss) == pytest.approx(VOCAB, rel=1e-5)
    assert bits(loss) == pytest.approx(math.log2(VOCAB), rel=1e-6)


def test_bits_and_perplexity_of_known_losses() -> None:
    assert bits(math.log(2)) == pytest.approx(1)
    assert bits(math.log(256)) == pytest.approx(8)
    assert perplexity(0.0) == 1
    assert perplexity(math.log(27)) == pytest.approx(27)
    assert math.isfinite(perplexity(1e9))
