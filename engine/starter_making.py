"""Makes the starter: trains a model with the ordinary trainer on tales and small talk, and puts its best checkpoint into `models/starter`.

`python -m engine.starter make` does all of it; `python -m engine.starter make --from RUN_DIR` takes a run that is trained already. The
matrices are rounded to 16 bits as they are for playing (`models.compiled.round_weights`) and stored so (`engine.packing`); the loss that
is written down is measured on these rounded weights, as `tinygpt eval starter` measures it again. Left out: what the starter is for
(`engine.starter`).
"""

from __future__ import annotations

import argparse
import hashlib
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

import models
from engine import catalogue, events, manifest, starter, tensors
from engine.corpus import load_stored, read_corpus, split
from engine.device import use_as_trained
from engine.errors import RunError, TinygptError, UsageError
from engine.evaluate import validation_loss
from engine.launch import new_run
from engine.loading import Loaded, load
from engine.packing import least_bytes, packed
from engine.recipe import Recipe, parse_value
from engine.runs import STARTER, RunFolder, Status
from engine.storage import dump_json
from engine.trainer import train
from models import kernel

CORPUS = "tales-and-talk"
PARTS = ("tales", "smalltalk")  # the corpora it is made of, whose hashes are written down
MOST_BYTES = 3_000_000  # of everything that is shipped
# Nearly the largest that fits, with room for tables; nine minutes on two cores. In a window of 256 characters a tale is still known
# for a tale, and a name that was said is remembered.
VALUES: Mapping[str, Any] = {
    "time": 540.0,
    "n_layer": 4,
    "n_head": 2,
    "n_embd": 160,
    "block_size": 256,
    "sample_chars": 0,
    "seed": 1,
}
FILES = ("run.json", "tokenizer.json", "status.json", "checkpoints")

Say = Callable[[str], None]


def make(target: Path, values: Mapping[str, Any], cache_dir: Path | None = None, say: Say = lambda line: None) -> RunFolder:  # fmt: skip
    """Trains a model for the starter in a folder that is thrown away, and packs it into `target`.

    Args:
        values: fields of the recipe; others are settled by the trainer.
        cache_dir: where compiled kernels are kept; they are made anew without it.

    Raises:
        UsageError: a value is out of range. RunError: the model would be too large, or its training was interrupted.
        TinygptError: as `engine.trainer.train`.
    """
    corpus = read_corpus(CORPUS)
    _check_size(values, corpus.text)
    with tempfile.TemporaryDirectory(prefix="starter-") as scratch:
        folder = new_run(Path(scratch) / "data", corpus, name="training", values=values)
        code = train(folder, _teller(say), cache_dir=cache_dir or Path(scratch) / "cache")
        if code:
            raise RunError("The training was interrupted, so the starter stays as it was.")
        return pack(folder, target, cache_dir or Path(scratch) / "cache", say)


def pack(source: RunFolder, target: Path, cache_dir: Path | None = None, say: Say = lambda line: None) -> RunFolder:  # fmt: skip
    """Puts the best checkpoint of a run into `target` as the starter; what is there stays until all of the new one is sound.

    Raises:
        CheckpointError, CorpusError: the run or its text cannot be read. RunError: it comes to more than `MOST_BYTES`.
    """
    kernel.use(cache_dir and cache_dir / "kernels")
    loaded = load(source, "best", to_write=True)
    target.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".new-", dir=target))
    try:
        _write(RunFolder(draft), source, loaded)
        size = sum(path.stat().st_size for path in draft.rglob("*") if path.is_file())
        if size > MOST_BYTES:
            raise RunError(f"The starter would have {size:,} bytes, of which {MOST_BYTES:,} are allowed: train a smaller model.")  # fmt: skip
        _compare(loaded, load(RunFolder(draft)))
        for name in FILES:
            _replace(draft / name, target / name)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    folder = RunFolder(target)
    figures = _figures(folder, size)
    card = target / "README.md"
    if card.is_file():
        card.write_text(with_figures(card.read_text(encoding="utf-8"), figures), encoding="utf-8")
    for name, figure in figures.items():
        say(f"{name}: {figure}")
    return folder


def with_figures(card: str, figures: Mapping[str, str]) -> str:
    """The model card with these figures in the rows of its tables that have their names."""
    for name, figure in figures.items():
        row = f"| {name} | {figure} |"
        card = re.sub(rf"(?m)^\| {re.escape(name)} \|.*$", lambda _, row=row: row, card)  # type: ignore[misc]
    return card


def _check_size(values: Mapping[str, Any], text: str) -> None:
    """Refuses, before minutes are spent, what could never be small enough."""
    shape = {name: value for name, value in values.items() if name != "time"}
    least = least_bytes(models.outline(Recipe(**shape).model_config(len(set(text)))))
    if least > MOST_BYTES:
        raise RunError(f"Such a model has {least:,} bytes, of which {MOST_BYTES:,} are allowed: choose a smaller one.")  # fmt: skip


