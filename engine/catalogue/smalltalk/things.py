"""The made world: colours, shapes, stuff, tools, vehicles, jobs, instruments, sports, food and plain yes or
no.

Each answer repeats the key word of the question before it gives the fact. Leaves out living things: those
are in `nature`.
"""

from __future__ import annotations

from engine.catalogue.smalltalk.intent import Intent, fixed, lookup, rows

_COLOURS = rows("""
the sky = The sky is blue.
the sea = The sea is blue.
grass = Grass is green.
a frog = A frog is green.
a lemon = A lemon is yellow.
the sun = The sun is yellow.
a banana = A banana is yellow.
snow = Snow is white.
milk = Milk is white.
a tomato = A tomato is red.
blood = Blood is red.
coal = Coal is black.
the night = The night is black.
a carrot = A carrot is orange.
chocolate = Chocolate is brown.
an elephant = An elephant is grey.
a pig = A pig is pink.
""")
_MIXES = rows("""
blue and yellow = Blue and yellow make green.
yellow and blue = Yellow and blue make green.
red and yellow = Red and yellow make orange.
yellow and red = Yellow and red make orange.
red and blue = Red and blue make purple.
blue and red = Blue and red make purple.
red and white = Red and white make pink.
white and red = White and red make pink.
black and white = Black and white make grey.
white and black = White and black make grey.
""")
_SIZES = rows("""
an ant = An ant is tiny.
a mouse = A mouse is small.
a cat = A cat is rather small.
a house = A house is big.
a whale = A whale is huge.
the sea = The sea is huge.
a mountain = A mountain is huge.
a seed = A seed is tiny.
""")
_SHAPES = rows("""
a ball = A ball is round.
the moon = The moon is round.
a wheel = A wheel is round.
a coin = A coin is round.
a box = A box is square.
a door = A door is a rectangle.
an egg = An egg is an oval.
""")
_SIDES = rows("""
a triangle = three sides
a square = four sides
a rectangle = four sides
a pentagon = five sides
a hexagon = six sides
a circle = no sides
""")
_MADE_OF = rows("""
a table = wood
a window = glass
a coin = metal
a book = paper
a jumper = wool
a shoe = leather
a house = stone
a bottle = glass
a key = metal
a chair = wood
ice = water
bread = flour
cheese = milk
""")
_USED_FOR = rows("""
a knife = cut
a pen = write
a broom = sweep
a spoon = eat soup
a key = open a door
a bed = sleep
a lamp = see at night
a cup = drink
an umbrella = stay dry
a clock = tell the time
""")
_VEHICLES = rows("""
a car = on the road
a train = on rails
a boat = on the water
a ship = on the sea
a plane = through the air
a bus = on the road
a sledge = on snow
a rocket = into space
""")
_WHEELS = rows("""
a car = four wheels
a bicycle = two wheels
a tricycle = three wheels
a boat = no wheels
a cart = four wheels
a sledge = no wheels
""")
_JOBS = rows("""
a baker = bakes bread
a teacher = teaches children
a doctor = heals people
a farmer = grows food
a painter = paints pictures
a pilot = flies planes
a singer = sings songs
a tailor = makes clothes
a judge = decides in court
a cook = cooks meals
""")
_INSTRUMENTS = rows("""
a piano = A piano has keys.
a guitar = A guitar has six strings.
a violin = A violin has four strings.
a drum = A drum is beaten with sticks.
a flute = A flute is played with breath.
a trumpet = A trumpet is loud and made of brass.
a harp = A harp has many strings.
""")
_SPORTS = rows("""
football = Football needs a ball and two goals.
tennis = Tennis needs a ball and a racket.
chess = Chess needs a board and patience.
swimming = Swimming needs water.
running = Running needs only shoes.
skiing = Skiing needs snow.
rowing = Rowing needs a boat.
cycling = Cycling needs a bicycle.
""")
_FOODS = rows("""
a lemon = A lemon is sour.
honey = Honey is sweet.
cake = Cake is sweet.
salt = Salt is salty.
coffee = Coffee is bitter.
pepper = Pepper is hot.
chocolate = Chocolate is sweet.
vinegar = Vinegar is sour.
""")
_KINDS = rows("""
an apple = a fruit
a pear = a fruit
a carrot = a vegetable
an onion = a vegetable
a rose = a flower
a dog = an animal
an owl = a bird
a hammer = a tool
a piano = an instrument
a bus = a vehicle
blue = a colour
Friday = a day
June = a month
""")
_YES_NO = rows("""
is fire hot = Yes, fire is hot.
is fire cold = No, fire is hot.
is ice cold = Yes, ice is cold.
is ice hot = No, ice is cold.
is the sky blue = Yes, the sky is blue.
is the sky green = No, the sky is blue.
is snow white = Yes, snow is white.
is snow black = No, snow is white.
is water wet = Yes, water is wet.
is water dry = No, water is wet.
is the earth round = Yes, the earth is round.
is the earth flat = No, the earth is round.
is sugar sweet = Yes, sugar is sweet.
is sugar sour = No, sugar is sweet.
is stone hard = Yes, stone is hard.
is stone soft = No, stone is hard.
""")
_ROOMS = rows("""
sleep = You sleep in the bedroom.
cook = You cook in the kitchen.
wash = You wash in the bathroom.
learn = You learn at school.
buy bread = You buy bread at the bakery.
swim = You swim in the pool.
plant flowers = You plant flowers in the garden.
borrow books = You borrow books at the library.
""")

