"""Checks, before anything is imported, that Python finds our own `engine` and `models`, not a stranger's.

Both names are short enough that other projects use them too: a folder with its own `engine.py` on PYTHONPATH,
or another distribution that installs a package of that name, would be imported in place of ours. The check
looks files up and executes none of them, and it does not repair the search path: a training child inherits
the same environment, so the person has to know.
"""

from __future__ import annotations

import importlib.util
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

from tinygpt_tui.safe_text import safe_line

# A file each package has had from its first version on: tells ours from a namesake installed over it.
MARKERS = {"engine": "errors.py", "models": "config.py"}


def problem(home: Path | None = None) -> str | None:
    """One sentence that says which package is not ours and what to do, or None if all is well.

    Args:
        home: the folder that holds our packages; by default the one that holds `tinygpt_tui`.
    """
    home = (home or Path(__file__).parent.parent).resolve()
    for name, marker in MARKERS.items():
        found = _location(name)
        expected = home / name
        if found is None:
            return (
                f"the package '{name}' that belongs in {safe_line(str(home))} is missing or damaged: "
                "reinstall tinygpt-tui in an environment of its own"
            )
        if found != expected:
            return (
                f"{safe_line(str(found))} hides tinygpt's own package '{name}': "
                f"start the 'tinygpt' command without that folder on PYTHONPATH (now {_python_path()}) "
                "and not with 'python -m', or reinstall tinygpt-tui in an environment of its own"
            )
        if not (expected / marker).is_file():
            return (
                f"{safe_line(str(expected))} was overwritten by another package called '{name}': "
                "reinstall tinygpt-tui in an environment of its own"
            )
    return None


def _location(name: str) -> Path | None:
    """The folder of the package or the file of the module that importing `name` would run, if any."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):  # ValueError: something already imported under this name has no spec
        return None
    if spec is None:
        return None
    path = _path(spec)
    return path.parent if path is not None and path.name == "__init__.py" else path


def _path(spec: ModuleSpec) -> Path | None:
    if spec.origin is not None and spec.has_location:
        return Path(spec.origin).resolve()
    # A namespace package: a folder without __init__.py, found only where no real package is.
    for folder in spec.submodule_search_locations or ():
        return Path(folder).resolve()
    return None


def _python_path() -> str:
    import os

    value = os.environ.get("PYTHONPATH", "")
    return f"'{safe_line(value)}'" if value and not sys.flags.ignore_environment else "unset"
