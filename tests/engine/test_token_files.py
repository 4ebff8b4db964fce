"""What token files promise: the ids of a text in memory, made once, whole or not at all, and never taken away from who uses them."""

from __future__ import annotations

import errno
import fcntl
import gc
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from engine import bpe, storage, text_stream, token_files
from engine.corpus import read_corpus, split
from engine.errors import CorpusError, ResourceError
from engine.large_text import LargeText, corpus_of, known_again, look_through, remember, remembered
from engine.text_stream import Chunk, TextStream
from engine.token_encoding import tokenizer_for
from engine.token_files import TokenFiles, key_of
from engine.token_files import token_files as prepared
from engine.tokenizer import Tokenizer, train_tokenizer
from tests.engine.conftest import ROOT, NoFlush

LINES = [
    "“Grüße”, said the fox — twice.",
    "plain words upon plain words",
    "Жила-была лиса",
    "春眠不觉晓 🦊",
    "",
]


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "ops", NoFlush())
    monkeypatch.setattr(text_stream, "CHUNK", 997)
    monkeypatch.setattr(bpe, "PIECE", 300)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    file = tmp_path / "text.txt"
    file.write_bytes("\r\n".join(f"{i % 37} {LINES[i % 5]}" for i in range(1500)).encode())
    return file


def made(source: Path, tokenizer: Tokenizer | None = None, cache: Path | None = None) -> TokenFiles:
    text = look_through(str(source), 1)
    tokenizer = tokenizer or tokenizer_for("chars", text.symbols, (), None)
    return prepared(cache or source.parent / "cache", text, tokenizer, lambda: iter(TextStream(str(source))))


def entries(source: Path) -> list[str]:
    return sorted(path.name for path in (source.parent / "cache" / "tokens").iterdir())


def some_ids() -> Iterator[Chunk]:
    raise AssertionError("the text was read although its tokens are there")
    yield


@pytest.mark.parametrize(("kind", "size"), [("chars", None), ("bytes", None), ("bpe", 300)])
def test_the_ids_and_the_split_are_those_of_the_text_in_memory(
    source: Path, kind: str, size: int | None
) -> None:
    if kind == "bpe":
        pytest.importorskip("tokenizers")
    text = read_corpus(str(source)).text
    expected = train_tokenizer(kind, text, size)
    known = look_through(str(source), 1)
    chunks = (data for data, _ in TextStream(str(source)))
    tokenizer = tokenizer_for(kind, known.symbols, chunks, size)
    assert tokenizer.to_json() == expected.to_json()
    files = made(source, tokenizer)
    train, val = split(text)
    assert (files.train_chars, files.val_chars) == (len(train), len(val))
    assert np.array_equal(files.train_ids, expected.encode_corpus(train))
    assert np.array_equal(files.val_ids, expected.encode_corpus(val))
    smallest = np.uint8 if tokenizer.vocab_size <= 256 else np.uint16
    assert files.train_ids.dtype == files.val_ids.dtype == smallest


def test_more_symbols_than_a_byte_holds_take_two(source: Path) -> None:
    text = "".join(map(chr, range(0x4E00, 0x4E00 + 400))) * 5 + "plain and ASCII for a while " * 50
    source.write_text(text, encoding="utf-8")
    files = made(source)
    assert files.train_ids.dtype == np.uint16
    train, val = split(text)
    tokenizer = train_tokenizer("chars", text)
    assert np.array_equal(files.train_ids, tokenizer.encode_corpus(train))
    assert np.array_equal(files.val_ids, tokenizer.encode_corpus(val))


def test_a_text_is_encoded_once(source: Path) -> None:
    text = look_through(str(source), 1)
    tokenizer = tokenizer_for("chars", text.symbols, (), None)
    first = made(source)
    again = prepared(source.parent / "cache", text, tokenizer, some_ids)
    assert np.array_equal(again.train_ids, first.train_ids)
    assert entries(source) == [key_of(text.sha256, tokenizer)]


