"""The Train screen: any run's curve, figures and samples as it learns, and keys that reach its trainer."""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import OptionList

from engine import protocol
from tests.tinygpt_tui.driving import check_picture, check_text, drive, press, screen_text, wait_for
from tests.tinygpt_tui.fake_player import FakeLink
from tests.tinygpt_tui.scripted_run import (
    SHA256,
    ScriptedRun,
    died_run,
    failed_run,
    finished_run,
    stopped_run,
)
from tests.tinygpt_tui.scripted_world import playground, scripted_world
from tinygpt_tui.screens.mode_screen import status_of
from tinygpt_tui.screens.train_view import (
    chart_of,
    curve_text,
    doing,
    facts_of,
    log_of,
    news_of,
    short_facts_of,
    tabs_of,
    waiting_for,
)
from tinygpt_tui.sources import run_watch
from tinygpt_tui.sources.run_picture import RunPicture
from tinygpt_tui.widgets.facts import FactLine
from tinygpt_tui.widgets.loss_chart import LossChart
from tinygpt_tui.widgets.run_tabs import RunTabs, Tab
from tinygpt_tui.widgets.samples import Samples
from tinygpt_tui.widgets.top_bar import TopBar
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
HOSTILE = "\x1b[31m[bold]a\x9b2Jb[/bold]"

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
        await shown(pilot, "‖ paused")
        await press(pilot, "train.resume")
        await shown(pilot, "going on…")
        assert asked(live) == [("resume", None)]
        await shown(pilot, "● training")
        await press(pilot, "train.resume")
        await shown(pilot, "tales-03 is at work already.")

    watch(tmp_path, story)


def test_a_run_without_a_trainer_says_so_when_it_is_asked(tmp_path: Path, runs: Path) -> None:
    finished_run(runs)

    async def story(pilot: Pilot[int], world: World) -> None:
        await shown(pilot, "✓ Done: 400 steps")
        await press(pilot, "train.pause")
        await shown(pilot, "tales-01 is done, so there is no trainer to ask")
        await press(pilot, "train.resume")
        await shown(pilot, "tales-01 is finished: e lets it go on")

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


def test_a_finished_run_is_extended_by_half_of_its_steps(tmp_path: Path, runs: Path) -> None:
    run = finished_run(runs)
    launch = Launcher(run)

    async def story(pilot: Pilot[int], world: World) -> None:
        await shown(pilot, "✓ Done")
        await press(pilot, "train.extend")
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
        await shown(pilot, "There is no run yet: press 1 and choose a text")
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


def test_reading_a_text_and_failing_at_it_is_shown_here(tmp_path: Path) -> None:
    missing = tmp_path / "missing.txt"

    async def story(pilot: Pilot[int], world: World) -> None:
        world.starter.start(str(missing), minutes=1)
        assert world.starter.snapshot.state == "reading"
        screen: Any = pilot.app.screen
        screen.tick(0.0)
        await wait_for(
            pilot, lambda: "new run" in screen_text(pilot.app) or world.starter.snapshot.state == "failed"
        )
        await shown(pilot, "✗ ", "missing.txt", "There is no run yet")
        await press(pilot, "train.cursor-off")
        await wait_for(pilot, lambda: "missing.txt" not in screen_text(pilot.app))

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


def test_the_status_names_the_newest_and_counts_the_others(
    tmp_path: Path, runs: Path, live: ScriptedRun
) -> None:
    with ScriptedRun(runs, "novel-01", created="2026-01-03T03:04:05Z"):
        rows = scripted_world(tmp_path).shelf.rows
    assert status_of(rows[1:]) == "tales-03 ● step 1,240"
    assert status_of(rows) == "novel-01 ● training · 1 more"
    assert status_of(rows, named=False) == "● training"
    assert status_of(()) == ""


