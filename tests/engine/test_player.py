import array
import fcntl
import json
import os
import signal
import subprocess
import sys
import termios
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from threadpoolctl import ThreadpoolController

import models
from engine import protocol as p
from engine.checkpoint import save_checkpoint
from engine.errors import CheckpointError
from engine.generate import Stream
from engine.loading import load
from engine.player import LOOK_SECONDS, Player
from engine.player_process import Inbox, RunLibrary
from engine.player_writing import BATCH_SECONDS, LATE_SECONDS
from engine.runs import RunFolder
from engine.sampler import SamplerSettings
from engine.scoring import score
from engine.tokenizer import train_tokenizer
from models import ModelConfig

LETTERS = "\n abcdefghijklmnopqrstuvwxyz"
TOKENIZER = train_tokenizer("chars", LETTERS)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Products this small only wait for each other on several, and the player uses one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def tiny_model(seed=0, arch="classic", tokenizer=TOKENIZER):
    """Random weights, scaled up so that the next character is neither certain nor arbitrary."""
    config = ModelConfig(arch, tokenizer.vocab_size, 16, n_layer=1, n_head=2, n_embd=16)
    model = models.build(config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.4)
    return model.eval()


def weights(step=100, seed=0, tokenizer=TOKENIZER):
    return SimpleNamespace(
        model=tiny_model(seed, tokenizer=tokenizer),
        tokenizer=tokenizer,
        step=step,
        val_loss=1.5,
        turns=None,
        skipped=["Skipped the checkpoint of step 120."],
    )


class Shelf:
    """A library with one run, `tales`, whose checkpoints the test sets."""

    def __init__(self):
        self.last = weights()
        self.newest_step = 100
        self.training = False
        self.loads = []

    def load(self, run, at):
        self.loads.append((run, at))
        if run != "tales":
            raise CheckpointError(f"There is no run {run}.")
        if isinstance(self.last, Exception):
            raise self.last
        return self.last

    def newest(self, run):
        return self.newest_step

    def is_training(self, run):
        return self.training


class World:
    """A player in a world of its own: its clock moves only by waiting and by computing, `cost` seconds a token.

    Lines come at their times; `at(time, request)` schedules one. `heard` are (time, reply) pairs.
    """

    def __init__(self, *requests, cost=0.001, **options):
        self.now, self.cost = 0.0, cost
        self.lines = []
        self.heard = []
        self.drawn = []  # when each token was drawn
        self.watched = None  # the writing whose draws are counted
        self.threads = []
        self.shelf = Shelf()
        self.player = Player(
            self.shelf,
            self,
            lambda reply: self.heard.append((self.now, p.parse_reply(p.to_line(reply)))),
            clock=lambda: self.now,
            use_threads=lambda model, threads: self.threads.append(threads),
            **options,
        )
        self.at(0.0, *requests)

    def at(self, time, *requests):
        for request in requests:
            line = request if isinstance(request, bytes) else p.to_line(request)
            self.lines.append((time, line))
        self.lines.sort(key=lambda pair: pair[0])
        return self

    def _watch_the_clock_of_draws(self):
        """The only place where time passes while the player computes."""
        writing = self.player._writing
        if writing is None or writing is self.watched:
            return
        self.watched, original = writing, writing._draw

        def draw():
            self.drawn.append(self.now)
            self.now += self.cost() if callable(self.cost) else self.cost
            original()

        writing._draw = draw

    def get(self, timeout):
        self._watch_the_clock_of_draws()
        if self.lines and self.lines[0][0] <= self.now:
            return self.lines.pop(0)[1]
        if not self.lines and (timeout is None or self.now > self.until):
            return b""
        if timeout is None or (self.lines and self.lines[0][0] <= self.now + timeout):
            self.now = max(self.now, self.lines[0][0])
            return self.lines.pop(0)[1]
        self.now += timeout
        return None

    def run(self, until=10.0):
        """Until the messages are used up and `until` has passed or nothing is left to do."""
        self.until = until
        self.player.run()
        return self

    def of(self, kind):
        return [reply for _, reply in self.heard if isinstance(reply, kind)]

    def text(self, id=1):
        return "".join(c.c for reply in self.of(p.Text) if reply.id == id for c in reply.chars)


