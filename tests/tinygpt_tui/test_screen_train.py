"""The Train screen: any run's curve, figures and samples as it learns, and what is said of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.tinygpt_tui.driving import press, screen_text, wait_for
from tests.tinygpt_tui.scripted_run import (
    ScriptedRun,
    died_run,
    finished_run,
)
from tests.tinygpt_tui.scripted_world import scripted_world
from tests.tinygpt_tui.train_stage import chart, know_ladder, shown, watch
from tests.tinygpt_tui.train_stage import live as live
from tests.tinygpt_tui.train_stage import memory as memory
from tests.tinygpt_tui.train_stage import runs as runs
from tinygpt_tui.widgets.loss_chart import LossChart
from tinygpt_tui.widgets.run_tabs import RunTabs
from tinygpt_tui.widgets.samples import Samples
from tinygpt_tui.widgets.top_bar import TopBar
from tinygpt_tui.world import World

HOSTILE = "\x1b[31m[bold]a\x9b2Jb[/bold]"


def test_a_run_is_shown_with_its_curve_its_figures_and_what_it_writes(
    tmp_path: Path, live: ScriptedRun
) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await shown(pilot, "1,240 / 2,000", "62 %", "24.3 k char/s", "val     1.646 · best 1.646 at 1,200")
        await shown(
            pilot, "● training", "modern · 1.79 M parameters", "uses 412 MB", "2 m 08 s left", "grad 0.42"
        )
        await shown(pilot, "loss · nats per character", "what it writes · step 1,200", "small grey fox")
        assert chart(pilot).data.last_step == 1240 and chart(pilot).data.horizon == 2000

    watch(tmp_path, story)


def test_a_whole_curve_is_there_as_soon_as_a_long_run_is_opened(tmp_path: Path, runs: Path) -> None:
    finished_run(runs, "long", 2000)

    async def story(pilot: Pilot[int], world: World) -> None:
        await wait_for(pilot, lambda: chart(pilot).data.last_step == 2000)
        line = chart(pilot).data.train
        assert line is not None and line.series.n == 2000 and line.series.steps[0] == 1

    watch(tmp_path, story)


def test_what_trains_is_followed(tmp_path: Path, live: ScriptedRun) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await shown(pilot, "1,240 / 2,000")
        live.steps(160)
        live.eval()
        live.sample("It rained on the harbour.")
        await shown(pilot, "1,400 / 2,000", "what it writes · step 1,400", "It rained on the harbour.")
        assert chart(pilot).data.last_step == 1400
        live.finish()
        await shown(pilot, "✓ Done: 1,400 steps", "p: play with it")

    watch(tmp_path, story)


def test_a_chart_is_drawn_at_most_four_times_a_second_and_only_when_something_changed(
    tmp_path: Path, live: ScriptedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []
    set_data = LossChart.set_data
    monkeypatch.setattr(LossChart, "set_data", lambda self, data: (drawn.append(data), set_data(self, data)))

    async def story(pilot: Pilot[int], world: World) -> None:
        await wait_for(pilot, lambda: chart(pilot).data.last_step == 1240)
        await wait_for(pilot, lambda: world.picture("tales-03").catching_up is None)
        screen: Any = pilot.app.screen
        monkeypatch.setattr(type(pilot.app), "_tick", lambda app: None)
        await pilot.pause()
        later = 1e9
        screen.tick(later)
        drawn.clear()
        for tick in range(30):
            screen.tick(later + 1 + tick / 30)
        assert drawn == []
        for tick in range(60):
            live.steps(1)
            world.tick(later + 2 + tick / 30)
            screen.tick(later + 2 + tick / 30)
        assert 7 <= len(drawn) <= 9

    watch(tmp_path, story)


def test_a_trainer_that_is_killed_is_noticed_within_three_seconds(tmp_path: Path, live: ScriptedRun) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await shown(pilot, "● training")
        live.die()
        await wait_for(
            pilot, lambda: "✗ The trainer was killed at step 1,240" in screen_text(pilot.app), seconds=3
        )
        await shown(pilot, "✗ died", "Press r to resume.")

    watch(tmp_path, story)


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60), (60, 16)])
def test_a_trainer_that_is_killed_is_noticed_at_every_size(
    tmp_path: Path, runs: Path, size: tuple[int, int]
) -> None:
    died_run(runs)

    async def story(pilot: Pilot[int], world: World) -> None:
        await shown(pilot, "✗ The trainer was killed at step 220", "✗ died", "Press r to resume.")

    watch(tmp_path, story, size)


def test_preparing_says_what_is_being_done_until_there_is_a_sample(tmp_path: Path, runs: Path) -> None:
    with ScriptedRun(runs, begin=False) as run:
        run.take_lock()

        async def story(pilot: Pilot[int], world: World) -> None:
            await shown(pilot, "◌ preparing", "reading the text and measuring this machine…")
            run.status("preparing", "Measuring this machine.")
            await shown(pilot, "Measuring this machine.")
            run.begin()
            await shown(pilot, "● training", "nothing yet: it writes at its next evaluation")
            run.steps(5)
            run.sample("q8#Zx")
            await shown(pilot, "what it writes · step 5", "q8#Zx")

        watch(tmp_path, story)


def test_there_is_a_word_for_no_run_at_all_and_a_way_to_begin(tmp_path: Path, runs: Path) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await shown(pilot, "There is no run yet. Press 1", "Choose a text", "Begin with the built-in tales")
        await pilot.press("space")
        told = "There is no run yet: press 1 and choose a text"
        await wait_for(pilot, lambda: any(told in note.message for note in pilot.app._notifications))
        with ScriptedRun(runs) as run:
            run.steps(10)
            await shown(pilot, "● training", "10 / 2,000")
            assert not pilot.app.screen.query_one("#train-empty").display

    watch(tmp_path, story)


@pytest.mark.parametrize(("button", "mode"), [("#train-choose", "corpus"), ("#train-begin", "welcome")])
def test_the_buttons_of_the_empty_page_lead_to_where_one_begins(
    tmp_path: Path, button: str, mode: str
) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await shown(pilot, "There is no run yet")
        await pilot.click(button)
        await wait_for(pilot, lambda: pilot.app.current_mode == mode)

    watch(tmp_path, story)


def test_a_run_that_begins_elsewhere_gets_a_tab_and_takes_nothing_away(
    tmp_path: Path, runs: Path, live: ScriptedRun
) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await shown(pilot, "1,240 / 2,000")
        with ScriptedRun(runs, "novel-01", created="2026-01-03T03:04:05Z") as other:
            other.steps(3)
            await shown(pilot, "● novel-01", "novel-01 ● step 3")
            assert "1,240 / 2,000" in screen_text(pilot.app)
            await press(pilot, "train.previous-run")
            await shown(pilot, "3 / 2,000")

    watch(tmp_path, story)


def test_runs_are_switched_by_keys_and_by_a_click_and_each_is_shown_whole(
    tmp_path: Path, runs: Path, live: ScriptedRun
) -> None:
    finished_run(runs, created="2026-01-01T03:04:05Z")

    async def story(pilot: Pilot[int], world: World) -> None:
        await shown(pilot, "1,240 / 2,000")
        await press(pilot, "train.zoom-in")
        await press(pilot, "train.next-run")
        await shown(pilot, "✓ Done: 400 steps")
        assert world.chosen_run == "tales-01" and chart(pilot).view.span is None
        await press(pilot, "train.previous-run")
        await shown(pilot, "1,240 / 2,000")
        tabs = pilot.app.screen.query_one(RunTabs)
        line = tabs.render().plain
        await pilot.click(tabs, offset=(line.index("tales-01") + 1, 0))
        await shown(pilot, "✓ Done: 400 steps")

    watch(tmp_path, story)


def test_a_single_run_has_no_other(tmp_path: Path, live: ScriptedRun) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await shown(pilot, "1,240 / 2,000")
        await press(pilot, "train.next-run")
        await shown(pilot, "There is no other run to look at.")

    watch(tmp_path, story)


def test_a_rung_that_is_overtaken_is_told_once(tmp_path: Path, live: ScriptedRun) -> None:
    know_ladder(tmp_path)

    async def story(pilot: Pilot[int], world: World) -> None:
        await shown(pilot, "✓ step 800: better than 4-gram (1.77)", "next 5-gram 1.620")
        assert len(pilot.app._notifications) == 0
        live.steps(60)
        live.eval(1.58)
        await wait_for(pilot, lambda: len(pilot.app._notifications) == 1)
        assert [note.message for note in pilot.app._notifications] == [
            "✓ step 1,300: better than 5-gram (1.62)"
        ]
        await shown(pilot, "✓ step 1,300: better than 5-gram (1.62)", "below 5-gram")
        live.steps(60)
        live.eval(1.57)
        await shown(pilot, "1,360 / 2,000", "val     1.570")
        assert len(pilot.app._notifications) == 1

    watch(tmp_path, story)


def test_a_warning_is_shown(tmp_path: Path, live: ScriptedRun) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await shown(pilot, "1,240 / 2,000")
        live.warn("The disk is nearly full.")
        await shown(pilot, "! step 1,240: The disk is nearly full.")

    watch(tmp_path, story)


def test_a_text_that_cannot_be_read_leads_back_to_the_texts_and_says_why(tmp_path: Path) -> None:
    missing = tmp_path / "missing.txt"

    async def story(pilot: Pilot[int], world: World) -> None:
        world.starter.start(str(missing), minutes=1)
        assert world.starter.snapshot.state == "reading"
        screen: Any = pilot.app.screen
        screen.tick(0.0)
        await wait_for(pilot, lambda: pilot.app.current_mode == "corpus")
        await wait_for(pilot, lambda: any("missing.txt" in note.message for note in pilot.app._notifications))
        await shown(pilot, "how it begins")

    watch(tmp_path, story)


def test_while_a_text_is_read_nothing_can_be_asked(
    tmp_path: Path, live: ScriptedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tinygpt_tui.sources.run_starter import Starting

    async def story(pilot: Pilot[int], world: World) -> None:
        await shown(pilot, "1,240 / 2,000")
        world.starter._said = world.starter._heard = Starting("reading", None, "Reading the text …")
        await shown(pilot, "◌ new run", "◌ Reading the text…", "no loss yet", "reading the text…")
        await pilot.press("space")
        await shown(pilot, "The run is just being started")
        world.starter._said = world.starter._heard = Starting(
            "starting", "tales-03", f"Going on with {HOSTILE} …"
        )
        await shown(pilot, "1,240 / 2,000", "◌ Going on with ␛[31m[bold]a")

    watch(tmp_path, story)


def test_hostile_words_are_shown_as_words(tmp_path: Path, runs: Path) -> None:
    with ScriptedRun(runs, "evil", corpus=HOSTILE) as run:
        run.steps(5)
        run.sample(HOSTILE + "\nand [red]more", HOSTILE)
        run.backend(HOSTILE)
        run.warn(HOSTILE)
        scripted_world(tmp_path).shelf.rename("evil", "[b]" + HOSTILE.replace("\x1b", "").replace("\x9b", ""))

        async def story(pilot: Pilot[int], world: World) -> None:
            await shown(pilot, "␛[31m[bold]a", "[bold]a�2Jb[/bold]", "and [red]more", "[b][31m[bold]a")
            assert "\x1b" not in screen_text(pilot.app) and "\x9b" not in screen_text(pilot.app)
            run.fail(HOSTILE)
            await shown(pilot, "✗ ␛[31m[bold]a�2Jb[/bold]. Press r to resume.")

        watch(tmp_path, story)


def test_samples_keep_their_place_while_older_ones_are_read(tmp_path: Path, live: ScriptedRun) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await shown(pilot, "what it writes · step 1,200")
        samples = pilot.app.screen.query_one(Samples)
        samples.focus()
        await pilot.press("end")
        await shown(pilot, "q8#Zx ,t.w!e")
        live.sample("A new one.\n" * 3)
        await shown(pilot, "what it writes · step 1,240", "q8#Zx ,t.w!e")
        assert "A new one." not in screen_text(pilot.app)
        await pilot.press("home")
        await shown(pilot, "A new one.")

    watch(tmp_path, story)


def test_the_bar_says_in_every_mode_what_trains(tmp_path: Path, runs: Path, live: ScriptedRun) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await shown(pilot, "tales-03 ● step 1,240")
        await pilot.press("4")
        await wait_for(pilot, lambda: "tales-03 ● step 1,240" in screen_text(pilot.app).splitlines()[0])
        live.finish()
        await wait_for(pilot, lambda: pilot.app.screen.query_one(TopBar)._status == "")

    watch(tmp_path, story)
