"""What the Train screen says and draws of a run, as pure functions of its picture: curves, facts, one line of news, tabs.

All text that comes from outside is made safe here. Left out: the widgets that show it, and asking (`tinygpt_tui.screens.train`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.cells import cell_len

from engine.control import Request
from tinygpt_tui import figures
from tinygpt_tui.safe_text import safe_line
from tinygpt_tui.screens.corpus_words import in_plain_words, is_too_large
from tinygpt_tui.sources.run_picture import RunPicture
from tinygpt_tui.sources.run_shelf import RunRow
from tinygpt_tui.sources.run_starter import Starting
from tinygpt_tui.widgets.chart_data import ChartData, Level, Line, Mark, Unit, in_unit
from tinygpt_tui.widgets.chart_text import level_name
from tinygpt_tui.widgets.facts import FactLine, Part, Role
from tinygpt_tui.widgets.run_tabs import Tab

MOST_COMPARED = 4  # curves behind the one in front
MOST_TABS = 8
LEAST_TABS = 4  # filled up with the newest runs
MOST_LOGGED = 20
NEW_RUN = ""  # the name of a tab for a run that has none yet
SEPARATOR = " · "
TONES: dict[str, Role] = {
    "training": "good", "preparing": "good", "done": "good", "paused": "warn", "failed": "bad", "died": "bad", "damaged": "bad",
}  # fmt: skip
_DOING = {
    "pause": "pausing",
    "resume": "going on",
    "stop": "stopping",
    "save": "saving",
    "sample": "writing a sample",
}
_RISEN = 0.05  # nats that the validation loss may rise by chance
_LABEL_CELLS = 8
_LEAST_BAR = 4


@dataclass(frozen=True)
class News:
    """One sentence about a run.

    Attributes:
        tone: bad wants something to be done, good is a success.
    """

    text: str
    tone: Literal["", "good", "warn", "bad"] = ""


def called(run: RunPicture | RunRow) -> str:
    """What a person calls a run: its label, or its folder's name."""
    return run.label or run.name


def steps_more(count: int) -> str:
    """Such as "1 step more"."""
    return f"{count:,} step{'s' if count != 1 else ''} more"


def chart_of(picture: RunPicture, behind: Sequence[RunPicture], unit: Unit) -> ChartData:
    """The curves of a run, and behind them the validation losses of others."""
    past = {rung for _, rung in picture.overtaken}
    lines = [
        Line("train", "ghost", picture.train),
        Line("train", "smooth", picture.smooth),
        Line("val", "val", picture.val),
    ]
    for other in behind:
        # Losses on another text are other losses, and a run that was measured once has no curve to compare yet.
        text = " · other text" if {picture.corpus_sha, other.corpus_sha} - {picture.corpus_sha, None} else ""
        measured = other.val.n > 1
        name = f"{called(other)} {'val' if measured else 'train'}{text}"
        lines.append(Line(name, "overlay", other.val if measured else other.smooth))
    return ChartData(
        tuple(lines),
        tuple(Level(rung, nats, rung in past) for rung, nats in picture.ladder.items()),
        tuple(Mark(mark.step, mark.kind, mark.text) for mark in sorted(picture.marks, key=lambda m: m.step)),
        picture.horizon,
        unit,
    )


