"""The player: a warm process that writes text with a model while someone turns its knobs.

It reads requests from stdin and writes replies to stdout, one JSON object a line (`engine.protocol`), and
nothing else. One thread does everything in turn: obey what has arrived, then write one character if one is due.
So a changed setting always meets the very next character, and none is computed before it is due. It never
writes a file and dies with whoever started it. What it leaves out: how text is made (`engine.generate`), and
training.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from engine import protocol
from engine.checkpoint import At
from engine.errors import TinygptError, UsageError
from engine.generate import CachedDecoder, Continuation, Piece, Stream, start_token
from engine.loading import load
from engine.manifest import step_of
from engine.runs import RunFolder, check_name
from engine.sampler import Distribution, SamplerSettings
from engine.scoring import score
from engine.tokenizer import Tokenizer
from models.interface import LanguageModel

BATCH_SECONDS = 0.033
LOOK_SECONDS = 0.5
MAX_WAIT_SECONDS = 3600.0  # the system's clock cannot wait for ever
# A pace that could not be kept is caught up on by at most this much, or a hiccup would end in a burst.
LATE_SECONDS = 0.1
# Below this size the threads of a matrix product wait for each other longer than they compute.
SMALL_PARAMS = 5_000_000
MAX_SCORE_CHARS = 100_000
MAX_TOKENS_A_CHAR = 8


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


@dataclass
class _Writing:
    """The generation under way.

    Attributes:
        rate: characters a second, None flat out, 0 paused.
        due: when the next character is to be written, in the clock's seconds.
        batch: what was written and not sent; the oldest was ready at `since`.
        heard: whether anything was sent yet. The first character is not kept waiting for a batch.
        drawn: position and distribution of the last token drawn.
    """

    id: int
    text: Continuation
    rate: float | None
    due: float
    batch: list[Piece] = field(default_factory=list)
    since: float = 0.0
    heard: bool = False
    drawn: tuple[int, Distribution] | None = None

    @property
    def stream(self) -> Stream:
        return self.text.stream

    @property
    def paused(self) -> bool:
        return self.rate == 0


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
        set_threads: Callable[[int], None] = torch.set_num_threads,
    ) -> None:
        """`threads` None: one while the followed run trains or for a small model, else torch's own number."""
        self._library, self._mail, self._send = library, mail, send
        self._clock, self._set_threads, self._threads = clock, set_threads, threads
        self._all_threads = torch.get_num_threads()
        self._model: _Model | None = None
        self._writing: _Writing | None = None
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
            self._write(self._writing, now)

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
        self._flush()
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
        self._writing = _Writing(request.id, text, request.chars_per_s, self._clock())
        replaced = tuple(protocol.Replaced(r.position, r.char, r.by) for r in encoding.replaced)
        self._send(protocol.Started(request.id, len(stream.ids), settings.to_json(), replaced))
        if text.ended:
            self._end(text.ended)
        elif self._writing.paused:
            self._send_next(self._writing)

    def _on_set(self, request: protocol.Set) -> None:
        writing = self._at_work(request.id)
        writing.stream.set(**request.sampler)
        now = writing.stream.settings.to_json()
        self._changed(writing, {name: now[name] for name in request.sampler})

    def _on_pace(self, request: protocol.Pace) -> None:
        writing = self._at_work(request.id)
        now = self._clock()
        if writing.paused or not request.chars_per_s:
            writing.due = now
        else:
            writing.due = min(writing.due, now + 1 / request.chars_per_s)
        writing.rate = request.chars_per_s
        self._changed(writing, {"chars_per_s": request.chars_per_s})

    def _on_step(self, request: protocol.Step) -> None:
        writing = self._at_work(request.id)
        if not writing.paused:
            raise UsageError(f"Generation {request.id} is not paused; set its pace to 0 to go step by step.")
        chars = writing.text.chars
        for _ in range(MAX_TOKENS_A_CHAR):
            self._draw(writing)
            if self._writing is not writing or writing.text.chars > chars:
                break
        if self._writing is writing:
            self._flush(with_dist=False)
            self._send_next(writing)

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
        shown = _shown(stream.distribution(), model.symbols)
        self._send(protocol.Explained(request.id, request.at, len(ids), c, *shown))

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

    def _at_work(self, id: int) -> _Writing:
        if self._writing is None or self._writing.id != id:
            raise UsageError(f"No generation {id} is under way.")
        return self._writing

    def _use(self, run: str, weights: Weights) -> None:
        """Puts a model in place of the loaded one; what the old one was writing ends."""
        symbols = [weights.tokenizer.symbol(id) for id in range(weights.tokenizer.vocab_size)]
        self._end("replaced")
        self._model = _Model(run, weights, symbols, start_token(weights.tokenizer))
        self._tune()
        CachedDecoder(weights.model).prefill([0])  # the first pass is slow; nobody is waiting yet
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
        self._flush()
        old.weights = weights
        if self._writing:
            self._writing.stream.reload(weights.model)
            self._changed(self._writing, {"weights": weights.step})
        else:
            self._send(protocol.Changed(None, None, {"weights": weights.step}))

    def _tune(self) -> None:
        """One thread beside a trainer, which needs the others, and for a model too small to share out."""
        threads = self._threads
        if threads is None:
            training = False
            with contextlib.suppress(TinygptError):
                training = self._followed is not None and self._library.is_training(self._followed)
            small = self._model is None or self._model.weights.model.num_params() < SMALL_PARAMS
            threads = 1 if training or small else self._all_threads
        self._set_threads(threads)

    def _write(self, writing: _Writing, now: float) -> None:
        """Writes the token that is due and sends the batch if it cannot wait for the next one."""
        before = writing.text.chars
        self._draw(writing)
        if self._writing is not writing:
            return
        after = self._clock()
        if writing.rate:
            earliest = after - LATE_SECONDS
            writing.due = max(writing.due + (writing.text.chars - before) / writing.rate, earliest)
        else:
            writing.due = after
        ready_next = max(writing.due, after) + (after - now)
        if not writing.heard or ready_next > writing.since + BATCH_SECONDS:
            self._flush()

    def _draw(self, writing: _Writing) -> None:
        """Draws one token into the batch; ends the generation if it was the last."""
        writing.drawn = (len(writing.stream.ids), writing.stream.distribution())
        pieces = writing.text.advance()
        if not writing.batch:
            writing.since = self._clock()
        writing.batch += pieces
        if writing.text.ended:
            self._end(writing.text.ended)

    def _flush(self, with_dist: bool = True) -> None:
        """Sends what has been written."""
        writing = self._writing
        if writing is None or not writing.batch:
            return
        batch, writing.batch, writing.heard = writing.batch, [], True
        chars = tuple(protocol.Char(p.text, p.choice.p, p.choice.raw_p, p.choice.rank) for p in batch)
        version = writing.stream.settings_version
        self._send(protocol.Text(writing.id, batch[0].choice.position, chars, version))
        if with_dist and writing.drawn:
            at, dist = writing.drawn
            self._send(protocol.Dist(writing.id, at, *_shown(dist, self._loaded().symbols)))

    def _send_next(self, writing: _Writing) -> None:
        """Sends the distribution of the token to come."""
        shown = _shown(writing.stream.distribution(), self._loaded().symbols)
        self._send(protocol.Dist(writing.id, len(writing.stream.ids), *shown))

    def _changed(self, writing: _Writing, settings: Mapping[str, float | None]) -> None:
        """Reports a change that the next token will meet, and what it means for that one while paused."""
        stream = writing.stream
        self._send(protocol.Changed(writing.id, len(stream.ids), settings, stream.settings_version))
        if writing.paused:
            self._send_next(writing)

    def _end(self, reason: str) -> None:
        """Ends the generation, if there is one, with everything it wrote."""
        if self._writing is None:
            return
        writing = self._writing
        writing.batch += writing.text.release()
        self._flush()
        self._writing = None
        self._send(protocol.Done(writing.id, reason))


