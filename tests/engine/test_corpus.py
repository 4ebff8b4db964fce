"""What `engine.corpus` promises: one normalised text from any source, or one sentence that says why not."""

from __future__ import annotations

import codecs
import dataclasses
import errno
import hashlib
import io
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from engine import catalogue, corpus, corpus_files
from engine.corpus import Corpus, Turns, load_stored, printable, read_corpus, split, store_text, turns_in
from engine.errors import CorpusError, ResourceError, TinygptError, UsageError

TITLE = "\x1b]0;x\x07.txt"  # a name that would set the title of a terminal


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def given(name: str, data: bytes | str) -> str:
    """A file in the current folder; gives its name with a separator, so that no catalogue name is meant."""
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return f"./{name}"


def refusal(source: str, kind: type[TinygptError] = CorpusError, **options: Any) -> str:
    """The message of the error, which is one line that cannot drive a terminal."""
    with pytest.raises(kind) as caught:
        read_corpus(source, **options)
    message = str(caught.value)
    assert message.isprintable() and message.endswith(".") and len(message) < 600
    return message


def test_a_file_gives_its_text_hash_name_and_source() -> None:
    source = given("novel.txt", "Hé! 🦊\nend")
    read = read_corpus(source)
    assert read == Corpus(
        name="novel",
        text="Hé! 🦊\nend",
        sha256=hashlib.sha256("Hé! 🦊\nend".encode()).hexdigest(),
        source=source,
    )
    assert "Hé" not in repr(read)


def test_a_bare_file_name_is_read_from_the_current_folder() -> None:
    given("novel.txt", "text")
    assert read_corpus("novel.txt").text == "text"


def test_a_corpus_cannot_be_changed() -> None:
    read = read_corpus(given("a.txt", "text"))
    with pytest.raises(dataclasses.FrozenInstanceError):
        read.text = "other"  # type: ignore[misc]


def test_a_linked_file_is_followed() -> None:
    given("real.txt", "text")
    Path("link.txt").symlink_to("real.txt")
    assert read_corpus("./link.txt").text == "text"
    assert read_corpus("./link.txt").name == "link"


def test_whitespace_is_a_legal_text() -> None:
    assert read_corpus(given("a.txt", " \n\t\n")).text == " \n\t\n"


def test_nothing_but_line_ends_and_marks_is_changed() -> None:
    text = " e\u0301 \u2028\x85\xa0 👩\u200d👩 \ufb01 \t\f\n\n"
    assert read_corpus(given("a.txt", text * 10)).text == text * 10


@pytest.mark.parametrize(
    ("mark", "codec", "said"),
    [
        (codecs.BOM_UTF8, "utf-8", "UTF-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le", "UTF-16"),
        (codecs.BOM_UTF16_BE, "utf-16-be", "UTF-16"),
        (codecs.BOM_UTF32_LE, "utf-32-le", "UTF-32"),
        (codecs.BOM_UTF32_BE, "utf-32-be", "UTF-32"),
    ],
)
def test_a_byte_order_mark_decides_the_encoding_and_is_stripped(mark: bytes, codec: str, said: str) -> None:
    read = read_corpus(given("a.txt", mark + "grün 🦊\r\nzwei".encode(codec)))
    assert read.text == "grün 🦊\nzwei"
    assert read.notices == (f"read as {said} by the byte order mark", "1 CRLF line end made LF")


def test_only_one_mark_is_stripped() -> None:
    assert read_corpus(given("a.txt", codecs.BOM_UTF8 + "\ufeffa".encode())).text == "\ufeffa"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le"])
def test_a_mark_is_stripped_under_a_named_encoding_too(encoding: str) -> None:
    mark = "\ufeff" if encoding != "utf-16" else ""  # this codec writes its own
    assert read_corpus(given("a.txt", f"{mark}text".encode(encoding)), encoding=encoding).text == "text"


