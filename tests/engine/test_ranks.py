"""Which process one is, and what part of a batch each computes: all of it together, once, the same for any number of processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import engine
from engine.errors import UsageError
from engine.preparing import _asked_threads, _other_sums, prepare
from engine.ranks import (
    ALONE,
    FIRST,
    Place,
    are_cut,
    check_batch,
    fitting_micro_batch,
    place,
    run_together,
    shares,
)
from engine.recipe import Recipe
from engine.team import _problem

ROOT = Path(engine.__file__).parent.parent

STARTED = {
    "RANK": "3",
    "WORLD_SIZE": "4",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "localhost",
    "MASTER_PORT": "29500",
}


def test_torchrun_says_which_process_one_is() -> None:
    assert place(STARTED) == Place(3, 4, 1, 2)
    assert place({}) == place({"WORLD_SIZE": "1", "RANK": "0"}) == FIRST


@pytest.mark.parametrize("missing", STARTED)
def test_a_missing_variable_is_named(missing: str) -> None:
    environment = {name: value for name, value in STARTED.items() if name != missing}
    with pytest.raises(UsageError, match=rf"but {missing} is not set: .*torchrun"):
        place(environment)


@pytest.mark.parametrize(
    "wrong",
    [{"RANK": "4"}, {"RANK": "-1"}, {"WORLD_SIZE": "two\x1b"}, {"LOCAL_RANK": "2"}, {"WORLD_SIZE": "0"}],
)
def test_a_place_that_cannot_be_is_refused_in_one_printable_sentence(wrong: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="no such place") as refused:
        place(STARTED | wrong)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("world", [1, 2, 3, 5])
@pytest.mark.parametrize(("batch_size", "micro_batch"), [(12, 4), (12, 0), (7, 3), (5, 1), (33, 16), (5, 64)])
def test_all_processes_together_compute_every_window_once(
    batch_size: int, micro_batch: int, world: int
) -> None:
    every = [shares(batch_size, micro_batch, Place(rank, world, rank, world)) for rank in range(world)]
    windows = sorted(
        w for own in every for share in own for w in range(share.first, share.first + share.count)
    )
    assert windows == list(range(batch_size))
    assert all(every), "each has something to do"
    drawn = [share.draws for own in every for share in own]
    assert len(set(drawn)) == len(drawn)


@pytest.mark.parametrize("world", [2, 3])
def test_whole_micro_batches_have_the_same_dropout_in_any_number_of_processes(world: int) -> None:
    alone = shares(12, 4)
    every = [share for rank in range(world) for share in shares(12, 4, Place(rank, world, rank, world))]
    assert sorted(every, key=lambda share: share.first) == alone
    assert not are_cut(12, 4, 3) and are_cut(12, 4, 4)


@pytest.mark.parametrize("world", [2, 3, 4, 7])
@pytest.mark.parametrize("batch_size", [7, 8, 12, 33])
def test_a_new_run_has_a_micro_batch_for_every_process(batch_size: int, world: int) -> None:
    micro = fitting_micro_batch(batch_size, world)
    assert not are_cut(batch_size, micro, world)
    most = max(
        sum(share.count for share in shares(batch_size, micro, Place(rank, world, rank, world)))
        for rank in range(world)
    )
    assert most <= -(-batch_size // world) + 1
    assert fitting_micro_batch(batch_size, 1) == 0


@pytest.mark.parametrize(
    ("dropout", "before", "now", "drops"),
    [(0.1, 1, 4, True), (0.1, 4, 1, True), (0.1, 1, 2, False), (0.0, 4, 1, False), (0.1, "\x1b", 2, False)],
)
def test_another_number_of_processes_is_said_to_drop_other_channels_where_it_does(
    dropout: float, before: object, now: int, drops: bool
) -> None:
    said = _other_sums(Recipe(batch_size=8, micro_batch=4, dropout=dropout), before, now)
    assert f"was {before} and is {now} now" in said
    assert ("drop other channels" in said) == drops != ("learn the same" in said)


def test_a_batch_smaller_than_the_number_of_processes_is_refused(world: Any) -> None:
    check_batch(4, 4)
    folder = world.run("run", batch_size=4)
    with pytest.raises(UsageError, match=r"batch of 4 windows cannot be shared out to 5 processes"):
        prepare(folder, [folder.corpora], spent=0.0, total_steps=None, force=False, place=Place(0, 5, 0, 5))
    assert not folder.run.exists(), "nothing is settled"


def test_a_counting_model_is_no_work_for_several(world: Any) -> None:
    folder = world.run("run", arch="ngram")
    with pytest.raises(UsageError, match="without torchrun"):
        prepare(folder, [folder.corpora], spent=0.0, total_steps=None, force=False, place=Place(0, 2, 0, 2))


@pytest.mark.parametrize(("values", "said"), [([], None), ({}, None), ({"threads": "x"}, "whole number")])
def test_a_strangers_run_of_other_processes_may_say_anything_of_threads(
    values: Any, said: str | None
) -> None:
    if said is None:
        assert _asked_threads({"values": values}) == 0
    else:
        with pytest.raises(UsageError, match=said):
            _asked_threads({"values": values})


def test_the_cores_of_a_machine_are_shared_out() -> None:
    assert [Place(0, 4, 0, n).threads(6) for n in (1, 2, 4, 8)] == [6, 3, 1, 1]


def test_a_process_alone_has_nobody_to_talk_to(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in STARTED:
        monkeypatch.delenv(name, raising=False)
    assert run_together(lambda team: 7 if team is ALONE else 1, lambda team: 1) == 7


def test_a_process_alone_loads_neither_torch_nor_what_several_need() -> None:
    code = "import sys, engine.ranks; engine.ranks.run_together(lambda team: 0, lambda team: 1); print(*sys.modules)"
    environment = {name: value for name, value in os.environ.items() if name not in STARTED}
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    ).stdout.split()
    assert "engine.ranks" in loaded and not {"torch", "numpy", "engine.team"} & set(loaded)


SOUND = {"host": "a", "code": "1", "torch": "2", "device": "cpu", "fits": True}


@pytest.mark.parametrize(
    ("differs", "said"),
    [
        ({"code": "2"}, "another version of tinygpt"),
        ({"torch": "3"}, "has torch 3 and process 0 has 2"),
        ({"device": "cuda"}, "computes on cuda and process 0 on cpu"),
        ({"fits": False}, "no graphics card"),
    ],
)
def test_processes_that_do_not_fit_each_other_are_refused(differs: dict[str, Any], said: str) -> None:
    assert _problem([SOUND, SOUND]) == ""
    problem = _problem([SOUND, SOUND | {"host": "b\x1b["} | differs])
    assert problem.startswith("Process 1 on b") and said in problem and problem.isprintable()
