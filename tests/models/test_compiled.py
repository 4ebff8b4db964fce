"""The compiled kernel says what torch says, in the same bits however a text is cut; and it is there only where it can be."""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from models import ModelConfig, build, compiled, kernel
from models.compiled import LARGEST, Compiled, CompiledDecoder, round_weights, row_scales
from models.compiled_muon import CompiledMuon
from models.interface import LanguageModel
from models.kernel_proof import SHAPES, largest_difference, stirred

needs_compiler = pytest.mark.skipif(not kernel.file_name(), reason="there is no C compiler")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kernels") / "made"
    assert kernel.make(folder) == ""
    return folder


@pytest.fixture
def used(folder: Path) -> Iterator[ctypes.CDLL]:
    kernel.use(folder)
    library = kernel.library()
    assert library is not None
    yield library
    kernel.use(None)


def ids_of(model: LanguageModel) -> list[int]:
    config = model.config
    generator = torch.Generator().manual_seed(5)
    ids: list[int] = torch.randint(config.vocab_size, (config.block_size,), generator=generator).tolist()
    return ids


@needs_compiler
def test_both_transformers_are_what_torch_computes(used: ctypes.CDLL) -> None:
    assert largest_difference(used) < 1e-4


@needs_compiler
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("arch", ["modern", "classic"])
def test_the_bits_are_the_same_however_a_text_is_cut_and_shared_out(
    arch: str, shape: tuple[int, int, int, int], used: ctypes.CDLL
) -> None:
    model = stirred(arch, *shape)
    ids = ids_of(model)
    form = Compiled(model, used)
    grown, at_once = form.decoder(1), form.decoder(3)
    step = [grown.prefill(ids[:1]), *(grown.decode(id) for id in ids[1:])]
    for n in range(1, len(ids) + 1):
        assert np.array_equal(at_once.prefill(ids[:n]), step[n - 1])


@needs_compiler
def test_two_windows_over_the_same_weights_do_not_meet(used: ctypes.CDLL) -> None:
    model = stirred("modern", *SHAPES[0])
    ids = ids_of(model)
    form = compiled.compiled(model)
    assert form is not None and compiled.compiled(model) is form
    alone = form.decoder().prefill(ids[:9])
    one, other = form.decoder(), form.decoder()
    one.prefill(ids[:4])
    other.prefill(ids[9:20])
    for id in ids[4:8]:
        one.decode(id)
    other.decode(ids[3])
    assert np.array_equal(one.decode(ids[8]), alone)


@needs_compiler
@pytest.mark.parametrize("arch", ["modern", "classic"])
@pytest.mark.parametrize("threads", [1, 3])
def test_several_windows_read_together_say_what_each_says_alone(
    arch: str, threads: int, used: ctypes.CDLL
) -> None:
    model = stirred(arch, *SHAPES[0])
    ids, form = ids_of(model), Compiled(model, used)
    # Of all lengths, some of them forked from one another.
    together = [form.decoder(threads) for _ in range(3)]
    for n, decoder in enumerate(together):
        decoder.prefill(ids[n : 4 + 3 * n])
    together += [decoder.fork() for decoder in together]
    alone = [form.decoder(1) for _ in together]
    texts = [list(ids[n % 3 : 4 + 3 * (n % 3)]) for n in range(6)]
    for step in range(5):
        next_ids = [(7 * step + 3 * n) % model.config.vocab_size for n in range(len(together))]
        logits = CompiledDecoder.decode_each(together, next_ids)
        for row, text, id, decoder in zip(logits, texts, next_ids, alone, strict=True):
            text.append(id)
            assert np.array_equal(row, decoder.prefill(text))


@needs_compiler
def test_more_windows_than_a_window_has_tokens_are_read_together_too(used: ctypes.CDLL) -> None:
    model = stirred("modern", *SHAPES[0])
    ids, form = ids_of(model), Compiled(model, used)
    one = form.decoder()
    one.prefill(ids[:3])
    many = [one.fork() for _ in range(2 * model.config.block_size + 1)]
    logits = CompiledDecoder.decode_each(many, [ids[n % len(ids)] for n in range(len(many))])
    for n in (0, 1, len(ids), len(many) - 1):
        assert np.array_equal(logits[n], form.decoder().prefill([*ids[:3], ids[n % len(ids)]]))


