"""No file, folder or pipe, however odd, costs more than one sentence: texts, run folders, settings and prompts on the command line."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.tinygpt_tui.bad_input import (
    Case,
    Given,
    Run,
    World,
    case,
    check_refused,
    file,
    in_run,
    label,
    stdin,
)

MANY = 2**28  # bytes of a hole: they take no room, and nobody may read them


def together(*given: Given) -> Given:
    return lambda world: [one(world) for one in given]


def link(name: str, target: str) -> Given:
    return lambda world: (world.folder / name).symlink_to(target)


def folder(name: str, **files: bytes) -> Given:
    def make(world: World) -> None:
        (world.folder / name).mkdir()
        for stem, data in files.items():
            (world.folder / name / stem).write_bytes(data)

    return make


def listening(world: World) -> None:
    """A socket in place of a text."""
    server = world.stack.enter_context(socket.socket(socket.AF_UNIX))
    server.bind("ear")  # a path of this length only from the folder itself


def hole(world: World) -> None:
    with (world.folder / "hole").open("wb") as made:
        made.truncate(MANY)


def gone(world: World) -> None:
    """The text of the run is kept nowhere any more, and its source is another one."""
    for text in (world.home / "data" / "corpora").iterdir():
        text.unlink()
    (world.folder / "ok.txt").write_text("another text " * 99)
    for path in (world.run.request, world.run.run):
        told = json.loads(path.read_text())
        told["corpus"]["source"] = str(world.folder / "ok.txt")
        path.write_text(json.dumps(told))


def in_checkpoints(change: Callable[[Path], object]) -> Given:
    """Does something to every checkpoint of the run."""
    return lambda world: [change(path) for path in sorted(world.run.checkpoints.iterdir())]


def put(name: str, data: bytes) -> Given:
    return in_checkpoints(lambda path: (path / name).write_bytes(data))


def linked_away(path: Path) -> None:
    path.rename(path.with_name("elsewhere-" + path.name))
    path.symlink_to("elsewhere-" + path.name)


def changed(name: str, **values: Any) -> Given:
    """Other values in a JSON file of the run."""

    def write(world: World) -> None:
        path = world.run.path / name
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

    return write


def replaced(name: str, make: Callable[[Path], object]) -> Given:
    """Something else in place of a file of the run."""

    def put_there(world: World) -> None:
        (world.run.path / name).unlink(missing_ok=True)
        make(world.run.path / name)

    return put_there


def settings_file(data: bytes) -> Given:
    def write(world: World) -> None:
        (world.home / "config").mkdir(parents=True)
        (world.home / "config" / "config.toml").write_bytes(data)

    return write


def settings_folder(world: World) -> None:
    (world.home / "config" / "config.toml").mkdir(parents=True)


PICKLE = b"\x80\x04\x95\x1d\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94."
WIDE = "hello world\n" * 99

TEXTS = (
    case("train one", 3, "too short to learn from: it has 1 character", file("one", b"a")),
    case("train mark", 3, "mark is empty", file("mark", b"\xef\xbb\xbf")),
    case("train ear", 3, "ear is not a file", listening),
    case("train ring", 3, "ring cannot be read: Too many levels of symbolic links", link("ring", "ring")),
    case("train nowhere", 3, "There is no file", link("nowhere", "gone.txt")),
    case("train null", 3, "null is not a file", link("null", "/dev/null")),
    case("train /proc/self/maps", 3, "not an ordinary file"),
    case("train /proc/self/mem", 3, "not an ordinary file"),
    case("train hole", 3, "NUL at byte 0", hole),
    case("train half16", 3, "is not UTF-16", file("half16", b"\xff\xfe" + WIDE.encode("utf-16-le") + b"a")),
    case("train half32", 3, "is not UTF-32", file("half32", b"\xff\xfe\0\0" + WIDE.encode("utf-32-le") + b"ab")),
    case("train pair", 3, "is not UTF-8", file("pair", b"text \xed\xa0\x80 text\n" * 99)),
    case("train long", 3, "byte 0xc0 at offset 5", file("long", b"text \xc0\xaf text\n" * 99)),
    case("train beyond", 3, "byte 0xf4 at offset 5", file("beyond", b"text \xf4\x90\x80\x80\n" * 99)),
    case("train ok.txt --encoding hex", 2, "no text encoding called hex"),
    case(("train", "ok.txt", "--encoding", "\x1b[2J"), 2, "no text encoding called"),
    case("train void", 3, "holds no text file", folder("void")),
    case("train blanks", 3, "holds only empty files", folder("blanks", a=b"", b=b"")),
    case("train blobs", 3, "holds no text file", folder("blobs", a=b"\0" * 99, b=b"\xff" * 99)),
    case("train hidden", 3, "holds no text file", folder("hidden", **{".a": b"text " * 99})),
    case("train many", 3, "different characters", file("many", "".join(map(chr, [*range(0x20, 0xD800), *range(0xE000, 0x14000)])).encode())),
    case("corpora show empty", 3, "empty is empty", file("empty", b"")),
    case("corpora show bin", 3, "looks binary", file("bin", b"\0\1\2" * 99)),
    case("corpora show nope.txt", 3, "There is no file"),
    case("corpora show -", 3, "Standard input is empty", stdin(b"")),
    case("corpora fetch nope", 3, "nope"),
    case(("corpora", "fetch", "../x"), 3, "../x"),
    case("score fox nope.txt", 3, "There is no file"),
    case("score fox latin", 3, "byte 0xe9 at offset 3", file("latin", b"caf\xe9 " * 99)),
    case("score fox ok.txt --encoding klingon", 2, "no text encoding"),
    case("sample fox -p -", 3, "longer than 4 MB", stdin(b"a" * 4_000_001)),
    case("sample fox -p -", 3, "not UTF-8 at byte 0", stdin(b"\xed\xa0\x80")),
    case("train --resume fox --steps 30", 3, "is not the text this run learned", gone),
    case("eval fox", 3, "is not the text this run learned", gone),
)  # fmt: skip

RUNS = (
    case("sample fox", 3, "run.json", replaced("run.json", lambda path: path.mkdir())),
    case("sample fox", 3, "run.json", replaced("run.json", os.mkfifo)),
    case("sample fox", 3, "run.json", replaced("run.json", lambda path: path.symlink_to("request.json"))),
    case("sample fox", 3, "run.json is damaged", in_run("run.json", '{"version": NaN}')),
    case("sample fox", 3, "run.json is damaged", in_run("run.json", "[" * 100_000)),
    case("sample fox", 3, "run.json is too large", in_run("run.json", " " * 2_000_000)),
    case("sample fox", 3, "run.json is damaged: its version", changed("run.json", version=True)),
    case("sample fox", 3, "run.json is damaged: it has no model", changed("run.json", model=[])),
    case("sample fox", 3, "run.json", changed("run.json", model={"arch": "modern"})),
    case("sample fox", 3, "run.json", changed("run.json", model={"arch": "os.system", "vocab_size": 3, "block_size": 4})),
    case("sample fox", 3, "turns must name", changed("run.json", turns={"user": 3})),
    case("sample fox", 3, "tokenizer", replaced("tokenizer.json", os.mkfifo)),
    case("sample fox", 3, "tokenizer", in_run("tokenizer.json", '{"version": 1, "kind": "chars", "symbols": ["ab"]}')),
    case("sample fox", 3, "tokenizer", in_run("tokenizer.json", '{"version": 99, "kind": "chars", "symbols": "ab"}')),
    case("sample fox", 3, "is missing", replaced("tokenizer.json", lambda path: None)),
    case("sample fox", 3, "sound checkpoint", put("model.safetensors", PICKLE)),
    case("sample fox", 3, "sound checkpoint", put("model.safetensors", b"")),
    case("sample fox", 3, "sound checkpoint", put("manifest.json", b"{}")),
    case("sample fox", 3, "sound checkpoint", put("manifest.json", PICKLE)),
    case("sample fox", 3, "sound checkpoint", in_checkpoints(lambda path: (path / "manifest.json").unlink())),
    case("sample fox", 3, "sound checkpoint", in_checkpoints(lambda path: (path / "model.safetensors").unlink())),
    case("sample fox", 3, "checkpoint", in_checkpoints(linked_away)),
    case("train --resume fox --steps 30", 3, "sound checkpoint", put("training.safetensors", b"x")),
    case("train --resume fox --steps 30", 3, "request.json", in_run("request.json", "{}")),
    case("train --resume fox --steps 30", 3, "status.json is damaged", in_run("status.json", "[]")),
    case("train --resume fox --steps 30", 3, "not a regular file", replaced("events.jsonl", os.mkfifo)),
    case("runs stop fox", 3, "not a regular file", together(in_run("status.json", '{"pid": 1, "state": "training", "step": 1, "heartbeat": 1}'), replaced("lock", lambda path: path.mkdir()))),
    case("train ok.txt --recipe fox", 3, "run.json", in_run("run.json", '{"version": 1}')),
    case("train ok.txt --recipe fox", 2, "unknown fields", changed("run.json", recipe={"pickle": 1})),
    case("train ok.txt --recipe fox", 2, "n_layer must be", changed("run.json", recipe={"n_layer": 10**9})),
    case("train ok.txt --recipe fox", 2, "n_layer must be", changed("run.json", recipe={"n_layer": True})),
    case("runs show fox", 3, "run.json is damaged", in_run("run.json", "\0")),
    case("runs rm gone fox", 3, "gone"),
)  # fmt: skip

SETTINGS = (
    case("config show", 2, "it is not UTF-8", settings_file(b"[train]\ntime = '\xff'\n")),
    case("config show", 2, "line 1, column 1", settings_file(b"\0")),
    case("config validate", 2, "line 2, column 9", settings_file(b"[train]\ntime = 3m\n")),
    case("config get train.time", 2, "line 1", settings_file(b"[train")),
    case("config set train.time 3m", 2, "nested too deeply", settings_file(b"x = " + b"[" * 100_000)),
    case("config unset train.time", 2, "line 2", settings_file(b"a = 1\na = 2\n")),
    case("config set train.time 3m", 2, "longer than 1,000,000 bytes", settings_file(b"x = 1\n" * 200_000)),
    case("config show", 2, "version is", settings_file(b"version = true\n")),
    case("config validate", 2, "is of version 2", settings_file(b"version = 2\n")),
    case("config unset train.time", 2, "version 2", settings_file(b"version = 2\n[train]\ntime = '3m'\n")),
    case("config show", 2, "is not a file", settings_folder),
    case("config set train.seed 2", 2, "is not a file", settings_folder),
    case("config set ui.keys x", 2, "ui.keys is a table"),
    case("config get train.sed", 2, "did you mean 'train.seed'?"),
    case("config unset train.nonsense", 2, "there is no setting"),
    case("config get ui.keys.app.quit", 2, "is not set"),
)  # fmt: skip

TABLE = (*TEXTS, *RUNS, *SETTINGS)


@pytest.mark.parametrize("case", TABLE, ids=label)
def test_an_odd_file_gets_one_sentence_and_the_right_exit_code(
    case: Case, tinygpt: Run, home: Path, tmp_path: Path, corpora: Path,
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    check_refused(case, tinygpt, home, tmp_path, corpora, request, monkeypatch)


def test_a_text_of_one_symbol_is_learned_and_written(
    tinygpt: Run, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text("a" * 400)
    assert tinygpt("train", str(tmp_path / "a.txt"), "--steps", "2", *tiny, "--quiet").code == 0
    assert tinygpt("sample", "-n", "20").out.strip() == "a" * 20
    assert tinygpt("eval", "--json").lines[0]["val_loss"] == 0
