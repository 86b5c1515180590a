"""What a broker delivers of a slot, with whatever it loses, doubles and delays."""

from __future__ import annotations

from itertools import permutations

from events.base import Recorded
from events.order import OrderAccepted
from events.slots import SLOTS, Delivery, SlotFeed, SlotOfLog, SlotWindow, slot_name, slot_of
from events.store import EventStore, open_store
from tests import fakes
from tests.examples import ORDER

SLOT = slot_of("order-1")


def by_stream(recorded: Recorded) -> str:
    return recorded.stream


def log_of(count: int) -> EventStore:
    """Events of one stream that lies in SLOT."""
    store = open_store("memory:")
    for _ in range(count):
        fakes.write(store, "order-1", OrderAccepted(order_id=ORDER))
    return store


def deliveries(store: EventStore) -> list[Delivery]:
    events = store.read_after(0, limit=1_000)
    return [Delivery(SLOT, one.position, one.position - 1, one) for one in events]


def positions(feed: SlotFeed, *, limit: int = 3) -> list[int]:
    """Everything that the feed gives from position 0 on, read piece by piece."""
    found: list[int] = []
    at = 0
    while True:
        page = feed.read(at, limit)
        found += [one.position for one in page.events]
        if page.reached == at:
            return found
        at = page.reached


def feed_over(window: SlotWindow, store: EventStore) -> SlotFeed:
    return SlotFeed(window, store, frozenset({OrderAccepted}), SLOT, by_stream)


def test_a_key_has_the_same_slot_for_ever() -> None:
    assert [slot_of(key) for key in ("order-1", "main", "")] == [7, 8, 0]
    assert {slot_of(str(number)) for number in range(1_000)} == set(range(SLOTS))
    assert slot_name("payment.calls", 7) == "payment.calls/07"


def test_every_order_of_arrival_gives_the_log() -> None:
    store = log_of(5)
    for arrival in permutations(deliveries(store)):
        window = SlotWindow(0)
        for one in arrival:
            window.add([one])
        assert positions(feed_over(window, store)) == [1, 2, 3, 4, 5][: window.upto]
        assert window.upto == 5


def test_what_a_broker_lost_is_read_from_the_log() -> None:
    store = log_of(6)
    sent = deliveries(store)
    window = SlotWindow(0)
    window.add([sent[0], sent[1], sent[5]])
    assert window.since == 5
    assert positions(feed_over(window, store)) == [1, 2, 3, 4, 5, 6]


def test_what_comes_again_is_passed_over() -> None:
    store = log_of(4)
    sent = deliveries(store)
    window = SlotWindow(0)
    window.add([*sent[:3], *sent[:2], *sent])
    assert window.since == 0
    assert positions(feed_over(window, store)) == [1, 2, 3, 4]


def test_a_mark_says_that_there_was_nothing() -> None:
    store = log_of(2)
    window = SlotWindow(0)
    window.add([*deliveries(store), Delivery(SLOT, 50, 2, None)])
    assert feed_over(window, store).read(2, 10).reached == 50


def test_a_mark_after_a_loss_does_not_hide_it() -> None:
    store = log_of(3)
    window = SlotWindow(0)
    window.add([deliveries(store)[0], Delivery(SLOT, 3, 3, None)])
    assert positions(feed_over(window, store)) == [1, 2, 3]


def test_a_silent_broker_is_replaced_by_the_log() -> None:
    store = log_of(3)
    window = SlotWindow(0)
    feed = feed_over(window, store)
    assert feed.read(0, 10).events == []
    window.look(store.last_position())
    assert positions(feed) == [1, 2, 3]


def test_a_window_is_bounded_and_loses_nothing() -> None:
    store = log_of(9)
    window = SlotWindow(0, max_events=4)
    window.add(deliveries(store))
    assert window.is_full
    assert len(window.after(0)[2]) == 4
    assert positions(feed_over(window, store)) == list(range(1, 10))
    window.forget_until(8)
    assert not window.is_full


def test_the_log_gives_a_slot_its_own_events_only() -> None:
    store = log_of(2)
    mine = SlotOfLog(store, frozenset({OrderAccepted}), SLOT, by_stream).read(0, 10)
    other = SlotOfLog(store, frozenset({OrderAccepted}), (SLOT + 1) % SLOTS, by_stream).read(0, 10)
    assert [one.position for one in mine.events] == [1, 2]
    assert other == ([], 2)
