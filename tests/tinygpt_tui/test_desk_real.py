"""The desk with a real player process and a small real model: what is shown is exactly what the same dice write anywhere else."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

import models
from engine.checkpoint import save_checkpoint
from engine.generate import Choice, Stream, start_token
from engine.loading import load
from engine.runs import RunFolder
from engine.sampler import SamplerSettings
from engine.tokenizer import train_tokenizer
from models import ModelConfig
from models.compiled import round_weights
from tinygpt_tui.play.desk import Desk
from tinygpt_tui.play.history import History
from tinygpt_tui.play.session import Mark
from tinygpt_tui.settings_book import SettingsBook
from tinygpt_tui.sources.player_process import PlayerProcess, player_command

TOKENIZER = train_tokenizer("chars", "\n abcdefghijklmnopqrstuvwxyz")
CONFIG = ModelConfig("modern", TOKENIZER.vocab_size, 32, n_layer=2, n_head=2, n_embd=32)
PROMPT = "once"
RATE = 400.0  # slow enough for a person to turn something in mid-text


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """As the player has for a model this small: sums in another order could differ in their last digits."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@dataclass(frozen=True)
class Player:
    """One for the whole module, since torch takes seconds to load: the folder of its runs, and the loop it lives in."""

    runs: Path
    link: PlayerProcess
    loop: asyncio.Runner


@pytest.fixture(scope="module")
def player(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Player]:
    runs = tmp_path_factory.mktemp("desk") / "runs"
    with asyncio.Runner() as loop:
        link = PlayerProcess(player_command(runs), backoff_seconds=(0.0,))
        yield Player(runs, link, loop)
        loop.run(link.close())


@pytest.fixture
def run(player: Player, request: pytest.FixtureRequest) -> RunFolder:
    """A run with one checkpoint, of step 100."""
    folder = RunFolder.create(player.runs, request.node.name[:40], {"corpus": "tales"})
    folder.write_run({"version": 1, "model": CONFIG.to_json(), "corpus": {}, "recipe": {}})
    folder.write_tokenizer(TOKENIZER.to_json())
    save(folder, 100)
    return folder


def save(folder: RunFolder, step: int) -> None:
    """Other weights for every step, scaled up so that the next character is neither certain nor arbitrary."""
    model = models.build(CONFIG)
    generator = torch.Generator().manual_seed(step)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    round_weights(model)  # as the player has them
    save_checkpoint(folder, step, model.state_dict(), {}, {"val_loss": 100.0 / step})


