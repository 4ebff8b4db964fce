"""What `engine.storage` and `engine.reading` promise: whole files, the right order of flushes, plain errors."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from engine import storage
from engine.errors import CheckpointError, ResourceError
from engine.reading import parse_json, read_bytes, read_json
from tests.engine.fault_injection import Died, Faulty, Log


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "data"
    path.mkdir()
    return path


def every_call(
    work: Callable[[], None], error: int | None, monkeypatch: pytest.MonkeyPatch
) -> list[BaseException]:
    """Break `work` at its first call, its second, … until it runs through; what it raised each time."""
    raised: list[BaseException] = []
    for at in range(1, 100):
        faulty = Faulty(at, error)
        with monkeypatch.context() as patch:
            patch.setattr(storage, "ops", faulty)
            try:
                work()
            except (Died, Exception) as problem:
                raised.append(problem)
        if faulty.calls < at:
            return raised
    raise AssertionError("it never runs through")


def test_a_file_is_replaced_whole_and_is_private(folder: Path) -> None:
    path = folder / "settings"
    storage.write_atomic(path, b"old")
    storage.write_atomic(path, b"new and longer")
    assert path.read_bytes() == b"new and longer"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in folder.iterdir()] == ["settings"]


def test_a_death_at_any_call_leaves_the_old_file_or_the_new_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "settings"
    path.write_bytes(b"old")
    seen = set()

    def work() -> None:
        storage.write_atomic(path, b"new")

    for at in range(1, 100):
        path.write_bytes(b"old")
        faulty = Faulty(at, None)
        with monkeypatch.context() as patch:
            patch.setattr(storage, "ops", faulty)
            try:
                work()
            except Died:
                pass
            else:
                break
        assert path.read_bytes() in (b"old", b"new")
        seen.add(path.read_bytes())
    assert seen == {b"old", b"new"}
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO])
def test_a_disk_that_fails_is_one_sentence_and_leaves_no_litter(
    folder: Path, error: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "settings"
    path.write_bytes(b"old")
    raised = every_call(lambda: storage.write_atomic(path, b"new"), error, monkeypatch)
    assert len(raised) == 6  # open, write, fsync, replace, open the folder, fsync it
    for problem in raised:
        assert isinstance(problem, ResourceError)
        assert str(folder) in str(problem)
        assert "\n" not in str(problem)
    assert [p.name for p in folder.iterdir()] == ["settings"]


def test_data_are_flushed_before_a_name_points_at_them_and_the_name_before_the_return(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log()
    monkeypatch.setattr(storage, "ops", log)
    storage.write_atomic(folder / "settings", b"123456")
    assert log.calls == [
        "write temporary",
        "write temporary",
        "fsync temporary",
        "replace settings",
        "fsync data",
    ]


def test_a_folder_is_published_between_two_flushes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = storage.make_temporary_dir(folder)
    log = Log()
    monkeypatch.setattr(storage, "ops", log)
    storage.publish(temporary, folder / "final")
    assert log.calls == ["fsync temporary", "rename final", "fsync data"]


@pytest.mark.parametrize("taken", ["file", "empty folder", "full folder", "dangling link"])
def test_nothing_is_published_over_a_name_that_is_taken(folder: Path, taken: str) -> None:
    final = folder / "final"
    if taken == "file":
        final.touch()
    elif taken == "dangling link":
        final.symlink_to(folder / "nowhere")
    else:
        final.mkdir()
        if taken == "full folder":
            (final / "x").touch()
    temporary = storage.make_temporary_dir(folder)
    with pytest.raises(FileExistsError):
        storage.publish(temporary, final)
    assert temporary.is_dir()


def test_a_write_that_is_cut_short_is_continued(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "ops", Log())  # writes at most three bytes a call
    storage.write_new(folder / "x", b"0123456789")
    assert (folder / "x").read_bytes() == b"0123456789"


def test_a_new_file_never_replaces_one_nor_goes_through_a_link(folder: Path) -> None:
    (folder / "taken").write_bytes(b"keep")
    outside = folder / "outside"
    (folder / "link").symlink_to(outside)
    for name in ("taken", "link"):
        with pytest.raises(FileExistsError):
            storage.write_new(folder / name, b"x")
    assert (folder / "taken").read_bytes() == b"keep"
    assert not outside.exists()


def test_a_file_for_a_person_is_safe_with_its_name_and_is_like_their_others(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log()
    monkeypatch.setattr(storage, "ops", log)
    before = os.umask(0o027)
    try:
        storage.save_new(folder / "talk", b"123")
    finally:
        os.umask(before)
    assert log.calls == ["write talk", "fsync talk", "fsync data"]
    assert stat.S_IMODE((folder / "talk").stat().st_mode) == 0o640
    with pytest.raises(FileExistsError):
        storage.save_new(folder / "talk", b"4")
    assert (folder / "talk").read_bytes() == b"123"


def test_of_a_file_for_a_person_that_cannot_be_written_nothing_is_left(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for at in (1, 2, 3):  # open, write, fsync
        with monkeypatch.context() as patch:
            patch.setattr(storage, "ops", Faulty(at, errno.ENOSPC, torn=True))
            with pytest.raises(ResourceError, match="No space is left"):
                storage.save_new(folder / "talk", b"0123456789")
        assert list(folder.iterdir()) == []


@pytest.mark.parametrize("error", [errno.EINVAL, errno.ENOTSUP])
def test_a_filesystem_that_cannot_flush_folders_is_no_error(
    folder: Path, error: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "ops", Faulty(2, error))
    storage.fsync_dir(folder)


def test_a_flush_that_fails_is_not_tried_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(Log):
        def fsync(self, fd: int) -> None:
            super().fsync(fd)
            raise OSError(errno.EIO, "input/output error")

    broken = Broken()
    monkeypatch.setattr(storage, "ops", broken)
    with pytest.raises(ResourceError):
        storage.write_new(folder / "x", b"x")
    assert broken.calls.count("fsync x") == 1


def test_where_the_drive_has_a_flush_of_its_own_a_failure_of_it_is_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on macOS, whose fsync leaves the data in the drive's cache."""
    asked, answers = [], iter([0, errno.ENOTTY, errno.EIO])

    def flush_the_drive(fd: int, command: int) -> None:
        asked.append(command)
        if number := next(answers):
            raise OSError(number, os.strerror(number))

    synced: list[int] = []
    monkeypatch.setattr(storage.fcntl, "F_FULLFSYNC", 51, raising=False)
    monkeypatch.setattr(storage.fcntl, "fcntl", flush_the_drive)
    monkeypatch.setattr(storage.os, "fsync", synced.append)
    storage.Ops().fsync(7)
    assert synced == []
    storage.Ops().fsync(7)  # a filesystem without such a command
    assert synced == [7]
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        storage.Ops().fsync(7)
    assert (asked, synced) == ([51, 51, 51], [7])


