"""From "three minutes on this machine" to a recipe: how large a model, how large a batch, which rates.

The machine is measured, not guessed: a small model trains for about two seconds in each sensible setting of dtype and threads,
and the fastest wins. What that speed buys in the given time decides the size, by a table of what ended lowest in
measurements of our own (`engine.size_ladder`). Everything a person sets explicitly stays as set.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

import models
from engine.device import Machine, bfloat16_is_native, probe, use
from engine.errors import ResourceError
from engine.optim import Optimizer
from engine.recipe import Recipe, check
from engine.size_ladder import LADDER as LADDER
from engine.size_ladder import OPERATIONS_PER_WEIGHT, fit, named_rung, rung_for, training_bytes
from engine.size_ladder import Rung as Rung
from models import kernel
from models.config import DEFAULT_SIZE, ModelConfig
from models.kernel import knows_bfloat16
from models.learning import learner

CONTROL_GROUP = Path("/sys/fs/cgroup")
# Of a trained value: itself, and at most two numbers of the optimizer. And what is kept: the last two, the best, and one being written.
CHECKPOINT_BYTES, CHECKPOINTS = 12, 4
SPARE_BYTES = 50_000_000  # for everything else that a run writes
NO_LIMIT = 1 << 60  # bytes; the first version of control groups says "none" by some number beyond that


def settle(
    values: Mapping[str, Any], size: str, corpus_tokens: int, vocab_size: int, seconds: float | None,
    processes: int = 1,
) -> tuple[Recipe, Machine]:  # fmt: skip
    """Resolves what was asked into a recipe and the machine setting that trains it.

    Args:
        values: recipe fields set explicitly.
        size: a name of `SIZES`, or "auto".
        corpus_tokens: tokens of the training split.
        seconds: of training time, or None when `values` has the steps.
        processes: as fast as this one that will train together.

    Raises:
        UsageError: values that do not fit together.
        ResourceError: the model would not fit into memory.
    """
    rung = named_rung(DEFAULT_SIZE if size == "auto" else size)
    for name, value in values.items():
        check(name, value)
    arch = values.get("arch", "modern")
    machine = probe(values.get("dtype", "auto"), values.get("threads", 0))
    operations_per_second = 0.0
    if seconds is not None and arch != "ngram":
        machine, operations_per_second = measure(machine, arch, vocab_size, values, min(1.0, 0.05 * seconds))
        operations_per_second *= processes
    elif values.get("kernels", "auto") != "eager" and can_compile(arch, machine):
        machine = replace(machine, kernels="compiled")
    if size == "auto" and seconds is not None:
        rung = rung_for(seconds * operations_per_second)
    operations = None if seconds is None else seconds * operations_per_second
    recipe = fit(values, rung, corpus_tokens, vocab_size, operations)
    return recipe, replace(machine, threads=recipe.threads or machine.threads)


def measure(
    machine: Machine, arch: str, vocab_size: int, values: Mapping[str, Any], seconds: float = 2.0
) -> tuple[Machine, float]:
    """Trains a small model for about `seconds` in all, in each setting that is left open.

    Compiled kernels, where they can be had and learn this architecture, are not measured against torch's: they always win.

    Returns:
        The fastest setting, and its floating-point operations a second.
    """
    dtypes = [machine.dtype]
    if values.get("dtype", "auto") == "auto" and bfloat16_is_native(machine.device):
        dtypes = ["bfloat16", "float32"]
    threads = [machine.threads]
    if not values.get("threads") and machine.device == "cpu" and machine.threads > 1:
        threads = [machine.threads, 1]
    kernels = (
        "compiled" if values.get("kernels", "auto") != "eager" and can_compile(arch, machine) else "eager"
    )
    tried = [replace(machine, dtype=d, threads=t, kernels=kernels) for t in threads for d in dtypes]
    speeds = {setting: _training_speed(setting, arch, vocab_size, seconds / len(tried)) for setting in tried}
    best = max(speeds, key=lambda setting: speeds[setting])
    return best, speeds[best]


def can_compile(arch: str, machine: Machine) -> bool:
    """Whether a model of `arch` can be trained by compiled kernels here; the first time that takes the seconds of making them."""
    if arch != "modern" or machine.device != "cpu" or machine.dtype not in ("float32", "bfloat16"):
        return False
    library = kernel.library(wait=True)
    return library is not None and (machine.dtype == "float32" or knows_bfloat16(library))


def _training_speed(setting: Machine, arch: str, vocab_size: int, seconds: float) -> float:
    """Floating-point operations a second that training the 0.8m size reaches, by its fastest step."""
    device = use(setting)
    config = models.sized("0.8m", arch, vocab_size)
    with torch.random.fork_rng(devices=[]):
        model = models.build(config).to(device)
    model.compute_dtype = setting.compute_dtype
    compiled = None
    if setting.kernels == "compiled":
        compiled = learner(model, kernel.library(), setting.threads, setting.compute_dtype)
    optimizer = Optimizer(
        model, muon=arch != "classic", lr=0.0, muon_lr=0.0, weight_decay=0.0, muon_weight_decay=0.0,
        betas=(0.9, 0.95), momentum=0.95, dtype=setting.compute_dtype or torch.float32,
        learner=compiled,
    )  # fmt: skip
    ids = torch.zeros(24, config.block_size + 1, dtype=torch.long, device=device)
    best, end, done = float("inf"), time.perf_counter() + seconds, 0
    while done < 2 or time.perf_counter() < end:
        began = time.perf_counter()
        if compiled is not None:
            compiled.gradient(ids[:, :-1], ids[:, 1:], 1.0, 0)
        else:
            loss = F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
            loss.backward()  # type: ignore[no-untyped-call]
            loss.item()  # waits for an accelerator
        optimizer.step(1.0)
        for parameter in model.parameters():
            parameter.grad = None
        done += 1
        if done > 1:
            best = min(best, time.perf_counter() - began)
    return OPERATIONS_PER_WEIGHT * model.num_params() * ids[:, 1:].numel() / best


def count_weights(config: ModelConfig) -> int:
    """Trained values of a model, without allocating it."""
    return sum(weight.numel() for weight in models.outline(config).values())


def memory_estimate(recipe: Recipe, vocab_size: int) -> int:
    """Bytes that training takes at its peak, within three tenths, beyond what a process takes that has loaded torch."""
    if recipe.arch == "ngram":
        return 0
    return training_bytes(recipe, vocab_size, count_weights(recipe.model_config(vocab_size)))


def check_memory(recipe: Recipe, vocab_size: int, available: int | None) -> None:
    """Raises ResourceError when training would take more than 80 % of the memory that is available (bytes; None: unknown)."""
    need = memory_estimate(recipe, vocab_size)
    if available is not None and need > 0.8 * available:
        raise ResourceError(
            f"Training this model would take about {need / 1e9:.1f} GB of memory and {available / 1e9:.1f} GB are free; "
            "choose a smaller --size, batch_size or micro_batch, or pass --force."
        )


def little_room(folder: Path, params: int) -> list[str]:
    """One sentence if the disk of a run may not hold the checkpoints of a model with `params` trained values, else none.

    No reason to refuse the run: only writing tells what a disk takes, and what could not be saved is tried again.
    """
    need = CHECKPOINTS * CHECKPOINT_BYTES * params + SPARE_BYTES
    try:
        free = shutil.disk_usage(folder).free
    except OSError:
        return []
    if free >= need:
        return []
    return [
        f"The disk of {folder} has {free / 1e6:,.0f} MB free and this run may take {need / 1e6:,.0f} MB: free some, or not all is saved."
    ]


def available_memory() -> int | None:
    """Bytes this process could still take, or None where the system does not tell.

    What the machine has free, and what the limit of its control group leaves where there is one: beyond that the process is killed.
    """
    known = [free for free in (_free_memory(), _left_in_group()) if free is not None]
    return min(known, default=None)


def _free_memory() -> int | None:
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:  # noqa: PTH123
            for line in lines:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    return None


def _left_in_group() -> int | None:
    """What a control group, of either version, leaves its processes: files that were read and are not in use give way."""
    for limit, used, cache in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file"),
    ):
        try:
            most = int((CONTROL_GROUP / limit).read_text())
            left = most - int((CONTROL_GROUP / used).read_text())
            stat = (CONTROL_GROUP / limit).with_name("memory.stat").read_text()
        except (OSError, ValueError):  # no such group, or no limit ("max")
            continue
        if most >= NO_LIMIT:
            continue
        found = re.search(rf"^{cache} (\d+)$", stat, re.MULTILINE)
        return max(0, left + (int(found[1]) if found else 0))
    return None
