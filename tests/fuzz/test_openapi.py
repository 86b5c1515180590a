"""What the API says of itself is true: schemathesis asks for everything in every way, right and wrong.

Every answer has a status code, a content type and a shape that /openapi.json declares, none is a 5xx, and what the
description forbids is refused. Whatever was taken keeps the workers working and the laws whole.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import example, given
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    positive_data_acceptance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from services.audit.verify import verify
from services.runtime.settings import Warehouse
from tests.e2e.processes import serving
from tests.fuzz.budget import FACTOR, looking_at
from tests.shop_server import ShopServer, eventually, shop_server

OPERATIONS = (
    "POST /orders",
    "GET /orders",
    "GET /orders/{order_id}",
    "GET /orders/{order_id}/timeline",
    "POST /orders/{order_id}/cancel",
    "POST /orders/{order_id}/correct",
    "POST /orders/{order_id}/holds",
    "POST /orders/{order_id}/holds/{hold}/release",
    "POST /stock/receipts",
    "POST /stock/expected",
    "POST /stock/adjustments",
    "PUT /stock/thresholds",
    "POST /stock/reservations",
    "DELETE /stock/reservations/{reservation_id}",
    "GET /stock",
    "GET /stock/{sku}",
    "POST /fulfillments/{fulfillment_id}/{step}",
    "GET /fulfillments/{fulfillment_id}/{paper}.pdf",
    "POST /sandbox/payments/{order_id}/complete",
    "POST /sandbox/payments/{order_id}/fail",
    "GET /insights",
    "GET /summary",
    "GET /healthz",
    "GET /metrics",
)
A_STREAM = "GET /events"  # never ends: see below
TAKES_ANYTHING = (
    "GET /insights",
    "POST /sandbox/payments/{order_id}/complete",
    "POST /sandbox/payments/{order_id}/fail",
    "GET /summary",
    "GET /healthz",
    "GET /metrics",
)

# What is right for the description may be wrong for a rule that no schema can say.
STRICTER_THAN_THEIR_SCHEMA = {
    "POST /orders": "the decimals of amounts depend on the currency",
    "GET /orders": "some filters belong together, others exclude each other",
    "POST /orders/{order_id}/correct": "nothing to correct is a mistake",
    "PUT /stock/thresholds": "a SKU has one threshold",
    "POST /stock/receipts": "lines of one SKU add up, and the sum has a bound",
    "POST /stock/expected": "lines of one SKU add up, and the sum has a bound",
    "POST /stock/adjustments": "lines of one SKU add up, and the sum has a bound",
    "POST /stock/reservations": "lines of one SKU add up, and the sum has a bound",
}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]


class Shop:
    """A shop with orders in many states, and its description."""

    def __init__(self, server: ShopServer) -> None:
        self.server = server
        self.schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
        self.ids = self._orders()

    def operation(self, label: str) -> Any:
        found = self.schema.find_operation_by_label(label)
        assert found is not None, f"{label} is not described"
        return found

    def _orders(self) -> dict[str, list[str]]:
        """Real ids, so that requests get past "there is no such thing"."""
        self.server.receive("opening stock", quantity=50)
        tokens = {"plain": "tok_ok", "declined": "tok_decline", "action": "tok_action"}
        orders = [self.server.place(number, payment_token=token) for number, token in tokens.items()]
        order = self.server.order_when(orders[0], lambda order: bool(order["fulfillments"]))
        self.server.held_order(orders[1], "payment")
        self.server.order_when(orders[2], lambda order: order["payment"] == "action_required")
        return {"order_id": orders, "fulfillment_id": list(order["fulfillments"])}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    home = tmp_path_factory.mktemp("shop") / "home"
    with shop_server(home, warehouse=Warehouse.MANUAL) as server:
        yield Shop(server)
        is_well(server)


def is_well(server: ShopServer) -> None:
    """Whatever was taken in was digested: nothing parked, nobody behind, every law whole."""

    def is_idle() -> dict[str, Any] | None:
        health: dict[str, Any] = server.get("/healthz").json()
        return health if not any(health["lag"].values()) else None

    health = eventually(is_idle)
    assert (health["ok"], health["parked"]) == (True, 0), health
    verdict = verify(server.house.store)
    assert verdict.ok, verdict.violations


def test_every_operation_is_asked_for(shop: Shop) -> None:
    described = {result.ok().label for result in shop.schema.get_all_operations() if isinstance(result, Ok)}
    assert described == {*OPERATIONS, A_STREAM}


@pytest.mark.parametrize("label", OPERATIONS)
def test_what_is_right_is_answered_as_described(label: str, shop: Shop) -> None:
    operation = shop.operation(label)
    checks = [*CHECKS, *([] if label in STRICTER_THAN_THEIR_SCHEMA else [positive_data_acceptance])]

    @looking_at(10)
    @given(case=operation.as_strategy(generation_mode=GenerationMode.POSITIVE), data=st.data())
    def ask(case: Case[Any], data: st.DataObject) -> None:
        for name, known in shop.ids.items():
            if name in case.path_parameters:
                case.path_parameters[name] = data.draw(st.sampled_from([*known, case.path_parameters[name]]))
        if label == "POST /orders" and isinstance(case.body, dict):
            case.body = in_pounds(case.body)
        within_reach(case)
        answer = case.call_and_validate(checks=checks, timeout=20)
        if answer.status_code == 201:
            again = case.call(timeout=20)
            assert (again.status_code, again.json()) == (200, answer.json())

    ask()


@pytest.mark.parametrize("label", [label for label in OPERATIONS if label not in TAKES_ANYTHING])
def test_what_is_wrong_is_refused_as_described(label: str, shop: Shop) -> None:
    operation = shop.operation(label)

    @looking_at(10)
    @given(case=operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))
    def ask(case: Case[Any]) -> None:
        within_reach(case)
        case.call_and_validate(checks=CHECKS, timeout=20)

    ask()


def in_pounds(order: dict[str, Any]) -> dict[str, Any]:
    """The order in a currency that exists, and amounts without decimals: it gets past the door."""
    charges = [{**charge, "amount": charge["amount"].partition(".")[0]} for charge in order.get("charges", [])]
    return {**order, "currency": "GBP", "total": order["total"].partition(".")[0], "charges": charges}


def within_reach(case: Case[Any]) -> None:
    """Waiting four seconds for a position that is not there yet answers 503, rightly: that is tested elsewhere."""
    wanted = case.query.get("min_position")
    if isinstance(wanted, int) and 0 < wanted < 2**63:
        case.query["min_position"] = 1


# --- the stream ------------------------------------------------------------------------------------------------------


@looking_at(20)
@example(last="1" * 30)
@example(last="-1")
@example(last="99999999999999999999")
@example(last="")
@given(last=st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=40).map(str.strip))
def test_a_stream_begins_after_any_last_event_id(last: str, shop: Shop) -> None:
    header = [(b"Last-Event-ID", last.encode("latin-1"))]
    with shop.server.http.stream("GET", "/events", headers=header) as answer:
        status, kind = answer.status_code, answer.headers["content-type"].partition(";")[0]
        first = next(answer.iter_lines())
    assert (status, kind) == ((200, "text/event-stream") if len(last) <= 30 else (422, "application/json")), first
    described = shop.server.get("/openapi.json").json()["paths"]["/events"]["get"]["responses"]
    assert list(described[str(status)]["content"]) == [kind]


# --- the served port -------------------------------------------------------------------------------------------------

CONFIGURATION = """
[parameters]
"query.min_position" = 0

