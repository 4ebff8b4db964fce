"""A player that writes 2,000 characters a second into the real playground: nothing is missing, little is kept, and the keys answer.

`FLOOD_SECONDS=60 pytest …` makes it last a minute.
"""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

from benchmarks.terminal import Terminal
from tests.tinygpt_tui.conftest import Trained
from tests.tinygpt_tui.fake_player import story
from tests.tinygpt_tui.survival import TOLD, Home
from tinygpt_tui.play.history import History

SECONDS = float(os.environ.get("FLOOD_SECONDS", "10"))
RATE = 2000
CHARS = int(SECONDS * RATE)
WARM = 3 * RATE  # characters that come before anything is measured
MOST_BYTES = 64  # a character
# What painting keeps, however long the text: lines, styles and Textual's own caches. They fill within half a minute.
PAINTING = 4 << 20 if SECONDS < 60 else 0


def test_a_flood_is_kept_whole_in_few_bytes_while_the_keys_answer(trained: Trained, tmp_path: Path) -> None:
    """Measured are the bytes of the passages, with what their columns have taken in advance; and, whoever holds it, all the memory that
    Python has taken since the first three seconds of the text. Only a minute is long enough for the second without an allowance."""
    home, report = Home(trained.home), tmp_path / "report"
    home.environment |= {"TINYGPT_SAMPLE_CHARS": str(WARM + CHARS), "TINYGPT_UI_SPEED": "0"}
    command = [*TOLD, str(report), "--rate", str(RATE), "fox"]

    with Terminal(command, environment=home.environment, cwd=home.work) as terminal:

        def told() -> dict[str, Any]:
            """What the playground says of itself, while it is read."""
            report.unlink(missing_ok=True)
            terminal.process.send_signal(signal.SIGUSR1)
            terminal.wait_until(lambda _: report.exists())
            found: dict[str, Any] = json.loads(report.read_text())
            return found

        terminal.wait_until(lambda screen: "@ step" in screen and "⏎ send" in screen, 60)
        terminal.send("Once\r")
        warm = told()
        while len(warm["text"]) < WARM:
            terminal.idle(0.3)
            warm = told()

        terminal.wait_until(lambda screen: "temperature 0.80" in screen)
        terminal.send("]")
        terminal.wait_until(lambda screen: "temperature 0.85" in screen)
        assert len(told()["text"]) < WARM + CHARS, "the flood was over before the key was pressed"

        whole = len("Once") + WARM + CHARS
        end, deadline = told(), time.monotonic() + 6 * SECONDS + 60
        while len(end["text"]) < whole and time.monotonic() < deadline:
            terminal.idle(0.3)
            end = told()
        terminal.send("\x11")
        assert terminal.ended() == 0

    expected = "Once" + story(0, WARM + CHARS)
    assert len(end["text"]) == whole
    assert end["text"] == expected
    grown = len(end["text"]) - len(warm["text"])
    assert end["kept"] - warm["kept"] <= MOST_BYTES * grown
    assert end["traced"] - warm["traced"] <= MOST_BYTES * grown + PAINTING

    history = History(home.path / "data" / "history.sqlite")
    history.begin()
    session = history.load_last()
    history.close()
    assert session is not None
    assert session.text() == expected
    (passage,) = (passage for passage in session.all if passage.kind == "written")
    assert (passage.tokens, passage.reason) == (WARM + CHARS, "max")
    (change,) = passage.changes
    assert change.settings["temperature"] == 0.85
    assert 0 < change.token < WARM + CHARS
    print(
        f"\n{grown} characters: {(end['kept'] - warm['kept']) / grown:.1f} bytes each in passages, "
        f"{(end['traced'] - warm['traced']) / grown:.1f} in all"
    )
