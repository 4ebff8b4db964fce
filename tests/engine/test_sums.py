"""The promises of the sums: right, never negative, and without the pairs that are held out."""

from __future__ import annotations

import hashlib
import re
from collections import Counter

import pytest

from engine.catalogue.sums import held_out, held_out_sums, write_sums
from engine.errors import UsageError

LINE = re.compile(r"(0|[1-9]\d{0,2})([+-])(0|[1-9]\d{0,2})=(0|[1-9]\d*)")


@pytest.fixture(scope="module")
def sums() -> list[tuple[int, str, int, int]]:
    lines = write_sums().removesuffix("\n").split("\n")
    found = []
    for line in lines:
        match = LINE.fullmatch(line)
        assert match is not None, line
        a, sign, b, result = match.groups()
        found.append((int(a), sign, int(b), int(result)))
    return found


def test_the_same_seed_gives_the_same_text_and_another_seed_another() -> None:
    assert write_sums(7, 5_000) == write_sums(7, 5_000)
    assert write_sums(7, 5_000) != write_sums(8, 5_000)


def test_the_text_of_seed_one_never_changes() -> None:
    digest = hashlib.sha256(write_sums(1, 20_000).encode()).hexdigest()
    assert digest == "c08c7da83bd87498f0829f34de4c197ebffb286fc1babdb6d8262e5f90acb53d"


@pytest.mark.parametrize("size", [1, 1_000, 1_200_000])
def test_the_text_is_as_long_as_asked_and_ends_with_a_whole_line(size: int) -> None:
    text = write_sums(1, size)
    assert size <= len(text) < size + 14
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


def test_every_line_is_right_and_never_negative(sums: list[tuple[int, str, int, int]]) -> None:
    for a, sign, b, result in sums:
        assert result == (a + b if sign == "+" else a - b)
        assert result >= 0


def test_no_line_holds_a_held_out_pair(sums: list[tuple[int, str, int, int]]) -> None:
    assert not any(held_out(a, b) for a, _, b, _ in sums)


def test_additions_lead_and_every_length_occurs(sums: list[tuple[int, str, int, int]]) -> None:
    signs = Counter(sign for _, sign, _, _ in sums)
    assert 0.55 < signs["+"] / len(sums) < 0.65
    digits = Counter(max(len(str(a)), len(str(b))) for a, _, b, _ in sums)
    assert digits[2] > digits[3] > digits[1] > 0.05 * len(sums)
    assert any(a < b for a, sign, b, _ in sums if sign == "+")
    assert any(a > b for a, sign, b, _ in sums if sign == "+")


def test_nearly_all_sums_of_two_digits_occur_but_the_held_out(sums: list[tuple[int, str, int, int]]) -> None:
    seen = Counter((a, b) for a, sign, b, _ in sums if sign == "+")
    missing = [(a, b) for a in range(100) for b in range(100) if not held_out(a, b) and not seen[a, b]]
    assert len(missing) < 400


def test_one_pair_in_ten_is_held_out_whatever_its_order() -> None:
    pairs = [(a, b) for a in range(0, 1_000, 3) for b in range(a, 1_000, 3)]
    share = sum(held_out(a, b) for a, b in pairs) / len(pairs)
    assert 0.09 < share < 0.11
    assert all(held_out(a, b) == held_out(b, a) for a, b in pairs[:5_000])
    for number in (10, 25, 50, 99, 100, 500):
        partners = sum(held_out(number, other) for other in range(10, 1_000)) / 990
        assert 0.05 < partners < 0.15


def test_pairs_below_ten_are_never_held_out() -> None:
    assert not any(held_out(a, b) for a in range(10) for b in range(10))


def test_held_out_questions_are_held_out_right_and_all_different() -> None:
    asked = held_out_sums(500, 3, "+-")
    assert len(dict(asked)) == 500
    signs: Counter[str] = Counter()
    for prompt, answer in asked:
        match = LINE.fullmatch(prompt + answer)
        assert match is not None
        a, sign, b, result = int(match[1]), match[2], int(match[3]), int(match[4])
        assert held_out(a, b)
        assert result == (a + b if sign == "+" else a - b) >= 0
        signs[sign] += 1
    assert min(signs["+"], signs["-"]) > 150


def test_held_out_questions_follow_the_seed_and_add_by_default() -> None:
    assert held_out_sums(20, 1) == held_out_sums(20, 1) != held_out_sums(20, 2)
    assert all("+" in prompt for prompt, _ in held_out_sums(50, 1))
    assert held_out_sums(0, 1) == []


def test_asking_for_more_than_there_is_or_for_another_sign_is_an_error() -> None:
    with pytest.raises(UsageError, match="5000"):
        held_out_sums(5_001, 1)
    with pytest.raises(UsageError, match="signs"):
        held_out_sums(5, 1, "*")
    with pytest.raises(UsageError, match="signs"):
        held_out_sums(5, 1, "")
