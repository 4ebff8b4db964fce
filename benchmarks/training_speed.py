"""How many characters a second it learns from, beside nanoGPT's recipe: `python -m benchmarks.training_speed`.

Whole updates as `tinygpt train` makes them: gathering a batch, the gradient, its clipping and the optimizer. The reference is the recipe
of nanoGPT restated in our own code: `classic`, float32, torch's own operations one by one, AdamW, all cores. Each side runs in a process
of its own, in turns, since threads that wait by spinning would slow the other side. Left out, and counted by `benchmarks.learning`:
loading, the first updates of a process, evaluations, samples and saving.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.shared import Row, ask, kernels_folder, main, median_ratio, source, told, whole
from models.config import SIZES

WARM = 2  # updates of a new process, which are slower than all others
AT_LEAST = 2  # updates that are timed, however long they take

# nanoGPT's shapes: its recipe for a processor, and that of its "baby" model.
SHAPES = {"0.8m": (12, 64), "10m": (64, 256)}

# nanoGPT's settings for one processor (its README and train.py); its rate ends at 1e-4, ours at 0.
NANOGPT: dict[str, Any] = {
    "arch": "classic", "dtype": "float32", "kernels": "eager", "optimizer": "adamw", "dropout": 0.0, "lr": 1e-3, "beta1": 0.9,
    "beta2": 0.99, "weight_decay": 0.1, "warmup_steps": 100, "decay": "cosine", "clip": 1.0,
}  # fmt: skip

SIDES = {
    "ours": "at its shape",
    "adamw": "at its shape, with the reference's optimizer",
    "ladder": "at the shape it chooses for 3 minutes",
}


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--text", default="tales", help="a corpus of the catalogue, or a file")
    parser.add_argument("--sizes", nargs="+", choices=list(SIZES), default=list(SHAPES), metavar="SIZE")
    parser.add_argument("--rounds", type=whole, help="how often each side is timed [default: 5, short 2]")
    parser.add_argument("--seconds", type=float, help="of updates in a round [default: 5, short 3]")


def measure(options: argparse.Namespace) -> Iterator[Row]:
    rounds = options.rounds or (2 if options.short else 5)
    seconds = options.seconds or (3.0 if options.short else 5.0)
    for size in options.sizes:
        batch, block = SHAPES.get(size, (12, SIZES[size].block_size))
        shape = {"batch_size": batch, "block_size": block, "dropout": 0.0}
        sides = {
            "ours": ask_for(options.text, size, {**shape, "time": 60.0}, seconds),
            "adamw": ask_for(options.text, size, {**shape, "time": 60.0, "optimizer": "adamw"}, seconds),
            "reference": ask_for(options.text, size, {**NANOGPT, **shape, "steps": 100_000}, seconds),
        }
        if size == "0.8m":
            sides["ladder"] = ask_for(options.text, "auto", {"time": 180.0, "dropout": 0.0}, seconds)
        found: dict[str, list[Row]] = {name: [] for name in sides}
        for _ in range(rounds):
            for name, arguments in sides.items():
                found[name].append(ask("benchmarks.training_speed", *arguments))
        reference = found.pop("reference")
        for name, ours in found.items():
            yield compared(SIDES[name], ours, reference)


def ask_for(text: str, size: str, values: dict[str, Any], seconds: float) -> tuple[str, ...]:
    """The arguments of a child that trains so."""
    return ("--child", json.dumps({"text": source(text), "size": size, "values": values, "seconds": seconds}))


def compared(what: str, ours: list[Row], reference: list[Row]) -> Row:
    """A row of one side beside nanoGPT's recipe, timed in the same rounds."""
    speeds = [[row["chars_per_s"] for row in rows] for rows in (ours, reference)]
    return {
        "what": f"{reference[-1]['weights']:,} weights, {what}",
        "batch": f"{ours[-1]['batch_size']} x {ours[-1]['block_size']}",
        **told("chars_per_s", speeds[0]),
        **told("reference_chars_per_s", speeds[1]),
        "ratio": median_ratio(*speeds),
        "rounds": len(ours),
        "ours": ours[-1],
        "reference": reference[-1],
    }


def timed(text: str, size: str, values: dict[str, Any], seconds: float) -> Row:
    """Trains for so many seconds of updates in this process, as the trainer does; the speed, and what it settled on."""
    from engine.corpus import read_corpus
    from engine.device import available_cores
    from engine.events import Step
    from engine.launch import new_run
    from engine.preparing import prepare
    from engine.training import Surroundings, Training
    from models import kernel
    from tinygpt_tui.paths import user_paths

    cache = user_paths().cache
    kernel.use(kernels_folder())
    if values.get("arch") == "classic":
        values["threads"] = available_cores()
    values |= {"eval_every": 10**9, "sample_chars": 0}
    steps: list[Step] = []
    with tempfile.TemporaryDirectory() as home:
        corpus = read_corpus(text, cache_dir=cache)
        folder = new_run(Path(home), corpus, name="speed", size=size, values=values)
        prepared = prepare(
            folder, [folder.corpora], spent=0.0, total_steps=None, force=False, cache_dir=cache
        )
        recipe, job = prepared.job.recipe, prepared.job
        training = Training(job, prepared.state, Surroundings(save=lambda: ""))
        gc.collect()
        gc.freeze()  # as the trainer does
        for event in training.run():
            if isinstance(event, Step):
                steps.append(event)
                timed_steps = len(steps) - WARM
                if timed_steps >= AT_LEAST and steps[-1].seconds - steps[WARM - 1].seconds >= seconds:
                    break
    first, last = steps[WARM - 1], steps[-1]
    return {
        "chars_per_s": (last.train_chars - first.train_chars) / (last.seconds - first.seconds),
        "updates": len(steps) - WARM,
        "weights": job.model.num_params(),
        **{key: getattr(recipe, key) for key in (
            "arch", "n_layer", "n_head", "n_embd", "block_size", "batch_size", "optimizer", "dtype", "kernels", "threads",
        )},
        "device": job.device.type,
    }  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        sys.stdout.write(json.dumps(timed(**json.loads(sys.argv[2]))) + "\n")
    else:
        sys.exit(main("training_speed", __doc__, measure, add_options))