def test_a_named_encoding_is_used() -> None:
    source = given("a.txt", "café".encode("latin-1"))
    assert read_corpus(source, encoding="latin-1").text == "café"
    assert read_corpus(given("b.txt", "Ж“".encode("cp1251")), encoding="cp1251").text == "Ж“"


@pytest.mark.parametrize("name", ["klingon", "hex", "a\0b", "../x", "", "\x1b]0;x\x07"])
def test_an_unknown_encoding_is_a_usage_error(name: str) -> None:
    message = refusal(given("a.txt", "text"), UsageError, encoding=name)
    assert "no text encoding" in message and "latin-1" in message


@pytest.mark.parametrize(
    ("data", "offset", "line"),
    [
        (b"\xff", 0, 1),
        (b"one\ntwo\nth\xe9 three\n", 10, 3),
        (b"one\r\ntwo\rth\xe9", 11, 3),
        (codecs.BOM_UTF8 + b"a\nb\xe9", 6, 2),
        ("ünï\n".encode() + b"x\xc3", 7, 2),
    ],
)
def test_wrong_utf8_is_refused_with_its_byte_and_line_and_the_option_that_helps(
    data: bytes, offset: int, line: int
) -> None:
    message = refusal(given("a.txt", data))
    assert f"byte 0x{data[offset]:02x} at offset {offset}, line {line})" in message
    assert "not UTF-8" in message and "--encoding latin-1" in message


def test_wrong_utf16_is_refused_with_its_byte_and_line() -> None:
    data = codecs.BOM_UTF16_LE + "a\nb".encode("utf-16-le") + b"\x00\xdc" + "c".encode("utf-16-le")
    message = refusal(given("a.txt", data))
    assert "not UTF-16 (byte 0x00 at offset 8, line 2)" in message


def test_a_codec_that_does_not_say_where_it_failed_is_refused_too() -> None:
    assert "not undefined" in refusal(given("a.txt", "text"), encoding="undefined")


@pytest.mark.parametrize(
    ("data", "notices"),
    [
        ("a\nb\n", ()),
        ("a\r\nb", ("1 CRLF line end made LF",)),
        ("a\r\n\r\nb\n", ("2 CRLF line ends made LF",)),
        ("a\rb\r\rc", ("3 CR line ends made LF",)),
        ("a\r\nb\r", ("1 CRLF and 1 CR line ends made LF",)),
        ("a\r\n" * 1234, ("1,234 CRLF line ends made LF",)),
    ],
)
def test_line_ends_become_lf_and_are_counted(data: str, notices: tuple[str, ...]) -> None:
    read = read_corpus(given("a.txt", data))
    assert read.text == data.replace("\r\n", "\n").replace("\r", "\n")
    assert read.notices == notices
    assert read.sha256 == hashlib.sha256(read.text.encode()).hexdigest()


@pytest.mark.parametrize("data", [b"", codecs.BOM_UTF8, codecs.BOM_UTF16_LE])
def test_an_empty_file_is_refused(data: bytes) -> None:
    assert "is empty" in refusal(given("a.txt", data))


@pytest.mark.parametrize("at", [0, 3, 8191])
def test_a_nul_in_the_first_8_kb_is_refused_with_its_place(at: int) -> None:
    data = b"x" * at + b"\0" + b"x" * 10_000
    message = refusal(given("a.bin", data))
    assert f"looks binary (NUL at byte {at})" in message and "--force-text" in message


def test_a_nul_after_the_first_8_kb_is_kept() -> None:
    text = "x" * 8192 + "\0" + "x" * 1000
    assert read_corpus(given("a.txt", text)).text == text


def test_a_nul_is_found_before_wrong_utf8_is() -> None:
    assert "looks binary" in refusal(given("a.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"))


def test_utf16_without_a_mark_looks_binary_until_its_encoding_is_named() -> None:
    source = given("a.txt", "text".encode("utf-16-le"))
    assert "--encoding (such as utf-16)" in refusal(source)
    assert read_corpus(source, encoding="utf-16-le").text == "text"


