"""How sure the model was of a character, as a style: calm where it was sure, warm where it was surprised.

A level is one bit of surprise: level 0 was at least as likely as not, level 7 less likely than 1 in 128. With colours the text
blends from the foreground to a warm colour and stays legible; the most surprising characters are also underlined, and where
there are no colours (or only the terminal's sixteen) underline and bold are the cue. Left out: which character is drawn where.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from rich.style import Style
from textual.color import Color

LEVELS = 8
MIN_CONTRAST = 4.5  # WCAG 2 AA for text

_UNDERLINED = 6  # the level from which colour alone is not the cue
_PLAIN_UNDERLINED, _PLAIN_BOLD = 4, 6


@dataclass(frozen=True)
class Tints:
    """The styles of a theme.

    Attributes:
        written: one a level, for what the model wrote.
        typed: for what a person typed.
    """

    written: tuple[Style, ...]
    typed: Style


def level(p: float) -> int:
    """The level of a probability: whole bits of surprise, at most `LEVELS` - 1. What is no number counts as sure."""
    if not p < 1:
        return 0
    return LEVELS - 1 if p <= 0 else min(LEVELS - 1, int(-math.log2(p)))


def contrast(one: Color, other: Color) -> float:
    """The contrast ratio of WCAG 2, from 1 to 21."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def colour_tints(foreground: Color, background: Color, warm: Color, typed: Color) -> Tints:
    """Tints of a theme with colours; every one is legible on `background` if `foreground` is."""
    written = []
    for step in range(LEVELS):
        colour = _legible(foreground.blend(warm, step / (LEVELS - 1)), foreground, background)
        written.append(Style(color=colour.rich_color, underline=True if step >= _UNDERLINED else None))
    return Tints(tuple(written), Style(color=_legible(typed, foreground, background).rich_color, bold=True))


def plain_tints(typed: Style | None = None, warm: Style | None = None) -> Tints:
    """Tints that do without colours: underlined from 4 bits on, bold too from 6. Typed text is bold and not underlined.

    `typed` and `warm` are laid over typed and over underlined text, for terminals with sixteen colours.
    """
    written = []
    for step in range(LEVELS):
        if step < _PLAIN_UNDERLINED:
            written.append(Style())
        else:
            written.append(
                (warm or Style()) + Style(underline=True, bold=True if step >= _PLAIN_BOLD else None)
            )
    return Tints(tuple(written), (typed or Style()) + Style(bold=True))


def untinted(tints: Tints) -> Tints:
    """The same with all that was written in the style of what was sure."""
    return Tints((tints.written[0],) * LEVELS, tints.typed)


def _legible(colour: Color, foreground: Color, background: Color) -> Color:
    """`colour`, moved towards `foreground` as far as its contrast needs."""
    for step in range(11):
        moved = colour.blend(foreground, step / 10)
        if contrast(moved, background) >= MIN_CONTRAST:
            return moved
    return foreground


def _luminance(colour: Color) -> float:
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour.normalized
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
