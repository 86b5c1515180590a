"""The peer's four services and two projections: applications of the `eventsourcing` library, joined in a `System`.

A policy reacts to one event; what it collects is committed together with the library's tracking row, in one
transaction per processed event. An outside call is intent, call, outcome in transactions of their own, as in ours:
that is a guarantee and not a detail. So Payments and Shipping follow themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from eventsourcing.application import ProcessingEvent
from eventsourcing.dispatch import singledispatchmethod
from eventsourcing.domain import DomainEventProtocol
from eventsourcing.system import Follower, ProcessApplication, System
from eventsourcing.utils import get_topic

from events.order import OrderPlaced
from tests.bench.peer_domain import Fulfillment, Lines, Order, Payment, Postings, Stock, post

POOL = "main"
LOCATION = "LDN"
PAGE = 500
"""Notifications per read. With the library's default of 10 it would spend a query on every ten events."""

Happened = DomainEventProtocol[UUID]
Processing = ProcessingEvent[UUID]


class Orders(ProcessApplication[UUID]):
    """Takes orders in, and is the process manager of each."""

    # Filtering by topic in the database spares a transaction for every event that nobody here reacts to.
    topics: Sequence[str] = tuple(
        map(get_topic, (Payment.Authorized, Payment.Captured, Stock.Allocated, Fulfillment.Shipped))
    )
    pull_section_size = log_section_size = PAGE

    def place(self, placed: Sequence[OrderPlaced]) -> None:
        """One transaction for all of them; validated and accepted at once, which favours the peer."""
        self.save(*map(_new_order, placed))

    @singledispatchmethod
    def policy(self, domain_event: Happened, processing_event: Processing) -> None:
        raise AssertionError(f"unexpected: {type(domain_event)}")

    @policy.register
    def _(self, domain_event: Payment.Authorized, processing_event: Processing) -> None:
        order: Order = self.repository.get(domain_event.order_id)
        order.request_allocation(order.quantities())
        processing_event.collect_events(order)

    @policy.register
    def _(self, domain_event: Stock.Allocated, processing_event: Processing) -> None:
        order: Order = self.repository.get(domain_event.order_id)
        order.confirm(domain_event.lines)
        for location, lines in domain_event.lines.items():
            order.request_fulfillment(Fulfillment.create_id(order.id, location), location, lines)
        processing_event.collect_events(order)

    @policy.register
    def _(self, domain_event: Fulfillment.Shipped, processing_event: Processing) -> None:
        order: Order = self.repository.get(domain_event.order_id)
        order.record_shipment(domain_event.originator_id, {domain_event.location: domain_event.lines})
        order.request_capture(order.total_minor)
        processing_event.collect_events(order)

    @policy.register
    def _(self, domain_event: Payment.Captured, processing_event: Processing) -> None:
        order: Order = self.repository.get(domain_event.order_id)
        order.complete(order.fulfillment_id)
        processing_event.collect_events(order)


class Payments(ProcessApplication[UUID]):
    """Authorizes and captures; its sandbox provider says yes at once."""

    topics: Sequence[str] = tuple(
        map(get_topic, (Order.PaymentRequested, Order.CaptureRequested, Payment.Initiated, Payment.CaptureInitiated))
    )
    pull_section_size = log_section_size = PAGE

    @singledispatchmethod
    def policy(self, domain_event: Happened, processing_event: Processing) -> None:
        raise AssertionError(f"unexpected: {type(domain_event)}")

    @policy.register
    def _(self, domain_event: Order.PaymentRequested, processing_event: Processing) -> None:
        asked = domain_event
        payment = Payment(asked.originator_id, asked.amount_minor, asked.currency, asked.payment_token)
        processing_event.collect_events(payment)

    @policy.register
    def _(self, domain_event: Payment.Initiated, processing_event: Processing) -> None:
        payment: Payment = self.repository.get(domain_event.originator_id)
        payment.authorize(domain_event.order_id, f"pay_{payment.id.hex}", domain_event.amount_minor)
        processing_event.collect_events(payment)

    @policy.register
    def _(self, domain_event: Order.CaptureRequested, processing_event: Processing) -> None:
        order_id = domain_event.originator_id
        payment: Payment = self.repository.get(Payment.create_id(order_id))
        payment.initiate_capture(order_id, payment.reference, domain_event.amount_minor)
        processing_event.collect_events(payment)

    @policy.register
    def _(self, domain_event: Payment.CaptureInitiated, processing_event: Processing) -> None:
        payment: Payment = self.repository.get(domain_event.originator_id)
        payment.capture(domain_event.order_id, payment.reference, domain_event.amount_minor)
        processing_event.collect_events(payment)


