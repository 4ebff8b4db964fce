"""Tales of things lost, found, lent, given and given back."""

from __future__ import annotations

from engine.catalogue.tales.grammar import Teller


def lost_and_found(t: Teller) -> str:
    """A small treasure is lost; what its owner did that day says where it must be."""
    h, f = t.who("folk", "beast"), t.who("child", "small")
    deed, where = t.pick(
        (
            ("kneaded the dough", "in the middle of the new loaf, a little warm"),
            ("filled the dish for the geese", "at the bottom of the dish, polished by seven beaks"),
            ("hung out the washing", "in the toe of a wet sock"),
            ("put fresh straw in the scarecrow", "in the scarecrow's pocket, where it looked quite at home"),
            ("stacked the firewood", "between two logs, with a beetle sitting on it"),
            ("planted the onions", "under the last onion, which had to be planted twice"),
            ("cleaned out the beehive", "stuck fast in a comb of honey"),
            ("stuffed a pillow", "inside the pillow, among the feathers"),
            ("shook the plum tree", "in the basket, under all the plums"),
        )
    )
    return t.tell(
        """[{h.a} lost a {thing}, and it happened {when}|{When}, {h.a} lost a {thing}|{h.A} had a {thing},
        and {when} it was gone]. [It was not worth much, but {h.he} had carried it since {h.he} was small|It
        was the only fine thing {h.he} owned|{h.He} felt in {h.his} pocket and found a hole instead]. {h.He}
        looked [under the bed|behind the stove|in both boots] and even [in the soup|under the cat next
        door|in places where {h.he} had never been]. ~"[What did you do today|And what have you done since
        breakfast]?" asked {f.a}. ~"[This and that|Not much]," said {h}. "I {deed}." ~[They went to look|So
        they went back together], and there it was: the {thing} lay {where}. ~[That night {h} sewed up the
        hole in {h.his} pocket|{H} gave {f} a {food}, and checked it for treasure first|{H} laughed until
        {h.his} hat fell off, and then {h.he} lost the hat].""",
        h=h,
        f=f,
        deed=deed,
        where=where,
    )


def borrowed_coat(t: Teller) -> str:
    """A coat is lent against the cold; what lies forgotten in its pocket comes back with it."""
    t.in_season("autumn", "winter")
    h, f = t.who("folk", "child"), t.who("elder", "folk")
    find, why = t.pick(
        (
            (
                "a letter that had never been opened",
                "It was from {f.his} sister, and it said: Come and stay with me",
            ),
            (
                "the key to a small box",
                "The box had stood locked on the shelf for years, and it was full of old songs",
            ),
            (
                "a ring wrapped in paper",
                "{f.He} had searched the whole garden for that ring, and even dug up the roses",
            ),
            (
                "a dry brown bulb",
                "{f.He} planted it in a pot, and at the end of the winter it opened, as yellow as butter",
            ),
            ("a picture of a laughing boy", "It was {f.his} brother, on the day before he went to sea"),
            (
                "half a ticket to the fair",
                "The other half was in the drawer, and the two of them had waited a long time",
            ),
        )
    )
    return t.tell(
        """{When}, {h.a} came through {village} without a coat. Only {f.a} opened the door. "Take mine,"
        said {f}. "[It is old, but it knows how to be warm|It has more patches than coat]. Bring it back
        when you can." ~[On the road|Halfway over {hill}], {h} put {h.his} cold hands in the pockets and
        found {find}. [A borrowed coat is a borrowed coat, pockets and all|It was not meant for other eyes],
        so {h.he} walked back. ~"This was in the pocket," said {h}. ~{F} [sat down slowly|looked at it for a
        long time|went quite quiet]. {why}. ~"Keep the coat," {f.he} said at last. "[It has brought me more
        than it cost|I only wanted what was in it|It fits you better anyway]." """,
        h=h,
        f=f,
        find=find,
        why=why,
    )


