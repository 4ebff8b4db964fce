"""A list of rows to choose from, parts of which may be dim: what that part says can be read where the row is chosen, too."""

from __future__ import annotations

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widgets import OptionList

PLAIN = Style(dim=False)


class Rows(OptionList):
    """Nothing in the highlighted row is dim: on the cursor's background hardly a theme leaves enough contrast for that."""

    def render_line(self, y: int) -> Strip:
        strip = super().render_line(y)
        if self.highlighted is None or not any(
            segment.style is not None and segment.style.meta.get("option") == self.highlighted
            for segment in strip
        ):
            return strip
        return Strip(
            (Segment(text, (style or PLAIN) + PLAIN, control) for text, style, control in strip),
            strip.cell_length,
        )
