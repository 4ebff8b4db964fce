"""From a run folder, perhaps a stranger's, to a model one can play with, checked before it is allocated.

The shape comes from a configuration whose every field is bounded; tensors must be exactly the ones that
shape has. No code is loaded, ever. What it leaves out: the tensors a trainer resumes with
(`engine.checkpoint`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

import models
from engine import manifest
from engine.checkpoint import At, find_weights, load_weights
from engine.errors import CheckpointError
from engine.manifest import Checkpoint
from engine.packing import least_bytes
from engine.runs import RunFolder
from engine.tensors import HEADER_LIMIT
from engine.tokenizer import Tokenizer, tokenizer_from_json
from models import ModelConfig
from models.compiled import round_weights

if TYPE_CHECKING:
    from models.interface import LanguageModel


@dataclass(frozen=True, eq=False)
class Loaded:
    """A model with everything that playing with it needs.

    Attributes:
        model: on the CPU, in evaluation mode.
        tokenizer: the run's.
        config: the model's shape.
        step: of the checkpoint.
        val_loss: of the checkpoint, nats per character; None if it was not measured.
        run_info: the contents of `run.json`.
        turns: what stands before a user's and a model's turn, if the corpus has turns.
        skipped: a sentence for each checkpoint that had to be skipped.
    """

    model: LanguageModel
    tokenizer: Tokenizer
    config: ModelConfig
    step: int
    val_loss: float | None
    run_info: dict[str, Any]
    turns: dict[str, str] | None
    skipped: list[str]


def load(
    folder: RunFolder, at: At = "best", dtype: torch.dtype | None = None, *, to_write: bool = False
) -> Loaded:
    """The model of a run. Draws nothing from torch's global generator.

    Args:
        folder: the run; it may be training meanwhile.
        at: which checkpoint, see `find_checkpoint`.
        dtype: convert the weights to this; None leaves them float32.
        to_write: round its matrices to 16 bits (`models.compiled`), so that it writes fast, and the same text however it is computed.
            What is to be measured is not rounded.

    Raises:
        CheckpointError: there is no sound checkpoint, or the folder's parts do not fit together.
    """
    info = folder.read_run()
    config = _config(folder, info)
    tokenizer = tokenizer_from_json(folder.read_tokenizer())
    if tokenizer.vocab_size != config.vocab_size:
        raise CheckpointError(
            f"{folder.tokenizer} has {tokenizer.vocab_size:,} symbols, but the model {config.vocab_size:,}: "
            "they are not from the same run."
        )
    shapes = None if config.arch == "ngram" else models.outline(config)
    # A file far larger than the model is not its file, and no memory is taken for it.
    largest = _largest_tables(config) if shapes is None else _size(shapes)
    largest += HEADER_LIMIT + 8
    checkpoint, data, skipped = find_weights(folder, at, largest)
    model = _model(checkpoint, data, config, shapes)
    model.eval().requires_grad_(False)  # it will not change: a lean copy of it may be kept
    if to_write:
        round_weights(model)
    if dtype is not None:
        model.to(dtype)
    return Loaded(model, tokenizer, config, checkpoint.step, checkpoint.val_loss, info, _turns(info), skipped)


def _turns(info: dict[str, Any]) -> dict[str, str] | None:
    """What stands before the turns of the two who speak, and nothing else that a stranger may have put there."""
    turns = info.get("turns")
    return None if turns is None else {who: turns[who] for who in ("user", "model")}


def _model(
    checkpoint: Checkpoint, data: bytes | None, config: ModelConfig, shapes: dict[str, Tensor] | None
) -> LanguageModel:
    """A model of `config` with the weights in `data`, the contents of their file in `checkpoint`.

    Raises:
        CheckpointError: the weights are damaged, not finite, or not those of `config`.
    """
    name = checkpoint.path / manifest.MODEL
    if shapes is None:
        from models.ngram import NGram

        if data is None:
            size = checkpoint.file(manifest.MODEL).size
            raise CheckpointError(
                f"{name} does not fit the model of its run: no counting model of its order takes {size:,} bytes."
            )
        try:
            return NGram.from_tensors(config, load_weights(checkpoint, data))
        except ValueError as error:
            raise CheckpointError(f"{name} does not fit the model of its run: {error}.") from error
    # The file must be as large as the model, or half of that if it is packed, before memory for the model is taken.
    if data is None or len(data) < least_bytes(shapes):
        size = checkpoint.file(manifest.MODEL).size
        raise CheckpointError(
            f"{name} does not fit the model of its run: {size:,} bytes for {_size(shapes):,} of weights."
        )
    weights = load_weights(checkpoint, data)
    if problem := _misfit(weights, shapes):
        raise CheckpointError(f"{name} does not fit the model of its run: {problem}.")
    # Initial weights are drawn only to be replaced: the caller's random numbers must not notice.
    with torch.random.fork_rng(devices=[]):
        model = models.build(config)
    model.load_state_dict(weights)
    return model


def _config(folder: RunFolder, info: dict[str, Any]) -> ModelConfig:
    try:
        return ModelConfig.from_json(info["model"])
    except (ValueError, TypeError) as error:
        raise CheckpointError(f"{folder.run} is damaged: {str(error)[:300]}.") from error


def _size(shapes: dict[str, Tensor]) -> int:
    """Bytes of the values of such tensors."""
    return sum(tensor.numel() * tensor.element_size() for tensor in shapes.values())


def _largest_tables(config: ModelConfig) -> int:
    """Bytes of the largest tables that a counting model can have: for each n-gram a key and a count."""
    from models.ngram import MAX_TOKENS

    return config.order * MAX_TOKENS * 12


def _misfit(weights: dict[str, Tensor], shapes: dict[str, Tensor]) -> str | None:
    if missing := sorted(set(shapes) - set(weights)):
        return f"{missing[0]} is missing"
    if unknown := sorted(set(weights) - set(shapes)):
        return f"{unknown[0][:80]!r} is unknown"
    for name, shape in shapes.items():
        found = weights[name]
        if found.shape != shape.shape:
            return f"{name} has the shape {tuple(found.shape)}, not {tuple(shape.shape)}"
        if found.dtype != shape.dtype:
            return f"{name} is {found.dtype}, not {shape.dtype}"
    return None
