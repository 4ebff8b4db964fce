"""What `benchmarks.shared` promises: nothing that was measured is lost, failures are sentences, and no side feels the other."""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import shared
from engine.errors import ResourceError, RunError

ROOT = Path(__file__).parents[2]
NAMES = ("learning", "training_speed", "generation", "start_up", "memory", "ui", "chat", "shared", "__main__")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Without the child that tells the conditions, and with the signal's handler as it was."""
    monkeypatch.setattr(shared, "ask", lambda *arguments, **options: {"torch": "2", "cores": 1})
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def failing(options: argparse.Namespace) -> Iterator[shared.Row]:
    yield {"what": "first", "ms": 1.0}
    raise ResourceError("There is too little memory.")


def test_what_was_measured_before_a_failure_is_reported_with_the_reason(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert shared.main("small", "", failing, argv=["--json"]) == ResourceError.exit_code
    out, err = capsys.readouterr()
    report = json.loads(out)
    assert report["results"] == [{"what": "first", "ms": 1.0}]
    assert report["problem"] == "There is too little memory."
    assert err.endswith("error: There is too little memory.\n")


def test_a_defect_is_reported_too(capsys: pytest.CaptureFixture[str]) -> None:
    def measure(options: argparse.Namespace) -> Iterator[shared.Row]:
        yield {"what": "first"}
        raise KeyError("gone")

    assert shared.main("small", "", measure, argv=["--json"]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["problem"] == "KeyError: 'gone'" and "Traceback" in err


def test_numbers_that_are_not_finite_are_null_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert shared.main("small", "", lambda options: [{"what": "x", "ms": float("nan")}], argv=["--json"]) == 0
    assert json.loads(capsys.readouterr().out)["results"] == [{"what": "x", "ms": None}]


def test_the_table_has_a_cell_for_every_number_and_drives_no_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = [
        {"what": "\x1b[31mred [bold]", "chars_per_s": 12345.6, "each": [1.0]},
        {"what": "none", "chars_per_s": None, "each": []},
        {"what": "another kind", "ratio": 1.25},
    ]
    assert shared.main("small", "", lambda options: rows, argv=[]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out and "[bold]" in out
    assert all(cell in out for cell in ("12,346", "–", "1.25", "another kind", "chars per s", "torch 2"))


def test_the_conditions_name_no_folder(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    def options(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--text")

    assert (
        shared.main("small", "", lambda options: [], options, ["--json", "--text", str(tmp_path / "a.txt")])
        == 0
    )
    out = capsys.readouterr().out
    assert json.loads(out)["options"]["text"] == "a.txt" and str(tmp_path) not in out


def test_a_child_that_fails_is_told_by_the_last_line_it_said() -> None:
    with pytest.raises(RunError, match=r"ended with 3: it is over$"):
        shared.run(
            [sys.executable, "-c", "import sys; print('first\\nit is over', file=sys.stderr); sys.exit(3)"]
        )


def test_a_child_that_takes_too_long_is_told() -> None:
    with pytest.raises(RunError, match=r"not done after 0\.5 s"):
        shared.run([sys.executable, "-c", "import time; time.sleep(60)"], limit=0.5)


def test_medians_and_ratios_are_those_of_the_rounds() -> None:
    assert shared.told("ms", [3.0, 1.0, 2.0]) == {"ms": 2.0, "ms_each": [3.0, 1.0, 2.0]}
    # The second round was twice as slow for both sides; the medians of each side alone would say 2.
    assert shared.median_ratio([8.0, 4.0, 4.0], [2.0, 1.0, 2.0]) == 4.0


def test_no_benchmark_itself_loads_torch() -> None:
    code = f"import sys, importlib; [importlib.import_module('benchmarks.' + n) for n in {NAMES}]; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60)


@pytest.mark.parametrize("text", ["0", "-1", "x", "1.5"])
def test_counts_are_whole_numbers_from_1(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        shared.whole(text)
