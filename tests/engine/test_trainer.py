"""What the trainer process promises: signals and requests end it in order, and whatever goes wrong stands in the run folder."""

from __future__ import annotations

import errno
import json
import math
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from engine import events, storage
from engine.__main__ import main
from engine.checkpoint import checkpoints, find_checkpoint, load_weights
from engine.control import request
from engine.corpus import load_stored, split
from engine.errors import CheckpointError, ResourceError, RunError
from engine.evaluate import validation_loss
from engine.event_log import EventLog, read_events
from engine.events import Control, Done, Eval, Event, Failed, Plan, Sample, Saved, Step, Warn
from engine.loading import load
from engine.preparing import prepare
from engine.runs import RunFolder
from engine.trainer import Signals


def of(kind: type[Event], folder: RunFolder) -> list[Any]:
    return [event for event in read_events(folder) if isinstance(event, kind)]


def at(step: int, act: Callable[[], Any]) -> Callable[[Event], None]:
    """A listener that acts as soon as `step` updates are done."""

    def say(event: Event) -> None:
        if isinstance(event, Step) and event.step == step:
            act()

    return say


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_saves_and_ends_with_its_code_and_the_run_goes_on_exactly(world: Any, number: int) -> None:
    values = {"steps": 14, "save_every": 6}
    stopped, whole = world.run("stopped", **values), world.run("whole", **values)
    before = signal.getsignal(number)
    code = world.train(stopped, at(8, lambda: signal.raise_signal(number)))
    assert code == 128 + number
    assert signal.getsignal(number) == before
    assert stopped.state() == "stopped"
    assert not stopped.is_locked()
    assert checkpoints(stopped)[0].step == 8
    assert of(Done, stopped)[0].reason == "stopped"
    assert world.train(stopped) == 0
    world.train(whole)
    assert world.weights(stopped) == world.weights(whole)
    assert world.steps(stopped) == world.steps(whole)


def test_a_stop_that_is_asked_for_ends_with_success(world: Any) -> None:
    folder = world.run("run", steps=14, save_every=6)
    assert world.train(folder, at(8, lambda: request(folder, "stop"))) == 0
    assert folder.state() == "stopped"
    assert [info.step for info in checkpoints(folder)] == [8, 6]
    assert folder.read_status().step == 8


def test_a_second_signal_ends_the_process_at_once(world: Any) -> None:
    folder = world.run("run", steps=10**6, sample_chars=0)
    request(folder, "sample", 10_000, prompt="the")
    child = world.spawn(folder)
    # While it writes a long sample it cannot finish a step, so one signal alone would have to wait. Sent until it ends, since
    # two that come at once are one to the system.
    world.until(lambda: child.poll() is not None or of(Control, folder))
    world.until(lambda: child.poll() is not None or child.send_signal(signal.SIGTERM))
    assert child.wait() == 143
    assert not folder.is_locked()
    assert of(Done, folder) == of(Sample, folder) == []
    assert folder.state() == "stale"


