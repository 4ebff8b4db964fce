"""Shapes of models: what is refused before anything is allocated, and the sizes that have a name."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from models import ARCHITECTURES, SIZES, ModelConfig, sized
from models.config import MAX_BLOCK, MAX_LAYERS, MAX_ORDER, MAX_VOCAB, MAX_WIDTH, heads

GOOD: dict[str, Any] = {
    "arch": "modern", "vocab_size": 65, "block_size": 64, "n_layer": 4, "n_head": 4, "n_embd": 128, "dropout": 0.1,
    "order": 0,
}  # fmt: skip
NGRAM = {"arch": "ngram", "vocab_size": 65, "block_size": 64, "order": 5}

LIMITS = {"vocab_size": MAX_VOCAB, "block_size": MAX_BLOCK, "n_layer": MAX_LAYERS, "n_embd": MAX_WIDTH}

NOT_COUNTS: list[Any] = [0, -1, True, 4.0, math.nan, math.inf, "4", None, [4], 10**400]


@pytest.mark.parametrize("name", ["vocab_size", "block_size", "n_layer", "n_head", "n_embd"])
@pytest.mark.parametrize("value", NOT_COUNTS, ids=lambda value: str(value)[:8])
def test_what_is_not_a_count_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=name):
        ModelConfig.from_json(GOOD | {name: value})


@pytest.mark.parametrize(("name", "limit"), LIMITS.items())
def test_the_limits_of_a_shape_are_included_and_no_more(name: str, limit: int) -> None:
    assert getattr(ModelConfig.from_json(GOOD | {name: limit}), name) == limit
    with pytest.raises(ValueError, match=name):
        ModelConfig.from_json(GOOD | {name: limit + 4})


@pytest.mark.parametrize(
    "value", [-0.1, 1, 1.0, True, math.nan, math.inf, -math.inf, "0.1", None, [0.1], 1j, 10**400]
)
def test_what_is_not_a_share_is_no_dropout(value: Any) -> None:
    with pytest.raises(ValueError, match="dropout"):
        ModelConfig.from_json(GOOD | {"dropout": value})


@pytest.mark.parametrize("value", [0, MAX_ORDER + 1, True, 2.5, "5", None])
def test_the_order_of_a_counting_model_is_bounded(value: Any) -> None:
    with pytest.raises(ValueError, match="order"):
        ModelConfig.from_json(NGRAM | {"order": value})


@pytest.mark.parametrize("data", [GOOD | {"order": 3}, NGRAM | {"n_layer": 2}, NGRAM | {"n_embd": "8"},
                                  NGRAM | {"dropout": 0.1}, NGRAM | {"n_head": True}])  # fmt: skip
def test_a_field_that_means_nothing_to_an_architecture_has_no_value(data: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="means nothing"):
        ModelConfig.from_json(data)


@pytest.mark.parametrize("arch", ["gpt", "", None, 3, ["modern"]])
def test_an_unknown_architecture_is_refused(arch: Any) -> None:
    with pytest.raises(ValueError, match="unknown architecture"):
        ModelConfig.from_json(GOOD | {"arch": arch})


def test_heads_share_the_width_evenly() -> None:
    with pytest.raises(ValueError, match="multiple of n_head"):
        ModelConfig.from_json(GOOD | {"n_head": 3})
    with pytest.raises(ValueError, match="n_head"):
        ModelConfig.from_json(GOOD | {"n_head": 256})


def test_rotary_positions_need_pairs_of_channels() -> None:
    odd = GOOD | {"n_embd": 12, "n_head": 4}
    with pytest.raises(ValueError, match="even"):
        ModelConfig.from_json(odd)
    assert ModelConfig.from_json(odd | {"arch": "classic"}).n_embd == 12


@pytest.mark.parametrize("data", [GOOD, NGRAM])
def test_a_shape_survives_json(data: dict[str, Any]) -> None:
    config = ModelConfig.from_json(data)
    assert ModelConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


def test_unknown_and_missing_fields_are_named() -> None:
    with pytest.raises(ValueError, match="bias, colour"):
        ModelConfig.from_json(GOOD | {"colour": "red", "bias": True})
    with pytest.raises(ValueError, match="block_size"):
        ModelConfig.from_json({"arch": "modern", "vocab_size": 65})


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("size", SIZES)
def test_every_size_is_a_shape_of_every_architecture(arch: str, size: str) -> None:
    config = sized(size, arch, 65, 0.0 if arch == "ngram" else 0.1)
    assert (config.arch, config.vocab_size, config.block_size) == (arch, 65, SIZES[size].block_size)
    if arch != "ngram":
        assert (config.n_layer, config.n_head, config.n_embd, config.dropout) == (
            SIZES[size].n_layer, heads(size, arch), SIZES[size].n_embd, 0.1,
        )  # fmt: skip


@pytest.mark.parametrize("size", SIZES)
def test_heads_of_the_modern_model_have_64_channels_or_more_where_there_is_one_alone(size: str) -> None:
    width, count = SIZES[size].n_embd, heads(size, "modern")
    assert width == 64 * count or (count == 1 and width > 64)
    assert heads(size, "classic") == SIZES[size].n_head


def test_sizes_grow_and_their_blocks_hold_what_the_names_say() -> None:
    named = [float(name.removesuffix("m")) * 1e6 for name in SIZES]
    blocks = [12 * s.n_layer * s.n_embd**2 for s in SIZES.values()]
    assert named == sorted(named)
    assert blocks == pytest.approx(named, rel=0.15)


def test_an_unknown_size_is_refused_with_the_list() -> None:
    with pytest.raises(ValueError, match=r"unknown size '2m'.*0\.1m.*30m"):
        sized("2m", "modern", 65)
