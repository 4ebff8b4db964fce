"""Tales of villages and neighbours: gates, bells, clocks, pots and quarrels."""

from __future__ import annotations

from engine.catalogue.tales.grammar import Teller


def stubborn_neighbours(t: Teller) -> str:
    """Two neighbours quarrel over what stands between them, until the weather settles it."""
    h, f = t.who("folk", "beast", named=0.9), t.who("folk", "beast", named=0.9)
    return t.tell(
        """[{h.a} and {f.a} lived side by side, and between them stood a {fruit} tree|Between the gardens of
        {h.a} and {f.a} stood a {fruit} tree]. "[The trunk is on my side|I water it]," said {h}. "[But it
        steals the light from my house|But it leans to me]," said {f}. [So neither said good morning to the
        other for {few} years|They built a wall, and the two halves of it did not meet|They drew a line on
        the ground with flour, and the hens ate it], and [every year the fruit rotted in the grass|the birds
        ate the fruit, and thought them both very kind]. ~Then one {season} night a storm laid the tree
        flat, across both front doors. ~"Kindly move your tree," said {h}. ~"[No, no, it is yours|It is all
        yours now]," said {f}. ~ [Somebody snorted|They glared, and then both began to laugh]. ~They sawed
        it up together, and it made one good table. They [still do not agree about anything|quarrel there
        every evening], but now they do it over {drink}.""",
        h=h,
        f=f,
    )


def bell_would_not_ring(t: Teller) -> str:
    """The village bell falls silent for a reason that is kinder than the silence is awkward."""
    h = t.who("child", "small")
    cause, cure = t.pick(
        (
            (
                "a swallow had built her nest in the bell, and five small beaks looked out",
                "So that {season} the people of {village} banged on pans instead, and on the day the young ones flew, the bell"
                " rang from noon to night",
            ),
            (
                "the bell had no tongue any more: it had dropped into the hay, and a hen was trying to hatch it",
                "They gave the hen a proper egg, and hung the tongue back in its place, and it was still warm",
            ),
            (
                "somebody had wrapped the tongue of the bell in a thick wool sock, and by the pattern it was the baker's",
                "It turned out that the baker, who worked all night, had only wanted to sleep one morning. So now the bell is"
                " rung an hour later, and the bread is better",
            ),
            (
                "a bat was hanging from the tongue of the bell, fast asleep with both ears folded",
                "They moved the bat to the attic of the mayor, who never noticed, and the bell rang that same evening",
            ),
            (
                "the bees had moved in, and the whole bell was heavy with honey",
                "The beekeeper carried the bees down in a hat. All winter the village had honey on its bread, and the bell has"
                " sounded a little sweet ever since",
            ),
        )
    )
    return t.tell(
        """{Morning}, the bell of {village} would not ring. The ringer pulled the rope until his feet left
        the floor, but [there was only a soft bump|nothing happened]. [Nobody knew when to have lunch|The
        school began at noon and ended at five past|The cows were milked twice, to be safe]. ~"It is
        [rusty|old]," said the blacksmith. "It is [tired|insulted]," said the teacher. ~[While they
        argued|In the meantime], {h.a} climbed the {many} steps, [because nobody else had thought of it|one
        after the other], and looked. {Cause}. ~"[It is not broken|There is nothing wrong with it]!" {h}
        called down. "[Come and see, but come quietly|Only nobody had looked]!" ~{cure}.""",
        h=h,
        cause=cause,
        cure=cure,
    )


def squeaky_gate(t: Teller) -> str:
    """A noise that everybody wants mended turns out to be the best watchman in the place."""
    h, thief = t.who("folk", "elder"), t.who("thief", named=0.0)
    return t.tell(
        """The gate of {h.a} squeaked [like a pig in a bucket|high and long, like a bad fiddle|so loud that
        milk turned sour]. "[Oil it|For pity's sake, oil that gate]!" said the neighbours. ~"Tomorrow," said
        {h}, [who was fond of that word|and yawned]. ~{Night}, a hungry {thief.noun} came [over {hill}|out
        of {wood}], thin and quick. [All the well-oiled gates swung open without a sound|The other gates
        were beautifully oiled]. The {thief.noun} took the {crop} from the first garden and a {food} from
        the second. ~Last of all {thief.he} pushed at the gate of {h}. ~Squeeeak! ~[Every dog in the street
        woke|{H} fell out of bed|Windows flew open]. The {thief.noun} dropped [everything|the sack] and ran.
        ~The next day the neighbours came to fetch their things. "[About that gate|As for the gate]," they
        said. "Please do not oil it." ~"[I will think about it tomorrow|And I was just about to]," said {h}.""",
        h=h,
        thief=thief,
    )


