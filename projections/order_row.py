"""An order's row, and what each event changes in it.

`FOLDS` at the end is the index: one small function per event type, each takes the row as it is and never refuses.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC
from typing import Any, TypedDict

from events import inventory, order, payment, shipping
from events.base import Event, Postings

# An order that is held, or a number that is sent, again and again is bounded like everything else.
MAX_PROBLEMS = 20


class Units(TypedDict):
    """Units of goods, over all lines."""

    ordered: int
    allocated: int
    backordered: int
    picked: int
    packed: int
    shipped: int
    delivered: int
    cancelled: int


class Fulfillment(TypedDict):
    """One location's part of an order."""

    state: str
    """open, picking, packed, shipped, delivered, cancelled."""
    location: str | None
    units: int
    carrier: str | None
    tracking_number: str | None
    tracking_status: str | None
    """What the carrier's latest scan says, taken at `tracked_at`."""
    tracked_at: str | None
    label: str | None
    """What keeps the parcel from having its label: refused, unknown."""


class OrderRow(TypedDict):
    """An order as of its last event."""

    order_id: str
    channel: str | None
    number: str | None
    customer: str | None
    currency: str | None
    total_minor: int
    country: str | None
    status: str | None
    """The Order axis: placed, accepted, confirmed, completed, rejected, cancelled, expired."""
    holds: list[str]
    problems: list[dict[str, str]]
    conflicts: int
    """How often the same number came again with another content."""
    payment: str | None
    """The payment roll-up: pending, action_required, authorized, paid, refunded, voided, failed, expired."""
    payment_unknown: str | None
    """The operation whose outcome the provider still owes us: authorize, capture, void, refund."""
    authorized_minor: int
    captured_minor: int
    refunded_minor: int
    fulfillments: dict[str, Fulfillment]
    units: Units
    placed_at: str | None
    entries: int
    """How many events the order has had."""
    updated_position: int
    rank: str
    """Orders by time, then by place in the log; empty until the order was placed. Also the cursor of a page."""


def blank_order(order_id: str) -> OrderRow:
    """An order that we only heard of."""
    return {
        "order_id": order_id,
        "channel": None,
        "number": None,
        "customer": None,
        "currency": None,
        "total_minor": 0,
        "country": None,
        "status": None,
        "holds": [],
        "problems": [],
        "conflicts": 0,
        "payment": None,
        "payment_unknown": None,
        "authorized_minor": 0,
        "captured_minor": 0,
        "refunded_minor": 0,
        "fulfillments": {},
        "units": {
            "ordered": 0,
            "allocated": 0,
            "backordered": 0,
            "picked": 0,
            "packed": 0,
            "shipped": 0,
            "delivered": 0,
            "cancelled": 0,
        },
        "placed_at": None,
        "entries": 0,
        "updated_position": 0,
        "rank": "",
    }


# --- the order itself --------------------------------------------------------------------------------------------


def _placed(row: OrderRow, event: order.OrderPlaced) -> None:
    row["channel"] = event.channel
    row["number"] = event.number
    row["customer"] = event.customer
    row["currency"] = event.currency
    row["total_minor"] = event.total_minor
    row["country"] = event.country
    row["status"] = "placed"
    row["units"]["ordered"] = sum([line.quantity for line in event.lines])


def _conflicted(row: OrderRow, event: order.OrderIntakeConflicted) -> None:
    row["conflicts"] += 1


def _becomes(status: str) -> Fold:
    def fold(row: OrderRow, event: Event) -> None:
        row["status"] = status

    return fold


def _ends(status: str) -> Fold:
    """What has not left by now never will."""

    def fold(row: OrderRow, event: Event) -> None:
        row["status"] = status
        row["holds"] = []
        row["units"]["cancelled"] = max(0, row["units"]["ordered"] - row["units"]["shipped"])
        row["units"]["backordered"] = 0

    return fold


def _rejected(row: OrderRow, event: order.OrderRejected) -> None:
    _ends("rejected")(row, event)
    _add_problems(row, event.problems)


def _held(row: OrderRow, event: order.OrderHeld) -> None:
    if event.hold.value not in row["holds"]:
        row["holds"].append(event.hold.value)
    _add_problems(row, event.problems)


