"""`tinygpt paths`: where tinygpt keeps things. It makes none of the folders."""

from __future__ import annotations

import typer

from tinygpt_tui.cli.help import command, new_app

app = new_app()


@command(
    app,
    """
    tinygpt paths
    tinygpt paths --json | jq -r .runs
    TINYGPT_HOME=/srv/class tinygpt paths  # all of it under one folder
    """,
)
def paths(as_json: bool = typer.Option(False, "--json", help="One JSON object.")) -> None:
    """Show where tinygpt keeps things."""
    from tinygpt_tui.cli.output import emit, emit_json

    found = locations()
    if as_json:
        emit_json(found)
    else:
        for name, path in found.items():
            emit(f"{name:<9} {path}")


def locations() -> dict[str, str]:
    """The name and path of every place a person may want to look into."""
    from tinygpt_tui.paths import user_paths

    p = user_paths()
    places = {
        "settings": p.config_file,
        "config": p.config,
        "data": p.data,
        "runs": p.runs_dir,
        "corpora": p.corpora_dir,
    }
    places |= {"trash": p.trash, "cache": p.cache, "state": p.state}
    return {name: str(path) for name, path in places.items()}
