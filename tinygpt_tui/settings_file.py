"""Reads and changes the settings file, `config.toml`; comments, order and unknown keys stay as they are.

It is never written when it cannot be understood: not when it is damaged, and not when a newer tinygpt made
it. Processes that change it at the same time take turns, so that none undoes what another has just said is
set. What the keys mean is `tinygpt_tui.settings`' business.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import SettingsError, TinygptError, UsageError
from tinygpt_tui import settings
from tinygpt_tui.paths import user_paths
from tinygpt_tui.settings_sources import Resolved, resolve

if TYPE_CHECKING:
    from tomlkit import TOMLDocument

SIZE_LIMIT = 1_000_000  # bytes: far more than anyone types, little enough to read without a thought

MOST_DOTS = 100  # in one line

_HEADER = "# Settings of tinygpt: 'tinygpt config show' lists them all.\n"


def load(
    options: Mapping[str, object] | None = None,
    environment: Mapping[str, str] | None = None,
    path: Path | None = None,
) -> Resolved:
    """The settings in force for this user.

    Args:
        options: values of command-line options by key; None stands for an option not given.
        environment: by default the process's own.
        path: the settings file; by default the user's. It need not exist.

    Raises:
        SettingsError: the file is damaged, or a value is of the wrong kind or out of range.
    """
    path = path or user_paths(environment).config_file
    environment = os.environ if environment is None else environment
    document = read(path)
    if (version := _version(document, path)) <= settings.VERSION:
        return resolve(options, environment, document, str(path))
    # Its keys may mean something else by now. Go on without them rather than stop a person who goes back to
    # an older version.
    resolved = resolve(options, environment)
    warning = f"{path} is of version {settings.shown(version)}, and this tinygpt knows {settings.VERSION}: the file is left out"
    return replace(resolved, warnings=(warning,))


def read(path: Path) -> dict[str, Any]:
    """The file as parsed TOML; empty if there is none.

    Raises:
        SettingsError: it cannot be read, or is not TOML: with line and column.
    """
    text = _text(path)
    for number, written in enumerate(text.split("\n"), start=1):
        if written.count(".") > MOST_DOTS:  # a name of so many parts is read for minutes
            raise SettingsError(
                f"{path}, line {number}: it has more than {MOST_DOTS} dots; mend it, or move the file away"
            )
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise SettingsError(f"{path} is not a settings file: its tables are nested too deeply") from None
    except ValueError as error:  # TOMLDecodeError, or a whole number of thousands of digits
        what, line, column = _where(str(error), text)
        raise SettingsError(
            f"{path}, line {line}, column {column}: {what}; mend it, or move the file away to start afresh"
        ) from error


def is_newer(path: Path) -> bool:
    """Whether a newer tinygpt made the file, so that it must not be written. Raises as `read`."""
    return _version(read(path), path) > settings.VERSION


def set_value(path: Path, key: str, value: object) -> None:
    """Writes one value, which must have been checked, into the file; makes the file if there is none.

    Raises:
        SettingsError: the file is damaged or newer than this program: it is left as it is.
        ResourceError: the disk refuses.
        BusyError: another process kept the file for seconds.
    """
    from engine.lock import turn
    from engine.storage import make_private_dir

    make_private_dir(path.parent)
    with turn(path.parent, path), _safely(path):
        document = _editable(path)
        entry = settings.entry(key)
        # The dots of an action's name are not the dots of a table: ui.keys."play.stop" is the key "play.stop" of
        # ui.keys.
        tables, name = (
            ([*entry.key.split(".")], key[len(entry.key) + 1 :]) if key != entry.key else _split(key)
        )
        if len(tables) == 2:
            _remove(document, key)
        table: Any = document
        for part in tables:
            if part not in table:
                import tomlkit

                table[part] = tomlkit.table()
            table = table[part]
            if not isinstance(table, dict):
                raise SettingsError(f"{path}: {part} must be a table: write [{part}] and try again")
        table[name] = value
        _write(path, document)


def unset_value(path: Path, key: str) -> bool:
    """Removes one value from the file; False if it was not there. Unknown keys can be removed too.

    Raises:
        SettingsError: the file is damaged or newer than this program: it is left as it is.
        ResourceError: the disk refuses.
        BusyError: another process kept the file for seconds.
    """
    from engine.lock import turn

    with turn(path.parent, path), _safely(path):
        document = _editable(path)
        if key == "version":
            raise UsageError("the version belongs to the file and cannot be unset")
        if not _remove(document, key):
            return False
        _write(path, document)
        return True


@contextmanager
def _safely(path: Path) -> Iterator[None]:
    """The library that keeps comments does not take every file that is TOML; what it cannot edit is left as it is."""
    try:
        yield
    except (TinygptError, OSError):
        raise
    except Exception as error:
        raise SettingsError(f"{path} cannot be edited safely: change it by hand") from error


def _remove(table: Any, key: str) -> bool:
    """Takes `key` out of `table` however its dots were written: as tables or inside a quoted name."""
    if key in table:
        del table[key]
        return True
    for name in list(table):
        if (
            key.startswith(f"{name}.")
            and isinstance(table[name], dict)
            and _remove(table[name], key[len(name) + 1 :])
        ):
            return True
    return False


def _split(key: str) -> tuple[list[str], str]:
    section, _, name = key.rpartition(".")
    return [section], name


def _editable(path: Path) -> TOMLDocument:
    import tomlkit

    document = read(path)
    version = _version(document, path)
    if version > settings.VERSION:
        raise SettingsError(
            f"{path} is of version {settings.shown(version)} and this tinygpt writes version {settings.VERSION}: "
            "the file is left as it is; update tinygpt or edit it by hand"
        )
    text = _text(path)
    editable = tomlkit.parse(text if text else f"{_HEADER}version = {settings.VERSION}\n")
    if editable.unwrap() != document and text:
        raise SettingsError(f"{path} cannot be edited safely: change it by hand")
    return editable


def _write(path: Path, document: TOMLDocument) -> None:
    from engine.storage import write_atomic

    text = document.as_string()
    # Never replace the person's file by one that would not read back as meant.
    if _filled(tomllib.loads(text)) != _filled(document.unwrap()):
        raise SettingsError(f"{path} cannot be edited safely: change it by hand")
    write_atomic(path, text.encode("utf-8"))


def _filled(table: dict[str, Any]) -> dict[str, Any]:
    """`table` without what is empty: a table written as dotted keys vanishes with the last of them."""
    inner = {name: _filled(value) if isinstance(value, dict) else value for name, value in table.items()}
    return {name: value for name, value in inner.items() if value != {}}


def _text(path: Path) -> str:
    try:
        if not path.is_file():
            if path.exists() or path.is_symlink():
                raise SettingsError(f"{path} is not a file: move it away")
            return ""
        with path.open("rb") as file:
            data = file.read(SIZE_LIMIT + 1)
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror or error}") from error
    if len(data) > SIZE_LIMIT:
        raise SettingsError(f"{path} is not a settings file: it is longer than {SIZE_LIMIT:,} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - (data.rfind(b"\n", 0, error.start) + 1) + 1
        raise SettingsError(
            f"{path}, line {line}, column {column}: it is not UTF-8; save it as UTF-8"
        ) from error


def _version(document: Mapping[str, object], path: Path) -> int:
    version = document.get("version", settings.VERSION)
    if type(version) is not int or version < 1:
        raise SettingsError(
            f"{path}: version is {settings.shown(version)}, but it must be a whole number from 1: write version = 1"
        )
    return version


def _where(message: str, text: str) -> tuple[str, int, int]:
    """tomllib says where only inside its message, and then not in numbers at the end of the document."""
    what = re.sub(r"\s*\(at .*\)$", "", message)
    what = what[:1].lower() + what[1:]
    if match := re.search(r"\(at line (\d+), column (\d+)\)$", message):
        return what, int(match[1]), int(match[2])
    lines = text.split("\n")
    return what, len(lines), len(lines[-1]) + 1
