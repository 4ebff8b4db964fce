"""models/c as code of this processor: compiled once where there is a compiler, proved, and kept.

Whoever writes and finds none has it made by another process, beside itself, and does without meanwhile; whoever trains has it made
first, since seconds pay there. What was made is used only after a process of its own has run the transformers with it and got what
torch gets: a compiler that fails, or code that this processor does not know, costs nobody anything. A kernel belongs to its source,
its compiler and the processor's instructions, whose hash it is named by.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SOURCES = Path(__file__).with_name("c")
# `-m` looks in the current folder first: in ours, so that a stranger's `models` is not started.
ROOT = Path(__file__).resolve().parents[1]
# Sums may be fused and errno left alone, but nothing may be put into another order: a text must not depend on the compiler's taste.
FLAGS = (
    "-O3", "-march=native", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math",
    "-fPIC", "-pthread",
)  # fmt: skip
FAILED = "the compiler failed"
RETRY_SECONDS = (
    86_400  # after which what failed is tried again: headers may have been installed, or the disk emptied
)
COMPILERS = ("cc", "gcc", "clang")
MOST_THREADS = 64  # of models/c/pool.h
PATIENCE = 120.0  # seconds after which a process that was to make it is taken for dead

_FROM_OUTSIDE = (signal.SIGHUP, signal.SIGINT, signal.SIGKILL, signal.SIGTERM)

_folder: Path | None = None
_maker: subprocess.Popen[bytes] | None = None  # the process that we asked for it


def use(folder: Path | None) -> None:
    """From now on kernels are looked for, and kept, in `folder`; with None, as in the beginning, there is none."""
    global _folder
    _folder = folder


def library(*, wait: bool = False) -> ctypes.CDLL | None:
    """The kernel, or None where there is none (yet).

    The first time, it is asked for; if one is ready to `wait`, that ends when it is made, by whoever was asked or by us.
    """
    if _folder is None or not (name := file_name()):
        return None
    path = _folder / name
    if not path.exists() and not _has_failed(path):
        if not wait:
            _ask_for(path)
            return None
        if not _made_by_another(path):
            with contextlib.suppress(OSError):
                make(_folder)
    return _loaded(path) if path.exists() else None


def knows_bfloat16(library: ctypes.CDLL) -> bool:
    """Whether a kernel was made for a processor that multiplies bfloat16, and so learns in it."""
    return bool(ctypes.c_int.in_dll(library, "learns_bfloat16").value)


def state() -> str:
    """A line on the kernel for `tinygpt doctor`."""
    if _folder is None:
        return "off"
    if not (name := file_name()):
        return "no C compiler"
    path = _folder / name
    if path.exists():
        return "ready"
    if not _has_failed(path):
        return "made when first needed"
    failed = path.with_suffix(".failed")
    said = failed.read_text(encoding="utf-8", errors="replace").strip()
    return f"{said}; tried again a day later, or once {failed} is removed"


@functools.cache
def file_name() -> str:
    """What the kernel of this source, compiler and processor is called; "" without a compiler."""
    compiler = _compiler()
    if compiler is None:
        return ""
    found = compiler.stat()  # of what a link leads to
    about = (
        *(path.read_text(encoding="utf-8") for path in sorted(SOURCES.iterdir())),
        *FLAGS,
        str(compiler.resolve()),
        found.st_size,
        found.st_mtime_ns,
        _processor(),
    )
    return f"kernel-{hashlib.sha256(repr(about).encode()).hexdigest()[:16]}.so"


def make(folder: Path) -> str:
    """Compiles the kernel into `folder`, proves it, and publishes it under its name; "" or why there is none.

    Raises:
        OSError: the folder cannot be written, or something was ended before it came to an end, which tells nothing about the next try.
    """
    name, compiler = file_name(), _compiler()
    if compiler is None:
        return "no C compiler"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".kernel-", dir=folder) as work:
        made = Path(work) / name
        units = {str(path): f"{work}/{path.stem}.o" for path in sorted(SOURCES.glob("*.c"))}
        with ThreadPoolExecutor() as side_by_side:
            tries = side_by_side.map(
                lambda unit: _run([str(compiler), *FLAGS, "-c", "-o", units[unit], unit], FAILED), units
            )
        problem = next(filter(None, tries), "")
        if not problem:
            linking = [str(compiler), *FLAGS, "-shared", "-o", str(made), *units.values(), "-lm"]
            problem = _run(linking, FAILED)
        if not problem:
            problem = _run(
                [sys.executable, "-m", "models.kernel_proof", str(made)], "it does not say what torch says"
            )
        if problem:
            (folder / name).with_suffix(".failed").write_text(problem, encoding="utf-8")
        else:
            _flush(made)  # or a power loss may leave the name on a file whose contents nobody has proved
            made.replace(folder / name)
            _flush(folder)
    return problem


def _has_failed(path: Path) -> bool:
    """Whether the kernel could not be made, not long ago."""
    try:
        return abs(time.time() - path.with_suffix(".failed").stat().st_mtime) < RETRY_SECONDS
    except OSError:
        return False


def _flush(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@functools.cache
def _loaded(path: Path) -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL(str(path))
    except OSError:  # a file system from which nothing may be run
        return None


def _made_by_another(path: Path) -> bool:
    """Waits for the process that was asked for it, as long as that lives; whether it came to an end with it."""
    asked = path.with_suffix(".asked")
    while not path.exists() and not _has_failed(path):
        try:
            if time.time() - asked.stat().st_mtime > PATIENCE:
                break
            maker = int(asked.read_text(encoding="ascii") or 0)
            if maker:  # else it is just being started
                os.kill(maker, 0)
        except (OSError, ValueError, OverflowError):
            break
        if _maker is not None and _maker.poll() is not None:
            break
        time.sleep(0.02)
    return path.exists() or _has_failed(path)


def _ask_for(path: Path) -> None:
    """Starts the process that makes it, unless one has been started a moment ago; it outlives us if need be."""
    global _maker
    asked = path.with_suffix(".asked")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if asked.exists() and time.time() - asked.stat().st_mtime > PATIENCE:
            asked.unlink()
        asked.touch(exist_ok=False)
        _maker = subprocess.Popen(
            [sys.executable, "-m", "models.kernel", str(path.parent)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True, cwd=ROOT,
        )  # fmt: skip
        with asked.open(
            "r+", encoding="ascii"
        ) as about:  # unless it has been taken away by one who was quick
            about.write(str(_maker.pid))
    except OSError:
        pass  # asked for already, or nothing can be written: then it is done without


def _run(command: list[str], problem: str) -> str:
    """Runs it; "" if it succeeded, else `problem` with the last line it said. Raises OSError if it was ended from outside."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE / 2,
            cwd=ROOT,
            check=False,
            start_new_session=True,  # Ctrl-C is for us: the compiler would take it for its own end
        )
    except subprocess.TimeoutExpired as error:
        raise TimeoutError(f"{problem}: {error}") from error
    if done.returncode == 0:
        return ""
    if -done.returncode in _FROM_OUTSIDE:
        raise InterruptedError(f"{problem}: ended by signal {-done.returncode}")
    said = [line for line in done.stderr.splitlines() if line.strip()]
    return f"{problem}: {said[-1][:200] if said else f'exit code {done.returncode}'}"


def _compiler() -> Path | None:
    if sys.platform not in ("linux", "darwin"):
        return None
    # As it is called: what stands for many programs, such as ccache, looks at that.
    found = next((path for name in COMPILERS if (path := shutil.which(name))), None)
    return Path(found) if found else None


def _processor() -> str:
    """Names the instructions this processor knows, where the system tells; a home folder may be shared by several machines."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith(("flags", "Features")):
                return platform.machine() + line
    return platform.machine() + platform.processor()


def main() -> int:
    folder = Path(sys.argv[1])
    with contextlib.suppress(OSError):
        os.nice(10)
    try:
        return 1 if make(folder) else 0
    except OSError:
        return 1
    finally:
        with contextlib.suppress(OSError):
            (folder / file_name()).with_suffix(".asked").unlink()


if __name__ == "__main__":
    sys.exit(main())
