"""No number and no word is taken where it means nothing: every field of a recipe and every setting, beyond each end of its range."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.recipe import KNOBS
from tests.tinygpt_tui.bad_input import Case, Run, case, check_refused, config, env, label
from tinygpt_tui.settings import SCHEMA, Entry


def wrong_recipes() -> Iterator[Case]:
    """Each field with what lies below and above its range, with a word, and with what Python would take for 1."""
    for name, knob in KNOBS.items():
        about = knob.metadata
        says = f"{name} must be one of" if about["choices"] else f"{name} must be a"
        texts = ["nope", ""]
        if not about["choices"]:
            texts = [f"{about['low'] - 1}", f"{about['high'] * 2 + 1}", "True"]
            texts += ["1.5"] if knob.type == "int" else ["nan", "-inf"]
        for text in texts:
            yield case(f"train ok.txt --set {name}={text}", 2, says)


def wrong_texts(setting: Entry) -> list[str]:
    """What `config set` must refuse for a setting."""
    about = setting.about
    if setting.kind in (int, float):
        low = about.low - 1 if about.low - 1 != 0 else about.low - 2  # 0 may have a meaning of its own
        numbers = [f"{low:g}" if setting.kind is float else f"{int(low)}", f"{int(about.high) * 2 + 1}"]
        return [*numbers, "many", "1_0", "0x1"]
    return ["nope", ""] if about.choices or about.duration else [""]


SETTINGS = [setting for setting in SCHEMA.values() if setting.kind is not dict]
SAMPLER = {"temperature": "9", "top_k": "-1", "top_p": "1.5", "min_p": "2", "repetition": "-1"}

RECIPES = tuple(wrong_recipes())
SET = tuple(
    case(("config", "set", setting.key, text), 2, f"{setting.key} is ")
    for setting in SETTINGS
    for text in wrong_texts(setting)
)
SOURCES = (
    *(
        case("sample fox", 2, f"TINYGPT_SAMPLE_{name.upper()}: sample.{name} is", env(**{f"TINYGPT_SAMPLE_{name.upper()}": text}))
        for name, text in SAMPLER.items()
    ),
    *(
        case("chat fox", 2, f"config.toml: sample.{name} is {text}", config(f"[sample]\n{name} = {text}\n"))
        for name, text in SAMPLER.items()
    ),
    *(
        case(f"chat fox --{name.replace('_', '-')}={text}", 2, f"command line: sample.{name} is")
        for name, text in SAMPLER.items()
    ),
    *(
        case("train ok.txt", 2, f"config.toml: {setting.key} is true", config(f"[{setting.section}]\n{setting.key.partition('.')[2]} = true\n"))
        for setting in SETTINGS
        if setting.section in ("train", "sample", "output")
    ),
    *(
        case("train ok.txt", 2, f"{setting.env}: {setting.key} is 'nonsense'", env(**{setting.env: "nonsense"}))
        for setting in SETTINGS
        if setting.key != "ui.theme"  # a text; whether there is such a theme, only the playground knows
    ),
)  # fmt: skip

TABLE = (*RECIPES, *SET, *SOURCES)


@pytest.mark.parametrize("case", TABLE, ids=label)
def test_a_number_out_of_range_gets_one_sentence_and_the_right_exit_code(
    case: Case, tinygpt: Run, home: Path, tmp_path: Path, corpora: Path,
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    check_refused(case, tinygpt, home, tmp_path, corpora, request, monkeypatch)


def test_every_field_and_every_setting_is_in_the_table() -> None:
    tried = " ".join(" ".join(case.args) for case in TABLE)
    assert all(f"--set {name}=" in tried for name in KNOBS)
    assert all(f"config set {setting.key} " in tried for setting in SETTINGS)
