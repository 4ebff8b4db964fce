"""The shortest tales: a handful of sentences, one turn, and out."""

from __future__ import annotations

from engine.catalogue.tales.grammar import Teller


def two_umbrellas(t: Teller) -> str:
    """Two friends are each sure that the other will bring the umbrella."""
    h, f = t.who("beast", "folk"), t.who("beast", "child")
    return t.tell(
        """{h.a} and {f.a} went for a walk [to {village}|over {hill}]. "It will not rain," said {h}, who thought that {f} had
        the umbrella. "[Not a drop|Never]," said {f}, who thought that {h} had it. Then [it poured|the sky fell down]. They
        looked at each other's empty hands. ~"[So we were both right|You looked so sure of it]," said {h} from under a
        cabbage leaf. "[It will not rain on the umbrella|The umbrella, at least, is dry]." """,
        h=h,
        f=f,
    )


def polite_wolf(t: Teller) -> str:
    """A wolf learns to knock, and it changes what happens next."""
    h = t.who("small", "elder")
    return t.tell(
        """A wolf came to the door of {h.a}, {when}, and howled. Nobody opened. He scratched, and nobody opened. "[Try
        knocking|One knocks]," said {h} through the keyhole. The wolf knocked. "[Now say good evening|And now wipe your feet]."
        The wolf did. "And what do you want?" ~"[I have forgotten|I cannot remember]," said the wolf. "[I have never got this
        far|It usually goes faster]." ~"[Then it cannot have been important|Then sit down until you know]," said {h}, and gave
        him {soup}. {Weather}. The wolf [asked for a napkin|said thank you, and it hardly hurt]. """,
        h=h,
    )


def needle_in_the_hay(t: Teller) -> str:
    """Somebody looks for a small thing and finds all the others."""
    h, c = t.who("folk", "child"), t.who("elder", "beast")
    return t.tell(
        """{h.a} dropped a needle in the hay. {When}, {h.he} began to look for it, [stalk by stalk|from left
        to right]. {h.He} found {thing_a}, [two eggs|a spoon], a {tool} that had been missing for {few}
        years, and {c.a}, fast asleep. ~"[What are you looking for|Have you lost something]?" asked {c}.
        ~"Only a needle," said {h}. ~"[Oh, that,|Is it sharp?]" said {c}, and [sat up very carefully|thought
        about it]. "[Then I know where it is|I have been lying on it since noon]." ~{H} thanked {c.him} and
        sewed on the button. It had taken [all day|until supper]. But now there was a {tool} again.""",
        h=h,
        c=c,
        thing_a="a {thing}",
    )


def weathercock(t: Teller) -> str:
    """The weathercock points the wrong way on purpose."""
    f = t.who("bird", "child")
    return t.tell(
        """[The weathercock of {village} always pointed south|On the roof of the [church|inn|school|mill] in {village} a
        weathercock always pointed south|The people of {village} had a weathercock that always pointed
        south], whatever the wind did. "[You are rusty|You are stuck]," said {f.a}. ~"[I am not|Not at
        all]," said the weathercock. "[I simply prefer it|That is where the swallows are]." ~"But the wind
        is in the north." ~"[It knows that by itself|Nobody needs me to tell him that he is cold]," said the
        weathercock. "[I point to what people would like|I do not say where the wind is, I say where I would
        go]." ~{Weather}. {F} looked south for a while. [And really, it was a little warmer|It did look
        better over there].""",
        f=f,
    )


def bear_wakes_early(t: Teller) -> str:
    """A bear wakes in the middle of winter and sees what the others never see."""
    t.in_season("winter")
    h, f = t.who("small", "bird"), t.who("small", "beast")
    return t.tell(
        """[{Night}, the bear woke up|Under {hill} the bear woke up, {night}, quite|In a cave in {wood} the
        bear woke up one night] by mistake. He put his nose out of the cave. [The snow shone blue under the
        stars|The whole wood was white and still]. ~"[You are four months early|It is not time yet]," said
        {h.a}, who was out looking for [seeds|crumbs]. ~"[What is all this|Who did this]?" asked the bear.
        ~"That is winter. [It is only snow and stars|You always sleep through it]." ~The bear [sat down in
        it|looked up for a long time]. "[And nobody told me|It is very well made]," he said. Then he went
        back to bed. ~In spring {f.a} asked him how he had slept. "[Badly, thank you|I had a dream]," said
        the bear, [smiling|and would not tell it].""",
        h=h,
        f=f,
    )


