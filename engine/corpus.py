"""Turns what a person names (a file, a folder, standard input, a catalogue name) into one normalised text.

Normalised means decoded, without a byte order mark, every line end a single LF, no lone surrogate; nothing
else is touched (no Unicode normalisation, no trimming), so a model learns what the author wrote. A model
reads one symbol per Unicode code point, which is why an emoji of several parts stays several symbols.

Left out: how files and folders are read (`corpus_files`), how bytes become characters (`decoding`), counting
(`text_stats`, the ladder), symbols and tokens (`tokenizer`), and the network (`catalogue.fetch`).
"""

from __future__ import annotations

import difflib
import hashlib
import os
import re
import stat
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from engine.corpus_files import read_file, read_folder, read_stream, unreadable, why
from engine.decoding import ReadOptions, changes, decode, known_encoding
from engine.errors import CorpusError, ResourceError
from engine.printable import printable
from engine.storage import make_private_dir, write_atomic

STORE_BYTES = 64_000_000  # a larger text is remembered by its hash and its source only
OPENING_CHARS = 100_000  # looked at for the marks of a conversation
VALIDATION_CHARS = 131_072  # enough to measure a loss to the third digit, small enough to measure it often

_MARK = re.compile(r"[^\W\d_][^:\n]{0,19}: ")
_USER_NAMES = frozenset({"human", "me", "user", "you"})


@dataclass(frozen=True)
class Turns:
    """The marks that open the lines of a conversation, with colon and space: `Turns("You: ", "Cat: ")`."""

    user: str
    model: str


@dataclass(frozen=True)
class Corpus:
    """A text a model can learn.

    Attributes:
        name: short and safe to show; a proposal for the name of a run.
        text: normalised, never empty, without "\\r" and without lone surrogates.
        sha256: of the text in UTF-8, in hexadecimal.
        source: what the person gave, unchanged (may hold control characters: show it through `printable`).
        notices: sentences about what was changed or left out on the way.
        turns: the speaker marks if this is a conversation.
    """

    name: str
    text: str = field(repr=False)
    sha256: str
    source: str
    notices: tuple[str, ...] = ()
    turns: Turns | None = None

    @property
    def chars(self) -> int:
        return len(self.text)


def read_corpus(
    source: str,
    *,
    encoding: str | None = None,
    force_text: bool = False,
    force: bool = False,
    cache_dir: Path | None = None,
    stdin: BinaryIO | None = None,
) -> Corpus:
    """Read a file, a folder (its text files in sorted order, joined by a newline), `-`, or a catalogue name.

    A catalogue name wins over a file of the same name in the current folder (`./name` reads the file). A
    folder skips what is hidden, unreadable, or not text, and says so; its empty files add nothing. Nothing is
    ever downloaded.

    Args:
        encoding: decode with this codec. Without it a byte order mark decides, then UTF-8.
        force_text: accept what looks binary.
        force: accept more than `corpus_files.MAX_BYTES` bytes or `corpus_files.MAX_FILES` files.
        cache_dir: where fetched catalogue texts lie.
        stdin: read for `-` instead of the process's own standard input.

    Raises:
        CorpusError: missing, unreadable, not a regular file, empty, binary, wrongly encoded, or changing.
        ResourceError: larger than that, or than the memory.
        UsageError: there is no such encoding.
    """
    options = ReadOptions(known_encoding(encoding), force_text, force)
    shown = "Standard input" if source == "-" else printable(source)
    try:
        return _read(source, shown, options, cache_dir, stdin)
    except MemoryError:
        raise ResourceError(f"{shown} does not fit into memory: give a part of it.") from None


def split(text: str) -> tuple[str, str]:
    """The training text and the validation text, cut at `split_at`. Both parts together are the text."""
    n_train = split_at(len(text))
    return text[:n_train], text[n_train:]


