"""Games with words: opposites, spelling, rhymes, first letters, plurals, the alphabet, saying a word back.

Leaves out meanings; what things are stands in `things` and `nature`.
"""

from __future__ import annotations

from engine.catalogue.smalltalk.intent import Intent, fixed, listed, lookup, rows, same

OPPOSITES = rows("""
hot = cold
big = small
up = down
left = right
day = night
good = bad
happy = sad
fast = slow
old = new
open = closed
full = empty
hard = soft
light = dark
wet = dry
high = low
early = late
rich = poor
loud = quiet
yes = no
long = short
""")
_BOTH_WAYS = OPPOSITES + tuple((b, a) for a, b in OPPOSITES)
_RHYMES = rows("""
cat = hat
dog = fog
moon = spoon
tree = bee
star = car
house = mouse
cake = lake
fish = dish
rain = train
book = cook
bear = chair
night = light
""")
_RHYMES_BOTH = _RHYMES + tuple((b, a) for a, b in _RHYMES)
_SHORT_WORDS = listed("""
    cat dog sun moon tree fish bird cow hat pen cup bed box key map egg ant bee fox owl pig hen boat
    ship ball book door hand foot milk rain snow star leaf rose lamp ring song frog duck bear wolf
    king town road sand wind rock salt nest bell coin kite
    """)
_SPELL = tuple((word, "-".join(word)) for word in _SHORT_WORDS)
_FIRST = tuple(
    (word, word[0])
    for word in (*_SHORT_WORDS, *listed("apple green house jump lemon night queen under yellow zebra"))
)
_PLURALS = rows("""
cat = cats
dog = dogs
tree = trees
mouse = mice
foot = feet
man = men
child = children
tooth = teeth
box = boxes
leaf = leaves
sheep = sheep
goose = geese
""")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_NEXT_LETTER = tuple((_LETTERS[n], _LETTERS[n + 1]) for n in range(25))
_SAYABLE = same(*_SHORT_WORDS, *listed("hello banana please tomorrow robot yes no wonderful pancake"))
_PAST = rows("""
go = went
see = saw
eat = ate
run = ran
say = said
come = came
sing = sang
write = wrote
swim = swam
give = gave
""")

INTENTS: tuple[Intent, ...] = (
    lookup(
        "opposites",
        2.6,
        (
            "what is the opposite of {k} // what the opposite of {k} is",
            "what is the opposite of {k} // what the opposite of {k} is",
            "the opposite of {k}",
            "what is the [contrary|reverse] of {k}",
            "[which word|what] is the opposite of {k}",
            "!give me the opposite of {k}",
        ),
        "The opposite of {k} is {v}.",
        _BOTH_WAYS,
    ),
    lookup(
        "spelling",
        2.0,
        (
            "!spell {k}",
            "!spell the word {k}",
            "how do you spell {k} // how to spell {k}",
            "how is {k} spelled // how {k} is spelled",
            "!spell {k}",
        ),
        "The word {k} is {v}.",
        _SPELL,
    ),
    lookup(
        "rhymes",
        1.3,
        (
            "what rhymes with {k} // what rhymes with {k}",
            "[which|what] word rhymes with {k} // which word rhymes with {k}",
            "!give me a rhyme [for|with] {k}",
            "!find a rhyme for {k}",
            "what is a rhyme for {k}",
        ),
        "The word {k} rhymes with {v}.",
        _RHYMES_BOTH,
    ),
    lookup(
        "first letters",
        1.5,
        (
            "what letter does {k} start with // what letter {k} starts with",
            "what does {k} [start|begin] with // what {k} starts with",
            "what is the first letter of {k} // what the first letter of {k} is",
            "which letter does {k} begin with",
        ),
        "The word {k} starts with {v}.",
        _FIRST,
    ),
    lookup(
        "plurals",
        0.9,
        (
            "what is the plural of {k} // what the plural of {k} is",
            "one {k}, two what",
            "how do you say more than one {k}",
        ),
        "One {k}, two {v}.",
        _PLURALS,
    ),
    lookup(
        "next letter",
        1.0,
        (
            "what letter [comes after|follows] {k} // what letter comes after {k}",
            "which letter [comes after|follows] {k}",
        ),
        "After {k} comes {v}.",
        _NEXT_LETTER,
    ),
    lookup(
        "say a word",
        1.6,
        ("!say {k}", "!say the word {k}", "!repeat the word {k}", "!say {k} to me", "!repeat after me, {k}"),
        "Okay, {v}.",
        _SAYABLE,
        fact=False,
    ),
    lookup(
        "past tense",
        0.8,
        ("what is the past of {k} // what the past of {k} is", "today I {k}, yesterday I"),
        "Today I {k}, yesterday I {v}.",
        _PAST,
    ),
    fixed(
        "alphabet",
        0.5,
        (
            "!say the alphabet",
            "what is the alphabet",
            "!say the [first letters|letters|abc]",
            "do you know the [alphabet|abc]",
        ),
        ("A, b, c, d, e, f, g, and so on.",),
    ),
)
