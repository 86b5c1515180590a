"""The API against a real server with everything behind it: log, workers, Redis. One server for all tests of a module;
each test has its own orders and articles."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from events.order import order_stream
from projections.web import answers
from tests.examples import HOLDER, LONDON
from tests.shop_server import (
    ADDRESS,
    CONTACT,
    SECRETS,
    ShopServer,
    eventually,
    id_of,
    order_body,
    receipt_body,
    shop_server,
)

REFUSAL = {"message", "problems"}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShopServer]:
    with shop_server(tmp_path_factory.mktemp("shop") / "home") as running:
        running.receive("opening stock", quantity=100_000)
        yield running


def refused(answer: httpx.Response, status: int) -> str:
    """The sentence of a refusal, in the one shape that all have."""
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == REFUSAL
    assert answer.json()["message"].endswith(".")
    message: str = answer.json()["message"]
    return message


# --- placing orders --------------------------------------------------------------------------------------------------


def test_an_order_is_acknowledged_read_back_at_once_and_carried_out(shop: ShopServer) -> None:
    answer = shop.post("/orders", order_body("plain-1"), headers={"Idempotency-Key": "basket-9"})
    assert answer.status_code == 201
    taken = answer.json()
    assert taken["order_id"] == id_of("plain-1")
    assert answer.headers["Location"] == taken["status_url"]
    first = shop.history(taken["order_id"])[0]
    assert (first.position, first.actor, first.causation_id) == (taken["position"], "http", "basket-9")
    order = shop.get(taken["status_url"]).json()
    assert (order["number"], order["total"], order["total_minor"]) == ("plain-1", "18.80", 1880)
    done = shop.order_in(taken["order_id"], "completed")
    assert (done["payment"], done["captured_minor"], done["units"]["shipped"]) == ("paid", 1880, 6)


def test_the_same_order_again_is_answered_the_same_and_nothing_is_added(shop: ShopServer) -> None:
    first = shop.post("/orders", order_body("twice-1"))
    again = shop.post("/orders", order_body("twice-1"))
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert shop.types(id_of("twice-1")).count("order.placed.v2") == 1


def test_the_same_order_from_fifty_senders_at_once_is_one_order(shop: ShopServer) -> None:
    with ThreadPoolExecutor(50) as senders:
        found = list(senders.map(lambda _: shop.post("/orders", order_body("fifty-1")), range(50)))
    assert Counter(answer.status_code for answer in found) == {201: 1, 200: 49}
    assert len({answer.text for answer in found}) == 1
    assert shop.types(id_of("fifty-1")).count("order.placed.v2") == 1


def test_another_content_under_the_same_number_is_refused_and_reported_once(shop: ShopServer) -> None:
    shop.place("conflict-1")
    other = order_body("conflict-1", customer="somebody else")
    for _ in range(2):
        assert "another content" in refused(shop.post("/orders", other), 409)
    assert shop.types(id_of("conflict-1")).count("order.intake_conflicted.v1") == 1
    assert shop.order_when(id_of("conflict-1"), lambda order: order["conflicts"] == 1)["customer"] == "17850"


def test_skus_are_folded_and_amounts_are_exact(shop: ShopServer) -> None:
    shop.receive("for-folding", sku="FOLD-A")
    lines = [{"sku": "fold-a", "quantity": 3, "unit_price": "0.335"}]
    charges = [{"kind": "discount", "amount": "-0.01"}]
    order_id = shop.place("folded-1", lines=lines, charges=charges, total="1.00")
    order = shop.order_in(order_id, "completed")
    assert order["lines"][0]["sku"] == "FOLD-A"
    assert order["total_minor"] == 100
    yen = [{"sku": "FOLD-A", "quantity": 1, "unit_price": "500"}]
    order_id = shop.place("yen-1", currency="JPY", lines=yen, charges=[], total="500")
    assert shop.order_in(order_id, "completed")["total"] == "500"


def test_an_order_that_does_not_add_up_is_taken_and_then_rejected(shop: ShopServer) -> None:
    order_id = shop.place("wrong-total-1", total="18.81")
    assert shop.order_in(order_id, "rejected")["problems"][0]["code"] == "total_mismatch"


# --- commands on orders ----------------------------------------------------------------------------------------------


def test_an_order_that_waits_can_be_cancelled_once(shop: ShopServer) -> None:
    shop.receive("for-cancel", sku="SCARCE-1", quantity=1)
    order_id = shop.place("cancel-1", lines=[{"sku": "SCARCE-1", "quantity": 5, "unit_price": "3.06"}])
    shop.held_order(order_id, "backorder")
    first = shop.post(f"/orders/{order_id}/cancel", {"reason": "waited too long"})
    assert first.status_code == 200
    assert first.json()["changed"]
    assert first.json()["events"] == ["order.cancellation_requested.v1", "order.allocation_release_requested.v1"]
    assert shop.get(f"/orders/{order_id}?min_position={first.json()['position']}").status_code == 200
    shop.order_in(order_id, "cancelled")
    again = shop.post(f"/orders/{order_id}/cancel", {"reason": "waited too long"}).json()
    assert (again["changed"], again["position"], again["events"]) == (False, None, [])


def test_an_order_that_has_left_is_not_cancelled_and_not_corrected(shop: ShopServer) -> None:
    order_id = shop.place("left-1")
    shop.order_in(order_id, "completed")
    assert refused(shop.post(f"/orders/{order_id}/cancel", {"reason": "too late"}), 409) == (
        "The order is completed already."
    )
    refused(shop.post(f"/orders/{order_id}/correct", {"ship_to": ADDRESS}), 409)
    assert "nothing to hold" in refused(shop.post(f"/orders/{order_id}/holds", {"note": "look again"}), 409)


def test_a_hold_placed_by_hand_stops_the_order_until_it_is_released(shop: ShopServer) -> None:
    shop.receive("for-hold", sku="HOLD-1", quantity=1)
    order_id = shop.place("hold-1", lines=[{"sku": "HOLD-1", "quantity": 5, "unit_price": "3.06"}])
    shop.held_order(order_id, "backorder")
    held = shop.post(f"/orders/{order_id}/holds", {"hold": "fraud", "note": "Three cards in one hour."})
    assert held.json()["events"] == ["order.held.v1"]
    again = shop.post(f"/orders/{order_id}/holds", {"hold": "fraud", "note": "Three cards in one hour."})
    assert not again.json()["changed"]
    shop.receive("for-hold-2", sku="HOLD-1", quantity=9)
    waiting = shop.order_in(order_id, "confirmed")
    assert (waiting["holds"], waiting["fulfillments"]) == (["fraud"], {})
    released = shop.post(f"/orders/{order_id}/holds/fraud/release")
    assert released.json()["events"] == ["order.hold_released.v1", "order.fulfillment_requested.v1"]
    assert not shop.post(f"/orders/{order_id}/holds/fraud/release").json()["changed"]
    shop.order_in(order_id, "completed")


def test_nobody_can_wish_a_backorder_away(shop: ShopServer) -> None:
    shop.receive("for-wishing", sku="WISH-1", quantity=1)
    order_id = shop.place("wish-1", lines=[{"sku": "WISH-1", "quantity": 5, "unit_price": "3.06"}])
    shop.held_order(order_id, "backorder")
    assert "Only stock ends a backorder" in refused(shop.post(f"/orders/{order_id}/holds/backorder/release"), 409)


def test_a_declined_payment_goes_on_with_another_token(shop: ShopServer) -> None:
    order_id = shop.place("declined-1", payment_token="tok_decline")
    shop.held_order(order_id, "payment")
    shop.post(f"/orders/{order_id}/holds/payment/release", {"payment_token": "tok_ok"})
    assert shop.order_in(order_id, "completed")["captured_minor"] == 1880


def test_an_address_that_holds_the_order_is_corrected(shop: ShopServer) -> None:
    order_id = shop.place("address-1", ship_to={**ADDRESS, "postal_code": "no such code"})
    shop.held_order(order_id, "address")
    still_wrong = shop.post(f"/orders/{order_id}/correct", {"ship_to": {**ADDRESS, "city": ""}})
    assert still_wrong.json()["events"] == ["order.corrected.v1", "order.held.v1"]
    # The other half stays as it was corrected last: a contact alone does not mend the address.
    contact = {**CONTACT, "email": "new@example.org"}
    assert "order.held.v1" in shop.post(f"/orders/{order_id}/correct", {"contact": contact}).json()["events"]
    mended = shop.post(f"/orders/{order_id}/correct", {"ship_to": ADDRESS})
    assert mended.json()["events"][:3] == ["order.corrected.v1", "order.hold_released.v1", "order.accepted.v1"]
    shop.order_in(order_id, "completed")


def test_a_buyer_confirms_or_fails_at_the_sandbox(shop: ShopServer) -> None:
    confirmed, failed = (shop.place(number, payment_token="tok_action") for number in ("action-1", "action-2"))
    for order_id in (confirmed, failed):
        shop.order_when(order_id, lambda order: order["payment"] == "action_required")
    assert shop.post(f"/sandbox/payments/{confirmed}/complete").json()["changed"]
    assert shop.post(f"/sandbox/payments/{failed}/fail").json()["changed"]
    shop.order_in(confirmed, "completed")
    shop.held_order(failed, "payment")
    assert "waits for its buyer" in refused(shop.post(f"/sandbox/payments/{confirmed}/complete"), 409)
    refused(shop.post(f"/sandbox/payments/{id_of('never-sent')}/complete"), 404)


@pytest.mark.parametrize("order_id", [id_of("never-placed"), "1", "%00", "..%2F..", "x" * 500])
def test_there_is_no_such_order(shop: ShopServer, order_id: str) -> None:
    refused(shop.get(f"/orders/{order_id}"), 404)
    refused(shop.get(f"/orders/{order_id}/timeline"), 404)
    refused(shop.post(f"/orders/{order_id}/cancel", {"reason": "why not"}), 404)
    refused(shop.post(f"/orders/{order_id}/correct", {"ship_to": ADDRESS}), 404)
    refused(shop.post(f"/orders/{order_id}/holds", {"note": "why not"}), 404)
    refused(shop.post(f"/orders/{order_id}/holds/manual/release"), 404)
    refused(shop.post(f"/fulfillments/{order_id}-main/pick"), 404 if len(order_id) != 36 else 409)
    refused(shop.get(f"/fulfillments/{order_id}-main/label.pdf"), 404)


def test_an_order_that_was_asked_for_too_early_is_found_later(shop: ShopServer) -> None:
    order_id = id_of("early-1")
    refused(shop.post(f"/orders/{order_id}/cancel", {"reason": "too early"}), 404)
    shop.place("early-1", payment_token="tok_decline")
    shop.held_order(order_id, "payment")
    assert shop.post(f"/orders/{order_id}/cancel", {"reason": "in time"}).json()["changed"]


# --- stock -----------------------------------------------------------------------------------------------------------


def test_a_report_is_taken_once_and_its_reference_not_reused(shop: ShopServer) -> None:
    first = shop.post("/stock/receipts", receipt_body("delivery-1", "ONCE-1", 10))
    again = shop.post("/stock/receipts", receipt_body("delivery-1", "ONCE-1", 10))
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    refused(shop.post("/stock/receipts", receipt_body("delivery-1", "ONCE-1", 11)), 409)
    # The reference is the kind's own: an announcement may have the same.
    assert shop.post("/stock/expected", receipt_body("delivery-1", "ONCE-1", 4)).status_code == 201
    row = shop.stock_when("once-1", lambda row: row["totals"]["incoming"] == 4)
    assert row["totals"]["on_hand"] == 10
    assert [movement["movement"] for movement in row["movements"]] == ["received", "expected"]


def test_lines_of_one_article_add_up(shop: ShopServer) -> None:
    lines = [{"sku": "many-1", "location": place, "quantity": 2} for place in (LONDON, "MAN", LONDON)]
    shop.post("/stock/receipts", {"reference": "many-1", "lines": lines})
    row = shop.stock_when("MANY-1", lambda row: row["totals"]["on_hand"] == 6)
    assert {name: balance["on_hand"] for name, balance in row["locations"].items()} == {LONDON: 4, "MAN": 2}
    too_many = [{"sku": "MANY-1", "quantity": 10_000_000}] * 2
    refused(shop.post("/stock/receipts", {"reference": "many-2", "lines": too_many}), 422)


def test_a_count_adjusts_what_is_on_hand(shop: ShopServer) -> None:
    shop.receive("for-count", sku="COUNT-1", quantity=10)
    lines = [{"sku": "COUNT-1", "location": LONDON, "quantity": -3}]
    answer = shop.post("/stock/adjustments", {"reference": "count-1", "reason": "broken", "lines": lines})
    assert answer.status_code == 201
    assert shop.stock_when("COUNT-1", lambda row: row["totals"]["on_hand"] == 7)


def test_a_reservation_holds_stock_until_it_is_released(shop: ShopServer) -> None:
    shop.receive("for-reservation", sku="HELD-1", quantity=10)
    body = {"reservation_id": "basket 7/ü", "lines": [{"sku": "held-1", "quantity": 4}], "ttl_s": 600}
    assert shop.post("/stock/reservations", body).status_code == 201
    shop.stock_when("HELD-1", lambda row: row["totals"]["reserved"] == 4)
    gone = shop.http.delete("/stock/reservations/basket%207%2F%C3%BC")
    assert gone.status_code == 200, gone.text
    assert gone.json()["changed"]
    shop.stock_when("HELD-1", lambda row: row["totals"]["reserved"] == 0)
    assert not shop.http.delete("/stock/reservations/basket%207%2F%C3%BC").json()["changed"]
    refused(shop.http.delete("/stock/reservations/never"), 404)


def test_a_threshold_says_what_is_low(shop: ShopServer) -> None:
    shop.receive("for-threshold", sku="LOW-1", quantity=40)
    body = {"reference": "thresholds-1", "thresholds": [{"sku": "low-1", "threshold": 50}]}
    assert shop.http.put("/stock/thresholds", json=body).status_code == 201
    row = shop.stock_when("LOW-1", lambda row: row["low"])
    assert (row["threshold"], row["totals"]["available"]) == (50, 40)
    assert "LOW-1" in [one["sku"] for one in shop.get("/stock?low=true&limit=500").json()["stock"]]
    body = {"reference": "thresholds-2", "thresholds": [{"sku": "a", "threshold": 1}, {"sku": "A", "threshold": 2}]}
    refused(shop.http.put("/stock/thresholds", json=body), 422)


# --- queries ---------------------------------------------------------------------------------------------------------


def test_orders_are_found_by_number_customer_status_and_hold(shop: ShopServer) -> None:
    order_id = shop.place("findable-1", channel="phone", customer="C/1:x", payment_token="tok_decline")
    shop.held_order(order_id, "payment")
    for query in ("channel=phone&number=findable-1", "channel=phone&customer=C/1:x", "status=accepted", "hold=payment"):
        found = shop.get(f"/orders?{query}&limit=500").json()["orders"]
        assert order_id in [order["order_id"] for order in found], query
    assert shop.get("/orders?channel=phone&number=other").json() == {"orders": [], "next": None}
    for query in ("channel=phone", "number=1", "customer=1", "status=placed&hold=manual", "status="):
        refused(shop.get(f"/orders?{query}"), 422)


def test_pages_are_walked_to_the_end_without_gap_or_double(shop: ShopServer) -> None:
    placed = [shop.place(f"page-{number}", channel="pages", customer="walker") for number in range(7)]
    shop.order_in(placed[-1], "completed")
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        params = {"channel": "pages", "customer": "walker", "limit": "3", **({"cursor": cursor} if cursor else {})}
        page = shop.get("/orders", params=params).json()
        seen += [order["order_id"] for order in page["orders"]]
        cursor = page["next"]
    assert seen == placed[::-1]
    refused(shop.get("/orders?limit=501"), 422)
    refused(shop.get("/orders?limit=x"), 422)


def test_answers_have_the_shapes_that_the_description_promises(shop: ShopServer) -> None:
    order_id = shop.place("shapes-1")
    shop.order_in(order_id, "completed")
    answers.Order.model_validate(shop.get(f"/orders/{order_id}").json())
    answers.Timeline.model_validate(shop.get(f"/orders/{order_id}/timeline").json())
    answers.OrderPage.model_validate(shop.get("/orders").json())
    answers.Stock.model_validate(shop.get(f"/stock/{HOLDER}").json())
    answers.StockPage.model_validate(shop.get("/stock").json())
    answers.Summary.model_validate(shop.get("/summary").json())


def test_no_query_shows_personal_data(shop: ShopServer) -> None:
    order_id = shop.place("private-1", ship_to={**ADDRESS, "postal_code": "no such code"})
    shop.held_order(order_id, "address")
    paths = [f"/orders/{order_id}", f"/orders/{order_id}/timeline", "/orders", "/summary", "/metrics", "/healthz"]
    for path in paths:
        assert not [secret for secret in SECRETS if secret in shop.get(path).text], path


def test_health_and_metrics_tell_that_all_is_well(shop: ShopServer) -> None:
    def is_idle() -> dict[str, Any] | None:
        health: dict[str, Any] = shop.get("/healthz").json()
        return health if health["ok"] and not any(health["lag"].values()) else None

    health = eventually(is_idle)
    assert {"order", "payment.calls", "inventory", "shipping", "order_status", "stock_levels"} <= set(health["lag"])
    metrics = shop.get("/metrics")
    assert metrics.headers["content-type"].startswith("text/plain")
    assert 'waybill_consumer_lag_positions{consumer="order_status"} 0.0' in metrics.text


def test_the_description_names_every_route_and_loads_nothing(shop: ShopServer) -> None:
    description = shop.get("/openapi.json").json()
    wanted = {"/orders", "/orders/{order_id}/cancel", "/stock/receipts", "/stock/{sku}", "/events", "/healthz"}
    assert wanted <= set(description["paths"])
    for path, methods in description["paths"].items():
        for method, route in methods.items():
            named = set(route["responses"])
            assert named - {"422"}, (method, path)
            if method in {"post", "put"} and not path.startswith(("/sandbox", "/fulfillments")):
                assert "requestBody" in route, path
    refused(shop.get("/docs"), 404)


# --- bad input -------------------------------------------------------------------------------------------------------

WRONG_BODIES: dict[str, Any] = {
    "a list": [],
    "a text": "order",
    "nothing": None,
    "empty": {},
    "unknown currency": order_body("bad", currency="XXX"),
    "small currency": order_body("bad", currency="gbp"),
    "too many decimals": order_body("bad", total="18.801"),
    "a number as total": order_body("bad", total=18.80),
    "an exponent as total": order_body("bad", total="1e400"),
    "no lines": order_body("bad", lines=[]),
    "too many lines": order_body("bad", lines=[{"sku": "A", "quantity": 1, "unit_price": "1"}] * 2_001),
    "negative quantity": order_body("bad", lines=[{"sku": "A", "quantity": -1, "unit_price": "1"}]),
    "absurd quantity": order_body("bad", lines=[{"sku": "A", "quantity": 10**30, "unit_price": "1"}]),
    "half a unit": order_body("bad", lines=[{"sku": "A", "quantity": 1.5, "unit_price": "1"}]),
    "a SKU of blanks": order_body("bad", lines=[{"sku": "  ", "quantity": 1, "unit_price": "1"}]),
    "a price with a comma": order_body("bad", lines=[{"sku": "A", "quantity": 1, "unit_price": "1,50"}]),
    "a number as number": order_body("bad") | {"number": 5},
    "a line break in the channel": order_body("bad", channel="a\nb"),
    "NUL in the number": order_body("bad\0"),
    "NUL in the address": order_body("bad", ship_to={**ADDRESS, "lines": ["1 Example\0Street"]}),
    "no address": {name: value for name, value in order_body("bad").items() if name != "ship_to"},
    "an address as text": order_body("bad", ship_to=SECRETS[3]),
    "a phone as number": order_body("bad", contact={"name": SECRETS[0], "phone": 4420}),
    "a name as a field": order_body("bad", contact={"name": "x", SECRETS[0]: SECRETS[1]}),
    "too long a name": order_body("bad", contact={"name": SECRETS[0] * 100}),
    "six address lines": order_body("bad", ship_to={**ADDRESS, "lines": [SECRETS[3]] * 6}),
    "a country's name": order_body("bad", ship_to={**ADDRESS, "country": SECRETS[0]}),
}


@pytest.mark.parametrize("body", WRONG_BODIES.values(), ids=WRONG_BODIES)
def test_a_wrong_order_is_refused_in_words_without_repeating_it(shop: ShopServer, body: Any) -> None:
    answer = shop.http.post("/orders", content=json.dumps(body), headers={"Content-Type": "application/json"})
    refused(answer, 422)
    assert answer.json()["problems"]
    assert not [secret for secret in SECRETS if secret in answer.text]


NOT_JSON: dict[str, bytes] = {
    "nothing": b"",
    "half": b'{"channel": "web"',
    "garbage": bytes(range(256)),
    "invalid UTF-8": b'{"channel": "\xff\xfe"}',
    "NaN": b'{"channel": NaN, "total": Infinity}',
    "endless digits": b'{"channel": ' + b"9" * 10_000 + b"}",
    "deep nesting": b"[" * 100_000,
    "deep and closed": b'{"lines":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    "half a surrogate": rb'{"channel": "\ud800", "number": "\udfff"}',
    "half a surrogate as a field": rb'{"\ud800": 1}',
    "UTF-16": '{"channel": "web"}'.encode("utf-16"),
    "the same field twice": b'{"channel": "a", "channel": "b"}',
}


@pytest.mark.parametrize("content", NOT_JSON.values(), ids=NOT_JSON)
@pytest.mark.parametrize("path", ["/orders", "/stock/receipts"])
def test_what_is_not_json_is_refused_in_words(shop: ShopServer, path: str, content: bytes) -> None:
    answer = shop.http.post(path, content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422), answer.text
    assert set(answer.json()) == REFUSAL
    assert answer.json()["message"].endswith(".")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "multipart/form-data; boundary=x"},
        {"Content-Type": "application/json; charset=latin-1"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
        {"Content-Type": "\xff"},
    ],
    ids=str,
)
def test_another_type_of_content_is_refused(shop: ShopServer, headers: dict[str, str]) -> None:
    sent = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    request = httpx.Request("POST", shop.url + "/orders", content=json.dumps(order_body("type-1")), headers=sent)
    refused(shop.http.send(request), 415)


def test_json_by_another_name_is_taken(shop: ShopServer) -> None:
    content = json.dumps(order_body("type-2"))
    headers = {"Content-Type": "application/vnd.shop+json; charset=UTF-8"}
    assert shop.http.post("/orders", content=content, headers=headers).status_code == 201


def test_a_body_that_is_too_large_is_not_taken_in_either_way(shop: ShopServer) -> None:
    padding = b" " * 3_000_000
    headers = {"Content-Type": "application/json"}
    assert "larger than 1,000,000 bytes" in refused(shop.http.post("/orders", content=padding, headers=headers), 413)
    chunks = (b" " * 100_000 for _ in range(30))
    refused(shop.http.post("/orders", content=chunks, headers=headers), 413)
    fits = json.dumps(order_body("large-1")).encode().ljust(1_000_000)
    assert shop.http.post("/orders", content=fits, headers=headers).status_code == 201


@pytest.mark.parametrize("name", ["Idempotency-Key", "X-Request-Id"])
@pytest.mark.parametrize("value", ["x" * 101, "with blank", "ü"])
def test_a_request_s_name_must_fit_into_the_log(shop: ShopServer, name: str, value: str) -> None:
    headers = [(name.encode(), value.encode())]
    refused(shop.http.post("/orders", json=order_body("named-1"), headers=headers), 422)


def test_a_page_of_another_site_may_not_change_anything(shop: ShopServer) -> None:
    for site in ("cross-site", "same-site"):
        headers = {"Sec-Fetch-Site": site}
        refused(shop.http.post("/orders", json=order_body("foreign-1"), headers=headers), 403)
    own = {"Sec-Fetch-Site": "same-origin"}
    assert shop.http.post("/orders", json=order_body("own-1"), headers=own).status_code == 201


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/no/such", 404), ("PATCH", "/orders", 405)])
def test_an_address_that_does_not_exist_is_said_so_in_words(
    shop: ShopServer, method: str, path: str, status: int
) -> None:
    assert "/openapi.json" in refused(shop.http.request(method, path), status)


def test_nothing_personal_is_logged_whatever_is_sent(shop: ShopServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    shop.post("/orders", order_body("logged-1"))
    shop.post("/orders", order_body("logged-1", customer="another"))
    for body in WRONG_BODIES.values():
        shop.http.post("/orders", content=json.dumps(body), headers={"Content-Type": "application/json"})
    shop.order_in(id_of("logged-1"), "completed")
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
    assert not [secret for secret in SECRETS if any(secret in message for message in ours)]


def test_an_order_s_events_are_all_in_its_timeline(shop: ShopServer) -> None:
    order_id = shop.place("timeline-1")
    shop.order_in(order_id, "completed")
    head = shop.house.store.last_position()
    events = shop.get(f"/orders/{order_id}/timeline?min_position={head}").json()["events"]
    own = [recorded.type for recorded in shop.house.store.read_stream(order_stream(order_id))]
    assert [event["type"] for event in events if event["type"].startswith("order.")] == own
    assert [event["position"] for event in events] == sorted(event["position"] for event in events)
