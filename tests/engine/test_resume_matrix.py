"""An exact resume in every combination: optimizer, model, cut, texts written on the way, evaluations at other steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from engine.control import request
from engine.event_log import LineTail
from engine.events import Event, Sample, Step, load_line
from engine.runs import RunFolder

KINDS: dict[str, dict[str, Any]] = {
    "AdamW, classic": {"arch": "classic", "optimizer": "adamw"},
    "Muon, modern": {"arch": "modern", "optimizer": "muon"},
    "AdamW, modern": {"arch": "modern", "optimizer": "adamw"},
    "Muon, classic": {"arch": "classic", "optimizer": "muon"},
}
VALUES: dict[str, Any] = {"steps": 16, "save_every": 5, "eval_every": 7, "dropout": 0.2, "sample_chars": 0}
# How a run that is cut differs from the one that is not, without learning anything else.
WAYS: dict[str, dict[str, Any]] = {
    "nothing else": {},
    "100 generations": {"ask": True},
    "other evaluations": {"eval_every": 2},
    "100 generations and other evaluations": {"ask": True, "eval_every": 3, "sample_chars": 9},
}
CUTS = (1, 5, 9, 14, 16)
CELLS = [
    (kind, way, cut)
    for kind in KINDS
    for way in WAYS
    for cut in CUTS
    if way == "nothing else" or (kind in ("AdamW, classic", "Muon, modern") and cut in (5, 9, 14))
]


def asking(folder: RunFolder) -> Callable[[Event], None]:
    """A listener that asks for ten texts after each of the first ten steps."""

    def say(event: Event) -> None:
        if isinstance(event, Step) and event.step <= 10:
            for _ in range(10):
                request(folder, "sample", 2, prompt="the")

    return say


def generations(folder: RunFolder) -> int:
    """How many texts were written on request, also those of steps that were made again."""
    events = [load_line(line) for line in LineTail(folder.events).poll()]
    return sum(isinstance(event, Sample) and event.prompt == "the" for event in events)


@pytest.fixture(scope="module")
def references() -> dict[str, Any]:
    """What each kind of run learns when nothing happens to it, once it is known."""
    return {}


@pytest.mark.parametrize(("kind", "way", "cut"), CELLS, ids=[", ".join(map(str, cell)) for cell in CELLS])
def test_a_run_that_was_cut_learns_what_it_would_have_learned(
    world: Any, references: dict[str, Any], kind: str, way: str, cut: int
) -> None:
    if kind not in references:
        whole = world.run("whole", **VALUES, **KINDS[kind])
        assert world.train(whole) == 0
        references[kind] = (world.steps(whole), world.weights(whole))
    values = dict(WAYS[way])
    ask = values.pop("ask", False)
    folder = world.run("cut", **{**VALUES, **KINDS[kind], **values})
    say = asking(folder) if ask else lambda event: None

    def dying(event: Event) -> None:
        say(event)
        if isinstance(event, Step) and event.step == cut:
            raise world.Died

    with pytest.raises(world.Died):
        world.train(folder, dying)
    assert world.train(folder, say) == 0
    assert (world.steps(folder), world.weights(folder)) == references[kind]
    assert generations(folder) >= 100 if ask else generations(folder) == 0


def test_the_matrix_is_as_large_as_it_is_said_to_be() -> None:
    print(f"\n{len(CELLS)} runs that are cut: {len(KINDS)} kinds, {len(CUTS)} cuts, {len(WAYS)} ways")
    assert len(CELLS) == len(set(CELLS)) >= 32
