"""Tales of the road: maps, signs, gates, bridges, trades and races."""

from __future__ import annotations

from engine.catalogue.tales.grammar import Teller


def wrong_map(t: Teller) -> str:
    """A map has an error in it, and the error is the best thing on the map."""
    h, m = t.who("folk", "beast"), t.who("elder", "folk")
    error, truth = t.pick(
        (
            (
                "a bridge over {river}",
                "There was no bridge. There was a ferry, and the ferry keeper had {laugher}",
            ),
            (
                "an inn called the Silver Spoon",
                "There was no inn, only a meadow full of strawberries and nobody to eat them",
            ),
            (
                "a straight road to {village}",
                "There was no road at all, but a valley so green that even the sheep whispered",
            ),
            (
                "a small lake",
                "It was no lake. It was a blue field of flax in flower, and one could walk across it with dry feet",
            ),
            (
                "a castle with three towers",
                "It was only three poplars, and under them stood a bench, and on the bench sat an old friend",
            ),
        )
    )
    return t.tell(
        """{h.a} bought a map from {m.a}, [because it was cheap|and paid for it with a {food}], and set out
        {when}. The map showed {error}. ~{H} walked [till noon|for {few} hours|over {hill} and down again]
        and came to the place. {truth}. ~"This map is wrong," said {h}, and sat down, because {h.his} feet
        hurt. {h.He} stayed an hour, and then another, [and in the end it was evening|and forgot where
        {h.he} had wanted to go]. ~On the way home {h.he} stopped at the shop of {m}. ~"There is a mistake
        in your map," said {h}. ~"[Oh dear|I am so sorry]," said {m}. "I shall put it right at once." ~"[Do
        not touch it|Leave it]!" cried {h}. "[I want two more just like it|I came to ask if you have made
        any others]." """,
        h=h,
        m=m,
        error=error,
        truth=truth,
        laugher="[a new joke|a fiddle|fresh bread and no hurry]",
    )


def turned_signpost(t: Teller) -> str:
    """The wind turns a signpost, and two travellers arrive at one another's supper."""
    h, a, b = t.who("beast", "child"), t.who("folk", named=0.9), t.who("folk", named=0.9)
    return t.tell(
        """In the night the wind turned the signpost at the crossroads. {Morning}, {a.a} came by on the way
        to a wedding in {village}, and then {b.a}, who was going to buy a cow in {village_b}. ~So {a} walked
        into a cow shed with a bunch of flowers and a speech, and {b} walked into a room full of music and
        asked the price of the [bride|largest lady]. But {a} [bought a calf because it liked the flowers|was
        given {soup} and stayed till dark], and {b}, who had not danced for {many} years, danced until
        {b.his} shoes gave up. ~In the evening they met at the crossroads. {h.a} was just [setting the sign
        straight|pushing the sign back into its place]. ~"Stop!" they both cried. "[Give it another
        turn|Turn it once more]. Tomorrow we want to see where it sends us." """,
        h=h,
        a=a,
        b=b,
    )


def riddle_gate(t: Teller) -> str:
    """A gate opens only to the right answer, and a fair keeper gets a riddle back."""
    h, k = t.who("child", "beast"), t.who("elder", "bird", "big")
    riddle, answer, thought = t.pick(
        (
            ("What has teeth and never bites", "A comb", "saw the keeper's untidy hair"),
            ("What runs all day and never leaves its bed", "A river", "heard the water under the bridge"),
            (
                "What gets bigger the more you take away from it",
                "A hole",
                "looked at the holes in {h.his} socks",
            ),
            ("What has one foot and stands in the wood with a hat on", "A mushroom", "nearly stepped on one"),
            ("What goes up the chimney and never comes down", "Smoke", "saw the grey ribbon over the roofs"),
            ("What has a neck and no head", "A bottle", "grew thirsty"),
            ("What comes in at the window without breaking the glass", "Sunlight", "felt warm on one side"),
            (
                "What can you keep only after you have given it",
                "A promise",
                "thought of what {h.he} had told {h.his} mother",
            ),
            ("What flies without wings and cries without eyes", "A cloud", "felt a drop on {h.his} nose"),
            (
                "What follows you all day and leaves you in the dark",
                "A shadow",
                "saw it sitting there, just as puzzled",
            ),
            ("What must be broken before it is of any use", "An egg", "heard a hen boasting behind the wall"),
            ("What has hands and cannot clap", "A clock", "heard the tower strike three"),
        )
    )
    return t.tell(
        """[Between {wood} and {village} there was a gate|On the road over {hill} stood a gate], and beside
        it sat {k.a}. {When}, {h.a} came along [with a basket for {h.his} aunt|in a great hurry]. ~"Nobody
        goes through without an answer," said {k}. "{riddle}?" ~{H} sat down on a stone. [Then|After a
        while] {h.he} {thought}, and jumped up. "{answer}!" ~"[Right|That is it]," said {k}, [a little
        sadly|and got out the key]. ~"Now I have one for you," said {h}. "What has a lock and a keeper, and
        no fence on either side?" ~{K} looked left, and looked right, where the sheep were walking through.
        ~"[This gate|It is this gate]," said {k}. ~"Right," said {h}. "[You may pass|You may come along]." """,
        h=h,
        k=k,
        riddle=riddle,
        answer=answer,
        thought=thought,
    )


