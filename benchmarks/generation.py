"""How fast it writes: characters a second past the edge of the window, and milliseconds to the first character: `python -m benchmarks.generation`.

By size and architecture, one text at a time, with the sampler, beside a plain loop that has no cache and passes the whole window through the
model for every character, as nanoGPT's does; and beside llama.cpp at the same shape, where `llama-cpp-python` and `gguf` are installed. Every
side runs in a process of its own, in turns. The first character is that of a warm player on its pipes, after prompts that differ.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.playing import command, make_run, player, prompts
from benchmarks.shared import Row, ask, kernels_folder, main, median_ratio, narrate, told, whole
from models.config import SIZES

PROMPT = 200  # characters in front of the first one
WARM = 20  # characters that are not timed
TOGETHER = 4  # continuations of `tinygpt sample --count`
ARCHITECTURES = ("modern", "classic")


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sizes", nargs="+", choices=list(SIZES), default=["0.8m", "10m"], metavar="SIZE")
    parser.add_argument(
        "--archs", nargs="+", choices=ARCHITECTURES, default=list(ARCHITECTURES), metavar="ARCH"
    )
    parser.add_argument("--rounds", type=whole, help="how often each side is timed [default: 5, short 2]")
    parser.add_argument("--chars", type=whole, help="that are timed in a round [default: 1000, short 500]")
    parser.add_argument("--plain-chars", type=whole, default=24, help="the same for the plain loop")


def measure(options: argparse.Namespace) -> Iterator[Row]:
    rounds, chars = (
        options.rounds or (2 if options.short else 5),
        options.chars or (500 if options.short else 1000),
    )
    peer = has_llama()
    if not peer:
        narrate("generation: llama-cpp-python and gguf are not installed, so llama.cpp is not measured")
    with tempfile.TemporaryDirectory() as work:
        home = Path(work) / "home"
        for size in options.sizes:
            for arch in options.archs:
                folder = make_run(home, arch, size, 2, "batch_size=2")
                sides: dict[str, tuple[str, ...]] = {
                    "ours": ("benchmarks.generation", "--stream", str(folder), str(chars)),
                    "together": ("benchmarks.generation", "--together", str(folder), str(chars)),
                    "plain": ("benchmarks.generation", "--plain", str(folder), str(options.plain_chars)),
                }
                if peer and arch == "classic":  # whose shape llama.cpp knows as GPT-2
                    sides["llama"] = ("benchmarks.llama_peer", size, str(min(chars, 240)))
                found: dict[str, list[Row]] = {name: [] for name in sides}
                for _ in range(rounds):
                    for name, arguments in sides.items():
                        found[name].append(ask(*arguments))
                yield written(arch, size, found)
                yield first_characters(folder, found["plain"], 3 + 6 * rounds)


def written(arch: str, size: str, found: dict[str, list[Row]]) -> Row:
    """The row of one model from what its sides found."""
    ours, together, plain, llama = (
        [float(row["chars_per_s"]) for row in found.get(name, ())]
        for name in ("ours", "together", "plain", "llama")
    )
    return {
        "what": f"{arch} {size}, past the edge",
        "way": found["ours"][-1]["way"],
        **told("chars_per_s", ours),
        **told(f"{TOGETHER}_texts_chars_per_s", together),
        "ratio_to_one_text": median_ratio(together, ours),
        **told("plain_chars_per_s", plain),
        "ratio": median_ratio(ours, plain),
        **(told("llama_cpp_chars_per_s", llama) if llama else {"llama_cpp_chars_per_s": None}),
        "ratio_to_llama_cpp": median_ratio(ours, llama) if llama else None,
        "llama_cpp": found.get("llama", []),
    }


def first_characters(folder: Path, plain: list[Row], count: int) -> Row:
    """Milliseconds of a warm player; the first three, which warm it, do not count."""
    with player(command(folder.parent, kernels_folder())) as pipe:
        pipe.load(folder.name)
        took = [pipe.first_character(n, prompt) for n, prompt in enumerate(prompts(PROMPT, count))][3:]
    ours = told("first_character_ms", took)
    theirs = told("plain_first_character_ms", [float(row["first_ms"]) for row in plain])
    return {
        "what": f"{folder.name}, after {PROMPT} characters",
        **ours,
        **theirs,
        "ratio": theirs["plain_first_character_ms"] / ours["first_character_ms"],
    }


def has_llama() -> bool:
    return all(importlib.util.find_spec(name) for name in ("llama_cpp", "gguf"))


def stream_speed(folder: Path, chars: int, texts: int = 1) -> Row:
    """Our own, as the player and `tinygpt sample` write: each text is a whole window long before it is timed; characters of all texts."""
    import torch

    from engine.device import use_for_playing
    from engine.generate import Stream, decoder_for
    from engine.loading import load
    from engine.runs import RunFolder
    from engine.several import peek_together
    from models import kernel
    from models.compiled import CompiledDecoder

    kernel.use(kernels_folder())
    loaded = load(RunFolder(folder), to_write=True)
    use_for_playing(loaded.model)
    decoder = decoder_for(loaded.model)
    ids = torch.randint(loaded.config.vocab_size, (loaded.config.block_size,)).tolist()
    stream = Stream(loaded.model, ids, seed=1, decoder=decoder)
    streams = [stream, *(stream.fork(seed) for seed in range(2, texts + 1))]

    def write(steps: int) -> None:
        for _ in range(steps):
            if texts > 1:
                peek_together(streams)
            for stream in streams:
                stream.step()

    write(WARM)
    began = time.perf_counter()
    write(chars)
    took = time.perf_counter() - began
    way = "kernel in C" if isinstance(decoder, CompiledDecoder) else "numpy and torch"
    return {"chars_per_s": texts * chars / took, "way": way}


def together_speed(folder: Path, chars: int) -> Row:
    """Several continuations of one text at the same time."""
    return stream_speed(folder, chars, TOGETHER)


def plain_speed(folder: Path, chars: int) -> Row:
    """Without a cache: the whole window through the model for each character, by torch on all cores."""
    import torch

    from engine.device import available_cores
    from engine.loading import load
    from engine.runs import RunFolder

    torch.set_num_threads(available_cores())
    torch.manual_seed(1)
    loaded = load(RunFolder(folder))
    model, block = loaded.model, loaded.config.block_size
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = model.to(device)

    @torch.inference_mode()
    def following(ids: list[int]) -> int:
        logits = model(torch.tensor([ids[-block:]], device=device))[0, -1]
        return int(torch.multinomial(torch.softmax(logits, dim=-1), 1).item())

    ids = torch.randint(loaded.config.vocab_size, (max(block, PROMPT),)).tolist()
    for _ in range(3):
        following(ids)
    began = time.perf_counter()
    for _ in range(chars):
        ids.append(following(ids))
    speed = chars / (time.perf_counter() - began)
    began = time.perf_counter()
    following(ids[:PROMPT])
    return {"chars_per_s": speed, "first_ms": 1000 * (time.perf_counter() - began)}


if __name__ == "__main__":
    children = {"--stream": stream_speed, "--together": together_speed, "--plain": plain_speed}
    if sys.argv[1:2] and sys.argv[1] in children:
        sys.stdout.write(json.dumps(children[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3]))) + "\n")
    else:
        sys.exit(main("generation", __doc__, measure, add_options))
