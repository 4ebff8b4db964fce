"""The modern GPT: what a decade of small findings adds to the classic one, so that it learns faster.

Notable features, each with its source:
* a position starts out knowing the two tokens before its own, by a table each: a causal convolution over the text that costs
  three look-ups. A head then finds "what came after this last time" in one layer instead of two (the idea of modded-nanogpt's
  smear and of the Canon layers, Allen-Zhu 2025). On tiny Shakespeare it is worth a third of the training (see docs/recipe.md);
* rotary positions instead of a position table (Su et al. 2021), so distance is felt by every head;
* RMSNorm without gain (Zhang and Sennrich 2019), and norm on queries and keys (Henry et al. 2020), which keep the scale of every
  product fixed and allow a high learning rate;
* ReLU squared in the feed-forward (So et al. 2021, Primer);
* projections into the residual stream start at zero (as in modded-nanogpt), so a new model is an embedding and a head, and each
  layer grows from nothing; the head starts at zero too, so the first loss is exactly ln(vocabulary).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.config import ModelConfig
from models.interface import Cache, LanguageModel
from models.layers import KVCache, Linear, causal_attention

# How many tokens before its own a position reads at the input.
EARLIER = 2


class Modern(LanguageModel):
    """Token embeddings, `n_layer` blocks, and a head of its own."""

    cos: Tensor
    sin: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.token_embedding = nn.Embedding(config.vocab_size, config.n_embd)
        self.earlier_embeddings = nn.ModuleList(
            nn.Embedding(config.vocab_size, config.n_embd) for _ in range(EARLIER)
        )
        self.blocks = nn.ModuleList(Block(config, layer) for layer in range(config.n_layer))
        self.head = Linear(config.n_embd, config.vocab_size)
        cos, sin = rotary_tables(config.block_size, config.n_embd // config.n_head)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        self.reset()

    def reset(self) -> None:
        """Matrices uniform with variance 1 / n_in, what writes to the stream zero, embeddings normal(0, 1), earlier ones half."""
        for name, parameter in self.named_parameters():
            if name.startswith("head") or name.endswith("project.weight"):
                nn.init.zeros_(parameter)
            elif name.startswith("token_embedding"):
                nn.init.normal_(parameter)
            elif name.startswith("earlier_embeddings"):
                nn.init.normal_(parameter, std=0.5)
            else:
                bound = (3 / parameter.size(1)) ** 0.5
                nn.init.uniform_(parameter, -bound, bound)

    def new_cache(self, batch_size: int = 1) -> KVCache:
        weight = self.token_embedding.weight
        return KVCache(self.config, batch_size, self.compute_dtype or weight.dtype, weight.device)

    def forward(self, ids: Tensor, cache: Cache | None = None) -> Tensor:
        kv = cache if isinstance(cache, KVCache) else None
        start = kv.length if kv else 0
        x = self.embed(ids, kv.ids[:, max(0, start - EARLIER) : start] if kv else ids[:, :0])  # (B, T, C)
        x = x.to(self.compute_dtype or x.dtype)
        x = F.dropout(x, self.config.dropout, self.training)
        cos = self.cos[start : start + ids.size(1)].to(x.dtype)  # (T, 1, head_size)
        sin = self.sin[start : start + ids.size(1)].to(x.dtype)
        for block in self.blocks:
            x = block(x, cos, sin, kv)
        if kv:
            kv.advance(ids)
        logits: Tensor = self.head(norm(x))  # (B, T, V)
        return logits.float() if logits.dtype == torch.bfloat16 else logits

    def embed(self, ids: Tensor, before: Tensor) -> Tensor:
        """What each token of ids (B, T) is and which ones precede it, (B, T, C); before (B, at most EARLIER) are those of the
        window that come before ids. Where the window begins, nothing precedes."""
        x: Tensor = self.token_embedding(ids)
        text, T = torch.cat((before, ids), dim=1), ids.size(1)
        for lag, table in enumerate(self.earlier_embeddings, 1):
            # (B, at most T, C): those that exist
            earlier = table(text[:, : max(0, text.size(1) - lag)][:, -T:])
            x = x + F.pad(earlier, (0, 0, T - earlier.size(1), 0))
        return norm(x)


class Block(nn.Module):
    """Attention, then feed-forward; each reads the normalised stream and adds its answer to it."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.attention = Attention(config, layer)
        self.feed_forward = FeedForward(config)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, kv: KVCache | None) -> Tensor:
        x = x + self.attention(norm(x), cos, sin, kv)
        y: Tensor = self.feed_forward(norm(x))
        return x + y


class Attention(nn.Module):
    """Causal self-attention on normalised, rotated queries and keys."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.layer, self.n_head, self.dropout = layer, config.n_head, config.dropout
        self.query_key_value = Linear(config.n_embd, 3 * config.n_embd)
        self.project = Linear(config.n_embd, config.n_embd)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, kv: KVCache | None) -> Tensor:
        B, T, C = x.shape
        qkv = self.query_key_value(x).view(B, T, 3 * self.n_head, C // self.n_head)
        # Queries and keys are treated alike, so they are normalised and rotated in one go.
        qk, v = qkv.split((2 * self.n_head, self.n_head), dim=2)
        q, k = rotate(norm(qk), cos, sin).transpose(1, 2).chunk(2, dim=1)  # each (B, n_head, T, head_size)
        v = v.transpose(1, 2)
        if kv:
            k, v = kv.append(self.layer, k, v)
        y = causal_attention(q, k, v)
        y = self.project(y.transpose(1, 2).reshape(B, T, C))
        return F.dropout(y, self.dropout, self.training)


class FeedForward(nn.Module):
    """Four times wider, the square of ReLU, and back."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.dropout = config.dropout
        self.expand = Linear(config.n_embd, 4 * config.n_embd)
        self.project = Linear(4 * config.n_embd, config.n_embd)

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(self.project(F.relu(self.expand(x)).square()), self.dropout, self.training)


def norm(x: Tensor) -> Tensor:
    """Root mean square 1 along the last dimension, without learned gain."""
    return F.rms_norm(x, (x.size(-1),))


def rotary_tables(block_size: int, head_size: int, base: float = 10_000.0) -> tuple[Tensor, Tensor]:
    """cos and signed sin of every position's angles, each (block_size, 1, head_size), ready to broadcast over heads."""
    frequencies = base ** (
        -torch.arange(0, head_size, 2, dtype=torch.float64) / head_size
    )  # (head_size / 2,)
    angles = torch.outer(torch.arange(block_size, dtype=torch.float64), frequencies)[:, None, :]
    cos, sin = angles.cos(), angles.sin()
    return torch.cat((cos, cos), -1).float(), torch.cat((-sin, sin), -1).float()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turns each pair (channel i, channel i + head_size / 2) of x (B, T, n, head_size) by its position's angle."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((second, first), -1) * sin
