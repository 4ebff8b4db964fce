"""All benchmarks in their short form, one after the other, within a quarter of an hour: `python -m benchmarks`, which is `make bench`.

Each is a process of its own with a time limit. One that fails or takes too long is told, hides nothing of the others, and makes the exit code
1. `--json FILE` writes what all of them found, with the conditions of each, and again after each, so that an interruption loses nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.shared import ROOT, Row, narrate, show, source
from engine.errors import TinygptError, UsageError
from engine.storage import dump_json, write_atomic

GRACE = 20.0  # seconds from asking a benchmark to end to ending it


@dataclass(frozen=True)
class Part:
    """A benchmark, what is asked of it, and after how many seconds it has failed.

    Attributes:
        reads: whether it has a `--text`.
        module: where it is, if not in this folder.
    """

    name: str
    arguments: tuple[str, ...] = ("--short",)
    limit: float = 120.0
    reads: bool = False
    module: str = ""


# What needs few cores first: the load that others see is then not yet our own.
PARTS = (
    Part("start_up", limit=60),
    Part("generation", limit=140),
    Part("training_speed", limit=160, reads=True),
    Part("learning", ("--short", "--against", "nanogpt", "--ladder"), limit=240, reads=True),
    Part("preparation", ("--megabytes", "100"), limit=40),
    Part("memory", limit=80),
    Part("ranks", limit=90, reads=True),
    Part("ui", limit=90),
)


def main(argv: Sequence[str] | None = None, parts: Sequence[Part] = PARTS) -> int:
    names = [part.name for part in parts]
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="where everything is written")
    parser.add_argument(
        "--text", help="what is learned, where something is: a corpus of the catalogue, or a file"
    )
    parser.add_argument(
        "--only", nargs="+", choices=names, metavar="NAME", help=f"some of {', '.join(names)}"
    )
    options = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    chosen = [part for part in parts if options.only is None or part.name in options.only]
    began = time.monotonic()
    told: Row = {"date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "parts": []}
    try:
        if options.json is not None:
            _write(options.json, told)
        for found in run_parts(chosen, options.text):
            told["parts"].append(found)
            told["seconds"] = time.monotonic() - began
            if found["report"] is not None:
                show(found["report"])
            if options.json is not None:
                _write(options.json, told)
    except TinygptError as error:
        narrate(f"error: {error}")
        return error.exit_code
    problems = [f"{found['name']}: {found['problem']}" for found in told["parts"] if found["problem"]]
    for problem in problems:
        narrate(f"error: {problem}")
    narrate(f"{len(chosen) - len(problems)} of {len(chosen)} benchmarks in {time.monotonic() - began:.0f} s")
    return 1 if problems else 0


def _write(path: Path, told: Row) -> None:
    if not path.parent.is_dir():
        raise UsageError(f"{path.parent} is no folder, so {path.name} cannot be written there.")
    write_atomic(path, dump_json(told, indent=1) + b"\n")


def run_parts(parts: Sequence[Part], text: str | None = None) -> Iterator[Row]:
    """Each part's report as soon as it is there: its name, seconds, exit code, problem (or None), and what it printed (or None)."""
    for part in parts:
        reading = ("--text", source(text)) if text is not None and part.reads else ()
        narrate(f"{part.name}, at most {part.limit:g} s")
        yield run_part(part, reading)


def run_part(part: Part, more: Sequence[str] = ()) -> Row:
    command = [
        sys.executable,
        "-m",
        part.module or f"benchmarks.{part.name}",
        "--json",
        *part.arguments,
        *more,
    ]
    began, late = time.monotonic(), False
    # A group of its own, so that its children end with it.
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        try:
            out, _ = process.communicate(timeout=part.limit)
        except subprocess.TimeoutExpired:
            late = True
            out = _end(process)
        except BaseException:
            _end(process)
            raise
    report = _report(part.name, out)
    problem = report.get("problem") if report else None
    if late:
        problem = f"not done after {part.limit:g} s"
    elif process.returncode and not problem:
        problem = f"ended with {process.returncode}"
    elif report is None:
        problem = "printed no report"
    return {
        "name": part.name,
        "arguments": list(part.arguments),
        "seconds": time.monotonic() - began,
        "code": process.returncode,
        "problem": problem,
        "report": report,
    }


def _end(process: subprocess.Popen[bytes]) -> bytes:
    """Asks it to end, so that it takes its children with it, then ends all of them; what it printed last."""
    process.terminate()
    try:
        return process.communicate(timeout=GRACE)[0]
    except subprocess.TimeoutExpired:
        return b""
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _report(part: str, out: bytes) -> Row | None:
    """What a benchmark printed, if that is an object."""
    try:
        report = json.loads(out.splitlines()[-1])
    except (ValueError, IndexError):
        return None
    if not isinstance(report, dict):
        return None
    # A benchmark of one figure may print that alone.
    return report if "results" in report else {"benchmark": part, "conditions": {}, "results": [report]}


if __name__ == "__main__":
    sys.exit(main())