# A POST to a paper is a POST to a step that is called "label.pdf": refused with 422, not with 405.
[[operations]]
include-path = "/fulfillments/{fulfillment_id}/{paper}.pdf"
checks.unsupported_method.enabled = false
checks.allow_header_conformance.enabled = false

# "receipts" might be a SKU: /stock/receipts takes GET as well, and says so.
[[operations]]
include-path-regex = "^/stock/"
checks.allow_header_conformance.enabled = false
"""


@pytest.mark.slow
def test_every_edge_of_the_description_holds_on_a_served_port(home: Path, tmp_path: Path) -> None:
    """schemathesis' own command, at every boundary of every parameter and field, and every other method."""
    (tmp_path / "schemathesis.toml").write_text(CONFIGURATION)
    phases = "coverage" if FACTOR == 1 else "coverage,fuzzing"
    with serving(home) as (_, url):
        run = subprocess.run(
            [
                Path(sys.executable).with_name("schemathesis"), "--config-file", tmp_path / "schemathesis.toml",
                "run", f"{url}/openapi.json", f"--phases={phases}", "--exclude-path=/events", "--no-color",
                "--exclude-checks=positive_data_acceptance", "--generation-deterministic", "--warnings=off",
            ],
            cwd=tmp_path, capture_output=True, text=True, timeout=170, check=False,
        )  # fmt: skip
        assert run.returncode == 0, run.stdout[-8_000:]
        health = httpx.get(f"{url}/healthz").json()
        assert (health["ok"], health["parked"]) == (True, 0), health
