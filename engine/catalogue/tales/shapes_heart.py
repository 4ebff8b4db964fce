"""Tales of friendship, songs, names and strangers."""

from __future__ import annotations

from engine.catalogue.tales.grammar import Teller


def half_a_song(t: Teller) -> str:
    """Somebody knows the first half of a song; far away somebody knows the rest."""
    h, f = t.who("folk", "elder", "child", named=0.9), t.who("folk", "elder", named=0.9)
    return t.tell(
        """{h.a} knew half a song. [{h.His} grandmother had sung it, but she had always fallen asleep in the middle|It had
        come with the house, so to speak]. It went up, and up, and then it [stopped, like a stair in the air|just
        ended]. [{H} hummed it at work|All of {village} knew that half], and at the end of it everybody [waited a
        moment|looked up], for nothing. ~{When}, {f.a} came through with a [cart|pack], [and stopped to have a wheel
        mended|and asked for water]. {H} was humming. ~"[What is that|Where did you get that]?" asked {f}. ~"It is half a
        song. [The rest is lost|Nobody knows the rest]." ~"[That is odd|Then listen]," said {f}, [and put down the
        cup|slowly]. "Where I come from, we have a song that [has no beginning|starts in the middle]. We thought it was
        meant to be so." ~[They looked at one another|It grew quiet in the yard]. Then {h} sang, up, and up, and where it
        stopped, {f} went on, [and down it came like water|and brought it safely home]. ~The two halves fitted [like two
        halves of a plate|as a lid fits a pot]. [They sang it {few} times, to be sure|The horse turned its ears]. "[My
        grandmother came from over the hills|She never told us where she came from]," said {h}. ~"So did [mine|ours]," said
        {f}. "[She always fell asleep at the beginning|Good evening, cousin]." """,
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
        """{When}, a stranger came to {village}, {s.one}, and [knew nobody|carried one small bundle]. The stranger spoke a
        language that [sounded like water over stones|nobody had ever heard]. ~"[What do you want|Where do you come
        from]?" people asked, [and then they asked it louder|as loud as they could]. It did not help. [Some of them shut
        their doors|They scratched their heads]. ~Only {h.a} [opened the gate|pointed to a chair]. {H} pointed to
        {h.himself} and said, "{h.call}." The stranger laughed, and [said something long|bowed]. ~Then the stranger went
        into the {room}, [rolled up both sleeves|looked round], and {sign}. ~"Oh!" said {h}. "[{word}|You mean {word}]!"
        ~"{Word}," said the stranger, [trying how it tasted|very carefully]. It was the first word. [The second was
        please, and the third was more|The next day there were ten]. By the end of the {season} the stranger [could
        quarrel about the weather like everyone else|told jokes, and some of them were good]. ~And the people of {village}
        had learned something too. [To this day they have a word for {craft} that is in no dictionary|When they are pleased,
        they say something that sounds like water over stones]. """,
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
        """[In April a {young} was born on the farm of {h.a}|{h.a} was given a {young} in spring|One night in spring a
        {young} was born, and {h.a} held the lantern]. It was [all legs and ears|as soft as a mitten], and it needed a name.
        ~{H} tried {wrong}. The {young} [looked round to see who was meant|went on chewing a bootlace]. {H} asked the
        neighbours. [They offered the names of their uncles|The schoolteacher made a list]. {H} read the whole list aloud in
        the yard, [and a pig came|and three hens came]. The {young} did not. ~"[Then you will have to do without|You are a
        hard one to please]," said {h}. ~The next [morning|day] {h} [looked out of the window|came round the corner], and
        {cause}. ~"{Right}!" cried {h}. ~The {young} [stopped at once|pricked up its ears], turned round, and came [trotting|
        running] across the yard with shining eyes. It had heard that word [every day of its life|so often], and always in
        such a loving voice. ~So that is its name. [It is written over the door of the stall|It comes whenever it hears it],
        and [strangers find it odd|visitors are sometimes alarmed]. """,
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
        """{h.a} was to play the fiddle at [a wedding in {village}|the {season} dance in {village}]. {Weather}. [On the way
        there|No sooner had {h.he} tuned it than] the first string broke. "[Three will do|I never liked that one]," said {h}.
        At the first dance the second went, [with a sound like a sneeze|and slapped the mayor on the ear]. "[Two will
        do|Two are plenty]." Then the third. ~The dancers stopped. "[Is it over|That is the end, then]," said {f.a} [sadly|
        who had just begun to enjoy it]. ~{H} looked at the one string that was left. It was the [lowest|oldest]. "[One is a
        bit thin|Well]," {h.he} said. "[But nobody goes home yet|It will have to be a slow one]." And {h.he} began to play on
        it, [one note after the other, like somebody crossing a river on stones|softly, and leaving room in between]. ~[In
        the gaps between the notes|Where a note was missing], {f} began to hum. Somebody [stamped|beat time on a barrel].
        Somebody else had a [comb|spoon], and the bride [whistled like a carter|sang]. [Soon the whole room was the
        fiddle|By midnight the lamps were shaking]. ~"[I must get new strings|I will buy new strings tomorrow]," said {h} at
        the end, [wiping {h.his} face|quite out of breath]. ~"[Not too soon|Must you]?" said {f}. """,
        h=h,
        f=f,
    )


