"""Two dialogs for a text of one's own: choosing a file or folder, and typing or pasting one."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, DirectoryTree, Input, Static, TextArea

from tinygpt_tui.safe_text import safe_line


class _Tree(DirectoryTree):
    """Names of files are a stranger's text, too."""

    def render_label(self, node: Any, base_style: Style, style: Style) -> Text:
        label = super().render_label(node, base_style, style)
        return Text(safe_line(label.plain), style=style, no_wrap=True, end="")


class PickFile(ModalScreen[str | None]):
    """A path to type, and the folders to walk; gives back what was chosen, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape", "dismiss(None)", "close"),
        ("backspace", "up", "folder above"),
    ]

    def compose(self) -> ComposeResult:
        with Vertical(id="box", classes="tall") as box:
            box.border_title = "a file or folder of your own"
            yield Input(placeholder="a path such as ~/my-novel.txt, or choose below")
            yield _Tree(Path.cwd(), id="tree")
            with Horizontal(id="buttons"):
                yield Button("Folder above", id="up")
                yield Button("Take this folder", id="folder", variant="primary")

    def __init__(self) -> None:
        super().__init__(classes="dialog")

    def on_mount(self) -> None:
        self.query_one(DirectoryTree).focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if event.value.strip():
            self.dismiss(str(Path(event.value.strip()).expanduser()))

    def on_directory_tree_file_selected(self, event: DirectoryTree.FileSelected) -> None:
        self.dismiss(str(event.path))

    def on_button_pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "up":
            self.action_up()
            return
        tree = self.query_one(DirectoryTree)
        node = tree.cursor_node
        path = Path(node.data.path) if node is not None and node.data is not None else Path(tree.path)
        self.dismiss(str(path if path.is_dir() else path.parent))

    def action_up(self) -> None:
        tree = self.query_one(DirectoryTree)
        tree.path = Path(tree.path).absolute().parent


class PasteText(ModalScreen[tuple[str, str] | None]):
    """A field for a text and one for its name; gives both back, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [("escape", "dismiss(None)", "close")]

    def __init__(self) -> None:
        super().__init__(classes="dialog")

    def compose(self) -> ComposeResult:
        with Vertical(id="box", classes="tall") as box:
            box.border_title = "paste or type a text"
            yield Input("pasted", placeholder="what to call it", id="name")
            yield TextArea(id="field", soft_wrap=True)
            yield Static(
                "A model needs some thousands of characters to learn anything.", id="hint", markup=False
            )
            with Horizontal(id="buttons"):
                yield Button("Keep it", id="keep", variant="primary")
                yield Button("Cancel", id="cancel")

    def on_mount(self) -> None:
        field = self.query_one(TextArea)
        field.cursor_blink = False
        field.focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "keep":
            self.dismiss((self.query_one(TextArea).text, self.query_one("#name", Input).value))
        else:
            self.dismiss(None)
