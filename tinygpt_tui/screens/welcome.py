"""The first launch: something speaks within a second, one key starts a model that learns to do better, one leads to the starter.

Nobody has trained a model yet, so Shannon's procedure of 1948 speaks (`tinygpt_tui.play.shannon`), climbing from noise to something like words,
a line for each letter more that it remembers.
"""

from __future__ import annotations

import textwrap
from typing import Any, ClassVar

from rich.style import Style
from rich.text import Text
from textual import events, work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from tinygpt_tui.bindings import bindings
from tinygpt_tui.play.shannon import MOST_ORDER, Shannon
from tinygpt_tui.safe_text import safe_text
from tinygpt_tui.screens.mode_screen import ModeScreen

SPOKEN_A_SECOND = 60
MOST_SHOWN = 4000  # characters
MOST_WIDTH = 100  # cells; as in the stylesheet
REMEMBERED = ("nothing", "1 letter", *(f"{n} letters" for n in range(2, MOST_ORDER + 1)))
ROOM_FOR_WORDS = 21  # lines of a screen that also explains itself
LOGO = """\
┌┬┐ ┬ ┌┐┌ ┬ ┬ ┌─┐ ┌─┐ ┌┬┐
 │  │ │││ └┬┘ │ ┬ ├─┘  │
 ┴  ┴ ┘└┘  ┴  └─┘ ┴    ┴"""
ABOUT = (
    "This is no model yet: only chance, choosing each letter by the few before it, as Claude Shannon did in 1948. "
    "A GPT begins with noise, too, and learns to look further back. Give it a minute or two."
)

_LABEL = 11  # cells of "5 letters  "
_FRAME = 8  # cells beside the voice at the left and right: margins, border, padding


class WelcomeScreen(ModeScreen):
    """A voice and a few choices."""

    mode = "welcome"
    CSS_PATH = "welcome.tcss"
    BINDINGS: ClassVar[list[Any]] = bindings("welcome")
    HELP = "Start a model on the built-in tales, play with the built-in starter, or go elsewhere: every mode is one key away."

    def __init__(self) -> None:
        super().__init__()
        self._voice: Shannon | None = None
        self._spoken = [""] * (MOST_ORDER + 1)  # by what was remembered
        self._since: float | None = None
        self._said = 0

    def compose_body(self) -> ComposeResult:
        with Vertical(id="welcome"):
            yield Static(LOGO, id="logo", markup=False)
            yield Static("tinygpt", id="name", markup=False)
            yield Static(
                "A text file in, a talking model out, without leaving the terminal.",
                id="tagline",
                markup=False,
            )
            with Vertical(id="voice-panel", classes="panel") as panel:
                panel.border_title = "chance writes a tale, remembering …"
                yield Static("", id="voice", markup=False)
            yield Static(ABOUT, id="explained", markup=False)
            yield Static(self._choices(), id="choices", markup=False)

    def on_mount(self) -> None:
        width = max(20, min(MOST_WIDTH + 4, self.app.size.width) - _FRAME - _LABEL)
        self.call_after_refresh(
            self._open_book, width
        )  # writing the book takes the processor from the first frame

    def on_resize(self, event: events.Resize) -> None:
        self.set_class(event.size.height < ROOM_FOR_WORDS, "-cramped")

    def tick(self, now: float) -> None:
        if self._voice is None:
            return
        self._since = now if self._since is None else self._since
        due = int((now - self._since) * SPOKEN_A_SECOND) - self._said
        if due <= 0:
            return
        self._said += due
        for piece in self._voice.speak(min(due, SPOKEN_A_SECOND)):
            self._spoken[piece.order] += safe_text(piece.text)
        self._spoken[-1] = self._spoken[-1][-MOST_SHOWN:]
        voice = self.query_one("#voice", Static)
        voice.update(voice_of(self._spoken, voice.size.width, voice.size.height), layout=False)

    def action_begin(self) -> None:
        if not self.world.starter.busy:
            self.world.starter.start("tales", **self.world.settings.run_options())
        self.playground.go("train")

    def action_corpus(self) -> None:
        self.playground.go("corpus")

    def action_play(self) -> None:
        self.playground.go("play")

    def _choices(self) -> Text:
        """The keys that lead on; they can be clicked."""
        text = Text(end="")
        starter = (("welcome.play", "play and talk with a small built-in GPT"),)
        for action, does in (
            ("welcome.begin", "train a small GPT on these tales, and watch"),
            *(starter if self.world.shelf.built_in is not None else ()),
            ("welcome.corpus", "choose another text, or one of your own"),
            ("app.help", "what every key does"),
        ):
            scope, _, name = action.partition(".")
            click = Style(meta={"@click": f"{'app' if scope == 'app' else 'screen'}.{name}"})
            text.append("\n" if text else "")
            text.append(f"{self.playground.key_of(action):<5}", click)
            text.append(f"  {does}", "bold" if action == "welcome.begin" else "")
        return text

    @work(thread=True, exit_on_error=False)
    def _open_book(self, chars_per_order: int) -> None:
        self._voice = Shannon(chars_per_order=chars_per_order)


def voice_of(spoken: list[str], width: int, height: int) -> Text:
    """What was spoken: a line for each number of letters remembered, and the end of what the last of them said in the lines left."""
    text = Text(no_wrap=True, end="")
    room = max(1, width - _LABEL)
    for order, said in enumerate(spoken):
        lines = [" ".join(said.split("\n"))[:room]]
        if order == MOST_ORDER:
            wrapped = [line for part in said.split("\n") for line in textwrap.wrap(part, room)]
            lines = wrapped[-max(1, height - order) :] or [""]
        for number, line in enumerate(lines if said else ()):
            text.append("\n" if text else "")
            text.append(f"{REMEMBERED[order] if number == 0 else '':<{_LABEL}}", "dim")
            text.append(line, "bold" if order == MOST_ORDER else "")
    return text


def make_screen() -> WelcomeScreen:
    return WelcomeScreen()
