"""A step of Muon by compiled code: models/c/muon.c on the weights, gradients and momenta of a torch model.

The step of a small model is a hundred products of small matrices, each too short to share among cores. Here a matrix stays with one
core from its gradient to its new weights, and the matrices are shared out.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from models import compiled, kernel


class Trained(NamedTuple):
    """A matrix, its gradient and its momentum: (n_out, n_in), float32, contiguous, on the processor."""

    weight: Tensor
    gradient: Tensor
    momentum: Tensor


class _Weights(ctypes.Structure):
    _fields_ = (
        ("values", ctypes.c_void_p),
        ("momentum", ctypes.c_void_p),
        ("gradient", ctypes.c_void_p),
        ("n_out", ctypes.c_int),
        ("n_in", ctypes.c_int),
    )


class CompiledMuon:
    """What `engine.optim.Muon` does in a step. The same bits with any number of threads.

    Args:
        library: see `models.kernel.library`.
        matrices: what is updated, in place; they stay where they are.
        threads: at most; no more than `kernel.MOST_THREADS` are of use.
        bfloat16: multiply in bfloat16, with sums in float32.

    Raises:
        ValueError: tensors that the kernel would read wrongly, or bfloat16 is wanted of a processor that does not multiply it.
    """

    def __init__(
        self, library: ctypes.CDLL, matrices: Sequence[Trained], threads: int, *, bfloat16: bool
    ) -> None:
        if bfloat16 and not kernel.knows_bfloat16(library):
            raise ValueError("this processor does not multiply bfloat16")
        for one in matrices:
            for tensor in one:
                if (tensor.shape, tensor.dtype, tensor.device.type, tensor.is_contiguous()) != (
                    one.weight.shape, torch.float32, "cpu", True,
                ) or tensor.ndim != 2:  # fmt: skip
                    raise ValueError(
                        f"contiguous float32 matrices of {tuple(one.weight.shape)} are updated here"
                    )
        library.muon.argtypes = (
            ctypes.c_void_p, ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_float, ctypes.c_float,
            ctypes.c_float, ctypes.c_int, ctypes.c_void_p, ctypes.c_int,
        )  # fmt: skip
        library.muon_floats.restype = ctypes.c_size_t
        self._library, self._bfloat16 = library, bfloat16
        self._threads = min(threads, kernel.MOST_THREADS)
        # The longest first: nobody should begin one when the others have finished.
        self._matrices = sorted(matrices, key=lambda one: -one.weight.numel())
        self._pointed = (_Weights * len(matrices))(
            *(_Weights(w.data_ptr(), m.data_ptr(), g.data_ptr(), *w.shape) for w, g, m in self._matrices)
        )
        needed = max((int(library.muon_floats(*one.weight.shape)) for one in matrices), default=0)
        self._rooms = [torch.empty(needed) for _ in range(self._threads)]
        self._scratch = (ctypes.c_void_p * self._threads)(*(room.data_ptr() for room in self._rooms))

    def step(
        self,
        coefficients: Sequence[tuple[float, float, float]],
        *,
        lr: float,
        momentum: float,
        weight_decay: float,
    ) -> None:
        """Updates weights and momenta by the gradients as they are now.

        Args:
            coefficients: those of each step of Newton-Schulz: of a matrix, of its cube, of its fifth power.
        """
        by = (ctypes.c_float * (3 * len(coefficients)))(*(value for three in coefficients for value in three))
        with compiled.turn:
            self._library.muon(
                self._pointed, len(self._matrices), len(coefficients), by, lr, momentum, weight_decay, int(self._bfloat16),
                self._scratch, self._threads,
            )  # fmt: skip
