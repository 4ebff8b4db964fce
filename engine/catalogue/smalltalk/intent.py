"""What one speaker can want in the small talk, and what has been said so far.

An intent writes one or more exchanges. Most are made from tables by `fixed` (the answer does not depend on
the question's words) and `lookup` (one row of a table, asked in many ways). Leaves out the choice of the
next intent: that is `conversation`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from engine.catalogue.smalltalk.dice import Dice
from engine.catalogue.smalltalk.phrasing import say, sentence, vary

USER = "You: "
MODEL = "Pip: "
# What an answer needs must stand this near before it: a model with a window of 128 characters sees it.
REACH_CHARS = 118


@dataclass(frozen=True)
class Exchange:
    """A line of the user and Pip's answer; neither has its speaker mark or line end."""

    intent: str
    user: str
    pip: str

    def text(self) -> str:
        """The two turns as they stand in the corpus."""
        return f"{USER}{self.user}\n{MODEL}{self.pip}\n"


Lines = tuple[tuple[str, str], ...]


@dataclass
class Talk:
    """One conversation while it is being written."""

    exchanges: list[Exchange] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)
    _length: int = 0
    _mentioned: dict[str, int] = field(default_factory=dict)

    def add(self, exchange: Exchange) -> None:
        """Append an exchange; if it tells or recalls a fact, note where Pip mentioned it last."""
        answer_at = self._length + len(USER) + len(exchange.user) + 1 + len(MODEL)
        self._length += len(exchange.text())
        self.exchanges.append(exchange)
        if exchange.intent.startswith(("tell ", "recall ")):
            for key, value in self.facts.items():
                place = exchange.pip.lower().find(value.lower())
                if place >= 0:
                    self._mentioned[key] = answer_at + place

    def recall(self, key: str, ahead: int) -> str | None:
        """The fact, if a model with a small window still sees it after `ahead` more characters."""
        at = self._mentioned.get(key)
        near = at is not None and self._length - at + ahead <= REACH_CHARS
        return self.facts[key] if near else None


@dataclass(frozen=True)
class Intent:
    """A thing people say. `write` returns None where it does not fit; `again`: it may come twice in one
    conversation."""

    name: str
    weight: float
    write: Callable[[Dice, Talk], Lines | None]
    again: bool = False


def fixed(
    name: str,
    weight: float,
    asks: tuple[str, ...],
    answers: tuple[str, ...],
    *,
    fact: bool = False,
    to_pip: bool = True,
) -> Intent:
    """An intent whose answer is always one of a few; the first answers are the most likely."""

    def write(dice: Dice, talk: Talk) -> Lines:
        user = say(dice, dice.pick(asks), fact=fact, to_pip=to_pip)
        return ((user, sentence(vary(dice, dice.early(answers)))),)

    return Intent(name, weight, write)


def lookup(
    name: str,
    weight: float,
    asks: tuple[str, ...],
    answer: str,
    table: tuple[tuple[str, str], ...],
    *,
    fact: bool = True,
) -> Intent:
    """An intent over the rows (k, v) of a table: `{k}` and `{v}` stand in the patterns of question and
    answer."""

    def write(dice: Dice, talk: Talk) -> Lines:
        key, value = dice.pick(table)
        user = say(dice, dice.pick(asks).replace("{k}", key), fact=fact)
        reply = vary(dice, answer.replace("{k}", key).replace("{v}", value))
        return ((user, sentence(reply)),)

    return Intent(name, weight, write, again=True)


def rows(text: str) -> tuple[tuple[str, str], ...]:
    """A table written one row a line, as "key = value"."""
    pairs = (line.split(" = ") for line in text.strip().splitlines())
    return tuple((key.strip(), value.strip()) for key, value in pairs)


def same(*words: str) -> tuple[tuple[str, str], ...]:
    """A table whose answers repeat the word of the question."""
    return tuple((word, word) for word in words)


def listed(text: str) -> tuple[str, ...]:
    """The words of a text, one by one: a compact way to write a long tuple."""
    return tuple(text.split())
