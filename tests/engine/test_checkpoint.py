"""What checkpoints promise: an acknowledged one is never lost, a damaged one never loaded, a stranger's never trusted."""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from engine import manifest, storage, tensors
from engine.checkpoint import (
    checkpoints,
    clean_leftovers,
    find_checkpoint,
    load_training,
    load_weights,
    prune,
    save_checkpoint,
)
from engine.errors import CheckpointError, ResourceError, RunError
from engine.runs import RunFolder
from tests.engine.fault_injection import Died, Faulty


class Unflushed(storage.Ops):
    """Knows which bytes and which names a power loss could take away at any moment."""

    def __init__(self) -> None:
        self.paths: dict[int, Path] = {}
        self.data: set[Path] = set()
        self.names: set[Path] = set()
        self.renamed_too_early: list[Path] = []
        self.written: list[str] = []

    def open(self, path: Path, flags: int, mode: int = 0o600) -> int:
        if flags & os.O_CREAT and not path.exists():
            self.names.add(path)
        fd = super().open(path, flags, mode)
        self.paths[fd] = path
        return fd

    def write(self, fd: int, data: bytes | memoryview) -> int:
        self.data.add(self.paths[fd])
        self.written.append(self.paths[fd].name)
        return super().write(fd, data)

    def fsync(self, fd: int) -> None:
        self.data.discard(self.paths[fd])
        self.names -= {path for path in self.names if path.parent == self.paths[fd]}
        super().fsync(fd)

    def mkdir(self, path: Path, mode: int) -> None:
        self.names.add(path)
        super().mkdir(path, mode)

    def rename(self, source: Path, target: Path) -> None:
        self.renamed_too_early += [path for path in self.data | self.names if source in path.parents]
        self.names.discard(source)
        self.names.add(target)
        super().rename(source, target)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "runs", "tales", {})


def weights(step: int) -> dict[str, Tensor]:
    return {"a.weight": torch.full((3, 2), float(step)), "b": torch.arange(4, dtype=torch.float32)}


def save(folder: RunFolder, step: int, val_loss: float | None = None) -> Path:
    training = {"exp_avg.a": torch.full((2,), step, dtype=torch.float64), "step": torch.tensor(step)}
    return save_checkpoint(folder, step, weights(step), training, {"val_loss": val_loss, "plan": [0, 9]})


def names(path: Path) -> set[str]:
    return {p.name for p in path.iterdir()}


def test_what_is_saved_is_loaded_bit_for_bit(folder: RunFolder) -> None:
    path = save(folder, 1200, 1.5)
    assert path == folder.checkpoints / "step-00001200"
    assert names(path) == {"model.safetensors", "training.safetensors", "manifest.json"}
    checkpoint, skipped = find_checkpoint(folder)
    assert (checkpoint.step, checkpoint.val_loss, skipped) == (1200, 1.5, [])
    assert checkpoint.state == {"val_loss": 1.5, "plan": [0, 9]}
    loaded = load_weights(checkpoint)
    assert loaded.keys() == weights(1200).keys()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in weights(1200).items())
    training = load_training(checkpoint)
    assert training["exp_avg.a"].dtype == torch.float64
    assert training["step"].item() == 1200


def test_weights_are_stored_as_float32_and_counts_as_they_are(folder: RunFolder) -> None:
    half = torch.ones(2, 2, dtype=torch.bfloat16)
    save_checkpoint(folder, 1, {"half": half, "count": torch.tensor([1, 2])}, {}, {})
    loaded = load_weights(find_checkpoint(folder)[0])
    dtypes = {name: tensor.dtype for name, tensor in loaded.items()}
    assert dtypes == {"half": torch.float32, "count": torch.int64}


def test_weights_that_share_memory_or_are_views_are_saved(folder: RunFolder) -> None:
    whole = torch.arange(6, dtype=torch.float32).view(2, 3)
    shared = {"a": whole, "tied": whole, "row": whole[1], "turned": whole.T}
    save_checkpoint(folder, 1, shared, {}, {})
    loaded = load_weights(find_checkpoint(folder)[0])
    assert all(torch.equal(loaded[name], tensor) for name, tensor in shared.items())


