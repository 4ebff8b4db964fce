"""What the built-in tales promise: the same text everywhere, clean English, and no two tales alike."""

from __future__ import annotations

import hashlib
import random
import re
from functools import cache

import pytest

from engine.catalogue.tales import SHAPES, write_tales
from engine.catalogue.tales.grammar import Teller, tidy
from engine.catalogue.tales.shapes import Shape

ALPHABET = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ \n.,!?'\"-;:")


@cache
def default_text() -> str:
    return write_tales()


@cache
def default_tales() -> tuple[str, ...]:
    return tuple(default_text().rstrip("\n").split("\n\n"))


def with_context(pattern: str, text: str) -> list[str]:
    """Every match with a little text before it, so that a failure shows the sentence to mend."""
    return [text[max(0, found.start() - 50) : found.end() + 10] for found in re.finditer(pattern, text)][:5]


def test_the_same_seed_gives_the_same_text_and_another_seed_another() -> None:
    assert write_tales(7, 30_000) == write_tales(7, 30_000)
    assert write_tales(7, 30_000)[:300] != write_tales(8, 30_000)[:300]


def test_the_text_of_seed_one_is_pinned() -> None:
    # A change of any tale changes this; pin the new hash when the change is meant.
    digest = hashlib.sha256(write_tales(1, 100_000).encode("ascii")).hexdigest()
    assert digest[:16] == "8d03fb9fa821e3a5"


def test_only_random_random_is_used() -> None:
    class OnlyRandom:
        def __init__(self) -> None:
            self.random = random.Random(3).random

    dice = OnlyRandom()
    for shape in SHAPES:
        assert shape(Teller(dice))  # type: ignore[arg-type]


def test_a_longer_text_begins_with_the_shorter_one() -> None:
    assert write_tales(5, 40_000).startswith(write_tales(5, 10_000))


@pytest.mark.parametrize("characters", [1, 5_000, 50_000])
def test_at_least_as_many_characters_as_asked_and_at_most_one_tale_more(characters: int) -> None:
    assert characters <= len(write_tales(1, characters)) <= characters + 902


def test_the_default_is_large_and_rich_in_words() -> None:
    assert len(default_text()) >= 1_500_000
    assert len(set(re.findall(r"[a-z]+", default_text().lower()))) >= 2_000


def test_the_alphabet_is_small() -> None:
    assert set(default_text()) <= ALPHABET


def test_there_are_many_shapes_and_every_one_is_told() -> None:
    told: list[str] = []

    def spy(shape: Shape) -> Shape:
        def tell(t: Teller) -> str:
            told.append(shape.__name__)
            return shape(t)

        return tell

    assert len(set(SHAPES)) == len(SHAPES) >= 40
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("engine.catalogue.tales.SHAPES", tuple(spy(shape) for shape in SHAPES))
        write_tales(1, 100_000)
    assert set(told) == {shape.__name__ for shape in SHAPES}


def test_no_two_tales_are_alike_or_begin_alike() -> None:
    tales = default_tales()
    assert len(set(tales)) == len(tales)
    assert len({tale[:80] for tale in tales}) >= len(tales) - 5


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_every_tale_is_short_enough_to_follow(shape: Shape) -> None:
    dice = random.Random(11)
    lengths = [len(shape(Teller(dice))) for _ in range(100)]
    assert min(lengths) >= 250
    assert max(lengths) <= 900


def test_most_tales_are_quite_short() -> None:
    lengths = sorted(map(len, default_tales()))
    assert lengths[len(lengths) // 2] <= 660


def test_spaces_and_line_ends_are_in_order() -> None:
    assert with_context(r"  | \n|\n |\n\n\n| [.,!?;:]", default_text()) == []
    assert default_text().endswith("\n")
    assert not default_text().endswith("\n\n")


def test_no_word_is_doubled() -> None:
    assert with_context(r"(?i)\b([a-z]+) \1\b", default_text()) == []


def test_articles_fit_the_next_word() -> None:
    assert with_context(r"\b[Aa] (?=[aeiouAEIOU])(?!one\b|use|uni)\w+", default_text()) == []
    assert with_context(r"\b[Aa]n (?=[^aeiouAEIOU])(?!hour|honest|heir)\w+", default_text()) == []


def test_sentences_begin_with_a_capital_and_end_with_a_stop() -> None:
    assert with_context(r"(?:^|\n|[.!?] |\.\" )\"?[a-z]", default_text()) == []
    assert with_context(r"[^.!?\"\n]\n", default_text()) == []
    assert with_context(r"[^.!?]\"\n", default_text()) == []
    assert with_context(r"[.,!?;:][a-zA-Z]|[.,;:]{2}|[!?][.,]|[.,][!?]", default_text()) == []


def test_quotes_are_balanced_in_every_paragraph() -> None:
    for paragraph in default_text().split("\n"):
        assert paragraph.count('"') % 2 == 0, paragraph
    # Speech opens after a space and closes before one, and ends in a mark.
    for paragraph in default_text().split("\n"):
        for speech in paragraph.split('"')[1::2]:
            assert re.fullmatch(r"[A-Za-z].*[.,!?]", speech), paragraph


def test_no_slot_of_a_template_is_left_unfilled() -> None:
    assert with_context(r"[\[\]{}|~]", default_text()) == []


def test_tidy_chooses_the_article_by_sound() -> None:
    assert (
        tidy("a owl, an fox, a hour, an one-eyed cat. a apple")
        == "An owl, a fox, an hour, a one-eyed cat. An apple"
    )


def test_a_word_drawn_for_a_tale_stays_and_its_second_differs() -> None:
    for seed in range(50):
        first, again, second = (
            Teller(random.Random(seed)).tell("{tree}, {tree}, {tree_b}").lower().split(", ")
        )
        assert first == again != second


def test_pronouns_follow_the_character() -> None:
    for seed in range(50):
        teller = Teller(random.Random(seed))
        girl, boy = teller.who("child"), teller.who("child")
        for who in (girl, boy):
            text = teller.tell("{h.He} and {h.him} and {h.his}", h=who)
            assert text == ("She and her and her" if who.she else "He and him and his")