@needs_compiler
def test_windows_that_cannot_be_read_together_are_refused_and_not_changed(used: ctypes.CDLL) -> None:
    model = stirred("modern", *SHAPES[0])
    ids, form = ids_of(model), Compiled(model, used)
    one, full, empty, foreign = (
        form.decoder(),
        form.decoder(),
        form.decoder(),
        Compiled(model, used).decoder(),
    )
    one.prefill(ids[:4])
    foreign.prefill(ids[:4])
    full.prefill(ids)
    for decoders, next_ids in (
        ([one, full], [0, 0]), ([one, empty], [0, 0]), ([one, foreign], [0, 0]), ([one, one], [0, 0]), ([one], [0, 0]),
        ([one], [-1]), ([one], [model.config.vocab_size]),
    ):  # fmt: skip
        with pytest.raises((IndexError, ValueError)):
            CompiledDecoder.decode_each(decoders, next_ids)
    assert np.array_equal(one.decode(ids[4]), form.decoder().prefill(ids[:5]))


@needs_compiler
def test_what_would_lead_out_of_the_kernels_memory_is_refused(used: ctypes.CDLL) -> None:
    model = stirred("modern", *SHAPES[0])
    decoder = Compiled(model, used).decoder()
    for ids in ([], [-1], [model.config.vocab_size], [0] * (model.config.block_size + 1)):
        with pytest.raises((IndexError, ValueError)):
            decoder.prefill(ids)
    decoder.prefill([0] * model.config.block_size)
    with pytest.raises(IndexError):
        decoder.decode(0)


@needs_compiler
def test_threads_of_python_take_turns(used: ctypes.CDLL) -> None:
    model = stirred("modern", *SHAPES[0])
    ids, form = ids_of(model), Compiled(model, used)
    wanted = form.decoder(1).prefill(ids)
    wrong = []

    def read() -> None:
        decoder = form.decoder(4)
        wrong.extend(n for n in range(50) if not np.array_equal(decoder.prefill(ids), wanted))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@needs_compiler
def test_weights_that_may_change_are_laid_out_anew(used: ctypes.CDLL) -> None:
    model = stirred("modern", *SHAPES[0]).requires_grad_(True)
    first = compiled.compiled(model)
    assert first is not None
    with torch.no_grad():
        model.get_parameter("head.weight").mul_(2.0)
    second = compiled.compiled(model)
    assert second is not None
    assert np.array_equal(2 * first.decoder().prefill([1, 2]), second.decoder().prefill([1, 2]))


@needs_compiler
def test_there_is_no_compiled_form_of_what_the_kernel_does_not_compute_exactly(used: ctypes.CDLL) -> None:
    counting = build(ModelConfig("ngram", 5, 8, order=2))
    double = stirred("modern", *SHAPES[0]).double()
    half = stirred("modern", *SHAPES[0])
    half.compute_dtype = torch.bfloat16
    finer = stirred("modern", *SHAPES[0])
    with torch.no_grad():
        finer.get_parameter("head.weight")[0, 0] += 1e-7
    damaged = stirred("modern", *SHAPES[0])
    with torch.no_grad():
        damaged.get_parameter("head.weight")[0, 0] = float("nan")
    for model in (counting, double, half, finer, damaged):
        assert compiled.compiled(model) is None


def test_rounded_weights_are_whole_numbers_of_sixteen_bits_and_stay_when_rounded_again() -> None:
    model = build(ModelConfig("modern", 11, 8, 1, 2, 16))
    with torch.no_grad():
        for n, p in enumerate(model.parameters()):
            p.normal_(std=10.0 ** (n % 7 - 3))
        model.get_parameter("blocks.0.attention.project.weight")[3] = 0.0
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    round_weights(model)
    for name, p in model.named_parameters():
        scale = row_scales(p)
        whole = p.detach() / scale
        assert torch.equal(whole, whole.round()) and whole.abs().max() <= LARGEST
        error = (p.detach() - before[name]).abs()
        assert bool((error <= before[name].abs().amax(dim=1, keepdim=True) * 2.0**-15).all())
    once = {name: p.detach().clone() for name, p in model.named_parameters()}
    round_weights(model)
    assert all(torch.equal(p, once[name]) for name, p in model.named_parameters())


