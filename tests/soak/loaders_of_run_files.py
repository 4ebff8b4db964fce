"""What reads the small files of a run: lists, watchers, whoever asks a trainer for something."""

from __future__ import annotations

import json
import os
import random
import shutil
from pathlib import Path
from typing import Any

from engine import events, manifest, storage
from engine.checkpoint import checkpoints, find_checkpoint
from engine.control import ControlReader
from engine.event_log import EventTail, read_events, recorded_controls
from engine.run_list import list_runs, resolve_run, summary_of
from engine.runs import Meta, RunFolder
from tests.soak import mutation
from tests.soak.sound_files import SECRET, Case, judged, lay, lay_changed, resealed, trained, unsealed


def manifests(place: Path) -> Case:
    """The manifests of a run's checkpoints, most of them with the right hash."""
    data, files = trained(place)
    folder = RunFolder(data / "runs" / "fox")
    names = [name for name in files if name.endswith(manifest.MANIFEST)]

    def read() -> None:
        for info in checkpoints(folder):
            if info.problem is None:
                manifest.verify(info.path)
                manifest.read(info.path).val_loss  # noqa: B018
        find_checkpoint(folder, "best")

    def case(dice: random.Random) -> str:
        changed = dict(files)
        for name in dice.sample(names, dice.randint(1, len(names))):
            told = mutation.json_of(dice, unsealed(files[name]))
            changed[name] = resealed(told) if dice.random() < 0.8 else told
        lay_changed(folder.path, files, changed)
        return judged(read)

    return case


def run_files(place: Path) -> Case:
    """What a list of runs reads: request, run, meta, status."""
    data, files = trained(place)
    runs = data / "runs"
    folder = RunFolder(runs / "fox")
    folder.write_meta(Meta("a label", "some notes"))
    files["meta.json"] = folder.meta.read_bytes()
    small = ("request.json", "run.json", "meta.json", "status.json")
    files = {
        name: contents for name, contents in files.items() if name in small or name.endswith("manifest.json")
    }
    for name in list(files):
        if name.endswith("manifest.json"):  # a checkpoint of nothing, so that laying it takes no time
            step = int(Path(name).parent.name[5:])
            files[name] = manifest.build(step, {"val_loss": 1.5}, {manifest.MODEL: b""})
            files[str(Path(name).parent / manifest.MODEL)] = b""
    lay(folder.path, files)

    def read() -> str:
        summary = summary_of(folder.path)
        storage.dump_json(summary.to_json())
        assert summary.val_loss is None or f"{summary.val_loss:.4f}"
        assert summary.params is None or f"{summary.params / 1e6:.1f}"
        if summary.horizon and summary.step:
            assert summary.step / summary.horizon is not None
        assert len(list_runs(runs)) == 1
        folder.read_meta()
        for look in (folder.read_status, folder.state, folder.read_request, folder.read_run):
            judged(look)
        assert resolve_run(runs, "fox").path == folder.path
        return "damaged" if summary.state == "damaged" else "taken"

    def case(dice: random.Random) -> str:
        changed = dict(files)
        for name in dice.sample(small, dice.randint(1, 2)):
            changed[name] = mutation.json_of(dice, json.loads(files[name]))
        lay_changed(folder.path, files, changed)
        return judged(read)

    return case


def event_files(place: Path) -> Case:
    """The events of a run, as the trainer that resumes, a watcher and the progress line read them."""
    from tinygpt_tui.cli.progress import LiveLine, ProgressView
    from tinygpt_tui.sources.run_watch import RunWatch

    data, files = trained(place)
    folder = RunFolder(data / "runs" / "fox")
    lines = [json.loads(line) for line in files["events.jsonl"].splitlines()]
    lines += [events.to_json(event) for event in (
        events.Control("ab", 3, "lr", 0.5), events.Control("ac", 4, "extend", 3), events.Backend(2, "eager", "x"), events.Warn(2, "w"),
        events.Failed("why", 1, 5), events.Start("fox", 4, 10, 6, 1), events.Plan(4, 0, 6), events.Sample(5, "a", "b"),
    )]  # fmt: skip

    def read() -> str:
        told = EventTail(folder).poll()
        for event in read_events(folder):
            assert events.from_json(events.to_json(event)) is not None
        for control in recorded_controls(folder):
            assert isinstance(control.id, str)
        watch = RunWatch(folder)
        for now in range(3):
            watch.poll(float(now))
        picture = watch.picture
        shown = (
            picture.seconds,
            picture.seconds_left,
            picture.chars_per_s,
            picture.lr,
            picture.grad_norm,
            picture.val_loss,
        )
        assert all(value is None or f"{value:.3g}" for value in shown)
        with ProgressView(LiveLine(lambda text: None, live=True, columns=lambda: 80)) as view:
            for event in told:
                view.take(event)
        return "taken" if len(told) == len(lines) else "some skipped"

    def case(dice: random.Random) -> str:
        folder.events.write_bytes(mutation.lines_of(dice, lines))
        return judged(read)

    return case


