"""A text full of what terminals obey is learned, written, shown, measured, exported and called by its name: no byte of it is obeyed."""

from __future__ import annotations

import json
import os
import select
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.terminal import Terminal
from tests.tinygpt_tui.forked import Order, Server
from tests.tinygpt_tui.hostile import BIDI, EVERYTHING, MARKUP, NAME, SEQUENCES, corpus, obeyed
from tests.tinygpt_tui.survival import PLAYGROUND, Home
from tests.tinygpt_tui.test_endings import SETTINGS
from tests.tinygpt_tui.test_survival_leaving import check_given_back

TRAIN = (
    "train",
    NAME,
    "--force-text",
    "--steps",
    "40",
    "--eval-every",
    "20",
    *SETTINGS,
    "--set",
    "sample_chars=300",
)
# The first of them in the first line, which every layout shows; the rest so thin that no text looks binary for it.
MILD = f"The fox {SEQUENCES[0]} ran home.\n" + "".join(
    f"{'The fox ran home. ' * 14}{part}\n" for part in (*SEQUENCES, *MARKUP, BIDI)
)
LINE = "The fox \x1b]0;owned\x07[/] ran"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as found:
        yield found


@pytest.fixture(scope="module")
def learned(server: Server, tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, bytes]:
    """A home with a run that learned the hostile text, a copy of it with a hostile name, and what training it has put on a terminal."""
    place = Home(tmp_path_factory.mktemp("hostile") / "home")
    (place.work / NAME).write_text(corpus(3), encoding="utf-8", newline="")
    code, said = at_terminal(server, place, *TRAIN, "--name", "evil")
    assert code == 0, said
    meta = {"version": 1, "label": f"[/]\\[b]{SEQUENCES[1]}", "notes": EVERYTHING}
    (place.run("evil") / "meta.json").write_text(json.dumps(meta))
    copy = place.run("e\x1b]0;owned\x07[@click=app.quit]")
    shutil.copytree(place.run("evil"), copy)
    (copy / "meta.json").unlink()
    info = json.loads((copy / "run.json").read_text())
    (copy / "run.json").write_text(json.dumps({**info, "created": "2020-01-01T00:00:00Z"}))  # the older one
    return place, said


def at_terminal(
    server: Server, place: Home, *arguments: str, keys: bytes = b"", **environment: str
) -> tuple[int, bytes]:
    """Runs the command in a terminal of its own; its exit code and every byte that reached it."""
    ours, theirs = os.openpty()
    try:
        order = Order(arguments, str(place.work), str(place.path), terminal=os.ttyname(theirs))
        order.environment = {"NO_COLOR": "1", **environment}
        child = server.fork(order)
        said = b""
        while not child.gone() or select.select([ours], [], [], 0)[0]:
            if select.select([ours], [], [], 0.05)[0]:
                said += os.read(ours, 1 << 16)
                if keys and (b"\xe2\x80\xba" in said or b"fox" in said):
                    os.write(ours, keys)
                    keys = b""
        return child.ended(), said
    finally:
        os.close(theirs)
        os.close(ours)


def test_the_text_is_learned_and_what_is_written_meanwhile_obeys_nobody(learned: tuple[Home, bytes]) -> None:
    place, said = learned
    assert obeyed(said, drawing=False) == []
    assert "writes:" in said.decode() and "␛" in said.decode()
    tokenizer = json.loads((place.run("evil") / "tokenizer.json").read_text())
    # All of it but what makes an end of a line of itself, and the bidirectional and other signs are the model's own alphabet now.
    assert set(EVERYTHING) - {"\r"} <= set(tokenizer["symbols"])


