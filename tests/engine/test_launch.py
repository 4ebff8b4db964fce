"""What launching promises: nothing wrong gets a folder, a run can be repeated to the bit, and a trainer outlives who started it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import engine
from engine import corpus as corpora
from engine import events, launch
from engine.budget import Budget
from engine.control import request
from engine.corpus import Corpus, read_corpus
from engine.errors import CorpusError, UsageError
from engine.event_log import read_events
from engine.events import Control, Done, Eval, Event, Step
from engine.launch import new_run, recipe_of, start_detached
from engine.lock import holder
from engine.recipe import Recipe
from engine.runs import RunFolder, suggest_name
from engine.schedule import Plan

ROOT = Path(engine.__file__).parent.parent


def of(kind: type[Event], folder: RunFolder) -> list[Any]:
    return [event for event in read_events(folder) if isinstance(event, kind)]


def text_of_length(length: int) -> Corpus:
    return Corpus("short", ("abcd\n" * length)[:length], "0" * 64, "-")


def test_a_new_run_holds_its_request_and_its_text(world: Any) -> None:
    folder = world.run("run", steps=7)
    asked = folder.read_request()
    assert asked["values"]["steps"] == 7
    assert asked["corpus"] == {
        "name": "animals",
        "sha256": world.corpus.sha256,
        "chars": len(world.corpus.text),
        "kept": True,
        "source": str(world.file),
        "encoding": None,
        "force_text": False,
    }
    kept = world.data / "corpora" / f"{world.corpus.sha256}.txt"
    assert kept.read_text(encoding="utf-8") == world.corpus.text
    assert folder.state() == "preparing"


def test_a_run_without_a_name_is_named_after_its_corpus(world: Any) -> None:
    names = [new_run(world.data, world.corpus).name for _ in range(3)]
    assert names == ["animals", "animals-2", "animals-3"]


def test_a_name_that_somebody_else_takes_meanwhile_is_no_reason_to_fail(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = []

    def slow(base: str, runs_dir: Path) -> str:
        name = suggest_name(base, runs_dir)
        if len(taken) < 2:
            taken.append(new_run(world.data, world.corpus, name=name).name)
        return name

    monkeypatch.setattr(launch, "suggest_name", slow)
    assert new_run(world.data, world.corpus).name == "animals-3"
    assert taken == ["animals", "animals-2"]


def test_a_name_that_was_chosen_and_is_taken_meanwhile_is_refused(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "check_request", lambda *_: None)  # as it was when it was looked at
    world.run("mine")
    with pytest.raises(UsageError, match="A run named mine exists"):
        new_run(world.data, world.corpus, name="mine")


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"values": {"lr": -1.0}}, "lr must be"),
        ({"values": {"steps": 0}}, "steps must be"),
        ({"values": {"lr": float("nan")}}, "lr must be"),
        ({"values": {"arch": "rnn"}}, "arch must be"),
        ({"values": {"n_head": 3}}, "multiple of n_head"),
        ({"values": {"colour": 3}}, "'colour'"),
        ({"values": {"plans": ()}}, "'plans'"),
        ({"size": "1t"}, "'1t'"),
        ({"size": "0.1m", "values": {"n_head": 3}}, "multiple of n_head"),
        ({"name": "../up"}, "cannot name a run"),
        ({"name": "CON"}, "cannot name a run"),
        ({"name": "taken"}, "exists already"),
    ],
)
def test_what_is_asked_wrongly_gets_no_folder(world: Any, given: dict[str, Any], problem: str) -> None:
    world.run("taken")
    before = sorted(world.data.rglob("*"))
    with pytest.raises(UsageError, match=problem):
        new_run(world.data, world.corpus, **given)
    assert sorted(world.data.rglob("*")) == before


@pytest.mark.parametrize(("length", "values"), [(17, {}), (100, {"block_size": 90})])
def test_a_text_that_is_too_short_gets_no_folder(world: Any, length: int, values: dict[str, Any]) -> None:
    with pytest.raises(CorpusError, match="too short") as refused:
        new_run(world.data, text_of_length(length), values=values)
    assert ("a smaller block_size" in str(refused.value)) == bool(values)
    with pytest.raises(CorpusError, match="too short") as refused:
        new_run(world.data, text_of_length(20), recipe=Recipe(block_size=64))
    assert "block_size" not in str(refused.value)  # a recipe is taken whole
    assert not (world.data / "runs").exists()
    assert not (world.data / "corpora").exists()


def test_a_short_text_that_fills_one_window_is_enough(world: Any) -> None:
    world.file.write_text("abcd\nefgh\n" * 2, encoding="utf-8")
    folder = world.run("run", steps=2, block_size=8)
    assert world.train(folder) == 0
    assert of(Done, folder)[0].step == 2


def test_launching_loads_no_torch() -> None:
    code = "import sys, engine.launch; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_a_text_too_large_to_keep_is_read_again_with_the_same_options(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpora, "STORE_BYTES", 10)
    monkeypatch.chdir(world.data)
    Path("latin.txt").write_bytes(b"caf\xe9 and na\xefve\x00 " * 100)
    how: dict[str, Any] = {"encoding": "latin-1", "force_text": True}
    text = read_corpus("latin.txt", **how)
    values = dict(world.run("other").read_request()["values"], steps=2)
    folder = new_run(world.data, text, name="run", values=values, **how)
    assert not (world.data / "corpora" / f"{text.sha256}.txt").exists()
    monkeypatch.chdir("/")
    assert world.train(folder) == 0


def test_a_catalogue_name_stays_a_name_beside_a_file_of_that_name(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(world.data)
    Path("sums").write_text("not this one", encoding="utf-8")
    named = replace(world.corpus, source="sums")
    assert new_run(world.data, named, name="a").read_request()["corpus"]["source"] == "sums"
    beside = replace(world.corpus, source="./sums")
    assert new_run(world.data, beside, name="b").read_request()["corpus"]["source"] == str(
        world.data / "sums"
    )


def test_a_recipe_repeats_a_run_with_its_changes_of_plan(world: Any) -> None:
    first = world.run("first", steps=10, save_every=4)

    def say(event: Event) -> None:
        if isinstance(event, Step) and event.step in (3, 7):
            request(first, "extend", 2)

    world.train(first, say)
    world.train(first, total_steps=20)
    recipe = recipe_of(first)
    assert [(p.step, p.start, p.horizon) for p in recipe.plans] == [
        (0, 0, 10),
        (3, 0, 12),
        (7, 0, 14),
        (14, 14, 20),
    ]
    again = world.run("again", recipe=recipe)
    world.train(again)
    assert world.steps(again) == world.steps(first)
    assert world.weights(again) == world.weights(first)
    third = world.run("third", recipe=recipe_of(again))
    world.train_until(third, lambda event: isinstance(event, Step) and event.step == 9)
    world.train(third)
    assert world.weights(third) == world.weights(first)


def test_a_recipe_repeats_a_run_with_its_changes_of_the_learning_rate(world: Any) -> None:
    first = world.run("first", steps=12, save_every=4)
    factors = {3: 0.1, 7: 4.0}

    def say(event: Event) -> None:
        if isinstance(event, Step) and event.step in factors:
            request(first, "lr", factors[event.step])

    world.train(first, say)
    again = world.run("again", recipe=recipe_of(first))
    world.train_until(again, lambda event: isinstance(event, Step) and event.step == 6)
    # Whoever repeats a run that is not through repeats what is to come, too.
    third = world.run("third", recipe=recipe_of(again))
    world.train(again)
    fourth = world.run("fourth", recipe=recipe_of(again))
    world.train(third)
    world.train(fourth)
    for other in (again, third, fourth):
        assert [(c.step, c.do, c.value) for c in of(Control, other)] == [(3, "lr", 0.1), (7, "lr", 4.0)]
        assert world.steps(other) == world.steps(first)
        assert world.weights(other) == world.weights(first)


def test_a_run_that_repeats_another_is_steered_on_top_of_it(world: Any) -> None:
    first = world.run("first", steps=8)
    world.train(
        first, lambda event: isinstance(event, Step) and event.step == 3 and request(first, "lr", 0.5)
    )
    again = world.run("again", recipe=recipe_of(first))
    world.train(
        again, lambda event: isinstance(event, Step) and event.step == 5 and request(again, "lr", 0.5)
    )
    halved = [a[2] / b[2] for a, b in zip(world.steps(again), world.steps(first), strict=True)]
    assert halved == [1.0] * 5 + [0.5] * 3


def test_a_run_that_ended_by_patience_is_repeated_without_measuring(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = iter([2.0, 3.0])
    first = world.run("first", steps=50, eval_every=3, patience=2)
    with monkeypatch.context() as patched:
        patched.setattr("engine.training.validation_loss", lambda *_: next(losses))
        world.train(first)
    assert of(Done, first)[0].step == 6
    again = world.run("again", recipe=recipe_of(first))
    world.train(again)
    assert world.steps(again) == world.steps(first)
    assert world.weights(again) == world.weights(first)


def test_a_recipe_that_leaves_the_machine_open_is_settled_before_the_first_step(world: Any) -> None:
    recipe = replace(recipe_of_settled(world), dtype="auto", threads=0)
    folder = world.run("open", recipe=recipe)
    world.train(folder)
    settled = Recipe.from_json(folder.read_run()["recipe"])
    assert settled.dtype in ("float32", "bfloat16")
    assert settled.threads >= 1


def recipe_of_settled(world: Any) -> Recipe:
    folder = world.run("settled", steps=2)
    world.train(folder)
    return recipe_of(folder)


def test_a_run_by_time_keeps_its_time(world: Any) -> None:
    folder = world.run("timed", time=6.0, micro_batch=4)
    began = time.time()
    child = world.spawn(folder)
    assert child.wait() == 0, child.stdout.read()
    # To its last words; how long the system then takes to clear away a process is not ours to promise. On a machine so busy that
    # starting alone takes longer, it can only end soon after.
    starting = folder.run.stat().st_mtime - began
    assert folder.read_status().heartbeat - began < max(6.0, starting) + max(3.0, starting / 2)
    done = of(Done, folder)[0]
    assert done.reason == "time"
    assert of(Eval, folder)[-1].step == done.step >= 1


def test_a_run_by_time_is_repeated_exactly_without_a_clock(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A machine that is said to be far too slow makes a plan that has to be changed on the way; a step takes 0.1 s by this clock.
    monkeypatch.setattr("engine.sizing.measure", lambda machine, *_: (machine, 2e7))
    now = [0.0]
    monkeypatch.setattr(
        "engine.trainer.Budget", lambda seconds, spent: Budget(seconds, 0.0, clock=lambda: now[0])
    )

    def say(event: Event) -> None:
        now[0] += 0.1 * isinstance(event, Step)

    folder = world.run("timed", time=4.0, micro_batch=4)
    world.train(folder, say)
    done = of(Done, folder)[0]
    assert done.reason == "time"
    assert len(of(events.Plan, folder)) > 1
    recipe = recipe_of(folder)
    assert recipe.time is None
    again = world.run("again", recipe=recipe)
    assert world.train(again) == 0
    assert of(Done, again)[0].reason == "steps"
    assert world.steps(again) == world.steps(folder)
    assert len(world.steps(again)) == done.step > 1
    assert world.weights(again) == world.weights(folder)


def test_a_detached_trainer_outlives_who_started_it_and_is_the_only_one(world: Any) -> None:
    folder = world.run("run", steps=10**6, sample_chars=0)
    code = (
        "import sys; from pathlib import Path; from engine.launch import start_detached; from engine.runs import RunFolder\n"
        "print(start_detached(RunFolder(Path(sys.argv[1]))))"
    )
    command = [sys.executable, "-W", "error", "-c", code, os.path.relpath(folder.path, ROOT)]
    parent = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    pid = int(parent.stdout)
    try:
        world.until(lambda: world.steps(folder))
        assert folder.is_locked()
        assert (holder(folder.lock), folder.read_status().pid) == (pid, pid)
        assert os.getsid(pid) == pid
        second = start_detached(folder)
        assert os.waitstatus_to_exitcode(os.waitpid(second, 0)[1]) == 5
        assert f"error: run is in use by process {pid}" in folder.log.read_text(encoding="utf-8")
        assert folder.is_locked()
        request(folder, "stop")
        world.until(lambda: not folder.is_locked())
        assert folder.state() == "stopped"
    finally:
        if folder.is_locked():
            os.kill(pid, signal.SIGKILL)


def test_a_detached_trainer_gives_way_with_every_thread_to_whoever_started_it(world: Any) -> None:
    folder = world.run("run", steps=10**6, sample_chars=0)
    pid = start_detached(folder)
    try:
        world.until(lambda: world.steps(folder))
        ours = os.getpriority(os.PRIO_PROCESS, 0)
        theirs = min(19, ours + 10)
        assert os.getpriority(os.PRIO_PROCESS, pid) == theirs
        if sys.platform == "linux":
            threads = [int(thread.name) for thread in Path(f"/proc/{pid}/task").iterdir()]
            assert {os.getpriority(os.PRIO_PROCESS, thread) for thread in threads} == {theirs}
            group, own_group = (Path(f"/proc/{who}/autogroup") for who in (pid, "self"))
            if group.exists() and (said := group.read_text()):
                # A process that is in no group of its own reads an empty text.
                assert said.split()[0] not in own_group.read_text().split()
                assert said.split()[-1] == str(theirs)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_a_system_that_refuses_another_priority_does_not_keep_a_trainer_from_starting(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = []

    def refuse(*asked: int) -> None:
        refused.append(asked)
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "setpriority", refuse)
    child = start_detached(world.run("run", steps=1), total_steps=0)  # which is refused, so it ends by itself
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0
    assert len(refused) == 1


def test_a_detached_trainer_is_told_everything(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[tuple[list[str], dict[str, Any]]] = []

    class Popen:
        pid = 7

        def __init__(self, command: list[str], **options: Any) -> None:
            started.append((command, options))

    gave_way: list[int] = []
    monkeypatch.setattr(subprocess, "Popen", Popen)
    monkeypatch.setattr(launch, "_give_way", gave_way.append)
    folder = world.run("run")
    monkeypatch.chdir(world.data)
    everything: dict[str, Any] = {"corpora_dir": Path("corpora"), "total_steps": 9, "force": True}
    assert start_detached(RunFolder(Path("runs/run")), **everything, cache_dir=Path("cache")) == 7
    ((command, options),) = started
    assert command[:4] == [sys.executable, "-m", "engine", "train"]
    assert command[4:8] == [str(folder.path), "--steps", "9", "--force"]
    assert command[8:] == ["--corpora", str(world.data / "corpora"), "--cache", str(world.data / "cache")]
    assert options["start_new_session"] is True
    assert options["stdin"] == subprocess.DEVNULL
    assert gave_way == [7]


def test_the_plans_of_a_recipe_travel_through_json(world: Any) -> None:
    recipe = recipe_of_settled(world)
    assert Recipe.from_json(json.loads(json.dumps(recipe.to_json()))) == recipe
    assert recipe.plans == (Plan(0, 0, 2),)


def test_standard_input_that_is_too_large_to_keep_gets_no_folder(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpora, "STORE_BYTES", 10)
    with pytest.raises(CorpusError, match="save it as a file"):
        new_run(world.data, text_of_length(200))
    assert not (world.data / "runs").exists()
