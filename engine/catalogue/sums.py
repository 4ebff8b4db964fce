"""Sums: additions and subtractions to three digits, with pairs held out to tell adding from remembering.

A model that has seen 347+85 can recall it. So about a tenth of all pairs never stands in the text, by a
rule that anyone can recompute, and `held_out_sums` asks for exactly those. Leaves out negative results, and
numbers in words: small talk has them.

What makes it learnable: half of the lines have at most two digits, few enough (8,100 ordered pairs) that a
model meets the carry in every position several times within minutes; the lines of one digit teach the
table; the long ones come last to be learned. No padding and no reversed digits: a reader should see sums as
people write them.
"""

from __future__ import annotations

import random

from engine.errors import UsageError

# (digits of the longer operand, share of the lines)
_DIGITS = ((1, 0.10), (2, 0.52), (3, 0.38))
_ADDITIONS = 0.6
# Far fewer than are held out, so that drawing without repetition stays quick.
_MOST_ASKED = 5_000


def write_sums(seed: int = 1, characters: int = 1_200_000) -> str:
    """Lines such as "347+85=432" and "512-98=414", together at least `characters` characters.

    The text ends with the line that reaches that size. The results are never negative. No line holds a
    held-out pair, in either order and either operation.
    """
    dice = random.Random(seed)
    lines: list[str] = []
    size = 0
    while size < characters:
        a, b = _pair(dice)
        sign = "+" if dice.random() < _ADDITIONS else "-"
        if held_out(a, b):
            continue
        prompt, answer = _line(a, b, sign)
        line = f"{prompt}{answer}\n"
        lines.append(line)
        size += len(line)
    return "".join(lines)


def held_out(a: int, b: int) -> bool:
    """Whether the text keeps this unordered pair back: about one pair in ten, never two numbers below ten.

    The rule is arithmetic alone: the pair, as one number, is scrambled by a large odd factor (Knuth's
    multiplicative hashing) and kept back when the high bits of the product can be divided by ten.
    """
    low, high = min(a, b), max(a, b)
    if high < 10:
        return False
    mixed = (low * 1_000 + high + 1) * 2_654_435_761 % 4_294_967_296
    return (mixed >> 12) % 10 == 0


def held_out_sums(count: int, seed: int, signs: str = "+") -> list[tuple[str, str]]:
    """Questions that the text never answers, as (prompt, answer): ("347+85=", "432").

    Args:
        count: how many; no prompt comes twice.
        seed: which; the same seed gives the same questions.
        signs: "+", "-" or "+-". Their lengths are mixed as in the text.

    Raises:
        UsageError: more than 5000 are asked for, or a sign that is neither "+" nor "-".
    """
    if count > _MOST_ASKED:
        raise UsageError(f"{count} held-out sums are too many: ask for {_MOST_ASKED} or fewer.")
    if signs not in ("+", "-", "+-"):
        raise UsageError(f'The signs of held-out sums cannot be {signs!r}: use "+", "-" or "+-".')
    dice = random.Random(seed)
    asked: dict[str, str] = {}
    while len(asked) < count:
        a, b = _pair(dice)
        sign = signs[int(dice.random() * len(signs))]
        if held_out(a, b):
            prompt, answer = _line(a, b, sign)
            asked[prompt] = answer
    return list(asked.items())


def _pair(dice: random.Random) -> tuple[int, int]:
    """Two operands in either order; the longer one has its share of digits, the other as many or fewer."""
    digits = _digits(dice)
    long = _number(dice, digits)
    # The full length has two chances: most long sums have two long operands.
    short = _number(dice, min(digits, 1 + int(dice.random() * (digits + 1))))
    return (long, short) if dice.random() < 0.5 else (short, long)


def _digits(dice: random.Random) -> int:
    throw = dice.random()
    for digits, share in _DIGITS[:-1]:
        if throw < share:
            return digits
        throw -= share
    return _DIGITS[-1][0]


def _number(dice: random.Random, digits: int) -> int:
    """A number of exactly so many digits, all equally likely; one digit includes zero."""
    least = 10 ** (digits - 1) if digits > 1 else 0
    return least + int(dice.random() * (10**digits - least))


def _line(a: int, b: int, sign: str) -> tuple[str, str]:
    if sign == "+":
        return f"{a}+{b}=", str(a + b)
    low, high = min(a, b), max(a, b)
    return f"{high}-{low}=", str(high - low)