INTENTS: tuple[Intent, ...] = (
    lookup(
        "colours of things",
        1.8,
        (
            "what [colour|color] is {k} // what [colour|color] {k} is",
            "which [colour|color] is {k}",
            "what is the [colour|color] of {k}",
        ),
        "{v}",
        _COLOURS,
    ),
    lookup(
        "mixing colours",
        0.9,
        ("what do {k} make // what {k} make", "what [colour|color] do {k} make", "!mix {k}"),
        "{v}",
        _MIXES,
    ),
    lookup(
        "sizes",
        0.8,
        ("how [big|large] is {k} // how [big|large] {k} is", "is {k} [big|small|large]"),
        "{v}",
        _SIZES,
    ),
    lookup(
        "shapes",
        0.8,
        ("what shape is {k} // what shape {k} is", "what shape does {k} have", "is {k} [round|square]"),
        "{v}",
        _SHAPES,
    ),
    lookup(
        "sides",
        0.8,
        ("how many sides does {k} have // how many sides {k} has", "how many sides has {k}"),
        "{k} has {v}.",
        _SIDES,
    ),
    lookup(
        "materials",
        1.2,
        (
            "what is {k} made of // what {k} is made of",
            "what is {k} made [of|from]",
            "what do you make {k} from",
        ),
        "{k} is made of {v}.",
        _MADE_OF,
    ),
    lookup(
        "tools",
        1.0,
        ("what is {k} for // what {k} is for", "what do [I|you] do with {k}", "why do I need {k}"),
        "You use {k} to {v}.",
        _USED_FOR,
    ),
    lookup(
        "vehicles",
        0.9,
        ("where does {k} [go|drive|travel] // where {k} goes", "where can I see {k}", "how does {k} move"),
        "{k} goes {v}.",
        _VEHICLES,
    ),
    lookup(
        "wheels",
        0.7,
        ("how many wheels does {k} have // how many wheels {k} has", "how many wheels has {k}"),
        "{k} has {v}.",
        _WHEELS,
    ),
    lookup(
        "jobs",
        1.1,
        ("what does {k} do // what {k} does", "what is the [job|work] of {k}", "what is {k}"),
        "{k} {v}.",
        _JOBS,
    ),
    lookup(
        "instruments",
        0.8,
        ("how is {k} played", "what is {k} like", "!tell me about {k}", "can you play {k}"),
        "{v}",
        _INSTRUMENTS,
    ),
    lookup(
        "sports",
        0.9,
        (
            "what is needed for {k}",
            "what do I need for {k} // what I need for {k}",
            "what does one need for {k}",
            "!tell me about {k}",
        ),
        "{v}",
        _SPORTS,
    ),
    lookup(
        "tastes",
        0.9,
        (
            "how does {k} taste // how {k} tastes",
            "what does {k} taste like",
            "is {k} [sweet|sour|tasty]",
            "what is the taste of {k}",
        ),
        "{v}",
        _FOODS,
    ),
    lookup(
        "kinds",
        1.0,
        ("what kind of thing is {k}", "what sort of thing is {k} // what sort of thing {k} is"),
        "{k} is {v}.",
        _KINDS,
    ),
    lookup("yes or no", 1.6, ("{k}", "{k}"), "{v}", _YES_NO),
    lookup(
        "places", 0.8, ("where do [I|you|people] {k} // where I can {k}", "where can I {k}"), "{v}", _ROOMS
    ),
    fixed(
        "colours named",
        0.5,
        (
            "!name [some|three|a few] [colours|colors]",
            "what [colours|colors] [are there|do you know]",
            "which [colours|colors] do you know",
        ),
        ("Red, green, blue, and many more.",),
    ),
    fixed(
        "animals named",
        0.5,
        ("!name [some|three|a few] animals", "what animals do you know", "which animals are there"),
        ("Cat, dog, owl, and many more.",),
    ),
    fixed(
        "fruits named",
        0.4,
        ("!name [some|three|a few] fruits", "what fruits do you know", "which fruits are there"),
        ("Apple, pear, plum, and many more.",),
    ),
)
