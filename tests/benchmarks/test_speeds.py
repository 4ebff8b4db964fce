"""What the benchmarks of training, writing, starting and memory promise: both sides of every comparison, in numbers that fit together."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Outcome


def test_training_speed_times_whole_updates_of_both_sides(bench: Callable[..., Outcome], text: Path) -> None:
    done = bench(
        "training_speed", "--text", str(text), "--sizes", "0.1m", "--rounds", "2", "--seconds", "0.05"
    )
    assert done.code == 0, done.err
    row, alike = done.report["results"]
    assert (alike["ours"]["arch"], alike["ours"]["optimizer"]) == ("modern", "adamw")
    assert alike["reference"] == row["reference"] and alike["what"].endswith("with the reference's optimizer")
    assert row["chars_per_s"] > 0 and row["rounds"] == 2 and len(row["reference_chars_per_s_each"]) == 2
    ratios = [a / b for a, b in zip(row["chars_per_s_each"], row["reference_chars_per_s_each"], strict=True)]
    assert row["ratio"] == pytest.approx(statistics.median(ratios))
    ours, reference = row["ours"], row["reference"]
    assert (ours["arch"], ours["optimizer"]) == ("modern", "muon") and ours["updates"] >= 2
    assert (reference["arch"], reference["optimizer"]) == ("classic", "adamw")
    assert (reference["dtype"], reference["kernels"]) == ("float32", "eager")
    assert all(side["batch_size"] == 12 and side["n_embd"] == 64 for side in (ours, reference))


def test_generation_is_timed_beside_a_loop_without_a_cache(bench: Callable[..., Outcome]) -> None:
    done = bench(
        "generation",
        "--sizes",
        "0.1m",
        "--archs",
        "classic",
        "--rounds",
        "1",
        "--chars",
        "200",
        "--plain-chars",
        "3",
    )
    assert done.code == 0, done.err
    edge, first = done.row("classic 0.1m, past the edge"), done.row("classic-0-1m, after 200")
    assert edge["chars_per_s"] > 0 and edge["plain_chars_per_s"] > 0
    assert edge["way"] == "numpy and torch"  # as the settings of these tests want it
    assert edge["ratio"] == pytest.approx(edge["chars_per_s"] / edge["plain_chars_per_s"])
    assert (edge["llama_cpp_chars_per_s"] is None) == (edge["llama_cpp"] == [])
    assert len(first["first_character_ms_each"]) == 6 and min(first["first_character_ms_each"]) > 0
    assert first["ratio"] == pytest.approx(first["plain_first_character_ms"] / first["first_character_ms"])


def test_start_up_waits_for_what_a_person_waits_for(bench: Callable[..., Outcome]) -> None:
    done = bench("start_up", "--rounds", "1")
    assert done.code == 0, done.err
    assert [row["what"] for row in done.report["results"]] == [
        "tinygpt --help", "completion", "first frame of the playground", "player, with a model loaded",
    ]  # fmt: skip
    assert all(
        row["ms"] > 0 and row["reference_ms"] > 0 and row["ratio"] > 0 for row in done.report["results"]
    )


def test_memory_weighs_trainer_player_and_playground(bench: Callable[..., Outcome]) -> None:
    done = bench("memory", "--sizes", "0.1m", "--rounds", "1", "--chars", "20")
    assert done.code == 0, done.err
    python, torch = done.row("python alone")["peak_mb"], done.row("python with torch")["peak_mb"]
    trainer, player = done.row("trainer, 0.1m"), done.row("player, 0.1m")
    assert 5 < python < torch < trainer["peak_mb"] < 2000
    assert trainer["foretold_mb"] > 0 and trainer["beyond_torch_mb"] == pytest.approx(
        trainer["peak_mb"] - torch
    )
    assert trainer["ratio"] == pytest.approx(trainer["beyond_torch_mb"] / trainer["foretold_mb"])
    assert player["peak_mb"] > torch
    # The player's memory is not counted as the playground's, which has no torch.
    assert python < done.row("playground, 0.1m")["peak_mb"] < torch


def test_the_playground_is_timed_beside_a_training(bench: Callable[..., Outcome]) -> None:
    done = bench("ui", "--size", "0.1m", "--keys", "4", "--rounds", "1", "--seconds", "2")
    assert done.code == 0, done.report
    speed, keys = done.row("training speed"), done.row("key to screen, all")
    assert speed["alone_chars_per_s"] > 0 and speed["watched_chars_per_s"] > 0
    assert keys["keys"] == 14 and 0 < keys["p50_ms"] <= keys["p95_ms"] <= keys["max_ms"]
    assert done.row("stall of the event loop")["beats"] > 0


def test_a_chat_without_a_model_is_told(bench: Callable[..., Outcome]) -> None:
    done = bench("chat", "nobody")
    assert done.code == 1 and "nobody" in done.report["problem"]
