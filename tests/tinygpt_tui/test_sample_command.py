"""`tinygpt sample`: exactly the continuation on stdout, from any prompt, and the same again from the same seed."""

from __future__ import annotations

import io
import json
import os
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]


def test_json_and_plain_output_are_exactly_the_same_continuation(trained: Any, tinygpt: Run) -> None:
    args = ("sample", "fox", "-p", "The fox", "-n", "90", "--seed", "7")
    plain, lines = tinygpt(*args), tinygpt(*args, "--json").lines
    assert plain.code == 0
    assert len(plain.out) == 90
    assert {line["event"] for line in lines[:-1]} == {"text"}
    assert "".join(line["text"] for line in lines[:-1]) == plain.out
    done = lines[-1]
    assert done["event"] == "done"
    assert (done["chars"], done["seed"]) == (90, 7)
    assert (done["run"], done["step"]) == ("fox", 20)
    assert min(done["seconds"], done["chars_per_s"], done["first_char_ms"]) > 0


def test_the_same_seed_writes_the_same_and_another_seed_another(trained: Any, tinygpt: Run) -> None:
    def text(seed: int) -> str:
        written: str = tinygpt("sample", "-n", "60", "--seed", str(seed)).out
        return written

    assert text(2**64 - 1) == text(2**64 - 1)
    assert text(1) != text(2)


def test_several_continuations_are_those_of_their_seeds(trained: Any, tinygpt: Run) -> None:
    args = ("sample", "fox", "-p", "The fox", "-n", "50")
    alone = [tinygpt(*args, "--seed", str(seed)).out for seed in (7, 8, 9)]
    plain, lines = (
        tinygpt(*args, "--seed", "7", "--count", "3"),
        tinygpt(*args, "--seed", "7", "--count", "3", "--json").lines,
    )
    assert plain.code == 0 and plain.out == "\n\n".join(alone)
    assert [(line["seed"], line["text"]) for line in lines[:-1]] == list(zip((7, 8, 9), alone, strict=True))
    assert (lines[-1]["event"], lines[-1]["chars"], lines[-1]["seeds"]) == ("done", 150, [7, 8, 9])


def test_too_many_continuations_or_none_are_refused(trained: Any, tinygpt: Run) -> None:
    for options in (("--count", "0"), ("--count", "65"), ("--count", "2", "--seed", str(2**64 - 1))):
        refused = tinygpt("sample", "fox", "-n", "5", *options)
        assert refused.code == 2 and not refused.out and len(refused.err.splitlines()) == 1


def test_a_seed_that_was_not_given_is_told_and_repeats_the_text(trained: Any, tinygpt: Run) -> None:
    first = tinygpt("sample", "-n", "60", "--json").lines
    again = tinygpt("sample", "-n", "60", "--json", "--seed", str(first[-1]["seed"])).lines
    assert "".join(x["text"] for x in first[:-1]) == "".join(x["text"] for x in again[:-1])


def test_the_player_writes_what_sample_writes(trained: Any, tinygpt: Run, start: Run) -> None:
    player = start("play", module="engine", stdin=subprocess.PIPE)
    asked = (
        {"do": "load", "run": str(trained.run)},
        {
            "do": "generate",
            "id": 1,
            "text": "The fox",
            "sampler": {"temperature": 0.5},
            "seed": 7,
            "max": 120,
        },
    )
    player.stdin.write(b"".join(json.dumps(line).encode() + b"\n" for line in asked))
    player.stdin.flush()
    text = ""
    for line in player.stdout:
        reply = json.loads(line)
        text += "".join(char["c"] for char in reply["chars"]) if reply["event"] == "text" else ""
        if reply["event"] in ("done", "error"):
            break
    args = ("-p", "The fox", "-n", "120", "--seed", "7", "--temperature", "0.5")
    assert text == tinygpt("sample", "fox", *args).out
    assert len(text) == 120


def test_a_newer_run_without_a_checkpoint_is_passed_over_and_that_is_said(trained: Any, tinygpt: Run) -> None:
    assert tinygpt("sample", "-n", "5").err == ""
    for name in ("young", "\x1b[31m"):
        trained.run.with_name(name).mkdir()
        (trained.run.with_name(name) / "request.json").write_text((trained.run / "request.json").read_text())
        outcome = tinygpt("sample", "-n", "5", "--json")
        assert outcome.lines[-1]["run"] == "talk"
        assert "is newer but has no checkpoint, so talk is taken" in outcome.err
        assert outcome.err.replace("\n", "").isprintable()


def test_temperature_zero_asks_no_dice(trained: Any, tinygpt: Run) -> None:
    texts = {tinygpt("sample", "-n", "60", "--temperature", "0", "--seed", str(seed)).out for seed in (1, 2)}
    assert len(texts) == 1


