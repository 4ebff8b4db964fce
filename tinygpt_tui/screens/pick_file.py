"""Two dialogs for a text of one's own: choosing a file or folder, and typing or pasting one.

What cannot be taken is said in the dialog, which stays open: neither a path nor a text has to be typed twice.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, DirectoryTree, Input, Static, TextArea

from engine.errors import TinygptError
from tinygpt_tui.files import here
from tinygpt_tui.safe_text import safe_line, safe_text
from tinygpt_tui.screens.dialogs import SafeField, SafeLine, box_of

PICK_HINT = "Type or paste a path and press ⏎, or go down with ↓: there ⏎ opens a folder or takes a file, ⌫ shows the folder above. Esc closes."
PASTE_HINT = "A model needs some thousands of characters to learn anything. Tab leads on to the buttons."


class _Tree(DirectoryTree):
    """Names of files are a stranger's text, too."""

    ICON_NODE = "▸ "
    ICON_NODE_EXPANDED = "▾ "
    ICON_FILE = "▤ "

    def process_label(self, label: Any) -> Text:
        return Text(safe_line(str(label)), no_wrap=True, end="")


class _Taking(ModalScreen[str | None]):
    """Gives back what `take` makes of a person's answer, or None; a `TinygptError` of it is shown, and another answer waited for."""

    DEFAULT_CSS = """
    _Taking #hint.-bad { color: $error; }
    _Taking #hint { height: 2; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [("escape", "dismiss(None)", "close")]

    def __init__(self, take: Callable[..., str]) -> None:
        super().__init__(classes="dialog")
        self._take = take

    def answer(self, *arguments: str) -> None:
        try:
            taken = self._take(*arguments)
        except TinygptError as error:
            hint = self.query_one("#hint", Static)
            hint.update(safe_text(str(error)))
            hint.add_class("-bad")
            return
        self.dismiss(taken)


class PickFile(_Taking):
    """A path to type, and the folders to walk; gives back the source of what was chosen, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("backspace", "up", "folder above"),
        ("down", "below", "choose below"),
    ]

    def compose(self) -> ComposeResult:
        with Vertical(id="box", classes="tall") as box:
            box.border_title = "a file or folder of your own"
            yield SafeLine(
                placeholder="a path such as ~/my-novel.txt, or choose below", select_on_focus=False
            )
            yield _Tree(_beginning(), id="tree")
            yield Static(PICK_HINT, id="hint", markup=False)
            with Horizontal(id="buttons"):
                yield Button("Folder above", id="up")
                yield Button("Take this folder", id="folder", variant="primary")

    def on_mount(self) -> None:
        self.query_one(SafeLine).focus()
        self._say_where(Path(self.query_one(DirectoryTree).path))

    def on_key(self, event: events.Key) -> None:
        # The line stops what it takes, so this was typed in the tree, or before the line was there to take it.
        field = self.query_one(SafeLine)
        if event.is_printable and event.character is not None:
            event.stop()
            field.insert_text_at_cursor(event.character)
            field.focus()
        elif event.key == "enter" and self.focused in (None, field):
            event.stop()
            self.on_input_submitted(Input.Submitted(field, field.value))

    def on_paste(self, event: events.Paste) -> None:
        field = self.query_one(SafeLine)
        field.insert_text_at_cursor(" ".join(event.text.splitlines()[:1]))
        field.focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if event.value.strip():
            self.answer(event.value.strip())
        else:
            self.query_one(DirectoryTree).focus()

    def on_directory_tree_file_selected(self, event: DirectoryTree.FileSelected) -> None:
        self.answer(str(event.path))

    def on_button_pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "up":
            self.action_up()
            return
        tree = self.query_one(DirectoryTree)
        node = tree.cursor_node
        path = Path(node.data.path) if node is not None and node.data is not None else Path(tree.path)
        self.answer(str(path if path.is_dir() else path.parent))

    def action_up(self) -> None:
        tree = self.query_one(DirectoryTree)
        tree.path = Path(tree.path).absolute().parent
        self._say_where(tree.path)

    def action_below(self) -> None:
        """From the line into the tree."""
        tree = self.query_one(DirectoryTree)
        if self.focused is not tree:
            tree.focus()
            tree.action_cursor_down()

    def _say_where(self, folder: Path) -> None:
        shown = str(folder)
        with suppress(RuntimeError, ValueError):  # no home is known, or it is elsewhere
            shown = str(Path("~", folder.relative_to(Path.home())))
        self.query_one("#box").border_subtitle = Content(safe_line(shown))


def _beginning() -> Path:
    """The folder that is shown first: the current one, or where one is at home if that is gone."""
    with suppress(TinygptError):
        return here()
    with suppress(RuntimeError):
        return Path.home()
    return Path("/")


class PasteText(_Taking):
    """A field for a text and one for its name; gives back the source of the text that was kept, or None."""

    def compose(self) -> ComposeResult:
        with box_of("paste or type a text", "esc close", "tall"):
            yield SafeLine(placeholder="what to call it; its first words, if you do not say", id="name")
            yield SafeField(id="field", soft_wrap=True)
            yield Static(PASTE_HINT, id="hint", markup=False)
            with Horizontal(id="buttons"):
                yield Button("Keep it", id="keep", variant="primary")
                yield Button("Cancel", id="cancel")

    def on_mount(self) -> None:
        field = self.query_one(TextArea)
        field.cursor_blink = False
        field.focus()

    def on_input_submitted(self) -> None:
        self.query_one(TextArea).focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "keep":
            self.answer(self.query_one(TextArea).text, self.query_one("#name", Input).value)
        else:
            self.dismiss(None)
