"""The texts one can choose: a person's own files, folders and pasted texts, the latest first, then the catalogue.

Own texts are remembered by their paths in `<state>/corpora.json`; the texts stay where they are, and a pasted one is written to
`<data>/pasted` exactly as it came. Titles are safe to show. Left out: what is in a text (`tinygpt_tui.sources.corpus_facts`), and
fetching one (`tinygpt_tui.sources.downloading`).
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from engine import catalogue
from engine.errors import CheckpointError, CorpusError, ResourceError, TinygptError
from engine.printable import printable
from engine.reading import read_json
from engine.runs import check_name, suggest_name
from engine.storage import dump_json, fsync_dir, make_private_dir, write_atomic, write_new
from tinygpt_tui.files import here
from tinygpt_tui.paths import Paths
from tinygpt_tui.safe_text import safe_line

MOST_REMEMBERED = 30
MOST_PASTED = 50_000_000  # characters

_VERSION = 1

Kind = Literal["file", "folder", "pasted", "missing", "built in", "fetched", "to fetch"]


@dataclass(frozen=True)
class Row:
    """One text in the list.

    Attributes:
        source: what `engine.corpus.read_corpus` takes: a catalogue name or an absolute path, exactly.
        kind: built in, fetched and to fetch are the catalogue's; missing is an own one that is not there now.
        title, about: safe to show on one line: a short name, and a description or the path.
        bytes: its size if that is known: of a file, or of what is to be fetched.
        used: when it was added or used last, seconds since 1970; None for the catalogue.
        encoding, force_text: how it was read, as for `read_corpus`.
    """

    source: str
    kind: Kind
    title: str
    about: str
    bytes: int | None = None
    used: float | None = None
    encoding: str | None = None
    force_text: bool = False

    @property
    def ready(self) -> bool:
        """Whether it can be read now."""
        return self.kind not in ("missing", "to fetch")


@dataclass(frozen=True)
class _Known:
    """An own text as it is remembered."""

    path: str
    used: float
    encoding: str | None = None
    force_text: bool = False


class CorpusList:
    """One for the whole interface."""

    def __init__(self, paths: Paths, clock: Callable[[], float] = time.time) -> None:
        """
        Args:
            clock: seconds since 1970.
        """
        self._paths, self._clock = paths, clock
        self._file = paths.state / "corpora.json"
        self._rows: tuple[Row, ...] | None = None
        self._fetched: dict[
            str, tuple[object, bool]
        ] = {}  # by name, with what tells whether the cache has changed
        self.version = 0  # another number whenever `rows()` has changed
        self.problem = ""  # one sentence, safe to show, if the list was damaged or cannot be kept

    def rows(self) -> tuple[Row, ...]:
        """Own texts, the latest first; then the catalogue in its order. As of the last `refresh`."""
        if self._rows is None:
            self.refresh()
        assert self._rows is not None
        return self._rows

    @property
    def pasted_dir(self) -> Path:
        return self._paths.data / "pasted"

    def refresh(self) -> bool:
        """Looks again at what is there, some stats; says whether `rows()` has changed."""
        own = (self._own_row(known) for known in self._read())
        rows = (*own, *(self._catalogue_row(entry) for entry in catalogue.CATALOGUE))
        changed, self._rows = rows != self._rows, rows
        self.version += changed
        return changed

    def row(self, source: str) -> Row | None:
        """The row of a catalogue name or an absolute path."""
        return next((row for row in self.rows() if row.source == source), None)

    def add(self, path: str | Path, *, encoding: str | None = None, force_text: bool = False) -> str:
        """Puts a file or folder first in the list, where it stays until it is forgotten or 30 others have come.

        Returns its `Row.source`. A catalogue name is given back as it is: that is in the list anyway.

        Args:
            path: "~" is the home folder; a relative one is of the current folder.
            encoding, force_text: how it is read, as for `read_corpus`.

        Raises:
            CorpusError: there is no such file or folder.
            ResourceError: the list cannot be kept.
        """
        if isinstance(path, str) and catalogue.find(path):
            return path
        absolute = _absolute(path)
        shown = printable(str(path))
        if not shown:
            raise CorpusError("There is no name: give a text file or a folder.")
        try:
            mode = Path(absolute).stat().st_mode
        except (OSError, ValueError) as error:  # ValueError: a NUL in the name
            why = (getattr(error, "strerror", None) or "not a path").lower()
            raise CorpusError(f"{shown} cannot be opened ({why}): give a text file or a folder.") from None
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise CorpusError(f"{shown} is neither a file nor a folder: give one that holds text.")
        self._remember(_Known(absolute, self._clock(), encoding, force_text))
        return absolute

    def forget(self, source: str | Path) -> bool:
        """Takes an own text out of the list; the text itself stays where it is. Says whether it was there.

        Raises:
            ResourceError: the list cannot be kept.
        """
        known = self._read()
        absolute = _absolute(source)
        left = [item for item in known if item.path != absolute]
        if len(left) == len(known):
            return False
        self._write(left)
        return True

    def paste(self, text: str, name: str = "") -> str:
        """Keeps a text that a person brought, exactly, in a file that only they can read, and puts it first in the list.

        Returns its `Row.source`.

        Args:
            name: what to call it: changed to what a file may be called everywhere, and numbered if that is taken. By default
                the text's first words.

        Raises:
            CorpusError: it is empty, too long, or no text.
            ResourceError: it cannot be written.
        """
        if not text.strip():
            raise CorpusError("There is nothing to keep: paste a text of at least a few lines.")
        if len(text) > MOST_PASTED:
            raise CorpusError(
                f"A pasted text has at most {MOST_PASTED:,} characters: put it into a file and open that."
            )
        try:
            data = text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise CorpusError(
                f"The pasted text holds half a character (a lone surrogate) at character {error.start}: copy it anew."
            ) from None
        make_private_dir(self.pasted_dir)
        stem = _stem(name.strip() or " ".join(text.split()[:4]))
        while True:
            path = self.pasted_dir / f"{_free(stem, self.pasted_dir)}.txt"
            try:
                write_new(path, data)
                fsync_dir(path.parent)
                break
            except FileExistsError:  # another interface was faster
                continue
            except OSError as error:
                raise ResourceError(
                    f"{printable(str(path))} cannot be written: {error.strerror or error}."
                ) from None
            except ResourceError:
                with suppress(OSError):
                    path.unlink()
                raise
        try:
            return self.add(path)
        except TinygptError:
            if all(known.path != str(path) for known in self._read()):
                with suppress(OSError):
                    path.unlink()
            raise

    def _own_row(self, known: _Known) -> Row:
        path = Path(known.path)
        size: int | None = None
        kind: Kind = "missing"
        with suppress(OSError, ValueError):
            found = path.stat()
            if stat.S_ISDIR(found.st_mode):
                kind = "folder"
            elif stat.S_ISREG(found.st_mode):
                kind, size = "pasted" if path.parent == self.pasted_dir else "file", found.st_size
        title = path.stem if kind == "pasted" else path.name or known.path
        return Row(
            known.path, kind, safe_line(title), safe_line(known.path), size,
            known.used, known.encoding, known.force_text,
        )  # fmt: skip

    def _catalogue_row(self, entry: catalogue.Entry) -> Row:
        kind: Kind = "built in"
        if entry.kind == "fetched":
            kind = "fetched" if self._is_fetched(entry) else "to fetch"
        return Row(
            entry.name, kind, safe_line(entry.title), safe_line(entry.description), entry.bytes or None
        )

    def _is_fetched(self, entry: catalogue.Entry) -> bool:
        """As `engine.catalogue.is_ready`, but a file is hashed only if the cache has changed since the last time."""
        seen: object = None
        with suppress(OSError), os.scandir(self._paths.cache / "corpora") as files:
            seen = sorted((file.name, _mark(file)) for file in files)
        known = self._fetched.get(entry.name)
        if known is None or known[0] != seen:
            known = self._fetched[entry.name] = (seen, catalogue.is_ready(entry, self._paths.cache))
        return known[1]

    def _remember(self, new: _Known) -> None:
        others = [item for item in self._read() if item.path != new.path]
        self._write([new, *others][:MOST_REMEMBERED])

    def _read(self) -> list[_Known]:
        """What is remembered, the latest first. A damaged file is moved aside, and the list begins anew."""
        if not os.path.lexists(self._file):
            return []
        try:
            data = read_json(self._file)
        except CheckpointError as error:
            if not _is_damage(self._file):
                self.problem = safe_line(f"The list of your texts cannot be read. {error}")
                return []
            return self._begin_anew()
        entries = data.get("corpora")
        if data.get("version") != _VERSION or not isinstance(entries, list):
            return self._begin_anew()
        known = [item for entry in entries[:MOST_REMEMBERED] if (item := _known(entry)) is not None]
        return sorted(known, key=lambda item: -item.used)

    def _begin_anew(self) -> list[_Known]:
        aside = self._file.with_name(f"{self._file.name}.damaged-{int(self._clock())}")
        try:
            self._file.rename(aside)
        except OSError:
            self.problem = safe_line(f"{self._file} is damaged and cannot be moved aside: delete it.")
            return []
        self.problem = safe_line(
            f"The list of your texts was damaged; it is kept as {aside} and a new one begins: open your texts again."
        )
        return []

    def _write(self, known: list[_Known]) -> None:
        make_private_dir(self._file.parent)
        try:
            write_atomic(
                self._file,
                dump_json({"version": _VERSION, "corpora": [asdict(item) for item in known]}, indent=2)
                + b"\n",
            )
        except OSError as error:
            raise ResourceError(f"{self._file} cannot be written: {error.strerror or error}.") from None
        self.refresh()


def _absolute(path: str | Path) -> str:
    """The path from the root, without touching the disk and without resolving links: it is shown to who gave it."""
    text = os.fspath(path)
    with suppress(RuntimeError):  # no home folder is known
        text = os.fspath(Path(text).expanduser()) if text.startswith("~") else text
    if Path(text).is_absolute():
        return os.path.normpath(text)
    try:
        return os.path.normpath(here() / text)
    except ResourceError:
        raise ResourceError("The folder you started from is gone: give the whole path, from / on.") from None


def _known(entry: Any) -> _Known | None:
    """An own text from its entry in the file, or None if that is no such thing."""
    if not isinstance(entry, dict):
        return None
    path, used = entry.get("path"), entry.get("used")
    encoding, force_text = entry.get("encoding"), entry.get("force_text", False)
    if not isinstance(path, str) or not path.startswith("/") or isinstance(used, bool):
        return None
    if not isinstance(used, int | float) or not isinstance(encoding, str | None):
        return None
    return _Known(path, float(used), encoding, force_text is True)


def _is_damage(path: Path) -> bool:
    """Whether a file that could not be understood can be read: else it may be sound, and is left alone."""
    try:
        return path.is_file() and not path.is_symlink() and os.access(path, os.R_OK)
    except OSError:
        return False


def _stem(name: str) -> str:
    stem = suggest_name(name, Path(os.devnull))
    try:
        check_name(stem)
    except TinygptError:
        return "pasted"
    return "pasted" if stem == "run" else stem


def _free(stem: str, folder: Path) -> str:
    """The stem, numbered if its file exists."""
    candidate, n = stem, 1
    while os.path.lexists(folder / f"{candidate}.txt"):
        n += 1
        candidate = f"{stem}-{n}"
    return candidate


def _mark(file: os.DirEntry[str]) -> tuple[int, int]:
    try:
        found = file.stat()
    except OSError:
        return (0, 0)
    return (found.st_size, found.st_mtime_ns)
