"""What the user tells and asks for again: a name, a favourite, the line just said.

A fact is asked for only in the conversation where it was told, and while a small model's window still shows
it. Leaves out any memory of Pip's own: those facts never change and stand in `about_pip`.
"""

from __future__ import annotations

from engine.catalogue.smalltalk.dice import Dice
from engine.catalogue.smalltalk.intent import REACH_CHARS, Intent, Lines, Talk, listed
from engine.catalogue.smalltalk.phrasing import say, sentence

NAMES = listed("""
    Mia Tom Anna Ben Lena Max Ella Sam Nora Leo Ruth Paul Emma Jack Lucy Finn Clara Noah Ida Hugo
    Zoe Adam Rosa Karl Vera Otto Maya Ivan Lily Omar Jane Erik Sara Luke Eva Hans Amy Dan Kate Jonas
    Olga Peter Tina Mark Julia Oscar Elsa Simon Lara Felix Nina David Alice Theo Grace Victor Irene
    Martin Sophie Robert Laura Samir Fatima Ravi Priya Yuki Kenji Chen Mei Ali Zara Diego Carmen
    Pablo Lucia Marco Giulia Pierre Chloe Anton Katya Bjorn Astrid Hamza Leila Kwame Amara George
    Helen Henry Daisy Frank Molly Harry Agnes Walter Edith Arthur Olive Ernest Hazel Frida Ingrid
    Milan Petra Goran Jelena
    """)
_NAME_STARTS = listed("Al Bra Cor Da El Fa Gal Hel Is Jo Kal Lo Mar Nel Or Pe Ral Sel Tam Ul Va Wil Ya Zel")
_NAME_ENDS = listed("ia dor na ric vin la mo ra ton dis bert line ko ven")
_VALUES = {
    "colour": listed("red green blue yellow pink orange black white purple brown grey gold"),
    "food": listed("pizza soup cake bread cheese rice pasta salad honey toast curry fish"),
    "animal": listed("dog cat horse fox bear rabbit whale lion tiger duck panda goat"),
}
_ASK_NAME = (
    "what is my name // what my name is",
    "what is my name // what my name is",
    "what is my name // what my name is",
    "do you [know|remember] my name",
    "who am I // who I am",
    "what am I called",
    "my name is what",
    "!say my name",
    "!tell me my name",
    "did you forget my name",
    "what did I say my name [is|was]",
)
_TELL_NAME = (
    ".my name is {n}",
    ".my name is {n}",
    ".my name is {n}",
    ".I am {n}",
    ".I am called {n}",
    ".you can call me {n}",
    ".call me {n}",
    ".they call me {n}",
    ".people call me {n}",
    "~[hi|hello|hey], I am {n}",
    "~[hi|hello|hey], my name is {n}",
    ".my friends call me {n}",
)
_TELL_NAME_AND_ASK = (
    "my name is {n}, what is [yours|your name]",
    "I am {n}, [who are you|what is your name|and you]",
    "my name is {n} and [yours|you]",
    "I am {n} and you are",
)


def any_name(dice: Dice) -> str:
    """A first name: mostly a real one, now and then an invented one so that a model must copy rather than
    know."""
    if dice.chance(0.75):
        return dice.pick(NAMES)
    return dice.pick(_NAME_STARTS) + dice.pick(_NAME_ENDS)


def _tell_name(dice: Dice, talk: Talk) -> Lines:
    talk.facts["name"] = name = any_name(dice)
    if dice.chance(0.18):
        user = say(dice, dice.pick(_TELL_NAME_AND_ASK).replace("{n}", name), to_pip=False)
        return ((user, f"Nice to meet you, {name}. I am Pip."),)
    user = say(dice, dice.pick(_TELL_NAME).replace("{n}", name), to_pip=False)
    return ((user, dice.early((f"Nice to meet you, {name}.", f"Hello, {name}."))),)


def _recall_name(dice: Dice, talk: Talk) -> Lines | None:
    user = say(dice, dice.pick(_ASK_NAME))
    name = talk.recall("name", len(user) + 30)
    if name is not None:
        return ((user, f"Your name is {name}."),)
    return None if "name" in talk.facts else ((user, "You have not told me your name."),)


