"""What can we sell? What the events make of a SKU's row, and what one can ask."""

from __future__ import annotations

import random
from typing import Any

from events import inventory
from events.base import Event
from events.codec import EVENT_TYPES
from projections.stock_levels import FLAGS, POSTINGS, Backorders, StockLevels, StockReads
from tests.examples import BELL, HOLDER, LEEDS, LINES, LONDON, NOON, ORDER, OTHER_ORDER
from tests.folding import folded, shown
from tests.history import example

EXPECTED = inventory.StockExpected(reference="ship-1", lines={LONDON: {HOLDER: 20}})
RECEIVED = inventory.StockReceived(
    reference="ship-1", lines={LONDON: {HOLDER: 15}, LEEDS: {HOLDER: 5}}, expected={LONDON: {HOLDER: 15}}
)
RESERVED = inventory.StockReserved(reservation_id="basket-7", lines={LONDON: {HOLDER: 2}}, expires_at=NOON)
RESERVATION_ENDED = inventory.StockReservationEnded(
    reservation_id="basket-7", lines={LONDON: {HOLDER: 2}}, expired=False
)
ALLOCATED = inventory.StockAllocated(order_id=ORDER, lines={LONDON: {HOLDER: 6}})
RELEASED = inventory.StockReleased(order_id=ORDER, lines={LONDON: {HOLDER: 6}})
SHIPPED = inventory.StockShipped(order_id=ORDER, lines={LONDON: {HOLDER: 6}})
LOW = inventory.LowStockReached(available={HOLDER: 2, BELL: 0})
NOT_LOW = inventory.LowStockCleared(available={HOLDER: 9})


def balance(*events: Event, location: str = LONDON) -> tuple[int, int, int, int]:
    """on hand, reserved, allocated, incoming"""
    one = folded(StockLevels(), *events)[HOLDER]["locations"][location]
    return one["on_hand"], one["reserved"], one["allocated"], one["incoming"]


def test_goods_are_incoming_until_they_are_received() -> None:
    assert balance(EXPECTED) == (0, 0, 0, 20)
    assert balance(EXPECTED, RECEIVED) == (15, 0, 0, 5)
    assert balance(EXPECTED, RECEIVED, location=LEEDS) == (5, 0, 0, 0)


def test_goods_are_promised_then_leave() -> None:
    assert balance(RECEIVED, ALLOCATED)[:3] == (15, 0, 6)
    assert balance(RECEIVED, ALLOCATED, SHIPPED)[:3] == (9, 0, 0)
    assert balance(RECEIVED, ALLOCATED, RELEASED)[:3] == (15, 0, 0)


def test_a_soft_hold_comes_and_goes() -> None:
    assert balance(RECEIVED, RESERVED)[:3] == (15, 2, 0)
    assert balance(RECEIVED, RESERVED, RESERVATION_ENDED, ALLOCATED)[:3] == (15, 0, 6)


def test_a_count_adds_and_removes_but_not_what_was_refused() -> None:
    counted = inventory.StockAdjusted(
        reference="count-1",
        reason="counted",
        added={LONDON: {HOLDER: 3}},
        removed={LEEDS: {HOLDER: 1}},
        refused={LEEDS: {BELL: 7}},
    )
    assert balance(RECEIVED, counted)[0] == 18
    assert balance(RECEIVED, counted, location=LEEDS)[0] == 4
    assert folded(StockLevels(), counted)[BELL]["locations"][LEEDS]["on_hand"] == 0


def test_low_stock_is_what_inventory_says_it_is() -> None:
    threshold = inventory.LowStockThresholdSet(thresholds={HOLDER: 5})
    rows = folded(StockLevels(), RECEIVED, threshold, LOW)
    assert (rows[HOLDER]["threshold"], rows[HOLDER]["low"], rows[BELL]["low"]) == (5, True, True)
    assert folded(StockLevels(), RECEIVED, LOW, NOT_LOW)[HOLDER]["low"] is False


def test_an_order_waits_until_it_is_allocated_or_gives_up() -> None:
    short = inventory.StockBackordered(order_id=ORDER, lines=LINES, missing={HOLDER: 4})
    shorter = inventory.StockBackordered(order_id=ORDER, lines=LINES, missing={HOLDER: 1, BELL: 2})
    gave_up = inventory.StockReleased(order_id=ORDER)
    assert folded(Backorders(), short, shorter)[ORDER] == {"missing": {HOLDER: 1, BELL: 2}}
    assert folded(Backorders(), short, ALLOCATED)[ORDER] == {}
    assert folded(Backorders(), short, gave_up)[ORDER] == {}


