"""Both optimizers against their formulas written out, and state that continues as if nothing had happened."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from engine.optim import NEWTON_SCHULZ, Muon, Optimizer, orthogonalize
from models import ModelConfig, build
from models.interface import LanguageModel

both = pytest.mark.parametrize("muon", [False, True], ids=["adamw", "muon"])

SETTINGS: dict[str, Any] = {
    "lr": 0.01, "muon_lr": 0.03, "weight_decay": 0.2, "muon_weight_decay": 0.4, "betas": (0.8, 0.9), "momentum": 0.7,
}  # fmt: skip


def tiny(arch: str = "classic", dtype: torch.dtype = torch.float64) -> LanguageModel:
    torch.manual_seed(1)
    model = build(ModelConfig(arch, 7, 5, n_layer=2, n_head=2, n_embd=8)).to(dtype)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p), alpha=0.3)
    return model


def optimizer(model: nn.Module, *, muon: bool, **changed: Any) -> Optimizer:
    return Optimizer(model, muon=muon, **(SETTINGS | {"dtype": torch.float64} | changed))


def give_gradients(model: nn.Module, step: int) -> None:
    """The same made-up gradients for the same step, of very different sizes."""
    generator = torch.Generator().manual_seed(step)
    for i, p in enumerate(model.parameters()):
        p.grad = torch.randn(p.shape, generator=generator, dtype=p.dtype) * 10.0 ** (i % 5 - 3)


def snapshot(model: nn.Module) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def random_matrix(rows: int, columns: int, seed: int = 1) -> Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def quintic_by_svd(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Five rounds of the polynomial on the singular values alone, by a decomposition instead of products."""
    u, s, vt = np.linalg.svd(matrix, full_matrices=False)
    s = s / (np.sqrt((matrix**2).sum()) + 1e-7)
    a, b, c = NEWTON_SCHULZ
    for _ in range(5):
        s = a * s + b * s**3 + c * s**5
    return np.asarray((u * s) @ vt)


@pytest.mark.parametrize("shape", [(16, 64), (64, 256), (8, 8), (32, 32), (1, 9), (9, 9)])
def test_orthogonalized_matrices_keep_their_directions_and_lose_their_lengths(shape: tuple[int, int]) -> None:
    matrices = [random_matrix(*shape, seed) * 10.0 ** (seed - 2) for seed in range(1, 4)]
    result = orthogonalize(matrices, torch.float64)
    assert result.shape == (3, *shape)
    for matrix, made in zip(matrices, result, strict=True):
        u, lengths, vt = torch.linalg.svd(matrix, full_matrices=False)
        new = (u.T @ made @ vt.T).diagonal()
        # Five rounds cannot lift a direction that has almost no length in the matrix.
        assert new.min() > 0 and new.max() < 1.3
        assert new[lengths > 0.002 * matrix.norm()].min() > 0.6
        np.testing.assert_allclose(made.numpy(), quintic_by_svd(matrix.numpy()), atol=1e-9)


def test_bfloat16_orthogonalizes_too() -> None:
    values = torch.linalg.svdvals(orthogonalize([random_matrix(32, 96)], torch.bfloat16)[0].float())
    assert values.min() > 0.6 and values.max() < 1.3


def test_a_gradient_of_zero_moves_nothing() -> None:
    assert not orthogonalize([torch.zeros(3, 5)], torch.float32).any()


@pytest.mark.parametrize("shape", [(6, 6), (6, 24), (24, 6), (18, 6), (6, 18)], ids=str)
def test_muon_follows_its_formula(shape: tuple[int, int]) -> None:
    # (18, 6) is the fused query-key-value matrix of width 6.
    weight = nn.Parameter(random_matrix(*shape, seed=9))
    expected, momentum = weight.detach().numpy().copy(), np.zeros(shape)
    muon = Muon([weight], momentum=0.7, weight_decay=0.4, dtype=torch.float64)
    for step, lr in enumerate((0.05, 0.02, 0.03)):
        weight.grad = random_matrix(*shape, seed=step)
        gradient = weight.grad.numpy().copy()
        muon.step(lr)
        momentum = 0.7 * momentum + 0.3 * gradient
        ahead = 0.7 * momentum + 0.3 * gradient
        pieces = np.split(ahead, 3) if shape == (18, 6) else [ahead]
        update = np.concatenate([quintic_by_svd(p) * math.sqrt(max(1, len(p) / p.shape[1])) for p in pieces])
        expected = expected * (1 - lr * 0.4) - lr * update
        np.testing.assert_allclose(weight.detach().numpy(), expected, atol=1e-9)
        assert np.array_equal(weight.grad.numpy(), gradient)


