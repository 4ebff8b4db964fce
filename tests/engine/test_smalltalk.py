"""The promises of the small talk: well formed, right in what it says, and silent about what is held out."""

from __future__ import annotations

import hashlib
import re
import string
from collections import Counter
from itertools import islice, pairwise

import pytest

from engine.catalogue.smalltalk import (
    HELD_OUT_NAME,
    HELD_OUT_SUM,
    INTENTS,
    MODEL,
    USER,
    Exchange,
    conversations,
    write_smalltalk,
)

UP_TO_TWELVE = "zero one two three four five six seven eight nine ten eleven twelve"
ABOVE_TWELVE = "thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty"
WORDS = f"{UP_TO_TWELVE} {ABOVE_TWELVE}".split()
VALUE = {word: value for value, word in enumerate(WORDS)}
WINDOW = 128


@pytest.fixture(scope="module")
def text() -> str:
    return write_smalltalk()


@pytest.fixture(scope="module")
def talks(text: str) -> list[list[tuple[str, str]]]:
    """The conversations as a reader of the text finds them: (user line, Pip's line), without marks."""
    parsed = []
    for block in text.removesuffix("\n\n").split("\n\n"):
        lines = block.split("\n")
        assert len(lines) % 2 == 0
        assert all(line.startswith(USER) for line in lines[::2])
        assert all(line.startswith(MODEL) for line in lines[1::2])
        users, answers = lines[::2], lines[1::2]
        parsed.append([(u[len(USER) :], p[len(MODEL) :]) for u, p in zip(users, answers, strict=True)])
    return parsed


@pytest.fixture(scope="module")
def exchanges(text: str) -> list[Exchange]:
    """The same exchanges, each with the intent that wrote it."""
    wanted = len(text)
    found: list[Exchange] = []
    size = 0
    for talk in conversations():
        found.extend(talk)
        size += sum(len(exchange.text()) for exchange in talk) + 1
        if size >= wanted:
            return found
    raise AssertionError("conversations never end")


def words_of(line: str) -> str:
    line = line.lower().replace("'", "").replace("whats ", "what is ")
    return " ".join(re.sub(r"[^a-z]", " ", line).split())


def test_the_same_seed_gives_the_same_text_and_another_seed_another() -> None:
    assert write_smalltalk(7, 5_000) == write_smalltalk(7, 5_000)
    assert write_smalltalk(7, 5_000) != write_smalltalk(8, 5_000)


def test_the_text_of_seed_one_never_changes() -> None:
    digest = hashlib.sha256(write_smalltalk(1, 20_000).encode()).hexdigest()
    assert digest == "ce9b4c908391f841511661c0d374ab60f60a6ea4b0f1044f6aac5d3e55184934"


@pytest.mark.parametrize("size", [1, 1_000, 50_000])
def test_the_text_is_as_long_as_asked_and_ends_with_a_whole_conversation(size: int) -> None:
    text = write_smalltalk(3, size)
    assert size <= len(text) < size + 2_000
    assert text.endswith(".\n\n") or text[-3] in '?!"'
    assert write_smalltalk(3, 60_000).startswith(text)


def test_the_default_text_has_its_size(text: str) -> None:
    assert 1_600_000 <= len(text) < 1_602_000


def test_the_alphabet_is_small(text: str) -> None:
    allowed = string.ascii_letters + " \n.,!?'-\":"
    assert [char for char in sorted(Counter(text)) if char not in allowed] == []


def test_turns_alternate_and_a_blank_line_parts_conversations(talks: list[list[tuple[str, str]]]) -> None:
    lengths = Counter(len(talk) for talk in talks)
    assert min(lengths) >= 2
    assert max(lengths) > 8
    assert sum(count for length, count in lengths.items() if length <= 8) > 0.9 * len(talks)


def test_lines_are_clean_and_short(talks: list[list[tuple[str, str]]]) -> None:
    lines = [line for talk in talks for exchange in talk for line in exchange]
    for line in lines:
        assert line == line.strip() != ""
        assert "  " not in line
        assert ":" not in line
        assert not re.search(r"[\[\]{}|/]", line)
        assert not re.search(r" [.,!?]|,,|\.\.", line), line
        assert line.count('"') in (0, 2)
        assert len(line) <= 100
    assert sum(len(line) <= 60 for line in lines) > 0.97 * len(lines)