@pytest.mark.parametrize("harm", ["flip", "cut", "manifest", "no manifest", "no lock"])
def test_a_damaged_entry_is_made_anew(source: Path, harm: str) -> None:
    expected = np.array(made(source).train_ids)
    gc.collect()
    (entry,) = (source.parent / "cache" / "tokens").iterdir()
    ids = entry / "train.ids"
    if harm == "flip":
        data = bytearray(ids.read_bytes())
        data[100] ^= 1
        ids.write_bytes(data)
    elif harm == "cut":
        os.truncate(ids, 1000)
    elif harm == "manifest":
        (entry / "manifest.json").write_text('{"version": 1}')
    else:
        (entry / ("lock" if harm == "no lock" else "manifest.json")).unlink()
    assert np.array_equal(made(source).train_ids, expected)
    assert len(entries(source)) == 1


def test_a_copied_entry_is_known_by_its_hash(source: Path) -> None:
    made(source)
    for file in (source.parent / "cache" / "tokens").glob("*/*.ids"):
        data = file.read_bytes()
        file.unlink()
        file.write_bytes(data)  # another inode, another time
    text = look_through(str(source), 1)
    tokenizer = tokenizer_for("chars", text.symbols, (), None)
    assert prepared(source.parent / "cache", text, tokenizer, some_ids).train_chars


def test_an_entry_that_is_just_being_published_is_waited_for_and_not_thrown_away(source: Path) -> None:
    made(source)
    gc.collect()
    text = look_through(str(source), 1)
    tokenizer = tokenizer_for("chars", text.symbols, (), None)
    entry = source.parent / "cache" / "tokens" / key_of(text.sha256, tokenizer)
    publisher = os.open(entry / "lock", os.O_RDWR)
    fcntl.flock(publisher, fcntl.LOCK_EX)
    before, waited = entry.stat().st_ino, 0

    def wait() -> None:
        nonlocal waited
        waited += 1
        if waited == 2:
            fcntl.flock(publisher, fcntl.LOCK_UN)

    assert prepared(source.parent / "cache", text, tokenizer, some_ids, wait).train_chars
    os.close(publisher)
    assert waited == 2 and entry.stat().st_ino == before and entries(source) == [entry.name]


@pytest.mark.parametrize("what", ["pipe", "link"])
def test_a_file_of_an_entry_that_is_none_is_never_opened(source: Path, what: str) -> None:
    expected = np.array(made(source).train_ids)
    gc.collect()
    (entry,) = (source.parent / "cache" / "tokens").iterdir()
    ids = entry / "train.ids"
    moved = ids.rename(source.parent / "moved.ids")
    if what == "pipe":
        os.mkfifo(ids)  # opening it would wait for ever
    else:
        ids.symlink_to(moved)
    assert np.array_equal(made(source).train_ids, expected)
    assert stat.S_ISREG(ids.lstat().st_mode) and moved.exists()


def test_a_text_that_is_another_one_at_the_second_reading_is_refused_and_leaves_nothing(source: Path) -> None:
    text = look_through(str(source), 1)
    source.write_text("Something else. " * 1000)
    tokenizer = tokenizer_for("chars", text.symbols, (), None)
    with pytest.raises(CorpusError, match="is not the text this run learned"):
        prepared(source.parent / "cache", text, tokenizer, lambda: iter(TextStream(str(source))))
    assert entries(source) == []


def test_a_tokenizer_that_lacks_a_character_is_refused(source: Path) -> None:
    with pytest.raises(CorpusError, match="not in the vocabulary"):
        made(source, train_tokenizer("chars", "abc"))


class Full(NoFlush):
    """A disk that is full after some bytes."""

    def __init__(self, room: int) -> None:
        self.room = room

    def write(self, fd: int, data: bytes | memoryview) -> int:
        self.room -= len(data)
        if self.room < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(fd, data)


