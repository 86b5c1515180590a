"""The peer's aggregates in the `eventsourcing` library's declarative style: a method with `@event` is an event.

They take the same steps and carry the same data as events/order.py, payment.py, inventory.py and shipping.py. They
carry no correlation, causation and actor: the library has no place for them, and leaving them out favours the peer.
Events that somebody reacts to have classes of their own; the others are made by the decorator.
"""

from __future__ import annotations

from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from eventsourcing.domain import Aggregate, event

Lines = dict[str, int]
Postings = dict[str, dict[str, int]]


class Order(Aggregate):
    """One order and its process: it asks the others for what it needs next."""

    class PaymentRequested(Aggregate.Event):
        amount_minor: int
        currency: str
        payment_token: str

    class AllocationRequested(Aggregate.Event):
        lines: Lines

    class Confirmed(Aggregate.Event):
        lines: Postings

    class FulfillmentRequested(Aggregate.Event):
        fulfillment_id: UUID
        location: str
        lines: Lines

    class LinesShipped(Aggregate.Event):
        fulfillment_id: UUID
        lines: Postings

    class CaptureRequested(Aggregate.Event):
        amount_minor: int

    class Completed(Aggregate.Event):
        fulfillment_id: UUID

    @event("Placed")
    def __init__(
        self,
        channel: str,
        number: str,
        currency: str,
        country: str,
        lines: list[dict[str, Any]],
        charges: list[dict[str, Any]],
        total_minor: int,
        payment_token: str,
        customer: str | None,
    ) -> None:
        self.currency = currency
        self.lines = lines
        self.total_minor = total_minor
        self.payment_token = payment_token
        self.status = "placed"

    @staticmethod
    def create_id(channel: str, number: str) -> UUID:
        return uuid5(NAMESPACE_URL, f"/orders/{channel}/{number}")

    def quantities(self) -> Lines:
        wanted: Lines = {}
        for line in self.lines:
            wanted[line["sku"]] = wanted.get(line["sku"], 0) + line["quantity"]
        return wanted

    @event("Accepted")
    def accept(self) -> None:
        self.status = "accepted"

    @event(PaymentRequested)
    def request_payment(self, amount_minor: int, currency: str, payment_token: str) -> None:
        self.status = "awaiting payment"

    @event(AllocationRequested)
    def request_allocation(self, lines: Lines) -> None:
        self.status = "awaiting stock"

    @event(Confirmed)
    def confirm(self, lines: Postings) -> None:
        self.status = "confirmed"

    @event(FulfillmentRequested)
    def request_fulfillment(self, fulfillment_id: UUID, location: str, lines: Lines) -> None:
        self.fulfillment_id = fulfillment_id

    @event(LinesShipped)
    def record_shipment(self, fulfillment_id: UUID, lines: Postings) -> None:
        self.status = "shipped"

    @event(CaptureRequested)
    def request_capture(self, amount_minor: int) -> None:
        self.status = "awaiting capture"

    @event(Completed)
    def complete(self, fulfillment_id: UUID) -> None:
        self.status = "completed"


class Payment(Aggregate):
    """The payment of one order."""

    class Initiated(Aggregate.Created):
        order_id: UUID
        amount_minor: int
        currency: str
        payment_token: str

    class Authorized(Aggregate.Event):
        order_id: UUID
        reference: str
        amount_minor: int

    class CaptureInitiated(Aggregate.Event):
        order_id: UUID
        reference: str
        amount_minor: int

    class Captured(Aggregate.Event):
        order_id: UUID
        reference: str
        amount_minor: int

    @event(Initiated)
    def __init__(self, order_id: UUID, amount_minor: int, currency: str, payment_token: str) -> None:
        self.reference = ""
        self.captured_minor = 0

    @staticmethod
    def create_id(order_id: UUID) -> UUID:
        return uuid5(NAMESPACE_URL, f"/payments/{order_id}")

    @event(Authorized)
    def authorize(self, order_id: UUID, reference: str, amount_minor: int) -> None:
        self.reference = reference

    @event(CaptureInitiated)
    def initiate_capture(self, order_id: UUID, reference: str, amount_minor: int) -> None:
        pass

    @event(Captured)
    def capture(self, order_id: UUID, reference: str, amount_minor: int) -> None:
        self.captured_minor = amount_minor


