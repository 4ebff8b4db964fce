"""The counting model against counting by hand, and stored tables that cannot be trusted."""

from __future__ import annotations

import copy
import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from models import ModelConfig, build
from models import ngram as module
from models.ngram import NGram


def config(vocab_size: int = 5, order: int = 4, block_size: int = 16) -> ModelConfig:
    return ModelConfig("ngram", vocab_size, block_size, order=order)


def counted(ids: Sequence[int], vocab_size: int = 5, order: int = 4, block_size: int = 16) -> NGram:
    return NGram.count(config(vocab_size, order, block_size), np.array(ids, np.int64))


class SlowNGram:
    """Witten-Bell with dictionaries, straight from the formula."""

    def __init__(self, ids: Sequence[int], vocab_size: int, order: int) -> None:
        self.vocab_size, self.order = vocab_size, order
        self.followers: dict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
        for n in range(1, order + 1):
            for t in range(n - 1, len(ids)):
                self.followers[tuple(ids[t - n + 1 : t])][ids[t]] += 1

    def p(self, symbol: int, context: Sequence[int]) -> float:
        context = tuple(context)[max(0, len(context) - self.order + 1) :]
        p = 1 / self.vocab_size
        for length in range(len(context) + 1):
            seen = self.followers.get(context[len(context) - length :])
            if seen:
                p = (seen[symbol] + len(seen) * p) / (seen.total() + len(seen))
        return p


texts = st.lists(st.integers(0, 4), max_size=40)
orders = st.integers(1, 6)


def test_witten_bell_by_hand() -> None:
    # "abab" + "c" over {a, b, c, d}: T() = 3 of 5 symbols; b was followed by a and c, once each.
    model = counted([0, 1, 0, 1, 2], vocab_size=4, order=2)
    p = model(torch.tensor([[1]])).exp()[0, 0].tolist()
    unigram = [(2 + 3 / 4) / 8, (2 + 3 / 4) / 8, (1 + 3 / 4) / 8, (0 + 3 / 4) / 8]
    assert p == pytest.approx(
        [(1 + 2 * unigram[0]) / 4, 2 * unigram[1] / 4, (1 + 2 * unigram[2]) / 4, 2 * unigram[3] / 4]
    )
    # c ended the text, d never came: both leave the single symbols' probabilities as they are.
    for context in (2, 3):
        assert model(torch.tensor([[context]])).exp()[0, 0].tolist() == pytest.approx(unigram)


@settings(deadline=None)
@given(train=texts, text=texts.filter(bool), order=orders)
def test_probabilities_are_those_of_the_formula_and_sum_to_one(
    train: list[int], text: list[int], order: int
) -> None:
    model = counted(train, order=order, block_size=64)
    p = model(torch.tensor([text])).exp()[0]
    assert p.dtype == torch.float32
    torch.testing.assert_close(p.sum(-1), torch.ones(len(text)))
    slow = SlowNGram(train, 5, order)
    expected = [[slow.p(c, text[: t + 1]) for c in range(5)] for t in range(len(text))]
    torch.testing.assert_close(p, torch.tensor(expected))


@settings(deadline=None)
@given(train=texts, text=texts.filter(bool), order=orders)
def test_target_probabilities_are_those_of_the_formula(train: list[int], text: list[int], order: int) -> None:
    log_probs = counted(train, order=order).log_probs_of_targets(np.array(text))
    slow = SlowNGram(train, 5, order)
    assert log_probs.tolist() == pytest.approx([math.log(slow.p(c, text[:t])) for t, c in enumerate(text)])


def test_windows_are_texts_of_their_own() -> None:
    rng = np.random.default_rng(0)
    model = counted(rng.integers(0, 5, 500).tolist(), block_size=8)
    windows = rng.integers(0, 5, (7, 9))
    logits = model(torch.from_numpy(windows[:, :-1]))
    of_targets = logits.gather(-1, torch.from_numpy(windows[:, 1:, None])).squeeze(-1)
    np.testing.assert_allclose(model.log_probs_of_targets(windows)[:, 1:], of_targets.numpy(), rtol=1e-6)
    for row, alone in zip(windows, logits, strict=True):
        assert torch.equal(model(torch.from_numpy(row[None, :-1]))[0], alone)


