"""Every action of the playground, once: its name, its keys, and what it does in a sentence.

From this registry come the bindings of each screen, the footer, the command palette, the help, and the names by which a person
gives an action other keys (`[ui.keys]` in the settings file). Left out: doing it; an action named `play.reroll` is the method
`action_reroll` of the play screen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from string import punctuation


@dataclass(frozen=True)
class Action:
    """One thing a person can ask for.

    Attributes:
        id: where it acts and what it is called, such as "play.reroll".
        keys: Textual's names of the keys that do it, separated by commas; the first is the one that is shown.
        label: one or two words for the footer.
        help: one sentence without a full stop.
        footer: whether the footer has room for it.
        priority: the key acts even where a widget would take it, as in a text that is being typed.
    """

    id: str
    keys: str
    label: str
    help: str
    footer: bool = False
    priority: bool = False

    @property
    def scope(self) -> str:
        """The screen it belongs to, or "app"."""
        return self.id.partition(".")[0]

    @property
    def name(self) -> str:
        """The method without its "action_"."""
        return self.id.partition(".")[2].replace("-", "_")


def _scope(
    scope: str, *rows: tuple[str, str, str, str] | tuple[str, str, str, str, str]
) -> tuple[Action, ...]:
    return tuple(
        Action(f"{scope}.{name}", keys, label, help, "f" in "".join(flags), "p" in "".join(flags))
        for name, keys, label, help, *flags in rows
    )


# The last column: f for the footer, p for priority. Single keys never act while a text is being typed; what must work there
# has a key with ctrl beside it, or is found in the palette. No key is a function key, ctrl+tab or ctrl+enter alone: terminals
# and editors take those for themselves.
ACTIONS: tuple[Action, ...] = (
    *_scope(
        "app",
        ("corpus", "1", "Corpus", "choose a text to learn"),
        ("train", "2", "Train", "watch a model learn and steer it"),
        ("play", "3", "Play", "write with a model"),
        ("runs", "4", "Runs", "every run on this machine"),
        ("settings", "5", "Settings", "what you can set, kept in your settings file"),
        ("help", "?,f1", "help", "what the focused part does, and every key of this screen", "f"),
        ("palette", "ctrl+p,:", "commands", "find any action by its name", "f"),
        ("theme", "ctrl+t", "theme", "the next of your colour themes"),
        (
            "interrupt",
            "ctrl+c",
            "copy or leave",
            "copy what is selected; else stop what is being written; twice leaves",
            "p",
        ),
        (
            "screenshot",
            "f12",
            "screenshot",
            "save this screen as a picture (SVG) in the folder you started from",
        ),
        ("quit", "ctrl+q", "quit", "leave; what trains goes on training", "p"),
    ),
    *_scope(
        "corpus",
        ("start", "t", "train", "start training on this text", "f"),
        ("open", "o", "open file", "choose a file or folder of your own", "f"),
        ("paste", "p", "paste", "type or paste a text to learn", "f"),
        ("fetch", "f", "fetch", "download the chosen text of the catalogue", "f"),
        ("shorter", "[", "less time", "train for a shorter time"),
        ("longer", "]", "more time", "train for a longer time"),
        ("size", "s", "size", "the next size of model"),
        ("arch", "a", "kind", "the next architecture: modern, classic or counting"),
        ("forget", "delete,x", "forget", "take a file of your own off the list; the file stays"),
    ),
    *_scope(
        "train",
        ("pause", "space", "pause", "pause the training, or go on", "f"),
        ("stop", "s", "stop", "finish the step, save, and end the run", "f"),
        ("play", "p", "play", "write with this run's newest weights while it trains", "f"),
        ("slower", "[", "lr ÷2", "halve the learning rate from the next step on", "f"),
        ("faster", "]", "lr ×2", "double the learning rate from the next step on", "f"),
        ("sample", "g", "sample", "let the model write something now", "f"),
        ("extend", "e", "extend", "let the run go on for half as long again", "f"),
        ("resume", "r", "resume", "let a run go on that has ended", "f"),
        ("log-y", "l", "log y", "a logarithmic axis of losses, or a plain one", "f"),
        ("log-x", "L", "log x", "a logarithmic axis of steps, or a plain one"),
        ("unit", "u", "unit", "nats, bits or perplexity"),
        ("zoom-in", "+,=", "zoom in", "look at the later half of what is shown"),
        ("zoom-out", "-", "zoom out", "look at twice as many steps"),
        ("zoom-reset", "0", "all steps", "show the whole run"),
        ("cursor-left", "left", "read out", "move the read-out to an earlier step"),
        ("cursor-right", "right", "read out", "move the read-out to a later step"),
        ("cursor-off", "escape", "no read-out", "take the read-out away"),
        ("overlay", "o", "compare", "draw another run's curve behind this one"),
        ("next-run", "n,j", "next run", "look at the next run of the list"),
        ("previous-run", "N,k", "previous run", "look at the previous run of the list"),
        (
            "save-curve",
            "x",
            "save curve",
            "save the curve as it is shown, as a text file in the folder you started from",
        ),
    ),
    *_scope(
        "play",
        ("stop", "escape", "stop", "stop writing; a second time leaves the prompt", "f"),
        ("prompt", "i", "prompt", "go to the prompt", "f"),
        ("go-on", "g", "go on", "write on from the end of the text", "f"),
        ("cooler", "[", "cooler", "a lower temperature from the next character on", "f"),
        ("hotter", "]", "hotter", "a higher temperature from the next character on", "f"),
        ("fewer-k", "{", "top-k −", "keep fewer symbols"),
        ("more-k", "}", "top-k +", "keep more symbols"),
        ("less-p", "(", "top-p −", "keep a smaller share of the probability"),
        ("more-p", ")", "top-p +", "keep a larger share of the probability"),
        ("less-min-p", "<", "min-p −", "drop fewer of the unlikely symbols"),
        ("more-min-p", ">", "min-p +", "drop more of the unlikely symbols"),
        ("less-repetition", "'", "loops −", "repetition: break loops less"),
        ("more-repetition", '"', "loops +", "repetition: break loops more"),
        ("slower", "-", "slower", "write more slowly"),
        ("faster", "+,=", "faster", "write faster"),
        ("pause", "space", "pause", "hold the writing, or go on", "f"),
        ("step", ".", "step", "write a single character"),
        ("neutral", "0", "neutral", "the model's own distribution: temperature 1 and everything else off"),
        ("seed", "d", "new dice", "another seed for what is written from now on"),
        ("reroll", "r", "reroll", "the last answer again with other dice, beside the one there is", "f"),
        ("undo", "u", "undo", "take the last act back; nothing is lost", "f"),
        ("redo", "U", "redo", "do again what was undone"),
        ("next-branch", "n", "next branch", "the next text that begins at the same place"),
        ("previous-branch", "N", "last branch", "the previous text that begins at the same place"),
        ("alternatives", "a", "alternatives", "choose another character at the cursor"),
        ("edit", "e", "edit", "write something else from the cursor on, as a new branch"),
        ("tint", "t", "tint", "colour the text by how sure the model was, or not"),
        ("chat", "c", "chat", "take turns, for models of conversations; or write freely"),
        ("copy", "y", "copy", "copy what is selected, or the last text that was written"),
        ("export", "x", "export", "save this text as md, txt or jsonl in the folder you started from"),
        ("search", "/", "search", "find an earlier session by its text"),
        ("new", "ctrl+n", "new session", "begin with an empty page; this one is kept"),
        ("model", "m", "model", "write with another run"),
        ("follow", "f", "follow", "take over the newest weights of a run that trains, as they come"),
        ("stops", "s", "stop texts", "the texts that end an answer"),
    ),
    *_scope(
        "runs",
        ("open", "enter", "open", "look at its curve", "f"),
        ("play", "p", "play", "write with it", "f"),
        ("resume", "r", "resume", "go on training it", "f"),
        ("mark", "space", "mark", "mark it for comparing", "f"),
        ("compare", "c", "compare", "draw the marked runs' curves together", "f"),
        ("rename", "n", "name", "give it another name to be shown"),
        ("note", "e", "note", "write down what you think of it"),
        ("delete", "d,delete", "delete", "move it to the trash", "f"),
        ("undo", "u", "undo", "take the last one out of the trash again"),
        ("export", "x", "export", "copy its best checkpoint into the folder you started from"),
    ),
    *_scope(
        "settings",
        ("change", "enter", "change", "give it another value", "f"),
        ("default", "backspace,delete", "default", "back to what it is by default", "f"),
        ("file", "o", "file", "where the settings file is"),
    ),
    *_scope(
        "welcome",
        ("begin", "enter,t", "train on tales", "start a model on the built-in tales and watch it learn", "f"),
        ("corpus", "c", "choose a text", "choose something else to learn", "f"),
        ("play", "p", "play", "go to the playground", "f"),
    ),
)

BY_ID: Mapping[str, Action] = {action.id: action for action in ACTIONS}


def actions_of(scope: str) -> tuple[Action, ...]:
    """The actions of one screen, or of "app"."""
    return tuple(action for action in ACTIONS if action.scope == scope)


@dataclass(frozen=True)
class Keymap:
    """Own keys, checked.

    Attributes:
        keys: by action id, in Textual's names; what is not in it keeps its own keys.
        problems: a sentence for each entry that was left out or that takes another action's key.
    """

    keys: Mapping[str, str]
    problems: tuple[str, ...] = ()


def keymap(wanted: Mapping[str, str]) -> Keymap:
    """What a person's `[ui.keys]` comes to. Unknown actions and keys that nobody can press are left out, and clashes are told."""
    from tinygpt_tui.settings import nearest

    keys, problems = {}, []
    for id, text in wanted.items():
        if id not in BY_ID:
            problems.append(f"ui.keys: there is no action '{id}'{nearest(id, BY_ID)}")
            continue
        named = [_named(part) for part in text.split(",")]
        if None in named:
            wrong = text.split(",")[named.index(None)].strip()
            told = f"'{wrong}' is no key" if wrong else "a key is missing between the commas"
            problems.append(
                f"ui.keys: {id} keeps {BY_ID[id].keys}, since {told}: write such as ctrl+r or r,R"
            )
        else:
            keys[id] = ",".join(name for name in named if name)
    return Keymap(keys, (*problems, *(f"ui.keys: {clash}" for clash in clashes(keys))))


