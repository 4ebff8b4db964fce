"""Begins a run in a process of its own, for an interface that must not wait for a text to be read: `python -m engine begin`.

On standard input comes one line of JSON, what is asked; on standard output go lines of JSON: how far reading is, that it is done, and at
last the run's name or what went wrong. Between reading the text and making the run's folder it waits for a second line: whoever asked and
has thought better of it, or has died, closes the pipe instead, and nothing is left. Starting the trainer is left to whoever asked.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any

from engine.errors import ResourceError, TinygptError
from engine.printable import printable

TELL_SECONDS = 0.2
GO = b"go\n"


def asked_line(
    data_dir: Path,
    cache_dir: Path,
    source: str,
    *,
    name: str | None,
    size: str,
    values: dict[str, Any],
    encoding: str | None,
    force_text: bool,
    force: bool,
) -> bytes:
    """What is asked, as one line; the arguments are those of `corpus_of` and `new_run`."""
    asked = {
        "data": str(data_dir.absolute()), "cache": str(cache_dir.absolute()), "source": source, "name": name, "size": size,
        "values": values, "encoding": encoding, "force_text": force_text, "force": force,
    }  # fmt: skip
    return json.dumps(asked).encode() + b"\n"


def main() -> int:
    """Returns the exit code of the error, if there is one."""
    try:
        return _begin(json.loads(sys.stdin.buffer.readline()))
    except BrokenPipeError:  # nobody listens
        return 0
    except KeyboardInterrupt:
        return 130
    except TinygptError as error:
        return _failed(str(error), error.exit_code)
    except MemoryError:
        said = "There is too little memory for this text: end other programs, or take a smaller one."
        return _failed(said, ResourceError.exit_code)
    except Exception as error:
        traceback.print_exc(file=sys.stderr)
        what = f"{type(error).__name__}: {printable(str(error))}"
        return _failed(f"This failed because of a defect of tinygpt ({what}): report it.", 1)


def _begin(asked: dict[str, Any]) -> int:
    from engine.large_text import corpus_of
    from engine.launch import new_run

    due = 0.0

    def tell(read: int, total: int) -> None:
        nonlocal due
        if (now := time.monotonic()) >= due:
            due = now + TELL_SECONDS
            _say({"read": read, "total": total})

    how = {"encoding": asked["encoding"], "force_text": asked["force_text"]}
    data_dir, cache_dir = Path(asked["data"]), Path(asked["cache"])
    corpus = corpus_of(asked["source"], **how, force=asked["force"], cache_dir=cache_dir, tell=tell)
    _say({"done": True})
    if sys.stdin.buffer.readline() != GO:
        return 0
    folder = new_run(data_dir, corpus, name=asked["name"], size=asked["size"], values=asked["values"], **how)
    _say({"run": folder.name, "notices": corpus.notices})
    return 0


def _failed(message: str, code: int) -> int:
    with suppress(BrokenPipeError):
        _say({"error": message})
    return code


def _say(told: dict[str, Any]) -> None:
    rest = memoryview(json.dumps(told).encode() + b"\n")
    while rest:
        rest = rest[os.write(1, rest) :]
