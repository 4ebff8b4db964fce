"""What opens a whole run of a stranger's: the player, the trainer that goes on with it, the command line; and the starter, read by the same code."""

from __future__ import annotations

import json
import os
import random
from contextlib import suppress
from pathlib import Path
from typing import Any

from engine import events, manifest
from engine.runs import RunFolder
from engine.starter import FOLDER as STARTER_FOLDER
from engine.tokenizer import train_tokenizer
from tests.soak import mutation
from tests.soak.sound_files import (
    CANARY,
    MOST_MESSAGE,
    TEXT,
    Case,
    Files,
    files_of,
    judged,
    lay,
    other_contents,
    trained,
    unsealed,
)


def checkpoint_loads(place: Path) -> Case:
    """Whole runs, of every architecture, as the player loads them: any of their files changed, and the hashes put right."""
    import numpy as np
    import torch

    import models
    from engine import packing
    from engine import tensors as ours
    from engine.checkpoint import save_checkpoint
    from engine.loading import load
    from models import ModelConfig
    from models.ngram import NGram

    torch.set_num_threads(1)
    torch.manual_seed(1)
    tokenizer = train_tokenizer("chars", TEXT)
    shapes = [
        ModelConfig("modern", tokenizer.vocab_size, 8, n_layer=1, n_head=2, n_embd=8),
        ModelConfig("classic", tokenizer.vocab_size, 8, n_layer=1, n_head=2, n_embd=8, dropout=0.5),
        ModelConfig("ngram", tokenizer.vocab_size, 8, order=3),
    ]
    runs: list[Files] = []
    for config in shapes:
        folder = RunFolder.create(place / "sound" / config.arch, "fox", {})
        folder.write_run(
            {"version": 1, "run": "fox", "recipe": {}, "model": config.to_json(), "corpus": {"name": "fox"}, "params": 1,
             "turns": {"user": "> ", "model": "\n"}, "created": "2026-01-02T03:04:05+00:00"}
        )  # fmt: skip
        folder.write_tokenizer(tokenizer.to_json())
        if config.arch == "ngram":
            model: Any = NGram.count(config, np.asarray(tokenizer.encode(TEXT).ids))
        else:
            model = models.build(config)
        for step, loss in ((10, 1.0), (20, 2.0)):
            path = save_checkpoint(folder, step, model.state_dict(), {}, {"val_loss": loss})
        runs.append(files_of(folder.path))
        if config.arch == "modern":  # as the starter is stored
            data = ours.to_bytes(packing.packed(model.state_dict()))
            (path / manifest.MODEL).write_bytes(data)
            (path / manifest.MANIFEST).write_bytes(
                manifest.build(20, {"val_loss": 0.5}, {manifest.MODEL: data})
            )
            runs.append(files_of(folder.path))
    pickled = f"cbuiltins\nopen\n(S'{place / CANARY}'\nS'w'\ntR.".encode()
    folder = RunFolder(place / "runs" / "fox")

    def case(dice: random.Random) -> str:
        sound = dice.choice(runs)
        files = dict(sound)
        for name in dice.sample(sorted(files), dice.choice((1, 1, 1, 2))):
            files[name] = other_contents(dice, name, files[name], pickled)
            step = Path(name).parent / manifest.MANIFEST
            if name.endswith(".safetensors") and dice.random() < 0.9:  # a stranger can compute hashes, too
                parts = {
                    n: files[f"{step.parent}/{n}"]
                    for n in (manifest.MODEL, manifest.TRAINING)
                    if f"{step.parent}/{n}" in files
                }
                files[str(step)] = manifest.build(
                    int(step.parent.name[5:]), unsealed(sound[str(step)])["state"], parts
                )
        lay(folder.path, files)
        at: Any = dice.choice(("best", "last", 10, 20))
        return judged(lambda: _play(load(folder, at, to_write=dice.random() < 0.5)))

    def _play(loaded: Any) -> None:
        """Whatever was accepted can be used."""
        ids = torch.tensor([[0, loaded.config.vocab_size - 1]][: loaded.config.block_size])
        with torch.no_grad():
            assert loaded.model(ids).shape[-1] == loaded.tokenizer.vocab_size
        assert loaded.turns is None or all(isinstance(text, str) for text in loaded.turns.values())

    return case


class Begun(BaseException):
    """The trainer has read everything and is about to make its first step."""


