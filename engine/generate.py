"""Endless generation: a text that grows by one token at a time, with settings that may change between any
two of them.

A model sees a window of at most `block_size` tokens. `window_start` says which, as a pure function of how
many tokens there are, so what the model sees depends on the text alone and never on how the text came
about: a text that was streamed, replayed, or forked from its middle goes on alike. The cache of keys and
values is only a faster way to the same logits. No pace, no processes and no messages here: see
`engine.player`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from engine.dice import checked_seed, die
from engine.errors import UsageError
from engine.sampler import LOOP_RANGE, Distribution, SamplerSettings, distribution, draw
from engine.tokenizer import Tokenizer
from engine.window import window_start as window_start
from models.compiled import CompiledDecoder, compiled
from models.interface import Cache, LanguageModel
from models.layers import KVCache
from models.lean import lean_step

Logits = NDArray[np.float64]


def start_token(tokenizer: Tokenizer) -> int:
    """What stands in for the text when there is none yet: a newline if the vocabulary has one, else id 0."""
    newline = tokenizer.encode("\n")
    return 0 if newline.replaced or len(newline.ids) != 1 else int(newline.ids[0])


@dataclass(frozen=True)
class Choice:
    """One token that was chosen.

    Attributes:
        id: the token.
        p, raw_p: its probability after and before the sampler.
        rank: how many tokens the model itself found more likely.
        position: its index in the whole text, prompt included.
    """

    id: int
    p: float
    raw_p: float
    rank: int
    position: int


class Decoder(Protocol):
    """A way to the logits of one window at a time; whoever has a faster one may put it in `CachedDecoder`'s
    place."""

    def prefill(self, ids: Sequence[int]) -> Logits:
        """Starts a new window with `ids` (1 to block_size); the logits (V,) of what follows them."""

    def decode(self, id: int) -> Logits:
        """Appends one token to the window, which must not be full; the logits (V,) of what follows it."""


def decoder_for(model: LanguageModel) -> Decoder:
    """The fastest way to the logits of `model`, whose weights are taken as they are now."""
    form = compiled(model)
    return CachedDecoder(model) if form is None else form.decoder()


class CachedDecoder:
    """The model's forward pass with its cache: the window at once, then one token a call, by the lean way if there is one.

    Puts the model into evaluation mode and leaves it there. Its weights are taken as they are now.
    """

    def __init__(self, model: LanguageModel) -> None:
        self._model = model.eval()
        self._lean = lean_step(model)
        self._device = next((p.device for p in model.parameters()), torch.device("cpu"))
        self._cache: Cache | None = None

    def prefill(self, ids: Sequence[int]) -> Logits:
        self._cache = self._model.new_cache()
        return self._read(list(ids))

    def decode(self, id: int) -> Logits:
        if self._lean is not None and isinstance(self._cache, KVCache):
            return self._lean(id, self._cache).astype(np.float64)
        return self._read([id])

    @torch.inference_mode()
    def _read(self, ids: list[int]) -> Logits:
        logits = self._model(torch.tensor([ids], device=self._device), self._cache)[0, -1]
        vector: Logits = logits.to("cpu", torch.float64).numpy()
        return vector


class Stream:
    """A text that is being written: its tokens, its seed, and the settings in force.

    The die of a token belongs to its position in the whole text, prompt included, so a text that is forked
    at any place (its first tokens passed as a new prompt) keeps its dice. An empty text is begun as if
    after `start_id`, which is not part of the text: it serves for the first token and is then forgotten, so
    that a fork after that token agrees too.

    Attributes:
        ids: the tokens so far; change them with `append` only.
        seed: of the dice, fixed for the life of the stream.
        settings: the sampler's settings for the next token.
        settings_version: how often they were changed.
    """

    def __init__(
        self,
        model: LanguageModel,
        ids: Sequence[int] = (),
        *,
        seed: int = 0,
        settings: SamplerSettings | None = None,
        start_id: int = 0,
        decoder: Decoder | None = None,
    ) -> None:
        """Raises UsageError when the seed is out of range."""
        self.ids = list(ids)
        self.seed = checked_seed(seed)
        self.settings = settings or SamplerSettings()
        self.settings_version = 0
        self._start_id = start_id
        self._logits: Logits | None = None
        self._distribution: Distribution | None = None
        self.reload(model, decoder)

    def reload(self, model: LanguageModel, decoder: Decoder | None = None) -> None:
        """Goes on with other weights of the same vocabulary, from the very next token."""
        self._model = model
        self._block_size = model.config.block_size
        self._decoder: Decoder = decoder or decoder_for(model)
        self._window = (0, 0)  # what the decoder has read: ids[window[0]:window[1]]
        self._logits = self._distribution = None

    def peek(self) -> Logits:
        """The logits (V,) of the next token, computed once and kept until the text or the weights change."""
        if self._logits is None:
            n = len(self.ids)
            start = window_start(n, self._block_size)
            if n == 0:
                self._logits = self._decoder.prefill([self._start_id])
            elif self._one_behind():
                self._logits = self._decoder.decode(self.ids[-1])
            else:
                self._logits = self._decoder.prefill(self.ids[start:])
            self._window = (start, n)
        return self._logits

    def due(self) -> Decoder | None:
        """The decoder if it would read one token for the next logits: whoever reads it for several streams at once tells `receive`."""
        return self._decoder if self._logits is None and self._one_behind() else None

    def receive(self, logits: Logits) -> None:
        """Takes the logits (V,) of the next token, which the decoder that was `due` has computed."""
        self._logits, self._window = logits, (self._window[0], len(self.ids))

    def _one_behind(self) -> bool:
        """Whether the decoder has read the whole window but for its last token."""
        n = len(self.ids)
        return n > 1 and self._window == (window_start(n, self._block_size), n - 1)

    def fork(self, seed: int) -> Stream:
        """The same text with other dice, in a window that has read it already where the decoder can be forked."""
        self.peek()
        decoder = self._decoder.fork() if isinstance(self._decoder, CompiledDecoder) else None
        other = Stream(
            self._model, self.ids, seed=seed, settings=self.settings, start_id=self._start_id, decoder=decoder
        )
        if decoder is not None:
            other._window, other._logits = self._window, self._logits
        return other

    def distribution(self) -> Distribution:
        """What the next token is drawn from under the settings in force.

        Raises:
            CheckpointError: the weights are damaged, so that the logits are not finite.
        """
        if self._distribution is None:
            self._distribution = distribution(self.peek(), self.settings, self.ids[-LOOP_RANGE:])
        return self._distribution

    def step(self) -> Choice:
        """Draws the next token and appends it. Raises as `distribution` does."""
        dist = self.distribution()
        position = len(self.ids)
        id = draw(dist, die(self.seed, position))
        self.append(id)
        return Choice(id, float(dist.final[id]), float(dist.raw[id]), dist.rank(id), position)

    def append(self, id: int) -> None:
        """Puts a token of someone else's choice behind the text."""
        self.ids.append(id)
        self._logits = self._distribution = None

    def set(self, /, **changes: object) -> None:
        """Changes sampler settings for the very next token.

        Raises:
            SettingsError: one of them does not exist or is out of range; then none is changed.
        """
        self.settings = self.settings.replaced(changes)
        self.settings_version += 1
        self._distribution = None


