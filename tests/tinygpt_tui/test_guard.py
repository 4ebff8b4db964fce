"""The program finds its own packages or says why not, and a stranger's code never runs."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from tinygpt_tui import guard

DECOY = "from pathlib import Path\nPath(__file__).with_name('it-ran').touch()\nraise SystemExit(99)\n"


def run_from(folder: Path, *command: str, **env: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **env}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60
    )  # fmt: skip


@pytest.fixture(params=["engine.py", "engine/__init__.py", "models/__init__.py"])
def decoy(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "project" / request.param
    path.parent.mkdir(parents=True)
    path.write_text(DECOY)
    return path


def assert_refused(done: subprocess.CompletedProcess[str], decoy: Path) -> None:
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("error: ")
    assert str(tmp_name(decoy)) in done.stderr and "PYTHONPATH" in done.stderr
    assert not decoy.with_name("it-ran").exists()


def tmp_name(decoy: Path) -> Path:
    return decoy.parent if decoy.name == "__init__.py" else decoy


def test_nothing_is_wrong_with_our_own_packages() -> None:
    assert guard.problem() is None


def test_a_decoy_on_pythonpath_is_named_and_not_run(decoy: Path) -> None:
    folder = tmp_name(decoy).parent
    script = "import sys; from tinygpt_tui.__main__ import main; sys.exit(main())"
    done = run_from(folder, sys.executable, "-P", "-c", script, "--version", PYTHONPATH=".")
    assert_refused(done, decoy)


def test_a_decoy_in_the_folder_of_python_dash_m_is_named_and_not_run(decoy: Path) -> None:
    done = run_from(tmp_name(decoy).parent, sys.executable, "-m", "tinygpt_tui", "--version")
    assert_refused(done, decoy)


def test_a_decoy_in_the_current_folder_alone_does_no_harm(decoy: Path) -> None:
    # As a console script starts: the current folder is not on the path.
    script = "import sys; from tinygpt_tui.__main__ import main; sys.exit(main())"
    done = run_from(tmp_name(decoy).parent, sys.executable, "-P", "-c", script, "--version")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_folder_without_init_does_not_hide_ours(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    done = run_from(tmp_path, sys.executable, "-m", "tinygpt_tui", "--version")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_missing_package_and_an_overwritten_one_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find(name: str) -> ModuleSpec | None:
        return importlib.util.spec_from_file_location(name, tmp_path / name / "__init__.py")

    monkeypatch.setattr(guard.importlib.util, "find_spec", find)
    assert "overwritten by another package" in str(guard.problem(tmp_path))
    for name, marker in guard.MARKERS.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / marker).touch()
    assert guard.problem(tmp_path) is None
    monkeypatch.setattr(guard.importlib.util, "find_spec", lambda name: None)
    assert "missing or damaged" in str(guard.problem(tmp_path))


def test_a_hostile_folder_name_cannot_drive_the_terminal(tmp_path: Path) -> None:
    folder = tmp_path / "a\x1b[31m\nb"
    folder.mkdir()
    (folder / "engine.py").write_text(DECOY)
    done = run_from(folder, sys.executable, "-m", "tinygpt_tui", PYTHONPATH=str(folder))
    assert done.returncode == 2
    assert "\x1b" not in done.stderr and done.stderr.count("\n") == 1
