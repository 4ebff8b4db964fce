"""From a run folder to something that can train: reads the request, settles what it left open, or takes up where a checkpoint is.

Before step 1 everything that decides the run is fixed in `run.json`; a resume reads that and obeys it, and where this machine
cannot obey (another torch, fewer instructions) it says that the resume is not exact, and why.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

import models
from engine import events, runs
from engine.batches import Batches
from engine.checkpoint import checkpoints as list_checkpoints
from engine.checkpoint import find_checkpoint, load_training, load_weights
from engine.control import is_course
from engine.device import MAX_THREADS, Machine, available_cores, probe, use
from engine.errors import CheckpointError, CorpusError, UsageError
from engine.event_log import read_events
from engine.large_text import Tell
from engine.launch import check_request
from engine.learned_text import LearnedText, Splits, learned_text
from engine.manifest import Checkpoint
from engine.optim import Optimizer
from engine.ranks import FIRST, Place, are_cut, check_batch, fitting_micro_batch
from engine.recipe import Recipe, check
from engine.runs import RunFolder
from engine.schedule import Plan
from engine.sizing import available_memory, can_compile, check_memory, little_room, settle
from engine.tensors import HEADER_LIMIT
from engine.tokenizer import Tokenizer, tokenizer_from_json
from engine.training import Job, State
from models import kernel
from models.interface import LanguageModel
from models.learning import Learner, learner


@dataclass
class Prepared:
    """A job that is ready to start, or to go on.

    Attributes:
        folder: the run's.
        info: what run.json says, or will say.
        warnings: sentences for the person, before the first step.
        wall_seconds: what earlier processes of this run spent, without pauses if it has a time.
    """

    folder: RunFolder
    job: Job
    state: State
    info: dict[str, Any]
    warnings: list[str]
    wall_seconds: float


def prepare(
    folder: RunFolder, corpora_dirs: Sequence[Path], *, spent: float, total_steps: int | None, force: bool,
    cache_dir: Path | None = None, place: Place = FIRST, tell: Tell = lambda read, total: None,
) -> Prepared:  # fmt: skip
    """Reads or settles the run.

    Args:
        corpora_dirs: where the text may be kept.
        spent: seconds of a `--time` budget that are gone.
        total_steps: for a resume, the new total of steps.
        force: go on although memory looks too small.
        cache_dir: where fetched catalogue texts lie, and the token files of a corpus too large to be kept; beside the folder of all
            runs, if not given.
        tell: hears how far reading such a corpus is, in bytes; may raise.
        place: among the processes that train together.

    Raises:
        TinygptError: of the kind that fits; nothing was trained.
    """
    request = folder.read_request()
    corpus = _corpus_of(request)
    text = learned_text(corpus, corpora_dirs, cache_dir or folder.corpora.parent / "cache", tell)
    warnings: list[str] = []
    if folder.run.exists():
        info = folder.read_run()
        tokenizer = tokenizer_from_json(folder.read_tokenizer())
        recipe = Recipe.from_json(info["recipe"])
        threads = recipe.threads
        if (begun_by := info.get("ranks", 1)) != place.world:
            threads = _threads(place, _asked_threads(request))
            warnings.append(_other_sums(recipe, begun_by, place.world))
        machine = probe(recipe.dtype, threads)
        if recipe.kernels == "compiled":
            if can_compile(recipe.arch, machine):
                machine = replace(machine, kernels="compiled")
            else:
                warnings.append(
                    "This resume is not bit-exact: the compiled kernels of the run cannot be had here (tinygpt doctor)."
                )
        warnings += _differences(info.get("versions"), _versions(machine))
        splits = text.splits(tokenizer)
    else:
        _check_request(request)
        tokenizer, splits, recipe, machine = _settled(request, text, spent, place)
        info = _run_info(folder, request, recipe, machine, tokenizer, place)
        info["split"] = {"train_chars": splits.train_chars, "val_chars": splits.val_chars}
    if splits.on_training_text:
        warnings.append(
            f"The corpus has only {splits.train_chars + 1} characters, so the validation loss is measured on the training text."
        )
    if recipe.kernels == "eager":
        kernel.use(None)
    check_length(len(splits.train_ids), recipe.block_size)
    check_batch(recipe.batch_size, place.world)
    if recipe.arch == "ngram" and place.world > 1:
        raise UsageError("An ngram model counts in one process: start it without torchrun.")
    if not force:
        free = available_memory()
        computed = replace(recipe, kernels=machine.kernels, threads=machine.threads)
        check_memory(computed, tokenizer.vocab_size, free and free // place.local_world)
    device = use(machine)
    model, optimizer, compiled = _new_model(recipe, tokenizer.vocab_size, machine, device)
    job = Job(
        run=folder.name,
        recipe=recipe,
        model=model,
        optimizer=optimizer,
        batches=Batches(
            splits.train_ids, recipe.block_size, recipe.batch_size, recipe.seed, corpus["sha256"]
        ),
        chars_per_token=splits.train_chars / len(splits.train_ids),
        val_ids=splits.val_ids,
        val_chars=splits.val_chars,
        tokenizer=tokenizer,
        device=device,
        learner=compiled,
    )
    plans = list(recipe.plans) or [Plan(0, 0, recipe.steps, timed=recipe.time is not None)]
    state, wall_seconds = State(plans=plans), 0.0
    # If all are damaged, that is said: days of training are not silently begun again.
    if list_checkpoints(folder):
        checkpoint, skipped = find_checkpoint(folder, "last")
        warnings += skipped
        wall_seconds = _restore(job, state, checkpoint)
        # A plan made at this very step may be younger than the checkpoint, which is written only once.
        state.plans += [plan for plan in _told_plans(folder, state.step) if plan not in state.plans]
    _extend(state, total_steps, recipe.arch)
    if recipe.arch != "ngram":
        warnings += little_room(folder.path, model.num_params())
    prepared = Prepared(folder, job, state, info, warnings, wall_seconds)
    if recipe.arch != "ngram":  # how large that one is, only counting tells
        record(prepared, model.num_params())
    return prepared


def record(prepared: Prepared, params: int) -> None:
    """Writes down, once, what the run was settled on; `params` are its trained values. Raises ResourceError."""
    folder = prepared.folder
    prepared.info["params"] = params
    if not folder.run.exists():
        folder.write_tokenizer(prepared.job.tokenizer.to_json())
        folder.write_run(prepared.info)


def check_length(tokens: int, block_size: int) -> None:
    """Raises CorpusError unless the training split fills one window."""
    if tokens < block_size + 1:
        smaller = f" or --set block_size={min(tokens - 1, block_size)}" if tokens > 2 else ""
        raise CorpusError(
            f"The corpus is too short: its training part has {tokens} tokens and a window needs {block_size + 1}; "
            f"give more text{smaller}."
        )


def manifest_state(job: Job, state: State, wall_seconds: float) -> dict[str, Any]:
    """What a checkpoint's manifest keeps of a run's state. `val_loss` is there only if it was measured at this very step."""
    data = asdict(state)
    data["last_val_loss"] = data["val_loss"]
    data["val_loss"] = state.val_loss if state.eval_step == state.step else None
    data["wall_seconds"] = wall_seconds
    return data


def _settled(
    request: Mapping[str, Any], text: LearnedText, spent: float, place: Place
) -> tuple[Tokenizer, Splits, Recipe, Machine]:
    """The recipe of a new run: given whole (`--recipe`), or settled for this machine and corpus."""
    if isinstance(request.get("recipe"), dict):
        recipe = Recipe.from_json(request["recipe"])
        tokenizer = text.tokenizer(recipe.tokenizer, _bpe_size(recipe.tokenizer, recipe.vocab_size))
        machine = probe(recipe.dtype, recipe.threads if place.world == 1 else _threads(place))
        if recipe.kernels != "eager" and can_compile(recipe.arch, machine):
            machine = replace(machine, kernels="compiled")
        recipe = replace(recipe, dtype=machine.dtype, threads=machine.threads, kernels=machine.kernels)
        return tokenizer, text.splits(tokenizer), recipe, machine
    values = dict(request.get("values") or {})
    if place.world > 1:
        values["threads"] = _threads(place, values.get("threads", 0))
    kind = values.get("tokenizer", "chars")
    tokenizer = text.tokenizer(kind, _bpe_size(kind, values.get("vocab_size", 512)))
    splits = text.splits(tokenizer)
    seconds = values.get("time") if "steps" not in values else None
    left = None if seconds is None else max(0.5 * seconds, seconds - spent - 3.0)
    recipe, machine = settle(
        values, request.get("size", "auto"), len(splits.train_ids), tokenizer.vocab_size, left, place.world
    )
    recipe = replace(
        recipe, time=seconds, dtype=machine.dtype, threads=machine.threads, kernels=machine.kernels,
        micro_batch=recipe.micro_batch or fitting_micro_batch(recipe.batch_size, place.world),
    )  # fmt: skip
    return tokenizer, splits, recipe, machine


def _threads(place: Place, asked: int = 0) -> int:
    """Of a process that shares its machine with others; 0, for it to find out, of the only one."""
    shared = 0 if place.world == 1 else min(MAX_THREADS, place.threads(available_cores()))
    return asked or shared


def _asked_threads(request: Mapping[str, Any]) -> int:
    """What a person gave for a run that may be a stranger's by now; 0 if nothing. Raises UsageError if it is no such number."""
    values = request.get("values")
    asked = values.get("threads", 0) if isinstance(values, dict) else 0
    check("threads", asked)
    return int(asked)


