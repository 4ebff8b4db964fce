"""What a second process is good for, and that it changes nothing: `python -m benchmarks.ranks`.

One recipe is trained by one process with one thread, by one with two, and by two processes with one each (gloo over loopback), in turns, by
`tinygpt train` from its start to its end. The speed is that of the updates after the first few. Then, in float32, how far the weights of two
processes are from those of one after 30 steps of two micro-batches: the relative norm of the difference, with AdamW and with Muon.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.shared import Row, home_environment, main, median_ratio, run, source, told, whole
from models.config import SIZES

WARM = 5  # updates of a new process that are not timed
STEPS = 30  # after which weights are compared
ALONE, TORCHRUN = [], ["torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m"]  # fmt: skip

# Of the same batch in the same two micro-batches: processes, threads of each.
SIDES = {
    "1 process, 1 thread": (1, 1),
    "1 process, 2 threads": (1, 2),
    "2 processes, 1 thread each": (2, 1),
}


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--text", default="tales", help="a corpus of the catalogue, or a file")
    parser.add_argument("--sizes", nargs="+", choices=list(SIZES), default=["0.8m", "4m"], metavar="SIZE")
    parser.add_argument("--steps", type=whole, help="updates that are timed [default: 60, short 20]")
    parser.add_argument("--rounds", type=whole, help="how often each side is timed [default: 3, short 1]")


def measure(options: argparse.Namespace) -> Iterator[Row]:
    steps = options.steps or (20 if options.short else 60)
    rounds = options.rounds or (1 if options.short else 3)
    text = source(options.text)
    for size in options.sizes:
        values = {"batch_size": 32, "micro_batch": 16, "block_size": 64, "dropout": 0.1}
        speeds: dict[str, list[float]] = {what: [] for what in SIDES}
        for _ in range(rounds):
            for what, (processes, threads) in SIDES.items():
                told_by = trained(text, size, values | {"threads": threads}, WARM + steps, processes)
                speeds[what].append(told_by["chars_per_s"])
        first = next(iter(speeds.values()))
        for what, found in speeds.items():
            yield {
                "what": f"{size}, {what}",
                **told("chars_per_s", found),
                "ratio": median_ratio(found, first),
                "rounds": rounds,
            }
    for optimizer in ("adamw", "muon"):
        values = {"batch_size": 32, "micro_batch": 16, "block_size": 64, "dropout": 0.1, "threads": 1,
                  "dtype": "float32", "optimizer": optimizer}  # fmt: skip
        one, two = (trained(text, "0.8m", values, STEPS, processes)["weights"] for processes in (1, 2))
        yield {
            "what": f"0.8m, {optimizer}, weights of 2 processes and of 1",
            "steps": STEPS,
            "relative_norm_of_difference": difference(two, one),
            "equal_bits": two == one,
        }


def trained(text: str, size: str, values: dict[str, Any], steps: int, processes: int) -> Row:
    """The speed of a run of so many steps in a home of its own, and its last weights."""
    settings = [
        f"--set={key}={value}" for key, value in (values | {"eval_every": 10**9, "sample_chars": 0}).items()
    ]
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        environment = home_environment(home, kernels=True) | {"OMP_NUM_THREADS": str(values["threads"])}
        run(
            [sys.executable, "-m", *(TORCHRUN if processes > 1 else ALONE), "tinygpt_tui", "train", text, "--name=it",
             f"--size={size}", f"--steps={steps}", "--quiet", *settings],
            environment,
        )  # fmt: skip
        it = home / "data" / "runs" / "it"
        events = [json.loads(line) for line in (it / "events.jsonl").read_text(encoding="utf-8").splitlines()]
        weights = (it / "checkpoints" / f"step-{steps:08d}" / "model.safetensors").read_bytes()
    updates = [event for event in events if event["event"] == "step"]
    return {"chars_per_s": speed(updates), "weights": weights}


def speed(updates: Sequence[Row]) -> float:
    """Characters a second of the median update."""
    took = [b["seconds"] - a["seconds"] for a, b in zip(updates[WARM - 1 :], updates[WARM:], strict=False)]
    return updates[0]["train_chars"] / statistics.median(took)


def difference(one: bytes, other: bytes) -> float:
    """The norm of the difference of two models, of all their weights at once, relative to that of the `other`."""
    import numpy as np
    import safetensors.numpy

    a, b = (
        np.concatenate([value.ravel() for _, value in sorted(safetensors.numpy.load(data).items())])
        for data in (one, other)
    )
    return float(np.linalg.norm(a.astype(np.float64) - b) / np.linalg.norm(b.astype(np.float64)))


if __name__ == "__main__":
    sys.exit(main("ranks", __doc__, measure, add_options))
