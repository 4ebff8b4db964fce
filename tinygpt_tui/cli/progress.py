"""How a run looks in a plain terminal: one line that is kept up to date, and above it what should stay.

A pure function turns what is known into a line of constant width, another takes in an event, and
`ProgressView` puts the two on a stream: in place on a terminal, as a plain line every few seconds into a
pipe. It never fails for want of someone to write to, because progress is no reason to lose a run. Text of the
model and of errors passes `safe_text`.
"""

from __future__ import annotations

import math
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self, TextIO

from engine.events import Backend, Control, Done, Eval, Event, Failed, Plan, Sample, Saved, Start, Step, Warn
from tinygpt_tui.cli.output import is_terminal, wants_color
from tinygpt_tui.safe_text import safe_line, safe_text

REDRAW_SECONDS = 0.1  # on a terminal: quicker than an eye reads, too slow to cost the training anything
PLAIN_SECONDS = 5.0  # into a pipe
_LATE_SECONDS = 1.0  # more training than the clock has seen: it was told after it had happened


@dataclass(frozen=True)
class Moment:
    """When a step was told: `clock` by the clock of whoever watches, `trained` by the seconds spent in updates."""

    step: int
    clock: float
    trained: float


@dataclass(frozen=True)
class Progress:
    """What is known of a run at a moment; None where nothing is known yet.

    Attributes:
        step, horizon: optimizer steps taken, and the step at which training is to end (0: unknown).
        loss, val_loss, best: nats per character.
        chars_per_s: characters learned per second.
        since: from where the pace is measured.
        seconds_per_step: all the time that passes for a step, what evaluations, samples and other programs take included.
    """

    step: int = 0
    horizon: int = 0
    loss: float | None = None
    val_loss: float | None = None
    best: float | None = None
    chars_per_s: float | None = None
    since: Moment | None = None
    seconds_per_step: float | None = None

    @property
    def seconds_left(self) -> float | None:
        if not self.horizon or self.seconds_per_step is None:
            return None
        return max(0, self.horizon - self.step) * self.seconds_per_step


def after(state: Progress, event: Event, now: float) -> Progress:
    """`state` with what `event` says taken in; `now` is the clock of whoever watches, in seconds."""
    if isinstance(event, Start):
        return Progress(step=event.from_step, horizon=event.horizon)
    if isinstance(event, Plan):
        return replace(state, horizon=event.horizon)
    if isinstance(event, Step):
        state = _paced(state, Moment(event.step, now, event.seconds))
        return replace(state, step=event.step, loss=event.loss, chars_per_s=event.chars_per_s)
    if isinstance(event, Eval):
        return replace(state, step=event.step, val_loss=event.val_loss, best=event.best_val_loss)
    if isinstance(event, Control) and event.do == "resume":
        return replace(state, since=None)  # a pause is no part of the pace
    if isinstance(event, Done):
        return replace(
            state,
            step=event.step,
            val_loss=event.val_loss,
            best=event.best_val_loss,
            chars_per_s=event.chars_per_s,
        )
    return state


def _paced(state: Progress, moment: Moment) -> Progress:
    """`state` with the pace since its first moment: the first step, slower than all others, is not in it.

    Who watches late hears in an instant what took minutes. Of that the seconds trained are all there is to go by.
    """
    since = state.since
    if since is None or moment.step <= since.step:
        return replace(state, since=moment)
    waited, trained = moment.clock - since.clock, moment.trained - since.trained
    pace = max(waited, trained) / (moment.step - since.step)
    late = trained > waited + _LATE_SECONDS
    return replace(state, since=moment if late else since, seconds_per_step=pace)


