"""Toasts: few at a time, none twice, and what only informs does not outlive what it was about."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from textual.pilot import Pilot

from tests.tinygpt_tui.driving import drive, press, screen_text, wait_for
from tests.tinygpt_tui.scripted_run import finished_run
from tests.tinygpt_tui.scripted_world import playground, scripted_world
from tinygpt_tui.app import MOST_TOASTS, Playground


def over_runs(tmp_path: Path, story: Callable[[Pilot[int], Playground], Awaitable[None]]) -> None:
    finished_run(tmp_path / "data" / "runs", steps=4)
    app = playground(scripted_world(tmp_path), "runs")

    async def go(pilot: Pilot[int]) -> None:
        await wait_for(pilot, lambda: "tales-01" in screen_text(app))
        await story(pilot, app)

    drive(app, go, (100, 30))


def told(app: Playground) -> list[str]:
    return [toast.message for toast in app._notifications]


def test_what_is_told_twice_stands_there_once(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], app: Playground) -> None:
        for _ in range(3):
            app.tell("once is enough")
        app.tell("something else")
        await wait_for(pilot, lambda: "something else" in screen_text(app))
        assert told(app) == ["once is enough", "something else"]
        app.tell("once is enough")
        await wait_for(pilot, lambda: told(app) == ["something else", "once is enough"])
        await wait_for(pilot, lambda: screen_text(app).count("once is enough") == 1)

    over_runs(tmp_path, story)


def test_of_many_only_the_latest_stay_and_what_warns_before_what_informs(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], app: Playground) -> None:
        app.tell("a warning", "warning")
        for number in range(5):
            app.tell(f"number {number}")
        await wait_for(pilot, lambda: "number 4" in told(app))
        assert told(app) == ["a warning", "number 4"] and MOST_TOASTS == 2

    over_runs(tmp_path, story)


def test_another_mode_or_a_dialog_takes_away_what_only_informs(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], app: Playground) -> None:
        app.tell("an error", "error")
        app.tell("for your information")
        await wait_for(pilot, lambda: len(told(app)) == 2)
        await press(pilot, "app.settings")
        await wait_for(pilot, lambda: told(app) == ["an error"])
        await press(pilot, "app.runs")
        app.tell("for your information")
        await wait_for(pilot, lambda: len(told(app)) == 2)
        await press(pilot, "app.help")
        await wait_for(pilot, lambda: told(app) == ["an error"])

    over_runs(tmp_path, story)


def test_what_an_action_tells_as_it_leads_elsewhere_is_told_there(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], app: Playground) -> None:
        app.tell("you are led to the settings")
        app.go("settings")
        await wait_for(pilot, lambda: app.current_mode == "settings")
        await wait_for(pilot, lambda: "you are led to the settings" in screen_text(app))

    over_runs(tmp_path, story)


def test_toasts_stand_at_the_top_beside_what_is_read_first(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], app: Playground) -> None:
        app.tell("a word")
        await wait_for(pilot, lambda: "a word" in screen_text(app))
        lines = screen_text(app).splitlines()
        at = next(number for number, line in enumerate(lines) if "a word" in line)
        assert at == 1 and lines[at].index("a word") > 40 and "1 Corpus" in lines[0]

    over_runs(tmp_path, story)


def test_nothing_lies_over_the_page_for_terminals_that_are_too_small(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], app: Playground) -> None:
        app.tell("a word")
        await wait_for(pilot, lambda: "a word" in screen_text(app))
        await pilot.resize_terminal(40, 10)
        await wait_for(pilot, lambda: "This terminal is too small" in " ".join(screen_text(app).split()))
        app.tell("another", "error")
        await wait_for(pilot, lambda: len(told(app)) == 2)
        await pilot.pause()
        assert "a word" not in screen_text(app) and "another" not in screen_text(app)
        await pilot.resize_terminal(100, 30)
        await wait_for(pilot, lambda: "another" in screen_text(app))

    over_runs(tmp_path, story)
