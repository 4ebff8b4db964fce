"""Tales of friendship, songs, names and strangers."""

from __future__ import annotations

from engine.catalogue.tales.grammar import Teller


def half_a_song(t: Teller) -> str:
    """Somebody knows the first half of a song; far away somebody knows the rest."""
    h, f = t.who("folk", "elder", "child", named=0.9), t.who("folk", "elder", named=0.9)
    return t.tell(
        """{h.a} knew half a song. [{h.His} grandmother had sung it, but she had always fallen asleep in the
        middle|It had come with the house, so to speak]. It went up, and up, and then it [stopped, like a
        stair in the air|just ended]. ~{When}, {f.a} came by and asked for water. {H} was humming. ~"It is
        half a song," said {h}. "Nobody knows the rest." ~"[That is odd|Then listen]," said {f}. "We have a
        song that [has no beginning|starts in the middle]. We thought it was meant to be so." ~So {h} sang,
        up, and up, and where it stopped, {f} went on, [and down it came like water|and brought it safely
        home]. The two halves fitted [like two halves of a plate|as a lid fits a pot]. ~"My grandmother came
        from over the hills," said {h}. ~"So did mine," said {f}. "[She always fell asleep at the
        beginning|Good evening, cousin]." """,
        h=h,
        f=f,
    )


def stranger_and_bread(t: Teller) -> str:
    """A stranger speaks no word that anyone knows, but kneads very clearly."""
    s, h = t.who("child", "elder", "folk", named=0.0), t.who("folk", "child", named=0.9)
    craft, sign, word = t.pick(
        (
            ("baking", "made a small flat loaf with seeds on it, and broke it in two", "bread"),
            ("mending", "took the broken chair and gave it back with four legs", "chair"),
            ("music", "picked up the old fiddle and played until the dogs sat down", "song"),
            ("gardening", "pulled one weed, and then all the others", "flower"),
            ("cooking", "looked into the pot, shook a sad head, and added three leaves", "soup"),
        )
    )
    return t.tell(
        """{When}, a stranger came to {village}, {s.one}. The stranger spoke a language that sounded like
        water over stones. ~People asked questions, and then they asked them louder. It did not help. ~Only
        {h.a} opened the gate. {H} pointed to {h.himself} and said, "{h.call}." The stranger laughed. ~Then
        the stranger went into the {room}, [rolled up both sleeves|looked round], and {sign}. ~"Oh!" said
        {h}. "You mean {word}!" ~"{Word}," said the stranger, [trying how it tasted|very carefully]. It was
        the first word. ~By the end of the {season} the stranger could [quarrel about the weather like
        everyone else|tell jokes, and some of them were good]. And when the people of {village} are pleased,
        they say something that sounds like water over stones.""",
        s=s,
        h=h,
        craft=craft,
        sign=sign,
        word=word,
    )


def name_for_a_foal(t: Teller) -> str:
    """A young animal will not come to any name it is offered, until it hears the one it has had all along."""
    h = t.who("child", "folk", named=0.8)
    young = t.pick(("foal", "kid", "calf", "puppy", "lamb", "kitten", "duckling", "gosling"))
    wrong, right, cause = t.pick(
        (
            ("Lightning, and Thunder, and Storm", "Careful", "it was about to step into the duck pond"),
            ("Prince, and Duke, and Emperor", "Supper", "the pot was ready"),
            ("Snowdrop, and Lily, and Rose", "Trouble", "it had eaten the washing"),
            ("Caesar, and Hector, and Apollo", "Oh dear", "it had put its head through the fence"),
            ("Goldie, and Honey, and Sunshine", "Not again", "it was standing on the roof of the shed"),
            ("Speedy, and Rocket, and Arrow", "Slowly", "it was running at the pond"),
        )
    )
    return t.tell(
        """[In April a {young} was born on the farm of {h.a}|{h.a} was given a {young} in spring]. It was
        [all legs and ears|as soft as a mitten], and it needed a name. ~{H} tried {wrong}. The {young}
        [looked round to see who was meant|went on chewing a bootlace]. {H} read a whole list of names aloud
        in the yard, [and a pig came|and three hens came]. The {young} did not. ~The next [morning|day] {h}
        came round the corner, and {cause}. ~"{Right}!" cried {h}. ~The {young} pricked up its ears, turned
        round, and came running with shining eyes. It had heard that word [every day of its life|so often],
        and always in such a loving voice. ~So that is its name. [It is written over the door of the
        stall|It comes whenever it is called], and [strangers find it odd|visitors are sometimes alarmed].""",
        h=h,
        young=young,
        wrong=wrong,
        right=right,
        cause=cause,
    )


def one_string_left(t: Teller) -> str:
    """At the feast the strings break one by one, and the player makes do."""
    h, f = t.who("folk", "beast", named=0.9), t.who("child", "elder")
    return t.tell(
        """{h.a} was to play the fiddle at [a wedding in {village}|the {season} dance in {village}]. At the
        first tune a string broke. "[Three will do|I never liked that one]," said {h}. At the second dance
        another went. "Two are plenty." Then the third. ~The dancers stopped. "[Is it over|Must we go
        home]?" asked {f.a}, who had just begun to enjoy it. ~{H} looked at the one string that was left.
        "[It will have to be a slow one|Well, let us see]," {h.he} said, and began to play [one note after
        the other, like somebody crossing a river on stones|softly, and leaving room in between]. ~[In the
        gaps|Where a note was missing], {f} began to hum. Somebody [stamped|beat time on a barrel]. By
        midnight the lamps were shaking. ~"I will buy new strings tomorrow," said {h}, quite out of breath.
        ~"[Not too soon|Must you]?" said {f}.""",
        h=h,
        f=f,
    )


