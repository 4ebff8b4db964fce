"""Driving the playground in tests: run it without a terminal, wait for conditions, and read or compare what it shows.

Pictures are compared with stored ones; `UPDATE_SNAPSHOTS=1` writes them anew.
"""

from __future__ import annotations

import asyncio
import difflib
import io
import os
import re
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from rich.console import Console
from textual.app import App
from textual.pilot import Pilot
from textual.widgets import Button

from tinygpt_tui.actions import BY_ID

PICTURE_SECONDS = 8.0  # for what is shown to become what is stored; only a test that fails waits so long
SNAPSHOTS = Path(__file__).parent / "snapshots"
PICTURES = Path(__file__).parents[2] / "docs" / "pictures"


def drive(
    app: App[int], story: Callable[[Pilot[int]], Awaitable[None]], size: tuple[int, int] = (120, 40)
) -> None:
    """Runs `app` on a screen of `size` and `story` with its pilot; errors of both are raised."""

    async def run() -> None:
        async with app.run_test(size=size, notifications=True) as pilot:
            await pilot.pause()
            try:
                await story(pilot)
                if not app._exit:
                    # A screen that is taken down while it is put together misses its parts, which is nobody's fault.
                    await wait_for(pilot, lambda: app.screen.is_mounted, "the screen")
                    await pilot.pause()
            finally:
                app.exit()

    asyncio.run(run())


async def wait_for(
    pilot: Pilot[int], condition: Callable[[], object], what: str = "", seconds: float = 20.0
) -> None:
    """Returns when `condition` holds; the limit is only there to end a test that fails."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(
                f"waited in vain{' for ' + what if what else ''}; the screen:\n{screen_text(pilot.app)}"
            )
        await pilot.pause(0.01)


def screen_text(app: App[int]) -> str:
    """What the screen shows, as lines of text without colours or trailing blanks."""
    width, height = app.size
    console = Console(
        width=width, height=height, file=io.StringIO(), record=True, color_system=None, legacy_windows=False
    )
    stack = app._background_screens
    console.print(app.screen._compositor.render_update(full=True, screen_stack=stack))
    return "\n".join(line.rstrip() for line in console.export_text(styles=False).splitlines())


async def press(pilot: Pilot[int], action: str, key: int = 0) -> None:
    """Presses a key of an action, given by its id, such as "play.reroll"; `key` is its place among the action's keys."""
    await pilot.press(_PRESSED.get(name := BY_ID[action].keys.split(",")[key], name))


async def press_again(pilot: Pilot[int]) -> None:
    """Presses the focused button once more: it hears nothing while it still looks pressed."""
    await wait_for(pilot, lambda: not pilot.app.screen.query(Button).filter(".-active"), "the button")
    await pilot.press("enter")


_PRESSED = {
    "[": "left_square_bracket", "]": "right_square_bracket", "{": "left_curly_bracket", "}": "right_curly_bracket",
    "(": "left_parenthesis", ")": "right_parenthesis", "<": "less_than_sign", ">": "greater_than_sign", "'": "apostrophe",
    '"': "quotation_mark", "+": "plus", "-": "minus", ".": "full_stop", "?": "question_mark", "/": "slash",
}  # fmt: skip


async def check_text(pilot: Pilot[int], name: str) -> None:
    """Waits until the screen's text equals the stored `snapshots/NAME.txt`."""
    await _check(pilot, SNAPSHOTS / f"{name}.txt", lambda: screen_text(pilot.app) + "\n")


async def check_picture(pilot: Pilot[int], name: str) -> None:
    """Waits until the screen's picture equals the stored `docs/pictures/NAME.svg`."""
    await _check(pilot, PICTURES / f"{name}.svg", lambda: _picture(pilot.app))


def _picture(app: App[int]) -> str:
    svg = app.export_screenshot(title="tinygpt")
    # Fonts by address: a picture must look the same without a network.
    svg = re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    svg = svg.replace("Fira Code", "Menlo, Consolas, DejaVu Sans Mono")
    # The picture names its parts after a checksum of everything in it; a change of one word would change every line.
    svg = re.sub(r"terminal-\d+-", "terminal-", svg)
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


async def _check(pilot: Pilot[int], path: Path, look: Callable[[], str]) -> None:
    if os.environ.get("UPDATE_SNAPSHOTS"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(await _settled(pilot, look), encoding="utf-8", newline="\n")
        return
    assert path.exists(), f"{path.name} has never been written: run once with UPDATE_SNAPSHOTS=1"
    stored = path.read_text(encoding="utf-8")
    deadline = time.monotonic() + PICTURE_SECONDS
    while (found := look()) != stored and time.monotonic() < deadline:
        await pilot.pause(0.05)
    changes = list(
        difflib.unified_diff(stored.splitlines(), found.splitlines(), "stored", "found", lineterm="", n=1)
    )
    assert not changes, f"{path.name} differs:\n" + "\n".join(changes[:60])


async def _settled(pilot: Pilot[int], look: Callable[[], str]) -> str:
    """What is shown when it has not changed for a while."""
    found, same = look(), 0
    while same < 10:
        await pilot.pause(0.05)
        found, same = (now, same + 1) if (now := look()) == found else (now, 0)
    return found
