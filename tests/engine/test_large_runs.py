"""What a run on a text that is too large to be kept promises: it learns what it would learn from memory, and goes on without the text."""

from __future__ import annotations

import signal
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import batches, facts, text_stream
from engine.batches import Batches, Shuffle
from engine.corpus import read_corpus
from engine.errors import CorpusError
from engine.facts import About, LadderRung, Preview, Stats, examine
from engine.large_facts import End, examine_large
from engine.large_text import corpus_of
from engine.launch import new_run
from engine.learned_text import learned_text
from engine.runs import RunFolder
from engine.signals import Signals
from engine.text_stream import large_bytes
from tests.engine.conftest import TINY, World


@pytest.fixture(autouse=True)
def everything_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.large_text.STORE_BYTES", 1000)
    monkeypatch.setattr(text_stream, "CHUNK", 997)


def large_run(world: World, name: str) -> RunFolder:
    corpus = corpus_of(str(world.file), cache_dir=world.data / "cache")
    return new_run(world.data, corpus, name=name, values={**TINY, "steps": 6, "kernels": "eager"})


def test_a_run_on_token_files_learns_what_it_learns_from_memory(world: World) -> None:
    large = large_run(world, "large")
    assert large.read_request()["corpus"]["kept"] is False
    assert not (world.data / "corpora").exists()
    small = world.run("small", steps=6, kernels="eager")
    assert small.read_request()["corpus"]["kept"] is True
    for folder in (large, small):
        assert world.train(folder, cache_dir=world.data / "cache") == 0
    assert world.weights(large) == world.weights(small)
    assert world.steps(large) == world.steps(small)
    said = [folder.read_run() for folder in (large, small)]
    assert said[0]["split"] == said[1]["split"]
    assert sum(said[0]["split"].values()) == len(read_corpus(str(world.file)).text)


def test_a_run_whose_text_is_gone_goes_on_from_its_tokens(world: World) -> None:
    folder = large_run(world, "large")
    world.train(folder, cache_dir=world.data / "cache")
    world.file.unlink()
    assert world.train(folder, cache_dir=world.data / "cache", total_steps=9) == 0
    assert [step for step, _, _ in world.steps(folder)] == list(range(1, 10))


def test_a_run_whose_text_and_tokens_are_gone_says_so(world: World) -> None:
    folder = large_run(world, "large")
    world.file.unlink()
    with pytest.raises(CorpusError, match="cannot be read again"):
        world.train(folder, cache_dir=world.data / "elsewhere")


def test_preparing_tells_how_far_it_is_and_a_signal_ends_it(world: World) -> None:
    folder = large_run(world, "large")
    signals, messages = Signals(), []

    def tell(read: int, total: int) -> None:
        status = folder.read_status()
        assert status is not None and 0 < read <= total == world.file.stat().st_size
        messages.append((status.state, status.message))
        signals.ask(signal.SIGTERM)

    code = world.train(folder, cache_dir=world.data / "cache", tell=tell, signals=signals)
    assert code == 128 + signal.SIGTERM and len(messages) == 1
    assert messages[0][0] == "preparing" and messages[0][1].startswith("Preparing the text: ")
    assert folder.state() == "stopped" and not folder.run.exists()
    assert world.train(folder, cache_dir=world.data / "cache") == 0
    assert len(world.steps(folder)) == 6


def test_the_ends_of_a_large_text_come_back_from_its_tokens(world: World) -> None:
    corpus = corpus_of(str(world.file), cache_dir=world.data / "cache")
    folder = new_run(world.data, corpus, values={**TINY, "steps": 6, "kernels": "eager"})
    text = learned_text(folder.read_request()["corpus"], [], world.data / "cache")
    whole = learned_text({"sha256": corpus.sha256, "source": str(world.file)}, [], world.data / "cache")
    assert (text.large, whole.large) == (True, False)
    tokenizer = whole.tokenizer("chars", None)
    assert text.texts(tokenizer) == whole.texts(tokenizer)


