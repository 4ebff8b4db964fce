"""The settings while the playground runs: what is in force, and changing one so that it is saved and acts at once.

Left out: the schema (`tinygpt_tui.settings`) and the file (`tinygpt_tui.settings_file`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from engine.errors import SettingsError, TinygptError, UsageError
from tinygpt_tui import settings, settings_file
from tinygpt_tui.settings_sources import Origin, Resolved, resolve


class SettingsBook:
    """One person's settings.

    Attributes:
        path: of the settings file; it need not exist.
        problem: why the file could not be used, or "". Then the environment and the defaults are in force, and nothing is saved
            before the file is mended.
    """

    def __init__(self, path: Path, environment: Mapping[str, str] | None = None) -> None:
        self.path = path
        self.problem = ""
        self._environment = environment
        self._listeners: list[Callable[[str], None]] = []
        self._resolved = self._load()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What should be said about the file and the environment."""
        return self._resolved.warnings

    def value(self, key: str) -> Any:
        """What is in force."""
        return settings.value_of(self._resolved.settings, key)

    def origin(self, key: str) -> Origin:
        """Where that comes from."""
        return self._resolved.origins[key]

    def run_options(self) -> dict[str, Any]:
        """What is in force for a new run, as `RunStarter.start` takes it."""
        return {
            "minutes": (settings.seconds(self.value("train.time")) or 120.0) / 60,
            "size": self.value("train.size"),
            "arch": self.value("train.arch"),
            "seed": self.value("train.seed"),
            "values": {
                **{name: self.value(f"train.{name}") for name in ("threads", "sample_chars")},
                **({"kernels": "eager"} if self.value("engine.compile") == "off" else {}),
            },
        }

    def listen(self, listener: Callable[[str], None]) -> None:
        """`listener` is called with the key of each setting that changes."""
        self._listeners.append(listener)

    def set(self, key: str, value: object) -> None:
        """Checks, saves, and uses a value; a text is read as on the command line.

        Raises:
            SettingsError: it is of the wrong kind or out of range, or the file cannot be used.
            UsageError: there is no such setting, or the environment holds it fast.
            ResourceError: the disk refuses.
        """
        checked = settings.from_text(key, value) if isinstance(value, str) else settings.checked(key, value)
        self._refuse_if_fast(key)
        settings_file.set_value(self.path, key, checked)
        self._changed(key)

    def unset(self, key: str) -> None:
        """Back to the default. Raises as `set`."""
        self._refuse_if_fast(key)
        settings_file.unset_value(self.path, key)
        self._changed(key)

    def _refuse_if_fast(self, key: str) -> None:
        if self.problem:
            self._resolved = self._load()  # it may have been mended meanwhile
        if self.problem:
            raise SettingsError(self.problem)
        found = settings.entry(key)
        if self._resolved.origins[found.key] is Origin.ENVIRONMENT:
            raise UsageError(
                f"The environment variable {found.env} holds {key}: unset it to change this here."
            )

    def _changed(self, key: str) -> None:
        self._resolved = self._load()
        for listener in self._listeners:
            listener(key)

    def _load(self) -> Resolved:
        environment = os.environ if self._environment is None else self._environment
        try:
            resolved = settings_file.load(environment=environment, path=self.path)
        except TinygptError as error:
            self.problem = str(error)
        else:
            self.problem = ""
            return resolved
        try:
            return resolve(environment=environment)
        except TinygptError:  # then it was the environment that could not be used, or both
            return resolve()
