"""Where things are kept, whatever the environment says."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from engine.errors import SettingsError, UsageError
from tinygpt_tui.paths import user_paths


def test_tinygpt_home_puts_all_four_folders_under_one(tmp_path: Path) -> None:
    paths = user_paths({"TINYGPT_HOME": str(tmp_path)})
    assert (paths.config, paths.data, paths.cache, paths.state) == tuple(
        tmp_path / name for name in ("config", "data", "cache", "state")
    )
    assert paths.config_file == tmp_path / "config" / "config.toml"
    assert {paths.runs_dir, paths.corpora_dir, paths.trash} == {
        tmp_path / "data" / name for name in ("runs", "corpora", "trash")
    }


def test_asking_for_paths_makes_no_folder(tmp_path: Path) -> None:
    user_paths({"TINYGPT_HOME": str(tmp_path / "new")})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", ["here", "./here", "~/here"])
def test_a_relative_tinygpt_home_is_refused(value: str) -> None:
    with pytest.raises(UsageError, match="not an absolute folder"):
        user_paths({"TINYGPT_HOME": value})


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS has its own folders")
def test_xdg_variables_are_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CONFIG", "DATA", "CACHE", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name))
    paths = user_paths({"TINYGPT_HOME": ""})
    assert paths.config == tmp_path / "CONFIG" / "tinygpt"
    assert paths.runs_dir == tmp_path / "DATA" / "tinygpt" / "runs"


@pytest.mark.parametrize("home", [None, "somewhere"])
def test_a_user_without_a_home_gets_a_clear_error(home: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(uid: int) -> None:
        raise KeyError(uid)

    for name in list(os.environ):
        if name.startswith("XDG_"):
            monkeypatch.delenv(name)
    monkeypatch.delenv("HOME", raising=False)
    if home is not None:
        monkeypatch.setenv("HOME", home)
    monkeypatch.setattr("pwd.getpwuid", nobody)
    with pytest.raises(
        SettingsError, match=r"no home folder found \(HOME is .*TINYGPT_HOME to an absolute folder"
    ):
        user_paths({})
