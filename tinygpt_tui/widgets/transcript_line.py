"""One line of the transcript as a strip: text in its tints, marks, and what lies over it (cursor, a selection).

Left out: which line is where and what moves (`tinygpt_tui.widgets.transcript`), and wrapping (`tinygpt_tui.widgets.wrapping`).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from tinygpt_tui.safe_text import safe_line
from tinygpt_tui.widgets.tint import Tints, level
from tinygpt_tui.widgets.wrapping import Wrapping

Kind = Literal["typed", "written"]


class TranscriptSource(Protocol):
    """The text that a transcript shows. It may grow while it is shown; offsets count code points of the exact text."""

    @property
    def version(self) -> Hashable:
        """Another value whenever anything but its end changed: another branch, another session, other probabilities."""
        ...

    @property
    def length(self) -> int:
        """Code points."""
        ...

    @property
    def marks(self) -> Sequence[tuple[int, str]]:
        """(offset, label) of what is to be shown in front of a character, by offset, such as (120, "t 0.85")."""
        ...

    @property
    def speakers(self) -> Sequence[tuple[int, str]]:
        """(offset, name) of where somebody begins to speak, by offset; empty if nobody does."""
        ...

    def slice(self, start: int, end: int) -> str:
        """The text from `start` up to `end`."""
        ...

    def kinds(self, start: int, end: int) -> Sequence[tuple[int, int, Kind]]:
        """Runs (start, end, kind) that cover the characters from `start` up to `end`, in order."""
        ...

    def probability(self, start: int, end: int) -> Sequence[float]:
        """What the model gave each character before the sampler; NaN where nobody asked it."""
        ...


@dataclass(frozen=True)
class LineStyles:
    """How the parts of a line look; all but `base` and `tints` are laid over what is below them."""

    base: Style
    tints: Tints
    mark: Style
    speaker: Style
    hover: Style
    cursor: Style
    selection: Style
    end: Style


@dataclass(frozen=True)
class Overlay:
    """What lies over a line.

    Attributes:
        hover, cursor: offset of a character, None for none.
        selection: columns (start, end) that are selected; an end of -1 is the line's end.
        end_column: where the block stands behind which the model writes.
    """

    hover: int | None = None
    cursor: int | None = None
    selection: tuple[int, int] | None = None
    end_column: int | None = None


NO_OVERLAY = Overlay()

Piece = tuple[str, int, Style]  # text, cells, style


def painted(
    wrapping: Wrapping, line: int, source: TranscriptSource, styles: LineStyles, over: Overlay = NO_OVERLAY
) -> list[Segment]:
    """The segments of a line, without gutter and padding."""
    start, end = wrapping.span(line)
    looks = _looks(source, start, end, styles)
    plain = wrapping.plain(line)
    if plain is not None and over is NO_OVERLAY and not (end == wrapping.length and wrapping.label_at(end)):
        return list(_runs(plain, looks))
    pieces = list(_pieces(wrapping, line, looks, start, styles, over))
    if over.selection is not None:
        pieces = _selected(pieces, over.selection, styles.selection)
    if over.end_column is not None:
        used = sum(width for _, width, _ in pieces)
        if used > over.end_column:
            pieces = _selected(pieces, (over.end_column, over.end_column + 1), styles.end)
        else:
            pieces += [
                (" " * (over.end_column - used), over.end_column - used, styles.base),
                ("▌", 1, styles.end),
            ]
    return [Segment(text, style) for text, _, style in pieces if text]


def framed(
    segments: list[Segment], width: int, base: Style, gutter: Segment | None, hint: Segment | None
) -> Strip:
    """A line of `width` cells; `hint` takes the last of them."""
    parts = [gutter, *segments] if gutter else segments
    used = sum(part.cell_length for part in parts)
    if used < width:
        parts = [*parts, Segment(" " * (width - used), base)]
    strip = Strip(parts, max(used, width)).crop(0, width)
    if hint is None:
        return strip
    return Strip([*strip.crop(0, width - hint.cell_length), hint], width)


def with_places(strip: Strip, line: int, gutter: int) -> Strip:
    """The strip with what Textual's selection looks for: the column and line of every cell."""
    column = -gutter
    told = []
    for text, style, _ in strip:
        meta = Style.from_meta({"offset": (column, line)})
        told.append(Segment(text, style + meta if style else meta))
        column += cell_len(text)
    return Strip(told, strip.cell_length)


def speaker_gutter(names: Sequence[str], cells: int, style: Style) -> Segment:
    """The gutter of a line in which `names` begin to speak: the last of them, in `cells` cells."""
    label = safe_line(names[-1]) if names else ""
    return Segment(set_cell_size(set_cell_size(label, min(cell_len(label), cells - 1)), cells), style)


def shortened(label: str, room: int) -> str:
    """A mark in at most `room` cells: what has no room is left out in whole parts, and "…" stands for it."""
    if cell_len(label) <= room:
        return label
    close = "⟩" if label.endswith("⟩") else ""
    parts = label.removesuffix(close).split(" · ")
    shorter = (" · ".join((*parts[:count], "…")) + close for count in range(len(parts) - 1, 0, -1))
    return next((short for short in (*shorter, "⟨…⟩", "…") if cell_len(short) <= room), "")


def _looks(source: TranscriptSource, start: int, end: int, styles: LineStyles) -> list[Style]:
    """The style of every code point."""
    base, tints = styles.base, styles.tints
    written = [base + style for style in tints.written]
    looks = [written[level(p)] for p in source.probability(start, end)]
    looks += [written[0]] * (end - start - len(looks))
    typed = base + tints.typed
    for first, last, kind in source.kinds(start, end):
        if kind == "typed":
            first, last = max(first, start) - start, min(last, end) - start
            if first < last:
                looks[first:last] = [typed] * (last - first)
    return looks


def _runs(text: str, looks: Sequence[Style]) -> Iterator[Segment]:
    """Text of single cells, as few segments as it has changes of style."""
    begin = 0
    for at in range(1, len(text) + 1):
        if at == len(text) or looks[at] is not looks[begin]:
            yield Segment(text[begin:at], looks[begin])
            begin = at


def _pieces(
    wrapping: Wrapping, line: int, looks: Sequence[Style], start: int, styles: LineStyles, over: Overlay
) -> Iterator[Piece]:
    """A piece for each character and each mark."""
    used = 0
    for cell in wrapping.cells(line):
        if cell.label:
            yield cell.label, cell_len(cell.label), styles.base + styles.mark
        style = looks[cell.start - start]
        shown = cell.shown
        if over.hover is not None and cell.start <= over.hover < cell.end:
            style += styles.hover
        if over.cursor is not None and cell.start <= over.cursor < cell.end:
            style += styles.cursor
            shown = shown or "↵"
        if shown:
            yield shown, cell.width, style
            used = cell.column + cell.width
    last = start + len(looks)
    if last == wrapping.length and (label := wrapping.label_at(last)):
        # The character that will carry it has not come, so no line is broken for it yet.
        label = shortened(label, wrapping.width - used)
        yield label, cell_len(label), styles.base + styles.mark


def _selected(pieces: list[Piece], columns: tuple[int, int], style: Style) -> list[Piece]:
    first, last = columns
    column, result = 0, []
    for text, width, own in pieces:
        inside = column + width > first and (last < 0 or column < last)
        result.append((text, width, own + style if inside else own))
        column += width
    return result
