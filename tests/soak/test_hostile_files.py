"""Whatever a stranger's files hold, they are read or refused in one of our sentences: no other error, no code, no memory, no file outside.

Here a few thousand cases; `make soak` tries a hundred thousand others. A failure names the command that repeats it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.soak.fuzzing import HEAD, SOAK, Tried, told, tried
from tests.soak.loaders import LOADERS

SHARE = 40  # of a soak's cases, one in so many
SOAK_FIRST = 1_000_000  # its seeds, which are others than those tried here


def test_every_loader_is_tried() -> None:
    assert set(SOAK) == set(LOADERS)
    assert sum(SOAK.values()) >= 100_000


def test_hostile_files_are_read_or_refused_in_a_sentence(tmp_path: Path) -> None:
    counts = {loader: max(20, count // SHARE) for loader, count in SOAK.items()}
    found = tried(counts, tmp_path)
    table = told(found)
    print(f"\n{table}")
    assert not any(one.failures for one in found), table
    assert {one.loader: one.cases for one in found} == counts
    assert all(one.outcomes["absent"] or one.outcomes["taken"] < one.cases for one in found), (
        "nothing was hostile"
    )


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_hundred_thousand_hostile_files_are_read_or_refused_in_a_sentence_and_in_no_time(
    tmp_path: Path,
) -> None:
    found: list[Tried] = []
    print(f"\n{HEAD}")
    for loader, count in SOAK.items():
        found += tried({loader: count}, tmp_path, SOAK_FIRST)
        print(found[-1].row, flush=True)
    table = told(found)
    print(f"\n{table}")
    assert not any(one.failures for one in found), table
    assert sum(one.cases for one in found) >= 100_000
    # In processor seconds, which others on the machine do not lengthen much; a few cases may meet a busy disk.
    assert all(one.p999 < 1 for one in found), table