def split_at(chars: int) -> int:
    """Where the validation text begins: it is the last 10 %, at most `VALIDATION_CHARS`.

    `n_val = min(n - int(n * 0.9), 131072)`, the cut of nanoGPT with a ceiling. Tiny Shakespeare's 1,115,394
    characters become 1,003,854 and 111,540. The ceiling keeps the evaluation of a corpus of any size exact and quick.
    """
    return chars - min(chars - int(chars * 0.9), VALIDATION_CHARS)


def turns_in(text: str) -> Turns | None:
    """The marks of a conversation, if 95 % of the lines that are not empty start with one of exactly two.

    A mark is a name of at most 20 characters, a colon and a space; each must open a tenth of the lines, and
    two at least. The user is who is called you, me, user or human, else who speaks first.
    """
    if (marks := opening_marks(text)) is None:
        return None
    lines = sum(1 for _ in re.finditer(r"(?m)^.", text))
    counts = [sum(1 for _ in re.finditer(f"(?m)^{re.escape(mark)}", text)) for mark in marks]
    return turns_of(marks, counts, lines)


def opening_marks(text: str) -> tuple[str, str] | None:
    """What could be the two marks of a conversation, by a look at the beginning.

    It spares nearly every other text the passes over all of it.
    """
    starts = (m.group() for m in islice(re.finditer(r"(?m)^.{1,22}", text[:OPENING_CHARS]), 400))
    openings = Counter(m.group() for start in starts if (m := _MARK.match(start)))
    if len(openings) < 2:
        return None
    first, second = sorted((mark for mark, _ in openings.most_common(2)), key=list(openings).index)
    return first, second


def turns_of(marks: tuple[str, str], counts: Sequence[int], lines: int) -> Turns | None:
    """The marks as those of a conversation, if they open enough of the `lines` that are not empty; see `turns_in`."""
    first, second = marks
    if sum(counts) < 0.95 * lines or min(counts) < max(2, 0.1 * lines):
        return None
    if second[:-2].lower() in _USER_NAMES and first[:-2].lower() not in _USER_NAMES:
        return Turns(second, first)
    return Turns(first, second)


def store_text(corpora_dir: Path, corpus: Corpus) -> Path | None:
    """Keep the text a run learns as `<sha256>.txt`, written once; None if it is larger than `STORE_BYTES`.

    Raises:
        ResourceError: it could not be written.
    """
    if len(corpus.text) > STORE_BYTES or len(data := corpus.text.encode("utf-8")) > STORE_BYTES:
        return None
    path = corpora_dir / f"{corpus.sha256}.txt"
    try:
        if not (path.is_file() and path.stat().st_size == len(data)):
            make_private_dir(corpora_dir)
            write_atomic(path, data)
    except OSError as error:
        where = printable(str(corpora_dir))
        raise ResourceError(f"Cannot keep the corpus in {where}: {why(error)}.") from error
    return path


def load_stored(
    corpora_dirs: Sequence[Path],
    sha256: str,
    source: str | None,
    *,
    encoding: str | None = None,
    force_text: bool = False,
    cache_dir: Path | None = None,
) -> str:
    """The text of a run by its hash: as stored, or, if that is missing or damaged, from where it came.

    Args:
        corpora_dirs: where it may be stored, the likeliest first.
        source: what `read_corpus` was given, a path made absolute; None if it cannot be read again.
        encoding, force_text, cache_dir: as they were given to `read_corpus`.

    Raises:
        CorpusError: there is no text with this hash any more, or the hash is none.
    """
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise CorpusError(f"{printable(sha256)} is not the hash of a corpus: the run's run.json is damaged.")
    states = []
    for corpora_dir in dict.fromkeys(corpora_dirs):
        try:
            return _stored(corpora_dir / f"{sha256}.txt", sha256)
        except CorpusError as error:
            states.append(str(error))
    state = f"The stored corpus {', and '.join(states)}"
    advice = "put the original back, or train a new run."
    if source is None or source == "-":
        raise CorpusError(f"{state}: {advice}")
    try:
        corpus = read_corpus(
            source, encoding=encoding, force_text=force_text, force=True, cache_dir=cache_dir
        )
    except CorpusError as error:
        raise CorpusError(f"{state}, and it cannot be read again. {error}") from None
    if corpus.sha256 != sha256:
        raise CorpusError(f"{state}, and {printable(source)} is not the text this run learned: {advice}")
    return corpus.text


