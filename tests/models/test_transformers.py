"""Both transformers against references in plain loops, and what the rest of the program relies on: causality, caches, sizes, first losses."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from models import SIZES, ModelConfig, build, outline, sized
from models.interface import LanguageModel
from models.modern import rotary_tables

Array = NDArray[np.float64]

VOCAB, BLOCK, LAYERS, HEADS, WIDTH = 11, 12, 2, 3, 24

both = pytest.mark.parametrize("arch", ["classic", "modern"])


def stirred(arch: str, dtype: torch.dtype = torch.float64, **changed: Any) -> LanguageModel:
    """A tiny model in which every weight matters: a new modern one answers zero whatever it reads."""
    shape = {"n_layer": LAYERS, "n_head": HEADS, "n_embd": WIDTH} | changed
    model = build(ModelConfig(arch, VOCAB, BLOCK, **shape)).to(dtype)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for p in model.parameters():
            noise = torch.randn(p.shape, generator=generator, dtype=torch.float64)
            p.copy_(1 + 0.3 * noise if p.ndim == 1 else 0.3 * noise)
    return model.eval()


def some_ids(batch: int, length: int, vocab: int = VOCAB) -> Tensor:
    return torch.randint(vocab, (batch, length), generator=torch.Generator().manual_seed(3))


def learn(model: LanguageModel, ids: Tensor) -> None:
    """Adds the gradient of predicting each next token to every parameter."""
    loss = F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
    torch.autograd.backward(loss)


def weights(model: LanguageModel) -> dict[str, Array]:
    return {name: p.detach().numpy() for name, p in model.named_parameters()}


def attend(q: Array, k: Array, v: Array) -> Array:
    """One head: q, k, v (T, head_size); every position looks at itself and back."""
    out = np.zeros_like(v)
    for t in range(len(q)):
        scores = [float(q[t] @ k[s]) / math.sqrt(q.shape[1]) for s in range(t + 1)]
        shares = [math.exp(score - max(scores)) for score in scores]
        for s, share in enumerate(shares):
            out[t] += share / sum(shares) * v[s]
    return out


def by_heads(qkv: Array, turn: Callable[[Array], Array] = lambda x: x) -> Array:
    """Attention of all heads on the fused (T, 3 C), in the order query, key, value; `turn` treats queries and keys."""
    C = qkv.shape[1] // 3
    size = C // HEADS
    heads = []
    for h in range(HEADS):
        q, k, v = (qkv[:, part * C + h * size : part * C + (h + 1) * size] for part in range(3))
        heads.append(attend(turn(q), turn(k), v))
    return np.concatenate(heads, axis=1)


def classic_by_hand(w: dict[str, Array], ids: list[int]) -> Array:
    def norm(x: Array, gain: Array) -> Array:
        return np.stack([(row - row.mean()) / math.sqrt(row.var() + 1e-5) * gain for row in x])

    def gelu(x: Array) -> Array:
        return np.array([[z * 0.5 * (1 + math.erf(z / math.sqrt(2))) for z in row] for row in x])

    x = np.stack(
        [w["token_embedding.weight"][i] + w["position_embedding.weight"][t] for t, i in enumerate(ids)]
    )
    for layer in range(LAYERS):
        at = f"blocks.{layer}."
        h = norm(x, w[at + "attention_norm.weight"])
        x = (
            x
            + by_heads(h @ w[at + "attention.query_key_value.weight"].T)
            @ w[at + "attention.project.weight"].T
        )
        h = norm(x, w[at + "feed_forward_norm.weight"])
        x = x + gelu(h @ w[at + "feed_forward.expand.weight"].T) @ w[at + "feed_forward.project.weight"].T
    return norm(x, w["norm.weight"]) @ w["token_embedding.weight"].T


def modern_by_hand(w: dict[str, Array], ids: list[int]) -> Array:
    def norm(x: Array) -> Array:
        return np.stack([row / math.sqrt((row**2).mean() + np.finfo(np.float64).eps) for row in x])

    def turn(x: Array) -> Array:
        """A pair of channels as one complex number, multiplied by e^(i angle)."""
        half = x.shape[1] // 2
        out = np.zeros_like(x)
        for t in range(len(x)):
            for i, row in enumerate(norm(x)[t, :half]):
                angle = t * 10_000.0 ** (-2 * i / x.shape[1])
                # The model's tables are float32 whatever its weights are.
                point = complex(row, norm(x)[t, half + i]) * complex(
                    np.float32(math.cos(angle)), np.float32(math.sin(angle))
                )
                out[t, i], out[t, half + i] = point.real, point.imag
        return out

    x = w["token_embedding.weight"][ids].copy()
    x[1:] += w["earlier_embeddings.0.weight"][ids[:-1]]
    x[2:] += w["earlier_embeddings.1.weight"][ids[:-2]]
    x = norm(x)
    for layer in range(LAYERS):
        at = f"blocks.{layer}."
        qkv = norm(x) @ w[at + "attention.query_key_value.weight"].T
        x = x + by_heads(qkv, turn) @ w[at + "attention.project.weight"].T
        hidden = np.maximum(norm(x) @ w[at + "feed_forward.expand.weight"].T, 0) ** 2
        x = x + hidden @ w[at + "feed_forward.project.weight"].T
    return norm(x) @ w["head.weight"].T


@pytest.mark.parametrize(("arch", "by_hand"), [("classic", classic_by_hand), ("modern", modern_by_hand)])
def test_the_logits_are_those_of_plain_loops(
    arch: str, by_hand: Callable[[dict[str, Array], list[int]], Array]
) -> None:
    model, ids = stirred(arch), some_ids(2, BLOCK)
    logits = model(ids)
    assert logits.shape == (2, BLOCK, VOCAB)
    for row in range(2):
        expected = by_hand(weights(model), ids[row].tolist())
        np.testing.assert_allclose(logits[row].detach().numpy(), expected, rtol=0, atol=1e-10)


def test_rotary_angles_are_exact_to_the_last_digit_of_float32() -> None:
    cos, sin = rotary_tables(8192, 8)
    for position in (0, 1, 8191):
        for pair in range(4):
            angle = position * 10_000.0 ** (-2 * pair / 8)
            for channel, sign in ((pair, -1), (pair + 4, 1)):
                assert cos[position, 0, channel].item() == pytest.approx(math.cos(angle), abs=6e-8)
                assert sin[position, 0, channel].item() == pytest.approx(sign * math.sin(angle), abs=6e-8)


@both
def test_a_changed_token_leaves_all_logits_before_it_untouched_and_changes_its_own(arch: str) -> None:
    model, ids = stirred(arch), some_ids(1, BLOCK)
    before = model(ids)
    for t in range(BLOCK):
        changed = ids.clone()
        changed[0, t] = (changed[0, t] + 1) % VOCAB
        after = model(changed)
        assert torch.equal(after[:, :t], before[:, :t])
        assert ((after[:, t:] - before[:, t:]).abs().amax(-1) > 1e-6).all()  # and whatever follows sees it


@both
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize("chunks", [(5, 1, 1, 3, 2), (1,) * BLOCK, (1, 11), (11, 1), (12,)])
def test_reading_in_pieces_with_a_cache_is_reading_at_once(
    arch: str, dtype: torch.dtype, tolerance: float, chunks: tuple[int, ...]
) -> None:
    assert sum(chunks) == BLOCK
    model, ids = stirred(arch, dtype), some_ids(3, BLOCK)
    with torch.inference_mode():
        whole = model(ids)
        cache = model.new_cache(3)
        pieces = []
        for count in chunks:
            pieces.append(model(ids[:, cache.length : cache.length + count], cache))
        scale = whole.abs().max().item()
        assert cache.length == BLOCK
        torch.testing.assert_close(torch.cat(pieces, 1), whole, rtol=0, atol=tolerance * max(1.0, scale))


@both
def test_what_a_cache_was_used_for_before_does_not_shine_through(arch: str) -> None:
    model, ids = stirred(arch), some_ids(1, 6)
    with torch.inference_mode():
        used, fresh = model.new_cache(), model.new_cache()
        model(some_ids(1, BLOCK).flip(1), used)
        used.length = 0
        model(ids[:, :4], used)
        model(ids[:, :4], fresh)
        assert torch.equal(model(ids[:, 4:], used), model(ids[:, 4:], fresh))


def test_the_classic_of_0_8_million_has_the_documented_number_of_parameters() -> None:
    assert build(sized("0.8m", "classic", 65)).num_params() == 804_096


def test_a_modern_model_has_a_head_and_two_earlier_tables_of_its_own_and_no_gains() -> None:
    assert stirred("modern").num_params() == 4 * VOCAB * WIDTH + LAYERS * 12 * WIDTH**2


@both
@pytest.mark.parametrize("size", SIZES)
def test_sizes_hold_what_their_names_say(arch: str, size: str) -> None:
    with torch.device("meta"):
        model = build(sized(size, arch, 65))
    params = sum(p.numel() for name, p in model.named_parameters() if name.startswith("blocks."))
    assert params == pytest.approx(float(size.removesuffix("m")) * 1e6, rel=0.15)


def test_a_new_classic_model_has_the_spread_of_gpt2() -> None:
    torch.manual_seed(1)
    model = build(sized("0.8m", "classic", 65))
    for name, p in model.named_parameters():
        if p.ndim == 1:
            assert torch.equal(p, torch.ones_like(p))
        else:
            # 0.02, and less where many layers add up: 0.02 / sqrt(2 * 4 layers).
            expected = 0.02 / math.sqrt(8) if "project" in name else 0.02
            assert p.std().item() == pytest.approx(expected, rel=0.04), name
            assert abs(p.mean().item()) < 0.05 * expected, name


def test_a_new_modern_model_has_unit_embeddings_and_matrices_that_keep_the_scale() -> None:
    torch.manual_seed(1)
    for name, p in build(sized("0.8m", "modern", 65)).named_parameters():
        if "project" in name or "head" in name:
            assert not p.any(), name
        else:
            tables = {"token_embedding.weight": 1.0} | {f"earlier_embeddings.{i}.weight": 0.5 for i in (0, 1)}
            expected = tables.get(name, 1 / math.sqrt(p.size(1)))
            assert p.std().item() == pytest.approx(expected, rel=0.04), name


@both
def test_a_new_model_has_learned_nothing_yet(arch: str) -> None:
    torch.manual_seed(1)
    ids = some_ids(4, 64, 65)
    logits = build(sized("0.8m", arch, 65))(ids[:, :-1])
    loss = F.cross_entropy(logits.flatten(0, 1).double(), ids[:, 1:].flatten()).item()
    assert loss == pytest.approx(math.log(65), abs=1e-12 if arch == "modern" else 0.1)


@both
def test_weights_are_drawn_from_the_global_seed(arch: str) -> None:
    def made(seed: int) -> list[Tensor]:
        torch.manual_seed(seed)
        return list(build(sized("0.1m", arch, 65)).parameters())

    assert all(torch.equal(a, b) for a, b in zip(made(1), made(1), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(made(1), made(2), strict=True))


@both
def test_bfloat16_computes_nearly_what_float32_does_and_leaves_the_weights_alone(arch: str) -> None:
    model, ids = stirred(arch, torch.float32), some_ids(4, BLOCK)
    with torch.inference_mode():
        exact = model(ids)
        model.compute_dtype = torch.bfloat16
        rough = model(ids)
        cache = model.new_cache(4)
        pieces = torch.cat([model(ids[:, :7], cache), model(ids[:, 7:], cache)], 1)
    assert rough.dtype == torch.float32
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    for logits in (rough, pieces):
        error = (logits - exact).square().mean().sqrt() / exact.std()
        assert 1e-4 < error < 0.05  # the lower bound: it did compute in bfloat16


@both
def test_bfloat16_has_gradients_near_those_of_float32(arch: str) -> None:
    gradients = []
    for dtype in (None, torch.bfloat16):
        model, ids = stirred(arch, torch.float32), some_ids(4, BLOCK)
        model.compute_dtype = dtype
        learn(model, ids)
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))
    assert gradients[1].dtype == torch.float32
    assert F.cosine_similarity(gradients[0], gradients[1], dim=0) > 0.99


@both
def test_activations_are_dropped_in_training_only(arch: str) -> None:
    model, plain, ids = stirred(arch, dropout=0.5), stirred(arch), some_ids(2, BLOCK)
    assert torch.equal(model(ids), plain(ids))
    model.train()
    torch.manual_seed(1)
    first, second = model(ids), model(ids)
    assert not torch.allclose(first, second)
    torch.manual_seed(1)
    assert torch.equal(model(ids), first)
    assert torch.equal(plain.train()(ids), plain.eval()(ids))


@both
def test_dropout_acts_at_the_input_on_both_halves_of_a_layer_and_in_the_classic_one_on_attention(
    arch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dropped: list[tuple[int, ...]] = []
    attention_dropout: list[float] = []
    real_dropout, real_attention = F.dropout, F.scaled_dot_product_attention

    def spy_dropout(x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        if p == 0.25 and training:
            dropped.append(tuple(x.shape))
        return real_dropout(x, p, training)

    def spy_attention(*args: Any, **kwargs: Any) -> Tensor:
        attention_dropout.append(kwargs["dropout_p"])
        return real_attention(*args, **kwargs)

    monkeypatch.setattr(F, "dropout", spy_dropout)
    monkeypatch.setattr(F, "scaled_dot_product_attention", spy_attention)
    stirred(arch, dropout=0.25).train()(some_ids(2, BLOCK))
    assert dropped == [(2, BLOCK, WIDTH)] * (1 + 2 * LAYERS)
    assert attention_dropout == [0.25 if arch == "classic" else 0.0] * LAYERS


def gradients_after(model: LanguageModel, steps: int) -> dict[str, bool]:
    """Which parameters get a gradient at step `steps` of plain gradient descent."""
    ids = some_ids(8, BLOCK + 1)
    for step in range(steps + 1):
        model.zero_grad(set_to_none=True)
        learn(model, ids)
        if step < steps:
            with torch.no_grad():
                for p in model.parameters():
                    if p.grad is not None:
                        p.sub_(p.grad, alpha=0.1)
    return {name: p.grad is not None and bool(p.grad.any()) for name, p in model.named_parameters()}


def new(arch: str) -> LanguageModel:
    torch.manual_seed(1)
    return build(ModelConfig(arch, VOCAB, BLOCK, LAYERS, HEADS, WIDTH))


def test_the_gradient_reaches_every_parameter_of_a_new_classic_model() -> None:
    assert all(gradients_after(new("classic"), 0).values())


def test_a_modern_model_grows_from_its_head_and_every_parameter_learns_from_the_third_step_on() -> None:
    first, second = gradients_after(new("modern"), 0), gradients_after(new("modern"), 1)
    assert [name for name, reached in first.items() if reached] == ["head.weight"]
    assert all(second[name] for name in second if "project" in name or "embedding" in name)
    assert all(gradients_after(new("modern"), 2).values())


@both
def test_a_checkpoint_holds_the_trained_values_and_nothing_that_can_be_computed(arch: str) -> None:
    model = stirred(arch)
    assert set(model.state_dict()) == {name for name, _ in model.named_parameters()}


@pytest.mark.parametrize("arch", ["modern", "classic"])
def test_an_outline_has_the_names_and_shapes_of_the_weights_and_no_memory(arch: str) -> None:
    config = ModelConfig(arch, VOCAB, 24, n_layer=2, n_head=2, n_embd=16)
    weights, outlined = build(config).state_dict(), outline(config)
    assert {name: (w.shape, w.dtype) for name, w in weights.items()} == {
        name: (w.shape, w.dtype) for name, w in outlined.items()
    }
    huge = outline(ModelConfig(arch, 200_000, 8192, n_layer=48, n_head=1, n_embd=4096))
    assert sum(w.numel() for w in huge.values()) > 9e9
    assert all(w.device.type == "meta" for w in huge.values() if w.ndim > 1)


def test_neither_outlines_nor_updates_load_torchs_compiler() -> None:
    # It takes a second of every command.
    code = """if True:
        import sys, torch, models
        from engine.optim import Optimizer
        config = models.ModelConfig(sys.argv[1], 7, 5, n_layer=1, n_head=1, n_embd=4)
        models.outline(config)
        model = models.build(config)
        optimizer = Optimizer(model, muon=True, lr=0.1, muon_lr=0.1, weight_decay=0.1, muon_weight_decay=0.1, betas=(0.9, 0.9),
                              momentum=0.9)
        model(torch.zeros(1, 5, dtype=torch.long)).sum().backward()
        torch.nn.utils.get_total_norm([p.grad for p in model.parameters()])
        optimizer.step(1.0)
        print(sorted({"torch._dynamo", "sympy"} & set(sys.modules)))
    """
    root = Path(__file__).parents[2]
    for arch in ("modern", "classic"):
        done = subprocess.run(
            [sys.executable, "-c", code, arch], capture_output=True, text=True, check=True, cwd=root
        )
        assert done.stdout.strip() == "[]"