def resumes(place: Path) -> Case:
    """A stranger's run that is to be trained further: everything the trainer reads before its first step."""
    from tests.engine.conftest import World

    data, files = trained(place)
    folder = RunFolder(data / "runs" / "fox")
    world = World(data)
    steps = [name for name in files if name.startswith("checkpoints/step-00000006/")]
    unfinished = {name: contents for name, contents in files.items() if name not in steps}

    def begin(event: object) -> None:
        if isinstance(event, events.Start):
            raise Begun

    def case(dice: random.Random) -> str:
        changed = dict(unfinished)
        for name in dice.sample(sorted(changed), dice.choice((1, 1, 2))):
            if name.endswith(".jsonl"):
                changed[name] = mutation.lines_of(
                    dice, [json.loads(line) for line in files[name].splitlines()]
                )
                continue
            changed[name] = other_contents(dice, name, changed[name], b"cos\nsystem\n(S'true'\ntR.")
            step = Path(name).parent / manifest.MANIFEST
            if name.endswith(".safetensors"):
                parts = {n: changed[f"{step.parent}/{n}"] for n in (manifest.MODEL, manifest.TRAINING)}
                changed[str(step)] = manifest.build(3, json.loads(files[str(step)])["state"], parts)
        lay(folder.path, changed)

        def train() -> None:
            with suppress(Begun):
                world.train(folder, begin)

        return judged(train)

    return case


def commands(place: Path) -> Case:
    """The command line on a stranger's run: an exit code of ours and one sentence, never a defect."""
    import contextlib
    import io

    from tinygpt_tui.cli.exits import run

    os.environ["TINYGPT_HOME"] = str(place)
    os.environ["TINYGPT_ENGINE_COMPILE"] = "off"
    data, files = trained(place)
    folder = RunFolder(data / "runs" / "fox")
    asked = [("runs", "list"), ("runs", "list", "--json"), ("runs", "show", "fox"), ("runs", "show", "fox", "--json"), ("sample", "fox", "-n", "3"),
             ("eval", "fox"), ("runs", "pause", "fox"), ("config", "show"), ("sample", "-n", "2", "--at", "last")]  # fmt: skip

    def case(dice: random.Random) -> str:
        changed = dict(files)
        for name in dice.sample(sorted(changed), dice.choice((1, 2, 3))):
            if name.endswith(".jsonl"):
                changed[name] = mutation.lines_of(
                    dice, [json.loads(line) for line in files[name].splitlines()]
                )
            else:
                changed[name] = other_contents(dice, name, changed[name], b"cos\nsystem\n(S'true'\ntR.")
        if dice.random() < 0.3:
            changed.pop("run.json", None)
        lay(folder.path, changed)
        out, said = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(said):
            code = run(dice.choice(asked))
        words = said.getvalue()
        assert code in range(6), f"exit code {code}"
        assert "defect of tinygpt" not in words and "Traceback" not in words, words[-2000:]
        assert code == 0 or len(words) < MOST_MESSAGE
        return "taken" if code == 0 else f"exit {code}"

    return case


def starter(place: Path) -> Case:
    """The model that is built in, with its own files changed: it is read by the same code as a stranger's run."""
    from engine.loading import load

    if not (STARTER_FOLDER / "run.json").is_file():
        return lambda dice: "absent"
    sound = files_of(STARTER_FOLDER)
    folder = RunFolder(place / "starter")
    lay(folder.path, sound)

    def case(dice: random.Random) -> str:
        name = dice.choice([name for name in sorted(sound) if name.endswith((".json", ".safetensors"))])
        data = sound[name]
        if name.endswith(".safetensors"):  # megabytes: its beginning is what decides
            length = 8 + int.from_bytes(data[:8], "little")
            data = mutation.bytes_of(dice, data[:length], 2) + data[length:]
        else:
            data = other_contents(dice, name, data, b"")
        changed = {name: data}
        if name.endswith(".safetensors"):
            step = Path(name).parent / manifest.MANIFEST
            changed[str(step)] = manifest.build(int(step.parent.name[5:]), {}, {manifest.MODEL: data})
        for part, contents in changed.items():
            (folder.path / part).write_bytes(contents)
        try:
            return judged(lambda: load(folder))
        finally:
            for part in changed:
                (folder.path / part).write_bytes(sound[part])

    return case
