"""The Corpus screen: every text one can choose with what is in it, dials that say what a training comes to, and one key that starts it."""

from __future__ import annotations

import hashlib
import io
import json
import sys
import threading
import urllib.request
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import OptionList, ProgressBar

from engine import catalogue
from engine.facts import About, Done, Fact, Failed, LadderRung, Preview, Speed, Stats, SymbolCount
from tests.tinygpt_tui.driving import check_picture, check_text, drive, press, screen_text, wait_for
from tests.tinygpt_tui.scripted_run import SHA256, finished_run
from tests.tinygpt_tui.scripted_world import playground, scripted_world, waiting_reader
from tinygpt_tui.screens.corpus import TIMES, make_screen
from tinygpt_tui.sources.corpus_facts import CorpusFacts
from tinygpt_tui.sources.downloading import Downloading
from tinygpt_tui.world import World

TALE = 'A fox kept a lantern under the bridge.\n"Who is there?" said the heron.\n'
BEGINNING = (
    TALE
    + """\
"Only me," said the fox, "and the lantern."
The heron stood on the other leg and thought about it.

A bear came to the door of the old mill, one rainy evening in autumn, and asked for a bowl of soup.
"We have only half a bowl," said the mice. So the bear sat down and ate it very slowly.
"It was a whole one," he said, when he had wiped his nose. "You must have counted it while it was still hot."

The smallest star could not sleep. It was too bright for that. It asked the owl what the others did.
"They twinkle," said the owl. "From down here it looks as if they were closing one eye, and then the other."
"""
)
LADDER = {
    "uniform": 4.11, "1-gram": 3.08, "2-gram": 2.32, "3-gram": 1.70, "4-gram": 1.25, "5-gram": 0.96, "6-gram": 0.75, "bz2": 0.37,
}  # fmt: skip
OFTEN = (
    (" ", 0.18),
    ("e", 0.09),
    ("t", 0.07),
    ("a", 0.07),
    ("o", 0.06),
    ("n", 0.05),
    ("h", 0.05),
    ("\n", 0.04),
)
ABOUT = About("tales", 1_600_568, 1_600_568, SHA256)
PREVIEW = Preview(BEGINNING, "The wind chased the clouds like sheep.\n", 800_284)
STATS = Stats(
    1_600_568, 1_600_568, 61, 0, 18_263, 400,
    tuple(SymbolCount(symbol, round(share * 1_600_568), share) for symbol, share in OFTEN), 4.45,
)  # fmt: skip
RUNGS = tuple(LadderRung(name, nats) for name, nats in LADDER.items())
SPEED = Speed(6e10)
HOSTILE = "\x1b[31mred [b]bold[/b] \u202edrow [x](y) \x9b2J"

Story = Callable[[Pilot[int], World], Awaitable[None]]


class ScriptedFacts:
    """A source of facts that says what the test gives it, and remembers what it was asked."""

    def __init__(self, *at_once: Fact) -> None:
        """`at_once` is said of every text as soon as it is asked about."""
        self.asked: list[str] = []
        self.at_once = at_once
        self.facts: list[Fact] = []

    @property
    def busy(self) -> bool:
        return bool(self.facts)

    def start(self, source: str, *, encoding: str | None = None, force_text: bool = False) -> None:
        self.asked.append(source)
        self.facts = list(self.at_once)

    def measure_speed(self, arch: str = "modern") -> None:
        self.facts = [SPEED, Done()]

    def take(self) -> list[Fact]:
        heard, self.facts = self.facts, []
        return heard

    def say(self, *facts: Fact) -> None:
        self.facts.extend(facts)

    def cancel(self) -> None:
        self.facts = []

    def close(self) -> None:
        self.cancel()


