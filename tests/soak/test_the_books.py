"""What watches over a long run and over hostile files notices what it is there to notice."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from engine.runs import RunFolder
from tests.soak import mutation
from tests.soak.fuzzing import tried
from tests.soak.long_run import Book, Held, lines_of
from tests.soak.test_long_run import check_steps

MB = 1 << 20
ROOT = Path(__file__).parents[2]


def book(memory: list[int], files: list[int]) -> Book:
    """A book of one process that was looked at once a second."""
    found = Book()
    found.close()
    found.held["it"] = [
        Held(float(at), m * MB, f) for at, (m, f) in enumerate(zip(memory, files, strict=True))
    ]
    return found


@pytest.mark.parametrize(
    ("memory", "files", "flat"),
    [
        ([100] * 80, [9] * 80, True),
        (
            [50] * 20 + [100] * 60,
            [3] * 20 + [9] * 60,
            True,
        ),  # what comes in the first quarter is the beginning
        ([100 + (at % 7) * 10 for at in range(80)], [9 + at % 5 for at in range(80)], True),
        ([100 + at // 2 for at in range(80)], [9] * 80, False),
        ([1000 + at for at in range(80)], [9] * 80, True),  # within a twentieth
        ([100] * 80, [9 + at // 10 for at in range(80)], False),
    ],
)
def test_what_grows_from_the_second_quarter_to_the_last_is_not_flat(
    memory: list[int], files: list[int], flat: bool
) -> None:
    ((row, found),) = book(memory, files).rows()
    assert found == flat and row.endswith("flat" if flat else "GREW")


@pytest.mark.parametrize(
    "harm",
    ["none", "a step is missing", "a step is told twice", "a line is torn", "time goes back", "no event"],
)
def test_an_events_file_that_lacks_anything_is_noticed(tmp_path: Path, harm: str) -> None:
    folder = RunFolder.create(tmp_path / "runs", "fox", {})
    step = {"event": "step", "loss": 1.0, "lr": 1.0, "chars_per_s": 1.0, "grad_norm": 1.0, "train_chars": 9}
    lines = [json.dumps({**step, "step": number, "seconds": float(number)}) for number in range(1, 30)]
    if harm == "a step is missing":
        del lines[10]
    elif harm == "a step is told twice":
        lines.insert(10, lines[9])
    elif harm == "a line is torn":
        lines[10] = lines[10][:20]
    elif harm == "time goes back":
        lines[10] = json.dumps({**step, "step": 11, "seconds": 3.0})
    elif harm == "no event":
        lines[10] = '{"event": "dance"}'
    folder.events.write_text("\n".join(lines) + '\n{"half')
    if harm == "none":
        assert check_steps(folder) == 29 and len(lines_of(folder.events)) == 29
        return
    with pytest.raises((AssertionError, ValueError)):
        check_steps(folder)


def test_the_same_dice_make_the_same_case() -> None:
    told = {"version": 1, "state": {"a": [1, 2, {"b": None}]}, "files": []}
    made = [[mutation.json_of(random.Random(seed), told) for seed in range(200)] for _ in range(2)]
    assert made[0] == made[1] and len(set(made[0])) > 150


BEHAVES = {
    "quietly": ("(inside / 'x').write_text('x')", ""),
    "reads a file outside": ("(place / 'outside' / 'secret').read_text()", "opened"),
    "follows a link outside": (
        "(inside / 'l').symlink_to(place / 'outside' / 'secret'); (inside / 'l').read_text()",
        "opened",
    ),
    "writes elsewhere": ("(place / 'x').write_text('x')", "to write"),
    "removes a file elsewhere": ("(place / 'y').unlink()", "os.remove"),
    "starts a program": ("os.system('true')", "os.system"),
    "opens a pickle": ("pickle.loads(b'cos\\nsystem\\n.')", "pickle.find_class"),
    "is called": ("socket.socket().bind(('127.0.0.1', 0))", "socket.bind"),
}


@pytest.mark.parametrize("what", BEHAVES)
def test_a_loader_that_does_more_than_read_is_told_of(tmp_path: Path, what: str) -> None:
    deed, heard = BEHAVES[what]
    (tmp_path / "inside").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("a secret")
    (tmp_path / "y").touch()
    code = (
        "import os, pickle, socket, sys\nfrom pathlib import Path\nfrom tests.soak.fuzzing import Watch\n"
        "place = Path(sys.argv[1]).resolve(); inside = place / 'inside'\n"
        f"watch = Watch(); watch.use(inside, place / 'outside'); watch.on = True\n{deed}\nwatch.on = False\nprint(watch.told())"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert (found.stdout.strip() == "[]") if not heard else (heard in found.stdout)


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        ("raise KeyError('x')", "KeyError"),
        ("bytearray(2 << 30)", "MemoryError"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
        ("(place / 'canary').touch()", "code ran"),
        (
            "raise __import__('engine.errors').errors.CheckpointError('x' * 5000)",
            "a message of 5000 characters",
        ),
    ],
    ids=["another error", "too much memory", "a crash", "code that runs", "a book of an error"],
)
def test_a_case_that_goes_wrong_is_told_with_its_seed_and_the_others_are_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harm: str, told: str
) -> None:
    """A loader that fails at one case in five, put in the place of another one in the process that tries it."""
    offline = tmp_path / "path"
    offline.mkdir()
    (offline / "harmful.py").write_text(
        "from tests.soak import loaders, sound_files\n\n"
        "def control_files(place):\n    def do():\n"
        f"        {harm}\n"
        "    return lambda dice: sound_files.judged(do) if dice.random() < 0.2 else 'refused'\n\n"
        "loaders.LOADERS['control_files'] = control_files\n"
        "import runpy, sys\nsys.argv[0] = 'fuzzing'\nrunpy.run_module('tests.soak.fuzzing', run_name='__main__')\n"
    )
    monkeypatch.setenv(
        "PYTHONPATH", f"{offline}{os.pathsep}{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    )
    monkeypatch.setattr("tests.soak.fuzzing.MODULE", "harmful")
    (found,) = tried({"control_files": 20}, tmp_path)
    assert found.failures and all(told in what and 0 <= seed < 20 for seed, what in found.failures), (
        found.failures
    )
