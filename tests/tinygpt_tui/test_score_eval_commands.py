"""`tinygpt score` and `tinygpt eval`: numbers that can be recomputed from what stands beside them."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.mark.parametrize("name", ["fox", "talk"])
def test_eval_repeats_the_loss_that_training_ended_with(trained: Any, tinygpt: Run, name: str) -> None:
    (found,) = tinygpt("eval", name, "--json").lines
    assert found["val_loss"] == pytest.approx(getattr(trained, name)[-1]["val_loss"], abs=1e-6)


@pytest.mark.parametrize(
    "how",
    [
        ("--tokenizer", "bytes"),
        ("--arch", "classic"),
        ("--set", "dropout=0.3", "--set", "micro_batch=3"),
        ("--set", "dtype=float64"),
    ],
)
def test_eval_repeats_the_loss_however_the_run_was_trained(
    tinygpt: Run, tiny: tuple[str, ...], corpora: Path, how: tuple[str, ...]
) -> None:
    trained = tinygpt("train", str(corpora / "fox.txt"), "--steps", "3", *tiny, *how, "--json")
    assert trained.code == 0
    (found,) = tinygpt("eval", "--at", "last", "--json").lines
    assert found["val_loss"] == pytest.approx(trained.lines[-1]["val_loss"], abs=1e-6)


def test_the_numbers_of_eval_fit_each_other(trained: Any, tinygpt: Run, corpora: Path) -> None:
    (found,) = tinygpt("eval", "fox", "--json").lines
    assert found["bits_per_char"] == pytest.approx(found["val_loss"] / math.log(2))
    assert found["perplexity"] == pytest.approx(math.exp(found["val_loss"]))
    assert found["positions"] == len((corpora / "fox.txt").read_text()) // 10 - 1
    assert list(found["ladder"]) == ["uniform", *(f"{n}-gram" for n in range(1, 7)), "bz2"]
    assert found["ladder"]["uniform"] > found["ladder"]["1-gram"] > found["ladder"]["2-gram"]


def test_eval_of_an_older_checkpoint_gives_what_was_measured_then(trained: Any, tinygpt: Run) -> None:
    losses = {event["step"]: event["val_loss"] for event in trained.fox if event["event"] == "eval"}
    (found,) = tinygpt("eval", "fox", "--at", "10", "--json").lines
    assert found["val_loss"] == pytest.approx(losses[10], abs=1e-6)
    assert losses[10] != losses[20]


def test_eval_shows_the_model_on_the_ladder(trained: Any, tinygpt: Run) -> None:
    outcome = tinygpt("eval", "fox")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines()[0].endswith("of fox at step 20")
    rungs = [line.split() for line in outcome.out.splitlines()[2:]]
    losses = [float(rung[-1]) for rung in rungs]
    assert losses == sorted(losses, reverse=True)
    assert sum(rung[0] == "→" for rung in rungs) == 1


def test_eval_names_the_run_it_has_chosen_and_a_newer_one_it_passed_over(trained: Any, tinygpt: Run) -> None:
    assert "of talk at step 20" in tinygpt("eval").out
    (found,) = tinygpt("eval", "--json").lines
    assert (found["run"], found["step"]) == ("talk", 20)
    young = trained.run.with_name("young")
    young.mkdir()
    (young / "request.json").write_text((trained.run / "request.json").read_text())
    passed = tinygpt("eval", "--json")
    assert passed.lines[0]["run"] == "talk"
    assert passed.err == "note: young is newer but has no checkpoint, so talk is taken\n"
    assert tinygpt("eval", "fox", "--json").err == ""


def test_a_score_is_the_mean_of_its_characters(trained: Any, tinygpt: Run, tmp_path: Path) -> None:
    text = "The fox jumps\nover the dog.\n" * 9
    (tmp_path / "letter.txt").write_text(text)
    *chars, total = tinygpt("score", "fox", str(tmp_path / "letter.txt"), "--json", "--per-char").lines
    assert "".join(line["char"] for line in chars) == text
    assert all(line["bits"] == pytest.approx(line["nats"] / math.log(2)) for line in chars)
    assert total["chars"] == len(text)
    assert total["nats_per_char"] == pytest.approx(sum(line["nats"] for line in chars) / len(text))
    assert total["bits_per_char"] == pytest.approx(total["nats_per_char"] / math.log(2))


def test_a_score_without_characters_is_one_line(trained: Any, tinygpt: Run, stdin: Run) -> None:
    stdin(b"the fox")
    (total,) = tinygpt("score", "fox", "-", "--json").lines
    stdin(b"the fox")
    plain = tinygpt("score", "fox", "-")
    assert plain.out == (
        f"7 characters, {total['nats_per_char']:.4f} nats or {total['bits_per_char']:.4f} bits per character\n"
    )
    assert plain.err == ""


def test_characters_of_a_score_stay_on_their_lines(trained: Any, tinygpt: Run, stdin: Run) -> None:
    stdin(b"a\nb")
    assert len(tinygpt("score", "fox", "-", "--per-char").out.splitlines()) == 3 + 1


def test_a_text_the_model_learned_surprises_it_less_than_another(
    trained: Any, tinygpt: Run, corpora: Path
) -> None:
    own, other = (
        tinygpt("score", "fox", str(corpora / f"{name}.txt"), "--json").lines[-1] for name in ("fox", "talk")
    )
    assert own["nats_per_char"] < other["nats_per_char"]


def test_a_score_reads_what_looks_too_large_when_it_is_told_to(
    trained: Any, tinygpt: Run, corpora: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.corpus_files.MAX_BYTES", 100)
    args = ("score", "fox", str(corpora / "fox.txt"))
    refused = tinygpt(*args)
    assert (refused.code, "or --force" in refused.err) == (4, True)
    assert tinygpt(*args, "--force").code == 0


def test_score_says_what_it_changed_and_what_the_vocabulary_lacks(
    trained: Any, tinygpt: Run, stdin: Run
) -> None:
    stdin("the fóx\r\nthe €\r\n".encode())
    outcome = tinygpt("score", "fox", "-", "--json")
    notes = outcome.err.splitlines()
    assert outcome.code == 0
    assert all(note.startswith("note: ") for note in notes)
    assert "‹ó› became ‹o›, ‹€› was dropped" in notes[-1]
    assert any("CRLF" in note for note in notes)
    assert outcome.lines[-1]["chars"] == len("the fox\nthe \n")
