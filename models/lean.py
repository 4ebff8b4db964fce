"""One character at a time without the weight of a framework: the transformers' forward pass for one token, in plain numpy.

A model of a few million parameters spends most of a character in dispatching operations, and a larger one in reading its
weights from memory. Here a step is about twenty numpy calls a layer, on weights that lie transposed so that one row times a
matrix reads them in order. Keys and values lie in the same `KVCache` that torch fills when it reads a prompt; numpy sees the same
memory. Only for what lies in float32 or float64 on the processor; everything else takes the ordinary forward pass.

It says the same as `models.classic` and `models.modern`, operation by operation; tests hold the two together.
"""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from models.classic import Classic
from models.interface import LanguageModel
from models.layers import KVCache
from models.modern import EARLIER, Modern

Array = NDArray[np.floating]


class LeanStep(Protocol):
    """The forward pass of one token."""

    def __call__(self, id: int, cache: KVCache) -> Array:
        """Reads token `id` behind those in `cache` (of one row, not full), appends it, and returns the logits (V,)."""


def lean_step(model: LanguageModel) -> LeanStep | None:
    """The lean form of `model` as its weights are now, or None where there is none.

    The weights are copied; for a model whose parameters need no gradient, and so do not change, they are copied once.
    """
    known: LeanStep | None = model.__dict__.get("_lean_step")
    if known is not None:
        return known
    first = next(model.parameters(), None)
    plain = first is not None and first.device.type == "cpu" and first.dtype in (torch.float32, torch.float64)
    if not plain or model.compute_dtype is not None:
        return None
    step: LeanStep
    if isinstance(model, Modern):
        step = LeanModern(model)
    elif isinstance(model, Classic):
        step = LeanClassic(model)
    else:
        return None
    if not any(p.requires_grad for p in model.parameters()):
        model.__dict__["_lean_step"] = step
    return step


class LeanModern:
    """`models.modern.Modern`, one token."""

    def __init__(self, model: Modern) -> None:
        self.heads, self.width = model.config.n_head, model.config.n_embd
        self.embedding = _array(model.token_embedding.weight)
        self.earlier = [_array(table.get_parameter("weight")) for table in _modules(model.earlier_embeddings)]
        self.layers = [
            tuple(_across(block.get_submodule(name)) for name in _MATRICES)
            for block in _modules(model.blocks)
        ]
        self.head = _across(model.head)
        self.cos, self.sin = _array(model.cos)[:, 0], _array(model.sin)[:, 0]  # (block_size, head_size)
        self.epsilon = float(np.finfo(self.embedding.dtype).eps)

    def __call__(self, id: int, cache: KVCache) -> Array:
        t, n, size = cache.length, self.heads, self.width // self.heads
        before = cache.ids.numpy()[0, max(0, t - EARLIER) : t].tolist()
        x = self.embedding[id].copy()
        for table, earlier in zip(self.earlier, reversed(before), strict=False):
            x += table[earlier]
        x = self.norm(x)
        cos, sin = self.cos[t].reshape(2, -1), self.sin[t].reshape(2, -1)
        for layer, (query_key_value, project, expand, contract) in enumerate(self.layers):
            qkv = self.norm(x) @ query_key_value
            qk = qkv[: 2 * self.width].reshape(2 * n, 2, -1)
            # The length of a rotated vector is that of the vector, so it can be turned first and normalised after.
            squares = np.einsum("nhi,nhi->n", qk, qk)
            qk = qk * cos + qk[:, ::-1] * sin
            qk *= (1 / np.sqrt(squares / size + self.epsilon))[:, None, None]
            qk = qk.reshape(2 * n, size)
            v = qkv[2 * self.width :].reshape(n, size)
            x += _attend(qk[:n], qk[n:], v, layer, cache, bounded=True) @ project
            hidden = self.norm(x) @ expand
            np.maximum(hidden, 0, out=hidden)
            hidden *= hidden
            x += hidden @ contract
        _remember(id, cache)
        logits: Array = self.norm(x) @ self.head
        return logits

    def norm(self, x: Array) -> Array:
        # Python's floats leave an array's dtype alone and cost a tenth of numpy's scalars.
        scaled: Array = x * (1 / math.sqrt(float(x.dot(x)) / self.width + self.epsilon))
        return scaled


class LeanClassic:
    """`models.classic.Classic`, one token."""

    def __init__(self, model: Classic) -> None:
        self.heads, self.width = model.config.n_head, model.config.n_embd
        self.embedding, self.positions = (
            _array(model.token_embedding.weight),
            _array(model.position_embedding.weight),
        )
        # A norm's gain scales what the next matrix reads, so it may as well scale the rows of that matrix.
        self.layers = []
        for block in _modules(model.blocks):
            query_key_value, project, expand, contract = (_across(block.get_submodule(m)) for m in _MATRICES)
            query_key_value *= _array(block.get_parameter("attention_norm.weight"))[:, None]
            expand *= _array(block.get_parameter("feed_forward_norm.weight"))[:, None]
            self.layers.append((query_key_value, project, expand, contract))
        self.head = np.ascontiguousarray(self.embedding.T) * _array(model.norm.weight)[:, None]

    def __call__(self, id: int, cache: KVCache) -> Array:
        x = self.embedding[id] + self.positions[cache.length]
        for layer, (query_key_value, project, expand, contract) in enumerate(self.layers):
            q, k, v = (self.norm(x) @ query_key_value).reshape(3, self.heads, -1)
            x += _attend(q, k, v, layer, cache) @ project
            hidden = torch.from_numpy(self.norm(x) @ expand)
            x += F.gelu(hidden).numpy() @ contract
        _remember(id, cache)
        logits: Array = self.norm(x) @ self.head
        return logits

    def norm(self, x: Array) -> Array:
        x = x - float(x.sum()) / self.width
        x *= 1 / math.sqrt(float(x.dot(x)) / self.width + 1e-5)
        return x


_MATRICES = ("attention.query_key_value", "attention.project", "feed_forward.expand", "feed_forward.project")


def _attend(q: Array, k: Array, v: Array, layer: int, cache: KVCache, *, bounded: bool = False) -> Array:
    """Puts k and v (n_head, head_size) into the cache; what q attends to in it, all heads side by side (C,).

    `bounded` says that queries and keys are normalised, so that no score can be too large for the exponential.
    """
    t = cache.length
    keys, values = (
        cache.keys[layer].numpy()[0],
        cache.values[layer].numpy()[0],
    )  # (n_head, block_size, head_size)
    keys[:, t], values[:, t] = k, v
    q = q * (1 / math.sqrt(q.shape[1]))
    scores = np.matmul(keys[:, : t + 1], q[:, :, None])  # (n_head, t + 1, 1)
    if not bounded:
        scores -= scores.max(axis=1, keepdims=True)
    np.exp(scores, out=scores)
    mixed = np.matmul(scores.transpose(0, 2, 1), values[:, : t + 1])[:, 0]  # (n_head, head_size)
    mixed /= scores.sum(axis=1)
    flat: Array = mixed.reshape(-1)
    return flat


def _remember(id: int, cache: KVCache) -> None:
    cache.ids.numpy()[0, cache.length] = id
    cache.length += 1


def _array(tensor: Tensor) -> Array:
    copied: Array = tensor.detach().numpy().copy()
    return copied


def _across(linear: nn.Module) -> Array:
    """A matrix (n_in, n_out) whose rows lie in the order in which a row vector meets them."""
    return np.ascontiguousarray(linear.get_parameter("weight").detach().numpy().T)


def _modules(modules: nn.ModuleList) -> list[nn.Module]:
    return list(modules)
