"""Two corpora that every Python carries with it: the topics behind `help()`, and its library's sources.

Both depend on the interpreter, not on this program: one interpreter always gives the same text, two versions
may differ.

Left out: the library's tests, its larger applications (idlelib, tkinter, lib2to3), and files that are mostly
tables.
"""

from __future__ import annotations

import sysconfig
from pathlib import Path

from engine.errors import CorpusError

CODE_CHARS = 4_000_000
_FILE_CHARS = 50_000  # a few giants would otherwise be a third of the text, and push the rest out
_PACKAGES = (
    "asyncio", "collections", "concurrent", "email", "html", "http", "importlib", "json", "logging", "re",
    "sqlite3", "tomllib", "urllib", "xml", "zoneinfo",
)  # fmt: skip
# Made by whoever built or installed the interpreter, with paths of their machine.
_NOT_CODE = ("_sysconfigdata", "sitecustomize", "usercustomize")


def python_docs() -> str:
    """The topics of Python's own help, sorted by name; about half a million characters.

    Raises:
        CorpusError: this interpreter comes without them.
    """
    try:
        from pydoc_data import topics
    except ImportError:
        raise CorpusError(
            "This Python comes without its help topics (pydoc_data): use another corpus, such as python-code."
        ) from None
    return "\n\n\n".join(text.strip("\n") for _, text in sorted(topics.topics.items())) + "\n"


def python_code(limit: int = CODE_CHARS, root: Path | None = None) -> str:
    """Sources of the standard library, sorted, each under its name, at most `limit` characters.

    Args:
        root: a folder of sources instead of the interpreter's own.

    Raises:
        CorpusError: this interpreter comes without its sources.
    """
    root = root or Path(sysconfig.get_path("stdlib"))
    paths = list(root.glob("*.py"))
    for package in _PACKAGES:
        paths += (root / package).rglob("*.py")
    parts, left = [], limit
    for path in sorted(paths, key=lambda p: p.parts):
        name = path.relative_to(root)
        if path.name.startswith(_NOT_CODE) or not {"test", "tests"}.isdisjoint(name.parts):
            continue
        code = _source(path)
        part = f"# {name.as_posix()}\n\n{code}\n\n"
        if code and len(code) <= _FILE_CHARS and len(part) <= left:
            parts.append(part)
            left -= len(part)
    if not parts:
        raise CorpusError(
            "This Python comes without its library's sources: use another corpus, such as tales."
        )
    return "".join(parts)


def _source(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip("\n")
    except (OSError, UnicodeDecodeError):
        return ""
