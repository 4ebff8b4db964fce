"""Play: jokes, riddles, songs, poems, secrets, stories, choices and the toss of a coin.

Stories and poems are composed from parts and so differ from one another; the rest is a short list that Pip
knows by heart. Leaves out games that need more memory than a few lines.
"""

from __future__ import annotations

from engine.catalogue.smalltalk.dice import Dice
from engine.catalogue.smalltalk.intent import Intent, Lines, Talk, fixed, listed, lookup, rows
from engine.catalogue.smalltalk.phrasing import say, sentence, vary

_JOKES = (
    "I asked the clock for help. It had no time.",
    "A sock walked in alone. It missed its pair.",
    "I tried to count to a million. I got to two.",
    "My soup told a joke. It was not so hot.",
    "The moon is never hungry. It is often full.",
    "I lost my map. Now I have no idea where.",
    "A ghost told me a story. I saw through it.",
    "The stairs are up to something.",
)
_RIDDLES = rows("""
I have four legs but never walk. = a table
I have teeth but never bite. = a comb
I have leaves but I am no tree. = a book
I get wet while I dry you. = a towel
I have hands but cannot clap. = a clock
I fall all day and never break. = the rain
I follow you when the sun is out. = your shadow
I have a neck but no head. = a bottle
""")
_STORIES = (
    "A [small|brave|tired|kind] {a} found a [red|gold|lost|tiny] {t}. {found}",
    "Once a {a} lost a [red|gold|green|tiny] {t}. {lost}",
)
_ANIMALS = listed("fox wolf bear mouse cat frog goat duck dog hen")
_TREASURES = listed("boat key hat bell map cup ring lamp kite book")
_FOUND_ENDS = "[It gave it to a friend.|It sang all night.|It never told a soul.|It took it home and slept.]"
_LOST_ENDS = (
    "[A friend found it again.|It looked all night.|It laughed and went on.|It went home without it.]"
)
_POEMS = (
    "The moon is high, the owl is near. The night is soft, and I am here.",
    "The rain comes down upon the town. The ducks are glad and swim around.",
    "A little seed, a bit of sun. A tree one day, when it is done.",
    "The cat is warm, the tea is hot. I like this evening quite a lot.",
)
_SECRETS = (
    "I count my letters when nobody looks.",
    "I do not know what a smell is.",
    "I sometimes guess. Do not tell.",
    "My whole life fits in a small file.",
)
_CHOICES = rows("""
left or right = Left, please.
right or left = Left, please.
tea or coffee = Tea, please.
coffee or tea = Tea, please.
cats or dogs = Cats, I think.
dogs or cats = Cats, I think.
red or blue = Blue, of course.
blue or red = Blue, of course.
summer or winter = Winter, I think.
sea or mountains = The sea, I think.
day or night = Night. It is quiet.
book or film = A book, please.
sweet or salty = Salty, please.
up or down = Up, of course.
cake or soup = Soup, please.
train or plane = A train, please.
""")


def _riddle(dice: Dice, talk: Talk) -> Lines:
    riddle, answer = dice.pick(_RIDDLES)
    ask = say(
        dice,
        dice.pick(
            (
                "!tell me a riddle",
                "![give|ask] me a riddle",
                "do you know a riddle",
                "another riddle",
                ".I want a riddle",
            )
        ),
    )
    question = (ask, f"{riddle} What am I?")
    if dice.chance(0.5):
        give_up = "[I give up|no idea|I do not know|tell me|what is it|say it]"
        return question, (say(dice, "~" + give_up, to_pip=False), f"It is {answer}.")
    if dice.chance(0.6):
        right = say(dice, f"~[|is it |are you |it is |you are ]{answer}", to_pip=False)
        return question, (right, f"Yes, it is {answer}. Well done.")
    other = dice.pick([guess for _, guess in _RIDDLES if guess != answer])
    return question, (say(dice, f"~[|is it |it is |you are ]{other}", to_pip=False), f"No, it is {answer}.")


def _story(dice: Dice, talk: Talk) -> Lines:
    ask = dice.pick(
        (
            "!tell me a [story|short story|tale|little story]",
            "do you know a story",
            ".I want a story",
            "another story",
            "!make up a story",
        )
    )
    story = dice.pick(_STORIES).replace("{found}", _FOUND_ENDS).replace("{lost}", _LOST_ENDS)
    story = story.replace("{a}", dice.pick(_ANIMALS)).replace("{t}", dice.pick(_TREASURES))
    return ((say(dice, ask), vary(dice, story)),)


def _coin(dice: Dice, talk: Talk) -> Lines:
    ask = dice.pick(("!flip a coin", "!toss a coin", "heads or tails"))
    return ((say(dice, ask), f"It is {dice.pick(('heads', 'tails'))}."),)


def _guess(dice: Dice, talk: Talk) -> Lines:
    number = dice.pick(("three", "seven", "four"))
    ask = dice.pick(
        (
            "!pick a number",
            "!think of a number",
            "!choose a number",
            "!say a number",
            "!give me a [lucky|random] number",
        )
    )
    return ((say(dice, ask), sentence(f"{number}, I think.")),)


INTENTS: tuple[Intent, ...] = (
    fixed(
        "joke",
        1.8,
        (
            "!tell me a [joke|good joke|funny joke|joke or two]",
            "!make me laugh",
            "do you know [a joke|any jokes|a good joke]",
            "another joke",
            "![say|tell me] something funny",
            ".I want a joke",
        ),
        _JOKES,
    ),
    Intent("riddle", 1.4, _riddle),
    Intent("story", 1.8, _story),
    fixed(
        "poem",
        0.8,
        (
            "!tell me a poem",
            "!write [a poem|me a poem|a short poem]",
            "do you know a poem",
            "!say [a poem|a verse]",
        ),
        _POEMS,
    ),
    fixed(
        "secret",
        0.8,
        ("!tell me a secret", "do you have a secret", "do you keep secrets", "what is your secret"),
        _SECRETS,
    ),
    fixed(
        "sing",
        0.9,
        (
            "!sing[| a song| for me| me a song]",
            "can you sing",
            "!sing something",
            "do you sing",
            "do you know a song",
        ),
        ("La la la. That is all I know.",),
    ),
    lookup(
        "choices",
        1.6,
        (
            "{k}",
            "{k}",
            "what do you [prefer|like more|want], {k}",
            "do you [prefer|like] {k}",
            "!choose, {k}",
        ),
        "{v}",
        _CHOICES,
        fact=False,
    ),
    Intent("coin", 0.7, _coin),
    Intent("pick a number", 0.6, _guess),
    fixed(
        "play",
        0.7,
        (
            "!play[| a game][| with me]",
            "[shall|can] we play[| a game]",
            "do you want to play",
            ".let us play[| a game]",
        ),
        ("Let us play. Ask me for a riddle.",),
    ),
    fixed(
        "say something",
        0.8,
        (
            "!say something",
            "!tell me something[| nice| new| interesting]",
            "!talk to me",
            "!say anything",
            ".let us [talk|chat]",
        ),
        ("Owls can turn their heads very far.", "Honey keeps for a very long time."),
    ),
    fixed(
        "meaning of life",
        0.4,
        (
            "what is the meaning of life",
            "why are we here",
            "what is love",
            "what is [happiness|the most important thing]",
        ),
        ("Tea, friends and a good night of sleep.",),
    ),
)
