"""The playground as an application: its modes, its one timer, its themes and keys, and how it is left.

Everything that lies outside of the interface (runs, the player, files) comes in as a `World`, so that tests put a scripted one in
its place. What each mode shows is in `tinygpt_tui.screens`. An error in a part of the screen ends that part, never the playground.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import time
import traceback
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events, work
from textual.app import App
from textual.command import CommandPalette
from textual.message import Message
from textual.notifications import Notify
from textual.screen import ModalScreen, Screen
from textual.theme import Theme
from textual.timer import Timer
from textual.widgets import Input

from engine.errors import TinygptError
from tinygpt_tui import clipboard
from tinygpt_tui.actions import BY_ID, keymap, shown_keys
from tinygpt_tui.bindings import bindings
from tinygpt_tui.safe_text import safe_line, safe_text
from tinygpt_tui.screens.mode_screen import ModeScreen
from tinygpt_tui.terminal import TerminalDriver, is_closed
from tinygpt_tui.world import World

if TYPE_CHECKING:
    from tinygpt_tui.sources.run_starter import Starting

TICKS_A_SECOND = 30
SEEN_SECONDS = 0.3  # that the first frame gets to reach the eye
READY_SECONDS = 0.05  # between two pieces of work that nobody waits for
MOST_TOASTS = 2
TOLD_SECONDS, WARNED_SECONDS = 4.0, 7.0
SETTLE_SECONDS = 0.005  # that a mode gets to be put together before it is shown
AGAIN_SECONDS = 2.0  # ctrl+c twice within this leaves
IN_A_ROW, IN_A_ROW_SECONDS = 5, 10.0  # errors that are told; of more nobody could read

THEMES = (
    Theme(
        "tinygpt-dark", primary="#7aa2f7", secondary="#9aa5ce", accent="#e0af68", success="#9ece6a", warning="#e0af68",
        error="#f7768e", foreground="#c8d0e8", background="#16161e", surface="#1c1d29", panel="#232433", dark=True,
        variables={"border-blurred": "#3b4261", "text-muted": "#8089a8"},
    ),
    Theme(
        "tinygpt-light", primary="#2e5aac", secondary="#4c5470", accent="#9a5b00", success="#2f7a1f", warning="#9a5b00",
        error="#b3263e", foreground="#22252e", background="#fafafa", surface="#f1f2f5", panel="#e5e7ee", dark=False,
        variables={"border-blurred": "#b9bdcb", "text-muted": "#5c6378"},
    ),
)  # fmt: skip
DEFAULT_THEME = "tinygpt-dark"
LAST_ERROR = (
    f"That was the {IN_A_ROW}th error in a row; what failed is left alone now, and more of them are not told"
)


def _mode(name: str) -> Callable[[], Screen[Any]]:
    """A mode's screen, imported when it is first looked at: the first frame waits for one of them only."""

    def make() -> Screen[Any]:
        screen: Screen[Any] = import_module(f"tinygpt_tui.screens.{name}").make_screen()
        return screen

    return make