class Inbox:
    """Lines from a file descriptor, read between two characters: a thread would hand them over late."""

    def __init__(self, fd: int, wake_fd: int) -> None:
        """A byte on `wake_fd` counts as the end of the input."""
        self._fd, self._wake_fd = fd, wake_fd
        self._buffer = bytearray()
        self._skipping = False  # the rest of a line that was too long
        self._ended = False

    def get(self, timeout: float | None) -> bytes | None:
        """The next line, b"" at the end of the input, None after `timeout` seconds or half a line."""
        line = self._line()
        if line is not None or self._ended:
            return line or b""
        ready, _, _ = select.select([self._fd, self._wake_fd], [], [], timeout)
        if self._wake_fd in ready:
            self._ended = True
            return b""
        if not ready:
            return None
        chunk = os.read(self._fd, 1 << 16)
        self._ended = not chunk
        self._buffer += chunk or b"\n"  # a last line may lack its end
        line = self._line()
        return b"" if line is None and self._ended else line

    def _line(self) -> bytes | None:
        """The next line in the buffer that is not blank; one that is too long as far as it has come."""
        while (end := self._buffer.find(b"\n")) >= 0:
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            if not self._skipping and line.strip():
                return line
            self._skipping = False
        if self._skipping:
            self._buffer.clear()
        elif len(self._buffer) > protocol.MAX_LINE:
            line = bytes(self._buffer)
            self._buffer.clear()
            self._skipping = True
            return line
        return None


