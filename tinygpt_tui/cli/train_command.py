"""`tinygpt train`: teaches a model a text, in the foreground or in the background, anew or going on."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import typer

from tinygpt_tui.cli.corpora_commands import complete_names
from tinygpt_tui.cli.help import command, new_app

if TYPE_CHECKING:
    from engine.events import Event
    from engine.ranks import Alone
    from engine.runs import RunFolder
    from engine.team import Team
    from tinygpt_tui.paths import Paths

JSON_STEP_SECONDS = 0.1

app = new_app()


@command(
    app,
    """
    tinygpt train tales  # two minutes, sized for this machine
    tinygpt train my-novel.txt --time 10m --name novel
    tinygpt train tiny-shakespeare --steps 2000 --size 0.8m --set muon_lr=0.03
    cat *.md | tinygpt train - --time 5m --detach  # in the background; see: tinygpt runs watch
    tinygpt train --resume novel --steps 5000  # go on, to 5,000 steps in all
    tinygpt train tales --recipe novel  # the same recipe on another text
    tinygpt train tales --json | jq 'select(.event=="eval").val_loss'
    """,
)
def train(
    corpus: str | None = typer.Argument(
        None, metavar="CORPUS", help="A file, a folder, - for standard input, or a corpus of the catalogue.",
        autocompletion=complete_names,
    ),
    time_: str | None = typer.Option(None, "--time", metavar="TIME", help="How long in all, by the wall clock: 90s, 3m, 1h. [default: 2m]"),
    steps: int | None = typer.Option(None, "--steps", metavar="N", help="How many updates, instead of a time; with --resume the new total."),
    size: str | None = typer.Option(None, "--size", metavar="SIZE", help="auto, 0.1m, 0.3m, 0.8m, 1.8m, 4m, 10m or 30m parameters. [default: auto]"),
    arch: str | None = typer.Option(None, "--arch", metavar="ARCH", help="modern, classic, or ngram. [default: modern]"),
    tokenizer: str | None = typer.Option(None, "--tokenizer", metavar="KIND", help="chars, bytes, or bpe. [default: chars]"),
    name: str | None = typer.Option(None, "--name", metavar="NAME", help="Of the run; made from the corpus' name otherwise."),
    seed: int | None = typer.Option(None, "--seed", metavar="N", help="Start of every random draw. [default: 1]"),
    save_every: int | None = typer.Option(None, "--save-every", metavar="N", help="Steps between checkpoints."),
    eval_every: int | None = typer.Option(None, "--eval-every", metavar="N", help="Steps between evaluations."),
    patience: int | None = typer.Option(None, "--patience", metavar="N", help="Stop after N steps without a better validation loss."),
    settings: list[str] | None = typer.Option(None, "--set", metavar="KEY=VALUE", help="Any field of the recipe, such as lr=0.003; repeatable."),
    resume: str | None = typer.Option(None, "--resume", metavar="RUN", help="Go on from the newest good checkpoint of a run."),
    recipe: str | None = typer.Option(None, "--recipe", metavar="RUN", help="Take the whole recipe of another run, to repeat it."),
    detach: bool = typer.Option(False, "--detach", help="Train in the background."),
    encoding: str | None = typer.Option(None, "--encoding", metavar="NAME", help="Read the file in this encoding."),
    force_text: bool = typer.Option(False, "--force-text", help="Read what looks binary as text."),
    force: bool = typer.Option(False, "--force", help="Go on although the corpus or the model looks too large."),
    as_json: bool = typer.Option(False, "--json", help="One event per line on standard output."),
    quiet: bool = typer.Option(False, "--quiet", help="No progress on standard error."),
) -> None:  # fmt: skip
    """Train a model on a text."""
    from engine.errors import UsageError
    from engine.ranks import run_together
    from tinygpt_tui.paths import user_paths

    began = _process_start()
    paths = user_paths()

    def lead(team: Alone) -> int:
        from tinygpt_tui.cli.output import narrate
        from tinygpt_tui.settings_file import load

        options = {"train.time": time_, "train.arch": arch, "train.size": size, "train.seed": seed}
        resolved = load(options)
        for warning in resolved.warnings:
            narrate(f"warning: {warning}")
        if detach and team.place.world > 1:
            raise UsageError("--detach starts one process of its own: leave it out under torchrun.")
        total = steps
        if resume is not None:
            given = (corpus, time_, size, arch, tokenizer, name, seed, save_every, eval_every, patience, recipe, encoding)  # fmt: skip
            if any(value is not None for value in given) or settings or force_text:
                raise UsageError(
                    "--resume takes the run's own corpus and recipe; only --steps, --detach, --force, --json and --quiet go with it."
                )
            folder, new = _resumable(paths, resume, steps), False
        else:
            if corpus is None:
                raise UsageError(
                    "Name a corpus to train on, such as tales or a file; 'tinygpt corpora list' shows some."
                )
            dials = (time_, steps, size, arch, tokenizer, seed, save_every, eval_every, patience)
            if recipe is not None and (any(value is not None for value in dials) or settings):
                raise UsageError(
                    "--recipe settles the whole recipe; leave out --time, --steps, --size, --seed, --set and the like."
                )
            values = _values(resolved.settings.train, steps=steps, time_=time_, settings=settings or [], tokenizer=tokenizer,
                             save_every=save_every, eval_every=eval_every, patience=patience)  # fmt: skip
            if resolved.settings.engine.compile == "off":
                values.setdefault("kernels", "eager")
            if values.get("kernels", "auto") != "eager":
                _ask_for_kernel(paths)
            wanted = resolved.settings.train.size
            folder = _new(paths, corpus, name, wanted, values, recipe, encoding, force_text, force, quiet)
            new, total = True, None
        if detach:
            _detach(folder, new, total, force, as_json, paths)
            return 0
        color = resolved.settings.output.color
        return _foreground(folder, new, total, force, as_json, quiet, began, color, paths, team)

    def follow(team: Team) -> int:
        from engine import follower

        source = None if corpus in (None, "-") else corpus
        own = follower.Own([paths.corpora_dir], paths.cache, source, encoding, force_text, force)
        return follower.follow(team, own)

    raise typer.Exit(run_together(lead, follow))


def _process_start() -> float:
    """When this process began, by `time.monotonic`: what `--time` counts from."""
    from engine.budget import process_age

    return time.monotonic() - process_age()


def _values(
    train: Any, *, steps: int | None, time_: str | None, settings: list[str], **given: Any
) -> dict[str, Any]:
    """The recipe fields that the options, the environment and the settings file set."""
    from engine.errors import UsageError
    from engine.recipe import parse_value
    from tinygpt_tui.settings import seconds

    values: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    values |= {
        "arch": train.arch,
        "seed": train.seed,
        "threads": train.threads,
        "sample_chars": train.sample_chars,
    }
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise UsageError(f"--set takes KEY=VALUE, such as --set lr=0.003, not {setting[:60]!r}.")
        values[key.strip()] = parse_value(key.strip(), text.strip())
    if steps is not None:
        values["steps"] = steps
    if time_ is not None or not values.keys() & {"steps", "time"}:
        values["time"] = seconds(train.time)
    if values.keys() >= {"steps", "time"}:
        raise UsageError("Give --time or --steps, not both: one settles the other.")
    if not values["threads"]:
        del values["threads"]
    return values


def _new(
    paths: Paths, source: str, name: str | None, size: str, values: dict[str, Any], recipe: str | None,
    encoding: str | None, force_text: bool, force: bool, quiet: bool,
) -> RunFolder:  # fmt: skip
    from engine.large_text import corpus_of
    from engine.launch import check_request, new_run, recipe_of
    from engine.run_list import resolve_run
    from tinygpt_tui.cli.output import narrate
    from tinygpt_tui.cli.progress import reading_line

    whole = recipe_of(resolve_run(paths.runs_dir, recipe)) if recipe is not None else None
    # Before a large text, or what someone pipes in, is read for nothing.
    check_request(paths.runs_dir, name, size, values if whole is None else {})
    with reading_line(quiet=quiet) as tell:
        corpus = corpus_of(
            source, encoding=encoding, force_text=force_text, force=force, cache_dir=paths.cache, tell=tell
        )
    for notice in corpus.notices:
        narrate(f"note: {notice}")
    return new_run(
        paths.data, corpus, name=name, size=size, values=values, recipe=whole, encoding=encoding, force_text=force_text
    )  # fmt: skip


def _ask_for_kernel(paths: Paths) -> None:
    """The first time on a machine, has the kernel made while the text is read and torch loads."""
    from models import kernel

    kernel.use(paths.kernels)
    kernel.library()


def _resumable(paths: Paths, run: str, steps: int | None) -> RunFolder:
    """The run to go on with. Raises UsageError when it is finished and no new total is given."""
    from engine.errors import BusyError, UsageError
    from engine.recipe import check
    from engine.run_list import resolve_run
    from engine.runs import RunFolder
    from engine.starter import refuse

    if steps is not None:
        check("steps", steps)
    # The trainer looks for the texts beside the folder of all runs, whatever folder we were started in.
    folder = RunFolder(resolve_run(paths.runs_dir, run).path.absolute())
    refuse(folder)
    if folder.is_locked():
        raise BusyError(
            f"{folder.name} is being trained already; watch it with: tinygpt runs watch {folder.name}"
        )
    status = folder.read_status()
    if status is not None and status.state == "done" and steps is None:
        raise UsageError(
            f"{folder.name} is finished at step {status.step:,}; give --steps with a larger total to go on."
        )
    if status is not None and steps is not None and steps <= status.step:
        raise UsageError(
            f"{folder.name} has made {status.step:,} steps already; give --steps with a larger total."
        )
    return folder


def _detach(
    folder: RunFolder, new: bool, steps: int | None, force: bool, as_json: bool, paths: Paths
) -> None:
    from engine.launch import start_detached
    from tinygpt_tui.cli.output import emit, emit_json, narrate

    pid = start_detached(
        folder, corpora_dir=paths.corpora_dir, total_steps=steps, force=force, cache_dir=paths.cache
    )
    if not new:
        _await_trainer(folder, pid)
    if as_json:
        emit_json({"run": folder.name, "pid": pid, "path": str(folder.path)})
        return
    emit(folder.name)
    narrate(f"training in the background; watch it with: tinygpt runs watch {folder.name}")
    narrate(f"stop it with: tinygpt runs stop {folder.name}")


def _await_trainer(folder: RunFolder, pid: int) -> None:
    """Waits until a resumed run says that it is at work, and no longer how it ended: who looks next must not be misled."""
    from engine.errors import RunError

    while (status := folder.read_status()) is None or status.pid != pid:
        if os.waitpid(pid, os.WNOHANG)[0]:
            raise RunError(f"The trainer of {folder.name} ended before it began; {folder.log} says why.")
        time.sleep(0.02)


def _foreground(
    folder: RunFolder, new: bool, steps: int | None, force: bool, as_json: bool, quiet: bool, began: float, color: str,
    paths: Paths, team: Alone,
) -> int:  # fmt: skip
    from tinygpt_tui.cli.output import narrate
    from tinygpt_tui.cli.progress import ProgressView, reading_line

    try:
        from engine.trainer import Signals
        from engine.trainer import train as run_trainer

        signals = Signals()
        with (
            reading_line(quiet=quiet or as_json) as tell,
            ProgressView.on(sys.stderr, quiet=quiet, color=color) as view,
        ):
            say = _speaker(view, as_json, lambda: signals.ask(signal.SIGTERM))
            code = run_trainer(
                folder,
                say,
                corpora_dir=paths.corpora_dir,
                total_steps=steps,
                force=force,
                began=began,
                cache_dir=paths.cache,
                signals=signals,
                team=team,
                tell=tell,
            )
    except BaseException:
        # Nothing was learned, so nothing is lost; a run that never began would only be in the way.
        if new and not _began(folder):
            _discard(folder)
        raise
    status = folder.read_status()
    if status is not None and status.state == "stopped":
        narrate(f"stopped and saved; go on with: tinygpt train --resume {folder.name}")
    elif not quiet and not as_json:
        narrate(f"hear it with: tinygpt sample {folder.name}")
    return code


def _speaker(view: Any, as_json: bool, leave: Callable[[], None]) -> Callable[[Event], None]:
    """What to do with each event: show it, and print it as JSON if asked. `leave` is called when its reader has gone away."""
    from engine.events import Done, Failed, Step, to_json
    from tinygpt_tui.cli.output import emit_json, narrate

    due = 0.0
    silent = not as_json

    def say(event: Event) -> None:
        nonlocal due, silent
        if not isinstance(event, Failed):  # the command ends with that sentence anyway
            view.take(event)
        if silent:
            return
        if isinstance(event, Step):
            now = time.monotonic()
            if now < due:
                return
            due = now + JSON_STEP_SECONDS
        try:
            emit_json(to_json(event))
        except OSError as error:
            silent = True
            if not isinstance(error, BrokenPipeError):
                narrate(f"warning: standard output cannot be written: {error.strerror}")
            if not isinstance(event, Done):
                leave()

    return say


def _began(folder: RunFolder) -> bool:
    """Whether a trainer came as far as the first step, or saved anything. Where that cannot be told, it is assumed."""
    from engine.errors import TinygptError
    from engine.event_log import read_events
    from engine.events import Start

    try:
        saved = any(folder.checkpoints.glob("step-*"))  # events may be missing that a full disk did not take
        return saved or any(isinstance(event, Start) for event in read_events(folder))
    except (TinygptError, OSError):
        return True


def _discard(folder: RunFolder) -> None:
    from engine.errors import TinygptError
    from engine.run_list import delete_run

    with suppress(TinygptError, OSError):
        delete_run(folder.path.parent, folder.name)
