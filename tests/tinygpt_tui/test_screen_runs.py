"""The Runs screen: every run on this machine in a table, and all that one does with them there."""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Button, Input, TextArea

from engine.errors import ResourceError
from tests.tinygpt_tui.driving import (
    check_picture,
    check_text,
    drive,
    press,
    press_again,
    screen_text,
    wait_for,
)
from tests.tinygpt_tui.fake_player import FakeLink
from tests.tinygpt_tui.scripted_run import ScriptedRun, died_run, failed_run, finished_run, stopped_run
from tests.tinygpt_tui.scripted_world import playground, scripted_world
from tinygpt_tui.screens.runs import COLUMNS, GAP, MOST_COMPARED, WORDS, RunsScreen, RunTable, columns_for
from tinygpt_tui.sources import run_shelf, run_watch
from tinygpt_tui.world import World

HOSTILE = "\x1b[31m[bold]a\x9b2J[/bold]"
HARMLESS = "␛[31m[bold]a\ufffd2J[/bold]"

Story = Callable[[Pilot[int], World], Awaitable[None]]


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "data" / "runs"


@pytest.fixture
def shelf(runs: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedRun]:
    """Five runs, one in each state; the newest trains, and is given."""
    monkeypatch.setattr(run_watch, "_memory_of", lambda pid: 412_000_000)
    failed_run(runs, created="2025-12-24T03:04:05Z")
    finished_run(runs, created="2026-01-01T03:04:05Z")
    stopped_run(runs, created="2026-01-01T22:04:05Z")
    died_run(runs, created="2026-01-02T02:04:05Z")
    with ScriptedRun(runs) as run:
        run.steps(200)
        run.look()
        yield run


def tell(tmp_path: Path, story: Story, size: tuple[int, int] = (120, 40), **parts: Any) -> None:
    """Opens Runs and tells the story."""
    world = scripted_world(tmp_path, **parts)

    async def go(pilot: Pilot[int]) -> None:
        await wait_for(pilot, lambda: screen(pilot)._shown)
        await story(pilot, world)

    drive(playground(world, "runs"), go, size)


def screen(pilot: Pilot[int]) -> RunsScreen:
    found = pilot.app.screen_stack[0]
    assert isinstance(found, RunsScreen)
    return found


def table(pilot: Pilot[int]) -> list[list[str]]:
    """The cells of every row."""
    found = screen(pilot).query_one(RunTable)
    return [[str(cell).strip() for cell in found.get_row_at(n)] for n in range(found.row_count)]


def names(pilot: Pilot[int]) -> list[str]:
    return [row[1] for row in table(pilot)]


async def choose(pilot: Pilot[int], name: str) -> None:
    """Moves the cursor to a run by the arrow keys."""
    while names(pilot)[(at := screen(pilot).query_one(RunTable).cursor_row)] != name:
        await pilot.press("down" if at < names(pilot).index(name) else "up")


async def shown(pilot: Pilot[int], *texts: str) -> None:
    await wait_for(pilot, lambda: all(text in screen_text(pilot.app) for text in texts), " and ".join(texts))


async def told(pilot: Pilot[int], text: str) -> None:
    """Waits for a toast; what it says may be broken into lines on the screen."""
    await wait_for(pilot, lambda: any(text in toast.message for toast in pilot.app._notifications), text)


async def in_mode(pilot: Pilot[int], mode: str) -> None:
    await wait_for(pilot, lambda: pilot.app.current_mode == mode, f"the mode {mode}")


class Launcher:
    """Stands for starting a process: the scripted run gets a new trainer."""

    def __init__(self, run: ScriptedRun) -> None:
        self.run = run
        self.totals: list[int | None] = []

    def __call__(self, folder: object, *, total_steps: int | None = None, cache_dir: object = None) -> int:
        self.totals.append(total_steps)
        self.run.resume(total_steps)
        return os.getpid()


