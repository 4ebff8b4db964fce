"""The two dialogs of Corpus for a text of one's own: a file or folder by its path or from the tree, and a text that is pasted."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from textual import events
from textual.keys import _character_to_key
from textual.pilot import Pilot
from textual.widgets import Button, DirectoryTree, Input, TextArea

from tests.tinygpt_tui.driving import check_text, press, screen_text, wait_for
from tests.tinygpt_tui.test_screen_corpus import TALE, chosen, shown, watch
from tinygpt_tui.screens.pick_file import PasteText, PickFile
from tinygpt_tui.world import World

HOSTILE_NAME = "\x1b[31m[red]x[b]\n\u202e.txt"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder and the home of a person who has a novel and a folder of letters."""
    home = Path(os.path.realpath(tmp_path)) / "person"
    folder = home / "texts"
    (folder / "letters").mkdir(parents=True)
    (folder / "letters" / "first.txt").write_text(TALE * 30)
    (folder / "my-novel.txt").write_text(TALE * 40)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(home))
    return folder


async def open_picker(pilot: Pilot[int]) -> DirectoryTree:
    await press(pilot, "corpus.open")
    await wait_for(pilot, lambda: isinstance(pilot.app.screen, PickFile))
    await shown(pilot, "a file or folder of your own", "▤ my-novel.txt", "▸ letters")
    return pilot.app.screen.query_one(DirectoryTree)


async def closed(pilot: Pilot[int]) -> None:
    await wait_for(pilot, lambda: getattr(pilot.app.screen, "mode", "") == "corpus", "the dialog to close")


async def type_path(pilot: Pilot[int], path: str) -> None:
    field = pilot.app.screen.query_one(Input)
    field.focus()
    field.value = path
    await pilot.press("enter")


def say(pilot: Pilot[int]) -> str:
    hint: Any = pilot.app.screen.query_one("#hint")
    return str(hint.render())


def test_a_file_is_chosen_from_the_tree(tmp_path: Path, here: Path) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        tree = await open_picker(pilot)
        await pilot.press("down", "down")
        await wait_for(pilot, lambda: tree.cursor_node is not None and "novel" in str(tree.cursor_node.label))
        await pilot.press("enter")
        await closed(pilot)
        await shown(pilot, "▤ my-novel.txt", "file 2.84 kB")
        assert chosen(pilot) == str(here / "my-novel.txt") and world.corpora.rows()[0].kind == "file"

    watch(tmp_path, story)


def test_a_folder_opens_in_the_tree_and_is_taken_whole_by_its_button(tmp_path: Path, here: Path) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await open_picker(pilot)
        await pilot.press("down", "enter")
        await shown(pilot, "▾ letters", "▤ first.txt")
        await pilot.press("tab", "tab")
        assert pilot.app.focused is pilot.app.screen.query_one("#folder", Button)
        await pilot.press("enter")
        await closed(pilot)
        await shown(pilot, "▸ letters")
        assert chosen(pilot) == str(here / "letters") and world.corpora.rows()[0].kind == "folder"

    watch(tmp_path, story)


def test_the_button_takes_the_folder_of_a_file(tmp_path: Path, here: Path) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        tree = await open_picker(pilot)
        await pilot.press("down", "down")
        await wait_for(pilot, lambda: tree.cursor_node is not None and "novel" in str(tree.cursor_node.label))
        await pilot.click("#folder")
        await closed(pilot)
        assert chosen(pilot) == str(here)

    watch(tmp_path, story)


def test_the_folder_above_is_a_key_and_a_button_away(tmp_path: Path, here: Path) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        tree = await open_picker(pilot)
        await shown(pilot, "─ ~/texts ─")
        await pilot.press("down", "backspace")
        await shown(pilot, "▸ texts", "─ ~ ─")
        await pilot.click("#up")
        await wait_for(pilot, lambda: tree.path == here.parent.parent)
        await shown(pilot, "▸ person")

    watch(tmp_path, story)


@pytest.mark.parametrize(
    "typed", ["my-novel.txt", "./my-novel.txt", "~/texts/my-novel.txt", " {here}/my-novel.txt "]
)
def test_a_path_is_typed(tmp_path: Path, here: Path, typed: str) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await open_picker(pilot)
        await type_path(pilot, typed.format(here=here))
        await closed(pilot)
        assert chosen(pilot) == str(here / "my-novel.txt")

    watch(tmp_path, story)


