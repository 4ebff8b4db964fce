"""`tinygpt runs`: see and steer any run from any terminal, whoever started it."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import typer

from tinygpt_tui.cli.help import command, new_app
from tinygpt_tui.cli.model_options import complete_runs

if TYPE_CHECKING:
    from engine.events import Event
    from engine.runs import RunFolder

WATCH_SECONDS = 0.2

app = new_app(
    help="See and steer any run from any terminal.",
    examples="""
    tinygpt runs list
    tinygpt runs watch tales                        # follow a run; Ctrl-C leaves it alone
    tinygpt runs lr tales 0.5                       # halve the learning rate from the next step on
    tinygpt runs stop tales                         # finish the step, save, end
    """,
)

RUN = typer.Argument(metavar="RUN", help="A run's name or folder.", autocompletion=complete_runs)
JSON = typer.Option(False, "--json", help="One JSON object per line.")


@command(
    app,
    """
    tinygpt runs list
    tinygpt runs list --json | jq -r 'select(.state=="training").run'
    """,
    name="list",
)
def list_(as_json: bool = JSON) -> None:
    """List every run of your own, newest first."""
    from engine.run_list import list_runs
    from engine.starter import find
    from tinygpt_tui.cli.output import emit, emit_json, narrate
    from tinygpt_tui.paths import user_paths
    from tinygpt_tui.safe_text import safe_line

    runs = list_runs(user_paths().runs_dir)
    if as_json:
        for run in runs:
            emit_json(run.to_json())
        return
    if not runs:
        until = "; until then the built-in starter writes: tinygpt sample" if find() is not None else ""
        narrate(f"there are no runs yet; begin with: tinygpt train tales{until}")
        return
    emit(f"{'run':<24} {'state':<9} {'step':>15} {'val_loss':>8} {'params':>7}  corpus")
    for run in runs:
        step = f"{run.step:,}" if run.step is not None else "–"
        step += f"/{run.horizon:,}" if run.horizon else ""
        loss = f"{run.val_loss:.4f}" if run.val_loss is not None else "–"
        params = f"{run.params / 1e6:.1f} M" if run.params is not None else "–"
        corpus = safe_line(run.corpus or run.reason or "–")
        emit(f"{safe_line(run.run):<24} {run.state:<9} {step:>15} {loss:>8} {params:>7}  {corpus}")


@command(
    app,
    """
    tinygpt runs show tales
    tinygpt runs show tales --json | jq .recipe
    """,
)
def show(run: str | None = typer.Argument(None, metavar="[RUN]", help="A run's name or folder; the newest if not given.", autocompletion=complete_runs), as_json: bool = JSON) -> None:  # fmt: skip
    """Show what a run is made of and where it stands."""
    from engine.checkpoint import checkpoints
    from tinygpt_tui.cli.output import emit, emit_json
    from tinygpt_tui.safe_text import safe_line

    folder = _folder(run)
    state = folder.state()
    info = folder.read_run() if folder.run.exists() else {"run": folder.name, **folder.read_request()}
    status = folder.read_status()
    saved = [c for c in checkpoints(folder) if c.problem is None]
    if as_json:
        rows = [{"step": c.step, "val_loss": c.val_loss, "bytes": c.size} for c in saved]
        now = {"state": state, "step": status.step if status else 0, "path": str(folder.path)}
        emit_json({**info, **now, "checkpoints": rows})
        return
    # What a request asks for is unchecked until a trainer has settled it.
    told = (info.get(key) for key in ("recipe", "model", "corpus"))
    recipe, model, corpus = (table if isinstance(table, dict) else {} for table in told)
    chars = corpus.get("chars")
    facts = {
        "run": folder.name,
        "state": state + (f": {status.message}" if status and status.message else ""),
        "step": f"{status.step:,} of {status.horizon:,}" if status else "–",
        "best val_loss": f"{status.val_loss:.4f}" if status and status.val_loss is not None else "–",
        "corpus": str(corpus.get("name")) + (f", {chars:,} characters" if isinstance(chars, int) else ""),
        "model": " ".join(f"{key} {value}" for key, value in model.items() if value),
        "recipe": " ".join(f"{key} {value}" for key, value in recipe.items() if key in _TOLD),
        "computes with": f"{info.get('dtype', '–')}, {info.get('threads', '–')} threads",
        "folder": str(folder.path),
    }
    for name, value in facts.items():
        emit(f"{name:<14} {safe_line(value)}")
    for checkpoint in saved:
        loss = f"val_loss {checkpoint.val_loss:.4f}" if checkpoint.val_loss is not None else "not measured"
        emit(f"{'checkpoint':<14} step {checkpoint.step:,}, {loss}, {checkpoint.size / 1e6:.1f} MB")


_TOLD = ("optimizer", "lr", "muon_lr", "batch_size", "steps", "seed", "weight_decay")


@command(
    app,
    """
    tinygpt runs watch tales
    tinygpt runs watch tales --json
    """,
)
def watch(run: str | None = typer.Argument(None, metavar="[RUN]", help="A run's name or folder; the newest if not given.", autocompletion=complete_runs), as_json: bool = JSON) -> None:  # fmt: skip
    """Follow a run until it ends; leaving does not disturb it."""
    from engine.event_log import EventTail
    from engine.events import Failed, to_json
    from engine.runs import UNFINISHED
    from tinygpt_tui.cli.output import emit_json, narrate
    from tinygpt_tui.cli.progress import ProgressView
    from tinygpt_tui.safe_text import safe_line
    from tinygpt_tui.sources.run_watch import why_died

    folder = _folder(run)
    tail = EventTail(folder)
    last: Event | None = None
    with ProgressView.on(None if as_json else sys.stderr) as view:
        while True:
            # The state is read before the events: what a trainer says last is then among them.
            state = folder.state()
            told = tail.poll()
            if last is None and not as_json:
                told = _worth_telling(told)
            for last in told:
                if as_json:
                    emit_json(to_json(last))
                else:
                    view.take(last)
            if state not in UNFINISHED:
                break
            time.sleep(WATCH_SECONDS)
    go_on = f"go on with: tinygpt train --resume {folder.name}"
    if state == "stale" and not folder.path.is_dir():
        narrate(f"{folder.name} is gone: its folder was deleted or moved meanwhile; see: tinygpt runs list")
    elif state == "stale":
        status = folder.read_status()
        why = safe_line(why_died(folder, status, status.step if status else 0))
        narrate(f"{folder.name} died: its trainer {why}; {go_on}")
    elif state != "done":
        narrate(f"{folder.name} is {state}; {go_on}")
    if isinstance(last, Failed):
        raise typer.Exit(last.exit)
    if state not in ("done", "stopped"):  # whoever could have said so as its last word did not live to
        raise typer.Exit(1)


def _worth_telling(told: list[Event]) -> list[Event]:
    """What someone who comes late needs: how the run began, the plan in force, and everything since it was last measured."""
    from engine.events import Eval, Plan, Start

    starts = [at for at, event in enumerate(told) if isinstance(event, Start)]
    measured = [at for at, event in enumerate(told) if isinstance(event, Eval)]
    if not starts or not measured or measured[-1] < starts[-1]:
        return told[starts[-1] :] if starts else told
    plans = [event for event in told[starts[-1] : measured[-1]] if isinstance(event, Plan)]
    return [told[starts[-1]], *plans[-1:], *told[measured[-1] :]]


@command(app, "tinygpt runs pause tales")
def pause(run: str = RUN) -> None:
    """Let a run wait at its next step."""
    _ask(run, "pause", "pauses at its next step")


@command(app, "tinygpt runs resume tales")
def resume(run: str = RUN) -> None:
    """Let a paused run go on."""
    _ask(run, "resume", "goes on")


@command(app, "tinygpt runs stop tales")
def stop(run: str = RUN) -> None:
    """Let a run finish its step, save, and end."""
    _ask(run, "stop", "finishes its step, saves, and ends")


@command(app, "tinygpt runs save tales")
def save(run: str = RUN) -> None:
    """Let a run save a checkpoint at its next step."""
    _ask(run, "save", "saves at its next step")


@command(
    app,
    """
    tinygpt runs lr tales 0.5                       # half as fast from the next step on
    tinygpt runs lr tales 2
    """,
)
def lr(run: str = RUN, factor: float = typer.Argument(metavar="FACTOR", help="From 0.01 to 100.")) -> None:
    """Multiply a run's learning rate from its next step on."""
    _ask(run, "lr", f"learns {factor:g} times as fast from its next step on", value=factor)


