"""Very short tales: a hiccup, a queue, a yawn, a lost word and other small matters."""

from __future__ import annotations

from engine.catalogue.tales.grammar import Teller


def royal_hiccups(t: Teller) -> str:
    """A great person has hiccups; the cure is not among the remedies of the learned."""
    h, c = t.who("noble"), t.who("child", "small")
    shock = t.pick(
        (
            "Your hat is on the dog",
            "Your trousers are on backward",
            "I am the one who ate your breakfast",
            "There is a wasp on your nose, I think",
            "We have sold your horse",
        )
    )
    return t.tell(
        """{When}, {h.a} got the hiccups. [They shook the windows|They were heard as far as {village}]. One doctor
        prescribed {drink}, drunk upside down. Another [rang a bell|hid behind the curtain and shouted]. A third wrote a
        long book about it. Hic. ~"[I shall never sleep again|I shall hic for ever]," said {h}. ~Then {c.a}, who had come to
        [sweep the stairs|bring the eggs], said politely: "{shock}." ~"What!" cried {h}, and [jumped up|turned pale].
        ~It was quiet. [Everybody waited|They counted to {many}]. Nothing came. ~"[It is not true, by the way|I made that
        up]," said {c}. "[But you are welcome|That will be two pennies]." """,
        h=h,
        c=c,
        shock=shock,
    )


def queue_for_nothing(t: Teller) -> str:
    """One looks up, another stands behind, and soon there is a queue."""
    h, f = t.who("beast", "child"), t.who("folk")
    reason = t.pick(
        (
            "I had a nosebleed",
            "I was trying not to sneeze",
            "I was waiting for my brother, but he has gone home",
            "I thought that you all were waiting for something",
            "My shoe was untied, and then I could not get out",
        )
    )
    return t.tell(
        """{When}, {h.a} stood still in the middle of the market of {village} and looked up. {f.a} saw it and stood behind
        {h.him}, [to be on the safe side|since there must be a reason]. A widow with a basket stood behind {f}, and then came
        a [whole family|policeman]. "[What is it|What are they selling]?" asked the last one. "[Nobody knows|Cheese, I
        believe]," said the one in front, "[but it is nearly gone|but there is only a little left]." Soon the queue went
        [twice round the church|over the bridge]. ~At noon {h} turned round, and was surprised. ~"[Well|And]?" said {f}. "What
        is it?" ~"{reason}," said {h}, and went home. ~The others [stayed a little longer|waited till evening], because they
        had such good places. """,
        h=h,
        f=f,
        reason=reason,
    )


def travelling_yawn(t: Teller) -> str:
    """A yawn goes from mouth to mouth through the whole village and comes home tired."""
    h, a, b = t.who("small", "child"), t.who("folk"), t.who("big", named=0.0)
    return t.tell(
        """{Evening}, {h.a} yawned. {a.A} saw it through the window and yawned too, [with both hands over {a.his} mouth|like a
        barn door]. Across the street somebody caught it [from {a.him}|at once], and dropped a plate. The yawn went up the
        lane and down the lane. It went through the inn, where [three men were telling lies|the fiddle stopped], and out at
        the back, where {b.one} got it and passed it on to the hens. ~The night watchman met it at the gate. "[Halt|Who goes
        there]!" he said, but it came out as aaah. ~[Then all the lamps went out|One lamp after another went out], and
        {village} was asleep, [an hour early|even the clock]. ~Only {h} was awake now. "[Is nobody up|Where did everybody
        go]?" {h.he} asked. "[And I was just going to tell a story|I am not tired at all]." """,
        h=h,
        a=a,
        b=b,
    )


