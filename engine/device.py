"""What this machine computes with: which device, which dtype pays, how many threads.

Never assumed, always asked: bfloat16 is used only where the hardware multiplies it natively, since elsewhere it is emulated and
slower than float32. What a run settled on is written to its folder and obeyed on resume.
"""

from __future__ import annotations

import functools
import os
import platform
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from threadpoolctl import LibController, ThreadpoolController

from engine.neighbours import Neighbours
from models import compiled, kernel
from models.learning import Learner, learner

if TYPE_CHECKING:
    from models.interface import LanguageModel

# More threads than this only wait for each other at the sizes we train.
MAX_THREADS = 8


@dataclass(frozen=True)
class Machine:
    """Where and how to compute: `device` ("cuda", "mps", "cpu"), `dtype` of the products, processor `threads`, and by which `kernels`:
    "compiled" ones of our own (`models.learning`) or torch's ("eager")."""

    device: str
    dtype: str
    threads: int
    kernels: str = "eager"

    @property
    def compute_dtype(self) -> torch.dtype | None:
        """What `LanguageModel.compute_dtype` is to be: None for float32."""
        return torch.bfloat16 if self.dtype == "bfloat16" else None


def probe(dtype: str = "auto", threads: int = 0) -> Machine:
    """The machine as it is, with what the person asked for put in: the same answer every time it is asked."""
    device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    if dtype == "auto":
        dtype = "bfloat16" if bfloat16_is_native(device) else "float32"
    return Machine(device, dtype, threads or min(MAX_THREADS, available_cores()))


def bfloat16_is_native(device: str) -> bool:
    """Whether the hardware itself multiplies bfloat16."""
    if device == "cuda":
        return torch.cuda.get_device_capability() >= (8, 0)
    if device == "mps":
        return False
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name) for name in ("amx_bf16", "amx_tile", "avx512_bf16", "sve_bf16"))


def available_cores() -> int:
    """Cores this process may use: its affinity mask, and the quota of its control group where there is one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        cores = min(cores, max(1, round(int(quota) / int(period))))
    except (OSError, ValueError):
        pass  # no control group, or no quota ("max")
    return cores


def use(machine: Machine) -> torch.device:
    """Sets the process up for `machine` and returns its device.

    Beside compiled kernels torch has one thread: after each of its operations on several, all but one of them spin for a while, on
    the cores that the kernel's need.
    """
    torch.set_num_threads(1 if machine.kernels == "compiled" else machine.threads)
    return torch.device(machine.device)


def set_threads(threads: int, for_numpy: int | None = None) -> None:
    """Computes on so many threads from now on: torch, and what knows nothing of torch's number: the compiled kernel, and numpy.

    Args:
        for_numpy: their own number; that of torch, if not given. For numpy never more than it came with.
    """
    torch.set_num_threads(threads)
    compiled.set_threads(threads if for_numpy is None else for_numpy)
    for library, most in _numpy_libraries():
        library.set_num_threads(min(most, threads if for_numpy is None else for_numpy))


@functools.cache
def _numpy_libraries() -> tuple[tuple[LibController, int], ...]:
    """What multiplies for numpy, each with the number of threads it came with: its own choice, or a person's by OPENBLAS_NUM_THREADS."""
    assert np.__version__  # numpy's library is looked for among those that are loaded
    libraries = ThreadpoolController().select(user_api="blas").lib_controllers
    return tuple((library, library.num_threads) for library in libraries)


def describe() -> dict[str, str]:
    """What `tinygpt doctor` shows of the engine's side of the machine."""
    machine = probe()
    flags = [
        name
        for name in ("avx2", "avx512_f", "avx512_bf16", "amx_tile", "amx_bf16")
        if torch.cpu.get_capabilities().get(name)
    ]
    compiler = shutil.which("g++") or shutil.which("clang++") or shutil.which("c++")
    return {
        "torch": torch.__version__,
        "processor": platform.processor() or platform.machine(),
        "cores": str(available_cores()),
        "instructions": " ".join(flags) or "none that matter here",
        "device": machine.device,
        "training dtype": machine.dtype,
        "training threads": str(machine.threads),
        "fast writing": kernel.state(),
        "c++ compiler": "found" if compiler else "none",
    }


# Below this many parameters, the threads of a matrix-vector product wait for each other longer than they compute.
SMALL_PARAMS = 5_000_000


def use_for_playing(model: LanguageModel, threads: int | None = None) -> None:
    """Sets the threads up for writing one character at a time with `model`, on `threads` if a person chose their number.

    One for torch even where the model is large: what writes (`models.compiled`, `models.lean`) has threads of its own, and these and
    torch's would wait for each other. For it as many as there are cores nobody else computes on: where they are taken, threads wait
    in turn for one that has no core, and a character takes ten times as long.
    """
    small = sum(p.numel() for p in model.parameters()) < SMALL_PARAMS
    alone = small or model.config.arch in ("modern", "classic")
    for_torch = threads or (1 if alone else min(MAX_THREADS, available_cores()))
    set_threads(for_torch, threads or (1 if small else min(MAX_THREADS, _free_cores())))


_neighbours = Neighbours()


def _free_cores() -> int:
    """The cores that nobody else computes on; at least one, for us."""
    return max(1, available_cores() - round(_neighbours.cores()))


@contextmanager
def playing(model: LanguageModel) -> Iterator[None]:
    """Writes with `model` for a while in a process that trains; weights, threads, dtype and mode are put back afterwards.

    On one thread: the others of this process spin for a while after an update, and other trainers may be at work.
    With rounded matrices and in float32, as its checkpoints are played: what a run writes at a step is what `tinygpt sample` writes there.
    """
    threads, was_training, dtype = torch.get_num_threads(), model.training, model.compute_dtype
    weights = [p.detach().clone() for p in model.parameters()]
    model.eval()
    model.compute_dtype = None
    set_threads(1)
    try:
        compiled.round_weights(model)
        yield
    finally:
        with torch.no_grad():
            for parameter, weight in zip(model.parameters(), weights, strict=True):
                parameter.copy_(weight)
        set_threads(threads)
        model.compute_dtype = dtype
        model.train(was_training)


def use_as_trained(model: LanguageModel, run_info: Mapping[str, Any]) -> Learner | None:
    """Computes with the dtype the run trained with where this machine multiplies it natively, by its kernels if they can be had here,
    and with all threads; so that measuring again gives the number that training gave.

    Returns:
        what measures in place of torch, if anything does.
    """
    torch.set_num_threads(min(MAX_THREADS, available_cores()))
    if run_info.get("dtype") == "bfloat16" and bfloat16_is_native("cpu"):
        model.compute_dtype = torch.bfloat16
    if run_info.get("kernels") != "compiled":
        return None
    return learner(model, kernel.library(wait=True), torch.get_num_threads(), model.compute_dtype)