def test_a_path_is_typed_or_pasted_at_once_into_the_line_that_waits_for_it(
    tmp_path: Path, here: Path
) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await press(pilot, "corpus.open")
        for character in str(here / "my-novel.txt"):  # faster than anybody could look
            pilot.app.post_message(events.Key(_character_to_key(character), character))
        pilot.app.post_message(events.Key("enter", "\r"))
        await wait_for(pilot, lambda: any(row.used for row in world.corpora.rows()), "the path to be taken")
        await closed(pilot)
        assert chosen(pilot) == str(here / "my-novel.txt")
        await open_picker(pilot)
        pilot.app.post_message(events.Paste(str(here / "letters")))
        await pilot.press("enter")
        await closed(pilot)
        assert chosen(pilot) == str(here / "letters")

    watch(tmp_path, story)


def test_what_is_typed_fast_stays_in_order_and_taking_it_back_leads_to_no_other_folder(
    tmp_path: Path, here: Path
) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        tree = await open_picker(pilot)
        field = pilot.app.screen.query_one(Input)
        for character in "/not/there.txt":
            pilot.app.post_message(events.Key(_character_to_key(character), character))
        for _ in range(25):
            pilot.app.post_message(events.Key("backspace", "\x7f"))
        for character in "my-novel.txt":
            pilot.app.post_message(events.Key(_character_to_key(character), character))
        await pilot.press("end")  # after all of them
        assert field.value == "my-novel.txt" and Path(tree.path) == here
        assert pilot.app.focused is field

    watch(tmp_path, story)


def test_what_is_typed_or_pasted_in_the_tree_goes_to_the_line(tmp_path: Path, here: Path) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        tree = await open_picker(pilot)
        tree.focus()
        await pilot.press("tilde", "slash", *"texts", "slash", *"letters", "enter")
        await closed(pilot)
        assert chosen(pilot) == str(here / "letters")
        tree = await open_picker(pilot)
        tree.focus()
        pilot.app.post_message(events.Paste(str(here / "my-novel.txt")))
        field = pilot.app.screen.query_one(Input)
        await wait_for(pilot, lambda: field.value == str(here / "my-novel.txt") and field.has_focus)

    watch(tmp_path, story)


