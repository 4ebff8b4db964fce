"""What reading an events file in pieces promises: no poll reads more than it may, nothing is lost, and it is known how far one is."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from engine import storage
from engine.errors import ResourceError
from engine.event_log import LINE_LIMIT, EventLog, EventTail, LineTail, read_events
from engine.events import Sample, Warn
from engine.runs import RunFolder
from tests.engine.fault_injection import Faulty


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path, "tales", {"version": 1})


@pytest.mark.parametrize("limit", [1, 7, 64, 1000, 10**9])
def test_a_file_read_in_pieces_of_any_size_tells_the_same(folder: RunFolder, limit: int) -> None:
    with EventLog.open(folder) as log:
        for n in range(40):
            log.append(Sample(n, "", "x" * n))
    tail = EventTail(folder)
    found = []
    polls = 0
    while tail.share < 1 or not polls:
        found += tail.poll(limit)
        polls += 1
    assert found == read_events(folder)
    assert polls == max(1, -(-folder.events.stat().st_size // limit))


def test_the_share_is_that_of_the_bytes_read(folder: RunFolder) -> None:
    folder.events.write_bytes(b"x" * 99 + b"\n" + b"y" * 99 + b"\n")
    tail = LineTail(folder.events)
    assert tail.share == 1  # of nothing
    shares = []
    for _ in range(5):
        tail.poll(50)
        shares.append(tail.share)
    assert shares == [0.25, 0.5, 0.75, 1.0, 1.0]


def test_half_a_line_counts_as_read_and_waits_for_its_end(folder: RunFolder) -> None:
    folder.events.write_bytes(b"one\ntw")
    tail = LineTail(folder.events)
    assert (tail.poll(100), tail.share) == ([b"one"], 1.0)
    with folder.events.open("ab") as file:
        file.write(b"o\n")
    assert tail.poll(100) == [b"two"]


def test_a_file_that_begins_anew_while_it_is_read_in_pieces_is_told_from_its_beginning(
    folder: RunFolder,
) -> None:
    with EventLog.open(folder) as log:
        for n in range(20):
            log.append(Warn(n, "old"))
    tail = EventTail(folder)
    tail.poll(300)
    folder.events.unlink()
    with EventLog.open(folder) as log:
        log.append(Warn(1, "new"))
    assert tail.poll(300) == [Warn(1, "new")]
    assert (tail.restarts, tail.share) == (1, 1.0)


def test_a_line_longer_than_any_of_ours_is_skipped_in_pieces_too(folder: RunFolder) -> None:
    with folder.events.open("wb") as file:
        file.write(b"x" * (LINE_LIMIT + 10) + b"\nshort\n")
    tail = LineTail(folder.events)
    found = []
    while not found:
        found += tail.poll(1 << 18)
    assert found == [b"short"]


def test_a_torn_line_on_a_full_disk_is_one_sentence_when_the_file_is_opened(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.events.write_bytes(b'{"event": "st')
    for call in (2, 1):  # open, write
        with monkeypatch.context() as patch:
            patch.setattr(storage, "ops", Faulty(call, errno.ENOSPC))
            with pytest.raises(ResourceError, match="No space is left"):
                EventLog.open(folder)
    assert folder.events.read_bytes() == b'{"event": "st'
    with EventLog.open(folder) as log:
        log.append(Warn(1, "on"))
    assert read_events(folder) == [Warn(1, "on")]
