"""Whatever a person gives the command line, they get one sentence and the right exit code: one table of bad inputs."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from engine.runs import Status
from tests.tinygpt_tui.bad_input import (
    Case,
    Run,
    World,
    case,
    check_refused,
    config,
    env,
    file,
    in_run,
    label,
    stdin,
    unreadable,
)


def run_of_version_9(world: World) -> None:
    info = json.loads(world.run.run.read_text())
    world.run.run.write_text(json.dumps({**info, "version": 9}))


def damaged_checkpoints(world: World) -> None:
    for path in world.run.checkpoints.glob("*/model.safetensors"):
        path.write_bytes(path.read_bytes()[:-1] + b"x")


def live(world: World) -> None:
    world.run.write_status(Status(os.getpid(), "training", 20, time.time()))
    world.stack.enter_context(world.run.acquire())


def home_below_a_file(world: World) -> None:
    world.monkeypatch.setenv("TINYGPT_HOME", str(world.folder / "ok.txt" / "home"))


def home_is_full(world: World) -> None:
    if not os.access("/dev/full", os.W_OK):
        pytest.skip("needs /dev/full")
    world.home.mkdir()
    (world.home / "data").symlink_to("/dev/full")


def half_a_gigabyte(world: World) -> None:
    world.monkeypatch.setattr("engine.preparing.available_memory", lambda: 2**29)


def closed_stdin(world: World) -> None:
    world.monkeypatch.setattr("sys.stdin", None)


TRAIN = "train ok.txt --steps 2 "
HUGE = "--set n_layer=48 --set n_embd=4096 --set n_head=32 --set batch_size=65536"
NOT_WHOLE, NOT_NUMBER = "valid integer", "valid number"

CORPORA = (
    case("train", 2, "Name a corpus to train on"),
    case(("train", ""), 3, "There is no file, folder or catalogue corpus"),
    case("train nope.txt", 3, "There is no file, folder or catalogue corpus called nope.txt"),
    case("train okk.txt", 3, "did you mean ok.txt"),
    case("train ok.txt/inside", 3, "There is no file"),
    case("train ok.txt other.txt", 2, "unexpected extra argument"),
    case("train empty", 3, "empty is empty", file("empty", b"")),
    case("train short", 3, "too short to learn from: it has 3 characters", file("short", b"ab\n")),
    case(TRAIN + "--set block_size=8000", 3, "too short to learn from"),
    case("train .", 3, "holds no text file", lambda world: (world.folder / "ok.txt").unlink()),
    case("train bin", 3, "control characters", file("bin", b"ab\1\2c\n" * 99)),
    case("train nul", 3, "NUL at byte 3", file("nul", b"abc\0" * 99)),
    case("train utf16", 3, "looks binary", file("utf16", ("hello " * 99).encode("utf-16-le"))),
    case("train latin", 3, "byte 0xf6 at offset 7, line 2", file("latin", b"hello\nw\xf6rld\n" * 99)),
    case("train latin", 3, "--encoding latin-1", file("latin", b"hello\nw\xf6rld\n" * 99)),
    case("train latin --encoding ascii", 3, "latin", file("latin", b"hello\nw\xf6rld\n" * 99)),
    case("train ok.txt --encoding klingon", 2, "no text encoding called klingon"),
    case("train pipe", 3, "pipe is a pipe", lambda world: os.mkfifo(world.folder / "pipe")),
    case("train /dev/zero", 3, "/dev/zero is not a file"),
    case("train secret", 3, "cannot be read", unreadable),
    case(("train", "a" * 5000), 3, "cannot be read"),
    case(("train", "a\0b"), 3, "a␀b"),
    case(("train", "\udcff"), 3, "There is no file"),
    case(("train", "\x1b]0;owned\x07"), 3, "␛]0;owned␇"),
    case(("train", "\x1b[31m"), 3, "␛[31m is empty", file("\x1b[31m", b"")),
    case("train tale", 3, "did you mean tales?"),
    case("train tiny-shakespeare", 3, "tinygpt corpora fetch tiny-shakespeare"),
    case("train -", 3, "Standard input is empty", stdin(b"")),
    case("train -", 3, "Standard input looks binary", stdin(b"\0\1\2" * 99)),
    case("train -", 3, "Standard input is closed", closed_stdin),
    # What can be refused without the text is refused before it is read.
    case("train - --steps 0", 2, "steps must be", closed_stdin),
    case("train - --name ../x", 2, "cannot name a run", closed_stdin),
)

NUMBERS = (
    *(case(f"train ok.txt --steps {n}", 2, "steps must be a whole number from 1") for n in ("0", "-1", "9" * 30)),
    *(case(f"train ok.txt --steps {n}", 2, NOT_WHOLE) for n in ("1e99", "1.5", "abc", "NaN")),
    case(f"train ok.txt --steps {'9' * 5000}", 2, "integer"),
    *(case(("train", "ok.txt", "--time", t), 2, "such as 90s") for t in ("0", "-1", "abc", "1e99", "nan", "", "9999999h")),
    case("train ok.txt --time 9s --steps 5", 2, "Give --time or --steps, not both"),
    case(TRAIN + "--set time=9", 2, "Give --time or --steps, not both"),
    *(case(TRAIN + f"--set lr={x}", 2, "lr must be a number from 1e-08 to 10") for x in ("nan", "inf", "0", "-1", "")),
    *(case(f"train ok.txt --seed {n}", 2, "train.seed") for n in (-1, 2**64)),
    case("train ok.txt --seed one", 2, NOT_WHOLE),
    case("train ok.txt --size huge", 2, "one of auto, 0.1m"),
    case("train ok.txt --arch lstm", 2, "one of modern, classic, ngram"),
    case("train ok.txt --tokenizer words", 2, "one of chars, bytes, bpe"),
    case("train ok.txt --save-every -1", 2, "save_every must be"),
    case("train ok.txt --patience -5", 2, "patience must be"),
    case(TRAIN + "--set nembd=64", 2, "Did you mean n_embd?"),
    case(TRAIN + "--set lr", 2, "--set takes KEY=VALUE"),
    case(TRAIN + "--set =3", 2, "no training setting called ''"),
    case(TRAIN + "--set batch_size=True", 2, "batch_size must be a whole number"),
    case(TRAIN + "--set dropout=1", 2, "dropout must be a number from 0 to 0.9"),
    case(TRAIN + "--set n_embd=65", 2, "must be a multiple of n_head"),
    case(TRAIN + "--size 0.1m --set n_head=64", 2, "must be even"),
    case(TRAIN + "--set n_embd=1000000000", 2, "n_embd must be a whole number from 1 to 4,096"),
    case(TRAIN + HUGE, 4, "memory", half_a_gigabyte),
    *(case(("sample", "fox", "--temperature", x), 2, "sample.temperature") for x in ("-1", "nan", "inf", "1e40", "1e-40")),
    *(case(("sample", "fox", "--temperature", x), 2, NOT_NUMBER) for x in ("1,5", "", "hot")),
    case("sample fox --top-k -1", 2, "top_k is -1"),
    case("sample fox --top-k 1.5", 2, NOT_WHOLE),
    *(case(f"sample fox --top-p {x}", 2, "top_p") for x in ("1.5", "-0.1", "nan")),
    case("sample fox --min-p 2", 2, "min_p"),
    case("sample fox --repetition -1", 2, "repetition"),
    case("sample fox -n -1", 2, "-n must be from 0 to 10,000,000"),
    case("sample fox -n 99999999", 2, "-n must be from 0 to 10,000,000"),
    *(case(f"sample fox --seed {n}", 2, "The seed must be a whole number") for n in (-1, 2**64)),
    case(("sample", "fox", "--stop", ""), 2, "--stop needs a text"),
    case("chat fox -n 0", 2, "-n must be from 1"),
    case("chat fox --temperature 9", 2, "sample.temperature"),
    case("runs lr fox 0", 2, "no trainer to ask"),
    case("runs lr fox 0", 2, "lr takes a factor from 0.01 to 100", live),
    case("runs extend fox 0", 2, "extend takes a number of steps", live),
    case("runs sample fox -n 0", 2, "sample takes a number of characters", live),
)  # fmt: skip

NAMES = (
    case(TRAIN + "--name fox", 2, "A run named fox exists already"),
    *(
        case(("train", "ok.txt", "--name", name), 2, "cannot name a run")
        for name in ("../x", "UPPER", ".", "..", "con", "nul.txt", "", "a" * 300, "a b", "a.", "-rf", "/tmp/x", "é",
                     "\x1b[2J", "\udcff", "[red]")
    ),
)  # fmt: skip

RUNS = (
    *(case(command, 3, "train one first") for command in ("sample", "chat", "eval", "runs show", "runs watch", "sample gone")),
    case("sample foxy", 3, "did you mean fox?"),
    case(("sample", "\x1b[31m"), 3, "There is no run"),
    case(("sample", ""), 3, "There is no run ''"),
    case("score gone ok.txt", 3, "There is no run 'gone'"),
    case("train --resume foxy", 3, "did you mean fox?"),
    case("train ok.txt --recipe foxy", 3, "did you mean fox?"),
    case("runs rm foxy", 3, "did you mean fox?"),
    case("runs rm ../fox", 2, "cannot name a run"),
    case("runs pause foxy", 3, "did you mean fox?"),
    case("sample .", 3, "is not a run folder"),
    case("sample fox --at 999", 3, "no checkpoint of step 999: it has 20, 10"),
    case("sample fox --at newest", 2, "--at must be best, last or a step"),
    case("eval fox --at -1", 2, "--at must be best, last or a step"),
    case("sample fox", 3, "run.json is damaged", in_run("run.json", "{")),
    case("train --resume fox --steps 30", 3, "run.json is damaged", in_run("run.json", "[]")),
    case("sample fox", 3, "version 9, from a newer tinygpt", run_of_version_9),
    case("sample fox", 3, "tokenizer.json is damaged", in_run("tokenizer.json", "no json")),
    case("eval fox", 3, "tokenizer", in_run("tokenizer.json", '{"version": 1, "kind": "runes"}')),
    case("sample fox", 3, "sha256 differs", damaged_checkpoints),
    case("train --resume fox --steps 30", 3, "sha256 differs", damaged_checkpoints),
    case("runs show fox", 3, "status.json is damaged", in_run("status.json", "{}")),
    case("train --resume fox", 2, "fox is finished at step 20; give --steps"),
    case("train --resume fox --steps 5", 2, "has made 20 steps already"),
    case("train --resume fox --steps 0", 2, "steps must be a whole number"),
    case("train ok.txt --resume fox", 2, "--resume takes the run's own corpus"),
    case("train --resume fox --set lr=1", 2, "--resume takes the run's own corpus"),
    case("train ok.txt --recipe fox --steps 5", 2, "--recipe settles the whole recipe"),
    case("train --resume fox --steps 30", 5, "is being trained already", live),
    case("train --resume fox --steps 30 --detach", 5, "is being trained already", live),
    case("runs rm fox", 5, "fox is in use by process", live),
    case("runs pause fox", 2, "fox is done, so there is no trainer to ask"),
    case("score fox empty", 3, "empty is empty", file("empty", b"")),
    case("score fox bin", 3, "looks binary", file("bin", b"\0\1\2" * 99)),
    case("score fox -", 3, "No character of the text", stdin("日本語".encode())),
    case("sample fox -p -", 3, "not UTF-8 at byte 4", stdin(b"the \xff fox")),
    case("sample fox -p -", 3, "Standard input is closed", closed_stdin),
)  # fmt: skip

SETTINGS = (
    case("config show", 2, "line 2, column 8", config("[train]\nseed = = 3\n")),
    case("train ok.txt", 2, "line 2, column 8", config("[train]\nseed = = 3\n")),
    case("train ok.txt", 2, "train.seed is 'one', but it must be a whole number", config('[train]\nseed = "one"\n')),
    case("train ok.txt", 2, "train.seed is true", config("[train]\nseed = true\n")),
    case("sample fox", 2, "sample.temperature is 9", config("[sample]\ntemperature = 9\n")),
    case("train ok.txt", 2, "train is 3, but it must be a table", config("train = 3\n")),
    case("config set train.seed 2", 2, "version 99", config("version = 99\n")),
    case("config set train.sed 2", 2, "did you mean 'train.seed'?"),
    case("config set train.seed x", 2, "train.seed is 'x'"),
    case("train ok.txt", 2, "TINYGPT_TRAIN_TIME: train.time is 'soon'", env(TINYGPT_TRAIN_TIME="soon")),
    case("sample fox", 2, "TINYGPT_SAMPLE_TOP_P: sample.top_p is 7", env(TINYGPT_SAMPLE_TOP_P="7")),
    case("train ok.txt", 2, "not an absolute folder", env(TINYGPT_HOME="relative/home")),
    case("runs list", 2, "not an absolute folder", env(TINYGPT_HOME="relative/home")),
    case(TRAIN + "--size 0.1m", 4, "ok.txt", home_below_a_file),
    case(TRAIN + "--size 0.1m", 4, "data", home_is_full),
    case("config set train.seed 2", 4, "ok.txt", home_below_a_file),
    case("runs list", 3, "cannot be read", home_is_full),
    case("trian", 2, "there is no command 'trian', did you mean 'train'?"),
    case(("\x1b[31m",), 2, "there is no command '␛[31m'"),
    case("runs jump", 2, "no such command 'jump'"),
    case("--nope", 2, "no such option: --nope"),
    case("train ok.txt --stesp 3", 2, "no such option: --stesp"),
    case("train ok.txt --steps", 2, "requires an argument"),
    case("score fox", 2, "missing argument 'FILE'"),
    case("runs lr fox", 2, "missing argument 'FACTOR'"),
    case("runs rm", 2, "missing argument 'RUN...'"),
)  # fmt: skip

TABLE = (*CORPORA, *NUMBERS, *NAMES, *RUNS, *SETTINGS)


@pytest.mark.parametrize("case", TABLE, ids=label)
def test_a_bad_input_gets_one_sentence_and_the_right_exit_code(
    case: Case, tinygpt: Run, home: Path, tmp_path: Path, corpora: Path,
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    check_refused(case, tinygpt, home, tmp_path, corpora, request, monkeypatch)


def test_white_space_is_a_text_like_any_other(tinygpt: Run, tiny: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "white.txt").write_text(" \n" * 100)
    assert tinygpt("train", str(tmp_path / "white.txt"), "--steps", "1", *tiny, "--quiet").code == 0
    assert set(tinygpt("sample", "-n", "20").out) <= set(" \n")