class RunLibrary:
    """The runs of one folder, or, without one, the run folders that the requests name."""

    def __init__(self, runs_dir: Path | None) -> None:
        self._runs_dir = runs_dir

    def load(self, run: str, at: str) -> Weights:
        which: At = int(at) if at.isdecimal() else "last" if at == "last" else "best"
        return load(self._folder(run), which)

    def newest(self, run: str) -> int | None:
        try:
            steps = [step_of(path) for path in self._folder(run).checkpoints.iterdir()]
        except OSError:
            return None
        return max((step for step in steps if step is not None), default=None)

    def is_training(self, run: str) -> bool:
        return self._folder(run).is_locked()

    def _folder(self, run: str) -> RunFolder:
        if self._runs_dir is None:
            if "\0" in run:
                raise UsageError("A path cannot hold a null character.")
            return RunFolder(Path(run))
        check_name(run)
        return RunFolder(self._runs_dir / run)


def main(argv: Sequence[str]) -> int:
    """Plays on stdin and stdout until either is closed. 0, or 128 + the signal that ended it."""
    parser = argparse.ArgumentParser(prog="python -m engine play", description="Plays a run over a pipe.")
    parser.add_argument("--runs", type=Path, help="the folder of the runs; without it requests name paths")
    parser.add_argument("--threads", type=int, choices=range(1, 257), metavar="N", help="1 to 256")
    options = parser.parse_args(argv)
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    signals: list[int] = []

    def leave(signum: int, _frame: object) -> None:
        signals.append(signum)
        with contextlib.suppress(BlockingIOError):
            os.write(wake_write, b"!")

    for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(signum, leave)
    # Replies get a descriptor of their own, so that no stray print of a library can end up among them.
    out = os.dup(1)
    os.dup2(2, 1)

    def send(reply: protocol.Reply) -> None:
        rest = memoryview(protocol.to_line(reply))
        while rest:
            # Whoever has stopped reading must not keep us from leaving, so only what there is room for is written.
            _, room, _ = select.select([wake_read], [out], [])
            if not room:
                raise BrokenPipeError
            rest = rest[os.write(out, rest[: select.PIPE_BUF]) :]

    player = Player(RunLibrary(options.runs), Inbox(0, wake_read), send, threads=options.threads)
    with contextlib.suppress(BrokenPipeError):
        player.run()
    return 128 + signals[0] if signals else 0


def _shown(
    dist: Distribution, symbols: Sequence[str]
) -> tuple[tuple[protocol.Symbol, ...], protocol.Rest | None, tuple[protocol.StageReport, ...]]:
    """A distribution as it is sent: the likeliest symbols, the rest summed, and what the stages removed."""
    order = np.argsort(-dist.raw, kind="stable")
    top, others = order[: protocol.DIST_SYMBOLS], order[protocol.DIST_SYMBOLS :]
    listed = tuple(
        protocol.Symbol(symbols[i], float(dist.raw[i]), float(dist.final[i])) for i in top.tolist()
    )
    rest = None
    if len(others):
        rest = protocol.Rest(len(others), float(dist.raw[others].sum()), float(dist.final[others].sum()))
    return listed, rest, tuple(protocol.StageReport(s.name, s.removed, s.mass) for s in dist.stages)


def _alike(old: Weights, new: Weights) -> bool:
    """Whether a text can go on with other weights."""
    return old.model.config == new.model.config and old.tokenizer.to_json() == new.tokenizer.to_json()