def _hold_released(row: OrderRow, event: order.OrderHoldReleased) -> None:
    row["holds"] = [hold for hold in row["holds"] if hold != event.hold.value]


def _add_problems(row: OrderRow, problems: list[order.Problem]) -> None:
    found = [{"code": one.code, "where": one.where, "message": one.message} for one in problems]
    row["problems"] = (row["problems"] + found)[-MAX_PROBLEMS:]


def _noted(row: OrderRow, event: Event) -> None:
    """Only the timeline tells of it."""


# --- money -------------------------------------------------------------------------------------------------------


def _pays(state: str) -> Fold:
    """The provider's answer is known, whatever was unknown before."""

    def fold(row: OrderRow, event: Event) -> None:
        row["payment"] = state
        row["payment_unknown"] = None

    return fold


def _authorized(row: OrderRow, event: payment.PaymentAuthorized) -> None:
    row["payment"] = "authorized"
    row["payment_unknown"] = None
    row["authorized_minor"] = event.amount_minor


def _captured(row: OrderRow, event: payment.PaymentCaptured) -> None:
    row["payment"] = "paid"
    row["payment_unknown"] = None
    row["captured_minor"] += event.amount_minor


def _refunded(row: OrderRow, event: payment.PaymentRefunded) -> None:
    row["payment"] = "refunded"
    row["payment_unknown"] = None
    row["refunded_minor"] += event.amount_minor


def _outcome_unknown(row: OrderRow, event: payment.PaymentOutcomeUnknown) -> None:
    row["payment_unknown"] = event.operation.value


def _undo_failed(row: OrderRow, event: payment.PaymentUndoFailed) -> None:
    row["payment_unknown"] = None
    problem = order.Problem(
        code=f"{event.operation.value}_failed", where="payment", message="the provider refused; a person must look"
    )
    _add_problems(row, [problem])


# --- goods -------------------------------------------------------------------------------------------------------


def _units(lines: Postings) -> int:
    return sum([sum(goods.values()) for goods in lines.values()])


def _allocated(row: OrderRow, event: inventory.StockAllocated) -> None:
    row["units"]["allocated"] += _units(event.lines)
    row["units"]["backordered"] = 0


def _backordered(row: OrderRow, event: inventory.StockBackordered) -> None:
    row["units"]["backordered"] = sum(event.missing.values())


def _released(row: OrderRow, event: inventory.StockReleased) -> None:
    row["units"]["allocated"] -= _units(event.lines)
    row["units"]["backordered"] = 0


def _fulfillment(row: OrderRow, fulfillment_id: str) -> Fulfillment:
    found = row["fulfillments"].get(fulfillment_id)
    if found is None:
        found = row["fulfillments"][fulfillment_id] = {
            "state": "open",
            "location": None,
            "units": 0,
            "carrier": None,
            "tracking_number": None,
            "tracking_status": None,
            "tracked_at": None,
            "label": None,
        }
    return found


def _opened(row: OrderRow, event: order.FulfillmentRequested | shipping.FulfillmentOpened) -> None:
    part = _fulfillment(row, event.fulfillment_id)
    part["location"] = event.location
    part["units"] = sum(event.lines.values())


def _picked(row: OrderRow, event: shipping.ItemsPicked) -> None:
    part = _fulfillment(row, event.fulfillment_id)
    part["state"] = "picking"
    row["units"]["picked"] += part["units"]


def _packed(row: OrderRow, event: shipping.ParcelPacked) -> None:
    part = _fulfillment(row, event.fulfillment_id)
    part["state"] = "packed"
    row["units"]["packed"] += part["units"]


def _label_purchased(row: OrderRow, event: shipping.LabelPurchased) -> None:
    part = _fulfillment(row, event.fulfillment_id)
    part["carrier"] = event.carrier
    part["tracking_number"] = event.tracking_number
    part["label"] = None


def _label_refused(row: OrderRow, event: shipping.LabelRefused) -> None:
    _fulfillment(row, event.fulfillment_id)["label"] = "refused"


def _label_unknown(row: OrderRow, event: shipping.LabelOutcomeUnknown) -> None:
    _fulfillment(row, event.fulfillment_id)["label"] = "unknown"


