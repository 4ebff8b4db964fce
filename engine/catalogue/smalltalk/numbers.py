"""Small numbers in words: sums, counting, what comes next, which is bigger.

An answer to a sum repeats the operands in their order and then gives the result, so that a small model can
copy first and look up after. Leaves out digits and anything above twenty.
"""

from __future__ import annotations

from engine.catalogue.smalltalk.dice import Dice, running_totals
from engine.catalogue.smalltalk.intent import Intent, Lines, Talk, listed, lookup
from engine.catalogue.smalltalk.phrasing import say, sentence, vary

NUMBERS = listed(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen twenty"
)
_OPERANDS = tuple(range(11))
# Small operands come more often: they are what people try first.
_OPERAND_ENDS = running_totals((1, 12, 25, 23, 14, 11, 5, 3, 2, 2, 2))
_THINGS = listed("apple pear plum cat bird book coin cup egg hat pen boat ball toy nut cake shoe flower")

_PLUS = (
    "what is {a} plus {b} // what {a} plus {b} is",
    "what is {a} plus {b} // what {a} plus {b} is",
    "how much is {a} plus {b} // how much {a} plus {b} is",
    "how much is {a} plus {b} // how much {a} plus {b} is",
    "{a} plus {b}",
    "{a} plus {b}",
    "{a} plus {b} [is|equals|makes]",
    "{a} plus {b} [is|makes|equals] what",
    "what does {a} plus {b} [make|give|equal|come to] // what {a} plus {b} [makes|gives|equals|comes to]",
    "what do you get for {a} plus {b}",
    "what would {a} plus {b} [make|give]",
    "what [do|would] {a} and {b} make[| together] // what {a} and {b} make[| together]",
    "how much [are|is|do you get for] {a} and {b}[| together| in all]",
    "{a} and {b} [together is|makes|make|more is] what",
    "{a} and {b} together",
    "what is {a} and {b}[| together| more]",
    "what is the sum of {a} and {b} // what the sum of {a} and {b} is",
    "what do [I get if I|you get if you|we get if we] add {a} and {b}",
    "what happens if I add {a} and {b}",
    "how many are {a} and {b}[| more]",
    "!add {a} and {b}[| together| for me]",
    "!add up {a} and {b}",
    "!work out {a} plus {b}[| for me]",
    "!tell me {a} plus {b}",
    "!do {a} plus {b}",
    "if I have {a} {x} and [get|find|buy|pick] {b} more, how many [do I have|is that|are there]",
    "I have {a} {x} and [get|find|want] {b} more, how many [do I have|is that]",
    "{a} {x} and {b} more[| {y}], how many is that",
    "{a} {x} plus {b} {y}",
)
_MINUS = (
    "what is {a} minus {b} // what {a} minus {b} is",
    "what is {a} minus {b} // what {a} minus {b} is",
    "how much is {a} minus {b} // how much {a} minus {b} is",
    "{a} minus {b}",
    "{a} minus {b} [is|equals|makes]",
    "{a} minus {b} is what",
    "what does {a} minus {b} [make|give] // what {a} minus {b} [makes|gives]",
    "what is {a} [take away|less] {b}",
    "{a} take away {b}",
    "!work out {a} minus {b}",
    "if I have {a} {x} and [lose|give away|drop] {b}, how many are left",
)
_TIMES = (
    "what is {a} times {b} // what {a} times {b} is",
    "what is {a} times {b} // what {a} times {b} is",
    "how much is {a} times {b} // how much {a} times {b} is",
    "{a} times {b}",
    "{a} times {b} [is|makes|equals]",
    "{a} times {b} is what",
    "what does {a} times {b} [make|give] // what {a} times {b} [makes|gives]",
    "what is {a} multiplied by {b}",
    "!multiply {a} by {b}",
    "!work out {a} times {b}",
)
_LEADS = ("Easy, ", "Well, ", "Sure, ")
_AFTER_SUM = (" I used my fingers.", " I checked it twice.", " I like sums.")


def _operand(dice: Dice) -> int:
    return dice.weighted(_OPERANDS, _OPERAND_ENDS)


