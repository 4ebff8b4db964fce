"""Settings while the playground runs: a change is checked, saved, in force and told at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import SettingsError, UsageError
from tinygpt_tui.settings_book import SettingsBook
from tinygpt_tui.settings_sources import Origin


def test_a_change_is_in_force_saved_and_told(tmp_path: Path) -> None:
    book = SettingsBook(tmp_path / "config.toml", {})
    told: list[str] = []
    book.listen(told.append)
    book.set("sample.temperature", "0.35")
    assert book.value("sample.temperature") == 0.35
    assert book.origin("sample.temperature") is Origin.FILE
    assert told == ["sample.temperature"]
    assert SettingsBook(book.path, {}).value("sample.temperature") == 0.35


def test_a_wrong_value_changes_nothing(tmp_path: Path) -> None:
    book = SettingsBook(tmp_path / "config.toml", {})
    with pytest.raises(SettingsError):
        book.set("sample.temperature", "hot")
    with pytest.raises(UsageError):
        book.set("sample.temprature", "1")
    assert book.value("sample.temperature") == 0.8 and not book.path.exists()


def test_taking_a_setting_back_gives_the_default(tmp_path: Path) -> None:
    book = SettingsBook(tmp_path / "config.toml", {})
    book.set("train.size", "4m")
    book.unset("train.size")
    assert book.value("train.size") == "auto" and book.origin("train.size") is Origin.DEFAULT


def test_own_keys_are_set_and_taken_back_one_by_one(tmp_path: Path) -> None:
    book = SettingsBook(tmp_path / "config.toml", {})
    book.set("ui.keys.play.reroll", "ctrl+r")
    book.set("ui.keys.play.undo", "z")
    assert book.value("ui.keys") == {"play.reroll": "ctrl+r", "play.undo": "z"}
    book.unset("ui.keys.play.reroll")
    assert book.value("ui.keys") == {"play.undo": "z"}


def test_what_the_environment_holds_cannot_be_changed_here(tmp_path: Path) -> None:
    book = SettingsBook(tmp_path / "config.toml", {"TINYGPT_TRAIN_SIZE": "0.3m"})
    assert book.value("train.size") == "0.3m"
    with pytest.raises(UsageError, match="TINYGPT_TRAIN_SIZE"):
        book.set("train.size", "4m")
    assert not book.path.exists()


def test_a_damaged_file_leaves_the_defaults_and_is_never_written(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("[sample\n")
    book = SettingsBook(path, {})
    assert "config.toml" in book.problem and book.value("sample.temperature") == 0.8
    with pytest.raises(SettingsError):
        book.set("sample.temperature", 0.5)
    assert path.read_text() == "[sample\n"


def test_once_the_file_is_mended_it_is_used_and_written_again(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("[sample\n")
    book = SettingsBook(path, {})
    path.write_text("[sample]\ntop_k = 5\n")
    book.set("sample.temperature", 0.5)
    assert (book.problem, book.value("sample.top_k"), book.value("sample.temperature")) == ("", 5, 0.5)


def test_a_file_damaged_meanwhile_is_not_written(tmp_path: Path) -> None:
    book = SettingsBook(tmp_path / "config.toml", {})
    book.set("sample.temperature", 0.5)
    book.path.write_text("[sample\n")
    with pytest.raises(SettingsError):
        book.set("sample.temperature", 0.6)
    assert book.path.read_text() == "[sample\n"


def test_beside_a_damaged_file_the_environment_still_counts(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("[sample\n")
    book = SettingsBook(path, {"TINYGPT_TRAIN_SIZE": "0.3m"})
    assert book.problem and book.value("train.size") == "0.3m"
    assert book.origin("train.size") is Origin.ENVIRONMENT
    both = SettingsBook(path, {"TINYGPT_TRAIN_SIZE": "huge"})
    assert both.problem and both.value("train.size") == "auto"
