"""How users feel and what they tell of their day, met with kindness and small advice.

Leaves out how Pip feels, which is little: see `about_pip`.
"""

from __future__ import annotations

from engine.catalogue.smalltalk.intent import Intent, fixed, listed, lookup, rows, same

_JOBS = listed("teacher doctor baker farmer nurse painter driver cook singer pilot writer gardener")
_PETS = listed("dog cat fish bird rabbit horse hamster turtle")
_LIKED = listed(
    "pizza cake tea coffee music books snow rain cats dogs trains chess apples soup dancing stories"
)
_PLACES = listed("Paris London Rome Berlin Vienna Madrid Oslo Dublin Tokyo Cairo Boston Lisbon")
_AGES = listed("six seven eight nine ten eleven twelve thirteen fifteen twenty thirty forty fifty sixty")

_ADVICE = rows("""
sleep = Close the screen and breathe slowly.
learn = A little each day works best.
be happy = Go outside and call a friend.
wake up = Open the window and stretch.
relax = Sit down and drink some tea.
make a friend = Smile and say hello first.
be brave = Be scared, and do it anyway.
get rich = Spend less than you earn.
write a book = Write one page today.
get warm = Put on a second jumper.
""")

INTENTS: tuple[Intent, ...] = (
    fixed(
        "bored",
        1.2,
        (
            ".I am [bored|so bored|very bored|bored today]",
            ".[this is boring|I have nothing to do|there is nothing to do]",
            "what should I do when I am bored",
        ),
        ("Ask me for a joke, then.", "Ask me for a riddle, then."),
    ),
    fixed(
        "tired",
        1.1,
        (
            ".I am [tired|so tired|very tired|sleepy|really sleepy|exhausted]",
            ".[I did not sleep|I slept badly|I need sleep|I need a nap]",
        ),
        ("Then get some sleep.", "Then rest a little. I will wait."),
    ),
    fixed(
        "sad",
        1.2,
        (
            ".I am [sad|so sad|unhappy|feeling sad|feeling down|a bit sad|very sad today]",
            ".I feel [sad|bad|down|terrible]",
            ".[I had a bad day|my day was bad|today was a bad day|I want to cry]",
        ),
        ("I am sorry to hear that. I am here.", "I am sorry. Tell me more, if you like."),
    ),
    fixed(
        "happy",
        1.1,
        (
            ".I am [happy|so happy|very happy|glad|excited|feeling good|in a good mood]",
            ".I feel [happy|great|wonderful]",
            ".[I had a good day|my day was good|today was a good day]",
        ),
        ("That is lovely to hear.", "That makes me glad."),
    ),
    fixed(
        "angry",
        0.8,
        (
            ".I am [angry|so angry|mad|annoyed|furious|cross]",
            ".I feel angry",
            ".[everyone annoys me|my boss is mean]",
        ),
        ("Take a deep breath. It will pass.",),
    ),
    fixed(
        "scared",
        0.8,
        (
            ".I am [scared|afraid|nervous|worried|anxious]",
            ".I feel [scared|nervous]",
            ".I am [scared|afraid] of [the dark|spiders|exams]",
        ),
        ("You are braver than you think.",),
    ),
    fixed(
        "lonely",
        0.8,
        (
            ".I am [lonely|alone|all alone|so lonely]",
            ".I feel [lonely|alone]",
            ".[I have no friends|nobody likes me|I miss my friend]",
        ),
        ("You can always talk to me.",),
    ),
    fixed(
        "hungry",
        0.8,
        (
            ".I am [hungry|so hungry|very hungry|starving]",
            ".I [need|want] [food|something to eat]",
            "what should I [eat|cook]",
        ),
        ("How about some soup?",),
    ),
    fixed(
        "thirsty",
        0.6,
        (".I am [thirsty|so thirsty|very thirsty]", ".I [need|want] a drink", "what should I drink"),
        ("How about a glass of water?",),
    ),
    fixed(
        "cold",
        0.6,
        (".I am [cold|so cold|freezing]", ".[it is cold|it is cold here|it is so cold|it is freezing]"),
        ("Then put on a jumper.",),
    ),
    fixed(
        "hot",
        0.6,
        (".I am [hot|so hot|too warm]", ".[it is hot|it is hot here|it is so hot|it is too warm]"),
        ("Then open a window.",),
    ),
    fixed(
        "ill",
        0.7,
        (
            ".I am [ill|sick|not well]",
            ".I [feel sick|have a cold|have a fever|have a headache]",
            ".my [head|back|foot|tooth] hurts",
        ),
        ("Get well soon. Rest and drink tea.",),
    ),
    fixed(
        "late",
        0.5,
        (
            ".I am [late|too late|always late|in a hurry]",
            ".[I have no time|I have too much work|I am busy|work is hard]",
        ),
        ("Slow is fine. One thing at a time.",),
    ),
    fixed(
        "success",
        0.6,
        (
            ".I [won|won a game|passed my test|got a job|made it|did it|finished my work]",
            ".[it worked|it works]",
        ),
        ("Well done. I am proud of you.",),
    ),
    fixed(
        "failure",
        0.6,
        (
            ".I [lost|failed|failed my test|made a mistake|broke a cup|lost my keys]",
            ".it [failed|does not work]",
        ),
        ("It happens. Try again tomorrow.",),
    ),
    lookup(
        "advice",
        1.2,
        ("how [do|can|should] I {k} // how I can {k}", "how does one {k}", ".I want to {k}"),
        "{v}",
        _ADVICE,
    ),
    lookup(
        "user job",
        0.8,
        (".I am a {k}", ".I work as a {k}", ".my job is being a {k}"),
        "A {v} does good work.",
        same(*_JOBS),
    ),
    lookup(
        "user pet",
        0.8,
        (".I have a {k}", ".I have a [little|small|big] {k}", ".I got a {k}"),
        "A {v} is good company.",
        same(*_PETS),
    ),
    lookup(
        "user likes",
        1.2,
        (".I [like|love|really like] {k}", ".I [like|love] {k} a lot", ".I am fond of {k}"),
        "I like {v} too.",
        same(*_LIKED),
    ),
    lookup(
        "user lives",
        0.9,
        (".I live in {k}", ".I am from {k}", ".I come from {k}", ".my home is in {k}"),
        "I hear {v} is lovely.",
        same(*_PLACES),
    ),
    lookup(
        "user age",
        0.8,
        (".I am {k}", ".I am {k} years old", ".my age is {k}"),
        "Being {v} is a fine age.",
        same(*_AGES),
    ),
)
