"""Values that no program of ours writes, in files that a stranger may have made: numbers no float can hold, depths no stack has, holes, ids of nothing."""

from __future__ import annotations

import gc
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import manifest, tensors
from engine.checkpoint import checkpoints, find_checkpoint
from engine.control import ControlReader, request
from engine.errors import CheckpointError, TinygptError
from engine.event_log import LineTail, read_events
from engine.events import to_json
from engine.loading import load
from engine.reading import NESTING_LIMIT, parse_json
from engine.run_list import summary_of
from engine.runs import RunFolder
from tests.engine.conftest import World
from tests.engine.test_loading import NGRAM, trained
from tests.engine.test_token_files import made

HUGE = "1" + "0" * 400  # as JSON: a whole number that no float can hold
ENDLESS = "1e999"  # a number that reads as infinity


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "runs", "fox", {"corpus": {"name": "fox"}})


def nested(depth: int) -> str:
    return '{"a": ' * depth + "1" + "}" * depth


@pytest.mark.parametrize("depth", [NESTING_LIMIT, NESTING_LIMIT + 1, 330, 480, 900, 20_000])
def test_json_that_nests_deeper_than_ours_is_no_json(depth: int) -> None:
    assert (parse_json(nested(depth).encode()) is None) == (depth > NESTING_LIMIT)
    lists = b'{"a": ' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"
    assert (parse_json(lists) is None) == (depth > NESTING_LIMIT)


def test_many_brackets_that_do_not_nest_are_read() -> None:
    assert parse_json(json.dumps({"text": "[{" * 500, "list": [[]] * 500}).encode()) is not None


def sealed(step: int, state: str) -> bytes:
    """A manifest as a stranger writes it: with the hash that belongs to it, around a state in any words."""
    parts = [{"name": manifest.MODEL, "size": 0, "sha256": hashlib.sha256(b"").hexdigest()}]
    text = json.dumps({"version": 1, "step": step, "state": "STATE", "files": parts}).replace(
        '"STATE"', state
    )
    seal = manifest._seal_of(json.loads(text))
    return text[:-1].encode() + b', "sha256": "' + seal.encode() + b'"}'


@pytest.mark.parametrize("loss", [HUGE, f"-{HUGE}", ENDLESS, "9" * 4299])
def test_a_loss_that_no_float_can_hold_is_not_known(folder: RunFolder, loss: str) -> None:
    path = folder.checkpoints / "step-00000007"
    path.mkdir(parents=True)
    (path / manifest.MODEL).touch()
    (path / manifest.MANIFEST).write_bytes(sealed(7, f'{{"val_loss": {loss}}}'))
    assert [(info.step, info.val_loss, info.problem) for info in checkpoints(folder)] == [(7, None, None)]
    assert find_checkpoint(folder, "best")[0].step == 7
    assert summary_of(folder.path).val_loss is None


@pytest.mark.parametrize("depth", [330, 480])
def test_a_manifest_that_nests_deep_is_damaged_and_named(folder: RunFolder, depth: int) -> None:
    path = folder.checkpoints / "step-00000007"
    path.mkdir(parents=True)
    (path / manifest.MANIFEST).write_text(
        f'{{"version": 1, "state": {nested(depth)}, "sha256": "{"0" * 64}"}}'
    )
    (info,) = checkpoints(folder)
    assert info.problem is not None and "not a JSON object" in info.problem
    assert summary_of(folder.path).reason == ""


@pytest.mark.parametrize("key", ["val_loss", "heartbeat", "step", "horizon", "pid"])
@pytest.mark.parametrize("value", [HUGE, f"-{HUGE}", ENDLESS, "10000000000000000"])
def test_a_status_beyond_all_reason_is_damaged(folder: RunFolder, key: str, value: str) -> None:
    said = {
        "pid": 1,
        "state": "done",
        "step": 1,
        "heartbeat": 1.0,
        "horizon": 1,
        "val_loss": 1.0,
        key: "VALUE",
    }
    folder.status.write_text(json.dumps(said).replace('"VALUE"', value))
    with pytest.raises(CheckpointError, match=r"status\.json is damaged"):
        folder.read_status()
    assert summary_of(folder.path).state == "damaged"