def _tell_favourite(dice: Dice, talk: Talk) -> Lines:
    kind = dice.pick(("colour", "colour", "food", "animal"))
    talk.facts[kind] = value = dice.pick(_VALUES[kind])
    shown = f"the {value}" if kind == "animal" else value
    word = "[colour|color]" if kind == "colour" else kind
    core = dice.pick(
        (
            f".my [favourite|favorite] {word} is {shown}",
            f".my [favourite|favorite] {word} is {shown}",
            f".the {word} I like [most|best] is {shown}",
            f".{shown} is my [favourite|favorite] {word}",
        )
    )
    return ((say(dice, core), f"{sentence(shown)} is a good choice."),)


def _recall_favourite(dice: Dice, talk: Talk) -> Lines | None:
    kind = dice.pick([key for key in _VALUES if key in talk.facts] or ("colour", "colour", "food", "animal"))
    word = "[colour|color]" if kind == "colour" else kind
    core = dice.pick(
        (
            f"what is my [favourite|favorite] {word} // what my [favourite|favorite] {word} is",
            f"what is my [favourite|favorite] {word} // what my [favourite|favorite] {word} is",
            f"which {word} do I like [most|best] // which {word} I like [most|best]",
            f"do you [know|remember] my [favourite|favorite] {word}",
        )
    )
    user = say(dice, core)
    if kind not in talk.facts:
        return ((user, f"You have not told me your favourite {kind}."),)
    value = talk.recall(kind, len(user) + 45)
    if value is None:
        return None
    shown = f"the {value}" if kind == "animal" else value
    return ((user, f"Your favourite {kind} is {shown}."),)


def quoted(line: str) -> str:
    """The line in quotes, closed by a full stop unless the line brings its own mark."""
    return f'"{line}"' + ("" if line[-1] in ".?!" else ".")


def _what_i_said(dice: Dice, talk: Talk) -> Lines | None:
    user = say(
        dice,
        dice.pick(
            (
                "what did I [just say|say|say just now|say before|just ask] // what I [just said|said]",
                "what did I [just say|say] // what I [just said|said]",
                "do you remember what I [just said|said]",
                "!repeat what I [just said|said]",
                "what was my last [line|question|message]",
            )
        ),
    )
    if not talk.exchanges:
        return ((user, "You have not said anything yet."),) if dice.chance(0.4) else None
    last = talk.exchanges[-1]
    seen = len(last.user) * 2 + len(last.pip) + len(user) + 25
    if seen > REACH_CHARS or '"' in last.pip or len(last.user) > 32:
        return None
    return ((user, f"You said {quoted(last.user)}"),)


def _again(dice: Dice, talk: Talk) -> Lines | None:
    user = say(
        dice,
        dice.pick(
            (
                "![say|tell me] that again",
                "!repeat that",
                "!say it [again|once more]",
                "what did you [just say|say] // what you [just said|said]",
                "~[pardon|what|come again|sorry, what was that]",
            )
        ),
    )
    if not talk.exchanges:
        return ((user, "I have not said anything yet."),) if dice.chance(0.4) else None
    last = talk.exchanges[-1]
    if len(last.pip) * 2 + len(user) + 20 > REACH_CHARS or '"' in last.pip or len(last.pip) > 40:
        return None
    return ((user, f"I said {quoted(last.pip)}"),)


TELL_NAME = Intent("tell name", 6.0, _tell_name)
RECALL_NAME = Intent("recall name", 1.6, _recall_name)
TELL_FAVOURITE = Intent("tell favourite", 2.4, _tell_favourite)
RECALL_FAVOURITE = Intent("recall favourite", 0.6, _recall_favourite)

INTENTS: tuple[Intent, ...] = (
    TELL_NAME,
    RECALL_NAME,
    TELL_FAVOURITE,
    RECALL_FAVOURITE,
    Intent("what did i say", 3.0, _what_i_said),
    Intent("say again", 1.6, _again),
)
