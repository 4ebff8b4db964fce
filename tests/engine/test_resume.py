"""What a resume promises: a run that was killed anywhere and taken up again is the run that was not, to the last bit."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable
from typing import Any

import pytest

from engine import events
from engine.checkpoint import checkpoints
from engine.control import request
from engine.errors import CheckpointError
from engine.event_log import EventLog, read_events
from engine.events import Control, Event, Saved, Start, Step, Warn
from engine.preparing import prepare
from engine.runs import RunFolder


def at_step(kind: type[Event], step: int) -> Callable[[Event], bool]:
    """Whether an event is of this kind and step."""
    return lambda event: isinstance(event, kind) and events.step_of(event) == step


def asking(folder: RunFolder, step: int, *asked: tuple[Any, ...]) -> Callable[[Event], None]:
    """A listener that makes these requests as soon as `step` updates are done."""

    def say(event: Event) -> None:
        if isinstance(event, Step) and event.step == step:
            for do, *values in asked:
                request(folder, do, *values)

    return say


def of(kind: type[Event], folder: RunFolder) -> list[Any]:
    return [event for event in read_events(folder) if isinstance(event, kind)]


def tear_last_line(folder: RunFolder) -> None:
    with folder.events.open("ab") as file:
        file.write(b'{"event": "step", "step": 29, "lo')


def assert_equal_runs(world: Any, one: RunFolder, other: RunFolder) -> None:
    assert world.steps(one) == world.steps(other)
    assert world.weights(one) == world.weights(other)


def test_a_run_killed_after_step_25_and_resumed_is_the_run_that_was_not(world: Any) -> None:
    # The micro-batches make a step slow enough for the kill to come between step 25 and the end.
    values = {
        "steps": 60,
        "save_every": 10,
        "eval_every": 15,
        "batch_size": 10,
        "optimizer": "adamw",
        "arch": "classic",
    }
    killed, whole = world.run("killed", **values), world.run("whole", **values)
    child = world.spawn(killed)
    request(killed, "sample", 30, prompt="the cat")
    world.until(lambda: child.poll() is not None or (world.steps(killed) or [(0,)])[-1][0] >= 25)
    child.kill()
    assert child.wait() == -signal.SIGKILL, "it must be killed at work"
    assert len(world.steps(killed)) < 60
    assert killed.state() == "stale"
    tear_last_line(killed)
    child = world.spawn(killed)
    assert world.train(whole) == 0
    assert child.wait() == 0, child.stdout.read()
    starts = [
        json.loads(line) for line in killed.events.read_bytes().splitlines() if b'"event": "start"' in line
    ]
    assert starts[1]["from_step"] >= 20
    assert killed.state() == "done"
    assert_equal_runs(world, killed, whole)


def test_changes_of_course_after_the_last_checkpoint_are_made_again_at_their_steps(world: Any) -> None:
    values = {"steps": 56, "save_every": 10, "eval_every": 15, "optimizer": "muon"}
    killed, whole = world.run("killed", **values), world.run("whole", **values)
    asked = [("lr", 0.5), ("sample", 30, "the cat"), ("extend", 4)]
    child = world.spawn(killed)
    world.until(lambda: child.poll() is not None or (world.steps(killed) or [(0,)])[-1][0] >= 25)
    # The pause holds it until everything is asked and obeyed, all at one step.
    for do, *rest in [("pause",), *asked]:
        request(killed, do, *rest)
        world.until(lambda do=do: child.poll() is not None or any(c.do == do for c in of(Control, killed)))
    child.kill()
    assert child.wait() == -signal.SIGKILL
    turned = of(Control, killed)[0].step
    tear_last_line(killed)
    # The resumed trainer is a new process, too: this one.
    assert world.train(killed) == 0
    assert world.train(whole, asking(whole, turned, *asked)) == 0
    assert len(world.steps(killed)) == 60
    assert_equal_runs(world, killed, whole)


CUTS: dict[str, Callable[[Event], bool]] = {
    "before the first checkpoint": at_step(Step, 3),
    "right after a checkpoint": at_step(Saved, 10),
    "between two checkpoints": at_step(Step, 13),
    "in an evaluation": at_step(events.Eval, 14),
    "at the last step": at_step(Step, 20),
    "after the last checkpoint": at_step(Saved, 20),
    "after the end": at_step(events.Done, 20),
}


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return {"made": None, "data": tmp_path_factory.mktemp("reference")}


@pytest.mark.parametrize("cut", CUTS)
def test_it_does_not_matter_where_a_run_is_cut(world: Any, reference: dict[str, Any], cut: str) -> None:
    values = {"steps": 20, "save_every": 5, "eval_every": 7}
    if reference["made"] is None:
        whole = world.run("whole", **values)
        world.train(whole)
        reference["made"] = (world.steps(whole), world.weights(whole))
    cutted = world.run("cut", **values)
    world.train_until(cutted, CUTS[cut])
    assert world.train(cutted) == 0
    assert (world.steps(cutted), world.weights(cutted)) == reference["made"]
    assert cutted.state() == "done"


def test_a_run_cut_again_and_again_ends_alike(world: Any) -> None:
    values = {"steps": 20, "save_every": 5, "dtype": "float64", "optimizer": "adamw"}
    cut, whole = world.run("cut", **values), world.run("whole", **values)
    world.train(whole)
    for step in (4, 8, 8, 17):
        world.train_until(cut, at_step(Step, step))
    assert world.train(cut) == 0
    assert_equal_runs(world, cut, whole)


def test_looking_at_a_run_does_not_change_it(world: Any) -> None:
    watched = world.run("watched", steps=16, eval_every=3, save_every=2, sample_chars=40)
    alone = world.run("alone", steps=16, eval_every=1000, save_every=1000, sample_chars=0)
    world.train(watched, asking(watched, 5, ("sample", 25, "the dog"), ("save",), ("sample", 60, "")))
    world.train(alone)
    assert len(of(events.Eval, watched)) == 6
    assert len(of(events.Eval, alone)) == 1
    assert_equal_runs(world, watched, alone)


def test_how_often_a_run_is_evaluated_does_not_change_what_a_resume_learns(world: Any) -> None:
    often = world.run("often", steps=16, eval_every=2, save_every=5)
    seldom = world.run("seldom", steps=16, eval_every=1000, save_every=5)
    world.train_until(often, at_step(Step, 8))
    world.train(often)
    world.train(seldom)
    assert_equal_runs(world, often, seldom)


@pytest.mark.parametrize("step", [7, 5], ids=["between checkpoints", "at a checkpoint"])
@pytest.mark.parametrize("asked", [("lr", 0.25), ("extend", 3)], ids=["lr", "extend"])
def test_a_change_that_was_recorded_but_never_made_is_made_once(
    world: Any, asked: tuple[Any, ...], step: int
) -> None:
    values = {"steps": 12, "save_every": 5}
    cut, whole = world.run("cut", **values), world.run("whole", **values)
    world.train(whole, asking(whole, step, asked))
    ask = asking(cut, step, asked)

    def say(event: Event) -> None:
        ask(event)
        if isinstance(event, Control):
            raise world.Died

    with pytest.raises(world.Died):
        world.train(cut, say)
    assert world.train(cut) == 0
    assert_equal_runs(world, cut, whole)
    assert [(c.do, c.step) for c in read_events(whole) if isinstance(c, Control)] == [(asked[0], step)]


@pytest.mark.parametrize(
    ("step", "then"),
    [(7, []), (5, []), (7, [("save",)])],
    ids=["between checkpoints", "at a checkpoint", "before a checkpoint of the same step"],
)
def test_a_change_that_was_made_is_not_made_twice_by_any_number_of_resumes(
    world: Any, step: int, then: list[tuple[str]]
) -> None:
    values = {"steps": 16, "save_every": 5}
    cut, whole = world.run("cut", **values), world.run("whole", **values)
    asked = [("lr", 2.0), ("extend", 4), *then]
    world.train(whole, asking(whole, step, *asked))
    ask = asking(cut, step, *asked)

    def say(event: Event) -> None:
        ask(event)
        if isinstance(event, Step) and event.step == step + 1:
            raise world.Died

    with pytest.raises(world.Died):
        world.train(cut, say)
    for end in (step + 2, 13):
        world.train_until(cut, at_step(Step, end))
    assert world.train(cut) == 0
    assert len(world.steps(cut)) == 20
    assert_equal_runs(world, cut, whole)


def test_what_was_recorded_is_not_obeyed_again(world: Any) -> None:
    folder = world.run("run", steps=12, save_every=5)
    world.train(folder, asking(folder, 7, ("sample", 9, "the"), ("stop",)))
    assert folder.state() == "stopped"
    heard: list[Event] = []
    assert world.train(folder, heard.append) == 0
    assert folder.state() == "done"
    assert not [event for event in heard if isinstance(event, Control)]
    assert not [event for event in heard if isinstance(event, events.Sample) and event.prompt]


def test_a_request_made_while_nobody_trained_is_obeyed_by_the_next_trainer(world: Any) -> None:
    folder = world.run("run", steps=12, save_every=5)
    world.train(folder, asking(folder, 7, ("stop",)))
    request(folder, "extend", 3)
    world.train(folder)
    assert world.steps(folder)[-1][0] == 15


def test_a_stop_that_came_twice_does_not_stop_the_next_trainer(world: Any) -> None:
    folder = world.run("run", steps=12, eval_every=100, save_every=5)
    ask = asking(folder, 7, ("stop",))

    def say(event: Event) -> None:
        ask(event)
        if isinstance(event, Saved) and event.step == 7:
            request(folder, "stop")

    world.train(folder, say)
    assert world.train(folder) == 0
    assert folder.state() == "done"


@pytest.mark.parametrize(
    "asked", [("stop",), ("pause",), ("sample", 9, "the")], ids=["stop", "pause", "sample"]
)
def test_what_was_asked_of_a_trainer_that_had_just_ended_is_not_obeyed_by_the_next(
    world: Any, asked: tuple[Any, ...]
) -> None:
    folder = world.run("run", steps=12)

    def say(event: Event) -> None:
        if isinstance(event, events.Done):
            request(folder, *asked)

    world.train(folder, say)
    heard: list[Event] = []
    assert world.train(folder, heard.append, total_steps=16) == 0
    assert (folder.state(), world.steps(folder)[-1][0]) == ("done", 16)
    assert not [event for event in heard if isinstance(event, events.Sample) and event.prompt]
    # It is recorded, so that nobody shows it as still waiting.
    assert [(c.do, c.step) for c in of(Control, folder)] == [(asked[0], 12)]


@pytest.mark.parametrize("trained", [False, True], ids=["a new run", "a resume"])
def test_a_stop_asked_for_while_a_trainer_prepares_is_obeyed(
    world: Any, monkeypatch: pytest.MonkeyPatch, trained: bool
) -> None:
    folder = world.run("run", steps=12)
    if trained:
        world.train(folder)

    def preparing(*args: Any, **options: Any) -> Any:
        request(folder, "stop")
        return prepare(*args, **options)

    monkeypatch.setattr("engine.trainer.prepare", preparing)
    world.train(folder, total_steps=16 if trained else None)
    assert (folder.state(), len(world.steps(folder))) == ("stopped", 12 if trained else 0)


def test_a_stop_that_came_before_the_first_trainer_is_obeyed(world: Any) -> None:
    folder = world.run("run", steps=12)
    request(folder, "stop")
    world.train(folder)
    assert (folder.state(), len(world.steps(folder))) == ("stopped", 0)


def test_a_new_total_of_steps_outlives_a_kill_before_the_next_checkpoint(world: Any) -> None:
    values = {"steps": 10, "save_every": 50}
    cut, whole = world.run("cut", **values), world.run("whole", **values)
    for folder in (cut, whole):
        world.train(folder)
    world.train(whole, total_steps=20)
    world.train_until(cut, at_step(Step, 13), total_steps=20)
    assert world.train(cut) == 0
    assert len(world.steps(cut)) == 20
    assert_equal_runs(world, cut, whole)


def test_a_damaged_newest_checkpoint_is_skipped_and_named_and_the_run_ends_alike(world: Any) -> None:
    values = {"steps": 16, "save_every": 5}
    hurt, whole = world.run("hurt", **values), world.run("whole", **values)
    world.train(whole)
    world.train_until(hurt, at_step(Step, 12))
    newest = checkpoints(hurt)[0].path / "model.safetensors"
    data = bytearray(newest.read_bytes())
    data[-3] ^= 1
    newest.write_bytes(data)
    assert world.train(hurt) == 0
    assert any("step 10" in warning.message for warning in of(Warn, hurt))
    assert_equal_runs(world, hurt, whole)


def test_a_run_whose_checkpoints_are_all_damaged_is_not_silently_begun_again(world: Any) -> None:
    folder = world.run("run", steps=12, save_every=5)
    world.train_until(folder, at_step(Step, 8))
    for info in checkpoints(folder):
        (info.path / "manifest.json").write_text("{", encoding="ascii")
    with pytest.raises(CheckpointError, match="step 5"):
        world.train(folder)
    assert folder.state() == "failed"


def test_another_torch_is_named_as_the_reason_why_a_resume_is_not_exact(world: Any) -> None:
    folder = world.run("run", steps=8, save_every=5)
    world.train_until(folder, at_step(Step, 6))
    info = folder.read_run()
    info["versions"] |= {"torch": "1.0.0", "instructions": "ABACUS"}
    folder.run.write_text(json.dumps(info), encoding="ascii")
    world.train(folder)
    (warning,) = [event.message for event in of(Warn, folder)]
    assert "not bit-exact" in warning
    assert "torch 1.0.0 is now" in warning
    assert "ABACUS is now" in warning
    assert "machine" not in warning


def test_the_same_machine_gives_no_warning(world: Any) -> None:
    folder = world.run("run", steps=8, save_every=5)
    world.train_until(folder, at_step(Step, 6))
    world.train(folder)
    assert of(Warn, folder) == []


def test_threads_and_dtype_are_settled_before_the_first_step_and_obeyed(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from engine import preparing

    folder = world.run("run", steps=8, save_every=5)
    world.train_until(folder, at_step(Step, 6))
    assert (folder.read_run()["threads"], folder.read_run()["dtype"]) == (1, "float32")
    used = []
    use = preparing.use
    monkeypatch.setattr(preparing, "use", lambda machine: (used.append(machine), use(machine))[1])
    world.train(folder)
    assert [(machine.threads, machine.dtype) for machine in used] == [(1, "float32")]
    assert torch.get_num_threads() == 1


def test_a_run_copied_to_another_folder_goes_on_there(world: Any) -> None:
    values = {"steps": 12, "save_every": 5}
    here, whole = world.run("here", **values), world.run("whole", **values)
    world.train(whole)
    world.train_until(here, at_step(Step, 8))
    shutil.copytree(here.path, here.path.with_name("there"))
    shutil.rmtree(here.path)
    there = RunFolder(here.path.with_name("there"))
    assert world.train(there) == 0
    assert_equal_runs(world, there, whole)


def test_a_resume_says_where_it_starts(world: Any) -> None:
    folder = world.run("run", steps=12, save_every=5)
    world.train_until(folder, at_step(Step, 8))
    with EventLog.open(folder):
        pass
    world.train(folder)
    assert [start.from_step for start in of(Start, folder)] == [0, 5]
    assert [start.horizon for start in of(Start, folder)] == [12, 12]