def _draw(dice: Dice) -> tuple[int, str, int, int, tuple[str, ...]]:
    """First operand, the word between, second operand, result, and the ways to ask."""
    kind = dice.below(100)
    a, b = _operand(dice), _operand(dice)
    if kind < 80:
        return a, "plus", b, a + b, _PLUS
    if kind < 93:
        a, b = max(a, b), min(a, b)
        return a, "minus", b, a - b, _MINUS
    while a * b > 20:
        a, b = _operand(dice), _operand(dice)
    return a, "times", b, a * b, _TIMES


def _counted(number: int, thing: str) -> str:
    return thing if number == 1 else thing + "s"


def _sum(dice: Dice, talk: Talk) -> Lines:
    a, sign, b, result, asks = _draw(dice)
    thing = dice.pick(_THINGS)
    core = dice.pick(asks).replace("{a}", NUMBERS[a]).replace("{b}", NUMBERS[b])
    core = core.replace("{x}", _counted(a, thing)).replace("{y}", _counted(b, thing))
    answer = f"{dice.early(_LEADS)}{NUMBERS[a]} {sign} {NUMBERS[b]} is {NUMBERS[result]}."
    if dice.chance(0.06):
        answer += dice.pick(_AFTER_SUM)
    return ((say(dice, core, fact=True), answer),)


def _count(dice: Dice, talk: Talk) -> Lines:
    last = 2 + dice.below(9)
    if dice.chance(0.25):
        last = 3 + dice.below(3)
        ask = vary(dice, "![count|count down|count back] from {n} [to one|down to one|down]").replace(
            "{n}", NUMBERS[last]
        )
        words = [NUMBERS[n] for n in range(last, 0, -1)]
    else:
        ask = f"![count|count up|count from one|count slowly] to {NUMBERS[last]}"
        words = [NUMBERS[n] for n in range(1, last + 1)]
    return ((say(dice, ask), sentence(", ".join(words)) + "."),)


def _bigger(dice: Dice, talk: Talk) -> Lines:
    a = dice.below(11)
    b = (a + 1 + dice.below(10)) % 11
    small, big = NUMBERS[min(a, b)], NUMBERS[max(a, b)]
    core = f"[which|which number|what] is [{{}}|{{}}], {NUMBERS[a]} or {NUMBERS[b]}"
    if dice.chance(0.65):
        return (
            (say(dice, core.format("bigger", "more"), fact=True), sentence(f"{big} is more than {small}.")),
        )
    return ((say(dice, core.format("smaller", "less"), fact=True), sentence(f"{small} is less than {big}.")),)


_NEXT = tuple((NUMBERS[n], NUMBERS[n + 1]) for n in range(20))
_BEFORE = tuple((NUMBERS[n + 1], NUMBERS[n]) for n in range(12))
_HALVES = tuple((NUMBERS[2 * n], NUMBERS[n]) for n in range(1, 11))
_DOUBLES = tuple((NUMBERS[n], NUMBERS[2 * n]) for n in range(1, 11))

INTENTS = (
    Intent("sum", 52.0, _sum, again=True),
    Intent("count", 1.6, _count, again=True),
    lookup(
        "number after",
        1.5,
        (
            "what [comes|number comes|is] after {k} // what [comes|number comes] after {k}",
            "which number [follows|comes after] {k}",
        ),
        "After {k} comes {v}.",
        _NEXT,
    ),
    lookup(
        "number before",
        1.0,
        ("what [comes|number comes|is] before {k} // what comes before {k}", "which number comes before {k}"),
        "Before {k} comes {v}.",
        _BEFORE,
    ),
    Intent("bigger number", 1.2, _bigger, again=True),
    lookup(
        "half",
        0.7,
        ("what is half of {k} // what half of {k} is", "how much is half of {k}"),
        "Half of {k} is {v}.",
        _HALVES,
    ),
    lookup(
        "double",
        0.7,
        ("what is [double|twice] {k}", "how much is twice {k}", "!double {k}"),
        "Twice {k} is {v}.",
        _DOUBLES,
    ),
)