@pytest.mark.parametrize("width", [20, 38, 42, 60, 200])
def test_facts_fit_their_room(tmp_path: Path, live: ScriptedRun, width: int) -> None:
    know_ladder(tmp_path)
    picture = picture_of(tmp_path, "tales-03")
    for line in short_facts_of(picture, "nats", max(56, width)):
        assert len(text_of([line])) <= max(56, width)
    for line in facts_of(picture, "nats", width):
        if text_of([line]).startswith("step"):
            assert len(text_of([line])) <= max(width, 21)
    assert len(facts_of(picture, "nats", width)) == 11


def test_what_is_not_known_is_a_dash_and_nothing_fails(tmp_path: Path, runs: Path) -> None:
    (runs / "empty").mkdir(parents=True)
    picture = picture_of(tmp_path, "empty")
    assert "–" in text_of(facts_of(picture, "perplexity", 40))
    assert text_of(short_facts_of(picture, "bits", 60))
    assert log_of(picture) == []
    assert news_of(picture, lambda action: "r").text
    assert waiting_for(picture)
    assert chart_of(picture, [], "nats").last_step is None
    assert "unknown text" in curve_text(picture, "loss", "", "")


def test_a_run_that_counts_has_no_steps_to_show(tmp_path: Path, runs: Path) -> None:
    with ScriptedRun(runs, "counts", arch="modern", horizon=1) as run:
        run.steps(1)
        run.eval()
    assert "1 / 1" not in text_of(facts_of(picture_of(tmp_path, "counts"), "nats", 40))


def test_a_run_measured_once_is_compared_by_its_training_loss(tmp_path: Path, runs: Path) -> None:
    with ScriptedRun(runs, "once") as run:
        run.steps(5)
        run.eval()
        picture = picture_of(tmp_path, "once")
    assert chart_of(picture, [picture], "nats").lines[-1].name == "once train"


def test_the_log_has_the_latest_on_top(tmp_path: Path, live: ScriptedRun) -> None:
    know_ladder(tmp_path)
    live.warn("Careful.")
    live.steps(1, [None])
    logged = text_of(log_of(picture_of(tmp_path, "tales-03"))).splitlines()
    assert logged[1:5] == [
        "  1,241 training loss not finite from ste…".replace("ste…", "step 1,241"),
        "  1,240 ! Careful.",
        "    800 ✓ better than 4-gram",
        "    600 ✓ better than bz2",
    ]
    assert logged[-3:] == [
        "    200 ✓ better than bigram",
        "    200 ✓ better than unigram",
        "    200 ✓ better than uniform",
    ]


def test_every_request_has_its_words() -> None:
    from engine.control import ACTIONS, Request

    words = [doing(Request("0", do, 2.0)) for do in ACTIONS]
    assert len(set(words)) == len(ACTIONS) and all(word.endswith("…") for word in words)


def test_tabs_hold_what_trains_what_was_looked_at_and_the_newest(tmp_path: Path, runs: Path) -> None:
    for n in range(9):
        finished_run(runs, f"old-{n}", 4, created=f"2026-01-01T03:04:0{n}Z")
    rows = scripted_world(tmp_path).shelf.rows
    names = lambda *args: [tab.name for tab in tabs_of(rows, *args)]  # noqa: E731
    assert names((), "old-8", False) == ["old-8", "old-7", "old-6", "old-5"]
    assert names(("old-0",), "old-3", False) == ["old-8", "old-7", "old-3", "old-0"]
    assert names([f"old-{n}" for n in range(9)], "old-0", False)[-1] == "old-0"
    assert names((), "fresh", False)[0] == "fresh"
    assert tabs_of(rows, (), "", True)[0].label == "new run"


@pytest.mark.parametrize("current", range(8))
@pytest.mark.parametrize("width", [12, 30, 80])
def test_the_run_in_front_is_always_in_the_line(current: int, width: int) -> None:
    tabs = RunTabs()
    tabs._tabs = tuple(Tab(str(n), f"run number {n}" * (1 + n % 3), "●") for n in range(8))
    tabs._current = str(current)
    first, last = tabs._window(width)
    assert first <= current < last
    assert last == first + 1 or sum(len(tab.shown) for tab in tabs._tabs[first:last]) + 2 <= width


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
