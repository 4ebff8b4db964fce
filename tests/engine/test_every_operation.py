"""Whatever operation on the disk fails, and however: what was acknowledged is there and whole, and nothing else is.

A short life of a data folder is lived act by act; each act is done again with its first operation failing, its second, …
"""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from engine import checkpoint, storage
from engine.errors import TinygptError
from tests.engine.data_folder_life import ACTS, Life, Picture, look, prepare
from tests.engine.fault_injection import Died, Faulty, NoFlush, Tree, harvest, plant

# What happens at one operation, by the arguments of `Faulty`. The torn ones are for those that can be half done.
FAULTS: dict[str, dict[str, Any]] = {
    "death": {},
    "death halfway": {"torn": True},
    "no space for a moment": {"error": errno.ENOSPC},
    "no space": {"error": errno.ENOSPC, "lasts": True},
    "half a write, then no space": {"error": errno.ENOSPC, "lasts": True, "torn": True},
    "an error of the drive": {"error": errno.EIO},
    "half a write, then an error of the drive": {"error": errno.EIO, "torn": True},
    "a refusal for a moment": {"error": errno.EROFS},
    "read-only from then on": {"error": errno.EROFS, "lasts": True},
}
# They go the next time, and whoever trains has lost nothing.
UNTOLD = {"an old checkpoint goes", "another old checkpoint goes"}
CAN_BE_HALF_DONE = ("write", "rmtree")


class Story:
    """The life without a fault: what lies in the folder before each act, what is found then, and what each act calls."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.pictures: list[Picture] = []
        self._before: list[Tree] = []
        self.calls: list[list[str]] = []
        prepare(self.home)
        for act in ACTS.values():
            self._before.append(harvest(self.home))
            self.pictures.append(look(self.home))
            watched, life = Faulty(10**9), Life(self.home)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(storage, "ops", watched)
                act(life)
            life.leave()
            self.calls.append(watched.names)
        self.pictures.append(look(self.home))

    def tell_until(self, number: int) -> None:
        """The folder is again as it was before this act."""
        plant(self._before[number], self.home, harvest(self.home))

    def places(self, torn: bool = False) -> list[tuple[int, str, int]]:
        """Every operation, or those that can be half done, as (number of the act, its name, number of the call)."""
        return [
            (number, act, at)
            for number, act in enumerate(ACTS)
            for at, call in enumerate(self.calls[number], 1)
            if not torn or call in CAN_BE_HALF_DONE
        ]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return Story(tmp_path_factory.mktemp("story"))


def strike(story: Story, number: int, at: int, fault: dict[str, Any]) -> bool:
    """Lets an act fail at a call, looks, and lets the act be done once the fault is over; False if it had fewer calls."""
    act, home = list(ACTS.values())[number], story.home
    before, after = story.pictures[number : number + 2]
    story.tell_until(number)
    life, faulty = Life(home), Faulty(at, **fault)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage, "ops", faulty)
        try:
            act(life)
        except Died:
            life.leave()
            life = Life(home)  # another process
        except TinygptError as problem:
            assert "\n" not in str(problem)
        else:
            if faulty.calls < at:
                life.leave()
                return False
            assert list(ACTS)[number] in UNTOLD, "nobody was told of the fault"
    found = look(home)
    assert found in (before, after), "neither as before the act nor as after it"
    if "error" in fault and not fault.get("lasts"):
        assert not left_over(home), "a failure that was told leaves nothing half done"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage, "ops", NoFlush())
        if found == before:
            act(life)
        life.leave()
        if life.tales.path.exists():
            with life.tales.acquire():
                checkpoint.clean_leftovers(life.tales)
            # Of its notes the interface may be writing the next version at this moment: that file is spared.
            names = {path.name for path in life.tales.path.rglob(".*")}
            assert not [name for name in names if not name.startswith(f"{storage.TEMPORARY}meta.json-")]
    assert look(home) == after, "the act cannot be done any more"
    return True


def left_over(home: Path) -> list[Path]:
    return [path for path in home.rglob("*") if path.name.startswith(storage.TEMPORARY)]


def strike_all(story: Story, places: Iterable[tuple[str, tuple[int, str, int]]]) -> Counter[str]:
    """Lets operations fail, each in a way that goes with it; says how many did, by fault."""
    struck: Counter[str] = Counter()
    for name, (number, act, at) in places:
        try:
            struck[name] += strike(story, number, at, FAULTS[name])
        except (AssertionError, OSError, TinygptError) as problem:
            problem.add_note(f"{name} at operation {at} of the act: {act}")
            raise
    return struck


def told(story: Story, struck: Counter[str]) -> None:
    kinds = Counter(call for calls in story.calls for call in calls)
    print(
        f"\n{struck.total():,} failures of {kinds.total()} operations in {len(ACTS)} acts: {dict(struck)}; {dict(kinds)}"
    )
    assert set(kinds) == {"open", "write", "fsync", "rename", "replace", "unlink", "mkdir", "rmtree"}


def test_what_was_acknowledged_survives_death_and_a_failure_at_every_operation(story: Story) -> None:
    """Each operation is the last before a death, also halfway where that can be, and fails in one of the other ways."""
    others = cycle(name for name, fault in FAULTS.items() if fault.get("error") and not fault.get("torn"))
    halves = cycle(name for name, fault in FAULTS.items() if fault.get("torn"))
    places = [(name, place) for place in story.places() for name in ("death", next(others))]
    places += [(next(halves), place) for place in story.places(torn=True)]
    struck = strike_all(story, places)
    told(story, struck)
    assert struck.total() == len(places) >= 500


@pytest.mark.soak
def test_what_was_acknowledged_survives_every_fault_of_every_operation(story: Story) -> None:
    places = [
        (name, place) for name, fault in FAULTS.items() for place in story.places(fault.get("torn", False))
    ]
    struck = strike_all(story, places)
    told(story, struck)
    assert struck.total() == len(places) >= 2000


def write_in_place(path: Path, data: bytes, *, durable: bool = True) -> None:
    fd = storage.ops.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        with storage._explained(path.parent):
            storage._write_all(fd, data)
    finally:
        os.close(fd)


def remove_at_once(path: Path) -> None:
    with storage._explained(path.parent):
        storage.ops.rmtree(path)


def fail_without_tidying(path: Path) -> None:
    pass


def raise_as_it_came(*_: object) -> Any:
    return storage.suppress()


def save_last_first(folder: Any, *args: Any) -> Path:
    """As a trainer that makes room first."""
    for info in checkpoint.checkpoints(folder):
        storage.discard(info.path)
    return SAVE(folder, *args)


SAVE = checkpoint.save_checkpoint
MUTANTS: dict[str, tuple[str, object, str, Callable[..., Any]]] = {
    "files are written in place": ("death halfway", storage, "write_atomic", write_in_place),
    "folders are removed under their names": ("death halfway", storage, "discard", remove_at_once),
    "what could not be finished stays": ("no space for a moment", storage, "remove_unpublished", fail_without_tidying),
    "errors come out as they are": ("an error of the drive", storage, "_explained", raise_as_it_came),
    "older checkpoints go before the new one is there": ("death", checkpoint, "save_checkpoint", save_last_first),
}  # fmt: skip


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_program_that_breaks_the_promise_is_caught(
    story: Story, mutant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault, *change = MUTANTS[mutant]
    monkeypatch.setattr(*change)
    with pytest.raises((AssertionError, OSError, TinygptError)) as caught:
        strike_all(story, ((fault, place) for place in story.places()))
    assert " of the act: " in caught.value.__notes__[0]