def _stored(path: Path, sha256: str) -> str:
    """The text in a file that must have this hash. Raises CorpusError: what is the matter with it."""
    shown = printable(str(path))
    try:
        if not path.is_file():
            raise CorpusError(f"{shown} is missing")
        data = path.read_bytes() if path.stat().st_size <= STORE_BYTES else b""
        if hashlib.sha256(data).hexdigest() != sha256:
            raise CorpusError(f"{shown} was changed after it was stored")
        return data.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(f"{shown} cannot be read ({why(error)})") from None


def _read(
    source: str, shown: str, options: ReadOptions, cache_dir: Path | None, stdin: BinaryIO | None
) -> Corpus:
    from engine import catalogue

    if source == "-":
        piece = decode(read_stream(stdin, shown, options), shown, options)
        return _corpus("stdin", piece.text, source, shown, changes([piece]))
    path = Path(source)
    if entry := catalogue.find(source):
        hidden = f"{source} is the catalogue's; for the file of that name give ./{source}"
        notices: tuple[str, ...] = (hidden,) if os.path.lexists(source) else ()
        text = catalogue.text_of(source, cache_dir)
        return _corpus(entry.name, text, source, shown, notices, entry.turns)
    found = _stat(source, shown)
    if found is None:
        raise _unknown(source, shown)
    if stat.S_ISDIR(found.st_mode):
        text, notices = read_folder(path, shown, options)
        return _corpus(path.resolve().name, text, source, shown, notices)
    piece = decode(read_file(path, shown, options), shown, options)
    return _corpus(path.stem, piece.text, source, shown, changes([piece]))


def _corpus(
    name: str, text: str, source: str, shown: str, notices: tuple[str, ...], turns: Turns | None = None
) -> Corpus:
    if not text:
        raise empty(shown)
    digest = hashlib.sha256()
    try:
        for at in range(0, len(text), 2**20):  # in parts, so that no second copy of a large text is made
            digest.update(text[at : at + 2**20].encode("utf-8"))
    except UnicodeEncodeError as error:
        raise half_character(shown, at + error.start) from None
    name = printable(name) or "corpus"
    return Corpus(name, text, digest.hexdigest(), source, notices, turns or turns_in(text))


def empty(shown: str) -> CorpusError:
    return CorpusError(f"{shown} is empty: give a text of at least a few lines.")


def half_character(shown: str, at: int) -> CorpusError:
    """The refusal of a text with a lone surrogate at character `at`."""
    return CorpusError(
        f"{shown} holds half a character (a lone surrogate) at character {at}: check its encoding."
    )


def _stat(source: str, shown: str) -> os.stat_result | None:
    if not source:
        return None
    try:
        return Path(source).stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a NUL, or a lone surrogate
        return None
    except OSError as error:
        raise unreadable(shown, error) from None


def _unknown(source: str, shown: str) -> CorpusError:
    from engine import catalogue

    try:
        beside = [path.name for path in islice(Path(source).parent.iterdir(), 1000)]
    except (OSError, ValueError):
        beside = []
    known = [e.name for e in catalogue.CATALOGUE]
    close = difflib.get_close_matches(Path(source).name[:100], [*known, *beside], n=3)
    hint = f" (did you mean {' or '.join(printable(c) for c in close)}?)" if close else ""
    return CorpusError(
        f"There is no file, folder or catalogue corpus called {shown or 'nothing'}{hint}: "
        f"give a path, or one that is built in: {', '.join(catalogue.embedded_names())}."
    )
