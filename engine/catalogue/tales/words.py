"""The words the tales draw from: creatures, names, places, things and the weather of the four seasons.

Only lists; how they are drawn stands in `grammar`. Every list holds things that may stand in for one another in any
shape that asks for the list, so a new word must fit them all.
"""

from __future__ import annotations


def _list(text: str) -> tuple[str, ...]:
    return tuple(" ".join(entry.split()) for entry in text.split(","))


def _either(text: str) -> tuple[tuple[str, str], ...]:
    return tuple((entry, "") for entry in _list(text))


# (what they are, "f" or "m" where that is settled by the word)
CREATURES: dict[str, tuple[tuple[str, str], ...]] = {
    "small": _either("mouse, mole, shrew, vole, dormouse, hedgehog, squirrel"),
    "beast": _either("fox, badger, hare, otter, hedgehog, mole, rabbit, squirrel, mouse, beaver, weasel, goat, toad, cat"),
    "big": _either("bear, ox, bull, moose, wolf, donkey, boar, elk"),
    "thief": _either("fox, weasel, badger, wolf, marten, stoat, raccoon, wildcat"),
    "fierce": _either("wolf, bear, lynx, wildcat, boar"),
    "bird": _either("crow, owl, robin, wren, sparrow, jay, heron, magpie, starling, thrush, finch, raven, blackbird, rook"),
    "folk": _either(
        "baker, miller, weaver, potter, shepherd, tailor, carpenter, cobbler, clockmaker, beekeeper, gardener,"
        "lamplighter, blacksmith, innkeeper, farmer, tinker, piper, mason, candlemaker, woodcutter, fisher, saddler,"
        "glassblower, doctor, barber, cook, thatcher, basket maker, ropemaker, schoolteacher, painter, cheesemaker"
    ),
    "child": (
        ("girl", "f"), ("boy", "m"), ("goose girl", "f"), ("kitchen boy", "m"), ("shepherd girl", "f"),
        ("stable boy", "m"), ("miller's daughter", "f"), ("baker's son", "m"), ("ferryman's daughter", "f"),
        ("cobbler's son", "m"), ("farmer's daughter", "f"), ("sailor's son", "m"),
    ),
    "elder": (
        ("old woman", "f"), ("old man", "m"), ("grandmother", "f"), ("grandfather", "m"), ("widow", "f"),
        ("old sailor", "m"), ("old soldier", "m"), ("old aunt", "f"), ("old uncle", "m"),
    ),
    "sailor": _either("sailor, fisher, ferry keeper, boat builder, net mender, harbour master"),
    "noble": (
        ("king", "m"), ("queen", "f"), ("duke", "m"), ("duchess", "f"), ("mayor", ""), ("judge", ""), ("princess", "f"),
        ("prince", "m"), ("baron", "m"), ("countess", "f"),
    ),
}  # fmt: skip

ADJECTIVES: dict[str, tuple[str, ...]] = {
    "small": _list("small, tiny, little, very small, young, thin, shy, nervous, polite, quiet, quick"),
    "beast": _list(
        "small, young, old, thin, round, shy, proud, curious, patient, careful, cheerful, sleepy, quiet, stubborn,"
        "gentle, clever, hungry, polite, restless, grumpy, merry, lonely, neat, forgetful, solemn, plump, thoughtful,"
        "scruffy, dreamy, fussy"
    ),
    "thief": ("hungry",),
    "fierce": _list("huge, grim, shaggy, enormous, one-eyed, gruff, terrible"),
    "big": _list("huge, slow, heavy, shaggy, mighty, enormous, strong, drowsy, gruff"),
    "bird": _list("small, young, old, clever, ragged, bold, nosy, noisy, glossy, wise, vain, talkative, cheeky"),
    "folk": _list(
        "young, old, tall, stout, thin, kind, poor, honest, grumpy, cheerful, patient, proud, lonely, careful, clever,"
        "quiet, bald, absent-minded, hopeful, fussy, stubborn, modest, busy, sleepy, gentle, wiry, jolly"
    ),
    "child": _list("little, small, quiet, curious, freckled, barefoot, serious, lively, clever, shy, bold, skinny"),
    "elder": _list("kind, poor, lonely, cheerful, tiny, bent, wise, lively, sharp-eyed, half-deaf, stubborn, tough"),
    "sailor": _list("young, old, bearded, weathered, quiet, tough, jolly, lonely, patient, sunburnt, gruff"),
    "noble": _list("proud, young, old, bored, fussy, rich, sleepless, plump, vain, kind, nervous, forgetful"),
}  # fmt: skip

