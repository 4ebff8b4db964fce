"""What a model is: one file per architecture, and the named sizes. Imports torch (only when one is built) and nothing of ours."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from models.config import ARCHITECTURES, SIZES, ModelConfig, sized

if TYPE_CHECKING:
    from torch import Tensor

    from models.interface import LanguageModel

__all__ = ["ARCHITECTURES", "SIZES", "ModelConfig", "build", "outline", "sized"]


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


def outline(config: ModelConfig) -> dict[str, Tensor]:
    """The weights of a transformer of `config`, by name, with shapes but neither memory nor values: to be counted or compared.

    `torch.device("meta")` alone would do, but giving values to what has no memory makes torch load its compiler, which takes a second.
    """
    import torch
    from torch.nn import init
    from torch.overrides import TorchFunctionMode

    class Valueless(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            if func in (init.normal_, init.uniform_, init.kaiming_uniform_, init.zeros_):
                return kwargs.get("tensor", *args[:1])
            if func is torch.empty:
                kwargs = {**kwargs, "device": "meta"}
            return func(*args, **kwargs)

    # What is computed for every position is no weight of the modern one, and may be large.
    shape = replace(config, block_size=1) if config.arch == "modern" else config
    with Valueless():
        return build(shape).state_dict()