def _bpe_size(kind: str, vocab_size: int) -> int | None:
    return vocab_size if kind == "bpe" else None


def _new_model(
    recipe: Recipe, vocab_size: int, machine: Machine, device: torch.device
) -> tuple[LanguageModel, Optimizer, Learner | None]:
    torch.manual_seed(recipe.seed)
    model = models.build(recipe.model_config(vocab_size))
    if recipe.dtype == "float64":
        model = model.double()
    model = model.to(device)
    model.compute_dtype = machine.compute_dtype
    compiled = None
    if machine.kernels == "compiled":
        compiled = learner(model, kernel.library(), machine.threads, machine.compute_dtype)
    optimizer = Optimizer(
        model,
        muon=recipe.optimizer == "muon",
        lr=recipe.lr,
        muon_lr=recipe.muon_lr,
        weight_decay=recipe.weight_decay,
        muon_weight_decay=recipe.muon_weight_decay,
        betas=(recipe.beta1, recipe.beta2),
        momentum=recipe.momentum,
        dtype=machine.compute_dtype or (torch.float64 if recipe.dtype == "float64" else torch.float32),
        learner=compiled,
    )
    return model, optimizer, compiled


def _restore(job: Job, state: State, checkpoint: Checkpoint) -> float:
    """Puts a checkpoint's tensors and state in place; returns the wall seconds it had cost."""
    data = checkpoint.state
    try:
        # For each weight its value and two moments, in 8 bytes at most; a file far larger than that is not of this run.
        most = 24 * job.model.num_params() + HEADER_LIMIT
        if job.recipe.arch != "ngram" and any(entry.size > most for entry in checkpoint.files):
            raise ValueError("a file of it is far larger than the model")
        if job.recipe.arch != "ngram":
            training = load_training(checkpoint)
            raw = {k.removeprefix("weights."): v for k, v in training.items() if k.startswith("weights.")}
            job.model.load_state_dict(raw or load_weights(checkpoint), strict=True)
            job.optimizer.load(training)
        state.step = checkpoint.step
        state.plans = [Plan(**plan) for plan in data["plans"]]
        state.controls = [events.Control(**control) for control in data["controls"]]
        state.val_loss, state.eval_step = data["last_val_loss"], data["eval_step"]
        state.best_val_loss, state.best_step = data["best_val_loss"], data["best_step"]
        state.train_chars, state.seconds = data["train_chars"], data["seconds"]
        _check_state(state)
        return float(data["wall_seconds"])
    except (KeyError, TypeError, ValueError, RuntimeError, ArithmeticError) as error:
        raise CheckpointError(
            f"{checkpoint.path} does not fit the run ({str(error).splitlines()[0][:120]}); train a new run."
        ) from None


