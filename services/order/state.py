"""What the order service remembers of one order, and how each event changes it."""

from __future__ import annotations

from enum import StrEnum
from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from events.base import Address, Postings, Quantities
from events.order import (
    AllocationReleaseRequested,
    AllocationRequested,
    FulfillmentCancelRequested,
    FulfillmentRequested,
    Hold,
    OrderAccepted,
    OrderCancellationRefused,
    OrderCancellationRequested,
    OrderCancelled,
    OrderCompleted,
    OrderConfirmed,
    OrderCorrected,
    OrderCorrectionRefused,
    OrderExpired,
    OrderFulfillmentStopped,
    OrderHeld,
    OrderHoldReleased,
    OrderIntakeConflicted,
    OrderLinesShipped,
    OrderPlaced,
    OrderRejected,
    PaymentCaptureRequested,
    PaymentRequested,
    PaymentVoidRequested,
)

OrderEvent = (
    OrderPlaced
    | OrderIntakeConflicted
    | OrderAccepted
    | OrderRejected
    | OrderHeld
    | OrderHoldReleased
    | OrderCorrected
    | OrderCorrectionRefused
    | PaymentRequested
    | PaymentCaptureRequested
    | PaymentVoidRequested
    | AllocationRequested
    | AllocationReleaseRequested
    | OrderConfirmed
    | FulfillmentRequested
    | FulfillmentCancelRequested
    | OrderFulfillmentStopped
    | OrderLinesShipped
    | OrderCompleted
    | OrderCancellationRequested
    | OrderCancellationRefused
    | OrderCancelled
    | OrderExpired
)


class Status(StrEnum):
    """The order's own axis. UNKNOWN: nothing was placed under this id."""

    UNKNOWN = "unknown"
    PLACED = "placed"
    ACCEPTED = "accepted"
    CONFIRMED = "confirmed"
    COMPLETED = "completed"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


CLOSED = frozenset({Status.COMPLETED, Status.REJECTED, Status.CANCELLED, Status.EXPIRED})


class Money(StrEnum):
    """How far payment has got, as the order knows it."""

    NONE = "none"
    REQUESTED = "requested"
    DECLINED = "declined"
    AUTHORIZED = "authorized"
    CAPTURING = "capturing"
    CAPTURE_FAILED = "capture_failed"
    CAPTURED = "captured"
    UNDOING = "undoing"


class Goods(StrEnum):
    """How far allocation has got, as the order knows it."""

    NONE = "none"
    REQUESTED = "requested"
    ALLOCATED = "allocated"
    RELEASING = "releasing"


class Part(StrEnum):
    """How far one location's part has got, as the order knows it."""

    REQUESTED = "requested"
    STOPPING = "stopping"
    STOPPED = "stopped"
    SHIPPED = "shipped"


class Sending(Struct, frozen=True):
    """One location's part of the order."""

    location: str
    lines: Quantities
    part: Part


class OrderState(Struct, frozen=True):
    """One order. `reviewed`: validation has spoken; `corrected`: the buyer was faster, so what it says of the address
    is out of date. `cancelling`: the reason, while a cancellation is under way."""

    order_id: str = ""
    status: Status = Status.UNKNOWN
    reviewed: bool = False
    corrected: bool = False
    holds: frozenset[Hold] = frozenset()
    cancelling: str | None = None
    amount_minor: int = 0
    currency: str = ""
    payment_token: str = ""
    country: str = ""
    address_on_file: bool = False
    lines: Quantities = {}  # never changed in place
    reservation_id: str | None = None
    money: Money = Money.NONE
    goods: Goods = Goods.NONE
    allocated: Postings = {}
    sendings: dict[str, Sending] = {}

    @property
    def closed(self) -> bool:
        return self.status in CLOSED

    def is_shipped(self, fulfillment_id: str) -> bool:
        sending = self.sendings.get(fulfillment_id)
        return sending is not None and sending.part is Part.SHIPPED

    @property
    def wanted(self) -> list[Sending]:
        """The parts that shall be sent: all but those that were stopped."""
        return [sending for sending in self.sendings.values() if sending.part is not Part.STOPPED]