def gift_returned(t: Teller) -> str:
    """A present nobody quite needs is given on and on, until it comes home."""
    h, a, b, c = t.who("beast"), t.who("beast"), t.who("beast"), t.who("bird")
    return t.tell(
        """[For {h.his} birthday|At the {season} fair|{When}], {h.a} was given a {gift}. It was a
        [fine|splendid|handsome] {gift}, but {h} [did not know what to do with it|already had one|kept
        falling over it]. So {h.he} gave it to {a.a}. ~"[How lovely|Just what I wanted|You should not
        have]!" said {a}, [and did not mean it|very politely], and a week later gave it to {b.a}. {B}, [who
        had a very small house|after some thought], gave it to {c.a}. ~Now {c} looked round for [somebody
        who had been sad lately|somebody who had nothing of the kind]. "Ah, {h.call}!" thought {c}. ~So one
        morning {h} opened the door, and there stood the {gift}, [with a ribbon on it|with one new scratch].
        It smelled of all {h.his} friends. ~"[I must say, I missed you|So there you are|You again]," said
        {h}, and [this time {h.he} kept it|found a good place for it by the window].""",
        h=h,
        a=a,
        b=b,
        c=c,
    )


def letter_late(t: Teller) -> str:
    """A letter arrives after many years and is answered on foot."""
    h, p, friend = t.who("elder", named=1.0), t.who("folk", "child"), t.who("elder", named=1.0)
    return t.tell(
        """[When the old post office of {village} was torn down, {p.a} found a letter behind the
        wall|{When}, a letter fell out of the clock at the post office, and {p.a} picked it up|{p.a} was
        mending the floor of the post office and found a letter under it]. A mouse had tasted one corner,
        but the name was clear: {h}. ~"This is {many} years late," said {p}. ~{H} put on {h.his} glasses.
        "Meet me by the {tree} on [the first day of {month}|the first {day} in {month}]," it said. "Your
        {friend}." ~"{friend} waited," said {h} softly, "and I never came." ~{h.He} looked at the calendar.
        It was [that very day|the very same day, all those years later]. So {h.he} [polished {h.his}
        shoes|packed a {food}|took {h.his} stick] and went. ~Under the {tree} sat {friend}, [quite white|as
        wrinkled as a walnut]. "I come every year," said {friend}, [moving over on the bench|as if nothing
        had happened]. "[You are late|What kept you? Sit down]." """,
        h=h,
        p=p,
        friend=friend,
    )


def promise_kept(t: Teller) -> str:
    """Somebody promises to be back by a certain day, and everything on the road tries to prevent it."""
    h, f = t.who("beast", named=1.0), t.who("beast", "small", named=1.0)
    sign, end = t.pick(
        (
            ("before the first snow", "The first flake came down and landed on the knocker"),
            ("when the last apple falls", "The last apple let go of its branch, and a paw caught it"),
            ("before the candle on the window sill burns down", "The candle gave a last little jump"),
            ("before the swallows leave", "The swallows were already sitting in a row on the roof"),
            ("when the moon is full again", "The moon came up behind the hill, as round as a cheese"),
        )
    )
    return t.tell(
        """"I will be back {sign}," said {h} the {h.noun}, and {f} the {f.noun} believed {h.him}. ~On the
        way back {river} was too high, so {h} [walked two days to a bridge|built a raft out of a barn door].
        Then [somebody stole {h.his} boots, and {h.he} went on in {h.his} socks|the fog came, and {h.he}
        went three times round the same {tree}]. ~At home the neighbours said, "[{h.He} has forgotten|{h.He}
        will not come now]." ~"[You do not know {h.him}|{h.He} said it, so {h.he} will]," said {f}, and put
        a second plate on the table, [as on every evening|just to be ready]. ~{end}. And there, [muddy up to
        the ears|thin and tired and grinning], stood {h}. ~"[Am I late|Is there any soup]?" ~"[Not yet|Only
        just not]," said {f}, [and moved the plate a little nearer|and had to look out of the window for a
        moment].""",
        h=h,
        f=f,
        sign=sign,
        end=end,
    )


