"""Looks through the source of the interface for a place where foreign text could be parsed as markup.

Textual takes a plain string for markup nearly everywhere: `[/]` in it ends the program, `[@click=…]` makes a button of it. So what is
handed to a widget is a literal, a `Text` or a `Content`, or the widget is told `markup=False`.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

# What shows its first argument, and takes it for markup unless it is told not to.
SHOWN = {"Static", "Label", "Button", "Option", "OptionList", "Checkbox", "RadioButton", "Tooltip", "Collapsible", "Link", "Toast",
         "Markdown", "Digits", "Hit", "DiscoveryHit", "Select", "SelectionList", "Selection", "TabPane", "Log", "RichLog", "Footer", "Header"}  # fmt: skip
# Those that can be told so; they must be if something else can be shown in them later.
OBEDIENT = {"Static", "Label", "OptionList", "SelectionList"}
# Methods whose arguments are shown so, and from which one on.
METHODS = {"add_row": 0, "add_column": 0, "add_option": 0, "add_options": 0, "update_cell": 2, "notify": 0, "panic": 0, "add_leaf": 0,
           "set_label": 0}  # fmt: skip
PROPERTIES = {"border_title", "border_subtitle", "tooltip", "placeholder"}
KEYWORDS = {"placeholder", "tooltip", "border_title", "border_subtitle"}
FIELDS = {"TextArea", "SafeField", "Prompt"}  # read markup in what stands in an empty one; a line does not
# Nothing of ours is written as markup, so nobody needs what reads it.
FORBIDDEN = {"from_markup", "render_str", "render_markup", "console_markup", "rich_print"}
SAFE_TYPES = {"Text", "Content", "Table", "Strip", "Segment", "Segments"}
MANY = {"Iterator", "Iterable", "Sequence", "list", "tuple"}
NUMBERS = {"len", "sum", "int", "round", "abs", "min", "max"}


class Package:
    """What is known of all files together: which functions give back what is no markup, and which classes are widgets of the table above."""

    def __init__(self, sources: Mapping[str, str]) -> None:
        """`sources` are the texts of files by their modules, such as "screens.play"."""
        trees = {module: ast.parse(source) for module, source in sources.items()}
        self.functions = {module: functions_of(tree) for module, tree in trees.items()}
        self.shown, self.obedient = set(SHOWN), set(OBEDIENT)
        grown = True
        while grown:  # a subclass shows as its base does, unless it takes its content in its own way
            grown = False
            for node in (
                node for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)
            ):
                bases = {name for base in node.bases for name in _names(base)}
                own_way = any(
                    isinstance(part, ast.FunctionDef) and part.name == "__init__" for part in node.body
                )
                if node.name not in self.shown and bases & self.shown and not own_way:
                    self.shown.add(node.name)
                    self.obedient |= {node.name} if bases & self.obedient else set()
                    grown = True

    def safe_names(self, tree: ast.Module) -> set[str]:
        """The functions, as a file calls them, that give back what is shown as it is: its own, those it imports, and methods of others."""
        everywhere: dict[str, bool] = {}
        for functions in self.functions.values():
            for name, safe in functions.items():
                everywhere[name] = everywhere.get(name, True) and safe
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                module = self.functions.get((node.module or "").removeprefix("tinygpt_tui."), {})
                everywhere |= {
                    alias.asname or alias.name: module[alias.name]
                    for alias in node.names
                    if alias.name in module
                }
        return {name for name, safe in (everywhere | functions_of(tree)).items() if safe} | SAFE_TYPES


def functions_of(tree: ast.Module) -> dict[str, bool]:
    """The functions and methods of a file; whether all of a name give back what is shown as it is."""
    found: dict[str, bool] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found[node.name] = found.get(node.name, True) and _is_safe_type(node.returns)
    return found


def problems(source: str, package: Package) -> list[str]:
    """A line for each place in a file where a string that is not known beforehand could become markup."""
    tree = ast.parse(source)
    look = _Look(package, package.safe_names(tree))
    found = []
    for scope in (
        tree,
        *(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)),
    ):
        look.given = _given_in(scope)
        for node in _own_nodes(scope):
            found += [f"line {getattr(node, 'lineno', 0)}: {problem}" for problem in look.at(node)]
        if isinstance(scope, ast.FunctionDef) and scope.name == "render" and not _is_safe_type(scope.returns):
            found.append(f"line {scope.lineno}: what `render` gives back may be a string")
    return found


@dataclass
class _Look:
    """A look at one function of a file; `given` is what each of its variables is given there."""

    package: Package
    safe: set[str]
    given: dict[str, list[ast.AST]] = field(default_factory=dict)

    def at(self, node: ast.AST) -> Iterator[str]:
        match node:
            case ast.Attribute() | ast.Name() if _name(node) in FORBIDDEN:
                yield f"`{_name(node)}` is for markup"
            case ast.ImportFrom() if FORBIDDEN & {alias.name for alias in node.names} or "markup" in (
                node.module or ""
            ):
                yield "what is imported is for markup"
            case ast.Assign() | ast.AnnAssign() | ast.AugAssign():
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                if (
                    isinstance(node.value, ast.Call)
                    and _name(node.value.func) in self.package.obedient
                    and not _told(node.value)
                ):
                    yield f"`{_name(node.value.func)}` is kept and may show markup later: say markup=False"
                for target, value in _pairs(targets, node.value):
                    if (
                        isinstance(target, ast.Attribute)
                        and target.attr in PROPERTIES
                        and not self.is_safe(value)
                    ):
                        yield f"`{target.attr}` is given what may be markup"
            case ast.Call():
                yield from self._call(node)

    def _call(self, node: ast.Call) -> Iterator[str]:
        name, keywords = _name(node.func), {keyword.arg: keyword.value for keyword in node.keywords}
        told = _told(node)
        if "markup" in keywords and not told:
            yield f"`{name}` is told to read markup"
        if name in self.package.shown and isinstance(node.func, ast.Name) and not told:
            content = node.args[1:2] if name == "Hit" else node.args[:1]
            content += [keywords[key] for key in ("content", "label", "prompt", "help") if key in keywords]
            later = name in self.package.obedient and {"id", "classes"} & keywords.keys()
            if later or not all(map(self.is_safe, content)):
                yield f"`{name}` may show markup: say markup=False"
        if (
            name in METHODS
            and not told
            and (name == "notify" or not all(map(self.is_safe, node.args[METHODS[name] :])))
        ):
            yield f"`{name}` is given what may be markup"
        if name in FIELDS | self.package.shown:
            for key in sorted(KEYWORDS & keywords.keys()):
                if not self.is_safe(keywords[key]):
                    yield f"`{key}` of `{name}` is given what may be markup"

    def is_safe(self, value: ast.AST | None, depth: int = 0) -> bool:
        """Whether an expression is no foreign string: a literal, a number, or something that is shown as it is."""
        match value:
            case None | ast.Constant():
                return True
            case ast.JoinedStr():
                return all(_is_number(part) for part in value.values if isinstance(part, ast.FormattedValue))
            case ast.IfExp():
                return self.is_safe(value.body, depth) and self.is_safe(value.orelse, depth)
            case ast.Starred():
                return self.is_safe(value.value, depth)
            case ast.GeneratorExp() | ast.ListComp():
                return self.is_safe(value.elt, depth)
            case ast.List() | ast.Tuple():
                return all(self.is_safe(part, depth) for part in value.elts)
            case ast.Call(func=func, args=args):
                name = _name(func)
                if (
                    name in self.package.shown
                ):  # such as an `Option` in a list of them, which is looked at by itself
                    return True
                if name in ("list", "tuple"):
                    return all(self.is_safe(argument, depth) for argument in args)
                if isinstance(func, ast.Attribute) and name in ("append", "copy"):
                    return self.is_safe(func.value, depth)
                return name in self.safe
            case ast.Name() if depth < 3:
                given = self.given.get(value.id, [])
                return bool(given) and all(self.is_safe(one, depth + 1) for one in given)
        return False


def _told(node: ast.Call) -> bool:
    """Whether a widget is told that what it shows is no markup."""
    off = next((keyword.value for keyword in node.keywords if keyword.arg == "markup"), None)
    return isinstance(off, ast.Constant) and off.value is False


def _is_number(part: ast.FormattedValue) -> bool:
    """Whether a piece of an f-string can only be a number: by its format, which no string understands, or because it is counted."""
    spec = "".join(
        str(piece.value)
        for piece in getattr(part.format_spec, "values", ())
        if isinstance(piece, ast.Constant)
    )
    if spec.endswith(("d", "f", "g", "%", "e")) or "," in spec:
        return True
    return _counts(part.value)


def _counts(value: ast.AST) -> bool:
    match value:
        case ast.BinOp():
            return _counts(value.left) and _counts(value.right)
        case ast.Constant():
            return isinstance(value.value, int | float)
        case ast.Call():
            return _name(value.func) in NUMBERS
    return False


def _given_in(scope: ast.AST) -> dict[str, list[ast.AST]]:
    """Everything that the variables of a function are given in it; an argument counts as its annotation says."""
    unknown, found = ast.Name(id="?"), defaultdict[str, list[ast.AST]](list)
    for node in _own_nodes(scope):
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target, value in _pairs(targets, node.value):
                found[_name(target)].append(value if value is not None else unknown)
        elif isinstance(node, ast.AugAssign | ast.For | ast.comprehension):
            found[_name(node.target)].append(unknown)
    if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef):
        for argument in (*scope.args.args, *scope.args.kwonlyargs):
            found[argument.arg].append(ast.Constant("") if _is_safe_type(argument.annotation) else unknown)
    return found


def _own_nodes(scope: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function without those of functions inside of it."""
    waiting = list(ast.iter_child_nodes(scope))
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            waiting += ast.iter_child_nodes(node)


