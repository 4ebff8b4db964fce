"""What docs/promises.md and SECURITY.md say can be tried: every command there runs tests that exist, and every link leads somewhere."""

from __future__ import annotations

import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROMISES = ROOT / "docs" / "promises.md"
COLUMNS = ["", "promise", "command", "cases", "found", "date"]


def rows() -> list[list[str]]:
    """The cells of the table, its head first."""
    lines = [line for line in PROMISES.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    cells = [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in lines
        if not line.startswith("|---")
    ]
    return [[cell.strip("| ") for cell in row] for row in cells]


def commands() -> list[str]:
    return [command for row in rows()[1:] for command in re.findall(r"`([^`]+)`", row[2])]


def test_there_are_twenty_promises_and_nothing_is_left_open() -> None:
    head, *found = rows()
    assert head == COLUMNS
    assert [row[0] for row in found] == [str(number) for number in range(1, 21)]
    for row in found:
        assert len(row) == len(COLUMNS) and all(row), row
        assert re.search(r"\d", row[3]), row
        assert re.fullmatch(r"\d{4}-\d{2}-\d{2}", row[5]), row


def test_every_command_of_the_table_is_one_that_can_be_typed() -> None:
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert all(re.findall(r"`([^`]+)`", row[2]) for row in rows()[1:])
    for command in commands():
        program, *arguments = shlex.split(command)
        if program == "make":
            assert set(arguments) <= set(targets), command
        elif program == ".venv/bin/python":
            assert arguments[0] == "-m" and importlib.util.find_spec(arguments[1]), command
        else:
            assert program == ".venv/bin/pytest" and files_of(arguments), command
            assert all((ROOT / path).exists() for path in files_of(arguments)), command


def files_of(arguments: list[str]) -> list[str]:
    return [argument for argument in arguments if argument.startswith("tests/")]


def test_pytest_collects_something_from_every_file_and_by_every_word_of_the_table() -> None:
    given = [shlex.split(command)[1:] for command in commands() if command.startswith(".venv/bin/pytest")]
    files = sorted({path for arguments in given for path in files_of(arguments)})
    listed = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "-m", "soak or not soak", *files],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert listed.returncode == 0, listed.stdout[-2000:] + listed.stderr
    collected = [line for line in listed.stdout.splitlines() if "::" in line]
    for path in files:
        assert any(line.startswith(f"{path}::") for line in collected), path
    for arguments in given:
        if "-k" in arguments:
            words = arguments[arguments.index("-k") + 1].split(" or ")
            names = [
                line
                for line in collected
                if line.startswith(tuple(f"{path}::" for path in files_of(arguments)))
            ]
            assert all(any(word in name.partition("::")[2] for name in names) for word in words), arguments


@pytest.mark.parametrize("page", [PROMISES, ROOT / "SECURITY.md"], ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
    for link in links:
        assert not link.startswith(("http", "mailto")) and (page.parent / link).exists(), link


def test_the_security_page_names_rows_that_there_are() -> None:
    numbers = re.findall(
        r"\(rows? ([\d, and]+)\)", (ROOT / "SECURITY.md").read_text(encoding="utf-8").replace("\n  ", " ")
    )
    named = {int(number) for some in numbers for number in re.findall(r"\d+", some)}
    assert named and named <= set(range(1, 21))