def test_a_disk_that_fills_up_is_one_sentence_and_leaves_nothing(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "ops", Full(5000))
    with pytest.raises(ResourceError, match="No space is left on the disk"):
        made(source)
    assert entries(source) == []
    monkeypatch.setattr(storage, "ops", NoFlush())
    assert made(source).train_chars


def test_files_that_cannot_be_mapped_are_one_sentence(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))

    monkeypatch.setattr(token_files.mmap, "mmap", refuse)
    with pytest.raises(ResourceError, match="cannot be read there: move the cache"):
        made(source)


def test_too_little_room_is_told_before_anything_is_written(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_files, "SPARE_BYTES", 1 << 60)
    with pytest.raises(ResourceError, match=r"Preparing this text takes .* GB in .* are free there"):
        made(source)
    assert entries(source) == []


def test_an_entry_without_a_lock_gives_way_too(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (other,) = other_texts(source, 1)
    made(other)
    gc.collect()
    (left,) = (source.parent / "cache" / "tokens").iterdir()
    (left / "lock").unlink()
    monkeypatch.setattr(token_files, "CACHE_BYTES", 100)
    made(source)
    assert not left.exists() and len(entries(source)) == 1


def test_no_entry_is_removed_where_there_is_too_little_room_even_so(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (other,) = other_texts(source, 1)
    made(other)
    gc.collect()
    before = entries(source)
    monkeypatch.setattr(token_files, "SPARE_BYTES", 1 << 60)
    with pytest.raises(ResourceError, match="free some"):
        made(source)
    assert before and entries(source) == before


def test_what_is_known_of_a_text_outlives_the_tokens_of_others(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (other,) = other_texts(source, 1)
    held = made(source)
    known = look_through(str(source), 1)
    cache = source.parent / "cache"
    remember(cache, known)
    os.utime(cache / "tokens" / f"{known.sha256}.json", (1, 1))
    first = set(entries(source))
    made(other)
    (gone,) = set(entries(source)) - first
    gc.collect()
    size = sum(p.stat().st_size for p in (cache / "tokens").rglob("*") if p.is_file())
    monkeypatch.setattr(token_files, "CACHE_BYTES", size)
    token_files.make_room(cache / "tokens", 1, set())
    assert held.train_chars and gone not in entries(source)
    assert remembered(cache, known.sha256, known.source) is not None


def other_texts(source: Path, count: int) -> list[Path]:
    texts = [source.parent / f"{number}.txt" for number in range(count)]
    for number, path in enumerate(texts):
        path.write_text(f"{number} is the number of this text, as it was\n" * 300)
    return texts


def test_the_entry_that_was_not_used_for_longest_gives_way_and_none_in_use(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, used, recent, new = other_texts(source, 4)
    keys: dict[Path, str] = {}
    folder = source.parent / "cache" / "tokens"
    held = None
    for age, path in ((300, used), (200, old), (100, recent)):
        before = set(entries(source)) if folder.exists() else set()
        files = made(path)
        held = files if path == used else held
        (keys[path],) = set(entries(source)) - before
        os.utime(folder / keys[path] / "lock", (1e9 - age, 1e9 - age))
        del files
    gc.collect()
    size = sum(p.stat().st_size for p in (folder / keys[old]).iterdir())
    monkeypatch.setattr(token_files, "CACHE_BYTES", 3 * size)
    made(new)
    assert held is not None and held.train_ids[0] is not None
    assert (folder / keys[used]).exists() and (folder / keys[recent]).exists()
    assert not (folder / keys[old]).exists()


def test_what_a_killed_process_left_of_another_text_is_removed(source: Path) -> None:
    folder = source.parent / "cache" / "tokens"
    left = folder / ".tmp-0123"
    left.mkdir(parents=True)
    (left / "lock").touch()
    (left / "train.ids").write_bytes(b"half")
    made(source)
    assert not left.exists()


SLOWLY = """
import sys, time
from pathlib import Path
from engine import text_stream
from engine.large_text import look_through
from engine.text_stream import TextStream
from engine.token_encoding import tokenizer_for
from engine.token_files import token_files
text_stream.CHUNK = 997
source, cache = Path(sys.argv[1]), Path(sys.argv[2])
text = look_through(str(source), 1)
def slowly():
    for number, chunk in enumerate(TextStream(str(source))):
        yield chunk
        if number == 5:
            print("half", flush=True)
            sys.stdin.readline()
files = token_files(cache, text, tokenizer_for("chars", text.symbols, (), None), slowly)
print(len(files.train_ids), flush=True)
"""


def maker(source: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SLOWLY, str(source), str(source.parent / "cache")],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_half_an_entry_of_a_killed_process_is_never_used(source: Path) -> None:
    with maker(source) as child:
        assert child.stdout is not None and child.stdout.readline() == "half\n"
        (left,) = entries(source)
        assert left.startswith(".tmp-")
        os.kill(child.pid, signal.SIGKILL)
    half = source.parent / "cache" / "tokens" / left / "train.ids"
    half.write_bytes(
        half.read_bytes() + b"longer than all ids " * 10_000
    )  # whatever a killed process may leave
    expected = train_tokenizer("chars", text := read_corpus(str(source)).text).encode_corpus(split(text)[0])
    assert np.array_equal(made(source).train_ids, expected)
    assert entries(source) == [left.removeprefix(".tmp-")]


def test_a_second_process_waits_for_the_first_and_takes_what_it_made(source: Path) -> None:
    waited = 0

    def wait() -> None:
        nonlocal waited
        waited += 1
        if waited == 1:
            assert child.stdin is not None
            child.stdin.write("go\n")
            child.stdin.flush()

    with maker(source) as child:
        assert child.stdout is not None and child.stdout.readline() == "half\n"
        text = look_through(str(source), 1)
        tokenizer = tokenizer_for("chars", text.symbols, (), None)
        files = prepared(source.parent / "cache", text, tokenizer, some_ids, wait)
        assert child.stdout.readline() == f"{len(files.train_ids)}\n"
    assert waited and len(entries(source)) == 1


def test_what_is_known_of_a_text_is_remembered_and_a_damaged_memory_is_not_believed(source: Path) -> None:
    cache = source.parent / "cache"
    text = look_through(str(source), 1)
    assert remembered(cache, text.sha256, text.source) is None
    remember(cache, text)
    kept = remembered(cache, text.sha256, text.source)
    assert kept is not None and (kept.chars, kept.bytes, kept.symbols) == (
        text.chars,
        text.bytes,
        text.symbols,
    )
    file = cache / "tokens" / f"{text.sha256}.json"
    for wrong in (
        "{",
        file.read_text().replace('"chars": ', '"chars": -'),
        file.read_text().replace('"version": 1', '"version": 2'),
        file.read_text().replace(
            f'"chars": {text.chars}', f'"chars": {text.chars - 1}'
        ),  # as sound as the right one
        json.dumps({**json.loads(file.read_text()), "symbols": text.symbols[1:]}),
    ):
        file.write_text(wrong)
        assert remembered(cache, text.sha256, text.source) is None
    assert known_again(cache, text.sha256, str(source)).symbols == text.symbols  # read once more
    assert remembered(cache, text.sha256, text.source) is not None
    for hash in ("../tokens/" + text.sha256, "a\0b"):  # of a stranger's run
        assert remembered(cache, hash, text.source) is None
    source.write_text("another text\n" * 50)
    file.unlink()
    with pytest.raises(CorpusError, match="is not the text this run learned"):
        known_again(cache, text.sha256, str(source))


def test_a_text_is_looked_through_only_if_it_is_too_large_to_be_kept(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert corpus_of(str(source)) == read_corpus(str(source))
    monkeypatch.setattr("engine.large_text.STORE_BYTES", 1000)
    large = corpus_of(str(source))
    assert isinstance(large, LargeText) and large.sha256 == read_corpus(str(source)).sha256
