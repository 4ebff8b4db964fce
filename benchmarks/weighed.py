"""Runs a module as `python -m` would and writes how much memory it took: `python -m benchmarks.weighed REPORT MODULE ARGUMENT…`."""

from __future__ import annotations

import json
import re
import resource
import runpy
import sys
from contextlib import suppress
from pathlib import Path


def peak_bytes() -> int:
    """The most memory this process has had resident.

    What the system keeps for `getrusage` begins with the peak of whoever started us, so where there is a better source, that one is read.
    """
    with suppress(OSError):
        if found := re.search(
            r"^VmHWM:\s+(\d+) kB$", Path("/proc/self/status").read_text(encoding="ascii"), re.MULTILINE
        ):
            return int(found[1]) * 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def main() -> None:
    report, module = Path(sys.argv[1]), sys.argv[2]
    sys.argv = [module, *sys.argv[3:]]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        report.write_text(json.dumps({"peak_bytes": peak_bytes()}), encoding="utf-8")


if __name__ == "__main__":
    main()
