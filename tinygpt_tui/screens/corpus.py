"""Corpus: choose a text, see what is in it, say how long to train, and start with one key.

Left out: the words and figures (`tinygpt_tui.screens.corpus_view`), choosing a file (`tinygpt_tui.screens.pick_file`), and finding
things out (`tinygpt_tui.sources`).
"""

from __future__ import annotations

from typing import Any, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import OptionList, ProgressBar, Static
from textual.widgets.option_list import Option

from engine.errors import BusyError, CorpusError, UsageError
from models.config import ARCHITECTURES, SIZES
from tinygpt_tui import figures
from tinygpt_tui.bindings import bindings
from tinygpt_tui.screens.corpus_view import plan_of, preview_of, row_of, rung_name, statistics_of
from tinygpt_tui.screens.corpus_words import in_plain_words, too_short
from tinygpt_tui.screens.dialogs import title_of
from tinygpt_tui.screens.mode_screen import ModeScreen
from tinygpt_tui.screens.pick_file import PasteText, PickFile
from tinygpt_tui.sources.corpus_facts import Look
from tinygpt_tui.sources.corpus_list import Row
from tinygpt_tui.sources.expectation import Expectation, PastRun, expect, past_runs
from tinygpt_tui.widgets.rows import Rows

TIMES = (15, 30, 60, 120, 180, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800)  # seconds
FEW_LINES = 13  # of the statistics; with fewer, two rungs of the ladder share one
ROOM_FOR_STATISTICS = 21  # lines of a screen


