"""What `engine.catalogue.fetch` promises: the known text or nothing, whatever the server does."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import http.client
import http.server
import os
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from engine import storage
from engine.catalogue import Entry, entry, fetch, is_ready, text_of
from engine.errors import CorpusError, ResourceError, UsageError

TEXT = b"And now the text begins.\n" * 10_000
Answer = Callable[[http.server.BaseHTTPRequestHandler], None]


class Server:
    """A server on this machine that gives each path the answer a test has put there, and notes who asks."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[str] = []
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append(self.path)
                with suppress(BrokenPipeError, ConnectionResetError):  # the client has heard enough
                    server.answers[self.path](self)

            def log_message(self, *args: Any) -> None:
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def address(self, path: str, scheme: str = "https") -> str:
        return f"{scheme}://127.0.0.1:{self.http.server_port}{path}"

    def close(self) -> None:
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


class PlainHttps(urllib.request.HTTPSHandler):
    """Carries what is asked for over https in plain text, so that a test needs no certificate."""

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(http.client.HTTPConnection, req)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    running = Server()
    yield running
    running.close()


@pytest.fixture
def known(server: Server) -> Entry:
    """A corpus of the test's own, at /text on the test's server."""
    server.answers["/text"] = sends(TEXT)
    return Entry(
        "mine", "Mine", "a test", "fetched", "none", None,
        len(TEXT), server.address("/text"), hashlib.sha256(TEXT).hexdigest(),
    )  # fmt: skip


def sends(data: bytes, length: int | None = None) -> Answer:
    def answer(to: http.server.BaseHTTPRequestHandler) -> None:
        to.send_response(200)
        to.send_header("Content-Length", str(len(data) if length is None else length))
        to.end_headers()
        to.wfile.write(data)

    return answer


def redirects(target: str) -> Answer:
    def answer(to: http.server.BaseHTTPRequestHandler) -> None:
        to.send_response(302)
        to.send_header("Location", target)
        to.send_header("Content-Length", "0")
        to.end_headers()

    return answer


def get(wanted: Entry, cache: Path, **options: Any) -> Path:
    return fetch.fetch(wanted, cache, opener=fetch.https_opener(PlainHttps()), **options)


def refusal(wanted: Entry, cache: Path) -> str:
    """The message of the failed fetch, which left nothing behind and helps on."""
    before = sorted(cache.rglob("*"))
    with pytest.raises(CorpusError) as caught:
        get(wanted, cache)
    message = str(caught.value)
    assert sorted(cache.rglob("*")) == before
    assert message.isprintable() and message.startswith(f"Could not fetch {wanted.name}: ")
    assert message.endswith("built in: tales, smalltalk, tales-and-talk, sums, python-docs, python-code.")
    return message


