"""The starter: packed without loss, sound or refused, found where nobody has a run, and never changed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

import engine
from engine import manifest, starter, starter_making, tensors
from engine.catalogue.tales_and_talk import STRETCH, write_tales_and_talk
from engine.corpus import read_corpus, split
from engine.errors import CheckpointError, RunError, TakenError, UsageError
from engine.loading import load
from engine.packing import EXPONENT, packed, unpacked
from engine.run_list import delete_run, list_runs, resolve_run
from engine.runs import RunFolder, suggest_name
from models.compiled import round_weights

ROOT = Path(engine.__file__).parent.parent


@pytest.fixture(scope="module")
def packed_once(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFolder, Path]:
    """A tiny run, and the starter that was made of it."""
    from tests.engine.conftest import World

    world = World(tmp_path_factory.mktemp("making") / "data")
    run = world.run("animals", steps=6, n_layer=1)
    assert world.train(run) == 0
    target = tmp_path_factory.mktemp("built-in") / "starter"
    target.mkdir()
    (target / "README.md").write_text(
        "| what | figure |\n|---|---|\n| val_loss | to be measured |\n| size | ? |\n\nMIT\n"
    )
    starter_making.pack(run, target)
    return run, target


@pytest.fixture
def there(packed_once: tuple[RunFolder, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """A copy of it, built in."""
    folder = tmp_path / "starter"
    shutil.copytree(packed_once[1], folder)
    monkeypatch.setattr(starter, "FOLDER", folder)
    return RunFolder(folder)


def files(folder: RunFolder) -> dict[str, bytes]:
    return {str(p.relative_to(folder.path)): p.read_bytes() for p in folder.path.rglob("*") if p.is_file()}


def test_the_starter_is_to_the_bit_what_playing_makes_of_the_run(packed_once: tuple[RunFolder, Path]) -> None:
    run, target = packed_once
    played = load(run, "best", to_write=True).model.state_dict()
    exact, again = load(RunFolder(target)), load(RunFolder(target), to_write=True)
    for name, weight in played.items():
        assert torch.equal(exact.model.state_dict()[name], weight), name
        assert torch.equal(again.model.state_dict()[name], weight), name
    assert exact.tokenizer.to_json() == load(run).tokenizer.to_json()


def test_its_weights_take_half_the_bytes_and_everything_in_it_is_data(
    packed_once: tuple[RunFolder, Path],
) -> None:
    run, target = packed_once
    (made,) = target.glob("checkpoints/step-*")
    model = run.checkpoints / made.name / manifest.MODEL
    header = 8 + int.from_bytes(model.read_bytes()[:8], "little")
    values = model.stat().st_size - header
    mine = (made / manifest.MODEL).read_bytes()
    assert len(mine) - 8 - int.from_bytes(mine[:8], "little") < 0.56 * values
    assert {p.name for p in target.rglob("*") if p.is_file()} == {
        "README.md", "run.json", "tokenizer.json", "status.json", manifest.MODEL, manifest.MANIFEST,
    }  # fmt: skip


def test_it_says_what_it_is_made_of_and_its_loss_can_be_measured_again(
    packed_once: tuple[RunFolder, Path],
) -> None:
    run, target = packed_once
    info = RunFolder(target).read_run()
    assert (info["run"], info["licence"]) == ("starter", "MIT")
    assert info["recipe"] == run.read_run()["recipe"] and info["corpus"] == run.read_run()["corpus"]
    assert "engine.starter make" in info["made"] and info["created"][:2] == "20"
    loaded = load(RunFolder(target))
    assert loaded.val_loss == pytest.approx(starter_making._measured(run, loaded), abs=1e-12)
    card = (target / "README.md").read_text()
    assert f"| val_loss | {loaded.val_loss:.4f} nats" in card and "| size | 0.0" in card and "MIT" in card


@pytest.mark.parametrize("name", [manifest.MODEL, manifest.MANIFEST])
def test_a_flipped_bit_is_noticed_as_in_every_checkpoint(there: RunFolder, name: str) -> None:
    (path,) = there.checkpoints.glob(f"step-*/{name}")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match="damaged"):
        load(there)


def test_a_row_too_large_for_a_number_is_no_weight(there: RunFolder) -> None:
    (path,) = there.checkpoints.glob("step-*")
    stored = tensors.from_bytes((path / manifest.MODEL).read_bytes(), "")
    name = next(name for name in stored if name.endswith(EXPONENT))
    stored[name] = torch.full_like(stored[name], 127)
    data = tensors.to_bytes(stored)
    step = manifest.step_of(path)
    assert step is not None
    (path / manifest.MODEL).write_bytes(data)
    (path / manifest.MANIFEST).write_bytes(manifest.build(step, {}, {manifest.MODEL: data}))
    with pytest.raises(CheckpointError, match="not finite"):
        load(there)


def test_what_is_packed_comes_back_and_what_is_not_exact_is_left_alone() -> None:
    rounded = torch.nn.Linear(24, 7, bias=True)
    with torch.no_grad():
        rounded.weight[2] = 0
        rounded.weight[3] *= 1e-30
    round_weights(rounded)
    rough, whole = torch.randn(4, 4), torch.arange(6)
    weights = {**rounded.state_dict(), "rough": rough, "whole": whole}
    small = packed(weights)
    assert small["weight"].dtype == torch.int16 and small[f"weight{EXPONENT}"].shape == (7, 1)
    assert small["rough"] is not None and small["rough"].dtype == torch.float32
    back = unpacked(small)
    assert back.keys() == weights.keys()
    assert all(torch.equal(back[name], weights[name]) for name in weights)


def test_exponents_that_do_not_fit_stay_for_the_shape_check_to_find() -> None:
    strange = {"a": torch.zeros(2, 2, dtype=torch.int16), f"a{EXPONENT}": torch.zeros(3, 1, dtype=torch.int8)}
    assert unpacked(strange).keys() == strange.keys()
    alone = {f"b{EXPONENT}": torch.zeros(3, 1, dtype=torch.int8)}
    assert unpacked(alone).keys() == alone.keys()


def test_it_stands_in_for_the_newest_run_until_there_is_one(there: RunFolder, world: Any) -> None:
    runs = world.data / "runs"
    assert resolve_run(runs, None).path == there.path
    assert resolve_run(runs, "starter").path == there.path
    assert list_runs(runs) == []
    run = world.run("animals", steps=2, n_layer=1)
    assert resolve_run(runs, None).path == there.path  # it has no checkpoint yet
    world.train(run)
    assert resolve_run(runs, None).name == "animals" and resolve_run(runs, "starter").path == there.path
    assert [run.run for run in list_runs(runs)] == ["animals"]


def test_without_it_the_message_says_so(world: Any) -> None:
    with pytest.raises(CheckpointError, match="starter is missing from this installation: train one first"):
        resolve_run(world.data / "runs", None)
    with pytest.raises(CheckpointError, match="starter is missing from this installation"):
        resolve_run(world.data / "runs", "starter")


def test_nobody_trains_on_it_and_nobody_deletes_it(there: RunFolder, world: Any) -> None:
    before = files(there)
    child = subprocess.run(
        [sys.executable, "-c", f"import sys; from pathlib import Path; from engine import starter; starter.FOLDER = Path({str(there.path)!r}); "
         "from engine.__main__ import main; sys.exit(main(['train', sys.argv[1]]))", str(there.path)],
        cwd=ROOT, capture_output=True, text=True, timeout=60, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert child.returncode == 2 and "built in" in child.stderr
    with pytest.raises(UsageError, match="built in"):
        delete_run(world.data / "runs", "starter")
    assert files(there) == before


def test_no_new_run_takes_its_name(there: RunFolder, world: Any) -> None:
    with pytest.raises(UsageError, match="built in: choose another name") as caught:
        RunFolder.create(world.data / "runs", "starter", {})
    assert not isinstance(caught.value, TakenError)
    assert suggest_name("Starter.txt", world.data / "runs") == "starter-2"


def test_a_run_that_had_its_name_before_is_still_a_persons_own(there: RunFolder, world: Any) -> None:
    run = world.run("animals", steps=2, n_layer=1)
    world.train(run)
    own = run.path.rename(run.path.with_name("starter"))
    assert resolve_run(world.data / "runs", "starter").path == own
    delete_run(world.data / "runs", "starter")
    assert not own.exists() and there.run.is_file()


def test_what_would_be_too_large_is_refused_before_it_is_trained(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="choose a smaller one"):
        starter_making.make(tmp_path / "s", {"steps": 1, "n_layer": 8, "n_embd": 512, "n_head": 8})
    assert not (tmp_path / "s").exists()


def test_a_starter_that_is_too_large_leaves_the_old_one(
    packed_once: tuple[RunFolder, Path], there: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files(there)
    monkeypatch.setattr(starter_making, "MOST_BYTES", 1000)
    with pytest.raises(RunError, match="1,000 are allowed"):
        starter_making.pack(packed_once[0], there.path)
    assert files(there) == before and not list(there.path.glob(".new-*"))


def test_one_command_replaces_it(
    packed_once: tuple[RunFolder, Path], there: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    run, _ = packed_once
    (there.path / "README.md").write_text("| steps | 1 |\n")
    (there.checkpoints / "step-00000001").mkdir()
    assert starter_making.main(["make", "--from", str(run.path), "--to", str(there.path)]) == 0
    assert [path.name for path in there.checkpoints.iterdir()] == ["step-00000006"]
    assert (there.path / "README.md").read_text() == "| steps | 6 |\n"
    assert "val_loss: " in capsys.readouterr().err
    assert starter_making.main(["make", "--from", str(there.path.parent / "gone")]) == 2


def test_the_text_holds_every_tale_and_conversation_and_ends_in_both() -> None:
    corpus = read_corpus("tales-and-talk")
    assert corpus.turns is not None and (corpus.turns.user, corpus.turns.model) == ("You: ", "Pip: ")
    assert corpus.text.endswith("\n") and "\n\n\n" not in corpus.text
    pieces = set(corpus.text.strip("\n").split("\n\n"))
    for name in ("tales", "smalltalk"):
        assert set(read_corpus(name).text.strip("\n").split("\n\n")) <= pieces
    _, end = split(corpus.text)
    talk = sum(len(line) + 1 for line in end.split("\n") if line.startswith(("You: ", "Pip: ")))
    assert 0.3 * len(end) < talk < 0.7 * len(end)


def test_its_stretches_are_long_so_that_a_tale_follows_a_tale() -> None:
    kinds = [p.startswith("You: ") for p in write_tales_and_talk(3, 200_000).strip("\n").split("\n\n")]
    changes = sum(a != b for a, b in pairwise(kinds))
    assert changes == pytest.approx(200_000 / STRETCH, abs=3)
    assert (
        write_tales_and_talk(3, 50_000) == write_tales_and_talk(3, 50_000) != write_tales_and_talk(4, 50_000)
    )


def test_the_one_in_the_repository_if_it_is_there_is_small_and_sound() -> None:
    folder = RunFolder(ROOT / "models" / "starter")
    assert (folder.path / "README.md").is_file()
    if not folder.run.is_file():
        pytest.skip("this copy has no starter")
    size = sum(path.stat().st_size for path in folder.path.rglob("*") if path.is_file())
    assert size <= starter_making.MOST_BYTES
    loaded = load(folder)
    assert loaded.val_loss is not None and loaded.turns == {"user": "You: ", "model": "Pip: "}
    text = read_corpus("tales-and-talk").text.encode()
    assert loaded.run_info["corpus"]["sha256"] == hashlib.sha256(text).hexdigest()
    assert set(json.loads(folder.run.read_text())["parts"]) == {"tales", "smalltalk"}
