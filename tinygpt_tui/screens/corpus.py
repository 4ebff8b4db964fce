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

from engine.errors import UsageError
from models.config import ARCHITECTURES, SIZES
from tinygpt_tui import figures
from tinygpt_tui.bindings import bindings
from tinygpt_tui.screens.corpus_view import plan_of, preview_of, row_of, statistics_of
from tinygpt_tui.screens.mode_screen import ModeScreen
from tinygpt_tui.screens.pick_file import PasteText, PickFile
from tinygpt_tui.settings import seconds as seconds_of
from tinygpt_tui.sources.corpus_list import Row
from tinygpt_tui.sources.expectation import expect

TIMES = (15, 30, 60, 120, 180, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800)  # seconds


class CorpusScreen(ModeScreen):
    """Texts at the left, the chosen one at the right, the dials below."""

    mode = "corpus"
    CSS_PATH = "corpus.tcss"
    BINDINGS: ClassVar[list[Any]] = bindings("corpus")
    HELP = "Arrow keys choose a text; what is in it appears beside it. [ and ] set the time, t starts the training."

    def __init__(self) -> None:
        super().__init__()
        self._rows: tuple[Row, ...] = ()
        self._listed: object = None
        self._shown: object = None
        self._seconds = 0.0
        self._model_size = self._model_arch = ""  # Textual has a `_size` of its own
        self._download: object = None

    def compose_body(self) -> ComposeResult:
        with Horizontal(id="texts"):
            with Vertical(id="list-panel", classes="panel") as panel:
                panel.border_title = "texts"
                yield OptionList(id="list", markup=False)
            with Vertical(id="about"):
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
        book = self.world.settings
        self._seconds = seconds_of(book.value("train.time")) or 120.0
        self._model_size, self._model_arch = book.value("train.size"), book.value("train.arch")
        self.query_one("#fetching").display = False
        self.query_one(OptionList).focus()
        if (wanted := self.world.chosen_corpus) is not None:
            self.playground.try_to(lambda: self._choose(self.world.corpora.add(wanted)))
        self._fill()

    def on_resize(self, event: events.Resize) -> None:
        self._listed = self._shown = None

    def on_screen_resume(self) -> None:
        self.world.corpora.refresh()

    def tick(self, now: float) -> None:
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

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        row = self._row()
        self.world.chosen_corpus = row.source
        if row.kind in ("to fetch", "missing"):
            self._show()
        else:
            self.world.facts.look_at(row.source)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.action_start()

    def action_start(self) -> None:
        row = self._row()
        if row.kind == "to fetch":
            self.action_fetch()
            return
        book = self.world.settings
        values = {name: book.value(f"train.{name}") for name in ("threads", "sample_chars")}
        if row.source.startswith("/"):
            self.world.corpora.add(row.source)
        self.world.starter.start(
            row.source,
            minutes=self._seconds / 60,
            size=self._model_size,
            arch=self._model_arch,
            seed=book.value("train.seed"),
            values=values,
        )
        self.playground.go("train")

    def action_open(self) -> None:
        def use(path: str | None) -> None:
            if path is not None:
                self.playground.try_to(lambda: self._choose(self.world.corpora.add(path)))

        self.app.push_screen(PickFile(), use)

    def action_paste(self) -> None:
        def use(pasted: tuple[str, str] | None) -> None:
            if pasted is not None:
                self.playground.try_to(lambda: self._choose(self.world.corpora.paste(*pasted)))

        self.app.push_screen(PasteText(), use)

    def action_fetch(self) -> None:
        row = self._row()
        if self.world.downloading.snapshot.state == "fetching":
            self.world.downloading.cancel()
        elif row.kind == "to fetch":
            self.world.downloading.start(row.source)
        else:
            raise UsageError("This text is there already; only those marked ⇩ are fetched.")

    def action_shorter(self) -> None:
        self._seconds = max((time for time in TIMES if time < self._seconds), default=TIMES[0])

    def action_longer(self) -> None:
        self._seconds = min((time for time in TIMES if time > self._seconds), default=TIMES[-1])

    def action_size(self) -> None:
        sizes = ("auto", *SIZES)
        self._model_size = sizes[(sizes.index(self._model_size) + 1) % len(sizes)]

    def action_arch(self) -> None:
        self._model_arch = ARCHITECTURES[(ARCHITECTURES.index(self._model_arch) + 1) % len(ARCHITECTURES)]

    def action_forget(self) -> None:
        self.world.corpora.forget(self._row().source)

    def _row(self) -> Row:
        """The text under the cursor."""
        chosen = self.query_one(OptionList).highlighted
        return self._rows[chosen if chosen is not None else 0]

    def _choose(self, source: str) -> None:
        self.world.facts.forget(source)
        self.world.chosen_corpus = source
        self._fill()

    def _fill(self) -> None:
        """Writes the list anew; the cursor stays on its text."""
        texts = self.query_one(OptionList)
        self._listed = self.world.corpora.version
        self._rows = self.world.corpora.rows()
        width = max(20, texts.size.width - 2)
        texts.clear_options()
        texts.add_options(Option(row_of(row, width)) for row in self._rows)
        sources = [row.source for row in self._rows]
        wanted = self.world.chosen_corpus
        texts.highlighted = sources.index(wanted) if wanted in sources else 0
        self._shown = None

    def _show(self) -> None:
        row, look = self._row(), self.world.facts.look
        if row.kind in ("to fetch", "missing") or (look is not None and look.source != row.source):
            look = None
        key = self.playground.key_of("corpus.fetch")
        instead = {
            "to fetch": f"{row.about}.\n\n{figures.size(row.bytes)} from the network: press {key} to fetch it once. "
            "It is checked by its hash and kept.",
            "missing": f"{row.about} is not there any more.",
        }.get(row.kind)
        self.query_one("#preview", Static).update(instead if instead is not None else preview_of(look))
        panel = self.query_one("#statistics-panel")
        self.query_one("#statistics", Static).update(statistics_of(look, panel.size.width - 4))
        stats = look.stats if look is not None else None
        expected = expect(
            stats.characters if stats else 1_000_000, stats.symbols if stats else 65,
            self._seconds, self._model_size, self._model_arch, self.world.facts.speed,
        )  # fmt: skip
        self.query_one("#plan", Static).update(
            plan_of(self._seconds, self._model_size, self._model_arch, expected)
        )

    def _show_download(self) -> None:
        download = self.world.downloading.snapshot
        if download == self._download:
            return
        first = self._download is None
        self._download = download
        self.query_one("#fetching").display = download.state == "fetching"
        self.query_one("#fetching-text", Static).update(f"fetching {download.name}  (f gives up)")
        self.query_one(ProgressBar).update(total=download.total or None, progress=download.done)
        if download.state == "failed" and not first:
            self.playground.tell(download.message, "error", 12)
        elif download.state == "done" and not first:
            self.playground.tell(f"{download.name} is here.")
            self.world.facts.look_at(download.name)


def make_screen() -> CorpusScreen:
    return CorpusScreen()
