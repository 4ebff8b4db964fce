"""Whatever a person points the interface at, it says in one sentence what is wrong and goes on: texts, paths, runs and the command's own word."""

from __future__ import annotations

import gc
import io
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, Static, TextArea

from tests.tinygpt_tui.bad_input import files_in
from tests.tinygpt_tui.driving import drive, press, screen_text, wait_for
from tests.tinygpt_tui.scripted_run import died_run, finished_run
from tests.tinygpt_tui.scripted_world import playground, scripted_world
from tests.tinygpt_tui.test_screen_corpus import ScriptedFacts, Trainers, watch
from tinygpt_tui import playground as command
from tinygpt_tui.screens.pick_file import PasteText, PickFile
from tinygpt_tui.screens.runs import RunTable
from tinygpt_tui.world import World

PATHS = (
    ("nope.txt", "cannot be opened (no such file or directory)"),
    ("my-novel.txt/inside", "cannot be opened (not a directory)"),
    ("../../nowhere/at/all", "cannot be opened (no such file or directory)"),
    ("~nobody-of-this-name/a.txt", "cannot be opened"),
    ("x" * 5000, "cannot be opened (file name too long)"),
    ("a/" * 3000, "cannot be opened (file name too long)"),
    ("ring", "cannot be opened (too many levels of symbolic links)"),
    ("dangling", "cannot be opened (no such file or directory)"),
    ("/dev/null", "neither a file nor a folder"),
    ("/dev/zero", "neither a file nor a folder"),
    ("pipe", "neither a file nor a folder"),
    ("[/red]", "[/red] cannot be opened"),
    ("[@click=app.quit]x[/]", "cannot be opened"),
    ("\x1b[2J\u202e\x9b", "cannot be opened"),
    ("http://localhost/a.txt", "cannot be opened"),
    ("-", "cannot be opened"),
)
TEXTS = (
    (b"", "is empty"),
    (b"\xef\xbb\xbf", "is empty"),
    (b"a", "too short to learn from"),
    (b"abc\n", "too short to learn from"),
    (b"abc\0" * 99, "NUL at byte 3"),
    (b"\x00\x01\x02" * 900, "looks binary"),
    (b"ab\1\2c\n" * 99, "control characters"),
    (b"\xe9t\xe9 " * 900, "is not UTF-8"),
    (b"text \xc0\xaf text\n" * 99, "is not UTF-8"),
    (b"text \xed\xa0\x80 text\n" * 99, "is not UTF-8"),
    (("hello " * 99).encode("utf-16-le"), "looks binary"),
    (b"\xff\xfe" + ("hello " * 99).encode("utf-16-le") + b"a", "is not UTF-16"),
)
PASTED = (
    ("", "There is nothing to keep"),
    (" \n\t ", "There is nothing to keep"),
    ("half a \ud83d character", "holds half a character"),
    ("\udcff", "holds half a character"),
)
WORDS = (
    "nope",
    "nope.txt",
    "../x",
    "no\x1b[31mvel",
    "[red]x",
    "~nobody-of-this-name",
    "x" * 300,
    "a/" * 3000,
    "/there/\0",
    "\udcff",
    "é",
)
LONG = (("rename", "x" * 81), ("note", "x" * 50_001))


def broken_json(path: Path) -> None:
    path.write_text("{")


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def a_list(path: Path) -> None:
    path.write_text("[]")


DAMAGES = tuple(
    (name, make)
    for name in ("run", "status")
    for make in (broken_json, endless, a_list, os.mkfifo, Path.mkdir)
) + tuple((name, make) for name in ("lock", "events", "control") for make in (endless, os.mkfifo, Path.mkdir))
COUNT = len(PATHS) + len(TEXTS) + len(PASTED) + len(WORDS) + len(LONG) + len(DAMAGES)


def told(pilot: Pilot[int]) -> list[str]:
    return [note.message for note in pilot.app._notifications]


