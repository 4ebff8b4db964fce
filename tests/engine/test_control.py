"""What requests promise: none is lost or mixed however many ask at once, and nothing else is ever obeyed."""

from __future__ import annotations

import fcntl
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import engine
from engine import control
from engine.control import ControlReader, Request, request
from engine.errors import BusyError, CheckpointError, UsageError
from engine.runs import RunFolder

ROOT = Path(engine.__file__).parent.parent


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "runs", "tales", {})


def test_every_action_arrives_once_and_in_order(folder: RunFolder) -> None:
    reader = ControlReader(folder)
    assert reader.poll() == []
    ids = [request(folder, do) for do in ("pause", "resume", "save", "stop")]
    ids.append(request(folder, "lr", 0.5))
    ids.append(request(folder, "extend", 1000))
    ids.append(request(folder, "sample", 50, prompt="Once é\ud800\n"))
    assert len(set(ids)) == 7
    assert reader.poll() == [
        Request(ids[0], "pause"),
        Request(ids[1], "resume"),
        Request(ids[2], "save"),
        Request(ids[3], "stop"),
        Request(ids[4], "lr", 0.5),
        Request(ids[5], "extend", 1000),
        Request(ids[6], "sample", 50, "Once é\ud800\n"),
    ]
    assert reader.poll() == []


def test_the_file_names_what_a_value_is(folder: RunFolder) -> None:
    request(folder, "lr", 2)
    request(folder, "extend", 10)
    request(folder, "sample")
    lines = [json.loads(line) for line in folder.control.read_text().splitlines()]
    for line in lines:
        assert len(line.pop("id")) == 16
    assert lines == [
        {"do": "lr", "factor": 2.0},
        {"do": "extend", "steps": 10},
        {"do": "sample", "chars": 200, "prompt": ""},
    ]


@pytest.mark.parametrize(
    ("do", "value", "prompt"),
    [
        ("fly", None, None),
        ("pause", 1, None),
        ("pause", None, "x"),
        ("lr", None, None),
        ("lr", 0.0099, None),
        ("lr", 100.1, None),
        ("lr", math.nan, None),
        ("lr", math.inf, None),
        ("lr", True, None),
        ("lr", 0.5, "x"),
        ("extend", 0, None),
        ("extend", 1.5, None),
        ("extend", 10**9 + 1, None),
        ("sample", 0, "x"),
        ("sample", 10_001, "x"),
        ("sample", 10, "x" * 10_001),
    ],
)
def test_what_cannot_be_obeyed_is_refused_and_not_written(
    folder: RunFolder, do: str, value: float | None, prompt: str | None
) -> None:
    with pytest.raises(UsageError):
        request(folder, do, value, prompt)
    assert not folder.control.exists()


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"do":"stop"}',
        b'{"id":1,"do":"stop"}',
        b'{"id":"","do":"stop"}',
        b'{"id":"x","do":["stop"]}',
        b'{"id":"x","do":"rm -rf"}',
        b'{"id":"x","do":"lr"}',
        b'{"id":"x","do":"lr","factor":"2"}',
        b'{"id":"x","do":"lr","factor":1e9}',
        b'{"id":"x","do":"lr","factor":NaN}',
        b'{"id":"x","do":"extend","steps":true}',
        b'{"id":"x","do":"sample","chars":5,"prompt":7}',
        b'{"id":"x","do":"sample","chars":1e400,"prompt":""}',
        b"\xff\xfe\x00",
    ],
)
def test_junk_is_skipped(folder: RunFolder, line: bytes) -> None:
    folder.control.write_bytes(line + b"\n")
    reader = ControlReader(folder)
    assert reader.poll() == []
    identity = request(folder, "stop")
    assert reader.poll() == [Request(identity, "stop")]


def test_half_a_line_left_by_a_crash_does_not_swallow_the_next_request(folder: RunFolder) -> None:
    folder.control.write_bytes(b'{"id":"half","do":"st')
    identity = request(folder, "stop")
    assert ControlReader(folder).poll() == [Request(identity, "stop")]


def test_what_was_recorded_before_is_ignored(folder: RunFolder) -> None:
    old = request(folder, "lr", 0.5)
    new = request(folder, "pause")
    assert ControlReader(folder, seen={old}).poll() == [Request(new, "pause")]


def test_no_request_is_obeyed_twice_even_if_the_file_begins_anew(folder: RunFolder) -> None:
    identity = request(folder, "stop")
    reader = ControlReader(folder)
    assert len(reader.poll()) == 1
    line = folder.control.read_bytes()
    folder.control.rename(folder.path / "old")
    folder.control.write_bytes(line + line)
    assert reader.poll() == []
    assert identity.encode() in line


def test_several_processes_ask_at_once_and_nothing_is_lost_or_mixed(folder: RunFolder) -> None:
    code = (
        "import sys; from pathlib import Path; from engine.control import request; from engine.runs import RunFolder\n"
        "sys.stdin.read()\n"
        "for n in range(25): request(RunFolder(Path(sys.argv[1])), 'sample', 1 + n, prompt=sys.argv[2] * 3000)"
    )
    children = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(folder.path), letter], stdin=subprocess.PIPE, cwd=ROOT
        )
        for letter in "abcd"
    ]
    for child in children:
        assert child.stdin is not None
        child.stdin.close()  # they begin together
    assert [child.wait() for child in children] == [0, 0, 0, 0]
    assert all(json.loads(line) for line in folder.control.read_bytes().splitlines())
    found = ControlReader(folder).poll()
    assert len({new.id for new in found}) == 100
    for letter in "abcd":
        mine = [new.value for new in found if new.prompt == letter * 3000]
        assert mine == [float(n) for n in range(1, 26)]


def test_a_file_that_someone_holds_for_long_is_busy(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "_PATIENCE_SECONDS", 0.01)
    with folder.control.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(BusyError):
            request(folder, "stop")


def test_a_link_in_place_of_the_file_is_refused(folder: RunFolder, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"")
    folder.control.symlink_to(outside)
    attempts: list[Any] = [lambda: request(folder, "stop"), ControlReader(folder).poll]
    for attempt in attempts:
        with pytest.raises(CheckpointError):
            attempt()
    assert outside.read_bytes() == b""
