"""What `tinygpt_tui.sources.downloading` promises: a fetch one can watch and give up, which leaves the whole text or nothing."""

from __future__ import annotations

import dataclasses
import hashlib
import http.client
import http.server
import os
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from engine.catalogue import Entry, embedded_names, fetch
from engine.errors import BusyError, CorpusError
from tinygpt_tui.sources.downloading import Download, Downloading

TEXT = b"And now the text begins.\n" * 20_000


class PlainHttps(urllib.request.HTTPSHandler):
    """Carries what is asked for over https in plain text, so that a test needs no certificate."""

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(http.client.HTTPConnection, req)


class Server:
    """Sends half of the text, waits until the test lets it go on, and sends the rest."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.rest = TEXT[len(TEXT) // 2 :]
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(TEXT)))
                self.end_headers()
                with suppress(OSError):
                    self.wfile.write(TEXT[: len(TEXT) // 2])
                    server.go.wait(30)
                    self.wfile.write(server.rest)

            def log_message(self, *args: Any) -> None:
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def close(self) -> None:
        self.go.set()
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    threads = set(threading.enumerate())
    running = Server()
    yield running
    running.close()
    wait_for(lambda: set(threading.enumerate()) <= threads)  # nothing of a download is left


@pytest.fixture
def known(server: Server) -> Entry:
    return Entry(
        "mine", "Mine", "a test", "fetched", "none", None, len(TEXT),
        f"https://127.0.0.1:{server.http.server_port}/text", hashlib.sha256(TEXT).hexdigest(),
    )  # fmt: skip


@pytest.fixture
def downloading(known: Entry, tmp_path: Path) -> Iterator[Downloading]:
    made = Downloading(tmp_path / "cache", fetch.https_opener(PlainHttps()), lambda name: known)
    yield made
    made.close()


def wait_for(what: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not what():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.002)


def state(downloading: Downloading) -> str:
    downloading.tick()
    return downloading.snapshot.state


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def half_way(downloading: Downloading) -> None:
    downloading.start("mine")
    wait_for(lambda: downloading.tick() is not None and downloading.snapshot.done >= len(TEXT) // 2)


def test_one_sees_how_far_it_is_and_where_it_lies_in_the_end(
    downloading: Downloading, server: Server, tmp_path: Path
) -> None:
    assert downloading.snapshot == Download() and not downloading.busy
    half_way(downloading)
    half = Download("fetching", "mine", len(TEXT) // 2, len(TEXT))
    assert downloading.snapshot == half and downloading.busy
    assert downloading.tick() is False and files(tmp_path) == []
    server.go.set()
    wait_for(lambda: state(downloading) == "done")
    path = tmp_path / "cache" / "corpora" / "mine.txt"
    assert downloading.snapshot == Download("done", "mine", len(TEXT), len(TEXT), path)
    assert path.read_bytes() == TEXT and files(tmp_path) == [path] and not downloading.busy


def test_a_tick_says_whether_there_is_news(downloading: Downloading, server: Server) -> None:
    downloading.start("mine")
    assert downloading.tick() is True
    server.go.set()
    heard = []
    wait_for(lambda: heard.append(downloading.tick()) or not downloading.busy)  # type: ignore[func-returns-value]
    assert heard[-1] is True and downloading.tick() is False


def test_one_is_fetched_at_a_time(downloading: Downloading) -> None:
    half_way(downloading)
    with pytest.raises(BusyError, match="mine is just being fetched"):
        downloading.start("mine")


def test_giving_up_leaves_nothing_and_another_may_begin(
    downloading: Downloading, server: Server, tmp_path: Path
) -> None:
    half_way(downloading)
    assert downloading.cancel() and state(downloading) == "cancelled" and not downloading.busy
    assert not downloading.cancel()
    server.go.set()
    wait_for(lambda: not [t for t in threading.enumerate() if "_run" in t.name])
    assert files(tmp_path) == [] and state(downloading) == "cancelled"
    downloading.start("mine")
    wait_for(lambda: state(downloading) == "done")


def test_closing_does_not_wait_for_a_silent_server(downloading: Downloading, tmp_path: Path) -> None:
    half_way(downloading)
    began = time.monotonic()
    downloading.close()
    assert time.monotonic() - began < 10 and not downloading.busy and files(tmp_path) == []


def test_what_is_being_written_is_written_to_the_end(
    downloading: Downloading, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing, go_on, write = threading.Event(), threading.Event(), fetch.write_atomic

    def slow(path: Path, data: bytes) -> None:
        writing.set()
        assert go_on.wait(30)
        write(path, data)

    monkeypatch.setattr(fetch, "write_atomic", slow)
    server.go.set()
    downloading.start("mine")
    assert writing.wait(30)
    assert not downloading.cancel() and downloading.busy
    threading.Timer(0.05, go_on.set).start()
    downloading.close()
    assert [path.name for path in files(tmp_path)] == ["mine.txt"]


def test_a_failure_is_one_sentence_that_names_what_works_offline(
    downloading: Downloading, server: Server, tmp_path: Path
) -> None:
    server.rest = b"x" * len(server.rest)
    server.go.set()
    downloading.start("mine")
    wait_for(lambda: state(downloading) == "failed")
    message = downloading.snapshot.message
    assert message.isprintable() and "its hash differs" in message
    assert message.endswith(f"{', '.join(embedded_names())}.") and files(tmp_path) == []


def test_offline_it_fails_with_one_sentence(known: Entry, server: Server, tmp_path: Path) -> None:
    server.close()
    downloading = Downloading(tmp_path, fetch.https_opener(PlainHttps()), lambda name: known)
    downloading.start("mine")
    wait_for(lambda: state(downloading) == "failed")
    assert "tales" in downloading.snapshot.message and downloading.snapshot.done == 0


def test_what_is_there_already_is_done_at_once(known: Entry, tmp_path: Path) -> None:
    (tmp_path / "corpora").mkdir()
    (tmp_path / "corpora" / "mine.txt").write_bytes(TEXT)
    silent = dataclasses.replace(known, url="https://127.0.0.1:1/")
    downloading = Downloading(tmp_path, find=lambda name: silent)
    downloading.start("mine")
    wait_for(lambda: state(downloading) == "done")
    downloading.close()


def test_a_name_the_catalogue_lacks_and_a_built_in_one_are_refused(tmp_path: Path) -> None:
    downloading = Downloading(tmp_path)
    with pytest.raises(CorpusError, match="no corpus called nothing"):
        downloading.start("nothing")
    downloading.start("tales")
    wait_for(lambda: state(downloading) == "failed")
    assert "built in" in downloading.snapshot.message
