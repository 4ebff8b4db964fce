"""Runs: every run on this machine in a table, and what one does with them.

Marked ones are drawn together in Train. Left out: looking at one in depth (`tinygpt_tui.screens.train`), and how the list is kept up
to date (`tinygpt_tui.sources.run_shelf`).
"""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import DataTable, Static

from engine.errors import UsageError
from engine.starter import refusal
from tinygpt_tui import figures
from tinygpt_tui.bindings import bindings
from tinygpt_tui.files import here
from tinygpt_tui.safe_text import safe_line, safe_text
from tinygpt_tui.screens.dialogs import AskLine, AskText, Confirm, title_of
from tinygpt_tui.screens.mode_screen import ModeScreen
from tinygpt_tui.screens.train_steering import COUNTED
from tinygpt_tui.screens.train_view import MOST_COMPARED, called, steps_more
from tinygpt_tui.sources.run_shelf import RunRow

# Title and width; those have room that come first.
COLUMNS = (("", 3), ("run", 20), ("loss", 6), ("step", 15), ("size", 6), ("corpus", 13), ("age", 11), ("kind", 8), ("disk", 8),
           ("note", 40))  # fmt: skip
NUMBERS = ("loss", "step", "size", "disk")
WORDS, LEAST_WORD = ("corpus", "note"), 8  # can be cut, and to how many cells at most
GAP = 2  # cells around each column
FRAME = 4  # cells of the panel around the table
COLOURS = {
    "training": "$success",
    "preparing": "$success",
    "paused": "$warning",
    "failed": "$error",
    "died": "$error",
    "damaged": "$error",
}


