"""The sandbox as a process: killed in the middle, away, slow, silent. What it answered it remembers."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

import httpx
import pytest

from services.outside import PARCELS_JOURNAL, PAYMENTS_JOURNAL
from services.payment.http_provider import HttpProvider
from services.payment.provider import Authorized, Captured, PaymentState, ProviderError, ProviderTimeout
from services.payment.sandbox import SandboxProvider
from services.sandbox.app import MAX_BODY_BYTES
from services.server.listening import ServerRefused
from services.shipping.carrier import CarrierTimeout, Label
from services.shipping.http_carrier import HttpCarrier
from services.shipping.sandbox import SandboxCarrier
from tests.contract.test_carrier import PARCEL
from tests.sandbox_server import PATIENCE_S, SandboxProcess, ServedSandbox
from tests.shop_server import eventually, shop_server

T = TypeVar("T")

PRIVATE = ("High Street", "Leeds", "LS1")
CHARGED_AND_SILENT = "tok_timeout_after_charge"
AN_AGE_S = 600.0
FIRST = Authorized("pay_00000001")


class Start(Protocol):
    """Starts a sandbox on a home; whatever still runs at the end of the test is killed."""

    def __call__(self, home: Path, port: int = 0, *, silence_s: float = 0.0) -> SandboxProcess: ...


@pytest.fixture
def start() -> Iterator[Start]:
    started: list[SandboxProcess] = []

    def start_one(home: Path, port: int = 0, *, silence_s: float = 0.0) -> SandboxProcess:
        started.append(SandboxProcess(home, port, silence_s=silence_s))
        return started[-1]

    yield start_one
    for process in started:
        if process.is_running:
            process.kill()


@pytest.fixture
def sandbox(home: Path, start: Start) -> SandboxProcess:
    return start(home)


def run(call: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(call)


def paying(url: str, calls: Callable[[HttpProvider], Awaitable[T]], timeout_s: float = PATIENCE_S) -> T:
    async def all_calls() -> T:
        provider = HttpProvider(url, timeout_s)
        try:
            return await calls(provider)
        finally:
            await provider.aclose()

    return asyncio.run(all_calls())


def sending(url: str, calls: Callable[[HttpCarrier], Awaitable[T]], timeout_s: float = PATIENCE_S) -> T:
    async def all_calls() -> T:
        carrier = HttpCarrier(url, timeout_s)
        try:
            return await calls(carrier)
        finally:
            await carrier.aclose()

    return asyncio.run(all_calls())


async def authorize(provider: HttpProvider, number: int = 1, token: str = "tok_ok") -> Authorized:
    answer = await provider.authorize(
        key=f"payment-{number}/1", order_ref=f"order-{number}", amount_minor=500, currency="GBP", token=token
    )
    assert isinstance(answer, Authorized)
    return answer


async def charge(provider: HttpProvider, number: int, token: str = "tok_ok") -> Captured:
    promised = await authorize(provider, number, token)
    answer = await provider.capture(key=f"payment-{number}/3", reference=promised.reference, amount_minor=500)
    assert isinstance(answer, Captured)
    return answer


def books(url: str) -> Any:
    return httpx.get(f"{url}/books", timeout=PATIENCE_S).json()


# --- killed ----------------------------------------------------------------------------------------------------------


def test_kill_9_under_load_loses_nothing_that_was_answered_and_charges_nobody_twice(home: Path, start: Start) -> None:
    """Ten shops charge, the sandbox is killed and starts again; every call is repeated with its key."""
    sandbox = start(home)
    port = sandbox.port
    answered: dict[int, Captured] = {}

    async def charge_until_killed(provider: HttpProvider) -> None:
        numbers = iter(range(100_000))

        async def lane() -> None:
            with suppress(ProviderError):
                for number in numbers:
                    answered[number] = await charge(provider, number)
                    if len(answered) == 300:
                        sandbox.signal(signal.SIGKILL)

        await asyncio.gather(*(lane() for _ in range(10)))

    paying(sandbox.url, charge_until_killed)
    sandbox.ended()
    again = start(home, port)

    async def charge_again(provider: HttpProvider) -> dict[int, Captured]:
        return {number: await charge(provider, number) for number in range(max(answered) + 11)}

    repeated = paying(again.url, charge_again)
    assert answered.items() <= repeated.items()
    found = books(again.url)
    assert found["captured_minor"] == {f"order-{number}": 500 for number in repeated}
    assert len(found["payments"]) == len(repeated)
    assert found["paid_more_than_once"] == []


def killed_once_it_is_done(sandbox: SandboxProcess, journal: str) -> threading.Thread:
    """Kills the sandbox as soon as something stands in this journal: before the answer, which is an age away."""

    def wait_and_kill() -> None:
        eventually(lambda: (sandbox.home / journal).stat().st_size)
        sandbox.kill()

    killer = threading.Thread(target=wait_and_kill)
    killer.start()
    return killer


def test_killed_in_the_middle_of_a_charge_the_same_key_gives_the_answer(home: Path, start: Start) -> None:
    """It was charged and journaled; the answer was on its way when the sandbox died."""
    sandbox = start(home, silence_s=AN_AGE_S)
    killer = killed_once_it_is_done(sandbox, PAYMENTS_JOURNAL)
    with pytest.raises(ProviderTimeout):
        paying(sandbox.url, lambda provider: authorize(provider, token=CHARGED_AND_SILENT))
    killer.join()
    again = start(home, sandbox.port)
    assert paying(again.url, lambda provider: authorize(provider, token=CHARGED_AND_SILENT)) == FIRST
    found = books(again.url)
    assert [payment["order_ref"] for payment in found["payments"]] == ["order-1"]


def test_killed_in_the_middle_of_a_sale_the_same_key_gives_the_label(home: Path, start: Start) -> None:
    silent = replace(PARCEL, service="TIMEOUT1")
    sandbox = start(home, silence_s=AN_AGE_S)
    killer = killed_once_it_is_done(sandbox, PARCELS_JOURNAL)
    with pytest.raises(CarrierTimeout):
        sending(sandbox.url, lambda carrier: carrier.buy_label(key="f/3", shipment=silent))
    killer.join()
    again = start(home, sandbox.port)
    label = sending(again.url, lambda carrier: carrier.buy_label(key="f/3", shipment=silent))
    assert isinstance(label, Label)
    found = books(again.url)
    assert [one["tracking_number"] for one in found["labels"]["parcel-1"]] == [label.tracking_number]
    assert found["labeled_more_than_once"] == []


def test_a_pool_of_dead_connections_does_not_fail_the_first_calls_after_a_restart(home: Path, start: Start) -> None:
    sandbox = start(home)
    port = sandbox.port

    async def before_and_after(provider: HttpProvider) -> list[Captured]:
        await asyncio.gather(*(charge(provider, number, "tok_slow") for number in range(8)))
        await asyncio.to_thread(sandbox.kill)
        await asyncio.to_thread(start, home, port)
        return await asyncio.gather(*(charge(provider, number) for number in range(8, 16)))

    assert len(paying(sandbox.url, before_and_after)) == 8


# --- away, slow, silent ----------------------------------------------------------------------------------------------


def test_a_sandbox_that_starts_a_moment_later_is_waited_for(home: Path, free_port: int, start: Start) -> None:
    """Nothing was sent, so it is safe to try again: no outcome is unknown because of a restart."""
    starter = threading.Thread(target=start, args=(home, free_port))

    async def reach_for_it() -> Authorized:
        provider = HttpProvider(f"http://127.0.0.1:{free_port}", 2 * PATIENCE_S, reconnect_for_s=PATIENCE_S)
        try:
            return await authorize(provider)
        finally:
            await provider.aclose()

    starter.start()
    try:
        assert run(reach_for_it()) == FIRST
    finally:
        starter.join()


def test_slower_than_we_wait_is_an_unknown_outcome_and_then_the_truth() -> None:
    served = ServedSandbox(SandboxProvider(slow_s=1.0), SandboxCarrier(slow_s=1.0))
    slow = replace(PARCEL, service="SLOW1")
    with pytest.raises(ProviderTimeout):
        paying(served.url, lambda provider: authorize(provider, token="tok_slow"), timeout_s=0.3)
    with pytest.raises(CarrierTimeout):
        sending(served.url, lambda carrier: carrier.buy_label(key="f/3", shipment=slow), timeout_s=0.3)
    known = paying(served.url, lambda provider: provider.find(order_ref="order-1"))
    label = sending(served.url, lambda carrier: carrier.find(key="f/3"))
    served.stop()
    assert known is not None
    assert known.state is PaymentState.AUTHORIZED
    assert label is not None


def test_charged_and_silent_for_as_long_as_anybody_waits() -> None:
    served = ServedSandbox(silence_s=AN_AGE_S)
    begun_s = time.monotonic()
    with pytest.raises(ProviderTimeout):
        paying(served.url, lambda provider: authorize(provider, token=CHARGED_AND_SILENT), timeout_s=0.3)
    assert 0.3 <= time.monotonic() - begun_s < PATIENCE_S
    assert paying(served.url, lambda provider: authorize(provider, token=CHARGED_AND_SILENT)) == FIRST
    assert len(books(served.url)["payments"]) == 1
    served.stop()


def test_a_slow_call_holds_up_nobody_else() -> None:
    served = ServedSandbox(SandboxProvider(slow_s=PATIENCE_S))

    async def slow_and_quick(provider: HttpProvider) -> Captured:
        slow = asyncio.create_task(authorize(provider, 1, "tok_slow"))
        await asyncio.sleep(0)
        quick = await charge(provider, 2)
        assert not slow.done()
        slow.cancel()
        return quick

    assert paying(served.url, slow_and_quick).amount_minor == 500
    served.stop()


# --- shared by shops -------------------------------------------------------------------------------------------------


def test_a_home_works_with_the_sandbox_that_its_settings_name(home: Path, tmp_path: Path, start: Start) -> None:
    """The buyer confirms over the shop's own API. Label and money come from the sandbox: its journals are elsewhere."""
    sandbox = start(tmp_path / "elsewhere")
    with shop_server(home, sandbox_url=sandbox.url) as shop:
        shop.receive("delivery-1")
        order_id = shop.place("1", payment_token="tok_action")
        shop.order_when(order_id, lambda order: order["payment"] == "action_required")
        assert shop.post(f"/sandbox/payments/{order_id}/complete").json()["changed"]
        assert shop.post(f"/sandbox/payments/{order_id}/complete").status_code == 409
        shop.order_in(order_id, "completed")
        found = books(sandbox.url)
        sandbox.kill()
        assert shop.post(f"/sandbox/payments/{order_id}/complete").status_code == 503
    assert found["captured_minor"] == {order_id: 1880}
    assert [len(labels) for labels in found["labels"].values()] == [1]
    assert not (home / PAYMENTS_JOURNAL).exists()
    assert not (home / PARCELS_JOURNAL).exists()


