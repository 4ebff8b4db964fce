"""`tinygpt chat`: turns where the corpus has turns, one shared text where it has none, and commands in between."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.fixture
def talk(trained: Any, tinygpt: Run, stdin: Run) -> Run:
    """Pipes lines into a chat with the run that learned a conversation."""

    def call(*lines: str, options: tuple[str, ...] = ("--seed", "5")) -> Any:
        stdin("".join(f"{line}\n" for line in lines).encode("utf-8", "surrogatepass"))
        return tinygpt("chat", "talk", *options)

    return call


def test_without_turns_the_prompt_is_continued_as_sample_continues_it(
    trained: Any, tinygpt: Run, stdin: Run
) -> None:
    stdin(b"The fox")
    said = tinygpt("chat", "fox", "-n", "60", "--seed", "9")
    assert said.code == 0
    assert said.out == tinygpt("sample", "fox", "-p", "The fox", "-n", "60", "--seed", "9").out + "\n"


def test_without_turns_the_text_goes_on_from_what_was_said(trained: Any, tinygpt: Run, stdin: Run) -> None:
    stdin(b"The fox\n dog\n")
    first, second = tinygpt("chat", "fox", "-n", "1", "--seed", "9").out.splitlines()
    whole = f"The fox{first} dog"
    assert second == tinygpt("sample", "fox", "-p", whole, "-n", "1", "--seed", "9").out


def test_with_turns_every_line_gets_one_line(talk: Run) -> None:
    said = talk("hello", "", "how are you", "where is the sea")
    assert (said.code, said.err) == (0, "")
    assert said.out.count("\n") == 4
    assert said.out == talk("hello", "", "how are you", "where is the sea").out


def test_the_model_hears_the_turns_as_its_corpus_has_them(talk: Run, tinygpt: Run, tmp_path: Path) -> None:
    saved = tmp_path / "talk.txt"
    said = talk("hello", f"/save {saved}")
    heard = "You: hello\nCat: "
    assert saved.read_text() == heard + said.out
    same = tinygpt("sample", "talk", "-p", heard, "-n", "1000", "--seed", "5", "--stop", "\n").out
    assert said.out == same + "\n"


def test_settings_change_between_two_turns(talk: Run) -> None:
    lines = ("hello", "/set temperature 0", "/reset", "how are you", "/set seed 6", "/reset", "how are you")
    said = talk(*lines).out.splitlines()
    assert len(said) == 3
    assert said[1] == said[2]  # the likeliest character needs no dice
    shown = talk("/set min-p 0.1", "/set top_k 3", "/set chars 9", "/show").err
    assert "min_p 0.1" in shown
    assert "top_k 3" in shown
    assert "chars 9" in shown
    exact = talk(
        "/set seed 1234567890123456789", "/set chars 1234567", "/set temperature 0.71234567", "/show"
    ).err
    assert "temperature 0.71234567 " in exact
    assert exact.endswith("seed 1234567890123456789  chars 1234567\n")


def test_a_reset_forgets_what_was_said(talk: Run) -> None:
    once, again = talk("hello", "/reset", "hello").out.splitlines()
    assert once == again


@pytest.mark.parametrize(
    ("line", "fragment"),
    [
        ("/", "There is no '/'"),
        ("/jump", "There is no '/jump'"),
        ("/set", "needs a name and a value"),
        ("/set temperature", "needs a name and a value"),
        ("/set temperature hot", "'hot' is not a number"),
        ("/set temperature nan", "temperature"),
        ("/set temperature -1", "temperature"),
        ("/set temprature 1", "temprature"),
        ("/set seed 1.5", "seed"),
        ("/set seed -1", "seed"),
        ("/set chars 0", "chars"),
        ("/save", "needs the name of a file"),
        ("/save no/such/folder/talk", "cannot be written"),
        ("/save \0", "cannot be written"),
    ],
)
def test_a_wrong_command_costs_a_sentence_and_not_the_conversation(
    talk: Run, line: str, fragment: str
) -> None:
    said = talk(line, "hello")
    assert said.code == 0
    assert said.out == talk("hello").out
    assert said.err.startswith("error: ")
    assert fragment in said.err
    assert said.err.count("\n") == 1


def test_a_file_that_exists_is_not_written_over(talk: Run, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("mine")
    assert "exists already" in talk("hello", f"/save {taken}").err
    assert taken.read_text() == "mine"


def test_quit_leaves_at_once(talk: Run) -> None:
    said = talk("hello", "/quit", "how are you")
    assert said.code == 0
    assert said.out == talk("hello").out


def test_strange_characters_are_reported_and_end_nothing(talk: Run) -> None:
    said = talk("h€llo", "\ud800", "hello")
    assert said.code == 0
    assert said.out.count("\n") == 3
    assert "‹€›" in said.err


def test_at_a_terminal_it_prompts_answers_and_leaves(trained: Any, start: Run) -> None:
    ours, theirs = os.openpty()
    child = start("chat", "talk", "--seed", "5", stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""

    def read_to(mark: bytes) -> None:
        nonlocal shown
        while mark not in shown:
            assert select.select([ours], [], [], 60)[0], shown
            shown += os.read(ours, 4096)

    read_to(b"You: ")
    assert b"talk at step 20, seed 5" in shown
    os.write(ours, b"hello\n")
    read_to(b"Cat: ")
    shown = shown.partition(b"Cat: ")[2]
    read_to(b"You: ")
    shown = b""
    # Ctrl-C at the prompt clears the line and no more. Between showing the prompt and waiting for a key, the interpreter's line
    # editing does not notice one until something else happens; a person presses again.
    for _ in range(60):
        child.send_signal(signal.SIGINT)
        if select.select([ours], [], [], 1)[0]:
            break
    read_to(b"You: ")
    os.write(ours, b"\x04")
    assert child.wait(timeout=60) == 0
    os.close(ours)