def facts_of(picture: RunPicture, unit: Unit, width: int) -> list[FactLine]:
    """The run in figures, one line each and always as many; losses in `unit`, lines at most `width` cells."""
    done, counted = picture.done, picture.arch == "ngram"
    rungs = [rung for _, rung in picture.overtaken]
    ahead = [(nats, rung) for rung, nats in picture.ladder.items() if rung not in rungs]
    ladder = [f"{'at best ' if knows_by_heart(picture) else ''}below {_rung(rungs[-1])}"] if rungs else []
    ladder += [f"next {_rung(max(ahead)[1])} {_loss(max(ahead)[0], unit)}"] if ahead else []
    best_at = f" at {picture.best_step:,}" if picture.best_step is not None else ""
    left = (
        [f"{figures.duration(picture.seconds_left)} left"]
        if picture.seconds_left is not None and not _all_steps(picture)
        else []
    )
    so_far = (
        []
        if picture.seconds is None
        else [f"{figures.duration(picture.seconds)} {'in all' if done else 'so far'}"]
    )
    saved = [] if picture.saved_step is None else [f"step {picture.saved_step:,}"]
    memory = [] if picture.memory_bytes is None else [f"uses {figures.size(picture.memory_bytes)}"]
    grad = [] if picture.grad_norm is None else [f"grad {picture.grad_norm:.2f}"]
    params = (
        []
        if picture.params is None
        else [f"{figures.count(picture.params)} {'counts' if counted else 'parameters'}"]
    )
    told: list[tuple[str, str]] = [
        ("model", _joined([picture.arch or "", *params])),
        ("corpus", safe_line(picture.corpus or figures.UNKNOWN)),
        ("step", ""),
        ("speed", _joined([f"{figures.count(picture.chars_per_s)} char/s" if picture.chars_per_s else "", *memory])),
        ("time", _joined([*left, *so_far])),
        ("val", f"{_loss(picture.val_loss, unit)}{SEPARATOR}best {_loss(picture.best_val_loss, unit)}{best_at}"),
        ("train", _loss(picture.smooth_loss, unit)),
        ("ladder", _joined(ladder)),
        ("lr", _joined([figures.scientific(picture.lr), *grad])),
        ("saved", _joined(saved)),
    ]  # fmt: skip
    lines: list[FactLine] = [_state_of(picture)]
    for label, text in told:
        parts = (
            _progress(picture, width - _LABEL_CELLS)
            if label == "step"
            else (Part(safe_line(text), "strong" if label == "val" else "plain"),)
        )
        lines.append((Part(f"{label:<{_LABEL_CELLS}}", "label"), *parts))
    return lines


def short_facts_of(picture: RunPicture, unit: Unit, width: int) -> list[FactLine]:
    """The same in two lines, for where there is no room for a panel; what matters least is left out first."""
    state = _state_of(picture)
    taken = sum(cell_len(part.text) for part in state) + len(SEPARATOR)
    left = (
        f"{SEPARATOR}{figures.duration(picture.seconds_left)} left"
        if picture.seconds_left is not None and not _all_steps(picture)
        else ""
    )
    room = width - taken - len(left)
    if room < cell_len(figures.steps(picture.step, picture.horizon)):
        left, room = "", width - taken
    first = (*state, Part(SEPARATOR, "label"), *_progress(picture, min(room, 44)), Part(left, "plain"))
    best_at = f" at {picture.best_step:,}" if picture.best_step is not None else ""
    fields = [
        (f"val {_loss(picture.val_loss, unit)}", 0),
        (f"best {_loss(picture.best_val_loss, unit)}{best_at}", 1),
        (f"{figures.count(picture.chars_per_s)} char/s", 2),
        (f"lr {figures.scientific(picture.lr)}", 3),
        (figures.size(picture.memory_bytes), 5),
        (f"grad {picture.grad_norm:.2f}" if picture.grad_norm is not None else "", 4),
    ]
    for most in range(5, -1, -1):
        text = _joined([text for text, rank in fields if rank <= most])
        if cell_len(text) <= width:
            break
    return [first, (Part(text, "plain"),)]


def log_of(picture: RunPicture) -> list[FactLine]:
    """What happened to the run, the latest on top: what was asked, rungs that it passed, warnings."""
    found: list[tuple[int, FactLine]] = [
        (mark.step, (Part(safe_line(mark.text), "bad" if mark.kind in ("nan", "failed") else "plain"),))
        for mark in picture.marks
    ]
    found += [
        (step, (Part("✓ ", "good"), Part(f"better than {_rung(rung)}"))) for step, rung in picture.overtaken
    ]
    found += [
        (warning.step, (Part("! ", "warn"), Part(safe_line(warning.message)))) for warning in picture.warnings
    ]
    found.sort(key=lambda entry: entry[0])
    lines: list[FactLine] = [
        (Part(f"{step:>{_LABEL_CELLS - 1},} ", "label"), *parts)
        for step, parts in found[: -MOST_LOGGED - 1 : -1]
    ]
    return [(Part(""),), *lines] if lines else []


