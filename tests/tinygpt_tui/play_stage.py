"""Play on a stage: the screen with a scripted player that writes only when it is told to, and words for what is done there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from engine import protocol
from tests.tinygpt_tui import scripted_player
from tests.tinygpt_tui.driving import drive, press, screen_text, wait_for
from tests.tinygpt_tui.fake_player import FakeLink
from tests.tinygpt_tui.scripted_player import FakePlayer
from tests.tinygpt_tui.scripted_run import SAMPLE, finished_run
from tests.tinygpt_tui.scripted_world import playground, scripted_world
from tinygpt_tui.widgets.distribution_rows import percent
from tinygpt_tui.widgets.knobs import Knob
from tinygpt_tui.widgets.transcript import Transcript
from tinygpt_tui.world import World

TURNS = {"user": "You: ", "model": "Pip: "}
HOSTILE = "\x1b[31m[red]x[/red] [@click=app.quit]y[/] \u202eab\u202c\x9b2J"
HARMLESS = "␛[31m[red]x[/red] [@click=app.quit]y[/] \ufffdab\ufffd\ufffd2J"
TALE = (
    SAMPLE
    + "waited. The fox held the lantern up, and the light fell on the water and on a boat with nobody in it.\n"
    '"It is only the wind," said the fox, "and the wind has lost its way." So they sat down beside the river, the heron '
    "on one leg and the fox on his tail, and they waited for the morning, which came late and wet and grey as wool.\n"
)

Story = Callable[[Pilot[int], World, FakeLink], Awaitable[None]]


class Player(FakePlayer):
    """Explains a character with the odds that it was drawn from, wherever its text began.

    Attributes:
        base: where its story began; it is told on from there, whatever is put in its place. None: anew with every text.
    """

    def __init__(self) -> None:
        super().__init__()
        self.base: int | None = None
        self._begins: list[int] = []

    def _on_generate(self, request: protocol.Generate) -> list[protocol.Reply]:
        replies = super()._on_generate(request)
        begin = len(request.text) if self.base is None else self.base
        self._begins.append(begin)
        if self._writing is not None:
            self._writing.begin = begin
        return replies

    def _on_explain(self, request: protocol.Explain) -> list[protocol.Reply]:
        begin = max((begin for begin in self._begins if begin <= request.at), default=0)
        settings = scripted_player.SamplerSettings().replaced(request.sampler)
        drawn = self._dist(scripted_player._Writing(0, 0, begin, None, settings, 0.0), request.at)
        c = request.text[request.at : request.at + 1] or None
        return [
            protocol.Explained(request.id, request.at, request.at, c, drawn.symbols, drawn.rest, drawn.stages)
        ]


def open_play(
    tmp_path: Path,
    story: Story,
    size: tuple[int, int] = (120, 40),
    *,
    run: str | None = "tales-03",
    turns: dict[str, str] | None = None,
) -> None:
    """Opens Play with a finished run called `run`, and tells the story. The player writes only what it is told to."""
    if run is not None and not (tmp_path / "data" / "runs" / run).exists():
        finished_run(tmp_path / "data" / "runs", run, 4, turns=turns)
    link = FakeLink(per_take=0)
    link.player = Player()
    link.player.turns = turns
    world = scripted_world(tmp_path, link=link)
    world.desk._clock = lambda: 0.0  # all that was ever written was written in this second

    async def tell(pilot: Pilot[int]) -> None:
        if run is not None:
            await wait_for(pilot, lambda: world.desk.state == "ready", "the model")
        await story(pilot, world, link)

    drive(playground(world, "play"), tell, size)


async def shown(pilot: Pilot[int], *texts: str) -> None:
    await wait_for(pilot, lambda: all(text in screen_text(pilot.app) for text in texts), " and ".join(texts))


async def told(pilot: Pilot[int], *sentences: str) -> None:
    """Waits for toasts, and takes them away again: they lie over the page, and their lines break anywhere."""

    def seen() -> bool:
        messages = [note.message for note in pilot.app._notifications]
        return all(any(sentence in message for message in messages) for sentence in sentences)

    await wait_for(pilot, seen, " and ".join(sentences))
    pilot.app.clear_notifications()


async def gone(pilot: Pilot[int], text: str) -> None:
    await wait_for(pilot, lambda: text not in screen_text(pilot.app), f"{text} to go")


async def typed(pilot: Pilot[int], text: str) -> None:
    await pilot.press(*("space" if char == " " else char for char in text))


async def writes(pilot: Pilot[int], world: World, link: FakeLink, count: int) -> None:
    """Lets the player write, once it has been asked to, and waits until all of it is on the page."""
    await wait_for(pilot, lambda: link.player.writing is not None, "something to write")
    before = world.desk.session.length
    link.write(count)
    await wait_for(pilot, lambda: world.desk.session.length == before + count)


async def begin(
    pilot: Pilot[int], world: World, link: FakeLink, prompt: str = "Once ", count: int = 12
) -> None:
    """Asks for a text behind a prompt, lets the player write, and leaves the focus on the page."""
    world.desk.submit(prompt)
    text_of(pilot).focus()
    await writes(pilot, world, link, count)


async def stop(pilot: Pilot[int], world: World) -> None:
    """Ends the writing."""
    await press(pilot, "play.stop")
    await wait_for(pilot, lambda: world.desk.state == "ready")


def text_of(pilot: Pilot[int]) -> Transcript:
    return pilot.app.screen.query_one(Transcript)


def knob(pilot: Pilot[int], name: str) -> Knob:
    """The one of the two that is seen."""
    return next(one for one in pilot.app.screen.query(Knob) if one.spec.name == name and one.region)


def odds(world: World, at: int) -> str:
    """How likely the character at `at` was, as it is shown."""
    place = world.desk.session.place(at)
    assert place is not None and place.raw is not None and place.p is not None
    return f"{percent(place.raw)} → {percent(place.p)} %"


def last(link: FakeLink, kind: type[Any]) -> Any:
    return link.requests(kind)[-1]
