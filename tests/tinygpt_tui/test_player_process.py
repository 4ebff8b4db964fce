"""The player as a child process: one that dies, floods, babbles or stays silent, and the real one."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

import engine
from engine import protocol as p
from tests.tinygpt_tui import fake_player
from tests.tinygpt_tui.fake_player import of, story, written
from tinygpt_tui.sources import player_process
from tinygpt_tui.sources.player_link import Happening, Link, Lost, Restarted
from tinygpt_tui.sources.player_process import MOST_HEARD, PlayerProcess, player_command

FAKE = (sys.executable, str(Path(fake_player.__file__)))
QUICKLY: Any = {"backoff_seconds": (0.0,)}


class Ear:
    """Takes what a link hears, again and again, until something is there."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.heard: list[Happening] = []

    async def until(self, condition: Callable[[], object], seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"waited in vain; heard {self.heard[-5:]}"
            await asyncio.sleep(0.005)
            self.heard += self.link.take()

    async def hears(self, kind: type[Any], count: int = 1) -> Any:
        """The `count`-th happening of a kind."""
        await self.until(lambda: len(of(kind, self.heard)) >= count)
        return of(kind, self.heard)[count - 1]


def play(
    story: Callable[[PlayerProcess, Ear], Awaitable[None]],
    *options: str,
    command: tuple[str, ...] = FAKE,
    **more: Any,
) -> list[Happening]:
    """Runs `story` with a started player, closes it, and checks that no process is left; returns all that was heard."""

    async def run() -> list[Happening]:
        link = PlayerProcess((*command, *options), **more)
        ear = Ear(link)
        link.start()
        try:
            await story(link, ear)
        finally:
            pid = link.pid
            await link.close()
        assert state(link) == "down" and link.pid is None
        assert pid is None or not alive(pid)
        return ear.heard + link.take()

    heard = asyncio.run(run())
    gc.collect()  # what was left open complains now
    return heard


def alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return not Path("/proc/self").exists()


def state(link: Link) -> str:
    return link.state


def test_two_thousand_characters_a_second_come_complete_and_in_few_happenings() -> None:
    async def hear(link: PlayerProcess, ear: Ear) -> None:
        link.send(p.Load("fox"))
        link.send(p.Generate(7, "abc", max=6000))
        deadline = time.monotonic() + 60
        while not of(p.Done, ear.heard):
            assert time.monotonic() < deadline
            await asyncio.sleep(1 / 30)
            taken = link.take()
            assert len(of(p.Text, taken)) <= 1 and len(of(p.Dist, taken)) <= 1
            ear.heard += taken

    heard = play(hear, "--rate", "2000")
    assert written(heard, 7) == story(0, 6000)
    assert of(p.Text, heard)[0].start == 3
    assert of(p.Done, heard) == [p.Done(7, "max")]
    assert isinstance(heard[0], p.Ready) and isinstance(heard[1], p.Started)


def test_a_flood_that_nobody_takes_is_held_back_and_nothing_of_it_is_missing() -> None:
    chars = 40_000

    async def hear(link: PlayerProcess, ear: Ear) -> None:
        link.send(p.Load("fox"))
        link.send(p.Generate(1, "", max=chars))
        deadline = time.monotonic() + 60
        while link.waiting_bytes < MOST_HEARD:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.001)
        # One read adds at most its own lines: a chunk, the line that began before it, and what each line counts for.
        most = MOST_HEARD + 4 * player_process.CHUNK
        waiting = link.waiting_bytes
        for _ in range(50):
            assert waiting <= most and link.waiting_bytes == waiting
            await asyncio.sleep(0.002)
        buffered = link._process.stdout._buffer  # type: ignore[union-attr]
        assert len(buffered) <= 2 * player_process.CHUNK + 2**18
        ear.heard += link.take()
        assert not of(p.Done, ear.heard) and 0 < len(written(ear.heard)) < chars
        await ear.hears(p.Done)

    assert written(play(hear, "--rate", "0")) == story(0, chars)


def test_a_player_that_is_killed_in_mid_text_loses_nothing_it_said_and_comes_back_with_its_model() -> None:
    async def hear(link: PlayerProcess, ear: Ear) -> None:
        link.send(p.Load("owl"))
        link.send(p.Follow("fox"))
        link.send(p.Load("hen"))
        await ear.hears(p.Ready, 3)
        link.send(p.Generate(1, "", max=50_000))
        await ear.until(lambda: len(written(ear.heard)) > 100)
        first = link.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        killed = time.monotonic()
        lost = await ear.hears(Lost)
        assert time.monotonic() - killed < 5  # a fraction of a second where nothing else runs
        assert "killed" in lost.reason and not lost.final
        await ear.hears(p.Ready, 5)
        assert state(link) == "up" and link.pid not in (None, first)
        link.send(p.Generate(2, "", max=10))
        await ear.hears(p.Done)

    heard = play(hear, **QUICKLY)
    ended = heard.index(of(Lost, heard)[0])
    assert of(p.Text, heard[ended:])[0].id == 2
    assert written(heard, 1) == story(0, len(written(heard, 1))) and written(heard, 2) == story(0, 10)
    # What stands is told again, in the order in which it was last said: the first load is forgotten.
    assert [one.run for one in of(p.Ready, heard[:ended])] == ["owl", "fox", "hen"]
    assert [type(one) for one in heard[ended : ended + 3]] == [Lost, Restarted, p.Ready]
    assert [one.run for one in of(p.Ready, heard[ended:])] == ["fox", "hen"]