def test_facts_of_a_large_text_are_those_of_one_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "COUNTED_CHARS", 40_000)
    monkeypatch.setattr("engine.large_facts.COUNTED_CHARS", 40_000)
    file = tmp_path / "a.txt"
    file.write_text("".join(f"{i % 91} lines – {i % 7} of “them”\n\n" for i in range(60_000)))
    size = large_bytes(str(file), 0)
    large = list(examine_large(str(file), size, encoding=None, force_text=False, cache_dir=None))
    small = list(examine(read_corpus(str(file))))
    by_kind = [{type(fact): fact for fact in found} for found in (large, small)]
    about, expected = (asdict(found[About]) for found in by_kind)
    (notice,) = about.pop("notices")
    assert "validation is the last 131,072" in notice and expected.pop("notices") == ()
    assert about == expected
    assert by_kind[0][Stats] == by_kind[1][Stats]
    heads = [found[Preview] for found in by_kind]
    assert [type(head) for head in heads] == [Preview, Preview]
    assert isinstance(heads[0], Preview) and isinstance(heads[1], Preview) and heads[0].head == heads[1].head
    assert [f for f in large if isinstance(f, LadderRung)] == [f for f in small if isinstance(f, LadderRung)]


def test_the_ladder_of_a_large_folder_with_little_text_is_that_of_the_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("".join(f"{i % 91} lines of little text\n" for i in range(900)))
    (tmp_path / "b.bin").write_bytes(b"\0" * 90_000)
    size = large_bytes(str(tmp_path), 80_000)
    assert size
    large = examine_large(str(tmp_path), size, encoding=None, force_text=False, cache_dir=None)
    expected = [fact for fact in examine(read_corpus(str(tmp_path))) if isinstance(fact, LadderRung)]
    assert [fact for fact in large if isinstance(fact, LadderRung)] == expected


@given(st.lists(st.text("ab", max_size=5)), st.integers(1, 9))
def test_the_end_of_a_text_in_pieces_is_its_end(pieces: list[str], chars: int) -> None:
    end = End(chars)
    for piece in pieces:
        end.add(piece)
    assert end.text() == "".join(pieces)[-chars:]


@given(st.integers(1, 3000), st.integers(0, 1 << 62))
@settings(max_examples=60, deadline=None)
def test_a_shuffle_is_a_permutation(n: int, seed: int) -> None:
    shuffle = Shuffle(n, seed)
    assert sorted(shuffle[i] for i in range(n)) == list(range(n))


def test_a_shuffle_leaves_no_trace_of_the_order() -> None:
    n = 5000
    order = np.array([Shuffle(n, 7)[i] for i in range(n)])
    assert abs(np.corrcoef(order, np.arange(n))[0, 1]) < 0.05
    assert abs(np.corrcoef(order[1:], order[:-1])[0, 1]) < 0.05
    assert np.mean(np.abs(np.diff(order)) == 1) < 0.01
    assert (order != [Shuffle(n, 8)[i] for i in range(n)]).any()
    # A run that is resumed with another version, on another machine, must read on in the same order.
    assert order[:6].tolist() == [4913, 32, 2730, 4950, 1941, 4099]


def test_windows_that_are_too_many_to_be_listed_are_each_read_once_an_epoch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batches, "MOST_LISTED", 100)
    many = Batches(np.arange(3000, dtype=np.uint16), 8, 4, 1, "a")
    assert many.windows > 100
    epochs = []
    for first in (0, many.windows):
        starts = [int(many.batch(0, first + i, 1)[0][0, 0]) for i in range(many.windows)]
        assert np.array_equal(np.diff(sorted(starts)), np.full(many.windows - 1, 8))
        epochs.append(starts)
    assert [start // 8 for start in epochs[0]] != [start // 8 for start in epochs[1]]
