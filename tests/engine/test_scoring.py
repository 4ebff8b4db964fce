import math

import numpy as np
import pytest
import torch

import models
from engine.errors import CheckpointError
from engine.generate import Stream, start_token, window_start
from engine.scoring import score, token_nats
from engine.tokenizer import train_tokenizer
from models import ModelConfig
from models.ngram import NGram

LETTERS = "\n abcdefghijklmnopqrstuvwxyz"
VOCAB = len(LETTERS)


def tiny_model(arch, block, vocab=VOCAB, seed=0, dropout=0.0):
    """Random weights in float64, scaled up so that characters differ in their surprise."""
    config = ModelConfig(arch, vocab, block, n_layer=1, n_head=2, n_embd=16, dropout=dropout)
    model = models.build(config).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * 0.3)
    return model.eval()


def random_ids(n, vocab=VOCAB):
    return np.random.default_rng(n).integers(0, vocab, n)


def one_by_one(model, ids, start_id):
    """The definition: each token given exactly the window that generation would have had."""
    nats = []
    for n in range(len(ids)):
        window = list(ids[window_start(n, model.config.block_size) : n]) or [start_id]
        with torch.inference_mode():
            logits = model(torch.tensor([window]))[0, -1].double()
        nats.append(-float(torch.log_softmax(logits, -1)[ids[n]]))
    return nats


@pytest.mark.parametrize(("arch", "block"), [("classic", 8), ("modern", 7), ("modern", 2), ("classic", 1)])
def test_every_token_is_scored_once_with_the_window_generation_would_have_had(arch, block):
    model = tiny_model(arch, block)
    for n in (0, 1, 2, block, block + 1, block + 2, 2 * block, 2 * block + 1, 53):
        ids = random_ids(n)
        nats = token_nats(model, ids, 4)
        assert nats.shape == (n,)
        np.testing.assert_allclose(nats, one_by_one(model, ids, 4), atol=1e-10)


def test_how_many_windows_are_read_at_a_time_changes_nothing():
    model, ids = tiny_model("modern", 8), random_ids(101)
    whole = token_nats(model, ids, 0)
    for chunk_tokens in (1, 8, 24, 40):
        np.testing.assert_allclose(token_nats(model, ids, 0, chunk_tokens), whole, atol=1e-12)


def test_a_text_is_as_surprising_as_its_characters_were_when_it_was_written():
    tokenizer, model = train_tokenizer("chars", LETTERS), tiny_model("classic", 16)
    stream = Stream(model, seed=8, start_id=start_token(tokenizer))
    choices = [stream.step() for _ in range(100)]
    result = score(model, tokenizer, tokenizer.decode(stream.ids))
    np.testing.assert_allclose(np.exp(-result.nats), [choice.raw_p for choice in choices], atol=1e-10)


def test_counting_models_are_scored_like_any_other():
    config = ModelConfig("ngram", 5, 8, order=3)
    model, ids = NGram.count(config, random_ids(500, 5)), random_ids(60, 5)
    np.testing.assert_allclose(token_nats(model, ids, 0), one_by_one(model, ids, 0), atol=1e-5)


def test_means_are_per_character_whatever_the_tokens_are():
    tokenizer = train_tokenizer("bytes", "")
    result = score(tiny_model("modern", 8, vocab=256), tokenizer, "né€\n")
    assert result.pieces == ("n", "", "é", "", "", "€", "\n") and result.chars == 4
    assert result.nats_per_char == pytest.approx(result.nats.sum() / 4)
    assert result.bits_per_char == pytest.approx(result.nats_per_char / math.log(2))


def test_characters_that_the_vocabulary_lacks_are_replaced_and_reported():
    tokenizer, model = train_tokenizer("chars", LETTERS), tiny_model("classic", 8)
    result = score(model, tokenizer, "naïve €")
    assert "".join(result.pieces) == "naive " and len(result.nats) == 6
    assert [(r.position, r.char, r.by) for r in result.replaced] == [(2, "ï", "i"), (6, "€", "")]


@pytest.mark.parametrize("text", ["", "€€"])
def test_nothing_to_score_has_no_mean(text):
    result = score(tiny_model("classic", 8), train_tokenizer("chars", LETTERS), text)
    assert (result.chars, result.nats_per_char, result.bits_per_char) == (0, None, None)


def test_scoring_leaves_a_model_in_the_mode_it_was_in_and_uses_no_dropout():
    tokenizer, model = train_tokenizer("chars", LETTERS), tiny_model("classic", 8, dropout=0.5)
    expected = score(model, tokenizer, "some text").nats
    model.train()
    np.testing.assert_array_equal(score(model, tokenizer, "some text").nats, expected)
    assert model.training


def test_damaged_weights_are_an_error_not_a_number():
    model = tiny_model("classic", 8)
    with torch.no_grad():
        next(model.parameters()).fill_(math.nan)
    with pytest.raises(CheckpointError, match="damaged"):
        score(model, train_tokenizer("chars", LETTERS), "some text")
