"""The pieces that the transformers share: a matrix that follows its input's dtype, causal attention, and the key-value cache."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.config import ModelConfig


class Linear(nn.Linear):
    """A bias-free matrix product in the dtype of its input.

    The weight stays in float32, where the optimizer needs its small digits, and is cast on the way in. Nothing else has to know
    about mixed precision: whoever casts the stream decides.
    """

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__(n_in, n_out, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.to(x.dtype))


class KVCache:
    """Keys and values of every layer, and the tokens themselves, preallocated for one window.

    Attributes:
        keys, values: per layer (B, n_head, block_size, head_size).
        ids: (B, block_size) int64.
        length: positions filled so far.
    """

    def __init__(
        self, config: ModelConfig, batch_size: int, dtype: torch.dtype, device: torch.device | str = "cpu"
    ) -> None:
        shape = (batch_size, config.n_head, config.block_size, config.n_embd // config.n_head)
        self.keys = [torch.empty(shape, dtype=dtype, device=device) for _ in range(config.n_layer)]
        self.values = [torch.empty(shape, dtype=dtype, device=device) for _ in range(config.n_layer)]
        self.ids = torch.empty((batch_size, config.block_size), dtype=torch.long, device=device)
        self.length = 0

    def append(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Stores k, v (B, n_head, T, head_size) behind `length`; returns the layer's keys and values up to there.

        `length` itself moves once per forward pass, after the last layer (`advance`).
        """
        end = self.length + k.size(2)
        self.keys[layer][:, :, self.length : end] = k
        self.values[layer][:, :, self.length : end] = v
        return self.keys[layer][:, :, :end], self.values[layer][:, :, :end]

    def advance(self, ids: Tensor) -> None:
        """Remembers ids (B, T), whose keys and values every layer has appended, and moves behind them."""
        self.ids[:, self.length : self.length + ids.size(1)] = ids
        self.length += ids.size(1)


def causal_attention(q: Tensor, k: Tensor, v: Tensor, dropout: float = 0.0) -> Tensor:
    """softmax(q k^T / sqrt(head_size)) v, where a query sees the keys up to its own position.

    Args:
        q: (B, n_head, T, head_size), the last T of the S positions.
        k, v: (B, n_head, S, head_size).
        dropout: probability of dropping an attention weight.

    Returns:
        (B, n_head, T, head_size) in q's dtype.
    """
    T, S = q.size(2), k.size(2)
    dtype = q.dtype
    if dtype == torch.bfloat16 and q.device.type == "cpu":
        # On processors the bfloat16 kernel's backward pass is several times slower than the float32 one.
        q, k, v = q.float(), k.float(), v.float()
    if T == 1:
        y = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout)
    elif T == S:
        y = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=True)
    else:
        mask = torch.ones(T, S, dtype=torch.bool, device=q.device).tril(S - T)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout)
    return y.to(dtype)
