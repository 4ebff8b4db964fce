"""The registry of actions: every action can be reached, no two share a key, and own keys are checked."""

from __future__ import annotations

from importlib import import_module

import pytest

from tinygpt_tui.actions import ACTIONS, actions_of, clashes, keymap, shown_keys
from tinygpt_tui.app import Playground

SCREENS = [scope for scope in dict.fromkeys(action.scope for action in ACTIONS) if scope != "app"]


def test_no_key_does_two_things_on_one_screen() -> None:
    assert clashes({}) == ()


def test_ids_are_unique_and_every_action_has_a_key_a_label_and_a_sentence() -> None:
    assert len({action.id for action in ACTIONS}) == len(ACTIONS)
    for action in ACTIONS:
        assert action.keys and action.label and len(action.help) > 5 and not action.help.endswith("."), action


@pytest.mark.parametrize("scope", SCREENS)
def test_every_action_of_a_screen_is_a_method_of_it(scope: str) -> None:
    screen = import_module(f"tinygpt_tui.screens.{scope}").make_screen()
    missing = [a.id for a in actions_of(scope) if not hasattr(screen, f"action_{a.name}")]
    assert missing == []


def test_every_action_of_the_playground_is_a_method_of_it() -> None:
    assert [a.id for a in actions_of("app") if not hasattr(Playground, f"action_{a.name}")] == []


# Keys that terminals and editors take for themselves, or that are another key in disguise.
@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.id)
def test_no_action_depends_on_a_key_that_terminals_eat(action: object) -> None:
    keys = action.keys.split(",")  # type: ignore[attr-defined]
    assert not set(keys) & {"ctrl+h", "ctrl+i", "ctrl+m", "ctrl+z", "ctrl+s", "ctrl+left_square_bracket"}
    weak = {"f1", "f5", "f6", "ctrl+enter", "ctrl+tab"}
    assert set(keys) - weak, "there must be a key besides"


def test_own_keys_are_taken_and_mistakes_are_told() -> None:
    own = keymap({"play.reroll": "R", "play.rerol": "x"})
    assert own.keys == {"play.reroll": "R"}
    assert own.problems == ("ui.keys: there is no action 'play.rerol' (did you mean 'play.reroll'?)",)


@pytest.mark.parametrize("wrong", ["ctr+x", "ctrl-r", "foo bar", "r,,R", "", " ", "ctrl+", "x,nokey"])
def test_a_key_that_nobody_can_press_is_told_and_the_own_one_kept(wrong: str) -> None:
    own = keymap({"app.quit": wrong, "play.reroll": "R"})
    assert own.keys == {"play.reroll": "R"}
    (problem,) = own.problems
    assert problem.startswith("ui.keys: app.quit keeps ctrl+q, since ")


@pytest.mark.parametrize(
    ("written", "named"),
    [("[", "left_square_bracket"), ("r, R", "r,R"), ("ctrl+x", "ctrl+x"), ("+", "plus"), ("-", "minus"),
     ("/", "slash"), ("slash", "slash"), ("f9", "f9"), ("shift+up", "shift+up"), ("é", "é"), ("pageup", "pageup")],
)  # fmt: skip
def test_a_key_may_be_written_as_its_sign_or_its_name(written: str, named: str) -> None:
    own = keymap({"play.new": written})
    assert own.keys == {"play.new": named}


def test_a_sign_and_its_name_are_one_key() -> None:
    (clash,) = keymap({"play.new": "left_square_bracket"}).problems
    assert clash == "ui.keys: the key [ does both play.cooler and play.new"


def test_a_clash_within_a_screen_or_with_the_playground_is_told() -> None:
    (within,) = keymap({"play.undo": "r"}).problems
    assert "the key r" in within and "play.reroll" in within and "play.undo" in within
    (across,) = keymap({"runs.mark": "1"}).problems
    assert "app.corpus" in across and "runs.mark" in across


def test_the_same_key_on_two_screens_is_no_clash() -> None:
    assert keymap({"runs.mark": "r,q", "runs.resume": "t"}).problems == ()


def test_keys_are_shown_as_a_person_knows_them() -> None:
    palette = next(action for action in ACTIONS if action.id == "app.palette")
    assert shown_keys(palette, {}) == "^p :"
    assert shown_keys(palette, {"app.palette": "escape"}) == "esc"
    assert shown_keys(palette, {"app.palette": "slash,left_square_bracket"}) == "/ ["
