"""Whatever breaks in the playground or beside it, and whatever is typed: it is told in words, and the terminal is as it was before."""

from __future__ import annotations

import pytest

from tests.tinygpt_tui.scripted_run import ScriptedRun
from tests.tinygpt_tui.survival import Home
from tests.tinygpt_tui.test_endings_interface import asked, opened, played, watched
from tests.tinygpt_tui.test_endings_interface import place as place
from tests.tinygpt_tui.test_survival_leaving import check_given_back

THEME = "\x14"  # ctrl+t
# What a terminal sends for the mouse, the cursor's place, keys and answers, but cut or with numbers that mean nothing.
BROKEN_SEQUENCES = (
    b"\x1b[<999999999999999999999;1;1M",
    b"\x1b[<0;-1;M",
    b"\x1b[M\x80\xff\x80",
    b"\x1b[1;99999999999R",
    b"\x1b[0;0R",
    b"\x1b[99999999999u",
    b"\x1b[1114112;5u",
    b"\x1b[55296u",
    b"\x1b[97;99999u",
    b"\x1b[?9999;9$y",
    b"\x1b[48;x;y;zt",
    b"\x1b]52;c;\xff\x07",
    b"\x1bP\xff\x1b\\",
    b"\x1b[" + b"9" * 40 + b"~",
)


@pytest.mark.parametrize("part", ["a widget", "a tick", "a key", "a worker"])
def test_when_a_part_breaks_a_dialog_says_so_and_leaving_gives_the_terminal_back(
    part: str, place: Home
) -> None:
    with opened(place, "--break", part, "fox") as terminal:
        attributes = terminal.attributes()
        if part == "a key":
            asked(terminal)
            terminal.send("\x1b")
            terminal.wait_until(lambda screen: "─ help ─" not in screen)
            terminal.send(THEME)
        screen = terminal.wait_until(lambda screen: "something broke" in screen and "Leave" in screen)
        assert "ZeroDivisionError" in screen and "Traceback" not in screen
        # A worker's error is told as Python writes it, in which no character acts.
        assert ("␛]0;ink␇[/]" in screen) is (part != "a worker")
        terminal.send("\t\t\r")
        assert terminal.ended() == 1
        assert check_given_back(terminal, attributes) == ""
    assert b"\x1b]0;" not in terminal.drawn


@pytest.mark.parametrize("part", ["the first screen", "the world"])
def test_when_it_breaks_before_it_shows_anything_one_sentence_stands_on_the_terminal(
    part: str, place: Home
) -> None:
    with opened(place, "--break", part, "fox") as terminal:
        attributes = terminal.attributes()
        assert terminal.ended() == 1
        said = terminal.text() if part == "the world" else check_given_back(terminal, attributes)
        assert terminal.attributes() == attributes
    assert said.count("\n") == 1 and said.startswith("error: this is a defect of tinygpt")
    assert "ZeroDivisionError: out of ␛]0;ink␇[/]" in said
    (report,) = (place.path / "state").glob("crash-*.txt")
    assert "Traceback" in report.read_text()


@pytest.mark.parametrize("who", ["the player", "the trainer"])
def test_when_another_process_breaks_that_is_told_and_leaving_is_as_ever(who: str, place: Home) -> None:
    options: list[str] = ["--player=--exit=3"] if who == "the player" else []
    with ScriptedRun(place.path / "data" / "runs", "lasting") as run:
        with opened(place, *options, "fox" if who == "the player" else "lasting") as terminal:
            attributes = terminal.attributes()
            if who == "the player":
                terminal.wait_until(lambda screen: "The player is gone" in screen and "FakeError" in screen)
            else:
                watched(terminal)
                run.fail("Traceback: ZeroDivisionError: out of \x1b]0;ink\x07[/]")
                terminal.wait_until(lambda screen: "out of ␛]0;ink␇[/]" in " ".join(screen.split()))
            terminal.send("\x11")
            assert terminal.ended() == 0
            check_given_back(terminal, attributes)
        assert b"\x1b]0;" not in terminal.drawn


def test_bytes_that_are_no_text_are_typed_as_any_other_and_end_nothing(place: Home) -> None:
    with opened(place, "fox") as terminal:
        attributes = terminal.attributes()
        played(terminal)
        terminal.send(bytes(range(0x80, 0x100)) + b"\xc3( caf\xe9 end")
        terminal.wait_until(lambda screen: "caf\ufffd end" in screen)
        terminal.send("\x11")
        assert terminal.ended() == 0
        check_given_back(terminal, attributes)


def test_sequences_that_mean_nothing_cost_no_more_than_what_was_typed_with_them(place: Home) -> None:
    with opened(place, "fox") as terminal:
        attributes = terminal.attributes()
        played(terminal)
        for part in BROKEN_SEQUENCES:
            terminal.send(part)

        def typed(screen: str) -> bool:
            """Types it once more as long as nothing of it is seen."""
            if "Once" not in screen:
                terminal.send(" Once")
            return "Once" in screen

        terminal.wait_until(typed)
        terminal.send("\x11")
        assert terminal.ended() == 0
        check_given_back(terminal, attributes)


def test_arguments_are_a_strangers_text_too(place: Home) -> None:
    names = ["a\x1b]0;owned\x07", "b\x9b2J", "--c\x1b[2J"]
    for arguments in (names[:2], names[:1], names[2:], [*names[:1], "--nope\n\x1b[31m"]):
        with opened(place, *arguments) as terminal:
            assert terminal.ended() == 2
        said = terminal.drawn.decode()
        assert said.startswith("error: ") and said.count("\n") == 1
        assert said.replace("\r\n", "").isprintable()
