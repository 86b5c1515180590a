"""From a payment intent to a call to the provider, and from its answer to a command."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import NamedTuple, assert_never

from events.base import WALL_CLOCK, Event, Recorded
from events.payment import (
    CaptureInitiated,
    PaymentInitiated,
    PaymentInquiryInitiated,
    PaymentOperation,
    RefundInitiated,
    VoidInitiated,
    payment_stream,
)
from services.payment import commands as say
from services.payment.provider import (
    KEY_LIFETIME,
    ActionRequired,
    Authorized,
    Captured,
    Declined,
    Payment,
    PaymentProvider,
    ProviderTimeout,
    ProviderUnavailable,
    Refunded,
    Refused,
    Voided,
)
from services.payment.provider import PaymentState as AtProvider
from services.payment.state import PaymentState
from services.runtime.decider import Directive
from services.runtime.worker import Now

INTENTS: frozenset[type[Event]] = frozenset(
    {PaymentInitiated, CaptureInitiated, VoidInitiated, RefundInitiated, PaymentInquiryInitiated}
)

# The provider forgets a key after KEY_LIFETIME. Half of it leaves room for clocks that disagree.
_SAFE_TO_RESEND = KEY_LIFETIME / 2
# An inquiry does not tell how old its first intent is; but the pauses before the twentieth are eleven hours together.
_MANY_ATTEMPTS = 20
_FIRST_PAUSE_S = 5.0
_LONGEST_PAUSE_S = 3_600.0

Operation = PaymentOperation


def is_open(state: object, intent: Recorded) -> bool:
    """Whether the payment still waits for the outcome of this very intent."""
    assert isinstance(state, PaymentState)
    return state.asking and state.intent_version == intent.version


class ProviderCall(NamedTuple):
    """Every intent in one shape: what to do, and under which idempotency key."""

    order_id: str
    operation: PaymentOperation
    attempt: int
    key: str
    amount_minor: int
    currency: str
    payment_token: str
    reference: str | None


class PaymentCalls:
    """Carries out payment intents against a provider. Every way a call can end is a command."""

    def __init__(self, provider: PaymentProvider, *, now: Now, timeout_s: float, action_ttl: timedelta) -> None:
        """`timeout_s` bounds one call; `action_ttl` is how long a buyer may take to act."""
        self._provider = provider
        self._now = now
        self._timeout_s = timeout_s
        self._action_ttl = action_ttl

    async def __call__(self, intent: Recorded) -> Directive:
        inquiry = _call_of(intent)
        try:
            async with asyncio.timeout(self._timeout_s):
                command = await self._carry_out(intent, inquiry)
        except (ProviderTimeout, ProviderUnavailable, TimeoutError):
            pause_s = min(_FIRST_PAUSE_S * 2 ** min(inquiry.attempt, 20), _LONGEST_PAUSE_S)
            command = say.RecordUnknown(inquiry.operation, self._now() + timedelta(seconds=pause_s))
        return Directive(payment_stream(inquiry.order_id), command)

    async def _carry_out(self, intent: Recorded, inquiry: ProviderCall) -> say.PaymentCommand:
        asked_before = isinstance(intent.event, PaymentInquiryInitiated)
        if asked_before or self._key_may_be_forgotten(intent, inquiry):
            known = await self._provider.find(order_ref=inquiry.order_id)
            settled = self._settled(intent, inquiry, known)
            if settled is not None:
                return settled
        command = await self._send(intent, inquiry)
        if isinstance(command, say.RecordCaptureFailed | say.RecordUndoFailed):
            # Refused, perhaps because it is so already: it was taken, it was let go, it lapsed.
            known = await self._provider.find(order_ref=inquiry.order_id)
            settled = self._settled(intent, inquiry, known)
            return command if settled is None else settled
        return command

    def _key_may_be_forgotten(self, intent: Recorded, inquiry: ProviderCall) -> bool:
        return self._now() - intent.recorded_at > _SAFE_TO_RESEND or inquiry.attempt >= _MANY_ATTEMPTS

    def _settled(self, intent: Recorded, inquiry: ProviderCall, known: Payment | None) -> say.PaymentCommand | None:
        """What the provider's own books say about the operation; None if it has not happened there."""
        if known is None:
            return None
        operation, state = inquiry.operation, known.state
        if operation is Operation.AUTHORIZE:
            return self._authorization(intent, inquiry, known)
        if operation is Operation.CAPTURE and known.captured_minor:
            return say.RecordCaptured(known.reference, known.captured_minor)
        if operation is Operation.VOID and state in (AtProvider.VOIDED, AtProvider.EXPIRED, AtProvider.DECLINED):
            return say.RecordVoided()
        if operation is Operation.REFUND and known.refunded_minor >= inquiry.amount_minor:
            return say.RecordRefunded(known.reference, known.refunded_minor)
        return None

    def _authorization(self, intent: Recorded, inquiry: ProviderCall, known: Payment) -> say.PaymentCommand | None:
        match known.state:
            case AtProvider.AUTHORIZED | AtProvider.CAPTURED:
                return say.RecordAuthorized(known.reference, known.amount_minor)
            case AtProvider.REQUIRES_ACTION:
                return self._action_required(intent, known.reference)
            case AtProvider.EXPIRED if known.reference == inquiry.reference:
                return say.RecordActionExpired()
            case AtProvider.EXPIRED | AtProvider.VOIDED | AtProvider.REFUNDED:
                return say.RecordDeclined(_note(known.reason or known.state.value))
            case AtProvider.DECLINED:
                # A declined payment of an earlier attempt does not answer a later one; sending with its key does, while
                # the provider knows that key. After that it would be another payment: better that a person asks.
                is_answer = known.reference == inquiry.reference or self._key_may_be_forgotten(intent, inquiry)
                return say.RecordDeclined(_note(known.reason)) if is_answer else None
            case _:
                assert_never(known.state)

    def _action_required(self, intent: Recorded, reference: str) -> say.PaymentCommand:
        now = self._now() if intent.clock == WALL_CLOCK else intent.occurred_at
        return say.RecordActionRequired(reference, now + self._action_ttl, now)

    async def _send(self, intent: Recorded, call: ProviderCall) -> say.PaymentCommand:
        reference = call.reference or ""
        match call.operation:
            case Operation.AUTHORIZE:
                return await self._authorize(intent, call)
            case Operation.CAPTURE:
                return _captured(
                    await self._provider.capture(key=call.key, reference=reference, amount_minor=call.amount_minor)
                )
            case Operation.VOID:
                return _undone(call.operation, await self._provider.void(key=call.key, reference=reference))
            case Operation.REFUND:
                answer = await self._provider.refund(key=call.key, reference=reference, amount_minor=call.amount_minor)
                return _undone(call.operation, answer)
            case _:
                assert_never(call.operation)

    async def _authorize(self, intent: Recorded, call: ProviderCall) -> say.PaymentCommand:
        answer = await self._provider.authorize(
            key=call.key,
            order_ref=call.order_id,
            amount_minor=call.amount_minor,
            currency=call.currency,
            token=call.payment_token,
        )
        match answer:
            case Authorized(reference):
                return say.RecordAuthorized(reference, call.amount_minor)
            case Declined(reason):
                return say.RecordDeclined(_note(reason))
            case ActionRequired(reference):
                return self._action_required(intent, reference)
            case _:
                assert_never(answer)