def test_every_run_is_listed_newest_first_with_what_one_wants_to_know(
    tmp_path: Path, shelf: ScriptedRun
) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        assert [row[:8] for row in table(pilot)] == [
            ["●", "tales-03", "2.316", "200 / 2,000", "1.79 M", "tales", "3 h ago", "modern"],
            ["✗", "killed-01", "2.316", "220 / 400", "1.79 M", "tales", "4 h ago", "modern"],
            ["■", "tales-02", "2.316", "200 / 400", "1.79 M", "tales", "8 h ago", "modern"],
            ["✓", "tales-01", "1.979", "400", "1.79 M", "tales", "1 d ago", "modern"],
            ["✗", "broken-01", "2.740", "100 / 400", "1.79 M", "tales", "9 d ago", "modern"],
        ]
        await shown(pilot, "5 · 1 training", "● training", "modern · 1.79 M parameters · learns tales")
        await choose(pilot, "killed-01")
        await shown(pilot, "─ killed-01 ─", "✗ died", str(tmp_path)[:40])

    tell(tmp_path, story)


def test_the_table_follows_what_trains_and_the_cursor_stays_on_its_run(
    tmp_path: Path, runs: Path, shelf: ScriptedRun
) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await choose(pilot, "tales-02")
        shelf.steps(100)
        shelf.look()
        await wait_for(pilot, lambda: table(pilot)[0][3] == "300 / 2,000")
        shelf.finish()
        await wait_for(pilot, lambda: table(pilot)[0][0] == "✓")
        with ScriptedRun(runs, "novel-01", created="2026-01-03T03:04:05Z"):
            await wait_for(pilot, lambda: names(pilot)[0] == "novel-01")
            assert screen(pilot)._chosen().name == "tales-02"

    tell(tmp_path, story)