def trade_chain(t: Teller) -> str:
    """One thing is traded for another until somebody has what was wanted at the start."""
    h = t.who("child", "beast", "folk")
    a, b, c = t.who("folk", named=0.0), t.who("folk", named=0.0), t.who("elder", named=0.0)
    return t.tell(
        """{h.a} wanted a {gift}, but had only a {thing}. {When}, {h.he} went to market with it. ~{a.one}
        had long wished for just such a {thing}, and gave a {tool} for it. {b.one} had broken {b.his} own
        {tool} that very morning, and gave a {farm}. [The {farm} had opinions and had to be pulled|The
        {farm} was the better half of the bargain, and knew it]. ~At the end of the lane sat {c.one}, who
        [looked at the {farm} for a long time|had nobody to talk to]. "I had one like that once," said {c}.
        "Would you take this old {gift} for it?" ~{H} [could have sung|said yes before the sentence was
        over]. All the way home {h.he} carried the {gift}, going over the sums in {h.his} head. "[Everybody
        got what they wanted|All four of us are richer]," {h.he} said to the {season} wind. "[So who lost?|I
        must have made a mistake somewhere.]" """,
        h=h,
        a=a,
        b=b,
        c=c,
    )


def fare_for_the_ferry(t: Teller) -> str:
    """A traveller without a coin pays the ferry with something lighter, and it is worth more later."""
    h, f = t.who("beast", "child", "folk"), t.who("elder", named=0.7)
    fare, later = t.pick(
        (
            (
                "a tune, whistled from one bank to the other",
                "one foggy night the ferry was lost in midstream, and {f} whistled that tune, and from the bank somebody"
                " whistled it back until the boat touched land",
            ),
            (
                "a joke about a bishop and a pig",
                "the king came down to the ferry in a terrible temper, and {f} told him the joke, and the king laughed so"
                " much that he forgot which war he was going to",
            ),
            (
                "a good knot, which {h} showed {f.him} twice",
                "the flood tore at every boat on the river, and in the morning only one was still there, hanging by a knot",
            ),
            (
                "a recipe for dumplings",
                "{f} made them on a Sunday, and people began to cross the river for the dumplings alone",
            ),
            (
                "a new word, which was lollop",
                "{f} used it every day, on frogs and waves and aldermen, and never again was the crossing dull",
            ),
        )
    )
    return t.tell(
        """"The fare is two pennies," said {f.a}, who kept the ferry on {river}. ~"[I have no pennies|My
        pockets are empty]," said {h.a}. ~ {Weather}, and nobody else was waiting. "Get in, then. [But it
        must be worth two pennies|Let us see]." ~So {h} paid with {fare}. {F} [rowed a little slower, to get
        it all|did not say whether it was enough]. On the other side {h} waved and was gone. ~"You will
        never be rich," said {f.his} neighbour. ~But before the year was out, {later}. ~"[Two pennies|A good
        fare]," said {f} to {f.himself}. "[I should have given change|I believe I owe somebody change]." """,
        h=h,
        f=f,
        fare=fare,
        later=later,
    )


def narrow_bridge(t: Teller) -> str:
    """Two carts meet on a bridge too narrow for both, and neither will go back."""
    h, f, c = t.who("folk", named=0.9), t.who("folk", named=0.9), t.who("child")
    return t.tell(
        """{When}, two carts met in the middle of the narrow bridge. On one sat {h.a} with a load of {crop},
        on the other {f.a} with a load of [hay|chairs|pots]. ~"[Back up|Make way]," said {h}. ~"[You back
        up|Certainly not]," said {f}. "My horse cannot walk backward." ~They sat. {Weather}. ~At last {c.a}
        came along on foot. "Where are you taking those {crop}?" ~"To {village}," said {h}. ~"To
        {village_b}, if somebody would move," said {f}. ~"Then change loads," said {c}, "and turn round, and
        each of you take the other's." ~So they climbed down and changed loads, not looking at anyone. ~"You
        might have thought of it," {h} said to the horse. The horse [went on chewing|sneezed].""",
        h=h,
        f=f,
        c=c,
    )


def race_to_the_tree(t: Teller) -> str:
    """Two fast ones race, a slow one comes along, and the winner is whoever knew why they ran."""
    h, f, s = (
        t.who("beast", adjective="proud", named=0.8),
        t.who("beast", adjective="quick", named=0.8),
        t.who("small"),
    )
    hindrance, turn = t.pick(
        (
            (
                "{s.a}, who had rolled on {s.his} back into a ditch and could not get out",
                "{s} knew a way under the hedge",
            ),
            (
                "{s.a} with a sack far too big for {s.him}",
                "in the sack was a kite, and the wind was just right",
            ),
            (
                "{s.a}, crying because {s.he} could not find {s.his} mother",
                "the mother was a hare, or as good as one, and fast",
            ),
            (
                "{s.a}, who only wanted to know the time",
                "{s} was the judge, and the race could not end without {s.him}",
            ),
        )
    )
    return t.tell(
        """"I am faster than you," said {h.a} to {f.a}, and so it began. The first to touch the old {tree}
        on {hill} should have the {food}. ~Off they went, {when}, side by side. Then in the middle of the
        way sat {hindrance}. ~{F} jumped over and ran on. {H} jumped too, went on ten steps, [slowed
        down|looked back], said a bad word, and turned round to help. ~But {turn}. And so {h} came to the
        {tree} with {s} [on {h.his} back|holding on behind], just [one nose ahead|a moment before {f}].
        ~"You had help!" cried {f}. ~"[So could you have had|It was sitting right in front of you]," said
        {h}, and cut the {food} into three.""",
        h=h,
        f=f,
        s=s,
        hindrance=hindrance,
        turn=turn,
    )
