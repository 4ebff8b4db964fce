"""What reading a text as a stream promises: to the byte what reading it whole gives, wherever a piece ends, and the same refusals."""

from __future__ import annotations

import codecs
import os
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import corpus_files, large_text, text_stream
from engine.corpus import read_corpus
from engine.errors import CorpusError, ResourceError, TinygptError
from engine.large_text import LargeText, corpus_of, look_through
from engine.text_stream import TextStream, large_bytes

HARD = "\ufeffaé\r\r\n🦊\r\n\r“ж”\n\r\u0300\u2028\x85 You: a\r\nYou: \r"


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_stream, "WHOLE_BYTES", 40)


def outcome(source: Path, chunk: int, **how: object) -> object:
    """Of the stream: text, hash, symbols, notices and turns; or the sentence of its refusal."""
    text_stream.CHUNK = chunk
    parts: list[bytes] = []
    try:
        read = look_through(str(source), 1, also=[parts.append], **how)  # type: ignore[arg-type]
    except TinygptError as error:
        return type(error).__name__.replace("Refused", "CorpusError"), str(error)
    finally:
        text_stream.CHUNK = 2**20
    assert all(part.decode() is not None for part in parts)  # cut between two characters
    text = b"".join(parts).decode()
    assert (read.chars, read.bytes) == (len(text), len(text.encode()))
    return text, read.sha256, read.symbols, read.notices, read.turns, read.name


def whole(source: Path, **how: object) -> object:
    """The same of `read_corpus`."""
    try:
        read = read_corpus(str(source), **how)  # type: ignore[arg-type]
    except TinygptError as error:
        return type(error).__name__.replace("Refused", "CorpusError"), str(error)
    return read.text, read.sha256, "".join(sorted(set(read.text))), read.notices, read.turns, read.name


@pytest.mark.parametrize("chunk", [1, 2, 3, 5, 7, 64])
@pytest.mark.parametrize(
    ("encoding", "mark", "named"),
    [
        ("utf-8", b"", None),
        ("utf-8", codecs.BOM_UTF8, None),
        ("utf-8", codecs.BOM_UTF8, "utf-8"),
        ("utf-16-le", codecs.BOM_UTF16_LE, None),
        ("utf-16-be", codecs.BOM_UTF16_BE, None),
        ("utf-32-le", codecs.BOM_UTF32_LE, None),
        ("utf-16-le", b"", "utf-16-le"),
        ("utf-16-be", codecs.BOM_UTF16_BE, "utf-16"),
        ("utf-16-le", b"", "utf-16"),
        ("gb18030", b"", "gb18030"),
    ],
)
def test_the_text_is_the_same_wherever_a_piece_ends(
    tmp_path: Path, chunk: int, encoding: str, mark: bytes, named: str | None
) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(mark + HARD.encode(encoding))
    expected = whole(file, encoding=named)
    assert isinstance(expected, tuple) and "🦊" in expected[0]
    assert outcome(file, chunk, encoding=named) == expected


@given(
    st.lists(st.sampled_from(["\r", "\n", "\r\n", "a", "é", "€", "🦊", "\ufeff", "\x07", "\0", " " * 60, "You: ", "Cat: "]), max_size=30),
    st.integers(1, 9),
)  # fmt: skip
@settings(max_examples=200, deadline=None)
def test_any_text_is_read_or_refused_as_a_whole_one_is(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[str], chunk: int
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.txt"
    file.write_bytes("".join(pieces).encode())
    assert outcome(file, chunk) == whole(file)


@pytest.mark.parametrize("chunk", [1, 3, 64])
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"one\r\ntwo\rth\xe9 three\n",
        "ünï\n".encode() + b"x\xc3",
        b"x" * 30 + b"\0",
        b"\x1b\x7f" + b"x" * 98,
        b"a" * 20_000 + b"\r\n\xff",
        codecs.BOM_UTF16_LE + "a\r\nb".encode("utf-16-le") + b"\x00\xdc" + "c".encode("utf-16-le"),
        codecs.BOM_UTF16_LE + "ab\0".encode("utf-16-le"),
        codecs.BOM_UTF16_LE + b"a",
    ],
)
def test_a_refusal_is_the_same_sentence(tmp_path: Path, data: bytes, chunk: int) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(data)
    refused = outcome(file, chunk)
    assert refused == whole(file) and isinstance(refused, tuple) and refused[0] == "CorpusError"