def starting_facts(starting: Starting) -> list[FactLine]:
    """In place of the facts, while there is no run yet."""
    return [(Part(f"{figures.STATES['preparing']} {starting.message.rstrip(' .…') or 'starting'}…", "good"),)]


def doing(request: Request) -> str:
    """What is about to happen, such as "pausing…"."""
    if request.do == "lr":
        return f"lr ×{request.value or 1:.4g}…"
    if request.do == "extend":
        return f"{request.value or 0:+,.0f} steps…"
    return f"{_DOING.get(request.do, safe_line(request.do))}…"


def news_of(picture: RunPicture, key: Callable[[str], str]) -> News:
    """What a person should know first: how the run ended and what to do, or the last thing that was remarkable.

    Args:
        key: the shown key of an action.
    """
    glyph = figures.STATES.get(picture.state, "?")
    resume, play = key("train.resume"), key("train.play")
    if picture.catching_up is not None:
        return News(f"Reading what this run has told so far: {figures.percent(picture.catching_up)}")
    match picture.state:
        case "died" | "failed":
            message = safe_line(in_plain_words(picture.message)).rstrip(".") or f"The run {picture.state}"
            # What was too large to begin would be refused again.
            again = (
                "" if is_too_large(picture.message) and not picture.step else f" Press {resume} to resume."
            )
            return News(f"{glyph} {message}.{again}", "bad")
        case "damaged" | "gone":
            return News(f"{glyph} {safe_line(picture.message)}", "bad")
        case "done":
            best = f", best val {figures.loss(picture.best_val_loss)} nats per character"
            if picture.best_step not in (None, picture.step):
                best += f" at step {picture.best_step:,}"
            took = f" in {figures.duration(picture.seconds)}" if picture.seconds is not None else ""
            more = (
                f", {key('train.extend')}: train on" if picture.arch != "ngram" else ""
            )  # counting is done at once
            steps = f"{picture.step:,} step{'s' if picture.step != 1 else ''}"
            return News(f"{glyph} Done: {steps}{took}{best}. {play}: play with it{more}.", "good")
        case "stopped":
            return News(f"{glyph} Stopped and saved at step {picture.step:,}. {resume}: go on, {play}: play with it.", "warn")  # fmt: skip
    told = [(step, News(overtaken_in(picture, rung, step), "good")) for step, rung in picture.overtaken[-1:]]
    told += [(warning.step, News(f"! step {warning.step:,}: {safe_line(warning.message)}", "warn")) for warning in picture.warnings[-1:]]  # fmt: skip
    # What was told before somebody let the run go on is no news any more.
    since = max((mark.step for mark in picture.marks if mark.kind in ("resumed", "extend")), default=-1)
    told = [(step, news) for step, news in told if step > since]
    if knows_by_heart(picture):
        since_best = f"! val rises since step {picture.best_step:,}"
        risen = f"{since_best}: it learns by heart now; the best model is kept."
        told.append((picture.step, News(risen, "warn")))
    if not told:
        return News(safe_line(picture.message))
    return max(told, key=lambda entry: entry[0])[1]


def knows_by_heart(picture: RunPicture) -> bool:
    """Whether what it goes on learning is of no use any more for text it has not seen."""
    val, best = picture.val_loss, picture.best_val_loss
    return val is not None and best is not None and val > best + _RISEN


def overtaken_in(picture: RunPicture, rung: str, step: int) -> str:
    """Such as "✓ step 420: better than 4-gram (1.77)"."""
    nats = picture.ladder.get(rung)
    return f"✓ step {step:,}: better than {_rung(rung)}" + (f" ({nats:.2f})" if nats is not None else "")


