"""What holds for all tests: signals arrive as they do at a terminal."""

from __future__ import annotations

import signal

# A shell without job control starts its background jobs deaf to Ctrl-C, and the processes our tests start would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
