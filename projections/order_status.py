"""Where is my order? Its row, its lines, its timeline, the indexes and totals over all orders, and the reads of them.

No contact and no address ever comes here, nor what people wrote in their own words: neither in rows nor in timelines.
How an event changes a row: order_row.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, TypedDict

import orjson

from events import inventory, order, payment, shipping
from events.base import Event, Postings, Recorded
from events.order import OrderKey
from projections.order_row import FOLDS, OrderRow, blank_order
from projections.reader import Page, Reader
from projections.table import Projection, Rows, Table, Timelines

_NO_FACTS: dict[str, object] = {}
_DAWN = datetime.min.replace(tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Orders(Table[OrderRow]):
    """One row per order, by order id."""

    name = "orders"
    handles = frozenset(FOLDS)
    # An order has some 20 events; one whose parcel is scanned again and again shows at least the last 150.
    page_entries = 50
    pages = 4

    def keys(self, events: Iterable[Any]) -> Iterable[str]:
        return [event.order_id for event in events]

    def blank(self, key: str) -> OrderRow:
        return blank_order(key)

    def apply(self, recorded: Recorded, rows: Rows[OrderRow], timelines: Timelines) -> None:
        event: Any = recorded.event
        kind, order_id = type(event), event.order_id
        row = rows[order_id]
        FOLDS[kind](row, event)
        row["updated_position"] = recorded.position
        facts = FACTS[kind](event) if kind in FACTS else _NO_FACTS
        entry = (recorded.position, recorded.type, recorded.occurred_at, recorded.recorded_at, facts)
        timelines[order_id].append(orjson.dumps(entry, option=orjson.OPT_UTC_Z) + b"\n")
        if kind is order.OrderPlaced:
            row["placed_at"] = recorded.occurred_at.isoformat()
            # Fixed widths, so that text order is time order; a float score would round microseconds away.
            since_dawn = (recorded.occurred_at - _DAWN) // _MICROSECOND
            row["rank"] = f"{since_dawn:018d}{recorded.position:012d}:{order_id}"

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

    def keys(self, events: Iterable[Any]) -> Iterable[str]:
        return [event.order_id for event in events]

    def blank(self, key: str) -> dict[str, Any]:
        return {}

    def apply(self, recorded: Recorded, rows: Rows[dict[str, Any]], timelines: Timelines) -> None:
        event: Any = recorded.event
        rows[event.order_id] = {
            "lines": [[line.sku, line.quantity, line.unit_price, line.description] for line in event.lines],
            "charges": [[charge.kind, charge.amount_minor, charge.description] for charge in event.charges],
        }


def named(entry: list[Any]) -> dict[str, Any]:
    """One entry of an order's timeline, by the names of its parts."""
    return dict(zip(("position", "type", "occurred_at", "recorded_at", "facts"), entry, strict=True))


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
        """The order's last events, oldest first."""
        return [named(entry) for entry in self.entries(_ORDERS, order_id)]

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
    """As JSON: no two customers share it, and no control character that a shop may send gets into it."""
    return f"customer:{orjson.dumps((channel, customer)).decode()}"


def _skus(postings: Postings) -> int:
    """How many SKUs these are, however many locations they come from."""
    return len(set().union(*postings.values()))


