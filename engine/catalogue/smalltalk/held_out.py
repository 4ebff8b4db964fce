"""Questions the small talk never asks, kept back to see whether a model has understood or only remembers.

They share their key words with the corpus; the words around them are put together in a way it never uses. A
line counts as the same whatever its capitals, marks and short forms. Leaves out how a model is asked: that
is the evaluation's part.
"""

from __future__ import annotations

import re

HELD_OUT_NAME: tuple[str, ...] = (
    "what should i call you?",
    "so tell me, what is your name?",
    "hello there, do you have a name?",
    "may i know your name please?",
    "what name do you go by?",
    "i would love to know your name",
    "could you remind me of your name?",
    "can i ask what your name is?",
    "okay, so what is your name?",
    "what is your name, little one?",
)
HELD_OUT_SUM: tuple[str, ...] = (
    "so tell me, what is two plus three?",
    "hello there, what is two plus three?",
    "how much is two plus three, my friend?",
    "could you work out two plus three for me?",
    "i need to know how much two plus three is",
    "what would two plus three be?",
    "please add two and three together for me",
    "two plus three gives what?",
    "if i have two lemons and get three more, how many do i have?",
    "okay, so what do two and three make?",
)

_NOT_A_WORD = re.compile(r"[^a-z]+")


def essence(line: str) -> str:
    """The words of a line alone: lower case, no marks, "what's" written out, one space before and after
    each word."""
    words = _NOT_A_WORD.sub(" ", line.lower().replace("'", "")).split()
    return f" {' '.join(words)} ".replace(" whats ", " what is ").replace(" im ", " i am ")


_HELD_OUT = tuple(essence(phrase) for phrase in HELD_OUT_NAME + HELD_OUT_SUM)


def is_held_out(line: str) -> bool:
    """True for a line that contains one of the held-out phrases."""
    words = essence(line)
    return any(phrase in words for phrase in _HELD_OUT)
