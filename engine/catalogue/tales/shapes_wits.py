"""Tales of tricks, lies, judges, boasts and bargains, and of how they turn out."""

from __future__ import annotations

from engine.catalogue.tales.grammar import Teller


def trick_backfires(t: Teller) -> str:
    """A trap laid for another waits patiently for the one who laid it."""
    h, f = t.who("beast", adjective="clever", named=0.8), t.who("beast", named=0.8)
    trick, result = t.pick(
        (
            (
                "balanced a bucket of water over the door",
                "The bucket had been patient, and so {h} was wet to the tail",
            ),
            (
                "put pepper into the sugar bowl",
                "By then the tea was poured, and {h}, who liked it sweet, sneezed for an hour",
            ),
            (
                "dug a pit on the path and covered it with leaves",
                "There was a crack and a thump, and the leaves closed over {h}",
            ),
            ("painted the bench with fresh {colour} paint", "When {h} stood up, the bench came along"),
            (
                "tied a thread across the stairs",
                "{H} went down those stairs faster than ever before, and not on {h.his} feet",
            ),
            (
                "filled {f}'s boots with cold porridge",
                "The boots stood in the dark beside {h.his} own, and they looked just alike",
            ),
        )
    )
    return t.tell(
        """{h.a} [was fond of jokes, as long as they happened to others|could not see a quiet morning
        without wanting to spoil it]. {When}, {h.he} {trick} and [hid behind the stove|sat down] to wait for
        {f.a}, who lived in the same house. ~{h.He} waited [and giggled|with a paw over {h.his} mouth]. {F}
        did not come. {H} yawned, and nodded off, and by the time it was dark {h.he} had forgotten all about
        it. ~"[Well, time for bed|I may as well go out and look]," said {h}, and got up. ~{result}. ~Just
        then {f} came in, with [a {food} under one arm|a basket of {berries}]. "[What happened here|Whatever
        are you doing]?" ~"[Nothing|I was trying something out]," said {h} [with dignity|from the floor].
        "It works." """,
        h=h,
        f=f,
        trick=trick,
        result=result,
    )


def lie_uncovered(t: Teller) -> str:
    """Somebody ate the pie and has an explanation, which grows until it trips."""
    h, f = t.who("beast", "child", adjective="hungry", named=0.8), t.who("elder", "folk")
    proof = t.pick(
        (
            "there is sugar on your nose",
            "you have the spoon behind your ear",
            "the crumbs go from the plate straight to your chair",
            "your pocket is dripping",
            "you are holding the plate",
            "you have hiccups, and you only get hiccups from too much cake",
        )
    )
    return t.tell(
        """{f.a} set a {food} on the window sill to cool, and when {f.he} came back, there was only a plate.
        ~"Who ate the {food}?" ~"[It was a bear|A bear was here]," said {h.a}, [a little too quickly|looking
        at the ceiling]. "[A huge one|With a beard]." ~"[Dear me|Fancy that]," said {f}. "And how did it get
        in?" ~"[Down the chimney|Through the keyhole]. It was thinner then." ~"[The ground is soft|It is
        muddy out]," said {f}. "There must be footprints." ~"It [hopped|wore slippers|flew]," said {h}, who
        was [beginning to sweat|not so sure any more]. ~"Poor you," said {f}. "There is just one thing.
        {Proof}." ~"It was a very small bear," said {h} in a small voice. ~"So I see. Tomorrow you will help
        me bake another," said {f}. "[It takes longer than eating|The bear may wash up]." """,
        h=h,
        f=f,
        proof=proof,
    )


def wish_with_price(t: Teller) -> str:
    """A wish is granted at a price that sounds small, and buying it back teaches arithmetic."""
    h, w = t.who("folk", "beast"), t.who("elder", "bird", named=0.0)
    wish, price, loss = t.pick(
        (
            ("never to be tired", "your dreams", "the nights were as long and empty as a corridor"),
            ("never to be cold", "the taste of soup", "every soup was like warm water with a spoon in it"),
            ("always to be right", "the wish to be asked", "nobody told {h.him} anything any more"),
            (
                "to have a purse that is never empty",
                "your whistle",
                "{h.he} opened {h.his} mouth in the morning, and no tune came",
            ),
            ("to know what everybody is thinking", "a quiet head", "it was like living in a henhouse"),
            (
                "to be the handsomest one in {village}",
                "your laugh",
                "people told the best jokes, and {h.he} only nodded",
            ),
            ("never to lose at cards", "your friends", "one by one they put on their hats and went home"),
        )
    )
    return t.tell(
        """{When}, {h.a} met {w.one} by the old well. "Wish for something," said {w}. "[It costs next to
        nothing|I am in a good mood]." ~"I wish {wish}," said {h}. "[And what does it cost|What is the
        price]?" ~"Only {price}." ~"[Is that all?|Done!]" said {h}, [and they shook on it|and laughed]. ~For
        a week it was [splendid|wonderful]. But then {h.he} noticed that {loss}. So {h.he} went back to the
        well and asked to undo it. ~"Certainly," said {w}. "That costs [one honest day of work|one bucket of
        water, carried up {hill} without spilling]." ~"[Is that all|No more]?" asked {h}. ~"[That is what
        things cost|It always was]," said {w}. "[It is the bargains that are dear|You never asked]." """,
        h=h,
        w=w,
        wish=wish,
        price=price,
        loss=loss,
    )


