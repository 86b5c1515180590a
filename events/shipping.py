"""What the shipping service writes: one stream per fulfillment order, `fulfillment-<fulfillment id>`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from events.base import Country, Event, Instant, Location, Name, Note, Quantities, Quantity, Value
from events.order import FulfillmentId, OrderId


def fulfillment_stream(fulfillment_id: str) -> str:
    return f"fulfillment-{fulfillment_id}"


class TrackingStatus(StrEnum):
    """What carriers say about a parcel. Data, never a state machine: scans come late, twice and out of order."""

    PRE_TRANSIT = "pre_transit"
    IN_TRANSIT = "in_transit"
    OUT_FOR_DELIVERY = "out_for_delivery"
    AVAILABLE_FOR_PICKUP = "available_for_pickup"
    DELIVERED = "delivered"
    RETURN_TO_SENDER = "return_to_sender"
    FAILURE = "failure"
    UNKNOWN = "unknown"


class FulfillmentOpened(Event):
    """One location's part of an order, to be picked there.

    It carries no address: whoever prints the label reads it from the order, unless the channel keeps it on file.
    """

    type: ClassVar[str] = "shipping.fulfillment_opened.v1"
    order_id: OrderId
    fulfillment_id: FulfillmentId
    location: Location
    country: Country
    address_on_file: bool
    lines: Quantities


class ItemsPicked(Event):
    """Everything this fulfillment asks for is in the picker's hands."""

    type: ClassVar[str] = "shipping.items_picked.v1"
    order_id: OrderId
    fulfillment_id: FulfillmentId


class ParcelPacked(Event):
    """The picked goods are in one box."""

    type: ClassVar[str] = "shipping.parcel_packed.v1"
    order_id: OrderId
    fulfillment_id: FulfillmentId
    parcel_id: Name


class LabelRequested(Event):
    """Intent: we are about to buy a label from the carrier."""

    type: ClassVar[str] = "shipping.label_requested.v1"
    order_id: OrderId
    fulfillment_id: FulfillmentId
    parcel_id: Name
    location: Location
    country: Country
    address_on_file: bool
    units: Quantity


class LabelPurchased(Event):
    """The carrier sold us a label; `reference` is its own name for the shipment."""

    type: ClassVar[str] = "shipping.label_purchased.v1"
    order_id: OrderId
    fulfillment_id: FulfillmentId
    carrier: Name
    tracking_number: Name
    reference: Name


class LabelRefused(Event):
    """The carrier will not carry it as it is; a person must look, then ask for the label again."""

    type: ClassVar[str] = "shipping.label_refused.v1"
    order_id: OrderId
    fulfillment_id: FulfillmentId
    reason: Note


class LabelOutcomeUnknown(Event):
    """The carrier did not answer: a label may have been bought. Ask again at `ask_at`."""

    type: ClassVar[str] = "shipping.label_outcome_unknown.v1"
    order_id: OrderId
    fulfillment_id: FulfillmentId
    attempt: Annotated[int, Field(ge=1)]
    ask_at: Instant


class LabelInquiryInitiated(Event):
    """Intent: we are about to ask the carrier whether it sold us the label, and to buy it if it did not.

    `key` is the idempotency key of the first `LabelRequested`: a repetition is the same purchase.
    """

    type: ClassVar[str] = "shipping.label_inquiry_initiated.v1"
    order_id: OrderId
    fulfillment_id: FulfillmentId
    attempt: Annotated[int, Field(ge=1)]
    key: Name
    parcel_id: Name
    location: Location
    country: Country
    address_on_file: bool
    units: Quantity


class ParcelShipped(Event):
    """The parcel was handed to the carrier."""

    type: ClassVar[str] = "shipping.parcel_shipped.v1"
    order_id: OrderId
    fulfillment_id: FulfillmentId
    location: Location
    tracking_number: Name
    lines: Quantities


class TrackingScan(Value):
    """One line of the carrier's tracking."""

    status: TrackingStatus
    scanned_at: Instant
    place: Note = ""


class TrackingUpdated(Event):
    """The carrier reported scans that we had not seen, oldest first."""

    type: ClassVar[str] = "shipping.tracking_updated.v1"
    order_id: OrderId
    fulfillment_id: FulfillmentId
    scans: list[TrackingScan]


class ParcelDelivered(Event):
    """The carrier says the buyer has it."""

    type: ClassVar[str] = "shipping.parcel_delivered.v1"
    order_id: OrderId
    fulfillment_id: FulfillmentId
    tracking_number: Name


class FulfillmentCancelled(Event):
    """Stopped before it left."""

    type: ClassVar[str] = "shipping.fulfillment_cancelled.v1"
    order_id: OrderId
    fulfillment_id: FulfillmentId


class FulfillmentCancelRefused(Event):
    """Too late: the parcel has left."""

    type: ClassVar[str] = "shipping.fulfillment_cancel_refused.v1"
    order_id: OrderId
    fulfillment_id: FulfillmentId
