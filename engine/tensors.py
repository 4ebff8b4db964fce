"""Tensors to bytes and back in the safetensors format, which can hold numbers and nothing that runs.

The bytes may come from a stranger, so nothing is mapped from a file that could shrink under us, and the
header is checked before the library sees it. What it leaves out: files (`engine.checkpoint`) and which
tensors a model needs (`engine.loading`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from engine.errors import CheckpointError

HEADER_LIMIT = 1_000_000  # bytes; ours has about a hundred a tensor
MOST_DIMENSIONS = 8  # ours have three at most, and torch computes with 64


def to_bytes(tensors: Mapping[str, Tensor], *, float32: bool = False) -> bytes:
    """The tensors, of any device and shape, by name; with `float32` floating-point ones are converted."""
    plain: dict[str, Tensor] = {}
    storages: set[int] = set()
    for name, tensor in tensors.items():
        value = tensor.detach().to("cpu")
        if float32 and value.is_floating_point():
            value = value.to(torch.float32)
        value = value.contiguous()
        # The format has no sharing: a tensor tied to another is written out twice.
        if value.untyped_storage().data_ptr() in storages:
            value = value.clone()
        storages.add(value.untyped_storage().data_ptr())
        plain[name] = value
    return safetensors.torch.save(plain)


def from_bytes(data: bytes, name: str) -> dict[str, Tensor]:
    """The tensors in `data`, on the CPU; `name` is what an error calls it.

    Raises:
        CheckpointError: the data are damaged, or not safetensors.
    """
    _check_header(data, name)
    try:
        found = safetensors.torch.load(data)
    except (
        safetensors.SafetensorError,
        ValueError,
        TypeError,
        KeyError,
        RuntimeError,
        OverflowError,
    ) as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise CheckpointError(f"{name} is damaged: {reason}.") from error
    for key, tensor in found.items():
        # Torch makes tensors with which it cannot compute.
        if tensor.ndim > MOST_DIMENSIONS or (tensor.is_floating_point() and tensor.element_size() < 2):
            raise CheckpointError(f"{name} is damaged: {key[:80]!r} is no tensor of ours.")
    return found


def not_finite(tensors: Mapping[str, Tensor]) -> str | None:
    """The name of the first tensor that holds NaN or an infinity, or None."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            return name
    return None


def check_finite(tensors: Mapping[str, Tensor], name: str) -> None:
    """Raises CheckpointError if one holds NaN or an infinity; `name` is what the error calls their file."""
    if (tensor := not_finite(tensors)) is not None:
        raise CheckpointError(f"{name} is damaged: {tensor[:80]!r} holds a value that is not finite.")


def _check_header(data: bytes, name: str) -> None:
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > min(HEADER_LIMIT, len(data) - 8):
        raise CheckpointError(f"{name} is damaged: its header is too long or cut off.")
    try:
        # The library takes the last of two tensors of one name; here a name stands for one tensor.
        header = json.loads(data[8 : 8 + length], object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{name} is damaged: its header is not JSON with unique names.") from error
    if not isinstance(header, dict):
        raise CheckpointError(f"{name} is damaged: its header is not a JSON object.")


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name occurs twice")
    return found