class Trainers:
    """Takes the place of starting trainers; none is started."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []

    def __call__(self, folder: Any, **named: Any) -> int:
        self.requests.append(json.loads((folder.path / "request.json").read_text()))
        return 2**22


def watch(
    tmp_path: Path,
    story: Story,
    size: tuple[int, int] = (120, 40),
    facts: ScriptedFacts | None = None,
    prepare: Callable[[World], None] = lambda world: None,
    **parts: Any,
) -> None:
    """Opens Corpus and tells the story."""
    world = scripted_world(tmp_path, **parts)
    world.facts = CorpusFacts(
        tmp_path / "cache", facts or ScriptedFacts(ABOUT, PREVIEW, STATS, *RUNGS, Done())
    )
    prepare(world)

    async def tell(pilot: Pilot[int]) -> None:
        await story(pilot, world)

    drive(playground(world, "corpus"), tell, size)


async def shown(pilot: Pilot[int], *texts: str) -> None:
    await wait_for(pilot, lambda: all(text in screen_text(pilot.app) for text in texts), " and ".join(texts))


def chosen(pilot: Pilot[int]) -> str:
    """The text under the cursor."""
    screen: Any = pilot.app.screen
    return str(screen._row().source)


def told(pilot: Pilot[int]) -> list[str]:
    return [note.message for note in pilot.app._notifications]


@pytest.fixture
def novel(tmp_path: Path) -> Path:
    path = tmp_path / "my-novel.txt"
    path.write_text(TALE * 40, encoding="utf-8")
    return path


def test_what_is_in_a_text_appears_as_it_is_found_out(tmp_path: Path) -> None:
    facts = ScriptedFacts()

    async def story(pilot: Pilot[int], world: World) -> None:
        await wait_for(pilot, lambda: facts.asked == ["tales"])
        await shown(pilot, "● Tales", "Reading …", "Counting …", "short stories written by this program")
        facts.say(ABOUT, PREVIEW)
        await shown(pilot, "A fox kept a lantern", "Counting …")
        facts.say(STATS)
        await shown(
            pilot, "1,600,568 characters · 61 symbols", "entropy 4.45 bits", "␣ 18 %", "counting on …"
        )
        facts.say(*RUNGS[:3])
        await shown(pilot, "uniform  4.11", "bigram   2.32")
        assert "bz2" not in screen_text(pilot.app)
        facts.say(*RUNGS[3:], Done())
        await shown(pilot, "bz2      0.37")
        assert "counting on" not in screen_text(pilot.app)

    watch(tmp_path, story, facts=facts)


def test_arrows_choose_a_text_and_one_that_is_known_is_there_at_once(tmp_path: Path) -> None:
    facts = ScriptedFacts()

    async def story(pilot: Pilot[int], world: World) -> None:
        await wait_for(pilot, lambda: facts.asked == ["tales"])
        facts.say(ABOUT, PREVIEW, STATS, *RUNGS, Done())
        await shown(pilot, "A fox kept")
        await pilot.press("down")
        await wait_for(pilot, lambda: facts.asked == ["tales", "smalltalk"])
        await shown(pilot, "Reading …", "short conversations with")
        assert "A fox kept" not in screen_text(pilot.app)
        facts.say(Preview("You: hello\nPip: hello you\n"))
        await shown(pilot, "Pip: hello you")
        await pilot.press("up")
        await shown(pilot, "A fox kept", "bz2      0.37")
        assert facts.asked == ["tales", "smalltalk"]

    watch(tmp_path, story, facts=facts)


def test_a_real_process_finds_out_what_is_in_a_text(tmp_path: Path, novel: Path) -> None:
    def prepare(world: World) -> None:
        world.facts = CorpusFacts(tmp_path / "cache")
        world.chosen_corpus = str(novel)

    async def story(pilot: Pilot[int], world: World) -> None:
        await shown(pilot, "A fox kept a lantern", "2,840 characters · ", " symbols", "80 lines", "bz2")
        assert chosen(pilot) == str(novel)

    watch(tmp_path, story, prepare=prepare)


def test_the_dials_turn_and_say_what_to_expect(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await shown(pilot, "[ ] time 2 m 00 s", "s size auto (0.3m)", "a kind modern", "355 k parameters")
        await wait_for(pilot, lambda: "a guess" not in screen_text(pilot.app))  # this machine was measured
        await press(pilot, "corpus.longer")
        await shown(pilot, "time 3 m 00 s")
        before = screen_text(pilot.app)
        await press(pilot, "corpus.shorter")
        await press(pilot, "corpus.shorter")
        await shown(pilot, "time 1 m 00 s")
        assert screen_text(pilot.app).splitlines()[-3] != before.splitlines()[-3]
        await press(pilot, "corpus.size")
        await shown(pilot, "size 0.1m")
        await press(pilot, "corpus.arch")
        await shown(pilot, "kind classic")
        await press(pilot, "corpus.arch")
        await shown(pilot, "kind ngram", "done in seconds")
        await press(pilot, "corpus.arch")
        await shown(pilot, "kind modern")

    watch(tmp_path, story)


def test_the_time_ends_at_the_shortest_and_the_longest(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        for _ in range(len(TIMES) + 1):
            await press(pilot, "corpus.longer")
        await shown(pilot, "time 8 h 00 m")
        for _ in range(len(TIMES) + 1):
            await press(pilot, "corpus.shorter")
        await shown(pilot, "time 15 s")

    watch(tmp_path, story)


def test_a_tick_that_comes_before_the_dials_are_set_does_nothing() -> None:
    screen = make_screen()
    screen.tick(0.0)
    assert screen._listed is None and screen._shown is None


def test_the_dials_turn_by_mouse(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await shown(pilot, "[ ] time 2 m 00 s")
        await pilot.click("#plan", offset=(2, 0))
        await shown(pilot, "time 3 m 00 s")
        await pilot.click("#plan", offset=(0, 0))
        await shown(pilot, "time 2 m 00 s")

    watch(tmp_path, story)


def test_what_a_run_on_this_very_text_has_shown_is_foretold(tmp_path: Path) -> None:
    finished_run(tmp_path / "data" / "runs", steps=60, params=100_000)

    async def story(pilot: Pilot[int], world: World) -> None:
        await shown(
            pilot, "likely ends below the unigram (3.08), since", "tales-01 ended at 3.074 with no more"
        )

    watch(tmp_path, story)


def test_one_key_starts_one_trainer_with_what_the_dials_say_and_shows_it(tmp_path: Path, novel: Path) -> None:
    trainers = Trainers()

    async def story(pilot: Pilot[int], world: World) -> None:
        await shown(pilot, "▤ my-novel.txt")
        await press(pilot, "corpus.longer")
        await press(pilot, "corpus.size")
        await press(pilot, "corpus.size")
        await press(pilot, "corpus.arch")
        await press(pilot, "corpus.start")
        await wait_for(pilot, lambda: pilot.app.current_mode == "train")
        await wait_for(pilot, lambda: world.starter.snapshot.state == "started")
        await pilot.press("t")
        (request,) = trainers.requests
        assert request["size"] == "0.3m" and request["corpus"]["source"] == str(novel)
        values = request["values"]
        assert (values["time"], values["arch"], values["seed"]) == (180.0, "classic", 1)
        assert world.chosen_run == "my-novel"

    watch(tmp_path, story, launch=trainers, prepare=lambda world: setattr(world, "chosen_corpus", str(novel)))


def test_enter_and_a_click_on_the_chosen_text_start_it_too(tmp_path: Path, novel: Path) -> None:
    trainers = Trainers()

    async def story(pilot: Pilot[int], world: World) -> None:
        await shown(pilot, "▤ my-novel.txt")
        await pilot.press("enter")
        await wait_for(pilot, lambda: len(trainers.requests) == 1)
        assert pilot.app.current_mode == "train"

    watch(tmp_path, story, launch=trainers, prepare=lambda world: setattr(world, "chosen_corpus", str(novel)))


def test_nothing_second_is_started_while_one_is_being_started(tmp_path: Path, novel: Path) -> None:
    go, trainers = tmp_path / "go", Trainers()

    async def story(pilot: Pilot[int], world: World) -> None:
        await press(pilot, "corpus.start")
        await wait_for(pilot, lambda: pilot.app.current_mode == "train")
        await pilot.press("1")
        await wait_for(pilot, lambda: pilot.app.current_mode == "corpus")
        await press(pilot, "corpus.start")
        await shown(pilot, "Another run is just being started")
        assert pilot.app.current_mode == "corpus"
        go.touch()
        await wait_for(pilot, lambda: world.starter.snapshot.state == "started")
        assert len(trainers.requests) == 1

    watch(
        tmp_path, story, launch=trainers, reader=waiting_reader(go),
        prepare=lambda world: setattr(world, "chosen_corpus", str(novel)),
    )  # fmt: skip


def test_a_text_that_vanished_is_not_started_and_says_why(tmp_path: Path, novel: Path) -> None:
    trainers = Trainers()

    async def story(pilot: Pilot[int], world: World) -> None:
        await shown(pilot, "▤ my-novel.txt")
        novel.unlink()
        await press(pilot, "corpus.start")
        await wait_for(pilot, lambda: "cannot be opened (no such file or directory)" in "".join(told(pilot)))
        assert pilot.app.current_mode == "corpus" and trainers.requests == []
        await pilot.press("4", "1")
        await shown(pilot, "? my-novel.txt", "is not there any more", "─ missing ─")

    watch(tmp_path, story, launch=trainers, prepare=lambda world: setattr(world, "chosen_corpus", str(novel)))


@pytest.mark.parametrize(
    ("content", "here", "started"),
    [
        (b"\x00\x01\x02" * 900, "choose one that is text, saved as UTF-8", "binary"),
        (b"", "is empty", "is empty"),
        (b"a\n", "This text has 2 characters: a model needs 18", "This text has 2 characters"),
        (b"\xe9t\xe9 " * 900, "save it as UTF-8 in an editor", "is not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_learned_says_why_and_one_stays_with_it(
    tmp_path: Path, content: bytes, here: str, started: str
) -> None:
    path = tmp_path / "odd.txt"
    path.write_bytes(content)
    trainers = Trainers()

    def prepare(world: World) -> None:
        world.facts = CorpusFacts(tmp_path / "cache")
        world.chosen_corpus = str(path)

    async def story(pilot: Pilot[int], world: World) -> None:
        await wait_for(pilot, lambda: world.facts.look is not None and world.facts.look.finished)
        parts: list[Any] = [pilot.app.screen.query_one(name) for name in ("#preview", "#plan")]
        await wait_for(pilot, lambda: any(here in str(part.render()) for part in parts), here)
        assert "reads the text" not in screen_text(pilot.app)
        await press(pilot, "corpus.start")
        await wait_for(pilot, lambda: started in "".join(told(pilot)))
        assert "--" not in screen_text(pilot.app)
        assert pilot.app.current_mode == "corpus" and world.starter.snapshot.state == "idle"
        assert trainers.requests == []

    watch(tmp_path, story, launch=trainers, prepare=prepare)


def test_a_start_that_fails_brings_one_back_here_with_the_reason(tmp_path: Path, novel: Path) -> None:
    refusal = json.dumps({"error": "my-novel.txt holds 9.0 GiB or more: give a part of it, or --force."})
    refuses = [sys.executable, "-c", f"input(); print({refusal!r})"]

    async def story(pilot: Pilot[int], world: World) -> None:
        await shown(pilot, "▤ my-novel.txt")
        await press(pilot, "corpus.start")
        await wait_for(pilot, lambda: "choose a smaller part of it." in "".join(told(pilot)))
        await wait_for(pilot, lambda: pilot.app.current_mode == "corpus")
        assert "--force" not in "".join(told(pilot)) and chosen(pilot) == str(novel)
        await pilot.press("2")  # and nobody is sent back again
        await wait_for(pilot, lambda: pilot.app.current_mode == "train")
        await shown(pilot, "There is no run yet.")

    watch(tmp_path, story, reader=refuses, prepare=lambda world: setattr(world, "chosen_corpus", str(novel)))


def test_a_start_that_fails_is_told_in_whatever_mode_one_is_by_then(tmp_path: Path, novel: Path) -> None:
    sign = tmp_path / "sign"
    refusal = json.dumps({"error": "my-novel.txt holds 9.0 GiB or more: give a part of it, or --force."})
    wait = f"while not os.path.exists({str(sign)!r}): time.sleep(0.005)"
    refuses = [sys.executable, "-c", f"import os, time\ninput()\n{wait}\nprint({refusal!r})"]

    async def story(pilot: Pilot[int], world: World) -> None:
        await shown(pilot, "▤ my-novel.txt")
        await press(pilot, "corpus.start")
        await wait_for(pilot, lambda: pilot.app.current_mode == "train")
        await pilot.press("4")
        await wait_for(pilot, lambda: pilot.app.current_mode == "runs")
        sign.touch()
        await wait_for(pilot, lambda: "choose a smaller part of it." in "".join(told(pilot)))
        await pilot.press("2")  # nobody is taken away from where they are, nor sent back from there
        await wait_for(pilot, lambda: pilot.app.current_mode == "train")
        await shown(pilot, "There is no run yet.")
        assert pilot.app.current_mode == "train" and len(told(pilot)) == 1

    watch(tmp_path, story, reader=refuses, prepare=lambda world: setattr(world, "chosen_corpus", str(novel)))


def test_a_changed_setting_moves_its_dial_unless_it_was_turned_here(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await shown(pilot, "time 2 m 00 s", "kind modern")
        await press(pilot, "corpus.longer")
        await shown(pilot, "time 3 m 00 s")
        world.settings.set("train.time", "7m")
        world.settings.set("train.arch", "classic")
        world.settings.set("train.size", "4m")
        await shown(pilot, "size 4m", "kind classic", "time 3 m 00 s")

    watch(tmp_path, story)


def test_a_ladder_that_goes_on_below_says_so_until_one_has_seen_its_end(tmp_path: Path) -> None:
    about = replace(ABOUT, notices=("read as UTF-16 by the byte order mark", "3 CRLF line ends made LF"))
    facts = ScriptedFacts(about, PREVIEW, STATS, *RUNGS, Done())

    async def story(pilot: Pilot[int], world: World) -> None:
        await shown(pilot, "uniform  4.11", "─ ↓ more ─")
        pilot.app.screen.query_one("#statistics-panel").scroll_end(animate=False)
        await shown(pilot, "bz2      0.37")
        await wait_for(pilot, lambda: "↓ more" not in screen_text(pilot.app))

    watch(tmp_path, story, (80, 24), facts)


def test_own_texts_are_remembered_and_can_be_forgotten(tmp_path: Path, novel: Path) -> None:
    async def first(pilot: Pilot[int], world: World) -> None:
        await shown(pilot, "▤ my-novel.txt")

    watch(tmp_path, first, prepare=lambda world: setattr(world, "chosen_corpus", str(novel)))

    async def second(pilot: Pilot[int], world: World) -> None:
        await shown(pilot, "▤ my-novel.txt")
        assert chosen(pilot) == str(novel)
        await press(pilot, "corpus.forget")
        await wait_for(pilot, lambda: chosen(pilot) == "tales")
        assert novel.exists() and world.corpora.row(str(novel)) is None
        await wait_for(pilot, lambda: f"o opens it again: {novel}" in "".join(told(pilot)))
        await press(pilot, "corpus.forget", 1)
        await shown(pilot, "The texts of the catalogue stay")
        assert "● Tales" in screen_text(pilot.app)

    watch(tmp_path, second)


def test_a_file_that_is_written_anew_is_read_anew(tmp_path: Path, novel: Path) -> None:
    facts = ScriptedFacts(PREVIEW)

    async def story(pilot: Pilot[int], world: World) -> None:
        await wait_for(pilot, lambda: facts.asked == [str(novel)])
        await pilot.press("4")
        novel.write_text("Another story.\n" * 50)
        await pilot.press("1")
        await wait_for(pilot, lambda: facts.asked == [str(novel)] * 2)

    watch(tmp_path, story, facts=facts, prepare=lambda world: setattr(world, "chosen_corpus", str(novel)))


def test_hostile_names_and_contents_are_shown_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "\x1b[31m[red]x[b] \u202e.txt"
    path.write_text(HOSTILE)
    facts = ScriptedFacts(
        replace(ABOUT, notices=(f"notice {HOSTILE}",)),
        Preview(HOSTILE, HOSTILE, 7),
        replace(STATS, most_frequent=(SymbolCount("\x1b", 9, 0.5), SymbolCount("[", 9, 0.5))),
        LadderRung("[/]", 1.0),
        Failed(f"failed {HOSTILE}", 3),
    )

    async def story(pilot: Pilot[int], world: World) -> None:
        await shown(
            pilot, "▤ ␛[31m[red]x[b] �.txt", "␛[31mred [b]bold[/b] �drow [x](y) �2J", "␛ 50 %  [ 50 %", "[/]"
        )
        await shown(pilot, "notice ␛[31mred [b]", "failed ␛[31mred [b]")
        assert not {"\x1b", "\x9b", "\u202e"} & set(screen_text(pilot.app))

    watch(tmp_path, story, facts=facts, prepare=lambda world: setattr(world, "chosen_corpus", str(path)))


class Net(urllib.request.OpenerDirector):
    """A network with one text: its first half comes at once, the rest or an error when the test says so."""

    def __init__(self, text: bytes) -> None:
        super().__init__()
        self.text, self.go = text, threading.Event()
        self.error: OSError | None = None

    def open(self, *arguments: Any, **named: Any) -> Any:
        net, half = self, len(self.text) // 2

        class Response(io.BytesIO):
            def read1(self, size: int | None = -1) -> bytes:
                if self.tell() == 0:
                    return self.read(half)
                assert net.go.wait(30)
                if net.error is not None:
                    raise net.error
                return self.read()

        return Response(self.text)


@pytest.fixture
def net(monkeypatch: pytest.MonkeyPatch) -> Net:
    net = Net(b"emma\nolivia\nava\n" * 500)
    names = catalogue.entry("names")
    known = replace(names, bytes=len(net.text), sha256=hashlib.sha256(net.text).hexdigest())
    monkeypatch.setattr(
        catalogue, "CATALOGUE", tuple(known if entry is names else entry for entry in catalogue.CATALOGUE)
    )
    return net


def with_net(tmp_path: Path, story: Story, net: Net, **parts: Any) -> None:
    def prepare(world: World) -> None:
        world.downloading = Downloading(tmp_path / "cache", net, catalogue.entry)
        world.chosen_corpus = "names"

    names = catalogue.entry("names")
    knows_it = f"""