def test_a_fetched_text_lies_whole_in_the_cache(known: Entry, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    assert not is_ready(known, cache)
    path = get(known, cache)
    assert path == cache / "corpora" / "mine.txt" and path.read_bytes() == TEXT
    assert is_ready(known, cache)
    assert fetch.read(known, cache) == TEXT.decode()
    assert [p.name for p in path.parent.iterdir()] == ["mine.txt"]


def test_a_fetched_text_is_not_fetched_again(known: Entry, tmp_path: Path, server: Server) -> None:
    assert get(known, tmp_path) == get(known, tmp_path)
    assert server.asked == ["/text"]


def test_progress_goes_from_nothing_to_all(known: Entry, tmp_path: Path) -> None:
    heard: list[tuple[int, int]] = []
    get(known, tmp_path, progress=lambda done, total: heard.append((done, total)))
    assert heard[0] == (0, len(TEXT)) and heard[-1] == (len(TEXT), len(TEXT))
    assert heard == sorted(heard) and len(heard) > 2


def test_whoever_watches_may_end_it_and_nothing_is_left(known: Entry, tmp_path: Path) -> None:
    def enough(done: int, total: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get(known, tmp_path, progress=enough)
    assert list(tmp_path.iterdir()) == []


def test_a_text_dropped_by_hand_is_used_and_no_network_touched(
    known: Entry, tmp_path: Path, server: Server
) -> None:
    path = tmp_path / "corpora" / "mine.txt"
    path.parent.mkdir()
    path.write_bytes(TEXT)
    assert get(known, tmp_path) == path and fetch.read(known, tmp_path) == TEXT.decode()
    assert server.asked == []


@pytest.mark.parametrize("data", [b"", TEXT[:-1], TEXT + b"x", TEXT[:-1] + b"x"])
def test_a_wrong_file_is_named_not_used_and_stays_when_the_right_one_is_fetched(
    data: bytes, known: Entry, tmp_path: Path
) -> None:
    path = tmp_path / "corpora" / "mine.txt"
    path.parent.mkdir()
    path.write_bytes(data)
    assert not is_ready(known, tmp_path)
    with pytest.raises(CorpusError, match=r"mine.txt is not the known mine .*corpora fetch mine"):
        fetch.read(known, tmp_path)
    fetched = get(known, tmp_path)
    assert fetched != path and fetched.read_bytes() == TEXT and path.read_bytes() == data
    assert fetch.read(known, tmp_path) == TEXT.decode() and is_ready(known, tmp_path)
    fetched.write_bytes(b"damaged")
    assert get(known, tmp_path) == fetched and fetched.read_bytes() == TEXT


def test_a_link_in_the_cache_is_not_written_through(known: Entry, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (tmp_path / "corpora").mkdir()
    (tmp_path / "corpora" / "mine.txt").symlink_to(outside)
    get(known, tmp_path)
    assert not outside.exists()


def test_a_pipe_in_the_cache_does_not_block(known: Entry, tmp_path: Path) -> None:
    (tmp_path / "corpora").mkdir()
    os.mkfifo(tmp_path / "corpora" / "mine.txt")
    assert fetch.fetched(known, tmp_path) is None
    assert get(known, tmp_path).read_bytes() == TEXT


def test_a_wrong_hash_is_refused(known: Entry, tmp_path: Path, server: Server) -> None:
    server.answers["/text"] = sends(TEXT[:-1] + b"x")
    assert "its hash differs" in refusal(known, tmp_path)


@pytest.mark.parametrize("length", [None, len(TEXT)])
def test_a_truncated_text_is_refused(
    length: int | None, known: Entry, tmp_path: Path, server: Server
) -> None:
    server.answers["/text"] = sends(TEXT[:100], length)
    assert "only 100 of 250,000 bytes" in refusal(known, tmp_path)


def test_an_endless_body_is_cut_off_at_the_known_size(known: Entry, tmp_path: Path, server: Server) -> None:
    def endless(to: http.server.BaseHTTPRequestHandler) -> None:
        to.send_response(200)
        to.end_headers()
        while True:
            to.wfile.write(TEXT)

    server.answers["/text"] = endless
    assert "more than its 250,000 bytes" in refusal(known, tmp_path)


def test_a_missing_page_is_refused_and_not_taken_for_the_text(
    known: Entry, tmp_path: Path, server: Server
) -> None:
    server.answers["/text"] = lambda to: to.send_error(404)
    assert "the server answered 404 Not Found" in refusal(known, tmp_path)


@pytest.mark.parametrize("scheme", ["http", "ftp"])
def test_a_redirect_to_anything_but_https_is_refused(
    scheme: str, known: Entry, tmp_path: Path, server: Server
) -> None:
    server.answers["/elsewhere"] = sends(TEXT)
    server.answers["/text"] = redirects(server.address("/elsewhere", scheme))
    assert "which is not https" in refusal(known, tmp_path)
    assert server.asked == ["/text"]


def test_a_redirect_to_a_file_is_refused(known: Entry, tmp_path: Path, server: Server) -> None:
    (tmp_path / "secret").write_bytes(TEXT)
    server.answers["/text"] = redirects(f"file://{tmp_path}/secret")
    assert "302" in refusal(known, tmp_path)


def test_a_redirect_to_https_is_followed(known: Entry, tmp_path: Path, server: Server) -> None:
    server.answers["/elsewhere"] = sends(TEXT)
    server.answers["/text"] = redirects(server.address("/elsewhere"))
    assert get(known, tmp_path).read_bytes() == TEXT


def test_a_ring_of_redirects_ends(known: Entry, tmp_path: Path, server: Server) -> None:
    server.answers["/text"] = redirects(known.url)
    assert "302" in refusal(known, tmp_path)
    assert len(server.asked) < 20


@pytest.mark.parametrize("scheme", ["http", "file", "ftp", "data"])
def test_the_opener_knows_no_scheme_but_https(
    scheme: str, known: Entry, tmp_path: Path, server: Server
) -> None:
    wanted = dataclasses.replace(known, url=f"{scheme}{known.url.removeprefix('https')}")
    assert f"unknown url type: {scheme}" in refusal(wanted, tmp_path)
    assert server.asked == []


def test_a_server_that_speaks_no_http_is_refused(known: Entry, tmp_path: Path, server: Server) -> None:
    server.answers["/text"] = lambda to: void(to.wfile.write(b"\x1b]0;x\x07 nonsense\r\n\r\n"))
    refusal(known, tmp_path)


def test_a_server_that_falls_silent_is_given_up(
    known: Entry, tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_up = threading.Event()
    server.answers["/text"] = lambda to: void(given_up.wait(30))
    monkeypatch.setattr(fetch, "TIMEOUT_S", 0.05)
    try:
        assert "timed out" in refusal(known, tmp_path)
    finally:
        given_up.set()


def test_offline_is_one_sentence_that_names_what_is_built_in(
    known: Entry, tmp_path: Path, server: Server
) -> None:
    server.close()  # nobody listens at this port now
    assert os.strerror(errno.ECONNREFUSED) in refusal(known, tmp_path)


def test_a_certificate_nobody_vouches_for_is_refused(known: Entry, tmp_path: Path, server: Server) -> None:
    """The real opener, meeting a server that does not even have a certificate."""
    server.answers["/text"] = sends(TEXT)
    with pytest.raises(CorpusError, match=r"Could not fetch mine: .*SSL"):
        fetch.fetch(known, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_a_resource_error_and_leaves_nothing(
    known: Entry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(storage.Ops):
        def write(self, fd: int, data: bytes | memoryview) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(storage, "ops", Full())
    with pytest.raises(ResourceError):
        get(known, tmp_path)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_a_built_in_corpus_is_not_fetched(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="tales is built in"):
        fetch.fetch(entry("tales"), tmp_path)


def test_the_catalogue_reads_what_was_fetched(
    known: Entry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.catalogue.CATALOGUE", (known,))
    get(known, tmp_path)
    assert text_of("mine", tmp_path) == TEXT.decode()


def void(value: object) -> None:
    """For an answer written as a lambda, which must give nothing."""