def last_piece(t: Teller) -> str:
    """Two friends each leave the last piece for the other, and a third draws the conclusion."""
    h, f, m = t.who("beast"), t.who("beast"), t.who("small", "bird")
    return t.tell(
        """[{When}, {h.a} and {f.a} baked a {food}|{h.a} and {f.a} won a {food} at the fair], and ate it
        until there was one piece left. ~"You have it," said {h}. ~"No, no, you," said {f}. "I could not eat
        another crumb." [That was not true|Both their stomachs growled]. ~So they went to bed. At midnight
        {h} crept down and put the piece [on {f}'s chair|into {f}'s left boot]. At one o'clock {f} crept
        down and put it [on {h}'s hat|under {h}'s napkin]. ~Under the stairs lived {m.a}, who [could not
        sleep for the noise|had watched the whole thing], and at three o'clock {m.he} settled the matter.
        ~In the morning there was not a crumb. "I am glad you had it," said {h}. ~"I? I thought it was you,"
        said {f}. ~Under the stairs somebody [hiccuped|burped politely].""",
        h=h,
        f=f,
        m=m,
    )


def useless_key(t: Teller) -> str:
    """A key fits nothing in the village, until it turns out what a key can be for besides locks."""
    h = t.who("child", "beast")
    use = t.pick(
        (
            "{h} hung it in the cherry tree, where it flashed and turned, and from that day the birds left the cherries alone",
            "{h} tied it to the end of the bell rope, which had always been too light, and now the bell rang true",
            "{h} hung it on a string beside a spoon and a nail, and when the wind came by, it played three notes",
            "{h} laid it on the stack of papers that blew away every time the schoolhouse door was opened",
            "{h} fixed it to the crooked shop door as a handle, and people came from far away just to open it",
            "{h} cut round it with a knife and baked biscuits in the shape of keys, and sold every one",
        )
    )
    return t.tell(
        """[{When}, {h.a} found a big iron key in {field}|{h.a} was digging {crop} when the spade hit a big
        iron key]. "[A key must have a lock|Somewhere a door is waiting for this]," said {h}. ~{h.He} tried
        [the mill, the church and the bakery|every door in {village}, even the one of the henhouse]. The key
        was too big for this one and too small for that one. ~"[Throw it back|Leave it where you found it],"
        they said. "It opens nothing." ~"[Then it must do something else|Perhaps it does not like doors|It
        is still a very good key]," said {h}, and slept on it. ~In the morning {use}. ~"So what does it
        open?" the neighbours asked. ~"[Nothing yet|Wait and see|Your mouths, it seems]," said {h}.""",
        h=h,
        use=use,
    )


def lantern_passed_on(t: Teller) -> str:
    """A lantern is lent to one traveller after another and comes back on the darkest night."""
    h, a, b = t.who("elder", "folk"), t.who("folk"), t.who("child", "sailor")
    return t.tell(
        """[At the edge of {wood}|Where the road leaves {village}] lived {h.a}, with a lantern in the
        window. {Night}, {a.a} knocked. "[The road is dark|I cannot see my own boots]." ~"Take the lantern,"
        said {h}. "[When you are home|Tomorrow], give it to the next one who has none." ~{A} gave it to
        {b.a}, [who was looking for a lost calf|who was late for the ship], and so it went from hand to
        hand. ~Years later {h} [lost the way|was lost] in the snow. Then a small yellow light came swinging
        along, [and a stranger behind it|in the hand of a stranger]. ~"Take this," said the stranger. "I was
        told to give it to the next one who has none." ~{H} [felt the old dent in its lid|saw the old dent
        in its lid] and smiled. "[Thank you|Well, well]," {h.he} said. "I know how it works." """,
        h=h,
        a=a,
        b=b,
    )
