"""A canvas of braille dots, two across and four down in each character, drawn by vertical runs and lines.

It knows rows and columns of dots, nothing of data, colours or axes.
"""

from __future__ import annotations

import math

SOLID = 0xFF
CHECKERED = 0x95  # every second dot; the pattern goes on from character to character
UNBROKEN = (1, 1)

_BLANK = 0x2800
# The bits of the dots of one character, top to bottom, in its left and its right column.
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
# The same dots from one row to another: _RUNS[column][top][bottom].
_RUNS = tuple(
    tuple(tuple(sum(dots[top : bottom + 1]) for bottom in range(4)) for top in range(4)) for dots in _DOTS
)
CHARACTERS = " " + "".join(chr(_BLANK | bits) for bits in range(1, 256))
"""The character for the bits of one cell; a space where there are none."""


class Canvas:
    """Dots at (x, y), with (0, 0) at the top left. What lies outside is cut off.

    Args:
        columns: width in characters; dots are twice as many.
        rows: height in characters; dots are four times as many.

    Attributes:
        cells: the bits of each character, by row.
    """

    def __init__(self, columns: int, rows: int) -> None:
        self.columns = max(0, columns)
        self.rows = max(0, rows)
        self.width = 2 * self.columns
        self.height = 4 * self.rows
        self.cells = [bytearray(self.columns) for _ in range(self.rows)]

    def run(self, x: int, y0: int, y1: int, pattern: int = SOLID) -> None:
        """Sets the dots of a column from y0 to y1, both included, in either order, as far as `pattern` allows."""
        if y0 > y1:
            y0, y1 = y1, y0
        if not 0 <= x < self.width or y1 < 0 or y0 >= self.height:
            return
        y0, y1 = max(y0, 0), min(y1, self.height - 1)
        column, masks = x >> 1, _RUNS[x & 1]
        top, bottom = y0 >> 2, y1 >> 2
        if top == bottom:
            self.cells[top][column] |= masks[y0 & 3][y1 & 3] & pattern
            return
        self.cells[top][column] |= masks[y0 & 3][3] & pattern
        full = masks[0][3] & pattern
        for row in range(top + 1, bottom):
            self.cells[row][column] |= full
        self.cells[bottom][column] |= masks[0][y1 & 3] & pattern

    def line(self, x0: int, y0: int, x1: int, y1: int, dash: tuple[int, int] = UNBROKEN) -> None:
        """Sets the dots of a straight line, ends included: without gaps and one dot thick, however steep it is.

        Args:
            x0, y0, x1, y1: the ends, in either order.
            dash: of how many columns how many are drawn.
        """
        if x0 > x1:
            x0, y0, x1, y1 = x1, y1, x0, y0
        slope = (y1 - y0) / (x1 - x0) if x0 < x1 else 0.0
        down = 1 if y1 > y0 else -1
        period, drawn = dash
        for x in range(max(0, x0), min(self.width - 1, x1) + 1):
            if x % period >= drawn:
                continue
            enters = y0 if x == x0 else math.floor(y0 + slope * (x - 0.5 - x0) + 0.5)
            leaves = y1 if x == x1 else math.floor(y0 + slope * (x + 0.5 - x0) + 0.5)
            if x != x1 and leaves != enters:
                leaves -= down  # the next column begins there
            self.run(x, enters, leaves)

    def text(self) -> list[str]:
        """The rows of characters."""
        return ["".join(CHARACTERS[bits] for bits in row) for row in self.cells]
