"""The counting model: how often did each symbol follow these few? Every learner should see a GPT overtake it.

Orders 1 to `config.order` are mixed by Witten-Bell interpolation (Witten, Bell 1991; Chen, Goodman 1999):

    p(c | h) = (count(h c) + T(h) p(c | h')) / (count(h) + T(h))

T(h) is how many different symbols followed the context h, and h' is h without its oldest symbol; below the
empty context lies the uniform distribution. A context never seen leaves p(c | h') as it is. No training means
no gradients, and the tables stay on the CPU. Left out: pruning, other ways of smoothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.config import ModelConfig
from models.interface import Cache, LanguageModel

MAX_TOKENS = 16_000_000  # only so many are counted, the last ones of a longer text: bounds time and memory
_DENSE = 1 << 22  # up to so many possible n-grams a plain histogram is faster than sorting
_CHUNK = 1 << 18  # probabilities worked on at a time, so that they stay in the processor's cache


@dataclass(frozen=True, eq=False)
class Table:
    """All n-grams of one n, sorted: each is a context (an (n-1)-gram) and the symbol that followed it.

    The last entry of `first`, `distinct` and `total` stands for contexts never seen, so rank -1 finds it.

    Attributes:
        keys: (U,) int64, ascending: rank of the context in the table of n-1, times vocab_size, plus symbol.
        counts: (U,) int32, how often each occurred.
        first: (C + 1,) int64, where the followers of the context of each rank begin in `keys`.
        distinct: (C + 1,) int64, how many different followers it has: T(h).
        total: (C + 1,) float64, how often it was followed by anything: count(h).
    """

    keys: np.ndarray
    counts: np.ndarray
    first: np.ndarray
    distinct: np.ndarray
    total: np.ndarray

    def rank(self, keys: np.ndarray) -> np.ndarray:
        """Where `keys` (any shape, int64) stand in the table, -1 for those that do not."""
        if not self.keys.size:
            return np.full(keys.shape, -1, np.int64)
        place = np.searchsorted(self.keys, keys)
        np.minimum(place, self.keys.size - 1, out=place)
        return np.where(self.keys[place] == keys, place, -1)

    def counts_at(self, place: np.ndarray) -> np.ndarray:
        """The counts at the ranks `place`, 0 at -1."""
        return np.where(place >= 0, self.counts[place], 0) if self.counts.size else np.zeros_like(place)


def count_tables(ids: np.ndarray, vocab_size: int, order: int) -> Iterator[Table]:
    """Counts the last `MAX_TOKENS` of `ids` (n,) and yields the tables of order 1, 2, ... as each is ready.

    Raises:
        ValueError: an id is not in 0 to vocab_size - 1.
    """
    ids = _checked_ids(ids[-MAX_TOKENS:], vocab_size)
    contexts, keys = 1, ids  # the one context of order 1 is the empty one
    for n in range(1, order + 1):
        unique, counts, ranks = _unique(keys, contexts * vocab_size)
        yield _table(unique, counts, contexts, vocab_size)
        if n < order:
            # The context of the symbol at t is the n-gram that ends at t - 1; `ranks` has them by their ends.
            contexts, keys = unique.size, ranks[:-1] * vocab_size + ids[n:]


def target_probs(tables: Iterable[Table], ids: np.ndarray, vocab_size: int) -> Iterator[np.ndarray]:
    """For n = 1, 2, ...: the n-gram probability of every symbol given the up to n - 1 before it in its row.

    Args:
        tables: those of order 1, 2, ...; one is taken for each result.
        ids: (..., T); each row along the last axis is a text of its own.

    Yields:
        (..., T) float64; at position 0 of a row nothing precedes.
    """
    ids = _checked_ids(ids, vocab_size)
    p = np.full(ids.shape, 1.0 / vocab_size)
    context = np.zeros_like(ids)
    for table in tables:
        place = table.rank(context * vocab_size + ids)
        distinct = table.distinct[context]
        scale = 1.0 / np.maximum(table.total[context] + distinct, 1.0)
        p = np.where(distinct > 0, (table.counts_at(place) + distinct * p) * scale, p)
        yield p
        context = _one_later(place)


class NGramCache:
    """The tokens read so far, at most one window of them; setting `length` back forgets the last ones.

    Attributes:
        ids: (B, block_size) int64.
        length: positions filled.
    """

    def __init__(self, batch_size: int, block_size: int) -> None:
        self.ids = np.zeros((batch_size, block_size), np.int64)
        self.length = 0


class NGram(LanguageModel):
    """An interpolated n-gram model. Freshly built it has counted nothing: every symbol is equally likely.

    Its state are the buffers `keys_n` (U_n,) int64 and `counts_n` (U_n,) int32 for each n from 1 to `order`,
    see `Table`; their lengths depend on what was counted.
    """

    tables: list[Table]

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        if config.arch != "ngram":
            raise ValueError(f"a counting model has the architecture 'ngram', not {config.arch!r}")
        self._use(count_tables(np.zeros(0, np.int64), config.vocab_size, config.order))

    @classmethod
    def count(
        cls, config: ModelConfig, ids: np.ndarray, go_on: Callable[[], bool] = lambda: True
    ) -> NGram | None:
        """The model of `ids` (n,), of which at most the last `MAX_TOKENS` are counted.

        Args:
            go_on: asked after each order, which may take seconds; False leaves the counting, and there is no model.

        Raises:
            ValueError: an id is not in 0 to vocab_size - 1.
        """
        model = cls(config)
        tables = []
        for table in count_tables(ids, config.vocab_size, config.order):
            tables.append(table)
            if not go_on():
                return None
        model._use(tables)
        return model

    @classmethod
    def from_tensors(cls, config: ModelConfig, tensors: Mapping[str, Tensor]) -> NGram:
        """The model whose `state_dict` this is. The tensors may come from a stranger: everything is checked.

        Raises:
            ValueError: a tensor is missing, superfluous, of a wrong type or shape, or holds a wrong index.
        """
        model = cls(config)
        model.load_state_dict(tensors)
        return model

    def new_cache(self, batch_size: int = 1) -> NGramCache:
        return NGramCache(batch_size, self.config.block_size)

    def num_params(self) -> int:
        """Number of different n-grams counted, all orders together."""
        return sum(table.keys.size for table in self.tables)

    @torch.no_grad()
    def forward(self, ids: Tensor, cache: Cache | None = None) -> Tensor:
        """ids (B, T) -> ln p (B, T, vocab_size) float32: logits that a softmax leaves as they are.

        Raises:
            ValueError: an id is out of range, or the cache is full.
        """
        vocab_size = self.config.vocab_size
        new = _checked_ids(ids.cpu().numpy(), vocab_size)
        read = new if cache is None else self._remember(new, cache)
        contexts = [c[:, read.shape[1] - new.shape[1] :].ravel() for c in self._contexts(read)]
        log_probs = np.empty((new.size, vocab_size), np.float32)
        rows = max(1, _CHUNK // vocab_size)
        for begin in range(0, new.size, rows):
            log_probs[begin : begin + rows] = np.log(self._probs([c[begin : begin + rows] for c in contexts]))
        return torch.from_numpy(log_probs.reshape(*new.shape, vocab_size)).to(ids.device)

    def log_probs_of_targets(self, ids: np.ndarray) -> np.ndarray:
        """ln p of each symbol given the up to order - 1 before it in its row; no other symbol is looked up.

        Args:
            ids: (N,) one text, or (B, T + 1): windows of T tokens and the target of the last.

        Returns:
            float64 in nats, the shape of `ids`; position 0 of a row has no context, so losses leave it out.
        """
        *_, p = target_probs(self.tables, ids, self.config.vocab_size)
        return np.asarray(np.log(p))

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """As torch's, but takes tables of any length, checks them (ValueError), and is always strict."""
        self._use(_checked_tables(self.config, state_dict))
        return super().load_state_dict(state_dict, strict=True, assign=True)

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> NGram:
        # What moves or casts a module comes here; the tables are read on the CPU and as integers only.
        return self

    def _use(self, tables: Iterable[Table]) -> None:
        self.tables = list(tables)
        for n, table in enumerate(self.tables, 1):
            self.register_buffer(f"keys_{n}", torch.from_numpy(table.keys))
            self.register_buffer(f"counts_{n}", torch.from_numpy(table.counts))

    def _remember(self, new: np.ndarray, cache: Cache) -> np.ndarray:
        """Appends `new` (B, T) to the cache; returns it with those earlier tokens that contexts can reach."""
        assert isinstance(cache, NGramCache)
        begin, end = cache.length, cache.length + new.shape[1]
        if end > self.config.block_size:
            raise ValueError(f"the cache holds {self.config.block_size} tokens, not {end}")
        cache.ids[:, begin:end] = new
        cache.length = end
        reach = max(self.config.order - 2, 0)  # the newest token belongs to the context, too
        return cache.ids[:, max(begin - reach, 0) : end]

    def _contexts(self, ids: np.ndarray) -> list[np.ndarray]:
        """For lengths 0 to order - 1: ranks (B, T) of the contexts that end at each position, -1 unseen."""
        contexts = [np.zeros_like(ids)]
        before = contexts[0]
        for table in self.tables[:-1]:
            contexts.append(table.rank(before * self.config.vocab_size + ids))
            before = _one_later(contexts[-1])
        return contexts

    def _probs(self, contexts: list[np.ndarray]) -> np.ndarray:
        """contexts: (P,) ranks for each order -> probabilities of all symbols (P, vocab_size) float64."""
        vocab_size = self.config.vocab_size
        p = np.full((contexts[0].size, vocab_size), 1.0 / vocab_size)
        for table, context in zip(self.tables, contexts, strict=True):
            rows = np.flatnonzero(table.distinct[context])
            if not rows.size:
                continue
            h = context[rows]
            distinct = table.distinct[h]
            scale = 1.0 / (table.total[h] + distinct)
            p[rows] *= (distinct * scale)[:, None]
            # The followers of all rows at once: the j-th of row i stands at first[i] + j.
            ends = np.cumsum(distinct)
            place = np.arange(ends[-1]) + np.repeat(table.first[h] - (ends - distinct), distinct)
            symbol = table.keys[place] - np.repeat(h * vocab_size, distinct)
            p[np.repeat(rows, distinct), symbol] += table.counts[place] * np.repeat(scale, distinct)
        return p