def replay(prompt, n, seed, changes=(), settings=None, model=None):
    """The text that a stream writes when the changes {position: settings} meet it."""
    ids = TOKENIZER.encode(prompt).ids.tolist()
    start_id = int(TOKENIZER.encode("\n").ids[0])
    stream = Stream(model or tiny_model(), ids, seed=seed, settings=settings, start_id=start_id)
    changes = dict(changes)
    for _ in range(n):
        stream.set(**changes.get(len(stream.ids), {}))
        stream.step()
    return TOKENIZER.decode(stream.ids[len(ids) :])


LOAD = p.Load("tales")


def test_a_loaded_model_introduces_itself():
    ready = World(LOAD).run().of(p.Ready)
    params = tiny_model().num_params()
    skipped = ("Skipped the checkpoint of step 120.",)
    assert ready == [p.Ready("tales", 100, "classic", params, len(LETTERS), 16, None, 1.5, skipped)]


def test_flat_out_it_writes_what_the_same_seed_writes_anywhere():
    world = World(LOAD, p.Generate(1, "abc", seed=7, max=200)).run()
    assert world.text() == replay("abc", 200, 7)
    assert world.of(p.Started) == [p.Started(1, 3, SamplerSettings().to_json())]
    assert world.of(p.Done) == [p.Done(1, "max")]


def test_batches_join_without_gap_and_carry_what_each_token_was():
    world = World(LOAD, p.Generate(1, "abc", {"top_k": 5, "temperature": 1}, 7, 100)).run()
    position = 3
    for batch in world.of(p.Text):
        assert batch.start == position and batch.settings_version == 0
        position += len(batch.chars)
    assert position == 103
    chars = [c for batch in world.of(p.Text) for c in batch.chars]
    assert all(0 < c.raw < c.p <= 1 and 0 <= c.rank < 5 for c in chars)


@pytest.mark.parametrize("cost", [0.001, 0.007, 0.020, 0.050])
def test_no_character_waits_longer_than_a_batch_may_last(cost):
    world = World(LOAD, p.Generate(1, "abc", max=60), cost=cost).run()
    ready = iter([drawn + cost for drawn in world.drawn])
    for sent, reply in world.heard:
        if isinstance(reply, p.Text):
            oldest, *_ = [next(ready) for _ in reply.chars]
            assert sent - oldest <= BATCH_SECONDS + 1e-9
    assert len(world.of(p.Text)) >= min(60 * cost / BATCH_SECONDS * 0.7, 59)


def test_the_first_character_is_sent_at_once():
    world = World(LOAD, p.Generate(1, "abc", max=60)).run()
    assert len(world.of(p.Text)[0].chars) == 1 and len(world.of(p.Text)[1].chars) > 5


def test_a_batch_ends_with_the_distribution_of_its_last_character():
    world = World(LOAD, p.Generate(1, "abc", max=60)).run()
    texts, dists = world.of(p.Text), world.of(p.Dist)
    assert len(texts) == len(dists)
    for text, dist in zip(texts, dists, strict=True):
        last = text.chars[-1]
        assert dist.at == text.start + len(text.chars) - 1
        assert p.Symbol(last.c, last.raw, last.p) in dist.symbols
        assert sum(s.final for s in dist.symbols) == pytest.approx(1.0) and dist.rest is None


@pytest.mark.parametrize("rate", [5.0, 50.0, 400.0])
def test_no_character_is_computed_before_it_is_due_and_the_pace_is_kept(rate):
    world = World(LOAD, p.Generate(1, "abc", max=40, chars_per_s=rate)).run(until=60)
    expected = [i / rate for i in range(40)]
    assert all(-1e-9 <= drawn - due < 0.002 for drawn, due in zip(world.drawn, expected, strict=True))


def test_a_wake_up_before_time_writes_nothing():
    world = World(LOAD, p.Generate(1, "abc", max=10, chars_per_s=10.0))
    patient = world.get
    world.get = lambda timeout: patient(timeout / 2 if timeout and timeout > 1e-3 else timeout)
    world.run()
    assert all(drawn >= i / 10 - 1e-9 for i, drawn in enumerate(world.drawn)) and len(world.drawn) == 10