def judge_and_the_goose(t: Teller) -> str:
    """Two people claim one animal, and the judge asks the only witness who cannot lie."""
    a, b, j = t.who("folk", named=1.0), t.who("folk", named=1.0), t.who("elder", "bird", named=0.2)
    test = t.pick(
        (
            "Open the door and let the {farm} go home. We shall walk behind it",
            "Call it, both of you, from the two ends of the square",
            "Sing to it as you do at feeding time",
            "Very well, it shall be roasted, and each of you gets half",
        )
    )
    return t.tell(
        """{a.a} and {b.a} came before the judge with one {farm} between them. "[It is mine|I raised it by
        hand]," said {a}. "[I would know it anywhere|It was stolen from my yard]," said {b}. ~The judge was
        {j.one}, [known for short words|who wanted to get to lunch]. "{test}," said the judge. ~{B} [went
        pale|opened and shut {b.his} mouth]. "[There is no need for that|That proves nothing], your honour."
        ~But {a} [put down the rope|bent down] and said to the {farm}, "Go, then. [I would rather lose you
        than have you hurt|You know the way]." ~The {farm} [looked from one to the other|thought it over],
        walked across the floor and sat down on the left boot of {a}. ~"I have heard the witness," said the
        judge. "{b} will sweep this floor, which needs it [since your witness came|now]." """,
        a=a,
        b=b,
        j=j,
        test=test,
    )


def boaster_on_watch(t: Teller) -> str:
    """One who fears nothing is given the night watch, and something comes."""
    h, f = t.who("beast", "folk", adjective="proud", named=0.8), t.who("child", "small")
    noise, truth = t.pick(
        (
            ("Tap, tap, tap", "a loose shutter, saying the same thing over and over"),
            ("Whooo", "an empty bottle, into which the wind was blowing"),
            ("Scratch, scratch", "a hen who had been locked out and was cross about it"),
            ("Drip. Drip. Drip", "a wet shirt that somebody had left on the line"),
            ("Clank, clank", "a goat that had got its foot into a pan"),
            (
                "Hush, hush, hush",
                "a broom that was sweeping the yard by itself, or rather with the baker behind it",
            ),
        )
    )
    return t.tell(
        """"I am afraid of nothing," said {h.a}. "[Not of wolves, nor of thunder|I once looked at a bear
        until it said sorry]." ~"[How lucky|Good]," said the people of {village}. "Then you can keep watch
        tonight." ~So {h} sat by the gate with a [stick|lantern] and [hummed|whistled]. {Dark}. At midnight
        there came a sound. {noise}. ~{H} [stopped|held {h.his} breath]. "[Who is there|Hello]?" {noise}. "I
        warn you, I am not alone!" said {h}, [from under the cart|quite high up]. {noise}. ~In the morning
        {f.a} found {h} [holding on to the top of the gate|under the cart]. "Is anything wrong?" ~"Ssh! [It
        has a hundred legs|It is out there]," whispered {h}. ~{F} [went round the corner and came back|went
        to look]. "It is {truth}." ~"[I knew that|Of course it is]," said {h}. "I only wanted to see if you
        were afraid." """,
        h=h,
        f=f,
        noise=noise,
        truth=truth,
    )


def garden_thief(t: Teller) -> str:
    """Something vanishes from the garden each night; the watcher is not prepared for the thief."""
    h = t.who("folk", "elder", "beast")
    thief, reason = t.pick(
        (
            (
                "a very small rabbit with a very large wheelbarrow",
                "There are eleven of us, and I am the one with the barrow",
            ),
            ("the mayor in a nightshirt", "I cannot sleep, and at home they never let me have them raw"),
            ("an old donkey, walking on the tips of its hooves", "They sold the farm and forgot me"),
            (
                "three hedgehogs in a row, from large to small",
                "We thought that it was a shop, and that one paid in the morning",
            ),
            ("a boy with a lantern and bare feet", "My sister is ill, and she asked for soup"),
            (
                "a scarecrow, who was really a hungry soldier",
                "Nobody gives work to straw, so I helped myself",
            ),
        )
    )
    return t.tell(
        """[Every morning some of the {crop} were gone from the garden of {h.a}|Somebody was stealing the
        {crop} of {h.a}]. Not many, only a handful. {H} [put up a fence, and it made no difference|put up a
        sign, but thieves seldom read]. ~So {night} {h.he} sat down behind the [water barrel|{fruit} tree]
        with a big stick. {Dark}. Through the gate came {thief}. ~{H} had prepared some very strong words,
        but they would not come out. "[Good evening.|And what is this?]" {h.he} said instead. ~The thief
        [jumped|dropped everything]. "{reason}." ~{H} looked at the stick and felt foolish, so {h.he} [put
        it behind {h.his} back|sat on it]. "[You have been pulling the wrong ones|Those are not ripe yet],"
        {h.he} said. "The good ones are at the back. And next time bring a basket." """,
        h=h,
        thief=thief,
        reason=reason,
    )


