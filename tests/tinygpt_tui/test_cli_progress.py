"""Progress in a plain terminal: a line of constant width, a clean screen afterwards, and never in the way of a run."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.events import Backend, Control, Done, Eval, Event, Failed, Plan, Sample, Saved, Start, Step, Warn
from tinygpt_tui.cli.progress import (
    LiveLine,
    Progress,
    ProgressView,
    after,
    format_line,
    format_seconds,
    format_transfer,
)

START = Start("tales-01", 0, 1_800_000, 2_000)
HOSTILE = "\x1b]0;x\x07\x9b2J\r\nb"


def step(n: int, seconds: float | None = None, loss: float | None = 1.5) -> Step:
    return Step(n, loss, 1e-3, 24_300.0, 0.5, n * 100, n * 0.1 if seconds is None else seconds)


def story(*events: Event, wait: float = 0.1) -> Progress:
    """What is known after `events`, of which each was told `wait` seconds after the one before."""
    state = Progress()
    for number, event in enumerate(events):
        state = after(state, event, 100.0 + number * wait)
    return state


class Screen:
    """Understands just what a live line may use: text, newline, carriage return, and "erase to the end of the line"."""

    def __init__(self) -> None:
        self.lines = [""]
        self.column = 0
        self.written: list[str] = []

    def write(self, text: str) -> None:
        self.written.append(text)
        for part in re.findall(r"\x1b\[K|\x1b\[2m|\x1b\[22m|[^\x1b]", text):
            if part == "\x1b[K":
                self.lines[-1] = self.lines[-1][: self.column]
            elif part == "\r":
                self.column = 0
            elif part == "\n":
                self.lines.append("")
                self.column = 0
            elif len(part) == 1:
                self.lines[-1] = self.lines[-1][: self.column] + part + self.lines[-1][self.column + 1 :]
                self.column += 1
        rest = re.sub(r"\x1b\[K|\x1b\[2m|\x1b\[22m", "", text)
        assert "\x1b" not in rest and "\x07" not in rest and "\x9b" not in rest


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def view_on(
    screen: Screen, clock: Clock, *, live: bool, columns: int = 100, color: bool = False
) -> ProgressView:
    line = LiveLine(screen.write, live=live, columns=lambda: columns, clock=clock)
    return ProgressView(line, color=color, clock=clock)


def test_the_line_tells_what_is_known() -> None:
    state = story(START, step(1), step(2), Eval(2, 1.62, 1.6, 200, 0.2))
    assert format_line(state, 200) == (
        "step     2/2,000    0 %  loss  1.500  val  1.620  best  1.600  24.3 k char/s  left   3m20s"
    )


def test_the_time_left_follows_the_pace_and_the_plan() -> None:
    state = story(START, *(step(n) for n in range(1, 101)))
    assert state.seconds_left == pytest.approx(190)
    assert after(state, Plan(100, 0, 1_100), 111.0).seconds_left == pytest.approx(100)
    assert after(state, Plan(100, 0, 50), 111.0).seconds_left == 0
    resumed = story(Start("x", 500, 10, 1_000), step(501, 50.0), step(502, 50.5), wait=0.5)
    assert resumed.seconds_left == pytest.approx(498 * 0.5)


def test_the_time_left_counts_what_is_not_training() -> None:
    # Of each half second only a tenth is spent in the update; the rest goes to evaluations, samples and other programs.
    state = story(START, *(step(n) for n in range(1, 101)), wait=0.5)
    assert state.seconds_left == pytest.approx(1_900 * 0.5)


def test_the_time_left_of_a_run_that_was_watched_late_is_the_trainers_until_the_clock_knows_better() -> None:
    late = story(START, *(step(n) for n in range(1, 1_001)), wait=1e-6)
    assert late.seconds_left == pytest.approx(1_000 * 0.1)
    for n in range(1, 501):
        late = after(late, step(1_000 + n), 101.0 + 0.5 * n)
    assert late.seconds_left == pytest.approx(500 * 0.5, rel=0.05)


def test_a_pause_is_no_part_of_the_pace() -> None:
    state = story(START, step(1), step(2), Control("a", 2, "pause"))
    state = after(state, Control("b", 2, "resume"), 5_000.0)
    assert state.seconds_left == pytest.approx(1_998 * 0.1)
    state = after(after(state, step(3), 5_000.1), step(4), 5_000.2)
    assert state.seconds_left == pytest.approx(1_996 * 0.1)


def test_an_evaluation_tells_the_step_it_was_made_at() -> None:
    assert story(START, Eval(150, 1.852, 1.852, 200, 15.0)).step == 150


def test_the_time_left_is_never_absurd_when_the_clock_is() -> None:
    state = story(START, step(5, 10.0), step(6, 1.0), step(6, 1.0), step(7, 1.0), step(8, math.nan))
    assert state.seconds_left is not None and 0 <= state.seconds_left < 86_400
    assert story(START).seconds_left is None and story(START, step(1)).seconds_left is None


numbers = st.none() | st.floats() | st.floats(0, 50)
states = st.builds(
    Progress,
    step=st.integers(0, 5_000),
    horizon=st.just(5_000),
    loss=numbers,
    val_loss=numbers,
    best=numbers,
    chars_per_s=numbers,
    seconds_per_step=numbers,
)


@example(Progress(horizon=5_000, best=-10.0))
@example(Progress(horizon=5_000, val_loss=99.9996))
@given(states)
def test_the_width_of_the_line_does_not_change_with_what_it_shows(state: Progress) -> None:
    assert len(format_line(state, 200)) == len(format_line(Progress(horizon=5_000), 200))


@given(states, st.integers(0, 120))
def test_the_line_never_exceeds_the_terminal(state: Progress, width: int) -> None:
    assert len(format_line(state, width)) <= width


def test_a_narrow_terminal_loses_the_least_important_first() -> None:
    state = story(START, step(1), step(2), Eval(2, 1.62, 1.6, 200, 0.2))
    shown = [format_line(state, width) for width in (80, 60, 45, 30, 15)]
    assert ["best" in line for line in shown] == [False] * 5
    assert ["char/s" in line for line in shown] == [True, False, False, False, False]
    assert ["left" in line for line in shown] == [True, True, False, False, False]
    assert ["val" in line for line in shown] == [True, True, True, False, False]
    assert all(line.startswith("step     2/2,000") or len(line) == 15 for line in shown)


def test_on_a_terminal_one_line_changes_in_place_and_the_screen_is_clean_at_the_end() -> None:
    screen, clock = Screen(), Clock()
    with view_on(screen, clock, live=True) as view:
        view.take(START)
        for n in range(1, 400):
            clock.now += 0.05
            view.take(step(n))
        assert len(screen.lines) == 2 and screen.lines[0].startswith("tales-01: 1,800,000 parameters")
        assert re.match(r"step   39[89]/2,000", screen.lines[1])
        assert len(screen.lines[1]) < 100
    assert screen.lines[-1] == "" and len(screen.lines) == 3


def test_the_terminal_is_clean_after_an_interrupt() -> None:
    screen, clock = Screen(), Clock()
    with pytest.raises(KeyboardInterrupt), view_on(screen, clock, live=True) as view:
        view.take(step(1))
        raise KeyboardInterrupt
    assert screen.lines[-1] == ""


def test_redraws_are_limited_on_a_terminal_and_rare_in_a_pipe() -> None:
    for live, at_most in ((True, 11), (False, 1)):
        screen, clock = Screen(), Clock()
        view = view_on(screen, clock, live=live)
        for n in range(1_000):
            clock.now += 0.001
            view.take(step(n))
        assert 1 <= len(screen.written) <= at_most


def test_into_a_pipe_go_plain_whole_lines() -> None:
    screen, clock = Screen(), Clock()
    with view_on(screen, clock, live=False) as view:
        for event in (START, step(1), step(2), Eval(2, 1.62, 1.6, 200, 0.2), Saved(2, "checkpoints/step-2")):
            view.take(event)
        clock.now += 5
        view.take(step(3))
    written = "".join(screen.written)
    assert "\x1b" not in written and "\r" not in written and written.endswith("\n")
    assert [line.split()[0] for line in written.splitlines()] == ["tales-01:", "step", "step", "step"]
    assert "val  1.620" in written.splitlines()[2]


def test_samples_and_warnings_stay_above_the_line_and_are_harmless() -> None:
    screen, clock = Screen(), Clock()
    with view_on(screen, clock, live=True, color=True) as view:
        view.take(step(1))
        view.take(Sample(1, "Once", HOSTILE))
        view.take(Warn(1, HOSTILE))
        assert screen.lines[:4] == [
            "step 1 writes:",
            "  Once␛]0;x␇\ufffd2J␍",
            "  b",
            "warning: ␛]0;x␇\ufffd2J␍␊b",
        ]
        assert screen.lines[4].startswith("step     1")
        assert "\x1b[2m  Once" in "".join(screen.written)


@pytest.mark.parametrize("live", [True, False])
def test_without_colour_nothing_is_dimmed(live: bool) -> None:
    screen = Screen()
    view_on(screen, Clock(), live=live).take(Sample(1, "", "text"))
    assert "\x1b[2m" not in "".join(screen.written)


def test_the_end_of_a_run_is_told() -> None:
    for live in (True, False):
        screen, clock = Screen(), Clock()
        with view_on(screen, clock, live=live) as view:
            view.take(step(1))
            view.take(Done("tales-01", 2_000, 1.7, 1.62, 10, 192.0, 1.0, 10, "steps"))
        assert screen.lines[-2:] == [
            "tales-01: done after 2,000 steps and 3m12s (steps), best val_loss 1.620 nats per character",
            "",
        ]
        with view_on(screen, clock, live=live) as view:
            view.take(Done("tales-01", 2_000, 1.7, 1.62, 10, 18.0, 1.0, 10, "time", wall_seconds=60.2))
        assert "done after 2,000 steps and 1m00s (time)" in screen.lines[-2]
        view.take(Done("tales-01", 1, None, None, 10, 2.0, 1.0, 10, "stopped"))
        assert screen.lines[-2].startswith("tales-01: stopped after 1 step and 2s, best val_loss")
        view.take(Failed("the loss is not finite\x1b", 1, 7))
        assert screen.lines[-2] == "failed at step 7: the loss is not finite␛"


EVERY_KIND: tuple[Event, ...] = (
    START,
    Plan(1, 0, 10),
    step(1),
    step(2, loss=None),
    Step(3, math.nan, 0.0, math.inf, None, 0, 0.0),
    Eval(3, None, None, 0, 0.0),
    Sample(3, "", ""),
    Control("x", 3, "lr", 0.5),
    Control("y", 3, "pause"),
    Backend(3, "compiled", "inductor"),
    Saved(3, "p"),
    Warn(3, "w"),
    Done("r", 3, None, None, 0, 0.0, 0.0, 0, "stop"),
    Failed("f", 1, 3),
)


@pytest.mark.parametrize("live", [True, False])
def test_every_event_can_be_shown_and_a_lost_terminal_is_no_error(live: bool) -> None:
    def broken(text: str) -> None:
        raise BrokenPipeError

    writers: tuple[Callable[[str], None], ...] = (Screen().write, broken)
    for write in writers:
        with ProgressView(LiveLine(write, live=live, columns=lambda: 0)) as view:
            for event in EVERY_KIND:
                view.take(event)


def test_quiet_says_nothing_and_still_knows(capsys: pytest.CaptureFixture[str]) -> None:
    import sys

    with ProgressView.on(sys.stderr, quiet=True) as view:
        for event in (START, step(1)):
            view.take(event)
    assert capsys.readouterr() == ("", "") and view.state.step == 1


def test_captured_stderr_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    import sys

    with ProgressView.on(sys.stderr) as view:
        view.take(step(1))
    assert capsys.readouterr().err.startswith("step     1") and "\x1b" not in capsys.readouterr().err


def test_lengths_of_time_in_seven_columns() -> None:
    lengths = [0, 42.4, 59.6, 72, 3599.6, 11_100, 187_200, 1e12, -5, math.nan, math.inf, None]
    shown = [format_seconds(s) for s in lengths]
    assert shown == [
        "0s",
        "42s",
        "1m00s",
        "1m12s",
        "1h00m",
        "3h05m",
        "2d04h",
        "> 999 d",
        "0s",
        "–",
        "–",
        "–",
    ]


@given(st.text(max_size=30), st.integers(0, 10**7), st.integers(0, 10**7), st.integers(0, 120))
def test_a_transfer_fits_its_line(name: str, done: int, total: int, width: int) -> None:
    line = format_transfer(name, done, total, width)
    assert len(line) <= width and "\n" not in line
