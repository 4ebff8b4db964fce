"""The compiled gradient is torch's, in the same bits whenever it is asked for, and is refused what it cannot compute."""

from __future__ import annotations

import ctypes
import math

import pytest
import torch
from torch.nn import functional as F

from models import ModelConfig, build, kernel
from models.interface import LanguageModel
from models.kernel_proof import SHAPES, VOCAB, largest_slip, stirred
from models.learning import Learner, learner


def lesson(model: LanguageModel, windows: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(7)
    ids = torch.randint(model.config.vocab_size, (windows, model.config.block_size + 1), generator=generator)
    return ids[:, :-1], ids[:, 1:]


def pupil(library: ctypes.CDLL, shape: tuple[int, int, int, int] = SHAPES[0], threads: int = 1, dropout: float = 0.0,
          dtype: torch.dtype | None = None) -> tuple[LanguageModel, Learner]:  # fmt: skip
    model = stirred("modern", *shape).requires_grad_(True)
    if dropout:
        model.config.__dict__["dropout"] = dropout
    found = learner(model, library, threads, dtype)
    assert found is not None
    return model, found


def gradients(model: LanguageModel) -> dict[str, torch.Tensor]:
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def test_the_gradient_is_torchs(library: ctypes.CDLL) -> None:
    assert largest_slip(library, None) < 2e-5


@pytest.mark.parametrize("shape", SHAPES)
def test_the_loss_is_torchs_and_so_is_what_is_measured(
    shape: tuple[int, int, int, int], library: ctypes.CDLL
) -> None:
    model, compiled = pupil(library, shape, threads=2)
    x, y = lesson(model)
    wanted = F.cross_entropy(model(x).flatten(0, 1), y.flatten()).item()
    assert compiled.gradient(x, y, 0.25, 0) == pytest.approx(0.25 * wanted, rel=1e-5)
    assert compiled.nats(x, y) == pytest.approx(wanted * y.numel(), rel=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_length_is_that_of_all_gradients_on_any_number_of_threads(
    shape: tuple[int, int, int, int], library: ctypes.CDLL
) -> None:
    found = []
    for threads in (1, 3):
        model, compiled = pupil(library, shape, threads)
        compiled.gradient(*lesson(model), 1.0, 0)
        with torch.no_grad():  # sums of different threads round differently
            for p in model.parameters():
                assert p.grad is not None
                p.grad.copy_(torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel())))
        found.append(compiled.length())
        wanted = math.sqrt(sum(float(g.double().square().sum()) for g in gradients(model).values()))
        assert found[-1] == pytest.approx(wanted, rel=1e-6)
    assert found[0] == found[1]


def test_products_in_bfloat16_are_near_those_in_float32(library: ctypes.CDLL) -> None:
    model = stirred("modern", *SHAPES[0]).requires_grad_(True)
    if learner(model, library, 1, torch.bfloat16) is None:
        pytest.skip("this processor does not multiply bfloat16")
    assert 1e-4 < largest_slip(library, torch.bfloat16) < 0.05


def test_micro_batches_add_up_to_the_batch(library: ctypes.CDLL) -> None:
    model, compiled = pupil(library)
    x, y = lesson(model, 6)
    whole = compiled.gradient(x, y, 1.0, 0)
    wanted = gradients(model)
    model.zero_grad()
    parts = [compiled.gradient(x[a:b], y[a:b], (b - a) / 6, 0) for a, b in ((0, 2), (2, 3), (3, 6))]
    assert sum(parts) == pytest.approx(whole, rel=1e-6)
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(gradient, wanted[name], rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_same_lesson_gives_the_same_bits(threads: int, dropout: float, library: ctypes.CDLL) -> None:
    found = []
    for _ in range(3):
        model, compiled = pupil(library, threads=threads, dropout=dropout)
        x, y = lesson(model)
        loss = compiled.gradient(x, y, 1.0, 11)
        found.append((loss, gradients(model)))
    for loss, gradient in found[1:]:
        assert loss == found[0][0]
        assert all(torch.equal(g, found[0][1][name]) for name, g in gradient.items())


def test_more_threads_than_the_kernel_has_are_no_more_than_it_has(library: ctypes.CDLL) -> None:
    many, fewer = (
        pupil(library, SHAPES[2], threads=n) for n in (kernel.MOST_THREADS + 40, kernel.MOST_THREADS)
    )
    for model, compiled in (many, fewer):
        compiled.gradient(*lesson(model), 1.0, 0)
    for name, gradient in gradients(many[0]).items():
        assert torch.equal(gradient, gradients(fewer[0])[name])


def test_dropout_drops_its_share_anew_for_every_seed_and_nothing_when_measuring(library: ctypes.CDLL) -> None:
    model, compiled = pupil(library, dropout=0.5)
    x, y = lesson(model)
    plain = compiled.nats(x, y) / y.numel()
    losses = [compiled.gradient(x, y, 1.0, seed) for seed in range(40)]
    assert len(set(losses)) == 40 and all(loss != pytest.approx(plain, rel=1e-6) for loss in losses)
    assert compiled.nats(x, y) / y.numel() == plain


def test_the_gradient_under_dropout_is_the_slope_of_the_loss_under_the_same_dropout(
    library: ctypes.CDLL,
) -> None:
    model, compiled = pupil(library, dropout=0.3)
    x, y = lesson(model)
    compiled.gradient(x, y, 1.0, 5)
    slopes = gradients(model)
    for name in ("head.weight", "blocks.1.feed_forward.expand.weight", "token_embedding.weight",
                 "blocks.0.attention.query_key_value.weight", "earlier_embeddings.1.weight"):  # fmt: skip
        parameter = model.get_parameter(name)
        direction = slopes[name] / slopes[name].norm()
        step = 0.02
        with torch.no_grad():
            parameter.add_(direction, alpha=step)
            model.zero_grad()
            above = compiled.gradient(x, y, 1.0, 5)
            parameter.add_(direction, alpha=-2 * step)
            model.zero_grad()
            below = compiled.gradient(x, y, 1.0, 5)
            parameter.add_(direction, alpha=step)
        assert (above - below) / (2 * step) == pytest.approx(float(slopes[name].norm()), rel=0.02), name


def test_what_the_kernel_does_not_learn_is_left_to_torch(library: ctypes.CDLL) -> None:
    shape = dict(zip(("n_layer", "n_head", "n_embd", "block_size"), SHAPES[0], strict=True))
    classic = build(ModelConfig("classic", VOCAB, **shape))  # type: ignore[arg-type]
    double = stirred("modern", *SHAPES[0]).double()
    assert learner(classic, library, 1, None) is None
    assert learner(double, library, 1, None) is None
    assert learner(stirred("modern", *SHAPES[0]), library, 1, torch.float16) is None
    assert learner(stirred("modern", *SHAPES[0]), None, 1, None) is None


def test_windows_that_would_lead_out_of_memory_are_refused(library: ctypes.CDLL) -> None:
    model, compiled = pupil(library)
    x, y = lesson(model)
    for ids, targets in (
        (x[:, :-1], y[:, :-1]), (x, y[:-1]), (x[:0], y[:0]), (x.int(), y), (x - VOCAB, y), (x, y + VOCAB), (x[0], y[0]),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"windows of|tokens from"):
            compiled.gradient(ids, targets, 1.0, 0)