def star_counter(t: Teller) -> str:
    """A child counts the stars, loses count each night, and gets help of the wrong and right kind."""
    h, f = t.who("child", "small", named=0.9), t.who("elder", "bird", "folk")
    t.in_season("summer", "autumn", "winter")
    return t.tell(
        """Every night {h.a} sat on [the roof of the barn|the wall|the top of {hill}] and counted the stars.
        But something always came between. Once it was [a cloud|an owl], and once [a sneeze|{h.his} mother,
        who called {h.him} to bed]. ~"How many are there?" asked {f.a}, who could not sleep. ~"I have to
        start again," said {h}. ~"[Let us do it together|I will help you]," said {f}. "You take the left
        half, and I take the right." So they lay on their backs and counted. "[Look, that one is falling|Do
        you see the red one]," said {f}, and they both looked [for a long time|until it was gone]. ~"Oh no,"
        said {h}. "I have lost my place." ~"So have I," said {f}. "We shall have to come back tomorrow."
        ~{H} [moved a little closer|pulled the blanket over them both]. "And if we finish?" ~"[There is no
        danger of that|Then we start from the other side]," said {f}.""",
        h=h,
        f=f,
    )


def scarecrow_and_crows(t: Teller) -> str:
    """A scarecrow with a kind face fails at work and does something better."""
    m, c = t.who("folk", named=0.6), t.who("bird", adjective="cheeky", named=0.8)
    twist = t.pick(
        (
            "a hailstorm came over {hill}. The birds crept under the coat, forty of them, and in return they ate every beetle"
            " in {field} the next day",
            "the grubs came, and they ate faster than any bird. So the crows had a word with the grubs, at breakfast",
            "the wind took the scarecrow's hat and arms, and the birds flew after it and brought back every straw",
            "a fire started in the stubble, and the crows made such a noise that all of {village} came running with buckets",
        )
    )
    return t.tell(
        """{m.a} made a scarecrow for {field}, [in an old wedding coat|with a pumpkin for a head]. But
        {m.he} had been whistling while {m.he} drew the face, and so the scarecrow smiled. ~"[Good
        morning|How do you do]," said {c.a}, and sat down on its arm. "You are supposed to frighten me, I
        think." ~"[I am sorry|I know]," said the scarecrow. "[I do not know how|I only have this one face]."
        ~"[That is the worst scarecrow in the county|Tomorrow it goes into the stove]," said {m}. ~But that
        evening {twist}. ~{M} came out in the morning with the axe and looked at {field} [for a while|and at
        the smile]. Then {m.he} put the axe away and went to get [a scarf|a better hat]. "[Carry on|As you
        were]," said {m}.""",
        m=m,
        c=c,
        twist=twist,
    )


def house_of_day_and_night(t: Teller) -> str:
    """Two share a house at different hours, never meet, and become friends by what they leave behind."""
    day = t.who("small", "beast", named=0.8)
    sleeper = t.pick(("owl", "nightingale", "nightjar"))
    return t.tell(
        """{day.a} moved into a hollow {tree} [in {wood}|beside {river}]. It was [very cosy|dry and round],
        only every evening, when {day} lay down, the bed was still warm. ~One evening there was a small grey
        feather on the pillow. {Day} left a note: "Who are you?" ~In the morning there was an answer. "I am
        the {sleeper}. I sleep here by day. [Your {berries} smell nice|You snore, I am told]. Who are you?"
        ~ {Day} put some {berries} on a leaf. In the morning they were gone, and [the floor was swept|the
        hole in the roof was mended]. ~[They shared the soup, and the lamp was always filled|The notes grew
        longer and longer]. But they never met, for one of them was always out. ~Only once, on the longest
        day, they met in the doorway. ~"[So you are the one|You are smaller than your writing]," said the
        {sleeper}. "Good night." ~"Good morning," said {day}.""",
        day=day,
        sleeper=sleeper,
    )


def new_shoes(t: Teller) -> str:
    """New shoes know where they want to go."""
    h, c = t.who("child", "elder", "folk", named=0.8), t.who("elder", "folk", named=0.4)
    goal = t.pick(
        (
            "the house of a brother to whom {h.he} had not spoken for {few} years",
            "the schoolhouse, where {h.he} had once been called stupid",
            "the door of an old neighbour whom nobody visited",
            "a door with a blue lamp, at which {h.he} had always wanted to knock",
            "the bakery, where {h.he} owed for {many} rolls",
            "the dancing school, of all places",
        )
    )
    return t.tell(
        """{h.a} bought a pair of shoes from {c.a}. They were [soft and brown|the colour of chestnuts] and
        cost almost nothing. "I must warn you," said {c}. "They know where they want to go." ~{H} laughed.
        But {when}, when {h.he} [set out to buy {crop}|was going to the inn], the shoes turned left. ~"[Very
        well|Have it your way]," said {h}. The shoes walked [down the lane and over the bridge|twice round
        the church and straight on], and stopped in front of {goal}. {H} counted to {many}, took a deep
        breath and went in. ~It was dark when {h.he} came home, humming, and put the shoes under the bed.
        "You might have told me," {h.he} said. ~"[We did. You were wearing boots|You never listened to your
        feet]," said the left shoe.""",
        h=h,
        c=c,
        goal=goal,
    )
