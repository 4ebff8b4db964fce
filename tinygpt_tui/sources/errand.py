"""A piece of work that would keep the screen waiting, done in a thread, and what became of it.

For files only: what computes for long belongs into a process of its own, since a thread shares the interpreter with the screen.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from engine.errors import TinygptError
from engine.printable import printable

T = TypeVar("T")


class Errand(Generic[T]):
    """Begins at once. The process does not wait for it at its end: whoever cares calls `close`."""

    def __init__(self, work: Callable[[Errand[T]], T]) -> None:
        """
        Args:
            work: gets this errand, so that it can look whether it was cancelled and tell how far it is.
        """
        self.cancelled = False
        self.share = 0.0  # how far it is, from 0 to 1, as far as the work tells
        self.result: T | None = None
        self.problem = ""  # one sentence, if it failed
        self._work = work
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def done(self) -> bool:
        """Whether there is a result or a problem."""
        return not self._thread.is_alive()

    def close(self) -> None:
        """Cancels, and returns once nothing is left of it."""
        self.cancelled = True
        self._thread.join()

    def _run(self) -> None:
        try:
            self.result = self._work(self)
        except TinygptError as error:
            self.problem = str(error)
        except MemoryError:
            self.problem = "There is too little memory for this: end other programs, or take a smaller text."
        except Exception as error:
            told = f"{type(error).__name__}: {printable(str(error))}"
            self.problem = f"This failed because of a defect of tinygpt ({told}): report it."
