"""`tinygpt score`: how surprising a text is to a model, character by character."""

from __future__ import annotations

import math

import typer

from tinygpt_tui.cli.help import command, new_app
from tinygpt_tui.cli.model_options import AT, complete_runs

app = new_app()


@command(
    app,
    """
    tinygpt score tales letter.txt
    echo "To be, or not to be" | tinygpt score shakespeare -
    tinygpt score tales letter.txt --json --per-char | jq -c 'select(.nats > 5)'
    """,
)
def score(
    run: str = typer.Argument(metavar="RUN", help="A run's name or folder.", autocompletion=complete_runs),
    file: str = typer.Argument(metavar="FILE", help="A text file, or - for standard input."),
    at: str = AT,
    per_char: bool = typer.Option(False, "--per-char", help="One line for each character before the total."),
    encoding: str | None = typer.Option(None, "--encoding", metavar="NAME", help="Read the file in this encoding."),
    force_text: bool = typer.Option(False, "--force-text", help="Read what looks binary as text."),
    force: bool = typer.Option(False, "--force", help="Read even what is very large."),
    as_json: bool = typer.Option(False, "--json", help="One JSON object per line."),
) -> None:  # fmt: skip
    """Measure how surprised a model is by a text."""
    from engine.corpus import read_corpus
    from engine.errors import CorpusError
    from tinygpt_tui.cli.model_options import explain_replacements, find_run, load_run
    from tinygpt_tui.cli.output import emit, emit_json, narrate
    from tinygpt_tui.paths import user_paths
    from tinygpt_tui.safe_text import safe_line

    corpus = read_corpus(
        file, encoding=encoding, force_text=force_text, force=force, cache_dir=user_paths().cache
    )
    for notice in corpus.notices:
        narrate(f"note: {notice}")
    loaded = load_run(find_run(run), at)
    from engine.scoring import score as score_text

    result = score_text(loaded.model, loaded.tokenizer, corpus.text)
    if note := explain_replacements(result.replaced):
        narrate(f"note: {note}")
    nats, bits = result.nats_per_char, result.bits_per_char
    if nats is None or bits is None:
        raise CorpusError(
            "No character of the text is in this model's vocabulary, so there is nothing to score."
        )
    if per_char:
        for piece, surprise in zip(result.pieces, result.nats.tolist(), strict=True):
            if as_json:
                emit_json({"char": piece, "nats": surprise, "bits": surprise / math.log(2)})
            else:
                emit(f"{surprise / math.log(2):7.3f} bits  {safe_line(piece)}")
    if as_json:
        emit_json({"chars": result.chars, "nats_per_char": nats, "bits_per_char": bits})
    else:
        emit(f"{result.chars:,} characters, {nats:.4f} nats or {bits:.4f} bits per character")
