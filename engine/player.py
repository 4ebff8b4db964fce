"""The player: a warm process that writes text with a model while someone turns its knobs.

One thread does everything in turn: obey what has arrived, then write one character if one is due. So a changed
setting always meets the very next character, and none is computed before it is due. What it leaves out: the
process around it (`engine.player_process`), the pace of one text (`engine.player_writing`), how text is made
(`engine.generate`), and training.
"""

from __future__ import annotations

import contextlib
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from engine import protocol
from engine.device import use_for_playing
from engine.errors import TinygptError, UsageError
from engine.generate import Continuation, Stream, decoder_for, start_token
from engine.player_writing import Writing, shown
from engine.sampler import SamplerSettings
from engine.scoring import score
from engine.tokenizer import Tokenizer
from models.interface import LanguageModel

LOOK_SECONDS = 0.5
MAX_WAIT_SECONDS = 3600.0  # the system's clock cannot wait for ever
MAX_SCORE_CHARS = 100_000


class Weights(Protocol):
    """A checkpoint as `engine.loading.load` returns it."""

    @property
    def model(self) -> LanguageModel: ...
    @property
    def tokenizer(self) -> Tokenizer: ...
    @property
    def step(self) -> int: ...
    @property
    def val_loss(self) -> float | None: ...
    @property
    def turns(self) -> Mapping[str, str] | None: ...
    @property
    def skipped(self) -> Sequence[object]: ...


class Library(Protocol):
    """Where runs are found; all three raise TinygptError when the run cannot be read."""

    def load(self, run: str, at: str) -> Weights:
        """The checkpoint `at` ("best", "last" or a step) of a run."""

    def newest(self, run: str) -> int | None:
        """The step of its newest checkpoint, which may turn out to be damaged; None if there is none yet."""

    def is_training(self, run: str) -> bool:
        """Whether a trainer lives."""


class Mail(Protocol):
    """Where requests come from."""

    def get(self, timeout: float | None) -> bytes | None:
        """The next line, b"" at the end of the input, or None if none came within `timeout` seconds."""


@dataclass
class _Model:
    """What is loaded."""

    run: str
    weights: Weights
    symbols: list[str]  # by id, for distributions
    start_id: int