def test_a_nul_in_utf16_is_refused() -> None:
    data = codecs.BOM_UTF16_LE + "ab\0".encode("utf-16-le")
    assert "NUL at character 2" in refusal(given("a.txt", data))


def test_more_than_one_percent_of_control_characters_is_refused() -> None:
    assert "2% control characters" in refusal(given("a.txt", "\x1b\x7f" + "x" * 98))
    assert read_corpus(given("b.txt", "\x1b" + "x" * 99)).text[0] == "\x1b"


@pytest.mark.parametrize("text", ["\t\n\f\v" * 50, "\x85\x96" * 50])
def test_spacing_and_c1_are_not_what_makes_a_file_binary(text: str) -> None:
    assert read_corpus(given("a.txt", text)).text == text


def test_force_text_accepts_what_looks_binary_and_keeps_it() -> None:
    text = "a\0b\x01\x02\x1b" * 20
    assert read_corpus(given("a.txt", text), force_text=True).text == text
    wide = codecs.BOM_UTF16_LE + "a\0b".encode("utf-16-le")
    assert read_corpus(given("b.txt", wide), force_text=True).text == "a\0b"


def test_a_lone_surrogate_never_enters_a_text() -> None:
    source = given("a.txt", "x" * 2**20 + "ab\\ud800")
    message = refusal(source, encoding="unicode_escape")
    assert f"lone surrogate) at character {2**20 + 2}" in message


def test_a_pipe_is_refused_without_being_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo("pipe")
    monkeypatch.setattr(os, "open", lambda *a, **k: pytest.fail("opened"))
    assert "is a pipe" in refusal("./pipe")


def test_a_socket_is_refused() -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("sock")
        assert "is not a file" in refusal("./sock")


@pytest.mark.parametrize("source", ["/dev/zero", "/dev/null", "/dev/tty"])
def test_a_device_is_refused_without_being_opened(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "open", lambda *a, **k: pytest.fail("opened"))
    assert "is not a file" in refusal(source)


@pytest.mark.parametrize("source", ["/proc/self/status", "/sys/kernel/mm/transparent_hugepage/enabled"])
def test_the_kernels_own_files_are_refused(source: str) -> None:
    message = refusal(source)  # on a machine without them: that there is no such file
    assert "not an ordinary file" in message or "There is no file" in message


def test_a_pipe_that_takes_the_place_of_a_file_before_it_is_opened_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = given("a.txt", "text")
    opened = os.open

    def swap(path: Any, flags: int) -> int:
        Path("a.txt").unlink()
        os.mkfifo("a.txt")
        return opened(path, flags)

    monkeypatch.setattr(os, "open", swap)
    assert "is a pipe" in refusal(source)


def test_an_unreadable_file_is_refused_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    source = given("a.txt", "text")

    def denied(*args: Any) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "open", denied)
    assert "a.txt cannot be read: Permission denied." in refusal(source)


def test_a_loop_of_links_and_an_endless_name_are_refused_with_the_reason() -> None:
    Path("loop.txt").symlink_to("loop.txt")
    assert os.strerror(errno.ELOOP) in refusal("./loop.txt")
    assert os.strerror(errno.ENAMETOOLONG) in refusal("./" + "x" * 5000)


