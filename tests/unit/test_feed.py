"""A feed gives every event of its types, in order, and says how far it has looked."""

from __future__ import annotations

from events.codec import Unreadable
from events.feed import StoreFeed, spellings
from events.gateway import StockReceiptReported
from events.order import OrderAccepted, OrderCompleted, OrderPlaced
from events.recorders.memory import MemoryRecorder
from tests.examples import ORDER, PLACED
from tests.fakes import FaultyStore, spoil, write

ACCEPTED = OrderAccepted(order_id=ORDER)
COMPLETED = OrderCompleted(order_id=ORDER)


def test_an_empty_log_has_nothing_to_say() -> None:
    page = StoreFeed(FaultyStore(), frozenset({OrderPlaced})).read(0, 10)
    assert (page.events, page.reached) == ([], 0)


def test_only_its_types_and_how_far_it_has_looked() -> None:
    store = FaultyStore()
    write(store, "order-1", PLACED, ACCEPTED, COMPLETED, ACCEPTED)
    page = StoreFeed(store, frozenset({ACCEPTED.__class__})).read(0, 10)
    assert [recorded.position for recorded in page.events] == [2, 4]
    assert page.reached == 4
    page = StoreFeed(store, frozenset({OrderPlaced})).read(1, 10)
    assert (page.events, page.reached) == ([], 4)


def test_a_full_page_reaches_no_further_than_its_last_event() -> None:
    store = FaultyStore()
    write(store, "order-1", ACCEPTED, COMPLETED, ACCEPTED, COMPLETED, ACCEPTED)
    feed = StoreFeed(store, frozenset({OrderAccepted}))
    page = feed.read(0, 2)
    assert ([recorded.position for recorded in page.events], page.reached) == ([1, 3], 3)
    page = feed.read(page.reached, 2)
    assert ([recorded.position for recorded in page.events], page.reached) == ([5], 5)


def test_reading_on_from_where_it_reached_misses_nothing_and_repeats_nothing() -> None:
    store = FaultyStore()
    for _ in range(5):
        write(store, "order-1", ACCEPTED, COMPLETED, COMPLETED)
    feed = StoreFeed(store, frozenset({OrderAccepted, OrderPlaced}))
    for limit in (1, 2, 3, 100):
        seen: list[int] = []
        after = 0
        while True:
            page = feed.read(after, limit)
            if page.reached == after:
                break
            seen += [recorded.position for recorded in page.events]
            after = page.reached
        assert seen == [1, 4, 7, 10, 13]


def test_what_cannot_be_read_is_handed_on_in_its_place() -> None:
    recorder = MemoryRecorder()
    store = FaultyStore(recorder)
    write(store, "order-1", ACCEPTED)
    spoil(store, recorder, "order-1", "order.accepted.v1", b"not json")
    write(store, "order-2", ACCEPTED)
    page = StoreFeed(store, frozenset({OrderAccepted})).read(0, 10)
    assert [isinstance(recorded.event, Unreadable) for recorded in page.events] == [False, True, False]
    assert page.events[1].type == "order.accepted.v1"
    assert page.events[1].stream == "order-1"


def test_old_and_coming_spellings_belong_to_a_type_too() -> None:
    assert spellings(frozenset({OrderPlaced, StockReceiptReported})) == {
        "order.placed.v1",
        "order.placed.v2",
        "order.placed.v3",
        "gateway.stock_receipt_reported.v1",
        "gateway.stock_receipt_reported.v2",
    }


def test_an_event_of_an_old_version_comes_as_the_newest() -> None:
    recorder = MemoryRecorder()
    store = FaultyStore(recorder)
    old = (
        b'{"occurred_at":"2026-03-02T12:00:00Z","recorded_at":"2026-03-02T12:00:00Z","correlation_id":"c",'
        b'"causation_id":"r","actor":"http","data":{"order_id":"%s","channel":"web","number":"1","currency":"GBP",'
        b'"ship_country":"GB","lines":[],"total_minor":0,"payment_token":"tok_ok"}}' % ORDER.encode()
    )
    spoil(store, recorder, "order-1", "order.placed.v1", old)
    [recorded] = StoreFeed(store, frozenset({OrderPlaced})).read(0, 10).events
    assert recorded.type == "order.placed.v2"
    assert isinstance(recorded.event, OrderPlaced)
    assert recorded.event.country == "GB"