def clashes(changed: Mapping[str, str]) -> tuple[str, ...]:
    """A sentence for each key that does two things on one screen, with the keys of `changed` in force."""
    found = []
    for scope in dict.fromkeys(action.scope for action in ACTIONS):
        taken: dict[str, str] = {}
        for action in (*actions_of("app"), *(actions_of(scope) if scope != "app" else ())):
            for part in changed.get(action.id, action.keys).split(","):
                key = _named(part) or part.strip()
                first = taken.setdefault(key, action.id)
                if first != action.id and (scope == "app" or action.scope == scope):
                    found.append(f"the key {_shown(key)} does both {first} and {action.id}")
    return tuple(found)


_MODIFIERS = ("ctrl", "shift", "alt", "meta", "super", "hyper")


def _named(key: str) -> str | None:
    """Textual's name of a key as a person wrote it, such as "slash" for "/", or None if there is no such key."""
    from textual.keys import Keys, key_to_character

    *modifiers, last = key.strip().split("+") if key.strip() != "+" else ("+",)
    if not last or any(modifier not in _MODIFIERS for modifier in modifiers):
        return None
    name = _sign(last) if len(last) == 1 else last
    known = {found.value for found in Keys} | {_sign(sign) for sign in punctuation}
    if len(last) > 1 and last not in known and key_to_character(last) is None:
        return None
    return "+".join((*modifiers, name))


def _sign(character: str) -> str:
    """Textual's name of one character."""
    from textual.binding import Binding

    if character == ",":  # which stands between keys
        return "comma"
    return next(iter(Binding.make_bindings([Binding(character, "")]))).key


_NAMES = {
    "escape": "esc",
    "space": "space",
    "left": "←",
    "right": "→",
    "up": "↑",
    "down": "↓",
    "backspace": "⌫",
    "delete": "del",
}


def shown_keys(action: Action, changed: Mapping[str, str]) -> str:
    """The keys of an action as a person knows them, separated by spaces; "^p" is ctrl with p."""
    keys = (key.strip() for key in changed.get(action.id, action.keys).split(","))
    return " ".join(_shown(key) for key in keys if key)


def _shown(key: str) -> str:
    from textual.keys import format_key

    *modifiers, last = key.split("+") if key != "+" else ("+",)
    name = _NAMES.get(last, last)
    if name == last and len(last) > 1 and len(format_key(last)) == 1 and last != "enter":
        name = format_key(last)
    return "+".join((*modifiers, name)).replace("ctrl+", "^")
