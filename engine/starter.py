"""The starter: a small model that is built in, so that there is something to write and talk with before anything is trained.

It lies in `models/starter` in the form of a run that is done, and whoever opens it reads it as any other run, through the same checks.
But it is nobody's run: it is not listed among them, is never trained on, and any run of a person's own comes before it. Left out: how
it is made (`engine.starter_making`); `python -m engine.starter make` does it. No torch here.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from engine.errors import CheckpointError, UsageError
from engine.runs import STARTER, RunFolder

SHOWN = f"{STARTER} (built in)"
# It knows two kinds of text, and most lines of what it learned are talk: a text that nobody has begun begins as a tale does.
OPENING = "One day, "
FOLDER = Path(__file__).resolve().parent.parent / "models" / "starter"


def find() -> RunFolder | None:
    """The starter, if this installation has it. Whether it is sound is seen when it is loaded."""
    folder = RunFolder(FOLDER)
    return folder if folder.run.is_file() and any(folder.checkpoints.glob("step-*")) else None


def built_in() -> RunFolder:
    """The starter. Raises CheckpointError if this installation lacks it."""
    if (folder := find()) is None:
        raise CheckpointError(f"The starter is missing from this installation ({FOLDER}): train a run first.")
    return folder


def folder_of(runs_dir: Path, name: str) -> RunFolder:
    """Where the run of this name lies, or would; the starter's name means a run of a person's own, if there is one."""
    own = runs_dir / name
    return RunFolder(FOLDER) if name == STARTER and not os.path.lexists(own) else RunFolder(own)


def is_starter(folder: RunFolder) -> bool:
    """Whether this folder is the starter's, by whatever path."""
    return folder.path.resolve() == FOLDER.resolve()


def refuse(folder: RunFolder) -> None:
    """For whoever would change a run. Raises UsageError if it is the starter."""
    if is_starter(folder):
        raise refusal()


def refusal() -> UsageError:
    """Why nothing can be changed about it."""
    return UsageError(
        f"The {STARTER} is built in: it writes and talks, but it cannot be trained on, renamed, exported or deleted."
    )


if __name__ == "__main__":
    from engine.starter_making import main

    sys.exit(main(sys.argv[1:]))
