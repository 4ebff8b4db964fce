"""What benchmarks play with: runs of every size that are made in seconds, and the player on pipes as an interface has it.

A run's weights are hardly trained, which costs a forward pass nothing: its speed does not depend on what the weights are.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.shared import ROOT, failed, home_environment, run
from engine.corpus import read_corpus
from engine.errors import RunError
from engine.protocol import Error, Generate, Load, Ready, Reply, Request, Text, parse_reply, to_line

CHARS = 60_000  # of the text that a run learns: enough for the longest window, little to evaluate


def name_of(arch: str, size: str) -> str:
    """What the run of that model is called in a home."""
    return f"{arch}-{size.replace('.', '-')}"


def make_run(home: Path, arch: str, size: str, steps: int = 2, *settings: str) -> Path:
    """Trains a model by the real command in `home`, for a few steps; its run folder. Raises RunError when that fails.

    Args:
        settings: more of `--set`, such as "batch_size=2".
    """
    text = home.parent / "text.txt"
    if not text.exists():
        text.write_text(read_corpus("tales").text[:CHARS], encoding="utf-8")
    name = name_of(arch, size)
    options = [part for setting in ("sample_chars=0", *settings) for part in ("--set", setting)]
    train = [
        "train",
        str(text),
        "--arch",
        arch,
        "--size",
        size,
        "--steps",
        str(steps),
        "--name",
        name,
        "--quiet",
    ]
    run([sys.executable, "-m", "tinygpt_tui", *train, *options], home_environment(home, kernels=True))
    return home / "data" / "runs" / name


def prompts(chars: int, count: int) -> list[str]:
    """Different pieces of *tales*, so many characters each."""
    text = read_corpus("tales").text[:CHARS]
    return [text[at : at + chars] for at in range(0, count * 97, 97)]


class Pipe:
    """A player and its two pipes."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self._lines: list[bytes] = []
        self._rest = b""

    def send(self, request: Request) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(to_line(request))
        self.process.stdin.flush()

    def wait_for(self, wanted: Callable[[Reply], bool], seconds: float = 120.0) -> Reply:
        """Reads up to the first such reply. Raises RunError if an `Error`, the end or nothing comes instead."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + seconds
        while True:
            while self._lines:
                reply = parse_reply(self._lines.pop(0))
                if isinstance(reply, Error):
                    raise RunError(f"The player refused: {reply.message}")
                if wanted(reply):
                    return reply
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                raise RunError(f"The player did not answer within {seconds:g} s.")
            chunk = os.read(self.process.stdout.fileno(), 1 << 16)
            if not chunk:
                raise RunError("The player died.")
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            self._lines += lines

    def load(self, run_name: str) -> None:
        self.send(Load(run_name))
        self.wait_for(lambda reply: isinstance(reply, Ready))

    def first_character(self, number: int, prompt: str) -> float:
        """Milliseconds from the request's being written to the line with the first character's being read."""
        began = time.perf_counter()
        self.send(Generate(number, prompt, max=1))
        self.wait_for(lambda reply: isinstance(reply, Text) and reply.id == number)
        return 1000 * (time.perf_counter() - began)


@contextmanager
def player(arguments: Sequence[str]) -> Iterator[Pipe]:
    """The player with these arguments of `python -m engine play`; it has ended, by the end of its input, when this does.

    Raises:
        RunError: it ended badly.
    """
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(
            list(arguments), cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, bufsize=0
        ) as process,
    ):
        try:
            yield Pipe(process)
            assert process.stdin is not None
            process.stdin.close()
            if process.wait(30):
                said.seek(0)
                raise failed("the player", process.returncode, said.read().decode(errors="replace"))
        finally:
            if process.poll() is None:
                process.kill()


def command(runs: Path, kernels: Path | None) -> tuple[str, ...]:
    """How an interface starts the player."""
    from tinygpt_tui.sources.player_process import player_command

    return player_command(runs, kernels)
