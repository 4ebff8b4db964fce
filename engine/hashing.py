"""A hash that is computed beside other work: of one piece while the next is read."""

from __future__ import annotations

import hashlib
from concurrent.futures import Future, ThreadPoolExecutor


class Sha256:
    """As `hashlib.sha256`, in a thread of its own; one piece at most waits, so the memory does not grow.

    A piece must not change after it was given. hashlib lets go of the interpreter, so on two cores this costs no time.
    """

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._thread = ThreadPoolExecutor(1)  # ends by itself when nobody holds it any more
        self._last: Future[None] | None = None

    def update(self, data: bytes | memoryview) -> None:
        if self._last is not None:
            self._last.result()
        self._last = self._thread.submit(self._digest.update, data)

    def hexdigest(self) -> str:
        """Of all pieces so far."""
        if self._last is not None:
            self._last.result()
        return self._digest.hexdigest()
