"""No test, and no process that a test starts, can leave this machine; and no process of ours listens to anybody or speaks with anybody."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.offline.only_this_machine import CODE

OUTSIDE = ("192.0.2.1", 443)  # an address that is set apart for documents
NAME = "example.invalid"


def with_socket(
    use: Callable[[socket.socket], object], family: int = socket.AF_INET, kind: int = socket.SOCK_STREAM
) -> None:
    with socket.socket(family, kind) as made:
        use(made)


WAYS: dict[str, Callable[[], object]] = {
    "connect": lambda: socket.create_connection(OUTSIDE, 0.1),
    "a connection of its own": lambda: with_socket(lambda s: s.connect(OUTSIDE)),
    "one that does not wait": lambda: with_socket(lambda s: s.connect_ex(OUTSIDE)),
    "the newer protocol": lambda: with_socket(lambda s: s.connect(("2001:db8::1", 443, 0, 0)), socket.AF_INET6),
    "a letter": lambda: with_socket(lambda s: s.sendto(b"x", OUTSIDE), kind=socket.SOCK_DGRAM),
    "a name": lambda: socket.getaddrinfo(NAME, 443),
    "an old way to ask a name": lambda: socket.gethostbyname(NAME),
    "a page": lambda: urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"https://{NAME}/"),
    "to be called by anybody": lambda: with_socket(lambda s: s.bind(("0.0.0.0", 0))),
    "to be called by anybody, in other words": lambda: with_socket(lambda s: s.bind(("", 0))),
}  # fmt: skip
SCRIPTS = (
    "import socket; socket.create_connection(('192.0.2.1', 443), 0.1)",
    "import socket; socket.getaddrinfo('example.invalid', 443)",
    "import http.client; http.client.HTTPSConnection('example.invalid').request('GET', '/')",
    "import socket; socket.socket().bind(('0.0.0.0', 0))",
)
HARMLESS = (
    "import socket; socket.socket(socket.AF_UNIX).bind('ear')",
    "import socket; s = socket.create_server(('127.0.0.1', 0)); socket.create_connection(s.getsockname()).close()",
    "import socket; socket.getaddrinfo('localhost', 1)",
    "import asyncio; asyncio.run(asyncio.sleep(0))",
)


@pytest.mark.parametrize("way", WAYS)
def test_no_way_leads_out_of_a_test(way: str, nobody_left: list[str]) -> None:
    with pytest.raises(BaseException, match=r"socket\.\w+ to ") as caught:
        WAYS[way]()
    assert type(caught.value).__name__ == "LeftError"
    assert len(nobody_left) == 1
    nobody_left.clear()


def test_an_attempt_that_somebody_swallowed_is_remembered(nobody_left: list[str]) -> None:
    with contextlib.suppress(BaseException):
        socket.getaddrinfo(NAME, 443)
    assert nobody_left == [f"socket.getaddrinfo to {NAME}"]
    nobody_left.clear()


@pytest.mark.parametrize("script", SCRIPTS)
def test_no_way_leads_out_of_a_process_that_a_test_started(script: str, tmp_path: Path) -> None:
    ended = python(script, tmp_path)
    assert ended.returncode == CODE and b"would have left this machine: socket." in ended.stderr


@pytest.mark.parametrize("script", HARMLESS)
def test_what_stays_on_this_machine_is_allowed(script: str, tmp_path: Path) -> None:
    ended = python(script, tmp_path)
    assert (ended.returncode, ended.stderr) == (0, b"")


def python(script: str, folder: Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, timeout=60)


@pytest.mark.skipif(not Path("/proc/self/net/tcp").exists(), reason="needs Linux to look into a process")
def test_a_trainer_has_no_connection_and_listens_to_nobody(world: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)):
        assert len(connections(os.getpid())) == 1  # this is how one would be seen
    folder = world.run("run", steps=10**6, sample_chars=0)
    child = world.spawn(folder)
    world.until(lambda: child.poll() is not None or world.steps(folder))
    assert child.poll() is None and connections(child.pid) == []


def connections(pid: int) -> list[str]:
    """The sockets of a process that belong to the network, listening ones and letters included."""
    kept = set()
    for one in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            if found := re.fullmatch(r"socket:\[(\d+)\]", str(one.readlink())):
                kept.add(found[1])
    lines = [
        line
        for kind in ("tcp", "tcp6", "udp", "udp6", "raw", "raw6")
        if (table := Path(f"/proc/{pid}/net/{kind}")).exists()
        for line in table.read_text().splitlines()[1:]
    ]
    return [line for line in lines if line.split()[9] in kept]
