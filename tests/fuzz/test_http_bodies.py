"""Any bytes as a body: taken, or refused in words that repeat nothing of it. Never a 5xx, and nobody chokes on it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.audit.verify import verify
from tests.fuzz.budget import looking_at
from tests.fuzz.spoil import bytestrings, trees
from tests.shop_server import SECRETS, ShopServer, eventually, id_of, order_body, shop_server

ORDER_ID = id_of("spoiled")
LINES = [{"sku": "SPOILED-1", "location": "main", "quantity": 3}]
RIGHT: dict[str, Any] = {
    "POST /orders": order_body("spoiled"),
    f"POST /orders/{ORDER_ID}/cancel": {"reason": "changed my mind"},
    f"POST /orders/{ORDER_ID}/correct": {"contact": order_body("")["contact"], "ship_to": order_body("")["ship_to"]},
    f"POST /orders/{ORDER_ID}/holds": {"hold": "fraud", "note": "Three cards in one hour."},
    f"POST /orders/{ORDER_ID}/holds/fraud/release": {"payment_token": "tok_ok"},
    "POST /stock/receipts": {"reference": "spoiled", "lines": LINES},
    "POST /stock/expected": {"reference": "spoiled", "lines": LINES},
    "POST /stock/adjustments": {"reference": "spoiled", "reason": "counted", "lines": LINES},
    "PUT /stock/thresholds": {"reference": "spoiled", "thresholds": [{"sku": "SPOILED-1", "threshold": 5}]},
    "POST /stock/reservations": {
        "reservation_id": "spoiled",
        "lines": [{"sku": "SPOILED-1", "quantity": 2}],
        "ttl_s": 9,
    },
}
ANSWERS = {200, 201, 400, 404, 409, 413, 422}
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShopServer]:
    with shop_server(tmp_path_factory.mktemp("shop") / "home") as server:
        server.receive("opening stock")
        server.place("spoiled", payment_token="tok_decline")
        yield server
        health = eventually(lambda: is_idle(server))
        assert (health["ok"], health["parked"]) == (True, 0), health
        verdict = verify(server.house.store)
        assert verdict.ok, verdict.violations


def is_idle(server: ShopServer) -> dict[str, Any] | None:
    health: dict[str, Any] = server.get("/healthz").json()
    return health if not any(health["lag"].values()) else None


def send(shop: ShopServer, request: str, content: bytes) -> None:
    method, path = request.split()
    answer = shop.http.request(method, path, content=content, headers=JSON)
    assert answer.status_code in ANSWERS, (answer.status_code, answer.text)
    assert not [secret for secret in SECRETS if secret in answer.text]
    if answer.status_code >= 400:
        assert set(answer.json()) == {"message", "problems"}
        assert answer.json()["message"].endswith(".")


@pytest.mark.parametrize("request_line", RIGHT)
def test_a_body_that_is_a_little_wrong(request_line: str, shop: ShopServer) -> None:
    @looking_at(40)
    @given(body=trees(RIGHT[request_line]), ascii_only=st.booleans())
    def ask(body: Any, ascii_only: bool) -> None:
        send(shop, request_line, json.dumps(body, ensure_ascii=ascii_only).encode(errors="surrogatepass"))

    ask()


@pytest.mark.parametrize("request_line", ["POST /orders", "POST /stock/receipts", "PUT /stock/thresholds"])
def test_bytes_that_are_a_little_wrong(request_line: str, shop: ShopServer) -> None:
    @looking_at(40)
    @example(content=b"\xff")  # was answered in the framework's words
    @given(content=bytestrings(json.dumps(RIGHT[request_line]).encode()) | st.binary(max_size=30))
    def ask(content: bytes) -> None:
        send(shop, request_line, content)

    ask()


@pytest.mark.parametrize("quantity", [True, False, "7", "1e1", 1.5, None])
def test_what_is_no_number_is_no_quantity(quantity: Any, shop: ShopServer) -> None:
    """`true` was one unit, and "7" were seven."""
    for path, line in {"receipts": {"quantity": quantity}, "adjustments": {"quantity": quantity}}.items():
        body = {"reference": "no number", "lines": [{"sku": "SPOILED-2", **line}]}
        answer = shop.post(f"/stock/{path}", body | ({"reason": "counted"} if path == "adjustments" else {}))
        assert answer.status_code == 422, answer.text
    thresholds = {"reference": "no number", "thresholds": [{"sku": "SPOILED-2", "threshold": quantity}]}
    assert shop.http.put("/stock/thresholds", json=thresholds).status_code == 422


def test_a_wrong_name_of_a_request_is_refused_where_nothing_is_left_to_do_as_well(shop: ShopServer) -> None:
    body = {"reservation_id": "released", "lines": [{"sku": "SPOILED-3", "quantity": 1}]}
    assert shop.post("/stock/reservations", body).status_code == 201
    for status, name in ((200, "one"), (200, "two"), (422, "three words here")):
        gone = shop.http.delete("/stock/reservations/released", headers={"Idempotency-Key": name})
        assert gone.status_code == status, gone.text


def test_an_address_names_all_the_methods_that_it_takes(shop: ShopServer) -> None:
    assert shop.http.request("OPTIONS", "/orders").headers["Allow"] == "GET, POST"
    assert shop.http.request("PATCH", "/summary").headers["Allow"] == "GET"