@dataclass(frozen=True)
class Piece:
    """The text one token added ("" inside a character of several bytes), and how it was chosen."""

    text: str
    choice: Choice


class Continuation:
    """A stream read as text, up to a number of characters or to a text that stops it.

    What might be the beginning of a stop text is held back until it is clear whether it is. A token that
    reaches past `max_chars` is cut.

    Attributes:
        stream: the tokens and their settings.
        chars: characters written so far, held back ones included.
        ended: None while it goes on, "max" or "stop" afterwards.
    """

    def __init__(
        self, stream: Stream, tokenizer: Tokenizer, max_chars: int | None = None, stop: Sequence[str] = ()
    ) -> None:
        """`max_chars` None goes on for ever. Raises UsageError when it is negative or a stop text empty."""
        if max_chars is not None and max_chars < 0:
            raise UsageError(f"The number of characters must be 0 or more, not {max_chars}.")
        self.stream = stream
        self.chars = 0
        self.ended: str | None = "max" if max_chars == 0 else None
        self._max_chars = max_chars
        self._decoder = tokenizer.decoder()
        self._filter = StopFilter(stop)

    def advance(self) -> list[Piece]:
        """Draws one token; the pieces that are certain now, oldest first (none while all is held back)."""
        choice = self.stream.step()
        text = self._decoder.push(choice.id)
        if self._max_chars is not None:
            text = text[: self._max_chars - self.chars]
        self.chars += len(text)
        pieces = self._filter.push(Piece(text, choice))
        if self._filter.stopped:
            self.ended = "stop"
        elif self.chars == self._max_chars:
            self.ended = "max"
            pieces += self._filter.release()
        return pieces

    def release(self) -> list[Piece]:
        """Gives up what is held back, for whoever ends the text before it ended itself."""
        return self._filter.release()


