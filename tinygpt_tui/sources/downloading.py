"""Fetches a text of the catalogue in a thread, tells how far it is, and gives it up when asked.

What arrives is held in memory until it is whole and known, so giving it up leaves nothing. Left out: the network, the checks and
the words for what goes wrong (`engine.catalogue.fetch`).
"""

from __future__ import annotations

import threading
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engine.catalogue import Entry, entry, fetch
from engine.errors import BusyError
from tinygpt_tui.sources.errand import Errand

_WRITE_SECONDS = 2.0  # a text that has arrived is checked and written within milliseconds

State = Literal["idle", "fetching", "done", "failed", "cancelled"]


@dataclass(frozen=True)
class Download:
    """What became of the last text that was asked for.

    Attributes:
        state: idle before anything was asked.
        name: in the catalogue.
        done, total: bytes that have arrived, and bytes in all.
        path: the file, once it is done.
        message: one sentence, if it failed; it names what works without a network.
    """

    state: State = "idle"
    name: str = ""
    done: int = 0
    total: int = 0
    path: Path | None = None
    message: str = ""


class _GivenUp(Exception):
    """Nobody wants the text any more."""


class _Fetch:
    """One download. Giving it up and beginning to write exclude each other, so that nobody leaves while it writes."""

    def __init__(self, wanted: Entry, cache_dir: Path, opener: urllib.request.OpenerDirector | None) -> None:
        self.wanted = wanted
        self.bytes = 0
        self._lock = threading.Lock()
        self._given_up = self._writing = False
        self._errand: Errand[Path] = Errand(
            lambda _: fetch.fetch(wanted, cache_dir, progress=self._progress, opener=opener)
        )

    @property
    def done(self) -> bool:
        return self._errand.done

    @property
    def result(self) -> Path | None:
        return self._errand.result

    @property
    def problem(self) -> str:
        return self._errand.problem

    def give_up(self) -> bool:
        """Says whether it will end without a file; false if it is too late."""
        with self._lock:
            self._given_up = not self._writing
            return self._given_up

    def end(self) -> None:
        """Gives it up; returns once nothing more will be written. A server that is silent is not waited for."""
        end = time.monotonic() + _WRITE_SECONDS
        while not self.give_up() and not self.done and time.monotonic() < end:
            time.sleep(0.005)

    def _progress(self, done: int, total: int) -> None:
        self.bytes = done
        with self._lock:
            if self._given_up:
                raise _GivenUp
            self._writing = done >= total


class Downloading:
    """One download at a time, for the whole interface."""

    def __init__(
        self,
        cache_dir: Path,
        opener: urllib.request.OpenerDirector | None = None,
        find: Callable[[str], Entry] = entry,
    ) -> None:
        """
        Args:
            cache_dir: where fetched corpora lie.
            opener: opens addresses instead of `engine.catalogue.fetch.https_opener()`.
            find: gives the entry of a name, as `engine.catalogue.entry`.
        """
        self._cache_dir, self._opener, self._find = cache_dir, opener, find
        self._fetch: _Fetch | None = None
        self._told = self._snapshot = Download()

    @property
    def snapshot(self) -> Download:
        """As of the last `tick`."""
        return self._snapshot

    @property
    def busy(self) -> bool:
        return self._fetch is not None

    def start(self, name: str) -> None:
        """Begins to fetch a text; what becomes of it is in `snapshot`.

        Raises:
            CorpusError: the catalogue has no such name.
            BusyError: another one is being fetched.
        """
        if self._fetch is not None:
            raise BusyError(f"{self._fetch.wanted.name} is just being fetched: wait until that is done.")
        wanted = self._find(name)
        self._snapshot = Download("fetching", wanted.name, 0, wanted.bytes)
        self._fetch = _Fetch(wanted, self._cache_dir, self._opener)

    def cancel(self) -> bool:
        """Gives it up; says whether there was something to give up. What has arrived whole is kept."""
        if self._fetch is None or not self._fetch.give_up():
            return False
        self._snapshot = Download(
            "cancelled", self._fetch.wanted.name, self._fetch.bytes, self._fetch.wanted.bytes
        )
        self._fetch = None
        return True

    def tick(self) -> bool:
        """Takes note of what has happened; says whether `snapshot` has changed since the last tick. Never waits."""
        before = self._told
        if (running := self._fetch) is not None:
            wanted, over = running.wanted, running.done
            if not over:
                self._snapshot = Download("fetching", wanted.name, running.bytes, wanted.bytes)
            elif running.problem:
                self._snapshot = Download(
                    "failed", wanted.name, running.bytes, wanted.bytes, message=running.problem
                )
            else:
                self._snapshot = Download("done", wanted.name, wanted.bytes, wanted.bytes, running.result)
            if over:
                self._fetch = None
        self._told = self._snapshot
        return self._snapshot != before

    def close(self) -> None:
        """Gives up what is not fetched yet; after that nothing is written any more."""
        if self._fetch is not None:
            self._fetch.end()
            self._fetch = None
