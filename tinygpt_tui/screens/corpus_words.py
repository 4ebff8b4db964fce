"""Why a text cannot be learned or a model not be trained, in words for whoever looks at a screen. Pure functions; safe to show."""

from __future__ import annotations

import re

from engine.facts import Stats
from tinygpt_tui.safe_text import safe_text

LEAST_CHARACTERS = 18  # of a text, so that nine tenths of it are `engine.launch.MIN_TRAIN_CHARS`

_TOO_LARGE = "choose a smaller --size, batch_size or micro_batch, or pass --force."
_SMALLER = "close other programs, or choose a smaller size in Corpus."

# What the engine advises a person who types commands, and what the same person can do here.
_ADVICE = (
    ("give a part of it, or --force.", "choose a smaller part of it."),
    (": name a smaller folder, or --force.", ": choose a smaller folder."),
    ("name its encoding, for example --encoding latin-1.", "save it as UTF-8 in an editor and open it again."),
    ("give a text, or its --encoding (such as utf-16), or --force-text.", "choose one that is text, saved as UTF-8."),
    ("send its text to standard input and give -.", "save its text in a file and choose that."),
    ("give a file, a folder, or standard input as -.", "choose a file or a folder."),
    (
        "The validation split has fewer than two characters; give a longer corpus.",
        "This text is too short to learn from: choose one of some thousands of characters.",
    ),
    (_TOO_LARGE, _SMALLER),
    ("choose a smaller --size, batch_size or micro_batch.", _SMALLER),
)  # fmt: skip
_NETWORK = re.compile(r"\[Errno -?\d+\][^;]*|[^;:]*timed out[^;]*")


def in_plain_words(message: str) -> str:
    """A sentence of the engine, with the advice that helps in the playground."""
    for said, meant in _ADVICE:
        message = message.replace(said, meant)
    if message.startswith("Could not fetch"):
        message = _NETWORK.sub("the server was not reached (is there a network?)", message)
    message = re.sub(r"run: tinygpt corpora fetch [\w-]+", "fetch it in Corpus", message)
    return safe_text(message)


def is_too_large(message: str) -> bool:
    """Whether the engine refused a model for the memory that it would take."""
    return _TOO_LARGE in message


def too_short(stats: Stats | None) -> str:
    """Why a text is too short to begin a training, or ""."""
    if stats is None or stats.characters >= LEAST_CHARACTERS:
        return ""
    number = f"{stats.characters} character{'s' if stats.characters != 1 else ''}"
    return f"This text has {number}: a model needs {LEAST_CHARACTERS} to begin, and some thousands to learn anything."
