"""The settings file belongs to the person: what is in it is kept, and what is not understood is not touched."""

from __future__ import annotations

import fcntl
import os
import stat
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import storage
from engine.errors import BusyError, ResourceError, SettingsError, UsageError
from tinygpt_tui import settings_file
from tinygpt_tui.settings import Settings, value_of

MINE = """\
# my settings
version = 1
[sample] # how it talks
temperature = 0.3   # warm
colour = "blue"     # of another program

[strange]
x = [1, 2]
"""


@pytest.fixture
def path(home: Path) -> Path:
    return home / "config" / "config.toml"


def given_file(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def test_without_a_file_there_are_the_defaults_and_nothing_is_made(path: Path, home: Path) -> None:
    assert settings_file.load().settings == Settings()
    assert not home.exists()


def test_a_value_that_was_set_is_found_again(path: Path) -> None:
    settings_file.set_value(path, "sample.temperature", 0.5)
    settings_file.set_value(path, "train.time", "3m")
    settings_file.set_value(path, "ui.keys.play.stop", "ctrl+x")
    settings_file.set_value(path, "ui.keys.play.stop", "ctrl+y")
    settings = settings_file.load().settings
    assert (settings.sample.temperature, settings.train.time) == (0.5, "3m")
    assert settings.ui.keys == {"play.stop": "ctrl+y"}
    assert tomllib.loads(path.read_text())["version"] == 1


def test_the_file_and_its_folder_are_the_users_alone(path: Path, home: Path) -> None:
    settings_file.set_value(path, "train.seed", 7)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in (path.parent, home)} == {0o700}
    assert [p.name for p in path.parent.iterdir()] == ["config.toml"]


def test_values_that_several_set_at_once_are_all_kept(path: Path) -> None:
    values = {
        "train.seed": 7,
        "train.threads": 3,
        "train.time": "9m",
        "sample.temperature": 0.5,
        "sample.top_k": 4,
    }
    begin = Barrier(len(values))

    def change(key: str) -> None:
        begin.wait()
        settings_file.set_value(path, key, values[key])

    with ThreadPoolExecutor(len(values)) as threads:
        for done in [threads.submit(change, key) for key in values]:
            done.result()
    resolved = settings_file.load(path=path)
    assert {key: value_of(resolved.settings, key) for key in values} == values


