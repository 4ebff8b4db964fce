"""The keys of the Train screen: what is asked reaches the trainer and is drawn, and the chart obeys."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import OptionList

from engine import protocol
from tests.tinygpt_tui.driving import press, screen_text, wait_for
from tests.tinygpt_tui.fake_player import FakeLink
from tests.tinygpt_tui.scripted_run import (
    ScriptedRun,
    died_run,
    failed_run,
    finished_run,
    stopped_run,
)
from tests.tinygpt_tui.train_stage import asked, chart, shown, text_of, watch
from tests.tinygpt_tui.train_stage import live as live
from tests.tinygpt_tui.train_stage import memory as memory
from tests.tinygpt_tui.train_stage import runs as runs
from tinygpt_tui.screens.train_view import (
    facts_of,
)
from tinygpt_tui.widgets.key_bar import KeyBar
from tinygpt_tui.widgets.samples import Samples
from tinygpt_tui.world import World


@pytest.mark.parametrize(
    ("action", "request_made", "pending"),
    [
        ("train.pause", ("pause", None), "pausing…"),
        ("train.stop", ("stop", None), "stopping…"),
        ("train.slower", ("lr", 0.5), "lr ×0.5…"),
        ("train.faster", ("lr", 2.0), "lr ×2…"),
        ("train.sample", ("sample", 200), "writing a sample…"),
        ("train.extend", ("extend", 1000), "+1,000 steps…"),
    ],
)
def test_what_is_asked_is_shown_at_once_and_reaches_the_trainer(
    tmp_path: Path, live: ScriptedRun, action: str, request_made: tuple[str, float | None], pending: str
) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await shown(pilot, "● training")
        await press(pilot, action)
        await shown(pilot, pending)
        assert asked(live) == [request_made]
        await wait_for(pilot, lambda: pending not in screen_text(pilot.app))

    watch(tmp_path, story)


def test_what_is_asked_is_drawn_on_the_curve_and_listed(tmp_path: Path, live: ScriptedRun) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await shown(pilot, "● training")
        await press(pilot, "train.slower")
        await shown(pilot, "lr ×0.5…")
        live.obey_controls()
        await shown(pilot, "1,240 lr ×0.5")
        assert [mark.text for mark in chart(pilot).data.marks] == ["lr ×0.5"]

    watch(tmp_path, story)


def test_space_pauses_and_goes_on_even_before_the_trainer_has_heard(
    tmp_path: Path, live: ScriptedRun
) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await shown(pilot, "● training")
        await press(pilot, "train.pause")
        await shown(pilot, "pausing…")
        await press(pilot, "train.pause")
        await shown(pilot, "pausing… · going on…")
        assert asked(live) == [("pause", None), ("resume", None)]
        await wait_for(pilot, lambda: "…" not in text_of(facts_of(world.picture("tales-03"), "nats", 42)))
        await press(pilot, "train.pause")
        await shown(pilot, "pausing…")
        live.obey_controls()
        await shown(pilot, "‖ paused", "space resume")
        await press(pilot, "train.resume")
        await shown(pilot, "going on…")
        assert asked(live) == [("resume", None)]
        await shown(pilot, "● training", "space pause")
        await press(pilot, "train.resume")
        await shown(pilot, "tales-03 is at work already.")

    watch(tmp_path, story)


def test_a_run_without_a_trainer_says_so_when_it_is_asked(tmp_path: Path, runs: Path) -> None:
    finished_run(runs)

    async def story(pilot: Pilot[int], world: World) -> None:
        await shown(pilot, "✓ Done: 400 steps")
        await press(pilot, "train.pause")
        sentence = "No trainer is at work on tales-01 any more. r lets it go on."
        await wait_for(pilot, lambda: sentence in [note.message for note in pilot.app._notifications])

    watch(tmp_path, story)


def test_a_model_that_counts_is_done_and_every_key_says_so(tmp_path: Path, runs: Path) -> None:
    finished_run(runs, steps=4, arch="ngram")

    async def story(pilot: Pilot[int], world: World) -> None:
        await shown(pilot, "✓ Done: 4 steps")
        assert "train on" not in screen_text(pilot.app)
        for action in ("train.pause", "train.extend", "train.resume"):
            pilot.app.clear_notifications()
            await press(pilot, action)
            await wait_for(
                pilot,
                lambda: any("done once it has counted" in note.message for note in pilot.app._notifications),
            )

    watch(tmp_path, story)


def test_the_footer_has_the_keys_that_mean_something_now(tmp_path: Path, runs: Path) -> None:
    run = finished_run(runs, created="2026-01-01T03:04:05Z")
    stopped_run(runs, "tales-02")

    async def story(pilot: Pilot[int], world: World) -> None:
        def keys() -> set[str]:
            return {key.action for key in pilot.app.screen.query_one(KeyBar).keys}

        world.chosen_run = run.name
        await wait_for(
            pilot, lambda: {"extend", "play"} <= keys() and not {"pause", "stop", "resume"} & keys()
        )
        world.chosen_run = "tales-02"
        await wait_for(pilot, lambda: {"resume", "play"} <= keys() and not {"pause", "extend"} & keys())
        run.resume(600)
        world.chosen_run = run.name
        await wait_for(pilot, lambda: {"pause", "stop", "slower"} <= keys() and "resume" not in keys())
        run.die()

    watch(tmp_path, story)


class Launcher:
    """Stands for starting a process: the scripted run gets a new trainer."""

    def __init__(self, run: ScriptedRun) -> None:
        self.run, self.totals = run, []  # type: ignore[var-annotated]

    def __call__(self, folder: object, *, total_steps: int | None = None, cache_dir: object = None) -> int:
        self.totals.append(total_steps)
        self.run.resume(total_steps)
        return os.getpid()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (died_run, "✗ The trainer was killed at step 220"),
        (stopped_run, "■ Stopped and saved at step 200"),
        (failed_run, "✗ The loss is not finite"),
    ],
)
def test_a_run_that_ended_early_says_how_and_goes_on_with_one_key(
    tmp_path: Path, runs: Path, make: Callable[..., ScriptedRun], said: str
) -> None:
    run = make(runs)
    launch = Launcher(run)

    async def story(pilot: Pilot[int], world: World) -> None:
        await shown(pilot, said)
        await press(pilot, "train.resume")
        await shown(pilot, "● training")
        assert launch.totals == [None]
        assert said not in screen_text(pilot.app)
        run.die()

    watch(tmp_path, story, launch=launch)


@pytest.mark.parametrize("action", ["train.extend", "train.resume"])
def test_a_finished_run_is_extended_by_half_of_its_steps(tmp_path: Path, runs: Path, action: str) -> None:
    run = finished_run(runs)
    launch = Launcher(run)

    async def story(pilot: Pilot[int], world: World) -> None:
        await shown(pilot, "✓ Done")
        await press(pilot, action)
        await shown(pilot, "● training", "400 / 600")
        assert launch.totals == [600]
        run.die()

    watch(tmp_path, story, launch=launch)


def test_a_run_that_has_no_plan_yet_cannot_be_extended(tmp_path: Path, runs: Path) -> None:
    ScriptedRun(runs, begin=False)

    async def story(pilot: Pilot[int], world: World) -> None:
        await shown(pilot, "◌ preparing")
        await press(pilot, "train.extend")
        await shown(pilot, "has no plan yet")

    watch(tmp_path, story)


def test_another_run_is_drawn_behind_and_taken_away_again(
    tmp_path: Path, runs: Path, live: ScriptedRun
) -> None:
    finished_run(runs, created="2026-01-01T03:04:05Z")

    async def story(pilot: Pilot[int], world: World) -> None:
        await shown(pilot, "1,240 / 2,000")
        for drawn in (["tales-01 val"], []):
            await press(pilot, "train.overlay")
            await wait_for(pilot, lambda: pilot.app.screen.query(OptionList))
            await shown(pilot, "compare with")
            await pilot.press("enter")
            await wait_for(
                pilot,
                lambda drawn=drawn: (
                    [ln.name for ln in chart(pilot).data.lines if ln.kind == "overlay"] == drawn
                ),  # type: ignore[misc]
            )
        await press(pilot, "train.overlay")
        await pilot.press("escape")
        assert world.compared == ()

    watch(tmp_path, story)


def test_no_more_than_four_runs_are_drawn_behind(tmp_path: Path, runs: Path, live: ScriptedRun) -> None:
    for n in range(5):
        finished_run(runs, f"old-{n}", 40, created=f"2026-01-01T03:04:0{n}Z")

    async def story(pilot: Pilot[int], world: World) -> None:
        world.compared = tuple(f"old-{n}" for n in range(4))
        await wait_for(pilot, lambda: sum(line.kind == "overlay" for line in chart(pilot).data.lines) == 4)
        await press(pilot, "train.overlay")
        await shown(pilot, "compare with")
        await pilot.press(*"old-4", "enter")
        await shown(pilot, "At most 4 curves can be told apart")
        assert len(world.compared) == 4

    watch(tmp_path, story)


def test_the_chart_obeys_its_keys_at_once(tmp_path: Path, live: ScriptedRun) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await wait_for(pilot, lambda: chart(pilot).data.last_step == 1240)
        view = lambda: chart(pilot).view  # noqa: E731
        await press(pilot, "train.log-y")
        assert view().log_y
        await press(pilot, "train.log-x")
        assert view().log_x
        await press(pilot, "train.zoom-in")
        near = view().span
        assert near is not None
        await press(pilot, "train.zoom-out")
        assert view().span != near
        await press(pilot, "train.zoom-in")
        await press(pilot, "train.zoom-reset")
        assert view().span is None
        await press(pilot, "train.cursor-left")
        newest = view().cursor
        await press(pilot, "train.cursor-left")
        earlier = view().cursor
        assert newest is not None and earlier is not None and earlier < newest
        await press(pilot, "train.cursor-right")
        assert view().cursor > earlier
        await press(pilot, "train.cursor-off")
        assert view().cursor is None
        await press(pilot, "train.unit")
        assert chart(pilot).data.unit == "bits"
        await shown(pilot, "loss · bits per character", "val     2.374 · best 2.374 at 1,200")
        live.steps(10)
        await shown(pilot, "1,250 / 2,000", "bits per character")
        await press(pilot, "train.unit")
        await shown(pilot, "val     5.18", "─ perplexity ─")

    watch(tmp_path, story)


def test_the_keys_of_the_chart_work_while_samples_are_read(tmp_path: Path, live: ScriptedRun) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await wait_for(pilot, lambda: chart(pilot).data.last_step == 1240)
        pilot.app.screen.query_one(Samples).focus()
        await pilot.press("left", "l")
        assert chart(pilot).view.cursor is not None and chart(pilot).view.log_y

    watch(tmp_path, story)


def test_the_curve_is_saved_as_it_is_shown(
    tmp_path: Path, live: ScriptedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)

    async def story(pilot: Pilot[int], world: World) -> None:
        await wait_for(pilot, lambda: chart(pilot).data.last_step == 1240)
        await press(pilot, "train.unit")
        await press(pilot, "train.save-curve")
        await shown(pilot, "Saved")
        (saved,) = folder.iterdir()
        assert saved.name.startswith("tales-03-loss-") and saved.suffix == ".txt"
        lines = saved.read_text().splitlines()
        assert lines[0] == "tales-03" and "bits per character" in lines[4]
        assert [line.rstrip() for line in chart(pilot).text().splitlines()] == lines[5:]
        folder.chmod(0o500)
        await press(pilot, "train.save-curve")
        if os.getuid():
            await shown(pilot, "cannot be written")
        folder.chmod(0o700)

    watch(tmp_path, story)


def test_one_key_leads_to_playing_with_the_newest_weights(tmp_path: Path, live: ScriptedRun) -> None:
    link = FakeLink()

    async def story(pilot: Pilot[int], world: World) -> None:
        await shown(pilot, "1,240 / 2,000")
        await press(pilot, "train.play")
        await wait_for(pilot, lambda: pilot.app.current_mode == "play")
        assert world.desk.following == "tales-03"
        assert link.requests(protocol.Follow)[-1] == protocol.Follow("tales-03")

    watch(tmp_path, story, link=link)