def lost_word(t: Teller) -> str:
    """Somebody loses a word, and everyone offers theirs."""
    h, f = t.who("elder"), t.who("child", "folk")
    word, clue, found = t.pick(
        (
            ("spoon", "It is round at one end", "by then the soup was cold"),
            ("rain", "It comes down, and one is sorry about the hay", "just then a drop fell on the table"),
            ("friend", "One has it, and one is it", "because {f} was sitting there, it was easy"),
            ("thimble", "It is a hat for somebody very small", "the needle reminded {h.him}"),
            ("home", "It is where the kettle is", "it was written on the mat"),
            ("tomorrow", "It is always coming, and nobody has seen it", "it came by itself, in the morning"),
        )
    )
    return t.tell(
        """{h.a} had lost a word. "[I had it at breakfast|It was here a minute ago]," {h.he} said. "I wanted to say it, and it
        was gone." ~"What kind of word?" asked {f.a}. "[Is it big|Can one eat it]?" ~"[Not so big|Not really]. {clue}." ~"[A
        {tool}|A {fiddle}|A {farm}]?" said {f}. "[A pudding|A bishop|An umbrella]?" They looked [in the newspaper|under the
        table], where words sometimes fall. The neighbours [came and offered theirs|brought words in from the street], but
        none of them fitted. ~Then {h.he} had it: {found}. "{Word}!" cried {h}. ~"[Good|At last]," said {f}. "And what did you
        want to say about it?" ~{H} opened {h.his} mouth. "[That is gone now|I had it at breakfast]," {h.he} said. """,
        h=h,
        f=f,
        word=word,
        clue=clue,
        found=found,
    )


def salt_in_the_soup(t: Teller) -> str:
    """Too many kind hands season one pot."""
    h, a, b = t.who("folk", "elder", "beast"), t.who("beast", "child"), t.who("elder", "bird")
    return t.tell(
        """{h.a} made {soup} for the {season} feast and forgot the salt. {a.a} tasted it, [pulled a
        face|shook {a.his} head], and to spare {h.him} the shame put in a spoonful, [when nobody was
        looking|in secret]. Then {b.a} came through the kitchen, tasted it in a hurry [with a cold in the
        nose|with no tongue to speak of], and kindly did the same. Then {h} remembered. ~At the table [it
        grew very quiet|nobody spoke]. "[How is it|Do you like it]?" asked {h}. ~"[Remarkable|I have never
        had one like it]," said {a}, with tears in {a.his} eyes. ~"[One feels that one is at sea|It keeps
        for years, I am sure]," said {b}. ~{H} tried it, and [put down the spoon|reached for the water].
        ~"[There is a cheese|There is bread]," said {h}. "And we have one thing settled: [nobody in this
        house means any harm|from now on the salt wears a bell]." """,
        h=h,
        a=a,
        b=b,
    )


def last_leaf(t: Teller) -> str:
    """The last leaf will not fall until it has been told where to."""
    t.in_season("autumn")
    f = t.who("bird", "small")
    answer = t.pick(
        (
            "In spring I shall be asked what became of you, and I would like to have something to tell",
            "Down there are all the others, and they are talking about you",
            "It is only a short way. I do it every day, and I am afraid of heights",
            "I need a roof for the winter, just about your size",
        )
    )
    return t.tell(
        """[All the leaves of the old {tree} {where} had fallen but one|The old {tree} {where} had one leaf
        left|There was one last leaf on the old {tree} {where}]. [It held on with all its might|It had a
        good place, quite at the top]. {When} the wind pulled at it. "Come along," said the wind. ~"[Where
        to|And what is down there]?" asked the leaf. ~"[Down|Away]," said the wind, who [was never good at
        explaining|had a lot to do]. ~"[Then no|I would rather not]," said the leaf. ~{f.a} [sat down beside
        it|came up the trunk to look]. "You are the last," said {f}. "[Are you not cold|Is it not lonely]?"
        ~"[A little|I can see {village} from here]," said the leaf. "I just want somebody to tell me what it
        is good for." ~"{answer}," said {f}. ~"[Oh|Why did nobody say so]," said the leaf, and let go. It
        turned over {few} times, [for the fun of it|and was gold on both sides], and came down [without a
        sound|exactly where it was wanted].""",
        f=f,
        where="[behind the church|on {hill}|at the edge of {wood}|by the school|in front of the inn]",
        answer=answer,
    )