@pytest.mark.parametrize("params", [HUGE, "-1", "1.5", "10000000000000000", "true"])
def test_a_number_of_parameters_beyond_all_reason_is_not_known(folder: RunFolder, params: str) -> None:
    info = {"version": 1, "model": {}, "corpus": {}, "recipe": {}, "params": "PARAMS"}
    folder.run.write_text(json.dumps(info).replace('"PARAMS"', params))
    assert summary_of(folder.path).params is None


@pytest.mark.parametrize(
    "asked",
    [
        '"do": "lr", "factor": ',
        '"do": "extend", "steps": ',
        '"do": "sample", "prompt": "", "chars": ',
        '"do": "pause", "factor": ',
    ],
)
@pytest.mark.parametrize("value", [HUGE, f"-{HUGE}", ENDLESS, "9" * 4299])
def test_a_request_with_a_number_that_no_float_can_hold_is_skipped(
    folder: RunFolder, asked: str, value: str
) -> None:
    sound = '{"id": "b", "do": "save"}'
    folder.control.write_text(f'{{"id": "a", {asked}{value}}}\n{sound}\n')
    found = ControlReader(folder).poll()
    assert found[-1].id == "b" and all(request.value is None for request in found)


@pytest.mark.parametrize("value", [HUGE, f"-{HUGE}", "18446744073709551616"])
@pytest.mark.parametrize("field", ["step", "train_chars"])
def test_an_event_with_a_number_that_no_float_can_hold_is_none(
    folder: RunFolder, field: str, value: str
) -> None:
    told = {
        "event": "step",
        "step": 1,
        "loss": 1.0,
        "lr": 1.0,
        "chars_per_s": 1.0,
        "grad_norm": 1.0,
        "train_chars": 9,
        "seconds": 1.0,
    }
    sound = json.dumps(told)
    folder.events.write_text(json.dumps({**told, field: "VALUE"}).replace('"VALUE"', value) + f"\n{sound}\n")
    (event,) = read_events(folder)
    assert to_json(event) == told


@pytest.mark.parametrize(
    "make", [lambda path: path.touch(), lambda path: path.symlink_to(path)], ids=["a file", "a loop"]
)
def test_what_is_no_folder_is_no_run_to_write_into(tmp_path: Path, make: Callable[[Path], object]) -> None:
    folder = RunFolder(tmp_path / "fox")
    make(folder.path)
    for write in (folder.acquire, folder.open_log, lambda: request(folder, "save")):
        with pytest.raises(CheckpointError, match="fox is not a folder"):
            write()


def test_of_who_speaks_only_the_two_are_taken(tmp_path: Path) -> None:
    folder, _ = trained(tmp_path, NGRAM)
    info = json.loads(folder.run.read_text())
    folder.run.write_text(json.dumps({**info, "turns": {**info["turns"], "third": [1]}}))
    assert load(folder).turns == info["turns"]


def test_a_hole_of_terabytes_is_not_read(folder: RunFolder) -> None:
    line = b'{"event": "warning", "step": 1, "message": "x"}\n'
    with folder.events.open("wb") as file:
        file.write(line)
        file.seek(2**39)
        file.write(b"\n" + line)
        file.truncate(2**40)
    assert len(read_events(folder)) == 2
    folder.events.rename(folder.control)
    reader = LineTail(folder.control)
    assert [bool(reader.poll(1_000_000)) for _ in range(12)].count(True) == 2


def test_weights_far_larger_than_any_counting_model_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = trained(tmp_path, NGRAM)
    path = folder.checkpoints / "step-00000010"
    with (path / manifest.MODEL).open("wb") as file:
        file.truncate(2**40)  # of nothing: it takes no room on the disk
    part = {"name": manifest.MODEL, "size": 2**40, "sha256": "0" * 64}
    (path / manifest.MANIFEST).write_bytes(
        manifest.seal({"version": 1, "step": 10, "state": {}, "files": [part]})
    )
    monkeypatch.setattr(manifest, "read_file", None)
    with pytest.raises(CheckpointError, match="no counting model of its order takes"):
        load(folder)


@pytest.mark.parametrize(
    ("dtype", "shape"), [("F32", [1] * 65), ("F32", [1] * 9), ("F8_E4M3", [4]), ("F8_E5M2", [2, 2])]
)
def test_a_tensor_with_which_nobody_can_compute_is_damaged(dtype: str, shape: list[int]) -> None:
    header = json.dumps({"a": {"dtype": dtype, "shape": shape, "data_offsets": [0, 4]}}).encode()
    data = len(header).to_bytes(8, "little") + header + bytes(4)
    with pytest.raises(CheckpointError, match=r"model\.safetensors is damaged: 'a' is no tensor of ours"):
        tensors.from_bytes(data, "model.safetensors")


