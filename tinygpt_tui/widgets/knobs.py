"""The knobs of the sampler, of the dice and of the speed: turned by wheel, mouse and keys, or typed; they never wait and are never grey.

Left out: which values there are (`tinygpt_tui.widgets.knob_specs`), and what a turned knob does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widget import Widget

from engine.errors import SettingsError
from tinygpt_tui.widgets.knob_specs import KnobSpec as KnobSpec
from tinygpt_tui.widgets.knob_specs import Value

TYPED_LIMIT = 24
MIN_SLIDER = 6  # cells
SLIDER_COLUMN, SCALE_CELLS = 18, 8


class Knob(Widget, can_focus=True):
    """One setting on one line, with a slider where there is room."""

    HELP = """
## Knobs

Whatever you turn acts on the very next character.

* `←` `→`, the wheel, or dragging the slider: turn it. `home`, `end`: to an end of its scale.
* A digit, `enter`, or a click on the number: type a value; `enter` takes it, `esc` does not.
* `…` behind a value: it is asked for and not in force yet.
"""

    DEFAULT_CSS = """
    Knob {
        height: 1; width: 1fr; text-wrap: nowrap; text-overflow: clip;
        background: $background; color: $foreground;
        & > .knob--label { color: $text-muted; }
        & > .knob--focused { text-style: reverse; }
        & > .knob--value { text-style: bold; }
        & > .knob--done { color: $primary; }
        & > .knob--handle { color: $accent; text-style: bold; }
        & > .knob--left { color: $text-muted; }
        & > .knob--typed { text-style: bold underline; }
        & > .knob--refused { color: $error; text-style: bold; }
    }
    Knob:ansi { background: ansi_default; }
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"knob--{part}"
        for part in ("label", "focused", "value", "done", "handle", "left", "typed", "refused")
    }

    BINDINGS: ClassVar[list[Any]] = [
        Binding("left", "turn(-1)", "less", show=False),
        Binding("right", "turn(1)", "more", show=False),
        Binding("home", "to_end(0)", "least", show=False),
        Binding("end", "to_end(1)", "most", show=False),
        Binding("enter", "edit", "type a value", show=False),
    ]

    class Turned(Message):
        """A setting is to have another value."""

        def __init__(self, name: str, value: Value) -> None:
            super().__init__()
            self.name, self.value = name, value

    class Refused(Message):
        """What was typed is no value of the setting; `sentence` says why."""

        def __init__(self, name: str, sentence: str) -> None:
            super().__init__()
            self.name, self.sentence = name, sentence

    def __init__(self, spec: KnobSpec, value: Value, *, slider: bool = True, separator: bool = False) -> None:
        """`separator` draws a dot in front, for knobs that share a line."""
        super().__init__(id=f"knob-{spec.name}")
        self.spec, self._value = spec, value
        self._slider, self._separator = slider and bool(spec.notches), separator
        self._pending = False
        self._typed: str | None = None
        self._refused = False
        self._dragging = False
        self._track = (0, 0)  # first column and cells of the slider as it was last drawn
        self._number = (0, 0)  # columns of the value

    @property
    def value(self) -> Value:
        """Where it stands."""
        return self._value

    def show(self, value: Value, pending: bool = False) -> None:
        """Where it stands now; `pending` if that is not in force yet. While it is dragged, the hand is right."""
        if self._dragging and value != self._value:
            return
        if (value, pending) != (self._value, self._pending):
            self._value, self._pending = value, pending
            self.refresh()

    def turn(self, notches: int) -> None:
        """Turns it to the right, or below 0 to the left."""
        self._set(self.spec.turned(self._value, notches))

    def action_turn(self, notches: int) -> None:
        self.turn(notches)

    def action_to_end(self, end: int) -> None:
        if self.spec.notches:
            self._set(self.spec.notches[-end])

    def action_edit(self) -> None:
        self._edit("")

    def on_key(self, event: events.Key) -> None:
        character = event.character or ""
        if self._typed is None:
            if character.isdecimal() or (character in ".," and character and not self.spec.whole):
                event.stop()
                event.prevent_default()
                self._edit(character)
            return
        # While a value is typed, every key that types or edits belongs to it.
        if event.key == "escape":
            self._edit(None)
        elif event.key == "enter":
            self._take()
        elif event.key == "backspace":
            self._edit(self._typed[:-1])
        elif event.key in ("ctrl+u", "delete"):
            self._edit("")
        elif event.is_printable and character:
            self._edit((self._typed + character)[:TYPED_LIMIT])
        elif event.key not in ("left", "right", "home", "end"):
            return
        event.stop()
        event.prevent_default()

    def on_paste(self, event: events.Paste) -> None:
        event.stop()
        line = event.text[: 4 * TYPED_LIMIT].strip()
        self._edit("".join(character for character in line if character.isprintable())[:TYPED_LIMIT])

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self._edit(None)

    def on_mouse_down(self, event: events.MouseDown) -> None:
        first, cells = self._track
        if cells and first <= event.x < first + cells and event.button == 1:
            self._edit(None)
            self._dragging = True
            self.capture_mouse()
            self._drag(event.x)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        if self._dragging:
            self._drag(event.x)

    def on_mouse_up(self) -> None:
        if self._dragging:
            self._dragging = False
            self.release_mouse()

    def on_click(self, event: events.Click) -> None:
        first, last = self._number
        if first <= event.x < last:
            self._edit("")

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.turn(1)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.turn(-1)

    @property
    def allow_select(self) -> bool:
        return False

    def render(self) -> Text:
        width, spec = self.size.width, self.spec
        text = Text(no_wrap=True, overflow="crop", end="")
        if self._separator:
            text.append("· ", self._style("left"))
        label = self._style("label") + (self._style("focused") if self.has_focus else Style())
        text.append(spec.label, label)
        text.append(" ")
        begin = text.cell_len
        self._track = (0, 0)
        if self._typed is not None:
            room = max(1, width - begin - 2)  # the end is what one is typing
            text.append(self._typed[-room:] or " ", self._style("typed"))
            text.append("▏", self._style("handle"))
            if self._refused:
                text.append("!", self._style("refused"))
            told = f"  not within {spec.range}" if self._refused else f"  {spec.range}"
            if text.cell_len + cell_len(told) <= width:
                text.append(told, self._style("refused" if self._refused else "left"))
        else:
            text.append(spec.shown(self._value), self._style("value"))
            text.append("…" if self._pending else " ", self._style("handle"))
        self._number = (begin, text.cell_len)
        if self._typed is None and self._slider:
            self._add_slider(text, width)
        return text

    def _add_slider(self, text: Text, width: int) -> None:
        first, last = self.spec.notches[0], self.spec.notches[-1]
        ends = f" {self._end(first)} … {self._end(last)}".ljust(SCALE_CELLS)
        column = max(
            text.cell_len, SLIDER_COLUMN
        )  # knobs below each other have their sliders below each other
        room = width - column - cell_len(ends)
        if room < MIN_SLIDER:
            ends, room = "", width - column
        if room < MIN_SLIDER:
            return
        text.append(" " * (column - text.cell_len))
        done = round(self.spec.position(self._value) * (room - 1))
        text.append("━" * done, self._style("done"))
        text.append("●", self._style("handle"))
        text.append("─" * (room - 1 - done) + ends, self._style("left"))
        self._track = (column, room)

    def _end(self, value: Value) -> str:
        return "∞" if value is None else self.spec.words.get(value, f"{value:g}")

    def _drag(self, x: int) -> None:
        first, cells = self._track
        if cells > 1:
            self._set(self.spec.at((x - first) / (cells - 1)))

    def _set(self, value: Value) -> None:
        if value != self._value:
            self._value, self._pending = value, True
            self.refresh()
            self.post_message(self.Turned(self.spec.name, value))

    def _edit(self, typed: str | None) -> None:
        if typed != self._typed or self._refused:
            self._typed, self._refused = typed, False
        self.refresh()

    def _take(self) -> None:
        typed = self._typed or ""
        if not typed.strip():
            self._edit(None)
            return
        try:
            value = self.spec.read(typed)
        except SettingsError as error:
            self._refused = True
            self.refresh()
            self.post_message(self.Refused(self.spec.name, str(error)))
            return
        self._edit(None)
        self._set(value)

    def _style(self, part: str) -> Style:
        return self.get_component_rich_style(f"knob--{part}", partial=part in ("focused", "typed"))


class Knobs(Vertical):
    """Knobs in lines: one that has a line to itself has a slider, several on a line are only named and numbered."""

    HELP = Knob.HELP

    DEFAULT_CSS = """
    Knobs { height: auto; width: 1fr; }
    Knobs > Horizontal { height: 1; width: 1fr; }
    """

    def __init__(
        self,
        specs: Iterable[KnobSpec],
        values: Mapping[str, Value],
        rows: Sequence[Sequence[str]] | None = None,
        *,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        """`rows` are the names of the knobs in each line; without them every knob has its own."""
        super().__init__(id=id, classes=classes)
        self._specs = {spec.name: spec for spec in specs}
        self._values = dict(values)
        self._lines = [list(row) for row in rows] if rows else [[name] for name in self._specs]

    def compose(self) -> ComposeResult:
        for row in self._lines:
            knobs = [
                Knob(self._specs[name], self._values.get(name), slider=len(row) == 1, separator=at > 0)
                for at, name in enumerate(row)
            ]
            if len(knobs) == 1:
                yield knobs[0]
            else:
                with Horizontal():
                    yield from knobs
