"""What `python -m engine facts` promises: one fact a line as soon as it is known, the ladder of `eval`, a cache, one sentence on failure."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engine import facts, wire
from engine.corpus import read_corpus, split
from engine.facts import (
    RUNGS,
    About,
    Done,
    Fact,
    Failed,
    LadderRung,
    Preview,
    Speed,
    Stats,
    SymbolCount,
    parse_fact,
    rungs,
    to_line,
)

ROOT = Path(facts.__file__).parent.parent


def words(count: int, seed: int = 1) -> str:
    dice = random.Random(seed)
    return "".join(
        dice.choice(["der ", "Hund ", "lief ", "über ", "die ", "Straße.\n"]) for _ in range(count)
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "hund.txt"
    path.write_text(words(3000), encoding="utf-8")
    return path


def told(*arguments: object, code: int = 0) -> list[Fact]:
    """What a real process says."""
    command = [sys.executable, "-m", "engine", "facts", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=120)
    assert done.returncode == code, done.stderr.decode()
    return [parse_fact(line) for line in done.stdout.splitlines()]


def kinds(heard: list[Fact]) -> list[str]:
    return [type(fact).__name__ for fact in heard]


EVERYTHING = ["About", "Preview", "Stats", *["LadderRung"] * len(RUNGS), "Done"]


def test_it_tells_everything_of_a_file_in_order(file: Path, tmp_path: Path) -> None:
    text = file.read_text(encoding="utf-8")
    heard = told(file, "--cache", tmp_path / "cache")
    assert kinds(heard) == EVERYTHING
    about, preview, stats = heard[:3]
    assert isinstance(about, About) and isinstance(preview, Preview) and isinstance(stats, Stats)
    assert (about.name, about.characters, about.bytes) == ("hund", len(text), file.stat().st_size)
    assert about.sha256 == read_corpus(str(file)).sha256 and about.notices == ()
    assert preview.head == text[:4000] and preview.middle == text[preview.middle_at :][: len(preview.middle)]
    assert preview.middle and text[preview.middle_at - 1] == "\n"
    assert stats.symbols == len(set(text)) and stats.bytes == about.bytes
    assert stats.most_frequent[0].share == text.count(stats.most_frequent[0].symbol) / len(text)
    assert tuple(fact.name for fact in heard if isinstance(fact, LadderRung)) == RUNGS


@pytest.mark.parametrize(
    "text", ["tales", "sums", "xyz", "xy" * 30, "é\n" * 500, "".join(map(chr, range(32, 3000)))]
)
def test_the_ladder_is_that_of_the_engine(text: str, tmp_path: Path) -> None:
    from engine.ladder import ladder
    from engine.tokenizer import CharTokenizer

    if text in ("tales", "sums"):
        corpus = read_corpus(text)
    else:
        (tmp_path / "a.txt").write_text(text * 2, encoding="utf-8")
        corpus = read_corpus(str(tmp_path / "a.txt"))
    train_text, val_text = split(corpus.text)
    expected = ladder(
        train_text, val_text if len(val_text) > 1 else train_text, CharTokenizer.train(corpus.text)
    )
    assert {rung.name: rung.nats for rung in rungs(corpus)} == pytest.approx(expected, abs=1e-12)


def test_the_second_time_nothing_is_counted(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = told(file, "--cache", tmp_path / "cache")

    def never(*arguments: Any) -> Any:
        raise AssertionError("counted again")

    monkeypatch.setattr(facts, "climb", never)
    corpus = read_corpus(str(file))
    assert list(rungs(corpus, tmp_path / "cache")) == [f for f in first if isinstance(f, LadderRung)]
    with pytest.raises(AssertionError):
        list(rungs(corpus, tmp_path / "other"))


@pytest.mark.parametrize(
    "damage",
    [
        b"", b"{", b"[]", b'{"version": 1}', b"\xff",
        {"version": 2}, {"sha256": "0" * 64}, {"ladder": {}}, {"ladder": {"uniform": 1.0}}, {"ladder": [1]},
        {"ladder": dict.fromkeys(RUNGS, None)}, {"ladder": dict.fromkeys(RUNGS, 1)},
    ],
)  # fmt: skip
def test_a_damaged_cache_is_counted_again_and_mended(damage: Any, file: Path, tmp_path: Path) -> None:
    corpus = read_corpus(str(file))
    first = list(rungs(corpus, tmp_path))
    kept = tmp_path / "ladders" / f"{corpus.sha256}.json"
    sound = kept.read_bytes()
    kept.write_bytes(damage if isinstance(damage, bytes) else json.dumps(json.loads(sound) | damage).encode())
    assert list(rungs(corpus, tmp_path)) == first
    assert kept.read_bytes() == sound
    assert [path.name for path in kept.parent.iterdir()] == [kept.name]


def test_whoever_stops_listening_leaves_no_half_cache(file: Path, tmp_path: Path) -> None:
    climbing = rungs(read_corpus(str(file)), tmp_path)
    next(climbing)
    del climbing
    assert not (tmp_path / "ladders").exists()


def test_a_cache_that_cannot_be_written_costs_only_time(file: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    assert kinds(told(file, "--cache", tmp_path / "cache")) == EVERYTHING


def test_a_catalogue_name_and_an_encoding_work(tmp_path: Path) -> None:
    heard = told("smalltalk")
    assert isinstance(heard[0], About) and heard[0].turns is not None and kinds(heard) == EVERYTHING
    (tmp_path / "a.txt").write_bytes(words(300).encode("latin-1"))
    refused = told(tmp_path / "a.txt", code=3)
    assert kinds(refused) == ["Failed"] and "--encoding" in str(refused[0])
    assert told(tmp_path / "a.txt", "--encoding", "latin-1")[-1] == Done()
    (tmp_path / "b.txt").write_bytes(b"\x00\x01ab\n" * 200)
    assert told(tmp_path / "b.txt", code=3)
    assert told(tmp_path / "b.txt", "--force-text")[-1] == Done()


@pytest.mark.parametrize("name", ["nothing.txt", "", "-x.txt"])
def test_what_is_not_there_is_one_sentence(name: str, tmp_path: Path) -> None:
    (failed,) = told("--", tmp_path / name if name else "", code=3)
    assert isinstance(failed, Failed) and failed.exit == 3
    assert failed.message.isprintable() and "give a" in failed.message


def test_a_text_of_one_character_still_ends(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    heard = told(tmp_path / "a.txt", code=3)
    assert kinds(heard) == ["About", "Preview", "Stats", "Failed"]


def test_a_large_file_is_previewed_before_it_is_read(tmp_path: Path) -> None:
    text = words(1000) * 1000
    (tmp_path / "a.txt").write_text(text, encoding="utf-8")
    assert (tmp_path / "a.txt").stat().st_size > 4_000_000
    heard = told(tmp_path / "a.txt")
    assert kinds(heard) == ["Preview", *EVERYTHING]
    assert heard[0] == Preview(text[:4000])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "latin-1"])
def test_the_early_preview_is_how_the_text_begins(
    encoding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.txt"
    monkeypatch.setattr(facts, "_LARGE_BYTES", 1)
    for shift in range(4):  # wherever the last character is torn
        path.write_bytes(("x" * shift + "äü\r\n" * 20_000).encode(encoding))
        given = ["--encoding", encoding] if encoding == "latin-1" else []
        heard: list[Fact] = []
        monkeypatch.setattr(facts, "_tell", heard.append)
        monkeypatch.setattr(os, "nice", lambda by: 0)
        assert facts.main([str(path), *given]) == 0
        early, _, late = heard[:3]
        assert isinstance(early, Preview) and isinstance(late, Preview) and early.head == late.head


def test_a_defect_and_too_little_memory_are_one_sentence_each(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    heard: list[Fact] = []
    monkeypatch.setattr(facts, "_tell", heard.append)
    monkeypatch.setattr(os, "nice", lambda by: 0)
    for error, code in ((ValueError("a\x1b[m"), 1), (MemoryError(), 4), (KeyboardInterrupt(), 130)):

        def broken(*arguments: Any, error: BaseException = error) -> Any:
            raise error

        monkeypatch.setattr(facts, "examine", broken)
        assert facts.main([str(file)]) == code
        assert isinstance(heard[-1], Failed) and heard[-1].message.isprintable() and heard[-1].exit == code
    assert "ValueError" in capsys.readouterr().err

    def deaf(*arguments: Any) -> Any:
        raise BrokenPipeError

    monkeypatch.setattr(facts, "examine", deaf)
    said = len(heard)
    assert facts.main([str(file)]) == 0 and len(heard) == said


def test_measuring_the_machine_ends_in_its_speed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    heard: list[Fact] = []
    monkeypatch.setattr(facts, "_tell", heard.append)
    monkeypatch.setattr(
        facts, "_measured", lambda arch, kernels: Speed({"modern": 2e10, "classic": 1e10}[arch])
    )
    monkeypatch.setattr(os, "nice", lambda by: 0)
    assert facts.main(["--speed", "--arch", "classic"]) == 0
    assert heard == [Speed(1e10), Done()]
    with pytest.raises(SystemExit):
        facts.main([])


def test_finding_facts_out_loads_no_torch_and_reading_them_no_numpy(file: Path) -> None:
    code = (
        "import sys, engine.facts; assert not {'torch', 'numpy'} & set(sys.modules)\n"
        "engine.facts.main([sys.argv[1]]); assert 'torch' not in sys.modules"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(file)], check=True, cwd=ROOT, stdout=subprocess.DEVNULL, timeout=60
    )


@pytest.mark.parametrize(
    "fact",
    [
        About("a", 1, 2, "0" * 64, ("n",), None),
        Preview("é\n\x1b", "m", 3),
        Stats(1, 2, 3, 4, 5, 6, (SymbolCount("\U0001f600", 1, 0.5),), 1.5),
        LadderRung("uniform", 4.0),
        Speed(1e9),
        Done(),
        Failed("no", 3),
    ],
)
def test_a_fact_survives_its_line(fact: Fact) -> None:
    line = to_line(fact)
    assert line.endswith(b"\n") and line.count(b"\n") == 1 and line.isascii()
    assert parse_fact(line) == fact


@pytest.mark.parametrize("line", [b"", b"{}", b'{"fact": "x"}', b'{"fact": "rung", "name": 1, "nats": 2}'])
def test_a_line_that_is_no_fact_is_refused(line: bytes) -> None:
    with pytest.raises(wire.ProtocolError):
        parse_fact(line)


def test_counting_is_bounded_whatever_the_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    path.write_text("first half " * 400 + words(4000), encoding="utf-8")
    corpus = read_corpus(str(path))
    whole = list(rungs(corpus))
    monkeypatch.setattr(facts, "COUNTED_CHARS", 5000)
    bounded = list(rungs(corpus))
    assert bounded[0] == whole[0] and bounded[3] != whole[3]  # the vocabulary is that of all of it
