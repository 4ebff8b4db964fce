"""What can be told about a text before anything is trained, found out in a process of its own: `python -m engine facts SOURCE`.

The process prints one fact a line, as JSON, as soon as it is known: what the text is and how it looks, then what is counted in it,
then each rung of its ladder, and at last that this was all, or what went wrong. It runs at low priority on one thread, without
torch; whoever no longer wants to know kills it. Rungs are kept in the cache by the hash of the text. `--speed` measures this
machine instead, and that takes torch.

Left out: how a text is read (`engine.corpus`) and counted (`engine.text_stats`), and showing any of it. The messages need no
numpy, so an interface can read them.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine import catalogue, wire
from engine.corpus import STORE_BYTES, Corpus, Turns, read_corpus, split
from engine.decoding import ReadOptions, decode, known_encoding
from engine.errors import CheckpointError, CorpusError, ResourceError, TinygptError
from engine.printable import printable
from engine.reading import read_json
from engine.storage import dump_json, make_private_dir, write_atomic
from engine.wire import Count, Share

if TYPE_CHECKING:
    from engine.text_stats import TextStats

PREVIEW_CHARS = 4_000  # from the beginning
MIDDLE_CHARS = 1_000
MAX_ORDER = 6
RUNGS = ("uniform", *(f"{n}-gram" for n in range(1, MAX_ORDER + 1)), "bz2")

COUNTED_CHARS = (
    16_000_000  # as `engine.ladder` counts: bounds time and memory, whatever the length of the text
)
_SPEED_SECONDS = 1.0
_LARGE_BYTES = 4_000_000  # from here on a person would wait for the preview
_DENSE = 1 << 22  # up to so many possible n-grams a plain histogram is faster than sorting
_NICENESS = 10  # training, and the keys of whoever waits for the facts, come first
_CACHE_VERSION = 1  # a change of what a rung means makes a new one
_CACHE_LIMIT = 10_000  # bytes


@dataclass(frozen=True)
class About:
    """What a text is: see `engine.corpus.Corpus`.

    Attributes:
        characters: length in Unicode code points; `bytes` in UTF-8.
        sha256: of the text in UTF-8, in hexadecimal.
    """

    name: str
    characters: Count
    bytes: Count
    sha256: str
    notices: tuple[str, ...] = ()
    turns: Turns | None = None


@dataclass(frozen=True)
class Preview:
    """How a text looks, exactly as it is: make it safe before it is shown.

    Attributes:
        head: its first characters.
        middle: a piece from its middle, begun at a line where one is near; "" if `head` reaches so far.
        middle_at: where that piece begins, in characters.
    """

    head: str
    middle: str = ""
    middle_at: Count = 0


@dataclass(frozen=True)
class SymbolCount:
    """How often a character occurs, and which share of the text that is."""

    symbol: str
    count: Count
    share: Share


@dataclass(frozen=True)
class Stats:
    """What is counted in a text: see `engine.text_stats.TextStats`."""

    bytes: Count
    characters: Count
    symbols: Count
    once: Count
    lines: Count
    longest_line: Count
    most_frequent: tuple[SymbolCount, ...]
    entropy_bits: float


@dataclass(frozen=True)
class LadderRung:
    """What a simpler predictor reaches on the validation split: one of `RUNGS`, in nats per character."""

    name: str
    nats: float


@dataclass(frozen=True)
class Speed:
    """What training reaches on this machine, in floating-point operations a second."""

    operations_per_second: float


@dataclass(frozen=True)
class Done:
    """All facts have been told."""


@dataclass(frozen=True)
class Failed:
    """No more can be told: one sentence that says why, and the exit code of its kind."""

    message: str
    exit: Count


Fact = About | Preview | Stats | LadderRung | Speed | Done | Failed

_KINDS: dict[str, type[Any]] = {
    "corpus": About,
    "preview": Preview,
    "stats": Stats,
    "rung": LadderRung,
    "speed": Speed,
    "done": Done,
    "error": Failed,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}
_CHECKS = wire.checks(Turns, SymbolCount)


def to_line(fact: Fact) -> bytes:
    """The fact as one line of JSON, newline included."""
    return wire.line_of("fact", _NAMES[type(fact)], vars(fact))


def parse_fact(line: bytes) -> Fact:
    """The fact in one line.

    Raises:
        engine.wire.ProtocolError: the line is none.
    """
    fact: Fact = wire.message(wire.opened(line, "fact"), "fact", _KINDS, _CHECKS)
    return fact


def examine(corpus: Corpus, cache_dir: Path | None = None) -> Iterator[Fact]:
    """Everything about one text, what is known soonest first.

    Args:
        cache_dir: where rungs are kept.

    Raises:
        CorpusError: the text is too short for a ladder.
    """
    text = corpus.text
    yield About(corpus.name, len(text), _utf8_bytes(text), corpus.sha256, corpus.notices, corpus.turns)
    yield preview(text)
    from engine.text_stats import text_stats

    yield stats_of(text_stats(text))
    yield from rungs(corpus, cache_dir)


def stats_of(counted: TextStats) -> Stats:
    """What was counted, as a fact."""
    chars = counted.characters
    frequent = tuple(SymbolCount(symbol, n, n / chars) for symbol, n in counted.most_frequent)
    return Stats(**{**vars(counted), "most_frequent": frequent})


def preview(text: str) -> Preview:
    """The beginning of a text, and a piece from its middle."""
    middle = len(text) // 2
    if middle < PREVIEW_CHARS:
        return Preview(text[:PREVIEW_CHARS])
    at = text.find("\n", middle, middle + MIDDLE_CHARS // 2) + 1 or middle
    return Preview(text[:PREVIEW_CHARS], text[at : at + MIDDLE_CHARS], at)


def rungs(corpus: Corpus, cache_dir: Path | None = None) -> Iterator[LadderRung]:
    """The ladder that `tinygpt eval` shows for a run on this text, from the cache if it is there.

    Raises:
        CorpusError: the text is too short.
    """

    def count() -> Iterator[tuple[str, float]]:
        train_text, val_text = split(corpus.text)
        # A trainer, too, validates so short a text on what it learns from.
        if len(val_text) < 2:
            val_text = train_text
        return climb(corpus.text, train_text[-COUNTED_CHARS:], val_text)

    return kept_rungs(corpus.sha256, cache_dir, count)


def kept_rungs(
    sha256: str, cache_dir: Path | None, count: Callable[[], Iterator[tuple[str, float]]]
) -> Iterator[LadderRung]:
    """The rungs of the text of this hash from the cache, or else as they are counted, and then kept."""
    path = None if cache_dir is None else cache_dir / "ladders" / f"{sha256}.json"
    known = None if path is None else _kept(path, sha256)
    if known is not None:
        yield from (LadderRung(name, nats) for name, nats in known.items())
        return
    known = {}
    for name, nats in count():
        known[name] = nats
        yield LadderRung(name, nats)
    if path is not None:
        with suppress(ResourceError, OSError):  # next time it will be counted again
            make_private_dir(path.parent)
            kept = {"version": _CACHE_VERSION, "sha256": sha256, "ladder": known}
            write_atomic(path, dump_json(kept) + b"\n", durable=False)


def main(argv: Sequence[str]) -> int:
    """Tells the facts on stdout until they end or nobody listens. Returns the exit code of the error, if there is one."""
    parser = argparse.ArgumentParser(prog="python -m engine facts", description="Tells what a text is.")
    parser.add_argument("source", nargs="?", help="a file, a folder, or a name of the catalogue")
    parser.add_argument("--cache", type=Path, help="where rungs and fetched corpora lie")
    parser.add_argument("--encoding", help="decode with this codec")
    parser.add_argument("--force-text", action="store_true", help="accept what looks binary")
    parser.add_argument("--speed", action="store_true", help="instead, measure how fast this machine trains")
    parser.add_argument(
        "--arch", choices=("modern", "classic"), default="modern", help="with this kind of model"
    )
    parser.add_argument("--kernels", type=Path, help="with the compiled kernels in this folder")
    options = parser.parse_args(argv)
    if (options.source is None) != options.speed:
        parser.error("give either a SOURCE or --speed")
    os.nice(_NICENESS)
    for library in (
        () if options.speed else ("OMP", "OPENBLAS", "MKL", "VECLIB")
    ):  # read when numpy loads, which is later
        os.environ[f"{library}_NUM_THREADS"] = "1"
    with suppress(BrokenPipeError):
        last = _tell_all(options)
        _tell(last)
        return last.exit if isinstance(last, Failed) else 0
    return 0


def _tell_all(options: argparse.Namespace) -> Done | Failed:
    """Tells everything but the end, which it returns."""
    try:
        if options.speed:
            _tell(_measured(options.arch, options.kernels))
            return Done()
        early = _early_preview(options)
        if early is not None:
            _tell(early)
        for fact in _facts(options.source, options.encoding, options.force_text, options.cache):
            _tell(fact)
    except TinygptError as error:
        return Failed(str(error), error.exit_code)
    except MemoryError:
        shown = printable(options.source or "measuring")
        return Failed(f"There is too little memory for {shown}: give a part of it.", ResourceError.exit_code)
    except KeyboardInterrupt:
        return Failed("This was interrupted.", 130)
    except BrokenPipeError:
        raise
    except Exception as error:
        traceback.print_exc(file=sys.stderr)
        what = f"{type(error).__name__}: {printable(str(error))}"
        return Failed(f"This could not be found out because of a defect of tinygpt ({what}): report it.", 1)
    return Done()


def _facts(source: str, encoding: str | None, force_text: bool, cache_dir: Path | None) -> Iterator[Fact]:
    from engine.large_facts import examine_large
    from engine.text_stream import large_bytes

    if size := large_bytes(source, STORE_BYTES, encoding):
        return examine_large(source, size, encoding=encoding, force_text=force_text, cache_dir=cache_dir)
    return examine(
        read_corpus(source, encoding=encoding, force_text=force_text, cache_dir=cache_dir), cache_dir
    )


def _measured(arch: str, kernels: Path | None) -> Speed:
    from engine.device import probe
    from engine.sizing import measure
    from models import kernel

    kernel.use(kernels)

    # The number of symbols is that of English text; it hardly matters.
    return Speed(measure(probe(), arch, 65, {}, _SPEED_SECONDS)[1])


def _early_preview(options: argparse.Namespace) -> Preview | None:
    """How a large file begins, before all of it is read and hashed; None if it is none, or its beginning is no text."""
    how = ReadOptions(known_encoding(options.encoding), options.force_text, force=False)
    try:
        path = Path(options.source)
        if catalogue.find(options.source) or not path.is_file() or path.stat().st_size < _LARGE_BYTES:
            return None
        with path.open("rb") as file:
            head = file.read(16 * PREVIEW_CHARS)
    except (OSError, ValueError):
        return None
    for cut in range(4):  # the last character may be torn
        with suppress(CorpusError):
            return Preview(decode(head[: len(head) - cut], "", how).text[:PREVIEW_CHARS])
    return None


def _tell(fact: Fact) -> None:
    rest = memoryview(to_line(fact))
    while rest:
        rest = rest[os.write(1, rest) :]


def _utf8_bytes(text: str) -> int:
    if text.isascii():
        return len(text)
    return sum(len(text[at : at + 2**20].encode("utf-8")) for at in range(0, len(text), 2**20))


def climb(text: str, train_text: str, val_text: str) -> Iterator[tuple[str, float]]:
    """Each rung of `RUNGS` in nats per character: what `engine.ladder.climb` yields, but without loading torch.

    The n-grams are those of `models.ngram`: Witten-Bell, mixed from the lowest order up. One order is held at a time.

    Args:
        text: all of it, or each of its characters once: the vocabulary.
        train_text: the end of its training split, which is counted.
    """
    import bz2

    import numpy as np

    from engine.tokenizer import CODE_POINTS, code_points, distinct_code_points

    if len(val_text) < 2:
        raise CorpusError("The validation split has fewer than two characters; give a longer corpus.")
    points = distinct_code_points(text)
    symbols = points.size
    yield "uniform", math.log(symbols)
    ids = np.zeros(CODE_POINTS, np.int32)
    ids[points] = np.arange(symbols)
    seen, asked = ids[code_points(train_text)], ids[code_points(val_text)].astype(np.int64)
    p = np.full(asked.size, 1.0 / symbols)
    # Contexts are numbered by their rank among those seen; one never seen is -1, and finds the zero at the end of each array.
    context, contexts, keys = np.zeros_like(asked), 1, seen.astype(np.int64)
    for n in range(1, MAX_ORDER + 1):
        last = n == MAX_ORDER or len(seen) <= n
        if last:  # nothing asks for the ranks any more, which take most of the time and memory
            (unique, counts), ranks = np.unique(keys, return_counts=True), keys
        elif contexts * symbols > _DENSE:
            unique, ranks, counts = np.unique(keys, return_inverse=True, return_counts=True)
        else:
            histogram = np.bincount(keys, minlength=contexts * symbols)
            unique = np.flatnonzero(histogram)
            counts, ranks = histogram[unique], (np.cumsum(histogram > 0) - 1)[keys]
        of = unique // symbols
        distinct = np.bincount(of, minlength=contexts + 1)[context]
        total = np.bincount(of, weights=counts, minlength=contexts + 1)[context]
        wanted = context * symbols + asked
        place = np.minimum(np.searchsorted(unique, wanted), unique.size - 1)
        found = unique[place] == wanted
        count = np.where(found, counts[place], 0)
        scale = 1.0 / np.maximum(total + distinct, 1.0)
        p = np.where(distinct > 0, (count + distinct * p) * scale, p)
        yield f"{n}-gram", -float(np.log(p[1:]).mean())
        context = np.concatenate(([-1], np.where(found, place, -1)[:-1]))
        contexts = unique.size
        if last:  # in a text of a few characters no longer n-gram occurs, and the mix stays as it is
            yield from ((name, -float(np.log(p[1:]).mean())) for name in RUNGS[n + 1 : -1])
            break
        keys = ranks[:-1] * symbols + seen[n:]
        del unique, ranks, counts, of  # as large as the text: gone before the next are made
    before = train_text.encode("utf-8")
    growth = len(bz2.compress(before + val_text.encode("utf-8"))) - len(bz2.compress(before))
    yield "bz2", growth * 8 * math.log(2) / len(val_text)


def _kept(path: Path, sha256: str) -> dict[str, float] | None:
    """The rungs in a file of the cache, if it is one of ours and whole."""
    try:
        data = read_json(path, _CACHE_LIMIT)
    except CheckpointError:
        return None
    kept = data.get("ladder")
    if (data.get("version"), data.get("sha256")) != (_CACHE_VERSION, sha256) or not isinstance(kept, dict):
        return None
    sound = all(type(nats) is float and math.isfinite(nats) for nats in kept.values())
    return kept if sound and tuple(kept) == RUNGS else None
