"""Brings a corpus of known hash from the network into the cache, and reads it there.

Only `fetch` touches the network, and only when a person asks. What arrives is held in memory up to the known
length, checked, and only then given a name, so a file in the cache is either whole or absent. A file put at
`<cache>/corpora/<name>.txt` by hand is as good as a fetched one if its hash is right, and is otherwise left
alone.

Left out: resuming a download, mirrors, archives; the known texts are small.
"""

from __future__ import annotations

import hashlib
import http.client
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from engine.catalogue import Entry, embedded_names
from engine.errors import CorpusError, ResourceError, UsageError
from engine.printable import printable
from engine.storage import make_private_dir, write_atomic

TIMEOUT_S = 20.0  # of silence
# A server that sends a byte now and then is never silent, but nobody waits for years: so long in all, and for so many bytes a second.
PATIENCE_S, LEAST_SPEED = 60.0, 1000.0
_CHUNK = 2**16


def fetch(
    entry: Entry,
    cache_dir: Path,
    *,
    progress: Callable[[int, int], None] | None = None,
    opener: urllib.request.OpenerDirector | None = None,
) -> Path:
    """Download a corpus, unless the cache has it already, and return its file.

    Args:
        progress: called with the bytes done and the bytes in all; what it raises ends the download and leaves
            nothing.
        opener: opens the address instead of `https_opener()`.

    Raises:
        CorpusError: offline, the server failed, or sent anything but the known text.
        ResourceError: the cache cannot be written.
        UsageError: the corpus is built in.
    """
    if entry.kind == "embedded":
        raise UsageError(f"{entry.name} is built in: there is nothing to fetch.")
    if found := fetched(entry, cache_dir):
        return found
    data = _download(entry, progress or _silent, opener or https_opener())
    target = _by_hand(entry, cache_dir)
    if target.exists():  # somebody's file, but not this text: it stays
        target = _beside(entry, cache_dir)
    try:
        make_private_dir(target.parent)
        write_atomic(target, data)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise ResourceError(
            f"Cannot write {printable(str(target))}: {why}; choose another cache folder."
        ) from error
    return target


def fetched(entry: Entry, cache_dir: Path) -> Path | None:
    """The file in the cache that is exactly this corpus, whoever put it there."""
    return next((path for path in _places(entry, cache_dir) if _known(path, entry) is not None), None)


def read(entry: Entry, cache_dir: Path | None) -> str:
    """The text of a corpus in the cache.

    Raises:
        CorpusError: it is not there; says how to fetch it, and names a file that was not used.
    """
    if cache_dir is not None:
        for path in _places(entry, cache_dir):
            if (data := _known(path, entry)) is not None:
                return data.decode("utf-8")
        strange = [printable(str(path)) for path in _places(entry, cache_dir) if path.exists()]
        if strange:
            raise CorpusError(
                f"{strange[0]} is not the known {entry.name} (its hash differs) and is not used; "
                f"run: tinygpt corpora fetch {entry.name}."
            )
    raise CorpusError(
        f"{entry.name} has not been fetched yet; run: tinygpt corpora fetch {entry.name}, "
        f"or use one that is built in: {', '.join(embedded_names())}."
    )


def https_opener(https: urllib.request.HTTPSHandler | None = None) -> urllib.request.OpenerDirector:
    """Opens https addresses and nothing else, not even by a redirect.

    Args:
        https: makes the connection instead of one that verifies certificates the default way.
    """
    opener = urllib.request.OpenerDirector()  # without the handlers for http, ftp, file and data
    for handler in (
        urllib.request.ProxyHandler(),
        https or urllib.request.HTTPSHandler(context=ssl.create_default_context()),
        _HttpsRedirects(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    opener.addheaders = [("User-Agent", "tinygpt")]
    return opener


class _HttpsRedirects(urllib.request.HTTPRedirectHandler):
    def http_error_302(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
    ) -> Any:
        try:
            return super().http_error_302(req, fp, code, msg, headers)
        except ValueError:  # an address that is none; nobody else would hang up
            fp.close()
            raise

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        if not newurl.lower().startswith("https://"):
            fp.close()
            raise urllib.error.URLError(f"it redirects to {printable(newurl)}, which is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _download(
    entry: Entry, progress: Callable[[int, int], None], opener: urllib.request.OpenerDirector
) -> bytes:
    data = bytearray()
    began = time.monotonic()
    try:
        with opener.open(entry.url, timeout=TIMEOUT_S) as response:
            progress(0, entry.bytes)
            while chunk := response.read1(_CHUNK):
                data += chunk
                if len(data) > entry.bytes:
                    raise _failed(entry, f"the server sent more than its {entry.bytes:,} bytes")
                progress(len(data), entry.bytes)
                slow = time.monotonic() - began > PATIENCE_S + len(data) / LEAST_SPEED
                if slow and len(data) < entry.bytes:
                    so_far = f"{len(data):,} of {entry.bytes:,} bytes so far"
                    raise _failed(entry, f"the server is too slow, with {so_far}")
    except urllib.error.HTTPError as error:
        with error:
            raise _failed(
                entry, f"the server answered {error.code} {printable(str(error.reason))}"
            ) from error
    except urllib.error.URLError as error:
        raise _failed(entry, printable(str(error.reason))) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _failed(entry, printable(str(error) or type(error).__name__)) from error
    if len(data) < entry.bytes:
        raise _failed(entry, f"the server sent only {len(data):,} of {entry.bytes:,} bytes")
    if hashlib.sha256(data).hexdigest() != entry.sha256:
        raise _failed(entry, "what the server sent is not the known text (its hash differs)")
    return bytes(data)


def _failed(entry: Entry, why: str) -> CorpusError:
    return CorpusError(
        f"Could not fetch {entry.name}: {why}; try again later, or use one that is built in: "
        f"{', '.join(embedded_names())}."
    )


def _known(path: Path, entry: Entry) -> bytes | None:
    """The bytes of a file if they are the known text."""
    try:
        if not path.is_file() or path.stat().st_size != entry.bytes:
            return None
        data = path.read_bytes()
    except OSError:
        return None
    return data if hashlib.sha256(data).hexdigest() == entry.sha256 else None


def _places(entry: Entry, cache_dir: Path) -> tuple[Path, Path]:
    return _by_hand(entry, cache_dir), _beside(entry, cache_dir)


def _by_hand(entry: Entry, cache_dir: Path) -> Path:
    return cache_dir / "corpora" / f"{entry.name}.txt"


def _beside(entry: Entry, cache_dir: Path) -> Path:
    return cache_dir / "corpora" / f"{entry.name}-{entry.sha256[:12]}.txt"


def _silent(done: int, total: int) -> None:
    pass
