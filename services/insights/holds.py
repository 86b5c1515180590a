"""Asks the order service to hold an order that somebody should look at: by the command that the API uses as well.

Asked once. An order that ever had a manual hold, whoever asked for it, has been looked at: whatever became of it then
is a person's decision, and stays. That is read from the order's own stream and fenced by its version, so that it holds
after a crash, a rebuild, and between two processes as well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from events.base import Recorded
from events.order import Hold, OrderHeld, OrderHoldReleased, Problem, order_stream
from events.store import EventStore, VersionConflict
from services.insights.buyers import Excess
from services.insights.windows import MINUTE_MS, to_ms
from services.runtime.decider import Cause, Directive
from services.runtime.desk import Desk

ACTOR = "insights"
CODE = "too_many_orders"

# An older order has gone its way: to stop it now would stop goods that are packed. So nothing is held either when a
# log of long ago is read for the first time.
FRESH_MS = 60 * MINUTE_MS
# Somebody else writes to the order at the same moment: its own worker, a few times in its first second.
_ATTEMPTS = 8

MakeHold = Callable[[Hold, list[Problem]], Any]
"""The order service's command. Handed over by the wiring: services do not know each other."""


class Holder:
    """For one thread."""

    def __init__(self, store: EventStore, desk: Desk, hold: MakeHold, now: Callable[[], datetime]) -> None:
        """`desk` decides by the order service's rules."""
        self._store = store
        self._desk = desk
        self._hold = hold
        self._now = now

    def ask(self, excess: Excess) -> Sequence[Recorded]:
        """What came of it: nothing, if the order was looked at before, is closed, or is not fresh any more.

        Raises what the store raises; then ask again.
        """
        if excess.order.at_ms <= to_ms(self._now()) - FRESH_MS:
            return []
        for _ in range(_ATTEMPTS - 1):
            try:
                return self._ask_once(excess)
            except VersionConflict:
                continue
        return self._ask_once(excess)

    def _ask_once(self, excess: Excess) -> Sequence[Recorded]:
        stream = order_stream(excess.order.order_id)
        history = self._store.read_stream(stream)
        if not history or any(map(_was_looked_at, history)):
            return []
        self._desk.forget()
        self._desk.load([stream])
        seen, held = history[-1].version, self._desk.held(stream).version
        if seen != held:  # it has moved on between two reads
            raise VersionConflict(stream, seen, held)
        batch = self._desk.batch()
        batch.decide(Directive(stream, self._hold(Hold.MANUAL, [_why(excess)])), self._cause(history[0]))
        return batch.commit()

    def _cause(self, placed: Recorded) -> Cause:
        return Cause(self._now(), placed.correlation_id, placed.id, ACTOR)


def _was_looked_at(recorded: Recorded) -> bool:
    return isinstance(recorded.event, OrderHeld | OrderHoldReleased) and recorded.event.hold is Hold.MANUAL


def _why(excess: Excess) -> Problem:
    whose = "this customer" if excess.buyer.kind == "customer" else "this address"
    message = f"Unusually many orders of {whose} within an hour: have a look, then release or cancel it."
    return Problem(code=CODE, where="order", message=message)
