"""The small coins of talk: hello, goodbye, thanks, sorry, praise, insults, and what to say to nonsense.

Leaves out remembered names in greetings: `remembering` and `conversation` put those in.
"""

from __future__ import annotations

from engine.catalogue.smalltalk.dice import Dice
from engine.catalogue.smalltalk.intent import Intent, Lines, Talk, fixed, listed
from engine.catalogue.smalltalk.phrasing import say, sentence

_BYES = (
    "~[bye|goodbye|bye bye|see you|see you later|see you soon|so long|farewell]",
    "~[see you tomorrow|until next time|take care|talk to you later]",
    "~[I have to go|I must go|I have to leave|time to go|I am leaving]",
    "~[I have to go now, bye|okay, bye|that is all, bye|thanks, bye]",
)
_GIBBERISH = listed("kr gn pt sk v z x zh vl bn")
_VOWELS = listed("a e i o u oo ee")
_ENDINGS = listed("b g x z rp lf zt")


def _goodbye(dice: Dice, talk: Talk) -> Lines:
    user = say(dice, dice.pick(_BYES))
    name = talk.recall("name", len(user) + 30)
    if name is not None:
        return ((user, f"Goodbye, {name}. Come back soon."),)
    return ((user, dice.early(("Goodbye. Come back soon.", "Goodbye.", "Bye. It was nice to talk."))),)


def _nonsense_word(dice: Dice) -> str:
    return dice.pick(_GIBBERISH) + dice.pick(_VOWELS) + dice.pick(_ENDINGS)


def _unclear(dice: Dice, talk: Talk) -> Lines:
    if dice.chance(0.3):
        letters = "asdfghjklqwertyzxcvb"
        start = dice.below(len(letters) - 6)
        line = letters[start : start + 3 + dice.below(4)]
        line += dice.pick(("", " " + line, line))
    else:
        line = " ".join(_nonsense_word(dice) for _ in range(1 + dice.below(4)))
    line += dice.pick(("", "", "?", "!", "."))
    return (
        (
            line if dice.chance(0.7) else sentence(line),
            dice.early(("I did not catch that.", "Sorry, I did not catch that.")),
        ),
    )


GREETING = fixed(
    "greeting",
    0.4,
    (
        "~[hello|hi|hey|hi there|hello there|hey there|hello hello|hey you|hiya]",
        "~[hello|hi|hey]",
        "~[hello|hi|hey], [nice to meet you|I am back|good to see you|it is me]",
        "~[greetings|good day|howdy]",
    ),
    ("Hello. Nice to see you.", "Hello.", "Hi there."),
)
GOODBYE = Intent("goodbye", 0.0, _goodbye)

INTENTS: tuple[Intent, ...] = (
    GREETING,
    GOODBYE,
    fixed(
        "how are you",
        2.2,
        (
            "how are you // how you are",
            "how are you [doing|today|feeling|doing today|this morning]",
            "how is it going",
            "how do you [do|feel]",
            "are you [well|okay|fine|all right]",
            "how have you been",
            "how was your day",
            "what is up",
            "~[hello|hi|hey], how are you[| today]",
            "is everything [okay|all right]",
        ),
        ("I am fine, thank you. And you?", "I am well, thank you."),
    ),
    fixed(
        "user is fine",
        1.0,
        (
            ".I am [fine|good|well|okay|all right|great]",
            ".I am [fine|good|well], [thanks|thank you]",
            ".[very well|pretty good|not bad|all good][|, thanks|, thank you]",
            ".I am doing [fine|well]",
        ),
        ("Good to hear.", "I am glad to hear that."),
    ),
    fixed(
        "thanks",
        1.8,
        (
            "~[thanks|thank you|thank you very much|thanks a lot|many thanks|thank you so much]",
            "~[thanks|thank you][| for your help| for that| for the help]",
            "~[great|okay|nice|cool], [thanks|thank you]",
            "~that [was|is] [helpful|very helpful|kind of you]",
        ),
        ("You are welcome.", "You are welcome. Any time."),
    ),
    fixed(
        "sorry",
        0.8,
        (
            "~[sorry|I am sorry|oh, sorry|I am so sorry|sorry about that|I apologise|forgive me]",
            ".[it was my fault|my mistake]",
        ),
        ("No harm done.",),
    ),
    fixed(
        "compliment",
        1.2,
        (
            ".you are [nice|great|funny|clever|kind|sweet|cute|smart|the best|wonderful|cool|very good]",
            ".[I like you|I love you|you are my friend|you are a good friend|you make me smile]",
            ".[well done|good job|good answer|nice work|that was good|clever you]",
        ),
        ("Thank you. That is kind of you.", "Thank you. You made my day."),
    ),
    fixed(
        "insult",
        1.2,
        (
            ".you are [stupid|dumb|silly|boring|useless|bad|slow|ugly|a fool|wrong|mean|strange|weird]",
            ".[I hate you|I do not like you|that was bad|bad answer|that is wrong|shut up|go away]",
        ),
        ("I am sorry. I will try harder.", "Fair enough. I am still learning."),
    ),
    fixed(
        "okay",
        1.4,
        ("~[ok|okay|cool|nice|good|great|fine|all right|I see|right|sure|wow|interesting|aha|good to know]",),
        ("Good.", "Good. What else?"),
    ),
    fixed("yes", 0.7, ("~[yes|yeah|yep|yes please|of course|sure thing|I think so]",), ("Good, we agree.",)),
    fixed(
        "no",
        0.7,
        ("~[no|nope|no thanks|not really|no thank you|I do not think so]",),
        ("All right, no it is.",),
    ),
    fixed(
        "laugh",
        0.8,
        ("~[haha|ha ha|hahaha|lol|hehe|that is funny|that was funny|very funny|good one]",),
        ("I am glad you laughed.",),
    ),
    fixed(
        "really",
        0.7,
        (
            "~[really|oh really]",
            "are you sure",
            "is that [true|right|so]",
            "~[I do not believe you|no way|that is not true]",
        ),
        ("Yes, I am fairly sure.",),
    ),
    fixed(
        "why",
        0.8,
        ("why", "why is that", "why not", "but why", "how come"),
        ("I do not know why. I am small.",),
    ),
    fixed(
        "help",
        1.0,
        (
            "~[help|help me|I need help|I need some help|please help me|I am stuck|I am lost]",
            "can you help[| me]",
            ".I do not know what to [say|ask|do]",
            "what should I [say|ask]",
        ),
        ("Ask me my name, or a small sum.", "I will try. Ask me a small sum."),
    ),
    fixed(
        "test",
        0.5,
        (
            "~[test|testing|this is a test|just testing|testing, testing]",
            "does this work",
            "is this on",
            "are you there",
            "can you hear me",
        ),
        ("I am here.", "Yes, I am here."),
    ),
    fixed(
        "wait",
        0.4,
        ("~[wait|wait a moment|one moment|hold on|wait a minute|give me a second|be right back]",),
        ("I will wait. I am good at that.",),
    ),
    fixed(
        "nothing",
        0.4,
        ("~[nothing|never mind|nothing much|not much|forget it|it does not matter]",),
        ("Nothing is fine too.",),
    ),
    fixed(
        "cannot",
        0.5,
        (
            "can you [cook|drive|fly|swim|dance|walk|paint|clean|jump|run]",
            "!make me [a cake|some tea|a sandwich|some soup]",
            "!open the [door|window]",
        ),
        ("I cannot do that. I am only text.",),
    ),
    Intent("unclear", 1.8, _unclear),
)
