"""What Corpus shows of a text and of what a training on it will come to. Pure functions; the screen is `tinygpt_tui.screens.corpus`."""

from __future__ import annotations

from rich.text import Text

from tinygpt_tui import figures
from tinygpt_tui.safe_text import safe_line, safe_text
from tinygpt_tui.sources.corpus_facts import Look
from tinygpt_tui.sources.corpus_list import Row
from tinygpt_tui.sources.expectation import Expectation
from tinygpt_tui.widgets.distribution_rows import VISIBLE

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


def row_of(row: Row, width: int) -> Text:
    """One line of the list."""
    right = figures.size(row.bytes) if row.bytes else ""
    right = f"{row.kind} {right}".strip()
    title = safe_line(row.title)
    text = Text(f"{ICONS[row.kind]} {title}", no_wrap=True, overflow="ellipsis", end="")
    gap = width - text.cell_len - len(right)
    if gap < 2:
        text.truncate(max(4, width - len(right) - 2), overflow="ellipsis", pad=False)
        gap = max(1, width - text.cell_len - len(right))
    text.append(" " * gap)
    text.append(right, style="dim")
    return text


def preview_of(look: Look | None) -> str:
    """The beginning of the text, and a piece from its middle."""
    if look is None:
        return ""
    if look.preview is None:
        return safe_text(look.problem) if look.problem else "Reading …"
    parts = [safe_text("\n".join(look.preview.head.split("\n")[:MOST_LINES]))]
    if look.preview.middle:
        parts.append(f"… from character {look.preview.middle_at:,} on:\n")
        parts.append(safe_text(look.preview.middle))
    return "\n".join(parts)


def statistics_of(look: Look | None, width: int) -> Text:
    """What is counted in the text, and the ladder a model has to climb."""
    text = Text(end="")
    if look is None:
        return text
    if look.problem and look.stats is None:
        text.append(safe_text(look.problem))
        return text
    if look.stats is None:
        text.append("Counting …", style="dim")
        return text
    stats = look.stats
    text.append(f"{stats.characters:,}", style="bold")
    text.append(
        f" characters · {stats.symbols:,} symbols · {stats.lines:,} lines · {figures.size(stats.bytes)}\n"
    )
    text.append(f"{stats.entropy_bits:.2f}", style="bold")
    text.append(" bits a character if each stood alone\nmost frequent ")
    for one in stats.most_frequent[:FREQUENT]:
        share = 100 * one.count / max(1, stats.characters)
        shown = VISIBLE.get(one.symbol) or safe_line(one.symbol)
        text.append(f"{shown} ", style="bold")
        text.append(f"{share:.0f} %  ")
    for notice in look.about.notices if look.about else ():
        text.append(f"\n{safe_text(notice)}", style="italic")
    text.append("\n\nto beat, in nats per character:\n", style="dim")
    highest = max((rung.nats for rung in look.rungs), default=1.0)
    cells = max(4, min(BAR, width - 18))
    for rung in look.rungs:
        text.append(f"{safe_line(rung.name):<8}")
        text.append(f"{rung.nats:5.2f} ", style="bold")
        text.append("█" * max(1, round(cells * rung.nats / highest)) + "\n", style="dim")
    if not look.finished:
        text.append("counting on …", style="dim")
    elif look.problem:
        text.append(safe_text(look.problem))
    return text


def plan_of(seconds: float, size: str, arch: str, expected: Expectation | None) -> Text:
    """The dials, and what they come to."""
    text = Text(no_wrap=False, end="")
    for name, value in (("time", figures.duration(seconds)), ("size", size), ("kind", arch)):
        text.append(f"{name} ", style="dim")
        text.append(f"{value}   ", style="bold")
    text.append("\n")
    if arch == "ngram":
        text.append("counts what follows which letters: done in seconds, and the one to beat")
    elif expected is not None:
        shares = f"{expected.passes:,.1f}" if expected.passes < 10 else f"{expected.passes:,.0f}"
        text.append(
            f"a model of {figures.count(expected.parameters)} values that sees {expected.block_size} characters, "
            f"reads about {figures.count(expected.chars)} of them: {shares} times the text"
        )
        if not expected.measured:
            text.append(" (a guess: this machine was not measured yet)", style="dim")
    return text