def test_a_folder_is_the_same_with_large_files_and_small_ones_and_what_is_skipped(tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.txt").write_bytes(b"small\r\n")
    (folder / "b.txt").write_bytes(codecs.BOM_UTF8 + "größer\r\n".encode() * 20)
    (folder / "c.bin").write_bytes(b"large, and only at its end no text " * 20 + b"\xff")
    (folder / "d.txt").write_bytes(b"")
    (folder / ".hidden").write_bytes(b"no")
    (folder / "sub" / "e.txt").write_bytes("ж".encode() * 50)
    expected = whole(folder)
    assert isinstance(expected, tuple) and any("c.bin" in notice for notice in expected[3])
    for chunk in (1, 5, 1000):
        assert outcome(folder, chunk) == expected


def test_a_folder_without_text_is_refused_in_the_same_words(tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "a.bin").write_bytes(b"\0" * 100)
    assert outcome(folder, 10) == whole(folder)


def test_marks_of_a_conversation_are_counted_over_the_whole_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(large_text, "OPENING_CHARS", 30)
    talk = tmp_path / "talk.txt"
    talk.write_text("Cat: hello you, what a long line this is\nYou: hi\n\n" * 40)
    expected = whole(talk)
    assert isinstance(expected, tuple) and expected[4] is not None
    prose = tmp_path / "prose.txt"
    prose.write_text("Cat: hello\nYou: hi\n" * 40 + "And then they left.\n" * 40)
    for chunk in (1, 7, 100):
        assert outcome(talk, chunk) == expected
        assert outcome(prose, chunk) == whole(prose)


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(b"x" * 5_000_000)
    stream = iter(TextStream(str(file)))
    next(stream)
    os.utime(file, ns=(1, 1))
    with pytest.raises(CorpusError, match="changed while it was being read"):
        list(stream)


@pytest.mark.parametrize("chunk", [1, 7, 64, 1000])
@pytest.mark.parametrize("others", [5, 6])
def test_the_turns_of_a_conversation_are_counted_to_the_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, others: int, chunk: int
) -> None:
    monkeypatch.setattr(large_text, "OPENING_CHARS", 25)  # looked at before the counting begins
    file = tmp_path / "a.txt"
    plain = ["P", "You:", " You: ", "Pünktchen; ", "more", "You"][:others]
    lines = [f"{'You' if i % 2 else 'Pünktchen'}: {'long ' * 80 * (i % 9 == 5)}" for i in range(100 - others)]
    lines = [*lines[:50], *plain[1:], "", "", *lines[50:], plain[0]]
    file.write_text("\n".join(lines))
    expected = whole(file)
    assert outcome(file, chunk) == expected and isinstance(expected, tuple)
    assert (expected[4] is not None) == (others == 5)


def test_progress_counts_every_byte_once(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"abc\n" * 100_000)
    (tmp_path / "b.txt").write_bytes(b"d")
    told: list[tuple[int, int]] = []
    size = large_bytes(str(tmp_path), 10)
    assert size == 400_001
    look_through(str(tmp_path), size, tell=lambda read, total: told.append((read, total)))
    assert told[-1] == (size, size) and told == sorted(told)


def test_what_is_not_large_or_cannot_be_streamed_is_left_to_reading_it_whole(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(b"x" * 100)
    assert large_bytes(str(file), 99) == 100
    assert large_bytes(str(file), 100) == 0
    for source in ("-", "", "tales", str(tmp_path / "none"), "a\0b"):
        assert large_bytes(source, 0) == 0
    assert large_bytes(str(file), 1, "punycode") == large_bytes(str(file), 1, "klingon") == 0


def test_a_validation_split_that_is_no_tenth_is_told(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(b"0123456789 and on\n" * 80_000)
    read = look_through(str(file), 1)
    assert isinstance(read, LargeText)
    assert read.notices == ("1,440,000 characters: validation is the last 131,072 of them, not a tenth",)


def test_a_file_that_grows_as_fast_as_it_is_read_is_refused_and_not_followed(tmp_path: Path) -> None:
    file = tmp_path / "a.log"
    file.write_bytes(b"a line\n" * 300_000)
    read = 0
    with file.open("ab") as log, pytest.raises(CorpusError, match="changed while it was being read"):
        for _ in TextStream(str(file)):
            log.write(b"x" * 2 * text_stream.CHUNK)
            log.flush()
            read += 1
            assert read < 10


def test_reading_a_folder_takes_no_more_memory_than_its_largest_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_stream, "WHOLE_BYTES", 1_000_000)
    for number in range(30):
        (tmp_path / f"{number}.txt").write_bytes(b"a line of text\n" * 20_000)
    tracemalloc.start()
    try:
        assert sum(chunk.chars for chunk in TextStream(str(tmp_path))) == 30 * 300_000 + 29
        assert tracemalloc.get_traced_memory()[1] < 3_000_000
    finally:
        tracemalloc.stop()


def test_progress_comes_to_its_end_although_a_file_is_skipped(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"text\n" * 50)
    (tmp_path / "b.bin").write_bytes(b"\0" * 50)
    (tmp_path / "c.txt").write_bytes(b"\xff" * 30)
    (tmp_path / "d.txt").write_bytes(b"large, and no text at its end " * 20 + b"\xff")
    told: list[int] = []
    size = large_bytes(str(tmp_path), 10)
    look_through(str(tmp_path), size, tell=lambda read, total: told.append(read))
    assert told == sorted(told) and told[-1] == size


def test_a_folder_of_too_many_files_is_left_as_soon_as_that_is_clear(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpus_files, "MAX_FILES", 3)
    for number in range(5):
        (tmp_path / f"{number}.txt").write_bytes(b"x" * 100)
    assert large_bytes(str(tmp_path), 10) == 0  # reading it says what is wrong
    assert large_bytes(str(tmp_path), 10, force=True) == 500
    with pytest.raises(ResourceError, match="more than 3 files"):
        corpus_of(str(tmp_path))


def test_one_file_that_cannot_be_looked_at_makes_no_large_folder_small(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"x" * 100)
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "none").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    assert large_bytes(str(tmp_path), 10) == 100
    read = look_through(str(tmp_path), 100)
    assert read.chars == 100 and len(read.notices) == 2  # unreadable, and not a file


def test_a_large_source_of_little_text_is_kept_as_any_little_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(large_text, "STORE_BYTES", 1000)
    (tmp_path / "a.txt").write_bytes("a tale of größe\r\n".encode() * 10)
    (tmp_path / "b.bin").write_bytes(b"\0" * 5000)
    assert large_bytes(str(tmp_path), 1000)
    assert corpus_of(str(tmp_path)) == read_corpus(str(tmp_path))
