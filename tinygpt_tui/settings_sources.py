"""Where each setting's value is taken from: option before environment before settings file before default.

Pure: the file comes in as parsed TOML. What the settings are is `tinygpt_tui.settings`' business.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, cast

from engine.errors import SettingsError
from tinygpt_tui.settings import SCHEMA, Settings, checked, from_text, nearest, shown

MOST_WARNINGS = 20  # of a file; what each of a hundred thousand names may have meant takes seconds to find


class Origin(Enum):
    """Where a value comes from, weakest first."""

    DEFAULT = "default"
    FILE = "file"
    ENVIRONMENT = "environment"
    OPTION = "option"


@dataclass(frozen=True)
class Resolved:
    """Settings in force, where each value comes from, and what should be said about the sources.

    `origins` has a key for each schema entry; a table's is that of its strongest source.
    """

    settings: Settings
    origins: Mapping[str, Origin]
    warnings: tuple[str, ...] = ()


def resolve(
    options: Mapping[str, object] | None = None,
    environment: Mapping[str, str] | None = None,
    document: Mapping[str, object] | None = None,
    source: str = "the settings file",
) -> Resolved:
    """The settings in force.

    Args:
        options: values of command-line options by key; None stands for an option not given.
        environment: variables; only `TINYGPT_SECTION_NAME` are read, and empty ones count as unset.
        document: the settings file as parsed TOML; unknown keys become warnings.
        source: how to call that file in messages.

    Raises:
        SettingsError: a value is of the wrong kind or out of range.
        UsageError: `options` has an unknown key.
    """
    given, warnings = _from_document(document or {}, source)
    found: dict[str, tuple[Any, Origin]] = {key: (value, Origin.FILE) for key, value in given.items()}
    variables = {e.env: e.key for e in SCHEMA.values() if e.env}
    for variable, text in (environment or {}).items():
        if text and variable in variables:
            key = variables[variable]
            found[key] = (from_text(key, text, f"environment variable {variable}"), Origin.ENVIRONMENT)
        elif text and variable.startswith(_PREFIXES):
            warnings.append(f"environment variable {variable} is no setting{nearest(variable, variables)}")
    for key, value in (options or {}).items():
        if value is not None:
            read = from_text if isinstance(value, str) else checked
            found[key] = (read(key, cast(Any, value), "command line"), Origin.OPTION)
    settings = Settings()
    for key, (value, _) in found.items():
        section, _, name = key.partition(".")
        settings = replace(settings, **{section: replace(getattr(settings, section), **{name: value})})
    origins = {key: found[key][1] if key in found else Origin.DEFAULT for key in SCHEMA}
    return Resolved(settings, origins, tuple(warnings))


_PREFIXES = tuple({f"TINYGPT_{e.section.upper()}_" for e in SCHEMA.values()})


def _from_document(document: Mapping[str, object], source: str) -> tuple[dict[str, Any], list[str]]:
    given: dict[str, Any] = {}
    warnings: list[str] = []
    sections = {e.section: e for e in SCHEMA.values()}
    for section, table in document.items():
        if section == "version":
            continue
        if section not in sections:
            if len(warnings) < MOST_WARNINGS:
                warnings.append(f"{source}: nothing is called '{section}'{nearest(section, sections)}")
            continue
        if not isinstance(table, Mapping):
            raise SettingsError(
                f"{source}: {section} is {shown(table)}, but it must be a table: write [{section}]"
            )
        for name, value in table.items():
            key = f"{section}.{name}"
            if key not in SCHEMA:
                if len(warnings) < MOST_WARNINGS:
                    warnings.append(f"{source}: there is no setting '{key}'{nearest(key, SCHEMA)}")
                continue
            if SCHEMA[key].kind is dict and isinstance(value, Mapping):
                given[key] = {a: checked(f"{key}.{a}", text, source) for a, text in _flat(value)}
            else:
                given[key] = checked(key, value, source)
    return given, warnings


def _flat(table: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    """An action's name may hold dots, which TOML reads as tables when it is written without quotes."""
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
