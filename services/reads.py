"""What one can ask of a home: its status, an order, an article. Reads the log and the read models, writes to neither,
but for one thing: read models that were left behind by a killed process are brought up to the log first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from events.base import Event
from events.feed import spellings
from events.runtime import parking_stream
from events.slots import SLOTS, slot_name, slot_of
from events.store import EventStore
from projections.catalogue import PROJECTIONS
from projections.order_status import OrderReads, Orders, named
from projections.reader import Progress
from projections.rebuild import rebuild
from projections.stock_levels import StockReads
from projections.table import Rows
from projections.views import Views
from services.audit.order_history import order_history
from services.routing import CONSUMES, INBOXES
from services.runtime.parking import Parked, Parking

PARKABLE = (*CONSUMES, "payment.timekeeper", "inventory.timekeeper", "shipping.timekeeper")
"""Every consumer that may have parked events."""


def parked_events(store: EventStore) -> list[Parked]:
    """Every parked event of every consumer, of its slots too, in order of position."""
    names = [*PARKABLE, *(slot_name(name, slot) for name in CONSUMES for slot in range(SLOTS))]
    streams = {parking_stream(name): name for name in names}
    found = [
        parked
        for stream in store.stream_versions(list(streams))
        for parked in Parking(store, streams[stream]).entries()
    ]
    return sorted(found, key=lambda parked: (parked.position, parked.consumer))


def consumer_lag(store: EventStore) -> dict[str, int]:
    """Positions from the first event that a consumer has not handled to the head of the log; 0 if there is none."""
    head, tracked = store.last_position(), store.tracked_positions()
    return {name: _lag_of(store, name, tracked, head) for name in CONSUMES}


def _lag_of(store: EventStore, name: str, tracked: dict[str, int], head: int) -> int:
    slots = [tracked.get(slot_name(name, slot), 0) for slot in range(SLOTS)]
    if name in tracked or not any(slots):
        return _lag(store, tracked.get(name, 0), head, CONSUMES[name])
    return _lag_by_slots(store, name, slots, head)


def _lag_by_slots(store: EventStore, name: str, slots: Sequence[int], head: int) -> int:
    """The same where each slot has a position of its own: to the first event that its slot has not handled."""
    key, types = INBOXES[name.partition(".")[0]].key, spellings(CONSUMES[name])
    after = min(slots)
    while events := store.read_after(after, limit=_LAG_PAGE, types=types, upto=head, on_unreadable="mark"):
        for one in events:
            if slots[slot_of(key(one))] < one.position:
                return head - one.position + 1
        after = events[-1].position
    return 0


def _lag(store: EventStore, tracked: int, head: int, classes: frozenset[type[Event]]) -> int:
    waiting = store.read_after(tracked, limit=1, types=spellings(classes), upto=head, on_unreadable="mark")
    return head - waiting[0].position + 1 if waiting else 0


# A slot that has nothing to do notes its position every 10,000 positions: so many events are looked through at most.
_LAG_PAGE = 5_000


@dataclass(frozen=True)
class Reads:
    """A home, to be asked."""

    home: Path
    store: EventStore
    views: Views

    def status(self) -> dict[str, Any]:
        """See `waybill status`: counts, money in minor units by currency, lag in positions."""
        head = self.store.last_position()
        orders, stock = OrderReads(self.views).counts(), StockReads(self.views).counts()
        return {
            "orders": orders["orders"],
            "by_status": orders["by_status"],
            "holds": orders["by_hold"],
            "captured_minor": orders["captured_minor"],
            "refunded_minor": orders["refunded_minor"],
            "units_shipped": orders["units_shipped"],
            "skus": stock["skus"],
            "low_stock": stock["low"],
            "backordered_units": stock["backordered_units"],
            "events": head,
            "last_position": head,
            "lag": {**consumer_lag(self.store), **Progress(self.views).lag(PROJECTIONS, head)},
            "parked": len(parked_events(self.store)),
        }

    def order(self, order_id: str) -> dict[str, Any] | None:
        """The order's row, its lines and charges, its timeline; None if there is no such order."""
        reads = OrderReads(self.views)
        row = reads.get(order_id)
        if row is None:
            return None
        return {**row, **reads.lines(order_id), "timeline": reads.timeline(order_id)}

    def order_at(self, order_id: str, at: datetime | None, position: int | None) -> dict[str, Any] | None:
        """The order as the log knew it then: the same fold as the projection's, stopped earlier."""
        orders = Orders()
        rows, timelines = Rows(orders.blank), defaultdict[str, list[bytes]](list)
        for recorded in order_history(self.store, order_id, at=at, position=position):
            orders.apply(recorded, rows, timelines)
        if order_id not in rows:
            return None
        return {**rows[order_id], "timeline": [named(orjson.loads(line)) for line in timelines[order_id]]}

    def stock(self, sku: str) -> dict[str, Any] | None:
        """The article's row and its latest movements; None if it was never stocked."""
        reads = StockReads(self.views)
        row = reads.get(sku)
        return None if row is None else {**row, "timeline": reads.timeline(sku)}

    def rebuild(self, progress: Any) -> dict[str, Any]:
        """See projections/rebuild.py."""
        return dict(rebuild(self.store, self.views, PROJECTIONS, on_progress=progress))
