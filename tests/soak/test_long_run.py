"""Training for twenty minutes while everything happens to it: nothing is lost, nothing piles up, and every event is accounted for.

`SOAK_MINUTES=2` is a try: the same with a share of the counts. It prints what it did.
"""

from __future__ import annotations

import math
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from benchmarks.terminal import Terminal
from engine import manifest
from engine.checkpoint import checkpoints, find_checkpoint
from engine.control import request
from engine.event_log import read_events
from engine.events import from_json
from engine.loading import load
from engine.runs import RunFolder
from tests.engine.conftest import small_text
from tests.soak.long_run import Book, Clock, Player, Window, lines_of, processes
from tests.tinygpt_tui.survival import PLAYGROUND, ROOT, Home, end_trainers, player_of, until

MINUTES = float(os.environ.get("SOAK_MINUTES", "20"))
WHOLE = {"attachments": 200, "generations": 200, "resizes": 4000, "jumps": 200, "requests": 120, "looks": 40}
WANTED = {what: max(4, math.ceil(count * min(1.0, MINUTES / 20))) for what, count in WHOLE.items()}
STORM = 20  # sizes in one go
DAY = 86_400.0
# An update takes some tens of milliseconds, so that twenty minutes make a curve as long as those of people.
MODEL = (
    "n_layer=2",
    "n_head=2",
    "n_embd=64",
    "block_size=64",
    "batch_size=32",
    "threads=1",
    "sample_chars=20",
    "dropout=0.1",
)

pytestmark = [
    pytest.mark.soak,
    pytest.mark.timeout(int(240 * MINUTES + 900)),
    pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts memory and files in /proc"),
]


@dataclass
class Soak:
    """One run, and everything that happens to it."""

    home: Home
    clock: Clock
    dice: random.Random = field(default_factory=lambda: random.Random(1))
    did: Counter[str] = field(default_factory=Counter)
    asked: list[str] = field(default_factory=list)  # the ids of requests that were acknowledged to us
    commands: int = 0  # requests that were acknowledged to others

    @property
    def folder(self) -> RunFolder:
        return RunFolder(self.home.run("fox"))

    def attach(self) -> None:
        """Somebody else looks at the run, sees where it is, and goes away, in one of many ways."""
        number = self.did["attachments"]
        if number % 4 == 3:
            self._attach(
                [*PLAYGROUND, "fox"],
                "playground",
                lambda screen: "fox" in screen and ("●" in screen or "@ step" in screen),
                "\x11",
            )
        else:
            self._attach(
                [sys.executable, "-m", "tinygpt_tui", "runs", "watch", "fox"],
                "watch",
                lambda screen: "step" in screen,
                "\x03",
            )
        self.did["attachments"] += 1

    def _attach(self, command: list[str], kind: str, shows: Callable[[str], object], keys: str) -> None:
        way = self.dice.choice(("keys", "keys", "hang up", "kill"))
        with Terminal(command, environment=self.home.environment, cwd=self.home.work) as terminal:
            terminal.wait_until(shows, 120)
            if way == "keys":
                terminal.send(keys)
                assert terminal.ended() == (0 if kind == "playground" else 130)
            elif way == "hang up":
                terminal.hang_up()
                terminal.process.wait(60)
            else:
                terminal.kill()
        self.did[f"attached with {kind}"] += 1
        self.did[f"left by {way}"] += 1

    def steer(self) -> None:
        """Asks for something, now and then while the command line asks as well."""
        what, value, prompt = self.dice.choice(
            (
                ("lr", 0.9, None),
                ("lr", 1.1, None),
                ("sample", 20, "the fox"),
                ("save", None, None),
                ("pause", None, None),
            )
        )
        if self.did["requests"] % 4 == 0:
            command = [
                sys.executable,
                "-m",
                "tinygpt_tui",
                "runs",
                "lr",
                "fox",
                str(self.dice.choice((0.95, 1.05))),
            ]
            with Terminal(command, environment=self.home.environment, cwd=self.home.work) as terminal:
                while terminal.process.poll() is None:
                    self.asked.append(request(self.folder, "lr", self.dice.choice((0.999, 1.001))))
                    terminal.read(0.1)
                assert terminal.ended() == 0
            self.commands += 1
        self.asked.append(request(self.folder, what, value, prompt))
        if what == "pause":
            until(lambda: self.home.status("fox")["state"] == "paused", "the pause")
            self.asked.append(request(self.folder, "resume"))
        self.did["requests"] += 1

    def jump(self) -> None:
        """Somebody sets the clock: by hours, by years, back and forth."""
        self.clock.jump(
            self.dice.choice((0.0, -DAY, DAY, 3600.0, -3600.0, 3650 * DAY, -3650 * DAY, 0.5, 1e9))
        )
        self.did["jumps"] += 1

    def storm(self, window: Window) -> None:
        for _ in range(STORM):
            window.resize(self.dice.randint(1, 250), self.dice.randint(1, 90))
            time.sleep(self.dice.choice((0.0, 0.0, 0.01, 0.05)))
        self.did["resizes"] += STORM

    def look(self, window: Window) -> None:
        """In the middle of it all: the interface draws, the trainer lives, and the events so far are whole."""
        window.settled(lambda screen: "fox" in screen)
        assert self.folder.state() in ("training", "paused")
        # A trainer that is at work says so by its own clock; whoever looks at the lock knows it lives, whatever the clocks say.
        until(
            lambda: abs(self.home.status("fox")["heartbeat"] - time.time() - self.clock.shift) < 60,
            "the trainer to see the clock jump",
        )
        check_steps(self.folder)
        self.did["looks"] += 1


