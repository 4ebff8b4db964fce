"""What the distribution shows, as data: one row a symbol with its bars, from narrow to wide. Pure functions.

A row holds both probabilities: the full bar is the one after the sampler, and where the sampler took something away a thin
line goes on to the one before. Left out: keys, mouse and colours (`tinygpt_tui.widgets.distribution`).
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Literal

from rich.cells import cell_len, set_cell_size

from engine.protocol import Rest, StageReport, Symbol
from tinygpt_tui.safe_text import safe_line

VISIBLE = {" ": "␣", "\n": "↵", "\t": "⇥"}

_EIGHTHS = " ▏▎▍▌▋▊▉"
_STAGE_LABELS = {"temperature": "temp 0", "top_k": "top-k", "top_p": "top-p", "min_p": "min-p"}
_NUMBERS = 11  # cells of "100 → 100 %"

Order = Literal["likely", "name"]
Part = Literal["mark", "symbol", "gone", "bar", "gain", "ghost", "number", "stage", "blank"]


@dataclass(frozen=True)
class Alternatives:
    """What could stand at a place, before and after the sampler.

    Attributes:
        symbols: most likely (before the sampler) first, as the player sends them.
        rest: all others together.
        stages: what each stage of the sampler removed, in their order.
        chosen: the text of the symbol that stands there, None while it is open.
        title: what is shown above, such as "next character".
        at: the place, in characters of the text. text: whatever tells that text from others.
    """

    symbols: tuple[Symbol, ...] = ()
    rest: Rest | None = None
    stages: tuple[StageReport, ...] = ()
    chosen: str | None = None
    title: str = ""
    at: int = 0
    text: Hashable = None


@dataclass(frozen=True)
class Row:
    """One line.

    Attributes:
        index: of its symbol in `Alternatives.symbols`, None for all others together.
        label: how the symbol is shown.
        removed: the label of the stage that removed it, "" if it can be chosen.
    """

    index: int | None
    label: str
    raw: float
    final: float
    removed: str
    chosen: bool = False


def visible(symbol: str) -> str:
    """A symbol as it is shown: blanks have signs, controls have pictures, a combining mark stands on a circle.

    What would still be invisible is named by its code point, as in U+00A0.
    """
    alone = len(symbol) == 1
    shown = "".join(_visible(character, alone) for character in symbol)
    return shown if cell_len(shown) else "\u25cc" + shown


def _visible(character: str, alone: bool) -> str:
    if (sign := VISIBLE.get(character)) is not None:
        return sign
    shown = safe_line(character)
    unseen = character.isspace() or (alone and not character.isprintable())
    return f"U+{ord(character):04X}" if unseen and shown == character else shown


def rows(view: Alternatives, order: Order = "likely") -> tuple[Row, ...]:
    """The lines of `view`, all others together last."""
    removed = removed_by(view)
    found = [
        Row(index, visible(symbol.c), symbol.raw, symbol.final, removed[index], symbol.c == view.chosen)
        for index, symbol in enumerate(view.symbols)
    ]
    if order == "name":
        found.sort(key=lambda row: view.symbols[row.index or 0].c)
    if view.rest is not None and view.rest.count:
        gone = "cut" if view.rest.final == 0 < view.rest.raw else ""
        found.append(Row(None, f"{view.rest.count:,} more", view.rest.raw, view.rest.final, gone))
    return tuple(found)


def removed_by(view: Alternatives) -> list[str]:
    """For each symbol the stage that removed it, "" if none did.

    The player says how many symbols each stage removed, and every stage removes the least likely of what the one before left:
    so of the removed symbols, from the likeliest on, the last stage took the first. (A penalty for repetition may reorder
    symbols before that; then the name may be that of the neighbouring stage.)
    """
    names: list[str] = []
    for stage in reversed(view.stages):
        if stage.name in _STAGE_LABELS:
            # No more names are needed than there are symbols, whatever a reply may claim.
            names += [_STAGE_LABELS[stage.name]] * min(stage.removed, len(view.symbols))
    following = iter(names)
    # What rounds to nothing at a low temperature was not removed by anyone.
    return [next(following, "") if symbol.final == 0 else "" for symbol in view.symbols]


def percent(p: float) -> str:
    """A probability in at most three cells: 52, 2.4, <.1 or 0."""
    share = p * 100
    if not share > 0:
        return "0"
    if share < 0.1:
        return "<.1"
    return f"{share:.1f}" if share < 9.95 else f"{share:.0f}"


def row_parts(row: Row, width: int, scale: float, label_width: int) -> list[tuple[str, Part]]:
    """A row of `width` cells, in pieces.

    Args:
        scale: the probability that fills the bar.
        label_width: cells for the symbol.
    """
    room = max(1, width - label_width - _NUMBERS - 3)
    label = set_cell_size(row.label, min(label_width, cell_len(row.label)))
    blank = " " * (label_width - cell_len(label) + 1)
    # A bar that ends inside of a cell is drawn with an eighth block.
    eighths = round(min(1.0, row.final / scale) * room * 8) if row.final > 0 else 0
    if row.final > 0:
        eighths = max(1, eighths)
    full, part = divmod(eighths, 8)
    kept = min(full, int(min(1.0, row.raw / scale) * room)) if row.raw < row.final else full
    ghost = max(0, round(min(1.0, row.raw / scale) * room) - full - (part > 0))
    if row.removed and row.raw > 0:
        ghost = max(1, ghost)
    empty = room - full - (part > 0) - ghost
    numbers = f"{percent(row.raw):>3} → {percent(row.final):>3} %"
    told: list[tuple[str, Part]] = [(numbers, "number")]
    if row.removed:
        told = [(f"{percent(row.raw):>3} ", "number"), (f"× {row.removed}".ljust(_NUMBERS - 4), "stage")]
    pieces: list[tuple[str, Part]] = [
        ("▸" if row.chosen else " ", "mark"),
        (label, "gone" if row.removed else "symbol"),
        (blank, "blank"),
        ("█" * kept, "bar"),
        (
            "█" * (full - kept) + _EIGHTHS[part].strip(),
            "gain" if full > kept or row.raw < row.final else "bar",
        ),
        ("─" * ghost, "ghost"),
        (" " * (empty + 1), "blank"),
        *told,
    ]
    return [(text, name) for text, name in pieces if text]
