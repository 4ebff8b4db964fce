"""A session as a file: `md` to be read, `txt` exactly as it is, `jsonl` with every branch for programs.

Left out: where the file goes (`tinygpt_tui.files`), and keeping sessions (`tinygpt_tui.play.history`).
"""

from __future__ import annotations

import json
import math
import re
from array import array
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tinygpt_tui import __version__
from tinygpt_tui.play.passage import Passage, Settings, in_words
from tinygpt_tui.play.session import Session
from tinygpt_tui.safe_text import REPLACEMENT, safe_line, safe_text

FENCE = "~"  # of code blocks; longer than any run of it in the text

_SURROGATE = re.compile("[\ud800-\udfff]")


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
        return jsonl(session)()
    raise ValueError(f"there is no export called {kind!r}")


def jsonl(session: Session) -> Callable[[], str]:
    """What makes the export of a session as it is now, in any thread and while new passages are begun; none may be growing."""
    lines = _lines(session, tuple(session.all))
    first = next(lines)
    return lambda: "".join(json.dumps(line, allow_nan=False) + "\n" for line in (first, *lines))


def _markdown(session: Session) -> str:
    """Each piece of the shown text in a block that no character of it can end, below what wrote it and how.

    Characters that could drive a terminal are replaced by ones that can be seen.
    """
    parts = [f"# A text written with tinygpt {__version__}\n"]
    marks = session.marks()
    for segment in session.segments:
        passage = segment.passage
        end = passage.length if passage is session.leaf else segment.end
        if not end:
            continue
        if passage.kind == "typed":
            parts.append("**You typed**\n")
        else:
            parts.append(f"**{_code(passage.run)}** {_how(passage, end)}\n")
            for mark in marks:
                if segment.at < mark.at < segment.at + end:
                    parts.append(
                        f"* from character {mark.at - segment.at + 1:,} of this piece on: {_code(mark.text)}\n"
                    )
        text = safe_text(passage.text.slice(0, end))
        fence = FENCE * max(3, 1 + _longest_run(text, FENCE))
        parts.append(f"{fence}text\n{text}\n{fence}\n")
    return "\n".join(parts)


def _how(passage: Passage, end: int) -> str:
    """What a written passage's first character was drawn with, and how surprising its first `end` characters were to the model."""
    settings = passage.settings_at(passage.token_at(0))  # they may have changed before anything was drawn
    step = settings.pop("weights", None)
    settings.pop("chars_per_s", None)
    knobs = [in_words(name, value) for name, value in settings.items() if value is not None]
    parts = [f"at step {passage.step if step is None else step:,.0f}", *knobs, f"seed {passage.seed}"]
    told = f"; {end:,} character{'s' if end > 1 else ''}"
    nats = _surprise(passage, end)
    if nats is not None:
        told += f", surprise before the sampler {nats:.3f} nats per character"
    return ", ".join(parts) + told


def _surprise(passage: Passage, end: int) -> float | None:
    """The mean of -ln of what the model itself gave to the tokens of the first `end` characters, in nats per character."""
    raw = passage.raw[: passage.token_at(end - 1) + 1]
    if not raw or min(raw) <= 0 or not math.isfinite(sum(raw)):
        return None
    return -sum(map(math.log, raw)) / end + 0.0  # + 0.0 turns -0.0 into 0.0


def _code(text: str) -> str:
    """Foreign text as a piece of code: in it no character means anything to a reader of Markdown."""
    line = safe_line(" ".join(text.split())) or "?"
    ticks = "`" * (1 + _longest_run(line, "`"))
    return f"{ticks} {line} {ticks}" if "`" in line else f"{ticks}{line}{ticks}"


def _longest_run(text: str, char: str) -> int:
    return max(map(len, re.findall(f"{re.escape(char)}+", text)), default=0)


def _lines(session: Session, passages: Sequence[Passage]) -> Iterator[dict[str, Any]]:
    """One object for the session, then one for each passage in the order they were begun.

    The shown text is that of the passages `shown`, of each as much as the `offset` of the next says, and all of the last. Each
    token of a written passage has its place in `lengths`, `p`, `raw` and `rank`, and was drawn with the `settings` and those of
    all `changes` up to it.
    """
    yield {
        "event": "session",
        "v": 1,
        "tinygpt": __version__,
        "shown": [segment.passage.number for segment in session.segments],
        **_text(session.text()),
    }
    for passage in passages:
        line: dict[str, Any] = {
            "event": "passage",
            "number": passage.number,
            "parent": passage.parent.number if passage.parent else None,
            "offset": passage.offset,
            "kind": passage.kind,
            **_text(passage.text.slice(0, passage.length)),
        }
        if passage.kind == "written":
            line |= {
                "run": _whole(passage.run),
                "step": passage.step,
                "seed": passage.seed,
                "settings": _numbers(passage.settings),
                "changes": [
                    {"token": change.token, "settings": _numbers(change.settings)}
                    for change in passage.changes
                ],
                "reason": _whole(passage.reason),
                "lengths": list(passage.lengths),
                "p": _shortest(passage.p),
                "raw": _shortest(passage.raw),
                "rank": list(passage.rank),
            }
        yield line


def _text(text: str) -> dict[str, Any]:
    """A text as any reader of JSON takes it; what halves of characters (surrogates) it had stands beside it, by their places."""
    halves = [[found.start(), ord(found.group())] for found in _SURROGATE.finditer(text)]
    return {"text": _whole(text), "surrogates": halves} if halves else {"text": text}


def _whole(text: str) -> str:
    return _SURROGATE.sub(REPLACEMENT, text)


def _numbers(settings: Settings) -> dict[str, float | None]:
    return {
        name: value if value is not None and math.isfinite(value) else None
        for name, value in settings.items()
    }


def _shortest(column: array[float]) -> list[float | None]:
    """Each with seven digits or, where these do not give the same 32-bit float again, nine; what is no number is null."""
    short = [float(f"{p:.7g}") for p in column]
    told = (
        brief if again == p else float(f"{p:.9g}")
        for p, brief, again in zip(column, short, array("f", short), strict=True)
    )
    return [p if math.isfinite(p) else None for p in told]
