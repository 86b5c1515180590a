"""What the payment service does about what the order asks, and which deadlines it keeps."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from events.base import WALL_CLOCK, Recorded
from events.order import PaymentCaptureRequested, PaymentRequested, PaymentVoidRequested
from events.payment import PaymentActionRequired, PaymentOutcomeUnknown, payment_stream
from services.payment.commands import AskProvider, AuthorizePayment, CapturePayment, ExpireAction, UndoPayment
from services.runtime.decider import Deadline, Directive, Reactions, SetsDeadlines


def _authorize(recorded: Recorded) -> Iterable[Directive]:
    event = cast(PaymentRequested, recorded.event)
    command = AuthorizePayment(event.order_id, event.amount_minor, event.currency, event.payment_token)
    return (Directive(payment_stream(event.order_id), command),)


def _capture(recorded: Recorded) -> Iterable[Directive]:
    event = cast(PaymentCaptureRequested, recorded.event)
    return (Directive(payment_stream(event.order_id), CapturePayment(event.order_id, event.amount_minor)),)


def _undo(recorded: Recorded) -> Iterable[Directive]:
    event = cast(PaymentVoidRequested, recorded.event)
    return (Directive(payment_stream(event.order_id), UndoPayment(event.order_id)),)


REACTIONS: Reactions = {
    PaymentRequested: _authorize,
    PaymentCaptureRequested: _capture,
    PaymentVoidRequested: _undo,
}


def _expire(recorded: Recorded) -> Iterable[Deadline]:
    event = cast(PaymentActionRequired, recorded.event)
    return (Deadline(event.expires_at, lambda _: Directive(recorded.stream, ExpireAction())),)


def _ask_again(recorded: Recorded) -> Iterable[Deadline]:
    event = cast(PaymentOutcomeUnknown, recorded.event)
    command = AskProvider(event.operation, event.attempt)
    return (Deadline(event.ask_at, lambda _: Directive(recorded.stream, command), clock=WALL_CLOCK),)


DEADLINES: SetsDeadlines = {PaymentActionRequired: _expire, PaymentOutcomeUnknown: _ask_again}
