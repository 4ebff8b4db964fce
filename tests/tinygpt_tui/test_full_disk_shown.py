"""The interface shows while a run trains that it is not saved and since when, and shows the next checkpoint as soon as there is one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from textual.pilot import Pilot

from engine.checkpoint import checkpoints
from engine.corpus import read_corpus
from engine.event_log import read_events
from engine.events import Saved, Warn
from engine.launch import new_run
from tests.tinygpt_tui.driving import press, wait_for
from tests.tinygpt_tui.survival import ROOT
from tests.tinygpt_tui.train_stage import shown, watch
from tinygpt_tui.world import World

resource = pytest.importorskip("resource")
VALUES = {
    "n_layer": 1, "n_head": 2, "n_embd": 16, "block_size": 16, "batch_size": 4, "threads": 1, "sample_chars": 0,
    "steps": 10**6, "save_every": 20, "eval_every": 10**6, "kernels": "eager",
}  # fmt: skip


@pytest.mark.skipif(
    sys.platform != "linux", reason="needs prlimit, which changes the limit of another process"
)
def test_a_run_that_cannot_be_saved_says_so_on_its_screen_and_goes_on(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("the old cat sat on the red mat.\n" * 100)
    folder = new_run(tmp_path / "data", read_corpus(str(tmp_path / "text.txt")), name="cat", values=VALUES)
    child = subprocess.Popen(
        [sys.executable, "-m", "engine", "train", str(folder.path)], cwd=ROOT, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip

    def saved() -> list[Saved]:
        return [event for event in read_events(folder) if isinstance(event, Saved)]

    async def story(pilot: Pilot[int], world: World) -> None:
        await wait_for(pilot, lambda: folder.events.exists() and saved(), "the first checkpoint", 60)
        size = (checkpoints(folder)[0].path / "training.safetensors").stat().st_size
        _, hard = resource.prlimit(child.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (size - 1, hard))
        await shown(pilot, "Not saved since step ", "No space is left")
        (first, *_) = [event for event in read_events(folder) if isinstance(event, Warn)]
        assert f"Not saved since step {saved()[-1].step}" in first.message
        await wait_for(pilot, lambda: world.picture("cat").step > first.step + 5, "the run to go on")
        assert world.picture("cat").state == "training"
        resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (hard, hard))
        await wait_for(pilot, lambda: saved()[-1].step > first.step, "a checkpoint")
        await press(pilot, "train.stop")
        await wait_for(pilot, lambda: child.poll() is not None, "the end")
        assert child.returncode == 0 and folder.state() == "stopped"

    try:
        watch(tmp_path, story, run="cat")
    finally:
        child.kill()
        child.wait()
