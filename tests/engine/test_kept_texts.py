"""What deleting a run promises of the text it learned: it goes with the last run that names it, and never before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.corpus import read_corpus
from engine.errors import BusyError, ResourceError
from engine.launch import new_run
from engine.run_list import delete_run
from engine.runs import RunFolder


@pytest.fixture
def runs_dir(tmp_path: Path) -> Path:
    return tmp_path / "data" / "runs"


def with_text(runs_dir: Path, name: str, sha256: str) -> RunFolder:
    """A run on a text that is stored beside the runs."""
    corpora = runs_dir.parent / "corpora"
    corpora.mkdir(parents=True, exist_ok=True)
    (corpora / f"{sha256}.txt").write_text("a secret")
    return RunFolder.create(runs_dir, name, {"corpus": {"name": "diary", "sha256": sha256}})


def texts(runs_dir: Path) -> set[str]:
    return {path.stem[0] for path in (runs_dir.parent / "corpora").iterdir()}


@pytest.mark.parametrize("other", ["in the list", "in the trash", "damaged", "settled"])
def test_a_text_goes_with_the_last_run_that_names_it(runs_dir: Path, other: str) -> None:
    for name, letter in (("one", "a"), ("two", "a"), ("three", "b")):
        with_text(runs_dir, name, letter * 64)
    two = RunFolder(runs_dir / "two")
    if other == "in the trash":
        (runs_dir.parent / "trash").mkdir()
        (runs_dir / "two").rename(runs_dir.parent / "trash" / "two-20260101T000000Z")
    elif other == "damaged":
        two.request.write_text(two.request.read_text()[:-3])
    elif other == "settled":
        two.write_run(
            {"version": 1, "run": "two", "recipe": {}, "model": {}, "corpus": two.read_request()["corpus"]}
        )
        two.request.unlink()
    delete_run(runs_dir, "one")
    assert texts(runs_dir) == {"a", "b"}
    if other == "in the list":
        delete_run(runs_dir, "two")
        assert texts(runs_dir) == {"b"}


@pytest.mark.parametrize("sha256", ["../runs/other", "../" * 22, "", 5])
def test_a_run_that_names_no_text_takes_nothing_with_it(runs_dir: Path, sha256: Any) -> None:
    with_text(runs_dir, "other", "a" * 64)
    with_text(runs_dir, "left", "b" * 64).path.rename(runs_dir.parent / "elsewhere")
    RunFolder.create(runs_dir, "odd", {"corpus": {"sha256": sha256}})
    RunFolder.create(runs_dir, "odder", {"corpus": [sha256]}).request.write_text("{")
    for name in ("odd", "odder"):
        delete_run(runs_dir, name)
    assert texts(runs_dir) == {"a", "b"} and (runs_dir / "other").is_dir()


def test_a_text_that_cannot_be_deleted_is_said(runs_dir: Path) -> None:
    with_text(runs_dir, "one", "a" * 64)
    text = runs_dir.parent / "corpora" / f"{'a' * 64}.txt"
    text.unlink()
    text.mkdir()
    with pytest.raises(ResourceError, match="cannot be deleted"):
        delete_run(runs_dir, "one")


def test_a_text_is_not_deleted_while_a_run_on_it_is_being_made(
    runs_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.lock.TURN_SECONDS", 0.01)
    text = runs_dir.parent.parent / "cats.txt"
    text.write_text("One day a cat sat on a mat. " * 20)
    corpus = read_corpus(str(text))
    old = new_run(runs_dir.parent, corpus, name="old", values={"block_size": 8})
    create = RunFolder.create

    def deletes_first(runs_dir: Path, name: str, request: dict[str, Any]) -> RunFolder:
        with pytest.raises(BusyError):
            delete_run(runs_dir, "old")
        return create(runs_dir, name, request)

    monkeypatch.setattr(RunFolder, "create", deletes_first)
    new_run(runs_dir.parent, corpus, name="new", values={"block_size": 8})
    assert old.path.exists() and len(texts(runs_dir)) == 1
