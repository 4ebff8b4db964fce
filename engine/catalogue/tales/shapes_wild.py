"""Tales of the woods and fields: storms, seeds, seasons and the creatures that live through them."""

from __future__ import annotations

from engine.catalogue.tales.grammar import Teller


def helped_animal_returns(t: Teller) -> str:
    """A creature freed from a small trouble comes back to end a great one."""
    h = t.who("folk", "child", named=0.8)
    animal, trouble, danger, rescue = t.pick(
        (
            (
                "mouse",
                "a mouse had fallen into the milk and could not get out",
                "a thief locked {h} in the cellar and tied {h.his} hands with rope",
                "There was a sound of very small teeth, and the rope fell off",
            ),
            (
                "crow",
                "a crow had caught one foot in the fence",
                "{h} lost the path in the fog, at the edge of the cliff",
                "Something black flapped in {h.his} face and would not let {h.him} take one more step",
            ),
            (
                "goose",
                "a wild goose sat in the reeds with a thorn in its wing",
                "robbers came to the house, on tiptoe",
                "Then such a honking broke out on the roof that they ran without their shoes",
            ),
            (
                "bear",
                "a young bear had its head stuck in a honey jar",
                "a wolf stepped out in front of {h} and showed every tooth it had",
                "Then something very large stood up behind {h}, and the wolf remembered another appointment",
            ),
            (
                "mole",
                "a mole had come up in the middle of the hard road and could not dig down again",
                "the well ran dry, and nobody knew where to look for water",
                "In the morning a row of small heaps led across the garden, and the earth of the last one was wet",
            ),
            (
                "bee",
                "a bee was spinning round and round in the rain barrel",
                "{h} had to say which of two lilies was real and which was made of silk",
                "A bee flew in at the window, passed one by, and sat down in the other",
            ),
            (
                "otter",
                "an otter was tangled in an old net",
                "the bridge broke, and {h} fell into the river with {h.his} boots on",
                "Something sleek and strong pushed from below, all the way to the bank",
            ),
        )
    )
    return t.tell(
        """[{When}, {h.a} heard a small noise and went to look|{h.a} was on the way home, {when}, and
        stopped]: {trouble}. "[Hold still|Now, now|Do not bite me], this will not take long," said {h}, and
        set it free. The {animal} looked at {h.him} with one bright eye, and was gone. ~"[What good is that
        to you|That one will never thank you]," said the neighbours. ~"[I was going that way anyhow|I did
        not do it for thanks]," said {h}. ~[A year went by|Time passed]. Then one night {danger}. {rescue}.
        ~[When it was over|Afterwards], there sat a {animal}. ~"[I know you|It is you]," said {h}. ~The
        {animal} looked at {h.him} with one bright eye, just as before, and was gone.""",
        h=h,
        animal=animal,
        trouble=trouble,
        danger=danger,
        rescue=rescue,
    )


def storm_and_shelter(t: Teller) -> str:
    """Enemies share a dry place for one night, and something of it stays."""
    h, f = t.who("small", named=0.8), t.who("fierce", named=0.0)
    return t.tell(
        """[The storm came over {hill} faster than a horse|A storm broke over {wood}|{Night}, a storm came
        over {hill}|There was such a storm that the hens flew backward]. {h.a} squeezed into a hollow {tree}
        [and sat there, dripping|with a beating heart]. ~It was dark in there, and [somebody was
        breathing|the dark was breathing]. ~"Good evening," said a deep voice. It was {f.one}. Outside a
        branch came down with a crash, so {h} stayed. ~"[You are standing on my tail|Please do not eat me],"
        said {h}. ~"[I beg your pardon|I never eat in bad weather]," said the {f.noun}. ~All night they told
        stories, [so as not to hear the thunder|about other storms]. The {f.noun} turned out to be [afraid
        of lightning|a good listener|very warm]. ~In the morning the world was washed and shining. "Tomorrow
        we shall be enemies again, I suppose," said the {f.noun}. ~"Of course," said {h}. "[But it may rain
        again|Although it looks like rain on {day}]." """,
        h=h,
        f=f,
    )


