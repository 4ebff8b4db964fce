"""More tales of animals: first snow, forgotten nuts, moonlight, shadows, migrations and a very slow parade."""

from __future__ import annotations

from engine.catalogue.tales.grammar import Teller


def first_snow(t: Teller) -> str:
    """One born in spring has never seen snow and raises the alarm."""
    t.in_season("winter")
    h, old = t.who("small", "beast", adjective="young", named=0.9), t.who("beast", "bird", adjective="old")
    return t.tell(
        """{h.a} had been born in spring and [knew all about the world|thought that was how things were]: it
        was green. {Morning}, {h.he} looked out and [cried out|got a fright]. "[The sky is coming
        off|Somebody has rubbed out the meadow]!" ~{h.He} ran from door to door, [leaving small holes all
        the way|up to {h.his} chest in it]. ~"It is only snow," said {old.a}. ~"[What is it for|Does it
        bite]?" ~"[It keeps the seeds warm|It is for quiet, I think]. And for sliding." ~"[And where is the
        green|But where did the green go]?" ~"Underneath," said {old}. "[It is asleep|You can dig and see]."
        ~{H} dug. Far down there was one blade of grass, [bent and cold and green|no longer than a whisker].
        {H} breathed on it, and covered it up again. ~Then {h.he} went [very softly|on tiptoe] from door to
        door once more. "Ssh," {h.he} said to everybody. "[Not so loud|You can go on sleeping]. It is only
        [underneath|waiting]." """,
        h=h,
        old=old,
    )


def forgotten_nuts(t: Teller) -> str:
    """A bad memory plants a wood."""
    h, f = t.who("beast", adjective="forgetful", named=0.9), t.who("beast", "bird")
    return t.tell(
        """Every autumn {h.a} buried a great many [nuts|acorns], and every winter {h.he} [could not remember
        where|had no idea where they were]. "[Under the big stone|It was near something brown]," {h.he}
        would say, and find [an old bone|nothing but snow]. ~"[You are hopeless|What would you do without
        me]," said {f.a}, [and filled {h.his} plate|not unkindly]. ~Years went by, and {h} grew old. Then
        came a terrible summer, when {wood} [burned from end to end|was cut down for ships], and nobody knew
        where to go. ~"There is a wood behind {hill}," said a [young jay|thrush]. "[It was not there when my
        mother was young|Nobody knows who planted it]." ~There were [oaks in crooked rows|hazels and oaks],
        hundreds of them, in the strangest places. {H} [scratched {h.his} head|looked up into the leaves].
        "[This looks familiar|I knew it was near something brown]," said {h}.""",
        h=h,
        f=f,
    )


def moon_in_the_pond(t: Teller) -> str:
    """Somebody guards the moon in the pond, and is thanked for the wrong thing."""
    h, f = t.who("beast", "small", adjective="serious", named=0.8), t.who("bird", "beast")
    return t.tell(
        """{Night}, {h.a} saw the moon lying in the pond. "[It has fallen in|Somebody must have dropped
        it]," said {h}, who did not look up much, and sat down to guard it, [in case somebody trod on
        it|until the owner came]. ~{h.He} sat there every night. But the moon grew thinner. "[Somebody is
        taking pieces|It is the damp]," thought {h}, and brought it a blanket. One night it was gone. ~"I
        have lost the moon," said {h}, [with wet eyes|and hung {h.his} head]. ~"[Nonsense|You]?" said {f.a}.
        "Give it a night or two." ~And two nights later there it lay, [as thin as an eyelash|a little silver
        crumb], and each night it was rounder. ~"[Hush|Not so loud]," said {h}. "[It was ill|It has not been
        well], but now it is eating again." """,
        h=h,
        f=f,
    )


def fear_of_a_shadow(t: Teller) -> str:
    """A giant on the wall turns out to be somebody one knows rather well."""
    h, f = t.who("small", "child", named=0.8), t.who("beast", "elder")
    thing, truth = t.pick(
        (
            ("a giant with two horns", "a chair with a shirt over it"),
            ("a monster with a hundred fingers", "the branch of the {tree} in front of the lamp"),
            ("a bear with a hat", "the stove, with a pot on it"),
            ("a long thin man without a head", "a broom in the corner"),
            ("a dragon with its mouth open", "the cat, who was yawning"),
            ("something huge with pointed ears", "{h} {h.himself}, with a candle behind {h.him}"),
        )
    )
    return t.tell(
        """{Night}, {h.a} [woke up|could not sleep] and saw on the wall {thing}. It moved. ~So {h} called
        for {f.a}, and {f} came in yawning and sat down on the bed. "[Oh yes, that one|That is a fine big
        one]," said {f}. "Shall I [chase it out|throw it out]?" ~"No!" said {h}. "[It will be angry|It is
        too strong for you]." ~"Then we must be polite," said {f}, and [nodded to the wall|bowed], and moved
        the candle a little to the left. ~The thing on the wall [shrank|folded up], and there was only
        {truth}. ~{H} looked at it for some time. "[Make it big again|Do it once more]," {h.he} said. ~They
        did it until the candle was gone, and the last time {h} [waved to it|wished it good night].""",
        h=h,
        f=f,
        thing=thing,
        truth=truth,
    )


