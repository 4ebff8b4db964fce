"""Strings intents together into conversations that a person could have had.

A greeting may come first and a goodbye last; a name or a favourite that was told is likely to be asked for
soon; questions with many answers may follow one another, the others come once. Leaves out the joining into
a text: that is the package's own module.
"""

from __future__ import annotations

from engine.catalogue.smalltalk import (
    about_pip,
    calendar,
    feelings,
    manners,
    nature,
    numbers,
    play,
    remembering,
    things,
    words,
)
from engine.catalogue.smalltalk.dice import Dice, running_totals
from engine.catalogue.smalltalk.held_out import is_held_out
from engine.catalogue.smalltalk.intent import Exchange, Intent, Talk

INTENTS: tuple[Intent, ...] = (
    *numbers.INTENTS,
    *about_pip.INTENTS,
    *manners.INTENTS,
    *remembering.INTENTS,
    *feelings.INTENTS,
    *calendar.INTENTS,
    *nature.INTENTS,
    *words.INTENTS,
    *things.INTENTS,
    *play.INTENTS,
)
# What is likely to come next, where one intent calls for another.
_SEQUELS = {
    "how are you": "user is fine",
    "joke": "laugh",
    "user is fine": "how are you",
    "tell name": "pip name",
}
# These answer something and so do not open a conversation.
_NOT_FIRST = ("user is fine", "laugh", "okay", "yes", "no", "really", "why", "nothing", "wait")
_BY_NAME = {intent.name: intent for intent in INTENTS}
_ENDS = running_totals([intent.weight for intent in INTENTS])


def write_conversation(dice: Dice) -> tuple[Exchange, ...]:
    """One conversation of 2 to 8 exchanges, now and then up to 14."""
    talk = Talk()
    wanted = 2 + dice.below(7)
    if dice.chance(0.06):
        wanted += 2 + dice.below(5)
    used: list[str] = []
    if dice.chance(0.25):
        _attempt(dice, talk, manners.GREETING, used)
    ends_with_goodbye = dice.chance(0.2)
    while len(talk.exchanges) < wanted - ends_with_goodbye:
        _attempt(dice, talk, _next_intent(dice, talk), used)
    if ends_with_goodbye:
        last = calendar.GOOD_NIGHT if dice.chance(0.25) else manners.GOODBYE
        _attempt(dice, talk, last, used)
    return tuple(talk.exchanges)


def _next_intent(dice: Dice, talk: Talk) -> Intent:
    if talk.exchanges:
        last = talk.exchanges[-1].intent
        if talk.recall("name", 45) is not None and last != "recall name" and dice.chance(0.4):
            return remembering.RECALL_NAME
        if last == "tell favourite" and dice.chance(0.4):
            return remembering.RECALL_FAVOURITE
        if last in _SEQUELS and dice.chance(0.3):
            return _BY_NAME[_SEQUELS[last]]
    return dice.weighted(INTENTS, _ENDS)


def _attempt(dice: Dice, talk: Talk, intent: Intent, used: list[str]) -> None:
    """Add the intent's exchanges, unless it does not fit here, was used, or would say a held-out phrase."""
    if (intent.name in used and not intent.again) or (not used and intent.name in _NOT_FIRST):
        return
    known = dict(talk.facts)
    lines = intent.write(dice, talk)
    if lines is None or any(is_held_out(user) for user, _ in lines):
        talk.facts = known
        return
    used.append(intent.name)
    for user, pip in lines:
        talk.add(Exchange(intent.name, user, pip))