# What a timeline says beside the event's type; of a collection its size. Never a free text: people and carriers write
# names and addresses in it.
FACTS: dict[type[Event], Callable[[Any], dict[str, object]]] = {
    order.OrderPlaced: lambda e: {
        "lines": len(e.lines),
        "charges": len(e.charges),
        "total_minor": e.total_minor,
        "currency": e.currency,
    },
    order.OrderRejected: lambda e: {"problems": len(e.problems)},
    order.OrderHeld: lambda e: {"hold": e.hold, "problems": len(e.problems)},
    order.OrderHoldReleased: lambda e: {"hold": e.hold},
    order.PaymentRequested: lambda e: {"amount_minor": e.amount_minor, "currency": e.currency},
    order.PaymentCaptureRequested: lambda e: {"amount_minor": e.amount_minor},
    order.AllocationRequested: lambda e: {"lines": len(e.lines)},
    order.OrderConfirmed: lambda e: {"lines": _skus(e.lines)},
    order.FulfillmentRequested: lambda e: {
        "fulfillment_id": e.fulfillment_id,
        "location": e.location,
        "lines": len(e.lines),
    },
    order.FulfillmentCancelRequested: lambda e: {"fulfillment_id": e.fulfillment_id},
    order.OrderFulfillmentStopped: lambda e: {"fulfillment_id": e.fulfillment_id},
    order.OrderLinesShipped: lambda e: {"fulfillment_id": e.fulfillment_id, "lines": _skus(e.lines)},
    payment.PaymentInitiated: lambda e: {"amount_minor": e.amount_minor},
    payment.PaymentAuthorized: lambda e: {"amount_minor": e.amount_minor},
    payment.PaymentActionRequired: lambda e: {"expires_at": e.expires_at},
    payment.PaymentOutcomeUnknown: lambda e: {"operation": e.operation, "attempt": e.attempt, "ask_at": e.ask_at},
    payment.PaymentInquiryInitiated: lambda e: {"operation": e.operation, "attempt": e.attempt},
    payment.CaptureInitiated: lambda e: {"amount_minor": e.amount_minor},
    payment.PaymentCaptured: lambda e: {"amount_minor": e.amount_minor},
    payment.RefundInitiated: lambda e: {"amount_minor": e.amount_minor},
    payment.PaymentRefunded: lambda e: {"amount_minor": e.amount_minor},
    payment.PaymentUndoFailed: lambda e: {"operation": e.operation},
    inventory.StockAllocated: lambda e: {"lines": _skus(e.lines)},
    inventory.StockBackordered: lambda e: {"lines": len(e.lines), "missing": len(e.missing)},
    inventory.StockRejected: lambda e: {"unknown": len(e.unknown)},
    inventory.StockReleased: lambda e: {"lines": _skus(e.lines)},
    inventory.StockShipped: lambda e: {"lines": _skus(e.lines)},
    shipping.FulfillmentOpened: lambda e: {
        "fulfillment_id": e.fulfillment_id,
        "location": e.location,
        "lines": len(e.lines),
    },
    shipping.ItemsPicked: lambda e: {"fulfillment_id": e.fulfillment_id},
    shipping.ParcelPacked: lambda e: {"fulfillment_id": e.fulfillment_id},
    shipping.LabelRequested: lambda e: {"fulfillment_id": e.fulfillment_id},
    shipping.LabelPurchased: lambda e: {
        "fulfillment_id": e.fulfillment_id,
        "carrier": e.carrier,
        "tracking_number": e.tracking_number,
    },
    shipping.LabelRefused: lambda e: {"fulfillment_id": e.fulfillment_id},
    shipping.LabelOutcomeUnknown: lambda e: {
        "fulfillment_id": e.fulfillment_id,
        "attempt": e.attempt,
        "ask_at": e.ask_at,
    },
    shipping.LabelInquiryInitiated: lambda e: {"fulfillment_id": e.fulfillment_id, "attempt": e.attempt},
    shipping.ParcelShipped: lambda e: {
        "fulfillment_id": e.fulfillment_id,
        "location": e.location,
        "tracking_number": e.tracking_number,
        "lines": len(e.lines),
    },
    shipping.TrackingUpdated: lambda e: {
        "fulfillment_id": e.fulfillment_id,
        "status": e.scans[-1].status if e.scans else None,
    },
    shipping.ParcelDelivered: lambda e: {"fulfillment_id": e.fulfillment_id, "tracking_number": e.tracking_number},
    shipping.FulfillmentCancelled: lambda e: {"fulfillment_id": e.fulfillment_id},
    shipping.FulfillmentCancelRefused: lambda e: {"fulfillment_id": e.fulfillment_id},
}

_ORDERS = Orders()
ORDER_STATUS = Projection("order_status", (_ORDERS, OrderLines()))
