"""What the payment service remembers of one order's payment, and how each event changes it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, assert_never

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


class PaymentState(NamedTuple):
    """One order's payment.

    operation       the call that is under way or whose outcome is unknown
    intent_version  the version of the newest intent: the one whose outcome is waited for
    key_version     the version of the operation's first intent: its idempotency key
    asking          whether a call is out now (False: its outcome is unknown and nobody is asking yet)
    undo_queued     undo as soon as the open operation has an outcome
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
    captured_minor: int = 0
    currency: str = ""
    payment_token: str = ""
    reference: str | None = None
    expires_at: datetime | None = None


def evolve(state: PaymentState, event: PaymentEvent) -> PaymentState:
    state = state._replace(version=state.version + 1)
    match event:
        case PaymentInitiated():
            begun = _begin(state, PaymentOperation.AUTHORIZE)
            return begun._replace(
                order_id=event.order_id,
                amount_minor=event.amount_minor,
                currency=event.currency,
                payment_token=event.payment_token,
            )
        case PaymentAuthorized():
            return _end(state, Stage.AUTHORIZED)._replace(reference=event.reference, amount_minor=event.amount_minor)
        case CaptureInitiated():
            return _begin(state, PaymentOperation.CAPTURE)
        case PaymentCaptured():
            return _end(state, Stage.CAPTURED)._replace(captured_minor=event.amount_minor)
        case PaymentDeclined():
            return _end(state, Stage.DECLINED)
        case PaymentActionRequired():
            ended = _end(state, Stage.ACTION_REQUIRED)
            return ended._replace(reference=event.reference, expires_at=event.expires_at)
        case PaymentExpired():
            return _end(state, Stage.EXPIRED)
        case PaymentOutcomeUnknown():
            return state._replace(asking=False, attempt=event.attempt)
        case PaymentInquiryInitiated():
            begun = state._replace(operation=event.operation, intent_version=state.version, asking=True)
            return begun._replace(attempt=event.attempt)
        case CaptureFailed():
            return _end(state, state.stage)
        case VoidQueued():
            return state._replace(undo_queued=True)
        case VoidInitiated():
            return _begin(state, PaymentOperation.VOID)._replace(undo_queued=False)
        case PaymentVoided():
            return _end(state, Stage.VOIDED)._replace(order_id=event.order_id, undo_queued=False)
        case RefundInitiated():
            return _begin(state, PaymentOperation.REFUND)._replace(undo_queued=False)
        case PaymentRefunded():
            return _end(state, Stage.REFUNDED)
        case PaymentUndoFailed():
            return _end(state, state.stage)
        case _:
            assert_never(event)


def _begin(state: PaymentState, operation: PaymentOperation) -> PaymentState:
    version = state.version
    return state._replace(operation=operation, intent_version=version, key_version=version, asking=True, attempt=0)


def _end(state: PaymentState, stage: Stage) -> PaymentState:
    return state._replace(stage=stage, operation=None, asking=False, attempt=0)
