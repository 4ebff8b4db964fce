"""Several continuations of one prompt at the same time, each the text that it would be alone.

The prompt is read once, and the weights once for all characters that are due: a model that is larger than the cache spends most of a
character in fetching them. Where there is no compiled kernel the texts take turns.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from engine.generate import Continuation, Piece, Stream, start_token
from engine.sampler import SamplerSettings
from engine.tokenizer import Tokenizer
from models.compiled import Compiled, CompiledDecoder
from models.interface import LanguageModel


def peek_together(streams: Sequence[Stream]) -> None:
    """Computes the next logits of each as its `peek` would, in one pass over the weights for all that can share it."""
    shared: dict[Compiled, list[tuple[Stream, CompiledDecoder]]] = defaultdict(list)
    for stream in streams:
        if isinstance(decoder := stream.due(), CompiledDecoder):
            shared[decoder.weights].append((stream, decoder))
    for group in shared.values():
        if len(group) > 1:
            logits = CompiledDecoder.decode_each([d for _, d in group], [s.ids[-1] for s, _ in group])
            for (stream, _), row in zip(group, logits, strict=True):
                stream.receive(row)
    for stream in streams:
        stream.peek()


def generate_several(
    model: LanguageModel,
    tokenizer: Tokenizer,
    prompt: str,
    n: int | None,
    settings: SamplerSettings | None = None,
    seeds: Sequence[int] = (0, 1),
    stop: Sequence[str] = (),
) -> Iterator[tuple[int, list[Piece]]]:
    """Continues `prompt` once with each of `seeds`; each text is that which `engine.generate.generate` writes with its seed.

    Yields:
        which of them (its index), and its next pieces; a text that has ended says nothing any more.

    Raises:
        UsageError, CheckpointError: as `generate`.
    """
    ids = tokenizer.encode(prompt).ids.tolist()
    was_training = model.training
    try:
        first = Stream(model, ids, seed=seeds[0], settings=settings, start_id=start_token(tokenizer))
        streams = [first, *(first.fork(seed) for seed in seeds[1:])]
        texts = [Continuation(stream, tokenizer, n, stop) for stream in streams]
        while going := [i for i, text in enumerate(texts) if text.ended is None]:
            peek_together([streams[i] for i in going])
            for i in going:
                yield i, texts[i].advance()
    finally:
        model.train(was_training)
