"""Every error a person may meet, each with the exit code its command ends with.

A message is one sentence that says what is wrong, where, and what to do about it. Anything that is not a `TinygptError` is a
defect of ours and may show a traceback.
"""

from __future__ import annotations


class TinygptError(Exception):
    """An expected error: one sentence for a person, one exit code for a script."""

    exit_code = 1


class RunError(TinygptError):
    """A training run failed: the loss is not finite, or the final checkpoint could not be written."""

    exit_code = 1


class LostError(RunError):
    """One of several processes that train together died, or cannot be reached any more."""


class UsageError(TinygptError):
    """The command was asked for something it cannot do: a wrong option, range, or name."""

    exit_code = 2


class TakenError(UsageError):
    """Something of that name exists already."""


class SettingsError(UsageError):
    """The settings file is corrupt, newer than this program, or holds a value out of range."""


class CorpusError(TinygptError):
    """The text cannot be used: missing, empty, binary, wrongly encoded, too short."""

    exit_code = 3


class CheckpointError(TinygptError):
    """A run folder, checkpoint or tokenizer file is missing, damaged or not what it says."""

    exit_code = 3


class ResourceError(TinygptError):
    """The machine has too little disk or memory for what was asked."""

    exit_code = 4


class BusyError(TinygptError):
    """Another process holds the run."""

    exit_code = 5