# --- as a program ----------------------------------------------------------------------------------------------------


def test_it_is_stopped_by_sigterm_and_says_so(home: Path, start: Start) -> None:
    sandbox = start(home)
    assert "serves http://127.0.0.1:" in sandbox.said
    assert sandbox.stop() == 0


def test_livez_readyz_and_empty_books(sandbox: SandboxProcess) -> None:
    assert httpx.get(f"{sandbox.url}/livez").json() == httpx.get(f"{sandbox.url}/readyz").json() == {"ok": True}
    assert books(sandbox.url) == {
        "payments": [], "captured_minor": {}, "labels": {}, "paid_more_than_once": [], "labeled_more_than_once": [],
    }  # fmt: skip


def test_a_second_one_on_the_same_home_is_refused_in_words(sandbox: SandboxProcess, start: Start) -> None:
    second = start(sandbox.home)
    code, complaint = second.ended()
    assert code != 0
    assert "another process works with" in complaint


def test_a_port_in_use_is_refused_in_words(sandbox: SandboxProcess) -> None:
    with pytest.raises(ServerRefused, match=f"port {sandbox.port} of 127.0.0.1 is in use"):
        ServedSandbox(port=sandbox.port)


@pytest.mark.parametrize(
    ("path", "body", "headers", "why"),
    [
        ("/payments", b"{}", {"Idempotency-Key": "k"}, "the body does not fit this path"),
        ("/payments", b"not JSON: 1 High Street", {"Idempotency-Key": "k"}, "the body does not fit this path"),
        ("/captures", b'{"reference":"pay_1","amount_minor":"5"}', {"Idempotency-Key": "k"}, "does not fit"),
        ("/voids", b'{"reference":"pay_1"}', {}, "the header Idempotency-Key is missing"),
        ("/labels", b'{"ship_to":{"lines":["1 High Street"]}}', {"Idempotency-Key": "k"}, "the body is no shipment"),
        ("/labels", b"x" * (MAX_BODY_BYTES + 1), {"Idempotency-Key": "k"}, "a body may have 64,000 bytes"),
    ],
)
def test_what_makes_no_sense_is_refused_without_repeating_it(
    path: str, body: bytes, headers: dict[str, str], why: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="services")
    served = ServedSandbox()
    answer = httpx.post(served.url + path, content=body, headers=headers)
    assert answer.status_code == 400
    assert why in answer.json()["message"]
    assert httpx.get(f"{served.url}/payments").json() == {"message": "the query lacks order_ref"}
    assert books(served.url)["payments"] == []
    served.stop()
    assert not [private for private in PRIVATE if private in answer.text + caplog.text]
