"""What several training processes say to each other: orders and weights from the first to the others, gradients from each to all.

The first process decides everything; the others hear one order at a time and carry it out. No two clocks or files are ever compared, so no
two processes can disagree. Messages are JSON and safetensors, never pickles.
"""

from __future__ import annotations

import hashlib
import json
import platform
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.errors import LostError
from engine.printable import printable
from engine.ranks import ALIGN, END, ROLL_CALL, TELL, UPDATE, Alone, Order, Place

# How long the processes may take to find each other, and how long one may be silent: an evaluation of a large model on a slow
# processor, say. One that has died is noticed at once, since its connections close.
MEETING = timedelta(minutes=3)
SILENCE = timedelta(minutes=30)
SIGN_OF_LIFE_SECONDS = 5.0  # while paused; torchrun kills after 30 whoever it asked to end in vain

# A process that was asked to leave, and whose partners still owe it a sum of gradients after this time, waits no longer.
GRACE_SECONDS = 10.0


class Team(Alone):
    """One of several processes. Each order is given by `order` in the first and comes out of `hear` in the others.

    Attributes:
        problem: why these processes cannot train together, or "".
        reports: what each said of itself when they met.
    """

    def __init__(self, place: Place, group: Any) -> None:
        self.place, self._group = place, group
        self._sums = group
        self._asked: Callable[[], bool] = lambda: False
        self._owes = False
        self._last_sign = time.monotonic()
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self.reports = self.gather(
            {
                "host": platform.node(),
                "code": _hash_of_code(),
                "torch": torch.__version__,
                "device": device,
                "fits": device == "cpu" or place.local_rank < torch.cuda.device_count(),
            }
        )
        self.problem = _problem(self.reports)
        if not self.problem and device == "cuda":
            torch.cuda.set_device(place.local_rank)
            if self._dist.is_nccl_available():
                with _reaching():
                    self._sums = self._dist.new_group(backend="nccl", timeout=SILENCE)

    @classmethod
    def join(cls, place: Place) -> Team:
        """Meets the others. Raises LostError if they do not come."""
        import torch.distributed as dist

        try:
            with _leaving_at_once():
                dist.init_process_group("gloo", timeout=MEETING)
                group = dist.new_group(backend="gloo", timeout=SILENCE)
        except (RuntimeError, ValueError, OSError) as error:
            reason = printable(str(error).splitlines()[0] if str(error) else type(error).__name__)
            raise LostError(
                f"Process {place.rank} of {place.world} did not find the others ({reason}): start as many as were announced, and "
                "let every machine reach the first one's address and port."
            ) from error
        return cls(place, group)

    @cached_property
    def _dist(self) -> Any:
        import torch.distributed as dist

        return dist

    def listen(self, asked: Callable[[], bool]) -> None:
        self._asked = asked

    def order(self, kind: int, step: int = 0, factor: float = 0.0) -> None:
        self._last_sign = time.monotonic()
        self._broadcast(torch.tensor([kind, step, factor], dtype=torch.float64))
        self._owes = kind == UPDATE

    def hear(self) -> Order:
        """The next order; waits for it."""
        kind, step, factor = self._broadcast(torch.zeros(3, dtype=torch.float64)).tolist()
        return Order(int(kind), int(step), factor)

    def tell(self, data: bytes) -> None:
        """Sends `data` to all others, who `hear` a TELL and then `receive` it."""
        told = torch.frombuffer(bytearray(data), dtype=torch.uint8)
        self.order(TELL, len(data))
        self._broadcast(told)

    def receive(self, order: Order) -> bytes:
        assert order.kind == TELL
        return self._broadcast(torch.zeros(order.step, dtype=torch.uint8)).numpy().tobytes()

    def gather(self, report: dict[str, Any]) -> list[dict[str, Any]]:
        """Everybody's report, in the order of the ranks, for everybody."""
        data = json.dumps(report).encode()
        lengths = self._gather(torch.tensor([len(data)]))
        padded = torch.zeros(max(int(n) for n in lengths), dtype=torch.uint8)
        padded[: len(data)] = torch.frombuffer(bytearray(data), dtype=torch.uint8)
        pieces = self._gather(padded)
        return [
            json.loads(piece[: int(n)].numpy().tobytes()) for piece, n in zip(pieces, lengths, strict=True)
        ]

    def total(self, parameters: Sequence[Tensor], loss: Tensor) -> Tensor:
        gradients = [p.grad for p in parameters if p.grad is not None]
        # One sum for everything: a call for each would wait for the others a hundred times. The last number counts who was asked to end.
        asking = loss.new_full((1,), float(self._asked()))
        flat = torch.cat([g.reshape(-1) for g in gradients] + [loss.reshape(1), asking])
        summed = self._sum(flat if flat.is_cuda and self._sums is not self._group else flat.cpu()).to(
            flat.device
        )
        self._owes = False
        pieces = torch.split(summed[:-2], [g.numel() for g in gradients])
        for gradient, piece in zip(gradients, pieces, strict=True):
            gradient.copy_(piece.view_as(gradient))
        self.asked = self.asked or bool(summed[-1] > 0)
        return summed[-2].to(loss.dtype)

    def align(self, parameters: Sequence[Tensor]) -> None:
        flat = torch.cat([p.detach().reshape(-1) for p in parameters]).cpu()
        if self.place.rank == 0:
            self.order(ALIGN)
        flat = self._broadcast(flat)
        if self.place.rank:
            pieces = torch.split(flat, [p.numel() for p in parameters])
            for parameter, piece in zip(parameters, pieces, strict=True):
                parameter.data.copy_(piece.view_as(parameter))

    def roll_call(self) -> None:
        if self.place.rank == 0:
            self.order(ROLL_CALL)
        asking = self._gather(torch.tensor([float(self._asked())]))
        self.asked = self.asked or any(bool(one > 0) for one in asking)

    def wait(self) -> None:
        if time.monotonic() - self._last_sign > SIGN_OF_LIFE_SECONDS:
            self.roll_call()

    def dismiss(self, code: int) -> None:
        """The first process's last word: the others end with this exit code. Whoever is gone needs none."""
        # Whoever waits for this process's gradients hears no order; that its connections close is heard.
        if not self._owes:
            with suppress(LostError):
                self.order(END, code)
        self.leave()

    def leave(self) -> None:
        with suppress(RuntimeError, ValueError, AssertionError):
            self._dist.destroy_process_group()
        self._group = self._sums = None  # the connections close with the last that holds them

    def _broadcast(self, tensor: Tensor) -> Tensor:
        if tensor.numel():
            with _reaching():
                self._dist.broadcast(tensor, src=0, group=self._group)
        return tensor

    def _gather(self, tensor: Tensor) -> list[Tensor]:
        pieces = [torch.zeros_like(tensor) for _ in range(self.place.world)]
        with _reaching():
            self._dist.all_gather(pieces, tensor, group=self._group)
        return pieces

    def _sum(self, flat: Tensor) -> Tensor:
        with _reaching():
            if self._sums is self._group:
                self._dist.all_reduce(flat, group=self._group)
                return flat
            work = self._dist.all_reduce(flat, group=self._sums, async_op=True)
            # An accelerator whose partner has died would wait in silence; torchrun asks the survivors to leave.
            deadline = None
            while not work.is_completed():
                time.sleep(0.0001)
                if deadline is None and self._asked():
                    deadline = time.monotonic() + GRACE_SECONDS
                if deadline is not None and time.monotonic() > deadline:
                    raise RuntimeError("no sum of gradients")
            work.wait()
            return flat


