"""Which part of a text a model sees. Apart from the models, so that whoever only shows it needs no torch."""

from __future__ import annotations


def window_start(n: int, block_size: int) -> int:
    """Where the window for predicting token `n` begins: the model sees ids[window_start(n):n].

    The window grows until it is full; then its last half (block_size // 2 tokens) is kept and grows again.
    So from block_size on its length is in (block_size // 2, block_size], and a prefill happens once per
    half window.
    """
    if n <= block_size:
        return 0
    hop = block_size - block_size // 2
    return hop * -((block_size - n) // hop)
