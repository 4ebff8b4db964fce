"""A small world to train in: a text made on the spot, models that learn it in a second, and ways to look at what came out."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

import engine
from engine import storage
from engine.checkpoint import checkpoints
from engine.corpus import Corpus, read_corpus
from engine.event_log import read_events
from engine.events import Event, Step
from engine.launch import new_run
from engine.recipe import Recipe
from engine.runs import RunFolder

ROOT = Path(engine.__file__).parent.parent

TINY: dict[str, Any] = {
    "n_layer": 2,
    "n_head": 2,
    "n_embd": 32,
    "block_size": 16,
    "batch_size": 4,
    "micro_batch": 2,
    "threads": 1,
    "dtype": "float32",
    "dropout": 0.1,
    "sample_chars": 5,
    "warmup_steps": 4,
    "lr": 0.005,
    "muon_lr": 0.02,
}


def small_text(lines: int = 120) -> str:
    words = ["cat", "dog", "sat", "ran", "on", "the", "mat", "red", "old", "fish"]
    rng = random.Random(1)
    return "".join(" ".join(rng.choices(words, k=6)) + ".\n" for _ in range(lines))


class Died(BaseException):
    """Stands for SIGKILL where a whole process would be too slow: nothing of the trainer's is finished after it."""


class World:
    """A data folder with one corpus, and runs on it."""

    Died = Died

    def __init__(self, data: Path) -> None:
        self.data = data
        self.children: list[subprocess.Popen[bytes]] = []
        self.file = data / "animals.txt"
        data.mkdir(parents=True, exist_ok=True)
        self.file.write_text(small_text(), encoding="utf-8")

    @property
    def corpus(self) -> Corpus:
        return read_corpus(str(self.file))

    def run(self, name: str, *, recipe: Recipe | None = None, **values: Any) -> RunFolder:
        """A new run of a tiny model that nobody trains yet."""
        if recipe is not None:
            return new_run(self.data, self.corpus, name=name, recipe=recipe)
        # Evaluations come as the time allows, and the best model is saved: who counts saves wants none of them by chance.
        counted = {"eval_every": 10**6} if "save_every" in values else {}
        return new_run(self.data, self.corpus, name=name, values={**TINY, **counted, **values})

    def train(
        self, folder: RunFolder, say: Callable[[Event], None] = lambda event: None, **options: Any
    ) -> int:
        """Trains in this very process."""
        from engine.trainer import train

        # Freezing the collector's objects pays once a process, not once a test.
        with mock.patch("engine.trainer.gc"):
            return train(folder, say, **options)

    def train_until(self, folder: RunFolder, last: Callable[[Event], bool], **options: Any) -> None:
        """Trains in this process, which dies as soon as an event was written that is the `last`."""

        def say(event: Event) -> None:
            if last(event):
                raise Died

        with pytest.raises(Died):
            self.train(folder, say, **options)

    def spawn(
        self, folder: RunFolder, *options: str, environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """A trainer in a process of its own, as the interface starts one; killed after the test at the latest."""
        child = subprocess.Popen(
            [sys.executable, "-m", "engine", "train", str(folder.path), *options],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {}), "OMP_NUM_THREADS": "1"},
        )
        self.children.append(child)
        return child

    @staticmethod
    def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
        """Returns once the condition holds; the limit is there so that a broken program does not hang the tests."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "waited in vain"
            time.sleep(0.005)

    @staticmethod
    def weights(folder: RunFolder) -> str:
        """The hash of the newest checkpoint's tensors, the optimizer's among them."""
        newest = checkpoints(folder)[0].path
        digest = hashlib.sha256((newest / "model.safetensors").read_bytes())
        digest.update((newest / "training.safetensors").read_bytes())
        return digest.hexdigest()

    @staticmethod
    def steps(folder: RunFolder) -> list[tuple[int, float | None, float]]:
        """(step, loss, lr) of every step, as a reader of the events sees the run."""
        return [(e.step, e.loss, e.lr) for e in read_events(folder) if isinstance(e, Step)]

    def close(self) -> None:
        for child in self.children:
            child.kill()
            child.communicate()


class NoFlush(storage.Ops):
    """Power cuts are the business of other tests."""

    def fsync(self, fd: int) -> None:
        pass


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(storage, "ops", NoFlush())
    made = World(tmp_path / "data")
    yield made
    made.close()
