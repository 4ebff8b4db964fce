"""Copying: every way is tried, none can hang, and what is told is true."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tinygpt_tui.clipboard import OSC_LIMIT, copy_natively, native_commands, outcome


def program(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def bin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder of programs besides the shell's."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/bin:/usr/bin")
    return folder


def test_each_desktop_has_its_program() -> None:
    assert native_commands({}, "darwin") == [["pbcopy"]]
    assert native_commands({}, "linux") == []
    assert native_commands({"WAYLAND_DISPLAY": "w"}, "linux")[0] == ["wl-copy"]
    assert native_commands({"DISPLAY": ":0"}, "linux")[0][0] == "xclip"
    assert native_commands({"TMUX": "x"}, "linux") == [["tmux", "load-buffer", "-w", "-"]]
    assert native_commands({"WSL_DISTRO_NAME": "x"}, "linux") == [["clip.exe"]]


def test_the_exact_text_arrives(bin: Path, tmp_path: Path) -> None:
    program(bin, "wl-copy", f"cat > {tmp_path}/got")
    text = "[b]Grüße\n\t😀[/b] \x1b[31m"
    assert copy_natively(text, {"WAYLAND_DISPLAY": "w"}) == "wl-copy"
    assert (tmp_path / "got").read_bytes() == text.encode()


def test_a_program_that_fails_is_followed_by_the_next(bin: Path) -> None:
    program(bin, "wl-copy", "cat >/dev/null; exit 1")
    program(bin, "xclip", "cat >/dev/null")
    assert copy_natively("a", {"WAYLAND_DISPLAY": "w", "DISPLAY": ":0"}) == "xclip"


def test_a_program_that_hangs_is_given_up(bin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tinygpt_tui.clipboard.SECONDS", 0.2)
    program(bin, "wl-copy", "exec sleep 60")
    began = time.monotonic()
    assert copy_natively("a", {"WAYLAND_DISPLAY": "w"}) is None
    assert time.monotonic() - began < 30


def test_one_that_stays_in_the_background_with_our_pipes_does_not_hold_us(bin: Path) -> None:
    program(bin, "wl-copy", "cat >/dev/null; sleep 60 & exit 0")
    began = time.monotonic()
    assert copy_natively("a", {"WAYLAND_DISPLAY": "w"}) == "wl-copy"
    assert time.monotonic() - began < 30


def test_what_is_told_names_what_worked() -> None:
    assert "xclip" in outcome("ab", "xclip") and "2 characters" in outcome("ab", "xclip")
    assert "OSC 52" in outcome("a", None) and "none says so" in outcome("a", None)
    big = "a" * (OSC_LIMIT + 1)
    assert "OSC" not in outcome(big, "xclip")
    assert "too many" in outcome(big, None) and "export" in outcome(big, None)
