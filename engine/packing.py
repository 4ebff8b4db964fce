"""Weights in 16 bits, without loss: what `models.compiled.round_weights` makes of a model takes half of its file.

A matrix whose rows are whole numbers of 16 bits times a power of two is stored as exactly that: the numbers under its own name, and
an exponent of 8 bits for each row beside them. So what comes back are the very weights that a player would round to, in float32.
Whatever is no such matrix stays as it is. Left out: files (`engine.tensors`, `engine.checkpoint`).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from models.compiled import row_scales

EXPONENT = ".exponent"  # behind a matrix's name


def packed(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same weights, each matrix (n_out, n_in) that 16 bits hold exactly as int16 with its exponents (n_out, 1) as int8."""
    found: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        value = tensor.detach().to("cpu")
        found[name] = value
        if value.ndim != 2 or value.dtype != torch.float32 or name + EXPONENT in weights:
            continue
        scale = row_scales(value)
        whole = (value / scale).round_().to(torch.int16)
        if torch.equal(whole.float() * scale, value):
            found[name] = whole
            found[name + EXPONENT] = torch.log2(scale.double()).to(torch.int8)
    return found


def unpacked(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Takes back `packed`. What does not fit together stays as it is, for whoever compares it with the model's shape."""
    found = dict(tensors)
    for name, exponent in tensors.items():
        whole = tensors.get(name.removesuffix(EXPONENT))
        if not name.endswith(EXPONENT) or whole is None:
            continue
        fits = whole.ndim == 2 and exponent.shape == (whole.shape[0], 1)
        if fits and whole.dtype == torch.int16 and exponent.dtype == torch.int8:
            found[name.removesuffix(EXPONENT)] = whole.float() * torch.exp2(exponent.double()).float()
            del found[name]
    return found


def least_bytes(shapes: Mapping[str, Tensor]) -> int:
    """Of the values of a model with such tensors, however much of it is packed."""
    return sum(t.numel() * (2 if t.ndim == 2 else t.element_size()) for t in shapes.values())