def test_whoever_has_to_wait_too_long_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given_file(path, MINE)
    monkeypatch.setattr("engine.lock.TURN_SECONDS", 0.01)
    fd = os.open(path.parent, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    for attempt in (
        lambda: settings_file.set_value(path, "train.seed", 7),
        lambda: settings_file.unset_value(path, "sample.temperature"),
    ):
        with pytest.raises(BusyError, match=r"config\.toml"):
            attempt()
    os.close(fd)
    assert path.read_text() == MINE
    settings_file.set_value(path, "train.seed", 7)
    assert settings_file.load(path=path).settings.train.seed == 7


def test_taking_back_what_was_never_set_makes_nothing(path: Path, home: Path) -> None:
    assert not settings_file.unset_value(path, "train.seed")
    assert not home.exists()


def test_comments_order_and_unknown_keys_are_kept(path: Path) -> None:
    given_file(path, MINE)
    settings_file.set_value(path, "sample.temperature", 0.5)
    assert path.read_text() == MINE.replace("0.3", "0.5")
    settings_file.set_value(path, "train.seed", 7)
    settings_file.unset_value(path, "train.seed")
    assert path.read_text().startswith(MINE.replace("0.3", "0.5"))
    assert len(settings_file.load().warnings) == 2


def test_unknown_keys_can_be_removed(path: Path) -> None:
    given_file(path, MINE)
    assert settings_file.unset_value(path, "sample.colour") and settings_file.unset_value(path, "strange.x")
    assert not settings_file.unset_value(path, "strange.x")
    assert "colour" not in path.read_text() and "# how it talks" in path.read_text()
    with pytest.raises(UsageError):
        settings_file.unset_value(path, "version")


@pytest.mark.parametrize(
    "before",
    [
        'train.time = "1m"\n',
        'train = {time = "1m"}\n',
        '[train]\r\ntime = "1m" # note\r\nseed = 3\r\n',
        '\ufeff[train]\ntime = "1m"\n',
        "[train]\n",
        "",
        "# only a comment",
    ],
)
def test_every_way_of_writing_a_table_can_be_changed(before: str, path: Path) -> None:
    given_file(path, before)
    settings_file.set_value(path, "train.time", "9m")
    assert settings_file.load().settings.train.time == "9m"
    assert ("\r" in before) == (b"\r\n" in path.read_bytes())
    assert settings_file.unset_value(path, "train.time")
    assert settings_file.load().settings.train.time == "2m"


@pytest.mark.parametrize("before", ['keys.play.stop = "a"', 'keys."play.stop" = "a"', '[ui.keys]\n"play.stop" = "a"', '[ui.keys.play]\nstop = "a"'])  # fmt: skip
def test_an_actions_key_is_replaced_however_it_was_written(before: str, path: Path) -> None:
    given_file(path, before if before.startswith("[") else f"[ui]\n{before}\n")
    settings_file.set_value(path, "ui.keys.play.stop", "b")
    assert settings_file.load().settings.ui.keys == {"play.stop": "b"}


BROKEN: list[tuple[str | bytes, str]] = [
    ("a = ", "line 1, column 5"),
    ("a = 1\n= 2\n", "line 2, column 1"),
    ('x = 1\ny = "abc', "line 2, column 9"),
    ("x = 1\nx = 2\n", "line 2, column 6"),
    (b"x = 1\ny = '\xff'\n", "line 2, column 6: it is not UTF-8"),
    ("x = " + "[" * 100_000, "nested too deeply"),
    ("x = " + "9" * 5000, "line 1"),
    ("x = 1\n" * 200_000, "longer than 1,000,000 bytes"),
    ("\x00", "line 1, column 1"),
]


@pytest.mark.parametrize(("content", "message"), BROKEN, ids=range(len(BROKEN)))
def test_a_damaged_file_is_named_with_its_place_and_never_written(
    content: str | bytes, message: str, path: Path
) -> None:
    given_file(path, content)
    before = path.read_bytes()
    for use in (
        lambda: settings_file.load(),
        lambda: settings_file.set_value(path, "train.seed", 1),
        lambda: settings_file.unset_value(path, "train.seed"),
    ):
        with pytest.raises(SettingsError) as caught:
            use()
        assert message in str(caught.value) and str(path) in str(caught.value)
    assert path.read_bytes() == before


def test_a_newer_file_is_left_out_with_a_warning_and_never_written(path: Path) -> None:
    given_file(path, 'version = 2\n[train]\ntime = {of = "another kind"}\n')
    before = path.read_bytes()
    found = settings_file.load()
    assert found.settings == Settings()
    assert "version 2" in found.warnings[0] and "knows 1" in found.warnings[0]
    for key in ("train.seed", "train.time"):
        with pytest.raises(SettingsError, match=r"version 2 .* version 1: the file is left as it is"):
            settings_file.set_value(path, key, 1)
        with pytest.raises(SettingsError):
            settings_file.unset_value(path, key)
    assert path.read_bytes() == before


@pytest.mark.parametrize("version", ["true", "0", '"1"', "1.0", "-1"])
def test_a_version_that_is_none_is_refused(version: str, path: Path) -> None:
    given_file(path, f"version = {version}\n")
    with pytest.raises(SettingsError, match="version is"):
        settings_file.load()


def test_a_folder_or_a_broken_link_in_its_place_is_refused(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(SettingsError, match="is not a file"):
        settings_file.load()
    path.rmdir()
    path.symlink_to(path.parent / "nowhere")
    with pytest.raises(SettingsError, match="is not a file"):
        settings_file.set_value(path, "train.seed", 1)
    assert path.is_symlink()


def test_a_section_that_is_no_table_is_refused_and_not_replaced(path: Path) -> None:
    for content in ("train = 3\n", "[[train]]\nseed = 1\n"):
        given_file(path, content)
        with pytest.raises(SettingsError, match="train must be a table"):
            settings_file.set_value(path, "train.seed", 1)
        assert path.read_text() == content


def test_a_write_that_fails_leaves_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given_file(path, MINE)

    class Full(storage.Ops):
        def write(self, fd: int, data: bytes | memoryview) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(storage, "ops", Full())
    with pytest.raises(ResourceError):
        settings_file.set_value(path, "train.seed", 1)
    assert path.read_text() == MINE
    assert [p.name for p in path.parent.iterdir()] == ["config.toml"]


texts = st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=12)


@given(action=texts, keys=texts)
def test_any_action_and_any_keys_survive_the_file(
    action: str, keys: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("config") / "config.toml"
    settings_file.set_value(path, f"ui.keys.{action}", keys)
    assert settings_file.load(environment={}, path=path).settings.ui.keys == {action: keys}
    assert settings_file.unset_value(path, f"ui.keys.{action}")
    assert settings_file.load(environment={}, path=path).settings.ui.keys == {}