def evolve(state: OrderState, event: OrderEvent) -> OrderState:
    match event:
        case OrderPlaced():
            return _placed(event)
        case OrderAccepted():
            return replace(state, status=Status.ACCEPTED, reviewed=True)
        case PaymentRequested():
            return replace(state, money=Money.REQUESTED, payment_token=event.payment_token)
        case AllocationRequested():
            # Goods are asked for once the money is promised, or there is none to promise.
            money = state.money if state.money is Money.NONE else Money.AUTHORIZED
            return replace(state, goods=Goods.REQUESTED, money=money)
        case OrderConfirmed():
            return replace(state, status=Status.CONFIRMED, goods=Goods.ALLOCATED, allocated=event.lines)
        case FulfillmentRequested():
            return _part(state, event.fulfillment_id, Sending(event.location, event.lines, Part.REQUESTED))
        case OrderLinesShipped():
            return _moved(state, event.fulfillment_id, Part.SHIPPED)
        case PaymentCaptureRequested():
            return replace(state, money=Money.CAPTURING)
        case OrderCompleted():
            return replace(state, status=Status.COMPLETED, money=Money.CAPTURED, holds=frozenset())
        case OrderHeld():
            return _held(state, event.hold)
        case OrderHoldReleased():
            return replace(state, holds=state.holds - {event.hold})
        case OrderCancellationRequested():
            return replace(state, cancelling=event.reason)
        case OrderCancellationRefused():
            return replace(state, cancelling=None)
        case FulfillmentCancelRequested():
            return _moved(state, event.fulfillment_id, Part.STOPPING)
        case OrderFulfillmentStopped():
            return _moved(state, event.fulfillment_id, Part.STOPPED)
        case AllocationReleaseRequested():
            return replace(state, goods=Goods.RELEASING)
        case PaymentVoidRequested():
            goods = Goods.NONE if state.goods is Goods.RELEASING else state.goods
            return replace(state, money=Money.UNDOING, goods=goods)
        case OrderCancelled():
            return replace(state, status=Status.CANCELLED, cancelling=None, holds=frozenset())
        case OrderRejected():
            return replace(state, status=Status.REJECTED, reviewed=True, holds=frozenset())
        case OrderExpired():
            return replace(state, status=Status.EXPIRED, holds=frozenset())
        case OrderCorrected():
            corrected = replace(state, corrected=state.corrected or not state.reviewed)
            return corrected if event.ship_to is None else _readdressed(corrected, event.ship_to)
        case OrderIntakeConflicted() | OrderCorrectionRefused():
            return state
        case _:
            assert_never(event)


def _placed(event: OrderPlaced) -> OrderState:
    lines: Quantities = {}
    for line in event.lines:
        lines[line.sku] = lines.get(line.sku, 0) + line.quantity
    return OrderState(
        order_id=event.order_id,
        status=Status.PLACED,
        amount_minor=event.total_minor,
        currency=event.currency,
        payment_token=event.payment_token,
        lines=lines,
        reservation_id=event.reservation_id,
        country=event.country,
        address_on_file=event.ship_to is None,
    )


def _readdressed(state: OrderState, ship_to: Address) -> OrderState:
    return replace(state, country=ship_to.country, address_on_file=False)


def _held(state: OrderState, hold: Hold) -> OrderState:
    held = replace(state, holds=state.holds | {hold})
    if hold is Hold.ADDRESS:
        # Held by validation, or by a correction that came before it.
        return replace(held, reviewed=state.reviewed or not state.corrected)
    if hold is Hold.PAYMENT and not state.closed:
        failed = {Money.REQUESTED: Money.DECLINED, Money.CAPTURING: Money.CAPTURE_FAILED}
        return replace(held, money=failed.get(state.money, state.money))
    return held


def _part(state: OrderState, fulfillment_id: str, sending: Sending) -> OrderState:
    return replace(state, sendings={**state.sendings, fulfillment_id: sending})


def _moved(state: OrderState, fulfillment_id: str, part: Part) -> OrderState:
    return _part(state, fulfillment_id, replace(state.sendings[fulfillment_id], part=part))
