"""`tinygpt chat`: a conversation in a plain terminal; settings change between two turns.

With a corpus of conversations each line is a turn and the model answers with its own. With any other corpus the pad is shared:
what a person types is put behind the text, and the model goes on from there.
"""

from __future__ import annotations

import io
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from tinygpt_tui.cli.help import command, new_app
from tinygpt_tui.cli.model_options import AT, MIN_P, REPETITION, RUN, SEED, TEMPERATURE, TOP_K, TOP_P

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.generate import Piece
    from engine.loading import Loaded
    from engine.sampler import SamplerSettings

MAX_TURN_CHARS = 1000  # a model that never ends its turn is interrupted

HELP = """\
/set NAME VALUE     change temperature, top_k, top_p, min_p, repetition, seed or chars
/show               the settings in force
/reset              forget the conversation
/save FILE          write the conversation to a file
/help               this list
/quit               leave (so does Ctrl-D); Ctrl-C stops an answer"""

app = new_app()


@command(
    app,
    """
    tinygpt chat                                    # with the newest run, at first with the built-in starter
    tinygpt chat smalltalk --temperature 0.5
    echo "what is your name?" | tinygpt chat smalltalk --seed 1
    """,
)
def chat(
    run: str | None = RUN,
    temperature: float | None = TEMPERATURE,
    top_k: int | None = TOP_K,
    top_p: float | None = TOP_P,
    min_p: float | None = MIN_P,
    repetition: float | None = REPETITION,
    seed: int | None = SEED,
    chars: int | None = typer.Option(None, "-n", "--chars", metavar="N", help="How much to write at a time where there are no turns. [default: 500]"),
    at: str = AT,
) -> None:  # fmt: skip
    """Talk with a trained model in a plain terminal."""
    from engine.errors import UsageError
    from tinygpt_tui.cli.model_options import find_run, load_run, resolve_seed, resolve_settings
    from tinygpt_tui.cli.output import is_interactive, is_terminal, narrate
    from tinygpt_tui.safe_text import safe_line

    settings, everything = resolve_settings(temperature, top_k, top_p, min_p, repetition)
    wanted = everything.sample.chars if chars is None else chars
    if not 1 <= wanted <= 10_000_000:
        raise UsageError(f"-n must be from 1 to 10,000,000 characters, not {wanted}.")
    dice = resolve_seed(seed)
    folder = find_run(run)
    loaded = load_run(folder, at, everything.engine.compile)
    conversation = Conversation(loaded, settings, dice, wanted)
    person = is_interactive() and is_terminal(sys.stdout)
    if person:
        _enable_line_editing()
        name = safe_line(folder.name)
        narrate(f"{name} at step {loaded.step:,}, seed {dice}; /help lists what you can do")
    for line in _lines(person, conversation.mark):
        if line.startswith("/"):
            try:
                if not _obey(line, conversation):
                    break
            except UsageError as error:
                narrate(f"error: {error}")
            continue
        if person and loaded.turns and not line:
            continue  # where there are no turns, an empty line lets the model go on
        _answer(conversation, line, person)


@dataclass
class Conversation:
    """What was said so far, and how the next answer is drawn."""

    loaded: Loaded
    settings: SamplerSettings
    seed: int
    chars: int
    text: str = field(default="")

    @property
    def mark(self) -> str:
        """What stands before a person's line."""
        return self.loaded.turns["user"] if self.loaded.turns else "› "

    def answer(self, line: str) -> Iterator[Piece]:
        """Puts `line` behind the text and streams what the model adds to it; the text grows with every piece."""
        from engine.generate import generate

        turns = self.loaded.turns
        if turns:
            self.text += f"{turns['user']}{line}\n{turns['model']}"
        else:
            self.text += line
        limit, stop = (MAX_TURN_CHARS, ("\n",)) if turns else (self.chars, ())
        try:
            pieces = generate(
                self.loaded.model, self.loaded.tokenizer, self.text, limit, self.settings, self.seed, stop
            )
            for piece in pieces:
                self.text += piece.text
                yield piece
        finally:
            if turns:
                self.text += "\n"


