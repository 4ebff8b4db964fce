"""Whatever must survive a crash is written through `engine.storage`: what else changes a disk is listed here, each with its reason."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import engine

ROOT = Path(engine.__file__).parent.parent
PACKAGES = ("engine", "tinygpt_tui", "models")
SEAM = "engine/storage.py"

# Calls that change a disk, by their last name; `open`, `replace` and `write` are looked at more closely.
CHANGES = {
    "write_text", "write_bytes", "unlink", "remove", "removedirs", "rename", "renames", "rmdir", "rmtree", "mkdir", "makedirs",
    "touch", "truncate", "ftruncate", "symlink", "symlink_to", "link", "hardlink_to", "chmod", "utime", "fsync", "fdatasync",
    "sendfile", "pwrite", "writev", "pwritev", "copy", "copy2", "copyfile", "copytree", "move", "mkdtemp", "mkstemp", "mkfifo",
    "TemporaryDirectory", "NamedTemporaryFile", "TemporaryFile", "save_file", "tofile", "memmap", "fdopen", "extractall",
}  # fmt: skip
# The same names on what is no file: they are methods of lists, dicts, sets, texts, arrays and widgets.
NO_FILES = {"remove", "copy", "move", "link", "truncate"}

CACHE = "it can be fetched or made again, and is made anew when it is not whole"
PIPE = "bytes for a pipe or a terminal, not for a disk"
SQLITE = "the play history is SQLite's, which has its own journal"
ALLOWED: dict[tuple[str, str], tuple[int, str]] = {
    ("engine/beginning.py", "os.write"): (1, PIPE),
    ("engine/facts.py", "os.write"): (1, PIPE),
    ("engine/player_process.py", "os.write"): (2, PIPE),
    ("engine/launch.py", "write_text"): (1, "the priority of a process, in /proc"),
    ("engine/follower.py", "TemporaryDirectory"): (1, "what the first process has in its run folder, for as long as another one learns along"),
    ("engine/token_files.py", "unlink"): (2, CACHE),
    ("engine/token_files.py", "utime"): (1, CACHE),
    ("engine/token_files.py", "fdopen"): (1, "it reads"),
    ("engine/corpus_files.py", "fdopen"): (1, "it reads"),
    ("engine/starter_making.py", "TemporaryDirectory"): (1, "for who makes the starter anew, beside the one in the repository"),
    ("engine/starter_making.py", "mkdtemp"): (1, "for who makes the starter anew, beside the one in the repository"),
    ("engine/starter_making.py", "mkdir"): (2, "for who makes the starter anew, beside the one in the repository"),
    ("engine/starter_making.py", "rmtree"): (2, "for who makes the starter anew, beside the one in the repository"),
    ("engine/starter_making.py", "write_text"): (1, "for who makes the starter anew, beside the one in the repository"),
    ("engine/starter_making.py", "write_bytes"): (4, "for who makes the starter anew, beside the one in the repository"),
    ("engine/starter_making.py", "replace"): (1, "for who makes the starter anew, beside the one in the repository"),
    ("models/kernel.py", "mkdir"): (2, CACHE),
    ("models/kernel.py", "fsync"): (1, CACHE),
    ("models/kernel.py", "TemporaryDirectory"): (1, CACHE),
    ("models/kernel.py", "write_text"): (1, CACHE),
    ("models/kernel.py", "replace"): (1, CACHE),
    ("models/kernel.py", "unlink"): (2, CACHE),
    ("models/kernel.py", "touch"): (1, CACHE),
    ("models/kernel.py", "open"): (1, CACHE),
    ("tinygpt_tui/terminal.py", "os.open"): (1, "the null device"),
    ("tinygpt_tui/terminal.py", "os.write"): (1, PIPE),
    ("tinygpt_tui/cli/output.py", "os.open"): (1, "the null device"),
    ("tinygpt_tui/cli/exits.py", "mkdtemp"): (1, "for a report of a crash where the state folder cannot be written"),
    ("tinygpt_tui/files.py", "unlink"): (1, "reports of crashes that make room for newer ones"),
    ("tinygpt_tui/play/history.py", "os.open"): (2, SQLITE),
    ("tinygpt_tui/play/history.py", "sqlite3.connect"): (2, SQLITE),
    ("tinygpt_tui/play/history.py", "rename"): (1, "a damaged history is moved aside, not written"),
    ("tinygpt_tui/play/history_rows.py", "sqlite3.connect"): (1, "in memory, to know the shape of the tables"),
    ("tinygpt_tui/sources/corpus_list.py", "unlink"): (2, "half of a pasted text, of which nobody was told that it is kept"),
    ("tinygpt_tui/sources/corpus_list.py", "rename"): (1, "a damaged list is moved aside, not written"),
}  # fmt: skip


def changes_in(source: str) -> Counter[str]:
    """The calls in a module that may change a disk and do not go through the seam."""
    return Counter(
        name for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call) and (name := _change(node))
    )


def _change(call: ast.Call) -> str:
    whole = ast.unparse(call.func)
    owner, _, name = whole.rpartition(".")
    if owner in ("storage", "storage.ops"):
        return ""
    if whole in ("os.open", "open") or name == "open":
        return ("os.open" if whole == "os.open" else "open") if _opens_to_write(call, whole) else ""
    if whole in ("os.write", "sqlite3.connect"):
        return whole
    if name in ("replace", "rename") and owner != "os":
        # A text's `replace` takes two arguments, and so does a dataclass's; a path's takes one, by place.
        return name if len(call.args) == 1 and not call.keywords and owner and owner != "dataclasses" else ""
    if name in NO_FILES and owner not in ("os", "shutil"):
        return ""
    return name if name in CHANGES or (owner == "os" and name == "replace") else ""


def _opens_to_write(call: ast.Call, whole: str) -> bool:
    if whole == "os.open":
        return any(
            flag in ast.unparse(call.args[1]) for flag in ("WRONLY", "RDWR", "CREAT", "APPEND", "TRUNC")
        )
    given = [*call.args, *(word.value for word in call.keywords if word.arg == "mode")]
    modes = [node.value for node in given if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return any(set(mode) <= set("rwaxbt+") and set(mode) & set("wax+") for mode in modes)


def test_what_must_survive_a_crash_is_written_through_the_seam() -> None:
    found: dict[tuple[str, str], int] = {}
    files = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    for path in files:
        name = path.relative_to(ROOT).as_posix()
        if name != SEAM:
            found |= {(name, call): n for call, n in changes_in(path.read_text(encoding="utf-8")).items()}
    print(f"\n{sum(found.values())} calls beside the seam in {len(files)} modules, each with its reason")
    assert found == {place: number for place, (number, _) in ALLOWED.items()}
    assert len(files) > 100


def test_a_call_beside_the_seam_is_noticed_however_it_is_written() -> None:
    source = """
import os, shutil
from pathlib import Path
Path("x").write_text("a"); (folder / "x").write_bytes(b""); path.open("xb"); open("x", "w"); path.open(mode="r+")
os.open(path, os.O_RDWR | os.O_CREAT); os.replace(a, b); a.replace(b); a.rename(b); path.unlink(); os.remove(path)
shutil.rmtree(path); shutil.copy(a, b); path.mkdir(); path.touch(); os.fsync(fd); tempfile.mkstemp(); os.write(fd, b"")
"""
    assert changes_in(source).total() == 18
    harmless = """
text.replace("a", "b"); replace(recipe, steps=1); path.open("rb"); path.open(); os.open(path, os.O_RDONLY); names.remove("a")
storage.write_new(path, b""); storage.ops.unlink(path); values.copy(); self.open("log"); EventLog.open(folder); path.read_text()
"""
    assert changes_in(harmless) == {}