import sys
from dataclasses import replace
from engine import beginning, catalogue
entry = catalogue.entry("names")
known = replace(entry, bytes={names.bytes}, sha256={names.sha256!r})
catalogue.CATALOGUE = tuple(known if e is entry else e for e in catalogue.CATALOGUE)
sys.exit(beginning.main())
"""
    try:
        watch(tmp_path, story, prepare=prepare, reader=[sys.executable, "-c", knows_it], **parts)
    finally:
        net.go.set()


def test_a_text_is_fetched_with_its_progress_and_then_shown(tmp_path: Path, net: Net) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await shown(pilot, "⇩ Names", "This text is not here yet: press f to fetch it, 8 kB", "─ to fetch ─")
        await press(pilot, "corpus.fetch")
        await shown(pilot, "fetching Names  (f gives up)", "50%")
        assert pilot.app.screen.query_one(ProgressBar).percentage == 0.5
        net.go.set()
        await shown(pilot, "Names is here.", "A fox kept a lantern", "● Names", "fetched 8 kB")
        assert "fetching" not in screen_text(pilot.app) and chosen(pilot) == "names"
        assert (tmp_path / "cache" / "corpora" / "names.txt").read_bytes() == net.text
        await press(pilot, "corpus.fetch")
        await shown(pilot, "This text is there already")

    with_net(tmp_path, story, net)


def test_training_on_a_text_that_is_not_here_fetches_it_first_and_then_starts(
    tmp_path: Path, net: Net
) -> None:
    trainers = Trainers()

    async def story(pilot: Pilot[int], world: World) -> None:
        await press(pilot, "corpus.start")
        await shown(pilot, "fetching Names")
        await wait_for(pilot, lambda: "the training starts when it is here" in "".join(told(pilot)))
        await press(pilot, "corpus.start")
        await shown(pilot, "Names is just being fetched")
        assert world.downloading.busy and trainers.requests == []
        net.go.set()
        await wait_for(pilot, lambda: len(trainers.requests) == 1)
        assert trainers.requests[0]["corpus"]["name"] == "names" and pilot.app.current_mode == "train"

    with_net(tmp_path, story, net, launch=trainers)


@pytest.mark.parametrize("leave", [True, False])
def test_a_text_that_arrives_is_trained_on_only_if_that_is_still_wanted(
    tmp_path: Path, net: Net, leave: bool
) -> None:
    trainers = Trainers()

    async def story(pilot: Pilot[int], world: World) -> None:
        await press(pilot, "corpus.start" if leave else "corpus.fetch")
        await shown(pilot, "fetching Names")
        if leave:
            await pilot.press("4")
            await wait_for(pilot, lambda: pilot.app.current_mode == "runs")
        net.go.set()
        await wait_for(pilot, lambda: world.downloading.snapshot.state == "done")
        if leave:
            await pilot.press("1")
        await shown(pilot, "● Names")
        await wait_for(pilot, lambda: "Names is here." in told(pilot))
        assert pilot.app.current_mode == "corpus" and trainers.requests == []

    with_net(tmp_path, story, net, launch=trainers)


def test_who_looks_at_another_text_meanwhile_goes_on_seeing_it(tmp_path: Path, net: Net) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await press(pilot, "corpus.fetch")
        await pilot.press("home")
        await shown(pilot, "A fox kept a lantern")
        net.go.set()
        await shown(pilot, "Names is here.", "● Names")
        await pilot.pause()
        assert chosen(pilot) == "tales" and "A fox kept a lantern" in screen_text(pilot.app)
        assert world.facts.look is not None and world.facts.look.source == "tales"

    with_net(tmp_path, story, net)


def test_fetching_can_be_given_up(tmp_path: Path, net: Net) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await press(pilot, "corpus.fetch")
        await shown(pilot, "fetching Names")
        await press(pilot, "corpus.fetch")
        await shown(pilot, "Gave up fetching Names.")
        await wait_for(pilot, lambda: "fetching Names  (" not in screen_text(pilot.app))
        assert world.downloading.snapshot.state == "cancelled" and "⇩ Names" in screen_text(pilot.app)
        net.go.set()

    with_net(tmp_path, story, net)
    assert not (tmp_path / "cache" / "corpora" / "names.txt").exists()


def test_fetching_that_fails_says_why_and_what_works_without(tmp_path: Path, net: Net) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        net.error = OSError(-2, "Name or service not known")
        await press(pilot, "corpus.fetch")
        await shown(pilot, "fetching Names")
        net.go.set()
        await wait_for(pilot, lambda: told(pilot))
        (message,) = told(pilot)
        assert "the server was not reached (is there a network?)" in message and "built in: tales" in message
        assert "fetching Names" not in screen_text(pilot.app) and "⇩ Names" in screen_text(pilot.app)

    with_net(tmp_path, story, net)


def frozen(novel: Path) -> Callable[[World], None]:
    """One own text, and the tales looked at."""

    def prepare(world: World) -> None:
        world.corpora.add(novel)
        world.chosen_corpus = "tales"

    return prepare


async def settled(pilot: Pilot[int]) -> None:
    await shown(pilot, "▤ my-novel.txt", "bz2      0.37", "char/s")
    await wait_for(pilot, lambda: "a guess" not in screen_text(pilot.app))


def test_the_screen_looks_the_same_when_the_others_have_been_seen(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await shown(pilot, "bz2      0.37", "char/s")
        await wait_for(pilot, lambda: "a guess" not in screen_text(pilot.app))
        before = screen_text(pilot.app)
        await pilot.press("4")
        await wait_for(pilot, lambda: pilot.app.current_mode == "runs")
        await pilot.press("5")
        await wait_for(pilot, lambda: pilot.app.current_mode == "settings")
        await shown(pilot, "1 Corpus")
        await pilot.press("1")
        await wait_for(pilot, lambda: screen_text(pilot.app) == before)

    watch(tmp_path, story)


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
def test_the_screen_looks_as_stored(tmp_path: Path, novel: Path, size: tuple[int, int]) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await settled(pilot)
        await check_text(pilot, f"corpus-{size[0]}x{size[1]}")

    watch(tmp_path, story, size, prepare=frozen(novel))


@pytest.mark.parametrize("look", ["dark", "light", "ansi", "nocolor"])
def test_the_screen_is_drawn_as_stored(
    tmp_path: Path, novel: Path, look: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if look == "nocolor":
        monkeypatch.setenv("NO_COLOR", "1")

    async def story(pilot: Pilot[int], world: World) -> None:
        pilot.app.theme = {"light": "tinygpt-light", "ansi": "ansi-dark"}.get(look, "tinygpt-dark")
        await settled(pilot)
        await check_picture(pilot, f"corpus-{look}")

    watch(tmp_path, story, prepare=frozen(novel))


@pytest.mark.parametrize("size", [(60, 16), (80, 24), (120, 40)])
def test_nothing_of_the_dials_and_the_footer_is_cut(tmp_path: Path, size: tuple[int, int]) -> None:
    async def story(pilot: Pilot[int], world: World) -> None:
        await shown(pilot, "[ ] time 2 m 00 s   s size auto", "a kind modern", "? ")
        assert size[0] < 80 or screen_text(pilot.app).endswith("^p commands")
        assert pilot.app.screen.query_one(OptionList).size.width >= 26

    watch(tmp_path, story, size)
