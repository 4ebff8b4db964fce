"""Small questions answered by key and by mouse; and what breaks becomes a question too, while the playground goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from textual import events
from textual.pilot import Pilot
from textual.screen import ModalScreen, Screen

from engine.errors import UsageError
from tests.tinygpt_tui.driving import drive, press, press_again, screen_text, wait_for
from tests.tinygpt_tui.scripted_run import finished_run
from tests.tinygpt_tui.scripted_world import scripted_world
from tinygpt_tui.app import IN_A_ROW, Playground
from tinygpt_tui.files import MOST_REPORTS, write_report
from tinygpt_tui.screens.dialogs import AskLine, AskText, Choose, Confirm
from tinygpt_tui.screens.runs import RunsScreen, RunTable
from tinygpt_tui.widgets.top_bar import TopBar
from tinygpt_tui.world import World

HOSTILE = "\x1b[31m[bold]a\x9b2J[/bold]"
HARMLESS = "␛[31m[bold]a\ufffd2J[/bold]"
BUTTONS = (("yes", "Do it"), ("no", "Leave it"))
FRUITS = [("a", "red apple"), ("b", "green pear"), ("c", "green apple")]

Story = Callable[[Pilot[int], World], Awaitable[None]]


def tell(tmp_path: Path, story: Story, size: tuple[int, int] = (100, 30)) -> None:
    """Opens Runs as a person would have it: what breaks there is not raised."""
    finished_run(tmp_path / "data" / "runs", steps=4)
    world = scripted_world(tmp_path)

    async def go(pilot: Pilot[int]) -> None:
        await shown(pilot, "tales-01")
        await story(pilot, world)

    drive(Playground(world, "runs"), go, size)


async def shown(pilot: Pilot[int], *texts: str) -> None:
    await wait_for(pilot, lambda: all(text in screen_text(pilot.app) for text in texts), " and ".join(texts))


async def asked(pilot: Pilot[int], dialog: ModalScreen[str | None]) -> list[str | None]:
    """Shows a dialog; the list will hold its answer."""
    answers: list[str | None] = []
    pilot.app.push_screen(dialog, answers.append)
    await wait_for(pilot, lambda: pilot.app.screen is dialog and dialog.focused is not None)
    return answers


@pytest.mark.parametrize(
    ("keys", "answer"), [(["enter"], "yes"), (["tab", "enter"], "no"), (["escape"], None)]
)
def test_a_question_is_answered_by_keys_and_its_first_button_is_ready(
    tmp_path: Path, keys: list[str], answer: str | None
) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        answers = await asked(pilot, Confirm("title", "Shall I?", BUTTONS))
        await shown(pilot, "─ title ─", "Shall I?", "Do it", "Leave it")
        await pilot.press(*keys)
        await wait_for(pilot, lambda: answers == [answer])

    tell(tmp_path, story)


def test_a_question_is_answered_by_mouse(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        answers = await asked(pilot, Confirm("title", "Shall I?", BUTTONS))
        await pilot.click("#no")
        await wait_for(pilot, lambda: answers == ["no"])

    tell(tmp_path, story)


def test_a_line_of_text_is_given_back_or_nothing(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        answers = await asked(pilot, AskLine("title", "Which?", "old"))
        await pilot.press("end", "[", "enter")
        await wait_for(pilot, lambda: answers == ["old["])
        answers = await asked(pilot, AskLine("title", "Which?", "old"))
        await pilot.press("n", "escape")
        await wait_for(pilot, lambda: answers == [None])

    tell(tmp_path, story)


@pytest.mark.parametrize(
    ("keys", "answer"),
    [
        (["enter"], "b"),
        (["down", "enter"], "c"),
        (["up", "enter"], "a"),
        ([*"red", "enter"], "a"),
        ([*"APPLE", "down", "enter"], "c"),
        ([*"en", "space", *"app", "enter"], "c"),
        (["escape"], None),
    ],
)
def test_one_chooses_by_arrows_or_by_typing_a_part(
    tmp_path: Path, keys: list[str], answer: str | None
) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        answers = await asked(pilot, Choose("fruit", FRUITS, current="b"))
        await pilot.press(*keys)
        await wait_for(pilot, lambda: answers == [answer])

    tell(tmp_path, story)


def test_one_chooses_by_mouse_and_an_empty_list_says_so(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        answers = await asked(pilot, Choose("fruit", FRUITS, "No fruit today."))
        await pilot.click("#options", offset=(2, 2))
        await wait_for(pilot, lambda: answers == ["c"])
        answers = await asked(pilot, Choose("fruit", FRUITS, "No fruit today."))
        await pilot.press(*"kiwi", "enter")
        await shown(pilot, "Nothing here matches that.")
        assert answers == []
        await pilot.press("escape")
        await wait_for(pilot, lambda: answers == [None])
        await asked(pilot, Choose("fruit", [], "No fruit today."))
        await shown(pilot, "No fruit today.", "⏎ choose · ↑↓ move · esc close")

    tell(tmp_path, story)


def test_what_was_not_changed_is_given_back_as_it_was_and_not_as_it_is_shown(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        answers = await asked(pilot, AskLine("title", "", "one\ntwo\t\x1b"))
        await pilot.press("enter")
        await wait_for(pilot, lambda: answers == ["one\ntwo\t\x1b"])

    tell(tmp_path, story)


def test_a_line_that_is_refused_says_why_and_stays_to_be_mended(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        def take(text: str) -> None:
            if text != "red":
                raise UsageError(f"It must be red, not {text} \x1b[31m.")

        answers = await asked(pilot, AskLine("title", "", "blue", take=take))
        await pilot.press("enter")
        await shown(pilot, "It must be red, not blue ␛[31m.")
        assert answers == [] and not pilot.app._notifications
        await pilot.press("home", "delete", "delete", "delete", "delete", *"red", "enter")
        await wait_for(pilot, lambda: answers == ["red"])

    tell(tmp_path, story)


def test_a_page_that_is_refused_says_why_and_loses_nothing(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        asked_about: list[str] = []

        def take(text: str) -> None:
            asked_about.append(text)
            if len(asked_about) == 1:
                raise UsageError(f"There is no room for {text} \x1b[31m.")

        answers = await asked(pilot, AskText("title", "one\ntwo", take=take))
        await pilot.press(*" three", "tab", "enter")
        await shown(pilot, "two three", "There is no room for one", "␛[31m.")
        assert answers == [] and not pilot.app._notifications
        await press_again(pilot)
        await wait_for(pilot, lambda: answers == ["one\ntwo three"])
        answers = await asked(pilot, AskText("title", "one", take=take))
        await pilot.press("tab", "enter")
        await wait_for(pilot, lambda: answers == [None])
        assert len(asked_about) == 2  # not about what was left as it was

    tell(tmp_path, story)


def test_behind_a_dialog_the_line_of_keys_is_empty_and_comes_back(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await shown(pilot, "delete", "compare")
        answers = await asked(pilot, Confirm("title", "Shall I?", BUTTONS))
        await shown(pilot, "⏎ press · tab next · esc close")
        await wait_for(pilot, lambda: "compare" not in screen_text(pilot.app))
        await pilot.press("escape")
        await wait_for(pilot, lambda: answers == [None])
        await shown(pilot, "delete", "compare")

    tell(tmp_path, story)


@pytest.mark.parametrize(
    "dialog",
    [
        Confirm(HOSTILE, HOSTILE, (("yes", "[b]Yes[/b]"),)),
        AskLine(HOSTILE, HOSTILE, HOSTILE),
        Choose(HOSTILE, [("a", HOSTILE)]),
    ],
    ids=lambda dialog: type(dialog).__name__,
)
def test_any_text_is_shown_as_it_is_and_does_nothing(tmp_path: Path, dialog: ModalScreen[str | None]) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await asked(pilot, dialog)
        await wait_for(pilot, lambda: screen_text(pilot.app).count(HARMLESS) >= 2)
        assert not set(screen_text(pilot.app)) & {"\x1b", "\x9b"}

    tell(tmp_path, story)


class Breaking(Exception):
    """What the tests let happen."""


class Saboteur:
    """Something that can be broken and mended."""

    def __init__(self, text: str = "out of ink") -> None:
        self.text, self.broken, self.calls = text, True, 0

    def __call__(self, *arguments: object) -> None:
        self.calls += 1
        if self.broken:
            raise Breaking(self.text)


def method(broken: Saboteur) -> Callable[[object], None]:
    """As a method of a class."""

    def call(self: object) -> None:
        broken()

    return call


def reports(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "state").rglob("crash-*.txt"))


async def answer(pilot: Pilot[int], button: str) -> None:
    """Presses a button of the dialog about an error."""
    await shown(pilot, "something broke")
    await pilot.click(f"#{button}")
    await wait_for(pilot, lambda: len(pilot.app.screen_stack) == 1)


async def left_to_itself(pilot: Pilot[int], screen: Screen[Any]) -> None:
    """Returns when a dialog is above `screen`; the pilot has no hand in it.

    It would wait for the part that hears nothing more, and draw the screen itself: what cannot be drawn would break the test.
    """
    async with asyncio.timeout(20):
        while pilot.app.screen is screen:
            await asyncio.sleep(0.01)


async def keys_act(pilot: Pilot[int], fresh: Screen[Any] | None = None) -> None:
    """The playground is alive, with another screen than `fresh`: a key of it and one of the playground do what they do."""
    await wait_for(pilot, lambda: isinstance(pilot.app.focused, RunTable) and pilot.app.screen is not fresh)
    await shown(pilot, "tales-01")
    await press(pilot, "runs.mark")
    await shown(pilot, "▸✓")
    await press(pilot, "runs.mark")
    await wait_for(pilot, lambda: "▸✓" not in screen_text(pilot.app))
    await press(pilot, "app.settings")
    await wait_for(pilot, lambda: pilot.app.current_mode == "settings")
    await shown(pilot, "temperature")
    await press(pilot, "app.runs")
    await shown(pilot, "tales-01")


def test_an_error_in_a_tick_is_told_kept_in_a_report_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Saboteur("out of [ink]\x1b[2J")

    async def story(pilot: Pilot[int], world: World) -> None:
        monkeypatch.setattr(world.desk, "tick", broken)
        await shown(pilot, "something broke", "Breaking: out of [ink]␛[2J", "What trains goes on training")
        await shown(pilot, "Reload this screen", "Go on", "Leave", "A report is in")
        assert broken.calls == 1  # and not thirty times a second
        (report,) = reports(tmp_path)
        assert "Traceback" in report.read_text() and "out of [ink]" in report.read_text()
        assert report.parent.stat().st_mode & 0o77 == 0
        broken.broken = False
        await answer(pilot, "stay")
        await wait_for(pilot, lambda: broken.calls > 3)
        await keys_act(pilot)

    tell(tmp_path, story)


def test_an_error_in_a_screens_tick_leaves_the_world_going(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, alive = Saboteur(), Saboteur()
    alive.broken = False

    async def story(pilot: Pilot[int], world: World) -> None:
        monkeypatch.setattr(world.desk, "tick", alive)
        monkeypatch.setattr(RunsScreen, "tick", broken)
        await shown(pilot, "something broke")
        before = alive.calls
        await wait_for(pilot, lambda: alive.calls > before + 3)
        assert broken.calls == 1
        monkeypatch.undo()
        await answer(pilot, "reload")
        await keys_act(pilot)

    tell(tmp_path, story)


def test_an_error_in_an_action_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RunsScreen, "action_note", method(Saboteur()))

    async def story(pilot: Pilot[int], world: World) -> None:
        await press(pilot, "runs.note")
        await shown(pilot, "Breaking: out of ink")
        await answer(pilot, "stay")
        await keys_act(pilot)

    tell(tmp_path, story)


@pytest.mark.parametrize("button", ["reload", "stay"])
@pytest.mark.parametrize("part", [RunTable, TopBar, RunsScreen])
def test_a_part_that_breaks_at_a_message_is_made_anew_with_its_screen(
    tmp_path: Path, part: type, button: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Saboteur()
    monkeypatch.setattr(part, "on_paste", method(broken), raising=False)

    async def story(pilot: Pilot[int], world: World) -> None:
        screen = pilot.app.screen
        (screen if part is RunsScreen else screen.query_one(part)).post_message(events.Paste("x"))
        await left_to_itself(pilot, screen)
        await shown(pilot, "Breaking: out of ink")
        assert len(reports(tmp_path)) == 1
        broken.broken = False
        await answer(pilot, button)
        await keys_act(pilot, screen)

    tell(tmp_path, story)


def test_an_error_in_a_message_of_the_playground_itself_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Playground, "on_paste", method(Saboteur()), raising=False)

    async def story(pilot: Pilot[int], world: World) -> None:
        pilot.app.post_message(events.Paste("x"))
        await shown(pilot, "Breaking: out of ink")
        await answer(pilot, "stay")
        await keys_act(pilot)

    tell(tmp_path, story)


def test_what_cannot_be_drawn_does_not_hide_the_dialog(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Saboteur()

    async def story(pilot: Pilot[int], world: World) -> None:
        screen = pilot.app.screen
        monkeypatch.setattr(TopBar, "render", method(broken))
        screen.query_one(TopBar).refresh()
        await left_to_itself(pilot, screen)
        await shown(pilot, "Breaking: out of ink")
        monkeypatch.undo()
        await answer(pilot, "reload")
        await keys_act(pilot)

    tell(tmp_path, story)


def test_an_error_that_comes_again_and_again_is_told_a_few_times_and_then_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Saboteur()
    monkeypatch.setattr("tinygpt_tui.app.IN_A_ROW_SECONDS", 1000.0)  # however slow this machine is

    async def story(pilot: Pilot[int], world: World) -> None:
        monkeypatch.setattr(RunsScreen, "tick", broken)
        for n in range(1, IN_A_ROW + 1):
            await wait_for(pilot, lambda n=n: broken.calls == n and len(pilot.app.screen_stack) == 2)
            if n < IN_A_ROW:
                await shown(pilot, "Breaking: out of ink")
                assert "in a row" not in screen_text(pilot.app)
                await pilot.click("#stay")
        await shown(pilot, f"{IN_A_ROW}th error in a row", "left alone now")
        await answer(pilot, "stay")
        ticks = world._now
        await wait_for(pilot, lambda: world._now > ticks + 0.5)
        assert broken.calls == IN_A_ROW == len(reports(tmp_path))
        assert len(pilot.app.screen_stack) == 1
        await press(pilot, "app.settings")
        await shown(pilot, "temperature")

    tell(tmp_path, story)


def test_errors_behind_the_dialog_are_counted_and_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RunsScreen, "action_note", method(Saboteur()))
    monkeypatch.setattr("tinygpt_tui.app.IN_A_ROW_SECONDS", 1000.0)

    async def story(pilot: Pilot[int], world: World) -> None:
        behind: Any = pilot.app.screen
        for _ in range(4 * IN_A_ROW):
            await pilot.app.run_action("note", behind)
        await wait_for(pilot, lambda: pilot.app._notifications)
        assert [f"{IN_A_ROW}th error in a row" in toast.message for toast in pilot.app._notifications] == [
            True
        ]
        assert len(reports(tmp_path)) == IN_A_ROW
        await answer(pilot, "stay")
        await keys_act(pilot)

    tell(tmp_path, story)


def test_leaving_after_an_error_is_told_to_whoever_started_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RunsScreen, "action_note", method(Saboteur()))

    async def story(pilot: Pilot[int], world: World) -> None:
        await press(pilot, "runs.note")
        await shown(pilot, "something broke")
        await pilot.click("#quit")
        await wait_for(pilot, lambda: pilot.app._exit)
        assert pilot.app.return_code == 1

    tell(tmp_path, story)


def test_an_error_is_told_on_top_of_a_question_and_without_a_place_for_reports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "state").write_text("not a folder")

    async def story(pilot: Pilot[int], world: World) -> None:
        await press(pilot, "runs.delete")
        await shown(pilot, "Move tales-01")
        monkeypatch.setattr(world.desk, "tick", Saboteur())
        await shown(pilot, "something broke")
        assert "A report is in" not in screen_text(pilot.app)
        monkeypatch.undo()
        await pilot.press("escape")
        await shown(pilot, "Move tales-01")

    tell(tmp_path, story)


def test_old_reports_make_room(tmp_path: Path) -> None:
    for n in range(MOST_REPORTS + 3):
        path = Path(write_report(tmp_path, f"{n}"))
        assert path.read_text() == f"{n}"
    kept = {int(path.read_text()) for path in (tmp_path / "reports").iterdir()}
    assert len(kept) == MOST_REPORTS and MOST_REPORTS + 2 in kept and 0 not in kept