@command(app, "tinygpt runs extend tales 500")
def extend(run: str = RUN, steps: int = typer.Argument(metavar="STEPS", help="How many more.")) -> None:
    """Give a run more steps before it ends."""
    _ask(run, "extend", f"makes {steps:,} more steps", value=steps)


@command(app, 'tinygpt runs sample tales -p "Once there was" -n 300')
def sample(
    run: str = RUN,
    prompt: str = typer.Option("", "-p", "--prompt", metavar="TEXT", help="What to continue."),
    chars: int = typer.Option(200, "-n", "--chars", metavar="N", help="How much to write."),
) -> None:
    """Let a run write something at its next step, into its events."""
    _ask(run, "sample", "writes at its next step; watch it to read", value=chars, prompt=prompt)


@command(
    app,
    """
    tinygpt runs rm tales-2
    tinygpt runs rm tales-2 tales-3
    """,
)
def rm(
    runs: list[str] = typer.Argument(metavar="RUN...", help="Names of runs.", autocompletion=complete_runs),
) -> None:
    """Delete runs for good."""
    from engine.run_list import delete_run
    from tinygpt_tui.cli.output import narrate
    from tinygpt_tui.paths import user_paths

    for name in runs:
        delete_run(user_paths().runs_dir, name)
        narrate(f"deleted {name}")


