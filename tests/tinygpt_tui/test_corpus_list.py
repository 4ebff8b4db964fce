"""What `tinygpt_tui.sources.corpus_list` promises: every text one can choose, own ones first, whatever the disk does."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from engine import storage
from engine.catalogue import CATALOGUE
from engine.corpus import read_corpus
from engine.errors import CorpusError, ResourceError
from tinygpt_tui.paths import Paths
from tinygpt_tui.sources import corpus_list
from tinygpt_tui.sources.corpus_list import MOST_REMEMBERED, CorpusList, Row

NAMES = [entry.name for entry in CATALOGUE]


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(*(tmp_path / "home" / part for part in ("config", "data", "cache", "state")))


@pytest.fixture
def make(paths: Paths) -> Callable[[], CorpusList]:
    ticks = count(1000.0)
    return lambda: CorpusList(paths, lambda: next(ticks))


def own(texts: CorpusList) -> list[Row]:
    return [row for row in texts.rows() if row.used is not None]


def text_file(folder: Path, name: str = "a.txt") -> Path:
    path = folder / name
    path.write_text("one\n", encoding="utf-8")
    return path


def test_without_own_texts_there_is_the_catalogue_and_nothing_is_written(
    make: Callable[[], CorpusList], paths: Paths
) -> None:
    texts = make()
    assert [row.source for row in texts.rows()] == NAMES
    kinds = {row.source: (row.kind, row.ready, row.bytes) for row in texts.rows()}
    assert kinds["tales"] == ("built in", True, None)
    assert kinds["names"] == ("to fetch", False, 228_145)
    assert not paths.state.exists() and texts.problem == ""


def test_a_fetched_text_is_known_as_soon_as_it_lies_in_the_cache(
    make: Callable[[], CorpusList], paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = make()
    asked: list[str] = []

    def ready(entry: corpus_list.catalogue.Entry, cache: Path) -> bool:
        asked.append(entry.name)
        return (cache / "corpora" / f"{entry.name}.txt").exists()

    monkeypatch.setattr(corpus_list.catalogue, "is_ready", ready)
    texts.refresh()
    folder = paths.cache / "corpora"
    folder.mkdir(parents=True)
    text_file(folder, "names.txt")
    before = texts.version
    assert texts.refresh() and texts.version != before
    row = texts.row("names")
    assert row is not None and (row.kind, row.ready) == ("fetched", True)
    hashed = len(asked)
    assert not texts.refresh() and len(asked) == hashed  # not hashed again while nothing has changed
    (folder / "names.txt").unlink()
    assert texts.refresh()


def test_own_texts_come_first_the_latest_before_all(make: Callable[[], CorpusList], tmp_path: Path) -> None:
    texts = make()
    files = [text_file(tmp_path, f"{n}.txt") for n in range(3)]
    for path in (*files, files[0]):
        assert texts.add(path) == str(path)
    assert [row.source for row in texts.rows()] == [*map(str, (files[0], files[2], files[1])), *NAMES]
    assert [row.source for row in make().rows()] == [row.source for row in texts.rows()]  # the next launch
    row = texts.row(str(files[0]))
    assert row is not None and (row.kind, row.title, row.about, row.bytes) == (
        "file",
        "0.txt",
        str(files[0]),
        4,
    )


def test_how_a_text_was_read_is_remembered(make: Callable[[], CorpusList], tmp_path: Path) -> None:
    source = make().add(text_file(tmp_path), encoding="latin-1", force_text=True)
    row = make().row(source)
    assert row is not None and (row.encoding, row.force_text) == ("latin-1", True)


def test_a_path_may_be_relative_or_in_the_home_folder_or_a_folder(
    make: Callable[[], CorpusList], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    texts = make()
    path = text_file(tmp_path)
    assert texts.add("a.txt") == texts.add("./x/../a.txt") == texts.add("~/a.txt") == str(path)
    assert len(own(texts)) == 1
    folder = texts.row(texts.add(str(tmp_path)))
    assert folder is not None and folder.kind == "folder" and folder.bytes is None


def test_a_catalogue_name_is_no_file(
    make: Callable[[], CorpusList], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text_file(tmp_path, "tales")
    texts = make()
    assert texts.add("tales") == "tales" and own(texts) == []
    source = texts.add("./tales")
    assert source == str(tmp_path / "tales") and read_corpus(source).text == "one\n"


@pytest.mark.parametrize("path", ["", "/nowhere/a.txt", "a\0b", "/dev/null", "x" * 5000, "/etc/passwd/x"])
def test_what_cannot_be_opened_is_one_sentence_and_not_added(
    path: str, make: Callable[[], CorpusList], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    texts = make()
    with pytest.raises(CorpusError) as caught:
        texts.add(path)
    assert str(caught.value).isprintable() and "give" in str(caught.value)
    assert own(texts) == []


def test_a_file_that_is_gone_is_shown_as_missing(make: Callable[[], CorpusList], tmp_path: Path) -> None:
    texts = make()
    path = text_file(tmp_path)
    source = texts.add(path)
    path.unlink()
    assert texts.refresh()
    row = texts.row(source)
    assert row is not None and (row.kind, row.ready, row.bytes) == ("missing", False, None)
    text_file(tmp_path)
    assert texts.refresh() and own(texts)[0].kind == "file"


def test_titles_are_safe_and_sources_exact(make: Callable[[], CorpusList], tmp_path: Path) -> None:
    name = os.fsdecode(b"a\x1b[2J\n\xff.txt")
    path = text_file(tmp_path, name)
    texts = make()
    source = texts.add(path)
    row = make().row(source)
    assert row is not None and source == str(path) and Path(source).read_text() == "one\n"
    assert row.title == "a\u241b[2J\u240a\ufffd.txt" and row.about.endswith(row.title)


def test_forgetting_leaves_the_text_where_it_is(make: Callable[[], CorpusList], tmp_path: Path) -> None:
    texts = make()
    path = text_file(tmp_path)
    source = texts.add(path)
    assert texts.forget(source) and own(texts) == [] and path.exists()
    assert not texts.forget(source) and not texts.forget("tales") and len(texts.rows()) == len(NAMES)


def test_at_most_thirty_are_remembered(make: Callable[[], CorpusList], paths: Paths, tmp_path: Path) -> None:
    texts = make()
    for n in range(MOST_REMEMBERED + 2):
        texts.add(text_file(tmp_path, f"{n}.txt"))
    titles = [row.title for row in own(texts)]
    assert len(titles) == MOST_REMEMBERED
    assert titles[0] == f"{MOST_REMEMBERED + 1}.txt" and "0.txt" not in titles
    assert len(json.loads((paths.state / "corpora.json").read_bytes())["corpora"]) == MOST_REMEMBERED


def test_a_pasted_text_is_kept_exactly_and_privately(make: Callable[[], CorpusList], paths: Paths) -> None:
    texts = make()
    text = " \r\nfirst\r\nsecond \u2028\U0001f600 \x1b \t"
    path = Path(texts.paste(text, "My Notes"))
    assert path == paths.data / "pasted" / "my-notes.txt" and path.read_bytes() == text.encode()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    row = own(texts)[0]
    assert (row.kind, row.title, row.bytes) == ("pasted", "my-notes", len(text.encode()))


@pytest.mark.parametrize(
    ("name", "called"),
    [
        ("", "once-upon-a-time"),
        ("../../etc/passwd", "etc-passwd"),
        ("con", "run-con"),
        ("\x1b]0;x", "0-x"),
        ("日本", "pasted"),
        ("a/b\0c", "a-b-c"),
    ],
)
def test_whatever_name_a_pasted_text_gets_it_stays_in_its_folder(
    name: str, called: str, make: Callable[[], CorpusList], paths: Paths
) -> None:
    path = Path(make().paste("Once upon a time there was", name))
    assert path == paths.data / "pasted" / f"{called}.txt"


def test_no_pasted_text_replaces_another(
    make: Callable[[], CorpusList], monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = make()
    first, second = Path(texts.paste("one", "x")), Path(texts.paste("two", "x"))
    assert (first.name, first.read_text(), second.name, second.read_text()) == (
        "x.txt",
        "one",
        "x-2.txt",
        "two",
    )
    free, faster = corpus_list._free, iter(["x", "x-3"])  # another interface takes the name in between
    monkeypatch.setattr(corpus_list, "_free", lambda stem, folder: next(faster, None) or free(stem, folder))
    assert Path(texts.paste("three", "x")).name == "x-3.txt" and first.read_text() == "one"


@pytest.mark.parametrize("text", ["", " \n\t", "a\ud800b"])
def test_what_is_no_text_is_not_kept(text: str, make: Callable[[], CorpusList], paths: Paths) -> None:
    with pytest.raises(CorpusError):
        make().paste(text)
    assert not (paths.data / "pasted").exists()


def test_a_text_that_is_too_long_to_paste_is_refused(
    make: Callable[[], CorpusList], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpus_list, "MOST_PASTED", 5)
    with pytest.raises(CorpusError, match="at most 5 characters"):
        make().paste("123456")


def test_a_full_disk_keeps_no_half_text(
    make: Callable[[], CorpusList], paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = make()

    class Full(storage.Ops):
        def write(self, fd: int, data: bytes | memoryview) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(storage, "ops", Full())
    with pytest.raises(ResourceError):
        texts.paste("some text", "x")
    assert list((paths.data / "pasted").iterdir()) == [] and own(texts) == []


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[]", b"\xff", b'{"version": 9, "corpora": []}', b'{"version": 1, "corpora": 3}']
)
def test_a_damaged_list_is_moved_aside_and_a_new_one_begins(
    damage: bytes, make: Callable[[], CorpusList], paths: Paths, tmp_path: Path
) -> None:
    make().add(text_file(tmp_path))
    (paths.state / "corpora.json").write_bytes(damage)
    texts = make()
    assert own(texts) == [] and texts.problem.isprintable()
    (aside,) = paths.state.glob("corpora.json.damaged-*")
    assert str(aside) in texts.problem and aside.read_bytes() == damage
    texts.add(text_file(tmp_path))
    assert len(own(make())) == 1


def test_single_damaged_entries_cost_only_themselves(
    make: Callable[[], CorpusList], paths: Paths, tmp_path: Path
) -> None:
    source = make().add(text_file(tmp_path))
    file = paths.state / "corpora.json"
    data = json.loads(file.read_bytes())
    good = data["corpora"][0]
    bad = [1, {}, good | {"path": 3}, good | {"path": "x"}, good | {"used": "now"}, good | {"used": True},
           good | {"encoding": 1}]  # fmt: skip
    file.write_text(json.dumps(data | {"corpora": [*bad, good]}))
    assert [row.source for row in own(make())] == [source]


def test_a_list_that_cannot_be_read_is_left_alone(make: Callable[[], CorpusList], paths: Paths) -> None:
    (paths.state / "corpora.json").mkdir(parents=True)
    texts = make()
    assert own(texts) == [] and texts.problem.startswith("The list of your texts cannot be read")
    assert (paths.state / "corpora.json").is_dir()


def test_a_damaged_list_that_cannot_be_moved_is_said(
    make: Callable[[], CorpusList], paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths.state.mkdir(parents=True)
    (paths.state / "corpora.json").write_bytes(b"{")

    def refuse(self: Path, target: Path) -> Path:
        raise PermissionError

    monkeypatch.setattr(Path, "rename", refuse)
    texts = make()
    assert own(texts) == [] and "delete it" in texts.problem


def test_a_list_that_cannot_be_kept_is_an_error(
    make: Callable[[], CorpusList], paths: Paths, tmp_path: Path
) -> None:
    paths.state.parent.mkdir(parents=True)
    paths.state.write_text("a file")
    with pytest.raises(ResourceError):
        make().add(text_file(tmp_path))
