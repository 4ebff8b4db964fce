"""The words and figures of the Corpus screen: lines that fit their room, and nothing that acts on a terminal."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.facts import About, LadderRung, Preview
from tests.tinygpt_tui.test_screen_corpus import ABOUT, BEGINNING, HOSTILE, OFTEN, PREVIEW, RUNGS, STATS
from tinygpt_tui.screens.corpus_view import MOST_LINES, plan_of, preview_of, row_of, statistics_of
from tinygpt_tui.sources.corpus_facts import Look
from tinygpt_tui.sources.corpus_list import Row
from tinygpt_tui.sources.expectation import expect

LOOK = Look("tales", ABOUT, PREVIEW, STATS, RUNGS, finished=True)
KEYS = {"corpus.shorter": "[", "corpus.longer": "]", "corpus.size": "s", "corpus.arch": "a"}.__getitem__


@pytest.mark.parametrize("width", [20, 26, 28, 36, 60, 120])
@pytest.mark.parametrize(
    "row",
    [
        Row("tales", "built in", "Tales", ""),
        Row("tiny-shakespeare", "to fetch", "Tiny Shakespeare", "", 1_115_394),
        Row("/" + "x" * 255, "file", "x" * 255, "", 12, 1.0),
        Row("/漢", "folder", "漢字" * 60, "", None, 1.0),
        Row("/gone", "missing", "a text that was here yesterday", "", None, 1.0),
        Row("/empty", "file", "empty.txt", "", 0, 1.0),
    ],
    ids=lambda row: row.kind,
)
def test_a_line_of_the_list_fits_its_room(row: Row, width: int) -> None:
    line = row_of(row, width)
    assert line.cell_len <= width and "\n" not in line.plain
    if row.bytes is not None:
        assert line.plain.endswith(("MB", " B")) and line.cell_len == width


def test_a_narrow_list_gives_its_room_to_the_titles() -> None:
    row = Row("python-docs", "built in", "Python documentation", "")
    assert row_of(row, 26).plain == "● Python documentation"
    assert row_of(row, 40).plain == "● Python documentation          built in"


def test_a_text_of_many_lines_is_shown_in_part_and_its_middle_too() -> None:
    look = replace(LOOK, preview=Preview("line\n" * 900, "the middle", 4321))
    lines = preview_of(look).splitlines()
    assert lines.count("line") == MOST_LINES
    assert lines[-3:] == ["… from character 4,321 on:", "", "the middle"]
    assert preview_of(LOOK).startswith(BEGINNING)


def test_what_is_not_known_yet_is_said() -> None:
    nothing = Look("tales")
    assert preview_of(None) == "" and statistics_of(None, 60).plain == ""
    assert preview_of(nothing) == "Reading …" and statistics_of(nothing, 60).plain == "Counting …"
    assert statistics_of(replace(LOOK, rungs=(), finished=False), 60).plain.endswith("counting on …")


def test_a_problem_is_said_once() -> None:
    problem = Look("/a", problem="a is binary", finished=True)
    assert preview_of(problem) == "a is binary" and statistics_of(problem, 60).plain == ""
    later = replace(problem, preview=PREVIEW)
    assert "binary" not in preview_of(later) and statistics_of(later, 60).plain == "a is binary"
    last = replace(LOOK, rungs=RUNGS[:1], problem="it is too short")
    assert statistics_of(last, 60).plain.endswith("it is too short")


@pytest.mark.parametrize("in_pairs", [False, True])
@pytest.mark.parametrize("width", [24, 36, 44, 70, 120])
def test_statistics_fit_their_room(width: int, in_pairs: bool) -> None:
    text = statistics_of(LOOK, width, in_pairs)
    for line in text.plain.splitlines():
        assert len(line) <= max(width, 31), line
    assert all(f"{rung.nats:.2f}" in text.plain for rung in RUNGS)
    assert not text.plain.endswith("\n")


def test_the_smallest_usual_terminal_shows_everything_without_scrolling() -> None:
    assert statistics_of(LOOK, 44, True).plain.splitlines() == [
        "1,600,568 characters · 61 symbols",
        "18,263 lines · 1.6 MB · entropy 4.45 bits",
        "most often  ␣ 18 %  e 9 %  t 7 %  a 7 %",
        "to beat, in nats per character:",
        "uniform  4.11 ▆▆▆▆▆▆▆  4-gram   1.25 ▆▆",
        "unigram  3.08 ▆▆▆▆▆    5-gram   0.96 ▆▆",
        "bigram   2.32 ▆▆▆▆     6-gram   0.75 ▆",
        "trigram  1.70 ▆▆▆      bz2      0.37 ▆",
    ]


def test_rungs_stay_in_their_places_while_others_come() -> None:
    complete = statistics_of(LOOK, 44, True).plain.splitlines()
    for known in range(1, len(RUNGS)):
        lines = statistics_of(replace(LOOK, rungs=RUNGS[:known], finished=False), 44, True).plain.splitlines()
        assert all(whole.startswith(line[:14]) for line, whole in zip(lines[:-1], complete, strict=False)), (
            lines
        )


def test_symbols_that_cannot_be_seen_have_a_name() -> None:
    frequent = tuple(
        replace(one, symbol=sign)
        for one, sign in zip(STATS.most_frequent, "\t\n\x1b\u00a0\u202e[", strict=False)
    )
    assert len(OFTEN) > 6
    shown = statistics_of(replace(LOOK, stats=replace(STATS, most_frequent=frequent)), 120).plain
    assert "most often  ⇥ 18 %  ↵ 9 %  ␛ 7 %  U+00A0 7 %  � 6 %  [ 5 %" in shown


def test_one_of_a_kind_is_not_many() -> None:
    single = replace(STATS, symbols=1, lines=1, entropy_bits=0.0)
    assert " 1 symbol · 1 line · " in statistics_of(replace(LOOK, stats=single), 120).plain


def test_nothing_of_a_text_acts_on_the_terminal() -> None:
    look = Look(
        "/evil",
        About("evil", 9, 9, "0" * 64, (HOSTILE,)),
        Preview(HOSTILE, HOSTILE, 3),
        STATS,
        (LadderRung(HOSTILE, 1.0),),
        finished=True,
        problem=HOSTILE,
    )
    row = Row("/evil", "file", HOSTILE, HOSTILE, 1, 1.0)
    for text in (preview_of(look), statistics_of(look, 60).plain, row_of(row, 60).plain):
        assert "␛[31mred [b]bold[/b] �drow" in text
        assert not {"\x1b", "\x9b", "\u202e"} & set(text)


def test_the_plan_names_the_dials_with_their_keys_and_what_they_come_to() -> None:
    expected = expect(1_600_568, 61, 120, speed=6e10)
    assert expected is not None
    first, second = plan_of(120, "auto", "modern", expected, KEYS).plain.splitlines()
    assert first.rstrip() == "[ ] time 2 m 00 s   s size auto (0.3m)   a kind modern"
    assert second == expected.sentence
    assert plan_of(120, "auto", "modern", None, KEYS).plain.splitlines()[1:] == []
    assert "done in seconds" in plan_of(120, "4m", "ngram", None, KEYS).plain
    clicks = [span.style.meta["@click"] for span in plan_of(120, "4m", "ngram", None, KEYS).spans if "@click" in getattr(span.style, "meta", {})]  # fmt: skip
    assert clicks == ["screen.shorter", "screen.longer", "screen.size", "screen.arch"]


@pytest.mark.parametrize(
    ("characters", "seconds", "words"),
    [
        (10**9, 60, " % of the text"),
        (3_566_000, 120, "reads the text once"),
        (100_000, 120, "reads the text 35.7 times"),
        (2, 28_800, "reads the text 36,040,932 times"),
    ],
)
def test_how_much_of_the_text_is_read_is_said_in_plain_numbers(
    characters: int, seconds: float, words: str
) -> None:
    expected = expect(characters, 61, seconds, speed=6e10)
    assert expected is not None
    assert "e+" not in expected.sentence
    assert words in expected.sentence
