"""The modern transformer's loss and gradient by compiled code: models/c/learning.c on the parameters of a torch model.

A small model spends more than half of an update in calling some hundred operations, forwards and backwards, and in writing down and
fetching what lies between them. The kernel sees a few windows at a time through the whole model and back, on one thread each, and
calls none. Everything else of the training stays with torch: optimizers, schedules, checkpoints.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from models import compiled, kernel
from models.compiled_muon import CompiledMuon, Trained
from models.interface import LanguageModel
from models.modern import EARLIER, Modern

_LINE = 16  # floats of a cache line: every gradient begins with one
_PANEL = 64  # room for the widest panel of packed columns

MOST_EARLIER = 4


class _Weight(ctypes.Structure):
    _fields_ = (
        ("values", ctypes.c_void_p),
        ("gradient", ctypes.c_size_t),
        ("n_out", ctypes.c_int),
        ("n_in", ctypes.c_int),
        ("forth", ctypes.c_void_p),
        ("back", ctypes.c_void_p),
    )


class _Block(ctypes.Structure):
    _fields_ = tuple((name, _Weight) for name in compiled.MATRICES)


class _Net(ctypes.Structure):
    _fields_ = (
        *(
            (name, ctypes.c_int)
            for name in (
                "n_layer", "n_head", "head_size", "width", "block_size", "vocab_size", "earlier", "threads", "bfloat16",
            )
        ),
        ("seed", ctypes.c_uint32),
        ("dropout", ctypes.c_float),
        ("blocks", ctypes.POINTER(_Block)),
        ("head", _Weight),
        ("embedding", ctypes.c_void_p * (1 + MOST_EARLIER)),
        ("embedding_gradient", ctypes.c_size_t * (1 + MOST_EARLIER)),
        ("parameters", ctypes.c_size_t),
        ("cos", ctypes.c_void_p),
        ("sin", ctypes.c_void_p),
        ("gradients", ctypes.POINTER(ctypes.c_void_p)),
        ("scratch", ctypes.POINTER(ctypes.c_void_p)),
    )  # fmt: skip


def learner(
    model: LanguageModel, library: ctypes.CDLL | None, threads: int, dtype: torch.dtype | None
) -> Learner | None:
    """What computes the gradient of `model` in place of torch, or None where the kernel cannot.

    Args:
        library: see `models.kernel.library`.
        dtype: of the products: None for float32, or bfloat16.
    """
    if library is None or not isinstance(model, Modern) or EARLIER > MOST_EARLIER:
        return None
    if any(p.device.type != "cpu" or p.dtype != torch.float32 for p in model.parameters()):
        return None
    if dtype not in (None, torch.bfloat16) or (dtype is not None and not kernel.knows_bfloat16(library)):
        return None
    return Learner(model, library, min(threads, kernel.MOST_THREADS), bfloat16=dtype is not None)


class Learner:
    """A model's parameters, where they are, with room for the gradients of every thread.

    The same batch and the same number of threads give the same bits.

    Attributes:
        flat: all gradients one behind the other, with zeros in between: the memory of every parameter's `grad`.
    """

    def __init__(self, model: Modern, library: ctypes.CDLL, threads: int, *, bfloat16: bool) -> None:
        config = model.config
        self._library, self._config, self._model = library, config, model
        library.learn.restype = ctypes.c_double
        library.learn.argtypes = (*[ctypes.c_void_p] * 3, ctypes.c_int, ctypes.c_float, ctypes.c_int)
        library.length.restype = ctypes.c_double
        library.scratch_floats.restype = ctypes.c_size_t
        self._kept: list[object] = []  # what the structures point to
        offsets, used = {}, 0
        for name, parameter in model.named_parameters():
            offsets[name] = used
            used += -(-parameter.numel() // _LINE) * _LINE
        self._offsets = offsets
        self._blocks = (_Block * config.n_layer)(*(self._block(n) for n in range(config.n_layer)))
        tables = ["token_embedding.weight", *(f"earlier_embeddings.{n}.weight" for n in range(EARLIER))]
        net = self._net = _Net(
            n_layer=config.n_layer, n_head=config.n_head, head_size=config.n_embd // config.n_head, width=config.n_embd,
            block_size=config.block_size, vocab_size=config.vocab_size, earlier=EARLIER, threads=threads,
            bfloat16=bfloat16, parameters=used,
        )  # fmt: skip
        net.blocks = self._blocks
        net.head = self._weight("head.weight")
        for n, name in enumerate(tables):
            net.embedding[n] = model.get_parameter(name).data_ptr()
            net.embedding_gradient[n] = offsets[name]
        cos, sin = model.cos[:, 0].contiguous(), model.sin[:, 0].contiguous()
        net.cos, net.sin = cos.data_ptr(), sin.data_ptr()
        gradients = [torch.zeros(used) for _ in range(threads)]
        self.flat = gradients[0]
        self._kept += [cos, sin, *gradients]
        net.gradients = (ctypes.c_void_p * threads)(*(g.data_ptr() for g in gradients))
        scratch = library.scratch_floats(ctypes.byref(net))
        net.scratch = (ctypes.c_void_p * threads)(*(self._room(scratch) for _ in range(threads)))
        self._views = [
            (p, self.flat[offsets[name] : offsets[name] + p.numel()].view_as(p))
            for name, p in model.named_parameters()
        ]

    def gradient(self, ids: Tensor, targets: Tensor, share: float, seed: int) -> float:
        """Adds the gradient of `share` times the mean cross-entropy of windows ids (B, block_size) to every parameter's `grad`.

        Args:
            targets: (B, block_size), the token that follows each.
            seed: of the dropout; the same one drops the same channels.

        Returns:
            that share of the mean, in nats. Raises ValueError when the windows are not of the model's size, or hold no such token.
        """
        before = self.flat.clone() if self._views[0][0].grad is not None else None
        scale = share / max(1, ids.numel())
        nats = self._learn(ids, targets, scale, seed, self._model.config.dropout, learning=True)
        if before is not None:
            self.flat.add_(before)
        for parameter, view in self._views:
            parameter.grad = view
        return nats * scale

    def length(self) -> float:
        """The Euclidean length of all gradients together."""
        with compiled.turn:
            found: float = self._library.length(ctypes.byref(self._net))
        return found

    def nats(self, ids: Tensor, targets: Tensor) -> float:
        """The summed cross-entropy of windows, without dropout. Raises as `gradient`."""
        return self._learn(ids, targets, 0.0, 0, 0.0, learning=False)

    def muon(self, matrices: Sequence[Trained]) -> CompiledMuon:
        """What updates `matrices` on the same threads and in the same dtype. Raises as `CompiledMuon`."""
        return CompiledMuon(self._library, matrices, self._net.threads, bfloat16=bool(self._net.bfloat16))

    def _learn(
        self, ids: Tensor, targets: Tensor, scale: float, seed: int, dropout: float, *, learning: bool
    ) -> float:
        ids, targets = ids.contiguous(), targets.contiguous()
        for tokens in (ids, targets):
            # The kernel would read wherever it is told.
            fitting = (
                tokens.ndim == 2 and tokens.size(1) == self._config.block_size and tokens.dtype == torch.long
            )
            if not fitting or tokens.size(0) != ids.size(0) or not tokens.numel():
                raise ValueError(
                    f"windows of {self._config.block_size} tokens, not {tuple(tokens.shape)} {tokens.dtype}"
                )
            low, high = tokens.aminmax()
            if low < 0 or high >= self._config.vocab_size:
                raise ValueError(
                    f"tokens from 0 to {self._config.vocab_size - 1}, not {int(low)} to {int(high)}"
                )
        self._net.seed, self._net.dropout = seed % 2**32, dropout
        with compiled.turn:
            found: float = self._library.learn(
                ctypes.byref(self._net), ids.data_ptr(), targets.data_ptr(), ids.size(0), scale, int(learning)
            )
        return found

    def _block(self, number: int) -> _Block:
        block = _Block()
        for name, path in compiled.MATRICES.items():
            setattr(block, name, self._weight(f"blocks.{number}.{path}.weight"))
        return block

    def _weight(self, name: str) -> _Weight:
        parameter = self._model.get_parameter(name)
        n_out, n_in = parameter.shape
        forth, back = self._room((n_in + 1) * (n_out + _PANEL)), self._room((n_out + 1) * (n_in + _PANEL))
        return _Weight(parameter.data_ptr(), self._offsets[name], n_out, n_in, forth, back)

    def _room(self, floats: int) -> int:
        room = compiled.aligned(np.zeros(floats, np.float32))
        self._kept.append(room)
        return room.ctypes.data