def test_files_are_private(folder: RunFolder) -> None:
    path = save(folder, 1)
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert {stat.S_IMODE(p.stat().st_mode) for p in path.iterdir()} == {0o600}


def test_weights_that_are_not_finite_are_never_saved(folder: RunFolder) -> None:
    save(folder, 1)
    for bad in (float("nan"), float("inf")):
        with pytest.raises(RunError, match="not finite at step 2"):
            save_checkpoint(folder, 2, {"a": torch.tensor([0.0, bad])}, {}, {})
    assert names(folder.checkpoints) == {"step-00000001"}


def test_a_loss_that_is_not_finite_is_saved_as_unknown(folder: RunFolder) -> None:
    save(folder, 1, float("nan"))
    assert find_checkpoint(folder, "best")[0].val_loss is None


def test_everything_is_flushed_in_order_and_the_manifest_is_last(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Unflushed()
    monkeypatch.setattr(storage, "ops", disk)
    for step in (1, 2):  # the first also makes the folder of all checkpoints
        save(folder, step)
        assert disk.renamed_too_early == []
        assert (disk.data, disk.names) == (set(), set())
        assert disk.written[-1] == "manifest.json"
        assert disk.written.count("manifest.json") == step


@pytest.mark.parametrize("error", [None, errno.ENOSPC, errno.EIO])
def test_an_acknowledged_checkpoint_survives_a_fault_at_any_call(
    tmp_path: Path, error: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run saves and prunes; the fault strikes at its first call, its second, … and the run is started again."""
    outcomes = set()
    for at in range(1, 500):
        folder = RunFolder.create(tmp_path / "runs", f"run-{at}", {})
        acknowledged = [0]
        faulty = Faulty(at, error)
        with monkeypatch.context() as patch:
            patch.setattr(storage, "ops", faulty)
            try:
                for step in (1, 2, 3, 4):
                    save(folder, step, 5.0 - step if step < 3 else 9.0)
                    acknowledged.append(step)
                    prune(folder, step)
            except (Died, ResourceError) as problem:
                assert (error is None) == isinstance(problem, Died)
        last = acknowledged[-1]
        best = max(acknowledged) if last < 3 else 2
        if last:
            checkpoint, skipped = find_checkpoint(folder)
            assert checkpoint.step in (last, last + 1)
            assert not skipped
            assert torch.equal(load_weights(checkpoint)["a.weight"], weights(checkpoint.step)["a.weight"])
            load_training(checkpoint)
            assert find_checkpoint(folder, "best")[0].step in (best, last + 1 if last < 2 else best)
        with folder.acquire():
            clean_leftovers(folder)
            assert not any(path.name.startswith(".") for path in folder.path.rglob("*"))
            save(folder, 5)
            assert find_checkpoint(folder)[0].step == 5
        outcomes.add(last)
        shutil.rmtree(folder.path)
        if faulty.calls < at:
            break
    assert outcomes == {0, 1, 2, 3, 4}


def test_a_full_disk_gets_its_space_back(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    save(folder, 1)
    for at in range(1, 12):
        with monkeypatch.context() as patch:
            patch.setattr(storage, "ops", Faulty(at, errno.ENOSPC))
            with pytest.raises(ResourceError, match="No space is left"):
                save(folder, 2)
        assert names(folder.checkpoints) == {"step-00000001"}


def test_saving_a_step_again_changes_nothing_but_flushes_its_name(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(folder, 1, 1.0)
    before = (path / "manifest.json").stat()
    flushed: list[Path] = []

    class Log(Unflushed):
        def fsync(self, fd: int) -> None:
            flushed.append(self.paths[fd])

    monkeypatch.setattr(storage, "ops", Log())
    assert save(folder, 1, 2.0) == path
    assert (path / "manifest.json").stat() == before
    assert flushed == [folder.checkpoints]


def test_saving_a_damaged_step_again_replaces_it(folder: RunFolder) -> None:
    path = save(folder, 1)
    (path / "model.safetensors").write_bytes(b"x")
    assert save(folder, 1) == path
    assert find_checkpoint(folder)[0].step == 1
    assert names(folder.checkpoints) == {"step-00000001"}


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def link(path: Path) -> None:
    target = path.with_name("elsewhere")
    path.rename(target)
    path.symlink_to(target)


@pytest.mark.parametrize("damage", [flip, cut, empty, Path.unlink, link])
@pytest.mark.parametrize("name", ["model.safetensors", "training.safetensors", "manifest.json"])
@pytest.mark.parametrize("at", ["last", "best"])
def test_a_damaged_checkpoint_is_skipped_and_named_and_the_previous_used(
    folder: RunFolder, at: Any, name: str, damage: Callable[[Path], None]
) -> None:
    save(folder, 1, 3.0)
    save(folder, 2, 2.0)
    damage(save(folder, 3, 1.0) / name)
    checkpoint, skipped = find_checkpoint(folder, at)
    assert checkpoint.step == 2
    assert len(skipped) == 1
    assert "step 3" in skipped[0]
    assert name in skipped[0]
    with pytest.raises(CheckpointError, match=name):
        find_checkpoint(folder, 3)


def test_every_single_byte_is_guarded(folder: RunFolder) -> None:
    path = save(folder, 1)
    for file in sorted(path.iterdir()):
        whole = file.read_bytes()
        for position in range(len(whole)):
            file.write_bytes(whole[:position] + bytes([whole[position] ^ 0x10]) + whole[position + 1 :])
            with pytest.raises(CheckpointError):
                manifest.verify(path)
        file.write_bytes(whole)


def test_when_nothing_is_sound_each_reason_is_named(folder: RunFolder) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint yet"):
        find_checkpoint(folder)
    for step in (1, 2):
        flip(save(folder, step) / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"step 2.*step 1"):
        find_checkpoint(folder)


def test_the_best_has_the_lowest_loss_and_of_equals_the_earliest(folder: RunFolder) -> None:
    for step, loss in ((1, None), (2, 1.5), (3, 1.5), (4, 1.7), (5, float("nan"))):
        save(folder, step, loss)
    assert find_checkpoint(folder, "best")[0].step == 2
    assert find_checkpoint(folder, "last")[0].step == 5
    assert find_checkpoint(folder, 3)[0].step == 3
    with pytest.raises(CheckpointError, match="it has 5, 4, 3, 2, 1"):
        find_checkpoint(folder, 6)


def test_without_any_loss_the_best_is_the_last(folder: RunFolder) -> None:
    for step in (1, 2):
        save(folder, step)
    assert find_checkpoint(folder, "best")[0].step == 2


def test_the_last_is_told_by_its_step_not_by_a_clock(folder: RunFolder) -> None:
    for step in (30, 4, 200):
        save(folder, step)
    os.utime(folder.checkpoints / "step-00000200", (1, 1))
    assert [info.step for info in checkpoints(folder)] == [200, 30, 4]


def test_pruning_keeps_the_last_two_and_the_best_and_what_is_damaged(folder: RunFolder) -> None:
    for step, loss in ((1, 2.0), (2, 1.0), (3, 3.0), (4, 3.0), (5, 3.0)):
        save(folder, step, loss)
    cut(folder.checkpoints / "step-00000004" / "model.safetensors")
    gone = prune(folder, 5)
    assert [path.name for path in gone] == ["step-00000001"]
    assert names(folder.checkpoints) == {f"step-0000000{n}" for n in (2, 3, 4, 5)}
    prune(folder, 5, keep_last=0)
    assert names(folder.checkpoints) == {f"step-0000000{n}" for n in (2, 4, 5)}


def test_pruning_does_not_count_what_a_resume_has_passed_over(folder: RunFolder) -> None:
    for step, loss in ((1, 2.0), (2, 1.0), (4, 0.5)):
        save(folder, step, loss)
    path = folder.checkpoints / "step-00000004" / "model.safetensors"
    path.write_bytes(bytes(path.stat().st_size))  # as large as before, so that only its hash would tell
    save(folder, 3, 3.0)
    assert prune(folder, 3, keep_last=1) == [folder.checkpoints / "step-00000001"]
    assert names(folder.checkpoints) == {f"step-0000000{n}" for n in (2, 3, 4)}


@pytest.mark.parametrize("error", [errno.ENOTEMPTY, errno.ENOSPC])
def test_a_checkpoint_that_cannot_be_removed_yet_costs_nothing(
    error: int, folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in (1, 2, 3, 4):
        save(folder, step, 5.0 - step)

    def somebody_reads_it(self: storage.Ops, path: Path) -> None:
        raise OSError(error, os.strerror(error))

    with monkeypatch.context() as patch:
        patch.setattr(storage.Ops, "rmtree", somebody_reads_it)
        assert prune(folder, 4) == []
    assert [info.step for info in checkpoints(folder)] == [4, 3]
    clean_leftovers(folder)
    assert names(folder.checkpoints) == {"step-00000003", "step-00000004"}


def test_a_manifest_that_tells_of_thousands_of_changes_is_read(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = {
        "val_loss": 1.0,
        "controls": [{"id": "0" * 32, "do": "lr", "value": 0.99, "step": n} for n in range(20_000)],
    }
    path = save_checkpoint(folder, 1, {"w": torch.zeros(1)}, {}, state)
    assert (path / manifest.MANIFEST).stat().st_size > 1_000_000
    assert manifest.verify(path).state == state
    monkeypatch.setattr(manifest, "LARGEST", 1000)
    with pytest.raises(ResourceError, match="Too much has been asked"):
        save_checkpoint(folder, 2, {"w": torch.zeros(1)}, {}, state)
    assert names(folder.checkpoints) == {"step-00000001"}


def test_a_checkpoint_pruned_under_a_reader_is_not_called_damaged(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in (1, 2):
        save(folder, step)
    verify = manifest.verify

    def prunes_first(path: Path) -> manifest.Checkpoint:
        if path.name == "step-00000002":
            shutil.rmtree(path)
            monkeypatch.setattr(manifest, "verify", verify)
            save(folder, 3)
        return verify(path)

    monkeypatch.setattr(manifest, "verify", prunes_first)
    checkpoint, skipped = find_checkpoint(folder)
    assert (checkpoint.step, skipped) == (3, [])


def test_leftovers_are_never_taken_for_checkpoints(folder: RunFolder) -> None:
    path = save(folder, 1)
    for name in (".tmp-abc", ".trash-step-00000002-x", "step-2", "step-000000003", "step-00000004.bak"):
        shutil.copytree(path, folder.checkpoints / name)
    assert [info.step for info in checkpoints(folder)] == [1]
    clean_leftovers(folder)
    assert not any(name.startswith(".") for name in names(folder.checkpoints))


def test_a_link_to_checkpoints_elsewhere_is_refused(folder: RunFolder, tmp_path: Path) -> None:
    save(folder, 1)
    outside = tmp_path / "outside"
    folder.checkpoints.rename(outside)
    folder.checkpoints.symlink_to(outside)
    for attempt in (lambda: checkpoints(folder), lambda: find_checkpoint(folder), lambda: save(folder, 2)):
        with pytest.raises(CheckpointError, match="symbolic link"):
            attempt()
    clean_leftovers(folder)
    assert names(outside) == {"step-00000001"}


def test_a_linked_checkpoint_is_skipped(folder: RunFolder, tmp_path: Path) -> None:
    save(folder, 1)
    save(folder, 2).rename(tmp_path / "outside")
    (folder.checkpoints / "step-00000002").symlink_to(tmp_path / "outside")
    checkpoint, skipped = find_checkpoint(folder)
    assert checkpoint.step == 1
    assert len(skipped) == 1


def unsealed(path: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(path.read_bytes())
    del data["sha256"]
    return data


MANIFESTS: list[dict[str, Any]] = [
    {"version": 2},
    {"version": True},
    {"version": "1"},
    {"step": 2},
    {"step": True},
    {"step": None},
    {"state": []},
    {"files": {}},
    {"files": []},
    {"files": [7]},
    {"files": [{"name": "../../../etc/passwd", "size": 1, "sha256": "0" * 64}]},
    {"files": [{"name": ["model.safetensors"], "size": 1, "sha256": "0" * 64}]},
    {"files": [{"name": "model.safetensors", "size": -1, "sha256": "0" * 64}]},
    {"files": [{"name": "model.safetensors", "size": 10**30, "sha256": "0" * 64}]},
    {"files": [{"name": "model.safetensors", "size": 1, "sha256": "0" * 63}]},
    {"files": [{"name": "training.safetensors", "size": 1, "sha256": "0" * 64}]},
]


@pytest.mark.parametrize("change", MANIFESTS, ids=json.dumps)
def test_a_hostile_manifest_is_one_sentence(folder: RunFolder, change: dict[str, Any]) -> None:
    path = save(folder, 1) / "manifest.json"
    path.write_bytes(manifest.seal({**unsealed(path), **change}))
    with pytest.raises(CheckpointError):
        find_checkpoint(folder)
    assert checkpoints(folder)[0].problem


def packed(header: object, data: bytes = b"\0" * 16, length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def tensor(shape: list[int], begin: int, end: int, dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


HOSTILE = {
    "empty": b"",
    "seven bytes": b"1234567",
    "endless header": packed({}, length=2**63),
    "header beyond the end": packed({}, length=100),
    "large header": packed({"__metadata__": {"x": "a" * 1_000_000}}, b""),
    "no json": packed(b"\x80\x04\x95pickle"),
    "a list": packed([]),
    "nested": packed(b"[" * 100_000),
    "a name twice": packed(
        b'{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]},'
        b'"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}'
    ),
    "out of bounds": packed({"a": tensor([4], 0, 17)}),
    "backwards": packed({"a": tensor([4], 16, 0)}),
    "overlap": packed({"a": tensor([4], 0, 16), "b": tensor([4], 0, 16)}),
    "hole": packed({"a": tensor([1], 0, 4), "b": tensor([1], 12, 16)}),
    "too few bytes": packed({"a": tensor([5], 0, 16)}),
    "huge shape": packed({"a": tensor([2**40, 2**40], 0, 16)}),
    "negative shape": packed({"a": tensor([-4], 0, 16)}),
    "unknown dtype": packed({"a": tensor([4], 0, 16, "PICKLE")}),
    "left over": packed({"a": tensor([2], 0, 8)}),
    "null": packed({"a": None}),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_tensors_are_one_sentence(data: bytes) -> None:
    with pytest.raises(CheckpointError, match=r"^x is damaged: ") as caught:
        tensors.from_bytes(data, "x")
    assert "\n" not in str(caught.value)


def test_weights_that_are_not_finite_are_not_loaded(folder: RunFolder) -> None:
    path = save(folder, 1)
    data = tensors.to_bytes({"a": torch.tensor([1.0, float("inf")])})
    (path / "model.safetensors").write_bytes(data)
    (path / "manifest.json").write_bytes(
        manifest.build(1, {}, {"model.safetensors": data, "training.safetensors": data})
    )
    (path / "training.safetensors").write_bytes(data)
    with pytest.raises(CheckpointError, match="not finite"):
        load_weights(find_checkpoint(folder)[0])


def test_a_file_changed_after_it_was_chosen_is_not_loaded(folder: RunFolder) -> None:
    path = save(folder, 1)
    checkpoint, _ = find_checkpoint(folder)
    flip(path / "model.safetensors")
    with pytest.raises(CheckpointError, match="sha256"):
        load_weights(checkpoint)


def test_weights_alone_can_be_played_with_but_not_trained_on(folder: RunFolder) -> None:
    path = save(folder, 1)
    (path / "training.safetensors").unlink()
    data = unsealed(path / "manifest.json")
    data["files"] = data["files"][:1]
    (path / "manifest.json").write_bytes(manifest.seal(data))
    checkpoint, _ = find_checkpoint(folder)
    assert load_weights(checkpoint)
    with pytest.raises(CheckpointError, match="not trained on"):
        load_training(checkpoint)
