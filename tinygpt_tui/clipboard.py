"""Copying text out of the playground by every way there is, and saying honestly which one worked.

A terminal may take text by an escape sequence (OSC 52) and never says whether it did; a desktop has a program that takes it on its
standard input and says so. Both are used. Left out: what is copied; it is always the exact source text.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping

SECONDS = 1.0  # a clipboard program that takes longer is waiting for something that does not come
OSC_LIMIT = 74_000  # bytes of text; the base64 of more is cut off or refused by common terminals


def native_commands(environment: Mapping[str, str], platform: str = sys.platform) -> list[list[str]]:
    """The programs that put standard input on this desktop's clipboard, best first, whether or not they are installed."""
    if platform == "darwin":
        return [["pbcopy"]]
    commands = []
    if environment.get("WAYLAND_DISPLAY"):
        commands.append(["wl-copy"])
    if environment.get("DISPLAY"):
        commands += [["xclip", "-selection", "clipboard"], ["xsel", "--clipboard", "--input"]]
    if environment.get("WSL_DISTRO_NAME"):
        commands.append(["clip.exe"])
    if environment.get("TMUX"):
        commands.append(["tmux", "load-buffer", "-w", "-"])
    return commands


def copy_natively(text: str, environment: Mapping[str, str] | None = None) -> str | None:
    """Hands `text` to the first program that takes it; its name, or None if none did. Takes up to a second each: not for the loop."""
    environment = os.environ if environment is None else environment
    data = text.encode("utf-8", "replace")
    for command in native_commands(environment):
        if (found := shutil.which(command[0])) is None:
            continue
        try:
            # Some stay in the background and hold every pipe they were given, so they get none but the text.
            subprocess.run(
                [found, *command[1:]],
                input=data,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=SECONDS,
                check=True,
            )
            return command[0]
        except (OSError, subprocess.SubprocessError):
            continue
    return None


def outcome(text: str, native: str | None) -> str:
    """What to tell a person after both ways were tried."""
    size = f"{len(text):,} character{'s' if len(text) != 1 else ''}"
    sent = len(text.encode("utf-8", "replace")) <= OSC_LIMIT
    if native and sent:
        return f"Copied {size} with {native}, and sent to the terminal (OSC 52)."
    if native:
        return f"Copied {size} with {native}."
    if sent:
        return f"Sent {size} to the terminal (OSC 52): most take it, none says so. Export saves to a file instead."
    return f"{size} are too many for the terminal's clipboard, and no clipboard program was found: export to a file instead."
