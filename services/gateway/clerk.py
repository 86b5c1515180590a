"""Carries out what people ask for: one desk of its own, one command at a time.

The workers decide on their own desks at the same moment. Neither knows of the other: every decision, also that there
is nothing to do, is fenced by the version of its stream, and is made again when somebody was faster.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from events.base import Recorded
from services.runtime.decider import Cause, Directive
from services.runtime.desk import Desk


class Clerk:
    """May be asked from any thread."""

    def __init__(self, desk: Desk, *, ring: Callable[[], object]) -> None:
        """`ring` is called after each append: there is something to do."""
        self._desk = desk
        self._ring = ring
        self._one_at_a_time = threading.Lock()

    def execute(self, stream: str, command: Callable[[], Any], cause: Cause) -> list[Recorded]:
        """What came of the command; nothing if all is so already. Raises LookupError if there is no such stream.

        `command` makes the command while nobody else is served, from what it reads in the log.
        """
        with self._one_at_a_time:
            recorded = self._desk.execute(Directive(stream, command()), cause)
            if not recorded and self._desk.held(stream).version == 0:
                raise LookupError(stream)
        if recorded:
            self._ring()
        return recorded

    def state(self, stream: str) -> Any:
        """The state on which the last command about this stream was decided."""
        with self._one_at_a_time:
            return self._desk.state(stream)