def _pairs(targets: Iterable[ast.AST], value: ast.AST | None) -> Iterator[tuple[ast.AST, ast.AST | None]]:
    for target in targets:
        if (
            isinstance(target, ast.Tuple)
            and isinstance(value, ast.Tuple)
            and len(target.elts) == len(value.elts)
        ):
            yield from zip(target.elts, value.elts, strict=True)
        elif isinstance(target, ast.Tuple):
            yield from ((part, value) for part in target.elts)
        else:
            yield target, value


def _name(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _names(annotation: ast.AST | None) -> set[str]:
    """The names that an annotation is made of at its top, such as Text and None of `Text | None`."""
    match annotation:
        case ast.BinOp():
            return _names(annotation.left) | _names(annotation.right)
        case ast.Constant() if isinstance(annotation.value, str):
            return _names(ast.parse(annotation.value, mode="eval").body)
        case ast.Constant():
            return {str(annotation.value)}
        case ast.Subscript():
            return _names(annotation.slice) if _name(annotation.value) in MANY else _names(annotation.value)
        case None:
            return {"Any"}
    return {_name(annotation)}


def _is_safe_type(annotation: ast.AST | None) -> bool:
    return _names(annotation) <= SAFE_TYPES | {"None", "Option"} and _names(annotation) != {"None"}


def look_through(folder: Path) -> dict[str, list[str]]:
    """The problems of every file in a folder, by file."""
    files = {
        path.relative_to(folder): path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.py"))
    }
    package = Package({".".join(path.with_suffix("").parts): source for path, source in files.items()})
    found = {path.as_posix(): problems(source, package) for path, source in files.items()}
    return {name: told for name, told in found.items() if told}
