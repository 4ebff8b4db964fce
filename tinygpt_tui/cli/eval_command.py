"""`tinygpt eval`: the validation loss of a run, and the ladder of simpler predictors beside it."""

from __future__ import annotations

import typer

from tinygpt_tui.cli.help import command, new_app
from tinygpt_tui.cli.model_options import AT, RUN

app = new_app()


@command(
    app,
    """
    tinygpt eval                                    # the newest run
    tinygpt eval shakespeare --at last
    tinygpt eval shakespeare --json | jq .ladder
    """,
)
def eval_(
    run: str | None = RUN,
    at: str = AT,
    as_json: bool = typer.Option(False, "--json", help="One JSON object."),
) -> None:
    """Measure a run beside counting models and a file compressor."""
    from tinygpt_tui.cli.model_options import find_run, load_run
    from tinygpt_tui.cli.output import emit, emit_json, narrate
    from tinygpt_tui.cli.progress import reading_line
    from tinygpt_tui.paths import user_paths
    from tinygpt_tui.safe_text import safe_line

    folder = find_run(run)
    loaded = load_run(folder, at)
    from engine.device import use_as_trained
    from engine.evaluate import bits, perplexity, validation_loss
    from engine.ladder import ladder
    from engine.learned_text import learned_text
    from models import kernel

    with reading_line() as tell:
        text = learned_text(
            loaded.run_info["corpus"], [folder.corpora, user_paths().corpora_dir], user_paths().cache, tell
        )
        splits = text.splits(loaded.tokenizer)
    if splits.on_training_text:
        narrate("note: the corpus is so short that the loss is measured on the training text")
    kernel.use(user_paths().kernels)
    learner = use_as_trained(loaded.model, loaded.run_info)
    loss = validation_loss(loaded.model, splits.val_ids, splits.val_chars, learner)
    rungs = ladder(*text.texts(loaded.tokenizer), loaded.tokenizer)
    positions = splits.val_chars - 1
    if as_json:
        numbers = {"val_loss": loss, "bits_per_char": bits(loss), "perplexity": perplexity(loss)}
        which = {"run": folder.name, "step": loaded.step}
        emit_json({**numbers, "positions": positions, **which, "ladder": rungs})
        return
    where = f"over {positions:,} characters, of {safe_line(folder.name)} at step {loaded.step:,}"
    emit(f"val_loss     {loss:.4f} nats per character, {where}")
    emit(f"             {bits(loss):.4f} bits per character, perplexity {perplexity(loss):.2f}")
    for name, value in sorted([*rungs.items(), ("this model", loss)], key=lambda rung: -rung[1]):
        emit(f"{'→' if name == 'this model' else ' '} {name:<10} {value:.4f}")
