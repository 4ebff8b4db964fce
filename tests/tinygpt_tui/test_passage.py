"""One piece of a text: any tokens at a few bytes a character, found again by their places, and never copied as a whole."""

from __future__ import annotations

import sys
import tracemalloc
from array import array
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tinygpt_tui.play.passage import BLOCK, MOST_RANK, Change, Pages, Passage, in_words

MANY = 120_000
EDGES = (0, 1, 2, 100, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK)


def written(tokens: Sequence[str] = ()) -> Passage:
    passage = Passage(1, None, 0, "written", "tales", 100, 7, {"temperature": 0.8})
    for at, text in enumerate(tokens):
        passage.append(text, 1 / (at + 2), 1 / (at + 3), at)
    return passage


def whole(passage: Passage) -> str:
    return passage.text.slice(0, passage.length)


def columns(passage: Passage) -> tuple[Any, ...]:
    return (whole(passage), passage.lengths, passage.p, passage.raw, passage.rank)


def varied(length: int, start: int) -> str:
    """A text in which no place looks like another one near it."""
    return "".join(chr(0x100 + (start + at) * 7919 % 40_000) for at in range(length))


def calls(action: Callable[[], object]) -> int:
    """How many functions, of Python and of C, are called by `action`: work without a clock."""
    count = 0

    def seen(frame: object, event: str, arg: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(seen)
    try:
        action()
    finally:
        sys.setprofile(before)
    return count


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(EDGES), max_size=8), st.data())
def test_a_text_in_blocks_reads_like_the_whole_at_every_place(
    portions: list[int], data: st.DataObject
) -> None:
    pages, text = Pages(), ""
    for portion in portions:
        more = varied(portion, len(text))
        pages.append(more)
        text += more
    assert pages.length == len(text) and pages.slice(0, len(text)) == text
    place = st.integers(-3, len(text) + 3) | st.sampled_from((BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK))
    for _ in range(5):
        start, end = data.draw(place), data.draw(place)
        assert pages.slice(start, end) == text[max(0, start) : max(0, end)]


def test_a_text_that_grows_leaves_its_full_blocks_as_they_are() -> None:
    pages = Pages()
    pages.append("a" * (5 * BLOCK + 10))
    before = list(pages._blocks)
    for _ in range(BLOCK):
        pages.append("b")
    assert all(now is then for now, then in zip(pages._blocks, before[:-1], strict=False))
    assert all(len(block) == BLOCK for block in pages._blocks[:-1]) and len(pages._blocks[-1]) <= BLOCK


def test_reading_a_part_reads_its_blocks_only() -> None:
    class Counting(list[str]):
        read = 0

        def __getitem__(self, key: Any) -> Any:
            found = super().__getitem__(key)
            Counting.read += len(found) if isinstance(key, slice) else 1
            return found

    pages = Pages()
    pages.append("x" * (30 * BLOCK))
    pages._blocks = Counting(pages._blocks)
    assert pages.slice(20 * BLOCK - 3, 20 * BLOCK + 3) == "x" * 6
    assert Counting.read == 2


def test_every_token_keeps_its_figures() -> None:
    passage = Passage(1, None, 0, "written")
    passage.append("a", 0.5, 0.25, 3)
    passage.append("bc", 1.0, 2**-40, 0)
    passage.append("", 0.0, 0.125, 1)
    assert (whole(passage), passage.length, passage.tokens) == ("abc", 3, 3)
    assert (list(passage.p), list(passage.raw)) == ([0.5, 1.0, 0.0], [0.25, 2**-40, 0.125])
    assert (list(passage.lengths), list(passage.rank)) == ([1, 2, 0], [3, 0, 1])


@pytest.mark.parametrize("rank", [65_534, 65_535, 65_536, 131_071, 10**12])
def test_a_rank_of_a_large_vocabulary_is_kept_up_to_the_most(rank: int) -> None:
    passage = Passage(1, None, 0, "written")
    passage.append("a", 0.1, 0.1, rank)
    assert MOST_RANK == 65_535
    assert list(passage.rank) == [min(rank, 65_535)]


@pytest.mark.parametrize("length", [65_535, 65_536, 200_000])
def test_a_token_of_any_length_is_kept_whole(length: int) -> None:
    """A stranger's vocabulary may have one, and it must neither be lost nor take the app down."""
    text = varied(length, 0)
    passage = written(["a"])
    passage.append(text, 0.5, 0.25, 4)
    passage.append("z", 0.5, 0.125, 4)
    assert whole(passage) == "a" + text + "z"
    assert sum(passage.lengths) == passage.length
    for offset, raw in ((0, 1 / 3), (1, 0.25), (length, 0.25), (length + 1, 0.125)):
        assert passage.raw[passage.token_at(offset)] == pytest.approx(raw)


@settings(deadline=None)
@given(st.lists(st.text(st.characters(), max_size=4), max_size=20))
@example(["", "", "é", "", "ab", ""])  # bytes of one character, and a byte pair
@example(["a", "b", ""])
@example(["a", "b", "cd", "e"])
def test_every_character_finds_its_token_and_every_token_its_text(tokens: list[str]) -> None:
    passage = written(tokens)
    assert whole(passage) == "".join(tokens)
    by_character = [token for token, text in enumerate(tokens) for _ in text]
    assert [passage.token_at(offset) for offset in range(passage.length)] == by_character
    for token, text in enumerate(tokens):
        start = passage.start_of(token)
        assert start == sum(map(len, tokens[:token]))
        assert passage.text.slice(start, start + passage.lengths[token]) == text
    assert passage.start_of(len(tokens)) == passage.start_of(len(tokens) + 5) == passage.length


