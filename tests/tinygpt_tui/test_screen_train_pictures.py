"""The Train screen as it is stored, at each size and in each theme."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot

from tests.tinygpt_tui.driving import check_picture, check_text, wait_for
from tests.tinygpt_tui.scripted_run import (
    ScriptedRun,
    died_run,
    finished_run,
)
from tests.tinygpt_tui.scripted_world import scripted_world
from tests.tinygpt_tui.train_stage import LADDER, chart, know_ladder, shown, watch
from tests.tinygpt_tui.train_stage import live as live
from tests.tinygpt_tui.train_stage import memory as memory
from tests.tinygpt_tui.train_stage import runs as runs
from tinygpt_tui.world import World


def _frozen(tmp_path: Path, runs: Path, live: ScriptedRun) -> None:
    """What the stored pictures show: two runs, the ladder, a changed rate."""
    finished_run(runs, created="2026-01-01T03:04:05Z")
    know_ladder(tmp_path)
    world = scripted_world(tmp_path)
    world.tick(1.0)
    world.ask("tales-03", "lr", 0.5)
    live.obey_controls()
    live.steps(20)


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
def test_the_screen_looks_as_stored(
    tmp_path: Path, runs: Path, live: ScriptedRun, size: tuple[int, int]
) -> None:
    _frozen(tmp_path, runs, live)

    async def story(pilot: Pilot[int], world: World) -> None:
        await shown(pilot, "1,260 / 2,000", "● step 1,260", "4-gram (1.77)", "✓ tales-01")
        await wait_for(pilot, lambda: len(chart(pilot).data.levels) == len(LADDER))
        await pilot.pause()
        await check_text(pilot, f"train-{size[0]}x{size[1]}")

    watch(tmp_path, story, size)


@pytest.mark.parametrize("look", ["dark", "light", "ansi", "nocolor"])
def test_the_screen_is_drawn_as_stored(
    tmp_path: Path, runs: Path, live: ScriptedRun, look: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _frozen(tmp_path, runs, live)
    if look == "nocolor":
        monkeypatch.setenv("NO_COLOR", "1")

    async def story(pilot: Pilot[int], world: World) -> None:
        pilot.app.theme = {"light": "tinygpt-light", "ansi": "ansi-dark"}.get(look, "tinygpt-dark")
        world.compared = ("tales-01",)
        await shown(pilot, "1,260 / 2,000", "● step 1,260", "tales-01 val", "4-gram (1.77)", "✓ tales-01")
        await wait_for(pilot, lambda: len(chart(pilot).data.levels) == len(LADDER))
        await pilot.pause()
        await check_picture(pilot, f"train-{look}")

    watch(tmp_path, story)


def test_a_killed_trainer_is_drawn_as_stored(tmp_path: Path, runs: Path) -> None:
    died_run(runs)

    async def story(pilot: Pilot[int], world: World) -> None:
        await shown(pilot, "killed at step 220", "Press r to resume.", "✗ killed-01")
        await pilot.pause()
        await check_text(pilot, "train-died-80x24")

    watch(tmp_path, story, (80, 24))
