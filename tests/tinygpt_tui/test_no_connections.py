"""Neither the playground nor its player speaks with anybody over a network, or can be spoken to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.engine.test_no_network import connections
from tests.tinygpt_tui.conftest import Trained
from tests.tinygpt_tui.survival import player_of
from tests.tinygpt_tui.test_playground_command import Terminal, terminal

__all__ = ["terminal"]  # a fixture


@pytest.mark.skipif(not Path("/proc/self/net/tcp").exists(), reason="needs Linux to look into a process")
def test_the_playground_and_its_player_have_no_connection_and_listen_to_nobody(
    trained: Trained, terminal: Callable[..., Terminal]
) -> None:
    one = terminal("fox")
    one.shows("@ step 20")  # the player has loaded the model
    player = player_of(one.child.pid)
    assert player is not None
    assert connections(one.child.pid) == [] and connections(player) == []
    one.type("\x11")  # ctrl+q
    assert one.ends() == 0