def test_everything_a_player_said_before_it_died_is_heard_before_its_loss() -> None:
    async def hear(link: PlayerProcess, ear: Ear) -> None:
        link.send(p.Load("fox"))
        link.send(p.Generate(1, ""))
        await ear.hears(Lost)

    heard = play(hear, "--rate", "0", "--die-after", "20000")
    assert written(heard) == story(0, 20_000)
    assert isinstance([one for one in heard if not isinstance(one, p.Dist | Restarted | p.Ready)][-1], Lost)


def test_what_was_on_its_way_when_a_player_died_is_heard_before_its_loss() -> None:
    async def hear(link: PlayerProcess, ear: Ear) -> None:
        await ear.until(lambda: link.pid is not None)
        pid = link.pid
        link.send(p.Load("fox"))
        link.send(p.Generate(1, ""))
        deadline = time.monotonic() + 60
        while link.waiting_bytes < MOST_HEARD or (pid is not None and alive(pid)):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.001)
        await ear.hears(Lost)

    heard = play(hear, "--rate", "0", "--die-after", "2500")
    assert written(heard) == story(0, 2500) and isinstance(heard[-1], Lost | Restarted | p.Ready)


def test_one_that_dies_at_once_again_and_again_is_given_up_and_can_be_started_again() -> None:
    async def hear(link: PlayerProcess, ear: Ear) -> None:
        for round in (1, 2):
            await ear.until(lambda: state(link) == "down")
            lost = of(Lost, ear.heard)
            assert len(lost) == 5 * round and [one.final for one in lost[-5:]] == [False] * 4 + [True]
            assert "exit code 3: FakeError: no story today" in lost[-1].reason
            assert "5 times in a row" in lost[-1].reason and lost[-1].reason.endswith(".")
            link.start()

    heard = play(hear, "--exit", "3", **QUICKLY)
    assert len(of(Restarted, heard)) >= 8


def test_one_that_has_lived_long_enough_is_started_again_however_often_it_dies() -> None:
    async def hear(link: PlayerProcess, ear: Ear) -> None:
        await ear.hears(Lost, 8)
        assert not any(one.final for one in of(Lost, ear.heard))

    play(hear, "--exit", "0", steady_seconds=0.0, **QUICKLY)


def test_starting_cuts_the_wait_for_the_next_start_short_and_a_second_start_does_nothing() -> None:
    async def hear(link: PlayerProcess, ear: Ear) -> None:
        link.start()
        await ear.hears(Lost)
        assert state(link) == "lost"
        link.start()
        await ear.hears(Restarted)

    play(hear, "--exit", "0", backoff_seconds=(1000.0,))


def test_a_program_that_does_not_exist_is_a_loss_with_a_reason() -> None:
    async def hear(link: PlayerProcess, ear: Ear) -> None:
        lost = await ear.hears(Lost, 5)
        assert lost.final and "could not be started: No such file" in lost.reason

    play(hear, command=("/nonexistent/player",), **QUICKLY)


def test_requests_to_a_player_that_is_away_are_refused_and_the_model_is_remembered() -> None:
    async def run() -> None:
        link = PlayerProcess(FAKE)
        link.send(p.Load("fox"))
        link.send(p.Generate(4, "x"))
        link.send(p.Quit())
        refused = link.take()
        assert [one.id for one in of(p.Error, refused)] == [4, None] and "not running" in refused[0].message  # type: ignore[union-attr]
        link.start()
        ear = Ear(link)
        ready = await ear.hears(p.Ready)
        assert ready.run == "fox" and len(ear.heard) == 1
        await link.close()

    asyncio.run(run())


def test_while_it_waits_to_be_started_again_a_generation_is_refused_and_a_model_remembered() -> None:
    async def hear(link: PlayerProcess, ear: Ear) -> None:
        link.send(p.Load("fox"))
        link.send(p.Generate(1, ""))
        await ear.hears(Lost)
        link.send(p.Generate(5, "x"))
        link.send(p.Load("owl"))
        assert of(p.Error, ear.link.take()) == [
            p.Error(5, "The player is being started again: ask again in a moment.")
        ]
        link.start()
        assert (await ear.hears(p.Ready, 2)).run == "owl"

    play(hear, "--die-after", "10", backoff_seconds=(1000.0,))


