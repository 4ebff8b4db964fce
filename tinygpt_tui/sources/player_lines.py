"""The two directions of the player's pipe without the pipe: requests that wait to be written, and lines cut out of what was read.

Both are bounded, whatever the player does. Left out: reading and writing (`tinygpt_tui.sources.player_process`).
"""

from __future__ import annotations

from collections import deque

from engine.protocol import MAX_LINE, Pace, Request, Set, to_line

MOST_REQUESTS = 1000
SHOWN = 100  # bytes of a line that is too long
MOST_BYTES = 2 * MAX_LINE  # of the requests that wait


class Outbox:
    """Requests that wait to be written, in order."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Request, bytes]] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, request: Request, *, merge: bool = False) -> str | None:
        """Takes a request in; a sentence that says why not, if it does not.

        With `merge` a `Set` or `Pace` joins the last one that waits for the same generation, where nothing but those two stands
        between: of each field the newest value stays, and one `Changed` answers for all.
        """
        if merge and self._merge(request):
            return None
        line = to_line(request)
        if len(line) > MAX_LINE:
            return f"The text is too long for the player, which reads at most {MAX_LINE // 1_000_000} MB at once."
        if len(self._waiting) >= MOST_REQUESTS or self._bytes + len(line) > MOST_BYTES:
            return "The player does not listen at the moment: this request was dropped, ask again later."
        self._waiting.append((request, line))
        self._bytes += len(line)
        return None

    def pop(self) -> bytes:
        """The line of the request that has waited longest."""
        _, line = self._waiting.popleft()
        self._bytes -= len(line)
        return line

    def clear(self) -> None:
        self._waiting.clear()
        self._bytes = 0

    def _merge(self, request: Request) -> bool:
        if not isinstance(request, Set | Pace):
            return False
        for place in range(len(self._waiting) - 1, -1, -1):
            other, line = self._waiting[place]
            if not isinstance(other, Set | Pace) or other.id != request.id:
                break
            if isinstance(other, Set) and isinstance(request, Set):
                request = Set(request.id, {**other.sampler, **request.sampler})
            elif type(other) is not type(request):
                continue
            joint = to_line(request)
            self._waiting[place] = (request, joint)
            self._bytes += len(joint) - len(line)
            return True
        return False


class LineCutter:
    """Cuts what arrives into lines; of one that is too long the beginning stays, which is no message."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._skipping = False  # the rest of a line that was too long

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that `chunk` completes, blank ones left out."""
        *ended, rest = chunk.split(b"\n")
        lines = []
        for part in ended:
            self._grow(part)
            if not self._skipping and self._rest.strip():
                lines.append(bytes(self._rest))
            self._rest.clear()
            self._skipping = False
        self._grow(rest)
        if len(self._rest) > MAX_LINE:
            lines.append(bytes(self._rest[:SHOWN]))
            self._rest.clear()
            self._skipping = True
        return lines

    def _grow(self, part: bytes) -> None:
        if not self._skipping:
            self._rest += part
