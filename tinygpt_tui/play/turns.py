"""A text as a conversation: what stands before each turn, and who said what.

The marks are the run's own, such as "You:" and "Pip:", each at the beginning of a line. Left out: whose turn it is to write.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Who = Literal["user", "model"]
STOP = "\n"  # what ends a turn


@dataclass(frozen=True)
class Turn:
    """One turn: who spoke, where its mark begins, where what was said begins, and where it ends, in characters."""

    who: Who
    start: int
    said: int
    end: int


def wrapped(text: str, line: str, turns: Mapping[str, str]) -> str:
    """What to put behind `text` so that `line` is the person's turn and the model's is next."""
    gap = "" if not text or text.endswith("\n") else "\n"
    said = " ".join(part for part in line.splitlines() if part)  # a turn is a line
    return f"{gap}{turns['user']}{said}\n{turns['model']}"


def turns_in(text: str, turns: Mapping[str, str]) -> list[Turn]:
    """The turns of a text in order; lines without a mark belong to the turn before, and those before the first to none."""
    found: list[Turn] = []
    at = 0
    marks: tuple[tuple[Who, str], ...] = (("user", turns["user"]), ("model", turns["model"]))
    marks = tuple((who, mark) for who, mark in marks if mark.strip("\n"))
    for line in text.split("\n"):
        who = next(((who, mark) for who, mark in marks if line.startswith(mark.rstrip("\n"))), None)
        if who is not None:
            if found:
                found[-1] = _ended(found[-1], at, text)
            said = at + len(who[1])
            while said < len(text) and text[said] == " ":
                said += 1
            found.append(Turn(who[0], at, min(said, len(text)), len(text)))
        at += len(line) + 1
    if found:
        found[-1] = _ended(found[-1], len(text), text)
    return found


def _ended(turn: Turn, end: int, text: str) -> Turn:
    while end > turn.said and text[end - 1] == "\n":
        end -= 1
    return Turn(turn.who, turn.start, min(turn.said, end), end)
