"""The storyteller's tools: dice that fall alike everywhere, characters with the right pronouns, and templates.

A template is a text in which `[a|b|c]` means "one of these" (it nests, and a part may be empty), `{tree}` is a word
drawn once for the whole tale from `words.WORDS`, `{tree_b}` another one of the same list, `{h.his}` something about a
character, and `~` a new line. A capital letter in the last name, as in `{H}` or `{h.He}`, gives a capital letter in
the text. A text in the cast may be a template itself. What it leaves out: any knowledge of stories; those live in the `shapes_` modules.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

from engine.catalogue.tales.words import ADJECTIVES, CREATURES, NAMES, SEASONS, WORDS

T = TypeVar("T")

# A template is a sequence of texts, {slots} and [choices]; a choice is a tuple of templates.
Slot = tuple[str, str]
Node = str | Slot | list["Template"]
Template = tuple[Node, ...]


@dataclass(frozen=True)
class Who:
    """A character: `noun` is what they are ("fox", "baker"), `name` may be empty, `she` settles the pronouns."""

    noun: str
    name: str
    adjective: str
    she: bool
    named_first: bool

    def __str__(self) -> str:
        return self.name or self.the

    @property
    def the(self) -> str:
        """What they are, for a reader who has met them: "the fox"."""
        return f"the {self.noun}"

    @property
    def one(self) -> str:
        """The first mention after "there was": "a small fox called Tansy"."""
        return f"a {self.adjective} {self.noun}{self.named}".replace("  ", " ")

    @property
    def named(self) -> str:
        """The end of a first mention, after the noun: " called Tansy", or nothing."""
        return f" called {self.name}" if self.name else ""

    @property
    def a(self) -> str:
        """The first mention elsewhere: "a small fox called Tansy" or "Tansy the fox"."""
        return f"{self.name} the {self.noun}" if self.named_first else self.one

    @property
    def call(self) -> str:
        """How others address them: the name, or else what they are."""
        return self.name or self.noun

    @property
    def he(self) -> str:
        return "she" if self.she else "he"

    @property
    def him(self) -> str:
        return "her" if self.she else "him"

    @property
    def his(self) -> str:
        return "her" if self.she else "his"

    @property
    def himself(self) -> str:
        return "herself" if self.she else "himself"


class Teller:
    """Tells one tale: every word, season and character drawn here stays the same until the tale ends.

    Only `Random.random` is used, because the other methods of `random.Random` may change between Python versions.
    """

    def __init__(self, dice: random.Random) -> None:
        self._roll = dice.random
        self._drawn: dict[str, str] = {}
        self._taken: list[str] = []

    def pick(self, options: Sequence[T]) -> T:
        """Return one of the options, all equally likely."""
        return options[int(self._roll() * len(options))]

    def chance(self, probability: float) -> bool:
        """Return True with the given probability."""
        return self._roll() < probability

    def shuffled(self, options: Sequence[T]) -> list[T]:
        """Return the options in a random order."""
        rest = list(options)
        return [rest.pop(int(self._roll() * len(rest))) for _ in range(len(rest))]

    def who(self, *kinds: str, adjective: str | None = None, named: float = 0.6) -> Who:
        """Invent a character unlike the others of this tale; `kinds` are keys of `words.CREATURES`.

        `adjective` fixes the description where a shape depends on it; `named` is how likely a name is.
        """
        kind = self.pick(kinds)
        noun, sex = self._fresh(CREATURES[kind])
        she = sex == "f" or (sex == "" and self.chance(0.5))
        if " " in noun and named > 0:
            named = 1.0  # "the ferryman's daughter" would be a mouthful in every sentence
        names = NAMES[
            ("beast" if kind in ("small", "beast", "big", "bird", "thief", "fierce") else "human")
            + ("_f" if she else "_m")
        ]
        name = self._fresh([(each, "") for each in names])[0] if self.chance(named) else ""
        if adjective is None:
            plain = bool(name) and self.chance(0.4)
            adjective = "" if plain else self._fresh([(each, "") for each in ADJECTIVES[kind]])[0]
        return Who(noun, name, adjective, she, named_first=bool(name) and self.chance(0.3))

    def in_season(self, *seasons: str) -> None:
        """Let the tale happen in one of these seasons; a tale that does not ask may happen in any."""
        self._set_scene(self.pick(seasons))

    def tell(self, template: str, **cast: Who | str) -> str:
        """Fill in a template and return its text, with articles, capitals and spaces in order."""
        parts: list[str] = []
        self._write(_parse(template), cast, parts)
        return tidy("".join(parts))

    def _fresh(self, options: Sequence[tuple[str, str]]) -> tuple[str, str]:
        option = self.pick([each for each in options if each[0] not in self._taken] or options)
        self._taken.append(option[0])
        return option

    def _write(self, template: Template, cast: dict[str, Who | str], parts: list[str]) -> None:
        for node in template:
            if isinstance(node, str):
                parts.append(node)
            elif isinstance(node, list):
                self._write(self.pick(node), cast, parts)
            else:
                parts.append(self._look_up(node, cast))

    def _look_up(self, slot: Slot, cast: dict[str, Who | str]) -> str:
        name, attribute = slot
        key, aspect = name.lower(), attribute.lower()
        subject = cast[key] if key in cast else self._word(key)
        if isinstance(subject, str):
            parts: list[str] = []
            self._write(_parse(subject), cast, parts)
            text = "".join(parts)
        else:
            text = str(getattr(subject, aspect)) if aspect else str(subject)
        return capital(text) if (attribute or name)[0].isupper() else text

    def _word(self, key: str) -> str:
        if key not in self._drawn:
            family = key.split("_")[0]
            if family in WORDS:
                self._drawn[key] = self._fresh([(each, "") for each in WORDS[family]])[0]
            else:
                self._set_scene(self.pick(("spring", "summer", "autumn", "winter")))
        return self._drawn[key]

    def _set_scene(self, season: str) -> None:
        months, scenes = SEASONS[season]
        month = self.pick(months)
        by_day, weather, by_night, dark = self.pick(scenes)

        def when(adjective: str, time: str) -> str:
            form = self.pick(("one {0} {1} in {2}", "on a {0} {1} in {2}", "one {0} {1}", "one {1} in {2}"))
            return form.format(adjective, time, self.pick((month, season)))

        self._drawn.update(
            season=season,
            month=month,
            weather=weather,
            dark=dark,
            when=when(by_day, "day"),
            morning=when(by_day, "morning"),
            evening=when(by_night, "evening"),
            night=when(by_night, "night"),
        )


def capital(text: str) -> str:
    """Return the text with a capital first letter and the rest untouched."""
    return text[:1].upper() + text[1:]


def tidy(text: str) -> str:
    """Put the spaces, the sentence starts and the articles `a` and `an` in order; `~` becomes a new line."""
    text = re.sub(r" ?~ ?", "\n", " ".join(text.split()))
    # After a question or a call inside quotes, ("Who?" she asked), the sentence may go on: the template decides there.
    text = re.sub(r'(?:^|\n|[.!?] |\.")"? ?[a-z]', lambda found: found[0][:-1] + found[0][-1].upper(), text)
    return re.sub(r"\b([Aa])n? (?=(\w+))", _article, text)


def _article(found: re.Match[str]) -> str:
    word = found[2].lower()
    vowel = word[0] in "aeiou" or word.startswith(("hour", "honest", "heir"))
    sounds_like_a_consonant = word.startswith(("one", "use", "uni", "eu", "once"))
    return found[1] + ("n " if vowel and not sounds_like_a_consonant else " ")


@cache
def _parse(source: str) -> Template:
    template, end = _parse_until(source, 0, "")
    assert end == len(source), "a template has a stray bracket"
    return template


def _parse_until(source: str, start: int, stops: str) -> tuple[Template, int]:
    nodes: list[Node] = []
    text = position = start
    while position < len(source) and source[position] not in stops:
        if source[position] not in "[{":
            position += 1
            continue
        nodes.append(source[text:position])
        if source[position] == "{":
            close = source.index("}", position)
            name, _, attribute = source[position + 1 : close].partition(".")
            nodes.append((name, attribute))
            position = close
        else:
            choices: list[Template] = []
            while source[position] != "]":
                choice, position = _parse_until(source, position + 1, "|]")
                choices.append(choice)
            nodes.append(choices)
        position += 1
        text = position
    nodes.append(source[text:position])
    return tuple(nodes), position
