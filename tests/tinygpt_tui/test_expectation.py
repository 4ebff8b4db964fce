"""What `tinygpt_tui.sources.expectation` promises: the size a trainer would settle on, at a measured speed, and no loss nobody has seen."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from engine import events
from engine.errors import UsageError
from engine.event_log import EventLog
from engine.runs import RunFolder
from engine.size_ladder import OPERATIONS_PER_WEIGHT, parameters, rung_for
from models.config import SIZES, sized
from tests.tinygpt_tui.scripted_run import SHA256, ScriptedRun
from tinygpt_tui.sources.expectation import (
    FEW_STEPS,
    GUESS,
    MOST_RUNS,
    Expectation,
    PastRun,
    expect,
    past_runs,
    speed_of,
)

SHAKESPEARE = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
LADDER = {"uniform": 4.174, "3-gram": 2.049, "4-gram": 1.774, "5-gram": 1.669, "6-gram": 1.698, "bz2": 1.662}
PAST = PastRun("tales-03", "modern", 820_000, 1_600_000, 14_000.0, 1.7, SHA256)


def expected(*arguments: object, **named: object) -> Expectation:
    found = expect(*arguments, **named)  # type: ignore[arg-type]
    assert found is not None
    return found


def run(runs_dir: Path, name: str, seconds: float = 60.0, *, age: float = 0.0, **info: object) -> RunFolder:
    """A run that ended well after so many seconds, `age` seconds ago, at 1,000 characters a second for each 100,000 parameters."""
    scripted = ScriptedRun(runs_dir, name, params=100_000, horizon=4, **info)  # type: ignore[arg-type]
    scripted.steps(4)
    folder = scripted.folder
    with folder.events.open("ab") as file:
        file.write(
            events.dump_line(
                events.Done(name, 4, 1.6, 1.5, int(1000 * seconds), seconds, 1000.0, 100_000, "steps")
            )
            + b"\n"
        )
    os.utime(folder.events, (1e9 - age, 1e9 - age))
    return folder


def test_the_size_is_what_a_trainer_settles_on_for_that_much_training() -> None:
    for seconds in (10, 60, 600, 6000, 600_000):
        found = expected(10**6, 65, seconds, speed=1e11)
        rung = rung_for(1e11 * max(0.5 * seconds, seconds - 6))
        assert (found.size, found.block_size) == (rung.size, rung.block_size)
        assert found.parameters == parameters(sized(rung.size, "modern", 65))
    assert expected(10**6, 65, 60, "10m").size == "10m"


def test_the_figures_fit_together() -> None:
    found = expected(1_000_000, 65, 126, "0.8m", speed=6e10)
    assert found.chars_per_s == pytest.approx(6e10 / OPERATIONS_PER_WEIGHT / found.parameters)
    assert found.chars == pytest.approx(120 * found.chars_per_s, rel=0.01)
    assert found.passes == pytest.approx(found.chars / 900_000)
    assert found.steps > 0 and found.memory > 16 * found.parameters


@pytest.mark.parametrize("size", ["auto", *SIZES])
@pytest.mark.parametrize("arch", ["modern", "classic"])
@pytest.mark.parametrize(("characters", "symbols", "seconds"), [(1, 1, 0.1), (10**9, 5000, 10**6)])
def test_there_is_an_expectation_for_every_text(
    characters: int, symbols: int, seconds: float, arch: str, size: str
) -> None:
    found = expected(characters, symbols, seconds, size, arch)
    assert found.chars > 0 and found.sentence.isprintable()


def test_what_counts_is_done_at_once_and_nonsense_is_refused() -> None:
    assert expect(10**6, 65, 60, "auto", "ngram") is None
    with pytest.raises(UsageError):
        expect(10**6, 65, 60, "7b")
    with pytest.raises(UsageError):
        expect(10**6, 65, 60, "auto", "llama")


def test_without_a_run_the_speed_is_a_guess_and_says_so() -> None:
    found = expected(10**6, 65, 120)
    assert not found.measured and found.sentence.endswith("no run on this machine yet: a guess")
    assert found.chars_per_s == pytest.approx(GUESS / OPERATIONS_PER_WEIGHT / found.parameters)
    for measured in (expected(10**6, 65, 120, speed=1e10), expected(10**6, 65, 120, past=[PAST])):
        assert measured.measured and "guess" not in measured.sentence


def test_the_speed_is_the_middle_one_of_the_latest_runs_of_the_same_kind() -> None:
    past = [replace(PAST, chars_per_s=speed) for speed in (10.0, 30.0, 20.0, 50.0, 40.0, 9000.0, 9000.0)]
    unit = OPERATIONS_PER_WEIGHT * PAST.params
    assert speed_of(past, "modern") == pytest.approx(30 * unit)
    classic = replace(PAST, arch="classic", chars_per_s=7.0)
    assert speed_of([*past, classic], "classic") == pytest.approx(7 * unit)
    assert speed_of(past, "classic") == pytest.approx(30 * unit)  # better than a guess
    assert speed_of([], "modern") is None


def test_a_rung_is_foretold_only_where_a_run_with_no_more_training_has_shown_it() -> None:
    known = {"ladder": LADDER, "sha256": SHA256, "past": [PAST]}
    found = expected(10**6, 65, 3600, **known)
    assert found.below == ("4-gram", 1.774)
    assert "likely ends below the 4-gram (1.77), since tales-03 ended at 1.700" in found.sentence
    for change in (
        {"sha256": "0" * 64},  # another text
        {"sha256": None},
        {"past": []},
        {"ladder": {}},
        {"ladder": {"bz2": 1.69}},  # it did not end below that
        {"past": [replace(PAST, arch="classic")]},
        {"past": [replace(PAST, val_loss=None)]},
        {"past": [replace(PAST, train_chars=10**12)]},  # it had more training
        {"past": [replace(PAST, corpus_sha256=None)], "sha256": None},
    ):
        silent = expected(10**6, 65, 3600, **{**known, **change})
        assert silent.below is None and silent.evidence == "" and "likely" not in silent.sentence


def test_the_measured_text_has_its_measurement() -> None:
    known = {"speed": 7e10, "ladder": LADDER, "sha256": SHAKESPEARE}
    found = expected(1_115_394, 65, 126, **known)
    assert found.below == ("bz2", 1.662) and "1.543" in found.evidence
    assert expected(1_115_394, 65, 60, **known).below is None
    assert expected(1_115_394, 65, 126, "auto", "classic", **known).below is None


def test_the_latest_runs_of_the_machine_are_found_the_latest_first(tmp_path: Path) -> None:
    for n in range(MOST_RUNS + 2):
        run(tmp_path, f"r{n}", age=100.0 * n)
    found = past_runs(tmp_path)
    assert [one.name for one in found] == [f"r{n}" for n in range(MOST_RUNS)]
    assert found[0] == PastRun("r0", "modern", 100_000, 60_000, 1000.0, 1.5, SHA256)
    assert found[0].operations == 6 * 100_000 * 60_000 and found[0].operations_per_second == 6e8


def test_runs_that_tell_nothing_are_left_out(tmp_path: Path) -> None:
    assert past_runs(tmp_path / "none") == ()
    run(tmp_path, "short", 1.0)
    run(tmp_path, "counted", arch="modern")
    (tmp_path / "counted" / "run.json").write_text("{")
    ScriptedRun(tmp_path, "training").steps(3)
    ScriptedRun(tmp_path, "asked", begin=False)
    (tmp_path / "not-a-run").mkdir()
    gone_on = run(tmp_path, "gone-on")
    with EventLog.open(gone_on) as log:
        log.append(events.Start("gone-on", 4, 100_000, 9))
    linked = run(tmp_path, "linked")
    linked.events.rename(tmp_path / "elsewhere")
    linked.events.symlink_to(tmp_path / "elsewhere")
    assert past_runs(tmp_path) == ()
    (tmp_path / "file").write_text("")
    assert past_runs(tmp_path / "file") == ()


def test_runs_of_other_tokens_or_kinds_do_not_count(tmp_path: Path) -> None:
    folder = run(tmp_path, "a")
    text = folder.run.read_text()
    assert len(past_runs(tmp_path)) == 1
    for change in (('"tokenizer": "chars"', '"tokenizer": "bytes"'), ('"arch": "modern"', '"arch": "ngram"')):
        assert change[0] in text
        folder.run.write_text(text.replace(*change))
        assert past_runs(tmp_path) == ()


def test_a_model_too_large_for_its_time_is_called_so_in_plain_words() -> None:
    small, large = (expect(1_600_000, 61, 60, size, speed=3e10) for size in ("0.8m", "30m"))
    assert small is not None and "too large" not in small.sentence
    assert large is not None and large.steps < FEW_STEPS
    assert "too large for this time, in which it makes a single step" in large.sentence
    assert "take a smaller size or more time" in large.sentence and "guess" not in large.sentence
