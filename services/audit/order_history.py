"""The recorded events that concern one order, up to a moment: what `waybill order show ID --at` folds.

"At a time" means what was in the log by then (recorded_at), not what had happened by then (occurred_at): the question
is what we knew. In an imported history the two are years apart.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from typing import Any, Protocol

from events.base import Event, Recorded
from events.inventory import StockAllocated, StockBackordered, StockRejected, StockReleased, StockShipped
from events.order import (
    AllocationReleaseRequested,
    AllocationRequested,
    FulfillmentRequested,
    OrderLinesShipped,
    order_stream,
)
from events.payment import payment_stream
from events.shipping import fulfillment_stream

# What the order asks of the ledger, and the entries that are its last word on it.
_ANSWERS: dict[type[Event], tuple[type[Event], ...]] = {
    AllocationRequested: (StockAllocated, StockRejected, StockReleased),
    AllocationReleaseRequested: (StockReleased,),
    OrderLinesShipped: (StockShipped,),
}
_ENTRIES = frozenset(
    kind.type for kind in (StockAllocated, StockBackordered, StockRejected, StockReleased, StockShipped)
)

# An answer comes soon after its request, as a rule within one batch of the inventory worker.
_PAGE_EVENTS = 500


class Log(Protocol):
    """What is needed of the event store."""

    def read_after(
        self, position: int, *, limit: int, types: frozenset[str] | None = None, upto: int | None = None
    ) -> list[Recorded]: ...

    def read_streams(self, streams: Collection[str]) -> dict[str, list[Recorded]]: ...

    def last_position(self) -> int: ...


def order_history(
    log: Log, order_id: str, *, at: datetime | None = None, position: int | None = None
) -> list[Recorded]:
    """Everything that concerns the order, of all services, in the order of the log.

    Up to and including `position`, and to what was recorded at `at` (without an offset: UTC). Nothing if there was no
    such order by then. Raises what the store raises.
    """
    head = log.last_position()
    end = head if position is None else min(position, head)
    until = at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at
    own = _own_streams(log, order_id, end, until)
    return sorted([*own, *_ledger_entries(log, order_id, own, end, until)], key=lambda one: one.position)


def _own_streams(log: Log, order_id: str, end: int, until: datetime | None) -> list[Recorded]:
    """The order's, its payment's and its fulfillments' events."""
    order = _known(log, [order_stream(order_id)], end, until)
    parts = [one.event.fulfillment_id for one in order if isinstance(one.event, FulfillmentRequested)]
    return order + _known(log, [payment_stream(order_id), *map(fulfillment_stream, parts)], end, until)


def _known(log: Log, streams: list[str], end: int, until: datetime | None) -> list[Recorded]:
    return [
        recorded
        for history in log.read_streams(streams).values()
        for recorded in history
        if recorded.position <= end and (until is None or recorded.recorded_at <= until)
    ]


def _ledger_entries(
    log: Log, order_id: str, own: list[Recorded], end: int, until: datetime | None
) -> Iterator[Recorded]:
    """The ledger is one stream for all orders: it is read from each request of this order to the answer to it."""
    requests = sorted((one for one in own if type(one.event) in _ANSWERS), key=lambda one: one.position)
    reached, answered = 0, set[str]()
    for request in requests:
        # A release also answers an allocation that was still waiting for goods.
        if request.id in answered:
            continue
        for entry in _entries(log, max(reached, request.position), end):
            if until is not None and entry.recorded_at > until:
                break
            event: Any = entry.event
            if event.order_id != order_id:
                continue
            yield entry
            reached = entry.position
            answered.add(entry.causation_id)
            if isinstance(event, _ANSWERS[type(request.event)]):
                break


def _entries(log: Log, after: int, end: int) -> Iterator[Recorded]:
    """The ledger's entries about orders, page by page."""
    while True:
        page = log.read_after(after, limit=_PAGE_EVENTS, types=_ENTRIES, upto=end)
        yield from page
        if len(page) < _PAGE_EVENTS:
            return
        after = page[-1].position
