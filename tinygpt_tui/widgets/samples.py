"""What a model wrote at its steps, the newest on top, so that scrolling down goes back to noise.

Left out: where samples come from. Texts are made safe here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.widget import Widget

from engine.events import Sample
from tinygpt_tui.safe_text import safe_text


class _Written(Widget):
    """A text in the colours of the moment: it is made whenever it is drawn, so that a change of theme is seen in all of it."""

    def __init__(self, text: Callable[[], Text], *, id: str) -> None:
        super().__init__(id=id)
        self._made = text

    def render(self) -> Text:
        return self._made()


class Samples(VerticalScroll, inherit_bindings=False):
    """Samples to read; one that comes while a person reads older ones moves nothing."""

    HELP = "What the model writes as it learns, the newest on top; scroll down to see how it began."
    DEFAULT_CSS = """
    Samples {
        background: $background;
        & > .samples--head { color: $text-muted; }
        & > .samples--prompt { text-style: bold; }
        & > .samples--older { color: $text-muted; }
        & > #samples-text { height: auto; width: 1fr; }
    }
    Samples:ansi > .samples--head, Samples:ansi > .samples--older { color: ansi_default; text-style: dim; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"samples--head", "samples--prompt", "samples--older"}
    # Not left and right: they belong to the chart.
    BINDINGS: ClassVar[list[Any]] = [
        Binding("up", "scroll_up", "up", show=False),
        Binding("down", "scroll_down", "down", show=False),
        Binding("pageup", "page_up", "page up", show=False),
        Binding("pagedown", "page_down", "page down", show=False),
        Binding("home", "scroll_home", "newest", show=False),
        Binding("end", "scroll_end", "oldest", show=False),
    ]

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._shown: tuple[Sample, ...] = ()
        self._waiting = ""
        self._owner = ""

    def compose(self) -> ComposeResult:
        yield _Written(self._text, id="samples-text")

    def show(self, owner: str, samples: Sequence[Sample], waiting: str) -> None:
        """Shows what a run wrote.

        Args:
            owner: its name.
            samples: in the order they were written.
            waiting: what is said as long as there is none.
        """
        new, other = tuple(samples), owner != self._owner
        if not other and (new, waiting if not new else "") == (self._shown, self._waiting):
            return
        self._owner, self._shown, self._waiting = owner, new, waiting if not new else ""
        reading = self.scroll_y > 0 and not other
        before = self.virtual_size.height
        self._write()
        if reading:
            self.call_after_refresh(self._stay, before)
        elif self.scroll_y:
            self.scroll_home(animate=False)

    def _stay(self, before: int) -> None:
        self.scroll_to(y=self.scroll_y + self.virtual_size.height - before, animate=False, immediate=True)

    def _write(self) -> None:
        self.border_title = (
            f"what it writes · step {self._shown[-1].step:,}" if self._shown else "what it writes"
        )
        self.border_subtitle = f"{len(self._shown) - 1} older below" if len(self._shown) > 1 else ""
        self.query_one(_Written).refresh(layout=True)

    def _text(self) -> Text:
        head, prompt, older = (
            self.get_component_rich_style(f"samples--{part}", partial=True)
            for part in ("head", "prompt", "older")
        )
        if not self._shown:
            return Text(safe_text(self._waiting), style=head)
        text = Text(end="")
        for number, sample in enumerate(reversed(self._shown)):
            if number:
                text.append(f"\n\nstep {sample.step:,}\n", head)
            if sample.prompt:
                text.append(safe_text(sample.prompt), prompt)
            written = safe_text(sample.text) if sample.prompt else safe_text(sample.text).lstrip("\n")
            text.append(written.rstrip("\n"), older if number else "")
        return text
