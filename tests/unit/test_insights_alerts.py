"""Alerts: what sells out, who orders unusually often, and the hold that the order service is asked for."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.base import Recorded
from events.order import Hold, OrderCancelled, OrderHeld, OrderHoldReleased, order_stream
from events.store import EventStore, open_store
from services.insights.alerts import many_orders, sells_out
from services.insights.buyers import Buyer, Buyers, Excess, Ordered
from services.insights.holds import Holder
from services.insights.windows import to_ms
from services.order.commands import HoldOrder
from services.order.decider import DECIDER
from services.runtime.desk import Desk
from tests.examples import HOME, HOUR, NOON
from tests.insights import KEY, MINUTE, append, order, recorded_order

# --- what sells out --------------------------------------------------------------------------------------------------


def test_a_sku_that_is_gone_within_hours_is_told_with_how_many() -> None:
    [alert] = sells_out({"FAST": 10, "SLOW": 1}, {"FAST": 25, "SLOW": 25}, within_h=24)
    assert alert == {"kind": "sells_out", "sku": "FAST", "units_per_hour": 10, "available": 25, "hours": 2.5}


def test_what_is_gone_already_or_was_never_stocked_is_not_news() -> None:
    assert sells_out({"GONE": 10, "UNKNOWN": 10}, {"GONE": 0}, within_h=24) == []


def test_the_soonest_comes_first() -> None:
    found = sells_out({"A": 1, "B": 2, "C": 2}, {"A": 4, "B": 4, "C": 4}, within_h=24)
    assert [alert["sku"] for alert in found] == ["B", "C", "A"]


# --- who orders unusually often --------------------------------------------------------------------------------------


def of_one_customer(count: int, *, every: timedelta = MINUTE) -> list[Recorded]:
    return [
        recorded_order(number, at=NOON + number * every, customer="C-1", ship_to=None) for number in range(1, count + 1)
    ]


def excess(events: list[Recorded], limit: int = 3) -> set[int]:
    buyers = Buyers(limit, KEY)
    return {one.order.position for recorded in events for one in buyers.take(recorded)}


def test_orders_beyond_the_limit_within_an_hour_are_in_excess() -> None:
    assert excess(of_one_customer(5)) == {4, 5}


def test_who_orders_steadily_is_never_in_excess() -> None:
    assert excess(of_one_customer(50, every=20 * MINUTE)) == set()


def test_one_address_counts_however_it_is_written() -> None:
    shouted = HOME.model_copy(update={"lines": ["1, EXAMPLE  street."], "city": "LONDON"})
    events = [recorded_order(number, ship_to=(HOME, shouted)[number % 2]) for number in range(1, 5)]
    assert excess(events) == {4}


def test_an_imported_history_is_nobodys_concern() -> None:
    assert excess([recorded_order(number, clock="2012", customer="C-1") for number in range(1, 9)]) == set()


@given(st.randoms(use_true_random=False), st.lists(st.integers(0, 59), min_size=1, max_size=30))
def test_which_orders_are_in_excess_does_not_depend_on_the_order_of_delivery(
    chance: random.Random, minutes: list[int]
) -> None:
    events = [
        recorded_order(number, at=NOON + minute * MINUTE, customer="C-1")
        for number, minute in enumerate(sorted(minutes), 1)
    ]
    delivered = [*events, *chance.sample(events, len(events) // 2)]
    chance.shuffle(delivered)
    assert excess(delivered) == excess(events)


def test_a_crowd_is_shown_by_a_pseudonym_and_goes_with_its_hour() -> None:
    buyers = Buyers(3, KEY)
    for recorded in of_one_customer(5):
        buyers.take(recorded)
    [alert] = many_orders(buyers, to_ms(NOON + HOUR / 2))
    assert (alert["kind"], alert["by"], alert["orders"], alert["in_excess"]) == ("many_orders", "customer", 5, 2)
    assert "C-1" not in str(alert)
    assert many_orders(buyers, to_ms(NOON + 2 * HOUR)) == []


def test_another_process_has_other_pseudonyms() -> None:
    one, other = Buyers(1, b"one key"), Buyers(1, b"another")
    [first], [second] = ([found for event in of_one_customer(2) for found in b.take(event)] for b in (one, other))
    assert first.order == second.order
    assert first.buyer != second.buyer


def test_memory_is_bounded() -> None:
    buyers = Buyers(3, KEY, most_orders=10)
    for recorded in of_one_customer(1_000, every=timedelta(seconds=1)):
        buyers.take(recorded)
    assert sum(map(len, buyers._orders.values())) <= 10


# --- the hold --------------------------------------------------------------------------------------------------------


@pytest.fixture
def store() -> EventStore:
    return open_store("memory:")


def holder(store: EventStore, now: datetime = NOON) -> Holder:
    return Holder(store, Desk(store, DECIDER), HoldOrder, lambda: now)


def placed_in(store: EventStore) -> Excess:
    [recorded] = append(store, [(order(1, customer="C-1"), NOON)])
    return Excess(Ordered(to_ms(NOON), recorded.position, recorded.correlation_id), Buyer("customer", "5eed"))


def test_an_order_in_excess_is_held_by_the_order_services_own_rules(store: EventStore) -> None:
    # given an order that is one too many
    found = placed_in(store)
    # when insights asks for it to be held
    [held] = holder(store).ask(found)
    # then it is, for a person to look at
    assert isinstance(held.event, OrderHeld)
    assert held.event.hold is Hold.MANUAL
    assert held.event.problems[0].code == "too_many_orders"
    assert (held.actor, held.causation_id) == ("insights", f"{order_stream(found.order.order_id)}/1")


def test_it_is_asked_for_once_however_often_it_is_found(store: EventStore) -> None:
    found = placed_in(store)
    holder(store).ask(found)
    assert holder(store).ask(found) == []
    assert len(store.read_stream(order_stream(found.order.order_id))) == 2


def test_what_a_person_released_stays_released(store: EventStore) -> None:
    found = placed_in(store)
    holder(store).ask(found)
    append(store, [(OrderHoldReleased(order_id=found.order.order_id, hold=Hold.MANUAL), NOON)])
    assert holder(store).ask(found) == []


def test_a_closed_order_is_left_alone(store: EventStore) -> None:
    found = placed_in(store)
    append(store, [(OrderCancelled(order_id=found.order.order_id, reason="changed my mind"), NOON)])
    assert holder(store).ask(found) == []


def test_an_old_order_is_left_alone(store: EventStore) -> None:
    found = placed_in(store)
    assert holder(store, NOON + HOUR).ask(found) == []


def test_when_the_orders_worker_is_faster_it_is_decided_again(store: EventStore) -> None:
    # given an order on which its worker writes at the very moment
    found = placed_in(store)
    writing = iter([OrderHeld(order_id=found.order.order_id, hold=Hold.ADDRESS)])

    def now() -> datetime:
        append(store, [(event, NOON) for event in writing])
        return NOON

    desk = Desk(store, DECIDER)
    first = Holder(store, desk, HoldOrder, lambda: NOON)
    racing = Holder(store, desk, lambda hold, why: (now(), HoldOrder(hold, why))[1], lambda: NOON)
    # then both holds are there, and the manual one once
    assert len(racing.ask(found)) == 1
    assert first.ask(found) == []
    assert len(store.read_stream(order_stream(found.order.order_id))) == 3
