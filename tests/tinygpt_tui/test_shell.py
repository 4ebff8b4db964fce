"""The shell around every screen: modes, palette, themes, keys, help, footer, toasts, copying, and how it is left."""

from __future__ import annotations

import base64
import re
import tomllib
from collections.abc import Awaitable, Callable
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from textual.command import CommandPalette
from textual.pilot import Pilot
from textual.widgets import Input, OptionList

from engine import protocol
from tests.tinygpt_tui.driving import check_text, drive, press, screen_text, wait_for
from tests.tinygpt_tui.fake_player import FakeLink
from tests.tinygpt_tui.scripted_run import ScriptedRun, finished_run
from tests.tinygpt_tui.scripted_world import playground, scripted_world
from tinygpt_tui.actions import ACTIONS, actions_of, shown_keys
from tinygpt_tui.app import Playground
from tinygpt_tui.clipboard import OSC_LIMIT, native_commands
from tinygpt_tui.play.history import History
from tinygpt_tui.play.session import Session
from tinygpt_tui.screens.commands import ActionCommands
from tinygpt_tui.screens.help import HelpScreen
from tinygpt_tui.screens.mode_screen import LEAST_HEIGHT, LEAST_WIDTH
from tinygpt_tui.widgets.key_bar import KeyBar
from tinygpt_tui.widgets.prompt import Prompt
from tinygpt_tui.widgets.top_bar import MODES, TopBar
from tinygpt_tui.world import World

