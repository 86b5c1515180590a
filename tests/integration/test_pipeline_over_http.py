"""The whole pipeline with provider and carrier on another machine: replies are dropped, keys forgotten, servers away.

FAULTS 4: the outcome of a call is unknown. FAULTS 5: the key was forgotten before anybody asked again.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Literal

import pytest

from events.order import OrderPlaced
from events.recorders.memory import MemoryRecorder
from services.payment.http_provider import HttpProvider
from services.payment.provider import KEY_LIFETIME, PaymentProvider
from services.shipping.carrier import Carrier
from services.shipping.http_carrier import HttpCarrier
from tests.embedded import Embedded
from tests.examples import BELL, DAY, HOLDER, HOME, HOUR, LONDON, ORDER, PLACED, TOTAL_MINOR, placed
from tests.fakes import Crash
from tests.sandbox_server import PATIENCE_S, ServedSandbox

PLENTY = {LONDON: {HOLDER: 100, BELL: 100}}
MINUTE = timedelta(minutes=1)
FORGOTTEN = KEY_LIFETIME + HOUR
ALL_THE_WAY = [
    "placed", "accepted", "payment_requested", "allocation_requested", "confirmed", "fulfillment_requested",
    "lines_shipped", "payment_capture_requested", "completed",
]  # fmt: skip


class OverHttp(Embedded):
    """The pipeline of one process; its sandboxes are served over HTTP, on the same clock. They may go and come back."""

    def __init__(self) -> None:
        self._served: ServedSandbox | None = None
        self._port = 0
        self._calls: tuple[HttpProvider, HttpCarrier]
        super().__init__(MemoryRecorder())

    def reach_outside(self) -> tuple[PaymentProvider, Carrier]:
        if self._served is None:
            self.come_back()
        url = f"http://127.0.0.1:{self._port}"
        self._calls = (
            HttpProvider(url, PATIENCE_S, reconnect_for_s=0),
            HttpCarrier(url, PATIENCE_S, reconnect_for_s=0),
        )
        return self._calls

    def hang_up(self) -> None:
        for each in self._calls:
            self._loop.run(each.aclose())

    def close(self) -> None:
        super().close()
        self.go_away()

    def come_back(self) -> None:
        self._served = ServedSandbox(self.provider, self.carrier, port=self._port)
        self._port = self._served.port

    def go_away(self) -> None:
        if self._served is not None:
            self._served.stop()
            self._served = None


@pytest.fixture
def shop() -> Iterator[OverHttp]:
    shop = OverHttp()
    yield shop
    shop.close()
    assert_well(shop)


def assert_well(shop: Embedded) -> None:
    assert shop.parked() == []
    verdict = shop.verify()
    assert verdict.ok, verdict.violations


def begin(shop: Embedded, order: OrderPlaced) -> None:
    shop.receive(PLENTY)
    shop.place(order)


def settle(shop: Embedded, *, after: timedelta = MINUTE) -> None:
    """Until no question to a provider or a carrier is open any more."""
    shop.run()
    for _ in range(3):
        shop.wait(after)


def assert_charged_once(shop: Embedded, note: str = "") -> None:
    assert shop.order(ORDER) == ALL_THE_WAY, note
    assert shop.provider.charges() == {ORDER: TOTAL_MINOR}, note
    assert len(shop.provider.ledger()) == 1, note
    assert [len(labels) for labels in shop.carrier.labels().values()] == [1], note


def test_an_order_goes_all_the_way(shop: OverHttp) -> None:
    begin(shop, PLACED)
    settle(shop)
    assert_charged_once(shop)


SILENCES = {
    "does nothing and does not answer": placed(token="tok_timeout_before_charge"),
    "authorizes and drops the reply": placed(token="tok_timeout_after_charge"),
    "captures and drops the reply": placed(token="tok_capture_timeout"),
    "is away three times": placed(token="tok_unavailable_3"),
    "is slow": placed(token="tok_slow"),
    "sells a label and drops the reply": placed(ship_to=HOME.model_copy(update={"lines": ["TIMEOUT1"]})),
    "sells no label and does not answer": placed(ship_to=HOME.model_copy(update={"lines": ["TIMEOUT0"]})),
}


@pytest.mark.parametrize("way", SILENCES)
def test_the_outside_drops_its_reply_and_everything_happens_once(shop: OverHttp, way: str) -> None:
    """FAULTS 4."""
    begin(shop, SILENCES[way])
    settle(shop)
    assert_charged_once(shop)


@pytest.mark.parametrize("way", SILENCES)
def test_asked_again_only_after_the_key_was_forgotten(shop: OverHttp, way: str) -> None:
    """FAULTS 5: nobody works for a day after the reply was lost, and then everybody does."""
    begin(shop, SILENCES[way])
    settle(shop, after=FORGOTTEN)
    assert_charged_once(shop)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("token", ["tok_ok", "tok_timeout_after_charge", "tok_capture_timeout"])
def test_a_process_that_dies_around_any_append_and_starts_a_day_later_charges_once(
    token: str, when: Literal["before", "after"]
) -> None:
    """FAULTS 5: the answer was there and died with the process; its key is forgotten when the next one starts."""
    order = placed(token=token)
    for number in range(3, appends_of(order) + 1):
        shop = Embedded(MemoryRecorder())
        begin(shop, order)
        shop.store.dies_at(number, when)
        try:
            settle(shop)
        except Crash:
            shop.clock.advance(FORGOTTEN)
            shop.restart()
        settle(shop)
        shop.close()
        assert_charged_once(shop, f"died {when} append {number}")
        assert_well(shop)


def appends_of(order: OrderPlaced) -> int:
    """How many appends the undisturbed way of this order takes."""
    shop = Embedded(MemoryRecorder())
    begin(shop, order)
    settle(shop)
    shop.close()
    return shop.store.appends


def test_a_sandbox_that_is_away_at_the_start_is_asked_again(shop: OverHttp) -> None:
    shop.go_away()
    begin(shop, PLACED)
    shop.run()
    assert shop.payment(ORDER) == ["initiated", "outcome_unknown"]
    assert shop.provider.ledger() == []
    shop.come_back()
    settle(shop)
    assert_charged_once(shop)


def test_a_sandbox_that_goes_away_between_two_calls_is_asked_again(shop: OverHttp) -> None:
    begin(shop, PLACED)

    def go_before_the_capture(_: int) -> None:
        if shop.payment(ORDER)[-1:] == ["capture_initiated"] and shop.provider.charges() == {}:
            shop.go_away()

    shop.store.after_append = go_before_the_capture
    shop.run()
    shop.store.after_append = lambda _: None
    shop.come_back()
    settle(shop, after=DAY)
    assert_charged_once(shop)
