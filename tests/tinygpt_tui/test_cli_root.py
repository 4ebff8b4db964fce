"""What holds for the whole command line: help, lazy imports, completion, version."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import typer
from typer.main import get_command

from tinygpt_tui import __version__
from tinygpt_tui.cli.root import COMMANDS, app

HEAVY = ("torch", "textual", "numpy", "rich", "pydantic", "threadpoolctl", "tomlkit")


def walk(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, command
    if hasattr(command, "list_commands"):
        context = typer.Context(command)
        for name in command.list_commands(context):
            yield from walk(command.get_command(context, name), (*path, name))


PAGES = dict(walk(get_command(app)))


def loaded_by(*args: str, of: tuple[str, ...] = HEAVY) -> set[str]:
    """Which modules of `of` a run of the command loads."""
    script = (
        "import sys; from tinygpt_tui.__main__ import main; main();"
        f"sys.stderr.write(' '.join(m for m in {of!r} if m in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *args], capture_output=True, text=True, timeout=60, check=True
    )
    return set(done.stderr.split())


def test_the_walk_finds_the_commands() -> None:
    assert {("config", "set"), ("corpora", "show"), ("paths",), ("doctor",)} <= set(PAGES)


@pytest.mark.parametrize("path", PAGES, ids=" ".join)
def test_every_help_page_ends_in_examples_that_fit_80_columns(
    path: tuple[str, ...], tinygpt: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    page = tinygpt(*path, "--help")
    assert page.code == 0 and page.err == ""
    head, _, examples = page.out.partition("\nExamples:\n")
    assert head.startswith("Usage: tinygpt") and examples
    for line in examples.splitlines():
        assert line.startswith("  # ") or (line.startswith("  ") and "tinygpt" in line)
    assert [line for line in page.out.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_what_each_commands_own_help_says(name: str) -> None:
    assert COMMANDS[name].summary == PAGES[(name,)].help.splitlines()[0]


@pytest.mark.parametrize("path", PAGES, ids=" ".join)
def test_help_loads_nothing_heavy(path: tuple[str, ...]) -> None:
    assert loaded_by(*path, "--help") == set()


@pytest.mark.parametrize("args", [(), ("--version",), ("no-such",)])
def test_what_needs_no_command_loads_nothing_heavy(args: tuple[str, ...]) -> None:
    lines = loaded_by(*args)
    assert lines.isdisjoint(HEAVY)


@pytest.mark.parametrize("complete", [False, True])
def test_listing_the_commands_imports_none_of_them(complete: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if complete:
        monkeypatch.setenv("_TINYGPT_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", "tinygpt ")
        monkeypatch.setenv("COMP_CWORD", "1")
    commands = tuple(f"tinygpt_tui.cli.{lazy.module}" for lazy in COMMANDS.values())
    assert loaded_by("--help", of=commands) == set()
    assert loaded_by("paths", "--help", of=commands) == (
        set() if complete else {"tinygpt_tui.cli.paths_command"}
    )


@pytest.mark.parametrize("words", ["tinygpt ", "tinygpt co", "tinygpt config --", "tinygpt config get --"])
def test_completion_loads_nothing_heavy(words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_TINYGPT_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split(" ")) - 1))
    assert loaded_by() == set()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("tinygpt ", set(COMMANDS)),
        ("tinygpt co", {"config", "corpora"}),
        ("tinygpt config get train.t", {"train.time", "train.threads"}),
        ("tinygpt corpora show ta", {"tales", "tales-and-talk"}),
        ("tinygpt paths --j", {"--json"}),
    ],
)
def test_completion_offers_what_can_follow(
    words: str, expected: set[str], process: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    variables = {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}
    done = process(env={"_TINYGPT_COMPLETE": "complete_bash", **variables})
    assert set(done.stdout.split()) == expected
    assert done.stderr == ""


def test_zsh_completion_says_what_the_commands_do(
    process: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = process(env={"_TINYGPT_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": "tinygpt "})
    assert all(lazy.summary in done.stdout for lazy in COMMANDS.values())


def test_version(tinygpt: Callable[..., Any]) -> None:
    assert tinygpt("--version").out == f"tinygpt {__version__}\n"


def test_without_a_command_the_help_page_is_shown(tinygpt: Callable[..., Any]) -> None:
    assert tinygpt() == tinygpt("--help")
    assert tinygpt().code == 0


def test_a_mistyped_command_is_one_line_with_the_nearest_name(tinygpt: Callable[..., Any]) -> None:
    outcome = tinygpt("confg", "show")
    assert (outcome.code, outcome.out) == (2, "")
    assert (
        outcome.err == "error: there is no command 'confg', did you mean 'config'? (try 'tinygpt --help')\n"
    )


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("paths", "--nope"), "no such option: --nope"),
        (("config",), "missing command (try 'tinygpt config --help')"),
        (("config", "get"), "missing argument 'KEY' (try 'tinygpt config get --help')"),
        (("paths", "x\x1b[31m"), "(try 'tinygpt paths --help')"),
        (("--nope",), "(try 'tinygpt --help')"),
    ],
)
def test_wrong_usage_is_one_line_with_a_hint(
    args: tuple[str, ...], message: str, tinygpt: Callable[..., Any]
) -> None:
    outcome = tinygpt(*args)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("error: ") and outcome.err.count("\n") == 1
    assert message in outcome.err and "\x1b" not in outcome.err
