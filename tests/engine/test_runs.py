"""What run folders promise: safe names, one writer, whole files, an honest state, and a list that nothing breaks."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import engine
from engine import runs, storage
from engine.errors import BusyError, CheckpointError, TinygptError, UsageError
from engine.manifest import seal
from engine.run_list import RunSummary, delete_run, list_runs, newest_run, resolve_run
from engine.runs import Meta, RunFolder, Status, check_name, suggest_name, write_once_json

ROOT = Path(engine.__file__).parent.parent
RUN: dict[str, Any] = {
    "version": 1,
    "run": "tales",
    "recipe": {},
    "model": {"arch": "modern", "vocab_size": 10, "block_size": 8},
    "corpus": {"name": "tales", "sha256": "0" * 64, "chars": 100, "source": "built in"},
    "turns": None,
    "params": 123,
    "created": "2026-01-02T03:04:05+00:00",
}


@pytest.fixture
def runs_dir(tmp_path: Path) -> Path:
    return tmp_path / "data" / "runs"


@pytest.fixture
def folder(runs_dir: Path) -> RunFolder:
    return RunFolder.create(runs_dir, "tales", {"corpus": "tales"})


def status(state: str, **changes: Any) -> Status:
    return Status(
        **{"pid": os.getpid(), "state": state, "step": 5, "heartbeat": 1.0, "horizon": 10, **changes}
    )


def make_old(folder: RunFolder) -> None:
    """As if the request had been written long ago."""
    os.utime(folder.request, (1.0, 1.0))


def add_checkpoint(folder: RunFolder, step: int, val_loss: float) -> None:
    path = folder.checkpoints / f"step-{step:08d}"
    path.mkdir(parents=True)
    (path / "model.safetensors").write_bytes(b"12345678")
    entry = {"name": "model.safetensors", "size": 8, "sha256": "0" * 64}
    data = {"version": 1, "step": step, "state": {"val_loss": val_loss}, "files": [entry]}
    (path / "manifest.json").write_bytes(seal(data))


@contextmanager
def another_process_holds(folder: RunFolder) -> Iterator[subprocess.Popen[str]]:
    code = (
        "import sys; from pathlib import Path; from engine.runs import RunFolder\n"
        "with RunFolder(Path(sys.argv[1])).acquire():\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(folder.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        assert child.stdout.readline() == "held\n"
        yield child
    finally:
        child.kill()
        child.wait()
        child.stdin.close()
        child.stdout.close()


@pytest.mark.parametrize("name", ["tales", "0", "a.b_c-d", "tales-03", "x" * 64, "console", "com10", "nul-1"])
def test_a_plain_name_is_allowed(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../x",
        "a/b",
        "/etc",
        "~",
        "-rf",
        "_x",
        ".hidden",
        "Tales",
        "a b",
        "a\n",
        "a\0b",
        "é",
        "x" * 65,
        "a.",
        "con",
        "nul.txt",
        "com1",
        "lpt9.log",
        "a\\b",
        "a:b",
        "\x1b[31m",
        "tales\u202e",
    ],
)
def test_a_hostile_name_is_refused_and_touches_nothing(runs_dir: Path, name: str) -> None:
    for attempt in (
        lambda: check_name(name),
        lambda: RunFolder.create(runs_dir, name, {}),
        lambda: delete_run(runs_dir, name),
    ):
        with pytest.raises(UsageError):
            attempt()
    assert not runs_dir.exists()


@given(st.text(max_size=80))
def test_every_suggested_name_is_allowed_and_lies_in_the_folder(base: str) -> None:
    name = suggest_name(base, Path("/nonexistent/runs"))
    check_name(name)
    assert Path("/runs", name).parent == Path("/runs")


@pytest.mark.parametrize(
    ("base", "name"),
    [
        ("tales", "tales"),
        ("Fairy Tales.txt", "fairy-tales"),
        ("Übung.md", "ubung"),
        ("CON", "run-con"),
        ("東京", "run"),
    ],
)
def test_a_name_is_made_from_the_corpus_and_numbered_when_taken(runs_dir: Path, base: str, name: str) -> None:
    for expected in (name, f"{name}-2", f"{name}-3"):
        suggested = suggest_name(base, runs_dir)
        assert suggested == expected
        RunFolder.create(runs_dir, suggested, {})


def test_a_new_run_is_private_and_holds_its_request(folder: RunFolder) -> None:
    assert folder.read_request() == {"corpus": "tales"}
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    assert stat.S_IMODE(folder.request.stat().st_mode) == 0o600


def test_an_existing_run_is_never_replaced(runs_dir: Path, folder: RunFolder) -> None:
    with pytest.raises(UsageError, match="choose another name"):
        RunFolder.create(runs_dir, "tales", {"corpus": "other"})
    assert folder.read_request() == {"corpus": "tales"}
    assert [path.name for path in runs_dir.iterdir()] == ["tales"]


def test_a_new_run_appears_whole_or_not_at_all(runs_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Died(BaseException):
        pass

    class Dying(storage.Ops):
        left = 0

        def __getattribute__(self, name: str) -> Any:
            if not name.startswith("_") and name != "left":
                if self.left == 0:
                    raise Died
                self.left -= 1
            return super().__getattribute__(name)

    outcomes = set()
    for calls in range(100):
        name = f"run-{calls}"
        dying = Dying()
        dying.left = calls
        with monkeypatch.context() as patch:
            patch.setattr(storage, "ops", dying)
            try:
                RunFolder.create(runs_dir, name, {"corpus": "tales"})
                finished = True
            except Died:
                finished = False
        exists = (runs_dir / name).exists()
        if exists:
            assert RunFolder(runs_dir / name).read_request() == {"corpus": "tales"}
        assert exists or not finished
        outcomes.add(exists)
        if finished:
            break
    assert outcomes == {False, True}


def test_what_is_written_once_never_changes(folder: RunFolder) -> None:
    folder.write_run(RUN)
    folder.write_run(RUN)
    with pytest.raises(CheckpointError, match="never changes"):
        folder.write_run({**RUN, "params": 1})
    assert folder.read_run() == RUN
    with pytest.raises(CheckpointError):
        write_once_json(folder.run, {})


@pytest.mark.parametrize(
    "change",
    [
        {"version": 0},
        {"version": True},
        {"version": None},
        {"model": []},
        {"corpus": "tales"},
        {"recipe": None},
        {"turns": {"user": "a"}},
        {"turns": "a"},
    ],
)
def test_a_run_of_the_wrong_types_is_damaged(folder: RunFolder, change: dict[str, Any]) -> None:
    folder.run.write_text(json.dumps({**RUN, **change}))
    with pytest.raises(CheckpointError, match="damaged"):
        folder.read_run()


def test_a_run_of_a_newer_version_says_so(folder: RunFolder) -> None:
    folder.run.write_text(json.dumps({**RUN, "version": 2}))
    with pytest.raises(CheckpointError, match="newer tinygpt"):
        folder.read_run()


def test_notes_are_kept_and_broken_notes_are_no_notes(folder: RunFolder) -> None:
    assert folder.read_meta() == Meta()
    folder.write_meta(Meta("mine", "é\nnice"))
    assert folder.read_meta() == Meta("mine", "é\nnice")
    folder.meta.write_text('{"label": 3, "notes": "x"}')
    assert folder.read_meta() == Meta(notes="x")


def test_a_heartbeat_does_not_wait_for_the_disk_but_the_last_word_does(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed = []

    class Log(storage.Ops):
        def fsync(self, fd: int) -> None:
            flushed.append(fd)

    monkeypatch.setattr(storage, "ops", Log())
    folder.write_status(status("training"))
    assert not flushed
    folder.write_status(status("done"))
    assert len(flushed) == 2


def test_a_status_is_read_back(folder: RunFolder) -> None:
    assert folder.read_status() is None
    folder.write_status(status("paused", message="by request", val_loss=1.5))
    assert folder.read_status() == status("paused", message="by request", val_loss=1.5)


@pytest.mark.parametrize(
    "text",
    ["{", "[]", "{}", '{"pid":1,"state":"flying","step":1,"heartbeat":1}', '{"pid":true,"state":"done"}'],
)
def test_a_damaged_status_is_one_sentence(folder: RunFolder, text: str) -> None:
    folder.status.write_text(text)
    with pytest.raises(CheckpointError, match="damaged"):
        folder.read_status()


@pytest.mark.parametrize("left", [b"", b"\0" * 150])
def test_a_status_that_a_power_loss_emptied_says_nothing_and_damages_nothing(
    folder: RunFolder, left: bytes
) -> None:
    folder.status.write_bytes(left)
    make_old(folder)
    assert folder.read_status() is None
    assert folder.state() == "stale"
    assert [run.reason for run in list_runs(folder.path.parent)] == [""]
    folder.write_status(status("done"))
    assert folder.state() == "done"


@pytest.mark.parametrize("said", ["preparing", "training", "paused"])
def test_a_run_at_work_is_stale_once_its_lock_is_free(folder: RunFolder, said: str) -> None:
    folder.write_status(status(said))
    with folder.acquire():
        assert folder.state() == said
    assert folder.state() == "stale"


def test_a_resumed_run_is_preparing_until_its_new_trainer_has_spoken(folder: RunFolder) -> None:
    folder.write_status(status("training", pid=1))  # the last word of a trainer that was killed
    with folder.acquire():
        assert folder.state() == "preparing"
        folder.write_status(status("training"))
        assert folder.state() == "training"


@pytest.mark.parametrize("said", ["stopped", "done", "failed"])
def test_a_run_that_ended_is_what_it_said_last(folder: RunFolder, said: str) -> None:
    folder.write_status(status(said))
    assert folder.state() == said


def test_a_run_that_has_said_nothing_is_preparing_for_a_while(folder: RunFolder) -> None:
    assert folder.state() == "preparing"
    make_old(folder)
    assert folder.state() == "stale"
    with folder.acquire():
        assert folder.state() == "preparing"


def test_a_run_that_ends_between_two_looks_is_not_called_stale(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write_status(status("training"))

    def ends_meanwhile(path: Path) -> bool:
        folder.write_status(status("done"))
        return False

    monkeypatch.setattr(runs.locks, "is_locked", ends_meanwhile)
    assert folder.state() == "done"


def test_one_run_has_one_writer(folder: RunFolder) -> None:
    assert not folder.is_locked()
    with another_process_holds(folder) as child:
        assert folder.is_locked()
        begun = time.monotonic()
        with pytest.raises(BusyError, match=f"process {child.pid}"):
            folder.acquire()
        assert time.monotonic() - begun < 1.0
    assert not folder.is_locked()


def test_a_killed_writer_frees_its_run_at_once(folder: RunFolder) -> None:
    with another_process_holds(folder) as child:
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert not folder.is_locked()
        folder.acquire().release()


def test_asking_whether_a_run_is_locked_never_keeps_a_writer_out(folder: RunFolder) -> None:
    code = (
        "import sys; from pathlib import Path; from engine.runs import RunFolder\n"
        "folder = RunFolder(Path(sys.argv[1])); print('asking', flush=True)\n"
        "while folder.path.exists(): folder.is_locked()"
    )
    folder.acquire().release()
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(folder.path)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert child.stdout is not None
    try:
        assert child.stdout.readline() == "asking\n"
        for _ in range(300):
            folder.acquire().release()
        assert child.poll() is None
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def test_two_who_ask_at_once_do_not_take_each_other_for_a_writer(folder: RunFolder) -> None:
    folder.acquire().release()
    with folder.lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_SH)  # what asking does, for a moment
        assert not folder.is_locked()


def test_a_lock_is_free_after_release_and_names_its_last_holder(folder: RunFolder) -> None:
    folder.lock.write_text("99999999 and more")
    lock = folder.acquire()
    assert folder.lock.read_text().split()[0] == str(os.getpid())
    lock.release()
    lock.release()
    folder.acquire().release()


@pytest.mark.parametrize("name", ["lock", "status", "events", "control", "log"])
def test_a_link_in_a_run_folder_is_never_followed(folder: RunFolder, tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside"
    outside.write_text("precious")
    getattr(folder, name).symlink_to(outside)
    attempts = {
        "lock": [folder.acquire, folder.is_locked],
        "status": [folder.read_status],
        "events": [lambda: storage.open_append(folder.events)],
        "control": [lambda: storage.open_append(folder.control)],
        "log": [folder.open_log],
    }
    for attempt in attempts[name]:
        with pytest.raises(CheckpointError):
            attempt()
    folder.write_status(status("training"))  # replaces a link, and does not write through it
    assert outside.read_text() == "precious"


def test_runs_are_listed_newest_first_with_what_others_rely_on(runs_dir: Path) -> None:
    assert list_runs(runs_dir) == []
    for name, day in (("b", 2), ("a", 3), ("c", 1)):
        folder = RunFolder.create(runs_dir, name, {})
        folder.write_run({**RUN, "created": f"2026-01-0{day}T00:00:00+00:00"})
        folder.write_status(status("done", step=7, val_loss=9.0))
        add_checkpoint(folder, 5, 1.25)
        add_checkpoint(folder, 7, 1.5)
    (runs_dir / ".trash-x").mkdir()
    (runs_dir / "a-file").touch()
    found = list_runs(runs_dir)
    assert [run.run for run in found] == ["a", "b", "c"]
    assert found[0].to_json() == {
        "run": "a",
        "state": "done",
        "step": 7,
        "val_loss": 1.25,
        "corpus": "tales",
        "params": 123,
        "created": "2026-01-03T00:00:00+00:00",
    }
    assert (found[0].arch, found[0].horizon, found[0].reason) == ("modern", 10, "")
    assert found[0].size > 16


def break_status(folder: RunFolder) -> None:
    folder.status.write_text("{")


def break_run(folder: RunFolder) -> None:
    folder.run.write_text("[]")


def break_lock(folder: RunFolder) -> None:
    folder.lock.symlink_to("/dev/null")


def break_checkpoints(folder: RunFolder) -> None:
    folder.checkpoints.symlink_to("/")


def break_request(folder: RunFolder) -> None:
    folder.request.unlink()


def break_everything(folder: RunFolder) -> None:
    for path in (folder.status, folder.run, folder.lock, folder.checkpoints, folder.events):
        os.mkfifo(path)


@pytest.mark.parametrize(
    "damage", [break_status, break_run, break_lock, break_checkpoints, break_request, break_everything]
)
def test_a_broken_folder_is_listed_as_damaged_beside_the_others(runs_dir: Path, damage: Any) -> None:
    RunFolder.create(runs_dir, "good", {}).write_status(status("done"))
    damage(RunFolder.create(runs_dir, "broken", {}))
    states: dict[str, RunSummary] = {run.run: run for run in list_runs(runs_dir)}
    assert states["good"].state == "done"
    assert states["broken"].state == "damaged"
    assert states["broken"].reason
    delete_run(runs_dir, "broken")
    assert [run.run for run in list_runs(runs_dir)] == ["good"]


def test_odd_values_in_a_run_do_not_break_the_list(runs_dir: Path, folder: RunFolder) -> None:
    odd = {**RUN, "created": "yesterday", "params": "many", "model": {"arch": 3}, "corpus": {"name": []}}
    folder.run.write_text(json.dumps(odd))
    (run,) = list_runs(runs_dir)
    assert (run.created, run.params, run.arch, run.corpus) == ("", None, None, None)


def test_without_a_name_the_newest_run_with_a_checkpoint_is_meant(runs_dir: Path) -> None:
    with pytest.raises(CheckpointError, match="train one first"):
        resolve_run(runs_dir, None)
    for name, day in (("old", 1), ("new", 2), ("untrained", 3)):
        folder = RunFolder.create(runs_dir, name, {})
        folder.write_run({**RUN, "created": f"2026-01-0{day}T00:00:00+00:00"})
        if name != "untrained":
            add_checkpoint(folder, 5, 1.0)
    assert resolve_run(runs_dir, None).name == "new"
    assert newest_run(runs_dir) == resolve_run(runs_dir, "new")


def test_a_run_is_found_by_name_or_path(runs_dir: Path, folder: RunFolder, tmp_path: Path) -> None:
    assert resolve_run(runs_dir, "tales") == folder
    assert resolve_run(tmp_path / "elsewhere", str(folder.path)) == folder


@pytest.mark.parametrize("name", ["talse", "../../x", "", "a\0b", "\x1b]0;x", "x" * 5000])
def test_an_unknown_run_is_one_sentence(runs_dir: Path, folder: RunFolder, name: str) -> None:
    with pytest.raises(CheckpointError, match="There is no run") as caught:
        resolve_run(runs_dir, name)
    assert str(caught.value).isprintable()
    assert ("did you mean tales?" in str(caught.value)) == (name == "talse")


def test_a_folder_that_is_no_run_is_refused(runs_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="not a run folder"):
        resolve_run(runs_dir, str(tmp_path))


def test_a_deleted_run_is_gone_and_the_others_stay(runs_dir: Path, folder: RunFolder) -> None:
    RunFolder.create(runs_dir, "other", {})
    (runs_dir / ".trash-left-by-a-crash").mkdir()
    delete_run(runs_dir, "tales")
    assert [path.name for path in runs_dir.iterdir()] == ["other"]
    with pytest.raises(CheckpointError):
        delete_run(runs_dir, "tales")


def test_a_run_that_is_being_trained_is_not_deleted(runs_dir: Path, folder: RunFolder) -> None:
    with another_process_holds(folder):
        with pytest.raises(BusyError):
            delete_run(runs_dir, "tales")
        assert folder.read_request()


def test_a_link_to_elsewhere_is_no_run(runs_dir: Path, folder: RunFolder, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (runs_dir / "link").symlink_to(outside)
    for attempt in (delete_run, resolve_run):
        with pytest.raises(TinygptError):
            attempt(runs_dir, "link")
    assert outside.is_dir()


def test_a_trainer_that_waited_for_the_lock_of_a_deleted_run_says_so(
    runs_dir: Path, folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = runs.locks._take

    def deleted_meanwhile(fd: int, path: Path) -> None:
        monkeypatch.setattr(runs.locks, "_take", take)
        delete_run(runs_dir, "tales")
        take(fd, path)

    monkeypatch.setattr(runs.locks, "_take", deleted_meanwhile)
    with pytest.raises(CheckpointError, match="deleted"):
        folder.acquire()


def test_a_trainer_that_meets_a_deleted_run_says_so(runs_dir: Path, folder: RunFolder) -> None:
    delete_run(runs_dir, "tales")
    with pytest.raises(CheckpointError, match="gone"):
        folder.acquire()
