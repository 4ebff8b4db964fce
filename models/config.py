"""What a model is before it has weights: its architecture, its shape, and the sizes that have a name.

Nothing here imports torch, so the command line and the interface can list sizes, check bounds and count parameters
without waiting for it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

ARCHITECTURES = ("modern", "classic", "ngram")

# Upper bounds: a configuration from a stranger's file is checked against them before anything is allocated.
MAX_LAYERS = 48
MAX_WIDTH = 4096
MAX_BLOCK = 8192
MAX_VOCAB = 200_000
MAX_ORDER = 8


@dataclass(frozen=True)
class ModelConfig:
    """The shape of one model.

    Attributes:
        arch: one of `ARCHITECTURES`.
        vocab_size: number of symbols the model reads and predicts.
        block_size: the longest window it sees, in tokens.
        n_layer, n_head, n_embd: transformer blocks, attention heads, and width (0 for `ngram`).
        dropout: probability of dropping an activation while training, 0 to below 1 (0 for `ngram`).
        order: for `ngram`, the longest n; 0 for the transformers.

    Raises:
        ValueError: a field is out of bounds or does not fit another.
    """

    arch: str
    vocab_size: int
    block_size: int
    n_layer: int = 0
    n_head: int = 0
    n_embd: int = 0
    dropout: float = 0.0
    order: int = 0

    def __post_init__(self) -> None:
        if self.arch not in ARCHITECTURES:
            raise ValueError(f"unknown architecture {self.arch!r}; it is one of {', '.join(ARCHITECTURES)}")
        _bounded("vocab_size", self.vocab_size, 1, MAX_VOCAB)
        _bounded("block_size", self.block_size, 1, MAX_BLOCK)
        if (
            isinstance(self.dropout, bool)
            or not isinstance(self.dropout, int | float)
            or not 0 <= self.dropout < 1
        ):
            raise ValueError(f"dropout must be a number from 0 to below 1, not {self.dropout!r}")
        if self.arch == "ngram":
            _bounded("order", self.order, 1, MAX_ORDER)
            _unused(self, "n_layer", "n_head", "n_embd", "dropout")
            return
        _unused(self, "order")
        _bounded("n_layer", self.n_layer, 1, MAX_LAYERS)
        _bounded("n_embd", self.n_embd, 1, MAX_WIDTH)
        _bounded("n_head", self.n_head, 1, self.n_embd)
        if self.n_embd % self.n_head:
            raise ValueError(f"n_embd ({self.n_embd}) must be a multiple of n_head ({self.n_head})")
        if self.arch == "modern" and (self.n_embd // self.n_head) % 2:
            raise ValueError("rotary positions need an even number of channels per head")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> ModelConfig:
        """Raises ValueError on unknown or missing keys, wrong types, and values out of bounds."""
        known = {f.name for f in fields(cls)}
        if unknown := set(data) - known:
            raise ValueError(f"unknown model fields: {', '.join(sorted(map(str, unknown)))}")
        if missing := {"arch", "vocab_size", "block_size"} - set(data):
            raise ValueError(f"missing model fields: {', '.join(sorted(missing))}")
        return cls(**data)


@dataclass(frozen=True)
class Size:
    """A named shape: `n_layer` blocks of width `n_embd` with `n_head` heads over `block_size` tokens."""

    n_layer: int
    n_head: int
    n_embd: int
    block_size: int


# Names are the parameter counts of the blocks (12 x layers x width^2), rounded.
SIZES: dict[str, Size] = {
    "0.1m": Size(2, 2, 64, 64),
    "0.3m": Size(3, 3, 96, 64),
    "0.8m": Size(4, 4, 128, 64),
    "1.8m": Size(4, 6, 192, 128),
    "4m": Size(5, 4, 256, 128),
    "10m": Size(6, 6, 384, 256),
    "30m": Size(10, 8, 512, 256),
}

# Channels of a head of the modern transformer, as those of most models: at these sizes fewer, wider heads learn as much and cost less.
HEAD_SIZE = 64


def heads(size: str, arch: str) -> int:
    """Attention heads of a named size: those of the table, as in nanoGPT's recipes, or for `modern` as many as HEAD_SIZE allows."""
    shape = SIZES[size]
    return max(1, shape.n_embd // HEAD_SIZE) if arch == "modern" else shape.n_head


# For a run whose time says nothing about what fits.
DEFAULT_SIZE = "0.8m"


def sized(size: str, arch: str, vocab_size: int, dropout: float = 0.0) -> ModelConfig:
    """The configuration of a named size (for `ngram` only the block size of the name matters).

    Raises:
        ValueError: there is no such size.
    """
    if size not in SIZES:
        raise ValueError(f"unknown size {size!r}; it is one of {', '.join(SIZES)}")
    s = SIZES[size]
    if arch == "ngram":
        return ModelConfig(arch, vocab_size, s.block_size, order=5)
    return ModelConfig(arch, vocab_size, s.block_size, s.n_layer, heads(size, arch), s.n_embd, dropout)


def _unused(config: ModelConfig, *names: str) -> None:
    for name in names:
        value = getattr(config, name)
        if isinstance(value, bool) or value != 0:
            raise ValueError(
                f"{name} means nothing to the {config.arch} architecture; it must be 0, not {value!r}"
            )


def _bounded(name: str, value: object, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f"{name} must be a whole number from {low} to {high}, not {value!r}")
