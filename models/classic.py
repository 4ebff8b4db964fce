"""The classic GPT: learned token and position embeddings, pre-LayerNorm blocks, causal self-attention, GELU feed-forward.

This is the architecture of GPT-2 (Radford et al. 2019) in the shape that nanoGPT made famous for characters: no bias in
the matrices, and the head shares its weights with the token embedding. Read it top to bottom: `Classic.forward` is the
whole model, `Block` one layer of it, `Attention` and `FeedForward` the two halves of a layer.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.config import ModelConfig
from models.interface import Cache, LanguageModel
from models.layers import KVCache, Linear, causal_attention


class Classic(LanguageModel):
    """Token and position embeddings, `n_layer` blocks, a final LayerNorm, and the language-model head."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.token_embedding = nn.Embedding(config.vocab_size, config.n_embd)
        self.position_embedding = nn.Embedding(config.block_size, config.n_embd)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(config, layer) for layer in range(config.n_layer))
        self.norm = LayerNorm(config.n_embd)
        self.reset()

    def reset(self) -> None:
        """GPT-2's initialisation: normal(0, 0.02), the projections into the residual stream scaled by 1 / sqrt(2 layers)."""
        residual_std = 0.02 / math.sqrt(2 * self.config.n_layer)
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                nn.init.normal_(parameter, std=residual_std if name.endswith("project.weight") else 0.02)

    def new_cache(self, batch_size: int = 1) -> KVCache:
        weight = self.token_embedding.weight
        return KVCache(self.config, batch_size, self.compute_dtype or weight.dtype, weight.device)

    def forward(self, ids: Tensor, cache: Cache | None = None) -> Tensor:
        kv = cache if isinstance(cache, KVCache) else None
        start = kv.length if kv else 0
        positions = torch.arange(start, start + ids.size(1), device=ids.device)  # (T,)
        x = self.token_embedding(ids) + self.position_embedding(positions)  # (B, T, C)
        x = self.dropout(x).to(self.compute_dtype or x.dtype)
        for block in self.blocks:
            x = block(x, kv)
        if kv:
            kv.advance(ids)
        logits = F.linear(self.norm(x), self.token_embedding.weight.to(x.dtype))  # (B, T, V)
        return logits.float() if logits.dtype == torch.bfloat16 else logits


class Block(nn.Module):
    """Attention, then feed-forward; each reads the normalised stream and adds its answer to it."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.attention_norm = LayerNorm(config.n_embd)
        self.attention = Attention(config, layer)
        self.feed_forward_norm = LayerNorm(config.n_embd)
        self.feed_forward = FeedForward(config)

    def forward(self, x: Tensor, kv: KVCache | None) -> Tensor:
        x = x + self.attention(self.attention_norm(x), kv)
        y: Tensor = self.feed_forward(self.feed_forward_norm(x))
        return x + y


class Attention(nn.Module):
    """Multi-head self-attention in which a position sees itself and what came before it."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.layer, self.n_head, self.dropout = layer, config.n_head, config.dropout
        self.query_key_value = Linear(config.n_embd, 3 * config.n_embd)
        self.project = Linear(config.n_embd, config.n_embd)

    def forward(self, x: Tensor, kv: KVCache | None) -> Tensor:
        B, T, C = x.shape
        qkv = self.query_key_value(x).view(B, T, 3, self.n_head, C // self.n_head)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (B, n_head, T, head_size)
        if kv:
            k, v = kv.append(self.layer, k, v)
        y = causal_attention(q, k, v, self.dropout if self.training else 0.0)
        y = y.transpose(1, 2).reshape(B, T, C)
        return F.dropout(self.project(y), self.dropout, self.training)


class FeedForward(nn.Module):
    """Four times wider, GELU, and back."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.dropout = config.dropout
        self.expand = Linear(config.n_embd, 4 * config.n_embd)
        self.project = Linear(4 * config.n_embd, config.n_embd)

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(self.project(F.gelu(self.expand(x))), self.dropout, self.training)


class LayerNorm(nn.Module):
    """Mean 0, variance 1 along the last dimension, times a learned gain (Ba et al. 2016); no bias."""

    def __init__(self, n_embd: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(n_embd))

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.weight.shape, self.weight.to(x.dtype))