def hint(pilot: Pilot[int]) -> str:
    said: Any = pilot.app.screen.query_one("#hint")
    return str(said.render())


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder one starts from, with a text and what only looks like one."""
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "my-novel.txt").write_text("A fox kept a lantern under the bridge.\n" * 40)
    (folder / "ring").symlink_to("ring")
    (folder / "dangling").symlink_to("gone")
    os.mkfifo(folder / "pipe")
    monkeypatch.chdir(folder)
    return folder


def test_a_path_that_is_no_text_is_refused_where_it_was_typed(tmp_path: Path, here: Path) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await press(pilot, "corpus.open")
        await wait_for(pilot, lambda: isinstance(pilot.app.screen, PickFile))
        await wait_for(pilot, lambda: len(pilot.app.screen.query("#hint")) == 1)
        field = pilot.app.screen.query_one(Input)
        before = hint(pilot)
        for text, complaint in PATHS:
            pilot.app.screen.query_one("#hint").update(before)  # type: ignore[attr-defined]
            field.focus()
            field.value = text
            await pilot.press("enter")
            await wait_for(pilot, lambda c=complaint: c in hint(pilot), f"{complaint} of {text[:40]!r}")  # type: ignore[misc]
            assert isinstance(pilot.app.screen, PickFile) and len(hint(pilot)) < 300
        assert "\x1b" not in screen_text(pilot.app) and not told(pilot)
        assert all(row.used is None for row in world.corpora.rows())

    watch(tmp_path, story)


def test_a_text_that_cannot_be_learned_is_not_trained_on_and_says_why(tmp_path: Path, here: Path) -> None:
    trainers = Trainers()

    async def story(pilot: Pilot[int], world: World) -> None:
        for number, (data, complaint) in enumerate(TEXTS):
            path = here / f"odd-{number}.txt"
            path.write_bytes(data)
            world.starter.start(world.corpora.add(path), minutes=1)
            await wait_for(pilot, lambda: world.starter.snapshot.state == "failed", f"the end of {number}")
            message = world.starter.snapshot.message
            assert complaint in message and "defect" not in message and "Traceback" not in message, number
            await wait_for(pilot, lambda m=message: not world.starter.busy)  # type: ignore[misc]
            assert pilot.app.current_mode == "corpus"
        assert trainers.requests == []
        assert not [path for part in ("runs", "corpora") for path in (tmp_path / "data" / part).rglob("*")]

    watch(tmp_path, story, facts=ScriptedFacts(), launch=trainers)


def test_a_pasted_text_that_is_none_is_refused_and_stays_in_its_field(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await press(pilot, "corpus.paste")
        await wait_for(pilot, lambda: isinstance(pilot.app.screen, PasteText))
        await wait_for(pilot, lambda: len(pilot.app.screen.query("#hint")) == 1)
        dialog = pilot.app.screen
        assert isinstance(dialog, PasteText)
        for text, complaint in PASTED:
            dialog.answer(text, "")
            await wait_for(pilot, lambda c=complaint: c in hint(pilot), complaint)  # type: ignore[misc]
            assert pilot.app.screen is dialog
        assert not world.corpora.pasted_dir.exists()

    watch(tmp_path, story)


def damaged_runs(runs: Path) -> Iterator[tuple[str, Path]]:
    """A run for each damage: its name and what is damaged."""
    for number, (name, make) in enumerate(DAMAGES):
        run = died_run(runs, f"run-{number:02}", 8)
        path: Path = getattr(run.folder, name)
        path.unlink(missing_ok=True)
        make(path)
        yield run.name, path


def test_a_damaged_run_is_listed_and_opened_and_says_what_is_wrong_with_it(tmp_path: Path) -> None:
    runs = tmp_path / "data" / "runs"
    damaged = dict(damaged_runs(runs))
    sound = finished_run(runs, "sound", 8)
    world = scripted_world(tmp_path)
    before = files_in(runs)

    async def story(pilot: Pilot[int]) -> None:
        await wait_for(pilot, lambda: world.shelf.complete and len(world.shelf.rows) == len(damaged) + 1)
        await wait_for(pilot, lambda: pilot.app.screen.query_one(RunTable).row_count == len(damaged) + 1)
        for name, path in damaged.items():
            world.chosen_run = name
            pilot.app.switch_mode("train")
            await wait_for(pilot, lambda n=name: world.picture(n).state == "damaged", f"the damage of {name}")  # type: ignore[misc]
            message = world.picture(name).message
            assert str(path) in message and "Traceback" not in message
            assert len(pilot.app.screen_stack) == 1  # no dialog about a defect
        world.chosen_run = sound.name
        await wait_for(pilot, lambda: world.picture(sound.name).state == "done")

    drive(playground(world, "runs"), story)
    assert files_in(runs) == before


@pytest.mark.parametrize(("action", "text"), LONG, ids=[action for action, _ in LONG])
def test_a_label_or_note_beyond_all_measure_is_refused(tmp_path: Path, action: str, text: str) -> None:
    run = finished_run(tmp_path / "data" / "runs", "tales", 8)
    world = scripted_world(tmp_path)

    async def story(pilot: Pilot[int]) -> None:
        await wait_for(pilot, lambda: pilot.app.screen.query_one(RunTable).row_count == 1)
        await press(pilot, f"runs.{action}")
        await wait_for(pilot, lambda: isinstance(pilot.app.focused, Input | TextArea))
        field = pilot.app.focused
        if isinstance(field, Input):
            field.value = text
        else:
            field.text = text
            await pilot.press("tab")
        await pilot.press("enter")
        refused = pilot.app.screen.query_one("#refused", Static)
        await wait_for(pilot, lambda: "at most" in str(refused.content), "the refusal")
        assert not told(pilot) and (field.value if isinstance(field, Input) else field.text) == text
        assert not run.folder.meta.exists()

    drive(playground(world, "runs"), story)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


Patch = pytest.MonkeyPatch


@contextmanager
def at_a_terminal(patch: Patch) -> Iterator[tuple[Terminal, Terminal]]:
    """Pretends that this process stands at one; what is written to its stdout and stderr."""
    with patch.context() as patched:
        out, err = Terminal(), Terminal()
        patched.setattr("sys.stdin", Terminal())
        patched.setattr("sys.stdout", out)
        patched.setattr("sys.stderr", err)
        patched.setenv("TERM", "xterm-256color")
        yield out, err
        gc.enable()  # the command switches it off, for a process that is its own


@pytest.mark.parametrize("word", WORDS, ids=lambda word: ascii(word)[:30])
def test_a_word_that_means_nothing_is_told_before_the_screen_is_touched(
    word: str, home: Path, tmp_path: Path, monkeypatch: Patch
) -> None:
    monkeypatch.chdir(tmp_path)
    with at_a_terminal(monkeypatch) as (out, said):
        assert command.main([word]) == 2
    err = said.getvalue()
    assert out.getvalue() == ""
    assert err.startswith("error: there is no run, file or catalogue text called ")
    assert err.count("\n") == 1 and err.rstrip("\n").isprintable() and "Traceback" not in err
    assert not home.exists()


PLACES: dict[str, tuple[Callable[[Patch], object], str]] = {
    "a home that is no whole path": (lambda patch: patch.setenv("TINYGPT_HOME", "relative"), "not an absolute folder"),
    "a terminal that cannot draw": (lambda patch: patch.setenv("TERM", "dumb"), "this terminal cannot draw"),
    "a terminal that is none": (lambda patch: patch.setenv("TERM", ""), "this terminal cannot draw"),
    "no terminal": (lambda patch: patch.setattr("sys.stdout", io.StringIO()), "needs a terminal"),
    "nobody at the keys": (lambda patch: patch.setattr("sys.stdin", io.StringIO()), "needs a terminal"),
}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_a_place_where_it_cannot_run_is_told_in_a_sentence(place: str, monkeypatch: Patch) -> None:
    given, complaint = PLACES[place]
    with at_a_terminal(monkeypatch) as (_, said), monkeypatch.context() as patch:
        given(patch)
        assert command.main([]) == 2
    err = said.getvalue()
    assert err.startswith("error: ") and complaint in err and err.count("\n") == 1


def test_the_tables_hold_at_least_three_hundred_bad_inputs() -> None:
    from tests.tinygpt_tui import (
        test_error_table,
        test_error_table_files,
        test_error_table_numbers,
        test_interface_errors,
    )

    commands = [
        len(part.TABLE) for part in (test_error_table, test_error_table_files, test_error_table_numbers)
    ]
    interface = [test_interface_errors.COUNT, COUNT + len(PLACES)]
    print(json.dumps({"command line": sum(commands), "interface": sum(interface)}))
    assert sum(commands) >= 300 and sum(interface) >= 200
