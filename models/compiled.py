"""Both transformers by compiled code: the forward pass of models/c/writing.c on weights of 16 bits.

A model of a few million parameters spends a character in reading its weights and in calling operations. The kernel reads half the
bytes and calls none. It is exact for weights that 16 bits hold exactly, which is what `round_weights` makes of a model that is to be
played: each row becomes whole numbers times a power of two, 15 bits for its largest weight. Where there is no compiler, the same
weights give the same text by `models.lean`, only more slowly.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models import kernel
from models.classic import Classic
from models.interface import LanguageModel
from models.modern import Modern

# The rows of a matrix, and what has a place for each, are filled up to whole multiples of this: of every kernel's groups.
GROUP = 32
LARGEST = 2**15 - 1


def round_weights(model: nn.Module) -> None:
    """Makes every row of every matrix whole numbers of 16 bits times a power of two, in place.

    The largest weight of a row keeps 14 to 15 bits, more than float16 or bfloat16 would leave it. What is not finite stays.
    """
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2 and parameter.dtype == torch.float32:
                scale = row_scales(parameter)
                parameter.copy_((parameter / scale).round_() * scale)


def row_scales(matrix: Tensor) -> Tensor:
    """The power of two (n_out, 1) by which each row of a matrix (n_out, n_in) becomes numbers of 16 bits."""
    largest = matrix.detach().abs().amax(dim=1, keepdim=True).double()
    exponent = torch.ceil(torch.log2(largest / LARGEST)).clamp(min=-126).nan_to_num(0.0, 0.0, -126.0)
    return torch.exp2(exponent).float()


class _Matrix(ctypes.Structure):
    _fields_ = (
        ("weights", ctypes.c_void_p),
        ("scale", ctypes.c_void_p),
        ("n_in", ctypes.c_int),
        ("n_out", ctypes.c_int),
    )


class _Layer(ctypes.Structure):
    _fields_ = (
        *((name, _Matrix) for name in ("query_key_value", "project", "expand", "contract")),
        *((name, ctypes.c_void_p) for name in ("attention_gain", "feed_forward_gain", "keys", "values")),
    )


class _Model(ctypes.Structure):
    _fields_ = (
        *(
            (name, ctypes.c_int)
            for name in (
                "modern", "n_layer", "n_head", "head_size", "width", "block_size", "positions", "vocab_size", "earlier",
            )
        ),
        ("layers", ctypes.POINTER(_Layer)),
        ("head", _Matrix),
        *(
            (name, ctypes.c_void_p)
            for name in ("gain", "embedding", "other", "cos", "sin", "x", "normed", "wide", "narrow")
        ),
        ("threads", ctypes.c_int),
    )  # fmt: skip


class _Text(ctypes.Structure):
    _fields_ = (("layers", ctypes.c_void_p), ("ids", ctypes.c_void_p), ("position", ctypes.c_int))


# The kernel's threads, and the memory it computes in, serve one pass at a time.
turn = threading.Lock()
_threads = 1


def set_threads(threads: int) -> None:
    """On how many threads the kernel computes from now on, unless a decoder has a number of its own."""
    global _threads
    _threads = threads


def compiled(model: LanguageModel) -> Compiled | None:
    """The compiled form of `model` as its weights are now, or None where there is none.

    The weights are copied; for a model whose parameters need no gradient, and so do not change, they are copied once.
    """
    known: Compiled | None = model.__dict__.get("_compiled")
    if known is not None:
        return known
    if not isinstance(model, Modern | Classic) or model.compute_dtype is not None:
        return None
    if any(p.device.type != "cpu" or p.dtype != torch.float32 for p in model.parameters()):
        return None
    library = kernel.library()
    if library is None:
        return None
    try:
        form = Compiled(model, library)
    except ValueError:
        return None
    if not any(p.requires_grad for p in model.parameters()):
        model.__dict__["_compiled"] = form
    return form


class Compiled:
    """A transformer's weights, laid out for the kernel."""

    def __init__(self, model: LanguageModel, library: ctypes.CDLL) -> None:
        """Raises ValueError when 16 bits do not hold the weights exactly, see `round_weights`."""
        assert isinstance(model, Modern | Classic)
        config = self.config = model.config
        self.library = library
        self._kept: list[NDArray[Any]] = []  # what the structures point to
        self._rows = ctypes.c_int.in_dll(library, "kernel_rows").value
        self._layers = [self._layer(block) for block in model.blocks]
        m = self._model = _Model(
            modern=isinstance(model, Modern), n_layer=config.n_layer, n_head=config.n_head,
            head_size=config.n_embd // config.n_head, width=config.n_embd, block_size=config.block_size,
            positions=_whole(config.block_size), vocab_size=config.vocab_size,
        )  # fmt: skip
        m.embedding = self._copy(model.token_embedding.weight)
        if isinstance(model, Modern):
            tables: list[Tensor] = [table.get_parameter("weight") for table in model.earlier_embeddings]
            m.earlier = len(tables)
            m.head = self._matrix(model.head.weight)
            m.other = self._copy(torch.stack(tables))
            m.cos, m.sin = self._copy(model.cos), self._copy(model.sin)
        else:
            m.head = self._matrix(model.token_embedding.weight)
            m.gain = self._copy(model.norm.weight)
            m.other = self._copy(model.position_embedding.weight)
        m.x = self._zeros(config.block_size, config.n_embd)
        m.normed = self._zeros(config.block_size, config.n_embd)
        m.narrow = self._zeros(config.block_size, _whole(config.n_embd))
        m.wide = self._zeros(config.block_size, _whole(4 * config.n_embd))

    def decoder(self, threads: int | None = None) -> CompiledDecoder:
        """A window of its own over these weights; `threads` None: as `set_threads` says."""
        return CompiledDecoder(self, _Model.from_buffer_copy(self._model), self._layers, threads)

    def _layer(self, block: nn.Module) -> _Layer:
        layer = _Layer()
        for name, submodule in MATRICES.items():
            setattr(layer, name, self._matrix(block.get_submodule(submodule).get_parameter("weight")))
        for name in ("attention", "feed_forward"):
            for gain in (
                block.get_submodule(f"{name}_norm").parameters() if hasattr(block, f"{name}_norm") else ()
            ):
                setattr(layer, f"{name}_gain", self._copy(gain))
        return layer

    def _matrix(self, weight: Tensor) -> _Matrix:
        scale = row_scales(weight)
        whole = (weight.detach() / scale).to(torch.int16)
        if not torch.equal(whole.float() * scale, weight):
            raise ValueError("16 bits do not hold these weights exactly")
        n_out, n_in = weight.shape
        padded = np.zeros((_whole(n_out), n_in), np.int16)
        padded[:n_out] = whole.numpy()
        scales = np.ones(len(padded), np.float32)
        scales[:n_out] = scale.numpy()[:, 0]
        packed = padded.reshape(-1, self._rows, n_in).transpose(0, 2, 1)
        return _Matrix(self._keep(packed), self._keep(scales), n_in, len(padded))

    def _copy(self, tensor: Tensor) -> int:
        return self._keep(tensor.detach().numpy())

    def _zeros(self, *shape: int) -> int:
        return self._keep(np.zeros(shape, np.float32))

    def _keep(self, array: NDArray[Any]) -> int:
        kept = aligned(array)
        self._kept.append(kept)
        return kept.ctypes.data


