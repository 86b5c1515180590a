"""From a label intent to a call and from its answer to a command; where a parcel is; and whose address is printed."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from events.base import WALL_CLOCK, Address, Event, NewEvent, Recorded, Write
from events.order import OrderCorrected, order_stream
from events.shipping import (
    LabelInquiryInitiated,
    LabelRequested,
    ParcelShipped,
    TrackingStatus,
    fulfillment_stream,
)
from events.store import StoreUnavailable, open_store
from services.shipping.calls import LabelCalls, TrackingCalls
from services.shipping.carrier import IdempotencyKeyReused, Label, LabelRefused, Scan, Shipment
from services.shipping.commands import (
    RecordLabel,
    RecordLabelRefused,
    RecordLabelUnknown,
    RecordTracking,
    ShippingCommand,
)
from services.shipping.sandbox import SandboxCarrier
from services.shipping.worker import address_of
from tests.examples import BUYER, DAY, FROM_LONDON, HOME, LINES, LONDON, NEW_HOME, NOON, ORDER, placed, placing

PARCEL: dict[str, Any] = {
    "order_id": ORDER,
    "fulfillment_id": FROM_LONDON,
    "parcel_id": f"{FROM_LONDON}/1",
    "location": LONDON,
    "country": "GB",
    "units": 8,
}
REQUESTED = LabelRequested(**PARCEL, address_on_file=False)
ON_FILE = LabelRequested(**PARCEL, address_on_file=True)
FIRST_KEY = f"{fulfillment_stream(FROM_LONDON)}/4"
FIVE_SECONDS = timedelta(seconds=5)


def inquiry(attempt: int) -> LabelInquiryInitiated:
    return LabelInquiryInitiated(**PARCEL, address_on_file=False, attempt=attempt, key=FIRST_KEY)


def recorded(event: Event, version: int = 4, clock: str = WALL_CLOCK) -> Recorded:
    stream = fulfillment_stream(FROM_LONDON)
    return Recorded(7, stream, version, event.type, event, NOON - 99 * DAY, NOON, ORDER, "cause", "shipping", clock)


class Notebook(SandboxCarrier):
    """The sandbox carrier, and what it was shown."""

    def __init__(self, *, now: datetime = NOON) -> None:
        super().__init__(now=lambda: now, slow_s=5.0)
        self.shown: list[tuple[str, Shipment]] = []

    async def buy_label(self, *, key: str, shipment: Shipment) -> Label | LabelRefused:
        self.shown.append((key, shipment))
        return await super().buy_label(key=key, shipment=shipment)


def lives(*lines: str) -> Any:
    return lambda order_id: Address(lines=list(lines), city="London", postal_code="SW1A 1AA", country="GB")


def carry_out(carrier: SandboxCarrier, address: Any, intent: Recorded, timeout_s: float = 5.0) -> ShippingCommand:
    calls = LabelCalls(carrier, address, now=lambda: NOON, timeout_s=timeout_s)
    directive = asyncio.run(calls(intent))
    assert directive.stream == fulfillment_stream(FROM_LONDON)
    command: ShippingCommand = directive.command
    return command


def test_a_label_is_bought_under_the_intents_own_key() -> None:
    carrier = Notebook()
    answer = carry_out(carrier, lives("1 Example Street"), recorded(REQUESTED))
    [label] = carrier.labels()[f"{FROM_LONDON}/1"]
    assert answer == RecordLabel("sandpost", label.tracking_number, label.reference)
    [(key, shipment)] = carrier.shown
    assert key == FIRST_KEY
    assert shipment.units == 8
    assert shipment.ship_at is None


def test_an_address_on_file_is_not_looked_up() -> None:
    carrier = Notebook()

    def refuse(order_id: str) -> Address | None:
        raise AssertionError("nobody asks for it")

    assert isinstance(carry_out(carrier, refuse, recorded(ON_FILE)), RecordLabel)
    assert carrier.shown[0][1].ship_to is None


def test_an_imported_parcel_is_sent_in_its_own_time() -> None:
    carrier = Notebook()
    carry_out(carrier, lives("1 Example Street"), recorded(ON_FILE, clock="online-retail"))
    assert carrier.shown[0][1].ship_at == NOON - 99 * DAY


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("REFUSE1", RecordLabelRefused("address_not_served")),
        ("TIMEOUT1", RecordLabelUnknown(NOON + FIVE_SECONDS)),
        ("TIMEOUT0", RecordLabelUnknown(NOON + FIVE_SECONDS)),
        ("DOWN1", RecordLabelUnknown(NOON + FIVE_SECONDS)),
    ],
)
def test_every_other_end_of_a_purchase(line: str, answer: ShippingCommand) -> None:
    assert carry_out(Notebook(), lives(line), recorded(REQUESTED)) == answer


@pytest.mark.parametrize("line", ["TIMEOUT1", "TIMEOUT0", "DOWN1"])
def test_the_inquiry_is_the_same_purchase(line: str) -> None:
    carrier = Notebook()
    carry_out(carrier, lives(line), recorded(REQUESTED))
    assert isinstance(carry_out(carrier, lives(line), recorded(inquiry(1), 6)), RecordLabel)
    assert [key for key, _ in carrier.shown] == [FIRST_KEY, FIRST_KEY]
    assert len(carrier.labels()[f"{FROM_LONDON}/1"]) == 1


def test_a_carrier_that_hangs_is_an_unknown_outcome_and_each_silence_doubles_the_pause() -> None:
    for attempt, pause_s in [(1, 10), (2, 20), (20, 3600)]:
        answer = carry_out(Notebook(), lives("SLOW1"), recorded(inquiry(attempt)), timeout_s=0.01)
        assert answer == RecordLabelUnknown(NOON + timedelta(seconds=pause_s))


def test_a_store_that_is_away_is_like_no_answer_and_buys_nothing() -> None:
    carrier = Notebook()

    def away(order_id: str) -> Address | None:
        raise StoreUnavailable("the disk is full")

    assert carry_out(carrier, away, recorded(REQUESTED)) == RecordLabelUnknown(NOON + FIVE_SECONDS)
    assert carrier.shown == []


def test_our_own_mistake_is_no_outcome() -> None:
    carrier = Notebook()
    carry_out(carrier, lives("1 Example Street"), recorded(REQUESTED))
    with pytest.raises(IdempotencyKeyReused):
        carry_out(carrier, lives("1 Example Street"), recorded(REQUESTED.model_copy(update={"units": 9})))


def test_a_wordy_carrier_is_cut_to_what_an_event_takes() -> None:
    class Wordy(SandboxCarrier):
        async def buy_label(self, *, key: str, shipment: Shipment) -> Label | LabelRefused:
            return LabelRefused("no " * 400)

    answer = carry_out(Wordy(), lives("1 Example Street"), recorded(REQUESTED))
    assert isinstance(answer, RecordLabelRefused)
    assert len(answer.reason) == 500


# --- where a parcel is -----------------------------------------------------------------------------------------------

SHIPPED = ParcelShipped(
    order_id=ORDER, fulfillment_id=FROM_LONDON, location=LONDON, tracking_number="SB000000001GB", lines=LINES
)


def track(carrier: SandboxCarrier) -> RecordTracking:
    directive = asyncio.run(TrackingCalls(carrier, timeout_s=0.05)(recorded(SHIPPED)))
    assert isinstance(directive.command, RecordTracking)
    return directive.command


def test_the_carriers_scans_are_handed_on() -> None:
    class Seen(SandboxCarrier):
        async def track(self, *, tracking_number: str) -> list[Scan]:
            assert tracking_number == "SB000000001GB"
            return [Scan(TrackingStatus.IN_TRANSIT, NOON, "Croydon")]

    [scan] = track(Seen()).scans
    assert (scan.status, scan.scanned_at, scan.place) == (TrackingStatus.IN_TRANSIT, NOON, "Croydon")


def test_a_carrier_that_does_not_know_or_does_not_answer_brings_nothing_new() -> None:
    class Hangs(SandboxCarrier):
        async def track(self, *, tracking_number: str) -> list[Scan]:
            await asyncio.sleep(5)
            raise AssertionError("given up on long ago")

    assert track(SandboxCarrier()).scans == []
    assert track(Hangs()).scans == []


# --- whose address ---------------------------------------------------------------------------------------------------


def test_the_address_is_the_one_that_was_corrected_last() -> None:
    store = open_store("memory:")
    assert address_of(store, ORDER) is None
    store.append([placing(placed())])
    assert address_of(store, ORDER) == HOME
    corrections = [
        OrderCorrected(order_id=ORDER, contact=None, ship_to=NEW_HOME),
        OrderCorrected(order_id=ORDER, contact=BUYER, ship_to=None),
    ]
    store.append([Write(order_stream(ORDER), 1, [NewEvent(one, NOON, ORDER, "req", "test") for one in corrections])])
    assert address_of(store, ORDER) == NEW_HOME