def test_pip_writes_whole_sentences(talks: list[list[tuple[str, str]]]) -> None:
    for talk in talks:
        for _, pip in talk:
            assert pip[0] in string.ascii_uppercase
            assert pip[-1] in '.?!"'
            assert not re.search(r"[.?!] [a-z]", pip.replace("...", "")), pip
            assert not re.search(r"\ba [aeio]\w|\ban (?!hour)[^aeiou\W]", pip.lower()), pip


def test_at_least_sixty_intents_all_occur(exchanges: list[Exchange]) -> None:
    names = [intent.name for intent in INTENTS]
    assert len(names) == len(dict.fromkeys(names)) >= 60
    counts = Counter(exchange.intent for exchange in exchanges)
    assert [name for name in names if counts[name] < 20] == []


def test_people_write_the_same_thing_in_many_ways(exchanges: list[Exchange]) -> None:
    name_lines = [exchange.user for exchange in exchanges if exchange.intent == "pip name"]
    assert len(dict.fromkeys(name_lines)) > 0.6 * len(name_lines)
    assert any(line[0].isupper() for line in name_lines)
    assert any(line[0].islower() for line in name_lines)
    assert any(line.endswith("?") for line in name_lines)
    assert any(line[-1].isalpha() for line in name_lines)


def test_asked_for_its_name_the_model_says_pip(exchanges: list[Exchange]) -> None:
    answers = [exchange.pip for exchange in exchanges if exchange.intent == "pip name"]
    assert all(re.search(r"\bPip\b", answer) for answer in answers)
    assert 0.04 < len(answers) / len(exchanges) < 0.08
    asked = [(e.user, e.pip) for e in exchanges if "what is your name" in words_of(e.user)]
    assert len(asked) > 100
    assert all("Pip" in pip for _, pip in asked)


def test_every_sum_is_right_and_repeats_its_operands_in_order(exchanges: list[Exchange]) -> None:
    shown = re.compile(r"\b(\w+) (plus|minus|times) (\w+) is (\w+)\.")
    work = {"plus": lambda a, b: a + b, "minus": lambda a, b: a - b, "times": lambda a, b: a * b}
    sums: Counter[tuple[str, str, str]] = Counter()
    for exchange in exchanges:
        found = shown.search(exchange.pip)
        if found is None:
            assert exchange.intent != "sum"
            continue
        first, sign, second, result = found.groups()
        assert WORDS[work[sign](VALUE[first], VALUE[second])] == result
        if exchange.intent == "sum":
            operands = [word for word in words_of(exchange.user).split() if word in VALUE]
            assert operands[:2] == [first, second]
            sums[first, sign, second] += 1
    assert 0.18 < sum(sums.values()) / len(exchanges) < 0.25
    assert sums["two", "plus", "three"] > 100
    assert sum(count for (_, sign, _), count in sums.items() if sign == "plus") > 0.6 * sum(sums.values())
    pairs = [(a, b) for a in WORDS[:11] for b in WORDS[:11]]
    assert sum((a, "plus", b) in sums for a, b in pairs) > 110


