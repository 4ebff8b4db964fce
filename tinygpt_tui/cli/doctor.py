"""`tinygpt doctor`: what this machine, terminal and installation can do, for a person and for a report.

It changes nothing, and it never fails because of what it finds: whatever cannot be told says why.
"""

from __future__ import annotations

import locale
import os
import platform
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import typer

from tinygpt_tui import __version__
from tinygpt_tui.cli.help import command, new_app

Section = dict[str, str]

app = new_app()


@command(
    app,
    """
    tinygpt doctor
    tinygpt doctor --json | jq .engine
    """,
)
def doctor(as_json: bool = typer.Option(False, "--json", help="One JSON object.")) -> None:
    """Show what this machine and terminal can do."""
    from tinygpt_tui.cli.output import emit, emit_json

    sections: dict[str, Callable[[], Section]] = {
        "program": program,
        "terminal": lambda: terminal(os.environ),
        "folders": folders,
        "memory": memory,
        "engine": engine,
    }
    if as_json:
        emit_json({name: examined(look) for name, look in sections.items()})
        return
    for name, look in sections.items():
        emit(name)
        for key, value in examined(look).items():
            emit(f"  {key:<17} {value}")


def examined(look: Callable[[], Section]) -> Section:
    """What `look` finds, or the reason why it finds nothing."""
    try:
        return look()
    except Exception as error:  # a broken installation is what a doctor is called for
        return {"not available": f"{error}" or type(error).__name__}


def program() -> Section:
    """This program and the Python that runs it."""
    return {
        "tinygpt": __version__,
        "python": f"{platform.python_version()} ({sys.executable})",
        "system": platform.platform(),
        "installed in": str(Path(__file__).resolve().parents[2]),
    }


def terminal(environment: Mapping[str, str]) -> Section:
    """What the program is connected to, and what the terminal says of itself."""
    from tinygpt_tui.cli.output import is_terminal

    ends = {"stdin": sys.stdin, "stdout": sys.stdout, "stderr": sys.stderr}
    columns, lines = shutil.get_terminal_size()
    return {
        "connected": ", ".join(name for name, stream in ends.items() if is_terminal(stream))
        or "to no terminal",
        "size": f"{columns} columns, {lines} lines",
        "TERM": environment.get("TERM") or "unset",
        "program": environment.get("TERM_PROGRAM") or "unknown",
        "inside": ", ".join(_layers(environment)) or "nothing",
        "colours": colors(environment),
        "encoding": f"{getattr(sys.stdout, 'encoding', None)} (locale {locale.getpreferredencoding(False)})",
    }


def colors(environment: Mapping[str, str]) -> str:
    """How many colours the terminal has, as far as the environment tells."""
    term = environment.get("TERM", "")
    if environment.get("NO_COLOR"):
        return "none (NO_COLOR is set)"
    if term in ("", "dumb"):
        return "none"
    if environment.get("COLORTERM", "").lower() in ("truecolor", "24bit"):
        return "16 million"
    return "256" if "256" in term else "16"


def folders() -> Section:
    """Our folders, whether they can be written, and the free space where runs go."""
    from tinygpt_tui.paths import user_paths

    p = user_paths()
    result = {name: f"{path} ({_writable(path)})" for name, path in vars(p).items()}
    result["free for runs"] = f"{shutil.disk_usage(_existing(p.runs_dir)).free / 1e9:,.1f} GB"
    return result


def memory() -> Section:
    """The machine's memory."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {"in all": f"{total / 1e9:,.1f} GB"}


def engine() -> Section:
    """What the engine will compute with; this loads torch, which takes a second."""
    from engine.device import describe
    from models import kernel
    from tinygpt_tui.paths import user_paths
    from tinygpt_tui.settings_file import load

    kernel.use(user_paths().kernels if load().settings.engine.compile == "auto" else None)
    return dict(describe())


def _layers(environment: Mapping[str, str]) -> list[str]:
    """What stands between us and the person's screen and may swallow keys, colours or the clipboard."""
    signs = {
        "tmux": "TMUX",
        "screen": "STY",
        "ssh": "SSH_CONNECTION",
        "vs code": "VSCODE_INJECTION",
        "wsl": "WSL_DISTRO_NAME",
    }
    found = [name for name, variable in signs.items() if environment.get(variable)]
    if environment.get("TERM_PROGRAM") == "vscode" and "vs code" not in found:
        found.append("vs code")
    return found


def _existing(path: Path) -> Path:
    """`path`, or the nearest folder above it that is there."""
    return next((p for p in (path, *path.parents) if p.exists()), Path("/"))


def _writable(path: Path) -> str:
    existing = _existing(path)
    state = "writable" if os.access(existing, os.W_OK | os.X_OK) and existing.is_dir() else "NOT writable"
    return state if existing == path else f"{state}, not made yet"