class Playground(App[int]):
    """Corpus, Train, Play, Runs and Settings."""

    TITLE = "tinygpt"
    CSS_PATH = "app.tcss"
    MODES: ClassVar[dict[str, str | Callable[[], Screen[Any]]]] = {
        name: _mode(name) for name in ("corpus", "train", "play", "runs", "settings", "welcome")
    }
    BINDINGS: ClassVar[list[Any]] = bindings("app")
    COMMAND_PALETTE_BINDING = "ctrl+p"
    ENABLE_COMMAND_PALETTE = False  # ours, from the registry: see `action_palette`
    ESCAPE_TO_MINIMIZE = False

    def __init__(self, world: World, mode: str, *, keep_running: bool = True) -> None:
        """`mode` is the one to begin in. With `keep_running` an error becomes a dialog; tests want it raised."""
        super().__init__(driver_class=TerminalDriver)
        self.world = world
        self.own_keys: dict[str, str] = {}
        self._first_mode = mode
        self._keep_running = keep_running
        self._errors: list[float] = []  # when the last ones were
        self._failed: list[object] = []  # what is left alone until a person has answered
        self._asking = False  # whether a dialog about an error is open
        self._lost = False  # whether a part of a screen is gone
        self._problems: set[str] = set()  # of the settings, that were told
        self._interrupted = -AGAIN_SECONDS
        self._caught: set[int] = set()  # signals
        self._before: dict[int, Any] = {}  # what handled them
        self.failure: Exception | None = None  # before there was a screen that could tell of it
        self._timer: Timer | None = None
        self._begun = False
        self._known_start: Starting | None = None  # what was known last of a run that is being started
        for theme in THEMES:
            self.register_theme(theme)

    def on_load(self) -> None:
        # Before anything is drawn: whoever is ended from now on gives the terminal back. Handlers of Python's own, which are heard
        # even where the event loop waits for a terminal that takes nothing.
        self._loop_of_signals = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            # Only the main thread of a process may; a test may run us in another.
            with contextlib.suppress(ValueError):
                self._before[number] = signal.signal(number, self._asked_to_end)

    def _asked_to_end(self, number: int, frame: object) -> None:
        """A signal: the first time it leaves in order; the same one again leaves at once, as with a trainer (`engine.signals`)."""
        if number in self._caught:
            if isinstance(self._driver, TerminalDriver):
                self._driver.give_back()
            os._exit(128 + number)
        self._caught.add(number)
        with contextlib.suppress(RuntimeError):  # the loop has ended just now
            self._loop_of_signals.call_soon_threadsafe(self._leave, 128 + number)

    def on_mount(self) -> None:
        self._use_settings()
        self.world.settings.listen(self._setting_changed)
        self.screen_change_signal.subscribe(self, self._screen_changed)
        self.switch_mode(self._first_mode)

    def begin(self) -> None:
        """Starts what runs beside the screens, once; the first of them says that it is seen."""
        if not self._begun:
            self._begun = True
            gc.freeze()  # off since the start (see `playground`); from here on only what is new is looked through
            gc.enable()
            self._begin_world()

    @work(group="begin", exit_on_error=False)
    async def _begin_world(self) -> None:
        try:
            # A history is read whole before anything is put into it; keys are answered meanwhile, however large it is.
            await asyncio.to_thread(self.world.desk.history.begin)
            if self._exit:  # somebody has left meanwhile
                return
            self.world.begin()
            self._timer = self.set_interval(1 / TICKS_A_SECOND, self._tick)
            self._make_ready()
        except Exception as error:
            self._report(error)

    @work(group="ready", exit_on_error=False)
    async def _make_ready(self) -> None:
        """Imports the other modes and reads their styles, a bit at a time: the first visit to one would otherwise wait for that."""
        await asyncio.sleep(SEEN_SECONDS)
        for name in self.MODES:
            await asyncio.to_thread(import_module, f"tinygpt_tui.screens.{name}")
            path = Path(__file__).with_name("screens") / f"{name}.tcss"
            if not self.stylesheet.has_source(str(path), ""):
                self.stylesheet.read(path)
                self.stylesheet.parse()  # only what is new
            await asyncio.sleep(READY_SECONDS)

    def delay_update(self, delay: float = 0.05) -> None:
        # Textual hides a change of modes for 50 ms, which is all that a key may take.
        super().delay_update(min(delay, SETTLE_SECONDS))

    def _load_screen_css(self, screen: Screen[Any]) -> None:
        # Whatever a new screen mounts gets the styles of now. Textual does not count on that: it would read every stylesheet anew
        # and apply it to every screen, which takes 100 ms.
        super()._load_screen_css(screen)
        if not screen.is_mounted:
            screen._css_update_count = self._css_update_count

    async def on_unmount(self) -> None:
        try:
            await self.world.end()
        finally:
            for number, handler in self._before.items():
                signal.signal(number, handler or signal.SIG_DFL)
            self._before.clear()

    def exit(self, result: int | None = None, return_code: int = 0, message: Any = None) -> None:
        """Leaves, and lets no tick meet a screen that is half taken down."""
        if self._timer is not None:
            self._timer.stop()
        super().exit(result, return_code, message)

    def key_of(self, action: str) -> str:
        """The first key of an action as it is shown."""
        return shown_keys(BY_ID[action], self.own_keys).split(" ")[0]

    def go(self, mode: str) -> None:
        """Shows another mode."""
        self._clear_told()
        self.switch_mode(mode)

    def tell(self, message: str, severity: str = "information", seconds: float | None = None) -> None:
        """A toast; any text is safe in it. By default it stays shorter if it only informs."""
        level: Any = severity
        stays = (
            (TOLD_SECONDS if severity == "information" else WARNED_SECONDS) if seconds is None else seconds
        )
        self.notify(safe_text(message), severity=level, timeout=stays, markup=False)

    def on_notify(self, event: Notify) -> None:
        """Makes room for a toast: it replaces one that says the same, and what only informs goes before what warns."""
        for told in [told for told in self._notifications if told.message == event.notification.message]:
            self._unnotify(told)
        left = sorted(self._notifications, key=lambda told: told.severity != "information")
        for told in left[: max(0, len(left) - MOST_TOASTS + 1)]:
            self._unnotify(told)

    def _clear_told(self) -> None:
        """Takes away what only informed about what was in front before."""
        for told in [told for told in self._notifications if told.severity == "information"]:
            self._unnotify(told)

    def _screen_changed(self, screen: Screen[Any]) -> None:
        if isinstance(screen, ModalScreen):
            self._clear_told()

    def try_to(self, action: Callable[[], object]) -> bool:
        """Does it; what it refuses is told in a toast. Whether it was done."""
        try:
            action()
        except TinygptError as error:
            self.tell(str(error), "error")
            return False
        return True

    @work(thread=True, exclusive=False, exit_on_error=False, group="copy")
    def _copy_natively(self, text: str) -> None:
        told = clipboard.outcome(text, clipboard.copy_natively(text))
        self.call_from_thread(self.tell, told)

    @property
    def clipboard(self) -> str:
        """What was copied last: exact for a text, harmless for a line, since the palette's shows whatever it holds."""
        exact = super().clipboard
        return safe_line(exact) if isinstance(self.focused, Input) else exact

    async def on_event(self, event: events.Event) -> None:
        if isinstance(event, events.Paste) and isinstance(self.focused, Input):
            event.text = safe_text(event.text)
        await super().on_event(event)

    def copy(self, text: str) -> None:
        """Copies exact text by every way there is and tells which worked."""
        if not text:
            self.tell("There is nothing to copy yet.", "warning")
            return
        if len(text.encode("utf-8", "replace")) <= clipboard.OSC_LIMIT:
            self.copy_to_clipboard(text.encode("utf-8", "replace").decode("utf-8"))
        self._copy_natively(text)

    def use_theme(self, name: str) -> None:
        """Takes a theme's colours and keeps the choice."""
        self.try_to(lambda: self.world.settings.set("ui.theme", name))
        if name in self.available_themes:
            self.theme = name

    def action_corpus(self) -> None:
        self.go("corpus")

    def action_train(self) -> None:
        self.go("train")

    def action_play(self) -> None:
        self.go("play")

    def action_runs(self) -> None:
        self.go("runs")

    def action_settings(self) -> None:
        self.go("settings")

    def action_help(self) -> None:
        from tinygpt_tui.screens.help import HelpScreen

        part = self.focused or self.screen
        about = next((node.HELP for node in part.ancestors_with_self if node.HELP), "")
        mode = getattr(self.screen, "mode", "app")
        self.push_screen(HelpScreen(mode, about.strip(), self.own_keys))

    def action_palette(self) -> None:
        from tinygpt_tui.screens.commands import ActionCommands

        if not isinstance(self.screen, CommandPalette):
            self.push_screen(CommandPalette([ActionCommands], placeholder="Search for an action or a theme"))

    def action_theme(self) -> None:
        mine = ["tinygpt-dark", "tinygpt-light", "ansi-dark", "ansi-light"]
        following = mine[(mine.index(self.theme) + 1) % len(mine)] if self.theme in mine else mine[0]
        self.use_theme(following)
        self.tell(f"theme {following}", seconds=2)

    def action_screenshot(self, filename: str | None = None, path: str | None = None) -> None:
        from tinygpt_tui.files import free_path, write_new

        target = free_path("tinygpt-screen", ".svg")
        svg = self.export_screenshot(title="tinygpt")
        if self.try_to(lambda: write_new(target, svg)):
            self.tell(f"Saved {target}")

    def action_interrupt(self) -> None:
        """Copies a selection; else stops what is being written; and the second time in a row leaves."""
        now = time.monotonic()
        again = now - self._interrupted < AGAIN_SECONDS
        if (selected := self._selected()) and not again:
            self.copy(selected)
            self.screen.clear_selection()
            return
        if again:
            self._leave(0)
            return
        self._interrupted = now
        stopped = self.world.desk.stop()
        self.tell(("Stopped. " if stopped else "") + "Press ctrl+c again to leave.", seconds=AGAIN_SECONDS)

    async def action_quit(self) -> None:
        self._leave(0)

    async def run_action(self, action: Any, *arguments: Any, **named: Any) -> bool:
        """As Textual's, but what an action refuses is a toast and what it breaks a dialog."""
        try:
            return await super().run_action(action, *arguments, **named)
        except TinygptError as error:
            self.tell(str(error), "error")
        except Exception as error:
            self._report(error)
        return True

    def _selected(self) -> str:
        """The text that is selected on the screen or in the focused field."""
        inside = getattr(self.focused, "selected_text", "")
        return inside or self.screen.get_selected_text() or ""

    def _tick(self) -> None:
        if not self.is_headless and is_closed():
            self._leave(129)
            return
        now = time.monotonic()
        self._let(self.world, lambda: self._let_world_go_on(now))
        if self._lost:
            return  # a screen without one of its parts can only fail again
        for screen in self.screen_stack:
            if isinstance(screen, ModeScreen) and screen.is_mounted and screen.is_running:
                self._let(screen, lambda screen=screen: screen.beat(now))  # type: ignore[misc]

    def _let_world_go_on(self, now: float) -> None:
        self.world.tick(now)
        starting = self.world.starter.snapshot
        if starting is not self._known_start:
            self._known_start = starting
            if starting.state == "failed":
                self._tell_of_failed_start(starting)

    def _tell_of_failed_start(self, starting: Starting) -> None:
        """Tells it whatever mode is in front; Train itself shows what became of a run that there is."""
        from tinygpt_tui.screens.corpus_words import in_plain_words

        watched = self.current_mode == "train"
        if starting.run is None or not watched:
            self.tell(in_plain_words(starting.message), "error", 12)
        if starting.run is None and watched:
            self.go("corpus")  # it has become no run to look at, and another text can be chosen there

    def _let(self, part: object, go_on: Callable[[], None]) -> None:
        """Lets a part go on. One that fails is left alone until somebody has answered: else it would fail 30 times a second."""
        if any(part is failed for failed in self._failed):
            return
        try:
            go_on()
        except Exception as error:
            self._failed.append(part)
            self._report(error)

    def _use_settings(self) -> None:
        book = self.world.settings
        chosen = book.value("ui.theme")
        if chosen != "auto" and chosen not in self.available_themes:
            self.tell(f"There is no theme called {safe_line(chosen)}; it is set in {book.path}.", "warning")
            chosen = "auto"
        self.theme = DEFAULT_THEME if chosen == "auto" else chosen
        keys = keymap(book.value("ui.keys"))
        self.own_keys = dict(keys.keys)
        self.set_keymap(keys.keys)
        problems = {problem for problem in (book.problem, *book.warnings, *keys.problems) if problem}
        if new := sorted(problems - self._problems):
            self.tell("\n".join(new), "warning", 12)  # in one toast, since only few of them have room
        self._problems = problems

    def _setting_changed(self, key: str) -> None:
        if key.startswith("ui."):
            self._use_settings()

    def _leave(self, code: int) -> None:
        self.exit(code, return_code=code)

    def _report(self, error: Exception) -> None:
        """Keeps a report of an error and shows a dialog, or passes it on where nobody wants to go on."""
        if self._keep_running and self._exit:
            # A screen that is taken down before it was whole misses its parts; that is no reason to leave otherwise.
            self._write_report(error)
            return
        if not self._keep_running:
            super()._handle_exception(error)
            return
        if not self._begun:  # without a screen there is no dialog: whoever started us tells of it
            self.failure = self.failure or error
            self._return_code = 1
            self._close_messages_no_wait()
            return
        now = time.monotonic()
        self._errors = [at for at in self._errors if now - at < IN_A_ROW_SECONDS] + [now]
        if len(self._errors) > IN_A_ROW:
            self._lost = self._lost and self._asking  # nobody will answer, so nothing waits for that
            return
        path = self._write_report(error)
        last = len(self._errors) == IN_A_ROW
        message = "\n\n".join(
            (
                f"A part of the screen failed: {type(error).__name__}: {error}",
                "What trains goes on training, and what was written is kept.",
                *((f"A report is in {path}.",) if path else ()),
                *((f"{LAST_ERROR}: reload this screen, or leave.",) if last else ()),
            )
        )
        if not self._asking:
            self._asking = True
            self.call_later(self._ask, message)  # by ourselves: whoever failed would never hear the answer
        elif last:
            self.tell(f"{LAST_ERROR}.", "error", IN_A_ROW_SECONDS)

    def _ask(self, message: str) -> None:
        from tinygpt_tui.screens.dialogs import Trouble

        self.push_screen(Trouble(message), self._after_error)

    def _after_error(self, chosen: str | None) -> None:
        self._asking = False
        if chosen == "quit":
            self._leave(1)
            return
        if chosen == "reload" or self._lost:
            self.call_later(self._reload)
        elif len(self._errors) < IN_A_ROW:
            self._failed.clear()

    async def _reload(self) -> None:
        """Makes the mode in front anew."""
        self._failed.clear()
        self._lost = False
        mode = self.current_mode
        other = "settings" if mode != "settings" else "runs"
        await self.switch_mode(other)
        await self.remove_mode(mode)
        self.add_mode(mode, self.MODES[mode])
        await self.switch_mode(mode)

    def _write_report(self, error: Exception) -> str:
        from tinygpt_tui.files import write_report

        return write_report(self.world.paths.state, "".join(traceback.format_exception(error)))

    async def _dispatch_message(self, message: Message) -> None:
        try:
            await super()._dispatch_message(message)
        except Exception as error:
            if not self._begun:  # there is nothing to go on with yet
                raise
            self._report(error)

    def _handle_exception(self, error: Exception) -> None:
        # Textual ends the application here. The part whose messages were being handled is lost; the others need not be.
        self._lost = True
        self._report(error)