def obedient_whistle(t: Teller) -> str:
    """A magic thing does exactly what it is told and does not know when to stop."""
    h, p = t.who("child", "folk", "beast"), t.who("elder", named=0.0)
    thing, act, flood, stop = t.pick(
        (
            (
                "a pot that makes porridge",
                "The porridge rose over the rim, over the stove and out at the window",
                "the whole lane was porridge, and a dog swam by, eating",
                "Thank you, that is plenty",
            ),
            (
                "a broom that sweeps",
                "It swept the floor, and the walls, and the cat, and then the pictures off their nails",
                "it had swept the road to {village} clean away",
                "Now you may rest",
            ),
            (
                "a whistle that calls the wind",
                "The wind came in and turned over the pages of every book, and then the tables",
                "all the hats of {village} were hanging in one {tree}",
                "Please go home now",
            ),
            (
                "a spade that digs",
                "It dug up the garden, and then the cellar, and went on down",
                "there was a hole so deep that one could hear singing at the bottom",
                "That is deep enough, my dear",
            ),
            (
                "a needle that sews",
                "It sewed the curtains together, the sleeves to the trousers, and the tablecloth to the aunt",
                "the front door was hemmed all the way round",
                "That is beautiful, and it is finished",
            ),
        )
    )
    return t.tell(
        """{When}, {h.a} helped {p.one} over a stile and was given {thing}. "[It only wants to be asked|Say
        the word, and it begins]," said {p}. "And to stop it, speak nicely." But {h} [was already running
        home|never listened to the ends of things]. ~"Go on!" said {h}. [And it did|It began at once].
        {act}. ~"Stop!" cried {h}. By [evening|noon] {flood}. ~{H} ran back to the stile. "It will not
        listen!" ~"[What did you say to it|And how did you ask]?" said {p}. {H} told {p.him}, and {p} raised
        one eyebrow. "Would you stop for that?" ~So {h} went home, [took off {h.his} hat|swallowed hard] and
        said, "{stop}." ~And there was peace. [It took a week to tidy up|{H} has said please to every spoon
        ever since].""",
        h=h,
        p=p,
        thing=thing,
        act=act,
        flood=flood,
        stop=stop,
    )


def deal_with_winter(t: Teller) -> str:
    """Winter knocks in person, and somebody small comes to an agreement with him."""
    t.in_season("winter")
    h = t.who("elder", "small", "child")
    ask, pay = t.pick(
        (
            ("one warm day for a wedding", "a pair of mittens, for your fingers are cold"),
            ("one week without wind, to mend the roof", "a story for every evening of it"),
            ("a little thaw, so that the hens could drink", "a cup of {drink}, which you have never tasted"),
            ("snow instead of ice, because of the children", "a kind word, every time you pass"),
            ("a road kept open, so that the doctor could come", "a chair by the door, not too near the fire"),
        )
    )
    return t.tell(
        """On the coldest night of the year there was a knock at the door of {h.a}. Outside stood Winter
        himself, [tall and thin, with a beard of ice|in a coat that creaked]. ~"[I have come for your
        woodpile|I have come to blow out your fire]," he said. ~"[Wipe your feet|Shut the door behind you],"
        said {h}, "and sit down. You look tired." ~Winter was [so surprised that he sat|not used to being
        asked]. A puddle began to form round his boots. ~"I like the quiet you bring," said {h}. "But I
        could use {ask}." ~"What would I get?" ~"{pay}," said {h}. ~Winter thought, and [dripped|his nose
        ran]. Then he nodded, and a little snow fell out of his ears. ~[In the morning {village} wondered at
        the weather|The almanac could not explain it]. But [in the house of {h} a chair stands ready|every
        year now he knocks first].""",
        h=h,
        ask=ask,
        pay=pay,
    )


def bag_of_sunshine(t: Teller) -> str:
    """A pedlar sells sunshine in a bag; the bag is empty, and the buyer is content."""
    h, p = t.who("elder", "folk", "beast"), t.who("folk", adjective="clever", named=0.4)
    t.in_season("autumn", "winter", "spring")
    return t.tell(
        """{Morning}, {p.a}, who had turned pedlar, came to {village} with a sack. "Sunshine!" {p.he}
        called. "Sunshine by the bag! You must open it at noon, on the top of {hill}." ~Only {h.a} bought
        one for {few} pennies. ~At noon {h} climbed {hill}. At the top {h.he} opened the bag. [There was
        nothing in it but a little flour|It was quite empty]. ~"[Well|So]," said {h}, and sat down on it to
        be angry in comfort. Just then the clouds came apart. A long yellow light walked over the fields and
        stopped at {h.his} feet. ~That evening {p} met {h} at the gate and turned pale. "You want your money
        back, I suppose." ~"[What for|Why]?" said {h}. "[It was a bit slow to come out|It worked very well].
        Have you any more?" """,
        h=h,
        p=p,
    )
