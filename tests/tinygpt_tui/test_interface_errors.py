"""Whatever a person types into a setting or a knob, the interface says in one sentence what is wrong and changes nothing: tables of bad inputs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from textual import events
from textual.pilot import Pilot
from textual.widgets import Input, OptionList

from engine import protocol
from tests.tinygpt_tui.driving import drive, press, wait_for
from tests.tinygpt_tui.fake_player import FakeLink
from tests.tinygpt_tui.play_stage import begin, knob, open_play
from tests.tinygpt_tui.scripted_world import playground, scripted_world
from tinygpt_tui.world import World

Story = Callable[[Pilot[int], World], Awaitable[None]]

# What cannot be said of any number, and then what lies outside of each.
NO_NUMBERS = ("", "x", "nan", "inf", "-inf", "1,5", "1e999", "0x1", "1_0", "True", "[red]1[/red]", "１")
OUTSIDE = {
    "train.seed": ("-1", "1.5", "9223372036854775808"),
    "train.threads": ("-1", "1025", "1.5"),
    "train.sample_chars": ("-1", "100001", "9" * 50),
    "sample.temperature": ("-1", "0.001", "5.1", "1e-40", "1e40"),
    "sample.top_k": ("-1", "1.5", "9" * 50),
    "sample.top_p": ("-0.1", "1.1"),
    "sample.min_p": ("-0.1", "1.1"),
    "sample.repetition": ("-1", "1e9"),
    "sample.chars": ("0", "-1", "10000001"),
    "ui.speed": ("-1", "100001", "1.5"),
}
TIMES = ("", "soon", "0", "0s", "-1", "1e3", "9999999h", "1h30", "3 m", "1m1h", "nan", "１m")
SETTINGS = (
    *((key, text) for key, outside in OUTSIDE.items() for text in (*NO_NUMBERS, *outside)),
    *(("train.time", text) for text in TIMES),
)
KEYS = (
    ("app.quit", "ctr+x", "'ctr+x' is no key"),
    ("app.quit", "ctrl+", "'ctrl+' is no key"),
    ("app.quit", "a,,b", "a key is missing between the commas"),
    ("play.stop", "bananas", "'bananas' is no key"),
    ("play.stop", "[red]", "'[red]' is no key"),
)
KNOBS = {
    "temperature": ("9", "-1", "0.001", "1e-40", "1e40", "nan", "inf", "hot", "1.5.5"),
    "top_k": ("-1", "1.5", "9" * 30, "nan", "x", "1e3"),
    "top_p": ("1.5", "-0.1", "nan", "x", "inf"),
    "min_p": ("2", "-1", "nan", "x", "inf"),
    "repetition": ("-1", "1e9", "nan", "x", "inf"),
    "seed": ("-1", "18446744073709551616", "1.5", "x", "nan"),
    "speed": ("0", "-1", "100001", "nan", "inf", "fast"),
}
FILES = (
    (b"[train\ntime = 3m", "line 1, column 7"),
    (b"[sample]\ntemperature = 99\n", "it must be a number"),
    (b"[sample]\ntemperature = nan\n", "it must be a number"),
    (b"[train]\nseed = true\n", "it must be a whole number"),
    (b"[train]\nseed = 1.0\n", "it must be a whole number"),
    (b"[train]\narch = 3\n", "it must be one of"),
    (b"train = 3\n", "it must be a table"),
    (b"[ui.keys]\n'app.quit' = 3\n", "it must be a text"),
    (b"[train]\ntime = '\xff'\n", "it is not UTF-8"),
    (b"\0", "line 1, column 1"),
    (b"x = " + b"[" * 100_000, "nested too deeply"),
    (b"x = 1\n" * 200_000, "longer than 1,000,000 bytes"),
    (b"version = 999\n", "is of version 999"),
    (b"version = true\n", "version is"),
)
COUNT = len(SETTINGS) + len(KEYS) + sum(map(len, KNOBS.values())) + len(FILES)


def open_settings(tmp_path: Path, story: Story) -> None:
    world = scripted_world(tmp_path, environment={})

    async def go(pilot: Pilot[int]) -> None:
        await wait_for(pilot, lambda: isinstance(pilot.app.focused, OptionList))
        await story(pilot, world)

    drive(playground(world, "settings"), go)


async def asks(pilot: Pilot[int], key: str) -> Input:
    """Opens the dialog of a setting; the line to type into."""
    rows = pilot.app.screen.query_one("#rows", OptionList)
    rows.highlighted = [option.id for option in rows.options].index(key)
    await press(pilot, "settings.change")
    await wait_for(pilot, lambda: isinstance(pilot.app.focused, Input))
    field = pilot.app.focused
    assert isinstance(field, Input)
    return field


async def refused(pilot: Pilot[int], field: Input, text: str, complaint: str) -> None:
    """Enters a text; the dialog stays, keeps it, and says in a sentence why."""
    said: Any = pilot.app.screen.query_one("#refused")
    said.update("")
    field.value = text
    field.post_message(Input.Submitted(field, field.value))
    await wait_for(
        pilot, lambda: complaint in " ".join(str(said.render()).split()), f"{complaint} of {text!r}"
    )
    assert pilot.app.focused is field and field.value == text
    assert "Traceback" not in str(said.render()) and not pilot.app._notifications


async def closed(pilot: Pilot[int]) -> None:
    await pilot.press("escape")
    await wait_for(pilot, lambda: len(pilot.app.screen_stack) == 1)


def test_a_value_that_a_setting_cannot_have_is_refused_in_its_dialog(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        for key, texts in groupby(SETTINGS, lambda row: row[0]):
            before, field = world.settings.value(key), await asks(pilot, key)
            for _, text in texts:
                await refused(pilot, field, text, f"{key} is ")
                assert world.settings.value(key) == before
            await closed(pilot)
        assert not list(tmp_path.rglob("config.toml"))

    open_settings(tmp_path, story)


def test_a_key_that_nobody_can_press_is_refused_in_its_dialog(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        for action, text, complaint in KEYS:
            chosen = await asks(pilot, "ui.keys")
            chosen.value = action
            await pilot.press("enter")
            await wait_for(pilot, lambda: pilot.app.screen.query("#refused"), "the line for keys")
            await wait_for(pilot, lambda: isinstance(pilot.app.focused, Input))
            field = pilot.app.focused
            assert isinstance(field, Input)
            await refused(pilot, field, text, complaint)
            await closed(pilot)
        assert world.settings.value("ui.keys") == {} and not list(tmp_path.rglob("config.toml"))

    open_settings(tmp_path, story)


def test_a_value_that_a_knob_cannot_have_is_refused_and_the_text_is_written_on(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World, link: FakeLink) -> None:
        await begin(pilot, world, link)
        for name, texts in KNOBS.items():
            one = knob(pilot, name)
            before, asked = one.value, len(link.sent)
            one.focus()
            await pilot.pause()
            for text in texts:
                one.post_message(events.Paste(text))
                one.post_message(events.Key("enter", "\r"))
                await wait_for(pilot, lambda: told(pilot), f"a word on {text!r} for {name}")
                (sentence,) = told(pilot)
                assert sentence.startswith(f"The setting {one.spec.label} must be ") and sentence.endswith(
                    "."
                )
                assert "▏" in one.render().plain and one.value == before
                pilot.app.clear_notifications()
            assert not [r for r in link.sent[asked:] if isinstance(r, protocol.Set | protocol.Pace)]
            await pilot.press("escape")
        assert world.desk.state == "writing"

    open_play(tmp_path, story)


def told(pilot: Pilot[int]) -> list[str]:
    return [note.message for note in pilot.app._notifications]


@pytest.mark.parametrize(("data", "complaint"), FILES, ids=range(len(FILES)))
def test_a_settings_file_that_cannot_be_used_is_told_and_stays_as_it_is(
    tmp_path: Path, data: bytes, complaint: str
) -> None:
    file = scripted_world(tmp_path).paths.config_file
    file.parent.mkdir(parents=True)
    file.write_bytes(data)

    async def story(pilot: Pilot[int], world: World) -> None:
        await wait_for(pilot, lambda: any(complaint in message for message in told(pilot)), complaint)
        pilot.app.clear_notifications()
        await refused(pilot, await asks(pilot, "train.seed"), "5", complaint)
        assert world.settings.value("train.seed") == 1
        assert file.read_bytes() == data and list(file.parent.iterdir()) == [file]

    open_settings(tmp_path, story)
