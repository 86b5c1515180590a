"""Which event goes where: the one place that says it.

Facts are for the world: every event, in the topic of who wrote it, keyed by its stream. An inbox is for one service:
all that its consumers wait for, keyed by what they must see in order: an order's events by the order, the ledger's by
its pool. So each worker has one topic and sees an order's events in the order of the log.
"""

from __future__ import annotations

from typing import NamedTuple

from events import gateway, inventory, order, payment, shipping
from events.base import Event, Recorded
from events.codec import EVENT_TYPES
from events.inventory import DEFAULT_POOL
from events.relay import Route
from events.slots import Key
from services.inventory.reactions import REACTIONS as INVENTORY
from services.order.reactions import REACTIONS as ORDER
from services.payment.calls import INTENTS
from services.payment.reactions import REACTIONS as PAYMENT
from services.shipping.calls import LABEL_INTENTS, TRACKED
from services.shipping.reactions import REACTIONS as SHIPPING
from services.shipping.reactions import SANDBOX_WAREHOUSE

CONSUMES: dict[str, frozenset[type[Event]]] = {
    "order": frozenset(ORDER),
    "payment": frozenset(PAYMENT),
    "payment.calls": INTENTS,
    "inventory": frozenset(INVENTORY),
    "shipping": frozenset(SHIPPING),
    "shipping.warehouse": frozenset(SANDBOX_WAREHOUSE),
    "shipping.labels": LABEL_INTENTS,
}
"""What each consumer waits for. Timekeepers and the parcel poller are not in it: their tracked position stays before
the oldest thing that they keep an eye on, which is no lag."""

INTAKE_TOPIC = "waybill.intake"
REJECTED_TOPIC = "waybill.intake.rejected"


def by_order(recorded: Recorded) -> str:
    """The order that it is about; of what cannot be decoded, what its stream is named after."""
    return getattr(recorded.event, "order_id", None) or recorded.stream.partition("-")[2]


def by_pool(recorded: Recorded) -> str:
    """There is one pool; whatever concerns stock concerns it."""
    return DEFAULT_POOL


def by_stream(recorded: Recorded) -> str:
    return recorded.stream


class Inbox(NamedTuple):
    """What one service's consumers wait for."""

    topic: str
    classes: frozenset[type[Event]]
    key: Key

    @property
    def route(self) -> Route:
        return Route(*self)


def _of(service: str) -> frozenset[type[Event]]:
    """What a service's workers and calls consume, timekeepers apart."""
    return frozenset().union(*(classes for name, classes in CONSUMES.items() if name.partition(".")[0] == service))


INBOXES: dict[str, Inbox] = {
    "order": Inbox("waybill.order.inbox", _of("order"), by_order),
    "payment": Inbox("waybill.payment.inbox", _of("payment"), by_order),
    "inventory": Inbox("waybill.inventory.inbox", _of("inventory"), by_pool),
    "shipping": Inbox("waybill.shipping.inbox", _of("shipping") | TRACKED, by_order),
}

FACTS: tuple[Route, ...] = tuple(
    Route(f"waybill.{module.__name__.rpartition('.')[2]}", frozenset(found), by_stream)
    for module in (order, payment, inventory, shipping, gateway)
    if (found := [cls for cls in EVENT_TYPES.values() if cls.__module__ == module.__name__])
)

ROUTES: tuple[Route, ...] = (*FACTS, *(inbox.route for inbox in INBOXES.values()))

TOPICS: tuple[str, ...] = (*(route.topic for route in ROUTES), INTAKE_TOPIC, REJECTED_TOPIC)
"""Every topic that must be there before the first message."""
