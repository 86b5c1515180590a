"""What the order service writes: one stream per order, `order-<order id>`.

The order is the only process manager. Its `...Requested` events are what the other services react to.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar, NamedTuple
from uuid import UUID, uuid5

from pydantic import Field, StringConstraints

from events.base import (
    MAX_LINES,
    Address,
    AmountMinor,
    Contact,
    Country,
    Currency,
    Event,
    Location,
    Name,
    Note,
    Postings,
    Quantities,
    Quantity,
    Sku,
    Value,
)

OrderId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f-]{36}$")]
FulfillmentId = Annotated[str, StringConstraints(min_length=38, max_length=80)]

UnitPrice = Annotated[str, StringConstraints(pattern=r"^-?[0-9]{1,12}(\.[0-9]{1,6})?$")]
"""A price per unit in major units as exact decimal text; it may carry more decimals than the currency."""

_ORDERS = UUID("6f1d7a52-6c1b-5d0e-9c0e-3f4b7a7e4d10")


class OrderKey(NamedTuple):
    """How the shop names an order: its channel and the channel's own order number."""

    channel: str
    number: str

    @property
    def order_id(self) -> str:
        """The same order sent twice is the same stream: the id is derived, never drawn."""
        return str(uuid5(_ORDERS, f"{self.channel}\n{self.number}"))


def order_stream(order_id: str) -> str:
    return f"order-{order_id}"


class Hold(StrEnum):
    """Why an order waits. An order may wait for several reasons at once."""

    FRAUD = "fraud"
    ADDRESS = "address"
    PAYMENT = "payment"
    BACKORDER = "backorder"
    PREORDER = "preorder"
    MANUAL = "manual"
    CUSTOMER_REQUEST = "customer_request"


class OrderLine(Value):
    """Goods: so many units of one SKU at one price. The line total is rounded once, half up."""

    sku: Sku
    quantity: Quantity
    unit_price: UnitPrice
    description: Annotated[str, StringConstraints(max_length=200)] = ""


class Charge(Value):
    """What is billed beside goods: postage, a discount (negative), a fee."""

    kind: Name
    amount_minor: Annotated[int, Field(ge=-(10**15), le=10**15)]
    description: Annotated[str, StringConstraints(max_length=200)] = ""


class Problem(Value):
    """What is wrong with an order, where, and what to do about it. Never quotes personal data."""

    code: Name
    where: Name
    message: Note


class OrderPlaced(Event):
    """A shop sent an order and we acknowledged it.

    `ship_to` is None where the channel keeps the address on file (imported histories); `country` is always known.
    `customer` is the channel's customer number, or None for a guest. `reservation_id` names the soft hold on stock
    that the order uses up.
    """

    type: ClassVar[str] = "order.placed.v2"
    order_id: OrderId
    channel: Name
    number: Name
    currency: Currency
    country: Country
    lines: Annotated[list[OrderLine], Field(max_length=MAX_LINES)]
    charges: Annotated[list[Charge], Field(max_length=MAX_LINES)] = []
    total_minor: Annotated[int, Field(ge=-(10**15), le=10**15)]
    payment_token: Name
    customer: Name | None = None
    contact: Contact | None = None
    ship_to: Address | None = None
    reservation_id: Name | None = None


class OrderIntakeConflicted(Event):
    """The same channel and number arrived again with another content: reported, not taken."""

    type: ClassVar[str] = "order.intake_conflicted.v1"
    order_id: OrderId
    received_digest: Name
    accepted_digest: Name


class OrderAccepted(Event):
    """Validation found nothing to object to."""

    type: ClassVar[str] = "order.accepted.v1"
    order_id: OrderId


class OrderRejected(Event):
    """The order cannot be carried out; final."""

    type: ClassVar[str] = "order.rejected.v1"
    order_id: OrderId
    problems: list[Problem]


class OrderHeld(Event):
    """The order waits until the hold is released."""

    type: ClassVar[str] = "order.held.v1"
    order_id: OrderId
    hold: Hold
    problems: list[Problem] = []