class CorpusScreen(ModeScreen):
    """Texts at the left, the chosen one at the right, the dials below."""

    mode = "corpus"
    CSS_PATH = "corpus.tcss"
    BINDINGS: ClassVar[list[Any]] = bindings("corpus")
    HELP = "Choose a text; what is in it appears beside it. Set how long and what to train, and start."

    def __init__(self) -> None:
        super().__init__()
        self._rows: tuple[Row, ...] = ()
        self._listed: object = None
        self._shown: object = None
        self._seconds = 0.0
        self._model_size = self._model_arch = ""  # Textual has a `_size` of its own
        self._turned: set[str] = (
            set()
        )  # dials that were turned here, so that the settings move them no longer
        self._to_train: str | None = None  # a text that is being fetched to be trained on
        self._download: object = None
        self._past: tuple[PastRun, ...] = ()

    def compose_body(self) -> ComposeResult:
        with Horizontal(id="texts"):
            with Vertical(id="list-panel", classes="panel") as panel:
                panel.border_title = "texts"
                yield Rows(id="list", markup=False)
                yield Static("", id="described", markup=False)
            with Vertical(id="text-panels"):
                with VerticalScroll(id="preview-panel", classes="panel") as panel:
                    panel.border_title = "how it begins"
                    yield Static("", id="preview", markup=False)
                with VerticalScroll(id="statistics-panel", classes="panel") as panel:
                    panel.border_title = "what is in it"
                    yield Static("", id="statistics", markup=False)
        with Horizontal(id="fetching"):
            yield Static("", id="fetching-text", markup=False)
            yield ProgressBar(id="fetching-bar", show_eta=False)
        with Vertical(id="plan-panel", classes="panel") as panel:
            panel.border_title = "training"
            yield Static("", id="plan", markup=False)

    def on_mount(self) -> None:
        self._set_dials("train.time", "train.size", "train.arch")
        self.world.settings.listen(self._set_dials)
        self.query_one("#fetching").display = False
        self.query_one(OptionList).focus()
        if (wanted := self.world.chosen_corpus) is not None:
            self.playground.try_to(lambda: self._choose(self.world.corpora.add(wanted)))
        if not self._rows:
            self._fill()

    def on_resize(self, event: events.Resize) -> None:
        self._listed = self._shown = None
        self.set_class(event.size.height < ROOM_FOR_STATISTICS, "-cramped")

    def on_screen_resume(self) -> None:
        self._past = past_runs(self.world.paths.runs_dir)
        if self.world.corpora.refresh() and self._rows:  # a file may have been written anew
            self.world.facts.forget(self._row().source)
        self._shown = None

    def on_screen_suspend(self) -> None:
        if self.app.current_mode != self.mode:  # who has gone elsewhere does not want to be brought back
            self._to_train = None

    def tick(self, now: float) -> None:
        # The dials are set when the screen is mounted, and this may be a moment before.
        if not self._model_size:
            return
        if self._listed != self.world.corpora.version:
            self._fill()
        look, plan = (
            self.world.facts.look,
            (self._seconds, self._model_size, self._model_arch, self.world.facts.speed),
        )
        if self._shown != (look, plan):
            self._shown = (look, plan)
            self._show()
        self._show_download()
        panel = self.query_one("#statistics-panel")
        below = "↓ more" if panel.scroll_offset.y < panel.max_scroll_y else None
        if panel.border_subtitle != below:
            panel.border_subtitle = below

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        row = self._row()
        self.world.chosen_corpus = row.source
        if row.ready:
            self.world.facts.look_at(row.source, encoding=row.encoding, force_text=row.force_text)
        self._show()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.action_start()

    def action_start(self) -> None:
        row = self._row()
        if row.kind == "to fetch":
            if self.world.downloading.busy:
                raise BusyError(f"{self._fetching()} is just being fetched: wait until it is here.")
            self.world.downloading.start(row.source)
            self._to_train = row.source
            self.playground.tell(f"{row.title} is fetched first; the training starts when it is here.")
        elif refused := self._refused(row, self.world.facts.look):
            raise CorpusError(refused)
        else:
            self._start(row)

    def _start(self, row: Row) -> None:
        """Starts a training with what the dials say, and shows it."""
        if row.used is not None:
            self.world.corpora.add(row.source, encoding=row.encoding, force_text=row.force_text)
        dials = {"minutes": self._seconds / 60, "size": self._model_size, "arch": self._model_arch}
        self.world.starter.start(
            row.source,
            **(self.world.settings.run_options() | dials),
            encoding=row.encoding,
            force_text=row.force_text,
        )
        self.playground.go("train")

    def action_open(self) -> None:
        self.app.push_screen(PickFile(self.world.corpora.add), self._choose)

    def action_paste(self) -> None:
        self.app.push_screen(PasteText(self.world.corpora.paste), self._choose)

    def action_fetch(self) -> None:
        row = self._row()
        if self.world.downloading.busy:
            if self.world.downloading.cancel():
                self.playground.tell(f"Gave up fetching {self._fetching()}.")
        elif row.kind == "to fetch":
            self.world.downloading.start(row.source)
        else:
            raise UsageError("This text is there already; only those marked ⇩ are fetched.")

    def action_shorter(self) -> None:
        self._turned.add("train.time")
        self._seconds = max((time for time in TIMES if time < self._seconds), default=TIMES[0])

    def action_longer(self) -> None:
        self._turned.add("train.time")
        self._seconds = min((time for time in TIMES if time > self._seconds), default=TIMES[-1])

    def action_size(self) -> None:
        self._turned.add("train.size")
        sizes = ("auto", *SIZES)
        self._model_size = sizes[(sizes.index(self._model_size) + 1) % len(sizes)]

    def action_arch(self) -> None:
        self._turned.add("train.arch")
        self._model_arch = ARCHITECTURES[(ARCHITECTURES.index(self._model_arch) + 1) % len(ARCHITECTURES)]

    def action_forget(self) -> None:
        row, at = self._row(), self.query_one(OptionList).highlighted or 0
        if row.used is None:
            raise UsageError("The texts of the catalogue stay; only your own are taken off the list.")
        self.world.corpora.forget(row.source)
        self.world.chosen_corpus = self.world.corpora.rows()[at].source  # the catalogue is below
        self._fill()
        key = self.playground.key_of("corpus.open")
        self.playground.tell(
            f"{row.title} is off the list; the text stays, and {key} opens it again: {row.about}", seconds=10
        )

    def _set_dials(self, *keys: str) -> None:
        """Takes over what the settings say, but for a dial that a person has turned here."""
        options = self.world.settings.run_options()
        for key in keys:
            if key in self._turned:
                continue
            if key == "train.time":
                self._seconds = 60 * options["minutes"]
            elif key == "train.size":
                self._model_size = options["size"]
            elif key == "train.arch":
                self._model_arch = options["arch"]

    def _refused(self, row: Row, look: Look | None) -> str:
        """Why the text cannot be trained on, as far as that is known by now, or ""."""
        if look is None or look.source != row.source or not row.ready:
            return ""
        return in_plain_words(look.problem) if look.refused and look.stats is None else too_short(look.stats)

    def _row(self) -> Row:
        """The text under the cursor."""
        chosen = self.query_one(OptionList).highlighted
        return self._rows[chosen if chosen is not None else 0]

    def _choose(self, source: str | None) -> None:
        if source is None:
            return
        self.world.facts.forget(source)
        self.world.chosen_corpus = source
        self._fill()

    def _fill(self) -> None:
        """Writes the list anew; the cursor stays on its text."""
        texts = self.query_one(OptionList)
        self._listed = self.world.corpora.version
        self._rows = self.world.corpora.rows()
        width = max(20, texts.scrollable_content_region.width)
        texts.clear_options()
        texts.add_options(Option(row_of(row, width)) for row in self._rows)
        sources = [row.source for row in self._rows]
        wanted = self.world.chosen_corpus
        texts.highlighted = sources.index(wanted) if wanted in sources else 0
        self._shown = None

    def _show(self) -> None:
        row, look = self._row(), self.world.facts.look
        if not row.ready or (look is not None and look.source != row.source):
            look = None
        self.query_one("#described", Static).update(row.about)
        preview, statistics = self.query_one("#preview-panel"), self.query_one("#statistics-panel")
        if row.kind == "to fetch":
            key = self.playground.key_of("corpus.fetch")
            beginning = (
                f"This text is not here yet: press {key} to fetch it, {figures.size(row.bytes)}, once.\n\n"
                "It is kept, and known by its hash: what is not exactly this text is not used."
            )
        elif row.kind == "missing":
            beginning = f"{row.about} is not there any more."
        else:
            beginning = preview_of(look)
        self.query_one("#preview", Static).update(beginning)
        preview.border_title = title_of("how it begins" if row.ready else row.kind)
        lines = statistics.size.height
        self.query_one("#statistics", Static).update(
            statistics_of(look, statistics.scrollable_content_region.width, lines < FEW_LINES)
        )
        plan = plan_of(
            self._seconds,
            self._model_size,
            self._model_arch,
            self._expected(row, look),
            self.playground.key_of,
            too_short(look.stats if look is not None else None),
        )
        self.query_one("#plan", Static).update(plan)

    def _expected(self, row: Row, look: Look | None) -> Expectation | None:
        """What a training will come to, as far as it can be told: nobody has counted a text that is not here yet."""
        stats = look.stats if look is not None else None
        if stats is None and row.kind != "to fetch":
            return None
        return expect(
            stats.characters if stats else row.bytes or 1,
            stats.symbols if stats else 65,
            self._seconds,
            self._model_size,
            self._model_arch,
            self.world.facts.speed,
            past=self._past,
            ladder={rung_name(rung): rung.nats for rung in look.rungs} if look is not None else None,
            sha256=look.about.sha256 if look is not None and look.about else None,
        )

    def _fetching(self) -> str:
        """The title of what is being fetched, or was the last."""
        name = self.world.downloading.snapshot.name
        row = self.world.corpora.row(name)
        return row.title if row is not None else name

    def _show_download(self) -> None:
        download = self.world.downloading.snapshot
        if download == self._download:
            return
        first = self._download is None
        self._download = download
        self.query_one("#fetching").display = download.state == "fetching"
        self.query_one("#fetching-text", Static).update(
            f"fetching {self._fetching()}  ({self.playground.key_of('corpus.fetch')} gives up)"
        )
        self.query_one(ProgressBar).update(total=download.total or None, progress=download.done)
        wanted = self._to_train == download.name
        if download.state != "fetching" and not first:
            self._to_train = None
        if download.state == "failed" and not first:
            self.playground.tell(in_plain_words(download.message), "error", 12)
        elif download.state == "done" and not first:
            row = self.world.corpora.row(download.name)
            if wanted and row is not None and self.is_current:
                self.playground.try_to(lambda: self._start(row))
            else:
                self.playground.tell(f"{self._fetching()} is here.")


def make_screen() -> CorpusScreen:
    return CorpusScreen()
