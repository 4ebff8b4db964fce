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


def derived_seed(*parts: object) -> int:
    """A 63-bit seed from any parts that have a stable `repr`, the same on every platform."""
    digest = blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


class Batches:
    """Windows of one tokenised training text.

    Args:
        ids: (N,) tokens of the training split, N > block_size.
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

    def _lay_out(self, epoch: int) -> tuple[int, NDArray[np.int64]]:
        rng = np.random.Generator(np.random.Philox(derived_seed(*self._key, epoch)))
        return int(rng.integers(self._room)), rng.permutation(self.windows)
