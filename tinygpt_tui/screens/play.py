"""Play: prompt in, continuation out, and every control acts on the very next character.

The text and what it comes from belong to the desk, which goes on while other modes are in front; here it is shown and asked. Left out:
the forms of what is shown (`tinygpt_tui.screens.play_view`), questions in dialogs (`tinygpt_tui.screens.play_dialogs`).
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any, ClassVar

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Static

from engine.errors import UsageError
from engine.sampler_settings import KNOBS
from tinygpt_tui.bindings import bindings
from tinygpt_tui.safe_text import safe_line
from tinygpt_tui.screens.mode_screen import ModeScreen
from tinygpt_tui.screens.play_dialogs import PlayDialogs
from tinygpt_tui.screens.play_view import (
    ShownText,
    alphabet,
    alternatives_of,
    placeholder_of,
    pointed_of,
    subtitle_of,
    text_of,
    title_of,
    waiting_of,
)
from tinygpt_tui.widgets.context_meter import ContextMeter
from tinygpt_tui.widgets.distribution import Distribution
from tinygpt_tui.widgets.knob_specs import Value, sampler_spec, seed_spec, speed_spec
from tinygpt_tui.widgets.knobs import Knob, Knobs
from tinygpt_tui.widgets.prompt import Prompt
from tinygpt_tui.widgets.transcript import Transcript

SPECS = {spec.name: spec for spec in (*(sampler_spec(name) for name in KNOBS), seed_spec(), speed_spec())}
COMPACT = (("top_k", "top_p", "min_p"), ("repetition", "seed", "speed"))  # below the temperature
DISTRIBUTION_SECONDS = 0.1  # nobody reads more of them
TITLE_SECONDS = 0.25
ANOTHER_PLACE = "The place is another one by now: choose once more."
_HALF_CHARACTER = re.compile(r"\\x[0-9a-f]{2}")


class PlayScreen(PlayDialogs, ModeScreen):
    """The text, the prompt, the next character and the knobs."""

    mode = "play"
    CSS_PATH = "play.tcss"
    BINDINGS: ClassVar[list[Any]] = bindings("play")
    HELP = "Type how a text begins and press Enter. Then single keys act on the very next character; i goes back to the prompt."

    def __init__(self) -> None:
        super().__init__()
        self._shown: object = None
        self._text: ShownText | None = None
        self._alphabet_of: str | None = None
        self._edit_at: tuple[Hashable, int] | None = None  # the text, and the place in it that was pointed at
        self._distributed = self._titled = 0.0
        self._modelless = False
        self._titles: dict[str, tuple[str, str]] = {}
        self._placeholder = ""
        self._labels: dict[str, str] = {}
        self._hurry = False  # a person has turned something: its effect is not kept waiting
        self._pointing: int | None = None  # where the desk pointed at the last tick
        self._remembers = False  # whether the prompts of earlier sessions are at hand

    def compose_body(self) -> ComposeResult:
        values = self._values()
        with Horizontal(id="desk"):
            with Vertical(id="page"):
                with Vertical(id="text-panel", classes="panel"):
                    yield Transcript(id="text")
                    yield Static("", id="waiting", markup=False)
                with Vertical(id="prompt-panel", classes="panel") as panel:
                    panel.border_title = "prompt"
                    yield Prompt(id="prompt", placeholder="how does it begin?")
            with Vertical(id="side") as side:
                # The first visit draws half of the screen, and the next tick the other: at once they would hold up a key.
                side.styles.visibility = "hidden"
                with Vertical(id="next-panel", classes="panel") as panel:
                    panel.border_title = "next character"
                    yield Distribution(id="next")
                with Vertical(id="knobs-panel", classes="panel") as panel:
                    panel.border_title = "sampler"
                    yield Knobs(SPECS.values(), values, id="knobs")
                    yield ContextMeter(id="meter")
        with Vertical(id="compact"):
            with Horizontal(id="compact-top"):
                yield Knobs([SPECS["temperature"]], values)
                yield ContextMeter(id="compact-meter")
            yield Knobs(SPECS.values(), values, COMPACT)

    def on_mount(self) -> None:
        # While there is nothing to write with, the single keys that lead to it must act.
        self.world.desk.key_of = self.playground.key_of
        self._modelless = not self.world.can_write
        self.query_one(Transcript if self._modelless else Prompt).focus()
        self.app.mode_change_signal.subscribe(self, self._arrive, immediate=True)
        self._show_all()

    def _arrive(self, mode: str) -> None:
        """Whoever comes back to Play types into the prompt, wherever the focus was when it was left."""
        if mode == self.mode and self.world.can_write:
            self.set_focus(self.query_one(Prompt))

    def on_screen_resume(self, event: events.ScreenResume) -> None:
        self._shown = None
        if self._modelless and self.world.can_write:
            self._modelless = False
            self.query_one(Prompt).focus()

    def on_resize(self) -> None:
        self._shown = None

    def on_descendant_focus(self) -> None:
        self._title_prompt()

    def on_descendant_blur(self) -> None:
        self._title_prompt()

    def key_labels(self) -> dict[str, str]:
        """What keys of the footer are called instead, as things are."""
        state = self.world.desk.state
        labels = {"pause": "resume"} if state == "paused" else {}
        stops = self._edit_at is not None or state in ("writing", "paused")
        if isinstance(self.focused, Prompt) and not stops:
            labels["stop"] = "leave prompt"
        return labels

    def tick(self, now: float) -> None:
        desk = self.world.desk
        if not self._remembers:
            self._remembers = True  # the history is open as soon as there are ticks
            self.query_one(Prompt).earlier = desk.history.prompts()
            self.query_one("#side").styles.visibility = "visible"
        for sentence, severity in desk.take_notices():
            self.playground.tell(sentence, severity)
        self.look_at_errands()
        self._take_run()
        if (
            self._pointing is not None
            and desk.pointing is None
            and self.query_one(Transcript).cursor is not None
        ):
            self.query_one(Transcript).move_to(None)  # an act has let go of the place
        self._pointing = desk.pointing
        if (labels := self.key_labels()) != self._labels:
            self._labels = labels
            self.refresh_bindings()
        if self._shown == (desk.version, id(desk.session)) and desk.state != "writing":
            return
        self._shown = (desk.version, id(desk.session))
        self._show_text()
        if self._hurry or desk.state != "writing" or now - self._distributed >= DISTRIBUTION_SECONDS:
            self._distributed, self._hurry = now, False
            self._show_next()
        if desk.state != "writing" or now - self._titled >= TITLE_SECONDS:
            self._titled = now
            self._show_titles()
        self._show_knobs()

    def on_prompt_submitted(self, event: Prompt.Submitted) -> None:
        event.stop()
        desk, prompt = self.world.desk, self.query_one(Prompt)
        if self._edit_at is None:
            done = self.playground.try_to(lambda: desk.submit(event.text))
        else:
            text, at = self._edit_at
            if text != text_of(desk.session):
                self.playground.tell(ANOTHER_PLACE, "warning")
                return
            done = self.playground.try_to(lambda: desk.edit(at, event.text))
        if not done:
            return
        self._edit_at = None
        if event.text.strip():
            prompt.earlier = [*(text for text in prompt.earlier if text != event.text), event.text]
        prompt.use("")
        self._title_prompt()
        self.query_one(Transcript).move_to(None)
        if not desk.chat:  # in a conversation the next line follows at once
            self.query_one(Transcript).focus()
        self._show_all()

    def on_prompt_left(self, event: Prompt.Left) -> None:
        self.action_stop()

    def on_prompt_nudged(self, event: Prompt.Nudged) -> None:
        self._turn("temperature", event.steps)

    def on_prompt_noticed(self, event: Prompt.Noticed) -> None:
        self.query_one("#prompt-panel").border_subtitle = Text(safe_line(event.text))

    def on_transcript_pointed(self, event: Transcript.Pointed) -> None:
        self.world.desk.point_at(event.offset)
        self._pointing = self.world.desk.pointing
        self._hurry = True

    def on_transcript_chosen(self, event: Transcript.Chosen) -> None:
        self.world.desk.point_at(event.offset)
        self._pointing = self.world.desk.pointing
        self.query_one(Distribution).focus()

    def on_distribution_picked(self, event: Distribution.Picked) -> None:
        desk, view = self.world.desk, event.view
        if view.text != text_of(desk.session) or desk.pointing not in (None, view.at):
            self.playground.tell(ANOTHER_PLACE, "warning")
            return
        if _HALF_CHARACTER.fullmatch(event.symbol.c):
            self.playground.tell("That is a part of a character: choose a whole one.", "warning")
            return
        self.query_one(Transcript).move_to(None)
        self.playground.try_to(lambda: desk.fork(view.at, event.symbol.c))

    def on_distribution_left(self, event: Distribution.Left) -> None:
        self.action_stop()

    def on_knob_turned(self, event: Knob.Turned) -> None:
        self._set(event.name, event.value)

    def on_knob_refused(self, event: Knob.Refused) -> None:
        self.playground.tell(event.sentence, "warning")

    def action_stop(self) -> None:
        if self._edit_at is not None:
            self._edit_at = None
            self._title_prompt()
        elif not self.world.desk.stop():
            transcript = self.query_one(Transcript)
            if self.focused is transcript:
                transcript.move_to(None)
            transcript.focus()

    def action_prompt(self) -> None:
        self.query_one(Prompt).focus()

    def action_go_on(self) -> None:
        self.query_one(Transcript).move_to(None)
        self.world.desk.go_on()

    def action_cooler(self) -> None:
        self._turn("temperature", -1)

    def action_hotter(self) -> None:
        self._turn("temperature", 1)

    def action_fewer_k(self) -> None:
        self._turn("top_k", -1)

    def action_more_k(self) -> None:
        self._turn("top_k", 1)

    def action_less_p(self) -> None:
        self._turn("top_p", -1)

    def action_more_p(self) -> None:
        self._turn("top_p", 1)

    def action_less_min_p(self) -> None:
        self._turn("min_p", -1)

    def action_more_min_p(self) -> None:
        self._turn("min_p", 1)

    def action_less_repetition(self) -> None:
        self._turn("repetition", -1)

    def action_more_repetition(self) -> None:
        self._turn("repetition", 1)

    def action_slower(self) -> None:
        self._turn("speed", -1)

    def action_faster(self) -> None:
        self._turn("speed", 1)

    def action_pause(self) -> None:
        self.world.desk.pause_or_go_on()

    def action_step(self) -> None:
        self.world.desk.step()
        self._hurry = True

    def action_neutral(self) -> None:
        self.world.desk.neutral()
        self._show_knobs()
        self._hurry = True

    def action_seed(self) -> None:
        self.world.desk.new_dice()
        self._show_knobs()

    def action_reroll(self) -> None:
        self.query_one(Transcript).move_to(None)
        self.world.desk.reroll()

    def action_undo(self) -> None:
        self.world.desk.undo()

    def action_redo(self) -> None:
        self.world.desk.redo()

    def action_next_branch(self) -> None:
        self.world.desk.switch_branch(1)

    def action_previous_branch(self) -> None:
        self.world.desk.switch_branch(-1)

    def action_alternatives(self) -> None:
        transcript, length = self.query_one(Transcript), self.world.desk.session.length
        if transcript.cursor is None and length:
            transcript.move_to(length - 1)
        self.query_one(Distribution).focus()

    def action_edit(self) -> None:
        at = self.query_one(Transcript).cursor
        if at is None:
            raise UsageError(
                "Point at a character first, with the arrow keys or the mouse: the text is edited from there on."
            )
        self._edit_at = text_of(self.world.desk.session), at
        self._title_prompt()
        self.query_one(Prompt).focus()

    def action_tint(self) -> None:
        transcript = self.query_one(Transcript)
        transcript.tinted = not transcript.tinted

    def action_chat(self) -> None:
        desk = self.world.desk
        desk.set_chat(not desk.chat)
        self.playground.tell(
            "Chat: on. You and the model take turns." if desk.chat else "Chat: off. The model writes freely.",
            seconds=3,
        )
        self._show_all()

    def action_copy(self) -> None:
        session = self.world.desk.session
        written = session.last_written()
        self.playground.copy(
            self.query_one(Transcript).selected_text
            or (written.text.slice(0, written.length) if written else "")
        )

    def _take_run(self) -> None:
        """Writes with what there is as soon as there is something, and follows it while it trains."""
        if told := self.world.take_run():
            self.playground.tell(told, seconds=8)

    def _turn(self, name: str, notches: int) -> None:
        self._set(name, SPECS[name].turned(self._values()[name], notches))

    def _set(self, name: str, value: Value) -> None:
        desk = self.world.desk
        if name == "speed":
            desk.set_rate(value)
        elif value is None:
            return
        elif name == "seed":
            self.playground.try_to(lambda: desk.set_seed(int(value)))
        else:
            self.playground.try_to(lambda: desk.set_knob(name, value))
        self._hurry = True
        self._show_knobs()

    def _values(self) -> dict[str, Value]:
        desk = self.world.desk
        return {**desk.settings.to_json(), "seed": desk.seed, "speed": desk.rate}

    def _show_all(self) -> None:
        self._hurry = True
        self._shown = None
        self._show_text()
        self._show_next()
        self._show_titles()
        self._show_knobs()

    def _show_text(self) -> None:
        desk = self.world.desk
        turns = dict(desk.model.turns) if desk.chat and desk.model and desk.model.turns else None
        key = (desk.session, turns)
        if self._text is None or key != (self._text.session, self._text.turns):
            self._text = ShownText(desk.session, turns)
        writing = desk.state in ("writing", "paused")
        empty = not desk.session.length and not writing
        # An empty text keeps a line: the focus goes there when somebody leaves the prompt.
        self.query_one("#text-panel").set_class(empty, "-empty")
        if empty:
            waited = desk.following if desk.state == "loading" else None
            picture = self.world.picture(waited) if waited is not None else None
            self.query_one("#waiting", Static).update(waiting_of(desk, picture))
        self.query_one(Transcript).show(self._text, writing=writing)

    def _show_next(self) -> None:
        view = alternatives_of(self.world.desk)
        self.query_one(Distribution).show(view)
        self._entitle("next-panel", view.title, pointed_of(self.world.desk))

    def _show_titles(self) -> None:
        desk = self.world.desk
        row = self.world.shelf.row(desk.run) if desk.run else None
        room = self.query_one("#text-panel").outer_size.width - 6  # corners, lines and blanks beside it
        self._entitle("text-panel", title_of(desk, row.label if row else "", room), subtitle_of(desk))
        if desk.model is not None and desk.model.run != self._alphabet_of:
            self._alphabet_of = desk.model.run
            prompt = self.query_one(Prompt)
            prompt.knows, prompt.instead = alphabet(self.world.paths.runs_dir, desk.model.run)
        used, window = desk.context or (0, 0)
        for id in ("#meter", "#compact-meter"):
            self.query_one(id, ContextMeter).show(used, window, desk.unseen)
        if (placeholder := placeholder_of(desk)) != self._placeholder:
            self._placeholder = placeholder
            self.query_one(Prompt).placeholder = Content(safe_line(placeholder))

    def _show_knobs(self) -> None:
        pending = self.world.desk.pending
        values = self._values()
        for knob in self.query(Knob):
            knob.show(values[knob.spec.name], knob.spec.name in pending)

    def _entitle(self, id: str, title: str, subtitle: str) -> None:
        """Writes into the border of a panel what is not there yet: it would be drawn anew even if it stayed the same."""
        if self._titles.get(id) != (title, subtitle):
            self._titles[id] = (title, subtitle)
            panel = self.query_one(f"#{id}")
            panel.border_title, panel.border_subtitle = Text(title), Text(subtitle)

    def _title_prompt(self) -> None:
        panel = self.query_one("#prompt-panel")
        if self._edit_at is not None:
            title = f"instead of what stands from character {self._edit_at[1] + 1:,} on · esc: no"
        elif isinstance(self.focused, Prompt):
            title = "prompt"
        else:
            title = f"prompt · {self.playground.key_of('play.prompt')} to type here"
        panel.border_title = Text(title)


def make_screen() -> PlayScreen:
    return PlayScreen()