@pytest.mark.parametrize("size", ["grows", "shrinks", "is rewritten"])
def test_a_file_that_changes_while_it_is_read_is_refused(size: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = given("a.txt", "x" * 100_000)
    refuse_binary = corpus_files.refuse_binary

    def meanwhile(*args: Any) -> None:
        refuse_binary(*args)
        data = {"grows": "x" * 100_001, "shrinks": "x" * 50_000, "is rewritten": "y" * 100_000}[size]
        Path("a.txt").write_text(data)
        os.utime("a.txt", ns=(1, 1))

    monkeypatch.setattr(corpus_files, "refuse_binary", meanwhile)
    assert "changed while it was being read" in refusal(source)


def test_more_than_two_gib_is_refused_unread_with_an_estimate_of_the_memory() -> None:
    source = given("a.txt", "x" * 9000)
    os.truncate("a.txt", 3 * 2**30)  # a hole, which takes no room
    message = refusal(source, ResourceError)
    assert "3.0 GiB" in message and "6.0 to 15.0 GiB of memory" in message and "--force" in message


def test_force_reads_beyond_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus_files, "MAX_BYTES", 3)
    source = given("a.txt", "text")
    refusal(source, ResourceError)
    refusal("-", ResourceError, stdin=io.BytesIO(b"text"))
    assert read_corpus(source, force=True).text == "text"
    assert read_corpus("-", force=True, stdin=io.BytesIO(b"text")).text == "text"


def test_too_little_memory_is_a_resource_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*args: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(corpus, "decode", exhausted)
    assert "memory" in refusal(given("a.txt", "text"), ResourceError)


def test_standard_input_is_read_like_a_file() -> None:
    read = read_corpus("-", stdin=io.BytesIO(codecs.BOM_UTF8 + b"a\r\nb"))
    assert (read.name, read.text, read.source) == ("stdin", "a\nb", "-")
    assert len(read.notices) == 2
    assert read_corpus("-", stdin=io.BytesIO("é".encode("latin-1")), encoding="latin-1").text == "é"


@pytest.mark.parametrize(
    ("data", "said"), [(b"", "is empty"), (b"a\0", "looks binary"), (b"\xe9", "not UTF-8")]
)
def test_standard_input_is_refused_like_a_file(data: bytes, said: str) -> None:
    message = refusal("-", stdin=io.BytesIO(data))
    assert message.startswith("Standard input") and said in message


def test_a_closed_standard_input_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.BytesIO(b"text")
    closed.close()
    assert "cannot be read" in refusal("-", stdin=closed)
    monkeypatch.setattr("sys.stdin", None)
    assert "closed" in refusal("-")


def test_a_folder_is_its_text_files_in_sorted_order_joined_by_a_newline() -> None:
    given("texts/b.txt", "b\r\n")
    given("texts/a/z.txt", "a-z")
    given("texts/a.txt", "a")
    given("texts/c/d/e.md", codecs.BOM_UTF8 + b"e")
    given("texts/empty.txt", "")
    read = read_corpus("./texts")
    assert read.text == "a-z\na\nb\n\ne"
    assert read.name == "texts"
    assert read.notices == (
        "read as UTF-8 by the byte order mark in 1 of 5 files",
        "1 CRLF line end made LF",
    )
    assert read_corpus("texts/").text == read.text


def test_the_current_folder_has_a_name(here: Path) -> None:
    given("a.txt", "text")
    assert read_corpus(".").name == "here"


def test_a_folder_skips_what_is_no_text_and_says_which() -> None:
    given("texts/good.txt", "good")
    for number in range(5):
        given(f"texts/{number}.png", b"\x89PNG\0")
    given("texts/old.txt", "é".encode("latin-1"))
    given("texts/.hidden", "no")
    given("texts/.git/config", "no")
    os.mkfifo("texts/pipe")
    Path("texts/gone").symlink_to("nowhere")
    Path("texts/loop").symlink_to(".")
    read = read_corpus("texts")
    assert read.text == "good"
    assert read.notices == (
        "1 skipped (a linked folder): loop",
        "5 skipped (binary): 0.png, 1.png, 2.png, …",
        "2 skipped (hidden): .git, .hidden",
        "1 skipped (not UTF-8): old.txt",
        "1 skipped (not a file): pipe",
        "1 skipped (unreadable): gone",
    )


