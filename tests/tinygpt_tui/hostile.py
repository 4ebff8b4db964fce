"""A text, names and ways to look that a terminal must never obey: every control character, and what others have done with them."""

from __future__ import annotations

import re
import unicodedata

C0_C1 = "".join(map(chr, range(0xA0)))
BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
SEQUENCES = (
    "\x1b]52;c;b3duZWQ=\x07",  # into the clipboard
    "\x1b]0;owned\x07",  # the title
    "\x1b]8;;https://example.org\x1b\\link\x1b]8;;\x1b\\",
    "\x1bP$q q\x1b\\",  # asks for an answer that is typed in our name
    "\x1bP+q544e\x1b\\",
    "\x1b[91;101;5m",
    "\x1b[77;77H",
    "\x1b[6n",
    "\x1b[?1049l",
    "\x1b[?2004l",
    "\x1b[>4;1m",
    "\x1bc",
    "\x1b(0",
    "\x9b91;101;5m",
    "\x9d0;owned\x9c",
    "\x90$q q\x9c",
)
MARKUP = (
    "[/]",
    "[@click=app.quit]x[/]",
    "[link=https://example.org]y[/link]",
    "[bold]",
    "\\[b]",
    "[",
    "[/nope]",
    "$text",
    ":warning:",
)
EVERYTHING = C0_C1 + BIDI + "\u2028\u2029" + "".join(SEQUENCES) + "".join(MARKUP)
# As much as a name of a file may hold, and what no name may.
NAME = "ev\x1b]0;owned\x07[@click=app.quit]x[\\]\n\r\t\u202e\x9b2J\x7f.txt"

_BIDI_CLASSES = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
# All that Textual draws with. Of what is in `SEQUENCES` it uses some, too: these are told by their numbers.
_DRAWING = re.compile(
    r"\x1b(?:\[[0-9;:]*m|\[(?:\d+(?:;\d+)?)?H|\[\?(?:1049|1000|1003|1006|1015|1016|1004|2004|2026|2048|25|7)[hl]"
    r"|\[[<>]\d*u|\[\?20(?:26|48)\$p|\[\d*[ABCDJK]|\]22;[a-z-]*\x07)"  # the last is the shape of the pointer
)
_FOREIGN = re.compile(r"\x1b\[(?:91;101;5m|77;77H)")


def is_dangerous(char: str) -> bool:
    """Judged by Unicode's own categories, and not by any table of ours."""
    return (
        unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp")
        or unicodedata.bidirectional(char) in _BIDI_CLASSES
        or char in "\u061c\u200e\u200f"
    )


def corpus(times: int) -> str:
    """Everything, again and again between words: a text that is refused unless somebody insists."""
    return "".join(
        f"The fox {part} ran\n"
        for _ in range(times)
        for part in (*SEQUENCES, *MARKUP, C0_C1, BIDI, EVERYTHING)
    )


def obeyed(data: bytes, drawing: bool) -> list[str]:
    """What in the bytes that reached a terminal it would obey, but for line ends and, if something draws there, what it draws with.

    Without `drawing` nothing is allowed but the end of a line that is kept up to date.
    """
    text = data.decode("utf-8")  # which fails where a C1 control came as a bare byte
    found = _FOREIGN.findall(text)
    rest = _DRAWING.sub("", text) if drawing else text.replace("\x1b[K", "")
    harmless = "\r\n" if drawing else "\r\n\t"
    return found + [f"U+{ord(c):04X}" for c in rest if is_dangerous(c) and c not in harmless]
