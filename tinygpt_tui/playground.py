"""Where `tinygpt-tui` begins and ends: its one argument, the first mode, and a last word about what still trains.

Nothing heavy is imported before it is needed: from the command to the first frame is what a person waits for. Left out: the
application (`tinygpt_tui.app`).
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from tinygpt_tui.world import World

HELP = """\
the playground: choose a text, watch a small GPT learn it, write with it

examples:
  tinygpt-tui                   where you left off; at first, tales and a model that speaks
  tinygpt-tui my-novel.txt      look at a text and train on it
  tinygpt-tui my-novel          watch or play with the run of this name
  tinygpt-tui starter           play with the small model that is built in

Every key is in the footer and under '?'. The same without a screen: tinygpt --help
"""


def main(arguments: list[str] | None = None) -> int:
    """Runs the playground on `sys.argv` and returns its exit code."""
    try:
        return _main(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:
        from tinygpt_tui.__main__ import hear_no_more

        hear_no_more()
        return 130
    except Exception as error:
        from tinygpt_tui.cli.exits import explain

        return explain(error)


class _Parser(argparse.ArgumentParser):
    """What is wrong with the arguments is said in a sentence of ours: they may be names of files, which are a stranger's text."""

    def error(self, message: str) -> NoReturn:
        sys.exit(_refuse(f"{message} (try 'tinygpt-tui --help')", 2))


def _main(arguments: list[str]) -> int:
    from tinygpt_tui import guard
    from tinygpt_tui.cli.output import is_terminal

    gc.disable()  # what is imported stays: looking through it again and again is a tenth of the time to the first frame
    if (problem := guard.problem()) is not None:
        return _refuse(problem, 2)
    parser = _Parser(
        prog="tinygpt-tui",
        description=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=True,
    )
    parser.add_argument(
        "target",
        nargs="?",
        metavar="RUN|CORPUS",
        help="the name of a run, a file, a folder, or a catalogue name",
    )
    parser.add_argument("--version", action="store_true", help="show the version and leave")
    options = parser.parse_args(arguments)
    if options.version:
        from importlib.metadata import version

        sys.stdout.write(f"tinygpt-tui {version('tinygpt-tui')}\n")
        return 0
    if not (is_terminal(sys.stdin) and is_terminal(sys.stdout)):
        return _refuse(
            "the playground needs a terminal; 'tinygpt train' and 'tinygpt sample' do the same without one", 2
        )
    if not is_terminal(sys.stderr):
        return _refuse("the playground draws on stderr, and that is redirected: start it without '2>'", 2)
    if os.environ.get("TERM", "") in ("", "dumb"):
        return _refuse(
            "this terminal cannot draw (TERM is dumb or unset); 'tinygpt train' and 'tinygpt chat' need no drawing",
            2,
        )

    from engine.errors import TinygptError
    from tinygpt_tui.paths import user_paths
    from tinygpt_tui.world import make_world

    try:
        world = make_world(user_paths())
        mode = _first_mode(world, options.target)
    except TinygptError as error:
        return _refuse(str(error), error.exit_code)
    # An empty NO_COLOR counts as unset, as its convention says; Textual looks only whether it is there.
    if os.environ.get("NO_COLOR") == "":
        del os.environ["NO_COLOR"]
    from tinygpt_tui import terminal
    from tinygpt_tui.app import Playground

    app = Playground(world, mode)
    try:
        app.run()
    finally:
        terminal.let_go()
    code = app.return_code or 0
    if app.failure is not None:
        from tinygpt_tui.cli.exits import explain

        code = explain(app.failure)
    _last_word(world)
    return code


def _first_mode(world: World, target: str | None) -> str:
    """Decides what is shown first, and tells the world what was asked for. Raises TinygptError when the target is nothing."""
    from engine import catalogue
    from engine.errors import UsageError

    if target is None:
        if not world.run_names():
            return "welcome"
        return "train" if world.live_names() else "play"
    if (row := world.shelf.find(target)) is not None:  # of many runs only the newest were looked at so far
        world.chosen_run = target
        return "train" if row.live else "play"
    if (source := target if catalogue.find(target) else _existing(target)) is not None:
        world.chosen_corpus = source
        return "corpus"
    raise UsageError(
        f"there is no run, file or catalogue text called {target[:80]!r}: see 'tinygpt runs list' and 'tinygpt corpora list'"
    )


def _existing(target: str) -> str | None:
    """The path of a file or folder from the root, or None: it is not there, or is no path that could be looked at."""
    try:
        path = Path(target).expanduser()
        return str(path.absolute()) if path.exists() else None
    except (
        OSError,
        RuntimeError,
        ValueError,
    ):  # a folder that may not be read, no home, a NUL, a name too long
        return None


def _last_word(world: World) -> None:
    """What still trains, and how to stop it, on the terminal that is a terminal again."""
    from tinygpt_tui.safe_text import safe_line

    world.shelf.scan()  # a run may have begun or ended a moment ago
    for name in world.live_names():
        sys.stderr.write(
            f"{safe_line(name)} goes on training: watch it with 'tinygpt runs watch {safe_line(name)}', "
            f"end it with 'tinygpt runs stop {safe_line(name)}'\n"
        )


def _refuse(sentence: str, code: int) -> int:
    from tinygpt_tui.cli.output import narrate_raw
    from tinygpt_tui.safe_text import safe_line

    narrate_raw(f"error: {safe_line(sentence)}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
