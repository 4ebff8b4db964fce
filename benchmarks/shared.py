"""What all benchmarks share: options, children, medians, the conditions they ran under, and one report as JSON or as tables.

The process of a benchmark never loads torch: each thing that is measured has a child of its own, so no thread pool, cache or memory of
one side is felt by the other. `python -m benchmarks.shared` is the child that tells the conditions.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.errors import RunError, TinygptError
from engine.neighbours import Neighbours
from engine.storage import dump_json
from tinygpt_tui.paths import user_paths
from tinygpt_tui.safe_text import safe_line

ROOT = Path(__file__).resolve().parents[1]
Row = dict[str, Any]  # "what" and what was found; lists and objects in it are for JSON alone
Measure = Callable[[argparse.Namespace], Iterable[Row]]

# Of all that a processor can do, what decides how fast it learns and writes.
INSTRUCTIONS = (
    "avx2",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "amx_tile",
    "amx_bf16",
    "asimd",
    "sve",
    "bf16",
)


def main(
    name: str,
    description: str | None,
    measure: Measure,
    add_options: Callable[[argparse.ArgumentParser], object] = lambda parser: None,
    argv: Sequence[str] | None = None,
) -> int:
    """Runs one benchmark from the command line; its exit code.

    What was measured before something went wrong is reported all the same, with the reason as `problem`.

    Args:
        measure: yields a row as soon as it is measured.
        add_options: adds those that only this benchmark has.
    """
    # argparse would take a percent sign for a format.
    parser = argparse.ArgumentParser(
        f"python -m benchmarks.{name}", description=(description or "").replace("%", "%%")
    )
    parser.add_argument("--json", action="store_true", help="one object on standard output, no table")
    parser.add_argument("--short", action="store_true", help="fewer rounds, for a look")
    add_options(parser)
    options = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, _leave)  # so that children and temporary folders go, too
    report: Row = {"benchmark": name, "options": _shown_options(options), "conditions": {}, "results": []}
    code = 0
    try:
        report["conditions"] = conditions()
        for row in measure(options):
            report["results"].append(row)
            narrate(f"{name}: {row['what']}")
    except (TinygptError, TimeoutError) as error:
        report["problem"], code = str(error), getattr(error, "exit_code", 1)
    except Exception as error:
        traceback.print_exc()
        report["problem"], code = f"{type(error).__name__}: {error}", 1
    if options.json:
        sys.stdout.write(dump_json(report).decode() + "\n")
    else:
        show(report)
    if code:
        narrate(f"error: {report['problem']}")
    return code


def _leave(number: int, _frame: object) -> None:
    sys.exit(128 + number)


def narrate(text: str) -> None:
    """One line for a person, on standard error."""
    sys.stderr.write(safe_line(text) + "\n")
    sys.stderr.flush()


def source(text: str) -> str:
    """A corpus as a child in another folder finds it: a path made absolute, a catalogue name as it is."""
    path = Path(text)
    return str(path.resolve()) if path.exists() and (path.is_file() or path.is_dir()) else text


def whole(text: str) -> int:
    """For argparse: a whole number from 1."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1")
    return int(text)


