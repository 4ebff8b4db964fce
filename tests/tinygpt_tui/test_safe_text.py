"""The promise that nothing shown can drive the terminal, over all of Unicode."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.printable import printable
from tests.tinygpt_tui.hostile import is_dangerous
from tinygpt_tui.safe_text import safe_line, safe_text
from tinygpt_tui.widgets.distribution_rows import visible

EVERY_CODE_POINT = "".join(map(chr, range(sys.maxunicode + 1)))


def test_no_code_point_of_unicode_comes_out_dangerous() -> None:
    assert [hex(ord(c)) for c in safe_text(EVERY_CODE_POINT) if is_dangerous(c)] == ["0x9", "0xa"]
    assert [hex(ord(c)) for c in safe_line(EVERY_CODE_POINT) if is_dangerous(c)] == []


@pytest.mark.parametrize("make", [safe_text, safe_line, printable, visible], ids=lambda make: make.__name__)
def test_each_of_them_comes_out_harmless_alone_and_between_others(make: Callable[[str], str]) -> None:
    """Whatever makes text safe, each in its way: for screens, for lines, for names in messages, and for one symbol of an alphabet."""
    dangerous = frozenset(filter(is_dangerous, EVERY_CODE_POINT)) - (
        set("\n\t") if make is safe_text else set()
    )
    tried, let_through = 0, []
    for char in EVERY_CODE_POINT:
        for text in (char, f"a{char}b") if make is not visible else (char,):
            made = make(text)
            tried += 1
            if not dangerous.isdisjoint(made) or not made:
                let_through.append(hex(ord(char)))
    assert let_through == []
    assert tried == 1_114_112 * (1 if make is visible else 2)
    print(f"\n{make.__name__}: {tried:,} texts tried, {len(dangerous):,} of the code points dangerous")


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
