"""What the commands that speak with a model share: their options, and how a run is found and loaded."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from engine.loading import Loaded
    from engine.runs import RunFolder
    from engine.sampler import SamplerSettings
    from engine.tokenizer import Replacement


def complete_runs(incomplete: str) -> list[str]:
    """Names of runs that begin with what was typed."""
    from engine.starter import find
    from tinygpt_tui.paths import user_paths

    folder = user_paths().runs_dir
    own = {path.name for path in folder.iterdir() if path.name[:1] != "."} if folder.is_dir() else set()
    names = own | {found.name for found in [find()] if found is not None}
    return sorted(name for name in names if name.startswith(incomplete or ""))


RUN = typer.Argument(
    None,
    metavar="[RUN]",
    help="A run's name or folder; the newest if not given. 'starter' is the model that is built in.",
    autocompletion=complete_runs,
)
AT = typer.Option("best", "--at", metavar="WHICH", help="Which checkpoint: best, last, or a step.")
TEMPERATURE = typer.Option(
    None,
    "--temperature",
    metavar="T",
    help="Below 1 surer, above 1 bolder, 0 always the likeliest. [default: 0.8]",
)
TOP_K = typer.Option(None, "--top-k", metavar="K", help="Keep only the K likeliest symbols; 0 is off.")
TOP_P = typer.Option(
    None, "--top-p", metavar="P", help="Keep the fewest symbols that reach this share; 1 is off."
)
MIN_P = typer.Option(
    None, "--min-p", metavar="P", help="Drop symbols below this share of the likeliest one; 0 is off."
)
REPETITION = typer.Option(
    None, "--repetition", metavar="R", help="Break loops, the longer they run; 0 is off."
)
SEED = typer.Option(None, "--seed", metavar="N", help="Start of the dice; a new one each time if not given.")


def resolve_settings(
    temperature: float | None,
    top_k: int | None,
    top_p: float | None,
    min_p: float | None,
    repetition: float | None,
) -> tuple[SamplerSettings, Any]:
    """The sampler's settings from options, environment, file and defaults, and all settings in force."""
    from tinygpt_tui.cli.output import narrate
    from tinygpt_tui.settings_file import load

    given = {
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "min_p": min_p,
        "repetition": repetition,
    }
    resolved = load({f"sample.{key}": value for key, value in given.items()})
    for warning in resolved.warnings:
        narrate(f"warning: {warning}")
    from engine.sampler import SamplerSettings

    chosen = resolved.settings.sample
    return SamplerSettings(**{key: getattr(chosen, key) for key in given}), resolved.settings


def resolve_seed(seed: int | None) -> int:
    """The seed given, or a fresh one that is short enough to type again. Raises UsageError when it is out of range."""
    from engine.dice import checked_seed

    return secrets.randbelow(1_000_000) if seed is None else checked_seed(seed)


def parse_at(at: str) -> Any:
    """ "best", "last", or a step as a number. Raises UsageError."""
    from engine.errors import UsageError

    if at in ("best", "last"):
        return at
    if at.isascii() and at.isdigit() and len(at) < 13:
        return int(at)
    raise UsageError(f"--at must be best, last or a step, not {at!r:.40}.")


def find_run(run: str | None) -> RunFolder:
    """The run that is meant; without a name the newest that has a checkpoint, and it is said if there is a newer one without.

    As long as there is none with a checkpoint it is the starter, and that is said, too.
    """
    from engine.run_list import list_runs, resolve_run
    from engine.starter import is_starter
    from tinygpt_tui.cli.output import narrate
    from tinygpt_tui.paths import user_paths
    from tinygpt_tui.safe_text import safe_line

    runs_dir = user_paths().runs_dir
    folder = resolve_run(runs_dir, run)
    if run is not None:
        return folder
    if is_starter(folder):
        narrate(
            "note: no run has a checkpoint yet, so this is the built-in starter; your own begins with: tinygpt train tales"
        )
    elif (newest := list_runs(runs_dir)[0].run) != folder.name:
        narrate(
            f"note: {safe_line(newest)} is newer but has no checkpoint, so {safe_line(folder.name)} is taken"
        )
    return folder


def load_run(folder: RunFolder, at: str, compile: str | None = None) -> Loaded:
    """Loads the checkpoint that is meant, sets the threads up for it, and says what had to be skipped.

    `compile` is the setting `engine.compile`, for what writes a text; what measures has nothing to do with it.
    """
    from tinygpt_tui.cli.output import narrate

    which = parse_at(at)
    from engine.device import use_for_playing
    from engine.loading import load
    from models import kernel
    from tinygpt_tui.paths import user_paths

    kernel.use(user_paths().kernels if compile == "auto" else None)
    loaded = load(folder, which, to_write=compile is not None)
    use_for_playing(loaded.model)
    for sentence in loaded.skipped:
        narrate(f"note: {sentence}")
    return loaded


def explain_replacements(replaced: tuple[Replacement, ...]) -> str:
    """One sentence on what the vocabulary lacks, or "" if it lacks nothing."""
    if not replaced:
        return ""
    shown = dict.fromkeys(
        f"{_name(r.char)} became {_name(r.by)}" if r.by else f"{_name(r.char)} was dropped" for r in replaced
    )
    some = ", ".join(list(shown)[:5]) + (", …" if len(shown) > 5 else "")
    count = "1 character is" if len(replaced) == 1 else f"{len(replaced)} characters are"
    return f"{count} not in this model's vocabulary: {some}"


def _name(char: str) -> str:
    return f"‹{char}›" if char.isprintable() else f"U+{ord(char[0]):04X}"
