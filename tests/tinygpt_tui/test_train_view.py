"""What the Train screen shows of a run, as pure functions, and its line of runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import ResourceError
from engine.recipe import Recipe
from engine.sizing import check_memory
from tests.tinygpt_tui.scripted_run import (
    ScriptedRun,
    finished_run,
)
from tests.tinygpt_tui.scripted_world import scripted_world
from tests.tinygpt_tui.train_stage import know_ladder, picture_of, text_of
from tests.tinygpt_tui.train_stage import live as live
from tests.tinygpt_tui.train_stage import memory as memory
from tests.tinygpt_tui.train_stage import runs as runs
from tinygpt_tui.screens.mode_screen import status_of
from tinygpt_tui.screens.train_view import (
    chart_of,
    curve_text,
    doing,
    facts_of,
    log_of,
    news_of,
    short_facts_of,
    steps_more,
    tabs_of,
    waiting_for,
)
from tinygpt_tui.widgets.run_tabs import RunTabs, Tab


def test_the_status_names_the_newest_and_counts_the_others(
    tmp_path: Path, runs: Path, live: ScriptedRun
) -> None:
    with ScriptedRun(runs, "novel-01", created="2026-01-03T03:04:05Z"):
        rows = scripted_world(tmp_path).shelf.rows
    assert status_of(rows[1:]) == "tales-03 ● step 1,240"
    assert status_of(rows) == "novel-01 ● training · 1 more"
    assert status_of(rows, named=False) == "● training"
    assert status_of(()) == ""


@pytest.mark.parametrize("width", [20, 38, 42, 60, 200])
def test_facts_fit_their_room(tmp_path: Path, live: ScriptedRun, width: int) -> None:
    know_ladder(tmp_path)
    picture = picture_of(tmp_path, "tales-03")
    for line in short_facts_of(picture, "nats", max(56, width)):
        assert len(text_of([line])) <= max(56, width)
    for line in facts_of(picture, "nats", width):
        if text_of([line]).startswith("step"):
            assert len(text_of([line])) <= max(width, 21)
    assert len(facts_of(picture, "nats", width)) == 11


def test_what_is_not_known_is_a_dash_and_nothing_fails(tmp_path: Path, runs: Path) -> None:
    (runs / "empty").mkdir(parents=True)
    picture = picture_of(tmp_path, "empty")
    assert "–" in text_of(facts_of(picture, "perplexity", 40))
    assert text_of(short_facts_of(picture, "bits", 60))
    assert log_of(picture) == []
    assert news_of(picture, lambda action: "r").text
    assert waiting_for(picture, str)
    assert chart_of(picture, [], "nats").last_step is None
    assert "unknown text" in curve_text(picture, "loss", "", "")


def test_a_run_that_counts_has_no_steps_to_show(tmp_path: Path, runs: Path) -> None:
    with ScriptedRun(runs, "counts", arch="modern", horizon=1) as run:
        run.steps(1)
        run.eval()
    assert "1 / 1" not in text_of(facts_of(picture_of(tmp_path, "counts"), "nats", 40))


def test_one_step_is_one_step_and_a_model_that_counts_is_not_trained_on(tmp_path: Path, runs: Path) -> None:
    finished_run(runs, "one", steps=1, arch="ngram")
    said = news_of(picture_of(tmp_path, "one"), lambda action: action).text
    assert said.startswith("✓ Done: 1 step in ") and "train on" not in said and "train.play: play" in said
    assert (steps_more(1), steps_more(1200)) == ("1 step more", "1,200 steps more")


def test_after_the_last_step_the_last_evaluation_is_named_and_no_time_is_left(
    tmp_path: Path, runs: Path
) -> None:
    with ScriptedRun(runs, "end", horizon=40) as run:
        run.steps(20)
        half = picture_of(tmp_path, "end")
        run.steps(20)
        whole = picture_of(tmp_path, "end")
    for lines in (facts_of, short_facts_of):
        assert "last evaluation" not in text_of(lines(half, "nats", 60))
        said = text_of(lines(whole, "nats", 60))
        assert "● training · last evaluation" in said and " left" not in said


def test_a_model_that_is_too_large_to_begin_is_advised_what_can_be_done_here(
    tmp_path: Path, runs: Path
) -> None:
    with pytest.raises(ResourceError) as refused:
        check_memory(Recipe(), 60, 1_000_000)
    ScriptedRun(runs, "large", begin=False).folder.log.write_text(f"error: {refused.value}\n")
    said = news_of(picture_of(tmp_path, "large"), str).text
    assert said.startswith("✗ Training this model would take about ")
    assert said.endswith("are free; close other programs, or choose a smaller size in Corpus.")
    with ScriptedRun(
        runs, "once"
    ) as run:  # it has begun when there was more room, and may go on when there is again
        run.steps(5)
        run.fail(str(refused.value))
    said = news_of(picture_of(tmp_path, "once"), str).text
    assert said.endswith("choose a smaller size in Corpus. Press train.resume to resume.")


def test_what_happened_before_a_run_was_taken_up_again_is_no_news(tmp_path: Path, runs: Path) -> None:
    run = ScriptedRun(runs, "again", horizon=400)
    run.steps(50)
    run.warn("something strange")
    run.steps(50)
    assert "something strange" in news_of(picture_of(tmp_path, "again"), str).text
    run.finish("stopped")
    run.resume()
    run.steps(10)
    assert "something strange" not in news_of(picture_of(tmp_path, "again"), str).text
    run.die()


def test_a_model_that_begins_to_know_its_text_by_heart_is_told_of(tmp_path: Path, runs: Path) -> None:
    with ScriptedRun(runs, "heart", horizon=400) as run:
        for loss, risen in (
            (2.0, False),
            (1.5, False),
            (1.54, False),
            (1.7, True),
            (1.4, False),
            (1.6, True),
        ):
            run.steps(50)
            run.eval(loss)
            said = news_of(picture_of(tmp_path, "heart"), str).text
            assert ("by heart" in said) == risen, loss
        assert said.startswith("! val rises since step 250: it learns by heart now")
        run.finish("stopped")
    assert "by heart" not in news_of(picture_of(tmp_path, "heart"), str).text
    finished_run(runs, "over", steps=100)
    assert "at step" not in news_of(picture_of(tmp_path, "over"), str).text


def test_the_end_of_a_run_names_the_step_that_was_the_best(tmp_path: Path, runs: Path) -> None:
    with ScriptedRun(runs, "past", horizon=100) as run:
        run.steps(50)
        run.eval(1.2)
        run.steps(50)
        run.eval(1.8)
        run.finish()
    assert "best val 1.200 nats per character at step 50. " in news_of(picture_of(tmp_path, "past"), str).text


def test_a_curve_on_another_text_says_so(tmp_path: Path, runs: Path) -> None:
    finished_run(runs, "here")
    finished_run(runs, "same", created="2026-01-01T03:04:05Z")
    finished_run(runs, "there", sha256="b" * 64)
    here, same, there = (picture_of(tmp_path, name) for name in ("here", "same", "there"))
    names = [line.name for line in chart_of(here, [same, there], "nats").lines if line.kind == "overlay"]
    assert names == ["same val", "there val · other text"]


def test_where_no_sample_is_yet_the_key_is_the_persons_own(tmp_path: Path, live: ScriptedRun) -> None:
    assert waiting_for(picture_of(tmp_path, live.name), lambda action: "W").endswith("or press W")


def test_a_run_measured_once_is_compared_by_its_training_loss(tmp_path: Path, runs: Path) -> None:
    with ScriptedRun(runs, "once") as run:
        run.steps(5)
        run.eval()
        picture = picture_of(tmp_path, "once")
    assert chart_of(picture, [picture], "nats").lines[-1].name == "once train"


def test_the_log_has_the_latest_on_top(tmp_path: Path, live: ScriptedRun) -> None:
    know_ladder(tmp_path)
    live.warn("Careful.")
    live.steps(1, [None])
    logged = text_of(log_of(picture_of(tmp_path, "tales-03"))).splitlines()
    assert logged[1:5] == [
        "  1,241 training loss not finite from ste…".replace("ste…", "step 1,241"),
        "  1,240 ! Careful.",
        "    800 ✓ better than 4-gram",
        "    600 ✓ better than bz2",
    ]
    assert logged[-3:] == [
        "    200 ✓ better than bigram",
        "    200 ✓ better than unigram",
        "    200 ✓ better than uniform",
    ]


def test_every_request_has_its_words() -> None:
    from engine.control import ACTIONS, Request

    words = [doing(Request("0", do, 2.0)) for do in ACTIONS]
    assert len(set(words)) == len(ACTIONS) and all(word.endswith("…") for word in words)


def test_tabs_hold_what_trains_what_was_looked_at_and_the_newest(tmp_path: Path, runs: Path) -> None:
    for n in range(9):
        finished_run(runs, f"old-{n}", 4, created=f"2026-01-01T03:04:0{n}Z")
    rows = scripted_world(tmp_path).shelf.rows
    names = lambda *args: [tab.name for tab in tabs_of(rows, *args)]  # noqa: E731
    assert names((), "old-8", False) == ["old-8", "old-7", "old-6", "old-5"]
    assert names(("old-0",), "old-3", False) == ["old-8", "old-7", "old-3", "old-0"]
    assert names([f"old-{n}" for n in range(9)], "old-0", False)[-1] == "old-0"
    assert names((), "fresh", False)[0] == "fresh"
    assert tabs_of(rows, (), "", True)[0].label == "new run"


@pytest.mark.parametrize("current", range(8))
@pytest.mark.parametrize("width", [12, 30, 80])
def test_the_run_in_front_is_always_in_the_line(current: int, width: int) -> None:
    tabs = RunTabs()
    tabs._tabs = tuple(Tab(str(n), f"run number {n}" * (1 + n % 3), "●") for n in range(8))
    tabs._current = str(current)
    first, last = tabs._window(width)
    assert first <= current < last
    assert last == first + 1 or sum(len(tab.shown) for tab in tabs._tabs[first:last]) + 2 <= width
