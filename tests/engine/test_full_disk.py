"""A disk that fills up under a real trainer costs checkpoints, never the run: it goes on, says since when nothing is saved, and saves when it can."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine import sizing
from engine.checkpoint import checkpoints, find_checkpoint
from engine.event_log import read_events
from engine.events import Event, Saved, Warn
from engine.runs import RunFolder
from engine.sizing import little_room

resource = pytest.importorskip("resource")
LINUX = sys.platform == "linux"
ROOM = 6_000_000  # bytes of the disk in the test of a real one
ENDLESS = {"steps": 10**6, "sample_chars": 0, "save_every": 20, "eval_every": 10**6}


def of(kind: type[Event], folder: RunFolder) -> list[Any]:
    return [event for event in read_events(folder) if isinstance(event, kind)]


def unsaved_since(folder: RunFolder) -> list[Warn]:
    return [event for event in of(Warn, folder) if event.message.startswith("Not saved since step ")]


@pytest.mark.skipif(not LINUX, reason="needs prlimit, which changes the limit of another process")
def test_a_run_whose_files_may_not_grow_goes_on_and_is_saved_as_soon_as_they_may(world: Any) -> None:
    folder = world.run("run", **ENDLESS)
    child = world.spawn(folder)

    def until(condition: Callable[[], object]) -> None:
        world.until(lambda: child.poll() is not None or condition())
        assert child.poll() is None, child.stdout.read()

    until(lambda: of(Saved, folder))
    size = (checkpoints(folder)[0].path / "training.safetensors").stat().st_size
    _, hard = resource.prlimit(child.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (size - 1, hard))
    until(lambda: unsaved_since(folder))
    warning = unsaved_since(folder)[0]
    acknowledged = [saved.step for saved in of(Saved, folder)]
    assert f"Not saved since step {acknowledged[-1]}: No space is left" in warning.message
    assert checkpoints(folder)[0].step == acknowledged[-1]
    until(lambda: world.steps(folder)[-1][0] > warning.step + 5)  # it goes on
    resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (hard, hard))
    until(lambda: of(Saved, folder)[-1].step > warning.step)
    resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (size - 1, hard))
    until(
        lambda: len(unsaved_since(folder)) > 1 and unsaved_since(folder)[-1].step > of(Saved, folder)[-1].step
    )
    child.send_signal(signal.SIGTERM)
    assert child.wait() == 4  # the end of a run whose last step could not be saved is no good end
    assert "last checkpoint" in folder.read_status().message
    found, skipped = find_checkpoint(folder, "last")
    assert (found.step, skipped) == (of(Saved, folder)[-1].step, [])
    assert not list(folder.checkpoints.glob(".tmp-*"))


class Disk:
    """A file system of its own, as large as it is made, in the namespace of a process; nobody needs to be anybody special for that."""

    def __init__(self, point: Path, seed: Path) -> None:
        """`seed` is copied into it, and a trainer begins with the run "run" there."""
        make = 'mount -t tmpfs -o size="$1",mode=700 none "$2" && cp -a "$3"/. "$2" && touch "$2"/there && shift 3 && exec "$@"'
        trainer = [sys.executable, "-m", "engine", "train", str(point / "runs" / "run")]
        self.child = subprocess.Popen(
            ["unshare", "--map-root-user", "--mount", "sh", "-c", make, "sh", str(ROOM), str(point), str(seed), *trainer],
            cwd=Path(sizing.__file__).parents[1], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        self._inside = Path(f"/proc/{self.child.pid}/root{point}")
        self._kept = -1

    def is_there(self) -> bool:
        return (self._inside / "there").exists()

    def keep(self) -> Path:
        """From now on it outlives its process, at the path that is given back."""
        self._kept = os.open(self._inside, os.O_RDONLY)
        return Path(f"/proc/self/fd/{self._kept}")

    def fill(self, but: int) -> None:
        """Leaves so many bytes free."""
        with (self._inside / "filler").open("ab") as filler:
            while (free := shutil.disk_usage(self._inside).free) > but:
                with suppress(OSError):  # the trainer was quicker
                    os.posix_fallocate(filler.fileno(), filler.seek(0, os.SEEK_END), free - but)

    def empty(self) -> None:
        (self._inside / "filler").unlink()

    def close(self) -> None:
        self.child.kill()
        self.child.wait()
        if self.child.stdout:
            self.child.stdout.close()
        if self._kept >= 0:
            os.close(self._kept)


@pytest.fixture
def disk(tmp_path: Path, world: Any) -> Iterator[Disk]:
    allowed = LINUX and shutil.which("unshare") is not None
    if allowed:
        tried = subprocess.run(["unshare", "--map-root-user", "--mount", "true"], capture_output=True)
        allowed = tried.returncode == 0
    if not allowed:
        pytest.skip("this system lets nobody have a file system of their own")
    world.run("run", **ENDLESS)
    (tmp_path / "disk").mkdir()
    made = Disk(tmp_path / "disk", world.data)
    yield made
    made.close()


def test_a_disk_that_is_really_full_costs_no_run_and_no_checkpoint_that_was_told(
    world: Any, disk: Disk
) -> None:
    def until(condition: Callable[[], object]) -> None:
        world.until(lambda: disk.child.poll() is not None or condition())
        assert disk.child.poll() is None, disk.child.stdout and disk.child.stdout.read()

    until(disk.is_there)
    folder = RunFolder(disk.keep() / "runs" / "run")
    until(lambda: of(Saved, folder))
    assert any("MB free and this run may take" in warning.message for warning in of(Warn, folder))
    size = sum(path.stat().st_size for path in checkpoints(folder)[0].path.iterdir())
    disk.fill(but=size // 2)  # events still fit, and checkpoints do not
    until(lambda: unsaved_since(folder))
    warning = unsaved_since(folder)[0]
    assert checkpoints(folder)[0].step == [s.step for s in of(Saved, folder)][-1] < warning.step
    until(lambda: world.steps(folder)[-1][0] > warning.step + 5)
    disk.empty()
    until(lambda: of(Saved, folder)[-1].step > warning.step)
    disk.fill(but=0)  # and now nothing at all
    before = of(Saved, folder)[-1].step
    disk.child.send_signal(signal.SIGTERM)
    said = disk.child.communicate()[0].decode()
    assert disk.child.returncode == 4 and "Traceback" not in said
    assert said.splitlines()[-1].startswith("error: ") and "last checkpoint" in said
    found, skipped = find_checkpoint(folder, "last")
    assert found.step >= before and skipped == []


def test_little_room_for_checkpoints_is_told_before_the_first_step_and_refuses_nothing(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = 800_000
    need = sizing.CHECKPOINTS * sizing.CHECKPOINT_BYTES * params + sizing.SPARE_BYTES
    for free, told in ((need, 0), (need - 1, 1), (0, 1)):
        monkeypatch.setattr("shutil.disk_usage", lambda path, free=free: SimpleNamespace(free=free))
        assert len(little_room(world.data, params)) == told
    assert little_room(world.data / "gone", 1)  # nothing is free there, whoever is asked
    folder = world.run("run", steps=3)
    assert world.train(folder) == 0
    (warning,) = of(Warn, folder)
    assert (warning.step, "0 MB free and this run may take 5" in warning.message) == (0, True)


def test_where_nobody_can_tell_how_much_is_free_nothing_is_said(tmp_path: Path) -> None:
    assert little_room(tmp_path / "gone", 1) == []
