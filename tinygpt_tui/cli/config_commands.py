"""`tinygpt config`: see and change settings, with the origin of every value.

What a setting may be is `tinygpt_tui.settings`' business, and how the file is kept is
`tinygpt_tui.settings_file`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer

from tinygpt_tui.cli.help import command, new_app

if TYPE_CHECKING:
    from tinygpt_tui.settings_sources import Resolved

app = new_app(
    help="Show and change settings.",
    examples="""
    tinygpt config show  # every setting in force
    tinygpt config set train.time 5m  # train for five minutes from now on
    tinygpt config unset train.time  # back to the default
    TINYGPT_TRAIN_TIME=1m tinygpt config get train.time
    """,
)


def complete_keys(incomplete: str) -> list[tuple[str, str]]:
    """The settings whose keys begin with what was typed, and their help."""
    from tinygpt_tui.settings import SCHEMA

    return [(key, entry.about.help) for key, entry in SCHEMA.items() if key.startswith(incomplete)]


KEY = typer.Argument(metavar="KEY", help="The setting, such as train.time.", autocompletion=complete_keys)
JSON = typer.Option(False, "--json", help="One JSON object per line.")


@command(
    app,
    """
    tinygpt config show  # as it could stand in the settings file
    tinygpt config show --origin  # and where each value comes from
    tinygpt config show --json | jq .key
    """,
)
def show(
    as_json: bool = JSON,
    origin: bool = typer.Option(False, "--origin", help="Say where each value comes from."),
) -> None:
    """Show every setting in force."""
    from tinygpt_tui.cli.output import emit, emit_json
    from tinygpt_tui.settings import SCHEMA, value_of

    resolved = _load()
    for key, entry in SCHEMA.items():
        value = value_of(resolved.settings, key)
        source = resolved.origins[key].value
        if as_json:
            about = {"help": entry.about.help, "range": entry.range, "environment": entry.env}
            emit_json(
                {"key": key, "value": dict(value) if entry.kind is dict else value, "origin": source, **about}
            )
        else:
            for line in _toml(key, value):
                emit(f"{line:<40} # {source}" if origin else line)


@command(
    app,
    """
    tinygpt config get train.time
    tinygpt config get ui.keys  # your own keys, one a line
    """,
    name="get",
)
def get_value(key: str = KEY) -> None:
    """Print the value of one setting."""
    from engine.errors import UsageError
    from tinygpt_tui.actions import BY_ID
    from tinygpt_tui.cli.output import emit
    from tinygpt_tui.settings import entry, nearest, value_of

    found = entry(key)
    value = value_of(_load().settings, found.key)
    if key != found.key:
        action = key[len(found.key) + 1 :]
        if action not in BY_ID:
            raise UsageError(f"there is no action '{action}'{nearest(action, BY_ID)}")
        if action not in value:
            raise UsageError(f"{key} is not set: give it with 'tinygpt config set {key} VALUE'")
        value = value[action]
    if isinstance(value, dict):
        for line in _toml(key, value) if value else ():
            emit(line)
    else:
        emit(str(value))


@command(
    app,
    """
    tinygpt config set train.time 5m
    tinygpt config set sample.temperature 0.7
    tinygpt config set ui.keys.app.quit ctrl+x  # an action's name and its keys
    """,
    # So that a negative number reaches the check that explains the range, and is not taken for an option.
    context_settings={"ignore_unknown_options": True},
    name="set",
)
def set_value(key: str = KEY, value: str = typer.Argument(metavar="VALUE", help="Its new value.")) -> None:
    """Write one value into the settings file; its comments stay."""
    import os

    from engine.errors import UsageError
    from tinygpt_tui import settings, settings_file
    from tinygpt_tui.cli.output import narrate
    from tinygpt_tui.paths import user_paths

    found = settings.entry(key)
    if found.kind is dict and key == found.key:
        raise UsageError(
            f"{key} is a table: give one of its names, such as 'tinygpt config set {key}.app.quit ctrl+x'"
        )
    checked = settings.from_text(key, value)
    if found.kind is dict:
        _check_keys({key[len(found.key) + 1 :]: checked})
    path = user_paths().config_file
    settings_file.set_value(path, key, checked)
    narrate(f"{key} is now {checked} ({path})")
    if found.env and os.environ.get(found.env):
        narrate(f"warning: the environment variable {found.env} is set and wins over the file")


@command(
    app,
    """
    tinygpt config unset train.time
    tinygpt config unset ui.keys.app.quit
    """,
    name="unset",
)
def unset_value(key: str = KEY) -> None:
    """Remove one value from the settings file, so that its default holds again."""
    from engine.errors import UsageError
    from tinygpt_tui import settings, settings_file
    from tinygpt_tui.cli.output import narrate
    from tinygpt_tui.paths import user_paths

    path = user_paths().config_file
    if settings_file.unset_value(path, key):
        narrate(f"{key} is no longer set in {path}")
        return
    try:
        settings.entry(key)
    except UsageError:
        raise UsageError(f"there is no setting '{key}'{settings.nearest(key, settings.SCHEMA)}") from None
    narrate(f"{key} was not set in {path}")


@command(
    app,
    """
    tinygpt config path
    $EDITOR "$(tinygpt config path)"
    """,
    name="path",
)
def print_path() -> None:
    """Print where the settings file is, or would be."""
    from tinygpt_tui.cli.output import emit
    from tinygpt_tui.paths import user_paths

    emit(str(user_paths().config_file))


@command(
    app,
    """
    tinygpt config validate && echo fine
    """,
)
def validate() -> None:
    """Check the settings file and the environment, and say what is wrong."""
    from engine.errors import SettingsError
    from tinygpt_tui import settings_file
    from tinygpt_tui.cli.output import narrate
    from tinygpt_tui.paths import user_paths
    from tinygpt_tui.settings_sources import Origin

    path = user_paths().config_file
    resolved = _load()
    if settings_file.is_newer(path):
        raise SettingsError(resolved.warnings[0])
    for clash in _check_keys(resolved.settings.ui.keys, f"{path}: "):
        narrate(f"warning: {path}: {clash}")
    given = sum(origin is not Origin.DEFAULT for origin in resolved.origins.values())
    narrate(
        f"{path}: {'no problems' if path.exists() else 'not there, which is fine'}; settings given: {given}"
    )


def _check_keys(keys: Mapping[str, str], where: str = "") -> tuple[str, ...]:
    """A sentence for each key that does two things.

    Raises:
        SettingsError: the playground would leave one out, since there is no such action or nobody can press that.
    """
    from engine.errors import SettingsError
    from tinygpt_tui.actions import keymap

    own = keymap(keys)
    if own.keys.keys() != keys.keys():
        raise SettingsError(where + own.problems[0])
    return own.problems


def _load() -> Resolved:
    from tinygpt_tui import settings_file
    from tinygpt_tui.cli.output import narrate

    resolved = settings_file.load()
    for warning in resolved.warnings:
        narrate(f"warning: {warning}")
    return resolved


def _toml(key: str, value: Any) -> list[str]:
    """The lines that would give `key` this value in the settings file."""
    import tomlkit

    if value == {}:
        return [f"{key} = {{}}"]
    if isinstance(value, dict):
        return [
            f"{key}.{tomlkit.key(name).as_string()} = {tomlkit.item(text).as_string()}"
            for name, text in value.items()
        ]
    return [f"{key} = {tomlkit.item(value).as_string()}"]