def _shipped(row: OrderRow, event: shipping.ParcelShipped) -> None:
    part = _fulfillment(row, event.fulfillment_id)
    part["state"] = "shipped"
    part["location"] = event.location
    part["tracking_number"] = event.tracking_number
    part["units"] = sum(event.lines.values())
    row["units"]["shipped"] += part["units"]


def _tracked(row: OrderRow, event: shipping.TrackingUpdated) -> None:
    part = _fulfillment(row, event.fulfillment_id)
    for scan in event.scans:
        scanned_at = scan.scanned_at.astimezone(UTC).isoformat()
        if scanned_at >= (part["tracked_at"] or ""):
            part["tracked_at"] = scanned_at
            part["tracking_status"] = scan.status.value


def _delivered(row: OrderRow, event: shipping.ParcelDelivered) -> None:
    part = _fulfillment(row, event.fulfillment_id)
    part["state"] = "delivered"
    row["units"]["delivered"] += part["units"]


def _fulfillment_cancelled(row: OrderRow, event: shipping.FulfillmentCancelled) -> None:
    _fulfillment(row, event.fulfillment_id)["state"] = "cancelled"


# --- the index ---------------------------------------------------------------------------------------------------

Fold = Callable[[OrderRow, Any], None]

FOLDS: dict[type[Event], Fold] = {
    order.OrderPlaced: _placed,
    order.OrderIntakeConflicted: _conflicted,
    order.OrderAccepted: _becomes("accepted"),
    order.OrderRejected: _rejected,
    order.OrderHeld: _held,
    order.OrderHoldReleased: _hold_released,
    order.OrderCorrected: _noted,
    order.OrderCorrectionRefused: _noted,
    order.PaymentRequested: _pays("pending"),
    order.PaymentCaptureRequested: _noted,
    order.PaymentVoidRequested: _noted,
    order.AllocationRequested: _noted,
    order.AllocationReleaseRequested: _noted,
    order.OrderConfirmed: _becomes("confirmed"),
    order.FulfillmentRequested: _opened,
    order.FulfillmentCancelRequested: _noted,
    order.OrderFulfillmentStopped: _noted,
    order.OrderLinesShipped: _noted,
    order.OrderCompleted: _becomes("completed"),
    order.OrderCancellationRequested: _noted,
    order.OrderCancellationRefused: _noted,
    order.OrderCancelled: _ends("cancelled"),
    order.OrderExpired: _ends("expired"),
    payment.PaymentInitiated: _noted,
    payment.PaymentAuthorized: _authorized,
    payment.PaymentDeclined: _pays("failed"),
    payment.PaymentActionRequired: _pays("action_required"),
    payment.PaymentExpired: _pays("expired"),
    payment.PaymentOutcomeUnknown: _outcome_unknown,
    payment.PaymentInquiryInitiated: _noted,
    payment.CaptureInitiated: _noted,
    payment.PaymentCaptured: _captured,
    payment.CaptureFailed: _pays("failed"),
    payment.VoidQueued: _noted,
    payment.VoidInitiated: _noted,
    payment.PaymentVoided: _pays("voided"),
    payment.RefundInitiated: _noted,
    payment.PaymentRefunded: _refunded,
    payment.PaymentUndoFailed: _undo_failed,
    inventory.StockAllocated: _allocated,
    inventory.StockBackordered: _backordered,
    inventory.StockRejected: _noted,
    inventory.StockReleased: _released,
    inventory.StockShipped: _noted,
    shipping.FulfillmentOpened: _opened,
    shipping.ItemsPicked: _picked,
    shipping.ParcelPacked: _packed,
    shipping.LabelRequested: _noted,
    shipping.LabelPurchased: _label_purchased,
    shipping.LabelRefused: _label_refused,
    shipping.LabelOutcomeUnknown: _label_unknown,
    shipping.LabelInquiryInitiated: _noted,
    shipping.ParcelShipped: _shipped,
    shipping.TrackingUpdated: _tracked,
    shipping.ParcelDelivered: _delivered,
    shipping.FulfillmentCancelled: _fulfillment_cancelled,
    shipping.FulfillmentCancelRefused: _noted,
}