def test_where_the_current_folder_is_gone_one_begins_at_home_and_whole_paths_work(
    tmp_path: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()

    async def story(pilot: Pilot[int], world: World) -> None:
        await press(pilot, "corpus.open")
        await wait_for(pilot, lambda: isinstance(pilot.app.screen, PickFile))
        await shown(pilot, "▸ texts", "─ ~ ─")
        await type_path(pilot, "my-novel.txt")
        await wait_for(
            pilot, lambda: "The folder you started from is gone: give the whole path" in say(pilot)
        )
        await type_path(pilot, str(here / "my-novel.txt"))
        await closed(pilot)
        assert world.corpora.paste("a text " * 9)
        await press(pilot, "corpus.start")
        await wait_for(pilot, lambda: world.shelf.rows)

    watch(tmp_path, story)


def test_what_cannot_be_taken_is_said_and_need_not_be_typed_again(tmp_path: Path, here: Path) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await open_picker(pilot)
        for typed, why in (
            ("my-nowel.txt", "my-nowel.txt cannot be opened (no such file or directory)"),
            ("x" * 5000, "cannot be opened (file name too long)"),
            ("~nobody-of-this-name/a.txt", "cannot be opened (no such file or directory)"),
            ("/dev/null", "neither a file nor a folder"),
            ("[/red]\x1b[2J\u202e", "[/red][2J cannot be opened"),
        ):
            await type_path(pilot, typed)
            await wait_for(pilot, lambda why=why: why in say(pilot), why)  # type: ignore[misc]
            assert isinstance(pilot.app.screen, PickFile) and len(say(pilot)) < 200
        assert "\x1b" not in screen_text(pilot.app)
        await type_path(pilot, "my-novel.txt")
        await closed(pilot)
        assert len([row for row in world.corpora.rows() if row.used is not None]) == 1

    watch(tmp_path, story)


def test_escape_chooses_nothing_and_an_empty_path_waits(tmp_path: Path, here: Path) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await open_picker(pilot)
        await type_path(pilot, "  ")
        assert isinstance(pilot.app.screen, PickFile)
        await pilot.press("escape")
        await closed(pilot)
        assert chosen(pilot) == "tales" and all(row.used is None for row in world.corpora.rows())

    watch(tmp_path, story)


def test_hostile_names_are_shown_as_names_and_can_be_chosen(tmp_path: Path, here: Path) -> None:
    (here / HOSTILE_NAME).write_text(TALE)
    (here / ("y" * 250)).write_text(TALE)
    (here / ("[" * 9)).mkdir()

    async def story(pilot: Pilot[int], world: World) -> None:
        tree = await open_picker(pilot)
        await shown(pilot, "▤ ␛[31m[red]x[b]␊�.txt", "▤ yyyyyyyyyy", "▸ [[[[[[[[[")
        assert not {"\x1b", "\u202e"} & set(screen_text(pilot.app))
        node = next(node for node in tree.root.children if node.data and node.data.path.name == HOSTILE_NAME)
        tree.move_cursor(node)
        tree.focus()
        await pilot.press("enter")
        await closed(pilot)
        assert chosen(pilot) == str(here / HOSTILE_NAME)
        await shown(pilot, "▤ ␛[31m[red]x[b]␊�.txt")

    watch(tmp_path, story)


def test_names_that_are_no_text_can_be_chosen_and_are_remembered(tmp_path: Path, here: Path) -> None:
    odd = os.fsencode(here) + b"/odd-\xff.txt"
    try:
        Path(os.fsdecode(odd)).write_text(TALE)
    except OSError:
        pytest.skip("this file system takes names in UTF-8 only")

    async def story(pilot: Pilot[int], world: World) -> None:
        await open_picker(pilot)
        await shown(pilot, "▤ odd-�.txt")
        tree = pilot.app.screen.query_one(DirectoryTree)
        tree.move_cursor(next(node for node in tree.root.children if "odd" in str(node.label)))
        tree.focus()
        await pilot.press("enter")
        await closed(pilot)
        assert os.fsencode(chosen(pilot)) == odd
        await shown(pilot, "▤ odd-�.txt")

    watch(tmp_path, story)


def test_a_folder_with_a_hostile_name_can_be_where_one_is(
    tmp_path: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = here / "[" / "red]\x1b[x"
    folder.mkdir(parents=True)
    (folder / "my-novel.txt").write_text(TALE)
    (folder / "letters").mkdir()
    monkeypatch.chdir(folder)

    async def story(pilot: Pilot[int], world: World) -> None:
        await open_picker(pilot)
        await shown(pilot, "▾ red]␛[x", "─ ~/texts/[/red]␛[x ─")
        assert "\x1b" not in screen_text(pilot.app)

    watch(tmp_path, story)


async def open_paste(pilot: Pilot[int]) -> TextArea:
    await press(pilot, "corpus.paste")
    await wait_for(pilot, lambda: isinstance(pilot.app.screen, PasteText))
    await shown(pilot, "paste or type a text", "some thousands of characters")
    return pilot.app.screen.query_one(TextArea)


def test_a_pasted_text_is_kept_exactly_and_chosen(tmp_path: Path) -> None:
    text = "Ein [red]Fuchs[/]\tund \x1b[31mein Reiher\n\n  schwiegen. ✓\n"

    async def story(pilot: Pilot[int], world: World) -> None:
        field = await open_paste(pilot)
        field.text = text
        await shown(pilot, "Ein [red]Fuchs[/]", "␛[31mein Reiher")
        await pilot.press("shift+tab", *"fables", "enter", "tab", "enter")
        await closed(pilot)
        await shown(pilot, "✎ fables")
        assert Path(chosen(pilot)).read_bytes() == text.encode()
        assert Path(chosen(pilot)).parent == world.corpora.pasted_dir

    watch(tmp_path, story)


def test_a_typed_text_is_called_by_its_first_words(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await open_paste(pilot)
        await pilot.press(*"one two", "enter", *"three")
        await pilot.click("#keep")
        await closed(pilot)
        await shown(pilot, "✎ one-two-three")
        assert Path(chosen(pilot)).read_text() == "one two\nthree"

    watch(tmp_path, story)


def test_an_empty_text_is_refused_and_one_that_is_refused_stays_in_its_field(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        field = await open_paste(pilot)
        await pilot.click("#keep")
        await wait_for(pilot, lambda: "There is nothing to keep" in say(pilot))
        field.text = "half a \ud83d character"
        await shown(pilot, "half a � character")
        keep = pilot.app.screen.query_one("#keep", Button)
        await wait_for(pilot, lambda: not keep.has_class("-active"))  # it takes no second press at once
        await pilot.click("#keep")
        await wait_for(pilot, lambda: "holds half a character" in say(pilot))
        assert field.text == "half a \ud83d character"
        await pilot.click("#cancel")
        await closed(pilot)
        assert chosen(pilot) == "tales"

    watch(tmp_path, story)


def test_the_picker_looks_as_stored(tmp_path: Path, here: Path) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await shown(pilot, "bz2      0.37")
        await wait_for(pilot, lambda: "a guess" not in screen_text(pilot.app))
        await open_picker(pilot)
        await check_text(pilot, "pick-file-80x24")

    watch(tmp_path, story, (80, 24))
