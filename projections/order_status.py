"""Where is my order? Its row, its lines, its timeline, the indexes and totals over all orders, and the reads of them.

No contact and no address ever comes here, nor what people wrote in their own words: neither in rows nor in timelines.
How an event changes a row: order_row.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, TypedDict

import orjson

from events import inventory, order, payment, shipping
from events.base import Event, Recorded
from events.order import OrderKey
from projections.order_row import FOLDS, OrderRow, blank_order
from projections.reader import Page, Reader
from projections.table import Projection, Rows, Table

# A parcel that is scanned again and again is bounded like everything else.
MAX_ENTRIES = 200

_DAWN = datetime.min.replace(tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Orders(Table[OrderRow]):
    """One row per order, by order id."""

    name = "orders"
    handles = frozenset(FOLDS)
    keep_entries = MAX_ENTRIES

    def keys(self, event: Any) -> Iterable[str]:
        return (event.order_id,)

    def blank(self, key: str) -> OrderRow:
        return blank_order(key)

    def apply(self, recorded: Recorded, rows: Rows[OrderRow]) -> None:
        event: Any = recorded.event
        row = rows[event.order_id]
        FOLDS[type(event)](row, event)
        row["updated_position"] = recorded.position
        if type(event) is order.OrderPlaced:
            row["placed_at"] = recorded.occurred_at.isoformat()
            # Fixed widths, so that text order is time order; a float score would round microseconds away.
            since_dawn = (recorded.occurred_at - _DAWN) // _MICROSECOND
            row["rank"] = f"{since_dawn:018d}{recorded.position:012d}:{event.order_id}"

    def entries(self, recorded: Recorded) -> Iterable[tuple[str, bytes]]:
        event: Any = recorded.event
        facts = {name: _fact(getattr(event, name)) for name in FACTS.get(type(event), ())}
        entry = (recorded.position, recorded.type, recorded.occurred_at, recorded.recorded_at, facts)
        return ((event.order_id, orjson.dumps(entry, option=orjson.OPT_UTC_Z)),)

    def index(self, row: OrderRow) -> dict[str, str]:
        rank = row["rank"]
        if not rank:
            return {}
        found = {"newest": rank, f"status:{row['status']}": rank}
        for hold in row["holds"]:
            found[f"hold:{hold}"] = rank
        if row["customer"] is not None:
            found[_customer_index(row["channel"], row["customer"])] = rank
        return found

    def totals(self, row: OrderRow) -> dict[str, int]:
        if row["status"] is None:
            return {}
        parts = {"orders": 1, f"status:{row['status']}": 1}
        for hold in row["holds"]:
            parts[f"hold:{hold}"] = 1
        if row["captured_minor"]:
            parts[f"captured_minor:{row['currency']}"] = row["captured_minor"]
        if row["refunded_minor"]:
            parts[f"refunded_minor:{row['currency']}"] = row["refunded_minor"]
        if row["units"]["shipped"]:
            parts["units_shipped"] = row["units"]["shipped"]
        return parts


class OrderLines(Table[dict[str, Any]]):
    """What was ordered, written once: a row of 200 lines is not written again at each of the order's events."""

    name = "order_lines"
    handles = frozenset({order.OrderPlaced})
    cached_rows = 0

    def keys(self, event: Any) -> Iterable[str]:
        return (event.order_id,)

    def blank(self, key: str) -> dict[str, Any]:
        return {}

    def apply(self, recorded: Recorded, rows: Rows[dict[str, Any]]) -> None:
        event: Any = recorded.event
        rows[event.order_id] = {
            "lines": [[line.sku, line.quantity, line.unit_price, line.description] for line in event.lines],
            "charges": [[charge.kind, charge.amount_minor, charge.description] for charge in event.charges],
        }


class OrderReads(Reader):
    """What one can ask about orders. Rows are OrderRow objects; pages are newest first."""

    def get(self, order_id: str) -> dict[str, Any] | None:
        return self.row(Orders.name, order_id)

    def find(self, channel: str, number: str) -> dict[str, Any] | None:
        """By the shop's own name for it."""
        return self.get(OrderKey(channel, number).order_id)

    def lines(self, order_id: str) -> dict[str, list[dict[str, Any]]]:
        """The goods and the charges that were ordered; both empty if there is no such order."""
        row = self.row(OrderLines.name, order_id) or {"lines": [], "charges": []}
        goods = ("sku", "quantity", "unit_price", "description")
        billed = ("kind", "amount_minor", "description")
        return {
            "lines": [dict(zip(goods, line, strict=True)) for line in row["lines"]],
            "charges": [dict(zip(billed, charge, strict=True)) for charge in row["charges"]],
        }

    def timeline(self, order_id: str) -> list[dict[str, Any]]:
        """The order's last MAX_ENTRIES events, oldest first."""
        names = ("position", "type", "occurred_at", "recorded_at", "facts")
        return [dict(zip(names, entry, strict=True)) for entry in self.entries(Orders.name, order_id)]

    def newest(self, limit: int, after: str | None = None) -> Page:
        """`after`: the `next` of the page before, here and below."""
        return self.page(Orders.name, "newest", limit, after, descending=True)

    def by_status(self, status: str, limit: int, after: str | None = None) -> Page:
        return self.page(Orders.name, f"status:{status}", limit, after, descending=True)

    def by_hold(self, hold: str, limit: int, after: str | None = None) -> Page:
        return self.page(Orders.name, f"hold:{hold}", limit, after, descending=True)

    def by_customer(self, channel: str, customer: str, limit: int, after: str | None = None) -> Page:
        return self.page(Orders.name, _customer_index(channel, customer), limit, after, descending=True)

    def counts(self) -> OrderTotals:
        """Over all orders: how many, in which status and hold, money by currency in minor units, units shipped."""
        found = self.totals(Orders.name)
        return {
            "orders": found.get("orders", 0),
            "by_status": _under("status:", found),
            "by_hold": _under("hold:", found),
            "captured_minor": _under("captured_minor:", found),
            "refunded_minor": _under("refunded_minor:", found),
            "units_shipped": found.get("units_shipped", 0),
        }


