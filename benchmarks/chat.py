"""Does it hold a chat? `python -m benchmarks.chat RUN` asks a smalltalk model what its corpus does not contain.

Train it first: `tinygpt train smalltalk --time 120s`. Ten paraphrases of "what is your name?" and of "what is two plus three?", none of
which the corpus holds, at temperature 0.5: one for each of the seeds 1 to 10, then all of them with all seeds.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator

from benchmarks.shared import Row, ask, main

CHANCES = 10  # questions, and seeds


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", nargs="?", help="its name [default: the newest]")


def measure(options: argparse.Namespace) -> Iterator[Row]:
    yield from ask("benchmarks.chat", "--child", *([options.run] if options.run else []))["rows"]


def asked(name: str | None) -> Row:
    """How many answers hold the word that they must, and what was said to each question with its seed."""
    from engine.catalogue.smalltalk import HELD_OUT_NAME, HELD_OUT_SUM
    from engine.sampler import SamplerSettings
    from tinygpt_tui.cli.chat_command import Conversation
    from tinygpt_tui.cli.model_options import find_run, load_run

    loaded = load_run(find_run(name), "best")

    def answer(question: str, seed: int) -> str:
        conversation = Conversation(loaded, SamplerSettings(temperature=0.5), seed, 500)
        return "".join(piece.text for piece in conversation.answer(question))

    rows = []
    for what, questions, word in (("name", HELD_OUT_NAME, "Pip"), ("sum", HELD_OUT_SUM, "five")):
        once = [answer(question, seed) for seed, question in enumerate(questions, 1)]
        often = [word in answer(question, seed) for question in questions for seed in range(1, CHANCES + 1)]
        said = [{"you": question, "model": text} for question, text in zip(questions, once, strict=True)]
        rows.append(
            {"what": what, "of_10": sum(word in text for text in once), "of_100": sum(often), "said": said}
        )
    return {"rows": rows}


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        sys.stdout.write(json.dumps(asked(sys.argv[2] if len(sys.argv) > 2 else None)) + "\n")
    else:
        sys.exit(main("chat", __doc__, measure, add_options))
