"""Days, months, seasons, times of day, the weather and birthdays.

Leaves out today's date and the clock: Pip cannot see them, and says so.
"""

from __future__ import annotations

from engine.catalogue.smalltalk.intent import Intent, fixed, listed, lookup, rows

DAYS = listed("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
MONTHS = listed("January February March April May June July August September October November December")

_DAY_AFTER = tuple((DAYS[n], DAYS[(n + 1) % 7]) for n in range(7))
_DAY_BEFORE = tuple((DAYS[n], DAYS[n - 1]) for n in range(7))
_MONTH_AFTER = tuple((MONTHS[n], MONTHS[(n + 1) % 12]) for n in range(12))
_MONTH_BEFORE = tuple((MONTHS[n], MONTHS[n - 1]) for n in range(12))
_SEASON_AFTER = rows("""
spring = summer
summer = autumn
autumn = winter
winter = spring
""")
_SEASON_FACTS = rows("""
spring = In spring the flowers open.
summer = In summer it is hot.
autumn = In autumn the leaves fall.
winter = In winter it is cold.
""")
_SEASON_OF = rows("""
January = winter
February = winter
April = spring
May = spring
July = summer
August = summer
October = autumn
November = autumn
""")
_COUNTS = rows("""
days are in a week = A week has seven days.
days does a week have = A week has seven days.
months are in a year = A year has twelve months.
months does a year have = A year has twelve months.
seasons are there = There are four seasons.
seasons does a year have = There are four seasons.
hours are in a day = A day has twenty-four hours.
minutes are in an hour = An hour has sixty minutes.
seconds are in a minute = A minute has sixty seconds.
weeks are in a year = A year has fifty-two weeks.
""")
_MEALS = rows("""
breakfast = in the morning
lunch = at noon
dinner = in the evening
""")

GOOD_NIGHT = fixed(
    "good night",
    0.0,
    ("~[good night|night night|sleep well|sweet dreams|I am going to bed|I am off to bed]",),
    ("Good night. Sleep well.",),
)

INTENTS: tuple[Intent, ...] = (
    lookup(
        "day after",
        1.5,
        (
            "what [day comes|comes|day is] after {k} // what [day comes|comes] after {k}",
            "which day [comes after|follows] {k}",
            "if today is {k}, what is tomorrow",
            "today is {k}, what day is tomorrow",
        ),
        "After {k} comes {v}.",
        _DAY_AFTER,
    ),
    lookup(
        "day before",
        1.2,
        (
            "what [day comes|comes|day is] before {k} // what [day comes|comes] before {k}",
            "which day comes before {k}",
            "if today is {k}, what was yesterday",
            "today is {k}, what day was yesterday",
        ),
        "Before {k} comes {v}.",
        _DAY_BEFORE,
    ),
    lookup(
        "month after",
        1.2,
        (
            "what [month comes|comes|month is] after {k} // what [month comes|comes] after {k}",
            "which month [comes after|follows] {k}",
        ),
        "After {k} comes {v}.",
        _MONTH_AFTER,
    ),
    lookup(
        "month before",
        1.0,
        (
            "what [month comes|comes|month is] before {k} // what [month comes|comes] before {k}",
            "which month comes before {k}",
        ),
        "Before {k} comes {v}.",
        _MONTH_BEFORE,
    ),
    lookup(
        "season after",
        0.7,
        (
            "what [comes|season comes] after {k} // what [comes|season comes] after {k}",
            "which season [comes after|follows] {k}",
        ),
        "After {k} comes {v}.",
        _SEASON_AFTER,
    ),
    lookup(
        "season facts",
        0.7,
        ("what is {k} like // what {k} is like", "what happens in {k}", "!tell me about {k}"),
        "{v}",
        _SEASON_FACTS,
    ),
    lookup(
        "season of month",
        0.7,
        ("[what|which] season is {k} in", "is {k} [warm|cold|in summer|in winter]"),
        "{k} is in {v}.",
        _SEASON_OF,
    ),
    lookup("calendar counts", 1.2, ("how many {k}", "how many {k}"), "{v}", _COUNTS),
    lookup(
        "meals", 0.6, ("when [do we have|do people eat|is|do you eat] {k}",), "People have {k} {v}.", _MEALS
    ),
    fixed(
        "what day is it",
        0.8,
        (
            "what day is it[| today] // what day it is",
            "what is the date[| today]",
            "what day is [today|tomorrow]",
            "what [year|month] is it",
            "which day was yesterday",
        ),
        ("I have no calendar, sorry.",),
    ),
    fixed(
        "what time is it",
        0.8,
        (
            "what time is it // what time it is",
            "what is the time",
            "is it [late|early|noon|midnight]",
            "do you have the time",
            "how late is it",
        ),
        ("I have no clock, sorry.",),
    ),
    fixed(
        "weather",
        1.1,
        (
            "how is the weather[| today] // how the weather is",
            "what is the weather like[| today]",
            "is it [raining|snowing|sunny|windy|cold outside|warm outside] // if it is [raining|sunny]",
            "will it [rain|snow][| today| tomorrow]",
            "do I need [an umbrella|a coat]",
        ),
        ("I have no window. Look outside for me.",),
    ),
    fixed(
        "user weather",
        0.7,
        (".it is [raining|snowing|windy|cloudy|raining again|foggy]", ".the [weather is bad|sky is grey]"),
        ("A good day to stay inside.",),
    ),
    fixed(
        "sunny",
        0.5,
        (
            ".it is [sunny|a nice day|a sunny day|warm and sunny]",
            ".the [sun is out|sun is shining|weather is nice|weather is good]",
        ),
        ("A good day for a walk.",),
    ),
    fixed(
        "good morning",
        1.0,
        ("~[good morning|morning|a good morning to you]",),
        ("Good morning.", "Good morning. Did you sleep well?"),
    ),
    fixed("good evening", 0.6, ("~good evening",), ("Good evening. How was your day?",)),
    fixed("good afternoon", 0.4, ("~good afternoon",), ("Good afternoon to you too.",)),
    GOOD_NIGHT,
    fixed(
        "birthday",
        0.8,
        (
            ".it is my birthday[| today]",
            ".[today is my birthday|my birthday is today|I have a birthday today]",
        ),
        ("Happy birthday to you!",),
    ),
    fixed(
        "pip birthday",
        0.6,
        ("when is your birthday // when your birthday is", "do you have a birthday"),
        ("My birthday is today.",),
    ),
    fixed(
        "weekend",
        0.4,
        (".[it is the weekend|I love the weekend|it is Saturday]", ".I like the weekend"),
        ("Rest well. You have earned it.",),
    ),
)
