"""The child processes: `python -m engine train RUN_DIR`, `python -m engine play`, `python -m engine facts SOURCE` and `python -m engine begin`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.ranks import Alone
    from engine.team import Team


def main(argv: list[str] | None = None) -> int:
    """Runs the process that is named first; returns its exit code."""
    try:
        return _main(sys.argv[1:] if argv is None else argv)
    except KeyboardInterrupt:  # before it listens to signals, which is while torch loads
        return 130


def _main(arguments: list[str]) -> int:
    if arguments[:1] == ["play"]:
        from engine.player_process import main as play

        return play(arguments[1:])
    if arguments[:1] == ["facts"]:
        from engine.facts import main as facts

        return facts(arguments[1:])
    if arguments[:1] == ["begin"]:
        from engine.beginning import main as begin

        return begin()
    parser = argparse.ArgumentParser(prog="python -m engine", description=__doc__)
    parser.add_argument("do", choices=["train", "play", "facts", "begin"])
    parser.add_argument("run", type=Path, help="the run's folder")
    parser.add_argument("--steps", type=int, default=None, help="for a resume, the new total of steps")
    parser.add_argument("--force", action="store_true", help="go on although memory looks too small")
    parser.add_argument("--corpora", type=Path, default=None, help="where else the run's text may lie")
    parser.add_argument("--cache", type=Path, default=None, help="where fetched corpora lie")
    options = parser.parse_args(arguments)
    import time

    from engine.budget import process_age
    from engine.errors import TinygptError

    began = time.monotonic() - process_age()
    try:
        from engine.ranks import run_together
        from engine.runs import RunFolder
        from engine.starter import refuse

        folder = RunFolder(options.run.resolve())

        def lead(team: Alone) -> int:
            from engine.trainer import train

            refuse(folder)
            return train(
                folder,
                corpora_dir=options.corpora,
                total_steps=options.steps,
                force=options.force,
                began=began,
                cache_dir=options.cache,
                team=team,
            )

        def follow(team: Team) -> int:
            from engine import follower

            texts = [options.corpora] if options.corpora else []
            return follower.follow(team, follower.Own(texts, options.cache, force=options.force))

        return run_together(lead, follow)
    except TinygptError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
