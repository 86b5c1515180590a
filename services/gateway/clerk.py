"""Carries out what people ask for: one desk of its own, one command at a time.

The workers decide on their own desks at the same moment. Neither knows of the other: every decision, also that there
is nothing to do, is fenced by the version of its stream, and is made again when somebody was faster.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, NamedTuple

from events.base import Recorded
from services.runtime.decider import Cause, Directive
from services.runtime.desk import Desk


class Executed(NamedTuple):
    """What came of a command: nothing if all is so already. `state` is what it was decided on, or led to."""

    recorded: list[Recorded]
    state: Any


class Clerk:
    """May be asked from any thread."""

    def __init__(self, desk: Desk, *, ring: Callable[[], object]) -> None:
        """`ring` is called after each append: there is something to do."""
        self._desk = desk
        self._ring = ring
        self._one_at_a_time = threading.Lock()

    def execute(self, stream: str, command: Callable[[], Any], cause: Cause) -> Executed | None:
        """None: there is no such stream. Raises what the store raises.

        `command` makes the command while nobody else is served, from what it reads in the log.
        """
        with self._one_at_a_time:
            recorded = self._desk.execute(Directive(stream, command()), cause)
            version, state = self._desk.held(stream)
        if recorded:
            self._ring()
        return Executed(recorded, state) if version else None