def wrong_button(t: Teller) -> str:
    """A mistake made by somebody important becomes the fashion."""
    h, f = t.who("noble"), t.who("child", "elder")
    slip, follow = t.pick(
        (
            ("buttoned {h.his} coat one hole too high", "every coat in {village} hung crooked"),
            ("went out with one stocking down", "all {village} had one cold leg"),
            ("tucked a napkin in at the neck and forgot it", "napkins cost more than silk"),
            ("had a feather stuck behind one ear", "the geese of {village} were almost bald"),
            ("came out in a nightcap", "the tailors sewed nothing but nightcaps"),
        )
    )
    return t.tell(
        """{Morning}, {h.a} [was still half asleep|was in a hurry], and {slip}. [Nobody dared to laugh|People looked, and
        looked again]. "[It must be the new fashion|They wear it like that in the city]," they whispered. By [noon|{day}]
        {follow}. ~"[Why does everybody look so odd|What has got into them]?" asked {h} at the window. ~"They do it because you
        do," said {f.a}, who [was bringing the milk|was cleaning the lamp]. ~{H} looked down and [turned red|saw it at last].
        "[Why did nobody tell me|And you let me walk about like this]?" ~"[I thought you knew|You never asked]," said {f}. ~The
        next morning {h} dressed with great care and came out without one mistake. ~"[How dull|Shocking]," said the people.
        "[Nobody will want to look like that|That will never catch on]." """,
        h=h,
        f=f,
        slip=slip,
        follow=follow,
    )


def peas_in_the_snow(t: Teller) -> str:
    """A hole in a sack is a nuisance until the way home is lost."""
    t.in_season("autumn", "winter")
    h, f = t.who("beast", "folk"), t.who("beast", "bird", "child")
    return t.tell(
        """{h.a} carried a sack of peas home from {village}, and [the sack had a hole|there was a hole in the sack]. "[You are
        losing peas|Your sack is leaking]," said {f.a}. "[Mend your own|I know my own sack]," said {h}, who did not like to be
        told. ~Pea after pea fell out, all the way [through {wood}|over {hill}]. ~At the door {h} saw it. The sack was [flat|as
        thin as a sock], and {h.his} hat was gone too, [with the house key in it|and it was {h.his} only one]. It was
        getting dark, and everything looked alike. "Now I must go back, and I shall [get lost|never find the way]," said {h}. ~"[You will
        not|I doubt it]," said {f}, and pointed. There it lay in the moonlight, a thin green line, [pea after pea|straight to
        the hat]. ~In spring there was a row of peas in flower along that whole road. "[I planned it like that|That was me],"
        said {h} to everyone. "[You only need the right hole|It is done with a hole]." """,
        h=h,
        f=f,
    )


def snowman_in_july(t: Teller) -> str:
    """A snowman wishes to see the summer, and somebody finds a way."""
    t.in_season("winter")
    h = t.who("child", named=0.9)
    plant = t.pick(
        ("bean", "sunflower", "rose bush", "pumpkin", "young apple tree", "row of peas", "pot of mint")
    )
    return t.tell(
        """{h.a} made a snowman with a carrot and two buttons[| and a saucepan for a hat]. "[What is summer
        like|They say that there is a summer]?" asked the snowman. ~"It is warm and green," said {h}. "[You
        would not like it|I am afraid it is not for you]." ~{H} thought about that [for {few} days|in bed].
        When the thaw came, and the snowman grew [thin|short], {h} put a tub under it. [In March|By the end
        of March] there was only water in the tub, with a carrot in it and two buttons. ~In July {h} filled
        a can from the tub and watered the {plant} by the door. [It shook itself and grew|A new leaf
        opened]. ~"[Well|So]?" said {h}. "[This is it|That is summer]." ~Nobody answered, of course. But the
        {plant} [turned slowly round, to see everything|grew so tall that it could see over the wall].""",
        h=h,
        plant=plant,
    )