@settings(deadline=None)
@given(
    train=texts,
    rows=st.integers(1, 3),
    parts=st.lists(st.integers(1, 5), min_size=1, max_size=6),
    order=orders,
)
def test_cached_equals_uncached(train: list[int], rows: int, parts: list[int], order: int) -> None:
    model = counted(train, order=order, block_size=32)
    ids = torch.from_numpy(np.random.default_rng(len(train)).integers(0, 5, (rows, sum(parts))))
    cache = model.new_cache(rows)
    logits = [model(part, cache) for part in torch.split(ids, parts, dim=1)]
    assert cache.length == sum(parts)
    torch.testing.assert_close(torch.cat(logits, dim=1), model(ids), rtol=0, atol=1e-6)


def test_long_inputs_are_worked_on_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = torch.from_numpy(np.random.default_rng(5).integers(0, 5, (3, 16)))
    model = counted(ids.ravel().tolist())
    whole = model(ids)
    monkeypatch.setattr(module, "_CHUNK", 7)
    torch.testing.assert_close(model(ids), whole, rtol=0, atol=1e-6)


def test_a_cache_set_back_forgets_and_a_full_one_refuses() -> None:
    model = counted([0, 1, 2, 3, 4, 0, 1, 2, 0, 1, 3], block_size=4)
    cache = model.new_cache()
    model(torch.tensor([[0, 1, 4]]), cache)
    cache.length = 2
    assert torch.equal(model(torch.tensor([[2, 3]]), cache), model(torch.tensor([[0, 1, 2, 3]]))[:, 2:])
    with pytest.raises(ValueError, match="holds 4 tokens, not 5"):
        model(torch.tensor([[0]]), cache)


def test_a_fresh_model_guesses_uniformly() -> None:
    logits = build(config())(torch.tensor([[0, 1, 2]]))
    torch.testing.assert_close(logits, torch.full((1, 3, 5), -math.log(5)))


def test_sorting_and_histograms_count_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = np.random.default_rng(1).integers(0, 5, 2000)
    dense = NGram.count(config(), ids).state_dict()
    monkeypatch.setattr(module, "_DENSE", 0)
    for name, tensor in NGram.count(config(), ids).state_dict().items():
        assert torch.equal(tensor, dense[name])


def test_large_vocabularies_and_high_orders_do_not_overflow() -> None:
    ids = np.random.default_rng(2).integers(150_000, 200_000, 300)
    model = NGram.count(config(200_000, order=8), ids)
    log_probs = model.log_probs_of_targets(ids)
    assert log_probs[8:].min() > math.log(0.5)  # eight symbols name a place in the text
    logits = model(torch.from_numpy(ids[None, :9]))
    np.testing.assert_allclose(logits[0, range(8), ids[1:9]], log_probs[1:9], rtol=1e-5)


def test_only_the_last_tokens_of_a_long_text_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = np.random.default_rng(3).integers(0, 5, 300).astype(np.uint16)
    monkeypatch.setattr(module, "MAX_TOKENS", 100)
    long, short = NGram.count(config(), ids), NGram.count(config(), ids[-100:])
    assert int(long.state_dict()["counts_1"].sum()) == 100
    assert all(torch.equal(a, b) for a, b in zip(long.buffers(), short.buffers(), strict=True))


