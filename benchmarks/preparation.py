"""How fast is a large text prepared, and in how much memory? `python -m benchmarks.preparation [--megabytes 1000] [--json]`.

A deterministic text of that size is made in a temporary folder: the built-in corpora in shuffled paragraphs, one in eight with accents,
dashes or letters of other alphabets. A child process then does what `tinygpt train` does before it knows its model: it looks through the
text, writes the request of the run, and makes the token files. Reported is the wall time of both passes, the flush to the disk
included and the start of Python not, the processor time in it, and the most memory the child ever had resident, pages of mapped files
included. Where other programs are at work, the processor time says more.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import engine
from engine.catalogue import text_of

ROOT = Path(engine.__file__).resolve().parent.parent
FOREIGN = (
    "“Grüße aus Köln”, sagte sie — und lächelte.",
    "Жила-была лиса у старого моста.",
    "春眠不觉晓，处处闻啼鸟。",
    "café, naïve, 🦊",
)
PARTS = ("tales", "smalltalk", "python-docs", "python-code")


def write_text(path: Path, size: int) -> None:
    """A text of `size` bytes, less than one paragraph more."""
    dice = random.Random(1)
    paragraphs = [p for name in PARTS for p in text_of(name, None).split("\n\n") if p.strip()]
    written = 0
    with path.open("wb") as file:
        while written < size:
            # In blocks of some hundred paragraphs, for drawing each would take longer than what is measured.
            drawn = dice.choices(paragraphs, k=400)
            block = "\n\n".join(
                f"{p}\n{dice.choice(FOREIGN)}" if i % 8 == 0 else p for i, p in enumerate(drawn)
            )
            written += file.write(block.encode() + b"\n\n")


def prepare(source: Path, data: Path, tokenizer: str) -> dict[str, object]:
    """The way of `tinygpt train` up to the tokens; runs in the child."""
    from engine.large_text import corpus_of
    from engine.launch import new_run
    from engine.learned_text import learned_text

    began, before = time.perf_counter(), time.process_time()
    corpus = corpus_of(str(source), cache_dir=data / "cache")
    looked = time.perf_counter()
    folder = new_run(data, corpus, values={"tokenizer": tokenizer, "steps": 1})
    text = learned_text(folder.read_request()["corpus"], [folder.corpora], data / "cache")
    made = text.tokenizer(tokenizer, 512 if tokenizer == "bpe" else None)
    splits = text.splits(made)
    ended, spent = time.perf_counter(), time.process_time()
    again = time.perf_counter()
    text.splits(made)
    reopened = time.perf_counter() - again
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "darwin" else 1)
    size = source.stat().st_size
    return {
        "what": "preparation",
        "tokenizer": tokenizer,
        "megabytes": size / 1e6,
        "seconds": ended - began,
        "cpu_seconds": spent - before,
        "mb_per_s": size / 1e6 / (ended - began),
        "first_pass_seconds": looked - began,
        "second_pass_seconds": ended - looked,
        "reopened_ms": reopened * 1000,
        "peak_resident_mb": kilobytes * 1024 / 1e6,
        "tokens": len(splits.train_ids) + len(splits.val_ids),
        "vocab_size": made.vocab_size,
        "dtype": splits.train_ids.dtype.name,
    }


def measured(megabytes: float, tokenizer: str) -> dict[str, object]:
    """Makes the text and prepares it in a child, whose memory is then nobody else's."""
    with tempfile.TemporaryDirectory(prefix="tinygpt-") as folder:
        source = Path(folder) / "text.txt"
        # In a process of its own: a child begins with its parent's most memory on its account.
        for step in ("write", "prepare"):
            command = [sys.executable, "-m", "benchmarks.preparation", "--do", step, folder]
            command += ["--megabytes", str(megabytes), "--tokenizer", tokenizer]
            told = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
        source.unlink()
    result: dict[str, object] = json.loads(told)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=float, default=1000.0)
    parser.add_argument("--tokenizer", choices=("chars", "bytes", "bpe"), default="chars")
    parser.add_argument("--json", action="store_true", help="the JSON object alone")
    parser.add_argument("--do", nargs=2, metavar=("STEP", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.do:
        step, folder = options.do
        source = Path(folder) / "text.txt"
        if step == "write":
            write_text(source, int(options.megabytes * 1e6))
        else:
            print(json.dumps(prepare(source, Path(folder) / "data", options.tokenizer)))
        return
    result = measured(options.megabytes, options.tokenizer)
    print(json.dumps(result))
    if not options.json:
        print(
            f"{result['megabytes']:,.0f} MB as {result['tokenizer']}: {result['mb_per_s']:.0f} MB/s "
            f"({result['first_pass_seconds']:.1f} + {result['second_pass_seconds']:.1f} s, {result['cpu_seconds']:.1f} s of one processor), "
            f"at most {result['peak_resident_mb']:.0f} MB resident"
        )


if __name__ == "__main__":
    main()
