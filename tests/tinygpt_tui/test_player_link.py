"""What screens hear of the player, in which order, what waits for it, and the scripted player that tests use."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from engine import protocol as p
from engine.wire import MAX_LINE
from tests.tinygpt_tui.fake_player import FakeLink, of, story, written
from tests.tinygpt_tui.scripted_player import FakePlayer
from tinygpt_tui.sources import player_lines
from tinygpt_tui.sources.player_lines import LineCutter, Outbox
from tinygpt_tui.sources.player_link import Happening, Link, Lost, Restarted, merged

SYMBOLS = (p.Symbol("a", 0.5, 0.5),)


def state(link: Link) -> str:
    return link.state


def text(start: int, chars: str, id: int = 1, version: int = 0) -> p.Text:
    return p.Text(id, start, tuple(p.Char(c, 0.5, 0.5, 0) for c in chars), version)


def dist(at: int, id: int = 1) -> p.Dist:
    return p.Dist(id, at, SYMBOLS)


def test_neighbouring_texts_of_one_version_become_one_and_the_last_distribution_stays() -> None:
    heard: list[Happening] = [
        text(5, "ab"),
        dist(6),
        text(7, "c"),
        dist(7),
        text(8, "d", version=1),
        text(9, "e", id=2),
        dist(9, id=2),
        dist(8),
    ]
    assert merged(heard) == [
        text(5, "abc"), text(8, "d", version=1), text(9, "e", id=2), dist(9, id=2), dist(8)
    ]  # fmt: skip


def test_texts_with_a_gap_between_them_stay_apart() -> None:
    assert merged([text(0, "a"), text(2, "b")]) == [text(0, "a"), text(2, "b")]


def test_everything_but_text_and_distributions_stays_in_order_and_parts_the_text() -> None:
    rare: list[Happening] = [
        p.Changed(1, 1, {"temperature": 0.5}, 0), p.Error(1, "no"), p.Error(1, "no"), Lost("gone"), Restarted(),
        p.Ready("fox", 1, "llama", 1, 1, 1), p.Explained(1, 0, 0, "a", SYMBOLS), p.Done(1, "max"),
    ]  # fmt: skip
    assert merged([text(0, "a"), *rare, text(1, "b")]) == [text(0, "a"), *rare, text(1, "b")]


def test_an_arrival_is_told_once_until_it_is_taken_and_not_from_within_send() -> None:
    async def run() -> None:
        link, calls = FakeLink(), []
        link.on_arrival = lambda: calls.append(link.state)
        link.start()
        link.send(p.Load("fox"))
        link.send(p.Load("fox"))
        assert calls == []
        await asyncio.sleep(0)
        assert calls == ["up"]
        link.say(p.Error(None, "more"))
        await asyncio.sleep(0)
        assert calls == ["up"]
        assert len(link.take()) == 3
        link.say(p.Error(None, "more"))
        link.take()  # a tick comes first: nothing is left to tell
        await asyncio.sleep(0)
        assert calls == ["up"]
        link.say(p.Error(None, "more"))
        await asyncio.sleep(0)
        assert calls == ["up", "up"]

    asyncio.run(run())


def lines(outbox: Outbox) -> list[p.Request]:
    return [p.parse_request(outbox.pop()) for _ in range(len(outbox))]


def test_settings_that_wait_for_a_deaf_player_become_one_with_the_newest_value_of_each_field() -> None:
    outbox = Outbox()
    for i in range(10_000):
        assert outbox.add(p.Set(1, {"temperature": i / 10_000}), merge=True) is None
        assert outbox.add(p.Pace(1, float(i)), merge=True) is None
        assert outbox.add(p.Set(1, {"top_k": i}), merge=True) is None
    assert lines(outbox) == [p.Set(1, {"temperature": 0.9999, "top_k": 9999}), p.Pace(1, 9999.0)]


def test_settings_are_not_merged_across_a_step_or_another_generation() -> None:
    told: list[p.Request] = [
        p.Set(1, {"top_k": 1}),
        p.Step(1),
        p.Set(1, {"top_k": 2}),
        p.Set(2, {"top_k": 3}),
        p.Set(1, {"top_k": 4}),
    ]
    outbox = Outbox()
    for request in told:
        outbox.add(request, merge=True)
    assert lines(outbox) == told


def test_what_waits_is_bounded_and_what_is_refused_says_why() -> None:
    outbox = Outbox()
    assert "at most 4 MB" in (outbox.add(p.Score("x" * MAX_LINE)) or "")
    big = p.Score("x" * (MAX_LINE - 1000))
    answers = [outbox.add(big) for _ in range(5)]
    assert answers[:2] == [None, None] and "ask again later" in (answers[-1] or "")
    assert sum(len(outbox.pop()) for _ in range(len(outbox))) <= player_lines.MOST_BYTES
    outbox.add(big)
    outbox.clear()
    answers = [outbox.add(p.Step(1)) for _ in range(player_lines.MOST_REQUESTS + 1)]
    assert answers[-2] is None and answers[-1] is not None


def test_what_is_heard_outside_of_a_loop_waits_to_be_taken() -> None:
    link = FakeLink()
    link.on_arrival = lambda: pytest.fail("nobody can be told")
    link.say(p.Error(None, "early"))
    assert len(link.take()) == 1


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_lines_come_whole_however_they_are_cut(size: int) -> None:
    data = b"one\n\n  \ntwo\nthree and"
    cutter = LineCutter()
    chunks = [data[i : i + size] for i in range(0, len(data), size)]
    assert [line for chunk in chunks for line in cutter.feed(chunk)] == [b"one", b"two"]
    assert cutter.feed(b" more\n") == [b"three and more"]


def test_of_a_line_without_end_only_its_beginning_is_kept_and_the_next_is_understood(
    monkeypatch: Any,
) -> None:
    monkeypatch.setattr(player_lines, "MAX_LINE", 1000)
    cutter = LineCutter()
    told = [line for _ in range(1000) for line in cutter.feed(b"x" * 100)]
    assert told == [b"x" * player_lines.SHOWN]
    assert len(cutter._rest) == 0
    assert cutter.feed(b"x\nnext\n") == [b"next"]


def test_the_fake_link_plays_like_the_real_one() -> None:
    link = FakeLink(per_take=10)
    link.start()
    assert state(link) == "starting"
    link.send(p.Load("fox"))
    link.send(p.Generate(1, "abc", max=100))
    assert state(link) == "up"
    heard = link.take()
    assert [type(one) for one in heard] == [p.Ready, p.Started, p.Text, p.Dist]
    link.send(p.Set(1, {"temperature": 0}))
    link.send(p.Pace(1, 0.0))
    link.send(p.Step(1))
    heard += link.take()
    changed = of(p.Changed, heard)
    assert [(one.at, one.settings_version) for one in changed] == [(13, 1), (13, 1)]
    assert of(p.Text, heard)[-1].chars[0].p == 1.0 and of(p.Text, heard)[-1].settings_version == 1
    assert of(p.Dist, heard)[-1].at == 14 and written(heard) == story(0, 11)
    link.send(p.Pace(1, None))
    while not of(p.Done, heard):
        heard += link.take()
    assert written(heard) == story(0, 100) and heard[-1] == p.Done(1, "max")
    assert [type(one) for one in link.sent] == [p.Load, p.Generate, p.Set, p.Pace, p.Step, p.Pace]
    assert link.requests(p.Set) == [p.Set(1, {"temperature": 0})]


def test_the_fake_link_is_lost_and_comes_back_on_command() -> None:
    link = FakeLink()
    link.start()
    link.send(p.Load("fox"))
    link.say(Lost("gone"))
    link.send(p.Generate(1, ""))
    assert state(link) == "lost" and isinstance(link.take()[-1], p.Error)
    link.say(Restarted())
    assert state(link) == "up" and [type(one) for one in link.take()] == [Restarted, p.Ready]
    link.say(Lost("gone", final=True))
    assert state(link) == "down"
    link.start()
    asyncio.run(link.close())
    assert (link.starts, link.closes, link.state) == (2, 1, "down")


def test_every_answer_of_the_fake_player_is_a_message_and_its_odds_add_up() -> None:
    player = FakePlayer()
    asked: list[p.Request] = [
        p.Generate(1, "a"), p.Load("missing"), p.Load("fox", "500"), p.Follow("fox"), p.Follow("owl"),
        p.Generate(1, "ab", {"top_k": 5}, max=10), p.Generate(2, "ab", stop=("fox",), chars_per_s=0.0), p.Step(2), p.Step(3),
        p.Set(2, {"temperature": 2.0}), p.Set(2, {"temperature": -1}), p.Pace(2, 5.0), p.Step(2),
        p.Explain("fox", 1, 3, {"temperature": 0}), p.Score("fox", 4), p.Score("", 5), p.Stop(1), p.Stop(2), p.Quit(),
        p.Generate(3, "x", max=0), p.Generate(4, "x", stop=("fox",)),
    ]  # fmt: skip
    replies = [reply for request in asked for reply in player.answer(request)]
    replies += [*player.advance(600), *player.write(1000), *player.advance(700)]
    assert [p.parse_reply(p.to_line(reply)) for reply in replies] == replies
    assert len([one for one in replies if isinstance(one, p.Error)]) == 5
    assert replies[-2:] == [p.Done(4, "stop"), p.Changed(None, None, {"weights": 700})]
    assert written([one for one in replies if not isinstance(one, p.Error)], 4) == "The quick brown "
    for one in replies:
        if isinstance(one, p.Dist | p.Explained):
            for odds in ([s.raw for s in one.symbols], [s.final for s in one.symbols]):
                assert sum(odds) == pytest.approx(1.0)
