"""What the payment service writes: one stream per order, `payment-<order id>`.

Each call to the provider is three events: an intent (`...Initiated`), the call, an outcome. The intent's event id is
the idempotency key of the call.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from events.base import AmountMinor, Currency, Event, Instant, Name, Note
from events.order import OrderId


def payment_stream(order_id: str) -> str:
    return f"payment-{order_id}"


class PaymentOperation(StrEnum):
    AUTHORIZE = "authorize"
    CAPTURE = "capture"
    VOID = "void"
    REFUND = "refund"


class PaymentInitiated(Event):
    """Intent: we are about to ask the provider to authorize."""

    type: ClassVar[str] = "payment.initiated.v1"
    order_id: OrderId
    amount_minor: AmountMinor
    currency: Currency
    payment_token: Name


class PaymentAuthorized(Event):
    """The provider promises the money; `reference` is its own name for the payment."""

    type: ClassVar[str] = "payment.authorized.v1"
    order_id: OrderId
    reference: Name
    amount_minor: AmountMinor


class PaymentDeclined(Event):
    """The provider refused to authorize."""

    type: ClassVar[str] = "payment.declined.v1"
    order_id: OrderId
    reason: Note


class PaymentActionRequired(Event):
    """The buyer must act (3-D Secure, redirect) before `expires_at`."""

    type: ClassVar[str] = "payment.action_required.v1"
    order_id: OrderId
    reference: Name
    expires_at: Instant


class PaymentExpired(Event):
    """The buyer did not act in time."""

    type: ClassVar[str] = "payment.expired.v1"
    order_id: OrderId


class PaymentOutcomeUnknown(Event):
    """The provider did not answer: the operation may have happened. Ask again at `ask_at`; never assume."""

    type: ClassVar[str] = "payment.outcome_unknown.v1"
    order_id: OrderId
    operation: PaymentOperation
    attempt: Annotated[int, Field(ge=1)]
    ask_at: Instant


class PaymentInquiryInitiated(Event):
    """Intent: we are about to ask the provider what became of an operation, and to repeat it if nothing did.

    `key` is the idempotency key of the operation's own intent: a repetition is the same call, never a new one.
    """

    type: ClassVar[str] = "payment.inquiry_initiated.v1"
    order_id: OrderId
    operation: PaymentOperation
    attempt: Annotated[int, Field(ge=1)]
    key: Name
    amount_minor: AmountMinor
    currency: Currency
    payment_token: Name
    reference: Name | None = None


class CaptureInitiated(Event):
    """Intent: we are about to take the authorized money."""

    type: ClassVar[str] = "payment.capture_initiated.v1"
    order_id: OrderId
    reference: Name
    amount_minor: AmountMinor


class PaymentCaptured(Event):
    """The money was taken."""

    type: ClassVar[str] = "payment.captured.v1"
    order_id: OrderId
    reference: Name
    amount_minor: AmountMinor


class CaptureFailed(Event):
    """The provider refused to capture (the authorization lapsed, say)."""

    type: ClassVar[str] = "payment.capture_failed.v1"
    order_id: OrderId
    reason: Note


class VoidQueued(Event):
    """A void was asked for while a call is under way: it follows when the outcome is known."""

    type: ClassVar[str] = "payment.void_queued.v1"
    order_id: OrderId


class VoidInitiated(Event):
    """Intent: we are about to let the authorization go."""

    type: ClassVar[str] = "payment.void_initiated.v1"
    order_id: OrderId
    reference: Name


class PaymentVoided(Event):
    """No money is held for this order any more (or none ever was)."""

    type: ClassVar[str] = "payment.voided.v1"
    order_id: OrderId


class RefundInitiated(Event):
    """Intent: we are about to give captured money back."""

    type: ClassVar[str] = "payment.refund_initiated.v1"
    order_id: OrderId
    reference: Name
    amount_minor: AmountMinor


class PaymentRefunded(Event):
    """Captured money was given back."""

    type: ClassVar[str] = "payment.refunded.v1"
    order_id: OrderId
    reference: Name
    amount_minor: AmountMinor


class PaymentUndoFailed(Event):
    """A void or a refund was refused by the provider; a person must look."""

    type: ClassVar[str] = "payment.undo_failed.v1"
    order_id: OrderId
    operation: PaymentOperation
    reason: Note
