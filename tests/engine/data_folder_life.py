"""A short life of a data folder, one act after the other, and what the program's own readers find in it.

Every act is one thing a person is told has happened: after a fault it has happened or it has not, and nothing else has.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from engine import checkpoint, control, events, manifest, storage
from engine.corpus import load_stored, read_corpus
from engine.errors import TinygptError
from engine.event_log import EventLog, read_events
from engine.events import Control, Done, Eval, Event, Failed, Saved, Start, Step
from engine.launch import new_run
from engine.lock import RunLock
from engine.run_list import delete_run, folders_in, list_runs
from engine.runs import Meta, RunFolder, Status
from engine.trash import empty_trash, list_trash, restore_run, trash_run
from tinygpt_tui import settings_file
from tinygpt_tui.paths import Paths
from tinygpt_tui.sources.corpus_list import CorpusList
from tinygpt_tui.sources.run_export import export_run

DURABLE = (Control, Saved, Done, Failed)
TEXT = "the cat sat on the mat.\n" * 5
PASTED = "a dog ran to the old red fish.\n" * 5

Picture = dict[str, Any]


def paths_in(home: Path) -> Paths:
    return Paths(home / "config", home / "data", home / "cache", home / "state")


class Life:
    """Whoever acts: a trainer with its lock and its events file, and an interface beside it."""

    def __init__(self, home: Path) -> None:
        self.home, self.paths = home, paths_in(home)
        self.tales = RunFolder(self.paths.runs_dir / "tales")
        self._lock: RunLock | None = None
        self._log: EventLog | None = None

    def train(self) -> None:
        """Becomes the trainer of the run, if it is not that already."""
        if self._lock is None:
            self._lock = self.tales.acquire()
            checkpoint.clean_leftovers(self.tales)

    def leave(self) -> None:
        """The end of the process, however it came."""
        if self._log is not None:
            self._log.close()
        if self._lock is not None:
            self._lock.release()
        self._log = self._lock = None

    def say(self, event: Event) -> None:
        self.train()
        if self._log is None:
            self._log = EventLog.open(self.tales)
        self._log.append(event, durable=isinstance(event, DURABLE))

    def status(self, state: str, step: int) -> None:
        self.train()
        self.tales.write_status(Status(1, state, step, 1.0, 9))

    def save(self, step: int, val_loss: float) -> None:
        self.train()
        tensors = {"a.weight": torch.full((3, 2), float(step)), "b": torch.arange(4.0)}
        checkpoint.save_checkpoint(
            self.tales, step, tensors, {"t": torch.tensor(step)}, {"val_loss": val_loss}
        )

    def prune(self) -> None:
        self.train()
        checkpoint.prune(self.tales, sys.maxsize)

    def begin(self, name: str, source: Path) -> None:
        new_run(self.paths.data, read_corpus(str(source)), name=name, values={"steps": 9})

    def settle(self) -> None:
        self.train()
        self.tales.write_run(
            {"version": 1, "model": {"arch": "modern"}, "corpus": {"name": "x"}, "recipe": {}}
        )

    def tear(self) -> None:
        """What a trainer leaves that dies in the middle of an event."""
        fd = storage.open_append(self.tales.events)
        try:
            storage.overwrite(fd, b'{"event": "step", "step": 5, "lo', self.tales.path)
        finally:
            os.close(fd)
            self.leave()

    def paste(self) -> None:
        CorpusList(self.paths, lambda: 1.0).paste(PASTED, "dogs")

    def forget(self) -> None:
        texts = CorpusList(self.paths, lambda: 1.0)
        texts.forget(self.paths.data / "pasted" / "dogs.txt")

    def restore(self) -> None:
        restore_run(self.paths.runs_dir, list_trash(self.paths.trash)[0])

    def export(self) -> None:
        self.leave()
        export_run(self.tales, self.home / "exports")


def step(n: int) -> Step:
    return Step(n, 2.5, 0.1, 100.0, 1.0, 10 * n, 0.5 * n)


def own_file(life: Life) -> Path:
    return life.home.parent / "animals.txt"


ACTS: dict[str, Callable[[Life], object]] = {
    "a setting is made": lambda life: settings_file.set_value(life.paths.config_file, "sample.temperature", 0.5),
    "a setting is added": lambda life: settings_file.set_value(life.paths.config_file, "train.seed", 7),
    "a text is pasted": Life.paste,
    "a run is made": lambda life: life.begin("tales", own_file(life)),
    "its trainer begins": lambda life: life.status("preparing", 0),
    "what it is made of is settled": Life.settle,
    "its tokenizer is fixed": lambda life: life.tales.write_tokenizer({"kind": "chars"}),
    "training starts": lambda life: life.say(Start("tales", 0, 10, 9)),
    "step 1": lambda life: life.say(step(1)),
    "a sample is asked for": lambda life: control.request(life.tales, "sample", 9, prompt="the"),
    "that is heard": lambda life: life.say(Control("0" * 16, 1, "sample", 9, "the")),
    "step 1 is saved": lambda life: life.save(1, 3.0),
    "that is told": lambda life: life.say(Saved(1, "checkpoints/step-00000001")),
    "step 2": lambda life: life.say(step(2)),
    "a first evaluation": lambda life: life.say(Eval(2, 1.0, 1.0, 20, 1.0)),
    "step 2 is saved": lambda life: life.save(2, 1.0),
    "it tells where it is": lambda life: life.status("training", 2),
    "step 3 is saved": lambda life: life.save(3, 2.0),
    "step 4 is saved": lambda life: life.save(4, 2.5),
    "an old checkpoint goes": Life.prune,
    "it dies in the middle of an event": Life.tear,
    "it goes on": lambda life: life.say(Start("tales", 4, 10, 9)),
    "step 4 is saved once more": lambda life: life.save(4, 2.5),
    "a second request": lambda life: control.request(life.tales, "lr", 0.5),
    "step 5 is saved": lambda life: life.save(5, 2.4),
    "another old checkpoint goes": Life.prune,
    "the run is renamed": lambda life: life.tales.write_meta(Meta("Fairy tales", "good ones")),
    "it ends": lambda life: life.say(Done("tales", 5, 2.4, 1.0, 50, 2.5, 20.0, 10, "steps")),
    "the end stands in its status": lambda life: life.status("done", 5),
    "the run is exported": Life.export,
    "another run is made": lambda life: life.begin("dogs", life.paths.data / "pasted" / "dogs.txt"),
    "that goes to the trash": lambda life: trash_run(life.paths.runs_dir, "dogs", life.paths.trash),
    "it comes back": Life.restore,
    "it goes there again": lambda life: trash_run(life.paths.runs_dir, "dogs", life.paths.trash),
    "the trash is emptied": lambda life: empty_trash(life.paths.trash),
    "a third run is made": lambda life: life.begin("third", own_file(life)),
    "the third is deleted": lambda life: delete_run(life.paths.runs_dir, "third"),
    "a setting is changed": lambda life: settings_file.set_value(life.paths.config_file, "train.seed", 8),
    "a setting is taken back": lambda life: settings_file.unset_value(life.paths.config_file, "train.seed"),
    "a text is forgotten": Life.forget,
}  # fmt: skip


def prepare(home: Path) -> None:
    """What is there before the life begins."""
    (home / "exports").mkdir(parents=True)
    (home.parent / "animals.txt").write_text(TEXT, encoding="utf-8")


def look(home: Path) -> Picture:
    """What the program finds, all of it read and compared with its hashes.

    Raises:
        TinygptError: something that is there is not whole.
    """
    paths = paths_in(home)
    settings = settings_file.load(environment={}, path=paths.config_file).settings
    texts = CorpusList(paths)
    own = [Path(row.source).name for row in texts.rows() if row.used is not None]
    pasted = {name: (paths.data / "pasted" / name).read_text(encoding="utf-8") for name in own}
    assert texts.problem == "" and set(pasted.values()) <= {PASTED}
    return {
        "settings": (settings.sample.temperature, settings.train.seed),
        "texts": len(pasted),
        "runs": {run.run: {"reason": run.reason, **_run(RunFolder(run.path))} for run in list_runs(paths.runs_dir)},
        "trash": {trashed.run: _run(RunFolder(trashed.path)) for trashed in list_trash(paths.trash)},
        "exports": {path.name: _run(RunFolder(path)) for path in folders_in(home / "exports")},
    }  # fmt: skip


def _run(folder: RunFolder) -> Picture:
    asked = folder.read_request()["corpus"]
    if folder.path.parent.name != "exports":
        text = load_stored([folder.path.parent.parent / "corpora"], asked["sha256"], None)
        assert text in (TEXT, PASTED)
    status = folder.read_status()
    found: Picture = {
        "corpus": asked["name"],
        "run": folder.read_run()["model"] if folder.run.exists() else None,
        "tokenizer": folder.read_tokenizer() if folder.tokenizer.exists() else None,
        "meta": folder.read_meta(),
        "status": status and (status.state, status.step),
        "events": [(events.name_of(event), events.step_of(event)) for event in read_events(folder)],
        "requests": [(r.do, r.value, r.prompt) for r in control.ControlReader(folder).poll()],
        "checkpoints": {},
    }
    for info in checkpoint.checkpoints(folder):
        assert info.problem is None, info.problem
        sound = manifest.verify(info.path)
        assert checkpoint.load_weights(sound)["a.weight"].tolist() == [[float(info.step)] * 2] * 3
        assert checkpoint.load_training(sound)["t"].item() == info.step
        found["checkpoints"][info.step] = info.val_loss
    if found["checkpoints"]:
        last, best = checkpoint.find_checkpoint(folder), checkpoint.find_checkpoint(folder, "best")
        assert last[1] == best[1] == []
        found["last"], found["best"] = last[0].step, best[0].step
    return found


def check_a_damaged_checkpoint_is_skipped(folder: RunFolder) -> None:
    """Damages the newest checkpoint: the one before is used, and the damage is named."""
    newest, second = (info.step for info in checkpoint.checkpoints(folder)[:2])
    path = folder.checkpoints / f"step-{newest:08d}" / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    found, skipped = checkpoint.find_checkpoint(folder)
    assert found.step == second, "a damaged checkpoint was taken for a sound one"
    assert len(skipped) == 1 and f"step {newest}" in skipped[0] and path.name in skipped[0]
    try:
        checkpoint.find_checkpoint(folder, newest)
    except TinygptError:
        return
    raise AssertionError("a damaged checkpoint was found")


def pictures_of(home: Path) -> list[Picture]:
    """What is found before the first act and after each, when nothing goes wrong."""
    prepare(home)
    life = Life(home)
    found = [look(home)]
    for act in ACTS.values():
        act(life)
        found.append(look(home))
    life.leave()
    return found
