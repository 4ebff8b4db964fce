"""What `engine.catalogue` promises: every corpus with a name, ready offline or honest about what it needs."""

from __future__ import annotations

import dataclasses
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engine import catalogue
from engine.catalogue import CATALOGUE, Entry, embedded_names, entry, find, is_ready, text_of
from engine.corpus import read_corpus
from engine.errors import CorpusError


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*args: Any) -> None:
        pytest.fail("the network was touched")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)


def test_the_embedded_corpora_come_first_and_by_these_names() -> None:
    assert embedded_names() == ("tales", "smalltalk", "tales-and-talk", "sums", "python-docs", "python-code")
    assert [e.name for e in CATALOGUE][:6] == list(embedded_names())
    assert len({e.name for e in CATALOGUE}) == len(CATALOGUE)


@pytest.mark.parametrize("chosen", CATALOGUE, ids=lambda e: e.name)
def test_an_entry_says_what_a_list_needs_and_pins_what_is_fetched(chosen: Entry) -> None:
    assert chosen.title and chosen.description and chosen.licence
    if chosen.kind == "fetched":
        assert chosen.url.startswith("https://raw.githubusercontent.com/")
        assert any(len(part) == 40 for part in chosen.url.split("/")), "the address names a commit"
        assert len(chosen.sha256) == 64 and chosen.bytes > 0
    else:
        assert (chosen.url, chosen.sha256, chosen.bytes) == ("", "", 0)


@pytest.mark.parametrize("name", embedded_names())
def test_an_embedded_corpus_is_ready_without_network_or_cache(name: str) -> None:
    assert is_ready(entry(name), None)
    read = read_corpus(name)
    assert (read.name, read.source, read.notices) == (name, name, ())
    assert len(read.text) > 200_000 and "\r" not in read.text
    assert read.turns == entry(name).turns


def test_the_turns_of_small_talk_are_the_ones_it_is_written_with() -> None:
    from engine.catalogue.smalltalk import MODEL, USER

    talking = [e for e in CATALOGUE if e.turns]
    assert [e.name for e in talking] == ["smalltalk", "tales-and-talk"]
    assert all(e.turns and (e.turns.user, e.turns.model) == (USER, MODEL) for e in talking)


@pytest.mark.parametrize("name", ["tiny-shakespeare", "names"])
def test_reading_what_was_not_fetched_touches_no_network_and_says_what_to_run(
    name: str, tmp_path: Path
) -> None:
    assert not is_ready(entry(name), tmp_path) and not is_ready(entry(name), None)
    for cache_dir in (None, tmp_path, tmp_path / "missing"):
        with pytest.raises(CorpusError, match=rf"tinygpt corpora fetch {name}.*tales, smalltalk"):
            text_of(name, cache_dir)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_name_is_refused_and_the_known_are_listed() -> None:
    assert find("shakespeare") is None
    with pytest.raises(CorpusError, match=r"no corpus called ␛x; it has tales, .*names\."):
        entry("\x1bx")


def test_an_entry_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        CATALOGUE[0].name = "other"  # type: ignore[misc]


def test_listing_the_catalogue_loads_neither_a_grammar_nor_the_network_nor_torch() -> None:
    code = (
        "import sys, engine.catalogue as c; c.find('tales'); "
        "print(*(m for m in ('torch', 'numpy', 'urllib.request', 'engine.catalogue.tales',"
        " 'engine.catalogue.smalltalk', 'engine.catalogue.sums', 'pydoc_data.topics') if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
    assert catalogue.CATALOGUE
