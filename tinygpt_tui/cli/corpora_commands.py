"""`tinygpt corpora`: which texts there are to learn from, what is in one, and fetching those not built in."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import typer

from tinygpt_tui.cli.help import command, new_app

if TYPE_CHECKING:
    from engine.corpus import Corpus
    from engine.large_text import LargeText
    from engine.text_stats import TextStats

PREVIEW_CHARS = 400

app = new_app(
    help="List, show and fetch texts to learn from.",
    examples="""
    tinygpt corpora list
    tinygpt corpora show tales  # statistics, the first lines
    tinygpt corpora show my-novel.txt
    tinygpt corpora fetch tiny-shakespeare
    """,
)


def complete_names(incomplete: str) -> list[tuple[str, str]]:
    """The catalogue's names that begin with what was typed, and their titles."""
    from engine.catalogue import CATALOGUE

    return [(entry.name, entry.title) for entry in CATALOGUE if entry.name.startswith(incomplete)]


JSON = typer.Option(False, "--json", help="One JSON object per line.")


@command(
    app,
    """
    tinygpt corpora list
    tinygpt corpora list --json | jq -r 'select(.ready).name'
    """,
    name="list",
)
def list_corpora(as_json: bool = JSON) -> None:
    """List the corpora that have a name."""
    from engine.catalogue import CATALOGUE, is_ready
    from tinygpt_tui.cli.output import emit, emit_json
    from tinygpt_tui.paths import user_paths

    cache = user_paths().cache
    for entry in CATALOGUE:
        ready = is_ready(entry, cache)
        if as_json:
            row = {"name": entry.name, "title": entry.title, "kind": entry.kind, "ready": ready}
            row |= {"licence": entry.licence, "bytes": entry.bytes or None, "chat": entry.turns is not None}
            emit_json({**row, "description": entry.description})
        else:
            state = "built in" if entry.kind == "embedded" else "fetched" if ready else "to fetch"
            emit(_paragraph(f"{entry.name:<17} {state:<9} ", entry.description))


@command(
    app,
    """
    tinygpt corpora show tales
    tinygpt corpora show letters.txt --encoding latin-1
    cat *.md | tinygpt corpora show -  # standard input
    """,
)
def show(
    source: str = typer.Argument(
        metavar="NAME|FILE", help="A corpus of the catalogue, a file, a folder, or - for standard input.",
        autocompletion=complete_names,
    ),
    encoding: str | None = typer.Option(None, "--encoding", help="Read the file in this encoding."),
    force_text: bool = typer.Option(False, "--force-text", help="Read what looks binary as text."),
    force: bool = typer.Option(False, "--force", help="Read even what is very large."),
    as_json: bool = JSON,
) -> None:  # fmt: skip
    """Show statistics of a text, and how it begins."""
    from tinygpt_tui.cli.output import emit, emit_json, narrate
    from tinygpt_tui.safe_text import safe_line

    corpus, counted, head = _counted(source, encoding, force_text, force)
    for notice in corpus.notices:
        narrate(f"note: {notice}")
    facts = _facts(corpus, counted, head)
    if as_json:
        emit_json(facts)
        return
    frequent = " ".join(_symbol(symbol) for symbol, _ in facts["most_frequent"])
    rows = {
        "corpus": safe_line(corpus.name),
        "size": f"{facts['characters']:,} characters, {facts['bytes']:,} bytes",
        "symbols": f"{facts['symbols']:,} different, {facts['once']:,} of them only once",
        "lines": f"{facts['lines']:,}, the longest {facts['longest_line']:,} characters",
        "entropy": f"{facts['entropy_bits']:.3f} bits per character, if only frequencies are known",
        "most frequent": frequent,
    }
    if corpus.turns is not None:
        rows["conversation"] = f"{safe_line(corpus.turns.user)}… {safe_line(corpus.turns.model)}…"
    for name, value in rows.items():
        emit(f"{name:<14} {value}")
    emit("begins")
    for line in facts["preview"].splitlines():
        emit(f"  {line}")