class OrderTotals(TypedDict):
    orders: int
    by_status: dict[str, int]
    by_hold: dict[str, int]
    captured_minor: dict[str, int]
    refunded_minor: dict[str, int]
    units_shipped: int


def _under(prefix: str, totals: dict[str, int]) -> dict[str, int]:
    return {name.removeprefix(prefix): count for name, count in sorted(totals.items()) if name.startswith(prefix)}


def _customer_index(channel: str | None, customer: str) -> str:
    """The length keeps channel "a" with customer "b:c" apart from channel "a:b" with customer "c"."""
    return f"customer:{len(channel or '')}:{channel}:{customer}"


def _fact(value: object) -> object:
    """A collection is shown by its size, a carrier's scans by the last of them."""
    if isinstance(value, list) and value and isinstance(value[-1], shipping.TrackingScan):
        return value[-1].status
    return len(value) if isinstance(value, dict | list) else value


# What a timeline says beside the event's type. Never a free text: people and carriers write names and addresses in it.
FACTS: dict[type[Event], tuple[str, ...]] = {
    order.OrderPlaced: ("lines", "charges", "total_minor", "currency"),
    order.OrderRejected: ("problems",),
    order.OrderHeld: ("hold", "problems"),
    order.OrderHoldReleased: ("hold",),
    order.PaymentRequested: ("amount_minor", "currency"),
    order.PaymentCaptureRequested: ("amount_minor",),
    order.AllocationRequested: ("lines",),
    order.OrderConfirmed: ("lines",),
    order.FulfillmentRequested: ("fulfillment_id", "location", "lines"),
    order.FulfillmentCancelRequested: ("fulfillment_id",),
    order.OrderFulfillmentStopped: ("fulfillment_id",),
    order.OrderLinesShipped: ("fulfillment_id", "lines"),
    payment.PaymentInitiated: ("amount_minor",),
    payment.PaymentAuthorized: ("amount_minor",),
    payment.PaymentActionRequired: ("expires_at",),
    payment.PaymentOutcomeUnknown: ("operation", "attempt", "ask_at"),
    payment.PaymentInquiryInitiated: ("operation", "attempt"),
    payment.CaptureInitiated: ("amount_minor",),
    payment.PaymentCaptured: ("amount_minor",),
    payment.RefundInitiated: ("amount_minor",),
    payment.PaymentRefunded: ("amount_minor",),
    payment.PaymentUndoFailed: ("operation",),
    inventory.StockAllocated: ("lines",),
    inventory.StockBackordered: ("lines", "missing"),
    inventory.StockRejected: ("unknown",),
    inventory.StockReleased: ("lines",),
    inventory.StockShipped: ("lines",),
    shipping.FulfillmentOpened: ("fulfillment_id", "location", "lines"),
    shipping.ItemsPicked: ("fulfillment_id",),
    shipping.ParcelPacked: ("fulfillment_id",),
    shipping.LabelRequested: ("fulfillment_id",),
    shipping.LabelPurchased: ("fulfillment_id", "carrier", "tracking_number"),
    shipping.LabelRefused: ("fulfillment_id",),
    shipping.LabelOutcomeUnknown: ("fulfillment_id", "attempt", "ask_at"),
    shipping.LabelInquiryInitiated: ("fulfillment_id", "attempt"),
    shipping.ParcelShipped: ("fulfillment_id", "location", "tracking_number", "lines"),
    shipping.TrackingUpdated: ("fulfillment_id", "scans"),
    shipping.ParcelDelivered: ("fulfillment_id", "tracking_number"),
    shipping.FulfillmentCancelled: ("fulfillment_id",),
    shipping.FulfillmentCancelRefused: ("fulfillment_id",),
}

ORDER_STATUS = Projection("order_status", (Orders(), OrderLines()))