def format_line(state: Progress, width: int) -> str:
    """The line of `state`, at most `width` columns.

    Its length does not change as long as the horizon keeps its number of digits. Fields that do not fit are
    left out, the least important first.
    """
    digits = max(5, len(f"{state.horizon:,}"))
    of = f"/{state.horizon:,}" if state.horizon else ""
    share = f"{min(100, 100 * state.step // state.horizon):>3} %" if state.horizon else "  – %"
    fields = (  # text and rank: the highest rank leaves first
        (f"step {state.step:>{digits},}{of}", 0),
        (share, 4),
        (f"loss {_loss(state.loss)}", 1),
        (f"val {_loss(state.val_loss)}", 2),
        (f"best {_loss(state.best)}", 6),
        (f"{_rate(state.chars_per_s)} char/s", 5),
        (f"left {format_seconds(state.seconds_left):>7}", 3),
    )
    for kept in range(len(fields), 0, -1):
        line = "  ".join(text for text, rank in fields if rank < kept)
        if len(line) <= width:
            return line
    return line[: max(0, width)]


def format_transfer(name: str, done: int, total: int, width: int, doing: str = "fetching") -> str:
    """A line for `done` of `total` bytes of `name`, at most `width` columns, with a bar if there is room."""
    share = min(1.0, done / total) if total else 0.0
    head = f"{doing} {safe_line(name)}"
    tail = f"{100 * share:3.0f} %  {done / 1e6:6.2f} of {total / 1e6:.2f} MB"
    room = min(40, width - len(head) - len(tail) - 4)
    bar = f"  {'━' * round(share * room)}{'─' * (room - round(share * room))}" if room >= 8 else ""
    return f"{head}{bar}  {tail}"[: max(0, width)]


