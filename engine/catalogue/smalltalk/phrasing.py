"""Turns one core of a sentence into the many ways in which people type it.

A model that meets "what is your name" only in those words learns the words by heart. So every user line is
composed: opener, core, tail, mark, and the writer's care for capitals and apostrophes. Leaves out meaning:
it never touches the core's key words.

A core is a pattern: "[a|b]" is one of the alternatives, "direct // indirect" gives the form that follows
"can you tell me". Its first character may say what kind of sentence it is: "!" an order, "." a statement,
"~" a call such as hello; else a question.
"""

from __future__ import annotations

import re

from engine.catalogue.smalltalk.dice import Dice

# No opener or tail holds a number: the numbers of a line are the operands of its sum.
CHAT_OPENERS = (
    "hey, ",
    "so, ",
    "so ",
    "hey Pip, ",
    "Pip, ",
    "okay, ",
    "well, ",
    "and ",
    "now, ",
    "tell me, ",
    "just curious, ",
    "by the way, ",
    "quick question, ",
    "oh, ",
    "um, ",
    "hm, ",
    "say, ",
    "let me ask, ",
    "a small question, ",
    "but ",
    "hi, ",
    "hello, ",
    "hi there, ",
    "please tell me, ",
    "I wonder, ",
    "excuse me, ",
    "ok, ",
)
FACT_OPENERS = (
    "can you tell me, ",
    "please, ",
    "do you know, ",
    "a question, ",
    "next question, ",
    "another question, ",
    "here is another, ",
    "I forgot, ",
    "sorry, ",
)
INDIRECT_OPENERS = (
    "can you tell me ",
    "could you tell me ",
    "please tell me ",
    "tell me ",
    "do you know ",
    "I wonder ",
    "I want to know ",
    "I would like to know ",
    "may I ask ",
    "hey, tell me ",
    "can you say ",
    "do you remember ",
)
CHAT_TAILS = (", Pip", " Pip", " then", ", my friend", ", tell me", ", by the way")
FACT_TAILS = (
    " please",
    ", please",
    ", do you know",
    ", any idea",
    ", if you know",
    ", can you say",
    ", quickly",
)
ORDER_OPENERS = (
    "please ",
    "can you ",
    "could you ",
    "will you ",
    "can you please ",
    "would you please ",
    "Pip, ",
    "hey Pip, ",
    "hey, ",
    "now ",
    "okay, ",
    "go on, ",
    "come on, ",
    "I want you to ",
    "so, ",
)
ORDER_TAILS = (" please", ", please", " now", ", Pip", " then")
TELL_OPENERS = ("hey, ", "you know, ", "well, ", "oh, ", "so, ", "Pip, ", "by the way, ", "hey Pip, ")
TELL_TAILS = (", Pip", " you know", ", my friend", ", really")
CALL_TAILS = (" Pip", ", Pip", ", my friend")
_POLITE = ("can you ", "could you ", "will you ", "would you ")
_ECHOES = (
    "Pip",
    "please",
    "now",
    "then",
    "friend",
    "tell me",
    "do you",
    "can you",
    "way",
    "I ",
    "know",
    "sorry",
)
_GROUP = re.compile(r"\[([^\[\]]*)\]")
_SHORT_FORMS = (
    (re.compile(r"\bwhat is (?!it\b)(?=\w)"), "what's "),
    (re.compile(r"\bwho is (?=\w)"), "who's "),
    (re.compile(r"\bhow is (?=\w)"), "how's "),
    (re.compile(r"\bit is (?=\w)"), "it's "),
    (re.compile(r"\bI am (?=\w)"), "I'm "),
    (re.compile(r"\bdo not\b"), "don't"),
    (re.compile(r"\bcannot\b"), "can't"),
)


def vary(dice: Dice, pattern: str) -> str:
    """The pattern with every "[a|b]" replaced by one of its alternatives; groups may be nested."""
    while "[" in pattern:
        pattern = _GROUP.sub(lambda group: dice.pick(group.group(1).split("|")), pattern)
    return pattern


def sentence(text: str) -> str:
    """The text with its first letter a capital: how Pip writes."""
    return text[0].upper() + text[1:]


def say(dice: Dice, pattern: str, *, fact: bool = False, to_pip: bool = True) -> str:
    """One line as a person might type it.

    Args:
        pattern: the core, in the notation of this module.
        fact: the question is about the world, so "do you know" may stand before or after it.
        to_pip: whether the speaker may call Pip by name.
    """
    kind, core = (pattern[0], pattern[1:]) if pattern[0] in "!.~" else ("?", pattern)
    if kind == "!":
        line = _order(dice, core, to_pip)
    elif kind == ".":
        line = _statement(dice, core, to_pip)
    elif kind == "~":
        line = _call(dice, core, to_pip)
    else:
        line = _question(dice, core, fact, to_pip)
    return _typed(dice, line)


def _question(dice: Dice, core: str, fact: bool, to_pip: bool) -> str:
    direct, _, indirect = core.partition(" // ")
    if indirect and dice.chance(0.35):
        core = vary(dice, indirect)
        opener = dice.pick(INDIRECT_OPENERS)
    else:
        opener, core = "", vary(dice, direct)
        if dice.chance(0.5):
            opener = _choose(dice, CHAT_OPENERS + FACT_OPENERS if fact else CHAT_OPENERS, core, to_pip)
    tail = ""
    if dice.chance(0.25):
        tail = _choose(dice, CHAT_TAILS + FACT_TAILS if fact else CHAT_TAILS, opener + core, to_pip)
    asks = not opener.startswith(("I want", "I would"))
    return opener + core + tail + (("?" if asks else ".") if dice.chance(0.72) else "")


def _order(dice: Dice, core: str, to_pip: bool) -> str:
    core = vary(dice, core)
    opener = _choose(dice, ORDER_OPENERS, core, to_pip) if dice.chance(0.55) else ""
    tail = _choose(dice, ORDER_TAILS, opener + core, to_pip) if dice.chance(0.3) else ""
    if opener.startswith(_POLITE):
        mark = "?" if dice.chance(0.7) else ""
    else:
        mark = dice.pick(("", "", ".", ".", "!"))
    return opener + core + tail + mark


def _statement(dice: Dice, core: str, to_pip: bool) -> str:
    core = vary(dice, core)
    opener = _choose(dice, TELL_OPENERS, core, to_pip) if dice.chance(0.3) else ""
    tail = _choose(dice, TELL_TAILS, opener + core, to_pip) if dice.chance(0.12) else ""
    return opener + core + tail + dice.pick(("", "", ".", ".", ".", "!"))


def _call(dice: Dice, core: str, to_pip: bool) -> str:
    core = vary(dice, core)
    tail = _choose(dice, CALL_TAILS, core, to_pip) if dice.chance(0.35) else ""
    return core + tail + dice.pick(("", "", ".", "!"))


def _choose(dice: Dice, phrases: tuple[str, ...], beside: str, to_pip: bool) -> str:
    """One of the phrases that repeats nothing of the words beside it and calls no name where none may be
    called."""
    while True:
        phrase = dice.pick(phrases)
        echoes = any(word in phrase and word in beside for word in _ECHOES)
        if not echoes and (to_pip or "Pip" not in phrase):
            return phrase


def _typed(dice: Dice, line: str) -> str:
    if dice.chance(0.3):
        for long_form, short in _SHORT_FORMS:
            line = long_form.sub(short, line)
    care = dice.below(100)
    if care < 58:
        line = line.lower()
        return line.replace("'", "") if dice.chance(0.3) else line
    return line if care < 66 else sentence(line)
