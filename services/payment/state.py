"""What the payment service remembers of one order's payment, and how each event changes it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from events.payment import (
    CaptureFailed,
    CaptureInitiated,
    PaymentActionRequired,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentDeclined,
    PaymentExpired,
    PaymentInitiated,
    PaymentInquiryInitiated,
    PaymentOperation,
    PaymentOutcomeUnknown,
    PaymentRefunded,
    PaymentUndoFailed,
    PaymentVoided,
    RefundInitiated,
    VoidInitiated,
    VoidQueued,
)

PaymentEvent = (
    PaymentInitiated
    | PaymentAuthorized
    | PaymentDeclined
    | PaymentActionRequired
    | PaymentExpired
    | PaymentOutcomeUnknown
    | PaymentInquiryInitiated
    | CaptureInitiated
    | PaymentCaptured
    | CaptureFailed
    | VoidQueued
    | VoidInitiated
    | PaymentVoided
    | RefundInitiated
    | PaymentRefunded
    | PaymentUndoFailed
)


class Stage(StrEnum):
    """What we know for certain of the money. An operation under way is `operation`, not a stage."""

    NONE = "none"
    DECLINED = "declined"
    ACTION_REQUIRED = "action_required"
    EXPIRED = "expired"
    AUTHORIZED = "authorized"
    CAPTURED = "captured"
    VOIDED = "voided"
    REFUNDED = "refunded"


class PaymentState(Struct, frozen=True):
    """One order's payment.

    operation       the call that is under way or whose outcome is unknown
    intent_version  the version of the newest intent: the one whose outcome is waited for
    key_version     the version of the operation's first intent: its idempotency key
    asking          whether a call is out now (False: its outcome is unknown and nobody is asking yet)
    undo_queued     undo as soon as the open operation has an outcome
    capture_minor   what was asked to be taken; captured_minor is what was taken
    """

    version: int = 0
    order_id: str = ""
    stage: Stage = Stage.NONE
    operation: PaymentOperation | None = None
    intent_version: int = 0
    key_version: int = 0
    asking: bool = False
    attempt: int = 0
    undo_queued: bool = False
    amount_minor: int = 0
    capture_minor: int = 0
    captured_minor: int = 0
    currency: str = ""
    payment_token: str = ""
    reference: str | None = None
    expires_at: datetime | None = None


def evolve(state: PaymentState, event: PaymentEvent) -> PaymentState:
    state = replace(state, version=state.version + 1)
    match event:
        case PaymentInitiated():
            begun = _begin(state, PaymentOperation.AUTHORIZE)
            return replace(
                begun,
                order_id=event.order_id,
                amount_minor=event.amount_minor,
                currency=event.currency,
                payment_token=event.payment_token,
                reference=None,
                expires_at=None,
            )
        case PaymentAuthorized():
            return replace(_end(state, Stage.AUTHORIZED), reference=event.reference, amount_minor=event.amount_minor)
        case CaptureInitiated():
            return replace(_begin(state, PaymentOperation.CAPTURE), capture_minor=event.amount_minor)
        case PaymentCaptured():
            return replace(_end(state, Stage.CAPTURED), captured_minor=event.amount_minor)
        case PaymentDeclined():
            return _end(state, Stage.DECLINED)
        case PaymentActionRequired():
            ended = _end(state, Stage.ACTION_REQUIRED)
            return replace(ended, reference=event.reference, expires_at=event.expires_at)
        case PaymentExpired():
            return _end(state, Stage.EXPIRED)
        case PaymentOutcomeUnknown():
            return replace(state, asking=False, attempt=event.attempt)
        case PaymentInquiryInitiated():
            begun = replace(state, operation=event.operation, intent_version=state.version, asking=True)
            return replace(begun, attempt=event.attempt)
        case CaptureFailed():
            # A capture that could not even be begun ends no other operation.
            return _end(state, state.stage) if state.operation is PaymentOperation.CAPTURE else state
        case VoidQueued():
            return replace(state, undo_queued=True)
        case VoidInitiated():
            return replace(_begin(state, PaymentOperation.VOID), undo_queued=False)
        case PaymentVoided():
            return replace(_end(state, Stage.VOIDED), order_id=event.order_id, undo_queued=False)
        case RefundInitiated():
            return replace(_begin(state, PaymentOperation.REFUND), undo_queued=False)
        case PaymentRefunded():
            return _end(state, Stage.REFUNDED)
        case PaymentUndoFailed():
            return _end(state, state.stage)
        case _:
            assert_never(event)


def _begin(state: PaymentState, operation: PaymentOperation) -> PaymentState:
    version = state.version
    return replace(state, operation=operation, intent_version=version, key_version=version, asking=True, attempt=0)


def _end(state: PaymentState, stage: Stage) -> PaymentState:
    return replace(state, stage=stage, operation=None, asking=False, attempt=0)