@pytest.mark.parametrize("value", [0.0, 1e-45, 3e38, float("inf"), float("nan")])
def test_a_row_of_any_numbers_has_a_scale(value: float) -> None:
    matrix = torch.tensor([[value, 0.5 * value]])
    scale = row_scales(matrix)
    assert scale.isfinite().all() and (scale > 0).all()


def test_without_a_folder_or_a_compiler_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert kernel.library() is None and kernel.state() == "off"
    monkeypatch.setenv("PATH", str(tmp_path))
    kernel.file_name.cache_clear()
    try:
        kernel.use(tmp_path / "kernels")
        assert kernel.library() is None and kernel.state() == "no C compiler"
        assert kernel.make(tmp_path / "kernels") == "no C compiler"
        assert not (tmp_path / "kernels").exists()
    finally:
        kernel.use(None)
        kernel.file_name.cache_clear()


@pytest.fixture
def compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A compiler of one's own, a shell script yet to be written; nobody else's is found."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "cc"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    kernel.file_name.cache_clear()
    yield script
    if kernel._maker is not None:
        kernel._maker.wait(timeout=60)
    kernel.use(None)
    kernel.file_name.cache_clear()


def test_a_compiler_that_fails_is_asked_once_and_its_last_word_kept(compiler: Path, tmp_path: Path) -> None:
    compiler.write_text("#!/bin/sh\necho first >&2\necho 'no such thing' >&2\nexit 1\n")
    kernel.file_name.cache_clear()
    kernels = tmp_path / "kernels"
    assert kernel.make(kernels) == "the compiler failed: no such thing"
    assert [path.suffix for path in kernels.iterdir()] == [".failed"]
    compiler.write_text(compiler.read_text())
    kernel.use(kernels)
    assert kernel.library() is None
    assert kernel.state().startswith("the compiler failed: no such thing; tried again a day later")
    assert [path.suffix for path in kernels.iterdir()] == [".failed"]  # nobody has been asked again
    failed = next(kernels.iterdir())
    os.utime(failed, (failed.stat().st_mtime - kernel.RETRY_SECONDS,) * 2)
    assert kernel.state() == "made when first needed"
    calls = tmp_path / "calls"
    compiler.write_text(f"#!/bin/sh\necho call >> {calls}\nexit 1\n")
    assert kernel.library(wait=True) is None and calls.exists()


@pytest.mark.parametrize("signal_name", ["TERM", "INT", "KILL"])
def test_a_compiler_that_was_ended_from_outside_has_not_failed(
    signal_name: str, compiler: Path, tmp_path: Path
) -> None:
    compiler.write_text(f"#!/bin/sh\nkill -{signal_name} $$\n")
    kernel.file_name.cache_clear()
    with pytest.raises(InterruptedError, match="ended by signal"):
        kernel.make(tmp_path / "kernels")
    assert list((tmp_path / "kernels").iterdir()) == []
    kernel.use(tmp_path / "kernels")
    assert kernel.library(wait=True) is None
    assert kernel.state() == "made when first needed"


def test_code_that_this_processor_does_not_know_has_failed(compiler: Path, tmp_path: Path) -> None:
    compiler.write_text("#!/bin/sh\nkill -ILL $$\n")
    kernel.file_name.cache_clear()
    assert kernel.make(tmp_path / "kernels").startswith("the compiler failed")
    assert [path.suffix for path in (tmp_path / "kernels").iterdir()] == [".failed"]


def test_a_compiler_is_called_by_the_name_it_was_found_under(compiler: Path, tmp_path: Path) -> None:
    many = compiler.with_name("many")
    many.write_text('#!/bin/sh\necho "called as $(basename "$0")" >&2\nexit 1\n')
    many.chmod(0o755)
    compiler.unlink()
    compiler.symlink_to(many)
    kernel.file_name.cache_clear()
    assert kernel.make(tmp_path / "kernels") == "the compiler failed: called as cc"


