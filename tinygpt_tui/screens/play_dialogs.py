"""What Play asks in a dialog: which run, which session, which format, which texts end an answer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tinygpt_tui import figures
from tinygpt_tui.files import free_path, write_new
from tinygpt_tui.play.history import Kept
from tinygpt_tui.screens.dialogs import AskLine, Choose
from tinygpt_tui.sources.errand import Errand

if TYPE_CHECKING:
    from tinygpt_tui.screens.mode_screen import ModeScreen

    _Base = ModeScreen
else:
    _Base = object

EXPORTS = (
    ("md", "md: to be read, with the settings and their changes"),
    ("txt", "txt: the exact text and nothing else"),
    ("jsonl", "jsonl: every branch with its settings and probabilities, for programs"),
)


class PlayDialogs(_Base):
    """The part of the Play screen that opens dialogs."""

    _search: Errand[list[Kept]] | None = None
    _searched = ""
    _saving: Errand[Path] | None = None

    def look_at_errands(self) -> None:
        """Tells what has become of a search or an export. Whoever has gone elsewhere meanwhile is not followed there."""
        if (search := self._search) is not None and search.done:
            self._search = None
            if search.problem:
                self.playground.tell(search.problem, "error")
            elif self.app.screen is self:
                self._choose_session(self._searched, search.result or [])
        if (saving := self._saving) is not None and saving.done:
            self._saving = None
            if saving.problem:
                self.playground.tell(saving.problem, "error")
            else:
                self.playground.tell(f"Saved {saving.result}", seconds=10)

    def on_screen_suspend(self) -> None:
        if self.app.screen is not self and self._search is not None:
            self._search.cancelled = True
            self._search = None

    def action_export(self) -> None:
        from tinygpt_tui.play.export import export, jsonl

        desk = self.world.desk
        session = desk.session
        if not session.length:
            self.playground.tell("There is no text to save yet.", "warning")
            return

        def save(kind: str | None) -> None:
            if kind is None:
                return
            if kind == "jsonl" and desk.state not in ("writing", "paused") and self._saving is None:
                make = jsonl(session)  # of a long text it takes longer than a key may
                self._saving = Errand(lambda _: save_as(kind, make()))
                return

            def write() -> None:
                self.playground.tell(f"Saved {save_as(kind, export(session, kind))}", seconds=10)

            self.playground.try_to(write)

        self.app.push_screen(Choose("save this text", EXPORTS), save)

    def action_search(self) -> None:
        about = "A part of the text you look for, on any branch; empty lists all sessions."

        def search(text: str | None) -> None:
            if text is not None:
                self._begin_search(text)

        self.app.push_screen(AskLine("search", about), search)

    def action_new(self) -> None:
        self.world.desk.new_session()

    def action_model(self) -> None:
        shelf = self.world.shelf
        built_in = (shelf.built_in,) if shelf.built_in is not None else ()
        options = [
            (
                row.name,
                f"{figures.STATES.get(row.state, '?')} {row.label or row.name:<22} {figures.loss(row.val_loss):>6}  {row.corpus or ''}",
            )
            for row in (*shelf.rows, *built_in)
        ]

        def use(name: str | None) -> None:
            if name is not None:
                desk, live = self.world.desk, self.world.is_live(name)
                self.playground.try_to(lambda: desk.use(name, follow=live))

        corpus, start = (self.playground.key_of(action) for action in ("app.corpus", "corpus.start"))
        nothing = f"There are no runs yet: train one ({corpus}, then {start})."
        self.app.push_screen(Choose("write with", options, nothing), use)

    def action_follow(self) -> None:
        desk = self.world.desk
        if desk.following is not None:
            self.playground.tell(f"Follows no more: the best weights of {desk.following} write from now on.")
            desk.use(desk.following, follow=False)
            return
        run = (
            desk.run
            if desk.run is not None and self.world.is_live(desk.run)
            else self.world.shelf.newest_live()
        )
        if run is None:
            self.playground.tell(
                "No run is training at the moment, so there are no newer weights to come.", "warning"
            )
            return
        desk.use(run, follow=True)
        self.playground.tell(f"Writes with the newest weights of {run} from now on.")

    def action_stops(self) -> None:
        desk = self.world.desk
        about = "The texts that end an answer, separated by spaces; write \\n for a new line, \\s for a space. Empty: none."
        value = " ".join(_escaped(stop) for stop in desk.stops)

        def use(text: str | None) -> None:
            if text is not None:
                desk.set_stops(tuple(_unescaped(part) for part in text.split(" ")))

        self.app.push_screen(AskLine("stop texts", about, value), use)

    def _begin_search(self, wanted: str) -> None:
        history = self.world.desk.history
        if self._search is not None:
            self._search.cancelled = True  # nobody waits for the one before
        self._searched = wanted

        def look(errand: Errand[list[Kept]]) -> list[Kept]:
            return (
                history.search(wanted, unless=lambda: errand.cancelled)
                if wanted.strip()
                else history.sessions()
            )

        self._search = Errand(look)

    def _choose_session(self, wanted: str, found: list[Kept]) -> None:
        now = self.world.clock()
        options = [
            (
                str(kept.id),
                f"{figures.age(now - kept.updated):>10}  {figures.count(kept.chars):>6}  {kept.excerpt or kept.title}",
            )
            for kept in found
        ]
        nothing = f"No session holds {wanted!r}." if wanted else "Nothing was written yet."

        def open_it(id: str | None) -> None:
            if id is not None:
                self.playground.try_to(lambda: self.world.desk.open_session(int(id)))

        self.app.push_screen(Choose("sessions", options, nothing), open_it)


def save_as(kind: str, text: str) -> Path:
    """Saves a text under a new name where the playground was started. Raises ResourceError."""
    path = free_path("tinygpt", f".{kind}")
    write_new(path, text)
    return path


_ESCAPES = {"\\": "\\", "\n": "n", " ": "s", "\t": "t"}


def _escaped(text: str) -> str:
    return "".join(f"\\{_ESCAPES[char]}" if char in _ESCAPES else char for char in text)


def _unescaped(text: str) -> str:
    meaning = {letter: char for char, letter in _ESCAPES.items()}
    out, rest = [], iter(text)
    for char in rest:
        if char != "\\":
            out.append(char)
        else:
            following = next(rest, "\\")
            out.append(meaning.get(following, "\\" + following))
    return "".join(out)
