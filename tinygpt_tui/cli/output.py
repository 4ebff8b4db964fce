"""How commands speak: data to stdout, narration to stderr.

On a terminal everything passes `safe_text`; into a pipe or file, data is exact. A text is never markup, and
no text can make printing fail: what the locale cannot write appears as a backslash escape. Progress is
`tinygpt_tui.cli.progress`' business.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import TextIO

from tinygpt_tui.safe_text import safe_text


def emit(text: str, end: str = "\n") -> None:
    """Writes data to stdout and flushes it: whoever reads along sees a character when it is made.

    Raises:
        BrokenPipeError: the reader has gone away.
        OSError: the disk that stdout goes to is full.
    """
    out = sys.stdout
    if out is None:  # closed by whoever started us
        return
    out.write((safe_text(text) if is_terminal(out) else text) + end)
    out.flush()


def emit_json(value: object) -> None:
    """Writes one JSON object as one line of ASCII; numbers that are not finite are null. Raises as `emit`."""
    from engine.storage import dump_json

    emit(dump_json(value).decode("ascii"))


def narrate(text: str) -> None:
    """Writes one line for a person to stderr. Never raises: a lost remark is no reason to lose a run."""
    narrate_raw(safe_text(text) + "\n")


def narrate_raw(text: str) -> None:
    """Writes to stderr text that is safe already, such as an updated progress line. Never raises."""
    with suppress(OSError, ValueError):
        if sys.stderr is not None:
            sys.stderr.write(text)
            sys.stderr.flush()


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person looks at `stream` right now."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False


def is_interactive() -> bool:
    """Whether a question would reach a person: commands must not ask otherwise."""
    return is_terminal(sys.stdin) and is_terminal(sys.stderr)


def wants_color(
    stream: TextIO | None, setting: str = "auto", environment: Mapping[str, str] | None = None
) -> bool:
    """Whether to colour `stream`.

    The setting beats `NO_COLOR`, that beats `FORCE_COLOR`, and that the terminal (no-color.org; empty
    variables count as unset).

    Args:
        setting: the value of output.color.
    """
    if setting != "auto":
        return setting == "always"
    environment = os.environ if environment is None else environment
    if environment.get("NO_COLOR"):
        return False
    if environment.get("FORCE_COLOR"):
        return True
    return is_terminal(stream) and environment.get("TERM", "") not in ("", "dumb")


def make_forgiving() -> None:
    """Lets stdout and stderr write any text in any locale."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def abandon_stdout() -> None:
    """Sends what is still to come nowhere, so that Python's own last flush finds no broken pipe to report."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, 1)
        finally:
            os.close(nowhere)
