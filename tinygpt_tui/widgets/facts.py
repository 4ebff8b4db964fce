"""Lines of figures, each part in the colour of its role. Left out: what they say; a line that is too long is cut with "…"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from rich.text import Text
from textual.widget import Widget

Role = Literal["plain", "label", "strong", "good", "warn", "bad", "bar", "rest"]


@dataclass(frozen=True)
class Part:
    """A piece of a line that is safe to show."""

    text: str
    role: Role = "plain"


FactLine = tuple[Part, ...]


class Facts(Widget):
    """Some lines, as tall as they are many or as the stylesheet says."""

    DEFAULT_CSS = """
    Facts {
        height: auto; color: $foreground;
        & > .facts--plain { color: $foreground; }
        & > .facts--label { color: $text-muted; }
        & > .facts--strong { color: $foreground; text-style: bold; }
        & > .facts--good { color: $success; text-style: bold; }
        & > .facts--warn { color: $warning; text-style: bold; }
        & > .facts--bad { color: $error; text-style: bold; }
        & > .facts--bar { color: $primary; }
        & > .facts--rest { color: $border-blurred; }
    }
    Facts:ansi > .facts--label { color: ansi_default; text-style: dim; }
    Facts:ansi > .facts--rest { color: ansi_default; text-style: dim; }
    Facts:nocolor > .facts--label { text-style: dim; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"facts--{role}" for role in ("plain", "label", "strong", "good", "warn", "bad", "bar", "rest")
    }

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._lines: tuple[FactLine, ...] = ()

    def show(self, lines: Sequence[FactLine]) -> None:
        """Shows other lines."""
        if (new := tuple(lines)) != self._lines:
            as_many = len(new) == len(self._lines)
            self._lines = new
            self.refresh(layout=not as_many)

    def render(self) -> Text:
        text = Text(no_wrap=True, overflow="ellipsis", end="")
        for number, line in enumerate(self._lines):
            text.append("\n" if number else "")
            for part in line:
                text.append(part.text, self.get_component_rich_style(f"facts--{part.role}", partial=True))
        return text
