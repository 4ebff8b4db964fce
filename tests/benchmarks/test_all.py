"""What `python -m benchmarks` promises: one after the other, each within its time, and a failure hides nothing."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import __main__ as everything
from benchmarks.__main__ import PARTS, Part, main

SMALL = "tests.benchmarks.small"


@pytest.fixture(autouse=True)
def handler() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    # Nobody may be there to bury it.
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z"


def test_a_failing_benchmark_is_told_and_hides_no_other(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    parts = (
        Part("broken", ("--fail",), 60, module=SMALL),
        Part("absent", (), 60, module="benchmarks.absent"),
        Part("sound", (), 60, module=SMALL),
    )
    file = tmp_path / "all.json"
    assert main(["--json", str(file)], parts) == 1
    told = json.loads(file.read_text())
    broken, absent, sound = told["parts"]
    assert broken["problem"] == "There is too little of something." and broken["code"] == 4
    assert broken["report"]["results"][0]["ms"] == 1.5
    assert absent["problem"] == "ended with 1" and absent["report"] is None
    assert sound["problem"] is None and sound["code"] == 0 and sound["seconds"] > 0
    assert sound["report"]["conditions"]["torch"]
    out, err = capfd.readouterr()
    assert out.count("nothing") == 2
    assert "error: broken: There is too little of something." in err and "1 of 3 benchmarks" in err


def test_all_that_succeed_give_exit_code_0(capfd: pytest.CaptureFixture[str]) -> None:
    parts = (Part("sound", (), 60, module=SMALL), Part("other", (), 60, module="benchmarks.absent"))
    assert main(["--only", "sound"], parts) == 0
    assert "1 of 1 benchmarks" in capfd.readouterr().err


@pytest.mark.parametrize("deaf", [(), ("--deaf",)])
def test_one_that_takes_too_long_is_ended_with_its_children(
    deaf: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(everything, "GRACE", 1.0)
    pid = tmp_path / "pid"
    # The time is over as soon as the child is there, however busy the machine.
    part = Part("slow", ("--wait", str(pid), *deaf), 60, module=SMALL)
    communicate = everything.subprocess.Popen.communicate

    def until_it_waits(self: object, timeout: float) -> object:
        if timeout == part.limit:
            while not (pid.exists() and pid.read_text()):
                time.sleep(0.02)
            timeout = 0.01
        return communicate(self, timeout=timeout)  # type: ignore[arg-type]

    monkeypatch.setattr(everything.subprocess.Popen, "communicate", until_it_waits)
    found = everything.run_part(part)
    assert found["problem"] == "not done after 60 s" and found["code"] != 0
    while not gone(int(pid.read_text())):
        time.sleep(0.02)


def test_a_file_that_cannot_be_written_is_refused_before_anything_runs(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["--json", str(tmp_path / "no" / "all.json")], (Part("sound", (), 60, module=SMALL),)) == 2
    out, err = capfd.readouterr()
    assert out == "" and "is no folder" in err


def test_the_parts_fit_into_a_quarter_of_an_hour() -> None:
    assert sum(part.limit for part in PARTS) <= 15 * 60
    assert len({part.name for part in PARTS}) == len(PARTS)