def bird_who_stayed(t: Teller) -> str:
    """A swallow does not fly south, because nobody ever tells it how the winter is."""
    t.in_season("autumn")
    h = t.who("folk", "elder", "small", named=0.8)
    bird = t.pick(("swallow", "stork", "cuckoo", "crane", "swift"))
    return t.tell(
        """When the {bird}s flew south, one of them stayed behind, on the roof of {h.a}. ~"[Every year they
        say that the winter is terrible, and not one of them has seen it|I want to see what you do all
        winter]," it said. ~"[It is dark, and then it is cold|You will be sorry]," said {h}. "[But suit
        yourself|The shed is open]." ~In November the {bird} came into the kitchen, and in January it sat
        [in the bread basket|on the warm teapot] with a sock round its neck. ~"[Well|And what do you say
        now]?" asked {h}. ~"They were right," said the {bird} with its beak shaking. "[But nobody ever told
        me about soup|But nobody ever said how quiet it is]." ~In spring the others came back, [brown and
        loud|full of talk about lions]. "[How was it|Are you still alive]?" they cried. ~"Terrible," said
        the {bird}. ~But the next autumn there were two of them on the roof of {h}. "This is my sister,"
        said the {bird}. "[She has questions about soup|She brought her own sock]." """,
        h=h,
        bird=bird,
    )


def night_watch_of_frogs(t: Teller) -> str:
    """The frogs are asked to be quiet, and the silence is what wakes everybody."""
    h = t.who("noble", "folk", named=0.6)
    t.in_season("spring", "summer")
    return t.tell(
        """{h.a} could not sleep for the frogs. All night long they sang in the pond, [each one a different
        song|without tune and without shame]. {Evening}, {h} went out in {h.his} nightshirt. ~"[I must ask
        you to stop|Not one note more]," said {h}. "I shall give you this {thing}." ~"[Agreed|Very well],"
        said the frogs. ~That night it was so quiet that {h} could hear [the clock|{h.his} own heart], [and
        the beams creak|and a mouse think]. {h.He} [counted sheep, and heard each one land|waited, and
        nothing came, not even sleep]. The third night {h.he} [hummed something|croaked a little, just to
        try]. ~At four in the morning {h.he} was at the pond again. "[Where are you|Are you still there]?"
        ~"[Ssh|Quiet]," said the frogs. "[People are trying to sleep|We have a contract]." ~"I take it
        back," said {h}. "[Sing! The one about the mud|Please, the loud one]." ~They did, and [before the
        second verse|before they came to the flies] {h} was asleep in the wet grass, with a smile.""",
        h=h,
    )


def snail_with_news(t: Teller) -> str:
    """A very slow messenger brings the news at exactly the right time."""
    h = t.pick(("snail", "tortoise", "caterpillar"))
    sender, to = t.who("beast", named=0.7), t.who("beast", named=0.7)
    news, late = t.pick(
        (
            (
                "Come to my birthday on {day}",
                "It was the birthday after that one, and the cake was just being cut",
            ),
            ("I am still angry with you", "By then they had both forgotten why, and it made them laugh"),
            (
                "Please send back my umbrella",
                "At that very moment it began to rain, and the umbrella stood by the door",
            ),
            ("Do not sell the house", "The buyer was just dipping his pen in the ink"),
            (
                "Bring some {crop}, the soup is thin",
                "It was autumn by then, and the {crop} were finally ripe",
            ),
        )
    )
    return t.tell(
        """{sender.a} wanted to send word to {to.a}. "I am going that way," said a {h}. So {sender} gave it
        the message: {news}. ~The {h} set out {when}. It met a [hare|dragonfly], who said, "[Is that your
        top speed|Are you going, or have you stopped]?" It said the message over and over, [so as not to
        lose it|with feeling]. ~[At last|Weeks and weeks later] it came up the garden path and [cleared its
        throat|took a breath]. "{news}," it said. ~{late}. ~"[You could not have come at a better
        moment|What good timing]," said {to}. "Will you take an answer back?" ~"[Gladly|Of course]," said
        the {h}. "[I hope it is not urgent|Make it something that keeps]." """,
        h=h,
        sender=sender,
        to=to,
        news=news,
        late=late,
    )
