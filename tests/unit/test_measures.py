"""What a process tells Prometheus of itself is so: also when its work has gone elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from prometheus_client import REGISTRY

from events.base import Recorded
from events.codec import Unreadable
from events.order import OrderAccepted
from events.relay import Message
from events.slots import SlotWindow
from events.store import EventStore, StoreUnavailable, open_store
from projections.catalogue import PROJECTIONS
from projections.memory_views import MemoryViews
from projections.runner import ProjectionRunner
from services.cluster.leaders import Led
from services.cluster.measured import MeasuredPublisher, OrderGauges
from services.cluster.measures import Measures
from services.cluster.members import Members
from services.runtime.engine import Consumer, Engine
from tests import fakes
from tests.examples import NOON, ORDER, PLACED, placing


@dataclass
class Worker:
    name: str
    position: int = 0
    unknown: int = 0

    def step(self) -> int:
        return 0


@dataclass
class Inlet:
    topic: str = "waybill.intake"
    trouble: str | None = None


@dataclass
class Lead:
    is_ours: bool = True

    def try_lead(self) -> bool:
        return self.is_ours

    def still_leads(self) -> bool:
        return self.is_ours


def measures(store: EventStore, *consumers: Consumer, inlets: Sequence[Inlet] = ()) -> Measures:
    engine = Engine(consumers, operating_faults=(StoreUnavailable,), bell=threading.Event())
    return Measures(store, engine, inlets)


def shown(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, labels)


def of_ten_events() -> EventStore:
    store = open_store("memory:")
    for _ in range(10):
        fakes.write(store, "order-1", OrderAccepted(order_id=ORDER))
    return store


def test_a_lag_is_that_of_the_hindmost_slot() -> None:
    found = measures(of_ten_events(), Worker("a.test/03", 4, unknown=1), Worker("a.test/07", 9, unknown=2))
    found.set_gauges()
    assert shown("waybill_consumer_lag_positions", consumer="a.test") == 6
    assert (shown("waybill_consumer_lag_seconds", consumer="a.test") or 0) > 0
    assert shown("waybill_outcome_unknown", consumer="a.test") == 3
    assert shown("waybill_log_position") == 10


def test_a_process_that_lost_its_slots_tells_of_them_no_more() -> None:
    store = of_ten_events()

    def hire(slot: int, window: SlotWindow) -> list[Worker]:
        return [Worker(f"b.test/{slot:02}", 4, unknown=1)]

    members = Members("b", store, hire, news=lambda: None)
    found = measures(store, members)
    members.assigned(frozenset({1, 2}))
    members.step()
    found.set_gauges()
    assert shown("waybill_consumer_lag_positions", consumer="b.test") == 6
    assert shown("waybill_assigned_slots", service="b") == 2

    members.revoked(frozenset({1, 2}))
    found.set_gauges()
    assert shown("waybill_consumer_lag_positions", consumer="b.test") is None
    assert shown("waybill_consumer_lag_seconds", consumer="b.test") is None
    assert shown("waybill_outcome_unknown", consumer="b.test") is None
    assert shown("waybill_assigned_slots", service="b") == 0


def test_a_projector_tells_how_far_behind_its_projections_are() -> None:
    store, views = of_ten_events(), MemoryViews()
    runner = ProjectionRunner(store, views, PROJECTIONS)
    found = measures(store, runner)
    found.set_gauges()
    assert shown("waybill_consumer_lag_positions", consumer="projections") is None, "nobody knows yet"
    while runner.step():
        pass
    fakes.write(store, "order-1", OrderAccepted(order_id=ORDER))
    found.set_gauges()
    assert shown("waybill_consumer_lag_positions", consumer="projections") == 1


def test_what_an_inlet_cannot_do_is_said() -> None:
    store = open_store("memory:")
    assert measures(store, inlets=[Inlet()]).ready() == {}
    assert measures(store, inlets=[Inlet(trouble="nobody listens there")]).ready() == {
        "waybill.intake": "nobody listens there"
    }


def test_orders_are_counted_by_who_keeps_the_projections() -> None:
    store, views, lead = open_store("memory:"), MemoryViews(), Lead()
    led = Led("projections", lead, lambda: [ProjectionRunner(store, views, PROJECTIONS)])
    gauges = OrderGauges(led, views)
    store.append([placing(PLACED)])
    while led.step():
        pass
    gauges.set()
    assert shown("waybill_orders", status="placed") == 1

    lead.is_ours = False
    led.step()
    gauges.set()
    assert shown("waybill_orders", status="placed") is None


@dataclass
class Broker:
    sent: list[Message] = field(default_factory=list)
    fails: bool = False

    def publish(self, messages: Sequence[Message]) -> None:
        if self.fails:
            raise ConnectionError
        self.sent += messages


def message(topic: str, *, at_s: float = 0.0, readable: bool = True) -> Message:
    event = PLACED if readable else Unreadable(reason="from a newer version")
    at = NOON + timedelta(seconds=at_s)
    recorded = Recorded(7, "order-1", 1, PLACED.type, event, at, at, ORDER, "cause", "http")
    return Message(topic, "order-1", 3, 7, 6, recorded)


def test_what_the_broker_has_is_counted_with_its_delay() -> None:
    def counts() -> tuple[float, float, float]:
        topic = shown("waybill_relay_published_total", topic="t.test") or 0.0
        return topic, shown("waybill_relay_delay_seconds_count") or 0.0, shown("waybill_relay_delay_seconds_sum") or 0.0

    topic, appends, delay_s = counts()
    publisher = MeasuredPublisher(Broker(), lambda: NOON + timedelta(seconds=3))
    publisher.publish(
        [message("t.test"), message("t.test"), message("t.test", at_s=2.0), message("t.test", readable=False)]
    )
    assert counts() == (topic + 4, appends + 2, delay_s + 4.0)

    with pytest.raises(ConnectionError):
        MeasuredPublisher(Broker(fails=True), lambda: NOON).publish([message("t.test")])
    assert counts() == (topic + 4, appends + 2, delay_s + 4.0)


def test_every_append_is_timed() -> None:
    took_s: list[float] = []
    store = open_store("memory:", appended=took_s.append)
    fakes.write(store, "order-1", OrderAccepted(order_id=ORDER))
    assert len(took_s) == 1
    assert 0 < took_s[0] < 5


def test_gauges_of_roles_are_set_before_they_are_read() -> None:
    calls: list[str] = []
    engine = Engine([], operating_faults=(StoreUnavailable,), bell=threading.Event())
    Measures(open_store("memory:"), engine, (), [lambda: calls.append("asked")]).set_gauges()
    assert calls == ["asked"]