def generate(
    model: LanguageModel,
    tokenizer: Tokenizer,
    prompt: str,
    n: int | None,
    settings: SamplerSettings | None = None,
    seed: int = 0,
    stop: Sequence[str] = (),
) -> Iterator[Piece]:
    """Continues `prompt` by `n` characters (None: for ever), or up to the first of the `stop` texts, which
    is left out.

    Raises:
        UsageError: the seed or the number of characters is out of range, or a stop text is empty.
        CheckpointError: the weights are damaged, so that the logits are not finite.
    """
    ids = tokenizer.encode(prompt).ids.tolist()
    was_training = model.training
    try:
        stream = Stream(model, ids, seed=seed, settings=settings, start_id=start_token(tokenizer))
        continuation = Continuation(stream, tokenizer, n, stop)
        while continuation.ended is None:
            yield from continuation.advance()
    finally:
        model.train(was_training)


class StopFilter:
    """Lets pieces of text through up to the first stop text, holding back what may turn out to begin one."""

    def __init__(self, stop: Sequence[str]) -> None:
        if any(not text for text in stop):
            raise UsageError("A text to stop at must have at least one character.")
        self.stopped = False
        self._stop = tuple(stop)
        self._held: deque[Piece] = deque()

    def push(self, piece: Piece) -> list[Piece]:
        """The pieces that are certain now; those before the stop text once it is complete (`stopped`)."""
        if not self._stop:
            return [piece]
        self._held.append(piece)
        text = "".join(held.text for held in self._held)
        # What was completed first, and of several the one that began first.
        found = [(at + len(stop), at) for stop in self._stop if (at := text.find(stop)) >= 0]
        if found:
            self.stopped = True
            released = self._take(min(found)[1])
            self._held.clear()
            return released
        return self._take(len(text) - max(_overlap(text, stop) for stop in self._stop), whole=True)

    def release(self) -> list[Piece]:
        """Everything that is held back."""
        released = list(self._held)
        self._held.clear()
        return released

    def _take(self, length: int, whole: bool = False) -> list[Piece]:
        """The pieces of the first `length` characters. One that reaches beyond is cut, or left if `whole`."""
        taken = []
        while self._held and len(self._held[0].text) <= length:
            piece = self._held.popleft()
            length -= len(piece.text)
            taken.append(piece)
        if self._held and length and not whole:
            taken.append(Piece(self._held[0].text[:length], self._held[0].choice))
        return taken


def _overlap(text: str, stop: str) -> int:
    """The length of the longest end of `text` that is a beginning of `stop`, short of all of it."""
    return next(k for k in range(min(len(stop) - 1, len(text)), -1, -1) if text.endswith(stop[:k]))
