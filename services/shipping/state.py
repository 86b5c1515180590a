"""What the shipping service remembers of one fulfillment order, and how each event changes it."""

from __future__ import annotations

from enum import StrEnum
from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from events.base import Quantities
from events.shipping import (
    FulfillmentCancelled,
    FulfillmentCancelRefused,
    FulfillmentOpened,
    ItemsPicked,
    LabelInquiryInitiated,
    LabelOutcomeUnknown,
    LabelPurchased,
    LabelRefused,
    LabelRequested,
    ParcelDelivered,
    ParcelPacked,
    ParcelShipped,
    TrackingScan,
    TrackingUpdated,
)

ShippingEvent = (
    FulfillmentOpened
    | ItemsPicked
    | ParcelPacked
    | LabelRequested
    | LabelPurchased
    | LabelRefused
    | LabelOutcomeUnknown
    | LabelInquiryInitiated
    | ParcelShipped
    | TrackingUpdated
    | ParcelDelivered
    | FulfillmentCancelled
    | FulfillmentCancelRefused
)


class Stage(StrEnum):
    """How far the goods have got."""

    NONE = "none"
    OPEN = "open"
    PICKED = "picked"
    PACKED = "packed"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"


class FulfillmentState(Struct, frozen=True):
    """One fulfillment order.

    asking          whether the carrier is being asked now
    unknown         whether the last question had no answer
    intent_version  the version of the newest intent: the one whose outcome is waited for
    key_version     the version of the first intent of the purchase: its idempotency key
    """

    version: int = 0
    stage: Stage = Stage.NONE
    order_id: str = ""
    fulfillment_id: str = ""
    location: str = ""
    country: str = ""
    address_on_file: bool = False
    lines: Quantities = {}  # never changed in place
    parcel_id: str = ""
    asking: bool = False
    unknown: bool = False
    intent_version: int = 0
    key_version: int = 0
    attempt: int = 0
    tracking_number: str = ""
    scans: tuple[TrackingScan, ...] = ()


def evolve(state: FulfillmentState, event: ShippingEvent) -> FulfillmentState:
    state = replace(state, version=state.version + 1)
    match event:
        case FulfillmentOpened():
            return replace(
                state,
                stage=Stage.OPEN,
                order_id=event.order_id,
                fulfillment_id=event.fulfillment_id,
                location=event.location,
                country=event.country,
                address_on_file=event.address_on_file,
                lines=event.lines,
            )
        case ItemsPicked():
            return replace(state, stage=Stage.PICKED)
        case ParcelPacked():
            return replace(state, stage=Stage.PACKED, parcel_id=event.parcel_id)
        case LabelRequested():
            version = state.version
            asking = replace(state, asking=True, unknown=False, attempt=0)
            return replace(asking, intent_version=version, key_version=version)
        case LabelPurchased():
            return replace(state, asking=False, unknown=False, tracking_number=event.tracking_number)
        case LabelRefused():
            return replace(state, asking=False, unknown=False)
        case LabelOutcomeUnknown():
            return replace(state, asking=False, unknown=True, attempt=event.attempt)
        case LabelInquiryInitiated():
            return replace(state, asking=True, unknown=False, intent_version=state.version)
        case ParcelShipped():
            return replace(state, stage=Stage.SHIPPED)
        case TrackingUpdated():
            return replace(state, scans=(*state.scans, *event.scans))
        case ParcelDelivered():
            return replace(state, stage=Stage.DELIVERED)
        case FulfillmentCancelled():
            return replace(
                state, stage=Stage.CANCELLED, order_id=event.order_id, fulfillment_id=event.fulfillment_id, asking=False
            )
        case FulfillmentCancelRefused():
            return state
        case _:
            assert_never(event)