def test_garbage_is_an_error_and_what_comes_between_is_understood() -> None:
    async def hear(link: PlayerProcess, ear: Ear) -> None:
        link.send(p.Load("fox"))
        link.send(p.Generate(1, "", max=500))
        await ear.hears(p.Done)

    heard = play(hear, "--garbage")
    assert written(heard) == story(0, 500) and not of(Lost, heard)
    errors = of(p.Error, heard)
    assert errors and all(
        'no message and was passed over: \'\ufffd{"event": 1' in one.message for one in errors
    )


def test_a_long_reply_is_understood_in_its_place() -> None:
    async def hear(link: PlayerProcess, ear: Ear) -> None:
        link.send(p.Load("fox"))
        link.send(p.Score("x" * 20_000, id=1))
        link.send(p.Score("y", id=2))
        await ear.hears(p.Scored, 2)

    heard = play(hear)
    assert [(one.id, one.chars) for one in of(p.Scored, heard)] == [(1, 20_000), (2, 1)]


def test_a_deaf_player_does_not_make_requests_pile_up_and_is_ended_all_the_same() -> None:
    async def hear(link: PlayerProcess, ear: Ear) -> None:
        link.send(p.Load("fox"))
        await ear.until(lambda: link.pid is not None)
        for i in range(20_000):
            link.send(p.Set(1, {"temperature": i / 20_000}))
            if i % 10 == 0:
                await asyncio.sleep(0)
        assert len(link._outbox) <= 20 and state(link) == "starting"
        assert not of(p.Error, link.take())

    play(hear, "--deaf")


def test_a_player_that_will_not_leave_is_killed(monkeypatch: Any) -> None:
    monkeypatch.setattr(player_process, "LEAVE_SECONDS", (0.05, 0.05, 5.0))

    async def hear(link: PlayerProcess, ear: Ear) -> None:
        link.send(p.Load("fox"))
        await ear.hears(p.Ready)

    play(hear, "--stubborn")


def test_what_a_dead_player_had_not_read_is_not_told_to_the_next_one() -> None:
    async def hear(link: PlayerProcess, ear: Ear) -> None:
        link.send(p.Load("fox"))
        await ear.until(lambda: link.pid is not None)
        for id in range(100):
            link.send(p.Score("x" * 50_000, id))
        await ear.until(lambda: len(link._outbox) < 100)
        assert link.pid is not None and len(link._outbox) > 50
        os.kill(link.pid, signal.SIGKILL)
        await ear.hears(Restarted)
        assert len(link._outbox) <= 1

    play(hear, "--deaf", **QUICKLY)


def test_one_that_is_held_back_by_a_flood_leaves_when_asked_and_its_last_words_can_be_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(player_process, "LEAVE_SECONDS", (30.0, 1.0, 5.0))
    began = time.monotonic()

    async def hear(link: PlayerProcess, ear: Ear) -> None:
        link.send(p.Load("fox"))
        link.send(p.Generate(1, ""))
        await ear.until(lambda: link.pid is not None)
        process = link._process
        assert process and process.stdout
        while not process.stdout._paused:  # type: ignore[attr-defined]
            await asyncio.sleep(0.001)
        for _ in range(50):  # the pipe fills up
            await asyncio.sleep(0.002)

    heard = play(hear, "--rate", "0")
    assert written(heard) == story(0, len(written(heard))) and not of(Lost, heard)
    assert time.monotonic() - began < 30


def test_what_a_player_says_in_leaving_can_be_taken() -> None:
    async def hear(link: PlayerProcess, ear: Ear) -> None:
        link.send(p.Load("fox"))
        link.send(p.Generate(1, "", chars_per_s=100.0))
        await ear.until(lambda: len(written(ear.heard)) > 10)

    heard = play(hear)
    assert heard[-1] == p.Done(1, "closed") and not of(Lost, heard)


def test_closing_twice_or_before_the_start_or_while_starting_does_no_harm() -> None:
    async def run() -> None:
        link = PlayerProcess(FAKE)
        await link.close()
        link.start()
        await asyncio.gather(link.close(), link.close())
        assert state(link) == "down"
        link.start()
        link.send(p.Load("fox"))
        await Ear(link).hears(p.Ready)
        await link.close()
        assert link.take() == []

    asyncio.run(run())


def test_a_loop_that_ends_without_closing_leaves_no_process() -> None:
    async def run() -> int:
        link = PlayerProcess((*FAKE, "--stubborn", "--rate", "0", "--unasked"))
        link.start()
        await Ear(link).hears(p.Text)
        while link.waiting_bytes < MOST_HEARD:
            await asyncio.sleep(0.001)
        assert link.pid is not None
        return link.pid

    assert not alive(asyncio.run(run()))


