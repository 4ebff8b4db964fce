"""The first launch: something speaks within a second, and one key starts a model that learns to do better.

Nobody has a model yet, so Shannon's procedure of 1948 speaks (`tinygpt_tui.play.shannon`), climbing from noise to something like words.
"""

from __future__ import annotations

from typing import Any, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from tinygpt_tui.bindings import bindings
from tinygpt_tui.play.shannon import Shannon
from tinygpt_tui.screens.mode_screen import ModeScreen
from tinygpt_tui.settings import seconds as seconds_of

SPOKEN_A_SECOND = 60
MOST_SHOWN = 4000  # characters
ABOUT = (
    "This is how far counting letters gets: the procedure by which Claude Shannon let chance write English in 1948, on the tales that are "
    "built in. A small GPT starts with noise, too. In a minute on this machine it overtakes every line below."
)


class WelcomeScreen(ModeScreen):
    """A voice and three choices."""

    mode = "welcome"
    CSS_PATH = "welcome.tcss"
    BINDINGS: ClassVar[list[Any]] = bindings("welcome")
    HELP = "Enter starts a model on the built-in tales. Everything else is a number key away."

    def __init__(self) -> None:
        super().__init__()
        self._voice: Shannon | None = None
        self._spoken = ""
        self._since: float | None = None
        self._said = 0

    def compose_body(self) -> ComposeResult:
        key = self.playground.key_of
        with Vertical(id="welcome"):
            yield Static("tinygpt", id="name", markup=False)
            yield Static(
                "A text file in, a talking model out, without leaving the terminal.",
                id="tagline",
                markup=False,
            )
            with Vertical(id="voice-panel", classes="panel"):
                yield Static("", id="voice", markup=False)
            yield Static(ABOUT, id="explained", markup=False)
            yield Static(
                f"{key('welcome.begin')}: train a model on the tales and watch      "
                f"{key('welcome.corpus')}: choose another text      {key('app.help')}: help",
                id="choices",
                markup=False,
            )

    def on_mount(self) -> None:
        self._open_book()

    def tick(self, now: float) -> None:
        if self._voice is None:
            return
        self._since = now if self._since is None else self._since
        due = int((now - self._since) * SPOKEN_A_SECOND) - self._said
        if due <= 0:
            return
        self._said += due
        title = self._voice.label
        spoken = self._voice.speak(min(due, SPOKEN_A_SECOND))
        self._spoken = (self._spoken + "".join(piece.text for piece in spoken))[-MOST_SHOWN:]
        voice = self.query_one("#voice", Static)
        width, height = max(1, voice.size.width), max(1, self.query_one("#voice-panel").size.height - 2)
        voice.update("\n".join(_last_lines(self._spoken, width, height)))
        self.query_one("#voice-panel").border_title = title

    def action_begin(self) -> None:
        if not self.world.starter.busy:
            seconds = seconds_of(self.world.settings.value("train.time")) or 120.0
            self.world.starter.start(
                "tales", minutes=seconds / 60, seed=self.world.settings.value("train.seed")
            )
        self.playground.go("train")

    def action_corpus(self) -> None:
        self.playground.go("corpus")

    def action_play(self) -> None:
        self.playground.go("play")

    @work(thread=True, exit_on_error=False)
    def _open_book(self) -> None:
        self._voice = Shannon()


def _last_lines(text: str, width: int, height: int) -> list[str]:
    """The end of a text in lines of at most `width`, broken anywhere: words are what it does not have yet."""
    lines = [line[at : at + width] for line in text.split("\n") for at in range(0, max(1, len(line)), width)]
    return lines[-height:]


def make_screen() -> WelcomeScreen:
    return WelcomeScreen()
