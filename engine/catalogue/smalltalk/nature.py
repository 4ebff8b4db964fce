"""Animals, plants, sky and sea: small facts a child could ask for.

Each table is short on purpose: a model that trains for two minutes can learn a dozen rows well or a hundred
rows badly. Leaves out exceptions; birds fly here.
"""

from __future__ import annotations

from engine.catalogue.smalltalk.dice import Dice
from engine.catalogue.smalltalk.intent import Intent, Lines, Talk, fixed, lookup, rows
from engine.catalogue.smalltalk.phrasing import say, sentence

_SOUNDS = rows("""
cow = moo
cat = meow
dog = woof
duck = quack
sheep = baa
pig = oink
lion = roar
bee = buzz
snake = hiss
frog = croak
horse = neigh
bird = tweet
""")
_LEGS = rows("""
a cow = four legs
a cat = four legs
a dog = four legs
a horse = four legs
a bird = two legs
a duck = two legs
a spider = eight legs
a bee = six legs
an ant = six legs
a snake = no legs
a fish = no legs
""")
_HOMES = rows("""
a fish = in the water
a bird = in a nest
a bee = in a hive
a fox = in a den
a whale = in the sea
a lion = on the plain
a camel = in the desert
a frog = by the pond
a cow = on a farm
a monkey = in the trees
a mole = under the ground
a spider = in a web
""")
_BABIES = rows("""
cat = kitten
dog = puppy
cow = calf
sheep = lamb
horse = foal
bear = cub
duck = duckling
goat = kid
hen = chick
frog = tadpole
""")
_FOODS = rows("""
a cow = grass
a rabbit = carrots
a cat = fish
a dog = meat
a mouse = grain
a bee = nectar
a monkey = bananas
a horse = hay
a bird = seeds
a panda = bamboo
""")
_CAN = rows("""
a bird fly = Yes, a bird can fly.
a bee fly = Yes, a bee can fly.
a fish swim = Yes, a fish can swim.
a duck swim = Yes, a duck can swim.
a horse run = Yes, a horse can run.
a cow fly = No, a cow cannot fly.
a pig fly = No, a pig cannot fly.
a stone swim = No, a stone cannot swim.
a fish walk = No, a fish cannot walk.
a tree run = No, a tree cannot run.
a snake walk = No, a snake cannot walk.
a cat read = No, a cat cannot read.
""")
# Smallest first: an animal is bigger than all before it.
_BY_SIZE = ("an ant", "a mouse", "a cat", "a dog", "a cow", "an elephant", "a whale")
_SKY = rows("""
is the sky blue = The air scatters blue light.
does the sun rise = The earth turns towards it.
does it rain = Clouds get too heavy with water.
is snow cold = Snow is frozen water.
is the sea salty = Rivers carry salt into it.
do leaves fall = Trees save water in winter.
is grass green = Its leaves hold a green dye.
do birds sing = They call to other birds.
""")
_ABOUT = rows("""
the sun = The sun is a star, and very hot.
the moon = The moon goes around the earth.
the sea = The sea is deep and full of fish.
the sky = The sky is blue by day, dark by night.
a star = A star is a sun far away.
a cloud = A cloud is made of tiny drops.
a river = A river runs down to the sea.
a mountain = A mountain is a very tall hill.
rain = Rain is water from the clouds.
snow = Snow is frozen water.
wind = Wind is air on the move.
the earth = The earth is our round home.
a rainbow = A rainbow is sunlight in the rain.
""")
_PLANTS = rows("""
a tree = A tree is a tall plant with a trunk.
a rose = A rose is a flower with thorns.
a flower = A flower is the pretty part of a plant.
a seed = A seed is a plant that waits.
a leaf = A leaf drinks the light.
a root = A root holds the plant and drinks.
grass = Grass is a green plant that cows eat.
moss = Moss is soft and likes the shade.
""")


def _bigger_animal(dice: Dice, talk: Talk) -> Lines:
    first = dice.below(len(_BY_SIZE))
    second = (first + 1 + dice.below(len(_BY_SIZE) - 1)) % len(_BY_SIZE)
    small, big = _BY_SIZE[min(first, second)], _BY_SIZE[max(first, second)]
    pair = f"{_BY_SIZE[first]} or {_BY_SIZE[second]}"
    if dice.chance(0.65):
        user = say(dice, f"[which|what] is [bigger|larger], {pair}", fact=True)
        return ((user, sentence(f"{big} is bigger than {small}.")),)
    return (
        (
            say(dice, f"[which|what] is smaller, {pair}", fact=True),
            sentence(f"{small} is smaller than {big}."),
        ),
    )


INTENTS: tuple[Intent, ...] = (
    lookup(
        "animal sounds",
        1.5,
        (
            "what does a {k} say // what a {k} says",
            "what does [a|the] {k} say // what [a|the] {k} says",
            "what [sound|noise] does a {k} make // what [sound|noise] a {k} makes",
            "how does a {k} [sound|go]",
        ),
        "A {k} says {v}.",
        _SOUNDS,
    ),
    lookup(
        "legs",
        1.2,
        (
            "how many legs does {k} have // how many legs {k} has",
            "how many legs has {k}",
            "does {k} have legs",
            "how many legs are on {k}",
        ),
        "{k} has {v}.",
        _LEGS,
    ),
    lookup(
        "animal homes",
        1.3,
        (
            "where does {k} live // where {k} lives",
            "where is {k} at home",
            "what is the home of {k}",
            "where would I find {k}",
        ),
        "{k} lives {v}.",
        _HOMES,
    ),
    lookup(
        "baby animals",
        1.1,
        (
            "what is a baby {k}[| called] // what a baby {k} is called",
            "what do you call a [baby|young] {k}",
            "what is the baby of a {k}",
        ),
        "A baby {k} is a {v}.",
        _BABIES,
    ),
    lookup(
        "animal food",
        1.1,
        (
            "what does {k} eat // what {k} eats",
            "what does {k} like to eat",
            "what should I feed {k}",
            "what is the food of {k}",
        ),
        "{k} eats {v}.",
        _FOODS,
    ),
    lookup("can it", 1.2, ("can {k}",), "{v}", _CAN),
    Intent("bigger animal", 1.2, _bigger_animal, again=True),
    lookup("why nature", 0.9, ("why {k}", "why {k}"), "{v}", _SKY),
    lookup(
        "sky and sea",
        1.3,
        ("what is {k} // what {k} is", "!tell me about {k}", "!tell me something about {k}"),
        "{v}",
        _ABOUT,
    ),
    lookup(
        "plants", 0.9, ("what is {k} // what {k} is", "!tell me about {k}", "!explain {k}"), "{v}", _PLANTS
    ),
    fixed(
        "plant care",
        0.5,
        (
            "how do I [grow|keep|water] a [plant|flower|tree]",
            "what does a plant need // what a plant needs",
            ".my plant is dying",
        ),
        ("A plant needs light, water and time.",),
        fact=True,
    ),
)
