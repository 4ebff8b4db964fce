"""`python -m models.kernel_proof FILE`: runs both transformers with a compiled kernel and compares with torch; exit code 0 if they agree."""

from __future__ import annotations

import ctypes
import sys

import numpy as np
import torch

from models import ModelConfig, build
from models.compiled import Compiled, round_weights
from models.interface import LanguageModel

# Widths that fill no register, sizes of heads both even and odd, windows that fill no group.
SHAPES = ((3, 4, 40, 23), (1, 2, 64, 33), (2, 1, 96, 17))
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
                worst = max(worst, np.abs(decoder.prefill(tokens[:cut]) - wanted[cut - 1]).max())
                for t in range(cut, block_size):
                    worst = max(worst, np.abs(decoder.decode(tokens[t]) - wanted[t]).max())
    return worst


if __name__ == "__main__":
    difference = largest_difference(ctypes.CDLL(sys.argv[1]))
    if not difference <= TOLERANCE:
        sys.exit(f"the logits differ by {difference:.2g}")
