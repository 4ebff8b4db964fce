"""The built wheel holds our three packages and nothing else at the top, and runs from a folder full of decoys."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)],
        check=True,
        capture_output=True,
        timeout=240,
    )
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of a fresh environment with the wheel in it; the libraries it needs are those of this environment."""
    home = tmp_path_factory.mktemp("venv")
    venv.create(home, with_pip=False)
    python = home / "bin" / "python"
    site = Path(
        subprocess.check_output(
            [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True
        ).strip()
    )
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index", str(wheel)],
        check=True,
        capture_output=True,
    )  # fmt: skip
    # A path file adds the folder without reading the path files in it, so the editable install stays out.
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return home / "bin"


@pytest.fixture
def decoys(tmp_path: Path) -> Path:
    """A folder in which `engine` and `models` are somebody else's; importing one leaves a mark."""
    mark = tmp_path / "decoy-ran"
    code = f"open({str(mark)!r}, 'w').close()\nraise RuntimeError('a decoy was imported')\n"
    folder = tmp_path / "project"
    (folder / "models").mkdir(parents=True)
    (folder / "engine.py").write_text(code)
    (folder / "models" / "__init__.py").write_text(code)
    return folder


def test_the_wheel_brings_only_our_names(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {name for name in tops if not name.endswith(".dist-info")} == {"tinygpt_tui", "engine", "models"}
    assert {"engine/py.typed", "models/py.typed", "tinygpt_tui/py.typed"} <= set(names)
    data = [
        name for name in names if ".dist-info/" not in name and name.endswith((".safetensors", ".pt", ".txt"))
    ]
    kept = [
        str(path.relative_to(ROOT)) for path in ROOT.glob("models/starter/checkpoints/*/model.safetensors")
    ]
    assert data == kept and len(kept) <= 1  # the starter, and nothing of anybody's


def test_the_starter_of_the_wheel_speaks_among_decoys_and_without_it_that_is_said(
    installed: Path, decoys: Path, tmp_path: Path
) -> None:
    environment = {"TINYGPT_HOME": str(tmp_path / "home"), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}

    def sample() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(installed / "tinygpt"), "sample", "-n", "30"],
            cwd=decoys, env=environment, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    (folder,) = installed.parent.glob("lib/*/site-packages/models/starter")
    if (folder / "run.json").is_file():
        spoken = sample()
        assert (spoken.returncode, len(spoken.stdout)) == (0, 30) and "built-in starter" in spoken.stderr
    away = folder.rename(tmp_path / "away")
    try:
        refused = sample()
        assert refused.returncode == 3 and "the starter is missing from this installation" in refused.stderr
    finally:
        away.rename(folder)
    assert not (tmp_path / "decoy-ran").exists()


def test_the_command_runs_among_decoys(installed: Path, decoys: Path, tmp_path: Path) -> None:
    (decoys / "corpus.txt").write_text("a small text about nothing at all, again and again. " * 40)
    environment = {"TINYGPT_HOME": str(tmp_path / "home"), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}

    def tinygpt(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(installed / "tinygpt"), *arguments],
            cwd=decoys, env=environment, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    assert tinygpt("--version").stdout.startswith("tinygpt ")
    trained = tinygpt("train", "corpus.txt", "--steps", "3", "--size", "0.1m", "--name", "tiny", "--json")
    assert trained.returncode == 0, trained.stderr
    assert '"event": "done"' in trained.stdout.splitlines()[-1]
    assert len(tinygpt("sample", "tiny", "-n", "20").stdout) == 20
    assert not (tmp_path / "decoy-ran").exists()


def test_a_detached_trainer_is_ours_among_decoys(installed: Path, decoys: Path, tmp_path: Path) -> None:
    (decoys / "corpus.txt").write_text("a small text about nothing at all, again and again. " * 40)
    environment = {"TINYGPT_HOME": str(tmp_path / "home"), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
    command = [str(installed / "tinygpt")]
    start = [*command, "train", "corpus.txt", "--steps", "3", "--size", "0.1m", "--name", "far", "--detach"]
    subprocess.run(start, cwd=decoys, env=environment, check=True, capture_output=True, timeout=60)
    watched = subprocess.run(
        [*command, "runs", "watch", "far", "--json"],
        cwd=decoys, env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert watched.returncode == 0, watched.stderr
    assert '"event": "done"' in watched.stdout
    assert not (tmp_path / "decoy-ran").exists()
