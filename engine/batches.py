"""Which characters a step learns from: a pure function of the seed, the corpus, the step and the position in the batch.

There is no loader with a state to save. An epoch is a random permutation of windows that lie side by side from a random offset,
so a character is read at most once an epoch, and seldom twice at the same place in a window; what the offset leaves out, less
than two windows, is another end of the text each time. Any process can ask for any part of any step's batch and gets the same
answer, which makes resuming exact and several processes equal to one.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

# Windows whose order is held as a list, 32 MB an epoch. No text that is kept with the runs has more of 16 tokens or longer.
MOST_LISTED = 1 << 22

_BITS = (1 << 64) - 1


def derived_seed(*parts: object) -> int:
    """A 63-bit seed from any parts that have a stable `repr`, the same on every platform."""
    digest = blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


class Batches:
    """Windows of one tokenised training text.

    Args:
        ids: (N,) tokens of the training split, N > block_size; of a mapped file only the windows that are asked for are read.
        block_size: tokens a window.
        batch_size: windows a step.
        seed, corpus_sha: what the permutation depends on.
    """

    def __init__(
        self, ids: NDArray[np.integer], block_size: int, batch_size: int, seed: int, corpus_sha: str
    ) -> None:
        self.ids, self.block_size, self.batch_size = ids, block_size, batch_size
        self._key = (seed, corpus_sha)
        targets = len(ids) - 1
        # One window less than would fit, so that the offset of an epoch has room; a tiny text has one window, anywhere.
        self.windows = max(1, targets // block_size - 1)
        self._room = targets - self.windows * block_size + 1  # the last offset still reaches the last token
        self._epoch = lru_cache(maxsize=2)(self._lay_out)

    def batch(self, step: int, first: int, count: int) -> tuple[Tensor, Tensor]:
        """Windows `first` to `first + count - 1` of the batch of `step`.

        Returns:
            inputs (count, block_size) int64 and targets of the same shape, one token further.
        """
        starts = np.array([self._start(step * self.batch_size + first + i) for i in range(count)])
        span = torch.from_numpy(
            self.ids[starts[:, None] + np.arange(self.block_size + 1)].astype(np.int64)
        )  # (count, block_size + 1)
        return span[:, :-1], span[:, 1:]

    def _start(self, index: int) -> int:
        epoch, place = divmod(index, self.windows)
        offset, order = self._epoch(epoch)
        return offset + int(order[place]) * self.block_size

    def _lay_out(self, epoch: int) -> tuple[int, NDArray[np.int64] | Shuffle]:
        rng = np.random.Generator(np.random.Philox(derived_seed(*self._key, epoch)))
        offset = int(rng.integers(self._room))
        if self.windows > MOST_LISTED:
            return offset, Shuffle(self.windows, derived_seed(*self._key, epoch, "shuffle"))
        return offset, rng.permutation(self.windows)


class Shuffle:
    """A permutation of 0 to n - 1 that is computed place by place, in no memory and at a cost that does not grow with n.

    A Feistel network over the even number of bits that n needs; a result beyond n goes through it again (Black and Rogaway, "Ciphers with
    arbitrary finite domains", 2002, their cycle-walking cipher), less than four times on average.
    """

    ROUNDS = 6

    def __init__(self, n: int, seed: int) -> None:
        self._n = n
        self._half = max(1, ((n - 1).bit_length() + 1) // 2)
        self._keys = [derived_seed(seed, number) for number in range(self.ROUNDS)]

    def __getitem__(self, place: int) -> int:
        mask = (1 << self._half) - 1
        while True:
            left, right = place >> self._half, place & mask
            for key in self._keys:
                left, right = right, left ^ (_mixed(right ^ key) & mask)
            place = left << self._half | right
            if place < self._n:
                return place


def _mixed(value: int) -> int:
    """64 bits of which each depends on all of `value`'s: the finaliser of SplitMix64 (Steele, Lea and Flood, 2014)."""
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & _BITS
    value = (value ^ value >> 27) * 0x94D049BB133111EB & _BITS
    return value ^ value >> 31
