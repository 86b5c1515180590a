"""Follows the log beside everybody else, and takes note of how far each order is and when that was seen."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from datetime import datetime
from typing import Any, NamedTuple

from events.base import Recorded
from events.order import (
    Hold,
    OrderCancelled,
    OrderCompleted,
    OrderExpired,
    OrderHeld,
    OrderHoldReleased,
    OrderPlaced,
    OrderRejected,
)
from events.payment import PaymentOutcomeUnknown
from events.shipping import LabelOutcomeUnknown
from events.store import EventStore, StoreError, open_store
from projections.catalogue import PROJECTIONS
from projections.reader import Progress
from projections.redis_server import ExternalRedis
from projections.redis_views import RedisViews
from projections.views import ViewsError

_ENDS = (OrderCompleted, OrderRejected, OrderCancelled, OrderExpired)
_NOTED = (*_ENDS, OrderPlaced, OrderHeld, OrderHoldReleased, PaymentOutcomeUnknown, LabelOutcomeUnknown)
_TYPES = frozenset(cls.type for cls in _NOTED)
_POLL_S = 0.05
_PAGE = 1_000


class Ended(NamedTuple):
    """`seen_s` is on the monotonic clock."""

    type: str
    position: int
    seen_s: float


class Watch(threading.Thread):
    """A thread of its own, with a store of its own, from the servers' first start to the drill's end."""

    def __init__(self, store_url: str, redis_url: str) -> None:
        super().__init__(name="drill-watch", daemon=True)
        self.store: EventStore = open_store(store_url)
        self.views = RedisViews(ExternalRedis(redis_url))
        self._progress = Progress(self.views)
        self._position = 0
        self._over = threading.Event()
        self.placed: dict[str, int] = {}
        """How often each order was placed: once, that is."""
        self.ended: dict[str, Ended] = {}
        self.holds: dict[str, set[Hold]] = {}
        self.asks_at: dict[str, datetime] = {}
        """When the provider or the carrier is first to be asked what became of an order's call."""
        self.shown: tuple[int, float] = (0, 0.0)
        """The position that all projections show, and when that was seen."""

    def run(self) -> None:
        while not self._over.is_set():
            if not self._look():
                self._over.wait(_POLL_S)

    def close(self) -> None:
        self._over.set()
        self.join()
        self.views.close()
        self.store.close()

    def _look(self) -> bool:
        """Whether there was more than a page."""
        with suppress(ViewsError):
            self.shown = (min(self._progress.checkpoints(PROJECTIONS).values()), time.monotonic())
        with suppress(StoreError):
            found = self.store.read_after(self._position, limit=_PAGE, types=_TYPES)
            for recorded in found:
                self._note(recorded, recorded.event)
                self._position = recorded.position
            return len(found) == _PAGE
        return False

    def _note(self, recorded: Recorded, event: Any) -> None:
        order_id: str = event.order_id
        match event:
            case OrderPlaced():
                self.placed[order_id] = self.placed.get(order_id, 0) + 1
            case OrderHeld():
                self.holds.setdefault(order_id, set()).add(event.hold)
            case OrderHoldReleased():
                self.holds[order_id].discard(event.hold)
            case PaymentOutcomeUnknown() | LabelOutcomeUnknown():
                self.asks_at.setdefault(order_id, event.ask_at)
            case _:
                self.ended[order_id] = Ended(recorded.type, recorded.position, time.monotonic())
