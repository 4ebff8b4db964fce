"""The processes beside the first one: each computes its share of every batch, and knows nothing of clocks, events or checkpoints.

All that one needs is told: the run's request, recipe and tokenizer, then the weights, then one order at a time. Only the text it has to have
itself, by its hash. It writes nothing that stays.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from engine import launch, tensors
from engine.errors import CorpusError, LostError, ResourceError, RunError, TinygptError, UsageError
from engine.preparing import Prepared, prepare
from engine.printable import printable
from engine.ranks import ALIGN, END, ROLL_CALL, TELL, UPDATE, Alone, Order
from engine.runs import RunFolder
from engine.signals import Signals
from engine.team import Team
from engine.training import Job, State, Surroundings, Training
from models import kernel

WEIGHTS = "weights."  # before the names of parameters, to tell them from the optimizer's tensors


@dataclass(frozen=True)
class Own:
    """What a process has on its own machine.

    Attributes:
        corpora_dirs: where texts may be kept.
        cache_dir: where compiled kernels and fetched texts lie.
        source: what the person called the corpus here; None if they did not.
        encoding, force_text: as they were given with it.
        force: go on although memory looks too small.
    """

    corpora_dirs: Sequence[Path] = ()
    cache_dir: Path | None = None
    source: str | None = None
    encoding: str | None = None
    force_text: bool = False
    force: bool = False


def introduce(team: Alone, prepared: Prepared) -> None:
    """Tells the other processes what is to be trained, and hears that they can.

    Raises:
        TinygptError: one cannot, and why.
        LostError: one is gone.
    """
    if not isinstance(team, Team):
        return
    folder, job = prepared.folder, prepared.job
    told = {
        "corpora": str(folder.corpora),
        "request": folder.read_request(),
        "run": folder.read_run(),
        "tokenizer": folder.read_tokenizer(),
    }
    team.tell(json.dumps(told).encode())
    for rank, report in enumerate(team.gather(_report(job))):
        host = printable(str(team.reports[rank]["host"]))
        if report.get("problem"):
            kind = {2: UsageError, 3: CorpusError, 4: ResourceError}.get(report.get("code", 1), RunError)
            raise kind(f"Process {rank} on {host} cannot take part: {report['problem']}")
        if report["kernels"] != _report(job)["kernels"]:
            raise UsageError(
                f"Process {rank} on {host} computes with {report['kernels']} kernels and process 0 with {_report(job)['kernels']}: "
                "see tinygpt doctor there, or train with --set kernels=eager."
            )
    team.tell(tensors.to_bytes(_tensors(job)))


def follow(team: Team, own: Own) -> int:
    """Computes along until the first process says that it is done; returns the exit code it says.

    Raises:
        LostError: the first process is gone, or another one.
    """
    kernel.use(own.cache_dir and own.cache_dir / "kernels")
    with Signals() as signals:
        team.listen(lambda: signals.received is not None)
        try:
            return _follow(team, own)
        except LostError as error:
            raise LostError(f"{error} Process {team.place.rank} of {team.place.world} ends.") from error


def _follow(team: Team, own: Own) -> int:
    order = team.hear()
    if order.kind == END:
        return order.step
    told = json.loads(team.receive(order))
    try:
        job = _prepared(told, own, team).job
    except TinygptError as error:
        team.gather({"problem": str(error), "code": error.exit_code})
        return _until(team, END).step
    team.gather(_report(job))
    if (order := _until(team, TELL, END)).kind == END:
        return order.step
    _take(job, tensors.from_bytes(team.receive(order), "what process 0 sent"))
    training = Training(job, State(), Surroundings(save=_saves_nothing, team=team))
    parameters = list(job.model.parameters())
    while (order := team.hear()).kind != END:
        if order.kind == UPDATE:
            try:
                training.learn(order.step, order.factor)
            except LostError:
                raise
            except RunError:
                pass  # not finite: the first process has found the same, and says so
        elif order.kind == ALIGN:
            team.align(parameters)
        elif order.kind == ROLL_CALL:
            team.roll_call()
    return order.step


def _until(team: Team, *kinds: int) -> Order:
    while (order := team.hear()).kind not in kinds:
        pass
    return order


def _prepared(told: dict[str, Any], own: Own, team: Team) -> Prepared:
    """The run as the first process settled it, on this machine: from a folder that holds what was told, for as long as that is read."""
    request = told["request"]
    if own.source is not None:
        request["corpus"] |= {
            "source": launch.lasting(own.source),
            "encoding": own.encoding,
            "force_text": own.force_text,
        }
    with tempfile.TemporaryDirectory(prefix="tinygpt-") as temporary:
        folder = RunFolder.create(Path(temporary) / "runs", "run", request)
        folder.write_tokenizer(told["tokenizer"])
        folder.write_run(told["run"])
        return prepare(
            folder, [*own.corpora_dirs, Path(told["corpora"])], spent=0.0, total_steps=None, force=own.force,
            cache_dir=own.cache_dir, place=team.place,
        )  # fmt: skip


def _report(job: Job) -> dict[str, Any]:
    return {"kernels": "torch's" if job.learner is None else "compiled"}


def _tensors(job: Job) -> dict[str, Tensor]:
    weights = {f"{WEIGHTS}{name}": tensor for name, tensor in job.model.state_dict().items()}
    return weights | job.optimizer.state()


def _take(job: Job, told: dict[str, Tensor]) -> None:
    weights = {name.removeprefix(WEIGHTS): told.pop(name) for name in list(told) if name.startswith(WEIGHTS)}
    job.model.load_state_dict(weights, strict=True)
    job.optimizer.load(told)


def _saves_nothing() -> str:
    raise AssertionError("only the first process saves")