def test_a_model_too_slow_for_its_pace_does_not_save_up_a_burst():
    world = World(LOAD, p.Generate(1, "abc", max=1000, chars_per_s=100.0))
    world.cost = lambda: 0.05 if world.now < 1.0 else 0.0001
    world.at(2.0, p.Stop(1)).run()
    in_time = sum(1.0 <= drawn <= 2.0 for drawn in world.drawn)
    assert 100 <= in_time <= 102 + LATE_SECONDS * 100


def test_a_changed_setting_meets_the_very_next_character():
    world = World(LOAD, p.Generate(1, "abc", {"temperature": 1.0}, 7, 120))
    world.at(0.0405, p.Set(1, {"temperature": 0.0})).at(0.0805, p.Set(1, {"temperature": 1.2, "top_k": 4}))
    world.run()
    first, second = world.of(p.Changed)
    # 1 ms a token: 41 tokens were drawn when the first change came, and 81 when the second did.
    assert (first.at, first.settings, first.settings_version) == (3 + 41, {"temperature": 0.0}, 1)
    assert (second.at, second.settings_version) == (3 + 81, 2)
    settings = SamplerSettings(temperature=1.0)
    changes = {first.at: {"temperature": 0.0}, second.at: {"temperature": 1.2, "top_k": 4}}
    assert world.text() == replay("abc", 120, 7, changes, settings)
    for batch in world.of(p.Text):
        version = (batch.start >= first.at) + (batch.start >= second.at)
        assert batch.settings_version == version
        assert all(c.rank == 0 for c in batch.chars) or version != 1


def test_everything_that_has_come_is_obeyed_before_the_next_character():
    world = World(LOAD, p.Generate(1, "abc", seed=7, max=50))
    hot_and_cold = [p.Set(1, {"temperature": t}) for t in (2.0, 0.5, 0.0)]
    world.at(0.0105, *hot_and_cold).run()
    assert [change.at for change in world.of(p.Changed)] == [3 + 11] * 3


def test_a_refused_setting_is_an_error_and_the_text_goes_on():
    world = World(LOAD, p.Generate(1, "abc", seed=7, max=50))
    world.at(0.01, p.Set(1, {"temperature": 99.0}), p.Set(1, {"mirostat": 2}), p.Set(2, {"top_k": 1})).run()
    errors = world.of(p.Error)
    assert [error.id for error in errors] == [1, 1, 2]
    assert "0.01 to 5" in errors[0].message and "mirostat" in errors[1].message and "2" in errors[2].message
    assert world.text() == replay("abc", 50, 7) and world.of(p.Changed) == []


def test_a_pause_holds_the_text_and_redraws_the_odds_of_the_next_character_when_a_setting_changes():
    world = World(LOAD, p.Generate(1, "abc", seed=7, max=50))
    world.at(0.0205, p.Pace(1, 0.0)).at(1.0, p.Set(1, {"temperature": 0.0})).at(2.0, p.Pace(1, None)).run()
    paused = 3 + 21
    during = [reply for time, reply in world.heard if 0.0215 < time < 2.0]
    assert not any(isinstance(reply, p.Text) for reply in during)
    dists = [reply for reply in world.of(p.Dist) if reply.at == paused][:2]
    assert dists[0].symbols[0].final < 1.0 and dists[1].symbols[0].final == 1.0
    assert [s.raw for s in dists[0].symbols] == [s.raw for s in dists[1].symbols]
    assert world.text() == replay("abc", 50, 7, {paused: {"temperature": 0.0}})


def test_step_by_step_each_step_is_one_character_and_shows_the_odds_of_the_next():
    world = World(LOAD, p.Generate(1, "abc", seed=7, max=3, chars_per_s=0.0))
    world.at(1.0, p.Step(1)).at(2.0, p.Step(1)).at(3.0, p.Step(1), p.Step(1)).run()
    texts = world.of(p.Text)
    assert [len(batch.chars) for batch in texts] == [1, 1, 1]
    assert world.text() == replay("abc", 3, 7)
    assert [dist.at for dist in world.of(p.Dist)] == [
        3,
        4,
        5,
        5,
    ]  # the last one is that of the last character
    assert world.of(p.Done) == [p.Done(1, "max")]
    assert "no generation 1" in world.of(p.Error)[0].message.lower()


