"""Who leaves this machine: a look at Python's audit events. Loaded by the tests, and by every Python process that they start."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

CODE = 97  # with which a process ends that would have left
HERE = ("127.", "::1", "::ffff:127.", "localhost", os.uname().nodename)
ANYBODY = ("", "0.0.0.0", "::")  # to be called by


def leaves(event: str, arguments: tuple[Any, ...]) -> str:
    """What of an audit event goes beyond this machine, or ""; names in the file system and our own addresses do not."""
    if not event.startswith("socket."):
        return ""
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg", "socket.bind"):
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) and address else ""
        if event == "socket.bind" and isinstance(address, tuple) and host in ANYBODY:
            return f"{event} to every address"
    elif event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        host = arguments[0]
        host = host[0] if isinstance(host, tuple) else host
    else:
        return ""
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if not isinstance(host, str) or not host or host.startswith(HERE):
        return ""
    return f"{event} to {host}"


hearers: list[Callable[[str], None]] = []


def hook(event: str, arguments: tuple[Any, ...]) -> None:
    if event.startswith("socket.") and (what := leaves(event, arguments)):
        hearers[0](what)


def watch(tell: Callable[[str], None]) -> None:
    """From now on, and for as long as this process lives, `tell` hears who would leave, before they can; who listened before does not.

    A process of the tests may have been started by another one, and so have found `sitecustomize`, too.
    """
    first: Any = sys.modules.setdefault("only_this_machine", sys.modules[__name__])
    if not first.hearers:
        sys.addaudithook(first.hook)
    first.hearers[:] = [tell]