def test_signals_of_several_kinds_ask_once(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def leave(code: int) -> None:
        raise world.Died

    def ask() -> None:  # as a system that shuts down asks: with all it has, one after the other
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.raise_signal(number)

    monkeypatch.setattr(os, "_exit", leave)
    folder = world.run("run", steps=14)
    assert world.train(folder, at(8, ask)) == 128 + signal.SIGTERM
    assert (folder.state(), checkpoints(folder)[0].step) == ("stopped", 8)


def test_whoever_asks_in_a_signals_place_leaves_that_signal_its_first_time(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def leave(code: int) -> None:
        raise world.Died

    def ask() -> None:
        signals.ask(signal.SIGTERM)
        signals.ask(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(os, "_exit", leave)
    folder, signals = world.run("run", steps=14), Signals()
    assert world.train(folder, at(8, ask), signals=signals) == 128 + signal.SIGTERM
    assert (folder.state(), checkpoints(folder)[0].step) == ("stopped", 8)


def test_a_control_is_on_the_disk_before_it_is_obeyed(world: Any) -> None:
    folder = world.run("run", steps=6, sample_chars=0)
    written = []

    def say(event: Event) -> None:
        at(3, lambda: request(folder, "sample", 9, prompt="the"))(event)
        if isinstance(event, Control | Sample):
            written.append([events.name_of(e) for e in of(Control, folder) + of(Sample, folder)])

    world.train(folder, say)
    assert written == [["control"], ["control", "sample"]]


def test_strange_and_repeated_requests_are_ignored(world: Any) -> None:
    folder = world.run("run", steps=8)
    lines = [
        b'{"id": "one", "do": "lr", "factor": 0.5}',
        b'{"id": "one", "do": "lr", "factor": 0.5}',
        b'{"id": "two", "do": "explode"}',
        b'{"id": "three", "do": "lr", "factor": 1e9}',
        b'{"id": "four", "do": "lr", "fac',
        b'{"do": "stop"}',
        b"\xff\x00",
        b'{"id": "one", "do": "stop"}',
    ]
    folder.control.write_bytes(b"\n".join(lines) + b"\n")
    assert world.train(folder) == 0
    assert [(c.id, c.do, c.value) for c in of(Control, folder)] == [("one", "lr", 0.5)]
    assert folder.state() == "done"


def test_requests_from_outside_reach_a_trainer_at_work(world: Any) -> None:
    folder = world.run("run", steps=10**6, sample_chars=0)
    child = world.spawn(folder)
    world.until(lambda: child.poll() is not None or world.steps(folder))
    request(folder, "pause")
    world.until(lambda: child.poll() is not None or folder.state() == "paused")
    held = world.steps(folder)[-1][0]
    assert of(Control, folder)[0].step == held
    request(folder, "save")
    world.until(lambda: child.poll() is not None or of(Saved, folder))
    assert world.steps(folder)[-1][0] == held
    request(folder, "resume")
    world.until(lambda: child.poll() is not None or world.steps(folder)[-1][0] > held)
    child.terminate()
    assert child.wait() == 143
    assert folder.state() == "stopped"
    assert [c.do for c in of(Control, folder)] == ["pause", "save", "resume"]


def test_the_status_tells_where_a_finished_run_stands(world: Any) -> None:
    folder = world.run("run", steps=7, eval_every=3)
    world.train(folder)
    status = folder.read_status()
    done = of(Done, folder)[0]
    assert (status.state, status.step, status.horizon) == ("done", 7, 7)
    assert status.val_loss == done.best_val_loss == min(e.val_loss for e in of(Eval, folder))


def test_the_end_tells_what_the_run_took_by_the_clock_in_all_its_processes(world: Any) -> None:
    folder = world.run("run", steps=7)
    world.train(folder, began=time.monotonic() - 10_000)
    world.train(folder, began=time.monotonic() - 20_000, total_steps=9)
    first, second = of(Done, folder)
    assert first.wall_seconds > 10_000 and second.wall_seconds > 30_000
    assert second.seconds < 10_000


def test_a_rate_that_is_far_too_high_fails_and_keeps_the_last_good_checkpoint(
    world: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = world.run(
        "run", steps=60, save_every=1, arch="classic", optimizer="adamw", lr=10.0, weight_decay=100.0, warmup_steps=0, clip=0.0
    )  # fmt: skip
    assert main(["train", str(folder.path)]) == 1
    assert "not finite" in capsys.readouterr().err
    (failed,) = of(Failed, folder)
    assert read_events(folder)[-1] == failed
    assert failed.exit == 1
    assert failed.step == world.steps(folder)[-1][0]
    assert (folder.state(), folder.read_status().message) == ("failed", failed.reason)
    checkpoint, skipped = find_checkpoint(folder, "last")
    assert skipped == []
    assert all(bool(torch.isfinite(t).all()) for t in load_weights(checkpoint).values())
    assert checkpoint.step == of(Saved, folder)[-1].step
    assert not folder.is_locked()


def test_a_failed_run_can_be_resumed_from_its_last_good_checkpoint(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {"steps": 10, "save_every": 4}
    failed, whole = world.run("failed", **values), world.run("whole", **values)
    from engine.training import Training

    backward = Training._backward
    with monkeypatch.context() as patched:
        patched.setattr(
            Training, "_backward", lambda self, x, y, share: backward(self, x, y, share) * self.nan
        )
        patched.setattr(
            Training, "nan", property(lambda self: math.nan if self.state.step == 6 else 1.0), raising=False
        )
        with pytest.raises(RunError):
            world.train(failed)
    assert failed.state() == "failed"
    assert world.train(failed) == 0
    world.train(whole)
    assert world.weights(failed) == world.weights(whole)
    assert of(Failed, failed) == []


class FullDisk(storage.Ops):
    """Creates and writes nothing while `full`; with `only`, nothing whose path holds that text."""

    def __init__(self, only: str = "", times: int = 10**9) -> None:
        self.full = False
        self.only, self.times, self.failed = only, times, 0

    def open(self, path: Path, flags: int, mode: int = 0o600) -> int:
        if self.full and flags & os.O_CREAT and self.only in str(path):
            self._fail()
        return super().open(path, flags, mode)

    def write(self, fd: int, data: bytes | memoryview) -> int:
        if self.full and not self.only:
            self._fail()
        return super().write(fd, data)

    def _fail(self) -> None:
        if self.failed < self.times:
            self.failed += 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_disk_that_is_full_once_costs_one_checkpoint(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"steps": 12, "save_every": 3}
    folder, whole = world.run("run", **values), world.run("whole", **values)
    world.train(whole)
    disk = FullDisk(only=".safetensors", times=1)
    monkeypatch.setattr(storage, "ops", disk)
    assert world.train(folder, at(5, lambda: setattr(disk, "full", True))) == 0
    assert disk.failed == 1
    (warning,) = of(Warn, folder)
    assert (warning.step, "No space is left" in warning.message) == (6, True)
    assert [saved.step for saved in of(Saved, folder)] == [3, 9, 12]
    assert not list(folder.checkpoints.glob(".tmp-*"))
    assert world.weights(folder) == world.weights(whole)


def test_a_disk_that_is_quite_full_for_a_while_costs_no_event(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, whole = world.run("run", steps=12, save_every=3), world.run("whole", steps=12, save_every=3)
    world.train(whole)
    disk = FullDisk()
    monkeypatch.setattr(storage, "ops", disk)
    monkeypatch.setattr("engine.trainer.STATUS_SECONDS", 0.0)

    def say(event: Event) -> None:
        at(5, lambda: setattr(disk, "full", True))(event)
        at(8, lambda: setattr(disk, "full", False))(event)

    assert world.train(folder, say) == 0
    assert disk.failed > 4
    assert world.steps(folder) == world.steps(whole)
    assert [saved.step for saved in of(Saved, folder)] == [3, 9, 12]
    assert len(of(Warn, folder)) == 1
    assert world.weights(folder) == world.weights(whole)


def test_a_last_save_that_fails_ends_the_run_with_the_code_of_a_full_disk(
    world: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = world.run("run", steps=7, save_every=3)
    disk = FullDisk(only=".safetensors")
    monkeypatch.setattr(storage, "ops", disk)
    with pytest.raises(ResourceError, match="last checkpoint") as raised:
        world.train(folder, at(7, lambda: setattr(disk, "full", True)))
    assert raised.value.exit_code == 4
    assert folder.state() == "failed"
    assert of(Failed, folder)[0].exit == 4
    assert of(Done, folder) == []
    assert [info.step for info in checkpoints(folder)] == [6, 3]
    # Once there is space, the run can be brought to its end.
    disk.full = False
    assert main(["train", str(folder.path)]) == 0
    assert checkpoints(folder)[0].step == 7
    assert capsys.readouterr().err == ""


def full_log(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Has a switch `full`: then nothing more fits into the events."""
    switch, append = SimpleNamespace(full=False), EventLog.append

    def append_if_it_fits(self: EventLog, event: Event, *, durable: bool = False) -> None:
        if switch.full:
            raise ResourceError("No space is left on the disk: free some and try again.")
        append(self, event, durable=durable)

    monkeypatch.setattr(EventLog, "append", append_if_it_fits)
    return switch


def test_what_is_asked_on_a_full_disk_is_obeyed_and_told_in_its_place_later(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever presses a key then wants to save the run, not to end it."""
    folder = world.run("run", steps=12, save_every=3)
    log = full_log(monkeypatch)

    def say(event: events.Event) -> None:
        at(4, lambda: setattr(log, "full", True))(event)
        at(5, lambda: request(folder, "lr", 0.5))(event)
        at(9, lambda: setattr(log, "full", False))(event)

    assert world.train(folder, say) == 0
    control = of(Control, folder)[0]
    assert (control.step, control.do) == (5, "lr")
    told = read_events(folder)
    before = [event.step for event in told[: told.index(control)] if isinstance(event, events.Step)]
    assert before == [1, 2, 3, 4, 5]
    assert [step for step, *_ in world.steps(folder)] == list(range(1, 13))


def test_what_a_checkpoint_knows_of_is_not_obeyed_again_though_no_event_tells_of_it(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = world.run("run", steps=12, save_every=3)
    log = full_log(monkeypatch)

    class PulledOut(BaseException): ...

    def say(event: events.Event) -> None:
        at(4, lambda: setattr(log, "full", True))(event)
        at(5, lambda: request(folder, "lr", 0.5))(event)
        if isinstance(event, events.Step) and event.step == 8:
            raise PulledOut

    with pytest.raises(PulledOut):
        world.train(folder, say)
    assert of(Control, folder) == [] and checkpoints(folder)[0].step == 6
    log.full = False
    assert world.train(folder) == 0
    state = find_checkpoint(folder, "last")[0].state
    assert [(control["step"], control["value"]) for control in state["controls"]] == [(5, 0.5)]


def test_running_out_of_memory_is_explained(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError(
            "[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried to ..."
        )

    folder = world.run("run", steps=7)
    monkeypatch.setattr("engine.training.validation_loss", refuse)
    with pytest.raises(ResourceError, match="smaller"):
        world.train(folder)
    assert of(Failed, folder)[0].exit == 4


def test_a_second_trainer_is_refused_and_changes_nothing(
    world: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = world.run("run", steps=7)
    with folder.acquire():
        assert main(["train", str(folder.path)]) == 5
    assert f"in use by process {os.getpid()}" in capsys.readouterr().err
    assert not folder.events.exists()
    assert folder.read_status() is None


def test_a_finished_run_takes_up_a_larger_total_with_a_new_warm_up(world: Any) -> None:
    folder = world.run("run", steps=20, save_every=50)
    world.train(folder)
    assert main(["train", str(folder.path), "--steps", "60"]) == 0
    lr = [step[2] for step in world.steps(folder)]
    assert len(lr) == 60
    assert lr[19] < 0.1 * lr[3]
    assert lr[20] < lr[21] < lr[22] < lr[23]
    assert lr[24:] == sorted(lr[24:], reverse=True)
    assert lr[59] < lr[24] / 20
    assert of(Plan, folder) == [Plan(0, 0, 20), Plan(20, 20, 60)]
    data = json.loads((checkpoints(folder)[0].path / "manifest.json").read_bytes())
    assert [plan["horizon"] for plan in data["state"]["plans"]] == [20, 60]


def test_an_unfinished_run_is_stretched_to_a_larger_total_without_a_new_warm_up(world: Any) -> None:
    folder = world.run("run", steps=20, save_every=50)
    world.train(folder, at(10, lambda: request(folder, "stop")))
    world.train(folder, total_steps=40)
    assert of(Plan, folder) == [Plan(0, 0, 20), Plan(10, 0, 40)]
    assert folder.read_status().horizon == 40


@pytest.mark.parametrize("total", [5, 20])
def test_asking_for_fewer_steps_is_refused_and_leaves_the_run_as_it_was(
    world: Any, capsys: pytest.CaptureFixture[str], total: int
) -> None:
    folder = world.run("run", steps=20, save_every=50)
    world.train(folder)
    before = (folder.events.read_bytes(), folder.status.read_bytes())
    assert main(["train", str(folder.path), "--steps", str(total)]) == 2
    assert "20 steps already" in capsys.readouterr().err
    assert (folder.events.read_bytes(), folder.status.read_bytes()) == before
    assert folder.state() == "done"


def test_a_finished_run_that_is_resumed_as_it_is_changes_nothing(world: Any) -> None:
    folder = world.run("run", steps=8)
    world.train(folder)
    before = world.weights(folder)
    assert world.train(folder) == 0
    assert (world.weights(folder), folder.state(), len(world.steps(folder))) == (before, "done", 8)


def test_a_patient_run_that_ended_can_be_given_more_steps(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = iter([2.0, 3.0, 1.0, 1.5, 1.5, 1.5])
    monkeypatch.setattr("engine.training.validation_loss", lambda *_: next(losses))
    folder = world.run("run", steps=50, eval_every=2, patience=2)
    world.train(folder)
    assert (of(Done, folder)[0].step, of(Done, folder)[0].reason) == (4, "patience")
    world.train(folder, total_steps=60)
    assert of(Done, folder)[-1].step == 8  # better at 6, not better at 8


def test_a_run_that_is_deleted_while_it_is_trained_is_explained(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.trainer.STATUS_SECONDS", 0.0)
    folder = world.run("run", steps=12)
    with pytest.raises(CheckpointError, match="was deleted while it was trained"):
        world.train(folder, at(5, lambda: shutil.rmtree(folder.path)))
    assert not folder.path.exists()


def test_a_failure_before_the_first_step_is_told(world: Any, capsys: pytest.CaptureFixture[str]) -> None:
    folder = world.run("run", steps=8)
    (world.data / "corpora" / f"{folder.read_request()['corpus']['sha256']}.txt").unlink()
    world.file.unlink()
    assert main(["train", str(folder.path)]) == 3
    assert folder.state() == "failed"
    assert of(Failed, folder)[0].exit == 3
    assert folder.read_status().message in capsys.readouterr().err
    assert not folder.run.exists()


@pytest.mark.parametrize(("kind", "vocab"), [("chars", None), ("bytes", 256), ("bpe", 280)])
def test_every_tokenizer_trains_and_is_measured_per_character(
    world: Any, kind: str, vocab: int | None
) -> None:
    if kind == "bpe":
        pytest.importorskip("tokenizers")
    text = world.file.read_text(encoding="utf-8").replace("cat", "\u732b\u732b").replace("fish", "\U0001f41f")
    world.file.write_text(text, encoding="utf-8")
    folder = world.run(
        "run", steps=30, tokenizer=kind, eval_every=1000, **({"vocab_size": vocab} if kind == "bpe" else {})
    )
    assert world.train(folder) == 0
    loaded = load(folder, "last")
    assert vocab in (None, loaded.config.vocab_size)
    train_text, val_text = split(text)
    chars_per_token = len(train_text) / len(loaded.tokenizer.encode_corpus(train_text))
    assert (chars_per_token < 1, chars_per_token > 1) == (kind == "bytes", kind == "bpe")
    first = of(Step, folder)[0]
    # A new model holds every token for equally likely, and a token stands for so many characters.
    assert first.loss == pytest.approx(math.log(loaded.config.vocab_size) / chars_per_token, rel=0.02)
    assert of(Done, folder)[0].train_chars == round(30 * 4 * 16 * chars_per_token)
    measured = validation_loss(loaded.model, loaded.tokenizer.encode_corpus(val_text), len(val_text))
    assert of(Eval, folder)[0].val_loss == pytest.approx(measured, rel=1e-5)


def test_the_text_is_read_again_as_it_was_given_when_it_is_too_large_to_keep(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    def spy(corpora_dirs: list[Path], sha256: str, source: str | None, **how: Any) -> str:
        asked.update(how, source=source)
        return load_stored(corpora_dirs, sha256, source)

    monkeypatch.setattr("engine.learned_text.load_stored", spy)
    folder = world.run("run", steps=2)
    cache = world.data / "cache"
    assert main(["train", str(folder.path), "--cache", str(cache)]) == 0
    assert asked == {"source": str(world.file), "encoding": None, "force_text": False, "cache_dir": cache}


def test_a_wrong_command_line_is_no_traceback(world: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", str(world.data / "runs" / "nothing")]) == 3
    assert "is gone" in capsys.readouterr().err
    with pytest.raises(SystemExit) as left:
        main(["dance"])
    assert left.value.code == 2


@pytest.mark.parametrize("arch", ["modern", "ngram"])
def test_while_it_trains_nobody_holds_the_whole_text(world: Any, arch: str) -> None:
    prepared = prepare(
        world.run("run", arch=arch), [world.data / "corpora"], spent=0.0, total_steps=None, force=False
    )
    held = [*vars(prepared).values(), *vars(prepared.job).values(), *vars(prepared.job.batches).values()]
    assert not [value for value in held if isinstance(value, str) and len(value) > 100]