COMMANDS: dict[str, tuple[tuple[str, ...], int]] = {
    "sample": (("sample", "evil", "-n", "2000", "--seed", "1", "--temperature", "1.5"), 0),
    "sample with a prompt": (
        ("sample", "evil", "-p", LINE, "-n", "50", "--seed", "2", "--stop", "\x1b[6n"),
        0,
    ),
    "sample as JSON": (("sample", "evil", "-p", LINE, "-n", "500", "--seed", "3", "--json"), 0),
    "sample by path": (
        ("sample", "home/data/runs/e\x1b]0;owned\x07[@click=app.quit]", "-n", "200", "--seed", "4"),
        0,
    ),
    "score": (("score", "evil", NAME, "--force-text", "--per-char"), 0),
    "score as JSON": (("score", "evil", NAME, "--force-text", "--per-char", "--json"), 0),
    "eval": (("eval", "evil"), 0),
    "runs list": (("runs", "list"), 0),
    "runs list as JSON": (("runs", "list", "--json"), 0),
    "runs show": (("runs", "show", "evil"), 0),
    "runs show by path": (("runs", "show", "home/data/runs/e\x1b]0;owned\x07[@click=app.quit]"), 0),
    "runs watch": (("runs", "watch", "evil"), 0),
    "runs watch as JSON": (("runs", "watch", "evil", "--json"), 0),
    "corpora show": (("corpora", "show", NAME, "--force-text"), 0),
    "corpora show as JSON": (("corpora", "show", NAME, "--force-text", "--json"), 0),
    "corpora show a folder": (("corpora", "show", ".", "--force-text"), 0),
    "a text that looks binary": (("train", NAME), 3),
    "a file that is not there": (("train", f"no{NAME}"), 3),
    "a file as a folder": (("train", f"{NAME}/{NAME}"), 3),
    "a name no run may have": (("train", NAME, "--force-text", "--name", NAME), 2),
    "a run that is not there": (("sample", NAME), 3),
    "a run to resume": (("train", "--resume", NAME), 3),
    "a run to pause": (("runs", "pause", NAME), 3),
    "a run to delete": (("runs", "rm", NAME), 2),
    "a setting": (("train", NAME, "--set", f"{NAME}=1"), 2),
    "a value": (("train", NAME, "--set", f"lr={NAME}"), 2),
    "an encoding": (("train", NAME, "--encoding", NAME), 2),
    "a command": ((NAME,), 2),
    "an option": ((f"--{NAME}",), 2),
    "an argument": (("paths", NAME), 2),
    "a key of the settings": (("config", "set", NAME, NAME), 2),
    "a checkpoint": (("sample", "evil", "--at", NAME), 2),
    "a size": (("train", "tales", "--size", NAME), 2),
    "a time": (("train", "tales", "--time", NAME), 2),
    "a corpus to fetch": (("corpora", "fetch", NAME), 3),
}


@pytest.mark.parametrize("which", COMMANDS)
def test_no_command_lets_it_reach_a_terminal(which: str, learned: tuple[Home, bytes], server: Server) -> None:
    arguments, expected = COMMANDS[which]
    code, said = at_terminal(server, learned[0], *arguments)
    assert code == expected, said
    assert obeyed(said, drawing=False) == []
    assert b"Traceback" not in said and b"defect" not in said
    if expected:
        assert said.decode().count("\n") == 1 and said.startswith(b"error: ")


def test_a_conversation_lets_nothing_of_it_reach_a_terminal(
    learned: tuple[Home, bytes], server: Server
) -> None:
    said = b""
    keys = b"fox \xe2\x80\xae[/] 1\n/set nope 1\n/show\n/save [/]x.txt\n/help\n\x04"
    code, said = at_terminal(
        server, learned[0], "chat", "evil", "--seed", "1", "-n", "300", keys=keys, TERM="dumb"
    )
    # What is typed is echoed by the terminal itself: there is no such line among those that we wrote.
    typed = {line.decode() for line in keys.split(b"\n")}
    ours = "\n".join(
        line for line in said.decode().splitlines() if not any(part and part in line for part in typed)
    )
    assert code == 0, said
    assert obeyed(ours.encode(), drawing=False) == []
    assert "␛" in ours and "\ufffd" in ours


@pytest.mark.parametrize("settings", ["ui", "[train]\nseed = 1 # \x1b]0;x"])
def test_settings_that_hold_it_are_refused_in_a_sentence(
    settings: str, server: Server, tmp_path: Path
) -> None:
    place = Home(tmp_path / "home")
    (place.path / "config").mkdir(parents=True)
    text = f"{json.dumps(SEQUENCES[1])} = {json.dumps(NAME)}\n[ui.keys]\n{json.dumps(NAME)} = {json.dumps(NAME)}\n"
    (place.path / "config" / "config.toml").write_text(text if settings == "ui" else settings)
    _, said = at_terminal(server, place, "config", "show")
    assert obeyed(said, drawing=False) == []
    assert b"Traceback" not in said and b"defect" not in said