def test_it_gives_way_and_hears_no_ctrl_c_of_ours() -> None:
    async def hear(link: PlayerProcess, ear: Ear) -> None:
        link.send(p.Load("fox"))
        await ear.hears(p.Ready)
        assert link.pid is not None
        assert os.getpgid(link.pid) == link.pid != os.getpgrp()
        assert os.getsid(link.pid) == os.getsid(0)
        assert os.getpriority(os.PRIO_PROCESS, link.pid) == min(os.getpriority(os.PRIO_PROCESS, 0) + 5, 19)

    play(hear)


def test_it_dies_with_an_interface_that_is_killed(
    trained: Any, until: Callable[..., None], tmp_path: Path
) -> None:
    program = f"""
import asyncio, pathlib
from engine import protocol as p
from tinygpt_tui.sources.player_process import PlayerProcess, player_command
async def run():
    link = PlayerProcess(player_command(pathlib.Path({str(trained.run.parent)!r})))
    link.start()
    while link.pid is None: await asyncio.sleep(0.01)
    print(link.pid, flush=True)
    link.send(p.Load("fox"))
    link.send(p.Generate(1, "The "))
    while not any(isinstance(one, p.Text) for one in link.take()): await asyncio.sleep(0.01)
    print("writing", flush=True)
    await asyncio.sleep(1000)  # while nobody takes: it may be blocked in writing when we die
asyncio.run(run())
"""
    for moment in ("starting", "writing"):
        command = [sys.executable, "-c", program]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, cwd=Path(engine.__file__).parents[1]
        ) as interface:
            assert interface.stdout is not None
            pid = int(interface.stdout.readline())
            if moment == "writing":
                assert interface.stdout.readline() == b"writing\n"
            assert alive(pid)
            interface.kill()
        until(lambda pid=pid: not alive(pid))


def test_the_real_player_obeys_a_setting_from_the_very_next_character_even_beside_a_stranger_named_engine(
    trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("engine.py").write_text("raise SystemExit('a stranger')")

    async def hear(link: PlayerProcess, ear: Ear) -> None:
        link.send(p.Load("fox"))
        assert state(link) == "starting"
        ready = await ear.hears(p.Ready)
        assert state(link) == "up" and (ready.run, ready.step) == ("fox", 20)
        link.send(p.Generate(1, "The ", seed=1, chars_per_s=300.0))
        await ear.until(lambda: len(written(ear.heard)) > 50)
        link.send(p.Set(1, {"temperature": 0}))
        changed = await ear.hears(p.Changed)
        await ear.until(lambda: of(p.Text, ear.heard)[-1].start > changed.at)
        link.send(p.Stop(1))
        await ear.hears(p.Done)

    heard = play(hear, command=player_command(Path(trained.run.parent)))
    assert of(p.Done, heard) == [p.Done(1, "stopped")] and not of(p.Error, heard)
    [started], [changed] = of(p.Started, heard), of(p.Changed, heard)
    place = heard.index(changed)
    before, after = of(p.Text, heard[:place]), of(p.Text, heard[place:])
    # The change stands in the story exactly where it took effect: behind every character drawn under the old settings,
    # whose number its position is, and in front of the first one drawn under the new.
    assert changed.settings == {"temperature": 0} and changed.settings_version == 1
    assert changed.at == started.at + len(written(before)) == after[0].start
    assert {one.settings_version for one in before} == {0} and {one.settings_version for one in after} == {1}
    # At temperature 0 the likeliest is certain, which at temperature 1 nothing was.
    assert all(char.p == 1.0 and char.rank == 0 for one in after for char in one.chars)
    assert all(char.p < 1.0 for one in before for char in one.chars)
    written(heard)


def test_nothing_here_imports_torch_numpy_or_textual() -> None:
    program = "import sys, tinygpt_tui.sources.player_process; print({'torch', 'numpy', 'textual', 'rich'} & {*sys.modules})"
    assert subprocess.check_output([sys.executable, "-c", program]) == b"set()\n"


@pytest.mark.parametrize(
    ("code", "said", "reason"),
    [
        (0, b"", "The player stopped with exit code 0."),
        (1, b"a\n\x9bbad \n \n", "The player stopped with exit code 1: \ufffdbad."),
        (-signal.SIGSEGV, b"x", "The player was ended by SIGSEGV."),
        (-60, b"", "The player was ended by signal 60."),
        (None, b"", "The player could not be ended."),
    ],
)
def test_how_a_player_ended_is_one_sentence(code: int | None, said: bytes, reason: str) -> None:
    assert player_process._reason(code, said) == reason