def waiting_for(picture: RunPicture, key: Callable[[str], str]) -> str:
    """What is said where samples will stand, before there is one; `key` gives the shown key of an action."""
    if picture.catching_up is not None:
        return "reading what this run has told so far…"
    if picture.state == "preparing":
        told = safe_line(picture.message)
        return told or "reading the text and measuring this machine…"
    if picture.live:
        return f"nothing yet: it writes at its next evaluation, or press {key('train.sample')}"
    return "it has written nothing"


def tabs_of(
    rows: Sequence[RunRow], watched: Sequence[str], current: str | None, new: bool
) -> tuple[Tab, ...]:
    """The runs to choose from, newest first: those that train, those that were looked at, and the newest.

    Args:
        new: whether a run is being started that has no name yet.
    """
    wanted = {row.name for row in rows if row.live} | set(watched)
    names = [row.name for row in rows if row.name == current]
    names += [row.name for row in rows if row.name in wanted and row.name not in names]
    names += [row.name for row in rows if row.name not in names][: max(0, LEAST_TABS - len(names))]
    kept = set(names[:MOST_TABS])
    found = [
        Tab(row.name, safe_line(row.label or row.name), figures.STATES.get(row.state, "?"), TONES.get(row.state, "plain"))
        for row in rows
        if row.name in kept
    ]  # fmt: skip
    if new:
        found.insert(0, Tab(NEW_RUN, "new run", figures.STATES["preparing"], "good"))
    elif current is not None and current not in kept:  # just made: the list does not know it yet
        found.insert(0, Tab(current, safe_line(current), figures.STATES["preparing"], "good"))
    return tuple(found)


def curve_text(picture: RunPicture, title: str, summary: str, drawn: str) -> str:
    """The curve as a file for a person: what it is of, what it shows in a line, and the drawing."""
    head = [safe_line(f"{picture.label} ({picture.name})" if picture.label else picture.name)]
    head += [safe_line(f"{picture.arch or 'model'}, {figures.count(picture.params)} parameters, learns {picture.corpus or 'an unknown text'}")]  # fmt: skip
    return "\n".join([*head, summary, "", title, *(line.rstrip() for line in drawn.splitlines()), ""])


def _state_of(picture: RunPicture) -> FactLine:
    last = f"{SEPARATOR}last evaluation" if picture.state == "training" and _all_steps(picture) else ""
    state = f"{figures.STATES.get(picture.state, '?')} {picture.state}{last}"
    asked = SEPARATOR.join(map(doing, picture.pending[-2:])) if picture.live else ""
    return (
        Part(state, TONES.get(picture.state, "plain")),
        *((Part(f"{SEPARATOR}{asked}", "warn"),) if asked else ()),
    )


def _all_steps(picture: RunPicture) -> bool:
    """Whether no step is left to be made; a last evaluation and saving are."""
    return picture.horizon is not None and 0 < picture.horizon <= picture.step


def _progress(picture: RunPicture, width: int) -> FactLine:
    """Steps, a bar that fills the room, and percent."""
    steps = figures.steps(picture.step, picture.horizon)
    if not picture.horizon:
        return (Part(steps, "plain"),)
    share = min(1.0, picture.step / picture.horizon)
    percent = figures.percent(share)
    room = width - cell_len(steps) - cell_len(percent) - 2
    if room < _LEAST_BAR:
        return (Part(steps if room < 0 else f"{steps} {percent}", "plain"),)
    full, rest = figures.bar(share, room)
    return Part(f"{steps} ", "plain"), Part(full, "bar"), Part(rest, "rest"), Part(f" {percent}", "plain")


def _rung(name: str) -> str:
    """A rung of the ladder as the chart calls it."""
    return level_name(Level(name, 0.0))


def _loss(nats: float | None, unit: Unit) -> str:
    if nats is None:
        return figures.UNKNOWN
    value = in_unit(nats, unit)
    return figures.loss(value) if abs(value) < 1e4 else figures.scientific(value)


def _joined(fields: Sequence[str]) -> str:
    return SEPARATOR.join(field for field in fields if field and field != figures.UNKNOWN) or figures.UNKNOWN
