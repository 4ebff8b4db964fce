"""`tinygpt doctor` tells what it finds, changes nothing, and works where something is broken."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tinygpt_tui.cli import doctor


@pytest.fixture(autouse=True)
def probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine's side, without the second that torch takes."""
    monkeypatch.setitem(
        sys.modules, "engine.device", SimpleNamespace(describe=lambda: {"torch": "9.9", "cores": "2"})
    )


def test_it_tells_of_everything_and_makes_nothing(tinygpt: Callable[..., Any], home: Path) -> None:
    found = json.loads(tinygpt("doctor", "--json").out)
    assert list(found) == ["program", "terminal", "folders", "memory", "engine"]
    assert found["engine"] == {"torch": "9.9", "cores": "2"}
    assert found["folders"]["data"] == f"{home / 'data'} (writable, not made yet)"
    assert "not available" not in str(found)
    assert not home.exists()


def test_for_a_person_it_is_a_list(tinygpt: Callable[..., Any]) -> None:
    outcome = tinygpt("doctor")
    assert outcome.code == 0 and "\nengine\n  torch             9.9\n" in outcome.out


def test_a_broken_engine_is_told_and_the_rest_still_shown(
    tinygpt: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "engine.device", None)
    outcome = tinygpt("doctor", "--json")
    found = json.loads(outcome.out)
    assert outcome.code == 0 and list(found["engine"]) == ["not available"]
    assert found["program"]["tinygpt"]


def test_a_home_that_cannot_be_is_told(tinygpt: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINYGPT_HOME", "relative")
    found = json.loads(tinygpt("doctor", "--json").out)
    assert "absolute" in found["folders"]["not available"]


def test_a_folder_that_cannot_be_written_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home.mkdir()
    (home / "data").touch()
    assert "NOT writable" in doctor.folders()["data"]
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert "NOT writable" in doctor.folders()["cache"]


@pytest.mark.parametrize(
    ("environment", "colors"),
    [
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, "16 million"),
        ({"TERM": "xterm-256color"}, "256"),
        ({"TERM": "xterm"}, "16"),
        ({"TERM": "dumb", "COLORTERM": "truecolor"}, "none"),
        ({}, "none"),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, "none (NO_COLOR is set)"),
    ],
)
def test_colours_are_read_off_the_environment(environment: dict[str, str], colors: str) -> None:
    assert doctor.terminal(environment)["colours"] == colors


def test_what_stands_between_us_and_the_screen_is_named() -> None:
    inside = doctor.terminal({"TMUX": "/tmp/x,1,0", "SSH_CONNECTION": "1", "TERM_PROGRAM": "vscode"})[
        "inside"
    ]
    assert inside == "tmux, ssh, vs code"
    assert doctor.terminal({})["inside"] == "nothing"