def test_an_unreadable_folder_in_a_folder_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    given("texts/good.txt", "good")
    given("texts/locked/a.txt", "no")
    scandir = os.scandir

    def denied(path: Any) -> Any:
        if str(path).endswith("locked"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", denied)
    assert read_corpus("texts").notices == ("1 skipped (unreadable): locked",)


def test_an_empty_folder_is_refused() -> None:
    Path("texts").mkdir()
    assert "The folder texts holds no text file" in refusal("texts")
    given("texts/a.txt", "")
    assert "holds only empty files" in refusal("texts")


def test_a_folder_of_only_binaries_is_refused_and_names_them() -> None:
    given("texts/a.png", b"\0")
    given("texts/b.png", b"\0")
    assert "holds no text file (2 skipped (binary): a.png, b.png)" in refusal("texts")
    assert read_corpus("texts", force_text=True).text == "\0\n\0"


def test_the_limit_counts_a_folders_texts_together(monkeypatch: pytest.MonkeyPatch) -> None:
    given("texts/a.txt", "12345")
    given("texts/b.txt", "12345")
    given("texts/film.mp4", b"\0" * 100)
    monkeypatch.setattr(corpus_files, "MAX_BYTES", 10)
    assert read_corpus("texts").text == "12345\n12345"
    monkeypatch.setattr(corpus_files, "MAX_BYTES", 9)
    refusal("texts", ResourceError)
    assert read_corpus("texts", force=True).text == "12345\n12345"


def test_a_folder_of_too_many_files_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    given("texts/a.txt", "a")
    given("texts/b/b.txt", "b")
    monkeypatch.setattr(corpus_files, "MAX_FILES", 1)
    assert "more than 1 files" in refusal("texts", ResourceError)
    assert read_corpus("texts", force=True).text == "a\nb"


def test_hostile_names_are_shown_harmless_everywhere() -> None:
    read = read_corpus(given(TITLE, "text"))
    assert read.name == "␛]0;x␇" and read.source == f"./{TITLE}"
    for data in (b"", b"\0", b"\xff"):
        assert "␛]0;x␇.txt" in refusal(given(TITLE, data))
    given(f"texts/{TITLE}", b"\0")
    given("texts/a.txt", "text")
    assert read_corpus("texts").notices == ("1 skipped (binary): ␛]0;x␇.txt",)
    assert "␛" in refusal(f"./no{TITLE}")


def test_a_name_that_is_not_utf8_is_shown_harmless() -> None:
    name = os.fsdecode(b"caf\xe9\x1b.txt")
    assert printable(name) == "caf\ufffd␛.txt"
    with suppress(OSError):  # macOS has no such names
        given(name, "text")
        assert read_corpus(name).name == "caf\ufffd␛"


@pytest.mark.parametrize("name", ["a\nb", "\x1b[2J", "\x9b2J", "\u202etxt", "\ud800", "\x7f", "x" * 10_000])
def test_printable_is_short_and_on_one_line(name: str) -> None:
    assert printable(name).isprintable()
    assert len(printable(name)) <= 80


def test_printable_keeps_ordinary_names_and_the_ends_of_long_ones() -> None:
    assert printable("naïve 狐 [/b].txt") == "naïve 狐 [/b].txt"
    assert printable("a" * 80) == "a" * 80
    assert printable("first" + "x" * 100 + "last.txt").startswith("first")
    assert printable("first" + "x" * 100 + "last.txt").endswith("last.txt")


def test_an_unknown_name_says_what_is_close_and_what_is_built_in() -> None:
    given("novel.txt", "text")
    assert "did you mean novel.txt?" in refusal("novle.txt")
    message = refusal("tiny-shakespear")
    assert "did you mean tiny-shakespeare?" in message
    assert all(name in message for name in ("tales", "smalltalk", "sums", "python-docs", "python-code"))


@pytest.mark.parametrize("source", ["", "no/such/file", "a\0b", "\ud800", "./a.txt/b", "*", " "])
def test_a_source_that_is_nothing_is_refused(source: str) -> None:
    given("a.txt", "text")
    assert "There is no file" in refusal(source)


def test_a_missing_file_beside_many_others_is_refused_quickly() -> None:
    for number in range(50):
        given(f"{TITLE}{number}", "")
    assert "did you mean" in refusal(f"./{TITLE}")


@pytest.fixture
def small_catalogue(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(catalogue, "text_of", lambda name, cache_dir: f"the text of {name}")
    yield


@pytest.mark.usefixtures("small_catalogue")
def test_a_catalogue_name_is_read_from_the_catalogue() -> None:
    read = read_corpus("tales")
    assert (read.name, read.text, read.source, read.notices) == ("tales", "the text of tales", "tales", ())
    assert read_corpus("smalltalk").turns == catalogue.entry("smalltalk").turns


@pytest.mark.usefixtures("small_catalogue")
def test_a_catalogue_name_wins_over_a_file_beside_it_and_says_so() -> None:
    given("tales", "my own")
    read = read_corpus("tales")
    assert read.text == "the text of tales"
    assert read.notices == ("tales is the catalogue's; for the file of that name give ./tales",)


@pytest.mark.usefixtures("small_catalogue")
def test_a_separator_makes_a_catalogue_name_a_path() -> None:
    given("tales", "my own")
    assert read_corpus("./tales").text == "my own"
    assert read_corpus("./tales").notices == ()


def test_a_catalogue_text_that_was_not_fetched_says_how_to_fetch_it(tmp_path: Path) -> None:
    for cache_dir in (None, tmp_path):
        assert "tinygpt corpora fetch names" in refusal("names", cache_dir=cache_dir)


def test_the_split_of_tiny_shakespeare_is_the_one_everybody_compares_on() -> None:
    train, validation = split("x" * 1_115_394)
    assert (len(train), len(validation)) == (1_003_854, 111_540)


@pytest.mark.parametrize("n", [0, 1, 2, 9, 10, 11, 99, 1_310_720, 1_310_721, 3_000_000])
def test_the_split_holds_out_the_last_tenth_at_most_131072_characters(n: int) -> None:
    text = ("abcdefghijk" * (n // 11 + 1))[:n]
    train, validation = split(text)
    assert train + validation == text
    assert len(validation) == min(n - int(n * 0.9), 131_072)


def test_a_conversation_is_recognised_by_its_two_marks() -> None:
    text = "Ann: hi\nBo: hello: you\n\nAnn: how are you?\nBo: well\n" * 5
    assert read_corpus(given("chat.txt", text)).turns == Turns("Ann: ", "Bo: ")


@pytest.mark.parametrize(("first", "second"), [("Pip", "You"), ("You", "Pip"), ("Assistant", "USER")])
def test_whoever_is_called_you_or_user_is_the_user(first: str, second: str) -> None:
    turns = turns_in(f"{first}: hello\n{second}: hello\n" * 5)
    assert turns is not None and turns.user.lower() in ("you: ", "user: ")
    assert {turns.user, turns.model} == {f"{first}: ", f"{second}: "}


def test_a_few_other_lines_do_not_spoil_a_conversation() -> None:
    assert turns_in("Ann: hi\nBo: ho\n" * 20 + "THE END\n") == Turns("Ann: ", "Bo: ")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Ann: hi\nBo: ho\n",
        "Ann: hi\n" * 30,
        "Ann: hi\nBo: ho\nCy: hey\n" * 10,
        "Ann: hi\nBo: ho\nand a line\n" * 10,
        "Ann: hi\n" * 100 + "Bo: ho\n" * 2,
        "a name much longer than twenty: hi\nanother name that is as long: ho\n" * 10,
        "10: hi\n11: ho\n" * 10,
        "Ann: hi\nBo: ho\n" * 500 + "and then it was over\n" * 500,
    ],
)
def test_what_is_not_a_conversation_of_two_is_not_taken_for_one(text: str) -> None:
    assert turns_in(text) is None


def read_again(corpora_dir: Path, read: Corpus) -> str:
    return load_stored([corpora_dir], read.sha256, None)


def test_a_stored_text_comes_back_by_its_hash(tmp_path: Path) -> None:
    read = read_corpus(given("a.txt", "Hé 🦊\r\n"))
    path = store_text(tmp_path / "data" / "corpora", read)
    assert path == tmp_path / "data" / "corpora" / f"{read.sha256}.txt"
    assert path.read_bytes() == "Hé 🦊\n".encode()
    assert read_again(path.parent, read) == read.text
    assert path.parent.stat().st_mode & 0o077 == 0


def test_a_text_is_stored_once_and_again_if_it_was_cut_short(tmp_path: Path) -> None:
    read = read_corpus(given("a.txt", "text"))
    path = store_text(tmp_path, read)
    assert path is not None
    first = path.stat().st_ino
    assert store_text(tmp_path, read) == path and path.stat().st_ino == first
    path.write_text("te")
    assert store_text(tmp_path, read) == path and path.read_text() == "text"
    assert [p.name for p in tmp_path.glob("*.txt")] == [path.name]


def test_a_large_text_is_not_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "STORE_BYTES", 4)
    assert store_text(tmp_path, read_corpus(given("a.txt", "1234"))) is not None
    assert store_text(tmp_path, read_corpus(given("a.txt", "12345"))) is None
    assert store_text(tmp_path, read_corpus(given("a.txt", "12é4"))) is None


def test_a_store_that_cannot_be_written_is_a_resource_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError):
        store_text(tmp_path / "file" / "corpora", read_corpus(given("a.txt", "text")))