def test_counting_and_neighbours_are_right(exchanges: list[Exchange]) -> None:
    seen: Counter[str] = Counter()
    for exchange in exchanges:
        pip = exchange.pip.lower().rstrip(".")
        seen[exchange.intent] += 1
        if exchange.intent == "count":
            values = [VALUE[word] for word in pip.split(", ")]
            steps = [b - a for a, b in pairwise(values)]
            assert steps in ([1] * len(steps), [-1] * len(steps))
            asked = [VALUE[word] for word in words_of(exchange.user).split() if word in VALUE]
            assert max(asked) == max(values)
            assert min(values) == 1
        elif exchange.intent == "number after":
            first, second = re.fullmatch(r"after (\w+) comes (\w+)", pip).groups()  # type: ignore[union-attr]
            assert VALUE[second] == VALUE[first] + 1
        elif exchange.intent == "number before":
            first, second = re.fullmatch(r"before (\w+) comes (\w+)", pip).groups()  # type: ignore[union-attr]
            assert VALUE[second] == VALUE[first] - 1
        elif exchange.intent == "half":
            first, second = re.fullmatch(r"half of (\w+) is (\w+)", pip).groups()  # type: ignore[union-attr]
            assert VALUE[first] == 2 * VALUE[second]
        elif exchange.intent == "bigger number":
            first, word, second = re.fullmatch(r"(\w+) is (more|less) than (\w+)", pip).groups()  # type: ignore[union-attr]
            assert (VALUE[first] > VALUE[second]) == (word == "more")
    assert (
        min(seen[name] for name in ("count", "number after", "number before", "half", "bigger number")) > 20
    )


@pytest.mark.parametrize(
    ("intent", "circle"),
    [
        ("day", "monday tuesday wednesday thursday friday saturday sunday"),
        (
            "month",
            "january february march april may june july august september october november december",
        ),
        ("season", "spring summer autumn winter"),
    ],
)
def test_days_months_and_seasons_go_round(exchanges: list[Exchange], intent: str, circle: str) -> None:
    names = circle.split()
    met: Counter[str] = Counter()
    for exchange in exchanges:
        if exchange.intent in (f"{intent} after", f"{intent} before"):
            found = re.fullmatch(r"(after|before) (\w+) comes (\w+)\.", exchange.pip.lower())
            assert found is not None
            side, first, second = found.groups()
            step = 1 if side == "after" else -1
            assert names[(names.index(first) + step) % len(names)] == second
            assert first in exchange.user.lower()
            met[first] += 1
    assert sorted(met) == sorted(names)


def test_a_name_that_was_told_is_remembered(talks: list[list[tuple[str, str]]]) -> None:
    told = re.compile(r"(?:Nice to meet you|Hello), ([A-Z][a-z]+)\.")
    recalled = unknown = 0
    for talk in talks:
        name = None
        for user, pip in talk:
            if found := told.match(pip):
                name = found.group(1)
                assert name.lower() in words_of(user).split()
            elif pip.startswith("Your name is "):
                assert pip == f"Your name is {name}."
                recalled += 1
            elif pip == "You have not told me your name.":
                assert name is None
                unknown += 1
            elif pip.startswith("Goodbye, "):
                assert pip.startswith(f"Goodbye, {name}.")
    assert recalled > 200
    assert unknown > 30


def test_many_names_are_told_so_that_a_model_must_copy(exchanges: list[Exchange]) -> None:
    told = Counter(exchange.pip for exchange in exchanges if exchange.intent == "tell name")
    names = dict.fromkeys(re.findall(r", ([A-Z][a-z]+)\.", " ".join(told)))
    assert len(names) > 150


def test_a_favourite_that_was_told_is_remembered(talks: list[list[tuple[str, str]]]) -> None:
    recalled = unknown = 0
    for talk in talks:
        said = ""
        for user, pip in talk:
            if found := re.fullmatch(r"Your favourite (\w+) is (?:the )?(\w+)\.", pip):
                kind, value = found.groups()
                told = said.replace("color", "colour").lower()
                assert re.search(rf"{kind}.* (the )?{value}\b|{value}\b.* {kind}", told), (told, pip)
                recalled += 1
            elif found := re.fullmatch(r"You have not told me your favourite (\w+)\.", pip):
                assert not re.search(rf"\bmy favou?rite {found.group(1)} is", said.lower())
                unknown += 1
            said += f" {user}"
    assert recalled > 60
    assert unknown > 20


def test_what_was_just_said_is_repeated_to_the_letter(talks: list[list[tuple[str, str]]]) -> None:
    mine = yours = 0
    for talk in talks:
        for (last_user, last_pip), (_, pip) in pairwise(talk):
            if pip.startswith("You said "):
                mark = "" if last_user[-1] in ".?!" else "."
                assert pip == f'You said "{last_user}"{mark}'
                yours += 1
            elif pip.startswith("I said "):
                assert pip == f'I said "{last_pip}"'
                mine += 1
        assert not talk[0][1].startswith(("You said ", "I said "))
    assert min(mine, yours) > 50


