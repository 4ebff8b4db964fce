"""What a loss chart says in words: names of levels, labels of curves, the read-out at the cursor, a one-line summary.

All text that comes from outside is made safe here, and every character is one or two cells wide. Left out: where it stands.
"""

from __future__ import annotations

import unicodedata

from rich.cells import cell_len

from tinygpt_tui.safe_text import safe_line
from tinygpt_tui.widgets.chart_axes import short_exponent
from tinygpt_tui.widgets.chart_data import ChartData, Level, Line, Unit, View, in_unit

NAME_CELLS = 24
_KNOWN_AS = {"1-gram": "unigram", "2-gram": "bigram", "3-gram": "trigram"}
_UNIT_NAMES: dict[Unit, str] = {
    "nats": "loss · nats per character",
    "bits": "loss · bits per character",
    "perplexity": "loss · perplexity per character",
}


def title(data: ChartData, view: View) -> str:
    """What is drawn, in which unit, and how, such as "loss · nats per character · log y"."""
    how = [name for on, name in ((view.log_x, "log x"), (view.log_y, "log y"), (view.span, "zoomed")) if on]
    return " · ".join([_UNIT_NAMES[data.unit], *how])


def fitted(text: str, cells: int = NAME_CELLS) -> str:
    """`text` made safe, without what would change the width of its neighbours, cut to a number of cells."""
    kept = [c for c in unicodedata.normalize("NFC", safe_line(text)) if cell_len(c)]
    if cell_len("".join(kept)) != sum(map(cell_len, kept)):
        kept = [c if cell_len(c) == 1 else "?" for c in kept]
    width = sum(map(cell_len, kept))
    if width <= cells:
        return "".join(kept)
    while kept and width > cells - 1:
        width -= cell_len(kept.pop())
    return "".join([*kept, "…"]) if cells > 0 else ""


def shown(nats: float | None, unit: Unit) -> str:
    """A loss as a number in a unit; "NaN" for what is not finite, "–" for None."""
    if nats is None:
        return "–"
    value = in_unit(nats, unit)
    if value != value or abs(nats) == float("inf"):
        return "NaN"
    return f"{value:.2f}" if abs(value) < 1e4 else short_exponent(value)


def level_label(level: Level, unit: Unit) -> str:
    """Such as "bigram 2.49", with "✓ " before one that is past."""
    return f"{'✓ ' if level.past else ''}{level_name(level)} {shown(level.value, unit)}"


def level_name(level: Level) -> str:
    """Such as "bigram" for "2-gram"."""
    return fitted(_KNOWN_AS.get(level.name, level.name))


def readout(data: ChartData, cursor: int) -> list[tuple[str, Line | None]]:
    """The values at a step or the last before it, one field for each curve, after one for the step; with the curve it is of."""
    fields: list[tuple[str, Line | None]] = [(f"step {cursor:,}", None)]
    for line in data.spoken:
        index = line.index_at(cursor)
        step = line.series.steps[index] if index >= 0 else cursor
        value = shown(line.series.values[index] if index >= 0 else None, data.unit)
        fields.append(
            (f"{fitted(line.name)} {value}" + (f" (step {step:,})" if step != cursor else ""), line)
        )
    return fields


def summary(data: ChartData) -> str:
    """One line that says what the chart shows."""
    last = data.last_step
    if last is None:
        return "no loss yet"
    end = f" of {data.horizon:,}" if data.horizon is not None and data.horizon > last else ""
    parts = [f"step {last:,}{end}"]
    for line in data.spoken:
        parts.append(f"{fitted(line.name)} {shown(line.series.values[line.series.n - 1], data.unit)}")
    past = [level for level in data.levels if level.past]
    ahead = [level for level in data.levels if not level.past and level.value == level.value]
    if past:
        parts.append(f"below {level_label(min(past, key=lambda level: level.value), data.unit)[2:]}")
    if ahead:
        parts.append(f"next {level_label(max(ahead, key=lambda level: level.value), data.unit)}")
    return " · ".join(parts)