def test_only_a_paused_text_goes_step_by_step():
    world = World(LOAD, p.Generate(1, "abc", seed=7, max=20)).at(0.005, p.Step(1)).run()
    assert "not paused" in world.of(p.Error)[0].message and world.text() == replay("abc", 20, 7)


def test_a_new_pace_acts_at_once_even_if_the_old_one_was_very_slow():
    world = (
        World(LOAD, p.Generate(1, "abc", max=3, chars_per_s=0.001)).at(1.0, p.Pace(1, 100.0)).run(until=2000)
    )
    assert world.drawn == pytest.approx([0.0, 1.01, 1.02])


def test_a_new_generation_replaces_the_old_one_and_stopping_is_told():
    world = World(LOAD, p.Generate(1, "abc", seed=7)).at(0.03, p.Generate(2, "xyz", seed=8))
    world.at(0.06, p.Stop(1), p.Stop(2), p.Stop(2)).run()
    assert world.of(p.Done) == [p.Done(1, "replaced"), p.Done(2, "stopped")]
    assert world.text(1) == replay("abc", 30, 7) and world.text(2) == replay("xyz", 30, 8)
    assert world.of(p.Error) == []


def test_a_generation_that_cannot_begin_does_not_end_the_one_under_way():
    world = World(LOAD, p.Generate(1, "abc", seed=7, max=40))
    world.at(0.01, p.Generate(2, "abc", {"top_p": 3})).at(0.02, p.Load("nowhere")).run()
    assert [error.id for error in world.of(p.Error)] == [2, None]
    assert world.of(p.Done) == [p.Done(1, "max")] and world.text() == replay("abc", 40, 7)


def test_it_ends_before_a_stop_text():
    text = replay("abc", 300, 7)
    stop = text[100:103]
    world = World(LOAD, p.Generate(1, "abc", seed=7, max=300, stop=(stop,))).run()
    assert world.text() == text[: text.index(stop)] and world.of(p.Done) == [p.Done(1, "stop")]


def test_stopping_gives_out_what_was_held_back_for_a_stop_text():
    text = replay("abc", 30, 7)
    world = World(LOAD, p.Generate(1, "abc", seed=7, stop=(text[27:30] + "\n\n\n\n",), chars_per_s=10.0))
    world.at(2.95, p.Stop(1)).run()
    assert len(world.drawn) == 30 and world.text() == text


def test_characters_that_the_vocabulary_lacks_are_told_when_a_text_begins():
    world = World(LOAD, p.Generate(1, "ÄbC€", seed=7, max=5)).run()
    started = world.of(p.Started)[0]
    assert started.at == 3 and [r.char for r in started.replaced] == ["Ä", "C", "€"]
    assert world.text() == replay("abc", 5, 7)


def test_an_empty_prompt_begins_a_text_and_nothing_is_written_where_nothing_is_asked():
    assert World(LOAD, p.Generate(1, "", seed=7, max=30)).run().text() == replay("", 30, 7)
    world = World(LOAD, p.Generate(1, "abc", max=0)).run()
    assert world.of(p.Done) == [p.Done(1, "max")] and world.of(p.Text) == []


def test_a_large_vocabulary_sends_its_likeliest_symbols_and_the_sum_of_the_rest():
    world = World()
    letters = "".join(map(chr, range(0x400, 0x400 + 90)))
    world.shelf.last = weights(tokenizer=train_tokenizer("chars", letters))
    world.at(0, LOAD, p.Generate(1, "", max=3)).run()
    for dist in world.of(p.Dist):
        assert len(dist.symbols) == p.DIST_SYMBOLS and dist.rest.count == 90 - p.DIST_SYMBOLS
        assert sum(s.raw for s in dist.symbols) + dist.rest.raw == pytest.approx(1.0)
        assert sum(s.final for s in dist.symbols) + dist.rest.final == pytest.approx(1.0)
        raws = [s.raw for s in dist.symbols]
        assert raws == sorted(raws, reverse=True)


