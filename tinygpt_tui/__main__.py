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
        from tinygpt_tui.cli.exits import INTERRUPTED, run

        code = run()
        if code == INTERRUPTED:
            hear_no_more()
        return code
    except KeyboardInterrupt:
        hear_no_more()
        return 130


def hear_no_more() -> None:
    """Lets another Ctrl-C end the process without a word: Python would tell of one that comes while it shuts down."""
    import contextlib
    import signal

    with contextlib.suppress(ValueError):  # it is not for a thread to say
        signal.signal(signal.SIGINT, signal.SIG_DFL)


if __name__ == "__main__":
    sys.exit(main())