@pytest.mark.parametrize("name", ["size", "version", "step"])
def test_a_manifest_with_a_number_of_thousands_of_digits_makes_no_long_sentence(
    folder: RunFolder, name: str
) -> None:
    path = folder.checkpoints / "step-00000007"
    path.mkdir(parents=True)
    (path / manifest.MODEL).touch()
    told = json.loads(sealed(7, "{}"))
    del told["sha256"]
    (told["files"][0] if name == "size" else told)[name] = 10**4200
    (path / manifest.MANIFEST).write_bytes(manifest.seal(told))
    (info,) = checkpoints(folder)
    assert info.problem is not None and len(info.problem) < 500 + len(str(path))


def test_a_long_wrong_name_makes_no_long_sentence(tmp_path: Path) -> None:
    folder, _ = trained(tmp_path, NGRAM)
    info = json.loads(folder.run.read_text())
    folder.run.write_text(json.dumps({**info, "model": {**info["model"], "arch": "x" * 100_000}}))
    with pytest.raises(CheckpointError, match=r"run\.json is damaged") as caught:
        load(folder)
    assert len(str(caught.value)) < 1000


@pytest.fixture
def source(tmp_path: Path) -> Path:
    file = tmp_path / "text.txt"
    file.write_text("the quick brown fox jumps over the lazy dog\n" * 50)
    return file


def change_manifest(entry: Path, change: Callable[[dict[str, Any]], object]) -> None:
    told = json.loads((entry / "manifest.json").read_text())
    change(told)
    (entry / "manifest.json").write_text(json.dumps(told).replace('"ENDLESS"', ENDLESS))


def other_ids(entry: Path, told: dict[str, Any]) -> None:
    """Ids of which one is not in the vocabulary, and the hash that belongs to them."""
    ids = bytearray((entry / "train.ids").read_bytes())
    ids[100] = 0xFF
    (entry / "train.ids").unlink()
    (entry / "train.ids").write_bytes(ids)
    told["files"]["train.ids"]["sha256"] = hashlib.sha256(ids).hexdigest()


@pytest.mark.parametrize(
    "change",
    [
        lambda entry, told: told.update(dtype="float64"),
        lambda entry, told: told.update(dtype="O"),
        lambda entry, told: told.update(dtype="(1,,2)u1"),
        lambda entry, told: told.update(dtype={"names": ["a"], "formats": ["O"]}),
        lambda entry, told: told.update(train_chars="ENDLESS"),
        lambda entry, told: told.update(val_chars=-1),
        lambda entry, told: told.update(sha256="0" * 64),
        other_ids,
    ],
    ids=range(8),
)  # fmt: skip
def test_token_files_that_lie_are_made_anew(
    source: Path, change: Callable[[Path, dict[str, Any]], object]
) -> None:
    first = made(source)
    expected, counts = np.array(first.train_ids), (first.train_chars, first.val_chars)
    del first
    gc.collect()
    (entry,) = (source.parent / "cache" / "tokens").iterdir()
    change_manifest(entry, lambda told: change(entry, told))
    again = made(source)
    assert again.train_ids.dtype == expected.dtype and np.array_equal(again.train_ids, expected)
    assert (again.train_chars, again.val_chars) == counts


STATES: list[tuple[str, str]] = [
    ("train_chars", '"many"'), ("train_chars", ENDLESS), ("train_chars", "-1"), ("seconds", "null"), ("seconds", HUGE), ("seconds", ENDLESS),
    ("wall_seconds", HUGE), ("wall_seconds", '"x"'), ("best_step", "[]"), ("best_val_loss", '"low"'), ("last_val_loss", "true"), ("eval_step", "1.5"),
    ("plans", "[]"), ("plans", "{}"), ("plans", '[{"step": 0, "start": 0, "horizon": "x"}]'), ("plans", f'[{{"step": 0, "start": 0, "horizon": {HUGE}}}]'),
    ("plans", '[{"step": 0, "start": 0, "horizon": 9, "timed": 1}]'), ("controls", '[{"id": "a", "step": 1, "do": "lr", "value": "x"}]'),
    ("controls", f'[{{"id": "a", "step": 1, "do": "lr", "value": {HUGE}}}]'), ("controls", '[{"id": "a", "step": 1, "do": "extend", "value": 1e300}]'),
    ("controls", '[{"id": [], "step": 1, "do": "lr", "value": 1.0}]'), ("controls", '[{"id": "a", "step": -1, "do": "lr", "value": 1.0}]'),
]  # fmt: skip