def pocket_full_of_wind(t: Teller) -> str:
    """A child catches the wind and learns how it must be kept."""
    h, f = t.who("child", "small"), t.who("elder", "bird")
    return t.tell(
        """{h.a} caught a bit of wind on {hill} and [buttoned it into a pocket|tied it up in a sock]. At home {h.he} let it
        out. Nothing moved. "[It is broken|It has died]," said {h}. ~"[It is only homesick|Wind does not keep]," said {f.a}.
        "[It lives by going somewhere else|Give it something to carry]." ~So {h} opened the window and put a feather on the
        sill, [and waited|a white one]. {Weather}. ~Then the feather turned round once, [like somebody looking for a hat|very
        slowly], and flew. ~"[There|Good]," said {h}. "Now it is mine." """,
        h=h,
        f=f,
    )


def bench_for_three(t: Teller) -> str:
    """A bench is full until somebody large wishes to sit."""
    a, b, c = t.who("folk", named=0.0), t.who("elder", named=0.0), t.who("child", "beast", named=0.0)
    d = t.who("big", "folk", adjective="very large", named=0.0)
    return t.tell(
        """{When}, {a.one}, {b.one} and {c.one} sat on the bench by {river}. It was a bench for three, and they did not speak,
        [for they did not know each other|as one does not]. Then came {d.one} and asked, "Is there room?" ~[They looked at {d}.
        They looked at the bench|There was none, but nobody liked to say so]. They moved together, and then closer, and {d} sat
        down. The bench [cracked|sighed], and there they all lay in the grass. ~"[My name is Otto|I am called Bess]," said the
        one at the bottom. ~"[How do you do|Pleased to meet you]," said the others. [They still meet there, in the grass|They
        mended it, and made it longer]. """,
        a=a,
        b=b,
        c=c,
        d=d,
    )


def painted_door(t: Teller) -> str:
    """A door is painted on a wall, and somebody knocks at it."""
    h = t.who("child", "elder", "folk")
    guest = t.pick(("cat", "hare", "small wind", "robin", "goose", "very old tortoise"))
    return t.tell(
        """{h.a} had a room without a view, so {h.he} painted a {colour} door on the wall, with a handle and a keyhole. [It was
        a good door|It was only paint]. {Evening}, somebody knocked at it. ~"[It does not open|You cannot come in]," said {h}.
        "It is painted." ~"[So am I|Then paint it open]," said a voice. ~{H} [thought for a moment|looked for the brush], and
        painted it a little way open. {Dark}. In came a {guest}, [looked round|wiped its feet], and sat down by the stove. "[You
        forgot the mat|It wants a bell]," it said. """,
        h=h,
        guest=guest,
    )


def cat_and_mouse_treaty(t: Teller) -> str:
    """An old cat and a mouse come to terms."""
    m = t.who("small", named=0.8)
    return t.tell(
        """The old cat of [the mill|the inn|the bakery|the school|the castle] in {village} had lost {few}
        teeth, and it was all she could do to climb the stairs. "[I ought to chase you|By rights I should
        eat you]," she said to {m.a}. ~"[I know|Yes]," said {m}. "Shall I run?" ~"[Not too fast|Only if you
        like]," said the cat. So {m} ran once round the room, and the cat [followed with her eyes|clapped
        one paw]. {Weather}. ~"[That was a good hunt|You nearly had me]," said {m}, sitting down beside her.
        "[I brought you some cheese.|Tomorrow at the same time?]" ~"[If my knees allow|Tell nobody]," said
        the cat.""",
        m=m,
    )


