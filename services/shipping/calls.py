"""From a label intent to a call to the carrier, from a shipped parcel to its tracking, and from answers to commands."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import assert_never

from events.base import WALL_CLOCK, Address, Event, Recorded
from events.shipping import LabelInquiryInitiated, LabelRequested, ParcelShipped, TrackingScan, fulfillment_stream
from events.store import StoreUnavailable
from services.runtime.decider import Directive
from services.runtime.worker import Now
from services.shipping.carrier import Carrier, CarrierTimeout, CarrierUnavailable, Label, LabelRefused, Shipment
from services.shipping.commands import (
    RecordLabel,
    RecordLabelRefused,
    RecordLabelUnknown,
    RecordTracking,
    ShippingCommand,
)
from services.shipping.state import FulfillmentState, Stage

LABEL_INTENTS: frozenset[type[Event]] = frozenset({LabelRequested, LabelInquiryInitiated})
TRACKED: frozenset[type[Event]] = frozenset({ParcelShipped})

_FIRST_PAUSE_S = 5.0
_LONGEST_PAUSE_S = 3_600.0
# Before it is on the scales: what a small gift weighs, box included.
_GUESSED_UNIT_G = 250

AddressOf = Callable[[str], Address | None]
"""The address an order goes to, by order id; None if the channel keeps it on file. Personal data."""


def label_is_open(state: object, intent: Recorded) -> bool:
    """Whether the fulfillment still waits for the outcome of this very intent."""
    assert isinstance(state, FulfillmentState)
    return state.asking and state.intent_version == intent.version


def parcel_is_open(state: object, shipped: Recorded) -> bool:
    """Whether the parcel is still on its way."""
    assert isinstance(state, FulfillmentState)
    return state.stage is Stage.SHIPPED


class LabelCalls:
    """Buys labels. Every way a call can end is a command."""

    def __init__(self, carrier: Carrier, address_of: AddressOf, *, now: Now, timeout_s: float) -> None:
        self._carrier = carrier
        self._address_of = address_of
        self._now = now
        self._timeout_s = timeout_s

    async def __call__(self, intent: Recorded) -> Directive:
        event = intent.event
        assert isinstance(event, LabelRequested | LabelInquiryInitiated)
        try:
            async with asyncio.timeout(self._timeout_s):
                command = await self._buy(intent, event)
        except (CarrierTimeout, CarrierUnavailable, StoreUnavailable, TimeoutError):
            # Without the store there is no address to print: like no answer, it is tried again under the same key.
            attempt = event.attempt if isinstance(event, LabelInquiryInitiated) else 0
            pause_s = min(_FIRST_PAUSE_S * 2 ** min(attempt, 20), _LONGEST_PAUSE_S)
            command = RecordLabelUnknown(self._now() + timedelta(seconds=pause_s))
        return Directive(fulfillment_stream(event.fulfillment_id), command)

    async def _buy(self, intent: Recorded, event: LabelRequested | LabelInquiryInitiated) -> ShippingCommand:
        # Carriers never forget a key, so the same purchase under the same key is also the inquiry.
        key = event.key if isinstance(event, LabelInquiryInitiated) else intent.id
        answer = await self._carrier.buy_label(key=key, shipment=self._shipment(intent, event))
        match answer:
            case Label(carrier, tracking_number, reference):
                return RecordLabel(carrier, tracking_number, reference)
            case LabelRefused(reason):
                return RecordLabelRefused(reason[:500])  # a carrier's own words, as many as an event takes
            case _:
                assert_never(answer)

    def _shipment(self, intent: Recorded, event: LabelRequested | LabelInquiryInitiated) -> Shipment:
        return Shipment(
            parcel_id=event.parcel_id,
            order_ref=event.order_id,
            from_location=event.location,
            country=event.country,
            ship_to=None if event.address_on_file else self._address_of(event.order_id),
            units=event.units,
            weight_g=event.units * _GUESSED_UNIT_G,
            ship_at=None if intent.clock == WALL_CLOCK else intent.occurred_at,
        )


class TrackingCalls:
    """Asks the carrier where a parcel is. A read: repeating it does no harm, so it needs no intent."""

    def __init__(self, carrier: Carrier, *, timeout_s: float) -> None:
        self._carrier = carrier
        self._timeout_s = timeout_s

    async def __call__(self, shipped: Recorded) -> Directive:
        event = shipped.event
        assert isinstance(event, ParcelShipped)
        try:
            async with asyncio.timeout(self._timeout_s):
                scans = await self._carrier.track(tracking_number=event.tracking_number)
        except (CarrierTimeout, CarrierUnavailable, TimeoutError):
            scans = []  # nothing new; the parcel is asked about again at its next turn
        known = [TrackingScan(status=scan.status, scanned_at=scan.scanned_at, place=scan.place) for scan in scans]
        latest = known[-1].scanned_at if known else shipped.occurred_at
        return Directive(fulfillment_stream(event.fulfillment_id), RecordTracking(known), latest)