def star_counter(t: Teller) -> str:
    """A child counts the stars, loses count each night, and gets help of the wrong and right kind."""
    h, f = t.who("child", "small", named=0.9), t.who("elder", "bird", "folk")
    t.in_season("summer", "autumn", "winter")
    return t.tell(
        """Every night {h.a} sat on [the roof of the barn|the wall|the top of {hill}] and counted the stars. [And every night
        something came between|But it never came out]. Once it was [a cloud|an owl], once [a sneeze|{h.his} mother, who
        called {h.him} to bed], and once {h.he} [had counted a lantern by mistake|simply forgot what came after {many}].
        ~"[How far did you get|How many are there]?" asked {f.a}, who [could not sleep|came by every evening]. ~"I have to
        start again," said {h}. "[It is always the same|They will not hold still]." ~"[Let us do it together|I will help
        you]," said {f}. "You take the left half, and I take the right." So they [lay on their backs|leaned against the
        chimney] and counted, [moving their lips|in a whisper]. It grew [cold|late]. {F} said, "[Look, that one is falling|Do
        you see the red one]?" and they both looked, [and it was beautiful|for a long time]. ~"[Oh no|Now]," said {h}. "[I
        have lost my place|Where was I]?" ~"So have I," said {f}. "[What a pity|How annoying]. We shall have to come back
        tomorrow." ~{H} [moved a little closer|pulled the blanket over them both]. "[And the night after|And if we finish]?"
        ~"[There is no danger of that|Then we count them from the other side]," said {f}. """,
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
        """{m.a} made a scarecrow and put it in the middle of {field}, [in an old wedding coat|with a pumpkin for a head].
        But [the mouth had been drawn on in a good mood|{m.he} had been whistling while {m.he} drew the face], and so the
        scarecrow smiled. ~"[Good morning|How do you do]," said {c.a}, and sat down on its arm. "[You look like
        somebody who enjoys company|You are supposed to frighten me, I think]." ~"[I am sorry|I know]," said the scarecrow.
        "[I do not know how|I only have this one face]." ~"[Never mind|We all have our work]," said {c}, and told the
        others. Soon [they were sitting on both sleeves|the hat was full of eggs]. ~"[That is the worst scarecrow in the
        county|Tomorrow it goes into the stove]," said {m}. ~But that [night|evening] {twist}. ~{M} came out [in the
        morning|afterwards] with the axe, looked at {field}, [and at the crows, and at the smile|and counted the ears that
        were left]. There were more than ever. {m.He} [scratched {m.his} chin|put the axe away] and went to get [a
        scarf|a better hat], [since it was getting cold|for the scarecrow]. "[Carry on|As you were]," said {m}. """,
        m=m,
        c=c,
        twist=twist,
    )


def house_of_day_and_night(t: Teller) -> str:
    """Two share a house at different hours, never meet, and become friends by what they leave behind."""
    day = t.who("small", "beast", named=0.8)
    sleeper = t.pick(("owl", "bat", "moth", "nightingale"))
    return t.tell(
        """{day.a} moved into a hollow {tree} [in {wood}|beside {river}], [and thought it was empty|because the rent was
        low]. It was [very cosy|dry and round], only every evening, when {day} [came home|lay down], the bed was still
        warm. "[Odd|That is a strange bed]," said {day}. ~One evening there was [a feather|a grey crumb of something] on the
        pillow. {Day} left a note: Who are you? ~In the morning the note was gone, and in its place was another. [I am the
        {sleeper}|The {sleeper}]. I sleep here by day, it said. Who are you? [Your {berries} smell nice|You snore, I am told]. ~[So
        that was how it was|They had shared one bed for a month]. {Day} thought of [moving out|putting up a curtain], but
        instead put some {berries} on a leaf. In the morning they were gone, and the [floor was swept|hole in the roof was
        mended]. ~And so it went. They never met, for one of them was always out. But the [soup was kept warm|lamp was
        always filled], and the notes grew longer, [and had drawings in them|and began with: Dear friend]. ~[Once a year, on
        the longest day|Only once, when the sun and the moon stood in the sky together], they met in the doorway. ~"[So you
        are the one|You are smaller than your writing]," said the {sleeper}. ~"[Good night|Good morning]," said {day}. "[And
        good morning|And good night]." """,
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
        """{h.a} bought a pair of shoes from {c.a}. They were [soft and brown|the colour of chestnuts] and [squeaked a little|cost almost nothing]. "[They were made for somebody who never came for them|I must warn you]," said {c}. "They know
        where they want to go." ~{H} [laughed|thought it was a manner of speaking]. But {when}, when {h.he} [set out to buy
        {crop}|was going to the inn], the shoes turned left. {H} turned them round. They turned left. [There was a kind of
        dance in the middle of the street|People stopped to watch]. ~"[Very well|Have it your way]," said {h}. The shoes
        walked [down the lane and over the bridge|twice round the church and straight on], and stopped in front of {goal}.
        ~"[Not here|Anywhere else]," said {h}. The shoes [did not move|stood as if they were nailed down]. {H} [looked at the
        sky|counted to {many}]. Then {h.he} [did what one does in such a case|took a deep breath] and went in. ~It was
        [evening|dark] when {h.he} came home, [humming|later than usual], and put the shoes under the bed. "[You might have
        told me|You could have said so before]," {h.he} said. ~"[We did. You were wearing boots|You never listened to your
        feet]," said the left shoe. The right one [was already asleep|only squeaked]. """,
        h=h,
        c=c,
        goal=goal,
    )
