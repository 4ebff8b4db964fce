"""A text that is learned without having been looked at gets its ladder, once, and nothing a run's file says leads anywhere else."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.facts import Done, Fact
from tests.tinygpt_tui.scripted_run import ScriptedRun
from tests.tinygpt_tui.scripted_world import scripted_world
from tinygpt_tui.sources.ladders import Ladders
from tinygpt_tui.sources.run_watch import known_ladder

SHA = "ab" * 32
TEXT = "the hen sat on the wall and the cat sat on the mat.\n" * 60


class Reader:
    """Facts that come when a test says so."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.busy = False

    def start(self, source: str, *, encoding: str | None = None, force_text: bool = False) -> None:
        self.started.append(source)
        self.busy = True

    def measure_speed(self, arch: str = "modern") -> None:
        raise AssertionError("nobody asked for it")

    def take(self) -> list[Fact]:
        heard: list[Fact] = [Done()] if self.busy else []
        self.busy = False
        return heard

    def cancel(self) -> None:
        self.busy = False

    def close(self) -> None:
        self.busy = False


@pytest.fixture
def corpora(tmp_path: Path) -> Path:
    folder = tmp_path / "data" / "corpora"
    folder.mkdir(parents=True)
    for name in (SHA, "cd" * 32):
        (folder / f"{name}.txt").write_text(TEXT)
    return folder


def test_each_text_is_counted_once_and_one_after_another(corpora: Path, tmp_path: Path) -> None:
    reader = Reader()
    ladders = Ladders(corpora, tmp_path, reader)
    for sha in (SHA, SHA, "cd" * 32):
        ladders.want(sha)
    assert reader.started == [str(corpora / f"{SHA}.txt")]
    ladders.tick()
    for _ in range(3):
        ladders.want(SHA)
        ladders.want("cd" * 32)
    assert reader.started == [str(corpora / f"{name}.txt") for name in (SHA, "cd" * 32)]


@pytest.mark.parametrize("sha", ["ef" * 32, "../../secret", "AB" * 32, "", "ab" * 31, "ab" * 32 + "\n"])
def test_what_is_not_kept_or_is_no_hash_is_left_alone(corpora: Path, tmp_path: Path, sha: str) -> None:
    reader = Reader()
    (tmp_path / "secret.txt").write_text("x" * 999)
    Ladders(corpora, tmp_path, reader).want(sha)
    assert reader.started == []


def test_the_curve_of_a_run_gets_its_ladder_from_a_real_process(
    tmp_path: Path, until: Callable[..., None]
) -> None:
    from engine.corpus import read_corpus

    (tmp_path / "hens.txt").write_text(TEXT)
    sha = read_corpus(str(tmp_path / "hens.txt")).sha256
    folder = tmp_path / "data" / "corpora"
    folder.mkdir(parents=True)
    (folder / f"{sha}.txt").write_text(TEXT)
    world = scripted_world(tmp_path)
    with ScriptedRun(tmp_path / "data" / "runs", "hens", sha256=sha):

        def there() -> bool:
            now = time.monotonic()
            world.ladders.tick()
            world._now = now
            return "6-gram" in world.picture("hens").ladder

        until(there)
    assert known_ladder(tmp_path / "cache", sha)["uniform"] > known_ladder(tmp_path / "cache", sha)["3-gram"]
    world.ladders.close()
