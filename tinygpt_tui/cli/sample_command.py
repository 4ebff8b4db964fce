"""`tinygpt sample`: streams a continuation of a prompt to standard output."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import typer

from tinygpt_tui.cli.help import command, new_app
from tinygpt_tui.cli.model_options import AT, MIN_P, REPETITION, RUN, SEED, TEMPERATURE, TOP_K, TOP_P

if TYPE_CHECKING:
    from engine.loading import Loaded
    from engine.runs import RunFolder
    from engine.sampler import SamplerSettings

MOST_TEXTS = 64
BATCH_SECONDS = 0.033  # of text in one line of JSON

app = new_app()


@command(
    app,
    """
    tinygpt sample                                  # 500 characters from the newest run, at first from the built-in starter
    tinygpt sample tales -p "Once there was" -n 800 --temperature 0.6
    tinygpt sample novel --seed 42 > page.txt       # the same seed writes the same page
    tinygpt sample tales -p "Once" --count 3        # three ways on, written at the same time
    echo "To be" | tinygpt sample shakespeare -p -  # the prompt from standard input
    tinygpt sample tales --json | jq -r 'select(.event=="text").text'
    """,
)
def sample(
    run: str | None = RUN,
    prompt: str = typer.Option("", "-p", "--prompt", metavar="TEXT", help="What to continue; - reads standard input."),
    chars: int | None = typer.Option(None, "-n", "--chars", metavar="N", help="How much to write. [default: 500]"),
    temperature: float | None = TEMPERATURE,
    top_k: int | None = TOP_K,
    top_p: float | None = TOP_P,
    min_p: float | None = MIN_P,
    repetition: float | None = REPETITION,
    seed: int | None = SEED,
    count: int = typer.Option(1, "--count", metavar="K", help="Continue it so many times, with this seed and the next ones."),
    stop: list[str] | None = typer.Option(None, "--stop", metavar="TEXT", help="Stop before this text; repeatable."),
    at: str = AT,
    as_json: bool = typer.Option(False, "--json", help="One JSON object per line."),
) -> None:  # fmt: skip
    """Continue a text with a trained model."""
    from engine.errors import UsageError
    from engine.starter import OPENING, is_starter
    from tinygpt_tui.cli.model_options import (
        explain_replacements,
        find_run,
        load_run,
        resolve_seed,
        resolve_settings,
    )
    from tinygpt_tui.cli.output import emit, emit_json, is_terminal, narrate
    from tinygpt_tui.safe_text import safe_line

    settings, everything = resolve_settings(temperature, top_k, top_p, min_p, repetition)
    wanted = everything.sample.chars if chars is None else chars
    if not 0 <= wanted <= 10_000_000:
        raise UsageError(f"-n must be from 0 to 10,000,000 characters, not {wanted}.")
    if not 1 <= count <= MOST_TEXTS:
        raise UsageError(f"--count must be from 1 to {MOST_TEXTS}, not {count}.")
    stops = stop or []
    if any(not text for text in stops):
        raise UsageError("--stop needs a text to stop at.")
    dice = resolve_seed(seed)
    resolve_seed(dice + count - 1)
    text = _read_prompt() if prompt == "-" else prompt
    folder = find_run(run)
    loaded = load_run(folder, at, everything.engine.compile)
    # What nobody has begun belongs to the text: it is written, and counts.
    begun = OPENING[:wanted] if not text and is_starter(folder) else ""
    if note := explain_replacements(loaded.tokenizer.encode(text).replaced):
        narrate(f"note: {note}")
    if count > 1:
        _sample_several(
            folder, loaded, begun, text, wanted, settings, [dice + i for i in range(count)], stops, as_json
        )
        return
    from engine.generate import generate

    pieces = generate(
        loaded.model, loaded.tokenizer, begun or text, wanted - len(begun), settings, dice, stops
    )
    if text and not as_json and is_terminal(sys.stdout):
        emit(text, end="")
    if not as_json:
        emit(begun, end="")
    began, first, written, batch, sent = time.monotonic(), None, len(begun), begun if as_json else "", 0.0
    for piece in pieces:
        now = time.monotonic()
        first = first if first is not None else now - began
        written += len(piece.text)
        if not as_json:
            emit(piece.text, end="")
            continue
        batch += piece.text
        if batch and now - sent >= BATCH_SECONDS:
            emit_json({"event": "text", "text": batch})
            batch, sent = "", now
    took = time.monotonic() - began
    if as_json:
        if batch:
            emit_json({"event": "text", "text": batch})
        done = {
            "event": "done",
            "run": folder.name,
            "step": loaded.step,
            "chars": written,
            "seconds": took,
            "chars_per_s": written / took if took else None,
        }
        emit_json({**done, "first_char_ms": None if first is None else first * 1000, "seed": dice})
        return
    if is_terminal(sys.stdout):
        emit("")
    if is_terminal(sys.stdout) or is_terminal(sys.stderr):
        speed = f"{written} characters at {written / max(took, 1e-9):,.0f} a second, seed {dice}"
        narrate(f"{safe_line(folder.name)} at step {loaded.step:,}: {speed}")


def _sample_several(
    folder: RunFolder, loaded: Loaded, begun: str, prompt: str, wanted: int, settings: SamplerSettings, seeds: list[int],
    stops: list[str], as_json: bool,
) -> None:  # fmt: skip
    """Writes all texts at once: shows the first as it comes and the others, which have come along, one behind the other.

    A person sees which is which, and how each begins; a program gets the texts alone, an empty line between them.
    """
    from engine.several import generate_several
    from tinygpt_tui.cli.output import emit, emit_json, is_terminal, narrate
    from tinygpt_tui.safe_text import safe_line

    def head(seed: int) -> str:
        return f"── seed {seed} ──\n{prompt}" if is_terminal(sys.stdout) else ""

    began, texts = time.monotonic(), [begun for _ in seeds]
    if not as_json:
        emit(head(seeds[0]) + begun, end="")
    ends = generate_several(
        loaded.model, loaded.tokenizer, begun or prompt, wanted - len(begun), settings, seeds, stops
    )
    for index, pieces in ends:
        text = "".join(piece.text for piece in pieces)
        texts[index] += text
        if not as_json and index == 0:
            emit(text, end="")
    took, chars = time.monotonic() - began, sum(len(text) for text in texts)
    if as_json:
        for seed, text in zip(seeds, texts, strict=True):
            emit_json({"event": "text", "seed": seed, "text": text})
        done = {"event": "done", "run": folder.name, "step": loaded.step, "chars": chars, "seconds": took}
        emit_json({**done, "chars_per_s": chars / took if took else None, "seeds": seeds})
        return
    for seed, text in zip(seeds[1:], texts[1:], strict=True):
        emit(f"\n\n{head(seed)}{text}", end="")
    if is_terminal(sys.stdout):
        emit("")
    if is_terminal(sys.stdout) or is_terminal(sys.stderr):
        speed = f"{len(seeds)} texts, {chars} characters at {chars / max(took, 1e-9):,.0f} a second"
        narrate(f"{safe_line(folder.name)} at step {loaded.step:,}: {speed}, seeds {seeds[0]} to {seeds[-1]}")


def _read_prompt() -> str:
    """Standard input as text; what is not UTF-8 is refused with its position."""
    from engine.errors import CorpusError

    if sys.stdin is None:
        raise CorpusError("Standard input is closed: pipe a prompt in, or give it with -p.")
    try:
        data = sys.stdin.buffer.read(4_000_001)
    except OSError as error:  # a folder, say
        raise CorpusError(f"The prompt on standard input cannot be read: {error.strerror}.") from None
    if len(data) > 4_000_000:
        raise CorpusError("The prompt on standard input is longer than 4 MB; give a part of it.")
    try:
        return data.decode("utf-8").replace("\r\n", "\n").removesuffix("\n")
    except UnicodeDecodeError as error:
        raise CorpusError(
            f"The prompt on standard input is not UTF-8 at byte {error.start}; convert it first."
        ) from None
