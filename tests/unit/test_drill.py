"""The drill's own parts that can be told without a cluster: what it sends, what it does, and what it would notice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from events.order import Hold, OrderPlaced, order_stream
from events.payment import PaymentCaptured, payment_stream
from events.slots import SLOTS, slot_of
from events.store import EventStore, open_store
from tests import fakes
from tests.drill import checks
from tests.drill.faults import plan
from tests.drill.orders import Via, deliveries, placed, probes, sendings
from tests.drill.receipts import Receipts, content
from tests.drill.recovery import percentile
from tests.drill.stack import DOORS, LEADERS, MEMBERS
from tests.drill.watch import Ended
from tests.examples import ORDER

ROLES = (*MEMBERS, *LEADERS, *DOORS)
ORDERS = sendings(40, seed=1, topic_share=0.5)
FIRST, SECOND = ORDERS[:2]


# --- what is sent, and done ------------------------------------------------------------------------------------------


def test_the_same_seed_sends_the_same_orders_each_under_a_number_of_its_own() -> None:
    assert sendings(40, seed=1, topic_share=0.5) == ORDERS
    assert len({one.order_id for one in ORDERS}) == 40
    assert {one.via for one in ORDERS} == {"http", "topic"}
    assert all(placed(one.body).order_id == one.order_id for one in ORDERS)


def test_probes_reach_every_slot() -> None:
    assert {slot_of(one.order_id) for one in probes("1")} == set(range(SLOTS))


def test_two_deliveries_bring_what_is_ordered_and_the_first_too_little_of_what_most_want() -> None:
    brought: dict[str, int] = {}
    first, second = deliveries(ORDERS, probed=10)
    for line in (*first["lines"], *second["lines"]):
        brought[line["sku"]] = brought.get(line["sku"], 0) + line["quantity"]
    wanted: dict[str, int] = {}
    for line in (line for one in ORDERS for line in one.body["lines"]):
        wanted[line["sku"]] = wanted.get(line["sku"], 0) + line["quantity"]

    assert all(brought[sku] >= units for sku, units in wanted.items())
    assert len(second["lines"]) == 3


def test_every_kind_of_fault_has_its_turn_in_every_round() -> None:
    found = [fault.kind for fault in plan(108, 1, ROLES)]

    assert {found.count(kind) for kind in found} == {4}
    assert {f"kill {role}" for role in ROLES} | {f"pause {role}" for role in ROLES} < set(found)
    assert found == [fault.kind for fault in plan(108, 1, ROLES)]


def test_a_percentile_is_one_of_the_values() -> None:
    assert percentile([5.0, 1.0, 3.0], 50) == 3.0
    assert percentile([float(one) for one in range(1, 109)], 99) == 107.0
    assert percentile([], 99) == 0.0


# --- what is noticed -------------------------------------------------------------------------------------------------


@pytest.fixture
def store() -> Iterator[EventStore]:
    made = open_store("memory:")
    yield made
    made.close()


def place(store: EventStore, order: OrderPlaced) -> None:
    fakes.write(store, order_stream(order.order_id), order)


def acknowledged(*orders: Any) -> Receipts:
    receipts = Receipts()
    for one in orders:
        receipts.taken[one.order_id].add(content(one.body))
    return receipts


def found_of(store: EventStore, receipts: Receipts) -> dict[str, int]:
    findings = checks.Findings()
    checks.check_acknowledged(checks.Log(store), receipts, findings)
    return +findings.counts


def test_nothing_is_found_where_all_is_as_it_was_acknowledged(store: EventStore) -> None:
    place(store, placed(FIRST.body))
    assert found_of(store, acknowledged(FIRST)) == {}


def test_an_order_that_was_acknowledged_and_is_not_there_is_lost(store: EventStore) -> None:
    place(store, placed(FIRST.body))
    assert found_of(store, acknowledged(FIRST, SECOND)) == {"lost": 1}


def test_an_order_that_is_there_twice_is_noticed(store: EventStore) -> None:
    place(store, placed(FIRST.body))
    place(store, placed(FIRST.body))
    assert found_of(store, acknowledged(FIRST)) == {"duplicated": 1}


def test_another_content_than_was_acknowledged_is_noticed(store: EventStore) -> None:
    place(store, placed({**FIRST.body, "customer": "1"}))
    assert found_of(store, acknowledged(FIRST)) == {"altered": 1}


def test_an_order_that_nobody_was_told_of_is_noticed(store: EventStore) -> None:
    place(store, placed(FIRST.body))
    assert found_of(store, Receipts()) == {"unheard_of": 1}


def test_two_rivals_that_were_both_acknowledged_are_noticed() -> None:
    rival = {**FIRST.body, "customer": "1"}
    receipts = acknowledged(FIRST)
    receipts.taken[FIRST.order_id].add(content(rival))
    findings = checks.Findings()

    checks.check_both_rivals_taken([FIRST._replace(via=Via.HTTP)], receipts, findings)

    assert findings.counts["duplicated"] == 1


def test_a_charge_that_the_log_does_not_have_is_noticed(store: EventStore) -> None:
    fakes.write(store, payment_stream(ORDER), PaymentCaptured(order_id=ORDER, amount_minor=100, reference="pay_1"))
    books = {"captured_minor": {ORDER: 100, "2": 7}, "paid_more_than_once": [ORDER], "labels": {}}

    findings = checks.Findings()
    with sandbox_with(books) as url:
        checks.check_books(checks.Log(store), url, findings)

    assert {name: count for name, count in findings.counts.items() if count} == {
        "double_charged": 1,
        "money_differs": 1,
    }


def test_a_second_label_for_one_parcel_is_noticed(store: EventStore) -> None:
    label = {"tracking_number": "A"}
    books: dict[str, Any] = {"captured_minor": {}, "paid_more_than_once": []}
    books["labels"] = {"1-LDN/1": [label], "1-LDN/2": [{"tracking_number": "B"}]}

    findings = checks.Findings()
    with sandbox_with(books) as url:
        checks.check_books(checks.Log(store), url, findings)

    assert findings.counts["double_labeled"] == 1


@contextmanager
def sandbox_with(books: dict[str, Any]) -> Iterator[str]:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(books).encode())

        def log_message(self, *_: object) -> None:
            """Nobody wants to read of it."""

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = Thread(target=server.handle_request)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        thread.join()


class Seen:
    """What a watch has seen."""

    def __init__(self) -> None:
        self.ended: dict[str, Any] = {}
        self.holds: dict[str, set[Hold]] = {}
        self.placed: dict[str, int] = {}


def test_an_order_without_an_end_is_stuck_unless_it_waits_for_another_payment() -> None:
    seen: Any = Seen()
    seen.ended["done"] = Ended("order.completed.v1", 1, 0.0)
    seen.holds = {"declined": {Hold.PAYMENT}, "backordered": {Hold.BACKORDER}, "wrongly held": {Hold.PAYMENT}}
    orders = ["done", "declined", "backordered", "wrongly held", "nowhere"]

    stuck = checks.not_at_an_end(orders, frozenset({"declined"}), seen)

    assert stuck == ["backordered", "wrongly held", "nowhere"]
