"""Where tinygpt keeps things: four folders of the user's own, and what lies in them.

The folders follow the platform's habits (XDG on Linux), or all lie under `TINYGPT_HOME`. Asking for a path
never touches the disk: `engine.storage.make_private_dir` makes a folder when something is first written to
it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.errors import SettingsError, UsageError

HOME_VARIABLE = "TINYGPT_HOME"


@dataclass(frozen=True)
class Paths:
    """The four folders, absolute; they need not exist yet.

    Attributes:
        config: the settings file.
        data: runs and corpora: what a person would miss.
        cache: what can be fetched or computed again.
        state: crash reports and history of use.
    """

    config: Path
    data: Path
    cache: Path
    state: Path

    @property
    def config_file(self) -> Path:
        return self.config / "config.toml"

    @property
    def runs_dir(self) -> Path:
        return self.data / "runs"

    @property
    def corpora_dir(self) -> Path:
        return self.data / "corpora"

    @property
    def kernels(self) -> Path:
        return self.cache / "kernels"

    @property
    def trash(self) -> Path:
        return self.data / "trash"


def user_paths(environment: Mapping[str, str] | None = None) -> Paths:
    """The folders of this user.

    Args:
        environment: where to look for `TINYGPT_HOME`; by default the process's own.

    Raises:
        UsageError: `TINYGPT_HOME` is set but is not absolute.
        SettingsError: the user has no home folder to be found.
    """
    home = (os.environ if environment is None else environment).get(HOME_VARIABLE, "")
    if home:
        if not Path(home).is_absolute():
            raise UsageError(
                f"{HOME_VARIABLE} is '{home}', not an absolute folder: start it with '/', or unset it"
            )
        return Paths(*(Path(home) / part for part in ("config", "data", "cache", "state")))

    import platformdirs

    dirs = platformdirs.PlatformDirs("tinygpt", appauthor=False)
    try:
        paths = Paths(dirs.user_config_path, dirs.user_data_path, dirs.user_cache_path, dirs.user_state_path)
    except RuntimeError as error:
        raise _homeless() from error
    # Earlier platformdirs give "~/.config" unexpanded, a folder inside whatever folder we were started in.
    if not all(path.is_absolute() for path in (paths.config, paths.data, paths.cache, paths.state)):
        raise _homeless()
    return paths


def _homeless() -> SettingsError:
    home = os.environ.get("HOME")
    return SettingsError(
        f"no home folder found (HOME is {'unset' if home is None else repr(home)}): "
        f"set HOME or {HOME_VARIABLE} to an absolute folder"
    )
