"""Soft wrap: cells and offsets belong together, and a text that grows is wrapped as if it had come at once."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass

from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len

from tinygpt_tui.safe_text import safe_line
from tinygpt_tui.widgets import wrapping
from tinygpt_tui.widgets.wrapping import LABEL_LIMIT, MIN_WIDTH, Wrapping

TRICKY = "ab  \n\t\r\x1b\u0301\u200d\ufe0f中文。，☺😀👩👧\U0001f1e9\U0001f1ea\U0001f3fdéπ\u202e\ud800\x9b[]…\xad\u200b"
texts = st.text(st.one_of(st.sampled_from(TRICKY), st.sampled_from("abc "), st.characters(codec=None)))
widths = st.integers(MIN_WIDTH, 14)


@dataclass(frozen=True)
class Story:
    """Pieces that make a text, and the marks in it."""

    pieces: list[str]
    marks: list[tuple[int, str]]

    @property
    def text(self) -> str:
        return "".join(self.pieces)


@st.composite
def stories(draw: st.DrawFn) -> Story:
    pieces = draw(st.lists(texts, max_size=6))
    length = sum(map(len, pieces))
    marks = draw(
        st.lists(st.tuples(st.integers(0, length), st.sampled_from(["⟨t 1⟩", "|", "⟨中⟩"])), max_size=4)
    )
    return Story(pieces, sorted(marks))


def wrapped(text: str, width: int, marks: list[tuple[int, str]] | None = None) -> Wrapping:
    made = Wrapping(width)
    made.set_marks(marks or [])
    made.append(text)
    return made


def lines(made: Wrapping) -> list[str]:
    return [made.read(*made.span(line)) for line in range(made.line_count)]


@given(stories(), widths)
def test_text_that_comes_in_pieces_is_wrapped_as_if_it_had_come_at_once(story: Story, width: int) -> None:
    made = Wrapping(width)
    made.set_marks(story.marks)
    for piece in story.pieces:
        before = lines(made)
        first = made.append(piece)
        assert lines(made)[:first] == before[:first]
    assert lines(made) == lines(wrapped(story.text, width, story.marks))


@given(stories(), widths, st.data())
def test_cutting_and_going_on_leaves_what_wrapping_anew_would(
    story: Story, width: int, data: st.DataObject
) -> None:
    made = wrapped(story.text, width, story.marks)
    length = data.draw(st.integers(0, made.length))
    before = lines(made)
    first = made.cut(length)
    assert lines(made)[:first] == before[:first]
    assert lines(made) == lines(wrapped(story.text[:length], width, story.marks))
    made.append("xyz 中")
    assert lines(made) == lines(wrapped(story.text[:length] + "xyz 中", width, story.marks))


@given(stories(), widths)
def test_marks_that_come_later_are_wrapped_as_if_they_had_been_there(story: Story, width: int) -> None:
    made = wrapped(story.text, width, story.marks[::2])
    before = lines(made)
    first = made.set_marks(story.marks)
    assert lines(made)[:first] == before[:first]
    assert lines(made) == lines(wrapped(story.text, width, story.marks))


@given(stories(), widths)
def test_every_cell_leads_to_its_character_and_every_character_to_its_cell(story: Story, width: int) -> None:
    made = wrapped(story.text, width, story.marks)
    at = 0
    for line in range(made.line_count):
        for cell in made.cells(line):
            assert cell.start == at < cell.end
            at = cell.end
            for offset in range(cell.start, cell.end):
                assert made.cell_of(offset) == (line, cell.column)
                assert made.cluster(offset) == (cell.start, cell.end)
            for column in range(cell.column, cell.column + cell.width):
                assert made.offset_at(line, column) == cell.start
                assert made.cell_at(line, column) == cell
    assert at == made.length == len(story.text)
    assert made.offset_at(*made.cell_of(made.length)) == made.length or made.cell_of(made.length)[1] == 0


@given(stories(), widths)
def test_no_line_is_wider_than_allowed_and_a_single_blank_may_hang(story: Story, width: int) -> None:
    made = wrapped(story.text, width, story.marks)
    for line in range(made.line_count):
        shown = [cell for cell in made.cells(line) if cell.shown]
        for cell in shown:
            hangs = cell.column == width and story.text[cell.start] in " \t" and cell is shown[-1]
            assert cell.column + cell.width <= width or hangs
        for cell in shown:
            assert cell.width == cell_len(cell.shown) > 0
            assert cell.end - cell.start <= wrapping.CLUSTER_LIMIT + 1
        assert all(cell.column <= width for cell in made.cells(line) if cell.label)


@given(stories(), widths)
def test_what_is_shown_could_not_drive_a_terminal(story: Story, width: int) -> None:
    made = wrapped(story.text, width, story.marks)
    for line in range(made.line_count):
        for cell in made.cells(line):
            assert cell.shown == safe_line(cell.shown)
            assert cell.label == safe_line(cell.label)
            assert cell_len(cell.label) <= LABEL_LIMIT


@given(texts, widths)
def test_the_short_ways_agree_with_measuring_every_character(text: str, width: int) -> None:
    plain = wrapped(text, width)
    unusual, wide = wrapping._UNUSUAL, wrapping._WIDE
    try:
        wrapping._UNUSUAL, wrapping._WIDE = re.compile(r"[\s\S]|$"), re.compile(r"(?!)|")
        measured = wrapped(text, width)
    finally:
        wrapping._UNUSUAL, wrapping._WIDE = unusual, wide
    assert lines(plain) == lines(measured)


def test_the_short_ways_know_the_width_of_every_character_they_take() -> None:
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        if not wrapping._UNUSUAL.search(character):
            assert wrapping._single(character) == (character, 1), hex(code)
        if wrapping._WIDE.fullmatch(character):
            assert wrapping._single(character) == (character, 2), hex(code)


def test_a_cut_that_shortens_a_word_lets_it_go_back_to_the_line_before() -> None:
    made = wrapped("hello world", 9)
    assert lines(made) == ["hello ", "world"]
    assert made.cut(9) == 0
    assert lines(made) == ["hello wor"]
    marked = wrapped("中abc", 5, [(3, "⟨t⟩")])  # the mark breaks the word once more
    assert lines(marked) == ["中", "ab", "c"]
    assert marked.cut(3) == 0
    assert lines(marked) == ["中ab"]


def test_words_stay_whole_and_wide_characters_break_anywhere() -> None:
    assert lines(wrapped("said the heron and", 9)) == ["said the ", "heron and"]
    assert lines(wrapped("abcdefghijkl", 5)) == ["abcde", "fghij", "kl"]
    assert lines(wrapped("中文中文中", 5)) == ["中文", "中文", "中"]
    assert lines(wrapped("ab中文c", 5)) == ["ab中", "文c"]


def test_a_newline_behind_a_full_line_or_a_hanging_blank_makes_no_empty_line() -> None:
    assert lines(wrapped("abcde\nx", 5)) == ["abcde\n", "x"]
    assert lines(wrapped("abcde \nx", 5)) == ["abcde \n", "x"]
    assert lines(wrapped("a\n\n", 5)) == ["a\n", "\n", ""]
    assert lines(wrapped("", 5)) == [""]


def test_emoji_flags_and_accents_are_one_character_and_strays_are_carried_by_a_circle() -> None:
    family, flag = "👩\u200d👧", "\U0001f1e9\U0001f1ea"
    cells = list(wrapped(f"{family}{flag}e\u0301\n\u0301☺\ufe0f", 20).cells(0))
    assert [cell.shown for cell in cells] == [family, flag, "e\u0301", ""]
    assert [cell.width for cell in cells] == [2, 2, 1, 1]
    second = list(wrapped("\n\u0301☺\ufe0fa\u200d中", 20).cells(1))
    assert [cell.shown for cell in second] == ["\u25cc\u0301", "☺\ufe0f", "a", "中"]


def test_tabs_reach_the_next_stop_and_controls_have_pictures() -> None:
    cells = list(wrapped("a\tb\x1b\r", 20).cells(0))
    assert [(cell.shown, cell.column) for cell in cells] == [
        ("a", 0),
        ("⇥  ", 1),
        ("b", 4),
        ("␛", 5),
        ("␍", 6),
    ]


def test_a_mark_takes_cells_in_front_of_its_character_and_no_offset() -> None:
    made = wrapped("abcd", 20, [(2, "⟨t 1⟩")])
    assert [made.cell_of(at) for at in range(5)] == [(0, 0), (0, 1), (0, 7), (0, 8), (0, 9)]
    assert [made.offset_at(0, column) for column in range(9)] == [0, 1, 2, 2, 2, 2, 2, 2, 3]
    assert made.label_at(2) == "⟨t 1⟩"
    assert made.set_marks([(2, "⟨t 1⟩")]) == made.line_count  # nothing new
    assert made.label_at(1) == ""


def test_a_mark_in_front_of_a_newline_goes_to_the_next_line_with_it_if_it_has_no_room() -> None:
    assert lines(wrapped("abcd\n", 9, [(4, "⟨t 1⟩")])) == ["abcd\n", ""]
    assert lines(wrapped("abcd\n", 8, [(4, "⟨t 1⟩")])) == ["abcd", "\n", ""]


def test_a_mark_longer_than_a_line_is_shortened() -> None:
    made = wrapped("ab", 6, [(1, "x" * 50), (1, "\x1b[2J")])
    assert made.label_at(1) == "xxxx"
    assert made.cell_of(1) == (0, 5)


def test_a_selection_ends_behind_the_last_cell_it_covers_and_before_the_newline() -> None:
    made = wrapped("中a\nb", 10)
    assert [made.boundary_at(0, column) for column in (0, 1, 2, 3, 4, 9)] == [0, 1, 1, 2, 2, 2]
    assert made.boundary_at(1, 9) == 4
    assert made.cell_at(1, 5) is None
    assert made.offset_at(9, 0) == 3


@given(st.integers(0, 60), st.integers(0, 60))
@example(0, 60)
def test_the_text_is_read_back_exactly_across_its_blocks(start: int, end: int) -> None:
    kept = wrapping._BLOCK
    try:
        wrapping._BLOCK = 8
        text = "".join(chr(0x61 + i % 26) for i in range(50))
        made = Wrapping(10)
        for at in range(0, 50, 7):
            made.append(text[at : at + 7])
        assert made.read(start, end) == text[start:end]
        assert lines(made) == [text[at : at + 10] for at in range(0, 50, 10)]
        made.cut(end)
        assert made.read(0, 99) == text[:end]
    finally:
        wrapping._BLOCK = kept


def test_a_heap_of_accents_cannot_make_an_endless_line() -> None:
    heap = "a" + "\u0301" * 1000
    made = wrapped(heap, 10)
    assert max(len(line) for line in lines(made)) <= 4 * 10 + 64
    assert max(cell.end - cell.start for cell in made.cells(0)) <= wrapping.CLUSTER_LIMIT + 1
    grown = Wrapping(10)
    for character in heap:
        grown.append(character)
    assert lines(grown) == lines(made)


def test_an_append_is_wrapped_without_looking_at_the_text_before() -> None:
    made = wrapped("word " * 30_000, 60)
    seen: list[int] = []
    real = made._line_end
    made._line_end = lambda *args: seen.append(args[1] + args[2]) or real(*args)  # type: ignore[method-assign, func-returns-value]
    made.append("x" * 70)
    assert len(seen) <= 3
    assert min(seen) > made.length - 200


def test_what_is_kept_is_the_text_and_four_bytes_a_line() -> None:
    made = wrapped("word and more\n" * 10_000, 60)
    starts = made._starts.itemsize * made.line_count
    kept = starts + sum(sys.getsizeof(block) for block in made._blocks) + sys.getsizeof(made._tail)
    assert kept < 2 * made.length


def test_a_narrower_width_wraps_all_of_it_anew() -> None:
    made = wrapped("said the heron and", 40)
    made.rewrap(9)
    assert lines(made) == ["said the ", "heron and"]
    made.rewrap(0)
    assert made.width == MIN_WIDTH