@contextmanager
def _leaving_at_once() -> Iterator[None]:
    """Lets Ctrl-C end a process that waits outside of Python, where its handler would not be heard and nothing is to be saved yet."""
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    ):
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def _reaching() -> Iterator[None]:
    """Turns the error of a connection that broke into the sentence that it is to a person."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        raise LostError("Another process of this training died or cannot be reached any more.") from error


def _problem(reports: Sequence[dict[str, Any]]) -> str:
    """Why processes that say this of themselves cannot train together, or ""."""
    first = reports[0]
    for rank, report in enumerate(reports):
        who = f"Process {rank} on {printable(str(report['host']))}"
        if not report["fits"]:
            return f"{who} finds no graphics card for itself: start as many processes on a machine as it has cards."
        if report["code"] != first["code"]:
            return f"{who} runs another version of tinygpt than process 0: install the same one on every machine."
        if report["torch"] != first["torch"]:
            return f"{who} has torch {report['torch']} and process 0 has {first['torch']}: install the same one on every machine."
        if report["device"] != first["device"]:
            return (
                f"{who} computes on {report['device']} and process 0 on {first['device']}: use machines of one kind, "
                "or set CUDA_VISIBLE_DEVICES='' for all."
            )
    return ""


def _hash_of_code() -> str:
    """Of all that decides what is learned: two versions of it would learn different things side by side."""
    digest = hashlib.sha256()
    for package in ("engine", "models"):
        folder = Path(__file__).resolve().parent.parent / package
        for path in sorted(p for p in folder.rglob("*") if p.suffix in (".py", ".c", ".h")):
            digest.update(f"{path.relative_to(folder)}\n".encode() + path.read_bytes())
    return digest.hexdigest()
