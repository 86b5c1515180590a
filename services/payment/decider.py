"""The rules of a payment. At most one operation is open at a time; what is asked meanwhile waits or is done already.

A late fact is still a fact: money that turns out to be promised after all is recorded, and the order decides what to
do with it.
"""

from __future__ import annotations

from typing import assert_never

from events.base import Event
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
    payment_stream,
)
from services.payment.commands import (
    AskProvider,
    AuthorizePayment,
    CapturePayment,
    ExpireAction,
    PaymentCommand,
    RecordActionExpired,
    RecordActionRequired,
    RecordAuthorized,
    RecordCaptured,
    RecordCaptureFailed,
    RecordDeclined,
    RecordRefunded,
    RecordUndoFailed,
    RecordUnknown,
    RecordVoided,
    UndoPayment,
)
from services.payment.state import PaymentState, Stage, evolve
from services.runtime.decider import Decider


def decide(command: PaymentCommand, state: PaymentState) -> list[Event]:
    match command:
        case AuthorizePayment():
            return _authorize(command, state)
        case CapturePayment():
            return _capture(command, state)
        case RecordAuthorized():
            return _authorized(command, state)
        case RecordCaptured():
            return _captured(command, state)
        case RecordDeclined(reason):
            return _declined(reason, state)
        case RecordActionRequired():
            return _action_required(command, state)
        case RecordActionExpired():
            return _action_expired(state)
        case RecordCaptureFailed(reason):
            return _capture_failed(reason, state)
        case RecordUnknown():
            return _unknown(command, state)
        case UndoPayment(order_id):
            return _undo(order_id, state)
        case RecordVoided():
            open_void = state.operation is PaymentOperation.VOID
            return [PaymentVoided(order_id=state.order_id)] if open_void else []
        case RecordRefunded():
            return _refunded(command, state)
        case RecordUndoFailed():
            return _undo_failed(command, state)
        case AskProvider(operation, attempt):
            is_late = attempt is not None and (operation, attempt) != (state.operation, state.attempt)
            return [] if is_late else _ask(state)
        case ExpireAction():
            return _ask(state) if state.stage is Stage.ACTION_REQUIRED else []
        case _:
            assert_never(command)


# --- authorize -----------------------------------------------------------------------------------------------------


def _authorize(command: AuthorizePayment, state: PaymentState) -> list[Event]:
    if state.operation is not None or state.stage not in (Stage.NONE, Stage.DECLINED):
        return []
    order_id, amount_minor, currency, token = command
    return [PaymentInitiated(order_id=order_id, amount_minor=amount_minor, currency=currency, payment_token=token)]


def _authorized(command: RecordAuthorized, state: PaymentState) -> list[Event]:
    nobody_asked = state.stage is Stage.NONE and state.operation is None
    let_go_already = state.stage is Stage.VOIDED and command.reference == state.reference
    known = let_go_already or state.stage in (Stage.AUTHORIZED, Stage.CAPTURED, Stage.REFUNDED)
    if known or nobody_asked or _undoing(state):
        return []
    authorized = PaymentAuthorized(
        order_id=state.order_id, reference=command.reference, amount_minor=command.amount_minor
    )
    return [authorized, *_undo_if_queued(evolve(state, authorized))]


def _declined(reason: str, state: PaymentState) -> list[Event]:
    if state.operation is not PaymentOperation.AUTHORIZE:
        return []
    declined = PaymentDeclined(order_id=state.order_id, reason=reason)
    return [declined, *_undo_if_queued(evolve(state, declined))]


def _action_required(command: RecordActionRequired, state: PaymentState) -> list[Event]:
    if state.operation is not PaymentOperation.AUTHORIZE:
        return []
    if state.expires_at is not None and command.now >= state.expires_at:
        # The buyer never acted. Whatever they still do at the provider must find the door closed.
        expired = PaymentExpired(order_id=state.order_id)
        return [expired, VoidInitiated(order_id=state.order_id, reference=command.reference)]
    required = PaymentActionRequired(
        order_id=state.order_id, reference=command.reference, expires_at=state.expires_at or command.expires_at
    )
    return [required, *_undo_if_queued(evolve(state, required))]


def _action_expired(state: PaymentState) -> list[Event]:
    if state.operation is not PaymentOperation.AUTHORIZE:
        return []
    expired = PaymentExpired(order_id=state.order_id)
    return [expired, *_undo_if_queued(evolve(state, expired))]


# --- capture -------------------------------------------------------------------------------------------------------