def _check_state(state: State) -> None:
    """Raises ValueError or TypeError if a manifest, perhaps a stranger's, says what no trainer writes."""
    counts = [
        state.eval_step + 1,
        state.best_step,
        state.train_chars,
        *(control.step for control in state.controls),
    ]
    if not state.plans or not all(map(_is_count, counts)) or not all(map(_is_sound, state.plans)):
        raise ValueError("its counts or plans cannot be")
    losses = [loss for loss in (state.val_loss, state.best_val_loss) if loss is not None]
    if not all(type(number) in (int, float) and abs(number) < 1e300 for number in (state.seconds, *losses)):
        raise ValueError("its numbers cannot be")
    if any(not is_course(control) for control in state.controls):
        raise ValueError("its changes of course cannot be")


def _is_sound(plan: Plan) -> bool:
    return all(map(_is_count, (plan.step, plan.start, plan.horizon))) and type(plan.timed) is bool


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value <= runs.MOST_COUNT


def _told_plans(folder: RunFolder, step: int) -> list[Plan]:
    """The plans that were told at `step`, without those of an `extend`: that control is replayed and makes its plan again."""
    told = read_events(folder)
    return [
        plan
        for before, event in pairwise(told)
        if isinstance(event, events.Plan) and event.step == step
        if not (isinstance(before, events.Control) and before.do == "extend")
        if _is_sound(plan := Plan(event.step, event.start, event.horizon, event.timed))
    ]


