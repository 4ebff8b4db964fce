"""What reads a person's own folders: settings, the history of what was written, token files in the cache."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from engine.errors import TinygptError
from tests.soak import mutation
from tests.soak.sound_files import MOST_MESSAGE, TEXT, Case, files_of, judged, lay


def settings_files(place: Path) -> Case:
    """A settings file: read, used and changed. What cannot be used is left as it is."""
    from tinygpt_tui import settings_file
    from tinygpt_tui.settings_book import SettingsBook

    path = place / "config" / "config.toml"
    path.parent.mkdir(parents=True)
    sound = (
        "# mine\nversion = 1\n[train] # how\ntime = \"3m\"\nseed = 7\nthreads = 2\n[sample]\ntemperature = 0.5\ntop_k = 40\nchars = 100\n"
        "[ui]\ntheme = \"auto\"\nspeed = 60\nkeys.play.stop = \"x\"\n[ui.keys]\n\"play.go\" = \"y\"\n[output]\ncolor = \"never\"\n[other]\nx = [1, 2]\n"
    )  # fmt: skip

    def case(dice: random.Random) -> str:
        data = mutation.toml_of(dice, sound)
        path.write_bytes(data)
        result = judged(lambda: settings_file.load(environment={}, path=path))
        if dice.random() < 0.3:
            action = dice.choice((
                lambda: settings_file.set_value(path, "train.seed", 3),
                lambda: settings_file.set_value(path, "ui.keys.play.stop", "z"),
                lambda: settings_file.unset_value(path, "sample.temperature"),
                lambda: SettingsBook(path, {}).set("sample.top_k", "7"),
            ))  # fmt: skip
            changed = judged(action)
            if changed != "taken":
                assert path.read_bytes() == data, "a file that could not be changed was changed"
            elif result == "taken":
                settings_file.load(environment={}, path=path)
        return result

    return case


_SQL: tuple[Any, ...] = (
    None, 0, -1, 1, 2**63 - 1, -(2**63), 0.5, 1e308, float("inf"), "", "x", "9" * 5000, b"", b"\xff\xfe", b"\x00" * 9, "[" * 900 + "]" * 900,
    '{"temperature": 1e999}', '{"a": ' * 400 + "1" + "}" * 400, "\x1b[31m", "1" + "0" * 400, b"\xff" * 10_000, '{"leaf": 1e999}',
)  # fmt: skip


def histories(place: Path) -> Case:
    """A database of what was written: its pages and its rows changed, or foreign things added to it."""
    import sqlite3
    from contextlib import closing

    from tests.tinygpt_tui.test_history import eventful
    from tinygpt_tui.play.history import History
    from tinygpt_tui.play.session import Session

    path = place / "history" / "history.sqlite"
    history = History(path)
    history.begin()
    simple = Session()
    simple.type("simple")
    for session in (eventful(), simple):
        history.keep(session, now=True)
    history.add_prompt("Once")
    history.close()
    sound = path.read_bytes()
    assert not history.problem and b"SQLite" in sound[:10]
    columns = [("session", c) for c in ("id", "created", "updated", "title", "run", "chars", "view")]
    columns += [
        ("passage", c)
        for c in ("parent", "offset", "kind", "run", "step", "seed", "settings", "reason", "number")
    ]
    columns += [("piece", c) for c in ("text", "lengths", "p", "raw", "rank", "seq", "passage")]
    columns += [("change", c) for c in ("token", "settings", "seq")] + [
        ("prompt", c) for c in ("text", "used")
    ]
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n"
    foreign = (
        f"CREATE TRIGGER t AFTER INSERT ON session BEGIN INSERT INTO prompt {endless.replace('max(x)', 'max(x), 1')}; END",
        "ALTER TABLE prompt RENAME TO p2; CREATE VIEW prompt AS SELECT * FROM p2",
        f"CREATE VIEW more AS {endless}",
        "CREATE TRIGGER t BEFORE INSERT ON piece BEGIN SELECT RAISE(ABORT, 'no'); END",
        "CREATE INDEX own ON session (title)",
        "CREATE TABLE own (x)",
        "PRAGMA user_version = 7",
        "PRAGMA user_version = -1",
    )

    def change(dice: random.Random) -> None:
        data = sound
        if (kind := dice.random()) < 0.45:
            data = mutation.bytes_of(dice, sound, 8)
        path.write_bytes(data)
        if kind >= 0.45:
            with closing(sqlite3.connect(path)) as file, suppress(sqlite3.Error):
                file.execute("PRAGMA journal_mode = DELETE")
                file.execute("PRAGMA synchronous = OFF")
                for _ in range(dice.randint(1, 3)):
                    with suppress(sqlite3.Error):
                        if dice.random() < 0.15:
                            file.executescript(dice.choice(foreign))
                        else:
                            table, column = dice.choice(columns)
                            value = dice.choice(
                                (*_SQL, mutation.json_of(dice, {"leaf": 1, "done": [0], "undone": []}))
                            )
                            where = dice.choice(("", " WHERE rowid % 2 = 1", f" WHERE {column} IS NOT NULL"))
                            file.execute(f"UPDATE OR REPLACE {table} SET {column} = ?{where}", (value,))
                file.commit()

    def use() -> str:
        history = History(path)
        history.begin()
        try:
            for kept in history.sessions():
                with suppress(TinygptError):
                    session = history.load(kept.id)
                    session.text(), session.marks(), session.branches()
                    assert all(session.place(at) is not None for at in range(min(50, session.length)))
            history.search("fox")
            history.prompts()
            new = Session()
            new.type("a new text")
            history.keep(new, now=True)
            history.flush()
            assert history.problem.count("\n") == 0 and len(history.problem) < MOST_MESSAGE
            return "moved aside" if history.notice else "left alone" if history.problem else "taken"
        finally:
            history.close()

    def case(dice: random.Random) -> str:
        shutil.rmtree(path.parent)
        path.parent.mkdir()
        change(dice)
        return judged(use)

    return case


def token_entries(place: Path) -> Case:
    """Token files in the cache: manifest, ids and lock of an entry that somebody else has made."""
    import numpy as np

    from engine import text_stream, token_files
    from engine.large_text import look_through, remember, remembered
    from engine.text_stream import Chunk, TextStream
    from engine.token_encoding import tokenizer_for

    text_stream.CHUNK = 997
    source, cache = place / "text.txt", place / "cache"
    source.write_text(TEXT * 40)
    text = look_through(str(source), 1)
    tokenizer = tokenizer_for("chars", text.symbols, (), None)

    readings = 0

    def stream() -> Iterator[Chunk]:
        nonlocal readings
        readings += 1
        return iter(TextStream(str(source)))

    def prepared() -> token_files.TokenFiles:
        return token_files.token_files(cache, text, tokenizer, stream)

    prepared()
    remember(cache, text)
    sound = files_of(cache / "tokens")
    key = token_files.key_of(text.sha256, tokenizer)
    told = json.loads(sound[f"{key}/manifest.json"])

    def change(dice: random.Random) -> None:
        files, said = dict(sound), json.loads(json.dumps(told))
        if dice.random() < 0.6:
            for part in ("train.ids", "val.ids"):
                if dice.random() < 0.5:
                    files[f"{key}/{part}"] = mutation.bytes_of(dice, files[f"{key}/{part}"])
                    if dice.random() < 0.8:
                        import hashlib

                        said["files"][part]["sha256"] = hashlib.sha256(files[f"{key}/{part}"]).hexdigest()
        files[f"{key}/manifest.json"] = (
            mutation.json_of(dice, said) if dice.random() < 0.7 else json.dumps(said).encode()
        )
        for name in list(files):
            if name.endswith(f"{text.sha256}.json"):
                files[name] = (
                    mutation.json_of(dice, json.loads(sound[name])) if dice.random() < 0.5 else sound[name]
                )
        if dice.random() < 0.1:
            del files[dice.choice(sorted(files))]
        lay(cache / "tokens", files)

    def use() -> str:
        known = remembered(cache, text.sha256, text.source)
        assert known is None or known.chars > 0
        before, found = readings, prepared()
        for ids in (found.train_ids, found.val_ids):
            assert ids.dtype == np.uint8 and (not ids.size or int(ids.max()) < tokenizer.vocab_size)
        assert (found.train_chars, found.val_chars) == (told["train_chars"], told["val_chars"])
        return "taken" if readings == before else "made anew"

    def case(dice: random.Random) -> str:
        change(dice)
        return judged(use)

    return case
