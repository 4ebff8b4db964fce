"""Is this loss good? The ladder says: what guessing, counting and a file compressor reach on the same text.

All rungs are nats per character on the validation split, at the positions of a model's `val_loss`: the first
character is only context. They are about characters whatever the tokenizer is, so losses stay comparable.
Left out: saying which rung a run has overtaken, and caching (the rungs of a megabyte take about a second).
"""

from __future__ import annotations

import bz2
import math
from collections.abc import Iterator

import numpy as np

from engine.errors import CorpusError
from engine.tokenizer import CODE_POINTS, CharTokenizer, Tokenizer, code_points, distinct_code_points


def ladder(train_text: str, val_text: str, tokenizer: Tokenizer, max_order: int = 6) -> dict[str, float]:
    """All rungs of `climb` as a dictionary, in its order. Raises CorpusError as it does."""
    return dict(climb(train_text, val_text, tokenizer, max_order))


def climb(
    train_text: str, val_text: str, tokenizer: Tokenizer, max_order: int = 6
) -> Iterator[tuple[str, float]]:
    """Yields ("uniform", x), ("1-gram", x) to ("6-gram", x), ("bz2", x) in nats per character, as they come.

    uniform is ln(number of different characters in both texts and the character vocabulary). The n-grams (see
    `models.ngram`) are counted on at most the last 16 million characters of `train_text`; their context runs
    on over the whole of `val_text`. bz2 is how much that training text, compressed, grows by `val_text`.

    Raises:
        CorpusError: `val_text` has fewer than two characters.
    """
    from models.ngram import MAX_TOKENS, count_tables, target_probs  # brings torch, so not on import

    if len(val_text) < 2:
        raise CorpusError("The validation split has fewer than two characters; give a longer corpus.")
    recent = train_text[-MAX_TOKENS:]
    known = tokenizer.symbols if isinstance(tokenizer, CharTokenizer) else ""
    points = np.unique(np.concatenate([distinct_code_points(text) for text in (train_text, val_text, known)]))
    ids = np.zeros(CODE_POINTS, np.int32)
    ids[points] = np.arange(points.size)
    yield "uniform", math.log(points.size)
    tables = count_tables(ids[code_points(recent)], points.size, max_order)
    for n, p in enumerate(target_probs(tables, ids[code_points(val_text)], points.size), 1):
        yield f"{n}-gram", -float(np.log(p[1:]).mean())
    seen = recent.encode("utf-8", "surrogatepass")
    growth = len(bz2.compress(seen + val_text.encode("utf-8", "surrogatepass"))) - len(bz2.compress(seen))
    yield "bz2", growth * 8 * math.log(2) / len(val_text)