def check_steps(folder: RunFolder) -> int:
    """Every line of the events file is an event, and every step from the first to the last was told once; how many there are."""
    lines = lines_of(folder.events)
    assert all(from_json(line) is not None for line in lines)
    steps = [line["step"] for line in lines if line["event"] == "step"]
    assert steps == list(range(1, len(steps) + 1))
    seconds = [line["seconds"] for line in lines if line["event"] == "step"]
    assert seconds == sorted(seconds), "the time spent training went back"
    return len(steps)


def check_end(soak: Soak) -> dict[str, int]:
    """Nothing that was told, asked or saved is missing when the run is over; counts of what there is."""
    folder = soak.folder
    lines = lines_of(folder.events)
    assert folder.events.read_bytes().endswith(b"\n")
    events = Counter(line["event"] for line in lines)
    assert (events["start"], events["done"], events["failed"]) == (1, 1, 0)
    assert lines[0]["event"] == "start" and lines[-1]["event"] == "done" and lines[-1]["reason"] == "stopped"
    assert len(read_events(folder)) == len(lines)
    made = Counter(line["id"] for line in lines_of(folder.control))
    assert set(soak.asked) <= set(made) and made.total() == len(soak.asked) + soak.commands, (
        "an acknowledged request was lost"
    )
    assert Counter(line["id"] for line in lines if line["event"] == "control") == made, (
        "a request was not obeyed, or twice"
    )
    saved = [line["step"] for line in lines if line["event"] == "saved"]
    assert saved == sorted(set(saved)) and saved[-1] == lines[-1]["step"]
    left = checkpoints(folder)
    assert left and all(info.problem is None for info in left) and len(left) <= 3
    for info in left:
        manifest.verify(info.path)
        assert info.step in saved
    assert find_checkpoint(folder, "last")[0].step == saved[-1]
    assert load(folder).skipped == []
    assert not [path for path in folder.path.rglob("*") if path.name.startswith((".tmp-", ".trash-"))]
    return {
        "steps": check_steps(folder),
        **{f"events: {name}": count for name, count in sorted(events.items())},
        "bytes of events": folder.events.stat().st_size,
    }


def test_a_run_outlives_everything_that_happens_beside_it_and_nothing_piles_up(tmp_path: Path) -> None:
    home, clock = Home(tmp_path / "home"), Clock(tmp_path / "clock")
    home.environment |= clock.environment
    corpus = tmp_path / "fox.txt"
    corpus.write_text(small_text(3000))
    soak = Soak(home, clock)
    sizes = [part for size in MODEL for part in ("--set", size)]
    with ExitStack() as ends:
        ends.callback(end_trainers, home)
        home.tinygpt(
            "train",
            str(corpus),
            "--steps",
            "10000000",
            "--save-every",
            "200",
            "--eval-every",
            "200",
            "--name",
            "fox",
            *sizes,
            "--detach",
        )
        trainer = until(lambda: home.has_saved("fox") and home.trains("fox"), "the first checkpoint", 300)
        window = Window([*PLAYGROUND, "fox"], home.environment, home.work)
        ends.callback(window.close)
        window.settled(lambda screen: "fox" in screen, 120)
        player = Player(home.path / "data" / "runs", "fox", home.environment, ROOT)
        ends.callback(player.close)
        inner = until(lambda: player_of(window.process.pid), "the interface's own player")
        for _ in range(20):  # what is kept for every size of a window is there before anything is counted
            soak.storm(window)
        book = Book()
        ends.callback(book.close)
        for name, pid in (
            ("trainer", trainer),
            ("interface", window.process.pid),
            ("its player", inner),
            ("player", player.process.pid),
        ):
            book.follow(name, pid)
        deeds: dict[str, Callable[[], object]] = {
            "attachments": soak.attach,
            "requests": soak.steer,
            "jumps": soak.jump,
            "resizes": lambda: soak.storm(window),
            "looks": lambda: soak.look(window),
            "generations": lambda: (player.write(soak.dice), soak.did.update(generations=1)),
        }
        began = time.monotonic()
        while (spent := (time.monotonic() - began) / (60 * MINUTES)) < 1 or any(
            soak.did[what] < WANTED[what] for what in deeds
        ):
            assert spent < 3, f"only {dict(soak.did)} in three times the time"
            # What is furthest behind comes next; when all are ahead of the time, there is rest.
            what = min(deeds, key=lambda what: soak.did[what] / WANTED[what])
            if soak.did[what] / WANTED[what] <= spent:
                deeds[what]()
            else:
                time.sleep(0.1)
            assert window.process.poll() is None and player.process.poll() is None
        clock.jump(0.0)
        window.settled(lambda screen: "fox" in screen)
        until(
            lambda: len(processes("engine play", home.path)) == 2,
            "the end of the players of those who have left",
        )
        book.close()
        home.tinygpt("runs", "stop", "fox")
        soak.commands += 1
        assert home.ended("fox")["state"] == "stopped"
        assert window.close() == 0 and player.close() == 0
        found = check_end(soak)
    counts = {
        "minutes": round((time.monotonic() - began) / 60, 1), **dict(sorted(soak.did.items())), "all requests": len(soak.asked) + soak.commands, "characters written": player.chars,
        "sampler changes": player.changes, "weights reloaded in mid-text": player.reloads, **found,
    }  # fmt: skip
    rows = list(book.rows())
    print("\n" + "\n".join(f"{name:<30} {count:>12,}" for name, count in counts.items()))
    print("\n".join(row for row, _ in rows))
    assert all(flat for _, flat in rows), "something piles up"
    assert all(soak.did[what] >= count for what, count in WANTED.items())
