"""Found by PYTHONPATH in every Python process that a test starts: one that would leave this machine ends at once, and says so."""

from __future__ import annotations

import importlib.machinery
import os
import sys
from pathlib import Path

import only_this_machine


def end(what: str) -> None:
    os.write(2, f"\na process of a test would have left this machine: {what}\n".encode("ascii", "replace"))
    os._exit(only_this_machine.CODE)


only_this_machine.watch(end)

# An installation may have a module of this name, which Python needs.
elsewhere = [path for path in sys.path if Path(path or ".").resolve() != Path(__file__).resolve().parent]
if (found := importlib.machinery.PathFinder.find_spec(__name__, elsewhere)) and found.loader and found.origin:
    found.loader.exec_module(sys.modules[__name__])
