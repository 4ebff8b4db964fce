"""Tales of the coast: lights, nets, tides, bottles and one island that was not quite an island."""

from __future__ import annotations

from engine.catalogue.tales.grammar import Teller


def lighthouse_and_guest(t: Teller) -> str:
    """The lamp fails, and a great many small lights take its place."""
    h = t.who("elder", "sailor", "child", named=0.8)
    helper, light = t.pick(
        (
            ("the children of the village", "every one of them held up a lantern made from a turnip"),
            ("the old women of the village", "each had brought the candle she was saving for Christmas"),
            ("the fireflies from the marsh", "they sat down on the glass until it was green with light"),
            ("the cats of the harbour", "a hundred eyes shone in a row along the wall"),
            ("the people of the inn", "they carried out the stove, still burning, and two chairs besides"),
        )
    )
    return t.tell(
        """{h.a} kept the lighthouse [of {village}|on the last rock before the open sea]. {Night}, the lamp
        went out. And out in the dark [was {ship}, coming home|a ship's bell was ringing, much too near].
        ~{H} ran down the {many} steps and [beat on a pan|shouted till {h.his} voice broke]. "[Light|Bring
        light]! Anything that shines!" Then {helper} came along the shore, and {light}. ~On the ship the
        captain [rubbed his eyes|put down the glass]. "I know every light on this coast, and that is none of
        them," he said. "Steer to the left." ~In the morning the ship lay safe in the harbour. {H} filled
        the lamp with new oil, but the captain still asks for the other light.""",
        h=h,
        helper=helper,
        light=light,
    )


def message_in_a_bottle(t: Teller) -> str:
    """A bottle brings a question from far away; the answer goes back the only way it can."""
    h = t.who("child", "elder", named=0.9)
    question, answer = t.pick(
        (
            ("What is snow like", "It is like flour that bites, and everybody is nicer in it for a day"),
            ("Is anybody there", "Yes. I have brown hair and a goat. And you"),
            (
                "How do you mend a broken bowl",
                "With patience and a little glue, or else you make two small ones",
            ),
            (
                "My island is too quiet. What do you do in the evening",
                "We sing, and then the neighbours knock on the wall",
            ),
            (
                "Does the sun come up on your side too",
                "Yes, but it comes to you first, so please do not keep it too long",
            ),
            (
                "What is the best thing to eat where you live",
                "{food_a}. I would send you one, but it does not fit the bottle",
            ),
        )
    )
    return t.tell(
        """{Morning}, {h.a} found a [green|blue|brown] bottle on the beach. Inside was a piece of paper
        [rolled up small|tied with a thread], and on it stood, in round letters: {question}? ~"[Nobody is
        waiting for an answer|You cannot post a letter to the sea]," said the people of {village}. ~"[A
        question is a question|It would be rude not to answer]," said {h}, and sat down with a pen. {H}
        wrote: {answer}. Then {h.he} threw the bottle [from the end of the pier|as far as {h.he} could], and
        the tide took it. ~A year passed. {H} had almost stopped looking, when one morning there it lay
        again, [with more scratches|with a little seaweed on it]. The paper inside said: [Thank you. I have
        thought of a better question|I knew it! My brother said that nobody would write back].""",
        h=h,
        question=question,
        answer=answer,
        food_a="A hot {food}",
    )


def net_with_a_hole(t: Teller) -> str:
    """A fisher does not mend one hole in the net, and is laughed at for some years."""
    h = t.who("sailor", "elder", named=0.8)
    return t.tell(
        """The net of {h.a} had a hole in it, [no bigger than a plum|the size of a child's hand]. "[Mend
        it|You should mend that hole]," said the others in the harbour of {village}. "The small fish swim
        out." ~{H} only nodded, and came home with less than they did, {season} after {season}, and {h.his}
        soup was [thin|mostly water]. ~Then came a year when the nets of the others [came up empty|brought
        up boots and seaweed]. Only round the old rock where {h} fished, the water was [silver|boiling with
        them]. ~"How is it that you have fish?" they asked. ~"They are old friends," said {h}. "I let them
        go when they were small, and they [grew up|told their children]. There are enough for all of us. But
        bring your [scissors|knives] along." ~"What for?" ~"For the hole," said {h}.""",
        h=h,
    )