@settings(deadline=None)
@given(st.lists(st.lists(st.text(st.characters(), max_size=3), max_size=6), max_size=5), st.integers(0, 5))
def test_many_tokens_at_once_are_the_same_as_one_by_one(pieces: list[list[str]], appended: int) -> None:
    """However they are cut into pieces, and when some of the pieces came one by one."""
    everything = [token for piece in pieces for token in piece]
    one_by_one, at_once, token = written(everything), written(), 0
    for number, piece in enumerate(pieces):
        end = token + len(piece)
        figures = (one_by_one.lengths, one_by_one.p, one_by_one.raw, one_by_one.rank)
        if number < appended:
            for text, _, p, raw, rank in zip(piece, *(column[token:end] for column in figures), strict=True):
                at_once.append(text, p, raw, rank)
        else:
            at_once.extend("".join(piece), *(column[token:end] for column in figures))
        token = end
    assert columns(at_once) == columns(one_by_one)
    assert [at_once.token_at(at) for at in range(at_once.length)] == [
        one_by_one.token_at(at) for at in range(one_by_one.length)
    ]
    assert [at_once.start_of(at) for at in range(len(everything) + 1)] == [
        one_by_one.start_of(at) for at in range(len(everything) + 1)
    ]


def test_a_typed_text_has_characters_and_no_tokens() -> None:
    passage = Passage(1, None, 0, "typed")
    passage.extend("Once", array("H"), array("f"), array("f"), array("H"))
    assert (whole(passage), passage.tokens) == ("Once", 0)


@pytest.mark.parametrize(
    ("text", "lengths", "p", "rank"),
    [
        ("ab", [1, 1], [0.5], [0, 0]),
        ("ab", [1, 1], [0.5, 0.5], [0]),
        ("ab", [1], [0.5], [0]),
        ("a", [1, 1], [0.5, 0.5], [0, 0]),
        ("ab", [], [], []),
    ],
)
def test_figures_that_belong_to_other_tokens_are_refused(
    text: str, lengths: list[int], p: list[float], rank: list[int]
) -> None:
    """Such as a damaged file would give; every place of the text would be wrong from there on."""
    passage = written(["x", "yz"])
    before = columns(written(["x", "yz"]))
    with pytest.raises(ValueError, match="tokens"):
        passage.extend(text, array("H", lengths), array("f", p), array("f", p), array("H", rank))
    assert columns(passage) == before


def test_the_settings_of_a_token_are_those_of_the_beginning_and_all_changes_up_to_it() -> None:
    passage = written("abcdef")
    passage.changes += [
        Change(2, {"temperature": 1.2}),
        Change(2, {"top_k": 5}),
        Change(4, {"temperature": 0.0, "weights": 200}),
    ]
    assert [passage.settings_at(token) for token in (0, 1)] == [{"temperature": 0.8}] * 2
    assert [passage.settings_at(token) for token in (2, 3)] == [{"temperature": 1.2, "top_k": 5}] * 2
    assert passage.settings_at(4) == {"temperature": 0.0, "top_k": 5, "weights": 200}
    assert passage.settings_at(99) == passage.settings_at(4)
    assert passage.settings == {"temperature": 0.8}, "what began it is still what began it"


@pytest.mark.parametrize("alphabet", ["etaoin shrdlu\n", "🦊🏮🌉"])
def test_a_long_passage_takes_at_most_64_bytes_a_character(alphabet: str) -> None:
    text = (alphabet * (MANY // len(alphabet) + 1))[:MANY]
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        passage = Passage(1, None, 0, "written")
        for at, c in enumerate(text):
            passage.append(c, 0.5, 0.25, at % 90_000)
        used, most = (n - before for n in tracemalloc.get_traced_memory())
    finally:
        tracemalloc.stop()
    assert passage.length == passage.tokens == MANY
    assert 12 * MANY < used <= 64 * MANY, (
        "text, length, two probabilities and a rank of each, and nothing else"
    )
    assert most <= 64 * MANY, "while it grows, too"


@pytest.mark.parametrize("odd", [[], ["", "ab"]])
def test_a_token_more_costs_the_same_however_long_the_passage_is(odd: list[str]) -> None:
    def cost(tokens: int) -> int:
        passage = written([*odd, *"x" * tokens])
        counted = calls(lambda: passage.append("y", 0.5, 0.5, 1))
        counted += calls(lambda: passage.text.slice(passage.length - 80, passage.length))
        counted += calls(lambda: passage.token_at(passage.length - 1))
        return counted

    assert 0 < cost(10) == cost(1_000) == cost(30_000)


def test_settings_are_said_in_the_words_of_the_knobs() -> None:
    assert in_words("temperature", 0.8) == "temperature 0.8" and in_words("temperature", 0) == "temperature 0"
    assert in_words("top_k", 40) == "top-k 40" and in_words("min_p", 0.05) == "min-p 0.05"
    off = {"top_k": 0, "top_p": 1.0, "min_p": 0.0, "repetition": 0.0}
    assert [in_words(name, value) for name, value in off.items()] == [
        "top-k off",
        "top-p off",
        "min-p off",
        "repetition off",
    ]
