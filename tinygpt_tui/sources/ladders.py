"""The ladder of a text that is learned without anybody having looked at it first, so that its curve has rungs to overtake.

Counted in a process of its own that gives way to everything else, once for each text; `engine.facts` keeps what it finds in the
cache, where `RunWatch` looks for it. Left out: the text one looks at (`tinygpt_tui.sources.corpus_facts`).
"""

from __future__ import annotations

import re
from pathlib import Path

from tinygpt_tui.sources.facts_reader import COMMAND, Facts, FactsReader

_SHA256 = re.compile("[0-9a-f]{64}")
YIELDING = ("nice", "-n", "19", *COMMAND)


class Ladders:
    """One text at a time."""

    def __init__(self, corpora_dir: Path, cache_dir: Path, reader: Facts | None = None) -> None:
        """`corpora_dir` is where the texts that runs learned lie, each named by its hash."""
        self._corpora_dir = corpora_dir
        self._reader: Facts = reader or FactsReader(cache_dir, YIELDING)
        self._asked: set[str] = set()

    def want(self, sha256: str) -> None:
        """Begins to count for a text, unless that was done, another one is being counted, or the text is not kept here."""
        if sha256 in self._asked or self._reader.busy or not _SHA256.fullmatch(sha256):
            return
        self._asked.add(sha256)
        text = self._corpora_dir / f"{sha256}.txt"
        if text.is_file():
            self._reader.start(str(text))

    def tick(self) -> None:
        """Hears the process, so that it can end. What it found is in the cache; what it could not find is missed by nobody."""
        self._reader.take()

    def close(self) -> None:
        """Returns once no process is left."""
        self._reader.close()