def island_that_moved(t: Teller) -> str:
    """Somebody settles on an island that turns out to be asleep."""
    h = t.who("sailor", "child", "beast", named=0.8)
    beast = t.pick(("turtle", "whale", "sea cow", "giant crab"))
    return t.tell(
        """[When {ship} went down|After {ship} had sunk in a storm], {h.a} swam to a small round island with
        [one palm tree|a little grass] on it, and [a good many snails|a great deal of moss]. "[It will do|It
        is better than the sea]," said {h}, and built a hut. Every day {h.he} scrubbed off the sharp shells,
        and every evening {h.he} sang {tune}. ~ Then one morning the island sneezed. ~"Bless you," said {h},
        [before {h.he} had thought about it|and held on to the hut]. ~A great grey head came up out of the
        water. It was a {beast}, as old as the hills. "[Nobody has scratched me there for a hundred years|I
        have not felt so clean since I was young]," it said. "Where do you want to go?" ~"Home," said {h},
        "if it is not out of your way." ~So the people of {village} saw an island [come up the bay|drop
        anchor]. {H} stepped ashore, and the island winked, and sank.""",
        h=h,
        beast=beast,
    )


def shell_in_the_hills(t: Teller) -> str:
    """A child who has never seen the sea gets a shell with the sea in it, and lends it out."""
    h, s, old = t.who("child", named=1.0), t.who("sailor", named=0.4), t.who("elder", named=0.0)
    return t.tell(
        """High up [on {hill}|in the hills], where nobody had ever seen the sea, lived {h.a}. {When}, {s.a}
        came through and [paid for a bowl of {soup} with|gave {h.him}, for a night in the hay,] a pink
        shell. "Hold it to your ear," said {s}. ~{H} listened, and it went hush, and hush again. ~{old.one}
        came to hear it too, and [listened for a very long time|shut {old.his} eyes]. "I was born beside
        that," {old.he} said. "[I had forgotten what it says|I thought that I should never hear it again]."
        ~"What does it say?" asked {h}. ~"[The same as always|It is hard to put into words]. That it will be
        there tomorrow." ~{H} looked at the shell, and at the window. "[You may keep it for the winter,"
        {h.he} said. "I shall fetch it in spring.|You had better have it on weekdays," {h.he} said. "I only
        need it on Sundays.]" """,
        h=h,
        s=s,
        old=old,
    )


def sand_castle(t: Teller) -> str:
    """The tide takes a castle every day, and somebody begins to look forward to it."""
    h, f = t.who("child", "beast", adjective="stubborn", named=0.9), t.who("bird", "beast")
    t.in_season("summer")
    return t.tell(
        """{h.a} built a castle of sand on the beach of {village}, with {few} towers [and a gate of
        shells|and a moat]. Then the tide came in and [licked it flat|took it away in three bites]. {H}
        tried [stones|driftwood], and then a sign. The sea could not read. ~"[Why do you go on|Does it never
        make you tired]?" asked {f.a}, who had watched for a week. ~"It has to stop some time," said {h}.
        ~"[It never has|I would not count on it]," said {f}. "But look what it leaves you." ~{H} looked.
        Where the castle had been, the sand was [as smooth as a new page|as smooth as a sheet]. Not one old
        mistake was left on it. ~The next day {h} built a castle such as nobody had ever thought of, and
        when the tide came, {h.he} [took off {h.his} hat to it|bowed]. "[Your turn|Clean it well]," said
        {h}. "Tomorrow I want to try a dragon." """,
        h=h,
        f=f,
    )
