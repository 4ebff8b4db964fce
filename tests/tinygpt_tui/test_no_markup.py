"""Brackets are text: no widget of the interface parses foreign text as markup, and whoever wrote one that did would be told."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.content import Content
from textual.pilot import Pilot

import tinygpt_tui
from tests.tinygpt_tui.driving import drive, screen_text, wait_for
from tests.tinygpt_tui.markup import Package, look_through, problems
from tests.tinygpt_tui.scripted_world import playground, scripted_world
from tinygpt_tui.actions import ACTIONS, BY_ID, keymap, shown_keys

FOLDER = Path(tinygpt_tui.__file__).parent
# Textual reads markup in the help of every line of the palette, and cannot be told not to. What stands there is our own: see below.
SPARED = {"screens/commands.py"}

HELPERS = Package(
    {
        "screens.helpers": "def told(run: Run) -> str: ...\ndef shown(run: Run) -> Text: ...\n"
        "def rows(runs: Runs) -> Iterator[Option]: ...\nclass Said(Static):\n    pass\nclass Own(Widget):\n    pass\n"
        "class Made(Static):\n    def __init__(self, text): ...\n",
    }
)
IMPORTS = "from tinygpt_tui.screens.helpers import told, shown, rows, Said\n"
CAUGHT = (
    "Static(run.name)",
    "Static(f'the run {run.name}')",
    "Static('run ' + run.name)",
    "Static('run %s' % run.name)",
    "Static('run {}'.format(run.name))",
    "Static(safe_line(run.name))",
    "Static(told(run))",
    "Static(self.told)",
    "Static('', id='notes')",
    "Static('', classes='notes')",
    "Static(run.name, markup=True)",
    "Static(run.name, markup=self.markup)",
    "notes = Static('')",
    "self.notes = Static('')",
    "Label(run.name)",
    "Button(run.name, id='open')",
    "Button(label=run.name)",
    "Said(run.name)",
    "Said('', id='said')",
    "OptionList(id='list')",
    "Option(run.name)",
    "options.add_option(run.name)",
    "options.add_options(run.name for run in runs)",
    "options.add_options([run.name])",
    "options.add_options(names(runs))",
    "table.add_row(run.name)",
    "table.add_row(Text('a'), run.name)",
    "table.add_row(*(told(run) for run in runs))",
    "table.add_column(run.name)",
    "table.update_cell(run.name, 'loss', run.loss)",
    "self.notify(run.name)",
    "self.notify('done')",
    "self.app.panic(run.name)",
    "panel.border_title = run.name",
    "panel.border_title = f'run {run.name}'",
    "panel.border_title = f'run {run.name:>5}'",
    "panel.border_title = run.name.replace('[', '\\\\[')",
    "panel.border_title, panel.border_subtitle = 'run', run.name",
    "panel.border_title = 'run' if run is None else run.name",
    "panel.border_subtitle = told(run)",
    "title = told(run)\npanel.border_title = title",
    "title = ''\ntitle += run.name\npanel.border_title = title",
    "for title in titles:\n    panel.border_title = title",
    "panel.tooltip = run.name",
    "field.placeholder = run.name",
    "TextArea(placeholder=run.name)",
    "Prompt(placeholder=told(run))",
    "Text.from_markup(run.name)",
    "Content.from_markup('[b]$name[/]', name=run.name)",
    "self.render_str(run.name)",
    "from rich.markup import escape",
    "from rich.markup import render",
    "DiscoveryHit(run.name, call)",
    "Hit(1.0, run.name, call)",
    "def render(self) -> str:\n    return self.name",
    "def render(self) -> str | Text:\n    return self.name",
    "def render(self):\n    return self.name",
    "def title(self, name: str) -> None:\n    self.border_title = name",
)
LEFT_ALONE = (
    "Static('[b]loss[/b]')",
    "Static(run.name, markup=False)",
    "Static('', id='notes', markup=False)",
    "self.notes = Static('', markup=False)",
    "Static(Text(run.name))",
    "Static(shown(run))",
    "Static(shown(run).append('more'))",
    "Said(shown(run))",
    "Own(run.name)",
    "Made(run.name)",
    "Button('Open', id='open')",
    "Button(Text(run.name), id='open')",
    "OptionList(id='list', markup=False)",
    "Option(Text(run.name), id=run.name)",
    "options.add_options(Option(shown(run)) for run in runs)",
    "options.add_options(list(rows(runs)))",
    "table.add_row(*(shown(run) for run in runs), key=run.name)",
    "table.add_column(Text(run.name), key=run.name)",
    "table.update_cell(run.name, 'loss', shown(run))",
    "self.notify(run.name, markup=False)",
    "panel.border_title = 'runs'",
    "panel.border_title = f'{len(runs) - 1} older'",
    "panel.border_title = f'step {run.step:,}'",
    "panel.border_title = Text(run.name)",
    "panel.border_title = 'run' if run is None else shown(run)",
    "below = 'more' if run else None\npanel.border_subtitle = below",
    "panel.tooltip = None",
    "TextArea(placeholder='a text')",
    "TextArea(placeholder=Content(run.name))",
    "run.title = run.name",
    "def render(self) -> Text:\n    return Text(self.name)",
    "def title(self, name: Text) -> None:\n    self.border_title = name",
)


def test_no_widget_of_the_interface_is_given_foreign_text_as_markup() -> None:
    found = look_through(FOLDER)
    assert {name: told for name, told in found.items() if name not in SPARED} == {}
    assert found.keys() >= SPARED  # whoever has become innocent needs no mercy


@pytest.mark.parametrize("snippet", CAUGHT)
def test_whatever_could_be_parsed_is_caught(snippet: str) -> None:
    assert problems(IMPORTS + snippet, HELPERS)
    indented = "\n".join(f"    {line}" for line in snippet.splitlines())
    assert problems(f"{IMPORTS}def compose(self):\n{indented}\n", HELPERS)


@pytest.mark.parametrize("snippet", LEFT_ALONE)
def test_what_cannot_be_parsed_is_left_alone(snippet: str) -> None:
    assert problems(IMPORTS + snippet, HELPERS) == []


@pytest.mark.parametrize("keys", ["[,b,]", "[,/,]", "\\,[", "ctrl+["])
def test_a_line_of_the_palette_is_no_markup_whatever_keys_a_person_has(keys: str, tmp_path: Path) -> None:
    app = playground(scripted_world(tmp_path), "runs")
    own = keymap({"app.theme": keys}).keys
    shown = f"theme  ({shown_keys(BY_ID['app.theme'], own)})"

    async def story(pilot: Pilot[int]) -> None:
        app.own_keys.update(own)
        app.action_palette()
        await wait_for(pilot, lambda: shown in screen_text(app))
        await pilot.press("t", "h", "e", "m", "e")
        await wait_for(pilot, lambda: shown in screen_text(app) and "settings" not in screen_text(app))

    drive(app, story, size=(120, 60))


def test_what_the_registry_says_of_an_action_is_no_markup() -> None:
    for action in ACTIONS:
        assert Content.from_markup(action.help).plain == action.help
