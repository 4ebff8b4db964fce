"""The built-in corpus "tales": short folk tales made by our own grammar, the same for the same seed everywhere.

A tale is a *shape* (a plain function that knows how one kind of story goes) told by a `Teller` (who deals the
characters, words and weather). What it leaves out: any use of the text; it returns a string and touches no file.
"""

from __future__ import annotations

import random

from engine.catalogue.tales.grammar import Teller
from engine.catalogue.tales.shapes import SHAPES

__all__ = ["SHAPES", "write_tales"]

OPENING = 80  # characters; no two tales of one text begin with the same ones


def write_tales(seed: int = 1, characters: int = 1_600_000) -> str:
    """Write tales until there are at least `characters` characters of them.

    Tales are separated by a blank line and the text ends with a line end. A longer text begins with the shorter one
    of the same seed. Every shape comes up once before any comes up again.
    """
    dice = random.Random(seed)
    tales: list[str] = []
    openings: set[str] = set()
    written = 0
    while written < characters:
        for shape in Teller(dice).shuffled(SHAPES):
            tale = shape(Teller(dice))
            for _ in range(50):
                if tale[:OPENING] not in openings:
                    break
                tale = shape(Teller(dice))
            openings.add(tale[:OPENING])
            tales.append(tale)
            written += len(tale) + 2
            if written > characters:
                break
    return "\n\n".join(tales) + "\n"