@pytest.fixture(scope="module")
def saved_once(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = World(tmp_path_factory.mktemp("saved") / "data")
    folder = world.run("fox", steps=6, save_every=3, eval_every=3, kernels="eager", sample_chars=2)
    assert world.train(folder) == 0
    return world


@pytest.mark.parametrize(("key", "value"), STATES, ids=lambda text: text[:24])
def test_a_run_whose_state_cannot_be_is_not_trained_further(saved_once: World, key: str, value: str) -> None:
    folder = RunFolder(saved_once.data / "runs" / "fox")
    path = folder.checkpoints / "step-00000006" / manifest.MANIFEST
    sound = path.read_bytes()
    told = {name: part for name, part in json.loads(sound).items() if name != "sha256"}
    told["state"][key] = "VALUE"
    text = json.dumps(told).replace('"VALUE"', value)
    seal = manifest._seal_of(json.loads(text))
    path.write_bytes(text[:-1].encode() + b', "sha256": "' + seal.encode() + b'"}')
    try:
        with pytest.raises(CheckpointError, match="does not fit the run"):
            saved_once.train(folder, total_steps=8)
    finally:
        path.write_bytes(sound)


@pytest.mark.parametrize(
    "line",
    [
        f'{{"event": "control", "id": "x", "step": 7, "do": "extend", "value": {ENDLESS}}}',
        '{"event": "control", "id": "x", "step": 7, "do": "extend", "value": 1e300}',
        f'{{"event": "control", "id": "x", "step": 7, "do": "lr", "value": {ENDLESS}}}',
        '{"event": "control", "id": "x", "step": 7, "do": "lr", "value": null}',
        f'{{"event": "plan", "step": 6, "start": 0, "horizon": {HUGE}}}',
        f'{{"event": "plan", "step": 6, "start": -{HUGE}, "horizon": 9}}',
    ],
)
def test_changes_of_course_that_nobody_can_have_asked_for_are_not_repeated(
    saved_once: World, tmp_path: Path, line: str
) -> None:
    folder = RunFolder(saved_once.data / "runs" / "fox")
    events = folder.events.read_bytes()
    folder.events.write_bytes(events + line.encode() + b"\n")
    try:
        assert saved_once.train(folder, total_steps=saved_step(folder) + 2) == 0
    finally:
        for info in checkpoints(folder)[:-1]:
            if info.step > 6:
                for file in info.path.iterdir():
                    file.unlink()
                info.path.rmdir()
        folder.events.write_bytes(events)


def saved_step(folder: RunFolder) -> int:
    return checkpoints(folder)[0].step


REQUESTS: list[dict[str, Any]] = [
    {"values": 7}, {"values": [[1, 2]]}, {"values": {"steps": "many"}}, {"values": {"tokenizer": []}}, {"values": {"n_embd": 10**9}},
    {"values": {"evil": 1}}, {"size": []}, {"size": "huge"}, {"turns": 7}, {"turns": {"user": 1, "model": 2}}, {"recipe": {"x": 1}},
    {"corpus": 7}, {"corpus": {"sha256": 7}}, {"corpus": {"sha256": "../../etc/passwd"}}, {"corpus": {"sha256": "0" * 64, "source": 7}},
    {"corpus": {"sha256": "0" * 64, "source": "/etc/passwd"}}, {"corpus": {"sha256": "0" * 64, "source": "a\0b"}},
    {"corpus": {"sha256": "0" * 64, "source": "/etc/passwd", "encoding": "zlib"}}, {"corpus": {"sha256": "0" * 64, "source": "x", "encoding": []}},
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(REQUESTS)), ids=lambda number: json.dumps(REQUESTS[number])[:40])
def test_a_request_that_nobody_can_have_made_is_one_sentence(saved_once: World, number: int) -> None:
    folder = saved_once.run(f"asked-{number}", steps=2)
    folder.request.write_text(json.dumps({**json.loads(folder.request.read_text()), **REQUESTS[number]}))
    with pytest.raises(TinygptError) as caught:
        saved_once.train(folder)
    assert len(str(caught.value)) < 1000
    assert not folder.run.exists() and not folder.checkpoints.exists()
