"""What Corpus shows of a text and of what a training on it will come to. Pure functions; the screen is `tinygpt_tui.screens.corpus`."""

from __future__ import annotations

from collections.abc import Callable

from rich.style import Style
from rich.text import Text

from engine.facts import RUNGS, LadderRung, Stats
from tinygpt_tui import figures
from tinygpt_tui.safe_text import safe_line, safe_text
from tinygpt_tui.screens.corpus_words import in_plain_words
from tinygpt_tui.sources.corpus_facts import Look
from tinygpt_tui.sources.corpus_list import Row
from tinygpt_tui.sources.expectation import Expectation
from tinygpt_tui.widgets.chart_data import Level
from tinygpt_tui.widgets.chart_text import level_name
from tinygpt_tui.widgets.distribution_rows import visible

ICONS = {
    "built in": "●",
    "fetched": "●",
    "to fetch": "⇩",
    "file": "▤",
    "folder": "▸",
    "pasted": "✎",
    "missing": "?",
}
BAR = 24  # cells of the longest bar
FREQUENT = 8  # symbols
MOST_LINES = 60  # of the preview
ROOM_FOR_KIND = 36  # cells of a line of the list that also says in words what its sign means
ROOM_FOR_WORDS = 60  # cells of statistics that need no short cuts

_RUNG = 14  # cells of "uniform  4.17 "


def row_of(row: Row, width: int) -> Text:
    """One line of the list."""
    right = figures.size(row.bytes) if row.bytes is not None else ""
    if width >= ROOM_FOR_KIND or row.kind == "missing":
        right = f"{row.kind} {right}".strip()
    text = Text(f"{ICONS[row.kind]} {safe_line(row.title)}", no_wrap=True, overflow="ellipsis", end="")
    room = width - len(right) - (2 if right else 0)
    if text.cell_len > room:
        text.truncate(max(4, room), overflow="ellipsis")
    if right:
        text.append(" " * max(1, width - text.cell_len - len(right)))
        text.append(right, style="dim")
    return text


def preview_of(look: Look | None) -> str:
    """The beginning of the text, and a piece from its middle."""
    if look is None:
        return ""
    if look.preview is None:
        return in_plain_words(look.problem) if look.problem else "Reading …"
    parts = [safe_text("\n".join(look.preview.head.split("\n")[:MOST_LINES]))]
    if look.preview.middle:
        parts.append(f"… from character {look.preview.middle_at:,} on:\n")
        parts.append(safe_text(look.preview.middle))
    return "\n".join(parts)


def statistics_of(look: Look | None, width: int, in_pairs: bool = False) -> Text:
    """What is counted in the text, and the ladder a model has to climb.

    Args:
        width: cells there are.
        in_pairs: two rungs beside each other, where there are few lines.
    """
    text = Text(end="")
    if look is None:
        return text
    if look.stats is None:
        if look.problem and look.preview is not None:  # else it stands where the text would begin
            text.append(in_plain_words(look.problem))
        elif not look.problem:
            text.append("Counting …", style="dim")
        return text
    _append_counts(text, look.stats, width)
    for notice in look.about.notices if look.about else ():
        text.append(f"\n{safe_text(notice)}", style="italic")
    text.append("\n" if in_pairs else "\n\n")
    text.append("to beat, in nats per character:\n", style="dim")
    _append_ladder(text, look.rungs, width, 2 if in_pairs and width >= 2 * (_RUNG + 4) else 1)
    if not look.finished:
        text.append("counting on …", style="dim")
    text.append(in_plain_words(look.problem))
    text.rstrip()
    return text


def rung_name(rung: LadderRung) -> str:
    """As Train calls it, such as "bigram" for "2-gram"; safe to show."""
    return level_name(Level(rung.name, rung.nats))


def plan_of(
    seconds: float,
    size: str,
    arch: str,
    expected: Expectation | None,
    key_of: Callable[[str], str],
    refused: str = "",
) -> Text:
    """The dials with their keys, which can be clicked, and what they come to.

    Args:
        expected: None where nothing can be foretold yet.
        key_of: the key of an action, as it is shown.
        refused: why there is nothing to train on, or "".
    """
    text = Text(no_wrap=False, end="")
    taken = f" ({expected.size})" if size == "auto" and expected is not None else ""
    for actions, name, value in (
        (("shorter", "longer"), "time", figures.duration(seconds)),
        (("size",), "size", size + taken),
        (("arch",), "kind", arch),
    ):
        for action in actions:
            text.append(key_of(f"corpus.{action}"), Style(meta={"@click": f"screen.{action}"}))
            text.append(" ")
        text.append(f"{name} ", style="dim")
        text.append(value, style="bold")
        text.append("   ")
    text.append("\n")
    if refused:
        text.append(refused, style="bold")
    elif arch == "ngram":
        text.append("counts what follows which letters: done in seconds, and the one to beat")
    elif expected is not None:
        text.append(expected.sentence)
    return text


def _append_counts(text: Text, stats: Stats, width: int) -> None:
    """How much there is of what, broken where a line is full."""
    each = " bits per character" if width >= ROOM_FOR_WORDS else " bits"
    counts = (
        ("", f"{stats.characters:,}", " characters"),
        ("", f"{stats.symbols:,}", " symbol" if stats.symbols == 1 else " symbols"),
        ("", f"{stats.lines:,}", " line" if stats.lines == 1 else " lines"),
        ("", figures.size(stats.bytes), ""),
        ("entropy ", f"{stats.entropy_bits:.2f}", each),
    )
    used = 0
    for before, number, unit in counts:
        cells = len(before + number + unit)
        if used and used + 3 + cells > width:
            text.append("\n")
            used = 0
        elif used:
            text.append(" · ", style="dim")
            used += 3
        text.append(before)
        text.append(number, style="bold")
        text.append(unit)
        used += cells
    text.append("\nmost often", style="dim")
    used = len("most often")
    for one in stats.most_frequent[:FREQUENT]:
        share = f"{100 * one.share:.0f} %"
        part = Text(f"  {visible(one.symbol)}", style="bold")
        if used + part.cell_len + 1 + len(share) > width:
            break
        text.append_text(part)
        text.append(f" {share}")
        used += part.cell_len + 1 + len(share)


def _append_ladder(text: Text, rungs: tuple[LadderRung, ...], width: int, columns: int) -> None:
    """A line for each rung, or for each pair of them, which stay in their places while others come."""
    highest = max((rung.nats for rung in rungs), default=1.0)
    gap = 2 * (columns - 1)
    cells = max(4, min(BAR, (width - gap) // columns - _RUNG))
    height = -(-len(RUNGS) // columns)
    for at in range(min(height, len(rungs))):
        for rung in rungs[at::height]:
            line = Text(f"{rung_name(rung):<8}")
            line.append(f"{rung.nats:5.2f} ", style="bold")
            line.append("▆" * max(1, round(cells * rung.nats / highest)), style="dim")
            line.pad_right(_RUNG + cells + gap - line.cell_len if columns > 1 else 0)
            text.append_text(line)
        text.rstrip()
        text.append("\n")
