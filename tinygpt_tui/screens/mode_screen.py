"""What the five modes have in common: the bar at the top, the footer, the tick, and a page for terminals that are too small."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, ClassVar, cast

from textual import events
from textual.app import ComposeResult
from textual.containers import Container
from textual.screen import Screen
from textual.widgets import Static

from tinygpt_tui import figures
from tinygpt_tui.widgets.key_bar import KeyBar
from tinygpt_tui.widgets.top_bar import MODES, TopBar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tinygpt_tui.app import Playground
    from tinygpt_tui.sources.run_shelf import RunRow
    from tinygpt_tui.world import World

LEAST_WIDTH, LEAST_HEIGHT = 60, 16
STATUS_SECONDS = 0.5
STEADY_SECONDS = 1.0  # after which a screen is put together
ROOM_FOR_NAME = 100  # columns of a screen whose bar also names the run


class ModeScreen(Screen[None]):
    """One mode. A subclass composes its body and repaints, in `tick`, what has changed since the last one.

    Attributes:
        mode: its name, as in the registry of actions.
    """

    mode: ClassVar[str]
    _status_due = 0.0
    # Classes of the screen by its size, for the stylesheets.
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012
        (0, "-tiny"),
        (LEAST_WIDTH, "-narrow"),
        (100, "-normal"),
        (160, "-wide"),
    ]
    VERTICAL_BREAKPOINTS = [  # noqa: RUF012
        (0, "-flat"),
        (LEAST_HEIGHT, "-low"),
        (32, "-tall"),
    ]

    @property
    def playground(self) -> Playground:
        return cast("Playground", self.app)

    @property
    def world(self) -> World:
        """What lies outside of the interface."""
        return self.playground.world

    def compose(self) -> ComposeResult:
        # The classes of its size, before anything is styled: at the first resize everything would be styled once more.
        for points, cells in (
            (self.HORIZONTAL_BREAKPOINTS, self.app.size.width),
            (self.VERTICAL_BREAKPOINTS, self.app.size.height),
        ):
            self.add_class(*self._get_breakpoint_classes(cells, points), update=False)
        yield TopBar(self.mode, self._mode_keys())
        with Container(id="body"):
            yield from self.compose_body()
        yield Static(
            f"This terminal is too small: the playground needs {LEAST_WIDTH} columns and {LEAST_HEIGHT} lines. "
            "Nothing has stopped; make the window larger, or leave with ctrl+q.",
            id="too-small",
            markup=False,
        )
        yield KeyBar()

    def on_mount(self) -> None:
        self.call_after_refresh(self.playground.begin)
        # What a mode is made of stays: the garbage collector, which would hold a key up by 30 ms, need not look through it again.
        self.set_timer(STEADY_SECONDS, gc.freeze)

    def _on_screen_resume(self, event: events.ScreenResume) -> None:
        # It is styled when it is mounted and when the theme changes; doing it at each visit is half of what a visit costs.
        event.refresh_styles = False

    def compose_body(self) -> ComposeResult:
        """The widgets between the bar and the footer."""
        raise NotImplementedError

    def tick(self, now: float) -> None:
        """Shows what has changed. Called at most 30 times a second while the mode is in front.

        Args:
            now: seconds of a clock that never goes back.
        """

    def beat(self, now: float) -> None:
        """What every mode does at each tick: the status in the bar, twice a second, and its own `tick`."""
        if now >= self._status_due:
            self._status_due = now + STATUS_SECONDS
            named = self.size.width >= ROOM_FOR_NAME
            bar = self.query_one(TopBar)
            bar.show_status(status_of(self.world.shelf.rows, named))
            bar.show_keys(self._mode_keys())
        self.tick(now)

    def _mode_keys(self) -> dict[str, str]:
        return {mode: self.playground.key_of(f"app.{mode}") for mode in MODES}

    def on_top_bar_chosen(self, event: TopBar.Chosen) -> None:
        self.playground.go(event.mode)


def status_of(rows: Sequence[RunRow], named: bool = True) -> str:
    """What trains, such as "tales ● step 1,240", of the newest such run; "" if nothing does."""
    live = [row for row in rows if row.live]
    if not live:
        return ""
    row, others = live[0], len(live) - 1
    name = f"{row.label or row.name} " if named else ""
    done = f"step {row.step:,}" if row.step else row.state
    more = f" · {others} more" if others and named else ""
    return f"{name}{figures.STATES.get(row.state, '?')} {done}{more}"
