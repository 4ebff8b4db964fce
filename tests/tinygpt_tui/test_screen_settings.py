"""The Settings screen: the schema as a list, each value changed by keys, checked, saved at once, and in force at once."""

from __future__ import annotations

import errno
import tomllib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, OptionList

from engine import storage
from tests.tinygpt_tui.driving import check_picture, check_text, drive, press, screen_text, wait_for
from tests.tinygpt_tui.scripted_world import playground, scripted_world
from tinygpt_tui.app import Playground
from tinygpt_tui.settings import SCHEMA
from tinygpt_tui.world import World

Story = Callable[[Pilot[int], World], Awaitable[None]]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The settings file; its folder is there already, it is not."""
    path = scripted_world(tmp_path).paths.config_file
    path.parent.mkdir(parents=True)
    return path


def tell(tmp_path: Path, story: Story, size: tuple[int, int] = (120, 40), **parts: Any) -> None:
    """Opens Settings and tells the story."""
    world = scripted_world(tmp_path, **{"environment": {}, **parts})

    async def go(pilot: Pilot[int]) -> None:
        await shown(pilot, "time  ")
        await wait_for(pilot, lambda: isinstance(pilot.app.focused, OptionList))
        await story(pilot, world)

    drive(playground(world, "settings"), go, size)


async def shown(pilot: Pilot[int], *texts: str) -> None:
    await wait_for(pilot, lambda: all(text in screen_text(pilot.app) for text in texts), " and ".join(texts))


async def told(pilot: Pilot[int], text: str) -> None:
    await wait_for(pilot, lambda: any(text in toast.message for toast in pilot.app._notifications), text)


def rows(pilot: Pilot[int]) -> OptionList:
    return pilot.app.screen_stack[0].query_one("#rows", OptionList)


async def choose(pilot: Pilot[int], key: str) -> None:
    """Moves to a setting by the arrow keys."""
    keys = [option.id for option in rows(pilot).options]
    while (at := rows(pilot).highlighted or 0) != (wanted := keys.index(key)):
        await pilot.press("down" if at < wanted else "up")


async def change(pilot: Pilot[int], key: str, text: str) -> None:
    """Gives a setting another value as a person does: Enter, the value, Enter."""
    await choose(pilot, key)
    await press(pilot, "settings.change")
    await wait_for(pilot, lambda: isinstance(pilot.app.focused, Input))
    await pilot.press(*text, "enter")  # typed over the old value, which is selected
    await wait_for(pilot, lambda: len(pilot.app.screen_stack) == 1)


async def refused(pilot: Pilot[int], key: str, text: str, complaint: str) -> None:
    """Gives a setting a value that it cannot have; the dialog says so, and is left with escape."""
    await choose(pilot, key)
    await press(pilot, "settings.change")
    await wait_for(pilot, lambda: isinstance(pilot.app.focused, Input))
    await pilot.press(*text, "enter")
    await wait_for(pilot, lambda: complaint in " ".join(said_in_dialog(pilot).split()), complaint)
    assert isinstance(pilot.app.focused, Input) and pilot.app.focused.value == text
    assert not pilot.app._notifications
    await pilot.press("escape")
    await wait_for(pilot, lambda: len(pilot.app.screen_stack) == 1)


def value_in_row(pilot: Pilot[int], key: str) -> str:
    """What the row of a setting says it is; names and values have columns of their own."""
    return str(rows(pilot).get_option(key).prompt)[18:37].strip()


def said_in_dialog(pilot: Pilot[int]) -> str:
    about: Any = pilot.app.screen.query_one("#refused")
    return str(about.render())


def test_every_row_of_the_schema_is_there_with_its_value_and_its_help(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        assert [option.id for option in rows(pilot).options if option.id] == list(SCHEMA)
        for found in SCHEMA.values():
            await shown(pilot, found.key.partition(".")[2], found.about.help[:60])
        await shown(pilot, "0: by measurement", "none of your own")
        for key in SCHEMA:
            await choose(pilot, key)
            await shown(pilot, "now from: default")
            assert f"default {value_in_row(pilot, key)}; now from" in screen_text(
                pilot.app
            )  # in the same words
            if SCHEMA[key].env:
                await shown(pilot, SCHEMA[key].env)
        assert (value_in_row(pilot, "sample.top_k"), value_in_row(pilot, "ui.keys")) == (
            "0",
            "none of your own",
        )

    tell(tmp_path, story, (200, 60))


@pytest.mark.parametrize(
    ("key", "typed", "value"),
    [
        ("train.arch", "classic", "classic"),
        ("train.time", "3m", "3m"),
        ("train.seed", "42", 42),
        ("sample.temperature", "0.65", 0.65),
        ("sample.top_k", "40", 40),
        ("output.color", "never", "never"),
    ],
)
def test_a_value_of_each_kind_is_changed_saved_and_in_force(
    tmp_path: Path, file: Path, key: str, typed: str, value: object
) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await change(pilot, key, typed)
        await told(pilot, f"{key} is {typed}")
        section, name = key.split(".")
        assert tomllib.loads(file.read_text())[section] == {name: value}
        assert world.settings.value(key) == value
        await shown(pilot, "file", "now from: file")
        assert rows(pilot).options[rows(pilot).highlighted or 0].id == key  # and the cursor stays

    tell(tmp_path, story)


@pytest.mark.parametrize(
    ("key", "typed", "complaint"),
    [
        ("train.time", "soon", "train.time is 'soon', but it must be a length of time"),
        ("sample.temperature", "hot", "it must be a number"),
        ("sample.temperature", "99", "it must be a number: 0.01 to 5"),
        ("train.seed", "1.5", "it must be a whole number"),
    ],
)
def test_what_a_setting_cannot_be_is_refused_where_it_was_typed_and_can_be_mended(
    tmp_path: Path, file: Path, key: str, typed: str, complaint: str
) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        before = world.settings.value(key)
        await refused(pilot, key, typed, complaint)
        assert world.settings.value(key) == before and not file.exists()

    tell(tmp_path, story)


def test_a_choice_begins_at_what_is_in_force_and_esc_changes_nothing(tmp_path: Path, file: Path) -> None:
    file.write_text('[train]\narch = "classic"\n')

    async def story(pilot: Pilot[int], world: World) -> None:
        await choose(pilot, "train.arch")
        await press(pilot, "settings.change")
        await wait_for(pilot, lambda: isinstance(pilot.app.focused, Input))
        assert pilot.app.screen.query_one("#options", OptionList).highlighted == 1
        await pilot.press("down", "escape")
        await wait_for(pilot, lambda: len(pilot.app.screen_stack) == 1)
        assert world.settings.value("train.arch") == "classic"

    tell(tmp_path, story)


def test_a_setting_is_changed_by_mouse(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await pilot.click("#rows", offset=(5, 2))
        await shown(pilot, "─ train.arch ─")
        await pilot.click("#options", offset=(2, 1))
        await wait_for(pilot, lambda: world.settings.value("train.arch") == "classic")

    tell(tmp_path, story)


@pytest.mark.parametrize("key", [0, 1])
def test_a_setting_goes_back_to_its_default_and_comments_stay(tmp_path: Path, file: Path, key: int) -> None:
    file.write_text("# mine\n[sample]\ntemperature = 0.5 # cool\nchars = 9\n")

    async def story(pilot: Pilot[int], world: World) -> None:
        await choose(pilot, "sample.temperature")
        await shown(pilot, "now from: file")
        await press(pilot, "settings.default", key)
        await wait_for(pilot, lambda: world.settings.value("sample.temperature") == 0.8)
        await shown(pilot, "now from: default")
        assert file.read_text() == "# mine\n[sample]\nchars = 9\n"

    tell(tmp_path, story)


def test_own_keys_are_given_action_by_action_act_at_once_and_are_taken_back(
    tmp_path: Path, file: Path
) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await choose(pilot, "ui.keys")
        await press(pilot, "settings.change")
        await wait_for(pilot, lambda: isinstance(pilot.app.focused, Input))
        await pilot.press(*"settings.file", "enter")
        await shown(pilot, "─ settings.file ─", "Its keys, separated by commas")
        await wait_for(pilot, lambda: isinstance(pilot.app.focused, Input))
        await pilot.press(*"W", "enter")
        await shown(pilot, "1 of your own")
        assert tomllib.loads(file.read_text())["ui"]["keys"] == {"settings.file": "W"}
        await pilot.press("W")
        await told(pilot, f"The settings file is {file}")
        await press(pilot, "settings.default")
        await shown(pilot, "none of your own")
        assert world.settings.value("ui.keys") == {}

    tell(tmp_path, story)


def test_a_mistake_in_an_own_key_is_told(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await choose(pilot, "ui.keys")
        await press(pilot, "settings.change")
        await wait_for(pilot, lambda: isinstance(pilot.app.focused, Input))
        await pilot.press(*"settings.file", "enter")
        await shown(pilot, "─ settings.file ─")
        await wait_for(pilot, lambda: isinstance(pilot.app.focused, Input))
        await pilot.press("1", "enter")
        await told(pilot, "the key 1 does both app.corpus and settings.file")

    tell(tmp_path, story)


def test_a_key_that_nobody_can_press_is_refused_where_it_was_typed(tmp_path: Path, file: Path) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await choose(pilot, "ui.keys")
        await press(pilot, "settings.change")
        await wait_for(pilot, lambda: isinstance(pilot.app.focused, Input))
        await pilot.press(*"app.quit", "enter")
        await shown(pilot, "─ app.quit ─")
        await wait_for(pilot, lambda: isinstance(pilot.app.focused, Input))
        await pilot.press(*"ctr", "plus", "x", "enter")
        await wait_for(
            pilot, lambda: "app.quit keeps ctrl+q, since 'ctr+x' is no key" in said_in_dialog(pilot)
        )
        assert world.settings.value("ui.keys") == {}
        await pilot.press("left", "left", "l", "enter")
        await wait_for(pilot, lambda: world.settings.value("ui.keys") == {"app.quit": "ctrl+x"})

    tell(tmp_path, story)


def test_a_theme_is_chosen_among_all_there_are_and_used_at_once(tmp_path: Path, file: Path) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await change(pilot, "ui.theme", "nord")
        await wait_for(pilot, lambda: pilot.app.theme == "nord")
        assert tomllib.loads(file.read_text())["ui"]["theme"] == "nord"
        await change(pilot, "ui.theme", "auto")
        await wait_for(pilot, lambda: pilot.app.theme == "tinygpt-dark")

    tell(tmp_path, story)


def test_where_the_file_is_can_be_asked(tmp_path: Path, file: Path) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await press(pilot, "settings.file")
        await told(pilot, f"The settings file is {file}")

    tell(tmp_path, story)


def test_what_the_environment_holds_is_said_and_not_changed(tmp_path: Path, file: Path) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await choose(pilot, "train.time")
        await shown(pilot, "environment", "now from: environment")
        await refused(
            pilot, "train.time", "5m", "The environment variable TINYGPT_TRAIN_TIME holds train.time"
        )
        await press(pilot, "settings.default")
        assert world.settings.value("train.time") == "9m" and not file.exists()

    tell(tmp_path, story, environment={"TINYGPT_TRAIN_TIME": "9m"})


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[train\ntime = 3m", "line 1, column 7"),
        ("[sample]\ntemperature = 99\n", "it must be a number"),
        ('version = 999\n[train]\ntime = "7m"\n', "is of version 999"),
    ],
)
def test_a_file_that_is_damaged_or_newer_is_told_and_never_written(
    tmp_path: Path, file: Path, text: str, complaint: str
) -> None:
    file.write_text(text)

    async def story(pilot: Pilot[int], world: World) -> None:
        await told(pilot, complaint)
        assert world.settings.value("train.time") == "2m"
        pilot.app.clear_notifications()
        await refused(pilot, "train.time", "5m", complaint)
        await press(pilot, "settings.default")
        await press(pilot, "app.theme")
        await wait_for(pilot, lambda: pilot.app.theme == "tinygpt-light")  # for now, though it cannot be kept
        assert file.read_text() == text and list(file.parent.iterdir()) == [file]

    tell(tmp_path, story)


def test_a_file_is_replaced_whole_or_not_at_all(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text('[train]\ntime = "7m"\n')

    class Full(storage.Ops):
        def replace(self, *paths: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    async def story(pilot: Pilot[int], world: World) -> None:
        monkeypatch.setattr(storage, "ops", Full())
        await refused(pilot, "train.time", "5m", "No space is left on the disk")
        monkeypatch.undo()
        assert file.read_text() == '[train]\ntime = "7m"\n' and list(file.parent.iterdir()) == [file]
        assert world.settings.value("train.time") == "7m"

    tell(tmp_path, story)


def test_a_value_can_do_nothing_to_the_terminal(tmp_path: Path, file: Path) -> None:
    file.write_text('[ui]\ntheme = "\\u001b[31m[bold]a\\u009b2J"\n')

    async def story(pilot: Pilot[int], world: World) -> None:
        await told(pilot, "There is no theme called ␛[31m[bold]a")
        await shown(pilot, "␛[31m[bold]a")
        assert not set(screen_text(pilot.app)) & {"\x1b", "\x9b"}

    tell(tmp_path, story)


def test_settings_go_on_working_after_the_screen_was_made_anew(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        app = pilot.app
        assert isinstance(app, Playground)
        before = app.screen
        app.call_later(app._reload)
        await wait_for(pilot, lambda: app.current_mode == "settings" and app.screen is not before)
        await wait_for(pilot, lambda: isinstance(app.focused, OptionList))
        await change(pilot, "train.time", "5m")
        await told(pilot, "train.time is 5m")

    tell(tmp_path, story)


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
def test_the_screen_looks_as_stored(tmp_path: Path, file: Path, size: tuple[int, int]) -> None:
    _frozen(file)

    async def story(pilot: Pilot[int], world: World) -> None:
        await choose(pilot, "sample.temperature")
        await check_text(pilot, f"settings-{size[0]}x{size[1]}")

    tell(tmp_path, story, size)


@pytest.mark.parametrize("look", ["dark", "light", "ansi", "nocolor"])
def test_the_screen_is_drawn_as_stored(
    tmp_path: Path, file: Path, look: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _frozen(file)
    if look == "nocolor":
        monkeypatch.setenv("NO_COLOR", "1")

    async def story(pilot: Pilot[int], world: World) -> None:
        pilot.app.theme = {"light": "tinygpt-light", "ansi": "ansi-dark"}.get(look, "tinygpt-dark")
        await choose(pilot, "sample.temperature")
        await check_picture(pilot, f"settings-{look}")

    tell(tmp_path, story)


def _frozen(file: Path) -> None:
    """What the stored pictures show: two values of one's own."""
    file.write_text('[train]\ntime = "5m"\n[sample]\ntemperature = 0.65\n')
