"""The schema of settings: what a value may be, where it is taken from, and that it agrees with the engine."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import recipe
from engine.errors import SettingsError, UsageError
from engine.sampler_settings import KNOBS, Knob, SamplerSettings
from tinygpt_tui.settings import SCHEMA, Settings, checked, entry, from_text, seconds, value_of
from tinygpt_tui.settings_sources import Origin, resolve


@pytest.mark.parametrize("key", SCHEMA)
def test_every_default_is_allowed_and_every_setting_explained(key: str) -> None:
    row = SCHEMA[key]
    assert checked(key, row.default) == row.default == value_of(Settings(), key)
    assert row.about.help and not row.about.help.endswith(".")


def test_every_setting_has_its_own_environment_variable() -> None:
    variables = [row.env for row in SCHEMA.values() if row.kind is not dict]
    assert len(set(variables)) == len(variables) and SCHEMA["sample.top_k"].env == "TINYGPT_SAMPLE_TOP_K"


def test_an_option_beats_the_environment_beats_the_file_beats_the_default() -> None:
    document = {"sample": {"temperature": 0.1, "top_k": 1, "min_p": 0.01}}
    environment = {
        "TINYGPT_SAMPLE_TEMPERATURE": "0.2",
        "TINYGPT_SAMPLE_TOP_K": "2",
        "TINYGPT_SAMPLE_CHARS": "",
    }
    found = resolve({"sample.temperature": 0.3, "sample.top_k": None}, environment, document)
    sample = found.settings.sample
    assert (sample.temperature, sample.top_k, sample.min_p, sample.chars) == (0.3, 2, 0.01, 500)
    origins = [found.origins[f"sample.{name}"] for name in ("temperature", "top_k", "min_p", "chars")]
    assert origins == [Origin.OPTION, Origin.ENVIRONMENT, Origin.FILE, Origin.DEFAULT]
    assert found.warnings == ()


def test_unknown_names_are_warnings_with_the_nearest_name() -> None:
    found = resolve(
        {}, {"TINYGPT_TRAIN_TIEM": "3m", "TINYGPT_HOME": "/x"}, {"trian": {}, "train": {"tiem": "3m"}, "version": 1}
    )  # fmt: skip
    assert found.settings == Settings()
    file, key, variable = sorted(found.warnings, key=len)
    assert "'trian' (did you mean 'train'?)" in file
    assert "'train.tiem' (did you mean 'train.time'?)" in key
    assert "TINYGPT_TRAIN_TIEM is no setting (did you mean 'TINYGPT_TRAIN_TIME'?)" in variable


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"train": {"seed": True}}, "FILE: train.seed is true, but it must be a whole number: 0 or more"),
        ({"train": {"seed": 1.0}}, "FILE: train.seed is 1.0"),
        ({"train": {"seed": "1"}}, "FILE: train.seed is '1'"),
        ({"train": {"seed": int("9" * 4000)}}, "FILE: train.seed is a number of more than 40 digits"),
        ({"sample": {"temperature": -1}}, "temperature is -1, but it must be a number: 0.01 to 5; 0: always"),
        ({"sample": {"temperature": math.nan}}, "temperature is nan"),
        ({"sample": {"temperature": math.inf}}, "temperature is inf"),
        ({"sample": {"temperature": 1e-40}}, "temperature is 1e-40"),
        ({"sample": {"temperature": 10**400}}, "temperature is a number of more than 40 digits"),
        ({"sample": {"top_p": False}}, "sample.top_p is false"),
        ({"sample": {"top_k": []}}, "sample.top_k is a list"),
        ({"train": {"arch": "clasic"}}, "one of modern, classic, ngram (did you mean 'classic'?)"),
        ({"train": {"time": "soon"}}, "train.time is 'soon', but it must be a length of time such as 90s"),
        ({"train": 3}, "FILE: train is 3, but it must be a table: write [train]"),
        ({"ui": {"keys": {"quit": 3}}}, "ui.keys.quit is 3, but it must be a text that is not empty"),
        ({"ui": {"keys": "q"}}, "ui.keys is 'q', but it must be a table"),
        ({"ui": {"theme": ""}}, "ui.theme is '', but it must be a text"),
    ],
)
def test_wrong_values_name_the_place_the_key_the_value_and_the_range(
    document: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        resolve(document=document, source="FILE")
    assert message in str(caught.value)


def test_a_wrong_variable_or_option_is_named() -> None:
    with pytest.raises(SettingsError, match=r"^environment variable TINYGPT_TRAIN_SEED: train\.seed is 'x'"):
        resolve(environment={"TINYGPT_TRAIN_SEED": "x"})
    with pytest.raises(SettingsError, match=r"^command line: train\.seed is -1"):
        resolve({"train.seed": -1})
    with pytest.raises(UsageError, match=r"no setting 'train\.sed' \(did you mean 'train\.seed'\?\)"):
        resolve({"train.sed": 1})


@pytest.mark.parametrize("text", ["1_000", " 7", "7 ", "٣", "0x10", "1,5", "1.5", "", "true", "1" * 5000])
def test_whole_numbers_are_read_strictly(text: str) -> None:
    with pytest.raises(SettingsError):
        from_text("train.seed", text)


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1_0", "0,7", "", "1e-40", "1e400", "0.5 ", "-0.1"])
def test_numbers_are_read_strictly(text: str) -> None:
    with pytest.raises(SettingsError):
        from_text("sample.temperature", text)


def test_numbers_are_read_in_every_usual_form() -> None:
    assert [from_text("sample.temperature", t) for t in ("1", "0.5", ".5", "5e-1", "+2", "0")] == [
        1,
        0.5,
        0.5,
        0.5,
        2,
        0,
    ]
    assert type(from_text("sample.temperature", "1")) is float and type(checked("sample.top_p", 1)) is float


def test_lengths_of_time() -> None:
    assert [seconds(t) for t in ("90s", "90", "3m", "1.5h", "1h30m", "1h0m1s")] == [
        90,
        90,
        180,
        5400,
        5400,
        3601,
    ]
    for text in (
        "",
        "0",
        "0s",
        "0.5s",
        "-3m",
        "3 m",
        "3M",
        "1.2.3s",
        "m",
        "9999999h",
        "nan",
        "1e3",
        "30m1h",
        "1h30",
    ):
        assert seconds(text) is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=8), inner, max_size=2),
    max_leaves=4,
)


@given(st.dictionaries(st.sampled_from(["train", "sample", "ui", "output", "other"]),
       st.dictionaries(st.sampled_from([*(k.split(".")[1] for k in SCHEMA), "x", "", "a.b"]), json_values) | json_values))  # fmt: skip
def test_any_document_is_taken_or_refused_with_a_sentence(document: dict[str, Any]) -> None:
    try:
        found = resolve(document=document)
    except UsageError as error:
        assert ", but it must be " in str(error) or "there is no setting" in str(error)
    else:
        for key in SCHEMA:
            if SCHEMA[key].kind is not dict:
                checked(key, value_of(found.settings, key))


@given(st.sampled_from(list(SCHEMA)), st.text(max_size=20))
def test_any_text_for_any_setting_is_taken_or_refused(key: str, text: str) -> None:
    try:
        value = from_text(key, text)
    except SettingsError:
        return
    assert checked(key, value) == value


def takes(check: Callable[[Any], Any], value: object) -> bool:
    try:
        check(value)
    except SettingsError:
        return False
    return True


@pytest.mark.parametrize("knob", KNOBS.values(), ids=list(KNOBS))
def test_the_sampler_takes_exactly_what_these_settings_allow_and_says_the_same_of_it(knob: Knob) -> None:
    row = entry(f"sample.{knob.name}")
    for value in (-1, 0, knob.low / 2, knob.low, knob.off, knob.high, knob.high + 1):
        assert takes(partial(checked, row.key), value) == takes(knob.checked, value), value
    assert row.default == getattr(SamplerSettings(), knob.name) and row.about.help == knob.help


def test_settings_need_neither_numpy_nor_torch() -> None:
    code = "import sys, tinygpt_tui.settings; print([m for m in ('numpy', 'torch') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_recipe_takes_whatever_these_settings_allow() -> None:
    for name in ("arch", "seed", "threads", "sample_chars"):
        row = entry(f"train.{name}")
        for value in row.about.choices or (row.about.low, row.about.high, 0):
            recipe.check(name, value)
    recipe.check("time", seconds("1s"))


def test_actions_may_have_dots_in_their_names() -> None:
    nested = resolve(document={"ui": {"keys": {"play": {"stop": "s"}, "quit": "q"}}})
    quoted = resolve(document={"ui": {"keys": {"play.stop": "s", "quit": "q"}}})
    assert nested == quoted and nested.settings.ui.keys == {"play.stop": "s", "quit": "q"}