Story = Callable[[Pilot[int], World], Awaitable[None]]


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """No program of this desktop is asked to copy anything."""
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "TMUX", "WSL_DISTRO_NAME"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The settings file; its folder is there already, it is not."""
    path = scripted_world(tmp_path).paths.config_file
    path.parent.mkdir(parents=True)
    return path


def tell(
    tmp_path: Path, story: Story, size: tuple[int, int] = (120, 40), mode: str = "runs", **parts: Any
) -> None:
    """Opens a mode in a world of one finished run and tells the story."""
    finished_run(tmp_path / "data" / "runs", steps=4)
    world = scripted_world(tmp_path, **parts)

    async def go(pilot: Pilot[int]) -> None:
        await wait_for(
            pilot, lambda: pilot.app.focused is not None or mode == "welcome" or size[0] < LEAST_WIDTH
        )
        if mode == "runs" and size[0] >= LEAST_WIDTH:
            await wait_for(pilot, lambda: "tales-0" in screen_text(pilot.app), "the list of runs")
        await story(pilot, world)

    drive(playground(world, mode), go, size)


def shell(pilot: Pilot[int]) -> Playground:
    assert isinstance(pilot.app, Playground)
    return pilot.app


async def shown(pilot: Pilot[int], *texts: str) -> None:
    await wait_for(pilot, lambda: all(text in screen_text(pilot.app) for text in texts), " and ".join(texts))


async def told(pilot: Pilot[int], text: str) -> None:
    await wait_for(pilot, lambda: any(text in toast.message for toast in pilot.app._notifications), text)


async def in_mode(pilot: Pilot[int], mode: str) -> None:
    await wait_for(pilot, lambda: pilot.app.current_mode == mode, f"the mode {mode}")


def test_keys_are_answered_while_a_large_history_is_read_and_its_last_text_appears(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = History(tmp_path / "data" / "history.sqlite")
    history.begin()
    session = Session()
    session.type("Once upon a time")
    history.keep(session, now=True)
    history.close()
    read, begin = Event(), History.begin

    def slowly(history: History) -> None:
        read.wait(5.0)
        begin(history)

    monkeypatch.setattr(History, "begin", slowly)
    world = scripted_world(tmp_path)

    async def story(pilot: Pilot[int]) -> None:
        await wait_for(pilot, lambda: shell(pilot)._begun)
        await press(pilot, "app.settings")
        await shown(pilot, "temperature")
        assert not read.is_set() and world.desk.history._writer is None  # it was not waited for
        read.set()
        await press(pilot, "app.play")
        await shown(pilot, "Once upon a time")

    drive(playground(world, "corpus"), story)


@pytest.mark.parametrize("action", ["app.corpus", "app.train", "app.play", "app.runs", "app.settings"])
def test_each_mode_is_one_key_away(tmp_path: Path, action: str) -> None:
    mode = action.partition(".")[2]

    async def story(pilot: Pilot[int], world: World) -> None:
        await press(pilot, action)
        await in_mode(pilot, mode)
        await wait_for(pilot, lambda: pilot.app.screen.query(TopBar))

    tell(tmp_path, story, mode="settings" if mode == "runs" else "runs")


def test_each_mode_is_one_click_away(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        for mode in (*MODES, "runs"):
            column = screen_text(pilot.app).splitlines()[0].index(mode.capitalize())
            await pilot.click(TopBar, offset=(column, 0))
            await in_mode(pilot, mode)
            await shown(pilot, mode.capitalize())

    tell(tmp_path, story)


async def search(pilot: Pilot[int], key: int, text: str) -> None:
    """Opens the palette, types, and does what is found first."""
    await press(pilot, "app.palette", key)
    await wait_for(pilot, lambda: isinstance(pilot.app.screen, CommandPalette))
    await pilot.press(*text)
    await wait_for(
        pilot, lambda: text in str(pilot.app.screen.query_one(OptionList).get_option_at_index(0).prompt)
    )
    await pilot.press("enter")


def test_the_palette_finds_actions_and_themes_by_name_and_does_them(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await search(pilot, 0, "mark")
        await shown(pilot, "▸✓")
        await search(pilot, 1, "delete")
        await shown(pilot, "Move tales-01")
        await pilot.press("escape")
        await search(pilot, 0, "nord")
        await wait_for(pilot, lambda: pilot.app.theme == "nord")
        await search(pilot, 0, "Settings")
        await in_mode(pilot, "settings")

    tell(tmp_path, story)


@pytest.mark.parametrize("mode", [*MODES, "welcome"])
def test_the_palette_finds_every_action_of_a_screen_with_its_key(tmp_path: Path, mode: str) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        for action in (*actions_of(mode), *actions_of("app")):
            found = [hit async for hit in ActionCommands(pilot.app.screen).search(action.help)]
            assert any(f"{action.label}  ({shown_keys(action, {})})" in str(hit.text) for hit in found), (
                action
            )

    tell(tmp_path, story, mode=mode)


def test_the_next_theme_is_kept_in_the_settings_file(tmp_path: Path, file: Path) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        assert pilot.app.theme == "tinygpt-dark"
        for theme in ("tinygpt-light", "ansi-dark", "ansi-light", "tinygpt-dark", "tinygpt-light"):
            await press(pilot, "app.theme")
            await wait_for(pilot, lambda theme=theme: pilot.app.theme == theme)
            assert tomllib.loads(file.read_text())["ui"]["theme"] == theme
        await told(pilot, "theme tinygpt-light")

    async def again(pilot: Pilot[int]) -> None:
        assert pilot.app.theme == "tinygpt-light"

    tell(tmp_path, story)
    drive(playground(scripted_world(tmp_path), "settings"), again)


def test_a_theme_there_is_none_of_is_told_and_the_own_one_used(tmp_path: Path, file: Path) -> None:
    file.write_text('[ui]\ntheme = "pink"\n')

    async def story(pilot: Pilot[int], world: World) -> None:
        await told(pilot, f"There is no theme called pink; it is set in {file}")
        assert pilot.app.theme == "tinygpt-dark"

    tell(tmp_path, story)


def is_grey(app: Playground) -> bool:
    """Whether all text on the screen is drawn in greys; the picture's own default is one but for a trace."""
    found = re.findall(r"-r\d+ \{ fill: #(..)(..)(..)", app.export_screenshot())
    assert len(found) > 2
    shades = [[int(part, 16) for part in one] for one in found]
    return all(max(shade) - min(shade) <= 3 for shade in shades)