def test_explaining_a_character_gives_the_odds_it_was_drawn_from():
    world = World(LOAD, p.Generate(1, "abc", {"top_k": 3}, 7, 40)).run()
    chars = [c for batch in world.of(p.Text) for c in batch.chars]
    text = "abc" + world.text()
    asked = (
        World(LOAD, *(p.Explain(text, at, at, {"top_k": 3}) for at in (3, 20, 42, 43))).run().of(p.Explained)
    )
    for answer in asked[:3]:
        char = chars[answer.at - 3]
        assert answer.c == char.c and answer.id == answer.position == answer.at
        symbol = next(s for s in answer.symbols if s.c == char.c)
        assert (symbol.raw, symbol.final) == (
            pytest.approx(char.raw, abs=1e-5),
            pytest.approx(char.p, abs=1e-5),
        )
        assert answer.stages[0].name == "top_k"
    assert asked[3].c is None


def test_explaining_and_scoring_do_not_disturb_a_text_under_way():
    world = World(LOAD, p.Generate(1, "abc", seed=7, max=60))
    world.at(0.02, p.Explain("hello", 2), p.Score("hello"), p.Explain("hello", 9)).run()
    assert world.text() == replay("abc", 60, 7)
    assert len(world.of(p.Explained)) == len(world.of(p.Scored)) == len(world.of(p.Error)) == 1


def test_a_score_is_that_of_the_scoring_module():
    scored = World(LOAD, p.Score("hello wörld", 5)).run().of(p.Scored)[0]
    expected = score(tiny_model(), TOKENIZER, "hello wörld")
    assert scored.id == 5 and scored.pieces == expected.pieces and scored.chars == 11
    np.testing.assert_allclose(scored.nats, expected.nats)
    assert scored.bits_per_char == pytest.approx(expected.bits_per_char)
    assert scored.replaced == (p.Replaced(7, "ö", "o"),)
    assert World(LOAD, p.Score("")).run().of(p.Scored)[0].nats_per_char is None


def test_a_text_too_long_to_score_between_two_characters_is_refused():
    assert "100,000" in World(LOAD, p.Score("a" * 100_001)).run().of(p.Error)[0].message


def test_without_a_model_every_question_is_answered_with_what_to_do():
    world = World(
        p.Generate(1, "a"), p.Explain("a", 0), p.Score("a"), p.Set(1, {}), p.Step(1), p.Pace(1, None)
    ).run()
    assert len(world.of(p.Error)) == 6 and "load a run" in world.of(p.Error)[0].message


def test_garbage_is_answered_and_the_player_stays_up():
    world = World(b"garbage", b"\xff", b'{"do":"dance"}', b'{"do":"set","id":3,"top_k":"x"}', LOAD)
    world.at(1.0, p.Generate(1, "abc", seed=7, max=20)).run()
    assert [error.id for error in world.of(p.Error)] == [None, None, None, 3]
    assert world.text() == replay("abc", 20, 7)


def test_a_defect_in_one_request_is_reported_and_the_player_stays_up(capsys):
    world = World(LOAD)
    original = world.shelf.load
    world.shelf.load = lambda run, at: 1 / 0 if at == "last" else original(run, at)
    world.at(1.0, p.Load("tales", "last"), p.Generate(1, "abc", seed=7, max=20)).run()
    assert "ZeroDivisionError" in world.of(p.Error)[0].message and world.text() == replay("abc", 20, 7)
    assert "Traceback" in capsys.readouterr().err


def test_damaged_weights_end_the_text_with_one_error():
    world = World(LOAD)
    with torch.no_grad():
        next(world.shelf.last.model.parameters()).fill_(float("nan"))
    world.at(0.1, p.Generate(1, "abc", max=20)).at(0.2, p.Score("abc")).run()
    assert [error.id for error in world.of(p.Error)] == [1, 0]
    assert world.of(p.Done) == [p.Done(1, "failed")] and world.of(p.Text) == []


