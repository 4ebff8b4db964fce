"""The rungs of the ladder, against an independent count with dictionaries."""

from __future__ import annotations

import bz2
import math
import random
from collections import Counter, defaultdict

import pytest

from engine.errors import CorpusError
from engine.ladder import climb, ladder
from engine.tokenizer import ByteTokenizer, train_tokenizer

NAMES = ["uniform", "1-gram", "2-gram", "3-gram", "4-gram", "5-gram", "6-gram", "bz2"]


def story(words: int, seed: int) -> str:
    """Sentences of a small made-up language, with characters of one, two and three bytes."""
    rng = random.Random(seed)
    nouns, verbs = ["kitten", "rivière", "Würfel", "鳥", "stone"], ["sees", "takes", "élève", "likes"]
    return "".join(
        f"the {rng.choice(nouns)} {rng.choice(verbs)} a {rng.choice(nouns)}.\n" for _ in range(words)
    )


def slow_loss(train: str, val: str, n: int, symbols: int) -> float:
    """Witten-Bell in nats per character of val[1:], by dictionaries."""
    followers: dict[str, Counter[str]] = defaultdict(Counter)
    for k in range(n):
        for t in range(k, len(train)):
            followers[train[t - k : t]][train[t]] += 1
    loss = 0.0
    for t in range(1, len(val)):
        p = 1 / symbols
        for k in range(min(n, t + 1)):
            if seen := followers.get(val[t - k : t]):
                p = (seen[val[t]] + len(seen) * p) / (seen.total() + len(seen))
        loss -= math.log(p)
    return loss / (len(val) - 1)


TRAIN, VAL = story(400, 1), story(60, 2)
CHARS = train_tokenizer("chars", TRAIN + VAL)


def test_the_rungs_are_what_counting_by_dictionaries_gives() -> None:
    rungs = ladder(TRAIN, VAL, CHARS)
    assert list(rungs) == NAMES
    symbols = len(set(TRAIN + VAL))
    assert rungs["uniform"] == pytest.approx(math.log(symbols))
    for n in range(1, 7):
        assert rungs[f"{n}-gram"] == pytest.approx(slow_loss(TRAIN, VAL, n, symbols))
    growth = len(bz2.compress((TRAIN + VAL).encode())) - len(bz2.compress(TRAIN.encode()))
    assert rungs["bz2"] == pytest.approx(growth * 8 * math.log(2) / len(VAL))


def test_longer_contexts_help_on_a_regular_language() -> None:
    rungs = list(ladder(TRAIN, VAL, CHARS).values())
    assert rungs[:5] == sorted(rungs[:5], reverse=True)
    assert rungs[6] < 1.0 < rungs[1] < rungs[0]


def test_the_ladder_is_about_characters_whatever_the_tokenizer() -> None:
    chars = ladder(TRAIN, VAL, CHARS)
    for tokenizer in (ByteTokenizer(), train_tokenizer("bpe", TRAIN, 300)):
        assert ladder(TRAIN, VAL, tokenizer) == chars


def test_an_alphabet_larger_than_the_texts_counts_whole() -> None:
    rungs = ladder("abab", "ab", train_tokenizer("chars", "abcdef"), max_order=1)
    assert list(rungs) == ["uniform", "1-gram", "bz2"]
    assert rungs["uniform"] == pytest.approx(math.log(6))
    assert rungs["1-gram"] == pytest.approx(slow_loss("abab", "ab", 1, 6))


def test_characters_only_the_split_has_and_an_empty_training_text_are_no_trouble() -> None:
    assert ladder("\udfff" + TRAIN, "≈≈\ud800", CHARS)["6-gram"] > 1.0
    rungs = ladder("", "abba", ByteTokenizer())
    assert rungs["6-gram"] == pytest.approx(math.log(2))


def test_only_the_last_characters_of_a_long_training_text_count(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = ladder(TRAIN, VAL, CHARS)
    monkeypatch.setattr("models.ngram.MAX_TOKENS", len(TRAIN))
    assert ladder(VAL * 9 + TRAIN, VAL, CHARS) == expected


def test_climbing_gives_each_rung_as_soon_as_it_is_counted() -> None:
    rungs = climb(TRAIN, VAL, CHARS)
    assert next(rungs) == ("uniform", math.log(CHARS.vocab_size))
    assert [name for name, _ in rungs] == NAMES[1:]


def test_a_split_of_one_character_is_refused() -> None:
    with pytest.raises(CorpusError, match="fewer than two characters"):
        ladder(TRAIN, "a", CHARS)
