"""What the tests of the Train screen share: a run that is trained, its ladder, and ways to watch it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.tinygpt_tui.driving import drive, screen_text, wait_for
from tests.tinygpt_tui.scripted_run import (
    SHA256,
    ScriptedRun,
)
from tests.tinygpt_tui.scripted_world import playground, scripted_world
from tinygpt_tui.sources import run_watch
from tinygpt_tui.sources.run_picture import RunPicture
from tinygpt_tui.widgets.facts import FactLine
from tinygpt_tui.widgets.loss_chart import LossChart
from tinygpt_tui.world import World

LADDER = {
    "uniform": 4.17,
    "1-gram": 2.95,
    "2-gram": 2.49,
    "3-gram": 2.05,
    "4-gram": 1.77,
    "5-gram": 1.62,
    "bz2": 1.9,
}

Story = Callable[[Pilot[int], World], Awaitable[None]]


@pytest.fixture(autouse=True)
def memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every trainer takes as much."""
    monkeypatch.setattr(run_watch, "_memory_of", lambda pid: 412_000_000)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "data" / "runs"


@pytest.fixture
def live(runs: Path) -> Iterator[ScriptedRun]:
    """A run at step 1,240 of 2,000 that was measured every 200 steps."""
    with ScriptedRun(runs) as run:
        run.sample("q8#Zx ,t.w!e\nKs? ooT;  r")
        for _ in range(6):
            run.steps(200)
            run.look()
        run.steps(40)
        yield run


def know_ladder(tmp_path: Path, sha256: str = SHA256) -> None:
    folder = tmp_path / "cache" / "ladders"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{sha256}.json").write_text(json.dumps({"version": 1, "sha256": sha256, "ladder": LADDER}))


def watch(
    tmp_path: Path, story: Story, size: tuple[int, int] = (120, 40), run: str | None = None, **parts: Any
) -> None:
    """Opens Train and tells the story."""
    world = scripted_world(tmp_path, **parts)
    world.chosen_run = run

    async def tell(pilot: Pilot[int]) -> None:
        await story(pilot, world)

    drive(playground(world, "train"), tell, size)


def chart(pilot: Pilot[int]) -> LossChart:
    return pilot.app.screen.query_one(LossChart)


def asked(run: ScriptedRun) -> list[tuple[str, float | None]]:
    """What the trainer is asked for by now, obeyed at once."""
    return [(request.do, request.value) for request in run.obey_controls()]


async def shown(pilot: Pilot[int], *texts: str) -> None:
    await wait_for(pilot, lambda: all(text in screen_text(pilot.app) for text in texts), " and ".join(texts))


def text_of(lines: list[FactLine]) -> str:
    return "\n".join("".join(part.text for part in line) for line in lines)


def picture_of(tmp_path: Path, name: str) -> RunPicture:
    world = scripted_world(tmp_path)
    for now in range(1, 40):
        world.tick(float(now))
        world.picture(name)
    return world.picture(name)
