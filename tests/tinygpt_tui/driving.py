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

SNAPSHOTS = Path(__file__).parent / "snapshots"
PICTURES = Path(__file__).parents[2] / "docs" / "pictures"


def drive(
    app: App[int], story: Callable[[Pilot[int]], Awaitable[None]], size: tuple[int, int] = (120, 40)
) -> None:
    """Runs `app` on a screen of `size` and `story` with its pilot; errors of both are raised."""

    async def run() -> None:
        async with app.run_test(size=size, notifications=True) as pilot:
            await pilot.pause()
            await story(pilot)

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


def check_text(app: App[int], name: str) -> None:
    """The screen's text equals the stored `snapshots/NAME.txt`."""
    _check(SNAPSHOTS / f"{name}.txt", screen_text(app) + "\n")


def check_picture(app: App[int], name: str) -> None:
    """The screen's picture equals the stored `docs/pictures/NAME.svg`."""
    svg = app.export_screenshot(title="tinygpt")
    # Fonts by address: a picture must look the same without a network.
    svg = re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    svg = svg.replace("Fira Code", "Menlo, Consolas, DejaVu Sans Mono")
    _check(PICTURES / f"{name}.svg", "\n".join(line.rstrip() for line in svg.splitlines()) + "\n")


def _check(path: Path, found: str) -> None:
    if os.environ.get("UPDATE_SNAPSHOTS"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(found, encoding="utf-8", newline="\n")
        return
    assert path.exists(), f"{path.name} has never been written: run once with UPDATE_SNAPSHOTS=1"
    stored = path.read_text(encoding="utf-8")
    changes = list(
        difflib.unified_diff(stored.splitlines(), found.splitlines(), "stored", "found", lineterm="", n=1)
    )
    assert not changes, f"{path.name} differs:\n" + "\n".join(changes[:60])
