"""Where is my order? What the events make of its row, and what one can ask."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest

from events import inventory, order, payment, shipping
from events.base import Event
from events.codec import EVENT_TYPES
from events.order import Hold, OrderKey, Problem
from events.payment import PaymentOperation
from events.shipping import TrackingScan, TrackingStatus
from projections.memory_views import MemoryViews
from projections.order_row import FOLDS, MAX_PROBLEMS, OrderRow
from projections.order_status import FACTS, ORDER_STATUS, OrderReads, Orders
from projections.runner import ProjectionRunner
from tests.examples import (
    BELL,
    FROM_LEEDS,
    FROM_LONDON,
    HOLDER,
    HOME,
    LEEDS,
    LINES,
    LONDON,
    NOON,
    ORDER,
    PLACED,
    placed,
)
from tests.folding import ListLog, catch_up, folded, shown
from tests.history import example

TOTAL = PLACED.total_minor
POSTINGS = {LONDON: {HOLDER: 6, BELL: 2}}
TRACKING = "SB0000000001GB"

ACCEPTED = order.OrderAccepted(order_id=ORDER)
PAYMENT_REQUESTED = order.PaymentRequested(order_id=ORDER, amount_minor=TOTAL, currency="GBP", payment_token="tok_ok")
AUTHORIZED = payment.PaymentAuthorized(order_id=ORDER, reference="ref-1", amount_minor=TOTAL)
ALLOCATED = inventory.StockAllocated(order_id=ORDER, lines=POSTINGS)
CONFIRMED = order.OrderConfirmed(order_id=ORDER, lines=POSTINGS)
REQUESTED = order.FulfillmentRequested(
    order_id=ORDER, fulfillment_id=FROM_LONDON, location=LONDON, country="GB", address_on_file=False, lines=LINES
)
OPENED = shipping.FulfillmentOpened(
    order_id=ORDER, fulfillment_id=FROM_LONDON, location=LONDON, country="GB", address_on_file=False, lines=LINES
)
PICKED = shipping.ItemsPicked(order_id=ORDER, fulfillment_id=FROM_LONDON)
PACKED = shipping.ParcelPacked(order_id=ORDER, fulfillment_id=FROM_LONDON, parcel_id="parcel-1")
LABELLED = shipping.LabelPurchased(
    order_id=ORDER, fulfillment_id=FROM_LONDON, carrier="sandbox", tracking_number=TRACKING, reference="r-1"
)
SHIPPED = shipping.ParcelShipped(
    order_id=ORDER, fulfillment_id=FROM_LONDON, location=LONDON, tracking_number=TRACKING, lines=LINES
)
CAPTURED = payment.PaymentCaptured(order_id=ORDER, reference="ref-1", amount_minor=TOTAL)
COMPLETED = order.OrderCompleted(order_id=ORDER)
DELIVERED = shipping.ParcelDelivered(order_id=ORDER, fulfillment_id=FROM_LONDON, tracking_number=TRACKING)

WHOLE_WAY = (
    PLACED,
    ACCEPTED,
    PAYMENT_REQUESTED,
    AUTHORIZED,
    ALLOCATED,
    CONFIRMED,
    REQUESTED,
    OPENED,
    PICKED,
    PACKED,
    LABELLED,
    SHIPPED,
    CAPTURED,
    COMPLETED,
    DELIVERED,
)


def row_after(*events: Event) -> OrderRow:
    row: OrderRow = folded(Orders(), *events)[ORDER]
    return row


# --- the fold ----------------------------------------------------------------------------------------------------


def test_an_order_that_went_all_the_way() -> None:
    row = row_after(*WHOLE_WAY)
    assert row == {
        "order_id": ORDER,
        "channel": "web",
        "number": "1001",
        "customer": None,
        "currency": "GBP",
        "total_minor": 25_58,
        "country": "GB",
        "status": "completed",
        "holds": [],
        "problems": [],
        "conflicts": 0,
        "payment": "paid",
        "payment_unknown": None,
        "authorized_minor": 25_58,
        "captured_minor": 25_58,
        "refunded_minor": 0,
        "fulfillments": {
            FROM_LONDON: {
                "state": "delivered",
                "location": LONDON,
                "units": 8,
                "carrier": "sandbox",
                "tracking_number": TRACKING,
                "tracking_status": None,
                "tracked_at": None,
                "label": None,
            }
        },
        "units": {
            "ordered": 8,
            "allocated": 8,
            "backordered": 0,
            "picked": 8,
            "packed": 8,
            "shipped": 8,
            "delivered": 8,
            "cancelled": 0,
        },
        "placed_at": "2026-03-02T12:00:00+00:00",
        "entries": 0,
        "updated_position": 15,
        "rank": row["rank"],
    }


@pytest.mark.parametrize(
    ("event", "status"),
    [
        (ACCEPTED, "accepted"),
        (order.OrderRejected(order_id=ORDER, problems=[]), "rejected"),
        (CONFIRMED, "confirmed"),
        (COMPLETED, "completed"),
        (order.OrderCancelled(order_id=ORDER, reason="changed my mind"), "cancelled"),
        (order.OrderExpired(order_id=ORDER), "expired"),
    ],
)
def test_its_status_is_what_the_order_said_last(event: Event, status: str) -> None:
    assert row_after(PLACED)["status"] == "placed"
    assert row_after(PLACED, event)["status"] == status


def test_it_may_be_held_for_several_reasons_at_once() -> None:
    problem = Problem(code="postal_code_unknown", where="ship_to", message="There is no such postal code.")
    address = order.OrderHeld(order_id=ORDER, hold=Hold.ADDRESS, problems=[problem])
    fraud = order.OrderHeld(order_id=ORDER, hold=Hold.FRAUD)
    row = row_after(PLACED, address, fraud, address)
    assert row["holds"] == ["address", "fraud"]
    assert row["problems"][0] == {
        "code": "postal_code_unknown",
        "where": "ship_to",
        "message": "There is no such postal code.",
    }
    released = order.OrderHoldReleased(order_id=ORDER, hold=Hold.ADDRESS)
    assert row_after(PLACED, address, fraud, released)["holds"] == ["fraud"]
    assert len(row_after(PLACED, *[address] * 50)["problems"]) == MAX_PROBLEMS


@pytest.mark.parametrize(
    ("event", "state"),
    [
        (PAYMENT_REQUESTED, "pending"),
        (AUTHORIZED, "authorized"),
        (payment.PaymentDeclined(order_id=ORDER, reason="insufficient funds"), "failed"),
        (payment.PaymentActionRequired(order_id=ORDER, reference="ref-1", expires_at=NOON), "action_required"),
        (payment.PaymentExpired(order_id=ORDER), "expired"),
        (CAPTURED, "paid"),
        (payment.CaptureFailed(order_id=ORDER, reason="lapsed"), "failed"),
        (payment.PaymentVoided(order_id=ORDER), "voided"),
        (payment.PaymentRefunded(order_id=ORDER, reference="ref-1", amount_minor=1), "refunded"),
    ],
)
def test_an_answer_about_money_ends_what_was_unknown(event: Event, state: str) -> None:
    unknown = payment.PaymentOutcomeUnknown(
        order_id=ORDER, operation=PaymentOperation.AUTHORIZE, attempt=1, ask_at=NOON
    )
    assert row_after(PLACED)["payment"] is None
    assert row_after(PLACED, PAYMENT_REQUESTED, unknown)["payment_unknown"] == "authorize"
    row = row_after(PLACED, unknown, event)
    assert (row["payment"], row["payment_unknown"]) == (state, None)


def test_a_person_sees_that_money_could_not_be_given_back() -> None:
    failed = payment.PaymentUndoFailed(order_id=ORDER, operation=PaymentOperation.REFUND, reason="account closed")
    row = row_after(PLACED, CAPTURED, failed)
    assert row["payment"] == "paid"
    assert row["problems"][0]["code"] == "refund_failed"


def test_a_shortage_is_counted_until_it_is_over() -> None:
    short = inventory.StockBackordered(order_id=ORDER, lines=LINES, missing={HOLDER: 4})
    assert row_after(PLACED, short)["units"]["backordered"] == 4
    units = row_after(PLACED, short, ALLOCATED)["units"]
    assert (units["backordered"], units["allocated"]) == (0, 8)
    units = row_after(PLACED, ALLOCATED, inventory.StockReleased(order_id=ORDER, lines=POSTINGS))["units"]
    assert (units["backordered"], units["allocated"]) == (0, 0)


def test_what_has_not_left_is_cancelled() -> None:
    part = SHIPPED.model_copy(update={"lines": {HOLDER: 6}})
    cancelled = order.OrderCancelled(order_id=ORDER, reason="changed my mind")
    assert row_after(PLACED, cancelled)["units"]["cancelled"] == 8
    assert row_after(PLACED, part, cancelled)["units"]["cancelled"] == 2


def test_each_location_has_its_own_part() -> None:
    leeds = {"fulfillment_id": FROM_LEEDS, "location": LEEDS, "lines": {BELL: 2}}
    row = row_after(
        PLACED,
        OPENED,
        OPENED.model_copy(update=leeds),
        PICKED,
        shipping.FulfillmentCancelled(order_id=ORDER, fulfillment_id=FROM_LEEDS),
    )
    states = {name: (part["state"], part["location"], part["units"]) for name, part in row["fulfillments"].items()}
    assert states == {FROM_LONDON: ("picking", LONDON, 8), FROM_LEEDS: ("cancelled", LEEDS, 2)}


def test_a_label_that_cannot_be_had_is_seen() -> None:
    refused = shipping.LabelRefused(order_id=ORDER, fulfillment_id=FROM_LONDON, reason="no such street")
    unknown = shipping.LabelOutcomeUnknown(order_id=ORDER, fulfillment_id=FROM_LONDON, attempt=1, ask_at=NOON)
    labels = [
        row_after(PLACED, OPENED, *events)["fulfillments"][FROM_LONDON]["label"]
        for events in ([refused], [refused, unknown], [refused, unknown, LABELLED])
    ]
    assert labels == ["refused", "unknown", None]


def test_the_latest_scan_counts_not_the_last_to_arrive() -> None:
    def scans(*found: tuple[TrackingStatus, int]) -> Event:
        scanned = [TrackingScan(status=status, scanned_at=NOON + timedelta(hours=hours)) for status, hours in found]
        return shipping.TrackingUpdated(order_id=ORDER, fulfillment_id=FROM_LONDON, scans=scanned)

    late = scans((TrackingStatus.PRE_TRANSIT, 0))
    row = row_after(PLACED, scans((TrackingStatus.IN_TRANSIT, 1), (TrackingStatus.OUT_FOR_DELIVERY, 5)), late)
    assert row["fulfillments"][FROM_LONDON]["tracking_status"] == "out_for_delivery"


def test_it_takes_any_events_in_any_order() -> None:
    events = [example(kind) for kind in FOLDS]
    shuffle = random.Random(1).shuffle
    for _ in range(50):
        shuffle(events)
        rows = folded(Orders(), *events)
        assert len(rows) == 1
        for row in rows.values():
            Orders().index(row)
            Orders().totals(row)


def test_every_event_that_names_an_order_is_shown() -> None:
    elsewhere = {"order.placed.v1"}  # lifted to the current version while it is read
    naming = {spelling for spelling, kind in EVENT_TYPES.items() if "order_id" in kind.model_fields}
    assert naming - elsewhere == {kind.type for kind in FOLDS}
    assert FACTS.keys() <= FOLDS.keys()


# --- what one can ask --------------------------------------------------------------------------------------------


def test_it_is_found_by_id_and_by_the_shops_own_number() -> None:
    reads = OrderReads(shown(*WHOLE_WAY))
    row = reads.get(ORDER)
    assert row is not None
    assert row["status"] == "completed"
    assert reads.find("web", "1001") == row
    assert reads.find("web", "1002") is None
    assert reads.get("nobody") is None


def test_its_lines_are_as_they_were_ordered() -> None:
    reads = OrderReads(shown(*WHOLE_WAY))
    assert reads.lines(ORDER) == {
        "lines": [
            {"sku": HOLDER, "quantity": 6, "unit_price": "2.55", "description": ""},
            {"sku": BELL, "quantity": 2, "unit_price": "3.39", "description": ""},
        ],
        "charges": [{"kind": "postage", "amount_minor": 3_50, "description": ""}],
    }
    assert reads.lines("nobody") == {"lines": [], "charges": []}


def test_its_timeline_tells_what_happened() -> None:
    timeline = OrderReads(shown(*WHOLE_WAY)).timeline(ORDER)
    assert [entry["type"] for entry in timeline] == [event.type for event in WHOLE_WAY]
    assert timeline[0] == {
        "position": 1,
        "type": "order.placed.v2",
        "occurred_at": "2026-03-02T12:00:00Z",
        "recorded_at": "2026-03-02T12:00:00Z",
        "facts": {"lines": 2, "charges": 1, "total_minor": 25_58, "currency": "GBP"},
    }
    assert timeline[1]["facts"] == {}
    assert timeline[11]["facts"] == {
        "fulfillment_id": FROM_LONDON,
        "location": LONDON,
        "tracking_number": TRACKING,
        "lines": 2,
    }
    assert OrderReads(shown()).timeline(ORDER) == []


@pytest.mark.parametrize("limit", [1, 7, 1000])
def test_a_timeline_keeps_the_newest_entries_however_it_was_fed(limit: int) -> None:
    log, views = ListLog(), MemoryViews()
    log.add(PLACED, *[ACCEPTED] * 333)
    catch_up(ProjectionRunner(log, views, [ORDER_STATUS], limit=limit))
    timeline = OrderReads(views).timeline(ORDER)
    assert [entry["position"] for entry in timeline] == list(range(185, 335))
    row = OrderReads(views).get(ORDER)
    assert row is not None
    assert row["entries"] == 334
    pages = views.texts(1, "orders", [f"{ORDER}:{page}" for page in range(8)])
    assert [page is not None for page in pages] == [False] * 3 + [True] * 4 + [False]


def test_nothing_personal_is_shown() -> None:
    full = [example(kind) for kind in FOLDS]
    views = shown(PLACED, *full)
    assert isinstance(views, MemoryViews)
    everything = repr(views.contents())
    assert "1001" in everything
    for secret in ("Quine", "example.org", "Example Street", "SW1A", "7946", "1632", "Croydon", "asked for by"):
        assert secret not in everything
    assert HOME.lines[0] not in everything


def orders_at(*minutes: int) -> tuple[ListLog, MemoryViews, list[str]]:
    """Orders numbered 0, 1, 2 ..., each placed so many minutes after noon."""
    log, views = ListLog(), MemoryViews()
    keys = [OrderKey("web", str(number)) for number in range(len(minutes))]
    for key, minute in zip(keys, minutes, strict=True):
        log.add(placed(key), at=NOON + timedelta(minutes=minute))
    return log, views, [key.order_id for key in keys]


def test_orders_are_listed_newest_first_by_time_then_by_place_in_the_log() -> None:
    log, views, ids = orders_at(5, 1, 5, 3)
    catch_up(ProjectionRunner(log, views, [ORDER_STATUS]))
    assert [row["order_id"] for row in OrderReads(views).newest(10).rows] == [ids[2], ids[0], ids[3], ids[1]]


def test_times_a_microsecond_apart_are_told_apart() -> None:
    log, views = ListLog(), MemoryViews()
    keys = [OrderKey("web", str(number)) for number in range(3)]
    for key, microseconds in zip(keys, (1, 3, 2), strict=True):
        log.add(placed(key), at=NOON + timedelta(microseconds=microseconds))
    catch_up(ProjectionRunner(log, views, [ORDER_STATUS]))
    assert [row["number"] for row in OrderReads(views).newest(10).rows] == ["1", "2", "0"]


def test_a_list_is_read_page_by_page_while_it_changes() -> None:
    log, views, ids = orders_at(*range(7))
    runner = ProjectionRunner(log, views, [ORDER_STATUS])
    catch_up(runner)
    reads = OrderReads(views)
    first = reads.by_status("placed", 3)
    assert [row["order_id"] for row in first.rows] == ids[6:3:-1]
    log.add(placed(OrderKey("web", "new")), at=NOON + timedelta(hours=1))
    log.add(order.OrderAccepted(order_id=ids[4]), order.OrderAccepted(order_id=ids[2]))
    catch_up(runner)
    second = reads.by_status("placed", 3, first.next)
    assert [row["order_id"] for row in second.rows] == [ids[3], ids[1], ids[0]]
    assert second.next is None
    assert {row["order_id"] for row in reads.by_status("accepted", 10).rows} == {ids[4], ids[2]}


def test_orders_are_listed_by_customer_and_by_hold() -> None:
    ours = placed().model_copy(update={"customer": "a:b\x00\n"})
    theirs = placed(OrderKey("web:a", "1")).model_copy(update={"customer": "b"})
    held = order.OrderHeld(order_id=ORDER, hold=Hold.FRAUD)
    reads = OrderReads(shown(ours, theirs, held))
    assert [row["order_id"] for row in reads.by_customer("web", "a:b\x00\n", 10).rows] == [ORDER]
    assert [row["number"] for row in reads.by_customer("web:a", "b", 10).rows] == ["1"]
    assert reads.by_customer("web", "nobody", 10).rows == []
    assert [row["order_id"] for row in reads.by_hold("fraud", 10).rows] == [ORDER]
    released = order.OrderHoldReleased(order_id=ORDER, hold=Hold.FRAUD)
    assert OrderReads(shown(ours, held, released)).by_hold("fraud", 10).rows == []


def test_totals_are_the_sums_over_all_orders() -> None:
    other = OrderKey("web", "1002")
    euros = placed(other).model_copy(update={"currency": "EUR"})
    held = order.OrderHeld(order_id=other.order_id, hold=Hold.FRAUD)
    paid = CAPTURED.model_copy(update={"order_id": other.order_id, "amount_minor": 7})
    refunded = payment.PaymentRefunded(order_id=other.order_id, reference="r", amount_minor=5)
    assert OrderReads(shown(*WHOLE_WAY, euros, held, paid, refunded)).counts() == {
        "orders": 2,
        "by_status": {"completed": 1, "placed": 1},
        "by_hold": {"fraud": 1},
        "captured_minor": {"EUR": 7, "GBP": 25_58},
        "refunded_minor": {"EUR": 5},
        "units_shipped": 8,
    }
    assert OrderReads(shown()).counts()["orders"] == 0
