"""The relay publishes the log: in order, each event at least once, and vouches for what lies between."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from events.order import OrderAccepted
from events.payment import PaymentCaptured
from events.relay import Message, PublishFailed, Relay, Route
from events.slots import Delivery, SlotWindow, slot_of
from events.store import EventStore, open_store
from tests import fakes
from tests.examples import ORDER

ORDERS = Route("orders", frozenset({OrderAccepted}), lambda recorded: recorded.stream)
EVERYTHING = Route("all", frozenset({OrderAccepted, PaymentCaptured}), lambda recorded: "one key")


class Broker:
    """Takes messages, or fails."""

    def __init__(self) -> None:
        self.taken: list[Message] = []
        self.is_away = False

    def publish(self, messages: Sequence[Message]) -> None:
        if self.is_away:
            self.taken += messages[: len(messages) // 2]  # some may have got through
            raise PublishFailed("away")
        self.taken += messages

    def of(self, topic: str) -> list[tuple[int, int]]:
        return [(one.previous, one.position) for one in self.taken if one.topic == topic]


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def log(*streams: str) -> EventStore:
    store = open_store("memory:")
    append(store, *streams)
    return store


def append(store: EventStore, *streams: str) -> None:
    for stream in streams:
        fakes.write(store, stream, OrderAccepted(order_id=ORDER))


def test_every_event_goes_where_its_routes_say() -> None:
    store, broker = log("order-1", "order-2", "order-1"), Broker()
    relay = Relay(store, broker, [ORDERS, EVERYTHING])
    assert relay.step() == 3
    assert relay.step() == 0
    assert broker.of("all") == [(0, 1), (1, 2), (2, 3)]
    assert [one.slot for one in broker.taken if one.topic == "orders"] == [
        slot_of("order-1"),
        slot_of("order-2"),
        slot_of("order-1"),
    ]
    assert broker.of("orders") == [(0, 1), (0, 2), (1, 3)]


def test_a_restart_goes_on_from_the_checkpoint_and_vouches_only_for_what_it_saw() -> None:
    store, broker = log("order-1", "order-1"), Broker()
    Relay(store, broker, [EVERYTHING]).step()
    append(store, "order-1")
    Relay(store, broker, [EVERYTHING]).step()
    assert broker.of("all") == [(0, 1), (1, 2), (2, 3)]


def test_what_was_not_confirmed_is_published_again() -> None:
    store, broker = log("order-1", "order-1"), Broker()
    relay = Relay(store, broker, [EVERYTHING])
    broker.is_away = True
    with pytest.raises(PublishFailed):
        relay.step()
    assert store.tracked_position("relay") == 0
    broker.is_away = False
    relay.step()
    assert broker.of("all") == [(0, 1), (0, 1), (1, 2)]


def test_two_relays_at_a_time_harm_nobody() -> None:
    store, broker = log("order-1", "order-1"), Broker()
    one, other = Relay(store, broker, [EVERYTHING]), Relay(store, broker, [EVERYTHING])
    other.step()
    one.step()
    append(store, "order-1")
    one.step()
    other.step()
    window = SlotWindow(0)
    window.add([Delivery(m.slot, m.position, m.previous, m.recorded) for m in broker.taken])
    assert [recorded.position for recorded in window.after(0)[2]] == [1, 2, 3]
    assert window.since == 0


def test_quiet_slots_are_marked_now_and_then() -> None:
    store, broker, clock = log("order-1"), Broker(), Clock()
    relay = Relay(store, broker, [ORDERS], clock_s=clock)
    relay.step()
    relay.step()
    assert broker.of("orders") == [(0, 1)]
    clock.now_s += Relay.MARK_EVERY_S
    relay.step()
    marks = broker.of("orders")[1:]
    assert marks == [(0, 1)] * 11, "one for each slot but that of the event"
    clock.now_s += Relay.MARK_EVERY_S
    relay.step()
    assert len(broker.taken) == 12, "nothing happened since"
