"""Which recipe is best for how much training, by arithmetic: what `engine.sizing` decides by and an interface foretells by.

What the table rests on stands in `docs/recipe.md`. Left out: measuring how much training a second buys (`engine.sizing`). No torch
here, so an interface can ask at every key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from engine.errors import UsageError
from engine.recipe import KNOBS, Recipe
from models.config import SIZES, ModelConfig, heads

# What a training step costs: two operations a weight forward, twice that backward.
OPERATIONS_PER_WEIGHT = 6
# What a process takes on with its first update, whatever it trains: threads, and what libraries keep for them.
LOADED_BYTES = 40_000_000
# Of each channel of a token in a layer, while torch computes: measured, in float32 and in bfloat16 (whose attention is in float32).
KEPT_BYTES = {"modern": (116, 90), "classic": (75, 52)}
EVALUATED_TOKENS = 8192  # at a time: CHUNK_TOKENS of engine.evaluate
# That a thread of the compiled kernels sees through at a time: CHUNK_TOKENS of models/c/learning.c.
KERNEL_TOKENS = 512


@dataclass(frozen=True)
class Rung:
    """From so many floating-point operations of training on, this size on windows of this many tokens, so many at a time."""

    operations: float
    size: str
    block_size: int
    batch_size: int


# Small batches: a step on a thousand characters teaches nearly as much as one on four thousand, and there are four times as many.
# And small models: as long as the text is seen only a few times, three steps of a small one teach more than one of a large one.
LADDER = (
    Rung(0.0, "0.1m", 64, 8),
    Rung(2.5e12, "0.3m", 64, 12),
    Rung(5e12, "0.3m", 128, 8),
    Rung(3e13, "0.8m", 128, 8),
    Rung(1.3e14, "1.8m", 128, 12),
    Rung(6e14, "4m", 256, 12),
    Rung(4e15, "10m", 256, 24),
    Rung(4e16, "30m", 256, 64),
)


def rung_for(operations: float) -> Rung:
    """The rung that so many floating-point operations of training reach."""
    return [rung for rung in LADDER if rung.operations <= operations][-1]


def named_rung(size: str) -> Rung:
    """A size that was asked for by its name: its own window, and as many tokens a step as at its place on the ladder."""
    if size not in SIZES:
        raise UsageError(f"There is no size {size!r}; choose auto or one of {', '.join(SIZES)}.")
    rung, block = next(rung for rung in LADDER if rung.size == size), SIZES[size].block_size
    return Rung(0.0, size, block, max(1, rung.batch_size * rung.block_size // block))


def parameters(config: ModelConfig) -> int:
    """Trained values of a `modern` or `classic` model, by arithmetic; `num_params` of the built model says the same.

    Raises:
        ValueError: the architecture counts instead of training.
    """
    width, symbols = config.n_embd, config.vocab_size
    matrices = 12 * config.n_layer * width**2  # 4 in attention, and 2 four times as large in the feed-forward
    if config.arch == "modern":
        # The token itself, the two before it, and a head of its own.
        return matrices + 4 * symbols * width
    if config.arch == "classic":
        # The head is the token embedding; positions; two norms a block and one at the end.
        return matrices + (symbols + config.block_size + 2 * config.n_layer + 1) * width
    raise ValueError(f"a model of architecture {config.arch!r} has no trained values")


def fit(
    values: Mapping[str, Any], rung: Rung, corpus_tokens: int, vocab_size: int, operations: float | None
) -> Recipe:
    """The recipe on a rung.

    Args:
        values: recipe fields set explicitly; they stay as they are.
        corpus_tokens: tokens of the training split.
        operations: floating-point operations that the time buys, or None when `values` has the steps.

    Raises:
        UsageError: a value is out of range, or they do not fit together.
    """
    arch = values.get("arch", "modern")
    shape = SIZES[rung.size]
    fields: dict[str, Any] = {
        "n_layer": shape.n_layer,
        "n_head": heads(rung.size, arch),
        "n_embd": shape.n_embd,
        "block_size": min(rung.block_size, max(2, corpus_tokens - 1)),
        "batch_size": rung.batch_size,
        "optimizer": "adamw" if arch == "classic" else "muon",
    }
    if arch == "classic":
        # The classic recipe keeps to AdamW with its customary rate and warm-up.
        fields |= {"lr": 1e-3, "beta2": 0.99, "warmup_steps": 100, "decay": "cosine"}
    fields |= values
    recipe = Recipe(**fields)
    if arch == "ngram":
        recipe = replace(recipe, steps=1)
    elif operations is not None and "steps" not in values:
        fitting = int(
            operations / (OPERATIONS_PER_WEIGHT * _weights(recipe, vocab_size) * recipe.tokens_per_step)
        )
        recipe = replace(recipe, steps=min(max(1, fitting), KNOBS["steps"].metadata["high"]))
    if arch != "ngram" and "dropout" not in values:
        passes = recipe.steps * recipe.tokens_per_step / max(1, corpus_tokens)
        # A model much smaller than the text cannot learn it by heart, however often it reads it.
        by_heart = passes * min(1.0, _weights(recipe, vocab_size) / max(1, corpus_tokens))
        recipe = replace(recipe, dropout=0.2 if by_heart > 18 else 0.1 if by_heart > 10 else 0.0)
    return recipe


def _weights(recipe: Recipe, vocab_size: int) -> int:
    return parameters(recipe.model_config(vocab_size))


def training_bytes(recipe: Recipe, vocab_size: int, weights: int) -> int:
    """Bytes that training takes at its peak, within three tenths, beyond what a process takes that has loaded torch.

    Weights and what the optimizer remembers are always there; gradients and the activations of one micro-batch come and go, as do the
    copies that a checkpoint is written from.
    """
    if recipe.arch == "ngram":
        return 0
    wide = 8 if recipe.dtype == "float64" else 4
    matrices = 12 * recipe.n_layer * recipe.n_embd**2
    muon = matrices if recipe.optimizer == "muon" else 0
    remembered = muon + 2 * (weights - muon)
    saving = 4 * weights + 2 * wide * remembered
    if recipe.kernels == "compiled":
        learning, moving = _compiled_bytes(recipe, vocab_size, weights), 0
    else:
        learning, moving = 0, wide * weights + max(_activations(recipe, vocab_size, wide), 3 * wide * muon)
    return LOADED_BYTES + wide * (weights + remembered) + learning + max(saving, moving)


def _activations(recipe: Recipe, vocab_size: int, wide: int) -> int:
    """Bytes that torch keeps of one micro-batch on its way back, or takes for an evaluation, whichever is more."""
    tokens = min(recipe.micro_batch or recipe.batch_size, recipe.batch_size) * recipe.block_size
    in_float32, in_bfloat16 = KEPT_BYTES[recipe.arch]
    kept = in_bfloat16 if recipe.dtype == "bfloat16" else in_float32 * wide // 4
    learning = tokens * (kept * recipe.n_embd * recipe.n_layer + 3 * wide * vocab_size)
    if recipe.dropout:
        learning += tokens * (1 + wide) * recipe.n_embd * (2 * recipe.n_layer + 1)
    # No fused kernel drops attention weights on a processor, so they are all kept, about four times.
    if recipe.dropout and recipe.arch == "classic":
        learning += tokens * 4 * recipe.n_head * recipe.block_size * recipe.n_layer * wide
    # One layer after the other is forgotten.
    evaluating = EVALUATED_TOKENS * (kept * recipe.n_embd + 3 * wide * vocab_size)
    return max(learning, evaluating)


def _compiled_bytes(recipe: Recipe, vocab_size: int, weights: int) -> int:
    """Bytes of the compiled kernels (models/c): the matrices packed for both directions, and for every thread gradients and room."""
    width, layers, block = recipe.n_embd, recipe.n_layer, recipe.block_size
    # Each matrix twice, with a panel of 64 in reserve at either side.
    packed = 2 * (12 * layers * width**2 + vocab_size * width) + 64 * (
        16 * layers * width + vocab_size + width
    )
    tokens = max(1, KERNEL_TOKENS // block) * block
    room = tokens * ((10 * layers + 17) * width + vocab_size + 64) + 6 * block * width // recipe.n_head
    orthogonal = 13 * width**2 if recipe.optimizer == "muon" else 0
    return 4 * (packed + max(1, recipe.threads) * (weights + room + orthogonal))
