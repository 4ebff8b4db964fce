"""A run that is started from the interface learns what the same run learns on the command line, to the last bit."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from engine.checkpoint import checkpoints
from engine.runs import RunFolder
from tests.tinygpt_tui.conftest import Trained
from tinygpt_tui.sources.run_starter import RunStarter


def files(folder: RunFolder) -> dict[str, bytes]:
    """The newest checkpoint's tensors, the optimizer's among them."""
    newest = checkpoints(folder)[0]
    return {name: (newest.path / name).read_bytes() for name in ("model.safetensors", "training.safetensors")}


def test_a_run_of_the_interface_and_one_of_the_command_have_the_same_weights(
    trained: Trained, corpora: Path, tmp_path: Path, until: Any
) -> None:
    data = tmp_path / "interface"
    starter = RunStarter(data, data / "cache")
    values = {"eval_every": 10, "threads": 1, "sample_chars": 20, "kernels": "eager"}
    starter.start(str(corpora / "fox.txt"), steps=20, size="0.1m", seed=1, name="fox", values=values)
    folder = RunFolder(data / "runs" / "fox")
    try:
        deadline = time.monotonic() + 120
        while not (folder.status.exists() and folder.state() in ("done", "failed")):
            assert time.monotonic() < deadline, starter.snapshot
            starter.tick()
            time.sleep(0.02)
        assert folder.state() == "done"
        assert files(folder) == files(RunFolder(trained.run))
    finally:
        until(lambda: starter.tick() or not starter._children)
        starter.close()
