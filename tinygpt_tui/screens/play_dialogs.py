"""What Play asks in a dialog: which run, which session, which format, which texts end an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import work

from tinygpt_tui import figures
from tinygpt_tui.files import free_path, write_new
from tinygpt_tui.play.history import Kept
from tinygpt_tui.screens.dialogs import AskLine, Choose

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

    def action_export(self) -> None:
        from tinygpt_tui.play.export import export

        session = self.world.desk.session
        if not session.length:
            self.playground.tell("There is no text to save yet.", "warning")
            return

        def save(kind: str | None) -> None:
            if kind is None:
                return
            path = free_path("tinygpt", f".{kind}")
            if self.playground.try_to(lambda: write_new(path, export(session, kind))):
                self.playground.tell(f"Saved {path}", seconds=10)

        self.app.push_screen(Choose("save this text", EXPORTS), save)

    def action_search(self) -> None:
        about = "A part of the text you look for, on any branch; empty lists all sessions."

        def search(text: str | None) -> None:
            if text is not None:
                self._search(text)

        self.app.push_screen(AskLine("search", about), search)

    def action_new(self) -> None:
        self.world.desk.new_session()

    def action_model(self) -> None:
        shelf = self.world.shelf
        options = [
            (
                row.name,
                f"{figures.STATES.get(row.state, '?')} {row.label or row.name:<22} {figures.loss(row.val_loss):>6}  {row.corpus or ''}",
            )
            for row in shelf.rows
        ]

        def use(name: str | None) -> None:
            if name is not None:
                self.world.desk.use(name, follow=self.world.is_live(name))

        self.app.push_screen(
            Choose("write with", options, "There are no runs yet: train one (1, then t)."), use
        )

    def action_follow(self) -> None:
        desk = self.world.desk
        if desk.following is not None:
            self.playground.tell(
                f"Stays with the weights of step {desk.model.step:,}." if desk.model else "Follows no more."
            )
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

    @work(thread=True, exclusive=True, exit_on_error=False, group="search")
    def _search(self, wanted: str) -> None:
        history = self.world.desk.history
        found = history.search(wanted) if wanted.strip() else history.sessions()
        self.app.call_from_thread(self._choose_session, wanted, found)

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