@pytest.mark.parametrize("prompt", ["", "the dog and " * 500, "\n\n\n", "e" * 64, "e" * 65])
def test_prompts_of_any_length_are_continued(trained: Any, tinygpt: Run, prompt: str) -> None:
    outcome = tinygpt("sample", "fox", "-p", prompt, "-n", "20", "--seed", "1")
    assert (outcome.code, len(outcome.out), outcome.err) == (0, 20, "")


def test_what_the_vocabulary_lacks_is_reported_and_left_out(trained: Any, tinygpt: Run) -> None:
    strange = tinygpt("sample", "fox", "-p", "the €fox\x1b", "-n", "30", "--seed", "1")
    plain = tinygpt("sample", "fox", "-p", "the fox", "-n", "30", "--seed", "1")
    assert strange.out == plain.out
    assert strange.err == (
        "note: 2 characters are not in this model's vocabulary: ‹€› was dropped, U+001B was dropped\n"
    )


def test_bytes_that_are_no_text_do_not_crash_a_prompt(trained: Any, tinygpt: Run) -> None:
    prompt = os.fsdecode(b"the \xff\xed\xa0\x80 fox")  # as Python hands over an argument
    outcome = tinygpt("sample", "fox", "-p", prompt, "-n", "10", "--seed", "1")
    assert outcome.out == tinygpt("sample", "fox", "-p", "the  fox", "-n", "10", "--seed", "1").out
    assert "U+DCFF was dropped" in outcome.err


def test_a_prompt_can_come_from_a_pipe(trained: Any, tinygpt: Run, stdin: Run) -> None:
    stdin(b"the fox\r\n")  # the line end belongs to the shell, not to the prompt
    piped = tinygpt("sample", "fox", "-p", "-", "-n", "30", "--seed", "1")
    assert piped.out == tinygpt("sample", "fox", "-p", "the fox", "-n", "30", "--seed", "1").out


def test_no_characters_are_an_empty_continuation(trained: Any, tinygpt: Run) -> None:
    assert tinygpt("sample", "-n", "0").out == ""
    (done,) = tinygpt("sample", "-n", "0", "--json").lines
    assert (done["chars"], done["first_char_ms"]) == (0, None)


def test_a_stop_text_ends_the_continuation_and_is_left_out(trained: Any, tinygpt: Run) -> None:
    args = ("sample", "-n", "200", "--seed", "3")
    whole = tinygpt(*args).out
    assert tinygpt(*args, "--stop", whole[40:44]).out == whole[: whole.index(whole[40:44])]


def test_an_older_checkpoint_can_be_asked_for(trained: Any, tinygpt: Run) -> None:
    args = ("sample", "fox", "-n", "60", "--seed", "1", "--at")
    assert tinygpt(*args, "10").out != tinygpt(*args, "last").out == tinygpt(*args, "20").out
    # The later of the two is the better one here.
    assert tinygpt(*args, "best").out == tinygpt(*args, "last").out


def test_options_beat_the_environment_and_that_the_file(
    trained: Any, tinygpt: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def text(*more: str) -> str:
        written: str = tinygpt("sample", "-n", "60", "--seed", "1", *more).out
        return written

    cold, warm, wild = (text("--temperature", t) for t in ("0", "0.8", "5"))
    assert len({cold, warm, wild}) == 3
    assert text() == warm
    assert tinygpt("config", "set", "sample.temperature", "5").code == 0
    assert text() == wild
    monkeypatch.setenv("TINYGPT_SAMPLE_TEMPERATURE", "0")
    assert text() == cold
    assert text("--temperature", "0.8") == warm


def test_a_run_is_found_by_its_folder_from_anywhere(
    trained: Any, tinygpt: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = tinygpt("sample", "fox", "-n", "20", "--seed", "1").out
    monkeypatch.chdir(trained.run.parent)
    assert tinygpt("sample", "./fox", "-n", "20", "--seed", "1").out == named
    monkeypatch.chdir(trained.run)
    assert tinygpt("sample", ".", "-n", "20", "--seed", "1").out == named


def test_a_terminal_is_shown_the_prompt_and_nothing_that_drives_it(
    trained: Any, tinygpt: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    def shown(*options: str) -> tuple[Any, Terminal]:
        with monkeypatch.context() as patch:
            patch.setattr("sys.stdout", terminal := Terminal())
            return tinygpt("sample", "fox", "-n", "10", "--seed", "1", *options), terminal

    outcome, terminal = shown("-p", "the \x1b]0;title\x07fox")
    assert outcome.code == 0
    assert terminal.getvalue().startswith("the ␛]0;title␇fox")
    assert "\x1b" not in terminal.getvalue()
    assert outcome.err.splitlines()[-1].startswith("fox at step 20: 10 characters at ")
    assert outcome.err.endswith("a second, seed 1\n")
    _, terminal = shown("-p", "the", "--count", "2")
    alone = [tinygpt("sample", "fox", "-n", "10", "--seed", seed, "-p", "the").out for seed in ("1", "2")]
    assert terminal.getvalue() == f"── seed 1 ──\nthe{alone[0]}\n\n── seed 2 ──\nthe{alone[1]}\n"
