"""The one interface that every architecture offers, so that every command and screen works on each of them."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from models.config import ModelConfig


class Cache(Protocol):
    """What a model remembers of the tokens it has read; `length` of at most `block_size` positions are filled."""

    length: int


class LanguageModel(nn.Module):
    """A model that predicts the next token.

    `forward(ids)` maps ids (B, T) int64 to logits (B, T, vocab_size): position t holds the scores of token t + 1.
    `forward(ids, cache)` reads the T tokens that follow the `cache.length` tokens already in the cache, appends them, and
    returns the logits of those T positions, equal to the last T of the uncached pass. The caller keeps
    `cache.length + T <= block_size`.

    Attributes:
        config: the shape.
        compute_dtype: the dtype activations travel in, or None for that of the weights. Weights stay as they are stored and
            are cast where they multiply; logits come back in at least float32.
    """

    config: ModelConfig
    compute_dtype: torch.dtype | None = None

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config

    def new_cache(self, batch_size: int = 1) -> Cache:
        raise NotImplementedError

    def forward(self, ids: Tensor, cache: Cache | None = None) -> Tensor:
        raise NotImplementedError

    def num_params(self) -> int:
        """Number of trained values (buffers not counted)."""
        return sum(p.numel() for p in self.parameters())