@pytest.mark.parametrize("theme", ["tinygpt-dark", "tinygpt-light", "ansi-dark"])
def test_without_colour_there_are_only_greys(
    tmp_path: Path, theme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def grey(pilot: Pilot[int]) -> None:
        pilot.app.theme = theme
        await shown(pilot, "tales-01")
        await wait_for(pilot, lambda: is_grey(shell(pilot)))

    async def colourful(pilot: Pilot[int], world: World) -> None:
        pilot.app.theme = theme
        await shown(pilot, "tales-01")
        await wait_for(pilot, lambda: not is_grey(shell(pilot)))

    tell(tmp_path, colourful)
    monkeypatch.setenv("NO_COLOR", "1")
    drive(playground(scripted_world(tmp_path), "runs"), grey)


@pytest.mark.parametrize("key", [0, 1])
def test_help_says_what_the_focused_part_does_and_every_key(tmp_path: Path, file: Path, key: int) -> None:
    file.write_text('[ui.keys]\n"runs.note" = "W"\n')

    async def story(pilot: Pilot[int], world: World) -> None:
        await press(pilot, "app.help", key)
        await wait_for(pilot, lambda: isinstance(pilot.app.screen, HelpScreen))
        await shown(pilot, "Every run, newest first", "Everywhere", "W ", "esc closes")
        for action in (*actions_of("runs"), *actions_of("app")):
            assert f"{action.label}: {action.help}"[:30] in screen_text(pilot.app)
        await pilot.press(("escape", "q")[key])
        await wait_for(pilot, lambda: not isinstance(pilot.app.screen, HelpScreen))
        await press(pilot, "app.help", key)
        await wait_for(pilot, lambda: isinstance(pilot.app.screen, HelpScreen))
        await press(pilot, "app.help", key)
        await wait_for(pilot, lambda: not isinstance(pilot.app.screen, HelpScreen))

    tell(tmp_path, story)


@pytest.mark.parametrize("mode", ["runs", "settings"])
def test_the_footer_is_made_from_the_registry_and_fits_a_small_terminal(tmp_path: Path, mode: str) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        wanted = [action.label for action in (*actions_of(mode), *actions_of("app")) if action.footer]
        bar = pilot.app.screen.query_one(KeyBar)
        await wait_for(pilot, lambda: [key.label for key in bar.keys] == wanted)
        await pilot.click(KeyBar, offset=(screen_text(pilot.app).splitlines()[-1].index("? help"), 0))
        await wait_for(pilot, lambda: isinstance(pilot.app.screen, HelpScreen))

    tell(tmp_path, story, (80, 24), mode)


def test_own_keys_of_the_settings_file_act_and_are_shown(tmp_path: Path, file: Path) -> None:
    file.write_text('[ui.keys]\n"runs.mark" = "M, ctrl+r"\n"app.settings" = "f2"\nruns.open = "O"\n')

    async def story(pilot: Pilot[int], world: World) -> None:
        await shown(pilot, "M mark", "O open", "f2 Settings")
        for key in ("space", "enter", "5"):
            await pilot.press(key)
        assert "▸✓" not in screen_text(pilot.app) and pilot.app.current_mode == "runs"
        await pilot.press("M")
        await shown(pilot, "▸✓")
        await pilot.press("ctrl+r")
        await wait_for(pilot, lambda: "▸✓" not in screen_text(pilot.app))
        await pilot.press("f2")
        await in_mode(pilot, "settings")
        world.settings.set("ui.keys.app.runs", "f3")
        await shown(pilot, "f3 Runs")  # at once
        await pilot.press("f3")
        await in_mode(pilot, "runs")
        world.settings.unset("ui.keys.runs.mark")
        await pilot.press("space")
        await shown(pilot, "▸✓", "space mark")

    tell(tmp_path, story)


def test_mistakes_in_own_keys_are_told_once(tmp_path: Path, file: Path) -> None:
    file.write_text('[ui.keys]\n"runs.mark" = "p"\n"runs.mrk" = "x"\n[ui.typo]\n')

    def problems(pilot: Pilot[int]) -> list[str]:
        return sorted(toast.message for toast in pilot.app._notifications if toast.severity == "warning")

    async def story(pilot: Pilot[int], world: World) -> None:
        await told(pilot, "there is no action 'runs.mrk' (did you mean 'runs.mark'?)")
        await told(pilot, "the key p does both runs.play and runs.mark")
        before = problems(pilot)
        await press(pilot, "app.theme")
        await told(pilot, "theme tinygpt-light")
        assert problems(pilot) == before and len(before) == 1 and before[0].count("\n") == 2

    tell(tmp_path, story)


def test_a_toast_shows_any_text_as_it_is(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        shell(pilot).tell("\x1b[31m[bold]a\x9b2J[/bold]", "error")
        await shown(pilot, "␛[31m[bold]a\ufffd2J[/bold]")
        assert not set(screen_text(pilot.app)) & {"\x1b", "\x9b"}

    tell(tmp_path, story)


def test_a_terminal_that_is_too_small_says_so_until_it_is_larger(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await shown(pilot, "tales-01")
        for width, height in ((LEAST_WIDTH - 1, 40), (120, LEAST_HEIGHT - 1), (20, 5), (1, 1)):
            await pilot.resize_terminal(width, height)
            await wait_for(pilot, lambda: pilot.app.screen.query_one("#too-small").display)
            await wait_for(pilot, lambda: "tales-01" not in screen_text(pilot.app))
            await pilot.resize_terminal(LEAST_WIDTH, LEAST_HEIGHT)
            await shown(pilot, "tales-01")
            assert "too small" not in screen_text(pilot.app)

    tell(tmp_path, story)


def test_ctrl_c_once_says_so_and_twice_leaves(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await press(pilot, "app.interrupt")
        await told(pilot, "Press ctrl+c again to leave.")
        assert not pilot.app._exit
        await press(pilot, "app.interrupt")
        await wait_for(pilot, lambda: pilot.app._exit)
        assert pilot.app.return_code == 0

    tell(tmp_path, story)


def test_ctrl_c_twice_slowly_does_not_leave(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tinygpt_tui.app.AGAIN_SECONDS", 0.0)

    async def story(pilot: Pilot[int], world: World) -> None:
        for _ in range(3):
            await press(pilot, "app.interrupt")
        assert not pilot.app._exit

    tell(tmp_path, story)


def test_ctrl_c_stops_what_is_being_written(tmp_path: Path) -> None:
    link = FakeLink(per_take=1)

    async def story(pilot: Pilot[int], world: World) -> None:
        await wait_for(pilot, lambda: world.desk.model)
        world.desk.submit("Once")
        await wait_for(pilot, lambda: link.requests(protocol.Generate))
        await press(pilot, "app.interrupt")
        await told(pilot, "Stopped. Press ctrl+c again to leave.")
        assert link.requests(protocol.Stop)

    tell(tmp_path, story, link=link)


def sent(pilot: Pilot[int], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is sent to the terminal's clipboard from now on."""
    found: list[str] = []
    driver = pilot.app._driver
    assert driver is not None

    def write(data: str) -> None:
        if match := re.fullmatch(r"\x1b\]52;c;(.*)\a", data):
            found.append(base64.b64decode(match[1]).decode())

    monkeypatch.setattr(driver, "write", write)
    return found


def test_ctrl_c_copies_the_exact_selection_of_a_field_or_of_the_screen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        got = sent(pilot, monkeypatch)
        world.shelf.rename("tales-01", "[b]Grüße[/b] 😀")
        await press(pilot, "runs.rename")
        await wait_for(pilot, lambda: isinstance(pilot.app.focused, Input))
        await press(pilot, "app.interrupt")  # what is there is selected
        await wait_for(pilot, lambda: got == ["[b]Grüße[/b] 😀"])
        await pilot.press("escape")
        await wait_for(pilot, lambda: len(pilot.app.screen_stack) == 1)
        await pilot.mouse_down("#detail", offset=(0, 0))
        await pilot.hover("#detail", offset=(6, 0))
        await pilot.mouse_up("#detail", offset=(6, 0))
        await wait_for(pilot, lambda: pilot.app.screen.get_selected_text())
        await press(pilot, "app.interrupt")
        await wait_for(pilot, lambda: len(got) == 2)
        assert "✓ done".startswith(got[1]) and len(got[1]) > 3
        assert not pilot.app._exit and not pilot.app.screen.get_selected_text()

    tell(tmp_path, story)


@pytest.mark.parametrize(
    ("variable", "program", "script", "text", "arrives", "said"),
    [
        ("DISPLAY", "xclip", "cat > $GOT", "a[b]\n\x1b", True, "Copied 6 characters with xclip, and sent to"),
        ("WAYLAND_DISPLAY", "wl-copy", "cat > $GOT", "ab", True, "Copied 2 characters with wl-copy, and sent"),
        ("darwin", "pbcopy", "cat > $GOT", "ab", True, "Copied 2 characters with pbcopy, and sent to"),
        ("DISPLAY", "xclip", "exit 1", "ab", False, "Sent 2 characters to the terminal (OSC 52): most take it"),
        ("DISPLAY", "none", "", "ab", False, "Sent 2 characters to the terminal (OSC 52): most take it"),
        ("DISPLAY", "xclip", "cat > $GOT", "a" * (OSC_LIMIT + 1), True, "Copied 74,001 characters with xclip."),
        ("DISPLAY", "none", "", "a" * (OSC_LIMIT + 1), False, "are too many for the terminal's clipboard"),
        ("DISPLAY", "none", "", "", False, "There is nothing to copy yet."),
    ],
)  # fmt: skip
def test_exact_text_is_copied_by_every_way_and_what_worked_is_told(
    tmp_path: Path, variable: str, program: str, script: str, text: str, arrives: bool, said: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    got, folder = tmp_path / "got", tmp_path / "bin"
    folder.mkdir()
    (folder / program).write_text(f"#!/bin/sh\n{script.replace('$GOT', str(got))}\n")
    (folder / program).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/bin")
    monkeypatch.setenv(variable, ":0")
    if variable == "darwin":
        commands = native_commands
        monkeypatch.setattr("tinygpt_tui.clipboard.native_commands", lambda found: commands(found, "darwin"))

    async def story(pilot: Pilot[int], world: World) -> None:
        osc = sent(pilot, monkeypatch)
        shell(pilot).copy(text)
        await told(pilot, said)
        assert osc == ([text] if 0 < len(text) <= OSC_LIMIT else [])
        assert (got.read_bytes() == text.encode()) if arrives else not got.exists()

    tell(tmp_path, story)


def test_a_screenshot_is_saved_beside_the_earlier_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)

    async def story(pilot: Pilot[int], world: World) -> None:
        await shown(pilot, "tales-01")
        for count in (1, 2):
            await press(pilot, "app.screenshot")
            await wait_for(pilot, lambda count=count: len(list(here.iterdir())) == count)
        for path in here.iterdir():
            assert path.suffix == ".svg" and "tales-01" in path.read_text()
            await told(pilot, f"Saved {path}")
            path.unlink()
        here.rmdir()
        await press(pilot, "app.screenshot")
        await told(pilot, "The folder you started from is gone")

    tell(tmp_path, story)


def test_ctrl_q_leaves_even_from_a_dialog_and_training_goes_on(tmp_path: Path) -> None:
    with ScriptedRun(tmp_path / "data" / "runs") as run:
        run.steps(3)

        async def story(pilot: Pilot[int], world: World) -> None:
            await press(pilot, "runs.rename")
            await wait_for(pilot, lambda: isinstance(pilot.app.focused, Input))
            await press(pilot, "app.quit")
            await wait_for(pilot, lambda: pilot.app._exit)
            assert pilot.app.return_code == 0
            assert world.live_names() == ("tales-03",) and run.obey_controls() == []

        tell(tmp_path, story)


@pytest.mark.parametrize(
    ("look", "size"), [("help", (80, 24)), ("palette", (80, 24)), ("too-small", (40, 10))]
)
def test_what_lies_over_a_screen_looks_as_stored(tmp_path: Path, look: str, size: tuple[int, int]) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        if look != "too-small":
            await shown(pilot, "temperature")
            await press(pilot, f"app.{look}")
            await shown(pilot, "Everywhere" if look == "help" else "settings · change")
        await check_text(pilot, f"{look}-{size[0]}x{size[1]}")

    tell(tmp_path, story, size, "settings", environment={})


def test_no_action_is_missing_from_the_help_of_its_screen() -> None:
    assert {action.scope for action in ACTIONS} == {*MODES, "app", "welcome"}


def test_a_first_visit_reads_no_stylesheet_twice_and_a_theme_reaches_what_was_visited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []
    refresh = Playground.refresh_css

    def counted(app: Playground, **options: Any) -> None:
        read.append(app.current_mode)
        refresh(app, **options)

    async def story(pilot: Pilot[int], world: World) -> None:
        monkeypatch.setattr(Playground, "refresh_css", counted)
        for mode in ("corpus", "train", "play", "settings", "runs"):
            await press(pilot, f"app.{mode}")
            await in_mode(pilot, mode)
            await wait_for(pilot, lambda: bool(pilot.app.screen.query("KeyBar")))
            await pilot.press("escape")  # out of the prompt, which takes figures for text
            await wait_for(pilot, lambda: not isinstance(pilot.app.focused, Prompt))
        assert read == []
        dark = pilot.app.screen.styles.background
        await press(pilot, "app.theme")
        await wait_for(pilot, lambda: bool(read) and pilot.app.screen.styles.background != dark)
        light = pilot.app.screen.styles.background
        await press(pilot, "app.settings")
        await in_mode(pilot, "settings")
        await wait_for(pilot, lambda: pilot.app.screen.styles.background == light)

    tell(tmp_path, story)