@command(
    app,
    """
    tinygpt corpora fetch tiny-shakespeare
    tinygpt train "$(tinygpt corpora fetch names)"
    """,
)
def fetch(
    name: str = typer.Argument(
        metavar="NAME", help="A corpus of the catalogue.", autocompletion=complete_names
    ),
) -> None:
    """Fetch a corpus that is not built in, check it, and print its file."""
    from engine.catalogue import entry
    from engine.catalogue import fetch as fetching
    from tinygpt_tui.cli.output import emit, narrate
    from tinygpt_tui.cli.progress import LiveLine, format_transfer
    from tinygpt_tui.paths import user_paths

    found = entry(name)
    if found.kind == "embedded":
        narrate(f"{name} is built in: there is nothing to fetch")
        return
    with LiveLine.on(sys.stderr) as line:
        path = fetching.fetch(
            found,
            user_paths().cache,
            progress=lambda done, total: line.show(lambda width: format_transfer(name, done, total, width)),
        )
    emit(str(path))


def _counted(
    source: str, encoding: str | None, force_text: bool, force: bool
) -> tuple[Corpus | LargeText, TextStats, str]:
    """A text, what is counted in it, and how it begins; one that is too large to be kept is not held in memory."""
    from engine.corpus import STORE_BYTES, read_corpus
    from engine.large_text import look_through
    from engine.text_stats import StatsCounter, text_stats
    from engine.text_stream import large_bytes
    from tinygpt_tui.cli.progress import reading_line
    from tinygpt_tui.paths import user_paths

    if not (size := large_bytes(source, STORE_BYTES, encoding, force=force)):
        corpus = read_corpus(
            source, encoding=encoding, force_text=force_text, force=force, cache_dir=user_paths().cache
        )
        return corpus, text_stats(corpus.text), corpus.text[: PREVIEW_CHARS + 1]
    counter, head = StatsCounter(), ""

    def hear(data: bytes) -> None:
        nonlocal head
        text = data.decode()
        counter.add(text)
        head = head if len(head) > PREVIEW_CHARS else (head + text)[: PREVIEW_CHARS + 1]

    with reading_line() as tell:
        large = look_through(
            source, size, encoding=encoding, force_text=force_text, force=force, tell=tell, also=[hear]
        )
    return large, counter.stats(), head


def _facts(corpus: Corpus | LargeText, counted: TextStats, head: str) -> dict[str, Any]:
    from dataclasses import asdict

    turns = asdict(corpus.turns) if corpus.turns is not None else None
    facts = {
        "name": corpus.name,
        "source": corpus.source,
        "sha256": corpus.sha256,
        **asdict(counted),
    }
    return {**facts, "turns": turns, "notices": corpus.notices, "preview": _preview(head)}


def _preview(text: str) -> str:
    """The first characters, up to the end of a line or word if one is near."""
    head = text[:PREVIEW_CHARS]
    if len(text) <= PREVIEW_CHARS:
        return head
    cut = max(head.rfind("\n", PREVIEW_CHARS // 2), head.rfind(" ", PREVIEW_CHARS * 3 // 4))
    return (head[:cut] if cut > 0 else head) + " …"


def _symbol(symbol: str) -> str:
    from tinygpt_tui.safe_text import safe_line

    return {" ": "␠", "\n": "␊"}.get(symbol, safe_line(symbol))


def _paragraph(head: str, text: str) -> str:
    """`text` after `head`: on a terminal wrapped to its width, else on one line, as scripts like it."""
    import shutil
    import textwrap

    from tinygpt_tui.cli.output import is_terminal

    if not is_terminal(sys.stdout):
        return head + text
    width = max(40, shutil.get_terminal_size().columns)
    return textwrap.fill(text, width, initial_indent=head, subsequent_indent=" " * len(head))