def test_there_is_a_word_for_no_run_at_all_and_keys_say_so(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await shown(pilot, "There are no runs yet.", "tinygpt train tales")
        await press(pilot, "runs.open")
        await told(pilot, "There is no run to choose here yet")
        assert pilot.app.current_mode == "runs"

    tell(tmp_path, story)


def test_opening_shows_the_curve_of_the_chosen_run(tmp_path: Path, shelf: ScriptedRun) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await choose(pilot, "tales-01")
        await press(pilot, "runs.open")
        await in_mode(pilot, "train")
        await shown(pilot, "✓ Done: 400 steps")
        assert world.chosen_run == "tales-01"

    tell(tmp_path, story)


def test_a_click_chooses_and_a_click_on_the_chosen_one_opens(tmp_path: Path, shelf: ScriptedRun) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await pilot.click(RunTable, offset=(10, 4))
        await wait_for(pilot, lambda: screen(pilot)._chosen().name == "tales-01")
        await pilot.click(RunTable, offset=(10, 4))
        await in_mode(pilot, "train")
        assert world.chosen_run == "tales-01"

    tell(tmp_path, story)


def test_one_plays_with_the_chosen_run(tmp_path: Path, shelf: ScriptedRun) -> None:
    link = FakeLink()

    async def story(pilot: Pilot[int], world: World) -> None:
        await choose(pilot, "tales-01")
        await press(pilot, "runs.play")
        await in_mode(pilot, "play")
        await wait_for(pilot, lambda: world.desk.model is not None and world.desk.model.run == "tales-01")

    tell(tmp_path, story, link=link)


@pytest.mark.parametrize(
    ("make", "total"), [(died_run, None), (stopped_run, None), (failed_run, None), (finished_run, 600)]
)
def test_a_run_goes_on_whatever_ended_it(
    tmp_path: Path, runs: Path, make: Callable[..., ScriptedRun], total: int | None
) -> None:
    run = make(runs)
    launch = Launcher(run)

    async def story(pilot: Pilot[int], world: World) -> None:
        await press(pilot, "runs.resume")
        await in_mode(pilot, "train")
        await shown(pilot, "● training")
        assert launch.totals == [total] and world.chosen_run == run.name
        run.die()

    tell(tmp_path, story, launch=launch)


def test_a_run_that_trains_cannot_be_resumed_and_says_so(tmp_path: Path, shelf: ScriptedRun) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await press(pilot, "runs.resume")
        await told(pilot, "tales-03")
        assert pilot.app.current_mode == "runs"

    tell(tmp_path, story)


def test_marked_runs_are_drawn_together(tmp_path: Path, shelf: ScriptedRun) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await press(pilot, "runs.compare")
        await told(pilot, "No run is marked")
        await choose(pilot, "tales-02")
        await press(pilot, "runs.mark")
        await wait_for(pilot, lambda: table(pilot)[2][0] == "▸■")
        assert screen(pilot)._chosen().name == "tales-01"  # ready for the next mark
        await press(pilot, "runs.mark")
        await wait_for(pilot, lambda: table(pilot)[3][0] == "▸✓")
        await press(pilot, "runs.compare")
        await in_mode(pilot, "train")
        assert world.chosen_run == "tales-02" and world.compared == ("tales-01",)
        await shown(pilot, "tales-01 val")
        await press(pilot, "app.runs")
        await wait_for(pilot, lambda: table(pilot)[2][0] == "■")  # nothing is marked any more
        await shown(pilot, "d delete ")

    tell(tmp_path, story)


def test_a_mark_is_taken_away_by_the_same_key_and_goes_with_its_run(
    tmp_path: Path, shelf: ScriptedRun
) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        for _ in range(2):
            await choose(pilot, "tales-02")
            await press(pilot, "runs.mark")
        await wait_for(pilot, lambda: table(pilot)[2][0] == "■")
        await choose(pilot, "tales-02")
        await press(pilot, "runs.mark")
        world.shelf.trash("tales-02")
        await wait_for(pilot, lambda: "tales-02" not in names(pilot))
        assert screen(pilot)._marked == []

    tell(tmp_path, story)


def test_no_more_runs_are_marked_than_curves_can_be_told_apart(tmp_path: Path, shelf: ScriptedRun) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        for _ in range(MOST_COMPARED + 1):
            await press(pilot, "runs.mark")
        await told(pilot, f"At most {MOST_COMPARED} curves can be told apart")
        assert len(screen(pilot)._marked) == MOST_COMPARED

    tell(tmp_path, story)


def test_one_marked_run_is_drawn_behind_the_chosen_one(tmp_path: Path, shelf: ScriptedRun) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await press(pilot, "runs.mark")
        await choose(pilot, "tales-01")
        await press(pilot, "runs.compare")
        await in_mode(pilot, "train")
        assert (world.chosen_run, world.compared) == ("tales-01", ("tales-03",))

    tell(tmp_path, story)


async def answer(pilot: Pilot[int], text: str) -> None:
    """Types into the open dialog, in place of what is there."""
    await wait_for(pilot, lambda: isinstance(pilot.app.focused, Input))
    field = pilot.app.focused
    assert isinstance(field, Input)
    field.value = text[:-1]
    field.cursor_position = len(text)
    await pilot.press(text[-1], "enter")


def test_a_run_is_given_another_name_to_be_shown_and_keeps_its_folder(
    tmp_path: Path, runs: Path, shelf: ScriptedRun
) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await press(pilot, "runs.rename")
        await shown(pilot, "What tales-03 is to be called")
        await answer(pilot, "fox[b]")
        await wait_for(pilot, lambda: names(pilot)[0] == "fox[b]")
        await shown(pilot, "fox[b] ● step 200")
        assert json.loads((runs / "tales-03" / "meta.json").read_text())["label"] == "fox[b]"
        await press(pilot, "runs.rename")
        await answer(pilot, "x" * 81)
        await shown(pilot, "A label has at most 80 characters", "x" * 50)  # and what was typed is still there
        assert not pilot.app._notifications
        await pilot.press("escape")
        await wait_for(pilot, lambda: len(pilot.app.screen_stack) == 1)
        assert names(pilot)[0] == "fox[b]"

    tell(tmp_path, story)


def test_a_note_is_written_down_and_shown(tmp_path: Path, runs: Path, shelf: ScriptedRun) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await press(pilot, "runs.note")
        await shown(pilot, "note on tales-03")
        await wait_for(pilot, lambda: isinstance(pilot.app.focused, TextArea))
        await pilot.press(*"the good one", "tab", "enter")
        await shown(pilot, "│ the good one")
        assert json.loads((runs / "tales-03" / "meta.json").read_text())["notes"] == "the good one"

    tell(tmp_path, story)
    tell(tmp_path, lambda pilot, world: shown(pilot, "modern", "the good one", "note"), (200, 60))


def test_a_note_of_several_lines_stays_as_it_is_unless_it_is_changed(
    tmp_path: Path, runs: Path, shelf: ScriptedRun
) -> None:
    note = "line one\n\tline two \x1b[31m"

    def notes() -> str:
        return str(json.loads((runs / "tales-03" / "meta.json").read_text())["notes"])

    async def story(pilot: Pilot[int], world: World) -> None:
        world.shelf.note("tales-03", note)
        await press(pilot, "runs.note")
        await wait_for(pilot, lambda: isinstance(pilot.app.focused, TextArea))
        await pilot.press("tab", "enter")
        await wait_for(pilot, lambda: len(pilot.app.screen_stack) == 1)
        assert notes() == note
        await press(pilot, "runs.note")
        await wait_for(pilot, lambda: isinstance(pilot.app.focused, TextArea))
        await pilot.press("enter", *"three", "tab", "enter")
        await wait_for(pilot, lambda: notes() == note + "\nthree")

    tell(tmp_path, story)


def test_a_note_that_cannot_be_kept_stays_in_its_dialog_until_it_can(
    tmp_path: Path, runs: Path, shelf: ScriptedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*arguments: object) -> None:
        raise ResourceError("No space is left on the disk.")

    async def story(pilot: Pilot[int], world: World) -> None:
        await press(pilot, "runs.note")
        await wait_for(pilot, lambda: isinstance(pilot.app.focused, TextArea))
        with monkeypatch.context() as full:
            full.setattr("engine.runs.RunFolder.write_meta", no_room)
            await pilot.press(*"the good one", "tab", "enter")
            await shown(pilot, "No space is left on the disk.", "the good one")
        await press_again(pilot)
        await wait_for(pilot, lambda: len(pilot.app.screen_stack) == 1)
        assert json.loads((runs / "tales-03" / "meta.json").read_text())["notes"] == "the good one"

    tell(tmp_path, story)


def test_every_sentence_calls_a_run_as_the_person_does(
    tmp_path: Path, runs: Path, shelf: ScriptedRun
) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await choose(pilot, "tales-02")
        world.shelf.rename("tales-02", "my heron")
        await shown(pilot, "─ my heron ─", "/tales-02")
        await press(pilot, "runs.note")
        await shown(pilot, "note on my heron")
        await pilot.press("escape")
        await press(pilot, "runs.delete")
        await shown(pilot, "Move my heron (")
        await wait_for(pilot, lambda: isinstance(pilot.app.focused, Button))
        await pilot.press("enter")
        await told(pilot, "my heron is in the trash")
        await press(pilot, "runs.undo")
        await told(pilot, "my heron is back.")

    tell(tmp_path, story)


def test_all_marked_runs_go_to_the_trash_after_one_question(
    tmp_path: Path, runs: Path, shelf: ScriptedRun
) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        for name in ("tales-02", "tales-01"):
            await choose(pilot, name)
            await press(pilot, "runs.mark")
        await choose(pilot, "tales-03")
        await shown(pilot, "d delete 2 marked")
        await press(pilot, "runs.delete")
        await shown(pilot, "Move these 2 runs, tales-02, tales-01")
        await wait_for(pilot, lambda: isinstance(pilot.app.focused, Button))
        await pilot.press("enter")
        await wait_for(pilot, lambda: not {"tales-01", "tales-02"} & set(names(pilot)))
        await told(pilot, "tales-02, tales-01 are in the trash")
        await press(pilot, "runs.undo")
        await press(pilot, "runs.undo")
        await wait_for(pilot, lambda: {"tales-01", "tales-02"} <= set(names(pilot)))

    tell(tmp_path, story)


def test_no_column_of_figures_is_cut_at_any_width() -> None:
    widths = dict(COLUMNS)
    for cells in range(40, 220):
        columns = columns_for(cells)
        assert [title for title, _ in columns] == [title for title, _ in COLUMNS][: len(columns)]
        assert sum(width + GAP for _, width in columns) <= cells
        assert all(width == widths[title] or title in WORDS for title, width in columns)
    assert columns_for(200) == list(COLUMNS) and columns_for(-3) == list(COLUMNS[:2])


def test_the_panels_look_the_same_when_the_settings_have_been_seen(
    tmp_path: Path, shelf: ScriptedRun
) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await shown(pilot, "╭─ tales-03 ─")
        await pilot.press("5")
        await wait_for(pilot, lambda: pilot.app.current_mode == "settings")
        await shown(pilot, "temperature")
        await pilot.press("4")
        await shown(pilot, "╭─ tales-03 ─")
        assert "┌" not in screen_text(pilot.app)

    tell(tmp_path, story)


def test_a_run_goes_to_the_trash_when_that_is_confirmed_and_comes_back(
    tmp_path: Path, runs: Path, shelf: ScriptedRun
) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await choose(pilot, "tales-02")
        await press(pilot, "runs.delete")
        await shown(pilot, "Move tales-02 (", "Keep it")
        await pilot.press("escape")
        await wait_for(pilot, lambda: len(pilot.app.screen_stack) == 1)
        assert (runs / "tales-02").exists()
        await press(pilot, "runs.delete", 1)
        await wait_for(pilot, lambda: isinstance(pilot.app.focused, Button))
        await pilot.press("enter")
        await told(pilot, "tales-02 is in the trash; u takes it out again.")
        await wait_for(pilot, lambda: "tales-02" not in names(pilot))
        assert not (runs / "tales-02").exists()
        assert screen(pilot)._chosen().name == "tales-01"  # the cursor stays where it was
        await press(pilot, "runs.undo")
        await told(pilot, "tales-02 is back.")
        await wait_for(pilot, lambda: "tales-02" in names(pilot))
        assert (runs / "tales-02" / "run.json").exists()
        await press(pilot, "runs.undo")
        await told(pilot, "there is none to put back")

    tell(tmp_path, story)


def test_a_run_that_trains_is_not_deleted(tmp_path: Path, runs: Path, shelf: ScriptedRun) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await press(pilot, "runs.delete")
        await pilot.click("#yes")
        await wait_for(pilot, lambda: pilot.app._notifications)
        assert names(pilot)[0] == "tales-03" and (runs / "tales-03").exists()

    tell(tmp_path, story)


def test_the_best_checkpoint_is_copied_into_the_folder_one_started_from(
    tmp_path: Path, shelf: ScriptedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)

    async def story(pilot: Pilot[int], world: World) -> None:
        await choose(pilot, "tales-01")
        await press(pilot, "runs.export")
        await wait_for(pilot, lambda: world.shelf.export.state == "done")
        await told(pilot, "tales-01 was copied to")
        (copy,) = here.iterdir()
        assert [path.name for path in (copy / "checkpoints").iterdir()] == ["step-00000400"]
        here.rename(tmp_path / "elsewhere")
        copy = tmp_path / "elsewhere" / copy.name
        for path in sorted(copy.parent.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        copy.parent.rmdir()
        await press(pilot, "runs.export")
        await told(pilot, "The folder you started from is gone")

    tell(tmp_path, story)


def test_a_copy_that_fails_is_told(tmp_path: Path, runs: Path, shelf: ScriptedRun) -> None:
    for path in (runs / "tales-01" / "checkpoints").glob("*/manifest.json"):
        path.write_text("{}")

    async def story(pilot: Pilot[int], world: World) -> None:
        await choose(pilot, "tales-01")
        await press(pilot, "runs.export")
        await wait_for(pilot, lambda: world.shelf.export.state == "failed")
        await wait_for(pilot, lambda: any(n.severity == "error" for n in pilot.app._notifications))

    tell(tmp_path, story)


def test_names_labels_and_notes_can_do_nothing_to_the_terminal(tmp_path: Path, runs: Path) -> None:
    finished_run(runs, "fox", 4, corpus=HOSTILE, arch="modern")
    (runs / "fox").rename(runs / "[red]x")
    (runs / "[red]x" / "meta.json").write_text(json.dumps({"version": 1, "label": HOSTILE, "notes": HOSTILE}))

    async def story(pilot: Pilot[int], world: World) -> None:
        await shown(pilot, f"{HARMLESS}", "/[red]x", f"learns {HARMLESS}")
        for action in ("runs.rename", "runs.note", "runs.delete"):
            await press(pilot, action)
            await shown(pilot, "[red]x")
            await wait_for(pilot, lambda: len(pilot.app.screen_stack) == 2)
            await pilot.pause()
            assert not set(screen_text(pilot.app)) & {"\x1b", "\x9b"}
            await pilot.press("escape")
            await wait_for(pilot, lambda: len(pilot.app.screen_stack) == 1)

    tell(tmp_path, story, (200, 60))


def test_thousands_of_runs_are_listed_and_only_what_changed_is_written_again(
    tmp_path: Path, runs: Path, shelf: ScriptedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = scripted_world(tmp_path)
    few = world.shelf.rows
    many = tuple(run_shelf.replace(few[-1], name=f"old-{n:04}") for n in range(3000))
    publish = run_shelf.RunShelf._publish

    def publish_many(shelf: run_shelf.RunShelf) -> None:
        publish(shelf)
        if len(shelf._rows) < 3000:
            shelf._rows = (*shelf._rows, *many)

    monkeypatch.setattr(run_shelf.RunShelf, "_publish", publish_many)
    written: list[str] = []
    cell = RunsScreen._cell
    monkeypatch.setattr(
        RunsScreen, "_cell", lambda self, row, column: (written.append(row.name), cell(self, row, column))[1]
    )

    async def story(pilot: Pilot[int], world: World) -> None:
        await shown(pilot, "3005 · 1 training")
        await pilot.press("end")
        await shown(pilot, "old-2999")
        written.clear()
        shelf.steps(50)
        shelf.look()
        await wait_for(pilot, lambda: world.shelf.rows[0].step == 250)
        await wait_for(pilot, lambda: table(pilot)[0][3] == "250 / 2,000")
        assert set(written) == {"tales-03"}
        assert screen(pilot)._chosen().name == "old-2999"

    tell(tmp_path, story)


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
def test_the_screen_looks_as_stored(tmp_path: Path, shelf: ScriptedRun, size: tuple[int, int]) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await _as_stored(pilot, world)
        await check_text(pilot, f"runs-{size[0]}x{size[1]}")

    tell(tmp_path, story, size)


@pytest.mark.parametrize("look", ["dark", "light", "ansi", "nocolor"])
def test_the_screen_is_drawn_as_stored(
    tmp_path: Path, shelf: ScriptedRun, look: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if look == "nocolor":
        monkeypatch.setenv("NO_COLOR", "1")

    async def story(pilot: Pilot[int], world: World) -> None:
        pilot.app.theme = {"light": "tinygpt-light", "ansi": "ansi-dark"}.get(look, "tinygpt-dark")
        await _as_stored(pilot, world)
        await check_picture(pilot, f"runs-{look}")

    tell(tmp_path, story)


async def _as_stored(pilot: Pilot[int], world: World) -> None:
    """Two marks, a label and a note; sizes and places that are the same everywhere."""
    world.shelf.rename("tales-02", "the short one")
    world.shelf.note("tales-02", "stops in the middle of a word")
    rows = tuple(
        run_shelf.replace(row, size=35_500 + n, path=Path("/home/you/tinygpt/runs") / row.name)
        for n, row in enumerate(world.shelf.rows)
    )
    world.shelf._rows, world.shelf._list = rows, lambda: None  # type: ignore[method-assign]
    world.shelf.version += 1
    await choose(pilot, "killed-01")
    await press(pilot, "runs.mark")
    await wait_for(pilot, lambda: names(pilot)[2] == "the short one")
    await press(pilot, "runs.mark")
    await pilot.press("up")
    await shown(
        pilot, "▸■", "▸✗", "the short one", "/home/you/tinygpt/runs/tales-02", "tales-03 ● step 200"[9:]
    )