def _one_later(place: np.ndarray) -> np.ndarray:
    """Ranks of what ends at each position -> of what ends just before it, -1 at the first."""
    context = np.full_like(place, -1)
    context[..., 1:] = place[..., :-1]
    return context


def _table(keys: np.ndarray, counts: np.ndarray, contexts: int, vocab_size: int) -> Table:
    """Completes sorted keys and their counts to a table; contexts have the ranks 0 to contexts - 1."""
    context = keys // vocab_size
    distinct = np.bincount(context, minlength=contexts + 1)
    total = np.bincount(context, weights=counts, minlength=contexts + 1)
    return Table(keys, counts.astype(np.int32), np.cumsum(distinct) - distinct, distinct, total)


def _unique(keys: np.ndarray, space: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The different keys (below `space`) ascending, how often each occurs, and the place of each key."""
    if space > _DENSE:
        unique, place, counts = np.unique(keys, return_inverse=True, return_counts=True)
        return unique, counts, place
    histogram = np.bincount(keys, minlength=space)
    unique = np.flatnonzero(histogram)
    places = np.empty(space, np.int64)
    places[unique] = np.arange(unique.size)
    return unique, histogram[unique], places[keys]


def _checked_ids(ids: np.ndarray, vocab_size: int) -> np.ndarray:
    """`ids` as int64; one outside the vocabulary would silently read another context's counts."""
    if ids.size and (ids.min() < 0 or ids.max() >= vocab_size):
        raise ValueError(f"ids must be from 0 to {vocab_size - 1}")
    return ids.astype(np.int64, copy=False)


def _checked_tables(config: ModelConfig, tensors: Mapping[str, Tensor]) -> Iterator[Table]:
    if set(tensors) != {f"{kind}_{n}" for kind in ("keys", "counts") for n in range(1, config.order + 1)}:
        raise ValueError(f"the tables do not have the names of an n-gram model of order {config.order}")
    contexts = 1
    for n in range(1, config.order + 1):
        keys = _checked_array(f"keys_{n}", tensors[f"keys_{n}"], torch.int64)
        counts = _checked_array(f"counts_{n}", tensors[f"counts_{n}"], torch.int32)
        if keys.size != counts.size or keys.size > MAX_TOKENS:
            raise ValueError(
                f"table {n} does not have one count, and at most {MAX_TOKENS:,}, for its n-grams"
            )
        if keys.size and (keys[0] < 0 or keys[-1] >= contexts * config.vocab_size or counts.min() < 1):
            raise ValueError(f"table {n} holds an n-gram or a count that is out of range")
        if (keys[1:] <= keys[:-1]).any():
            raise ValueError(f"the n-grams of table {n} are not in ascending order")
        yield _table(keys, counts, contexts, config.vocab_size)
        contexts = keys.size


def _checked_array(name: str, tensor: object, dtype: torch.dtype) -> np.ndarray:
    if not isinstance(tensor, Tensor) or tensor.dtype != dtype or tensor.dim() != 1 or tensor.is_meta:
        raise ValueError(f"{name} must be a list of {dtype} numbers")
    return tensor.detach().cpu().contiguous().numpy()