class Seat:
    """A desk at work, and the patience to wait for what it shows."""

    def __init__(self, link: PlayerProcess, run: str, home: Path) -> None:
        self.link, self.run = link, run
        self.history = History(home / "history.sqlite")
        book = SettingsBook(home / "settings.toml", {"TINYGPT_UI_SPEED": "0"})
        book.set("sample.chars", 100_000)
        self.desk = Desk(link, self.history, book)
        self.told: list[str] = []

    @property
    def text(self) -> str:
        return self.desk.session.text()

    async def until(self, condition: Callable[[], object], seconds: float = 60.0) -> None:
        """The limit is only there to end a test that fails."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, (
                f"waited in vain: {self.desk.state}, {self.told}, {self.text[-80:]!r}"
            )
            await asyncio.sleep(0.005)
            self.desk.tick(time.monotonic())
            self.told += [sentence for sentence, _ in self.desk.take_notices()]

    async def begins(self, follow: bool = False, chars: int = 40) -> None:
        """A text is being written."""
        self.desk.use(self.run, follow=follow)
        await self.until(lambda: self.desk.state == "ready")
        self.desk.set_rate(RATE)
        self.desk.submit(PROMPT)
        await self.grows(chars)

    async def grows(self, chars: int) -> None:
        length = self.desk.session.length
        await self.until(lambda: self.desk.session.length >= length + chars)

    async def stops(self) -> None:
        self.desk.stop()
        await self.until(lambda: self.desk.state == "ready")


Story = Callable[[Seat], Awaitable[None]]
Sit = Callable[[Story], Seat]


@pytest.fixture
def sit(player: Player, run: RunFolder, tmp_path: Path) -> Sit:
    """Runs a story at a desk of its own, which is left in order."""

    async def whole(story: Story) -> Seat:
        seat = Seat(player.link, run.name, tmp_path)
        seat.desk.begin()
        try:
            await story(seat)
        finally:
            seat.desk.use(run.name)  # the next desk follows nothing
            seat.history.close()
        return seat

    return lambda story: player.loop.run(whole(story))


def stream_at(folder: RunFolder, text: str, seed: int, step: int = 100) -> Stream:
    """What goes on from a text, in this process, without a player."""
    loaded = load(folder, step)
    ids = loaded.tokenizer.encode(text).ids.tolist()
    return Stream(loaded.model, ids, seed=seed, start_id=start_token(loaded.tokenizer))


def written(stream: Stream, count: int) -> tuple[str, list[Choice]]:
    """The next characters, and how they were chosen."""
    choices = [stream.step() for _ in range(count)]
    return TOKENIZER.decode([choice.id for choice in choices]), choices


def figures(seat: Seat, start: int, end: int) -> list[tuple[float, float, int]]:
    """p, raw and rank of what is shown."""
    places = [seat.desk.session.place(at) for at in range(start, end)]
    return [(one.p or 0.0, one.raw or 0.0, one.rank or 0) for one in places if one is not None]


def same(choices: list[Choice], shown: list[tuple[float, float, int]]) -> bool:
    """Whether characters were drawn from these distributions, as exactly as a float32 can say."""
    return [(c.p, c.raw_p, c.rank) for c in choices] == [
        (pytest.approx(p, rel=1e-5), pytest.approx(raw, rel=1e-5), rank) for p, raw, rank in shown
    ]


def test_a_temperature_turned_while_a_model_streams_rules_from_the_very_next_character_on(
    run: RunFolder, sit: Sit
) -> None:
    async def story(seat: Seat) -> None:
        await seat.begins()
        seat.desk.set_knob("temperature", 1.6)
        assert seat.desk.pending == {"temperature"} and seat.desk.settings.temperature == 1.6
        await seat.until(lambda: not seat.desk.pending)
        await seat.grows(60)
        await seat.stops()

    seat = sit(story)
    [mark] = seat.desk.session.marks()
    at, text = mark.at, seat.text
    assert mark.text == "temperature 1.6" and len(PROMPT) + 40 <= at <= len(text) - 60
    # The old temperature up to the reported place, the new one from there on, and the same dice all along.
    stream = stream_at(run, PROMPT, seat.desk.seed)
    old_text, old = written(stream, at - len(PROMPT))
    stream.set(temperature=1.6)
    new_text, new = written(stream, len(text) - at)
    assert text == PROMPT + old_text + new_text
    assert same(old, figures(seat, len(PROMPT), at)) and same(new, figures(seat, at, len(text)))
    # A run at the new temperature that begins there writes every one of these characters, one at the old does not.
    hot, cold = (stream_at(run, text[:at], seat.desk.seed) for _ in range(2))
    hot.set(temperature=1.6)
    assert written(hot, len(text) - at)[0] == text[at:] != written(cold, len(text) - at)[0]
    # Nor were the characters at the border drawn at the other temperature.
    (_, before), (_, after) = (
        written(stream_at(run, text[:place], seat.desk.seed), 1) for place in (at - 1, at)
    )
    assert same(before, figures(seat, at - 1, at)) and not same(after, figures(seat, at, at + 1))
    assert seat.desk.session.settings_at(at - 1)["temperature"] == SamplerSettings().temperature
    assert seat.desk.session.settings_at(at)["temperature"] == 1.6


def test_a_player_killed_in_mid_stream_costs_no_character_and_a_new_one_writes_on(
    run: RunFolder, sit: Sit
) -> None:
    shown: list[str] = []

    async def story(seat: Seat) -> None:
        await seat.begins()
        first = seat.link.pid
        assert first is not None
        shown.append(seat.text)
        os.kill(first, signal.SIGKILL)
        await seat.until(lambda: any("killed" in sentence for sentence in seat.told))
        shown.append(seat.text)
        await seat.until(lambda: seat.desk.state == "ready")
        assert seat.text == shown[-1] and seat.link.pid not in (None, first)
        seat.desk.go_on()
        await seat.grows(40)
        await seat.stops()

    seat = sit(story)
    killed_at, kept = shown
    assert kept.startswith(killed_at) and len(killed_at) >= len(PROMPT) + 40
    assert kept == PROMPT + written(stream_at(run, PROMPT, seat.desk.seed), len(kept) - len(PROMPT))[0]
    # The dice belong to their places, so the new player writes what the old one would have.
    rest = len(seat.text) - len(kept)
    assert seat.text == kept + written(stream_at(run, kept, seat.desk.seed), rest)[0] and rest >= 40
    reasons = [one.reason for one in seat.desk.session.all if one.kind == "written"]
    assert reasons == ["lost", "stopped"]
    again = History(seat.history.path)
    again.begin()
    session = again.load_last()
    assert session is not None and session.text() == seat.text
    again.close()


def test_a_checkpoint_that_a_live_run_saves_meanwhile_writes_on_and_is_marked_at_its_place(
    run: RunFolder, sit: Sit
) -> None:
    async def story(seat: Seat) -> None:
        await seat.begins(follow=True)
        assert seat.desk.model is not None and seat.desk.model.step == 100
        save(run, 200)
        await seat.until(lambda: seat.desk.session.marks())
        assert seat.desk.model.step == 200
        await seat.grows(40)
        await seat.stops()

    with run.acquire():
        seat = sit(story)
    text = seat.text
    [mark] = seat.desk.session.marks()
    assert mark == Mark(mark.at, "step 200") and len(PROMPT) + 40 <= mark.at <= len(text) - 40
    stream = stream_at(run, PROMPT, seat.desk.seed)
    before, _ = written(stream, mark.at - len(PROMPT))
    stream.reload(load(run, 200).model)
    after, choices = written(stream, len(text) - mark.at)
    assert text == PROMPT + before + after and same(choices, figures(seat, mark.at, len(text)))
    old, _ = written(stream_at(run, text[: mark.at], seat.desk.seed), len(after))
    assert old != after  # the weights of before would not have written that
    assert seat.told == []


def test_a_branch_at_a_character_goes_on_with_the_same_dice(run: RunFolder, sit: Sit) -> None:
    at = len(PROMPT) + 20
    texts: list[str] = []

    async def story(seat: Seat) -> None:
        desk = seat.desk
        desk.set_seed(11)
        await seat.begins(chars=80)
        desk.set_seed(12)  # what is chosen in the text of other dice goes on with those
        await seat.grows(10)
        await seat.stops()
        texts.append(seat.text)
        for symbol in (texts[0][at], "q" if texts[0][at] != "q" else "z"):
            desk.fork(at, symbol)
            assert desk.seed == 11
            await seat.grows(50)
            await seat.stops()
            texts.append(seat.text)
        assert desk.session.branches() == (3, 3)
        desk.undo()
        desk.undo()
        assert seat.text == texts[0]

    sit(story)
    whole, again, other = texts
    # With the character that stood there anyway, the branch is what had been written.
    assert again[: at + 50] == whole[: at + 50]
    assert other[:at] == whole[:at] and other[at] != whole[at]
    replayed, _ = written(stream_at(run, other[: at + 1], 11), len(other) - at - 1)
    assert other[at + 1 :] == replayed != whole[at + 1 : len(other)]


def test_what_is_explained_at_a_character_is_what_it_was_drawn_from(sit: Sit) -> None:
    async def story(seat: Seat) -> None:
        desk = seat.desk
        await seat.begins()
        desk.set_knob("top_k", 4)
        await seat.until(lambda: not desk.pending)
        await seat.grows(20)
        await seat.stops()
        [mark] = desk.session.marks()
        for at in (len(PROMPT), mark.at - 1, mark.at, desk.session.length - 1):
            desk.point_at(at)
            await seat.until(lambda at=at: desk.alternatives is not None and desk.alternatives.at == at)
            found, place = desk.alternatives, desk.session.place(at)
            assert found is not None and place is not None and found.chosen == place.c
            [symbol] = [one for one in found.symbols if one.c == place.c]
            assert symbol.final == pytest.approx(place.p, rel=1e-4)
            assert symbol.raw == pytest.approx(place.raw, rel=1e-4)
            assert (sum(one.final > 0 for one in found.symbols) == 4) == (at >= mark.at)

    assert sit(story).told == []