def _call_of(intent: Recorded) -> ProviderCall:
    event = intent.event
    match event:
        case PaymentInitiated():
            return _first(intent, Operation.AUTHORIZE, event.amount_minor, event.currency, event.payment_token)
        case CaptureInitiated():
            return _first(intent, Operation.CAPTURE, event.amount_minor, reference=event.reference)
        case VoidInitiated():
            return _first(intent, Operation.VOID, 0, reference=event.reference)
        case RefundInitiated():
            return _first(intent, Operation.REFUND, event.amount_minor, reference=event.reference)
        case PaymentInquiryInitiated():
            return ProviderCall(**dict(event))
        case _:
            raise TypeError(f"{intent.type} is no payment intent")


def _first(
    intent: Recorded,
    operation: PaymentOperation,
    amount_minor: int,
    currency: str = "",
    token: str = "",
    reference: str | None = None,
) -> ProviderCall:
    order_id = getattr(intent.event, "order_id")  # noqa: B009  # every intent has one; Event itself does not
    return ProviderCall(order_id, operation, 0, intent.id, amount_minor, currency, token, reference)


def _note(reason: str) -> str:
    """A provider's own words, as many as an event takes."""
    return reason[:500]


def _captured(answer: Captured | Refused) -> say.PaymentCommand:
    match answer:
        case Captured(reference, amount_minor):
            return say.RecordCaptured(reference, amount_minor)
        case Refused(reason):
            return say.RecordCaptureFailed(_note(reason))
        case _:
            assert_never(answer)


def _undone(operation: PaymentOperation, answer: Voided | Refunded | Refused) -> say.PaymentCommand:
    match answer:
        case Voided():
            return say.RecordVoided()
        case Refunded(reference, amount_minor):
            return say.RecordRefunded(reference, amount_minor)
        case Refused(reason):
            return say.RecordUndoFailed(operation, _note(reason))
        case _:
            assert_never(answer)
