"""Which of several processes this one is, and which part of every batch is its own.

`torchrun` starts the same command several times, on one machine or on many, and tells each copy its place in the environment. The
first one (rank 0) is the trainer; the others only help it to compute (`engine.follower`). What it leaves out: how they talk
(`engine.team`), which a process alone does not (`ALONE`). No torch here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.errors import TinygptError, UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from engine.team import Team

END, UPDATE, ROLL_CALL, ALIGN, TELL = range(5)

VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True)
class Place:
    """One of `world` processes that train together: number `rank` of all, number `local_rank` of the `local_world` on this machine."""

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    local_world: int = 1

    def threads(self, cores: int) -> int:
        """This process's share of the machine's cores, at least one."""
        return max(1, cores // self.local_world)


FIRST = Place()


def place(environment: Mapping[str, str] | None = None) -> Place:
    """The place that torchrun gave this process; the only one, if it was not started by it.

    Raises:
        UsageError: some of its variables are missing, or make no sense together.
    """
    environment = os.environ if environment is None else environment
    if environment.get("WORLD_SIZE", "1") == "1" and environment.get("RANK", "0") == "0":
        return FIRST
    if missing := [name for name in VARIABLES if not environment.get(name)]:
        raise UsageError(
            f"This looks like one of several processes, but {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set: "
            "start them with torchrun, or unset RANK and WORLD_SIZE to train in one process."
        )
    numbers = [environment[name] for name in VARIABLES[:4]]
    if all(number.isascii() and number.isdigit() and len(number) < 10 for number in numbers):
        found = Place(*map(int, numbers))
        if found.rank < found.world and found.local_rank < found.local_world <= found.world:
            return found
    given = ", ".join(f"{name}={environment[name]:.20}" for name in VARIABLES[:4])
    raise UsageError(f"There is no such place among several processes: {given!r}; start them with torchrun.")


@dataclass(frozen=True)
class Share:
    """Windows `first` to `first + count - 1` of a batch, computed at once by one process.

    Attributes:
        draws: besides the seed and the step, what the dropout of these windows depends on.
    """

    first: int
    count: int
    draws: tuple[int, ...]


def shares(batch_size: int, micro_batch: int, place: Place = FIRST) -> list[Share]:
    """What one process computes of every batch; what all of them compute is the batch, each window once.

    Whole micro-batches go round, and what is dropped in one depends on its number alone, so any number of processes learns the same.
    Only where there are fewer of them than processes are they cut up, and the pieces have dropout of their own.

    Args:
        batch_size: windows, at least as many as there are processes.
        micro_batch: windows at a time; 0 for the whole batch.
    """
    micro = micro_batch or batch_size
    whole = [Share(a, min(micro, batch_size - a), (n,)) for n, a in enumerate(range(0, batch_size, micro))]
    if len(whole) >= place.world:
        return whole[place.rank :: place.world]
    low, high = (batch_size * edge // place.world for edge in (place.rank, place.rank + 1))
    pieces = []
    for number, share in enumerate(whole):
        first, end = max(low, share.first), min(high, share.first + share.count)
        if first < end:
            offset = first - share.first
            pieces.append(Share(first, end - first, (number, offset) if offset else (number,)))
    return pieces


def are_cut(batch_size: int, micro_batch: int, world: int) -> bool:
    """Whether there are fewer micro-batches than processes, so that dropout depends on the number of processes."""
    return -(-batch_size // (micro_batch or batch_size)) < world


def fitting_micro_batch(batch_size: int, world: int) -> int:
    """The micro-batch for a new run: as many of them as processes, or a few more; 0 where one process has it all."""
    if world == 1:
        return 0
    most = -(-batch_size // world)
    return most if not are_cut(batch_size, most, world) else batch_size // world


def check_batch(batch_size: int, world: int) -> None:
    """Raises UsageError unless every process gets a window."""
    if batch_size < world:
        raise UsageError(
            f"A batch of {batch_size} windows cannot be shared out to {world} processes: start at most {batch_size}, "
            f"or --set batch_size={world} or more."
        )


@dataclass(frozen=True)
class Order:
    """What the first process wants: to END with the exit code `step`, to UPDATE at `step` with the learning rates times `factor`, ..."""

    kind: int
    step: int = 0
    factor: float = 0.0


class Alone:
    """A process that trains by itself: nobody to tell, nothing to add up.

    Attributes:
        asked: one of several processes was asked to end.
    """

    place = FIRST
    asked = False

    def listen(self, asked: Callable[[], bool]) -> None:
        """Takes what tells whether this process was asked to end, to tell the others."""

    def order(self, kind: int, step: int = 0, factor: float = 0.0) -> None:
        """Tells the others what to do next. Raises LostError if one is gone, as the other methods do."""

    def total(self, parameters: Sequence[Tensor], loss: Tensor) -> Tensor:
        """Puts the sum of everybody's gradients into every parameter's `grad`; returns the sum of the losses."""
        return loss

    def align(self, parameters: Sequence[Tensor]) -> None:
        """Gives every process the first one's values: different processors may round differently."""

    def roll_call(self) -> None:
        """Returns once everybody was heard, and knows who was asked to end."""

    def wait(self) -> None:
        """While nothing happens: a roll call now and then."""


ALONE = Alone()


def run_together(lead: Callable[[Alone], int], follow: Callable[[Team], int]) -> int:
    """Runs `lead` in the first process and `follow` in the others, and sends those home however the first one ends.

    Returns:
        this process's exit code.

    Raises:
        UsageError: the processes were not started by torchrun, or do not fit each other; as `lead` or `follow`.
        LostError: they do not find each other.
    """
    own = place()
    if own.world == 1:
        return lead(ALONE)
    from engine.team import Team

    team = Team.join(own)
    if own.rank:
        try:
            return team.hear().step if team.problem else follow(team)
        finally:
            team.leave()  # or a thread of the connections may outlive them, and end the process with an abort
    code = 1
    try:
        if team.problem:
            raise UsageError(team.problem)
        code = lead(team)
    except TinygptError as error:
        code = error.exit_code
        raise
    except KeyboardInterrupt:
        code = 130
        raise
    finally:
        team.dismiss(code)
    return code
