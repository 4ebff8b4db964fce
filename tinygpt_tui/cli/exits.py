"""Runs the command line and turns every way it can end into an exit code and at most one line on stderr.

0 done · 1 the run failed, or the reader of our output went away · 2 wrong usage or settings · 3 unusable
input · 4 out of disk or memory · 5 in use by another process · 129, 130, 143 ended by a signal. A person
never sees a traceback: that of a defect goes into a file.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from engine.errors import ResourceError, TinygptError
from tinygpt_tui.cli.output import abandon_stdout, make_forgiving, narrate_raw
from tinygpt_tui.safe_text import safe_line, safe_text

INTERRUPTED = 130
BROKEN_PIPE = 1

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def run(args: Sequence[str] | None = None) -> int:
    """Runs `tinygpt` with `args`, by default the process's own, and returns the exit code. Raises nothing."""
    make_forgiving()
    with _ending_in_order():
        code = _guarded(args)
    # Typer puts a deaf wrapper in place of a stdout that broke; what is left in the real one would fail as
    # Python shuts down.
    for stream in (sys.stdout, sys.__stdout__):
        try:
            if stream is not None and not stream.closed:
                stream.flush()
        except OSError as error:
            abandon_stdout()
            code = code or explain(error)
    return code


@contextmanager
def _ending_in_order() -> Iterator[None]:
    """Lets SIGTERM and SIGHUP end a command as Ctrl-C does, so that it puts down what it holds: a line that is edited, a run that never began.

    The same one again leaves at once. One of several processes may wait outside of Python, where a handler is not heard: it ends as before.
    """
    asked: set[int] = set()

    def leave(number: int, frame: object) -> None:
        if number in asked:
            os._exit(128 + number)
        asked.add(number)
        raise SystemExit(128 + number)

    alone = os.environ.get("WORLD_SIZE", "1") == "1"
    caught = []
    if alone and threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is signal.SIG_DFL:  # nohup's wish is respected
                signal.signal(number, leave)
                caught.append(number)
    try:
        yield
    finally:
        for number in caught:
            signal.signal(number, signal.SIG_DFL)


def _guarded(args: Sequence[str] | None) -> int:
    try:
        return _invoke(args)
    except KeyboardInterrupt:
        # A shell shows ^C and leaves the cursor behind it.
        narrate_raw("\n" if sys.stderr is not None and sys.stderr.isatty() else "")
        return INTERRUPTED
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 1 if stop.code else 0
    except BaseException as error:
        return explain(error)


def _invoke(args: Sequence[str] | None) -> int:
    from typer.main import get_command

    from tinygpt_tui.cli.root import app

    # standalone_mode=False: Typer hands its exceptions to us, and an exit code becomes the value returned.
    result = get_command(app).main(args=args, prog_name="tinygpt", standalone_mode=False)
    return result if isinstance(result, int) else 0


def explain(error: BaseException) -> int:
    """Says on stderr, in one line, what went wrong, and returns the exit code."""
    import typer

    if isinstance(error, TinygptError):
        return _say(str(error), error.exit_code)
    # The base of Click's exceptions has no public name; it is what all that carry a usage message descend
    # from.
    if isinstance(error, typer.BadParameter.__mro__[2]):
        return _say(_usage(error), 2)
    if isinstance(error, typer.Abort):
        return _say("nothing was done: no answer was given", 1)
    if isinstance(error, BrokenPipeError):
        return BROKEN_PIPE
    if isinstance(error, OSError) and error.errno in _FULL:
        where = error.filename or "standard output"
        return _say(f"no space is left to write {where}: free some and try again", ResourceError.exit_code)
    if isinstance(error, MemoryError):
        return _say(
            "out of memory: give a smaller corpus or model, or close other programs", ResourceError.exit_code
        )
    summary = safe_line(f"{type(error).__name__}: {error}")[:200].rstrip(": ")
    return _say(f"this is a defect of tinygpt, not of yours ({summary}); details in {_crash_file(error)}", 1)


def _say(sentence: str, code: int) -> int:
    narrate_raw(f"error: {safe_line(sentence)}\n")
    return code


def _usage(error: BaseException) -> str:
    """Click's message as one sentence in our manner, with the help page that answers it."""
    message = " ".join(str(error.format_message()).split())  # type: ignore[attr-defined]
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "tinygpt"
    return f"{message[:1].lower()}{message[1:].rstrip('.')} (try '{path} --help')"


def _crash_file(error: BaseException) -> str:
    """Writes a report into a file that only the user can read; returns its name, or why there is none."""
    import platform
    import traceback

    from tinygpt_tui import __version__

    report = "".join(
        (
            f"tinygpt {__version__}, Python {platform.python_version()}, {platform.platform()}\n",
            f"arguments: {sys.argv[1:]!r}\n\n",
            # Without local variables: they may hold a person's texts.
            *traceback.format_exception(error),
        )
    )
    data = safe_text(report).encode("utf-8")
    name = f"crash-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
    try:
        return str(_write_private(_state_dir() / name, data))
    except (OSError, TinygptError):
        import tempfile

        try:
            return str(_write_private(Path(tempfile.mkdtemp(prefix="tinygpt-")) / name, data))
        except OSError as failed:
            return f"no file, because none could be written ({failed.strerror or failed})"


def _state_dir() -> Path:
    from engine.storage import make_private_dir
    from tinygpt_tui.paths import user_paths

    folder = user_paths().state
    make_private_dir(folder)
    return folder


def _write_private(path: Path, data: bytes) -> Path:
    from engine.storage import write_new

    write_new(path, data)
    return path