@pytest.mark.parametrize("maker", ["alive", "dead", "nobody"])
def test_who_waits_for_a_kernel_that_another_makes_does_not_make_it_too(
    maker: str, compiler: Path, tmp_path: Path
) -> None:
    calls = tmp_path / "calls"
    compiler.write_text(f"#!/bin/sh\necho call >> {calls}\nexit 1\n")
    kernel.file_name.cache_clear()
    kernels = tmp_path / "kernels"
    kernel.use(kernels)
    if maker == "alive":
        assert kernel.library() is None  # asks for it
    elif maker == "dead":
        gone = subprocess.Popen(["true"])
        gone.wait()
        kernels.mkdir()
        (kernels / kernel.file_name()).with_suffix(".asked").write_text(str(gone.pid))
    assert kernel.library(wait=True) is None
    assert kernel.state().startswith("the compiler failed")
    assert len(calls.read_text().splitlines()) == len(list(kernel.SOURCES.glob("*.c")))


def test_code_that_does_not_run_or_says_something_else_is_not_used(compiler: Path, tmp_path: Path) -> None:
    compiler.write_text('#!/bin/sh\nwhile [ "$1" != -o ]; do shift; done\necho nonsense > "$2"\n')
    kernel.file_name.cache_clear()
    assert kernel.make(tmp_path / "kernels").startswith("it does not say what torch says: ")
    assert [path.suffix for path in (tmp_path / "kernels").iterdir()] == [".failed"]


@needs_compiler
@pytest.mark.skipif(platform.machine() != "x86_64", reason="the flags are of this processor")
@pytest.mark.parametrize("flag", ["-mno-avx512bf16", "-march=x86-64-v3"])
def test_a_kernel_for_a_processor_that_knows_less_passes_its_proof(
    flag: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel, "FLAGS", (*kernel.FLAGS, flag))
    kernel.file_name.cache_clear()
    try:
        assert kernel.make(tmp_path) == ""
        library = ctypes.CDLL(str(tmp_path / kernel.file_name()))
    finally:
        kernel.file_name.cache_clear()
    assert not kernel.knows_bfloat16(library)
    with pytest.raises(ValueError, match="bfloat16"):
        CompiledMuon(library, [], 1, bfloat16=True)


MISTAKES = {
    "a rotation": ("writing.c", "second * sin[i]", "second * cos[i]", "the logits differ by"),
    "a mask": (
        "writing.c",
        "int n = a->start + t + 1,",
        "int n = a->start + a->tokens,",
        "the logits differ by",
    ),
    "a slope": ("learning.c", "2 * k->hidden[i] : 0", "k->hidden[i] : 0", "the gradients differ by"),
    "a mirror": (
        "muon.c",
        "transpose((uint32_t *)square + (size_t)top * n + left,",
        "transpose((uint32_t *)square + (size_t)left * n + top,",
        "the steps of Muon differ by",
    ),
    "no number": ("learning.c", "sqrtf(dot(x, x, n)", "sqrtf(-dot(x, x, n)", "the gradients differ by inf"),
    "a mean": ("learning.c", "(s[j] - mean) * factor", "s[j] * factor", "the gradients differ by"),
}


@needs_compiler
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_kernel_with_a_mistake_does_not_pass_its_proof(
    mistake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, right, wrong, said = MISTAKES[mistake]
    sources = tmp_path / "c"
    shutil.copytree(kernel.SOURCES, sources)
    source = (sources / name).read_text(encoding="utf-8")
    assert right in source
    (sources / name).write_text(source.replace(right, wrong), encoding="utf-8")
    monkeypatch.setattr(kernel, "SOURCES", sources)
    kernel.file_name.cache_clear()
    try:
        assert said in kernel.make(tmp_path / "kernels")
    finally:
        kernel.file_name.cache_clear()


@needs_compiler
def test_the_first_who_wants_it_has_it_made_beside_itself(tmp_path: Path) -> None:
    kernels = tmp_path / "kernels"
    ask = "import sys; from pathlib import Path; from models import kernel; kernel.use(Path(sys.argv[1]))\n"
    ask += "print(kernel.library() is not None, kernel.state())"
    root = str(Path(__file__).parents[2])

    def said() -> str:
        command = [sys.executable, "-c", ask, str(kernels)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root)
        return done.stdout.strip()

    assert said() == "False made when first needed"
    deadline = time.monotonic() + 120
    while (now := said()) != "True ready":
        assert time.monotonic() < deadline and now == "False made when first needed"
    while len(left := sorted(path.name for path in kernels.iterdir())) > 1:
        assert time.monotonic() < deadline, left
    assert left == [kernel.file_name()]
    assert kernels.stat().st_mode & 0o777 == 0o700 or os.name != "posix"
