"""Help pages that end in examples, and the one way in which our command modules make their Typer apps.

Help is plain text: Typer's decorated pages would load Rich, which takes longer than all the rest of `--help`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

F = TypeVar("F", bound=Callable[..., Any])


class Command(TyperCommand):
    """A command whose epilog is its examples, one line each, shown as they are."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        _spare_pydantic(self, ctx)
        return super().parse_args(ctx, args)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        write_examples(self.epilog, formatter)


class Group(TyperGroup):
    """A group of commands with examples."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        _spare_pydantic(self, ctx)
        return super().parse_args(ctx, args)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        write_examples(self.epilog, formatter)


def new_app(help: str = "", examples: str = "", **options: Any) -> typer.Typer:
    """A Typer app in our manner: with one command it is that command, with several a group."""
    return typer.Typer(
        help=help,
        epilog=examples,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        **{"cls": Group, "add_completion": False, **options},
    )


def command(app: typer.Typer, examples: str, **options: Any) -> Callable[[F], F]:
    """Makes a function a command of `app`; its docstring is its help.

    Args:
        examples: one a line, each a whole command; what follows "  #" says what it does.
    """
    return app.command(cls=Command, epilog=examples, **options)


def write_examples(examples: str | None, formatter: Any) -> None:
    """Writes the last part of a help page: a line for each example, with the remarks below each other."""
    if not examples:
        return
    parts = (line.partition("  # ") for line in inspect.cleandoc(examples).splitlines())
    lines = [(line.rstrip(), remark) for line, _, remark in parts]
    room = formatter.width - 4  # for an example and its remark, of 80 columns
    remarked = sorted((len(line), len(remark)) for line, remark in lines if remark)
    # As far to the right as the longest line whose remarks, and those of all shorter ones, still fit.
    fitting = [
        at for at, _ in remarked if all(at + size <= room for length, size in remarked if length <= at)
    ]
    column = max(fitting, default=0)
    with formatter.section("Examples"):
        for line, remark in lines:
            if remark and max(len(line), column) + len(remark) > room:
                formatter.write(f"  # {remark}\n  {line}\n")
            else:
                formatter.write(f"  {line:<{column}}  # {remark}\n" if remark else f"  {line}\n")


def _spare_pydantic(command: TyperCommand | TyperGroup, ctx: Any) -> None:
    """Typer types values by pydantic, which takes a tenth of a second to import: not where it is idle."""
    for parameter in command.get_params(ctx):
        if (
            ctx.resilient_parsing
        ):  # completion, at every press of the key: it only needs to know which words are taken
            parameter.process_value = _as_typed  # type: ignore[method-assign]
        elif (
            getattr(parameter, "is_flag", False) and parameter.default is None
        ):  # Typer's own completion options
            parameter.default = False


def _as_typed(ctx: Any, value: Any) -> Any:
    return value