def guest_who_stayed(t: Teller) -> str:
    """A visitor cannot find the end of the visit, and is given a reason to find it."""
    h, g = t.who("beast", "folk", "elder"), t.who("beast", "bird")
    hint = t.pick(
        (
            "Tomorrow we clean the chimney, and you are just the right size",
            "Since you live here now, here is the rent",
            "My nine cousins are coming to practise the trumpet",
            "As you are one of the family, it is your turn to wash up",
            "The goat sleeps in your bed on weekdays, but he is very clean",
        )
    )
    return t.tell(
        """{g.a} came to visit {h.a} for one evening, {when}, and stayed [for a week|until the end of the
        month]. {g.The} ate the {food}, [slept in the best chair|used all the hot water], and told the same
        story about an uncle every night. ~"[Will your house not miss you?" ~"It is used to it|Will your
        flowers not be dry?" ~"They like it]," said {g}. ~So {h} [thought hard|slept badly, on the bench],
        and the next morning said: "{hint}." ~"[Dear me|Goodness]," said {g}, and looked at the clock. "[Is
        that the time|How late it is]! I must not keep you." ~{H} waved [from the door|for a long time]. ~It
        was wonderfully quiet. By {day} it was [rather too quiet|a little dull]. "[What happened to that
        uncle, I wonder|I never heard the end of that story]," said {h}.""",
        h=h,
        g=g,
        hint=hint,
    )


def henhouse_afloat(t: Teller) -> str:
    """An old boat serves as a henhouse, until the river comes to fetch it."""
    t.in_season("spring")
    h, f = t.who("folk", "elder", "child", named=0.8), t.who("folk", named=0.0)
    return t.tell(
        """{h.a} kept the hens in an old boat in the garden. [It leaned to one side, and so did the hens|Everybody laughed about
        it]. "[A henhouse should be a house|That is no henhouse]," said {f.the} next door, who had a fine one with a [chimney|
        weathercock]. ~Then the snow melted on {hill}, and in one night the river rose [over its banks|to the window sills]. The
        fine henhouse [turned over and went|was gone by morning]. ~{H} sat in the boat, among {many} hens, and [rowed with a
        shovel|steered with a broom]. They floated down the main street of {village} and took people off the roofs, [one here
        and one there|and each of them got a hen to hold]. ~Last of all came {f.the}, with wet feet. "[I take it back|I say
        nothing]," said {f.the}. ~"[Sit on the left|Mind the eggs]," said {h}. """,
        h=h,
        f=f,
    )


def goat_ate_it(t: Teller) -> str:
    """A goat eats a piece of paper, and it was the right one to eat."""
    h = t.who("folk", "child", named=0.9)
    paper, effect = t.pick(
        (
            (
                "a list of all the people who owed money to the mayor",
                "There was dancing in the street until morning",
            ),
            (
                "the map of a war",
                "Both kings looked for it for a month, and then they had to go home for the harvest",
            ),
            (
                "a letter in which {h} took back an old friendship",
                "By the time there was new paper, {h} was not angry any more",
            ),
            (
                "the new law against singing",
                "The clerk could not remember how it went, and somebody began to whistle",
            ),
            (
                "the bill for the new fountain",
                "To this day nobody knows whose fountain it is, and so everybody cleans it",
            ),
            (
                "the answers to the spelling test",
                "The whole class wrote the word goat, and nobody got it wrong",
            ),
        )
    )
    return t.tell(
        """{h.a} had a goat that ate [everything|whatever was made of paper]. It had eaten [the almanac|the wallpaper] and half
        of a hymn book, [and had liked the sad parts best|with the cover]. ~{When}, somebody left {paper} on the table [by the
        window|under a stone], and went to look for the {tool}. The goat looked in. [It looked left and right|Nobody was
        near]. ~"[Who took the paper|Where is it]?" they shouted. {H} came running. There stood the goat, chewing, [with a
        corner of it still in its beard|as calm as a judge]. ~"[Make it give it back|Do something]!" ~"[It never gives
        anything back|You are too late]," said {h}, who was rather pale. {effect}. ~That evening {h} brought the goat a [fresh
        cabbage|bowl of oats]. The goat [sniffed at it|ate that too]. But what it really wanted was the newspaper. """,
        h=h,
        paper=paper,
        effect=effect,
    )
