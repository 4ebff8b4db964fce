"""The tint of a character says how sure the model was, legibly, with colours and without."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.color import Color

from tinygpt_tui.app import THEMES
from tinygpt_tui.widgets.tint import (
    LEVELS,
    MIN_CONTRAST,
    colour_tints,
    contrast,
    level,
    plain_tints,
    untinted,
)


def tints_of(name: str):  # type: ignore[no-untyped-def]
    theme = next(theme for theme in THEMES if theme.name == name)
    parts = (theme.foreground, theme.background, theme.accent, theme.primary)
    return colour_tints(*(Color.parse(part or "") for part in parts)), Color.parse(theme.background or "")


def test_a_level_is_a_whole_bit_of_surprise() -> None:
    assert [level(p) for p in (1.0, 0.51, 0.5, 0.26, 0.25, 0.1, 0.02, 0.008, 0.001, 0.0)] == [
        0,
        0,
        1,
        1,
        2,
        3,
        5,
        6,
        7,
        7,
    ]


def test_what_is_no_probability_counts_as_sure() -> None:
    assert [level(p) for p in (math.nan, math.inf, 2.0)] == [0, 0, 0]
    assert level(-1.0) == LEVELS - 1


@given(st.floats(0, 1), st.floats(0, 1))
def test_the_less_likely_is_never_calmer(one: float, other: float) -> None:
    assert level(min(one, other)) >= level(max(one, other))


@pytest.mark.parametrize("name", ["tinygpt-dark", "tinygpt-light"])
def test_every_tint_is_legible_and_the_most_surprising_is_not_told_by_colour_alone(name: str) -> None:
    tints, background = tints_of(name)
    assert len(tints.written) == LEVELS
    for style in (*tints.written, tints.typed):
        assert contrast(Color.from_rich_color(style.color), background) >= MIN_CONTRAST
    assert len({style.color for style in tints.written}) == LEVELS
    assert [bool(style.underline) for style in tints.written] == [False] * 6 + [True] * 2


def test_a_warm_colour_that_would_vanish_is_moved_towards_the_foreground() -> None:
    white, black = Color.parse("#ffffff"), Color.parse("#000000")
    tints = colour_tints(black, white, Color.parse("#ffff88"), Color.parse("#eeeeee"))
    for style in (*tints.written, tints.typed):
        assert contrast(Color.from_rich_color(style.color), white) >= MIN_CONTRAST
    hopeless = colour_tints(white, white, white, white)
    assert Color.from_rich_color(hopeless.typed.color) == white


def test_without_colours_surprise_is_underlined_and_typed_text_is_bold() -> None:
    tints = plain_tints()
    assert [(bool(style.underline), bool(style.bold)) for style in tints.written] == (
        [(False, False)] * 4 + [(True, False)] * 2 + [(True, True)] * 2
    )
    assert all(style.color is None for style in tints.written)
    assert tints.typed.bold and not tints.typed.underline


def test_without_the_tint_all_that_was_written_looks_alike() -> None:
    tints = plain_tints()
    assert set(untinted(tints).written) == {tints.written[0]}
    assert untinted(tints).typed == tints.typed


def test_the_contrast_is_that_of_wcag() -> None:
    assert contrast(Color.parse("#ffffff"), Color.parse("#000000")) == pytest.approx(21)
    assert contrast(Color.parse("#777777"), Color.parse("#ffffff")) == pytest.approx(4.48, abs=0.01)
