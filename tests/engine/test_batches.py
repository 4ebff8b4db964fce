"""The text a step learns from: the same answer to the same question, everything read, nothing read twice."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.batches import Batches, derived_seed


def numbered(length: int) -> np.ndarray:
    """A text in which every token is its own position."""
    return np.arange(length)


def made(length: int, block_size: int, batch_size: int = 1, seed: int = 1, sha: str = "a") -> Batches:
    return Batches(numbered(length), block_size, batch_size, seed, sha)


def epoch_of(batches: Batches, epoch: int = 0) -> list[list[int]]:
    """The inputs of one epoch, window by window, with one window a step."""
    first = epoch * batches.windows
    return [batches.batch(step, 0, 1)[0][0].tolist() for step in range(first, first + batches.windows)]


shapes = st.integers(1, 9).flatmap(
    lambda block: st.tuples(st.integers(block + 1, 12 * block), st.just(block))
)


@given(shapes, st.integers(0, 5))
@settings(max_examples=200, deadline=None)
def test_an_epoch_reads_no_token_twice_and_leaves_out_less_than_two_windows(
    shape: tuple[int, int], epoch: int
) -> None:
    length, block_size = shape
    batches = made(length, block_size)
    windows = epoch_of(batches, epoch)
    seen = Counter(token for window in windows for token in window)
    assert max(seen.values()) == 1
    assert all(window == list(range(window[0], window[0] + block_size)) for window in windows)
    inputs = length - 1  # the last token can only be a target
    assert max(seen) < inputs and inputs - len(seen) < 2 * block_size
    if batches.windows > 1:
        laid = sorted(windows)
        assert [token for window in laid for token in window] == list(range(laid[0][0], laid[-1][-1] + 1))


@given(shapes)
@settings(max_examples=30, deadline=None)
def test_every_token_is_read_and_predicted_sooner_or_later(shape: tuple[int, int]) -> None:
    length, block_size = shape
    batches = made(length, block_size, batch_size=64)
    inputs, targets = zip(*(batches.batch(step, 0, 64) for step in range(20)), strict=True)
    assert set(torch.cat(inputs).flatten().tolist()) == set(range(length - 1))
    assert set(torch.cat(targets).flatten().tolist()) == set(range(1, length))


def test_targets_are_the_inputs_one_token_further() -> None:
    inputs, targets = made(500, 8, batch_size=16).batch(3, 0, 16)
    assert inputs.shape == targets.shape == (16, 8)
    assert inputs.dtype == targets.dtype == torch.int64
    assert torch.equal(targets, inputs + 1)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.int64])
def test_tokens_of_any_width_come_out_as_int64(dtype: type[np.integer]) -> None:
    ids = np.array([200, 3, 7, 1, 200, 5, 9, 2, 4], dtype)
    inputs, _ = Batches(ids, 4, 2, 1, "a").batch(0, 0, 2)
    assert inputs.dtype == torch.int64 and set(inputs.flatten().tolist()) <= set(ids.tolist())


def test_a_batch_depends_on_nothing_that_was_asked_before() -> None:
    one, other = made(300, 7, 5), made(300, 7, 5)
    forward = [one.batch(step, 0, 5) for step in range(60)]
    backward = [other.batch(step, 0, 5) for step in reversed(range(60))][::-1]
    for (x, y), (u, v) in zip(forward, backward, strict=True):
        assert torch.equal(x, u) and torch.equal(y, v)


def test_no_global_generator_is_asked_or_moved() -> None:
    before = torch.get_rng_state(), repr(np.random.get_state())
    first = made(300, 7, 5).batch(0, 0, 5)[0]
    assert torch.equal(before[0], torch.get_rng_state()) and before[1] == repr(np.random.get_state())
    torch.rand(3)
    assert torch.equal(made(300, 7, 5).batch(0, 0, 5)[0], first)


@pytest.mark.parametrize("micro", [1, 2, 3, 5, 6])
def test_micro_batches_put_together_are_the_batch(micro: int) -> None:
    batches = made(100, 7, batch_size=6)  # 13 windows, so a batch reaches over the end of an epoch
    for step in range(8):
        whole = batches.batch(step, 0, 6)
        parts = [batches.batch(step, first, min(micro, 6 - first)) for first in range(0, 6, micro)]
        for i in range(2):
            assert torch.equal(torch.cat([part[i] for part in parts]), whole[i])


def test_steps_share_out_the_windows_of_an_epoch() -> None:
    one_by_one, batches = made(100, 7), made(100, 7, batch_size=4)
    together = torch.cat([batches.batch(step, 0, 4)[0] for step in range(10)])
    assert together.tolist() == [one_by_one.batch(step, 0, 1)[0][0].tolist() for step in range(40)]


def test_the_seed_the_corpus_and_the_epoch_each_lay_the_windows_anew() -> None:
    layouts = [
        epoch_of(made(1000, 8)),
        epoch_of(made(1000, 8, seed=2)),
        epoch_of(made(1000, 8, sha="b")),
        epoch_of(made(1000, 8), epoch=1),
        epoch_of(made(1000, 8), epoch=2),
    ]
    starts = [[window[0] for window in layout] for layout in layouts]
    assert len({tuple(order) for order in starts}) == 5
    assert len({order[0] % 8 for order in starts}) > 1  # the offset differs too, not only the order
    assert all(order != sorted(order) for order in starts)


@pytest.mark.parametrize(("length", "windows"), [(9, 1), (10, 1), (17, 1), (25, 2), (32, 2), (33, 3)])
def test_the_smallest_texts_have_a_window_and_stay_inside(length: int, windows: int) -> None:
    batches = made(length, 8, batch_size=400)
    assert batches.windows == windows
    inputs, targets = batches.batch(0, 0, 400)
    assert torch.equal(targets, inputs + 1)
    assert int(inputs.min()) == 0 and int(targets.max()) == length - 1


def test_derived_seeds_are_the_same_everywhere_and_forever() -> None:
    # A run that is resumed with another version, on another machine, must read on in the same order.
    assert derived_seed(1, "abc", 0) == 4140502204882147296
    assert derived_seed() < 2**63
    assert len({derived_seed(a, b) for a in range(30) for b in range(30)}) == 900
    assert derived_seed(1, "1") != derived_seed("1", 1) != derived_seed(11)


def test_the_order_of_an_epoch_is_the_same_forever() -> None:
    starts = [window[0] for window in epoch_of(made(60, 8, seed=7, sha="corpus"))]
    assert starts == [50, 26, 42, 10, 34, 18]