class OrderHoldReleased(Event):
    """One reason to wait is gone."""

    type: ClassVar[str] = "order.hold_released.v1"
    order_id: OrderId
    hold: Hold


class OrderCorrected(Event):
    """The buyer's contact or address was replaced; what is None stays as it was."""

    type: ClassVar[str] = "order.corrected.v1"
    order_id: OrderId
    contact: Contact | None = None
    ship_to: Address | None = None


class OrderCorrectionRefused(Event):
    """Too late to correct: the goods are being sent, or the order is closed."""

    type: ClassVar[str] = "order.correction_refused.v1"
    order_id: OrderId
    reason: Note


class PaymentRequested(Event):
    """Payment, authorize this amount."""

    type: ClassVar[str] = "order.payment_requested.v1"
    order_id: OrderId
    amount_minor: AmountMinor
    currency: Currency
    payment_token: Name


class PaymentCaptureRequested(Event):
    """Payment, take the authorized money: the goods are on their way."""

    type: ClassVar[str] = "order.payment_capture_requested.v1"
    order_id: OrderId
    amount_minor: AmountMinor


class PaymentVoidRequested(Event):
    """Payment, let the authorization go (or, if the money was taken already, give it back)."""

    type: ClassVar[str] = "order.payment_void_requested.v1"
    order_id: OrderId


class AllocationRequested(Event):
    """Inventory, promise these goods to this order: all of them or none."""

    type: ClassVar[str] = "order.allocation_requested.v1"
    order_id: OrderId
    lines: Quantities
    reservation_id: Name | None = None


class AllocationReleaseRequested(Event):
    """Inventory, give back what was promised, or stop waiting for it."""

    type: ClassVar[str] = "order.allocation_release_requested.v1"
    order_id: OrderId


class OrderConfirmed(Event):
    """Paid for (authorized) and promised, from these locations: it will be shipped."""

    type: ClassVar[str] = "order.confirmed.v1"
    order_id: OrderId
    lines: Postings


class FulfillmentRequested(Event):
    """Shipping, send these goods from this location."""

    type: ClassVar[str] = "order.fulfillment_requested.v1"
    order_id: OrderId
    fulfillment_id: FulfillmentId
    location: Location
    country: Country
    address_on_file: bool
    lines: Quantities


class FulfillmentCancelRequested(Event):
    """Shipping, stop this fulfillment if it has not left."""

    type: ClassVar[str] = "order.fulfillment_cancel_requested.v1"
    order_id: OrderId
    fulfillment_id: FulfillmentId


class OrderFulfillmentStopped(Event):
    """One location has stopped its part before it left."""

    type: ClassVar[str] = "order.fulfillment_stopped.v1"
    order_id: OrderId
    fulfillment_id: FulfillmentId


class OrderLinesShipped(Event):
    """A parcel of this order has left: inventory books its goods out."""

    type: ClassVar[str] = "order.lines_shipped.v1"
    order_id: OrderId
    fulfillment_id: FulfillmentId
    lines: Postings


class OrderCompleted(Event):
    """Shipped and paid. Delivery is tracked on; nothing is left for us to ask for."""

    type: ClassVar[str] = "order.completed.v1"
    order_id: OrderId


class OrderCancellationRequested(Event):
    """Somebody asked to cancel; fulfillment, stock and payment are being undone."""

    type: ClassVar[str] = "order.cancellation_requested.v1"
    order_id: OrderId
    reason: Note


class OrderCancellationRefused(Event):
    """Too late to cancel: goods have left."""

    type: ClassVar[str] = "order.cancellation_refused.v1"
    order_id: OrderId
    reason: Note


class OrderCancelled(Event):
    """Cancelled: stock released and money let go."""

    type: ClassVar[str] = "order.cancelled.v1"
    order_id: OrderId
    reason: Note


class OrderExpired(Event):
    """The buyer did not pay in time."""

    type: ClassVar[str] = "order.expired.v1"
    order_id: OrderId
