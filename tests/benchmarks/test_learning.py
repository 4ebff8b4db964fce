"""What `benchmarks.learning` promises: the real command, timed from outside, beside what it is compared with."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from benchmarks.learning import SHARES, add_options, measure, nanogpt, smallest, told_by
from engine.errors import RunError, UsageError
from engine.recipe import parse_value

from .conftest import Outcome


def test_runs_are_timed_and_compared(bench: Callable[..., Outcome], text: Path) -> None:
    small = ("--size", "0.1m", "--set", "batch_size=2", "--set", "block_size=16", "--set", "threads=1")
    done = bench(
        "learning", "--text", str(text), "--time", "4s", "--seeds", "3", *small, "--ladder",
        "--against", "nanogpt", "--nanogpt-steps", "2", "--reach", "9", "--times", "4s",
    )  # fmt: skip
    assert done.code == 0, done.err
    ours, theirs = done.row("fox.txt, --time 4s"), done.row("nanoGPT's recipe, steps 2")
    (run,) = ours["runs"]
    assert run["seed"] == 3 and ours["seeds"] == 1 and ours["model"] == "modern 2 x 64"
    assert ours["val_loss"] == run["val_loss"] == pytest.approx(run["eval_val_loss"], abs=1e-4)
    # The clock outside sees more than the updates.
    assert run["wall_s"] > run["training_s"] > 0 and run["chars"] == run["steps"] * 32
    moments = [moment for moment, step, loss in run["curve"]]
    assert moments == sorted(moments) and moments[-1] <= run["wall_s"]
    assert run["curve"][-1][1:] == [run["steps"], run["val_loss"]]
    assert (
        theirs["model"] == "classic 4 x 128"
        and theirs["batch"] == "12 x 64"
        and theirs["chars"] == 2 * 12 * 64
    )
    assert (theirs["runs"][0]["dtype"], theirs["runs"][0]["kernels"]) == ("float32", "eager")
    assert theirs["ours_below_by"] == pytest.approx(theirs["val_loss"] - ours["val_loss"])
    assert done.row("ladder, 3-gram")["ours_below_by"] == pytest.approx(
        done.row("ladder, 3-gram")["rung_val_loss"] - ours["val_loss"]
    )
    reached = done.row("smallest --time that ends at 9")
    assert reached["time_s"] == 4 and reached["val_loss"] < 9 and len(reached["tried"]) == 1
    assert reached["ratio"] == pytest.approx(theirs["wall_s"] / reached["wall_s"])


def test_a_run_that_fails_is_told_in_the_command_s_own_words(
    bench: Callable[..., Outcome], tmp_path: Path
) -> None:
    done = bench("learning", "--text", str(tmp_path / "gone.txt"), "--time", "2s", "--seeds", "1")
    assert done.code == 1 and done.report["results"] == []
    assert "gone.txt" in done.report["problem"] and "ended with 3" in done.report["problem"]


@pytest.mark.parametrize(
    "arguments",
    [("--time", "soon"), ("--reach",), ("--reach", "low"), ("--reach", "2", "--times", "0")],
    ids=" ".join,
)
def test_a_wrong_wish_is_refused_before_anything_runs(
    arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("subprocess.Popen", None)
    parser = argparse.ArgumentParser()
    parser.add_argument("--short", action="store_true")
    add_options(parser)
    with pytest.raises(UsageError):
        list(measure(parser.parse_args(arguments)))


@pytest.mark.parametrize("wanted", range(6))
def test_bisection_finds_the_smallest_that_is_enough(wanted: int) -> None:
    candidates, asked = [1.0, 2.0, 3.0, 4.0, 5.0], []

    def enough(value: float) -> bool:
        asked.append(value)
        return value > wanted

    assert smallest(candidates, enough) == (wanted + 1.0 if wanted < 5 else None)
    assert len(asked) == len(set(asked)) <= 3


def test_a_run_without_an_end_is_no_result() -> None:
    with pytest.raises(RunError, match="without telling"):
        told_by([({"event": "eval", "step": 1, "val_loss": 2.0}, 1.0)], 2.0, 1)
    with pytest.raises(RunError, match="without telling"):
        told_by([], 2.0, 1)


def test_nanogpt_s_recipe_is_one_that_the_command_takes() -> None:
    options = nanogpt()
    settings = dict(option.split("=") for before, option in pairwise(options) if before == "--set")
    assert {key: parse_value(key, value) for key, value in settings.items()} == {
        "dtype": "float32", "kernels": "eager", "optimizer": "adamw", "dropout": 0.0, "lr": 0.001, "beta1": 0.9, "beta2": 0.99,
        "weight_decay": 0.1, "warmup_steps": 100, "decay": "cosine", "clip": 1.0, "batch_size": 12, "block_size": 64,
    }  # fmt: skip
    assert tuple(sorted(SHARES)) == SHARES
