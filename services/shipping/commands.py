"""What the shipping decider can be asked."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from events.base import Quantities
from events.shipping import TrackingScan


class OpenFulfillment(NamedTuple):
    order_id: str
    fulfillment_id: str
    location: str
    country: str
    address_on_file: bool
    lines: Quantities


class PickItems(NamedTuple):
    pass


class PackParcel(NamedTuple):
    pass


class RequestLabel(NamedTuple):
    """Ask the carrier again after it refused."""


class AskCarrier(NamedTuple):
    """Find out whether the label was bought. With an `attempt` only if that is the one without an answer."""

    attempt: int | None = None


class RecordLabel(NamedTuple):
    carrier: str
    tracking_number: str
    reference: str


class RecordLabelRefused(NamedTuple):
    reason: str


class RecordLabelUnknown(NamedTuple):
    ask_at: datetime


class ShipParcel(NamedTuple):
    """The carrier has taken the parcel."""


class RecordTracking(NamedTuple):
    """Everything the carrier says about the parcel so far; what is known already is left out."""

    scans: list[TrackingScan]


class CancelFulfillment(NamedTuple):
    order_id: str
    fulfillment_id: str


ShippingCommand = (
    OpenFulfillment
    | PickItems
    | PackParcel
    | RequestLabel
    | AskCarrier
    | RecordLabel
    | RecordLabelRefused
    | RecordLabelUnknown
    | ShipParcel
    | RecordTracking
    | CancelFulfillment
)
