"""How fast it learns, speaks and starts on this machine: `python -m benchmarks.speed`, one JSON object a line.

Training is timed beside the classic model in float32 with AdamW, one step of nanoGPT's CPU recipe, in the same process and in turns,
so that a noisy machine changes both. Generation is timed past the edge of the window, where a cache is hard. Medians of the rounds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import torch
from torch.nn import functional as F

import models
from engine.device import available_cores, probe, use, use_for_playing
from engine.generate import Stream
from engine.optim import Optimizer
from engine.sampler import SamplerSettings
from models import kernel
from models.compiled import round_weights
from tinygpt_tui.paths import user_paths

VOCAB = 65


def training_step(arch: str, size: str, batch: int, dtype: torch.dtype | None) -> Callable[[], int]:
    """A function that makes one whole update and returns the characters it learned from."""
    config = models.sized(size, arch, VOCAB)
    model = models.build(config)
    model.compute_dtype = dtype
    optimizer = Optimizer(
        model, muon=arch == "modern", lr=1e-3, muon_lr=0.01, weight_decay=0.1, muon_weight_decay=0.1,
        betas=(0.9, 0.95), momentum=0.95, dtype=dtype or torch.float32,
    )  # fmt: skip
    ids = torch.randint(VOCAB, (batch, config.block_size + 1))

    def step() -> int:
        loss = F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step(1.0)
        for parameter in model.parameters():
            parameter.grad = None
        return batch * config.block_size

    return step


def train_speed(size: str, batch: int, rounds: int) -> dict[str, object]:
    """Characters a second of our modern model in this machine's best dtype, and of the reference, in turns."""
    machine = probe()
    use(machine)
    ours = training_step("modern", size, batch, machine.compute_dtype)
    reference = training_step("classic", size, 12 if size == "0.8m" else batch, None)
    speeds: dict[str, list[float]] = {"ours": [], "reference": []}
    for _ in range(rounds + 1):
        for name, step in (("ours", ours), ("reference", reference)):
            began = time.perf_counter()
            chars = step()
            speeds[name].append(chars / (time.perf_counter() - began))
    mine, theirs = (statistics.median(speeds[name][1:]) for name in ("ours", "reference"))
    return {"what": "training", "size": size, "chars_per_s": mine, "reference_chars_per_s": theirs, "ratio": mine / theirs}  # fmt: skip


def generation_speed(arch: str, size: str, chars: int) -> dict[str, object]:
    """Characters a second, one at a time, beginning with a full window."""
    torch.manual_seed(0)
    config = models.sized(size, arch, VOCAB)
    model = models.build(config).eval()
    for parameter in model.parameters():
        if parameter.ndim == 2:
            torch.nn.init.normal_(parameter, std=0.05)
    round_weights(model)  # as every model that is loaded for playing
    use_for_playing(model)
    prompt = torch.randint(VOCAB, (config.block_size,)).tolist()
    stream = Stream(model, prompt, seed=1, settings=SamplerSettings(), start_id=0)
    for _ in range(20):
        stream.step()
    began = time.perf_counter()
    for _ in range(chars):
        stream.step()
    took = time.perf_counter() - began
    return {"what": "generation", "arch": arch, "size": size, "chars": chars, "chars_per_s": chars / took}


def start_up(rounds: int) -> dict[str, object]:
    """Milliseconds of `tinygpt --help` as a whole process."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "tinygpt_tui", "--help"], check=True, capture_output=True)
        times.append((time.perf_counter() - began) * 1000)
    return {"what": "tinygpt --help", "ms": statistics.median(times)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--chars", type=int, default=1000)
    options = parser.parse_args()
    kernels = user_paths().kernels
    if problem := kernel.make(kernels):
        print(json.dumps({"what": "compiled kernel", "problem": problem}))
    kernel.use(kernels)
    machine = probe()
    print(
        json.dumps(
            {
                "what": "machine",
                "cores": available_cores(),
                "dtype": machine.dtype,
                "torch": torch.__version__,
            }
        )
    )
    print(json.dumps(start_up(options.rounds)), flush=True)
    # Before the training, whose load would count as that of others when the threads are chosen.
    for arch, size in (("modern", "0.8m"), ("modern", "10m"), ("classic", "10m")):
        print(json.dumps(generation_speed(arch, size, options.chars)), flush=True)
    for size, batch in (("0.8m", 24), ("1.8m", 16)):
        print(json.dumps(train_speed(size, batch, options.rounds)), flush=True)


if __name__ == "__main__":
    main()