def test_it_takes_any_events_in_any_order() -> None:
    for table in (StockLevels(), Backorders()):
        events = [example(kind) for kind in table.handles]
        shuffle = random.Random(1).shuffle
        for _ in range(50):
            shuffle(events)
            for row in folded(table, *events).values():
                table.index(row)
                table.totals(row)


def test_every_event_that_moves_stock_is_shown() -> None:
    # A refusal moves nothing; a shortage is in the backorders.
    moves_nothing = {"inventory.stock_rejected.v1", "inventory.stock_reservation_refused.v1"}
    inventorys = {spelling for spelling in EVENT_TYPES if spelling.startswith("inventory.")} - moves_nothing
    assert inventorys == {kind.type for kind in StockLevels.handles | Backorders.handles}
    assert POSTINGS.keys() | FLAGS.keys() == StockLevels.handles


# --- what one can ask --------------------------------------------------------------------------------------------


def test_a_sku_is_shown_with_what_can_be_sold() -> None:
    short = inventory.StockBackordered(order_id=OTHER_ORDER, lines={HOLDER: 99}, missing={HOLDER: 80})
    reads = StockReads(shown(EXPECTED, RECEIVED, RESERVED, ALLOCATED, short))
    assert reads.get(HOLDER) == {
        "sku": HOLDER,
        "locations": {
            LONDON: {"on_hand": 15, "reserved": 2, "allocated": 6, "incoming": 5, "available": 7},
            LEEDS: {"on_hand": 5, "reserved": 0, "allocated": 0, "incoming": 0, "available": 5},
        },
        "threshold": None,
        "low": False,
        "entries": 5,
        "updated_position": 4,
        "totals": {"on_hand": 20, "reserved": 2, "allocated": 6, "incoming": 5, "available": 12},
        "backordered": 80,
    }
    assert reads.get("NOSUCH") is None


def test_low_stock_is_listed_by_name() -> None:
    reads = StockReads(shown(RECEIVED, LOW))
    assert [row["sku"] for row in reads.low(10).rows] == [BELL, HOLDER]
    page = reads.low(1)
    assert ([row["sku"] for row in page.rows], page.next) == ([BELL], BELL)
    assert [row["sku"] for row in reads.low(1, page.next).rows] == [HOLDER]
    assert [row["sku"] for row in StockReads(shown(RECEIVED, LOW, NOT_LOW)).low(10).rows] == [BELL]
    assert [row["sku"] for row in StockReads(shown(RECEIVED)).all(10).rows] == [HOLDER]
    assert StockReads(shown()).low(10).rows == []


def test_movements_are_told_with_their_reasons() -> None:
    timeline = StockReads(shown(EXPECTED, RECEIVED, RESERVED, ALLOCATED, LOW, SHIPPED)).timeline(HOLDER)
    assert [tuple(entry[name] for name in ("movement", "reference", "location", "units")) for entry in timeline] == [
        ("expected", "ship-1", LONDON, 20),
        ("received", "ship-1", LONDON, 15),
        ("received", "ship-1", LEEDS, 5),
        ("reserved", "basket-7", LONDON, 2),
        ("allocated", ORDER, LONDON, 6),
        ("shipped", ORDER, LONDON, 6),
    ]
    assert (timeline[0]["position"], timeline[0]["occurred_at"]) == (1, "2026-03-02T12:00:00Z")


def test_the_last_fifty_movements_are_kept() -> None:
    timeline: list[dict[str, Any]] = StockReads(shown(RECEIVED, *[ALLOCATED, SHIPPED] * 99)).timeline(HOLDER)
    assert [entry["position"] for entry in timeline] == list(range(150, 200))


def test_totals_are_the_sums_over_all_skus_and_orders() -> None:
    short = inventory.StockBackordered(order_id=ORDER, lines=LINES, missing={HOLDER: 4})
    other = inventory.StockBackordered(order_id=OTHER_ORDER, lines=LINES, missing={HOLDER: 1, BELL: 2})
    reads = StockReads(shown(RECEIVED, LOW, short, other))
    assert reads.counts() == {"skus": 2, "low": 2, "backordered_units": 7}
    reads = StockReads(shown(RECEIVED, LOW, short, other, ALLOCATED, NOT_LOW))
    assert reads.counts() == {"skus": 2, "low": 1, "backordered_units": 3}
    assert StockReads(shown()).counts() == {"skus": 0, "low": 0, "backordered_units": 0}
