"""`python -m models.kernel_proof FILE`: runs the transformers with a compiled kernel, forwards and backwards; exit code 0 if torch agrees."""

from __future__ import annotations

import ctypes
import math
import sys

import numpy as np
import torch
from torch.nn import functional as F

from models import ModelConfig, build
from models.compiled import Compiled, round_weights
from models.compiled_muon import CompiledMuon, Trained
from models.interface import LanguageModel
from models.kernel import knows_bfloat16
from models.learning import learner

# Widths that fill no register, sizes of heads both even and odd, windows that fill no group.
SHAPES = (
    (3, 4, 40, 23),
    (1, 2, 64, 33),
    (2, 1, 96, 17),
    (1, 2, 160, 110),
)  # layers, heads, width, block size
VOCAB = 37
TOLERANCE = 1e-3  # of logits around 10, after sums in another order


def stirred(arch: str, n_layer: int, n_head: int, n_embd: int, block_size: int) -> LanguageModel:
    """A model none of whose weights is zero or one, rounded for the kernel."""
    generator = torch.Generator().manual_seed(n_embd)
    model = build(ModelConfig(arch, VOCAB, block_size, n_layer, n_head, n_embd)).eval().requires_grad_(False)
    for p in model.parameters():
        noise = torch.randn(p.shape, generator=generator)
        p.copy_(1 + 0.3 * noise if p.ndim == 1 else 0.2 * noise)
    round_weights(model)
    return model


def worse(worst: float, found: float) -> float:
    """The larger of two; what is not a number is worse than anything, where `max` would pass it over."""
    return math.inf if math.isnan(found) else max(worst, found)


def largest_difference(kernel: ctypes.CDLL) -> float:
    """Between the kernel's logits and torch's, over both architectures, several shapes, cuts and numbers of threads."""
    worst = 0.0
    for arch in ("modern", "classic"):
        for shape in SHAPES:
            model = stirred(arch, *shape)
            block_size = model.config.block_size
            ids = torch.randint(VOCAB, (1, block_size), generator=torch.Generator().manual_seed(3))
            wanted, tokens = model(ids)[0].double().numpy(), ids[0].tolist()
            for cut, threads in ((1, 1), (block_size // 2, 2), (block_size, 2)):
                decoder = Compiled(model, kernel).decoder(threads)
                worst = worse(worst, np.abs(decoder.prefill(tokens[:cut]) - wanted[cut - 1]).max())
                for t in range(cut, block_size):
                    worst = worse(worst, np.abs(decoder.decode(tokens[t]) - wanted[t]).max())
    return worst


def largest_slip(library: ctypes.CDLL, dtype: torch.dtype | None) -> float:
    """Between the gradients of the kernel and of torch, as shares of each one's length, over several shapes and numbers of threads."""
    worst = 0.0
    for shape in SHAPES:
        for threads in (1, 2):
            model = stirred("modern", *shape).requires_grad_(True)
            block_size = model.config.block_size
            ids = torch.randint(VOCAB, (5, block_size + 1), generator=torch.Generator().manual_seed(4))
            x, y = ids[:, :-1], ids[:, 1:]
            F.cross_entropy(model(x).flatten(0, 1), y.flatten()).backward()  # type: ignore[no-untyped-call]
            wanted = [p.grad for p in model.parameters() if p.grad is not None]
            for p in model.parameters():
                p.grad = None
            compiled = learner(model, library, threads, dtype)
            assert compiled is not None
            compiled.gradient(x, y, 1.0, 0)
            for p, right in zip(model.parameters(), wanted, strict=True):
                assert p.grad is not None
                worst = worse(worst, float((p.grad - right).norm() / right.norm()))
    return worst


def largest_stray(library: ctypes.CDLL, bfloat16: bool) -> float:
    """Between two steps of Muon by the kernel and by its formula, as a share of how far they go, over several shapes."""
    worst = 0.0
    by, lr, beta, decay = (3.4445, -4.7750, 2.0315), 0.1, 0.7, 0.3
    for shape in ((40, 40), (33, 70), (70, 33), (128, 256)):
        weight, *gradients = torch.randn(3, *shape, generator=torch.Generator().manual_seed(6))
        found, momentum = weight.clone(), torch.zeros(shape)
        wanted, wanted_momentum = weight.double(), torch.zeros(shape).double()
        for gradient in gradients:
            kernel = CompiledMuon(library, [Trained(found, gradient, momentum)], 2, bfloat16=bfloat16)
            kernel.step([by] * 5, lr=lr, momentum=beta, weight_decay=decay)
            wanted_momentum.lerp_(gradient.double(), 1 - beta)
            x = gradient.double().lerp(wanted_momentum, beta)
            x /= x.norm()
            for _ in range(5):
                gram = x @ x.mT
                x = by[0] * x + (by[1] * gram + by[2] * gram @ gram) @ x
            wanted = wanted * (1 - lr * decay) - lr * math.sqrt(max(1.0, shape[0] / shape[1])) * x
        off = float((momentum - wanted_momentum).norm() / wanted_momentum.norm())
        worst = worse(worse(worst, off), float((found - wanted).norm() / (wanted - weight).norm()))
    return worst


def main(path: str) -> str:
    """What is wrong with the kernel in a file, or ""."""
    library = ctypes.CDLL(path)
    if not (difference := largest_difference(library)) <= TOLERANCE:
        return f"the logits differ by {difference:.2g}"
    bounds = {None: 1e-4} | ({torch.bfloat16: 0.05} if knows_bfloat16(library) else {})
    for dtype, most in bounds.items():
        if not (slip := largest_slip(library, dtype)) <= most:
            return f"the gradients differ by {slip:.2g} of their length"
        if not (stray := largest_stray(library, dtype is not None)) <= most:
            return f"the steps of Muon differ by {stray:.2g} of their length"
    return ""


if __name__ == "__main__":
    if problem := main(sys.argv[1]):
        sys.exit(problem)
