"""Small talk: conversations of a person with Pip, a small model, written by our own grammar to train one
on.

`write_smalltalk` gives the text. Turns are lines that begin with `USER` or `MODEL`; a blank line ends a
conversation. The lines are short and the answers steady, so that a model of a million parameters holds a
recognisable chat after two minutes. Nothing is copied from anywhere. Leaves out training and asking:
`HELD_OUT_NAME` and `HELD_OUT_SUM` are here only to be asked.
"""

from __future__ import annotations

from collections.abc import Iterator

from engine.catalogue.smalltalk.conversation import INTENTS, write_conversation
from engine.catalogue.smalltalk.dice import Dice
from engine.catalogue.smalltalk.held_out import HELD_OUT_NAME, HELD_OUT_SUM
from engine.catalogue.smalltalk.intent import MODEL, USER, Exchange

__all__ = ["HELD_OUT_NAME", "HELD_OUT_SUM", "INTENTS", "MODEL", "USER", "conversations", "write_smalltalk"]


def write_smalltalk(seed: int = 1, characters: int = 1_600_000) -> str:
    """A text of at least `characters` characters, ending with the conversation that reaches that size.

    The same seed and size give the same text on every machine and Python version. The alphabet is ASCII
    letters, space, line end, and . , ! ? ' - " with : in the speaker marks alone.
    """
    parts: list[str] = []
    size = 0
    for conversation in conversations(seed):
        part = "".join(exchange.text() for exchange in conversation) + "\n"
        parts.append(part)
        size += len(part)
        if size >= characters:
            break
    return "".join(parts)


def conversations(seed: int = 1) -> Iterator[tuple[Exchange, ...]]:
    """The conversations of that text one by one, without end, each exchange with the intent that wrote it."""
    dice = Dice(seed)
    while True:
        yield write_conversation(dice)
