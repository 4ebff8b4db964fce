"""`tinygpt corpora` and `tinygpt paths`: what there is to learn from, and where things are."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.catalogue import CATALOGUE, embedded_names
from engine.catalogue import fetch as fetching
from engine.errors import CorpusError

TEXT = "Once there was a fox.\nIt kept a lantern.\n" * 40


def test_list_has_a_line_for_every_corpus(tinygpt: Callable[..., Any], home: Path) -> None:
    lines = tinygpt("corpora", "list").out.splitlines()
    assert [line.split()[0] for line in lines] == [entry.name for entry in CATALOGUE]
    assert not home.exists()


def test_list_as_json_says_what_works_at_once(tinygpt: Callable[..., Any]) -> None:
    rows = [json.loads(line) for line in tinygpt("corpora", "list", "--json").out.splitlines()]
    assert tuple(row["name"] for row in rows if row["ready"]) == embedded_names()
    assert all(row["description"] and row["licence"] for row in rows)


def test_show_gives_statistics_and_the_beginning(tinygpt: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "tale.txt"
    path.write_text(TEXT)
    shown = tinygpt("corpora", "show", str(path))
    assert shown.code == 0
    assert f"{len(TEXT):,} characters" in shown.out and "  Once there was a fox." in shown.out
    facts = json.loads(tinygpt("corpora", "show", str(path), "--json").out)
    assert (facts["name"], facts["characters"], facts["lines"]) == ("tale", len(TEXT), 80)
    assert len(facts["sha256"]) == 64 and TEXT.startswith(facts["preview"].removesuffix(" …"))


def test_show_says_what_was_changed_and_takes_the_options_errors_point_to(
    tinygpt: Callable[..., Any], tmp_path: Path
) -> None:
    path = tmp_path / "letter.txt"
    path.write_bytes("Grüße\r\n".encode("latin-1") * 30)
    refused = tinygpt("corpora", "show", str(path))
    assert refused.code == 3 and "--encoding" in refused.err
    read = tinygpt("corpora", "show", str(path), "--encoding", "latin-1")
    assert read.code == 0 and "Grüße" in read.out and read.err.startswith("note: ")
    path.write_bytes(b"\0text" * 30)
    refused = tinygpt("corpora", "show", str(path))
    assert refused.code == 3 and "--force-text" in refused.err
    assert tinygpt("corpora", "show", str(path), "--force-text").code == 0


def test_a_missing_corpus_is_3_and_one_line(tinygpt: Callable[..., Any], tmp_path: Path) -> None:
    outcome = tinygpt("corpora", "show", str(tmp_path / "no\x1b[31mne\n.txt"))
    assert (outcome.code, outcome.out) == (3, "")
    assert outcome.err.count("\n") == 1 and "\x1b" not in outcome.err


def test_fetch_shows_progress_and_prints_the_file(
    tinygpt: Callable[..., Any], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(entry: Any, cache: Path, *, progress: Callable[[int, int], None]) -> Path:
        progress(0, 100)
        progress(100, 100)
        return cache / entry.name

    monkeypatch.setattr(fetching, "fetch", download)
    outcome = tinygpt("corpora", "fetch", "names")
    assert (outcome.code, outcome.out) == (0, f"{home / 'cache' / 'names'}\n")
    assert "fetching names" in outcome.err and "\x1b" not in outcome.err


def test_fetch_ends_as_the_download_does(
    tinygpt: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*args: object, **options: object) -> Path:
        raise CorpusError("Could not fetch names: no network")

    def interrupted(*args: object, **options: object) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(fetching, "fetch", offline)
    assert tinygpt("corpora", "fetch", "names").code == 3
    monkeypatch.setattr(fetching, "fetch", interrupted)
    assert tinygpt("corpora", "fetch", "names").code == 130
    assert tinygpt("corpora", "fetch", "no-such").code == 3


def test_what_is_built_in_is_not_fetched(
    tinygpt: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "fetch", None)
    outcome = tinygpt("corpora", "fetch", "tales")
    assert (outcome.code, outcome.out) == (0, "") and "built in" in outcome.err


def test_paths_are_told_and_not_made(tinygpt: Callable[..., Any], home: Path) -> None:
    found = json.loads(tinygpt("paths", "--json").out)
    assert found["runs"] == str(home / "data" / "runs") and found["settings"].endswith("config.toml")
    assert tinygpt("paths").out.split()[::2] == list(found)
    assert not home.exists()


def test_a_relative_tinygpt_home_is_wrong_usage(
    tinygpt: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TINYGPT_HOME", "here")
    assert tinygpt("paths").code == 2