def test_stored_tables_bring_back_the_same_model(tmp_path: Path) -> None:
    model = counted(np.random.default_rng(4).integers(0, 5, 300).tolist())
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    tensors = load_file(tmp_path / "model.safetensors")
    assert {t.dtype for name, t in tensors.items() if name.startswith("keys")} == {torch.int64}
    assert {t.dtype for name, t in tensors.items() if name.startswith("counts")} == {torch.int32}
    ids = torch.tensor([[0, 1, 2, 3, 4, 0, 1]])
    again, built = NGram.from_tensors(model.config, tensors), build(model.config)
    built.load_state_dict(tensors)
    for other in (again, built, copy.deepcopy(model)):
        assert torch.equal(other(ids), model(ids))
        assert all(torch.equal(tensor, tensors[name]) for name, tensor in other.state_dict().items())
    assert again.num_params() == model.num_params() == sum(t.numel() for t in tensors.values()) // 2


def test_moving_or_casting_leaves_the_tables_alone() -> None:
    model = counted([0, 1, 2, 0, 1])
    before = model(torch.tensor([[0, 1]]))
    moved = model.to("meta").double().half()
    assert torch.equal(moved(torch.tensor([[0, 1]])), before)
    assert {(b.device.type, b.dtype) for b in model.buffers()} == {("cpu", torch.int64), ("cpu", torch.int32)}


GOOD = counted([0, 1, 0, 1, 2], order=2).state_dict()


@pytest.mark.parametrize(
    "changes",
    [
        {"keys_2": None},
        {"keys_3": torch.tensor([0]), "counts_3": torch.tensor([1], dtype=torch.int32)},
        {"keys_2": GOOD["keys_2"].int()},
        {"keys_2": GOOD["keys_2"].double()},
        {"counts_2": GOOD["counts_2"].long()},
        {"keys_2": GOOD["keys_2"][None]},
        {"keys_2": GOOD["keys_2"][:-1]},
        {"keys_2": GOOD["keys_2"].to("meta")},
        {"keys_2": GOOD["keys_2"].flip(0)},
        {"keys_2": torch.tensor([1, 1, 7])},
        {"keys_2": torch.tensor([-1, 1, 7])},
        {"keys_2": torch.tensor([1, 5, 15])},
        {"keys_2": torch.tensor([1, 5, 2**62])},
        {"counts_2": torch.tensor([2, 0, 1], dtype=torch.int32)},
        {"counts_2": torch.tensor([2, -5, 1], dtype=torch.int32)},
        {"keys_1": torch.tensor([0, 1, 5])},
        {"keys_1": torch.tensor([0]), "counts_1": torch.tensor([4], dtype=torch.int32)},
    ],
)
def test_hostile_tables_are_refused(changes: dict[str, torch.Tensor | None]) -> None:
    tensors = {name: tensor for name, tensor in {**GOOD, **changes}.items() if tensor is not None}
    with pytest.raises(ValueError, match=r"table|must be a list"):
        NGram.from_tensors(config(order=2), tensors)


def test_tables_that_are_sound_but_invented_still_give_probabilities() -> None:
    # Contexts that were never counted as n-grams of their own, counts that do not add up: odd, but harmless.
    int32 = torch.int32
    tensors = {
        "keys_1": torch.tensor([0, 4]),
        "counts_1": torch.tensor([1, 2**31 - 1], dtype=int32),
        "keys_2": torch.tensor([0, 1, 9]),
        "counts_2": torch.tensor([2**31 - 1, 7, 1], dtype=int32),
    }
    model = NGram.from_tensors(config(order=2), tensors)
    p = model(torch.tensor([[0, 1, 2, 3, 4]])).exp()
    torch.testing.assert_close(p.sum(-1), torch.ones(1, 5))


def test_ids_outside_the_vocabulary_are_refused() -> None:
    model = counted([0, 1, 2])
    for bad in (-1, 5):
        with pytest.raises(ValueError, match="from 0 to 4"):
            model(torch.tensor([[0, bad]]))
        with pytest.raises(ValueError, match="from 0 to 4"):
            model.log_probs_of_targets(np.array([0, bad]))
        with pytest.raises(ValueError, match="from 0 to 4"):
            counted([0, bad])
    with pytest.raises(ValueError, match="architecture"):
        NGram(ModelConfig("classic", 5, 8, 1, 1, 4))