def _write(folder: RunFolder, source: RunFolder, loaded: Loaded) -> None:
    """The files of the starter: as a run's, but nobody's."""
    info = {key: value for key, value in loaded.run_info.items() if key not in ("run", "created")}
    data = tensors.to_bytes(packed(loaded.model.state_dict()))
    loss = _measured(source, loaded)
    described = {
        "version": info.pop("version"),
        "run": STARTER,
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "licence": "MIT",
        "made": "python -m engine.starter make: the best checkpoint, matrices rounded to 16 bits",
        "parts": {name: _sha256_of(name) for name in PARTS if info["corpus"].get("source") == CORPUS},
        **info,
    }
    status = Status(0, "done", loaded.step, 0.0, loaded.step, "", loss)
    _json(folder.run, described)
    _json(folder.status, asdict(status))
    folder.tokenizer.write_bytes(source.tokenizer.read_bytes())
    checkpoint = folder.checkpoints / manifest.folder_name(loaded.step)
    checkpoint.mkdir(parents=True)
    (checkpoint / manifest.MODEL).write_bytes(data)
    contents = manifest.build(loaded.step, {"val_loss": loss}, {manifest.MODEL: data})
    (checkpoint / manifest.MANIFEST).write_bytes(contents)


def _measured(source: RunFolder, loaded: Loaded) -> float:
    """The validation loss of the rounded weights, nats per character, computed as the run was trained."""
    corpus = loaded.run_info["corpus"]
    _, text = split(load_stored([source.corpora], str(corpus.get("sha256")), corpus.get("source")))
    learner = use_as_trained(loaded.model, loaded.run_info)
    loss = validation_loss(loaded.model, loaded.tokenizer.encode_corpus(text), len(text), learner)
    loaded.model.compute_dtype = None
    return loss


def _compare(loaded: Loaded, packed: Loaded) -> None:
    """Raises RunError unless the packed weights are, to the bit, those that were measured."""
    for name, tensor in loaded.model.state_dict().items():
        if not torch.equal(tensor, packed.model.state_dict()[name]):
            raise RunError(f"{name} is not the same after it was packed: this is a defect, the old starter stays.")  # fmt: skip


def _replace(new: Path, old: Path) -> None:
    if old.is_dir():
        shutil.rmtree(old)
    new.replace(old)


def _figures(folder: RunFolder, size: int) -> dict[str, str]:
    info, status = folder.read_run(), folder.read_status()
    assert status is not None and status.val_loss is not None
    model = info["model"]
    shape = f"{model['n_layer']} layers, width {model['n_embd']}, {model['block_size']} characters of context"
    return {
        "val_loss": f"{status.val_loss:.4f} nats per character on the last 131,072 characters of `{CORPUS}`",
        "parameters": f"{info['params']:,} ({info['model']['arch']}, {shape})",
        "size": f"{size / 1e6:.2f} MB",
        "steps": f"{status.step:,}",
        "made on": info["created"][:10],
    }


def _sha256_of(name: str) -> str:
    return hashlib.sha256(catalogue.text_of(name, None).encode("utf-8")).hexdigest()


def _json(path: Path, value: dict[str, Any]) -> None:
    path.write_bytes(dump_json(value, indent=2) + b"\n")


def _teller(say: Say) -> Callable[[events.Event], None]:
    def tell(event: events.Event) -> None:
        if isinstance(event, events.Eval):
            say(f"step {event.step:,}: val_loss {event.val_loss}")
        elif isinstance(event, events.Warn):
            say(f"warning: {event.message}")

    return tell


def main(argv: Sequence[str]) -> int:
    """`python -m engine.starter make`. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m engine.starter", description=__doc__)
    parser.add_argument("do", choices=["make"])
    parser.add_argument("--from", dest="run", type=Path, metavar="RUN_DIR", help="pack this run, train none")
    parser.add_argument("--time", type=float, metavar="SECONDS", help=f"of training [{VALUES['time']:g}]")
    parser.add_argument("--steps", type=int, metavar="N", help="how many updates, instead of a time")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a field of the recipe; repeatable")  # fmt: skip
    parser.add_argument("--cache", type=Path, metavar="DIR", help="where compiled kernels are kept")
    parser.add_argument("--to", type=Path, default=starter.FOLDER, metavar="DIR", help="[models/starter]")
    options = parser.parse_args(argv)

    def say(line: str) -> None:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()

    try:
        if options.run is not None:
            if not (folder := RunFolder(options.run.absolute())).run.is_file():
                raise UsageError(f"{options.run} is not the folder of a run that has begun.")
            pack(folder, options.to, options.cache, say)
        else:
            make(options.to, _values(options.time, options.steps, options.set), options.cache, say)
    except TinygptError as error:
        say(f"error: {error}")
        return error.exit_code
    return 0


def _values(seconds: float | None, steps: int | None, settings: Sequence[str]) -> dict[str, Any]:
    """The recipe's fields: those above, unless others were given. Raises UsageError."""
    values = dict(VALUES)
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals:
            raise UsageError(f"--set takes KEY=VALUE, such as --set lr=0.003, not {setting[:60]!r}.")
        values[name] = parse_value(name, text)
    if seconds is not None and steps is not None:
        raise UsageError("Give --time or --steps, not both: one settles the other.")
    if seconds is not None:
        values["time"] = parse_value("time", str(seconds))
    if steps is not None:
        values["steps"] = parse_value("steps", str(steps))
    if "steps" in values:
        del values["time"]
    return values