class Inventory(ProcessApplication[UUID]):
    """Keeps the ledger of one stock pool."""

    topics: Sequence[str] = tuple(map(get_topic, (Order.AllocationRequested, Order.LinesShipped)))
    pull_section_size = log_section_size = PAGE

    def open(self, on_hand: Lines) -> None:
        stock = Stock(POOL)
        stock.receive("opening", {LOCATION: on_hand})
        self.save(stock)

    @singledispatchmethod
    def policy(self, domain_event: Happened, processing_event: Processing) -> None:
        raise AssertionError(f"unexpected: {type(domain_event)}")

    @policy.register
    def _(self, domain_event: Order.AllocationRequested, processing_event: Processing) -> None:
        stock: Stock = self.repository.get(Stock.create_id(POOL))
        lines = domain_event.lines
        stock.allocate(domain_event.originator_id, {stock.location_of(lines): lines})
        processing_event.collect_events(stock)

    @policy.register
    def _(self, domain_event: Order.LinesShipped, processing_event: Processing) -> None:
        stock: Stock = self.repository.get(Stock.create_id(POOL))
        stock.ship(domain_event.originator_id, domain_event.lines)
        processing_event.collect_events(stock)


class Shipping(ProcessApplication[UUID]):
    """Picks, packs, buys a label and ships; its sandbox carrier delivers when the order is completed."""

    topics: Sequence[str] = tuple(
        map(get_topic, (Order.FulfillmentRequested, Order.Completed, Fulfillment.LabelRequested))
    )
    pull_section_size = log_section_size = PAGE

    @singledispatchmethod
    def policy(self, domain_event: Happened, processing_event: Processing) -> None:
        raise AssertionError(f"unexpected: {type(domain_event)}")

    @policy.register
    def _(self, domain_event: Order.FulfillmentRequested, processing_event: Processing) -> None:
        order_id = domain_event.originator_id
        fulfillment = Fulfillment(order_id, domain_event.location, domain_event.lines)
        parcel_id = f"{fulfillment.id}-1"
        fulfillment.pick(order_id)
        fulfillment.pack(order_id, parcel_id)
        fulfillment.request_label(order_id, parcel_id)
        processing_event.collect_events(fulfillment)

    @policy.register
    def _(self, domain_event: Fulfillment.LabelRequested, processing_event: Processing) -> None:
        fulfillment: Fulfillment = self.repository.get(domain_event.originator_id)
        order_id, number = domain_event.order_id, fulfillment.id.hex
        fulfillment.purchase_label(order_id, "sandbox", number, f"label_{number}")
        fulfillment.ship(order_id, fulfillment.location, number, fulfillment.lines)
        processing_event.collect_events(fulfillment)

    @policy.register
    def _(self, domain_event: Order.Completed, processing_event: Processing) -> None:
        fulfillment: Fulfillment = self.repository.get(domain_event.fulfillment_id)
        fulfillment.deliver(domain_event.originator_id, fulfillment.tracking_number)
        processing_event.collect_events(fulfillment)


class OrderStatus(Follower[UUID]):
    """Every order's status and timeline. A dict and no database: cheaper than the Redis that ours writes to."""

    pull_section_size = log_section_size = PAGE

    def __init__(self, env: Any = None) -> None:
        super().__init__(env)
        self.orders: dict[UUID, dict[str, Any]] = {}
        self.delivered = 0

    def policy(self, domain_event: Happened, processing_event: Processing) -> None:
        kind = type(domain_event)
        order_id = getattr(domain_event, "order_id", domain_event.originator_id)
        order = self.orders.setdefault(order_id, {"status": "placed", "timeline": []})
        order["timeline"].append(kind.__qualname__)
        if kind is Fulfillment.Delivered:
            order["status"] = "delivered"
            self.delivered += 1
        elif kind is Order.Completed and order["status"] != "delivered":
            # The services' logs have no common order: with threads, the delivery may be seen first.
            order["status"] = "completed"


class StockLevels(Follower[UUID]):
    """Units on hand and allocated per location and SKU, in dicts."""

    topics: Sequence[str] = tuple(map(get_topic, (Stock.Received, Stock.Allocated, Stock.Shipped)))
    pull_section_size = log_section_size = PAGE

    def __init__(self, env: Any = None) -> None:
        super().__init__(env)
        self.on_hand: Postings = {}
        self.allocated: Postings = {}
        self.shipped_orders = 0

    def policy(self, domain_event: Happened, processing_event: Processing) -> None:
        if isinstance(domain_event, Stock.Received):
            post(self.on_hand, domain_event.lines, +1)
        elif isinstance(domain_event, Stock.Allocated):
            post(self.allocated, domain_event.lines, +1)
        elif isinstance(domain_event, Stock.Shipped):
            post(self.on_hand, domain_event.lines, -1)
            post(self.allocated, domain_event.lines, -1)
            self.shipped_orders += 1


SERVICES = (Orders, Payments, Inventory, Shipping)
PROJECTIONS = (OrderStatus, StockLevels)

SYSTEM = System(
    pipes=[
        [Orders, Payments, Payments, Orders],
        [Orders, Inventory, Orders],
        [Orders, Shipping, Shipping, Orders],
        [Orders, OrderStatus],
        [Payments, OrderStatus],
        [Shipping, OrderStatus],
        [Inventory, StockLevels],
    ]
)


def _new_order(placed: OrderPlaced) -> Order:
    order = Order(
        channel=placed.channel,
        number=placed.number,
        currency=placed.currency,
        country=placed.country,
        lines=[line.model_dump() for line in placed.lines],
        charges=[charge.model_dump() for charge in placed.charges],
        total_minor=placed.total_minor,
        payment_token=placed.payment_token,
        customer=placed.customer,
    )
    order.accept()
    order.request_payment(placed.total_minor, placed.currency, placed.payment_token)
    return order
