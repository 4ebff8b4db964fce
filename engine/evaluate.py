"""The one number that matters: the loss on text the model has not seen.

All of the validation split, in non-overlapping windows of the block size, nothing random: two evaluations of the same weights
give the same number. Sliding windows would give each character more context and flatter the model, so they are not used.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from models.interface import LanguageModel
from models.learning import Learner

# Windows are evaluated in chunks of about this many tokens: large enough to be fast, small enough for any memory.
CHUNK_TOKENS = 8192


@torch.inference_mode()
def total_nats(
    model: LanguageModel,
    ids: NDArray[np.integer],
    chunk_tokens: int = CHUNK_TOKENS,
    learner: Learner | None = None,
) -> float:
    """The summed cross-entropy of tokens 1 to N - 1 of ids (N,), each predicted from the earlier ones in its window, in nats.

    Whole windows are the `learner`'s, if there is one.
    """
    block = model.config.block_size
    device = next(model.buffers() if model.config.arch == "ngram" else model.parameters()).device
    tokens = torch.from_numpy(np.ascontiguousarray(ids).astype(np.int64))
    whole = (len(tokens) - 1) // block
    rows = max(1, chunk_tokens // block)
    was_training = model.training
    model.eval()
    total = 0.0
    inputs, targets = tokens[: whole * block].view(-1, block), tokens[1 : whole * block + 1].view(-1, block)
    pieces = []
    if whole and learner is not None:
        total = learner.nats(inputs, targets)
    elif whole:
        pieces = list(zip(torch.split(inputs, rows), torch.split(targets, rows), strict=True))
    if whole * block < len(tokens) - 1:  # the last window is shorter
        pieces.append((tokens[None, whole * block : -1], tokens[None, whole * block + 1 :]))
    for x, y in pieces:
        logits = model(x.to(device))  # (rows, T, V)
        total += F.cross_entropy(logits.flatten(0, 1), y.to(device).flatten(), reduction="sum").item()
    model.train(was_training)
    return total


def validation_loss(
    model: LanguageModel, ids: NDArray[np.integer], characters: int, learner: Learner | None = None
) -> float:
    """Nats per character on a validation split.

    Args:
        learner: what computes in place of torch, as in the training.
        ids: (N,) the split's tokens.
        characters: characters of the split; all but the first count as predicted, so tokenizers can be compared.
    """
    return total_nats(model, ids, learner=learner) / max(1, characters - 1)


def bits(nats: float) -> float:
    return nats / math.log(2)


def perplexity(nats: float) -> float:
    """How many equally likely characters the model hesitates between."""
    return math.exp(min(nats, 700.0))