def brave_small_one(t: Teller) -> str:
    """Only the smallest can get through the gap, and the smallest is afraid."""
    h, big = t.who("small", adjective="small", named=0.9), t.who("big", named=0.5)
    where, prize = t.pick(
        (
            (
                "the mill wheel had stuck, and the flour was all used up",
                "It is a chestnut, stuck behind the last tooth",
            ),
            ("the little owl had fallen down the chimney", "It is sitting in the ashes, as black as a boot"),
            (
                "the door of the barn had locked itself, with all the hay inside",
                "The key is on a nail over the trough",
            ),
            (
                "the drain was blocked, and the meadow was turning into a lake",
                "It is an old shoe, stuck in the bend",
            ),
            (
                "the church bell had to warn of the flood, but the tower was shut",
                "I have the rope, and I am pulling",
            ),
            (
                "the candle in the lighthouse had gone out, and the stairs had fallen in",
                "I have found the matches",
            ),
        )
    )
    return t.tell(
        """[The animals of {wood} were worried|There was trouble at {village}]: {where}. There was one
        crack, [no wider than two fingers|not much bigger than a plum]. ~Everybody turned and looked at
        {h.a}. ~"[Not me|Oh no]," said {h}. "[I do not even like the dark in my own pocket|I am afraid of
        spiders, and of the dark, and of you]." ~"Nobody is making you," said {big.a}. ~{H} swallowed. "If I
        talk all the time, will you answer?" ~"Every word," said {big}. ~So {h} went in. "[I am past the
        first corner|I am at the first beam]," came the thin voice. "There is a spider." "What is it doing?"
        "[It is more afraid than I am|It says good day]." And then, after a long while: "{prize}." ~"Were
        you not afraid?" asked {big} [afterwards|at the feast]. ~"[All the time|Every step]," said {h}
        [proudly|and took another cake].""",
        h=h,
        big=big,
        where=where,
        prize=prize,
    )


def echo_friend(t: Teller) -> str:
    """A lonely one makes friends with an echo, and hears one day an answer that is not an echo."""
    h, f = t.who("beast", "child", adjective="lonely"), t.who("beast", "child", named=0.8)
    return t.tell(
        """At the foot of {hill} lived {h.a}. {Morning}, {h.he} called "Hello!" and from the rocks a voice
        said, "Hello!" ~"Are you alone?" shouted {h}. "Alone," said the voice. "So am I!" "So am I," said
        the voice. ~They agreed about everything. [Only it never came to visit|But it never asked anything
        back]. "Say something of your own!" {h} shouted at last. ~"[Your own|Of your own]," said the voice,
        and then, from quite another side: "Who is shouting like that?" ~On the path stood {f.a} [with a
        sack|with a lantern]. "I have heard you for weeks, but I thought you were talking to a friend."
        ~"[So did I|I thought so too]," said {h}. "Do you also agree with everything I say?" ~"[No|I doubt
        it|Certainly not]," said {f}, and {h} was [very happy|happier than {h.he} had ever been].""",
        h=h,
        f=f,
    )


def seed_and_season(t: Teller) -> str:
    """A seed is planted, waited for, scolded and given up, and does as it likes."""
    h, f = t.who("child", "beast"), t.who("beast", "elder")
    promised, grown, use = t.pick(
        (
            (
                "a sunflower",
                "a pumpkin, which climbed over the fence and looked into the house",
                "They ate it until Christmas",
            ),
            ("a rose", "a bean, which went up past the roof", "From the top leaf one could see the sea"),
            ("a melon", "a willow, as thin as a whip", "Years later there was shade enough for two chairs"),
            ("a tulip", "an onion with a tall proud flower", "It made everyone cry, as fine flowers do"),
            (
                "a cherry tree",
                "a thistle as high as a door",
                "All the goldfinches of the county came to see it",
            ),
            ("a lily", "a cabbage as big as a cradle", "A small frog moved in and paid its rent in songs"),
        )
    )
    return t.tell(
        """In spring {h.a} [bought a seed at the market|traded a {thing} for a seed]. "That will be
        {promised}, [on my honour|mark my words]," said the man. {H} planted it by the door and sat down to
        wait. ~Nothing came. {H} [dug it up to see how it was getting on, and put it back|sang to it|read it
        the newspaper]. ~"[Leave it in peace|You must forget about it]," said {f.a} over the fence. "[A
        watched seed stays in bed|Nobody gets up while being stared at]." ~So {h} [turned {h.his} back and
        whistled|went and painted the fence]. One morning there was a green nose in the earth, and by the
        end of the summer it was {grown}. ~"That is not {promised}," said {f}. ~"No," said {h}, and walked
        all round it. "[But it is mine|But it tried so hard|I never liked the other sort much]." ~{use}.""",
        h=h,
        f=f,
        promised=promised,
        grown=grown,
        use=use,
    )