def test_matrices_of_one_shape_do_not_mix() -> None:
    together = [nn.Parameter(random_matrix(4, 8, seed)) for seed in range(3)]
    alone = copy.deepcopy(together)
    for parameters in (together, alone):
        for seed, p in enumerate(parameters):
            p.grad = random_matrix(4, 8, 10 + seed)
    Muon(together, 0.9, 0.1, torch.float64).step(0.1)
    for p in alone:
        Muon([p], 0.9, 0.1, torch.float64).step(0.1)
    for a, b in zip(together, alone, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


@both
def test_adamw_follows_its_formula_with_the_rate_of_each_step(muon: bool) -> None:
    model = tiny()
    tuned = optimizer(model, muon=muon)
    mine = {
        name: p.numpy().copy() for name, p in snapshot(model).items() if not (muon and name in blocks(model))
    }
    first = {name: np.zeros_like(p) for name, p in mine.items()}
    second = copy.deepcopy(first)
    eps = 1e-10 if muon else 1e-8
    for step, factor in enumerate((1.0, 0.25, 0.5, 0.75), 1):
        give_gradients(model, step)
        gradients = {
            name: p.grad.numpy().copy() for name, p in model.named_parameters() if p.grad is not None
        }
        tuned.step(factor)
        lr = 0.01 * factor
        for name, p in mine.items():
            g = gradients[name]
            first[name] = 0.8 * first[name] + 0.2 * g
            second[name] = 0.9 * second[name] + 0.1 * g**2
            if p.ndim > 1:  # gains do not decay
                p *= 1 - lr * 0.2
            p -= lr * first[name] / (1 - 0.8**step) / (np.sqrt(second[name] / (1 - 0.9**step)) + eps)
            np.testing.assert_allclose(
                dict(model.named_parameters())[name].detach().numpy(), p, rtol=0, atol=1e-12
            )


def blocks(model: nn.Module) -> set[str]:
    return {name for name, p in model.named_parameters() if name.startswith("blocks.") and p.ndim == 2}


@pytest.mark.parametrize("arch", ["classic", "modern"])
def test_muon_takes_the_matrices_inside_the_blocks_and_adamw_the_rest(arch: str) -> None:
    model = tiny(arch)
    tuned = optimizer(model, muon=True)
    give_gradients(model, 1)
    tuned.step(1.0)
    names = set(tuned.state())
    every = {name for name, _ in model.named_parameters()}
    assert {name.removeprefix("muon.momentum.") for name in names if name.startswith("muon.")} == blocks(
        model
    )
    assert {
        name.removeprefix("adamw.step.") for name in names if name.startswith("adamw.step.")
    } == every - blocks(model)


def test_without_a_gradient_matrices_decay_at_their_own_rate_and_gains_stay() -> None:
    model = tiny()
    before = snapshot(model)
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    optimizer(model, muon=True).step(0.5)
    for name, p in model.named_parameters():
        if p.ndim < 2:
            kept = 1.0
        elif name in blocks(model):
            kept = 1 - 0.5 * 0.03 * 0.4
        else:
            kept = 1 - 0.5 * 0.01 * 0.2
        torch.testing.assert_close(p.detach(), before[name] * kept, rtol=1e-12, atol=0)


@both
def test_a_rate_factor_of_zero_moves_nothing_and_the_next_one_starts_afresh(muon: bool) -> None:
    model, twin = tiny(), tiny()
    still, moving = optimizer(model, muon=muon), optimizer(twin, muon=muon)
    before = snapshot(model)
    give_gradients(model, 1)
    still.step(0.0)
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())
    give_gradients(twin, 1)
    moving.step(1.0)
    with torch.no_grad():
        for p, name in zip(twin.parameters(), before, strict=True):
            p.copy_(before[name])
    for m, o in ((model, still), (twin, moving)):
        give_gradients(m, 2)
        o.step(0.3)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), twin.parameters(), strict=True))


@both
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_loaded_state_continues_bit_for_bit(muon: bool, dtype: torch.dtype) -> None:
    model = tiny(dtype=dtype)
    tuned = optimizer(model, muon=muon, dtype=dtype)
    for step in range(3):
        give_gradients(model, step)
        tuned.step(0.5)
    twin = copy.deepcopy(model)
    resumed = optimizer(twin, muon=muon, dtype=dtype)
    resumed.load(tuned.state())
    # Step by step in turn: state that the two shared would be moved twice.
    for step in range(3, 7):
        for m, o in ((model, tuned), (twin, resumed)):
            give_gradients(m, step)
            o.step(0.25)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), twin.parameters(), strict=True))
    ours, theirs = tuned.state(), resumed.state()
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in ours)


@both
def test_a_state_saved_before_the_first_step_can_be_loaded(muon: bool) -> None:
    model, twin = tiny(), tiny()
    fresh, resumed = optimizer(model, muon=muon), optimizer(twin, muon=muon)
    resumed.load(fresh.state())
    for m, o in ((model, fresh), (twin, resumed)):
        give_gradients(m, 1)
        o.step(1.0)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), twin.parameters(), strict=True))


def saved(muon: bool) -> dict[str, Tensor]:
    model = tiny()
    tuned = optimizer(model, muon=muon)
    give_gradients(model, 1)
    tuned.step(1.0)
    return tuned.state()


@both
@pytest.mark.parametrize(
    "bent", [lambda t: t[None], lambda t: t.flatten()[:1].expand(2)], ids=["one dimension more", "two values"]
)
def test_a_tensor_of_another_shape_is_refused_whichever_it_is(
    muon: bool, bent: Callable[[Tensor], Tensor]
) -> None:
    good = saved(muon)
    for key, tensor in good.items():
        with pytest.raises(ValueError, match="shape"):
            optimizer(tiny(), muon=muon).load(good | {key: bent(tensor)})


@both
def test_a_missing_tensor_is_refused_whichever_it_is(muon: bool) -> None:
    good = saved(muon)
    for key in good:
        with pytest.raises(KeyError):
            optimizer(tiny(), muon=muon).load({k: v for k, v in good.items() if k != key})


@both
def test_a_parameter_without_a_gradient_stays(muon: bool) -> None:
    model = tiny()
    before = snapshot(model)
    give_gradients(model, 1)
    name = "blocks.0.attention.project.weight"
    dict(model.named_parameters())[name].grad = None
    optimizer(model, muon=muon).step(1.0)
    for other, p in model.named_parameters():
        assert torch.equal(p, before[other]) == (other == name)
