"""The rules of a fulfillment order: open -> picked -> packed -> labelled -> shipped -> delivered, or cancelled before
it has left. Tracking is data: scans that come late, twice or out of order change nothing but the list of scans.
"""

from __future__ import annotations

from typing import Any, assert_never

from events.base import Event
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
    TrackingStatus,
    TrackingUpdated,
    fulfillment_stream,
)
from services.runtime.decider import Decider
from services.shipping.commands import (
    AskCarrier,
    CancelFulfillment,
    OpenFulfillment,
    PackParcel,
    PickItems,
    RecordLabel,
    RecordLabelRefused,
    RecordLabelUnknown,
    RecordTracking,
    RequestLabel,
    ShipParcel,
    ShippingCommand,
)
from services.shipping.state import FulfillmentState, Stage, evolve


def decide(command: ShippingCommand, state: FulfillmentState) -> list[Event]:
    match command:
        case OpenFulfillment():
            return [FulfillmentOpened.of_known(**command._asdict())] if state.stage is Stage.NONE else []
        case PickItems():
            return [ItemsPicked(**_ids(state))] if state.stage is Stage.OPEN else []
        case PackParcel():
            return _pack(state)
        case RecordLabel():
            return _label(command, state)
        case ShipParcel():
            return _ship(state)
        case RecordTracking():
            return _track(command, state)
        case RequestLabel():
            return _request_label(state)
        case AskCarrier(attempt):
            return _ask(state) if attempt in (None, state.attempt) else []
        case RecordLabelRefused(reason):
            return [LabelRefused(**_ids(state), reason=reason)] if state.asking else []
        case RecordLabelUnknown(ask_at):
            attempt = state.attempt + 1
            return [LabelOutcomeUnknown(**_ids(state), attempt=attempt, ask_at=ask_at)] if state.asking else []
        case CancelFulfillment():
            return _cancel(command, state)
        case _:
            assert_never(command)


def _ids(state: FulfillmentState) -> dict[str, str]:
    return {"order_id": state.order_id, "fulfillment_id": state.fulfillment_id}


def _pack(state: FulfillmentState) -> list[Event]:
    if state.stage is not Stage.PICKED:
        return []
    packed = ParcelPacked(**_ids(state), parcel_id=f"{state.fulfillment_id}/1")
    return [packed, *_request_label(evolve(state, packed))]


def _request_label(state: FulfillmentState) -> list[Event]:
    if state.stage is not Stage.PACKED or state.asking or state.unknown or state.tracking_number:
        return []
    return [LabelRequested(**_parcel(state))]


def _parcel(state: FulfillmentState) -> dict[str, Any]:
    """What the carrier needs to know, beside the address."""
    return {
        **_ids(state),
        "parcel_id": state.parcel_id,
        "location": state.location,
        "country": state.country,
        "address_on_file": state.address_on_file,
        "units": sum(state.lines.values()),
    }


def _label(command: RecordLabel, state: FulfillmentState) -> list[Event]:
    # A label that turns up when nobody waits for it any more was bought all the same: it is recorded. Where it is
    # unknown whether there is one, the carrier is asked again, and the answer to that counts.
    expected = state.stage is Stage.PACKED and not state.unknown
    if state.tracking_number or not (expected or state.stage is Stage.CANCELLED):
        return []
    return [LabelPurchased(**_ids(state), **command._asdict())]


def _ask(state: FulfillmentState) -> list[Event]:
    if not state.unknown or state.stage is not Stage.PACKED:
        return []
    key = f"{fulfillment_stream(state.fulfillment_id)}/{state.key_version}"
    return [LabelInquiryInitiated(**_parcel(state), attempt=state.attempt, key=key)]


def _ship(state: FulfillmentState) -> list[Event]:
    if state.stage is not Stage.PACKED or not state.tracking_number:
        return []
    return [
        ParcelShipped.of_known(
            **_ids(state), location=state.location, tracking_number=state.tracking_number, lines=state.lines
        )
    ]


def _track(command: RecordTracking, state: FulfillmentState) -> list[Event]:
    if state.stage not in (Stage.SHIPPED, Stage.DELIVERED):
        return []
    unseen = dict.fromkeys(scan for scan in command.scans if scan not in state.scans)
    if not unseen:
        return []
    new = sorted(unseen, key=lambda scan: scan.scanned_at)
    updated = TrackingUpdated(**_ids(state), scans=new)
    if state.stage is Stage.SHIPPED and any(scan.status is TrackingStatus.DELIVERED for scan in new):
        return [updated, ParcelDelivered(**_ids(state), tracking_number=state.tracking_number)]
    return [updated]


def _cancel(command: CancelFulfillment, state: FulfillmentState) -> list[Event]:
    order_id, fulfillment_id = command
    if state.stage is Stage.CANCELLED:
        return []
    if state.stage in (Stage.SHIPPED, Stage.DELIVERED):
        return [FulfillmentCancelRefused(order_id=order_id, fulfillment_id=fulfillment_id)]
    return [FulfillmentCancelled(order_id=order_id, fulfillment_id=fulfillment_id)]


DECIDER: Decider[ShippingCommand, FulfillmentState] = Decider(FulfillmentState(), decide, evolve)
