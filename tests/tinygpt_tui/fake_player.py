"""Players for tests: a link that answers at once and on command, and a process that writes at any rate.

`FakeLink` needs no process and no clock. `python fake_player.py --rate 2000` speaks the protocol on stdin and stdout. Both say what
`tests.tinygpt_tui.scripted_player` makes up.
"""

from __future__ import annotations

import argparse
import os
import select
import signal
import sys
import time
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from engine import protocol as p
from tests.tinygpt_tui.scripted_player import FakePlayer
from tests.tinygpt_tui.scripted_player import story as story
from tinygpt_tui.sources.player_link import Happening, Link, Lost, Restarted, State

BATCH_SECONDS = 0.033


def of(kind: type[Any], heard: Iterable[object]) -> list[Any]:
    """What is of one kind."""
    return [one for one in heard if isinstance(one, kind)]


def written(heard: Iterable[object], id: int = 1) -> str:
    """The text of one generation, which must have come without a gap."""
    texts = [text for text in of(p.Text, heard) if text.id == id]
    for before, after in pairwise(texts):
        assert before.start + len(before.chars) == after.start
    return "".join(char.c for text in texts for char in text.chars)


class FakeLink(Link):
    """A link to a `FakePlayer`, or to whatever a test lets it say.

    Attributes:
        sent: every request, in order. starts, closes: how often it was started and closed.
        player: what answers, if `auto`.
        per_take: characters that a generation which is not paused writes at every `take`, if `auto`.
    """

    def __init__(self, *, auto: bool = True, per_take: int = 20) -> None:
        super().__init__()
        self.sent: list[p.Request] = []
        self.starts = self.closes = 0
        self.auto, self.per_take = auto, per_take
        self.player = FakePlayer()
        self._state: State = "down"
        self._standing: dict[type, p.Request] = {}

    @property
    def state(self) -> State:
        return self._state

    def start(self) -> None:
        self.starts += 1
        if self._state == "down":
            self._begin()

    def send(self, request: p.Request) -> None:
        self.sent.append(request)
        if isinstance(request, p.Load | p.Follow):
            self._standing.pop(type(request), None)
            self._standing[type(request)] = request
        if self._state not in ("starting", "up"):
            if not isinstance(request, p.Load | p.Follow):
                self.say(p.Error(getattr(request, "id", None), "The player is not running: start it again."))
        elif self.auto:
            self.say(*self.player.answer(request))

    def say(self, *happenings: Happening) -> None:
        """Lets it be heard that; `Lost` and `Restarted` change the state as they would."""
        for happening in happenings:
            if isinstance(happening, Lost):
                self._state = "down" if happening.final else "lost"
                self.player = FakePlayer()
            elif self._state == "starting":
                self._state = "up"
            self._hear(happening)
            if isinstance(happening, Restarted):
                self._begin()

    def write(self, count: int) -> None:
        """Lets the generation under way write `count` characters."""
        self.say(*self.player.write(count))

    def take(self) -> list[Happening]:
        if self.auto and self.player.rate != 0:
            self.write(self.per_take)
        return super().take()

    async def close(self) -> None:
        self.closes += 1
        self._state = "down"

    def _begin(self) -> None:
        self._state = "starting"
        if self.auto:
            for request in self._standing.values():
                self.say(*self.player.answer(request))

    def requests(self, kind: type[Any]) -> list[Any]:
        """The requests of one kind that were sent."""
        return [request for request in self.sent if isinstance(request, kind)]


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--rate",
        type=float,
        default=2000.0,
        help="characters a second where none are asked for; 0: as fast as it goes",
    )
    parser.add_argument("--seconds", type=float, default=1e9, help="end a text after this long")
    parser.add_argument(
        "--unasked", action="store_true", help="load the run 'story' and begin text 1 at once"
    )
    parser.add_argument(
        "--die-after", type=int, metavar="N", help="kill itself when it has written N characters"
    )
    parser.add_argument("--exit", type=int, metavar="CODE", help="complain and exit at once")
    parser.add_argument("--garbage", action="store_true", help="a line that is no message before each reply")
    parser.add_argument("--deaf", action="store_true", help="neither read nor write")
    parser.add_argument(
        "--stubborn", action="store_true", help="take no notice of SIGTERM and of the end of the input"
    )
    options = parser.parse_args(argv)
    if options.exit is not None:
        sys.stderr.write("Traceback: nonsense\nFakeError: no story today\n\n")
        return int(options.exit)
    if options.stubborn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while options.deaf:
        time.sleep(1)
    player, written, began, due = FakePlayer(), 0, 0.0, 0.0

    def send(replies: list[p.Reply]) -> None:
        for reply in replies:
            line = p.to_line(reply)
            if options.garbage:
                line = b'\x9b{"event": 1\n' + line
            while line:
                line = line[os.write(1, line) :]

    def go_on() -> None:
        """Writes what is due by now."""
        nonlocal written, due
        now = time.monotonic()
        rate = options.rate if player.rate is None else player.rate
        count = round((now - due) * rate) if rate or player.rate == 0 else 64
        if options.die_after is not None:
            count = min(count, options.die_after - written)
        if count > 0 and player.writing is not None:
            due = due + count / rate if rate else now
            written += count
            send(player.write(count))
        if options.die_after is not None and written >= options.die_after:
            os.kill(os.getpid(), signal.SIGKILL)
        if player.writing is not None and now - began > options.seconds:
            send(player.answer(p.Stop(player.writing)))

    def obey(request: p.Request) -> None:
        nonlocal began, due
        if player.writing is not None:
            go_on()
        paused, before = player.rate == 0, player.writing
        send(player.answer(request))
        if player.writing != before:
            began = due = time.monotonic()
        elif paused:
            due = time.monotonic()

    rest = b""
    if options.unasked:
        obey(p.Load("story"))
        obey(p.Generate(1, ""))
    while True:
        idle = player.writing is None or player.rate == 0
        wait = None if idle else 0.0 if not options.rate and player.rate is None else BATCH_SECONDS
        ready, _, _ = select.select([0], [], [], wait)
        if ready:
            chunk = os.read(0, 1 << 16)
            if not chunk:
                while options.stubborn:
                    time.sleep(1)
                send(player.answer(p.Quit()))
                return 0
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                obey(p.parse_request(line))
        else:
            go_on()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