@command(
    app,
    """
    tinygpt runs trash
    tinygpt runs trash --empty                      # asks, and deletes for good what is listed
    tinygpt runs trash --empty --yes
    """,
)
def trash(
    empty: bool = typer.Option(False, "--empty", help="Delete what is in it for good."),
    yes: bool = typer.Option(False, "--yes", "-y", help="Do not ask."),
    as_json: bool = JSON,
) -> None:
    """List the runs in the trash, or delete them for good.

    Undo in the playground's Runs takes them out again, the latest first.
    """
    from datetime import UTC, datetime

    from engine.errors import UsageError
    from engine.run_list import summary_of
    from engine.trash import empty_trash, list_trash
    from tinygpt_tui import figures
    from tinygpt_tui.cli.output import emit, emit_json, is_interactive, narrate
    from tinygpt_tui.paths import user_paths

    trash_dir = user_paths().trash
    found = [(trashed, summary_of(trashed.path).size) for trashed in list_trash(trash_dir)]
    if not found:
        narrate("the trash is empty")
        return
    if not as_json:
        emit(f"{'run':<24} {'size':>9}  trashed")
    for trashed, size in found:
        if as_json:
            when = datetime.fromtimestamp(trashed.time, UTC).isoformat(timespec="seconds")
            emit_json({"run": trashed.run, "bytes": size, "trashed": when, "path": str(trashed.path)})
        else:
            emit(f"{trashed.run:<24} {figures.size(size):>9}  {figures.age(time.time() - trashed.time)}")
    if not empty:
        return
    if not yes and not is_interactive():
        raise UsageError(
            "Nobody can be asked here whether all this is to be deleted for good: say so with --yes."
        )
    total = figures.size(sum(size for _, size in found))
    if yes or typer.confirm(f"Delete all this ({total}) for good?", err=True):
        count = empty_trash(trash_dir)
        narrate(f"deleted {count} run{'s' if count != 1 else ''}")


def _folder(run: str | None) -> RunFolder:
    """The run that is meant; without a name the newest, with or without a checkpoint. Raises CheckpointError."""
    from engine.errors import CheckpointError
    from engine.run_list import list_runs, resolve_run
    from engine.runs import RunFolder
    from tinygpt_tui.paths import user_paths

    runs_dir = user_paths().runs_dir
    if run is not None:
        return resolve_run(runs_dir, run)
    runs = list_runs(runs_dir)
    if not runs:
        raise CheckpointError(f"There are no runs in {runs_dir}: train one first.")
    return RunFolder(runs[0].path)


def _ask(run: str, do: str, said: str, *, value: float | None = None, prompt: str | None = None) -> None:
    """Sends a request to the trainer of a run. Raises UsageError when none lives and none is about to, since nobody would obey."""
    from engine.control import request
    from engine.errors import UsageError
    from engine.runs import UNFINISHED
    from engine.starter import refuse
    from tinygpt_tui.cli.output import narrate

    folder = _folder(run)
    refuse(folder)
    if (state := folder.state()) not in UNFINISHED:
        more = " --steps N" if state == "done" else ""
        raise UsageError(
            f"{folder.name} is {state}, so there is no trainer to ask; go on with: tinygpt train --resume {folder.name}{more}"
        )
    request(folder, do, value, prompt)
    narrate(f"{folder.name} {said}")
