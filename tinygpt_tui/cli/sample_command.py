"""`tinygpt sample`: streams a continuation of a prompt to standard output."""

from __future__ import annotations

import sys
import time

import typer

from tinygpt_tui.cli.help import command, new_app
from tinygpt_tui.cli.model_options import AT, MIN_P, REPETITION, RUN, SEED, TEMPERATURE, TOP_K, TOP_P

BATCH_SECONDS = 0.033  # of text in one line of JSON

app = new_app()


@command(
    app,
    """
    tinygpt sample                                  # 500 characters from the newest run, at first from the built-in starter
    tinygpt sample tales -p "Once there was" -n 800 --temperature 0.6
    tinygpt sample novel --seed 42 > page.txt       # the same seed writes the same page
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
    stops = stop or []
    if any(not text for text in stops):
        raise UsageError("--stop needs a text to stop at.")
    dice = resolve_seed(seed)
    text = _read_prompt() if prompt == "-" else prompt
    folder = find_run(run)
    loaded = load_run(folder, at, everything.engine.compile)
    # What nobody has begun belongs to the text: it is written, and counts.
    begun = OPENING[:wanted] if not text and is_starter(folder) else ""
    if note := explain_replacements(loaded.tokenizer.encode(text).replaced):
        narrate(f"note: {note}")
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
