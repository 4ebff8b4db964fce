"""Does it hold a chat? `python -m benchmarks.chat RUN` asks a smalltalk model what its corpus does not contain.

Train it first: `tinygpt train smalltalk --time 120s`. Ten paraphrases of "what is your name?" and of "what is two plus three?", none of
which the corpus holds, at temperature 0.5: one for each of the seeds 1 to 10, then all of them with all seeds.
"""

from __future__ import annotations

import json
import sys

from engine.catalogue.smalltalk import HELD_OUT_NAME, HELD_OUT_SUM
from engine.sampler import SamplerSettings
from tinygpt_tui.cli.chat_command import Conversation
from tinygpt_tui.cli.model_options import find_run, load_run


def main() -> None:
    loaded = load_run(find_run(sys.argv[1] if len(sys.argv) > 1 else None), "best")

    def answer(question: str, seed: int) -> str:
        conversation = Conversation(loaded, SamplerSettings(temperature=0.5), seed, 500)
        return "".join(piece.text for piece in conversation.answer(question))

    for what, questions, word in (("name", HELD_OUT_NAME, "Pip"), ("sum", HELD_OUT_SUM, "five")):
        once = [answer(question, seed) for seed, question in enumerate(questions, 1)]
        for question, text in zip(questions, once, strict=True):
            print(f"You: {question}\nPip: {text}")
        often = [word in answer(question, seed) for question in questions for seed in range(1, 11)]
        of_ten = sum(word in text for text in once)
        print(json.dumps({"what": what, "of_10": of_ten, "of_100": sum(often)}), flush=True)


if __name__ == "__main__":
    main()
