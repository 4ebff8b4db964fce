"""Keys of a field in the order in which they were pressed, however fast they come.

Textual puts a character into a field at once, but lets a key that is bound to something first go up to the app: what is typed after a
Backspace would overtake it, and be taken back in the place of what stood there.
"""

from __future__ import annotations

from textual import events
from textual.widget import Widget


async def act_at_once(field: Widget, event: events.Key) -> None:
    """Does what a field's own bindings say of a key, if anything. For the field's `on_key`."""
    if event.is_printable:
        return
    bound = field.screen.active_bindings.get(event.key)
    if bound is None or bound.node is not field or not bound.enabled:
        return
    if await field.app.run_action(bound.binding.action, field):
        event.stop()
        event.prevent_default()
