"""How much memory a training takes is foretold before it is taken, within three tenths of what the process then really took."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from engine import evaluate
from engine.errors import ResourceError
from engine.launch import new_run
from engine.recipe import Recipe
from engine.runs import RunFolder
from engine.size_ladder import EVALUATED_TOKENS, KERNEL_TOKENS
from engine.sizing import check_memory, memory_estimate
from models import kernel
from tests.engine.conftest import small_text

ROOT = Path(kernel.__file__).parents[1]
NEAR = 0.3
STEPS = 3  # all that is ever needed is taken by the second
# A trainer that knows how much it had when everything was loaded and nothing begun, and how much at its peak.
TRAINER = """
import re, sys
from pathlib import Path
import safetensors.torch, engine.trainer, models.classic, models.modern
from engine.runs import RunFolder

def bytes_of(field):
    found = re.search(rf"^{field}:\\s+(\\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    return 1024 * int(found[1])

Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
before = bytes_of("VmRSS")
engine.trainer.train(RunFolder(Path(sys.argv[1])), cache_dir=Path(sys.argv[2]))
print(bytes_of("VmHWM") - before)
"""

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="needs Linux to weigh a process"
)


@functools.cache
def kernels() -> Path:
    """A cache that has the compiled kernels, made once for all tests here. Skips where there is no compiler."""
    folder = Path(tempfile.mkdtemp(prefix="tinygpt-kernels-"))
    if problem := kernel.make(folder / "kernels"):
        pytest.skip(problem)
    return folder


def weighed(world: Any, size: str, **values: Any) -> tuple[int, Recipe, int]:
    """Bytes that a training took beyond what its process had before, its recipe, and its symbols."""
    world.file.write_text(small_text(8000))  # long enough for an evaluation to take what it ever takes
    folder = new_run(world.data, world.corpus, name="run", size=size, values={"steps": STEPS, **values})
    cache = kernels() if values.get("kernels") == "compiled" else world.data / "cache"
    trained = subprocess.run(
        [sys.executable, "-c", TRAINER, str(folder.path), str(cache)], cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert trained.returncode == 0, trained.stderr
    info = RunFolder(folder.path).read_run()
    assert info["kernels"] == values["kernels"]
    return int(trained.stdout), Recipe.from_json(info["recipe"]), info["model"]["vocab_size"]


def check_near(world: Any, size: str, **values: Any) -> None:
    taken, recipe, symbols = weighed(world, size, **values)
    foretold = memory_estimate(recipe, symbols)
    print(
        f"{size} {values}: foretold {foretold / 1e6:.0f} MB, taken {taken / 1e6:.0f} MB, ratio {foretold / taken:.2f}"
    )
    assert abs(foretold - taken) <= NEAR * taken
    check_memory(recipe, symbols, int(foretold / 0.79))
    with pytest.raises(ResourceError):
        check_memory(recipe, symbols, int(foretold / 0.81))


def test_what_a_small_training_takes_is_foretold(world: Any) -> None:
    check_near(world, "0.8m", kernels="eager", threads=1, micro_batch=2)


SOAKED = [
    *((size, {"kernels": "eager", "threads": 2}) for size in ("0.8m", "4m", "10m")),
    *((size, {"kernels": "eager", "threads": 2, "arch": "classic"}) for size in ("0.8m", "4m", "10m")),
    *((size, {"kernels": "compiled", "threads": threads}) for threads in (1, 2, 4) for size in ("0.8m", "4m", "10m")),
    ("4m", {"kernels": "eager", "threads": 2, "dtype": "float32"}),
    ("4m", {"kernels": "compiled", "threads": 2, "dtype": "float32"}),
    ("4m", {"kernels": "eager", "threads": 2, "dtype": "float32", "arch": "classic"}),
    ("4m", {"kernels": "eager", "threads": 2, "dropout": 0.1}),
    ("4m", {"kernels": "compiled", "threads": 2, "dropout": 0.1}),
    ("4m", {"kernels": "eager", "threads": 2, "dropout": 0.1, "arch": "classic"}),
    ("4m", {"kernels": "compiled", "threads": 2, "micro_batch": 4}),
    ("4m", {"kernels": "eager", "threads": 2, "micro_batch": 4}),
    ("30m", {"kernels": "compiled", "threads": 2, "batch_size": 16}),
]  # fmt: skip


@pytest.mark.soak
@pytest.mark.parametrize(("size", "values"), SOAKED, ids=str)
def test_what_a_training_takes_is_foretold(world: Any, size: str, values: dict[str, Any]) -> None:
    check_near(world, size, **values)


def test_what_the_estimate_counts_with_is_what_the_program_uses() -> None:
    source = (ROOT / "models" / "c" / "learning.c").read_text(encoding="utf-8")
    assert f"CHUNK_TOKENS = {KERNEL_TOKENS}," in source
    assert EVALUATED_TOKENS == evaluate.CHUNK_TOKENS
