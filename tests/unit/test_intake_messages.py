"""What a message of the intake topic must be like, and what is said of it where it is not."""

from __future__ import annotations

from base64 import b64encode
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.incoming import Incoming
from events.order import OrderKey, order_stream
from services.gateway.arrivals import Arrival
from services.gateway.intake_messages import Refused, arrival_of
from services.gateway.requests import OrderBody
from services.runtime.decider import Cause
from tests.examples import NOON
from tests.intake import BINARY, binary, message, structured
from tests.shop_server import SECRETS, order_body

ORDER = OrderKey("web", "7").order_id
PLACED = OrderBody.model_validate(order_body("7")).placed()
MAX_BYTES = 100_000


def read(one: Incoming) -> Arrival:
    return arrival_of(one, NOON, MAX_BYTES)


def refusal(one: Incoming) -> str:
    with pytest.raises(Refused) as refused:
        read(one)
    return str(refused.value)


def with_header(name: str, value: bytes | None) -> Incoming:
    """A good binary message with one header in another's place, or without it."""
    kept = [(key, raw) for key, raw in binary(order_body("7")).headers if key != name]
    return binary(order_body("7"), headers=kept if value is None else [*kept, (name, value)])


# --- what is taken ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "one",
    [
        binary(order_body("7")),
        with_header("ce_type", b"order.placed.v2"),
        with_header("content-type", b"application/json; charset=UTF-8"),
        with_header("content-type", None),
        structured(order_body("7")),
        structured(order_body("7"), type="order.placed.v2", datacontenttype="application/json", subject="anything"),
        structured(None, data_base64=b64encode(orjson.dumps(order_body("7"))).decode()),
    ],
    ids=["binary", "version", "charset", "untyped", "structured", "attributes", "base64"],
)
def test_an_order_is_taken_in_either_mode(one: Incoming) -> None:
    assert read(one) == Arrival(order_stream(ORDER), PLACED, Cause(NOON, ORDER, "/shop#evt-1", "intake"))


def test_names_of_headers_may_be_in_capitals() -> None:
    assert read(binary(order_body("7"), headers=[(name.upper(), raw) for name, raw in BINARY])).event == PLACED


@pytest.mark.parametrize(
    ("id_", "source"), [("x" * 100, "/shop"), ("order 7", "/shop"), ("7", "/Läden"), ("7\n8", "/shop")]
)
def test_a_name_that_does_not_fit_into_the_log_is_replaced_by_the_place(id_: str, source: str) -> None:
    assert read(structured(order_body("7"), id=id_, source=source)).cause.causation_id == "waybill.intake/3/14"


# --- what is not -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (message(b"hello", []), "it is no CloudEvent"),
        (message(None, []), "it is no CloudEvent"),
        (message(b"x" * (MAX_BYTES + 1), BINARY), "larger than 100,000 bytes"),
        (message(None, BINARY), "no data"),
        (message(b"{", BINARY), "not JSON in UTF-8"),
        (message(b'{"channel": "\xff"}', BINARY), "not JSON in UTF-8"),
        (message(b"[" * 50_000, BINARY), "not JSON in UTF-8: recursion limit exceeded"),
        (message(b'{"a":' * 15_000, BINARY), "not JSON in UTF-8: recursion limit exceeded"),
        (message(b"[NaN]", BINARY), "not JSON in UTF-8"),
        (message(b"1" * 50_000, BINARY), "not JSON in UTF-8"),
        (message(b"7", BINARY), "data: "),
        (message(b"null", BINARY), "data: "),
        (message(b"{}", BINARY), "channel: Field required; number: Field required"),
        (with_header("ce_type", b"order.placed.v1"), "type must be order.placed or order.placed.v2"),
        (with_header("ce_type", b"payment.captured"), "type must be order.placed or order.placed.v2"),
        (with_header("ce_type", b"\xff"), "not UTF-8 text"),
        (with_header("ce_id", None), "attribute id is missing"),
        (with_header("ce_id", b""), "attribute id is missing"),
        (with_header("ce_source", None), "attribute source is missing"),
        (with_header("ce_specversion", b"0.3"), "specversion must be 1.0"),
        (with_header("content-type", b"text/csv"), "the content type must be application/json"),
        (with_header("content-type", b"application/json; charset=latin-1"), "no other charset than utf-8"),
        (with_header("content-type", b"application/cloudevents-batch+json"), "only single ones"),
        (with_header("content-type", b"application/cloudevents+avro"), "only single ones"),
        (binary(order_body("7"), headers=[*BINARY, ("ce_id", b"2")]), "more than once"),
        (structured(order_body("7"), id=7), "attribute id is missing, or no text"),
        (structured(order_body("7"), specversion="1.1"), "specversion must be 1.0"),
        (structured(order_body("7"), datacontenttype="text/xml"), "datacontenttype must be application/json"),
        (structured(None), "has no data"),
        (structured(None, data_base64="****"), "not Base64"),
        (structured(None, data_base64=7), "not Base64"),
        (message(b"[]", structured(None).headers), "not a JSON object"),
        (binary(order_body("7", total="18.801")), "at most 2 decimals in GBP"),
        (binary(order_body("7", currency="CLF")), "none of ISO 4217 that people pay in"),
        (binary(order_body("7", surname="Quine")), "there is no such field"),
        (binary(order_body("7", lines=[])), "lines: "),
        (binary(order_body("7", lines=[{}] * 50)), "and 145 more"),
    ],
)
def test_what_is_refused_is_told_why(one: Incoming, reason: str) -> None:
    assert reason in refusal(one)


def test_a_reason_names_fields_and_never_what_is_in_them() -> None:
    wrong: list[dict[str, Any]] = [
        order_body("7", contact={"name": "Zoë Quine", "email": "zoe@example.org", "phone": 7}),
        order_body("7", ship_to={"lines": ["1 Example Street"], "postal_code": "SW1A 1AA", "country": "Zoë Quine"}),
        order_body("7", **{"Zoë Quine": {"zoe@example.org": 1}}),
        order_body("Zoë Quine\n"),
        order_body("7", total="1 Example Street"),
    ]
    reasons = [refusal(binary(body)) for body in wrong]
    reasons += [refusal(structured(order_body("7"), type="Zoë Quine", id="zoe@example.org"))]
    reasons += [refusal(message(f'{{"name": "{SECRETS[0]}" SW1A 1AA'.encode(), BINARY))]
    assert [(reason, secret) for reason in reasons for secret in SECRETS if secret in reason] == []


@given(st.binary(max_size=200), st.lists(st.tuples(st.text(max_size=10), st.none() | st.binary(max_size=20))))
def test_whatever_comes_is_refused_or_taken(value: bytes, headers: list[tuple[str, bytes | None]]) -> None:
    for one in (message(value, headers), message(value, [*BINARY, *headers])):
        assert len(refusal(one)) > 10


WHOLE = st.integers(-(2**63), 2**63)
JSON = st.recursive(st.none() | st.booleans() | WHOLE | st.text(), lambda some: st.lists(some, max_size=3))


@given(st.sampled_from(sorted(order_body("7"))), JSON)
def test_whatever_stands_in_a_field_is_refused_or_taken(name: str, value: object) -> None:
    with suppress(Refused):
        read(binary({**order_body("7"), name: value}))
