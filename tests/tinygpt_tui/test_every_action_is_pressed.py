"""Every action of the registry is pressed by some test of a screen: read from the sources of the tests, not from their run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tinygpt_tui.actions import ACTIONS

TESTS = sorted(Path(__file__).parent.glob("test_*.py"))
IDS = frozenset(action.id for action in ACTIONS)


def pressed_in(source: str) -> set[str]:
    """The ids that a source presses: `press(pilot, "runs.mark")`, or a name that a parametrization or a loop gives it."""
    module = ast.parse(source).body
    tables = {ast.unparse(node.targets[0]): node.value for node in module if isinstance(node, ast.Assign)}
    return {id for function in module for id in _pressed(function, tables)}


def _pressed(function: ast.AST, tables: dict[str, ast.expr]) -> Iterator[str]:
    """`tables` are what stands at the top of the file, by name."""
    given: dict[str, set[str]] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
            _note(given, node.target, tables.get(ast.unparse(node.iter), node.iter))
        for decorator in getattr(node, "decorator_list", ()):
            if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.parametrize":
                names, values = decorator.args[:2]
                _note(given, names, tables.get(ast.unparse(values), values))
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "press" and len(node.args) > 1:
            what = node.args[1]
            yield from _ids(what)
            if isinstance(what, ast.Name):
                yield from given.get(what.id, ())


def _note(given: dict[str, set[str]], target: ast.AST, values: ast.AST) -> None:
    """Notes the ids that a name gets; of several names, those in its place of each row."""
    names = _names(target)
    for row in values.elts if isinstance(values, ast.Tuple | ast.List) else ():
        cells: list[ast.expr] = [row]
        if isinstance(row, ast.Call) and ast.unparse(row.func) == "pytest.param":
            cells = row.args
        elif len(names) > 1 and isinstance(row, ast.Tuple | ast.List):
            cells = row.elts
        for name, cell in zip(names, cells, strict=False):
            given.setdefault(name, set()).update(_ids(cell))


def _names(target: ast.AST) -> list[str]:
    if isinstance(target, ast.Name):
        return [target.id]
    if isinstance(target, ast.Constant):
        return [name.strip() for name in str(target.value).split(",")]
    if isinstance(target, ast.Tuple | ast.List):
        return [name for part in target.elts for name in _names(part)]
    return []


def _ids(node: ast.AST) -> set[str]:
    """The ids that stand in an expression as they are."""
    texts = {one.value for one in ast.walk(node) if isinstance(one, ast.Constant)}
    return {id for id in IDS if id in texts}


def test_every_action_of_the_registry_is_pressed_in_a_test() -> None:
    pressed: set[str] = set()
    for path in TESTS:
        pressed |= pressed_in(path.read_text(encoding="utf-8"))
    missing = [action.id for action in ACTIONS if action.id not in pressed]
    assert not missing, f"no test presses {', '.join(missing)}"


def test_only_what_is_handed_to_press_counts() -> None:
    assert pressed_in('async def f(pilot):\n    await press(pilot, "runs.mark", 1)') == {"runs.mark"}
    assert pressed_in('x = "runs.mark"\nasync def f(pilot):\n    await pilot.press("runs.open")') == set()
    looped = 'async def f(pilot):\n    for a in ("runs.mark", "runs.open"):\n        await press(pilot, a)'
    assert pressed_in(looped) == {"runs.mark", "runs.open"}
    given = (
        '@pytest.mark.parametrize(("said", "action"), [("app.quit", "runs.mark"), pytest.param("", "runs.open")])\n'
        "def test_a(said, action):\n    async def story(pilot):\n        await press(pilot, action)\n"
    )
    assert pressed_in(given) == {"runs.mark", "runs.open"}
    tabled = "ROWS = [(1, 'runs.mark')]\n" + given.replace(
        given[given.index("[(") : given.index(")])") + 2], "ROWS"
    )
    assert pressed_in(tabled) == {"runs.mark"}
    alone = given.replace('("said", "action")', '"action"').replace('("app.quit", "runs.mark")', '"app.quit"')
    assert pressed_in(alone.replace('pytest.param("", "runs.open")', '"runs.note"')) == {
        "app.quit",
        "runs.note",
    }
    assert pressed_in(given.replace("press(pilot, action)", "press(pilot, said)")) == {"app.quit"}
