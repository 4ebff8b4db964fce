"""Files that the playground leaves for a person: named so that none is ever overwritten, and reports of what broke."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from engine.errors import ResourceError, TinygptError
from engine.storage import make_private_dir, save_new

MOST_REPORTS = 20


def here() -> Path:
    """The folder that the playground was started from.

    Raises:
        ResourceError: it is gone.
    """
    try:
        return Path.cwd()
    except OSError:
        raise ResourceError("The folder you started from is gone: nothing can be saved in it.") from None


def free_path(stem: str, suffix: str, folder: Path | None = None) -> Path:
    """A path in `folder` (by default `here()`, and it raises as that) that nothing has yet."""
    folder = folder or here()
    stamp = time.strftime("%Y%m%d-%H%M%S")
    path, n = folder / f"{stem}-{stamp}{suffix}", 1
    while os.path.lexists(path):
        n += 1
        path = folder / f"{stem}-{stamp}-{n}{suffix}"
    return path


def write_new(path: Path, text: str) -> None:
    """Writes `text` into a file that must not exist; when this returns it may be called saved.

    Raises:
        ResourceError: it exists or cannot be written; then nothing of it is left.
    """
    try:
        save_new(path, text.encode("utf-8", errors="surrogatepass"))
    except OSError as error:
        raise ResourceError(f"{path} cannot be written: {error.strerror or error}.") from None


def _age(path: Path) -> tuple[int, int, str]:
    """Sorts reports by when they were written; of those of one moment, -10 comes after -9."""
    return path.stat().st_mtime_ns, len(path.name), path.name


def write_report(state_dir: Path, text: str) -> str:
    """Keeps a report of an error in the state folder; its path, or "" when that is impossible. The oldest make room."""
    folder = state_dir / "reports"
    path = free_path("crash", ".txt", folder)
    try:
        make_private_dir(folder)
        write_new(path, text)
    except (OSError, TinygptError):
        return ""
    with contextlib.suppress(OSError):
        for old in sorted(folder.glob("crash-*.txt"), key=_age)[:-MOST_REPORTS]:
            old.unlink()
    return str(path)
