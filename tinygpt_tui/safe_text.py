"""Makes any text harmless to a terminal: what a model, a corpus, a name or an error says goes through here.

It works one code point at a time and remembers nothing, so an escape sequence that arrives split over many
tokens is disarmed like one that arrives whole. It does not measure, wrap, normalise or strip text: every code
point gives exactly one code point.
"""

from __future__ import annotations

REPLACEMENT = "\ufffd"

_CONTROL_PICTURES = {code: chr(0x2400 + code) for code in range(0x20)}
_KEPT_CONTROLS = (0x09, 0x0A)

# What moves the cursor, reorders the line, or cannot be encoded at all. U+200D (joiner) and combining marks
# stay: without them emoji and most of the world's scripts fall apart, and they can do no more than look odd.
_UNSHOWABLE = (
    *range(0x80, 0xA0),  # C1: a single byte 0x9B is a control sequence introducer to some terminals
    0x061C,
    0x200E,
    0x200F,
    *range(0x202A, 0x202F),  # bidirectional embeddings and overrides
    *range(0x2066, 0x206A),  # bidirectional isolates
    0x2028,  # line separator
    0x2029,  # paragraph separator
    *range(0xD800, 0xE000),  # lone surrogates: no encoding can write them
)

_TEXT_TABLE: dict[int, str] = dict.fromkeys(_UNSHOWABLE, REPLACEMENT)
_TEXT_TABLE.update(_CONTROL_PICTURES)
_TEXT_TABLE[0x7F] = "\u2421"
_LINE_TABLE = dict(_TEXT_TABLE)
for _code in _KEPT_CONTROLS:
    del _TEXT_TABLE[_code]


def safe_text(text: str) -> str:
    """`text` with everything that could drive a terminal made visible or replaced.

    Control characters except newline and tab become their pictures (escape is shown as U+241B); DEL becomes
    U+2421; C1 controls, bidirectional controls, line and paragraph separators and lone surrogates become
    U+FFFD. All else is unchanged.
    """
    return text.translate(_TEXT_TABLE)


def safe_line(text: str) -> str:
    """Like `safe_text`, with pictures for newline and tab too: for what must stay on one line."""
    return text.translate(_LINE_TABLE)
