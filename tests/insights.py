"""A trading hour for insights: orders, what left, what was declined. Fixed data; nobody in it is real."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from events.base import Address, Event, NewEvent, Recorded, Write
from events.order import OrderKey, OrderLinesShipped, OrderPlaced, order_stream
from events.payment import PaymentDeclined, payment_stream
from events.store import EventStore
from tests.examples import HOME, NOON, placed

MINUTE = timedelta(minutes=1)
KEY = b"not a secret"


def order(
    number: int,
    *,
    channel: str = "web",
    units: int = 1,
    sku: str = "SKU-1",
    customer: str | None = None,
    ship_to: Address | None = None,
) -> OrderPlaced:
    """An order of a customer, to an address, of its own unless told otherwise."""
    elsewhere = HOME.model_copy(update={"lines": [f"{number} Example Street"]})
    found = placed(OrderKey(channel, str(number)), lines={sku: units}, ship_to=ship_to or elsewhere)
    return found.model_copy(update={"customer": customer})


def recorded_order(
    position: int,
    *,
    at: datetime = NOON,
    recorded_at: datetime | None = None,
    clock: str = "wall",
    **fields: object,
) -> Recorded:
    event = order(position, **fields)  # type: ignore[arg-type]
    return _recorded(position, order_stream(event.order_id), event, at, recorded_at, clock)


def recorded_shipping(position: int, order_id: str, *, at: datetime, clock: str = "wall") -> Recorded:
    event = OrderLinesShipped(order_id=order_id, fulfillment_id=f"{order_id}-LDN", lines={"LDN": {"SKU-1": 1}})
    return _recorded(position, order_stream(order_id), event, at, None, clock)


def recorded_decline(position: int, order_id: str, *, at: datetime) -> Recorded:
    return _recorded(position, payment_stream(order_id), PaymentDeclined(order_id=order_id, reason="no"), at)


def _recorded(
    position: int,
    stream: str,
    event: Event,
    at: datetime,
    recorded_at: datetime | None = None,
    clock: str = "wall",
) -> Recorded:
    order_id = getattr(event, "order_id", "")
    return Recorded(position, stream, 1, event.type, event, at, recorded_at or at, order_id, "request-1", "test", clock)


def an_hour() -> list[Recorded]:
    """40 orders on two channels, one every minute; every second leaves 10 minutes later, every tenth is declined."""
    found: list[Recorded] = []
    for number in range(40):
        at = NOON + number * MINUTE
        placed_at = recorded_order(len(found) + 1, at=at, channel=("web", "shop")[number % 2], units=1 + number % 3)
        found.append(placed_at)
        order_id = placed_at.event.order_id  # type: ignore[attr-defined]
        if number % 2:
            found.append(recorded_shipping(len(found) + 1, order_id, at=at + 10 * MINUTE))
        if number % 10 == 0:
            found.append(recorded_decline(len(found) + 1, order_id, at=at))
    return found


def append(store: EventStore, events: Iterable[tuple[Event, datetime]], *, clock: str = "wall") -> Sequence[Recorded]:
    """Each to its own stream, after what is there."""
    found: list[Recorded] = []
    for event, at in events:
        order_id = event.order_id  # type: ignore[attr-defined]
        stream = payment_stream(order_id) if isinstance(event, PaymentDeclined) else order_stream(order_id)
        version = len(store.read_stream(stream))
        new = NewEvent(event, at, order_id, "request-1", "test", clock)
        found += store.append([Write(stream, version, [new])])
    return found


def shipped(order_id: str) -> OrderLinesShipped:
    return OrderLinesShipped(order_id=order_id, fulfillment_id=f"{order_id}-LDN", lines={"LDN": {"SKU-1": 1}})
