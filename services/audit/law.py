"""What must be true of a log, in words, and how a breach of it is told."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from events.base import Recorded


class Law(StrEnum):
    """Every law that `waybill verify` checks. The value is the law."""

    # the log itself
    READABLE = "every event can be read"
    POSITIONS_GROW = "positions only ever grow"
    VERSIONS_CONTIGUOUS = "the versions of a stream go 1, 2, 3 … without gap or repetition"
    ENVELOPE_WELL_FORMED = "an event names its actor, its process and its cause, and a cause comes before its effect"
    OWN_STREAM = "an event stands in the stream of what it is about"
    PARKED_FIRST = "only what was parked can be replayed or dropped"

    # orders
    PLACED_FIRST = "an order begins by being placed, once"
    ORDER_TRANSITIONS = "an order goes placed, accepted, confirmed, completed, or ends rejected, cancelled or expired"
    HOLDS = "only a hold that is there can be released"
    TOTALS_ADD_UP = "an accepted order's lines, each rounded half up, and its charges add up to its total"
    REQUESTS_FIT = "what the order asks for is what was ordered, and is asked for once"
    CANCELLED_IS_UNDONE = "a cancelled, rejected or expired order keeps neither goods nor money"
    COMPLETED_IS_DONE = "a completed order is shipped and captured in full"

    # money
    ONE_OUTCOME = "every intent has one outcome, and every outcome an intent"
    ANSWERS_REQUEST = "a service acts once for each request of the order, and as it was asked"
    AUTHORIZED_AS_ASKED = "no more is authorized than was asked for"
    CAPTURE_AFTER_AUTHORIZE = "captured is never more than authorized"
    CAPTURED_ONCE = "no payment is captured twice for one request"
    REFUND_WITHIN_CAPTURE = "refunded is never more than captured"
    SAME_KEY = "an inquiry carries the idempotency key of the operation's first intent"

    # stock
    REPORTS_BOOKED = "what was reported about stock is booked once, as it was reported"
    ALLOCATED_IS_THERE = "allocated and reserved are never more than on hand; available never falls below zero"
    INCOMING_WAS_ANNOUNCED = "what came in as expected had been announced"
    ALLOCATED_ONCE = "an order's goods are allocated once at a time"
    ALLOCATED_AS_ORDERED = "allocated is what was ordered, per SKU"
    BALANCES_TOLD = "balances that the ledger tells are its own"
    SHIPPED_IS_ALLOCATED = "shipped is never more than allocated"
    SHIPPED_IS_BOOKED = "the ledger ships exactly what the order says has left"
    RELEASED_IS_ALLOCATED = "released is what was allocated and has not left"
    ALLOCATION_ENDS = "every allocation ends shipped or released"
    RESERVATION_ENDS_ONCE = "a reservation is made once and ends once, with what it held"

    # shipping
    FULFILLED_ONCE = "fulfillments add up to what was allocated, and none sends the same goods twice"
    FULFILLMENT_STEPS = (
        "a fulfillment goes open, picked, packed, labelled, shipped, delivered, or is cancelled before it left"
    )
    SHIPPED_IS_PAID = "goods leave only when their payment is authorized"
    PARCEL_AS_ASKED = "a parcel holds exactly what its fulfillment asks for"


class Violation(NamedTuple):
    """A law, and the event that breaks it. `detail` quotes amounts, SKUs and ids, never personal data."""

    law: Law
    position: int
    event_id: str
    type: str
    stream: str
    detail: str

    def __str__(self) -> str:
        return f"position {self.position}, {self.type} ({self.event_id}): {self.law.value}. {self.detail}"


def violation(law: Law, recorded: Recorded, detail: str) -> Violation:
    return Violation(law, recorded.position, recorded.id, recorded.type, recorded.stream, detail)