class CompiledDecoder:
    """The forward pass over one window: at once, then one token a call, in the same bits however the window was cut."""

    def __init__(self, weights: Compiled, model: _Model, layers: list[_Layer], threads: int | None) -> None:
        config = weights.config
        self.weights, self._model, self._threads = weights, model, threads
        size = config.n_embd // config.n_head
        keys, values = (
            (config.n_layer, config.n_head, size, model.positions),
            (config.n_layer, config.n_head, config.block_size, size),
        )
        self._keys, self._values = (
            aligned(np.zeros(keys, np.float32)),
            aligned(np.zeros(values, np.float32)),
        )
        self._layers = (_Layer * config.n_layer)(*layers)
        for n, layer in enumerate(self._layers):
            layer.keys, layer.values = self._keys[n].ctypes.data, self._values[n].ctypes.data
        self._model.layers = self._layers
        self._ids = np.zeros(config.block_size, np.int64)
        self._logits = np.zeros(model.head.n_out, np.float32)
        self._length = 0
        self._at_model = ctypes.byref(self._model)
        self._at_ids, self._at_logits = (ctypes.c_void_p(a.ctypes.data) for a in (self._ids, self._logits))

    def prefill(self, ids: Sequence[int]) -> NDArray[np.float64]:
        """Starts a new window with `ids` (1 to block_size); the logits (V,) of what follows them.

        Raises IndexError when there is no such token, or no room.
        """
        self._length = 0
        return self._read(ids)

    def decode(self, id: int) -> NDArray[np.float64]:
        """Appends one token to the window, which must not be full; the logits (V,) of what follows it. Raises as `prefill`."""
        return self._read((id,))

    def fork(self) -> CompiledDecoder:
        """Another window that has read the same, and goes its own way."""
        other = self.weights.decoder(self._threads)
        other._keys[...], other._values[...], other._ids[...] = self._keys, self._values, self._ids
        other._length = self._length
        return other

    @staticmethod
    def decode_each(decoders: Sequence[CompiledDecoder], ids: Sequence[int]) -> NDArray[np.float64]:
        """One token for each of several windows over the same weights; (n, V), in the bits that each would have got from `decode`.

        Raises:
            IndexError: there is no such token, or a window is full or empty.
            ValueError: they do not share their weights.
        """
        first, n = decoders[0], len(decoders)
        config = first.weights.config
        if (
            any(d.weights is not first.weights for d in decoders)
            or n != len(ids)
            or len(set(map(id, decoders))) != n
        ):
            raise ValueError("windows over the same weights, each with one token")
        if n > config.block_size:
            half = n // 2
            parts = (slice(half), slice(half, None))
            return np.concatenate([CompiledDecoder.decode_each(decoders[part], ids[part]) for part in parts])
        for decoder, token in zip(decoders, ids, strict=True):
            if not (0 < decoder._length < config.block_size and 0 <= token < config.vocab_size):
                raise IndexError(f"token {token} behind {decoder._length} of {config.block_size}")
        texts = (_Text * n)()
        for text, decoder, token in zip(texts, decoders, ids, strict=True):
            decoder._ids[decoder._length] = token
            text.layers, text.ids = ctypes.cast(decoder._layers, ctypes.c_void_p), decoder._ids.ctypes.data
            text.position = decoder._length
        logits = np.zeros((n, first._model.head.n_out), np.float32)
        first._model.threads = first._threads or _threads
        with turn:
            first.weights.library.forward_each(first._at_model, texts, n, ctypes.c_void_p(logits.ctypes.data))
        for decoder in decoders:
            decoder._length += 1
        return logits[:, : config.vocab_size].astype(np.float64)

    def _read(self, ids: Sequence[int]) -> NDArray[np.float64]:
        config, start, end = self.weights.config, self._length, self._length + len(ids)
        # The kernel would read and write wherever it is told.
        if not (start < end <= config.block_size and min(ids) >= 0 and max(ids) < config.vocab_size):
            raise IndexError(
                f"{len(ids)} tokens behind {start} of {config.block_size}, ids of {config.vocab_size}"
            )
        self._ids[start:end] = ids
        self._model.threads = self._threads or _threads
        with turn:
            self.weights.library.forward(self._at_model, self._at_ids, start, len(ids), self._at_logits)
        self._length = end
        return self._logits[: config.vocab_size].astype(np.float64)


MATRICES = {
    "query_key_value": "attention.query_key_value",
    "project": "attention.project",
    "expand": "feed_forward.expand",
    "contract": "feed_forward.project",
}


def aligned(array: NDArray[Any]) -> NDArray[Any]:
    """A copy of `array` in one piece that begins with a cache line."""
    room = np.zeros(array.nbytes + 64, np.uint8)
    start = -room.ctypes.data % 64
    copy = room[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def _whole(n: int) -> int:
    return -(-n // GROUP) * GROUP