def test_leaving_sends_what_was_written():
    world = World(LOAD, p.Generate(1, "abc", seed=7)).at(0.0505, p.Quit(), LOAD)
    world.run()
    assert world.of(p.Done) == [p.Done(1, "closed")] and world.text() == replay("abc", 51, 7)
    assert len(world.of(p.Ready)) == 1


def test_newer_weights_of_a_followed_run_take_over_in_mid_text_and_are_reported():
    world = World(LOAD, p.Follow("tales"), p.Generate(1, "abc", seed=7, max=1500))
    newer = weights(step=200, seed=5)

    def newest(run):
        if world.now > LOOK_SECONDS * 1.5:
            world.shelf.last, world.shelf.newest_step = newer, 200
        return world.shelf.newest_step

    world.shelf.newest = newest
    world.run()
    (change,) = world.of(p.Changed)
    assert change.id == 1 and change.settings == {"weights": 200}
    at = next(time for time, reply in world.heard if reply == change)
    assert at - 2 * LOOK_SECONDS < 0.002  # it looks twice a second, between characters
    stream = Stream(tiny_model(), TOKENIZER.encode("abc").ids.tolist(), seed=7)
    while len(stream.ids) < 1503:
        if len(stream.ids) == change.at:
            stream.reload(newer.model)
        stream.step()
    assert world.text() == TOKENIZER.decode(stream.ids[3:])
    assert len(world.of(p.Ready)) == 1


def test_following_loads_a_run_as_soon_as_it_has_a_checkpoint():
    world = World(p.Follow("tales"))
    world.shelf.newest = lambda run: 100 if world.now > 3 else None
    world.at(6.0, p.Generate(1, "abc", seed=7, max=10)).run()
    assert [time for time, reply in world.heard if isinstance(reply, p.Ready)] == pytest.approx([3.5])
    assert world.text() == replay("abc", 10, 7) and world.shelf.loads == [("tales", "last")]


def test_a_damaged_newer_checkpoint_is_tried_once_and_the_text_goes_on_with_the_old_one():
    world = World(LOAD)
    world.at(0.5, p.Follow("tales"), p.Generate(1, "abc", seed=7, max=3000))
    load = world.shelf.load
    world.shelf.newest_step = 200
    world.shelf.load = lambda run, at: load("broken" if at == "last" else run, at)
    world.run()
    assert len(world.of(p.Error)) == 1 and world.shelf.loads == [("tales", "best"), ("broken", "last")]
    assert world.text() == replay("abc", 3000, 7)


def test_weights_change_between_texts_too_and_no_longer_once_nothing_is_followed():
    world = World(LOAD, p.Follow("tales"))
    world.shelf.newest = lambda run: 200 if world.now > 1 else 100
    load = world.shelf.load
    world.shelf.load = lambda run, at: weights(200, 5) if at == "last" else load(run, at)
    world.at(4.0, p.Follow(None), p.Generate(1, "abc", seed=7, max=10)).run()
    assert world.of(p.Changed) == [p.Changed(None, None, {"weights": 200})]
    assert world.text() == replay("abc", 10, 7, model=tiny_model(5))


def test_beside_a_trainer_it_uses_one_thread_and_else_what_was_ordered_or_pays():
    world = World(LOAD, p.Follow("tales"))
    world.shelf.is_training = lambda run: 1 < world.now < 2
    world.at(4.0, p.Follow(None)).run()
    assert world.threads[0] is None and 1 in world.threads and world.threads[-1] is None
    assert set(World(LOAD, p.Follow("tales"), threads=2).at(4.0, p.Follow(None)).run().threads) == {2}


def test_where_it_uses_one_thread_numpy_does_too(monkeypatch):
    monkeypatch.setattr("engine.device.SMALL_PARAMS", 1)
    libraries = ThreadpoolController().select(user_api="blas").lib_controllers
    before = [library.num_threads for library in libraries]
    for library in libraries:
        library.set_num_threads(2)
    shelf, lines = Shelf(), [p.to_line(LOAD), p.to_line(p.Follow("tales")), None, b""]
    shelf.training = True
    Player(shelf, SimpleNamespace(get=lambda timeout: lines.pop(0)), lambda reply: None).run()
    after = [library.get_num_threads() for library in libraries]
    for library, count in zip(libraries, before, strict=True):
        library.set_num_threads(count)
    assert after == [1] * len(libraries)