def test_what_an_answer_needs_is_inside_a_window_of_128(talks: list[list[tuple[str, str]]]) -> None:
    for talk in talks:
        before = ""
        for user, pip in talk:
            before += f"{USER}{user}\n{MODEL}"
            if found := re.match(r"(Your (?:name|favourite \w+) is (?:the )?)(\w+)", pip):
                lead, value = found.groups()
                at = before.lower().rfind(value.lower())
                assert len(before) + len(lead) + len(value) - at <= WINDOW
            elif pip.startswith(("You said ", "I said ")):
                quoted = pip[pip.index('"') + 1 : pip.rindex('"')]
                assert len(before) + len(pip) - before.rfind(quoted) <= WINDOW
            before += f"{pip}\n"


def test_opposites_go_both_ways(exchanges: list[Exchange]) -> None:
    opposite: dict[str, str] = {}
    for exchange in exchanges:
        if exchange.intent == "opposites":
            found = re.fullmatch(r"The opposite of (\w+) is (\w+)\.", exchange.pip)
            assert found is not None
            word, other = found.groups()
            assert opposite.setdefault(word, other) == other
    assert len(opposite) >= 30
    assert all(opposite[other] == word for word, other in opposite.items())


def test_letters_are_right(exchanges: list[Exchange]) -> None:
    for exchange in exchanges:
        if exchange.intent == "spelling":
            found = re.fullmatch(r"The word (\w+) is ([a-z](?:-[a-z])+)\.", exchange.pip)
            assert found is not None
            assert found.group(1) == found.group(2).replace("-", "")
        elif exchange.intent == "first letters":
            found = re.fullmatch(r"The word (\w+) starts with (\w)\.", exchange.pip)
            assert found is not None
            assert found.group(1)[0] == found.group(2)
        elif exchange.intent == "say a word":
            assert words_of(exchange.pip).removeprefix("okay ") in words_of(exchange.user).split()


def test_an_answer_from_a_table_repeats_a_word_of_the_question(exchanges: list[Exchange]) -> None:
    for exchange in exchanges:
        if exchange.intent in (
            "animal sounds",
            "legs",
            "baby animals",
            "materials",
            "rhymes",
            "colours of things",
        ):
            asked = [word for word in words_of(exchange.user).split() if len(word) > 2]
            assert any(word in words_of(exchange.pip).split() for word in asked), exchange


def test_held_out_questions_are_ten_each_and_on_their_subject() -> None:
    assert len(dict.fromkeys(HELD_OUT_NAME)) == len(dict.fromkeys(HELD_OUT_SUM)) == 10
    assert all(re.search(r"\bname\b|\bcall\b", phrase) for phrase in HELD_OUT_NAME)
    assert all(re.search(r"\btwo\b.*\bthree\b", phrase) for phrase in HELD_OUT_SUM)


@pytest.mark.parametrize("seed", [1, 2])
def test_held_out_questions_are_never_asked(seed: int) -> None:
    asked = [words_of(line) for line in write_smalltalk(seed).split("\n") if line.startswith(USER)]
    everything = "\n".join(asked)
    for phrase in HELD_OUT_NAME + HELD_OUT_SUM:
        assert words_of(phrase) not in everything


def test_held_out_questions_use_no_word_the_corpus_never_uses(text: str) -> None:
    known = Counter(words_of(text.replace("\n", " ")).split())
    asked = words_of(" ".join(HELD_OUT_NAME + HELD_OUT_SUM)).split()
    assert [word for word in asked if not known[word]] == ["lemons"]


def test_a_conversation_opens_with_something_one_can_open_with() -> None:
    first = Counter(talk[0].intent for talk in islice(conversations(5), 2_000))
    replies = ("user is fine", "laugh", "okay", "yes", "no", "really", "why")
    assert not any(first[intent] for intent in replies)
    assert 0.15 < first["greeting"] / 2_000 < 0.4
