"""What every carrier behind the port must do, and how the sandbox misbehaves when its shipment asks for it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from events.base import Address
from events.shipping import TrackingStatus
from services.journal import JournalUnavailable
from services.shipping.carrier import (
    Carrier,
    CarrierTimeout,
    CarrierUnavailable,
    IdempotencyKeyReused,
    Label,
    LabelRefused,
    Shipment,
)
from services.shipping.http_carrier import HttpCarrier
from services.shipping.sandbox import SandboxCarrier
from services.shipping.tracking_number import is_tracking_number, tracking_number
from tests.sandbox_server import PATIENCE_S, ServedSandbox

T = TypeVar("T")
MONDAY = datetime(2024, 3, 4, 9, 0, tzinfo=UTC)

PARCEL = Shipment(
    parcel_id="parcel-1",
    order_ref="order-1",
    from_location="LDN",
    country="GB",
    ship_to=Address(lines=["1 High Street"], city="Leeds", postal_code="LS1 4AP", country="GB"),
    units=3,
    weight_g=900,
)


class Depot:
    """A sandbox that can be killed: `restart` opens the same journal anew.

    carrier    the port, as the shipping service sees it
    books      the sandbox's own books, as only a test can look into them
    """

    carrier: SandboxCarrier | HttpCarrier

    def __init__(self, path: Path | None, *, over_http: bool = False, haste: float = 1.0) -> None:
        self.path = path
        self.now = MONDAY
        self.slept_s: list[float] = []
        self._over_http = over_http
        self._haste = haste
        self._runner = asyncio.Runner()
        self._served: ServedSandbox | None = None
        self._open()

    def restart(self) -> None:
        self._shut()
        self._open()

    def close(self) -> None:
        self._shut()
        self._runner.close()

    def _open(self) -> None:
        async def sleep(seconds: float) -> None:
            self.slept_s.append(seconds)

        self.books = SandboxCarrier(self.path, now=lambda: self.now, haste=self._haste, sleep=sleep, slow_s=0.2)
        if self._over_http:
            self._served = ServedSandbox(carrier=self.books)
            self.carrier = HttpCarrier(self._served.url, PATIENCE_S)
        else:
            self.carrier = self.books

    def _shut(self) -> None:
        if isinstance(self.carrier, HttpCarrier):
            self.run(self.carrier.aclose())
        if self._served is not None:
            self._served.stop()
        self.books.close()

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(call)

    def buy(self, shipment: Shipment = PARCEL, *, key: str = "f/3") -> Label | LabelRefused:
        return self.run(self.carrier.buy_label(key=key, shipment=shipment))

    def bought(self, shipment: Shipment = PARCEL, *, key: str = "f/3") -> Label:
        label = self.buy(shipment, key=key)
        assert isinstance(label, Label)
        return label

    def find(self, key: str = "f/3") -> Label | None:
        return self.run(self.carrier.find(key=key))

    def statuses(self, label: Label) -> list[str]:
        return [scan.status.value for scan in self.run(self.carrier.track(tracking_number=label.tracking_number))]


def marked(marker: str) -> Shipment:
    return replace(PARCEL, service=marker)


@pytest.fixture(params=["in memory", "in a file", "over http"])
def depot(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Depot]:
    path = None if request.param == "in memory" else tmp_path / "carrier.journal"
    yield from opened(path, over_http=request.param == "over http")


@pytest.fixture(params=["in a file", "over http"])
def durable(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Depot]:
    yield from opened(tmp_path / "carrier.journal", over_http=request.param == "over http")


def opened(path: Path | None, **wishes: Any) -> Iterator[Depot]:
    depot = Depot(path, **wishes)
    yield depot
    depot.close()


# The port's contract


def test_a_label_is_bought_and_found(depot: Depot) -> None:
    carrier: Carrier = depot.carrier
    assert depot.run(carrier.find(key="f/3")) is None
    label = depot.bought()
    assert depot.find() == label
    assert is_tracking_number(label.tracking_number)


def test_the_same_purchase_again_buys_nothing(depot: Depot) -> None:
    label = depot.bought()
    assert [depot.buy() for _ in range(50)] == [label] * 50
    assert depot.books.labels() == {"parcel-1": [label]}


def test_two_parcels_have_two_tracking_numbers(depot: Depot) -> None:
    labels = [depot.bought(replace(PARCEL, parcel_id=f"parcel-{n}"), key=f"f/{n}") for n in range(500)]
    assert len({label.tracking_number for label in labels}) == 500
    assert all(is_tracking_number(label.tracking_number) for label in labels)


def test_one_key_for_two_shipments_is_an_error_and_buys_nothing(depot: Depot) -> None:
    label = depot.bought()
    with pytest.raises(IdempotencyKeyReused):
        depot.buy(replace(PARCEL, parcel_id="parcel-2"))
    assert depot.books.labels() == {"parcel-1": [label]}


@pytest.mark.parametrize(
    ("shipment", "reason"),
    [
        (replace(PARCEL, country="XX"), "country_not_served"),
        (replace(PARCEL, country="ZZ"), "country_not_served"),
        (replace(PARCEL, units=0), "parcel_is_empty"),
        (marked("REFUSE1"), "address_not_served"),
        (replace(PARCEL, ship_to=Address(lines=["x"], postal_code="REFUSE1", country="GB")), "address_not_served"),
        (replace(PARCEL, ship_to=Address(lines=["1 Side Street", "REFUSE1"], country="GB")), "address_not_served"),
    ],
)
def test_refusals_buy_nothing(depot: Depot, shipment: Shipment, reason: str) -> None:
    assert depot.buy(shipment) == LabelRefused(reason)
    assert depot.buy(shipment) == LabelRefused(reason)
    assert depot.find() is None
    assert depot.books.labels() == {}


def test_an_address_on_file_is_enough(depot: Depot) -> None:
    assert isinstance(depot.buy(replace(PARCEL, ship_to=None)), Label)


# Tracking


def test_a_parcel_is_scanned_until_it_is_delivered(depot: Depot) -> None:
    label = depot.bought()
    assert depot.statuses(label) == ["pre_transit"]
    depot.now += timedelta(hours=20)
    assert depot.statuses(label) == ["pre_transit", "in_transit", "in_transit"]
    depot.now += timedelta(hours=10)
    assert depot.statuses(label)[-2:] == ["out_for_delivery", "delivered"]


def test_a_parcel_abroad_takes_longer(depot: Depot) -> None:
    label = depot.bought(replace(PARCEL, country="DE"))
    depot.now += timedelta(hours=95)
    assert depot.statuses(label)[-1] == "in_transit"
    depot.now += timedelta(hours=6)
    assert depot.statuses(label)[-1] == "delivered"


def test_scans_follow_the_time_of_the_order(depot: Depot) -> None:
    label = depot.bought(replace(PARCEL, ship_at=datetime(2010, 12, 1, 8, 26, tzinfo=UTC)))
    scans = depot.run(depot.carrier.track(tracking_number=label.tracking_number))
    assert (scans[0].status, scans[0].scanned_at) == (
        TrackingStatus.PRE_TRANSIT,
        datetime(2010, 12, 1, 8, 26, tzinfo=UTC),
    )
    assert (scans[-1].status, scans[-1].scanned_at.year) == (TrackingStatus.DELIVERED, 2010)


def test_haste_shortens_the_way() -> None:
    depot = Depot(None, haste=3600)
    label = depot.bought()
    depot.now += timedelta(seconds=29)
    assert depot.statuses(label)[-1] == "delivered"
    depot.close()


@pytest.mark.parametrize(("marker", "last"), [("LOST1", "failure"), ("RETURN1", "return_to_sender")])
def test_parcels_that_do_not_arrive(depot: Depot, marker: str, last: str) -> None:
    label = depot.bought(marked(marker))
    depot.now += timedelta(days=30)
    assert depot.statuses(label)[-1] == last
    assert "delivered" not in depot.statuses(label)


def test_nobody_knows_this_parcel(depot: Depot) -> None:
    assert depot.run(depot.carrier.track(tracking_number="CA000000005GB")) == []


# The markers


def test_slow(depot: Depot) -> None:
    assert isinstance(depot.buy(marked("SLOW1")), Label)
    assert depot.slept_s == [0.2]


def test_bought_but_the_reply_is_lost(depot: Depot) -> None:
    with pytest.raises(CarrierTimeout):
        depot.buy(marked("TIMEOUT1"))
    label = depot.find()
    assert label is not None
    assert depot.buy(marked("TIMEOUT1")) == label
    assert depot.books.labels() == {"parcel-1": [label]}


@pytest.mark.parametrize(("marker", "error"), [("TIMEOUT0", CarrierTimeout), ("DOWN1", CarrierUnavailable)])
def test_no_answer_and_nothing_bought(depot: Depot, marker: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        depot.buy(marked(marker))
    assert depot.find() is None
    assert isinstance(depot.buy(marked(marker)), Label)


# Durability of the sandbox


def test_a_restart_remembers_everything(durable: Depot) -> None:
    label = durable.bought()
    durable.buy(replace(PARCEL, country="XX"), key="f/9")
    with pytest.raises(CarrierUnavailable):
        durable.buy(marked("DOWN1"), key="g/3")
    durable.now += timedelta(days=2)
    before = durable.statuses(label)

    durable.restart()

    assert durable.buy() == label
    assert durable.statuses(label) == before
    assert durable.buy(replace(PARCEL, country="XX"), key="f/9") == LabelRefused("country_not_served")
    second = durable.bought(marked("DOWN1"), key="g/3")
    assert second.tracking_number != label.tracking_number


def test_no_address_is_kept(durable: Depot) -> None:
    durable.bought()
    assert durable.path is not None
    kept = durable.path.read_text()
    assert "parcel-1" in kept
    assert not [private for private in ("High Street", "Leeds", "LS1") if private in kept]


def test_a_journal_that_cannot_be_opened_says_so(tmp_path: Path) -> None:
    with pytest.raises(JournalUnavailable, match="cannot open"):
        SandboxCarrier(tmp_path)


# Tracking numbers


def test_the_example_of_the_standard() -> None:
    assert tracking_number(47312482, kind="RR") == "RR473124829GB"
    assert is_tracking_number("RR473124829GB")


def test_a_mistyped_digit_or_two_swapped_ones_are_noticed() -> None:
    good = tracking_number(47312482)
    for at in range(2, 10):
        for digit in "0123456789":
            mistyped = good[:at] + digit + good[at + 1 :]
            assert is_tracking_number(mistyped) is (mistyped == good)
    swapped = good[:3] + good[4] + good[3] + good[5:]
    assert not is_tracking_number(swapped)
    assert not is_tracking_number("not a number")
