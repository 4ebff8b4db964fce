"""What the events promise: every one survives the file, a torn line harms no other, a watcher misses nothing."""

from __future__ import annotations

import json
import math
from dataclasses import fields, replace
from pathlib import Path

import pytest

from engine import storage
from engine.errors import CheckpointError
from engine.event_log import LINE_LIMIT, EventLog, EventTail, drop_beyond, read_events, recorded_controls
from engine.events import (
    ENDINGS,
    NAMES,
    VERSION,
    Backend,
    Control,
    Done,
    Eval,
    Event,
    Failed,
    Plan,
    Sample,
    Saved,
    Start,
    Step,
    Warn,
    dump_line,
    from_json,
    load_line,
    name_of,
    step_of,
    to_json,
)
from engine.runs import RunFolder

EXAMPLES: list[Event] = [
    Start("tales", 0, 1_800_000, 2000, seed=7),
    Start("tales", 0, 1_800_000, 2000),
    Plan(0, 0, 2000),
    Step(10, 2.5, 1e-3, 24_300.0, 0.61, 81_920, 3.5),
    Step(11, None, 1e-3, 24_300.0, None, 90_112, 3.9),
    Eval(200, 1.62, 1.6, 1_638_400, 61.0),
    Sample(200, "Once", " there was\x1b[31m “é” \ud800"),
    Control("0123456789abcdef", 210, "lr", 0.5),
    Control("0123456789abcdee", 211, "sample", 100.0, "Once"),
    Backend(300, "compiled", "torch.compile"),
    Saved(400, "checkpoints/step-00000400"),
    Warn(410, "the disk is nearly full"),
    Done("tales", 2000, 1.5, 1.4, 16_384_000, 600.0, 27_000.0, 1_800_000, "steps"),
    Failed("the loss is not finite", 1, 1999),
]


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "runs", "tales", {})


def step(n: int) -> Step:
    return Step(n, 2.0, 1e-3, 1.0, 1.0, n, 1.0)


def write(folder: RunFolder, *events: Event) -> None:
    with EventLog.open(folder) as log:
        for event in events:
            log.append(event)


def test_every_kind_of_event_has_an_example() -> None:
    assert {type(event) for event in EXAMPLES} == set(NAMES.values())
    assert set(NAMES) > ENDINGS


@pytest.mark.parametrize("event", EXAMPLES, ids=name_of)
def test_an_event_survives_json(event: Event) -> None:
    line = dump_line(event)
    assert load_line(line) == event
    assert line.isascii()
    assert next(iter(json.loads(line))) == "event"


def test_a_start_says_the_version_of_the_format() -> None:
    assert to_json(EXAMPLES[0])["v"] == VERSION


def test_a_loss_that_is_not_finite_is_null_and_reads_as_none() -> None:
    line = dump_line(Eval(1, math.nan, math.inf, 10, 1.0))
    assert json.loads(line)["val_loss"] is None
    assert load_line(line) == Eval(1, None, None, 10, 1.0)


def test_a_number_that_must_stand_is_nan_when_it_was_not_finite() -> None:
    event = load_line(dump_line(replace(step(1), lr=math.inf)))
    assert isinstance(event, Step)
    assert math.isnan(event.lr)


@pytest.mark.parametrize("event", EXAMPLES, ids=name_of)
def test_a_newer_program_may_add_fields_and_events(event: Event) -> None:
    assert from_json({**to_json(event), "added": [1]}) == event
    assert from_json({**to_json(event), "event": "brand-new"}) is None


@pytest.mark.parametrize("event", EXAMPLES, ids=name_of)
def test_a_field_of_the_wrong_type_makes_it_no_event(event: Event) -> None:
    for field in fields(event):
        assert from_json({**to_json(event), field.name: [1]}) is None
        assert from_json({**to_json(event), field.name: True if field.type != "bool" else 1}) is None


@pytest.mark.parametrize("data", [{}, {"event": None}, {"event": ["step"]}, {"event": "saved", "step": 1}])
def test_what_lacks_a_name_or_a_field_is_no_event(data: dict[str, object]) -> None:
    assert from_json(data) is None


def test_a_whole_number_stands_for_a_real_one_and_a_huge_one_is_refused() -> None:
    assert from_json({**to_json(step(1)), "loss": 2}) == step(1)
    assert from_json({**to_json(step(1)), "loss": 10**400}) is None


def test_events_are_read_back_in_order(folder: RunFolder) -> None:
    assert read_events(folder) == []
    write(folder, *EXAMPLES[2:])
    assert read_events(folder) == EXAMPLES[2:]


@pytest.mark.parametrize("cut", range(1, len(dump_line(step(2)))))
def test_a_torn_last_line_harms_no_other(folder: RunFolder, cut: int) -> None:
    write(folder, step(1))
    with folder.events.open("ab") as file:
        file.write(dump_line(step(2))[:cut])
    assert read_events(folder) == [step(1)]
    EventLog.open(folder).close()
    assert folder.events.read_bytes().endswith(b"\n")
    write(folder, step(3))
    assert read_events(folder) == [step(1), step(3)]


