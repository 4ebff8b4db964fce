"""What `engine.text_stats` promises: exact counts of any text, in one quick pass."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import asdict

import pytest

from engine import text_stats as module
from engine.text_stats import TextStats, text_stats


def slowly(text: str) -> TextStats:
    """The same counts by the shortest possible means."""
    counts = Counter(text)
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    return TextStats(
        bytes=len(text.encode()),
        characters=len(text),
        symbols=len(counts),
        once=sum(1 for n in counts.values() if n == 1),
        lines=len(lines),
        longest_line=max(map(len, lines), default=0),
        most_frequent=tuple(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:20]),
        entropy_bits=sum(n / len(text) * math.log2(len(text) / n) for n in counts.values()),
    )


TEXTS = [
    "",
    "a",
    "\n",
    "\n\n",
    "one\ntwo",
    "one\ntwo\n",
    "aaaa",
    "\x00\x7f\x80\u07ff\u0800\uffff\U00010000\U0010ffff",
    "naïve 狐 🦊 " * 100,
    "".join(chr(c) for c in range(0x20, 0x2000)) * 3,
    "the quick brown fox\njumps over the lazy dog\n\n" * 1000,
]


@pytest.mark.parametrize("text", TEXTS)
def test_the_counts_are_those_of_the_plain_definitions(text: str) -> None:
    quick, slow = asdict(text_stats(text)), asdict(slowly(text))
    assert quick.pop("entropy_bits") == pytest.approx(slow.pop("entropy_bits"), abs=1e-9)
    assert quick == slow


@pytest.mark.parametrize("text", TEXTS)
def test_counting_in_parts_changes_nothing(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = text_stats(text)
    monkeypatch.setattr(module, "_CHUNK", 1000)
    assert text_stats(text) == whole


def test_entropy_is_zero_for_one_symbol_and_log2_of_the_number_of_equal_ones() -> None:
    assert text_stats("aaaa").entropy_bits == 0.0
    assert text_stats("abcdefgh" * 5).entropy_bits == pytest.approx(3.0)


def test_the_numbers_are_plain_python_so_that_they_become_json() -> None:
    stats = text_stats("hello\n")
    assert {type(value) for value in asdict(stats).values()} == {int, float, tuple}
    assert {type(n) for _, n in stats.most_frequent} == {int}
