"""What reads single things: tensors, recipes, tokenizers, messages."""

from __future__ import annotations

import json
import random
from contextlib import suppress
from pathlib import Path

from engine import protocol, storage
from engine.errors import TinygptError
from engine.reading import parse_json
from engine.recipe import KNOBS, Recipe, parse_value
from engine.tokenizer import Tokenizer, tokenizer_from_json, train_tokenizer
from tests.soak import mutation
from tests.soak.sound_files import CANARY, TEXT, Case, judged


def tensors(place: Path) -> Case:
    """The bytes of a file of tensors."""
    import torch

    from engine import packing
    from engine import tensors as ours

    torch.manual_seed(1)
    sound = [
        ours.to_bytes({"a": torch.randn(8, 8), "b": torch.randn(8), "step": torch.zeros(())}),
        ours.to_bytes(
            packing.packed(
                {
                    "m": torch.round(torch.randn(8, 8) * 4),
                    "lm_head.weight": torch.ones(3, 8),
                    "n": torch.ones(4),
                }
            )
        ),
        ours.to_bytes({"keys_1": torch.arange(9), "counts_1": torch.ones(9, dtype=torch.int32)}),
    ]

    pickled = f"cbuiltins\nopen\n(S'{place / CANARY}'\nS'w'\ntR.".encode()

    def read(data: bytes) -> None:
        found = ours.from_bytes(data, "model.safetensors")
        assert sum(t.numel() * t.element_size() for t in found.values()) <= len(data)
        weights = packing.unpacked(found)
        ours.check_finite(weights, "model.safetensors")
        assert sum(t.numel() * t.element_size() for t in weights.values()) <= 2 * len(data)

    def case(dice: random.Random) -> str:
        data = mutation.safetensors_of(dice, dice.choice(sound)) if dice.random() < 0.99 else pickled
        return judged(lambda: read(data))

    return case


def recipes(place: Path) -> Case:
    """Recipes, and values of `--set`."""
    sound = Recipe().to_json()
    sound["plans"] = [
        {"step": 0, "start": 0, "horizon": 9, "timed": True},
        {"step": 4, "start": 4, "horizon": 12, "timed": False},
    ]
    sound["rate_changes"] = [{"id": "a", "step": 3, "factor": 0.5}]

    def read(data: bytes) -> None:
        told = parse_json(data)
        if told is not None:
            recipe = Recipe.from_json(told)
            recipe.model_config(65)
            storage.dump_json(recipe.to_json())

    def case(dice: random.Random) -> str:
        if dice.random() < 0.2:
            text = dice.choice((*mutation.TOKENS, dice.randbytes(8).decode("latin-1")))
            return judged(lambda: parse_value(dice.choice(list(KNOBS)), text))
        data = mutation.json_of(dice, sound)
        return judged(lambda: read(data))

    return case


def tokenizers(place: Path) -> Case:
    """Tokenizers of every kind; what is accepted must work."""
    sound = [train_tokenizer("chars", TEXT + "äöü€🦊").to_json(), train_tokenizer("bytes", TEXT).to_json()]
    with suppress(TinygptError):  # its library is optional
        sound.append(train_tokenizer("bpe", TEXT * 30, 280).to_json())

    def use(tokenizer: Tokenizer) -> None:
        ids = tokenizer.encode(TEXT + "\ud800").ids
        assert isinstance(tokenizer.decode(ids), str)
        assert all(isinstance(tokenizer.symbol(id), str) for id in (0, tokenizer.vocab_size - 1))
        assert tokenizer.to_json()["kind"] == tokenizer.kind

    def read(data: bytes) -> None:
        told = parse_json(data)
        if told is not None:
            use(tokenizer_from_json(told))

    def case(dice: random.Random) -> str:
        told = dice.choice(sound)
        if told["kind"] == "bpe" and dice.random() < 0.8:  # the library's own JSON, inside of ours
            inner = mutation.json_of(dice, json.loads(str(told["tokenizer"])), 2).decode("utf-8", "replace")
            data = json.dumps({**told, "tokenizer": inner}).encode()
        else:
            data = mutation.json_of(dice, told)
        return judged(lambda: read(data))

    return case


def messages(place: Path) -> Case:
    """What the interface and the player say to each other."""
    asked = [protocol.Load("fox", "last"), protocol.Generate(1, "Once", {"temperature": 0.5}, 7, 100, ("x",), 60.0),
             protocol.Set(1, {"top_k": 3}), protocol.Pace(1, None), protocol.Explain("abc", 1), protocol.Score("abc"), protocol.Follow(None)]  # fmt: skip
    said = [protocol.Ready("fox", 10, "modern", 9, 9, 8, {"user": ">", "model": "<"}, 1.5, ("x",)),
            protocol.Text(1, 0, (protocol.Char("a", 0.5, 0.5, 0),), 0), protocol.Changed(1, 3, {"top_k": 4}),
            protocol.Dist(1, 0, (protocol.Symbol("a", 0.5, 0.5),), protocol.Rest(3, 0.1, 0.1), (protocol.StageReport("top_k", 1, 0.1),)),
            protocol.Done(1, "max"), protocol.Error(None, "x")]  # fmt: skip
    sound = [(protocol.parse_request, json.loads(protocol.to_line(m))) for m in asked]
    sound += [(protocol.parse_reply, json.loads(protocol.to_line(m))) for m in said]  # type: ignore[misc]

    def case(dice: random.Random) -> str:
        parse, message = dice.choice(sound)
        line = mutation.json_of(dice, message)

        def read() -> None:
            protocol.request_id(line)
            protocol.to_line(parse(line))

        return judged(read)

    return case
