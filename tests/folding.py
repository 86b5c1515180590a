"""What the tests of projections share: events as the log would hold them, a log in a list, tables folded from both."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeVar

from events import inventory, order, payment, shipping
from events.base import Event, Recorded
from events.order import OrderKey
from projections.catalogue import PROJECTIONS
from projections.memory_views import MemoryViews
from projections.runner import ProjectionRunner
from projections.table import Projection, Rows, Table
from projections.views import Views
from tests.examples import LONDON, NOON, placed

Row = TypeVar("Row", bound=dict[str, Any])


def recorded(event: Event, position: int, *, at: datetime = NOON) -> Recorded:
    return Recorded(position, f"stream-{position}", 1, event.type, event, at, NOON, "order", "request-1", "test")


def folded(table: Table[Any], *events: Event) -> Rows[Any]:
    """The table's rows after these events, at positions 1, 2, 3 ..."""
    rows = Rows[Any](table.blank)
    for position, event in enumerate(events, start=1):
        table.apply(recorded(event, position), rows, defaultdict(list))
    return rows


@dataclass
class ListLog:
    """A log that a test can shorten and tamper with."""

    events: list[Recorded] = field(default_factory=list)

    def add(self, *events: Event, at: datetime = NOON) -> None:
        for event in events:
            self.events.append(recorded(event, self.last_position() + 1, at=at))

    def last_position(self) -> int:
        return self.events[-1].position if self.events else 0

    def read_after(
        self,
        position: int,
        *,
        limit: int,
        types: frozenset[str] | None = None,
        upto: int | None = None,
        on_unreadable: Literal["raise", "mark"] = "raise",
    ) -> list[Recorded]:
        found = [
            one
            for one in self.events
            if one.position > position
            and (upto is None or one.position <= upto)
            and (types is None or one.type in types)
        ]
        return found[:limit]


def shown(*events: Event, projections: Sequence[Projection] = PROJECTIONS) -> Views:
    """Views of these events."""
    log, views = ListLog(), MemoryViews()
    log.add(*events)
    catch_up(ProjectionRunner(log, views, projections))
    return views


def catch_up(runner: ProjectionRunner) -> int:
    """Step until everything can be seen; how many events there were."""
    events = 0
    while count := runner.step():
        events += count
    return events


def one_order(number: int) -> list[Event]:
    """All that happens to one order, its stock included; every fifth waits, every seventh is cancelled."""
    placed_order = placed(OrderKey("web", str(number)), lines={f"SKU-{number % 13}": 1 + number % 3, "BELL": 2})
    order_id, total = placed_order.order_id, placed_order.total_minor
    lines = {line.sku: line.quantity for line in placed_order.lines}
    postings = {LONDON: lines}
    part = f"{order_id}-{LONDON}"
    address: dict[str, Any] = {"location": LONDON, "country": "GB", "address_on_file": False}
    begin: list[Event] = [
        placed_order,
        order.OrderAccepted(order_id=order_id),
        order.PaymentRequested(order_id=order_id, amount_minor=total, currency="GBP", payment_token="tok_ok"),
        payment.PaymentAuthorized(order_id=order_id, reference="ref", amount_minor=total),
    ]
    if number % 5 == 0:
        begin += [
            inventory.StockBackordered(order_id=order_id, lines=lines, missing={"BELL": 1}),
            order.OrderHeld(order_id=order_id, hold=order.Hold.BACKORDER),
        ]
    if number % 7 == 0:
        return [
            *begin,
            inventory.StockReleased(order_id=order_id),
            payment.PaymentVoided(order_id=order_id),
            order.OrderCancelled(order_id=order_id, reason="changed my mind"),
        ]
    return [
        *begin,
        inventory.StockAllocated(order_id=order_id, lines=postings),
        order.OrderHoldReleased(order_id=order_id, hold=order.Hold.BACKORDER),
        order.OrderConfirmed(order_id=order_id, lines=postings),
        order.FulfillmentRequested(order_id=order_id, fulfillment_id=part, lines=lines, **address),
        shipping.FulfillmentOpened(order_id=order_id, fulfillment_id=part, lines=lines, **address),
        shipping.ItemsPicked(order_id=order_id, fulfillment_id=part),
        shipping.ParcelPacked(order_id=order_id, fulfillment_id=part, parcel_id="p"),
        shipping.ParcelShipped(
            order_id=order_id, fulfillment_id=part, location=LONDON, tracking_number="T", lines=lines
        ),
        inventory.StockShipped(order_id=order_id, lines=postings),
        payment.PaymentCaptured(order_id=order_id, reference="ref", amount_minor=total),
        order.OrderCompleted(order_id=order_id),
    ]


def trade(orders: int, *, first: int = 1) -> list[Event]:
    """The histories of so many orders, shuffled into each other; the same every time."""
    waiting = [one_order(number)[::-1] for number in range(first, first + orders)]
    draw = random.Random(first)
    events: list[Event] = []
    while waiting:
        # Some ten orders are under way at any time.
        turn = draw.randrange(min(10, len(waiting)))
        events.append(waiting[turn].pop())
        if not waiting[turn]:
            del waiting[turn]
    return events
