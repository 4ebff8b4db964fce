"""How surprised a model is by any text: the negative log probability, in nats, that it gave to every
character.

Every token is scored exactly once, with the window that generation would have had at that place
(`engine.generate.window_start`), so the number for a character is the one that the playground shows for it.
The validation loss of a training run is another number: it is `engine.evaluate`'s, with windows that do not
overlap.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from engine.errors import CheckpointError
from engine.generate import start_token, window_start
from engine.sampler import DAMAGED
from engine.tokenizer import Replacement, Tokenizer
from models.interface import LanguageModel

# Windows are read in chunks of at most this many tokens and this many logits: fast, and small enough for any
# memory (4 M logits are 32 MB in float64).
CHUNK_TOKENS = 8192
CHUNK_LOGITS = 4_000_000


@dataclass(frozen=True, eq=False)
class Score:
    """A text and the surprise at each of its tokens.

    Attributes:
        pieces: (N,) the text each token completes: one character of a character model; "" inside a
            character of several bytes, which is then completed by its last byte.
        nats: (N,) float64, -ln p of each token; inf where the model held it for impossible.
        replaced: the characters the vocabulary lacks and what was scored in their place.
    """

    pieces: tuple[str, ...]
    nats: NDArray[np.float64]
    replaced: tuple[Replacement, ...]

    @property
    def chars(self) -> int:
        """Characters scored: those of the text, without the dropped ones."""
        return sum(map(len, self.pieces))

    @property
    def nats_per_char(self) -> float | None:
        """Mean surprise of a character, comparable between tokenizers; None if there was nothing to score."""
        return float(self.nats.sum()) / self.chars if self.chars else None

    @property
    def bits_per_char(self) -> float | None:
        """The same in bits."""
        nats = self.nats_per_char
        return None if nats is None else nats / math.log(2)


def score(model: LanguageModel, tokenizer: Tokenizer, text: str) -> Score:
    """Scores every token of `text`; the first as if after the newline with which generation begins, too.

    Raises:
        CheckpointError: the weights are damaged, so that the logits are not finite.
    """
    encoding = tokenizer.encode(text)
    decoder = tokenizer.decoder()
    pieces = [decoder.push(id) for id in encoding.ids.tolist()]
    if pieces:
        pieces[-1] += decoder.flush()
    nats = token_nats(model, encoding.ids, start_token(tokenizer))
    return Score(tuple(pieces), nats, encoding.replaced)


@torch.inference_mode()
def token_nats(
    model: LanguageModel, ids: NDArray[np.int64], start_id: int, chunk_tokens: int = CHUNK_TOKENS
) -> NDArray[np.float64]:
    """(N,) -ln p of ids (N,), each given the tokens in its window, the first given `start_id` alone.

    The first window is read whole; each later one begins where its predecessor's last half begins, and adds
    the scores that lie beyond it. That is the hop of `window_start`, read many windows at a time.

    Raises:
        CheckpointError: as `score` does.
    """
    block, vocab = model.config.block_size, model.config.vocab_size
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    n = len(ids)
    nats = np.empty(n)
    if n == 0:
        return nats
    hop = block - block // 2
    starts = range(0, window_start(n - 1, block) + 1, hop) if n > 1 else range(0)
    rows = max(1, min(chunk_tokens // block, CHUNK_LOGITS // (block * vocab)))
    # Behind the last token stands padding: a model that looks only back never notices it.
    padded = np.concatenate([ids.astype(np.int64), np.zeros(block, dtype=np.int64)])
    was_training = model.training
    model.eval()
    first = model(torch.tensor([[start_id]], device=device))[0, 0]
    nats[0] = -float(F.log_softmax(first.double(), dim=-1)[int(ids[0])])
    for i in range(0, len(starts), rows):
        batch = starts[i : i + rows]
        windows = torch.from_numpy(np.stack([padded[s : s + block + 1] for s in batch])).to(device)
        logits = model(windows[:, :-1]).double()  # (rows, block, V)
        losses = F.cross_entropy(logits.transpose(1, 2), windows[:, 1:], reduction="none").cpu().numpy()
        for s, window in zip(batch, losses, strict=True):  # window[t] is the surprise at token s + t + 1
            known = block - hop if s else 0
            end = min(n, s + block + 1)
            nats[s + known + 1 : end] = window[known : end - s - 1]
    model.train(was_training)
    if np.isnan(nats).any():
        raise CheckpointError(DAMAGED)
    return nats
