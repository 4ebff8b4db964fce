"""What `tinygpt_tui.sources.corpus_facts` promises: one process for the text that is looked at, heard without waiting, none left over."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.facts import RUNGS, About, Done, Fact, Failed, LadderRung, Preview, Speed, to_line
from tinygpt_tui.sources import corpus_facts, facts_reader
from tinygpt_tui.sources.corpus_facts import MOST_KEPT, REST_SECONDS, CorpusFacts
from tinygpt_tui.sources.facts_reader import FactsReader

ROOT = Path(__file__).parent.parent.parent
ABOUT = About("a", 3, 3, "0" * 64)


def wait_for(what: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not what():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.002)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class Child:
    """A process in the place of `python -m engine facts`: notes its pid and arguments, then runs a script."""

    def __init__(self, folder: Path) -> None:
        self.notes = folder / "notes"
        self.notes.mkdir()
        self.script = folder / "child.py"

    def command(self, body: str) -> tuple[str, ...]:
        self.script.write_text(
            "import os, sys, time\n"
            f"path = {str(self.notes)!r} + '/' + str(os.getpid())\n"
            "open(path + '.new', 'w').write(sys.argv[-1]); os.rename(path + '.new', path)\n"
            f"{body}\n"
        )
        return (sys.executable, str(self.script))

    def says(self, *facts: Fact, then: str = "") -> tuple[str, ...]:
        return self.command(f"os.write(1, {b''.join(map(to_line, facts))!r})\n{then}")

    @property
    def started(self) -> dict[int, str]:
        return {int(path.name): path.read_text() for path in self.notes.glob("*[0-9]")}


@pytest.fixture
def child(tmp_path: Path) -> Child:
    return Child(tmp_path)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[[tuple[str, ...]], CorpusFacts]]:
    made: list[CorpusFacts] = []

    def build(command: tuple[str, ...] = facts_reader.COMMAND) -> CorpusFacts:
        made.append(CorpusFacts(tmp_path / "cache", FactsReader(tmp_path / "cache", command)))
        return made[-1]

    yield build
    for one in made:
        one.close()


class Clock:
    """A clock for `tick` that passes the moment of rest at each look."""

    def __init__(self, facts: CorpusFacts) -> None:
        self.facts, self.now = facts, 0.0

    def until(self, what: Callable[[], bool]) -> None:
        def look() -> bool:
            self.now += REST_SECONDS
            self.facts.tick(self.now)
            return what()

        wait_for(look)

    def finish(self) -> None:
        self.until(lambda: self.facts.look is not None and self.facts.look.finished)


def test_a_real_process_tells_everything_of_a_text(
    tmp_path: Path, make: Callable[..., CorpusFacts], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "text.txt").write_text("the fox and the heron\n" * 300)
    monkeypatch.chdir(tmp_path)  # a relative path is of this folder, not of the process's own
    facts = make()
    facts.look_at("text.txt")
    Clock(facts).finish()
    look = facts.look
    assert look is not None and look.about is not None and look.stats is not None and look.preview is not None
    assert (look.source, look.problem, look.about.characters) == ("text.txt", "", 6600)
    assert look.stats.lines == 300 and look.preview.head.startswith("the fox")
    assert tuple(rung.name for rung in look.rungs) == RUNGS


def test_a_real_failure_is_one_sentence(tmp_path: Path, make: Callable[..., CorpusFacts]) -> None:
    facts = make()
    facts.look_at(str(tmp_path / "none.txt"))
    Clock(facts).finish()
    assert facts.look is not None and facts.look.problem.startswith("There is no file")
    assert facts.look.about is None


def test_a_cursor_that_runs_through_a_list_starts_one_process(
    child: Child, make: Callable[..., CorpusFacts], monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []
    start = FactsReader.start

    def noted(self: FactsReader, source: str, **how: Any) -> None:
        started.append(source)
        start(self, source, **how)

    monkeypatch.setattr(FactsReader, "start", noted)
    facts = make(child.says(ABOUT, Done()))
    now = 10.0
    for n in range(20):
        facts.look_at(f"/text-{n}")
        assert facts.look is not None and facts.look.source == f"/text-{n}"
        facts.tick(now)
        now += REST_SECONDS / 2
        facts.tick(now)
    clock = Clock(facts)
    clock.now = now
    clock.finish()
    assert started == ["/text-19"]


def test_another_choice_kills_the_process_and_leaves_no_zombie(
    child: Child, make: Callable[..., CorpusFacts]
) -> None:
    facts = make(child.says(ABOUT, then="time.sleep(600)"))
    clock = Clock(facts)
    facts.look_at("/first")
    clock.until(lambda: facts.look is not None and facts.look.about is not None)
    (first,) = child.started
    facts.look_at("/second")
    assert facts.look == corpus_facts.Look("/second")
    clock.until(lambda: len(child.started) == 2 and not alive(first))  # a zombie would still be found
    (second,) = child.started.keys() - {first}
    facts.cancel()
    assert facts.look is None
    wait_for(lambda: not facts.tick(0.0) and not alive(second))


def test_closing_leaves_no_process(child: Child, make: Callable[..., CorpusFacts]) -> None:
    facts = make(child.says(ABOUT, then="time.sleep(600)"))
    facts.look_at("/first")
    Clock(facts).until(lambda: bool(child.started))
    facts.close()
    assert not any(map(alive, child.started))


def test_looking_at_the_same_text_again_does_not_begin_anew(
    child: Child, make: Callable[..., CorpusFacts]
) -> None:
    facts = make(child.says(ABOUT, then="time.sleep(600)"))
    clock = Clock(facts)
    facts.look_at("/first")
    clock.until(lambda: facts.look is not None and facts.look.about is not None)
    look = facts.look
    facts.look_at("/first")
    assert facts.look is look and facts.tick(clock.now + 1) is False
    assert len(child.started) == 1


def test_a_slow_process_is_never_waited_for(child: Child, make: Callable[..., CorpusFacts]) -> None:
    facts = make(child.command("time.sleep(600)"))
    facts.look_at("/first")
    Clock(facts).until(lambda: bool(child.started))
    began = time.monotonic()
    for _ in range(100):
        assert facts.tick(1e9) is False
    assert time.monotonic() - began < 5


def test_facts_appear_one_by_one(child: Child, tmp_path: Path, make: Callable[..., CorpusFacts]) -> None:
    go = tmp_path / "go"
    rung = LadderRung("uniform", 4.0)
    half, rest = to_line(rung)[:9], to_line(rung)[9:] + to_line(Done())
    facts = make(
        child.says(
            ABOUT, Preview("x"),
            then=f"os.write(1, {half!r})\nwhile not os.path.exists({str(go)!r}): time.sleep(0.002)\nos.write(1, {rest!r})",
        )
    )  # fmt: skip
    clock = Clock(facts)
    facts.look_at("/first")
    clock.until(lambda: facts.look is not None and facts.look.preview is not None)
    assert facts.look is not None and facts.look.rungs == () and not facts.look.finished
    go.touch()
    clock.finish()
    assert facts.look.rungs == (rung,) and facts.look.problem == ""


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("sys.exit(3)", "left with code 3"),
        ("import signal; os.kill(os.getpid(), signal.SIGKILL)", "memory ran out"),
        ("os.write(1, b'nonsense\\n'); time.sleep(600)", "cannot be examined"),
        ("os.write(1, b'x' * 5_000_000); time.sleep(600)", "at most 4,000,000 bytes"),
        (f"os.write(1, {to_line(Failed('no ' + chr(27) + '[2J', 3))!r}); time.sleep(600)", "no \u241b[2J"),
    ],
)
def test_whatever_goes_wrong_is_one_safe_sentence(
    body: str, says: str, child: Child, make: Callable[..., CorpusFacts]
) -> None:
    facts = make(child.command(body))
    facts.look_at("/a\x1bb")
    Clock(facts).finish()
    assert facts.look is not None and says in facts.look.problem and facts.look.problem.isprintable()
    wait_for(lambda: not facts.tick(0.0) and not any(map(alive, child.started)))


@pytest.mark.parametrize("source", ["/a\0b", "/first"])
def test_what_cannot_be_started_is_one_sentence(source: str, make: Callable[..., CorpusFacts]) -> None:
    facts = make(("/nowhere/python",))
    facts.look_at(source)
    Clock(facts).finish()
    assert facts.look is not None and "cannot be examined" in facts.look.problem


def test_a_finished_text_is_shown_again_at_once_until_it_changes(
    tmp_path: Path, child: Child, make: Callable[..., CorpusFacts]
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("one")
    facts = make(child.says(ABOUT, Done()))
    clock = Clock(facts)
    facts.look_at(str(path))
    clock.finish()
    look = facts.look
    facts.look_at("/other")
    facts.look_at(str(path))
    assert facts.look is look and len(child.started) == 1
    facts.look_at(str(path), encoding="latin-1")
    assert facts.look != look
    path.write_text("another")
    facts.look_at(str(path))
    assert facts.look is not None and not facts.look.finished
    clock.finish()
    assert len(child.started) == 2


def test_failures_and_folders_are_asked_about_again(
    tmp_path: Path, child: Child, make: Callable[..., CorpusFacts]
) -> None:
    facts = make(child.says(Failed("no", 3)))
    clock = Clock(facts)
    for source in ("tales", "/x", "tales"):
        facts.look_at(source)
        assert facts.look is not None and not facts.look.finished
        clock.finish()
    facts = make(child.says(ABOUT, Done()))
    clock = Clock(facts)
    for source in (str(tmp_path), "tales", str(tmp_path)):
        facts.look_at(source)
        assert facts.look is not None and not facts.look.finished
        clock.finish()


def test_what_was_fetched_anew_is_forgotten(child: Child, make: Callable[..., CorpusFacts]) -> None:
    facts = make(child.says(ABOUT, Done()))
    clock = Clock(facts)
    facts.look_at("tales")
    clock.finish()
    facts.forget("tales")
    assert facts.look is None
    facts.look_at("tales")
    assert facts.look is not None and not facts.look.finished


def test_a_measurement_ends_when_the_machine_is_no_longer_idle_and_is_made_again_later(
    tmp_path: Path,
) -> None:
    class Slow:
        """Finds out about a text at once, and never ends a measurement before it is told to."""

        busy = False
        heard: tuple[Fact, ...] = ()
        measured = cancelled = 0

        def start(self, source: str, *, encoding: str | None = None, force_text: bool = False) -> None:
            self.heard = (ABOUT, Done())

        def take(self) -> list[Fact]:
            heard, self.heard = list(self.heard), ()
            return heard

        def measure_speed(self, arch: str = "modern") -> None:
            self.measured += 1

        def cancel(self) -> None:
            self.cancelled += 1
            self.heard = ()

        def close(self) -> None: ...

    reader = Slow()
    facts = CorpusFacts(tmp_path, reader)
    facts.look_at("tales")
    for now in (0.0, 1.0, 2.0, 3.0):
        facts.tick(now, may_measure=True)
    assert reader.measured == 1
    cancelled, reader.heard = reader.cancelled, (Speed(1.0), Done())
    facts.tick(4.0)  # a training has begun
    assert reader.cancelled == cancelled + 1 and facts.speed is None
    facts.tick(5.0)
    assert reader.cancelled == cancelled + 1
    facts.tick(6.0, may_measure=True)
    reader.heard = (Speed(2.0), Done())
    facts.tick(7.0, may_measure=True)
    assert reader.measured == 2 and facts.speed == 2.0


def test_only_the_latest_texts_are_kept(make: Callable[..., CorpusFacts], tmp_path: Path) -> None:
    class Instant:
        busy = False
        asked: tuple[str, ...] = ()
        heard: tuple[Fact, ...] = ()

        def start(self, source: str, *, encoding: str | None = None, force_text: bool = False) -> None:
            self.asked, self.heard = (*self.asked, source), (ABOUT, Speed(1.0), Done())

        def take(self) -> list[Fact]:
            heard, self.heard = list(self.heard), ()
            return heard

        def measure_speed(self, arch: str = "modern") -> None: ...

        def cancel(self) -> None: ...

        def close(self) -> None: ...

    reader = Instant()
    facts = CorpusFacts(tmp_path, reader)
    clock = Clock(facts)
    sources = []
    for n in range(MOST_KEPT + 1):
        sources.append(str(tmp_path / f"{n}.txt"))
        Path(sources[-1]).write_text(str(n))
        facts.look_at(sources[-1])
        clock.finish()
    facts.look_at(sources[1])
    assert facts.look is not None and facts.look.finished
    facts.look_at(sources[0])
    assert not facts.look.finished
    facts.cancel()
    reader.heard = (ABOUT,)  # too late
    assert not facts.tick(clock.now) or facts.look is None


def test_the_options_reach_the_process_and_the_speed_comes_back(child: Child, tmp_path: Path) -> None:
    reader = FactsReader(
        tmp_path, child.command(f"print(*sys.argv[1:], file=open({str(tmp_path / 'argv')!r}, 'w'))")
    )
    reader.start("/x", encoding="latin-1", force_text=True)
    assert reader.busy
    wait_for(lambda: any(isinstance(fact, Failed) for fact in reader.take()))
    assert (tmp_path / "argv").read_text() == f"--cache {tmp_path} --encoding=latin-1 --force-text -- /x\n"
    reader = FactsReader(tmp_path, child.says(Speed(5e9), Done()))
    reader.measure_speed("classic")
    heard: list[Fact] = []
    wait_for(lambda: heard.extend(reader.take()) or heard[-1:] == [Done()])  # type: ignore[func-returns-value]
    assert heard[0] == Speed(5e9) and not reader.busy
    reader.close()


def test_the_interface_loads_neither_torch_nor_numpy_for_it() -> None:
    code = (
        "import sys, tinygpt_tui.sources.corpus_facts, tinygpt_tui.sources.corpus_list\n"
        "import tinygpt_tui.sources.downloading, tinygpt_tui.sources.expectation\n"
        "sys.exit(bool({'torch', 'numpy', 'textual'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, timeout=60)
