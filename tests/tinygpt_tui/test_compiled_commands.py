"""With a C compiler the commands make themselves a kernel: what it trains is measured and written alike, and `doctor` tells of it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from models import kernel

Process = Callable[..., subprocess.CompletedProcess[str]]

NAME = kernel.file_name()

pytestmark = pytest.mark.skipif(not NAME, reason="there is no C compiler")


def test_a_compiled_run_is_measured_and_written_as_it_was_trained(
    process: Process, home: Path, corpora: Path
) -> None:
    auto = {"TINYGPT_ENGINE_COMPILE": "auto", "TINYGPT_TRAIN_THREADS": "1"}
    kernels = home / "cache" / "kernels"
    assert "made when first needed" in process("doctor", env=auto).stdout
    small = ("--steps", "12", "--size", "0.1m", "--name", "fox", "--json")
    trained = process("train", str(corpora / "fox.txt"), *small, env=auto)
    assert trained.returncode == 0, trained.stderr
    lines = [json.loads(line) for line in trained.stdout.splitlines()]
    assert [path.name for path in kernels.iterdir()] == [NAME]
    info = json.loads((home / "data" / "runs" / "fox" / "run.json").read_text())
    assert info["kernels"] == "compiled"
    assert "ready" in process("doctor", env=auto).stdout
    (found,) = (json.loads(line) for line in process("eval", "--json", env=auto).stdout.splitlines())
    assert found["val_loss"] == pytest.approx(lines[-1]["val_loss"], abs=1e-6)
    options = ("sample", "fox", "-n", "300", "--seed", "3")
    compiled, plain = process(*options, env=auto), process(*options)
    assert compiled.stdout == plain.stdout and len(plain.stdout) >= 300
    samples = [line["text"] for line in lines if line["event"] == "sample"]
    again = process("sample", "fox", "-n", str(len(samples[-1])), "--seed", "1", env=auto)
    assert again.stdout.rstrip("\n") == samples[-1].rstrip("\n")


def test_who_does_without_gets_no_kernel(process: Process, home: Path, corpora: Path) -> None:
    small = ("--steps", "3", "--size", "0.1m", "--name", "fox", "--json")
    assert process("train", str(corpora / "fox.txt"), *small).returncode == 0
    assert not (home / "cache" / "kernels").exists()
    info = json.loads((home / "data" / "runs" / "fox" / "run.json").read_text())
    assert info["kernels"] == "eager"
    assert "off" in process("doctor").stdout
