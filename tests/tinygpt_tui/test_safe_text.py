"""The promise that nothing shown can drive the terminal, over all of Unicode."""

from __future__ import annotations

import sys
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from tinygpt_tui.safe_text import safe_line, safe_text

EVERY_CODE_POINT = "".join(map(chr, range(sys.maxunicode + 1)))
BIDI = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def is_dangerous(char: str) -> bool:
    """Judged by Unicode's own categories, not by our table."""
    return (
        unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp")
        or unicodedata.bidirectional(char) in BIDI
        or char in "\u061c\u200e\u200f"
    )


def test_no_code_point_of_unicode_comes_out_dangerous() -> None:
    assert [hex(ord(c)) for c in safe_text(EVERY_CODE_POINT) if is_dangerous(c)] == ["0x9", "0xa"]
    assert [hex(ord(c)) for c in safe_line(EVERY_CODE_POINT) if is_dangerous(c)] == []


def test_every_harmless_code_point_is_left_alone() -> None:
    changed = [a for a, b in zip(EVERY_CODE_POINT, safe_text(EVERY_CODE_POINT), strict=True) if a != b]
    assert all(is_dangerous(char) for char in changed)
    assert "\u200d" not in changed and "\u0301" not in changed and "\t" not in changed and "\n" not in changed


def test_controls_are_shown_as_their_pictures() -> None:
    assert safe_text("\x00\x1b[31m\x7f\r\n\t") == "␀␛[31m␡␍\n\t"
    assert safe_text("\x9b31m\u202e\ud800\u2028") == "\ufffd31m\ufffd\ufffd\ufffd"
    assert safe_line("two\nlines\t") == "two␊lines␉"


def test_the_result_can_always_be_encoded() -> None:
    safe_text(EVERY_CODE_POINT).encode("utf-8")


@given(st.text(st.characters()), st.integers(0, 50))
def test_splitting_a_text_anywhere_changes_nothing(text: str, at: int) -> None:
    assert safe_text(text[:at]) + safe_text(text[at:]) == safe_text(text)
    assert len(safe_text(text)) == len(text)
    assert safe_text(safe_text(text)) == safe_text(text)
