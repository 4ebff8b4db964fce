"""Train: a run's curve, its figures and what it writes, as it learns; and the keys that steer it.

Any run of this machine can be looked at, whoever started it. Left out: what is said of a run (`tinygpt_tui.screens.train_view`),
and how it becomes known (`tinygpt_tui.sources.run_watch`).
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.containers import Center, Container, Horizontal, Vertical, VerticalScroll
from textual.widgets import Button, Static

from engine.errors import UsageError
from tinygpt_tui import figures
from tinygpt_tui.bindings import bindings
from tinygpt_tui.files import free_path, write_new
from tinygpt_tui.screens.corpus_words import in_plain_words
from tinygpt_tui.screens.dialogs import Choose, title_of
from tinygpt_tui.screens.train_steering import Steering
from tinygpt_tui.screens.train_view import (
    MOST_COMPARED,
    NEW_RUN,
    News,
    chart_of,
    curve_text,
    facts_of,
    log_of,
    news_of,
    overtaken_in,
    short_facts_of,
    starting_facts,
    tabs_of,
    waiting_for,
)
from tinygpt_tui.sources.run_picture import RunPicture
from tinygpt_tui.sources.run_starter import Starting
from tinygpt_tui.widgets.chart_data import ChartData
from tinygpt_tui.widgets.facts import Facts
from tinygpt_tui.widgets.loss_chart import LossChart
from tinygpt_tui.widgets.run_tabs import RunTabs
from tinygpt_tui.widgets.samples import Samples

REDRAW_SECONDS = 0.25
MOST_WATCHED = 6  # runs that keep their tab


class TrainScreen(Steering):
    """One run at a time, and others behind it."""

    mode = "train"
    CSS_PATH = "train.tcss"
    BINDINGS: ClassVar[list[Any]] = bindings("train")
    HELP = "The curve falls as the model learns. What you ask of the trainer acts at its next step, and leaves a tick on the curve."

    def __init__(self) -> None:
        super().__init__()
        self._run: str | None = None  # the one that is shown; NEW_RUN while it has no name
        self._shown: object = None
        self._listed: object = None
        self._news: News | None = None
        self._titled: tuple[str, str] | None = None
        self._drawn = 0.0
        self._hurry = True  # a person has done something: its effect is not kept waiting
        self._watched: list[str] = []
        self._overtaken: dict[str, int] = {}  # rungs that have been told of
        self._dismissed: Starting | None = None
        self._keys: object = None  # those that the footer leaves out, and what it calls others

    def compose_body(self) -> ComposeResult:
        yield RunTabs(id="train-tabs")
        with Container(id="train-panels"):
            yield LossChart(id="train-chart", classes="panel")
            with VerticalScroll(id="train-run", classes="panel", can_focus=False):
                yield Facts(id="train-facts")
            yield Facts(id="train-short")
            yield Samples(id="train-samples", classes="panel")
        with Vertical(id="train-empty"):
            with Center():
                yield Static("", id="train-empty-text", markup=False)
            with Horizontal(id="train-empty-buttons"):
                yield Button("Choose a text", id="train-choose", variant="primary")
                yield Button("Begin with the built-in tales", id="train-begin")
        yield Static("", id="train-news", markup=False)

    def on_mount(self) -> None:
        self.query_one("#train-empty").display = False
        self.query_one(LossChart).focus()

    def on_screen_resume(self) -> None:
        self.show_soon()

    def on_resize(self, event: events.Resize) -> None:
        self.show_soon()

    def on_run_tabs_chosen(self, event: RunTabs.Chosen) -> None:
        if event.name != NEW_RUN:
            self._look_at(event.name)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        if event.button.id in ("train-choose", "train-begin"):
            self.playground.go("corpus" if event.button.id == "train-choose" else "welcome")

    def tick(self, now: float) -> None:
        starting = self.world.starter.snapshot
        if starting.state == "failed" and starting.run is None:
            self._dismissed = starting  # it has become no run to look at; the playground tells of it
        name = NEW_RUN if starting.state == "reading" else self.world.current_run
        if name != self._run:
            self._turn_to(name)
        picture = self.world.picture(name) if name else None
        behind = self._behind()
        shown = (name, picture and picture.version, [(p.name, p.version) for p in behind], starting,
                 self._dismissed, self.query_one(LossChart).data.unit,
                 self._width_of("#train-facts"), self._width_of("#train-short"))  # fmt: skip
        if (keys := (self.hidden_keys(), self.key_labels())) != self._keys:
            self._keys = keys
            self.refresh_bindings()
        if not self._hurry and (shown == self._shown or now - self._drawn < REDRAW_SECONDS):
            self._list()
            return
        self._shown, self._drawn, self._hurry = shown, now, False
        self._list()
        self.query_one("#train-panels").display = name is not None
        self.query_one("#train-tabs").display = name is not None
        self.query_one("#train-empty").display = name is None
        if picture is not None:
            self._show(picture, behind)
        elif name == NEW_RUN:
            self._show_starting(starting)
        else:
            self._show_empty(starting)

    def picture(self) -> RunPicture:
        """The run that is shown. Raises UsageError when there is none."""
        if not self._run:
            key = self.playground.key_of("app.corpus")
            waiting = "The run is just being started: a moment." if self._run == NEW_RUN else None
            raise UsageError(waiting or f"There is no run yet: press {key} and choose a text to train on.")
        return self.world.picture(self._run)

    def show_soon(self) -> None:
        self._hurry = True

    def action_log_y(self) -> None:
        self.query_one(LossChart).toggle_log_y()

    def action_log_x(self) -> None:
        self.query_one(LossChart).toggle_log_x()

    def action_unit(self) -> None:
        self.query_one(LossChart).next_unit()
        self.show_soon()

    def action_zoom_in(self) -> None:
        self.query_one(LossChart).zoom_in()

    def action_zoom_out(self) -> None:
        self.query_one(LossChart).zoom_out()

    def action_zoom_reset(self) -> None:
        self.query_one(LossChart).zoom_reset()

    def action_cursor_left(self) -> None:
        self.query_one(LossChart).move_cursor(-1)

    def action_cursor_right(self) -> None:
        self.query_one(LossChart).move_cursor(1)

    def action_cursor_off(self) -> None:
        self.query_one(LossChart).cursor_off()
        self._dismissed = self.world.starter.snapshot

    def action_overlay(self) -> None:
        front = self.picture().name
        rows = [row for row in self.world.shelf.rows if row.name != front]
        options = [
            (
                row.name,
                f"{'▸' if row.name in self.world.compared else ' '} {row.label or row.name}  "
                f"{figures.loss(row.val_loss)}  {row.corpus or ''}",
            )
            for row in rows
        ]
        self.app.push_screen(
            Choose("compare with (again takes it away)", options, "There is no other run yet."), self._overlay
        )

    def action_next_run(self) -> None:
        self._step_tabs(1)

    def action_previous_run(self) -> None:
        self._step_tabs(-1)

    def action_save_curve(self) -> None:
        picture, chart = self.picture(), self.query_one(LossChart)
        stem = re.sub(r"[^\w.-]+", "_", picture.name) or "run"
        path = free_path(f"{stem}-loss", ".txt")
        write_new(path, curve_text(picture, str(chart.border_title), chart.summary(), chart.text()))
        self.playground.tell(f"Saved {path}")

    def _overlay(self, name: str | None) -> None:
        if name is None:
            return
        compared = self.world.compared
        if name in compared:
            self.world.compared = tuple(other for other in compared if other != name)
        elif len(compared) >= MOST_COMPARED:
            self.playground.tell(
                f"At most {MOST_COMPARED} curves can be told apart: take one away first.", "warning"
            )
        else:
            self.world.compared = (*compared, name)
        self.show_soon()

    def _behind(self) -> list[RunPicture]:
        known = self.world.run_names() if self.world.compared else []
        return [
            self.world.picture(other)
            for other in self.world.compared
            if other in known and other != self._run
        ]

    def _step_tabs(self, by: int) -> None:
        names = [name for name in self.query_one(RunTabs).names if name != NEW_RUN]
        if not names or names == [self._run]:
            raise UsageError("There is no other run to look at.")
        at = names.index(self._run) if self._run in names else -by
        self._look_at(names[(at + by) % len(names)])

    def _look_at(self, name: str) -> None:
        self.world.chosen_run = name
        self._dismissed = self.world.starter.snapshot
        self.show_soon()

    def _turn_to(self, name: str | None) -> None:
        """Another run comes to the front: its tab stays, and the chart shows all of it."""
        before, self._run = self._run, name
        chart = self.query_one(LossChart)
        chart.zoom_reset()
        chart.cursor_off()
        if name:
            if name in self._watched:
                self._watched.remove(name)
            self._watched = [*self._watched, name][-MOST_WATCHED:]
        if name is None:
            self.query_one("#train-choose").focus()
        elif before is None:
            chart.focus()
        self._listed = None
        self._hurry = True

    def _list(self) -> None:
        listed = (self.world.shelf.version, self._run)
        if listed != self._listed:
            self._listed = listed
            rows, new = self.world.shelf.rows, self._run == NEW_RUN
            self.query_one(RunTabs).show(tabs_of(rows, self._watched, self._run, new), self._run)

    def _show(self, picture: RunPicture, behind: list[RunPicture]) -> None:
        if picture.live and self.world.chosen_run is None:
            self.world.chosen_run = picture.name  # a run that begins elsewhere must not take the screen away
        chart = self.query_one(LossChart)
        chart.set_data(chart_of(picture, behind, chart.data.unit))
        unit = chart.data.unit
        self._show_facts(
            [*facts_of(picture, unit, self._width_of("#train-facts")), *log_of(picture)],
            short_facts_of(picture, unit, self._width_of("#train-short")),
        )
        self._title_run(
            picture.label or picture.name, "perplexity" if unit == "perplexity" else f"{unit} per character"
        )
        self.query_one(Samples).show(
            picture.name, picture.samples, waiting_for(picture, self.playground.key_of)
        )
        self._tell_overtaken(picture)
        starting = self.world.starter.snapshot
        if starting != self._dismissed and starting.state in ("starting", "failed"):
            bad = starting.state == "failed"
            text = f"{figures.STATES['failed' if bad else 'preparing']} {in_plain_words(starting.message)}"
            self._show_news(News(text, "bad" if bad else ""))
        else:
            self._show_news(news_of(picture, self.playground.key_of))

    def _show_starting(self, starting: Starting) -> None:
        self.query_one(LossChart).set_data(ChartData())
        lines = starting_facts(starting)
        self._show_facts(lines, lines)
        self._title_run("new run", "")
        self.query_one(Samples).show(NEW_RUN, (), "reading the text…")
        self._show_news(News(""))

    def _show_empty(self, starting: Starting) -> None:
        key = self.playground.key_of("app.corpus")
        about = (
            f"There is no run yet. Press {key} to choose a text, and train on it; or start one in any terminal, and it appears here:\n\n"
            "tinygpt train tales --time 1m"
        )
        self.query_one("#train-empty-text", Static).update(about)
        failed = starting.state == "failed" and starting != self._dismissed
        self._show_news(
            News(f"{figures.STATES['failed']} {in_plain_words(starting.message)}", "bad")
            if failed
            else News("")
        )

    def _show_facts(self, lines: list[Any], short: list[Any]) -> None:
        self.query_one("#train-facts", Facts).show(lines)
        self.query_one("#train-short", Facts).show(short)

    def _title_run(self, name: str, unit: str) -> None:
        if (name, unit) != self._titled:  # setting a title paints the panel
            self._titled = (name, unit)
            panel = self.query_one("#train-run")
            panel.border_title, panel.border_subtitle = title_of(name), title_of(unit)

    def _show_news(self, news: News) -> None:
        if news == self._news:
            return
        self._news = news
        line = self.query_one("#train-news", Static)
        line.set_classes(f"-{news.tone}" if news.tone else "")
        line.update(news.text)

    def _tell_overtaken(self, picture: RunPicture) -> None:
        """A toast when a rung of the ladder is left behind while somebody looks; only the last of several at once."""
        if picture.catching_up is not None:
            return
        count = len(picture.overtaken)
        known = self._overtaken.get(picture.name, count)
        self._overtaken[picture.name] = count
        if picture.live and count > known:
            step, rung = picture.overtaken[-1]
            self.playground.tell(overtaken_in(picture, rung, step))

    def _width_of(self, selector: str) -> int:
        return max(20, self.query_one(selector).content_size.width)


def make_screen() -> TrainScreen:
    return TrainScreen()