def run(command: Sequence[str], environment: Mapping[str, str] | None = None, limit: float = 1200.0) -> str:
    """What a child prints. Raises RunError, with the last line it said, when it fails or takes more than `limit` seconds."""
    shown = " ".join(command[1:])[:200]
    try:
        done = subprocess.run(
            list(command), cwd=ROOT, env={**os.environ, **(environment or {})}, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, errors="replace", timeout=limit, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise RunError(f"{shown} was not done after {limit:g} s.") from None
    if done.returncode:
        raise failed(shown, done.returncode, done.stderr)
    return done.stdout


def failed(shown: str, code: int, said: str) -> RunError:
    """The error of a child that ended with `code`, by the last line of what it said."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return RunError(f"{shown} ended with {code}: {lines[-1][:300] if lines else 'it said nothing'}")


def ask(
    module: str, *arguments: str, environment: Mapping[str, str] | None = None, limit: float = 1200.0
) -> Row:
    """The JSON object in the last line that `python -m module arguments` prints. Raises RunError as `run`."""
    said = run([sys.executable, "-m", module, *arguments], environment, limit)
    try:
        answer = json.loads(said.splitlines()[-1])
    except (ValueError, IndexError):
        answer = None
    if not isinstance(answer, dict):
        raise RunError(f"{module} answered {said[-200:]!r}, not an object.")
    return answer


def told(name: str, values: Sequence[float]) -> Row:
    """The median of the rounds under its name, and each of them."""
    return {name: statistics.median(values), f"{name}_each": list(values)}


def median_ratio(over: Sequence[float], under: Sequence[float]) -> float:
    """The median of the ratios within a round, which what slows both sides of a round does not change."""
    return statistics.median(a / b for a, b in zip(over, under, strict=True))


def kernels_folder() -> Path | None:
    """Where this user's compiled kernels lie; None if the settings do without."""
    from tinygpt_tui.settings_file import load

    return user_paths().kernels if load({}).settings.engine.compile == "auto" else None


def home_environment(home: Path, *, kernels: bool) -> dict[str, str]:
    """What makes `home` a child's TINYGPT_HOME, with the compiled kernels of this user in it if there are to be some."""
    folder = kernels_folder()
    if kernels and folder is not None and folder.is_dir():
        shutil.copytree(folder, home / "cache" / "kernels", dirs_exist_ok=True)
    return {"TINYGPT_HOME": str(home), **({"TINYGPT_ENGINE_COMPILE": "off"} if folder is None else {})}


def conditions() -> Row:
    """When, on what, and how busy it was before. Makes the compiled kernels, if there are none yet."""
    others, load = Neighbours(), os.getloadavg()
    time.sleep(0.3)
    busy = others.cores()
    model, instructions = _processor()
    return {
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "processor": model,
        "instructions": instructions,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        **ask("benchmarks.shared"),
        "load_before": [round(value, 2) for value in load],
        "busy_cores_before": round(busy, 2),
    }


def _processor() -> tuple[str, list[str]]:
    """Its name, and which of `INSTRUCTIONS` it has, as far as the system tells."""
    try:
        told = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        told = []
    fields = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in told)}
    flags = (fields.get("flags") or fields.get("Features") or "").split()
    name = fields.get("model name") or platform.processor() or platform.machine()
    return name, [flag for flag in INSTRUCTIONS if flag in flags]


def _engine_conditions() -> Row:
    import torch

    from engine.device import available_cores, probe
    from models import kernel

    kernel.use(kernels_folder())
    kernel.library(wait=True)
    machine = probe()
    return {
        "torch": torch.__version__,
        "cores": available_cores(),
        "device": torch.cuda.get_device_name() if machine.device == "cuda" else machine.device,
        "dtype": machine.dtype,
        "kernel": kernel.state(),
    }


def _shown_options(options: argparse.Namespace) -> Row:
    return {
        key: Path(value).name
        if isinstance(value, str) and "/" in value
        else value  # no folder of this machine
        for key, value in vars(options).items()
        if key != "json" and value is not None and not isinstance(value, Path)
    }


def show(report: Row) -> None:
    """A report as tables on standard output, one for each kind of row."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = 160  # a file has no edge
    kinds: dict[tuple[str, ...], list[Row]] = {}
    for row in report["results"]:
        kinds.setdefault(tuple(k for k, v in row.items() if not isinstance(v, list | dict)), []).append(row)
    for keys, rows in kinds.items():
        table = Table(title=str(report["benchmark"]), title_justify="left", pad_edge=False)
        for key in keys:
            numeric = all(isinstance(row[key], int | float) or row[key] is None for row in rows)
            table.add_column(
                key.replace("_", " "), justify="right" if numeric else "left", no_wrap=key == "what"
            )
        for row in rows:
            table.add_row(*(Text(_cell(row[key])) for key in keys))
        console.print(table)
    if report["conditions"]:
        facts = (f"{key} {_cell(value)}" for key, value in report["conditions"].items())
        console.print(Text(safe_line(" · ".join(facts))), style="dim")


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return safe_line(" ".join(map(str, value)) if isinstance(value, list) else str(value))
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}" if abs(value) < 1 or abs(value) >= 100 else f"{value:.4f}".rstrip("0").rstrip(".")


if __name__ == "__main__":
    sys.stdout.write(dump_json(_engine_conditions()).decode() + "\n")