def late_clock(t: Teller) -> str:
    """The village clock is always ten minutes slow; then an expert puts it right."""
    h, e = t.who("folk"), t.who("noble")
    return t.tell(
        """The clock of {village} was ten minutes slow, [and it had always been so|and nobody minded]. [If
        you overslept, you were on time|The rolls were never burnt|Lovers always had ten minutes more].
        ~Then {e.a} came through, {when}, and looked at {e.his} gold watch. "[This is a scandal|Shocking]!"
        said {e}, and paid {h.a} to set it right. ~From that hour all went wrong. [The milk boiled over and
        people shouted in the street|People ran, which nobody had ever seen|The mayor missed his own
        speech|A wedding began without the bride]. ~"[Where are our ten minutes?|We used to have time,]"
        said an old man [sadly|and shook his head]. ~[That night|On the third night] {h} climbed the tower
        in socks and [gave the clock back its ten minutes|pushed the big hand back, very gently, to where it
        belonged]. ~In the morning [the rolls were golden|the whole village was on time]. {e.The} looked at
        the gold watch, [frowned, and shook it|and thought it must be fast].""",
        h=h,
        e=e,
    )


def quilt_of_patches(t: Teller) -> str:
    """One cold person is warmed by a scrap from every house."""
    t.in_season("autumn", "winter")
    h, f = t.who("elder"), t.who("child")
    return t.tell(
        """{When}, {f.a} saw that {h.a} [slept under three old newspapers|had sold {h.his} blanket to buy
        coal|was cold and too proud to say so]. {F} had only a needle and a long thread. So {f.he} went from
        door to door in {village} and asked for scraps. ~The baker gave a piece of [a flour sack|an apron],
        the tailor some of his [Sunday trousers|velvet], the [fisherman a bit of sail|bride the end of her
        veil], and the mayor a corner of the flag, when nobody was looking. ~{F} sewed for {few} evenings.
        The stitches were [crooked|as big as teeth], but they held. ~{H} [touched the patches one after the
        other|did not speak for a while]. "[Why, the whole village is here|The baker, and the tailor, and
        the flag]," {h.he} said. ~"[Yes|All of them]," said {f}. "[You will have to sleep under
        everybody|They say it is warmer that way]." ~It was the warmest quilt in {village}.""",
        h=h,
        f=f,
    )


def small_pot(t: Teller) -> str:
    """One guest after another comes in from the storm, and the pot was only meant for one."""
    h = t.who("elder", "small")
    a, b, c = t.who("beast", named=0.0), t.who("beast", named=0.0), t.who("big", named=0.0)
    return t.tell(
        """{h.a} had a very small house and a very small pot of {soup}. [One stormy night|In the middle of a
        storm] there was a knock. It was {a.one}, wet to the bones, with [one onion|one carrot|half a
        turnip]. Into the pot it went. ~Another knock. It was {b.one}, with [a pinch of salt|three mushrooms
        in a hat]. "Is there room?" ~"[We will make some|If you breathe in]," said {h}. ~Then the whole
        house shook. It was {c.one}. "I have brought nothing," said {c} in a sad voice, "and I am too
        large." ~[Just then the wind tore the door off|A plank flew out of the wall, and the rain came in].
        ~"Would you mind sitting right there?" asked {h}. ~{c.The} sat down in front of the hole, and at
        once it was [warm and quiet|as snug as a nest]. ~"[You have brought the best thing of all|You see,
        we were short of a wall]," said {h}, and gave {c.him} the first spoon.""",
        h=h,
        a=a,
        b=b,
        c=c,
    )


def fair_share(t: Teller) -> str:
    """Two who cannot share ask a clever third, and the third is helpful indeed."""
    h, f, j = t.who("beast", "bird"), t.who("beast", "bird"), t.who("beast", adjective="clever")
    return t.tell(
        """[{h.a} and {f.a} found a {food} on the road|{When}, {h.a} and {f.a} found a {food} that had
        fallen off a cart]. "[I saw it first|It is mine]," said {h}. "[I smelled it first|I touched it
        first]," said {f}. They broke it in two, and one half was bigger. ~"That will never do," said {j.a},
        who was passing [by chance|with an empty stomach]. {J} bit a corner off the bigger half. Now the
        other was bigger, so {j.he} bit that one too. ~Bite by bite the two halves grew more alike, and
        smaller. [At last|In the end] there were two crumbs, as like as two peas. ~"[Perfect|That is what I
        call fair]," said {j}. "And these are for my work." ~{H} looked at {f}. "Next time you may have the
        bigger half," said {h}. ~"Next time we eat first and quarrel after," said {f}.""",
        h=h,
        f=f,
        j=j,
    )


def forgotten_birthday(t: Teller) -> str:
    """Everyone seems to have forgotten the day, and everyone behaves oddly."""
    h, a, b = t.who("beast", "child", named=0.9), t.who("beast", "folk"), t.who("folk", "bird")
    return t.tell(
        """{Morning}, {h.a} woke up early, because it was {h.his} birthday. ~First {a.a} went by. "Good
        morning!" said {h}. "[Do you know what day it is|Is it not a special day]?" ~"{day}," said {a},
        [hiding something|and hurried on, with flour on {a.his} nose]. ~Then {b.a} went by with a ladder.
        "[Lovely weather|Cannot stop]," said {b}. ~So {h} went for a walk, to be sad in peace. When {h.he}
        came home, there was a light in every window. Over the door hung [paper lanterns|a sign with one
        letter upside down], on the table stood a {food} with a candle, and behind the table stood
        everybody. ~"You walk too slowly!" cried {a}. "We have been [holding our breath since four|blowing
        out that candle and lighting it again for an hour]!" """,
        h=h,
        a=a,
        b=b,
    )
