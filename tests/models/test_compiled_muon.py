"""The compiled step of Muon is that of its formula, in the same bits on any number of threads, and nothing makes it overshoot."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from engine.optim import NEWTON_SCHULZ, STEPS
from models.compiled_muon import CompiledMuon, Trained
from models.kernel import knows_bfloat16
from models.kernel_proof import largest_stray


def step(
    library: ctypes.CDLL, matrices: Sequence[Trained], *, lr: float = 0.1, threads: int = 1, bfloat16: bool = False
) -> None:  # fmt: skip
    muon = CompiledMuon(library, matrices, threads, bfloat16=bfloat16)
    muon.step([NEWTON_SCHULZ] * STEPS, lr=lr, momentum=0.9, weight_decay=0.2)


@pytest.mark.parametrize("bfloat16", [False, True])
def test_it_is_the_step_of_the_formula(bfloat16: bool, library: ctypes.CDLL) -> None:
    if bfloat16 and not knows_bfloat16(library):
        pytest.skip("this processor does not multiply bfloat16")
    assert largest_stray(library, bfloat16) < (0.05 if bfloat16 else 1e-5)


def test_it_is_the_same_on_any_number_of_threads_and_leaves_gradients_alone(library: ctypes.CDLL) -> None:
    shapes = [(24, 50), (50, 24), (33, 33), (16, 64), (64, 16)]
    found = []
    for threads in (1, 3):
        generator = torch.Generator().manual_seed(8)
        matrices = [Trained(*torch.randn(3, *shape, generator=generator)) for shape in shapes]
        before = [one.gradient.clone() for one in matrices]
        for _ in range(2):
            step(library, matrices, threads=threads)
        assert all(torch.equal(one.gradient, old) for one, old in zip(matrices, before, strict=True))
        found.append(matrices)
    for one, three in zip(*found, strict=True):
        assert torch.equal(one.weight, three.weight) and torch.equal(one.momentum, three.momentum)


@pytest.mark.parametrize("shape", [(16, 64), (70, 33), (128, 512), (5, 90)], ids=str)
@pytest.mark.parametrize("kind", ["even", "falling", "steep", "one", "half"])
def test_no_gradient_makes_it_overshoot_however_its_directions_are_sized(
    kind: str, shape: tuple[int, int], library: ctypes.CDLL
) -> None:
    # Newton-Schulz multiplies the square of a matrix, where rounding is largest beside what is smallest.
    rank = min(shape)
    n = torch.arange(1.0, rank + 1)
    lengths = {
        "even": torch.ones(rank), "falling": 1 / n, "steep": n**-4, "one": torch.where(n == 1, 1.0, 1e-3),
        "half": torch.where(n <= rank / 2, 1.0, 1e-4),
    }[kind]  # fmt: skip
    u, v = (
        torch.linalg.qr(torch.randn(side, rank, generator=torch.Generator().manual_seed(side)))[0]
        for side in shape
    )
    for bfloat16 in (False, True) if knows_bfloat16(library) else (False,):
        one = Trained(torch.zeros(shape), u * lengths @ v.T, torch.zeros(shape))
        step(library, [one], lr=-1.0, bfloat16=bfloat16)
        directions = u.T @ one.weight @ v / math.sqrt(max(1.0, shape[0] / shape[1]))
        assert torch.linalg.svdvals(directions).max() < 1.4
        # Smaller ones do not get that far in five steps.
        assert directions.diagonal()[lengths > 0.02 * lengths.norm()].min() > 0.5


def test_a_gradient_of_zero_moves_nothing(library: ctypes.CDLL) -> None:
    one = Trained(torch.ones(8, 8), torch.zeros(8, 8), torch.zeros(8, 8))
    step(library, [one], lr=0.5)
    assert torch.equal(one.weight, torch.full((8, 8), 0.9))  # only decay
    assert not one.momentum.any()


@pytest.mark.parametrize(
    "wrong",
    [torch.zeros(4, 6).double(), torch.zeros(6, 4).T, torch.zeros(4, 5), torch.zeros(24)],
    ids=["double", "turned", "narrow", "flat"],
)
def test_what_it_would_read_wrongly_is_refused(wrong: Tensor, library: ctypes.CDLL) -> None:
    right = torch.zeros(4, 6)
    for one in (Trained(right, wrong, right), Trained(right, right, wrong)):
        with pytest.raises(ValueError, match="contiguous float32 matrices"):
            step(library, [one])
