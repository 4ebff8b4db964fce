"""The built-in starter on the command line: used and named where there is no run yet, and left alone by whatever changes runs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine import starter, starter_making
from engine.runs import RunFolder
from tinygpt_tui.cli.model_options import complete_runs

Run = Callable[..., Any]
NOTE = "note: no run has a checkpoint yet, so this is the built-in starter; your own begins with: tinygpt train tales\n"


@pytest.fixture(scope="module")
def packed(_trained_once: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("built-in") / "starter"
    starter_making.pack(RunFolder(_trained_once.home / "data" / "runs" / "talk"), target)
    return target


@pytest.fixture(autouse=True)
def built_in(packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A starter that learned the conversation in `talk.txt`; there is no run yet."""
    folder = tmp_path / "package" / "starter"
    shutil.copytree(packed, folder)
    monkeypatch.setattr(starter, "FOLDER", folder)
    return folder


def test_sample_uses_it_where_there_is_no_run_and_says_so_in_one_line(tinygpt: Run) -> None:
    outcome = tinygpt("sample", "-n", "40", "--seed", "1")
    assert (outcome.code, outcome.err) == (0, NOTE)
    assert len(outcome.out) == 40 and outcome.out.startswith(starter.OPENING)
    named = tinygpt("sample", "starter", "-n", "40", "--seed", "1")
    assert (named.out, named.err) == (outcome.out, "")


def test_json_says_the_same_text_and_who_wrote_it(tinygpt: Run) -> None:
    plain = tinygpt("sample", "-n", "40", "--seed", "1").out
    *texts, done = tinygpt("sample", "-n", "40", "--seed", "1", "--json").lines
    assert "".join(line["text"] for line in texts) == plain
    assert (done["run"], done["chars"], done["seed"]) == ("starter", 40, 1)


@pytest.mark.parametrize("chars", [0, 3, len(starter.OPENING)])
def test_not_even_its_own_beginning_is_longer_than_asked_for(tinygpt: Run, chars: int) -> None:
    assert tinygpt("sample", "-n", str(chars)).out == starter.OPENING[:chars]


def test_a_prompt_is_continued_and_nothing_else_is_written(tinygpt: Run) -> None:
    outcome = tinygpt("sample", "-p", "You: hello", "-n", "30", "--seed", "1")
    assert len(outcome.out) == 30 and starter.OPENING not in outcome.out


def test_chat_talks_with_it(tinygpt: Run, stdin: Run) -> None:
    stdin(b"hello\n")
    outcome = tinygpt("chat", "--seed", "1")
    assert (outcome.code, outcome.err) == (0, NOTE)
    stdin(b"hello\n")
    assert tinygpt("chat", "starter", "--seed", "1").out == outcome.out != ""


def test_eval_measures_the_loss_that_its_manifest_says(tinygpt: Run, trained: Any) -> None:
    (measured,) = tinygpt("eval", "starter", "--json").lines
    shown = tinygpt("runs", "show", "starter", "--json").lines[0]
    assert measured["val_loss"] == pytest.approx(shown["checkpoints"][0]["val_loss"], abs=1e-9)
    assert measured["run"] == "starter" and shown["state"] == "done" and shown["licence"] == "MIT"


def test_ones_own_run_comes_first_and_the_list_holds_no_other(trained: Any, tinygpt: Run) -> None:
    assert tinygpt("sample", "-n", "5", "--json").lines[-1]["run"] == "talk"
    assert tinygpt("sample", "starter", "-n", "5", "--json").lines[-1]["run"] == "starter"
    assert {line["run"] for line in tinygpt("runs", "list", "--json").lines} == {"fox", "talk"}


def test_an_empty_list_names_it(tinygpt: Run, built_in: Path) -> None:
    outcome = tinygpt("runs", "list")
    assert outcome.out == "" and "until then the built-in starter writes: tinygpt sample" in outcome.err
    shutil.rmtree(built_in)
    assert "starter" not in tinygpt("runs", "list").err


@pytest.mark.parametrize(
    "command",
    ["runs rm starter", "runs pause starter", "runs lr starter 0.5", "train --resume starter --steps 99", "train x.txt --name starter"],
)  # fmt: skip
def test_what_changes_runs_refuses_it_and_leaves_it_as_it_is(
    tinygpt: Run, built_in: Path, tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.txt").write_text("a small text about nothing at all. " * 40)
    before = {path: path.read_bytes() for path in built_in.rglob("*") if path.is_file()}
    outcome = tinygpt(*command.split())
    assert outcome.code == 2 and "built in" in outcome.err
    assert {path: path.read_bytes() for path in built_in.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("command", ["sample", "chat", "eval", "sample starter", "chat starter"])
def test_an_installation_without_it_says_so(tinygpt: Run, built_in: Path, command: str) -> None:
    shutil.rmtree(built_in)
    outcome = tinygpt(*command.split())
    assert outcome.code == 3 and "the starter is missing from this installation" in outcome.err.lower()
    assert "train" in outcome.err and len(outcome.err.splitlines()) == 1


def test_a_damaged_one_is_one_sentence(tinygpt: Run, built_in: Path) -> None:
    (model,) = built_in.glob("checkpoints/*/model.safetensors")
    model.write_bytes(model.read_bytes()[:-1] + b"\0\0")
    outcome = tinygpt("sample", "starter")
    assert outcome.code == 3 and "damaged" in outcome.err


def test_its_name_completes(trained: Any) -> None:
    assert complete_runs("") == ["fox", "starter", "talk"]
    assert complete_runs("st") == ["starter"]
