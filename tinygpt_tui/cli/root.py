"""The root of the command line: the list of commands, each a module imported when it is called.

To add a command, write a module whose `app` is made by `tinygpt_tui.cli.help.new_app`, and give it a line in
`COMMANDS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from typing import Any

import typer

from tinygpt_tui import __version__
from tinygpt_tui.cli.help import Command, Group, new_app


@dataclass(frozen=True)
class Lazy:
    """A command not imported yet: the module whose `app` it is, and its line in the list of commands."""

    module: str
    summary: str


# In the order in which a newcomer needs them. A summary repeats the first sentence of the command's own help.
COMMANDS: dict[str, Lazy] = {
    "train": Lazy("train_command", "Train a model on a text."),
    "sample": Lazy("sample_command", "Continue a text with a trained model."),
    "chat": Lazy("chat_command", "Talk with a trained model in a plain terminal."),
    "score": Lazy("score_command", "Measure how surprised a model is by a text."),
    "eval": Lazy("eval_command", "Measure a run beside counting models and a file compressor."),
    "runs": Lazy("runs_commands", "See and steer any run from any terminal."),
    "corpora": Lazy("corpora_commands", "List, show and fetch texts to learn from."),
    "config": Lazy("config_commands", "Show and change settings."),
    "paths": Lazy("paths_command", "Show where tinygpt keeps things."),
    "doctor": Lazy("doctor", "Show what this machine and terminal can do."),
}

HELP = "A text file in, a talking model out, without leaving the terminal."
EXAMPLES = """
tinygpt corpora list  # texts that are ready to learn from
tinygpt config set sample.temperature 0.7
tinygpt doctor  # what this machine can do
"""


class Root(Group):
    """A group whose commands are looked up in `COMMANDS`."""

    _listing = False  # a list of names and summaries is being made: no need to import anything

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        lazy = COMMANDS.get(cmd_name)
        if lazy is not None and self._listing:
            return Command(cmd_name, short_help=lazy.summary)  # a short help is never cut
        if lazy is not None and cmd_name not in self.commands:
            from typer.main import get_command

            module = import_module(f"tinygpt_tui.cli.{lazy.module}")
            command = get_command(module.app)
            command.name = cmd_name
            self.commands[cmd_name] = command
        return self.commands.get(cmd_name)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        self._listing = True
        try:
            super().format_commands(ctx, formatter)
        finally:
            self._listing = False

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        self._listing = True
        try:
            return super().shell_complete(ctx, incomplete)
        finally:
            self._listing = False

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            near = get_close_matches(name, COMMANDS, 1)
            ctx.fail(f"there is no command '{name}'" + (f", did you mean '{near[0]}'?" if near else ""))
        return super().resolve_command(ctx, args)


app = new_app(cls=Root, add_completion=True, invoke_without_command=True, help=HELP, examples=EXAMPLES)


def _version(asked: bool) -> None:
    if asked:
        from tinygpt_tui.cli.output import emit

        emit(f"tinygpt {__version__}")
        raise typer.Exit


@app.callback()
def root(
    ctx: typer.Context,
    version: bool = typer.Option(
        False, "--version", help="Show the version and leave.", callback=_version, is_eager=True
    ),
) -> None:
    if ctx.invoked_subcommand is None:
        from tinygpt_tui.cli.output import emit

        emit(ctx.get_help())