def test_a_line_that_was_not_acknowledged_is_not_found_later(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "lines"
    fd = storage.open_append(path)
    storage.append_line(fd, b"one", folder)
    raised = every_call(
        lambda: storage.append_line(fd, b"two", folder, durable=True), errno.ENOSPC, monkeypatch
    )
    os.close(fd)
    assert len(raised) == 2  # write, fsync
    assert path.read_bytes() == b"one\ntwo\n"  # of three attempts, the one that came through


def test_the_name_of_a_new_file_of_lines_is_flushed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log()
    monkeypatch.setattr(storage, "ops", log)
    for _ in range(2):  # the second time it is no new name
        os.close(storage.open_append(folder / "lines"))
        assert log.calls == ["fsync data"]


def test_folders_are_private_whatever_the_umask(folder: Path) -> None:
    before = os.umask(0)
    try:
        storage.make_private_dir(folder / "a" / "b")
    finally:
        os.umask(before)
    assert stat.S_IMODE((folder / "a").stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "a" / "b").stat().st_mode) == 0o700


def test_a_file_where_a_folder_must_be_is_one_sentence(folder: Path) -> None:
    (folder / "runs").touch()
    with pytest.raises(ResourceError, match="move it away"):
        storage.make_private_dir(folder / "runs")


@pytest.mark.parametrize(
    "error", [errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EACCES]
)
def test_a_place_that_takes_no_folder_is_one_sentence(
    folder: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    monkeypatch.setattr(storage, "ops", Faulty(1, error))  # as /proc answers, say
    with pytest.raises(ResourceError, match=f"cannot be written .{os.strerror(error).lower()}.: "):
        storage.make_private_dir(folder / "a" / "b")


def test_a_name_that_is_too_long_for_a_folder_is_one_sentence(folder: Path) -> None:
    with pytest.raises(ResourceError, match="name too long"):
        storage.make_private_dir(folder / ("a" * 300) / "b")


def test_a_discarded_folder_is_gone_and_sweeping_removes_only_leftovers(folder: Path) -> None:
    for name in ("keep", ".trash-a-1", ".tmp-b", "doomed"):
        (folder / name).mkdir()
        (folder / name / "file").touch()
    (folder / ".tmp-meta.json-1").touch()
    storage.discard(folder / "doomed")
    storage.sweep(folder, temporaries=False)
    assert {p.name for p in folder.iterdir()} == {"keep", ".tmp-b", ".tmp-meta.json-1"}
    storage.sweep(folder, temporaries=True, spare="meta.json")
    assert {p.name for p in folder.iterdir()} == {"keep", ".tmp-meta.json-1"}


def test_a_folder_is_removed_only_once_its_name_is_gone_for_good(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "doomed").mkdir()

    class Watching(Log):
        def rmtree(self, path: Path) -> None:
            self.calls.append("rmtree")

    log = Watching()
    monkeypatch.setattr(storage, "ops", log)
    storage.discard(folder / "doomed")
    assert [call.split()[0] for call in log.calls] == ["rename", "fsync", "rmtree"]
    assert log.calls[1] == "fsync data"


def test_discarding_a_link_leaves_what_it_points_to(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").touch()
    (folder / "link").symlink_to(outside)
    storage.discard(folder / "link")
    assert (outside / "precious").exists()
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("kind", ["missing", "link", "folder", "pipe", "too long"])
def test_only_a_regular_file_of_bounded_size_is_read(folder: Path, kind: str) -> None:
    path = folder / "file"
    if kind == "link":
        path.symlink_to(__file__)
    elif kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "too long":
        path.write_bytes(b"x" * 101)
    with pytest.raises(CheckpointError):
        read_bytes(path, 100)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b"\xff{}",
        b'{"a":' * 100_000,
        b"[" * 100_000,
    ],
)
def test_what_is_no_json_object_is_refused(folder: Path, data: bytes) -> None:
    (folder / "x.json").write_bytes(data)
    assert parse_json(data) is None
    with pytest.raises(CheckpointError, match="damaged"):
        read_json(folder / "x.json")


def test_json_is_ascii_on_one_line_with_null_for_what_is_not_finite() -> None:
    value = {"loss": float("nan"), "all": [float("inf"), 1.5, True], "text": "é\n\x9b\ud800"}
    line = storage.dump_json(value)
    assert line.isascii()
    assert b"\n" not in line
    assert parse_json(line) == {"loss": None, "all": [None, 1.5, True], "text": "é\n\x9b\ud800"}