def _capture(command: CapturePayment, state: PaymentState) -> list[Event]:
    if state.stage is Stage.CAPTURED or state.operation is PaymentOperation.CAPTURE:
        return []
    if state.stage is not Stage.AUTHORIZED or state.reference is None:
        return [CaptureFailed(order_id=command.order_id, reason=f"the payment is {state.stage.value}, not authorized")]
    if state.operation is not None:
        return [CaptureFailed(order_id=command.order_id, reason=f"a {state.operation.value} is under way")]
    if command.amount_minor > state.amount_minor:
        reason = f"{command.amount_minor} is more than the authorized {state.amount_minor}"
        return [CaptureFailed(order_id=command.order_id, reason=reason)]
    return [CaptureInitiated(order_id=command.order_id, reference=state.reference, amount_minor=command.amount_minor)]


def _captured(command: RecordCaptured, state: PaymentState) -> list[Event]:
    # Also when nobody waits for it any more: a capture that was reported as failed may have been made after all.
    was_asked_for = state.operation is PaymentOperation.CAPTURE or (state.operation is None and state.capture_minor)
    if state.stage is not Stage.AUTHORIZED or not was_asked_for:
        return []
    captured = PaymentCaptured(order_id=state.order_id, reference=command.reference, amount_minor=command.amount_minor)
    return [captured, *_undo_if_queued(evolve(state, captured))]


def _capture_failed(reason: str, state: PaymentState) -> list[Event]:
    if state.operation is not PaymentOperation.CAPTURE:
        return []
    failed = CaptureFailed(order_id=state.order_id, reason=reason)
    return [failed, *_undo_if_queued(evolve(state, failed))]


# --- undo ----------------------------------------------------------------------------------------------------------


def _undo(order_id: str, state: PaymentState) -> list[Event]:
    if _undoing(state) or state.undo_queued or state.stage in (Stage.VOIDED, Stage.REFUNDED):
        return []
    if state.operation is not None:
        return [VoidQueued(order_id=order_id)]
    return _undo_now(order_id, state)


def _undo_if_queued(state: PaymentState) -> list[Event]:
    return _undo_now(state.order_id, state) if state.undo_queued else []


def _undo_now(order_id: str, state: PaymentState) -> list[Event]:
    if state.stage is Stage.CAPTURED and state.reference:
        return [RefundInitiated(order_id=order_id, reference=state.reference, amount_minor=state.captured_minor)]
    if state.stage in (Stage.AUTHORIZED, Stage.ACTION_REQUIRED, Stage.EXPIRED) and state.reference:
        return [VoidInitiated(order_id=order_id, reference=state.reference)]
    return [PaymentVoided(order_id=order_id)]


def _undoing(state: PaymentState) -> bool:
    return state.operation in (PaymentOperation.VOID, PaymentOperation.REFUND)


def _refunded(command: RecordRefunded, state: PaymentState) -> list[Event]:
    if state.operation is not PaymentOperation.REFUND:
        return []
    reference, amount_minor = command
    return [PaymentRefunded(order_id=state.order_id, reference=reference, amount_minor=amount_minor)]


def _undo_failed(command: RecordUndoFailed, state: PaymentState) -> list[Event]:
    if state.operation is not command.operation:
        return []
    return [PaymentUndoFailed(order_id=state.order_id, operation=command.operation, reason=command.reason)]


# --- when the outcome is unknown -----------------------------------------------------------------------------------


def _unknown(command: RecordUnknown, state: PaymentState) -> list[Event]:
    if state.operation is not command.operation or not state.asking:
        return []
    return [
        PaymentOutcomeUnknown(
            order_id=state.order_id, operation=command.operation, attempt=state.attempt + 1, ask_at=command.ask_at
        )
    ]


def _ask(state: PaymentState) -> list[Event]:
    if state.asking:
        return []
    waiting_for_buyer = state.operation is None and state.stage is Stage.ACTION_REQUIRED
    operation = PaymentOperation.AUTHORIZE if waiting_for_buyer else state.operation
    if operation is None:
        return []
    return [
        PaymentInquiryInitiated(
            order_id=state.order_id,
            operation=operation,
            attempt=max(state.attempt, 1),
            key=f"{payment_stream(state.order_id)}/{state.key_version}",
            amount_minor=_amount_of(operation, state),
            currency=state.currency,
            payment_token=state.payment_token,
            reference=state.reference,
        )
    ]


def _amount_of(operation: PaymentOperation, state: PaymentState) -> int:
    """What the operation was asked for: a repetition must say the same, or it is another call."""
    amounts = {PaymentOperation.CAPTURE: state.capture_minor, PaymentOperation.REFUND: state.captured_minor}
    return amounts.get(operation, state.amount_minor)


DECIDER: Decider[PaymentCommand, PaymentState] = Decider(PaymentState(), decide, evolve)
