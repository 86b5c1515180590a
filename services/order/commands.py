"""What the order decider can be asked. Imperative; time and ids arrive in here."""

from __future__ import annotations

from typing import NamedTuple

from events.base import Address, Contact, Postings, Quantities
from events.order import Hold, Problem
from events.payment import PaymentOperation


class ReviewOrder(NamedTuple):
    """Judge a placed order by what validation found."""

    fatal: list[Problem]
    address: list[Problem]


class CorrectOrder(NamedTuple):
    """Replace the contact, the address, or both; `address` is what would still be wrong with them."""

    contact: Contact | None
    ship_to: Address | None
    address: list[Problem]


class HoldOrder(NamedTuple):
    """Only for reasons that are somebody's decision: fraud, preorder, manual, customer request."""

    hold: Hold
    problems: list[Problem]


class ReleaseHold(NamedTuple):
    """`payment_token` replaces the one that was declined, when the hold is `payment`."""

    hold: Hold
    payment_token: str | None = None


class CancelOrder(NamedTuple):
    reason: str


class NotePaymentAuthorized(NamedTuple):
    amount_minor: int


class NotePaymentDeclined(NamedTuple):
    reason: str


class NotePaymentExpired(NamedTuple):
    pass


class NotePaymentCaptured(NamedTuple):
    amount_minor: int


class NoteCaptureFailed(NamedTuple):
    reason: str


class NotePaymentUndone(NamedTuple):
    """Voided or refunded: no money is ours any more."""


class NoteUndoFailed(NamedTuple):
    """The provider would not void or refund."""

    operation: PaymentOperation
    reason: str


class NoteStockAllocated(NamedTuple):
    lines: Postings


class NoteStockBackordered(NamedTuple):
    missing: Quantities


class NoteStockRejected(NamedTuple):
    unknown: list[str]


class NoteStockReleased(NamedTuple):
    pass


class NoteParcelShipped(NamedTuple):
    fulfillment_id: str
    location: str
    lines: Quantities


class NoteFulfillmentCancelled(NamedTuple):
    fulfillment_id: str


class NoteFulfillmentCancelRefused(NamedTuple):
    fulfillment_id: str


OrderCommand = (
    ReviewOrder
    | CorrectOrder
    | HoldOrder
    | ReleaseHold
    | CancelOrder
    | NotePaymentAuthorized
    | NotePaymentDeclined
    | NotePaymentExpired
    | NotePaymentCaptured
    | NoteCaptureFailed
    | NotePaymentUndone
    | NoteUndoFailed
    | NoteStockAllocated
    | NoteStockBackordered
    | NoteStockRejected
    | NoteStockReleased
    | NoteParcelShipped
    | NoteFulfillmentCancelled
    | NoteFulfillmentCancelRefused
)