NAMES: dict[str, tuple[str, ...]] = {
    "human_f": _list(
        "Ada, Mina, Tilda, Rosa, Nell, Ivy, Hazel, Marta, Lotte, Greta, Olive, Dora, Edda, Bess, Clara, Tess, Petra,"
        "Maud, Inga, Alma, Lena, Pia, Zora, Yara, Noor, Amara, Leila, Anya, Selma, Agnes, Mabel, Ines, Odile, Thea"
    ),
    "human_m": _list(
        "Tom, Otto, Finn, Hugo, Jonas, Karl, Milo, Ned, Rolf, Sam, Tobias, Emil, Bruno, Casper, Ravi, Idris, Kofi,"
        "Omar, Luca, Nils, Arlo, Anton, Felix, Gus, Levi, Mikko, Oskar, Piet, Viktor, Yusuf, Amos, Basil, Enzo, Walter"
    ),
    "beast_f": _list(
        "Bramble, Clover, Pepper, Daisy, Plum, Willow, Nutmeg, Pearl, Tansy, Sorrel, Minnow, Juniper, Poppy, Tuppence,"
        "Marigold, Olga, Bettina, Saffron, Luna, Myrtle, Henrietta, Cinder, Velvet, Primrose"
    ),
    "beast_m": _list(
        "Rufus, Barley, Bristle, Grumble, Hob, Jasper, Moss, Pippin, Quill, Rowan, Thistle, Tuck, Burdock, Sprout,"
        "Button, Crumb, Acorn, Biscuit, Magnus, Fergus, Edgar, Pockets, Barnaby, Cobble"
    ),
}

WORDS: dict[str, tuple[str, ...]] = {
    "village": _list(
        "Thornby, Aldermere, Lower Wick, Pennow, Saltmarsh, Hay End, Little Ferry, Ashcombe, Stonebridge, Muddle,"
        "Larkhill, Oxley, Nettlefold, Gooseford, Upper Puddle, Fenwater, Applegate, Crowdale, Windle, Barley Green"
    ),
    "wood": _list(
        "the beech wood, the old forest, Crow Wood, the pine wood, the dark wood, Hollow Wood, the birch wood,"
        "the oak forest, the Whispering Wood, Badger Wood, the fir wood, the crooked forest"
    ),
    "river": _list("the river, the mill stream, the brook, the slow river, the green river, the cold stream"),
    "hill": _list(
        "Goose Hill, the bald hill, Windy Hill, the sheep hill, Beacon Hill, the round hill, Gallop Hill,"
        "Thunder Hill, the long ridge, Blueberry Hill"
    ),
    "field": _list(
        "the barley field, the long meadow, the clover field, the bean field, the rye field, the hay meadow"
    ),
    "tree": _list(
        "oak, beech, ash, elm, willow, birch, alder, pine, chestnut, linden, maple, walnut tree, poplar, yew"
    ),
    "fruit": _list("apple, pear, plum, cherry, quince, peach, apricot, fig, mulberry"),
    "flower": _list(
        "rose, poppy, daisy, foxglove, violet, lily, tulip, sunflower, bluebell, hollyhock, marigold, peony"
    ),
    # A treasure small and hard enough to fit into a pocket, a sock or a loaf.
    "thing": _list(
        "silver key, brass button, blue thimble, tin whistle, green glass bead, copper coin, bone comb, gold ring,"
        "silver needle case, pocket watch, little bell, pewter spoon, amber bead, lucky pebble, ivory whistle, brass compass,"
        "tiny looking glass, silver pin, wooden top, carved chessman, garnet brooch, jade button, clay marble"
    ),
    # A present one carries in the arms.
    "gift": _list(
        "striped scarf, copper kettle, wool blanket, painted drum, willow basket, feather pillow, blue teapot,"
        "walking stick, straw hat, pair of red boots, patchwork quilt, wooden horse, leather satchel, jar of plum jam,"
        "music box, tin lantern, sheepskin cap, cuckoo clock, milking stool, green umbrella"
    ),
    "food": _list(
        "honey cake, plum pie, loaf of rye bread, round cheese, apple tart, onion pie, ginger cake, pancake, seed cake,"
        "cherry pie, poppy roll, raisin bun, custard tart, oat cake, potato cake, blackberry pie"
    ),
    "soup": _list(
        "barley soup, onion soup, pea soup, leek soup, cabbage soup, bean stew, mushroom soup, pumpkin soup"
    ),
    "drink": _list(
        "hot milk, mint tea, apple cider, warm beer, berry juice, elderflower tea, cold buttermilk, hot cocoa"
    ),
    "crop": _list(
        "turnips, carrots, onions, cabbages, beans, leeks, pumpkins, radishes, potatoes, beets, parsnips"
    ),
    "berries": _list(
        "blackberries, raspberries, hazelnuts, acorns, chestnuts, rose hips, blueberries, crab apples"
    ),
    "colour": _list("red, blue, green, yellow, white, brown, grey, purple, orange, silver"),
    "tool": _list(
        "hammer, saw, spade, rake, ladder, axe, wheelbarrow, bucket, rope, broom, sickle, grindstone"
    ),
    "tune": _list(
        "a slow tune about rain, a wedding dance, a song about a goat, a lullaby, a marching song, a harvest song,"
        "a tune with no name, a sad song with a merry end, a song about the sea, a reel"
    ),
    "fiddle": _list("fiddle, flute, drum, harp, accordion, bagpipe, guitar, horn"),
    "farm": _list("goose, hen, sheep, donkey, cow, goat, turkey, pig, pony, duck"),
    "ship": _list(
        "the Grey Gull, the Patience, the Merry Widow, the Salt Cat, the Second Try, the Blue Herring, the Good Aunt,"
        "the Lucky Button"
    ),
    "room": _list("kitchen, cellar, attic, barn, pantry, parlour, stable, workshop, hall, garden shed"),
    "laugh": _list("laughed, chuckled, giggled, snorted, grinned, smiled"),
    "day": _list("Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday"),
    "few": _list("two, three, four, five, six, seven"),
    "many": _list("ten, eleven, twelve, twenty, thirty, forty, fifty, ninety"),
}

