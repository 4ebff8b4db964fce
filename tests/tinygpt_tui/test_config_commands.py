"""`tinygpt config`, as a person or a script uses it."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tinygpt_tui.settings import SCHEMA


@pytest.fixture
def file(home: Path) -> Path:
    path = home / "config" / "config.toml"
    path.parent.mkdir(parents=True)
    return path


def test_show_prints_what_could_stand_in_the_file(tinygpt: Callable[..., Any], file: Path) -> None:
    tinygpt("config", "set", "ui.keys.play.stop", "ctrl+x")
    shown = tinygpt("config", "show")
    assert shown.code == 0
    document = tomllib.loads(shown.out)
    assert {f"{s}.{name}" for s, table in document.items() for name in table} == set(SCHEMA)
    file.write_text(shown.out)
    assert tinygpt("config", "show").out == shown.out


def test_show_tells_the_origin_of_every_value(
    tinygpt: Callable[..., Any], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text("train.seed = 7\n")
    monkeypatch.setenv("TINYGPT_TRAIN_TIME", "5m")
    rows = [json.loads(line) for line in tinygpt("config", "show", "--json").out.splitlines()]
    found = {row["key"]: (row["value"], row["origin"]) for row in rows}
    assert found["train.seed"] == (7, "file")
    assert found["train.time"] == ("5m", "environment")
    assert found["train.arch"] == ("modern", "default")
    text = tinygpt("config", "show", "--origin").out
    assert tomllib.loads(text)["train"]["seed"] == 7
    assert {line.rpartition("# ")[2] for line in text.splitlines()} == {"file", "environment", "default"}


def test_set_get_and_unset(tinygpt: Callable[..., Any], home: Path) -> None:
    done = tinygpt("config", "set", "sample.temperature", "0.7")
    assert (done.code, done.out) == (0, "") and "0.7" in done.err
    assert tinygpt("config", "get", "sample.temperature").out == "0.7\n"
    assert tinygpt("config", "unset", "sample.temperature").code == 0
    assert tinygpt("config", "get", "sample.temperature").out == "0.8\n"
    again = tinygpt("config", "unset", "sample.temperature")
    assert again.code == 0 and "was not set" in again.err


def test_the_keys_that_the_help_gives_as_an_example_do_what_it_says(tinygpt: Callable[..., Any]) -> None:
    (example,) = re.findall(
        "tinygpt config set (ui.keys.*?) (.*?)  #", tinygpt("config", "set", "--help").out
    )
    assert tinygpt("config", "set", *example).code == 0
    assert tinygpt("config", "get", example[0]).out == f"{example[1]}\n"
    assert tinygpt("config", "validate").code == 0


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs /proc")
def test_a_home_that_cannot_be_made_is_one_sentence(
    tinygpt: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TINYGPT_HOME", "/proc/tinygpt")
    outcome = tinygpt("config", "set", "train.seed", "3")
    assert (outcome.code, outcome.out) == (4, "")
    assert outcome.err.startswith("error: /proc cannot be written (no such file or directory): ")


def test_get_prints_tables_and_their_entries(tinygpt: Callable[..., Any]) -> None:
    assert tinygpt("config", "get", "ui.keys").out == ""
    tinygpt("config", "set", "ui.keys.play.stop", "ctrl+x")
    assert tinygpt("config", "get", "ui.keys").out == 'ui.keys."play.stop" = "ctrl+x"\n'
    assert tinygpt("config", "get", "ui.keys.play.stop").out == "ctrl+x\n"
    assert tinygpt("config", "get", "ui.keys.quit").code == 2


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("set", "sample.temperature", "9"), "sample.temperature is 9, but it must be a number: 0.01 to 5"),
        (("set", "train.seed", "-5"), "train.seed is -5"),
        (("set", "train.tiem", "5m"), "there is no setting 'train.tiem' (did you mean 'train.time'?)"),
        (("set", "ui.keys", "x"), "such as 'tinygpt config set ui.keys.app.quit ctrl+x'"),
        (("set", "ui.keys.quit", "ctrl+x"), "there is no action 'quit' (did you mean 'app.quit'?)"),
        (("set", "ui.keys.app.quit", "ctr+x"), "app.quit keeps ctrl+q, since 'ctr+x' is no key"),
        (("get", "ui.keys.quit"), "there is no action 'quit' (did you mean 'app.quit'?)"),
        (("set", "version", "9"), "there is no setting 'version'"),
        (("get", "train"), "there is no setting 'train'"),
        (("unset", "train.tiem"), "there is no setting 'train.tiem'"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_writes_nothing(
    args: tuple[str, ...], message: str, tinygpt: Callable[..., Any], home: Path
) -> None:
    outcome = tinygpt("config", *args)
    assert (outcome.code, outcome.out) == (2, "")
    assert message in outcome.err and outcome.err.count("\n") == 1
    assert not home.exists()


def test_set_says_when_the_environment_wins(
    tinygpt: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TINYGPT_TRAIN_SEED", "3")
    assert "TINYGPT_TRAIN_SEED is set and wins" in tinygpt("config", "set", "train.seed", "4").err


def test_path_is_told_without_reading_or_making_the_file(
    tinygpt: Callable[..., Any], file: Path, home: Path
) -> None:
    file.write_text("not toml")
    assert tinygpt("config", "path").out == f"{file}\n"


def test_validate_passes_a_good_file_and_refuses_a_bad_one(tinygpt: Callable[..., Any], file: Path) -> None:
    assert tinygpt("config", "validate").code == 0
    file.write_text("[train]\ntiem = 1\n")
    warned = tinygpt("config", "validate")
    assert warned.code == 0 and "did you mean 'train.time'" in warned.err
    file.write_text('[ui.keys]\n"play.undo" = "r"\n')
    warned = tinygpt("config", "validate")
    assert warned.code == 0 and "the key r does both play.reroll and play.undo" in warned.err
    bad_keys = ("[ui.keys]\nquit = 'ctrl+x'\n", "[ui.keys]\napp.quit = 'ctr+x'\n")
    for bad in ("[train\n", "[train]\nseed = true\n", "version = 2\n", *bad_keys):
        file.write_text(bad)
        outcome = tinygpt("config", "validate")
        assert outcome.code == 2 and "error: " in outcome.err and str(file) in outcome.err


@pytest.mark.parametrize("args", [("paths",), ("config", "path"), ("corpora", "list"), ("--version",)])
def test_commands_that_need_no_settings_work_with_a_damaged_file(
    args: tuple[str, ...], tinygpt: Callable[..., Any], file: Path
) -> None:
    file.write_text("[train\n")
    assert tinygpt(*args).code == 0
    assert tinygpt("config", "show").code == 2
