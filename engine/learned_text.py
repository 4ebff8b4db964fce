"""What a run learns: its text by its hash, as the ids of a training and a validation split, whether or not it fits into memory.

A text that is kept with the runs is read and encoded whole; a larger one is mapped from token files in the cache, made from where it
came. Whoever trains or measures a run need not know which of the two it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from engine.corpus import load_stored, split
from engine.errors import CorpusError
from engine.large_text import LargeText, Tell, known_again, remembered
from engine.text_stream import Chunk, TextStream, large_bytes
from engine.token_encoding import tokenizer_for
from engine.token_files import token_files
from engine.tokenizer import Tokenizer, train_tokenizer

COUNTED_CHARS = (
    16_000_000  # of the end of a large training split: what counting models and the ladder can afford
)


@dataclass(frozen=True, eq=False)
class Splits:
    """The tokens of both splits, (N,) of an unsigned dtype, and the characters they stand for.

    Attributes:
        on_training_text: the text is so short that it is validated on what is learned.
    """

    train_ids: np.ndarray
    val_ids: np.ndarray
    train_chars: int
    val_chars: int
    on_training_text: bool = False


class LearnedText(Protocol):
    """A text that can be encoded."""

    @property
    def large(self) -> bool:
        """Whether it may be larger than the memory."""

    def tokenizer(self, kind: str, vocab_size: int | None) -> Tokenizer:
        """A tokenizer for it; raises as `train_tokenizer`."""

    def splits(self, tokenizer: Tokenizer) -> Splits:
        """
        Raises:
            CorpusError: it cannot be read, or holds what the tokenizer does not know.
            ResourceError: the disk has too little room.
        """

    def texts(self, tokenizer: Tokenizer) -> tuple[str, str]:
        """The training text, of a large one the last `COUNTED_CHARS` tokens of it, and the validation text; raises as `splits`."""


def learned_text(
    corpus: Mapping[str, Any],
    corpora_dirs: Sequence[Path],
    cache_dir: Path,
    tell: Tell = lambda read, total: None,
) -> LearnedText:
    """The text of a run.

    Args:
        corpus: what its request says of it.
        corpora_dirs: where texts are kept.
        cache_dir: where fetched texts and token files lie.
        tell: hears how far reading a large one is, in every pass over it; may raise.

    Raises:
        CorpusError: there is no text with this hash any more.
    """
    sha256, source = str(corpus.get("sha256")), corpus.get("source")
    encoding, force_text = corpus.get("encoding"), corpus.get("force_text") is True
    # A text whose tokens are there need not be anywhere else.
    if (
        corpus.get("kept", True)
        or not isinstance(source, str)
        or not (remembered(cache_dir, sha256, source) or large_bytes(source, 0, encoding, force=True))
    ):
        text = load_stored(
            corpora_dirs, sha256, source, encoding=encoding, force_text=force_text, cache_dir=cache_dir
        )
        return _InMemory(text)
    known = known_again(cache_dir, sha256, source, encoding=encoding, force_text=force_text, tell=tell)
    return _OnDisk(known, cache_dir, encoding, force_text, tell)


@dataclass(frozen=True)
class _InMemory:
    text: str
    large = False

    def tokenizer(self, kind: str, vocab_size: int | None) -> Tokenizer:
        return train_tokenizer(kind, self.text, vocab_size)

    def splits(self, tokenizer: Tokenizer) -> Splits:
        train, val = split(self.text)
        short = len(val) < 2
        val = train if short else val
        ids = tokenizer.encode_corpus(train), tokenizer.encode_corpus(val)
        return Splits(*ids, len(train), len(val), on_training_text=short)

    def texts(self, tokenizer: Tokenizer) -> tuple[str, str]:
        train, val = split(self.text)
        return train, val if len(val) >= 2 else train


@dataclass(frozen=True)
class _OnDisk:
    known: LargeText
    cache_dir: Path
    encoding: str | None
    force_text: bool
    tell: Tell
    large = True

    def tokenizer(self, kind: str, vocab_size: int | None) -> Tokenizer:
        return tokenizer_for(kind, self.known.symbols, (data for data, _ in self._stream()), vocab_size)

    def splits(self, tokenizer: Tokenizer) -> Splits:
        files = token_files(
            self.cache_dir, self.known, tokenizer, self._stream, lambda: self.tell(0, self._size)
        )
        if files.val_chars < 2:
            raise CorpusError("The corpus is too short: give more text.")
        return Splits(files.train_ids, files.val_ids, files.train_chars, files.val_chars)

    def texts(self, tokenizer: Tokenizer) -> tuple[str, str]:
        splits = self.splits(tokenizer)
        recent = tokenizer.decode(np.asarray(splits.train_ids[-COUNTED_CHARS:]))
        return recent, tokenizer.decode(np.asarray(splits.val_ids))

    @property
    def _size(self) -> int:
        return large_bytes(self.known.source, 0, self.encoding, force=True)

    def _stream(self) -> Iterator[Chunk]:
        size, read = self._size, 0

        def count(more: int) -> None:
            nonlocal read
            read += more
            self.tell(read, size)

        stream = TextStream(
            self.known.source, encoding=self.encoding, force_text=self.force_text, force=True, tell=count
        )
        return iter(stream)