def test_no_screen_of_the_playground_lets_it_reach_the_terminal(learned: tuple[Home, bytes]) -> None:
    """Every screen with the text, its run and its names, the model's own words as they stream, and dialogs about all of them."""
    place, _ = learned
    place.environment |= {
        "TINYGPT_UI_SPEED": "0",
        "TINYGPT_SAMPLE_CHARS": "1500",
        "TINYGPT_SAMPLE_TEMPERATURE": "1.5",
    }
    (place.work / f"m{NAME}").write_text(MILD, encoding="utf-8")
    with Terminal([*PLAYGROUND, f"m{NAME}"], environment=place.environment, cwd=place.work) as terminal:
        attributes = terminal.attributes()

        def after(keys: str, *signs: str) -> str:
            """The screen once it shows all of this."""
            terminal.send(keys)
            return terminal.wait_until(lambda screen: all(sign in screen for sign in signs), 20)

        def left(sign: str) -> None:
            """Esc, once it has taken this away."""
            terminal.send("\x1b")
            terminal.wait_until(lambda screen: sign not in screen)

        after("", "how it begins", "symbols", "␛]52;c;")
        after("o", "a file or folder of your own", "ev␛]0;owned␇[@click=app.quit]x")
        left("a file or folder")
        after("2", "what it writes", "[/]\\[b]␛]0;owned␇", "100 %")
        after("o", "esc close")
        left("esc close")
        after("4", "[/]\\[b]␛]0;owned␇", "e␛]0;owned␇[@click", "kB on disk")
        after("n", "[/]\\[b]", "esc close")
        left("esc close")
        after("e", "note on [/]\\[b]␛]0;owned␇")
        left("note on")
        after("p", "@ step", "⏎ send")
        after("\x1b[200~The fox [/] \x07\x9b31m\u202e ran\x1b[201~", "control characters were left out")
        after("\r", "char/s ─")
        terminal.wait_until(
            lambda screen: "char/s ─" not in screen and "i prompt" in screen
        )  # it has written all it may
        after("\x1b[D\x1b[D", "instead of character")
        after("a", "instead of character", "↑↓ choose")
        after("\x1b[B\x1b[B", "↑↓ choose")
        left("↑↓ choose")
        after("x", "save this text")
        after("\r", "Saved")
        after("/", "esc close")
        after("fox\r", "type to narrow the list", "The fox [/]")
        left("type to narrow the list")
        after("m", "type to narrow the list", "[/]\\[b]")
        left("type to narrow the list")
        after("s", "stop texts")
        left("stop texts")
        after("5", "train.time")
        after("?", "─ help ─")
        left("─ help ─")
        after("\x10", "Search for an action")
        left("Search for an action")
        terminal.send("\x11")
        assert terminal.ended() == 0
        check_given_back(terminal, attributes)
    assert obeyed(bytes(terminal.drawn), drawing=True) == []
    print(f"\n{len(terminal.drawn):,} bytes reached the terminal")
    (saved,) = place.work.glob("*.md")
    assert "␛" in saved.read_text() and obeyed(saved.read_bytes(), drawing=False) == []


def test_the_check_sees_each_of_them() -> None:
    """Else the tests above would prove nothing."""
    for part in SEQUENCES:
        assert obeyed(part.encode(), drawing=False), part
        own = part in (
            "\x1b[?1049l",
            "\x1b[?2004l",
        )  # what gives a terminal back is counted by `check_given_back`
        assert obeyed(part.encode(), drawing=True) or own, part
    for part in MARKUP:
        assert not obeyed(part.encode(), drawing=False)
    dangerous: list[Any] = [c for c in EVERYTHING if obeyed(c.encode(), drawing=True)]
    assert (
        len(set(dangerous)) == (32 - 2) + 1 + 32 + 12 + 2
    )  # C0 without line ends, DEL, C1, bidirectional, separators
