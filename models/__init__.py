"""What a model is: one file per architecture, and the named sizes. Imports torch (only when one is built) and nothing of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.config import ARCHITECTURES, SIZES, ModelConfig, sized

if TYPE_CHECKING:
    from models.interface import LanguageModel

__all__ = ["ARCHITECTURES", "SIZES", "ModelConfig", "build", "sized"]


def build(config: ModelConfig) -> LanguageModel:
    """A freshly initialised model of `config`'s architecture. Weights are drawn from torch's global generator."""
    # Imported here so that reading a preset never costs the second that torch takes to load.
    if config.arch == "classic":
        from models.classic import Classic

        return Classic(config)
    if config.arch == "modern":
        from models.modern import Modern

        return Modern(config)
    from models.ngram import NGram

    return NGram(config)