def _extend(state: State, total_steps: int | None, arch: str) -> None:
    """Puts a new total of steps into force: the rate re-warms if it had run out, else its course is stretched."""
    if total_steps is None:
        return
    if arch == "ngram":
        raise UsageError(
            "An ngram model counts once and is done; there are no steps to ask for with --steps."
        )
    if total_steps <= state.step:
        raise UsageError(f"The run has made {state.step} steps already; ask for more than that with --steps.")
    finished = state.step >= state.horizon
    start = state.step if finished else state.plans[-1].start
    state.plans.append(Plan(state.step, start, total_steps))


def _corpus_of(request: Mapping[str, Any]) -> dict[str, Any]:
    corpus = request.get("corpus")
    if not isinstance(corpus, dict) or not isinstance(corpus.get("sha256"), str):
        raise CheckpointError("The run's request.json names no corpus; start a new run.")
    if any(not isinstance(corpus.get(key), str | None) for key in ("name", "source", "encoding")):
        raise CheckpointError(
            "The run's request.json is damaged: it names no source of its corpus; start a new run."
        )
    return corpus


def _check_request(request: Mapping[str, Any]) -> None:
    """For a run that nothing was settled of. Raises CheckpointError or UsageError if its request cannot have been made by us."""
    values, size, turns = request.get("values") or {}, request.get("size", "auto"), request.get("turns")
    sound = turns is None or (
        isinstance(turns, dict) and all(isinstance(turns.get(who), str) for who in ("user", "model"))
    )
    if not isinstance(values, dict) or not isinstance(size, str) or not sound:
        raise CheckpointError("The run's request.json is damaged; start a new run.")
    check_request(Path(), None, size, values)


def _run_info(
    folder: RunFolder, request: Mapping[str, Any], recipe: Recipe, machine: Machine, tokenizer: Tokenizer, place: Place
) -> dict[str, Any]:  # fmt: skip
    return {
        "version": runs.VERSION,
        "run": folder.name,
        "created": request.get("created") or time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "corpus": request["corpus"],
        "turns": request.get("turns"),
        "recipe": recipe.to_json(),
        "model": recipe.model_config(tokenizer.vocab_size).to_json(),
        "params": 0,
        "threads": machine.threads,
        "dtype": machine.dtype,
        "micro_batch": recipe.micro_batch or recipe.batch_size,
        "kernels": machine.kernels,
        "ranks": place.world,
        "versions": _versions(machine),
    }


def _versions(machine: Machine) -> dict[str, str]:
    return {
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "device": machine.device,
        "machine": platform.machine(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
    }


def _differences(then: object, now: Mapping[str, str]) -> list[str]:
    """One sentence if this machine or build is not the one that began the run."""
    before = then if isinstance(then, dict) else {}
    keys = ("torch", "numpy", "device", "machine", "instructions")
    changed = [f"{key} {before.get(key)} is now {now[key]}" for key in keys if before.get(key) != now[key]]
    return [f"This resume is not bit-exact: {', '.join(changed)}."] if changed else []


def _other_sums(recipe: Recipe, before: object, now: int) -> str:
    """What a resume by another number of processes means for exactness."""
    counts = [count for count in (before, now) if isinstance(count, int)]
    cut = any(are_cut(recipe.batch_size, recipe.micro_batch, count) for count in counts)
    told = f"This resume is not bit-exact: the number of processes was {before} and is {now} now. Their sums come in another order"
    other = recipe.dropout and cut
    return f"{told}, {'and they drop other channels' if other else 'but they learn the same from the same windows'}."