def control_files(place: Path) -> Case:
    """Requests to a trainer, which reads them between two steps."""
    folder = RunFolder.create(place / "runs", "fox", {})
    asked: list[dict[str, Any]] = [
        {"id": "0123456789abcdef", "do": "pause"}, {"id": "1", "do": "resume"}, {"id": "2", "do": "lr", "factor": 0.5},
        {"id": "3", "do": "extend", "steps": 100}, {"id": "4", "do": "sample", "chars": 20, "prompt": "Once"}, {"id": "5", "do": "stop"},
    ]  # fmt: skip

    def read() -> str:
        found = ControlReader(folder).poll()
        for request in found:
            assert 1 <= len(request.id) <= 64
            assert request.value is None or 0 < request.value <= 1e9
        return "taken" if len(found) == len(asked) else "some skipped"

    def case(dice: random.Random) -> str:
        folder.control.write_bytes(mutation.lines_of(dice, asked))
        return judged(read)

    return case


def places(place: Path) -> Case:
    """Links, pipes, devices and folders where files of a run should be, and names that lead elsewhere."""
    from engine.loading import load

    data, files = trained(place)
    runs = data / "runs"
    folder = RunFolder(runs / "fox")
    outside = place.parent / "outside"
    parts = [
        *files,
        "lock",
        "meta.json",
        "trainer.log",
        "checkpoints",
        "checkpoints/step-00000003",
        "checkpoints/step-00000006",
        ".",
    ]
    names = (
        "..",
        ".",
        "",
        "../fox",
        "/etc",
        "fox/../../outside",
        "a\0b",
        "-rf",
        "CON",
        "x" * 300,
        "fox/",
        "../../outside",
        "\ud800",
        "fox",
        "Fox",
    )

    def put(dice: random.Random, path: Path) -> None:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        kind = dice.randrange(6)
        if kind == 0:
            path.symlink_to(
                dice.choice(
                    (
                        outside / SECRET,
                        outside,
                        "/dev/zero",
                        "/dev/full",
                        "/etc/passwd",
                        "nowhere",
                        path,
                        "/proc/self/mem",
                    )
                )
            )
        elif kind == 1:
            os.mkfifo(path)
        elif kind == 2:
            path.mkdir()
        elif kind == 3:
            path.mkdir()
            (path / SECRET).symlink_to(outside / SECRET)
        elif kind == 4:
            with path.open("wb") as file:
                file.truncate(dice.choice((2**20, 2**31, 2**40)))  # of nothing at all
        else:
            path.touch(0o000)

    def use(dice: random.Random) -> str:
        summary_of(folder.path)
        # Whoever opens a run by a path means what is there; by its name nobody gets there.
        if folder.path.is_symlink():
            return judged(lambda: resolve_run(runs, "fox"))
        looks = (
            folder.read_run, folder.read_request, folder.read_tokenizer, folder.read_meta, folder.read_status, folder.state, folder.is_locked,
            lambda: load(folder, dice.choice(("best", "last", 3))), lambda: ControlReader(folder).poll(), lambda: read_events(folder),
            lambda: recorded_controls(folder), lambda: checkpoints(folder), lambda: resolve_run(runs, dice.choice(names)),
            lambda: resolve_run(runs, "fox"), lambda: folder.acquire().release(), lambda: os.close(folder.open_log()),
        )  # fmt: skip
        found = [judged(look) for look in dice.sample(looks, 6)]
        return next((one for one in found if one != "taken"), "taken")

    def case(dice: random.Random) -> str:
        lay(folder.path, files)
        for part in dice.sample(parts, dice.choice((1, 1, 2))):
            path = folder.path / part if part != "." else folder.path
            # A link that was put there first leads out, and it is not for us to follow it.
            if path.parent.is_dir() and path.parent.resolve().is_relative_to(place):
                put(dice, path)
        return judged(lambda: use(dice))

    def cleared(dice: random.Random) -> str:
        try:
            return case(dice)
        finally:
            if folder.path.is_symlink() or not folder.path.is_dir():
                folder.path.unlink(missing_ok=True)

    return cleared
