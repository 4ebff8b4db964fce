"""What loading promises: the model that was saved, and from a stranger's folder one sentence instead of a surprise."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import engine
import models
from engine import manifest, tensors
from engine.checkpoint import save_checkpoint
from engine.errors import CheckpointError
from engine.loading import load
from engine.reading import open_read
from engine.runs import RunFolder
from engine.tokenizer import train_tokenizer
from models import ModelConfig
from models.ngram import NGram

ROOT = Path(engine.__file__).parent.parent
TEXT = "hello world"
VOCAB = len(set(TEXT))
MODERN = ModelConfig("modern", VOCAB, 8, n_layer=1, n_head=2, n_embd=8)
CLASSIC = ModelConfig("classic", VOCAB, 8, n_layer=1, n_head=2, n_embd=8, dropout=0.5)
NGRAM = ModelConfig("ngram", VOCAB, 8, order=3)


def run_json(config: ModelConfig) -> dict[str, Any]:
    return {
        "version": 1,
        "run": "tales",
        "recipe": {},
        "model": config.to_json(),
        "corpus": {"name": "tales", "sha256": "0" * 64, "chars": len(TEXT), "source": "built in"},
        "turns": {"user": "\n> ", "model": "\n"},
        "params": 1,
        "created": "2026-01-02T03:04:05+00:00",
    }


def trained(path: Path, config: ModelConfig) -> tuple[RunFolder, models.interface.LanguageModel]:
    folder = RunFolder.create(path / "runs", "tales", {})
    folder.write_run(run_json(config))
    tokenizer = train_tokenizer("chars", TEXT)
    folder.write_tokenizer(tokenizer.to_json())
    if config.arch == "ngram":
        model: Any = NGram.count(config, np.asarray(tokenizer.encode(TEXT).ids))
    else:
        model = models.build(config)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.normal_()
    save_checkpoint(folder, 10, model.state_dict(), {}, {"val_loss": 1.0})
    return folder, model


def replace_weights(folder: RunFolder, weights: dict[str, Tensor]) -> None:
    """A checkpoint whose hashes hold, around other weights."""
    path = folder.checkpoints / "step-00000010"
    data = tensors.to_bytes(weights)
    (path / manifest.MODEL).write_bytes(data)
    (path / manifest.MANIFEST).write_bytes(manifest.build(10, {}, {manifest.MODEL: data}))


def unsealed(folder: RunFolder) -> dict[str, Any]:
    """What the manifest says, without its hash."""
    text = (folder.checkpoints / "step-00000010" / manifest.MANIFEST).read_text()
    return {key: value for key, value in json.loads(text).items() if key != "sha256"}


@pytest.mark.parametrize("config", [MODERN, CLASSIC, NGRAM], ids=lambda config: config.arch)
def test_the_model_that_was_saved_is_the_one_that_is_loaded(tmp_path: Path, config: ModelConfig) -> None:
    folder, model = trained(tmp_path, config)
    model.eval()
    loaded = load(folder)
    ids = torch.arange(VOCAB).unsqueeze(0)  # (1, VOCAB)
    assert not loaded.model.training
    with torch.no_grad():
        assert torch.equal(loaded.model(ids), model(ids))
    assert loaded.tokenizer.decode(loaded.tokenizer.encode(TEXT).ids) == TEXT
    assert (loaded.step, loaded.val_loss, loaded.config, loaded.skipped) == (10, 1.0, config, [])
    assert loaded.turns == {"user": "\n> ", "model": "\n"}
    assert loaded.run_info["run"] == "tales"


def test_the_best_is_loaded_unless_another_is_asked_for(tmp_path: Path) -> None:
    folder, model = trained(tmp_path, MODERN)
    save_checkpoint(folder, 20, model.state_dict(), {}, {"val_loss": 2.0})
    assert load(folder).step == 10
    assert load(folder, "last").step == 20
    assert load(folder, 20).step == 20


def test_a_skipped_checkpoint_is_named(tmp_path: Path) -> None:
    folder, model = trained(tmp_path, MODERN)
    path = save_checkpoint(folder, 20, model.state_dict(), {}, {"val_loss": 0.5})
    (path / manifest.MODEL).write_bytes(b"")
    loaded = load(folder)
    assert loaded.step == 10
    assert "step 20" in loaded.skipped[0]


def test_of_a_checkpoint_only_the_weights_are_read_and_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = trained(tmp_path, MODERN)
    (folder.checkpoints / "step-00000010" / manifest.TRAINING).write_bytes(b"damaged!")
    data = unsealed(folder)
    data["files"][1]["size"] = len(b"damaged!")
    (folder.checkpoints / "step-00000010" / manifest.MANIFEST).write_bytes(manifest.seal(data))
    opened: list[str] = []

    def counting(path: Path) -> int:
        opened.append(path.name)
        return open_read(path)

    monkeypatch.setattr("engine.reading.open_read", counting)
    monkeypatch.setattr(manifest, "_sha256_of", None)
    assert load(folder).step == 10
    assert opened.count(manifest.MODEL) == 1 and manifest.TRAINING not in opened


@pytest.mark.parametrize("at", ["best", "last", 10])
def test_damaged_weights_are_never_loaded(tmp_path: Path, at: Any) -> None:
    folder, _ = trained(tmp_path, MODERN)
    path = folder.checkpoints / "step-00000010" / manifest.MODEL
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match="sha256"):
        load(folder, at)


def test_a_checkpoint_pruned_under_the_reader_gives_way_to_a_newer_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, model = trained(tmp_path, MODERN)
    read_file = manifest.read_file

    def prunes_first(checkpoint: manifest.Checkpoint, name: str) -> bytes:
        if checkpoint.step == 10:
            save_checkpoint(folder, 20, model.state_dict(), {}, {})
            shutil.rmtree(checkpoint.path)
        return read_file(checkpoint, name)

    monkeypatch.setattr(manifest, "read_file", prunes_first)
    loaded = load(folder, "last")
    assert (loaded.step, loaded.skipped) == (20, [])


def test_a_file_far_larger_than_its_model_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = trained(tmp_path, MODERN)
    replace_weights(folder, {"a": torch.zeros(500_000)})
    monkeypatch.setattr(manifest, "read_file", None)
    with pytest.raises(CheckpointError, match="does not fit the model of its run"):
        load(folder)


def test_weights_are_converted_when_asked(tmp_path: Path) -> None:
    folder, _ = trained(tmp_path, MODERN)
    loaded = load(folder, dtype=torch.float64)
    assert {parameter.dtype for parameter in loaded.model.parameters()} == {torch.float64}


def test_loading_draws_nothing_from_the_global_generator(tmp_path: Path) -> None:
    folder, _ = trained(tmp_path, MODERN)
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    load(folder)
    assert torch.equal(torch.rand(3), expected)


def test_every_tensor_must_be_the_one_that_the_shape_asks_for(tmp_path: Path) -> None:
    folder, model = trained(tmp_path, MODERN)
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    name = next(iter(weights))
    first = weights[name]
    broken = {
        "missing": {key: tensor for key, tensor in weights.items() if key != name},
        "unknown": {**weights, "\x1b[31mextra": torch.zeros(1)},
        "shape": {**weights, name: first.flatten()},
        "torch.int32": {**weights, name: torch.zeros(first.shape, dtype=torch.int32)},
        "not finite": {**weights, name: torch.full_like(first, float("nan"))},
        "bytes for": {**weights, name: torch.zeros(1_000_000)},
    }
    for reason, tensors_of_a_stranger in broken.items():
        replace_weights(folder, tensors_of_a_stranger)
        with pytest.raises(CheckpointError, match=r"fit|not finite") as caught:
            load(folder)
        assert reason in str(caught.value) or reason == "missing"
        assert str(caught.value).isprintable()


def test_a_counting_model_of_a_stranger_is_checked_too(tmp_path: Path) -> None:
    folder, model = trained(tmp_path, NGRAM)
    weights = dict(model.state_dict())
    weights.pop(next(iter(weights)))
    replace_weights(folder, weights)
    with pytest.raises(CheckpointError, match="does not fit"):
        load(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"n_embd": 10**9},
        {"n_embd": -8},
        {"n_layer": 10**9},
        {"vocab_size": 10**9},
        {"block_size": 2**62},
        {"n_head": 3},
        {"n_head": True},
        {"dropout": "much"},
        {"dropout": None},
        {"arch": ["modern"]},
        {"arch": "os.system"},
        {"extra": 1},
    ],
    ids=json.dumps,
)
def test_a_hostile_configuration_is_one_sentence(tmp_path: Path, change: dict[str, Any]) -> None:
    folder, _ = trained(tmp_path, MODERN)
    info = run_json(MODERN)
    folder.run.write_text(json.dumps({**info, "model": {**info["model"], **change}}))
    with pytest.raises(CheckpointError, match=r"run\.json is damaged"):
        load(folder)


def test_a_configuration_far_larger_than_its_file_takes_no_memory(tmp_path: Path) -> None:
    folder, _ = trained(tmp_path, MODERN)
    info = run_json(MODERN)
    largest = {"n_embd": 4096, "n_layer": 48, "n_head": 32, "block_size": 8192}  # 40 GB of weights
    folder.run.write_text(json.dumps({**info, "model": {**info["model"], **largest}}))
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from engine.errors import CheckpointError\n"
        "from engine.loading import load; from engine.runs import RunFolder\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: load(RunFolder(Path(sys.argv[1])))\n"
        "except CheckpointError as error: print(error)\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, str(folder.path)], capture_output=True, text=True, cwd=ROOT, check=True
    )
    message, megabytes = result.stdout.splitlines()
    assert "does not fit the model of its run" in message
    assert int(megabytes) < 200


def test_a_tokenizer_of_another_run_is_refused(tmp_path: Path) -> None:
    folder, _ = trained(tmp_path, MODERN)
    folder.tokenizer.write_text(json.dumps(train_tokenizer("chars", "abc").to_json()))
    with pytest.raises(CheckpointError, match="same run"):
        load(folder)


@pytest.mark.parametrize("name", ["run", "tokenizer"])
@pytest.mark.parametrize("text", [None, "", "[]", "{}", '{"version": 1}'])
def test_a_broken_file_is_one_sentence(tmp_path: Path, name: str, text: str | None) -> None:
    folder, _ = trained(tmp_path, MODERN)
    path: Path = getattr(folder, name)
    path.unlink()
    if text is not None:
        path.write_text(text)
    with pytest.raises(CheckpointError):
        load(folder)


def test_a_pickle_in_place_of_weights_runs_nothing(tmp_path: Path) -> None:
    folder, _ = trained(tmp_path, MODERN)
    canary = tmp_path / "canary"
    # protocol 0: builtins.open(canary, "w")
    attack = f"cbuiltins\nopen\n(S'{canary}'\nS'w'\ntR.".encode().ljust(
        (folder.checkpoints / "step-00000010" / manifest.MODEL).stat().st_size, b"\n"
    )
    path = folder.checkpoints / "step-00000010"
    (path / manifest.MODEL).write_bytes(attack)
    (path / manifest.MANIFEST).write_bytes(manifest.build(10, {}, {manifest.MODEL: attack}))
    with pytest.raises(CheckpointError, match="damaged"):
        load(folder)
    assert not canary.exists()