@pytest.fixture
def pipe():
    read, write = os.pipe()
    wake_read, wake_write = os.pipe()
    ends = SimpleNamespace(inbox=Inbox(read, wake_read), write=write, wake=wake_write)
    yield ends
    for fd in (read, wake_read, wake_write):
        os.close(fd)
    if ends.write is not None:
        os.close(write)


def test_lines_come_whole_and_in_order_and_blank_ones_not_at_all(pipe):
    os.write(pipe.write, b"one\n\n  \ntwo\r\nthr")
    assert [pipe.inbox.get(0) for _ in range(3)] == [b"one", b"two\r", None]
    os.write(pipe.write, b"ee\nfour")
    os.close(pipe.write)
    pipe.write = None
    assert [pipe.inbox.get(None) for _ in range(4)] == [b"three", b"four", b"", b""]


def test_a_line_without_end_is_cut_and_the_next_one_is_understood(pipe, monkeypatch):
    monkeypatch.setattr("engine.wire.MAX_LINE", 10)
    os.write(pipe.write, b"x" * 30)
    assert len(pipe.inbox.get(None)) > 10
    os.write(pipe.write, b"x" * 30)
    assert pipe.inbox.get(None) is None
    os.write(pipe.write, b"x\nnext\n")
    assert pipe.inbox.get(None) == b"next"


def test_a_signal_ends_the_input(pipe):
    os.write(pipe.write, b"one\n")
    os.write(pipe.wake, b"!")
    assert pipe.inbox.get(None) == b""


@pytest.fixture
def runs(tmp_path):
    """A folder with one run, `tales`, as a trainer would leave it."""
    folder = RunFolder.create(tmp_path / "runs", "tales", {"corpus": "tales"})
    config = tiny_model().config
    folder.write_run({"version": 1, "model": config.to_json(), "corpus": {}, "recipe": {}})
    folder.write_tokenizer(TOKENIZER.to_json())
    save(folder, 100, seed=0)
    return folder.path.parent


def save(folder, step, seed):
    save_checkpoint(folder, step, tiny_model(seed).state_dict(), {}, {"val_loss": 1.5})


def test_the_library_finds_the_newest_checkpoint_and_refuses_names_that_lead_elsewhere(runs):
    library = RunLibrary(runs)
    assert library.newest("tales") == 100 and library.newest("tails") is None
    assert library.load("tales", "best").step == library.load("tales", "100").step == 100
    assert not library.is_training("tales")
    with RunFolder(runs / "tales").acquire():
        assert library.is_training("tales")
    for name in ("../runs/tales", "/etc", "", "a\0b"):
        for ask in (library.newest, library.is_training):
            with pytest.raises(Exception, match="cannot name a run"):
                ask(name)
    assert RunLibrary(None).newest(str(runs / "tales")) == 100


class Child:
    """A real player on pipes."""

    def __init__(self, runs):
        code = "import sys; from engine.player_process import main; sys.exit(main(sys.argv[1:]))"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, "--runs", str(runs), "--threads", "1"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def say(self, *requests):
        self.process.stdin.write(b"".join(map(p.to_line, requests)))
        self.process.stdin.flush()

    def until(self, kind):
        """What is said up to and including the first reply of this kind."""
        heard = []
        while not heard or not isinstance(heard[-1], kind):
            line = self.process.stdout.readline()
            assert line, self.process.stderr.read().decode()
            heard.append(p.parse_reply(line))
        return heard


@pytest.fixture
def child(runs):
    child = Child(runs)
    yield child
    if child.process.poll() is None:
        child.process.kill()
    child.process.communicate()


