"""Where the `tinygpt` command and `python -m tinygpt_tui` begin: are our packages ours? then the commands.

Nothing is imported at the top but `sys`, so that an interrupt while the program loads ends as quietly as one
later.
"""

from __future__ import annotations

import sys


def main() -> int:
    """Runs the command line on `sys.argv` and returns its exit code (see `tinygpt_tui.cli.exits`)."""
    try:
        from tinygpt_tui import guard

        if (problem := guard.problem()) is not None:
            sys.stderr.write(f"error: {problem}\n")
            return 2
        from tinygpt_tui.cli.exits import run

        return run()
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