def cloud_and_puddle(t: Teller) -> str:
    """A puddle wants to travel, and does, in the usual way."""
    h = t.who("bird", "small")
    return t.tell(
        """[{When}, {h.a} came to drink from a puddle|{h.a} came to drink from a puddle, {when}]. "I should
        like to see the world," said the puddle. "But I have no legs." ~"[You have the sky in you|Wait for a
        hot day]," said {h}. Then the sun came out, and by noon the puddle was gone. [Nobody missed it but
        {h}|{H} was a little sad]. ~{Few} weeks later a cloud came over {hill}, [rather fat|in no hurry],
        and it began to rain, and there lay the puddle, just where it had been. ~"[Where have you
        been|Well]?" asked {h}. ~"[The mountains, and the sea|Everywhere]," said the puddle. "[It is all
        very big|One gets so tired]. Is this place taken?" """,
        h=h,
    )


def heavy_basket(t: Teller) -> str:
    """Two carry one basket, and each secretly takes the heavier side."""
    h, f, o = t.who("child", "small"), t.who("elder"), t.who("bird", "folk")
    return t.tell(
        """{When}, {h.a} and {f.a} carried a basket of {crop} home between them. [Secretly|When {f} looked
        away], {h} pulled the handle a little to {h.his} own side, so that {f} should have less to carry.
        [Secretly|When {h} looked away], {f} pulled it back, for {h} was so small. [Left and right went the
        basket|So it went to and fro], and so did they, [all over the road|like two sailors]. ~"[Is it
        heavy|Is that basket too heavy for you]?" asked {o.a}. ~"[Not at all|It weighs nothing]," said {h}.
        ~"[Light as a feather|I hardly feel it]," said {f}. And they both told the truth.""",
        h=h,
        f=f,
        o=o,
    )


def smallest_parade(t: Teller) -> str:
    """A drum is all there is of a procession, and then there is more."""
    h, f = t.who("child", "small"), t.who("elder", "noble")
    return t.tell(
        """{h.a} marched through {village} with a {fiddle}, quite alone. "[What is that|Is that all]?" asked
        {f.a} at the window. ~"It is a parade," said {h}. ~"[Where are the others?|A parade has more
        people.]" ~"They are [late|coming]," said {h}, and marched on. {Weather}. At the pump a dog joined
        in. At the bakery came {few} children and a goose. When they passed the window again, {f} [put down
        the newspaper|could not sit still]. ~"[Is there still room|May one join]?" ~"[At the back|Behind the
        goose]," said {h}.""",
        h=h,
        f=f,
    )


def snoring_contest(t: Teller) -> str:
    """Two accuse each other of snoring, and a witness is called."""
    h, f, w = t.who("beast", named=0.8), t.who("beast", named=0.8), t.who("bird", "small")
    return t.tell(
        """"You snore," said {h.a}. ~"It is you who snores," said {f.a}, [who shared the burrow|who slept in the next bed]. They
        [quarrelled about it until noon|were cross all day]. At last they asked {w.a} to sit up {night} and listen. ~In the
        morning {w} had [red eyes|straw in both ears]. "[Well|And]?" they said. "Which of us is it?" ~"[First the one, and then the
        other|You take turns]," said {w}. "[It is quite pretty|Towards morning it was almost a tune]. But you both talk, too." ~"[What
        do we say|And what about]?" ~"[You tell each other to stop snoring|{H} says sorry, and {f} says never mind]." """,
        h=h,
        f=f,
        w=w,
    )


def apple_that_waited(t: Teller) -> str:
    """The best one on the tree is saved too long, or just long enough."""
    t.in_season("autumn")
    h, f = t.who("folk", "beast", "child"), t.who("bird", "elder")
    return t.tell(
        """On the {fruit} tree of {h.a} hung one {fruit}, finer than all the others. "[I shall save it for a
        great day|It is too good for today]," said {h}. {day} came, and it was [only a {day}|nothing
        special]. {Weather}. "[It is ripe|Today would be good]," said {f.a} in passing. ~"[Not yet|I am
        waiting for something to celebrate]," said {h}. ~The next morning it lay in the grass, a little
        brown on one side. {H} [sat down beside it|picked it up]. ~"[What a pity,|And what is it today?]"
        said {f}. ~{H} bit into it, and {h.his} eyes grew round. "[A great day, as it turns out|Come here,
        there is half of it left]," said {h}.""",
        h=h,
        f=f,
    )