def test_in_a_real_process_a_setting_turned_in_mid_stream_meets_the_very_next_character(child, runs):
    child.say(p.Load("tales"), p.Generate(1, "once", {"temperature": 1.3}, 11, 4000, chars_per_s=2000.0))
    heard = child.until(p.Text)
    child.say(p.Set(1, {"temperature": 0.0}))
    heard += child.until(p.Changed)
    cold = heard[-1]
    heard += child.until(p.Text)
    child.say(p.Set(1, {"temperature": 1.3}))
    heard += child.until(p.Changed)
    warm = heard[-1]
    heard += child.until(p.Text)
    child.say(p.Stop(1))
    heard += child.until(p.Done)
    child.say(p.Quit())
    assert child.process.wait(60) == 0

    written = [(b.start + i, c) for b in heard if isinstance(b, p.Text) for i, c in enumerate(b.chars)]
    assert [position for position, _ in written] == list(range(4, 4 + len(written)))
    assert 4 < cold.at < warm.at <= 4 + len(written)
    assert all(c.p == 1.0 and c.rank == 0 for position, c in written if cold.at <= position < warm.at)
    assert all(c.p < 1.0 for position, c in written if not cold.at <= position < warm.at)
    # The same seed and the same changes, in this process, write the same text.
    loaded = load(RunFolder(runs / "tales"))
    changes = {cold.at: {"temperature": 0.0}, warm.at: {"temperature": 1.3}}
    hot = SamplerSettings(temperature=1.3)
    assert "".join(c.c for _, c in written) == replay("once", len(written), 11, changes, hot, loaded.model)


def test_in_a_real_process_a_checkpoint_saved_meanwhile_is_taken_over(child, runs):
    child.say(p.Load("tales"), p.Follow("tales"), p.Generate(1, "once", seed=3))
    child.until(p.Text)
    save(RunFolder(runs / "tales"), 200, seed=5)
    change = child.until(p.Changed)[-1]
    assert change.settings == {"weights": 200} and change.at > 4
    child.say(p.Stop(1))
    assert child.until(p.Done)[-1] == p.Done(1, "stopped")


def test_a_signal_makes_it_leave_quietly_even_in_mid_text(child):
    child.say(p.Load("tales"), p.Generate(1, "once"))
    child.until(p.Text)
    child.process.send_signal(signal.SIGTERM)
    out, err = child.process.communicate(timeout=60)
    assert child.process.returncode == 128 + signal.SIGTERM and err == b""
    *rest, done = out.splitlines()
    assert all(json.loads(line)["event"] in ("text", "dist") for line in rest)
    assert p.parse_reply(done) == p.Done(1, "closed")


def test_a_reader_that_has_stopped_reading_does_not_keep_it_from_leaving(child):
    child.say(p.Load("tales"), p.Score("once upon a time " * 1000))  # the answer is larger than any pipe
    child.until(p.Ready)
    held = array.array("i", [0])
    while held[0] < 60_000:  # until the pipe is full
        fcntl.ioctl(child.process.stdout.fileno(), termios.FIONREAD, held)
    child.process.send_signal(signal.SIGINT)
    assert child.process.wait(60) == 128 + signal.SIGINT


def test_it_leaves_when_its_input_ends_or_nobody_listens_any_more(runs):
    deaf, mute = Child(runs), Child(runs)
    for child in (deaf, mute):
        child.say(p.Load("tales"), p.Generate(1, "once"))
    for child in (deaf, mute):
        child.until(p.Text)
    mute.process.stdout.close()
    assert mute.process.stderr.read() == b""
    assert mute.process.wait(60) == 0
    _, remarks = deaf.process.communicate(timeout=60)  # closes its input, and reads on as an interface does
    assert remarks == b"" and deaf.process.returncode == 0
    for stream in (mute.process.stdin, mute.process.stderr):
        stream.close()


def test_a_stray_print_does_not_reach_the_replies(runs):
    code = (
        "import sys; from engine.player_process import Player, main; use = Player._use;"
        "Player._use = lambda *a: (print('stray', flush=True), use(*a));"
        "sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, "--runs", str(runs)]
    result = subprocess.run(command, input=p.to_line(p.Load("tales")), capture_output=True, timeout=60)
    assert [type(p.parse_reply(line)) for line in result.stdout.splitlines()] == [p.Ready]
    assert result.stderr == b"stray\n" and result.returncode == 0
