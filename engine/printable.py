"""A name from outside, a file's or one that was typed, made harmless for a message.

Left out: texts, which an interface shows in its own way.
"""

from __future__ import annotations


def printable(name: str) -> str:
    """A name for a message: at most 80 characters on one line, with nothing in it that acts on a terminal."""
    if len(name) > 80:
        name = f"{name[:38]}…{name[-41:]}"
    return "".join(c if c.isprintable() else chr(0x2400 + ord(c)) if c < " " else "\ufffd" for c in name)