def test_a_missing_or_changed_stored_text_is_refused_and_says_what_to_do(tmp_path: Path) -> None:
    read = read_corpus(given("a.txt", "text"))
    with pytest.raises(CorpusError, match=r"is missing: put the original back, or train a new run\."):
        load_stored([tmp_path], read.sha256, None)
    path = store_text(tmp_path, read)
    assert path is not None
    for data in (b"tex", b"texT", b"\xff\xff\xff\xff", b""):
        path.write_bytes(data)
        with pytest.raises(CorpusError, match="was changed after it was stored"):
            load_stored([tmp_path], read.sha256, "-")


def test_a_stored_text_is_looked_for_in_every_folder_that_is_named(tmp_path: Path) -> None:
    read = read_corpus(given("a.txt", "text"))
    first, second = tmp_path / "first", tmp_path / "second"
    damaged = store_text(first, read)
    assert damaged is not None and store_text(second, read) is not None
    damaged.write_text("texT")
    assert load_stored([first, second], read.sha256, None) == read.text
    assert load_stored([tmp_path, second], read.sha256, None) == read.text
    with pytest.raises(CorpusError, match=r" was changed after it was stored, and .* is missing: "):
        load_stored([first, tmp_path / "tmp"], read.sha256, None)


def test_a_text_that_was_not_stored_is_read_from_its_source_again(tmp_path: Path) -> None:
    source = given("a.txt", "café\r\n".encode("latin-1"))
    read = read_corpus(source, encoding="latin-1")
    assert load_stored([tmp_path], read.sha256, source, encoding="latin-1") == read.text
    with pytest.raises(CorpusError, match=r"is missing, and it cannot be read again\. .*--encoding"):
        load_stored([tmp_path], read.sha256, source)


def test_a_source_that_is_another_text_by_now_is_refused(tmp_path: Path) -> None:
    source = given("a.txt", "text")
    read = read_corpus(source)
    given("a.txt", "other")
    with pytest.raises(CorpusError, match="is not the text this run learned: put the original back"):
        load_stored([tmp_path], read.sha256, source)


@pytest.mark.parametrize("sha256", ["", "../../etc/passwd", "A" * 64, "0" * 63, "0" * 64 + "\n", "\x1b" * 64])
def test_a_hash_that_is_none_is_refused(tmp_path: Path, sha256: str) -> None:
    with pytest.raises(CorpusError, match="is not the hash of a corpus") as caught:
        load_stored([tmp_path], sha256, None)
    assert str(caught.value).isprintable()
