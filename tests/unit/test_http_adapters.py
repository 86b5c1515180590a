"""Every way in which an answer can be missing: what was sent is sent once, the ways are told apart, nothing leaks."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

import pytest

from services.payment.http_provider import HttpProvider
from services.payment.provider import ProviderError, ProviderTimeout, ProviderUnavailable
from services.runtime.http_calls import MAX_ANSWER_BYTES, AddressRefused
from services.shipping.carrier import CarrierError, CarrierTimeout, CarrierUnavailable
from services.shipping.http_carrier import HttpCarrier
from tests.contract.test_carrier import PARCEL
from tests.scripted_server import Script, answers, never_ends, says, scripted, waits_for_its_caller_to_leave

PRIVATE = ("High Street", "Leeds", "LS1", "tok_", "s3cret")
"""What was sent, or stands in the address that was called."""

CUT_OR_SILENT: dict[str, Script] = {
    "cut off": says(b""),
    "cut off in the head": says(b"HTTP/1.1 200 OK\r\nContent-Le"),
    "cut off in the body": says(b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"outcome":'),
    "no HTTP": says(b"220 mail.example.org ESMTP\r\n"),
    "silent": waits_for_its_caller_to_leave,
    "without an end": never_ends,
    "too long": answers(200, b" " * (MAX_ANSWER_BYTES + 1)),
}
FAULTY_OR_ANOTHER: dict[str, Script] = {
    "500": answers(500, b"oops"),
    "503 in the words of a refusal": answers(503, b'{"outcome":"refused","reason":"no"}'),
    "404 of another program": answers(404, b"<h1>Not Found</h1>"),
    "404 in JSON": answers(404, b'{"detail":"Not Found"}'),
    "401": answers(401, b'{"error":"who are you"}'),
    "429": answers(429),
    "moved": answers(302, head="Location: http://127.0.0.1:1/\r\n"),
    "200 and nothing": answers(200),
    "200 and no JSON": answers(200, b"<h1>It works!</h1>"),
    "200 and another JSON": answers(200, b'{"ok":true}'),
    "200 and a list": answers(200, b"[]"),
    "an outcome that nobody knows": answers(200, b'{"outcome":"maybe"}'),
    "an outcome of another operation": answers(200, b'{"outcome":"voided","reference":"pay_1"}'),
    "an outcome without its fields": answers(200, b'{"outcome":"bought"}'),
}


def pay(url: str, timeout_s: float = 5.0, *, reconnect_for_s: float = 0.0) -> Any:
    async def call() -> Any:
        provider = HttpProvider(url, timeout_s, reconnect_for_s=reconnect_for_s)
        try:
            return await provider.authorize(
                key="payment-1/1", order_ref="order-1", amount_minor=5, currency="GBP", token="tok_ok"
            )
        finally:
            await provider.aclose()

    return asyncio.run(call())


def look_up(url: str) -> Any:
    async def call() -> Any:
        provider = HttpProvider(url, 5.0)
        try:
            return await provider.find(order_ref="order-1")
        finally:
            await provider.aclose()

    return asyncio.run(call())


def send(url: str, timeout_s: float = 5.0, *, reconnect_for_s: float = 0.0) -> Any:
    async def call() -> Any:
        carrier = HttpCarrier(url, timeout_s, reconnect_for_s=reconnect_for_s)
        try:
            return await carrier.buy_label(key="fulfillment-1/3", shipment=PARCEL)
        finally:
            await carrier.aclose()

    return asyncio.run(call())


def patience_for(case: str) -> float:
    return 0.3 if case in ("silent", "without an end") else 5.0


@pytest.mark.parametrize("case", CUT_OR_SILENT)
def test_sent_but_not_answered_is_an_unknown_outcome_and_is_not_sent_again(case: str) -> None:
    with scripted(CUT_OR_SILENT[case]) as server:
        with pytest.raises(ProviderTimeout) as unpaid:
            pay(server.url, patience_for(case), reconnect_for_s=1.0)
        with pytest.raises(CarrierTimeout) as unsent:
            send(server.url, patience_for(case), reconnect_for_s=1.0)
        assert [request.split()[:2] for request in server.requests] == [[b"POST", b"/payments"], [b"POST", b"/labels"]]
    gives_nothing_away(unpaid.value, unsent.value)


@pytest.mark.parametrize("case", FAULTY_OR_ANOTHER)
def test_a_fault_or_somebody_else_is_neither_a_refusal_nor_a_no(case: str) -> None:
    """A wrong address in a setting must not decline payments, and must not say that there never was one."""
    with scripted(FAULTY_OR_ANOTHER[case]) as server:
        with pytest.raises(ProviderUnavailable) as unpaid:
            pay(server.url)
        with pytest.raises(CarrierUnavailable) as unsent:
            send(server.url)
        with pytest.raises(ProviderUnavailable):
            look_up(server.url)
        assert len(server.requests) == 3
    gives_nothing_away(unpaid.value, unsent.value)


def test_nobody_there_is_known_to_have_done_nothing(free_port: int) -> None:
    url = f"http://shop:s3cret@127.0.0.1:{free_port}"
    with pytest.raises(ProviderUnavailable, match=f"127.0.0.1:{free_port} cannot be reached") as unpaid:
        pay(url)
    with pytest.raises(CarrierUnavailable, match="cannot be reached") as unsent:
        send(url)
    gives_nothing_away(unpaid.value, unsent.value)


def test_reaching_for_somebody_who_is_away_ends() -> None:
    with scripted(says(b"")) as server:
        url = server.url
    begun_s = time.monotonic()
    with pytest.raises(ProviderUnavailable):
        pay(url, timeout_s=1.0, reconnect_for_s=60.0)
    assert time.monotonic() - begun_s < 5.0


def gives_nothing_away(*faults: ProviderError | CarrierError) -> None:
    for fault in faults:
        chain = [fault, fault.__cause__, fault.__context__]
        said = " ".join(f"{one!r} {one}" for one in chain)
        assert not [private for private in PRIVATE if private in said]


def test_what_is_sent_is_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with scripted(says(b"")) as server, pytest.raises(CarrierTimeout):
        send(server.url)
    assert not [private for private in PRIVATE if private in caplog.text]


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:80", "ftp://host", "http://", "http://host:port", "http://[::1", "http://host:0"]
)
def test_an_address_that_cannot_be_called_is_refused_at_once(url: str) -> None:
    with pytest.raises(AddressRefused, match="http://host:port"):
        HttpProvider(url, 5.0)
    with pytest.raises(AddressRefused, match="http://host:port"):
        HttpCarrier(url, 5.0)