# season -> (months, scenes); a scene is a day's adjective and weather, then the same for its night.
SEASONS: dict[str, tuple[tuple[str, ...], tuple[tuple[str, str, str, str], ...]]] = {
    "spring": (
        ("March", "April", "May"),
        (
            ("wet", "a thin rain was falling on the new leaves", "wet", "rain ticked in the gutters"),
            (
                "windy",
                "the wind chased the clouds like sheep",
                "windy",
                "the wind ran round and round the chimney",
            ),
            (
                "bright",
                "the first bees were out and the mud had begun to dry",
                "clear",
                "a thin new moon hung in the sky",
            ),
            ("mild", "the air smelled of earth and blossom", "mild", "the frogs were singing in every ditch"),
            (
                "muddy",
                "the lanes were so deep in mud that carts stuck fast",
                "dripping",
                "every roof and twig was dripping",
            ),
            (
                "chilly",
                "there was still a little snow under the hedges",
                "chilly",
                "frost was creeping back over the grass",
            ),
        ),
    ),
    "summer": (
        ("June", "July", "August"),
        (
            ("hot", "the sun lay heavy on the roofs", "warm", "the stones were still warm from the sun"),
            ("dry", "the dust rose at every step", "still", "not a leaf moved and the crickets sang"),
            ("sunny", "the sky was as blue as a plate", "starry", "the stars hung low and bright"),
            (
                "sleepy",
                "even the flies were too warm to quarrel",
                "sultry",
                "far away the lightning blinked without a sound",
            ),
            (
                "thundery",
                "thunder grumbled behind the hills",
                "thundery",
                "thunder walked about behind the hills",
            ),
            ("golden", "the hay was down and the air was sweet", "moonlit", "the moon shone on the new hay"),
        ),
    ),
    "autumn": (
        ("September", "October", "November"),
        (
            (
                "foggy",
                "fog lay on the fields like milk",
                "foggy",
                "the fog was so thick that the dogs barked at it",
            ),
            ("windy", "the wind tugged at every door", "windy", "the wind howled in the keyhole"),
            ("rainy", "rain ran down every window", "rainy", "rain drummed on the roof"),
            (
                "golden",
                "the yellow leaves came down one by one",
                "clear",
                "the moon was round and orange like a pumpkin",
            ),
            (
                "grey",
                "the geese were flying south under a grey sky",
                "dark",
                "the geese were calling high up in the dark",
            ),
            (
                "cold",
                "the first frost had nipped the last beans",
                "cold",
                "the first frost glittered on the path",
            ),
        ),
    ),
    "winter": (
        ("December", "January", "February"),
        (
            ("snowy", "the snow lay up to the window sills", "snowy", "the snow fell without a sound"),
            (
                "frosty",
                "frost had drawn ferns on every window",
                "frosty",
                "the cold made the beams crack like nuts",
            ),
            (
                "icy",
                "the pond was frozen hard and the pump had a beard of ice",
                "icy",
                "icicles hung from the eaves like teeth",
            ),
            ("grey", "the sky was low and smelled of snow", "black", "there was no moon and no star"),
            (
                "bitter",
                "the wind was sharp enough to shave with",
                "bitter",
                "the wind came under the door and through the socks",
            ),
            (
                "white",
                "the whole world was white and very quiet",
                "white",
                "the snow shone blue under the moon",
            ),
        ),
    ),
}