def test_junk_between_lines_is_skipped(folder: RunFolder) -> None:
    junk = [b"", b"\0\0\0", b"null", b'{"event":"step"}', b"\xff\xfe", b"x" * (LINE_LIMIT + 5)]
    lines = [dump_line(step(1)), *junk, dump_line(step(2))]
    folder.events.write_bytes(b"\n".join(lines) + b"\n")
    assert read_events(folder) == [step(1), step(2)]


def test_what_lies_beyond_the_step_a_run_goes_on_from_is_dropped(folder: RunFolder) -> None:
    begin = Start("tales", 0, 1, 300)
    kept = [
        begin,
        Plan(0, 0, 300),
        step(99),
        Control("a", 99, "lr", 0.5),
        step(100),
        Saved(100, "s"),
        Plan(100, 0, 400),
    ]
    lost = [step(101), Control("b", 120, "lr", 0.5), Saved(200, "s"), Plan(200, 0, 500), Failed("x", 1, 250)]
    again = [Start("tales", 100, 1, 300), step(101), Control("b", 120, "lr", 0.5)]
    write(folder, *kept, *lost, *again)
    assert read_events(folder) == kept + again


def test_each_start_drops_what_its_predecessors_said(folder: RunFolder) -> None:
    a, b, c = Start("t", 0, 1, 9), Start("t", 6, 1, 9), Start("t", 3, 1, 9)
    write(folder, a, step(4), step(8), b, step(7), c, step(4))
    assert read_events(folder) == [a, c, step(4)]


def test_a_watcher_that_drops_at_each_start_sees_what_a_reader_sees(folder: RunFolder) -> None:
    tail = EventTail(folder)
    seen: list[Event] = []
    for event in [
        Start("t", 0, 1, 9),
        step(1),
        step(2),
        Saved(2, "s"),
        step(3),
        Start("t", 2, 1, 9),
        step(3),
    ]:
        write(folder, event)
        for new in tail.poll():
            if isinstance(new, Start):
                seen = drop_beyond(seen, new.from_step)
            seen.append(new)
    assert seen == read_events(folder)


def test_every_control_is_remembered_once_by_step_for_the_trainer(folder: RunFolder) -> None:
    a, b, c = Control("a", 50, "lr", 0.5), Control("b", 120, "extend", 10.0), Control("c", 110, "pause")
    write(folder, Start("t", 0, 1, 9), a, b, Start("t", 100, 1, 9), c, b, Start("t", 100, 1, 9))
    assert recorded_controls(folder) == [a, c, b]


def test_a_watcher_sees_only_whole_lines_and_each_once(folder: RunFolder) -> None:
    tail = EventTail(folder)
    assert tail.poll() == []
    line = dump_line(step(1)) + b"\n"
    with folder.events.open("ab", buffering=0) as file:
        for byte in line[:-1]:
            file.write(bytes([byte]))
            assert tail.poll() == []
        file.write(b"\n")
    assert tail.poll() == [step(1)]
    assert tail.poll() == []


@pytest.mark.parametrize("how", ["replaced", "cut short", "removed"])
def test_a_watcher_survives_a_file_that_begins_anew(folder: RunFolder, how: str) -> None:
    write(folder, step(1), step(2))
    tail = EventTail(folder)
    assert len(tail.poll()) == 2
    if how == "cut short":
        folder.events.write_bytes(b"")
    else:
        folder.events.rename(folder.path / "old")
        if how == "removed":
            assert tail.poll() == []
    write(folder, step(3))
    assert tail.poll() == [step(3)]
    assert tail.restarts == 1


def test_a_line_longer_than_any_of_ours_is_skipped_while_it_grows(folder: RunFolder) -> None:
    tail = EventTail(folder)
    with folder.events.open("ab", buffering=0) as file:
        for _ in range(3):
            file.write(b"x" * LINE_LIMIT)
            assert tail.poll() == []
        file.write(b"\n" + dump_line(step(1)) + b"\n")
    assert tail.poll() == [step(1)]


def test_a_link_in_place_of_the_file_is_refused(folder: RunFolder, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"")
    folder.events.symlink_to(outside)
    with pytest.raises(CheckpointError):
        EventLog.open(folder)
    with pytest.raises(CheckpointError):
        EventTail(folder).poll()
    assert outside.read_bytes() == b""


def test_a_durable_event_is_flushed_before_the_return(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    class Log(storage.Ops):
        def write(self, fd: int, data: bytes | memoryview) -> int:
            calls.append("write")
            return super().write(fd, data)

        def fsync(self, fd: int) -> None:
            calls.append("fsync")
            super().fsync(fd)

    log = EventLog.open(folder)
    monkeypatch.setattr(storage, "ops", Log())
    log.append(step(1))
    assert calls == ["write"]
    log.append(Saved(1, "s"), durable=True)
    log.close()
    assert calls == ["write", "write", "fsync"]


def test_every_event_has_a_step() -> None:
    assert [step_of(event) for event in EXAMPLES[:4]] == [0, 0, 0, 10]