@contextmanager
def reading_line(*, quiet: bool = False) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error, on a terminal alone, for how much of a large text is read: to be told the bytes read and all bytes.

    There is none until it is told of some: for a text that is read in a moment nothing appears.
    """
    line = LiveLine.on(sys.stderr)

    def tell(read: int, total: int) -> None:
        if line.live and not quiet:
            line.show(
                lambda width: format_transfer("the text", read, total, width, "reading"), now=read >= total
            )
            if read >= total:  # the next pass gets a line of its own
                line.close()

    with line:
        yield tell


def format_seconds(seconds: float | None) -> str:
    """A length of time in two units, at most seven characters: "42s", "1m12s", "3h05m", "2d04h"."""
    if seconds is None or not math.isfinite(seconds):
        return "–"
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    if whole < 86_400:
        return f"{whole // 3600}h{whole % 3600 // 60:02}m"
    days = whole // 86_400
    return f"{days}d{whole % 86_400 // 3600:02}h" if days < 1000 else "> 999 d"


class LiveLine:
    """One line at the bottom that changes, lasting lines above it; into a pipe, a plain line now and then.

    Leaving it as a context manager leaves the cursor at the start of a clean line.

    Args:
        write: takes text for the stream; what it raises as OSError or ValueError is ignored.
        live: update in place, with terminal control sequences.
        columns: tells the width of the terminal, at each update since it may change.
        clock: seconds, never going back.
        every: seconds between two updates; more frequent ones are dropped.
    """

    def __init__(
        self,
        write: Callable[[str], object],
        *,
        live: bool,
        columns: Callable[[], int] = lambda: shutil.get_terminal_size().columns,
        clock: Callable[[], float] = time.monotonic,
        every: float | None = None,
    ) -> None:
        self.live = live
        self._write = write
        self._columns = columns
        self._clock = clock
        self._every = every if every is not None else REDRAW_SECONDS if live else PLAIN_SECONDS
        self._due = -math.inf
        self._drawn = ""

    @classmethod
    def on(cls, stream: TextIO | None) -> Self:
        """The right kind of line for `stream`."""
        import os

        def write(text: str) -> None:
            if stream is not None:
                stream.write(text)
                stream.flush()

        return cls(write, live=is_terminal(stream) and os.environ.get("TERM", "") not in ("", "dumb"))

    def show(self, line: Callable[[int], str], *, now: bool = False) -> None:
        """Puts up the line that `line` makes for a given width, unless the last one is too recent.

        Args:
            now: whatever the time.
        """
        at = self._clock()
        if at < self._due and not now:
            return
        self._due = at + self._every
        # One column stays free: a cursor in the last one makes some terminals wrap.
        text = line(self._columns() - 1 if self.live else 200)
        if self.live:
            self._put(f"\r{text}\x1b[K")
            self._drawn = text
        else:
            self._put(f"{text}\n")

    def say(self, text: str) -> None:
        """Writes lasting lines above the changing one. `text` must be safe for a terminal."""
        if not self._drawn:
            self._put(f"{text}\n")
            return
        self._put(f"\r\x1b[K{text}\n{self._drawn}")

    def close(self) -> None:
        """Ends the changing line, leaving what it showed last. More may follow."""
        if self._drawn:
            self._drawn = ""
            self._put("\n")

    def _put(self, text: str) -> None:
        with suppress(OSError, ValueError):
            self._write(text)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class ProgressView:
    """Shows a run's events as they come.

    Args:
        line: where to show them; None is `--quiet`.
        color: samples may be dimmed with a control sequence.
        clock: seconds, never going back.
    """

    def __init__(
        self, line: LiveLine | None, *, color: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.state = Progress()
        self._line = line
        self._color = color
        self._clock = clock

    @classmethod
    def on(cls, stream: TextIO | None, *, quiet: bool = False, color: str = "auto") -> Self:
        """The right kind of view for `stream`; `color` is the setting output.color."""
        return cls(None if quiet else LiveLine.on(stream), color=wants_color(stream, color))

    def take(self, event: Event) -> None:
        """Takes in one event and shows what changed."""
        self.state = after(self.state, event, self._clock())
        if self._line is None:
            return
        if isinstance(event, Start):
            steps = f"from step {event.from_step:,} to {event.horizon:,}"
            self._line.say(f"{safe_line(event.run)}: {event.params:,} parameters, {steps}")
        elif isinstance(event, Sample):
            self._line.say(self._sample(event))
        elif isinstance(event, Warn):
            self._line.say(f"warning: {safe_line(event.message)}")
        elif isinstance(event, Backend):
            self._line.say(f"step {event.step:,}: computing with {safe_line(event.name)}")
        elif isinstance(event, Control):
            value = "" if event.value is None else f" {event.value:g}"
            self._line.say(f"step {event.step:,}: {safe_line(event.do)}{value}")
        elif isinstance(event, Done):
            self._line.show(self._format, now=True)
            self._line.close()
            self._line.say(_ending(event))
        elif isinstance(event, Failed):
            self._line.close()
            self._line.say(f"failed at step {event.step:,}: {safe_line(event.reason)}")
        elif isinstance(event, (Step, Eval)):
            # Into a pipe every evaluation is worth its line; on a terminal the next redraw shows it.
            self._line.show(self._format, now=isinstance(event, Eval) and not self._line.live)
        else:
            assert isinstance(
                event, (Plan, Saved)
            )  # nothing to say: the line shows a plan, a log would drown in saves

    def close(self) -> None:
        """Leaves the terminal clean, whatever happened."""
        if self._line is not None:
            self._line.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _format(self, width: int) -> str:
        return format_line(self.state, width)

    def _sample(self, event: Sample) -> str:
        text = "\n".join(f"  {line}" for line in safe_text(event.prompt + event.text).split("\n"))
        dimmed = f"\x1b[2m{text}\x1b[22m" if self._color else text
        return f"step {event.step:,} writes:\n{dimmed}"


def _ending(event: Done) -> str:
    seconds = event.seconds if event.wall_seconds is None else event.wall_seconds
    took = f"{event.step:,} step{'s' * (event.step != 1)} and {format_seconds(seconds)}"
    if event.reason == "stopped":
        ended = f"stopped after {took}"
    else:
        ended = f"done after {took} ({safe_line(event.reason)})"
    best = f", best val_loss {_loss(event.best_val_loss).strip()} nats per character"
    return f"{safe_line(event.run)}: {ended}{best}"


def _loss(value: float | None) -> str:
    shown = f"{value:6.3f}" if value is not None and math.isfinite(value) else ""
    return shown if len(shown) == 6 else "     –"


def _rate(value: float | None) -> str:
    """Six columns: "24.3 k"."""
    if value is None or not math.isfinite(value) or value < 0:
        return "     –"
    for unit in ("", "k", "M", "G"):
        if value < 999.5:
            return f"{value:4.0f} {unit:1}" if not unit or value >= 99.95 else f"{value:4.1f} {unit}"
        value /= 1000
    return " > 1 T"