class RunTable(DataTable[Text], inherit_bindings=False):
    """Rows to move between. What is done with one has its keys in the registry, Enter among them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "cursor_up", "previous", show=False),
        Binding("down", "cursor_down", "next", show=False),
        Binding("pageup", "page_up", "page up", show=False),
        Binding("pagedown", "page_down", "page down", show=False),
        Binding("home,ctrl+home", "scroll_top", "first", show=False),
        Binding("end,ctrl+end", "scroll_bottom", "last", show=False),
    ]


class RunsScreen(ModeScreen):
    """The shelf."""

    mode = "runs"
    CSS_PATH = "runs.tcss"
    BINDINGS: ClassVar[list[Any]] = bindings("runs")
    HELP = "Every run, newest first, whoever started it: look at its curve, write with it, or mark some and draw them together."

    def __init__(self) -> None:
        super().__init__()
        self._shown: tuple[object, ...] = ()
        self._columns: list[tuple[str, int]] = []
        self._drawn: dict[str, tuple[object, ...]] = {}  # what each row was drawn from, in the table's order
        self._marked: list[str] = []
        self._labels: dict[str, str] = {}
        self._told_export: object = None

    def compose_body(self) -> ComposeResult:
        with Vertical(id="shelf", classes="panel") as panel:
            panel.border_title = "runs"
            yield RunTable(id="table", cursor_type="row", zebra_stripes=False)
            yield Static("", id="empty", markup=False)
        with Vertical(id="about", classes="panel"):
            yield Static("", id="detail", markup=False)

    def on_mount(self) -> None:
        self.query_one("#table").focus()

    def on_resize(self, event: events.Resize) -> None:
        self._shown = ()

    def key_labels(self) -> dict[str, str]:
        """What keys of the footer are called instead: wherever the cursor is, the marked runs would go."""
        return {"delete": f"delete {len(self._marked)} marked"} if self._marked else {}

    def tick(self, now: float) -> None:
        shelf = self.world.shelf
        minute = int(self.world.clock() // 60)  # ages change with it
        scrolls = self.query_one(RunTable).show_vertical_scrollbar  # which takes room from the columns
        wanted = (shelf.version, minute, tuple(self._marked), self.size.width, scrolls, self._colours())
        if wanted != self._shown:
            self._shown = wanted
            self._fill()
        if (labels := self.key_labels()) != self._labels:
            self._labels = labels
            self.refresh_bindings()
        export = shelf.export
        if export != self._told_export:
            self._told_export = export
            if export.state == "done":
                self.playground.tell(f"{self._called(export.run)} was copied to {export.path}.", seconds=10)
            elif export.state == "failed":
                self.playground.tell(export.message, "error")

    def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        self._show_detail()

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        self.playground.try_to(self.action_open)

    def action_open(self) -> None:
        row = self._chosen()
        if row.built_in:  # nobody watched it learn, so there is nothing to look at
            self.action_play()
            return
        self.world.chosen_run = row.name
        self.playground.go("train")

    def action_play(self) -> None:
        row = self._chosen()
        self.world.desk.use(row.name, follow=row.live)
        self.playground.go("play")

    def action_resume(self) -> None:
        row = self._own()
        if row.state == "done":
            if row.arch == "ngram":
                raise UsageError(COUNTED)
            more = max(1, (row.step or 2) // 2)
            self.world.starter.extend(row.name, more)
            self.playground.tell(f"{called(row)} was finished; it goes on for {steps_more(more)}.")
        else:
            self.world.starter.resume(row.name)
            self.playground.tell(f"Going on with {called(row)} …")
        self.world.chosen_run = row.name
        self.playground.go("train")

    def action_mark(self) -> None:
        name = self._own().name
        if name in self._marked:
            self._marked.remove(name)
        elif len(self._marked) == MOST_COMPARED:
            raise UsageError(f"At most {MOST_COMPARED} curves can be told apart: unmark one first.")
        else:
            self._marked.append(name)
        self.query_one(RunTable).action_cursor_down()

    def action_compare(self) -> None:
        names = [name for name in self._marked if self.world.shelf.row(name)]
        if not names:
            raise UsageError(f"No run is marked: mark two or more with {self._key('mark')} first.")
        front = names[0] if len(names) > 1 else self._own().name
        self.world.chosen_run = front
        self.world.compared = tuple(name for name in names if name != front)
        self._marked = []  # else they would be deleted together, long after
        self.playground.go("train")

    def action_rename(self) -> None:
        row = self._own()
        about = f"What {called(row)} is to be called on these screens. Its folder, and so its name in commands, stays {row.name}."
        self.app.push_screen(
            AskLine("name", about, row.label, take=lambda label: self.world.shelf.rename(row.name, label))
        )

    def action_note(self) -> None:
        row = self._own()
        self.app.push_screen(
            AskText(
                f"note on {called(row)}",
                row.notes,
                "what you think of it",
                take=lambda text: self.world.shelf.note(row.name, text),
            )
        )

    def action_delete(self) -> None:
        """Asks, and moves the marked runs to the trash, or the one under the cursor where none is marked."""
        marked = [row for name in self._marked if (row := self.world.shelf.row(name)) is not None]
        rows = marked or [self._own()]
        names = ", ".join(called(row) for row in rows)
        them = "It" if len(rows) == 1 else "They"

        def delete(chosen: str | None) -> None:
            if chosen != "yes":
                return
            shelf = self.world.shelf
            gone = [row for row in rows if self.playground.try_to(partial(shelf.trash, row.name))]
            told = ", ".join(called(row) for row in gone)
            if len(gone) == 1:
                self.playground.tell(
                    f"{told} is in the trash; {self._key('undo')} takes it out again.", seconds=8
                )
            elif gone:
                self.playground.tell(
                    f"{told} are in the trash; {self._key('undo')} takes one after the other out again.",
                    seconds=8,
                )

        size = figures.size(sum(row.size for row in rows))
        what = names if len(rows) == 1 else f"these {len(rows)} runs, {names}"
        question = f"Move {what} ({size}) to the trash? {them} can be taken out again."
        self.app.push_screen(
            Confirm("delete", question, (("yes", "Move to the trash"), ("no", "Keep it"))), delete
        )

    def action_undo(self) -> None:
        name = self.world.shelf.undo_trash()
        self.playground.tell(f"{self._called(name)} is back.")

    def action_export(self) -> None:
        row = self._own()
        self.world.shelf.export_checkpoint(row.name, here())
        self.playground.tell(f"Copying {called(row)} …", seconds=2)

    def _key(self, action: str) -> str:
        return self.playground.key_of(f"runs.{action}")

    def _called(self, name: str) -> str:
        row = self.world.shelf.row(name)
        return called(row) if row is not None else name

    def _chosen(self) -> RunRow:
        """The row under the cursor. Raises UsageError when there is none."""
        table = self.query_one(RunTable)
        if table.row_count:
            name = str(table.coordinate_to_cell_key(table.cursor_coordinate).row_key.value)
            if (row := self.world.shelf.row(name)) is not None:
                return row
        raise UsageError("There is no run to choose here yet: start one in Corpus.")

    def _own(self) -> RunRow:
        """The row under the cursor, for whoever would change the run. Raises UsageError when there is none, or it is the starter."""
        row = self._chosen()
        if row.built_in:
            raise refusal()
        return row

    def _rows(self) -> tuple[RunRow, ...]:
        """What is listed: the runs, and after them the starter."""
        shelf = self.world.shelf
        return shelf.rows if shelf.built_in is None else (*shelf.rows, shelf.built_in)

    def _colours(self) -> tuple[str, ...]:
        """Those of the states; a theme's name changes before its colours do."""
        return tuple(self.app.theme_variables.get(name.removeprefix("$"), "") for name in COLOURS.values())

    def _age(self, row: RunRow) -> str:
        return figures.age(self.world.clock() - row.created if row.created is not None else None)

    def _fill(self) -> None:
        """Brings the table up to date; the cursor stays on its run, or near where it was."""
        table = self.query_one(RunTable)
        rows = self._rows()
        own = self.world.shelf.rows
        columns = columns_for(self.size.width - FRAME - (2 if table.show_vertical_scrollbar else 0))
        colours = self._colours()
        drawn: dict[str, tuple[object, ...]] = {
            row.name: (row, row.name in self._marked, self._age(row), colours) for row in rows
        }
        self._marked = [name for name in self._marked if name in drawn]
        if columns == self._columns and list(drawn) == list(self._drawn):
            # Thousands of rows take a third of a second to write, so only those are written that changed.
            for row in rows:
                if drawn[row.name] != self._drawn[row.name]:
                    for title, _ in columns:
                        table.update_cell(row.name, title, self._cell(row, title))
        else:
            at, before = table.cursor_row, list(self._drawn)
            table.clear(columns=True)
            for title, width in columns:
                shown = f"{title:>{width}}" if title in NUMBERS else title
                table.add_column(Text(shown, style="bold"), width=width, key=title)
            for row in rows:
                table.add_row(*(self._cell(row, title) for title, _ in columns), key=row.name)
            if before:
                name = before[at]
                table.move_cursor(
                    row=list(drawn).index(name) if name in drawn else max(0, min(at, len(rows) - 1))
                )
        self._columns, self._drawn = columns, drawn
        table.display = bool(rows)
        empty = self.query_one("#empty", Static)
        empty.display = not own
        corpus, start = self.playground.key_of("app.corpus"), self.playground.key_of("corpus.start")
        none = "There is no run of your own yet." if rows else "There are no runs yet."
        empty.update(
            f"{none} Choose a text in Corpus ({corpus}) and press {start}, "
            "or start one in any terminal: tinygpt train tales --detach"
        )
        panel = self.query_one("#shelf")
        panel.border_subtitle = f"{len(own)} · {sum(row.live for row in own)} training" if own else ""
        self._show_detail()

    def _cell(self, row: RunRow, column: str) -> Text:
        mark = "▸" if row.name in self._marked else " "
        text = {
            "": f"{mark}{figures.STATES.get(row.state, '?')}",
            "run": safe_line(row.label or row.name),
            "loss": figures.loss(row.val_loss),
            "step": figures.steps(row.step, row.horizon),
            "size": figures.count(row.params),
            "corpus": safe_line(row.corpus or figures.UNKNOWN),
            "age": self._age(row),
            "kind": safe_line(row.arch or figures.UNKNOWN),
            "disk": figures.size(row.size),
            "note": safe_line(row.notes),
        }[column]
        colour = COLOURS.get(row.state) if column == "" else None
        style = self.app.theme_variables.get(colour.removeprefix("$"), "") if colour else ""
        style = style.removeprefix("ansi_") if style.startswith(("#", "ansi_")) else ""
        return Text(text, style=style, no_wrap=True, overflow="ellipsis", end="",
                    justify="right" if column in NUMBERS else "left")  # fmt: skip

    def _show_detail(self) -> None:
        about = self.query_one("#about")
        try:
            row = self._chosen()
        except UsageError:
            about.display = False
            return
        about.display = True
        about.border_title = title_of(called(row))
        about_it = "learned" if row.built_in else "learns"
        state = (
            f"{row.state}: it came with tinygpt, and writes until you have a model"
            if row.built_in
            else row.state
        )
        facts = [
            f"{figures.STATES.get(row.state, '?')} {state}"
            + (f": {safe_line(row.reason)}" if row.reason else ""),
            f"{safe_line(row.arch or 'model')} · {figures.count(row.params)} parameters · "
            f"{about_it} {safe_line(row.corpus or 'an unknown text')} · {figures.size(row.size)} on disk",
            safe_line(str(row.path)),
        ]
        if row.notes:
            facts.insert(2, safe_text(row.notes))
        self.query_one("#detail", Static).update("\n".join(facts))


def columns_for(cells: int) -> list[tuple[str, int]]:
    """The columns that have room in so many cells, with their widths: no figure is ever cut, the last words may be."""
    found = list(COLUMNS[:2])  # a table without names is none, however small
    cells -= sum(width + GAP for _, width in found)
    for title, width in COLUMNS[2:]:
        room = min(width, cells - GAP)
        if room < (LEAST_WORD if title in WORDS else width):
            break
        found.append((title, room))
        cells -= room + GAP
    return found


def make_screen() -> RunsScreen:
    return RunsScreen()
