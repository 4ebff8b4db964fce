"""A benchmark that measures nothing, and fails, waits, or ignores all requests to end if it is asked to."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.shared import Row, main
from engine.errors import ResourceError


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--fail", action="store_true")
    parser.add_argument("--wait", type=Path, help="with a child, whose id is written there")
    parser.add_argument("--deaf", action="store_true")


def measure(options: argparse.Namespace) -> Iterator[Row]:
    yield {"what": "nothing", "ms": 1.5, "each": [1.0, 1.5, 2.0]}
    if options.fail:
        raise ResourceError("There is too little of something.")
    if options.deaf:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if options.wait:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        options.wait.write_text(str(child.pid))
        child.wait()


if __name__ == "__main__":
    sys.exit(main("small", __doc__, measure, add_options))