class Player:
    """One model, at most one generation, and the loop that serves them."""

    def __init__(
        self,
        library: Library,
        mail: Mail,
        send: Callable[[protocol.Reply], None],
        *,
        threads: int | None = None,
        clock: Callable[[], float] = time.monotonic,
        use_threads: Callable[[LanguageModel, int | None], None] = use_for_playing,
    ) -> None:
        """`threads` None: one while the followed run trains, else as many as pay."""
        self._library, self._mail, self._send = library, mail, send
        self._clock, self._use_threads, self._threads = clock, use_threads, threads
        self._model: _Model | None = None
        self._writing: Writing | None = None
        self._followed: str | None = None
        self._look_at = 0.0
        self._seen: int | None = (
            None  # the newest checkpoint that was tried, so that a damaged one is tried once
        )

    def run(self) -> None:
        """Serves until it is asked to quit or the input ends. Raises BrokenPipeError when nobody listens."""
        while True:
            line = self._mail.get(self._patience())
            if line is None:
                self._guarded(self._work, self._writing.id if self._writing else None, at_work=True)
            elif line == b"" or not self._obey(line):
                break
        self._end("closed")

    def _patience(self) -> float | None:
        """Seconds until there is something to do without being asked; None: nothing."""
        deadlines = [self._look_at] if self._followed is not None else []
        if self._writing and not self._writing.paused:
            deadlines.append(self._writing.due)
        return min(max(0.0, min(deadlines) - self._clock()), MAX_WAIT_SECONDS) if deadlines else None

    def _work(self) -> None:
        """Does one thing that is due, so that requests are looked at between any two of them."""
        now = self._clock()
        if self._followed is not None and now >= self._look_at:
            self._look_at = now + LOOK_SECONDS
            self._look(self._followed)
        elif self._writing and not self._writing.paused and now >= self._writing.due:
            self._writing.write()
            self._end_if_written()

    def _obey(self, line: bytes) -> bool:
        """Answers one request. False: it was the last."""
        try:
            request = protocol.parse_request(line)
        except protocol.ProtocolError as error:
            self._send(protocol.Error(protocol.request_id(line), str(error)))
            return True
        if isinstance(request, protocol.Quit):
            return False
        # What was written under the old settings is sent before anything changes.
        if self._writing:
            self._writing.flush()
        handler: Callable[[Any], None] = getattr(self, f"_on_{type(request).__name__.lower()}")
        self._guarded(lambda: handler(request), getattr(request, "id", None))
        return True

    def _guarded(self, action: Callable[[], None], id: int | None, at_work: bool = False) -> None:
        """Does it; whatever goes wrong becomes an `Error`, and a text that cannot go on ends."""
        try:
            action()
        except BrokenPipeError:
            raise
        except TinygptError as error:
            self._send(protocol.Error(id, str(error)))
            if at_work:
                self._end("failed")
        except Exception as error:
            traceback.print_exc(file=sys.stderr)
            self._send(protocol.Error(id, f"The player failed: {type(error).__name__}: {error}"))
            self._end("failed")

    def _on_load(self, request: protocol.Load) -> None:
        self._use(request.run, self._library.load(request.run, request.at))

    def _on_follow(self, request: protocol.Follow) -> None:
        if request.run is not None:
            self._library.newest(request.run)  # a wrong name is refused here and now
        self._followed, self._seen = request.run, None
        self._look_at = self._clock()

    def _on_generate(self, request: protocol.Generate) -> None:
        model = self._loaded()
        settings = SamplerSettings().replaced(request.sampler)
        tokenizer = model.weights.tokenizer
        encoding = tokenizer.encode(request.text)
        stream = Stream(
            model.weights.model,
            encoding.ids.tolist(),
            seed=request.seed,
            settings=settings,
            start_id=model.start_id,
        )
        text = Continuation(stream, tokenizer, request.max, request.stop)
        self._end("replaced")
        self._writing = Writing(
            request.id,
            text,
            request.chars_per_s,
            symbols=model.symbols,
            send=self._send,
            clock=self._clock,
        )
        self._tune()
        replaced = tuple(protocol.Replaced(r.position, r.char, r.by) for r in encoding.replaced)
        self._send(protocol.Started(request.id, len(stream.ids), settings.to_json(), replaced))
        self._end_if_written()
        if self._writing and self._writing.paused:
            self._writing.send_next()

    def _on_set(self, request: protocol.Set) -> None:
        writing = self._at_work(request.id)
        writing.stream.set(**request.sampler)
        now = writing.stream.settings.to_json()
        writing.changed({name: now[name] for name in request.sampler})

    def _on_pace(self, request: protocol.Pace) -> None:
        self._at_work(request.id).pace(request.chars_per_s)

    def _on_step(self, request: protocol.Step) -> None:
        writing = self._at_work(request.id)
        if not writing.paused:
            raise UsageError(f"Generation {request.id} is not paused; set its pace to 0 to go step by step.")
        writing.step()
        self._end_if_written()

    def _on_stop(self, request: protocol.Stop) -> None:
        if self._writing and self._writing.id == request.id:
            self._end("stopped")

    def _on_explain(self, request: protocol.Explain) -> None:
        model = self._loaded()
        if request.at > len(request.text):
            raise UsageError(f"The text has {len(request.text)} characters; there is none at {request.at}.")
        ids = model.weights.tokenizer.encode(request.text[: request.at]).ids.tolist()
        settings = SamplerSettings().replaced(request.sampler)
        stream = Stream(model.weights.model, ids, settings=settings, start_id=model.start_id)
        c = request.text[request.at : request.at + 1] or None
        parts = shown(stream.distribution(), model.symbols)
        self._send(protocol.Explained(request.id, request.at, len(ids), c, *parts))

    def _on_score(self, request: protocol.Score) -> None:
        model = self._loaded()
        if len(request.text) > MAX_SCORE_CHARS:
            raise UsageError(f"At most {MAX_SCORE_CHARS:,} characters are scored here; score a file instead.")
        result = score(model.weights.model, model.weights.tokenizer, request.text)
        reply = protocol.Scored(
            request.id,
            result.pieces,
            tuple(result.nats.tolist()),
            result.chars,
            result.nats_per_char,
            result.bits_per_char,
            tuple(protocol.Replaced(r.position, r.char, r.by) for r in result.replaced),
        )
        self._send(reply)

    def _loaded(self) -> _Model:
        if self._model is None:
            raise UsageError("No model is loaded; load a run first.")
        return self._model

    def _at_work(self, id: int) -> Writing:
        if self._writing is None or self._writing.id != id:
            raise UsageError(f"No generation {id} is under way.")
        return self._writing

    def _use(self, run: str, weights: Weights) -> None:
        """Puts a model in place of the loaded one; what the old one was writing ends."""
        symbols = [weights.tokenizer.symbol(id) for id in range(weights.tokenizer.vocab_size)]
        self._end("replaced")
        self._model = _Model(run, weights, symbols, start_token(weights.tokenizer))
        self._tune()
        decoder_for(weights.model).prefill([0])  # the first pass is slow; nobody is waiting yet
        config = weights.model.config
        ready = protocol.Ready(
            run,
            weights.step,
            config.arch,
            weights.model.num_params(),
            config.vocab_size,
            config.block_size,
            weights.turns,
            weights.val_loss,
            tuple(map(str, weights.skipped)),
        )
        self._send(ready)

    def _look(self, run: str) -> None:
        """Reads a newer checkpoint of the followed run if there is one, even in the middle of a text."""
        self._tune()
        newest = self._library.newest(run)
        old = self._model if self._model and self._model.run == run else None
        if newest is None or newest == self._seen:
            return
        self._seen = newest
        if old and old.weights.step == newest:
            return
        try:
            weights = self._library.load(run, "last")
        except TinygptError as error:
            self._send(protocol.Error(None, str(error)))  # the text goes on with the weights it has
            return
        if old and old.weights.step == weights.step:
            return
        if not old or not _alike(old.weights, weights):
            self._use(run, weights)
            return
        if self._writing:
            self._writing.flush()
        old.weights = weights
        if self._writing:
            self._writing.stream.reload(weights.model)
            self._writing.changed({"weights": weights.step})
        else:
            self._send(protocol.Changed(None, None, {"weights": weights.step}))

    def _tune(self) -> None:
        """One thread beside the trainer of the followed run; else as many as pay on the machine as it is now."""
        threads = self._threads
        if threads is None:
            with contextlib.suppress(TinygptError):
                threads = (
                    1 if self._followed is not None and self._library.is_training(self._followed) else None
                )
        if self._model is not None:
            self._use_threads(self._model.weights.model, threads)

    def _end_if_written(self) -> None:
        if self._writing and self._writing.text.ended:
            self._end(self._writing.text.ended)

    def _end(self, reason: str) -> None:
        """Ends the generation, if there is one, with everything it wrote."""
        if self._writing is None:
            return
        writing = self._writing
        writing.release()
        self._writing = None
        self._send(protocol.Done(writing.id, reason))


def _alike(old: Weights, new: Weights) -> bool:
    """Whether a text can go on with other weights."""
    return old.model.config == new.model.config and old.tokenizer.to_json() == new.tokenizer.to_json()
