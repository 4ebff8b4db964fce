"""Tales and small talk in one text, for one model that can do both: tell a story, and answer who speaks to it.

Stretches of whole tales take turns with stretches of whole conversations, long enough that what comes next is nearly always of the
same kind as what came before, and short enough that the end of the text, on which a model is measured, holds both.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest

from engine.catalogue.smalltalk import write_smalltalk
from engine.catalogue.tales import write_tales

STRETCH = 16_000  # characters, and what the last tale or conversation in it needs


def write_tales_and_talk(seed: int = 1, characters: int = 3_200_000) -> str:
    """A text of at least `characters` characters, half of it tales and half conversations, separated by blank lines."""
    tales = _stretches(write_tales(seed, characters // 2))
    talk = _stretches(write_smalltalk(seed, characters - characters // 2))
    pairs = zip_longest(tales, talk, fillvalue="")
    return "\n\n".join(stretch for pair in pairs for stretch in pair if stretch) + "\n"


def _stretches(text: str) -> Iterator[str]:
    """The text in pieces that end where a tale or a conversation does."""
    pieces: list[str] = []
    size = 0
    for piece in text.strip("\n").split("\n\n"):
        pieces.append(piece)
        size += len(piece) + 2
        if size >= STRETCH:
            yield "\n\n".join(pieces)
            pieces, size = [], 0
    if pieces:
        yield "\n\n".join(pieces)
