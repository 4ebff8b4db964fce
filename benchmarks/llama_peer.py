"""llama.cpp on a model of one of our sizes: `python -m benchmarks.llama_peer SIZE CHARS`, one JSON object; needs `llama-cpp-python` and `gguf`.

A GPT-2 with 65 symbols and random weights, which is what `classic` is but for its biases, is written as GGUF in float32 and in float16, and writes
one character at a time within its first window, where llama.cpp need not drop anything. Told is the faster of both types and all numbers of threads.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from models.config import SIZES, Size

SYMBOLS = 65
ROUNDS = 2  # of each type and number of threads; the faster one counts, as the peer's best


def write_model(path: Path, shape: Size, context: int, *, half: bool) -> None:
    """A GPT-2 with random weights as GGUF. Biases are zero and gains one; the embeddings stay float32."""
    import gguf  # type: ignore[import-not-found, unused-ignore]

    dice = np.random.default_rng(1)
    width = shape.n_embd
    writer: Any = gguf.GGUFWriter(str(path), "gpt2")
    writer.add_context_length(context)
    writer.add_embedding_length(width)
    writer.add_block_count(shape.n_layer)
    writer.add_feed_forward_length(4 * width)
    writer.add_head_count(shape.n_head)
    writer.add_layer_norm_eps(1e-5)
    writer.add_file_type(int(half))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([chr(ord("!") + n) for n in range(SYMBOLS)])
    writer.add_token_types([1] * SYMBOLS)
    writer.add_token_merges(["! #"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    matrices = {"token_embd": (SYMBOLS, width), "position_embd": (context, width), "output": (SYMBOLS, width)}
    norms = ["output_norm"]
    for n in range(shape.n_layer):
        for name, rows, columns in (
            ("attn_qkv", 3 * width, width), ("attn_output", width, width),
            ("ffn_up", 4 * width, width), ("ffn_down", width, 4 * width),
        ):  # fmt: skip
            matrices[f"blk.{n}.{name}"] = (rows, columns)
            writer.add_tensor(f"blk.{n}.{name}.bias", np.zeros(rows, np.float32))
        norms += [f"blk.{n}.attn_norm", f"blk.{n}.ffn_norm"]
    for name, size in matrices.items():
        weights = dice.normal(0.0, 0.02, size).astype(np.float32)
        writer.add_tensor(
            f"{name}.weight", weights.astype(np.float16) if half and "embd" not in name else weights
        )
    for name in norms:
        writer.add_tensor(f"{name}.weight", np.ones(width, np.float32))
        writer.add_tensor(f"{name}.bias", np.zeros(width, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def speed(path: Path, context: int, threads: int, chars: int) -> float:
    """Characters a second, by the fastest of a few rounds."""
    import llama_cpp  # type: ignore[import-not-found, unused-ignore]

    model: Any = llama_cpp.Llama(
        str(path), n_ctx=context, n_threads=threads, n_threads_batch=threads, verbose=False, seed=1
    )
    best = 0.0
    for _ in range(ROUNDS):
        model.reset()
        began, made = time.perf_counter(), 0
        for _token in model.generate([1, 2, 3], temp=0.8, top_k=40):
            made += 1
            if made == chars:
                break
        best = max(best, made / (time.perf_counter() - began))
    model.close()
    return best


def main(size: str, chars: int) -> None:
    from engine.device import available_cores

    shape = SIZES[size]
    context = max(256, shape.block_size)  # llama.cpp has none smaller
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for half in (False, True):
            path = Path(folder) / "model.gguf"
            write_model(path, shape, context, half=half)
            for threads in range(1, available_cores() + 1):
                rate = speed(path, context, threads, min(chars, context - 16))
                found.append({"type": "f16" if half else "f32", "threads": threads, "chars_per_s": rate})
    best = max(found, key=lambda one: float(str(one["chars_per_s"])))
    sys.stdout.write(json.dumps({**best, "each": found}) + os.linesep)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