def _answer(conversation: Conversation, line: str, person: bool) -> None:
    """Streams one answer to standard output. Ctrl-C stops it, and what was said stays said."""
    from tinygpt_tui.cli.model_options import explain_replacements
    from tinygpt_tui.cli.output import emit, narrate

    loaded = conversation.loaded
    if note := explain_replacements(loaded.tokenizer.encode(line).replaced):
        narrate(f"note: {note}")
    if person and loaded.turns:
        emit(loaded.turns["model"], end="")
    try:
        for piece in conversation.answer(line):
            emit(piece.text, end="")
    except KeyboardInterrupt:
        if not person:
            raise
    emit("")


def _lines(person: bool, mark: str) -> Iterator[str]:
    """What a person types or a pipe brings, line by line, until it ends; Ctrl-C at the prompt clears the line."""
    from tinygpt_tui.cli.output import emit
    from tinygpt_tui.safe_text import safe_line

    if not person:
        for data in sys.stdin.buffer if sys.stdin is not None else ():
            yield data.decode("utf-8", "replace").rstrip("\r\n")
        return
    while True:
        try:
            yield input(safe_line(mark) + ("" if mark.endswith(" ") else " "))
        except EOFError:
            emit("")
            return
        except KeyboardInterrupt:
            emit("")


def _obey(line: str, conversation: Conversation) -> bool:
    """Does what a line that begins with a slash asks for; False to leave. Raises UsageError."""
    from engine.dice import checked_seed
    from engine.errors import UsageError
    from tinygpt_tui.cli.output import narrate

    word, *rest = line[1:].split(maxsplit=2) or [""]
    match word, rest:
        case "quit" | "exit" | "bye", _:
            return False
        case "help", _:
            narrate(HELP)
        case "show", _:
            shown = {
                **conversation.settings.to_json(),
                "seed": conversation.seed,
                "chars": conversation.chars,
            }
            narrate("  ".join(f"{name} {value}" for name, value in shown.items()))
        case "reset", _:
            conversation.text = ""
            narrate("forgotten")
        case "save", [name, *more]:
            narrate(f"saved {_save(' '.join([name, *more]), conversation.text)}")
        case "set", [name, value]:
            number = _number(value)
            if name == "seed":
                conversation.seed = checked_seed(number)
            elif name == "chars":
                if not isinstance(number, int) or not 1 <= number <= 10_000_000:
                    raise UsageError("chars must be a whole number from 1 to 10,000,000.")
                conversation.chars = number
            else:
                conversation.settings = conversation.settings.replaced({name.replace("-", "_"): number})
        case "set", _:
            raise UsageError("/set needs a name and a value, such as /set temperature 0.7.")
        case "save", _:
            raise UsageError("/save needs the name of a file, such as /save talk.txt.")
        case _:
            raise UsageError(f"There is no {line.split()[0][:40]!r}; /help lists what there is.")
    return True


def _save(name: str, text: str) -> Path:
    """Writes `text` into a new file. Raises UsageError."""
    from engine.errors import ResourceError, UsageError
    from engine.storage import save_new

    try:
        path = Path(name).expanduser()
        save_new(path, text.encode("utf-8", errors="replace"))
    except ResourceError as error:
        raise UsageError(str(error)) from None
    except FileExistsError:
        raise UsageError(f"{name[:80]} exists already; choose another name.") from None
    except (OSError, ValueError, RuntimeError) as error:  # also a NUL in the name, or nobody's home folder
        raise UsageError(
            f"{name[:80]} cannot be written: {getattr(error, 'strerror', None) or error}."
        ) from None
    return path


def _number(text: str) -> int | float:
    from engine.errors import UsageError

    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    raise UsageError(f"{text[:40]!r} is not a number.")


def _enable_line_editing() -> None:
    """History and cursor keys at the prompt, where the system has them; a byte that is no text ends nothing."""
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")
    with suppress(ImportError):
        import readline  # noqa: F401
