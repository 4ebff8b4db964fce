"""`tinygpt runs`: every run is seen and steered from any terminal, and nobody who only looks disturbs one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from shutil import rmtree
from typing import Any

import pytest

from engine.events import Done, Eval, Plan, Start, Step, dump_line
from engine.trash import trash_run
from tests.tinygpt_tui.scripted_run import ScriptedRun, died_run

Run = Callable[..., Any]


def test_no_runs_are_an_empty_list(tinygpt: Run) -> None:
    assert tinygpt("runs", "list", "--json").out == ""
    outcome = tinygpt("runs", "list")
    assert (outcome.code, outcome.out) == (0, "")
    assert "there are no runs yet" in outcome.err


def test_the_list_has_the_keys_that_programs_rely_on(trained: Any, tinygpt: Run) -> None:
    runs = tinygpt("runs", "list", "--json").lines
    assert [run["run"] for run in runs] == ["talk", "fox"]  # newest first
    fox = runs[1]
    assert set(fox) >= {"run", "state", "step", "val_loss", "corpus", "params", "created"}
    done = trained.fox[-1]
    assert (fox["state"], fox["step"], fox["corpus"]) == ("done", 20, "fox")
    assert (fox["val_loss"], fox["params"]) == (done["best_val_loss"], done["params"])
    assert len(tinygpt("runs", "list").out.splitlines()) == 1 + 2


def test_a_broken_run_is_listed_and_hides_no_other(trained: Any, tinygpt: Run) -> None:
    (trained.run / "run.json").write_text("{")
    runs = tinygpt("runs", "list", "--json").lines
    assert {run["run"]: run["state"] for run in runs} == {"talk": "done", "fox": "damaged"}
    outcome = tinygpt("runs", "list")
    assert outcome.code == 0
    assert "run.json is damaged" in outcome.out


def test_show_tells_what_a_run_is_made_of(trained: Any, tinygpt: Run) -> None:
    (shown,) = tinygpt("runs", "show", "fox", "--json").lines
    assert (shown["run"], shown["state"], shown["step"]) == ("fox", "done", 20)
    assert shown["recipe"]["steps"] == 20
    assert [checkpoint["step"] for checkpoint in shown["checkpoints"]] == [20, 10]
    plain = tinygpt("runs", "show", "fox").out
    assert "20 of 20" in plain
    assert f"{trained.fox[-1]['val_loss']:.4f}" in plain


def test_show_survives_a_run_made_by_a_stranger(trained: Any, tinygpt: Run) -> None:
    info = json.loads((trained.run / "run.json").read_text())
    info |= {"corpus": {"name": "\x1b[31m", "chars": "many"}, "model": {"arch": ["[/]"]}, "recipe": {}}
    (trained.run / "run.json").write_text(json.dumps(info))
    outcome = tinygpt("runs", "show", "fox")
    assert outcome.code == 0
    assert "\x1b" not in outcome.out


def test_watching_a_finished_run_tells_all_of_it(trained: Any, tinygpt: Run) -> None:
    assert tinygpt("train", "--resume", "fox", "--steps", "21", "--quiet").code == 0
    told = tinygpt("runs", "watch", "fox", "--json").lines
    # Two trainers have ended it by now, and the story goes on after the first end.
    assert [event["event"] for event in told].count("done") == 2
    assert (told[-1]["event"], told[-1]["step"]) == ("done", 21)
    outcome = tinygpt("runs", "watch", "fox")
    assert (outcome.code, outcome.out) == (0, "")
    assert "done after 21 steps" in outcome.err


def test_who_watches_late_is_told_the_step_and_the_plan_in_force(trained: Any, tinygpt: Run) -> None:
    story = (
        Start("fox", 0, 5_000, 600),
        Plan(0, 0, 600),
        Eval(75, 2.1, 2.1, 75_000, 7.5),
        Plan(100, 0, 3_600),
        Step(150, 1.9, 1e-3, 10_000.0, 0.5, 150_000, 15.0),
        Eval(150, 1.852, 1.852, 150_000, 15.0),
        Done("fox", 164, 1.852, 1.852, 164_000, 16.4, 10_000.0, 5_000, "stopped"),
    )
    (trained.run / "events.jsonl").write_bytes(b"".join(dump_line(event) + b"\n" for event in story))
    told = tinygpt("runs", "watch", "fox").err.splitlines()
    assert told[1].startswith("step   150/3,600") and "val  1.852" in told[1]
    assert told[2].startswith("step   164/3,600")


def test_who_watches_a_run_that_dies_is_told_why_and_it_counts_as_a_failure(home: Path, tinygpt: Run) -> None:
    runs = home / "data" / "runs"
    died_run(runs, "killed", 40)
    outcome = tinygpt("runs", "watch", "killed")
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.splitlines()[-1] == (
        "killed died: its trainer was killed at step 60, or the machine went off; "
        "go on with: tinygpt train --resume killed"
    )
    crashed = died_run(runs, "crashed", 40)
    crashed.folder.log.write_text("a library says hello\nRuntimeError: \x1b[31mout of luck\n")
    outcome = tinygpt("runs", "watch", "crashed", "--json")
    assert outcome.code == 1
    assert "crashed died: its trainer ended (RuntimeError: ␛[31mout of luck); go on with" in outcome.err


def test_who_watches_a_run_that_is_deleted_is_told_so(
    home: Path, tinygpt: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ScriptedRun(home / "data" / "runs", "tales") as run:
        run.steps(3)
        monkeypatch.setattr(
            "time.sleep", lambda seconds: run.folder.path.exists() and rmtree(run.folder.path)
        )
        outcome = tinygpt("runs", "watch", "tales")
    assert outcome.code == 1
    assert outcome.err.splitlines()[-1] == (
        "tales is gone: its folder was deleted or moved meanwhile; see: tinygpt runs list"
    )


def test_several_runs_can_be_deleted_and_are_gone(trained: Any, tinygpt: Run) -> None:
    assert tinygpt("runs", "rm", "fox", "talk").code == 0
    assert tinygpt("runs", "list", "--json").out == ""
    assert list((trained.home / "data" / "runs").iterdir()) == []


def test_the_trash_is_listed_and_emptied_when_that_is_confirmed(
    home: Path, tinygpt: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = tinygpt("runs", "trash", "--empty", "--yes")
    assert (empty.code, empty.out, empty.err) == (0, "", "the trash is empty\n")
    data = home / "data"
    for name in ("one", "two"):
        died_run(data / "runs", name, 40)
        trash_run(data / "runs", name, data / "trash")
    told = tinygpt("runs", "trash", "--json").lines
    assert sorted(run["run"] for run in told) == ["one", "two"]
    assert all(set(run) == {"run", "bytes", "trashed", "path"} and run["bytes"] > 10_000 for run in told)
    assert all(datetime.fromisoformat(run["trashed"]).tzinfo for run in told)
    listed = tinygpt("runs", "trash").out.splitlines()
    assert len(listed) == 3 and all("kB" in line and line.endswith("just now") for line in listed[1:])

    refused = tinygpt("runs", "trash", "--empty")
    assert (refused.code, len(list((data / "trash").iterdir()))) == (2, 2)
    assert "say so with --yes" in refused.err
    monkeypatch.setattr("tinygpt_tui.cli.output.is_interactive", lambda: True)
    monkeypatch.setattr("typer.confirm", lambda question, err: False)
    assert (tinygpt("runs", "trash", "--empty").code, len(list((data / "trash").iterdir()))) == (0, 2)
    asked: list[str] = []
    monkeypatch.setattr("typer.confirm", lambda question, err: asked.append(question) or True)
    emptied = tinygpt("runs", "trash", "--empty")
    assert emptied.err == "deleted 2 runs\n" and list((data / "trash").iterdir()) == []
    assert len(asked) == 1 and "kB) for good?" in asked[0]


@pytest.fixture
def trainer(
    home: Path, tinygpt: Run, process: Run, tiny: tuple[str, ...], corpora: Path, until: Run
) -> Iterator[Callable[..., None]]:
    """Trains "fox" in the background, until the end of the test at most."""
    pids: list[int] = []

    def begin(*args: str) -> None:
        started = process("train", *args, "--detach", "--json")
        assert started.returncode == 0, started.stderr
        pids.append(json.loads(started.stdout)["pid"])

    def fox(*args: str) -> None:
        begin(*(args or (str(corpora / "fox.txt"), "--steps", "100000000", "--name", "fox", *tiny)))

    yield fox
    if _is_alive(tinygpt):
        os.kill(pids[-1], signal.SIGKILL)
        until(lambda: not _is_alive(tinygpt))


def _is_alive(tinygpt: Run) -> bool:
    return any(
        run["state"] in ("preparing", "training", "paused") for run in tinygpt("runs", "list", "--json").lines
    )


def test_a_run_in_the_background_is_steered_from_another_terminal(
    trainer: Run, tinygpt: Run, start: Run, until: Run, home: Path
) -> None:
    def state() -> str:
        (run,) = tinygpt("runs", "list", "--json").lines
        return str(run["state"])

    def events(name: str) -> list[dict[str, Any]]:
        path = home / "data" / "runs" / "fox" / "events.jsonl"
        told = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [event for event in told if event["event"] == name]

    def asked(do: str) -> bool:
        return do in [event["do"] for event in events("control")]

    def ask(*args: str) -> None:
        outcome = tinygpt("runs", *args)
        assert (outcome.code, outcome.out) == (0, ""), outcome.err

    trainer()
    ask("lr", "fox", "0.5")  # the trainer is still loading, and hears of it all the same
    until(lambda: asked("lr"))
    ask("pause", "fox")
    until(lambda: state() == "paused")
    ask("sample", "fox", "-p", "The", "-n", "7")
    until(lambda: [e["text"] for e in events("sample") if e["prompt"] == "The" and len(e["text"]) == 7])

    for refused in (("runs", "rm", "fox"), ("train", "--resume", "fox")):
        busy = tinygpt(*refused)
        assert (busy.code, busy.err.count("\n")) == (5, 1), busy.err

    watcher = start("runs", "watch", "fox", "--json", stderr=subprocess.DEVNULL)
    assert json.loads(watcher.stdout.readline())["event"] == "start"
    watcher.send_signal(signal.SIGINT)
    assert watcher.wait(timeout=60) == 130
    assert state() == "paused"

    ask("resume", "fox")
    until(lambda: state() == "training")
    ask("save", "fox")
    until(lambda: asked("save"))
    ask("stop", "fox")
    told = tinygpt("runs", "watch", "fox", "--json")
    assert (told.code, told.lines[-1]["event"], told.lines[-1]["reason"]) == (0, "done", "stopped")
    assert "go on with: tinygpt train --resume fox" in told.err
    assert state() == "stopped"

    nobody = tinygpt("runs", "pause", "fox")
    assert (nobody.code, nobody.err.count("\n")) == (2, 1)
    assert "no trainer to ask" in nobody.err

    step = tinygpt("runs", "list", "--json").lines[0]["step"]
    trainer("--resume", "fox", "--steps", str(step + 5))
    told = tinygpt("runs", "watch", "fox", "--json")  # at once, before the trainer has loaded
    assert told.lines[-1]["step"] == step + 5
    assert tinygpt("runs", "rm", "fox").code == 0
