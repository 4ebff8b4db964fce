"""What a server can do to who fetches a text: lie about lengths, drip, flood, pack, never end. It gets one sentence and leaves nothing."""

from __future__ import annotations

import gzip
import http.server
import threading
from pathlib import Path

import pytest

from engine.catalogue import Entry, fetch
from tests.engine.test_fetch import (
    TEXT,
    Answer,
    Server,
    get,
    known,
    redirects,
    refusal,
    sends,
    server,
)

__all__ = ["known", "server"]  # fixtures

Handler = http.server.BaseHTTPRequestHandler
PAGE = b"<html><body><h1>404</h1>There is no such page.</body></html>\n"
PAGE_OF_THAT_SIZE = PAGE + b" " * (len(TEXT) - len(PAGE))


def says(*lines: bytes, body: bytes = b"", again: bytes = b"") -> Answer:
    """Answers with these very bytes, and then with `again` for as long as somebody listens."""

    def answer(to: Handler) -> None:
        to.wfile.write(b"\r\n".join((b"HTTP/1.1 200 OK", *lines)) + b"\r\n\r\n" + body)
        while again:
            to.wfile.write(again)
        to.close_connection = True

    return answer


def floods(line: bytes) -> Answer:
    """A header without end."""

    def answer(to: Handler) -> None:
        to.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            to.wfile.write(line)

    return answer


def status(code: int, *headers: bytes) -> Answer:
    def answer(to: Handler) -> None:
        to.wfile.write(
            b"\r\n".join((b"HTTP/1.1 %d Odd" % code, *headers, b"Content-Length: 0")) + b"\r\n\r\n"
        )
        to.close_connection = True

    return answer


LENGTH = b"Content-Length: %d" % len(TEXT)
BAD: dict[str, tuple[Answer, str]] = {
    "a page in place of the text": (sends(PAGE), "only 61 of 250,000 bytes"),
    "a page of the very size": (sends(PAGE_OF_THAT_SIZE), "its hash differs"),
    "nothing": (sends(b""), "only 0 of 250,000 bytes"),
    "less than the length says": (says(LENGTH, body=TEXT[:7]), "only 7 of 250,000 bytes"),
    "a length that is too small": (says(b"Content-Length: 100", body=TEXT), "only 100 of 250,000 bytes"),
    "a length that is far too large, and no end": (says(b"Content-Length: 99999999999999999999", again=TEXT), "more than its 250,000 bytes"),
    "one byte too many": (sends(TEXT + b"x"), "more than its 250,000 bytes"),
    "one byte that is another": (sends(b"a" + TEXT[1:]), "its hash differs"),
    "another order": (sends(TEXT[1:] + TEXT[:1]), "its hash differs"),
    "line ends of another system": (sends(TEXT.replace(b"\n", b"\r\n")), "more than its 250,000 bytes"),
    "packed, though nobody asked": (says(b"Content-Encoding: gzip", body=gzip.compress(TEXT)), "of 250,000 bytes"),
    "a bomb": (says(b"Content-Encoding: gzip", body=gzip.compress(b"\0" * 50_000_000)), "of 250,000 bytes"),
    "a bomb of the very size": (says(b"Content-Encoding: gzip", body=gzip.compress(b"\0" * 9999).ljust(len(TEXT), b"\0")), "its hash differs"),
    "pieces without end": (says(b"Transfer-Encoding: chunked", again=b"10000\r\n" + b"x" * 65536 + b"\r\n"), "more than its 250,000 bytes"),
    "pieces of no size": (says(b"Transfer-Encoding: chunked", body=b"zz\r\nx\r\n"), "Could not fetch"),
    "a piece of a size beyond all measure": (says(b"Transfer-Encoding: chunked", body=b"f" * 60 + b"\r\nx"), "Could not fetch"),
    "a piece that is cut off": (says(b"Transfer-Encoding: chunked", body=b"10000\r\nx"), "Could not fetch"),
    "headers without end": (floods(b"X-A: b\r\n"), "got more than 100 headers"),
    "a header line without end": (floods(b"x" * 65536), "Could not fetch"),
    "a status that is none": (says(), "of 250,000 bytes"),
    "gone": (status(410), "the server answered 410"),
    "not allowed": (status(403), "the server answered 403"),
    "broken": (status(500), "the server answered 500"),
    "to be asked later": (status(503, b"Retry-After: 999999999"), "the server answered 503"),
    "a name and a password wanted": (status(401, b'WWW-Authenticate: Basic realm="\x1b[2J"'), "the server answered 401"),
    "moved to nowhere": (status(302), "Could not fetch"),
    "moved to a word": (redirects("nowhere at all"), "Could not fetch"),
    "moved to an address that is none": (redirects("https://[::1"), "Could not fetch"),
    "moved to plain text": (redirects("http://127.0.0.1:1/text"), "which is not https"),
    "moved to a file": (redirects("file:///etc/passwd"), "Could not fetch"),
    "moved to data": (redirects("data:text/plain,hello"), "Could not fetch"),
    "moved to a line of control characters": (redirects("http://\x1b]0;x\x07/"), "Could not fetch"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_a_bad_server_gets_one_sentence_and_leaves_nothing(
    what: str, known: Entry, tmp_path: Path, server: Server
) -> None:
    answer, complaint = BAD[what]
    server.answers["/text"] = answer
    server.answers["/nowhere%20at%20all"] = status(404)
    message = refusal(known, tmp_path)
    assert complaint in message and len(message) < 400
    assert len(server.asked) < 20


def test_there_are_at_least_thirty_bad_servers() -> None:
    print(f"bad servers: {len(BAD)}")
    assert len(BAD) >= 30


def test_a_server_that_drips_is_not_waited_for_for_ever(
    known: Entry, tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = threading.Event()

    def drips(to: Handler) -> None:
        to.send_response(200)
        to.end_headers()
        while not heard.wait(0.001):
            to.wfile.write(b"x")

    server.answers["/text"] = drips
    monkeypatch.setattr(fetch, "PATIENCE_S", 0.05)
    monkeypatch.setattr(fetch, "LEAST_SPEED", 1e9)
    try:
        assert "the server is too slow, with " in refusal(known, tmp_path)
    finally:
        heard.set()


@pytest.mark.parametrize("length", [b"-1", b"abc", b"1e9", b"0x10"])
def test_a_length_that_is_none_harms_nobody_when_the_text_is_right(
    length: bytes, known: Entry, tmp_path: Path, server: Server
) -> None:
    server.answers["/text"] = says(b"Content-Length: " + length, body=TEXT)
    assert get(known, tmp_path).read_bytes() == TEXT


def test_another_host_may_have_the_text_since_it_is_known_by_its_hash(
    known: Entry, tmp_path: Path, server: Server
) -> None:
    server.answers["/there"] = sends(TEXT)
    server.answers["/text"] = redirects(server.address("/there").replace("127.0.0.1", "localhost"))
    assert get(known, tmp_path).read_bytes() == TEXT
    assert server.asked == ["/text", "/there"]
