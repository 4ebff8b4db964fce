"""A kernel made once for all tests that need one."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest

from models import kernel


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """The compiled kernel of this processor."""
    if not kernel.file_name():
        pytest.skip("there is no C compiler")
    folder: Path = tmp_path_factory.mktemp("kernels") / "made"
    assert kernel.make(folder) == ""
    return ctypes.CDLL(str(folder / kernel.file_name()))
