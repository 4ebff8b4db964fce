"""Knobs: wheel, drag, keys and typing all turn them, and what is out of range is refused with a sentence."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual import events
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from engine.errors import SettingsError
from engine.sampler_settings import KNOBS, SamplerSettings
from tests.tinygpt_tui.driving import drive, screen_text, wait_for
from tinygpt_tui.actions import actions_of
from tinygpt_tui.widgets.knob_specs import MAX_SEED, KnobSpec, sampler_spec, seed_spec, speed_spec
from tinygpt_tui.widgets.knobs import Knob, Knobs

SPECS = {spec.name: spec for spec in (*map(sampler_spec, KNOBS), seed_spec(), speed_spec())}
VALUES = {**SamplerSettings(min_p=0.05).to_json(), "seed": 42, "speed": None}
ROWS = (("temperature",), ("top_k", "top_p", "min_p"), ("repetition",), ("seed", "speed"))


class Page(App[int]):
    def __init__(self) -> None:
        super().__init__()
        self.turned: list[tuple[str, Any]] = []
        self.refused: list[str] = []

    def compose(self) -> ComposeResult:
        yield Knobs(SPECS.values(), VALUES, ROWS)

    def on_knob_turned(self, message: Knob.Turned) -> None:
        self.turned.append((message.name, message.value))

    def on_knob_refused(self, message: Knob.Refused) -> None:
        self.refused.append(message.sentence)


def open_page(story: Any, size: tuple[int, int] = (40, 8)) -> None:
    app = Page()

    async def told(pilot: Pilot[int]) -> None:
        await story(pilot, app.query_one(Knobs), app)

    drive(app, told, size)


def of(knobs: Knobs, name: str) -> Knob:
    return knobs.query_one(f"#knob-{name}", Knob)


def is_typed_into(knob: Knob) -> bool:
    """Whether it shows the cursor of a value that is being typed."""
    return "▏" in knob.render().plain


async def wheel(pilot: Pilot[int], knob: Knob, up: bool) -> None:
    kind = events.MouseScrollUp if up else events.MouseScrollDown
    await pilot._post_mouse_events([kind], knob, offset=(1, 0), button=0)


def test_every_knob_is_on_the_screen_in_its_line() -> None:
    async def story(pilot: Pilot[int], knobs: Knobs, app: Page) -> None:
        lines = screen_text(app).split("\n")
        assert lines[0].startswith("temperature 0.80  ━") and "●" in lines[0] and lines[0].endswith("0 … 2")
        assert [part.strip() for part in lines[1].split("·")] == ["top-k off", "top-p off", "min-p 0.05"]
        assert [part.strip() for part in lines[3].split("·")] == ["seed 42", "speed flat out"]

    open_page(story)


def test_the_wheel_and_the_arrows_turn_by_a_notch_and_say_so() -> None:
    async def story(pilot: Pilot[int], knobs: Knobs, app: Page) -> None:
        await wheel(pilot, of(knobs, "temperature"), up=True)
        await wheel(pilot, of(knobs, "top_k"), up=False)
        of(knobs, "min_p").focus()
        await pilot.press("right", "left", "left")
        await wait_for(pilot, lambda: len(app.turned) == 5)
        assert app.turned == [
            ("temperature", 0.85), ("top_k", 500), ("min_p", 0.1), ("min_p", 0.05), ("min_p", 0.02),
        ]  # fmt: skip
        await pilot.press("home", "end")
        await wait_for(pilot, lambda: app.turned[-2:] == [("min_p", 0.0), ("min_p", 1.0)])
        await pilot.press("right")
        await pilot.pause()
        assert len(app.turned) == 7  # nothing beyond the end

    open_page(story)


def test_dragging_the_slider_sets_by_position() -> None:
    async def story(pilot: Pilot[int], knobs: Knobs, app: Page) -> None:
        knob = of(knobs, "temperature")
        await pilot.mouse_down(knob, offset=(18, 0))
        await pilot.hover(knob, offset=(39, 0))
        of(knobs, "temperature").show(0.3)  # while it is dragged, the hand is right
        assert knob.value == 2.0
        await pilot.mouse_up(knob, offset=(39, 0))
        await wait_for(pilot, lambda: app.turned == [("temperature", 0.0), ("temperature", 2.0)])
        await pilot.hover(knob, offset=(20, 0))
        await pilot.pause()
        assert len(app.turned) == 2
        of(knobs, "temperature").show(0.3)
        assert knob.value == 0.3

    open_page(story)


def test_a_digit_begins_a_value_and_enter_takes_it() -> None:
    async def story(pilot: Pilot[int], knobs: Knobs, app: Page) -> None:
        of(knobs, "temperature").focus()
        await pilot.press("1", ".", "3", "3", "backspace", "7")
        assert "temperature 1.37▏" in screen_text(app)
        await pilot.press("left", "home")  # no turning while typing
        await pilot.press("enter")
        await wait_for(pilot, lambda: app.turned == [("temperature", 1.37)])
        assert "temperature 1.37…" in screen_text(app)
        of(knobs, "temperature").show(1.37)
        await wait_for(pilot, lambda: "1.37 " in screen_text(app))
        await pilot.press("enter", "5", "escape")
        assert not is_typed_into(of(knobs, "temperature")) and of(knobs, "temperature").value == 1.37
        await pilot.press("enter", "enter")
        assert not is_typed_into(of(knobs, "temperature")) and not app.refused

    open_page(story)


def test_a_click_on_the_number_edits_and_leaving_drops_it() -> None:
    async def story(pilot: Pilot[int], knobs: Knobs, app: Page) -> None:
        knob = of(knobs, "speed")
        await pilot.click(knob, offset=(9, 0))
        await wait_for(pilot, lambda: is_typed_into(knob))
        await pilot.press("2", "5")
        of(knobs, "seed").focus()
        await wait_for(pilot, lambda: not is_typed_into(knob))
        assert not app.turned
        await pilot.click(knob, offset=(3, 0))
        assert not is_typed_into(knob)

    open_page(story)


@pytest.mark.parametrize(
    ("name", "keys", "sentence"),
    [
        ("temperature", "9", "temperature must be 0 (always the likeliest) or 0.01 to 5, not '9'"),
        ("temperature", "0.001", "not '0.001'"),
        ("top_k", "1x", "top-k must be a whole number within 0 … "),
        ("seed", "99999999999999999999", "within 0 … 2^64 - 1"),
        ("speed", "0", "speed must be a number within 0.1 … 100000 or flat out"),
    ],
)
def test_what_is_out_of_range_is_refused_in_a_sentence_and_can_be_mended(
    name: str, keys: str, sentence: str
) -> None:
    async def story(pilot: Pilot[int], knobs: Knobs, app: Page) -> None:
        knob = of(knobs, name)
        knob.focus()
        await pilot.press(*keys, "enter")
        await wait_for(pilot, lambda: app.refused)
        assert sentence in app.refused[0] and app.refused[0].endswith(".")
        assert is_typed_into(knob) and not app.turned and "!" in screen_text(app)
        await pilot.press("ctrl+u", "1", "enter")
        await wait_for(pilot, lambda: app.turned == [(name, 1)])

    open_page(story)


def test_a_paste_is_typed_without_what_could_drive_the_terminal() -> None:
    async def story(pilot: Pilot[int], knobs: Knobs, app: Page) -> None:
        knob = of(knobs, "seed")
        knob.focus()
        await pilot.pause()
        knob.post_message(events.Paste("\x1b12\n34" + "5" * 1_000_000))
        await wait_for(pilot, lambda: is_typed_into(knob))
        assert "\x1b" not in knob.render().plain and len(knob.render().plain) < 60

    open_page(story)


def test_focus_is_seen_without_colours_and_a_knob_is_never_disabled() -> None:
    async def story(pilot: Pilot[int], knobs: Knobs, app: Page) -> None:
        knob = of(knobs, "top_p")
        assert not any(span.style.reverse for span in knob.render().spans)
        knob.focus()
        await pilot.pause()
        reversed_text = [knob.render().plain[s.start : s.end] for s in knob.render().spans if s.style.reverse]
        assert reversed_text == ["top-p"]
        assert not knob.disabled and not knob.allow_select

    open_page(story)


def test_the_caller_turns_a_knob_as_the_wheel_would() -> None:
    async def story(pilot: Pilot[int], knobs: Knobs, app: Page) -> None:
        of(knobs, "temperature").turn(-2)
        of(knobs, "seed").turn(1)
        of(knobs, "speed").turn(-1)
        await wait_for(pilot, lambda: app.turned == [("temperature", 0.7), ("seed", 43), ("speed", 1000)])

    open_page(story)


def test_without_rows_each_knob_has_a_line_and_a_narrow_one_no_slider() -> None:
    class Narrow(App[int]):
        def compose(self) -> ComposeResult:
            yield Knobs([SPECS["temperature"], SPECS["seed"]], {"temperature": 0.8, "seed": 1})

    async def wide(pilot: Pilot[int]) -> None:
        lines = screen_text(pilot.app).split("\n")
        assert "●" in lines[0] and lines[1].startswith("seed 1")

    async def tight(pilot: Pilot[int]) -> None:
        assert "temperature 0.80" in screen_text(pilot.app) and "●" not in screen_text(pilot.app)

    async def short(pilot: Pilot[int]) -> None:
        assert "●" in screen_text(pilot.app) and "…" not in screen_text(pilot.app)

    drive(Narrow(), wide, (30, 5))
    drive(Narrow(), short, (26, 5))
    drive(Narrow(), tight, (20, 5))


@pytest.mark.parametrize("name", list(KNOBS))
def test_every_notch_of_a_sampler_knob_is_a_value_the_sampler_takes(name: str) -> None:
    spec = sampler_spec(name)
    for notch in spec.notches:
        assert notch is not None and spec.read(f"{notch:g}") == KNOBS[name].checked(notch)
    assert getattr(SamplerSettings(), name) in spec.notches


@given(st.sampled_from(sorted(SPECS)), st.floats(0, 200_000), st.integers(1, 3))
def test_turning_always_moves_to_a_notch_in_the_direction_or_stays(
    name: str, value: float, notches: int
) -> None:
    spec = SPECS[name]
    value = float(int(value)) if spec.whole else value
    right, left = spec.turned(value, notches), spec.turned(value, -notches)
    assert spec.position(left) <= spec.position(value) <= spec.position(right)
    if spec.notches:
        assert {right, left} <= {*spec.notches, value}
        assert 0 <= spec.position(value) <= 1


@given(st.sampled_from([name for name in sorted(SPECS) if SPECS[name].notches]), st.data())
def test_position_and_notch_belong_together(name: str, data: st.DataObject) -> None:
    spec = SPECS[name]
    notch = data.draw(st.sampled_from(spec.notches))
    assert spec.at(spec.position(notch)) == notch
    assert spec.read(spec.shown(notch)) == notch


def test_words_units_and_commas_are_read() -> None:
    assert speed_spec().read(" FLAT ") is None and speed_spec().read("25 char/s") == 25
    assert sampler_spec("top_p").read("off") == 1 and sampler_spec("temperature").read("0,7") == 0.7
    assert sampler_spec("temperature").read("0") == 0 and seed_spec().read(str(MAX_SEED)) == MAX_SEED
    for wrong in ("", "nan", "inf", "-1", "1e999", "one", "[b]"):
        with pytest.raises(SettingsError):
            sampler_spec("temperature").read(wrong)


def test_values_are_shown_with_as_many_decimals_as_they_need() -> None:
    temperature = sampler_spec("temperature")
    assert [temperature.shown(value) for value in (0.8, 1.0, 0.333, 2)] == ["0.80", "1.00", "0.333", "2.00"]
    assert sampler_spec("top_k").shown(40) == "40" and sampler_spec("top_k").shown(0) == "off"
    assert KnobSpec("x", "x").shown(None) == "–" and KnobSpec("x", "x").position(3) == 0
    assert KnobSpec("x", "x", notches=(None,), words={None: "all"}).turned(5, 1) == 5


def test_whoever_searches_for_a_knob_by_its_name_finds_its_keys() -> None:
    for action in actions_of("play"):
        name = next((n for n in KNOBS if action.id.endswith(n.replace("_", "-"))), None)
        if name is not None:
            assert SPECS[name].label in f"{action.label} {action.help}"
