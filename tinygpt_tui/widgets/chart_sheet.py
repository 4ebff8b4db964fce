"""A sheet of characters with roles on which a chart is put together, and where its labels find room.

A role says what a character is part of, not how it looks. Left out: what is drawn (`chart`) and in which colour (`loss_chart`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from rich.cells import cell_len

from tinygpt_tui.widgets.braille import CHARACTERS, Canvas

Role = Literal[
    "blank", "axis", "ghost", "train", "val", "overlay0", "overlay1", "overlay2", "overlay3",
    "level", "level-past", "mark", "nan", "cursor", "label",
]  # fmt: skip
ROLES: tuple[Role, ...] = get_args(Role)
Run = tuple[str, Role]

_COVERED = {"ghost": 1, "train": 4, "val": 4, "overlay0": 3, "overlay1": 3, "overlay2": 3, "overlay3": 3}
_TEXT = 1000  # what covering a label costs: never worth it


@dataclass(frozen=True)
class Picture:
    """A drawn chart.

    Attributes:
        rows: runs of characters with one role each; every row has the same width in cells.
    """

    rows: tuple[tuple[Run, ...], ...]

    def text(self) -> str:
        """The rows as plain text, without blanks at their ends."""
        return "\n".join("".join(text for text, _ in row).rstrip() for row in self.rows)


class Sheet:
    """Characters and their roles by row and column; all blank at first."""

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self.characters = [[" "] * columns for _ in range(rows)]
        self.roles: list[list[Role]] = [["blank"] * columns for _ in range(rows)]
        self._taken: list[list[tuple[int, int]]] = [[] for _ in range(rows)]

    def put(self, row: int, column: int, character: str, role: Role) -> None:
        """Sets one character; "" is the second half of a wide one, and of a wide one that loses a half a blank stays."""
        characters = self.characters[row]
        if characters[column] == "" and character:
            characters[column - 1] = " "
        if column + 1 < self.columns and characters[column + 1] == "":
            characters[column + 1] = " "
        characters[column] = character
        self.roles[row][column] = role

    def lay(self, canvas: Canvas, role: Role) -> None:
        """Lays a curve over what is there; its dots replace other characters."""
        for characters, roles, cells in zip(self.characters, self.roles, canvas.cells, strict=False):
            if any(cells):
                for column, bits in enumerate(cells):
                    if bits:
                        characters[column] = CHARACTERS[bits]
                        roles[column] = role

    def write(self, row: int, start: int, runs: Iterable[Run]) -> None:
        """Writes runs of text with a blank on either side, where there is room for one; later labels keep off them."""
        end = start
        for text, role in runs:
            for character in text:
                cells = cell_len(character)
                self.put(row, end, character, role)
                if cells == 2:
                    self.put(row, end + 1, "", role)
                end += cells
        for blank in (start - 1, end):
            if 0 <= blank < self.columns:
                self.put(row, blank, " ", "label")
        self._taken[row].append((start, end))

    def cost(self, row: int, start: int, width: int) -> int:
        """What a label would cover, blanks included: the more, the worse; above `worth` of its width it is not to be read."""
        end = start + width
        if any(
            start < other_end + 2 and other_start < end + 2 for other_start, other_end in self._taken[row]
        ):
            return _TEXT
        return sum(_COVERED.get(role, 0) for role in self.roles[row][max(0, start - 1) : end + 1])

    def first_room(self, row: int, width: int) -> int | None:
        """The start of a label in a row where it covers nothing: the leftmost right of a curve, or else the leftmost.

        None if there is no room.
        """
        roles = self.roles[row]
        curve = next((column for column, role in enumerate(roles) if role in _COVERED), self.columns)
        found: int | None = None
        free = 0
        for column, role in enumerate(roles):
            free = 0 if role in _COVERED else free + 1
            start = column - width
            if free >= width + 2 and start >= 1 and self.cost(row, start, width) == 0:
                if start > curve or curve == self.columns:
                    return start
                found = start if found is None else found
        return found

    def best_room(self, row: int, column: int, width: int) -> tuple[int, int] | None:
        """The best (row, start) for a label that belongs to the end of a curve; None if every place covers too much."""
        best: tuple[int, int, int] | None = None
        after = column + 2
        starts = [after] if after + width <= self.columns else []
        starts += [start for start in (self.columns - width, column - width - 1) if start >= 0]
        for other in range(self.rows):
            away = 2 * abs(other - row) + (1 if other > row else 0)
            for start in starts:
                cost = self.cost(other, start, width) + away + (0 if start == after else 2)
                if best is None or cost < best[0]:
                    best = (cost, other, start)
        return best[1:] if best is not None and best[0] < 2 * width + 4 else None

    def runs(self, row: int) -> tuple[Run, ...]:
        """A row as runs of one role."""
        characters, roles = self.characters[row], self.roles[row]
        runs: list[Run] = []
        start = 0
        for column in range(1, self.columns + 1):
            if column == self.columns or roles[column] != roles[start]:
                runs.append(("".join(characters[start:column]), roles[start]))
                start = column
        return tuple(runs)


def runs_width(runs: Sequence[Run]) -> int:
    """Cells that runs of text take."""
    return sum(cell_len(text) for text, _ in runs)
