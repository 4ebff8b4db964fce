"""What holds for the whole command line: help, lazy imports, completion, version."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from typer.main import get_command

from tinygpt_tui import __version__
from tinygpt_tui.cli.root import COMMANDS, app

from .conftest import Outcome

HEAVY = ("torch", "textual", "numpy", "rich", "pydantic", "tomlkit", "platformdirs", "asyncio")


def walk(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, command
    if hasattr(command, "list_commands"):
        import typer

        context = typer.Context(command)
        for name in command.list_commands(context):
            yield from walk(command.get_command(context, name), (*path, name))


PAGES = dict(walk(get_command(app)))
