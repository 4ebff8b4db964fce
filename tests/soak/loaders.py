"""Everything of ours that reads what may come from a stranger: `LOADERS[name](place)` makes its sound files and returns a case.

Left out: limits, watching and counting (`tests.soak.fuzzing`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.soak.loaders_of_folders import histories, settings_files, token_entries
from tests.soak.loaders_of_run_files import control_files, event_files, manifests, places, run_files
from tests.soak.loaders_of_runs import checkpoint_loads, commands, resumes, starter
from tests.soak.loaders_of_values import messages, recipes, tensors, tokenizers
from tests.soak.sound_files import Case

LOADERS: dict[str, Callable[[Path], Case]] = {
    made.__name__: made
    for made in (
        tensors, manifests, checkpoint_loads, run_files, event_files, control_files, recipes, tokenizers, messages, settings_files, histories,
        token_entries, places, resumes, commands, starter,
    )
}  # fmt: skip
