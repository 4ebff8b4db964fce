"""`tinygpt train`: the events other programs read, and a run that can always be gone on with."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.errors import ResourceError
from engine.runs import RunFolder
from tinygpt_tui.cli.train_command import _began

Run = Callable[..., Any]

# Keys that other programs rely on; more are welcome.
KEYS = {
    "start": {"v", "run", "from_step", "params", "horizon"},
    "step": {"step", "loss", "lr", "chars_per_s"},
    "eval": {"step", "val_loss", "best_val_loss"},
    "sample": {"step", "text"},
    "saved": {"step", "path"},
    "done": {
        "run", "step", "val_loss", "best_val_loss", "train_chars", "seconds", "chars_per_s", "params",
    },
}  # fmt: skip


def test_the_events_have_the_keys_that_programs_rely_on(trained: Any) -> None:
    names = [event["event"] for event in trained.fox]
    assert (names[0], names[-1]) == ("start", "done")
    assert names.count("done") == 1
    assert set(KEYS) <= set(names)
    for event in trained.fox:
        assert KEYS.get(event["event"], set()) <= set(event)


def test_the_last_event_sums_up_the_run(trained: Any) -> None:
    start, done = trained.fox[0], trained.fox[-1]
    assert (start["run"], start["from_step"], start["horizon"]) == ("fox", 0, 20)
    assert (done["run"], done["step"], done["params"]) == ("fox", 20, start["params"])
    evals = [event for event in trained.fox if event["event"] == "eval"]
    assert [event["step"] for event in evals] == [10, 20]
    assert done["val_loss"] == evals[-1]["val_loss"]
    assert done["best_val_loss"] == min(event["val_loss"] for event in evals)
    assert 0 < done["val_loss"] < start["params"]


def test_what_is_called_saved_is_there(trained: Any) -> None:
    saved = [event for event in trained.fox if event["event"] == "saved"]
    assert [event["step"] for event in saved] == [10, 20]
    assert all((trained.run / event["path"] / "manifest.json").is_file() for event in saved)


def test_without_json_nothing_is_printed_but_narration(
    tinygpt: Run, tiny: tuple[str, ...], corpora: Path
) -> None:
    outcome = tinygpt("train", str(corpora / "fox.txt"), "--steps", "2", *tiny)
    assert (outcome.code, outcome.out) == (0, "")
    assert outcome.err.startswith("fox: ")
    assert outcome.err.endswith("hear it with: tinygpt sample fox\n")
    again = tinygpt("train", str(corpora / "fox.txt"), "--steps", "2", *tiny, "--quiet")
    assert (again.code, again.out, again.err) == (0, "", "")
    assert [run["run"] for run in tinygpt("runs", "list", "--json").lines] == ["fox-2", "fox"]


def test_a_run_with_a_checkpoint_is_never_taken_for_one_that_did_not_begin(trained: Any) -> None:
    folder = RunFolder(trained.run)
    assert _began(folder)
    folder.events.unlink()  # a full disk took none of them
    assert _began(folder)
    shutil.rmtree(folder.checkpoints)
    assert not _began(folder)


def test_a_recipe_repeats_a_run(trained: Any, tinygpt: Run, corpora: Path) -> None:
    again = tinygpt("train", str(corpora / "fox.txt"), "--recipe", "fox", "--name", "again", "--json").lines
    assert again[-1]["val_loss"] == trained.fox[-1]["val_loss"]


def test_a_finished_run_goes_on_to_a_new_total(trained: Any, tinygpt: Run) -> None:
    events = tinygpt("train", "--resume", "fox", "--steps", "22", "--json").lines
    assert (events[0]["from_step"], events[0]["horizon"]) == (20, 22)
    assert (events[-1]["event"], events[-1]["step"]) == ("done", 22)


def test_a_resume_finds_its_text_from_any_folder(
    trained: Any, tinygpt: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = trained.run / "request.json"
    source = json.loads(request.read_text())["corpus"]["source"]
    request.write_text(request.read_text().replace(source, "/no/longer/there.txt"))
    monkeypatch.chdir(trained.run.parent)
    assert tinygpt("train", "--resume", "./fox", "--steps", "21", "--quiet").code == 0


def test_a_run_that_was_copied_elsewhere_finds_its_text_at_home(
    tinygpt: Run, tiny: tuple[str, ...], stdin: Run, corpora: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    stdin((corpora / "fox.txt").read_bytes())  # so there is no file to read again
    assert tinygpt("train", "-", "--name", "fox", "--steps", "2", *tiny, "--quiet").code == 0
    copy = tmp_path / "elsewhere" / "copy"
    shutil.copytree(home / "data" / "runs" / "fox", copy)
    assert tinygpt("train", "--resume", str(copy), "--steps", "3", "--quiet").code == 0
    assert json.loads((copy / "status.json").read_text())["step"] == 3

    told: list[dict[str, Any]] = []

    def start_detached(folder: object, **options: Any) -> int:
        told.append(options)
        raise ResourceError("no process is started here")

    monkeypatch.setattr("engine.launch.start_detached", start_detached)
    assert tinygpt("train", "--resume", str(copy), "--steps", "4", "--detach").code == 4
    assert told[0]["corpora_dir"] == home / "data" / "corpora"


def test_a_data_folder_that_was_copied_brings_its_texts(
    tinygpt: Run, tiny: tuple[str, ...], stdin: Run, corpora: Path, home: Path, tmp_path: Path
) -> None:
    stdin((corpora / "fox.txt").read_bytes())
    assert tinygpt("train", "-", "--name", "fox", "--steps", "2", *tiny, "--quiet").code == 0
    (home / "data").rename(tmp_path / "stick")
    run = str(tmp_path / "stick" / "runs" / "fox")
    assert tinygpt("train", "--resume", run, "--steps", "3", "--quiet").code == 0
    assert tinygpt("eval", run).code == 0


def test_a_counting_model_is_a_run_like_any_other(tinygpt: Run, corpora: Path) -> None:
    events = tinygpt("train", str(corpora / "fox.txt"), "--arch", "ngram", "--set", "order=3", "--json").lines
    done = events[-1]
    assert done["event"] == "done"
    (found,) = tinygpt("eval", "--json").lines
    assert found["val_loss"] == pytest.approx(done["val_loss"], abs=1e-6)
    assert len(tinygpt("sample", "-n", "30").out) == 30


def test_standard_input_is_a_corpus_and_changes_are_told(
    tinygpt: Run, tiny: tuple[str, ...], stdin: Run, corpora: Path
) -> None:
    stdin((corpora / "fox.txt").read_bytes().replace(b"\n", b"\r\n"))
    outcome = tinygpt("train", "-", "--steps", "1", *tiny, "--quiet", "--json")
    assert outcome.lines[-1]["run"] == "stdin"
    assert outcome.err.startswith("note: ")
    assert "CRLF" in outcome.err
    (shown,) = tinygpt("runs", "show", "--json").lines
    assert shown["corpus"]["chars"] == 6000


def test_a_hostile_file_name_makes_a_harmless_run(
    tinygpt: Run, tiny: tuple[str, ...], corpora: Path, tmp_path: Path
) -> None:
    path = tmp_path / "\x1b]0;owned\x07[red]..\udcff.txt"
    path.write_bytes((corpora / "fox.txt").read_bytes())
    outcome = tinygpt("train", str(path), "--steps", "1", *tiny)
    assert outcome.code == 0
    assert outcome.err.replace("\n", "").isprintable()
    (run,) = tinygpt("runs", "list", "--json").lines
    assert run["run"].isascii()
    assert tinygpt("runs", "list").out.replace("\n", "").isprintable()


def test_a_run_that_diverges_fails_with_one_and_keeps_its_json_legal(
    tinygpt: Run, tiny: tuple[str, ...], corpora: Path
) -> None:
    wild = ("lr=10", "muon_lr=10", "weight_decay=100", "muon_weight_decay=100", "warmup_steps=0", "clip=0")
    options = (part for setting in wild for part in ("--set", setting))
    outcome = tinygpt("train", str(corpora / "fox.txt"), "--steps", "200", *tiny, *options, "--json")
    for line in outcome.out.splitlines():
        json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    failed = outcome.lines[-1]
    assert (outcome.code, failed["event"], failed["exit"]) == (1, "failed", 1)
    assert "not finite" in failed["reason"]
    assert outcome.err.splitlines()[-1] == f"error: {failed['reason']}"
    assert outcome.err.count(failed["reason"]) == 1


def test_a_damaged_text_is_read_again_from_where_it_came(
    tinygpt: Run, tiny: tuple[str, ...], corpora: Path, tmp_path: Path, home: Path
) -> None:
    source = tmp_path / "mine.txt"
    source.write_bytes((corpora / "fox.txt").read_bytes())
    assert tinygpt("train", str(source), "--steps", "1", *tiny, "--quiet").code == 0
    for path in (home / "data" / "corpora").iterdir():
        path.write_text("something else")
    assert tinygpt("train", "--resume", "mine", "--steps", "2", "--quiet").code == 0
    source.write_text("something else")
    lost = tinygpt("train", "--resume", "mine", "--steps", "3", "--json")
    assert (lost.code, lost.lines[-1]["event"]) == (3, "failed")
    assert "is not the text this run learned" in lost.err


def test_ctrl_c_finishes_the_step_saves_and_says_how_to_go_on(
    tinygpt: Run, start: Run, tiny: tuple[str, ...], corpora: Path
) -> None:
    child = start("train", str(corpora / "fox.txt"), "--steps", "1000000", *tiny, "--json")
    # Nobody reads stderr meanwhile, and it must not fill up.
    said: list[bytes] = []
    reader = threading.Thread(target=lambda: said.append(child.stderr.read()))
    reader.start()
    events = []
    for line in child.stdout:
        events.append(json.loads(line))
        if events[-1]["event"] == "step":
            child.send_signal(signal.SIGINT)
            break
    events += [json.loads(line) for line in child.stdout]
    assert child.wait(timeout=60) == 130
    reader.join()
    assert b"tinygpt train --resume fox" in said[0].splitlines()[-1]
    done = events[-1]
    assert (done["event"], done["reason"]) == ("done", "stopped")
    assert any(event["event"] == "saved" and event["step"] == done["step"] for event in events)

    resumed = tinygpt("train", "--resume", "fox", "--steps", str(done["step"] + 5), "--json").lines
    assert resumed[0]["from_step"] == done["step"]
    assert resumed[-1]["step"] == done["step"] + 5


def test_a_reader_that_goes_away_ends_the_run_quietly_and_it_can_be_gone_on_with(
    tinygpt: Run, start: Run, tiny: tuple[str, ...], corpora: Path
) -> None:
    args = ("train", str(corpora / "fox.txt"), "--steps", "1000000", *tiny, "--json", "--quiet")
    child = start(*args)
    first = json.loads(child.stdout.readline())
    child.stdout.close()
    err = child.stderr.read().decode()
    assert child.wait(timeout=60) == 143
    assert first["event"] == "start"
    assert err == "stopped and saved; go on with: tinygpt train --resume fox\n"
    (run,) = tinygpt("runs", "list", "--json").lines
    assert run["state"] == "stopped"
    resumed = tinygpt("train", "--resume", "fox", "--steps", str(run["step"] + 2), "--json").lines
    assert resumed[0]["from_step"] == run["step"]


def test_ctrl_c_in_a_pipeline_ends_the_reader_too_and_the_run_is_saved_all_the_same(
    tinygpt: Run, start: Run, until: Run, tiny: tuple[str, ...], corpora: Path, home: Path
) -> None:
    # Steps so slow that the next one is told to nobody, before the trainer looks whether it is to end.
    slow = ("--set", "batch_size=2048")
    args = ("train", str(corpora / "fox.txt"), "--steps", "1000000", *tiny, *slow, "--json", "--quiet")
    child = start(*args, process_group=0)
    reader = subprocess.Popen(["cat"], stdin=child.stdout, stdout=subprocess.DEVNULL, process_group=child.pid)
    child.stdout.close()
    told = home / "data" / "runs" / "fox" / "events.jsonl"
    until(lambda: told.exists() and b'"event": "step"' in told.read_bytes())
    os.killpg(child.pid, signal.SIGINT)
    reader.wait()
    assert child.wait(timeout=60) == 130
    (run,) = tinygpt("runs", "list", "--json").lines
    assert (run["state"], run["step"] > 0) == ("stopped", True)
    resumed = tinygpt("train", "--resume", "fox", "--steps", str(run["step"] + 1), "--json").lines
    assert resumed[0]["from_step"] == run["step"]


@pytest.mark.skipif(not os.access("/dev/full", os.W_OK), reason="needs /dev/full")
def test_an_output_that_is_full_costs_no_training(
    tinygpt: Run, start: Run, tiny: tuple[str, ...], corpora: Path
) -> None:
    with Path("/dev/full").open("wb") as full:
        args = ("train", str(corpora / "fox.txt"), "--steps", "1000000", *tiny, "--json", "--quiet")
        child = start(*args, stdout=full, stderr=subprocess.PIPE)
        err = child.communicate(timeout=60)[1].decode()
    assert child.returncode == 143
    assert "standard output cannot be written" in err
    assert "Traceback" not in err
    assert tinygpt("runs", "list", "--json").lines[0]["state"] == "stopped"
