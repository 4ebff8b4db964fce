"""A session as a file: `md` to be read, `txt` exactly as it is, `jsonl` with every branch for programs.

Left out: where the file goes (`tinygpt_tui.files`), and keeping sessions (`tinygpt_tui.play.history`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

from tinygpt_tui.play.passage import Passage
from tinygpt_tui.play.session import Session

FENCE = "~"  # of code blocks; longer than any run of it in the text


def export(session: Session, kind: str) -> str:
    """The shown text of a session, or all of it for `jsonl`.

    Args:
        kind: "md", "txt" or "jsonl".

    Raises:
        ValueError: there is no such kind.
    """
    if kind == "txt":
        return session.text()
    if kind == "md":
        return _markdown(session)
    if kind == "jsonl":
        return "".join(json.dumps(line, ensure_ascii=True) + "\n" for line in _lines(session))
    raise ValueError(f"there is no export called {kind!r}")


def _markdown(session: Session) -> str:
    """Each piece of the shown text in a block that no character of it can end, below what wrote it."""
    parts = ["# A text written with tinygpt\n"]
    marks = session.marks()
    for segment in session.segments:
        passage = segment.passage
        end = passage.length if passage is session.leaf else segment.end
        if not end:
            continue
        if passage.kind == "typed":
            parts.append("**You typed**\n")
        else:
            parts.append(f"**{_code(passage.run)}** at step {passage.step:,}, {_told(passage)}\n")
            for mark in marks:
                if segment.at < mark.at < segment.at + end:
                    parts.append(
                        f"* from character {mark.at - segment.at + 1:,} of this piece on: {_code(mark.text)}\n"
                    )
        text = passage.text.slice(0, end)
        fence = FENCE * max(3, 1 + _longest_run(text, FENCE))
        parts.append(f"{fence}text\n{text}\n{fence}\n")
    return "\n".join(parts)


def _told(passage: Passage) -> str:
    knobs = [
        f"{name.replace('_', '-')} {value:g}" for name, value in passage.settings.items() if value is not None
    ]
    return ", ".join((*knobs, f"seed {passage.seed}"))


def _code(text: str) -> str:
    """Foreign text as a piece of code: in it no character means anything to a reader of Markdown."""
    line = " ".join(text.split())
    ticks = "`" * (1 + _longest_run(line, "`"))
    return f"{ticks} {line} {ticks}" if "`" in line else f"{ticks}{line}{ticks}"


def _longest_run(text: str, char: str) -> int:
    longest = run = 0
    for c in text:
        run = run + 1 if c == char else 0
        longest = max(longest, run)
    return longest


def _lines(session: Session) -> Iterator[dict[str, Any]]:
    """One object for the session, then one for each passage in the order they were begun."""
    shown = [segment.passage.number for segment in session.segments]
    yield {"event": "session", "v": 1, "shown": shown, "text": session.text()}
    for passage in session.all:
        line: dict[str, Any] = {
            "event": "passage",
            "number": passage.number,
            "parent": passage.parent.number if passage.parent else None,
            "offset": passage.offset,
            "kind": passage.kind,
            "text": passage.text.slice(0, passage.length),
        }
        if passage.kind == "written":
            line |= {
                "run": passage.run,
                "step": passage.step,
                "seed": passage.seed,
                "settings": dict(passage.settings),
                "changes": [{"token": change.token, **dict(change.settings)} for change in passage.changes],
                "reason": passage.reason,
                "lengths": list(passage.lengths),
                "p": [_finite(p) for p in passage.p],
                "raw": [_finite(p) for p in passage.raw],
                "rank": list(passage.rank),
            }
        yield line


def _finite(p: float) -> float | None:
    """As many digits as a 32-bit float has; what is no number is null."""
    return float(f"{p:.7g}") if math.isfinite(p) else None
