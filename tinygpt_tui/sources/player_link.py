"""The screens' end of a conversation with the player: requests go in at once, and everything heard is taken once a tick.

Pure but for the hook that tells of an arrival. Left out: the process that answers (`tinygpt_tui.sources.player_process`), what
requests and replies mean (`engine.protocol`), and making text harmless: what was heard is exactly what the player said.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal

from engine.protocol import Dist, Reply, Request, Text

State = Literal["starting", "up", "lost", "down"]


@dataclass(frozen=True)
class Lost:
    """The player is gone, and with it the text under way and every open question. All it had said comes before this.

    Attributes:
        reason: what happened and what follows, in sentences that may quote the player.
        final: it is not started again until `Link.start` is called.
    """

    reason: str
    final: bool = False


@dataclass(frozen=True)
class Restarted:
    """The player was started again by itself, and the last `Load` and `Follow` were sent to it again."""


Happening = Reply | Lost | Restarted


class Link(ABC):
    """A player as a screen sees it. All methods belong to the event loop's thread.

    Attributes:
        on_arrival: called from the event loop soon after something was heard, once until the next `take`, so that an answer
            need not wait for a tick.
    """

    def __init__(self) -> None:
        self.on_arrival: Callable[[], None] | None = None
        self._heard: list[Happening] = []
        self._told = False  # on_arrival was called, or is about to be, since the last `take`

    @property
    @abstractmethod
    def state(self) -> State:
        """How the player stands.

        "starting": requests are accepted, nothing was heard yet. "up": it has answered. "lost": it died and is started again in
        a moment. "down": not started, closed, or given up.
        """

    @abstractmethod
    def start(self) -> None:
        """Starts the player, also one that was given up; one that waits to be started again, at once. Else nothing happens."""

    @abstractmethod
    def send(self, request: Request) -> None:
        """Hands over a request; never waits, never raises.

        While the player is lost or down, `Load` and `Follow` are kept for its next start, and anything else is dropped and
        answered with an `Error`.
        """

    @abstractmethod
    async def close(self) -> None:
        """Ends the player. What it said until its end can still be taken."""

    def take(self) -> list[Happening]:
        """Everything heard since the last call, in order and `merged`."""
        heard, self._heard = self._heard, []
        self._told = False
        return merged(heard)

    def _hear(self, happening: Happening) -> None:
        """Keeps it for `take`."""
        self._heard.append(happening)
        if self.on_arrival is None or self._told:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # outside of a loop there is nobody to tell
            return
        self._told = True
        # Not at once: whoever sends a request must not find itself called before `send` has returned.
        loop.call_soon(self._tell)

    def _tell(self) -> None:
        if self._heard and self.on_arrival is not None:
            self.on_arrival()


def merged(heard: Iterable[Happening]) -> list[Happening]:
    """The same story in fewer happenings.

    Of the distributions of one generation the last stays; then neighbouring texts of one generation and one version of the
    settings become one if no position is missing between them. Everything else stays, in order.
    """
    heard = list(heard)
    newest = {one.id: place for place, one in enumerate(heard) if isinstance(one, Dist)}
    story: list[Happening] = []
    for place, one in enumerate(heard):
        if isinstance(one, Dist) and newest[one.id] != place:
            continue
        if (
            isinstance(one, Text)
            and story
            and isinstance(before := story[-1], Text)
            and _goes_on(before, one)
        ):
            story[-1] = replace(before, chars=before.chars + one.chars)
        else:
            story.append(one)
    return story


def _goes_on(before: Text, text: Text) -> bool:
    return (before.id, before.settings_version, before.start + len(before.chars)) == (
        text.id,
        text.settings_version,
        text.start,
    )