class Stock(Aggregate):
    """The ledger of one stock pool, as ours: an order's lines are one entry."""

    class Received(Aggregate.Event):
        reference: str
        lines: Postings

    class Allocated(Aggregate.Event):
        order_id: UUID
        lines: Postings

    class Shipped(Aggregate.Event):
        order_id: UUID
        lines: Postings

    @event("Opened")
    def __init__(self, pool: str) -> None:
        self.on_hand: Postings = {}
        self.allocated: Postings = {}
        self.promised: dict[UUID, Postings] = {}

    @staticmethod
    def create_id(pool: str) -> UUID:
        return uuid5(NAMESPACE_URL, f"/stock/{pool}")

    def location_of(self, lines: Lines) -> str:
        """The first location that can give all of them. Raises LookupError where none can."""
        for location, units in self.on_hand.items():
            taken = self.allocated.get(location, {})
            if all(units.get(sku, 0) - taken.get(sku, 0) >= quantity for sku, quantity in lines.items()):
                return location
        raise LookupError("not enough anywhere")

    @event(Received)
    def receive(self, reference: str, lines: Postings) -> None:
        post(self.on_hand, lines, +1)

    @event(Allocated)
    def allocate(self, order_id: UUID, lines: Postings) -> None:
        post(self.allocated, lines, +1)
        self.promised[order_id] = lines

    @event(Shipped)
    def ship(self, order_id: UUID, lines: Postings) -> None:
        post(self.allocated, lines, -1)
        post(self.on_hand, lines, -1)
        del self.promised[order_id]


class Fulfillment(Aggregate):
    """One location's part of an order, from opened to delivered."""

    class Opened(Aggregate.Created):
        order_id: UUID
        location: str
        lines: Lines

    class Picked(Aggregate.Event):
        order_id: UUID

    class Packed(Aggregate.Event):
        order_id: UUID
        parcel_id: str

    class LabelRequested(Aggregate.Event):
        order_id: UUID
        parcel_id: str

    class LabelPurchased(Aggregate.Event):
        order_id: UUID
        carrier: str
        tracking_number: str
        reference: str

    class Shipped(Aggregate.Event):
        order_id: UUID
        location: str
        tracking_number: str
        lines: Lines

    class Delivered(Aggregate.Event):
        order_id: UUID
        tracking_number: str

    @event(Opened)
    def __init__(self, order_id: UUID, location: str, lines: Lines) -> None:
        self.location = location
        self.lines = lines
        self.tracking_number = ""
        self.status = "open"

    @staticmethod
    def create_id(order_id: UUID, location: str) -> UUID:
        return uuid5(NAMESPACE_URL, f"/fulfillments/{order_id}/{location}")

    @event(Picked)
    def pick(self, order_id: UUID) -> None:
        self.status = "picked"

    @event(Packed)
    def pack(self, order_id: UUID, parcel_id: str) -> None:
        self.status = "packed"

    @event(LabelRequested)
    def request_label(self, order_id: UUID, parcel_id: str) -> None:
        self.status = "awaiting label"

    @event(LabelPurchased)
    def purchase_label(self, order_id: UUID, carrier: str, tracking_number: str, reference: str) -> None:
        self.tracking_number = tracking_number

    @event(Shipped)
    def ship(self, order_id: UUID, location: str, tracking_number: str, lines: Lines) -> None:
        self.status = "shipped"

    @event(Delivered)
    def deliver(self, order_id: UUID, tracking_number: str) -> None:
        self.status = "delivered"


def post(balance: Postings, lines: Postings, sign: int) -> None:
    """Adds (or takes away) units per location and SKU."""
    for location, goods in lines.items():
        row = balance.setdefault(location, {})
        for sku, units in goods.items():
            row[sku] = row.get(sku, 0) + sign * units
